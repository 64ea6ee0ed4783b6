//! Motion without noise.

use crate::{Check, Report, mean, table};
use spinloom_base::constants::MU0;
use spinloom_kernels::{Material, Mesh, ParameterId as P, RegionMap, System, Term, Values};
use spinloom_solver::{DeviceChoice, Simulation, Step, tableau};
use std::time::Instant;

/// Reversal in field 1, against the mean of the published solutions.
pub fn sp4_field1() -> Report {
    // OOMMF itself is 0.0021/0.0062/0.0014 away from the mean.
    sp4(
        "sp4-field1",
        [-24.6e-3, 4.3e-3, 0.0],
        include_str!("../reference/sp4_field1_published_mean.csv"),
        1e-9,
        0.0065,
        138.5,
        Some([-0.98451, 0.12745, 0.04315]),
    )
}

/// Reversal in field 2; later than 0.4 ns the end domains make it sensitive to the mesh.
pub fn sp4_field2() -> Report {
    sp4("sp4-field2", [-35.5e-3, -6.3e-3, 0.0], include_str!("../reference/sp4_field2_published_mean.csv"), 0.4e-9, 0.02, 136.8, None)
}

fn sp4(name: &'static str, field: [f64; 3], published: &str, until: f64, tolerance: f64, crossing: f64, end: Option<[f64; 3]>) -> Report {
    let clock = Instant::now();
    let mut v = Values::default();
    for (p, x) in [(P::Msat, 8e5), (P::Aex, 13e-12), (P::Alpha, 0.02)] {
        v.set_scalar(p, x);
    }
    let mesh = Mesh::new([200, 50, 1], [2.5e-9, 2.5e-9, 3e-9]);
    let cells = mesh.cells();
    let system = System::new(mesh, RegionMap::uniform(cells), Material::uniform(v, 1));
    let mut sim =
        Simulation::new(system, DeviceChoice::CpuSingle, &tableau::RKF45, Step::Adaptive { max_err: 1e-6 }).expect("an open mesh");
    let mut m = vec![0.0; 3 * cells];
    m[..cells].fill(1.0);
    m[cells..2 * cells].fill(0.1);
    sim.set_m(0, &m);
    sim.relax();
    let start = mean(&sim.m(0));
    sim.system.replicas[0].material.set_everywhere(P::BExt, field);
    sim.apply(0);
    let mut worst = [0.0f64; 3];
    let mut zero = f64::NAN;
    let mut last = (0.0, start[0]);
    for row in table(published) {
        // Later than the comparison nothing is looked at but the end.
        if row[0] > until {
            break;
        }
        sim.run_all_to(row[0]);
        let m = mean(&sim.m(0));
        if zero.is_nan() && m[0] <= 0.0 {
            zero = 1e12 * (last.0 + (row[0] - last.0) * last.1 / (last.1 - m[0]));
        }
        last = (row[0], m[0]);
        for c in 0..3 {
            worst[c] = worst[c].max((m[c] - row[1 + c]).abs());
        }
    }
    sim.run_all_to(1e-9);
    let m = mean(&sim.m(0));
    let control = sim.control(0);
    let mut checks = vec![];
    for (c, (got, want)) in ["mx", "my", "mz"].iter().zip(start.iter().zip([0.966716, 0.125749, 0.0])) {
        checks.push(Check {
            what: format!("relaxed <{c}>"),
            got: *got,
            want,
            tolerance: 2e-4,
            reason: "OOMMF on the same mesh, which stopped relaxing earlier",
        });
    }
    checks.push(Check {
        what: "first zero of <mx> (ps)".into(),
        got: zero,
        want: crossing,
        tolerance: 0.5,
        reason: "spread of the published solutions",
    });
    for (c, w) in ["mx", "my", "mz"].iter().zip(worst) {
        checks.push(Check {
            what: format!("largest distance of <{c}> from the published mean"),
            got: w,
            want: 0.0,
            tolerance,
            reason: "that of established codes",
        });
    }
    for (c, want) in end.into_iter().flatten().enumerate() {
        checks.push(Check {
            what: format!("<{}> at 1 ns", ["mx", "my", "mz"][c]),
            got: m[c],
            want,
            tolerance: 5e-4,
            reason: "OOMMF on the same mesh",
        });
    }
    Report {
        name,
        source: "muMAG standard problem 4; published mean: Bjørk et al., J. Magn. Magn. Mater. 535, 168057 (2021)",
        work: format!("{cells} cells, {} evaluations, {:.1} s", control.evaluations, clock.elapsed().as_secs_f64()),
        checks,
    }
}

