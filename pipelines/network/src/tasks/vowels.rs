//! Vowels by four coupled oscillators (review table 3, Romera et al., Nature 563, 230 (2018)).
//!
//! Two microwaves, whose frequencies are linear combinations of the formants F1, F2, F3 of a vowel, act on four mutually coupled oscillators. Each oscillator
//! locks to the first, to the second or to none; the pattern of locking is the answer. As in the paper the combinations are linear; here they lie in the plane of the
//! first two linear discriminants of the training vowels (Fisher, Ann. Eugen. 7, 179 (1936)), and their directions in it, scales and offsets are learned with the four currents. Learning is a hill climb: a random change
//! is kept where the training vowels are told apart better, each judged by the pattern's other vowels. A microwave pulls an oscillator along while it is nearer than F (Adler, Proc. IRE 34, 351 (1946)): by that law alone, which costs
//! nothing, thousands of changes are tried, and from the best of them the coupled array itself is trained.
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
        /// Changes tried on the array.
        tries: usize = 30, 1.0..=100000.0;
        /// Scatter of the copies of each training vowel (over the range of an input): what is learned must hold for its neighbours too.
        jitter: f64 = 0.03, 0.0..=1.0;
        /// Copies, the vowel itself among them.
        copies: usize = 5, 1.0..=100.0;
        /// Changes tried by Adler's law before, from each start; 0 goes to the array at once.
        rough: usize = 4000, 0.0..=1e7;
        /// Parts of the data: one is tested, the others train, in turn.
        folds: usize = 5, 2.0..=50.0;
        /// Random starts of the search by Adler's law, of which the one best on the training vowels goes on.
        starts: usize = 16, 1.0..=10000.0;
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

/// What is learned: four free-running frequencies and direction, scale and offset of both inputs, in units of the range of frequencies.
#[derive(Clone, Copy)]
struct Setting {
    own: [f64; 4],
    turn: [f64; 2],
    scale: [f64; 2],
    offset: [f64; 2],
}

impl Setting {
    /// Frequencies of the two microwaves for a vowel.
    fn inputs(&self, x: [f64; 2]) -> [f64; 2] {
        std::array::from_fn(|i| {
            let (s, c) = self.turn[i].sin_cos();
            self.offset[i] + self.scale[i] * (c * x[i] + s * x[1 - i])
        })
    }

    /// A neighbour.
    fn changed(&self, size: f64, stream: &mut Stream) -> Setting {
        let mut next = *self;
        next.own.iter_mut().for_each(|own| *own += size * stream.normal());
        for i in 0..2 {
            next.turn[i] += size * stream.normal();
            next.scale[i] *= (0.5 * size * stream.normal()).exp();
            next.offset[i] += 0.3 * size * stream.normal();
        }
        next
    }
}

/// The pattern by Adler's law alone: an oscillator follows the nearer of the microwaves that reach it.
fn rough(s: &Setting, x: [f64; 2], force: f64) -> usize {
    let input = s.inputs(x);
    s.own.iter().fold(0, |code, own| {
        let d = input.map(|f| (f - own).abs());
        3 * code + if d[0].min(d[1]) >= force { 0 } else { 1 + usize::from(d[1] < d[0]) }
    })
}

/// Keeps changes of `s` that do not lower its score; sizes of changes follow what was found.
fn climb(
    mut s: Setting,
    mut size: f64,
    tries: usize,
    stream: &mut Stream,
    score: &dyn Fn(&Setting) -> usize,
    mut tell: impl FnMut(usize),
) -> (usize, Setting) {
    let mut now = score(&s);
    for t in 0..tries {
        tell(t);
        let next = s.changed(size, stream);
        let found = score(&next);
        if found >= now {
            (s, now) = (next, found);
            size = (size * 1.3).min(0.4);
        } else {
            size = (size * 0.96).max(0.01);
        }
    }
    (now, s)
}

