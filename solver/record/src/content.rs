//! What a record says, whatever file it lies in: the hash of its content, and the comparison of two.

use crate::h5::{self, Named};
use crate::reader::Record;
use crate::segment::blocks;
use hdf5::types::{FloatSize, IntSize, TypeDescriptor as Type, VarLenUnicode};
use hdf5::{Attribute, Container, Dataset, File, Group, H5Type, Hyperslab, LocationType, Result, Selection, SliceOrIndex};
use spinloom_base::{Problems, hash as sha};
use std::collections::BTreeMap;
use std::fmt;

/// Values compared or hashed at a time.
const AT_A_TIME: usize = 1 << 19;

/// A record has three levels of groups; a damaged file may have loops.
const DEEPEST: usize = 8;

/// One dataset or attribute in which two records differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Its path; attributes as `/group@name`.
    pub path: String,
    /// What the first record has.
    pub left: String,
    /// What the second record has.
    pub right: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}: {} | {}", self.path, self.left, self.right)
    }
}

/// Compares every dataset and attribute of two records bit for bit, `/volatile` aside. No difference: the same run.
///
/// # Errors
/// A damaged file.
pub fn diff(a: &Record, b: &Record) -> std::result::Result<Vec<Difference>, Problems> {
    let (left, right) = (items(a)?, items(b)?);
    let paths: std::collections::BTreeSet<&String> = left.keys().chain(right.keys()).collect();
    let mut differences = Vec::new();
    for path in paths {
        let difference = match (left.get(path), right.get(path)) {
            (Some(a), Some(b)) => compare(a, b).map_err(|e| name_both(path, &e))?,
            (Some(a), None) => Some((a.shape_text().map_err(|e| name_both(path, &e))?, "absent".into())),
            (None, Some(b)) => Some(("absent".into(), b.shape_text().map_err(|e| name_both(path, &e))?)),
            (None, None) => None,
        };
        differences.extend(difference.map(|(left, right)| Difference { path: path.clone(), left, right }));
    }
    return Ok(differences);

    fn name_both(path: &str, error: &hdf5::Error) -> Problems {
        spinloom_base::Diagnostic::error(format!("cannot compare `{path}`: {error}")).into()
    }
}

/// One line per item (path, type, shape, hashes of its blocks); the hash of these lines is the hash of the content.
pub(crate) fn hash(record: &Record) -> std::result::Result<String, Problems> {
    let mut lines = String::new();
    for (path, item) in items(record)? {
        lines += &format!("{path} {}", item.shape_text().named(record.path(), "hash")?);
        for part in item.parts().named(record.path(), "hash")? {
            lines.push(' ');
            lines += &sha::of_bytes(&item.read(part).named(record.path(), "hash")?.bytes());
        }
        lines.push('\n');
    }
    Ok(sha::of_bytes(lines.as_bytes()))
}

/// A dataset or an attribute.
enum Item {
    Dataset(Dataset),
    Attribute(Attribute),
    Group,
}

/// Some values, by their bits or as texts.
#[derive(PartialEq)]
enum Block {
    Bits(Vec<u64>),
    Texts(Vec<String>),
}

impl Block {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Bits(bits) => bits.iter().flat_map(|b| b.to_le_bytes()).collect(),
            // The length in front keeps ["ab", "c"] apart from ["a", "bc"].
            Self::Texts(texts) => texts.iter().flat_map(|t| (t.len() as u64).to_le_bytes().into_iter().chain(t.bytes())).collect(),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Bits(bits) => bits.len(),
            Self::Texts(texts) => texts.len(),
        }
    }

    /// Index of the first value in which two blocks of one shape differ.
    fn first_difference(&self, other: &Self) -> Option<usize> {
        match (self, other) {
            (Self::Bits(a), Self::Bits(b)) => a.iter().zip(b).position(|(a, b)| a != b),
            (Self::Texts(a), Self::Texts(b)) => a.iter().zip(b).position(|(a, b)| a != b),
            _ => Some(0),
        }
    }

    fn show(&self, kind: &Type, i: usize) -> String {
        match (self, kind) {
            (Self::Texts(t), _) => format!("{:?}", t[i].chars().take(60).collect::<String>()),
            (Self::Bits(b), Type::Float(FloatSize::U4)) => format!("{:e}", f32::from_bits(b[i] as u32)),
            (Self::Bits(b), Type::Float(_)) => format!("{:e}", f64::from_bits(b[i])),
            (Self::Bits(b), _) => b[i].to_string(),
        }
    }
}

impl Item {
    fn container(&self) -> Option<&Container> {
        match self {
            Self::Dataset(d) => Some(d),
            Self::Attribute(a) => Some(a),
            Self::Group => None,
        }
    }

    fn shape_text(&self) -> Result<String> {
        match self.container() {
            // Texts are texts, however long there is room for.
            Some(c) => Ok(match h5::type_of(c)? {
                Type::FixedUnicode(_) => format!("{} {:?}", Type::VarLenUnicode, c.get_shape()?),
                other => format!("{other} {:?}", c.get_shape()?),
            }),
            None => Ok("group".into()),
        }
    }

