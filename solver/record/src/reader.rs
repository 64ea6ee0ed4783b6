//! The reader: the same answers from a running record and from a finished one.

use crate::h5::{self, Named, problem};
use crate::header::{Column, Header};
use crate::segment::{self, Checkpoint, Event, FieldStore, Segment};
use crate::writer::SegmentName;
use crate::{SCHEMA, content};
use hdf5::{Dataset, File};
use ndarray::s;
use spinloom_base::{Problems, hash};
use std::path::{Path, PathBuf};

/// The table of one replica.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// Its columns, in order.
    pub columns: Vec<Column>,
    /// (rows, columns), row-major, in the columns' units.
    pub values: Vec<f64>,
}

impl Table {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.values.len() / self.columns.len().max(1)
    }
}

/// A quantity of which there are frames.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// Its name, e.g. `m`.
    pub name: String,
    /// Its unit; empty for a pure number.
    pub unit: String,
    /// Numbers per cell.
    pub components: usize,
    /// Time (s) and replica of each frame, in the order written.
    pub frames: Vec<(f64, usize)>,
}

/// One frame of one quantity.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// Name of the quantity.
    pub name: String,
    /// Its unit; empty for a pure number.
    pub unit: String,
    /// Index of the replica.
    pub replica: usize,
    /// Time, s.
    pub t: f64,
    /// Numbers per cell.
    pub components: usize,
    /// Shape (nz, ny, nx, components), x the fastest axis, components innermost. Single precision is widened exactly.
    pub data: Vec<f64>,
}

/// A record open for reading. What it shows is what was committed when it was opened.
#[derive(Debug)]
pub struct Record {
    path: PathBuf,
    header: Header,
    master: File,
    /// `None` when finished.
    running: Option<Vec<(SegmentName, Segment)>>,
}

/// How often the list of segments is read anew if a writer merges some away meanwhile.
const TRIES: usize = 5;

impl Record {
    /// Opens a record: its folder, or `run.h5` in it.
    ///
    /// # Errors
    /// A file that is not there, not HDF5, cut short or otherwise damaged; another schema; missing segments.
    pub fn open(path: &Path) -> Result<Self, Problems> {
        let path = if path.is_dir() { path.join("run.h5") } else { path.to_path_buf() };
        if !path.is_file() {
            return Err(problem(&path, "there is no record here", "name the folder of a run, or the `run.h5` in it"));
        }
        let segments = path.with_file_name("segments");
        let mut tries = 0;
        loop {
            tries += 1;
            // Nobody merges what has no segments: such a file is wrong for good.
            let running = segments.is_dir();
            match Self::open_once(&path) {
                Err(_) if running && tries < TRIES => std::thread::sleep(std::time::Duration::from_millis(5)),
                result => return result,
            }
        }
    }

    fn open_once(path: &Path) -> Result<Self, Problems> {
        let master = h5::open(path).named(path, "read").map_err(|p| {
            p.iter().cloned().map(|d| d.hint("the file is not HDF5, or it was cut short: copy it again")).collect_problems()
        })?;
        let Ok(schema) = h5::read_text(&master, "schema") else {
            return Err(problem(
                path,
                format!("no attribute `schema`: an HDF5 file, but not a record (expected `{SCHEMA}`)"),
                "was it made by another program?",
            ));
        };
        if schema != SCHEMA {
            let hint = "read it with the version of the program that wrote it (see the attribute `program_version`)";
            return Err(problem(path, format!("schema `{schema}`, expected `{SCHEMA}`"), hint));
        }
        let header = Header::read(&master).named(path, "read the header")?;
        header.check().map_err(|p| problem(path, format!("the header makes no sense: {p}"), "the file is damaged"))?;
        if h5::read_scalar::<bool>(&master, "finished").named(path, "read the header")? {
            return Ok(Self { path: path.into(), header, master, running: None });
        }
        let folder = path.with_file_name("segments");
        let (names, _) = list_segments(&folder)?;
        let linked = master.group("segments").and_then(|g| g.member_names()).named(path, "read the list of segments")?;
        // The folder may be ahead of the links (a kill between the two), never behind.
        let mut expected = 0;
        for name in &names {
            if name.first != expected {
                let missing = SegmentName { first: expected, last: name.first.saturating_sub(1).max(expected) }.text();
                return Err(problem(
                    &folder,
                    format!("segment {missing} is missing"),
                    "copy the whole folder of the run, `run.h5` and `segments`",
                ));
            }
            expected = name.last + 1;
        }
        let linked = linked.iter().filter_map(|text| SegmentName::parse(&format!("{text}.h5")));
        if let Some(missing) = linked.max_by_key(|l| l.last).filter(|l| l.last >= expected) {
            let hint = "copy the whole folder of the run, `run.h5` and `segments`";
            return Err(problem(&folder, format!("segment {} is missing", missing.text()), hint));
        }
        let mut running = Vec::new();
        for name in names {
            let file = name.path(&folder);
            running.push((name, Segment::open(&file).named(&file, "read")?));
        }
        Ok(Self { path: path.into(), header, master, running: Some(running) })
    }

