//! What a user asks of the extraction, from YAML.
//!
//! ```yaml
//! velocity:
//!   record: runs/velocity          # folder of a run, or run.h5
//!   roi: [-128 nm, 128 nm]         # start and end, from the centre of the box
//!   drive: J                       # column (default J)
//!   field: H_ex                    # coordinate of the replicas (default H_ex)
//!   reset_distance: 10 nm          # default
//!   reset_time: 50 ns              # default
//! neuron:
//!   name: a wall                   # default: neuron
//!   records: [runs/train]          # or csv, below
//!   roi: [-192 nm, 192 nm]
//!   position: wall_x               # column of the position (default); skyrmion_x
//!   drive: J
//!   threshold: 1                   # share of the way (default 1), or a position such as 162 nm; with csv the voltage that fires
//!   volts: {reset: 160 uV, threshold: 214 uV}   # if the membrane is to be a voltage
//!   reset_distance: 10 nm
//!   pulse: {on: 1 ns, off: 1.5 ns, nominal: 7e11 A/m^2}   # default: medians of the fitted traces, and their largest drive
//!   fit: [train*, {J: 7e11 A/m^2}] # labels, groups, beginnings with *, coordinates; default: all not held out
//!   hold_out: [late train]
//!   models: [lif-two-times, constant-leak]      # default: all
//!   start: trace                   # or pulse
//!   unit: pulse                    # trace, cycle or pulse; default: the largest of which there are five
//!   with_reset: false              # fit the return after a fire too
//!   noisy_start: false             # whether the first sample of a run is noisy; default: with csv
//!   min_change: 0.01               # least rise or fall that is an event, of the swing
//!   resamples: 1000
//!   seed: 1
//!   temperature: 0 K               # default: what the record says
//! stack:                           # for energies; without every resistivity there are none
//!   layers: [{name: Pt, thickness: 5 nm, resistivity: {value: 20 uOhm cm, source: assumed}}]
//!   drive_layer: Pt                # where the drive flows; may be left out with one layer
//!   width: 64 nm
//!   length: 384 nm
//! ```
//!
//! `devices` is a list of devices by any of the models of [`crate::models::MODELS`]: see [`crate::device`].
//!
//! Measured traces instead of `records` and `roi`:
//!
//! ```yaml
//!   csv:
//!     - {file: train1.csv, label: train 1, coordinates: {H_ex: 1150 Oe}}
//!   columns: {t: [time, ms], drive: [I, mA], v: [V_AHE, uV]}   # name and unit
//!   reset: -75 uV
//!   threshold: -120 uV
//!   reset_level: 0.05              # share of the swing that counts as back
//! ```

use crate::device::DeviceConfig;
use crate::energy::{Layer, Resistivity, Stack};
use crate::events::EventOptions;
use crate::fit::{FitOptions, Start, Unit};
use crate::models::{MembraneModel, membranes};
use crate::trace::{Coordinate, CsvView, Membrane, RecordView, Trace};
use crate::velocity::VelocityOptions;
use spinloom_base::units::{parse, parse_unit};
use spinloom_base::{Dimension, Fields, Node, Place, Problems, Value};
use std::path::PathBuf;

/// SI units of the dimensions in which coordinates and membranes come.
pub(crate) const SI_UNITS: [(Dimension, &str); 17] = [
    (Dimension::NONE, "1"),
    (Dimension::FIELD, "T"),
    (Dimension::CURRENT_DENSITY, "A/m^2"),
    (Dimension::CURRENT, "A"),
    (Dimension::VOLTAGE, "V"),
    (Dimension::RESISTANCE, "Ohm"),
    (Dimension::LENGTH, "m"),
    (Dimension::TIME, "s"),
    (Dimension::TEMPERATURE, "K"),
    (Dimension::VELOCITY, "m/s"),
    (Dimension::CONDUCTANCE, "S"),
    (Dimension::FREQUENCY, "Hz"),
    (Dimension::ENERGY, "J"),
    (Dimension::MAGNETISATION, "A/m"),
    (Dimension::EXCHANGE, "J/m"),
    (Dimension::SURFACE_ENERGY, "J/m^2"),
    (Dimension::ENERGY_DENSITY, "J/m^3"),
];

