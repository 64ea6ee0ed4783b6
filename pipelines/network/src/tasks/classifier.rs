//! A network of any layers, neurons and synapses on images or events: review table 3 rows 13, 14, 16 and 47, the convolutional networks of Zheng et al. (arXiv 2606.03796), and the
//! hybrid of back-propagation and STDP of Chen et al., Nat. Commun. 17, 4362 (2026).
//!
//! Two networks are trained from one start: an ideal one (real weights) and, if there is a synapse, one whose forward pass sees its levels (and, with `when: training` or `both`, chips with all
//! their errors, a new one for every batch). Test images are seen once, at the end; where samples are set aside for validation, they choose the epoch and when to stop. Then chips are drawn and tested.
//!
//! `hybrid`: the last layer is forgotten and learned again by STDP with a teacher. While the neuron of the right class is made to fire, each of its synapses is potentiated by the trace of
//! its input, and those of a neuron that fires wrongly are depressed (supervised STDP; Ponulak and Kasiński, Neural Comput. 22, 467 (2010), in its simplest, delta form), by pulses of
//! the synapse. Its updates (writes of the last layer where the answer was not clear) are set against those of back-propagation through all layers for as many epochs: a count of writes, not of
//! equal learning. It learns from all training samples, those set aside for validation among them.

use super::{AC, CardNote, Context, MAC, Outcome, Task, percent, priced, range, wrong};
use crate::data::bytes;
use crate::data::events::{Cut, Slice};
use crate::data::samples::{Part, Samples, Set};
use crate::graphics::{self, Batch, Graphics, Sizes};
use crate::layers::{Analog, Answer, Curve, Kind, Net, Pass, cross_entropy};
use crate::neuron::{EventCounts, NeuronModel, Reset};
use crate::posterior;
use crate::settings::{Seconds, choice, settings};
use crate::synapse::{self, Synapse};
use crate::thermal;
use rayon::prelude::*;
use spinloom_base::random::{Stream, open_unit, philox4x32};
use spinloom_base::{Diagnostic, Problems, hash};
use spinloom_card::{Card, Drive, Parameter};
use spinloom_gpu::GpuError;
use std::path::PathBuf;

choice!(
    /// A neuron.
    Neuron {
        Relu = "relu", Ramp = "ramp", Sigmoid = "sigmoid", Tanh = "tanh", Sign = "sign", PBit = "p-bit", Firing = "firing", Lif = "lif", Signed = "signed",
        TwoTimes = "two-times", Thermal = "thermal", Card = "card",
    }
);
choice!(
    /// How pixels come in.
    Encoding { Constant = "constant", Poisson = "poisson" }
);
choice!(
    /// How events become frames.
    Frames { Count = "count", Time = "time" }
);
choice!(
    /// What a synapse's number is swept over.
    Swept {
        CycleToCycle = "cycle_to_cycle", DeviceToDevice = "device_to_device", ReadNoise = "read_noise", StuckOn = "stuck_on", StuckOff = "stuck_off",
        Age = "age", Retention = "retention", Levels = "levels", Wire = "wire", AdcBits = "adc_bits", Temperature = "temperature",
    }
);
impl Swept {
    /// Sets what is swept.
    fn set(self, s: &mut Synapse, v: f64, delta: f64) {
        match self {
            Swept::CycleToCycle => s.cycle_to_cycle = v,
            Swept::DeviceToDevice => s.device_to_device = v,
            Swept::ReadNoise => s.read_noise = v,
            Swept::StuckOn => s.stuck_on = v.min(1.0),
            Swept::StuckOff => s.stuck_off = v.min(1.0),
            Swept::Age => s.age.0 = v,
            Swept::Retention => s.retention.0 = v,
            Swept::Levels => s.levels = v as usize,
            Swept::Wire => s.wire = v,
            Swept::AdcBits => s.adc_bits = v as usize,
            // Arrhenius' law with a barrier that does not depend on temperature.
            Swept::Temperature => s.retention.0 *= (delta * (300.0 / v.max(1.0) - 1.0)).exp(),
        }
    }
}

settings!(
    /// A layer: one of its keys.
    LayerSetting: "a layer" {
        /// Neurons of a fully connected layer.
        dense: Option<usize> = None, 1.0..=100000.0;
        /// Channels of a convolution.
        conv: Option<usize> = None, 1.0..=4096.0;
        /// Its kernel's side.
        kernel: usize = 3, 1.0..=15.0;
        /// Side of a mean over squares.
        pool: Option<usize> = None, 2.0..=32.0;
        /// Neurons of a layer that are connected among themselves.
        recurrent: Option<usize> = None, 1.0..=10000.0;
        /// Batch normalisation before the neurons.
        norm: bool = false;
    }
);
settings!(
    /// A robustness curve.
    Sweep: "the sweep" {
        /// Over what.
        over: Swept = Swept::CycleToCycle;
        /// Values; of `temperature` in kelvin, which scales the retention by e^(Δ (300 K/T − 1)).
        values: Vec<f64> = vec![0.0, 0.05, 0.1, 0.2], 0.0..=1e15;
    }
);
settings!(
    /// What a circuit adds to a device whose card knows its membrane alone, a pure number such as a component of m: when it fires and is reset, how long a step is, what drives it.
    /// To one whose card is a curve (`sigmoid`, `firing-logistic`): what drives it, and where it stands without a sum.
    Circuit: "the circuit" {
        /// Where it fires, above where it rests.
        threshold: f64 = 0.1, 1e-9..=1e9;
        /// Length of a step, driven throughout.
        step: Seconds = Seconds(1e-9), 1e-15..=1e6;
        /// Drive of a synaptic sum of one, in the card's unit.
        drive: f64 = 1.0, 1e-30..=1e30;
        /// Drive without a sum, in the card's unit (curves); without it the middle of the curve.
        bias: Option<f64> = None, -1e30..=1e30;
        /// Whether it also fires −1 at the mirror image of the threshold.
        signed: bool = false;
    }
);
settings!(
    /// STDP of the last layer.
    Hybrid: "the hybrid" {
        /// Passes over the training samples.
        epochs: usize = 3, 1.0..=1000.0;
        /// Weight change of a full trace, over the largest weight.
        rate: f64 = 0.02, 1e-6..=1.0;
    }
);
settings!(
    /// The network and its training.
    Classifier: "the classifier" {
        /// Data.
        data: Set = Set::Mnist;
        /// Training and test samples at most.
        samples: Vec<usize> = vec![60000, 10000], 1.0..=1e7;
        /// Layers; the last, of one neuron a class, is added.
        layers: Vec<LayerSetting> = vec![LayerSetting { dense: Some(128), ..LayerSetting::default() }];
        /// Neurons between layers.
        neuron: Neuron = Neuron::Relu;
        /// Whether the output neurons are like them; else the sums themselves answer.
        output: bool = false;
        /// Card of the neuron (`neuron: card`): membrane models, `lif-thermal`, `lif-thermal-softening`, `sigmoid`, `relu`, `piecewise-linear`, `firing-logistic`, `p-bit`.
        card: Option<PathBuf> = None;
        /// Threshold, step and drive, where the card has none.
        circuit: Option<Circuit> = None;
        /// Decay of a membrane per step (lif, signed, thermal).
        beta: f64 = 0.5, 0.0..=1.0;
        /// Slope of a surrogate, or of a firing probability.
        slope: f64 = 4.0, 0.1..=1000.0;
        /// Time steps of spiking neurons.
        steps: usize = 6, 1.0..=4096.0;
        /// How pixels come in.
        encoding: Encoding = Encoding::Constant;
        /// How events become `steps` frames.
        frames: Frames = Frames::Count;
        /// Side of the squares of pixels of an event camera, or number of neighbouring channels of a cochlea, that are counted as one.
        bin: usize = 1, 1.0..=32.0;
        /// Standard deviation of noise added to pixels at inference: a curve.
        pixel_noise: Vec<f64> = vec![], 0.0..=100.0;
        /// Mirror images at random while training.
        flip: bool = false;
        /// Shift images by up to so many pixels while training.
        shift: usize = 0, 0.0..=8.0;
        /// The synapse; without it weights are real numbers.
        synapse: Option<Synapse> = None;
        /// Passes over the training samples.
        epochs: usize = 5, 1.0..=10000.0;
        /// Samples per update.
        batch: usize = 64, 1.0..=4096.0;
        /// Learning rate of Adam; half a cosine.
        learning_rate: f64 = 1e-3, 1e-7..=1.0;
        /// Decoupled weight decay.
        weight_decay: f64 = 1e-4, 0.0..=10.0;
        /// What outputs are multiplied with to make logits.
        logits: f64 = 1.0, 1e-3..=1000.0;
        /// Share of the training samples set aside; training stops when their accuracy has not risen for `patience` epochs, and their best epoch is tested.
        validation: f64 = 0.0, 0.0..=0.9;
        /// See `validation`.
        patience: usize = 5, 1.0..=10000.0;
        /// Also trains the same network with real weights and gives the gap.
        ideal: bool = true;
        /// Robustness curves.
        sweeps: Vec<Sweep> = vec![];
        /// Cards drawn from the posterior of `card` and of the synapse's card: each is tested, and every robustness curve gets their mean and standard deviation.
        posterior: usize = 0, 0.0..=1000.0;
        /// STDP of the last layer after back-propagation.
        hybrid: Option<Hybrid> = None;
        /// Voltage of a read, for the energy of an inference where the synapse's card has none.
        read_voltage: f64 = 0.1, 0.0..=10.0;
        /// Time of a read (s).
        read_time: f64 = 1e-9, 0.0..=1.0;
        /// Energy of a write (J), where the synapse's card has none.
        write_energy: f64 = 1e-13, 0.0..=1.0;
        /// Thermal stability Δ at 300 K, for a sweep over temperature.
        delta: f64 = 40.0, 0.0..=1000.0;
    }
);

/// The devices of one card of an ensemble.
struct Member {
    answer: Answer,
    synapse: Option<Synapse>,
}