    /// What the run is.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Its `run.h5`.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the run has ended and the record is one file.
    pub fn is_finished(&self) -> bool {
        self.running.is_none()
    }

    /// Number of commits so far in a running record.
    pub fn commits(&self) -> Option<u64> {
        self.running.as_ref().map(|s| s.last().map_or(0, |(name, _)| name.last + 1))
    }

    /// Number of rows of a replica.
    ///
    /// # Errors
    /// No such replica; a damaged file.
    pub fn rows(&self, replica: usize) -> Result<usize, Problems> {
        self.check_replica(replica)?;
        match &self.running {
            None => self.finished_rows(replica).named(&self.path, "read the table"),
            Some(segments) => {
                let mut n = 0;
                for (name, segment) in segments {
                    let counted = segment.each_block(&self.header, |which, _| {
                        n += which.iter().filter(|r| **r as usize == replica).count();
                        Ok(())
                    });
                    counted.named(&self.segment_path(*name), "read the table")?;
                }
                Ok(n)
            }
        }
    }

    fn finished_rows(&self, replica: usize) -> hdf5::Result<usize> {
        let counts = h5::read_vec::<u64>(&self.master.group("table")?, "count")?;
        let count = counts.get(replica).copied().ok_or("`/table/count` has too few entries")?;
        usize::try_from(count).map_err(|_| format!("{count} rows").into())
    }

    /// The table of one replica.
    ///
    /// # Errors
    /// No such replica; a damaged file.
    pub fn table(&self, replica: usize) -> Result<Table, Problems> {
        let all: Vec<usize> = (0..self.header.columns.len()).collect();
        Ok(Table { columns: self.header.columns.clone(), values: self.values(replica, &all)? })
    }

    /// One column of one replica, a value per row, in the column's unit.
    ///
    /// # Errors
    /// No such column (the nearest known one is named) or replica; a damaged file.
    pub fn column(&self, name: &str, replica: usize) -> Result<Vec<f64>, Problems> {
        let names = || self.header.columns.iter().map(|c| c.name.as_str());
        match names().position(|n| n == name) {
            Some(c) => self.values(replica, &[c]),
            None => Err(problem(&self.path, format!("the table has no column `{name}`"), &meant(name, names()))),
        }
    }

    /// (rows, chosen columns), row-major.
    fn values(&self, replica: usize, columns: &[usize]) -> Result<Vec<f64>, Problems> {
        self.check_replica(replica)?;
        let Some(segments) = &self.running else {
            return self.finished_values(replica, columns).named(&self.path, "read the table");
        };
        let mut values = Vec::new();
        for (name, segment) in segments {
            let read = segment.each_block(&self.header, |which, block| {
                for (row, _) in block.rows().into_iter().zip(which).filter(|(_, r)| **r as usize == replica) {
                    values.extend(columns.iter().map(|&c| row[c]));
                }
                Ok(())
            });
            read.named(&self.segment_path(*name), "read the table")?;
        }
        Ok(values)
    }

