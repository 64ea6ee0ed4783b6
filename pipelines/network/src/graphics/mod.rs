//! Training and inference of [`crate::layers`] on a graphics device, through Vulkan or CUDA: all layers but recurrent ones, in f32.
//!
//! Weights, moments of the optimiser and everything in between stay on the device; a step takes pixels, labels and rates there and brings losses and answers back. Gradients are those of
//! the processor to rounding (of sums in another order), and no sum's order depends on anything but sizes: the same device gives the same bits again.
//!
//! What a network needs and a device cannot do is told by [`cannot`], before anything is computed.

mod text;

use crate::layers::{Kind, Net, Pass};
use crate::synapse::Staircase;
use spinloom_gpu::{Backend, GpuError, Kernel, Launch, Memory, Recording};
use text::{Columns, Cut, GROUP, Synapses, Wanted};

/// Words of the control block.
mod control {
    /// Rate, decay times rate, and what both moments are divided by (float bits).
    pub const ADAM: usize = 1;
    /// Of random numbers: two words, and the number of the batch.
    pub const KEY: usize = 5;
    /// What the samples are drawn for.
    pub const PHASE: usize = 8;
    /// One a sample; behind them the samples' numbers.
    pub const LABELS: usize = 16;
}

/// How the networks of a task are opened on a device.
pub type Open<'a> = dyn Fn() -> Result<Box<dyn Backend>, GpuError> + Sync + 'a;

/// Samples of a batch.
pub(crate) struct Batch<'a> {
    /// `[steps_in][sample][features]`; of Poisson trains `[sample][features]`, the chances to spike.
    pub x: &'a [f32],
    pub labels: &'a [u8],
    /// Their numbers in the data, for what is drawn.
    pub samples: &'a [usize],
    pub key: [u32; 3],
    pub phase: u32,
}

/// What came of a batch: summed loss, and answers.
pub(crate) struct Answers {
    pub loss: f64,
    pub classes: Vec<usize>,
}

/// One step of the optimiser.
#[derive(Clone, Copy)]
pub(crate) struct Step {
    pub rate: f64,
    pub decay: f64,
    /// Which one it is, from 1.
    pub number: u32,
}

/// Sizes that the kernels are made for.
#[derive(Clone, Copy)]
pub(crate) struct Sizes {
    /// Samples at most, in training and in tests.
    pub batch: usize,
    pub test: usize,
    /// Steps of the input, and whether they are drawn on the device.
    pub steps_in: usize,
    pub poisson: bool,
    pub classes: usize,
    /// What outputs are multiplied with.
    pub logits: f64,
    /// Whether weights in use differ from those that learn.
    pub realised: bool,
    /// Levels that the weights in use are put on before every step of training, on the device; without them the host puts there what it made.
    pub levels: Option<Staircase>,
}

/// Why a network does not run on graphics devices, if it does not.
pub(crate) fn cannot(net: &Net) -> Option<&'static str> {
    let recurrent = net.layers.iter().any(|l| matches!(l.kind, Kind::Neurons { recurrent: true, .. }));
    recurrent.then_some("recurrent weights run on the processor only")
}

/// A network on a device.
pub(crate) struct Graphics {
    backend: Box<dyn Backend>,
    sizes: Sizes,
    control: Memory,
    /// Where batches are written.
    input: Memory,
    result: Memory,
    /// All parameters: those that learn, and their gradients and moments; those in use, where they differ.
    parameters: [Memory; 4],
    used: Memory,
    /// Of each layer where its weights and its bias begin.
    places: Vec<[usize; 2]>,
    count: usize,
    /// Of each normalisation the running mean and variance.
    running: Vec<(usize, Memory)>,
    /// Of each layer of neurons its sums of |y|, for each group, and its features.
    activity: Vec<(Memory, usize)>,
    learn: Recording,
    answer: Recording,
}

fn words(v: &[f32]) -> Vec<u8> {
    let mut out = vec![0; 4 * v.len()];
    out.chunks_exact_mut(4).zip(v).for_each(|(o, v)| o.copy_from_slice(&v.to_le_bytes()));
    out
}

fn numbers(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|c| f32::from_le_bytes(c.try_into().expect("four bytes"))).collect()
}

/// Launches in the making.
struct Builder<'a> {
    backend: &'a mut dyn Backend,
    /// Of the batch that is recorded.
    samples: usize,
    launches: Vec<Launch>,
}

impl Builder<'_> {
    fn add(&mut self, kernel: &Kernel, memories: &[Memory], groups: [u32; 3]) -> Result<(), GpuError> {
        let most = self.backend.found().limits.groups;
        if groups.iter().zip(most).any(|(g, m)| *g > m) {
            return Err(GpuError::TooLarge(format!("`{}` needs {groups:?} groups, this device runs {most:?}", kernel.name)));
        }
        let program = self.backend.compile(kernel)?;
        self.launches.push(Launch { program, memories: memories.to_vec(), groups });
        Ok(())
    }

    /// One item for each of so many numbers.
    fn each(&mut self, kernel: &Kernel, memories: &[Memory], items: usize) -> Result<(), GpuError> {
        self.add(kernel, memories, [items.div_ceil(GROUP) as u32, 1, 1])
    }
}

