//! Temperature.

use crate::magnet::{Magnet, column, mean, table};
use crate::trial::{Outcome, Tolerance, Trial, line, points};
use spinloom_base::constants::{E_CHARGE, GAMMA_LL, HBAR, KB, MU0};
use spinloom_kernels::terms::demag::tensor;
use spinloom_kernels::{DeviceError, ParameterId as P, Term};
use spinloom_solver::{DemagEvery, Simulation, tableau};

/// Independent macrospins up at the start: the cells of a mesh without exchange and demagnetisation.
fn macrospins(t: &Trial, count: usize, values: &[(P, f64)], edge: f64, field: f64, dt: f64, seed: u64) -> Result<Simulation, DeviceError> {
    let side = (count as f64).sqrt() as usize;
    Magnet::new([side, side, 1], [edge; 3], values)
        .vector(P::BExt, [0.0, 0.0, field])
        .without_demag()
        .fixed(&tableau::HEUN, dt)
        .edit(|s| s.seed = seed)
        .m(|_| [0.0, 0.0, 1.0])
        .on(t)
}

/// <mz>, <mz²> and <mx²> over the cells and over `pictures` moments after `from`, `every` so often (s).
fn moments(sim: &mut Simulation, from: f64, every: f64, pictures: u32) -> [f64; 3] {
    let mut sums = [0.0; 3];
    for k in 1..=pictures {
        sim.run_all_to(from + f64::from(k) * every);
        let m = sim.m(0);
        let cells = m.len() / 3;
        let square = |c: usize| m[c * cells..(c + 1) * cells].iter().map(|z| z * z).sum::<f64>() / cells as f64;
        let new = [mean(sim)[2], square(2), square(0)];
        (0..3).for_each(|c| sums[c] += new[c] / f64::from(pictures));
    }
    sums
}

/// Decay of the mean mz of uniaxial macrospins against the exact Fokker–Planck solution.
pub fn fokker_planck(t: &mut Trial) -> Outcome {
    let count = t.pick(128 * 128, 256 * 256);
    let values = [(P::Msat, 1e6), (P::Ku1, 2500.0), (P::Alpha, 0.1), (P::Temp, 100.0)];
    let mut sim = macrospins(t, count, &values, 10e-9, 0.0, 2e-12, 1)?;
    let rows: Vec<Vec<f64>> =
        table(include_str!("../reference/fokker_planck_decay.csv")).into_iter().filter(|r| r[0] <= t.pick(5.001e-9, 20.001e-9)).collect();
    let (mut ours, mut squares) = (vec![1.0], vec![1.0]);
    for row in &rows[1..] {
        let [mz, square, _] = {
            let from = row[0] - 1e-18;
            moments(&mut sim, from, 1e-18, 1)
        };
        ours.push(mz);
        squares.push(square);
        if [1e-9, 2e-9, 5e-9, 1e-8, 2e-8].iter().any(|x| (x - row[0]).abs() < 1e-15) {
            // A standard error of at most 0.31/√N in 5 ns; 0.6/√N later.
            let error = if row[0] < 5.5e-9 { 0.31 } else { 0.6 } / (count as f64).sqrt();
            let tolerance = Tolerance::of(3.0 * error + 4e-4, "three standard errors, and the step's own");
            t.check(format!("<mz> after {:.0} ns", 1e9 * row[0]), mz, row[1], tolerance);
            t.check(format!("<mz^2> after {:.0} ns", 1e9 * row[0]), square, row[2], tolerance);
        }
    }
    let times = column(&rows, 0);
    t.plot(
        "decay of an ensemble, σ = 1.81",
        ("time", "s"),
        ("<mz>, <mz²>", "1"),
        vec![
            line("<mz>, here", &times, &ours),
            points("exact", &times, &column(&rows, 1)),
            line("<mz²>, here", &times, &squares),
            points("exact", &times, &column(&rows, 2)),
        ],
    );
    t.count(&sim);
    Ok(())
}

