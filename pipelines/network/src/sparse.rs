//! Large sparse networks of spiking neurons, event by event, in steps of 0.1 ms.
//!
//! ```text
//! C dV/dt = −C (V − E)/τ_m + I_syn + I_ext,   dI_syn/dt = −I_syn/τ_syn     (iaf_psc_exp; delta synapses where τ_syn = 0)
//! ```
//!
//! solved exactly per step (Rotter and Diesmann, Biol. Cybern. 81, 381 (1999), equation 12); spikes on the grid, delays in whole steps.
//!
//! Neurons lie in blocks. A block has, of every source in the network, the synapses that end in it, in the order of their targets, and a ring of what arrives in the steps to come; a step takes the spikes of the step before into
//! the rings and moves the neurons on, so that threads, each with blocks of its own, meet once a step. Blocks are a matter of the network, not of the threads: their number changes no bit.
//!
//! Time goes into three loops. External events: a Poisson number a neuron and step, by inversion of one 32-bit number through a table, all lanes at once. Neurons: straight arithmetic, all lanes at once. Synapses: eight bytes each, read
//! in runs from main memory, added to a ring that lies in the cache.

use crate::encode::key;
use rayon::prelude::*;
use spinloom_base::random::{Stream, normal_pair, normals, philox4x32};
use std::time::Instant;

/// A step (s).
pub(crate) const STEP: f64 = 1e-4;
/// Steps that a spike can be on its way.
const SLOTS: usize = 64;
/// Last words of counters: external events, scatter of thresholds, synapses.
const EXTERNAL: u32 = 83;
const SCATTER: u32 = 84;
const CONNECT: u32 = 85;

/// Neurons alike: how many, and the mean number of external events of each in a step.
#[derive(Clone, Copy)]
pub(crate) struct Population {
    pub(crate) size: usize,
    pub(crate) external: f64,
}

/// Number of synapses per pair of populations, weight and delay.
pub(crate) struct Projection {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) synapses: usize,
    /// Whether every target has the same number of inputs (Brunel 2000, section 2), instead of a number drawn.
    pub(crate) even: bool,
    /// pA, or mV where synapses are deltas.
    pub(crate) weight: f64,
    pub(crate) weight_spread: f64,
    /// s.
    pub(crate) delay: f64,
    pub(crate) delay_spread: f64,
}

/// The neuron's numbers; times in s, potentials in mV.
#[derive(Clone)]
pub(crate) struct Neuron {
    pub(crate) tau: f64,
    pub(crate) tau_syn: f64,
    /// mV per pA and s: 1/C.
    pub(crate) per_charge: f64,
    pub(crate) threshold: f64,
    pub(crate) reset: f64,
    /// Steps.
    pub(crate) refractory: usize,
    pub(crate) floor: Option<f64>,
    /// A leak of constant speed (mV/s) in place of the exponential one.
    pub(crate) constant: Option<f64>,
    /// Of thresholds, between neurons and from event to event, over threshold minus reset.
    pub(crate) spread: f64,
    pub(crate) scatter: f64,
    pub(crate) external_weight: f64,
}

/// Populations and the synapses between them.
pub(crate) struct Network {
    pub(crate) populations: Vec<Population>,
    /// First neuron of each population, and the number of all.
    pub(crate) starts: Vec<usize>,
    pub(crate) synapses: usize,
    blocks: Vec<Block>,
}

/// Synapses whose targets are the neurons `from..to`.
struct Block {
    from: usize,
    to: usize,
    /// Synapses of source s are `offsets[s]..offsets[s + 1]`.
    offsets: Vec<u32>,
    synapses: Vec<Synapse>,
}

#[derive(Clone, Copy)]
struct Synapse {
    /// Target within the block, times `SLOTS`, plus the delay in steps.
    place: u32,
    weight: f32,
}

/// Spikes of a run.
pub(crate) struct Spikes {
    /// Per neuron, the steps it fired in.
    pub(crate) trains: Vec<Vec<u32>>,
    /// Spikes that reached a synapse.
    pub(crate) events: u64,
    /// s.
    pub(crate) wall: f64,
}