impl Circuit {
    /// The card with what the circuit adds.
    fn complete(&self, card: &Card) -> Result<Card, Problems> {
        let mut card = card.clone();
        if self.bias.is_some() {
            return Err(wrong(&card, "knows a membrane, which rests where its law says", "leave `bias` out"));
        }
        if card.parameters.contains_key("V_th") || card.drive.is_some() {
            return Err(wrong(&card, "has a threshold or a drive of its own", "leave `circuit` out"));
        }
        let Some((quantity, range)) = ["J", "V"].iter().find_map(|q| card.validity.get_key_value(*q)) else {
            return Err(wrong(&card, "states no range of its drive", "state the range that the records cover"));
        };
        let both_ways = range.min < 0.0;
        if self.signed && !both_ways {
            return Err(wrong(&card, "is driven one way only", "leave `signed` out, or record it driven both ways"));
        }
        card.drive = Some(Drive { quantity: quantity.clone(), unit: range.unit.clone(), on: self.step.0, off: 0.0, nominal: self.drive });
        let set = |card: &mut Card, symbol: &str, value: f64| {
            let origin = "set by the circuit".into();
            card.parameters.insert(symbol.into(), Parameter { value, unit: "1".into(), interval: None, origin });
        };
        set(&mut card, "V_th", self.threshold);
        set(&mut card, "V_reset", 0.0);
        // A constant leak has no law below where it rests.
        if both_ways && !card.parameters.contains_key("V_min") && (self.signed || card.model.name != "constant-leak") {
            // Driven both ways, it goes both ways; what goes far below the mirror image of the threshold is out of reach.
            set(&mut card, "V_min", -1e3 * self.threshold);
        }
        Ok(card)
    }

    /// The curve of a card in sums of the layer before: x is bias + drive · x in the card's unit, and stops where the card's range does. `middle`: of the curve that the circuit was
    /// made for, which a card drawn from its posterior may miss.
    fn curve(&self, card: &Card, middle: f64) -> Result<Curve, Problems> {
        let (drive, [at, slope, floor]) = match card.model.name.as_str() {
            "firing-logistic" => ("V", [card.value("V_50")?, card.value("slope")?, 0.0]),
            _ => {
                let (low, high) = (card.value("y_low")?, card.value("y_high")?);
                if !(0.0 <= low && low < high) {
                    return Err(wrong(
                        card,
                        format!("answers from {low:e} to {high:e}"),
                        "an answer that a synapse can weigh is positive and rises with the drive",
                    ));
                }
                ("x", [card.value("x_50")?, 1.0 / card.value("s")?, low / high])
            }
        };
        if slope <= 0.0 {
            return Err(wrong(card, format!("falls with its drive (slope {slope:e})"), "turn the sign of the drive in its records"));
        }
        let range = range(card, drive)?;
        let bias = self.bias.unwrap_or(middle);
        let x = |v: f64| ((v - bias) / self.drive) as f32;
        let (low, high) = (x(range.min), x(range.max));
        if !(low < 0.0 && 0.0 < high) {
            return Err(wrong(
                card,
                format!("covers drives from {:e} to {:e} {}, and the bias is {bias:e}", range.min, range.max, range.unit),
                "set the bias within",
            ));
        }
        Ok(Curve { slope: (slope * self.drive) as f32, middle: x(at), low, high, floor: floor as f32 })
    }
}

/// Where the curve of a card has its middle.
fn middle(card: &Card) -> Option<f64> {
    card.value("V_50").or_else(|_| card.value("x_50")).ok()
}

impl Classifier {
    fn answer(&self, context: &Context<'_>, cards: &mut Vec<CardNote>) -> Result<Answer, Problems> {
        let k = self.slope as f32;
        let membrane = |reset, signed| {
            // Drives in units of what a full step adds: gain 1 keeps the sums of the layer before in the range of the threshold.
            let mut mapping = NeuronModel::ideal_lif(self.beta, reset).mapping;
            mapping.gain = 1.0;
            Answer::Membrane { mapping: Box::new(mapping), signed, k }
        };
        if self.neuron != Neuron::Card {
            if self.card.is_some() || self.circuit.is_some() {
                return Err(Diagnostic::error(format!("neuron: {} reads no card", self.neuron.word()))
                    .hint("take `neuron: card`, or leave `card` and `circuit` out")
                    .into());
            }
            cards.push(CardNote::typed(format!("neuron typed: {}", self.neuron.word())));
        }
        Ok(match self.neuron {
            Neuron::Relu => Answer::Linear { top: f32::INFINITY },
            Neuron::Ramp => Answer::Linear { top: 1.0 },
            Neuron::Sigmoid => Answer::Sigmoid(Curve::IDEAL),
            Neuron::Tanh => Answer::Tanh,
            Neuron::Sign => Answer::Sign,
            Neuron::PBit => Answer::PBit,
            Neuron::Firing => Answer::Firing(Curve::firing(k)),
            Neuron::Lif => membrane(Reset::Hard, false),
            Neuron::Signed => membrane(Reset::Hard, true),
            Neuron::TwoTimes => Answer::Membrane { mapping: Box::new(NeuronModel::paper_constants().mapping), signed: false, k },
            Neuron::Thermal => Answer::Thermal { decay: self.beta as f32, slope: k },
            Neuron::Card => {
                let Some(path) = &self.card else {
                    return Err(Diagnostic::error("neuron: card needs a `card`").into());
                };
                let card = Card::read(&context.base.join(path))?;
                let note = CardNote::of(&card);
                // Without a circuit weights take up where the curve of a graded or random neuron lies and how wide it is: of its card only the kind of law is left.
                let curve = ["sigmoid", "firing-logistic"].contains(&card.model.name.as_str());
                cards.push(match card.model.name.as_str() {
                    "sigmoid" if self.circuit.is_none() => note.unused("without a `circuit` weights are in units of its curve"),
                    "firing-logistic" if self.circuit.is_none() => {
                        note.unused("slope typed, without a `circuit` weights are in units of its curve")
                    }
                    "relu" | "piecewise-linear" | "p-bit" => note.unused("weights are in units of its curve"),
                    _ => note,
                });
                if let (Some(c), true) = (&self.circuit, curve) {
                    let bias = c.bias.map_or("at the middle of the curve".to_string(), |b| format!("{b:e}"));
                    cards.push(CardNote::typed(format!(
                        "typed beside the card, the circuit's: bias {bias}, drive {:e} of a sum of one, both in the card's unit",
                        c.drive
                    )));
                } else if let Some(c) = &self.circuit
                    && thermal::MODELS.contains(&card.model.name.as_str())
                {
                    cards.push(CardNote::typed(format!(
                        "typed beside the card, the circuit's: a pulse each {:e} s, whose height is the synaptic sum, and a reset",
                        c.step.0
                    )));
                } else if let Some(c) = &self.circuit {
                    let signed = if c.signed { ", of both signs" } else { "" };
                    cards.push(CardNote::typed(format!(
                        "typed beside the card, the circuit's: threshold {}{signed}, step {:e} s, drive {:e} of a sum of one",
                        c.threshold, c.step.0, c.drive
                    )));
                }
                self.of_card(&card, middle(&card))?
            }
        })
    }

    /// How the neuron of a card answers; `middle`: of the curve that its circuit was made for.
    fn of_card(&self, card: &Card, middle: Option<f64>) -> Result<Answer, Problems> {
        let k = self.slope as f32;
        Ok(match (card.model.name.as_str(), &self.circuit) {
            ("sigmoid", Some(c)) => Answer::Sigmoid(c.curve(card, middle.unwrap_or_default())?),
            ("firing-logistic", Some(c)) => Answer::Firing(c.curve(card, middle.unwrap_or_default())?),
            // Graded ones in their own units of input; weights take the scale up.
            ("sigmoid", None) => Answer::Sigmoid(Curve::IDEAL),
            ("firing-logistic", None) => Answer::Firing(Curve::firing(k)),
            ("relu", _) => Answer::Linear { top: f32::INFINITY },
            ("piecewise-linear", _) => Answer::Linear { top: 1.0 },
            ("p-bit", _) => Answer::PBit,
            (model, _) if thermal::MODELS.contains(&model) => {
                let step = self.circuit.as_ref().map(|c| c.step.0).ok_or_else(|| {
                    wrong(card, "does not say how often pulses come", "give `circuit: {step: ...}`, the time from a pulse to the next")
                })?;
                let (decay, slope) = thermal::steps(card, step)?;
                Answer::Thermal { decay: decay as f32, slope: slope as f32 }
            }
            _ => {
                let signed = self.circuit.as_ref().is_some_and(|c| c.signed);
                Answer::Membrane { mapping: Box::new(self.membrane(card)?.mapping), signed, k }
            }
        })
    }

    /// The membrane of a card, with what a circuit adds.
    fn membrane(&self, card: &Card) -> Result<NeuronModel, Problems> {
        match &self.circuit {
            Some(c) => NeuronModel::from_card(&c.complete(card)?, None),
            None => NeuronModel::from_card(card, None),
        }
    }

    /// Neurons and synapses of cards drawn from the posteriors of those of the settings. Where a drawn card makes no device (a range turned round), it is drawn again.
    fn ensemble(&self, answer: &Answer, synapse: Option<&Synapse>, base: &std::path::Path, seed: u64) -> Result<Vec<Member>, Problems> {
        let read = |path: Option<&PathBuf>| path.map(|p| Card::read(&base.join(p))).transpose();
        let typed = self.synapse.as_ref();
        let (neuron, device) = (read(self.card.as_ref())?, read(typed.and_then(|s| s.card.as_ref()))?);
        if self.posterior > 0 && neuron.is_none() && device.is_none() {
            return Err(Diagnostic::error("`posterior` draws cards, and there is none")
                .hint("give the neuron's `card` or the synapse's, or leave `posterior` out")
                .into());
        }
        (0..self.posterior as u64)
            .map(|k| {
                const TRIES: u64 = 20;
                let one = |attempt: u64| -> Result<Member, Problems> {
                    let draw = |card: &Card, salt| posterior::draw(card, seed ^ salt, k | attempt << 32);
                    let answer = neuron.as_ref().map_or(Ok(answer.clone()), |c| self.of_card(&draw(c, 0), middle(c)))?;
                    let synapse = match (&device, typed) {
                        (Some(c), Some(s)) => {
                            let mut s = s.with_card(&draw(c, 0x5359))?;
                            // That of a `spread` card is none of the drawn one's.
                            s.device_to_device = synapse.map_or(s.device_to_device, |s| s.device_to_device);
                            s.check()?;
                            Some(s)
                        }
                        _ => synapse.cloned(),
                    };
                    Ok(Member { answer, synapse })
                };
                (0..TRIES - 1).find_map(|attempt| one(attempt).ok()).map_or_else(|| one(TRIES - 1), Ok)
            })
            .collect()
    }