/// A layer as the device sees it.
struct Plan {
    synapses: Option<Synapses>,
    /// Steps of its input and its output.
    steps: [usize; 2],
    features: [usize; 2],
    x: Memory,
    y: Memory,
    h: Option<Memory>,
    statistics: Option<Memory>,
    running: Option<Memory>,
    activity: Option<Memory>,
    /// Where its weights and its bias, or its scale and its shift, begin.
    places: [usize; 2],
}

impl Graphics {
    /// Compiles, records, and takes the network's state there.
    pub(crate) fn new(mut backend: Box<dyn Backend>, net: &Net, sizes: Sizes) -> Result<Self, GpuError> {
        let most = sizes.batch.max(sizes.test);
        // What decays stands first.
        let mut places = vec![[0, 0]; net.layers.len()];
        let mut count = 0;
        for (l, layer) in net.layers.iter().enumerate().filter(|(_, l)| !matches!(l.kind, Kind::Norm)) {
            places[l][0] = count;
            count += layer.weights.latent.len();
        }
        let decayed = count;
        for (l, layer) in net.layers.iter().enumerate() {
            if matches!(layer.kind, Kind::Norm) {
                places[l][0] = count;
                count += layer.weights.latent.len();
            }
            places[l][1] = count;
            count += layer.bias.latent.len();
        }
        let real = |backend: &mut Box<dyn Backend>, n: usize| backend.allocate(4 * n);
        let control = real(&mut backend, control::LABELS + 2 * most)?;
        let result = real(&mut backend, 2 * most)?;
        let mut parameters = [control; 4];
        for p in &mut parameters {
            *p = real(&mut backend, count)?;
        }
        let used = if sizes.realised { real(&mut backend, count)? } else { parameters[0] };
        let arrays = net.arrays();
        let ranges = real(&mut backend, arrays.len())?;
        let first: usize = net.layers[0].from.iter().product();
        let input = real(&mut backend, most * first * if sizes.poisson { 1 } else { sizes.steps_in })?;
        let trains = if sizes.poisson { real(&mut backend, most * first * sizes.steps_in)? } else { input };

        let mut plans: Vec<Plan> = Vec::new();
        let (mut x, mut steps) = (trains, sizes.steps_in);
        let (mut widest, mut parts) = (0, 1);
        for (l, layer) in net.layers.iter().enumerate() {
            let features = [layer.from, layer.to].map(|s| s.iter().product::<usize>());
            let mut after = steps;
            let (mut h, mut activity) = (None, None);
            if let Kind::Neurons { answer, .. } = &layer.kind {
                if layer.steps() {
                    after = net.steps;
                }
                if text::keeps_h(answer) {
                    h = Some(real(&mut backend, after * most * features[1])?);
                }
                activity = Some(real(&mut backend, (most * features[1]).div_ceil(GROUP))?);
            }
            let norm = matches!(layer.kind, Kind::Norm);
            let mut pair = || if norm { real(&mut backend, 2 * layer.from[2]).map(Some) } else { Ok(None) };
            let (statistics, running) = (pair()?, pair()?);
            let synapses = match layer.kind {
                Kind::Dense => Some(0),
                Kind::Conv { kernel } => Some(kernel),
                _ => None,
            }
            .map(|kernel| Synapses {
                from: layer.from,
                width: layer.to[2],
                kernel,
                steps,
                weights: places[l][0],
                bias: places[l][1],
            });
            if let Some(s) = &synapses {
                let (_, groups) = Cut::of(&s.extent(Wanted::Weights), Wanted::Weights, sizes.batch);
                parts = parts.max(groups[2] as usize * s.fan() * s.width);
            }
            let channels = layer.to[2];
            parts = parts.max(2 * text::CHUNKS * channels);
            widest = widest.max(after * features[1]).max(steps * features[0]);
            let y = real(&mut backend, after * most * features[1])?;
            plans.push(Plan { synapses, steps: [steps, after], features, x, y, h, statistics, running, activity, places: places[l] });
            (x, steps) = (y, after);
        }
        let gradients = [real(&mut backend, sizes.batch.max(most) * widest)?, real(&mut backend, sizes.batch.max(most) * widest)?];
        let part = real(&mut backend, parts)?;

        let mut recordings = Vec::new();
        for (pass, samples) in [(Pass::Train, sizes.batch), (Pass::Test, sizes.test)] {
            let mut b = Builder { backend: backend.as_mut(), samples, launches: Vec::new() };
            if let (Pass::Train, Some(s)) = (pass, &sizes.levels) {
                b.each(&text::copy(count), &[parameters[0], used], count)?;
                for (k, (l, dims)) in arrays.iter().enumerate() {
                    let (from, n) = (places[*l][0], dims[0] * dims[1]);
                    b.add(&text::ranges(k, from, n, s), &[parameters[0], ranges], [1, 1, 1])?;
                    b.each(&text::levels(k, from, n, s), &[parameters[0], ranges, used], n)?;
                }
            }
            if sizes.poisson {
                b.each(&text::spikes(first, sizes.steps_in, most), &[control, input, trains], samples * first)?;
            }
            for (l, (plan, layer)) in plans.iter().zip(&net.layers).enumerate() {
                forward(&mut b, plan, &layer.kind, layer.from, l, pass, control, used, part)?;
            }
            let loss = text::cross_entropy(sizes.classes, steps, sizes.logits);
            b.each(&loss, &[control, x, gradients[0], result], samples)?;
            if pass == Pass::Train {
                let mut g = gradients;
                for (l, (plan, layer)) in plans.iter().zip(&net.layers).enumerate().rev() {
                    if backward(&mut b, plan, &layer.kind, layer.from, l == 0, g, control, used, parameters[1], part)? {
                        g.swap(0, 1);
                    }
                }
                b.each(&text::adam(count, decayed), &[control, parameters[1], parameters[2], parameters[3], parameters[0]], count)?;
            }
            let launches = b.launches;
            recordings.push(backend.record(&launches)?);
        }
        let running = plans.iter().enumerate().filter_map(|(l, p)| Some((l, p.running?))).collect();
        let activity = plans.iter().filter_map(|p| Some((p.activity?, p.features[1]))).collect();
        let (learn, answer) = (recordings[0], recordings[1]);
        let mut g = Self { backend, sizes, control, input, result, parameters, used, places, count, running, activity, learn, answer };
        g.upload(net)?;
        Ok(g)
    }

