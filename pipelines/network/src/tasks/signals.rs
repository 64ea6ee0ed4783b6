//! Signals that reservoirs are tested on.

use spinloom_base::random::Stream;

/// Random sequence of sine and square periods of `points` points (Paquot et al., Sci. Rep. 2, 287 (2012)): signal, and 1 where it is a square.
pub(super) fn waveforms(periods: usize, points: usize, stream: &mut Stream) -> (Vec<f64>, Vec<f64>) {
    let (mut u, mut y) = (Vec::new(), Vec::new());
    for _ in 0..periods {
        let square = stream.next_u32() & 1 == 1;
        for i in 0..points {
            // The crests of both are the same: without memory they cannot be told apart.
            let s = (std::f64::consts::TAU * i as f64 / points as f64).sin();
            u.push(if square { if 2 * i < points { 1.0 } else { -1.0 } } else { s });
            y.push(f64::from(u8::from(square)));
        }
    }
    (u, y)
}

/// NARMA of order 10 (Atiya and Parlos, IEEE Trans. Neural Netw. 11, 697 (2000)), input uniform in 0 to 0.5: input over 0.25 minus 1, and target.
pub(super) fn narma10(n: usize, stream: &mut Stream) -> (Vec<f64>, Vec<f64>) {
    let u: Vec<f64> = (0..n).map(|_| 0.5 * stream.uniform()).collect();
    let mut y = vec![0.0; n];
    for t in 10..n {
        let sum: f64 = y[t - 10..t].iter().sum();
        y[t] = 0.3 * y[t - 1] + 0.05 * y[t - 1] * sum + 1.5 * u[t - 10] * u[t - 1] + 0.1;
    }
    (u.iter().map(|u| u / 0.25 - 1.0).collect(), y)
}

/// Random signs.
pub(super) fn bits(n: usize, stream: &mut Stream) -> Vec<f64> {
    (0..n).map(|_| if stream.next_u32() & 1 == 1 { 1.0 } else { -1.0 }).collect()
}

/// Mackey and Glass, Science 197, 287 (1977): dx/dt = 0.2 x(t − 17)/(1 + x(t − 17)^10) − 0.1 x, one value per time unit, Runge–Kutta of step 0.1
/// with the delayed value interpolated; shifted and scaled to about −1 to 1.
pub(super) fn mackey_glass(n: usize, stream: &mut Stream) -> Vec<f64> {
    const PER: usize = 10;
    let h = 1.0 / PER as f64;
    let delay = 17 * PER;
    let skip = 1000 * PER;
    let mut x = vec![1.2 + 0.1 * stream.normal(); delay + 1];
    for i in delay..delay + skip + n * PER {
        let f = |x: f64, late: f64| 0.2 * late / (1.0 + late.powi(10)) - 0.1 * x;
        let (a, b) = (x[i - delay], x[i + 1 - delay]);
        let m = 0.5 * (a + b);
        let k1 = f(x[i], a);
        let k2 = f(x[i] + 0.5 * h * k1, m);
        let k3 = f(x[i] + 0.5 * h * k2, m);
        let k4 = f(x[i] + h * k3, b);
        x.push(x[i] + h * (k1 + 2.0 * k2 + 2.0 * k3 + k4) / 6.0);
    }
    x[delay + skip..].iter().step_by(PER).take(n).map(|x| (x - 0.9) / 0.4).collect()
}

/// Lorenz, J. Atmos. Sci. 20, 130 (1963), x component at steps of 0.02 over 20.
pub(super) fn lorenz(n: usize, stream: &mut Stream) -> Vec<f64> {
    let h = 0.01;
    let f = |s: [f64; 3]| [10.0 * (s[1] - s[0]), s[0] * (28.0 - s[2]) - s[1], s[0] * s[1] - 8.0 / 3.0 * s[2]];
    let add = |s: [f64; 3], k: [f64; 3], h: f64| std::array::from_fn::<f64, 3, _>(|i| s[i] + h * k[i]);
    let mut s = [1.0 + 0.1 * stream.normal(), 1.0, 25.0];
    let mut out = Vec::new();
    for i in 0..2000 + 2 * n {
        let k1 = f(s);
        let k2 = f(add(s, k1, h / 2.0));
        let k3 = f(add(s, k2, h / 2.0));
        let k4 = f(add(s, k3, h));
        s = std::array::from_fn(|j| s[j] + h * (k1[j] + 2.0 * k2[j] + 2.0 * k3[j] + k4[j]) / 6.0);
        if i >= 2000 && i % 2 == 0 {
            out.push(s[0] / 20.0);
        }
    }
    out
}

/// Normalised Legendre polynomial of degree 1 to 3 of a number in −1 to 1: the basis of the information processing capacity (Dambre et al. 2012).
pub(super) fn legendre(degree: usize, x: f64) -> f64 {
    match degree {
        1 => 3f64.sqrt() * x,
        2 => 5f64.sqrt() * 0.5 * (3.0 * x * x - 1.0),
        _ => 7f64.sqrt() * 0.5 * (5.0 * x * x * x - 3.0 * x),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_their_known_moments() {
        let mut stream = Stream::new(1, 2);
        let mg = mackey_glass(5000, &mut stream);
        // The attractor of delay 17 lies between about 0.4 and 1.35, mean 0.93 (Farmer, Physica D 4, 366 (1982), figure 2).
        let x: Vec<f64> = mg.iter().map(|m| 0.4 * m + 0.9).collect();
        let mean = x.iter().sum::<f64>() / 5000.0;
        let (low, high) = x.iter().fold((9.0f64, 0.0f64), |a, x| (a.0.min(*x), a.1.max(*x)));
        assert!((mean - 0.93).abs() < 0.03 && low > 0.2 && low < 0.5 && high > 1.25 && high < 1.4, "{mean} {low} {high}");
        let (_, y) = narma10(3000, &mut stream);
        let mean = y[100..].iter().sum::<f64>() / 2900.0;
        assert!(mean > 0.3 && mean < 0.45 && y.iter().all(|y| *y < 1.1), "{mean}");
        let l = lorenz(4000, &mut stream);
        assert!(l.iter().any(|x| *x > 0.5) && l.iter().any(|x| *x < -0.5) && l.iter().all(|x| x.abs() < 1.1));
    }
}
