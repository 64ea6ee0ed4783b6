//! Devices as reservoirs with a linear read-out (Jaeger and Haas, Science 304, 78 (2004)). Three kinds:
//!
//! - `oscillator`: one spin-torque oscillator, time-multiplexed (Riou et al., Phys. Rev. Appl. 12, 024049 (2019); Appeltant et al., Nat. Commun. 2, 468 (2011)). Its
//!   power obeys dp/dt = 2 Γ_G (ζ(1 − p) − 1 − Q p) p (Slavin and Tiberkevich, IEEE Trans. Magn. 45, 1875 (2009), equation 10) and relaxes at Γ_p =
//!   Γ_G (ζ − 1). A random mask spreads each input over virtual nodes; a node is the amplitude √p at the end of its dwell. Feedback adds the amplitude of one input before to the current.
//! - `p-bits`: low-barrier magnets in their analogue mode (Ganguly and Ghosh, IEEE Access 9, 89640 (2021)): τ dm/dt = −m + tanh(W m + w u + b) + noise, W random.
//!   With a card tanh((V − V_50)/2s) of V − V_50 = drive · (W m + w u + b), which stops where the card's range does, at the rate cosh((V − V_50)/2s)/τ.
//! - `skyrmions`: bars with skyrmions in a field that carries the input (Yokouchi et al., Sci. Adv. 8, eabq5652 (2022)): the number in each bar follows
//!   the field with a lag and a hysteresis of creation and annihilation, the size follows at once; read is the Hall voltage ∝ number × size, with the counting
//!   noise of the number. Without a card this is a model; with one (`sigmoid-lagging`) the simulated Hall voltage follows the field as the card says, y_inf(B) at 1/tau_rise or 1/tau_fall, and
//!   scatters by the card's sigma, which is that of a bar of as many skyrmions as the card `number` says: a bar of n times as many is n bars side by side, and its mean scatters by 1/√n of that.
//!
//! Tasks are in [`super::signals`]. Training data come first, test data after; λ is set, not tuned on the test.

use super::{CardNote, Context, DataNote, Driven, Outcome, RandomBit, Task, card, no_card, oscillators, percent, signals, wrong};
use crate::data::{Dataset, Images, Source};
use crate::ridge::{Ridge, correlation_squared, nrmse};
use crate::settings::{Seconds, choice, settings};
use nalgebra::DMatrix;
use rayon::prelude::*;
use spinloom_base::random::Stream;
use spinloom_base::{Diagnostic, Problems};
use spinloom_card::Card;
use spinloom_card::laws::sigmoid_lagging;
use std::path::PathBuf;

choice!(
    /// Which device.
    Kind { Oscillator = "oscillator", PBits = "p-bits", Skyrmions = "skyrmions" }
);
choice!(
    /// What is asked of it.
    Question {
        Waveform = "waveform", Memory = "memory", Parity = "parity", Capacity = "capacity", Narma = "narma", MackeyGlass = "mackey-glass",
        Lorenz = "lorenz", Sine = "sine", Square = "square", Images = "images",
    }
);

settings!(
    /// A reservoir.
    Reservoir: "the reservoir" {
        /// The device.
        device: Kind = Kind::Oscillator;
        /// Its card: `spin-torque-oscillator`, `p-bit`, or `sigmoid-lagging` of a bar with skyrmions.
        card: Option<PathBuf> = None;
        /// What it is asked; scores come in this order.
        tasks: Vec<Question> = vec![Question::Waveform];
        /// How many devices, each with its own mask and spread.
        devices: usize = 1, 1.0..=10000.0;
        /// Virtual nodes of each (oscillator), or reads per input (skyrmions).
        nodes: usize = 24, 1.0..=2000.0;
        /// Current over its threshold.
        zeta: f64 = 3.0, 1.01..=100.0;
        /// What an argument of one drives a p-bit by, in its card's unit; drives stop where the card's range does. Without a card that is twice the width of its curve.
        drive: Option<f64> = None, 1e-30..=1e30;
        /// Input period of p-bits with a card; without one it is `dwell`.
        step: Option<Seconds> = None, 1e-15..=1e6;
        /// Dwell of a virtual node in units of 1/Γ_p; input period of p-bits without a card in units of τ; of skyrmions in units of their lag.
        dwell: f64 = 0.2, 0.001..=1000.0;
        /// What an input of 1 adds to ζ, to the argument of tanh, to the field.
        input: f64 = 1.0, 0.0..=100.0;
        /// What the full amplitude of one input before adds to ζ (oscillator).
        feedback: f64 = 0.0, -100.0..=100.0;
        /// Size of W over the spectral radius 1 (p-bits).
        recurrence: f64 = 0.9, 0.0..=10.0;
        /// Noise of a read, or of m.
        noise: f64 = 0.0, 0.0..=10.0;
        /// Spread between devices of ζ, of τ, of fields.
        spread: f64 = 0.05, 0.0..=1.0;
        /// Skyrmions in a bar at full field.
        count: f64 = 100.0, 1.0..=1e9;
        /// Card (`sigmoid`) of the charge against the field, of the same bar: its larger end is the number of skyrmions whose scatter `card` has.
        number: Option<PathBuf> = None;
        /// Ridge λ.
        ridge: f64 = 1e-6, 0.0..=10.0;
        /// Inputs to settle, to train and to test.
        lengths: Vec<usize> = vec![200, 2000, 2000], 1.0..=1e6;
        /// Training and test images.
        images: Vec<usize> = vec![60000, 10000], 1.0..=1e6;
        /// Values of `feedback` to compare on the first task; a curve.
        feedbacks: Vec<f64> = vec![], -100.0..=100.0;
        /// Numbers of devices to compare on the tasks; a curve.
        sizes: Vec<usize> = vec![], 1.0..=10000.0;
        /// Numbers of skyrmions to compare; a curve.
        counts: Vec<f64> = vec![], 1.0..=1e9;
    }
);

