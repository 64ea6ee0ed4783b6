//! Layers coupled by exchange.

use crate::magnet::{Magnet, mean, set, settle, state, table};
use crate::trial::{Outcome, Tolerance, Trial, line, points};
use spinloom_kernels::material::{Coupling, Pair};
use spinloom_kernels::{ParameterId as P, Term};
use spinloom_solver::Simulation;

/// Two cells above each other with an empty one between, energy +J m1·m2 per area; the upper one with its own values.
fn pair(j: f64, thickness: f64, values: &[(P, f64)], upper: &[(P, f64)]) -> Magnet {
    Magnet::new([1, 1, 3], [5e-9, 5e-9, thickness], values)
        .region(upper, |p| p[2] > 0.5 * thickness)
        .inside(|p| p[2].abs() > 0.5 * thickness)
        .couple(Coupling { regions: (0, 1), j1: -j, j2: 0.0, d: [0.0; 3] })
        .without_demag()
}

/// mz of both layers after relaxing in a field (T) from a state, or from the present one.
fn relaxed(sim: &mut Simulation, t: &Trial, b: f64, m: Option<[[f64; 3]; 2]>) -> [f64; 2] {
    set(sim, P::BExt, [0.0, 0.0, b]);
    if let Some(m) = m {
        sim.set_m(0, &state(&sim.system, |p| m[usize::from(p[2] > 0.0)]));
    }
    settle(sim, t);
    let m = sim.m(0);
    [m[6], m[8]]
}

/// Two equal layers as macrospins: where the antiparallel state gives way, where spin flop ends, and how far it has opened in between.
pub fn saf(t: &mut Trial) -> Outcome {
    for row in table(include_str!("../reference/saf_two_macrospins.csv")) {
        let [j, ms, thickness, k, exchange, flop, unstable, saturation] = row[..] else { continue };
        let mut sim = pair(j, thickness, &[(P::Msat, ms), (P::Ku1, k), (P::Alpha, 1.0)], &[]).on(t)?;
        let antiparallel = Some([[0.02, 0.0, 1.0], [0.0, 0.02, -1.0]]);
        let open = Some([[1.0, 0.0, 0.3], [-1.0, 0.05, 0.3]]);
        let name = format!("J {:.1} mJ/m2, K {:.0} kJ/m3", 1e3 * j, 1e-3 * k);
        let near = |tolerance| Tolerance::of(tolerance, "closed form of two macrospins; 1 % of the field on either side");
        sim.set_m(0, &state(&sim.system, |p| [0.0, 0.0, p[2].signum()]));
        let field = sim.field(0, &[Term::Bilinear]);
        t.check(
            format!("{name}: exchange field (T)"),
            field[6],
            -exchange,
            Tolerance::of(1e-8, "J/(Ms t), eight digits").single(1e-6, "roundings of f32"),
        );
        if k > 0.0 {
            let below = relaxed(&mut sim, t, 0.99 * unstable, antiparallel);
            t.check(format!("{name}: antiparallel below its limit: mz of the second layer"), below[1], -1.0, near(1e-3));
            let above = relaxed(&mut sim, t, 1.01 * unstable, antiparallel);
            t.check(format!("{name}: and not above: it has left"), f64::from(u8::from(above[1] > -0.9)), 1.0, near(0.0));
            if unstable > saturation {
                t.check(format!("{name}: straight to saturation"), above[1], 1.0, near(1e-3));
            } else {
                // Equal energies of the antiparallel and the open state.
                let mut difference = |b: f64| {
                    relaxed(&mut sim, t, b, antiparallel);
                    let e = sim.total_energy(0);
                    relaxed(&mut sim, t, b, open);
                    (e - sim.total_energy(0)) / (25e-18 * j)
                };
                let (low, high) = (difference(0.97 * flop), difference(1.03 * flop));
                let got = flop * (0.97 - 0.06 * low / (high - low));
                t.check(
                    format!("{name}: field of equal energies (T)"),
                    got,
                    flop,
                    Tolerance::of(1e-3 * flop, "straight line between 3 % on either side").single(1e-2 * flop, "and energies in f32"),
                );
            }
        }
        let (mut fields, mut ours, mut exact) = (vec![], vec![], vec![]);
        if flop < saturation {
            for part in [0.4, 0.6, 0.8, 0.95, 1.01, 1.2] {
                let b = f64::max(part * saturation, 1.02 * flop);
                let got = relaxed(&mut sim, t, b, open);
                let want = f64::min(1.0, b * ms * thickness / (2.0 * (j - k * thickness)));
                t.check(format!("{name}: mean mz at {part} of saturation"), 0.5 * (got[0] + got[1]), want, near(2e-3));
                fields.push(b);
                ours.push(0.5 * (got[0] + got[1]));
                exact.push(want);
            }
            t.plot(&name, ("B", "T"), ("mean mz", "1"), vec![points("here", &fields, &ours), line("two macrospins", &fields, &exact)]);
        }
        t.count(&sim);
    }
    // Unequal layers: beside one that stands still, the thin one turns at J/(Ms t) plus or minus its own anisotropy field.
    let (j, ms, thickness, ku) = (0.5e-3, 1e6, 1e-9, 0.05e6);
    let mut sim =
        pair(j, thickness, &[(P::Msat, ms), (P::Ku1, ku), (P::Alpha, 1.0)], &[(P::Msat, 4.0 * ms), (P::FrozenSpins, 1.0)]).on(t)?;
    for (name, sign, start) in [("rising", 1.0, -1.0), ("falling", -1.0, 1.0)] {
        let want = j / (ms * thickness) + sign * 2.0 * ku / ms;
        relaxed(&mut sim, t, 0.97 * want + 0.03 * (want - sign), Some([[0.01, 0.0, start], [0.0, 0.0, 1.0]]));
        let mut b = want * (1.0 - sign * 0.02);
        let turned = loop {
            // A push off the axis, on which the torque is zero.
            let m = sim.m(0);
            let got = relaxed(&mut sim, t, b, Some([[0.01, 0.0, m[6]], [0.0, 0.0, 1.0]]));
            if got[0] * sign > 0.0 {
                break b - sign * 0.001 * want;
            }
            if (b / want - 1.0).abs() > 0.05 {
                break f64::NAN;
            }
            b += sign * 0.002 * want;
        };
        t.check(
            format!("thin layer beside a fixed one, {name} field: turns at (T)"),
            turned,
            want,
            Tolerance::of(0.002 * want, "J/(Ms t) and 2K/Ms; steps of 0.2 %"),
        );
    }
    t.count(&sim);
    Ok(())
}

