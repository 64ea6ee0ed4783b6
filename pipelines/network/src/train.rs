//! Training and evaluation: batches, Adam, the choice of the epoch, checkpoints, and the report.
//!
//! The loss is the cross-entropy of softmax(logit_scale · count/most), where count is how often an output neuron fired and `most` how often this
//! neuron can fire at all in the steps that the layers before it leave: a device that fires three times in a run gets logits of the same size as one that fires in every step.
//! Optimiser: Adam (Kingma and Ba, arXiv:1412.6980) with β₁ = 0.9, β₂ = 0.999, ε = 1e-8 and *decoupled* weight decay (Loshchilov and Hutter,
//! arXiv:1711.05101, algorithm 2).
//!
//! A part of the training images is set aside for validation and decides which epoch's weights are kept. Test images are seen once, at the end.
//! The answer is the class that fired most often; among equals the one that fired first, then the lower number.

use crate::crossbar::{Crossbar, CrossbarReport, quantise};
use crate::data::{Dataset, Images};
use crate::encode::{Encoder, domain, key};
use crate::network::{CHUNK, Chunk, Dynamics, LayerCounts, ReadNoise, Spike, Surrogate};
use crate::neuron::{Cost, EventCounts, Mapping, NeuronModel};
use crate::optimiser::Adam;
use crate::weights::{self, Weights};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use spinloom_base::random::Stream;
use spinloom_base::{Diagnostic, Problems};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// How the learning rate runs over the training.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// The same throughout.
    Constant,
    /// Half a cosine from the full rate to zero at the last batch.
    Cosine,
}

/// What to train and how. [`Config::default`] is the 784-256-128-10 network of the benchmarks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Neurons per layer: pixels first, classes last.
    pub layers: Vec<usize>,
    /// Time steps T per image.
    pub steps: usize,
    /// Spikes per step of a full pixel, 0 to 1.
    pub rate: f64,
    /// Passes over the training images.
    pub epochs: usize,
    /// Images per update.
    pub batch: usize,
    /// Learning rate of Adam, in units of four times the spread of synaptic sums at the start: the usual unit for an ideal neuron, and one that
    /// fits the weights of any device.
    pub learning_rate: f64,
    /// How it runs.
    pub schedule: Schedule,
    /// Decoupled weight decay per unit of learning rate.
    pub weight_decay: f64,
    /// Of weights, shuffles, spikes, validation split and virtual chips.
    pub seed: u64,
    /// Stands in for the derivative of a spike.
    pub surrogate: Surrogate,
    /// Its slope k, in units of 1/(V_th − V_reset).
    pub slope: f64,
    /// Whether the reset counts as constant in the gradient.
    pub detach_reset: bool,
    /// Logit of an output neuron that fires as often as it can.
    pub logit_scale: f64,
    /// Fraction of the training images set aside to choose the epoch; 0 keeps the last.
    pub validation: f64,
    /// Weights as binary conductances; real numbers if absent.
    pub crossbar: Option<Crossbar>,
    /// Threads; 0 is one per processor. Changes no result.
    #[serde(skip)]
    pub threads: usize,
    /// Where to save after every epoch, and to resume from if it exists. Changes no result.
    #[serde(skip)]
    pub checkpoint: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            layers: vec![784, 256, 128, 10],
            steps: 20,
            rate: 1.0,
            epochs: 10,
            batch: 128,
            learning_rate: 1e-3,
            schedule: Schedule::Cosine,
            weight_decay: 1e-2,
            seed: 1,
            surrogate: Surrogate::Arctan,
            slope: 2.0,
            detach_reset: false,
            logit_scale: 5.0,
            validation: 1.0 / 12.0,
            crossbar: None,
            threads: 1,
            checkpoint: None,
        }
    }
}

