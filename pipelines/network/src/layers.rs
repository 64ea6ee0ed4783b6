//! Layers of any kind on top of each other: dense and convolutional arrays of synapses, pools, normalisation, and neurons, spiking or graded, with or without recurrent weights.
//! Slower than [`crate::network`] for plain fully connected spiking networks, and general.
//!
//! Arrays are `[step][sample][row][column][channel]` in f32. Layers without state work on all steps at once; an input that is the same in every step is worked on once, and its first
//! layer with state repeats it. Gradients are those of back-propagation through time with surrogate derivatives for what jumps (Neftci, Mostafa and Zenke, IEEE Signal Process. Mag.
//! 36, 51 (2019)); the reset counts as constant. A drive clipped to the range of its device lets those gradients through that lead back into the range.

use crate::convolution::{Convolution, Scratch};
use crate::graphics::{Answers, Batch, Graphics, Step};
use crate::neuron::{Mapping, Reset};
use crate::optimiser::{Adam, softmax};
use crate::synapse::Synapse;
use rayon::prelude::*;
use spinloom_base::random::{Stream, normals};
use spinloom_gpu::GpuError;

/// Rows, columns, channels.
pub(crate) type Shape = [usize; 3];

/// A logistic curve, y = floor + (1 − floor)/(1 + e^(−slope (x − middle))), of drives that stop at `low` and `high`: where the card of a device ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Curve {
    pub slope: f32,
    pub middle: f32,
    pub low: f32,
    pub high: f32,
    pub floor: f32,
}

impl Curve {
    /// 1/(1 + e^(−x)), without ends.
    pub(crate) const IDEAL: Curve = Curve { slope: 1.0, middle: 0.0, low: f32::NEG_INFINITY, high: f32::INFINITY, floor: 0.0 };

    /// 1/(1 + e^(−slope (x − ½))): of a spike that is as likely as not at half of what a full step adds.
    pub(crate) fn firing(slope: f32) -> Curve {
        Curve { slope, middle: 0.5, ..Curve::IDEAL }
    }

    fn logistic(&self, x: f32) -> f32 {
        1.0 / (1.0 + (-self.slope * (within(x, self.low, self.high) - self.middle)).exp())
    }

    fn at(&self, x: f32) -> f32 {
        self.floor + (1.0 - self.floor) * self.logistic(x)
    }

    /// The gradient `g` of the answer carried back to the drive; of a drive beyond an end only what leads back from there.
    fn back(&self, x: f32, g: f32) -> f32 {
        let p = self.logistic(x);
        let now = g * (1.0 - self.floor) * self.slope * p * (1.0 - p);
        if (x < self.low && now > 0.0) || (x > self.high && now < 0.0) { 0.0 } else { now }
    }
}

/// How a neuron answers.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// y = max(0, x), or between two bends (skyrmion and wall tracks: Vadde et al. 2023): 0 below 0, `top` above.
    Linear { top: f32 },
    /// y on a [`Curve`].
    Sigmoid(Curve),
    /// y = tanh x.
    Tanh,
    /// y = ±1 (XNOR networks; Courbariaux et al., arXiv:1602.02830): gradient where |x| ≤ 1.
    Sign,
    /// y = ±1 with ⟨y⟩ = tanh x: a p-bit; with its gradient (Camsari et al., Phys. Rev. X 7, 031014 (2017)).
    PBit,
    /// A spike in each step with P on a [`Curve`] (Leonard et al., Appl. Phys. Lett. 122, 262406 (2023)).
    Firing(Curve),
    /// A membrane of [`Mapping`]; `signed` also spikes −1 at −1.
    Membrane { mapping: Box<Mapping>, signed: bool, k: f32 },
    /// Heat: h = decay u + x|x|⁺ (Joule), fires with P = 1 − exp(−exp(slope (h − 1))) (thermal neuron; Gerstner et al., Neuronal Dynamics (2014), equation 9.7).
    Thermal { decay: f32, slope: f32 },
}

impl Answer {
    fn has_state(&self) -> bool {
        matches!(self, Answer::Membrane { .. } | Answer::Thermal { .. } | Answer::Firing(_) | Answer::PBit)
    }
}

/// What a layer is.
pub(crate) enum Kind {
    Dense,
    Conv {
        kernel: usize,
    },
    /// Mean over squares.
    Pool {
        size: usize,
    },
    /// Batch normalisation (Ioffe and Szegedy, arXiv:1502.03167) per channel.
    Norm,
    /// Neurons; `recurrent` ones have weights among themselves.
    Neurons {
        answer: Answer,
        recurrent: bool,
    },
}

/// Weights, what the optimiser remembers, and the weights as they are used.
#[derive(Clone, Default)]
pub(crate) struct Param {
    pub latent: Vec<f32>,
    pub used: Vec<f32>,
    pub gradient: Vec<f32>,
    /// Largest weight, where devices learn and so have a range that nothing moves; else it follows the weights that are written.
    pub fixed: Option<f64>,
    pub moments: [Vec<f32>; 2],
}

impl Param {
    fn new(latent: Vec<f32>) -> Self {
        let n = latent.len();
        Self { used: latent.clone(), gradient: vec![0.0; n], fixed: None, moments: [vec![0.0; n], vec![0.0; n]], latent }
    }

    /// Largest weight of devices of the kind.
    pub(crate) fn w_max(&self, s: &Synapse) -> f64 {
        self.fixed.unwrap_or_else(|| s.w_max(&self.latent))
    }
}

pub(crate) struct Layer {
    pub kind: Kind,
    pub from: Shape,
    pub to: Shape,
    /// `[input][output]`; of a norm its scale; of recurrent neurons those among themselves.
    pub weights: Param,
    /// Bias, or shift.
    pub bias: Param,
    /// Largest sum seen while the converters' range was set.
    pub peak: f32,
    /// Largest input, likewise.
    input_peak: f32,
    /// Running mean and variance of a norm.
    pub running: [Vec<f32>; 2],
    input: Vec<f32>,
    /// Of neurons: what drove them, where weights among themselves add to their input, and what is compared with the threshold; of a norm the batch's mean and variance.
    saved: [Vec<f32>; 2],
    steps_in: usize,
}

impl Layer {
    /// Whether it works in every time step.
    pub(crate) fn steps(&self) -> bool {
        matches!(&self.kind, Kind::Neurons { answer, recurrent } if *recurrent || answer.has_state())
    }

    /// What a norm does at inference.
    pub(crate) fn normalise(&self, x: &mut [f32]) {
        let c = self.from[2];
        let scale: Vec<f32> = self.running[1].iter().zip(&self.weights.used).map(|(v, g)| g / (v + 1e-5).sqrt()).collect();
        for x in x.chunks_exact_mut(c) {
            for k in 0..c {
                x[k] = (x[k] - self.running[0][k]) * scale[k] + self.bias.used[k];
            }
        }
    }
}

/// Arrays that are used again: the pages of new ones would cost as much as what is written to them.
#[derive(Default)]
struct Memory(Vec<Vec<f32>>);

impl Memory {
    /// An array of so many numbers, whatever they are.
    fn take(&mut self, n: usize) -> Vec<f32> {
        let fits = (0..self.0.len()).filter(|&i| self.0[i].len() >= n).min_by_key(|&i| self.0[i].len());
        let mut v = match fits.or((0..self.0.len()).max_by_key(|&i| self.0[i].len())) {
            Some(i) => self.0.swap_remove(i),
            None => Vec::new(),
        };
        v.resize(n, 0.0);
        v
    }

