//! Fitting membrane models to traces, and choosing between them.
//!
//! **Misfit.** A model runs open loop, from the measured membrane at the start of each run (a whole cycle or one pulse, [`Start`]), through the
//! drive to the end. Residuals are of the reduced membrane. Every driven and every undriven stretch weighs the same, and
//! within it every instant, however densely it was sampled: weight = dt/duration. The start of a simulated wall is exact. That of a measured
//! trace is one noisy sample: [`FitOptions::noisy_start`] makes it one residual among the others and moves the start of each run to
//! where the sum of squares is least; taken as exact it would shift the whole run and bias weakly determined parameters.
//!
//! **Intervals.** Samples of one run are not independent. What is independent ([`Unit`]: traces, cycles or pulses) is resampled
//! with replacement and the model fitted again; the interval is the percentile one, expanded for few units: T. C. Hesterberg, Am. Stat.
//! 69, 371 (2015), doi 10.1080/00031305.2015.1089789. Beside it stands the linearised one: (J'WJ)^-1 with the scatter of the units
//! between (K.-Y. Liang and S. L. Zeger, Biometrika 73, 13 (1986), theorem 2).
//!
//! **Choice.** Log-likelihood per unit of data held out, with Gaussian residuals of the variance found in the fit, a unit
//! counting once: -[ln(2 pi s^2) + mean square/s^2]/2. The largest mean wins, unless a model with fewer parameters is within one standard
//! error of the paired difference, or 1 % in likelihood (the one-standard-error rule, T. Hastie et al., The Elements of Statistical Learning, 2009, section 7.10).

use crate::events::{EventOptions, Happening, find};
use crate::models::MembraneModel;
use crate::models::membrane::Quantity;
use crate::trace::Trace;
use levenberg_marquardt::{LeastSquaresProblem, LevenbergMarquardt, TerminationReason};
use nalgebra::storage::Owned;
use nalgebra::{DMatrix, DVector, Dyn};
use rayon::prelude::*;
use serde::Serialize;
use spinloom_base::random::Stream;
use spinloom_base::{Diagnostic, Problems};
use spinloom_card::PerPulse;
use statrs::distribution::{ContinuousCDF, Normal, StudentsT};
use statrs::statistics::{Data, OrderStatistics};

/// Samples kept of each stretch; steps are exact over the others, and the weights do not change.
const PER_STRETCH: usize = 64;
/// Fewer units say nothing about their own spread.
pub const FEWEST_UNITS: usize = 3;
/// An interval whose ends differ by more than this factor does not determine a parameter, not even its order of magnitude.
const WIDEST: f64 = 10.0;
/// Share of failed resamples above which a bootstrap is not believed.
const FAILURES: f64 = 0.1;
/// Times are searched from the shortest stretch over this to the longest times this, rates and gains likewise around the data's own:
/// beyond, nothing in the data changes any more.
const REACH: f64 = 1e4;
/// Residuals smaller than this, in reduced membrane, are rounding: the floor of the fit's standard deviation.
const ROUNDING: f64 = 1e-6;
/// A likelihood better by less than 1 % per unit is no better, however sure the difference: a leak at the border of the search differs from
/// none by next to nothing, but always in the same direction.
const SAME: f64 = 0.01;
/// From this many on, traces (then cycles) are the units that are resampled; with fewer, the next smaller kind.
const ENOUGH: usize = 5;

/// Where a model starts from the measured membrane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// Once per cycle (per trace, where it fires once at most): errors add up, as in use.
    Trace,
    /// At the start of every pulse.
    Pulse,
}

/// What counts as independent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Traces (replicas).
    Trace,
    /// From one reset to the next.
    Cycle,
    /// One pulse with the gap after it.
    Pulse,
}

impl Unit {
    /// Its plural.
    pub fn words(self) -> &'static str {
        match self {
            Self::Trace => "traces",
            Self::Cycle => "cycles",
            Self::Pulse => "pulses",
        }
    }
}

/// How to fit.
#[derive(Clone, Debug, PartialEq)]
pub struct FitOptions {
    /// Where a model starts from data.
    pub start: Start,
    /// What is independent; by default the largest kind of which there are at least five.
    pub unit: Option<Unit>,
    /// Whether the return after a fire is fitted too. By default a run ends with the pulse that fires: what follows is the reset, which a network
    /// replaces by `t_reset`.
    pub with_reset: bool,
    /// Whether the first sample of a run is as noisy as the others (measured traces), or exact (simulated ones).
    pub noisy_start: bool,
    /// Levels of the events that part cycles.
    pub events: EventOptions,
    /// Number of resamples.
    pub resamples: usize,
    /// Seed of the resampling.
    pub seed: u64,
}