/// Neurons of a block.
struct State {
    v: Vec<f32>,
    i: Vec<f32>,
    /// Steps left of the refractory time.
    wait: Vec<u32>,
    threshold: Vec<f32>,
    scattered: Vec<f32>,
    /// What arrives, by slot and neuron.
    ring: Vec<f32>,
    /// Runs of neurons of one population, and the table of the external events of each.
    runs: Vec<(std::ops::Range<usize>, Vec<u32>)>,
    bits: Vec<u32>,
    fired: Vec<u32>,
    spikes: Vec<u32>,
    events: u64,
}

/// What a step does to every neuron.
#[derive(Clone, Copy)]
struct Step {
    /// Shares of V and of the current that stay; mV of a unit of current; fall by a constant leak.
    p22: f32,
    p11: f32,
    p21: f32,
    fall: f32,
    floor: f32,
    reset: f32,
    refractory: u32,
    /// What arrives goes to the potential (1, 0) or to the current (0, 1).
    to_v: f32,
    to_i: f32,
    external_weight: f32,
}

impl Network {
    pub(crate) fn neurons(&self) -> usize {
        self.starts[self.starts.len() - 1]
    }

    /// Draws the synapses.
    pub(crate) fn new(populations: Vec<Population>, projections: &[Projection], seed: u64) -> Network {
        let mut starts = vec![0];
        populations.iter().for_each(|p| starts.push(starts[starts.len() - 1] + p.size));
        let n = starts[starts.len() - 1];
        // Rings of a few hundred kB, and work for many threads where there are many neurons.
        let count = (n / 2048).clamp(8, 64);
        let blocks: Vec<Block> =
            (0..count).into_par_iter().map(|b| Block::new(b, n * b / count..n * (b + 1) / count, &starts, projections, seed)).collect();
        let synapses = blocks.iter().map(|b| b.synapses.len()).sum();
        Network { populations, starts, blocks, synapses }
    }

    /// Number of inputs of each neuron.
    #[cfg(test)]
    pub(crate) fn inputs(&self) -> Vec<usize> {
        let mut inputs = vec![0; self.neurons()];
        self.blocks.iter().for_each(|b| b.synapses.iter().for_each(|s| inputs[b.from + s.place as usize / SLOTS] += 1));
        inputs
    }

    /// Runs the network for two times (s): one to settle in, and one in which spikes are kept. `tell` hears the share that is done.
    pub(crate) fn run(&self, neuron: &Neuron, [settle, time]: [f64; 2], seed: u64, tell: &(dyn Fn(f64) + Sync)) -> Spikes {
        let swing = neuron.threshold - neuron.reset;
        let mut states: Vec<State> = self.blocks.iter().map(|b| self.begin(b, neuron, seed)).collect();
        let step = Step::new(neuron);
        let key = key(seed);
        let steps = ((settle + time) / STEP).round() as usize;
        let from = (settle / STEP).round() as usize;
        let mut trains: Vec<Vec<u32>> = vec![Vec::new(); self.neurons()];
        let started = Instant::now();
        let mut fired: Vec<u32> = Vec::new();
        for t in 0..steps {
            if t % 500 == 0 {
                tell(t as f64 / steps as f64);
            }
            states.par_iter_mut().zip(&self.blocks).enumerate().for_each(|(b, (s, block))| {
                if t > 0 {
                    s.receive(block, &fired, t - 1);
                }
                s.external(t, b as u32, key);
                pulp::Arch::new().dispatch(|| s.advance(t, &step));
                s.collect(block.from);
                if neuron.scatter > 0.0 {
                    for i in &s.spikes {
                        let z = normals([*i, t as u32, 0, SCATTER], key)[0];
                        let k = *i as usize - block.from;
                        s.scattered[k] = s.threshold[k] + (neuron.scatter * swing * z) as f32;
                    }
                }
            });
            fired.clear();
            states.iter().for_each(|s| fired.extend_from_slice(&s.spikes));
            if t >= from {
                fired.iter().for_each(|&i| trains[i as usize].push((t - from) as u32));
            }
        }
        Spikes { trains, events: states.iter().map(|s| s.events).sum(), wall: started.elapsed().as_secs_f64() }
    }