/// One spin precessing and damped in a constant field: closed form.
pub fn macrospin() -> Report {
    let clock = Instant::now();
    let mut v = Values::default();
    v.set_scalar(P::Msat, 1e6);
    v.set_scalar(P::Alpha, 0.02);
    v.set(P::BExt, [0.0, 0.0, 0.5]);
    let mut system = System::new(Mesh::new([1, 1, 1], [1e-9; 3]), RegionMap::uniform(1), Material::uniform(v, 1));
    system.terms.retain(|t| *t != Term::Demag);
    let mut checks = Vec::new();
    for (choice, name, tolerance) in [(DeviceChoice::CpuDouble, "f64", 1e-6), (DeviceChoice::CpuSingle, "f32", 1e-4)] {
        let mut sim = Simulation::new(system.clone(), choice, &tableau::RK45, Step::Adaptive { max_err: 1e-8 }).expect("an open mesh");
        sim.set_m(0, &[1.0, 0.0, 0.0]);
        let mut worst = 0.0f64;
        for row in table(include_str!("../reference/macrospin_damped_precession.csv")) {
            sim.run_all_to(row[0]);
            let m = sim.m(0);
            worst = worst.max((0..3).map(|c| (m[c] - row[1 + c]).abs()).fold(0.0, f64::max));
        }
        checks.push(Check {
            what: format!("largest distance from the closed form, {name}"),
            got: worst,
            want: 0.0,
            tolerance,
            reason: "tolerance of the step and rounding",
        });
    }
    Report {
        name: "macrospin",
        source: "m = (cos wt, sin wt, sinh(a wt))/cosh(a wt)",
        work: format!("{:.1} s", clock.elapsed().as_secs_f64()),
        checks,
    }
}

/// Where <mz> of a chain changes sign, by linear interpolation (cells).
fn wall(m: &[f64]) -> f64 {
    let n = m.len() / 3;
    let mz = &m[2 * n..];
    (1..n).find(|&i| mz[i - 1] * mz[i] < 0.0).map_or(f64::NAN, |i| i as f64 - 1.0 + mz[i - 1] / (mz[i - 1] - mz[i]))
}

/// A Néel wall in a chain, all four combinations of the signs of J and D.
pub fn wall_sot() -> Report {
    let clock = Instant::now();
    let mut checks = Vec::new();
    let reference = table(include_str!("../reference/dw_sot_neel_chain.csv"));
    for row in reference.iter().filter(|r| r[0] == 0.1 || r[0] == 0.012) {
        let (alpha, j, chain) = (row[0], row[1], row[4]);
        for (sj, sd) in [(1.0, 1.0), (-1.0, 1.0), (1.0, -1.0), (-1.0, -1.0)] {
            if alpha == 0.012 && sd < 0.0 {
                continue;
            }
            let mut v = Values::default();
            let ms = 1e6;
            for (p, x) in [
                (P::Msat, ms),
                (P::Aex, 15e-12),
                (P::Dind, sd * 0.5e-3),
                (P::Ku1, 1e6 - 0.5 * MU0 * ms * ms),
                (P::Alpha, alpha),
                (P::ThetaSh, 0.5),
            ] {
                v.set_scalar(p, x);
            }
            v.set(P::J, [sj * j, 0.0, 0.0]);
            // Periodic across: a chain has no edges for the DMI to act on.
            let n = 600;
            let mut system =
                System::new(Mesh { pbc: [0, 1, 0], ..Mesh::new([n, 1, 1], [1e-9; 3]) }, RegionMap::uniform(n), Material::uniform(v, 1));
            system.terms.retain(|t| *t != Term::Demag);
            let mut sim =
                Simulation::new(system, DeviceChoice::CpuDouble, &tableau::RKF45, Step::Adaptive { max_err: 1e-5 }).expect("a chain");
            // Up on the left, down on the right, in the middle; the centre along −x for D > 0.
            let mut m = vec![0.0; 3 * n];
            for i in 0..n {
                let u = (i as f64 - 299.5) / 6.35;
                m[i] = -sd / u.cosh();
                m[2 * n + i] = -u.tanh();
            }
            sim.set_m(0, &m);
            sim.run_all_to(0.8e-9);
            let from = wall(&sim.m(0));
            sim.run_all_to(1.2e-9);
            let v = (wall(&sim.m(0)) - from) * 1e-9 / 0.4e-9;
            // s = z × J: J along +x gives s = +y, which drives the wall to −x for D > 0.
            checks.push(Check {
                what: format!("velocity (m/s), alpha {alpha}, J {:+.0e}, D {:+.1} mJ/m2", sj * j, 0.5 * sd),
                got: v,
                want: -sj * sd * chain,
                tolerance: 0.003 * chain,
                reason: "another chain code; the rigid-wall formula is 0.03-0.7 % off",
            });
        }
    }
    Report {
        name: "wall-sot",
        source: "Thiaville et al., EPL 100, 57002 (2012), and a chain code",
        work: format!("{:.1} s", clock.elapsed().as_secs_f64()),
        checks,
    }
}