impl Config {
    /// Everything that is wrong with it for this data.
    ///
    /// # Errors
    /// All problems at once.
    pub fn check(&self, data: &Dataset) -> Result<(), Problems> {
        let mut problems = Problems::new();
        let mut wrong = |message: String, hint: &str| problems.push(Diagnostic::error(message).hint(hint));
        let pixels = data.rows * data.columns;
        if self.layers.len() < 2 || self.layers.contains(&0) {
            wrong(format!("layers {:?} are no network", self.layers), "at least two layers, none of them empty");
        } else {
            if self.layers[0] != pixels {
                let message = format!("the first layer has {} neurons, the images of {} have {pixels} pixels", self.layers[0], data.name);
                wrong(message, "one input per pixel");
            }
            let (last, classes) = (self.layers[self.layers.len() - 1], data.classes.len());
            if last != classes {
                wrong(format!("the last layer has {last} neurons, {} has {classes} classes", data.name), "one output per class");
            }
            if self.layers.iter().any(|n| *n >= 1 << 20) || self.layers.len() > 128 {
                wrong(format!("layers {:?} are too large", self.layers), "below 2^20 neurons in each of at most 127 layers");
            }
        }
        if self.steps == 0 || self.steps > 4096 {
            wrong(format!("steps = {} is not a number of time steps", self.steps), "1 to 4096");
        }
        for (name, v, low, high) in [
            ("rate", self.rate, f64::MIN_POSITIVE, 1.0),
            ("learning_rate", self.learning_rate, f64::MIN_POSITIVE, 10.0),
            ("weight_decay", self.weight_decay, 0.0, 1e3),
            ("slope", self.slope, 1e-3, 1e3),
            ("logit_scale", self.logit_scale, 1e-3, 1e4),
            ("validation", self.validation, 0.0, 0.9),
        ] {
            if !(low..=high).contains(&v) {
                let low = if low == f64::MIN_POSITIVE { "above 0".to_string() } else { format!("from {low}") };
                wrong(format!("{name} = {v} cannot be used"), &format!("{low} to {high}"));
            }
        }
        if self.epochs == 0 {
            wrong("epochs = 0 trains nothing".to_string(), "at least 1");
        }
        if self.batch == 0 || self.batch > 1 << 16 {
            wrong(format!("batch = {} cannot be used", self.batch), "1 to 65536");
        }
        if data.train.is_empty() || data.test.is_empty() {
            wrong(format!("{} has {} training and {} test images", data.name, data.train.len(), data.test.len()), "both are needed");
        } else if validation_size(self, data) >= data.train.len() {
            wrong(format!("validation = {} leaves nothing of {} images to train on", self.validation, data.train.len()), "take less");
        }
        if let Some(crossbar) = &self.crossbar {
            crossbar.check(&mut problems);
        }
        problems.into_result(Some(()))
    }

    /// What fixes the bits of the result, as text: threads and the place of the checkpoint do not.
    fn identity(&self) -> String {
        serde_json::to_string(self).expect("a configuration is numbers and text")
    }
}

fn validation_size(config: &Config, data: &Dataset) -> usize {
    (config.validation * data.train.len() as f64).round() as usize
}

/// One pass over the training images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// From 1.
    pub epoch: usize,
    /// Mean cross-entropy of the training images as they were seen, before each update.
    pub loss: f64,
    /// Fraction answered rightly, likewise.
    pub train_accuracy: f64,
    /// Mean cross-entropy of the validation images after the epoch; absent without validation images.
    pub validation_loss: Option<f64>,
    /// Fraction of them answered rightly.
    pub validation_accuracy: Option<f64>,
    /// Learning rate at the end of the epoch.
    pub learning_rate: f64,
    /// Wall time of the training part (s). Not part of the result: it differs from run to run.
    pub seconds: f64,
    /// Wall time of the validation (s), likewise.
    pub validation_seconds: f64,
}

/// What one layer did, averaged over images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerActivity {
    /// Number of neurons.
    pub neurons: usize,
    /// Spikes of the whole layer per inference.
    pub spikes: f64,
    /// Fraction of its neurons that spike at least once in an inference.
    pub active: f64,
    /// Fraction of (neuron, step) pairs whose drive was below the valid range of the card, among those that can integrate; 0 without a range.
    pub drive_below: f64,
    /// The same above the range.
    pub drive_above: f64,
}

/// How a network did on some images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Number of images.
    pub images: usize,
    /// Fraction answered rightly.
    pub accuracy: f64,
    /// Mean cross-entropy.
    pub loss: f64,
    /// `[true class][answer]`, numbers of images.
    pub confusion: Vec<Vec<u32>>,
    /// Fraction of images for which the highest spike count was shared.
    pub ties: f64,
    /// Input spikes per inference.
    pub input_spikes: f64,
    /// Layer by layer, the first hidden layer first.
    pub layers: Vec<LayerActivity>,
    /// Energy and latency per inference; absent where the neuron has no clock.
    pub cost: Option<Cost>,
}

/// Everything a training found out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Name of the data.
    pub data: String,
    /// Whether the data are a stand-in drawn by this program.
    pub stand_in: bool,
    /// SHA-256 of the data.
    pub data_sha256: String,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Number of images used for training, validation, test.
    pub split: [usize; 3],
    /// What was asked for.
    pub config: Config,
    /// The neuron, and where its numbers come from.
    pub neuron: Mapping,
    /// Epoch by epoch.
    pub epochs: Vec<EpochRecord>,
    /// The epoch whose weights were kept (from 1), by validation accuracy, then validation loss.
    pub chosen_epoch: usize,
    /// Accuracy of these weights on the images trained on.
    pub train_accuracy: f64,
    /// On the images set aside, which chose them; absent without any.
    pub validation_accuracy: Option<f64>,
    /// On the test images, seen once.
    pub test: Evaluation,
    /// What spread and noise of binary conductances change; absent for real weights.
    pub crossbar: Option<CrossbarReport>,
}

