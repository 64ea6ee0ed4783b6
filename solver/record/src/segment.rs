//! Rows, events, frames and a checkpoint in one HDF5 file: written in pieces, closed once, read back.

use crate::header::{Header, Precision};
use crate::{SCHEMA, h5};
use hdf5::{Dataset, File, Group, H5Type, Result};
use ndarray::{Array2, ArrayView2, ArrayView4, s};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// Rows that go to the disk, or are read back, at a time.
pub(crate) const ROWS_AT_A_TIME: usize = 1 << 16;

/// The largest chunk of a frame, bytes. HDF5 allows 4 GiB; a larger frame is cut between layers.
const CHUNK_LIMIT: usize = 1 << 30;

/// Something that happened at one instant to one replica.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Index of the replica.
    pub replica: usize,
    /// When, s.
    pub t: f64,
    /// What kind, e.g. `switch`.
    pub kind: String,
    /// A number that belongs to it, in a unit that the kind implies.
    pub value: f64,
    /// Whatever else is to be said.
    pub detail: String,
}

/// The state from which a run continues, as the caller sees fit. It comes back bit for bit, NaN payloads included.
///
/// Names must not be empty or hold `/`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Checkpoint {
    /// Numbers, any length.
    pub arrays: BTreeMap<String, Vec<f64>>,
    /// Counters, seeds, raw bits; any length.
    pub integers: BTreeMap<String, Vec<u64>>,
    /// Texts, which may hold any character.
    pub text: BTreeMap<String, String>,
}

/// Rows of all replicas in the order written: `values` is (rows, columns), row-major.
#[derive(Default)]
pub(crate) struct Rows {
    pub replicas: Vec<u32>,
    pub values: Vec<f64>,
}

/// The numbers of a frame in the precision of the file, shape (nz, ny, nx, components).
pub(crate) enum Cells {
    Single(Vec<f32>),
    Double(Vec<f64>),
}

/// One frame on its way to the disk.
pub(crate) struct NewFrame {
    pub name: String,
    pub unit: String,
    pub replica: u32,
    pub t: f64,
    pub components: usize,
    pub cells: Cells,
}

/// The datasets of one quantity.
pub(crate) struct FieldStore {
    pub data: Dataset,
    pub t: Dataset,
    pub replica: Dataset,
    pub unit: String,
    pub components: usize,
}

impl FieldStore {
    /// New datasets below `/fields/<name>`; growing where `frames` is `None`.
    pub(crate) fn create(file: &File, header: &Header, name: &str, unit: &str, components: usize, frames: Option<usize>) -> Result<Self> {
        let group = file.create_group(&format!("fields/{name}"))?;
        let [nx, ny, nz] = header.mesh.n;
        let layer = ny * nx * components * if header.precision == Precision::Single { 4 } else { 8 };
        let layers = (CHUNK_LIMIT / layer.max(1)).clamp(1, nz);
        let data = match header.precision {
            Precision::Single => group.new_dataset::<f32>(),
            Precision::Double => group.new_dataset::<f64>(),
        };
        let data = data.obj_track_times(false).shuffle().deflate(4).chunk((1, layers, ny, nx, components));
        let data = match frames {
            None => data.shape((0.., nz, ny, nx, components)).create("data")?,
            Some(n) => data.shape((n, nz, ny, nx, components)).create("data")?,
        };
        h5::write_text(&data, "unit", unit)?;
        let (t, replica) = match frames {
            None => (growing::<f64>(&group, "t", 128)?, growing::<u32>(&group, "replica", 128)?),
            Some(n) => (h5::write_vec(&group, "t", &vec![0.0f64; n])?, h5::write_vec(&group, "replica", &vec![0u32; n])?),
        };
        h5::write_text(&t, "unit", "s")?;
        Ok(Self { data, t, replica, unit: unit.into(), components })
    }

    /// The datasets of a closed file.
    pub(crate) fn open(file: &File, header: &Header, name: &str) -> Result<Self> {
        let group = file.group(&format!("fields/{name}"))?;
        let data = group.dataset("data")?;
        let (t, replica) = (group.dataset("t")?, group.dataset("replica")?);
        let [nx, ny, nz] = header.mesh.n;
        match data.shape()[..] {
            [f, z, y, x, components] if [z, y, x] == [nz, ny, nx] && t.shape() == [f] && replica.shape() == [f] => {
                Ok(Self { unit: h5::read_text(&data, "unit")?, components, data, t, replica })
            }
            ref other => {
                Err(format!("`/fields/{name}/data` has the shape {other:?}, expected ({f}, {nz}, {ny}, {nx}, components)", f = t.size())
                    .into())
            }
        }
    }

    pub(crate) fn frames(&self) -> usize {
        self.t.size()
    }

