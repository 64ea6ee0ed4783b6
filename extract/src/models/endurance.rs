//! Endurance: cycles to breakdown of the barrier, by Weibull's law with an exponential in the write voltage.

use super::{About, Derived, Example, Model, Scatter, any, column, crossed, even, line, optional, positive};
use crate::data::Data;
use spinloom_base::Dimension;
use spinloom_base::random::Stream;
use spinloom_card::Kind;

/// Cycles to failure.
pub struct Endurance;

/// Scale of Weibull's law at a voltage: the cycles that 37 % outlive. The middle of the voltages measured is where scale and slope part.
fn scale(p: &[f64], data: &Data, v: f64) -> f64 {
    (p[0] - p[1] * (v - middle(data))).exp()
}

fn middle(data: &Data) -> f64 {
    let [low, high] = super::span(data.col("V"));
    0.5 * (low + high)
}

impl Model for Endurance {
    fn about(&self) -> About {
        About {
            name: "endurance",
            kind: Kind::Synapse,
            equation: "share alive after N cycles = exp[-(N/eta)^shape], ln eta = ln_eta - gamma (V - V_mid), V_mid the middle of the voltages measured",
            reference: "W. Weibull, J. Appl. Mech. 18, 293 (1951); exponential acceleration by voltage: J. W. McPherson and H. C. Mogul, J. Appl. Phys. 84, 1513 (1998)",
            columns: const {
                &[
                    column("V", None, "write voltage"),
                    column("cycles", Some(Dimension::NONE), "cycles to breakdown, or of the test where nothing broke"),
                    optional("censored", Dimension::NONE, "1 where it outlived the test", 0.0),
                ]
            },
            coefficients: const {
                &[
                    any("ln_eta", "1", "cycling to breakdown of ten or more devices"),
                    any("gamma", "{V}^-1", "cycling to breakdown at three or more voltages").needs(&[("V", 2)]),
                    positive("shape", "1", "cycling to breakdown of ten or more devices at one voltage"),
                ]
            },
            scatter: Scatter::Own,
            derived: &[Derived { name: "log10_eta_mid", unit: "1", value: |p, _| p[0] / std::f64::consts::LN_10, of: &[] }],
            axes: ["V", "cycles", ""],
            open: &[
                "whether an exponential or a power of the voltage holds: over the voltages measured they look alike, and they part when extrapolated",
            ],
        }
    }

    fn predict(&self, p: &[f64], data: &Data, mean: &mut [f64]) {
        data.col("V").iter().zip(mean).for_each(|(v, m)| *m = scale(p, data, *v));
    }

    fn log_likelihood(&self, p: &[f64], data: &Data, rows: &mut [f64]) {
        let (v, cycles, censored) = (data.col("V"), data.col("cycles"), data.col("censored"));
        for i in 0..rows.len() {
            let eta = scale(p, data, v[i]);
            let z = (cycles[i] / eta).powf(p[2]);
            rows[i] = if censored[i] != 0.0 { -z } else { p[2].ln() - cycles[i].ln() + p[2] * (cycles[i] / eta).ln() - z };
        }
    }

    fn starts(&self, data: &Data) -> Vec<Vec<f64>> {
        let y: Vec<f64> = data.col("cycles").iter().map(|c| c.max(1.0).ln()).collect();
        let x: Vec<f64> = data.col("V").iter().map(|v| v - middle(data)).collect();
        let flat = [y.iter().sum::<f64>() / y.len() as f64, -1.0];
        let [at, slope] = line(&x, &y).filter(|l| l[1] != 0.0).unwrap_or(flat);
        [0.7, 1.5, 4.0].iter().map(|shape| vec![at + 0.5, -slope, *shape]).collect()
    }

    fn simulate(&self, p: &[f64], _sigma: f64, design: &Data, random: &mut Stream) -> Data {
        let limit = design.get("limit");
        let (mut cycles, mut censored) = (Vec::new(), Vec::new());
        for (i, v) in design.col("V").iter().enumerate() {
            let n = scale(p, design, *v) * (-random.uniform().ln()).powf(1.0 / p[2]);
            let most = limit.map_or(f64::INFINITY, |l| l[i]);
            cycles.push(n.min(most));
            censored.push(f64::from(u8::from(n > most)));
        }
        design.with("cycles", cycles).with("censored", censored)
    }

    fn example(&self) -> Example {
        let design = crossed(&[("V", "V", &even(0.9, 1.2, 4))], 25, &[("cycles", "1", 0.0), ("censored", "1", 0.0), ("limit", "1", 3e9)]);
        Example { truth: vec![17.0, 30.0, 1.3], sigma: 0.0, design }
    }
}