/// A trained network and its report.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// What was found out.
    pub report: Report,
    /// The weights of the chosen epoch; with a crossbar, the quantised ones.
    pub weights: Weights,
}

/// Where a training stands.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// From 1.
    pub epoch: usize,
    /// Number of epochs.
    pub epochs: usize,
    /// Images seen in this epoch.
    pub seen: usize,
    /// Images in an epoch.
    pub images: usize,
    /// The record of the epoch, when it has just ended.
    pub finished: Option<&'a EpochRecord>,
}

/// Trains a network and tests it. With [`Config::checkpoint`] it saves after every epoch, and goes on from that file if it exists: the result is
/// bit for bit that of an uninterrupted run, wall times aside.
///
/// # Errors
/// Every problem of the configuration; a checkpoint that belongs to another training; weights that are no longer numbers.
pub fn train(config: &Config, neuron: &NeuronModel, data: &Dataset, progress: &mut dyn FnMut(&Progress)) -> Result<Outcome, Problems> {
    let mut trainer = match &config.checkpoint {
        Some(path) if path.exists() => Trainer::resume(config, neuron, data, path)?,
        _ => Trainer::new(config, neuron, data)?,
    };
    while trainer.epochs.len() < config.epochs {
        trainer.epoch(progress)?;
        if let Some(path) = &config.checkpoint {
            trainer.save(path)?;
        }
    }
    trainer.finish()
}

/// Runs given weights on images, encoded as in a test. With a crossbar the weights are quantised and its devices taken as ideal.
///
/// # Errors
/// Every problem of the configuration, or weights of other layers.
pub fn evaluate(config: &Config, neuron: &NeuronModel, weights: &Weights, data: &Dataset, images: &Images) -> Result<Evaluation, Problems> {
    config.check(data)?;
    let fits = weights.layers.iter().zip(weights.widths.windows(2)).all(|(l, w)| l.len() == (w[0] + 1) * w[1]);
    if weights.widths != config.layers || !fits || weights.layers.len() + 1 != weights.widths.len() {
        let message = format!("these weights are for layers {:?}, and {:?} are asked for", weights.widths, config.layers);
        return Err(Diagnostic::error(message).into());
    }
    let mut engine = Engine::new(config, neuron, data)?;
    engine.use_weights(&weights.layers);
    let all: Vec<u32> = (0..images.len() as u32).collect();
    Ok(engine.evaluate(images, &all, phase::TEST, None))
}

/// Which pass over the data a spike train belongs to; training epochs count from 1.
mod phase {
    pub(super) const VALIDATION: u32 = u32::MAX;
    pub(super) const TEST: u32 = u32::MAX - 1;
    pub(super) const TRAIN_ONCE_MORE: u32 = u32::MAX - 2;
    pub(super) const CALIBRATION: u32 = u32::MAX - 3;
}

/// What training and evaluation share: the neuron, the encoder, threads with their memory, and the weights in use.
struct Engine<'a> {
    neuron: &'a NeuronModel,
    config: &'a Config,
    pixels: usize,
    classes: usize,
    dynamics: Dynamics<f32>,
    spike: Spike,
    encoder: Encoder,
    count_scale: f64,
    /// Spread of the synaptic sums at the start, and the bias (see [`initial_weights`]).
    start: (f64, f64),
    pool: rayon::ThreadPool,
    chunks: Vec<Chunk<f32>>,
    used: Vec<Vec<f32>>,
    scales: Vec<f64>,
}

