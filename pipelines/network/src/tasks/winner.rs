//! Digits learned without a teacher: stochastic STDP of two-state junctions, lateral inhibition and homeostasis (review table 3: Zhang et al., NANOARCH 2016, 784 – 300, nine parallel
//! junctions a synapse, 91.27 %; Yang et al., ACS Nano 20, 240 (2026), 576 – 600, 91 %; Zhou et al., Commun. Eng. 4, 142 (2025), one junction a synapse; the simplified rule is that
//! of Querlioz, Bichler, Dollfus and Gamrat, IEEE Trans. Nanotechnol. 12, 288 (2013)).
//!
//! Pixels spike with a probability proportional to their ink. An output neuron adds up its weights w = k/n of the inputs that spike, leaks, and fires where it passes its threshold; of several the one
//! furthest above it. A spike inhibits all others: their membranes are reset. Every junction of the neuron that fired is then switched on with P_up if its input spiked within the last
//! `window` steps, and off with P_down if not. A threshold rises with each spike of its neuron and falls otherwise, so that all win equally often. After learning each neuron is named after the class
//! it fired for most; a test image is given the class whose neurons fired most, all in all. A second read-out of the same spikes weighs every neuron with the logarithms of its shares of classes (naive Bayes; the
//! labels it needs are those that name the neurons).

use super::switching::{Pulses, Switching, energies};
use super::{CardNote, Context, Outcome, Task, percent, priced, read_card};
use crate::data::events::Cut;
use crate::data::samples::{Part, Samples, Set};
use crate::neuron::{Mapping, NeuronModel};
use crate::settings::settings;
use rayon::prelude::*;
use spinloom_base::random::Stream;
use spinloom_base::{Diagnostic, Problems};

settings!(
    /// The network.
    Winner: "the network" {
        /// Data.
        data: Set = Set::Mnist;
        /// Training and test samples at most.
        samples: Vec<usize> = vec![60000, 10000], 1.0..=1e7;
        /// Pixels cut off on every side (2 makes 24 × 24 of 28 × 28).
        crop: usize = 0, 0.0..=12.0;
        /// Output neurons.
        neurons: usize = 300, 2.0..=100000.0;
        /// Junctions in parallel behind a weight.
        devices: usize = 9, 1.0..=255.0;
        /// Pulses of a junction with a card, which then says what `up`, `down`, `anneal`, `spread` and `write_energy` say of a typed one.
        junction: Option<Pulses> = None;
        /// Probability of a junction to be switched on by a pair of pulses, at the start.
        up: f64 = 0.05, 1e-6..=1.0;
        /// To be switched off.
        down: f64 = 0.02, 1e-6..=1.0;
        /// What both have come down to at the end (a share): pulses are made weaker.
        anneal: f64 = 0.2, 0.0..=1.0;
        /// Steps per image.
        steps: usize = 20, 1.0..=1000.0;
        /// Spikes per step of a full pixel.
        rate: f64 = 0.3, 0.001..=1.0;
        /// Card of a membrane with a threshold and a drive; its law of a step takes the place of `beta`.
        neuron: Option<std::path::PathBuf> = None;
        /// Decay of a membrane per step.
        beta: f64 = 0.95, 0.0..=1.0;
        /// Steps that an input counts as recent.
        window: usize = 5, 1.0..=1000.0;
        /// Rise of a threshold with a spike, over the mean drive of a step.
        homeostasis: f64 = 0.01, 0.0..=10.0;
        /// Passes over the training samples.
        epochs: usize = 1, 1.0..=100.0;
        /// Relative spread of P between junctions.
        spread: f64 = 0.0, 0.0..=1.0;
        /// Junctions that never switch (a share).
        stuck: f64 = 0.0, 0.0..=1.0;
        /// Energy of a write pulse (J).
        write_energy: f64 = 1e-13, 0.0..=1.0;
        /// Numbers of junctions to compare.
        compare_devices: Vec<usize> = vec![], 1.0..=255.0;
        /// Numbers of neurons to compare.
        compare_neurons: Vec<usize> = vec![], 2.0..=100000.0;
        /// Share of the training samples that comparisons learn from; twice as large a share of the test samples tests them, at most all.
        compare_share: f64 = 0.1, 1e-4..=1.0;
    }
);

