//! Telegraph noise of a superparamagnetic junction: dwell times in two states.

use super::{About, Coefficient, Derived, Example, Input, Model, Scatter, any, column, crossed, even, line, optional, positive};
use crate::data::Data;
use spinloom_base::Dimension;
use spinloom_base::constants::KB;
use spinloom_card::Kind;

const COLUMNS: [Input; 4] = [
    column("V", None, "drive"),
    column("state", Some(Dimension::NONE), "+1 in the state that a positive drive favours, else -1"),
    column("dwell", Some(Dimension::TIME), "time spent in the state"),
    optional("censored", Dimension::NONE, "1 where the record ended before the state did", 0.0),
];

/// Dwell times at one temperature.
pub struct OneTemperature;

/// Logarithm of the mean dwell time at each drive and state: drive, state, logarithm.
fn means(data: &Data, keep: impl Fn(usize) -> bool) -> Vec<[f64; 3]> {
    let (v, state, dwell, censored) = (data.col("V"), data.col("state"), data.col("dwell"), data.col("censored"));
    let mut all = Vec::new();
    for drive in data.distinct("V") {
        for s in [-1.0, 1.0] {
            let here = |i: &usize| keep(*i) && (v[*i] - drive).abs() <= 1e-6 * drive.abs() && state[*i] == s;
            let time: f64 = (0..data.rows()).filter(here).map(|i| dwell[i]).sum();
            let ends: f64 = (0..data.rows()).filter(here).map(|i| 1.0 - censored[i]).sum();
            if ends > 0.0 && time > 0.0 {
                all.push([drive, s, (time / ends).ln()]);
            }
        }
    }
    all
}

/// tau_0 (as logarithm), V_50 and slope of means of dwell times.
fn features(means: &[[f64; 3]]) -> Option<[f64; 3]> {
    // ln tau = ln tau_0 + s slope (V - V_50): by halves, over states.
    let of = |s: f64| {
        let (x, y): (Vec<f64>, Vec<f64>) = means.iter().filter(|m| m[1] == s).map(|m| (m[0], m[2])).unzip();
        line(&x, &y)
    };
    let ([up, rise], [down, fall]) = (of(1.0)?, of(-1.0)?);
    let slope = 0.5 * (rise - fall);
    (slope > 0.0).then(|| [0.5 * (up + down), 0.5 * (down - up) / slope, slope])
}

impl Model for OneTemperature {
    fn about(&self) -> About {
        About {
            name: "telegraph",
            kind: Kind::Neuron,
            equation: "mean dwell in state s = tau_0 exp[s slope (V - V_50)]; tau_0 = exp(E_b/kT)/f0, slope = E_b/(kT V_c)",
            reference: "W. Rippard et al., Phys. Rev. B 84, 064439 (2011)",
            columns: &COLUMNS,
            coefficients: const {
                &[
                    positive("tau_0", "s", "dwell times in both states near balance"),
                    any("V_50", "{V}", "dwell times in both states at drives on either side of balance"),
                    positive("slope", "{V}^-1", "dwell times at two or more drives").needs(&[("V", 2)]),
                ]
            },
            scatter: Scatter::Exponential("dwell", "censored"),
            // Two states with equal rates forget each other with twice the rate of one.
            derived: &[Derived { name: "tau_response", unit: "s", value: |p, _| 0.5 * p[0], of: &[] }],
            axes: ["V", "dwell", "state"],
            open: &[
                "f0 and E_b apart, and V_c: dwell times at one temperature give exp(E_b/kT)/f0 and E_b/(kT V_c) only; three or more temperatures (model telegraph-arrhenius) give them apart",
            ],
        }
    }

    fn predict(&self, p: &[f64], data: &Data, mean: &mut [f64]) {
        let (v, state) = (data.col("V"), data.col("state"));
        (0..mean.len()).for_each(|i| mean[i] = p[0] * (state[i] * p[2] * (v[i] - p[1])).exp());
    }

    fn starts(&self, data: &Data) -> Vec<Vec<f64>> {
        features(&means(data, |_| true))
            .map(|[tau, v, slope]| vec![tau.exp(), if v == 0.0 { 0.01 / slope } else { v }, slope])
            .into_iter()
            .collect()
    }