impl<'a> Engine<'a> {
    fn new(config: &'a Config, neuron: &'a NeuronModel, data: &Dataset) -> Result<Self, Problems> {
        // Layers work in the same step, but each needs `fewest` steps of drive before it can hand on its first spike.
        let layers = config.layers.len() - 1;
        let fewest = neuron.mapping.fewest_steps_to_fire(config.steps);
        let needed = fewest.map(|n| layers * (n - 1) + 1);
        let (Some(fewest), true) = (fewest, needed.is_some_and(|n| n <= config.steps)) else {
            let name = &neuron.mapping.neuron;
            return Err(match (fewest, needed) {
                (Some(fewest), Some(needed)) => Diagnostic::error(format!(
                    "no spike can reach the output within {} steps: at its largest drive `{name}` needs {fewest} steps to fire, and there are {layers} layers",
                    config.steps
                ))
                .hint(format!("give the network more than {needed} steps; twice that is a good start")),
                _ => Diagnostic::error(format!("`{name}` does not fire within {} steps even at its largest drive", config.steps))
                    .hint("give the network more steps"),
            }
            .into());
        };
        let most = neuron.mapping.most_spikes(config.steps - (layers - 1) * (fewest - 1));
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(config.threads)
            .build()
            .map_err(|e| Diagnostic::error(format!("threads cannot be started: {e}")))?;
        let chunks = config.batch.div_ceil(CHUNK).max(pool.current_num_threads());
        Ok(Self {
            neuron,
            config,
            pixels: data.rows * data.columns,
            classes: data.classes.len(),
            dynamics: Dynamics::of(&neuron.mapping),
            spike: Spike { surrogate: config.surrogate, slope: config.slope, smooth: false, detach_reset: config.detach_reset },
            encoder: Encoder::new(config.steps, config.rate, config.seed),
            count_scale: config.logit_scale / f64::from(most),
            start: initial_drive(config, &neuron.mapping),
            pool,
            chunks: (0..chunks).map(|_| Chunk::new(&config.layers, config.steps, true)).collect(),
            used: config.layers.windows(2).map(|w| vec![0.0; (w[0] + 1) * w[1]]).collect(),
            scales: vec![0.0; config.layers.len() - 1],
        })
    }

    /// Takes over weights, through the crossbar if there is one.
    fn use_weights(&mut self, latent: &[Vec<f32>]) {
        for (((used, latent), scale), &width) in self.used.iter_mut().zip(latent).zip(&mut self.scales).zip(&self.config.layers[1..]) {
            used.copy_from_slice(latent);
            if self.config.crossbar.is_some() {
                // All but the bias, which is a current of its own.
                let pairs = latent.len() - width;
                *scale = f64::from(quantise(&latent[..pairs], &mut used[..pairs]));
            }
        }
    }

    /// Runs `images[indices]` in chunks, at most `self.chunks.len()` of them, and what `then` does with each afterwards.
    fn run(
        &mut self,
        images: &Images,
        indices: &[u32],
        phase: u32,
        noise: Option<&ReadNoise<f32>>,
        then: impl Fn(&mut Chunk<f32>, &[Vec<f32>]) + Sync,
    ) {
        let Engine { pixels, encoder, dynamics, spike, count_scale, pool, chunks, used, .. } = self;
        let used = &used[..];
        pool.install(|| {
            chunks.par_iter_mut().zip(indices.par_chunks(CHUNK)).for_each(|(chunk, indices)| {
                chunk.clear();
                for &i in indices {
                    let at = i as usize;
                    encoder.encode(&images.pixels[at * *pixels..(at + 1) * *pixels], i, phase, &mut chunk.trains);
                    chunk.labels.push(images.labels[at]);
                    chunk.samples.push(i);
                }
                chunk.forward(used, dynamics, spike, *count_scale, noise);
                then(chunk, used);
            });
        });
    }

    fn evaluate(&mut self, images: &Images, indices: &[u32], phase: u32, noise: Option<&ReadNoise<f32>>) -> Evaluation {
        let layers = self.config.layers.len() - 1;
        let mapping = &self.neuron.mapping;
        let mut confusion = vec![vec![0u32; self.classes]; self.classes];
        let (mut loss, mut ties, mut input) = (0.0, 0u32, 0u64);
        let mut counts = vec![LayerCounts::default(); layers];
        for batch in indices.chunks(CHUNK * self.chunks.len()) {
            let dynamics = self.dynamics;
            self.run(images, batch, phase, noise, |chunk, _| chunk.count(&dynamics));
            for chunk in &self.chunks[..batch.len().div_ceil(CHUNK)] {
                loss += chunk.loss;
                input += chunk.trains.spikes;
                for (b, &label) in chunk.labels.iter().enumerate() {
                    let (class, tied) = answer(chunk, b, self.classes, self.config.steps);
                    confusion[usize::from(label)][class] += 1;
                    ties += u32::from(tied);
                }
                counts.iter_mut().zip(&chunk.activity).for_each(|(sum, c)| sum.add(c));
            }
        }
        let n = indices.len().max(1) as f64;
        let right: u32 = (0..self.classes).map(|c| confusion[c][c]).sum();
        let activity = counts
            .iter()
            .zip(&self.config.layers[1..])
            .map(|(c, &neurons)| LayerActivity {
                neurons,
                spikes: c.spikes as f64 / n,
                active: c.active as f64 / (n * neurons as f64),
                drive_below: c.below as f64 / c.awake.max(1) as f64,
                drive_above: c.above as f64 / c.awake.max(1) as f64,
            })
            .collect();
        let mut sum = LayerCounts::default();
        counts.iter().for_each(|c| sum.add(c));
        let events = EventCounts {
            integrate: sum.driven as f64 / n,
            fire: sum.spikes as f64 / n,
            heat: mapping.heat_per_x2.map(|h| h * sum.drive_squared / n),
        };
        Evaluation {
            images: indices.len(),
            accuracy: f64::from(right) / n,
            loss: loss / n,
            confusion,
            ties: f64::from(ties) / n,
            input_spikes: input as f64 / n,
            layers: activity,
            cost: self.neuron.cost(events, self.config.steps),
        }
    }
}

