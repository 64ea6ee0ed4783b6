//! Activations: what a device answers to an input, as a curve.

use super::{About, Coefficient, Example, Model, Scatter, any, column, crossed, even, positive, simulate_trace, span};
use crate::data::Data;
use spinloom_base::Dimension;
use spinloom_base::random::Stream;
use spinloom_card::Kind;

/// A curve.
pub struct Activation {
    name: &'static str,
    equation: &'static str,
    reference: &'static str,
    coefficients: &'static [Coefficient],
    curve: fn(&[f64], f64) -> f64,
    truth: &'static [f64],
}

/// Numbers of a smooth step.
const STEP: [Coefficient; 4] = [
    any("y_low", "{y}", "inputs far below the middle"),
    any("y_high", "{y}", "inputs far above the middle"),
    any("x_50", "{x}", "inputs around the middle"),
    positive("s", "{x}", "three or more inputs within a few s of the middle"),
];

/// A step that is smooth.
pub const SIGMOID: Activation = Activation {
    name: "sigmoid",
    equation: "y = y_low + (y_high - y_low)/(1 + exp[-(x - x_50)/s])",
    reference: "two-state average; as in A. Sengupta et al., Sci. Rep. 6, 30039 (2016)",
    coefficients: &STEP,
    curve: |p, x| spinloom_card::laws::sigmoid([p[0], p[1], p[2], p[3]], x),
    truth: &[0.1, 1.1, 0.4, 0.3],
};

/// Nothing, then a straight line.
pub const RELU: Activation = Activation {
    name: "relu",
    equation: "y = y_0 + gain max(0, x - x_0)",
    reference: "V. Nair and G. E. Hinton, ICML (2010); by a spin Hall neuron, V. Vadde et al., IEEE Trans. Electron Devices 70, 3943 (2023)",
    coefficients: &[
        any("y_0", "{y}", "inputs below the threshold"),
        any("gain", "{y} {x}^-1", "two or more inputs above the threshold"),
        any("x_0", "{x}", "inputs on both sides of the threshold"),
    ],
    curve: |p, x| p[0] + p[1] * (x - p[2]).max(0.0),
    truth: &[0.05, 0.8, 0.2],
};

/// A straight line between two plateaus.
pub const PIECEWISE: Activation = Activation {
    name: "piecewise-linear",
    equation: "y = y_low below x_low, y_high above x_high, a straight line between",
    reference: "hard sigmoid: M. Courbariaux, Y. Bengio and J.-P. David, NeurIPS (2015), with free ends",
    coefficients: &[
        any("y_low", "{y}", "inputs below the ramp"),
        any("y_high", "{y}", "inputs above the ramp"),
        any("x_low", "{x}", "inputs on both sides of the foot of the ramp"),
        any("x_high", "{x}", "inputs on both sides of its top"),
    ],
    curve: |p, x| spinloom_card::laws::ramp([p[0], p[1], p[2], p[3]], x),
    truth: &[0.1, 1.1, -0.3, 0.8],
};

impl Model for Activation {
    fn about(&self) -> About {
        About {
            name: self.name,
            kind: Kind::Activation,
            equation: self.equation,
            reference: self.reference,
            columns: const { &[column("x", None, "input"), column("y", None, "answer")] },
            coefficients: self.coefficients,
            scatter: Scatter::Normal("y"),
            derived: &[],
            axes: ["x", "y", ""],
            open: &[],
        }
    }

    fn predict(&self, p: &[f64], data: &Data, mean: &mut [f64]) {
        data.col("x").iter().zip(mean).for_each(|(x, m)| *m = (self.curve)(p, *x));
    }