    /// Selections that together cover the values in C order; they depend on type and shape only.
    fn parts(&self) -> Result<Vec<Selection>> {
        let Some(container) = self.container() else { return Ok(Vec::new()) };
        let shape = container.get_shape()?;
        let size = shape.iter().try_fold(1usize, |a, &n| a.checked_mul(n)).ok_or("a shape that fits no memory")?;
        if size == 0 {
            return Ok(Vec::new());
        }
        if let Self::Dataset(dataset) = self {
            h5::plausible(dataset)?;
        }
        if size <= AT_A_TIME || matches!(h5::type_of(container)?, Type::FixedUnicode(_)) || !matches!(self, Self::Dataset(_)) {
            return Ok(vec![Selection::All]);
        }
        let ranges = blocks(shape[0], AT_A_TIME / (size / shape[0]));
        Ok(ranges
            .map(|range| {
                let mut part = vec![SliceOrIndex::from(range)];
                part.resize(shape.len(), SliceOrIndex::from(..));
                Selection::Hyperslab(Hyperslab::from(part))
            })
            .collect())
    }

    fn read(&self, part: Selection) -> Result<Block> {
        match self.container() {
            Some(container) => read(container, &h5::type_of(container)?, part),
            None => Ok(Block::Bits(Vec::new())),
        }
    }
}

/// Reads a part (attributes: everything) by the bits.
fn read(container: &Container, kind: &Type, part: Selection) -> Result<Block> {
    fn values<T: H5Type>(container: &Container, part: Selection) -> Result<Vec<T>> {
        match part {
            Selection::All => {
                h5::room::<T>(container.space()?.size())?;
                container.read_raw()
            }
            part => Ok(container.read_slice::<T, _, ndarray::IxDyn>(part)?.into_raw_vec_and_offset().0),
        }
    }
    fn bits<T: H5Type>(container: &Container, part: Selection, bits: impl Fn(T) -> u64) -> Result<Block> {
        Ok(Block::Bits(values::<T>(container, part)?.into_iter().map(bits).collect()))
    }
    match kind {
        Type::Float(FloatSize::U8) => bits(container, part, f64::to_bits),
        Type::Float(FloatSize::U4) => bits(container, part, |x: f32| x.to_bits() as u64),
        Type::Unsigned(IntSize::U8) => bits(container, part, |x: u64| x),
        Type::Unsigned(IntSize::U4) => bits(container, part, |x: u32| x as u64),
        Type::Unsigned(IntSize::U1) => bits(container, part, |x: u8| x as u64),
        Type::Boolean => bits(container, part, |x: bool| x as u64),
        Type::FixedUnicode(_) => Ok(Block::Texts(h5::texts_in(container, "a list of texts")?)),
        Type::VarLenUnicode => {
            let texts = values::<VarLenUnicode>(container, part)?;
            Ok(Block::Texts(texts.iter().map(|t| String::from_utf8_lossy(t.as_bytes()).into_owned()).collect()))
        }
        other => Err(format!("a record holds no values of the type {other}").into()),
    }
}

/// What differs first, as texts; `None` if nothing does.
fn compare(a: &Item, b: &Item) -> Result<Option<(String, String)>> {
    let (left, right) = (a.shape_text()?, b.shape_text()?);
    if left != right {
        return Ok(Some((left, right)));
    }
    let Some(container) = a.container() else { return Ok(None) };
    let (kind, shape) = (h5::type_of(container)?, container.get_shape()?);
    let mut before = 0;
    for part in a.parts()? {
        let (left, right) = (a.read(part.clone())?, b.read(part)?);
        if let Some(i) = left.first_difference(&right) {
            let place = index(before + i, &shape);
            return Ok(Some((format!("{} at {place:?}", left.show(&kind, i)), format!("{} at {place:?}", right.show(&kind, i)))));
        }
        before += left.len();
    }
    Ok(None)
}

/// Indices of value number `i` in C order.
fn index(mut i: usize, shape: &[usize]) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    for (out, n) in index.iter_mut().zip(shape).rev() {
        (*out, i) = (i % n, i / n);
    }
    index
}

/// Everything in a record outside `/volatile`, by path.
fn items(record: &Record) -> std::result::Result<BTreeMap<String, Item>, Problems> {
    let mut items = BTreeMap::new();
    for (root, file) in record.roots() {
        walk_file(file, &root, &mut items).named(record.path(), "walk through the content")?;
    }
    Ok(items)
}

fn walk_file(file: &File, root: &str, items: &mut BTreeMap<String, Item>) -> Result<()> {
    walk(file, root, 0, items)
}

fn walk(group: &Group, path: &str, depth: usize, items: &mut BTreeMap<String, Item>) -> Result<()> {
    if depth > DEEPEST {
        return Err(format!("`{path}` is nested too deeply for a record").into());
    }
    for name in group.attr_names()? {
        items.insert(format!("{path}@{name}"), Item::Attribute(group.attr(&name)?));
    }
    for name in group.member_names()? {
        let below = format!("{path}/{name}");
        // The segments of a running record are roots of their own.
        if below == "/volatile" || below == "/segments" {
            continue;
        }
        match group.loc_type_by_name(&name)? {
            LocationType::Group => {
                items.insert(below.clone(), Item::Group);
                walk(&group.group(&name)?, &below, depth + 1, items)?;
            }
            LocationType::Dataset => {
                let dataset = group.dataset(&name)?;
                for attribute in dataset.attr_names()? {
                    items.insert(format!("{below}@{attribute}"), Item::Attribute(dataset.attr(&attribute)?));
                }
                items.insert(below, Item::Dataset(dataset));
            }
            other => return Err(format!("`{below}` is a {other:?}, which no record holds").into()),
        }
    }
    Ok(())
}
