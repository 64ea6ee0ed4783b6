//! The neuron of a network, computed from a model card: nothing the network uses is typed in, everything is in [`Mapping`].
//!
//! # The laws
//! Card model `lif-two-times`: dV/dt = −(V − V_reset)/tau_leak + (R/tau_int) J(t).
//!
//! Card model `constant-leak`: dV/dt = −v_leak + (R/tau_int) J(t), and the leak does not pull V below V_reset.
//!
//! One step of the network is one period of the drive: `on` with a constant J, then `off` with none. The network works on the reduced
//! membrane u = (V − V_reset)/(V_th − V_reset), so that reset is 0 and threshold is 1, and solves each period in closed form:
//!
//! ```text
//! c = clip(x, x_min, x_max)                              x: synaptic sum; drive J = x · drive_unit
//! h = clip(decay_on · u − leak_on + gain · c, u_min, u_max)    end of `on`: the highest point of the period if the drive pushes forward
//! s = 1 if h ≥ 1, else 0                                 the spike
//! u = decay_off · (h after reset) − leak_off, not below u_min  end of `off`
//! ```
//!
//! with, for `lif-two-times`, decay = e^(−t/tau_leak), gain = (R/tau_int) · drive_unit · tau_leak (1 − e^(−on/tau_leak))/(V_th − V_reset) and no
//! `leak_`; for `constant-leak`, decay = 1, gain = (R/tau_int) · drive_unit · on/(V_th − V_reset) and leak = v_leak t/(V_th − V_reset).
//! V moves in one direction only during `on` (it approaches a fixed point), so clipping its end equals stopping it at the end of the track.
//!
//! Not included: more than one spike per period; the part of `on` after the threshold is passed; spread from device to device of the neuron itself.

use serde::{Deserialize, Serialize};
use spinloom_base::diagnostics::{nearest, one_of};
use spinloom_base::units::parse_unit;
use spinloom_base::{Diagnostic, Dimension, Problems};
use spinloom_card::{Card, Event, Kind};
use std::collections::BTreeMap;
use std::fmt;

/// What a spike does to the membrane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reset {
    /// u ← 0: a device that returns to its reset position.
    Hard,
    /// u ← u − 1: what is above the threshold is kept.
    Soft,
}

/// How one step of the network follows from the device: every number the network uses, and the lines that say where it came from.
///
/// The membrane is reduced: reset is 0, threshold is 1. `None` for a bound means that there is none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// What the neuron is called.
    pub neuron: String,
    /// Its equation.
    pub equation: String,
    /// Duration of a step (s); absent for an ideal neuron, which has no clock.
    pub step: Option<f64>,
    /// Factor on u over the driven part of a step.
    pub decay_on: f64,
    /// Constant loss of u over the driven part of a step.
    pub leak_on: f64,
    /// Rise of u over the driven part of a step, per unit of synaptic sum.
    pub gain: f64,
    /// Factor on u over the rest of the step.
    pub decay_off: f64,
    /// Constant loss of u over the rest of the step.
    pub leak_off: f64,
    /// Lowest u (the end of the track).
    pub u_min: Option<f64>,
    /// Highest u (the other end).
    pub u_max: Option<f64>,
    /// Lowest synaptic sum inside the validity of the card.
    pub x_min: Option<f64>,
    /// Highest synaptic sum inside the validity of the card.
    pub x_max: Option<f64>,
    /// What a spike does.
    pub reset: Reset,
    /// Steps after a spike in which the device cannot integrate.
    pub refractory_steps: u32,
    /// V_th, V_reset and their unit; absent for an ideal neuron.
    pub membrane: Option<(f64, f64, String)>,
    /// Drive of a synaptic sum of one, with its unit; absent for an ideal neuron.
    pub drive_unit: Option<(f64, String)>,
    /// (drive of x = 1 over the card's nominal drive)²: turns c² into Joule heat relative to that at the nominal drive.
    pub heat_per_x2: Option<f64>,
    /// Where each number came from, one line each.
    pub lines: Vec<String>,
}

impl fmt::Display for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.neuron, self.equation)?;
        for line in &self.lines {
            writeln!(f, "  {line}")?;
        }
        Ok(())
    }
}