/// A bar with skyrmions, by its cards.
struct Bar {
    /// y_low, y_high, x_50, s, tau_rise, tau_fall.
    p: [f64; 6],
    /// Ends of the fields of the records (T).
    fields: [f64; 2],
    /// Scatter of y.
    sigma: f64,
    /// Skyrmions that it is of.
    number: f64,
}

impl Bar {
    fn of(card: &Card, number: &Card) -> Result<Bar, Problems> {
        let mut p = [0.0; 6];
        for (p, name) in p.iter_mut().zip(["y_low", "y_high", "x_50", "s", "tau_rise", "tau_fall"]) {
            *p = card.value(name)?;
        }
        let wrong = |c: &Card, what: &str| Diagnostic::error(format!("the card `{}` {what}", c.name));
        let range = card.validity.get("x").ok_or_else(|| wrong(card, "states no range of its field"))?;
        let number = number.value("y_low")?.abs().max(number.value("y_high")?.abs());
        if number < 1.0 || p[0] == p[1] {
            return Err(wrong(card, "has no skyrmions, or no answer to the field").into());
        }
        Ok(Bar { p, fields: [range.min, range.max], sigma: card.value("sigma")?, number })
    }

    /// The mean of both times, in which dwells are counted (s).
    fn lag(&self) -> f64 {
        0.5 * (self.p[4] + self.p[5])
    }

    /// y after `dt` at a field that stands at the share `h` of their range.
    fn after(&self, y: f64, h: f64, dt: f64) -> f64 {
        let b = self.fields[0] + h.clamp(0.0, 1.0) * (self.fields[1] - self.fields[0]);
        sigmoid_lagging(self.p, y, b, dt)
    }

    /// What is read of `count` skyrmions, between 0 and 1 but for its scatter.
    fn read(&self, y: f64, count: f64, normal: f64) -> f64 {
        (y + self.sigma * (self.number / count).sqrt() * normal - self.p[0]) / (self.p[1] - self.p[0])
    }
}

/// What cards say of the devices, or typical ones.
struct Devices {
    oscillator: oscillators::Device,
    bit: Driven,
    /// The same of a card, whose response is quicker off balance.
    hurries: bool,
    bar: Option<Bar>,
}

impl Devices {
    /// Without cards.
    fn typical() -> Devices {
        // tanh x is a logistic function of 2x.
        Devices { oscillator: oscillators::Device::typical(), bit: Driven::freely(2.0), hurries: false, bar: None }
    }
}

/// The device's state and its law.
enum State {
    /// Power, the last inputs' amplitudes, masks.
    Oscillator {
        zeta: Vec<f64>,
        p: Vec<f64>,
        last: Vec<Vec<f64>>,
        masks: Vec<Vec<f64>>,
    },
    PBits {
        m: Vec<f64>,
        weights: DMatrix<f64>,
        input: Vec<f64>,
        bias: Vec<f64>,
        rate: Vec<f64>,
    },
    Skyrmions {
        number: Vec<f64>,
        bias: Vec<f64>,
        gain: Vec<f64>,
        masks: Vec<Vec<f64>>,
    },
}

struct Machine<'a> {
    s: &'a Reservoir,
    cards: &'a Devices,
    feedback: f64,
    count: f64,
    state: State,
    stream: Stream,
}

