//! Observations: columns of equal length, in SI, with what makes rows belong together.
//!
//! Rows of one `run` are one sequence in time (a trace, a pulse train); rows of one `device` come from one device. Neither column is needed:
//! then every row is an experiment of its own.

use spinloom_base::units::{parse_unit, si_symbol};
use spinloom_base::{Diagnostic, Dimension, Place, Problems};
use spinloom_card::Table;
use std::path::Path;

/// Problems reported of one file before the rest is only counted.
const MOST_PROBLEMS: usize = 10;

/// One column.
#[derive(Clone, Debug, PartialEq)]
struct Column {
    name: String,
    unit: String,
    values: Vec<f64>,
}

/// A table of observations.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Data {
    columns: Vec<Column>,
    /// Index of the block of each row: its run, its device, or itself.
    blocks: Vec<usize>,
    count: usize,
}

impl Data {
    /// Columns of equal length: name, SI unit, values.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn new<'a>(columns: impl IntoIterator<Item = (&'a str, &'a str, Vec<f64>)>) -> Self {
        let columns = columns.into_iter().map(|(n, u, values)| Column { name: n.into(), unit: u.into(), values }).collect();
        let mut data = Data { columns, ..Data::default() };
        data.find_blocks();
        data
    }

    fn find_blocks(&mut self) {
        let rows = self.rows();
        assert!(self.columns.iter().all(|c| c.values.len() == rows), "columns of observations differ in length");
        let marks: Vec<&[f64]> = ["device", "run"].iter().filter_map(|n| self.get(n)).collect();
        let mut seen: Vec<Vec<u64>> = Vec::new();
        let mut blocks = Vec::with_capacity(rows);
        for i in 0..rows {
            if marks.is_empty() {
                blocks.push(i);
                continue;
            }
            let mark: Vec<u64> = marks.iter().map(|m| m[i].to_bits()).collect();
            // Rows of a run mostly follow each other.
            let at = seen.iter().rposition(|s| *s == mark).unwrap_or_else(|| {
                seen.push(mark);
                seen.len() - 1
            });
            blocks.push(at);
        }
        self.count = if marks.is_empty() { rows } else { seen.len() };
        self.blocks = blocks;
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.columns.first().map_or(0, |c| c.values.len())
    }

    /// A column, if there is one of that name.
    pub fn get(&self, name: &str) -> Option<&[f64]> {
        self.columns.iter().find(|c| c.name == name).map(|c| c.values.as_slice())
    }

    /// A column that a model declared, so that it has been checked to be there.
    ///
    /// # Panics
    /// If it is not there.
    pub fn col(&self, name: &str) -> &[f64] {
        self.get(name).unwrap_or_else(|| panic!("observations without the column `{name}`"))
    }

    /// Unit of a column; `1` if there is none of that name.
    pub fn unit(&self, name: &str) -> &str {
        self.columns.iter().find(|c| c.name == name).map_or("1", |c| c.unit.as_str())
    }

    /// Names of the columns.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|c| c.name.as_str())
    }

    /// Adds or replaces a column.
    ///
    /// # Panics
    /// If its length differs from that of the others.
    pub fn set(&mut self, name: &str, unit: &str, values: Vec<f64>) {
        match self.columns.iter_mut().find(|c| c.name == name) {
            Some(c) => *c = Column { name: name.into(), unit: unit.into(), values },
            None => self.columns.push(Column { name: name.into(), unit: unit.into(), values }),
        }
        self.find_blocks();
    }

    /// The same rows with other values in one column: what a simulation of an experiment observes.
    pub fn with(&self, name: &str, values: Vec<f64>) -> Data {
        let mut new = self.clone();
        let unit = self.unit(name).to_string();
        new.set(name, &unit, values);
        new
    }

    /// Which block a row belongs to.
    pub fn block(&self, row: usize) -> usize {
        self.blocks[row]
    }

    /// Number of blocks.
    pub fn blocks(&self) -> usize {
        self.count
    }

    /// Whether rows are grouped at all.
    pub fn is_grouped(&self) -> bool {
        self.count < self.rows()
    }

    /// Whether a row begins a run.
    pub fn begins(&self, row: usize) -> bool {
        row == 0 || self.blocks[row] != self.blocks[row - 1]
    }

    /// The rows for which `keep` says so.
    pub fn filter(&self, keep: impl Fn(usize) -> bool) -> Data {
        let rows: Vec<usize> = (0..self.rows()).filter(|&i| keep(i)).collect();
        let pick = |c: &Column| Column { values: rows.iter().map(|&i| c.values[i]).collect(), ..c.clone() };
        let mut new = Data { columns: self.columns.iter().map(pick).collect(), ..Data::default() };
        new.find_blocks();
        new
    }

    /// Different values of a column, ascending; within 1e-6 of each other they are the same.
    pub fn distinct(&self, name: &str) -> Vec<f64> {
        let mut values = self.get(name).map(<[f64]>::to_vec).unwrap_or_default();
        values.sort_by(f64::total_cmp);
        values.dedup_by(|a, b| (*a - *b).abs() <= 1e-6 * b.abs());
        values
    }

    /// Reads a table with a heading. `wanted` gives for each column its name, the heading in the file and its unit there.
    ///
    /// # Errors
    /// A file that cannot be read, columns that are missing, cells that are no numbers: all of them, with line and column.
    pub fn read_csv(path: &Path, wanted: &[(String, String, String)]) -> Result<Data, Problems> {
        let file = path.display().to_string();
        let bytes = std::fs::File::open(path).map_err(|e| Diagnostic::file(&file, format!("cannot be read: {e}")))?;
        Self::parse_csv(file, bytes, wanted)
    }

    /// The same from what a file holds.
    ///
    /// # Errors
    /// As [`Data::read_csv`].
    pub fn parse_csv(file: String, bytes: impl std::io::Read, wanted: &[(String, String, String)]) -> Result<Data, Problems> {
        let cannot = |e: csv::Error| Problems::from(Diagnostic::file(&file, format!("cannot be read: {e}")));
        let mut reader = csv::ReaderBuilder::new().comment(Some(b'#')).trim(csv::Trim::All).from_reader(bytes);
        let headings: Vec<String> = reader.headers().map_err(cannot)?.iter().map(str::to_string).collect();
        let mut problems = Problems::new();
        let mut places = Vec::new();
        for (name, heading, unit) in wanted {
            let at = headings.iter().position(|h| h == heading);
            if at.is_none() {
                let hint = match spinloom_base::diagnostics::nearest(heading, headings.iter().map(String::as_str)) {
                    Some(n) => format!("did you mean `{n}`?"),
                    None => format!("its columns are {}", spinloom_base::diagnostics::one_of(headings.iter().map(String::as_str))),
                };
                problems.push(Diagnostic::file(&file, format!("there is no column `{heading}` for `{name}`")).hint(hint));
            }
            match parse_unit(unit) {
                Ok(u) => places.push((at, u.factor, u.dimension)),
                Err(part) => problems.push(Diagnostic::file(&file, format!("`{part}` in `{unit}` is not a unit"))),
            }
        }
        if problems.any_error() {
            return Err(problems);
        }
        let mut values = vec![Vec::new(); wanted.len()];
        let mut wrong = 0;
        for row in reader.records() {
            let row = row.map_err(cannot)?;
            let line = row.position().map_or(0, |p| p.line() as u32);
            for (k, (at, factor, _)) in places.iter().enumerate() {
                let cell = row.get(at.expect("checked above")).unwrap_or_default();
                let value = cell.parse::<f64>().ok().filter(|v| v.is_finite());
                if value.is_none() {
                    wrong += 1;
                    if wrong <= MOST_PROBLEMS {
                        let place = Place { file: file.clone(), line, column: 1 };
                        problems.push(Diagnostic::error(format!("`{cell}` in column `{}` is not a number", wanted[k].1)).at(place));
                    }
                }
                values[k].push(value.unwrap_or(0.0) * factor);
            }
        }
        if wrong > MOST_PROBLEMS {
            problems.push(Diagnostic::file(&file, format!("{} more cells are not numbers", wrong - MOST_PROBLEMS)));
        }
        if values.first().is_none_or(Vec::is_empty) {
            problems.push(Diagnostic::file(&file, "the table has no rows"));
        }
        let units: Vec<String> = places.iter().map(|(_, _, d)| symbol(*d)).collect();
        let columns = wanted.iter().zip(&units).zip(values).map(|(((name, _, _), unit), v)| (name.as_str(), unit.as_str(), v));
        problems.into_result(Some(Data::new(columns)))
    }

    /// Rows of another table below these; columns that only one of them has are left out.
    pub fn append(&mut self, other: &Data) {
        if self.columns.is_empty() {
            *self = other.clone();
            return;
        }
        self.columns.retain(|c| other.get(&c.name).is_some());
        for c in &mut self.columns {
            c.values.extend(other.col(&c.name));
        }
        self.find_blocks();
    }

    /// As a table of a card.
    pub fn table(&self, about: &str) -> Table {
        Table {
            about: about.into(),
            columns: self.columns.iter().map(|c| (c.name.clone(), c.unit.clone())).collect(),
            values: self.columns.iter().map(|c| c.values.clone()).collect(),
        }
    }

    /// Dimension of a column.
    pub fn dimension(&self, name: &str) -> Dimension {
        parse_unit(self.unit(name)).map_or(Dimension::NONE, |u| u.dimension)
    }
}

