//! One pass of a chunk of samples through the network and back: the arithmetic, and nothing else.
//!
//! The network is feed-forward, so a layer runs over all T steps at once: one matrix product of (T·n × K)·(K × N) gives every synaptic sum, then
//! the membrane runs through time as a plain loop. Backward likewise. Arrays are `[step][sample][neuron]`, weights `[from][to]`, row-major.
//!
//! The gradient is that of backpropagation through time with the derivative of a smooth step in place of the derivative of the spike
//! (surrogate gradient; Neftci, Mostafa and Zenke, IEEE Signal Process. Mag. 36, 51 (2019)). With [`Spike::smooth`] the spike itself is the
//! smooth step, and the gradient is exact: that is how it is tested against finite differences, in f64.
//!
//! A chunk is the unit of work of a thread, and of rounding: gradients of chunks are added in order, so the number of threads changes no bit.

use crate::encode::{Trains, domain};
use crate::neuron::{Mapping, Reset};
use crate::optimiser::softmax;
use serde::{Deserialize, Serialize};
use spinloom_base::random::normals;

/// Samples per chunk. Part of the definition of the result (it fixes the order of sums); large enough for the matrix products, small enough
/// that a chunk's arrays stay near the processor.
pub(crate) const CHUNK: usize = 32;

/// f32, in which networks run, or f64, in which gradients are checked.
pub(crate) trait Real:
    Copy
    + Send
    + Sync
    + Default
    + PartialOrd
    + 'static
    + std::ops::Add<Output = Self>
    + std::ops::Sub<Output = Self>
    + std::ops::Mul<Output = Self>
    + std::ops::Div<Output = Self>
    + std::ops::AddAssign
    + std::ops::SubAssign
{
    const ONE: Self;
    fn of(v: f64) -> Self;
    fn f64(self) -> f64;
    fn abs(self) -> Self;
    fn max(self, o: Self) -> Self;
    fn min(self, o: Self) -> Self;
}

macro_rules! real {
    ($t:ty) => {
        impl Real for $t {
            const ONE: Self = 1.0;
            #[inline(always)]
            fn of(v: f64) -> Self {
                v as $t
            }
            #[inline(always)]
            fn f64(self) -> f64 {
                f64::from(self)
            }
            #[inline(always)]
            fn abs(self) -> Self {
                <$t>::abs(self)
            }
            // Not `<$t>::max`: that also orders not-a-number, which the vector instruction does not.
            #[inline(always)]
            fn max(self, o: Self) -> Self {
                if self > o { self } else { o }
            }
            #[inline(always)]
            fn min(self, o: Self) -> Self {
                if self < o { self } else { o }
            }
        }
    };
}
real!(f32);
real!(f64);

/// Runs a loop compiled for the widest vectors of this processor. Rust never fuses a·b+c, so the width changes no bit.
#[inline(always)]
fn widest<T>(f: impl FnOnce() -> T) -> T {
    pulp::Arch::new().dispatch(f)
}

/// The smooth step whose derivative stands in for that of the spike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Surrogate {
    /// ½ + ½ k u/(1 + k|u|), derivative (k/2)/(1 + k|u|)² (Zenke and Ganguli, Neural Comput. 30, 1514 (2018), up to the factor).
    FastSigmoid,
    /// ½ + arctan(π k u/2)/π, derivative (k/2)/(1 + (π k u/2)²) (Fang et al., ICCV 2021, 2661, equation 17 with k = 2).
    Arctan,
}

/// How spikes are made and differentiated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spike {
    pub(crate) surrogate: Surrogate,
    pub(crate) slope: f64,
    /// The spike is the smooth step itself.
    pub(crate) smooth: bool,
    /// The reset counts as constant in the gradient.
    pub(crate) detach_reset: bool,
}

/// The numbers of a [`Mapping`] in the precision of the network, absent bounds at infinity.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dynamics<R> {
    decay_on: R,
    leak_on: R,
    gain: R,
    decay_off: R,
    leak_off: R,
    u_min: R,
    u_max: R,
    x_min: R,
    x_max: R,
    /// After a spike u = h − s (reset_h h + reset_1): (1, 0) for hard, (0, 1) for soft reset.
    reset_h: R,
    reset_1: R,
    refractory: u32,
}

