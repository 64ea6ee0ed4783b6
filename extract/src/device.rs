//! A device by any of the models: its observations from records or tables, the fits, the choice between them, card and figures.
//!
//! ```yaml
//! devices:
//!   - name: free layer
//!     csv: [{file: switching.csv, device: 1}]      # or records, below
//!     columns: {V: [V_pulse, mV], t: [width, ns], k: switched, n: tries}   # column of the model: heading and unit in the file
//!     known: {T: 300 K}                            # the same in all rows
//!     models: [switching-linear, switching-quadratic]
//!     resamples: 500                               # default
//!     seed: 1                                      # default
//! ```
//!
//! Records of simulations, or traces of measurements, are observed by a protocol:
//!
//! ```yaml
//!     records: [runs/ensemble]
//!     columns: {V: V_mtj, T: Temp}                 # columns of the table, coordinates of the replicas or what is observed, where they are called otherwise
//!     observe: {protocol: switched, signal: mz, level: 0}
//!     where: {alpha: 0.5, T: [300 K, 350 K]}       # only replicas at these coordinates; default: all
//! ```
//!
//! | protocol | observes |
//! |---|---|
//! | `rows` | every row as it is (the default with csv) |
//! | `samples` | every row, each replica or file a `run` (the default with records) |
//! | `last` | the last row of each replica or file |
//! | `switched` | of replicas with equal coordinates, `k` of `n` that end on the other side of `level` |
//! | `first-passage` | time `t` at which the signal passes `level`, or has moved by `change`, `censored` where it does not; `clock` names the column that counts the time, for ageing between rows |
//! | `dwell` | stays in two states: `state`, `dwell`, `censored` |
//! | `ring-down` | frequency `f` and rate `rate` of the amplitude of each replica |
//! | `oscillation` | of each replica that oscillates steadily, `what` = 0, 1, 2 with `y` = frequency, squared amplitude, rate with which it settled |
//! | `lines` | frequency `f`, `power` and `half_width` of every line in the spectrum of each replica, the strongest `line` 0 |
//! | `pulses` | how many `pulses` a replica got until the signal passed `level`, `censored` if it never did; a pulse is where `rest` is not zero |
//! | `pair` | of two pulses, `dt` from the end of the first to the start of the second, with the sign of the second, and `dw`, what the signal has changed by from the end of the rest before to the end of the rest after |
//! | `train` | of every pulse of a train (`rest` is not zero), `dt` from the end of the pulse before it, and what the signal changes by while it lasts; each replica or file a `run` |
//! | `mean` | mean of the signal over the rows, evenly spaced, after the time `from` (default: all rows but the first) |
//! | `levels` | reads `G` of the signal where it stays, or at the end of every stretch in which the column `rest` is zero, and their `level`; levels are `level` apart or more |

use crate::data::Data;
use crate::estimate::{Estimate, Fitted, Options, fit};
use crate::features;
use crate::models::{MODELS, Model, Scatter, span};
use crate::run::{Line, Plot};
use crate::velocity::mean_and_deviation;
use spinloom_base::units::parse_unit;
use spinloom_base::{Diagnostic, Fields, Node, Place, Problems, Value};
use spinloom_card::{Card, Fit, Intervals, Parameter, Range, RecordHash, Rival, SCHEMA, Spread};
use spinloom_record::Record;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Models within this of the best in Akaike's criterion are as good (K. P. Burnham and D. R. Anderson, Model Selection and Multimodel Inference (2002), section 2.6).
const AS_GOOD: f64 = 2.0;
/// Lines of a figure, at most; more are no longer told apart.
const MOST_LINES: usize = 8;

/// How a signal becomes observations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Rows,
    Samples,
    Last,
    Switched,
    FirstPassage,
    Dwell,
    RingDown,
    Oscillation,
    Lines,
    Levels,
    Pulses,
    Pair,
    Train,
    Mean,
}

const PROTOCOLS: [(&str, Protocol); 14] = [
    ("rows", Protocol::Rows),
    ("samples", Protocol::Samples),
    ("last", Protocol::Last),
    ("switched", Protocol::Switched),
    ("first-passage", Protocol::FirstPassage),
    ("dwell", Protocol::Dwell),
    ("ring-down", Protocol::RingDown),
    ("oscillation", Protocol::Oscillation),
    ("lines", Protocol::Lines),
    ("levels", Protocol::Levels),
    ("pulses", Protocol::Pulses),
    ("pair", Protocol::Pair),
    ("train", Protocol::Train),
    ("mean", Protocol::Mean),
];

/// A constant of some rows: name, SI unit, value.
type Known = Vec<(String, String, f64)>;

/// What is wanted of a device.
#[derive(Clone, Debug)]
pub struct DeviceConfig {
    place: Place,
    name: String,
    records: Vec<PathBuf>,
    /// Tables, and what is constant in each.
    csv: Vec<(PathBuf, Known)>,
    /// Column of the model, name in the source, unit there.
    columns: Vec<(String, String, String)>,
    known: Known,
    /// Coordinates of the replicas that count, and the values of each that do.
    only: Vec<(String, Vec<f64>)>,
    protocol: Protocol,
    signal: Option<String>,
    level: Option<f64>,
    rest: Option<String>,
    clock: String,
    change: Option<f64>,
    from: Option<f64>,
    every: usize,
    models: Vec<usize>,
    options: Options,
}