    fn example(&self) -> Example {
        let design = crossed(
            &[("V", "V", &even(-0.1, 0.1, 5)), ("state", "1", &[-1.0, 1.0])],
            60,
            &[("dwell", "s", 0.0), ("censored", "1", 0.0), ("limit", "s", 2e-2)],
        );
        Example { truth: vec![1e-3, 0.02, 15.0], sigma: 0.0, design }
    }
}

/// Dwell times at several temperatures.
pub struct Arrhenius;

impl Model for Arrhenius {
    fn about(&self) -> About {
        const NEED: &[(&str, usize)] = &[("T", 2)];
        const THREE: &str = "dwell times at three or more temperatures";
        const COEFFICIENTS: [Coefficient; 4] = [
            positive("f0", "s^-1", THREE).needs(NEED).widest(1e4),
            positive("E_b", "J", THREE).needs(NEED),
            positive("V_c", "{V}", "dwell times at several drives and three or more temperatures").needs(&[("T", 2), ("V", 2)]),
            any("V_50", "{V}", "dwell times in both states at drives on either side of balance"),
        ];
        const ALL: [Input; 5] = [COLUMNS[0], COLUMNS[1], column("T", Some(Dimension::TEMPERATURE), "temperature"), COLUMNS[2], COLUMNS[3]];
        About {
            name: "telegraph-arrhenius",
            kind: Kind::Neuron,
            equation: "mean dwell in state s = exp[(E_b/kT) (1 + s (V - V_50)/V_c)]/f0",
            reference: "L. Néel, Ann. Géophys. 5, 99 (1949); W. F. Brown, Phys. Rev. 130, 1677 (1963); drive as in W. Rippard et al., Phys. Rev. B 84, 064439 (2011)",
            columns: &ALL,
            coefficients: &COEFFICIENTS,
            scatter: Scatter::Exponential("dwell", "censored"),
            derived: &[
                Derived { name: "Delta_300K", unit: "1", value: |p, _| p[1] / (KB * 300.0), of: &[1] },
                Derived { name: "ln_tau_0_300K", unit: "1", value: |p, _| p[1] / (KB * 300.0) - p[0].ln(), of: &[1] },
            ],
            axes: ["V", "dwell", "T"],
            open: &[],
        }
    }

    fn predict(&self, p: &[f64], data: &Data, mean: &mut [f64]) {
        let (v, state, t) = (data.col("V"), data.col("state"), data.col("T"));
        (0..mean.len()).for_each(|i| mean[i] = (p[1] / (KB * t[i]) * (1.0 + state[i] * (v[i] - p[3]) / p[2])).exp() / p[0]);
    }

    fn starts(&self, data: &Data) -> Vec<Vec<f64>> {
        let t = data.col("T");
        let each: Vec<(f64, [f64; 3])> = data
            .distinct("T")
            .into_iter()
            .filter_map(|at| Some((at, features(&means(data, |i| (t[i] / at - 1.0).abs() < 1e-6))?)))
            .collect();
        let Some((at, [tau, v, slope])) = each.first().copied() else { return Vec::new() };
        let v = if v == 0.0 { 0.01 / slope } else { v };
        let (x, y): (Vec<f64>, Vec<f64>) = each.iter().map(|(t, f)| (1.0 / (KB * t), f[0])).unzip();
        // ln tau_0 = E/kT - ln f0; with one temperature any f0 does.
        let [minus, barrier] = line(&x, &y).filter(|l| l[1] > 0.0).unwrap_or([-(1e9f64.ln()), KB * at * (tau + 1e9f64.ln())]);
        vec![vec![(-minus).exp(), barrier, barrier / (KB * at * slope), v]]
    }

    fn example(&self) -> Example {
        let design = crossed(
            &[("V", "V", &even(-0.1, 0.1, 5)), ("T", "K", &[290.0, 320.0, 350.0, 380.0]), ("state", "1", &[-1.0, 1.0])],
            25,
            &[("dwell", "s", 0.0), ("censored", "1", 0.0)],
        );
        Example { truth: vec![2e9, 14.0 * KB * 300.0, 0.9, 0.01], sigma: 0.0, design }
    }
}