impl<R: Real> Dynamics<R> {
    pub(crate) fn of(m: &Mapping) -> Self {
        let hard = if m.reset == Reset::Hard { 1.0 } else { 0.0 };
        Self {
            decay_on: R::of(m.decay_on),
            leak_on: R::of(m.leak_on),
            gain: R::of(m.gain),
            decay_off: R::of(m.decay_off),
            leak_off: R::of(m.leak_off),
            u_min: R::of(m.u_min.unwrap_or(f64::NEG_INFINITY)),
            u_max: R::of(m.u_max.unwrap_or(f64::INFINITY)),
            x_min: R::of(m.x_min.unwrap_or(f64::NEG_INFINITY)),
            x_max: R::of(m.x_max.unwrap_or(f64::INFINITY)),
            reset_h: R::of(hard),
            reset_1: R::of(1.0 - hard),
            refractory: m.refractory_steps,
        }
    }

    /// Membrane at the end of the driven part: [`crate::neuron`], line `h`.
    #[inline(always)]
    fn peak(&self, u: R, x: R) -> R {
        let c = x.max(self.x_min).min(self.x_max);
        (self.decay_on * u - self.leak_on + self.gain * c).max(self.u_min).min(self.u_max)
    }

    /// Membrane at the end of the step: [`crate::neuron`], line `u`.
    #[inline(always)]
    fn rest(&self, h: R, s: R) -> R {
        (self.decay_off * (h - s * (self.reset_h * h + self.reset_1)) - self.leak_off).max(self.u_min)
    }
}

/// Read noise of crossbars: per layer the sum of squared conductances of each pair (in weight units), and where the random numbers start.
pub(crate) struct ReadNoise<'a, R> {
    pub(crate) squares: &'a [Vec<R>],
    /// Relative noise of one read of one device (standard deviation).
    pub(crate) sigma: f64,
    pub(crate) key: [u32; 2],
    pub(crate) chip: u32,
}

struct Layer<R> {
    /// Synaptic sums; after the way back, the gradient with respect to them.
    x: Vec<R>,
    /// Membrane at the end of `on`.
    h: Vec<R>,
    spikes: Vec<R>,
    /// 0 where the device is still resetting, else 1; empty if the neuron has no refractory steps.
    awake: Vec<R>,
    gradient: Vec<R>,
}

/// What layers did in an evaluation, summed over samples.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct LayerCounts {
    pub(crate) spikes: u64,
    /// (Neuron, sample) pairs with at least one spike.
    pub(crate) active: u64,
    /// (Neuron, step) pairs whose drive was below or above the valid range, and those that could integrate at all.
    pub(crate) below: u64,
    pub(crate) above: u64,
    pub(crate) awake: u64,
    /// (Neuron, step) pairs with a drive other than zero, and Σ c² over them.
    pub(crate) driven: u64,
    pub(crate) drive_squared: f64,
}

impl LayerCounts {
    pub(crate) fn add(&mut self, o: &LayerCounts) {
        self.spikes += o.spikes;
        self.active += o.active;
        self.below += o.below;
        self.above += o.above;
        self.awake += o.awake;
        self.driven += o.driven;
        self.drive_squared += o.drive_squared;
    }
}

/// Memory for one chunk of samples; nothing is allocated once it has been used.
pub(crate) struct Chunk<R> {
    widths: Vec<usize>,
    steps: usize,
    pub(crate) trains: Trains,
    pub(crate) labels: Vec<u8>,
    /// Which sample of the data set each one is (for the read noise).
    pub(crate) samples: Vec<u32>,
    layers: Vec<Layer<R>>,
    membrane: Vec<R>,
    wait: Vec<R>,
    spike_gradient: Vec<R>,
    row: Vec<R>,
    /// Spikes of each output neuron, `[sample][class]`.
    pub(crate) counts: Vec<R>,
    count_gradient: Vec<R>,
    /// Summed cross-entropy of the chunk.
    pub(crate) loss: f64,
    /// What each layer did, as of the last [`Chunk::count`].
    pub(crate) activity: Vec<LayerCounts>,
}

impl<R: Real> Chunk<R> {
    pub(crate) fn new(widths: &[usize], steps: usize, learn: bool) -> Self {
        let layers = widths
            .windows(2)
            .map(|w| Layer {
                x: Vec::new(),
                h: Vec::new(),
                spikes: Vec::new(),
                awake: Vec::new(),
                gradient: if learn { vec![R::default(); (w[0] + 1) * w[1]] } else { Vec::new() },
            })
            .collect();
        Self {
            widths: widths.to_vec(),
            steps,
            trains: Trains::default(),
            labels: Vec::new(),
            samples: Vec::new(),
            layers,
            membrane: Vec::new(),
            wait: Vec::new(),
            spike_gradient: Vec::new(),
            row: Vec::new(),
            counts: Vec::new(),
            count_gradient: Vec::new(),
            loss: 0.0,
            activity: Vec::new(),
        }
    }

