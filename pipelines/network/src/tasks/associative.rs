//! Associative memory of binary stochastic synapses (Zhou et al., Commun. Eng. 4, 142 (2025)): a Hopfield network (Proc. Natl. Acad. Sci. 79, 2554 (1982)) whose weight is
//! the difference of two two-state junctions, w = G⁺ − G⁻ in units of G_P − G_AP.
//!
//! Hebbian learning is a product of two pulses: where a pattern's two neurons agree, the junction of G⁺ is switched on and that of G⁻ off, each with the probability P_sw of the
//! overlapping pulses; where they disagree, the other way round (stochastic binary learning, Fusi, Biol. Cybern. 87, 459 (2002), section 2). Nothing is averaged:
//! each junction is in one of two states. Old patterns fade as new ones are written, so the newest are tested too. Recall is asynchronous, from a cue with a share of its neurons turned.

use super::switching::Switching;
use super::{CardNote, Context, Outcome, Task, priced};
use crate::settings::{Seconds, settings};
use rayon::prelude::*;
use spinloom_base::Problems;
use spinloom_base::random::Stream;
use std::path::PathBuf;

settings!(
    /// The memory.
    Associative: "the memory" {
        /// Card of a switching junction (`switching-uniaxial`), whose probability at `pulse` is taken.
        card: Option<PathBuf> = None;
        /// Length of the pulse, with a card.
        pulse: Seconds = Seconds(40e-9), 1e-12..=10.0;
        /// Its voltage (V), with a card; both directions are taken to switch alike.
        voltage: f64 = 0.2, -100.0..=100.0;
        /// P_sw of one Hebbian pulse pair, without a card.
        chance: f64 = 0.5, 0.001..=1.0;
        /// Neurons; there are neurons² pairs of junctions.
        neurons: usize = 1024, 8.0..=20000.0;
        /// Patterns.
        patterns: usize = 15, 1.0..=10000.0;
        /// How often each pattern is shown.
        shows: usize = 4, 1.0..=1000.0;
        /// Turned neurons of a cue: a list for the curve, the first the headline.
        corruption: Vec<f64> = vec![0.2, 0.1, 0.3, 0.4], 0.0..=0.5;
        /// Sweeps of recall.
        sweeps: usize = 12, 1.0..=1000.0;
        /// Spread of ln G between junctions, and relative noise of a read.
        spread: f64 = 0.05, 0.0..=1.0;
        /// Tunnel magnetoresistance.
        tmr: f64 = 1.5, 0.01..=10.0;
        /// Numbers of patterns to compare.
        loads: Vec<usize> = vec![5, 10, 20, 40, 80], 1.0..=10000.0;
        /// Energy of one write pulse (J); with a card its own, if it states one.
        write_energy: f64 = 1e-13, 0.0..=1.0;
    }
);

struct Memory {
    n: usize,
    /// 2 bits a pair: G⁺ on, G⁻ on.
    on: Vec<[bool; 2]>,
    writes: u64,
}

impl Memory {
    fn learn(s: &Associative, patterns: &[Vec<i8>], chance: f64, seed: u64) -> Memory {
        let n = s.neurons;
        let mut on = vec![[false; 2]; n * n];
        let writes: u64 = on
            .par_chunks_mut(n)
            .enumerate()
            .map(|(i, row)| {
                let mut stream = Stream::new(seed, 0x48 << 40 | i as u64);
                row.iter_mut().for_each(|d| *d = [stream.next_u32() & 1 == 1, stream.next_u32() & 1 == 1]);
                let mut writes = 0;
                for _ in 0..s.shows {
                    for p in patterns {
                        for (j, d) in row.iter_mut().enumerate() {
                            let agree = p[i] == p[j];
                            for (k, state) in d.iter_mut().enumerate() {
                                let wanted = (k == 0) == agree;
                                if *state != wanted && stream.uniform() <= chance {
                                    *state = wanted;
                                    writes += 1;
                                }
                            }
                        }
                    }
                }
                writes
            })
            .sum();
        Memory { n, on, writes }
    }

    /// Weights as a chip has them.
    fn weights(&self, s: &Associative, seed: u64) -> Vec<f32> {
        let n = self.n;
        let mut w = vec![0.0f32; n * n];
        w.par_chunks_mut(n).enumerate().for_each(|(i, row)| {
            let mut stream = Stream::new(seed, 0x49 << 40 | i as u64);
            for (j, w) in row.iter_mut().enumerate() {
                let g =
                    |on: bool, stream: &mut Stream| (if on { 1.0 + 1.0 / s.tmr } else { 1.0 / s.tmr }) * (s.spread * stream.normal()).exp();
                let [plus, minus] = self.on[i * n + j];
                *w = if i == j { 0.0 } else { (g(plus, &mut stream) - g(minus, &mut stream)) as f32 };
            }
        });
        w
    }
}