    fn begin(&self, b: &Block, neuron: &Neuron, seed: u64) -> State {
        let m = b.to - b.from;
        let swing = neuron.threshold - neuron.reset;
        let mut stream = Stream::new(seed, 0x4E55 << 40 | b.from as u64);
        let threshold: Vec<f32> = (0..m).map(|_| (neuron.threshold + neuron.spread * swing * stream.normal()) as f32).collect();
        let within = |start: usize| start.clamp(b.from, b.to) - b.from;
        let runs = self.starts.windows(2).zip(&self.populations).map(|(w, p)| (within(w[0])..within(w[1]), poisson_table(p.external)));
        State {
            v: (0..m).map(|_| (neuron.reset + swing * (0.7 * stream.uniform())) as f32).collect(),
            i: vec![0.0; m],
            wait: vec![0; m],
            scattered: threshold.clone(),
            threshold,
            ring: vec![0.0; SLOTS * m],
            runs: runs.filter(|(run, _)| !run.is_empty()).collect(),
            bits: vec![0; m.next_multiple_of(4)],
            fired: vec![0; m],
            spikes: Vec::new(),
            events: 0,
        }
    }
}

impl Block {
    /// Draws block `b`'s own share of every projection: pairs with targets in `within`. A synapse takes four random words: source, target, weight and delay.
    fn new(b: usize, within: std::ops::Range<usize>, starts: &[usize], projections: &[Projection], seed: u64) -> Block {
        const PIECE: usize = 1024;
        let (key, n) = (key(seed), starts[starts.len() - 1]);
        let below = |bits: u32, n: usize| ((u64::from(bits) * n as u64) >> 32) as u32;
        let mut drawn: Vec<(u32, Synapse)> = Vec::new();
        for (number, p) in projections.iter().enumerate() {
            let (t0, t1) = (starts[p.to].max(within.start), starts[p.to + 1].min(within.end));
            if t0 >= t1 {
                continue;
            }
            let (sources, targets) = (starts[p.from + 1] - starts[p.from], starts[p.to + 1] - starts[p.to]);
            // The exact number overall: shares of blocks by cumulative rounding.
            let share = |t: usize| (p.synapses as f64 * (t - starts[p.to]) as f64 / targets as f64).round() as usize;
            let many = share(t1) - share(t0);
            drawn.reserve(many);
            let mut piece = [[0u32; PIECE]; 3];
            let mut weights = [0f32; PIECE];
            for first in (0..many).step_by(PIECE) {
                pulp::Arch::new().dispatch(|| {
                    let [source, target, delay] = &mut piece;
                    for (k, (((source, target), delay), weight)) in source.iter_mut().zip(target).zip(delay).zip(&mut weights).enumerate() {
                        let bits = philox4x32([(first + k) as u32, number as u32, b as u32, CONNECT], key);
                        let [w, d] = normal_pair(bits[2], bits[3]);
                        *source = below(bits[0], sources);
                        *target = below(bits[1], t1 - t0);
                        *weight = (p.weight * (1.0 + p.weight_spread * w).max(0.0)) as f32;
                        *delay = (p.delay / STEP * (1.0 + p.delay_spread * d) + 0.5).clamp(1.0, (SLOTS - 1) as f64) as u32;
                    }
                });
                let [source, target, delay] = &piece;
                drawn.extend((0..PIECE.min(many - first)).map(|k| {
                    let target = if p.even { ((first + k) % (t1 - t0)) as u32 } else { target[k] };
                    let place = ((t0 - within.start) as u32 + target) * SLOTS as u32 + delay[k];
                    (starts[p.from] as u32 + source[k], Synapse { place, weight: weights[k] })
                }));
            }
        }
        // By source, and there by target.
        let mut offsets = vec![0u32; n + 1];
        drawn.iter().for_each(|(source, _)| offsets[*source as usize + 1] += 1);
        for i in 0..n {
            offsets[i + 1] += offsets[i];
        }
        let mut ends = offsets.clone();
        let mut synapses = vec![Synapse { place: 0, weight: 0.0 }; drawn.len()];
        for (source, s) in drawn {
            let end = &mut ends[source as usize];
            synapses[*end as usize] = s;
            *end += 1;
        }
        offsets.windows(2).for_each(|w| synapses[w[0] as usize..w[1] as usize].sort_by_key(|s| s.place));
        Block { from: within.start, to: within.end, offsets, synapses }
    }
}

