//! Models of devices: what each observes, which parameters it has, and how probable observations are under it.
//!
//! A model is one file with one implementation of [`Model`], and one line in [`MODELS`]; configuration, help, cards, figures and the
//! recovery test follow from that list. What a model says is a *mean* for each row of [`Data`] and a [`Scatter`] of the observation around
//! it: counts are binomial, times exponential, read-outs normal. Models whose likelihood is none of these write their own.

use crate::data::Data;
use spinloom_base::Dimension;
use spinloom_base::random::Stream;
use spinloom_base::units::parse_unit;
use spinloom_card::{Kind, Table};
use statrs::function::gamma::ln_gamma;

mod activation;
mod compound;
mod depression;
mod endurance;
mod firing;
pub mod hazard;
mod levels;
mod lif_adaptive;
mod lif_first_passage;
mod lif_thermal;
mod ltp_ltd;
mod macrospin;
pub mod membrane;
mod oscillator;
mod p_bit;
mod retention;
mod second_order;
mod skyrmion;
mod spin_diode;
mod stdp;
mod step;
mod stp_ltp;
mod switching;
mod switching_uniaxial;
mod telegraph;
mod variability;
mod wall;
mod wall_kinematic;

pub use membrane::{MembraneModel, membrane, membranes};

/// All models, in the order in which help lists them.
pub const MODELS: &[&dyn Model] = &[
    &membrane::Trace(&membrane::LifTwoTimes),
    &membrane::Trace(&membrane::LifSwitchingLeak),
    &membrane::Trace(&membrane::ConstantLeak),
    &membrane::Trace(&membrane::Integrator),
    &lif_first_passage::REFRACTORY,
    &lif_first_passage::SIGNED,
    &lif_adaptive::Adaptive,
    &second_order::SecondOrder,
    &lif_thermal::CONSTANT,
    &lif_thermal::SOFTENING,
    &firing::LOGISTIC,
    &firing::PROBIT,
    &firing::GOMPERTZ,
    &switching::LINEAR,
    &switching::QUADRATIC,
    &switching::FREE,
    &switching::VCMA,
    &switching_uniaxial::Uniaxial,
    &switching::FIELD,
    &telegraph::OneTemperature,
    &telegraph::Arrhenius,
    &p_bit::PBit,
    &retention::Retention,
    &retention::Uniaxial,
    &endurance::Endurance,
    &ltp_ltd::LtpLtd,
    &levels::Levels,
    &step::CONSTANT,
    &step::SOFT_BOUNDS,
    &step::EXPONENTIAL,
    &step::POWER,
    &stp_ltp::StpLtp,
    &compound::Compound,
    &depression::Depression,
    &stdp::EXPONENTIAL,
    &stdp::GAUSSIAN,
    &stdp::MEXICAN_HAT,
    &stdp::RECTANGULAR,
    &stdp::EXPONENTIAL_FLIPS,
    &stdp::RECTANGULAR_FLIPS,
    &activation::SIGMOID,
    &activation::Lagging,
    &activation::RELU,
    &activation::PIECEWISE,
    &wall_kinematic::Kinematic,
    &wall::Wall,
    &wall::Tilted,
    &macrospin::Macrospin,
    &oscillator::Oscillator,
    &spin_diode::SpinDiode,
    &skyrmion::Thiele,
    &skyrmion::Edge,
    &skyrmion::Radius,
    &skyrmion::Nucleation,
    &variability::Variability,
];

/// The model of a name.
pub fn find(name: &str) -> Option<&'static dyn Model> {
    MODELS.iter().copied().find(|m| m.about().name == name)
}

/// Which values a parameter can take: what a search moves through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Above zero: searched as its logarithm.
    Positive,
    /// Any: searched in units of its start, which therefore must not be zero.
    Any,
    /// Between 0 and 1: searched as ln(x/(1 - x)).
    Share,
}

/// A parameter of a model.
#[derive(Clone, Copy, Debug)]
pub struct Coefficient {
    /// Its name in a card.
    pub name: &'static str,
    /// Its unit: words with powers such as `s^-1`, where `{V}` stands for the unit of the column `V`.
    pub unit: &'static str,
    /// Its range.
    pub scale: Scale,
    /// Parameters are first searched stage by stage, the others held, and then all together.
    pub stage: u8,
    /// The experiment that determines it.
    pub experiment: &'static str,
    /// Columns that must take at least so many values, or the equation leaves it open whatever the noise.
    pub needs: &'static [(&'static str, usize)],
    /// An interval whose ends differ by more than this factor is no number.
    pub widest: f64,
}