impl DeviceConfig {
    /// Files it reads.
    pub fn inputs(&self) -> impl Iterator<Item = &PathBuf> {
        self.records.iter().chain(self.csv.iter().map(|c| &c.0))
    }

    /// Takes the section apart.
    pub(crate) fn parse(node: &Node, problems: &mut Problems) -> Option<Self> {
        let mut f = Fields::of(node, "a device", problems)?;
        let name = f.required("name", problems).and_then(|n| n.text(problems)).map(str::to_string);
        let (records, csv) = (f.optional("records"), f.optional("csv"));
        if records.is_some() == csv.is_some() {
            problems.push(node.error("a device takes either `records` or `csv`"));
        }
        let records = records.map_or(Some(Vec::new()), |n| {
            n.list(problems)?.iter().map(|n| n.text(problems).map(PathBuf::from)).collect::<Option<Vec<_>>>()
        });
        let csv = csv.map_or(Some(Vec::new()), |n| n.list(problems)?.iter().map(|n| table(n, problems)).collect::<Option<Vec<_>>>());
        let columns = f.optional("columns").map_or(Some(Vec::new()), |n| {
            n.entries(problems)?.iter().map(|(name, _, n)| heading(name, n, problems)).collect::<Option<Vec<_>>>()
        });
        let constants = f.optional("known").map_or(Some(Vec::new()), |n| known(n, problems));
        let mut observe = (if csv.as_ref().is_some_and(|c| !c.is_empty()) { Protocol::Rows } else { Protocol::Samples }, None, None, 1);
        let only = f.optional("where").map_or(Some(Vec::new()), |n| {
            let values = |n: &Node, problems: &mut Problems| match &n.value {
                Value::List(list) => list.iter().map(|n| crate::config::any_quantity(n, problems).map(|q| q.0)).collect(),
                _ => crate::config::any_quantity(n, problems).map(|q| vec![q.0]),
            };
            n.entries(problems)?.iter().map(|(name, _, n)| values(n, problems).map(|v| (name.clone(), v))).collect::<Option<Vec<_>>>()
        });
        let (mut rest, mut clock, mut change, mut from) = (None, None, None, None);
        if let Some(n) = f.optional("observe") {
            let mut o = Fields::of(n, "`observe`", problems)?;
            let names = PROTOCOLS.map(|p| p.0);
            if let Some(i) = o.required("protocol", problems).and_then(|n| n.choice(&names, problems)) {
                observe.0 = PROTOCOLS[i].1;
            }
            observe.1 = o.optional("signal").and_then(|n| n.text(problems)).map(str::to_string);
            observe.2 = o.optional("level").and_then(|n| crate::config::any_quantity(n, problems)).map(|q| q.0);
            observe.3 = o.optional("every").map_or(1, |n| n.count(problems).unwrap_or(1)).max(1);
            if observe.1.is_none() && !matches!(observe.0, Protocol::Rows | Protocol::Samples | Protocol::Last) {
                problems.push(n.error("this protocol watches a signal").hint("name its column: `signal: mz`"));
            }
            rest = o.optional("rest").and_then(|n| n.text(problems)).map(str::to_string);
            if observe.0 == Protocol::Levels && observe.2.is_none_or(|d| d <= 0.0) {
                problems.push(n.error("levels are told apart by their distance").hint("give the least that counts: `level: 20 uS`"));
            }
            clock = o.optional("clock").and_then(|n| n.text(problems)).map(str::to_string);
            change = o.optional("change").and_then(|n| crate::config::any_quantity(n, problems)).map(|q| q.0.abs());
            from = o.optional("from").and_then(|n| n.quantity(spinloom_base::Dimension::TIME, problems));
            if change.is_some() && observe.2.is_some() {
                problems.push(n.error("the signal either passes a `level` or moves by a `change`"));
            }
            if matches!(observe.0, Protocol::Pulses | Protocol::Pair | Protocol::Train) && rest.is_none() {
                problems.push(n.error("pulses are told from rests by a column").hint("name the one that is zero at rest: `rest: J`"));
            }
            o.finish(problems);
        }
        let names: Vec<&str> = MODELS.iter().map(|m| m.about().name).collect();
        let models = f.required("models", problems).and_then(|n| {
            let list = n.list(problems)?;
            if list.is_empty() {
                problems.push(n.error("this list is empty, so nothing would be fitted"));
            }
            list.iter().map(|n| n.choice(&names, problems)).collect::<Option<Vec<_>>>()
        });
        let defaults = Options::default();
        let resamples = f.optional("resamples").map_or(Some(defaults.resamples), |n| n.count(problems));
        let seed = f.optional("seed").map_or(Some(1), |n| n.count(problems));
        f.finish(problems);
        let models = models?;
        let observed: Vec<&str> = models.iter().map(|m| observed(MODELS[*m])).collect();
        if let Some(k) = (1..observed.len()).find(|&k| observed[k] != observed[0]) {
            let words = format!("`{}` observes `{}`, `{}` observes `{}`", names[models[0]], observed[0], names[models[k]], observed[k]);
            problems.push(node.error(words).hint("only models of the same observation are rivals; give each its own device"));
            return None;
        }
        Some(Self {
            place: node.place.clone(),
            name: name?,
            records: records?,
            csv: csv?,
            columns: columns?,
            known: constants?,
            only: only?,
            protocol: observe.0,
            signal: observe.1,
            level: observe.2,
            rest,
            clock: clock.unwrap_or_else(|| "t".into()),
            change,
            from,
            every: observe.3,
            models,
            options: Options { resamples: resamples?, seed: seed? as u64, ..defaults },
        })
    }
}

