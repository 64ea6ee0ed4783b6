//! Laws of cards that those who fit them and those who use them share.

use spinloom_base::constants::KB;

/// Mean and mean square of the time (in units of 1/f_B, f_B = alpha gamma B_k/(1 + alpha^2)) that an axially symmetric macrospin takes from m = 1 along its axis to m = `end`
/// against a drive i: sigma = E_b/kT without it, and i turns the state out from 1 on.
///
/// m_z diffuses on its own in W. F. Brown's Fokker-Planck equation, Phys. Rev. 130, 1677 (1963); a field h B_k along the axis and, to first order in alpha, a torque polarised along it at
/// i times its threshold move it alike. With w(z) = e^(sigma z^2 - 2 sigma i z) and nothing lost through z = 1, moments of the passage time follow from each other,
/// T_n(z) = 2 sigma n times the integral from `end` to z of dx/[w(x) (1 - x^2)] times the integral from x to 1 of w T_(n-1) (derived here). For i = 0 and sigma >> 1 the mean tends to Brown's
/// sqrt(pi/sigma) e^sigma.
pub fn passage(sigma: f64, i: f64, end: f64) -> [f64; 2] {
    // Trapezia; the error is a share of about [2 sigma (1 + i) step]^2/12: a thousandth for 30 kT at i = 1.
    const NODES: usize = 1200;
    let h = (1.0 - end) / NODES as f64;
    let x = |k: usize| 1.0 - h * k as f64;
    // Relative to x = 1, where the quotient of inner integral and weight tends to the integrand over 2.
    let weight: Vec<f64> =
        (0..=NODES).map(|k| (sigma * (x(k) * x(k) - 1.0) - 2.0 * sigma * i * (x(k) - 1.0)).clamp(-600.0, 600.0).exp()).collect();
    // The integral from x to 1 of its argument over w (1 - x^2), at all nodes.
    let flux = |inside: &dyn Fn(usize) -> f64| {
        let mut inner = 0.0;
        let mut all = vec![0.5 * inside(0)];
        for k in 1..=NODES {
            inner += 0.5 * h * (weight[k] * inside(k) + weight[k - 1] * inside(k - 1));
            all.push(inner / (weight[k] * (1.0 - x(k) * x(k))));
        }
        all
    };
    let whole = |f: &[f64]| f.windows(2).map(|w| 0.5 * h * (w[0] + w[1])).sum::<f64>();
    let first = flux(&|_| 1.0);
    let mean = whole(&first);
    let mut from = vec![mean; NODES + 1];
    for k in 1..=NODES {
        from[k] = from[k - 1] - 0.5 * h * (first[k] + first[k - 1]);
    }
    [2.0 * sigma * mean, 2.0 * (2.0 * sigma).powi(2) * whole(&flux(&|k| from[k]))]
}

/// m along the axis from which a state rolls down on the other side before the pulse is over.
const OVER: f64 = -0.3;

/// `switching-uniaxial`: t_0 and tau of P = 1 - exp[-(t - t_0)/tau] with f_B, E_b, V_c, chi, at a voltage, its direction (+1 where a positive one favours the switching) and a temperature.
pub fn switching_uniaxial([f_b, e_b, v_c, chi]: [f64; 4], v: f64, dir: f64, temperature: f64) -> [f64; 2] {
    // A barrier that the voltage takes away: a thousandth stands for none.
    let left = (1.0 - chi * v / e_b).max(1e-3);
    let [one, two] = passage(e_b * left / (KB * temperature), dir * v / (v_c * left), OVER);
    let tau = (two - one * one).max(1e-6 * one * one).sqrt();
    [(one - tau) / (f_b * left), tau / (f_b * left)]
}

/// Answer of the model `piecewise-linear` to an input: low, high, where the ramp begins and where it ends.
pub fn ramp([low, high, from, to]: [f64; 4], x: f64) -> f64 {
    low + (high - low) * ((x - from) / (to - from)).clamp(0.0, 1.0)
}

/// Answer of the model `sigmoid-lagging` after `dt` under a constant input: from y to that of the sigmoid (its four numbers come first) at 1/tau_rise where it must rise, at 1/tau_fall where it must fall.
pub fn sigmoid_lagging([low, high, middle, width, rise, fall]: [f64; 6], y: f64, x: f64, dt: f64) -> f64 {
    let to = sigmoid([low, high, middle, width], x);
    to + (y - to) * (-dt / if to > y { rise } else { fall }).exp()
}

/// Answer of the model `sigmoid` to an input: low, high, middle and width.
pub fn sigmoid([low, high, middle, width]: [f64; 4], x: f64) -> f64 {
    low + (high - low) / (1.0 + (-(x - middle) / width).exp())
}
