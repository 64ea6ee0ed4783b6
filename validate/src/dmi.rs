//! Dzyaloshinskii–Moriya interaction: edges, skyrmions, walls.

use crate::magnet::{Magnet, column, mean, settle, table, zero};
use crate::trial::{Outcome, Tolerance, Trial, line, points};
use spinloom_kernels::ParameterId as P;
use spinloom_solver::Simulation;
use std::f64::consts::PI;

/// The standard problem in one dimension: a wire of 100 cells, relaxed from m = z, with interfacial and with bulk DMI.
pub fn dmi1d(t: &mut Trial) -> Outcome {
    let codes = table(include_str!("../reference/dmi1d_fd_codes.csv"));
    let ode = table(include_str!("../reference/dmi1d_ode.csv"));
    let (x, [ex, ez]) = (column(&codes, 0), [1, 2].map(|c| column(&ode, c)));
    for (parameter, which, name) in [(P::Dind, 0, "interfacial"), (P::Dbulk, 1, "bulk")] {
        // The problem counts interfacial D with the opposite sign (crystal class Cnv). Periodic across: the problem has one dimension, and at the
        // free faces of a wire bulk DMI would turn the magnetisation.
        let d = if which == 0 { -3e-3 } else { 3e-3 };
        let values = [(P::Msat, 0.86e6), (P::Aex, 13e-12), (parameter, d), (P::Ku1, 0.4e6), (P::Alpha, 0.5)];
        let mut sim = Magnet::new([100, 1, 1], [1e-9; 3], &values).periodic([0, 1, 1]).without_demag().m(|_| [0.0, 0.0, 1.0]).on(t)?;
        settle(&mut sim, t);
        let m = sim.m(0);
        // In the last cell mx is positive for the codes; bulk DMI has my in its place, of either sign.
        let sign = m[100 * which + 99].signum();
        let (across, up): (Vec<f64>, Vec<f64>) = (m[100 * which..100 * which + 100].iter().map(|c| sign * c).collect(), m[200..].to_vec());
        t.check(
            format!("{name}: |m| across in the last cell"),
            across[99],
            0.61345,
            Tolerance::of(1e-5, "OOMMF, fidimag and mumax3 agree to 5e-6").single(5e-5, "how far f32 relaxes"),
        );
        if which == 0 {
            t.check("interfacial: sign of mx in the last cell", m[99].signum(), 1.0, Tolerance::of(0.0, "class Cnv"));
        }
        for (component, ours, theirs, exact, off) in [("across", &across, 5, &ex, 0.0030), ("mz", &up, 6, &ez, 0.0045)] {
            let worst = |f: &dyn Fn(usize) -> f64| (0..100).map(|i| (f(i) - ours[i]).abs()).fold(0.0, f64::max);
            t.check(
                format!("{name}, {component}: largest distance from mumax3"),
                worst(&|i| codes[i][theirs]),
                0.0,
                Tolerance::of(2e-5, "its single precision and relaxation").single(1e-4, "how far f32 relaxes"),
            );
            t.check(
                format!("{name}, {component}: largest distance from the exact profile"),
                worst(&|i| interpolate(&column(&ode, 0), exact, x[i])),
                0.0,
                Tolerance::of(off, "a 1 nm mesh, 0.0020 across and 0.0034 along z, plus interpolation of the table"),
            );
        }
        t.plot(
            &format!("{name} DMI in a wire"),
            ("x (nm)", "1"),
            ("m", "1"),
            vec![
                line("across, here", &x, &across),
                points("exact", &column(&ode, 0), &ex),
                line("mz, here", &x, &up),
                points("exact", &column(&ode, 0), &ez),
            ],
        );
        t.count(&sim);
    }
    Ok(())
}

/// A straight line between the two nearest points.
fn interpolate(x: &[f64], y: &[f64], at: f64) -> f64 {
    let i = x.partition_point(|x| *x < at).clamp(1, x.len() - 1);
    y[i - 1] + (y[i] - y[i - 1]) * (at - x[i - 1]) / (x[i] - x[i - 1])
}

