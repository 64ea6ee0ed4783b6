//! Fitting any [`Model`] to [`Data`]: the most probable parameters, what they are known to, and what the data leave open.
//!
//! **Search.** From every start, stage by stage (the parameters of a stage move, the others are held), then all together. Deviance residuals
//! turn counts, times and read-outs into least squares, which Levenberg and Marquardt's method solves; models with a likelihood of their own are
//! searched by Nelder and Mead's simplex and finished by BFGS.
//!
//! **Intervals**, all at 95 %:
//! - *Hessian*: the inverse of the observed information (B. Efron and D. V. Hinkley, Biometrika 65, 457 (1978)) in the scale of the search, with
//!   Student's t where sigma is estimated;
//! - *profile*: the values at which the others, fitted again, cost 1.92 in log-likelihood (A. Raue et al., Bioinformatics 25, 1923 (2009)), for parameters that trade
//!   off with others; an interval without an end is what an undetermined parameter has;
//! - *bootstrap*: devices or runs drawn again where there are enough, else the experiment simulated again under the fit.
//!
//! **Devices.** Where there is a column `device`, each device is fitted by itself, and parameters are a random effect: their mean over devices with
//! its interval (J. Hartung and G. Knapp, Stat. Med. 20, 3875 (2001)) and their spread from device to device (W. Viechtbauer, Stat. Med. 26, 37 (2007), the Q-profile).
//! What is left inside a device is the spread from cycle to cycle.

use crate::data::Data;
use crate::fit::expanded_interval;
use crate::models::{About, Coefficient, Model, Scale, Scatter, log_likelihood, residual};
use argmin::core::{CostFunction, Executor, Gradient, State};
use argmin::solver::linesearch::MoreThuenteLineSearch;
use argmin::solver::neldermead::NelderMead;
use argmin::solver::quasinewton::BFGS;
use levenberg_marquardt::{LeastSquaresProblem, LevenbergMarquardt};
use nalgebra::storage::Owned;
use nalgebra::{DMatrix, DVector, Dyn, SymmetricEigen};
use rayon::prelude::*;
use serde::Serialize;
use spinloom_base::random::Stream;
use spinloom_base::{Diagnostic, Problems};
use statrs::distribution::{ChiSquared, ContinuousCDF, Normal, StudentsT};

/// Parameters are searched within this many powers of e around their start: 10^±17.
const REACH: f64 = 40.0;
/// Blocks (runs, devices) from which on they are drawn again in a bootstrap; fewer say too little of their own spread.
const ENOUGH_BLOCKS: usize = 10;
/// Devices from which on parameters are a random effect.
pub const FEWEST_DEVICES: usize = 3;
/// Correlations beyond this ask for a profile: the parabola of the Hessian is then a poor picture of a curved valley.
const TRADES_OFF: f64 = 0.9;
/// Eigenvalue of the information, each parameter scaled to unit information, below which a direction is flat: second differences of a
/// log-likelihood of some hundreds are exact to 1e-7 or so.
const FLAT: f64 = 1e-6;
/// Starts that are searched from, the best by their cost; half as many where a search takes a simplex.
const CLIMBS: usize = 6;
/// Parts of the data held out in turn.
const FOLDS: usize = 5;

/// How to fit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// Bootstrap resamples; 0 for none.
    pub resamples: usize,
    /// Seed of resampling.
    pub seed: u64,
    /// Whether profiles are made for parameters that trade off.
    pub profiles: bool,
    /// Whether to score on data held out.
    pub hold_out: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { resamples: 500, seed: 1, profiles: true, hold_out: true }
    }
}

/// What is known of one number.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// Its name.
    pub name: String,
    /// Its SI unit.
    pub unit: String,
    /// Most probable value.
    pub value: f64,
    /// 95 % interval from the observed information.
    pub hessian: Option<[f64; 2]>,
    /// From the profile likelihood; an end may be infinite, or zero.
    pub profile: Option<[f64; 2]>,
    /// From the bootstrap.
    pub bootstrap: Option<[f64; 2]>,
    /// Why it is no number, and the experiment that would make it one.
    pub undetermined: Option<String>,
    /// Its spread from device to device, as a standard deviation (of its logarithm where it is positive), with interval.
    pub device_spread: Option<(f64, [f64; 2])>,
}

impl Estimate {
    /// The interval to quote: the profile's where there is one, else that of the information, else the bootstrap's.
    pub fn interval(&self) -> Option<[f64; 2]> {
        self.profile.filter(|i| i.iter().all(|x| x.is_finite())).or(self.hessian).or(self.bootstrap)
    }
}

/// A fitted model.
#[derive(Clone, Debug, Serialize)]
pub struct Fitted {
    /// Name of the model.
    pub model: String,
    /// Its parameters, in order.
    pub parameters: Vec<Estimate>,
    /// Standard deviation of the noise where it is estimated, and what follows from the parameters.
    pub derived: Vec<Estimate>,
    /// Standard deviation of the noise; 1 where it is not estimated.
    pub sigma: f64,
    /// Correlation coefficients of pairs, in the scale of the search.
    pub correlation: Vec<(String, String, f64)>,
    /// Log-likelihood.
    pub log_likelihood: f64,
    /// Akaike's information criterion with the correction for few data (C. M. Hurvich and C.-L. Tsai, Biometrika 76, 297 (1989)).
    pub aicc: f64,
    /// Probability of a worse deviance by chance, where the scatter is known beforehand (counts): small if the model is wrong.
    pub adequacy: Option<f64>,
    /// Root mean square misfit: of the range for read-outs, in probability for counts of events, in units of what the scatter allows otherwise.
    pub misfit: f64,
    /// The same on data held out.
    pub misfit_held_out: Option<f64>,
    /// Log-likelihood per row of data held out.
    pub held_out_log_likelihood: Option<f64>,
    /// What was drawn again in the bootstrap.
    pub resampled: String,
    /// Resamples made and failed.
    pub resamples: [usize; 2],
    /// Devices that the parameters are the mean of, if they are.
    pub devices: usize,
    /// Whether the search ended in a minimum.
    pub converged: bool,
}