/// The column whose scatter a model describes.
fn observed(model: &dyn Model) -> &'static str {
    let about = model.about();
    match about.scatter {
        Scatter::Normal(y) | Scatter::LogNormal(y) | Scatter::Known(y, _) | Scatter::Exponential(y, _) | Scatter::Poisson(y) => y,
        Scatter::Binomial(k, _) => k,
        Scatter::Own => about.axes[1],
    }
}

fn known(node: &Node, problems: &mut Problems) -> Option<Known> {
    let one = |(name, _, n): &(String, Place, Node), problems: &mut Problems| {
        let (value, unit) = crate::config::any_quantity(n, problems)?;
        Some((name.clone(), unit.to_string(), value))
    };
    node.entries(problems)?.iter().map(|e| one(e, problems)).collect()
}

fn table(node: &Node, problems: &mut Problems) -> Option<(PathBuf, Known)> {
    let mut f = Fields::of(node, "a measured table", problems)?;
    let file = f.required("file", problems).and_then(|n| n.text(problems)).map(PathBuf::from);
    let mut constants = Vec::new();
    for key in ["device", "run"] {
        if let Some(x) = f.optional(key).and_then(|n| n.count(problems)) {
            constants.push((key.to_string(), "1".to_string(), x as f64));
        }
    }
    constants.extend(f.optional("known").and_then(|n| known(n, problems)).unwrap_or_default());
    f.finish(problems);
    Some((file?, constants))
}

/// `heading` or `[heading, unit]`; a heading alone is of a pure number in a table, and has the record's unit in a record.
fn heading(name: &str, node: &Node, problems: &mut Problems) -> Option<(String, String, String)> {
    let (heading, unit) = match &node.value {
        Value::List(_) => match node.list(problems)? {
            [heading, unit] => (heading.text(problems)?.to_string(), unit),
            _ => {
                problems.push(node.error("a heading and a unit are wanted here").hint("write it like `[width, ns]`"));
                return None;
            }
        },
        _ => return Some((name.to_string(), node.text(problems)?.to_string(), "1".to_string())),
    };
    let text = match &unit.value {
        Value::Number(x) => x.to_string(),
        _ => unit.text(problems)?.to_string(),
    };
    if let Err(part) = parse_unit(&text) {
        problems.push(unit.error(format!("`{part}` in `{text}` is not a unit")));
        return None;
    }
    Some((name.to_string(), heading, text))
}

/// Columns over time of one replica or file, in SI, and what is constant in it.
struct Series {
    columns: Data,
    constants: Known,
}

/// The replicas of a record.
fn series(record: &Record, wanted: &DeviceConfig) -> Result<Vec<Series>, Problems> {
    let header = record.header();
    let si = |unit: &str| parse_unit(unit).map_or((1.0, "1".to_string()), |u| (u.factor, crate::data::symbol(u.dimension)));
    let renamed = |name: &str| wanted.columns.iter().find(|c| c.1 == name).map_or(name, |c| c.0.as_str()).to_string();
    let mut all = Vec::new();
    for (i, replica) in header.replicas.iter().enumerate() {
        let at = |(name, values): &(String, Vec<f64>)| {
            let found = replica.coordinates.iter().find(|r| r.name == *name).map(|r| si(&r.unit).0 * r.value);
            // Written with a unit, so equal to rounding.
            found.is_some_and(|x| values.iter().any(|v| (x - v).abs() <= 1e-9 * v.abs()))
        };
        if !wanted.only.iter().all(at) {
            continue;
        }
        let table = record.table(i)?;
        let n = table.columns.len();
        let columns: Vec<(String, String, Vec<f64>)> = (table.columns.iter().enumerate())
            .map(|(c, column)| {
                let (factor, unit) = si(&column.unit);
                (renamed(&column.name), unit, (0..table.rows()).map(|r| factor * table.values[r * n + c]).collect())
            })
            .collect();
        let of = |name: &str, unit: &str, value: f64| {
            let (factor, unit) = si(unit);
            (renamed(name), unit, factor * value)
        };
        let mut constants: Known = replica.coordinates.iter().map(|c| of(&c.name, &c.unit, c.value)).collect();
        let stated = header.parameters.iter().filter_map(|p| Some(of(&p.name, &p.unit, p.value.parse().ok()?)));
        for p in stated.filter(|p| wanted.columns.iter().any(|c| c.0 == p.0)) {
            if constants.iter().all(|c| c.0 != p.0) {
                constants.push(p);
            }
        }
        all.push(Series { columns: Data::new(columns.iter().map(|(n, u, v)| (n.as_str(), u.as_str(), v.clone()))), constants });
    }
    Ok(all)
}