    pub(crate) fn clear(&mut self) {
        self.trains.clear();
        self.labels.clear();
        self.samples.clear();
    }

    /// Gradient of the summed loss with respect to the weights of a layer, as of the last [`Chunk::backward`].
    pub(crate) fn gradient(&self, layer: usize) -> &[R] {
        &self.layers[layer].gradient
    }

    /// Spikes of one sample's output neuron at a step.
    pub(crate) fn output_spike(&self, step: usize, sample: usize, class: usize) -> R {
        let width = self.widths[self.widths.len() - 1];
        self.layers[self.layers.len() - 1].spikes[(step * self.labels.len() + sample) * width + class]
    }

    /// Runs the samples in `trains`, `labels`, `samples` through the network. Overwrites `counts` and `loss`; `count_scale` turns a count of output spikes
    /// into a logit.
    pub(crate) fn forward(
        &mut self,
        weights: &[Vec<R>],
        dynamics: &Dynamics<R>,
        spike: &Spike,
        count_scale: f64,
        noise: Option<&ReadNoise<R>>,
    ) {
        let (n, steps) = (self.labels.len(), self.steps);
        for l in 0..self.layers.len() {
            let width = self.widths[l + 1];
            let size = steps * n * width;
            let (before, rest) = self.layers.split_at_mut(l);
            let layer = &mut rest[0];
            for buffer in [&mut layer.x, &mut layer.h, &mut layer.spikes] {
                buffer.resize(size, R::default());
            }
            // The last row of the weights is the bias, an input that is always on.
            let product = |w: &[R], out: &mut [R], row: &mut Vec<R>, trains: &Trains| {
                let (w, bias) = w.split_at(self.widths[l] * width);
                match before.last() {
                    None => sum_rows(trains, w, bias, n, steps, width, out, row),
                    Some(previous) => {
                        multiply(out, &previous.spikes, w, steps * n, self.widths[l], width);
                        out.chunks_exact_mut(width).for_each(|out| out.iter_mut().zip(bias).for_each(|(o, &b)| *o += b));
                    }
                }
            };
            product(&weights[l], &mut layer.x, &mut self.row, &self.trains);
            if let Some(noise) = noise {
                // Independent Gaussian noise of every device read adds up to one Gaussian on the sum.
                self.spike_gradient.resize(size, R::default());
                product(&noise.squares[l], &mut self.spike_gradient, &mut self.row, &self.trains);
                add_read_noise(&mut layer.x, &self.spike_gradient, &self.samples, noise, l, width);
            }
            self.membrane.clear();
            self.membrane.resize(n * width, R::default());
            if dynamics.refractory > 0 {
                layer.awake.resize(size, R::default());
                self.wait.clear();
                self.wait.resize(n * width, R::default());
            }
            let (u, wait) = (&mut self.membrane[..], &mut self.wait[..]);
            let k = R::of(spike.slope);
            match (spike.smooth, spike.surrogate) {
                (false, _) => integrate_and_fire(dynamics, layer, u, wait, |v| if v >= R::default() { R::ONE } else { R::default() }),
                (true, Surrogate::FastSigmoid) => {
                    integrate_and_fire(dynamics, layer, u, wait, |v| R::of(0.5) + R::of(0.5) * k * v / (R::ONE + k * v.abs()))
                }
                (true, Surrogate::Arctan) => integrate_and_fire(dynamics, layer, u, wait, |v| {
                    R::of(0.5 + (std::f64::consts::FRAC_PI_2 * spike.slope * v.f64()).atan() / std::f64::consts::PI)
                }),
            }
        }
        self.cross_entropy(count_scale);
    }