/// What to extract.
#[derive(Clone, Debug)]
pub struct ExtractConfig {
    /// The velocity map, if wanted.
    pub velocity: Option<VelocityConfig>,
    /// The neuron, if wanted.
    pub neuron: Option<NeuronConfig>,
    /// The stack, for energies.
    pub stack: Option<Stack>,
    /// Devices by other models.
    pub devices: Vec<DeviceConfig>,
}

/// The velocity map.
#[derive(Clone, Debug)]
pub struct VelocityConfig {
    /// The forward/reset record, relative to the base folder.
    pub record: PathBuf,
    /// What to measure.
    pub options: VelocityOptions,
}

/// Where the traces of a neuron come from.
#[derive(Clone, Debug)]
pub enum TraceSource {
    /// Every replica of some records.
    Records {
        /// Relative to the base folder.
        paths: Vec<PathBuf>,
        /// How the wall becomes a membrane.
        view: RecordView,
        /// How near the start counts as back (m).
        reset_distance: f64,
    },
    /// Measured tables.
    Csv {
        /// The files.
        files: Vec<CsvFile>,
        /// Their columns.
        view: CsvView,
        /// Scale of the membrane.
        membrane: Membrane,
    },
}

/// A measured table.
#[derive(Clone, Debug)]
pub struct CsvFile {
    /// Relative to the base folder.
    pub path: PathBuf,
    /// What its trace is called.
    pub label: String,
    /// Where it stands.
    pub coordinates: Vec<Coordinate>,
}

/// Names traces.
#[derive(Clone, Debug)]
pub struct Selector {
    /// Where it was written.
    pub place: Place,
    /// What it asks for.
    pub wanted: Wanted,
}

/// What a selector asks for.
#[derive(Clone, Debug)]
pub enum Wanted {
    /// A label or a group; with a `*` at its end, a beginning of either.
    Name(String),
    /// These coordinates.
    At(Vec<Coordinate>),
}

impl Selector {
    /// Whether it names a trace.
    pub fn matches(&self, trace: &Trace) -> bool {
        match &self.wanted {
            Wanted::Name(name) => match name.strip_suffix('*') {
                Some(beginning) => trace.label.starts_with(beginning) || trace.group.starts_with(beginning),
                None => trace.label == *name || trace.group == *name,
            },
            // Written with a unit, so equal to rounding.
            Wanted::At(list) => list.iter().all(|c| trace.coordinate(&c.name).is_some_and(|v| (v - c.value).abs() <= 1e-9 * c.value.abs())),
        }
    }
}

/// The neuron.
#[derive(Clone, Debug)]
pub struct NeuronConfig {
    /// What the card is called.
    pub name: String,
    /// Where traces come from.
    pub source: TraceSource,
    /// Name of the drive in the card.
    pub drive: String,
    /// Time on and off of a pulse (s); medians of the fitted traces where absent.
    pub pulse: Option<[f64; 2]>,
    /// Drive of the card's unit of input (SI); the largest of the fitted traces where absent.
    pub nominal: Option<f64>,
    /// Traces of the fit; empty: all that are not held out.
    pub fit: Vec<Selector>,
    /// Traces held out.
    pub hold_out: Vec<Selector>,
    /// Models to fit.
    pub models: Vec<&'static dyn MembraneModel>,
    /// How to fit.
    pub options: FitOptions,
    /// Temperature (K), if stated.
    pub temperature: Option<f64>,
}

impl ExtractConfig {
    /// Takes the section apart; `None` if a problem was found, all of which are in `problems`.
    pub fn parse(node: &Node, problems: &mut Problems) -> Option<ExtractConfig> {
        let mut f = Fields::of(node, "the extraction", problems)?;
        let before = problems.iter().count();
        let velocity = f.optional("velocity").map(|n| velocity(n, problems));
        let neuron = f.optional("neuron").map(|n| neuron(n, problems));
        let stack = f.optional("stack").map(|n| stack(n, problems));
        let devices: Vec<DeviceConfig> = match f.optional("devices").and_then(|n| n.list(problems)) {
            Some(list) => list.iter().filter_map(|n| DeviceConfig::parse(n, problems)).collect(),
            None => Vec::new(),
        };
        if velocity.is_none() && neuron.is_none() && node.get("devices").is_none() {
            problems.push(node.error("the extraction has neither `velocity`, `neuron` nor `devices`, so nothing would be extracted"));
        }
        f.finish(problems);
        (problems.iter().count() == before).then(|| ExtractConfig {
            velocity: velocity.flatten(),
            neuron: neuron.flatten(),
            stack: stack.flatten(),
            devices,
        })
    }