/// Observations of all series by the protocol.
fn observe(all: &[Series], wanted: &DeviceConfig) -> Result<Data, Problems> {
    let missing = |name: &str, s: &Series| {
        let names = s.columns.names().chain(s.constants.iter().map(|c| c.0.as_str()));
        let hint = spinloom_base::diagnostics::nearest(name, names)
            .map_or("see `spinloom record`".to_string(), |n| format!("did you mean `{n}`?"));
        Problems::from(Diagnostic::error(format!("`{}` has no column `{name}`", wanted.name)).at(wanted.place.clone()).hint(hint))
    };
    let mut out = Data::default();
    // Of switched: coordinates, k and n.
    let mut counts: Vec<(Known, f64, f64)> = Vec::new();
    for (run, s) in all.iter().enumerate() {
        let watched = |name: &str| s.columns.get(name).ok_or_else(|| missing(name, s));
        let signal = match &wanted.signal {
            Some(name) => watched(name)?,
            None => &[],
        };
        let mut constants = s.constants.clone();
        let mut rows = match wanted.protocol {
            Protocol::Rows | Protocol::Samples => {
                let thin = s.columns.filter(|i| i % wanted.every == 0);
                if wanted.protocol == Protocol::Samples && constants.iter().all(|c| c.0 != "run") {
                    constants.push(("run".into(), "1".into(), run as f64));
                }
                thin
            }
            Protocol::Last => s.columns.filter(|i| i + 1 == s.columns.rows()),
            Protocol::Switched => {
                let (Some(first), Some(last)) = (signal.first(), signal.last()) else { continue };
                let level = wanted.level.unwrap_or(0.0);
                let switched = f64::from(u8::from((first > &level) != (last > &level)));
                if constants.iter().all(|c| c.0 != "t") {
                    let t = watched("t")?;
                    // Replicas of one protocol end within a step of each other.
                    let whole = t[t.len() - 1] - t[0];
                    constants.push(("t".into(), "s".into(), format!("{whole:.3e}").parse().unwrap_or(whole)));
                }
                constants.retain(|c| c.0 != "copy" && c.0 != "seed");
                match counts.iter_mut().find(|c| c.0 == constants) {
                    Some(c) => (c.1, c.2) = (c.1 + switched, c.2 + 1.0),
                    None => counts.push((constants, switched, 1.0)),
                }
                continue;
            }
            Protocol::FirstPassage => {
                let t = watched(&wanted.clock)?;
                let at = match wanted.change {
                    Some(change) => features::first_departure(t, signal, change),
                    None => features::first_passage(t, signal, wanted.level.unwrap_or(0.0)),
                };
                let time = at.unwrap_or(t[t.len() - 1]) - t[0];
                Data::new([("t", "s", vec![time]), ("censored", "1", vec![f64::from(u8::from(at.is_none()))])])
            }
            Protocol::Dwell => {
                let Some(states) = features::two_states(signal) else { continue };
                let found = features::dwells(watched("t")?, signal, &states);
                let column = |f: &dyn Fn(&features::Dwell) -> f64| found.iter().map(f).collect::<Vec<f64>>();
                Data::new([
                    ("state", "1", column(&|d| d.state)),
                    ("dwell", "s", column(&|d| d.time)),
                    ("censored", "1", column(&|d| f64::from(u8::from(d.censored)))),
                ])
            }
            Protocol::RingDown => match features::ring_down(watched("t")?, signal) {
                Some([f, rate]) => Data::new([("f", "Hz", vec![f]), ("rate", "Hz", vec![rate])]),
                None => continue,
            },
            Protocol::Oscillation => match features::oscillation(watched("t")?, signal) {
                Some((f, power, rate)) => {
                    let t = watched("t")?;
                    let y: Vec<f64> = [f, power].into_iter().chain(rate).collect();
                    // What the method is good for: a twentieth of a bin of half the record, and the few percent that its own tests allow.
                    let error = [0.1 / (t[t.len() - 1] - t[0]), 0.02 * power, 0.05 * rate.unwrap_or(0.0)];
                    let what = (0..y.len()).map(|k| k as f64).collect();
                    Data::new([("what", "1", what), ("error", "1", error[..y.len()].to_vec()), ("y", "1", y)])
                }
                None => continue,
            },
            Protocol::Lines => {
                let found = features::spectral_lines(watched("t")?, signal);
                Data::new([
                    ("line", "1", (0..found.len()).map(|k| k as f64).collect()),
                    ("f", "Hz", found.iter().map(|l| l.frequency).collect()),
                    ("power", "1", found.iter().map(|l| l.power).collect()),
                    ("half_width", "Hz", found.iter().map(|l| l.half_width).collect()),
                ])
            }
            Protocol::Pulses => {
                let drive = watched(wanted.rest.as_deref().unwrap_or_default())?;
                let level = wanted.level.unwrap_or(0.0);
                let above = signal.first().is_some_and(|s| *s > level);
                let fired = signal.iter().position(|s| (*s > level) != above);
                let seen = &drive[..fired.map_or(drive.len(), |k| k + 1)];
                // The first row belongs to the phase that begins there.
                let begun = (0..seen.len()).filter(|&i| seen[i] != 0.0 && (i == 0 || seen[i - 1] == 0.0)).count();
                Data::new([("pulses", "1", vec![begun as f64]), ("censored", "1", vec![f64::from(u8::from(fired.is_none()))])])
            }
            Protocol::Pair => {
                let Some([dt, dw]) = features::pair(watched("t")?, signal, watched(wanted.rest.as_deref().unwrap_or_default())?) else {
                    continue;
                };
                Data::new([("dt", "s", vec![dt]), ("dw", s.columns.unit(wanted.signal.as_deref().unwrap_or_default()), vec![dw])])
            }
            Protocol::Train => {
                let found = features::train(watched("t")?, signal, watched(wanted.rest.as_deref().unwrap_or_default())?);
                if constants.iter().all(|c| c.0 != "run") {
                    constants.push(("run".into(), "1".into(), run as f64));
                }
                let name = wanted.signal.as_deref().unwrap_or_default();
                let [dt, change] = [0, 1].map(|k| found.iter().map(|f| f[k]).collect());
                Data::new([("dt", "s", dt), (name, s.columns.unit(name), change)])
            }
            Protocol::Mean => {
                let t = watched("t")?;
                // A row stands for the interval that ends there: that at `from`, to rounding, is before.
                let (Some(first), Some(last)) = (t.first(), t.last()) else { continue };
                let after = wanted.from.unwrap_or(*first) + 1e-6 * (last - first);
                let [mean, _] = mean_and_deviation(t.iter().zip(signal).filter(|r| *r.0 > after).map(|r| *r.1));
                if mean.is_nan() {
                    continue;
                }
                let name = wanted.signal.as_deref().unwrap_or_default();
                Data::new([(name, s.columns.unit(name), vec![mean])])
            }
            Protocol::Levels => {
                let reads = match &wanted.rest {
                    Some(drive) => features::reads_at_rest(signal, watched(drive)?),
                    None => features::plateaus(signal, wanted.level.unwrap_or(0.0)),
                };
                let unit = s.columns.unit(wanted.signal.as_deref().unwrap_or_default());
                // Which level a read is of is known when all replicas have been read.
                Data::new([("level", "1", vec![0.0; reads.len()]), ("G", unit, reads)])
            }
        };
        for (name, unit, value) in &constants {
            rows.set(name, unit, vec![*value; rows.rows()]);
        }
        out.append(&rows);
    }
    if let Some((first, _, _)) = counts.first() {
        let columns = (0..first.len())
            .map(|c| (first[c].0.as_str(), first[c].1.as_str(), counts.iter().map(|k| k.0.get(c).map_or(f64::NAN, |k| k.2)).collect()));
        out = Data::new(columns.collect::<Vec<_>>());
        out.set("k", "1", counts.iter().map(|c| c.1).collect());
        out.set("n", "1", counts.iter().map(|c| c.2).collect());
    }
    if wanted.protocol == Protocol::Levels {
        let level = features::levels(out.col("G"), wanted.level.unwrap_or(0.0));
        out.set("level", "1", level);
    }
    for (name, unit, value) in &wanted.known {
        out.set(name, unit, vec![*value; out.rows()]);
    }
    // What the protocol observes may have another name in the model, as columns of the table may.
    for (name, observed, _) in &wanted.columns {
        if out.get(name).is_none()
            && let Some(values) = out.get(observed).map(<[f64]>::to_vec)
        {
            let unit = out.unit(observed).to_string();
            out.set(name, &unit, values);
        }
    }
    if out.rows() == 0 {
        return Err(Diagnostic::error(format!("`{}`: nothing was observed", wanted.name))
            .at(wanted.place.clone())
            .hint("look at the signal: is it in the record, and does it do what the protocol watches for?")
            .into());
    }
    Ok(out)
}