impl Default for FitOptions {
    fn default() -> Self {
        Self {
            start: Start::Trace,
            unit: None,
            with_reset: false,
            noisy_start: false,
            events: EventOptions::default(),
            resamples: 1000,
            seed: 1,
        }
    }
}

/// A fitted parameter, for the reduced membrane: times in s, rates in 1/s, gains in 1/s per unit of drive.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Fitted {
    /// Its name.
    pub symbol: String,
    /// Best value.
    pub value: f64,
    /// 95 % bootstrap interval; absent below [`FEWEST_UNITS`] units.
    pub interval: Option<[f64; 2]>,
    /// 95 % interval of the linearised model; absent where the parameters cannot be told apart.
    pub linear: Option<[f64; 2]>,
    /// Why it is not determined, and the experiment that would do so.
    pub undetermined: Option<String>,
}

/// A fitted model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelFit {
    /// Its name.
    pub model: String,
    /// Its parameters.
    pub parameters: Vec<Fitted>,
    /// Correlation coefficients of pairs (of logarithms, to first order of the parameters themselves), from the Jacobian.
    pub correlation: Vec<(String, String, f64)>,
    /// Root of the weighted mean square residual of the fit, in reduced membrane: over V_th - V_reset.
    pub nrmse: f64,
    /// The same of the data held out.
    pub nrmse_held_out: f64,
    /// The same pulse by pulse.
    pub per_pulse: PerPulse,
    /// Log-likelihood of each unit held out.
    pub log_likelihood: Vec<f64>,
    /// Resamples made, and those in which no minimum was found.
    pub resamples: [usize; 2],
    /// Whether the fit itself found a minimum.
    pub converged: bool,
}

impl ModelFit {
    /// Values of the parameters, in the model's order.
    pub fn values(&self) -> Vec<f64> {
        self.parameters.iter().map(|p| p.value).collect()
    }

    /// Mean log-likelihood per unit held out.
    pub fn mean_log_likelihood(&self) -> f64 {
        self.log_likelihood.iter().sum::<f64>() / self.log_likelihood.len() as f64
    }
}

/// Models fitted to the same traces, the chosen one first, the others by held-out likelihood.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// The fits.
    pub fits: Vec<ModelFit>,
    /// What was resampled, and counted once in the likelihood.
    pub unit: Unit,
    /// Number of units in the fit and held out.
    pub units: [usize; 2],
    /// Where models started from data.
    pub start: Start,
    /// How the choice was made, in words.
    pub choice: String,
}

/// A sample of a run.
#[derive(Clone, Copy, Debug)]
struct Sample {
    t: f64,
    u: f64,
    drive: f64,
    dt: f64,
    weight: f64,
    /// Index of the trace, the cycle and the pulse it belongs to.
    ids: [usize; 3],
}

/// Consecutive samples through which a model runs open loop.
#[derive(Clone, Debug)]
struct Run {
    t0: f64,
    u0: f64,
    samples: std::ops::Range<usize>,
}

/// A stretch in sum: what a search begins from.
#[derive(Clone, Copy, Debug)]
struct Stroke {
    rise: f64,
    impulse: f64,
    duration: f64,
}

/// Traces taken apart into runs and samples.
#[derive(Clone, Debug, Default)]
pub struct Dataset {
    samples: Vec<Sample>,
    runs: Vec<Run>,
    strokes: Vec<Stroke>,
    counts: [usize; 3],
    noisy_start: bool,
}

impl Dataset {
    /// Takes traces apart.
    pub fn new(traces: &[&Trace], options: &FitOptions) -> Dataset {
        let mut data = Dataset { noisy_start: options.noisy_start, ..Dataset::default() };
        for (index, trace) in traces.iter().enumerate() {
            for (begin, end) in cycles(trace, options) {
                data.add_cycle(index, trace, begin, end, options.start);
            }
        }
        data.counts[0] = traces.len();
        data
    }

