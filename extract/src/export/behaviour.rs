//! What circuit languages are told of a card: numbers only, the language is theirs.

use super::{refuse, value};
use spinloom_base::Problems;
use spinloom_base::constants::KB;
use spinloom_card::Card;

/// A card as a behavioural element. Quantities that are no voltages (a membrane, a drive in A/m^2, a probability) are voltages of their own nodes,
/// one volt per unit.
pub(super) enum Behaviour {
    /// A leaky integrator of the reduced membrane that resets itself.
    Neuron {
        /// Leak time (s).
        tau: f64,
        /// Reduced membrane per second and unit of drive.
        gain: f64,
        /// Time to fall from 1 to 0.02 at a reset (s).
        dead: f64,
    },
    /// The exposure to a switching rate.
    Switching {
        /// Attempts per second.
        f0: f64,
        /// Barrier over Boltzmann's constant (K).
        barrier: f64,
        /// Drive at which it vanishes.
        critical: f64,
        /// Exponent.
        exponent: f64,
    },
    /// A curve of the node `x`, in words that both languages share.
    Curve(String),
}

impl Behaviour {
    pub(super) fn of(card: &Card, format: &str) -> Result<Self, Problems> {
        let v = |p: &str| value(card, p);
        Ok(match card.model.name.as_str() {
            "lif-two-times" => {
                // A card of traces of the reduced membrane has no scale of its own.
                let or = |p: &str, x: f64| if card.parameters.contains_key(p) { v(p) } else { Ok(x) };
                let tau = v("tau_leak")?;
                let swing = or("V_th", 1.0)? - or("V_reset", 0.0)?;
                // A reset as long as the device's; without one short against the leak.
                Self::Neuron { tau, gain: v("R_over_tau_int")? / swing, dead: or("t_reset", 0.02 * tau)? }
            }
            name @ ("switching-linear" | "switching-quadratic" | "switching-free") => {
                let exponent = match name {
                    "switching-linear" => 1.0,
                    "switching-quadratic" => 2.0,
                    _ => v("b")?,
                };
                Self::Switching { f0: v("f0")?, barrier: v("E_b")? / KB, critical: v("V_c")?, exponent }
            }
            "sigmoid" => Self::Curve(format!(
                "{:e}+({:e})/(1+exp(-(V(x)-({:e}))/{:e}))",
                v("y_low")?,
                v("y_high")? - v("y_low")?,
                v("x_50")?,
                v("s")?
            )),
            "relu" => Self::Curve(format!("{:e}+({:e})*max(0,V(x)-({:e}))", v("y_0")?, v("gain")?, v("x_0")?)),
            "piecewise-linear" => {
                let (foot, top) = (v("x_low")?, v("x_high")?);
                let rise = v("y_high")? - v("y_low")?;
                Self::Curve(format!("{:e}+({rise:e})*min(1,max(0,(V(x)-({foot:e}))/({:e})))", v("y_low")?, top - foot))
            }
            _ => {
                let has = "lif-two-times, switching-linear, switching-quadratic, switching-free, sigmoid, relu and piecewise-linear";
                return Err(refuse(card, format, has));
            }
        })
    }
}
