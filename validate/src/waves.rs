//! Resonance and spin waves.

use crate::magnet::{Magnet, column, follow, largest_distance, set, settle, table, vectors};
use crate::trial::{Outcome, Tolerance, Trial, line, points};
use spinloom_base::constants::{GAMMA_LL, MU0};
use spinloom_kernels::ParameterId as P;
use spinloom_kernels::terms::demag::tensor;
use spinloom_solver::{Simulation, tableau};
use std::f64::consts::TAU;

/// The frequency (Hz) of what `pick` shows: whole periods between the first and the last rising zero.
fn frequency(sim: &mut Simulation, pick: impl Fn(&[f64]) -> f64, dt: f64, steps: usize) -> f64 {
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
    match crossings[..] {
        [first, .., end] => (crossings.len() - 1) as f64 / (end - first),
        _ => f64::NAN,
    }
}

/// Kittel's formula, magnetised in plane and perpendicularly, for a prism of one cell.
pub fn kittel(t: &mut Trial) -> Outcome {
    let (size, ms) = ([500e-9, 125e-9, 3e-9], 800e3);
    let n = tensor::pair([0.0; 3], size);
    let [nx, ny, nz] = [n[0], n[1], n[2]];
    let own = Tolerance::of(2e-4, "amplitude 1e-3; zeros between points").single(2e-3, "and roundings of f32 at that amplitude");
    for b in [0.05, 0.1, 0.2] {
        let mut sim = Magnet::new([1, 1, 1], size, &[(P::Msat, ms)])
            .vector(P::BExt, [b, 0.0, 0.0])
            .m(|_| [1.0, 1e-3, 0.0])
            .adaptive(&tableau::RK45, 1e-8)
            .on(t)?;
        let f = 1e-9 * frequency(&mut sim, |m| m[1], 2e-12, 1000);
        let exact = 1e-9 * GAMMA_LL / TAU * ((b + (ny - nx) * MU0 * ms) * (b + (nz - nx) * MU0 * ms)).sqrt();
        t.check(format!("in plane, {b} T (GHz)"), f, exact, own);
        if b == 0.1 {
            t.check("in plane, 0.1 T, as quoted (GHz)", f, 10.3047, own);
        }
        t.count(&sim);
    }
    // Perpendicular: held up by an anisotropy.
    let (ku, b) = (0.6e6, 0.1);
    let disk = [100e-9, 100e-9, 2e-9];
    let n = tensor::pair([0.0; 3], disk);
    let mut sim = Magnet::new([1, 1, 1], disk, &[(P::Msat, ms), (P::Ku1, ku)])
        .vector(P::BExt, [0.0, 0.0, b])
        .m(|_| [1e-3, 0.0, 1.0])
        .adaptive(&tableau::RK45, 1e-8)
        .on(t)?;
    let f = 1e-9 * frequency(&mut sim, |m| m[0], 1e-12, 1000);
    t.check("perpendicular (GHz)", f, 1e-9 * GAMMA_LL / TAU * (b + 2.0 * ku / ms - MU0 * ms * (n[2] - n[0])), own);
    t.count(&sim);
    Ok(())
}