    /// Every file it reads, as written: what a pipeline must have ready.
    pub fn inputs(&self) -> Vec<&PathBuf> {
        let velocity = self.velocity.iter().map(|v| &v.record);
        let neuron = self.neuron.iter().flat_map(|n| match &n.source {
            TraceSource::Records { paths, .. } => paths.iter().collect::<Vec<_>>(),
            TraceSource::Csv { files, .. } => files.iter().map(|f| &f.path).collect(),
        });
        velocity.chain(neuron).chain(self.devices.iter().flat_map(DeviceConfig::inputs)).collect()
    }
}

fn words<'a>(f: &mut Fields<'a>, key: &'a str, default: &str, problems: &mut Problems) -> Option<String> {
    f.optional(key).map_or(Some(default.to_string()), |n| n.text(problems).map(str::to_string))
}

fn positive<'a>(f: &mut Fields<'a>, key: &'a str, wanted: Dimension, default: f64, problems: &mut Problems) -> Option<f64> {
    f.optional(key).map_or(Some(default), |n| n.positive(wanted, problems))
}

fn region(f: &mut Fields, problems: &mut Problems) -> Option<[f64; 2]> {
    let node = f.required("roi", problems)?;
    let roi = node.vector::<2>(Dimension::LENGTH, problems)?;
    if roi[0] == roi[1] {
        problems.push(node.error("the region of interest has no length").hint("give its start and its end, from the centre of the box"));
        return None;
    }
    Some(roi)
}

fn velocity(node: &Node, problems: &mut Problems) -> Option<VelocityConfig> {
    let mut f = Fields::of(node, "`velocity`", problems)?;
    let record = f.required("record", problems).and_then(|n| n.text(problems)).map(PathBuf::from);
    let roi = region(&mut f, problems);
    let drive = words(&mut f, "drive", "J", problems);
    let field = words(&mut f, "field", "H_ex", problems);
    let reset_distance = positive(&mut f, "reset_distance", Dimension::LENGTH, 10e-9, problems);
    let reset_time = positive(&mut f, "reset_time", Dimension::TIME, 50e-9, problems);
    f.finish(problems);
    let options = VelocityOptions { roi: roi?, drive: drive?, field: field?, reset_distance: reset_distance?, reset_time: reset_time? };
    Some(VelocityConfig { record: record?, options })
}

/// A quantity of any dimension with a known SI unit.
pub(crate) fn any_quantity(node: &Node, problems: &mut Problems) -> Option<(f64, &'static str)> {
    let text = match &node.value {
        Value::Number(n) => return Some((*n, "1")),
        Value::Text(text) => text,
        _ => {
            problems.push(node.error("a quantity is wanted here").hint("write it like `7e11 A/m^2`"));
            return None;
        }
    };
    let found = SI_UNITS.iter().find_map(|(dimension, unit)| Some((parse(text, *dimension).ok()?, *unit)));
    if found.is_none() {
        problems.push(node.error(format!("`{text}` is not a quantity")).hint("write it like `7e11 A/m^2`"));
    }
    found
}

fn coordinates(node: &Node, problems: &mut Problems) -> Option<Vec<Coordinate>> {
    let one = |(name, _, node): &(String, Place, Node), problems: &mut Problems| {
        any_quantity(node, problems).map(|(value, unit)| Coordinate { name: name.clone(), value, unit: unit.into() })
    };
    let list: Vec<Option<Coordinate>> = node.entries(problems)?.iter().map(|e| one(e, problems)).collect();
    list.into_iter().collect()
}