/// How junctions switch, and how membranes move.
struct Device {
    /// Of a card: its law and its two conductances.
    card: Option<(Switching, Option<spinloom_card::Card>)>,
    membrane: Option<Membrane>,
}

/// What a step does to the membrane of a card, in units of the threshold: a neuron whose threshold has risen is one whose circuit drives it less by a sum.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Membrane {
    /// Factors on it while the drive is on, and off.
    decay: [f32; 2],
    /// Constant losses, down to reset, likewise.
    loss: [f32; 2],
    /// The most that the sum of a step adds: at the largest drive of the card.
    most: f32,
    /// Steps after a spike in which the device returns and does not integrate.
    wait: u32,
    /// Length of a step (s).
    step: f64,
}

impl Membrane {
    fn of(m: &Mapping) -> Membrane {
        Membrane {
            decay: [m.decay_on, m.decay_off].map(|v| v as f32),
            loss: [m.leak_on, m.leak_off].map(|v| v as f32),
            most: m.x_max.map_or(f32::INFINITY, |x| (m.gain * x) as f32),
            wait: m.refractory_steps,
            step: m.step.unwrap_or_default(),
        }
    }
}

/// Chances to be switched on and off, against how many standard deviations a junction is off its nominal self: even steps from -`WIDEST` to `WIDEST`.
type Chances = [[f64; TABLE]; 2];
const TABLE: usize = 65;
const WIDEST: f64 = 4.0;

impl Device {
    /// After a share of the learning.
    fn chances(&self, s: &Winner, done: f64) -> Result<Chances, Problems> {
        let off = |k: usize| WIDEST * (2.0 * k as f64 / (TABLE - 1) as f64 - 1.0);
        let mut table = [[0.0; TABLE]; 2];
        match (&self.card, &s.junction) {
            (Some((law, _)), Some(pulses)) => {
                for (row, v) in table.iter_mut().zip(pulses.voltages(done)) {
                    if pulses.barrier_spread == 0.0 {
                        row.fill(law.chance(pulses.length.0, v, 1.0)?);
                        continue;
                    }
                    for (k, p) in row.iter_mut().enumerate() {
                        *p = law.chance(pulses.length.0, v, (1.0 + pulses.barrier_spread * off(k)).max(0.05))?;
                    }
                }
            }
            _ => {
                let fade = 1.0 - (1.0 - s.anneal) * done;
                for (row, p) in table.iter_mut().zip([s.up, s.down]) {
                    (0..TABLE).for_each(|k| row[k] = p * fade * (1.0 + s.spread * off(k)).max(0.0));
                }
            }
        }
        Ok(table)
    }
}

/// A chance from its table.
fn chance(row: &[f64; TABLE], off: f32) -> f64 {
    if off == f32::NEG_INFINITY {
        return 0.0;
    }
    let at = (f64::from(off).clamp(-WIDEST, WIDEST) / WIDEST + 1.0) * 0.5 * (TABLE - 1) as f64;
    let k = (at as usize).min(TABLE - 2);
    row[k] + (row[k + 1] - row[k]) * (at - k as f64)
}

/// Images between two looks at how strong pulses have become.
const BETWEEN: usize = 256;

struct Network<'a> {
    s: &'a Winner,
    device: &'a Device,
    inputs: usize,
    neurons: usize,
    devices: u8,
    /// Junctions that are on, `[input][neuron]`, and as weights.
    on: Vec<u8>,
    weights: Vec<f32>,
    /// How many standard deviations the junctions of a weight are off; -∞ where they never switch.
    off: Vec<f32>,
    threshold: Vec<f32>,
    writes: u64,
    pulses: u64,
    /// What pulses took, where a card says it (J).
    energy: f64,
}

/// Spikes of the inputs, step by step.
fn spikes(s: &Winner, pixels: &[u8], stream: &mut Stream) -> Vec<Vec<u16>> {
    let active: Vec<(u16, f64)> =
        pixels.iter().enumerate().filter(|(_, p)| **p > 0).map(|(i, p)| (i as u16, f64::from(*p) / 255.0 * s.rate)).collect();
    (0..s.steps).map(|_| active.iter().filter(|(_, r)| stream.uniform() <= *r).map(|(i, _)| *i).collect()).collect()
}