/// Observations of a device and the hashes of their files.
fn read(wanted: &DeviceConfig, base: &Path) -> Result<(Data, Vec<RecordHash>), Problems> {
    let (mut all, mut hashes, mut problems) = (Vec::new(), Vec::new(), Problems::new());
    for path in &wanted.records {
        let opened = Record::open(&base.join(path)).and_then(|r| Ok((series(&r, wanted)?, r.hash()?)));
        if let Some((list, sha256)) = problems.take(opened) {
            all.extend(list);
            hashes.push(RecordHash { path: path.display().to_string(), sha256 });
        }
    }
    for (path, constants) in &wanted.csv {
        let full = base.join(path);
        let columns = problems.take(Data::read_csv(&full, &wanted.columns));
        let hash = spinloom_base::hash::of_file(&full)
            .map_err(|e| Diagnostic::file(full.display().to_string(), format!("cannot be read: {e}")).into());
        // A file that cannot be read has been told once.
        if let Some(columns) = columns
            && let Some(sha256) = problems.take(hash)
        {
            all.push(Series { columns, constants: constants.clone() });
            hashes.push(RecordHash { path: path.display().to_string(), sha256 });
        }
    }
    problems.into_result(Some(()))?;
    Ok((observe(&all, wanted)?, hashes))
}

