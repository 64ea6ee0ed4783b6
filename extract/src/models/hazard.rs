//! Escape over a barrier by heat: the rate that switching, telegraph noise, retention and the thermal neuron share.

use super::Derived;
use spinloom_base::constants::KB;

/// At 300 K of parameters that begin with f_B and E_b of [`passage`]: the barrier in kT, and the attempt frequency of Brown's high barrier.
pub const AT_300_K: &[Derived] = &[
    Derived { name: "Delta_300K", unit: "1", value: |p, _| p[1] / (KB * 300.0), of: &[1] },
    Derived { name: "f0_300K", unit: "s^-1", value: |p, _| p[0] * (p[1] / (KB * 300.0) / std::f64::consts::PI).sqrt(), of: &[0, 1] },
];

/// Rate f0 exp[-(E/kT) (1 - i)^b]: W. F. Brown, Phys. Rev. 130, 1677 (1963), with the lowering of the barrier by a drive i = I/I_c,
/// b = 1: R. H. Koch, J. A. Katine and J. Z. Sun, Phys. Rev. Lett. 92, 088302 (2004); b = 2: T. Taniguchi and H. Imamura, Phys. Rev. B 83, 054432 (2011).
/// From i = 1 on there is no barrier; the law is then outside its range, and the rate stays at f0.
pub fn rate(f0: f64, barrier: f64, temperature: f64, i: f64, b: f64) -> f64 {
    f0 * (-barrier / (KB * temperature) * (1.0 - i).max(0.0).powf(b)).exp()
}

pub use spinloom_card::laws::passage;

/// Probability of an event within `t` at a constant rate.
pub fn probability(rate: f64, t: f64) -> f64 {
    -(-rate * t).exp_m1()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passage_takes_as_long_as_brown_says_over_a_high_barrier_and_as_free_diffusion_over_none() {
        // Without a barrier 2 sigma int_m^1 dx/(1 + x) = 2 sigma ln[2/(1 + m)].
        let free = passage(1e-6, 0.0, -0.5)[0] / 2e-6;
        assert!((free / 4f64.ln() - 1.0).abs() < 1e-5, "{free}");
        // Next order of the quotient of both integrals: 1 + 1/sigma; and over a high barrier passages are exponential: mean square twice the square of the mean.
        for sigma in [15.0, 30.0f64] {
            let brown = (std::f64::consts::PI / sigma).sqrt() * sigma.exp();
            let [mean, square] = passage(sigma, 0.0, -0.5);
            assert!((mean / brown - 1.0 - 1.0 / sigma).abs() < 3.0 / (sigma * sigma), "{sigma}: {}", mean / brown);
            assert!((square / (2.0 * mean * mean) - 1.0).abs() < 1e-4, "{sigma}: {square} {mean}");
        }
        // Far beyond the threshold a drive turns it without heat: dz/dt = f_B (z - i)(1 - z^2) from the spread of angles, sharply: mean square near the square.
        let [mean, square] = passage(40.0, 3.0, -0.5);
        assert!(square / (mean * mean) < 1.15, "{square} {mean}");
    }
}