fn selectors(node: &Node, problems: &mut Problems) -> Option<Vec<Selector>> {
    let one = |n: &Node, problems: &mut Problems| {
        let wanted = match &n.value {
            Value::Map(_) => Wanted::At(coordinates(n, problems)?),
            Value::Number(x) => Wanted::Name(x.to_string()),
            _ => Wanted::Name(n.text(problems)?.to_string()),
        };
        Some(Selector { place: n.place.clone(), wanted })
    };
    let list: Vec<Option<Selector>> = match &node.value {
        Value::List(list) if list.is_empty() => {
            problems.push(node.error("this list is empty").hint("name at least one trace"));
            return None;
        }
        Value::List(list) => list.iter().map(|n| one(n, problems)).collect(),
        _ => vec![one(node, problems)],
    };
    list.into_iter().collect()
}

fn neuron(node: &Node, problems: &mut Problems) -> Option<NeuronConfig> {
    let mut f = Fields::of(node, "`neuron`", problems)?;
    let name = words(&mut f, "name", "neuron", problems);
    let drive = words(&mut f, "drive", "J", problems);
    let source = match (f.optional("records"), f.optional("csv")) {
        (Some(n), None) => records(n, &mut f, drive.clone().unwrap_or_default(), problems),
        (None, Some(n)) => csv(n, &mut f, problems),
        _ => {
            problems.push(node.error("`neuron` takes either `records` or `csv`"));
            // The rest of the source cannot be judged; its keys must not be called unknown on top.
            for key in ["roi", "position", "threshold", "volts", "reset_distance", "columns", "reset", "reset_level"] {
                f.optional(key);
            }
            None
        }
    };
    let pulse = f.optional("pulse").map(|n| {
        let mut p = Fields::of(n, "`pulse`", problems)?;
        let on = p.required("on", problems).and_then(|n| n.positive(Dimension::TIME, problems));
        let off = p.required("off", problems).and_then(|n| n.positive(Dimension::TIME, problems));
        let nominal = p.optional("nominal").map(|n| any_quantity(n, problems).map(|q| q.0));
        p.finish(problems);
        Some(([on?, off?], nominal.flatten()))
    });
    let fit = f.optional("fit").map_or(Some(Vec::new()), |n| selectors(n, problems));
    let hold_out = f.required("hold_out", problems).and_then(|n| selectors(n, problems));
    let known = membranes();
    let names: Vec<&str> = known.iter().map(|m| m.name()).collect();
    let models = match f.optional("models") {
        None => Some(known.clone()),
        Some(n) => n.list(problems).and_then(|list| {
            if list.is_empty() {
                problems.push(n.error("this list is empty, so nothing would be fitted"));
                return None;
            }
            list.iter().map(|n| n.choice(&names, problems).map(|i| known[i])).collect::<Option<Vec<_>>>()
        }),
    };
    let start = f.optional("start").map_or(Some(0), |n| n.choice(&["trace", "pulse"], problems));
    let unit = f.optional("unit").map(|n| n.choice(&["trace", "cycle", "pulse"], problems));
    let with_reset = f.optional("with_reset").map_or(Some(false), |n| n.bool(problems));
    let measured = node.get("csv").is_some();
    let noisy_start = f.optional("noisy_start").map_or(Some(measured), |n| n.bool(problems));
    let min_change = positive(&mut f, "min_change", Dimension::NONE, EventOptions::default().min_change, problems);
    let resamples = f.optional("resamples").map_or(Some(FitOptions::default().resamples), |n| {
        let count = n.count(problems)?;
        if count < 200 {
            problems.push(n.error(format!("{count} resamples are too few for the ends of a 95 % interval")).hint("take 200 or more"));
            return None;
        }
        Some(count)
    });
    let seed = f.optional("seed").map_or(Some(1), |n| n.count(problems));
    let temperature = f.optional("temperature").map(|n| n.quantity(Dimension::TEMPERATURE, problems));
    f.finish(problems);
    let (source, reset_level) = source?;
    let (pulse, nominal) = match pulse.flatten() {
        Some((pulse, nominal)) => (Some(pulse), nominal),
        None => (None, None),
    };
    let options = FitOptions {
        start: [Start::Trace, Start::Pulse][start?],
        unit: unit.flatten().map(|i| [Unit::Trace, Unit::Cycle, Unit::Pulse][i]),
        with_reset: with_reset?,
        noisy_start: noisy_start?,
        events: EventOptions { reset_level, min_change: min_change? },
        resamples: resamples?,
        seed: seed? as u64,
    };
    Some(NeuronConfig {
        name: name?,
        source,
        drive: drive?,
        pulse,
        nominal,
        fit: fit?,
        hold_out: hold_out?,
        models: models?,
        options,
        temperature: temperature.flatten(),
    })
}

