//! Windows of spike-timing-dependent plasticity: rival shapes, for changes of a weight and for flips of a binary device.

use super::{About, Coefficient, Example, Input, Model, Scatter, any, column, crossed, even, positive, share, span};
use crate::data::Data;
use spinloom_base::Dimension;
use spinloom_card::Kind;

/// A window.
pub struct Window {
    name: &'static str,
    equation: &'static str,
    reference: &'static str,
    coefficients: &'static [Coefficient],
    /// Change (or probability) at a time difference.
    shape: fn(&[f64], f64) -> f64,
    flips: bool,
    truth: &'static [f64],
}

const AFTER: &str = "pairs with the post-spike later, at three or more differences";
const BEFORE: &str = "pairs with the post-spike earlier, at three or more differences";
const FAR: &str = "pairs far apart";

/// Two exponentials.
pub const EXPONENTIAL: Window = Window {
    name: "stdp-exponential",
    equation: "dw = A_plus exp(-dt/tau_plus) for dt > 0, -A_minus exp(dt/tau_minus) for dt < 0",
    reference: "S. Song, K. D. Miller and L. F. Abbott, Nat. Neurosci. 3, 919 (2000)",
    coefficients: &[
        any("A_plus", "{dw}", AFTER),
        positive("tau_plus", "s", AFTER),
        any("A_minus", "{dw}", BEFORE),
        positive("tau_minus", "s", BEFORE),
    ],
    shape: |p, t| if t >= 0.0 { p[0] * (-t / p[1]).exp() } else { -p[2] * (t / p[3]).exp() },
    flips: false,
    truth: &[0.12, 15e-9, 0.08, 25e-9],
};

/// One bell, the same for both orders.
pub const GAUSSIAN: Window = Window {
    name: "stdp-gaussian",
    equation: "dw = A exp(-dt^2/2 w^2) + c",
    reference: "symmetric windows: L. F. Abbott and S. B. Nelson, Nat. Neurosci. 3, 1178 (2000)",
    coefficients: &[
        any("A", "{dw}", "pairs at small differences"),
        positive("w", "s", "pairs at differences around w"),
        any("c", "{dw}", FAR),
    ],
    shape: |p, t| p[0] * (-0.5 * (t / p[1]).powi(2)).exp() + p[2],
    flips: false,
    truth: &[0.12, 20e-9, -0.02],
};

/// A bell with a moat.
pub const MEXICAN_HAT: Window = Window {
    name: "stdp-mexican-hat",
    equation: "dw = A (1 - dt^2/w^2) exp(-dt^2/2 w^2) + c",
    reference: "second derivative of the bell: symmetric windows of L. F. Abbott and S. B. Nelson, Nat. Neurosci. 3, 1178 (2000)",
    shape: |p, t| {
        let x = (t / p[1]).powi(2);
        p[0] * (1.0 - x) * (-0.5 * x).exp() + p[2]
    },
    truth: &[0.12, 25e-9, 0.01],
    ..GAUSSIAN
};

/// Flat up to an edge.
pub const RECTANGULAR: Window = Window {
    name: "stdp-rectangular",
    equation: "dw = A_plus/(1 + exp[(dt - width)/edge]) for dt > 0, -A_minus for dt < 0 likewise",
    reference: "simplified stochastic rule of D. Zhang et al., NANOARCH (2016), its edge given a width",
    coefficients: &[
        any("A_plus", "{dw}", AFTER),
        any("A_minus", "{dw}", BEFORE),
        positive("width", "s", "pairs at differences around it"),
        positive("edge", "s", "pairs close together in difference around the width"),
    ],
    shape: |p, t| {
        let window = 1.0 / (1.0 + ((t.abs() - p[2]) / p[3]).exp());
        if t >= 0.0 { p[0] * window } else { -p[1] * window }
    },
    flips: false,
    truth: &[0.12, 0.08, 30e-9, 6e-9],
};

/// Probabilities to switch up (later post-spike) and down, falling exponentially.
pub const EXPONENTIAL_FLIPS: Window = Window {
    name: "stdp-flips-exponential",
    equation: "P = P_plus exp(-dt/tau_plus) to switch up for dt > 0, P_minus exp(dt/tau_minus) to switch down for dt < 0",
    reference: "stochastic binary synapses: D. Querlioz et al., Proc. IEEE 103, 1398 (2015), with the window of Song et al. (2000)",
    coefficients: &[share("P_plus", AFTER), positive("tau_plus", "s", AFTER), share("P_minus", BEFORE), positive("tau_minus", "s", BEFORE)],
    shape: |p, t| if t >= 0.0 { p[0] * (-t / p[1]).exp() } else { p[2] * (t / p[3]).exp() },
    flips: true,
    truth: &[0.7, 15e-9, 0.5, 25e-9],
};

