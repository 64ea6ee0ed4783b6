//! Letters on a three-by-three array (review table 3, Zhao et al., IEEE Internet Things J. (2023): Z, Y, H, L, 100 % after 52 epochs, below 9 µs an image).
//!
//! The array senses and multiplies: a pixel is a magnetic field at a junction, whose conductance follows it, G = G_0 + k B (card `piecewise-linear` or `sigmoid`: the curve, its spread between
//! devices and the noise of a read), and the voltage at the junction is the weight. Four voltages sets make four sums, softmax over them and the cross-entropy make the error, and the voltages are
//! changed by its gradient.
//!
//! With `nonlinear` the product w G sets the current of an oscillator instead (Ji et al. 2024 in the review: nonlinear synapses converge faster), ζ = 1 + `gain` |w G|, one oscillator for each sign, and its power
//! p = (ζ − 1)/(ζ + Q) (card `spin-torque-oscillator`; Slavin and Tiberkevich, IEEE Trans. Magn. 45, 1875 (2009)) is what is summed, in units that give small products as they are.

use super::oscillators::Device;
use super::{CardNote, Context, Outcome, Task, card, check_range, percent};
use crate::optimiser::softmax;
use crate::settings::settings;
use spinloom_base::random::Stream;
use spinloom_base::{Diagnostic, Problems};
use spinloom_card::Card;
use spinloom_card::laws::{ramp, sigmoid};
use std::path::PathBuf;

settings!(
    /// The array.
    Letters: "the array" {
        /// Card of the junction that senses (`piecewise-linear` or `sigmoid`): conductance over field; gives `spread` and `read_noise`.
        card: Option<PathBuf> = None;
        /// Fields of a dark and of a full pixel (T), with a card.
        fields: Vec<f64> = vec![-0.06, 0.06], -10.0..=10.0;
        /// Card of the oscillator of nonlinear synapses (`spin-torque-oscillator`).
        synapse: Option<PathBuf> = None;
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
        /// Synapses of oscillators, which saturate.
        nonlinear: bool = false;
        /// How far a product of 1 drives an oscillator above its threshold, over the threshold.
        gain: f64 = 1.0, 0.001..=100.0;
    }
);

const LETTERS: [[u8; 9]; 4] = [
    [1, 1, 0, 0, 1, 0, 0, 1, 1], // Z
    [1, 0, 1, 0, 1, 0, 0, 1, 0], // Y
    [1, 0, 1, 1, 1, 1, 1, 0, 1], // H
    [1, 0, 0, 1, 0, 0, 1, 1, 1], // L
];

/// What the junctions make of fields, in units of the nominal swing between a dark and a full pixel.
enum Sensor {
    /// Straight, with numbers of the settings.
    Typed,
    /// The curve of a card.
    Card {
        law: fn([f64; 4], f64) -> f64,
        curve: [f64; 4],
        /// Between devices, of the value or of its logarithm.
        spread: [(f64, bool); 4],
        /// Of a read, over the swing.
        noise: f64,
    },
}

impl Sensor {
    fn of(card: &Card, fields: [f64; 2]) -> Result<Sensor, Problems> {
        let (names, law): (_, fn([f64; 4], f64) -> f64) = match card.model.name.as_str() {
            "sigmoid" => (["y_low", "y_high", "x_50", "s"], sigmoid),
            _ => (["y_low", "y_high", "x_low", "x_high"], ramp),
        };
        let (mut curve, mut spread) = ([0.0; 4], [(0.0, false); 4]);
        for (k, name) in names.into_iter().enumerate() {
            curve[k] = card.value(name)?;
            if let Some(devices) = card.intervals.get(name).and_then(|i| i.devices.as_ref()) {
                spread[k] = (devices.deviation, devices.of == "ln value");
            }
        }
        let swing = (law(curve, fields[1]) - law(curve, fields[0])).abs();
        if swing == 0.0 {
            let words = format!("the card `{}` answers the same to {} and {} T", card.name, fields[0], fields[1]);
            return Err(Diagnostic::error(words).hint("give `fields` that lie on its slope").into());
        }
        Ok(Sensor::Card { law, curve, spread, noise: card.value("sigma")? / swing })
    }

    /// One device: its curve, or k and nothing.
    fn draw(&self, s: &Letters, stream: &mut Stream) -> [f64; 4] {
        match self {
            Sensor::Typed => [1.0 + s.spread * stream.normal(), 0.0, 0.0, 0.0],
            Sensor::Card { curve, spread, .. } => std::array::from_fn(|k| {
                let off = spread[k].0 * stream.normal();
                if spread[k].1 { curve[k] * off.exp() } else { curve[k] + off }
            }),
        }
    }

    fn read(&self, s: &Letters, device: &[f64; 4], b: f64, stream: &mut Stream) -> f64 {
        match self {
            Sensor::Typed => device[0] * b + s.read_noise * stream.normal(),
            Sensor::Card { law, curve, noise, .. } => {
                let [dark, full] = [s.fields[0], s.fields[1]];
                let [low, high] = [law(*curve, dark), law(*curve, full)];
                (law(*device, dark + b * (full - dark)) - low) / (high - low) + noise * stream.normal()
            }
        }
    }
}