    /// Whether every step of training makes the weights in use from those that learn, without the host.
    pub(crate) fn makes_levels(&self) -> bool {
        self.sizes.levels.is_some()
    }

    /// Name and model of the device.
    pub(crate) fn name(&self) -> String {
        let found = self.backend.found();
        format!("{} ({})", found.name, found.model)
    }

    /// All parameters as the device orders them.
    fn gather<'n>(&self, net: &'n Net, pick: impl Fn(&'n crate::layers::Param) -> &'n [f32]) -> Vec<f32> {
        let mut all = vec![0.0; self.count];
        for (layer, [w, b]) in net.layers.iter().zip(&self.places) {
            for (p, at) in [(&layer.weights, w), (&layer.bias, b)] {
                let from = pick(p);
                all[*at..*at + from.len()].copy_from_slice(from);
            }
        }
        all
    }

    /// Puts what the device has back in its place.
    fn scatter(&self, net: &mut Net, all: &[f32], pick: impl Fn(&mut crate::layers::Param) -> &mut Vec<f32>) {
        for (layer, [w, b]) in net.layers.iter_mut().zip(&self.places) {
            for (p, at) in [(&mut layer.weights, w), (&mut layer.bias, b)] {
                let to = pick(p);
                let n = to.len();
                to.copy_from_slice(&all[*at..*at + n]);
            }
        }
    }

    fn take(&self, from: Memory, n: usize) -> Result<Vec<f32>, GpuError> {
        let mut bytes = vec![0; 4 * n];
        self.backend.read(from, 0, &mut bytes)?;
        Ok(numbers(&bytes))
    }

    /// The whole state of the network, to the device.
    pub(crate) fn upload(&mut self, net: &Net) -> Result<(), GpuError> {
        let [w, _, m, v] = self.parameters;
        let all =
            [(w, self.gather(net, |p| &p.latent)), (m, self.gather(net, |p| &p.moments[0])), (v, self.gather(net, |p| &p.moments[1]))];
        for (to, values) in all {
            self.backend.write(to, 0, &words(&values))?;
        }
        self.upload_used(net)?;
        for (l, to) in self.running.clone() {
            self.backend.write(to, 0, &words(&net.layers[l].running.concat()))?;
        }
        Ok(())
    }

    /// The weights in use, where they are not those that learn.
    pub(crate) fn upload_used(&mut self, net: &Net) -> Result<(), GpuError> {
        if self.sizes.realised {
            self.backend.write(self.used, 0, &words(&self.gather(net, |p| &p.used)))?;
        }
        Ok(())
    }

    /// The whole state of the network, from the device.
    pub(crate) fn download(&self, net: &mut Net) -> Result<(), GpuError> {
        self.download_latent(net)?;
        let [_, _, m, v] = self.parameters;
        self.scatter(net, &self.take(m, self.count)?, |p| &mut p.moments[0]);
        self.scatter(net, &self.take(v, self.count)?, |p| &mut p.moments[1]);
        for (l, from) in &self.running {
            let c = net.layers[*l].running[0].len();
            let both = self.take(*from, 2 * c)?;
            net.layers[*l].running = [both[..c].to_vec(), both[c..].to_vec()];
        }
        Ok(())
    }