    fn add_cycle(&mut self, index: usize, trace: &Trace, begin: usize, end: usize, start: Start) {
        let mut first = true;
        for s in trace.stretches() {
            let (a, b) = (s.begin.max(begin), s.end.min(end));
            if a >= b || trace.t[b] <= trace.t[a] {
                continue;
            }
            if first || s.driven {
                self.counts[2] += 1;
            }
            if first || (s.driven && start == Start::Pulse) {
                let from = self.samples.len();
                self.runs.push(Run { t0: trace.t[a], u0: trace.u(a), samples: from..from });
            }
            first = false;
            let ids = [index, self.counts[1], self.counts[2] - 1];
            let duration = trace.t[b] - trace.t[a];
            let every = (b - a).div_ceil(PER_STRETCH);
            let (mut before, mut impulse) = (a, 0.0);
            for i in a + 1..=b {
                // Off is off: a measured rest of current does not switch the leak of a model that looks at the drive.
                let drive = if s.driven { trace.drive[i] } else { 0.0 };
                impulse += drive * (trace.t[i] - trace.t[i - 1]);
                let changes = s.driven && i < b && trace.drive[i + 1] != trace.drive[i];
                if i < b && !changes && i - before < every {
                    continue;
                }
                let dt = trace.t[i] - trace.t[before];
                self.samples.push(Sample { t: trace.t[i], u: trace.u(i), drive, dt, weight: dt / duration, ids });
                before = i;
            }
            self.runs.last_mut().expect("the first stretch starts a run").samples.end = self.samples.len();
            self.strokes.push(Stroke { rise: trace.u(b) - trace.u(a), impulse, duration });
        }
        self.counts[1] += usize::from(!first);
    }

    /// The largest kind of unit of which there are enough.
    fn natural_unit(&self) -> Unit {
        match self.counts {
            [traces, _, _] if traces >= ENOUGH => Unit::Trace,
            [_, cycles, _] if cycles >= ENOUGH => Unit::Cycle,
            _ => Unit::Pulse,
        }
    }

    /// Number of units of a kind.
    pub fn units(&self, unit: Unit) -> usize {
        self.counts[unit as usize]
    }

    /// Membrane of a model through a run from `u0`; `du` becomes its derivatives by ln p and, last, by `u0`, which every model
    /// carries along as one more.
    fn go(&self, run: &Run, model: &dyn MembraneModel, p: &[f64], u0: f64, du: &mut [f64], mut each: impl FnMut(usize, f64, &[f64])) {
        let mut u = u0;
        du.fill(0.0);
        du[p.len()] = 1.0;
        for i in run.samples.clone() {
            let s = &self.samples[i];
            u = model.step(p, u, s.drive, s.dt, du);
            each(i, u, du);
        }
    }

    /// Root of the weight of the first sample of a run: of one among those of its first stretch.
    fn start_root(&self, run: &Run, roots: &[f64]) -> f64 {
        roots[run.samples.start]
    }

    /// Where a model starts a run: at the sample, or where the weighted squares of the run and of the start itself are least.
    fn start(&self, run: &Run, model: &dyn MembraneModel, p: &[f64], roots: &[f64], du: &mut [f64]) -> f64 {
        let mut u0 = run.u0;
        // The models are linear in their start, but where a wall rests at its stop: a second step settles that.
        for _ in 0..if self.noisy_start { 2 } else { 0 } {
            let root = self.start_root(run, roots);
            let mut sums = [root * root * (u0 - run.u0), root * root];
            self.go(run, model, p, u0, du, |i, u, du| {
                let weight = roots[i] * roots[i];
                sums[0] += weight * du[p.len()] * (u - self.samples[i].u);
                sums[1] += weight * du[p.len()] * du[p.len()];
            });
            if sums[1] > 0.0 {
                u0 -= sums[0] / sums[1];
            }
        }
        u0
    }

    /// Roots of the weights.
    fn roots(&self) -> Vec<f64> {
        self.samples.iter().map(|s| s.weight.sqrt()).collect()
    }

    /// Membrane of a model at each sample.
    fn simulate(&self, model: &dyn MembraneModel, p: &[f64], mut each: impl FnMut(usize, f64)) {
        let (mut du, roots) = (vec![0.0; p.len() + 1], self.roots());
        for run in &self.runs {
            let u0 = self.start(run, model, p, &roots, &mut du);
            self.go(run, model, p, u0, &mut du, |i, u, _| each(i, u));
        }
    }

