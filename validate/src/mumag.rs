//! The standard problems of muMAG, the micromagnetic modelling activity group at NIST.

use crate::magnet::{Magnet, column, follow, largest_distance, mean, set, settle, state, table, vectors, zero};
use crate::trial::{Outcome, Tolerance, Trial, line, points};
use spinloom_base::constants::{GAMMA_LL, MU0};
use spinloom_kernels::{DeviceError, ParameterId as P, Term};
use spinloom_solver::{Simulation, tableau};

/// Gyromagnetic ratio of these problems (rad/(T s)): 2.211e5 m/(A s).
const GAMMA: f64 = 2.211e5 / MU0;

/// Problem 1: energies of a uniform state to the last digit, and a hysteresis loop. The published loops disagree widely, so that ours is held to itself.
pub fn sp1(t: &mut Trial) -> Outcome {
    let permalloy = [(P::Msat, 860e3), (P::Aex, 13e-12), (P::Ku1, 500.0), (P::Alpha, 1.0)];
    let film = |n: [usize; 3]| {
        let cell = [2e-6 / n[0] as f64, 1e-6 / n[1] as f64, 20e-9 / n[2] as f64];
        Magnet::new(n, cell, &permalloy).vector(P::AnisU, [1.0, 0.0, 0.0])
    };
    let mut sim = film([200, 100, 2]).vector(P::BExt, [50e-3, 0.87275325e-3, 0.0]).m(|_| [10.0, 1.0, 0.0]).on(t)?;
    let exact = |want: f64| Tolerance::of(1e-9 * want.abs(), "OOMMF's regression test").single(1e-6 * want.abs(), "roundings of f32");
    for (what, term, offset, want) in [
        ("demagnetising", Term::Demag, 0.0, 2.909307911e-16),
        ("Zeeman", Term::Zeeman, 0.0, -1.714451339e-15),
        // Counted there from its easiest value.
        ("anisotropy", Term::Uniaxial, 500.0 * 4e-20, 1.98019802e-19),
    ] {
        let got = sim.energy(0, &[term]) + offset;
        let tolerance = if term == Term::Uniaxial { exact(2e-17) } else { exact(want) };
        t.check(format!("{what} energy of the film (1e-18 J)"), 1e18 * got, 1e18 * want, tolerance.times(1e18));
    }
    t.count(&sim);

    let (n, steps) = t.pick(([50, 25, 1], 10), ([100, 50, 1], 50));
    for (axis, along) in [
        ("long", [1f64.to_radians().cos(), 1f64.to_radians().sin(), 0.0]),
        ("short", [1f64.to_radians().sin(), 1f64.to_radians().cos(), 0.0]),
    ] {
        let mut sim = film(n).on(t)?;
        let volume = 4e-20 * 860e3;
        let (mut branches, mut fields, mut least) = ([vec![], vec![]], vec![], f64::INFINITY);
        for (branch, sign) in [(0, 1.0), (1, -1.0)] {
            sim.set_m(0, &state(&sim.system, |_| along.map(|a| sign * a)));
            let mut before: Option<(f64, f64, f64)> = None;
            for k in 0..=2 * steps {
                let b = sign * 50e-3 * (1.0 - f64::from(k) / f64::from(steps));
                set(&mut sim, P::BExt, along.map(|a| a * b));
                settle(&mut sim, t);
                let m = mean(&sim);
                let m = (0..3).map(|c| m[c] * along[c]).sum::<f64>();
                let energy = sim.total_energy(0);
                if let Some((b0, m0, e0)) = before {
                    // While nothing jumps dE = −V Ms m·dB, and in a minimum m cannot fall with B: from b0 to b the energy gains less than with m as it was.
                    least = f64::min(least, -m0 * (b - b0) - (energy - e0) / volume);
                }
                before = Some((b, m, energy));
                branches[branch].push(m);
                if branch == 0 {
                    fields.push(b);
                }
            }
        }
        let odd = branches[0].iter().zip(&branches[1]).map(|(a, b)| (a + b).abs()).fold(0.0, f64::max);
        t.check(
            format!("{axis} axis: largest |m(B) + m(-B)| of the two branches"),
            odd,
            0.0,
            Tolerance::of(1e-9, "time reversal, to the last digit"),
        );
        t.check(
            format!("{axis} axis: no step gains more energy than the state before it would (mT Ms V)"),
            f64::min(0.0, 1e3 * least),
            0.0,
            Tolerance::of(1e-6, "descent leads downhill; roundings of sums").single(1e-2, "energies in f32"),
        );
        let whole = branches[0].iter().fold(0.0f64, |a, m| a.max(m.abs()));
        t.check(format!("{axis} axis: largest |m|"), whole, 1.0, Tolerance::of(0.1, "nearly saturated at 50 mT"));
        t.check(
            format!("{axis} axis: m at the end of the falling branch"),
            branches[0][branches[0].len() - 1],
            -whole,
            Tolerance::of(0.1, "the loop closes"),
        );
        let back: Vec<f64> = fields.iter().map(|b| -b).collect();
        t.plot(
            &format!("loop along the {axis} axis"),
            ("B", "T"),
            ("m", "1"),
            vec![line("falling", &fields, &branches[0]), line("rising", &back, &branches[1])],
        );
        t.count(&sim);
    }
    Ok(())
}

