//! Segments into one: into a larger segment while the run goes on, into the finished file at its end.

use crate::h5;
use crate::header::{Header, wall_clock};
use crate::segment::{self, EventColumns, FieldStore, Rows, Segment, SegmentWriter};
use hdf5::{Dataset, File, Result};
use hdf5_sys::h5::hsize_t;
use ndarray::Array2;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Numbers of the table held in memory at a time while it is turned from long form into columns: 256 MiB.
const TABLE_BUDGET: usize = 1 << 25;

/// Writes one segment with the rows, events and frames of several, in order, and with no checkpoint.
pub(crate) fn merge(header: &Arc<Header>, segments: &[Segment], path: &Path) -> Result<()> {
    let mut merged = SegmentWriter::create(path, header.clone())?;
    let filled = fill(header, segments, &mut merged);
    let closed = merged.close();
    filled.and(closed)
}

fn fill(header: &Header, segments: &[Segment], merged: &mut SegmentWriter) -> Result<()> {
    for segment in segments {
        segment.each_block(header, |replicas, values| {
            merged.rows(&Rows { replicas: replicas.to_vec(), values: values.iter().copied().collect() })
        })?;
        merged.events(&segment::read_events(&segment.file)?)?;
        for name in segment::field_names(&segment.file)? {
            let from = FieldStore::open(&segment.file, header, &name)?;
            let to = merged.field(&name, &from.unit, from.components)?;
            let (at, frames) = (to.frames(), from.frames());
            let mut shape = to.data.shape();
            shape[0] = at + frames;
            to.data.resize(shape)?;
            to.t.resize(at + frames)?;
            to.replica.resize(at + frames)?;
            copy_frames(&from, to, at)?;
        }
    }
    Ok(())
}

/// Writes the finished file from the segments of a run, the last of which may be uncommitted.
pub(crate) fn finish(header: &Header, segments: &[Segment], path: &Path) -> Result<()> {
    let file = h5::create(path)?;
    let written = header.write(&file, true).and_then(|()| {
        h5::write_scalar(&*file.group("volatile")?, "finished", wall_clock())?;
        write_table(&file, header, segments)?;
        write_events(&file, segments)?;
        write_fields(&file, header, segments)
    });
    let closed = segment::close(file, ());
    written.and(closed)
}

fn write_table(file: &File, header: &Header, segments: &[Segment]) -> Result<()> {
    let table = file.create_group("table")?;
    let mut count = vec![0u64; header.replicas.len()];
    for segment in segments {
        segment.each_block(header, |replicas, _| {
            replicas.iter().for_each(|&r| count[r as usize] += 1);
            Ok(())
        })?;
    }
    h5::write_vec(&table, "count", &count)?;

    let (height, rows) = (count.len(), count.iter().max().copied().unwrap_or(0) as usize);
    let at_once = (TABLE_BUDGET / (height * rows).max(1)).clamp(1, header.columns.len());
    for columns in segment::blocks(header.columns.len(), at_once) {
        let mut ensemble = vec![Array2::from_elem((height, rows), f64::NAN); columns.len()];
        let mut filled = vec![0usize; height];
        for segment in segments {
            segment.each_block(header, |replicas, values| {
                for (row, &r) in replicas.iter().enumerate() {
                    let r = r as usize;
                    for (out, c) in ensemble.iter_mut().zip(columns.clone()) {
                        out[(r, filled[r])] = values[(row, c)];
                    }
                    filled[r] += 1;
                }
                Ok(())
            })?;
        }
        for (values, column) in ensemble.iter().zip(&header.columns[columns]) {
            let builder = table.new_dataset::<f64>().obj_track_times(false).shape((height, rows));
            let dataset = if rows == 0 {
                builder.create(column.name.as_str())?
            } else {
                let wide = rows.min(8192);
                let dataset = builder.shuffle().deflate(4).chunk(((8192 / wide).clamp(1, height), wide)).create(column.name.as_str())?;
                dataset.write(values)?;
                dataset
            };
            h5::write_text(&dataset, "unit", &column.unit)?;
        }
    }
    Ok(())
}

fn write_events(file: &File, segments: &[Segment]) -> Result<()> {
    let mut events = Vec::new();
    for segment in segments {
        events.extend(segment::read_events(&segment.file)?);
    }
    let group = file.create_group("events")?;
    let columns = EventColumns::new(&events);
    h5::write_vec(&group, "replica", &columns.replica)?;
    h5::write_text(&*h5::write_vec(&group, "t", &columns.t)?, "unit", "s")?;
    h5::write_texts(&group, "kind", events.iter().map(|e| e.kind.as_str()))?;
    h5::write_vec(&group, "value", &columns.value)?;
    h5::write_texts(&group, "detail", events.iter().map(|e| e.detail.as_str()))
}