    /// What learns, without what the optimiser remembers.
    pub(crate) fn download_latent(&self, net: &mut Net) -> Result<(), GpuError> {
        let latent = self.take(self.parameters[0], self.count)?;
        self.scatter(net, &latent, |p| &mut p.latent);
        Ok(())
    }

    /// Gradients of the last step.
    #[cfg(test)]
    fn download_gradients(&self, net: &mut Net) -> Result<(), GpuError> {
        let all = self.take(self.parameters[1], self.count)?;
        self.scatter(net, &all, |p| &mut p.gradient);
        Ok(())
    }

    fn run(&mut self, batch: &Batch<'_>, step: Option<Step>) -> Result<Answers, GpuError> {
        let (n, most) = (batch.labels.len(), self.sizes.batch.max(self.sizes.test));
        assert!(n <= if step.is_some() { self.sizes.batch } else { self.sizes.test }, "more samples than a batch holds");
        let mut block = vec![0u32; control::LABELS + 2 * most];
        block[0] = n as u32;
        if let Some(s) = step {
            let t = s.number as i32;
            let adam = [s.rate as f32, s.rate as f32 * s.decay as f32, (1.0 - 0.9f64.powi(t)) as f32, (1.0 - 0.999f64.powi(t)) as f32];
            block[control::ADAM..control::ADAM + 4].copy_from_slice(&adam.map(f32::to_bits));
        }
        block[control::KEY..control::KEY + 3].copy_from_slice(&batch.key);
        block[control::PHASE] = batch.phase;
        for (i, (l, s)) in batch.labels.iter().zip(batch.samples).enumerate() {
            block[control::LABELS + i] = u32::from(*l);
            block[control::LABELS + most + i] = *s as u32;
        }
        let block: Vec<u8> = block.iter().flat_map(|w| w.to_le_bytes()).collect();
        self.backend.write(self.control, 0, &block)?;
        self.backend.write(self.input, 0, &words(batch.x))?;
        self.backend.replay(if step.is_some() { self.learn } else { self.answer }, 1)?;
        let result = self.take(self.result, 2 * n)?;
        Ok(Answers {
            loss: result.chunks_exact(2).map(|r| f64::from(r[0])).sum(),
            classes: result.chunks_exact(2).map(|r| r[1] as usize).collect(),
        })
    }

    /// One step of training.
    pub(crate) fn learn(&mut self, batch: &Batch<'_>, step: Step) -> Result<Answers, GpuError> {
        self.run(batch, Some(step))
    }

    /// Answers of the network as it is, and the activity of its layers of neurons: Σ|y| over samples, and neurons.
    pub(crate) fn answer(&mut self, batch: &Batch<'_>) -> Result<(Answers, Vec<(f64, usize)>), GpuError> {
        let answers = self.run(batch, None)?;
        let n = batch.labels.len();
        let activity = self.activity.iter().map(|(memory, features)| {
            let sums = self.take(*memory, (n * features).div_ceil(GROUP))?;
            Ok((sums.iter().map(|v| f64::from(*v)).sum(), *features))
        });
        Ok((answers, activity.collect::<Result<_, GpuError>>()?))
    }
}

/// Launches of one layer.
fn forward(
    b: &mut Builder<'_>,
    plan: &Plan,
    kind: &Kind,
    from: [usize; 3],
    layer: usize,
    pass: Pass,
    control: Memory,
    used: Memory,
    part: Memory,
) -> Result<(), GpuError> {
    let Plan { x, y, .. } = *plan;
    let n = b.samples;
    match kind {
        Kind::Dense | Kind::Conv { .. } => {
            let s = plan.synapses.as_ref().expect("an array");
            let (cut, groups) = Cut::of(&s.extent(Wanted::Sums), Wanted::Sums, n);
            b.add(&text::product(s, Wanted::Sums, cut, false), &[control, x, used, y], groups)
        }
        Kind::Pool { size } => b.each(&text::pool(plan.steps[0], from, *size), &[control, x, y], n * plan.steps[0] * plan.features[1]),
        Kind::Norm => {
            let (c, pixels) = (from[2], from[0] * from[1]);
            let rows = plan.steps[0] * pixels;
            let (mut statistics, running) = (plan.statistics.expect("a norm's"), plan.running.expect("a norm's"));
            if pass == Pass::Train {
                sums(b, Columns::Statistics, rows, c, &[control, x], part, &[control, x, part, statistics, running])?;
            } else {
                statistics = running;
            }
            b.each(&text::normalise(rows, c, plan.places[0], plan.places[1]), &[control, x, statistics, used, y], n * rows * c)
        }
        Kind::Neurons { answer, .. } => {
            let [before, after] = plan.steps;
            let kernel = text::neurons(answer, plan.features[1], after, before != after, layer);
            let mut memories = vec![control, x, y, plan.activity.expect("of neurons")];
            memories.extend(plan.h);
            b.each(&kernel, &memories, n * plan.features[1])
        }
    }
}

