//! The spin-torque oscillator: frequency, power and relaxation over the current.

use super::{About, Coefficient, Derived, Example, Model, Scatter, any, column, positive, span};
use crate::data::Data;
use spinloom_base::Dimension;
use spinloom_card::Kind;
use std::f64::consts::TAU;

/// Auto-oscillation above threshold.
pub struct Oscillator;

/// Power p_0 = (zeta - 1)/(zeta + Q), zeta = I/I_th; none below threshold.
fn power(p: &[f64], current: f64) -> f64 {
    let zeta = current / p[0];
    ((zeta - 1.0) / (zeta + p[2])).max(0.0)
}

impl Model for Oscillator {
    fn about(&self) -> About {
        const COEFFICIENTS: [Coefficient; 6] = [
            positive("I_th", "{I}", "power at currents just above threshold"),
            positive("Gamma_G", "s^-1", "ring-down of the amplitude at two or more currents (what = 2)").stage(2),
            positive("Q", "1", "power at currents up to several times the threshold").needs(&[("I", 4)]),
            any("f_0", "s^-1", "frequencies just above threshold"),
            any("N", "s^-1", "frequencies at three or more currents").needs(&[("I", 3)]),
            positive("P_0", "1", "power at currents up to several times the threshold").needs(&[("I", 4)]),
        ];
        About {
            name: "spin-torque-oscillator",
            kind: Kind::Oscillator,
            equation: "p = (zeta - 1)/(zeta + Q), zeta = I/I_th; f = f_0 + N p; power = P_0 p; amplitude relaxes at Gamma_p = Gamma_G (zeta - 1)",
            reference: "A. Slavin and V. Tiberkevich, IEEE Trans. Magn. 45, 1875 (2009)",
            columns: const {
                &[
                    column("I", None, "current"),
                    column(
                        "what",
                        Some(Dimension::NONE),
                        "what `y` is: 0 frequency (Hz), 1 power, 2 rate at which the amplitude relaxes (1/s)",
                    ),
                    column("y", Some(Dimension::NONE), "its value, as a number in SI"),
                    column("error", Some(Dimension::NONE), "its standard error"),
                ]
            },
            coefficients: &COEFFICIENTS,
            scatter: Scatter::Known("y", "error"),
            derived: &[
                // nu = 2 pi N p_0/Gamma_p = 2 pi N/[Gamma_G (zeta + Q)].
                Derived { name: "nu_at_twice_threshold", unit: "1", value: |p, _| TAU * p[4] / (p[1] * (2.0 + p[2])), of: &[1, 2, 4] },
                Derived {
                    name: "linewidth_factor_at_twice_threshold",
                    unit: "1",
                    value: |p, _| 1.0 + (TAU * p[4] / (p[1] * (2.0 + p[2]))).powi(2),
                    of: &[1, 2, 4],
                },
            ],
            axes: ["I", "y", "what"],
            open: &["gain and losses in watts: powers are relative to P_0"],
        }
    }

    fn predict(&self, p: &[f64], data: &Data, mean: &mut [f64]) {
        let (current, what) = (data.col("I"), data.col("what"));
        for i in 0..mean.len() {
            let at = power(p, current[i]);
            mean[i] = match what[i] as i64 {
                0 => p[3] + p[4] * at,
                1 => p[5] * at,
                _ => p[1] * (current[i] / p[0] - 1.0).max(0.0),
            };
        }
    }

    fn starts(&self, data: &Data) -> Vec<Vec<f64>> {
        let (current, what, y) = (data.col("I"), data.col("what"), data.col("y"));
        let of = |w: f64| (0..y.len()).filter(|&i| what[i] == w).map(|i| (current[i], y[i])).collect::<Vec<_>>();
        let (frequencies, powers, rates) = (of(0.0), of(1.0), of(2.0));
        let least = span(current)[0];
        if frequencies.len() < 2 || powers.len() < 3 || rates.is_empty() || least <= 0.0 {
            return Vec::new();
        }
        super::grid(&[&[0.7, 0.9, 0.98], &[0.5, 3.0]])
            .into_iter()
            .filter_map(|g| {
                let p = [g[0] * least, 1.0, g[1]];
                let [f, n] = super::line(
                    &frequencies.iter().map(|f| power(&p, f.0)).collect::<Vec<_>>(),
                    &frequencies.iter().map(|f| f.1).collect::<Vec<_>>(),
                )?;
                let scale = powers.iter().map(|q| q.1 / power(&p, q.0)).sum::<f64>() / powers.len() as f64;
                let rate = rates.iter().map(|r| r.1 / (r.0 / p[0] - 1.0)).sum::<f64>() / rates.len() as f64;
                (scale > 0.0 && rate > 0.0 && n != 0.0).then(|| vec![p[0], rate, g[1], f, n, scale])
            })
            .collect()
    }

    fn example(&self) -> Example {
        let (mut current, mut what, mut error) = (Vec::new(), Vec::new(), Vec::new());
        for i in super::even(1.1e-3, 4e-3, 15) {
            for (w, e) in [(0.0, 5e6), (1.0, 1e-8), (2.0, 2e7)] {
                current.push(i);
                what.push(w);
                error.push(e);
            }
        }
        let y = vec![0.0; what.len()];
        let design = Data::new([("I", "A", current), ("what", "1", what), ("y", "1", y), ("error", "1", error)]);
        Example { truth: vec![1e-3, 5e8, 2.0, 6e9, -1.5e9, 2e-6], sigma: 0.0, design }
    }
}
