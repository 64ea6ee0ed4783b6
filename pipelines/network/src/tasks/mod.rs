//! Networks of the source papers as benchmarks: each a small file with its equations and settings, one line in [`TASKS`], and scores that a table can compare.

use crate::graphics::Open;
use crate::settings::Setting;
use serde::{Deserialize, Serialize};
use spinloom_base::diagnostics::{nearest, one_of};
use spinloom_base::{Diagnostic, Document, Node, Problems};
use spinloom_card::Card;
use std::path::{Path, PathBuf};

mod associative;
mod attractor;
mod balanced;
mod binding;
mod bitstreams;
mod classifier;
mod clustering;
mod force;
mod letters;
mod oscillators;
mod recommendation;
mod reservoir;
mod resonators;
mod results;
mod signals;
mod switching;
mod vowels;
mod winner;
mod xnor;

pub use results::{Results, Summary};

/// What a benchmark may use.
pub struct Context<'a> {
    /// Folder with data sets; without it stand-ins are drawn.
    pub data: Option<&'a Path>,
    /// Folder that paths of cards are relative to.
    pub base: &'a Path,
    /// Where checkpoints may be kept.
    pub folder: Option<&'a Path>,
    /// The graphics device to run on; the processor without one.
    pub device: Option<&'a Open<'a>>,
    /// Told how much is done (0 to 1), and of what.
    pub progress: &'a (dyn Fn(f64, &str) + Sync),
}

/// A benchmark, configured.
pub trait Task: Send + Sync {
    /// Runs it once.
    ///
    /// # Errors
    /// Data or cards that are missing or do not fit.
    fn run(&self, seed: u64, context: &Context<'_>) -> Result<Outcome, Problems>;

    /// Cards it reads.
    fn cards(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    /// Whether it runs on graphics devices.
    fn on_graphics(&self) -> bool {
        false
    }

    /// Folders in the user's folder of data that it reads; none where data change nothing.
    fn data(&self) -> &'static [&'static str] {
        &[]
    }
}

/// One number a benchmark found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// What it is.
    pub name: String,
    /// Its value.
    #[serde(with = "number")]
    pub value: f64,
    /// Its unit; `%` for shares.
    pub unit: String,
}

/// Numbers against numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// What it shows.
    pub title: String,
    /// Name of each column.
    pub columns: Vec<String>,
    /// Rows.
    #[serde(with = "rows")]
    pub rows: Vec<Vec<f64>>,
}

/// JSON has no numbers that are not finite: they are written as words (`NaN`, `inf`, `-inf`), and read again.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Number(f64),
    Word(String),
    /// What older files have.
    Null,
}

impl From<f64> for Written {
    fn from(v: f64) -> Self {
        if v.is_finite() { Written::Number(v) } else { Written::Word(v.to_string()) }
    }
}

impl Written {
    fn value<E: serde::de::Error>(self) -> Result<f64, E> {
        match self {
            Written::Number(v) => Ok(v),
            Written::Word(w) => w.parse().map_err(|_| E::custom(format!("`{w}` is no number"))),
            Written::Null => Ok(f64::NAN),
        }
    }
}

mod number {
    use super::{Deserialize, Serialize, Written};

    pub(super) fn serialize<S: serde::Serializer>(v: &f64, s: S) -> Result<S::Ok, S::Error> {
        Written::from(*v).serialize(s)
    }

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(d: D) -> Result<f64, D::Error> {
        Written::deserialize(d)?.value()
    }
}

mod rows {
    use super::{Deserialize, Serialize, Written};

    pub(super) fn serialize<S: serde::Serializer>(rows: &[Vec<f64>], s: S) -> Result<S::Ok, S::Error> {
        let rows: Vec<Vec<Written>> = rows.iter().map(|r| r.iter().map(|v| Written::from(*v)).collect()).collect();
        rows.serialize(s)
    }

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Vec<Vec<f64>>, D::Error> {
        let rows = Vec::<Vec<Written>>::deserialize(d)?;
        rows.into_iter().map(|r| r.into_iter().map(Written::value).collect()).collect()
    }
}

/// Which data were used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DataNote {
    /// Its name, and how it was split.
    pub name: String,
    /// Drawn by this program.
    pub stand_in: bool,
    /// SHA-256.
    pub sha256: String,
    /// Samples for training, validation, test.
    pub split: [usize; 3],
}