impl Mapping {
    /// One step of one neuron: (u at the end of the last step, synaptic sum) → (h at the end of `on`, spike, u at the end of this step).
    /// The plain form of what the network does to whole layers; a neuron that is still resetting is not stepped and stands at u = 0.
    pub fn step(&self, u: f64, x: f64) -> (f64, bool, f64) {
        let low = self.u_min.unwrap_or(f64::NEG_INFINITY);
        let c = x.max(self.x_min.unwrap_or(f64::NEG_INFINITY)).min(self.x_max.unwrap_or(f64::INFINITY));
        let h = (self.decay_on * u - self.leak_on + self.gain * c).max(low).min(self.u_max.unwrap_or(f64::INFINITY));
        let fires = h >= 1.0;
        let after = match (fires, self.reset) {
            (false, _) => h,
            (true, Reset::Hard) => 0.0,
            (true, Reset::Soft) => h - 1.0,
        };
        (h, fires, (self.decay_off * after - self.leak_off).max(low))
    }

    /// How often a neuron fires in `steps` steps under a constant synaptic sum.
    pub fn spikes(&self, x: f64, steps: usize) -> u32 {
        let (mut u, mut wait, mut count) = (0.0, 0, 0);
        for _ in 0..steps {
            if wait > 0 {
                wait -= 1;
                u = 0.0;
                continue;
            }
            let (_, fires, next) = self.step(u, x);
            u = next;
            if fires {
                count += 1;
                wait = self.refractory_steps;
            }
        }
        count
    }

    /// The most spikes that a neuron can give in `steps` steps.
    pub fn most_spikes(&self, steps: usize) -> u32 {
        // Without a limit on the drive, one step always suffices.
        self.spikes(self.x_max.unwrap_or(f64::MAX / (2.0 + self.gain.abs())), steps)
    }

    /// The smallest lasting synaptic sum that brings the membrane to the threshold, if only after a long time.
    pub fn rheobase(&self) -> f64 {
        let decay = self.decay_on * self.decay_off;
        if decay < 1.0 { (1.0 - decay) / self.gain } else { (self.leak_on + self.leak_off) / self.gain }
    }

    /// Steps until the first spike under the largest drive, if it comes within `limit` steps.
    pub fn fewest_steps_to_fire(&self, limit: usize) -> Option<usize> {
        (1..=limit).find(|&n| self.most_spikes(n) > 0)
    }

    /// The constant synaptic sum that takes the membrane from reset to the threshold in `n` steps (limits of the drive aside).
    pub fn drive_to_fire_in(&self, n: f64) -> f64 {
        let decay = self.decay_on * self.decay_off;
        // h after n steps = gain x Σ decay^i − losses; the sum is n where nothing decays.
        let sum = if decay < 1.0 { (1.0 - decay.powf(n)) / (1.0 - decay) } else { n };
        (1.0 + n * self.leak_on + (n - 1.0) * self.leak_off) / (self.gain * sum)
    }
}

/// A neuron ready for a network: the mapping, and what the card says its events cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NeuronModel {
    /// The numbers of one step.
    pub mapping: Mapping,
    /// Cost of events as the card gives it; empty where it gives none.
    pub events: BTreeMap<String, Event>,
}

const MODELS: [&str; 2] = ["lif-two-times", "constant-leak"];

impl NeuronModel {
    /// The neuron that a card describes. `drive_unit` is the drive of a synaptic sum of one, in the unit of the card's drive; by default the
    /// drive at which the device was characterised.
    ///
    /// # Errors
    /// Everything the network would need and the card lacks or contradicts: another model or kind, missing parameters, wrong units, a threshold
    /// that cannot be reached.
    pub fn from_card(card: &Card, drive_unit: Option<f64>) -> Result<NeuronModel, Problems> {
        let mut r = Reader { card, problems: Problems::new() };
        if card.kind != Kind::Neuron {
            r.problem("it describes a synapse, and a neuron is wanted", "");
        }
        let model = card.model.name.as_str();
        if !MODELS.contains(&model) {
            let hint = match nearest(model, MODELS) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("a network can run {}", one_of(MODELS)),
            };
            r.problem(&format!("its model `{model}` is not one that a network can run"), &hint);
            return Err(r.problems);
        }
        let constant_leak = model == "constant-leak";

        let v_th = r.required("V_th");
        let v_reset = r.required("V_reset");
        let rate = r.required("R_over_tau_int");
        let leak = r.required(if constant_leak { "v_leak" } else { "tau_leak" });
        let (v_min, v_max, t_reset) = (r.optional("V_min"), r.optional("V_max"), r.optional("t_reset"));
        if card.drive.is_none() {
            r.problem("it has no `drive` section, so the length of a step is not known", "fit it again with a pulsed protocol");
        }
        let (Some(v_th), Some(v_reset), Some(rate), Some(leak), Some(drive)) = (v_th, v_reset, rate, leak, card.drive.as_ref()) else {
            return Err(r.problems);
        };

