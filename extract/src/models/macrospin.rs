//! A single-domain magnet: damping, the differences of its shape tensor, and the torque of a current.

use super::{About, Coefficient, Derived, Example, Model, Scatter, any, column, optional, positive, rk4, simulate_trace, span};
use crate::data::Data;
use spinloom_base::Dimension;
use spinloom_base::constants::GAMMA_LL;
use spinloom_base::random::Stream;
use spinloom_card::Kind;

/// The magnet, at (theta, phi) of its first row.
pub struct Macrospin;

fn cross(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

/// dm/dt = -gamma/(1 + alpha^2) [m x B + alpha m x (m x B)], B with the anisotropy of the shape and the damping-like torque of a current polarised
/// along z as the field a_J (m x z).
fn rate(p: &[f64], applied: [f64; 3], current: f64, m: &[f64; 3]) -> [f64; 3] {
    let torque = cross(*m, [0.0, 0.0, p[3] * current]);
    let b = [applied[0] + p[1] * m[0] + torque[0], applied[1] + p[2] * m[1] + torque[1], applied[2] + torque[2]];
    let turn = cross(*m, b);
    let damp = cross(*m, turn);
    std::array::from_fn(|i| -GAMMA_LL / (1.0 + p[0] * p[0]) * (turn[i] + p[0] * damp[i]))
}

impl Model for Macrospin {
    fn about(&self) -> About {
        const COEFFICIENTS: [Coefficient; 4] = [
            positive("alpha", "1", "ring-down over several periods"),
            any("D_x", "T", "ring-down about two axes, or in fields of several strengths"),
            any("D_y", "T", "ring-down about two axes, or in fields of several strengths"),
            any("a_J", "T {I}^-1", "ring-down at two or more currents").needs(&[("I", 2)]),
        ];
        About {
            name: "macrospin",
            kind: Kind::Magnet,
            equation: "dm/dt = -gamma m x B + alpha m x dm/dt, B = B_applied + (D_x m_x, D_y m_y, 0) + a_J I (m x z)",
            reference: "T. L. Gilbert, IEEE Trans. Magn. 40, 3443 (2004); torque of J. C. Slonczewski, J. Magn. Magn. Mater. 159, L1 (1996); D_x = mu0 Msat (N_z - N_x) of the tensor of J. A. Osborn, Phys. Rev. 67, 351 (1945), less crystal anisotropy",
            columns: const {
                &[
                    column("t", Some(Dimension::TIME), "time"),
                    column("axis", Some(Dimension::NONE), "component observed in the run: 0, 1, 2 for x, y, z"),
                    column("m", Some(Dimension::NONE), "that component"),
                    column("theta", Some(Dimension::NONE), "polar angle in the first row of the run"),
                    column("phi", Some(Dimension::NONE), "azimuth there"),
                    optional("I", Dimension::CURRENT, "current", 0.0),
                    optional("B_x", Dimension::FIELD, "field along x", 0.0),
                    optional("B_y", Dimension::FIELD, "field along y", 0.0),
                    optional("B_z", Dimension::FIELD, "field along z", 0.0),
                ]
            },
            coefficients: &COEFFICIENTS,
            scatter: Scatter::Normal("m"),
            derived: &[Derived { name: "D_x_minus_D_y", unit: "T", value: |p, _| p[1] - p[2], of: &[1, 2] }],
            axes: ["t", "m", "run"],
            open: &[
                "Msat, crystal anisotropy and the shape tensor apart: motion shows the differences D_x and D_y only; Msat by magnetometry and the dimensions give the rest",
            ],
        }
    }

    fn predict(&self, p: &[f64], data: &Data, mean: &mut [f64]) {
        let [t, axis, theta, phi, current, bx, by, bz] = ["t", "axis", "theta", "phi", "I", "B_x", "B_y", "B_z"].map(|n| data.col(n));
        let mut m = [0.0; 3];
        for i in 0..mean.len() {
            if data.begins(i) {
                let ((s, c), (sp, cp)) = (theta[i].sin_cos(), phi[i].sin_cos());
                m = [s * cp, s * sp, c];
            } else {
                let b = [bx[i], by[i], bz[i]];
                let dt = t[i] - t[i - 1];
                // A fifth of a radian of precession per step: errors of 0.2^5/120 each.
                let turn = GAMMA_LL * (b.iter().map(|b| b * b).sum::<f64>().sqrt() + p[1].abs() + p[2].abs() + (p[3] * current[i]).abs());
                let steps = (dt * turn / 0.2).ceil().clamp(1.0, 200.0);
                for _ in 0..steps as usize {
                    m = rk4(m, dt / steps, |m| rate(p, b, current[i], m));
                    let norm = m.iter().map(|x| x * x).sum::<f64>().sqrt();
                    m = m.map(|x| x / norm);
                }
            }
            mean[i] = m[axis[i] as usize % 3];
        }
    }

    fn starts(&self, data: &Data) -> Vec<Vec<f64>> {
        // The fundamental of a ring-down is the crossing rate of its mean; gamma times the mean field.
        let (t, m, current) = (data.col("t"), data.col("m"), data.col("I"));
        let fields: Vec<f64> =
            (0..t.len()).map(|i| ["B_x", "B_y", "B_z"].iter().map(|n| data.col(n)[i].powi(2)).sum::<f64>().sqrt()).collect();
        let typical = span(&fields)[1].max(0.02);
        let strongest = current.iter().fold(0.0, |m: f64, i| m.max(i.abs()));
        if t.len() < 4 || span(m)[0] == span(m)[1] {
            return Vec::new();
        }
        let size = [-0.8, -0.25, 0.25].map(|s| s * typical);
        super::grid(&[&[0.01, 0.06], &size, &size])
            .into_iter()
            .map(|g| vec![g[0], g[1], g[2], if strongest > 0.0 { 0.01 * typical / strongest } else { 1.0 }])
            .collect()
    }

    fn simulate(&self, p: &[f64], sigma: f64, design: &Data, random: &mut Stream) -> Data {
        simulate_trace(self, "m", p, sigma, design, random)
    }

    fn example(&self) -> Example {
        let names = ["run", "t", "axis", "m", "theta", "phi", "I", "B_x", "B_y", "B_z"];
        let mut columns = vec![Vec::new(); names.len()];
        for (r, (current, field, axis, theta, phi)) in
            [(0.0, [0.0, 0.0, 0.2], 0.0, 0.4, 0.0), (0.0, [0.25, 0.0, 0.0], 1.0, 1.4, 0.3), (1e-3, [0.0, 0.0, 0.2], 0.0, 0.3, 0.5)]
                .into_iter()
                .enumerate()
        {
            for i in 0..=40 {
                let row = [r as f64, f64::from(i) * 2.5e-11, axis, 0.0, theta, phi, current, field[0], field[1], field[2]];
                row.into_iter().zip(&mut columns).for_each(|(x, c)| c.push(x));
            }
        }
        let units = ["1", "s", "1", "1", "1", "1", "A", "T", "T", "T"];
        let design = Data::new(names.iter().zip(units).zip(columns).map(|((n, u), c)| (*n, u, c)));
        Example { truth: vec![0.03, -0.06, 0.04, 2.0], sigma: 0.01, design }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_isotropic_magnet_precesses_and_falls_in_closed_form() {
        // tan(theta/2) = tan(theta_0/2) exp[-alpha gamma B t/(1 + alpha^2)], phi = gamma B t/(1 + alpha^2).
        let (alpha, field, time) = (0.1, 0.5, 2e-11);
        let mut m = [1.0f64.sin(), 0.0, 1.0f64.cos()];
        for _ in 0..200 {
            m = rk4(m, time / 200.0, |m| rate(&[alpha, 0.0, 0.0, 0.0], [0.0, 0.0, field], 0.0, m));
        }
        let turned = GAMMA_LL * field * time / (1.0 + alpha * alpha);
        let theta = 2.0 * ((0.5f64).tan() * (-alpha * turned).exp()).atan();
        // Steps of 9 mrad: (9e-3)^4.
        assert!((m[2] - theta.cos()).abs() < 1e-8 && (m[0] - theta.sin() * turned.cos()).abs() < 1e-7, "{m:?}");
    }
}
