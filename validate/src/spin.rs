//! One spin: closed forms.

use crate::magnet::{Magnet, column, largest_distance, set, table, vectors};
use crate::trial::{Outcome, Tolerance, Trial, line, points};
use spinloom_base::constants::{E_CHARGE, GAMMA_LL, HBAR, MU0};
use spinloom_kernels::terms::demag::tensor;
use spinloom_kernels::{DeviceError, ParameterId as P, Term};
use spinloom_solver::{Simulation, tableau};
use std::f64::consts::{PI, TAU};

/// A spin in a cell of 1 nm, without demagnetisation.
fn spin(values: &[(P, f64)], max_err: f64, m: [f64; 3]) -> Magnet {
    Magnet::new([1, 1, 1], [1e-9; 3], values).without_demag().adaptive(&tableau::RK45, max_err).m(move |_| m)
}

/// m at each of these times (s).
fn motion(sim: &mut Simulation, times: &[f64]) -> Vec<[f64; 3]> {
    crate::magnet::follow(sim, times)
}

/// Precession and damping in a constant field.
pub fn macrospin(t: &mut Trial) -> Outcome {
    let rows = table(include_str!("../reference/macrospin_damped_precession.csv"));
    let mut sim = spin(&[(P::Msat, 1e6), (P::Alpha, 0.02)], 1e-8, [1.0, 0.0, 0.0]).vector(P::BExt, [0.0, 0.0, 0.5]).on(t)?;
    let (times, exact) = (column(&rows, 0), vectors(&rows, 1));
    let ours = motion(&mut sim, &times);
    t.check_vector(
        "largest distance of m over 2 ns",
        largest_distance(&ours, &exact),
        [0.0; 3],
        Tolerance::of(1e-6, "tolerance of the step over 28 turns").single(1e-4, "the requirement in single precision"),
    );
    t.plot_motion("damped precession", &times, &ours, "closed form", &exact);
    t.count(&sim);
    Ok(())
}

/// Field, anisotropy and Slonczewski torque at once, over 10 ns.
pub fn slonczewski(t: &mut Trial) -> Outcome {
    let angle = 40f64.to_radians();
    let values = [
        (P::Msat, 860e3),
        (P::Ku1, -0.1e6),
        (P::Alpha, 0.014),
        (P::GammaLl, 2.21017e5 / MU0),
        (P::Pol, 0.4),
        (P::Lambda, 2.0),
        (P::FreeLayerThickness, 5e-9),
    ];
    let mut sim = spin(&values, 1e-8, [1.0, 0.01, 0.01])
        .vector(P::BExt, [0.2e-3, 0.2e-3, 10e-3])
        .vector(P::J, [0.0, 0.0, 5e-5 / (12.5e-9f64).powi(2)])
        .vector(P::FixedLayer, [0.0, angle.sin(), angle.cos()])
        .on(t)?;
    let rows = table(include_str!("../reference/macrospin_slonczewski.csv"));
    let (times, exact) = (column(&rows, 0), vectors(&rows, 1));
    let ours = motion(&mut sim, &times);
    t.check_vector(
        "largest distance of m over 10 ns",
        largest_distance(&ours, &exact),
        [0.0; 3],
        Tolerance::of(1e-4, "tolerance of the step over some forty turns; constants to six digits; Nmag is 3e-5 away")
            .single(1e-3, "and of f32's step, 1e-6"),
    );
    t.plot_motion("all terms at once", &times, &ours, "direct integration", &exact);
    t.count(&sim);
    Ok(())
}