    /// Weighted mean square residual of each unit, and of all.
    fn mean_squares(&self, model: &dyn MembraneModel, p: &[f64], unit: Unit) -> (Vec<f64>, f64) {
        let mut sums = vec![[0.0f64; 2]; self.units(unit)];
        self.simulate(model, p, |i, u| {
            let s = &self.samples[i];
            let sum = &mut sums[s.ids[unit as usize]];
            sum[0] += s.weight * (u - s.u).powi(2);
            sum[1] += s.weight;
        });
        let all = sums.iter().fold([0.0; 2], |a, s| [a[0] + s[0], a[1] + s[1]]);
        (sums.iter().filter(|s| s[1] > 0.0).map(|s| s[0] / s[1]).collect(), all[0] / all[1])
    }

    /// Root mean square error of a model at the end of each gap.
    fn scatter(&self, model: &dyn MembraneModel, p: &[f64]) -> f64 {
        // Whether it ends without drive, and its error there: the pulse that fires has no gap.
        let mut ends = vec![(false, 0.0); self.counts[2]];
        self.simulate(model, p, |i, u| ends[self.samples[i].ids[2]] = (self.samples[i].drive == 0.0, u - self.samples[i].u));
        let gaps: Vec<f64> = ends.iter().filter(|e| e.0).map(|e| e.1 * e.1).collect();
        (gaps.iter().sum::<f64>() / gaps.len().max(1) as f64).sqrt()
    }

    /// Of each trace: times (s), measured and modelled reduced membrane at the samples of the fit, starts of runs included.
    pub fn paths(&self, model: &dyn MembraneModel, p: &[f64]) -> Vec<[Vec<f64>; 3]> {
        let mut paths: Vec<[Vec<f64>; 3]> = vec![Default::default(); self.counts[0]];
        let mut modelled = vec![0.0; self.samples.len()];
        self.simulate(model, p, |i, u| modelled[i] = u);
        for run in self.runs.iter().filter(|r| !r.samples.is_empty()) {
            let path = &mut paths[self.samples[run.samples.start].ids[0]];
            let mut add = |values: [f64; 3]| path.iter_mut().zip(values).for_each(|(p, v)| p.push(v));
            add([run.t0, run.u0, run.u0]);
            run.samples.clone().for_each(|i| add([self.samples[i].t, self.samples[i].u, modelled[i]]));
        }
        paths
    }
}

/// First and last sample of each cycle of a trace: from the first pulse (or the start, if the membrane is up there) to the end of the
/// pulse that fires; then from the first pulse after the reset. With the reset: everything in one.
fn cycles(trace: &Trace, options: &FitOptions) -> Vec<(usize, usize)> {
    let stretches = trace.stretches();
    let Some(last) = stretches.last().map(|s| s.end) else { return Vec::new() };
    let up = trace.u(stretches[0].begin) > options.events.reset_level;
    let first_pulse = stretches.iter().find(|s| s.driven).map_or(stretches[0].begin, |s| s.begin);
    let mut begin = if up { stretches[0].begin } else { first_pulse };
    if options.with_reset {
        return vec![(begin, last)];
    }
    let found = find(trace, &options.events);
    let mut list = Vec::new();
    for fire in found.of(Happening::Fire).map(|e| e.t[0]) {
        let stretch = stretches.iter().find(|s| trace.t[s.begin] <= fire && fire <= trace.t[s.end]);
        let end = match stretch {
            Some(s) if s.driven => s.end,
            _ => trace.t.iter().rposition(|&t| t <= fire).unwrap_or(last),
        };
        list.push((begin, end));
        let back = found.of(Happening::Reset).find(|e| e.t[0] == fire).map(|e| e.t[1]);
        match back.and_then(|back| stretches.iter().find(|s| s.driven && trace.t[s.begin] >= back)) {
            Some(next) => begin = next.begin,
            None => return list,
        }
    }
    list.push((begin, last));
    list
}

/// The sum of weighted squares, as the library wants it. Parameters are the logarithms.
struct Squares<'a> {
    data: &'a Dataset,
    model: &'a dyn MembraneModel,
    /// Root of (weight times how often the unit was drawn) of each sample.
    roots: &'a [f64],
    bounds: &'a [[f64; 2]],
    theta: DVector<f64>,
    residuals: DVector<f64>,
    jacobian: DMatrix<f64>,
}