/// The edge of a half-endless chain at 0.9 of the critical strength, with cells of a twentieth of the wall width.
pub fn edge(t: &mut Trial) -> Outcome {
    // A = 10 pJ/m, K = 1 MJ/m³.
    let width = (10e-12f64 / 1e6).sqrt();
    let (d, dx) = (0.9 * 4.0 / PI, 0.05);
    let start = (0.5 * d).asin();
    let n = 400;
    for (open, name) in [(false, "Neumann faces"), (true, "open faces")] {
        let values = [(P::Msat, 1e6), (P::Aex, 10e-12), (P::Ku1, 1e6), (P::Dind, d * (10e-12f64 * 1e6).sqrt()), (P::Alpha, 1.0)];
        let mut sim = Magnet::new([n, 1, 1], [dx * width; 3], &values)
            .periodic([0, 1, 0])
            .without_demag()
            .edit(|s| s.replicas[0].material.open_faces = open)
            .m(|_| [0.0, 0.0, 1.0])
            .on(t)?;
        settle(&mut sim, t);
        let m = sim.m(0);
        let want = 2.0 * ((-0.5 * dx).exp() * (0.5 * start).tan()).atan();
        t.check(
            format!("{name}: angle in the first cell (rad)"),
            m[0].abs().atan2(m[2 * n]),
            want,
            Tolerance::of(1e-3, "cells of a twentieth of the wall width")
                .single(2e-3, "and how far f32 relaxes near the critical strength"),
        );
        let at = |i: usize| 2.0 * ((-(i as f64 + 0.5) * dx).exp() * (0.5 * start).tan()).atan();
        let x: Vec<f64> = (0..80).map(|i| (i as f64 + 0.5) * dx).collect();
        let ours: Vec<f64> = (0..80).map(|i| m[i].abs().atan2(m[2 * n + i])).collect();
        t.plot(
            name,
            ("distance from the edge / Δ", "1"),
            ("angle (rad)", "1"),
            vec![line("here", &x, &ours), points("closed form", &x, &(0..80).map(at).collect::<Vec<_>>())],
        );
        t.count(&sim);
    }
    Ok(())
}

/// Radius of a skyrmion (m): where mz passes zero along the row of cells nearest to the middle of a layer, whose distance from the centre is allowed for.
fn radius(sim: &Simulation, layer: usize) -> f64 {
    let (mesh, m) = (&sim.system.mesh, sim.m(0));
    let [nx, ny, _] = mesh.n;
    let row = mesh.index(0, ny / 2, layer);
    let [_, across, _] = mesh.position(0, ny / 2, layer);
    let x: Vec<f64> = (nx / 2..nx).map(|i| mesh.position(i, 0, 0)[0]).collect();
    let mz: Vec<f64> = (nx / 2..nx).map(|i| m[2 * mesh.cells() + row + i]).collect();
    zero(&x, &mz).hypot(across)
}

/// mz along that row.
fn profile(sim: &Simulation, layer: usize) -> (Vec<f64>, Vec<f64>) {
    let (mesh, m) = (&sim.system.mesh, sim.m(0));
    let row = mesh.index(0, mesh.n[1] / 2, layer);
    (0..mesh.n[0]).map(|i| (1e9 * mesh.position(i, 0, 0)[0], m[2 * mesh.cells() + row + i])).unzip()
}