/// A perpendicular spin reversed by a current through a perpendicular polariser, and one that it keeps precessing.
pub fn stt(t: &mut Trial) -> Outcome {
    let rows = table(include_str!("../reference/stt_perpendicular_switching_time.csv"));
    let mut found = vec![];
    let perpendicular = [(P::Msat, 1e6), (P::Ku1, 0.15e6), (P::Alpha, 0.01), (P::Pol, 0.6), (P::FreeLayerThickness, 1e-9)];
    for row in &rows {
        let [ratio, j, _, time] = row[..] else { continue };
        let angle = 1f64.to_radians();
        let mut sim = spin(&perpendicular, 1e-7, [angle.sin(), 0.0, angle.cos()])
            .vector(P::J, [0.0, 0.0, j])
            .vector(P::FixedLayer, [0.0, 0.0, -1.0])
            .on(t)?;
        // The time at which mz passes zero, between two moments a thousandth of it apart.
        let (mut before, mut now) = ((0.0, 1.0), (0.0, 1.0));
        while now.1 > 0.0 && now.0 < 2.0 * time {
            before = now;
            let next = before.0 + if before.0 < 0.9 * time { 0.09 } else { 1e-3 } * time;
            sim.run_all_to(next);
            now = (next, sim.m(0)[2]);
        }
        let got = before.0 + (now.0 - before.0) * before.1 / (before.1 - now.1);
        t.check(
            format!("{ratio} Jc: time to the equator (ns)"),
            1e9 * got,
            1e9 * time,
            Tolerance::of(1e9 * time * 1e-3, "closed form; tolerance of the step")
                .single(1e9 * time * 1e-2, "the first degree grows out of roundings of f32"),
        );
        found.push(got);
        t.count(&sim);
    }
    t.plot(
        "time to reverse",
        ("J/Jc", "1"),
        ("time", "s"),
        vec![points("here", &column(&rows, 0), &found), line("closed form", &column(&rows, 0), &column(&rows, 3))],
    );

    let rows = table(include_str!("../reference/stno_perpendicular_polariser.csv"));
    let mut frequencies = vec![];
    let ms = 8e5;
    let plane = [(P::Msat, ms), (P::Ku1, -0.5 * MU0 * ms * ms), (P::Alpha, 0.02), (P::Pol, 0.6), (P::FreeLayerThickness, 2e-9)];
    for row in &rows {
        let [j, _, mz, frequency] = row[..] else { continue };
        let mut sim = spin(&plane, 1e-7, [(1.0 - mz * mz).sqrt(), 0.0, mz])
            .vector(P::J, [0.0, 0.0, j])
            .vector(P::FixedLayer, [0.0, 0.0, 1.0])
            .on(t)?;
        sim.run_all_to(2e-9);
        let phase = |m: &[f64]| m[1].atan2(m[0]);
        let (mut turned, mut last) = (0.0, phase(&sim.m(0)));
        // Steps much shorter than a turn.
        let (steps, dt) = (100, 0.05 / frequency);
        for k in 1..=steps {
            sim.run_all_to(2e-9 + f64::from(k) * dt);
            let now = phase(&sim.m(0));
            turned += (now - last + 3.0 * PI).rem_euclid(TAU) - PI;
            last = now;
        }
        let got = turned.abs() / TAU / (f64::from(steps) * dt);
        t.check(
            format!("oscillator, {j:.0e} A/m2: frequency (GHz)"),
            1e-9 * got,
            1e-9 * frequency,
            Tolerance::of(2e-12 * frequency, "closed form; what is left of the transient"),
        );
        t.check(
            format!("oscillator, {j:.0e} A/m2: mz"),
            sim.m(0)[2],
            mz,
            Tolerance::of(1e-3 * mz, "closed form; what is left of the transient"),
        );
        frequencies.push(got);
        t.count(&sim);
    }
    t.plot(
        "oscillator",
        ("J", "A/m^2"),
        ("frequency", "Hz"),
        vec![points("here", &column(&rows, 0), &frequencies), line("closed form", &column(&rows, 0), &column(&rows, 3))],
    );
    Ok(())
}

