//! Escape over a barrier by heat: the rate that switching, telegraph noise, retention and the thermal neuron share.

use spinloom_base::constants::KB;

/// Rate f0 exp[-(E/kT) (1 - i)^b]: W. F. Brown, Phys. Rev. 130, 1677 (1963), with the lowering of the barrier by a drive i = I/I_c,
/// b = 1: R. H. Koch, J. A. Katine and J. Z. Sun, Phys. Rev. Lett. 92, 088302 (2004); b = 2: T. Taniguchi and H. Imamura, Phys. Rev. B 83, 054432 (2011).
/// From i = 1 on there is no barrier; the law is then outside its range, and the rate stays at f0.
pub fn rate(f0: f64, barrier: f64, temperature: f64, i: f64, b: f64) -> f64 {
    f0 * (-barrier / (KB * temperature) * (1.0 - i).max(0.0).powf(b)).exp()
}

/// Probability of an event within `t` at a constant rate.
pub fn probability(rate: f64, t: f64) -> f64 {
    -(-rate * t).exp_m1()
}
