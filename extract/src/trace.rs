//! A trace: drive and membrane over time, from a record's moving wall or from a measured table.
//!
//! The drive is piecewise constant: `drive[i]` acts over the interval that *ends* at sample `i`, so that the last row of a
//! protocol phase carries the drive of that phase. Wherever models and traces meet, the membrane is reduced,
//! `u = (v - reset) / (threshold - reset)`: reset 0, threshold 1.

use crate::config::SI_UNITS;
use serde::Serialize;
use spinloom_base::units::parse_unit;
use spinloom_base::{Diagnostic, Dimension, Place, Problems};
use spinloom_record::{Record, Replica};
use std::path::Path;

/// What counts as "driven": more than this share of the largest drive of the trace. Measured currents are not exactly zero when off.
const DRIVEN: f64 = 1e-6;
/// A trace of fewer samples says nothing about a rise and a fall.
pub const MIN_SAMPLES: usize = 4;
/// Problems reported of one file before the rest is only counted.
const MOST_PROBLEMS: usize = 10;

/// The scale of the membrane.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Membrane {
    /// Value at reset, in `unit`.
    pub reset: f64,
    /// Value at which the neuron fires, in `unit`; may lie below `reset` (a Hall voltage that falls).
    pub threshold: f64,
    /// SI, or `1` for the position normalised to the region of interest.
    pub unit: String,
}

impl Membrane {
    /// Normalised position: 0 at the start of the region of interest; fires at `threshold`.
    pub fn position(threshold: f64) -> Self {
        Self { reset: 0.0, threshold, unit: "1".into() }
    }

    /// V_th - V_reset, in `unit`.
    pub fn swing(&self) -> f64 {
        self.threshold - self.reset
    }

    /// The reduced membrane u of a value in `unit`.
    pub fn reduce(&self, v: f64) -> f64 {
        (v - self.reset) / self.swing()
    }

    /// The value in `unit` of a reduced membrane.
    pub fn value(&self, u: f64) -> f64 {
        self.reset + u * self.swing()
    }
}

/// Where a trace stands on an axis of the ensemble.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Coordinate {
    /// The axis, e.g. `H_ex`.
    pub name: String,
    /// The value, in `unit`.
    pub value: f64,
    /// Its unit.
    pub unit: String,
}

/// Where a trace was cut, and why.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cut {
    /// Time of the first sample that is not used (s).
    pub t: f64,
    /// Why.
    pub why: String,
}

/// Drive and membrane over time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trace {
    /// What it is called.
    pub label: String,
    /// What it has in common with its repeats: the coordinates, `copy` aside.
    pub group: String,
    /// Where it stands in its ensemble.
    pub coordinates: Vec<Coordinate>,
    /// Times (s), ascending; two samples may share a time where the drive jumps.
    pub t: Vec<f64>,
    /// Drive over the interval that ends at each sample, in `drive_unit`.
    pub drive: Vec<f64>,
    /// Membrane, in the unit of `membrane`.
    pub v: Vec<f64>,
    /// Unit of the drive.
    pub drive_unit: String,
    /// Scale of the membrane.
    pub membrane: Membrane,
    /// Set where samples were dropped.
    pub cut: Option<Cut>,
}

/// A maximal run of samples that are all driven or all not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Index of the sample at which it begins (the last one before it).
    pub begin: usize,
    /// Index of its last sample.
    pub end: usize,
    /// Whether the drive is on.
    pub driven: bool,
}

/// How a record's wall becomes a membrane.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordView {
    /// Start and end of the region of interest (m from the centre of the box): normalised positions 0 and 1.
    pub roi: [f64; 2],
    /// Column of the position.
    pub position: String,
    /// Column of the drive.
    pub drive: String,
    /// Normalised position at which the neuron fires.
    pub threshold: f64,
    /// Reset and threshold in volts, if the membrane is to be a voltage; affine between them.
    pub volts: Option<[f64; 2]>,
}

impl RecordView {
    /// The scale of the membranes it makes.
    pub fn membrane(&self) -> Membrane {
        match self.volts {
            None => Membrane::position(self.threshold),
            Some([reset, threshold]) => Membrane { reset, threshold, unit: "V".into() },
        }
    }

    /// The membrane of a wall at `x` (m).
    fn value(&self, x: f64) -> f64 {
        let position = (x - self.roi[0]) / (self.roi[1] - self.roi[0]);
        self.membrane().value(position / self.threshold)
    }
}

