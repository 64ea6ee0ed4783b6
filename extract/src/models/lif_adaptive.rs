//! A leaky integrator whose threshold rises with every fire and falls back.

use super::{About, Derived, Example, Model, Scatter, column, positive, span};
use crate::data::Data;
use spinloom_base::Dimension;
use spinloom_base::random::Stream;
use spinloom_card::Kind;

/// The adaptive integrator, seen by the times between fires.
pub struct Adaptive;

/// Time to the threshold 1 + a e^(-t/tau_a) of the membrane (J/J_rh)(1 - e^(-t/tau)); 50 tau if it never comes.
fn passage(p: &[f64], drive: f64, a: f64) -> f64 {
    let never = 50.0 * p[0].max(p[3]);
    let over = |t: f64| -(drive / p[1]) * (-t / p[0]).exp_m1() - 1.0 - a * (-t / p[3]).exp();
    if over(never) <= 0.0 {
        return never;
    }
    // The first crossing: `over` begins below zero and may cross once only, since the membrane rises and the threshold falls.
    let (mut low, mut high) = (0.0, never);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if over(middle) > 0.0 {
            high = middle
        } else {
            low = middle
        }
        if high - low <= 1e-13 * high {
            break;
        }
    }
    0.5 * (low + high)
}

impl Model for Adaptive {
    fn about(&self) -> About {
        About {
            name: "lif-adaptive",
            kind: Kind::Neuron,
            equation: "dV/dt = -V/tau_leak + g J, fires at V = V_th (1 + a); each fire adds b to a, da/dt = -a/tau_a",
            reference: "G. Bellec et al., NeurIPS (2018); Y.-H. Liu and X.-J. Wang, J. Comput. Neurosci. 10, 25 (2001)",
            columns: const {
                &[
                    column("J", None, "steady drive"),
                    column(
                        "t",
                        Some(Dimension::TIME),
                        "time from reset, or from the fire before, to this fire; rows of a run follow each other",
                    ),
                ]
            },
            coefficients: const {
                &[
                    positive("tau_leak", "s", "first fires after rest at drives just above the rheobase and far above it")
                        .needs(&[("J", 3)]),
                    positive("J_rh", "{J}", "first fires after rest just above the rheobase"),
                    positive("b", "1", "the second interval of trains at drives far above the rheobase").stage(2),
                    positive("tau_a", "s", "trains long enough to settle at drives of which the intervals lie below and above it").stage(2),
                ]
            },
            scatter: Scatter::LogNormal("t"),
            derived: &[Derived { name: "settled_threshold_per_rate", unit: "s", value: |p, _| p[2] * p[3], of: &[2, 3] }],
            axes: ["J", "t", "run"],
            open: &["gain and threshold apart: times depend on the rheobase only"],
        }
    }

    fn predict(&self, p: &[f64], data: &Data, mean: &mut [f64]) {
        let (j, t) = (data.col("J"), data.col("t"));
        let mut a = 0.0;
        for i in 0..mean.len() {
            a = if data.begins(i) { 0.0 } else { a };
            mean[i] = passage(p, j[i], a);
            // The threshold follows the intervals as they were, with what jitter they had.
            a = a * (-t[i] / p[3]).exp() + p[2];
        }
    }

    fn starts(&self, data: &Data) -> Vec<Vec<f64>> {
        let (j, t) = (data.col("J"), data.col("t"));
        let firsts: Vec<usize> = (0..data.rows()).filter(|&i| data.begins(i)).collect();
        let least = span(&firsts.iter().map(|&i| j[i]).collect::<Vec<_>>())[0];
        if least <= 0.0 || least.is_infinite() {
            return Vec::new();
        }
        let x: Vec<f64> = firsts.iter().map(|&i| (j[i] / (j[i] - 0.9 * least)).ln()).collect();
        let tau = firsts.iter().zip(&x).map(|(&i, x)| t[i] / x).sum::<f64>() / x.len() as f64;
        super::grid(&[&[0.05, 0.3], &[2.0, 10.0]]).into_iter().map(|g| vec![tau, 0.9 * least, g[0], g[1] * tau]).collect()
    }

    fn simulate(&self, p: &[f64], sigma: f64, design: &Data, random: &mut Stream) -> Data {
        let j = design.col("J");
        let (mut a, mut times) = (0.0, Vec::new());
        for i in 0..design.rows() {
            a = if design.begins(i) { 0.0 } else { a };
            let t = passage(p, j[i], a) * (sigma * random.normal()).exp();
            a = a * (-t / p[3]).exp() + p[2];
            times.push(t);
        }
        design.with("t", times)
    }

    fn example(&self) -> Example {
        let (mut run, mut j) = (Vec::new(), Vec::new());
        for (r, x) in [1.1, 1.3, 2.0, 4.0, 8.0].iter().enumerate() {
            for _ in 0..15 {
                run.push(r as f64);
                j.push(x * 1e11);
            }
        }
        let t = vec![0.0; j.len()];
        Example {
            truth: vec![2e-9, 1e11, 0.15, 1.2e-8],
            sigma: 0.03,
            design: Data::new([("run", "1", run), ("J", "A/m^2", j), ("t", "s", t)]),
        }
    }
}