struct Array<'a> {
    s: &'a Letters,
    sensor: &'a Sensor,
    junctions: [[f64; 4]; 9],
    /// The oscillator, where synapses are not linear.
    synapse: Option<&'a Device>,
    weights: [[f64; 10]; 4],
    /// Largest ζ so far.
    driven: f64,
}

impl Array<'_> {
    fn see(&self, letter: usize, stream: &mut Stream) -> [f64; 9] {
        std::array::from_fn(|i| {
            let b = f64::from(LETTERS[letter][i]) + self.s.noise * stream.normal();
            self.sensor.read(self.s, &self.junctions[i], b, stream)
        })
    }

    /// What a synapse makes of a product, and its slope there.
    fn answer(&self, product: f64) -> (f64, f64) {
        let Some(device) = self.synapse else { return (product, 1.0) };
        let zeta = 1.0 + self.s.gain * product.abs();
        // p falls off from (ζ − 1)/(1 + Q), so that its slope over that at the threshold is (1 + Q)²/(ζ + Q)².
        let unit = 1.0 + device.q;
        (device.power(zeta) * unit / self.s.gain * product.signum(), (unit / (zeta + device.q)).powi(2))
    }

    fn sums(&self, g: &[f64; 9]) -> [f64; 4] {
        std::array::from_fn(|k| {
            let w = &self.weights[k];
            w[9] + (0..9).map(|i| self.answer(w[i] * g[i]).0).sum::<f64>()
        })
    }

    fn learn(&mut self, g: &[f64; 9], letter: usize) {
        let mut p = self.sums(g);
        softmax(&mut p, 1.0, letter);
        for k in 0..4 {
            let error = p[k] - f64::from(u8::from(k == letter));
            for i in 0..9 {
                let product = self.weights[k][i] * g[i];
                self.driven = self.driven.max(1.0 + self.s.gain * product.abs());
                self.weights[k][i] -= self.s.learning_rate * error * g[i] * self.answer(product).1;
            }
            self.weights[k][9] -= self.s.learning_rate * error;
        }
    }
}

/// What a training came to.
struct Trained {
    /// Epoch after which all of 400 test reads are right and stay so.
    settled: Option<usize>,
    /// By epoch (%).
    accuracies: Vec<f64>,
    /// Largest ζ of an oscillator.
    driven: f64,
}

impl Letters {
    fn train(&self, sensor: &Sensor, synapse: Option<&Device>, seed: u64) -> Trained {
        let mut stream = Stream::new(seed, 0x4C << 40 | u64::from(synapse.is_some()));
        let junctions = std::array::from_fn(|_| sensor.draw(self, &mut stream));
        let weights = std::array::from_fn(|_| std::array::from_fn(|_| 0.1 * stream.normal()));
        let mut array = Array { s: self, sensor, junctions, synapse, weights, driven: 1.0 };
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
        Trained { settled, accuracies, driven: array.driven }
    }
}

impl Task for Letters {
    fn cards(&self) -> Vec<PathBuf> {
        self.card.iter().chain(&self.synapse).cloned().collect()
    }

