//! The files a script leaves: table, fields, images, log.

use super::engine::{Engine, Fault};
use super::field::{Field, Quantity};
use super::interpreter::Live;
use super::resume::Kept;
use spinloom_base::Problems;
use spinloom_record::Mesh as RecordMesh;
use spinloom_record::{Ovf, OvfFormat};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a column shows.
#[derive(Clone, Debug)]
pub enum Column {
    /// A quantity's components.
    Quantity(Arc<Quantity>),
    /// An expression.
    Live {
        /// The expression.
        expression: Live,
        /// Its name and unit.
        name: String,
        /// Its unit.
        unit: String,
    },
}

/// Something that is done again and again in time.
#[derive(Clone, Debug)]
pub struct Periodic {
    /// Period (s).
    pub period: f64,
    start: f64,
    count: f64,
}

impl Periodic {
    /// From now on.
    pub fn new(period: f64, now: f64) -> Self {
        Self { period, start: now, count: 0.0 }
    }

    /// Whether it is due; counts it then.
    pub fn due(&mut self, now: f64) -> bool {
        // A clock that has been set back begins anew.
        if now < self.start {
            (self.start, self.count) = (now, 0.0);
        }
        let due = self.period > 0.0 && now - self.start >= self.count * self.period * (1.0 - 1e-12);
        if due {
            // One at a time: what a long step has passed over is made up for at the next steps, as in mumax3.
            self.count += 1.0;
        }
        due
    }
}

/// How fields are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// OVF of version 1 or 2, as text or not.
    Ovf(u8, OvfFormat),
    /// What a script calls `DUMP`: mumax3's own binary form is not described anywhere, so that the files, of its ending, hold OVF 2.
    Dump,
}

impl Format {
    /// The ending of its files.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Ovf(..) => "ovf",
            Self::Dump => "dump",
        }
    }
}

/// See the module.
pub struct Output {
    /// The folder; none where nothing is to be written.
    pub folder: Option<PathBuf>,
    /// The table's columns after the time.
    pub columns: Vec<Column>,
    /// Whether a row has been written.
    pub begun: bool,
    /// The table as text, as far as it has been written.
    table: String,
    flushed: usize,
    /// When to write rows.
    pub table_period: Option<Periodic>,
    /// Fields to write by themselves: name, quantity, whether as a picture.
    pub automatic: Vec<(Arc<Quantity>, Periodic, bool)>,
    numbers: HashMap<String, usize>,
    /// How numbered files are called.
    pub filename_format: String,
    /// How fields are written.
    pub format: Format,
    /// `jpg`, `png` or `gif`.
    pub snapshot_format: String,
    log: String,
    /// Whether messages go to the screen too.
    pub loud: bool,
    last_flush: std::time::Instant,
    /// Whether nothing is written: a script is on its way back to where it was cut off.
    pub muted: bool,
    /// Files of the folder and their lengths before the script began.
    pub before: BTreeMap<String, u64>,
    /// Files that grow line by line, and how long they are.
    grown: BTreeMap<String, u64>,
    /// Whether the script goes on after a kill: a file that is not in `grown` has then grown since the checkpoint, if at all.
    resumed: bool,
}

/// How long tables and the log wait in memory (s).
const FLUSH_EVERY: u64 = 5;

/// A number as Go prints it.
pub fn go_number(v: f64, single: bool) -> String {
    if v.is_nan() {
        return "NaN".into();
    }
    if v.is_infinite() {
        return if v > 0.0 { "+Inf".into() } else { "-Inf".into() };
    }
    if v == 0.0 {
        return if v.is_sign_negative() { "-0".into() } else { "0".into() };
    }
    let text = if single { format!("{:e}", v as f32) } else { format!("{v:e}") };
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&exponent) {
        if single { format!("{}", v as f32) } else { format!("{v}") }
    } else {
        format!("{mantissa}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
    }
}

fn io(what: &Path, e: std::io::Error) -> Fault {
    Fault::new(format!("cannot write {}: {e}", what.display()), "is there room, and may you write there?")
}

fn told(p: Problems) -> Fault {
    Fault::new(p.to_string(), "")
}

impl Output {
    /// Into a folder, which exists.
    pub fn new(folder: Option<PathBuf>) -> Self {
        Self {
            folder,
            columns: vec![Column::Quantity(Arc::new(Quantity::Named("m")))],
            begun: false,
            table: String::new(),
            flushed: 0,
            table_period: None,
            automatic: Vec::new(),
            numbers: HashMap::new(),
            filename_format: "%s%06d".into(),
            format: Format::Ovf(2, OvfFormat::Binary4),
            snapshot_format: "jpg".into(),
            log: String::new(),
            loud: false,
            last_flush: std::time::Instant::now(),
            muted: false,
            before: BTreeMap::new(),
            grown: BTreeMap::new(),
            resumed: false,
        }
    }

    /// Notes what lies in the folder before the script begins.
    pub fn look_around(&mut self) {
        let entries = self.folder.iter().flat_map(|f| std::fs::read_dir(f).into_iter().flatten().flatten());
        self.before =
            entries.filter_map(|e| Some((e.file_name().into_string().ok()?, e.metadata().ok().filter(|m| m.is_file())?.len()))).collect();
    }

