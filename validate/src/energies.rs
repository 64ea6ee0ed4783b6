//! Exchange and anisotropy.

use crate::magnet::{Magnet, mean, set, settle, table};
use crate::trial::{Outcome, Tolerance, Trial, line, points};
use spinloom_kernels::{ParameterId as P, Term};
use std::f64::consts::TAU;

/// Spirals around a ring: the stencil's own energy, and how far it is from the continuum.
pub fn spirals(t: &mut Trial) -> Outcome {
    let (a, dx, n) = (13e-12, 2e-9, 72usize);
    let (mut angles, mut ours, mut continuum) = (vec![], vec![], vec![]);
    for turns in [1, 2, 4, 8, 12] {
        let k = TAU * f64::from(turns) / (n as f64 * dx);
        let mut sim = Magnet::new([n, 1, 1], [dx; 3], &[(P::Msat, 8e5), (P::Aex, a)])
            .periodic([1, 0, 0])
            .without_demag()
            .m(|[x, ..]| [(k * x).cos(), (k * x).sin(), 0.0])
            .on(t)?;
        let density = sim.energy(0, &[Term::Exchange]) / (n as f64 * dx.powi(3));
        let want = 2.0 * a / (dx * dx) * (1.0 - (k * dx).cos());
        let angle = (k * dx).to_degrees();
        t.check(
            format!("{angle} deg between neighbours: energy over that of the stencil"),
            density / want,
            1.0,
            Tolerance::of(1e-12, "closed form; roundings").single(2e-5, "differences of neighbours in f32"),
        );
        angles.push(angle);
        ours.push(density / (a * k * k));
        continuum.push((k * dx).cos().mul_add(-2.0, 2.0) / (k * dx).powi(2));
        if turns == 4 {
            t.check(
                "and over that of the continuum, A k^2",
                density / (a * k * k),
                0.99,
                Tolerance::of(1e-3, "1 % low at 20 deg: 1 - (k dx)^2/12"),
            );
        }
        t.count(&sim);
    }
    t.plot(
        "energy of a spiral over A k²",
        ("angle between neighbours (deg)", "1"),
        ("E/(A k²)", "1"),
        vec![line("here", &angles, &ours), points("stencil", &angles, &continuum)],
    );
    Ok(())
}

/// Sixteen given spins with four stiffnesses; the moments take no part.
pub fn inhomogeneous(t: &mut Trial) -> Outcome {
    let rows = table(include_str!("../reference/exchange_inhomogeneous_4x4.csv"));
    for (what, moments) in [("one Msat", [8e5, 8e5, 8e5]), ("Msat of each region", [8e5, 3e5, 1.2e6])] {
        let (right, low) = (|p: [f64; 3]| p[0] > 0.0 && p[1] > 0.0, |p: [f64; 3]| p[1] > 0.0);
        let mut sim = Magnet::new([4, 4, 1], [1.0; 3], &[(P::Msat, moments[0]), (P::Aex, 4.3)])
            .region(&[(P::Msat, moments[1]), (P::Aex, 1.6)], low)
            .region(&[(P::Msat, moments[2]), (P::Aex, 1.2)], right)
            .without_demag()
            .m(|p| {
                let row = &rows[4 * (p[1] + 1.5) as usize + (p[0] + 1.5) as usize];
                [row[2], row[3], row[4]]
            })
            .on(t)?;
        t.check(
            format!("exchange energy, {what} (J)"),
            sim.energy(0, &[Term::Exchange]),
            154.4891365,
            Tolerance::of(2e-6, "OOMMF; spins of nine digits").single(2e-4, "roundings of f32"),
        );
        t.count(&sim);
    }
    Ok(())
}

/// Densities of the anisotropies in given directions.
pub fn anisotropies(t: &mut Trial) -> Outcome {
    let (s, c) = (|deg: f64| deg.to_radians().sin(), |deg: f64| deg.to_radians().cos());
    let in_plane = [c(17.0), s(17.0), 0.0];
    let oblique = [s(11.0) * c(23.0), s(11.0) * s(23.0), c(11.0)];
    // Products of squared direction cosines.
    let [x, y, z] = oblique.map(|m| m * m);
    for (parameter, m, exact, quoted) in [
        (P::Ku1, in_plane, -1e6 * c(17.0).powi(2), -914519.0),
        (P::Ku2, in_plane, -1e6 * c(17.0).powi(4), -836344.9),
        (P::Kc1, oblique, 1e6 * (x * y + y * z + z * x), 35254.016),
        (P::Kc2, oblique, 1e6 * x * y * z, 165.2331),
        (P::Kc3, oblique, 1e6 * (x * x * y * y + y * y * z * z + z * z * x * x), 912.3795),
    ] {
        let mut sim = Magnet::new([2, 2, 1], [1e-9; 3], &[(P::Msat, 8e5), (parameter, 1e6)])
            .vector(P::AnisU, [1.0, 0.0, 0.0])
            .without_demag()
            .m(|_| m)
            .on(t)?;
        let density = sim.total_energy(0) / 4e-27;
        let name = parameter.info().name;
        let rounding = 4e-7 * 1e6 * if matches!(parameter, P::Ku1 | P::Ku2) { 1.0 } else { 0.1 };
        t.check(
            format!("{name}: density (J/m3)"),
            density,
            exact,
            Tolerance::of(1e-9 * exact.abs(), "closed form").single(rounding, "roundings of f32, of 1 MJ/m3"),
        );
        t.check(
            format!("{name}: density, as mumax3 tests it (J/m3)"),
            density,
            quoted,
            Tolerance::of(1e-6 * quoted.abs(), "digits quoted").single(rounding, "roundings of f32"),
        );
        t.count(&sim);
    }
    Ok(())
}