    fn run(&self, seed: u64, context: &Context<'_>) -> Result<Outcome, Problems> {
        (context.progress)(0.0, "letters");
        let mut out = Outcome::default();
        let sensor = match &self.card {
            Some(path) => {
                let Ok(fields) = <[f64; 2]>::try_from(&self.fields[..]) else {
                    return Err(Diagnostic::error("`fields` needs two fields").hint("that of a dark and that of a full pixel").into());
                };
                let (card, note) = card(context, path, &["piecewise-linear", "sigmoid"])?;
                out.cards.push(note);
                out.cards.push(CardNote::typed("typed beside the card: noise of the fields, time of a read"));
                check_range(&mut out, &card, "x", [fields[0].min(fields[1]), fields[0].max(fields[1])]);
                let sensor = Sensor::of(&card, fields)?;
                if let Sensor::Card { noise, .. } = &sensor {
                    out.note(format!("noise of a read: {noise:.3} of the swing"));
                }
                sensor
            }
            None => {
                out.cards.push(CardNote::typed("field-driven junction typed: linear in the field"));
                Sensor::Typed
            }
        };
        let (device, range) = match &self.synapse {
            Some(path) => {
                let (card, note) = card(context, path, &["spin-torque-oscillator"])?;
                // One of two curves is linear in any case, and the headline may be.
                out.cards.push(if self.nonlinear { note } else { note.unused("synapses are linear") });
                out.cards.push(CardNote::typed("typed beside the card: gain of the oscillators' drive"));
                let threshold = card.value("I_th")?;
                (Device::of(&card)?, card.validity.get("I").map(|r| r.max / threshold))
            }
            None => {
                let device = Device::typical();
                if self.nonlinear {
                    out.cards.push(CardNote::typed(format!("oscillator typed: Q = {}", device.q)));
                } else {
                    out.note(format!("nonlinear synapses, for comparison: an oscillator with Q = {}, typed", device.q));
                }
                (device, None)
            }
        };
        let both = [self.train(&sensor, Some(&device), seed), self.train(&sensor, None, seed)];
        if let (Some(most), true) = (range, self.nonlinear) {
            let driven = both[0].driven;
            let words = if driven > most { "extrapolated: beyond" } else { "within" };
            out.note(format!("oscillators driven to {driven:.2} thresholds, {words} the card's {most:.2}"));
        }
        let [Trained { settled, accuracies, .. }, other] = if self.nonlinear {
            both
        } else {
            let [a, b] = both;
            [b, a]
        };
        let names = if self.nonlinear { ["nonlinear", "linear"] } else { ["linear", "nonlinear"] };
        let epoch = |settled: Option<usize>| settled.map_or(f64::INFINITY, |e| e as f64);
        out.score("accuracy after the last epoch", *accuracies.last().expect("at least one epoch"), "%");
        out.score("all right from epoch", epoch(settled), "epochs");
        out.score(format!("all right from epoch, {} synapses", names[1]), epoch(other.settled), "epochs");
        out.score("latency of an image", 4.0 * self.read, "s");
        let rows = accuracies.iter().zip(&other.accuracies).enumerate().map(|(e, (a, b))| vec![(e + 1) as f64, *a, *b]).collect();
        let [a, b] = names.map(|n| format!("{n} (%)"));
        out.curve("accuracy by epoch", &["epoch", &a, &b], rows);
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_learned_within_the_epochs_of_the_paper() {
        let s = Letters { noise: 0.05, images: 1, learning_rate: 0.05, ..Letters::default() };
        let Trained { settled, accuracies, .. } = s.train(&Sensor::Typed, None, 1);
        assert!(accuracies[51] == 100.0 && settled.is_some_and(|e| e <= 52), "{settled:?}");
        assert!(accuracies[0] < 100.0);
        // Fields as noisy as the letters differ cannot be told apart for certain.
        assert!(Letters { noise: 2.0, ..s }.train(&Sensor::Typed, None, 1).accuracies[51] < 90.0);
    }

    fn example(name: &str) -> Card {
        Card::read(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/networks/cards").join(name)).unwrap()
    }

    #[test]
    fn the_card_of_the_junction_sets_noise_spread_and_curve() {
        let mut card = example("field-junction.yaml");
        let s = Letters::default();
        let seen = |card: &Card, b: f64| {
            let (sensor, mut stream) = (Sensor::of(card, [s.fields[0], s.fields[1]]).unwrap(), Stream::new(1, 1));
            let device = sensor.draw(&s, &mut stream);
            sensor.read(&s, &device, b, &mut stream)
        };
        // Beyond the ramp, where both its ends matter.
        let own = seen(&card, 1.3);
        assert!(own > 0.9 && own < 1.3, "{own}");
        for name in ["y_low", "y_high", "x_low", "x_high", "sigma"] {
            let value = card.parameters[name].value;
            card.parameters.get_mut(name).unwrap().value = 1.2 * value;
            assert!((seen(&card, 1.3) - own).abs() > 1e-3, "{name} moves nothing");
            card.parameters.get_mut(name).unwrap().value = value;
        }
        let own = seen(&card, 0.8);
        card.intervals.get_mut("x_high").unwrap().devices.as_mut().unwrap().deviation *= 3.0;
        assert!((seen(&card, 0.8) - own).abs() > 1e-3, "the spread moves nothing");
    }

    #[test]
    fn the_card_of_the_oscillator_saturates() {
        let card = example("spin-torque-oscillator.yaml");
        let (s, device) = (Letters::default(), Device::of(&card).unwrap());
        let answer = |device: &Device, x: f64| {
            let array = Array {
                s: &s,
                sensor: &Sensor::Typed,
                junctions: [[1.0; 4]; 9],
                synapse: Some(device),
                weights: [[0.0; 10]; 4],
                driven: 1.0,
            };
            array.answer(x)
        };
        // y = x (1 + Q)/(1 + Q + x), by hand; its slope by differences.
        assert!((answer(&device, 2.0).0 - 2.0 * (1.0 + device.q) / (3.0 + device.q)).abs() < 1e-12);
        assert!((answer(&device, -2.0).0 + answer(&device, 2.0).0).abs() < 1e-12);
        let slope = (answer(&device, 2.0 + 1e-6).0 - answer(&device, 2.0 - 1e-6).0) / 2e-6;
        assert!((answer(&device, 2.0).1 - slope).abs() < 1e-6);
        let other = Device { q: 1.2 * device.q, ..device.clone() };
        assert!(answer(&other, 2.0).0 > answer(&device, 2.0).0 + 1e-2);
    }
}
