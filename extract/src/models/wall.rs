//! A domain wall by collective coordinates, driven by spin-orbit torque and fields: position and angle, and the same with a width that follows the angle, a tilt and a pinning.

use super::{About, Coefficient, Derived, Example, Input, Model, Scatter, column, optional, positive, rk4, simulate_trace, span};
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

const COLUMNS: [Input; 9] = [
    column("t", Some(Dimension::TIME), "time"),
    column("J", None, "drive over the interval that ends here"),
    column("q", Some(Dimension::LENGTH), "position of the wall"),
    optional("B_z", Dimension::FIELD, "field along z, a restoring exchange field included", 0.0),
    optional("B_x", Dimension::FIELD, "field along the track", 0.0),
    optional("B_y", Dimension::FIELD, "field across the track", 0.0),
    optional("B_K", Dimension::FIELD, "anisotropy field of the wall's own shape", 0.0),
    column("width", Some(Dimension::LENGTH), "width of the track"),
    column("pitch", Some(Dimension::LENGTH), "distance of the places that pin (notches, grains)"),
];

/// Position q, angle phi, tilt and width of a wall that something pins; it rests in a well, a Néel wall without tilt, in the first row of a run.
///
/// Derived here from the energy of a wall of profile theta = 2 arctan exp[((x - q) cos chi + y sin chi)/Delta] and Rayleigh's dissipation, as the cited works do; with psi = phi - chi and all
/// fields in tesla, energy per area over Msat:
///
///   s = B_u (Delta_0^2/Delta + Delta) + Delta B_K cos^2 psi - pi [Delta_0 B_DMI cos psi + Delta (B_x cos phi + B_y sin phi)],  B_u = 2 K_eff/Msat
///
/// (1 + alpha^2) q' cos chi = (gamma/2) ds/dphi + alpha Delta P, (1 + alpha^2) phi' = P - alpha (gamma/2 Delta) ds/dphi with P = gamma [B_z + B_pin(q) + (pi/2) chi_SO J cos phi];
/// alpha chi' (width/cos chi)^2/(6 gamma Delta) = -(s tan chi + ds/dchi). The width's own time, alpha pi^2/(12 gamma B_u), is below a picosecond: it is where ds/dDelta = 0.
pub struct Tilted;

/// What of the conditions counts over one interval.
struct Conditions {
    b: [f64; 3],
    in_plane: f64,
    torque: f64,
    track: f64,
    pitch: f64,
    rest: f64,
}

/// Delta, s over Msat, and its derivatives by phi and by chi.
fn tension(p: &[f64], c: &Conditions, phi: f64, chi: f64) -> [f64; 4] {
    let [rest, dmi, hard] = [p[1], p[2], p[4]];
    let (sin, cos) = (phi - chi).sin_cos();
    let along = c.b[0] * phi.cos() + c.b[1] * phi.sin();
    // Where it would spread without limit, fields in the plane have taken the anisotropy away and there is no wall left.
    let stiff = (hard + c.in_plane * cos * cos - std::f64::consts::PI * along).max(0.05 * hard);
    let width = rest * (hard / stiff).sqrt();
    let s = hard * rest * rest / width + stiff * width - std::f64::consts::PI * rest * dmi * cos;
    // Of psi alone, and of phi by the fields besides.
    let own = -width * c.in_plane * 2.0 * sin * cos + std::f64::consts::PI * rest * dmi * sin;
    let fields = std::f64::consts::PI * width * (c.b[0] * phi.sin() - c.b[1] * phi.cos());
    [width, s, own + fields, -own]
}

/// One step of position and angle at fixed tilt, and of the tilt at fixed angle: by its own linear rate, which may be much faster than the rest.
fn tilted(p: &[f64], c: &Conditions, [q, phi, chi]: [f64; 3], dt: f64) -> [f64; 3] {
    let alpha = p[0];
    let [q, phi] = rk4([q, phi], dt, |y| {
        let [width, _, turn, _] = tension(p, c, y[1], chi);
        let (turn, norm) = (0.5 * GAMMA_LL * turn, 1.0 / (1.0 + alpha * alpha));
        let pinned = -p[5] * (std::f64::consts::TAU * (y[0] - c.rest) / c.pitch).sin();
        let push = GAMMA_LL * (c.b[2] + pinned + FRAC_PI_2 * c.torque * y[1].cos());
        [norm * (turn + alpha * width * push) / chi.cos(), norm * (push - alpha * turn / width)]
    });
    let force = |chi: f64| {
        let [width, s, _, own] = tension(p, c, phi, chi);
        -6.0 * GAMMA_LL * width * (chi.cos() / c.track).powi(2) / alpha * (s * chi.tan() + own)
    };
    const STEP: f64 = 1e-4;
    let slope = (force(chi + STEP) - force(chi - STEP)) / (2.0 * STEP);
    let share = if slope.abs() * dt < 1e-6 { dt } else { (slope * dt).min(0.0).exp_m1() / slope };
    // A wall along the track is none: the law ends before.
    [q, phi, (chi + share * force(chi)).clamp(-1.2, 1.2)]
}