    fn append(&self, frame: &NewFrame) -> Result<()> {
        let k = self.frames();
        let mut shape = self.data.shape();
        shape[0] = k + 1;
        self.data.resize(shape.clone())?;
        let layers = (shape[1], shape[2], shape[3], shape[4]);
        match &frame.cells {
            Cells::Single(v) => self.data.write_slice(ArrayView4::from_shape(layers, v)?, s![k, .., .., .., ..])?,
            Cells::Double(v) => self.data.write_slice(ArrayView4::from_shape(layers, v)?, s![k, .., .., .., ..])?,
        }
        grow(&self.t, &[frame.t])?;
        grow(&self.replica, &[frame.replica])
    }
}

/// An empty one-dimensional dataset that can grow.
fn growing<T: H5Type>(at: &Group, name: &str, chunk: usize) -> Result<Dataset> {
    at.new_dataset::<T>().obj_track_times(false).chunk(chunk).shape(0..).create(name)
}

/// Appends to a one-dimensional dataset.
fn grow<T: H5Type>(dataset: &Dataset, values: &[T]) -> Result<()> {
    if values.is_empty() {
        return Ok(());
    }
    let old = dataset.size();
    dataset.resize(old + values.len())?;
    dataset.write_slice(values, old..old + values.len())
}

/// A segment being written.
pub(crate) struct SegmentWriter {
    header: Arc<Header>,
    file: File,
    replicas: Dataset,
    values: Dataset,
    events: Option<Group>,
    fields: BTreeMap<String, FieldStore>,
}

impl SegmentWriter {
    pub(crate) fn create(path: &Path, header: Arc<Header>) -> Result<Self> {
        let file = h5::create(path)?;
        h5::write_text(&file, "schema", SCHEMA)?;
        let rows = file.create_group("rows")?;
        let width = header.columns.len();
        let chunk = (8192 / width).clamp(64, 4096);
        let replicas = rows.new_dataset::<u32>().obj_track_times(false).shuffle().deflate(4).chunk(chunk).shape(0..).create("replica")?;
        let values = rows
            .new_dataset::<f64>()
            .obj_track_times(false)
            .shuffle()
            .deflate(4)
            .chunk((chunk, width))
            .shape((0.., width))
            .create("values")?;
        Ok(Self { header, file, replicas, values, events: None, fields: BTreeMap::new() })
    }

    pub(crate) fn rows(&mut self, rows: &Rows) -> Result<()> {
        let (old, new) = (self.replicas.size(), rows.replicas.len());
        if new == 0 {
            return Ok(());
        }
        let width = self.header.columns.len();
        grow(&self.replicas, &rows.replicas)?;
        self.values.resize((old + new, width))?;
        self.values.write_slice(ArrayView2::from_shape((new, width), &rows.values)?, s![old..old + new, ..])
    }

    pub(crate) fn events(&mut self, events: &[Event]) -> Result<()> {
        if events.is_empty() {
            return Ok(());
        }
        let group = match &self.events {
            Some(group) => group,
            None => {
                let group = self.file.create_group("events")?;
                growing::<u32>(&group, "replica", 256)?;
                growing::<f64>(&group, "t", 256)?;
                growing::<u8>(&group, "kind", 4096)?;
                growing::<f64>(&group, "value", 256)?;
                growing::<u8>(&group, "detail", 4096)?;
                self.events.insert(group)
            }
        };
        let columns = EventColumns::new(events);
        grow(&group.dataset("replica")?, &columns.replica)?;
        grow(&group.dataset("t")?, &columns.t)?;
        grow(&group.dataset("kind")?, &h5::stream_of(events.iter().map(|e| e.kind.as_str())))?;
        grow(&group.dataset("value")?, &columns.value)?;
        grow(&group.dataset("detail")?, &h5::stream_of(events.iter().map(|e| e.detail.as_str())))
    }

    pub(crate) fn frame(&mut self, frame: &NewFrame) -> Result<()> {
        self.field(&frame.name, &frame.unit, frame.components)?.append(frame)
    }

    /// The datasets of a quantity, made at its first frame.
    pub(crate) fn field(&mut self, name: &str, unit: &str, components: usize) -> Result<&FieldStore> {
        if !self.fields.contains_key(name) {
            let store = FieldStore::create(&self.file, &self.header, name, unit, components, None)?;
            self.fields.insert(name.into(), store);
        }
        Ok(&self.fields[name])
    }

    /// Writes the state that belongs to the end of this segment.
    pub(crate) fn checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        let group = self.file.create_group("checkpoint")?;
        let arrays = group.create_group("arrays")?;
        for (name, values) in &checkpoint.arrays {
            h5::write_vec(&arrays, name, values)?;
        }
        let integers = group.create_group("integers")?;
        for (name, values) in &checkpoint.integers {
            h5::write_vec(&integers, name, values)?;
        }
        let text = group.create_group("text")?;
        for (name, value) in &checkpoint.text {
            // Bytes, since an HDF5 text ends at its first zero byte and this one must come back whole.
            h5::write_vec(&text, name, value.as_bytes())?;
        }
        Ok(())
    }

    /// Writes everything out and closes the file.
    pub(crate) fn close(self) -> Result<()> {
        let Self { file, replicas, values, events, fields, .. } = self;
        close(file, (replicas, values, events, fields))
    }
}

