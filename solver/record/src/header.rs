//! What a run is: everything known before its first step, except the state.

use crate::SCHEMA;
use crate::h5::{self, is_name};
use hdf5::{File, Result};
use spinloom_base::{Diagnostic, Problems, hash};
use std::collections::HashSet;
use std::ops::Range;
use std::time::{SystemTime, UNIX_EPOCH};

/// Precision of the fields: on the device and in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// 32-bit floats.
    Single,
    /// 64-bit floats.
    Double,
}

impl Precision {
    /// `single` or `double`, as in the file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Double => "double",
        }
    }
}

/// The script or description the run was made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// File name as the user gave it.
    pub file: String,
    /// The whole text, byte for byte.
    pub text: String,
}

impl Source {
    /// SHA-256 of the text, as stored beside it.
    pub fn sha256(&self) -> String {
        hash::of_bytes(self.text.as_bytes())
    }
}

/// A parameter of the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its symbol, e.g. `Aex`.
    pub name: String,
    /// Its value as text: a number, or a description (`per region`, a waveform).
    pub value: String,
    /// Its unit; empty for a pure number.
    pub unit: String,
}

/// A choice that affects rounding: instruction set, padded sizes, kernel text, stepper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// What was chosen.
    pub key: String,
    /// What it was.
    pub value: String,
}

/// The grid of cells. Order x, y, z.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Mesh {
    /// Numbers of cells.
    pub n: [usize; 3],
    /// Size of a cell, m.
    pub cell: [f64; 3],
    /// Lower corner of the box, m.
    pub origin: [f64; 3],
    /// In a stack of unequal layers, or with gaps: lower face (in the frame of `origin`) and thickness of each, m; `cell[2]` is then
    /// their mean thickness. Empty in a regular mesh.
    #[serde(default)]
    pub layers: Vec<[f64; 2]>,
}

impl Mesh {
    /// A regular one.
    pub fn regular(n: [usize; 3], cell: [f64; 3], origin: [f64; 3]) -> Self {
        Self { n, cell, origin, layers: Vec::new() }
    }

    /// The regular meshes that this one is made of, from the bottom up: runs of equal layers that touch, as ranges of layers.
    pub fn parts(&self) -> Vec<(Range<usize>, Mesh)> {
        let [nx, ny, nz] = self.n;
        if self.layers.is_empty() {
            return vec![(0..nz, self.clone())];
        }
        // A millionth of a layer is rounding.
        let goes_on = |[a, b]: [[f64; 2]; 2]| (b[1] - a[1]).abs() < 1e-6 * a[1] && (b[0] - a[0] - a[1]).abs() < 1e-6 * a[1];
        let mut ends: Vec<usize> = (1..nz).filter(|z| !goes_on([self.layers[z - 1], self.layers[*z]])).collect();
        ends.push(nz);
        let mut start = 0;
        let part = |end: usize| {
            let range = std::mem::replace(&mut start, end)..end;
            let [bottom, thickness] = self.layers[range.start];
            let ([dx, dy, _], [x, y, _]) = (self.cell, self.origin);
            let mesh = Self::regular([nx, ny, range.len()], [dx, dy, thickness], [x, y, bottom]);
            (range, mesh)
        };
        ends.into_iter().map(part).collect()
    }

    /// Number of cells.
    pub fn cells(&self) -> usize {
        self.n.iter().product()
    }
}

/// A column of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name, e.g. `mx`.
    pub name: String,
    /// Its unit; empty for a pure number.
    pub unit: String,
}

/// Where a replica stands on an axis of the ensemble: `H_ex` = 0.1 T.
#[derive(Clone, Debug, PartialEq)]
pub struct Coordinate {
    /// The axis.
    pub name: String,
    /// The value.
    pub value: f64,
    /// Its unit; empty for a pure number.
    pub unit: String,
}

/// One member of the ensemble; its index is its position in [`Header::replicas`].
#[derive(Clone, Debug, PartialEq)]
pub struct Replica {
    /// What it is called.
    pub label: String,
    /// Where it stands.
    pub coordinates: Vec<Coordinate>,
}

/// What may differ between equal runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Volatile {
    /// Wall clock at the start, s since 1970-01-01 00:00 UTC.
    pub started: f64,
    /// Name of the machine.
    pub host: String,
}

impl Volatile {
    /// Now, on this machine.
    pub fn here() -> Self {
        let host =
            std::fs::read_to_string("/proc/sys/kernel/hostname").or_else(|_| std::env::var("HOSTNAME").map_err(std::io::Error::other));
        Self { started: wall_clock(), host: host.map(|h| h.trim().replace('\0', "")).unwrap_or_else(|_| "unknown".into()) }
    }
}

/// s since 1970-01-01 00:00 UTC.
pub(crate) fn wall_clock() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64())
}