/// Columns of a measured table: name and unit of each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsvView {
    /// Time.
    pub t: [String; 2],
    /// Drive, constant over the interval that ends at the row.
    pub drive: [String; 2],
    /// Membrane.
    pub v: [String; 2],
}

impl Default for CsvView {
    fn default() -> Self {
        let column = |name: &str, unit: &str| [name.to_string(), unit.to_string()];
        Self { t: column("t", "s"), drive: column("drive", "A/m^2"), v: column("v", "V") }
    }
}

/// The stretches of a drive sampled at `t`; those without duration are left out.
pub fn stretches(t: &[f64], drive: &[f64]) -> Vec<Stretch> {
    let largest = drive.iter().fold(0.0f64, |a, d| a.max(d.abs()));
    let driven = |i: usize| drive[i].abs() > DRIVEN * largest;
    let mut list: Vec<Stretch> = Vec::new();
    for i in 1..t.len().min(drive.len()) {
        match list.last_mut() {
            Some(s) if s.driven == driven(i) => s.end = i,
            // A jump at one instant: the sample before it closed the last stretch already.
            _ => list.push(Stretch { begin: i - 1, end: i, driven: driven(i) }),
        }
    }
    list.retain(|s| t[s.end] > t[s.begin]);
    list
}

/// The time, between two samples, at which a quantity passes a level; by straight line.
pub(crate) fn crossing(t: [f64; 2], y: [f64; 2], level: f64) -> f64 {
    if y[1] == y[0] { t[1] } else { t[0] + (t[1] - t[0]) * ((level - y[0]) / (y[1] - y[0])).clamp(0.0, 1.0) }
}

/// A column of a record in SI, checked to have the wanted dimension.
pub(crate) fn column(record: &Record, name: &str, replica: usize, wanted: Dimension) -> Result<Vec<f64>, Problems> {
    let mut values = record.column(name, replica)?;
    let unit = record.header().columns.iter().find(|c| c.name == name).map_or("", |c| c.unit.as_str());
    match parse_unit(unit) {
        Ok(u) if u.dimension == wanted => {
            if u.factor != 1.0 {
                values.iter_mut().for_each(|v| *v *= u.factor);
            }
            Ok(values)
        }
        _ => Err(Diagnostic::file(record.path().display().to_string(), format!("column `{name}` is in `{unit}`, and {wanted} is wanted"))
            .hint("name another column, or record it in SI")
            .into()),
    }
}

/// A unit as people write it, where it is a plain SI one written otherwise (`m^-2 A`); empty is a pure number.
pub(crate) fn tidy_unit(unit: &str) -> String {
    let known = parse_unit(unit).ok().filter(|u| u.factor == 1.0).and_then(|u| SI_UNITS.iter().find(|(d, _)| *d == u.dimension));
    known.map_or(unit, |(_, symbol)| symbol).to_string()
}

/// Label, coordinates and group of a replica.
fn identity(replica: &Replica, index: usize) -> (String, Vec<Coordinate>, String) {
    let coordinates: Vec<Coordinate> =
        replica.coordinates.iter().map(|c| Coordinate { name: c.name.clone(), value: c.value, unit: tidy_unit(&c.unit) }).collect();
    let label = if replica.label.is_empty() { format!("replica {index}") } else { replica.label.clone() };
    let group = group_of(&coordinates, &label);
    (label, coordinates, group)
}

/// The coordinates that repeats share, as text; the label where there are none.
pub(crate) fn group_of(coordinates: &[Coordinate], label: &str) -> String {
    let shared: Vec<String> =
        coordinates.iter().filter(|c| c.name != "copy").map(|c| format!("{} = {:.6e} {}", c.name, c.value, c.unit)).collect();
    if shared.is_empty() { label.to_string() } else { shared.join(", ") }
}