/// The class that fired most often, then first, then lowest; and whether the highest count was shared.
fn answer(chunk: &Chunk<f32>, sample: usize, classes: usize, steps: usize) -> (usize, bool) {
    let counts = &chunk.counts[sample * classes..][..classes];
    let highest = counts.iter().copied().fold(0.0, f32::max);
    let mut equals = (0..classes).filter(|&c| counts[c] == highest);
    let first = equals.next().unwrap_or(0);
    let Some(second) = equals.next() else { return (first, false) };
    let among = |c: &usize| *c == first || *c == second || counts[*c] == highest;
    let earliest = (0..steps).find_map(|t| (0..classes).filter(among).find(|&c| chunk.output_spike(t, sample, c) > 0.0));
    (earliest.unwrap_or(first), true)
}

/// A training in progress.
pub struct Trainer<'a> {
    engine: Engine<'a>,
    data: &'a Dataset,
    sha256: String,
    train: Vec<u32>,
    validation: Vec<u32>,
    latent: Weights,
    /// First and second moments of Adam, per layer.
    moments: [Vec<Vec<f32>>; 2],
    updates: u64,
    epochs: Vec<EpochRecord>,
    best: Weights,
    best_epoch: usize,
}

/// What a checkpoint holds besides arrays.
#[derive(Serialize, Deserialize)]
struct State {
    format: String,
    config: String,
    neuron: Mapping,
    data_sha256: String,
    updates: u64,
    epochs: Vec<EpochRecord>,
    best_epoch: usize,
}

const FORMAT: &str = "spinloom-training/1";

impl<'a> Trainer<'a> {
    /// A training before its first epoch.
    ///
    /// # Errors
    /// Every problem of the configuration.
    pub fn new(config: &'a Config, neuron: &'a NeuronModel, data: &'a Dataset) -> Result<Self, Problems> {
        config.check(data)?;
        let mut engine = Engine::new(config, neuron, data)?;
        let mut order: Vec<u32> = (0..data.train.len() as u32).collect();
        Stream::new(config.seed, domain::SPLIT << 40).shuffle(&mut order);
        let validation = order.split_off(data.train.len() - validation_size(config, data));
        let latent = initial_weights(&mut engine, data, &order[..order.len().min(4 * CHUNK)]);
        let zero: Vec<Vec<f32>> = latent.layers.iter().map(|l| vec![0.0; l.len()]).collect();
        Ok(Self {
            engine,
            data,
            sha256: data.sha256(),
            train: order,
            validation,
            best: latent.clone(),
            latent,
            moments: [zero.clone(), zero],
            updates: 0,
            epochs: Vec::new(),
            best_epoch: 0,
        })
    }

    /// A training as [`Trainer::save`] left it.
    ///
    /// # Errors
    /// A damaged file, or one that belongs to another configuration, neuron or data set.
    pub fn resume(config: &'a Config, neuron: &'a NeuronModel, data: &'a Dataset, path: &Path) -> Result<Self, Problems> {
        let mut trainer = Self::new(config, neuron, data)?;
        let file = weights::read(path)?;
        let name = path.display().to_string();
        let state: State = serde_json::from_str(file.text("state")?)
            .map_err(|e| Diagnostic::file(&name, format!("this is not a checkpoint of a training: {e}")))?;
        let mut problems = Problems::new();
        for (what, same) in [
            ("format", state.format == FORMAT),
            ("configuration", state.config == config.identity()),
            ("neuron", state.neuron == neuron.mapping),
            ("data set", state.data_sha256 == trainer.sha256),
        ] {
            if !same {
                problems.push(
                    Diagnostic::file(&name, format!("this checkpoint belongs to a training with another {what}"))
                        .hint("delete it to start anew, or give the training another checkpoint"),
                );
            }
        }
        let mut part = |prefix: &str| {
            let w = file.weights(prefix).map_err(|p| problems.extend(p)).ok()?;
            if w.widths != config.layers {
                problems.push(Diagnostic::file(&name, format!("`{prefix}` holds layers {:?}, not {:?}", w.widths, config.layers)));
            }
            Some(w)
        };
        let (latent, first, second, best) = (part("layer"), part("m"), part("v"), part("best"));
        if problems.any_error() {
            return Err(problems);
        }
        let (Some(latent), Some(first), Some(second), Some(best)) = (latent, first, second, best) else { return Err(problems) };
        trainer.latent = latent;
        trainer.moments = [first.layers, second.layers];
        trainer.best = best;
        trainer.updates = state.updates;
        trainer.epochs = state.epochs;
        trainer.best_epoch = state.best_epoch;
        Ok(trainer)
    }

