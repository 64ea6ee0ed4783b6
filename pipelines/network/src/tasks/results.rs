//! Running a benchmark seed by seed, and keeping what came out.

use super::{Benchmark, Context, Outcome};
use serde::{Deserialize, Serialize};
use spinloom_base::{Diagnostic, Document, Problems, hash};
use std::path::Path;

/// Everything a benchmark found, with what fixes it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Results {
    /// Kind of benchmark.
    pub task: String,
    /// The command that gives it.
    pub command: String,
    /// Hash of the file and its cards, the program's version, and whether data were given.
    pub key: String,
    /// Seeds, one outcome each.
    pub seeds: Vec<u64>,
    /// What each found.
    pub outcomes: Vec<Outcome>,
    /// Wall time of each (s).
    pub seconds: Vec<f64>,
}

/// A score over the seeds: name, mean, sample standard deviation where there are several, unit.
pub type Summary = (String, f64, Option<f64>, String);

impl Results {
    /// The score of this number in the first outcome, over all seeds.
    pub fn score(&self, index: usize) -> Option<Summary> {
        let first = self.outcomes.first()?.scores.get(index)?;
        let values: Vec<f64> = self.outcomes.iter().filter_map(|o| o.value(&first.name)).collect();
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let sd = (values.len() > 1).then(|| (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt());
        Some((first.name.clone(), mean, sd, first.unit.clone()))
    }

    /// Runs a benchmark from its file, or takes up what `out/results.json` holds of the same one: a run that was cut off goes on with the next seed. At most so many seeds; `force` begins anew.
    ///
    /// # Errors
    /// A file, card or data that do not fit; a folder that cannot be written.
    pub fn run(
        file: &Path,
        document: &Document,
        out: &Path,
        data: Option<&Path>,
        (at_most, force): (Option<usize>, bool),
        progress: &dyn Fn(u64, f64, &str),
    ) -> Result<Results, Problems> {
        let benchmark = Benchmark::read(document)?;
        let base = file.parent().unwrap_or(Path::new(".")).to_path_buf();
        let mut key = format!("{} {}", env!("CARGO_PKG_VERSION"), hash::of_bytes(document.text.as_bytes()));
        for card in benchmark.task.cards() {
            let path = base.join(card);
            let bytes = std::fs::read(&path).map_err(|e| Diagnostic::file(path.display().to_string(), format!("cannot be read: {e}")))?;
            key = format!("{key} {}", hash::of_bytes(&bytes));
        }
        let key = format!("{key} {}", if data.is_some() { "data" } else { "stand-in" });
        let flag = data.map_or("", |_| " --data FOLDER");
        let command = format!("spinloom network {}{flag}", file.display());
        let mut results = Results { task: benchmark.kind.name.into(), command, key, seeds: vec![], outcomes: vec![], seconds: vec![] };
        let path = out.join("results.json");
        if let (false, Ok(text)) = (force, std::fs::read(&path))
            && let Ok(old) = serde_json::from_slice::<Results>(&text)
            && old.key == results.key
        {
            results = old;
        }
        let cannot = |e: std::io::Error| Problems::from(Diagnostic::file(out.display().to_string(), format!("cannot be written: {e}")));
        std::fs::create_dir_all(out).map_err(cannot)?;
        for seed in benchmark.seeds.iter().copied().take(at_most.unwrap_or(usize::MAX)) {
            if results.seeds.contains(&seed) {
                continue;
            }
            let started = std::time::Instant::now();
            let folder = out.join(format!("seed-{seed}"));
            let context = Context { data, base: &base, folder: Some(&folder), progress: &|d, w| progress(seed, d, w) };
            let outcome = benchmark.task.run(seed, &context)?;
            results.seeds.push(seed);
            results.outcomes.push(outcome);
            results.seconds.push(started.elapsed().as_secs_f64());
            let json = serde_json::to_vec_pretty(&results).map_err(|e| Problems::from(Diagnostic::error(e.to_string())))?;
            let part = path.with_extension("part");
            std::fs::write(&part, json).and_then(|()| std::fs::rename(&part, &path)).map_err(cannot)?;
        }
        Ok(results)
    }
}