impl Trace {
    /// The wall of one replica as a membrane. A wall that leaves the strip ends the trace there ([`Trace::cut`]).
    ///
    /// # Errors
    /// Missing columns, other units, a wall that is not there for [`MIN_SAMPLES`] samples, an empty region of interest.
    pub fn from_record(record: &Record, replica: usize, view: &RecordView) -> Result<Trace, Problems> {
        let file = record.path().display().to_string();
        let fail = |what: String, hint: &str| -> Problems { Diagnostic::file(&file, what).hint(hint).into() };
        if view.roi[0] == view.roi[1] || view.threshold <= 0.0 || !view.threshold.is_finite() {
            return Err(fail(
                format!("a region of interest from {} m to {} m with a threshold at {} of it", view.roi[0], view.roi[1], view.threshold),
                "start and end must differ and the threshold lie above 0",
            ));
        }
        let mut t = column(record, "t", replica, Dimension::TIME)?;
        let x = column(record, &view.position, replica, Dimension::LENGTH)?;
        let mut drive = record.column(&view.drive, replica)?;
        let drive_unit = record.header().columns.iter().find(|c| c.name == view.drive).map_or(String::new(), |c| c.unit.clone());
        let (label, coordinates, group) = identity(&record.header().replicas[replica], replica);

        if let Some(i) = (1..t.len()).find(|&i| t[i] < t[i - 1] || t[i].is_nan()) {
            return Err(fail(
                format!("{label}: row {i} is at {} s after {} s", t[i], t[i - 1]),
                "a record's rows must follow each other in time",
            ));
        }
        let n = x.iter().zip(&drive).position(|(x, d)| !x.is_finite() || !d.is_finite()).unwrap_or(x.len());
        let mut cut = (n < x.len()).then(|| Cut { t: t[n], why: "the wall left the strip".into() });
        t.truncate(n);
        drive.truncate(n);
        for event in record.events()?.iter().filter(|e| e.replica == replica && e.kind == "abort") {
            cut.get_or_insert(Cut { t: event.t, why: format!("the run was aborted: {}", event.detail) });
        }
        if n < MIN_SAMPLES {
            return Err(fail(
                format!("{label}: a wall is there in the first {n} rows only"),
                "leave this replica out, or look at why it has no wall",
            ));
        }
        let v = x[..n].iter().map(|&x| view.value(x)).collect();
        let drive_unit = tidy_unit(&drive_unit);
        Ok(Trace { label, group, coordinates, t, drive, v, drive_unit, membrane: view.membrane(), cut })
    }

    /// A measured trace: a table with a header line, comma separated, `#` beginning a comment. The drive stays in its own unit; time and
    /// membrane become SI. A folder is taken for the results of a script, whose `table.txt` is read; its columns are named without their units.
    ///
    /// # Errors
    /// Each at its line: a missing column, what is not a finite number, times that do not ascend, fewer than [`MIN_SAMPLES`] rows.
    pub fn from_csv(
        path: &Path,
        label: &str,
        coordinates: Vec<Coordinate>,
        view: &CsvView,
        membrane: &Membrane,
    ) -> Result<Trace, Problems> {
        let script = path.is_dir();
        let text = std::fs::read_to_string(if script { path.join("table.txt") } else { path.to_path_buf() });
        let file = path.display().to_string();
        let text = text.map_err(|e| Problems::from(Diagnostic::file(&file, format!("cannot be read: {e}"))))?;
        Self::parse_csv(file, &text, script, label, coordinates, view, membrane)
    }

