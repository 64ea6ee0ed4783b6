//! Small helpers over `hdf5`: texts, vectors, attributes, and errors that name the file.

use hdf5::types::{TypeDescriptor, VarLenUnicode};
use hdf5::{Container, Dataset, File, FileBuilder, Group, H5Type, Location, Result};
use spinloom_base::{Diagnostic, Problems};
use std::path::Path;
use std::str::FromStr;

/// How files are opened: without HDF5's own locks. Such a lock is inherited by every process that this one starts meanwhile
/// (a plug-in, a plot) and then outlives the closing of the file, which cannot be opened again. It would guard nothing:
/// no file is ever open for writing under a name that readers know.
fn unlocked() -> FileBuilder {
    let mut builder = File::with_options();
    builder.with_fapl(|access| access.file_locking(false));
    builder
}

pub(crate) fn open(path: &Path) -> Result<File> {
    unlocked().open(path)
}

pub(crate) fn create(path: &Path) -> Result<File> {
    unlocked().create(path)
}

/// Turns errors of a library into problems with a place.
pub(crate) trait Named<T> {
    /// `FILE: cannot DOING: what the library says`.
    fn named(self, file: &Path, doing: &str) -> std::result::Result<T, Problems>;
}

impl<T> Named<T> for Result<T> {
    fn named(self, file: &Path, doing: &str) -> std::result::Result<T, Problems> {
        self.map_err(|e| Diagnostic::file(file.display().to_string(), format!("cannot {doing}: {}", said(&e))).into())
    }
}

impl<T> Named<T> for std::io::Result<T> {
    fn named(self, file: &Path, doing: &str) -> std::result::Result<T, Problems> {
        self.map_err(|e| Diagnostic::file(file.display().to_string(), format!("cannot {doing}: {e}")).into())
    }
}

/// HDF5 names the system's error ("No space left on device") only in the deepest frame of its stack.
fn said(error: &hdf5::Error) -> String {
    let deepest = error.stack().and_then(|s| s.iter().map(|f| f.desc().to_string()).find(|d| d.contains("error message = ")));
    match deepest {
        Some(deepest) => format!("{error} ({deepest})"),
        None => error.to_string(),
    }
}

/// A problem with a whole file.
pub(crate) fn problem(file: &Path, message: impl Into<String>, hint: &str) -> Problems {
    Diagnostic::file(file.display().to_string(), message).hint(hint).into()
}

/// Whether a text can name an HDF5 link.
pub(crate) fn is_name(text: &str) -> bool {
    !text.is_empty() && text != "." && text != ".." && !text.contains(['/', '\0'])
}

fn unicode(text: &str) -> Result<VarLenUnicode> {
    VarLenUnicode::from_str(text).map_err(|_| hdf5::Error::from(format!("the text {text:?} holds a zero byte, which HDF5 texts cannot")))
}

/// Text that came from a file: a damaged one need not be UTF-8.
fn lossy(text: &VarLenUnicode) -> String {
    String::from_utf8_lossy(text.as_bytes()).into_owned()
}

pub(crate) fn write_text(at: &Location, name: &str, text: &str) -> Result<()> {
    at.new_attr::<VarLenUnicode>().create(name)?.write_scalar(&unicode(text)?)
}

pub(crate) fn write_scalar<T: H5Type>(at: &Location, name: &str, value: T) -> Result<()> {
    at.new_attr::<T>().create(name)?.write_scalar(&value)
}

pub(crate) fn write_three<T: H5Type>(at: &Location, name: &str, value: [T; 3]) -> Result<()> {
    at.new_attr::<T>().shape(3).create(name)?.write_raw(&value)
}

/// A one-dimensional dataset of fixed length. Times are not tracked, so that equal runs give equal bytes.
pub(crate) fn write_vec<T: H5Type>(at: &Group, name: &str, values: &[T]) -> Result<hdf5::Dataset> {
    let dataset = at.new_dataset::<T>().obj_track_times(false).shape(values.len()).create(name)?;
    if !values.is_empty() {
        dataset.write_raw(values)?;
    }
    Ok(dataset)
}

