//! Flowers clustered without a teacher by stochastic junctions (review table 3, Zhang et al., Acta Phys. Sin. 71, 148506 (2022)).
//!
//! First layer: of each of the four features a population of junctions, whose preferred values lie side by side. The current of a junction falls off from its preferred
//! value as a normal density, and in each time slot it switches with the probability of its card, P = 1/(1 + exp(−slope (I − I_50))). Second layer: neurons compete; the one whose weights
//! sum up to most of the spikes, its threshold taken off, wins the slot, and its weights move towards the spikes (Δw = η (spike − w), the
//! mean of a stochastic Hebbian rule; Nessler et al., PLoS Comput. Biol. 9, e1003037 (2013), equation 5 near its fixed point). A threshold that rises with every
//! win keeps all neurons in use. Labels are not used until each neuron is named after the class it answers to most.

use super::{CardNote, Context, DataNote, Driven, Outcome, RandomBit, Task, card, no_card, percent};
use crate::settings::settings;
use spinloom_base::random::Stream;
use spinloom_base::{Diagnostic, Problems, hash};
use std::path::{Path, PathBuf};

settings!(
    /// The two layers.
    Clustering: "the clustering" {
        /// Card of the junction.
        card: Option<PathBuf> = None;
        /// Junctions per feature.
        junctions: usize = 15, 2.0..=200.0;
        /// Neurons that compete.
        neurons: usize = 12, 3.0..=100.0;
        /// Drive at a preferred value over that at none, in the card's unit; the circuit sets the middle of both to that of the card, and drives stop where the card's range does.
        swing: Option<f64> = None, 1e-30..=1e30;
        /// Without a card: slope times current at a preferred value; the mid-point lies at half of it.
        drive: f64 = 8.0, 0.5..=100.0;
        /// Width of the preference in units of the distance between preferred values.
        width: f64 = 1.5, 0.2..=20.0;
        /// Time slots per flower.
        slots: usize = 20, 1.0..=10000.0;
        /// Passes over the flowers.
        epochs: usize = 30, 1.0..=10000.0;
        /// η at the start; it falls to a tenth.
        learning_rate: f64 = 0.02, 1e-6..=1.0;
        /// What a win adds to the threshold, and what a slot takes off all, is this over the number of neurons.
        homeostasis: f64 = 0.02, 0.0..=10.0;
        /// Relative deviation of I_50 (from the foot of the drives, half a swing below it) and slope between junctions, uniform within ± this: a curve, the first value the headline.
        spreads: Vec<f64> = vec![0.0, 0.05, 0.1, 0.15, 0.2], 0.0..=0.9;
    }
);

struct Flowers {
    features: Vec<[f64; 4]>,
    classes: Vec<usize>,
    note: DataNote,
}

fn read(folder: &Path) -> Result<Flowers, Problems> {
    let below = folder.join("iris");
    let path = if below.is_dir() { below } else { folder.to_path_buf() }.join("iris.csv");
    let name = path.display().to_string();
    let bytes = std::fs::read(&path).map_err(|e| {
        Diagnostic::file(&name, format!("cannot be read: {e}"))
            .hint("Fisher's iris data: a header line, then four lengths in cm and the species")
    })?;
    let mut flowers = Flowers {
        features: Vec::new(),
        classes: Vec::new(),
        note: DataNote {
            name: "Iris, all used to learn and to name; scored on fresh slots of the same flowers".into(),
            stand_in: false,
            sha256: hash::of_bytes(&bytes),
            split: [0; 3],
        },
    };
    let mut species: Vec<String> = Vec::new();
    for (line, row) in csv::Reader::from_reader(bytes.as_slice()).records().enumerate() {
        let row = row.map_err(|e| Diagnostic::file(&name, e.to_string()))?;
        let numbers: Vec<f64> = row.iter().take(4).filter_map(|t| t.trim().parse().ok()).collect();
        let (Ok(features), Some(kind)) = (<[f64; 4]>::try_from(numbers), row.get(4)) else {
            return Err(Diagnostic::file(&name, format!("row {} is not four numbers and a species", line + 1)).into());
        };
        let class = species.iter().position(|s| s == kind).unwrap_or_else(|| {
            species.push(kind.into());
            species.len() - 1
        });
        flowers.features.push(features);
        flowers.classes.push(class);
    }
    if flowers.classes.is_empty() {
        return Err(Diagnostic::file(&name, "it holds no flowers").into());
    }
    flowers.note.split = [flowers.classes.len(), 0, flowers.classes.len()];
    Ok(flowers)
}

