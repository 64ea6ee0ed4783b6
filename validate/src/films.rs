//! Spin-transfer torque in extended layers, and vortices.

use crate::magnet::{Magnet, mean, settle};
use crate::trial::{Outcome, Tolerance, Trial, line};
use spinloom_base::constants::{GAMMA_LL, MU0};
use spinloom_kernels::ParameterId as P;
use spinloom_solver::{Simulation, tableau};
use std::f64::consts::{PI, TAU};

/// A layer of 160×80×5 nm³ under a current, against OOMMF and mumax3.
pub fn slonczewski_layer(t: &mut Trial) -> Outcome {
    let layer = |gamma: f64, lambda: f64, field_like: f64, degrees: f64, milliamperes: f64| {
        let (s, c) = degrees.to_radians().sin_cos();
        let values = [
            (P::Msat, 8e5),
            (P::Aex, 13e-12),
            (P::Alpha, 0.01),
            (P::Pol, 0.5669),
            (P::Lambda, lambda),
            (P::EpsilonPrime, field_like),
            (P::GammaLl, gamma),
        ];
        Magnet::new([64, 32, 1], [2.5e-9, 2.5e-9, 5e-9], &values)
            .vector(P::J, [0.0, 0.0, 1e-3 * milliamperes / (160e-9 * 80e-9)])
            .vector(P::FixedLayer, [c, s, 0.0])
            .adaptive(&tableau::RKF45, 1e-6)
    };
    let near =
        Tolerance::of(1e-3, "the requirement; 1e-5 with the very same tensor and steps").single(5e-3, "and roundings of f32 over 1 ns");
    let mut sim = layer(2.211e5 / MU0, 2.0, 1.0, 20.0, -6.0).m(|_| [1.0, 0.1, 0.0]).on(t)?;
    sim.run_all_to(1e-9);
    t.check_vector("both torques: <m> after 1 ns", mean(&sim), [-0.953324, -0.279948, 0.005281], near);
    t.count(&sim);
    let mut sim = layer(GAMMA_LL, 2.0, 0.0, 20.0, -6.0).sampled_demag().m(|_| [1.0, 0.0, 0.0]).on(t)?;
    sim.run_all_to(0.5e-9);
    t.check_vector("damping-like alone: <m> after 0.5 ns", mean(&sim), [0.905613, -0.286086, -0.011006], near);
    t.count(&sim);
    let mut sim = layer(GAMMA_LL, 1.0, 0.0, 1.0, -8.0).sampled_demag().m(|_| [1.0, 1.0, 0.001]).on(t)?;
    settle(&mut sim, t);
    t.check_vector("p nearly along m: start", mean(&sim), [0.958627, 0.203913, 0.0], near);
    for (ns, want) in [(1.0, [0.644099, 0.513178, -0.156923]), (2.0, [-0.957406, 0.206981, 0.009677])] {
        sim.run_all_to(1e-9 * ns);
        t.check_vector(&format!("p nearly along m: <m> after {ns} ns"), mean(&sim), want, near);
    }
    t.count(&sim);
    Ok(())
}

/// Topological charge of the lowest layer: solid angles of the triangles between its spins (Berg and Lüscher, Nucl. Phys. B 190, 412 (1981)) over 4π.
fn charge(sim: &Simulation) -> f64 {
    let (mesh, m) = (&sim.system.mesh, sim.m(0));
    let cells = mesh.cells();
    let at = |x: usize, y: usize| {
        let i = mesh.index(x, y, 0);
        [m[i], m[cells + i], m[2 * cells + i]]
    };
    let dot = |a: [f64; 3], b: [f64; 3]| a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
    let angle = |a: [f64; 3], b: [f64; 3], c: [f64; 3]| {
        let triple = a[0] * (b[1] * c[2] - b[2] * c[1]) + a[1] * (b[2] * c[0] - b[0] * c[2]) + a[2] * (b[0] * c[1] - b[1] * c[0]);
        2.0 * triple.atan2(1.0 + dot(a, b) + dot(b, c) + dot(c, a))
    };
    let mut sum = 0.0;
    for y in 1..mesh.n[1] {
        for x in 1..mesh.n[0] {
            let square = [at(x - 1, y - 1), at(x, y - 1), at(x, y), at(x - 1, y)];
            // Outside the magnet there are no spins.
            if square.iter().all(|m| dot(*m, *m) > 0.5) {
                sum += angle(square[0], square[1], square[2]) + angle(square[0], square[2], square[3]);
            }
        }
    }
    sum / (4.0 * PI)
}

/// A vortex at rest, the gyration of one in a thin disk, and their charge.
pub fn vortex(t: &mut Trial) -> Outcome {
    let values = [(P::Msat, 8e5), (P::Aex, 13e-12), (P::Alpha, 1.0)];
    let cell = 100e-9 / 32.0;
    let mut sim = Magnet::new([32, 32, 8], [cell, cell, 25e-9 / 8.0], &values).m(|[x, y, _]| [-y, x, 10e-9]).on(t)?;
    settle(&mut sim, t);
    t.check(
        "cuboid 100×100×25 nm3: <mz>",
        mean(&sim)[2],
        0.02785,
        Tolerance::of(5e-5, "mumax3, 1e-5, with its approximate demagnetising tensor"),
    );
    t.check(
        "cuboid: topological charge",
        charge(&sim).abs(),
        0.5,
        Tolerance::of(0.02, "the edge of so thick a square is not quite in plane"),
    );
    t.count(&sim);

    // L/R = 0.05; a shift of a tenth of the radius.
    let (r, l) = (100e-9, 5e-9);
    let n = t.pick(50, 100);
    let cell = 2.0 * r / n as f64;
    let mut sim = Magnet::new([n, n, 1], [cell, cell, l], &[(P::Msat, 8e5), (P::Aex, 13e-12), (P::Alpha, 0.005)])
        .inside(|[x, y, _]| x * x + y * y <= r * r)
        .vector(P::BExt, [2e-3, 0.0, 0.0])
        .adaptive(&tableau::RKF45, 1e-5)
        .m(|[x, y, _]| [-y, x, 10e-9])
        .on(t)?;
    settle(&mut sim, t);
    crate::magnet::set(&mut sim, P::BExt, [0.0; 3]);
    let (mut times, mut turned, mut mx, mut my) = (vec![], vec![], vec![], vec![]);
    let mut last: Option<f64> = None;
    for k in 0..=t.pick(40, 160) {
        let time = 0.1e-9 * f64::from(k);
        sim.run_all_to(time);
        let m = mean(&sim);
        let phase = m[1].atan2(m[0]);
        let before = turned.last().copied().unwrap_or(0.0);
        turned.push(before + last.map_or(0.0, |l| (phase - l + 3.0 * PI).rem_euclid(TAU) - PI));
        last = Some(phase);
        times.push(time);
        mx.push(m[0]);
        my.push(m[1]);
    }
    let f = turned[turned.len() - 1].abs() / TAU / times[times.len() - 1];
    let want = 5.0 / (18.0 * PI * PI) * GAMMA_LL * MU0 * 8e5 * l / r;
    t.check(
        "disk: frequency of gyration over that of the two-vortex model",
        f / want,
        1.0,
        Tolerance::of(0.2, "first order in L/R, 10 to 20 % in practice"),
    );
    t.plot("gyration", ("time", "s"), ("<m>", "1"), vec![line("mx", &times, &mx), line("my", &times, &my)]);
    t.count(&sim);
    Ok(())
}