    fn give(&mut self, v: Vec<f32>) {
        self.0.push(v);
        // Inputs and gradients come from outside in every pass.
        if self.0.len() > 24 {
            let least = (0..self.0.len()).min_by_key(|&i| self.0[i].len()).expect("not empty");
            self.0.swap_remove(least);
        }
    }
}

/// What a pass is for.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Pass {
    Train,
    Test,
}

/// Read noise and converters at inference.
pub(crate) struct Analog<'a> {
    pub synapse: &'a Synapse,
    /// Per layer G⁺² + G⁻² of its array; empty where it has none.
    pub squares: Vec<Vec<f32>>,
}

pub(crate) struct Net {
    pub layers: Vec<Layer>,
    pub steps: usize,
    updates: u32,
    /// Spikes (or absolute activity) of each neuron layer in the last test, and their number.
    pub activity: Vec<(f64, usize)>,
    /// Of the membranes in the last test, per sample: (neuron, step) pairs whose drive within the range of the device is not zero, and the sum of the drives' squares. Neurons that sleep after a
    /// spike are among them.
    pub driven: [f64; 2],
    /// Answers of the last layer, where its way back needs them.
    output: Vec<f32>,
    memory: Memory,
    /// Where it learns and answers, if not here.
    pub graphics: Option<Box<Graphics>>,
}

fn size(s: Shape) -> usize {
    s[0] * s[1] * s[2]
}

/// out (m × n) = a (m × k) b (k × n), or with transposes; row-major, `add` keeps what is there.
fn product(out: &mut [f32], a: &[f32], b: &[f32], [m, k, n]: [usize; 3], [ta, tb]: [bool; 2], add: bool, threads: gemm::Parallelism) {
    assert!(out.len() >= m * n && a.len() >= m * k && b.len() >= k * n);
    let (ac, ar) = if ta { (m, 1) } else { (1, k) };
    let (bc, br) = if tb { (k, 1) } else { (1, n) };
    // SAFETY: the lengths were checked above, and rows and columns stay inside them.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            n as isize,
            add,
            a.as_ptr(),
            ac as isize,
            ar as isize,
            b.as_ptr(),
            bc as isize,
            br as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            threads,
        );
    }
}

/// Samples of a convolution that one thread takes at a time; fixes the order of sums.
const GROUP: usize = 8;

impl Net {
    /// Builds it: weights uniform within √(6/inputs) (He et al., arXiv:1502.01852, for the gain a neuron asks for).
    pub(crate) fn new(input: Shape, kinds: Vec<(Kind, usize)>, steps: usize, seed: u64) -> Net {
        let mut from = input;
        let mut layers = Vec::new();
        for (l, (kind, width)) in kinds.into_iter().enumerate() {
            let mut stream = Stream::new(seed, 0x4C41 << 40 | l as u64);
            let mut weights = |n: usize, fan: usize, gain: f64| -> Param {
                let a = gain * (3.0 / fan as f64).sqrt();
                Param::new((0..n).map(|_| (a * (2.0 * stream.uniform() - 1.0)) as f32).collect())
            };
            let none = || Param::new(Vec::new());
            let (to, w, b) = match &kind {
                Kind::Dense => ([1, 1, width], weights(size(from) * width, size(from), 1.4), Param::new(vec![0.0; width])),
                Kind::Conv { kernel } => {
                    let fan = kernel * kernel * from[2];
                    ([from[0], from[1], width], weights(fan * width, fan, 1.4), Param::new(vec![0.0; width]))
                }
                Kind::Pool { size } => ([from[0] / size, from[1] / size, from[2]], none(), none()),
                Kind::Norm => (from, Param::new(vec![1.0; from[2]]), Param::new(vec![0.0; from[2]])),
                Kind::Neurons { recurrent: true, .. } => (from, weights(size(from) * size(from), size(from), 0.5), none()),
                Kind::Neurons { .. } => (from, none(), none()),
            };
            let running = if matches!(kind, Kind::Norm) { [vec![0.0; from[2]], vec![1.0; from[2]]] } else { [Vec::new(), Vec::new()] };
            layers.push(Layer {
                kind,
                from,
                to,
                weights: w,
                bias: b,
                peak: 0.0,
                input_peak: 0.0,
                running,
                input: Vec::new(),
                saved: Default::default(),
                steps_in: 1,
            });
            from = to;
        }
        Net {
            layers,
            steps,
            updates: 0,
            activity: Vec::new(),
            driven: [0.0; 2],
            output: Vec::new(),
            memory: Memory::default(),
            graphics: None,
        }
    }

    /// Layers whose weights are synapses: number, inputs, outputs.
    pub(crate) fn arrays(&self) -> Vec<(usize, [usize; 2])> {
        self.layers
            .iter()
            .enumerate()
            .filter_map(|(i, l)| match l.kind {
                Kind::Dense | Kind::Conv { .. } => Some((i, [l.weights.latent.len() / l.to[2], l.to[2]])),
                Kind::Neurons { recurrent: true, .. } => Some((i, [size(l.from), size(l.from)])),
                _ => None,
            })
            .collect()
    }

    /// Puts other neurons in the place of all there are.
    pub(crate) fn set_answer(&mut self, to: &Answer) {
        for l in &mut self.layers {
            if let Kind::Neurons { answer, .. } = &mut l.kind {
                *answer = to.clone();
            }
        }
    }

    /// Gives every array the range that devices need which will learn in it: what the weights have now sets it, for good.
    pub(crate) fn fix_ranges(&mut self, s: &Synapse) {
        for (i, _) in self.arrays() {
            let p = &mut self.layers[i].weights;
            p.fixed = Some(p.w_max(s));
        }
    }

    /// What a pass of training changes besides weights: means and variances of norms, ranges of converters.
    pub(crate) fn ranges(&self) -> Vec<([Vec<f32>; 2], [f32; 2])> {
        self.layers.iter().map(|l| (l.running.clone(), [l.peak, l.input_peak])).collect()
    }

    pub(crate) fn set_ranges(&mut self, to: &[([Vec<f32>; 2], [f32; 2])]) {
        for (l, (running, peaks)) in self.layers.iter_mut().zip(to) {
            l.running.clone_from(running);
            [l.peak, l.input_peak] = *peaks;
        }
    }

    /// Means and variances of the norms in the last batch of training; empty for other layers.
    pub(crate) fn batch_statistics(&self) -> Vec<[Vec<f32>; 2]> {
        self.layers.iter().map(|l| if matches!(l.kind, Kind::Norm) { l.saved.clone() } else { Default::default() }).collect()
    }

    /// Gives the norms the means over batches.
    pub(crate) fn set_statistics(&mut self, batches: &[Vec<[Vec<f32>; 2]>]) {
        for (i, l) in self.layers.iter_mut().enumerate().filter(|(_, l)| matches!(l.kind, Kind::Norm)) {
            for (k, running) in l.running.iter_mut().enumerate() {
                for (c, r) in running.iter_mut().enumerate() {
                    *r = batches.iter().map(|b| b[i][k][c]).sum::<f32>() / batches.len() as f32;
                }
            }
        }
    }

    /// Sets the weights in use: on the levels of devices, with their errors where those act in training, or as they are.
    pub(crate) fn realise(&mut self, synapse: Option<&Synapse>, noisy: Option<(u64, u32)>) -> Vec<Vec<f32>> {
        let mut squares = vec![Vec::new(); self.layers.len()];
        for (k, (i, dims)) in self.arrays().into_iter().enumerate() {
            let p = &mut self.layers[i].weights;
            match (synapse, noisy) {
                (None, _) => p.used.copy_from_slice(&p.latent),
                (Some(s), None) => s.quantise(&p.latent, p.w_max(s), &mut p.used),
                (Some(s), Some((seed, chip))) => {
                    let (w, sq) = s.chip(&p.latent, p.w_max(s), dims, k, seed, chip);
                    p.used = w;
                    squares[i] = sq;
                }
            }
        }
        for l in &mut self.layers {
            l.bias.used.copy_from_slice(&l.bias.latent);
            if matches!(l.kind, Kind::Norm) {
                l.weights.used.copy_from_slice(&l.weights.latent);
            }
        }
        squares
    }