/// Which card was used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CardNote {
    /// Its name and model.
    pub name: String,
    /// SHA-256 of the simulated records behind it; empty if it was typed.
    pub records: Vec<String>,
}

impl CardNote {
    /// A card and the records behind it.
    pub(crate) fn of(card: &Card) -> CardNote {
        CardNote { name: format!("{} ({})", card.name, card.model.name), records: card.records.iter().map(|r| r.sha256.clone()).collect() }
    }

    /// Numbers that stand in the settings.
    pub(crate) fn typed(what: impl std::fmt::Display) -> CardNote {
        CardNote { name: what.to_string(), records: Vec::new() }
    }

    /// A card that changes no score: its records do not stand behind them.
    fn unused(self, why: &str) -> CardNote {
        CardNote { name: format!("{}: not used, {why}", self.name), records: Vec::new() }
    }
}

/// What one run found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Scores, the headline first.
    pub scores: Vec<Score>,
    /// Curves.
    pub curves: Vec<Curve>,
    /// Data; none for tasks that make their own signals.
    pub data: Option<DataNote>,
    /// Cards behind the devices.
    pub cards: Vec<CardNote>,
    /// What a reader must know.
    pub notes: Vec<String>,
}

impl Outcome {
    /// Adds a score.
    fn score(&mut self, name: impl Into<String>, value: f64, unit: &str) {
        self.scores.push(Score { name: name.into(), value, unit: unit.into() });
    }

    /// Adds a curve.
    fn curve(&mut self, title: impl Into<String>, columns: &[&str], rows: Vec<Vec<f64>>) {
        self.curves.push(Curve { title: title.into(), columns: columns.iter().map(|c| (*c).into()).collect(), rows });
    }

    /// Adds a remark.
    fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    /// The value of a score.
    pub fn value(&self, name: &str) -> Option<f64> {
        self.scores.iter().find(|s| s.name == name).map(|s| s.value)
    }
}

/// A kind of benchmark.
pub struct Kind {
    /// The word behind `task:`.
    pub name: &'static str,
    /// One line on it.
    pub about: &'static str,
    read: fn(&Node, &mut Problems) -> Option<Box<dyn Task>>,
}

fn reader<T: Setting + Task + 'static>(node: &Node, problems: &mut Problems) -> Option<Box<dyn Task>> {
    T::read(node, problems).map(|t| Box::new(t) as Box<dyn Task>)
}

/// All kinds, in the order in which help lists them.
pub const TASKS: &[Kind] = &[
    Kind {
        name: "attractor",
        about: "continuous attractor with depressing synapses follows moving targets",
        read: reader::<attractor::Attractor>,
    },
    Kind { name: "binding", about: "three coupled oscillators bind events in time", read: reader::<binding::Binding> },
    Kind { name: "vowels", about: "four coupled oscillators recognise vowels by synchronisation", read: reader::<vowels::Vowels> },
    Kind {
        name: "reservoir",
        about: "a device as a reservoir: waveforms, memory, parity, NARMA, chaos, images",
        read: reader::<reservoir::Reservoir>,
    },
    Kind {
        name: "classifier",
        about: "any layers, neurons and synapses on images or events, with the gap between ideal and device",
        read: reader::<classifier::Classifier>,
    },
    Kind { name: "clustering", about: "stochastic junctions cluster flowers without a teacher", read: reader::<clustering::Clustering> },
    Kind { name: "recommendation", about: "restricted Boltzmann machine of random bits", read: reader::<recommendation::Recommendation> },
    Kind { name: "force", about: "recurrent network whose read-out is learned while it runs", read: reader::<force::Force> },
    Kind {
        name: "associative",
        about: "patterns recalled from corrupted cues by binary stochastic synapses",
        read: reader::<associative::Associative>,
    },
    Kind { name: "winner", about: "digits without a teacher: stochastic STDP, inhibition, homeostasis", read: reader::<winner::Winner> },
    Kind { name: "xnor", about: "binary network on columns of junctions in series", read: reader::<xnor::Xnor> },
    Kind {
        name: "resonators",
        about: "digits by chains of resonators whose frequencies are trained",
        read: reader::<resonators::Resonators>,
    },
    Kind { name: "bitstreams", about: "products of stochastic bit streams", read: reader::<bitstreams::Bitstreams> },
    Kind {
        name: "balanced",
        about: "large sparse networks, event by event: Brunel's and the cortical microcircuit",
        read: reader::<balanced::Balanced>,
    },
    Kind { name: "letters", about: "letters on three by three junctions", read: reader::<letters::Letters> },
];

