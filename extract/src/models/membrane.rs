//! Models of the membrane: how the reduced membrane u (reset 0, threshold 1) moves under a constant drive, in closed form.
//!
//! A model is its symbols and one step. The step also carries the derivatives by the logarithms of the parameters along
//! (all parameters are positive), so that a fit has an exact Jacobian. Drives are piecewise constant: samples may be skipped without error.

use super::{About, Coefficient, Example, Model, Scatter, column, positive};
use crate::data::Data;
use spinloom_base::Dimension;
use spinloom_base::random::Stream;
use spinloom_card::Kind;
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

impl Quantity {
    /// What a parameter of a membrane is, by its unit.
    pub fn of(symbol: &Coefficient) -> Quantity {
        match symbol.unit {
            "s" => Self::Time,
            "s^-1" => Self::Rate,
            _ => Self::Gain,
        }
    }
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
    fn symbols(&self) -> &'static [Coefficient];
    /// Membrane after `dt` (s) under a constant drive. `du` holds du/d(ln p) before and after.
    fn step(&self, p: &[f64], u: f64, drive: f64, dt: f64, du: &mut [f64]) -> f64;
}

const GAIN: Coefficient =
    positive("R_over_tau_int", "s^-1 {J}^-1", "pulses from reset at two or more drives, sampled while the membrane rises");

/// All membranes among the models, the published one first, the null model last.
pub fn membranes() -> Vec<&'static dyn MembraneModel> {
    super::MODELS.iter().filter_map(|m| m.membrane()).collect()
}

/// The membrane of a name.
pub fn membrane(name: &str) -> Option<&'static dyn MembraneModel> {
    membranes().into_iter().find(|m| m.name() == name)
}

/// A membrane as a model of traces: the reduced membrane `u` of each run, open loop from its first row.
pub struct Trace(pub &'static dyn MembraneModel);

impl Model for Trace {
    fn about(&self) -> About {
        About {
            name: self.0.name(),
            kind: Kind::Neuron,
            equation: self.0.equation(),
            reference: self.0.reference(),
            columns: const {
                &[
                    column("t", Some(Dimension::TIME), "time"),
                    column("J", None, "drive over the interval that ends here"),
                    column("u", Some(Dimension::NONE), "membrane, 0 at reset and 1 at the threshold"),
                ]
            },
            coefficients: self.0.symbols(),
            scatter: Scatter::Normal("u"),
            derived: &[],
            axes: ["t", "u", "run"],
            open: &[
                "R and tau_int apart: u(t) depends on their ratio R_over_tau_int only; R measured by other means, with the wall held, would give tau_int, and one time for both (tau_int = tau_leak) gives R = R_over_tau_int tau_leak",
            ],
        }
    }

    fn predict(&self, p: &[f64], data: &Data, mean: &mut [f64]) {
        let (t, drive, measured) = (data.col("t"), data.col("J"), data.col("u"));
        let (mut u, mut ignored) = (0.0, [0.0; 4]);
        for i in 0..data.rows() {
            u = if data.begins(i) { measured[i] } else { self.0.step(p, u, drive[i], t[i] - t[i - 1], &mut ignored[..p.len()]) };
            mean[i] = u;
        }
    }

    fn starts(&self, data: &Data) -> Vec<Vec<f64>> {
        let (t, drive, u) = (data.col("t"), data.col("J"), data.col("u"));
        let (mut gains, mut falls, mut longest) = (Vec::new(), Vec::new(), 0.0f64);
        for i in (1..data.rows()).filter(|&i| !data.begins(i) && t[i] > t[i - 1]) {
            let rate = (u[i] - u[i - 1]) / (t[i] - t[i - 1]);
            if drive[i] != 0.0 {
                gains.push(rate / drive[i])
            } else {
                falls.push((-rate, u[i - 1]))
            }
            longest = longest.max(t[i] - data.col("t")[0]);
        }
        let (n, m) = (gains.len() as f64, falls.len() as f64);
        let gain = gains.iter().sum::<f64>() / n;
        if gain.is_nan() || gain <= 0.0 {
            return Vec::new();
        }
        let leak = (falls.iter().map(|f| f.0).sum::<f64>() / m).max(0.01 / longest);
        let tau = (falls.iter().map(|f| f.1).sum::<f64>() / m / leak).max(longest * 0.01);
        let (leak, tau) = if m > 0.0 { (leak, tau) } else { (0.1 / longest, longest) };
        let of = |s: &Coefficient, factor: f64| match Quantity::of(s) {
            Quantity::Time => factor * tau,
            Quantity::Rate => leak,
            Quantity::Gain => 1.3 * gain,
        };
        [0.5, 2.0].iter().map(|f| self.0.symbols().iter().map(|s| of(s, *f)).collect()).collect()
    }

    fn example(&self) -> Example {
        // Pulses of 1 ns and gaps of 1.5 ns at three drives, four in a train.
        let (mut run, mut t, mut drive) = (Vec::new(), Vec::new(), Vec::new());
        for (r, j) in [7e11, 6e11, 5e11, 7e11, 5e11].iter().enumerate() {
            for k in 0..=40 {
                run.push(r as f64);
                t.push(0.25e-9 * f64::from(k));
                drive.push(if (k + 9) % 10 < 4 { *j } else { 0.0 });
            }
        }
        let truth = match self.0.symbols().len() {
            3 => vec![4e-9, 1.5e-9, 0.4e9 / 7e11],
            1 => vec![0.15e9 / 7e11],
            _ if Quantity::of(&self.0.symbols()[0]) == Quantity::Rate => vec![0.05e9, 0.3e9 / 7e11],
            _ => vec![3e-9, 0.4e9 / 7e11],
        };
        // The wall begins at 0.2, known exactly as of a simulation.
        let u = vec![0.2; t.len()];
        Example { truth, sigma: 0.01, design: Data::new([("run", "1", run), ("t", "s", t), ("J", "A/m^2", drive), ("u", "1", u)]) }
    }

    fn simulate(&self, p: &[f64], sigma: f64, design: &Data, random: &mut Stream) -> Data {
        super::simulate_trace(self, "u", p, sigma, design, random)
    }

    fn membrane(&self) -> Option<&'static dyn MembraneModel> {
        Some(self.0)
    }
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
    fn symbols(&self) -> &'static [Coefficient] {
        const SYMBOLS: [Coefficient; 2] =
            [positive("tau_leak", "s", "free relaxation from near the threshold, drive off for longer than the fall takes"), GAIN];
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
    fn symbols(&self) -> &'static [Coefficient] {
        const SYMBOLS: [Coefficient; 3] = [
            positive("tau_on", "s", "one pulse long enough for the rise to bend, at two or more drives"),
            positive("tau_off", "s", "free relaxation from near the threshold, drive off for longer than the fall takes"),
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
    fn symbols(&self) -> &'static [Coefficient] {
        const SYMBOLS: [Coefficient; 2] =
            [positive("v_leak", "s^-1", "free relaxation from near the threshold, stopped before the membrane is back at reset"), GAIN];
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
    fn symbols(&self) -> &'static [Coefficient] {
        const SYMBOLS: [Coefficient; 1] = [GAIN];
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
        let next = |(i, s): (usize, &Coefficient)| match Quantity::of(s) {
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
        for m in membranes() {
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
        for m in membranes() {
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
