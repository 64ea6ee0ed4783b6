//! Whether intervals hold what they promise: a model's own example, made again and again with other noise, and fitted.

use crate::estimate::{Estimate, Options, fit};
use crate::models::Model;
use rayon::prelude::*;
use spinloom_base::random::Stream;

/// How often the truth of one parameter lay inside its intervals.
#[derive(Clone, Debug, PartialEq)]
pub struct Coverage {
    /// The parameter.
    pub name: String,
    /// Share of trials whose Hessian interval holds the truth; a trial without an interval does not.
    pub hessian: f64,
    /// The same of the bootstrap, where it was made.
    pub bootstrap: Option<f64>,
    /// The same of the interval that a card would quote.
    pub quoted: f64,
    /// Mean of the estimates over the truth, less one.
    pub bias: f64,
    /// Share of trials in which the parameter was called undetermined.
    pub undetermined: f64,
}

/// Coverage of every parameter over trials with seeds of their own, and the number of trials without a fit.
pub fn coverage(model: &dyn Model, trials: usize, options: &Options) -> (Vec<Coverage>, usize) {
    let example = model.example();
    let fits: Vec<Option<Vec<Estimate>>> = (0..trials)
        .into_par_iter()
        .map(|trial| {
            let mut random = Stream::new(options.seed, 0x7E57_0000 + trial as u64);
            let data = model.simulate(&example.truth, example.sigma, &example.design, &mut random);
            let fitted = fit(model, &data, &Options { seed: trial as u64, ..*options }).ok()?;
            let sigma = fitted.derived.into_iter().find(|d| d.name == "sigma");
            Some(fitted.parameters.into_iter().chain(sigma).collect())
        })
        .collect();
    let good: Vec<&Vec<Estimate>> = fits.iter().flatten().collect();
    let failed = trials - good.len();
    let mut all = Vec::new();
    for k in 0..good.first().map_or(0, |f| f.len()) {
        let truth = example.truth.get(k).copied().unwrap_or(example.sigma);
        let inside = |i: Option<[f64; 2]>| i.is_some_and(|[low, high]| low <= truth && truth <= high);
        let share = |which: &dyn Fn(&Estimate) -> bool| good.iter().filter(|f| which(&f[k])).count() as f64 / trials as f64;
        all.push(Coverage {
            name: good[0][k].name.clone(),
            hessian: share(&|e| inside(e.hessian)),
            bootstrap: (options.resamples > 0 && k < example.truth.len()).then(|| share(&|e| inside(e.bootstrap))),
            quoted: share(&|e| inside(e.interval())),
            bias: good.iter().map(|f| f[k].value / truth - 1.0).sum::<f64>() / good.len() as f64,
            undetermined: share(&|e| e.undetermined.is_some()),
        });
    }
    (all, failed)
}