impl<'a> Squares<'a> {
    fn new(data: &'a Dataset, model: &'a dyn MembraneModel, roots: &'a [f64], bounds: &'a [[f64; 2]], theta: &[f64]) -> Self {
        // With noisy starts, these are residuals too.
        let (m, n) = (roots.len() + if data.noisy_start { data.runs.len() } else { 0 }, theta.len());
        let mut new =
            Self { data, model, roots, bounds, theta: DVector::zeros(n), residuals: DVector::zeros(m), jacobian: DMatrix::zeros(m, n) };
        new.set_params(&DVector::from_column_slice(theta));
        new
    }
}

/// The parameters of their logarithms, held inside the bounds.
fn parameters(theta: &[f64], bounds: &[[f64; 2]]) -> Vec<f64> {
    theta.iter().zip(bounds).map(|(x, b)| x.exp().clamp(b[0], b[1])).collect()
}

impl LeastSquaresProblem<f64, Dyn, Dyn> for Squares<'_> {
    type ParameterStorage = Owned<f64, Dyn>;
    type ResidualStorage = Owned<f64, Dyn>;
    type JacobianStorage = Owned<f64, Dyn, Dyn>;

    fn set_params(&mut self, theta: &DVector<f64>) {
        self.theta.copy_from(theta);
        let p = parameters(theta.as_slice(), self.bounds);
        let Self { data, model, roots, residuals, jacobian, .. } = self;
        let n = p.len();
        let (mut du, mut by_start) = (vec![0.0; n + 1], vec![0.0; roots.len()]);
        for (row, run) in data.runs.iter().enumerate() {
            let u0 = data.start(run, *model, &p, roots, &mut du);
            data.go(run, *model, &p, u0, &mut du, |i, u, du| {
                residuals[i] = roots[i] * (u - data.samples[i].u);
                for k in 0..n {
                    jacobian[(i, k)] = roots[i] * du[k];
                }
                by_start[i] = roots[i] * du[n];
            });
            if !data.noisy_start {
                continue;
            }
            // The start follows the parameters: what it can take up is not theirs (L. Kaufman, BIT 15, 49 (1975)).
            let (row, root) = (roots.len() + row, data.start_root(run, roots));
            residuals[row] = root * (u0 - run.u0);
            let square = root * root + run.samples.clone().map(|i| by_start[i] * by_start[i]).sum::<f64>();
            for k in 0..n {
                let share = run.samples.clone().map(|i| by_start[i] * jacobian[(i, k)]).sum::<f64>() / square.max(f64::MIN_POSITIVE);
                run.samples.clone().for_each(|i| jacobian[(i, k)] -= share * by_start[i]);
                jacobian[(row, k)] = -share * root;
            }
        }
    }

    fn params(&self) -> DVector<f64> {
        self.theta.clone()
    }

    fn residuals(&self) -> Option<DVector<f64>> {
        self.residuals.iter().all(|r| r.is_finite()).then(|| self.residuals.clone())
    }

    fn jacobian(&self) -> Option<DMatrix<f64>> {
        self.jacobian.iter().all(|r| r.is_finite()).then(|| self.jacobian.clone())
    }
}

/// The minimum from a start: logarithms, half the sum of squares, whether it is one.
fn minimise(data: &Dataset, model: &dyn MembraneModel, roots: &[f64], bounds: &[[f64; 2]], theta: &[f64]) -> (Vec<f64>, f64, bool) {
    // Relative changes of 1e-10 of misfit and parameters are far below any interval.
    let search = LevenbergMarquardt::new().with_tol(1e-10).with_patience(60);
    let (result, report) = search.minimize(Squares::new(data, model, roots, bounds, theta));
    let found = report.termination.was_successful() || matches!(report.termination, TerminationReason::NoImprovementPossible(_));
    let theta = parameters(result.theta.as_slice(), bounds).iter().map(|p| p.ln()).collect();
    (theta, report.objective_function, found && report.objective_function.is_finite())
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let values: Vec<f64> = values.filter(|v| v.is_finite()).collect();
    (!values.is_empty()).then(|| Data::new(values).median())
}

