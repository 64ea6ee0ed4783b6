//! Digits by radio-frequency resonators (review table 3, Leroux et al., Phys. Rev. Appl. 15, 034067 (2021)): one chain of resonators per class, one resonator per pixel.
//!
//! Pixel i is the power of a tone at frequency f_i. Resonator i of chain j rectifies every tone: V = P g((f − f_res)/w) with the line of the spin diode, g(d) = 2 (s + d)/(1 + d²) (Tulapurkar et al.,
//! Nature 438, 339 (2005); card `spin-diode`, half_width = w, s = V_sym/V_anti; antisymmetric, s = 0, without a card), so that its own tone is weighted by how far f_res lies from it and the tones of its neighbours leak in. What is trained are the resonance
//! frequencies, by the gradient of the whole chain, crosstalk included. The polarity in which a chain is read takes the sign of V_anti away, and V_off is the same in every chain. Frequencies of neighbouring pixels are `spacing` half-widths apart.

use super::{CardNote, Context, Outcome, Task, card, percent};
use crate::data::samples::{Part, Samples, Set};
use crate::optimiser::{Adam, softmax};
use crate::settings::settings;
use rayon::prelude::*;
use spinloom_base::Problems;
use spinloom_base::random::Stream;
use spinloom_card::Card;
use std::path::PathBuf;

settings!(
    /// The chains.
    Resonators: "the resonators" {
        /// Card of the resonator, for the shape of its line and the unit of frequency and voltage.
        card: Option<PathBuf> = None;
        /// Data.
        data: Set = Set::Mnist;
        /// Training and test samples at most.
        samples: Vec<usize> = vec![60000, 10000], 1.0..=1e7;
        /// Side of the picture after averaging: 8 makes 64 pixels, 28 leaves 784.
        side: usize = 8, 2.0..=64.0;
        /// Distance of neighbouring tones in half-widths.
        spacing: f64 = 100.0, 0.1..=1e6;
        /// Tones on either side that a resonator is taken to see.
        neighbours: usize = 20, 0.0..=10000.0;
        /// Relative spread of half-widths between resonators.
        spread: f64 = 0.05, 0.0..=1.0;
        /// Spread of resonance frequencies as set, in half-widths.
        setting_error: f64 = 0.02, 0.0..=100.0;
        /// What turns volts into logits.
        gain: f64 = 4.0, 0.01..=1000.0;
        /// Passes over the training samples.
        epochs: usize = 10, 1.0..=1000.0;
        /// Samples per update.
        batch: usize = 64, 1.0..=4096.0;
        /// Learning rate of Adam in half-widths.
        learning_rate: f64 = 0.01, 1e-7..=10.0;
        /// Spacings to compare.
        spacings: Vec<f64> = vec![], 0.1..=1e6;
        /// Power of a full pixel's tone (W), for the power of a chain.
        power: f64 = 1e-6, 0.0..=1.0;
    }
);

/// The line of a resonator by s = V_sym/V_anti, in units of half of V_anti.
#[derive(Clone, Copy)]
struct Line(f64);

impl Line {
    fn of(card: &Card) -> Result<Line, Problems> {
        Ok(Line(card.value("V_sym")? / card.value("V_anti")?))
    }

    fn at(self, d: f64) -> f64 {
        2.0 * (self.0 + d) / (1.0 + d * d)
    }

    fn slope(self, d: f64) -> f64 {
        2.0 * (1.0 - d * d - 2.0 * self.0 * d) / (1.0 + d * d).powi(2)
    }

    /// Where it is lowest and highest: beyond, the voltage returns.
    fn ends(self) -> [f64; 2] {
        let root = self.0.hypot(1.0);
        [-self.0 - root, -self.0 + root]
    }
}

struct Chains {
    line: Line,
    n: usize,
    spacing: f64,
    neighbours: usize,
    /// Detuning of resonator i of chain j from its own tone, `[chain][pixel]`, and its half-width over the nominal one.
    detuning: Vec<f64>,
    width: Vec<f64>,
}

impl Chains {
    /// Weight of tone k in chain j: Σ over resonators near it.
    fn weights(&self) -> Vec<f64> {
        let n = self.n;
        let mut w = vec![0.0; 10 * n];
        w.par_chunks_mut(n).enumerate().for_each(|(j, w)| {
            for i in 0..n {
                let (d, width) = (self.detuning[j * n + i], self.width[j * n + i]);
                for k in i.saturating_sub(self.neighbours)..(i + self.neighbours + 1).min(n) {
                    // f_k − f_res, in half-widths.
                    let off = (k as f64 - i as f64) * self.spacing - d;
                    w[k] += self.line.at(off / width);
                }
            }
        });
        w
    }

    /// Gradient with respect to the detunings from that of the weights.
    fn back(&self, dw: &[f64]) -> Vec<f64> {
        let n = self.n;
        let mut out = vec![0.0; 10 * n];
        out.par_chunks_mut(n).enumerate().for_each(|(j, out)| {
            for i in 0..n {
                let (d, width) = (self.detuning[j * n + i], self.width[j * n + i]);
                for k in i.saturating_sub(self.neighbours)..(i + self.neighbours + 1).min(n) {
                    let off = (k as f64 - i as f64) * self.spacing - d;
                    out[i] -= dw[j * n + k] * self.line.slope(off / width) / width;
                }
            }
        });
        out
    }
}