/// Exchange spin waves around a ring, against the dispersion on the mesh.
pub fn exchange_waves(t: &mut Trial) -> Outcome {
    let (n, dx, a, ms, b) = (110usize, 4e-9, 13e-12, 800e3, 0.2);
    let (mut ks, mut ours, mut mesh, mut continuum) = (vec![], vec![], vec![], vec![]);
    for turns in [0, 3, 7, 12, 20] {
        let k = TAU * f64::from(turns) / (n as f64 * dx);
        let mut sim = Magnet::new([n, 1, 1], [dx; 3], &[(P::Msat, ms), (P::Aex, a)])
            .vector(P::BExt, [0.0, 0.0, b])
            .periodic([1, 0, 0])
            .without_demag()
            .adaptive(&tableau::RK45, 1e-8)
            .m(|[x, ..]| [1e-3 * (k * x).cos(), 1e-3 * (k * x).sin(), 1.0])
            .on(t)?;
        let prefactor = GAMMA_LL / TAU;
        let want = prefactor * (b + 2.0 * a / ms * (2.0 / (dx * dx)) * (1.0 - (k * dx).cos()));
        let f = frequency(&mut sim, |m| m[0], 0.07 / want, 100);
        t.check(
            format!("k = {k:.3e} /m (GHz)"),
            1e-9 * f,
            1e-9 * want,
            Tolerance::of(2e-4 * 1e-9 * want, "dispersion on the mesh; amplitude 1e-3; zeros between points")
                .single(2e-3 * 1e-9 * want, "and roundings of f32 at that amplitude"),
        );
        ks.push(k);
        ours.push(f);
        mesh.push(want);
        continuum.push(prefactor * (b + 2.0 * a / ms * k * k));
        t.count(&sim);
    }
    t.check(
        "k = 0, as quoted (GHz)",
        1e-9 * ours[0],
        5.6007,
        Tolerance::of(2e-3, "digits quoted; zeros between points").single(1e-2, "and roundings of f32 at that amplitude"),
    );
    t.check("k = 1e8 /m, as quoted (GHz)", 1e-9 * ours[2], 14.581, Tolerance::of(2e-2, "the ring holds 0.9996e8 /m"));
    t.plot(
        "exchange spin waves",
        ("k (1/m)", "1"),
        ("frequency", "Hz"),
        vec![points("here", &ks, &ours), line("on the mesh", &ks, &mesh), line("continuum", &ks, &continuum)],
    );
    Ok(())
}

/// 1 − (1 − exp(−kL))/(kL): the demagnetising factor, along k, of a plane wave in a layer of thickness L that is uniform through it, from face to face.
fn layer_factor(kl: f64) -> f64 {
    if kl < 1e-6 { 0.5 * kl } else { 1.0 + (-kl).exp_m1() / kl }
}