    /// Cross-entropy of softmax(count_scale · counts): loss, and its gradient with respect to the counts.
    fn cross_entropy(&mut self, count_scale: f64) {
        let n = self.labels.len();
        let width = self.widths[self.widths.len() - 1];
        self.counts.clear();
        self.counts.resize(n * width, R::default());
        self.count_gradient.resize(n * width, R::default());
        let output = self.layers.last().expect("a network has layers");
        for spikes in output.spikes.chunks_exact(n * width) {
            for (c, &s) in self.counts.iter_mut().zip(spikes) {
                *c += s;
            }
        }
        self.loss = 0.0;
        let mut p: Vec<f64> = Vec::with_capacity(width);
        for ((counts, gradient), &label) in
            self.counts.chunks_exact(width).zip(self.count_gradient.chunks_exact_mut(width)).zip(&self.labels)
        {
            let label = usize::from(label);
            p.clear();
            p.extend(counts.iter().map(|c| c.f64()));
            self.loss += softmax(&mut p, count_scale, label);
            for (class, (g, p)) in gradient.iter_mut().zip(&p).enumerate() {
                *g = R::of(count_scale * (p - if class == label { 1.0 } else { 0.0 }));
            }
        }
    }

    /// Gradients of the summed loss after [`Chunk::forward`]; overwrites the synaptic sums.
    pub(crate) fn backward(&mut self, weights: &[Vec<R>], dynamics: &Dynamics<R>, spike: &Spike) {
        let (n, steps) = (self.labels.len(), self.steps);
        for l in (0..self.layers.len()).rev() {
            let width = self.widths[l + 1];
            let size = steps * n * width;
            self.spike_gradient.resize(size.max(self.spike_gradient.len()), R::default());
            if l + 1 == self.layers.len() {
                for g in self.spike_gradient[..size].chunks_exact_mut(n * width) {
                    g.copy_from_slice(&self.count_gradient);
                }
            } else {
                let above = &self.layers[l + 1];
                let w = &weights[l + 1][..width * self.widths[l + 2]];
                multiply_transposed(&mut self.spike_gradient[..size], &above.x, w, steps * n, self.widths[l + 2], width);
            }
            let (before, rest) = self.layers.split_at_mut(l);
            let layer = &mut rest[0];
            self.membrane.clear();
            self.membrane.resize(n * width, R::default());
            let (gs, gu) = (&self.spike_gradient[..size], &mut self.membrane[..]);
            let k = R::of(spike.slope);
            let half = R::of(0.5 * spike.slope);
            match spike.surrogate {
                Surrogate::FastSigmoid => back_through_time(dynamics, spike, layer, gs, gu, |v| {
                    let d = R::ONE + k * v.abs();
                    half / (d * d)
                }),
                Surrogate::Arctan => {
                    let q = R::of(std::f64::consts::FRAC_PI_2 * spike.slope);
                    back_through_time(dynamics, spike, layer, gs, gu, |v| half / (R::ONE + (q * v) * (q * v)));
                }
            }
            let (gradient, bias) = layer.gradient.split_at_mut(self.widths[l] * width);
            match before.last() {
                None => scatter_rows(&self.trains, &layer.x, n, steps, width, gradient, &mut self.row),
                Some(previous) => multiply_by_columns(gradient, &previous.spikes, &layer.x, steps * n, self.widths[l], width),
            }
            bias.fill(R::default());
            layer.x.chunks_exact(width).for_each(|x| bias.iter_mut().zip(x).for_each(|(b, &x)| *b += x));
        }
    }

    /// Mean square, over samples and neurons of layer `l`, of the synaptic sum averaged over time in the last [`Chunk::forward`].
    pub(crate) fn mean_square_drive(&mut self, l: usize) -> f64 {
        let every = self.labels.len() * self.widths[l + 1];
        self.row.clear();
        self.row.resize(every, R::default());
        for x in self.layers[l].x.chunks_exact(every) {
            for (sum, &x) in self.row.iter_mut().zip(x) {
                *sum += x;
            }
        }
        self.row.iter().map(|sum| (sum.f64() / self.steps as f64).powi(2)).sum::<f64>() / every as f64
    }

    /// Counts what every layer did in the last [`Chunk::forward`]; overwrites `activity`.
    pub(crate) fn count(&mut self, d: &Dynamics<R>) {
        let n = self.labels.len();
        self.activity.clear();
        for (layer, width) in self.layers.iter().zip(&self.widths[1..]) {
            let every = n * width;
            self.row.clear();
            self.row.resize(every, R::default());
            let mut sum = LayerCounts::default();
            for t in 0..self.steps {
                let at = t * every..(t + 1) * every;
                let (x, s, fired) = (&layer.x[at.clone()], &layer.spikes[at.clone()], &mut self.row[..]);
                let awake = if layer.awake.is_empty() { None } else { Some(&layer.awake[at]) };
                let step = widest(
                    #[inline(always)]
                    move || match awake {
                        None => tally(d, x.iter().zip(s).zip(fired).map(|((&x, &s), f)| (x, s, f, true))),
                        Some(awake) => {
                            let rows = x.iter().zip(s).zip(fired).zip(awake);
                            tally(d, rows.map(|(((&x, &s), f), &awake)| (x, s, f, awake > R::default())))
                        }
                    },
                );
                sum.add(&step);
            }
            sum.active = self.row.iter().filter(|f| **f > R::default()).count() as u64;
            self.activity.push(sum);
        }
    }
}