/// A parameter above zero.
pub const fn positive(name: &'static str, unit: &'static str, experiment: &'static str) -> Coefficient {
    Coefficient { name, unit, scale: Scale::Positive, stage: 1, experiment, needs: &[], widest: 10.0 }
}

/// A parameter of any sign.
pub const fn any(name: &'static str, unit: &'static str, experiment: &'static str) -> Coefficient {
    Coefficient { scale: Scale::Any, ..positive(name, unit, experiment) }
}

/// A parameter between 0 and 1.
pub const fn share(name: &'static str, experiment: &'static str) -> Coefficient {
    Coefficient { scale: Scale::Share, ..positive(name, "1", experiment) }
}

impl Coefficient {
    /// Searched in this stage.
    pub const fn stage(self, stage: u8) -> Self {
        Self { stage, ..self }
    }

    /// Open unless these columns take so many values.
    pub const fn needs(self, needs: &'static [(&'static str, usize)]) -> Self {
        Self { needs, ..self }
    }

    /// A number even if only known within this factor.
    pub const fn widest(self, widest: f64) -> Self {
        Self { widest, ..self }
    }
}

/// A column that a model observes or is told.
#[derive(Clone, Copy, Debug)]
pub struct Input {
    /// Its name.
    pub name: &'static str,
    /// Its dimension; none where the device decides (a drive may be a voltage or a current density).
    pub dimension: Option<Dimension>,
    /// What it is.
    pub about: &'static str,
    /// Value of every row, if it need not be given.
    pub default: Option<f64>,
}

/// A column that must be given.
pub const fn column(name: &'static str, dimension: Option<Dimension>, about: &'static str) -> Input {
    Input { name, dimension, about, default: None }
}

/// A column that may be left out.
pub const fn optional(name: &'static str, dimension: Dimension, about: &'static str, default: f64) -> Input {
    Input { name, dimension: Some(dimension), about, default: Some(default) }
}