/// Superparamagnetic moments in a field.
pub fn langevin(t: &mut Trial) -> Outcome {
    let quick = t.quick();
    let rows = table(include_str!("../reference/langevin_mz.csv"));
    let (mut kelvins, mut ours) = (vec![], vec![]);
    let side = t.pick(64, 128);
    for row in rows.iter().filter(|r| !quick || [50.0, 150.0, 300.0].contains(&r[0])) {
        let values = [(P::Msat, 8e5), (P::Alpha, 0.5), (P::Temp, row[0])];
        // Noise turns a spin by 0.1 rad in such a step at 500 K, which makes <mz> 1 % high: the error of a step goes as the square of that turn
        // (measured over 3 ns: 8, 5 and 1 % high in steps of 8, 4 and 1 ps).
        let mut sim = macrospins(t, side * side, &values, 1e-25f64.cbrt(), 0.05, 1e-12, 2)?;
        sim.run_all_to(2e-9);
        // 20 nearly independent pictures: the relaxation time is below 0.2 ns here.
        let [mz, square, _] = moments(&mut sim, 2e-9, 0.2e-9, 20);
        let error = Tolerance::of(
            4.0 * 0.6 / (side as f64 * side as f64 * 20.0 / 2.0).sqrt(),
            "four standard errors, of which the step takes up to one and a half",
        );
        t.check(format!("{} K: <mz>", row[0]), mz, row[2], error);
        t.check(format!("{} K: <mz^2>", row[0]), square, row[3], error);
        kelvins.push(row[0]);
        ours.push(mz);
        t.count(&sim);
    }
    t.plot(
        "Langevin's function",
        ("T", "K"),
        ("<mz>", "1"),
        vec![points("here", &kelvins, &ours), line("exact", &column(&rows, 0), &column(&rows, 2))],
    );
    Ok(())
}

/// Uniaxial macrospins in equilibrium: how far they stand from the axis, and across it.
pub fn boltzmann(t: &mut Trial) -> Outcome {
    let quick = t.quick();
    let (edge, kelvin) = (1e-25f64.cbrt(), 300.0);
    let rows = table(include_str!("../reference/boltzmann_uniaxial.csv"));
    let (mut sigmas, mut ours) = (vec![], vec![]);
    let side = t.pick(64, 128);
    for row in rows.iter().filter(|r| if quick { [2.0, 5.0, 20.0].contains(&r[0]) } else { (0.5..40.0).contains(&r[0]) }) {
        let [sigma, _, mz2, transverse] = row[..] else { continue };
        let ku = sigma * KB * kelvin / edge.powi(3);
        let values = [(P::Msat, 8e5), (P::Alpha, 0.5), (P::Temp, kelvin), (P::Ku1, ku)];
        // The stiffest wells turn a spin by 2 K γ/Ms dt in a step.
        let mut sim = macrospins(t, side * side, &values, edge, 0.0, if sigma > 6.0 { 0.5e-12 } else { 1e-12 }, 3)?;
        sim.run_all_to(1e-9);
        let [_, square, across] = moments(&mut sim, 1e-9, 0.1e-9, 20);
        let independent = (side as f64 * side as f64 * 20.0 / 4.0).sqrt();
        t.check(
            format!("K V = {sigma} kT: <mz^2>"),
            square,
            mz2,
            Tolerance::of(4.0 * 0.3 / independent, "four standard errors, a picture in four independent"),
        );
        t.check(
            format!("K V = {sigma} kT: transverse energy K V <mx^2> (kT/2)"),
            2.0 * sigma * across,
            sigma * transverse,
            Tolerance::of(
                4.0 * sigma * transverse * 1.5 / independent + 0.004,
                "four standard errors; equipartition gives 1 for deep wells",
            ),
        );
        sigmas.push(sigma);
        ours.push(square);
        t.count(&sim);
    }
    t.plot(
        "equilibrium of uniaxial spins",
        ("K V/kT", "1"),
        ("<mz²>", "1"),
        vec![points("here", &sigmas, &ours), line("exact", &column(&rows, 0), &column(&rows, 2))],
    );
    Ok(())
}