pub(crate) fn write_texts<'a>(at: &Group, name: &str, texts: impl Iterator<Item = &'a str>) -> Result<()> {
    write_vec(at, name, &unicodes(texts)?).map(|_| ())
}

pub(crate) fn unicodes<'a>(texts: impl Iterator<Item = &'a str>) -> Result<Vec<VarLenUnicode>> {
    texts.map(unicode).collect()
}

/// A damaged file may say anything about its types, and HDF5 converts where it can: compare first.
fn expect<T: H5Type>(container: &Container, name: &str) -> Result<()> {
    let (found, expected) = (container.dtype()?.to_descriptor()?, T::type_descriptor());
    if found == expected { Ok(()) } else { Err(format!("`{name}` has the type {found}, expected {expected}").into()) }
}

/// A damaged file may claim any size: ask for the memory politely before the library takes it.
pub(crate) fn room<T>(size: usize) -> Result<()> {
    Vec::<T>::new().try_reserve_exact(size).map_err(|_| hdf5::Error::from(format!("{size} values do not fit into memory")))
}

/// A damaged file may claim more values than it holds; HDF5 would make them up from fill values, terabytes of them if
/// need be. Deflate shrinks at most 1032-fold.
pub(crate) fn plausible(dataset: &Dataset) -> Result<()> {
    let claimed = dataset.size() as u128 * dataset.dtype()?.size() as u128;
    if claimed <= 1100 * dataset.storage_size() as u128 {
        return Ok(());
    }
    Err(format!("`{}` claims {claimed} bytes and holds {} compressed", dataset.name(), dataset.storage_size()).into())
}

fn whole<T: H5Type>(container: &Container, name: &str) -> Result<Vec<T>> {
    expect::<T>(container, name)?;
    room::<T>(container.space()?.size())?;
    container.read_raw()
}

pub(crate) fn read_text(at: &Location, name: &str) -> Result<String> {
    let attribute = at.attr(name)?;
    expect::<VarLenUnicode>(&attribute, name)?;
    Ok(lossy(&attribute.read_scalar()?))
}

pub(crate) fn read_scalar<T: H5Type>(at: &Location, name: &str) -> Result<T> {
    let attribute = at.attr(name)?;
    expect::<T>(&attribute, name)?;
    attribute.read_scalar()
}

pub(crate) fn read_three<T: H5Type + Copy>(at: &Location, name: &str) -> Result<[T; 3]> {
    let values = whole::<T>(&*at.attr(name)?, name)?;
    <[T; 3]>::try_from(values).map_err(|v| format!("`{name}` has {} values, expected 3", v.len()).into())
}

pub(crate) fn read_vec<T: H5Type>(at: &Group, name: &str) -> Result<Vec<T>> {
    let dataset = at.dataset(name)?;
    plausible(&dataset)?;
    whole(&dataset, name)
}

pub(crate) fn read_texts(at: &Group, name: &str) -> Result<Vec<String>> {
    Ok(texts_of(&read_vec::<VarLenUnicode>(at, name)?))
}

pub(crate) fn texts_of(values: &[VarLenUnicode]) -> Vec<String> {
    values.iter().map(lossy).collect()
}

/// The type as a word, for messages and hashes.
pub(crate) fn type_of(container: &Container) -> Result<TypeDescriptor> {
    container.dtype()?.to_descriptor()
}

/// Several columns of one list must be equally long.
pub(crate) fn same_length(name: &str, lengths: &[usize]) -> Result<()> {
    if lengths.windows(2).all(|w| w[0] == w[1]) {
        Ok(())
    } else {
        Err(format!("the columns of `{name}` differ in length: {lengths:?}").into())
    }
}