    fn finished_values(&self, replica: usize, columns: &[usize]) -> hdf5::Result<Vec<f64>> {
        let rows = self.finished_rows(replica)?;
        let table = self.master.group("table")?;
        let datasets: Vec<Dataset> = columns.iter().map(|&c| table.dataset(&self.header.columns[c].name)).collect::<hdf5::Result<_>>()?;
        datasets.iter().try_for_each(|d| self.check_column(d, rows))?;
        let mut values = vec![0.0; rows * columns.len()];
        for (k, dataset) in datasets.iter().enumerate() {
            if rows > 0 {
                let column = dataset.read_slice_1d::<f64, _>(s![replica, ..rows])?;
                values.iter_mut().skip(k).step_by(columns.len()).zip(column).for_each(|(out, x)| *out = x);
            }
        }
        Ok(values)
    }

    fn check_column(&self, column: &Dataset, rows: usize) -> hdf5::Result<()> {
        match column.shape()[..] {
            [height, width] if height == self.header.replicas.len() && width >= rows => h5::plausible(column),
            ref other => Err(format!("`{}` has the shape {other:?} for {rows} rows", column.name()).into()),
        }
    }

    /// All events, in the order written.
    ///
    /// # Errors
    /// A damaged file.
    pub fn events(&self) -> Result<Vec<Event>, Problems> {
        let mut events = Vec::new();
        for (path, file) in self.files() {
            events.extend(segment::read_events(file).named(&path, "read the events")?);
        }
        Ok(events)
    }

    /// The quantities of which there are frames, sorted by name.
    ///
    /// # Errors
    /// A damaged file.
    pub fn fields(&self) -> Result<Vec<Field>, Problems> {
        let mut fields: Vec<Field> = Vec::new();
        for (path, file) in self.files() {
            for name in segment::field_names(file).named(&path, "read the fields")? {
                let (store, frames) = self.stored(file, &name).named(&path, "read the fields")?;
                match fields.iter_mut().find(|f| f.name == name) {
                    Some(field) => field.frames.extend(frames),
                    None => fields.push(Field { name, unit: store.unit, components: store.components, frames }),
                }
            }
        }
        fields.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(fields)
    }

    fn stored(&self, file: &File, name: &str) -> hdf5::Result<(FieldStore, Vec<(f64, usize)>)> {
        let store = FieldStore::open(file, &self.header, name)?;
        let group = file.group(&format!("fields/{name}"))?;
        let t = h5::read_vec::<f64>(&group, "t")?;
        let replica = h5::read_vec::<u32>(&group, "replica")?;
        Ok((store, t.into_iter().zip(replica).map(|(t, r)| (t, r as usize)).collect()))
    }

    /// Frame number `index` of a quantity, from 0, in the order written.
    ///
    /// # Errors
    /// No such quantity (the nearest known one is named) or frame; a damaged file.
    pub fn frame(&self, name: &str, index: usize) -> Result<Frame, Problems> {
        let mut before = 0;
        for (path, file) in self.files() {
            if !h5::is_name(name) || !file.link_exists("fields") || !file.link_exists(&format!("fields/{name}")) {
                continue;
            }
            let store = FieldStore::open(file, &self.header, name).named(&path, "read the fields")?;
            let frames = store.frames();
            if index < before + frames {
                return read_frame(store, name, index - before).named(&path, "read a frame");
            }
            before += frames;
        }
        if before > 0 {
            return Err(problem(&self.path, format!("`{name}` has {before} frames, number {index} was asked for"), "frames count from 0"));
        }
        let fields = self.fields()?;
        Err(problem(&self.path, format!("there are no frames of `{name}`"), &meant(name, fields.iter().map(|f| f.name.as_str()))))
    }

    /// The newest checkpoint of a running record; `None` if nothing was committed or the run is finished.
    ///
    /// # Errors
    /// A damaged file.
    pub fn checkpoint(&self) -> Result<Option<Checkpoint>, Problems> {
        match self.running.as_ref().and_then(|s| s.last()) {
            Some((name, segment)) => segment.checkpoint().named(&self.segment_path(*name), "read the checkpoint"),
            None => Ok(None),
        }
    }