/// Dipole-exchange waves: in a film, along and across its magnetisation and with it upright, and along the strip of Venkat et al.
///
/// Kalinikos and Slavin: f = γ/2π √((h + μ0 Ms N1)(h + μ0 Ms N2)), h the inner field and (2A/Ms) k², N1 and N2 the factors of the wave along the two
/// directions that the magnetisation moves in: P(kL) along k, 1 − P upright, 0 across k.
///
/// The problem of Venkat et al. excites all waves at once by a sinc pulse in an open strip of 1000 nm × 50 nm × 1 nm and reads the dispersion from transforms;
/// here the strip is a ring, and each wave is started alone, whose frequency is then known to the last zero. The strip is so thin that exchange leaves its
/// lowest wave uniform across (Wang et al., Phys. Rev. Lett. 122, 247202 (2019)), so that its factors are those of the film's waves (k, q), weighted with the
/// spectrum sinc²(qw/2) of the width.
pub fn dipolar_waves(t: &mut Trial) -> Outcome {
    let (ms, a, dx) = (800e3, 13e-12, 5e-9);
    let value = |inner: f64, k_mesh: f64, [n1, n2]: [f64; 2]| {
        let h = inner + 2.0 * a / ms * k_mesh * k_mesh;
        GAMMA_LL / TAU * ((h + MU0 * ms * n1) * (h + MU0 * ms * n2)).sqrt()
    };
    // On the mesh exchange sees a smaller k, and dipoles see also the waves that its steps hold.
    let k_mesh = |k: f64| (2.0 / dx) * (0.5 * k * dx).sin();
    let factor = |k: f64, thickness: f64| {
        (-20..=20)
            .map(|m| k + TAU * f64::from(m) / dx)
            .map(|k| ((0.5 * k * dx).sin() / (0.5 * k * dx)).powi(2) * layer_factor(k.abs() * thickness))
            .sum::<f64>()
    };
    let (n, thickness) = (t.pick(64usize, 128), 10e-9);
    // Repeated along and across without end: so is the film.
    let images = t.pick(60, 200);
    let mut lines = vec![];
    for (name, b, inner) in
        [("backward volume", [0.1, 0.0, 0.0], 0.1), ("surface", [0.0, 0.1, 0.0], 0.1), ("forward volume", [0.0, 0.0, 1.2], 1.2 - MU0 * ms)]
    {
        let (mut ks, mut ours, mut theirs) = (vec![], vec![], vec![]);
        for turns in t.pick(vec![2, 6], vec![1, 2, 4, 8, 12]) {
            let k = TAU * f64::from(turns) / (n as f64 * dx);
            // The first direction in which the magnetisation moves: y, else x.
            let moved = usize::from(b[0] > 0.0);
            let mut sim = Magnet::new([n, 1, 1], [dx, n as f64 * dx, thickness], &[(P::Msat, ms), (P::Aex, a)])
                .vector(P::BExt, b)
                .periodic([images, images, 0])
                .adaptive(&tableau::RK45, 1e-8)
                .m(|[x, ..]| {
                    let mut m = b.map(|c| c / (b[0] + b[1] + b[2]));
                    m[moved] += 1e-3 * (k * x).cos();
                    m
                })
                .on(t)?;
            let p = factor(k, thickness);
            // Along x and y lie p and nothing, upright the rest; the magnetisation moves in two of them.
            let all = [p, 0.0, 1.0 - p];
            let want = value(
                inner,
                k_mesh(k),
                if b[0] > 0.0 {
                    [all[1], all[2]]
                } else if b[1] > 0.0 {
                    [all[0], all[2]]
                } else {
                    [all[0], all[1]]
                },
            );
            let shown = |m: &[f64]| (0..n).map(|i| m[moved * n + i] * (k * dx * (i as f64 - 0.5 * (n as f64 - 1.0))).cos()).sum::<f64>();
            let f = frequency(&mut sim, shown, 0.07 / want, 100);
            t.check(
                format!("{name}, k = {k:.2e} /m (GHz)"),
                1e-9 * f,
                1e-9 * want,
                Tolerance::of(2e-3 * 1e-9 * want, "the film ends beyond its images; zeros between points")
                    .single(6e-3 * 1e-9 * want, "and roundings of f32 at an amplitude of 1e-3"),
            );
            ks.push(k);
            ours.push(f);
            theirs.push(want);
            t.count(&sim);
        }
        lines.push(points(format!("{name}, here"), &ks, &ours));
        lines.push(line(format!("{name}, theory"), &ks, &theirs));
    }
    t.plot("waves in a film of 10 nm", ("k (1/m)", "1"), ("frequency", "Hz"), lines);
    let (width, thickness, b) = (50e-9, 1e-9, 1.01);
    let (nx, ny) = t.pick((100usize, 10usize), (200, 20));
    let (mut ks, mut ours, mut theirs) = (vec![], vec![], vec![]);
    for turns in t.pick(vec![4], vec![0, 1, 2, 4, 6, 8]) {
        let k = TAU * f64::from(turns) / (nx as f64 * dx);
        let mut sim = Magnet::new([nx, ny, 1], [dx, width / ny as f64, thickness], &[(P::Msat, ms), (P::Aex, a)])
            .vector(P::BExt, [b, 0.0, 0.0])
            .periodic([20, 0, 0])
            .adaptive(&tableau::RK45, 1e-7)
            .m(|[x, ..]| [1.0, 1e-3 * (k * x).cos(), 0.0])
            .on(t)?;
        let step = 0.05 / width;
        let factors = (0..400_000).map(|i| step * (f64::from(i) + 0.5)).fold([0.0; 2], |[across, up], q| {
            let (whole, weight) = (k.hypot(q), 2.0 * width * step / TAU * ((0.5 * q * width).sin() / (0.5 * q * width)).powi(2));
            let p = layer_factor(whole * thickness);
            [across + weight * p * (q / whole).powi(2), up + weight * (1.0 - p)]
        });
        let want = value(b, k_mesh(k), factors);
        let shown =
            |m: &[f64]| (0..nx * ny).map(|i| m[nx * ny + i] * (k * dx * ((i % nx) as f64 - 0.5 * (nx as f64 - 1.0))).cos()).sum::<f64>();
        let f = frequency(&mut sim, shown, 0.07 / want, 100);
        t.check(
            format!("strip, k = {k:.2e} /m (GHz)"),
            1e-9 * f,
            1e-9 * want,
            Tolerance::of(5e-3 * 1e-9 * want, "a wave that is uniform across; its edges, in a weaker field, lag a little"),
        );
        ks.push(k);
        ours.push(f);
        theirs.push(want);
        t.count(&sim);
    }
    t.plot(
        "waves along a strip of 50 nm by 1 nm, 1.01 T",
        ("k (1/m)", "1"),
        ("frequency", "Hz"),
        vec![points("here", &ks, &ours), line("theory, uniform across", &ks, &theirs)],
    );
    Ok(())
}

