//! One run of a problem: what it compares, and the report that is left of it.

use crate::{Line, Plot, Problem};
use spinloom_kernels::DeviceError;
use spinloom_solver::{DeviceChoice, Simulation};
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// What a problem returns: what the device refuses ends it.
pub type Outcome = Result<(), DeviceError>;

/// How problems are to be run.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Where, and how precisely.
    pub device: DeviceChoice,
    /// Whether to take coarser meshes, fewer points and shorter times: three minutes for all of them on two cores.
    pub quick: bool,
    /// Whether the device is a processor that plays a graphics device, and what is tedious there in the quick form is to be left out.
    pub software: bool,
}

/// How far apart two numbers may be, absolutely, and why.
#[derive(Clone, Copy, Debug)]
pub struct Tolerance {
    double: (f64, &'static str),
    single: (f64, &'static str),
}

impl Tolerance {
    /// The same in both precisions.
    pub fn of(distance: f64, reason: &'static str) -> Self {
        Self { double: (distance, reason), single: (distance, reason) }
    }

    /// Another one where the device computes in `f32`.
    pub fn single(self, distance: f64, reason: &'static str) -> Self {
        Self { single: (distance, reason), ..self }
    }

    /// The same in a unit so many times smaller.
    pub fn times(self, factor: f64) -> Self {
        Self { double: (factor * self.double.0, self.double.1), single: (factor * self.single.0, self.single.1) }
    }
}

/// One comparison.
#[derive(Clone, Debug)]
pub struct Check {
    /// What is compared.
    pub what: String,
    /// What this program computed.
    pub got: f64,
    /// What is right.
    pub want: f64,
    /// How far apart they may be, absolutely.
    pub tolerance: f64,
    /// Why so far.
    pub reason: &'static str,
}

impl Check {
    /// Whether it holds.
    pub fn holds(&self) -> bool {
        (self.got - self.want).abs() <= self.tolerance
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.holds() { "ok  " } else { "FAIL" };
        write!(f, "{verdict} {:<58} {:>14.7} (want {:.7} ± {:.2e}: {})", self.what, self.got, self.want, self.tolerance, self.reason)
    }
}

/// A problem while it runs.
pub struct Trial {
    /// How it is run.
    pub setting: Setting,
    checks: Vec<Check>,
    plots: Vec<Plot>,
    cells: usize,
    evaluations: u64,
}

impl Trial {
    /// Whether to be quick.
    pub fn quick(&self) -> bool {
        self.setting.quick
    }

    /// Whether the device computes in `f32`.
    pub fn single(&self) -> bool {
        self.setting.device.precision() == "f32"
    }

    /// One value or the other, by how quick this is to be.
    pub fn pick<T>(&self, quick: T, full: T) -> T {
        if self.setting.quick { quick } else { full }
    }

    /// Compares.
    pub fn check(&mut self, what: impl Into<String>, got: f64, want: f64, tolerance: Tolerance) {
        let (tolerance, reason) = if self.single() { tolerance.single } else { tolerance.double };
        self.checks.push(Check { what: what.into(), got, want, tolerance, reason });
    }

    /// Compares the components of a vector.
    pub fn check_vector(&mut self, what: &str, got: [f64; 3], want: [f64; 3], tolerance: Tolerance) {
        for (c, name) in ["x", "y", "z"].into_iter().enumerate() {
            self.check(format!("{what}, {name}"), got[c], want[c], tolerance);
        }
    }

    /// Draws curves over each other; a unit of `1` is none.
    pub fn plot(&mut self, title: &str, x: (&str, &str), y: (&str, &str), lines: Vec<Line>) {
        let owned = |(name, unit): (&str, &str)| (name.to_string(), unit.to_string());
        self.plots.push(Plot { name: format!("plot{}", self.plots.len()), title: title.into(), x: owned(x), y: owned(y), lines });
    }

    /// Draws the mean mx, my and mz over those of a reference, against time.
    pub fn plot_motion(&mut self, title: &str, times: &[f64], ours: &[[f64; 3]], reference: &str, theirs: &[[f64; 3]]) {
        let lines = (0..3).flat_map(|c| {
            let axis = ["mx", "my", "mz"][c];
            let pick = |m: &[[f64; 3]]| m.iter().map(|m| m[c]).collect::<Vec<_>>();
            let every = times.len().div_ceil(60);
            let sparse = |v: &[f64]| v.iter().copied().step_by(every).collect::<Vec<_>>();
            [
                line(format!("{axis}, here"), times, &pick(ours)),
                points(format!("{axis}, {reference}"), &sparse(times), &sparse(&pick(theirs))),
            ]
        });
        self.plot(title, ("time", "s"), ("<m>", "1"), lines.collect());
    }

    /// Counts the work of a simulation that is about to be left.
    pub fn count(&mut self, sim: &Simulation) {
        self.cells = self.cells.max(sim.system.mesh.cells());
        self.evaluations += (0..sim.replicas()).map(|r| sim.control(r).evaluations).sum::<u64>();
    }
}

/// A curve of ours.
pub fn line(label: impl Into<String>, x: &[f64], y: &[f64]) -> Line {
    Line { label: label.into(), measured: false, x: x.to_vec(), y: y.to_vec() }
}

/// A curve to compare with.
pub fn points(label: impl Into<String>, x: &[f64], y: &[f64]) -> Line {
    Line { label: label.into(), measured: true, x: x.to_vec(), y: y.to_vec() }
}

/// What became of a problem.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Every comparison holds.
    Holds,
    /// Some do not.
    Fails,
    /// It was left out, for this reason.
    Skipped(String),
    /// The device could not run it.
    Refused(String),
}

/// What is left of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// Which problem.
    pub name: &'static str,
    /// One line for people.
    pub about: &'static str,
    /// Where it is stated.
    pub source: &'static str,
    /// What became of it.
    pub verdict: Verdict,
    /// The comparisons.
    pub checks: Vec<Check>,
    /// Curves.
    pub plots: Vec<Plot>,
    /// Cells of the largest mesh.
    pub cells: usize,
    /// Evaluations of the right-hand side, all simulations together.
    pub evaluations: u64,
    /// Wall time (s).
    pub seconds: f64,
}