/// Three overlapping normal clouds.
fn stand_in(seed: u64) -> Flowers {
    let centres = [[5.0, 3.4, 1.5, 0.25], [5.9, 2.8, 4.3, 1.3], [6.6, 3.0, 5.6, 2.0]];
    let mut stream = Stream::new(seed, 0x43 << 40);
    let (mut features, mut classes) = (Vec::new(), Vec::new());
    for i in 0..150 {
        let c = i / 50;
        features.push(centres[c].map(|m: f64| m + 0.08 * (1.0 + m).sqrt() * stream.normal()));
        classes.push(c);
    }
    Flowers {
        features,
        classes,
        note: DataNote { name: "three clouds drawn by the program".into(), stand_in: true, sha256: String::new(), split: [150, 0, 150] },
    }
}

/// Chance of each junction to switch in a slot, per flower.
fn chances(s: &Clustering, drive: Driven, flowers: &Flowers, spread: f64, stream: &mut Stream) -> Vec<Vec<f64>> {
    let n = s.junctions;
    let range: [(f64, f64); 4] =
        std::array::from_fn(|f| flowers.features.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |a, x| (a.0.min(x[f]), a.1.max(x[f]))));
    let mut uniform = || 1.0 + spread * (2.0 * stream.uniform() - 1.0);
    let devices: Vec<(f64, f64)> = (0..4 * n).map(|_| (uniform(), uniform())).collect();
    flowers
        .features
        .iter()
        .map(|x| {
            (0..4 * n)
                .map(|i| {
                    let (f, k) = (i / n, i % n);
                    let at = (x[f] - range[f].0) / (range[f].1 - range[f].0).max(1e-12) * (n - 1) as f64;
                    // From the I_50 of a nominal junction, which is half of what the preferred value gives.
                    let current = (-((at - k as f64) / s.width).powi(2) / 2.0).exp();
                    let driven = drive.at(current - 0.5);
                    let (mid, slope) = devices[i];
                    1.0 / (1.0 + (-slope * (driven - 0.5 * drive.one * (mid - 1.0))).exp())
                })
                .collect()
        })
        .collect()
}

/// Accuracy after learning, and how many neurons stand for each class.
fn learn(s: &Clustering, drive: Driven, flowers: &Flowers, spread: f64, seed: u64) -> f64 {
    let mut stream = Stream::new(seed, 0x44 << 40 | (1e4 * spread) as u64);
    let chance = chances(s, drive, flowers, spread, &mut stream);
    let inputs = 4 * s.junctions;
    // Each starts near a flower's own pattern, as if it had fired once.
    let mut weights: Vec<Vec<f64>> = (0..s.neurons)
        .map(|_| {
            let first = stream.below(chance.len());
            chance[first].iter().map(|p| 0.5 * p + 0.25 * stream.uniform()).collect()
        })
        .collect();
    let mut threshold = vec![0.0; s.neurons];
    let mut order: Vec<usize> = (0..chance.len()).collect();
    // Logarithm of how probable the spikes are if the weights are rates: what the Hebbian rule of Nessler et al. makes of sums (equation 2). Of each neuron
    // Σ ln(1 − w), and per input what a spike adds to it.
    let logs = |w: &[f64]| -> (f64, Vec<f64>) {
        let w: Vec<f64> = w.iter().map(|w| w.clamp(0.01, 0.99)).collect();
        (w.iter().map(|w| (1.0 - w).ln()).sum(), w.iter().map(|w| (w / (1.0 - w)).ln()).collect())
    };
    let mut log: Vec<(f64, Vec<f64>)> = weights.iter().map(|w| logs(w)).collect();
    let winner = |log: &[(f64, Vec<f64>)], threshold: &[f64], spikes: &[bool]| {
        let value = |k: usize| log[k].0 + log[k].1.iter().zip(spikes).filter(|(_, s)| **s).map(|(l, _)| l).sum::<f64>() - threshold[k];
        (0..log.len()).max_by(|&a, &b| value(a).total_cmp(&value(b))).expect("some neurons")
    };
    let mut spikes = vec![false; inputs];
    let total = s.epochs * chance.len();
    let mut seen = 0;
    for _ in 0..s.epochs {
        stream.shuffle(&mut order);
        for &i in &order {
            let rate = s.learning_rate * (1.0 - 0.9 * seen as f64 / total as f64);
            seen += 1;
            for _ in 0..s.slots {
                spikes.iter_mut().zip(&chance[i]).for_each(|(s, p)| *s = stream.uniform() <= *p);
                let k = winner(&log, &threshold, &spikes);
                weights[k].iter_mut().zip(&spikes).for_each(|(w, s)| *w += rate * (f64::from(u8::from(*s)) - *w));
                log[k] = logs(&weights[k]);
                threshold.iter_mut().for_each(|t| *t -= s.homeostasis / s.neurons as f64);
                threshold[k] += s.homeostasis;
            }
        }
    }
    // Votes of the slots; thresholds were for learning.
    let still = vec![0.0; s.neurons];
    let mut look = || -> Vec<Vec<usize>> {
        chance
            .iter()
            .map(|p| {
                let mut votes = vec![0; s.neurons];
                for _ in 0..s.slots {
                    spikes.iter_mut().zip(p).for_each(|(s, p)| *s = stream.uniform() <= *p);
                    votes[winner(&log, &still, &spikes)] += 1;
                }
                votes
            })
            .collect()
    };
    // Slots that name the neurons do not also score them.
    let (naming, votes) = (look(), look());
    let classes = flowers.classes.iter().max().map_or(0, |m| m + 1);
    let mut of = vec![vec![0; classes]; s.neurons];
    for (v, &c) in naming.iter().zip(&flowers.classes) {
        v.iter().zip(&mut of).for_each(|(v, of)| of[c] += v);
    }
    let name: Vec<usize> = of.iter().map(|n| (0..classes).max_by_key(|&c| n[c]).unwrap_or(0)).collect();
    let right = votes
        .iter()
        .zip(&flowers.classes)
        .filter(|(v, c)| {
            let mut sum = vec![0; classes];
            v.iter().zip(&name).for_each(|(v, n)| sum[*n] += v);
            (0..classes).max_by_key(|&k| sum[k]) == Some(**c)
        })
        .count();
    percent(right, flowers.classes.len())
}