/// What comes out of problem 2 for one size.
struct Sp2 {
    remanence: [f64; 3],
    coercive: f64,
    switching: f64,
}

/// A film of 5d × d × 0.1d: from saturation along [1,1,1] to remanence, then against it in steps until it has switched.
fn sp2_size(t: &mut Trial, d: f64, n: [usize; 3], from: f64, step: f64) -> Result<(Sp2, Simulation), DeviceError> {
    let (ms, a) = (8e5, 13e-12);
    let lex = (2.0 * a / (MU0 * ms * ms)).sqrt();
    let size = [5.0 * d * lex, d * lex, 0.1 * d * lex];
    let cell = std::array::from_fn(|k| size[k] / n[k] as f64);
    let mut sim = Magnet::new(n, cell, &[(P::Msat, ms), (P::Aex, a), (P::Alpha, 1.0)]).m(|_| [1.0; 3]).on(t)?;
    let at = |sim: &mut Simulation, h: f64| {
        set(sim, P::BExt, [MU0 * ms * h / 3f64.sqrt(); 3]);
        settle(sim, t);
        mean(sim)
    };
    [0.1, 0.05].into_iter().for_each(|h| {
        at(&mut sim, h);
    });
    let remanence = at(&mut sim, 0.0);
    let along = |m: [f64; 3]| m.iter().sum::<f64>() / 3f64.sqrt();
    let (mut h, mut step, mut coercive) = (from, step, f64::NAN);
    let mut before = along(at(&mut sim, -h));
    // The first jump is gone through again in steps ten times as fine.
    let mut fine = false;
    while h < 1.2 * from {
        let stable = sim.m(0);
        h += step;
        let now = along(at(&mut sim, -h));
        let jumps = before - now > 0.2;
        if jumps && !fine {
            sim.set_m(0, &stable);
            (h, step, fine) = (h - step, 0.1 * step, true);
            continue;
        }
        if coercive.is_nan() && now <= 0.0 {
            coercive = h - step + step * before / (before - now);
        }
        if jumps {
            break;
        }
        before = now;
    }
    Ok((Sp2 { remanence, coercive, switching: if h < 1.2 * from { h - 0.5 * step } else { f64::NAN } }, sim))
}

