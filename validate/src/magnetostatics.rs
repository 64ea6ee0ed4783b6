//! The demagnetising field.

use crate::magnet::{Magnet, average, mean, position, set, settle, state, table};
use crate::trial::{Outcome, Tolerance, Trial, line, points};
use spinloom_base::constants::MU0;
use spinloom_kernels::terms::demag::tensor;
use spinloom_kernels::{DeviceError, ParameterId as P, Term};

/// Any magnetisation will do: fields are compared in its units.
const MS: f64 = 860e3;

/// Factors N of a uniformly magnetised shape on a mesh: −<B>/(μ0 Ms) along each axis.
fn factors(t: &mut Trial, magnet: impl Fn() -> Magnet) -> Result<[f64; 3], DeviceError> {
    let mut sim = magnet().on(t)?;
    let mut n = [0.0; 3];
    for axis in 0..3 {
        sim.set_m(0, &state(&sim.system, |_| std::array::from_fn(|c| f64::from(u8::from(c == axis)))));
        let b = sim.field(0, &[Term::Demag]);
        n[axis] = -average(&sim, &b)[axis] / (MU0 * MS);
    }
    t.count(&sim);
    Ok(n)
}

/// A uniform magnetisation on a subdivided prism feels the prism's factors.
pub fn prisms(t: &mut Trial) -> Outcome {
    let text = include_str!("../reference/demag_prisms.csv");
    let names = text.lines().filter(|l| !l.starts_with('#')).skip(1).map(|l| l.split(',').next().unwrap_or(""));
    for (name, row) in names.zip(table(text)) {
        let size = [row[1], row[2], row[3]];
        // At most 60 cells an axis, 2 at least, whatever the shape of the cells.
        let longest = size.into_iter().fold(0.0, f64::max);
        let n = size.map(|s| ((s / longest * t.pick(30.0, 60.0)) as usize).clamp(2, 60));
        let cell = std::array::from_fn(|a| size[a] * 1e-9 / n[a] as f64);
        let got = factors(t, || Magnet::new(n, cell, &[(P::Msat, MS)]))?;
        t.check_vector(
            &format!("{name}: N"),
            got,
            [row[4], row[5], row[6]],
            Tolerance::of(1e-6, "exact tensor").single(1e-5, "roundings of f32"),
        );
    }
    Ok(())
}

/// Disks and cylinders by a staircase.
pub fn cylinders(t: &mut Trial) -> Outcome {
    let (mut ratio, mut found, mut exact) = (vec![], vec![], vec![]);
    for row in table(include_str!("../reference/demag_cylinders.csv")) {
        let [diameter, height, _, want] = row[..] else { continue };
        // 64 cells across the larger of the two, up to the height of one cell.
        let across = t.pick(48.0, 96.0);
        let cell = diameter.max(height) / across;
        let nz = (height / cell).round().max(1.0);
        let nx = (diameter / cell).round().max(12.0);
        let size = [diameter / nx * 1e-9, diameter / nx * 1e-9, height / nz * 1e-9];
        let radius = 0.5e-9 * diameter;
        let magnet = || {
            Magnet::new([nx as usize, nx as usize, nz as usize], size, &[(P::Msat, MS)])
                .inside(|[x, y, _]| x * x + y * y <= radius * radius)
        };
        let got = factors(t, magnet)?;
        t.check(
            format!("D:t = {diameter}:{height}: Nzz"),
            got[2],
            want,
            Tolerance::of(0.01, "staircase, of the order of a cell over the diameter"),
        );
        t.check(
            format!("D:t = {diameter}:{height}: trace"),
            got.iter().sum(),
            1.0,
            Tolerance::of(1e-8, "exact tensor").single(1e-5, "roundings of f32"),
        );
        ratio.push((diameter / height).log10());
        found.push(got[2]);
        exact.push(want);
    }
    t.plot("cylinders", ("log10 D/t", "1"), ("Nzz", "1"), vec![points("here", &ratio, &found), points("closed form", &ratio, &exact)]);
    Ok(())
}

