//! A binary network whose columns are read by their resistance (review table 3, Jung et al., Nature 601, 211 (2022): 64 × 64 cells, 4-bit converter).
//!
//! Weights and activations are ±1 (trained as in XNOR networks, Rastegari et al., arXiv:1603.05279, with batch normalisation). A cell is a junction in series with its neighbours: R_P where weight and activation
//! agree, R_AP where not, each with its own deviation, besides the transistor's resistance. The 64 resistances of a column add up, noise adds up with them, and the time constant of the column with a
//! capacitor is measured in 2^bits steps over a window about its middle. Columns of one neuron are added digitally. Inputs are ±1: pixels above a threshold.

use super::{CardNote, Context, Outcome, Task, card, percent};
use crate::data::samples::{Part, Samples, Set};
use crate::layers::{Answer, Kind, Net, Pass, cross_entropy};
use crate::settings::settings;
use crate::synapse::Synapse;
use rayon::prelude::*;
use spinloom_base::Problems;
use spinloom_base::random::{Stream, normals};
use std::path::PathBuf;

settings!(
    /// The network.
    Xnor: "the network" {
        /// Data.
        data: Set = Set::Mnist;
        /// Training and test samples at most.
        samples: Vec<usize> = vec![60000, 10000], 1.0..=1e7;
        /// Hidden neurons, layer by layer.
        hidden: Vec<usize> = vec![512, 512], 1.0..=100000.0;
        /// Cells in series.
        column: usize = 64, 2.0..=4096.0;
        /// Bits of the time-to-digital converter; 0 is exact.
        bits: usize = 4, 0.0..=16.0;
        /// Half its range, in cells that differ from a balanced column.
        window: f64 = 16.0, 1.0..=4096.0;
        /// Card of a junction's two conductances (`levels`): gives R_P and R_AP, and the noise of a read.
        card: Option<PathBuf> = None;
        /// Card `variability` of its conductance: how far devices lie apart, in place of `spread`.
        spread_card: Option<PathBuf> = None;
        /// R_P, and the transistor's resistance (Ω).
        r_p: f64 = 5000.0, 1.0..=1e9;
        /// See `r_p`.
        r_access: f64 = 500.0, 0.0..=1e9;
        /// Tunnel magnetoresistance.
        tmr: f64 = 1.5, 0.01..=10.0;
        /// Spread of ln R between junctions.
        spread: f64 = 0.05, 0.0..=2.0;
        /// Noise of one cell of a column read, over R_AP − R_P; it adds up along the column. With a card it is what comes on top of the card's own.
        noise: f64 = 0.02, 0.0..=10.0;
        /// Noise of the sums while training, in cells of a column: what the converter will do.
        training_noise: f64 = 1.2, 0.0..=100.0;
        /// Passes over the training samples.
        epochs: usize = 15, 1.0..=1000.0;
        /// Samples per update.
        batch: usize = 100, 1.0..=4096.0;
        /// Learning rate of Adam.
        learning_rate: f64 = 2e-3, 1e-7..=1.0;
        /// Voltage over a column and time of a read, energy of a conversion (J): typed, of no source; the efficiency follows from them.
        voltage: f64 = 0.8, 0.0..=10.0;
        /// See `voltage`.
        read: f64 = 1e-8, 0.0..=1.0;
        /// See `voltage`.
        conversion: f64 = 1e-13, 0.0..=1.0;
        /// Spreads to compare.
        spreads: Vec<f64> = vec![0.0, 0.05, 0.1, 0.2, 0.3], 0.0..=2.0;
    }
);