/// |Σ (y − <y>) w exp(−2πi f t)|² of equally spaced samples, with Hann's window or none.
fn power(y: &[f64], dt: f64, f: f64, window: bool) -> f64 {
    let n = y.len() as f64;
    let offset = y.iter().sum::<f64>() / n;
    let (mut re, mut im) = (0.0, 0.0);
    for (i, y) in y.iter().enumerate() {
        let w = if window { 0.5 - 0.5 * (TAU * i as f64 / n).cos() } else { 1.0 };
        let (s, c) = (TAU * f * dt * i as f64).sin_cos();
        (re, im) = (re + w * (y - offset) * c, im + w * (y - offset) * s);
    }
    re * re + im * im
}

/// The standard problem of ferromagnetic resonance: a square film rings down after its field has turned a little.
pub fn fmr(t: &mut Trial) -> Outcome {
    let along = |y: f64| {
        let b = MU0 * 80e3 / 1f64.hypot(y);
        [b, b * y, 0.0]
    };
    let values = [(P::Msat, 8e5), (P::Aex, 13e-12), (P::Alpha, 0.008), (P::GammaLl, 2.210173e5 / MU0)];
    let mut sim = Magnet::new([24, 24, 2], [5e-9; 3], &values)
        .vector(P::BExt, along(0.715))
        .m(|_| [1.0, 0.7, 0.0])
        .adaptive(&tableau::RKF45, 1e-6)
        .on(t)?;
    settle(&mut sim, t);
    set(&mut sim, P::BExt, along(0.7));
    let rows = table(include_str!("../reference/fmr_oommf_timeseries.csv"));
    let (times, theirs) = (column(&rows, 0), vectors(&rows, 1));
    let ours = follow(&mut sim, &times);
    t.check_vector(
        "largest distance of <m> from OOMMF over the first ns",
        largest_distance(&ours, &theirs),
        [0.0; 3],
        Tolerance::of(1e-3, "the requirement; OOMMF relaxed in its own way"),
    );
    t.plot_motion("ring-down", &times, &ours, "OOMMF", &theirs);
    let samples = t.pick(1000, 4000);
    let mut y: Vec<f64> = ours.iter().map(|m| m[1]).collect();
    let more: Vec<f64> = (y.len() + 1..=samples).map(|k| 5e-12 * k as f64).collect();
    y.extend(follow(&mut sim, &more).iter().map(|m| m[1]));
    t.count(&sim);
    // The refined peaks: zero padding and Hann's window, so that five nanoseconds will do.
    let peak = |from: f64, to: f64, step: f64, window: bool| {
        let n = ((to - from) / step).round() as usize;
        (0..=n)
            .map(|k| from + step * k as f64)
            .max_by(|a, b| power(&y, 5e-12, 1e9 * a, window).total_cmp(&power(&y, 5e-12, 1e9 * b, window)))
            .unwrap_or(f64::NAN)
    };
    for (from, to, refined, bin) in [(7.5, 9.0, 8.266, 8.25), (10.5, 12.0, 11.228, 11.25)] {
        t.check(
            format!("peak near {bin} GHz, refined (GHz)"),
            peak(from, to, 0.005, true),
            refined,
            Tolerance::of(0.05, "a bin of the published spectrum"),
        );
        if !t.quick() {
            t.check(
                format!("peak near {bin} GHz, bins of 0.05 GHz (GHz)"),
                peak(from, to, 0.05, false),
                bin,
                Tolerance::of(0.0501, "one bin"),
            );
        }
    }
    let spectrum = table(include_str!("../reference/fmr_oommf_spectrum_my.csv"));
    let f: Vec<f64> = column(&spectrum, 0).into_iter().filter(|f| (5.0..16.0).contains(f)).collect();
    let highest = |s: &[f64]| s.iter().copied().fold(0.0, f64::max);
    let here: Vec<f64> = f.iter().map(|f| power(&y, 5e-12, 1e9 * f, false)).collect();
    let there: Vec<f64> = spectrum.iter().filter(|r| (5.0..16.0).contains(&r[0])).map(|r| r[1]).collect();
    let normal = |s: &[f64]| s.iter().map(|v| (v / highest(s)).log10()).collect::<Vec<_>>();
    t.plot(
        "spectrum of <my>",
        ("frequency (GHz)", "1"),
        ("log10 power", "1"),
        vec![line("here", &f, &normal(&here)), points("OOMMF, 20 ns", &f, &normal(&there))],
    );
    Ok(())
}