        // Units must fit together: V in anything, times in seconds, R/tau_int in V per second and unit of drive.
        let drive_si = r.unit("drive", &drive.unit);
        let v_dimension = v_th.dimension;
        for (symbol, q) in [("V_reset", Some(v_reset)), ("V_min", v_min), ("V_max", v_max)] {
            r.dimension(symbol, q, v_dimension, "V_th");
        }
        r.dimension("t_reset", t_reset, Dimension::TIME, "a second");
        let per_second = combine(v_dimension, Dimension::TIME, -1);
        match constant_leak {
            true => r.dimension("v_leak", Some(leak), per_second, "V_th per second"),
            false => r.dimension("tau_leak", Some(leak), Dimension::TIME, "a second"),
        }
        let Some((drive_factor, drive_dimension)) = drive_si else { return Err(r.problems) };
        r.dimension("R_over_tau_int", Some(rate), combine(per_second, drive_dimension, -1), "V_th per second and unit of drive");

        let swing = v_th.si - v_reset.si;
        r.check(swing > 0.0, &format!("V_th = {} is not above V_reset = {}", v_th.value, v_reset.value));
        r.check(leak.si > 0.0, &format!("{} = {} is not positive", if constant_leak { "v_leak" } else { "tau_leak" }, leak.value));
        r.check(rate.si > 0.0, &format!("R_over_tau_int = {} is not positive", rate.value));
        r.check(drive.on > 0.0 && drive.off >= 0.0, &format!("drive.on = {} s and drive.off = {} s make no step", drive.on, drive.off));
        let unit = drive_unit.unwrap_or(drive.nominal);
        r.check(unit.is_finite() && unit > 0.0, &format!("the drive of a synaptic sum of one is {unit} {}, not positive", drive.unit));
        r.check(v_min.is_none_or(|v| v.si <= v_reset.si), "V_min is above V_reset: the membrane could not be reset");
        r.check(
            !(constant_leak && v_min.is_some_and(|v| v.si < v_reset.si)),
            "V_min is below V_reset, where the model `constant-leak` has no law of motion",
        );
        r.check(v_max.is_none_or(|v| v.si > v_th.si), "V_max is not above V_th: the neuron could never fire");
        r.check(t_reset.is_none_or(|t| t.si >= 0.0), "t_reset is negative");
        let range = card.validity.get(&drive.quantity);
        match range.map(|range| (range, r.unit("validity", &range.unit))) {
            None => r.problem(
                &format!("it states no validity range for its drive `{}`, so the drive has no limits", drive.quantity),
                "a device cannot take any drive; state the range that the records cover",
            ),
            Some((_, None)) => {}
            Some((range, Some((_, dimension)))) => {
                r.check(
                    dimension == drive_dimension,
                    &format!("validity of `{}` is in {}, the drive in {}", drive.quantity, range.unit, drive.unit),
                );
                r.check(
                    range.max > 0.0,
                    &format!("its validity for `{}` ends at {}: nothing drives it forward", drive.quantity, range.max),
                );
            }
        }
        if r.problems.any_error() {
            return Err(r.problems);
        }
        let (low, high) = {
            let range = range.expect("checked above");
            let factor = parse_unit(&range.unit).expect("checked above").factor / drive_factor;
            (range.min * factor / unit, range.max * factor / unit)
        };