/// Launches of one layer's way back, from the gradient in `g[0]`; whether that of its inputs is in `g[1]`.
fn backward(
    b: &mut Builder<'_>,
    plan: &Plan,
    kind: &Kind,
    from: [usize; 3],
    last: bool,
    [g, dx]: [Memory; 2],
    control: Memory,
    used: Memory,
    gradient: Memory,
    part: Memory,
) -> Result<bool, GpuError> {
    let Plan { x, y, .. } = *plan;
    let n = b.samples;
    match kind {
        Kind::Dense | Kind::Conv { .. } => {
            let s = plan.synapses.as_ref().expect("an array");
            let (cut, groups) = Cut::of(&s.extent(Wanted::Weights), Wanted::Weights, n);
            let parted = groups[2] > 1;
            b.add(&text::product(s, Wanted::Weights, cut, parted), &[control, x, g, if parted { part } else { gradient }], groups)?;
            if parted {
                let size = s.fan() * s.width;
                b.each(&text::sum_parts(size, groups[2] as usize, s.weights), &[part, gradient], size)?;
            }
            let pixels = if s.kernel == 0 { 1 } else { from[0] * from[1] };
            sums(b, Columns::Bias { to: s.bias }, plan.steps[0] * pixels, s.width, &[control, g], part, &[control, part, gradient])?;
            if !last {
                let (cut, groups) = Cut::of(&s.extent(Wanted::Inputs), Wanted::Inputs, n);
                b.add(&text::product(s, Wanted::Inputs, cut, false), &[control, g, used, dx], groups)?;
            }
        }
        Kind::Pool { size } => {
            b.each(&text::pool_back(plan.steps[0], from, *size), &[control, g, dx], n * plan.steps[0] * plan.features[0])?;
        }
        Kind::Norm => {
            let c = from[2];
            let rows = plan.steps[0] * from[0] * from[1];
            let (statistics, [scale, shift]) = (plan.statistics.expect("a norm's"), plan.places);
            let what = Columns::Normalised { scale, shift };
            sums(b, what, rows, c, &[control, g, x, statistics], part, &[control, part, gradient])?;
            b.each(&text::normalise_back(rows, c, scale, shift), &[control, g, x, statistics, used, gradient, dx], n * rows * c)?;
        }
        Kind::Neurons { answer, .. } => {
            let [before, after] = plan.steps;
            let mut memories = vec![control, g, x, dx];
            if let Some(h) = plan.h {
                memories.extend([h, y]);
            }
            b.each(&text::neurons_back(answer, plan.features[1], after, before != after), &memories, n * plan.features[1])?;
        }
    }
    Ok(!last)
}

/// Sums over rows, and what becomes of them.
fn sums(
    b: &mut Builder<'_>,
    what: Columns,
    rows: usize,
    channels: usize,
    read: &[Memory],
    part: Memory,
    finish: &[Memory],
) -> Result<(), GpuError> {
    let chunk = text::chunk(rows, b.samples);
    let groups = [(rows * b.samples).div_ceil(chunk) as u32, channels.div_ceil(text::CHANNELS) as u32, 1];
    b.add(&text::column_sums(what, rows, channels, chunk), &[read, &[part]].concat(), groups)?;
    b.add(&text::finish_sums(what, rows, channels, chunk), finish, [channels as u32, 1, 1])
}