impl Report {
    /// Whether it says nothing bad.
    pub fn good(&self) -> bool {
        matches!(self.verdict, Verdict::Holds | Verdict::Skipped(_))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.verdict {
            Verdict::Skipped(why) => return writeln!(f, "{} — SKIPPED: {why}", self.name),
            Verdict::Refused(why) => return writeln!(f, "{} — FAIL: {why}", self.name),
            Verdict::Holds | Verdict::Fails => {}
        }
        writeln!(f, "{} — {} [{} cells, {} evaluations, {:.1} s]", self.name, self.source, self.cells, self.evaluations, self.seconds)?;
        self.checks.iter().try_for_each(|c| writeln!(f, "  {c}"))
    }
}

fn run_one(problem: &Problem, setting: Setting) -> Report {
    let clock = Instant::now();
    let mut trial = Trial { setting, checks: Vec::new(), plots: Vec::new(), cells: 0, evaluations: 0 };
    let skip = problem.tedious.filter(|_| setting.software && setting.quick);
    let verdict = match skip {
        Some(why) => Verdict::Skipped(format!("too slow for the quick form on a processor that plays a graphics device: {why}")),
        None => match (problem.run)(&mut trial) {
            Ok(()) if !trial.checks.is_empty() && trial.checks.iter().all(Check::holds) => Verdict::Holds,
            Ok(()) => Verdict::Fails,
            Err(e) => Verdict::Refused(e.to_string()),
        },
    };
    Report {
        name: problem.name,
        about: problem.about,
        source: problem.source,
        verdict,
        checks: trial.checks,
        plots: trial.plots,
        cells: trial.cells,
        evaluations: trial.evaluations,
        seconds: clock.elapsed().as_secs_f64(),
    }
}

/// Runs problems, `workers` at a time, tells each report as soon as it is there, and returns them all in the order asked for.
///
/// Most systems here are too small to be shared among threads; several problems at once keep the cores busy.
pub fn run(problems: &[&Problem], setting: Setting, workers: usize, tell: impl Fn(&Report) + Sync) -> Vec<Report> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..workers.max(1) {
            scope.spawn(|| {
                while let Some(problem) = problems.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let report = run_one(problem, setting);
                    let mut done = done.lock().unwrap_or_else(|e| e.into_inner());
                    tell(&report);
                    done.push(report);
                }
            });
        }
    });
    let mut reports = done.into_inner().unwrap_or_else(|e| e.into_inner());
    reports.sort_by_key(|r| problems.iter().position(|p| p.name == r.name));
    reports
}