/// The standard problem in two dimensions: a skyrmion in a disk.
pub fn dmi2d(t: &mut Trial) -> Outcome {
    let ode: Vec<Vec<f64>> = table(include_str!("../reference/dmi2d_ode.csv")).into_iter().step_by(5).collect();
    let codes = table(include_str!("../reference/dmi2d_fd_codes.csv"));
    for (parameter, name) in [(P::Dind, "interfacial"), (P::Dbulk, "bulk")] {
        // Endless along z: at the free faces of a single layer bulk DMI would turn the magnetisation.
        let mut sim = Magnet::new(
            [50, 50, 1],
            [2e-9; 3],
            &[(P::Msat, 0.86e6), (P::Aex, 13e-12), (parameter, 3e-3), (P::Ku1, 0.4e6), (P::Alpha, 0.5)],
        )
        .periodic([0, 0, 1])
        .inside(|[x, y, _]| x * x + y * y <= 50e-9f64.powi(2))
        .without_demag()
        .m(|[x, y, _]| if x * x + y * y < 15e-9f64.powi(2) { [1e-3, 0.0, -1.0] } else { [0.0, 1e-3, 1.0] })
        .on(t)?;
        settle(&mut sim, t);
        t.check(
            format!("{name}: radius (nm)"),
            1e9 * radius(&sim, 0),
            22.0304,
            Tolerance::of(0.2, "exact radial profile; established codes are within 0.2 nm on this mesh"),
        );
        // The codes have the core up.
        let (x, mz) = profile(&sim, 0);
        let ours: Vec<f64> = mz.iter().map(|z| -z).collect();
        let worst = ours.iter().zip(&codes).map(|(a, r)| (a - r[3]).abs()).fold(0.0, f64::max);
        t.check(
            format!("{name}: largest distance of mz from mumax3"),
            worst,
            0.0,
            Tolerance::of(2e-3, "the same mesh and boundary condition; how far it relaxed").single(5e-3, "and how far f32 relaxes"),
        );
        t.plot(
            &format!("{name} DMI in a disk"),
            ("r (nm)", "1"),
            ("mz", "1"),
            vec![line("here", &x[25..], &ours[25..]), points("exact", &column(&ode, 0), &column(&ode, 1))],
        );
        t.count(&sim);
    }
    Ok(())
}

/// The standard problem in three dimensions: a skyrmion in a cylinder of FeGe.
pub fn dmi3d(t: &mut Trial) -> Outcome {
    let reference = table(include_str!("../reference/dmi3d_fege_cylinder_fidimag.csv"));
    let n = t.pick([91, 91, 11], [183, 183, 21]);
    let cell = [183e-9 / n[0] as f64, 183e-9 / n[1] as f64, 21e-9 / n[2] as f64];
    for (open, name, want) in [(true, "open faces", [15.270, 14.988]), (false, "Neumann faces", [15.844, 15.556])] {
        let mut sim = Magnet::new(n, cell, &[(P::Msat, 384e3), (P::Aex, 8.78e-12), (P::Dbulk, 1.58e-3), (P::Alpha, 1.0)])
            .vector(P::BExt, [0.0, 0.0, 0.4])
            .inside(|[x, y, _]| x * x + y * y <= 91.5e-9f64.powi(2))
            .without_demag()
            .edit(|s| s.replicas[0].material.open_faces = open)
            .m(|[x, y, _]| {
                let r = x.hypot(y).max(1e-12);
                let angle = PI * (1.0 - (r / 30e-9).min(1.0));
                // A Bloch skyrmion that turns as bulk DMI of this sign wants it.
                [-y / r * angle.sin(), x / r * angle.sin(), angle.cos()]
            })
            .on(t)?;
        settle(&mut sim, t);
        let whose = if open { "OOMMF and fidimag" } else { "mumax3" };
        let coarse = Tolerance::of(
            t.pick(0.35, 0.15),
            if t.quick() { "cells of 2 nm instead of 1 nm" } else { "the same mesh and boundary condition" },
        );
        t.check(format!("{name}: radius in the middle (nm; {whose})"), 1e9 * radius(&sim, n[2] / 2), want[0], coarse);
        t.check(format!("{name}: radius at the surface (nm; {whose})"), 1e9 * radius(&sim, 0), want[1], coarse);
        let (x, middle) = profile(&sim, n[2] / 2);
        let (_, surface) = profile(&sim, 0);
        let theirs =
            |c: usize| points(if c == 1 { "fidimag, middle" } else { "fidimag, surface" }, &column(&reference, 0), &column(&reference, c));
        t.plot(
            &format!("FeGe cylinder, {name}"),
            ("x (nm)", "1"),
            ("mz", "1"),
            vec![line("middle, here", &x, &middle), theirs(1), line("surface, here", &x, &surface), theirs(4)],
        );
        if open && !t.quick() {
            let off = |ours: &[f64], c: usize| ours.iter().zip(&reference).map(|(m, r)| (m - r[c]).abs()).fold(0.0, f64::max);
            t.check("largest distance of mz from fidimag, middle", off(&middle, 1), 0.0, Tolerance::of(5e-3, "the same mesh"));
            t.check("largest distance of mz from fidimag, surface", off(&surface, 4), 0.0, Tolerance::of(5e-3, "the same mesh"));
        }
        t.count(&sim);
    }
    Ok(())
}