impl<'a> Machine<'a> {
    fn new(s: &'a Reservoir, cards: &'a Devices, devices: usize, feedback: f64, count: f64, seed: u64) -> Self {
        let mut stream = Stream::new(seed, 0x52 << 40);
        let mut spread = |mean: f64| -> Vec<f64> { (0..devices).map(|_| mean * (1.0 + s.spread * stream.normal())).collect() };
        let state = match s.device {
            Kind::Oscillator => {
                let zeta: Vec<f64> = spread(s.zeta).into_iter().map(|z| z.max(1.01)).collect();
                // Binary masks as in the experiment.
                let masks = (0..devices).map(|_| signals::bits(s.nodes, &mut stream)).collect();
                let p: Vec<f64> = zeta.iter().map(|z| cards.oscillator.power(*z)).collect();
                let last = p.iter().map(|p| vec![p.sqrt(); s.nodes]).collect();
                State::Oscillator { p, last, masks, zeta }
            }
            Kind::PBits => {
                let rate = spread(1.0).into_iter().map(|r| r.max(0.1)).collect();
                // Circular law: independent weights of variance g²/n have spectral radius g.
                let scale = s.recurrence / (devices as f64).sqrt();
                let weights = DMatrix::from_fn(devices, devices, |_, _| scale * stream.normal());
                let input = (0..devices).map(|_| s.input * stream.normal()).collect();
                let bias = (0..devices).map(|_| 0.5 * stream.normal()).collect();
                State::PBits { m: vec![0.0; devices], weights, input, bias, rate }
            }
            Kind::Skyrmions => {
                // Bars at constant fields from end to end of the range with skyrmions.
                let gain = spread(s.input);
                let bias = (0..devices).map(|i| (i as f64 + 0.5) / devices as f64 + s.spread * stream.normal()).collect();
                let masks = (0..devices).map(|_| (0..28).map(|_| 2.0 * stream.uniform() - 1.0).collect()).collect();
                let start = cards.bar.as_ref().map_or(0.5, |b| 0.5 * (b.p[0] + b.p[1]));
                State::Skyrmions { number: vec![start; devices], bias, gain, masks }
            }
        };
        Self { s, cards, feedback, count, state, stream }
    }

    fn features(&self) -> usize {
        match &self.state {
            State::Oscillator { p, .. } => p.len() * self.s.nodes,
            State::PBits { m, .. } => m.len(),
            State::Skyrmions { number, .. } => number.len() * self.s.nodes,
        }
    }

    /// Feeds one input (or, of images, one column) and appends the states read meanwhile.
    fn feed(&mut self, u: &[f64], out: &mut Vec<f64>) {
        let s = self.s;
        let from = out.len();
        match &mut self.state {
            State::Oscillator { zeta, p, last, masks } => {
                let device = &self.cards.oscillator;
                for k in 0..p.len() {
                    // Sixteen steps to a relaxation time at least.
                    let gamma = device.gamma * (zeta[k] - 1.0);
                    let inner = (s.dwell * 16.0).ceil().max(1.0);
                    let h = s.dwell / gamma / inner;
                    for i in 0..s.nodes {
                        let drive =
                            zeta[k] + s.input * masks[k][i] * u[i % u.len()] + self.feedback * (last[k][i] - device.power(zeta[k]).sqrt());
                        let drive = drive.max(0.0);
                        for _ in 0..inner as usize {
                            let slope = |p: f64| 2.0 * device.gamma * (drive * (1.0 - p) - 1.0 - device.q * p) * p;
                            let mid = p[k] + 0.5 * h * slope(p[k]);
                            p[k] = (p[k] + h * slope(mid)).clamp(1e-6, 1.0);
                        }
                        let x = p[k].sqrt() + s.noise * if s.noise > 0.0 { self.stream.normal() } else { 0.0 };
                        last[k][i] = x;
                        out.push(x);
                    }
                }
            }
            State::PBits { m, weights, input, bias, rate } => {
                let bit = self.cards.bit;
                let hurry = |driven: f64| if self.cards.hurries { (0.5 * driven).cosh() } else { 1.0 };
                // Ten steps to the quickest response.
                let quickest = if self.cards.hurries { hurry(bit.reach[0]).max(hurry(bit.reach[1])) } else { 1.0 };
                let inner = (s.dwell * 10.0 * quickest).ceil().max(1.0);
                let h = s.dwell / inner;
                for _ in 0..inner as usize {
                    let at = nalgebra::DVector::from_column_slice(m);
                    let field = &*weights * at;
                    for i in 0..m.len() {
                        let driven = bit.at(field[i] + input[i] * u[i % u.len()] + bias[i]);
                        let rate = rate[i] * hurry(driven);
                        let kick = if s.noise > 0.0 { s.noise * (2.0 * h * rate).sqrt() * self.stream.normal() } else { 0.0 };
                        m[i] += h * rate * (-m[i] + (0.5 * driven).tanh()) + kick;
                    }
                }
                out.extend_from_slice(m);
            }
            State::Skyrmions { number, bias, gain, masks } => {
                for k in 0..number.len() {
                    // One field per bar: the input, or the masked sum of a column of pixels.
                    let sum = if u.len() == 1 {
                        u[0]
                    } else {
                        u.iter().zip(masks[k].iter().cycle()).map(|(u, m)| u * m).sum::<f64>() / (u.len() as f64).sqrt()
                    };
                    let h = bias[k] + gain[k] * sum;
                    if let Some(bar) = &self.cards.bar {
                        for _ in 0..s.nodes {
                            number[k] = bar.after(number[k], h, s.dwell * bar.lag() / s.nodes as f64);
                            out.push(bar.read(number[k], self.count, s.noise * self.stream.normal()));
                        }
                        continue;
                    }
                    for _ in 0..s.nodes {
                        // Skyrmions are made where the field falls below what keeps them out and driven out above: the number follows a window, faster on its way down.
                        let target = 1.0 / (1.0 + ((h - 0.5) / 0.12).exp());
                        let rate = if target > number[k] { 1.0 } else { 2.0 };
                        number[k] += (target - number[k]) * (1.0 - (-rate * s.dwell / s.nodes as f64).exp());
                        let counted = (self.count * number[k]).max(0.0);
                        let counted = (counted + counted.sqrt() * s.noise * self.stream.normal()) / self.count;
                        // Size ∝ 1/(field above collapse) (Wang, Yuan and Wang, Commun. Phys. 1, 31 (2018), limit of large fields).
                        out.push(counted / (1.0 + h.max(0.0)));
                    }
                }
            }
        }
        if matches!(s.device, Kind::PBits) && s.noise > 0.0 {
            // m is bounded whatever the noise.
            out[from..].iter_mut().for_each(|x| *x = x.clamp(-1.5, 1.5));
        }
    }