impl<'a> Network<'a> {
    fn new(s: &'a Winner, device: &'a Device, inputs: usize, neurons: usize, devices: usize, seed: u64) -> Self {
        let mut stream = Stream::new(seed, 0x5754 << 40);
        let n = inputs * neurons;
        let devices = devices as u8;
        let on: Vec<u8> = (0..n).map(|_| (0..devices).map(|_| u8::from(stream.uniform() <= 0.5)).sum()).collect();
        let spread = s.junction.as_ref().map_or(s.spread, |p| p.barrier_spread);
        let off = (0..n)
            .map(|_| {
                if s.stuck > 0.0 && stream.uniform() <= s.stuck {
                    f32::NEG_INFINITY
                } else if spread > 0.0 {
                    stream.normal() as f32
                } else {
                    0.0
                }
            })
            .collect();
        let weights = on.iter().map(|k| f32::from(*k) / f32::from(devices)).collect();
        Self { s, device, inputs, neurons, devices, on, weights, off, threshold: vec![0.0; neurons], writes: 0, pulses: 0, energy: 0.0 }
    }

    /// Runs an image; returns spikes of every neuron, and learns if told to.
    fn show(&self, trains: &[Vec<u16>], mut fired: impl FnMut(usize, usize) -> f32, threshold: &[f32]) -> Vec<u16> {
        let n = self.neurons;
        let mut u = vec![0.0f32; n];
        let mut raise = vec![0.0f32; n];
        let mut counts = vec![0u16; n];
        let beta = self.s.beta as f32;
        let (mut sum, mut wait) = (vec![0.0f32; n], vec![0u32; n]);
        for (t, active) in trains.iter().enumerate() {
            pulp::Arch::new().dispatch(
                #[inline(always)]
                || {
                    if let Some(m) = &self.device.membrane {
                        sum.fill(0.0);
                        for &i in active {
                            let row = &self.weights[usize::from(i) * n..][..n];
                            sum.iter_mut().zip(row).for_each(|(s, w)| *s += w);
                        }
                        for k in 0..n {
                            let full = threshold[k] + raise[k];
                            // What the drive of the step before left, and then that of this one.
                            let rest = (m.decay[1] * u[k] - m.loss[1] * full).max(0.0);
                            let next = (m.decay[0] * rest - m.loss[0] * full + sum[k].min(m.most * full)).max(0.0);
                            u[k] = if wait[k] > 0 { 0.0 } else { next };
                            wait[k] = wait[k].saturating_sub(1);
                        }
                        return;
                    }
                    u.iter_mut().for_each(|u| *u *= beta);
                    for &i in active {
                        let row = &self.weights[usize::from(i) * n..][..n];
                        u.iter_mut().zip(row).for_each(|(u, w)| *u += w);
                    }
                },
            );
            let mut best = (0.0f32, usize::MAX);
            for k in 0..n {
                let above = u[k] - threshold[k] - raise[k];
                if above > best.0 {
                    best = (above, k);
                }
            }
            if best.1 != usize::MAX {
                counts[best.1] += 1;
                u.fill(0.0);
                wait[best.1] = self.device.membrane.map_or(0, |m| m.wait);
                raise[best.1] += fired(best.1, t);
            }
        }
        counts
    }

