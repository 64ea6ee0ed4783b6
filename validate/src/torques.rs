//! Spin-transfer torques and driven walls.

use crate::{Check, Report, table};
use spinloom_base::constants::{GAMMA_LL, MU0};
use spinloom_kernels::{Material, Mesh, ParameterId as P, RegionMap, System, Term, Values};
use spinloom_solver::{DeviceChoice, Simulation, Step, tableau};
use std::time::Instant;

/// One spin, without demagnetisation.
fn spin(cell: [f64; 3], v: Values, max_err: f64) -> Simulation {
    let mut system = System::new(Mesh::new([1, 1, 1], cell), RegionMap::uniform(1), Material::uniform(v, 1));
    system.terms.retain(|t| *t != Term::Demag);
    Simulation::new(system, DeviceChoice::CpuDouble, &tableau::RK45, Step::Adaptive { max_err }).expect("one cell")
}

/// One spin under field, anisotropy and Slonczewski torque at once, over 10 ns.
pub fn slonczewski() -> Report {
    let clock = Instant::now();
    let mut v = Values::default();
    let angle = 40f64.to_radians();
    for (p, x) in [
        (P::Msat, 860e3),
        (P::Ku1, -0.1e6),
        (P::Alpha, 0.014),
        (P::GammaLl, 2.21017e5 / MU0),
        (P::Pol, 0.4),
        (P::Lambda, 2.0),
        (P::FreeLayerThickness, 5e-9),
    ] {
        v.set_scalar(p, x);
    }
    v.set(P::BExt, [0.2e-3, 0.2e-3, 10e-3]);
    v.set(P::J, [0.0, 0.0, 5e-5 / (12.5e-9f64).powi(2)]);
    v.set(P::FixedLayer, [0.0, angle.sin(), angle.cos()]);
    let mut sim = spin([12.5e-9, 12.5e-9, 5e-9], v, 1e-8);
    sim.set_m(0, &[1.0, 0.01, 0.01]);
    let mut worst = 0.0f64;
    for row in table(include_str!("../reference/macrospin_slonczewski.csv")) {
        sim.run_all_to(row[0]);
        let m = sim.m(0);
        worst = (0..3).map(|c| (m[c] - row[1 + c]).abs()).fold(worst, f64::max);
    }
    Report {
        name: "slonczewski",
        source: "direct integration of the same equation; Nmag is 3e-5 from it",
        work: format!("{} evaluations, {:.1} s", sim.control(0).evaluations, clock.elapsed().as_secs_f64()),
        checks: vec![Check {
            what: "largest distance over 10 ns".into(),
            got: worst,
            want: 0.0,
            tolerance: 1e-4,
            reason: "tolerance of the step over some forty turns; constants to six digits",
        }],
    }
}

