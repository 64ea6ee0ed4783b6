//! Runs an experiment.

use crate::pipeline::{Context, Stage};
use crate::progress::Meter;
use crate::signals;
use spinloom_base::{Document, Node, Problems};
use spinloom_solver::{Experiment, Outcome, RunOptions};
use std::path::{Path, PathBuf};

/// `simulate: FILE`
pub struct Simulate {
    file: PathBuf,
    document: Document,
    experiment: Experiment,
}

impl Simulate {
    /// Reads and checks the experiment.
    pub fn read(node: &Node, base: &Path, problems: &mut Problems) -> Option<Self> {
        let file = base.join(node.text(problems)?);
        let document = problems.take(Document::read(&file))?;
        let experiment = problems.take(Experiment::read(&document))?;
        Some(Self { file, document, experiment })
    }
}

impl Stage for Simulate {
    fn kind(&self) -> &'static str {
        "simulate"
    }

    fn needs(&self) -> Vec<String> {
        Vec::new()
    }

    fn files(&self) -> Vec<PathBuf> {
        vec![self.file.clone()]
    }

    fn settings(&self) -> String {
        self.document.text.to_string()
    }

    fn outputs(&self) -> Vec<PathBuf> {
        vec!["run.h5".into()]
    }

    fn run(&self, context: &Context<'_>) -> Result<(), Problems> {
        // What is there belongs to this very stage (its key says so) and was cut off: go on with it.
        let resume = !context.anew && context.folder.join("segments").exists();
        let options = RunOptions { resume, overwrite: !resume, allow_different: context.allow_different, ..RunOptions::default() };
        context.stopped.set(!run(&self.experiment, &context.folder, &options)?.finished);
        Ok(())
    }
}

/// Runs an experiment with progress, and says what it did; a signal stops it where it can be resumed.
pub fn run(experiment: &Experiment, out: &Path, options: &RunOptions) -> Result<Outcome, Problems> {
    let (replicas, cells) = (experiment.replicas(), experiment.system.mesh.cells());
    eprintln!("{}: {replicas} replica(s) of {cells} cells on {}", experiment.name, experiment.device);
    let mut meter = Meter::new("simulating");
    let watch = signals::watch();
    let options = RunOptions { stop: watch.stop.clone(), ..options.clone() };
    let outcome = spinloom_solver::run(experiment, out, &options, &mut |p| {
        let words = format!("{} {}/{} done, {:.2} ns, {} evaluations", p.stage, p.finished, p.replicas, 1e9 * p.simulated, p.evaluations);
        meter.show(if p.longest > 0.0 { p.simulated / p.longest } else { 0.0 }, &words);
    })?;
    let work = outcome.evaluations as f64 * experiment.system.mesh.cells() as f64;
    let seconds = outcome.elapsed.as_secs_f64();
    let how = if outcome.finished { "" } else { "stopped, to be continued with --resume: " };
    meter.done(&format!(
        "{how}{:.2} ns in {} evaluations of {} cells, {seconds:.1} s, {:.1} M cells x evaluations a second, {} -> {}",
        1e9 * outcome.simulated,
        outcome.evaluations,
        experiment.system.mesh.cells(),
        1e-6 * work / seconds,
        outcome.layout,
        outcome.record.display()
    ));
    Ok(outcome)
}