/// One step of a layer, counted. Items: synaptic sum, spike, whether the neuron has fired so far, whether it can integrate.
#[inline(always)]
fn tally<'a, R: Real>(d: &Dynamics<R>, neurons: impl Iterator<Item = (R, R, &'a mut R, bool)>) -> LayerCounts {
    let (mut below, mut above, mut driven, mut awake, mut spikes) = (0u32, 0u32, 0u32, 0u32, 0u32);
    let mut squares = R::default();
    for (x, s, fired, on) in neurons {
        let c = x.max(d.x_min).min(d.x_max);
        let c = if on { c } else { R::default() };
        awake += u32::from(on);
        below += u32::from(on & (x < d.x_min));
        above += u32::from(on & (x > d.x_max));
        driven += u32::from(c != R::default());
        squares += c * c;
        spikes += u32::from(s > R::default());
        *fired = fired.max(s);
    }
    LayerCounts {
        spikes: spikes.into(),
        active: 0,
        below: below.into(),
        above: above.into(),
        awake: awake.into(),
        driven: driven.into(),
        drive_squared: squares.f64(),
    }
}

/// The membrane of a layer through all steps: u and `wait` start at zero.
fn integrate_and_fire<R: Real>(d: &Dynamics<R>, layer: &mut Layer<R>, u: &mut [R], wait: &mut [R], fire: impl Fn(R) -> R + Copy) {
    let every = u.len();
    for (t, ((x, h), s)) in
        layer.x.chunks_exact(every).zip(layer.h.chunks_exact_mut(every)).zip(layer.spikes.chunks_exact_mut(every)).enumerate()
    {
        let d = *d;
        if d.refractory == 0 {
            let u = &mut *u;
            widest(
                #[inline(always)]
                move || {
                    for (((u, &x), h), s) in u.iter_mut().zip(x).zip(h).zip(s) {
                        *h = d.peak(*u, x);
                        *s = fire(*h - R::ONE);
                        *u = d.rest(*h, *s);
                    }
                },
            );
        } else {
            let steps = R::of(f64::from(d.refractory));
            let awake = &mut layer.awake[t * every..(t + 1) * every];
            for (((((u, wait), &x), h), s), awake) in u.iter_mut().zip(wait.iter_mut()).zip(x).zip(h).zip(s).zip(awake) {
                *awake = if *wait > R::default() { R::default() } else { R::ONE };
                // A device that is resetting stands at reset, takes no drive and gives no spike.
                *h = d.peak(*u, x) * *awake;
                *s = fire(*h - R::ONE) * *awake;
                *u = d.rest(*h, *s) * *awake;
                *wait = if *h >= R::ONE { steps } else { (*wait - R::ONE).max(R::default()) };
            }
        }
    }
}

/// From gradients with respect to the spikes (`gs`) to those with respect to the synaptic sums (in place of them). `gu` starts at zero.
///
/// Where a drive is clipped to what the device can take, nothing passes: the true derivative. Two others were tried, with a wall that takes eight
/// pulses of 7e11 A/m² to fire, on 6000 digits of MNIST for four epochs (validation accuracy): true derivative 91 %; passing what would move the
/// drive back into its range 87 %, as it favours one direction; passing all ("straight through") 7 %, as drives run away beyond the range.
fn back_through_time<R: Real>(d: &Dynamics<R>, spike: &Spike, layer: &mut Layer<R>, gs: &[R], gu: &mut [R], slope: impl Fn(R) -> R + Copy) {
    let zero = R::default();
    let every = gu.len();
    let d = *d;
    let attached = if spike.detach_reset { zero } else { R::ONE };
    let refractory = d.refractory > 0;
    for t in (0..layer.x.len() / every).rev() {
        let at = t * every..(t + 1) * every;
        let (x, h, s, gs) = (&mut layer.x[at.clone()], &layer.h[at.clone()], &layer.spikes[at.clone()], &gs[at.clone()]);
        let u = &mut *gu;
        widest(
            #[inline(always)]
            move || {
                for ((((gu, x), &h), &s), &gs) in u.iter_mut().zip(x).zip(h).zip(s).zip(gs) {
                    let jump = d.reset_h * h + d.reset_1;
                    // End of the step: nothing flows through the lower stop.
                    let free = d.decay_off * (h - s * jump) - d.leak_off > d.u_min;
                    let after = if free { *gu * d.decay_off } else { zero };
                    // Spike and reset.
                    let fired = slope(h - R::ONE) * (gs - attached * after * jump);
                    let g = after * (R::ONE - s * d.reset_h) + fired;
                    // The stops of the membrane: the true derivative, for beyond a stop the device has forgotten the drive.
                    let g = if h > d.u_min && h < d.u_max { g } else { zero };
                    *gu = g * d.decay_on;
                    *x = if *x < d.x_min || *x > d.x_max { zero } else { g * d.gain };
                }
            },
        );
        if refractory {
            for ((gu, x), &awake) in gu.iter_mut().zip(&mut layer.x[at.clone()]).zip(&layer.awake[at]) {
                *gu = *gu * awake;
                *x = *x * awake;
            }
        }
    }
}