/// A perpendicular macrospin reversed by a current through a perpendicular polariser, and one that it keeps precessing.
pub fn stt() -> Report {
    let clock = Instant::now();
    let mut checks = Vec::new();
    for row in table(include_str!("../reference/stt_perpendicular_switching_time.csv")) {
        let [ratio, j, _, time] = row[..] else { continue };
        let mut v = Values::default();
        for (p, x) in [(P::Msat, 1e6), (P::Ku1, 0.15e6), (P::Alpha, 0.01), (P::Pol, 0.6), (P::FreeLayerThickness, 1e-9)] {
            v.set_scalar(p, x);
        }
        v.set(P::J, [0.0, 0.0, j]);
        v.set(P::FixedLayer, [0.0, 0.0, -1.0]);
        let mut sim = spin([1e-9; 3], v, 1e-7);
        let angle = 1f64.to_radians();
        sim.set_m(0, &[angle.sin(), 0.0, angle.cos()]);
        // The time at which mz passes zero, between two moments a thousandth of it apart.
        let (mut before, mut now) = ((0.0, 1.0), (0.0, 1.0));
        while now.1 > 0.0 && now.0 < 2.0 * time {
            before = now;
            let t = before.0 + 1e-3 * time;
            sim.run_all_to(t);
            now = (t, sim.m(0)[2]);
        }
        let got = before.0 + (now.0 - before.0) * before.1 / (before.1 - now.1);
        checks.push(Check {
            what: format!("time to the equator at {ratio} of the threshold (ns)"),
            got: 1e9 * got,
            want: 1e9 * time,
            tolerance: 1e9 * time * 1e-3,
            reason: "closed form; tolerance of the step",
        });
    }
    for row in table(include_str!("../reference/stno_perpendicular_polariser.csv")).iter().filter(|r| r[0] > 9e9) {
        let [j, _, mz, frequency] = row[..] else { continue };
        let mut v = Values::default();
        let ms = 8e5;
        for (p, x) in [(P::Msat, ms), (P::Ku1, -0.5 * MU0 * ms * ms), (P::Alpha, 0.02), (P::Pol, 0.6), (P::FreeLayerThickness, 2e-9)] {
            v.set_scalar(p, x);
        }
        v.set(P::J, [0.0, 0.0, j]);
        v.set(P::FixedLayer, [0.0, 0.0, 1.0]);
        let mut sim = spin([1e-9, 1e-9, 2e-9], v, 1e-7);
        sim.set_m(0, &[(1.0 - mz * mz).sqrt(), 0.0, mz]);
        sim.run_all_to(2e-9);
        let phase = |m: &[f64]| m[1].atan2(m[0]);
        let (mut turned, mut last) = (0.0, phase(&sim.m(0)));
        // Steps much shorter than a turn.
        let (steps, dt) = (400, 0.02 / frequency);
        for k in 1..=steps {
            sim.run_all_to(2e-9 + f64::from(k) * dt);
            let now = phase(&sim.m(0));
            turned += (now - last + 3.0 * std::f64::consts::PI).rem_euclid(std::f64::consts::TAU) - std::f64::consts::PI;
            last = now;
        }
        let got = turned.abs() / std::f64::consts::TAU / (f64::from(steps) * dt);
        checks.push(Check {
            what: format!("oscillator at {j:.0e} A/m2: frequency (GHz)"),
            got: 1e-9 * got,
            want: 1e-9 * frequency,
            tolerance: 2e-12 * frequency,
            reason: "closed form; what is left of the transient",
        });
        checks.push(Check {
            what: format!("oscillator at {j:.0e} A/m2: mz"),
            got: sim.m(0)[2],
            want: mz,
            tolerance: 1e-3 * mz,
            reason: "closed form; what is left of the transient",
        });
    }
    Report {
        name: "stt",
        source: "closed forms of a macrospin under Slonczewski torque",
        work: format!("{:.1} s", clock.elapsed().as_secs_f64()),
        checks,
    }
}

/// A chain with a Bloch wall in the middle: easy axis z, hard axis x along the chain.
fn chain(n: usize, dx: f64, set: impl Fn(&mut Values)) -> Simulation {
    let (a, ku, hard) = (15e-12, 0.3e6, 0.03e6);
    let mut v = Values::default();
    for (p, x) in [(P::Msat, 600e3), (P::Aex, a), (P::Ku1, ku), (P::Alpha, 0.1), (P::B1, 1e6), (P::Exx, hard / 1e6)] {
        v.set_scalar(p, x);
    }
    set(&mut v);
    let mut system = System::new(Mesh::new([n, 1, 1], [dx, 1e-9, 1e-9]), RegionMap::uniform(n), Material::uniform(v, 1));
    system.terms.retain(|t| *t != Term::Demag);
    let mut sim = Simulation::new(system, DeviceChoice::CpuDouble, &tableau::RKF45, Step::Adaptive { max_err: 1e-5 }).expect("a chain");
    let width = (a / ku).sqrt();
    let mut m = vec![0.0; 3 * n];
    for i in 0..n {
        let u = (i as f64 - 0.5 * (n as f64 - 1.0)) * dx / width;
        m[n + i] = 1.0 / u.cosh();
        m[2 * n + i] = -u.tanh();
    }
    sim.set_m(0, &m);
    sim
}

/// Where a domain that points up ends (m from the left end).
fn place(m: &[f64], dx: f64) -> f64 {
    let n = m.len() / 3;
    let mz = &m[2 * n..];
    (1..n).find(|&i| mz[i - 1] * mz[i] < 0.0).map_or(f64::NAN, |i| dx * (i as f64 - 1.0 + mz[i - 1] / (mz[i - 1] - mz[i])))
}