/// A vortex in an ellipse, and the same ellipse saturated: energies against OOMMF.
pub fn ellipse(t: &mut Trial) -> Outcome {
    let volume = std::f64::consts::FRAC_PI_4 * 512e-9 * 256e-9 * 40e-9;
    let mut sim = Magnet::new([128, 64, 1], [4e-9, 4e-9, 40e-9], &[(P::Msat, 860e3), (P::Aex, 13e-12), (P::Ku1, 50.0), (P::Alpha, 1.0)])
        .vector(P::AnisU, [1.0, 0.0, 0.0])
        .inside(|[x, y, _]| (x / 256e-9).powi(2) + (y / 128e-9).powi(2) <= 1.0)
        .m(|[x, y, _]| [-2.0 * y, 0.5 * x, 10e-9])
        .on(t)?;
    let cells = sim.system.regions.cells.iter().filter(|c| **c == 0).count() as f64;
    let mut at = |b: f64| {
        set(&mut sim, P::BExt, [b, 0.0, 0.0]);
        settle(&mut sim, t);
        [Term::Exchange, Term::Uniaxial, Term::Demag, Term::Zeeman].map(|term| sim.energy(0, &[term]) / volume)
    };
    let (vortex, saturated) = (at(0.0), at(0.1));
    let names = ["exchange", "anisotropy", "demagnetising", "Zeeman"];
    let (there, then) = ([5038.694, 19.517, 7216.038, 0.0], [71.439, 0.2712, 29186.031, -85765.387]);
    // 1e-18 J, which mumax3 allows on these differences, is 243 J/m³ here.
    let allowed = Tolerance::of(243.0, "1e-18 J, as mumax3 allows: the edge, and where the core sits among the cells");
    for k in 0..4 {
        t.check(format!("100 mT less 0: {} (J/m3)", names[k]), saturated[k] - vortex[k], then[k] - there[k], allowed);
    }
    let sum = |e: [f64; 4]| e.iter().sum::<f64>();
    t.check("100 mT less 0: total (J/m3)", sum(saturated) - sum(vortex), sum(then) - sum(there), allowed);
    // Anisotropy is counted there from its easiest value.
    t.check(
        "100 mT: exchange (J/m3)",
        saturated[0],
        then[0],
        Tolerance::of(1.0, "no core: the edge alone").single(2.0, "and how far f32 relaxes"),
    );
    t.check("0: anisotropy (J/m3)", vortex[1] + 50.0 * cells * sim.system.mesh.cell_volume() / volume, there[1], Tolerance::of(0.2, "1 %"));
    t.count(&sim);
    Ok(())
}

/// A wall pinned where the material changes: the field that frees it.
pub fn pinning(t: &mut Trial) -> Outcome {
    let text = include_str!("../reference/domain_wall_pinning_phase_boundary.csv");
    let names: Vec<&str> = text.lines().filter(|l| !l.starts_with('#')).skip(1).map(|l| l.split(',').next().unwrap_or("")).collect();
    let mu0 = spinloom_base::constants::MU0;
    let (mut wanted, mut ours) = (vec![], vec![]);
    for (name, row) in names.into_iter().zip(table(text)).filter(|(_, r)| r[4] > 0.0) {
        let [_, a, k, j, want] = row[..] else { continue };
        let soft = [(P::Aex, 10e-12 * a), (P::Ku1, 1e6 * k), (P::Msat, 1.0 / mu0 * j)];
        let mut sim = Magnet::new([80, 1, 1], [1e-9; 3], &[(P::Aex, 10e-12), (P::Ku1, 1e6), (P::Msat, 1.0 / mu0), (P::Alpha, 1.0)])
            .region(&soft, |p| p[0] < 0.0)
            .vector(P::AnisU, [1.0, 0.0, 0.0])
            .without_demag()
            .m(|[x, ..]| [-x / 4e-9, 1.0, 0.0])
            .on(t)?;
        let step = t.pick(0.01, 0.0025) * want;
        // Up in stages, so that the wall is not carried away by what it gains on its way; without a field a soft phase would let it go.
        for part in [0.5, 0.7, 0.8] {
            set(&mut sim, P::BExt, [part * want, 0.0, 0.0]);
            settle(&mut sim, t);
        }
        let mut b = 0.9 * want;
        let freed = loop {
            set(&mut sim, P::BExt, [b, 0.0, 0.0]);
            settle(&mut sim, t);
            if mean(&sim)[0] > 0.999 {
                break b - 0.5 * step;
            }
            if b > 1.2 * want {
                break f64::NAN;
            }
            b += step;
        };
        t.check(
            format!("{name} change there: depinning field (T)"),
            freed,
            want,
            Tolerance::of(0.05 * want, "closed form of the continuum; 1 nm cells where a wall is 1.6 to 10 nm wide; step of the field"),
        );
        wanted.push(want);
        ours.push(freed);
        t.count(&sim);
    }
    t.plot(
        "depinning fields",
        ("closed form", "T"),
        ("depinning field", "T"),
        vec![points("here", &wanted, &ours), line("equal", &[0.5, 1.6], &[0.5, 1.6])],
    );
    Ok(())
}