    /// Epochs done so far.
    pub fn epochs(&self) -> &[EpochRecord] {
        &self.epochs
    }

    /// Saves everything a resumed training needs; the file also holds the weights (`layer0`, …) for [`Weights::load`].
    ///
    /// # Errors
    /// What the file system says.
    pub fn save(&self, path: &Path) -> Result<(), Problems> {
        let state = State {
            format: FORMAT.into(),
            config: self.engine.config.identity(),
            neuron: self.engine.neuron.mapping.clone(),
            data_sha256: self.sha256.clone(),
            updates: self.updates,
            epochs: self.epochs.clone(),
            best_epoch: self.best_epoch,
        };
        let mut arrays = Vec::new();
        for (prefix, layers) in
            [("layer", &self.latent.layers), ("m", &self.moments[0]), ("v", &self.moments[1]), ("best", &self.best.layers)]
        {
            arrays.extend(layers.iter().enumerate().map(|(l, data)| self.latent.array(&format!("{prefix}{l}"), l, data)));
        }
        weights::write(path, &arrays, &[("state", serde_json::to_string(&state).expect("text and numbers"))])
    }

    /// One pass over the training images and one over the validation images. `progress` is called after every batch and at the end.
    ///
    /// # Errors
    /// Weights that are no longer numbers.
    pub fn epoch(&mut self, progress: &mut dyn FnMut(&Progress)) -> Result<(), Problems> {
        let start = Instant::now();
        let config = self.engine.config;
        let epoch = self.epochs.len() + 1;
        let mut order = self.train.clone();
        Stream::new(config.seed, domain::SHUFFLE << 40 | epoch as u64).shuffle(&mut order);
        let total = (order.len().div_ceil(config.batch) * config.epochs) as f64;
        let (mut loss, mut right, mut seen, mut rate) = (0.0, 0u32, 0, config.learning_rate);
        for batch in order.chunks(config.batch) {
            self.engine.use_weights(&self.latent.layers);
            let (dynamics, spike) = (self.engine.dynamics, self.engine.spike);
            self.engine.run(&self.data.train, batch, epoch as u32, None, |chunk, weights| chunk.backward(weights, &dynamics, &spike));
            let chunks = batch.len().div_ceil(CHUNK);
            for chunk in &self.engine.chunks[..chunks] {
                loss += chunk.loss;
                right += (0..chunk.labels.len())
                    .map(|b| u32::from(answer(chunk, b, self.engine.classes, config.steps).0 == usize::from(chunk.labels[b])))
                    .sum::<u32>();
            }
            seen += batch.len();
            rate = config.learning_rate
                * match config.schedule {
                    Schedule::Constant => 1.0,
                    Schedule::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * self.updates as f64 / total).cos()),
                };
            self.updates += 1;
            self.update(rate, batch.len(), chunks);
            progress(&Progress { epoch, epochs: config.epochs, seen, images: order.len(), finished: None });
        }
        let seconds = start.elapsed().as_secs_f64();
        // Not the loss: a neuron whose drive is not a number does not fire, and a silent network has a finite loss.
        if let Some(l) = self.latent.layers.iter().position(|l| l.iter().any(|w| !w.is_finite())) {
            return Err(Diagnostic::error(format!("weights of layer {} are not numbers any more after epoch {epoch}", l + 1))
                .hint("take a smaller learning rate; the checkpoint of the epoch before is intact")
                .into());
        }
        let start = Instant::now();
        self.engine.use_weights(&self.latent.layers);
        let validation =
            (!self.validation.is_empty()).then(|| self.engine.evaluate(&self.data.train, &self.validation, phase::VALIDATION, None));
        let record = EpochRecord {
            epoch,
            loss: loss / order.len() as f64,
            train_accuracy: f64::from(right) / order.len() as f64,
            validation_loss: validation.as_ref().map(|v| v.loss),
            validation_accuracy: validation.as_ref().map(|v| v.accuracy),
            learning_rate: rate,
            seconds,
            validation_seconds: start.elapsed().as_secs_f64(),
        };
        // Better: higher validation accuracy, then lower validation loss; without validation the last epoch is kept.
        let score = |r: &EpochRecord| (r.validation_accuracy.unwrap_or(0.0), -r.validation_loss.unwrap_or(0.0));
        if self.best_epoch == 0 || validation.is_none() || score(&record) > score(&self.epochs[self.best_epoch - 1]) {
            self.best_epoch = epoch;
            self.best.clone_from(&self.latent);
        }
        self.epochs.push(record);
        progress(&Progress { epoch, epochs: config.epochs, seen, images: order.len(), finished: self.epochs.last() });
        Ok(())
    }

    /// One step of Adam. Gradients of chunks are added in their order; every weight by itself, so threads change nothing.
    fn update(&mut self, rate: f64, batch: usize, chunks: usize) {
        const PIECE: usize = 1 << 14;
        // Adam moves every weight by about the rate, whatever the gradient, and devices of different gain need weights of different size. The rate
        // counts in four times the spread at the start, which is 1 for the ideal neuron with beta = 0.9 and 20 steps.
        let unit = 4.0 * self.engine.start.0;
        let adam = Adam::<f32>::new(rate * unit, self.updates as i32);
        let (decay, share) = ((rate * self.engine.config.weight_decay) as f32, 1.0 / batch as f32);
        let Engine { pool, chunks: all, .. } = &self.engine;
        let all = &all[..chunks];
        let [first, second] = &mut self.moments;
        pool.install(|| {
            for (l, ((w, m), v)) in self.latent.layers.iter_mut().zip(first).zip(second).enumerate() {
                w.par_chunks_mut(PIECE).zip(m.par_chunks_mut(PIECE)).zip(v.par_chunks_mut(PIECE)).enumerate().for_each(
                    |(piece, ((w, m), v))| {
                        let at = piece * PIECE..piece * PIECE + w.len();
                        let mut sum = [0.0f32; PIECE];
                        let sum = &mut sum[..w.len()];
                        for chunk in all {
                            for (s, &g) in sum.iter_mut().zip(&chunk.gradient(l)[at.clone()]) {
                                *s += g;
                            }
                        }
                        pulp::Arch::new().dispatch(
                            #[inline(always)]
                            || {
                                for (((w, m), v), &g) in w.iter_mut().zip(m).zip(v).zip(&*sum) {
                                    let g = g * share;
                                    *w -= adam.step(g, m, v) + decay * *w;
                                }
                            },
                        );
                    },
                );
            }
        });
    }

    /// Tests the chosen weights, once.
    ///
    /// # Errors
    /// A training without a single epoch.
    pub fn finish(mut self) -> Result<Outcome, Problems> {
        if self.best_epoch == 0 {
            return Err(Diagnostic::error("no epoch has been trained").into());
        }
        let (data, config) = (self.data, self.engine.config);
        let engine = &mut self.engine;
        engine.use_weights(&self.best.layers);
        let train_accuracy = engine.evaluate(&data.train, &self.train, phase::TRAIN_ONCE_MORE, None).accuracy;
        let all: Vec<u32> = (0..data.test.len() as u32).collect();
        let test = engine.evaluate(&data.test, &all, phase::TEST, None);
        let weights = Weights { widths: config.layers.clone(), layers: engine.used.clone() };
        let crossbar = config.crossbar.as_ref().map(|crossbar| {
            let pairs = |l: usize| config.layers[l] * config.layers[l + 1];
            let sign = |w: &f32| i8::from(*w > 0.0) - i8::from(*w < 0.0);
            let states: Vec<Vec<i8>> = weights.layers.iter().enumerate().map(|(l, w)| w[..pairs(l)].iter().map(sign).collect()).collect();
            let zeros = states.iter().map(|s| s.iter().filter(|s| **s == 0).count() as f64 / s.len() as f64).collect();
            let scales = engine.scales.clone();
            let chips = if crossbar.has_noise() { crossbar.chips } else { 0 };
            let chip_accuracies = (0..chips)
                .map(|chip| {
                    let mut squares = Vec::new();
                    for (l, state) in states.iter().enumerate() {
                        let (w, mut s) = crossbar.realise(l, state, scales[l], config.seed, chip);
                        engine.used[l][..w.len()].copy_from_slice(&w);
                        // The bias is not read through devices.
                        s.resize(engine.used[l].len(), 0.0);
                        squares.push(s);
                    }
                    let noise = ReadNoise { squares: &squares, sigma: crossbar.read_noise, key: key(config.seed), chip };
                    let noise = (crossbar.read_noise > 0.0).then_some(&noise);
                    engine.evaluate(&data.test, &all, phase::TEST, noise).accuracy
                })
                .collect();
            CrossbarReport { crossbar: crossbar.clone(), scales, zeros, nominal_accuracy: test.accuracy, chip_accuracies }
        });
        let report = Report {
            data: data.name.clone(),
            stand_in: data.stand_in,
            data_sha256: self.sha256,
            classes: data.classes.clone(),
            split: [self.train.len(), self.validation.len(), data.test.len()],
            config: config.clone(),
            neuron: engine.neuron.mapping.clone(),
            validation_accuracy: self.epochs[self.best_epoch - 1].validation_accuracy,
            epochs: self.epochs,
            chosen_epoch: self.best_epoch,
            train_accuracy,
            test,
            crossbar,
        };
        Ok(Outcome { report, weights })
    }
}