    fn learn(&mut self, part: &Part, order: &[usize], epoch: usize, seed: u64, context: &Context<'_>) -> Result<(), Problems> {
        let s = self.s;
        let total = (order.len() * s.epochs) as f64;
        // A step's mean drive sets the scale of thresholds.
        let ink: f64 = order
            .iter()
            .take(500)
            .map(|&i| part.pixels[i * self.inputs..][..self.inputs].iter().map(|p| f64::from(*p) / 255.0).sum::<f64>())
            .sum::<f64>()
            / order.len().min(500) as f64;
        let drive = (ink * s.rate * 0.5) as f32;
        if epoch == 0 {
            self.threshold.fill(drive * 3.0);
        }
        let rise = s.homeostasis as f32 * drive;
        let mut chances = [[0.0; TABLE]; 2];
        let mut cost = [[0.0; 2]; 2];
        for (count, &i) in order.iter().enumerate() {
            let done = (epoch * order.len() + count) as f64 / total;
            if count % BETWEEN == 0 {
                (context.progress)(done, "STDP");
                chances = self.device.chances(s, done)?;
                if let (Some((_, Some(levels))), Some(p)) = (&self.device.card, &s.junction) {
                    let [on, off] = p.voltages(done);
                    cost = [energies(levels, p.length.0, on)?, energies(levels, p.length.0, off)?];
                }
            }
            let mut stream = Stream::new(seed, 0x5755 << 40 | (epoch as u64) << 32 | i as u64);
            let trains = spikes(s, &part.pixels[i * self.inputs..][..self.inputs], &mut stream);
            let mut winners: Vec<(usize, usize)> = Vec::new();
            let threshold = self.threshold.clone();
            self.show(
                &trains,
                |k, t| {
                    winners.push((k, t));
                    rise
                },
                &threshold,
            );
            // Thresholds relax so that on average nothing changes when every neuron fires its share.
            let share = winners.len() as f32 / self.neurons as f32 * rise;
            self.threshold.iter_mut().for_each(|t| *t = (*t - share).max(drive * 0.5));
            for (k, t) in winners {
                self.threshold[k] += rise;
                let mut recent = vec![false; self.inputs];
                trains[(t + 1).saturating_sub(s.window)..=t].iter().flatten().for_each(|i| recent[usize::from(*i)] = true);
                for (j, recent) in recent.iter().enumerate() {
                    let at = j * self.neurons + k;
                    let way = usize::from(!*recent);
                    let p = chance(&chances[way], self.off[at]);
                    self.energy += cost[way][1] * f64::from(self.on[at]) + cost[way][0] * f64::from(self.devices - self.on[at]);
                    let of = if *recent { self.devices - self.on[at] } else { self.on[at] };
                    self.pulses += u64::from(self.devices);
                    let mut flips = 0;
                    for _ in 0..of {
                        flips += u8::from(stream.uniform() <= p);
                    }
                    if flips > 0 {
                        self.on[at] = if *recent { self.on[at] + flips } else { self.on[at] - flips };
                        self.weights[at] = f32::from(self.on[at]) / f32::from(self.devices);
                        self.writes += u64::from(flips);
                    }
                }
            }
        }
        Ok(())
    }

    /// Spike counts for all images.
    fn responses(&self, part: &Part, seed: u64, salt: u64) -> Vec<Vec<u16>> {
        (0..part.labels.len())
            .into_par_iter()
            .map(|i| {
                let mut stream = Stream::new(seed, salt << 40 | i as u64);
                let trains = spikes(self.s, &part.pixels[i * self.inputs..][..self.inputs], &mut stream);
                self.show(&trains, |_, _| 0.0, &self.threshold)
            })
            .collect()
    }
}

/// `part` with the border cut off.
fn cropped(part: &Part, [h, w]: [usize; 2], crop: usize) -> Part {
    let mut out = Part { labels: part.labels.clone(), pixels: Vec::new() };
    for i in 0..part.labels.len() {
        for y in crop..h - crop {
            out.pixels.extend_from_slice(&part.pixels[(i * h + y) * w + crop..(i * h + y) * w + w - crop]);
        }
    }
    out
}

impl Winner {
    /// The junction of its card, or as typed.
    fn device(&self, context: &Context<'_>, out: &mut Outcome) -> Result<Device, Problems> {
        let membrane = self.membrane(context, out)?;
        let Some(pulses) = &self.junction else {
            out.cards.push(CardNote::typed("junction typed: P of the settings"));
            return Ok(Device { card: None, membrane });
        };
        let path = pulses.card.as_ref().ok_or_else(|| {
            Diagnostic::error("`junction` has no `card`")
                .hint("give the card of a switching junction, or leave `junction` out for `up` and `down`")
        })?;
        if pulses.on.len().max(pulses.off.len()) > 2 {
            return Err(Diagnostic::error("`on` and `off` have more than two voltages")
                .hint("give one, or that of the start and that of the end")
                .into());
        }
        let ends = [0.0, 1.0].map(|done| pulses.voltages(done));
        let all: Vec<(f64, f64)> = ends.as_flattened().iter().map(|v| (pulses.length.0, *v)).collect();
        let law = Switching::read(context, path, &all, out)?;
        let levels = pulses.conductances.as_ref().map(|p| read_card(context.base, p, &["levels"])).transpose()?;
        out.cards.extend(levels.as_ref().map(CardNote::of));
        let device = Device { card: Some((law, levels)), membrane };
        let of = |done| -> Result<[f64; 2], Problems> { Ok(device.chances(self, done)?.map(|row| row[TABLE / 2])) };
        let (first, last) = (of(0.0)?, of(1.0)?);
        out.note(format!(
            "P_sw of a pulse that switches on: {:.3} to {:.4}, off: {:.3} to {:.4}, from the start to the end of learning",
            first[0], last[0], first[1], last[1]
        ));
        out.cards.push(CardNote::typed(format!(
            "typed beside the card: voltages, pulse length, spread of barriers {}{}",
            pulses.barrier_spread,
            if membrane.is_some() { "" } else { "; membranes and thresholds are circuits" }
        )));
        Ok(device)
    }

