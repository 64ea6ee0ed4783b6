//! Multiplication by bit streams of superparamagnetic junctions (review table 3, Sabyasachi et al., arXiv 2504.06414).
//!
//! A number between −1 and 1 is a stream of bits that are 1 with p = (1 + x)/2; the product of two is the XNOR of their streams (Gaines, Adv. Inf. Syst. Sci. 2, 37 (1969), section 5). A neuron counts the ones of all its products
//! over the stream; tanh of the sum, made into a stream again, goes on. A junction keeps its state: successive bits are correlated with ρ = e^(−dt/τ) (card `p-bit`, tau), and a stream of L bits carries the
//! information of L (1 − ρ)/(1 + ρ). Weights have few states. The network is trained with those and real arithmetic; here every bit is then drawn.

use super::{CardNote, Context, Outcome, Task, card, percent, priced};
use crate::data::samples::{Samples, Set};
use crate::layers::{Answer, Kind, Net, Pass, cross_entropy};
use crate::settings::{Seconds, settings};
use crate::synapse::Synapse;
use rayon::prelude::*;
use spinloom_base::Problems;
use spinloom_base::random::Stream;
use std::path::PathBuf;

settings!(
    /// The network and its streams.
    Bitstreams: "the network" {
        /// Card of the junction, for its response time.
        card: Option<PathBuf> = None;
        /// Time between bits, with a card.
        clock: Seconds = Seconds(1e-8), 1e-15..=1.0;
        /// Correlation of successive bits, without a card.
        correlation: f64 = 0.05, 0.0..=0.999;
        /// Data.
        data: Set = Set::Mnist;
        /// Training and test samples at most.
        samples: Vec<usize> = vec![60000, 1000], 1.0..=1e7;
        /// Hidden neurons, layer by layer.
        hidden: Vec<usize> = vec![200], 1.0..=10000.0;
        /// States of a weight.
        levels: usize = 11, 2.0..=1000.0;
        /// Bits of a stream: a list for the curve, the first the headline.
        bits: Vec<usize> = vec![400, 100, 200, 500], 2.0..=100000.0;
        /// Passes over the training samples.
        epochs: usize = 8, 1.0..=1000.0;
        /// Samples per update.
        batch: usize = 100, 1.0..=4096.0;
        /// Learning rate of Adam.
        learning_rate: f64 = 1e-3, 1e-7..=1.0;
        /// Energy of a bit of a junction (J).
        bit_energy: f64 = 1e-15, 0.0..=1.0;
    }
);

/// A stream of `bits` bits, the state kept with `keep` from bit to bit.
fn stream_of(p: f64, bits: usize, keep: f64, stream: &mut Stream, out: &mut Vec<u64>) {
    let mut state = stream.uniform() <= p;
    let limit = |p: f64| (p.clamp(0.0, 1.0) * 4_294_967_296.0) as u64;
    let (below, hold) = (limit(p), limit(keep));
    let mut word = 0u64;
    for i in 0..bits {
        // With ρ the old state stays, else a new one is drawn: correlation ρ, mean p.
        if hold == 0 || u64::from(stream.next_u32()) >= hold {
            state = u64::from(stream.next_u32()) < below;
        }
        word |= u64::from(state) << (i % 64);
        if i % 64 == 63 || i + 1 == bits {
            out.push(word);
            word = 0;
        }
    }
}

