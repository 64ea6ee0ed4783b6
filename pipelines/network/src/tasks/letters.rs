//! Letters on a three-by-three array (review table 3, Zhao et al., IEEE Internet Things J. (2023): Z, Y, H, L, 100 % after 52 epochs, below 9 µs an image).
//!
//! The array senses and multiplies: a pixel is a magnetic field at a junction, whose conductance follows it, G = G_0 + k B, and the voltage at the junction is the weight. Four
//! voltages sets make four sums, softmax over them and the cross-entropy make the error, and the voltages are changed by its gradient. With `nonlinear` the synapse is that of a
//! spin-torque diode instead (Ji et al. 2024 in the review: nonlinear synapses converge faster): the sum is of tanh(w b) in place of w b.

use super::{CardNote, Context, Outcome, Task, percent};
use crate::optimiser::softmax;
use crate::settings::settings;
use spinloom_base::Problems;
use spinloom_base::random::Stream;

settings!(
    /// The array.
    Letters: "the array" {
        /// Epochs at most.
        epochs: usize = 52, 1.0..=100000.0;
        /// Noisy images of each letter per epoch.
        images: usize = 10, 1.0..=10000.0;
        /// Learning rate.
        learning_rate: f64 = 0.1, 1e-6..=100.0;
        /// Noise of the field at a pixel over its full value.
        noise: f64 = 0.15, 0.0..=10.0;
        /// Spread of k between junctions.
        spread: f64 = 0.1, 0.0..=2.0;
        /// Noise of a conductance read, over its full swing.
        read_noise: f64 = 0.02, 0.0..=2.0;
        /// Time of one read (s), each of the four voltage sets in turn.
        read: f64 = 2e-6, 0.0..=1.0;
        /// Saturating synapses.
        nonlinear: bool = false;
        /// Gain inside the saturation.
        gain: f64 = 2.0, 0.01..=100.0;
    }
);

const LETTERS: [[u8; 9]; 4] = [
    [1, 1, 0, 0, 1, 0, 0, 1, 1], // Z
    [1, 0, 1, 0, 1, 0, 0, 1, 0], // Y
    [1, 0, 1, 1, 1, 1, 1, 0, 1], // H
    [1, 0, 0, 1, 0, 0, 1, 1, 1], // L
];

struct Array<'a> {
    s: &'a Letters,
    nonlinear: bool,
    k: [f64; 9],
    weights: [[f64; 10]; 4],
}

impl Array<'_> {
    fn see(&self, letter: usize, stream: &mut Stream) -> [f64; 9] {
        std::array::from_fn(|i| {
            let b = f64::from(LETTERS[letter][i]) + self.s.noise * stream.normal();
            self.k[i] * b + self.s.read_noise * stream.normal()
        })
    }

    fn sums(&self, g: &[f64; 9]) -> [f64; 4] {
        std::array::from_fn(|k| {
            let w = &self.weights[k];
            w[9] + (0..9).map(|i| if self.nonlinear { (self.s.gain * w[i] * g[i]).tanh() / self.s.gain } else { w[i] * g[i] }).sum::<f64>()
        })
    }

    fn learn(&mut self, g: &[f64; 9], letter: usize) {
        let mut p = self.sums(g);
        softmax(&mut p, 1.0, letter);
        for k in 0..4 {
            let error = p[k] - f64::from(u8::from(k == letter));
            let w = &mut self.weights[k];
            for i in 0..9 {
                let slope = if self.nonlinear { 1.0 - (self.s.gain * w[i] * g[i]).tanh().powi(2) } else { 1.0 };
                w[i] -= self.s.learning_rate * error * g[i] * slope;
            }
            w[9] -= self.s.learning_rate * error;
        }
    }
}

impl Letters {
    /// Epoch after which all of 400 noiseless-field test reads are right and stay so, and accuracy per epoch.
    fn train(&self, nonlinear: bool, seed: u64) -> (Option<usize>, Vec<f64>) {
        let mut stream = Stream::new(seed, 0x4C << 40 | u64::from(nonlinear));
        let k = std::array::from_fn(|_| 1.0 + self.spread * stream.normal());
        let weights = std::array::from_fn(|_| std::array::from_fn(|_| 0.1 * stream.normal()));
        let mut array = Array { s: self, nonlinear, k, weights };
        let mut accuracies = Vec::new();
        for _ in 0..self.epochs {
            let mut order: Vec<usize> = (0..4 * self.images).map(|i| i % 4).collect();
            stream.shuffle(&mut order);
            for letter in order {
                let g = array.see(letter, &mut stream);
                array.learn(&g, letter);
            }
            let right = (0..400)
                .filter(|i| {
                    let y = array.sums(&array.see(i % 4, &mut stream));
                    (0..4).max_by(|&a, &b| y[a].total_cmp(&y[b])) == Some(i % 4)
                })
                .count();
            accuracies.push(percent(right, 400));
        }
        let settled = (0..accuracies.len()).find(|&e| accuracies[e..].iter().all(|a| *a == 100.0)).map(|e| e + 1);
        (settled, accuracies)
    }
}

impl Task for Letters {
    fn run(&self, seed: u64, context: &Context<'_>) -> Result<Outcome, Problems> {
        (context.progress)(0.0, "letters");
        let mut out = Outcome::default();
        let (settled, accuracies) = self.train(self.nonlinear, seed);
        let other = self.train(!self.nonlinear, seed).1;
        out.score("accuracy after the last epoch", *accuracies.last().expect("at least one epoch"), "%");
        out.score("all right from epoch", settled.map_or(f64::INFINITY, |e| e as f64), "epochs");
        out.score("latency of an image", 4.0 * self.read, "s");
        let name = if self.nonlinear { ["nonlinear (%)", "linear (%)"] } else { ["linear (%)", "nonlinear (%)"] };
        let rows = accuracies.iter().zip(&other).enumerate().map(|(e, (a, b))| vec![(e + 1) as f64, *a, *b]).collect();
        out.curve("accuracy by epoch", &["epoch", name[0], name[1]], rows);
        out.cards.push(CardNote::typed("field-driven junction typed: linear in the field"));
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_learned_within_the_epochs_of_the_paper() {
        let s = Letters { noise: 0.05, images: 1, learning_rate: 0.05, ..Letters::default() };
        let (settled, accuracies) = s.train(false, 1);
        assert!(accuracies[51] == 100.0 && settled.is_some_and(|e| e <= 52), "{settled:?}");
        assert!(accuracies[0] < 100.0);
        // Fields as noisy as the letters differ cannot be told apart for certain.
        assert!(Letters { noise: 2.0, ..s }.train(false, 1).1[51] < 90.0);
    }
}
