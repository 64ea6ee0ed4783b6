//! Vowels by four coupled oscillators (review table 3, Romera et al., Nature 563, 230 (2018)).
//!
//! Two microwaves, whose frequencies are linear combinations of the formants F1, F2, F3 of a vowel, act on four mutually coupled oscillators. Each oscillator
//! locks to the first, to the second or to none; the pattern of locking is the answer. As in the paper the combinations are chosen beforehand (here: the
//! first two linear discriminants of the training vowels, Fisher, Ann. Eugen. 7, 179 (1936)) and *only the four currents are learned* (with the two
//! frequency scales and offsets of the inputs). Learning is a hill climb: a random change of the currents is kept where the training vowels are told apart better.
//!
//! The coupled array is solved in its phases (the power follows within 1/Γ, taken to be fast; Slavin and Tiberkevich 2009, section V):
//! dφ_k/dt = 2π f_k + κ Σ sin(φ_l − φ_k + β) + Σ_s F_s sin(2π f_s t − φ_k), κ and F scaled by √(1 + ν²), β = arctan ν.

use super::{CardNote, Context, DataNote, Outcome, Task, card, percent};
use crate::settings::settings;
use nalgebra::{DMatrix, SymmetricEigen};
use rayon::prelude::*;
use spinloom_base::random::Stream;
use spinloom_base::{Diagnostic, Problems, hash};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

settings!(
    /// Four oscillators.
    Vowels: "the vowel network" {
        /// Card of the oscillator, for ν.
        card: Option<PathBuf> = None;
        /// Current over its threshold, with a card.
        zeta: f64 = 2.0, 1.05..=20.0;
        /// Force of a microwave in units of 2π times the range of frequencies.
        force: f64 = 0.05, 0.0..=10.0;
        /// Coupling in the same units.
        coupling: f64 = 0.01, 0.0..=10.0;
        /// Phase noise (rad² per 1/range of frequencies).
        noise: f64 = 0.0, 0.0..=100.0;
        /// Changes of the currents tried.
        tries: usize = 400, 1.0..=100000.0;
        /// Parts of the data: one is tested, the others train, in turn.
        folds: usize = 5, 2.0..=50.0;
        /// Random starts, of which the one best on the training vowels counts.
        starts: usize = 4, 1.0..=100.0;
    }
);

/// The vowels of the paper, by their codes in the data.
const SEVEN: [&str; 7] = ["ae", "ah", "aw", "er", "ih", "iy", "uw"];

struct Sample {
    formants: [f64; 3],
    class: usize,
}

/// The women's seven vowels of Hillenbrand et al. 1995; rows with a formant that could not be measured are left out.
fn read(folder: &Path) -> Result<(Vec<Sample>, DataNote), Problems> {
    let below = folder.join("hillenbrand");
    let path = if below.is_dir() { below } else { folder.to_path_buf() }.join("hillenbrand1995_vowels.csv");
    let name = path.display().to_string();
    let bytes = std::fs::read(&path).map_err(|e| {
        Diagnostic::file(&name, format!("cannot be read: {e}"))
            .hint("the acoustic measurements of Hillenbrand et al., J. Acoust. Soc. Am. 97, 3099 (1995), as a table with the columns ID, F1, F2, F3")
    })?;
    let mut table = csv::Reader::from_reader(bytes.as_slice());
    let heads = table.headers().map_err(|e| Diagnostic::file(&name, e.to_string()))?.clone();
    let column = |wanted: &str| {
        heads.iter().position(|h| h.trim() == wanted).ok_or_else(|| Diagnostic::file(&name, format!("it has no column `{wanted}`")))
    };
    let (id, f) = (column("ID")?, [column("F1")?, column("F2")?, column("F3")?]);
    let mut samples = Vec::new();
    for row in table.records() {
        let row = row.map_err(|e| Diagnostic::file(&name, e.to_string()))?;
        let who = row.get(id).unwrap_or_default().trim();
        let (Some(group), Some(vowel)) = (who.get(..1), who.get(who.len().saturating_sub(2)..)) else { continue };
        let Some(class) = SEVEN.iter().position(|v| *v == vowel) else { continue };
        let formants = f.map(|i| row.get(i).and_then(|t| t.trim().parse::<f64>().ok()).unwrap_or(0.0));
        if group == "w" && formants.iter().all(|f| *f > 0.0) {
            samples.push(Sample { formants, class });
        }
    }
    let n = samples.len();
    let note =
        DataNote { name: "Hillenbrand vowels, women, 7 vowels".into(), stand_in: false, sha256: hash::of_bytes(&bytes), split: [n, 0, n] };
    Ok((samples, note))
}