impl Bitstreams {
    fn train(&self, data: &Samples, seed: u64, context: &Context<'_>) -> (Net, Synapse, f64) {
        let mut kinds = Vec::new();
        for &n in &self.hidden {
            kinds.extend([(Kind::Dense, n), (Kind::Neurons { answer: Answer::Tanh, recurrent: false }, 0)]);
        }
        kinds.push((Kind::Dense, data.classes));
        let mut net = Net::new(data.shape, kinds, 1, seed);
        // States of a pair are 2n − 1.
        let levels = Synapse { levels: self.levels.div_ceil(2), range: 2.0, ..Synapse::default() };
        let size = data.size();
        let mut order: Vec<usize> = (0..data.train.labels.len()).collect();
        let total = self.epochs * order.len().div_ceil(self.batch);
        let mut t = 0;
        for epoch in 0..self.epochs {
            Stream::new(seed, 0x4253 << 40 | epoch as u64).shuffle(&mut order);
            for some in order.chunks(self.batch) {
                (context.progress)(t as f64 / total as f64, "training");
                net.realise(Some(&levels), None);
                let x = some
                    .iter()
                    .flat_map(|&i| data.train.pixels[i * size..(i + 1) * size].iter().map(|p| f32::from(*p) / data.unit))
                    .collect();
                let labels: Vec<u8> = some.iter().map(|&i| data.train.labels[i]).collect();
                let (y, _) = net.forward(x, 1, some.len(), Pass::Train, None, [0; 3]);
                let (_, _, g) = cross_entropy(&y, 1, some.len(), data.classes, &labels, 1.0);
                net.backward(g, some.len());
                net.update(self.learning_rate * 0.5 * (1.0 + (std::f64::consts::PI * t as f64 / total as f64).cos()), 0.0, None);
                t += 1;
            }
        }
        net.realise(Some(&levels), None);
        let all: Vec<u8> = data.test.labels.clone();
        let x = data.test.pixels.iter().map(|p| f32::from(*p) / data.unit).collect();
        let (y, _) = net.forward(x, 1, all.len(), Pass::Test, None, [0; 3]);
        let (_, answers, _) = cross_entropy(&y, 1, all.len(), data.classes, &all, 1.0);
        let right = percent(answers.iter().zip(&all).filter(|(a, l)| **a == usize::from(**l)).count(), all.len());
        (net, levels, right)
    }

    /// Accuracy with every product made of bits.
    fn test(&self, net: &Net, levels: &Synapse, data: &Samples, bits: usize, keep: f64, seed: u64) -> f64 {
        let words = bits.div_ceil(64);
        let last = if bits.is_multiple_of(64) { u64::MAX } else { (1u64 << (bits % 64)) - 1 };
        let arrays = net.arrays();
        // One stream a weight: its junction goes on while images come; drawn once, since inputs are new every time.
        let weights: Vec<(f64, Vec<u64>)> = arrays
            .iter()
            .enumerate()
            .map(|(l, (i, _))| {
                let p = &net.layers[*i].weights;
                let w_max = p.w_max(levels);
                let streams: Vec<Vec<u64>> = p
                    .used
                    .par_iter()
                    .enumerate()
                    .map(|(k, w)| {
                        let mut out = Vec::with_capacity(words);
                        let mut stream = Stream::new(seed ^ (l as u64) << 32, 0x4254 << 40 | k as u64);
                        stream_of(0.5 * (1.0 + f64::from(*w) / w_max), bits, keep, &mut stream, &mut out);
                        out
                    })
                    .collect();
                (w_max, streams.concat())
            })
            .collect();
        let size = data.size();
        let layers = &net.layers;
        let right = data
            .test
            .labels
            .par_iter()
            .enumerate()
            .filter(|(s, label)| {
                let mut stream = Stream::new(seed, 0x4255 << 40 | *s as u64);
                let mut x: Vec<f64> =
                    data.test.pixels[s * size..(s + 1) * size].iter().map(|p| f64::from(*p) / f64::from(data.unit)).collect();
                for (l, ((i, [_, outputs]), (w_max, w))) in arrays.iter().zip(&weights).enumerate() {
                    let mut input = Vec::with_capacity(x.len() * words);
                    x.iter().for_each(|x| stream_of(0.5 * (1.0 + x), bits, keep, &mut stream, &mut input));
                    let mut counts = vec![0u32; *outputs];
                    for (k, a) in input.chunks_exact(words).enumerate() {
                        for (o, count) in counts.iter_mut().enumerate() {
                            let b = &w[(k * outputs + o) * words..][..words];
                            let mut c = 0;
                            for j in 0..words {
                                let same = !(a[j] ^ b[j]) & if j + 1 == words { last } else { u64::MAX };
                                c += same.count_ones();
                            }
                            *count += c;
                        }
                    }
                    let n = x.len() as f64;
                    x = counts
                        .iter()
                        .zip(&layers[*i].bias.used)
                        .map(|(c, bias)| w_max * (2.0 * f64::from(*c) / bits as f64 - n) + f64::from(*bias))
                        .map(|v| if l + 1 < arrays.len() { v.tanh() } else { v })
                        .collect();
                }
                (0..x.len()).max_by(|&a, &b| x[a].total_cmp(&x[b])) == Some(usize::from(**label))
            })
            .count();
        percent(right, data.test.labels.len())
    }
}