    /// Mean over the chips of each card of an ensemble, with `change` made to its synapse.
    fn over_cards(
        &self,
        net: &mut Net,
        cards: &[Member],
        answer: &Answer,
        (data, seed): (&Samples, u64),
        change: &dyn Fn(&mut Synapse),
    ) -> Result<Vec<f64>, Problems> {
        let found = cards
            .iter()
            .map(|m| {
                net.set_answer(&m.answer);
                match &m.synapse {
                    Some(s) => {
                        let mut s = s.clone();
                        change(&mut s);
                        Ok(self.chips(net, &s, data, seed, 0.0)?.0)
                    }
                    None => Ok(self.test(net, data, &data.test, crate::encode::key(seed), None, 0.0)?.0),
                }
            })
            .collect();
        net.set_answer(answer);
        found
    }

    fn net(&self, data: &Samples, answer: &Answer, seed: u64) -> Result<Net, Problems> {
        let mut kinds = Vec::new();
        let [mut rows, mut columns, _] = data.shape;
        for l in &self.layers {
            let neurons = |recurrent| (Kind::Neurons { answer: answer.clone(), recurrent }, 0);
            match (l.dense, l.conv, l.pool, l.recurrent) {
                (Some(n), None, None, None) => {
                    (rows, columns) = (1, 1);
                    kinds.push((Kind::Dense, n));
                }
                (None, Some(n), None, None) => kinds.push((Kind::Conv { kernel: l.kernel }, n)),
                (None, None, Some(s), None) => {
                    if s > rows || s > columns {
                        return Err(Diagnostic::error(format!("pool: {s} leaves nothing of {rows} x {columns} pixels"))
                            .hint("take smaller squares, or leave the layer out")
                            .into());
                    }
                    (rows, columns) = (rows / s, columns / s);
                    kinds.push((Kind::Pool { size: s }, 0));
                    continue;
                }
                (None, None, None, Some(n)) => {
                    (rows, columns) = (1, 1);
                    kinds.push((Kind::Dense, n));
                }
                _ => return Err(Diagnostic::error("a layer is one of `dense`, `conv`, `pool` and `recurrent`").into()),
            }
            if l.norm {
                kinds.push((Kind::Norm, 0));
            }
            kinds.push(neurons(l.recurrent.is_some()));
        }
        kinds.push((Kind::Dense, data.classes));
        if self.output {
            kinds.push((Kind::Neurons { answer: answer.clone(), recurrent: false }, 0));
        }
        Ok(Net::new(data.shape, kinds, self.steps, seed))
    }

    /// Whether pixels come in as spikes.
    fn spiking(&self, data: &Samples) -> bool {
        self.encoding == Encoding::Poisson && data.frames == 1
    }

    /// `[step][sample][features]` of some samples, and the number of steps; where spikes are not to be drawn, the pixels.
    fn input(
        &self,
        data: &Samples,
        part: &Part,
        indices: &[usize],
        key: [u32; 2],
        phase: u32,
        train: bool,
        noise: f64,
        draw: bool,
    ) -> (Vec<f32>, usize) {
        let [h, w, c] = data.shape;
        let size = h * w * c;
        let n = indices.len();
        let spiking = draw && self.spiking(data);
        let steps = if spiking { self.steps } else { data.frames };
        let mut x = vec![0.0f32; steps * n * size];
        // Each sample's own part of every step.
        let mut of: Vec<Vec<&mut [f32]>> = (0..n).map(|_| Vec::with_capacity(steps)).collect();
        x.chunks_mut(size).enumerate().for_each(|(q, part)| of[q % n].push(part));
        of.into_par_iter().zip(indices).for_each(|(mut parts, &s)| {
            let mut stream = Stream::new(u64::from(key[0]) | u64::from(key[1]) << 32, u64::from(phase) << 32 | s as u64);
            let flip = train && self.flip && stream.next_u32() & 1 == 1;
            let (dy, dx) = if train && self.shift > 0 {
                let d = 2 * self.shift + 1;
                (stream.below(d) as i64 - self.shift as i64, stream.below(d) as i64 - self.shift as i64)
            } else {
                (0, 0)
            };
            let value = |v: &u8| f32::from(*v) / data.unit;
            for (frame, to) in part.pixels[s * data.frames * size..][..data.frames * size].chunks_exact(size).zip(&mut parts) {
                for (y, to) in to.chunks_exact_mut(w * c).enumerate() {
                    let sy = y as i64 + dy;
                    if !(0..h as i64).contains(&sy) {
                        continue;
                    }
                    let line = &frame[sy as usize * w * c..][..w * c];
                    if !flip && dx == 0 {
                        to.iter_mut().zip(line).for_each(|(t, v)| *t = value(v));
                        continue;
                    }
                    for (xx, to) in to.chunks_exact_mut(c).enumerate() {
                        let sx = xx as i64 + dx;
                        let sx = if flip { w as i64 - 1 - sx } else { sx };
                        if (0..w as i64).contains(&sx) {
                            to.iter_mut().zip(&line[sx as usize * c..][..c]).for_each(|(t, v)| *t = value(v));
                        }
                    }
                }
                if noise > 0.0 {
                    to.iter_mut().for_each(|v| *v += noise as f32 * stream.normal() as f32);
                }
            }
            if spiking {
                let rates = parts[0].to_vec();
                for (t, to) in parts.iter_mut().enumerate() {
                    for (j, v) in to.chunks_mut(4).enumerate() {
                        let bits = philox4x32([j as u32, s as u32, phase, 80 + t as u32], key);
                        v.iter_mut()
                            .zip(&rates[4 * j..])
                            .zip(bits)
                            .for_each(|((v, r), b)| *v = f32::from(u8::from(open_unit(b) as f32 <= *r)));
                    }
                }
            }
        });
        (x, steps)
    }

    /// Accuracy in percent; `analog` for chips.
    fn test(
        &self,
        net: &mut Net,
        data: &Samples,
        part: &Part,
        key: [u32; 2],
        analog: Option<&Analog<'_>>,
        noise: f64,
    ) -> Result<(f64, Vec<(f64, usize)>), Problems> {
        let all: Vec<usize> = (0..part.labels.len()).collect();
        let mut right = 0;
        let mut activity: Vec<(f64, usize)> = Vec::new();
        // Noise of reads and converters are the processor's: the host has the weights of a chip too.
        let there = analog.is_none_or(|a| a.synapse.tested_anywhere());
        for (b, some) in all.chunks(self.batch.max(64)).enumerate() {
            let labels: Vec<u8> = some.iter().map(|&i| part.labels[i]).collect();
            let key = [key[0], key[1], b as u32];
            let draw = !(there && net.graphics.is_some());
            let (x, steps) = self.input(data, part, some, [key[0], key[1]], u32::MAX, false, noise, draw);
            let (answers, active) = match &mut net.graphics {
                Some(graphics) if there => {
                    let batch = Batch { x: &x, labels: &labels, samples: some, key, phase: u32::MAX };
                    let (answers, sums) = graphics.answer(&batch).map_err(trouble)?;
                    (answers.classes, sums.into_iter().map(|(sum, n)| (sum / some.len() as f64, n)).collect())
                }
                _ => {
                    let (y, steps) = net.forward(x, steps, some.len(), Pass::Test, analog, key);
                    (cross_entropy(&y, steps, some.len(), data.classes, &labels, self.logits as f32).1, net.activity.clone())
                }
            };
            right += answers.iter().zip(&labels).filter(|(a, l)| **a == usize::from(**l)).count();
            activity.resize(active.len(), (0.0, 0));
            for (a, n) in activity.iter_mut().zip(&active) {
                *a = (a.0 + n.0 * some.len() as f64 / all.len() as f64, n.1);
            }
        }
        Ok((percent(right, all.len()), activity))
    }

    /// Moves a network to the graphics device that was asked for; what cannot run there is said, and runs here.
    fn to_device(
        &self,
        net: &mut Net,
        data: &Samples,
        synapse: Option<&Synapse>,
        context: &Context<'_>,
        out: &mut Outcome,
    ) -> Result<(), Problems> {
        let Some(open) = context.device else { return Ok(()) };
        let why = match synapse {
            Some(s) if s.pulses > 0 => Some("weights that learn by pulses do so on the processor only"),
            Some(s) if s.dac_bits + s.adc_bits > 0 => Some("ranges of converters are found on the processor only"),
            _ => graphics::cannot(net),
        };
        let mut say = |text: String| {
            if !out.notes.contains(&text) {
                eprintln!("{text}");
                out.note(text);
            }
        };
        if let Some(why) = why {
            say(format!("on the processor, not on the graphics device: {why}"));
            return Ok(());
        }
        let sizes = Sizes {
            batch: self.batch,
            test: self.batch.max(64),
            steps_in: if self.spiking(data) { self.steps } else { data.frames },
            poisson: self.spiking(data),
            classes: data.classes,
            logits: self.logits,
            realised: synapse.is_some(),
            // Beyond so many levels a loop over them costs more than the way to the host and back.
            levels: synapse.filter(|s| !s.acts(true)).map(Synapse::staircase).filter(|s| s.bow == 0.0 || s.states <= 256),
        };
        let graphics = Graphics::new(open().map_err(trouble)?, net, sizes).map_err(trouble)?;
        say(format!("network on {}", graphics.name()));
        if synapse.is_some_and(|s| !s.tested_anywhere()) {
            say("chips with noise of reads or a calibration are tested on the processor".into());
        }
        net.graphics = Some(Box::new(graphics));
        Ok(())
    }