impl Model for Tilted {
    fn about(&self) -> About {
        const IN_PLANE: &str = "the same pulses in two or more known fields along the track, which add to B_DMI";
        const COEFFICIENTS: [Coefficient; 6] = [
            positive("alpha", "1", IN_PLANE).needs(&[("B_x", 2)]),
            positive("Delta", "m", IN_PLANE).needs(&[("B_x", 2)]),
            positive("B_DMI", "T", IN_PLANE).needs(&[("B_x", 2)]),
            positive("chi", "T {J}^-1", "the first part of pulses at two or more drives").needs(&[("J", 2)]),
            positive("B_u", "T", "strong pulses on a wide track, which tilt the wall, or fields along the track that widen it"),
            positive("B_pin", "T", "drives just above and below depinning, sampled while the wall crosses a few pitches"),
        ];
        About {
            name: "wall-q-phi-chi-delta",
            kind: Kind::Synapse,
            equation: "as wall-q-phi, with Delta^2 = Delta_0^2 B_u/[B_u + B_K cos^2(phi - tilt) - pi (B_x cos phi + B_y sin phi)], a tilt that the tension 2 Delta B_u - pi Delta_0 B_DMI cos(phi - tilt) holds, and B_pin sin[2 pi (q - q_0)/pitch] against B_z",
            reference: "A. Thiaville et al., J. Magn. Magn. Mater. 242-245, 1061 (2002) (width); O. Boulle et al., Phys. Rev. Lett. 111, 217203 (2013) (tilt); E. Martinez et al., Phys. Rev. B 77, 144417 (2008) (periodic pinning)",
            columns: &COLUMNS,
            coefficients: &COEFFICIENTS,
            scatter: Scatter::Normal("q"),
            derived: &[Derived { name: "saturation_velocity", unit: "m s^-1", value: |p, _| GAMMA_LL * FRAC_PI_2 * p[1] * p[2], of: &[] }],
            axes: ["t", "q", "run"],
            open: &[
                "Msat, Aex, Ku1 and D apart: the wall shows Delta, B_DMI = D/(Msat Delta), B_u = 2 K_eff/Msat and chi only",
                "walls that twist: angle and tilt are the same across the track",
            ],
        }
    }

    fn predict(&self, p: &[f64], data: &Data, mean: &mut [f64]) {
        let [t, j, q, bz, bx, by, bk, track, pitch] = COLUMNS.map(|c| data.col(c.name));
        let mut y = [0.0; 3];
        let mut rest = 0.0;
        for i in 0..mean.len() {
            if data.begins(i) {
                (y, rest) = ([q[i], 0.0, 0.0], q[i]);
            } else {
                let c =
                    Conditions { b: [bx[i], by[i], bz[i]], in_plane: bk[i], torque: p[3] * j[i], track: track[i], pitch: pitch[i], rest };
                let dt = t[i] - t[i - 1];
                // A tenth of a turn or so of precession per step, and a tenth of a pitch at the speed of saturation: 1e-3 of the way.
                let turn = GAMMA_LL * (bk[i] + FRAC_PI_2 * (bx[i].abs() + by[i].abs() + p[2] + c.torque.abs()) + bz[i].abs() + p[5]);
                let passed = GAMMA_LL * FRAC_PI_2 * p[1] * (p[2] + bx[i].abs()) / (0.25 * c.pitch);
                let steps = (dt * turn.max(passed) / 0.4).ceil().clamp(1.0, 1000.0);
                for _ in 0..steps as usize {
                    y = tilted(p, &c, y, dt / steps);
                }
            }
            mean[i] = y[0];
        }
    }

    fn starts(&self, data: &Data) -> Vec<Vec<f64>> {
        // Where the plain wall fits best: a smooth landscape that costs little, while each pitch makes a valley of its own here. Tension shows late and begins as a few times B_DMI; a wall that
        // is held where the record's is not, or the other way about, leads nowhere: so there are many strengths of pins, of which the best are followed.
        let plain = crate::estimate::searched(&Wall, data).map_or_else(|| Wall.starts(data), |p| vec![p]);
        let pins: Vec<f64> = (0..16).map(|i| 0.005 * 1.27_f64.powi(i)).collect();
        plain.iter().flat_map(|s| pins.iter().map(|pin| [s.as_slice(), &[3.0 * s[2], pin * s[2]]].concat())).collect()
    }