/// Overlap of what is recalled with the pattern.
fn recall(w: &[f32], pattern: &[i8], turned: f64, sweeps: usize, stream: &mut Stream) -> f64 {
    let n = pattern.len();
    let mut order: Vec<usize> = (0..n).collect();
    stream.shuffle(&mut order);
    let mut x: Vec<f32> = pattern.iter().map(|p| f32::from(*p)).collect();
    order[..(turned * n as f64).round() as usize].iter().for_each(|&i| x[i] = -x[i]);
    for _ in 0..sweeps {
        stream.shuffle(&mut order);
        let mut changed = false;
        for &i in &order {
            let sum: f32 = w[i * n..(i + 1) * n].iter().zip(&x).map(|(w, x)| w * x).sum();
            let next = if sum >= 0.0 { 1.0 } else { -1.0 };
            changed |= next != x[i];
            x[i] = next;
        }
        if !changed {
            break;
        }
    }
    x.iter().zip(pattern).map(|(x, p)| f64::from(*x) * f64::from(*p)).sum::<f64>() / n as f64
}

impl Associative {
    /// Share of patterns recalled (overlap above 0.95), mean overlap, and writes.
    fn test(&self, patterns: usize, turned: f64, chance: f64, seed: u64) -> (f64, f64, u64) {
        let mut stream = Stream::new(seed, 0x4A << 40 | patterns as u64);
        let patterns: Vec<Vec<i8>> =
            (0..patterns).map(|_| (0..self.neurons).map(|_| if stream.next_u32() & 1 == 1 { 1 } else { -1 }).collect()).collect();
        let memory = Memory::learn(self, &patterns, chance, seed);
        let w = memory.weights(self, seed);
        let overlaps: Vec<f64> = patterns
            .par_iter()
            .enumerate()
            .map(|(k, p)| recall(&w, p, turned, self.sweeps, &mut Stream::new(seed, 0x4B << 40 | k as u64)))
            .collect();
        let n = overlaps.len();
        let whole = overlaps.iter().filter(|o| **o > 0.95).count();
        (super::percent(whole, n), overlaps.iter().sum::<f64>() / n as f64, memory.writes)
    }
}

impl Task for Associative {
    fn cards(&self) -> Vec<PathBuf> {
        self.card.iter().cloned().collect()
    }

    fn run(&self, seed: u64, context: &Context<'_>) -> Result<Outcome, Problems> {
        let mut out = Outcome::default();
        let mut read = None;
        let chance = match &self.card {
            Some(path) => {
                let junction = Switching::read(context, path, &[(self.pulse.0, self.voltage)], &mut out)?;
                out.cards.push(CardNote::typed("typed beside the card: spread, TMR"));
                let chance = junction.chance(self.pulse.0, self.voltage, 1.0)?;
                read = Some(junction.card);
                chance
            }
            None => {
                out.cards.push(CardNote::typed("junction typed: P_sw of the settings"));
                self.chance
            }
        };
        let energy = priced(&mut out, read.as_ref(), &["write", "switch"], self.write_energy);
        let mut rows = Vec::new();
        for (i, &turned) in self.corruption.iter().enumerate() {
            (context.progress)(i as f64 / (self.corruption.len() + self.loads.len()) as f64, "recall");
            let (whole, overlap, writes) = self.test(self.patterns, turned, chance, seed);
            if i == 0 {
                out.score(format!("recalled from cues with {:.0} % turned", 100.0 * turned), whole, "%");
                out.score("synapses", (self.neurons * self.neurons) as f64, "pairs");
                out.score("writes to learn", writes as f64, "switchings");
                out.score("energy to learn", writes as f64 * energy, "J");
            }
            rows.push(vec![100.0 * turned, whole, overlap]);
        }
        out.curve(format!("{} patterns", self.patterns), &["turned (%)", "recalled (%)", "overlap"], rows);
        let mut rows = Vec::new();
        for &load in &self.loads {
            let (whole, overlap, _) = self.test(load, self.corruption[0], chance, seed);
            rows.push(vec![load as f64, whole, overlap]);
        }
        out.curve("against the number of patterns", &["patterns", "recalled (%)", "overlap"], rows);
        out.note(format!("P_sw = {chance:.3} per pulse pair"));
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_patterns_are_recalled_and_many_are_not() {
        let s = Associative { neurons: 200, ..Associative::default() };
        let (few, overlap, writes) = s.test(3, 0.2, 0.5, 1);
        assert!(few == 100.0 && overlap > 0.98 && writes > 0, "{few} {overlap}");
        // Two states per junction hold far less than a tenth of the number of neurons with certainty.
        let (many, ..) = s.test(60, 0.2, 0.5, 1);
        assert!(many < 50.0, "{many}");
    }
}