    /// For a checkpoint: what has been written, and when what comes next.
    ///
    /// # Errors
    /// What the file system says.
    pub fn keep(&mut self, kept: &mut Kept) -> Result<(), Fault> {
        self.flush()?;
        for name in self.grown.keys() {
            let Some(path) = self.path(name) else { continue };
            std::fs::File::open(&path).and_then(|f| f.sync_all()).map_err(|e| io(&path, e))?;
        }
        let periodic = |p: &Periodic| [p.period, p.start, p.count];
        kept.put("automatic", self.automatic.iter().flat_map(|(_, p, _)| periodic(p)));
        kept.put("table period", self.table_period.iter().flat_map(periodic));
        kept.words.insert("table begun".into(), vec![u64::from(self.begun)]);
        let list = |counts: &mut dyn Iterator<Item = (&String, u64)>| {
            let mut lines: Vec<String> = counts.map(|(name, n)| format!("{n} {name}")).collect();
            lines.sort();
            lines.join("\n")
        };
        kept.texts.insert("numbers".into(), list(&mut self.numbers.iter().map(|(k, n)| (k, *n as u64))));
        kept.texts.insert("grown".into(), list(&mut self.grown.iter().map(|(k, n)| (k, *n))));
        Ok(())
    }

    /// Goes on from a checkpoint: cuts files back to what they were.
    ///
    /// # Errors
    /// The checkpoint is another script's; files are missing or shorter than they were.
    pub fn restore(&mut self, kept: &Kept) -> Result<(), Fault> {
        let list = |name: &str| -> Vec<(String, u64)> {
            let text = kept.texts.get(name).map_or("", String::as_str);
            text.lines().filter_map(|l| l.split_once(' ')).filter_map(|(n, name)| Some((name.to_string(), n.parse().ok()?))).collect()
        };
        self.muted = false;
        self.resumed = true;
        self.log.clear();
        self.begun = kept.integers("table begun", Some(1))?[0] == 1;
        self.numbers = list("numbers").into_iter().map(|(k, n)| (k, n as usize)).collect();
        let periodic = |v: &[f64]| Periodic { period: v[0], start: v[1], count: v[2] };
        let automatic = kept.floats("automatic", Some(3 * self.automatic.len()))?;
        self.automatic.iter_mut().zip(automatic.chunks(3)).for_each(|((_, p, _), v)| *p = periodic(v));
        let table = kept.floats("table period", None)?;
        self.table_period = table.chunks_exact(3).next().map(periodic);
        self.grown = list("grown").into_iter().collect();
        for (name, len) in &self.grown {
            let Some(path) = self.path(name) else { continue };
            let file = std::fs::OpenOptions::new().write(true).open(&path).map_err(|e| io(&path, e))?;
            let now = file.metadata().map_err(|e| io(&path, e))?.len();
            if now < *len {
                let message = format!("{} has {now} bytes, and had {len} when the script was cut off", path.display());
                return Err(Fault::new(message, "run the script anew with -f"));
            }
            file.set_len(*len).map_err(|e| io(&path, e))?;
        }
        Ok(())
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        self.folder.as_ref().map(|f| f.join(name))
    }

    /// A line for the log.
    pub fn log(&mut self, line: &str) {
        if self.muted {
            return;
        }
        if self.loud {
            println!("{line}");
        }
        let _ = writeln!(self.log, "{line}");
    }

    fn append(&mut self, name: &str, text: &str) -> Result<(), Fault> {
        let Some(path) = self.path(name).filter(|_| !self.muted) else { return Ok(()) };
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(&path).map_err(|e| io(&path, e))?;
        if self.resumed && !self.grown.contains_key(name) {
            file.set_len(self.before.get(name).copied().unwrap_or(0)).map_err(|e| io(&path, e))?;
        }
        file.write_all(text.as_bytes()).map_err(|e| io(&path, e))?;
        let len = file.metadata().map_err(|e| io(&path, e))?.len();
        self.grown.insert(name.into(), len);
        Ok(())
    }

    /// From now on files grow from what they were before the script began, whatever a run that was cut off has added.
    pub fn begin_anew(&mut self) {
        self.resumed = true;
    }

    /// Appends a line to a file of the user's.
    ///
    /// # Errors
    /// What the file system says.
    pub fn line(&mut self, name: &str, text: &str) -> Result<(), Fault> {
        self.append(name, &format!("{text}\n"))
    }

    /// Writes what waits in memory.
    ///
    /// # Errors
    /// What the file system says.
    pub fn flush(&mut self) -> Result<(), Fault> {
        let (table, log) = (self.table[self.flushed..].to_string(), std::mem::take(&mut self.log));
        if !table.is_empty() {
            self.append("table.txt", &table)?;
            self.flushed = self.table.len();
        }
        if !log.is_empty() {
            self.append("log.txt", &log)?;
        }
        self.last_flush = std::time::Instant::now();
        Ok(())
    }