/// Where the search begins: all combinations of a few values each, as logarithms; and the bounds of the parameters.
fn starts(model: &dyn MembraneModel, strokes: &[Stroke]) -> Option<(Vec<Vec<f64>>, Vec<[f64; 2]>)> {
    let driven = || strokes.iter().filter(|s| s.impulse != 0.0);
    let resting = || strokes.iter().filter(|s| s.impulse == 0.0);
    let gain = median(driven().map(|s| s.rise / s.impulse)).filter(|g| *g > 0.0)?;
    let time = median(resting().map(|s| s.duration)).or_else(|| median(driven().map(|s| s.duration)))?;
    let leak = median(resting().map(|s| -s.rise / s.duration)).filter(|l| *l > 0.0).unwrap_or(0.01 / time);
    let [shortest, longest] = strokes.iter().fold([f64::INFINITY, 0.0], |[a, b], s| [f64::min(a, s.duration), f64::max(b, s.duration)]);
    let (mut all, mut bounds) = (vec![Vec::new()], Vec::new());
    for symbol in model.symbols() {
        bounds.push(match Quantity::of(symbol) {
            Quantity::Time => [shortest / REACH, longest * REACH],
            Quantity::Rate => [1.0 / (longest * REACH), REACH / shortest],
            Quantity::Gain => [gain / REACH, gain * REACH],
        });
        let values = match Quantity::of(symbol) {
            Quantity::Time => vec![0.5 * time, 4.0 * time, 40.0 * time],
            Quantity::Rate => vec![0.5 * leak, 2.0 * leak],
            Quantity::Gain => vec![gain, 2.0 * gain],
        };
        all = all.iter().flat_map(|a| values.iter().map(|v| [a.as_slice(), &[v.ln()]].concat())).collect();
    }
    Some((all, bounds))
}

/// 95 % percentile interval of bootstrap values, expanded for `n` units: the tail is that of Student's t with n - 1 degrees, stretched by
/// sqrt(n/(n-1)), seen on the normal scale (Hesterberg 2015, see the head of this file).
pub fn expanded_interval(values: Vec<f64>, n: usize) -> Option<[f64; 2]> {
    if n < FEWEST_UNITS || values.len() < 2 {
        return None;
    }
    let n = n as f64;
    let t = student(n)?;
    let tail = Normal::standard().cdf(-t * (n / (n - 1.0)).sqrt());
    let mut data = Data::new(values);
    Some([data.quantile(tail), data.quantile(1.0 - tail)])
}

/// 97.5 % quantile of Student's t with n - 1 degrees of freedom.
fn student(n: f64) -> Option<f64> {
    Some(StudentsT::new(0.0, 1.0, n - 1.0).ok()?.inverse_cdf(0.975))
}

/// Values of a statistic over resamples of `n` units; `statistic` takes how often each was drawn. One stream per resample: the
/// result does not depend on the number of threads.
pub fn resample<T: Send>(n: usize, resamples: usize, seed: u64, statistic: impl Fn(&[u32]) -> T + Sync) -> Vec<T> {
    let draw = |b: usize| {
        let mut stream = Stream::new(seed, b as u64);
        let mut drawn = vec![0u32; n];
        (0..n).for_each(|_| drawn[stream.below(n)] += 1);
        statistic(&drawn)
    };
    (0..resamples).into_par_iter().map(draw).collect()
}

/// The best parameters over all starts of the search: their logarithms, and whether there is a minimum.
fn best(model: &dyn MembraneModel, data: &Dataset, roots: &[f64], starts: &[Vec<f64>], bounds: &[[f64; 2]]) -> Option<(Vec<f64>, bool)> {
    starts
        .par_iter()
        .map(|start| minimise(data, model, roots, bounds, start))
        .collect::<Vec<_>>()
        .into_iter()
        .filter(|(_, misfit, _)| misfit.is_finite())
        .min_by(|a, b| a.1.total_cmp(&b.1))
        .map(|(theta, _, converged)| (theta, converged))
}