/// What a run is.
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    /// The program that made it.
    pub program: String,
    /// Its version.
    pub version: String,
    /// What it was made from.
    pub source: Source,
    /// The device, as it describes itself.
    pub device: String,
    /// Precision of the fields.
    pub precision: Precision,
    /// Seed of all random numbers.
    pub seed: u64,
    /// Every parameter.
    pub parameters: Vec<Parameter>,
    /// Every choice that affects rounding.
    pub choices: Vec<Choice>,
    /// The grid.
    pub mesh: Mesh,
    /// Columns of the table, at least one.
    pub columns: Vec<Column>,
    /// Members of the ensemble, at least one.
    pub replicas: Vec<Replica>,
    /// Wall clock and host.
    pub volatile: Volatile,
}

impl Header {
    /// Everything that keeps this header from being written, at once.
    pub(crate) fn check(&self) -> std::result::Result<(), Problems> {
        let mut problems = Problems::new();
        if self.columns.is_empty() {
            problems.push(Diagnostic::error("the record has no columns").hint("a table needs at least the time"));
        }
        let mut seen = HashSet::new();
        for Column { name, .. } in &self.columns {
            if !is_name(name) {
                problems.push(Diagnostic::error(format!("`{name}` cannot name a column")).hint("use a name without `/`"));
            } else if name == "count" {
                problems.push(Diagnostic::error("a column cannot be called `count`").hint("`/table/count` holds the numbers of rows"));
            } else if !seen.insert(name) {
                problems.push(Diagnostic::error(format!("two columns are called `{name}`")).hint("rename one of them"));
            }
        }
        if self.replicas.is_empty() {
            problems.push(Diagnostic::error("the record has no replicas").hint("a single run is one replica"));
        }
        if u32::try_from(self.replicas.len()).is_err() {
            problems.push(Diagnostic::error(format!("{} replicas are too many", self.replicas.len())).hint("split the ensemble"));
        }
        if self.mesh.n.contains(&0) || self.mesh.n.iter().try_fold(1usize, |a, &n| a.checked_mul(n)).is_none() {
            problems.push(
                Diagnostic::error(format!("a mesh of {:?} cells cannot be stored", self.mesh.n)).hint("every axis needs at least one cell"),
            );
        }
        let texts = [&self.program, &self.version, &self.source.file, &self.source.text, &self.device, &self.volatile.host];
        let lists = (self.parameters.iter().flat_map(|p| [&p.name, &p.value, &p.unit]))
            .chain(self.choices.iter().flat_map(|c| [&c.key, &c.value]))
            .chain(self.columns.iter().flat_map(|c| [&c.name, &c.unit]))
            .chain(self.replicas.iter().map(|r| &r.label))
            .chain(self.replicas.iter().flat_map(|r| r.coordinates.iter().flat_map(|c| [&c.name, &c.unit])));
        for text in texts.into_iter().chain(lists).filter(|t| t.contains('\0')) {
            problems.push(
                Diagnostic::error(format!("the text {:?} holds a zero byte", text.chars().take(40).collect::<String>())).hint("remove it"),
            );
        }
        problems.into_result(Some(()))
    }

    pub(crate) fn write(&self, file: &File, finished: bool) -> Result<()> {
        h5::write_text(file, "schema", SCHEMA)?;
        h5::write_scalar(file, "finished", finished)?;
        h5::write_text(file, "program", &self.program)?;
        h5::write_text(file, "program_version", &self.version)?;
        h5::write_text(file, "device", &self.device)?;
        h5::write_text(file, "precision", self.precision.name())?;
        h5::write_scalar(file, "seed", self.seed)?;

        let source = file.create_group("source")?;
        h5::write_text(&source, "file", &self.source.file)?;
        h5::write_text(&source, "sha256", &self.source.sha256())?;
        // A scalar dataset: `f['source/text'][()]`.
        h5::write_scalar_text(&source, "text", &self.source.text)?;

        let mesh = file.create_group("mesh")?;
        h5::write_three(&mesh, "n", self.mesh.n.map(|n| n as u64))?;
        h5::write_three(&mesh, "cell", self.mesh.cell)?;
        h5::write_three(&mesh, "origin", self.mesh.origin)?;
        if !self.mesh.layers.is_empty() {
            h5::write_vec(&mesh, "layers", self.mesh.layers.as_flattened())?;
        }

        let parameters = file.create_group("parameters")?;
        h5::write_texts(&parameters, "name", self.parameters.iter().map(|p| p.name.as_str()))?;
        h5::write_texts(&parameters, "value", self.parameters.iter().map(|p| p.value.as_str()))?;
        h5::write_texts(&parameters, "unit", self.parameters.iter().map(|p| p.unit.as_str()))?;

        let choices = file.create_group("choices")?;
        h5::write_texts(&choices, "key", self.choices.iter().map(|c| c.key.as_str()))?;
        h5::write_texts(&choices, "value", self.choices.iter().map(|c| c.value.as_str()))?;

        let columns = file.create_group("columns")?;
        h5::write_texts(&columns, "name", self.columns.iter().map(|c| c.name.as_str()))?;
        h5::write_texts(&columns, "unit", self.columns.iter().map(|c| c.unit.as_str()))?;

        let replicas = file.create_group("replicas")?;
        h5::write_texts(&replicas, "label", self.replicas.iter().map(|r| r.label.as_str()))?;
        let long: Vec<(u64, &Coordinate)> =
            self.replicas.iter().enumerate().flat_map(|(i, r)| r.coordinates.iter().map(move |c| (i as u64, c))).collect();
        let coordinates = replicas.create_group("coordinates")?;
        h5::write_vec(&coordinates, "replica", &long.iter().map(|(i, _)| *i).collect::<Vec<u64>>())?;
        h5::write_texts(&coordinates, "name", long.iter().map(|(_, c)| c.name.as_str()))?;
        h5::write_vec(&coordinates, "value", &long.iter().map(|(_, c)| c.value).collect::<Vec<f64>>())?;
        h5::write_texts(&coordinates, "unit", long.iter().map(|(_, c)| c.unit.as_str()))?;

        let volatile = file.create_group("volatile")?;
        h5::write_scalar(&volatile, "started", self.volatile.started)?;
        h5::write_text(&volatile, "host", &self.volatile.host)
    }