/// Formants drawn around textbook values (Peterson and Barney, J. Acoust. Soc. Am. 24, 175 (1952), women).
fn stand_in(seed: u64) -> (Vec<Sample>, DataNote) {
    let centres = [
        [860., 2050., 2850.],
        [850., 1220., 2810.],
        [590., 920., 2710.],
        [500., 1640., 1960.],
        [430., 2480., 3070.],
        [310., 2790., 3310.],
        [370., 950., 2670.],
    ];
    let mut stream = Stream::new(seed, 0x56 << 40);
    let samples = (0..45)
        .flat_map(|_| centres.iter().enumerate().collect::<Vec<_>>())
        .map(|(class, c)| Sample { formants: c.map(|f| f * (1.0 + 0.07 * stream.normal())), class })
        .collect::<Vec<_>>();
    let n = samples.len();
    (samples, DataNote { name: "formants drawn around textbook values".into(), stand_in: true, sha256: String::new(), split: [n, 0, n] })
}

/// The two directions that part the classes best.
fn discriminants(samples: &[&Sample]) -> [[f64; 3]; 2] {
    let mean = |s: &[&Sample]| {
        let n = s.len() as f64;
        std::array::from_fn::<f64, 3, _>(|i| s.iter().map(|s| s.formants[i]).sum::<f64>() / n)
    };
    let all = mean(samples);
    let (mut within, mut between) = (DMatrix::<f64>::zeros(3, 3), DMatrix::<f64>::zeros(3, 3));
    for class in 0..SEVEN.len() {
        let of: Vec<&Sample> = samples.iter().filter(|s| s.class == class).copied().collect();
        if of.is_empty() {
            continue;
        }
        let m = mean(&of);
        for i in 0..3 {
            for j in 0..3 {
                between[(i, j)] += of.len() as f64 * (m[i] - all[i]) * (m[j] - all[j]);
                within[(i, j)] += of.iter().map(|s| (s.formants[i] - m[i]) * (s.formants[j] - m[j])).sum::<f64>();
            }
        }
    }
    // Whiten by the scatter within, then the eigenvectors of the scatter between.
    let w = SymmetricEigen::new(within);
    let root = &w.eigenvectors * DMatrix::from_diagonal(&w.eigenvalues.map(|v| 1.0 / v.max(1e-12).sqrt())) * w.eigenvectors.transpose();
    let b = SymmetricEigen::new(&root * between * &root);
    let mut order: Vec<usize> = (0..3).collect();
    order.sort_by(|&a, &c| b.eigenvalues[c].total_cmp(&b.eigenvalues[a]));
    std::array::from_fn(|k| {
        let v = &root * b.eigenvectors.column(order[k]);
        let n = samples.len() as f64 - SEVEN.len() as f64;
        std::array::from_fn(|i| v[i] * n.sqrt())
    })
}

/// What is learned: four free-running frequencies and scale and offset of both inputs, in units of the range of frequencies.
#[derive(Clone, Copy)]
struct Setting {
    own: [f64; 4],
    scale: [f64; 2],
    offset: [f64; 2],
}

/// One digit per oscillator, base 3: 0 free, 1 locked to the first input, 2 to the second.
fn pattern(s: &Setting, x: [f64; 2], force: f64, coupling: f64, beta: f64, noise: f64, key: u64) -> usize {
    const STEP: f64 = 0.1;
    const STEPS: usize = 2400;
    let tau = std::f64::consts::TAU;
    let input: [f64; 2] = std::array::from_fn(|i| s.offset[i] + s.scale[i] * x[i]);
    let mut stream = Stream::new(key, 0x57 << 40);
    let mut phase: [f64; 4] = std::array::from_fn(|k| 1.7 * k as f64);
    let mut middle = phase;
    let kick = (noise * STEP).sqrt();
    // The sine and cosine of each phase once a step; differences of phases by addition theorems.
    let (sb, cb) = beta.sin_cos();
    for i in 0..STEPS {
        if i == STEPS / 2 {
            middle = phase;
        }
        let t = i as f64 * STEP;
        let sc = phase.map(f64::sin_cos);
        let (sum_s, sum_c) = sc.iter().fold((0.0, 0.0), |a, b| (a.0 + b.0, a.1 + b.1));
        let drive = input.map(|f| (tau * f * t).sin_cos());
        let (ds, dc) = (drive[0].0 + drive[1].0, drive[0].1 + drive[1].1);
        for k in 0..4 {
            let (sk, ck) = sc[k];
            // Σ_l sin(φ_l − φ_k) and cosines, the oscillator itself left out.
            let (s_all, c_all) = (sum_s * ck - sum_c * sk, sum_c * ck + sum_s * sk - 1.0);
            let pull = coupling * (s_all * cb + c_all * sb) + force * (ds * ck - dc * sk);
            phase[k] += STEP * tau * (s.own[k] + pull);
            if kick > 0.0 {
                phase[k] += kick * stream.normal();
            }
        }
    }
    let time = (STEPS - STEPS / 2) as f64 * STEP;
    let mut code = 0;
    for k in 0..4 {
        let f = (phase[k] - middle[k]) / (tau * time);
        let locked = (0..2).min_by(|&a, &b| (f - input[a]).abs().total_cmp(&(f - input[b]).abs())).expect("two inputs");
        code = 3 * code + if (f - input[locked]).abs() < 0.004 { 1 + locked } else { 0 };
    }
    code
}