    /// Trains; returns the network of the last (or best validated) epoch, losses, and writes of pulses.
    fn train(
        &self,
        data: &Samples,
        answer: &Answer,
        synapse: Option<&Synapse>,
        seed: u64,
        context: &Context<'_>,
        words: &str,
        out: &mut Outcome,
    ) -> Result<(Net, Vec<Vec<f64>>, u64), Problems> {
        let mut net = self.net(data, answer, seed)?;
        if let Some(s) = synapse.filter(|s| s.pulses > 0) {
            net.fix_ranges(s);
        }
        let key = crate::encode::key(seed);
        let n = data.train.labels.len();
        let aside = (self.validation * n as f64) as usize;
        let mut order: Vec<usize> = (0..n).collect();
        Stream::new(seed, 0x434C << 40).shuffle(&mut order);
        let validation = order.split_off(n - aside);
        let held = Part {
            labels: validation.iter().map(|&i| data.train.labels[i]).collect(),
            pixels: validation.iter().flat_map(|&i| data.train.pixels[i * data.size()..(i + 1) * data.size()].to_vec()).collect(),
        };
        let mut curve: Vec<Vec<f64>> = Vec::new();
        let mut writes = 0;
        let mut best: (f64, usize, Vec<u8>) = (-1.0, 0, Vec::new());
        let pulsed = synapse.filter(|s| s.pulses > 0);
        // Where a run that was cut off stands: the network, and the curve before it.
        let mut cards = String::new();
        for card in self.cards() {
            cards.push_str(&hash::of_bytes(&bytes(&context.base.join(card))?));
        }
        let settings = serde_json::to_string(self).map_err(|e| Diagnostic::error(e.to_string()))?;
        let mut identity = hash::of_bytes(format!("{settings} {cards} {} {seed} {words}", data.sha256).as_bytes());
        if context.device.is_some() {
            // What a graphics device began is another run: sums are added in another order.
            identity = hash::of_bytes(format!("{identity} graphics").as_bytes());
        }
        let place = context.folder.map(|f| f.join(format!("{words}.checkpoint")));
        if let Some(path) = &place
            && let Ok(bytes) = std::fs::read(path)
            && bytes.len() > 80
            && bytes[..64] == identity.as_bytes()[..64]
        {
            let epochs = u64::from_le_bytes(bytes[64..72].try_into().expect("eight bytes")) as usize;
            // A damaged file is as good as none.
            if let Some((numbers, rest)) = epochs.checked_mul(24).and_then(|n| bytes[80..].split_at_checked(n))
                && let Some((state, kept)) = rest.split_at_checked(net.save().len())
                && epochs <= self.epochs
                && net.load(state)
            {
                if let Some((head, state)) = kept.split_at_checked(16) {
                    let word = |i: usize| <[u8; 8]>::try_from(&head[i..i + 8]).expect("eight bytes");
                    best = (f64::from_le_bytes(word(0)), u64::from_le_bytes(word(8)) as usize, state.to_vec());
                }
                writes = u64::from_le_bytes(bytes[72..80].try_into().expect("eight bytes"));
                let f = |i: usize| f64::from_le_bytes(numbers[8 * i..8 * i + 8].try_into().expect("eight bytes"));
                curve = (0..epochs).map(|e| vec![f(3 * e), f(3 * e + 1), f(3 * e + 2)]).collect();
            }
        }
        self.to_device(&mut net, data, synapse, context, out)?;
        let draw = net.graphics.is_none();
        let batches = order.len().div_ceil(self.batch);
        let first = curve.len();
        let mut quickest = f64::INFINITY;
        for epoch in first..self.epochs {
            let mut order = order.clone();
            Stream::new(seed, 0x4350 << 40 | epoch as u64).shuffle(&mut order);
            let (mut loss, mut right) = (0.0, 0);
            let input = |some: &[usize]| self.input(data, &data.train, some, key, epoch as u32, true, 0.0, draw);
            let mut ready = input(&order[..self.batch.min(order.len())]);
            let started = std::time::Instant::now();
            for (b, some) in order.chunks(self.batch).enumerate() {
                (context.progress)((epoch as f64 + b as f64 / batches as f64) / self.epochs as f64, words);
                let noisy = synapse.filter(|s| s.acts(true)).map(|_| (seed, (epoch * batches + b) as u32 & 0xFFFF));
                if noisy.is_some() || !net.graphics.as_ref().is_some_and(|g| g.makes_levels()) {
                    realise(&mut net, synapse, noisy)?;
                }
                let key = [key[0], key[1], (epoch * batches + b) as u32];
                let labels: Vec<u8> = some.iter().map(|&i| data.train.labels[i]).collect();
                let at = (epoch * batches + b) as f64 / (self.epochs * batches) as f64;
                let rate = self.learning_rate * 0.5 * (1.0 + (std::f64::consts::PI * at).cos());
                let (x, steps) = ready;
                let next = &order[order.len().min((b + 1) * self.batch)..order.len().min((b + 2) * self.batch)];
                // While this batch is learned from, the next is made ready.
                let (learned, then) = rayon::join(
                    || -> Result<_, Problems> {
                        if let Some(mut graphics) = net.graphics.take() {
                            let batch = Batch { x: &x, labels: &labels, samples: some, key, phase: epoch as u32 };
                            let answers = net.learn_there(&mut graphics, &batch, rate, self.weight_decay);
                            net.graphics = Some(graphics);
                            let answers = answers.map_err(trouble)?;
                            return Ok((answers.loss, answers.classes, 0));
                        }
                        let (y, steps) = net.forward(x, steps, some.len(), Pass::Train, None, key);
                        let (l, answers, gradient) = cross_entropy(&y, steps, some.len(), data.classes, &labels, self.logits as f32);
                        net.backward(gradient, some.len());
                        let writes = net.update(rate, self.weight_decay, pulsed.map(|s| (s, seed)));
                        Ok((l * some.len() as f64, answers, writes))
                    },
                    || input(next),
                );
                let (l, answers, written) = learned?;
                ready = then;
                loss += l;
                right += answers.iter().zip(&labels).filter(|(a, l)| **a == usize::from(**l)).count();
                writes += written;
                if !l.is_finite() {
                    return Err(Diagnostic::error(format!("the loss is {} in epoch {}", l / some.len() as f64, epoch + 1))
                        .hint("take a smaller learning rate")
                        .into());
                }
            }
            quickest = quickest.min(started.elapsed().as_secs_f64());
            net.fetch().map_err(trouble)?;
            realise(&mut net, synapse, None)?;
            let checked = if aside > 0 { self.test(&mut net, data, &held, key, None, 0.0)?.0 } else { -1.0 };
            curve.push(vec![loss / order.len() as f64, percent(right, order.len()), checked]);
            if aside > 0 && checked > best.0 {
                best = (checked, epoch, net.save());
            }
            if let Some(path) = &place {
                let mut bytes = identity.as_bytes()[..64].to_vec();
                bytes.extend((curve.len() as u64).to_le_bytes());
                bytes.extend(writes.to_le_bytes());
                curve.iter().flatten().for_each(|v| bytes.extend(v.to_le_bytes()));
                bytes.extend(net.save());
                bytes.extend(best.0.to_le_bytes());
                bytes.extend((best.1 as u64).to_le_bytes());
                bytes.extend(&best.2);
                let cannot =
                    |e: std::io::Error| Problems::from(Diagnostic::file(path.display().to_string(), format!("cannot be written: {e}")));
                std::fs::create_dir_all(path.parent().unwrap_or(std::path::Path::new("."))).map_err(cannot)?;
                let part = path.with_extension("part");
                std::fs::write(&part, bytes).and_then(|()| std::fs::rename(&part, path)).map_err(cannot)?;
            }
            if aside > 0 && epoch - best.1 >= self.patience {
                break;
            }
        }
        if quickest.is_finite() {
            out.note(format!("{words}: {} samples an epoch of {quickest:.3} s, the quickest", order.len()));
        }
        if aside > 0 && !best.2.is_empty() {
            net.load(&best.2);
            if let Some(mut graphics) = net.graphics.take() {
                graphics.upload(&net).map_err(trouble)?;
                net.graphics = Some(graphics);
            }
        }
        realise(&mut net, synapse, None)?;
        Ok((net, curve, writes))
    }

    /// Mean and lowest accuracy over chips.
    fn chips(&self, net: &mut Net, synapse: &Synapse, data: &Samples, seed: u64, noise: f64) -> Result<(f64, f64), Problems> {
        let key = crate::encode::key(seed);
        let mut all = Vec::new();
        let trained = net.ranges();
        for chip in 0..synapse.chips {
            let squares = realise(net, Some(synapse), Some((seed ^ 0xC41F, chip as u32)))?;
            let analog = Analog { synapse, squares };
            if synapse.calibration > 0 {
                let found = self.statistics(net, &analog, data, seed);
                // Converters keep the range they were built with.
                net.set_ranges(&trained);
                net.set_statistics(&found);
            }
            all.push(self.test(net, data, &data.test, key, Some(&analog), noise)?.0);
            net.set_ranges(&trained);
        }
        realise(net, Some(synapse), None)?;
        Ok((all.iter().sum::<f64>() / all.len() as f64, all.iter().copied().fold(f64::INFINITY, f64::min)))
    }

    /// Means and variances of every normalisation, of each batch of training samples that runs through the chip as it is.
    fn statistics(&self, net: &mut Net, analog: &Analog<'_>, data: &Samples, seed: u64) -> Vec<Vec<[Vec<f32>; 2]>> {
        let key = crate::encode::key(seed);
        let mut all: Vec<usize> = (0..data.train.labels.len()).collect();
        Stream::new(seed, 0x4341 << 40).shuffle(&mut all);
        let mut found = Vec::new();
        let batch = self.batch.max(64).min(all.len()).max(1);
        for (b, some) in all.chunks_exact(batch).take(analog.synapse.calibration).enumerate() {
            let (x, steps) = self.input(data, &data.train, some, key, 0x6000, false, 0.0, true);
            net.forward(x, steps, some.len(), Pass::Train, Some(analog), [key[0], key[1], b as u32]);
            found.push(net.batch_statistics());
        }
        found
    }