/// The source and the reset level as a share of the swing.
fn records<'a>(node: &'a Node, f: &mut Fields<'a>, drive: String, problems: &mut Problems) -> Option<(TraceSource, f64)> {
    let paths: Option<Vec<PathBuf>> = match &node.value {
        Value::List(list) if list.is_empty() => {
            problems.push(node.error("this list is empty").hint("name at least one record"));
            None
        }
        Value::List(list) => list.iter().map(|n| n.text(problems).map(PathBuf::from)).collect(),
        _ => node.text(problems).map(|t| vec![PathBuf::from(t)]),
    };
    let position = words(f, "position", "wall_x", problems);
    let roi = region(f, problems);
    let threshold = f.optional("threshold").map_or(Some(1.0), |n| {
        let share = match any_quantity(n, problems)? {
            (share, "1") => share,
            (x, "m") => (x - roi?[0]) / (roi?[1] - roi?[0]),
            _ => f64::NAN,
        };
        if share.is_nan() || share <= 0.0 {
            problems.push(
                n.error("this is no threshold between the ends of the region of interest")
                    .hint("write a share of the way, `0.9`, or a position, `162 nm`"),
            );
            return None;
        }
        Some(share)
    });
    let reset_distance = positive(f, "reset_distance", Dimension::LENGTH, 10e-9, problems);
    let volts = f.optional("volts").map(|n| {
        let mut v = Fields::of(n, "`volts`", problems)?;
        let low = v.required("reset", problems).and_then(|n| n.quantity(Dimension::VOLTAGE, problems));
        let high = v.required("threshold", problems).and_then(|n| n.quantity(Dimension::VOLTAGE, problems));
        v.finish(problems);
        let volts = [low?, high?];
        if volts[0] == volts[1] {
            problems.push(n.error("reset and threshold are the same voltage"));
            return None;
        }
        Some(volts)
    });
    let (roi, threshold, reset_distance) = (roi?, threshold?, reset_distance?);
    let reset_level = reset_distance / ((roi[1] - roi[0]).abs() * threshold);
    if reset_level >= 1.0 {
        problems.push(node.error("the reset distance reaches to the threshold, so nothing could fire"));
        return None;
    }
    let view = RecordView { roi, position: position?, drive, threshold, volts: volts.flatten() };
    Some((TraceSource::Records { paths: paths?, view, reset_distance }, reset_level))
}

