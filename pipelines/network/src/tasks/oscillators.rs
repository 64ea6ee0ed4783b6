//! Coupled spin-torque oscillators: the universal oscillator model of Slavin and Tiberkevich, IEEE Trans. Magn. 45, 1875 (2009), equation 2, in a
//! frame that turns with a reference frequency:
//!
//! ```text
//! dc/dt = i 2π (f(I) + N (|c|² − p0(I)) − f_ref) c − Γ_G (1 + Q |c|²) c + Γ_G ζ (1 − |c|²) c + Σ κ_jk c_k + Σ F_s e^(i 2π (f_s − f_ref) t) + noise
//! ```
//!
//! ζ = I/I_th, p0 = (ζ − 1)/(ζ + Q). Numbers of the device are those of the card `spin-torque-oscillator`. f(I) is the free-running frequency at the
//! current, so N matters through what coupling does to the power.

use num_complex::Complex64;
use spinloom_base::Problems;
use spinloom_base::random::Stream;
use spinloom_card::Card;

/// What all oscillators share.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Device {
    /// Gilbert relaxation (1/s).
    pub gamma: f64,
    /// Nonlinear damping.
    pub q: f64,
    /// Nonlinear frequency shift (1/s per unit power).
    pub n: f64,
    /// Frequency at threshold (1/s).
    pub f0: f64,
}

impl Device {
    /// A device between those of the literature: Γ_G/2π = 60 MHz, ν about 3 (Slavin and Tiberkevich 2009, section VI).
    pub(super) fn typical() -> Self {
        Self { gamma: 3.8e8, q: 2.0, n: -2e8, f0: 4e8 }
    }

    /// Of a card.
    pub(super) fn of(card: &Card) -> Result<Self, Problems> {
        Ok(Self { gamma: card.value("Gamma_G")?, q: card.value("Q")?, n: card.value("N")?, f0: card.value("f_0")? })
    }

    /// Power at ζ = I/I_th.
    pub(super) fn power(&self, zeta: f64) -> f64 {
        (zeta - 1.0) / (zeta + self.q)
    }

    /// ν at ζ: how far a change of power shifts the frequency while it relaxes (Slavin and Tiberkevich 2009, equation 33; 2π for N in Hz).
    pub(super) fn nu(&self, zeta: f64) -> f64 {
        std::f64::consts::TAU * self.n / (self.gamma * (zeta + self.q))
    }

    /// Free-running frequency at ζ.
    pub(super) fn frequency(&self, zeta: f64) -> f64 {
        self.f0 + self.n * self.power(zeta)
    }
}

/// Oscillators and how they are coupled.
pub(super) struct Array<'a> {
    pub device: &'a Device,
    /// I/I_th of each.
    pub zeta: Vec<f64>,
    /// Coupling rate between every two (1/s).
    pub coupling: f64,
    /// Phase of the coupling (rad).
    pub angle: f64,
    /// Noise of c (standard deviation gathered in a second).
    pub noise: f64,
}

/// A periodic force from outside: frequency (1/s) and strength (1/s).
pub(super) type Tone = (f64, f64);