impl Fitted {
    /// Values of the parameters.
    pub fn values(&self) -> Vec<f64> {
        self.parameters.iter().map(|p| p.value).collect()
    }
}

/// A model, its data, how often each row counts, and the units of the search.
struct Search<'a> {
    model: &'a dyn Model,
    about: About,
    data: &'a Data,
    /// How often the block of each row was drawn.
    weights: Vec<f64>,
    /// Unit of the search of parameters of any sign.
    units: Vec<f64>,
    /// Middle of the box of the search.
    centre: Vec<f64>,
    /// Rows that begin a trace, which a model repeats and does not explain.
    pinned: Vec<bool>,
}

impl<'a> Search<'a> {
    fn new(model: &'a dyn Model, data: &'a Data, start: &[f64]) -> Self {
        let about = model.about();
        let mut mean = vec![0.0; data.rows()];
        model.predict(start, data, &mut mean);
        let pinned = match about.scatter {
            Scatter::Normal(y) => mean.iter().zip(data.col(y)).map(|(m, y)| m == y).collect(),
            _ => vec![false; mean.len()],
        };
        let units = start.iter().map(|x| x.abs().max(f64::MIN_POSITIVE)).collect();
        let mut new = Self { model, about, data, weights: vec![1.0; data.rows()], units, centre: vec![], pinned };
        new.centre = new.theta(start);
        new
    }