fn csv<'a>(node: &'a Node, f: &mut Fields<'a>, problems: &mut Problems) -> Option<(TraceSource, f64)> {
    let one = |n: &Node, problems: &mut Problems| {
        let mut c = Fields::of(n, "a measured trace", problems)?;
        let path = c.required("file", problems).and_then(|n| n.text(problems)).map(PathBuf::from);
        let stem = path.as_ref().and_then(|p| p.file_stem()).map(|s| s.to_string_lossy().to_string());
        let label = c.optional("label").map_or(stem, |n| n.text(problems).map(str::to_string));
        let coordinates = c.optional("coordinates").map_or(Some(Vec::new()), |n| coordinates(n, problems));
        c.finish(problems);
        Some(CsvFile { path: path?, label: label?, coordinates: coordinates? })
    };
    let files: Option<Vec<CsvFile>> = node.list(problems).and_then(|list| {
        if list.is_empty() {
            problems.push(node.error("this list is empty").hint("name at least one file"));
            return None;
        }
        let files: Vec<Option<CsvFile>> = list.iter().map(|n| one(n, problems)).collect();
        files.into_iter().collect()
    });
    let view = match f.optional("columns") {
        None => Some(CsvView::default()),
        Some(n) => columns(n, problems),
    };
    // Reset and threshold have the dimension of the measured column.
    let unit = view.as_ref().and_then(|v| parse_unit(&v.v[1]).ok());
    let known = unit.and_then(|u| SI_UNITS.iter().find(|(d, _)| *d == u.dimension));
    if let (Some(view), None) = (&view, known) {
        problems.push(
            node.error(format!("a membrane in `{}` is not known", view.v[1])).hint("it can be in volts, ohms, metres or a pure number"),
        );
    }
    let mut level = |key: &'a str, problems: &mut Problems| f.required(key, problems).and_then(|n| n.quantity(known?.0, problems));
    let (reset, threshold) = (level("reset", problems), level("threshold", problems));
    let reset_level = positive(f, "reset_level", Dimension::NONE, EventOptions::default().reset_level, problems);
    let (reset, threshold, reset_level) = (reset?, threshold?, reset_level?);
    if reset == threshold || reset_level >= 1.0 {
        problems.push(node.error("reset and threshold must differ, and the reset level lie below 1, or nothing could fire"));
        return None;
    }
    let membrane = Membrane { reset, threshold, unit: known?.1.into() };
    Some((TraceSource::Csv { files: files?, view: view?, membrane }, reset_level))
}

fn columns(node: &Node, problems: &mut Problems) -> Option<CsvView> {
    let mut f = Fields::of(node, "`columns`", problems)?;
    let mut pair = |key, problems: &mut Problems| {
        let n = f.required(key, problems)?;
        match n.list(problems)? {
            [name, unit] => {
                let unit_text = match &unit.value {
                    Value::Number(x) => x.to_string(),
                    _ => unit.text(problems)?.to_string(),
                };
                if let Err(part) = parse_unit(&unit_text) {
                    problems.push(unit.error(format!("`{part}` in `{unit_text}` is not a unit")));
                    return None;
                }
                Some([name.text(problems)?.to_string(), unit_text])
            }
            other => {
                problems.push(
                    n.error(format!("a name and a unit are wanted here, not {} values", other.len())).hint("write it like `[time, ms]`"),
                );
                None
            }
        }
    };
    let (t, drive, v) = (pair("t", problems), pair("drive", problems), pair("v", problems));
    f.finish(problems);
    Some(CsvView { t: t?, drive: drive?, v: v? })
}

fn stack(node: &Node, problems: &mut Problems) -> Option<Stack> {
    let mut f = Fields::of(node, "the stack", problems)?;
    let one = |n: &Node, problems: &mut Problems| {
        let mut l = Fields::of(n, "a layer", problems)?;
        let name = l.required("name", problems).and_then(|n| n.text(problems)).map(str::to_string);
        let thickness = l.required("thickness", problems).and_then(|n| n.positive(Dimension::LENGTH, problems));
        let resistivity = l.optional("resistivity").map(|n| {
            let mut r = Fields::of(n, "a resistivity", problems)?;
            let value = r.required("value", problems).and_then(|n| n.positive(Dimension::RESISTIVITY, problems));
            let source = r.required("source", problems).and_then(|n| n.text(problems)).map(str::to_string);
            r.finish(problems);
            Some(Resistivity { value: value?, source: source? })
        });
        l.finish(problems);
        Some(Layer { name: name?, thickness: thickness?, resistivity: resistivity.flatten() })
    };
    let layers: Option<Vec<Layer>> = f.required("layers", problems).and_then(|n| n.list(problems)).and_then(|list| {
        let layers: Vec<Option<Layer>> = list.iter().map(|n| one(n, problems)).collect();
        layers.into_iter().collect()
    });
    let width = f.required("width", problems).and_then(|n| n.positive(Dimension::LENGTH, problems));
    let length = f.required("length", problems).and_then(|n| n.positive(Dimension::LENGTH, problems));
    let named = f.optional("drive_layer");
    f.finish(problems);
    let layers = layers?;
    let names: Vec<&str> = layers.iter().map(|l| l.name.as_str()).collect();
    let driven = match named {
        Some(n) => n.choice(&names, problems),
        None if layers.len() == 1 => Some(0),
        None => {
            problems.push(node.error("the stack needs the key `drive_layer`").hint("name the layer in which the drive flows"));
            None
        }
    };
    Some(Stack { driven: driven?, width: width?, length: length?, layers })
}