/// The SI unit of a dimension; `1` of a pure number.
pub(crate) fn symbol(dimension: Dimension) -> String {
    let text = si_symbol(dimension);
    if text.is_empty() { "1".into() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_one_run_of_one_device_are_a_block() {
        let d = Data::new([("device", "1", vec![0.0, 0.0, 1.0, 1.0]), ("run", "1", vec![0.0, 1.0, 0.0, 0.0])]);
        assert_eq!((d.blocks(), d.is_grouped(), d.begins(1), d.begins(3)), (3, true, true, false));
        let plain = Data::new([("V", "V", vec![1.0, 1.0, 2.0])]);
        assert_eq!((plain.blocks(), plain.is_grouped(), plain.distinct("V")), (3, false, vec![1.0, 2.0]));
    }

    #[test]
    fn a_measured_table_is_read_in_si_and_faults_have_places() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.csv");
        std::fs::write(&path, "# measured\nvoltage, n\n150, 3\n250, x\n").unwrap();
        let want = |heading: &str| vec![("V".to_string(), heading.to_string(), "mV".to_string())];
        let d = Data::read_csv(&path, &want("voltage")).unwrap();
        assert_eq!((d.col("V"), d.unit("V")), ([0.15, 0.25].as_slice(), "V"));
        assert!(Data::read_csv(&path, &want("voltags")).unwrap_err().to_string().contains("did you mean `voltage`?"));
        let e = Data::read_csv(&path, &want("n")).unwrap_err().to_string();
        assert!(e.contains("a.csv:4") && e.contains("`x`"), "{e}");
    }
}
