//! A p-bit with the time it takes to respond, from its state at pairs of instants.

use super::{About, Derived, Example, Model, Scatter, any, column, crossed, even, line, positive};
use crate::data::Data;
use spinloom_base::Dimension;
use spinloom_card::Kind;

/// A two-state Markov process whose rates change with the input.
pub struct PBit;

impl Model for PBit {
    fn about(&self) -> About {
        About {
            name: "p-bit",
            kind: Kind::Neuron,
            equation: "P(up after dt) = p + (state - p) exp[-(dt/tau) cosh((V - V_50)/2s)], p = 1/(1 + exp[-(V - V_50)/s])",
            reference: "input: K. Y. Camsari et al., Phys. Rev. X 7, 031014 (2017); response: two-state master equation with rates exp[+-(V - V_50)/2s]/(2 tau), N. G. van Kampen, Stochastic Processes in Physics and Chemistry (2007), section IV.2",
            columns: const {
                &[
                    column("V", None, "input"),
                    column("dt", Some(Dimension::TIME), "time between the two looks"),
                    column("state", Some(Dimension::NONE), "1 if it was up at the first look, else 0"),
                    column("k", Some(Dimension::NONE), "how often it was up at the second"),
                    column("n", Some(Dimension::NONE), "pairs of looks"),
                ]
            },
            coefficients: const {
                &[
                    any("V_50", "{V}", "looks at inputs on either side of balance").needs(&[("V", 2)]),
                    positive("s", "{V}", "looks at three or more inputs").needs(&[("V", 2)]),
                    positive("tau", "s", "looks closer together than it responds, and further apart").stage(2),
                ]
            },
            scatter: Scatter::Binomial("k", "n"),
            // Successive looks count as independent from here on: correlation e^-3.
            derived: &[Derived { name: "time_between_independent_bits", unit: "s", value: |p, _| 3.0 * p[2], of: &[] }],
            axes: ["V", "k/n", "dt"],
            open: &[],
        }
    }

    fn predict(&self, p: &[f64], data: &Data, mean: &mut [f64]) {
        let (v, dt, state) = (data.col("V"), data.col("dt"), data.col("state"));
        for i in 0..mean.len() {
            let x = (v[i] - p[0]) / p[1];
            let up = 1.0 / (1.0 + (-x).exp());
            mean[i] = up + (state[i] - up) * (-(dt[i] / p[2]) * (0.5 * x).cosh()).exp();
        }
    }

    fn starts(&self, data: &Data) -> Vec<Vec<f64>> {
        let (v, dt, k, n) = (data.col("V"), data.col("dt"), data.col("k"), data.col("n"));
        let last = data.distinct("dt").last().copied().unwrap_or(1.0);
        let rows: Vec<usize> = (0..data.rows()).filter(|&i| dt[i] >= 0.99 * last).collect();
        let x: Vec<f64> = rows.iter().map(|&i| v[i]).collect();
        let y: Vec<f64> = rows.iter().map(|&i| ((k[i] + 0.5) / (n[i] - k[i] + 0.5)).ln()).collect();
        let Some([at, slope]) = line(&x, &y).filter(|l| l[1] > 0.0) else { return Vec::new() };
        let first = data.distinct("dt")[0];
        [first, 3.0 * first, last].iter().map(|tau| vec![if at == 0.0 { 0.01 / slope } else { -at / slope }, 1.0 / slope, *tau]).collect()
    }

    fn example(&self) -> Example {
        let design = crossed(
            &[("V", "V", &even(-0.2, 0.2, 7)), ("dt", "s", &[3e-9, 1e-8, 3e-8, 1e-7]), ("state", "1", &[0.0, 1.0])],
            1,
            &[("k", "1", 0.0), ("n", "1", 200.0)],
        );
        Example { truth: vec![0.02, 0.05, 1.2e-8], sigma: 0.0, design }
    }
}