fn write_fields(file: &File, header: &Header, segments: &[Segment]) -> Result<()> {
    file.create_group("fields")?;
    let mut sources: BTreeMap<String, Vec<FieldStore>> = BTreeMap::new();
    for segment in segments {
        for name in segment::field_names(&segment.file)? {
            let store = FieldStore::open(&segment.file, header, &name)?;
            sources.entry(name).or_default().push(store);
        }
    }
    for (name, from) in sources {
        let frames = from.iter().map(FieldStore::frames).sum();
        let to = FieldStore::create(file, header, &name, &from[0].unit, from[0].components, Some(frames))?;
        let mut at = 0;
        for store in &from {
            if (&store.unit, store.components) != (&to.unit, to.components) {
                return Err(format!("`/fields/{name}` changes its unit or its number of components between segments").into());
            }
            copy_frames(store, &to, at)?;
            at += store.frames();
        }
    }
    Ok(())
}

/// Copies all frames of one quantity to `at` in another dataset that has room for them.
fn copy_frames(from: &FieldStore, to: &FieldStore, at: usize) -> Result<()> {
    let frames = from.frames();
    if frames == 0 {
        return Ok(());
    }
    to.t.write_slice(&from.t.read_slice_1d::<f64, _>(..)?, at..at + frames)?;
    to.replica.write_slice(&from.replica.read_slice_1d::<u32, _>(..)?, at..at + frames)?;
    // Both sides were made by `FieldStore::create`: the same chunks and filters, so a chunk is valid in either as it is.
    if from.data.chunk() != to.data.chunk()
        || h5::type_of(&from.data)? != h5::type_of(&to.data)?
        || from.data.filters() != to.data.filters()
    {
        return Err("the frames of two segments are stored in different ways".into());
    }
    let (layers, per_chunk) = (from.data.shape()[1], from.data.chunk().map_or(1, |c| c[1]));
    let mut buffer = Vec::new();
    for k in 0..frames {
        for z in (0..layers).step_by(per_chunk) {
            copy_chunk(&from.data, k, &to.data, at + k, z, &mut buffer)?;
        }
    }
    Ok(())
}

/// Copies the chunk of a frame that starts at layer `z` without decompressing it: a long run folds at the speed of the disk.
fn copy_chunk(from: &Dataset, from_frame: usize, to: &Dataset, to_frame: usize, z: usize, buffer: &mut Vec<u8>) -> Result<()> {
    let start: [hsize_t; 5] = [from_frame as hsize_t, z as hsize_t, 0, 0, 0];
    let goal: [hsize_t; 5] = [to_frame as hsize_t, z as hsize_t, 0, 0, 0];
    let _guard = hdf5_sys::LOCK.lock();
    let (mut filters, mut address, mut size) = (0, 0, 0);
    // SAFETY: the library's lock is held; `from` is an open chunked dataset of rank 5 (checked by the caller), as long as `start`.
    let found =
        unsafe { hdf5_sys::h5d::H5Dget_chunk_info_by_coord(from.id(), start.as_ptr(), &raw mut filters, &raw mut address, &raw mut size) };
    if found < 0 || size == 0 {
        return Err(format!("frame {from_frame} is missing in a segment").into());
    }
    h5::room::<u8>(size as usize)?;
    buffer.resize(size as usize, 0);
    let mut stored = 0;
    let (id, plain) = (from.id(), hdf5_sys::h5p::H5P_DEFAULT);
    // SAFETY: as above; `buffer` is as long as the library said the stored chunk is.
    #[cfg(not(feature = "bundled"))]
    let read = unsafe { hdf5_sys::h5d::H5Dread_chunk1(id, plain, start.as_ptr(), &raw mut stored, buffer.as_mut_ptr().cast()) };
    // The bundled library is of version 2, built without what that version deprecates: its function is told how long the buffer is.
    #[cfg(feature = "bundled")]
    let mut length = buffer.len();
    // SAFETY: as above.
    #[cfg(feature = "bundled")]
    let read =
        unsafe { hdf5_sys::h5d::H5Dread_chunk2(id, plain, start.as_ptr(), &raw mut stored, buffer.as_mut_ptr().cast(), &raw mut length) };
    if read < 0 {
        return Err(format!("frame {from_frame} of a segment cannot be read").into());
    }
    // SAFETY: as above for `to` and `goal`; the library only reads `buffer`.
    h5::checked(unsafe {
        hdf5_sys::h5d::H5Dwrite_chunk(to.id(), hdf5_sys::h5p::H5P_DEFAULT, stored, goal.as_ptr(), buffer.len(), buffer.as_ptr().cast())
    })
}