/// A benchmark and how often to run it.
pub struct Benchmark {
    /// Which kind.
    pub kind: &'static Kind,
    /// Its seeds.
    pub seeds: Vec<u64>,
    /// It.
    pub task: Box<dyn Task>,
}

impl Benchmark {
    /// Whether a document is one: it has the key `task`.
    pub fn is(document: &Document) -> bool {
        document.root.get("task").is_some()
    }

    /// Reads `task: NAME`, `seeds: [...]` and `settings: {...}`.
    ///
    /// # Errors
    /// Everything wrong with them.
    pub fn read(document: &Document) -> Result<Benchmark, Problems> {
        let mut problems = Problems::new();
        let read = Self::parse(&document.root, &mut problems);
        problems.into_result(read)
    }

    fn parse(node: &Node, problems: &mut Problems) -> Option<Benchmark> {
        let mut f = spinloom_base::Fields::of(node, "the benchmark", problems)?;
        let task = f.required("task", problems);
        let seeds = f.optional("seeds");
        let settings = f.optional("settings");
        f.finish(problems);
        let seeds: Option<Vec<usize>> = seeds.map_or(Some(vec![1]), |n| Setting::read(n, problems));
        let (task, name) = (task?, task?.text(problems)?);
        let Some(kind) = TASKS.iter().find(|k| k.name == name) else {
            let known = || TASKS.iter().map(|k| k.name);
            let hint = nearest(name, known()).map_or_else(|| format!("it can be {}", one_of(known())), |n| format!("did you mean `{n}`?"));
            problems.push(task.error(format!("there is no task `{name}`")).hint(hint));
            return None;
        };
        let empty = Document::parse("settings", "{}").expect("an empty mapping");
        let task = (kind.read)(settings.unwrap_or(&empty.root), problems)?;
        Some(Benchmark { kind, seeds: seeds?.into_iter().map(|s| s as u64).collect(), task })
    }
}

/// A card and what the table says of it.
fn card(context: &Context<'_>, path: &Path, models: &[&str]) -> Result<(Card, CardNote), Problems> {
    let card = read_card(context.base, path, models)?;
    let note = CardNote::of(&card);
    Ok((card, note))
}

/// A card of one of these models.
pub(crate) fn read_card(base: &Path, path: &Path, models: &[&str]) -> Result<Card, Problems> {
    let path = base.join(path);
    let card = Card::read(&path)?;
    if !models.contains(&card.model.name.as_str()) {
        return Err(Diagnostic::file(path.display().to_string(), format!("the model of this card is `{}`", card.model.name))
            .hint(format!("wanted here: {}", one_of(models.iter().copied())))
            .into());
    }
    Ok(card)
}

/// A superparamagnetic junction at 300 K: P(up) = 1/(1 + e^(−(V − V_50)/s)); it responds in τ/cosh((V − V_50)/2s).
struct RandomBit {
    /// In the card's unit.
    s: f64,
    /// In seconds.
    tau: f64,
}

/// Models of cards that [`RandomBit`] reads.
const RANDOM_BITS: [&str; 2] = ["p-bit", "telegraph-arrhenius"];

impl RandomBit {
    /// From a card `p-bit` or `telegraph-arrhenius`: with dwell times e^(Δ(1 ± x))/f0, x = (V − V_50)/V_c, the chance to be up is the logistic function of 2Δx, and both rates add up to
    /// 2 f0 e^(−Δ) at balance.
    fn of(card: &Card) -> Result<RandomBit, Problems> {
        let (s, tau) = if card.model.name == "p-bit" {
            (card.value("s")?, card.value("tau")?)
        } else {
            let delta = card.value("Delta_300K")?;
            (card.value("V_c")? / (2.0 * delta), delta.exp() / (2.0 * card.value("f0")?))
        };
        Ok(RandomBit { s, tau })
    }
}

/// What drives a device whose curve is logistic, from the middle of the curve and in units of its width.
#[derive(Clone, Copy, Debug)]
struct Driven {
    /// Of a sum of one.
    one: f64,
    /// How far it may go to either side.
    reach: [f64; 2],
}