/// The strength at which a wall costs nothing, and a wall between Bloch and Néel.
pub fn critical(t: &mut Trial) -> Outcome {
    // A = 10 pJ/m, K = 1 MJ/m³: a wall in a chain of cells of a tenth of its width.
    let (a, k) = (10e-12f64, 1e6f64);
    let (width, unit) = ((a / k).sqrt(), (a * k).sqrt());
    let n = 400;
    let (mut strengths, mut energies) = (vec![], vec![]);
    for part in [0.0, 0.4, 0.8] {
        let d = part * 4.0 / PI * unit;
        // The far field turns at free edges; a ring of two walls has none.
        let mut sim = Magnet::new([n, 1, 1], [0.1 * width; 3], &[(P::Msat, 1e6), (P::Aex, a), (P::Ku1, k), (P::Dind, d), (P::Alpha, 1.0)])
            .periodic([1, 1, 0])
            .without_demag()
            .m(|[x, ..]| {
                // Up between two walls, each with its centre as this sign of D wants it.
                let u = (x.abs() - 10.0 * width) / width;
                [-x.signum() / u.cosh(), 0.0, -u.tanh()]
            })
            .on(t)?;
        settle(&mut sim, t);
        let area = (0.1 * width).powi(2);
        let energy = (sim.total_energy(0) + k * n as f64 * 0.1 * width * area) / (2.0 * area * unit);
        t.check(
            format!("energy of a wall at {part} Dc (sqrt(AK))"),
            energy,
            4.0 - PI * d / unit,
            Tolerance::of(5e-3, "4 sqrt(AK) - pi D; cells of a tenth of the width").single(7e-3, "and energies in f32"),
        );
        strengths.push(d / unit);
        energies.push(energy);
        t.count(&sim);
    }
    let slope = (energies[2] - energies[0]) / (strengths[2] - strengths[0]);
    t.check(
        "critical strength (sqrt(AK)), where that line meets zero",
        -energies[0] / slope,
        4.0 / PI,
        Tolerance::of(4e-3, "the same").single(6e-3, "and energies in f32"),
    );
    let exact: Vec<f64> = strengths.iter().map(|d| 4.0 - PI * d).collect();
    t.plot(
        "energy of a wall",
        ("D/√(AK)", "1"),
        ("energy/√(AK)", "1"),
        vec![line("here", &strengths, &energies), points("closed form", &strengths, &exact)],
    );

    let values = [(P::Msat, 1.1e6), (P::Aex, 16e-12), (P::Ku1, 1.27e6), (P::Dind, 0.1e-3), (P::Alpha, 1.0)];
    let cell = 250e-9 / 128.0;
    let mut sim = Magnet::new([128, 128, 1], [cell, cell, 0.6e-9], &values)
        .m(|[x, ..]| if x.abs() < 0.6 * cell { [1.0, 1.0, 0.0] } else { [0.0, 0.0, x.signum()] })
        .on(t)?;
    settle(&mut sim, t);
    let m = mean(&sim);
    t.check("wall between Bloch and Néel: <mx>", m[0], 0.059, Tolerance::of(0.01, "mumax3's own test"));
    t.check("wall between Bloch and Néel: <my>", m[1], 0.035, Tolerance::of(0.01, "mumax3's own test"));
    t.count(&sim);
    Ok(())
}