/// How fast an ensemble forgets which way it pointed, against the lowest eigenvalue of the Fokker–Planck equation.
pub fn neel_brown(t: &mut Trial) -> Outcome {
    let quick = t.quick();
    let rows = table(include_str!("../reference/neel_brown_uniaxial.csv"));
    // A moment whose diffusion time 2 τN is 1 ns.
    let (ms, alpha, edge, kelvin) = (1e5, 0.5, 10e-9f64, 100.0);
    let volume = edge.powi(3);
    let unit = ms * volume * (1.0 + alpha * alpha) / (KB * kelvin * GAMMA_LL * alpha);
    let (mut sigmas, mut ours) = (vec![], vec![]);
    let side = t.pick(96, 160);
    for row in rows.iter().filter(|r| if quick { [2.0, 4.0, 6.0].contains(&r[0]) } else { (1.0..7.5).contains(&r[0]) }) {
        let [sigma, rate, brown, _] = row[..] else { continue };
        let values = [(P::Msat, ms), (P::Alpha, alpha), (P::Temp, kelvin), (P::Ku1, sigma * KB * kelvin / volume)];
        let mut sim = macrospins(t, side * side, &values, edge, 0.0, 1e-12 * f64::min(1.0, 5.0 / sigma), 4)?;
        // Faster modes are over after a diffusion time within the wells; then mz falls by a factor of two or so, so that noise stays below it.
        let begin = 1.0 / f64::max(1.0, 0.5 * sigma) * unit;
        let end = begin + f64::min(0.8 / rate, 8.0) * unit;
        sim.run_all_to(begin);
        let first = mean(&sim)[2];
        sim.run_all_to(end);
        let last = mean(&sim)[2];
        let span = (end - begin) / unit;
        let got = (first / last).ln() / span;
        // ln of a mean of N spins of ±1: √(1 − mz²)/(mz √N), less what both moments share.
        let error = ((1.0 / (last * last) - 1.0 / (first * first)).max(0.0) / (side * side) as f64).sqrt() / span;
        t.check(
            format!("K V = {sigma} kT: lambda1 2 tauN"),
            got,
            rate,
            Tolerance::of(3.5 * error + 0.01 * rate, "three and a half standard errors, and the step's own per cent"),
        );
        sigmas.push(sigma);
        ours.push(got.log10());
        if sigma >= 6.0 {
            t.check(
                format!("K V = {sigma} kT: over Brown's rate for high barriers"),
                got / brown,
                rate / brown,
                Tolerance::of((3.5 * error + 0.01 * rate) / brown, "the same; the asymptotic rate is too high by 26 % at 5 kT"),
            );
        }
        t.count(&sim);
    }
    let log = |v: Vec<f64>| v.into_iter().map(f64::log10).collect::<Vec<_>>();
    t.plot(
        "switching rates",
        ("K V/kT", "1"),
        ("log10 λ1 2τN", "1"),
        vec![
            points("here", &sigmas, &ours),
            line("exact", &column(&rows[..11], 0), &log(column(&rows[..11], 1))),
            line("Brown, high barriers", &column(&rows[1..11], 0), &log(column(&rows[1..11], 2))),
        ],
    );
    Ok(())
}