/// The field of one prism in another one above it.
pub fn stacked(t: &mut Trial) -> Outcome {
    for row in table(include_str!("../reference/demag_stacked_prisms.csv")) {
        let [a, b, c, s, ..] = row[..] else { continue };
        // Layers of a unit length: magnet, spacer, magnet. Only the lower one is there; its field is averaged where the upper one would be.
        let (layers, up) = (c as usize, s as usize);
        let n = [10, 10, layers + up];
        let half = 0.5e-9 * (c + s);
        let mut sim = Magnet::new(n, [1e-10 * a, 1e-10 * b, 1e-9], &[(P::Msat, MS)]).inside(|p| p[2] < 1e-9 * c - half).on(t)?;
        let mut got = [0.0; 3];
        for axis in 0..3 {
            sim.set_m(0, &state(&sim.system, |_| std::array::from_fn(|k| f64::from(u8::from(k == axis)))));
            let field = sim.stray_field(0);
            let cells = sim.system.mesh.cells();
            let upper: Vec<usize> = (0..cells).filter(|i| position(&sim.system.mesh, *i)[2] > 1e-9 * s - half).collect();
            got[axis] = -upper.iter().map(|i| field[axis * cells + i]).sum::<f64>() / upper.len() as f64 / (MU0 * MS);
        }
        t.check_vector(
            &format!("{a}×{b}×{c}, centres {s} apart: N"),
            got,
            [row[4], row[5], row[6]],
            Tolerance::of(1e-8, "exact tensor").single(1e-6, "roundings of f32"),
        );
        t.count(&sim);
    }
    Ok(())
}

/// Every field of a chain and of a small grid, where nothing averages out.
pub fn small_meshes(t: &mut Trial) -> Outcome {
    for (what, n, cell, m, text, first) in [
        ("chain of 12", [12, 1, 1], [2e-9, 1e-9, 1e-9], [0.5, 0.6, 0.7], include_str!("../reference/demag_chain12.csv"), 1),
        ("grid of 3×2", [3, 2, 1], [1e-9; 3], [0.1, 0.2, 1.0], include_str!("../reference/demag_grid3x2.csv"), 2),
    ] {
        let mut sim = Magnet::new(n, cell, &[(P::Msat, MS)]).m(|_| m).on(t)?;
        let b = sim.field(0, &[Term::Demag]);
        let rows = table(text);
        let mut worst = 0.0f64;
        for (i, row) in rows.iter().enumerate() {
            (0..3).for_each(|c| worst = worst.max((b[c * rows.len() + i] / MU0 - row[first + c]).abs()));
        }
        t.check(
            format!("{what}: largest distance of H, in Ms"),
            worst / MS,
            0.0,
            Tolerance::of(1e-8, "exact sums").single(1e-6, "roundings of f32"),
        );
        t.count(&sim);
    }
    Ok(())
}

/// Periodic images: their number, and the limit of many.
pub fn periodic(t: &mut Trial) -> Outcome {
    let chain = factors(t, || Magnet::new([1, 1, 1], [1e-9; 3], &[(P::Msat, MS)]).periodic([500, 0, 0]))?;
    t.check_vector(
        "endless chain of cubes: N",
        chain,
        [0.0, 0.5, 0.5],
        Tolerance::of(1e-6, "500 images to each side").single(2e-6, "and roundings of f32"),
    );
    let n = 105;
    let mut sim = Magnet::new([n, n, 1], [1e-9; 3], &[(P::Msat, MS)]).periodic([5, 5, 0]).on(t)?;
    let mut got = [0.0; 3];
    for axis in 0..3 {
        sim.set_m(0, &state(&sim.system, |_| std::array::from_fn(|c| f64::from(u8::from(c == axis)))));
        let b = sim.field(0, &[Term::Demag]);
        got[axis] = -b[axis * n * n + n * n / 2] / (MU0 * MS);
    }
    t.check_vector("endless film, in the middle: N", got, [0.0, 0.0, 1.0], Tolerance::of(1e-3, "five images to each side"));
    t.count(&sim);
    Ok(())
}

/// A sphere of cells has the symmetry of a cube: its energy does not depend on direction.
pub fn sphere(t: &mut Trial) -> Outcome {
    let n = 32;
    let mut sim =
        Magnet::new([n; 3], [1e-9; 3], &[(P::Msat, MS)]).inside(|p| p.iter().map(|x| x * x).sum::<f64>() <= 16e-9f64.powi(2)).on(t)?;
    let cells = sim.system.regions.cells.iter().filter(|c| **c == 0).count() as f64;
    let unit = 0.5 * MU0 * MS * MS * cells * 1e-27;
    let mut energies = vec![];
    for m in [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [1.0, 1.0, 0.0], [1.0, 1.0, 1.0], [0.3, -0.5, 0.8]] {
        sim.set_m(0, &state(&sim.system, |_| m));
        energies.push(sim.energy(0, &[Term::Demag]) / unit);
    }
    for (e, what) in energies[1..].iter().zip(["z", "110", "111", "any direction"]) {
        t.check(
            format!("energy along {what} over that along x"),
            e / energies[0],
            1.0,
            Tolerance::of(1e-6, "cubic symmetry").single(1e-5, "roundings of f32"),
        );
    }
    t.check(
        "energy over that of a sphere of the same volume",
        3.0 * energies[0],
        1.0,
        Tolerance::of(1e-3, "by symmetry N is 1/3 for any such body"),
    );
    t.count(&sim);
    Ok(())
}