/// `data` and `held_out` are as the options say, `pulses` the same traces parted at every pulse.
fn fit_one(
    model: &dyn MembraneModel,
    [data, held_out]: [&Dataset; 2],
    pulses: [&Dataset; 2],
    unit: Unit,
    options: &FitOptions,
) -> Result<ModelFit, Problems> {
    let symbols = model.symbols();
    let Some((starts, bounds)) = starts(model, &data.strokes) else {
        return Err(Diagnostic::error("the membrane does not rise while driven in most of the pulses to be fitted")
            .hint("check the sign of the drive, the order of the ends of the region of interest, and that there is a driven stretch")
            .into());
    };
    let roots = data.roots();
    let none = || Problems::from(Diagnostic::error(format!("no start of the search for `{}` has a finite misfit", model.name())));
    let (theta, converged) = best(model, data, &roots, &starts, &bounds).ok_or_else(none)?;

    let n = data.units(unit);
    let drawn = if n < FEWEST_UNITS { 0 } else { options.resamples };
    let refits = resample(n, drawn, options.seed, |counts| {
        let roots: Vec<f64> = data.samples.iter().zip(&roots).map(|(s, r)| r * f64::from(counts[s.ids[unit as usize]]).sqrt()).collect();
        let (theta, _, found) = minimise(data, model, &roots, &bounds, &theta);
        found.then_some(theta)
    });
    let good: Vec<&Vec<f64>> = refits.iter().flatten().collect();
    let failed = drawn - good.len();

    let (covariance, correlation) = linearised(model, data, &roots, &bounds, &theta, unit);
    let p = parameters(&theta, &bounds);
    let mut fitted = Vec::new();
    for (k, symbol) in symbols.iter().enumerate() {
        let interval = expanded_interval(good.iter().map(|t| t[k]).collect(), n).map(|i| i.map(f64::exp));
        let linear = covariance.as_ref().zip(student(n as f64)).filter(|_| n > 1).map(|(c, t)| {
            let half = t * c[(k, k)].max(0.0).sqrt();
            [theta[k] - half, theta[k] + half].map(f64::exp)
        });
        // A direction without any slope has no end.
        let linear = linear.filter(|[low, high]| *low > 0.0 && high.is_finite());
        let at_border = |x: f64| x <= bounds[k][0] * (1.0 + 1e-6) || x >= bounds[k][1] * (1.0 - 1e-6);
        let why = match interval {
            _ if !converged => Some("the fit found no minimum".to_string()),
            _ if at_border(p[k]) => Some(format!("the misfit still falls at {:.3e}, where nothing in the data changes any more", p[k])),
            None if n < FEWEST_UNITS => {
                Some(format!("it has no interval, {n} independent {} say nothing about their spread", unit.words()))
            }
            None => Some("its interval was not resampled".into()),
            _ if failed as f64 > FAILURES * drawn as f64 => Some(format!("{failed} of {drawn} resamples have no minimum")),
            Some([low, high]) if high > WIDEST * low => {
                Some(format!("its interval, {low:.3e} to {high:.3e}, spans more than a factor of {WIDEST}"))
            }
            Some(_) => None,
        };
        let undetermined = why.map(|why| format!("{}: {why}; what would determine it: {}", symbol.name, symbol.experiment));
        fitted.push(Fitted { symbol: symbol.name.into(), value: p[k], interval, linear, undetermined });
    }

    let (_, mean) = data.mean_squares(model, &p, unit);
    let (units_held, mean_held) = held_out.mean_squares(model, &p, unit);
    let variance = mean.max(ROUNDING * ROUNDING);
    let (restarted, _) = best(model, pulses[0], &pulses[0].roots(), &starts, &bounds).ok_or_else(none)?;
    let restarted = parameters(&restarted, &bounds);
    let misfit = |data: &Dataset| data.mean_squares(model, &restarted, Unit::Pulse).1.sqrt();
    let per_pulse = PerPulse { nrmse: misfit(pulses[0]), nrmse_held_out: misfit(pulses[1]), scatter: pulses[0].scatter(model, &p) };
    let log_likelihood = units_held.iter().map(|m| -0.5 * ((std::f64::consts::TAU * variance).ln() + m / variance)).collect();
    Ok(ModelFit {
        model: model.name().into(),
        parameters: fitted,
        correlation,
        nrmse: mean.sqrt(),
        nrmse_held_out: mean_held.sqrt(),
        per_pulse,
        log_likelihood,
        resamples: [drawn, failed],
        converged,
    })
}

