//! Spread from device to device and from cycle to cycle of one number.

use super::{About, Derived, Example, Model, Scatter, any, column, crossed, even, positive};
use crate::data::Data;
use crate::velocity::mean_and_deviation;
use spinloom_base::random::Stream;
use spinloom_card::Kind;

/// One-way random effects.
pub struct Variability;

impl Model for Variability {
    fn about(&self) -> About {
        About {
            name: "variability",
            kind: Kind::Synapse,
            equation: "y = mu + d + c, d normal with sigma_d2d, the same in all cycles of a device, c normal with sigma_c2c",
            reference: "S. R. Searle, G. Casella and C. E. McCulloch, Variance Components (1992), section 3.7",
            columns: const { &[column("device", None, "which device: any number that tells them apart"), column("y", None, "the number, one row per cycle")] },
            coefficients: const {
                &[
                    any("mu", "{y}", "ten or more devices"),
                    positive(
                        "sigma_d2d",
                        "{y}",
                        "ten or more devices, in enough cycles that their means differ by more than the cycles explain",
                    )
                    .needs(&[("device", 3)]),
                    positive("sigma_c2c", "{y}", "several cycles of the same device"),
                ]
            },
            scatter: Scatter::Own,
            derived: &[
                Derived { name: "d2d_over_mean", unit: "1", value: |p, _| p[1] / p[0].abs(), of: &[1] },
                Derived { name: "c2c_over_mean", unit: "1", value: |p, _| p[2] / p[0].abs(), of: &[2] },
            ],
            axes: ["device", "y", ""],
            open: &[],
        }
    }

    fn predict(&self, p: &[f64], _data: &Data, mean: &mut [f64]) {
        mean.fill(p[0]);
    }

    /// The likelihood of all rows of a device stands in its first row.
    fn log_likelihood(&self, p: &[f64], data: &Data, rows: &mut [f64]) {
        let y = data.col("y");
        let (between, within) = (p[1] * p[1], p[2] * p[2]);
        // Rows, sum and sum of squares of the differences from mu, of each device.
        let mut sums = vec![(0.0, 0.0, 0.0, usize::MAX); data.blocks()];
        for i in 0..rows.len() {
            let s = &mut sums[data.block(i)];
            let off = y[i] - p[0];
            *s = (s.0 + 1.0, s.1 + off, s.2 + off * off, s.3.min(i));
        }
        rows.fill(0.0);
        for (n, sum, squares, first) in sums {
            // Inverse and determinant of within I + between 11' by Sherman and Morrison.
            let quadratic = (squares - between * sum * sum / (within + n * between)) / within;
            let determinant = (n - 1.0) * within.ln() + (within + n * between).ln();
            rows[first] = -0.5 * (quadratic + determinant + n * std::f64::consts::TAU.ln());
        }
    }

    fn starts(&self, data: &Data) -> Vec<Vec<f64>> {
        let y = data.col("y");
        let of = |b: usize| mean_and_deviation((0..data.rows()).filter(|&i| data.block(i) == b).map(|i| y[i]));
        let each: Vec<[f64; 2]> = (0..data.blocks()).map(of).collect();
        let [mu, between] = mean_and_deviation(each.iter().map(|e| e[0]));
        let within: Vec<f64> = each.iter().map(|e| e[1]).filter(|d| d.is_finite() && *d > 0.0).collect();
        let within = within.iter().sum::<f64>() / within.len() as f64;
        if !(between > 0.0 && within > 0.0) {
            return Vec::new();
        }
        vec![vec![if mu == 0.0 { between } else { mu }, between, within]]
    }

    fn simulate(&self, p: &[f64], _sigma: f64, design: &Data, random: &mut Stream) -> Data {
        let devices: Vec<f64> = (0..design.blocks()).map(|_| p[0] + p[1] * random.normal()).collect();
        design.with("y", (0..design.rows()).map(|i| devices[design.block(i)] + p[2] * random.normal()).collect())
    }

    fn example(&self) -> Example {
        let devices = even(1.0, 40.0, 40);
        Example { truth: vec![0.5, 0.03, 0.02], sigma: 0.0, design: crossed(&[("device", "1", &devices)], 8, &[("y", "V", 0.0)]) }
    }
}
