//! Weights as differential pairs of binary conductances, as a crossbar of two-state magnetic tunnel junctions holds them.
//!
//! A weight is w = scale · (G⁺ − G⁻)/(G_on − G_off) with both conductances G_on or G_off: −scale, 0 or +scale, one scale per layer (the gain of
//! its sense amplifiers). A pair that stands for 0 has both devices off. The bias of a neuron is a current source of its own: a real number, without
//! spread or noise.
//!
//! Training keeps a latent real weight per pair. Forward and backward use the quantised weight; the gradient goes to the latent one unchanged
//! ("straight through"; Hubara et al., JMLR 18, 187 (2018)). The latent weight is rounded as in ternary weight networks (Li, Zhang and Liu,
//! arXiv:1605.04711, equation 6): 0 where |w| ≤ 0.7 mean|w|, and scale = mean|w| over the others, which is nearly the rounding of least square error.
//!
//! Inference can add what devices do: every conductance off its target by a factor e^(spread·ξ), drawn once per chip, and every read of a
//! device noisy by a relative amount. Not included: wire resistance, stuck devices, drift, a limited resolution of the sense amplifiers.

use crate::encode::{domain, key};
use serde::{Deserialize, Serialize};
use spinloom_base::random::normals;
use spinloom_base::{Diagnostic, Problems};

/// A crossbar of binary conductances.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Crossbar {
    /// Conductance of a device that is on (S).
    pub g_on: f64,
    /// Conductance of a device that is off (S).
    pub g_off: f64,
    /// Device to device: standard deviation of ln G.
    #[serde(default)]
    pub spread: f64,
    /// Standard deviation of one read of one device, relative to its conductance.
    #[serde(default)]
    pub read_noise: f64,
    /// How many chips are drawn from the spread and tested.
    #[serde(default = "one")]
    pub chips: u32,
}

fn one() -> u32 {
    1
}

/// What the crossbar did on the test set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CrossbarReport {
    /// The crossbar.
    pub crossbar: Crossbar,
    /// Scale (weight of G⁺ on, G⁻ off) of each layer.
    pub scales: Vec<f64>,
    /// Fraction of pairs with both devices off, per layer.
    pub zeros: Vec<f64>,
    /// Test accuracy with every conductance on target and no read noise.
    pub nominal_accuracy: f64,
    /// Test accuracy of each chip; empty where there is neither spread nor read noise.
    pub chip_accuracies: Vec<f64>,
}

impl CrossbarReport {
    /// Mean and sample standard deviation over the chips; absent without chips, the deviation with fewer than two.
    pub fn over_chips(&self) -> Option<(f64, Option<f64>)> {
        let a = &self.chip_accuracies;
        let n = a.len() as f64;
        let mean = (!a.is_empty()).then(|| a.iter().sum::<f64>() / n)?;
        Some((mean, (a.len() > 1).then(|| (a.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt())))
    }
}

impl Crossbar {
    pub(crate) fn check(&self, problems: &mut Problems) {
        if !(self.g_off >= 0.0 && self.g_on > self.g_off && self.g_on.is_finite()) {
            problems.push(
                Diagnostic::error(format!("crossbar: g_on = {:e} S and g_off = {:e} S are not two conductances", self.g_on, self.g_off))
                    .hint("both at least zero, g_on above g_off"),
            );
        }
        for (name, v) in [("spread", self.spread), ("read_noise", self.read_noise)] {
            if !(0.0..10.0).contains(&v) {
                problems.push(Diagnostic::error(format!("crossbar: {name} = {v} is not a relative standard deviation")));
            }
        }
        if self.chips == 0 || self.chips > 0xFFFF {
            problems.push(Diagnostic::error(format!("crossbar: {} chips cannot be drawn", self.chips)).hint("1 to 65535"));
        }
    }

    pub(crate) fn has_noise(&self) -> bool {
        self.spread > 0.0 || self.read_noise > 0.0
    }