/// How an observation scatters around the mean that a model gives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scatter {
    /// `y` = mean + sigma xi; sigma is estimated.
    Normal(&'static str),
    /// ln `y` = ln mean + sigma xi; sigma is estimated.
    LogNormal(&'static str),
    /// `y` = mean + `s` xi, `s` a column.
    Known(&'static str, &'static str),
    /// `k` of `n` events; the mean is the probability of one.
    Binomial(&'static str, &'static str),
    /// A waiting time `t` with that mean; where the column `censored` is 1 it was at least `t`.
    Exponential(&'static str, &'static str),
    /// A count with that mean.
    Poisson(&'static str),
    /// The model has its own likelihood.
    Own,
}

/// A number that follows from the parameters.
#[derive(Clone, Copy)]
pub struct Derived {
    /// Its name.
    pub name: &'static str,
    /// Its unit, as of a [`Coefficient`].
    pub unit: &'static str,
    /// Its value.
    pub value: fn(&[f64], &Data) -> f64,
    /// Parameters without which it is no number either; of a combination that outlives its parts, none.
    pub of: &'static [usize],
}

/// Everything about a model but its numbers.
#[derive(Clone, Copy)]
pub struct About {
    /// Its name in configurations and cards.
    pub name: &'static str,
    /// The part it plays.
    pub kind: Kind,
    /// Its equation as a person writes it.
    pub equation: &'static str,
    /// Where it comes from.
    pub reference: &'static str,
    /// What it observes; further columns `run` and `device` say which rows belong together.
    pub columns: &'static [Input],
    /// Its parameters, in order.
    pub coefficients: &'static [Coefficient],
    /// How observations scatter.
    pub scatter: Scatter,
    /// What follows from the parameters.
    pub derived: &'static [Derived],
    /// Abscissa and ordinate of its figure, and the column that parts lines (or none).
    pub axes: [&'static str; 3],
    /// What no data of this kind determine.
    pub open: &'static [&'static str],
}

/// An experiment with known truth: what the recovery test runs.
pub struct Example {
    /// The parameters.
    pub truth: Vec<f64>,
    /// Standard deviation of the noise, where it is estimated.
    pub sigma: f64,
    /// The experiment; observed columns are there and hold anything.
    pub design: Data,
}

/// A model of a device.
pub trait Model: Sync {
    /// What it is.
    fn about(&self) -> About;

    /// The mean of every row under parameters `p`. With [`Scatter::Own`] it is what the figure shows.
    fn predict(&self, p: &[f64], data: &Data, mean: &mut [f64]);

    /// Where searches begin: features of the data, in the order in which they can be told. Empty if the data have none.
    fn starts(&self, data: &Data) -> Vec<Vec<f64>>;

    /// An experiment that determines all parameters.
    fn example(&self) -> Example;

    /// Log-likelihood of every row, only of models with [`Scatter::Own`].
    fn log_likelihood(&self, _p: &[f64], _data: &Data, _rows: &mut [f64]) {
        unreachable!("only models with their own likelihood are asked for it")
    }

    /// What the experiment `design` would observe.
    fn simulate(&self, p: &[f64], sigma: f64, design: &Data, random: &mut Stream) -> Data {
        let mut mean = vec![0.0; design.rows()];
        self.predict(p, design, &mut mean);
        draw(self.about().scatter, sigma, design, &mean, random)
    }

    /// Further tables for the card.
    fn tables(&self, _p: &[f64], _data: &Data) -> Vec<(String, Table)> {
        Vec::new()
    }

    /// The equation of a membrane, for models that networks can step.
    fn membrane(&self) -> Option<&'static dyn MembraneModel> {
        None
    }
}

/// Observations around means.
pub fn draw(scatter: Scatter, sigma: f64, design: &Data, mean: &[f64], random: &mut Stream) -> Data {
    let mut each = |f: &mut dyn FnMut(usize, f64, &mut Stream) -> f64| -> Vec<f64> {
        mean.iter().enumerate().map(|(i, m)| f(i, *m, random)).collect()
    };
    match scatter {
        Scatter::Normal(y) => design.with(y, each(&mut |_, m, r| m + sigma * r.normal())),
        Scatter::LogNormal(y) => design.with(y, each(&mut |_, m, r| m * (sigma * r.normal()).exp())),
        Scatter::Known(y, s) => design.with(y, each(&mut |i, m, r| m + design.col(s)[i] * r.normal())),
        Scatter::Binomial(k, n) => design.with(k, each(&mut |i, m, r| binomial(design.col(n)[i], m, r))),
        Scatter::Exponential(t, censored) => {
            // The column holds how long the experiment would have waited; zero: for ever.
            let waited: Vec<f64> = each(&mut |_, m, r| -m * r.uniform().ln());
            let limit = design.get("limit").map(<[f64]>::to_vec);
            let cut = |i: usize| limit.as_ref().is_some_and(|l| l[i] > 0.0 && waited[i] > l[i]);
            let times = (0..waited.len()).map(|i| if cut(i) { limit.as_ref().map_or(0.0, |l| l[i]) } else { waited[i] }).collect();
            let flags = (0..waited.len()).map(|i| f64::from(u8::from(cut(i)))).collect();
            design.with(t, times).with(censored, flags)
        }
        Scatter::Poisson(k) => design.with(k, each(&mut |_, m, r| poisson(m, r))),
        Scatter::Own => unreachable!("a model with its own likelihood simulates itself"),
    }
}

/// What a trace would show whose first row is where it starts, known exactly, and whose other rows of `y` are noisy.
pub(crate) fn simulate_trace(model: &dyn Model, y: &str, p: &[f64], sigma: f64, design: &Data, random: &mut Stream) -> Data {
    let mut mean = vec![0.0; design.rows()];
    model.predict(p, design, &mut mean);
    design.with(y, mean.iter().enumerate().map(|(i, m)| if design.begins(i) { *m } else { m + sigma * random.normal() }).collect())
}

/// Events in `n` trials of probability `p`.
pub fn binomial(n: f64, p: f64, random: &mut Stream) -> f64 {
    (0..n as usize).filter(|_| random.uniform() <= p).count() as f64
}

/// A Poisson count: arrivals of a unit-rate process before `mean`.
pub fn poisson(mean: f64, random: &mut Stream) -> f64 {
    let (mut t, mut count) = (-random.uniform().ln(), 0.0);
    while t < mean {
        t -= random.uniform().ln();
        count += 1.0;
    }
    count
}

/// Deviance residual of an observation with its sign: the sum of their squares is twice the log-likelihood ratio to a perfect fit, so that
/// least squares finds the most probable parameters (P. McCullagh and J. A. Nelder, Generalized Linear Models, 2nd ed. (1989), section 2.4.3).
/// For estimated sigma it is the plain residual.
pub fn residual(scatter: Scatter, data: &Data, i: usize, mean: f64) -> f64 {
    let signed = |sign: f64, deviance: f64| sign.signum() * deviance.max(0.0).sqrt();
    let xlog = |x: f64, y: f64| if x == 0.0 { 0.0 } else { x * (x / y).ln() };
    match scatter {
        Scatter::Normal(y) => data.col(y)[i] - mean,
        Scatter::LogNormal(y) => data.col(y)[i].ln() - mean.ln(),
        Scatter::Known(y, s) => (data.col(y)[i] - mean) / data.col(s)[i],
        Scatter::Binomial(k, n) => {
            let (k, n) = (data.col(k)[i], data.col(n)[i]);
            // A probability of exactly 0 or 1 comes from rounding; the logarithm must not.
            let p = mean.clamp(1e-300, 1.0 - f64::EPSILON);
            signed(k - n * p, 2.0 * (xlog(k, n * p) + xlog(n - k, n * (1.0 - p))))
        }
        Scatter::Exponential(t, censored) => {
            let x = data.col(t)[i] / mean;
            // ln x of a time of zero has no floor; a rounding of the clock is one.
            if data.col(censored)[i] != 0.0 { signed(1.0, 2.0 * x) } else { signed(x - 1.0, 2.0 * (x - 1.0 - x.max(1e-12).ln())) }
        }
        Scatter::Poisson(k) => {
            let k = data.col(k)[i];
            signed(k - mean, 2.0 * (xlog(k, mean) + mean - k))
        }
        Scatter::Own => unreachable!("a model with its own likelihood has no residual"),
    }
}

/// Log-likelihood of one row around its mean.
pub fn log_likelihood(scatter: Scatter, sigma: f64, data: &Data, i: usize, mean: f64) -> f64 {
    let gauss = |r: f64, s: f64| -0.5 * (r / s).powi(2) - s.ln() - 0.5 * std::f64::consts::TAU.ln();
    match scatter {
        Scatter::Normal(_) => gauss(residual(scatter, data, i, mean), sigma),
        Scatter::LogNormal(y) => gauss(residual(scatter, data, i, mean), sigma) - data.col(y)[i].ln(),
        Scatter::Known(_, s) => gauss(residual(scatter, data, i, mean), 1.0) - data.col(s)[i].ln(),
        Scatter::Binomial(k, n) => {
            let (k, n) = (data.col(k)[i], data.col(n)[i]);
            let p = mean.clamp(1e-300, 1.0 - f64::EPSILON);
            let ways = ln_gamma(n + 1.0) - ln_gamma(k + 1.0) - ln_gamma(n - k + 1.0);
            ways + if k > 0.0 { k * p.ln() } else { 0.0 } + if k < n { (n - k) * (-p).ln_1p() } else { 0.0 }
        }
        Scatter::Exponential(t, censored) => -data.col(t)[i] / mean - if data.col(censored)[i] != 0.0 { 0.0 } else { mean.ln() },
        Scatter::Poisson(k) => {
            let k = data.col(k)[i];
            (if k > 0.0 { k * mean.ln() } else { 0.0 }) - mean - ln_gamma(k + 1.0)
        }
        Scatter::Own => unreachable!("a model with its own likelihood is asked itself"),
    }
}

/// The unit of a parameter for the units of these data, in SI: as its words say where the columns have simple units, else in base units.
pub fn unit(words: &str, data: &Data) -> String {
    let mut exponents = [0i8; 5];
    let mut plain = Some(Vec::new());
    for word in words.split_whitespace() {
        let (base, power) = word.split_once('^').unwrap_or((word, "1"));
        let named = base.strip_prefix('{').and_then(|b| b.strip_suffix('}')).map_or(base, |column| data.unit(column));
        let dimension = parse_unit(named).expect("units of columns and parameters are known").dimension;
        let times: i8 = power.parse().expect("powers of units are whole numbers");
        exponents.iter_mut().zip(dimension.0).for_each(|(e, d)| *e += times * d);
        match named {
            "1" => {}
            compound if compound.contains(['/', ' ', '^']) => plain = None,
            simple if times == 1 => plain.iter_mut().for_each(|p| p.push(simple.to_string())),
            simple => plain.iter_mut().for_each(|p| p.push(format!("{simple}^{times}"))),
        }
    }
    match plain {
        Some(parts) if parts.is_empty() => "1".into(),
        Some(parts) => parts.join(" "),
        None => crate::data::symbol(Dimension(exponents)),
    }
}

/// A straight line through points by least squares: value at zero, slope. None without two different abscissae.
pub(crate) fn line(x: &[f64], y: &[f64]) -> Option<[f64; 2]> {
    let n = x.len() as f64;
    let (mx, my) = (x.iter().sum::<f64>() / n, y.iter().sum::<f64>() / n);
    let sxx: f64 = x.iter().map(|x| (x - mx).powi(2)).sum();
    let sxy: f64 = x.iter().zip(y).map(|(x, y)| (x - mx) * (y - my)).sum();
    let slope = sxy / sxx;
    slope.is_finite().then_some([my - slope * mx, slope])
}

/// Least and largest of some values.
pub(crate) fn span(values: &[f64]) -> [f64; 2] {
    values.iter().filter(|v| v.is_finite()).fold([f64::INFINITY, f64::NEG_INFINITY], |[a, b], v| [a.min(*v), b.max(*v)])
}

/// Every combination of one value of each list.
pub(crate) fn grid(lists: &[&[f64]]) -> Vec<Vec<f64>> {
    lists.iter().fold(vec![Vec::new()], |all, list| all.iter().flat_map(|a| list.iter().map(|v| [a.as_slice(), &[*v]].concat())).collect())
}

/// A crossed experiment: every combination of the values of some columns, `repeats` times, and columns that hold one value.
pub(crate) fn crossed(factors: &[(&str, &str, &[f64])], repeats: usize, constants: &[(&str, &str, f64)]) -> Data {
    let lists: Vec<&[f64]> = factors.iter().map(|f| f.2).collect();
    let rows: Vec<Vec<f64>> = grid(&lists).into_iter().flat_map(|r| std::iter::repeat_n(r, repeats)).collect();
    let column = |k: usize| rows.iter().map(|r| r[k]).collect::<Vec<f64>>();
    let varied = factors.iter().enumerate().map(|(k, (name, unit, _))| (*name, *unit, column(k)));
    Data::new(varied.chain(constants.iter().map(|(name, unit, value)| (*name, *unit, vec![*value; rows.len()]))))
}

/// `n` values from `a` to `b`.
pub(crate) fn even(a: f64, b: f64, n: usize) -> Vec<f64> {
    (0..n).map(|i| a + (b - a) * i as f64 / (n - 1).max(1) as f64).collect()
}

/// `n` values from `a` to `b`, each the same multiple of the one before.
pub(crate) fn geometric(a: f64, b: f64, n: usize) -> Vec<f64> {
    even(a.ln(), b.ln(), n).into_iter().map(f64::exp).collect()
}

/// One step of the classical Runge-Kutta method of a small system.
pub(crate) fn rk4<const N: usize>(y: [f64; N], dt: f64, rate: impl Fn(&[f64; N]) -> [f64; N]) -> [f64; N] {
    let at = |k: &[f64; N], h: f64| std::array::from_fn(|i| y[i] + h * k[i]);
    let k1 = rate(&y);
    let k2 = rate(&at(&k1, 0.5 * dt));
    let k3 = rate(&at(&k2, 0.5 * dt));
    let k4 = rate(&at(&k3, dt));
    std::array::from_fn(|i| y[i] + dt / 6.0 * (k1[i] + 2.0 * k2[i] + 2.0 * k3[i] + k4[i]))
}