/// Covariance of the logarithms with the scatter of the units, and correlations of the plain (J'WJ)^-1. Absent where it has no inverse.
fn linearised(
    model: &dyn MembraneModel,
    data: &Dataset,
    roots: &[f64],
    bounds: &[[f64; 2]],
    theta: &[f64],
    unit: Unit,
) -> (Option<DMatrix<f64>>, Vec<(String, String, f64)>) {
    let at = Squares::new(data, model, roots, bounds, theta);
    let n = data.units(unit);
    let (k, mut scores) = (theta.len(), DMatrix::<f64>::zeros(n, theta.len()));
    let starts = data.runs.iter().map(|r| &data.samples[r.samples.start]);
    for (i, s) in data.samples.iter().chain(starts).enumerate().take(at.residuals.len()) {
        for c in 0..k {
            scores[(s.ids[unit as usize], c)] += at.jacobian[(i, c)] * at.residuals[i];
        }
    }
    let normal = at.jacobian.transpose() * &at.jacobian;
    let Some(bread) = normal.try_inverse().filter(|b| b.iter().all(|x| x.is_finite())) else { return (None, Vec::new()) };
    let symbols = model.symbols();
    let mut correlation = Vec::new();
    for a in 0..k {
        for b in a + 1..k {
            let r = bread[(a, b)] / (bread[(a, a)] * bread[(b, b)]).sqrt();
            correlation.push((symbols[a].name.to_string(), symbols[b].name.to_string(), r));
        }
    }
    let few = n as f64 / (n as f64 - 1.0).max(1.0);
    let covariance = &bread * (scores.transpose() * &scores) * &bread * few;
    (Some(covariance), correlation)
}

/// Fits models to traces and ranks them on traces held out.
///
/// # Errors
/// No traces or models; a membrane that does not rise under the drive.
pub fn compare(models: &[&dyn MembraneModel], fit: &[&Trace], held_out: &[&Trace], options: &FitOptions) -> Result<Comparison, Problems> {
    let data = Dataset::new(fit, options);
    let held = Dataset::new(held_out, options);
    let mut problems = Problems::new();
    if models.is_empty() {
        problems.push(Diagnostic::error("there is no model to fit"));
    }
    if data.samples.is_empty() {
        problems.push(Diagnostic::error("the traces to be fitted hold no pulse").hint("choose traces with a drive that goes on and off"));
    }
    if held.samples.is_empty() {
        problems.push(
            Diagnostic::error("the traces held out hold no pulse")
                .hint("a model is judged on data that its fit has not seen; hold out at least one"),
        );
    }
    if problems.any_error() {
        return Err(problems);
    }
    let unit = options.unit.unwrap_or_else(|| data.natural_unit());
    let parted = FitOptions { start: Start::Pulse, ..options.clone() };
    let pulses = [fit, held_out].map(|traces| Dataset::new(traces, &parted));
    let mut fits: Vec<ModelFit> = Vec::new();
    for model in models {
        fits.push(fit_one(*model, [&data, &held], [&pulses[0], &pulses[1]], unit, options)?);
    }
    fits.sort_by(|a, b| b.mean_log_likelihood().total_cmp(&a.mean_log_likelihood()));
    // How far each lies below the best, and the standard error of that.
    let below = |f: &ModelFit| {
        let differences: Vec<f64> = fits[0].log_likelihood.iter().zip(&f.log_likelihood).map(|(a, b)| a - b).collect();
        let [mean, deviation] = crate::velocity::mean_and_deviation(differences.iter().copied());
        (mean, if differences.len() > 1 { deviation / (differences.len() as f64).sqrt() } else { 0.0 })
    };
    let simpler = |f: &ModelFit| {
        let (mean, error) = below(f);
        f.parameters.len() < fits[0].parameters.len() && mean <= error.max(SAME)
    };
    let chosen = (0..fits.len()).filter(|&i| i == 0 || simpler(&fits[i])).min_by_key(|&i| fits[i].parameters.len()).unwrap_or(0);
    let count = held.units(unit);
    let choice = match (chosen, fits.get(1)) {
        (0, None) => "the only model tried".to_string(),
        (0, Some(next)) => {
            let (mean, error) = below(next);
            format!(
                "`{}` has the largest mean log-likelihood over {count} {} held out, {mean:.3} (standard error {error:.3}) above `{}`",
                fits[0].model,
                unit.words(),
                next.model
            )
        }
        (i, _) => {
            let (mean, error) = below(&fits[i]);
            format!(
                "`{}` has fewer parameters than `{}` and is within one standard error (or 0.01) of it: {mean:.3} below, standard error {error:.3}, over {count} {} held out",
                fits[i].model,
                fits[0].model,
                unit.words()
            )
        }
    };
    let winner = fits.remove(chosen);
    fits.insert(0, winner);
    Ok(Comparison { fits, unit, units: [data.units(unit), count], start: options.start, choice })
}