    /// States for a signal, settled first.
    fn states(&mut self, u: &[f64]) -> DMatrix<f64> {
        let mut out = Vec::with_capacity(u.len() * self.features());
        u.iter().for_each(|u| self.feed(&[*u], &mut out));
        DMatrix::from_row_slice(u.len(), self.features(), &out)
    }
}

/// A device and how many of it.
struct Setup<'a> {
    s: &'a Reservoir,
    cards: &'a Devices,
    devices: usize,
    feedback: f64,
    count: f64,
    seed: u64,
    /// Looks at the last quarter of the training part instead of the test.
    validate: bool,
}

impl Setup<'_> {
    fn machine(&self) -> Machine<'_> {
        Machine::new(self.s, self.cards, self.devices, self.feedback, self.count, self.seed)
    }

    /// Test outputs of read-outs trained on the first part, and what was wanted.
    fn fitted(&self, u: &[f64], targets: &DMatrix<f64>) -> (DMatrix<f64>, DMatrix<f64>) {
        let [settle, mut train, mut test] = [self.s.lengths[0], self.s.lengths[1], self.s.lengths[2]];
        if self.validate {
            test = (train / 4).max(1);
            train -= test;
        }
        let states = self.machine().states(u);
        let ridge = Ridge::fit(&states.rows(settle, train).into_owned(), &targets.rows(settle, train).into_owned(), self.s.ridge);
        (ridge.predict(&states.rows(settle + train, test).into_owned()), targets.rows(settle + train, test).into_owned())
    }

    fn one(&self, u: &[f64], y: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let (found, wanted) = self.fitted(u, &DMatrix::from_column_slice(y.len(), 1, y));
        (found.as_slice().to_vec(), wanted.as_slice().to_vec())
    }

    /// Squared correlations of many targets.
    fn capacities(&self, u: &[f64], targets: &[Vec<f64>]) -> Vec<f64> {
        let targets = DMatrix::from_fn(u.len(), targets.len(), |i, k| targets[k][i]);
        let (found, wanted) = self.fitted(u, &targets);
        (0..targets.ncols()).map(|k| correlation_squared(found.column(k).as_slice(), wanted.column(k).as_slice())).collect()
    }

    /// Name, value and unit of what a task found.
    fn ask(&self, question: Question, context: &Context<'_>, out: Option<&mut Outcome>) -> Result<(String, f64, &'static str), Problems> {
        let mut stream = Stream::new(self.seed, 0x53 << 40 | question as u64);
        let n: usize = self.s.lengths.iter().sum();
        let late = |u: &[f64], d: usize| -> Vec<f64> { (0..u.len()).map(|t| if t >= d { u[t - d] } else { 0.0 }).collect() };
        // A capacity of chance: the test has finite length.
        let chance = 4.0 / self.s.lengths[2] as f64;
        let floor = |c: f64| if c > chance { c } else { 0.0 };
        Ok(match question {
            Question::Waveform => {
                let (u, y) = signals::waveforms(n.div_ceil(8), 8, &mut stream);
                let (found, wanted) = self.one(&u[..n], &y[..n]);
                let right = found.iter().zip(&wanted).filter(|(f, w)| (**f > 0.5) == (**w > 0.5)).count();
                ("waveform, point by point".into(), percent(right, wanted.len()), "%")
            }
            Question::Memory => {
                let u: Vec<f64> = (0..n).map(|_| 2.0 * stream.uniform() - 1.0).collect();
                let found = self.capacities(&u, &(0..40).map(|d| late(&u, d)).collect::<Vec<_>>());
                ("short-term memory".into(), found.into_iter().map(floor).sum(), "inputs")
            }
            Question::Parity => {
                let u = signals::bits(n, &mut stream);
                // Parity of three successive bits, d inputs ago.
                let three: Vec<f64> = (0..n).map(|t| if t >= 2 { u[t] * u[t - 1] * u[t - 2] } else { 0.0 }).collect();
                let found = self.capacities(&u, &(0..40).map(|d| late(&three, d)).collect::<Vec<_>>());
                ("parity of three".into(), found.into_iter().map(floor).sum(), "inputs")
            }
            Question::Capacity => {
                let u: Vec<f64> = (0..n).map(|_| 2.0 * stream.uniform() - 1.0).collect();
                let mut targets = Vec::new();
                for degree in 1..=3 {
                    let p: Vec<f64> = u.iter().map(|u| signals::legendre(degree, *u)).collect();
                    targets.extend((0..30).map(|d| late(&p, d)));
                }
                let singles = targets.len();
                for a in 0..8 {
                    for b in a + 1..8 {
                        targets.push(late(&u, a).iter().zip(late(&u, b)).map(|(a, b)| 3.0 * a * b).collect());
                    }
                }
                let found: Vec<f64> = self.capacities(&u, &targets).into_iter().map(floor).collect();
                let total: f64 = found.iter().sum();
                if let Some(out) = out {
                    let linear: f64 = found[..30].iter().sum();
                    out.score("information capacity, linear part", linear, "inputs");
                    out.score("information capacity, products", found[singles..].iter().sum(), "inputs");
                }
                ("information capacity, degree up to 3".into(), total, "inputs")
            }
            Question::Narma => {
                let (u, y) = signals::narma10(n, &mut stream);
                let (found, wanted) = self.one(&u, &y);
                ("NARMA-10 NRMSE".into(), nrmse(&found, &wanted), "1")
            }
            Question::MackeyGlass => self.autonomous(&signals::mackey_glass(n + 1, &mut stream), out),
            Question::Lorenz => {
                let x = signals::lorenz(n + 1, &mut stream);
                let (found, wanted) = self.one(&x[..n], &x[1..]);
                ("Lorenz, one step ahead, NRMSE".into(), nrmse(&found, &wanted), "1")
            }
            Question::Sine => {
                // Half a period ahead, from a sine with noise.
                let clean: Vec<f64> = (0..n + 16).map(|t| (std::f64::consts::TAU * t as f64 / 32.0).sin()).collect();
                let u: Vec<f64> = clean[..n].iter().map(|x| x + 0.1 * stream.normal()).collect();
                let (found, wanted) = self.one(&u, &clean[16..]);
                ("sine half a period ahead, NRMSE".into(), nrmse(&found, &wanted), "1")
            }
            Question::Square => {
                // A square wave that a line has rounded and made noisy, restored.
                let clean: Vec<f64> = (0..n).map(|t| if (t / 20) % 2 == 0 { 1.0 } else { -1.0 }).collect();
                let mut u = Vec::with_capacity(n);
                let mut x = 0.0;
                for c in &clean {
                    x += 0.3 * (c - x);
                    u.push(x + 0.2 * stream.normal());
                }
                let (found, wanted) = self.one(&u, &clean);
                let wrong = found.iter().zip(&wanted).filter(|(f, w)| f.signum() != w.signum()).count();
                if let Some(out) = out {
                    out.score("square wave restored, NRMSE", nrmse(&found, &wanted), "1");
                }
                ("square wave, signs wrong".into(), percent(wrong, wanted.len()), "%")
            }
            Question::Images => self.images(context, out)?,
        })
    }

    /// Mackey–Glass one step ahead, then on its own: symmetric mean absolute percentage error over the next 100 steps, over 20 starts
    /// (sMAPE as in Yik et al., Nat. Commun. 16, 1545 (2025), on the series before it is shifted and scaled).
    fn autonomous(&self, x: &[f64], out: Option<&mut Outcome>) -> (String, f64, &'static str) {
        let [settle, train, test] = [self.s.lengths[0], self.s.lengths[1], self.s.lengths[2]];
        let mut machine = self.machine();
        let states = machine.states(&x[..settle + train]);
        let target = DMatrix::from_column_slice(train, 1, &x[settle + 1..=settle + train]);
        let ridge = Ridge::fit(&states.rows(settle, train).into_owned(), &target, self.s.ridge);
        let horizon = 100.min(test / 2);
        let starts = 20.min((test - horizon).max(1));
        let gap = (test - horizon) / starts;
        let (mut error, mut ahead) = (0.0, Vec::new());
        for k in 0..starts {
            let from = settle + train + k * gap;
            // The device is driven by the true series up to the start.
            let mut m = self.machine();
            let warm = from.saturating_sub(settle.max(100));
            let mut row = Vec::new();
            for v in &x[warm..from] {
                row.clear();
                m.feed(&[*v], &mut row);
            }
            let mut u = x[from];
            for i in 0..horizon {
                row.clear();
                m.feed(&[u], &mut row);
                u = ridge.predict(&DMatrix::from_row_slice(1, row.len(), &row))[(0, 0)].clamp(-3.0, 3.0);
                let (f, w) = (0.4 * u + 0.9, 0.4 * x[from + 1 + i] + 0.9);
                error += 200.0 * (f - w).abs() / (f.abs() + w.abs());
                if i == 0 {
                    ahead.push((u, x[from + 1]));
                }
            }
        }
        if let Some(out) = out {
            let (f, w): (Vec<f64>, Vec<f64>) = ahead.into_iter().unzip();
            out.score("Mackey-Glass, one step ahead, NRMSE", nrmse(&f, &w), "1");
        }
        ("Mackey-Glass, 100 steps on its own, sMAPE".into(), error / (starts * horizon) as f64, "%")
    }

    fn images(&self, context: &Context<'_>, out: Option<&mut Outcome>) -> Result<(String, f64, &'static str), Problems> {
        let (train, test) = (self.s.images[0], *self.s.images.last().expect("never empty"));
        let data = match context.data {
            Some(folder) => Dataset::read(folder, Source::Mnist)?.first(train, test),
            None => Dataset::stand_in(train.min(4000), test.min(1000), 1),
        };
        let (rows, columns) = (data.rows, data.columns);
        let states = |images: &Images, salt: u64| -> DMatrix<f64> {
            let features: Vec<Vec<f64>> = (0..images.len())
                .into_par_iter()
                .map(|i| {
                    let mut m = self.machine();
                    m.stream = Stream::new(self.seed, salt << 40 | i as u64);
                    let mut out = Vec::new();
                    let pixels = &images.pixels[i * rows * columns..(i + 1) * rows * columns];
                    for c in 0..columns {
                        let column: Vec<f64> = (0..rows).map(|r| f64::from(pixels[r * columns + c]) / 255.0).collect();
                        m.feed(&column, &mut out);
                    }
                    out
                })
                .collect();
            let width = features.first().map_or(0, Vec::len);
            DMatrix::from_fn(features.len(), width, |i, j| features[i][j])
        };
        let one_hot = |images: &Images| DMatrix::from_fn(images.len(), 10, |i, k| f64::from(u8::from(usize::from(images.labels[i]) == k)));
        let ridge = Ridge::fit(&states(&data.train, 0x60), &one_hot(&data.train), self.s.ridge);
        let found = ridge.predict(&states(&data.test, 0x61));
        let right = (0..data.test.len()).filter(|&i| found.row(i).transpose().argmax().0 == usize::from(data.test.labels[i])).count();
        if let Some(out) = out {
            out.data = Some(DataNote {
                name: data.name.clone(),
                stand_in: data.stand_in,
                sha256: data.sha256(),
                split: [data.train.len(), 0, data.test.len()],
            });
        }
        Ok(("images told apart".into(), percent(right, data.test.len()), "%"))
    }
}