/// Bloch walls driven by a field below Walker's, and by a current along the chain.
pub fn walls() -> Report {
    let clock = Instant::now();
    let mut checks = Vec::new();
    for row in table(include_str!("../reference/dw_walker_1d.csv")).iter().filter(|r| r[0] == 1e-9 && (r[1] == 1e-3 || r[1] == 4e-3)) {
        let [dx, b, theory, found] = row[..] else { continue };
        let mut sim = chain(800, dx, |v| v.set(P::BExt, [0.0, 0.0, b]));
        sim.run_all_to(6e-9);
        let from = place(&sim.m(0), dx);
        sim.run_all_to(7e-9);
        checks.push(Check {
            what: format!("velocity in {:.0} mT (m/s; rigid wall {theory:.2})", 1e3 * b),
            got: (place(&sim.m(0), dx) - from) / 1e-9,
            want: found,
            tolerance: 0.008 * found,
            reason: "another chain code, itself 0.3-0.8 % below the rigid wall; near Walker's field the phase settles slowly",
        });
    }
    for row in table(include_str!("../reference/dw_zhang_li_1d.csv")) {
        let [xi, u, _, begin, _, end] = row[..] else { continue };
        // u = muB P J/(e Ms (1 + xi²)) against the current: electrons push the wall.
        let j = u * (1.0 + xi * xi) * 1.602_176_46e-19 * 600e3 / 9.274_009_152_3e-24;
        let mut sim = chain(500, 1e-9, |v| {
            v.set_scalar(P::Pol, 1.0);
            v.set_scalar(P::Xi, xi);
            v.set(P::J, [-j, 0.0, 0.0]);
        });
        let from = place(&sim.m(0), 1e-9);
        sim.run_all_to(4e-12);
        checks.push(Check {
            what: format!("velocity in the first 4 ps, xi {xi} (m/s)"),
            got: (place(&sim.m(0), 1e-9) - from) / 4e-12,
            want: begin,
            tolerance: 0.01 * u,
            reason: "another chain code; the start is 1 % of the cell's size uncertain",
        });
        if xi == 0.04 || xi == 0.1 {
            sim.run_all_to(6e-9);
            let from = place(&sim.m(0), 1e-9);
            sim.run_all_to(8e-9);
            checks.push(Check {
                what: format!("steady velocity, xi {xi} (m/s; xi u/alpha = {:.1})", xi * u / 0.1),
                got: (place(&sim.m(0), 1e-9) - from) / 2e-9,
                want: end,
                tolerance: 0.005 * u,
                reason: "another chain code",
            });
        }
    }
    Report {
        name: "walls",
        source: "Schryer and Walker, J. Appl. Phys. 45, 5406 (1974); Thiaville et al., EPL 69, 990 (2005); a chain code",
        work: format!("{:.1} s", clock.elapsed().as_secs_f64()),
        checks,
    }
}

/// Frequencies: Kittel's formula for a prism of one cell, and exchange spin waves on the mesh.
pub fn resonance() -> Report {
    let clock = Instant::now();
    let mut checks = Vec::new();
    let turns = |sim: &mut Simulation, pick: &dyn Fn(&[f64]) -> f64, dt: f64, steps: usize| -> f64 {
        // Rising zeros, by interpolation: whole periods between the first and the last.
        let mut crossings = Vec::new();
        let mut last = pick(&sim.m(0));
        for k in 1..=steps {
            sim.run_all_to(k as f64 * dt);
            let now = pick(&sim.m(0));
            if last < 0.0 && now >= 0.0 {
                crossings.push((k as f64 - 1.0 + last / (last - now)) * dt);
            }
            last = now;
        }
        (crossings.len() - 1) as f64 / (crossings[crossings.len() - 1] - crossings[0])
    };
    let mut v = Values::default();
    v.set_scalar(P::Msat, 800e3);
    v.set(P::BExt, [0.1, 0.0, 0.0]);
    let system = System::new(Mesh::new([1, 1, 1], [500e-9, 125e-9, 3e-9]), RegionMap::uniform(1), Material::uniform(v, 1));
    let mut sim = Simulation::new(system, DeviceChoice::CpuDouble, &tableau::RK45, Step::Adaptive { max_err: 1e-8 }).expect("one cell");
    sim.set_m(0, &[1.0, 1e-3, 0.0]);
    let f = turns(&mut sim, &|m| m[1], 2e-12, 1000);
    checks.push(Check {
        what: "one-cell prism 500:125:3 in 0.1 T (GHz)".into(),
        got: 1e-9 * f,
        want: 10.3047,
        tolerance: 2e-4,
        reason: "Kittel's formula with the exact factors, four decimals",
    });
    // A wave of k = 2π 4/(64 dx) around a ring.
    let (n, dx, a, ms, b) = (64usize, 4e-9, 13e-12, 800e3, 0.2);
    let k = std::f64::consts::TAU * 4.0 / (n as f64 * dx);
    let mut v = Values::default();
    v.set_scalar(P::Msat, ms);
    v.set_scalar(P::Aex, a);
    v.set(P::BExt, [0.0, 0.0, b]);
    let mesh = Mesh { pbc: [1, 0, 0], ..Mesh::new([n, 1, 1], [dx; 3]) };
    let mut system = System::new(mesh, RegionMap::uniform(n), Material::uniform(v, 1));
    system.terms.retain(|t| *t != Term::Demag);
    let mut sim = Simulation::new(system, DeviceChoice::CpuDouble, &tableau::RK45, Step::Adaptive { max_err: 1e-8 }).expect("a ring");
    let m: Vec<f64> = (0..3 * n)
        .map(|i| {
            let phase = k * dx * (i % n) as f64;
            [1e-3 * phase.cos(), 1e-3 * phase.sin(), 1.0][i / n]
        })
        .collect();
    sim.set_m(0, &m);
    let f = turns(&mut sim, &|m| m[0], 1e-12, 1000);
    let want = GAMMA_LL / std::f64::consts::TAU * (b + 2.0 * a / ms * (2.0 / (dx * dx)) * (1.0 - (k * dx).cos()));
    checks.push(Check {
        what: format!("exchange spin wave, k = {k:.2e} /m (GHz)"),
        got: 1e-9 * f,
        want: 1e-9 * want,
        tolerance: 1e-3,
        reason: "dispersion on the mesh; amplitude 1e-3",
    });
    Report {
        name: "resonance",
        source: "Kittel, Phys. Rev. 73, 155 (1948); exchange spin waves in closed form",
        work: format!("{:.1} s", clock.elapsed().as_secs_f64()),
        checks,
    }
}