    fn coefficient(&self, k: usize) -> &'static Coefficient {
        &self.about.coefficients[k]
    }

    /// Coordinates of the search.
    fn theta(&self, p: &[f64]) -> Vec<f64> {
        p.iter().enumerate().map(|(k, x)| self.theta_of(k, *x)).collect()
    }

    fn theta_of(&self, k: usize, x: f64) -> f64 {
        match self.coefficient(k).scale {
            Scale::Positive => x.max(f64::MIN_POSITIVE).ln(),
            Scale::Any => x / self.units[k],
            Scale::Share => {
                let x = x.clamp(1e-12, 1.0 - 1e-12);
                (x / (1.0 - x)).ln()
            }
        }
    }

    fn p_of(&self, k: usize, theta: f64) -> f64 {
        match self.coefficient(k).scale {
            Scale::Positive => {
                theta.clamp(self.centre.get(k).map_or(-700.0, |c| c - REACH), self.centre.get(k).map_or(700.0, |c| c + REACH)).exp()
            }
            Scale::Any => theta * self.units[k],
            Scale::Share => 1.0 / (1.0 + (-theta.clamp(-REACH, REACH)).exp()),
        }
    }

    fn p(&self, theta: &[f64]) -> Vec<f64> {
        theta.iter().enumerate().map(|(k, x)| self.p_of(k, *x)).collect()
    }

    fn estimates_sigma(&self) -> bool {
        matches!(self.about.scatter, Scatter::Normal(_) | Scatter::LogNormal(_))
    }

    /// Number of rows that count.
    fn weight(&self) -> f64 {
        self.weights.iter().zip(&self.pinned).filter(|(_, p)| !**p).map(|(w, _)| w).sum()
    }

    fn residuals(&self, theta: &[f64]) -> Vec<f64> {
        let mut mean = vec![0.0; self.data.rows()];
        self.model.predict(&self.p(theta), self.data, &mut mean);
        (0..mean.len())
            .map(
                |i| if self.weights[i] == 0.0 { 0.0 } else { self.weights[i].sqrt() * residual(self.about.scatter, self.data, i, mean[i]) },
            )
            .collect()
    }

    /// Cost whose minimum is the fit: half the sum of squared residuals, or minus the log-likelihood.
    fn cost(&self, theta: &[f64]) -> f64 {
        if self.about.scatter == Scatter::Own {
            let mut rows = vec![0.0; self.data.rows()];
            self.model.log_likelihood(&self.p(theta), self.data, &mut rows);
            let sum: f64 = rows.iter().zip(&self.weights).map(|(l, w)| if *w == 0.0 { 0.0 } else { l * w }).sum();
            return if sum.is_finite() { -sum } else { f64::MAX.sqrt() };
        }
        let sum: f64 = self.residuals(theta).iter().map(|r| r * r).sum();
        if sum.is_finite() { 0.5 * sum } else { f64::MAX.sqrt() }
    }

    /// Minimum over the parameters `free` from `theta`: coordinates, cost, whether it is one.
    fn minimise(&self, theta: &[f64], free: &[usize]) -> (Vec<f64>, f64, bool) {
        if free.is_empty() {
            return (theta.to_vec(), self.cost(theta), true);
        }
        if self.about.scatter == Scatter::Own {
            return self.simplex(theta, free);
        }
        // At the kink of a curve squares have no slope that leads on; a simplex needs none.
        match self.squares(theta, free) {
            (theta, cost, false) if cost.is_finite() => self.simplex(&theta, free),
            found => found,
        }
    }

    fn squares(&self, theta: &[f64], free: &[usize]) -> (Vec<f64>, f64, bool) {
        let problem =
            Squares { search: self, base: theta.to_vec(), free, at: DVector::from_iterator(free.len(), free.iter().map(|&k| theta[k])) };
        // 1e-9 of misfit and parameters is far below any interval.
        let (result, report) = LevenbergMarquardt::new().with_tol(1e-9).with_patience(40).minimize(problem);
        let theta = result.full();
        let cost = self.cost(&theta);
        let fine = report.termination.was_successful()
            || matches!(report.termination, levenberg_marquardt::TerminationReason::NoImprovementPossible(_));
        (theta, cost, fine && cost.is_finite())
    }

    fn simplex(&self, theta: &[f64], free: &[usize]) -> (Vec<f64>, f64, bool) {
        let own = Own { search: self, base: theta, free };
        let first: Vec<f64> = free.iter().map(|&k| theta[k]).collect();
        let mut corners = vec![first.clone()];
        for k in 0..free.len() {
            let mut corner = first.clone();
            // A tenth: parameters are known to a factor by now.
            corner[k] += 0.1;
            corners.push(corner);
        }
        let best = |own: Own<'_, '_>, corners| {
            let solver = NelderMead::new(corners).with_sd_tolerance(1e-7).expect("a tolerance above zero");
            let result = Executor::new(own, solver).configure(|s| s.max_iters(400 * free.len() as u64)).run().ok()?;
            Some((result.state().get_best_param()?.clone(), result.state().get_best_cost()))
        };
        let Some((point, cost)) = best(own, corners) else { return (theta.to_vec(), f64::MAX.sqrt(), false) };
        // Gradients end what the simplex began; where the line search finds nothing better, the simplex was right.
        let own = Own { search: self, base: theta, free };
        let scale: Vec<Vec<f64>> =
            (0..free.len()).map(|i| (0..free.len()).map(|j| f64::from(u8::from(i == j)) / self.weight()).collect()).collect();
        let solver = BFGS::new(MoreThuenteLineSearch::new()).with_tolerance_cost(1e-12).expect("a tolerance above zero");
        let polished = Executor::new(own, solver)
            .configure(|s| s.param(point.clone()).inv_hessian(scale).max_iters(60))
            .run()
            .ok()
            .and_then(|r| Some((r.state().get_best_param()?.clone(), r.state().get_best_cost())))
            .filter(|(p, c)| *c < cost && p.iter().all(|x| x.is_finite()));
        let (point, cost) = polished.unwrap_or((point, cost));
        let mut full = theta.to_vec();
        free.iter().zip(point).for_each(|(&k, x)| full[k] = x);
        (full, cost, cost < f64::MAX.sqrt())
    }

    /// Stage by stage, then together.
    fn climb(&self, start: &[f64]) -> (Vec<f64>, f64, bool) {
        let all: Vec<usize> = (0..start.len()).collect();
        let mut theta = start.to_vec();
        let mut stages: Vec<u8> = self.about.coefficients.iter().map(|c| c.stage).collect();
        stages.sort_unstable();
        stages.dedup();
        if stages.len() > 1 {
            for stage in stages {
                let free: Vec<usize> = all.iter().copied().filter(|&k| self.coefficient(k).stage == stage).collect();
                let (next, cost, _) = self.minimise(&theta, &free);
                if cost.is_finite() {
                    theta = next;
                }
            }
        }
        self.minimise(&theta, &all)
    }

    /// Estimated standard deviation of the noise; 1 where it is not estimated.
    fn sigma(&self, cost: f64) -> f64 {
        if !self.estimates_sigma() {
            return 1.0;
        }
        let degrees = (self.weight() - self.about.coefficients.len() as f64).max(1.0);
        (2.0 * cost / degrees).sqrt().max(f64::MIN_POSITIVE.sqrt())
    }

    /// Observed information in the coordinates of the search.
    fn information(&self, theta: &[f64], cost: f64) -> DMatrix<f64> {
        let n = theta.len();
        let scale = self.sigma(cost).powi(2);
        let at = |shifts: &[(usize, f64)]| {
            let mut t = theta.to_vec();
            shifts.iter().for_each(|(k, h)| t[*k] += h);
            self.cost(&t) / scale
        };
        let zero = cost / scale;
        let mut steps = vec![1e-3; n];
        let mut diagonal = vec![0.0; n];
        for k in 0..n {
            for _ in 0..4 {
                let h = steps[k];
                diagonal[k] = (at(&[(k, h)]) - 2.0 * zero + at(&[(k, -h)])) / (h * h);
                // A third of a standard deviation: large against rounding, small against curvature.
                let next = if diagonal[k] > 0.0 { (0.3 / diagonal[k].sqrt()).clamp(1e-6, 0.3) } else { (h * 10.0).min(0.3) };
                if (next / h).ln().abs() < 0.2 {
                    break;
                }
                steps[k] = next;
            }
        }
        let mut matrix = DMatrix::from_diagonal(&DVector::from_vec(diagonal));
        for a in 0..n {
            for b in a + 1..n {
                let (h, g) = (0.5 * steps[a], 0.5 * steps[b]);
                let cross =
                    (at(&[(a, h), (b, g)]) - at(&[(a, h), (b, -g)]) - at(&[(a, -h), (b, g)]) + at(&[(a, -h), (b, -g)])) / (4.0 * h * g);
                matrix[(a, b)] = cross;
                matrix[(b, a)] = cross;
            }
        }
        // At the kink of a curve second differences see its corner; the slopes of the residuals alone do not.
        if self.about.scatter != Scatter::Own && !covariance(&matrix).1.is_empty() {
            let all: Vec<usize> = (0..n).collect();
            let squares = Squares { search: self, base: theta.to_vec(), free: &all, at: DVector::from_column_slice(theta) };
            if let Some(j) = squares.jacobian() {
                return j.transpose() * j / scale;
            }
        }
        matrix
    }

    /// Quantile that one side of an interval reaches, in standard errors.
    fn reach(&self) -> f64 {
        let degrees = self.weight() - self.about.coefficients.len() as f64;
        let t = self.estimates_sigma().then(|| StudentsT::new(0.0, 1.0, degrees.max(1.0)).ok()).flatten();
        t.map_or_else(|| Normal::standard().inverse_cdf(0.975), |t| t.inverse_cdf(0.975))
    }

    /// 95 % interval of parameter `k` from its profile, in coordinates; an end without limit is infinite.
    fn profile(&self, theta: &[f64], cost: f64, k: usize, error: f64) -> [f64; 2] {
        let others: Vec<usize> = (0..theta.len()).filter(|&i| i != k).collect();
        let scale = self.sigma(cost).powi(2);
        let limit = 0.5 * self.reach().powi(2);
        let mut ends = [0.0; 2];
        for (end, sign) in ends.iter_mut().zip([-1.0, 1.0]) {
            let mut near = (0.0, theta.to_vec());
            let drop = |distance: f64, from: &[f64]| {
                let mut t = from.to_vec();
                t[k] = theta[k] + sign * distance;
                let (t, c, _) = self.minimise(&t, &others);
                ((c - cost) / scale - limit, t)
            };
            let mut distance = if error.is_finite() && error > 0.0 { self.reach() * error } else { 0.5 };
            let mut far = None;
            for _ in 0..8 {
                let (excess, t) = drop(distance, &near.1);
                if excess >= 0.0 {
                    far = Some(distance);
                    break;
                }
                near = (distance, t);
                distance *= 2.0;
                if distance > REACH {
                    break;
                }
            }
            let Some(mut beyond) = far else {
                *end = sign * f64::INFINITY;
                continue;
            };
            for _ in 0..6 {
                let middle = 0.5 * (near.0 + beyond);
                let (excess, t) = drop(middle, &near.1);
                if excess >= 0.0 { beyond = middle } else { near = (middle, t) }
            }
            *end = theta[k] + sign * 0.5 * (near.0 + beyond);
        }
        ends
    }

    fn interval(&self, k: usize, ends: [f64; 2]) -> [f64; 2] {
        let open = |x: f64| {
            if x == f64::INFINITY {
                f64::INFINITY
            } else if self.coefficient(k).scale == Scale::Any {
                f64::NEG_INFINITY
            } else {
                0.0
            }
        };
        ends.map(|x| if x.is_finite() { self.p_of(k, x) } else { open(x) })
    }

    /// Log-likelihood per row of other data under the fit, with the fit's sigma, and the root mean square misfit there.
    fn score(&self, p: &[f64], sigma: f64, data: &Data) -> (Vec<f64>, f64) {
        let n = data.rows();
        let mut mean = vec![0.0; n];
        self.model.predict(p, data, &mut mean);
        let mut rows = vec![0.0; n];
        match self.about.scatter {
            Scatter::Own => self.model.log_likelihood(p, data, &mut rows),
            s => (0..n).for_each(|i| rows[i] = log_likelihood(s, sigma, data, i, mean[i])),
        }
        let squares: f64 = (0..n)
            .map(|i| match self.about.scatter {
                Scatter::Own => 0.0,
                Scatter::Binomial(k, n) => (data.col(k)[i] / data.col(n)[i] - mean[i]).powi(2),
                s => residual(s, data, i, mean[i]).powi(2),
            })
            .sum();
        (rows, squares)
    }

    /// What the root mean square residual is a share of.
    fn range(&self) -> f64 {
        match self.about.scatter {
            Scatter::Normal(y) => {
                let [low, high] = crate::models::span(self.data.col(y));
                (high - low).max(f64::MIN_POSITIVE)
            }
            _ => 1.0,
        }
    }
}

