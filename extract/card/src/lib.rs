//! The model card: a fitted device model that others can run, check and trust.
//!
//! A card is YAML a person can read. It says which equation with which parameters (value, unit, 95 % interval, how the
//! interval was made), what the data could *not* determine, where the model holds, how well it fits data it has not
//! seen and which rivals did worse, how devices and cycles vary, what an event costs, and the hashes of the records behind it.
//! This crate owns the format: [`Card::read`] and [`Card::write`] are its only reader and writer.

pub mod laws;

use serde::{Deserialize, Serialize};
use spinloom_base::{Diagnostic, Problems};
use std::collections::BTreeMap;
use std::path::Path;

/// The version of the format that this program writes.
pub const SCHEMA: &str = "spinloom-card/2";
/// Versions that it reads. 2 adds `intervals` and further kinds; a card of version 1 means the same in it.
pub const READS: [&str; 2] = ["spinloom-card/1", SCHEMA];

/// A fitted device model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    /// One of [`READS`]; of a new card [`SCHEMA`].
    pub schema: String,
    /// What the device is called.
    pub name: String,
    /// The part it plays.
    pub kind: Kind,
    /// The model and its equation.
    pub model: Model,
    /// Its parameters by name, in the units stated there.
    pub parameters: BTreeMap<String, Parameter>,
    /// Where there is more than one: every interval of a parameter, by its name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub intervals: BTreeMap<String, Intervals>,
    /// What the data do not determine, and the experiment that would.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub undetermined: Vec<String>,
    /// Correlation coefficients of pairs of fitted parameters, keyed `a,b`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub correlation: BTreeMap<String, f64>,
    /// How the device is driven: what one time step of a network does to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drive: Option<Drive>,
    /// The box of conditions the records cover; outside it the model is a guess.
    pub validity: BTreeMap<String, Range>,
    /// How well it fits, on data used in the fit and on data not used.
    pub fit: Fit,
    /// Cost of events, absent where the inputs (resistivities, thicknesses) are not known.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub events: BTreeMap<String, Event>,
    /// Tables measured on the way (velocity maps and the like), by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tables: BTreeMap<String, Table>,
    /// The records behind it.
    pub records: Vec<RecordHash>,
}

/// The part a device plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Integrates and fires.
    Neuron,
    /// Holds a weight.
    Synapse,
    /// Answers an input with a curve.
    Activation,
    /// Oscillates, or is driven at its resonance.
    Oscillator,
    /// A magnet whose motion is the model.
    Magnet,
}

/// Which equation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Its name among the models of this program, e.g. `lif-two-times`.
    pub name: String,
    /// The equation as a person writes it.
    pub equation: String,
    /// Where it comes from.
    pub reference: String,
}

/// One parameter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    /// In `unit`.
    pub value: f64,
    /// SI, or `1`.
    pub unit: String,
    /// 95 % interval in the same unit; absent for a parameter that was set, not fitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<[f64; 2]>,
    /// How value and interval were made: `bootstrap over pulses (2000)`, `set by the protocol`, …
    pub origin: String,
}

/// The 95 % intervals of one parameter, each by another way, and its spread from device to device.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Intervals {
    /// From the curvature of the likelihood at its top.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hessian: Option<[f64; 2]>,
    /// Where the likelihood, the other parameters fitted again, has fallen by 1.92; an end may be infinite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<[f64; 2]>,
    /// From fits to data drawn or simulated again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bootstrap: Option<[f64; 2]>,
    /// Spread from device to device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub devices: Option<Spread>,
}

/// A spread.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spread {
    /// Standard deviation.
    pub deviation: f64,
    /// Its 95 % interval.
    pub interval: [f64; 2],
    /// Of what: `value`, `ln value` or `ln odds`.
    pub of: String,
}

/// How one network step drives the device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drive {
    /// What is driven: `J` or `V`.
    pub quantity: String,
    /// Its unit.
    pub unit: String,
    /// Time it is on in each step (s).
    pub on: f64,
    /// Time it is off in each step (s).
    pub off: f64,
    /// The drive that the device was characterised at, the natural unit of input, in `unit`.
    pub nominal: f64,
}