    fn simulate(&self, p: &[f64], sigma: f64, design: &Data, random: &mut Stream) -> Data {
        simulate_trace(self, "q", p, sigma, design, random)
    }

    fn example(&self) -> Example {
        let mut rows: [Vec<f64>; 5] = Default::default();
        for (r, (current, field, along)) in
            [(8e10, 0.0, 0.0), (3e11, 0.0, 0.06), (8e11, 0.0, -0.03), (0.0, 9e-3, 0.1)].into_iter().enumerate()
        {
            for i in 0..=30 {
                let on = i <= 18;
                let row = [r as f64, f64::from(i) * 1e-10, if on { current } else { 0.0 }, if on { field } else { 0.0 }, along];
                rows.iter_mut().zip(row).for_each(|(c, x)| c.push(x));
            }
        }
        let n = rows[0].len();
        let [run, t, j, bz, bx] = rows;
        let same = |x: f64| vec![x; n];
        let design = Data::new([
            ("run", "1", run),
            ("t", "s", t),
            ("J", "A/m^2", j),
            ("q", "m", same(0.0)),
            ("B_z", "T", bz),
            ("B_x", "T", bx),
            ("B_y", "T", same(0.0)),
            ("B_K", "T", same(0.03)),
            ("width", "m", same(160e-9)),
            ("pitch", "m", same(30e-9)),
        ]);
        Example { truth: vec![0.1, 6.35e-9, 0.12, 3e-14, 0.5, 4e-3], sigma: 5e-10, design }
    }
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
            columns: COLUMNS.split_at(7).0,
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
                "pinning, tilt and a width that changes: `wall-q-phi-chi-delta` has them",
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

    #[test]
    fn a_stiff_narrow_unpinned_wall_is_the_plain_one() {
        let e = Tilted.example();
        let (mut p, n) = (e.truth.clone(), e.design.rows());
        let mut design = e.design.with("width", vec![1e-9; n]).with("B_K", vec![0.0; n]);
        (p[4], p[5]) = (1e4, 1e-12);
        let (mut full, mut plain) = (vec![0.0; n], vec![0.0; n]);
        Tilted.predict(&p, &design, &mut full);
        Wall.predict(&p[..4], &design, &mut plain);
        let reach = plain.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
        assert!(full.iter().zip(&plain).all(|(a, b)| (a - b).abs() < 1e-3 * reach), "{full:?} {plain:?}");
        // A field below the pinning moves it within its well, one above it out.
        p = e.truth;
        for (field, leaves) in [(3e-3, false), (6e-3, true)] {
            design = e.design.with("J", vec![0.0; n]).with("B_z", vec![field; n]);
            Tilted.predict(&p, &design, &mut full);
            assert_eq!(full[30] > 30e-9, leaves, "{field}: {}", full[30]);
        }
    }

    #[test]
    fn a_field_across_the_track_tilts_the_wall_to_the_least_energy() {
        let p = [0.1, 6.35e-9, 0.12, 0.0, 0.5, 1e-9];
        let c = Conditions { b: [0.0, 0.08, 0.0], in_plane: 0.03, torque: 0.0, track: 100e-9, pitch: 1.0, rest: 0.0 };
        let mut y = [0.0; 3];
        for _ in 0..400_000 {
            y = tilted(&p, &c, y, 1e-13);
        }
        // The energy of the whole wall, s/cos chi, over a fine grid.
        let mut least = (f64::INFINITY, 0.0, 0.0);
        for a in -300..=300 {
            for b in -300..=300 {
                let (phi, chi) = (f64::from(a) * 4e-3, f64::from(b) * 4e-3);
                let e = tension(&p, &c, phi, chi)[1] / chi.cos();
                if e < least.0 {
                    least = (e, phi, chi);
                }
            }
        }
        assert!(y[2].abs() > 0.05 && (y[1] - least.1).abs() < 5e-3 && (y[2] - least.2).abs() < 5e-3, "{y:?} {least:?}");
        // The derivatives are those of the energy, the width's own included, since it is stationary there.
        let h = 1e-6;
        let [_, _, by_phi, by_chi] = tension(&p, &c, 0.3, 0.2);
        let e = |phi: f64, chi: f64| tension(&p, &c, phi, chi)[1];
        assert!(((e(0.3 + h, 0.2) - e(0.3 - h, 0.2)) / (2.0 * h) / by_phi - 1.0).abs() < 1e-6);
        assert!(((e(0.3, 0.2 + h) - e(0.3, 0.2 - h)) / (2.0 * h) / by_chi - 1.0).abs() < 1e-6);
    }
}