        let unit_si = unit * drive_factor;
        let (on, off, step) = (drive.on, drive.off, drive.on + drive.off);
        let j = format!("{unit:e} {}", drive.unit);
        let mut lines = vec![
            format!("step = drive.on + drive.off = {on:e} s + {off:e} s = {step:e} s"),
            format!(
                "u = (V − V_reset)/(V_th − V_reset) with V_th = {}, V_reset = {} {}: reset 0, threshold 1",
                v_th.value,
                v_reset.value,
                unit_text(v_th.unit)
            ),
            format!(
                "drive: a synaptic sum of 1 is {} = {j} ({})",
                drive.quantity,
                if drive_unit.is_some() { "set by the network" } else { "drive.nominal" }
            ),
            format!("drive is clipped to {low:.6} ≤ x ≤ {high:.6}: validity of {} over the drive of x = 1", drive.quantity),
        ];
        let (decay_on, leak_on, decay_off, leak_off, gain) = if constant_leak {
            let (leak_on, leak_off, gain) = (leak.si * on / swing, leak.si * off / swing, rate.si * unit_si * on / swing);
            lines.push(format!(
                "leak while on = v_leak · on/(V_th − V_reset) = {leak_on:.6}; while off = v_leak · off/(V_th − V_reset) = {leak_off:.6}"
            ));
            lines.push(format!("gain = R_over_tau_int · {j} · on/(V_th − V_reset) = {gain:.6} per unit of x and step"));
            (1.0, leak_on, 1.0, leak_off, gain)
        } else {
            let (a, b) = ((-on / leak.si).exp(), (-off / leak.si).exp());
            // 1 − e^(−x) by expm1, exact for long tau_leak too.
            let gain = rate.si * unit_si * leak.si * -(-on / leak.si).exp_m1() / swing;
            lines.push(format!(
                "decay while on = exp(−on/tau_leak) = {a:.6}; while off = exp(−off/tau_leak) = {b:.6}; per step {:.6}",
                a * b
            ));
            lines.push(format!(
                "gain = R_over_tau_int · {j} · tau_leak (1 − exp(−on/tau_leak))/(V_th − V_reset) = {gain:.6} per unit of x and step"
            ));
            (a, 0.0, b, 0.0, gain)
        };
        let u_min = v_min.map_or(0.0, |v| (v.si - v_reset.si) / swing);
        let u_max = v_max.map(|v| (v.si - v_reset.si) / swing);
        lines.push(format!("u ≥ {u_min:.6} ({})", if v_min.is_some() { "V_min" } else { "no V_min: the membrane stops at V_reset" }));
        if let Some(m) = u_max {
            lines.push(format!("u ≤ {m:.6} (V_max)"));
        }
        // A spike comes at the end of `on`; the device can be driven again `off` later, then every step.
        let refractory_steps = t_reset.map_or(0, |t| ((t.si - off) / step - 1e-9).ceil().max(0.0) as u32);
        lines.push(match t_reset {
            Some(t) => format!(
                "after a spike {refractory_steps} steps without integration: (t_reset − off)/step rounded up, t_reset = {:e} s",
                t.si
            ),
            None => "no refractory steps: the card has no t_reset".to_string(),
        });
        let mapping = Mapping {
            neuron: card.name.clone(),
            equation: card.model.equation.clone(),
            step: Some(step),
            decay_on,
            leak_on,
            gain,
            decay_off,
            leak_off,
            u_min: Some(u_min),
            u_max,
            x_min: Some(low),
            x_max: Some(high),
            reset: Reset::Hard,
            refractory_steps,
            membrane: Some((v_th.value, v_reset.value, v_th.unit.to_string())),
            drive_unit: Some((unit, drive.unit.clone())),
            heat_per_x2: Some((unit / drive.nominal).powi(2)),
            lines,
        };
        // Far more steps than any network takes: a membrane that has not fired by then has settled below the threshold.
        if mapping.most_spikes(10_000) == 0 {
            r.problem(
                &format!(
                    "at the largest valid drive ({:e} {}) the membrane never reaches V_th: it leaks faster than it integrates",
                    high * unit,
                    drive.unit
                ),
                "a shorter `off`, a lower V_th or a larger drive is needed; a network of this neuron would stay silent",
            );
            return Err(r.problems);
        }
        let events = card.events.clone();
        Ok(NeuronModel { mapping, events })
    }

    /// The standard discrete neuron: u ← beta u + x, threshold 1; no clock, no limits, no cost.
    ///
    /// # Panics
    /// If `beta` is not in 0 ≤ beta ≤ 1.
    pub fn ideal_lif(beta: f64, reset: Reset) -> NeuronModel {
        assert!((0.0..=1.0).contains(&beta), "beta = {beta} is not between 0 and 1");
        let mapping = Mapping {
            neuron: format!("ideal LIF (beta {beta}, {} reset)", if reset == Reset::Hard { "hard" } else { "soft" }),
            equation: "u[t] = beta u[t-1] + x[t]; spike and reset at u >= 1".to_string(),
            step: None,
            decay_on: beta,
            leak_on: 0.0,
            gain: 1.0,
            decay_off: 1.0,
            leak_off: 0.0,
            u_min: None,
            u_max: None,
            x_min: None,
            x_max: None,
            reset,
            refractory_steps: 0,
            membrane: None,
            drive_unit: None,
            heat_per_x2: None,
            lines: vec![format!("decay per step = beta = {beta}, gain 1, threshold 1: set, not measured")],
        };
        NeuronModel { mapping, events: BTreeMap::new() }
    }

    /// The constants of table 1 of Sekh et al., Adv. Sci. (2026), advs73549: tau_int = tau_leak = 3 ms, V_th = 214 µV, V_reset = 160 µV.
    ///
    /// The table fixes neither the step nor what one unit of synaptic sum drives. The reading taken here: a step of 1 ms, driven throughout, and
    /// dV/dt = −(V − V_reset)/tau_leak + x (V_th − V_reset)/tau_int, so that a lasting x = 1 brings V just to the threshold. Weights absorb any
    /// other unit of x.
    pub fn paper_constants() -> NeuronModel {
        Self::two_times("table 1 of Sekh et al. 2026", 3e-3, 3e-3, 214e-6, 160e-6, 1e-3)
    }

    /// A neuron of two time constants (s), threshold and reset (V) and a step (s), driven throughout:
    /// dV/dt = −(V − V_reset)/tau_leak + x (V_th − V_reset)/tau_int. For sweeps of the constants.
    ///
    /// # Panics
    /// If a time is not positive, or V_th not above V_reset.
    pub fn two_times(name: &str, tau_int: f64, tau_leak: f64, v_th: f64, v_reset: f64, step: f64) -> NeuronModel {
        assert!(tau_int > 0.0 && tau_leak > 0.0 && step > 0.0 && v_th > v_reset, "times must be positive, V_th above V_reset");
        let decay = (-step / tau_leak).exp();
        let gain = tau_leak / tau_int * -(-step / tau_leak).exp_m1();
        let mapping = Mapping {
            neuron: name.to_string(),
            equation: "dV/dt = -(V - V_reset)/tau_leak + x (V_th - V_reset)/tau_int".to_string(),
            step: Some(step),
            decay_on: decay,
            leak_on: 0.0,
            gain,
            decay_off: 1.0,
            leak_off: 0.0,
            u_min: None,
            u_max: None,
            x_min: None,
            x_max: None,
            reset: Reset::Hard,
            refractory_steps: 0,
            membrane: Some((v_th, v_reset, "V".to_string())),
            drive_unit: Some((v_th - v_reset, "V".to_string())),
            heat_per_x2: None,
            lines: vec![
                format!("step {step:e} s: a reading, the source gives none; driven throughout"),
                format!("decay per step = exp(−step/tau_leak) = {decay:.6} with tau_leak = {tau_leak:e} s"),
                format!("gain = (tau_leak/tau_int)(1 − exp(−step/tau_leak)) = {gain:.6} with tau_int = {tau_int:e} s"),
                format!(
                    "u = (V − V_reset)/(V_th − V_reset) with V_th = {v_th:e} V, V_reset = {v_reset:e} V; x = 1 is V_th − V_reset: a reading"
                ),
            ],
        };
        NeuronModel { mapping, events: BTreeMap::new() }
    }

    /// What one inference costs, from how many events of each kind it has. Only what the card prices is summed; nothing is invented.
    /// `None` where the neuron has neither a clock nor a price.
    pub fn cost(&self, events: EventCounts, steps: usize) -> Option<Cost> {
        let step = self.mapping.step?;
        let counts = [("integrate", events.integrate), ("fire", events.fire), ("reset", events.fire)];
        let price = |name: &str| self.events.get(name).and_then(|e| e.energy);
        let priced: BTreeMap<String, f64> = counts.iter().filter_map(|(name, n)| Some((name.to_string(), n * price(name)?))).collect();
        let energy = (!priced.is_empty()).then(|| priced.values().sum());
        let unpriced = counts.iter().filter(|(name, _)| price(name).is_none()).map(|(name, _)| name.to_string()).collect();
        let scaled = price("integrate")
            .zip(events.heat)
            .zip(energy)
            .map(|((price, heat), energy): (_, f64)| energy + price * (heat - events.integrate));
        Some(Cost { events, energy_by_event: priced, energy, energy_joule_scaled: scaled, unpriced, latency: steps as f64 * step })
    }
}