/// Problem 2: remanence and coercivity of a film against its size.
pub fn sp2(t: &mut Trial) -> Outcome {
    let donahue: Vec<Vec<f64>> = include_str!("../reference/sp2_published.csv")
        .lines()
        .filter(|l| l.starts_with("Donahue"))
        .map(|l| l.split(',').map(|c| c.parse().unwrap_or(f64::NAN)).collect())
        .collect();
    let (mut sizes, mut fields) = (vec![], vec![]);
    for (d, n) in t.pick(
        vec![(1.0, [10, 2, 1]), (5.0, [25, 5, 1]), (10.0, [50, 10, 1])],
        vec![
            (1.0, [20, 4, 1]),
            (5.0, [50, 10, 1]),
            (10.0, [100, 20, 2]),
            (12.0, [120, 24, 2]),
            (15.0, [150, 30, 3]),
            (20.0, [200, 40, 4]),
            (30.0, [250, 50, 5]),
        ],
    ) {
        let Some(row) = donahue.iter().find(|r| r[1] == d) else { continue };
        let step = t.pick(4e-4, 2e-4);
        let (got, mut sim) = sp2_size(t, d, n, (0.97 * row[5] / step).floor() * step, step)?;
        // At 30 lex the film gives way 6e-4 before the published field, as it does at twice the cell's size (0.04545) and with every step of the descent held to
        // 0.02 rad; at 20 lex damping without precession, which strides over nothing, gives way at the same 0.04975 as descent. OOMMF's loop, below, is as near
        // its end as ours at the last field that both have. Why the published field is later at 30 lex is not known.
        // The differences grow smoothly, 0.8, 1.2, 1.8, 3.1 and 6.0e-4 from 10 to 30 lex.
        let border = |quick: f64, full: f64| match d < 20.0 {
            true => Tolerance::of(t.pick(quick, full), "the mesh, and a tenth of the field's step"),
            false => Tolerance::of(
                7e-4,
                "ours gives way earlier whatever the descent's stride and the cell, for a reason not known; OOMMF's loop is as near its end",
            ),
        };
        let borders = [border(5e-4, 3e-4), border(8e-4, 4e-4)];
        let near = Tolerance::of(1e-3, "cells up to half the exchange length").single(2e-3, "and how far f32 relaxes in a flat minimum");
        t.check(format!("d = {d} lex: remanent <mx>"), got.remanence[0], row[3], near);
        t.check(format!("d = {d} lex: remanent <my>"), got.remanence[1].abs(), row[4], near);
        t.check(format!("d = {d} lex: Hc/Ms"), got.coercive, row[5], borders[0]);
        t.check(format!("d = {d} lex: Hs/Ms"), got.switching, row[6], borders[1]);
        sizes.push(d);
        fields.push(got.coercive);
        t.count(&sim);
        if d == 30.0 {
            sp2_loop(t, &mut sim);
        }
    }
    // One cell: the limit of small particles, of the demagnetising factors alone.
    let (got, sim) = sp2_size(t, 1.0, [1, 1, 1], 0.0568, 2e-5)?;
    let limit = Tolerance::of(1e-5, "exact demagnetising factors; half a step of the field");
    t.check("one cell: Hc/Ms", got.coercive, 0.057069478, limit);
    t.check(
        "one cell: Hs/Ms",
        got.switching,
        0.05714,
        Tolerance::of(2e-5, "four digits, and a step of the field")
            .single(5e-5, "where the minimum flattens, torques drown in roundings of f32"),
    );
    t.count(&sim);
    t.plot(
        "coercivity",
        ("d/lex", "1"),
        ("Hc/Ms", "1"),
        vec![line("here", &sizes, &fields), points("Donahue et al.", &column(&donahue, 1), &column(&donahue, 5))],
    );
    Ok(())
}