/// Flushes, drops what is open inside, closes. The flush comes first since handles that are dropped keep their errors to themselves.
pub(crate) fn close<T>(file: File, open_inside: T) -> Result<()> {
    let flushed = file.flush();
    drop(open_inside);
    let closed = file.close();
    flushed.and(closed)
}

/// Numbers of events as columns.
pub(crate) struct EventColumns {
    pub replica: Vec<u32>,
    pub t: Vec<f64>,
    pub value: Vec<f64>,
}

impl EventColumns {
    pub(crate) fn new(events: &[Event]) -> Self {
        Self {
            replica: events.iter().map(|e| e.replica as u32).collect(),
            t: events.iter().map(|e| e.t).collect(),
            value: events.iter().map(|e| e.value).collect(),
        }
    }
}

/// Events of a segment or of a finished record.
pub(crate) fn read_events(file: &File) -> Result<Vec<Event>> {
    if !file.link_exists("events") {
        return Ok(Vec::new());
    }
    let group = file.group("events")?;
    let (replica, t) = (h5::read_vec::<u32>(&group, "replica")?, h5::read_vec::<f64>(&group, "t")?);
    let (kind, value, detail) = (h5::read_texts(&group, "kind")?, h5::read_vec::<f64>(&group, "value")?, h5::read_texts(&group, "detail")?);
    h5::same_length("events", &[replica.len(), t.len(), kind.len(), value.len(), detail.len()])?;
    let rest = kind.into_iter().zip(value).zip(detail);
    Ok(replica
        .into_iter()
        .zip(t)
        .zip(rest)
        .map(|((replica, t), ((kind, value), detail))| Event { replica: replica as usize, t, kind, value, detail })
        .collect())
}

/// Names of the quantities in a file, sorted.
pub(crate) fn field_names(file: &File) -> Result<Vec<String>> {
    if !file.link_exists("fields") {
        return Ok(Vec::new());
    }
    let mut names = file.group("fields")?.member_names()?;
    names.sort();
    Ok(names)
}

/// A closed segment. The open handle keeps it readable should a writer merge and remove it meanwhile.
#[derive(Debug)]
pub(crate) struct Segment {
    pub file: File,
}

impl Segment {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let file = h5::open(path)?;
        let schema = h5::read_text(&file, "schema")?;
        if schema != SCHEMA {
            return Err(format!("schema `{schema}`, expected `{SCHEMA}`").into());
        }
        Ok(Self { file })
    }

    /// Calls `take(replicas, values)` with blocks of rows in the order written.
    pub(crate) fn each_block(&self, header: &Header, mut take: impl FnMut(&[u32], ArrayView2<f64>) -> Result<()>) -> Result<()> {
        let (replicas, values) = (self.file.dataset("rows/replica")?, self.file.dataset("rows/values")?);
        let (n, width) = (replicas.size(), header.columns.len());
        if values.shape() != [n, width] {
            return Err(format!("`/rows/values` has the shape {:?}, expected ({n}, {width})", values.shape()).into());
        }
        h5::plausible(&replicas)?;
        for block in blocks(n, ROWS_AT_A_TIME) {
            let which = replicas.read_slice_1d::<u32, _>(block.clone())?.to_vec();
            if let Some(wrong) = which.iter().find(|r| **r as usize >= header.replicas.len()) {
                return Err(format!("a row of replica {wrong}, which does not exist").into());
            }
            let values: Array2<f64> = values.read_slice_2d(s![block, ..])?;
            take(&which, values.view())?;
        }
        Ok(())
    }

    /// The state at its end, if it is still there.
    pub(crate) fn checkpoint(&self) -> Result<Option<Checkpoint>> {
        if !self.file.link_exists("checkpoint") {
            return Ok(None);
        }
        let group = self.file.group("checkpoint")?;
        let mut checkpoint = Checkpoint::default();
        let arrays = group.group("arrays")?;
        for name in arrays.member_names()? {
            let values = h5::read_vec(&arrays, &name)?;
            checkpoint.arrays.insert(name, values);
        }
        let integers = group.group("integers")?;
        for name in integers.member_names()? {
            let values = h5::read_vec(&integers, &name)?;
            checkpoint.integers.insert(name, values);
        }
        let text = group.group("text")?;
        for name in text.member_names()? {
            let bytes = h5::read_vec::<u8>(&text, &name)?;
            let value = String::from_utf8(bytes).map_err(|_| format!("`/checkpoint/text/{name}` is not UTF-8"))?;
            checkpoint.text.insert(name, value);
        }
        Ok(Some(checkpoint))
    }
}

/// `0..n` in pieces of at most `size`.
pub(crate) fn blocks(n: usize, size: usize) -> impl Iterator<Item = Range<usize>> {
    (0..n).step_by(size.max(1)).map(move |a| a..n.min(a + size.max(1)))
}