/// How many events one inference has, on average.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EventCounts {
    /// (Neuron, step) pairs with a drive other than zero.
    pub integrate: f64,
    /// Spikes; every spike is followed by one reset.
    pub fire: f64,
    /// Σ (J/J_nominal)² over the integrate events; absent where the neuron has no nominal drive.
    pub heat: Option<f64>,
}

/// What one inference costs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// The events counted.
    pub events: EventCounts,
    /// Energy (J) by kind of event, for those the card prices.
    pub energy_by_event: BTreeMap<String, f64>,
    /// Their sum (J): every integrate event at the price of the nominal drive. Absent where the card prices none.
    pub energy: Option<f64>,
    /// The same (J) with each integrate event scaled by (J/J_nominal)², as Joule heat would be.
    pub energy_joule_scaled: Option<f64>,
    /// Kinds of event that the card does not price and that are therefore missing in the sums.
    pub unpriced: Vec<String>,
    /// Steps times duration of a step (s). Layers work in the same step; a pipeline of layers would add one step per layer.
    pub latency: f64,
}

#[derive(Clone, Copy)]
struct Quantity<'a> {
    value: f64,
    unit: &'a str,
    si: f64,
    dimension: Dimension,
}

struct Reader<'a> {
    card: &'a Card,
    problems: Problems,
}

