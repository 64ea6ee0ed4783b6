//! Models of the membrane: how the reduced membrane u (reset 0, threshold 1) moves under a constant drive, in closed form.
//!
//! A model is its symbols and one step. The step also carries the derivatives by the logarithms of the parameters along
//! (all parameters are positive), so that a fit has an exact Jacobian. Drives are piecewise constant: samples may be skipped without error.

use std::fmt::Debug;

/// What a parameter is, which decides its unit and where a search begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// A time constant (s).
    Time,
    /// Membrane per second.
    Rate,
    /// Membrane per second and unit of drive.
    Gain,
}

/// A parameter of a model.
#[derive(Clone, Copy, Debug)]
pub struct Symbol {
    /// Its name in a card.
    pub name: &'static str,
    /// What it is.
    pub quantity: Quantity,
    /// The experiment that determines it.
    pub experiment: &'static str,
}

/// A model of the membrane.
pub trait MembraneModel: Sync + Debug {
    /// Its name in a card.
    fn name(&self) -> &'static str;
    /// Its equation as a person writes it.
    fn equation(&self) -> &'static str;
    /// Where it comes from.
    fn reference(&self) -> &'static str;
    /// Its parameters, in order.
    fn symbols(&self) -> &'static [Symbol];
    /// Membrane after `dt` (s) under a constant drive. `du` holds du/d(ln p) before and after.
    fn step(&self, p: &[f64], u: f64, drive: f64, dt: f64, du: &mut [f64]) -> f64;
}

const GAIN: Symbol = Symbol {
    name: "R_over_tau_int",
    quantity: Quantity::Gain,
    experiment: "pulses from reset at two or more drives, sampled while the membrane rises",
};

/// All models, the published one first, the null model last.
pub const MODELS: [&dyn MembraneModel; 4] = [&LifTwoTimes, &LifSwitchingLeak, &ConstantLeak, &Integrator];

/// The model of a name.
pub fn model(name: &str) -> Option<&'static dyn MembraneModel> {
    MODELS.into_iter().find(|m| m.name() == name)
}

/// du/dt = -u/tau + gain J: exponential approach to gain J tau. `leak` is the index of tau among the parameters, `gain` that of the gain.
fn relax(p: &[f64], leak: usize, gain: usize, u: f64, drive: f64, dt: f64, du: &mut [f64]) -> f64 {
    let tau = p[leak];
    let decay = (-dt / tau).exp();
    // 1 - e^(-x) by expm1: exact for long tau too, where the term tends to gain J dt.
    let rise = p[gain] * drive * tau * -(-dt / tau).exp_m1();
    du.iter_mut().for_each(|d| *d *= decay);
    du[leak] += (u - p[gain] * drive * tau) * decay * dt / tau + rise;
    du[gain] += rise;
    u * decay + rise
}

/// The equation of Sekh et al. with separate times of integration and leak.
#[derive(Debug)]
pub struct LifTwoTimes;

impl MembraneModel for LifTwoTimes {
    fn name(&self) -> &'static str {
        "lif-two-times"
    }
    fn equation(&self) -> &'static str {
        "dV/dt = -(V - V_reset)/tau_leak + (R/tau_int) J(t)"
    }
    fn reference(&self) -> &'static str {
        "Sekh et al., Adv. Sci. (2026), doi 10.1002/advs.202521732, Eq. 1"
    }
    fn symbols(&self) -> &'static [Symbol] {
        const SYMBOLS: [Symbol; 2] = [
            Symbol {
                name: "tau_leak",
                quantity: Quantity::Time,
                experiment: "free relaxation from near the threshold, drive off for longer than the fall takes",
            },
            GAIN,
        ];
        &SYMBOLS
    }
    fn step(&self, p: &[f64], u: f64, drive: f64, dt: f64, du: &mut [f64]) -> f64 {
        relax(p, 0, 1, u, drive, dt, du)
    }
}

/// As [`LifTwoTimes`], but the leak under the drive has a time of its own: a driven wall is another wall.
#[derive(Debug)]
pub struct LifSwitchingLeak;

impl MembraneModel for LifSwitchingLeak {
    fn name(&self) -> &'static str {
        "lif-switching-leak"
    }
    fn equation(&self) -> &'static str {
        "dV/dt = -(V - V_reset)/tau + (R/tau_int) J(t), tau = tau_on while J != 0 and tau_off while J = 0"
    }
    fn reference(&self) -> &'static str {
        "rival of Eq. 1 of Sekh et al., Adv. Sci. (2026), doi 10.1002/advs.202521732, with a leak that depends on the drive"
    }
    fn symbols(&self) -> &'static [Symbol] {
        const SYMBOLS: [Symbol; 3] = [
            Symbol {
                name: "tau_on",
                quantity: Quantity::Time,
                experiment: "one pulse long enough for the rise to bend, at two or more drives",
            },
            Symbol {
                name: "tau_off",
                quantity: Quantity::Time,
                experiment: "free relaxation from near the threshold, drive off for longer than the fall takes",
            },
            GAIN,
        ];
        &SYMBOLS
    }
    fn step(&self, p: &[f64], u: f64, drive: f64, dt: f64, du: &mut [f64]) -> f64 {
        relax(p, usize::from(drive == 0.0), 2, u, drive, dt, du)
    }
}