    /// Runs `n` samples given as `[steps_in][n][features]`; returns outputs `[steps][n][classes]` (one step if nothing has state).
    pub(crate) fn forward(
        &mut self,
        x: Vec<f32>,
        steps_in: usize,
        n: usize,
        pass: Pass,
        analog: Option<&Analog<'_>>,
        noise_key: [u32; 3],
    ) -> (Vec<f32>, usize) {
        let (mut x, mut steps) = (x, steps_in);
        let total = self.steps;
        self.activity.clear();
        self.driven = [0.0; 2];
        let mut activity = Vec::new();
        let mut memory = std::mem::take(&mut self.memory);
        for (index, layer) in self.layers.iter_mut().enumerate() {
            let rows = steps * n;
            layer.steps_in = steps;
            let (a, b) = (size(layer.from), size(layer.to));
            let mut y;
            match &mut layer.kind {
                Kind::Dense | Kind::Conv { .. } => {
                    if pass == Pass::Train {
                        layer.input_peak = (0.98 * layer.input_peak).max(largest(&x));
                    }
                    if let Some(analog) = analog {
                        Synapse::convert_inputs(analog.synapse.dac_bits, &mut x, layer.input_peak);
                    }
                    y = memory.take(rows * b);
                    sums(layer, &x, &layer.weights.used, rows, &mut y);
                    if let Some(analog) = analog {
                        if analog.synapse.read_noise > 0.0 {
                            let square: Vec<f32> = x.iter().map(|x| x * x).collect();
                            let mut variance = vec![0.0; rows * b];
                            sums(layer, &square, &analog.squares[index], rows, &mut variance);
                            add_noise(&mut y, &variance, analog.synapse.read_noise, [noise_key[2], index as u32, 78], noise_key);
                        }
                        Synapse::convert(analog.synapse.adc_bits, &mut y, layer.peak);
                    }
                    let width = layer.to[2];
                    if pass == Pass::Train {
                        // Slowly forgetting, so that one odd batch does not set the range of the converters.
                        layer.peak = (0.98 * layer.peak).max(largest(&y));
                    }
                    y.par_chunks_mut(64 * width).for_each(|y| {
                        y.chunks_exact_mut(width).for_each(|y| y.iter_mut().zip(&layer.bias.used).for_each(|(y, b)| *y += b));
                    });
                }
                Kind::Pool { size: s } => {
                    let (s, [_, w, c]) = (*s, layer.from);
                    let ow = layer.to[1];
                    y = memory.take(rows * b);
                    let share = 1.0 / (s * s) as f32;
                    y.par_chunks_mut(b).zip(x.par_chunks(a)).for_each(|(y, x)| {
                        for (i, y) in y.chunks_exact_mut(ow * c).enumerate() {
                            y.fill(0.0);
                            for x in x[i * s * w * c..][..s * w * c].chunks_exact(w * c) {
                                for (y, x) in y.chunks_exact_mut(c).zip(x.chunks_exact(s * c)) {
                                    x.chunks_exact(c).for_each(|x| y.iter_mut().zip(x).for_each(|(y, x)| *y += share * x));
                                }
                            }
                        }
                    });
                }
                Kind::Norm => {
                    let c = layer.from[2];
                    if pass == Pass::Train {
                        let [mean, square] = column_sums(c, &[&x], |row, to| {
                            let [a, q] = to;
                            for ((x, a), q) in row[0].iter().zip(a).zip(q) {
                                *a += f64::from(*x);
                                *q += f64::from(*x) * f64::from(*x);
                            }
                        });
                        let m = (x.len() / c) as f64;
                        layer.saved[0] = mean.iter().map(|v| (v / m) as f32).collect();
                        layer.saved[1] = mean.iter().zip(&square).map(|(a, q)| (q / m - (a / m).powi(2)).max(0.0) as f32).collect();
                        for (r, s) in layer.running.iter_mut().zip(&layer.saved) {
                            r.iter_mut().zip(s).for_each(|(r, s)| *r = 0.9 * *r + 0.1 * s);
                        }
                    }
                    let [mean, variance] =
                        if pass == Pass::Train { [&layer.saved[0], &layer.saved[1]] } else { [&layer.running[0], &layer.running[1]] };
                    let scale: Vec<f32> = variance.iter().zip(&layer.weights.used).map(|(v, g)| g / (v + 1e-5).sqrt()).collect();
                    y = memory.take(x.len());
                    y.par_chunks_mut(c * 64).zip(x.par_chunks(c * 64)).for_each(|(y, x)| {
                        for (y, x) in y.chunks_exact_mut(c).zip(x.chunks_exact(c)) {
                            for ((((y, x), m), s), b) in y.iter_mut().zip(x).zip(mean).zip(&scale).zip(&layer.bias.used) {
                                *y = (x - m) * s + b;
                            }
                        }
                    });
                }
                Kind::Neurons { answer, recurrent } => {
                    if answer.has_state() || *recurrent {
                        let law = Law { answer, key: [noise_key[0] ^ index as u32, noise_key[1], noise_key[2]] };
                        y = memory.take(total * n * b);
                        let [drive, h] = &mut layer.saved;
                        h.resize(total * n * b, 0.0);
                        if *recurrent {
                            drive.resize(total * n * b, 0.0);
                            let among = Feedback {
                                weights: &layer.weights.used,
                                analog: analog.map(|a| (a.synapse, &a.squares[index][..])),
                                peak: &mut layer.peak,
                                train: pass == Pass::Train,
                                index: index as u32,
                            };
                            over_time_among(law, among, &x, n, drive, h, &mut y, n * b);
                        } else {
                            over_time(law, &x, n * b, h, &mut y);
                        }
                        steps = total;
                    } else {
                        y = memory.take(x.len());
                        let answer = &*answer;
                        y.par_chunks_mut(4096)
                            .zip(x.par_chunks(4096))
                            .for_each(|(y, x)| y.iter_mut().zip(x).for_each(|(y, x)| *y = graded(answer, *x)));
                    }
                    if pass == Pass::Test {
                        if let Answer::Membrane { mapping, .. } = &*answer {
                            let drives = if *recurrent { &layer.saved[0] } else { &x };
                            // An input that is the same in every step drives in every one.
                            let each = y.len() as f64 / drives.len() as f64 / n as f64;
                            let found = driven(mapping, drives);
                            self.driven.iter_mut().zip(found).for_each(|(sum, v)| *sum += each * v);
                        }
                        let sums: Vec<f64> = y.par_chunks(BLOCK).map(|y| y.iter().map(|y| f64::from(y.abs())).sum()).collect();
                        activity.push((sums.iter().sum::<f64>() / n as f64, b));
                    }
                }
            }
            memory.give(std::mem::replace(&mut layer.input, std::mem::replace(&mut x, y)));
        }
        if matches!(self.layers.last(), Some(l) if matches!(l.kind, Kind::Neurons { .. })) {
            self.output.clone_from(&x);
        }
        self.memory = memory;
        self.activity = activity;
        (x, steps)
    }