/// Two coupled layers as macrospins: where the antiparallel state gives way, where spin-flop ends, and how far it has opened in between.
pub fn layers() -> Report {
    let clock = Instant::now();
    let mut checks = Vec::new();
    for row in table(include_str!("../reference/saf_two_macrospins.csv")) {
        let [j, ms, t, k, _, flop, unstable, saturation] = row[..] else { continue };
        let mut v = Values::default();
        for (p, x) in [(P::Msat, ms), (P::Ku1, k), (P::Alpha, 1.0)] {
            v.set_scalar(p, x);
        }
        // One empty cell between them.
        let mesh = Mesh::new([1, 1, 3], [5e-9, 5e-9, t]);
        let map = RegionMap::new(vec![0, RegionMap::VACUUM, 1], 2);
        let mut material = Material::uniform(v, 2);
        material.couplings.push(spinloom_kernels::material::Coupling { regions: (0, 1), j1: -j, j2: 0.0, d: [0.0; 3] });
        let mut system = System::new(mesh, map, material);
        system.terms.retain(|t| *t != Term::Demag);
        let mut sim =
            Simulation::new(system, DeviceChoice::CpuDouble, &tableau::RK45, Step::Adaptive { max_err: 1e-6 }).expect("three cells");
        let mut settle = |b: f64, m: [[f64; 3]; 2]| -> [f64; 2] {
            sim.system.replicas[0].material.set_everywhere(P::BExt, [0.0, 0.0, b]);
            sim.apply(0);
            let state: Vec<f64> = (0..9).map(|i| [m[0], [0.0; 3], m[1]][i % 3][i / 3]).collect();
            sim.set_m(0, &state);
            sim.relax();
            let m = sim.m(0);
            [m[6], m[8]]
        };
        let antiparallel = [[0.02, 0.0, 1.0], [0.0, 0.02, -1.0]];
        let open = [[1.0, 0.0, 0.3], [-1.0, 0.05, 0.3]];
        let name = format!("J {:.1} mJ/m2, K {:.0} kJ/m3", 1e3 * j, 1e-3 * k);
        let mut hold = |what: &str, got: f64, want: f64, tolerance: f64| {
            checks.push(Check {
                what: format!("{name}: {what}"),
                got,
                want,
                tolerance,
                reason: "closed form of two macrospins; 1 % of the field on either side",
            });
        };
        if k > 0.0 {
            let below = settle(0.99 * unstable, antiparallel);
            hold("antiparallel below its limit: mz of the second layer", below[1], -1.0, 1e-3);
            let above = settle(1.01 * unstable, antiparallel);
            hold("and not above: it has left", f64::from(u8::from(above[1] > -0.9)), 1.0, 0.0);
        }
        if unstable < saturation && k >= 0.0 && flop < saturation {
            let b = 0.5 * (flop.max(0.3 * saturation) + saturation);
            let got = settle(b, open);
            hold("spin-flop state: mean mz", 0.5 * (got[0] + got[1]), b * ms * t / (2.0 * (j - k * t)), 2e-3);
            let full = settle(1.01 * saturation, open);
            hold("saturated: mean mz", 0.5 * (full[0] + full[1]), 1.0, 2e-3);
        }
    }
    Report {
        name: "layers",
        source: "two coupled macrospins in closed form",
        work: format!("{:.1} s", clock.elapsed().as_secs_f64()),
        checks,
    }
}
