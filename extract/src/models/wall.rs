//! A domain wall by collective coordinates: position and angle, driven by spin-orbit torque and fields.

use super::{About, Coefficient, Derived, Example, Model, Scatter, column, optional, positive, rk4, simulate_trace, span};
use crate::data::Data;
use spinloom_base::Dimension;
use spinloom_base::constants::GAMMA_LL;
use spinloom_base::random::Stream;
use spinloom_card::Kind;
use std::f64::consts::FRAC_PI_2;

/// Position q and angle phi; the wall is a Néel wall (phi = 0) in the first row of a run.
pub struct Wall;

/// Rates of q and phi: as in Thiaville et al. (2012), fields in tesla. `b` = x, y, z components of the field and the spin-orbit field.
fn rates(alpha: f64, width: f64, dmi: f64, in_plane: f64, b: &[f64; 4], phi: f64) -> [f64; 2] {
    let (sin, cos) = phi.sin_cos();
    let turn = GAMMA_LL * (-in_plane * sin * cos - FRAC_PI_2 * b[1] * cos + FRAC_PI_2 * (b[0] + dmi) * sin);
    let push = GAMMA_LL * (b[2] + FRAC_PI_2 * b[3] * cos);
    let norm = 1.0 / (1.0 + alpha * alpha);
    [norm * width * (turn + alpha * push), norm * (push - alpha * turn)]
}

impl Model for Wall {
    fn about(&self) -> About {
        // Without a known field along the track only Delta B_DMI (saturation), alpha B_DMI (relaxation) and chi show, but for terms of order alpha^2.
        const IN_PLANE: &str = "the same pulses in two or more known fields along the track, which add to B_DMI";
        const COEFFICIENTS: [Coefficient; 4] = [
            positive("alpha", "1", IN_PLANE).needs(&[("B_x", 2)]),
            positive("Delta", "m", IN_PLANE).needs(&[("B_x", 2)]),
            positive("B_DMI", "T", IN_PLANE).needs(&[("B_x", 2)]),
            positive("chi", "T {J}^-1", "the first part of pulses at two or more drives").needs(&[("J", 2)]),
        ];
        About {
            name: "wall-q-phi",
            kind: Kind::Synapse,
            equation: "(1 + alpha^2) dq/dt = Delta (G_a + alpha G_b), (1 + alpha^2) dphi/dt = G_b - alpha G_a; G_a = gamma [-B_K sin(2 phi)/2 - (pi/2) B_y cos phi + (pi/2) (B_x + B_DMI) sin phi], G_b = gamma [B_z + (pi/2) chi J cos phi]",
            reference: "A. Thiaville et al., EPL 100, 57002 (2012); in-plane fields as in E. Martinez et al., J. Appl. Phys. 115, 213909 (2014)",
            columns: const {
                &[
                    column("t", Some(Dimension::TIME), "time"),
                    column("J", None, "drive over the interval that ends here"),
                    column("q", Some(Dimension::LENGTH), "position of the wall"),
                    optional("B_z", Dimension::FIELD, "field along z, a restoring exchange field included", 0.0),
                    optional("B_x", Dimension::FIELD, "field along the track", 0.0),
                    optional("B_y", Dimension::FIELD, "field across the track", 0.0),
                    optional("B_K", Dimension::FIELD, "anisotropy field of the wall's own shape", 0.0),
                ]
            },
            coefficients: &COEFFICIENTS,
            scatter: Scatter::Normal("q"),
            derived: &[
                Derived { name: "saturation_velocity", unit: "m s^-1", value: |p, _| GAMMA_LL * FRAC_PI_2 * p[1] * p[2], of: &[] },
                Derived {
                    name: "spin_orbit_mobility",
                    unit: "m s^-1 {J}^-1",
                    value: |p, _| GAMMA_LL * FRAC_PI_2 * p[1] * p[3] / p[0],
                    of: &[],
                },
            ],
            axes: ["t", "q", "run"],
            open: &[
                "Msat, Aex, Ku1 and D apart: the wall shows Delta, B_DMI = D/(Msat Delta) and chi only",
                "pinning: no drive here was too weak to move the wall",
            ],
        }
    }