    pub(crate) fn read(file: &File) -> Result<Self> {
        let source = file.group("source")?;
        let text = h5::read_texts(&source, "text")?.pop().ok_or("`/source/text` is empty")?;
        let source = (Source { file: h5::read_text(&source, "file")?, text }, h5::read_text(&source, "sha256")?);
        if source.0.sha256() != source.1 {
            return Err("the source text does not have the SHA-256 stored beside it: the file is damaged or was edited".into());
        }
        let mesh = file.group("mesh")?;
        let [nx, ny, nz] = h5::read_three::<u64>(&mesh, "n")?;
        let n = [nx, ny, nz].map(|n| usize::try_from(n).unwrap_or(0));
        if n.contains(&0) || n.iter().try_fold(1usize, |a, &n| a.checked_mul(n)).is_none() {
            return Err(format!("a mesh of {n:?} cells").into());
        }
        let layers = if mesh.link_exists("layers") { h5::read_vec::<f64>(&mesh, "layers")? } else { Vec::new() };
        if !layers.is_empty() && layers.len() != 2 * n[2] {
            return Err(format!("{} faces and thicknesses for {} layers", layers.len(), n[2]).into());
        }
        let layers = layers.chunks_exact(2).map(|l| [l[0], l[1]]).collect();
        let mesh = Mesh { n, cell: h5::read_three(&mesh, "cell")?, origin: h5::read_three(&mesh, "origin")?, layers };

        let group = file.group("parameters")?;
        let lists = [h5::read_texts(&group, "name")?, h5::read_texts(&group, "value")?, h5::read_texts(&group, "unit")?];
        h5::same_length("parameters", &lists.each_ref().map(Vec::len))?;
        let [names, values, units] = lists;
        let parameters = names.into_iter().zip(values).zip(units).map(|((name, value), unit)| Parameter { name, value, unit }).collect();

        let group = file.group("choices")?;
        let lists = [h5::read_texts(&group, "key")?, h5::read_texts(&group, "value")?];
        h5::same_length("choices", &lists.each_ref().map(Vec::len))?;
        let [keys, values] = lists;
        let choices = keys.into_iter().zip(values).map(|(key, value)| Choice { key, value }).collect();

        let group = file.group("columns")?;
        let lists = [h5::read_texts(&group, "name")?, h5::read_texts(&group, "unit")?];
        h5::same_length("columns", &lists.each_ref().map(Vec::len))?;
        let [names, units] = lists;
        let columns = names.into_iter().zip(units).map(|(name, unit)| Column { name, unit }).collect();

        let group = file.group("replicas")?;
        let labels = h5::read_texts(&group, "label")?;
        let mut replicas: Vec<Replica> = labels.into_iter().map(|label| Replica { label, coordinates: Vec::new() }).collect();
        let group = group.group("coordinates")?;
        let indices = h5::read_vec::<u64>(&group, "replica")?;
        let values = h5::read_vec::<f64>(&group, "value")?;
        let (names, units) = (h5::read_texts(&group, "name")?, h5::read_texts(&group, "unit")?);
        h5::same_length("replicas/coordinates", &[indices.len(), values.len(), names.len(), units.len()])?;
        for (((index, value), name), unit) in indices.into_iter().zip(values).zip(names).zip(units) {
            let replica =
                replicas.get_mut(index as usize).ok_or_else(|| format!("a coordinate of replica {index}, which does not exist"))?;
            replica.coordinates.push(Coordinate { name, value, unit });
        }

        let volatile = file.group("volatile")?;
        Ok(Self {
            program: h5::read_text(file, "program")?,
            version: h5::read_text(file, "program_version")?,
            source: source.0,
            device: h5::read_text(file, "device")?,
            precision: match h5::read_text(file, "precision")?.as_str() {
                "single" => Precision::Single,
                "double" => Precision::Double,
                other => return Err(format!("precision `{other}`, expected `single` or `double`").into()),
            },
            seed: h5::read_scalar(file, "seed")?,
            parameters,
            choices,
            mesh,
            columns,
            replicas,
            volatile: Volatile { started: h5::read_scalar(&volatile, "started")?, host: h5::read_text(&volatile, "host")? },
        })
    }
}