/// Mean mz of uniaxial macrospins, all up at first, at these times (in units of 2 τN): the Fokker–Planck equation by Legendre's polynomials,
/// with p_l = <P_l(mz)> and ξ = Ms V B/kT (W. T. Coffey and Yu. P. Kalmykov, J. Appl. Phys. 112, 121301 (2012)),
///
///   2 τN dp_l/dt = l(l+1) {[2σ/((2l−1)(2l+3)) − 1] p_l + 2σ [(l−1) p_{l−2}/((2l−1)(2l+1)) − (l+2) p_{l+2}/((2l+1)(2l+3))] + ξ (p_{l−1} − p_{l+1})/(2l+1)}.
fn fokker_planck_mean(sigma: f64, xi: f64, times: &[f64]) -> Vec<f64> {
    const N: usize = 40;
    let rate = |p: &[f64; N + 3]| -> [f64; N + 3] {
        std::array::from_fn(|l| {
            if l == 0 || l > N {
                return 0.0;
            }
            let n = l as f64;
            let below = if l > 1 { p[l - 2] } else { 0.0 };
            n * (n + 1.0)
                * ((2.0 * sigma / ((2.0 * n - 1.0) * (2.0 * n + 3.0)) - 1.0) * p[l]
                    + 2.0
                        * sigma
                        * ((n - 1.0) * below / ((2.0 * n - 1.0) * (2.0 * n + 1.0))
                            - (n + 2.0) * p[l + 2] / ((2.0 * n + 1.0) * (2.0 * n + 3.0)))
                    + xi * (p[l - 1] - p[l + 1]) / (2.0 * n + 1.0))
        })
    };
    // All p_l = 1 at first; those beyond N are gone at once. RK4, whose limit is 2.78 over the largest rate, N (N + 1).
    let mut p: [f64; N + 3] = std::array::from_fn(|l| if l > N { 0.0 } else { 1.0 });
    let mut now = 0.0;
    let step = |p: [f64; N + 3], k: [f64; N + 3], h: f64| -> [f64; N + 3] { std::array::from_fn(|l| p[l] + h * k[l]) };
    times
        .iter()
        .map(|end| {
            let steps = ((end - now) * (N * (N + 1)) as f64).ceil().max(1.0);
            let h = (end - now) / steps;
            for _ in 0..steps as usize {
                let a = rate(&p);
                let b = rate(&step(p, a, 0.5 * h));
                let c = rate(&step(p, b, 0.5 * h));
                let d = rate(&step(p, c, h));
                p = std::array::from_fn(|l| p[l] + h / 6.0 * (a[l] + 2.0 * b[l] + 2.0 * c[l] + d[l]));
            }
            now = *end;
            p[1]
        })
        .collect()
}

/// A superparamagnet under spin-transfer torque: how fast an ensemble turns over, with the current and against it.
///
/// With the polarisation along the axis the torque a_J m × (p × m) pulls along the damping alone, so that by symmetry it is a field a_J/α to mz: rates go as
/// exp(−σ (1 ∓ I/Ic)²), Ic that of a_J = α Bk (Li and Zhang, Phys. Rev. B 69, 134416 (2004)).
pub fn current_rates(t: &mut Trial) -> Outcome {
    let quick = t.quick();
    let (ms, alpha, edge, kelvin, pol, sigma) = (1e5, 0.5, 10e-9f64, 100.0, 0.5, 4.0);
    let volume = edge.powi(3);
    let unit = ms * volume * (1.0 + alpha * alpha) / (KB * kelvin * GAMMA_LL * alpha);
    let ku = sigma * KB * kelvin / volume;
    let critical = alpha * 2.0 * ku / ms * 2.0 * E_CHARGE * ms * edge / (HBAR * pol);
    let side = t.pick(96, 160);
    let times: Vec<f64> = (1..=8).map(|k| 0.5 * f64::from(k)).collect();
    let mut lines = vec![];
    for part in [-0.4, -0.2, 0.2, 0.4].into_iter().filter(|p| !quick || *p == -0.2) {
        let values = [(P::Msat, ms), (P::Alpha, alpha), (P::Temp, kelvin), (P::Ku1, ku), (P::Pol, pol), (P::FreeLayerThickness, edge)];
        let mut sim = Magnet::new([side, side, 1], [edge; 3], &values)
            .vector(P::J, [0.0, 0.0, part * critical])
            .vector(P::FixedLayer, [0.0, 0.0, 1.0])
            .without_demag()
            .fixed(&tableau::HEUN, 1e-12)
            .edit(|s| s.seed = 6)
            .m(|_| [0.0, 0.0, 1.0])
            .on(t)?;
        let exact = fokker_planck_mean(sigma, 2.0 * sigma * part, &times);
        let ours: Vec<f64> = times
            .iter()
            .map(|time| {
                sim.run_all_to(time * unit);
                mean(&sim)[2]
            })
            .collect();
        let error = Tolerance::of(4.0 / side as f64 + 4e-3, "four standard errors of spins up or down, and the step's own");
        for k in [1, 3, 7] {
            t.check(format!("I = {part} Ic: <mz> after {} (2 tauN)", times[k]), ours[k], exact[k], error);
        }
        let seconds: Vec<f64> = times.iter().map(|x| x * unit).collect();
        lines.push(line(format!("I = {part} Ic, here"), &seconds, &ours));
        lines.push(points("Fokker–Planck", &seconds, &exact));
        t.count(&sim);
    }
    t.plot("an ensemble turns over under a current, σ = 4", ("time", "s"), ("<mz>", "1"), lines);
    Ok(())
}