impl Vowels {
    fn patterns(&self, setting: &Setting, x: &[[f64; 2]], beta: f64, seed: u64) -> Vec<usize> {
        x.par_iter()
            .enumerate()
            .map(|(i, x)| pattern(setting, *x, self.force, self.coupling, beta, self.noise, seed << 20 | i as u64))
            .collect()
    }
}

/// Pattern → the class it most often stands for, and how many that gets right.
fn answers(patterns: &[usize], classes: &[usize]) -> (BTreeMap<usize, usize>, usize) {
    let mut counts: BTreeMap<usize, [usize; 7]> = BTreeMap::new();
    for (p, c) in patterns.iter().zip(classes) {
        counts.entry(*p).or_default()[*c] += 1;
    }
    let mut right = 0;
    let map = counts
        .iter()
        .map(|(p, n)| {
            let best = (0..7).max_by_key(|&c| n[c]).expect("seven classes");
            right += n[best];
            (*p, best)
        })
        .collect();
    (map, right)
}

impl Task for Vowels {
    fn cards(&self) -> Vec<PathBuf> {
        self.card.iter().cloned().collect()
    }

    fn data(&self) -> &'static [&'static str] {
        &["hillenbrand"]
    }

    fn run(&self, seed: u64, context: &Context<'_>) -> Result<Outcome, Problems> {
        let mut out = Outcome::default();
        let nu = match &self.card {
            Some(path) => {
                let (card, note) = card(context, path, &["spin-torque-oscillator"])?;
                out.cards.push(note);
                // ν = N p-slope over the relaxation of power (Slavin and Tiberkevich 2009, equation 33), 2π for N in Hz.
                std::f64::consts::TAU * card.value("N")? / (card.value("Gamma_G")? * (self.zeta + card.value("Q")?))
            }
            None => {
                out.cards.push(CardNote::typed("oscillator typed: nu = 3"));
                3.0
            }
        };
        let beta = nu.atan();
        let (samples, note) = match context.data {
            Some(folder) => read(folder)?,
            None => stand_in(seed),
        };
        out.data = Some(note);
        let mut order: Vec<usize> = (0..samples.len()).collect();
        Stream::new(seed, 0x58 << 40).shuffle(&mut order);
        let (mut right, mut trained, mut bound) = (0, 0.0, 0);
        for fold in 0..self.folds {
            let (mut train, mut test) = (Vec::new(), Vec::new());
            for (i, &s) in order.iter().enumerate() {
                if i % self.folds == fold { test.push(&samples[s]) } else { train.push(&samples[s]) }
            }
            let axes = discriminants(&train);
            let project = |s: &&Sample| axes.map(|a| (0..3).map(|i| a[i] * s.formants[i]).sum::<f64>());
            let raw: Vec<[f64; 2]> = train.iter().map(project).collect();
            let range: [(f64, f64); 2] = std::array::from_fn(|i| {
                let (low, high) = raw.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |a, x| (a.0.min(x[i]), a.1.max(x[i])));
                (low, high - low)
            });
            let unit = |x: [f64; 2]| std::array::from_fn::<f64, 2, _>(|i| (x[i] - range[i].0) / range[i].1);
            let x: Vec<[f64; 2]> = raw.into_iter().map(unit).collect();
            let classes: Vec<usize> = train.iter().map(|s| s.class).collect();
            let test_x: Vec<[f64; 2]> = test.iter().map(|s| unit(project(s))).collect();
            // What nearest class means on the same two numbers reach: the best any map of them can nearly do.
            let centre: Vec<[f64; 2]> = (0..7)
                .map(|c| {
                    let of: Vec<_> = x.iter().zip(&classes).filter(|(_, k)| **k == c).map(|(x, _)| x).collect();
                    std::array::from_fn(|i| of.iter().map(|x| x[i]).sum::<f64>() / of.len().max(1) as f64)
                })
                .collect();
            bound += test_x
                .iter()
                .zip(&test)
                .filter(|(x, s)| {
                    let d = |c: usize| ((x[0] - centre[c][0]) * range[0].1).powi(2) + ((x[1] - centre[c][1]) * range[1].1).powi(2);
                    (0..7).min_by(|&a, &b| d(a).total_cmp(&d(b))) == Some(s.class)
                })
                .count();
            let mut stream = Stream::new(seed, 0x59 << 40 | fold as u64);
            let mut best: Option<(usize, Setting)> = None;
            for start in 0..self.starts {
                // Four currents spread over two bands, one per input; the bands overlap as little as in the paper's map.
                let mut s = Setting { own: [0.0; 4], scale: [1.0, 1.0], offset: [0.0, 1.1] };
                s.own = std::array::from_fn(|k| (k / 2) as f64 * 1.1 + (0.15 + 0.7 * stream.uniform()));
                let score = |s: &Setting| answers(&self.patterns(s, &x, beta, seed), &classes).1;
                let mut now = score(&s);
                let mut size = 0.2;
                for t in 0..self.tries {
                    let done = (fold * self.starts + start) as f64 + t as f64 / self.tries as f64;
                    (context.progress)(done / (self.folds * self.starts) as f64, "learning currents");
                    let mut next = s;
                    for own in &mut next.own {
                        *own += size * stream.normal();
                    }
                    for i in 0..2 {
                        next.scale[i] *= (0.5 * size * stream.normal()).exp();
                        next.offset[i] += 0.3 * size * stream.normal();
                    }
                    let found = score(&next);
                    if found >= now {
                        (s, now) = (next, found);
                        size = (size * 1.3).min(0.4);
                    } else {
                        size = (size * 0.96).max(0.01);
                    }
                }
                if best.is_none_or(|b| now > b.0) {
                    best = Some((now, s));
                }
            }
            let (_, setting) = best.expect("at least one start");
            let (map, train_right) = answers(&self.patterns(&setting, &x, beta, seed), &classes);
            trained += percent(train_right, train.len()) / self.folds as f64;
            let found = self.patterns(&setting, &test_x, beta, seed);
            right += found.iter().zip(&test).filter(|(p, s)| map.get(p) == Some(&s.class)).count();
            if fold == 0 {
                let rows = (0..40)
                    .flat_map(|i| (0..40).map(move |j| [i as f64 / 39.0, j as f64 / 39.0]))
                    .zip(self.patterns(
                        &setting,
                        &(0..1600).map(|k| [(k / 40) as f64 / 39.0, (k % 40) as f64 / 39.0]).collect::<Vec<_>>(),
                        beta,
                        seed,
                    ))
                    .map(|(x, p)| vec![x[0], x[1], p as f64, map.get(&p).map_or(f64::NAN, |c| *c as f64)])
                    .collect();
                out.curve("map of synchronisation", &["first input", "second input", "pattern (base 3)", "vowel"], rows);
            }
        }
        out.score("accuracy", percent(right, samples.len()), "%");
        out.score("training accuracy", trained, "%");
        out.score("nearest mean on the same two inputs", percent(bound, samples.len()), "%");
        out.note(format!("{} folds, every vowel tested once by currents that never saw it; nu = {nu:.2}", self.folds));
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_oscillator_locks_to_the_tone_at_its_frequency() {
        let s = Setting { own: [0.2, 0.8, 1.3, 1.9], scale: [1.0; 2], offset: [0.0, 1.1] };
        // Inputs at 0.2 (on the first) and 1.9 (on the fourth).
        assert_eq!(pattern(&s, [0.2, 0.8], 0.05, 0.0, 0.0, 0.0, 1), 27 + 2);
        // Far from every oscillator.
        assert_eq!(pattern(&s, [0.5, 0.5], 0.05, 0.0, 0.0, 0.0, 1), 0);
    }

    #[test]
    fn vowels_drawn_by_the_program_are_told_apart() {
        let v = Vowels { tries: 60, folds: 2, starts: 1, ..Vowels::default() };
        let context = Context { data: None, base: Path::new("."), folder: None, device: None, progress: &|_, _| {} };
        let out = v.run(1, &context).unwrap();
        // Chance is 14 %; the four currents must carry more than two vowels' worth.
        assert!(out.value("accuracy").unwrap() > 45.0, "{:?}", out.scores);
    }
}