    /// The same from the text of a table, or of a script's.
    ///
    /// # Errors
    /// As [`Trace::from_csv`].
    pub fn parse_csv(
        file: String,
        text: &str,
        script: bool,
        label: &str,
        coordinates: Vec<Coordinate>,
        view: &CsvView,
        membrane: &Membrane,
    ) -> Result<Trace, Problems> {
        let mut problems = Problems::new();
        let mut unit = |what: &str, text: &str, wanted: &[Dimension]| match parse_unit(text) {
            Ok(u) if wanted.is_empty() || wanted.contains(&u.dimension) => Some(u),
            Ok(u) => {
                problems.push(Diagnostic::file(&file, format!("the {what} is said to be in `{text}`, which is {}", u.dimension)));
                None
            }
            Err(part) => {
                problems.push(Diagnostic::file(&file, format!("`{part}` in the unit `{text}` of the {what} is not a unit")));
                None
            }
        };
        let known = SI_UNITS.iter().find(|(_, symbol)| *symbol == membrane.unit).map(|(d, _)| *d);
        let time = unit("time", &view.t[1], &[Dimension::TIME]);
        let volt = unit("membrane", &view.v[1], known.as_slice());
        unit("drive", &view.drive[1], &[]);
        let (Some(time), Some(volt)) = (time, volt) else { return Err(problems) };
        if problems.any_error() {
            return Err(problems);
        }

        let mut builder = csv::ReaderBuilder::new();
        builder.trim(csv::Trim::All);
        // The header of a script's table looks like a comment.
        let content = if script {
            builder.delimiter(b'\t');
            text.strip_prefix("# ").unwrap_or(text)
        } else {
            builder.comment(Some(b'#'));
            text
        };
        let mut reader = builder.from_reader(content.as_bytes());
        let headers = reader.headers().map_err(|e| Problems::from(Diagnostic::file(&file, format!("cannot be read: {e}"))))?.clone();
        let header_line = headers.position().map_or(1, |p| p.line() as u32);
        let at = |line: u32, column: usize| Place { file: file.clone(), line, column: column as u32 + 1 };
        let mut columns = [0usize; 3];
        for (slot, [name, _]) in columns.iter_mut().zip([&view.t, &view.drive, &view.v]) {
            match headers.iter().position(|h| h == name || (script && h.split(" (").next() == Some(name))) {
                Some(i) => *slot = i,
                None => problems.push(
                    Diagnostic::error(format!("there is no column `{name}`"))
                        .at(at(header_line, 0))
                        .hint(format!("the header line names {}", spinloom_base::diagnostics::one_of(headers.iter()))),
                ),
            }
        }
        if problems.any_error() {
            return Err(problems);
        }

        let (mut t, mut drive, mut v): (Vec<f64>, Vec<f64>, Vec<f64>) = Default::default();
        let mut wrong = 0usize;
        let mut report = |line: u32, column: usize, what: String, hint: &str| {
            wrong += 1;
            if wrong <= MOST_PROBLEMS {
                problems.push(Diagnostic::error(what).at(at(line, column)).hint(hint));
            }
        };
        for row in reader.records() {
            let row = match row {
                Ok(row) => row,
                Err(e) => {
                    let line = e.position().map_or(0, |p| p.line() as u32);
                    report(
                        line,
                        0,
                        format!("this row does not fit the header: {e}"),
                        "every row needs as many values as there are columns",
                    );
                    continue;
                }
            };
            let line = row.position().map_or(0, |p| p.line() as u32);
            let mut values = [f64::NAN; 3];
            for (value, &c) in values.iter_mut().zip(&columns) {
                let text = row.get(c).unwrap_or_default();
                match text.parse::<f64>() {
                    Ok(x) if x.is_finite() => *value = x,
                    _ => report(
                        line,
                        c,
                        format!("`{text}` in column `{}` is not a finite number", &headers[c]),
                        "remove the row, or split the trace there: a gap is not a value",
                    ),
                }
            }
            let [now, d, y] = [values[0] * time.factor, values[1], values[2] * volt.factor];
            if [now, d, y].iter().any(|x| x.is_nan()) {
                continue;
            }
            if let (Some(&before), Some(&d_before)) = (t.last(), drive.last())
                && (now < before || (now == before && d == d_before))
            {
                report(
                    line,
                    columns[0],
                    format!("the time {now:e} s does not follow {before:e} s"),
                    "sort the rows by time; a time may repeat only where the drive jumps",
                );
                continue;
            }
            t.push(now);
            drive.push(d);
            v.push(y);
        }
        if wrong > MOST_PROBLEMS {
            problems.push(Diagnostic::file(&file, format!("and {} more problems like these", wrong - MOST_PROBLEMS)));
        }
        if wrong == 0 && t.len() < MIN_SAMPLES {
            let last = header_line + t.len() as u32;
            let short = format!("the file ends after {} rows; a trace needs at least {MIN_SAMPLES}", t.len());
            problems.push(Diagnostic::error(short).at(at(last, 0)).hint("was it cut short?"));
        }
        let group = group_of(&coordinates, label);
        let (label, drive_unit, membrane) = (label.to_string(), view.drive[1].clone(), membrane.clone());
        problems.into_result(Some(Trace { label, group, coordinates, t, drive, v, drive_unit, membrane, cut: None }))
    }

    /// Driven and undriven stretches in turn.
    pub fn stretches(&self) -> Vec<Stretch> {
        stretches(&self.t, &self.drive)
    }

    /// The reduced membrane at a sample: 0 at reset, 1 at threshold.
    pub fn u(&self, i: usize) -> f64 {
        self.membrane.reduce(self.v[i])
    }

    /// The largest drive, by magnitude, in `drive_unit`.
    pub fn largest_drive(&self) -> f64 {
        self.drive[1..].iter().fold(0.0f64, |a, d| a.max(d.abs()))
    }