#[cfg(test)]
mod tests {
    use super::*;
    use spinloom_base::Document;

    fn read(text: &str) -> Result<ExtractConfig, String> {
        let document = Document::parse("e.yaml", text).unwrap();
        let mut problems = Problems::new();
        let config = ExtractConfig::parse(&document.root, &mut problems);
        config.ok_or(problems.to_string())
    }

    /// The first of the two examples at the head of this file, comments and all.
    fn example() -> String {
        let source = include_str!("config.rs");
        let lines = source.lines().map(|l| l.trim_start_matches("//!").strip_prefix(' ').unwrap_or(""));
        lines.skip_while(|l| *l != "```yaml").skip(1).take_while(|l| *l != "```").map(|l| format!("{l}\n")).collect()
    }

    #[test]
    fn the_example_of_the_documentation_is_understood() {
        let config = read(&example()).unwrap();
        let velocity = config.velocity.unwrap();
        assert_eq!((velocity.options.roi, velocity.options.reset_time), ([-128e-9, 128e-9], 50e-9));
        let neuron = config.neuron.unwrap();
        let TraceSource::Records { view, .. } = &neuron.source else { panic!() };
        assert_eq!((view.volts, neuron.pulse, neuron.nominal), (Some([160e-6, 214e-6]), Some([1e-9, 1.5e-9]), Some(7e11)));
        assert!((neuron.options.events.reset_level - 10.0 / 384.0).abs() < 1e-12);
        assert_eq!((neuron.models.len(), neuron.fit.len(), neuron.temperature), (2, 2, Some(0.0)));
        assert_eq!(config.stack.unwrap().layers[0].resistivity.as_ref().unwrap().value, 2e-7);
    }

    #[test]
    fn a_threshold_is_a_share_or_a_position() {
        let of = |threshold: &str| {
            let text = format!("neuron: {{records: a, roi: [-128 nm, 256 nm], threshold: {threshold}, hold_out: b}}");
            read(&text).map(|c| match c.neuron.unwrap().source {
                TraceSource::Records { view, .. } => view.threshold,
                TraceSource::Csv { .. } => unreachable!("the text asks for records"),
            })
        };
        // (216 + 128)/384.
        assert!((of("216 nm").unwrap() - 344.0 / 384.0).abs() < 1e-12 && of("0.9").unwrap() == 0.9);
        assert!(of("-130 nm").unwrap_err().contains("no threshold") && of("3 ns").unwrap_err().contains("write a share"));
    }

    #[test]
    fn all_problems_are_told_at_once_with_places() {
        let text = "\
velocity: {record: a, roi: [1 nm, 1 nm], reset_tme: 3 ns}
neuron:
  records: [a]
  roi: [0, 1 nm]
  hold_out: []
  models: [lif-two-time]
  resamples: 20
  pulse: {on: 1 nm, off: 1 ns}
stack: {layers: [{name: Pt, thickness: 5 nm, resistivity: {value: 20 uOhm cm}}, {name: Co, thickness: 1 nm}], width: 1 nm, length: 0 nm}
";
        let e = read(text).unwrap_err();
        for wanted in [
            "e.yaml:1:28: the region of interest has no length",
            "has no key `reset_tme`; did you mean `reset_time`?",
            "the reset distance reaches to the threshold",
            "e.yaml:5:13: this list is empty",
            "did you mean `lif-two-times`?",
            "20 resamples are too few",
            "`1 nm` is a length; a time is wanted",
            "a resistivity needs the key `source`",
            "a length greater than zero",
            "the stack needs the key `drive_layer`",
        ] {
            assert!(e.contains(wanted), "{wanted}\n--\n{e}");
        }
        assert_eq!(e.lines().count(), 10, "{e}");
        assert!(read("stack: {}").unwrap_err().contains("nothing would be extracted"));
    }
}