/// The falling branch of the largest film, down to the last field at which OOMMF's has not switched.
fn sp2_loop(t: &mut Trial, sim: &mut Simulation) {
    let cells = sim.system.mesh.cells();
    sim.set_m(0, &vec![1.0; 3 * cells]);
    let mut rows: Vec<Vec<f64>> =
        table(include_str!("../reference/sp2_oommf_loop_dlex30.csv")).into_iter().filter(|r| r[0] > -0.0452).rev().step_by(3).collect();
    rows.reverse();
    let ours: Vec<f64> = rows
        .iter()
        .map(|r| {
            set(sim, P::BExt, [MU0 * 8e5 * r[0] / 3f64.sqrt(); 3]);
            settle(sim, t);
            mean(sim).iter().sum::<f64>() / 3f64.sqrt()
        })
        .collect();
    let worst = ours.iter().zip(&rows).map(|(m, r)| (m - r[1]).abs()).fold(0.0, f64::max);
    t.check("d = 30 lex: largest distance of m along the field from OOMMF's loop", worst, 0.0, Tolerance::of(3e-3, "another mesh"));
    let h = column(&rows, 0);
    t.plot(
        "d = 30 lex, falling branch",
        ("H/Ms", "1"),
        ("m along [1,1,1]", "1"),
        vec![line("here", &h, &ours), points("OOMMF", &h, &column(&rows, 1))],
    );
}

/// Problem 3: the size of a cube in which flower and vortex state have equal energy.
pub fn sp3(t: &mut Trial) -> Outcome {
    let (ms, lex) = (1e6, 5e-9);
    let km = 0.5 * MU0 * ms * ms;
    let published = table(include_str!("../reference/sp3_published.csv"));
    let (mut edges, mut found) = (vec![], vec![]);
    for n in t.pick(vec![10], vec![10, 16, 20, 30, 40, 70]) {
        // Energies in Km of the flower and the vortex: demagnetising, exchange, anisotropy; and their averages.
        // A state is sought from the one of the size before.
        let mut before: [Option<Vec<f64>>; 2] = [None, None];
        let mut states = |edge: f64| -> Result<[([f64; 3], [f64; 3]); 2], DeviceError> {
            let values = [(P::Msat, ms), (P::Aex, km * lex * lex), (P::Ku1, 0.1 * km), (P::Alpha, 0.5)];
            let magnet = |m: fn([f64; 3]) -> [f64; 3]| Magnet::new([n; 3], [edge * lex / n as f64; 3], &values).m(m);
            let flower = magnet(|[x, y, z]| [x * z, y * z, 2.5e-15]);
            let vortex = magnet(|[_, y, z]| [2e-9, -z, y]);
            let mut energies = |magnet: Magnet, before: &mut Option<Vec<f64>>| -> Result<([f64; 3], [f64; 3]), DeviceError> {
                let mut sim = magnet.on(t)?;
                if let Some(m) = before {
                    sim.set_m(0, m);
                }
                settle(&mut sim, t);
                *before = Some(sim.m(0));
                t.count(&sim);
                let unit = km * (edge * lex).powi(3);
                let e = [Term::Demag, Term::Exchange, Term::Uniaxial].map(|term| sim.energy(0, &[term]) / unit);
                // Anisotropy is counted from its easiest value.
                Ok(([e[0], e[1], e[2] + 0.1], mean(&sim)))
            };
            let [first, second] = &mut before;
            Ok([energies(flower, first)?, energies(vortex, second)?])
        };
        let sum = |e: [f64; 3]| e.iter().sum::<f64>();
        let gap = |s: &[([f64; 3], [f64; 3]); 2]| sum(s[0].0) - sum(s[1].0);
        let (mut a, mut b) = (8.38, 8.48);
        let (mut fa, mut last) = (gap(&states(a)?), states(b)?);
        for _ in 0..2 {
            let fb = gap(&last);
            let next = b - fb * (b - a) / (fb - fa);
            (a, fa, b) = (b, fb, next);
            last = states(b)?;
        }
        let name = format!("{n} cells an edge");
        match published.iter().find(|r| r[1] == n as f64) {
            Some(row) => {
                t.check(format!("{name}: edge (lex)"), b, row[2], Tolerance::of(0.02, "the same mesh; Martins, Ribeiro and Freitas"))
            }
            None => t.check(format!("{name}: edge (lex)"), b, 8.45, Tolerance::of(0.05, "between 8.4 and 8.5, as other codes test it")),
        }
        t.check(format!("{name}: energy (Km)"), sum(last[0].0), 0.3026, Tolerance::of(2e-3, "accepted value, of finer meshes"));
        let parts = [("flower", 0, [0.279, 0.0177, 0.0056]), ("vortex", 1, [0.078, 0.1724, 0.0521])];
        for (which, k, want) in parts {
            for (c, part) in ["demagnetising", "exchange", "anisotropy"].into_iter().enumerate() {
                t.check(
                    format!("{name}: {which}, {part} (Km)"),
                    last[k].0[c],
                    want[c],
                    Tolerance::of(2e-3, "accepted values, of finer meshes"),
                );
            }
        }
        t.check(format!("{name}: flower <mz>"), last[0].1[2], 0.971, Tolerance::of(3e-3, "often quoted, of finer meshes"));
        t.check(format!("{name}: vortex <mx>"), last[1].1[0], 0.351, Tolerance::of(1e-2, "often quoted, of finer meshes"));
        edges.push(1.0 / n as f64);
        found.push(b);
    }
    let table: Vec<Vec<f64>> = published.into_iter().filter(|r| r[1] > 0.0).collect();
    let inverse: Vec<f64> = table.iter().map(|r| 1.0 / r[1]).collect();
    t.plot(
        "edge of equal energies",
        ("1/cells an edge", "1"),
        ("edge", "lex"),
        vec![line("here", &edges, &found), points("Martins, Ribeiro, Freitas", &inverse, &column(&table, 2))],
    );
    Ok(())
}

