//! What every training here has: softmax with cross-entropy, and the step of Adam. (Graphics devices have the same two as text.)

use nalgebra::{RealField, convert};

/// Makes softmax(scale × z) of `z`; returns the cross-entropy −ln p of the right class.
pub(crate) fn softmax<R: RealField + Copy>(z: &mut [R], scale: R, label: usize) -> R {
    let top = z.iter().fold(z[0], |a, b| if *b > a { *b } else { a });
    let right = scale * (z[label] - top);
    let mut sum = R::zero();
    for z in z.iter_mut() {
        *z = (scale * (*z - top)).exp();
        sum += *z;
    }
    z.iter_mut().for_each(|z| *z /= sum);
    sum.ln() - right
}

/// One step of Adam (Kingma and Ba, arXiv:1412.6980, algorithm 1): β₁ = 0.9, β₂ = 0.999, ε = 1e-8.
#[derive(Clone, Copy)]
pub(crate) struct Adam<R> {
    rate: R,
    /// 1 − β₁^t and 1 − β₂^t.
    bias: [R; 2],
}

impl<R: RealField + Copy> Adam<R> {
    /// Step number t, from 1.
    pub(crate) fn new(rate: f64, t: i32) -> Self {
        Self { rate: convert(rate), bias: [0.9f64, 0.999].map(|b| convert(1.0 - b.powi(t))) }
    }

    /// What is to be subtracted from a weight with this gradient and these moments.
    #[inline(always)]
    pub(crate) fn step(self, g: R, m: &mut R, v: &mut R) -> R {
        let of = convert::<f64, R>;
        *m = of(0.9) * *m + of(0.1) * g;
        *v = of(0.999) * *v + of(0.001) * g * g;
        self.rate * (*m / self.bias[0]) / ((*v / self.bias[1]).sqrt() + of(1e-8))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn softmax_is_that_of_the_formula_and_does_not_overflow() {
        let mut z = [1.0f64, 2.0, 3.0];
        let loss = softmax(&mut z, 0.5, 1);
        let e = [0.5f64, 1.0, 1.5].map(f64::exp);
        let p = e.map(|v| v / e.iter().sum::<f64>());
        assert!(z.iter().zip(p).all(|(a, b)| (a - b).abs() < 1e-15) && (loss + p[1].ln()).abs() < 1e-15, "{z:?} {loss}");
        let mut z = [1e4f32, -1e4];
        assert_eq!((softmax(&mut z, 1.0, 1), z), (2e4, [1.0, 0.0]));
    }

    #[test]
    fn adam_moves_by_the_rate_first_and_by_its_moments_later() {
        let (mut m, mut v) = (0.0f64, 0.0);
        // The first step is the rate whatever the gradient: m/c1 = g, √(v/c2) = |g|.
        assert!((Adam::new(0.1, 1).step(-7.0, &mut m, &mut v) + 0.1).abs() < 1e-9);
        let second = Adam::new(0.1, 2).step(1.0, &mut m, &mut v);
        let (m2, v2) = (0.9 * -0.7 + 0.1, 0.999 * 0.049 + 0.001);
        assert!((m - m2).abs() < 1e-15 && (v - v2).abs() < 1e-15);
        assert!((second - 0.1 * (m2 / 0.19) / (v2 / (1.0 - 0.999f64 * 0.999)).sqrt()).abs() < 1e-8);
    }
}
