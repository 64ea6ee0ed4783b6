//! Small helpers over `hdf5`: texts, vectors, attributes, and errors that name the file.
//!
//! A damaged file must end in a message, and HDF5 trusts two things that it should not: metadata of its first format, which carry no checksums, and the heap in which texts of variable length lie
//! (`H5HG_read` reads where a damaged one points, or for ever). So files are of the format of 1.10, whose metadata are checked, and texts have a fixed length, that of the longest of
//! their list. Records from before have texts of variable length and are read as ever.

use hdf5::types::{IntSize, TypeDescriptor, VarLenUnicode};
use hdf5::{Container, Dataset, File, FileBuilder, Group, H5Type, Location, Result};
use spinloom_base::{Diagnostic, Problems};
use std::path::Path;

/// How files are opened: without HDF5's own locks. Such a lock is inherited by every process that this one starts meanwhile
/// (a plug-in, a plot) and then outlives the closing of the file, which cannot be opened again. It would guard nothing:
/// no file is ever open for writing under a name that readers know.
fn unlocked() -> FileBuilder {
    let mut builder = File::with_options();
    builder.with_fapl(|access| access.file_locking(false).libver_v110());
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

/// What the library's own functions return; the error is that of its stack.
pub(crate) fn checked(returned: i32) -> Result<()> {
    if returned < 0 { Err(hdf5::Error::query().unwrap_or_else(|e| e)) } else { Ok(()) }
}

/// Texts side by side, each filled up with zeros to the length of the longest, and that length.
fn padded(texts: &[&str]) -> Result<(usize, Vec<u8>)> {
    if let Some(text) = texts.iter().find(|t| t.contains('\0')) {
        return Err(format!("the text {text:?} holds a zero byte, which HDF5 texts cannot").into());
    }
    let width = texts.iter().map(|t| t.len()).max().unwrap_or(0).max(1);
    let mut bytes = vec![0; width * texts.len()];
    bytes.chunks_exact_mut(width).zip(texts).for_each(|(to, text)| to[..text.len()].copy_from_slice(text.as_bytes()));
    Ok((width, bytes))
}

fn fixed(width: usize) -> TypeDescriptor {
    TypeDescriptor::FixedUnicode(width)
}

pub(crate) fn write_text(at: &Location, name: &str, text: &str) -> Result<()> {
    let (width, bytes) = padded(&[text])?;
    let attribute = at.new_attr_builder().empty_as(fixed(width)).create(name)?;
    let kind = attribute.dtype()?;
    let _guard = hdf5_sys::LOCK.lock();
    // SAFETY: the library's lock is held; `bytes` holds the one value of an attribute of `kind`, which is `width` bytes long.
    checked(unsafe { hdf5_sys::h5a::H5Awrite(attribute.id(), kind.id(), bytes.as_ptr().cast()) })
}

/// Writes texts to a dataset of as many that was made for them.
fn put_texts(dataset: &Dataset, bytes: &[u8]) -> Result<()> {
    use hdf5_sys::{h5p::H5P_DEFAULT, h5s::H5S_ALL};
    let kind = dataset.dtype()?;
    assert_eq!(bytes.len(), dataset.size() * kind.size(), "a dataset is made for its texts");
    let _guard = hdf5_sys::LOCK.lock();
    // SAFETY: the library's lock is held; `bytes` is as long as all values of `kind` together.
    checked(unsafe { hdf5_sys::h5d::H5Dwrite(dataset.id(), kind.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes.as_ptr().cast()) })
}

/// A scalar dataset of one text.
pub(crate) fn write_scalar_text(at: &Group, name: &str, text: &str) -> Result<()> {
    let (width, bytes) = padded(&[text])?;
    put_texts(&at.new_dataset_builder().empty_as(fixed(width)).obj_track_times(false).create(name)?, &bytes)
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
    let texts: Vec<&str> = texts.collect();
    let (width, bytes) = padded(&texts)?;
    let dataset = at.new_dataset_builder().empty_as(fixed(width)).obj_track_times(false).shape(texts.len()).create(name)?;
    if texts.is_empty() { Ok(()) } else { put_texts(&dataset, &bytes) }
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

/// All texts of a dataset or an attribute. What came from a damaged file need not be UTF-8.
pub(crate) fn texts_in(container: &Container, name: &str) -> Result<Vec<String>> {
    let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match type_of(container)? {
        TypeDescriptor::FixedUnicode(width) => {
            let count = container.space()?.size();
            let size = count.checked_mul(width).ok_or("texts that fit no memory")?;
            room::<u8>(size)?;
            room::<String>(count)?;
            let mut bytes = vec![0u8; size];
            if size == 0 {
                return Ok(vec![String::new(); count]);
            }
            let (kind, id) = (container.dtype()?, container.id());
            let _guard = hdf5_sys::LOCK.lock();
            // SAFETY: the library's lock is held; `bytes` has room for `count` values of `width` bytes, as type and space of the container say.
            checked(unsafe {
                use hdf5_sys::{h5i, h5p::H5P_DEFAULT, h5s::H5S_ALL};
                if h5i::H5Iget_type(id) == h5i::H5I_type_t::H5I_ATTR {
                    hdf5_sys::h5a::H5Aread(id, kind.id(), bytes.as_mut_ptr().cast())
                } else {
                    hdf5_sys::h5d::H5Dread(id, kind.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes.as_mut_ptr().cast())
                }
            })?;
            Ok(bytes.chunks_exact(width).map(|t| lossy(&t[..t.iter().position(|b| *b == 0).unwrap_or(width)])).collect())
        }
        // A stream, each text with a zero behind it: what grows knows no longest text.
        TypeDescriptor::Unsigned(IntSize::U1) => {
            let bytes: Vec<u8> = whole(container, name)?;
            let mut texts: Vec<String> = bytes.split(|b| *b == 0).map(lossy).collect();
            match texts.pop() {
                Some(rest) if rest.is_empty() => Ok(texts),
                _ => Err(format!("the last text of `{name}` has no end").into()),
            }
        }
        TypeDescriptor::VarLenUnicode => Ok(whole::<VarLenUnicode>(container, name)?.iter().map(|t| lossy(t.as_bytes())).collect()),
        other => Err(format!("`{name}` has the type {other}, expected texts").into()),
    }
}

/// Texts on their way to a dataset that grows; see [`texts_in`].
pub(crate) fn stream_of<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<u8> {
    texts.flat_map(|t| t.bytes().chain([0])).collect()
}

pub(crate) fn read_text(at: &Location, name: &str) -> Result<String> {
    let mut texts = texts_in(&*at.attr(name)?, name)?;
    match (texts.pop(), texts.is_empty()) {
        (Some(text), true) => Ok(text),
        _ => Err(format!("`{name}` is not one text").into()),
    }
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
    let dataset = at.dataset(name)?;
    plausible(&dataset)?;
    texts_in(&dataset, name)
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::str::FromStr;

    #[test]
    fn texts_come_back_whole_and_those_of_older_records_too() {
        let dir = tempfile::tempdir().unwrap();
        let file = create(&dir.path().join("a.h5")).unwrap();
        let texts = ["", "µ₀ H", "a longer one"];
        write_texts(&file, "new", texts.iter().copied()).unwrap();
        write_texts(&file, "none", std::iter::empty()).unwrap();
        write_scalar_text(&file, "one", "// µ₀").unwrap();
        write_text(&file, "unit", "A/m²").unwrap();
        write_text(&file, "empty", "").unwrap();
        let old: Vec<VarLenUnicode> = texts.iter().map(|t| VarLenUnicode::from_str(t).unwrap()).collect();
        write_vec(&file, "old", &old).unwrap();
        file.new_attr::<VarLenUnicode>().create("before").unwrap().write_scalar(&old[1]).unwrap();
        write_vec(&file, "stream", &stream_of(texts.iter().copied())).unwrap();
        write_vec(&file, "cut", b"a\0b").unwrap();
        for name in ["new", "old", "stream"] {
            assert_eq!(read_texts(&file, name).unwrap(), texts, "{name}");
        }
        assert!(read_texts(&file, "none").unwrap().is_empty());
        assert_eq!(read_texts(&file, "one").unwrap(), ["// µ₀"]);
        assert_eq!(["unit", "empty", "before"].map(|n| read_text(&file, n).unwrap()), ["A/m²", "", "µ₀ H"]);
        assert!(read_texts(&file, "cut").unwrap_err().to_string().contains("no end"));
        assert!(write_text(&file, "zero", "a\0b").unwrap_err().to_string().contains("zero byte"));
    }
}