/// What is known of problem 4 on one mesh.
struct Sp4 {
    n: [usize; 3],
    /// Whether by mumax3, with its constant and its demagnetising tensor: the end of the reversal in field 1 moves by 0.005 with the tensor.
    mumax3: bool,
    /// <m> of the S state, and how far relaxed it was there.
    start: ([f64; 3], f64),
    /// <m> after 1 ns.
    end: Option<[f64; 3]>,
}

/// mumax3's 128×32×1, the same with the exact tensor, mumax3's 128×32×2 and OOMMF's 200×50×1 cells; the quick form takes the first two.
fn sp4_meshes(t: &Trial, ends: [Option<[f64; 3]>; 3]) -> Vec<Sp4> {
    let mesh = |n, mumax3, start, how: f64, end| Sp4 { n, mumax3, start: (start, how), end };
    let mut all = vec![
        mesh([128, 32, 1], true, [0.96697, 0.12527, 0.0], 1e-4, ends[0]),
        mesh([128, 32, 1], false, [0.96697, 0.12527, 0.0], 1e-4, None),
        mesh([128, 32, 2], true, [0.96699, 0.12522, 0.0], 1e-4, ends[1]),
        mesh([200, 50, 1], false, [0.966716, 0.125749, 0.0], 2e-4, ends[2]),
    ];
    all.truncate(t.pick(2, 4));
    all
}