/// Pictures averaged down to side × side, as powers 0 to 1.
fn shrink(part: &Part, [h, w]: [usize; 2], side: usize) -> Vec<f32> {
    let mut out = vec![0.0f32; part.labels.len() * side * side];
    out.par_chunks_mut(side * side).enumerate().for_each(|(i, out)| {
        for y in 0..side {
            for x in 0..side {
                let (y0, y1, x0, x1) = (y * h / side, ((y + 1) * h).div_ceil(side), x * w / side, ((x + 1) * w).div_ceil(side));
                let mut sum = 0u32;
                for r in y0..y1 {
                    for c in x0..x1 {
                        sum += u32::from(part.pixels[(i * h + r) * w + c]);
                    }
                }
                out[y * side + x] = sum as f32 / ((y1 - y0) * (x1 - x0)) as f32 / 255.0;
            }
        }
    });
    out
}

impl Resonators {
    fn accuracy(&self, chains: &Chains, x: &[f32], labels: &[u8]) -> f64 {
        let (n, w) = (chains.n, chains.weights());
        let right = labels
            .par_iter()
            .enumerate()
            .filter(|(i, l)| {
                let x = &x[i * n..(i + 1) * n];
                let y: Vec<f64> = (0..10).map(|j| w[j * n..(j + 1) * n].iter().zip(x).map(|(w, x)| w * f64::from(*x)).sum()).collect();
                (0..10).max_by(|&a, &b| y[a].total_cmp(&y[b])) == Some(usize::from(**l))
            })
            .count();
        percent(right, labels.len())
    }

    /// Test and training accuracy as trained, and as set with errors.
    fn train(&self, data: [(&[f32], &[u8]); 2], (line, spacing): (Line, f64), seed: u64, context: &Context<'_>) -> (f64, f64, f64) {
        let [low, high] = line.ends();
        let [(x, labels), (test, test_labels)] = data;
        let n = self.side * self.side;
        let mut stream = Stream::new(seed, 0x5246 << 40);
        let mut chains = Chains {
            line,
            n,
            spacing,
            neighbours: self.neighbours.min(n),
            // Near no weight: where the line crosses zero.
            detuning: (0..10 * n).map(|_| line.0 + 0.05 * stream.normal()).collect(),
            width: (0..10 * n).map(|_| (1.0 + self.spread * stream.normal()).max(0.2)).collect(),
        };
        let (mut m, mut v) = (vec![0.0; 10 * n], vec![0.0; 10 * n]);
        let mut order: Vec<usize> = (0..labels.len()).collect();
        let mut t = 0;
        let total = self.epochs * order.len().div_ceil(self.batch);
        for _ in 0..self.epochs {
            stream.shuffle(&mut order);
            for some in order.chunks(self.batch) {
                (context.progress)(t as f64 / total as f64, "resonance frequencies");
                let w = chains.weights();
                let dw = some
                    .par_chunks(16)
                    .map(|some| {
                        let mut dw = vec![0.0; 10 * n];
                        for &i in some {
                            let x = &x[i * n..(i + 1) * n];
                            let mut p: Vec<f64> = (0..10)
                                .map(|j| self.gain * w[j * n..(j + 1) * n].iter().zip(x).map(|(w, x)| w * f64::from(*x)).sum::<f64>())
                                .collect();
                            let label = usize::from(labels[i]);
                            softmax(&mut p, 1.0, label);
                            for j in 0..10 {
                                let e = (p[j] - f64::from(u8::from(j == label))) * self.gain / self.batch as f64;
                                dw[j * n..(j + 1) * n].iter_mut().zip(x).for_each(|(d, x)| *d += e * f64::from(*x));
                            }
                        }
                        dw
                    })
                    .collect::<Vec<_>>()
                    .into_iter()
                    .reduce(|mut a, b| {
                        a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
                        a
                    })
                    .expect("a batch is not empty");
                let d = chains.back(&dw);
                t += 1;
                let rate = self.learning_rate * 0.5 * (1.0 + (std::f64::consts::PI * t as f64 / total as f64).cos());
                let adam = Adam::new(rate, t);
                for k in 0..10 * n {
                    // The detuning of a resonator is that of its tone with the other sign.
                    chains.detuning[k] = (chains.detuning[k] - adam.step(d[k], &mut m[k], &mut v[k])).clamp(-high, -low);
                }
            }
        }
        let trained = self.accuracy(&chains, test, test_labels);
        let own = self.accuracy(&chains, x, labels);
        chains.detuning.iter_mut().for_each(|d| *d += self.setting_error * stream.normal());
        (self.accuracy(&chains, test, test_labels), trained, own)
    }
}

impl Task for Resonators {
    fn cards(&self) -> Vec<PathBuf> {
        self.card.iter().cloned().collect()
    }