/// Standard deviation of the synaptic sums at the start, and the bias.
///
/// Sums vary by what brings a neuron to fire about four times in a run. A device whose drive has limits starts with a bias at its rheobase, the
/// drive that only just fires it, and with sums that vary by 0.3 of that or of what they may be at most: inside the range, where there is a
/// gradient. Without, half of the drives are clipped at the lower end, walls that take eight pulses to fire leave the layers behind them nearly
/// silent, and the network hardly learns (33 % instead of 89 % on the trial described at `back_through_time`).
fn initial_drive(config: &Config, mapping: &Mapping) -> (f64, f64) {
    let free = mapping.drive_to_fire_in((config.steps as f64 / 4.0).max(1.0));
    match mapping.x_max {
        Some(limit) => (0.3 * free.min(limit), mapping.rheobase().min(limit)),
        None => (free, 0.0),
    }
}

/// Uniform weights, as wide as makes the synaptic sums of some training images vary as [`initial_drive`] says. Measured layer by layer rather than
/// guessed from the number of inputs, because the activity of a layer depends on the device.
fn initial_weights(engine: &mut Engine, data: &Dataset, images: &[u32]) -> Weights {
    let (config, (wanted, bias)) = (engine.config, engine.start);
    let mut layers: Vec<Vec<f32>> = config.layers.windows(2).map(|w| vec![0.0; (w[0] + 1) * w[1]]).collect();
    for l in 0..layers.len() {
        let pairs = config.layers[l] * config.layers[l + 1];
        let mut stream = Stream::new(config.seed, domain::WEIGHTS << 40 | l as u64);
        layers[l][..pairs].iter_mut().for_each(|w| *w = (2.0 * stream.uniform() - 1.0) as f32);
        engine.use_weights(&layers);
        let (mut square, mut n) = (0.0, 0.0);
        for some in images.chunks(CHUNK) {
            engine.run(&data.train, some, phase::CALIBRATION, None, |_, _| {});
            square += some.len() as f64 * engine.chunks[0].mean_square_drive(l);
            n += some.len() as f64;
        }
        let found = (square / n).sqrt();
        if found > 0.0 {
            layers[l].iter_mut().for_each(|w| *w *= (wanted / found) as f32);
        }
        layers[l][pairs..].fill(bias as f32);
    }
    Weights { widths: config.layers.clone(), layers }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::neuron::Reset;

    #[test]
    fn weights_that_are_not_numbers_stop_the_training() {
        let data = Dataset::stand_in(100, 10, 1);
        let config = Config { layers: vec![784, 8, 10], epochs: 2, ..Config::default() };
        let neuron = NeuronModel::ideal_lif(0.9, Reset::Hard);
        let mut trainer = Trainer::new(&config, &neuron, &data).unwrap();
        trainer.latent.layers[1][3] = f32::NAN;
        let e = trainer.epoch(&mut |_| {}).unwrap_err().to_string();
        assert!(e.contains("not numbers any more after epoch 1"), "{e}");
        assert!(trainer.epochs().is_empty());
    }

    /// Whatever the device, the first batch must reach the output: otherwise nothing is learned.
    #[test]
    fn every_layer_is_active_before_the_first_update() {
        let data = Dataset::stand_in(200, 10, 1);
        let ideal = NeuronModel::ideal_lif(0.9, Reset::Hard);
        // A wall that takes six steps at its largest drive.
        let mut wall = ideal.clone();
        (wall.mapping.gain, wall.mapping.x_min, wall.mapping.x_max, wall.mapping.u_min) = (0.22, Some(0.0), Some(1.0), Some(0.0));
        assert_eq!(wall.mapping.fewest_steps_to_fire(20), Some(6));
        for (neuron, steps) in [(ideal, 20), (NeuronModel::paper_constants(), 20), (wall, 50)] {
            let config = Config { layers: vec![784, 64, 32, 10], steps, ..Config::default() };
            let mut trainer = Trainer::new(&config, &neuron, &data).unwrap();
            trainer.engine.use_weights(&trainer.latent.layers);
            let all: Vec<u32> = (0..200).collect();
            let e = trainer.engine.evaluate(&data.train, &all, phase::TEST, None);
            for layer in &e.layers {
                assert!(layer.active > 0.1 && layer.active < 0.95, "{}: {:?}", neuron.mapping.neuron, e.layers);
            }
        }
    }
}