impl<'a> Reader<'a> {
    fn problem(&mut self, what: &str, hint: &str) {
        let d = Diagnostic::error(format!("card `{}`: {what}", self.card.name));
        self.problems.push(if hint.is_empty() { d } else { d.hint(hint) });
    }

    fn check(&mut self, holds: bool, otherwise: &str) {
        if !holds {
            self.problem(otherwise, "");
        }
    }

    fn unit(&mut self, what: &str, unit: &str) -> Option<(f64, Dimension)> {
        match parse_unit(unit) {
            Ok(u) => Some((u.factor, u.dimension)),
            Err(part) => {
                self.problem(&format!("`{part}` in the unit `{unit}` of {what} is not a unit"), "");
                None
            }
        }
    }

    fn optional(&mut self, symbol: &str) -> Option<Quantity<'a>> {
        let card = self.card;
        let p = card.parameters.get(symbol)?;
        let (factor, dimension) = self.unit(&format!("`{symbol}`"), &p.unit)?;
        Some(Quantity { value: p.value, unit: &p.unit, si: p.value * factor, dimension })
    }

    fn required(&mut self, symbol: &str) -> Option<Quantity<'a>> {
        if !self.card.parameters.contains_key(symbol) {
            self.problem(&format!("it has no parameter `{symbol}`, which `{}` needs", self.card.model.name), "");
        }
        self.optional(symbol)
    }

    fn dimension(&mut self, symbol: &str, q: Option<Quantity>, wanted: Dimension, like: &str) {
        if let Some(q) = q
            && q.dimension != wanted
        {
            self.problem(&format!("`{symbol}` is in `{}`, which does not fit {like}", q.unit), "");
        }
    }
}

fn combine(a: Dimension, b: Dimension, power: i8) -> Dimension {
    Dimension(std::array::from_fn(|i| a.0[i] + power * b.0[i]))
}

fn unit_text(unit: &str) -> &str {
    if unit == "1" { "(normalised)" } else { unit }
}

#[cfg(test)]
mod tests {
    use super::*;
    use spinloom_card::{Drive, Fit, Model, Parameter, Range, SCHEMA};

    fn parameter(value: f64, unit: &str) -> Parameter {
        Parameter { value, unit: unit.into(), interval: None, origin: "set by the test".into() }
    }

    /// A wall on a track: position 0 to 1, pushed by 1 ns pulses of up to 7e11 A/m².
    fn card(model: &str) -> Card {
        Card {
            schema: SCHEMA.into(),
            name: "a wall".into(),
            kind: Kind::Neuron,
            model: Model { name: model.into(), equation: "as in the crate".into(), reference: "test".into() },
            parameters: BTreeMap::from([
                ("tau_leak".into(), parameter(10.0, "ns")),
                ("v_leak".into(), parameter(2e7, "1/s")),
                ("R_over_tau_int".into(), parameter(5e-4, "m^2/(A s)")),
                ("V_th".into(), parameter(0.9, "1")),
                ("V_reset".into(), parameter(0.1, "1")),
            ]),
            intervals: BTreeMap::new(),
            undetermined: vec![],
            correlation: BTreeMap::new(),
            drive: Some(Drive { quantity: "J".into(), unit: "A/m^2".into(), on: 1e-9, off: 1.5e-9, nominal: 7e11 }),
            validity: BTreeMap::from([("J".into(), Range { min: 0.0, max: 7e11, unit: "A/m^2".into() })]),
            fit: Fit { nrmse: 0.0, nrmse_held_out: 0.0, per_pulse: None, held_out: vec![], note: String::new(), rivals: vec![] },
            events: BTreeMap::new(),
            tables: BTreeMap::new(),
            records: vec![],
        }
    }