/// A closed interval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// Lower end.
    pub min: f64,
    /// Upper end.
    pub max: f64,
    /// SI, or `1`.
    pub unit: String,
}

/// How well a model fits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fit {
    /// Root-mean-square misfit over (V_th − V_reset) on the data of the fit.
    pub nrmse: f64,
    /// The same on protocols the fit has not seen.
    pub nrmse_held_out: f64,
    /// The same pulse by pulse.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_pulse: Option<PerPulse>,
    /// The protocols held out.
    pub held_out: Vec<String>,
    /// What the misfit is: at 0 K it is the model's, not noise.
    pub note: String,
    /// The other models tried on the same data.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rivals: Vec<Rival>,
}

/// How well a model that starts each pulse from where the membrane is foretells that pulse and the gap after it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PerPulse {
    /// Misfit on the data of the fit, the model fitted so.
    pub nrmse: f64,
    /// The same on the data held out.
    pub nrmse_held_out: f64,
    /// Root mean square of the error at the end of the gap over (V_th − V_reset), with the card's parameters: the step of the random walk that
    /// a train makes around the model.
    pub scatter: f64,
}

/// A model that was tried too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rival {
    /// Its name.
    pub model: String,
    /// Number of fitted parameters.
    pub parameters: usize,
    /// Misfit on the data of the fit.
    pub nrmse: f64,
    /// Misfit on the data held out.
    pub nrmse_held_out: f64,
    /// The same started at every pulse.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nrmse_per_pulse_held_out: Option<f64>,
    /// Log-likelihood of the held-out data per sample (Gaussian residuals with the fit's own variance).
    pub held_out_log_likelihood: f64,
}

/// What one event costs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// Joules; absent where it cannot be known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy: Option<f64>,
    /// Seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<f64>,
    /// How it was obtained, including which inputs are assumed.
    pub origin: String,
}

/// A table of numbers: columns of equal length.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// What it shows.
    pub about: String,
    /// Name and unit of each column.
    pub columns: Vec<(String, String)>,
    /// Values, column by column; not-a-number stands for "does not exist here".
    pub values: Vec<Vec<f64>>,
}

/// A record that the card rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordHash {
    /// Path as given.
    pub path: String,
    /// SHA-256 of the file.
    pub sha256: String,
}

/// Something in which two cards differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What.
    pub what: String,
    /// In the one and in the other.
    pub values: [String; 2],
    /// Of a parameter in both: whether the intervals do not even touch.
    pub apart: Option<bool>,
}