/// One digit per oscillator, base 3: 0 free, 1 locked to the first input, 2 to the second.
fn pattern(s: &Setting, x: [f64; 2], force: f64, coupling: f64, beta: f64, noise: f64, key: u64) -> usize {
    const STEP: f64 = 0.1;
    const STEPS: usize = 2400;
    let tau = std::f64::consts::TAU;
    let input = s.inputs(x);
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

/// Pattern → the class it most often stands for, and how many vowels the others of their pattern name rightly.
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
            // Without the vowel itself its class must still lead.
            let second = (0..7).filter(|c| *c != best).map(|c| n[c]).max().expect("six more");
            right += if n[best] > second + 1 { n[best] } else { 0 };
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
                super::oscillators::Device::of(&card)?.nu(self.zeta)
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
            let (own, own_classes) = (x.clone(), classes.clone());
            let (mut x, mut classes) = (x, classes);
            for _ in 1..self.copies {
                x.extend(own.iter().map(|x| x.map(|x| x + self.jitter * stream.normal())));
                classes.extend(&own_classes);
            }
            let (patterns, classes_of) = (|s: &Setting| self.patterns(s, &x, beta, seed), &classes);
            let by_law = |s: &Setting| answers(&x.iter().map(|x| rough(s, *x, self.force)).collect::<Vec<_>>(), classes_of).1;
            let by_array = |s: &Setting| answers(&patterns(s), classes_of).1;
            // Four currents spread over two bands, one per input; the bands overlap as little as in the paper's map.
            let starts: Vec<Setting> = (0..self.starts)
                .map(|_| {
                    let own = std::array::from_fn(|k| (k / 2) as f64 * 1.1 + (0.15 + 0.7 * stream.uniform()));
                    Setting { own, turn: [0.0; 2], scale: [1.0, 1.0], offset: [0.0, 1.1] }
                })
                .collect();
            (context.progress)(fold as f64 / self.folds as f64, "currents by Adler's law");
            let found: Vec<(usize, Setting)> = starts
                .into_par_iter()
                .enumerate()
                .map(|(k, s)| {
                    climb(s, 0.2, self.rough, &mut Stream::new(seed, 0x5A << 40 | (fold as u64) << 20 | k as u64), &by_law, |_| {})
                })
                .collect();
            let first = found.iter().max_by_key(|f| f.0).expect("at least one start").1;
            let (_, setting) = climb(first, 0.05, self.tries, &mut stream, &by_array, |t| {
                (context.progress)((fold as f64 + t as f64 / self.tries as f64) / self.folds as f64, "learning currents");
            });
            let trained_patterns = self.patterns(&setting, &x, beta, seed);
            let (map, _) = answers(&trained_patterns, &classes);
            let train_right = trained_patterns.iter().zip(&own_classes).filter(|(p, c)| map.get(p) == Some(c)).count();
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
        let s = Setting { own: [0.2, 0.8, 1.3, 1.9], turn: [0.0; 2], scale: [1.0; 2], offset: [0.0, 1.1] };
        // Inputs at 0.2 (on the first) and 1.9 (on the fourth).
        assert_eq!(pattern(&s, [0.2, 0.8], 0.05, 0.0, 0.0, 0.0, 1), 27 + 2);
        assert_eq!(rough(&s, [0.2, 0.8], 0.05), 27 + 2);
        // Far from every oscillator.
        assert_eq!(pattern(&s, [0.5, 0.5], 0.05, 0.0, 0.0, 0.0, 1), 0);
    }

    #[test]
    fn vowels_drawn_by_the_program_are_told_apart() {
        let v = Vowels { tries: 5, rough: 1000, copies: 2, folds: 2, starts: 1, ..Vowels::default() };
        let context = Context { data: None, base: Path::new("."), folder: None, device: None, progress: &|_, _| {} };
        let out = v.run(1, &context).unwrap();
        // Chance is 14 %; the four currents must carry more than two vowels' worth.
        assert!(out.value("accuracy").unwrap() > 45.0, "{:?}", out.scores);
    }
}
