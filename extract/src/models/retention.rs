//! Retention: how long a state lasts, extrapolated by Arrhenius' law.

use super::{About, Derived, Example, Model, Scatter, column, crossed, line, optional, positive};
use crate::data::Data;
use spinloom_base::Dimension;
use spinloom_base::constants::KB;
use spinloom_card::Kind;

/// Times to loss in ovens.
pub struct Retention;

impl Model for Retention {
    fn about(&self) -> About {
        const OVENS: &str = "times to loss at three or more temperatures";
        About {
            name: "retention",
            kind: Kind::Synapse,
            equation: "mean time to loss = exp(E_b/kT)/f0",
            reference: "L. Néel, Ann. Géophys. 5, 99 (1949); S. Arrhenius, Z. Phys. Chem. 4, 226 (1889)",
            columns: const {
                &[
                    column("T", Some(Dimension::TEMPERATURE), "temperature"),
                    column("t", Some(Dimension::TIME), "time to loss, or of the test where nothing was lost"),
                    optional("censored", Dimension::NONE, "1 where the state outlived the test", 0.0),
                ]
            },
            coefficients: const {
                &[positive("f0", "s^-1", OVENS).needs(&[("T", 2)]).widest(1e6), positive("E_b", "J", OVENS).needs(&[("T", 2)])]
            },
            scatter: Scatter::Exponential("t", "censored"),
            derived: &[
                Derived { name: "Delta_300K", unit: "1", value: |p, _| p[1] / (KB * 300.0), of: &[1] },
                // log10 of seconds: an interval of a time over decades is not symmetric.
                Derived {
                    name: "log10_retention_300K_s",
                    unit: "1",
                    value: |p, _| (p[1] / (KB * 300.0) - p[0].ln()) / std::f64::consts::LN_10,
                    of: &[1],
                },
                Derived {
                    name: "log10_retention_358K_s",
                    unit: "1",
                    value: |p, _| (p[1] / (KB * 358.15) - p[0].ln()) / std::f64::consts::LN_10,
                    of: &[1],
                },
            ],
            axes: ["T", "t", ""],
            open: &[
                "whether the barrier itself falls with temperature: a barrier E(1 - T/T_c) has the same law with another f0; ovens cannot tell, a measured barrier at room temperature can",
            ],
        }
    }

    fn predict(&self, p: &[f64], data: &Data, mean: &mut [f64]) {
        data.col("T").iter().zip(mean).for_each(|(t, m)| *m = (p[1] / (KB * t)).exp() / p[0]);
    }

    fn starts(&self, data: &Data) -> Vec<Vec<f64>> {
        let (temperature, time, censored) = (data.col("T"), data.col("t"), data.col("censored"));
        let (mut x, mut y) = (Vec::new(), Vec::new());
        for at in data.distinct("T") {
            let here = |i: &usize| (temperature[*i] / at - 1.0).abs() < 1e-6;
            let total: f64 = (0..data.rows()).filter(here).map(|i| time[i]).sum();
            let ends: f64 = (0..data.rows()).filter(here).map(|i| 1.0 - censored[i]).sum();
            if ends > 0.0 {
                x.push(1.0 / (KB * at));
                y.push((total / ends).ln());
            }
        }
        if x.is_empty() {
            return Vec::new();
        }
        let [minus, barrier] = line(&x, &y).filter(|l| l[1] > 0.0).unwrap_or([-(1e9f64.ln()), (y[0] + 1e9f64.ln()) / x[0]]);
        vec![vec![(-minus).exp(), barrier]]
    }

    fn example(&self) -> Example {
        let design =
            crossed(&[("T", "K", &[400.0, 430.0, 460.0, 500.0])], 30, &[("t", "s", 0.0), ("censored", "1", 0.0), ("limit", "s", 1e6)]);
        Example { truth: vec![1e9, 45.0 * KB * 300.0], sigma: 0.0, design }
    }
}