    /// The membrane of its card.
    fn membrane(&self, context: &Context<'_>, out: &mut Outcome) -> Result<Option<Membrane>, Problems> {
        let Some(path) = &self.neuron else { return Ok(None) };
        let card = read_card(context.base, path, &["lif-two-times", "constant-leak"])?;
        let m = Membrane::of(&NeuronModel::from_card(&card, None)?.mapping);
        out.cards.push(CardNote::of(&card));
        out.cards.push(CardNote::typed(
            "the circuit's, beside the neuron's card: inhibition that resets the others, what a sum drives, and homeostasis, which lowers it with every spike",
        ));
        out.note(format!(
            "neurons of the card `{}`: a step of {:e} s keeps {:.4} of a membrane less {:.4} of the threshold, adds {:.3} of it at most, and {} steps follow a spike; an image takes {:e} s",
            card.name,
            m.step,
            m.decay[0] * m.decay[1],
            m.loss[0] + m.loss[1],
            m.most,
            m.wait,
            m.step * self.steps as f64
        ));
        Ok(Some(m))
    }

    /// Accuracy by names and by shares, and the network that has it.
    fn accuracy<'a>(
        &'a self,
        device: &'a Device,
        [train, test]: [&Part; 2],
        inputs: usize,
        [neurons, devices]: [usize; 2],
        seed: u64,
        context: &Context<'_>,
    ) -> Result<([f64; 2], Network<'a>), Problems> {
        let mut net = Network::new(self, device, inputs, neurons, devices, seed);
        let mut order: Vec<usize> = (0..train.labels.len()).collect();
        for epoch in 0..self.epochs {
            Stream::new(seed, 0x5756 << 40 | epoch as u64).shuffle(&mut order);
            net.learn(train, &order, epoch, seed, context)?;
        }
        (context.progress)(1.0, "naming");
        let mut votes = vec![[0.0f64; 10]; neurons];
        for (counts, l) in net.responses(train, seed, 0x5757).iter().zip(&train.labels) {
            counts.iter().zip(&mut votes).for_each(|(c, v)| v[usize::from(*l)] += f64::from(*c));
        }
        let of_class = train.labels.iter().fold([0.0f64; 10], |mut a, l| {
            a[usize::from(*l)] += 1.0;
            a
        });
        let name: Vec<usize> = votes
            .iter()
            .map(|v| (0..10).max_by(|&a, &b| (v[a] / of_class[a].max(1.0)).total_cmp(&(v[b] / of_class[b].max(1.0)))).unwrap_or(0))
            .collect();
        // ln P(class | a spike of the neuron), one spike of every class added to what was counted (Laplace's rule).
        let shares: Vec<[f64; 10]> = votes
            .iter()
            .map(|v| {
                let rate: [f64; 10] = std::array::from_fn(|c| (v[c] + 1.0) / of_class[c].max(1.0));
                let sum: f64 = rate.iter().sum();
                rate.map(|r| (r / sum).ln())
            })
            .collect();
        let mut right = [0; 2];
        for (counts, l) in net.responses(test, seed, 0x5758).iter().zip(&test.labels) {
            let mut sums = [[0.0f64; 10]; 2];
            for (k, c) in counts.iter().enumerate() {
                sums[0][name[k]] += f64::from(*c);
                sums[1].iter_mut().zip(&shares[k]).for_each(|(s, p)| *s += f64::from(*c) * p);
            }
            for (right, sum) in right.iter_mut().zip(&sums) {
                let best = (0..10).max_by(|&a, &b| sum[a].total_cmp(&sum[b]));
                *right += usize::from(best == Some(usize::from(*l)) && counts.iter().any(|c| *c > 0));
            }
        }
        Ok((right.map(|r| percent(r, test.labels.len())), net))
    }
}