/// One mesh, one field: relaxes, then follows the published mean up to `until` (s) within `tolerance`, or so many of its standard deviations later.
fn sp4(
    t: &mut Trial,
    at: &Sp4,
    field: [f64; 3],
    published: &str,
    until: f64,
    tolerance: f64,
    crossing: f64,
) -> Result<Vec<[f64; 3]>, DeviceError> {
    let cell = [500e-9 / at.n[0] as f64, 125e-9 / at.n[1] as f64, 3e-9 / at.n[2] as f64];
    let gamma = if at.mumax3 { GAMMA_LL } else { GAMMA };
    let values = [(P::Msat, 8e5), (P::Aex, 13e-12), (P::Alpha, 0.02), (P::GammaLl, gamma)];
    let mut magnet = Magnet::new(at.n, cell, &values).m(|_| [1.0, 0.1, 0.0]).adaptive(&tableau::RKF45, 1e-5);
    if at.mumax3 {
        magnet = magnet.sampled_demag();
    }
    let mut sim = magnet.on(t)?;
    settle(&mut sim, t);
    let name = format!("{}×{}×{}, {} tensor", at.n[0], at.n[1], at.n[2], if at.mumax3 { "mumax3's" } else { "exact" });
    t.check_vector(
        &format!("{name}: <m> of the S state"),
        mean(&sim),
        at.start.0,
        Tolerance::of(at.start.1, "how far the other code relaxed"),
    );
    set(&mut sim, P::BExt, field);
    let energies = [Term::Exchange, Term::Demag, Term::Zeeman].map(|term| sim.energy(0, &[term]));
    if at.n[0] == 200 && crossing > 138.0 {
        for (what, got, want) in [
            ("exchange", energies[0], 9.03756820e-20),
            ("demagnetising", energies[1], 5.38573230e-19),
            ("Zeeman", energies[2], 3.48607383e-18),
        ] {
            t.check(
                format!("{name}: {what} energy at the start (1e-18 J)"),
                1e18 * got,
                1e18 * want,
                Tolerance::of(1e15 * want, "OOMMF, which stopped relaxing earlier"),
            );
        }
    }
    let rows: Vec<Vec<f64>> = table(published).into_iter().filter(|r| r[0] <= 1.0001e-9).collect();
    let (times, mean_of_all) = (column(&rows, 0), vectors(&rows, 1));
    let ours = follow(&mut sim, &times);
    t.count(&sim);
    let early = times.iter().filter(|x| **x <= until).count();
    let worst = largest_distance(&ours[..early], &mean_of_all[..early]);
    t.check_vector(
        &format!("{name}: largest distance of <m> from the published mean, first {:.1} ns", 1e9 * until),
        worst,
        [0.0; 3],
        Tolerance::of(
            if at.mumax3 { 1.25 * tolerance } else { tolerance },
            "that of established codes; a quarter more for mumax3's tensor",
        ),
    );
    t.check(
        format!("{name}: first zero of <mx> (ps)"),
        1e12 * zero(&times, &ours.iter().map(|m| m[0]).collect::<Vec<_>>()),
        crossing,
        Tolerance::of(0.5, "spread of the published solutions"),
    );
    if let Some(want) = at.end {
        sim.run_all_to(1e-9);
        let tolerance = match (at.mumax3, until < 1e-9) {
            (true, false) => Tolerance::of(1e-4, "mumax3 itself").single(2e-3, "roundings of f32 over 1 ns of a reversal"),
            (true, true) => Tolerance::of(4e-3, "mumax3 itself; late times hang on how far the S state was relaxed"),
            (false, _) => Tolerance::of(5e-4, "OOMMF on the same mesh").single(3e-3, "roundings of f32 over 1 ns of a reversal"),
        };
        t.check_vector(&format!("{name}: <m> after 1 ns"), mean(&sim), want, tolerance);
    }
    t.plot_motion(&format!("{name} cells"), &times, &ours, "published mean", &mean_of_all);
    Ok(ours)
}

/// Problem 4, field 1.
pub fn sp4_field1(t: &mut Trial) -> Outcome {
    let mean_of_all = include_str!("../reference/sp4_field1_published_mean.csv");
    let ends = [[-0.98461, 0.12604, 0.04327], [-0.98463, 0.12565, 0.04336], [-0.98451, 0.12745, 0.04315]].map(Some);
    for at in &sp4_meshes(t, ends) {
        // OOMMF itself is 0.0021/0.0062/0.0014 away from the mean.
        let ours = sp4(t, at, [-24.6e-3, 4.3e-3, 0.0], mean_of_all, 1e-9, 0.0065, 138.5)?;
        if at.n[0] < 200 {
            continue;
        }
        // The same curve between its points, 5 ps apart, to compare with tables at other times.
        let times = column(&table(mean_of_all), 0);
        for (code, text, tolerance) in [
            ("OOMMF", include_str!("../reference/sp4_field1_oommf_2.5nm.csv"), 2e-3),
            ("Martinez et al.", include_str!("../reference/sp4_field1_martinez.csv"), 1e-2),
        ] {
            let rows = table(text);
            let here: Vec<[f64; 3]> = rows.iter().map(|r| between(&times, &ours, r[0])).collect();
            t.check_vector(
                &format!("200×50×1: largest distance from {code}"),
                largest_distance(&here, &vectors(&rows, 1)),
                [0.0; 3],
                Tolerance::of(tolerance, "the same mesh, or another author's; a parabola between points 5 ps apart"),
            );
        }
    }
    Ok(())
}