    /// Back from the gradient of the outputs; gradients of weights are left in [`Param::gradient`].
    pub(crate) fn backward(&mut self, gradient: Vec<f32>, n: usize) {
        let mut g = gradient;
        let mut memory = std::mem::take(&mut self.memory);
        for index in (0..self.layers.len()).rev() {
            let (before, behind) = self.layers.split_at_mut(index + 1);
            let layer = &mut before[index];
            // What this layer answered is the next one's input.
            let answers = behind.first().map_or(&self.output, |l| &l.input);
            let rows = layer.steps_in * n;
            let (a, b) = (size(layer.from), size(layer.to));
            let x = &layer.input;
            let new = match &layer.kind {
                Kind::Dense => {
                    let mut dx = if index > 0 { memory.take(rows * a) } else { Vec::new() };
                    let threads = gemm::Parallelism::Rayon(0);
                    product(&mut layer.weights.gradient, x, &g, [a, rows, b], [true, false], false, threads);
                    if index > 0 {
                        product(&mut dx, &g, &layer.weights.used, [rows, b, a], [false, true], false, threads);
                    }
                    layer.bias.gradient = sum_rows(&g, b);
                    dx
                }
                Kind::Conv { kernel } => {
                    let (c, width) = (convolution(layer, *kernel), layer.to[2]);
                    let mut dx = if index > 0 { memory.take(rows * a) } else { Vec::new() };
                    let w = if index > 0 { c.pack_back(&layer.weights.used) } else { Vec::new() };
                    let size = layer.weights.latent.len();
                    // Groups of samples add to their own gradients, which are added in order: threads change no bit. Sixteen of them at most in memory.
                    let per = GROUP.max(rows.div_ceil(16));
                    let parts: Vec<Vec<f32>> = {
                        let work = |(x, g): (&[f32], &[f32]), mut dx: Option<&mut [f32]>| {
                            let (mut dw, mut scratch) = (vec![0.0; size], Scratch::default());
                            for (s, (x, g)) in x.chunks_exact(a).zip(g.chunks_exact(b)).enumerate() {
                                c.weights(x, g, &mut dw, &mut scratch);
                                if let Some(dx) = dx.as_deref_mut() {
                                    c.inputs(g, &w, &mut dx[s * a..][..a], &mut scratch);
                                }
                            }
                            dw
                        };
                        let pairs = x.par_chunks(per * a).zip(g.par_chunks(per * b));
                        if index > 0 {
                            pairs.zip(dx.par_chunks_mut(per * a)).map(|(xg, dx)| work(xg, Some(dx))).collect()
                        } else {
                            pairs.map(|xg| work(xg, None)).collect()
                        }
                    };
                    layer.weights.gradient.fill(0.0);
                    parts.iter().for_each(|p| layer.weights.gradient.iter_mut().zip(p).for_each(|(d, p)| *d += p));
                    layer.bias.gradient = sum_rows(&g, width);
                    dx
                }
                Kind::Pool { size: s } => {
                    let (s, [_, w, c]) = (*s, layer.from);
                    let [oh, ow, _] = layer.to;
                    let share = 1.0 / (s * s) as f32;
                    let mut dx = memory.take(rows * a);
                    dx.par_chunks_mut(a).zip(g.par_chunks(b)).for_each(|(dx, g)| {
                        for (i, dx) in dx.chunks_exact_mut(w * c).enumerate() {
                            // What lies outside the squares has no gradient.
                            if i / s >= oh {
                                dx.fill(0.0);
                                continue;
                            }
                            dx[ow * s * c..].fill(0.0);
                            for (dx, g) in dx.chunks_mut(s * c).zip(g[i / s * ow * c..][..ow * c].chunks_exact(c)) {
                                dx.chunks_exact_mut(c).for_each(|dx| dx.iter_mut().zip(g).for_each(|(d, g)| *d = share * g));
                            }
                        }
                    });
                    dx
                }
                Kind::Norm => {
                    let c = layer.from[2];
                    let m = (x.len() / c) as f32;
                    let inverse: Vec<f32> = layer.saved[1].iter().map(|v| 1.0 / (v + 1e-5).sqrt()).collect();
                    let mean = &layer.saved[0];
                    let sums: [Vec<f64>; 2] = column_sums(c, &[&g, x], |rows, to| {
                        let [sum, dot] = to;
                        for (((((g, x), m), i), sum), dot) in rows[0].iter().zip(rows[1]).zip(mean).zip(&inverse).zip(sum).zip(dot) {
                            *sum += f64::from(*g);
                            *dot += f64::from(g * ((x - m) * i));
                        }
                    });
                    let [sum, dot] = sums.map(|s| s.iter().map(|v| *v as f32).collect::<Vec<f32>>());
                    let [sum_m, dot_m] = [&sum, &dot].map(|s| s.iter().map(|v| v / m).collect::<Vec<f32>>());
                    let scale: Vec<f32> = inverse.iter().zip(&layer.weights.used).map(|(i, w)| i * w).collect();
                    g.par_chunks_mut(c * 64).zip(x.par_chunks(c * 64)).for_each(|(g, x)| {
                        for (g, x) in g.chunks_exact_mut(c).zip(x.chunks_exact(c)) {
                            for ((((g, x), (m, i)), s), (sum, dot)) in
                                g.iter_mut().zip(x).zip(mean.iter().zip(&inverse)).zip(&scale).zip(sum_m.iter().zip(&dot_m))
                            {
                                *g = s * (*g - sum - (x - m) * i * dot);
                            }
                        }
                    });
                    layer.weights.gradient.copy_from_slice(&dot);
                    layer.bias.gradient.copy_from_slice(&sum);
                    std::mem::take(&mut g)
                }
                Kind::Neurons { answer, recurrent } => {
                    if answer.has_state() || *recurrent {
                        let law = Law { answer, key: [0; 3] };
                        let mut dx = memory.take(rows * a);
                        let [drive, h] = &layer.saved;
                        if *recurrent {
                            let weights = (&layer.weights.used[..], &mut layer.weights.gradient[..]);
                            back_over_time_among(law, weights, n, drive, h, answers, &g, &mut dx, n * b);
                        } else {
                            back_over_time(law, x, n * b, h, answers, &g, &mut dx);
                        }
                        dx
                    } else {
                        g.par_chunks_mut(4096).zip(x.par_chunks(4096)).for_each(|(g, x)| {
                            g.iter_mut().zip(x).for_each(|(g, x)| *g = graded_back(answer, *x, *g));
                        });
                        std::mem::take(&mut g)
                    }
                }
            };
            memory.give(std::mem::replace(&mut g, new));
        }
        memory.give(g);
        self.memory = memory;
    }

