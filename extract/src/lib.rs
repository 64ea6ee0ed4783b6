//! From records and measured traces to model cards.
//!
//! Devices are described by [`models`], each with its equation, its likelihood and an experiment of its own; [`mod@estimate`] fits any of them, with
//! intervals and with what the data leave open, and [`device`] makes cards of that.
//!
//! A wall that a drive pushes and a restoring field pulls back is a leaky integrator. This crate measures it ([`velocity`], [`events`],
//! [`energy`]), fits models of its membrane ([`models`], [`fit`]) and writes down which one describes data it has not seen best, with
//! intervals, with what stays undetermined, and inside which limits ([`card`]). [`config`] is how a user asks for all that; [`mod@run`] does it.
//!
//! ```text
//! record.h5 ─ VelocityMap ─ v_f(H_ex, J), v_r(H_ex), regimes ──────────────┐
//! record.h5 ┐                                                              ├─ Card, figures
//! trace.csv ┴ Trace ─ events (integrate, leak, fire, reset) ─ Comparison ──┤
//! record.h5 ┐                                                              │
//! table.csv ┴ Data ─ Model ─ Fitted ───────────────────────────────────────┘ ─ export: NIR, SPICE, crossbars
//! ```

pub mod card;
pub mod check;
pub mod config;
pub mod data;
pub mod device;
pub mod energy;
pub mod estimate;
pub mod events;
pub mod export;
pub mod features;
pub mod fit;
pub mod models;
pub mod recovery;
pub mod run;
pub mod trace;
pub mod velocity;

pub use card::{NeuronInputs, neuron_card};
pub use check::check;
pub use config::ExtractConfig;
pub use data::Data;
pub use fit::{Comparison, FitOptions, Start, Unit, compare};
pub use models::{MODELS, MembraneModel, Model, find, membrane, membranes};
pub use run::{Extraction, Line, Plot, run};
pub use trace::{CsvView, Membrane, RecordView, Trace};
pub use velocity::{VelocityMap, VelocityOptions};