/// The temperature that an interacting film shows, from torques and curvatures of the energy.
pub fn thermometer(t: &mut Trial) -> Outcome {
    let (ms, a, ku, kelvin, cell) = (580e3, 15e-12, 0.6e6, 177.0, 4e-9);
    let side = t.pick(48, 128);
    let own = tensor::pair([0.0; 3], [cell; 3]);
    let cells = side * side;
    let links = |i: usize| {
        let (x, y) = (i % side, i / side);
        [x > 0, x + 1 < side, y > 0, y + 1 < side].into_iter().filter(|l| *l).count() as f64
    };
    let mut lines = vec![];
    // A field extrapolated over a step must neither heat nor cool.
    let step = 0.1e-12;
    for (name, every) in [("every field computed", DemagEvery::Evaluation), ("the demagnetising one once a step", DemagEvery::Time(step))] {
        let mut sim =
            Magnet::new([side, side, 1], [cell; 3], &[(P::Msat, ms), (P::Aex, a), (P::Ku1, ku), (P::Alpha, 0.1), (P::Temp, kelvin)])
                .fixed(&tableau::RK4, step)
                .every(every)
                .edit(|s| s.seed = 5)
                .m(|_| [0.0, 0.0, 1.0])
                .on(t)?;
        let (mut times, mut shown, mut sums) = (vec![], vec![], [0.0; 2]);
        let (equilibrium, pictures) = (0.1e-9, t.pick(20, 40));
        for k in 1..=pictures {
            let time = equilibrium + 5e-12 * f64::from(k);
            sim.run_all_to(time);
            let (m, b) = (sim.m(0), sim.field(0, &[Term::Exchange, Term::Uniaxial, Term::Demag]));
            let mut picture = [0.0; 2];
            for i in 0..cells {
                let (m, b): ([f64; 3], [f64; 3]) = (std::array::from_fn(|c| m[c * cells + i]), std::array::from_fn(|c| b[c * cells + i]));
                let along = m[0] * b[0] + m[1] * b[1] + m[2] * b[2];
                let square = b[0] * b[0] + b[1] * b[1] + b[2] * b[2];
                // k T = <|∇E|²>/<∇²E> on the spheres of all spins (Rugh, Phys. Rev. Lett. 78, 772 (1997)): a field of neighbours gives 2 m·B; a part −Q m
                // of a spin's own, with a symmetric Q, gives 3 m·B + tr Q instead. Q: exchange to each neighbour, anisotropy, own demagnetisation.
                let exchange = 2.0 * a / ms / (cell * cell) * links(i);
                let (anisotropy, demag) = (2.0 * ku / ms, [0, 1, 2].map(|c| MU0 * ms * own[c]));
                let own_field = exchange - anisotropy * m[2] * m[2] + (0..3).map(|c| demag[c] * m[c] * m[c]).sum::<f64>();
                let trace = 3.0 * exchange - anisotropy + demag.iter().sum::<f64>();
                picture[0] += square - along * along;
                picture[1] += 2.0 * along - own_field + trace;
            }
            (0..2).for_each(|c| sums[c] += picture[c]);
            times.push(time);
            shown.push(ms * cell.powi(3) / KB * picture[0] / picture[1]);
        }
        let got = ms * cell.powi(3) / KB * sums[0] / sums[1];
        t.check(
            format!("temperature shown, {name} (K)"),
            got,
            kelvin,
            Tolerance::of(5.0, "the requirement; statistics, and the step's own error at the fastest magnons"),
        );
        lines.push(line(name, &times, &shown));
        if lines.len() == 2 {
            lines.push(points("set", &times, &vec![kelvin; times.len()]));
        }
        t.count(&sim);
    }
    t.plot("temperature shown", ("time", "s"), ("T", "K"), lines);
    Ok(())
}