    /// [`Adam`] with decoupled weight decay; of synapses learned by pulses, as many pulses as come nearest to that step: what the synapse cannot hold is lost. Returns writes.
    pub(crate) fn update(&mut self, rate: f64, decay: f64, pulses: Option<(&Synapse, u64)>) -> u64 {
        self.updates += 1;
        let adam = Adam::<f32>::new(rate, self.updates as i32);
        let mut writes = 0;
        for (l, layer) in self.layers.iter_mut().enumerate() {
            let synaptic = !matches!(layer.kind, Kind::Norm);
            for (which, p) in [&mut layer.weights, &mut layer.bias].into_iter().enumerate() {
                let [m, v] = &mut p.moments;
                if let (0, true, Some((s, seed))) = (which, synaptic, pulses) {
                    let w_max = p.fixed.unwrap_or_else(|| s.w_max(&p.latent));
                    let updates = self.updates;
                    writes += p
                        .latent
                        .par_chunks_mut(1024)
                        .zip(p.gradient.par_chunks(1024))
                        .zip(m.par_chunks_mut(1024).zip(v.par_chunks_mut(1024)))
                        .enumerate()
                        .map(|(i, ((w, g), (m, v)))| {
                            let mut stream = Stream::new(seed ^ u64::from(updates) << 20, 0x50 << 56 | (l as u64) << 40 | i as u64);
                            let mut writes = 0;
                            for (((w, g), m), v) in w.iter_mut().zip(g).zip(m).zip(v) {
                                let step = adam.step(*g, m, v);
                                writes += u64::from(s.pulse(w, f64::from(step), w_max, &mut stream));
                            }
                            writes
                        })
                        .sum::<u64>();
                    continue;
                }
                let decay = if which == 0 && synaptic { rate as f32 * decay as f32 } else { 0.0 };
                for (((w, g), m), v) in p.latent.iter_mut().zip(&p.gradient).zip(m).zip(v) {
                    *w -= adam.step(*g, m, v) + decay * *w;
                }
            }
        }
        writes
    }

    /// On a graphics device: the step of the optimiser that [`Net::forward`], [`Net::backward`] and [`Net::update`] are here.
    pub(crate) fn learn_there(&mut self, graphics: &mut Graphics, batch: &Batch<'_>, rate: f64, decay: f64) -> Result<Answers, GpuError> {
        self.updates += 1;
        graphics.learn(batch, Step { rate, decay, number: self.updates })
    }

    /// Takes the state of training back from the device it is on; it stays there too.
    pub(crate) fn fetch(&mut self) -> Result<(), GpuError> {
        let graphics = self.graphics.take();
        let done = graphics.as_ref().map_or(Ok(()), |g| g.download(self));
        self.graphics = graphics;
        done
    }

    /// Everything that a resumed training needs, as bytes.
    pub(crate) fn save(&self) -> Vec<u8> {
        let mut out = self.updates.to_le_bytes().to_vec();
        self.arrays_of_state().for_each(|a| a.iter().for_each(|v| out.extend(v.to_le_bytes())));
        self.layers.iter().flat_map(|l| [l.peak, l.input_peak]).for_each(|v| out.extend(v.to_le_bytes()));
        out
    }

    fn arrays_of_state(&self) -> impl Iterator<Item = &Vec<f32>> {
        self.layers.iter().flat_map(|l| {
            [
                &l.weights.latent,
                &l.weights.moments[0],
                &l.weights.moments[1],
                &l.bias.latent,
                &l.bias.moments[0],
                &l.bias.moments[1],
                &l.running[0],
                &l.running[1],
            ]
        })
    }

    /// Takes up what [`Net::save`] wrote; false if it is of another network.
    pub(crate) fn load(&mut self, bytes: &[u8]) -> bool {
        let wanted: usize = 4 + 4 * (self.arrays_of_state().map(Vec::len).sum::<usize>() + 2 * self.layers.len());
        if bytes.len() != wanted {
            return false;
        }
        let mut words = bytes.chunks_exact(4).map(|c| <[u8; 4]>::try_from(c).expect("four bytes"));
        self.updates = words.next().map_or(0, u32::from_le_bytes);
        let mut fill = |a: &mut Vec<f32>| a.iter_mut().for_each(|v| *v = words.next().map_or(0.0, f32::from_le_bytes));
        for l in &mut self.layers {
            let [w, b] = [&mut l.weights, &mut l.bias].map(|p| {
                let [m, v] = &mut p.moments;
                [&mut p.latent, m, v]
            });
            w.into_iter().for_each(&mut fill);
            b.into_iter().for_each(&mut fill);
            l.running.iter_mut().for_each(&mut fill);
        }
        for l in &mut self.layers {
            for peak in [&mut l.peak, &mut l.input_peak] {
                *peak = words.next().map_or(0.0, f32::from_le_bytes);
            }
        }
        true
    }
}

fn convolution(layer: &Layer, kernel: usize) -> Convolution {
    let [rows, columns, channels] = layer.from;
    Convolution { rows, columns, channels, kernel, width: layer.to[2] }
}

/// Synaptic sums of a dense or convolutional layer.
fn sums(layer: &Layer, x: &[f32], weights: &[f32], rows: usize, y: &mut [f32]) {
    let (a, b) = (size(layer.from), size(layer.to));
    match layer.kind {
        Kind::Conv { kernel } => {
            let c = convolution(layer, kernel);
            let w = c.pack(weights);
            y.par_chunks_mut(GROUP * b).zip(x.par_chunks(GROUP * a)).for_each_init(Scratch::default, |scratch, (y, x)| {
                y.chunks_exact_mut(b).zip(x.chunks_exact(a)).for_each(|(y, x)| c.sums(x, &w, y, scratch));
            });
        }
        _ => product(y, x, weights, [rows, a, b], [false, false], false, gemm::Parallelism::Rayon(0)),
    }
}

/// Largest absolute value.
fn largest(x: &[f32]) -> f32 {
    // Of numbers without their sign the bits have their order, and maxima of integers run in vectors.
    let most = |x: &[f32]| {
        widest(
            #[inline(always)]
            || x.iter().fold(0, |m: u32, v| m.max(v.to_bits() & 0x7FFF_FFFF)),
        )
    };
    f32::from_bits(x.par_chunks(1 << 16).map(most).max().unwrap_or(0))
}

/// Rows of a chunk whose sums are added one after another; those of chunks are added in order, so threads change no bit.
const ROWS: usize = 1024;

/// Two sums over rows of `c` numbers, column by column, of arrays side by side.
fn column_sums(c: usize, arrays: &[&[f32]], add: impl Fn(&[&[f32]], &mut [Vec<f64>; 2]) + Sync) -> [Vec<f64>; 2] {
    let chunks: Vec<[Vec<f64>; 2]> = (0..arrays[0].len().div_ceil(ROWS * c))
        .into_par_iter()
        .map(|chunk| {
            let mut sums = [vec![0.0; c], vec![0.0; c]];
            let end = arrays[0].len().min((chunk + 1) * ROWS * c);
            widest(
                #[inline(always)]
                || {
                    for at in (chunk * ROWS * c..end).step_by(c) {
                        match arrays {
                            [x] => add(&[&x[at..at + c]], &mut sums),
                            [x, y, ..] => add(&[&x[at..at + c], &y[at..at + c]], &mut sums),
                            [] => {}
                        }
                    }
                },
            );
            sums
        })
        .collect();
    let mut all = [vec![0.0; c], vec![0.0; c]];
    for chunk in &chunks {
        all.iter_mut().zip(chunk).for_each(|(a, b)| a.iter_mut().zip(b).for_each(|(a, b)| *a += b));
    }
    all
}

/// Σ over rows of `c` numbers.
fn sum_rows(g: &[f32], c: usize) -> Vec<f32> {
    let [sum, _] = column_sums(c, &[g], |row, [sum, _]| row[0].iter().zip(sum).for_each(|(g, s)| *s += f64::from(*g)));
    sum.iter().map(|v| *v as f32).collect()
}

/// Runs a loop compiled for the widest vectors of this processor; they change no bit.
#[inline(always)]
fn widest<T>(f: impl FnOnce() -> T) -> T {
    pulp::Arch::new().dispatch(f)
}

fn graded(answer: &Answer, x: f32) -> f32 {
    match answer {
        Answer::Linear { top } => x.clamp(0.0, *top),
        Answer::Sigmoid(c) => c.at(x),
        Answer::Tanh => x.tanh(),
        Answer::Sign => {
            if x >= 0.0 {
                1.0
            } else {
                -1.0
            }
        }
        _ => unreachable!("neurons with state run over time"),
    }
}