/// What it costs to turn a layer, and an antiferromagnetic border between two halves of a film.
pub fn borders(t: &mut Trial) -> Outcome {
    let mut sim = Magnet::new([10, 10, 2], [1e-9; 3], &[(P::Msat, 1e6)])
        .region(&[], |p| p[2] > 0.0)
        .couple(Coupling { regions: (0, 1), j1: -1e-3, j2: 0.0, d: [0.0; 3] })
        .without_demag()
        .m(|_| [0.0, 0.0, 1.0])
        .on(t)?;
    let start = sim.total_energy(0);
    sim.set_m(0, &state(&sim.system, |p| if p[2] > 0.0 { [1.0, 0.0, 0.0] } else { [0.0, 0.0, 1.0] }));
    t.check(
        "energy gained by turning a layer by 90 deg (1e-19 J)",
        1e19 * (start - sim.total_energy(0)),
        1.0,
        Tolerance::of(1e-9, "J times the area").single(1e-5, "roundings of f32"),
    );
    t.count(&sim);
    let mut sim = Magnet::new([128, 32, 1], [500e-9 / 128.0, 125e-9 / 32.0, 3e-9], &[(P::Msat, 8e5), (P::Aex, 13e-12), (P::Alpha, 1.0)])
        .region(&[], |p| p[1] > 0.0)
        .edit(|s| s.replicas[0].material.pairs.push(Pair { parameter: P::Aex, regions: (0, 1), scale: -1.0, value: 0.0 }))
        .sampled_demag()
        .m(|_| [0.0, 0.1, 1.0])
        .on(t)?;
    sim.relax();
    t.check_vector(
        "halves coupled by -Aex: <m>",
        mean(&sim),
        [0.0, 0.114171, 0.0],
        Tolerance::of(1e-4, "mumax3; the start is not stated: of those tried this one alone ends there"),
    );
    t.count(&sim);
    Ok(())
}