impl Xnor {
    /// With what its cards say.
    fn with_cards(&self, context: &Context<'_>, out: &mut Outcome) -> Result<Xnor, Problems> {
        let mut s = self.clone();
        if let Some(path) = &self.card {
            let (card, note) = card(context, path, &["levels"])?;
            out.cards.push(note);
            let (a, b) = (card.value("G_first")?, card.value("G_last")?);
            let (low, high) = (a.min(b), a.max(b));
            s.r_p = 1.0 / high;
            s.tmr = high / low - 1.0;
            // A read of G that scatters by σ is one of R = 1/G that scatters by σ/G²: in the parallel state, a little, and in the other, more; half of the cells are in either.
            let sigma = card.value("sigma")?;
            let own = (0.5 * ((sigma / high.powi(2)).powi(2) + (sigma / low.powi(2)).powi(2))).sqrt() / (1.0 / low - 1.0 / high);
            s.noise = own.hypot(self.noise);
        }
        if let Some(path) = &self.spread_card {
            let (card, note) = card(context, path, &["variability"])?;
            out.cards.push(note);
            // Of ln G, which is that of ln R.
            s.spread = card.value("d2d_over_mean")?;
        }
        let mut typed = Vec::new();
        if self.card.is_none() {
            typed.push("R_P and TMR".to_string());
        }
        if self.spread_card.is_none() {
            typed.push(format!("spread {}", self.spread));
        }
        if self.noise > 0.0 {
            typed.push(format!("noise of the circuit {}", self.noise));
        }
        if self.card.is_none() {
            out.cards.push(CardNote::typed(format!("junction typed: {} of the settings", typed.join(", "))));
        } else {
            out.cards.push(CardNote::typed(format!("typed beside the card: {}", [typed, vec!["transistor, converter".into()]].concat().join(", "))));
        }
        Ok(s)
    }

    fn binary(&self, data: &Samples, part: &Part, some: &[usize]) -> Vec<f32> {
        let size = data.size();
        some.iter()
            .flat_map(|&i| part.pixels[i * size..(i + 1) * size].iter().map(|p| if f32::from(*p) > 0.31 * data.unit { 1.0 } else { -1.0 }))
            .collect()
    }

    fn build(&self, data: &Samples, seed: u64) -> Net {
        let mut kinds = Vec::new();
        for &n in &self.hidden {
            kinds.extend([(Kind::Dense, n), (Kind::Norm, 0), (Kind::Neurons { answer: Answer::Sign, recurrent: false }, 0)]);
        }
        kinds.extend([(Kind::Dense, data.classes), (Kind::Norm, 0)]);
        Net::new(data.shape, kinds, 1, seed)
    }

    fn train(&self, data: &Samples, seed: u64, context: &Context<'_>) -> Net {
        let mut net = self.build(data, seed);
        let mut order: Vec<usize> = (0..data.train.labels.len()).collect();
        let batches = order.len().div_ceil(self.batch);
        // The noise of what columns do, as the spread of the sum of a neuron: one read per 64 inputs.
        for epoch in 0..self.epochs {
            Stream::new(seed, 0x584E << 40 | epoch as u64).shuffle(&mut order);
            for (b, some) in order.chunks(self.batch).enumerate() {
                (context.progress)((epoch as f64 + b as f64 / batches as f64) / self.epochs as f64, "binary network");
                net.realise(None, None);
                scale_signs(&mut net);
                let x = self.binary(data, &data.train, some);
                let mut squares = vec![Vec::new(); net.layers.len()];
                for (i, d) in net.arrays() {
                    let columns = (d[0] as f32 / self.column as f32).ceil();
                    squares[i] = vec![net.layers[i].weights.used[0].powi(2) / d[0] as f32 * 4.0 * columns; d[0] * d[1]];
                }
                let noisy = Synapse { read_noise: self.training_noise, ..Synapse::default() };
                let analog = crate::layers::Analog { synapse: &noisy, squares };
                let analog = (self.training_noise > 0.0).then_some(&analog);
                let (y, _) = net.forward(x, 1, some.len(), Pass::Train, analog, [seed as u32, 7, (epoch * batches + b) as u32]);
                let labels: Vec<u8> = some.iter().map(|&i| data.train.labels[i]).collect();
                let (_, _, g) = cross_entropy(&y, 1, some.len(), data.classes, &labels, 1.0);
                net.backward(g, some.len());
                let at = (epoch * batches + b) as f64 / (self.epochs * batches) as f64;
                net.update(self.learning_rate * 0.5 * (1.0 + (std::f64::consts::PI * at).cos()), 0.0, None);
                // Latent weights stay where their sign can still change.
                for (i, d) in net.arrays() {
                    let limit = 3.0 / (d[0] as f32).sqrt();
                    net.layers[i].weights.latent.iter_mut().for_each(|w| *w = w.clamp(-limit, limit));
                }
            }
        }
        net.realise(None, None);
        scale_signs(&mut net);
        net
    }