/// The gradient of a graded answer carried back to its drive.
fn graded_back(answer: &Answer, x: f32, g: f32) -> f32 {
    let slope = match answer {
        Answer::Linear { top } => f32::from(u8::from(x > 0.0 && x < *top)),
        Answer::Sigmoid(c) => return c.back(x, g),
        Answer::Tanh => 1.0 - x.tanh().powi(2),
        Answer::Sign => f32::from(u8::from(x.abs() <= 1.0)),
        _ => unreachable!("neurons with state run over time"),
    };
    g * slope
}

/// Between bounds; what is no number stays none.
#[inline(always)]
fn within(v: f32, low: f32, high: f32) -> f32 {
    let v = if v < low { low } else { v };
    if v > high { high } else { v }
}

/// How many of these drives are not zero within the range of a device, and the sum of their squares there.
fn driven(mapping: &Mapping, drives: &[f32]) -> [f64; 2] {
    let (low, high) = (mapping.x_min.map_or(f32::NEG_INFINITY, |v| v as f32), mapping.x_max.map_or(f32::INFINITY, |v| v as f32));
    let parts: Vec<[f64; 2]> = drives
        .par_chunks(BLOCK)
        .map(|x| {
            let real = x.iter().map(|x| f64::from(within(*x, low, high)));
            real.fold([0.0; 2], |[n, square], x| [n + f64::from(u8::from(x != 0.0)), square + x * x])
        })
        .collect();
    parts.iter().fold([0.0; 2], |[n, square], p| [n + p[0], square + p[1]])
}

/// Surrogate derivative of a spike (arctan; Fang et al., ICCV 2021, 2661).
#[inline(always)]
fn surrogate(k: f32, v: f32) -> f32 {
    let a = std::f32::consts::FRAC_PI_2 * k * v;
    0.5 * k / (1.0 + a * a)
}

/// Read noise of sums, from the variances that their devices add up to.
fn add_noise(y: &mut [f32], variance: &[f32], sigma: f64, counter: [u32; 3], key: [u32; 3]) {
    y.par_chunks_mut(4).zip(variance.par_chunks(4)).enumerate().for_each(|(i, (y, v))| {
        let z = normals([i as u32, counter[0], counter[1], counter[2]], [key[0], key[1]]);
        y.iter_mut().zip(v).zip(z).for_each(|((y, v), z)| *y += sigma as f32 * v.max(0.0).sqrt() * z as f32);
    });
}

/// Weights of neurons among themselves, and what their array does.
struct Feedback<'a> {
    weights: &'a [f32],
    analog: Option<(&'a Synapse, &'a [f32])>,
    /// Range of the converter of the sums.
    peak: &'a mut f32,
    train: bool,
    index: u32,
}

/// Neurons of one block, and what they compute with.
#[derive(Clone, Copy)]
struct Law<'a> {
    answer: &'a Answer,
    /// Of random numbers.
    key: [u32; 3],
}

/// Neurons that one thread takes at a time: their state stays near it over all steps.
const BLOCK: usize = 2048;

impl Law<'_> {
    /// One step of some neurons, the first of which is number `first` of the layer: from state and drive to h, answer and state.
    fn step(&self, first: usize, t: usize, x: &[f32], h: &mut [f32], y: &mut [f32], u: &mut [f32], wait: &mut [u32]) {
        let key = self.key;
        let chance = |i: usize| -> f32 {
            let w = spinloom_base::random::philox4x32([(first + i) as u32, t as u32, key[2], 79], [key[0], key[1]]);
            spinloom_base::random::open_unit(w[0]) as f32
        };
        match self.answer {
            Answer::Membrane { mapping: m, signed, .. } => {
                let (signed, hard, sleeps) = (*signed, m.reset == Reset::Hard, m.refractory_steps > 0);
                let bounds = |low: Option<f64>, high: Option<f64>| {
                    (low.map_or(f32::NEG_INFINITY, |v| v as f32), high.map_or(f32::INFINITY, |v| v as f32))
                };
                let ((low, high), (u_low, u_high)) = (bounds(m.x_min, m.x_max), bounds(m.u_min, m.u_max));
                let (d_on, l_on, gain, d_off, l_off) =
                    (m.decay_on as f32, m.leak_on as f32, m.gain as f32, m.decay_off as f32, m.leak_off as f32);
                // Straight arithmetic, so that the loop runs in vectors: a factor of nought or one in place of each choice.
                let one = |on: bool| f32::from(u8::from(on));
                let (down, hard, soft) = (one(signed), one(hard), one(!hard));
                widest(
                    #[inline(always)]
                    || {
                        for (((h, y), u), x) in h.iter_mut().zip(&mut *y).zip(&mut *u).zip(x) {
                            let v = within(d_on * *u - l_on + gain * within(*x, low, high), u_low, u_high);
                            let (up, under) = (one(v >= 1.0), down * one(v <= -1.0));
                            let s = up - under;
                            let after = v - ((up + under) * hard * v + s * soft);
                            let next = d_off * after - l_off;
                            (*h, *y, *u) = (v, s, if next < u_low { u_low } else { next });
                        }
                    },
                );
                if sleeps {
                    for (((h, y), u), wait) in h.iter_mut().zip(y).zip(u).zip(wait) {
                        if *wait > 0 {
                            // Marks a neuron that slept: no gradient comes back here.
                            (*h, *y, *u) = (f32::NAN, 0.0, 0.0);
                            *wait -= 1;
                        } else if *y != 0.0 {
                            *wait = m.refractory_steps;
                        }
                    }
                }
            }
            Answer::Thermal { decay, slope } => {
                for i in 0..h.len() {
                    h[i] = decay * u[i] + x[i].max(0.0).powi(2);
                    let p = 1.0 - (-((slope * (h[i] - 1.0)).min(20.0)).exp()).exp();
                    y[i] = f32::from(u8::from(chance(i) <= p));
                    u[i] = if y[i] > 0.0 { 0.0 } else { h[i] };
                }
            }
            Answer::Firing(c) => {
                for i in 0..h.len() {
                    y[i] = f32::from(u8::from(chance(i) <= c.at(x[i])));
                }
            }
            Answer::PBit => {
                for i in 0..h.len() {
                    y[i] = if chance(i) <= 0.5 * (1.0 + x[i].tanh()) { 1.0 } else { -1.0 };
                }
            }
            other => y.iter_mut().zip(x).for_each(|(y, x)| *y = graded(other, *x)),
        }
    }

    /// One step back: from the gradient of the answers to that of the drives, with that of the state carried on.
    fn step_back(&self, x: &[f32], h: &[f32], y: &[f32], gs: &[f32], du: &mut [f32], dx: &mut [f32]) {
        match self.answer {
            Answer::Membrane { mapping: m, signed, k } => {
                let (down, soft, k) = (f32::from(u8::from(*signed)), m.reset == Reset::Soft, *k);
                let bounds = |low: Option<f64>, high: Option<f64>| {
                    (low.map_or(f32::NEG_INFINITY, |v| v as f32), high.map_or(f32::INFINITY, |v| v as f32))
                };
                let ((low, high), (u_low, u_high)) = (bounds(m.x_min, m.x_max), bounds(m.u_min, m.u_max));
                let (d_on, gain, d_off) = (m.decay_on as f32, m.gain as f32, m.decay_off as f32);
                widest(
                    #[inline(always)]
                    || {
                        for (((((dx, du), gs), x), h), y) in dx.iter_mut().zip(du).zip(gs).zip(x).zip(h).zip(y) {
                            let d = surrogate(k, h - 1.0) + down * surrogate(k, h + 1.0);
                            let kept = if soft | (*y == 0.0) { d_off } else { 0.0 };
                            let dh = gs * d + *du * kept;
                            // The end of a track: gradients that lead back from it pass. A neuron that slept has none.
                            let stopped = ((*h <= u_low) & (dh > 0.0)) | ((*h >= u_high) & (dh < 0.0)) | h.is_nan();
                            let dh = if stopped { 0.0 } else { dh };
                            let now = gain * dh;
                            let clipped = ((*x < low) & (now > 0.0)) | ((*x > high) & (now < 0.0));
                            *dx = if clipped { 0.0 } else { now };
                            *du = d_on * dh;
                        }
                    },
                );
            }
            Answer::Thermal { decay, slope } => {
                for i in 0..dx.len() {
                    // P = 1 − e^(−e^a): dP/dh = slope e^(a − e^a).
                    let a = (slope * (h[i] - 1.0)).min(20.0);
                    let d = slope * (a - a.exp()).exp();
                    let dh = gs[i] * d + if y[i] > 0.0 { 0.0 } else { du[i] };
                    dx[i] = dh * 2.0 * x[i].max(0.0);
                    du[i] = decay * dh;
                }
            }
            Answer::Firing(c) => dx.iter_mut().zip(gs.iter().zip(x)).for_each(|(d, (g, x))| *d = c.back(*x, *g)),
            Answer::PBit => dx.iter_mut().zip(gs.iter().zip(x)).for_each(|(d, (g, x))| *d = g * (1.0 - x.tanh().powi(2))),
            other => dx.iter_mut().zip(gs.iter().zip(x)).for_each(|(d, (g, x))| *d = graded_back(other, *x, *g)),
        }
    }
}