    /// The weights of one chip as its devices really are, and per pair the sum of the two conductances squared, in units of weight²
    /// (the variance of a read at unit relative noise). `state` holds −1, 0, 1.
    pub(crate) fn realise(&self, layer: usize, state: &[i8], scale: f64, seed: u64, chip: u32) -> (Vec<f32>, Vec<f32>) {
        let unit = scale / (self.g_on - self.g_off);
        let mut weights = Vec::with_capacity(state.len());
        let mut squares = Vec::with_capacity(state.len());
        for (two, pairs) in state.chunks(2).enumerate() {
            let z = normals([two as u32, layer as u32, chip, domain::DEVICES], key(seed));
            for (s, z) in pairs.iter().zip(z.chunks_exact(2)) {
                let g = |on: bool, z: f64| (if on { self.g_on } else { self.g_off }) * (self.spread * z).exp();
                let (plus, minus) = (g(*s > 0, z[0]), g(*s < 0, z[1]));
                weights.push((unit * (plus - minus)) as f32);
                squares.push((unit * unit * (plus * plus + minus * minus)) as f32);
            }
        }
        (weights, squares)
    }
}

/// Threshold and scale of a layer's latent weights.
fn rounding(latent: &[f32]) -> (f32, f32) {
    let mean = latent.iter().map(|w| f64::from(w.abs())).sum::<f64>() / latent.len().max(1) as f64;
    let threshold = (0.7 * mean) as f32;
    let (mut sum, mut n) = (0.0, 0u32);
    for w in latent.iter().filter(|w| w.abs() > threshold) {
        sum += f64::from(w.abs());
        n += 1;
    }
    (threshold, if n == 0 { 0.0 } else { (sum / f64::from(n)) as f32 })
}

/// The weights that stand for the latent ones; returns the scale of the layer.
pub(crate) fn quantise(latent: &[f32], weights: &mut [f32]) -> f32 {
    let (threshold, scale) = rounding(latent);
    for (q, &w) in weights.iter_mut().zip(latent) {
        *q = if w > threshold {
            scale
        } else if w < -threshold {
            -scale
        } else {
            0.0
        };
    }
    scale
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDEAL: Crossbar = Crossbar { g_on: 2e-4, g_off: 1e-4, spread: 0.0, read_noise: 0.0, chips: 1 };

    #[test]
    fn latent_weights_become_three_levels_of_one_scale() {
        // mean|w| = (0.1 + 0.9 + 1.1 + 0.3)/4 = 0.6, threshold 0.42; scale = (0.9 + 1.1)/2 = 1.
        let mut q = [9.0; 4];
        let scale = quantise(&[0.1, 0.9, -1.1, 0.3], &mut q);
        assert!((scale - 1.0).abs() < 1e-6);
        assert_eq!(q, [0.0, scale, -scale, 0.0]);
        assert_eq!(quantise(&[0.0; 3], &mut [1.0; 3]), 0.0);
    }

    #[test]
    fn ideal_devices_hold_the_quantised_weights() {
        let (w, squares) = IDEAL.realise(0, &[1, 0, -1], 0.5, 3, 0);
        assert_eq!(w, [0.5, 0.0, -0.5]);
        // (0.5/1e-4)² (2e-4² + 1e-4²) = 1.25 for one on and one off; 0.5 for both off.
        assert!((squares[0] - 1.25).abs() < 1e-6 && (squares[1] - 0.5).abs() < 1e-6);
    }

    #[test]
    fn spread_is_log_normal_and_differs_between_chips() {
        let crossbar = Crossbar { spread: 0.1, g_off: 0.0, ..IDEAL };
        let state = vec![1i8; 20_000];
        let (w, _) = crossbar.realise(1, &state, 1.0, 3, 0);
        let log: Vec<f64> = w.iter().map(|w| f64::from(*w).ln()).collect();
        let mean = log.iter().sum::<f64>() / 2e4;
        let sd = (log.iter().map(|l| (l - mean).powi(2)).sum::<f64>() / 2e4).sqrt();
        // Five standard errors: 5·0.1/sqrt(2e4) = 0.0035 and 0.0025.
        assert!(mean.abs() < 0.0036 && (sd - 0.1).abs() < 0.0026, "{mean} {sd}");
        assert_ne!(w, crossbar.realise(1, &state, 1.0, 3, 1).0);
        assert_eq!(w, crossbar.realise(1, &state, 1.0, 3, 0).0);
    }
}
