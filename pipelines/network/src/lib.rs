//! Runs fitted device models in spiking networks.
//!
//! [`NeuronModel::from_card`] turns a model card into the numbers of one network step, and says where each came from ([`Mapping`]). [`train()`]
//! trains a fully connected network of such neurons on images ([`Dataset`]) and returns accuracy, spikes, the fraction of drives outside what the
//! device was characterised for, energy and latency per inference ([`Report`]), and the [`Weights`]. This crate never sees a magnetisation.
//!
//! ```
//! use spinloom_network::{Config, Dataset, NeuronModel, Reset, train};
//!
//! let data = Dataset::stand_in(400, 100, 1); // digits drawn by the program; `Dataset::read` reads MNIST and Fashion-MNIST
//! let config = Config { layers: vec![784, 32, 10], steps: 8, epochs: 2, batch: 32, learning_rate: 4e-3, ..Config::default() };
//! let outcome = train(&config, &NeuronModel::ideal_lif(0.9, Reset::Hard), &data, &mut |p| {
//!     if let Some(e) = p.finished {
//!         println!("epoch {} of {}: loss {:.3}, validation {:?}", e.epoch, p.epochs, e.loss, e.validation_accuracy);
//!     }
//! })?;
//! assert!(outcome.report.test.accuracy > 0.3, "{}", outcome.report.test.accuracy);
//! # Ok::<(), spinloom_base::Problems>(())
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`data`] | images: IDX files, stand-in digits |
//! | [`neuron`] | from a card to one step; what an inference costs |
//! | `posterior` | cards drawn from a card's own uncertainty |
//! | `encode` | pixels to Poisson spike trains |
//! | `network` | forward and back through layers and time: the arithmetic |
//! | `layers` | layers of any kind: dense, convolutional, recurrent |
//! | `convolution` | the arithmetic of their convolutions |
//! | `graphics` | the same on graphics devices |
//! | `optimiser` | softmax with cross-entropy, Adam |
//! | [`mod@train`] | batches, Adam, validation, checkpoints, the report |
//! | [`crossbar`] | weights as pairs of binary conductances |
//! | [`weights`] | the file of weights |
//! | `thermal` | a thermal neuron in steps, from its card |
//! | [`tasks`] | networks of the source papers as benchmarks |

mod convolution;
pub mod crossbar;
pub mod data;
mod encode;
mod graphics;
mod layers;
mod network;
pub mod neuron;
mod optimiser;
mod posterior;
mod ridge;
mod settings;
mod sparse;
mod synapse;
pub mod tasks;
mod thermal;
pub mod train;
pub mod weights;

pub use crossbar::{Crossbar, CrossbarReport};
pub use data::{Dataset, Images, Source};
pub use graphics::Open;
pub use network::Surrogate;
pub use neuron::{Cost, EventCounts, Mapping, NeuronModel, Reset};
pub use train::{Config, EpochRecord, Evaluation, LayerActivity, Outcome, Progress, Report, Schedule, Trainer, evaluate, train};
pub use weights::Weights;
