//! Poisson rate coding: in every step a pixel spikes with probability (pixel/255) · rate, independently.
//!
//! Random numbers are counter-based: the spike train of a pixel is a function of (seed, phase, sample, pixel), so that threads, batches and a
//! resumed run see the same ones. A decision takes 16 random bits; probabilities are therefore multiples of 2⁻¹⁶.
//!
//! Trains are kept as *changes*: the list of pixels that go on or off from one step to the next. A bright pixel is nearly always on and a dark one
//! off, so the list is short (MNIST: about 29 changes against 102 spikes in a step), and the first layer needs only to add or subtract those rows of its
//! weights from the sum of the step before.

use spinloom_base::random::philox4x32;

/// Last word of the Philox counter, one for every use, so that no two uses share numbers. (`Stream` uses 0.)
pub(crate) mod domain {
    pub(crate) const SPIKES: u32 = 1;
    pub(crate) const DEVICES: u32 = 2;
    pub(crate) const READS: u32 = 3;
    pub(crate) const DIGITS: u64 = 4;
    pub(crate) const SHUFFLE: u64 = 5;
    pub(crate) const SPLIT: u64 = 6;
    pub(crate) const WEIGHTS: u64 = 7;
}

/// The 64-bit seed as a Philox key.
pub(crate) fn key(seed: u64) -> [u32; 2] {
    [seed as u32, (seed >> 32) as u32]
}

/// Turns pixels into spike trains.
#[derive(Clone, Debug)]
pub(crate) struct Encoder {
    pub(crate) steps: usize,
    /// A pixel of value p spikes where a 16-bit number is below `below[p]`; 65536 is always.
    below: [u32; 256],
    key: [u32; 2],
}

/// Spike trains of a few samples as changes from step to step.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trains {
    /// Pixel · 2 + (1 if it goes off).
    pub(crate) changes: Vec<u32>,
    /// `changes[ends[b·T + t − 1] .. ends[b·T + t]]` are the changes of sample b before step t.
    pub(crate) ends: Vec<u32>,
    /// Spikes in all.
    pub(crate) spikes: u64,
    buckets: Vec<Vec<u32>>,
}

impl Encoder {
    pub(crate) fn new(steps: usize, rate: f64, seed: u64) -> Self {
        let below = std::array::from_fn(|p| (p as f64 / 255.0 * rate * 65536.0).round() as u32);
        Self { steps, below, key: key(seed) }
    }

    /// Appends the train of one sample. `sample` is its number in the data set, `phase` tells passes over the data apart.
    pub(crate) fn encode(&self, pixels: &[u8], sample: u32, phase: u32, trains: &mut Trains) {
        trains.buckets.resize_with(self.steps, Vec::new);
        trains.buckets.iter_mut().for_each(Vec::clear);
        for (i, &p) in pixels.iter().enumerate() {
            let below = self.below[usize::from(p)];
            if below == 0 {
                continue;
            }
            // Whether the pixel was on in the step before.
            let mut on = 0u32;
            for block in 0..self.steps.div_ceil(8) {
                let first = 8 * block;
                let here = 0xFF >> (8 - (self.steps - first).min(8));
                let bits = self.eight_steps(below, [i as u32 | (block as u32) << 20, sample, phase, domain::SPIKES]) & here;
                trains.spikes += u64::from(bits.count_ones());
                let mut changed = (bits ^ (bits << 1 | on)) & here;
                on = bits >> 7;
                while changed != 0 {
                    let j = changed.trailing_zeros();
                    changed &= changed - 1;
                    trains.buckets[first + j as usize].push((i as u32) << 1 | (!(bits >> j) & 1));
                }
            }
        }
        for bucket in &trains.buckets {
            trains.changes.extend_from_slice(bucket);
            trains.ends.push(trains.changes.len() as u32);
        }
    }

    /// Spikes of a pixel in eight steps, the first in the lowest bit.
    #[inline]
    fn eight_steps(&self, below: u32, counter: [u32; 4]) -> u32 {
        if below > 0xFFFF {
            return 0xFF;
        }
        let two = |word: u32| u32::from(word & 0xFFFF < below) | u32::from(word >> 16 < below) << 1;
        let [a, b, c, d] = philox4x32(counter, self.key);
        two(a) | two(b) << 2 | two(c) << 4 | two(d) << 6
    }
}