/// Skyrmions in an endless film: their radius against the exact radial solution.
pub fn skyrmions(t: &mut Trial) -> Outcome {
    let (a, k) = (15e-12f64, 0.5e6f64);
    let width = (a / k).sqrt();
    let rows = table(include_str!("../reference/skyrmion_isolated_infinite_film.csv"));
    let (mut parts, mut radii) = (vec![], vec![]);
    for row in &rows {
        let [part, want, ..] = row[..] else { continue };
        // Cells of a quarter of the width, or of a tenth of a small skyrmion; a box that leaves six widths around it.
        let cells = match part {
            // Seven cells a radius would be 9 % off.
            0.5 if !t.quick() => 40.0,
            0.7 => 12.0,
            0.8 if !t.quick() => 8.0,
            0.9 => 6.0,
            0.95 if !t.quick() => 6.0,
            _ => continue,
        };
        // An odd number that the periodic mesh takes, so that the centre lies in a cell.
        let least = 2 * (cells * (want + 4.5)) as usize + 1;
        let n = [81, 105, 135, 147, 175, 189, 225, 243, 315, 343, 375, 405].into_iter().find(|n| *n >= least).unwrap_or(least);
        let values = [(P::Msat, 1e6), (P::Aex, a), (P::Ku1, k), (P::Dind, part * 4.0 / PI * (a * k).sqrt()), (P::Alpha, 1.0)];
        let cell = width / cells;
        let mut sim = Magnet::new([n, n, 1], [cell, cell, cell], &values)
            .periodic([1, 1, 0])
            .without_demag()
            .m(|[x, y, _]| {
                // 360° wall profile: tan(θ/2) = sinh(R)/sinh(r) in widths; the centre of the wall points along +r for D > 0 and a core down.
                let r = x.hypot(y).max(1e-3 * cell) / width;
                let angle = 2.0 * (want.sinh() / r.sinh()).atan();
                [x / (r * width) * angle.sin(), y / (r * width) * angle.sin(), angle.cos()]
            })
            .on(t)?;
        settle(&mut sim, t);
        let got = radius(&sim, 0) / width;
        t.check(
            format!("D = {part} Dc: radius (Δ)"),
            got,
            want,
            Tolerance::of(0.02 * want, "fifteen cells a radius; the edge of the box")
                .single(0.03 * want, "and how far f32 relaxes: the radius is soft"),
        );
        parts.push(part);
        radii.push(got);
        t.count(&sim);
    }
    t.plot(
        "radius of a skyrmion",
        ("D/Dc", "1"),
        ("R/Δ", "1"),
        vec![points("here", &parts, &radii), line("exact", &column(&rows, 0), &column(&rows, 1))],
    );
    Ok(())
}

/// Free relaxation with DMI: the energy falls, and by how much.
pub fn relaxation(t: &mut Trial) -> Outcome {
    let values = [(P::Msat, 600e3), (P::Aex, 20e-12), (P::Ku1, 0.59e6), (P::Dind, 3e-3), (P::Alpha, 0.01)];
    let mut sim = Magnet::new([64, 64, 1], [0.575e-9, 0.575e-9, 1.15e-9], &values).m(|_| [1.0; 3]).on(t)?;
    let start = sim.total_energy(0);
    let (mut times, mut energies, mut rises) = (vec![0.0], vec![0.0], 0.0f64);
    for k in 1..=40 {
        sim.run_all_to(f64::from(k) * 0.5e-12);
        let e = sim.total_energy(0) - start;
        rises = rises.max(e - energies[energies.len() - 1]);
        times.push(sim.control(0).t);
        energies.push(e);
    }
    let digits =
        Tolerance::of(2e-23, "mumax3, to the digits it is quoted, and its approximate tensor").single(2e-22, "and energies in f32");
    t.check("E(10 ps) - E(0) (1e-20 J)", 1e20 * energies[20], -2.6269, digits.times(1e20));
    t.check("E(20 ps) - E(0) (1e-20 J)", 1e20 * energies[40], -4.9334, digits.times(1e20));
    t.check("largest rise in half a picosecond (1e-20 J)", 1e20 * rises, 0.0, Tolerance::of(1e-9, "none").single(1e-2, "energies in f32"));
    t.plot(
        "energy in free relaxation",
        ("time", "s"),
        ("E - E(0)", "J"),
        vec![line("here", &times, &energies), points("mumax3", &[10e-12, 20e-12], &[-2.6269e-20, -4.9334e-20])],
    );
    t.count(&sim);
    Ok(())
}