impl Task for Bitstreams {
    fn cards(&self) -> Vec<PathBuf> {
        self.card.iter().cloned().collect()
    }

    fn data(&self) -> &'static [&'static str] {
        self.data.folders()
    }

    fn run(&self, seed: u64, context: &Context<'_>) -> Result<Outcome, Problems> {
        let mut out = Outcome::default();
        let mut read = None;
        let keep = match &self.card {
            Some(path) => {
                let (card, note) = card(context, path, &super::RANDOM_BITS)?;
                out.cards.push(note);
                let keep = (-self.clock.0 / super::RandomBit::of(&card)?.tau).exp();
                out.cards.push(CardNote::typed("clock and levels typed"));
                out.note(format!("successive bits are correlated with {keep:.4}"));
                read = Some(card);
                keep
            }
            None => {
                out.cards.push(CardNote::typed("junction typed: correlation of the settings"));
                self.correlation
            }
        };
        let data = Samples::grey_images(self.data, context.data, &self.samples)?;
        let (net, levels, real) = self.train(&data, seed, context);
        let mut rows = Vec::new();
        for &bits in &self.bits {
            (context.progress)(1.0, &format!("{bits} bits"));
            rows.push(vec![bits as f64, self.test(&net, &levels, &data, bits, keep, seed)]);
        }
        out.score(format!("accuracy with {} bits", self.bits[0]), rows[0][1], "%");
        out.score("accuracy with real products", real, "%");
        let macs: usize = net.arrays().iter().map(|(_, d)| d[0] * d[1]).sum();
        let energy = priced(&mut out, read.as_ref(), &["bit"], self.bit_energy);
        out.score("energy of the bits of an inference", (macs * self.bits[0]) as f64 * energy, "J");
        out.score("latency of an inference, one bit after the other", self.bits[0] as f64 * self.clock.0, "s");
        out.score("the same in digital multiply-accumulates", macs as f64 * super::MAC, "J");
        out.curve("accuracy against bits", &["bits", "accuracy (%)"], rows);
        out.data = Some(data.note(0));
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_have_their_mean_and_their_correlation() {
        let mut stream = Stream::new(1, 1);
        let mut words = Vec::new();
        stream_of(0.3, 64 * 4000, 0.8, &mut stream, &mut words);
        let bits: Vec<f64> = words.iter().flat_map(|w| (0..64).map(move |i| (w >> i & 1) as f64)).collect();
        let n = bits.len() as f64;
        let mean = bits.iter().sum::<f64>() / n;
        // Variance of the mean is p(1 − p)/n (1 + ρ)/(1 − ρ).
        assert!((mean - 0.3).abs() < 5.0 * (0.21 / n * 9.0).sqrt(), "{mean}");
        let c = bits.windows(2).map(|w| (w[0] - mean) * (w[1] - mean)).sum::<f64>() / n / (mean * (1.0 - mean));
        assert!((c - 0.8).abs() < 0.02, "{c}");
    }

    #[test]
    fn more_bits_come_closer_to_real_products() {
        let s = Bitstreams { samples: vec![800, 150], hidden: vec![40], epochs: 4, learning_rate: 3e-3, ..Bitstreams::default() };
        let data = Samples::grey_images(s.data, None, &[800, 150]).unwrap();
        let context = Context { data: None, base: std::path::Path::new("."), folder: None, device: None, progress: &|_, _| {} };
        let (net, levels, real) = s.train(&data, 1, &context);
        let (few, many) = (s.test(&net, &levels, &data, 8, 0.0, 1), s.test(&net, &levels, &data, 2000, 0.0, 1));
        assert!(few + 5.0 < many && (many - real).abs() < 12.0, "{few} {many} {real}");
    }
}