#[cfg(test)]
#[path = "../../../../kernels/tests/kernels/host.rs"]
mod host;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::{Answer, Curve, cross_entropy};
    use crate::neuron::{Mapping, NeuronModel, Reset};
    use crate::synapse::Synapse;
    use spinloom_base::random::{Stream, open_unit, philox4x32};
    use spinloom_gpu::dry::Dry;
    use spinloom_gpu::vulkan::{self, Vulkan};
    use spinloom_gpu::{Limits, cuda};

    struct Case {
        name: &'static str,
        shape: [usize; 3],
        kinds: fn() -> Vec<(Kind, usize)>,
        /// Steps of the input, and of neurons with state.
        steps: [usize; 2],
        poisson: bool,
    }

    fn neurons(answer: Answer) -> (Kind, usize) {
        (Kind::Neurons { answer, recurrent: false }, 0)
    }

    fn membrane(signed: bool, change: impl Fn(&mut Mapping)) -> (Kind, usize) {
        let mut mapping = NeuronModel::ideal_lif(0.7, Reset::Hard).mapping;
        mapping.gain = 1.0;
        change(&mut mapping);
        neurons(Answer::Membrane { mapping: Box::new(mapping), signed, k: 3.0 })
    }

    /// Every kind of layer and neuron; odd sizes, so that no tile is full; kernels of even and odd side.
    const CASES: [Case; 3] = [
        Case {
            name: "convolutions and membranes",
            shape: [7, 6, 2],
            kinds: || {
                vec![
                    (Kind::Conv { kernel: 3 }, 5),
                    (Kind::Norm, 0),
                    membrane(true, |m| (m.u_max, m.u_min, m.x_min, m.x_max) = (Some(1.3), Some(-1.2), Some(-1.5), Some(1.2))),
                    (Kind::Pool { size: 2 }, 0),
                    (Kind::Conv { kernel: 4 }, 20),
                    (Kind::Norm, 0),
                    membrane(false, |m| (m.reset, m.leak_off, m.decay_off, m.u_min) = (Reset::Soft, 0.02, 0.9, Some(-0.5))),
                    (Kind::Dense, 9),
                    membrane(false, |m| m.refractory_steps = 1),
                    (Kind::Dense, 3),
                ]
            },
            steps: [1, 5],
            poisson: false,
        },
        Case {
            name: "graded neurons",
            shape: [1, 1, 70],
            kinds: || {
                vec![
                    // At the beginning: a bias whose neuron all samples drive is nought to a normalisation behind it.
                    (Kind::Dense, 40),
                    (Kind::Norm, 0),
                    neurons(Answer::Sigmoid(Curve { slope: 1.7, middle: 0.2, low: -0.9, high: 0.8, floor: 0.1 })),
                    (Kind::Dense, 33),
                    neurons(Answer::Linear { top: f32::INFINITY }),
                    (Kind::Dense, 20),
                    neurons(Answer::Tanh),
                    (Kind::Dense, 20),
                    neurons(Answer::Linear { top: 1.0 }),
                    (Kind::Dense, 12),
                    neurons(Answer::Sign),
                    (Kind::Dense, 3),
                ]
            },
            steps: [1, 1],
            poisson: false,
        },
        Case {
            name: "chance",
            shape: [1, 5, 3],
            kinds: || {
                vec![
                    (Kind::Dense, 14),
                    neurons(Answer::Firing(Curve { low: -0.4, high: 0.9, ..Curve::firing(4.0) })),
                    (Kind::Dense, 12),
                    neurons(Answer::PBit),
                    (Kind::Dense, 10),
                    neurons(Answer::Thermal { decay: 0.6, slope: 3.0 }),
                    (Kind::Dense, 3),
                ]
            },
            steps: [4, 4],
            poisson: true,
        },
    ];

    const SIZES: Sizes = Sizes { batch: 6, test: 8, steps_in: 1, poisson: false, classes: 3, logits: 3.0, realised: false, levels: None };

    fn largest(v: &[f32]) -> f32 {
        v.iter().fold(0.0, |a, b| a.max(b.abs()))
    }

    fn close(what: &str, found: &[f32], wanted: &[f32], share: f32, floor: f32) {
        let limit = share * largest(wanted).max(floor);
        for (i, (f, w)) in found.iter().zip(wanted).enumerate() {
            assert!((f - w).abs() <= limit, "{what}, {i}: {f}, on the processor {w} (limit {limit})");
        }
    }

    /// The same in the mean: what jumps (spikes, signs) jumps elsewhere where parameters differ by their rounding, and Adam makes whole steps of gradients that are all rounding.
    fn near(what: &str, found: &[f32], wanted: &[f32], share: f32, floor: f32) {
        let length = |v: &mut dyn Iterator<Item = f32>| v.map(|v| v * v).sum::<f32>().sqrt();
        let off = length(&mut found.iter().zip(wanted).map(|(f, w)| f - w));
        let limit = share * length(&mut wanted.iter().copied()).max(floor);
        assert!(off <= limit, "{what}: off by {off} (limit {limit})");
    }

    /// Each kind of layer here and there: losses, gradients number by number in the first step and in the mean after it, parameters over five steps, once with a short batch; answers and activities.
    fn compare(open: &dyn Fn() -> Box<dyn Backend>) {
        for case in &CASES {
            let build = || Net::new(case.shape, (case.kinds)(), case.steps[1], 11);
            let (mut here, mut there) = (build(), build());
            let sizes = Sizes { steps_in: case.steps[0], poisson: case.poisson, ..SIZES };
            let mut graphics = Graphics::new(open(), &there, sizes).unwrap();
            let features: usize = case.shape.iter().product();
            let mut stream = Stream::new(3, 3);
            for step in 0..5u32 {
                let n = if step == 3 { 4 } else { 6 };
                let samples: Vec<usize> = (0..n).map(|i| 10 * step as usize + i).collect();
                let labels: Vec<u8> = (0..n).map(|_| stream.below(3) as u8).collect();
                let key = [5, 6, step];
                let (pixels, x) = input(case, n, features, &samples, key, step, &mut stream);
                here.realise(None, None);
                let (y, steps) = here.forward(x, case.steps[0], n, Pass::Train, None, key);
                let (loss, _, gradient) = cross_entropy(&y, steps, n, 3, &labels, 3.0);
                here.backward(gradient, n);
                let batch = Batch { x: &pixels, labels: &labels, samples: &samples, key, phase: step };
                let answers = there.learn_there(&mut graphics, &batch, 2e-3, 1e-2).unwrap();
                graphics.download_gradients(&mut there).unwrap();
                let what = format!("{}, step {step}", case.name);
                // Sums of up to 720 terms in another order; later, of parameters that have gone their own way.
                let limit = if step == 0 { 1e-5 } else { 2e-3 };
                assert!((answers.loss / n as f64 - loss).abs() < limit * loss.max(1.0), "{what}: {} {loss}", answers.loss / n as f64);
                for (l, (a, b)) in there.layers.iter().zip(&here.layers).enumerate() {
                    let (found, wanted) = ([&a.weights.gradient, &a.bias.gradient], [&b.weights.gradient, &b.bias.gradient]);
                    assert!(wanted[0].is_empty() || largest(wanted[0]) > 1e-7, "{what}, layer {l}: nothing is tested");
                    // Before a normalisation the gradient of a bias is nought but for rounding.
                    let whole = largest(wanted[0]).max(1e-4);
                    for (which, floor) in [(0, 1e-4), (1, whole)] {
                        let what = format!("{what}, layer {l}, gradient {which}");
                        if step == 0 {
                            close(&what, found[which], wanted[which], 1e-4, floor);
                        } else {
                            near(&what, found[which], wanted[which], 2e-2, floor);
                        }
                    }
                }
                here.update(2e-3, 1e-2, None);
                graphics.download(&mut there).unwrap();
                // A bias before a normalisation changes nothing, and goes where rounding sends it: taken from the other side.
                for l in (1..here.layers.len()).filter(|l| matches!(there.layers[*l].kind, Kind::Norm)) {
                    here.layers[l - 1].bias.latent.clone_from(&there.layers[l - 1].bias.latent);
                }
                for (l, (a, b)) in there.layers.iter().zip(&here.layers).enumerate() {
                    near(&format!("{what}, weights of layer {l}"), &a.weights.latent, &b.weights.latent, 1e-3, 1e-2);
                    near(&format!("{what}, bias of layer {l}"), &a.bias.latent, &b.bias.latent, 1e-2, 1e-2);
                    for (a, b) in a.running.iter().zip(&b.running) {
                        near(&format!("{what}, statistics of layer {l}"), a, b, 5e-3, 1e-2);
                    }
                }
            }
            let n = 8;
            let samples: Vec<usize> = (0..n).collect();
            let (pixels, x) = input(case, n, features, &samples, [5, 6, 9], 1, &mut stream);
            here.realise(None, None);
            let labels = vec![1; n];
            let (y, steps) = here.forward(x, case.steps[0], n, Pass::Test, None, [5, 6, 9]);
            let (loss, answers, _) = cross_entropy(&y, steps, n, 3, &labels, 3.0);
            let batch = Batch { x: &pixels, labels: &labels, samples: &samples, key: [5, 6, 9], phase: 1 };
            let (found, activity) = graphics.answer(&batch).unwrap();
            assert_eq!(found.classes, answers, "{}", case.name);
            assert!((found.loss / n as f64 - loss).abs() < 5e-3 * loss.max(1.0), "{}: {} {loss}", case.name, found.loss / n as f64);
            for ((sum, features), (mean, width)) in activity.iter().zip(&here.activity) {
                assert!(features == width && (sum / n as f64 - mean).abs() < 2e-2 * mean.max(0.1), "{}: {sum} {mean}", case.name);
            }
        }
    }

    /// Numbers as the device gets them, and as the processor does: spikes drawn from the former.
    fn input(
        case: &Case,
        n: usize,
        features: usize,
        samples: &[usize],
        key: [u32; 3],
        phase: u32,
        stream: &mut Stream,
    ) -> (Vec<f32>, Vec<f32>) {
        if !case.poisson {
            let x: Vec<f32> = (0..case.steps[0] * n * features).map(|_| stream.normal() as f32).collect();
            return (x.clone(), x);
        }
        let pixels: Vec<f32> = (0..n * features).map(|_| stream.uniform() as f32).collect();
        let spike = |t: usize, i: usize, j: usize| {
            let bits = philox4x32([(j / 4) as u32, samples[i] as u32, phase, 80 + t as u32], [key[0], key[1]]);
            f32::from(u8::from(open_unit(bits[j % 4]) as f32 <= pixels[i * features + j]))
        };
        let x = (0..case.steps[0] * n * features).map(|k| spike(k / (n * features), k / features % n, k % features)).collect();
        (pixels, x)
    }

    /// Levels made on the device are the host's, but for weights within rounding of the middle between two.
    fn compare_levels(open: &dyn Fn() -> Box<dyn Backend>) {
        let straight = Synapse { levels: 9, ..Synapse::default() };
        for s in [
            Synapse { bow: 0.2, ..straight.clone() },
            Synapse { levels: 2, ..straight.clone() },
            Synapse { levels: 0, range: 1.5, ..straight.clone() },
            straight,
        ] {
            let kinds = || vec![(Kind::Dense, 60), (Kind::Norm, 0), neurons(Answer::Tanh), (Kind::Dense, 3)];
            let mut net = Net::new([1, 1, 70], kinds(), 1, 11);
            let sizes = Sizes { realised: true, levels: Some(s.staircase()), ..SIZES };
            let mut graphics = Graphics::new(open(), &net, sizes).unwrap();
            let x = vec![0.5; 6 * 70];
            let batch = Batch { x: &x, labels: &[0, 1, 2, 0, 1, 2], samples: &[0, 1, 2, 3, 4, 5], key: [1, 2, 3], phase: 0 };
            // The rate is nought: what learns stays, and what is in use is made of it.
            net.learn_there(&mut graphics, &batch, 0.0, 0.0).unwrap();
            let found = graphics.take(graphics.used, graphics.count).unwrap();
            net.realise(Some(&s), None);
            let wanted = graphics.gather(&net, |p| &p.used);
            let off = found.iter().zip(&wanted).filter(|(f, w)| (*f - *w).abs() > 1e-5).count();
            assert!(off <= 2, "{off} of {} weights: {s:?}", wanted.len());
            assert!(graphics.gather(&net, |p| &p.latent) != wanted, "nothing was put on levels");
        }
    }

    #[test]
    fn a_graphics_device_learns_what_the_processor_learns() {
        match Vulkan::open(0) {
            Ok(device) => println!("{:?}", device.found()),
            Err(e) => return eprintln!("SKIPPED: {e}"),
        }
        compare(&|| Box::new(Vulkan::open(0).unwrap()));
        compare_levels(&|| Box::new(Vulkan::open(0).unwrap()));
    }

    #[test]
    fn a_cuda_device_learns_what_the_processor_learns() {
        if let Err(e) = cuda::Cuda::open(0) {
            return eprintln!("SKIPPED: {e}");
        }
        compare(&|| Box::new(cuda::Cuda::open(0).unwrap()));
        compare_levels(&|| Box::new(cuda::Cuda::open(0).unwrap()));
    }

    /// The CUDA text, compiled by the machine's own compiler.
    #[test]
    fn the_cuda_text_learns_what_the_processor_learns() {
        if host::Host::new(Limits::LEAST).is_none() {
            return eprintln!("SKIPPED: no C++ compiler here");
        }
        compare(&|| Box::new(host::Host::new(Limits::LEAST).unwrap()));
        compare_levels(&|| Box::new(host::Host::new(Limits::LEAST).unwrap()));
    }

    #[test]
    fn every_kernel_compiles_for_both_interfaces() {
        for case in &CASES {
            let (device, log) = Dry::new(Limits::LEAST);
            let net = Net::new(case.shape, (case.kinds)(), case.steps[1], 1);
            let levels = Some(Synapse { levels: 9, bow: 0.2, ..Synapse::default() }.staircase());
            let sizes = Sizes { steps_in: case.steps[0], poisson: case.poisson, realised: true, levels, ..SIZES };
            Graphics::new(Box::new(device), &net, sizes).unwrap();
            let log = log.lock().unwrap();
            assert!(log.kernels.len() > 10 && log.recordings.len() == 2);
            for kernel in &log.kernels {
                vulkan::check(kernel).unwrap_or_else(|e| panic!("{e}\n{}", kernel.glsl()));
                if let Err(e) = cuda::compiler() {
                    eprintln!("SKIPPED: {e}");
                    continue;
                }
                // Plain arithmetic: one architecture speaks for all.
                cuda::compile(kernel, "sm_75").unwrap_or_else(|e| panic!("{e}\n{}", kernel.cuda()));
            }
        }
    }

    #[test]
    fn what_a_device_cannot_do_is_told() {
        let kinds = vec![(Kind::Dense, 4), (Kind::Neurons { answer: Answer::Tanh, recurrent: true }, 0), (Kind::Dense, 3)];
        assert!(cannot(&Net::new([1, 1, 3], kinds, 2, 1)).is_some_and(|why| why.contains("recurrent")));
        // A picture too large for the device's buffers is an error, not a wrong answer.
        let (device, _) = Dry::new(Limits { groups: [8, 8, 8], ..Limits::LEAST });
        let net = Net::new([64, 64, 1], vec![(Kind::Conv { kernel: 3 }, 64), (Kind::Dense, 3)], 1, 1);
        let e = Graphics::new(Box::new(device), &net, SIZES).map(|_| ()).unwrap_err().to_string();
        assert!(e.contains("groups"), "{e}");
    }
}