impl Task for Reservoir {
    fn cards(&self) -> Vec<PathBuf> {
        self.card.iter().chain(&self.number).cloned().collect()
    }

    fn data(&self) -> &'static [&'static str] {
        if self.tasks.contains(&Question::Images) { &["mnist"] } else { &[] }
    }

    fn run(&self, seed: u64, context: &Context<'_>) -> Result<Outcome, Problems> {
        let mut out = Outcome::default();
        if self.lengths.len() != 3 {
            return Err(Diagnostic::error("lengths needs three numbers: to settle, to train, to test").into());
        }
        if self.card.is_none() || self.device != Kind::PBits {
            no_card(&[("drive", self.drive.is_some()), ("step", self.step.is_some())])
                .map_err(|p| if self.device == Kind::PBits { p } else { Diagnostic::error("drive and step are those of p-bits").into() })?;
        }
        let mut s = self.clone();
        let mut cards = Devices::typical();
        match (&self.card, self.device) {
            (Some(path), Kind::Oscillator) => {
                let (card, note) = card(context, path, &["spin-torque-oscillator"])?;
                cards.oscillator = oscillators::Device::of(&card)?;
                out.cards.push(note);
            }
            (Some(path), Kind::PBits) => {
                let (card, note) = card(context, path, &super::RANDOM_BITS)?;
                let bit = RandomBit::of(&card)?;
                let Some(step) = &s.step else {
                    return Err(wrong(&card, "says how fast a junction answers, not how often inputs come", "give `step`"));
                };
                s.dwell = step.0 / bit.tau;
                if !(0.001..=1000.0).contains(&s.dwell) {
                    return Err(wrong(
                        &card,
                        format!("responds in {:e} s", bit.tau),
                        "a `step` between a thousandth and a thousand of that is wanted",
                    ));
                }
                (cards.bit, cards.hurries) = (Driven::of(&card, s.drive, "drive", bit.s)?, true);
                out.note(format!("tau = {:.3e} s: an input lasts {:.3} of it", bit.tau, s.dwell));
                out.cards.push(note);
                out.cards.push(CardNote::typed(format!(
                    "typed beside the card: weights, drive of an argument of one {:e} in its unit, time of an input, spread, noise",
                    cards.bit.one * bit.s
                )));
            }
            (Some(path), Kind::Skyrmions) => {
                let Some(number) = &self.number else {
                    return Err(Diagnostic::error("a card of a bar says how its voltage scatters, not of how many skyrmions")
                        .hint("give `number`, the card of its charge")
                        .into());
                };
                let (law, note) = card(context, path, &["sigmoid-lagging"])?;
                let (charge, other) = card(context, number, &["sigmoid"])?;
                let of = Bar::of(&law, &charge)?;
                out.cards.extend([note, other]);
                out.cards.push(CardNote::typed(
                    "typed beside the cards: masks, fields at which bars stand, dwell in units of the lag, spread of fields",
                ));
                out.note(format!(
                    "{:.1} skyrmions scatter by {:.3} of the whole answer; an input lasts {:.3e} s; that bars of more are as many bars side by side is assumed",
                    of.number,
                    of.sigma / (of.p[1] - of.p[0]).abs(),
                    s.dwell * of.lag()
                ));
                cards.bar = Some(of);
            }
            (None, kind) => out.cards.push(CardNote::typed(format!("{} typed: typical values", kind.word()))),
        }
        if s.device == Kind::Skyrmions && cards.bar.is_none() {
            out.note("a model of numbers, no device was simulated; that more skyrmions count with less noise (1/sqrt of their number) is assumed, not found");
        }
        s.tasks.dedup();
        let setup =
            |devices: usize, feedback: f64, count: f64| Setup { s: &s, cards: &cards, devices, feedback, count, seed, validate: false };
        for (i, &q) in s.tasks.iter().enumerate() {
            (context.progress)(i as f64 / s.tasks.len() as f64, q.word());
            // The task's own number comes before those it adds beside.
            let at = out.scores.len();
            let (name, value, unit) = setup(s.devices, s.feedback, s.count).ask(q, context, Some(&mut out))?;
            out.scores.insert(at, super::Score { name, value, unit: unit.into() });
        }
        let mut rows = Vec::new();
        for &feedback in &s.feedbacks {
            let (name, value, _) = Setup { validate: true, ..setup(s.devices, feedback, s.count) }.ask(s.tasks[0], context, None)?;
            if feedback == 0.0 {
                let (_, value, unit) = setup(s.devices, feedback, s.count).ask(s.tasks[0], context, None)?;
                out.score(format!("{name}, no feedback"), value, unit);
            }
            rows.push(vec![feedback, value]);
        }
        if !rows.is_empty() {
            out.curve("first task against feedback, on the last quarter of the training part", &["feedback", s.tasks[0].word()], rows);
        }
        let mut rows = Vec::new();
        for &n in &s.sizes {
            let mut row = vec![n as f64];
            for &q in &s.tasks {
                row.push(setup(n, s.feedback, s.count).ask(q, context, None)?.1);
            }
            rows.push(row);
        }
        if !rows.is_empty() {
            let columns: Vec<&str> = std::iter::once("devices").chain(s.tasks.iter().map(|q| q.word())).collect();
            out.curve("against the number of devices", &columns, rows);
        }
        let mut rows = Vec::new();
        for &count in &s.counts {
            rows.push(vec![count, setup(s.devices, s.feedback, count).ask(s.tasks[0], context, None)?.1]);
        }
        if !rows.is_empty() {
            out.curve(
                "first task against the number of skyrmions; the noise of counting is assumed to fall as 1/sqrt",
                &["skyrmions per bar", s.tasks[0].word()],
                rows,
            );
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oscillator_relaxes_at_its_rate() {
        let cards = Devices::typical();
        let s = Reservoir { nodes: 200, dwell: 0.02, input: 0.0, zeta: 2.0, spread: 0.0, ..Reservoir::default() };
        let mut m = Machine::new(&s, &cards, 1, 0.0, 1.0, 1);
        let State::Oscillator { p, .. } = &mut m.state else { unreachable!() };
        let p0 = cards.oscillator.power(2.0);
        p[0] = p0 * 1.01;
        let mut out = Vec::new();
        m.feed(&[0.0], &mut out);
        // The deviation of p decays as e^(−2 Γ_p t); after 50 nodes of 0.02 that is e^(−2).
        let d = |x: f64| x * x / p0 - 1.0;
        assert!((d(out[49]) / 0.01 / (-2.0f64).exp() - 1.0).abs() < 0.03, "{}", d(out[49]) / 0.01);
    }

    /// Every number of the cards moves what is read.
    #[test]
    fn the_cards_of_a_bar_decide_what_it_answers() {
        let house = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/networks/cards");
        let [mut law, number] = ["skyrmion-bar.yaml", "skyrmion-bar-number.yaml"].map(|f| Card::read(&house.join(f)).unwrap());
        let s = Reservoir { device: Kind::Skyrmions, input: 0.5, noise: 1.0, nodes: 4, dwell: 1.0, ..Reservoir::default() };
        let read = |law: &Card, number: &Card, count: f64| {
            let cards = Devices { bar: Some(Bar::of(law, number).unwrap()), ..Devices::typical() };
            let mut m = Machine::new(&s, &cards, 3, 0.0, count, 1);
            let mut out = Vec::new();
            [0.0, 1.0, -1.0].iter().for_each(|u| m.feed(&[*u], &mut out));
            out
        };
        let nominal = read(&law, &number, 10.0);
        assert!(nominal.len() == 36 && nominal.iter().all(|y| (-1.0..2.0).contains(y)), "{nominal:?}");
        assert_ne!(nominal, read(&law, &number, 20.0));
        // A wider or higher answer is read between the same ends: of both only what its scatter is of it.
        for name in ["y_low", "y_high", "x_50", "s", "tau_rise", "tau_fall", "sigma"] {
            let value = law.parameters[name].value;
            law.parameters.get_mut(name).unwrap().value = 1.2 * value;
            assert_ne!(nominal, read(&law, &number, 10.0), "{name} moves nothing");
            law.parameters.get_mut(name).unwrap().value = value;
        }
        let mut more = number.clone();
        more.parameters.values_mut().for_each(|p| p.value *= 2.0);
        assert_ne!(nominal, read(&law, &more, 10.0));
    }

    /// A junction that a card gives in volts answers as its curve says, and no further than its records reach.
    #[test]
    fn the_card_of_a_p_bit_decides_what_it_answers() {
        let s = Reservoir { device: Kind::PBits, recurrence: 0.0, spread: 0.0, dwell: 40.0, ..Reservoir::default() };
        let rest = |bit: Driven, u: f64, dwell: f64| {
            let s = Reservoir { dwell, ..s.clone() };
            let cards = Devices { bit, hurries: bit.reach[1] < 9.0, ..Devices::typical() };
            let mut m = Machine::new(&s, &cards, 1, 0.0, 1.0, 1);
            let State::PBits { input, bias, .. } = &mut m.state else { unreachable!() };
            (input[0], bias[0]) = (1.0, 0.0);
            let mut out = Vec::new();
            m.feed(&[u], &mut out);
            out[0]
        };
        // 2 P − 1 of a logistic function at 0.6 and at 1.2 of its widths.
        let wanted = |x: f64| 2.0 / (1.0 + (-x).exp()) - 1.0;
        let card = Driven { one: 4.0, reach: [-1.0, 2.0] };
        assert!((rest(Driven::freely(2.0), 0.3, 40.0) - wanted(0.6)).abs() < 1e-9);
        assert!((rest(card, 0.3, 40.0) - wanted(1.2)).abs() < 1e-9);
        assert!((rest(card, 3.0, 40.0) - wanted(2.0)).abs() < 1e-9);
        assert!((rest(card, -3.0, 40.0) - wanted(-1.0)).abs() < 1e-9);
        // Of its way to rest it has 1 − e^(−t cosh(x/2)/τ) behind it, one without a card 1 − e^(−t/τ); ten steps to a time err by a few percent.
        let gone = |bit: Driven, u: f64, x: f64| -(1.0 - rest(bit, u, 0.5) / wanted(x)).ln() / 0.5;
        assert!((gone(card, 0.5, 2.0) / 1f64.cosh() - 1.0).abs() < 0.06, "{}", gone(card, 0.5, 2.0));
        assert!((gone(Driven::freely(4.0), 0.5, 2.0) - 1.0).abs() < 0.06, "{}", gone(Driven::freely(4.0), 0.5, 2.0));
    }

    #[test]
    fn feedback_gives_memory() {
        let context = Context { data: None, base: std::path::Path::new("."), folder: None, device: None, progress: &|_, _| {} };
        let s = Reservoir { lengths: vec![100, 800, 800], ..Reservoir::default() };
        let cards = Devices::typical();
        let ask = |feedback: f64| {
            Setup { s: &s, cards: &cards, devices: 1, feedback, count: 1.0, seed: 1, validate: false }
                .ask(Question::Waveform, &context, None)
                .unwrap()
                .1
        };
        let (without, with) = (ask(0.0), ask(1.5));
        assert!(with > without && with > 95.0, "{without} {with}");
    }
}