    fn starts(&self, data: &Data) -> Vec<Vec<f64>> {
        let (x, y) = (data.col("x"), data.col("y"));
        let ([left, right], [bottom, top]) = (span(x), span(y));
        let width = right - left;
        let at = |share: f64| left + share * width;
        // The answer at both ends says whether it rises or falls.
        let end = |near: f64| (0..x.len()).min_by(|a, b| (x[*a] - near).abs().total_cmp(&(x[*b] - near).abs())).map_or(0.0, |i| y[i]);
        let [low, high] = if end(left) <= end(right) { [bottom, top] } else { [top, bottom] };
        let nonzero = |v: f64, unit: f64| if v == 0.0 { 0.01 * unit } else { v };
        let (low, high) = (nonzero(low, high), nonzero(high, low));
        if width == 0.0 || low == high {
            return Vec::new();
        }
        [0.3, 0.5, 0.7]
            .iter()
            .flat_map(|s| match self.coefficients.len() {
                3 => vec![vec![low, (high - low) / (width * (1.0 - s)), nonzero(at(*s), width)]],
                _ if self.name == "sigmoid" => [0.05, 0.15].iter().map(|f| vec![low, high, nonzero(at(*s), width), f * width]).collect(),
                _ => [0.15, 0.3].iter().map(|f| vec![low, high, nonzero(at(s - f), width), nonzero(at(s + f), width)]).collect(),
            })
            .collect()
    }

    fn example(&self) -> Example {
        Example { truth: self.truth.to_vec(), sigma: 0.02, design: crossed(&[("x", "V", &even(-1.5, 2.0, 71))], 1, &[("y", "1", 0.0)]) }
    }
}

/// An answer that follows a smooth step with a lag.
pub struct Lagging;

impl Model for Lagging {
    fn about(&self) -> About {
        const COEFFICIENTS: [Coefficient; 6] = [
            STEP[0],
            STEP[1],
            STEP[2],
            STEP[3],
            positive("tau_rise", "s", "steps after which the answer rises, sampled while it does"),
            positive("tau_fall", "s", "steps after which the answer falls, sampled while it does"),
        ];
        About {
            name: "sigmoid-lagging",
            kind: Kind::Activation,
            equation: "dy/dt = [y_inf(x) - y]/tau, y_inf = y_low + (y_high - y_low)/(1 + exp[-(x - x_50)/s]), tau = tau_rise where y < y_inf, else tau_fall",
            reference: "relaxation to an equilibrium that an input moves, at first order; as of skyrmions in a field, T. Yokouchi et al., Sci. Adv. 8, eabq5652 (2022)",
            columns: const {
                &[
                    column("t", Some(Dimension::TIME), "time"),
                    column("x", None, "input over the interval that ends here"),
                    column("y", None, "answer"),
                ]
            },
            coefficients: &COEFFICIENTS,
            scatter: Scatter::Normal("y"),
            derived: &[],
            axes: ["t", "y", "run"],
            open: &["a rise or fall of more than one time: the first order gives their mean"],
        }
    }

    fn predict(&self, p: &[f64], data: &Data, mean: &mut [f64]) {
        let (t, x, y) = (data.col("t"), data.col("x"), data.col("y"));
        let law = [p[0], p[1], p[2], p[3], p[4], p[5]];
        let mut at = 0.0;
        for i in 0..mean.len() {
            at = if data.begins(i) { y[i] } else { spinloom_card::laws::sigmoid_lagging(law, at, x[i], t[i] - t[i - 1]) };
            mean[i] = at;
        }
    }

    fn starts(&self, data: &Data) -> Vec<Vec<f64>> {
        let t = data.col("t");
        let whole = span(t)[1] - span(t)[0];
        let steps = SIGMOID.starts(data);
        [0.02, 0.1].iter().flat_map(|f| steps.iter().map(move |s| [s.as_slice(), &[f * whole, f * whole]].concat())).collect()
    }

    fn simulate(&self, p: &[f64], sigma: f64, design: &Data, random: &mut Stream) -> Data {
        simulate_trace(self, "y", p, sigma, design, random)
    }

    fn example(&self) -> Example {
        // From the middle to nine inputs, and back.
        let [mut run, mut t, mut x] = [const { Vec::new() }; 3];
        for (r, input) in even(-0.8, 1.6, 9).into_iter().enumerate() {
            for i in 0..=40 {
                run.push(r as f64);
                t.push(f64::from(i) * 1e-10);
                x.push(if i == 0 || i > 20 { 0.4 } else { input });
            }
        }
        let y = vec![0.6; t.len()];
        let truth = vec![0.1, 1.1, 0.4, 0.3, 4e-10, 7e-10];
        Example { truth, sigma: 0.02, design: Data::new([("run", "1", run), ("t", "s", t), ("x", "T", x), ("y", "1", y)]) }
    }
}
