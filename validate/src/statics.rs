//! Equilibrium.

use crate::{Check, Report, table};
use spinloom_base::constants::MU0;
use spinloom_kernels::terms::demag::tensor;
use spinloom_kernels::{Material, Mesh, ParameterId as P, RegionMap, System, Term, Values};
use spinloom_solver::{DeviceChoice, Simulation, Step, tableau};
use std::time::Instant;

/// A uniform magnetisation on a subdivided prism feels the prism's factors.
pub fn prisms() -> Report {
    let clock = Instant::now();
    let mut checks = Vec::new();
    for (line, row) in include_str!("../reference/demag_prisms.csv")
        .lines()
        .filter(|l| !l.starts_with('#'))
        .skip(1)
        .zip(table(include_str!("../reference/demag_prisms.csv")))
    {
        let (size, exact) = ([row[1], row[2], row[3]], [row[4], row[5], row[6]]);
        // At most 60 cells an axis, 3 across the thickness, whatever the shape of the cells.
        let n = size.map(|s| ((s / size[0].max(size[1]).max(size[2]) * 60.0) as usize).clamp(2, 60));
        let cell: [f64; 3] = std::array::from_fn(|a| size[a] * 1e-9 / n[a] as f64);
        let mut v = Values::default();
        v.set_scalar(P::Msat, 1e6);
        let system = System::new(Mesh::new(n, cell), RegionMap::uniform(n.iter().product()), Material::uniform(v, 1));
        let cells = system.mesh.cells();
        let mut sim =
            Simulation::new(system, DeviceChoice::CpuDouble, &tableau::RK45, Step::Adaptive { max_err: 1e-5 }).expect("an open mesh");
        for axis in 0..3 {
            let mut m = vec![0.0; 3 * cells];
            m[axis * cells..(axis + 1) * cells].fill(1.0);
            sim.set_m(0, &m);
            let b = sim.field(0, &[Term::Demag]);
            let got = -b[axis * cells..(axis + 1) * cells].iter().sum::<f64>() / cells as f64 / (MU0 * 1e6);
            checks.push(Check {
                what: format!("{} N{}{}", line.split(',').next().unwrap_or(""), ["x", "y", "z"][axis], ["x", "y", "z"][axis]),
                got,
                want: exact[axis],
                tolerance: 1e-6,
                reason: "exact tensor; the requirement",
            });
        }
    }
    Report {
        name: "prisms",
        source: "Aharoni, J. Appl. Phys. 83, 3432 (1998)",
        work: format!("{:.1} s", clock.elapsed().as_secs_f64()),
        checks,
    }
}

/// The tensor against 70-digit values: the largest relative error near and far.
pub fn newell() -> Report {
    let clock = Instant::now();
    let (mut near, mut far) = (0.0f64, 0.0f64);
    for row in table(include_str!("../reference/demag_newell_exact.csv")) {
        let d = [row[0], row[1], row[2]];
        let r: [f64; 3] = std::array::from_fn(|a| row[3 + a] * d[a]);
        let got = tensor::pair(r, d);
        let scale = row[6..12].iter().fold(0.0f64, |m, v| m.max(v.abs()));
        let error = (0..6).map(|c| (got[c] - row[6 + c]).abs()).fold(0.0, f64::max) / scale;
        let distance = (r[0] * r[0] + r[1] * r[1] + r[2] * r[2]).sqrt() / (d[0] * d[1] * d[2]).cbrt();
        if distance < 10.0 { near = near.max(error) } else { far = far.max(error) }
    }
    let check = |what: &str, got, tolerance| Check {
        what: what.into(),
        got,
        want: 0.0,
        tolerance,
        reason: "relative to the largest component of the pair",
    };
    Report {
        name: "newell",
        source: "Newell, Williams and Dunlop, J. Geophys. Res. 98, 9551 (1993), in 70-digit arithmetic",
        work: format!("{:.1} s", clock.elapsed().as_secs_f64()),
        checks: vec![
            check("largest relative error, nearer than 10 cells", near, 1e-8),
            check("largest relative error, 10 to 1000 cells", far, 1e-8),
        ],
    }
}

/// DMI standard problem: a wire of 100 cells, relaxed from m = z.
pub fn dmi1d() -> Report {
    let clock = Instant::now();
    let mut v = Values::default();
    for (p, x) in [(P::Msat, 0.86e6), (P::Aex, 13e-12), (P::Dind, -3e-3), (P::Ku1, 0.4e6), (P::Alpha, 0.5)] {
        v.set_scalar(p, x);
    }
    // The problem counts D with the opposite sign (crystal class Cnv).
    // Periodic across, as in the codes compared with: the problem has one dimension.
    let mesh = Mesh { pbc: [0, 1, 0], ..Mesh::new([100, 1, 1], [1e-9; 3]) };
    let mut system = System::new(mesh, RegionMap::uniform(100), Material::uniform(v, 1));
    system.terms.retain(|t| *t != Term::Demag);
    let mut sim = Simulation::new(system, DeviceChoice::CpuDouble, &tableau::RK45, Step::Adaptive { max_err: 1e-5 }).expect("an open mesh");
    let mut m = vec![0.0; 300];
    m[200..].fill(1.0);
    sim.set_m(0, &m);
    sim.relax();
    let m = sim.m(0);
    let codes = table(include_str!("../reference/dmi1d_fd_codes.csv"));
    let worst = |column: usize, component: usize| {
        codes.iter().enumerate().map(|(i, r)| (r[column] - m[component * 100 + i]).abs()).fold(0.0, f64::max)
    };
    let ode = table(include_str!("../reference/dmi1d_ode.csv"));
    // The exact profile at a cell centre, between the two nearest given points.
    let exact = |x: f64, c: usize| {
        let i = ode.iter().position(|r| r[0] >= x).unwrap_or(ode.len() - 1).max(1);
        let (a, b) = (&ode[i - 1], &ode[i]);
        a[c] + (b[c] - a[c]) * (x - a[0]) / (b[0] - a[0])
    };
    let off = |c: usize, component: usize| (0..100).map(|i| (exact(i as f64 - 49.5, c) - m[component * 100 + i]).abs()).fold(0.0, f64::max);
    let check = |what: &str, got, tolerance, reason| Check { what: what.into(), got, want: 0.0, tolerance, reason };
    Report {
        name: "dmi1d",
        source: "Cortés-Ortuño et al., New J. Phys. 20, 113015 (2018)",
        work: format!("{:.1} s", clock.elapsed().as_secs_f64()),
        checks: vec![
            Check {
                what: "|mx| in the last cell".into(),
                got: m[99].abs(),
                want: 0.61345,
                tolerance: 1e-5,
                reason: "OOMMF, fidimag and mumax3 agree to 5e-6",
            },
            check("largest distance of mx from mumax3", worst(5, 0), 2e-5, "its single precision and relaxation"),
            check("largest distance of mz from mumax3", worst(6, 2), 2e-5, "its single precision and relaxation"),
            check(
                "largest distance of mx from the exact profile",
                off(1, 0),
                0.0030,
                "a 1 nm mesh, 0.0020, plus interpolation of the table",
            ),
            check(
                "largest distance of mz from the exact profile",
                off(2, 2),
                0.0045,
                "a 1 nm mesh, 0.0034, plus interpolation of the table",
            ),
        ],
    }
}