/// The data with what a model may leave out filled in, checked for dimensions.
///
/// # Errors
/// Columns of another dimension.
pub fn complete(model: &dyn Model, data: &Data) -> Result<Data, Problems> {
    let mut data = data.clone();
    let mut problems = Problems::new();
    for c in model.about().columns {
        if let (None, Some(value)) = (data.get(c.name), c.default) {
            data.set(c.name, &crate::data::symbol(c.dimension.unwrap_or(spinloom_base::Dimension::NONE)), vec![value; data.rows()]);
        }
        if let (Some(_), Some(wanted)) = (data.get(c.name), c.dimension)
            && data.dimension(c.name) != wanted
        {
            let d = Diagnostic::error(format!(
                "`{}` is {}, in `{}`; model `{}` wants {wanted}",
                c.name,
                c.about,
                data.unit(c.name),
                model.about().name
            ));
            problems.push(d.hint("give the column its unit: `[heading, unit]`"));
        }
    }
    problems.into_result(Some(data))
}

/// Fits all models of a device; a card each, the chosen one first, and figures.
pub(crate) fn extract(wanted: &DeviceConfig, base: &Path) -> Result<(Vec<Card>, Vec<Plot>), Problems> {
    let (data, hashes) = read(wanted, base)?;
    let mut problems = Problems::new();
    let mut fits: Vec<(&dyn Model, Data, Fitted)> = Vec::new();
    for &m in &wanted.models {
        let fitted = complete(MODELS[m], &data).and_then(|d| fit(MODELS[m], &d, &wanted.options).map(|f| (MODELS[m], d, f)));
        fits.extend(problems.take(fitted));
    }
    problems.into_result(Some(()))?;
    let choice = rank(&mut fits);
    let cards = (0..fits.len()).map(|k| card(&wanted.name, &fits, k, &choice, &hashes)).collect();
    let plots = fits.iter().map(|(m, d, f)| figure(&wanted.name, *m, d, f)).collect();
    Ok((cards, plots))
}

/// Of fits to the same data, the one with the lowest AICc, unless one with fewer parameters is as good.
///
/// # Panics
/// Of no fits.
pub fn preferred(fits: &[&Fitted]) -> usize {
    let best = (0..fits.len()).min_by(|a, b| fits[*a].aicc.total_cmp(&fits[*b].aicc)).expect("at least one fit");
    let as_good = |k: &usize| fits[*k].aicc - fits[best].aicc < AS_GOOD && fits[*k].parameters.len() < fits[best].parameters.len();
    (0..fits.len()).filter(as_good).min_by_key(|&k| fits[k].parameters.len()).unwrap_or(best)
}

/// Puts the chosen model first; says how it was chosen.
fn rank(fits: &mut [(&dyn Model, Data, Fitted)]) -> String {
    fits.sort_by(|a, b| a.2.aicc.total_cmp(&b.2.aicc));
    let [first, rest @ ..] = &*fits else { return String::new() };
    let Some(next) = rest.first() else { return "the only model tried".into() };
    let best = first.2.aicc;
    let simpler = Some(preferred(&fits.iter().map(|f| &f.2).collect::<Vec<_>>())).filter(|k| *k > 0);
    match simpler {
        Some(k) => {
            let words = format!(
                "`{}` has fewer parameters than `{}` and its AICc is only {:.2} higher",
                fits[k].2.model,
                first.2.model,
                fits[k].2.aicc - best
            );
            fits[..=k].rotate_right(1);
            words
        }
        None => format!("`{}` has the lowest AICc, {:.2} below `{}`", first.2.model, next.2.aicc - best, next.2.model),
    }
}