    fn data(&self) -> &'static [&'static str] {
        self.data.folders()
    }

    fn run(&self, seed: u64, context: &Context<'_>) -> Result<Outcome, Problems> {
        let mut out = Outcome::default();
        let line = match &self.card {
            Some(path) => {
                let (card, note) = card(context, path, &["spin-diode"])?;
                let w = card.value("half_width")?;
                let n = (self.side * self.side) as f64;
                let (line, unit) = (Line::of(&card)?, 0.5 * card.value("V_anti")?.abs());
                let [low, high] = line.ends().map(|d| unit * line.at(d));
                out.note(format!("half-width {w:.3e} Hz: {n} tones take {:.3e} Hz", n * self.spacing * w));
                out.note(format!("V_sym/V_anti = {:.3}: at the power of the card a tone is worth {low:.3e} to {high:.3e} V", line.0));
                out.cards.push(note);
                out.cards.push(CardNote::typed("typed beside the card: spread of half-widths, setting error, power of a tone"));
                line
            }
            None => {
                out.cards.push(CardNote::typed("resonator typed: frequencies in half-widths"));
                Line(0.0)
            }
        };
        let data = Samples::grey_images(self.data, context.data, &self.samples)?;
        let hw = [data.shape[0], data.shape[1]];
        let (x, test) = (shrink(&data.train, hw, self.side), shrink(&data.test, hw, self.side));
        let parts = [(&x[..], &data.train.labels[..]), (&test[..], &data.test.labels[..])];
        let (set, trained, own) = self.train(parts, (line, self.spacing), seed, context);
        out.score("accuracy, frequencies set with errors", set, "%");
        out.score("accuracy as trained", trained, "%");
        out.score("training accuracy", own, "%");
        let ink = x.iter().map(|x| f64::from(*x)).sum::<f64>() / data.train.labels.len() as f64;
        out.score("power of the tones of an image, ten chains", 10.0 * ink * self.power, "W");
        let rows = self.spacings.iter().map(|&s| vec![s, self.train(parts, (line, s), seed, context).0]).collect::<Vec<_>>();
        if !rows.is_empty() {
            out.curve("accuracy against the spacing of tones", &["spacing (half-widths)", "accuracy (%)"], rows);
        }
        out.note(format!("{0} x {0} pixels, averaged from {1} x {2}", self.side, hw[0], hw[1]));
        out.data = Some(data.note(0));
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gradient_knows_the_crosstalk() {
        let mut stream = Stream::new(1, 1);
        let n = 6;
        let mut c = Chains {
            line: Line(0.3),
            n,
            spacing: 3.0,
            neighbours: 3,
            detuning: (0..60).map(|_| 0.3 * stream.normal()).collect(),
            width: vec![1.1; 60],
        };
        let dw: Vec<f64> = (0..60).map(|_| stream.normal()).collect();
        let value = |c: &Chains| c.weights().iter().zip(&dw).map(|(w, d)| w * d).sum::<f64>();
        let exact = c.back(&dw);
        for k in [0, 7, 33] {
            let d = c.detuning[k];
            c.detuning[k] = d + 1e-5;
            let up = value(&c);
            c.detuning[k] = d - 1e-5;
            let down = value(&c);
            c.detuning[k] = d;
            assert!(((up - down) / 2e-5 - exact[k]).abs() < 1e-6, "{k}");
        }
    }

    #[test]
    fn chains_learn() {
        let s = Resonators { samples: vec![800, 200], epochs: 6, ..Resonators::default() };
        let data = Samples::grey_images(s.data, None, &[800, 200]).unwrap();
        let (x, t) = (shrink(&data.train, [28, 28], 8), shrink(&data.test, [28, 28], 8));
        let context = Context { data: None, base: std::path::Path::new("."), folder: None, device: None, progress: &|_, _| {} };
        let right = s.train([(&x, &data.train.labels), (&t, &data.test.labels)], (Line(0.0), 100.0), 1, &context).0;
        assert!(right > 50.0, "{right}");
    }

    #[test]
    fn the_card_of_the_diode_shapes_the_line() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/networks/cards/spin-diode.yaml");
        let mut card = Card::read(&path).unwrap();
        let line = Line::of(&card).unwrap();
        for d in line.ends() {
            assert!(line.slope(d).abs() < 1e-12 && line.at(d).abs() > line.at(d + 0.01).abs().max(line.at(d - 0.01).abs()), "{d}");
        }
        let weights = |line| Chains { line, n: 2, spacing: 100.0, neighbours: 1, detuning: vec![0.2; 20], width: vec![1.0; 20] }.weights();
        for name in ["V_sym", "V_anti"] {
            let value = card.parameters[name].value;
            card.parameters.get_mut(name).unwrap().value = 1.2 * value;
            let changed = weights(Line::of(&card).unwrap());
            assert!((changed[0] - weights(line)[0]).abs() > 1e-3, "{name} moves nothing");
            card.parameters.get_mut(name).unwrap().value = value;
        }
    }
}