/// The currents at which spin-transfer torque makes a small precession grow: where its rate of growth, which is linear in the current, is zero.
pub fn critical_current(t: &mut Trial) -> Outcome {
    let (ms, alpha, thickness, pol) = (1e6, 0.01, 2e-9, 0.6);
    let torque = [(P::Msat, ms), (P::Alpha, alpha), (P::Pol, pol), (P::FreeLayerThickness, thickness)];
    let size = [100e-9, 100e-9, thickness];
    let n = tensor::pair([0.0; 3], size);
    let (ku, b) = (0.02e6, 0.05);
    let shape = |c: usize| (n[c] - n[0]) * MU0 * ms;
    // The two stiffness fields about the equilibrium, for a spin along z with its own anisotropy alone and for one in a film.
    let cases = [
        ("perpendicular", [0.0, 0.0, 1.0], [0.3, 0.3], [0, 1], [(P::Ku1, 0.15e6)], false),
        ("in plane", [1.0, 0.0, 0.0], [b + 2.0 * ku / ms + shape(1), b + 2.0 * ku / ms + shape(2)], [1, 2], [(P::Ku1, ku)], true),
    ];
    for (name, axis, stiffness, across, anisotropy, film) in cases {
        let critical = alpha * 0.5 * (stiffness[0] + stiffness[1]) * 2.0 * E_CHARGE * ms * thickness / (HBAR * pol);
        let mut growth = |part: f64| -> Result<f64, DeviceError> {
            let values = [&torque[..], &anisotropy].concat();
            let start: [f64; 3] = std::array::from_fn(|c| axis[c] + if c == across[0] { 0.01 } else { 0.0 });
            let mut magnet = Magnet::new([1, 1, 1], size, &values)
                .vector(P::AnisU, axis)
                .vector(P::J, [0.0, 0.0, part * critical])
                .vector(P::FixedLayer, axis.map(|a| -a))
                .adaptive(&tableau::RK45, 1e-7)
                .m(move |_| start);
            magnet = if film { magnet.vector(P::BExt, axis.map(|a| a * b)) } else { magnet.without_demag() };
            let mut sim = magnet.on(t)?;
            let period = TAU / (GAMMA_LL * (stiffness[0] * stiffness[1]).sqrt());
            // The energy of the ellipse, averaged over two turns.
            let mut energy = |from: f64| -> f64 {
                (0..32)
                    .map(|k| {
                        sim.run_all_to(from + f64::from(k) / 16.0 * period);
                        let m = sim.m(0);
                        stiffness[0] * m[across[0]].powi(2) + stiffness[1] * m[across[1]].powi(2)
                    })
                    .sum()
            };
            let (first, last) = (energy(0.0), energy(20.0 * period));
            t.count(&sim);
            Ok(0.5 * (last / first).ln() / (20.0 * period))
        };
        let (low, high) = (growth(0.9)?, growth(1.1)?);
        t.check(
            format!("{name}: critical current over alpha (B1 + B2)/2"),
            0.9 - 0.2 * low / (high - low),
            1.0,
            Tolerance::of(1e-3, "linear stability; amplitude 0.01 rad").single(5e-3, "and roundings of f32 at that amplitude"),
        );
        t.check(
            format!("{name}: rate of growth over gamma (a - a_c)"),
            (high - low) / (0.2 * GAMMA_LL / (1.0 + alpha * alpha) * alpha * 0.5 * (stiffness[0] + stiffness[1])),
            1.0,
            Tolerance::of(1e-2, "linear stability; amplitude 0.01 rad").single(3e-2, "and roundings of f32 at that amplitude"),
        );
    }
    Ok(())
}

/// Spin-orbit torque on a perpendicular spin with a field along the current: the strength at which it turns over.
pub fn sot_threshold(t: &mut Trial) -> Outcome {
    let rows = table(include_str!("../reference/sot_threshold_macrospin.csv"));
    let (ms, bk, theta) = (1e6, 0.3, 0.3);
    let (mut fields, mut found) = (vec![], vec![]);
    for row in rows.iter().filter(|r| [0.1, 0.2, 0.3, 0.4].contains(&r[0])) {
        let [b, want, _] = row[..] else { continue };
        // J that makes a damping-like field of Bk.
        let unit = bk * 2.0 * E_CHARGE * ms * 1e-9 / (HBAR * theta);
        let mut turned = [f64::NAN; 2];
        for (sign, turned) in [1.0, -1.0].into_iter().zip(&mut turned) {
            let mut sim = spin(&[(P::Msat, ms), (P::Ku1, 0.5 * bk * ms), (P::Alpha, 0.5), (P::ThetaSh, theta)], 1e-6, [0.01, 0.0, 1.0])
                .vector(P::BExt, [b * bk, 0.0, 0.0])
                .vector(P::J, [1.0, 0.0, 0.0])
                .on(t)?;
            let steps = (0..9).map(|k| 0.1 * f64::from(k)).chain((0..40).map(|k| 0.9 + 0.005 * f64::from(k)));
            for (k, part) in steps.enumerate() {
                set(&mut sim, P::J, [sign * part * want * unit, 0.0, 0.0]);
                sim.run_all_to(1e-9 * (k + 1) as f64);
                if sim.m(0)[2] < 0.0 {
                    *turned = (part - 0.0025) * want;
                    break;
                }
            }
            t.count(&sim);
        }
        // One direction of the current turns an up spin over, the other holds it.
        let (switches, holds) = if turned[0].is_nan() { (turned[1], turned[0]) } else { (turned[0], turned[1]) };
        t.check(
            format!("Bx = {b} Bk: threshold (Bk)"),
            switches,
            want,
            Tolerance::of(0.01 * want, "closed form; steps of 0.5 %, slow, alpha 0.5"),
        );
        t.check(
            format!("Bx = {b} Bk: the other current turns nothing over"),
            f64::from(u8::from(holds.is_nan())),
            1.0,
            Tolerance::of(0.0, "symmetry"),
        );
        fields.push(b);
        found.push(switches);
    }
    t.plot(
        "threshold of spin-orbit torque",
        ("Bx/Bk", "1"),
        ("a/Bk", "1"),
        vec![points("here", &fields, &found), line("Lee et al.", &column(&rows, 0), &column(&rows, 1))],
    );
    Ok(())
}