impl State {
    /// Spikes of step t reach the synapses of this block.
    fn receive(&mut self, block: &Block, fired: &[u32], t: usize) {
        let m = self.v.len();
        for &i in fired {
            let synapses = &block.synapses[block.offsets[i as usize] as usize..block.offsets[i as usize + 1] as usize];
            self.events += synapses.len() as u64;
            for s in synapses {
                let (target, delay) = (s.place as usize / SLOTS, s.place as usize % SLOTS);
                self.ring[(t + delay) % SLOTS * m + target] += s.weight;
            }
        }
    }

    /// Random bits for the external events of step t.
    fn external(&mut self, t: usize, block: u32, key: [u32; 2]) {
        pulp::Arch::new().dispatch(|| {
            let quads = self.bits.len() / 4;
            let (a, rest) = self.bits.split_at_mut(quads);
            let (b, rest) = rest.split_at_mut(quads);
            let (c, d) = rest.split_at_mut(quads);
            for (q, (((a, b), c), d)) in a.iter_mut().zip(b).zip(c).zip(d).enumerate() {
                [*a, *b, *c, *d] = philox4x32([q as u32, t as u32, block, EXTERNAL], key);
            }
        });
    }

    /// One step of every neuron.
    #[inline(always)]
    fn advance(&mut self, t: usize, step: &Step) {
        let m = self.v.len();
        let slot = t % SLOTS;
        let ring = &mut self.ring[slot * m..(slot + 1) * m];
        for (run, table) in &self.runs {
            let (ring, bits) = (&mut ring[run.clone()], &self.bits[run.clone()]);
            // Sixteen neurons at a time keep their counts in one register.
            for (ring, bits) in ring.chunks_mut(16).zip(bits.chunks(16)) {
                let mut counts = [0u32; 16];
                let mut wide = [0u32; 16];
                wide[..bits.len()].copy_from_slice(bits);
                for c in table {
                    for (n, u) in counts.iter_mut().zip(&wide) {
                        *n += u32::from(u >= c);
                    }
                }
                for (r, n) in ring.iter_mut().zip(counts) {
                    *r += n as f32 * step.external_weight;
                }
            }
        }
        let own = self.v.iter_mut().zip(&mut self.i).zip(&mut self.wait).zip(&mut self.fired);
        for ((((v, i), wait), fired), (arriving, threshold)) in own.zip(ring.iter_mut().zip(&self.scattered)) {
            let free = ((step.p22 * *v - step.fall).max(step.floor) + step.p21 * *i + step.to_v * *arriving).max(step.floor);
            let u = if *wait > 0 { step.reset } else { free };
            *i = step.p11 * *i + step.to_i * *arriving;
            *arriving = 0.0;
            let fires = u >= *threshold;
            *v = if fires { step.reset } else { u };
            *wait = if fires { step.refractory } else { wait.saturating_sub(1) };
            *fired = u32::from(fires);
        }
    }

    /// Numbers of the neurons that fired.
    fn collect(&mut self, from: usize) {
        self.spikes.clear();
        for (c, chunk) in self.fired.chunks(64).enumerate() {
            if chunk.iter().fold(0, |any, f| any | f) != 0 {
                self.spikes.extend(chunk.iter().enumerate().filter(|(_, f)| **f != 0).map(|(k, _)| (from + 64 * c + k) as u32));
            }
        }
    }
}