/// The same, flat up to an edge.
pub const RECTANGULAR_FLIPS: Window = Window {
    name: "stdp-flips-rectangular",
    equation: "P = P_plus/(1 + exp[(dt - width)/edge]) to switch up for dt > 0, P_minus to switch down for dt < 0 likewise",
    reference: "simplified stochastic rule of D. Zhang et al., NANOARCH (2016), its edge given a width",
    coefficients: &[
        share("P_plus", AFTER),
        share("P_minus", BEFORE),
        positive("width", "s", "pairs at differences around it"),
        positive("edge", "s", "pairs close together in difference around the width"),
    ],
    shape: |p, t| (if t >= 0.0 { p[0] } else { p[1] }) / (1.0 + ((t.abs() - p[2]) / p[3]).exp()),
    flips: true,
    truth: &[0.6, 0.4, 30e-9, 6e-9],
};

impl Model for Window {
    fn about(&self) -> About {
        const DIFFERENCE: Input = column("dt", Some(Dimension::TIME), "time of the post-spike minus time of the pre-spike");
        About {
            name: self.name,
            kind: Kind::Synapse,
            equation: self.equation,
            reference: self.reference,
            columns: if self.flips {
                const {
                    &[
                        DIFFERENCE,
                        column("k", Some(Dimension::NONE), "devices or tries that flipped"),
                        column("n", Some(Dimension::NONE), "tries"),
                    ]
                }
            } else {
                const { &[DIFFERENCE, column("dw", None, "change of the weight")] }
            },
            coefficients: self.coefficients,
            scatter: if self.flips { Scatter::Binomial("k", "n") } else { Scatter::Normal("dw") },
            derived: &[],
            axes: ["dt", if self.flips { "k/n" } else { "dw" }, ""],
            open: &["what makes the window (heat, overlap of pulses, relaxation): its times compared with those processes would tell"],
        }
    }

    fn predict(&self, p: &[f64], data: &Data, mean: &mut [f64]) {
        data.col("dt").iter().zip(mean).for_each(|(t, m)| *m = (self.shape)(p, *t));
    }

    fn starts(&self, data: &Data) -> Vec<Vec<f64>> {
        let dt = data.col("dt");
        let y: Vec<f64> =
            if self.flips { (0..data.rows()).map(|i| data.col("k")[i] / data.col("n")[i]).collect() } else { data.col("dw").to_vec() };
        let largest = |sign: f64| {
            let side = (0..y.len()).filter(|&i| dt[i] * sign >= 0.0).map(|i| y[i]);
            side.max_by(|a, b| a.abs().total_cmp(&b.abs())).filter(|y| *y != 0.0)
        };
        let reach = dt.iter().fold(0.0, |m: f64, t| m.max(t.abs()));
        let (Some(up), Some(down)) = (largest(1.0), largest(-1.0)) else { return Vec::new() };
        let far = 0.1 * span(&y)[1].abs().max(span(&y)[0].abs());
        let sign = if self.flips { 1.0 } else { -1.0 };
        [0.08, 0.2, 0.5]
            .iter()
            .flat_map(|f| {
                let t = f * reach;
                match self.coefficients[1].name {
                    "w" => vec![vec![up, t, far], vec![down, t, -far], vec![up, 2.0 * t, -far]],
                    "tau_plus" => vec![vec![up, t, sign * down, t]],
                    _ => vec![vec![up, sign * down, 1.5 * t, 0.2 * t], vec![up, sign * down, 1.5 * t, 0.5 * t]],
                }
            })
            .map(|mut s| {
                // A share cannot begin at its end.
                s.iter_mut()
                    .zip(self.coefficients)
                    .filter(|(_, c)| c.scale == super::Scale::Share)
                    .for_each(|(x, _)| *x = x.clamp(0.02, 0.98));
                s
            })
            .collect()
    }

    fn example(&self) -> Example {
        // No pair at zero: there the order is undefined.
        let times = even(-78e-9, 78e-9, 40);
        let design = if self.flips {
            crossed(&[("dt", "s", &times)], 1, &[("k", "1", 0.0), ("n", "1", 100.0)])
        } else {
            crossed(&[("dt", "s", &times)], 3, &[("dw", "1", 0.0)])
        };
        Example { truth: self.truth.to_vec(), sigma: 0.01, design }
    }
}