/// The field that turns a uniaxial spin over, against its angle to the axis.
pub fn stoner_wohlfarth(t: &mut Trial) -> Outcome {
    let (ms, ku) = (1e6, 0.1e6);
    let (mut angles, mut found, mut exact) = (vec![], vec![], vec![]);
    for degrees in [5.0f64, 15.0, 30.0, 45.0, 60.0, 75.0, 85.0] {
        let (s, c) = degrees.to_radians().sin_cos();
        let want = (c.powf(2.0 / 3.0) + s.powf(2.0 / 3.0)).powf(-1.5);
        let mut sim = spin(&[(P::Msat, ms), (P::Ku1, ku), (P::Alpha, 1.0)], 1e-6, [0.0, 0.0, 1.0]).on(t)?;
        let mut part = 0.95;
        let mut before = sim.m(0);
        let got = loop {
            let b = part * want * 2.0 * ku / ms;
            set(&mut sim, P::BExt, [s * b, 0.0, -c * b]);
            // Damped, not minimised: long strides of a descent would pass over the barrier that is left.
            sim.relax();
            let m = sim.m(0);
            // The jump, which is small where the field is nearly across the axis.
            if (0..3).map(|c| m[c] * before[c]).sum::<f64>() < 0.97 && part > 0.95 {
                break (part - 0.001) * want;
            }
            before = m;
            part += 0.002;
            if part > 1.05 {
                break f64::NAN;
            }
        };
        t.check(format!("{degrees} deg: switching field (2K/Ms)"), got, want, Tolerance::of(0.002 * want, "astroid; steps of 0.2 %"));
        angles.push(degrees);
        found.push(got);
        exact.push(want);
        t.count(&sim);
    }
    t.plot(
        "astroid",
        ("angle (deg)", "1"),
        ("field/(2K/Ms)", "1"),
        vec![points("here", &angles, &found), line("closed form", &angles, &exact)],
    );
    Ok(())
}

/// Voltage-controlled anisotropy: its field, and half a turn about a bias while it is cancelled.
pub fn vcma(t: &mut Trial) -> Outcome {
    let (ms, bx) = (1e6, 0.05);
    // 100 fJ/(V m), 1 V across 1 nm, on 1 nm: 0.2 T, as large as the anisotropy field.
    let values = [(P::Msat, ms), (P::Ku1, 0.1e6), (P::XiVcma, 100e-15), (P::Ez, 1e9), (P::FreeLayerThickness, 1e-9)];
    let mut sim = spin(&values, 1e-8, [0.0, 0.0, 1.0]).vector(P::BExt, [bx, 0.0, 0.0]).on(t)?;
    t.check(
        "change of the anisotropy field (T)",
        sim.field(0, &[Term::Vcma])[2],
        -0.2,
        Tolerance::of(1e-9, "2 xi V/(Ms t t_ox)").single(1e-7, "roundings of f32"),
    );
    let half = PI / (GAMMA_LL * bx);
    let times: Vec<f64> = (1..=40).map(|k| half * f64::from(k) / 40.0).collect();
    let ours = motion(&mut sim, &times);
    let exact: Vec<[f64; 3]> = times.iter().map(|x| [0.0, -(PI * x / half).sin(), (PI * x / half).cos()]).collect();
    t.check_vector(
        "largest distance of m over half a turn",
        largest_distance(&ours, &exact),
        [0.0; 3],
        Tolerance::of(1e-6, "closed form; tolerance of the step").single(2e-5, "and roundings of f32"),
    );
    t.check("mz after pi/(gamma Bx)", ours[39][2], -1.0, Tolerance::of(1e-6, "closed form").single(1e-5, "roundings of f32"));
    t.plot_motion("precession about the bias", &times, &ours, "closed form", &exact);
    // Without the voltage the anisotropy holds it: the energy it starts with does not reach the equator.
    set(&mut sim, P::Ez, [0.0; 3]);
    let state = [0.0, 0.0, 1.0];
    sim.set_m(0, &state);
    let lowest = (1..=80).map(|k| (sim.run_all_to(half + half * f64::from(k) / 20.0), sim.m(0)[2]).1).fold(1.0, f64::min);
    t.check("without the voltage mz stays positive", f64::from(u8::from(lowest > 0.0)), 1.0, Tolerance::of(0.0, "conservation of energy"));
    t.count(&sim);
    Ok(())
}
