//! A membrane with inertia: what a magnet below critical damping is, and the rival of every first-order neuron.

use super::{About, Derived, Example, Model, Scatter, any, column, positive, simulate_trace, span};
use crate::data::Data;
use spinloom_base::Dimension;
use spinloom_base::random::Stream;
use spinloom_card::Kind;

/// The damped oscillator.
pub struct SecondOrder;

/// Displacement and velocity after `t` without drive: exact for all damping. With s = omega sqrt|zeta^2 - 1|, cosh and sinh become cos and sin below
/// critical damping, and sinh(st)/s tends to t at it.
fn free(omega: f64, zeta: f64, x: f64, v: f64, t: f64) -> [f64; 2] {
    let square = omega * omega * (zeta * zeta - 1.0);
    let s = square.abs().sqrt();
    let (c, slope) = if s * t < 1e-6 {
        (1.0, t)
    } else if square > 0.0 {
        ((s * t).cosh(), (s * t).sinh() / s)
    } else {
        ((s * t).cos(), (s * t).sin() / s)
    };
    let decay = (-zeta * omega * t).exp();
    let drift = v + zeta * omega * x;
    [decay * (x * c + drift * slope), decay * (v * c - (omega * omega * x + zeta * omega * v) * slope)]
}

impl Model for SecondOrder {
    fn about(&self) -> About {
        About {
            name: "lif-second-order",
            kind: Kind::Neuron,
            equation: "d2u/dt2 + 2 zeta omega du/dt + omega^2 u = omega^2 g J; over-damped, tau_leak = 2 zeta/omega to first order",
            reference: "linearised LLG equation about a stable state, C. Kittel, Phys. Rev. 73, 155 (1948)",
            columns: const {
                &[
                    column("t", Some(Dimension::TIME), "time"),
                    column("J", None, "drive over the interval that ends here"),
                    column("u", Some(Dimension::NONE), "membrane, at rest in the first row of a run"),
                ]
            },
            coefficients: const {
                &[
                    positive("omega", "s^-1", "a step of the drive, sampled several times per period").stage(2),
                    positive("zeta", "1", "a step of the drive, until the membrane has settled").stage(2),
                    any("g", "{J}^-1", "a steady drive"),
                ]
            },
            scatter: Scatter::Normal("u"),
            derived: &[
                Derived {
                    name: "frequency",
                    unit: "s^-1",
                    value: |p, _| p[0] * (1.0 - p[1] * p[1]).max(0.0).sqrt() / std::f64::consts::TAU,
                    of: &[0, 1],
                },
                Derived { name: "tau_first_order", unit: "s", value: |p, _| 2.0 * p[1] / p[0], of: &[0, 1] },
            ],
            axes: ["t", "u", "run"],
            open: &[],
        }
    }

    fn predict(&self, p: &[f64], data: &Data, mean: &mut [f64]) {
        let (t, j, u) = (data.col("t"), data.col("J"), data.col("u"));
        let (mut x, mut v) = (0.0, 0.0);
        for i in 0..mean.len() {
            if data.begins(i) {
                (x, v) = (u[i], 0.0);
            } else {
                let rest = p[2] * j[i];
                [x, v] = free(p[0], p[1], x - rest, v, t[i] - t[i - 1]);
                x += rest;
            }
            mean[i] = x;
        }
    }

    fn starts(&self, data: &Data) -> Vec<Vec<f64>> {
        let (t, j, u) = (data.col("t"), data.col("J"), data.col("u"));
        // At the most driven rows the membrane has come some way to g J.
        let largest = j.iter().fold(0.0, |m: f64, j| m.max(j.abs()));
        let driven: Vec<f64> = (0..u.len()).filter(|&i| j[i].abs() > 0.5 * largest).map(|i| u[i] / j[i]).collect();
        let gain = driven.iter().sum::<f64>() / driven.len() as f64;
        let steps: Vec<f64> = (1..t.len()).filter(|&i| !data.begins(i)).map(|i| t[i] - t[i - 1]).filter(|d| *d > 0.0).collect();
        let (step, whole) = (steps.iter().sum::<f64>() / steps.len() as f64, span(t)[1] - span(t)[0]);
        if !gain.is_finite() || gain == 0.0 || !step.is_finite() {
            return Vec::new();
        }
        let [slow, fast] = [3.0 / whole, 1.5 / step];
        let at = |share: f64| slow * (fast / slow).powf(share);
        super::grid(&[&[0.2, 0.35, 0.5, 0.65, 0.8, 0.95], &[0.1, 0.7, 2.0]]).into_iter().map(|g| vec![at(g[0]), g[1], gain]).collect()
    }

    fn simulate(&self, p: &[f64], sigma: f64, design: &Data, random: &mut Stream) -> Data {
        simulate_trace(self, "u", p, sigma, design, random)
    }

    fn example(&self) -> Example {
        let (mut run, mut t, mut j) = (Vec::new(), Vec::new(), Vec::new());
        for r in 0..3 {
            for i in 0..=60 {
                run.push(f64::from(r));
                t.push(f64::from(i) * 2e-11);
                j.push(if i > 0 && i % 30 < 15 { 1e-3 * f64::from(r + 1) } else { 0.0 });
            }
        }
        let u = vec![0.0; t.len()];
        Example {
            truth: vec![2.1e10, 0.4, 250.0],
            sigma: 0.01,
            design: Data::new([("run", "1", run), ("t", "s", t), ("J", "A", j), ("u", "1", u)]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::rk4;

    #[test]
    fn the_closed_form_solves_the_equation_for_all_damping() {
        for zeta in [0.0, 0.4, 1.0, 3.0] {
            let mut y = [0.7, -0.2];
            for _ in 0..1000 {
                y = rk4(y, 2e-3, |y| [y[1], -2.0 * zeta * 1.5 * y[1] - 1.5 * 1.5 * y[0]]);
            }
            let closed = free(1.5, zeta, 0.7, -0.2, 2.0);
            // Fourth order: (1.5*3*2e-3)^4 of one.
            assert!((closed[0] - y[0]).abs() < 1e-8 && (closed[1] - y[1]).abs() < 1e-8, "{zeta}: {closed:?} {y:?}");
        }
    }
}