impl Task for Clustering {
    fn cards(&self) -> Vec<PathBuf> {
        self.card.iter().cloned().collect()
    }

    fn data(&self) -> &'static [&'static str] {
        &["iris"]
    }

    fn run(&self, seed: u64, context: &Context<'_>) -> Result<Outcome, Problems> {
        let mut out = Outcome::default();
        let drive = match &self.card {
            Some(path) => {
                let (card, note) = card(context, path, &["firing-logistic", "p-bit", "telegraph-arrhenius"])?;
                // All three laws are the logistic function; only its width differs.
                let width = if card.model.name == "firing-logistic" { 1.0 / card.value("slope")? } else { RandomBit::of(&card)?.s };
                let drive = Driven::of(&card, self.swing, "swing", width)?;
                out.cards.push(note);
                out.cards.push(CardNote::typed(format!("typed beside the card: swing {:e} in its unit, spread", drive.one * width)));
                drive
            }
            None => {
                no_card(&[("swing", self.swing.is_some())])?;
                out.cards.push(CardNote::typed("junction typed: logistic"));
                Driven::freely(self.drive)
            }
        };
        let flowers = match context.data {
            Some(folder) => read(folder)?,
            None => stand_in(seed),
        };
        let mut rows = Vec::new();
        for (i, &spread) in self.spreads.iter().enumerate() {
            (context.progress)(i as f64 / self.spreads.len() as f64, "learning");
            rows.push(vec![100.0 * spread, learn(self, drive, &flowers, spread, seed)]);
        }
        out.score("accuracy", rows[0][1], "%");
        for r in &rows[1..] {
            out.score(format!("accuracy at ±{:.0} %", r[0]), r[1], "%");
        }
        out.curve("accuracy against the spread of I_50 and slope", &["± (%)", "accuracy (%)"], rows);
        out.note(format!("{} neurons, each named after the class it answers to most; labels are used for that alone", self.neurons));
        out.data = Some(flowers.note);
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_clouds_are_found() {
        let s = Clustering { epochs: 8, ..Clustering::default() };
        let flowers = stand_in(1);
        let open = Driven::freely(8.0);
        let right = learn(&s, open, &flowers, 0.0, 1);
        assert!(right > 85.0, "{right}");
        // Junctions spread by three fifths still find more than one cloud.
        let wide = learn(&s, open, &flowers, 0.6, 1);
        assert!(wide > 50.0, "{wide}");
        // Those that drives do not move switch by chance alone, and tell nothing.
        let shut = learn(&s, Driven { reach: [-0.01, 0.01], ..open }, &flowers, 0.0, 1);
        assert!(shut < 60.0, "{shut}");
        let context = Context { data: None, base: Path::new("."), folder: None, device: None, progress: &|_, _| {} };
        let refused = Clustering { swing: Some(0.1), ..Clustering::default() }.run(1, &context);
        assert!(refused.unwrap_err().to_string().contains("swing: it drives the device of a card"));
    }
}