impl Trains {
    pub(crate) fn clear(&mut self) {
        self.changes.clear();
        self.ends.clear();
        self.spikes = 0;
    }

    /// The changes of the `row`-th (sample, step), row = sample · T + step.
    #[inline]
    pub(crate) fn changes(&self, row: usize) -> &[u32] {
        let from = if row == 0 { 0 } else { self.ends[row - 1] as usize };
        &self.changes[from..self.ends[row] as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Spikes as [step][pixel], from the changes.
    fn dense(trains: &Trains, sample: usize, steps: usize, pixels: usize) -> Vec<Vec<bool>> {
        let mut now = vec![false; pixels];
        (0..steps)
            .map(|t| {
                for c in trains.changes(sample * steps + t) {
                    let pixel = (c >> 1) as usize;
                    assert_eq!(now[pixel], c & 1 == 1, "a pixel goes on only from off, and off only from on");
                    now[pixel] = !now[pixel];
                }
                now.clone()
            })
            .collect()
    }

    #[test]
    fn rates_are_those_of_the_pixels_and_steps_are_independent() {
        let (steps, samples) = (21, 4000);
        let pixels = [0u8, 255, 128, 51, 3];
        let encoder = Encoder::new(steps, 0.8, 7);
        let mut trains = Trains::default();
        for sample in 0..samples {
            encoder.encode(&pixels, sample, 0, &mut trains);
        }
        let n = f64::from(samples) * steps as f64;
        let mut count = [0.0; 5];
        let mut pair = 0.0;
        for sample in 0..samples as usize {
            let spikes = dense(&trains, sample, steps, 5);
            for t in 0..steps {
                for i in 0..5 {
                    count[i] += f64::from(u8::from(spikes[t][i]));
                }
                pair += f64::from(u8::from(t > 0 && spikes[t][2] && spikes[t - 1][2]));
            }
        }
        for i in 0..5 {
            let p = f64::from(pixels[i]) / 255.0 * 0.8;
            // Five standard errors of a binomial, and the rounding to 2^-16.
            let tolerance = 5.0 * (p * (1.0 - p) / n).sqrt() + 1e-5;
            assert!((count[i] / n - p).abs() <= tolerance, "pixel {}: {} against {p}", pixels[i], count[i] / n);
        }
        let p = 128.0 / 255.0 * 0.8;
        let pairs = f64::from(samples) * (steps - 1) as f64;
        // Successive steps spike together with p²; overlapping pairs are correlated, hence the factor 2.
        assert!((pair / pairs - p * p).abs() < 2.0 * 5.0 * (p * p / pairs).sqrt(), "{}", pair / pairs);
        assert_eq!(trains.spikes as f64, count.iter().sum::<f64>());
    }

    #[test]
    fn a_train_depends_on_seed_phase_and_sample_only() {
        let pixels: Vec<u8> = (0..100).map(|i| (i * 2) as u8).collect();
        let train = |seed, phase, sample, before: u32| {
            let encoder = Encoder::new(20, 1.0, seed);
            let mut trains = Trains::default();
            for s in 0..before {
                encoder.encode(&pixels, 900 + s, phase, &mut trains);
            }
            encoder.encode(&pixels, sample, phase, &mut trains);
            dense(&trains, before as usize, 20, 100)
        };
        let first = train(1, 2, 3, 0);
        assert_eq!(first, train(1, 2, 3, 5));
        assert!(first != train(2, 2, 3, 0) && first != train(1, 3, 3, 0) && first != train(1, 2, 4, 0));
    }

    #[test]
    fn a_full_pixel_spikes_in_every_step() {
        let encoder = Encoder::new(9, 1.0, 0);
        let mut trains = Trains::default();
        encoder.encode(&[255], 0, 0, &mut trains);
        assert!(dense(&trains, 0, 9, 1).iter().all(|s| s[0]));
        assert_eq!(trains.changes.len(), 1);
    }
}