    fn with(model: &str, symbol: &str, value: f64, unit: &str) -> Card {
        let mut card = card(model);
        card.parameters.insert(symbol.into(), parameter(value, unit));
        card
    }

    /// The equations of the cards in their own units, in steps of 1/20000 of a pulse: forward Euler, whose error is of that order.
    fn euler(card: &Card, drives: &[f64]) -> Vec<(f64, bool)> {
        let v = |s: &str| card.parameters[s].value;
        let (drive, fine) = (card.drive.as_ref().unwrap(), 20_000);
        let (v_th, v_reset, rate) = (v("V_th"), v("V_reset"), v("R_over_tau_int"));
        let mut position = v_reset;
        drives
            .iter()
            .map(|&j| {
                let mut fires = false;
                let mut highest = 0.0;
                for (time, j) in [(drive.on, j), (drive.off, 0.0)] {
                    let dt = time / f64::from(fine);
                    for _ in 0..fine {
                        let leak =
                            if card.model.name == "constant-leak" { v("v_leak") } else { (position - v_reset) / (v("tau_leak") * 1e-9) };
                        position += dt * (rate * j - leak);
                        if card.model.name == "constant-leak" || !card.parameters.contains_key("V_min") {
                            position = position.max(v_reset);
                        }
                        if let Some(max) = card.parameters.get("V_max") {
                            position = position.min(max.value);
                        }
                    }
                    if highest == 0.0 {
                        highest = position;
                        if position >= v_th {
                            fires = true;
                            position = v_reset;
                        }
                    }
                }
                (highest, fires)
            })
            .collect()
    }

    #[test]
    fn one_step_equals_the_equation_integrated_finely() {
        let drives = [7e11, 2e11, 0.0, 7e11, 7e11, 5e11, 7e11, 7e11, 7e11, 1e11, 7e11, 6e11];
        for card in [
            card("lif-two-times"),
            card("constant-leak"),
            with("lif-two-times", "V_max", 0.95, "1"),
            with("constant-leak", "V_max", 0.95, "1"),
        ] {
            let m = NeuronModel::from_card(&card, None).unwrap().mapping;
            let mut u = 0.0;
            let mut fired = 0;
            for (j, (v, fires)) in drives.iter().zip(euler(&card, &drives)) {
                let (h, spike, next) = m.step(u, j / 7e11);
                // Euler with 20000 steps per pulse: error below on/tau · 1/20000 ~ 5e-6 of the swing per pulse, summed over a few pulses.
                assert!((0.1 + 0.8 * h - v).abs() < 1e-4, "{}: {} against {v}", card.model.name, 0.1 + 0.8 * h);
                assert_eq!(spike, fires);
                fired += u32::from(spike);
                u = next;
            }
            assert!(fired >= 1, "the test should see a spike");
        }
    }

    #[test]
    fn numbers_of_a_step_are_hand_arithmetic_on_the_card() {
        let mut card = with("lif-two-times", "t_reset", 20e-9, "s");
        card.parameters.insert("V_min".into(), parameter(0.06, "1"));
        let m = NeuronModel::from_card(&card, None).unwrap().mapping;
        assert!((m.step.unwrap() - 2.5e-9).abs() < 1e-20);
        // e^-0.1, e^-0.15; 5e-4 · 7e11 · 10e-9 · (1 − e^-0.1)/0.8; (0.06 − 0.1)/0.8; (20 − 1.5)/2.5 = 7.4, rounded up.
        assert!((m.decay_on - 0.904_837_418).abs() < 1e-9 && (m.decay_off - 0.860_707_976).abs() < 1e-9);
        assert!((m.gain - 0.416_336_295).abs() < 1e-8, "{}", m.gain);
        assert!((m.u_min.unwrap() + 0.05).abs() < 1e-12);
        assert_eq!((m.refractory_steps, m.x_min, m.x_max), (8, Some(0.0), Some(1.0)));
        // Another unit of drive scales gain and limits, not the device.
        let half = NeuronModel::from_card(&card, Some(3.5e11)).unwrap().mapping;
        assert!((half.gain - m.gain / 2.0).abs() < 1e-12 && half.x_max == Some(2.0) && half.heat_per_x2 == Some(0.25));
        assert!(m.lines.iter().any(|l| l.contains("R_over_tau_int")) && m.to_string().contains("drive.nominal"));
        // Constant leak: 2e7 · 1e-9/0.8 = 0.025, 2e7 · 1.5e-9/0.8 = 0.0375; gain 5e-4 · 7e11 · 1e-9/0.8 = 0.4375.
        let m = NeuronModel::from_card(&self::card("constant-leak"), None).unwrap().mapping;
        assert!((m.leak_on - 0.025).abs() < 1e-12 && (m.leak_off - 0.0375).abs() < 1e-12 && (m.gain - 0.4375).abs() < 1e-12);
    }