/// A parabola through the three nearest points of a curve.
fn between(x: &[f64], y: &[[f64; 3]], at: f64) -> [f64; 3] {
    let i = x.partition_point(|x| *x < at).clamp(1, x.len() - 2);
    std::array::from_fn(|c| {
        (i - 1..=i + 1).map(|j| y[j][c] * (i - 1..=i + 1).filter(|k| *k != j).map(|k| (at - x[k]) / (x[j] - x[k])).product::<f64>()).sum()
    })
}

/// Problem 4, field 2; later than 0.4 ns the end domains make it sensitive to the mesh.
pub fn sp4_field2(t: &mut Trial) -> Outcome {
    let mean_of_all = include_str!("../reference/sp4_field2_published_mean.csv");
    for at in &sp4_meshes(t, [Some([-0.96923, -0.12040, -0.00531]), None, None]) {
        sp4(t, at, [-35.5e-3, -6.3e-3, 0.0], mean_of_all, 0.4e-9, 0.02, 136.8)?;
    }
    Ok(())
}

/// Problem 5: a vortex driven by a current.
pub fn sp5(t: &mut Trial) -> Outcome {
    let quick = t.quick();
    let magnet = |n: [usize; 3], gamma: f64, xi: f64| {
        let cell = [100e-9 / n[0] as f64, 100e-9 / n[1] as f64, 10e-9 / n[2] as f64];
        let values = [(P::Msat, 8e5), (P::Aex, 13e-12), (P::Alpha, 0.1), (P::Xi, xi), (P::Pol, 1.0), (P::GammaLl, gamma)];
        // The problem's u has no factor 1/(1 + xi²).
        Magnet::new(n, cell, &values).vector(P::J, [1e12 * (1.0 + xi * xi), 0.0, 0.0]).m(|[x, y, _]| [-y, x, 10e-9])
    };
    // The start before anything moves.
    let mut sim = magnet([50, 50, 5], GAMMA, 0.05).on(t)?;
    for (what, term, want) in [("demagnetising", Term::Demag, 4.5115425690), ("exchange", Term::Exchange, 1.8067822463)] {
        let exact = Tolerance::of(1e-8 * want, "OOMMF's exact tensor").single(2e-6 * want, "roundings of f32");
        t.check(format!("start on 2 nm cells: {what} energy (1e-18 J)"), 1e18 * sim.energy(0, &[term]), want, exact);
    }
    t.check("start on 2 nm cells: <mz>", mean(&sim)[2], 0.2953460394, Tolerance::of(1e-9, "OOMMF").single(1e-6, "roundings of f32"));
    t.check(
        "start on 2 nm cells: largest angle between neighbours (deg)",
        largest_angle(&sim),
        11.364877,
        Tolerance::of(1e-5, "OOMMF").single(1e-3, "roundings of f32"),
    );

    // fidimag on 5 nm cells.
    let mut sim = magnet([20, 20, 2], GAMMA, 0.05).on(t)?;
    settle(&mut sim, t);
    let rows: Vec<Vec<f64>> =
        table(include_str!("../reference/sp5_fidimag_5nm_xi0.05.csv")).into_iter().filter(|r| r[0] <= t.pick(1e-9, 9e-9)).collect();
    for (what, term, want) in [("demagnetising", Term::Demag, rows[0][1]), ("exchange", Term::Exchange, rows[0][2])] {
        t.check(
            format!("relaxed on 5 nm cells: {what} energy (1e-18 J)"),
            1e18 * sim.energy(0, &[term]),
            1e18 * want,
            Tolerance::of(2e15 * want, "how far fidimag relaxed"),
        );
    }
    let (times, theirs) = (column(&rows, 0), vectors(&rows, 4));
    let ours = follow(&mut sim, &times);
    t.check_vector(
        "5 nm cells: largest distance of <m> from fidimag",
        largest_distance(&ours, &theirs),
        [0.0; 3],
        Tolerance::of(2e-3, "the same mesh; published solutions differ by 0.003"),
    );
    t.plot_motion("xi = 0.05, 5 nm cells", &times, &ours, "fidimag", &theirs);
    t.count(&sim);

    // mumax3 on its mesh and with its constant, after 1 ns.
    let mut sim = magnet([32, 32, 4], GAMMA_LL, 0.05).vector(P::J, [1e12, 0.0, 0.0]).sampled_demag().on(t)?;
    settle(&mut sim, t);
    sim.run_all_to(1e-9);
    t.check_vector(
        "32×32×4 cells: <m> after 1 ns",
        mean(&sim),
        [-0.23480, -0.09454, 0.02296],
        Tolerance::of(1e-4, "mumax3 itself, with its tensor and constants").single(5e-4, "and roundings of f32"),
    );
    t.count(&sim);

    // The published curves.
    let published = table(include_str!("../reference/sp5_published.csv"));
    let until = t.pick(1e-9, 10e-9);
    for (k, xi) in [0.0, 0.05, 0.1, 0.5].into_iter().enumerate().filter(|(k, _)| !quick || *k == 3) {
        let rows: Vec<&Vec<f64>> = published.iter().filter(|r| r[0] <= until && r[1 + 4 * k].is_finite()).collect();
        let times: Vec<f64> = rows.iter().map(|r| r[0]).collect();
        let theirs: Vec<[f64; 3]> = rows.iter().map(|r| [r[1 + 4 * k], r[2 + 4 * k], 0.0]).collect();
        let mut sim = magnet(t.pick([40, 40, 1], [40, 40, 4]), GAMMA, xi).on(t)?;
        settle(&mut sim, t);
        let ours: Vec<[f64; 3]> = follow(&mut sim, &times).into_iter().map(|m| [m[0], m[1], 0.0]).collect();
        let worst = largest_distance(&ours, &theirs);
        for c in 0..2 {
            t.check(
                format!("xi = {xi}: largest distance of <{}> from the published curve", ["mx", "my"][c]),
                worst[c],
                0.0,
                Tolerance::of(t.pick(8e-3, 5e-3), "two submissions differ by up to 0.003; the quick form has one layer of cells"),
            );
        }
        t.plot_motion(&format!("xi = {xi}"), &times, &ours, "OOMMF (Porter)", &theirs);
        t.count(&sim);
    }
    Ok(())
}

/// The largest angle between neighbours (degrees).
fn largest_angle(sim: &Simulation) -> f64 {
    let (mesh, m) = (&sim.system.mesh, sim.m(0));
    let cells = mesh.cells();
    let at = |i: usize| [m[i], m[cells + i], m[2 * cells + i]];
    let [nx, ny, nz] = mesh.n;
    let mut worst = 0.0f64;
    for i in 0..cells {
        let place = [i % nx, i / nx % ny, i / (nx * ny)];
        for (axis, stride) in [(0, 1), (1, nx), (2, nx * ny)] {
            if place[axis] + 1 < [nx, ny, nz][axis] {
                let (a, b) = (at(i), at(i + stride));
                // The chord: an arc cosine would lose half of the digits.
                let chord = (0..3).map(|c| (a[c] - b[c]).powi(2)).sum::<f64>().sqrt();
                worst = worst.max(2.0 * (0.5 * chord).asin());
            }
        }
    }
    worst.to_degrees()
}
