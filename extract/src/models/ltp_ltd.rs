//! Potentiation and depression by identical pulses: the exponential staircase, its nonlinearity labels and its asymmetry.

use super::{About, Coefficient, Derived, Example, Model, Scatter, any, column, crossed, even, span};
use crate::data::Data;
use spinloom_base::Dimension;
use spinloom_card::Kind;

/// Both branches.
pub struct LtpLtd;

/// Share of the way after the share `x` of the pulses: (1 - e^(-ax))/(1 - e^-a), a straight line for a -> 0.
fn share(x: f64, a: f64) -> f64 {
    if a.abs() < 1e-9 { x } else { (-a * x).exp_m1() / (-a).exp_m1() }
}

/// The label of NeuroSim's manual for a curve of exponent `a` = P_max/A: 10.1015 times the largest vertical distance of the normalised curve from
/// its diagonal, which lies where the slope is one: with s = 1/a, B = 1/(1 - e^-a), d = B - s + s ln(s/B). Checked against the labels 1.00, 2.40, 4.88 and
/// 9.00, whose s are 1.251653, 0.499181, 0.200303 and 0.022810.
pub fn label(a: f64) -> f64 {
    const PER_DISTANCE: f64 = 10.1015;
    // Nearly straight: the distance tends to a/8, and the closed form to a difference of large numbers.
    if a.abs() < 1e-3 {
        return PER_DISTANCE * a / 8.0;
    }
    let (s, b) = (1.0 / a.abs(), -1.0 / (-a.abs()).exp_m1());
    a.signum() * PER_DISTANCE * (b - s + s * (s / b).ln())
}

/// Mean over the range of | step up - step down | in shares of the range per full sweep, at equal conductance: 0 for a symmetric synapse.
fn asymmetry(p: &[f64]) -> f64 {
    let rate = |a: f64, done: f64| if a.abs() < 1e-9 { 1.0 } else { -a / (-a).exp_m1() - a * done };
    (0..=200).map(|i| f64::from(i) / 200.0).map(|g| (rate(p[2], g) - rate(p[3], 1.0 - g)).abs()).sum::<f64>() / 201.0
}

impl Model for LtpLtd {
    fn about(&self) -> About {
        const COEFFICIENTS: [Coefficient; 4] = [
            any("G_min", "{G}", "a full sweep down"),
            any("G_max", "{G}", "a full sweep up"),
            any("a_up", "1", "a full sweep up, pulse by pulse").stage(2).needs(&[("P", 3)]),
            any("a_down", "1", "a full sweep down, pulse by pulse").stage(2).needs(&[("P", 3), ("dir", 2)]),
        ];
        About {
            name: "ltp-ltd",
            kind: Kind::Synapse,
            equation: "up: G = G_min + (G_max - G_min) f(x, a_up); down: G = G_max - (G_max - G_min) f(x, a_down); f = (1 - e^(-a x))/(1 - e^-a), x = P/P_max",
            reference: "P.-Y. Chen, X. Peng and S. Yu, IEEE Trans. Comput.-Aided Des. 37, 3067 (2018)",
            columns: const {
                &[
                    column("P", Some(Dimension::NONE), "pulses since the start of the sweep"),
                    column("dir", Some(Dimension::NONE), "+1 while the conductance is driven up, -1 while down"),
                    column("G", None, "conductance (or resistance, or weight) after them"),
                ]
            },
            coefficients: &COEFFICIENTS,
            scatter: Scatter::Normal("G"),
            derived: &[
                Derived { name: "NL_up", unit: "1", value: |p, _| label(p[2]), of: &[2] },
                Derived { name: "NL_down", unit: "1", value: |p, _| -label(p[3]), of: &[3] },
                Derived { name: "on_off_ratio", unit: "1", value: |p, _| p[1] / p[0], of: &[0, 1] },
                Derived { name: "asymmetry", unit: "1", value: |p, _| asymmetry(p), of: &[2, 3] },
            ],
            axes: ["P", "G", "dir"],
            open: &[],
        }
    }

    fn predict(&self, p: &[f64], data: &Data, mean: &mut [f64]) {
        let (pulse, dir) = (data.col("P"), data.col("dir"));
        let most = span(pulse)[1];
        for i in 0..mean.len() {
            let x = pulse[i] / most;
            mean[i] = if dir[i] > 0.0 { p[0] + (p[1] - p[0]) * share(x, p[2]) } else { p[1] - (p[1] - p[0]) * share(x, p[3]) };
        }
    }

    fn starts(&self, data: &Data) -> Vec<Vec<f64>> {
        let [low, high] = span(data.col("G"));
        let low = if low == 0.0 { 1e-3 * high } else { low };
        super::grid(&[&[-2.0, 1.0, 4.0], &[-2.0, 1.0, 4.0]]).into_iter().map(|a| vec![low, high, a[0], a[1]]).collect()
    }

    fn example(&self) -> Example {
        let pulses = even(0.0, 50.0, 51);
        Example {
            truth: vec![2e-4, 1e-3, 2.0, 5.0],
            sigma: 1.5e-5,
            design: crossed(&[("P", "1", &pulses), ("dir", "1", &[1.0, -1.0])], 2, &[("G", "S", 0.0)]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_those_of_the_table() {
        for (nl, s) in [(1.00, 1.251653), (2.40, 0.499181), (4.88, 0.200303), (9.00, 0.022810)] {
            // The entries of the table are rounded to 1e-6 of s and hit the label to 4.2e-5.
            assert!((label(1.0 / s) - nl).abs() < 1e-3, "{nl}: {}", label(1.0 / s));
        }
        // The two forms meet: the next term of the series is a^3/960-like, far below.
        assert!((label(1.001e-3) / label(0.999e-3) - 1.002).abs() < 1e-4);
    }

    #[test]
    fn equal_and_opposite_branches_are_symmetric_only_if_straight() {
        assert!(asymmetry(&[0.0, 1.0, 0.0, 0.0]) < 1e-12);
        // a = 2 both ways: rates differ by 2 (1 - 2g), whose mean magnitude is 1.
        assert!((asymmetry(&[0.0, 1.0, 2.0, 2.0]) - 1.0).abs() < 0.01);
    }
}
