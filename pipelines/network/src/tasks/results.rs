//! Running a benchmark seed by seed, and keeping what came out.

use super::{Benchmark, Context, Outcome};
use crate::data::bytes;
use crate::graphics::Open;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use spinloom_base::{Diagnostic, Document, Problems, hash};
use std::path::{Path, PathBuf};

/// Everything a benchmark found, with what fixes it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Results {
    /// Kind of benchmark.
    pub task: String,
    /// The command that gives it.
    pub command: String,
    /// See [`Results::identity`].
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

    /// What results depend on: the text of the file, its cards' bytes, the program's version, the checksum of the data it reads, and the graphics device that computes, if one does.
    ///
    /// # Errors
    /// A file that is no benchmark; cards or data that cannot be read.
    pub fn identity(file: &Path, document: &Document, data: Option<&Path>, device: Option<&str>) -> Result<String, Problems> {
        let benchmark = Benchmark::read(document)?;
        let base = file.parent().unwrap_or(Path::new("."));
        let mut key = format!("{} {}", env!("CARGO_PKG_VERSION"), hash::of_bytes(document.text.as_bytes()));
        for card in benchmark.task.cards() {
            key = format!("{key} {}", hash::of_bytes(&bytes(&base.join(card))?));
        }
        if let (Some(name), true) = (device, benchmark.task.on_graphics()) {
            key = format!("{key} {name}");
        }
        let folders = benchmark.task.data();
        Ok(match data {
            _ if folders.is_empty() => format!("{key} no data"),
            None => format!("{key} stand-in"),
            Some(folder) => format!("{key} {}", checksum(folder, folders)?),
        })
    }

    /// What a folder keeps; none where nothing was run.
    ///
    /// # Errors
    /// A file of results that cannot be read.
    pub fn kept(out: &Path) -> Result<Option<Results>, Problems> {
        let path = out.join("results.json");
        if !path.is_file() {
            return Ok(None);
        }
        let wrong = |e: serde_json::Error| {
            Diagnostic::file(path.display().to_string(), format!("these are no results that can be read: {e}"))
                .hint("run the benchmark with --force, or remove the file")
        };
        Ok(Some(serde_json::from_slice(&bytes(&path)?).map_err(wrong)?))
    }

    /// Runs a benchmark from its file, or takes up what `out/results.json` holds of the same one: a run that was cut off goes on with the next seed. At most so many seeds; `force` begins anew,
    /// and removes the checkpoints of its seeds.
    ///
    /// # Errors
    /// A file, card or data that do not fit; a folder that cannot be written.
    pub fn run(
        file: &Path,
        document: &Document,
        out: &Path,
        data: Option<&Path>,
        (at_most, force): (Option<usize>, bool),
        device: Option<(&str, &Open<'_>)>,
        progress: &(dyn Fn(u64, f64, &str) + Sync),
    ) -> Result<Results, Problems> {
        let benchmark = Benchmark::read(document)?;
        let base = file.parent().unwrap_or(Path::new(".")).to_path_buf();
        let key = Self::identity(file, document, data, device.map(|d| d.0))?;
        let flag = data.map_or("", |_| " --data FOLDER");
        let device = device.filter(|_| benchmark.task.on_graphics());
        let on = device.map_or(String::new(), |(name, _)| format!(" --device {name}"));
        let command = format!("spinloom network {}{flag}{on}", file.display());
        let mut results = Results { task: benchmark.kind.name.into(), command, key, seeds: vec![], outcomes: vec![], seconds: vec![] };
        let path = out.join("results.json");
        if !force
            && let Some(old) = Self::kept(out)?
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
            if force && folder.is_dir() {
                std::fs::remove_dir_all(&folder).map_err(cannot)?;
            }
            let context =
                Context { data, base: &base, folder: Some(&folder), device: device.map(|d| d.1), progress: &|d, w| progress(seed, d, w) };
            // In the pool's own threads: from outside, every parallel loop would cost two changes of thread, and there are thousands a second.
            let mut outcome = rayon::scope(|_| benchmark.task.run(seed, &context))?;
            if context.device.is_some() && !benchmark.task.on_graphics() {
                outcome.note(format!("on the processor: {} has no form for graphics devices", benchmark.kind.name));
            }
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

/// SHA-256 over names and contents of all files below these folders, or below `folder` itself where there is none of them.
fn checksum(folder: &Path, names: &[&str]) -> Result<String, Problems> {
    let mut open: Vec<PathBuf> = names.iter().map(|n| folder.join(n)).filter(|f| f.is_dir()).collect();
    if open.is_empty() {
        open.push(folder.to_path_buf());
    }
    let mut files = Vec::new();
    while let Some(at) = open.pop() {
        let entries = std::fs::read_dir(&at).map_err(|e| Diagnostic::file(at.display().to_string(), format!("cannot be read: {e}")))?;
        for entry in entries.flatten().map(|e| e.path()) {
            if entry.is_dir() { open.push(entry) } else { files.push(entry) }
        }
    }
    files.sort();
    let sums: Result<Vec<String>, Problems> = files
        .par_iter()
        .map(|f| Ok(format!("{} {}\n", f.strip_prefix(folder).unwrap_or(f).display(), hash::of_bytes(&bytes(f)?))))
        .collect();
    Ok(hash::of_bytes(sums?.concat().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cards_and_data_are_part_of_the_identity_and_force_forgets() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(at("data/mnist")).unwrap();
        std::fs::write(at("data/mnist/a"), "one").unwrap();
        std::fs::write(at("card.yaml"), "one").unwrap();
        std::fs::write(at("b.yaml"), "task: classifier\nsettings: {neuron: card, card: card.yaml}\n").unwrap();
        let key = || Results::identity(&at("b.yaml"), &Document::read(&at("b.yaml")).unwrap(), Some(&at("data")), None).unwrap();
        let first = key();
        assert_eq!(first, key());
        std::fs::write(at("data/mnist/a"), "two").unwrap();
        let second = key();
        std::fs::write(at("card.yaml"), "two").unwrap();
        assert!(second != first && key() != second);
        // Another set beside it changes nothing.
        let third = key();
        std::fs::create_dir_all(at("data/iris")).unwrap();
        std::fs::write(at("data/iris/b"), "one").unwrap();
        assert_eq!(third, key());

        std::fs::write(at("l.yaml"), "task: letters\nsettings: {epochs: 1}\n").unwrap();
        let document = Document::read(&at("l.yaml")).unwrap();
        let run = |force| Results::run(&at("l.yaml"), &document, &at("out"), None, (None, force), None, &|_, _, _| {});
        // One epoch at this rate does not settle: the score is infinite, and read again.
        let results = run(false).unwrap();
        let back = Results::kept(&at("out")).unwrap().unwrap();
        assert_eq!((results.outcomes, results.seconds.clone()), (back.outcomes, back.seconds));
        assert_eq!(run(false).unwrap().seconds, results.seconds);
        std::fs::create_dir_all(at("out/seed-1")).unwrap();
        std::fs::write(at("out/seed-1/ideal.checkpoint"), "old").unwrap();
        run(true).unwrap();
        assert!(!at("out/seed-1/ideal.checkpoint").exists());
        // What cannot be read is told, not passed over.
        std::fs::write(at("out/results.json"), "{").unwrap();
        assert!(run(false).unwrap_err().to_string().contains("--force"));
        assert!(run(true).is_ok());
    }
}