/// Neurons over time, from drives `x` of one step or of all to answers `y`; `h` is kept for the way back.
fn over_time(law: Law<'_>, x: &[f32], width: usize, h: &mut [f32], y: &mut [f32]) {
    let repeated = x.len() == width;
    let steps = y.len() / width;
    // Of each block its part of every step.
    let mut blocks: Vec<Vec<(&mut [f32], &mut [f32])>> = (0..width.div_ceil(BLOCK)).map(|_| Vec::with_capacity(steps)).collect();
    for (h, y) in h.chunks_mut(width).zip(y.chunks_mut(width)) {
        blocks.iter_mut().zip(h.chunks_mut(BLOCK).zip(y.chunks_mut(BLOCK))).for_each(|(b, part)| b.push(part));
    }
    blocks.par_iter_mut().enumerate().for_each(|(b, parts)| {
        let n = parts[0].0.len();
        let (mut u, mut wait) = ([0.0f32; BLOCK], [0u32; BLOCK]);
        for (t, (h, y)) in parts.iter_mut().enumerate() {
            let from = if repeated { 0 } else { t * width } + b * BLOCK;
            law.step(b * BLOCK, t, &x[from..from + n], h, y, &mut u[..n], &mut wait[..n]);
        }
    });
}

/// The way back of [`over_time`], from the gradient of the answers: overwrites `dx`, of one step or of all.
fn back_over_time(law: Law<'_>, x: &[f32], width: usize, h: &[f32], y: &[f32], g: &[f32], dx: &mut [f32]) {
    let repeated = x.len() == width;
    let steps = y.len() / width;
    let mut blocks: Vec<Vec<&mut [f32]>> = (0..width.div_ceil(BLOCK)).map(|_| Vec::new()).collect();
    for dx in dx.chunks_mut(width) {
        blocks.iter_mut().zip(dx.chunks_mut(BLOCK)).for_each(|(b, part)| b.push(part));
    }
    blocks.par_iter_mut().enumerate().for_each(|(b, parts)| {
        let n = parts[0].len();
        let (mut du, mut now) = ([0.0f32; BLOCK], [0.0f32; BLOCK]);
        if repeated {
            parts[0].fill(0.0);
        }
        for t in (0..steps).rev() {
            let at = t * width + b * BLOCK..t * width + b * BLOCK + n;
            let from = if repeated { b * BLOCK } else { at.start };
            let (h, y, g, x) = (&h[at.clone()], &y[at.clone()], &g[at], &x[from..from + n]);
            if repeated {
                law.step_back(x, h, y, g, &mut du[..n], &mut now[..n]);
                parts[0].iter_mut().zip(&now).for_each(|(d, v)| *d += v);
            } else {
                law.step_back(x, h, y, g, &mut du[..n], parts[t]);
            }
        }
    });
}

/// Neurons among which there are weights, step by step. `drive` keeps what drove them.
fn over_time_among(law: Law<'_>, r: Feedback<'_>, x: &[f32], n: usize, drive: &mut [f32], h: &mut [f32], y: &mut [f32], width: usize) {
    let (mut u, mut wait) = (vec![0.0f32; width], vec![0u32; width]);
    let features = width / n;
    let key = law.key;
    for t in 0..y.len() / width {
        let from = if x.len() == y.len() { t * width } else { 0 };
        let (past, now) = y.split_at_mut(t * width);
        let drive = &mut drive[t * width..][..width];
        drive.copy_from_slice(&x[from..from + width]);
        if t > 0 {
            let (before, dims, all) = (&past[(t - 1) * width..], [n, features, features], gemm::Parallelism::Rayon(0));
            let mut sums = vec![0.0; width];
            product(&mut sums, before, r.weights, dims, [false, false], false, all);
            if r.train {
                *r.peak = sums.iter().fold(0.98 * *r.peak, |m, v| m.max(v.abs()));
            }
            if let Some((synapse, squares)) = r.analog {
                if synapse.read_noise > 0.0 {
                    let square: Vec<f32> = before.iter().map(|x| x * x).collect();
                    let mut variance = vec![0.0; width];
                    product(&mut variance, &square, squares, dims, [false, false], false, all);
                    add_noise(&mut sums, &variance, synapse.read_noise, [key[2], r.index << 16 | t as u32, 85], key);
                }
                Synapse::convert(synapse.adc_bits, &mut sums, *r.peak);
            }
            drive.iter_mut().zip(&sums).for_each(|(d, y)| *d += y);
        }
        law.step(0, t, drive, &mut h[t * width..][..width], &mut now[..width], &mut u, &mut wait);
    }
}

/// The way back of [`over_time_among`]; overwrites the gradient of the recurrent weights.
fn back_over_time_among(
    law: Law<'_>,
    (weights, gradient): (&[f32], &mut [f32]),
    n: usize,
    drive: &[f32],
    h: &[f32],
    y: &[f32],
    g: &[f32],
    dx: &mut [f32],
    width: usize,
) {
    let features = width / n;
    let steps = y.len() / width;
    let repeated = dx.len() == width && steps > 1;
    let (mut du, mut later, mut ds, mut now) = (vec![0.0f32; width], vec![0.0f32; width], vec![0.0f32; width], vec![0.0f32; width]);
    gradient.fill(0.0);
    dx.fill(0.0);
    for t in (0..steps).rev() {
        let at = t * width..(t + 1) * width;
        ds.copy_from_slice(&g[at.clone()]);
        if t + 1 < steps {
            // `later` is the gradient of the drive one step on, to which this step's outputs added.
            let all = gemm::Parallelism::Rayon(0);
            product(&mut ds, &later, weights, [n, features, features], [false, true], true, all);
            product(gradient, &y[at.clone()], &later, [features, n, features], [true, false], true, all);
        }
        law.step_back(&drive[at.clone()], &h[at.clone()], &y[at.clone()], &ds, &mut du, &mut now);
        let to = if repeated { 0..width } else { at };
        dx[to].iter_mut().zip(&now).for_each(|(d, v)| *d += v);
        std::mem::swap(&mut later, &mut now);
    }
}