    /// The last layer anew by STDP; updates made, and updates a full back-propagation of as many epochs would make.
    fn stdp(
        &self,
        net: &mut Net,
        hybrid: &Hybrid,
        synapse: Option<&Synapse>,
        data: &Samples,
        seed: u64,
        context: &Context<'_>,
    ) -> (u64, u64) {
        let last = net.layers.iter().rposition(|l| matches!(l.kind, Kind::Dense)).expect("a network ends in a dense layer");
        let key = crate::encode::key(seed);
        let classes = data.classes;
        let tail: Vec<_> = net.layers.drain(last..).collect();
        let mut tail = tail;
        let inputs = tail[0].from.iter().product::<usize>();
        let mut stream = Stream::new(seed, 0x5354 << 40);
        tail[0].weights.latent.iter_mut().for_each(|w| *w = 0.1 * stream.normal() as f32 / (inputs as f32).sqrt());
        tail[0].bias.latent.fill(0.0);
        let w_max = 3.0 / (inputs as f64).sqrt();
        tail[0].weights.fixed = Some(w_max);
        let step = Synapse { pulses: 50, ..synapse.cloned().unwrap_or_default() };
        let mut updates = 0u64;
        let n = data.train.labels.len();
        for epoch in 0..hybrid.epochs {
            let mut order: Vec<usize> = (0..n).collect();
            stream.shuffle(&mut order);
            for (b, some) in order.chunks(64).enumerate() {
                (context.progress)((epoch * n + b * 64) as f64 / (hybrid.epochs * n) as f64, "STDP of the last layer");
                let (x, steps) = self.input(data, &data.train, some, key, 0x5000 + epoch as u32, false, 0.0, true);
                let (h, steps) = net.forward(x, steps, some.len(), Pass::Test, None, [key[0], key[1], b as u32]);
                for (i, &s) in some.iter().enumerate() {
                    // Trace of each input: its mean activity, what an exponential trace longer than a sample holds.
                    let trace: Vec<f32> =
                        (0..inputs).map(|j| (0..steps).map(|t| h[(t * some.len() + i) * inputs + j]).sum::<f32>() / steps as f32).collect();
                    let w = &mut tail[0].weights.latent;
                    let y: Vec<f32> = (0..classes).map(|c| trace.iter().enumerate().map(|(j, t)| t * w[j * classes + c]).sum()).collect();
                    let label = usize::from(data.train.labels[s]);
                    let best = (0..classes).filter(|c| *c != label).max_by(|&a, &b| y[a].total_cmp(&y[b])).expect("two classes");
                    // The teacher acts only where the right neuron does not lead clearly: correct answers write nothing.
                    if y[label] > y[best] + 0.5 * w_max as f32 * inputs as f32 / 20.0 {
                        continue;
                    }
                    for (j, t) in trace.iter().enumerate().filter(|(_, t)| t.abs() > 0.05) {
                        let size = hybrid.rate * w_max * f64::from(*t);
                        updates += u64::from(step.pulse(&mut w[j * classes + label], -size, w_max, &mut stream) > 0);
                        updates += u64::from(step.pulse(&mut w[j * classes + best], size, w_max, &mut stream) > 0);
                    }
                }
            }
        }
        net.layers.extend(tail);
        let weights: usize = net.arrays().iter().map(|(_, d)| d[0] * d[1]).sum();
        (updates, (weights * n.div_ceil(self.batch) * hybrid.epochs) as u64)
    }

    /// Refuses what acts on nothing: sweeps whose curves would be flat, calibrations of no normalisation.
    fn all_acts(&self, synapse: Option<&Synapse>) -> Result<(), Problems> {
        if synapse.is_some_and(|s| s.calibration > 0) && self.layers.iter().all(|l| !l.norm) {
            return Err(Diagnostic::error("calibration: it measures normalisation, and no layer has any")
                .hint("give layers `norm: true`")
                .into());
        }
        for sweep in &self.sweeps {
            let why = match (sweep.over, synapse) {
                (_, None) => "there is no synapse",
                (Swept::Temperature | Swept::Retention, Some(s)) if s.age.0 == 0.0 => "it acts on what is lost in time, and age is 0",
                (Swept::Levels, Some(s)) if s.devices > 1 => "devices in parallel make the levels",
                _ => continue,
            };
            return Err(Diagnostic::error(format!("a sweep over {} changes nothing: {why}", sweep.over.word()))
                .hint("leave the sweep out, or set what it acts on")
                .into());
        }
        Ok(())
    }

    /// What an inference and the training cost: events of neurons at the prices of their card, reads and writes of the synapses, and the same as digital operations. Of graded neurons Σ|y|
    /// stands for reads, and recurrent arrays are left out.
    fn accounting(
        &self,
        net: &mut Net,
        data: &Samples,
        synapse: Option<&Synapse>,
        activity: &[(f64, usize)],
        (base, seed): (&std::path::Path, u64),
        (epochs, pulses): (usize, u64),
        out: &mut Outcome,
    ) -> Result<(), Problems> {
        let mut events = 0.0;
        let mut macs = 0.0;
        let mut before: Option<f64> = None;
        let mut seen = 0;
        // A network without state works once on every frame of its input, another in every step.
        let steps = if net.layers.iter().any(crate::layers::Layer::steps) { self.steps } else { data.frames };
        for layer in &net.layers {
            let fan = match layer.kind {
                Kind::Dense => layer.to[2] as f64,
                Kind::Conv { kernel } => (kernel * kernel * layer.to[2]) as f64,
                Kind::Neurons { .. } => {
                    before = activity.get(seen).map(|a| a.0);
                    seen += 1;
                    continue;
                }
                _ => continue,
            };
            let inputs = layer.from.iter().product::<usize>() as f64;
            macs += inputs * fan * if before.is_none() { data.frames as f64 } else { steps as f64 };
            // Of the input itself every value counts once a step.
            events += fan * before.unwrap_or(inputs * data.frames as f64);
        }
        let (spikes, neurons) = activity.iter().fold((0.0, 0), |a, l| (a.0 + l.0, a.1 + l.1));
        if neurons > 0 {
            out.score("activity per neuron and inference", spikes / neurons as f64, "spikes");
            if net.layers.iter().any(crate::layers::Layer::steps) {
                out.score("active fraction of neurons and steps", spikes / (neurons * steps) as f64, "1");
            }
        }
        let card = |path: Option<&PathBuf>| path.map(|p| Card::read(&base.join(p))).transpose();
        if let Some(card) = card(self.card.as_ref())?
            && let Answer::Membrane { .. } = self.of_card(&card, middle(&card))?
        {
            self.neurons_cost(net, data, &card, (spikes, neurons), seed, out)?;
        }
        out.score("synaptic events per inference", events, "reads");
        out.score("all multiply-accumulates, digital", macs * MAC, "J");
        out.score("the synaptic events as digital accumulates", events * AC, "J");
        let samples = data.train.labels.len() - (self.validation * data.train.labels.len() as f64) as usize;
        if let Some(s) = synapse {
            let device = card(self.synapse.as_ref().and_then(|s| s.card.as_ref()))?;
            let of_card = device.as_ref().and_then(|c| c.events.get("read")?.energy);
            let each = of_card.unwrap_or(self.read_voltage.powi(2) * (s.g_min.0 + s.g_max.0) * self.read_time);
            out.score("energy of the reads of an inference", events * each, "J");
            out.note(match (of_card, &device) {
                (Some(_), Some(c)) => format!("energy of a read: {each:e} J, of the card `{}`", c.name),
                (_, c) => format!(
                    "energy of a read: V² (G_min + G_max) t = {each:e} J; conductances {}, V = {} V and t = {:e} s typed",
                    c.as_ref().map_or("typed".into(), |c| format!("of the card `{}`", c.name)),
                    self.read_voltage,
                    self.read_time
                ),
            });
            // Weights that are computed elsewhere are written once, when they are ready.
            let weights: usize = net.arrays().iter().map(|(_, d)| d[0] * d[1]).sum();
            let writes = if s.pulses > 0 { pulses } else { (2 * s.devices * weights) as u64 };
            out.score("writes of training", writes as f64, "writes");
            let energy = priced(out, device.as_ref(), &["write", "switch"], self.write_energy);
            out.score("energy of these writes", writes as f64 * energy, "J");
        }
        // Forward, back to the weights and back to the inputs: three products of the same size.
        out.score("training as digital multiply-accumulates", 3.0 * macs * MAC * (samples * epochs) as f64, "J");
        Ok(())
    }

    /// What the membranes of an inference cost, by their card.
    fn neurons_cost(
        &self,
        net: &mut Net,
        data: &Samples,
        card: &Card,
        (spikes, neurons): (f64, usize),
        seed: u64,
        out: &mut Outcome,
    ) -> Result<(), Problems> {
        let model = self.membrane(card)?;
        let (integrate, heat) = if net.graphics.is_some() {
            out.note("every neuron counts as driven in every step: drives are counted on the processor only");
            ((neurons * self.steps) as f64, None)
        } else {
            let some: Vec<usize> = (0..data.test.labels.len().min(256)).collect();
            let key = crate::encode::key(seed);
            let (x, steps) = self.input(data, &data.test, &some, key, u32::MAX, false, 0.0, true);
            net.forward(x, steps, some.len(), Pass::Test, None, [key[0], key[1], 0]);
            (net.driven[0], model.mapping.heat_per_x2.map(|h| h * net.driven[1]))
        };
        let Some(cost) = model.cost(EventCounts { integrate, fire: spikes, heat }, self.steps) else { return Ok(()) };
        out.score("drives of neurons per inference", integrate, "pulses");
        if let Some(energy) = cost.energy {
            out.score("energy of the neurons of an inference", energy, "J");
        }
        if let Some(energy) = cost.energy_joule_scaled {
            out.score("the same with Joule heat as the square of each drive", energy, "J");
        }
        out.score("latency of an inference", cost.latency, "s");
        let names: Vec<&String> = cost.energy_by_event.keys().collect();
        let list = |names: &[&String]| {
            if names.is_empty() { "none".into() } else { names.iter().map(|n| n.as_str()).collect::<Vec<_>>().join(", ") }
        };
        let unpriced: Vec<&String> = cost.unpriced.iter().collect();
        out.note(format!(
            "energy and latency of neurons are of the card `{}`; priced there: {}; without a price, and not in the sum: {}",
            card.name,
            list(&names),
            list(&unpriced)
        ));
        Ok(())
    }
}

