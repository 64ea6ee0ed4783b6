//! A domain wall as a body with a driving force and friction, both of which grow with the current.

use super::{About, Coefficient, Derived, Example, Model, Scatter, any, column, positive, simulate_trace, span};
use crate::data::Data;
use spinloom_base::Dimension;
use spinloom_base::random::Stream;
use spinloom_card::Kind;

/// The kinematic model.
pub struct Kinematic;

impl Model for Kinematic {
    fn about(&self) -> About {
        const COEFFICIENTS: [Coefficient; 4] = [
            positive("k_1", "m s^-2 {J}^-1", "the first part of pulses at two or more currents"),
            any("k_2", "m s^-2 {J}^-2", "the first part of pulses at three or more currents").needs(&[("J", 3)]),
            positive("d_0", "s^-1", "coasting after the end of a pulse"),
            positive("d_1", "s^-1 {J}^-1", "pulses long enough to reach a steady velocity at two or more currents").needs(&[("J", 3)]),
        ];
        About {
            name: "wall-kinematic",
            kind: Kind::Synapse,
            equation: "dv/dt = sign(J) (k_1 |J| + k_2 J^2) - (d_0 + d_1 |J|) v, dq/dt = v",
            reference: "arXiv 2406.00225 (kinematic model of domain-wall motion), driving force to second order in the current",
            columns: const {
                &[
                    column("t", Some(Dimension::TIME), "time"),
                    column("J", None, "drive over the interval that ends here"),
                    column("q", Some(Dimension::LENGTH), "position of the wall, at rest in the first row of a run"),
                ]
            },
            coefficients: &COEFFICIENTS,
            scatter: Scatter::Normal("q"),
            derived: &[
                Derived { name: "coasting_time", unit: "s", value: |p, _| 1.0 / p[2], of: &[2] },
                Derived {
                    name: "largest_steady_velocity",
                    unit: "m s^-1",
                    value: |p, d| steady(p, d.col("J").iter().fold(0.0, |m: f64, j| m.max(j.abs()))),
                    of: &[],
                },
            ],
            axes: ["t", "q", "run"],
            open: &["static friction: no current here was too weak to move the wall"],
        }
    }

    fn predict(&self, p: &[f64], data: &Data, mean: &mut [f64]) {
        let (t, j, q) = (data.col("t"), data.col("J"), data.col("q"));
        let (mut x, mut v) = (0.0, 0.0);
        for i in 0..mean.len() {
            if data.begins(i) {
                (x, v) = (q[i], 0.0);
            } else {
                // Exact: the velocity relaxes exponentially to its steady value.
                let (dt, friction) = (t[i] - t[i - 1], p[2] + p[3] * j[i].abs());
                let end = j[i].signum() * steady(p, j[i].abs());
                let gone = -(-friction * dt).exp_m1();
                x += end * dt + (v - end) * gone / friction;
                v = end + (v - end) * (1.0 - gone);
            }
            mean[i] = x;
        }
    }

    fn starts(&self, data: &Data) -> Vec<Vec<f64>> {
        let (t, j, q) = (data.col("t"), data.col("J"), data.col("q"));
        let largest = j.iter().fold(0.0, |m: f64, j| m.max(j.abs()));
        let moved: Vec<f64> = (1..t.len())
            .filter(|&i| !data.begins(i) && j[i].abs() > 0.5 * largest && t[i] > t[i - 1])
            .map(|i| (q[i] - q[i - 1]) / (t[i] - t[i - 1]) / j[i])
            .collect();
        let mobility = moved.iter().sum::<f64>() / moved.len() as f64;
        let whole = span(t)[1] - span(t)[0];
        if mobility.is_nan() || mobility <= 0.0 {
            return Vec::new();
        }
        // Friction of a tenth to a hundredth of the record, of which a part is the current's.
        [5.0, 15.0, 50.0]
            .iter()
            .map(|f| f / whole)
            .map(|d| vec![1.3 * mobility * d, 0.05 * mobility * d / largest, d, 0.3 * d / largest])
            .collect()
    }

    fn simulate(&self, p: &[f64], sigma: f64, design: &Data, random: &mut Stream) -> Data {
        simulate_trace(self, "q", p, sigma, design, random)
    }

    fn example(&self) -> Example {
        let (mut run, mut t, mut j) = (Vec::new(), Vec::new(), Vec::new());
        for (r, current) in [2e11, 4e11, 6e11, 8e11].into_iter().enumerate() {
            for i in 0..=60 {
                run.push(r as f64);
                t.push(f64::from(i) * 1e-10);
                j.push(if i <= 30 { current } else { 0.0 });
            }
        }
        let q = vec![0.0; t.len()];
        // 1 GHz of friction; 7e11 A/m^2 reaches some 150 m/s.
        Example {
            truth: vec![0.4, -1.5e-13, 1.2e9, 8e-4],
            sigma: 5e-10,
            design: Data::new([("run", "1", run), ("t", "s", t), ("J", "A/m^2", j), ("q", "m", q)]),
        }
    }
}

/// Velocity at which force and friction balance.
fn steady(p: &[f64], current: f64) -> f64 {
    (p[0] * current + p[1] * current * current) / (p[2] + p[3] * current)
}