/// out[t][b] = bias + Σ over the pixels of sample b that spike at t of their rows of `weights`, by adding and subtracting changes.
fn sum_rows<R: Real>(trains: &Trains, weights: &[R], bias: &[R], n: usize, steps: usize, width: usize, out: &mut [R], row: &mut Vec<R>) {
    row.resize(width, R::default());
    let row = &mut row[..width];
    for b in 0..n {
        row.copy_from_slice(bias);
        for t in 0..steps {
            let (row, changes) = (&mut *row, trains.changes(b * steps + t));
            let out = &mut out[(t * n + b) * width..][..width];
            widest(
                #[inline(always)]
                move || {
                    for &c in changes {
                        let w = &weights[(c >> 1) as usize * width..][..width];
                        let sign = if c & 1 == 0 { R::ONE } else { R::of(-1.0) };
                        for (r, &w) in row.iter_mut().zip(w) {
                            *r += sign * w;
                        }
                    }
                    out.copy_from_slice(row);
                },
            );
        }
    }
}

/// gradient[pixel] = Σ over (b, t) at which the pixel spikes of g[t][b]. With changes instead of spikes it is (Abel)
/// Σ over changes before t of ± Σ_{t' ≥ t} g[t'][b].
fn scatter_rows<R: Real>(trains: &Trains, g: &[R], n: usize, steps: usize, width: usize, gradient: &mut [R], row: &mut Vec<R>) {
    row.resize(width, R::default());
    gradient.fill(R::default());
    for b in 0..n {
        row.fill(R::default());
        for t in (0..steps).rev() {
            let (row, changes) = (&mut row[..width], trains.changes(b * steps + t));
            let g = &g[(t * n + b) * width..][..width];
            let gradient = &mut *gradient;
            widest(
                #[inline(always)]
                move || {
                    for (r, &g) in row.iter_mut().zip(g) {
                        *r += g;
                    }
                    for &c in changes {
                        let sign = if c & 1 == 0 { R::ONE } else { R::of(-1.0) };
                        for (w, &r) in gradient[(c >> 1) as usize * width..][..width].iter_mut().zip(&*row) {
                            *w += sign * r;
                        }
                    }
                },
            );
        }
    }
}

/// Standard normals scaled to the read noise of each sum: a function of (chip, sample, step, layer, neuron).
fn add_read_noise<R: Real>(x: &mut [R], variance: &[R], samples: &[u32], noise: &ReadNoise<R>, layer: usize, width: usize) {
    let n = samples.len();
    for (row, (x, variance)) in x.chunks_exact_mut(width).zip(variance.chunks_exact(width)).enumerate() {
        let (step, sample) = (row / n, samples[row % n]);
        for (four, (x, variance)) in x.chunks_mut(4).zip(variance.chunks(4)).enumerate() {
            let counter = [four as u32 | (layer as u32) << 24, sample, step as u32 | noise.chip << 16, domain::READS];
            for ((x, v), z) in x.iter_mut().zip(variance).zip(normals(counter, noise.key)) {
                *x += R::of(noise.sigma * v.f64().max(0.0).sqrt() * z);
            }
        }
    }
}

/// out[m × n] = a[m × k] · b[k × n].
fn multiply<R: Real>(out: &mut [R], a: &[R], b: &[R], m: usize, k: usize, n: usize) {
    product(out, (m, n), (a, k as isize, 1), (b, n as isize, 1), k);
}