/// [`Net::realise`], also of a network on a graphics device.
fn realise(net: &mut Net, synapse: Option<&Synapse>, noisy: Option<(u64, u32)>) -> Result<Vec<Vec<f32>>, Problems> {
    let Some(mut graphics) = net.graphics.take() else { return Ok(net.realise(synapse, noisy)) };
    if synapse.is_none() {
        // The weights in use are those that learn, and stay where they are.
        net.graphics = Some(graphics);
        return Ok(Vec::new());
    }
    graphics.download_latent(net).map_err(trouble)?;
    let squares = net.realise(synapse, noisy);
    graphics.upload_used(net).map_err(trouble)?;
    net.graphics = Some(graphics);
    Ok(squares)
}

fn trouble(e: GpuError) -> Problems {
    Diagnostic::error(e.to_string()).hint("`--device cpu` runs it on the processor").into()
}

fn mean_and_deviation(v: &[f64]) -> (f64, f64) {
    let n = v.len() as f64;
    let mean = v.iter().sum::<f64>() / n;
    (mean, (v.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0)).sqrt())
}

impl Task for Classifier {
    fn on_graphics(&self) -> bool {
        true
    }

    fn cards(&self) -> Vec<PathBuf> {
        let of_synapse = self.synapse.iter().flat_map(|s| s.card.iter().chain(&s.spread));
        self.card.iter().chain(of_synapse).cloned().collect()
    }