/// Least squares as the library wants them.
struct Squares<'a, 'b> {
    search: &'a Search<'b>,
    base: Vec<f64>,
    free: &'a [usize],
    at: DVector<f64>,
}

impl Squares<'_, '_> {
    fn full(&self) -> Vec<f64> {
        let mut full = self.base.clone();
        self.free.iter().zip(self.at.iter()).for_each(|(&k, x)| full[k] = *x);
        full
    }
}

impl LeastSquaresProblem<f64, Dyn, Dyn> for Squares<'_, '_> {
    type ParameterStorage = Owned<f64, Dyn>;
    type ResidualStorage = Owned<f64, Dyn>;
    type JacobianStorage = Owned<f64, Dyn, Dyn>;

    fn set_params(&mut self, at: &DVector<f64>) {
        self.at.copy_from(at);
    }

    fn params(&self) -> DVector<f64> {
        self.at.clone()
    }

    fn residuals(&self) -> Option<DVector<f64>> {
        let r = self.search.residuals(&self.full());
        r.iter().all(|r| r.is_finite()).then(|| DVector::from_vec(r))
    }

    fn jacobian(&self) -> Option<DMatrix<f64>> {
        // Central differences of coordinates of order one: error 1e-10 by truncation and 1e-11 by rounding.
        const STEP: f64 = 1e-5;
        let full = self.full();
        let shifted = |k: usize, h: f64| {
            let mut t = full.clone();
            t[k] += h;
            self.search.residuals(&t)
        };
        let mut jacobian = DMatrix::zeros(self.search.data.rows(), self.free.len());
        for (c, &k) in self.free.iter().enumerate() {
            let (up, down) = (shifted(k, STEP), shifted(k, -STEP));
            jacobian.column_mut(c).iter_mut().zip(up.iter().zip(&down)).for_each(|(j, (u, d))| *j = (u - d) / (2.0 * STEP));
        }
        jacobian.iter().all(|j| j.is_finite()).then_some(jacobian)
    }
}