    /// Accuracy with columns as they are, or exact ones.
    fn test(&self, net: &Net, data: &Samples, exact: bool, spread: f64, seed: u64) -> f64 {
        let delta = self.r_p * self.tmr;
        // Per layer: sum of a column's resistances is Σ (a + b x), x = ±1; in units of one differing cell.
        let arrays: Vec<(usize, [usize; 2], Vec<f32>, Vec<f32>)> = net
            .arrays()
            .into_iter()
            .enumerate()
            .map(|(l, (i, [inputs, outputs]))| {
                let w = &net.layers[i].weights.used;
                let (mut offset, mut gain) = (vec![0.0f32; inputs * outputs], vec![0.0f32; inputs * outputs]);
                for k in 0..inputs * outputs {
                    let z = normals([k as u32, l as u32, 0, 81], crate::encode::key(seed));
                    let s = if exact { 0.0 } else { spread };
                    let (agree, differ) =
                        (self.r_p * (s * z[0]).exp() + self.r_access, self.r_p * (1.0 + self.tmr) * (s * z[0]).exp() + self.r_access);
                    let sign = w[k].signum();
                    // R = agree where x = sign, differ where not.
                    let mid = self.r_p * (1.0 + 0.5 * self.tmr) + self.r_access;
                    offset[k] = ((0.5 * (agree + differ) - mid) / delta) as f32;
                    gain[k] = (0.5 * (differ - agree) / delta) as f32 * -sign;
                }
                (i, [inputs, outputs], offset, gain)
            })
            .collect();
        let all: Vec<usize> = (0..data.test.labels.len()).collect();
        let layers = &net.layers;
        let right: usize = all
            .par_chunks(50)
            .map(|some| {
                let mut x = self.binary(data, &data.test, some);
                for (l, (i, [inputs, outputs], offset, gain)) in arrays.iter().enumerate() {
                    let mut y = vec![0.0f32; some.len() * outputs];
                    for (g, from) in (0..*inputs).step_by(self.column).enumerate() {
                        let to = (from + self.column).min(*inputs);
                        for s in 0..some.len() {
                            let mut sums = vec![0.0f32; *outputs];
                            for k in from..to {
                                let (o, w) = (&offset[k * outputs..][..*outputs], &gain[k * outputs..][..*outputs]);
                                let v = x[s * inputs + k];
                                sums.iter_mut().zip(o.iter().zip(w)).for_each(|(y, (o, w))| *y += o + w * v);
                            }
                            for (o, sum) in sums.iter().enumerate() {
                                let mut v = f64::from(*sum);
                                if !exact {
                                    let z = normals([some[s] as u32, (g * outputs + o) as u32, l as u32, 82], crate::encode::key(seed))[0];
                                    v += self.noise * ((to - from) as f64).sqrt() * z;
                                    if self.bits > 0 {
                                        let step = 2.0 * self.window / f64::from(1u32 << self.bits);
                                        v = ((v / step).floor() + 0.5)
                                            .clamp(0.5 - f64::from(1u32 << (self.bits - 1)), f64::from(1u32 << (self.bits - 1)) - 0.5)
                                            * step;
                                    }
                                }
                                // Cells that agree count +1, that differ −1: twice, and the other way round.
                                y[s * outputs + o] -= 2.0 * v as f32;
                            }
                        }
                    }
                    // The scale of the weights, and the normalisation and sign behind.
                    let scale = layers[*i].weights.used[0].abs();
                    y.iter_mut().for_each(|y| *y *= scale);
                    y.chunks_exact_mut(*outputs).for_each(|y| y.iter_mut().zip(&layers[*i].bias.used).for_each(|(y, b)| *y += b));
                    layers[i + 1].normalise(&mut y);
                    if l + 1 < arrays.len() {
                        y.iter_mut().for_each(|y| *y = if *y >= 0.0 { 1.0 } else { -1.0 });
                    }
                    x = y;
                }
                some.iter()
                    .enumerate()
                    .filter(|(s, i)| {
                        let y = &x[s * data.classes..][..data.classes];
                        (0..data.classes).max_by(|&a, &b| y[a].total_cmp(&y[b])) == Some(usize::from(data.test.labels[**i]))
                    })
                    .count()
            })
            .sum();
        percent(right, all.len())
    }
}

/// Weights ±1/√inputs: one scale a layer.
fn scale_signs(net: &mut Net) {
    for (i, d) in net.arrays() {
        let p = &mut net.layers[i].weights;
        let scale = 1.0 / (d[0] as f32).sqrt();
        p.used.iter_mut().zip(&p.latent).for_each(|(u, w)| *u = if *w >= 0.0 { scale } else { -scale });
    }
}