    fn predict(&self, p: &[f64], data: &Data, mean: &mut [f64]) {
        let [t, j, q, bz, bx, by, bk] = ["t", "J", "q", "B_z", "B_x", "B_y", "B_K"].map(|n| data.col(n));
        let mut y = [0.0; 2];
        for i in 0..mean.len() {
            if data.begins(i) {
                y = [q[i], 0.0];
            } else {
                let b = [bx[i], by[i], bz[i], p[3] * j[i]];
                // A twentieth of a radian of precession per step: (0.05)^4 of error each.
                let dt = t[i] - t[i - 1];
                let turn = GAMMA_LL * (bk[i] + FRAC_PI_2 * (bx[i].abs() + by[i].abs() + p[2] + b[3].abs()) + bz[i].abs());
                let steps = (dt * turn / 0.2).ceil().clamp(1.0, 1000.0);
                for _ in 0..steps as usize {
                    y = rk4(y, dt / steps, |y| rates(p[0], p[1], p[2], bk[i], &b, y[1]));
                }
            }
            mean[i] = y[0];
        }
    }

    fn starts(&self, data: &Data) -> Vec<Vec<f64>> {
        let (t, j, q) = (data.col("t"), data.col("J"), data.col("q"));
        let speeds: Vec<(f64, f64)> = (1..t.len())
            .filter(|&i| !data.begins(i) && t[i] > t[i - 1] && j[i] != 0.0)
            .map(|i| (j[i], ((q[i] - q[i - 1]) / (t[i] - t[i - 1])).abs()))
            .collect();
        let fastest = span(&speeds.iter().map(|s| s.1).collect::<Vec<_>>())[1];
        let strongest = speeds.iter().fold(0.0, |m: f64, s| m.max(s.0.abs()));
        if fastest.is_nan() || fastest <= 0.0 || strongest == 0.0 {
            return Vec::new();
        }
        // The fastest motion is near saturation, gamma (pi/2) Delta B_DMI, at a spin-orbit field of the size of alpha B_DMI or more.
        super::grid(&[&[0.01, 0.05, 0.2], &[3e-9, 1e-8]])
            .into_iter()
            .map(|g| {
                let dmi = 1.3 * fastest / (GAMMA_LL * FRAC_PI_2 * g[1]);
                vec![g[0], g[1], dmi, g[0] * dmi / strongest]
            })
            .collect()
    }

    fn simulate(&self, p: &[f64], sigma: f64, design: &Data, random: &mut Stream) -> Data {
        simulate_trace(self, "q", p, sigma, design, random)
    }

    fn example(&self) -> Example {
        let (mut run, mut t, mut j, mut bz, mut bx) = (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (r, (current, field, along)) in
            [(1e11, 0.0, 0.0), (3e11, 0.0, 0.06), (8e11, 0.0, -0.03), (0.0, 5e-3, 0.1)].into_iter().enumerate()
        {
            for i in 0..=30 {
                run.push(r as f64);
                t.push(f64::from(i) * 1e-10);
                j.push(if i <= 15 { current } else { 0.0 });
                bz.push(if i <= 15 { field } else { 0.0 });
                bx.push(along);
            }
        }
        let zero = || vec![0.0; t.len()];
        let design = Data::new([
            ("run", "1", run),
            ("t", "s", t.clone()),
            ("J", "A/m^2", j),
            ("q", "m", zero()),
            ("B_z", "T", bz),
            ("B_x", "T", bx),
            ("B_y", "T", zero()),
            ("B_K", "T", zero()),
        ]);
        Example { truth: vec![0.05, 6.35e-9, 0.079, 3e-14], sigma: 5e-10, design }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steady_velocity_is_that_of_the_closed_form() {
        // v = gamma (pi/2) Delta B_DMI/sqrt(1 + (alpha B_DMI/B_SHE)^2), Thiaville et al. (2012): of the angle at which the torques balance.
        let (alpha, width, dmi, torque) = (0.05, 6.35e-9, 0.079, 3e-3);
        let mut y = [0.0, 0.0];
        for _ in 0..20_000 {
            y = rk4(y, 1e-12, |y| rates(alpha, width, dmi, 0.0, &[0.0, 0.0, 0.0, torque], y[1]));
        }
        let v = rates(alpha, width, dmi, 0.0, &[0.0, 0.0, 0.0, torque], y[1])[0];
        let closed = GAMMA_LL * FRAC_PI_2 * width * dmi / (1.0 + (alpha * dmi / torque).powi(2)).sqrt();
        // Twenty times the time constant of 0.9 ns.
        assert!((v / closed - 1.0).abs() < 1e-6, "{v} {closed}");
    }
}