impl Step {
    fn new(neuron: &Neuron) -> Step {
        let p22 = (-STEP / neuron.tau).exp();
        let delta = neuron.tau_syn == 0.0;
        let p11 = if delta { 0.0 } else { (-STEP / neuron.tau_syn).exp() };
        // V from a unit of current that decays over the step, mV: 1/C times ∫ e^(−(h − s)/τ_m) e^(−s/τ_s) ds; where the leak is constant, all of the charge.
        let p21 = match (delta, neuron.constant) {
            (true, _) => 0.0,
            (false, Some(_)) => neuron.per_charge * neuron.tau_syn * (1.0 - p11),
            (false, None) => neuron.per_charge * neuron.tau * neuron.tau_syn / (neuron.tau - neuron.tau_syn) * (p22 - p11),
        };
        let (p22, fall) = neuron.constant.map_or((p22, 0.0), |v| (1.0, v * STEP));
        Step {
            p22: p22 as f32,
            p11: p11 as f32,
            p21: p21 as f32,
            fall: fall as f32,
            floor: neuron.floor.map_or(f32::NEG_INFINITY, |f| f as f32),
            reset: neuron.reset as f32,
            refractory: neuron.refractory as u32,
            to_v: if delta { 1.0 } else { 0.0 },
            to_i: if delta { 0.0 } else { 1.0 },
            external_weight: neuron.external_weight as f32,
        }
    }
}

/// A Poisson number of this mean is how many of these a uniform 32-bit number reaches: 2^32 P(N ≤ k) for k = 0, 1, …, as long as that is below 2^32.
fn poisson_table(mean: f64) -> Vec<u32> {
    let mut table = Vec::new();
    let (mut p, mut sum) = ((-mean).exp(), 0.0);
    for k in 1.. {
        sum += p;
        let reach = (sum * 4_294_967_296.0).round();
        if reach > f64::from(u32::MAX) || (k as f64 > mean && p < 1e-12) {
            break;
        }
        table.push(reach as u32);
        p *= mean / k as f64;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_external_events_are_poissonian() {
        for mean in [0.0, 0.3, 2.32, 20.0] {
            let table = poisson_table(mean);
            let mut stream = Stream::new(1, 7);
            let n = 200_000;
            let draws: Vec<f64> = (0..n).map(|_| stream.next_u32()).map(|u| table.iter().filter(|c| u >= **c).count() as f64).collect();
            let first = draws.iter().sum::<f64>() / n as f64;
            let second = draws.iter().map(|d| (d - first).powi(2)).sum::<f64>() / n as f64;
            let none = draws.iter().filter(|d| **d == 0.0).count() as f64 / n as f64;
            // Five standard errors: of a mean √(λ/n), of a variance √((λ + 2 λ²)/n), of a share √(p (1 − p)/n).
            let (p, n) = ((-mean).exp(), n as f64);
            assert!((first - mean).abs() <= 5.0 * (mean / n).sqrt(), "{mean}: {first}");
            assert!((second - mean).abs() <= 5.0 * ((mean + 2.0 * mean * mean) / n).sqrt(), "{mean}: {second}");
            assert!((none - p).abs() <= 5.0 * (p * (1.0 - p) / n).sqrt() + 1e-12, "{mean}: {none} {p}");
        }
    }

    /// One spike through one synapse of each delay: the potential moves by the weight after that many steps, and by nothing else.
    #[test]
    fn a_spike_arrives_after_its_delay() {
        for delay in [1, 15, 63] {
            let populations = vec![Population { size: 1, external: 0.0 }, Population { size: 1, external: 0.0 }];
            let projection = Projection {
                from: 0,
                to: 1,
                synapses: 1,
                even: true,
                weight: 30.0,
                weight_spread: 0.0,
                delay: delay as f64 * STEP,
                delay_spread: 0.0,
            };
            let network = Network::new(populations, &[projection], 1);
            let neuron = Neuron {
                tau: 0.02,
                tau_syn: 0.0,
                per_charge: 1.0,
                threshold: 20.0,
                reset: 10.0,
                refractory: 20,
                floor: None,
                constant: None,
                spread: 0.0,
                scatter: 0.0,
                external_weight: 0.1,
            };
            let step = Step::new(&neuron);
            let mut states: Vec<State> = network.blocks.iter().map(|b| network.begin(b, &neuron, 1)).collect();
            let b = network.blocks.iter().position(|b| b.from == 1 && b.to == 2).expect("a block for the second neuron");
            states[b].v[0] = 10.0;
            states[b].receive(&network.blocks[b], &[0], 0);
            let fired = (1..=70).find(|&t| {
                states[b].advance(t, &step);
                states[b].collect(1);
                !states[b].spikes.is_empty()
            });
            assert_eq!(fired, Some(delay));
            assert_eq!(states[b].events, 1);
        }
    }
}