/// Cross-entropy of softmax(scale × mean over steps of the outputs): mean loss, answers, gradient of the outputs.
pub(crate) fn cross_entropy(y: &[f32], steps: usize, n: usize, classes: usize, labels: &[u8], scale: f32) -> (f64, Vec<usize>, Vec<f32>) {
    let mut gradient = vec![0.0f32; y.len()];
    let mut answers = Vec::with_capacity(n);
    let mut loss = 0.0;
    for i in 0..n {
        let mut p: Vec<f32> =
            (0..classes).map(|c| scale / steps as f32 * (0..steps).map(|t| y[(t * n + i) * classes + c]).sum::<f32>()).collect();
        answers.push((0..classes).max_by(|&a, &b| p[a].total_cmp(&p[b])).unwrap_or(0));
        let label = usize::from(labels[i]);
        loss += f64::from(softmax(&mut p, 1.0, label));
        for c in 0..classes {
            let d = (p[c] - f32::from(u8::from(c == label))) * scale / (steps * n) as f32;
            (0..steps).for_each(|t| gradient[(t * n + i) * classes + c] = d);
        }
    }
    (loss / n as f64, answers, gradient)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loss(net: &mut Net, x: &[f32], steps_in: usize, labels: &[u8]) -> f64 {
        net.realise(None, None);
        let (y, steps) = net.forward(x.to_vec(), steps_in, labels.len(), Pass::Train, None, [1, 2, 3]);
        cross_entropy(&y, steps, labels.len(), 3, labels, 2.0).0
    }

    /// Smooth layers have exact gradients: finite differences of every kind of weight.
    #[test]
    fn gradients_are_those_of_finite_differences() {
        let kinds = vec![
            (Kind::Conv { kernel: 3 }, 4),
            (Kind::Norm, 0),
            (Kind::Neurons { answer: Answer::Tanh, recurrent: false }, 0),
            (Kind::Pool { size: 2 }, 0),
            (Kind::Dense, 5),
            (Kind::Neurons { answer: Answer::Sigmoid(Curve::IDEAL), recurrent: true }, 0),
            (Kind::Dense, 3),
        ];
        let mut net = Net::new([4, 4, 2], kinds, 3, 1);
        let mut stream = Stream::new(5, 5);
        let x: Vec<f32> = (0..3 * 2 * 32).map(|_| stream.normal() as f32).collect();
        let labels = [0u8, 2];
        net.realise(None, None);
        let (y, steps) = net.forward(x.clone(), 3, 2, Pass::Train, None, [1, 2, 3]);
        assert_eq!(steps, 3);
        let (_, _, g) = cross_entropy(&y, steps, 2, 3, &labels, 2.0);
        net.backward(g, 2);
        for l in [0, 1, 4, 5, 6] {
            for at in [0, 3] {
                let exact = f64::from(net.layers[l].weights.gradient[at]);
                let h = 1e-2f32;
                let w = net.layers[l].weights.latent[at];
                net.layers[l].weights.latent[at] = w + h;
                let up = loss(&mut net, &x, 3, &labels);
                net.layers[l].weights.latent[at] = w - h;
                let down = loss(&mut net, &x, 3, &labels);
                net.layers[l].weights.latent[at] = w;
                let found = (up - down) / f64::from(2.0 * h);
                // Third order of h and the rounding of f32.
                assert!((found - exact).abs() < 2e-3 * exact.abs().max(0.05), "layer {l}, weight {at}: {found} {exact}");
            }
        }
    }

    /// Behind recurrent weights a layer reads its own array: with noise in none but the last its squares are those of the last.
    #[test]
    fn every_array_has_its_own_noise() {
        let kinds = vec![(Kind::Dense, 2), (Kind::Neurons { answer: Answer::Tanh, recurrent: true }, 0), (Kind::Dense, 3)];
        let mut net = Net::new([1, 1, 6], kinds, 3, 1);
        let synapse = Synapse { read_noise: 0.1, ..Synapse::default() };
        let squares = net.realise(Some(&synapse), Some((1, 0)));
        assert_eq!(squares.iter().map(Vec::len).collect::<Vec<_>>(), [12, 4, 6]);
        let x = vec![0.5f32; 6];
        let run = |net: &mut Net, squares: &[Vec<f32>]| {
            let analog = Analog { synapse: &synapse, squares: squares.to_vec() };
            net.forward(x.clone(), 1, 1, Pass::Test, Some(&analog), [1, 2, 3]).0
        };
        let quiet: Vec<Vec<f32>> = squares.iter().map(|s| vec![0.0; s.len()]).collect();
        let none = run(&mut net, &quiet);
        for k in 0..3 {
            let mut one = quiet.clone();
            one[k] = squares[k].clone();
            let noisy = run(&mut net, &one);
            // Each array alone moves the outputs; recurrent sums come in from the second step on.
            let first = usize::from(k == 1) * 3;
            assert!(noisy[..first] == none[..first] && noisy[first..] != none[first..], "array {k}: {noisy:?} {none:?}");
        }
    }

    #[test]
    fn a_membrane_is_the_mapping_it_was_given() {
        let mapping = crate::neuron::NeuronModel::ideal_lif(0.9, Reset::Soft).mapping;
        let answer = Answer::Membrane { mapping: Box::new(mapping.clone()), signed: true, k: 2.0 };
        let x: Vec<f32> = vec![0.7, -0.8];
        let (mut h, mut y) = (vec![0.0; 40], vec![0.0; 40]);
        over_time(Law { answer: &answer, key: [0; 3] }, &x, 2, &mut h, &mut y);
        // Up as the mapping says, down its mirror image.
        let (mut u, mut spikes) = (0.0, 0.0);
        for _ in 0..20 {
            let (_, fires, next) = mapping.step(u, 0.7);
            u = next;
            spikes += f64::from(u8::from(fires));
        }
        let up: f32 = y.iter().step_by(2).sum();
        let down: f32 = y.iter().skip(1).step_by(2).sum();
        assert_eq!(f64::from(up), spikes);
        assert!(down < -1.0 && y.iter().skip(1).step_by(2).all(|y| *y <= 0.0), "{down}");
    }

    #[test]
    fn a_saved_network_goes_on_with_the_same_bits() {
        let build = || {
            Net::new(
                [1, 1, 6],
                vec![(Kind::Dense, 8), (Kind::Norm, 0), (Kind::Neurons { answer: Answer::PBit, recurrent: false }, 0), (Kind::Dense, 3)],
                4,
                2,
            )
        };
        let x: Vec<f32> = (0..24).map(|i| (i as f32 * 0.37).sin()).collect();
        let step = |net: &mut Net| {
            net.realise(None, None);
            let (y, steps) = net.forward(x.clone(), 1, 4, Pass::Train, None, [9, 9, 9]);
            let (_, _, g) = cross_entropy(&y, steps, 4, 3, &[0, 1, 2, 0], 1.0);
            net.backward(g, 4);
            net.update(1e-2, 1e-3, None);
        };
        let mut one = build();
        (0..3).for_each(|_| step(&mut one));
        let saved = one.save();
        (0..3).for_each(|_| step(&mut one));
        let mut two = build();
        assert!(two.load(&saved) && !two.load(&saved[4..]));
        (0..3).for_each(|_| step(&mut two));
        assert_eq!(one.save(), two.save());
    }
}