fn card(name: &str, fits: &[(&dyn Model, Data, Fitted)], index: usize, choice: &str, hashes: &[RecordHash]) -> Card {
    let (model, data, fitted) = &fits[index];
    let about = model.about();
    let mut parameters = BTreeMap::new();
    let mut intervals = BTreeMap::new();
    let mut undetermined = Vec::new();
    for (k, e) in fitted.parameters.iter().chain(&fitted.derived).enumerate() {
        let both = Intervals {
            hessian: e.hessian,
            profile: e.profile,
            bootstrap: e.bootstrap,
            devices: spread(e, about.coefficients.get(k).map(|c| c.scale)),
        };
        if let Some(why) = &e.undetermined {
            // It is no number, so none is written where someone might use it.
            undetermined.push(why.clone());
            continue;
        }
        if both != Intervals::default() {
            intervals.insert(e.name.clone(), both);
        }
        let origin = match (k < fitted.parameters.len(), fitted.devices) {
            (true, 0) => format!("fit; interval: {}", if e.profile.is_some() { "profile likelihood" } else { "observed information" }),
            (true, n) => format!("mean of {n} devices, fitted each by itself; interval of Hartung and Knapp"),
            (false, _) if e.name == "sigma" => "standard deviation of the residuals: from cycle to cycle, where cycles repeat".to_string(),
            (false, _) => "follows from the parameters of the pooled fit".to_string(),
        };
        parameters.insert(e.name.clone(), Parameter { value: e.value, unit: e.unit.clone(), interval: e.interval(), origin });
    }
    undetermined.extend(about.open.iter().map(|o| (*o).to_string()));
    let mut validity = BTreeMap::new();
    for c in about.columns.iter().filter(|c| c.name != observed(*model) && !["k", "n", "run", "device", "censored"].contains(&c.name)) {
        let [min, max] = span(data.col(c.name));
        validity.insert(c.name.to_string(), Range { min, max, unit: data.unit(c.name).to_string() });
    }
    let held = fitted.misfit_held_out.unwrap_or(f64::NAN);
    let mut note = vec![format!("{choice}.")];
    note.push(match about.scatter {
        Scatter::Normal(y) => format!("nrmse is over the range of `{y}`."),
        Scatter::Binomial(..) => "nrmse is in probability.".into(),
        Scatter::Own => "The model has its own likelihood, and nrmse is not given.".into(),
        _ => "nrmse is in units of what the scatter allows: 1 where the model holds.".into(),
    });
    note.push(format!("Log-likelihood {:.3}, AICc {:.3}.", fitted.log_likelihood, fitted.aicc));
    if let Some(l) = fitted.held_out_log_likelihood {
        note.push(format!("Held out in five parts: {l:.4} per row."));
    }
    if let Some(p) = fitted.adequacy {
        note.push(format!(
            "A worse deviance would come by chance with probability {p:.3}{}.",
            if p < 0.01 { ": the model is wrong, or the counts are not independent" } else { "" }
        ));
    }
    if fitted.resamples[0] > 0 {
        note.push(format!("Bootstrap: {}, {} made, {} failed.", fitted.resampled, fitted.resamples[0], fitted.resamples[1]));
    }
    let rival = |f: &Fitted| Rival {
        model: f.model.clone(),
        parameters: f.parameters.len(),
        nrmse: f.misfit,
        nrmse_held_out: f.misfit_held_out.unwrap_or(f64::NAN),
        nrmse_per_pulse_held_out: None,
        held_out_log_likelihood: f.held_out_log_likelihood.unwrap_or(f64::NAN),
    };
    Card {
        schema: SCHEMA.into(),
        name: name.into(),
        kind: about.kind,
        model: spinloom_card::Model { name: about.name.into(), equation: about.equation.into(), reference: about.reference.into() },
        parameters,
        intervals,
        undetermined,
        correlation: fitted.correlation.iter().map(|(a, b, r)| (format!("{a},{b}"), r.clamp(-1.0, 1.0))).collect(),
        drive: None,
        validity,
        fit: Fit {
            nrmse: fitted.misfit,
            nrmse_held_out: held,
            per_pulse: None,
            held_out: vec!["a fifth of the observations in turn".into()],
            note: note.join(" "),
            rivals: fits.iter().enumerate().filter(|(k, _)| *k != index).map(|(_, f)| rival(&f.2)).collect(),
        },
        events: BTreeMap::new(),
        tables: model.tables(&fitted.values(), data).into_iter().collect(),
        records: hashes.to_vec(),
    }
}

fn spread(e: &Estimate, scale: Option<crate::models::Scale>) -> Option<Spread> {
    use crate::models::Scale;
    let (deviation, interval) = e.device_spread?;
    let of = match scale {
        Some(Scale::Positive) => "ln value",
        Some(Scale::Share) => "ln odds",
        _ => "value",
    };
    Some(Spread { deviation, interval, of: of.into() })
}