/// A cost as the library wants it.
struct Own<'a, 'b> {
    search: &'a Search<'b>,
    base: &'a [f64],
    free: &'a [usize],
}

impl CostFunction for Own<'_, '_> {
    type Param = Vec<f64>;
    type Output = f64;
    fn cost(&self, at: &Self::Param) -> Result<f64, argmin::core::Error> {
        let mut full = self.base.to_vec();
        self.free.iter().zip(at).for_each(|(&k, x)| full[k] = *x);
        Ok(self.search.cost(&full))
    }
}

impl Gradient for Own<'_, '_> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;
    fn gradient(&self, at: &Self::Param) -> Result<Vec<f64>, argmin::core::Error> {
        // Costs of hundreds are exact to 1e-13: this step loses as much by truncation as by rounding.
        const STEP: f64 = 1e-4;
        let shifted = |k: usize, h: f64| {
            let mut t = at.clone();
            t[k] += h;
            self.cost(&t)
        };
        (0..at.len()).map(|k| Ok((shifted(k, STEP)? - shifted(k, -STEP)?) / (2.0 * STEP))).collect()
    }
}

/// The minimum over all starts.
fn best<'a>(model: &'a dyn Model, data: &'a Data) -> Option<(Search<'a>, Vec<f64>, f64, bool)> {
    let mut ranked: Vec<(Search<'a>, Vec<f64>, f64)> = model
        .starts(data)
        .into_iter()
        .filter(|s| s.iter().all(|x| x.is_finite()))
        .map(|start| {
            let search = Search::new(model, data, &start);
            let theta = search.theta(&start);
            let cost = search.cost(&theta);
            (search, theta, cost)
        })
        .collect();
    ranked.sort_by(|a, b| a.2.total_cmp(&b.2));
    ranked.truncate(if model.about().scatter == Scatter::Own { CLIMBS / 2 } else { CLIMBS });
    let mut all: Vec<(Search<'a>, Vec<f64>, f64, bool)> = ranked
        .into_iter()
        .map(|(search, start, _)| {
            let (theta, cost, fine) = search.climb(&start);
            (search, theta, cost, fine)
        })
        .filter(|(_, t, c, _)| *c < f64::MAX.sqrt() && t.iter().all(|x| x.is_finite()))
        .collect();
    let at = (0..all.len()).min_by(|a, b| all[*a].2.total_cmp(&all[*b].2))?;
    Some(all.swap_remove(at))
}

/// Where a simpler model fits best, for a richer one to begin.
pub(crate) fn searched(model: &dyn Model, data: &Data) -> Option<Vec<f64>> {
    best(model, data).map(|(search, theta, ..)| search.p(&theta))
}

/// Covariance in coordinates, and unit vectors (parameters scaled to unit information) of what is flat.
fn covariance(information: &DMatrix<f64>) -> (DMatrix<f64>, Vec<DVector<f64>>) {
    let n = information.nrows();
    // A parameter without any information is scaled by one and flat by itself.
    let root: Vec<f64> = (0..n).map(|k| if information[(k, k)] > 0.0 { information[(k, k)].sqrt() } else { 1.0 }).collect();
    let scaled = DMatrix::from_fn(n, n, |a, b| information[(a, b)] / (root[a] * root[b]));
    let eigen = SymmetricEigen::new(scaled);
    let mut inverse = DMatrix::zeros(n, n);
    let mut flat = Vec::new();
    for (k, value) in eigen.eigenvalues.iter().enumerate() {
        let vector = eigen.eigenvectors.column(k).into_owned();
        if *value > FLAT {
            inverse += &vector * vector.transpose() / *value;
        } else {
            flat.push(vector);
        }
    }
    (DMatrix::from_fn(n, n, |a, b| inverse[(a, b)] / (root[a] * root[b])), flat)
}

/// Fits a model.
///
/// # Errors
/// Columns that are missing, too few rows, or data without the features that a search begins from.
pub fn fit(model: &dyn Model, data: &Data, options: &Options) -> Result<Fitted, Problems> {
    let about = model.about();
    let mut problems = Problems::new();
    for c in about.columns.iter().filter(|c| data.get(c.name).is_none()) {
        let d = Diagnostic::error(format!("model `{}` needs the column `{}`: {}", about.name, c.name, c.about));
        problems.push(d.hint("name the column of the file under `columns`, or a value for all rows under `known`"));
    }
    let least = about.coefficients.len() + 2;
    if data.rows() < least {
        let d = Diagnostic::error(format!(
            "model `{}` has {} parameters, and there are {} rows",
            about.name,
            about.coefficients.len(),
            data.rows()
        ));
        problems.push(d.hint(format!("measure at least {least}")));
    }
    if data.get("run").is_some() && (0..data.rows()).filter(|&i| data.begins(i)).count() > data.blocks() {
        problems
            .push(Diagnostic::error("the rows of a run do not follow each other").hint("sort the table by run, and by time within a run"));
    }
    problems.into_result(Some(()))?;
    let devices = data.distinct("device");
    let one = fit_pooled(model, data, options)?;
    if devices.len() < FEWEST_DEVICES || about.columns.iter().any(|c| c.name == "device") {
        return Ok(one);
    }
    Ok(over_devices(model, data, &devices, one))
}

fn fit_pooled(model: &dyn Model, data: &Data, options: &Options) -> Result<Fitted, Problems> {
    let about = model.about();
    let Some((mut search, theta, cost, converged)) = best(model, data) else {
        return Err(Diagnostic::error(format!("these data have nothing that a fit of `{}` could begin from", about.name))
            .hint(format!("its equation is {}; check signs and units of the columns", about.equation))
            .into());
    };
    let n = theta.len();
    let p = search.p(&theta);
    let sigma = search.sigma(cost);
    let (covariance, flat) = covariance(&search.information(&theta, cost));
    let reach = search.reach();
    let error: Vec<f64> = (0..n).map(|k| covariance[(k, k)].max(0.0).sqrt()).collect();
    // Components below a twentieth are rounding of the eigenvectors.
    let is_flat = |k: usize| flat.iter().any(|v| v[k].abs() > 0.05);
    let mut correlation = Vec::new();
    let mut strongest = vec![0.0f64; n];
    for a in 0..n {
        for b in a + 1..n {
            let r = covariance[(a, b)] / (error[a] * error[b]);
            if r.is_finite() {
                correlation.push((about.coefficients[a].name.to_string(), about.coefficients[b].name.to_string(), r));
                strongest[a] = strongest[a].max(r.abs());
                strongest[b] = strongest[b].max(r.abs());
            }
        }
    }

    let refits = bootstrap(&search, &theta, &p, sigma, options);
    let good: Vec<&(Vec<f64>, Vec<f64>)> = refits.0.iter().flatten().collect();
    let effective = if refits.1 == "devices or runs" { data.blocks() } else { data.rows().max(30) };
    let drawn = |pick: &dyn Fn(&(Vec<f64>, Vec<f64>)) -> f64| {
        // A tenth of failures still leaves the tails.
        let enough = good.len() >= 20 && 10 * (refits.0.len() - good.len()) <= refits.0.len();
        enough.then(|| expanded_interval(good.iter().map(|g| pick(g)).collect(), effective)).flatten()
    };

    let mut parameters = Vec::new();
    for (k, c) in about.coefficients.iter().enumerate() {
        let hessian =
            (!is_flat(k) && error[k] > 0.0).then(|| search.interval(k, [theta[k] - reach * error[k], theta[k] + reach * error[k]]));
        let asks = options.profiles && (is_flat(k) || strongest[k] > TRADES_OFF || error[k] > 1.0);
        let profile = asks.then(|| search.interval(k, search.profile(&theta, cost, k, if is_flat(k) { f64::NAN } else { error[k] })));
        let bootstrap = drawn(&|g| g.0[k]).map(|i| search.interval(k, i));
        let lacking = c.needs.iter().find(|(column, least)| data.distinct(column).len() < *least);
        let partners = || {
            let names: Vec<&str> = (0..n)
                .filter(|&i| i != k && flat.iter().any(|v| v[k].abs() > 0.05 && v[i].abs() > 0.05))
                .map(|i| about.coefficients[i].name)
                .collect();
            if names.is_empty() {
                "the likelihood does not depend on it here".to_string()
            } else {
                format!("only a combination of it with {} is determined", names.join(", "))
            }
        };
        let wide = |i: [f64; 2]| match c.scale {
            Scale::Positive => i[1].is_infinite() || i[1] > c.widest * i[0],
            Scale::Any => i.iter().any(|x| x.is_infinite()),
            Scale::Share => i[0] < 0.01 && i[1] > 0.99,
        };
        let why = match (lacking, profile.or(hessian)) {
            _ if !converged => Some("the search found no minimum".to_string()),
            (Some((column, least)), _) => Some(format!(
                "`{column}` takes {} value(s), and by the equation it takes {least} to part it from the others",
                data.distinct(column).len()
            )),
            _ if is_flat(k) => Some(partners()),
            (None, None) => Some("it has no interval".into()),
            (None, Some(i)) if wide(i) => Some(format!("its interval, {:.3e} to {:.3e}, says too little", i[0], i[1])),
            _ => None,
        };
        let undetermined = why.map(|why| format!("{}: {why}; what would determine it: {}", c.name, c.experiment));
        parameters.push(Estimate {
            name: c.name.into(),
            unit: crate::models::unit(c.unit, data),
            value: p[k],
            hessian,
            profile,
            bootstrap,
            undetermined,
            device_spread: None,
        });
    }

    let mut derived = Vec::new();
    if search.estimates_sigma() {
        let degrees = (search.weight() - n as f64).max(1.0);
        let chi = ChiSquared::new(degrees).ok();
        let hessian = chi.map(|c| [0.975, 0.025].map(|q| sigma * (degrees / c.inverse_cdf(q)).sqrt()));
        let unit = match about.scatter {
            Scatter::Normal(y) => data.unit(y).to_string(),
            _ => "1".into(),
        };
        derived.push(Estimate {
            name: "sigma".into(),
            unit,
            value: sigma,
            hessian,
            profile: None,
            bootstrap: None,
            undetermined: None,
            device_spread: None,
        });
    }
    for (i, d) in about.derived.iter().enumerate() {
        let value = (d.value)(&p, data);
        // The rule of error propagation, in coordinates, flat directions aside.
        let slope = DVector::from_fn(n, |k, _| {
            let at = |h: f64| {
                let mut t = theta.clone();
                t[k] += h;
                (d.value)(&search.p(&t), data)
            };
            (at(1e-5) - at(-1e-5)) / 2e-5
        });
        let spread = (slope.transpose() * &covariance * &slope)[(0, 0)].max(0.0).sqrt();
        // Along a flat direction nothing may change: a thousandth of the slope is rounding.
        let moves = flat.iter().any(|v| {
            let along: f64 = (0..n).map(|k| v[k] * slope[k] * error_scale(&search, &theta, cost, k)).sum();
            let all: f64 = (0..n).map(|k| (v[k] * slope[k] * error_scale(&search, &theta, cost, k)).abs()).sum();
            along.abs() > 0.05 * all
        });
        let parts = d.of.iter().any(|&k| parameters[k].undetermined.is_some());
        let why = || format!("{}: the parameters it follows from are not determined", d.name);
        let undetermined = (moves || parts || !value.is_finite()).then(why);
        let hessian = (undetermined.is_none() && spread > 0.0).then_some([value - reach * spread, value + reach * spread]);
        let bootstrap = drawn(&|g| g.1[i]);
        derived.push(Estimate {
            name: d.name.into(),
            unit: crate::models::unit(d.unit, data),
            value,
            hessian,
            profile: None,
            bootstrap,
            undetermined,
            device_spread: None,
        });
    }

    let (rows, squares) = search.score(&p, sigma, data);
    let total: f64 = rows.iter().sum();
    let count = data.rows() as f64;
    let free = n as f64 + f64::from(u8::from(search.estimates_sigma()));
    let aicc = 2.0 * free - 2.0 * total + 2.0 * free * (free + 1.0) / (count - free - 1.0).max(1.0);
    let adequacy = match about.scatter {
        Scatter::Binomial(..) | Scatter::Known(..) | Scatter::Poisson(_) => {
            ChiSquared::new((count - n as f64).max(1.0)).ok().map(|c| 1.0 - c.cdf(2.0 * cost))
        }
        _ => None,
    };
    let range = search.range();
    let (misfit_held_out, held_out_log_likelihood) =
        if options.hold_out { held_out(model, data, &p, range, options.seed) } else { (None, None) };
    search.weights.fill(1.0);
    Ok(Fitted {
        model: about.name.into(),
        parameters,
        derived,
        sigma,
        correlation,
        log_likelihood: total,
        aicc,
        adequacy,
        misfit: (squares / count).sqrt() / range,
        misfit_held_out,
        held_out_log_likelihood,
        resampled: refits.1.into(),
        resamples: [refits.0.len(), refits.0.len() - good.len()],
        devices: 0,
        converged,
    })
}

/// One over the root of the information of one parameter: the unit in which flat directions are given.
fn error_scale(search: &Search<'_>, theta: &[f64], cost: f64, k: usize) -> f64 {
    const STEP: f64 = 1e-3;
    let at = |h: f64| {
        let mut t = theta.to_vec();
        t[k] += h;
        search.cost(&t)
    };
    let curvature = (at(STEP) - 2.0 * cost + at(-STEP)) / (STEP * STEP) / search.sigma(cost).powi(2);
    if curvature > 0.0 { 1.0 / curvature.sqrt() } else { 1.0 }
}

/// Coordinates and derived numbers of every refit, and what was drawn.
fn bootstrap(
    search: &Search<'_>,
    theta: &[f64],
    p: &[f64],
    sigma: f64,
    options: &Options,
) -> (Vec<Option<(Vec<f64>, Vec<f64>)>>, &'static str) {
    let data = search.data;
    let all: Vec<usize> = (0..theta.len()).collect();
    let blocks = data.is_grouped() && data.blocks() >= ENOUGH_BLOCKS;
    let refits = (0..options.resamples)
        .into_par_iter()
        .map(|b| {
            let mut random = Stream::new(options.seed, 0x5EED_0000 + b as u64);
            let simulated;
            let mut again = Search {
                weights: vec![1.0; data.rows()],
                units: search.units.clone(),
                centre: search.centre.clone(),
                pinned: search.pinned.clone(),
                ..*search
            };
            if blocks {
                let mut drawn = vec![0u32; data.blocks()];
                (0..drawn.len()).for_each(|_| drawn[random.below(data.blocks())] += 1);
                (0..data.rows()).for_each(|i| again.weights[i] = f64::from(drawn[data.block(i)]));
            } else {
                simulated = search.model.simulate(p, sigma, data, &mut random);
                again.data = &simulated;
                let (t, _, fine) = again.minimise(theta, &all);
                return fine.then(|| values(&again, t));
            }
            let (t, _, fine) = again.minimise(theta, &all);
            fine.then(|| values(&again, t))
        })
        .collect();
    (refits, if blocks { "devices or runs" } else { "experiments simulated under the fit" })
}

fn values(search: &Search<'_>, theta: Vec<f64>) -> (Vec<f64>, Vec<f64>) {
    let p = search.p(&theta);
    let derived = search.about.derived.iter().map(|d| (d.value)(&p, search.data)).collect();
    (theta, derived)
}

/// Misfit and log-likelihood per row of data held out, part by part.
fn held_out(model: &dyn Model, data: &Data, p: &[f64], range: f64, seed: u64) -> (Option<f64>, Option<f64>) {
    let blocks = data.blocks();
    if blocks < FOLDS {
        return (None, None);
    }
    let mut order: Vec<usize> = (0..blocks).collect();
    Stream::new(seed, 0xF01D).shuffle(&mut order);
    let mut fold = vec![0; blocks];
    order.iter().enumerate().for_each(|(i, b)| fold[*b] = i % FOLDS);
    let (mut rows, mut squares, mut count) = (0.0, 0.0, 0.0);
    for f in 0..FOLDS {
        let train = data.filter(|i| fold[data.block(i)] != f);
        let test = data.filter(|i| fold[data.block(i)] == f);
        let search = Search::new(model, &train, &p.iter().map(|x| if *x == 0.0 { 1e-9 } else { *x }).collect::<Vec<_>>());
        let all: Vec<usize> = (0..p.len()).collect();
        let (theta, cost, fine) = search.minimise(&search.theta(p), &all);
        if !fine {
            return (None, None);
        }
        let (l, s) = search.score(&search.p(&theta), search.sigma(cost), &test);
        rows += l.iter().sum::<f64>();
        squares += s;
        count += test.rows() as f64;
    }
    (Some((squares / count).sqrt() / range), Some(rows / count))
}

/// Random effects: every device by itself, then mean and spread of each parameter.
fn over_devices(model: &dyn Model, data: &Data, devices: &[f64], mut pooled: Fitted) -> Fitted {
    let device = data.col("device");
    // Coordinates, variances, cost and degrees of freedom of each.
    let fits: Vec<(Vec<f64>, Vec<f64>, f64, f64)> = devices
        .par_iter()
        .filter_map(|d| {
            let own = data.filter(|i| device[i] == *d);
            let (search, theta, cost, fine) = best(model, &own)?;
            let (covariance, flat) = covariance(&search.information(&theta, cost));
            // In the pooled units, so that devices can be compared.
            let any = |k: usize| search.coefficient(k).scale == Scale::Any;
            let variances = (0..theta.len()).map(|k| covariance[(k, k)] * if any(k) { search.units[k].powi(2) } else { 1.0 }).collect();
            let coordinates = (0..theta.len()).map(|k| if any(k) { search.p_of(k, theta[k]) } else { theta[k] }).collect();
            (fine && flat.is_empty()).then_some((coordinates, variances, cost, search.weight() - theta.len() as f64))
        })
        .collect();
    if fits.len() < FEWEST_DEVICES {
        return pooled;
    }
    // What is left inside the devices; the residuals of one fit to all hold their differences too.
    let degrees: f64 = fits.iter().map(|f| f.3).sum();
    if let Some(sigma) = pooled.derived.iter_mut().find(|d| d.name == "sigma")
        && let (true, Ok(chi)) = (degrees > 0.0, ChiSquared::new(degrees))
    {
        sigma.value = (2.0 * fits.iter().map(|f| f.2).sum::<f64>() / degrees).sqrt();
        sigma.hessian = Some([0.975, 0.025].map(|q| sigma.value * (degrees / chi.inverse_cdf(q)).sqrt()));
        pooled.sigma = sigma.value;
    }
    for (k, e) in pooled.parameters.iter_mut().enumerate() {
        let scale = model.about().coefficients[k].scale;
        let y: Vec<f64> = fits.iter().map(|f| f.0[k]).collect();
        let v: Vec<f64> = fits.iter().map(|f| f.1[k]).collect();
        let effect = random_effects(&y, &v);
        let [low, high] = effect.interval;
        let [value, low, high] = [effect.mean, low, high].map(|x| match scale {
            Scale::Positive => x.exp(),
            Scale::Any => x,
            Scale::Share => 1.0 / (1.0 + (-x).exp()),
        });
        (e.value, e.hessian) = (value, Some([low, high]));
        (e.profile, e.bootstrap) = (None, None);
        e.device_spread = Some((effect.spread, effect.spread_interval));
    }
    pooled.devices = fits.len();
    pooled.resampled = String::new();
    pooled.resamples = [0, 0];
    pooled
}

/// Mean and spread of values that differ and are known to a variance each.
#[derive(Clone, Debug, PartialEq)]
pub struct RandomEffects {
    /// Mean.
    pub mean: f64,
    /// Its 95 % interval.
    pub interval: [f64; 2],
    /// Standard deviation between.
    pub spread: f64,
    /// Its 95 % interval.
    pub spread_interval: [f64; 2],
}

/// Mean by weights 1/(v + tau^2) with the interval of Hartung and Knapp (2001); tau^2 where the generalised Q equals its degrees of freedom
/// (R. C. Paule and J. Mandel, J. Res. Natl. Bur. Stand. 87, 377 (1982)), and its interval where Q equals the quantiles of chi squared (Viechtbauer 2007).
///
/// # Panics
/// With fewer than two values.
pub fn random_effects(y: &[f64], v: &[f64]) -> RandomEffects {
    assert!(y.len() > 1 && y.len() == v.len(), "random effects of {} values with {} variances", y.len(), v.len());
    let degrees = y.len() as f64 - 1.0;
    let weighted = |tau2: f64| {
        let w: Vec<f64> = v.iter().map(|v| 1.0 / (v + tau2).max(f64::MIN_POSITIVE)).collect();
        let sum: f64 = w.iter().sum();
        let mean = w.iter().zip(y).map(|(w, y)| w * y).sum::<f64>() / sum;
        (mean, w.iter().zip(y).map(|(w, y)| w * (y - mean).powi(2)).sum::<f64>(), sum)
    };
    // Q falls as tau^2 grows.
    let solve = |target: f64| {
        let (mut low, mut high) = (0.0, 1.0);
        if weighted(0.0).1 <= target {
            return 0.0;
        }
        while weighted(high).1 > target && high < 1e300 {
            high *= 4.0;
        }
        // Small spreads: begin from below by powers of four as well.
        let mut small = high;
        while weighted(small).1 < target && small > 1e-300 {
            high = small;
            small /= 4.0;
        }
        low = f64::max(low, small.min(high));
        for _ in 0..60 {
            let middle = 0.5 * (low + high);
            if weighted(middle).1 > target { low = middle } else { high = middle }
        }
        0.5 * (low + high)
    };
    let chi = ChiSquared::new(degrees).expect("degrees above zero");
    let tau2 = solve(degrees);
    let (mean, q, sum) = weighted(tau2);
    let t = StudentsT::new(0.0, 1.0, degrees).expect("degrees above zero").inverse_cdf(0.975);
    // Not below the plain interval: with a spread of zero, Q can fall short by chance (G. Knapp and J. Hartung, Stat. Med. 22, 2693 (2003)).
    let half = t * ((q / degrees).max(1.0) / sum).sqrt();
    RandomEffects {
        mean,
        interval: [mean - half, mean + half],
        spread: tau2.sqrt(),
        spread_interval: [solve(chi.inverse_cdf(0.975)).sqrt(), solve(chi.inverse_cdf(0.025)).sqrt()],
    }
}
