//! One step of a network for a card of a leaky neuron: the closed form of a drive held for `on`, then none for `off`.

use super::value;
use spinloom_base::Problems;
use spinloom_card::Card;

/// The reduced membrane u (reset 0, threshold 1) and the input x (1 is the nominal drive): h = decay_on u - leak_on + gain x fires where it reaches 1, then
/// u = decay_off h - leak_off. The step that `pipelines/network` takes for the same card.
pub(super) struct Step {
    /// Its length (s).
    pub length: f64,
    /// Drive of x = 1, and its unit.
    pub nominal: (f64, String),
    pub decay_on: f64,
    pub leak_on: f64,
    pub gain: f64,
    pub decay_off: f64,
    pub leak_off: f64,
    /// Ends of the membrane.
    pub u: [f64; 2],
    /// Ends of the input inside the validity of the card.
    pub x: [f64; 2],
    /// Steps after a spike without integration.
    pub wait: f64,
    /// Reset, and from there to the threshold, in `unit`.
    pub membrane: [f64; 2],
    pub unit: String,
}

impl Step {
    /// Of a card that has one: `None` for a model that is no leaky neuron of a pulsed drive.
    pub(super) fn of(card: &Card) -> Option<Result<Self, Problems>> {
        let taus = match card.model.name.as_str() {
            "lif-two-times" => Some(["tau_leak", "tau_leak"]),
            "lif-switching-leak" => Some(["tau_on", "tau_off"]),
            "constant-leak" => None,
            _ => return None,
        };
        Some(Self::read(card, taus))
    }

    fn read(card: &Card, taus: Option<[&str; 2]>) -> Result<Self, Problems> {
        let has = |name: &str| card.parameters.contains_key(name);
        // A card of traces of the reduced membrane has no scale of its own.
        let or = |name: &str, x: f64| if has(name) { value(card, name) } else { Ok(x) };
        let (reset, swing) = (or("V_reset", 0.0)?, or("V_th", 1.0)? - or("V_reset", 0.0)?);
        let slowest = match taus {
            Some([_, off]) => value(card, off)?,
            None => swing / value(card, "v_leak")?,
        };
        // Without a protocol the leak takes ten steps, each driven throughout, and the largest drive seen is that of x = 1.
        let seen = card.validity.get(card.drive.as_ref().map_or("J", |d| d.quantity.as_str()));
        let (on, off, nominal, unit) = match &card.drive {
            Some(d) => (d.on, d.off, d.nominal, d.unit.clone()),
            None => (0.1 * slowest, 0.0, seen.map_or(1.0, |r| r.max), seen.map_or("1".into(), |r| r.unit.clone())),
        };
        let rate = value(card, "R_over_tau_int")? * nominal / swing;
        let [decay_on, decay_off, leak_on, leak_off, gain] = match taus {
            Some([name_on, name_off]) => {
                let (tau_on, tau_off) = (value(card, name_on)?, value(card, name_off)?);
                // 1 - e^(-x) by expm1, exact for long times too.
                [(-on / tau_on).exp(), (-off / tau_off).exp(), 0.0, 0.0, rate * tau_on * -(-on / tau_on).exp_m1()]
            }
            None => [1.0, 1.0, on / slowest, off / slowest, rate * on],
        };
        let reduced = |name: &str, x: f64| if has(name) { value(card, name).map(|v| (v - reset) / swing) } else { Ok(x) };
        Ok(Self {
            length: on + off,
            decay_on,
            leak_on,
            gain,
            decay_off,
            leak_off,
            u: [reduced("V_min", 0.0)?, reduced("V_max", f64::INFINITY)?],
            x: seen.map_or([f64::NEG_INFINITY, f64::INFINITY], |r| [r.min / nominal, r.max / nominal]),
            // The spike comes at the end of `on`, so that `off` has passed when the next step begins.
            wait: if has("t_reset") { ((value(card, "t_reset")? - off) / (on + off) - 1e-9).ceil().max(0.0) } else { 0.0 },
            nominal: (nominal, unit),
            membrane: [reset, swing],
            unit: card.parameters.get("V_th").map_or("1", |p| p.unit.as_str()).to_string(),
        })
    }
}