    /// Its coordinate on an axis.
    pub fn coordinate(&self, name: &str) -> Option<f64> {
        self.coordinates.iter().find(|c| c.name == name).map(|c| c.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Trace, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.csv");
        std::fs::write(&path, text).unwrap();
        let view = CsvView { t: ["time".into(), "ms".into()], drive: ["I".into(), "mA".into()], v: ["V_AHE".into(), "uV".into()] };
        let membrane = Membrane { reset: -75e-6, threshold: -120e-6, unit: "V".into() };
        Trace::from_csv(&path, "a", vec![], &view, &membrane).map_err(|p| p.to_string().replace(&path.display().to_string(), "a.csv"))
    }

    #[test]
    fn a_measured_trace_is_read_in_si_and_may_fall() {
        let t = read("# Hall bar 2\nI,time,V_AHE\n0,0,-75\n5,1,-75\n5,2,-97.5\n0,2,-97.5\n0,3,-75\n").unwrap();
        assert_eq!((t.t[2], t.drive[2], t.drive_unit.as_str()), (2e-3, 5.0, "mA"));
        assert!((t.u(2) - 0.5).abs() < 1e-12, "half way from -75 to -120 uV, not {}", t.u(2));
        let s = t.stretches();
        assert_eq!(s.iter().map(|s| (s.begin, s.end, s.driven)).collect::<Vec<_>>(), [(0, 2, true), (2, 4, false)]);
    }

    #[test]
    fn the_table_of_a_script_is_a_trace_too() {
        let dir = tempfile::tempdir().unwrap();
        let table = "# t (s)\tmx ()\tmz ()\tI (A)\n0\t1\t0.5\t0\n1e-09\t1\t0.5\t2\n2e-09\t1\t0.25\t2\n3e-09\t1\t0\t0\n4e-09\t1\t0\t0\n";
        std::fs::write(dir.path().join("table.txt"), table).unwrap();
        let view = CsvView { t: ["t".into(), "s".into()], drive: ["I".into(), "A".into()], v: ["mz".into(), "1".into()] };
        let membrane = Membrane { reset: 0.5, threshold: -0.5, unit: "1".into() };
        let t = Trace::from_csv(dir.path(), "a", vec![], &view, &membrane).unwrap();
        assert_eq!((t.t[3], t.drive[1], t.v[2]), (3e-9, 2.0, 0.25));
    }

    #[test]
    fn bad_files_are_refused_with_line_and_column() {
        let rows = "1,5,-80\n2,5,-90\n3,0,-85\n4,0,-80\n";
        let e = read(&format!("time,I,V_AHE\n0,0,NaN\n{rows}5,zero,-75\n4.5,0,-75\n")).unwrap_err();
        let lines: Vec<&str> = e.lines().collect();
        assert!(lines[0].starts_with("a.csv:2:3: `NaN` in column `V_AHE`"), "{e}");
        assert!(lines[1].starts_with("a.csv:7:2: `zero`"), "{e}");
        assert_eq!(lines.len(), 2, "4.5 ms follows the last good row: {e}");
        assert!(
            read(&format!("time,I,V_AHE\n{rows}3.5,0,-75\n"))
                .unwrap_err()
                .starts_with("a.csv:6:1: the time 3.5e-3 s does not follow 4e-3 s")
        );
        assert!(read(&format!("time,I,V_AHE\n{rows}4,0,-75\n")).unwrap_err().contains("may repeat only where the drive jumps"));
        assert!(read("time,I,V_AHE\n0,0,-75\n").unwrap_err().contains("ends after 1 rows"));
        assert!(read("time,J,V_AHE\n0,0,-75\n").unwrap_err().contains("a.csv:1:1: there is no column `I`; the header line names"));
        assert!(read("time,I,V_AHE\n0,0,-75\n1,2\n").unwrap_err().starts_with("a.csv:3:"));
        let many = "x,0,0\n".repeat(30);
        assert!(read(&format!("time,I,V_AHE\n{many}")).unwrap_err().contains("and 20 more problems"));
    }

    #[test]
    fn a_jump_of_the_drive_with_one_or_two_rows_gives_the_same_stretches() {
        // The runner may write the last row of a phase only, or also the first of the next at the same time.
        let once = stretches(&[0.0, 1.0, 2.0, 3.0, 4.0], &[0.0, 7.0, 7.0, 0.0, 0.0]);
        let twice = stretches(&[0.0, 0.0, 1.0, 2.0, 2.0, 3.0, 4.0], &[0.0, 7.0, 7.0, 7.0, 0.0, 0.0, 0.0]);
        let ends = |s: &[Stretch], t: &[f64]| s.iter().map(|s| (t[s.begin], t[s.end], s.driven)).collect::<Vec<_>>();
        assert_eq!(ends(&once, &[0.0, 1.0, 2.0, 3.0, 4.0]), ends(&twice, &[0.0, 0.0, 1.0, 2.0, 2.0, 3.0, 4.0]));
        // A leak and the reset after it are two phases but one stretch.
        assert_eq!(once.len(), 2);
    }
}