/// Observations as points and the model as lines.
fn figure(name: &str, model: &dyn Model, data: &Data, fitted: &Fitted) -> Plot {
    let about = model.about();
    let [x, y, by] = about.axes;
    let observed: Vec<f64> = match about.scatter {
        Scatter::Binomial(k, n) => data.col(k).iter().zip(data.col(n)).map(|(k, n)| k / n).collect(),
        _ => data.col(y).to_vec(),
    };
    let mut mean = vec![0.0; data.rows()];
    model.predict(&fitted.values(), data, &mut mean);
    // One line for each setting of everything else that varies; of traces, one for each run.
    let others: Vec<&str> = match by {
        "run" => vec!["run"],
        _ => {
            let input = |n: &str| n != x && n != y && !["k", "n", "censored", "error"].contains(&n);
            about.columns.iter().map(|c| c.name).filter(|n| input(n) && data.distinct(n).len() > 1).collect()
        }
    };
    let of = |i: usize| others.iter().map(|n| data.get(n).map_or(0.0, |c| c[i])).collect::<Vec<f64>>();
    let mut parts: Vec<(Vec<f64>, Vec<usize>)> = Vec::new();
    for i in 0..data.rows() {
        let setting = of(i);
        match parts.iter_mut().find(|p| p.0 == setting) {
            Some(p) => p.1.push(i),
            None => parts.push((setting, vec![i])),
        }
    }
    let all = parts.len();
    // A few that are spread over the settings show more than the first ones.
    let most = MOST_LINES / 2;
    let shown: Vec<_> = if all <= most { parts } else { (0..most).map(|k| parts[k * (all - 1) / (most - 1)].clone()).collect() };
    let mut lines = Vec::new();
    for (setting, mut rows) in shown {
        rows.sort_by(|a, b| data.col(x)[*a].total_cmp(&data.col(x)[*b]));
        let label = others.iter().zip(&setting).map(|(n, v)| format!("{n} = {v:.3e}")).collect::<Vec<_>>().join(", ");
        let of = |values: &[f64]| rows.iter().map(|&i| values[i]).collect::<Vec<f64>>();
        lines.push(Line { label: format!("observed {label}"), measured: true, x: of(data.col(x)), y: of(&observed) });
        lines.push(Line { label: format!("{} {label}", about.name), measured: false, x: of(data.col(x)), y: of(&mean) });
    }
    let more = if all > most { format!(" ({most} of {all} settings)") } else { String::new() };
    Plot {
        name: format!("{name} {}", about.name),
        title: format!("{name}: {}{more}", about.equation),
        x: (x.into(), data.unit(x).into()),
        y: (y.into(), data.unit(y).into()),
        lines,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(observe: &str) -> DeviceConfig {
        let text = format!("{{name: a, records: [x], observe: {observe}, models: [levels]}}");
        let document = spinloom_base::Document::parse("d.yaml", &text).unwrap();
        let mut problems = Problems::new();
        let config = DeviceConfig::parse(&document.root, &mut problems);
        problems.into_result(config).unwrap_or_else(|p| panic!("{p}"))
    }

    #[test]
    fn pulses_are_counted_and_levels_are_read_at_rest() {
        // Three pulses of two rows with rests of six; m passes zero during the third, G rises by 10 uS with each and by 50 while it is driven.
        let drive: Vec<f64> = (0..24).map(|i| if i % 8 < 2 { 1e11 } else { 0.0 }).collect();
        let m: Vec<f64> = (0..24).map(|i| if i < 17 { -1.0 } else { 1.0 }).collect();
        let g: Vec<f64> = (0..24).map(|i| 1e-5 * f64::from(i / 8) + if i % 8 < 2 { 5e-5 } else { 0.0 }).collect();
        let t: Vec<f64> = (0..24).map(|i| f64::from(i) * 1e-9).collect();
        let columns = Data::new([("t", "s", t), ("J", "A/m^2", drive), ("m", "1", m), ("g", "S", g)]);
        let all = [Series { columns, constants: vec![("gap".into(), "s".into(), 6e-9)] }];

        let counted = observe(&all, &wanted("{protocol: pulses, signal: m, rest: J}")).unwrap();
        assert_eq!((counted.col("pulses"), counted.col("censored"), counted.col("gap")), (&[3.0][..], &[0.0][..], &[6e-9][..]));
        let never = observe(&all, &wanted("{protocol: pulses, signal: m, rest: J, level: 2}")).unwrap();
        assert_eq!((never.col("pulses"), never.col("censored")), (&[3.0][..], &[1.0][..]));

        let levels = observe(&all, &wanted("{protocol: levels, signal: g, rest: J, level: 5 uS}")).unwrap();
        assert_eq!(levels.col("level"), [0.0, 1.0, 2.0]);
        assert!(levels.col("G").iter().zip([0.0, 1e-5, 2e-5]).all(|(a, b)| (a - b).abs() < 1e-12));

        // The first pulse begins with the first row, so nothing is known from before it.
        let train = observe(&all, &wanted("{protocol: train, signal: g, rest: J}")).unwrap();
        assert_eq!((train.rows(), train.col("run")), (2, &[0.0, 0.0][..]));
        assert!(train.col("dt").iter().all(|dt| (dt - 6e-9).abs() < 1e-20), "{:?}", train.col("dt"));
        assert!(train.col("g").iter().all(|g| (g - 6e-5).abs() < 1e-12), "{:?}", train.col("g"));
        let mean = observe(&all, &wanted("{protocol: mean, signal: m, from: 15 ns}")).unwrap();
        assert_eq!((mean.col("m").len(), mean.col("gap")), (1, &[6e-9][..]));
        assert!((mean.col("m")[0] - 6.0 / 8.0).abs() < 1e-12, "{:?}", mean.col("m"));

        let wrong =
            spinloom_base::Document::parse("d.yaml", "{name: a, records: [x], observe: {protocol: levels, signal: g}, models: [levels]}");
        let mut problems = Problems::new();
        DeviceConfig::parse(&wrong.unwrap().root, &mut problems);
        assert!(problems.to_string().contains("levels are told apart by their distance"), "{problems}");
    }
}