    /// Writes what waits if it has waited long: a kill loses no more than a few seconds.
    ///
    /// # Errors
    /// What the file system says.
    pub fn tick(&mut self) -> Result<(), Fault> {
        if self.last_flush.elapsed().as_secs() >= FLUSH_EVERY { self.flush() } else { Ok(()) }
    }

    /// Heads of the table's columns, with units.
    pub fn heads(&self) -> Vec<(String, String)> {
        let mut heads = vec![("t".to_string(), "s".to_string())];
        for c in &self.columns {
            let (name, unit, n) = match c {
                Column::Quantity(q) => (q.name(), q.unit().to_string(), q.components()),
                Column::Live { name, unit, .. } => (name.clone(), unit.clone(), 1),
            };
            heads.extend((0..n).map(|k| (format!("{name}{}", if n == 3 { ["x", "y", "z"][k] } else { "" }), unit.clone())));
        }
        heads
    }

    fn header(&mut self) {
        if self.begun || self.muted {
            self.begun = true;
            return;
        }
        self.begun = true;
        let heads: Vec<String> = self.heads().iter().map(|(name, unit)| format!("{name} ({unit})")).collect();
        let _ = write!(self.table, "# {}", heads.join("\t"));
        self.table.push('\n');
    }

    /// Adds a row with these values.
    ///
    /// # Errors
    /// What the file system says.
    pub fn row(&mut self, t: f64, values: &[f64]) -> Result<(), Fault> {
        self.header();
        self.table.push_str(&go_number(t, false));
        for v in values {
            let _ = write!(self.table, "\t{}", go_number(*v, true));
        }
        self.table.push('\n');
        self.tick()
    }

    /// A line of the user's own in the table.
    pub fn table_line(&mut self, line: &str) {
        self.header();
        if !self.muted {
            let _ = writeln!(self.table, "{line}");
        }
    }

    /// The next numbered name of a quantity.
    pub fn numbered(&mut self, name: &str) -> String {
        // Names of products have stars, which shells take for something else.
        let name = &name.replace('*', "_");
        let number = self.numbers.entry(name.clone()).or_default();
        let text = super::text::format(&self.filename_format, &[super::text::Arg::Str(name), super::text::Arg::Int(*number as i64)]);
        *number += 1;
        text
    }

    /// Writes a field.
    ///
    /// # Errors
    /// What the file system says.
    pub fn save(&self, engine: &Engine, field: &Field, name: &str, unit: &str, file: &str) -> Result<(), Fault> {
        let Some(path) = self.path(file) else { return Ok(()) };
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(|e| io(parent, e))?;
        }
        let cell = engine.mesh()?.cell;
        let labels = if field.components == 1 { vec![name.to_string()] } else { ["x", "y", "z"].map(|c| format!("{name}_{c}")).to_vec() };
        let cells = field.cells();
        let ovf = Ovf {
            title: name.to_string(),
            mesh: RecordMesh::regular(field.n, cell, [0.0; 3]),
            units: vec![if unit.is_empty() { "1".into() } else { unit.to_string() }; field.components],
            labels,
            time: Some(engine.time()),
            data: (0..cells).flat_map(|i| (0..field.components).map(move |c| (c, i))).map(|(c, i)| field.at(c, i)).collect(),
        };
        match self.format {
            Format::Ovf(1, format) => ovf.write_file_1(&path, format),
            Format::Ovf(_, format) => ovf.write_file(&path, format),
            Format::Dump => ovf.write_file(&path, OvfFormat::Binary4),
        }
        .map_err(told)
    }

    /// Writes a picture of a field's lowest layer.
    ///
    /// # Errors
    /// What the file system says.
    pub fn snapshot(&self, field: &Field, file: &str) -> Result<(), Fault> {
        let Some(path) = self.path(file) else { return Ok(()) };
        let image = spinloom_record::picture(field.n, 0, field.components, None, |c, i| field.at(c, i));
        image.save(&path).map_err(|e| Fault::new(format!("cannot write {}: {e}", path.display()), "pictures are jpg, png or gif"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_go_writes_them() {
        let list = [1e-9, 0.5, 123456.0, 1e6, -2.5e-5, 0.0001, 123456789.0];
        let texts: Vec<String> = list.iter().map(|v| go_number(*v, false)).collect();
        assert_eq!(texts, ["1e-09", "0.5", "123456", "1e+06", "-2.5e-05", "0.0001", "1.23456789e+08"]);
        assert_eq!(go_number(0.1, true), "0.1");
    }

    #[test]
    fn periodic_things_are_due_once_a_period() {
        let mut p = Periodic::new(1.0, 0.0);
        let due: Vec<bool> = [0.0, 0.3, 0.99, 1.0, 1.1, 2.5, 2.9, 3.0].iter().map(|t| p.due(*t)).collect();
        assert_eq!(due, [true, false, false, true, false, true, false, true]);
        // What a long step passes over comes at the next ones, one at each.
        let mut p = Periodic::new(1.0, 0.0);
        let due: Vec<bool> = [0.0, 3.5, 3.6, 3.7, 3.8, 4.0].iter().map(|t| p.due(*t)).collect();
        assert_eq!(due, [true, true, true, true, false, true]);
    }
}