/// A wall that returns at a constant velocity, and stops at reset.
#[derive(Debug)]
pub struct ConstantLeak;

impl MembraneModel for ConstantLeak {
    fn name(&self) -> &'static str {
        "constant-leak"
    }
    fn equation(&self) -> &'static str {
        "dV/dt = -v_leak + (R/tau_int) J(t), V >= V_reset"
    }
    fn reference(&self) -> &'static str {
        "wall under a constant restoring field: constant velocity in the precessional regime, N. L. Schryer and L. R. Walker, J. Appl. Phys. 45, 5406 (1974)"
    }
    fn symbols(&self) -> &'static [Symbol] {
        const SYMBOLS: [Symbol; 2] = [
            Symbol {
                name: "v_leak",
                quantity: Quantity::Rate,
                experiment: "free relaxation from near the threshold, stopped before the membrane is back at reset",
            },
            GAIN,
        ];
        &SYMBOLS
    }
    fn step(&self, p: &[f64], u: f64, drive: f64, dt: f64, du: &mut [f64]) -> f64 {
        let (fall, rise) = (p[0] * dt, p[1] * drive * dt);
        let next = u + rise - fall;
        if next > 0.0 {
            du[0] -= fall;
            du[1] += rise;
            return next;
        }
        // At the stop: where it came from does not matter any more.
        du.fill(0.0);
        0.0
    }
}

/// The null model: no leak at all.
#[derive(Debug)]
pub struct Integrator;

impl MembraneModel for Integrator {
    fn name(&self) -> &'static str {
        "integrator"
    }
    fn equation(&self) -> &'static str {
        "dV/dt = (R/tau_int) J(t)"
    }
    fn reference(&self) -> &'static str {
        "null model: whatever does not beat it has shown no leak"
    }
    fn symbols(&self) -> &'static [Symbol] {
        const SYMBOLS: [Symbol; 1] = [GAIN];
        &SYMBOLS
    }
    fn step(&self, p: &[f64], u: f64, drive: f64, dt: f64, du: &mut [f64]) -> f64 {
        du[0] += p[0] * drive * dt;
        u + p[0] * drive * dt
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Parameters for u of order one in a few nanoseconds.
    fn typical(m: &dyn MembraneModel) -> Vec<f64> {
        let next = |(i, s): (usize, &Symbol)| match s.quantity {
            Quantity::Time => [3e-9, 1.2e-9][i],
            Quantity::Rate => 0.11e9,
            Quantity::Gain => 0.4e9 / 7e11,
        };
        m.symbols().iter().enumerate().map(next).collect()
    }

    const TRAIN: [(f64, f64); 7] = [(7e11, 1e-9), (0.0, 1.5e-9), (5e11, 1e-9), (0.0, 1.5e-9), (7e11, 2e-9), (0.0, 9e-9), (7e11, 1e-9)];

    fn end(m: &dyn MembraneModel, p: &[f64], du: &mut [f64]) -> f64 {
        TRAIN.iter().fold(0.2, |u, &(j, dt)| m.step(p, u, j, dt, du))
    }

    #[test]
    fn closed_forms_solve_the_equations() {
        for m in MODELS {
            let p = typical(m);
            let gain = p[p.len() - 1];
            let mut u: f64 = 0.2;
            let fine = 100_000;
            for (j, time) in TRAIN {
                let dt = time / f64::from(fine);
                for _ in 0..fine {
                    let leak = match m.name() {
                        "lif-two-times" => u / p[0],
                        "lif-switching-leak" => u / if j == 0.0 { p[1] } else { p[0] },
                        "constant-leak" => p[0],
                        _ => 0.0,
                    };
                    u += dt * (gain * j - leak);
                    if m.name() == "constant-leak" {
                        u = u.max(0.0);
                    }
                }
            }
            let closed = end(m, &p, &mut vec![0.0; p.len()]);
            // Euler with 1e5 steps per stretch of up to 8 tau: error about (dt/tau)/2 of u, 4e-5.
            assert!((closed - u).abs() < 1e-4, "{}: {closed} against {u}", m.name());
        }
    }

    #[test]
    fn derivatives_are_those_of_the_step() {
        for m in MODELS {
            let p = typical(m);
            let mut du = vec![0.0; p.len()];
            end(m, &p, &mut du);
            for k in 0..p.len() {
                let h = 1e-5;
                let shifted = |sign: f64| {
                    let mut q = p.clone();
                    q[k] *= (sign * h).exp();
                    end(m, &q, &mut vec![0.0; p.len()])
                };
                let numeric = (shifted(1.0) - shifted(-1.0)) / (2.0 * h);
                assert!((du[k] - numeric).abs() < 1e-8, "{} {}: {} against {numeric}", m.name(), m.symbols()[k].name, du[k]);
            }
        }
    }

    #[test]
    fn a_long_leak_time_tends_to_the_integrator() {
        let mut du = [0.0; 2];
        let lif = LifTwoTimes.step(&[1e6, 1e-3], 0.1, 2.0, 1e-3, &mut du);
        let null = Integrator.step(&[1e-3], 0.1, 2.0, 1e-3, &mut [0.0]);
        // They differ by u dt/tau = 1e-10.
        assert!((lif - null).abs() < 2e-10, "{lif} {null}");
    }
}