impl Driven {
    /// Without a card nothing stops it.
    fn freely(one: f64) -> Driven {
        Driven { one, reach: [f64::NEG_INFINITY, f64::INFINITY] }
    }

    /// As far as the records of a card go; `drive`, of a sum of one, stands behind `key` and in the card's unit.
    fn of(card: &Card, drive: Option<f64>, key: &str, width: f64) -> Result<Driven, Problems> {
        let Some(drive) = drive else {
            return Err(wrong(card, "says how a junction answers, not what drives it", &format!("give `{key}`, in the card's unit")));
        };
        if width <= 0.0 {
            return Err(wrong(card, format!("falls with its drive (width {width:e})"), "turn the sign of the drive in its records"));
        }
        let middle = card.value("V_50")?;
        let range = range(card, "V")?;
        let reach = [range.min, range.max].map(|v| (v - middle) / width);
        if !(reach[0] < 0.0 && 0.0 < reach[1]) {
            let covers = format!("covers drives from {:e} to {:e}, and the middle of its curve lies at {middle:e}", range.min, range.max);
            return Err(wrong(card, covers, "records on both sides of the middle are needed"));
        }
        Ok(Driven { one: drive / width, reach })
    }

    fn at(self, x: f64) -> f64 {
        (self.one * x).clamp(self.reach[0], self.reach[1])
    }
}

/// Refuses settings in the unit of a card where nothing reads one.
fn no_card(settings: &[(&str, bool)]) -> Result<(), Problems> {
    match settings.iter().find(|s| s.1) {
        Some((name, _)) => Err(Diagnostic::error(format!("{name}: it drives the device of a card, and there is none"))
            .hint(format!("give `card`, or leave `{name}` out"))
            .into()),
        None => Ok(()),
    }
}

/// What is wrong with a card, and what helps.
pub(crate) fn wrong(card: &Card, message: impl std::fmt::Display, hint: &str) -> Problems {
    Diagnostic::error(format!("the card `{}` {message}", card.name)).hint(hint).into()
}

/// The range of its drive that the records of a card cover.
fn range<'a>(card: &'a Card, drive: &str) -> Result<&'a spinloom_card::Range, Problems> {
    let missing = || wrong(card, format!("states no range of its drive `{drive}`"), "state the range that the records cover");
    card.validity.get(drive).ok_or_else(missing)
}

/// Says where a device is used outside of what its card was fitted to.
fn check_range(out: &mut Outcome, card: &Card, what: &str, [least, most]: [f64; 2]) {
    if let Some(r) = card.validity.get(what).filter(|r| least < r.min || most > r.max) {
        let used = if least == most { format!("{least:e}") } else { format!("{least:e} to {most:e}") };
        out.note(format!("extrapolated: {what} = {used} lies outside the card's {:e} to {:e} {}", r.min, r.max, r.unit));
    }
}

/// Digital reference: energy of a multiply-accumulate and of an accumulate in 32 bits at 45 nm (Horowitz, ISSCC 2014, 10).
const MAC: f64 = 4.6e-12;
const AC: f64 = 0.9e-12;

/// Energy of an event: the card's where it has one of these names with a price, else the typed one; a note says which.
fn priced(out: &mut Outcome, card: Option<&Card>, names: &[&str], typed: f64) -> f64 {
    let found = card.and_then(|c| names.iter().find_map(|n| Some((c, n, c.events.get(*n)?.energy?))));
    match found {
        Some((card, name, energy)) => {
            out.note(format!("energy of a {name}: {energy:e} J, of the card `{}`", card.name));
            energy
        }
        None => {
            out.note(format!("energy of a {}: {typed:e} J, typed: no card has it", names[0]));
            typed
        }
    }
}

/// Percent.
fn percent(right: usize, of: usize) -> f64 {
    100.0 * right as f64 / of.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_exist_survives_its_file() {
        let mut out = Outcome::default();
        out.score("never", f64::INFINITY, "epochs");
        out.curve("map", &["x", "y"], vec![vec![1.0, f64::NAN]]);
        let back: Outcome = serde_json::from_str(&serde_json::to_string(&out).unwrap()).unwrap();
        assert!(back.scores[0].value == f64::INFINITY && back.curves[0].rows[0][1].is_nan() && back.curves[0].rows[0][0] == 1.0);
        assert!(serde_json::from_str::<Score>(r#"{"name": "a", "value": "much", "unit": "1"}"#).is_err());
    }
}