/// out[m × n] = a[m × k] · b[n × k]ᵀ.
fn multiply_transposed<R: Real>(out: &mut [R], a: &[R], b: &[R], m: usize, k: usize, n: usize) {
    product(out, (m, n), (a, k as isize, 1), (b, 1, k as isize), k);
}

/// out[k × n] = a[m × k]ᵀ · b[m × n].
fn multiply_by_columns<R: Real>(out: &mut [R], a: &[R], b: &[R], m: usize, k: usize, n: usize) {
    product(out, (k, n), (a, 1, k as isize), (b, n as isize, 1), m);
}

/// out = lhs · rhs; lhs and rhs with (row, column) strides, all dense.
fn product<R: Real>(out: &mut [R], (rows, columns): (usize, usize), lhs: (&[R], isize, isize), rhs: (&[R], isize, isize), inner: usize) {
    assert!(out.len() == rows * columns && lhs.0.len() == rows * inner && rhs.0.len() == inner * columns, "sizes of a matrix product");
    // SAFETY: the slices hold rows·columns, rows·inner and inner·columns numbers (asserted), and the strides of the three callers span exactly these.
    unsafe {
        gemm::gemm(
            rows,
            columns,
            inner,
            out.as_mut_ptr(),
            1,
            columns as isize,
            false,
            lhs.0.as_ptr(),
            lhs.2,
            lhs.1,
            rhs.0.as_ptr(),
            rhs.2,
            rhs.1,
            R::default(),
            R::ONE,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::Encoder;
    use crate::neuron::NeuronModel;
    use spinloom_base::random::Stream;

    const WIDTHS: [usize; 4] = [7, 6, 5, 3];
    const STEPS: usize = 9;

    fn chunk(seed: u64) -> Chunk<f64> {
        let mut chunk = Chunk::new(&WIDTHS, STEPS, true);
        let encoder = Encoder::new(STEPS, 1.0, seed);
        let mut stream = Stream::new(seed, 50);
        for sample in 0..4 {
            let pixels: Vec<u8> = (0..WIDTHS[0]).map(|_| stream.below(256) as u8).collect();
            encoder.encode(&pixels, sample, 0, &mut chunk.trains);
            chunk.labels.push((sample % 3) as u8);
            chunk.samples.push(sample);
        }
        chunk
    }

    fn weights(seed: u64, scale: f64) -> Vec<Vec<f64>> {
        let mut stream = Stream::new(seed, 51);
        WIDTHS.windows(2).map(|w| (0..(w[0] + 1) * w[1]).map(|_| scale * (stream.normal() + 0.4)).collect()).collect()
    }

    fn neurons() -> Vec<(&'static str, Mapping)> {
        let hard = NeuronModel::ideal_lif(0.85, Reset::Hard).mapping;
        let soft = NeuronModel::ideal_lif(0.85, Reset::Soft).mapping;
        let limited = Mapping { u_min: Some(-0.3), u_max: Some(1.4), x_min: Some(-0.5), x_max: Some(0.9), decay_off: 0.8, ..hard.clone() };
        let refractory = Mapping { refractory_steps: 2, ..limited.clone() };
        let constant = Mapping { decay_on: 1.0, leak_on: 0.05, leak_off: 0.1, decay_off: 1.0, u_min: Some(0.0), ..hard.clone() };
        vec![("hard", hard), ("soft", soft), ("limited", limited), ("refractory", refractory), ("constant leak", constant)]
    }

    /// The whole network, all layers and steps, against central differences of the loss. With step 1e-6 in f64 the difference quotient is good
    /// to about 1e-9 of the largest gradient; 1e-6 leaves room for kinks (clips) that a step may cross by less than that.
    #[test]
    fn gradient_of_the_whole_network_equals_finite_differences() {
        for (name, mapping) in neurons() {
            for surrogate in [Surrogate::FastSigmoid, Surrogate::Arctan] {
                let spike = Spike { surrogate, slope: 3.0, smooth: true, detach_reset: false };
                let dynamics = Dynamics::<f64>::of(&mapping);
                let mut w = weights(5, 0.35);
                let mut chunk = chunk(3);
                let loss = |w: &[Vec<f64>], chunk: &mut Chunk<f64>| {
                    chunk.forward(w, &dynamics, &spike, 0.7, None);
                    chunk.loss
                };
                loss(&w, &mut chunk);
                if name == "limited" {
                    let outside = chunk.layers[1].x.iter().filter(|x| **x < -0.5 || **x > 0.9).count();
                    assert!(outside > 0, "the clip must act for the test to mean something");
                }
                if name == "refractory" {
                    assert!(chunk.layers[0].awake.contains(&0.0), "a neuron must be resetting for the test to mean something");
                }
                chunk.backward(&w, &dynamics, &spike);
                let gradients: Vec<Vec<f64>> = (0..3).map(|l| chunk.gradient(l).to_vec()).collect();
                let largest = gradients.iter().flatten().fold(0.0f64, |a, g| a.max(g.abs()));
                assert!(largest > 1e-3, "{name}: the gradient vanishes, nothing would be tested");
                for l in 0..3 {
                    assert!(gradients[l].iter().any(|g| g.abs() > 1e-3 * largest), "{name}: layer {l} has no gradient");
                    for i in 0..w[l].len() {
                        let middle = w[l][i];
                        let e = 1e-6;
                        w[l][i] = middle + e;
                        let up = loss(&w, &mut chunk);
                        w[l][i] = middle - e;
                        let down = loss(&w, &mut chunk);
                        w[l][i] = middle;
                        let difference = (up - down) / (2.0 * e);
                        assert!(
                            (difference - gradients[l][i]).abs() < 1e-6 * largest,
                            "{name}, {surrogate:?}, layer {l}, weight {i}: {} against {difference} (largest {largest})",
                            gradients[l][i]
                        );
                    }
                }
            }
        }
    }

    /// The layer loop against [`Mapping::step`], the plain form, for every neuron: same spikes, membranes to f64 rounding.
    #[test]
    fn a_layer_steps_as_the_plain_law_says() {
        for (name, mapping) in neurons() {
            let spike = Spike { surrogate: Surrogate::Arctan, slope: 2.0, smooth: false, detach_reset: false };
            let mut chunk = chunk(8);
            chunk.forward(&weights(9, 0.6), &Dynamics::of(&mapping), &spike, 1.0, None);
            let (n, mut fired) = (4, 0);
            for (l, layer) in chunk.layers.iter().enumerate() {
                let every = n * WIDTHS[l + 1];
                for i in 0..every {
                    let (mut u, mut wait) = (0.0, 0);
                    for t in 0..STEPS {
                        let at = t * every + i;
                        if wait > 0 {
                            wait -= 1;
                            u = 0.0;
                            assert_eq!(layer.spikes[at], 0.0, "{name}: no spike while resetting");
                            continue;
                        }
                        let (h, fires, next) = mapping.step(u, layer.x[at]);
                        assert!((h - layer.h[at]).abs() < 1e-12, "{name}");
                        assert_eq!(fires, layer.spikes[at] == 1.0, "{name}");
                        u = next;
                        if fires {
                            fired += 1;
                            wait = mapping.refractory_steps;
                        }
                    }
                }
            }
            assert!(fired > 10, "{name}: {fired} spikes are too few to test anything");
        }
    }

    #[test]
    fn sums_over_changes_equal_sums_over_spikes() {
        let chunk = chunk(4);
        let (n, width) = (4, 6);
        let weights = &weights(2, 1.0)[0];
        let (w, bias) = weights.split_at(7 * width);
        let mut out = vec![f64::NAN; STEPS * n * width];
        let mut row = vec![f64::NAN; 3];
        sum_rows(&chunk.trains, w, bias, n, STEPS, width, &mut out, &mut row);
        // Spikes one by one.
        let mut gradient = vec![0.0; w.len()];
        for b in 0..n {
            let mut on = [false; 7];
            for t in 0..STEPS {
                for c in chunk.trains.changes(b * STEPS + t) {
                    on[(c >> 1) as usize] = c & 1 == 0;
                }
                for j in 0..width {
                    let sum = bias[j] + (0..7).filter(|&i| on[i]).map(|i| w[i * width + j]).sum::<f64>();
                    assert!((sum - out[(t * n + b) * width + j]).abs() < 1e-12);
                    for i in (0..7).filter(|&i| on[i]) {
                        gradient[i * width + j] += out[(t * n + b) * width + j];
                    }
                }
            }
        }
        let mut fast = vec![f64::NAN; w.len()];
        scatter_rows(&chunk.trains, &out, n, STEPS, width, &mut fast, &mut row);
        assert!(fast.iter().zip(&gradient).all(|(a, b)| (a - b).abs() < 1e-10));
    }
}