impl Card {
    /// Reads and checks a card.
    ///
    /// # Errors
    /// A missing file, YAML that does not fit (with line and column), another schema version, or values that make no sense.
    pub fn read(path: &Path) -> Result<Card, Problems> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|e| Diagnostic::file(&name, format!("cannot be read: {e}")))?;
        Self::parse(&name, &text)
    }

    /// The same from text; `name` is how messages call it.
    ///
    /// # Errors
    /// As [`Card::read`].
    pub fn parse(name: &str, text: &str) -> Result<Card, Problems> {
        #[derive(Deserialize)]
        struct Version {
            schema: String,
        }
        let at = |e: serde_yaml::Error| {
            let message = e.without_snippet().to_string();
            let mut d = Diagnostic::file(name, format!("this is not a model card: {}", message.lines().next().unwrap_or_default()));
            if let (Some(l), Some(place)) = (e.location(), d.place.as_mut()) {
                (place.line, place.column) = (l.line() as u32, l.column() as u32);
            }
            Problems::from(d)
        };
        // Tables mark what does not exist (a wall that never moved has no velocity) as not-a-number.
        let options = || serde_yaml::options! { non_finite_float_policy: serde_yaml::NonFiniteFloatPolicy::PassThrough };
        let version: Version = serde_yaml::from_str_with_options(text, options()).map_err(at)?;
        if !READS.contains(&version.schema.as_str()) {
            let read = spinloom_base::diagnostics::one_of(READS);
            return Err(Diagnostic::file(name, format!("schema `{}` is not {read}", version.schema))
                .hint("fit the card again with this version, or use the version that wrote it")
                .into());
        }
        let card: Card = serde_yaml::from_str_with_options(text, options()).map_err(at)?;
        let mut problems = Problems::new();
        card.check(name, &mut problems);
        problems.into_result(Some(card))
    }

    fn check(&self, name: &str, problems: &mut Problems) {
        for (symbol, p) in &self.parameters {
            if !p.value.is_finite() {
                problems.push(Diagnostic::file(name, format!("parameter `{symbol}` is {}, not a number", p.value)));
            }
            if let Some([low, high]) = p.interval
                && (low > high || low.is_nan() || high.is_nan())
            {
                problems.push(Diagnostic::file(name, format!("the interval of `{symbol}` runs from {low} to {high}")));
            }
        }
        for (quantity, r) in &self.validity {
            if r.min > r.max || r.min.is_nan() || r.max.is_nan() {
                problems.push(Diagnostic::file(name, format!("the validity range of `{quantity}` runs from {} to {}", r.min, r.max)));
            }
        }
        for (pair, r) in &self.correlation {
            if r.is_nan() || r.abs() > 1.0 + 1e-9 {
                problems.push(Diagnostic::file(name, format!("the correlation of `{pair}` is {r}")));
            }
        }
        for (title, t) in &self.tables {
            if t.columns.len() != t.values.len() || t.values.windows(2).any(|w| w[0].len() != w[1].len()) {
                problems.push(Diagnostic::file(name, format!("the columns of table `{title}` differ in number or length")));
            }
        }
    }

    /// The value of a parameter, or why it cannot be had.
    ///
    /// # Errors
    /// A card without it.
    pub fn value(&self, symbol: &str) -> Result<f64, Problems> {
        self.parameters
            .get(symbol)
            .map(|p| p.value)
            .ok_or_else(|| Diagnostic::error(format!("card `{}` ({}) has no parameter `{symbol}`", self.name, self.model.name)).into())
    }

    /// What differs between this card and another, parameter by parameter; then what else does.
    pub fn diff(&self, other: &Card) -> Vec<Difference> {
        let names: std::collections::BTreeSet<&String> = self.parameters.keys().chain(other.parameters.keys()).collect();
        let mut all = Vec::new();
        for name in names {
            let [a, b] = [self.parameters.get(name), other.parameters.get(name)];
            if a == b {
                continue;
            }
            let apart = match (a, b) {
                (Some(a), Some(b)) if a.unit == b.unit => {
                    // A number that was set has no width.
                    let [[a0, a1], [b0, b1]] = [a, b].map(|p| p.interval.unwrap_or([p.value; 2]));
                    Some(a1 < b0 || b1 < a0)
                }
                _ => None,
            };
            let show = |p: Option<&Parameter>| {
                p.map_or("absent".to_string(), |p| {
                    let interval = p.interval.map_or(String::new(), |[low, high]| format!(" [{low:.4e}, {high:.4e}]"));
                    format!("{:.6e} {}{interval}", p.value, p.unit)
                })
            };
            all.push(Difference { what: name.clone(), values: [show(a), show(b)], apart });
        }
        let mut text = |what: &str, a: &str, b: &str| {
            if a != b {
                all.push(Difference { what: what.into(), values: [a.into(), b.into()], apart: None });
            }
        };
        text("name", &self.name, &other.name);
        text("model", &self.model.name, &other.model.name);
        text("held-out misfit", &format!("{:.4e}", self.fit.nrmse_held_out), &format!("{:.4e}", other.fit.nrmse_held_out));
        text("undetermined", &self.undetermined.join("; "), &other.undetermined.join("; "));
        let records = |c: &Card| {
            c.records.iter().map(|r| format!("{} {}", r.path, r.sha256.get(..12).unwrap_or(&r.sha256))).collect::<Vec<_>>().join("; ")
        };
        text("records", &records(self), &records(other));
        all
    }

    /// Writes the card as a whole or not at all (temporary name, then rename).
    ///
    /// # Errors
    /// What the file system says.
    pub fn write(&self, path: &Path) -> std::io::Result<()> {
        let text = self.to_yaml();
        let part = path.with_extension("part");
        std::fs::write(&part, text)?;
        std::fs::rename(&part, path)
    }

    /// The card as text.
    pub fn to_yaml(&self) -> String {
        serde_yaml::to_string(self).expect("a card holds only text, numbers and lists")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card() -> Card {
        let parameter = |value: f64, unit: &str| Parameter {
            value,
            unit: unit.into(),
            interval: Some([0.9 * value, 1.1 * value]),
            origin: "test".into(),
        };
        Card {
            schema: SCHEMA.into(),
            name: "a wall".into(),
            kind: Kind::Neuron,
            model: Model {
                name: "lif-two-times".into(),
                equation: "dV/dt = -(V - V_reset)/tau_leak + (R/tau_int) J".into(),
                reference: "test".into(),
            },
            parameters: BTreeMap::from([("tau_leak".into(), parameter(3.1e-9, "s")), ("V_th".into(), parameter(1.0, "1"))]),
            intervals: BTreeMap::from([("tau_leak".into(), Intervals { bootstrap: Some([3e-9, 3.2e-9]), ..Intervals::default() })]),
            undetermined: vec!["R and tau_int apart".into()],
            correlation: BTreeMap::from([("a,b".into(), -0.5)]),
            drive: Some(Drive { quantity: "J".into(), unit: "A/m^2".into(), on: 1e-9, off: 1.5e-9, nominal: 7e11 }),
            validity: BTreeMap::from([("J".into(), Range { min: 0.0, max: 7e11, unit: "A/m^2".into() })]),
            fit: Fit {
                nrmse: 0.02,
                nrmse_held_out: 0.03,
                per_pulse: Some(PerPulse { nrmse: 0.01, nrmse_held_out: 0.012, scatter: 0.03 }),
                held_out: vec!["train 3".into()],
                note: "0 K: misfit of the model".into(),
                rivals: vec![],
            },
            events: BTreeMap::new(),
            tables: BTreeMap::from([(
                "v_f".into(),
                Table { about: "map".into(), columns: vec![("H".into(), "T".into())], values: vec![vec![0.1, f64::NAN]] },
            )]),
            records: vec![RecordHash { path: "run.h5".into(), sha256: "00".into() }],
        }
    }

    #[test]
    fn a_card_survives_its_own_file() {
        let text = card().to_yaml();
        let back = Card::parse("card.yaml", &text).unwrap();
        assert!(back.tables["v_f"].values[0][1].is_nan());
        assert_eq!(back.to_yaml(), text);
        assert_eq!(back.value("tau_leak").unwrap(), 3.1e-9);
    }

    #[test]
    fn a_card_of_the_version_before_is_read() {
        let mut old = card();
        old.intervals.clear();
        let text = old.to_yaml().replace(SCHEMA, READS[0]);
        assert_eq!(Card::parse("card.yaml", &text).unwrap().parameters, card().parameters);
    }

    #[test]
    fn cards_differ_in_what_their_intervals_part() {
        let (a, mut b) = (card(), card());
        assert!(a.diff(&b).is_empty());
        // 3.1 ns, 2.79 to 3.41, against 4 ns, 3.5 to 4.5; and a threshold within its interval.
        b.parameters
            .insert("tau_leak".into(), Parameter { value: 4e-9, interval: Some([3.5e-9, 4.5e-9]), ..a.parameters["tau_leak"].clone() });
        b.parameters.insert("V_th".into(), Parameter { value: 1.05, ..a.parameters["V_th"].clone() });
        let found: Vec<(String, Option<bool>)> = a.diff(&b).into_iter().map(|d| (d.what, d.apart)).collect();
        assert_eq!(found, [("V_th".to_string(), Some(false)), ("tau_leak".to_string(), Some(true))]);
    }

    #[test]
    fn another_schema_and_a_wrong_key_are_refused_with_a_place() {
        let text = card().to_yaml();
        let e = Card::parse("card.yaml", &text.replace(SCHEMA, "spinloom-card/99")).unwrap_err().to_string();
        assert!(e.contains("spinloom-card/99") && e.contains("fit the card again"), "{e}");
        let e = Card::parse("card.yaml", &text.replace("nrmse_held_out", "nrmse_out")).unwrap_err().to_string();
        assert!(e.contains("nrmse_out") && e.starts_with("card.yaml:"), "{e}");
    }
}