    fn data(&self) -> &'static [&'static str] {
        self.data.folders()
    }

    fn run(&self, seed: u64, context: &Context<'_>) -> Result<Outcome, Problems> {
        let mut out = Outcome::default();
        let slice = if self.frames == Frames::Count { Slice::Count } else { Slice::Time };
        let at_most = [self.samples[0], *self.samples.last().expect("never empty")];
        let cut = Cut { frames: self.steps, slice, bin: self.bin };
        let data = Samples::read(self.data, context.data, cut, at_most)?;
        let answer = self.answer(context, &mut out.cards)?;
        let synapse = self.synapse.as_ref().map(|s| synapse::resolve(s, context.base, &mut out.cards)).transpose()?;
        self.all_acts(synapse.as_ref())?;
        let drawn = self.ensemble(&answer, synapse.as_ref(), context.base, seed)?;
        let key = crate::encode::key(seed);
        let columns = ["loss", "training accuracy (%)", "validation accuracy (%, -1: none)"];
        let ideal = if synapse.is_none() || self.ideal {
            let (mut net, curve, _) = self.train(&data, &answer, None, seed, context, "ideal", &mut out)?;
            let found = self.test(&mut net, &data, &data.test, key, None, 0.0)?;
            let epochs = curve.len();
            out.curve("training, real weights", &columns, curve);
            Some((net, found, epochs))
        } else {
            None
        };
        let (mut net, activity, trained) = match &synapse {
            None => {
                let (net, (accuracy, activity), epochs) = ideal.expect("trained above");
                out.score("accuracy", accuracy, "%");
                (net, activity, (epochs, 0))
            }
            Some(s) => {
                let (mut net, curve, writes) = self.train(&data, &answer, Some(s), seed, context, "device", &mut out)?;
                let epochs = curve.len();
                out.curve("training, on devices", &columns, curve);
                let (nominal, activity) = self.test(&mut net, &data, &data.test, key, None, 0.0)?;
                let (mean, worst) = self.chips(&mut net, s, &data, seed, 0.0)?;
                out.score("accuracy on chips", mean, "%");
                if let Some((_, (ideal, _), _)) = &ideal {
                    out.score("accuracy, real weights", *ideal, "%");
                    out.score("gap", ideal - mean, "points");
                }
                out.score("accuracy, levels without errors", nominal, "%");
                out.score("worst chip", worst, "%");
                (net, activity, (epochs, writes))
            }
        };
        if let Some(hybrid) = &self.hybrid {
            if net.graphics.take().is_some() {
                out.note("STDP of the last layer, and all after it, on the processor");
            }
            let (updates, full) = self.stdp(&mut net, hybrid, synapse.as_ref(), &data, seed, context);
            net.realise(synapse.as_ref(), None);
            let after = match &synapse {
                Some(s) => self.chips(&mut net, s, &data, seed, 0.0)?.0,
                None => self.test(&mut net, &data, &data.test, key, None, 0.0)?.0,
            };
            out.scores.insert(0, super::Score { name: "accuracy, last layer by STDP".into(), value: after, unit: "%".into() });
            out.score("updates of STDP", updates as f64, "writes");
            out.score("updates over those of back-propagation", updates as f64 / full as f64, "1");
        }
        self.accounting(&mut net, &data, synapse.as_ref(), &activity, (context.base, seed), trained, &mut out)?;
        if !drawn.is_empty() {
            if self.card.is_some() && net.graphics.take().is_some() {
                // The kernels of a device hold the neuron that they were made for.
                net.realise(synapse.as_ref(), None);
                out.note("cards of the posterior: on the processor");
            }
            (context.progress)(1.0, "cards of the posterior");
            let found = self.over_cards(&mut net, &drawn, &answer, (&data, seed), &|_| {})?;
            let (mean, sd) = mean_and_deviation(&found);
            out.score("accuracy over cards of the posterior, mean", mean, "%");
            out.score("its standard deviation", sd, "points");
            let rows = drawn
                .iter()
                .zip(&found)
                .map(|(m, accuracy)| {
                    let s = m.synapse.as_ref();
                    let of = |f: fn(&Synapse) -> f64| s.map_or(f64::NAN, f);
                    vec![of(|s| s.g_min.0), of(|s| s.g_max.0), of(|s| s.bow), of(|s| s.cycle_to_cycle), *accuracy]
                })
                .collect();
            out.curve("cards of the posterior", &["G_min (S)", "G_max (S)", "bow", "cycle to cycle", "mean of chips (%)"], rows);
        }
        if let Some(s) = &synapse {
            for sweep in &self.sweeps {
                let mut rows = Vec::new();
                for &v in &sweep.values {
                    (context.progress)(1.0, sweep.over.word());
                    let set = |s: &mut Synapse| sweep.over.set(s, v, self.delta);
                    let mut swept = s.clone();
                    set(&mut swept);
                    let (mean, worst) = self.chips(&mut net, &swept, &data, seed, 0.0)?;
                    let mut row = vec![v, mean, worst];
                    if !drawn.is_empty() {
                        let (mean, sd) = mean_and_deviation(&self.over_cards(&mut net, &drawn, &answer, (&data, seed), &set)?);
                        row.extend([mean, sd]);
                    }
                    rows.push(row);
                }
                let columns = [sweep.over.word(), "mean of chips (%)", "worst chip (%)", "mean over cards (%)", "their standard deviation"];
                let shown = if drawn.is_empty() { 3 } else { 5 };
                out.curve(format!("accuracy against {}", sweep.over.word()), &columns[..shown], rows);
            }
        }
        if !self.pixel_noise.is_empty() {
            realise(&mut net, synapse.as_ref(), None)?;
            let rows = self.pixel_noise.iter().map(|&v| Ok(vec![v, self.test(&mut net, &data, &data.test, key, None, v)?.0]));
            let rows = rows.collect::<Result<_, Problems>>()?;
            out.curve("accuracy against noise of the pixels", &["standard deviation", "accuracy (%)"], rows);
        }
        let n = data.train.labels.len();
        let aside = (self.validation * n as f64) as usize;
        out.data = Some(data.note(aside));
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use spinloom_gpu::Backend;
    use spinloom_gpu::vulkan::Vulkan;

    fn run(c: &Classifier, folder: Option<&std::path::Path>) -> Outcome {
        let context = Context { data: None, base: std::path::Path::new("."), folder, device: None, progress: &|_, _| {} };
        c.run(1, &context).unwrap()
    }

    #[test]
    fn every_neuron_learns_something() {
        for neuron in Neuron::ALL.iter().filter(|n| **n != Neuron::Card) {
            let c =
                Classifier { samples: vec![600, 200], neuron: *neuron, epochs: 3, steps: 5, learning_rate: 3e-3, ..Classifier::default() };
            let right = run(&c, None).value("accuracy").unwrap();
            assert!(right > 30.0, "{}: {right}", neuron.word());
        }
    }

    #[test]
    fn a_signed_convolution_on_coloured_and_moving_digits() {
        let layers = vec![
            LayerSetting { conv: Some(4), norm: true, ..LayerSetting::default() },
            LayerSetting { pool: Some(4), ..LayerSetting::default() },
            LayerSetting { recurrent: Some(24), ..LayerSetting::default() },
        ];
        for data in [Set::Cifar10, Set::NMnist] {
            let c = Classifier {
                data,
                samples: vec![300, 100],
                layers: layers.clone(),
                neuron: Neuron::Signed,
                epochs: 4,
                steps: 4,
                learning_rate: 5e-3,
                ..Classifier::default()
            };
            let right = run(&c, None).value("accuracy").unwrap();
            assert!(right > 25.0, "{}: {right}", data.word());
        }
    }

    #[test]
    fn a_cut_off_training_ends_with_the_same_bits() {
        let folder = tempfile::tempdir().unwrap();
        let c = Classifier { samples: vec![200, 100], epochs: 4, validation: 0.2, ..Classifier::default() };
        let whole = run(&c, None);
        // The one who is told of the progress stops the program in the third epoch.
        let cut = std::panic::catch_unwind(|| {
            let stop = |done: f64, _: &str| assert!(done < 0.6, "stopped");
            let context =
                Context { data: None, base: std::path::Path::new("."), folder: Some(folder.path()), device: None, progress: &stop };
            let _ = c.run(1, &context);
        });
        assert!(cut.is_err());
        let bytes = std::fs::read(folder.path().join("ideal.checkpoint")).unwrap();
        assert_eq!(u64::from_le_bytes(bytes[64..72].try_into().unwrap()), 2);
        let resumed = run(&c, Some(folder.path()));
        assert_eq!((resumed.scores, resumed.curves), (whole.scores, whole.curves));
    }

    #[test]
    fn a_damaged_checkpoint_or_that_of_another_card_is_not_taken_up() {
        let folder = tempfile::tempdir().unwrap();
        let card = folder.path().join("card.yaml");
        let house = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/networks/cards/saf-domain-wall-neuron.yaml");
        std::fs::copy(house, &card).unwrap();
        let c = Classifier {
            samples: vec![60, 20],
            epochs: 1,
            steps: 2,
            neuron: Neuron::Card,
            card: Some(card.clone()),
            ..Classifier::default()
        };
        let checkpoint = folder.path().join("ideal.checkpoint");
        run(&c, Some(folder.path()));
        let first = std::fs::read(&checkpoint).unwrap();
        let mut damaged = first.clone();
        damaged[64..72].copy_from_slice(&u64::MAX.to_le_bytes());
        std::fs::write(&checkpoint, &damaged).unwrap();
        run(&c, Some(folder.path()));
        assert!(std::fs::read(&checkpoint).unwrap() == first);
        std::fs::write(&card, std::fs::read_to_string(&card).unwrap() + "\n").unwrap();
        run(&c, Some(folder.path()));
        assert_ne!(std::fs::read(&checkpoint).unwrap()[..64], first[..64]);
    }

    #[test]
    fn a_sweep_that_cannot_act_and_a_card_that_is_not_read_are_refused() {
        let context = Context { data: None, base: std::path::Path::new("."), folder: None, device: None, progress: &|_, _| {} };
        let base = Classifier { samples: vec![20, 10], epochs: 1, ..Classifier::default() };
        let sweep = |over, synapse| Classifier { sweeps: vec![Sweep { over, values: vec![1.0] }], synapse, ..base.clone() };
        let e = sweep(Swept::Temperature, Some(Synapse::default())).run(1, &context).unwrap_err().to_string();
        assert!(e.contains("age is 0"), "{e}");
        let e = sweep(Swept::Levels, Some(Synapse { devices: 3, ..Synapse::default() })).run(1, &context).unwrap_err().to_string();
        assert!(e.contains("devices"), "{e}");
        assert!(sweep(Swept::Levels, None).run(1, &context).is_err());
        let e = Classifier { card: Some("card.yaml".into()), ..base.clone() }.run(1, &context).unwrap_err().to_string();
        assert!(e.contains("reads no card"), "{e}");
        assert_eq!(base.run(1, &context).unwrap().cards[0].name, "neuron typed: relu");
    }

    #[test]
    fn a_graphics_device_trains_the_same_classifier_and_says_what_it_leaves() {
        if let Err(e) = Vulkan::open(0) {
            return eprintln!("SKIPPED: {e}");
        }
        let open = || -> Result<Box<dyn Backend>, GpuError> { Ok(Box::new(Vulkan::open(0)?)) };
        let on = |c: &Classifier, device| {
            let context = Context { data: None, base: std::path::Path::new("."), folder: None, device, progress: &|_, _| {} };
            c.run(1, &context).unwrap()
        };
        let synapse = Synapse { levels: 8, device_to_device: 0.1, when: synapse::When::Both, chips: 2, ..Synapse::default() };
        let c = Classifier {
            samples: vec![200, 100],
            layers: vec![LayerSetting { dense: Some(16), norm: true, ..LayerSetting::default() }],
            neuron: Neuron::Lif,
            steps: 4,
            encoding: Encoding::Poisson,
            epochs: 2,
            validation: 0.2,
            synapse: Some(synapse.clone()),
            ..Classifier::default()
        };
        let (here, there) = (on(&c, None), on(&c, Some(&open)));
        assert!(there.notes.iter().any(|n| n.contains("network on vulkan:0")), "{:?}", there.notes);
        for (a, b) in there.curves.iter().zip(&here.curves).filter(|(a, _)| a.title.starts_with("training")) {
            for (a, b) in a.rows.iter().zip(&b.rows) {
                // A spike in a thousand falls elsewhere once parameters have gone their own way by rounding.
                assert!((a[0] - b[0]).abs() < 1e-2 * b[0] && (a[1] - b[1]).abs() < 3.0 && (a[2] - b[2]).abs() < 8.0, "{a:?} {b:?}");
            }
        }
        let chips = ["accuracy on chips", "accuracy, real weights"].map(|s| (there.value(s).unwrap() - here.value(s).unwrap()).abs());
        assert!(chips.iter().all(|off| *off < 5.0), "{:?} {:?}", there.scores, here.scores);
        let pulsed = Classifier { synapse: Some(Synapse { pulses: 32, ..synapse }), epochs: 1, ideal: false, ..c };
        let out = on(&pulsed, Some(&open));
        assert!(out.notes.iter().any(|n| n.starts_with("on the processor") && n.contains("pulses")), "{:?}", out.notes);
    }

    #[test]
    fn a_pool_larger_than_the_picture_is_refused() {
        let layers = vec![LayerSetting { pool: Some(32), ..LayerSetting::default() }];
        let context = Context { data: None, base: std::path::Path::new("."), folder: None, device: None, progress: &|_, _| {} };
        let e = Classifier { samples: vec![20, 10], layers, ..Classifier::default() }.run(1, &context).unwrap_err().to_string();
        assert!(e.contains("pool: 32") && e.contains("28 x 28"), "{e}");
    }

    #[test]
    fn levels_cost_little_and_two_of_five_stuck_devices_much() {
        let synapse = Synapse { levels: 16, chips: 2, ..Synapse::default() };
        let c = Classifier {
            samples: vec![1000, 300],
            epochs: 4,
            learning_rate: 3e-3,
            synapse: Some(synapse),
            sweeps: vec![Sweep { over: Swept::StuckOn, values: vec![0.0, 0.4] }],
            ..Classifier::default()
        };
        let out = run(&c, None);
        let sweep = &out.curves.last().unwrap().rows;
        assert!(out.value("gap").unwrap().abs() < 12.0, "{:?}", out.scores);
        assert!(sweep[0][1] > sweep[1][1] + 5.0, "{sweep:?}");
    }

    /// Each chip of a network with normalisation has sums of its own, and measures them.
    #[test]
    fn chips_that_are_calibrated_answer_better() {
        let accuracy = |calibration: usize| {
            let synapse = Synapse { cycle_to_cycle: 0.3, calibration, ..Synapse::default() };
            let dense = |width: usize| LayerSetting { dense: Some(width), norm: true, ..LayerSetting::default() };
            let c = Classifier {
                samples: vec![1000, 300],
                layers: vec![dense(48), dense(48)],
                neuron: Neuron::Tanh,
                epochs: 3,
                learning_rate: 3e-3,
                synapse: Some(synapse),
                pixel_noise: vec![0.0],
                ..Classifier::default()
            };
            let out = run(&c, None);
            let after = out.curves.iter().find(|c| c.title.contains("pixel")).unwrap().rows[0][1];
            (out.scores[0].value, out.value("accuracy, levels without errors").unwrap(), after)
        };
        let (without, with) = (accuracy(0), accuracy(4));
        assert!(with.0 > without.0 + 3.0, "{without:?} {with:?}");
        // What a calibration has changed is as it was, for the next chip and for what is tested after all chips.
        assert!(with.1 == without.1 && with.2 == with.1, "{without:?} {with:?}");
        let none = Classifier { synapse: Some(Synapse { calibration: 1, ..Synapse::default() }), ..Classifier::default() };
        assert!(none.all_acts(none.synapse.as_ref()).unwrap_err().to_string().contains("norm"));
    }

    #[test]
    fn cards_of_the_posterior_are_tested_and_widen_every_curve() {
        let house = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/networks/cards");
        let synapse = Synapse { card: Some("stepped-wall-synapse.yaml".into()), chips: 1, ..Synapse::default() };
        let c = Classifier {
            samples: vec![600, 100],
            layers: vec![LayerSetting { dense: Some(20), norm: true, ..LayerSetting::default() }],
            epochs: 4,
            steps: 20,
            learning_rate: 0.01,
            slope: 3.0,
            logits: 30.0,
            neuron: Neuron::Card,
            card: Some("saf-domain-wall-neuron.yaml".into()),
            synapse: Some(synapse),
            posterior: 6,
            ideal: false,
            sweeps: vec![Sweep { over: Swept::DeviceToDevice, values: vec![0.0, 0.5] }],
            ..Classifier::default()
        };
        let context = Context { data: None, base: &house, folder: None, device: None, progress: &|_, _| {} };
        let out = c.run(1, &context).unwrap();
        let curve = |title: &str| &out.curves.iter().find(|k| k.title == title).unwrap().rows;
        let cards = curve("cards of the posterior");
        // Six different cards whose conductances are those of the interval, and six different synapses and neurons behind the accuracies.
        let card = Card::read(&house.join("stepped-wall-synapse.yaml")).unwrap();
        let [low, high] = card.parameters["G_last"].interval.unwrap();
        assert!(cards.len() == 6 && cards.windows(2).all(|r| r[0][1] != r[1][1]), "{cards:?}");
        assert!(cards.iter().all(|r| (r[1] - card.value("G_last").unwrap()).abs() < 1.5 * (high - low)), "{cards:?}");
        let sweep = curve("accuracy against device_to_device");
        assert!(sweep.iter().all(|r| r.len() == 5) && sweep[0][3] > sweep[1][3] + 3.0 && sweep[0][4] > 0.0, "{sweep:?}");
        // What the posterior left behind: the network is again that of the card itself.
        let (nominal, swept) = (out.value("accuracy on chips").unwrap(), sweep[0][1]);
        assert_eq!(nominal, swept);
        let e = Classifier { posterior: 2, ..Classifier::default() }.run(1, &context).unwrap_err().to_string();
        assert!(e.contains("there is none"), "{e}");
    }

    #[test]
    fn what_an_inference_costs_is_the_cards() {
        let house = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/networks/cards");
        let synapse = Synapse { card: Some("exchange-bias-synapse.yaml".into()), chips: 1, ..Synapse::default() };
        let c = Classifier {
            samples: vec![200, 50],
            layers: vec![LayerSetting { dense: Some(20), norm: true, ..LayerSetting::default() }],
            epochs: 2,
            steps: 20,
            neuron: Neuron::Card,
            card: Some("saf-domain-wall-neuron.yaml".into()),
            synapse: Some(synapse),
            ideal: false,
            ..Classifier::default()
        };
        let context = Context { data: None, base: &house, folder: None, device: None, progress: &|_, _| {} };
        let out = c.run(1, &context).unwrap();
        let value = |name: &str| out.value(name).unwrap_or_else(|| panic!("{name}: {:?}", out.scores));
        let card = Card::read(&house.join("saf-domain-wall-neuron.yaml")).unwrap();
        let model = NeuronModel::from_card(&card, None).unwrap();
        // Resets cost nothing in this card, and firing has no price: what is left is one price a drive.
        let pulses = value("drives of neurons per inference");
        let price = card.events["integrate"].energy.unwrap();
        assert!(pulses > 0.0 && pulses <= 400.0, "{pulses}");
        assert!((value("energy of the neurons of an inference") / (pulses * price) - 1.0).abs() < 1e-12);
        assert!((value("latency of an inference") - 20.0 * model.mapping.step.unwrap()).abs() < 1e-18);
        assert!(value("active fraction of neurons and steps") <= 1.0);
        // Two devices a weight, written once.
        assert_eq!(value("writes of training"), 2.0 * (784.0 * 20.0 + 200.0));
        let synapse = Card::read(&house.join("exchange-bias-synapse.yaml")).unwrap();
        let g = synapse.value("G_first").unwrap() + synapse.value("G_last").unwrap();
        assert!(
            (value("energy of the reads of an inference") / (value("synaptic events per inference") * 0.01 * g * 1e-9) - 1.0).abs() < 1e-12
        );
        // Three products a sample and epoch: 784 x 20 once, for pixels stay, and 20 x 10 in every step.
        let macs = 784.0 * 20.0 + 20.0 * 200.0;
        assert!((value("training as digital multiply-accumulates") / (3.0 * macs * MAC * 400.0) - 1.0).abs() < 1e-12);
        let said = |words: &str| out.notes.iter().any(|n| n.contains(words));
        assert!(said("priced there: integrate, reset; without a price, and not in the sum: fire"), "{:?}", out.notes);
        assert!(said("energy of a write: 1e-13 J, typed: no card has it"), "{:?}", out.notes);
    }

    #[test]
    fn only_a_network_with_memory_tells_nucleation_from_annihilation() {
        let of = |layer: LayerSetting| {
            let c = Classifier {
                data: Set::SkyrmionFilms,
                samples: vec![300, 150],
                bin: 25,
                steps: 8,
                layers: vec![layer],
                neuron: Neuron::Tanh,
                epochs: 40,
                batch: 20,
                learning_rate: 5e-3,
                logits: 5.0,
                ..Classifier::default()
            };
            run(&c, None).value("accuracy").unwrap()
        };
        let memory = of(LayerSetting { recurrent: Some(40), ..LayerSetting::default() });
        let none = of(LayerSetting { dense: Some(40), ..LayerSetting::default() });
        // Numbers are drawn so that pictures one by one, and their mean, say next to nothing: a third would be right by chance.
        assert!(memory > 65.0 && none < 50.0, "{memory} {none}");
    }

    #[test]
    fn stdp_with_a_teacher_learns_the_last_layer_anew() {
        let c = Classifier {
            samples: vec![800, 200],
            epochs: 3,
            learning_rate: 3e-3,
            synapse: Some(Synapse { levels: 16, chips: 1, ..Synapse::default() }),
            ideal: false,
            hybrid: Some(Hybrid { epochs: 3, rate: 0.05 }),
            ..Classifier::default()
        };
        let out = run(&c, None);
        let (stdp, before) = (out.value("accuracy, last layer by STDP").unwrap(), out.value("accuracy on chips").unwrap());
        // Chance is 10 %; pulses in the wrong direction would stay below it, and forgotten weights at it.
        assert!(stdp > 0.7 * before && stdp > 40.0, "{stdp} {before}");
        assert!(out.value("updates of STDP").unwrap() > 0.0 && out.value("updates over those of back-propagation").unwrap() < 1.0);
        let still = run(&Classifier { hybrid: Some(Hybrid { epochs: 1, rate: 1e-6 }), ..c }, None);
        assert!(still.value("accuracy, last layer by STDP").unwrap() < 0.6 * stdp, "{:?}", still.scores);
    }

    /// P at bias + drive · x is the card's own, and ends where its range does.
    #[test]
    fn a_circuit_puts_the_curve_of_a_card_into_a_layer() {
        let house = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/networks/cards");
        let context = Context { data: None, base: &house, folder: None, device: None, progress: &|_, _| {} };
        let circuit = Circuit { drive: 4e10, ..Circuit::default() };
        let of = |file: &str, circuit: Option<Circuit>| {
            let c = Classifier { neuron: Neuron::Card, card: Some(file.into()), circuit, ..Classifier::default() };
            let mut cards = Vec::new();
            c.answer(&context, &mut cards).map(|a| (a, cards))
        };
        let file = "stochastic-wall-neuron.yaml";
        let card = Card::read(&house.join(file)).unwrap();
        let (at, slope) = (card.value("V_50").unwrap(), card.value("slope").unwrap());
        let (Answer::Firing(c), cards) = of(file, Some(circuit.clone())).unwrap() else { panic!("fires by no curve") };
        assert!(cards.len() == 2 && !cards[0].records.is_empty() && cards[1].name.contains("middle of the curve"), "{cards:?}");
        assert!((f64::from(c.slope) / (slope * 4e10) - 1.0).abs() < 1e-6 && c.middle == 0.0 && c.floor == 0.0, "{c:?}");
        let ends = &card.validity["V"];
        assert!(
            (f64::from(c.low) - (ends.min - at) / 4e10).abs() < 1e-5 && (f64::from(c.high) - (ends.max - at) / 4e10).abs() < 1e-5,
            "{c:?}"
        );
        // Another device on the same circuit has its middle elsewhere.
        let mut other = card.clone();
        other.parameters.get_mut("V_50").unwrap().value += 2e10;
        let classifier = Classifier { circuit: Some(circuit.clone()), ..Classifier::default() };
        let Answer::Firing(moved) = classifier.of_card(&other, middle(&card)).unwrap() else { panic!("fires by no curve") };
        assert!((moved.middle - 0.5).abs() < 1e-5 && moved.low == c.low, "{moved:?}");
        // A bias beyond the records says nothing.
        let e = of(file, Some(Circuit { bias: Some(1e12), ..circuit.clone() })).unwrap_err().to_string();
        assert!(e.contains("bias is 1e12"), "{e}");
        // Without a circuit nothing of the card is left but its kind.
        let (Answer::Firing(ideal), cards) = of(file, None).unwrap() else { panic!("fires by no curve") };
        assert!(ideal == Curve::firing(4.0) && cards[0].name.contains("not used") && cards[0].records.is_empty(), "{cards:?}");
        // An answer by degrees keeps what the device gives at the lower end, over what it gives at the upper.
        let file = "graded-wall-neuron.yaml";
        let card = Card::read(&house.join(file)).unwrap();
        let (Answer::Sigmoid(c), _) = of(file, Some(circuit)).unwrap() else { panic!("no sigmoid") };
        assert!((f64::from(c.floor) - card.value("y_low").unwrap() / card.value("y_high").unwrap()).abs() < 1e-6, "{c:?}");
        assert!((f64::from(c.slope) * card.value("s").unwrap() / 4e10 - 1.0).abs() < 1e-6, "{c:?}");
    }

    /// tau_leak and R/tau_int are the pillar's; with u = V/threshold a step of length h multiplies u with e^(−h/τ) and adds (R/τ_int) J τ (1 − e^(−h/τ))/threshold.
    #[test]
    fn a_circuit_completes_a_card_that_knows_its_membrane_alone() {
        let house = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/networks/cards");
        let circuit = Circuit { threshold: 0.03, step: Seconds(1e-10), drive: 1e-4, signed: true, bias: None };
        let c = Classifier {
            neuron: Neuron::Card,
            card: Some("signed-pillar.yaml".into()),
            circuit: Some(circuit.clone()),
            ..Classifier::default()
        };
        let context = Context { data: None, base: &house, folder: None, device: None, progress: &|_, _| {} };
        let mut cards = Vec::new();
        let Answer::Membrane { mapping: m, signed: true, .. } = c.answer(&context, &mut cards).unwrap() else {
            panic!("no signed membrane")
        };
        let card = Card::read(&house.join("signed-pillar.yaml")).unwrap();
        let (tau, rate) = (card.value("tau_leak").unwrap(), card.value("R_over_tau_int").unwrap());
        let decay = (-1e-10 / tau).exp();
        assert!((m.decay_on - decay).abs() < 1e-12 && m.decay_off == 1.0, "{} {decay}", m.decay_on);
        assert!((m.gain / (rate * 1e-4 * tau * (1.0 - decay) / 0.03) - 1.0).abs() < 1e-12, "{}", m.gain);
        // The records go to 200 uA both ways.
        assert!((m.x_max.unwrap() - 2.0).abs() < 1e-9 && (m.x_min.unwrap() + 2.0).abs() < 1e-9);
        assert!(!cards[0].records.is_empty() && cards[1].name.contains("threshold 0.03, of both signs"), "{cards:?}");
        let small = Classifier {
            samples: vec![64, 32],
            layers: vec![LayerSetting { dense: Some(16), ..LayerSetting::default() }],
            epochs: 1,
            ..c.clone()
        };
        let out = small.run(1, &context).unwrap();
        assert!(
            out.scores.iter().any(|s| s.name == "accuracy") && out.scores.iter().any(|s| s.name == "active fraction of neurons and steps")
        );
        // A card that fires by itself wants no circuit, and one without a circuit says what it lacks.
        let own = Classifier { card: Some("saf-domain-wall-neuron.yaml".into()), ..c.clone() };
        assert!(own.answer(&context, &mut cards).unwrap_err().to_string().contains("a threshold or a drive of its own"));
        let bare = Classifier { circuit: None, ..c };
        assert!(bare.answer(&context, &mut cards).unwrap_err().to_string().contains("V_th"));
    }
}