    /// SHA-256 of the finished file, byte for byte.
    ///
    /// # Errors
    /// The run is not finished; what the file system says.
    pub fn hash(&self) -> Result<String, Problems> {
        if !self.is_finished() {
            return Err(problem(&self.path, "the run is not finished: its file still changes", "let it finish, or resume it"));
        }
        hash::of_file(&self.path).named(&self.path, "read")
    }

    /// SHA-256 over every dataset and attribute (path, type, shape, bits) outside `/volatile`: equal runs have equal
    /// ones, whatever the clock said, and however often they were killed and resumed.
    ///
    /// While a run goes on, its segments (and the newest checkpoint) are hashed as they lie, so that only records
    /// committed at the same steps compare equal.
    ///
    /// # Errors
    /// A damaged file.
    pub fn content_hash(&self) -> Result<String, Problems> {
        content::hash(self)
    }

    /// The files that hold content, with the path at which each is seen in the master.
    pub(crate) fn roots(&self) -> Vec<(String, &File)> {
        let segments = self.running.iter().flatten().map(|(name, s)| (format!("/segments/{}", name.text()), &s.file));
        std::iter::once((String::new(), &self.master)).chain(segments).collect()
    }

    /// The files that hold events and fields.
    fn files(&self) -> Vec<(PathBuf, &File)> {
        match &self.running {
            None => vec![(self.path.clone(), &self.master)],
            Some(segments) => segments.iter().map(|(name, s)| (self.segment_path(*name), &s.file)).collect(),
        }
    }

    fn segment_path(&self, name: SegmentName) -> PathBuf {
        name.path(&self.path.with_file_name("segments"))
    }

    fn check_replica(&self, replica: usize) -> Result<(), Problems> {
        let n = self.header.replicas.len();
        if replica < n {
            Ok(())
        } else {
            Err(problem(&self.path, format!("there are {n} replicas, number {replica} was asked for"), "replicas count from 0"))
        }
    }
}

/// Frame k of a store.
fn read_frame(store: FieldStore, name: &str, k: usize) -> hdf5::Result<Frame> {
    let components = store.components;
    h5::plausible(&store.data)?;
    let data = store.data.read_slice::<f64, _, ndarray::Ix4>(s![k, .., .., .., ..])?.into_iter().collect();
    let t = store.t.read_slice_1d::<f64, _>(k..k + 1)?[0];
    let replica = store.replica.read_slice_1d::<u32, _>(k..k + 1)?[0] as usize;
    Ok(Frame { name: name.into(), unit: store.unit, replica, t, components, data })
}

/// "did you mean …" or the list of what there is.
fn meant<'a>(name: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    match spinloom_base::diagnostics::nearest(name, known.clone()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("there is {}", spinloom_base::diagnostics::one_of(known)),
    }
}

/// The segments in a folder that count, in order, and the leftovers of kills: unfinished files and segments that a merged one covers.
pub(crate) fn list_segments(folder: &Path) -> Result<(Vec<SegmentName>, Vec<PathBuf>), Problems> {
    let (mut names, mut leftovers) = (Vec::new(), Vec::new());
    if !folder.is_dir() {
        return Ok((names, leftovers));
    }
    for entry in std::fs::read_dir(folder).named(folder, "list the segments")? {
        let file = entry.named(folder, "list the segments")?.file_name();
        let file = file.to_string_lossy();
        match SegmentName::parse(&file) {
            Some(name) => names.push(name),
            None if file.ends_with(".h5.part") => leftovers.push(folder.join(&*file)),
            None => {}
        }
    }
    names.sort_by_key(|n| (n.first, std::cmp::Reverse(n.last)));
    let mut kept: Vec<SegmentName> = Vec::new();
    for name in names {
        match kept.last() {
            Some(last) if last.covers(name) => leftovers.push(name.path(folder)),
            _ => kept.push(name),
        }
    }
    Ok((kept, leftovers))
}

trait CollectProblems {
    fn collect_problems(self) -> Problems;
}

impl<I: Iterator<Item = spinloom_base::Diagnostic>> CollectProblems for I {
    fn collect_problems(self) -> Problems {
        let mut problems = Problems::new();
        self.for_each(|d| problems.push(d));
        problems
    }
}