/// The tensor against 70-digit values: the largest relative error near and far.
pub fn newell(t: &mut Trial) -> Outcome {
    let (mut near, mut far) = (0.0f64, 0.0f64);
    let rows = table(include_str!("../reference/demag_newell_exact.csv"));
    let (mut distances, mut errors) = (vec![], vec![]);
    for row in &rows {
        let d = [row[0], row[1], row[2]];
        let r: [f64; 3] = std::array::from_fn(|a| row[3 + a] * d[a]);
        let got = tensor::pair(r, d);
        let scale = row[6..12].iter().fold(0.0f64, |m, v| m.max(v.abs()));
        let error = (0..6).map(|c| (got[c] - row[6 + c]).abs()).fold(0.0, f64::max) / scale;
        let distance = (r[0] * r[0] + r[1] * r[1] + r[2] * r[2]).sqrt() / (d[0] * d[1] * d[2]).cbrt();
        if distance < 10.0 {
            near = near.max(error)
        } else {
            far = far.max(error)
        }
        distances.push(distance.max(0.1).log10());
        errors.push(error.max(1e-17).log10());
    }
    let tolerance = Tolerance::of(1e-8, "of the largest component of the pair; tensors are computed in f64 for every device");
    t.check("largest relative error, nearer than 10 cells", near, 0.0, tolerance);
    t.check("largest relative error, 10 to 1000 cells", far, 0.0, tolerance);
    t.plot(
        "error against 70 digits",
        ("log10 of the distance in cells", "1"),
        ("log10 of the relative error", "1"),
        vec![points("here", &distances, &errors)],
    );
    Ok(())
}

/// Films and disks in a field, against OOMMF and mumax3.
pub fn films(t: &mut Trial) -> Outcome {
    let fields = [0.01, 0.03, 0.1, 0.3];
    let film = |extra: &[(P, f64)]| {
        Magnet::new([64, 64, 1], [4e-9, 4e-9, 2e-9], &[&[(P::Msat, 1.1e6), (P::Aex, 13e-12), (P::Alpha, 1.0)], extra].concat())
    };
    let mut sim = film(&[(P::Ku1, 0.5e6)]).vector(P::AnisU, [1.0, 0.0, 0.0]).m(|_| [1.0, 0.1, 0.0]).on(t)?;
    let mut ours = vec![];
    for (b, want) in fields.into_iter().zip([0.011, 0.033, 0.110, 0.331]) {
        set(&mut sim, P::BExt, [0.0, b, 0.0]);
        settle(&mut sim, t);
        let m = mean(&sim);
        t.check(format!("film across its easy axis, {b} T: <my>"), m[1], want, Tolerance::of(1e-3, "three digits of OOMMF and mumax3"));
        ours.push(m[1]);
    }
    t.count(&sim);
    t.plot(
        "film across its easy axis",
        ("B", "T"),
        ("<my>", "1"),
        vec![line("here", &fields, &ours), points("OOMMF, mumax3", &fields, &[0.011, 0.033, 0.110, 0.331])],
    );
    let mut sim = film(&[(P::Kc1, 0.2e6)]).inside(|[x, y, _]| x * x + y * y <= 128e-9f64.powi(2)).m(|_| [1.0, 0.01, 0.0]).on(t)?;
    for (b, want) in fields.into_iter().zip([[0.9994, 0.0270], [0.9967, 0.0776], [0.9711, 0.2367], [0.7040, 0.7040]]) {
        set(&mut sim, P::BExt, [b, b, 0.0]);
        settle(&mut sim, t);
        let m = mean(&sim);
        for c in 0..2 {
            t.check(
                format!("cubic disk, {b} T along x and y: <{}>", ["mx", "my"][c]),
                m[c],
                want[c],
                Tolerance::of(1e-3, "OOMMF and mumax3"),
            );
        }
    }
    t.count(&sim);
    Ok(())
}