    #[test]
    fn the_paper_constants_are_read_as_stated() {
        let m = NeuronModel::paper_constants().mapping;
        assert!((m.decay_on - (-1.0f64 / 3.0).exp()).abs() < 1e-15 && (m.gain + m.decay_on - 1.0).abs() < 1e-15);
        // A lasting x = 1 only just reaches the threshold: never in finite time; twice that does in 1 + ln 2 / (1/3) = 2.08 → 3 steps.
        assert_eq!((m.spikes(1.0, 30), m.spikes(2.0, 3), m.spikes(2.0, 2)), (0, 1, 0));
        assert!((m.rheobase() - 1.0).abs() < 1e-12);
        // drive_to_fire_in inverts that: x = 1/(1 − e^(−n/3)).
        assert!((m.drive_to_fire_in(2.0) - 1.0 / (1.0 - (-2.0f64 / 3.0).exp())).abs() < 1e-12);
    }

    #[test]
    fn what_a_card_lacks_or_contradicts_is_told() {
        let error = |card: &Card| NeuronModel::from_card(card, None).unwrap_err().to_string();
        let mut c = card("lif-two-time");
        assert!(error(&c).contains("did you mean `lif-two-times`"));
        c = card("lif-two-times");
        c.parameters.remove("V_th");
        c.parameters.remove("tau_leak");
        c.drive = None;
        let e = error(&c);
        assert!(e.contains("`V_th`") && e.contains("`tau_leak`") && e.contains("`drive`") && e.lines().count() == 3, "{e}");
        assert!(error(&with("lif-two-times", "tau_leak", 1.0, "A")).contains("`tau_leak` is in `A`"));
        assert!(error(&with("lif-two-times", "R_over_tau_int", 5e-4, "1/s")).contains("does not fit"));
        assert!(error(&with("lif-two-times", "V_th", 0.05, "1")).contains("is not above V_reset"));
        assert!(error(&with("lif-two-times", "V_max", 0.5, "1")).contains("never fire"));
        assert!(error(&with("lif-two-times", "tau_leak", 1.0, "ns")).contains("never reaches V_th"));
        assert!(error(&with("constant-leak", "v_leak", 4e8, "1/s")).contains("never reaches V_th"));
        assert!(error(&with("constant-leak", "V_min", 0.0, "1")).contains("no law of motion"));
        assert!(error(&Card { kind: Kind::Synapse, ..card("lif-two-times") }).contains("synapse"));
        assert!(error(&Card { validity: BTreeMap::new(), ..card("lif-two-times") }).contains("no validity range"));
    }

    #[test]
    fn cost_is_the_sum_of_priced_events_and_nothing_else() {
        let event = |energy| Event { energy, latency: None, origin: "test".into() };
        let mut c = card("lif-two-times");
        let counts = EventCounts { integrate: 100.0, fire: 4.0, heat: Some(30.0) };
        let none = NeuronModel::from_card(&c, None).unwrap().cost(counts, 20).unwrap();
        assert_eq!((none.energy, none.energy_joule_scaled, none.unpriced.len()), (None, None, 3));
        assert!((none.latency - 50e-9).abs() < 1e-20);
        c.events =
            BTreeMap::from([("integrate".into(), event(Some(2e-15))), ("fire".into(), event(Some(1e-14))), ("reset".into(), event(None))]);
        let some = NeuronModel::from_card(&c, None).unwrap().cost(counts, 20).unwrap();
        // 100 · 2e-15 + 4 · 1e-14; with Joule heat 30 · 2e-15 + 4 · 1e-14.
        assert!((some.energy.unwrap() - 2.4e-13).abs() < 1e-25 && (some.energy_joule_scaled.unwrap() - 1.0e-13).abs() < 1e-25);
        assert_eq!(some.unpriced, ["reset"]);
        assert_eq!(NeuronModel::ideal_lif(0.9, Reset::Hard).cost(counts, 20), None);
    }
}