impl Task for Winner {
    fn cards(&self) -> Vec<std::path::PathBuf> {
        self.junction.iter().flat_map(|p| p.card.iter().chain(&p.conductances)).chain(&self.neuron).cloned().collect()
    }

    fn data(&self) -> &'static [&'static str] {
        self.data.folders()
    }

    fn run(&self, seed: u64, context: &Context<'_>) -> Result<Outcome, Problems> {
        let mut out = Outcome::default();
        let at_most = [self.samples[0], *self.samples.last().expect("never empty")];
        let data = Samples::read(self.data, context.data, Cut::STILL, at_most)?;
        let [h, w, c] = data.shape;
        if c != 1 || 2 * self.crop >= h.min(w) {
            return Err(
                spinloom_base::Diagnostic::error("unsupervised STDP takes images of one channel, larger than what is cut off").into()
            );
        }
        let (train, test) = (cropped(&data.train, [h, w], self.crop), cropped(&data.test, [h, w], self.crop));
        let inputs = (h - 2 * self.crop) * (w - 2 * self.crop);
        let device = self.device(context, &mut out)?;
        let (right, net) = self.accuracy(&device, [&train, &test], inputs, [self.neurons, self.devices], seed, context)?;
        out.score("accuracy", right[0], "%");
        out.score("accuracy, neurons weighed with their shares of classes", right[1], "%");
        out.score("plastic junctions", (inputs * self.neurons * self.devices) as f64, "junctions");
        out.score("switchings while learning", net.writes as f64, "switchings");
        let energy = if net.energy > 0.0 {
            out.note("energy of a pulse: V² t G, with the conductances of their card");
            net.energy
        } else {
            net.pulses as f64 * priced(&mut out, device.card.as_ref().map(|c| &c.0.card), &["write", "switch"], self.write_energy)
        };
        out.score("energy of write pulses", energy, "J");
        let part = |p: &Part, n: usize| Part { labels: p.labels[..n].to_vec(), pixels: p.pixels[..n * inputs].to_vec() };
        if !self.compare_devices.is_empty() || !self.compare_neurons.is_empty() {
            let of = |p: &Part, share: f64| part(p, ((p.labels.len() as f64 * share.min(1.0)) as usize).max(1));
            let (few, some) = (of(&train, self.compare_share), of(&test, 2.0 * self.compare_share));
            let title = |what: &str| format!("with {} samples: accuracy against {what}", few.labels.len());
            let short = |neurons, devices| -> Result<f64, Problems> {
                Ok(self.accuracy(&device, [&few, &some], inputs, [neurons, devices], seed, context)?.0[0])
            };
            let rows = self.compare_devices.iter().map(|&d| Ok(vec![d as f64, short(self.neurons, d)?]));
            let rows = rows.collect::<Result<_, Problems>>()?;
            out.curve(title("junctions per synapse"), &["junctions", "accuracy (%)"], rows);
            let rows = self.compare_neurons.iter().map(|&n| Ok(vec![n as f64, short(n, self.devices)?]));
            let rows = rows.collect::<Result<_, Problems>>()?;
            out.curve(title("neurons"), &["neurons", "accuracy (%)"], rows);
        }
        out.data = Some(data.note(0));
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cards_decide_how_junctions_switch_and_what_it_takes() {
        let house = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/networks/cards");
        let pulses = Pulses {
            card: Some("switching-synapse.yaml".into()),
            conductances: Some("binary-junction.yaml".into()),
            on: vec![0.2, 0.13],
            off: vec![0.22, 0.145],
            ..Pulses::default()
        };
        let s = Winner { samples: vec![300, 50], neurons: 10, junction: Some(pulses.clone()), ..Winner::default() };
        let context = Context { data: None, base: &house, folder: None, device: None, progress: &|_, _| {} };
        let mut out = Outcome::default();
        let device = s.device(&context, &mut out).unwrap();
        let [start, end] = [0.0, 1.0].map(|done| device.chances(&s, done).unwrap());
        // Weaker pulses switch less, and every junction alike without a spread.
        assert!(start[0][32] > 10.0 * end[0][32] && start[1][32] > 10.0 * end[1][32], "{} {}", start[0][32], end[0][32]);
        assert_eq!((start[0][0], chance(&start[0], 1.3)), (start[0][32], start[0][32]));
        let spread = Winner { junction: Some(Pulses { barrier_spread: 0.05, ..pulses.clone() }), ..s.clone() };
        let wide = device.chances(&spread, 0.0).unwrap()[0];
        assert!(chance(&wide, 1.0) < wide[32] && chance(&wide, -1.0) > wide[32] && chance(&wide, f32::NEG_INFINITY) == 0.0);
        let run = s.run(1, &context).unwrap();
        // V² t G lies between that of all junctions off at the weakest and of all on at the strongest pulse, for the pulses there were.
        let junctions = (784 * 10 * 9) as f64;
        assert!(run.value("plastic junctions") == Some(junctions) && run.value("switchings while learning").unwrap() > 0.0);
        let energy = run.value("energy of write pulses").unwrap();
        let (weakest, strongest) = (0.13f64.powi(2) * 40e-9 * 4e-5, 0.22f64.powi(2) * 40e-9 * 8e-5);
        let pulses_of = energy / (784.0 * 9.0);
        assert!(pulses_of > 300.0 * weakest && pulses_of < 300.0 * 20.0 * strongest, "{energy}");
        assert!(run.cards.iter().filter(|c| !c.records.is_empty()).count() == 2, "{:?}", run.cards);
    }

    /// A membrane under one input of weight one at every step goes as the mapping of the card says, in units of its threshold.
    #[test]
    fn the_card_decides_how_membranes_move() {
        let house = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/networks/cards");
        let context = Context { data: None, base: &house, folder: None, device: None, progress: &|_, _| {} };
        for file in ["saf-domain-wall-neuron.yaml", "skyrmion-neuron.yaml"] {
            let s = Winner { samples: vec![300, 50], neurons: 10, neuron: Some(file.into()), ..Winner::default() };
            let mut out = Outcome::default();
            let device = s.device(&context, &mut out).unwrap();
            assert!(out.cards.iter().any(|c| !c.records.is_empty()), "{:?}", out.cards);
            let mapping = NeuronModel::from_card(&spinloom_card::Card::read(&house.join(file)).unwrap(), None).unwrap().mapping;
            let mut net = Network::new(&s, &device, 1, 1, 1, 1);
            net.weights.fill(1.0);
            // A sum of one is `share` of the threshold, and as much of the gain of the card.
            for share in [0.1f32, 0.3, 10.0] {
                let steps = 60;
                let counts = net.show(&vec![vec![0]; steps], |_, _| 0.0, &[1.0 / share]);
                let spikes = mapping.spikes(f64::from(share) / mapping.gain, steps);
                assert!(u32::from(counts[0]).abs_diff(spikes) <= 1, "{file} {share}: {counts:?} {spikes}");
            }
            let (typed, of_card) = (Winner { neuron: None, ..s.clone() }.run(1, &context).unwrap(), s.run(1, &context).unwrap());
            assert!(typed.value("switchings while learning") != of_card.value("switchings while learning"));
        }
    }

    #[test]
    fn classes_are_found_without_labels() {
        let s = Winner { samples: vec![1500, 300], neurons: 50, epochs: 1, ..Winner::default() };
        let context = Context { data: None, base: std::path::Path::new("."), folder: None, device: None, progress: &|_, _| {} };
        let right = s.run(1, &context).unwrap().value("accuracy").unwrap();
        assert!(right > 45.0, "{right}");
        // Junctions that cannot switch learn nothing: what is left is how random weights answer.
        let dead = Winner { stuck: 1.0, ..s };
        let still = dead.run(1, &context).unwrap();
        assert!(
            still.value("switchings while learning") == Some(0.0) && still.value("accuracy").unwrap() < right - 10.0,
            "{:?}",
            still.scores
        );
    }
}