impl Array<'_> {
    /// Runs the array and calls `look` with the number of the step and all amplitudes, after each step. `frequency(k, t)` is the free-running frequency.
    pub(super) fn run(
        &self,
        c: &mut [Complex64],
        reference: f64,
        (step, steps): (f64, usize),
        tones: &[Tone],
        frequency: impl Fn(usize, f64) -> f64,
        stream: &mut Stream,
        mut look: impl FnMut(usize, &[Complex64]),
    ) {
        let d = self.device;
        let kappa = Complex64::from_polar(self.coupling, self.angle);
        let slope = |c: &[Complex64], t: f64, out: &mut [Complex64]| {
            let sum: Complex64 = c.iter().sum();
            let force: Complex64 = tones.iter().map(|(f, a)| Complex64::from_polar(*a, std::f64::consts::TAU * (f - reference) * t)).sum();
            for (k, out) in out.iter_mut().enumerate() {
                let p = c[k].norm_sqr();
                let shift = std::f64::consts::TAU * (frequency(k, t) + d.n * (p - d.power(self.zeta[k])) - reference);
                let gain = d.gamma * (self.zeta[k] * (1.0 - p) - 1.0 - d.q * p);
                *out = c[k] * Complex64::new(gain, shift) + kappa * (sum - c[k]) + force;
            }
        };
        let n = c.len();
        let zero = Complex64::new(0.0, 0.0);
        let (mut k1, mut k2, mut k3, mut k4, mut at) = (vec![zero; n], vec![zero; n], vec![zero; n], vec![zero; n], vec![zero; n]);
        let kick = self.noise * (step / 2.0).sqrt();
        for i in 0..steps {
            let t = i as f64 * step;
            let stage = |to: &mut [Complex64], c: &[Complex64], k: &[Complex64], h: f64| {
                to.iter_mut().zip(c).zip(k).for_each(|((a, c), k)| *a = *c + k * h);
            };
            slope(c, t, &mut k1);
            stage(&mut at, c, &k1, step / 2.0);
            slope(&at, t + step / 2.0, &mut k2);
            stage(&mut at, c, &k2, step / 2.0);
            slope(&at, t + step / 2.0, &mut k3);
            stage(&mut at, c, &k3, step);
            slope(&at, t + step, &mut k4);
            for k in 0..n {
                c[k] += (k1[k] + k2[k] * 2.0 + k3[k] * 2.0 + k4[k]) * (step / 6.0);
                if kick > 0.0 {
                    c[k] += Complex64::new(stream.normal(), stream.normal()) * kick;
                }
            }
            look(i, c);
        }
    }

    /// Mean frequencies over the last `share` of a run.
    pub(super) fn frequencies(
        &self,
        reference: f64,
        (step, steps): (f64, usize),
        share: f64,
        tones: &[Tone],
        frequency: impl Fn(usize) -> f64,
        stream: &mut Stream,
    ) -> Vec<f64> {
        let n = self.zeta.len();
        let mut c: Vec<Complex64> = (0..n)
            .map(|k| Complex64::from_polar(self.device.power(self.zeta[k]).max(1e-3).sqrt(), std::f64::consts::TAU * stream.uniform()))
            .collect();
        let from = ((1.0 - share) * steps as f64) as usize;
        let mut phase = vec![0.0; n];
        let mut last = vec![0.0; n];
        self.run(
            &mut c,
            reference,
            (step, steps),
            tones,
            |k, _| frequency(k),
            stream,
            |i, c| {
                for k in 0..n {
                    let a = c[k].arg();
                    if i >= from {
                        let mut d = a - last[k];
                        d -= std::f64::consts::TAU * (d / std::f64::consts::TAU).round();
                        phase[k] += d;
                    }
                    last[k] = a;
                }
            },
        );
        let time = (steps - from) as f64 * step;
        phase.iter().map(|p| reference + p / (std::f64::consts::TAU * time)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Free running: the frequency of the closed form. Two coupled ones lock where they differ by less than the coupling allows, and not beyond.
    #[test]
    fn oscillators_run_free_and_lock() {
        let device = Device { n: 0.0, ..Device::typical() };
        let mut stream = Stream::new(1, 1);
        let array = |coupling: f64| Array { device: &device, zeta: vec![2.0; 2], coupling, angle: 0.0, noise: 0.0 };
        let run = |coupling: f64, apart: f64, stream: &mut Stream| {
            let f = device.frequency(2.0);
            array(coupling).frequencies(f, (2e-10, 20_000), 0.5, &[], |k| f + if k == 0 { -apart / 2.0 } else { apart / 2.0 }, stream)
        };
        let free = run(0.0, 4e6, &mut stream);
        assert!((free[1] - free[0] - 4e6).abs() < 1e3, "{free:?}");
        // Without nonlinear shift two oscillators lock while 2π Δf < 2 κ (Adler, with equal amplitudes): Δf < κ/π.
        let kappa = 2e7;
        let locked = run(kappa, 0.9 * kappa / std::f64::consts::PI, &mut stream);
        let loose = run(kappa, 1.2 * kappa / std::f64::consts::PI, &mut stream);
        assert!((locked[1] - locked[0]).abs() < 1e3, "{locked:?}");
        assert!((loose[1] - loose[0]).abs() > 1e6, "{loose:?}");
    }
}