impl Task for Xnor {
    fn cards(&self) -> Vec<PathBuf> {
        self.card.iter().chain(&self.spread_card).cloned().collect()
    }

    fn data(&self) -> &'static [&'static str] {
        self.data.folders()
    }

    fn run(&self, seed: u64, context: &Context<'_>) -> Result<Outcome, Problems> {
        let mut out = Outcome::default();
        let data = Samples::grey_images(self.data, context.data, &self.samples)?;
        let real = self.with_cards(context, &mut out)?;
        let net = self.train(&data, seed, context);
        let device = real.test(&net, &data, false, real.spread, seed);
        let exact = real.test(&net, &data, true, 0.0, seed);
        out.score("accuracy through columns", device, "%");
        out.score("accuracy, exact sums", exact, "%");
        out.score("gap", exact - device, "points");
        // Two operations a cell; a column conducts V²/R for the time of a read.
        let r = self.column as f64 * (real.r_p * (1.0 + 0.5 * real.tmr) + self.r_access);
        let energy = self.voltage.powi(2) / r * self.read + self.conversion;
        out.score("efficiency of columns and converters", 2.0 * self.column as f64 / energy / 1e12, "TOPS/W");
        out.note(format!("the efficiency rests on a conversion of {:e} J, typed", self.conversion));
        let rows = self.spreads.iter().map(|&s| vec![s, real.test(&net, &data, false, s, seed)]).collect();
        out.curve("accuracy against the spread of resistances", &["spread of ln R", "accuracy (%)"], rows);
        out.data = Some(data.note(0));
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cards_say_what_a_cell_is() {
        let house = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/networks/cards");
        let context = Context { data: None, base: &house, folder: None, device: None, progress: &|_, _| {} };
        let typed = Xnor { noise: 0.02, ..Xnor::default() };
        let x = Xnor { card: Some("binary-junction.yaml".into()), spread_card: Some("binary-junction-devices.yaml".into()), ..typed.clone() };
        let mut out = Outcome::default();
        let real = x.with_cards(&context, &mut out).unwrap();
        // 20 Ω µm² over 40 x 40 nm, TMR 1, both a little less for the angle that heat gives the layer; five percent of spread as simulated.
        assert!((real.r_p / 12.5e3 - 1.0).abs() < 0.02 && (0.9..1.0).contains(&real.tmr), "{} {}", real.r_p, real.tmr);
        assert!((0.04..0.055).contains(&real.spread) && real.noise > 0.02 && real.noise < 0.03, "{} {}", real.spread, real.noise);
        assert!(out.cards.iter().filter(|c| !c.records.is_empty()).count() == 2, "{:?}", out.cards);
        assert_eq!(typed.with_cards(&context, &mut out).unwrap().r_p, typed.r_p);
    }

    /// Columns without spread, noise and converter are exact, and the same as the network they came from.
    #[test]
    fn ideal_columns_are_exact_and_coarse_ones_are_not() {
        let x = Xnor {
            samples: vec![800, 200],
            hidden: vec![64],
            epochs: 4,
            spread: 0.0,
            noise: 0.0,
            bits: 0,
            training_noise: 0.0,
            ..Xnor::default()
        };
        let data = Samples::grey_images(x.data, None, &[800, 200]).unwrap();
        let context = Context { data: None, base: std::path::Path::new("."), folder: None, device: None, progress: &|_, _| {} };
        let mut net = x.train(&data, 1, &context);
        let all: Vec<usize> = (0..200).collect();
        let (y, _) = net.forward(x.binary(&data, &data.test, &all), 1, 200, Pass::Test, None, [0; 3]);
        let (_, answers, _) = cross_entropy(&y, 1, 200, 10, &data.test.labels, 1.0);
        let right = percent(answers.iter().zip(&data.test.labels).filter(|(a, l)| **a == usize::from(**l)).count(), 200);
        // Sums of equal terms may tie in another order of rounding.
        assert!((x.test(&net, &data, false, 0.0, 1) - right).abs() <= 1.0 && right > 40.0, "{right}");
        let coarse = Xnor { bits: 1, ..x };
        assert!(coarse.test(&net, &data, false, 0.0, 1) < right);
    }
}
