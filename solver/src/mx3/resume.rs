//! How a script goes on after a kill, to the same bits.
//!
//! A script is a function of its text and of what the simulation tells it: shapes, functions of time and scopes follow from the text, control flow from the
//! numbers that were read. So a checkpoint holds no interpreter. It holds the list of everything that was told ([`Journal`]), and the state of the magnet and
//! of the output. To go on, the script is run from its beginning; calls that had ended (`run`, `relax`, …) are not made again, what they told is told again, and
//! nothing is written; at the call that was cut off the magnet and the output are put where they were.
//!
//! A checkpoint is taken between two steps of a run, and between two rounds of ten steps of `relax` and `minimize`. Taking one changes no later bit. Files that
//! grow line by line are cut back to their length at the checkpoint.

use super::engine::Fault;
use spinloom_base::{Diagnostic, Problems, hash};
use std::collections::BTreeMap;
use std::io::{Seek as _, Write as _};
use std::path::Path;

/// Name of the checkpoint in a script's folder.
pub const FILE: &str = "checkpoint";
/// Name of the list of what the script was told, while it runs. It grows with the script, so it is appended to, not written anew: the checkpoint says how much of
/// it counts.
pub const TOLD: &str = "checkpoint.told";

/// What a script was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// The value of a quantity.
    Value,
    /// A field: components, cells along x, y, z, values.
    Field,
    /// A call that moves the magnet has ended: where clock and window are then.
    Moved,
    /// A row was written: how many random numbers it took.
    Row,
    /// Wall-clock time gone by.
    Clock,
}

/// Everything that a script was told, in order.
#[derive(Debug)]
pub struct Journal {
    words: Vec<u64>,
    /// How many of them lie in the file, and their sum.
    filed: (usize, u64),
    /// The next to be told again.
    at: usize,
    replaying: bool,
    /// In how many calls we are that are told as a whole.
    pub inside: u32,
}

impl Journal {
    /// Of a script that begins.
    pub fn empty() -> Self {
        Self { replaying: false, ..Self::again_from(Vec::new()) }
    }

    /// With what was told before the kill.
    pub fn again_from(words: Vec<u64>) -> Self {
        let filed = (words.len(), words.iter().fold(SUM, add));
        Self { words, filed, at: 0, replaying: true, inside: 0 }
    }

    /// Appends to the file what has been told since the last time. How much it is in all, and its sum, are for the checkpoint.
    ///
    /// # Errors
    /// What the file system says.
    pub fn file(&mut self, path: &Path) -> Result<[u64; 2], Fault> {
        let new = &self.words[self.filed.0..];
        let write = || -> std::io::Result<()> {
            // What lies behind, a kill has left between this file and its checkpoint.
            let mut file = std::fs::OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
            file.set_len(8 * self.filed.0 as u64)?;
            file.seek(std::io::SeekFrom::End(0))?;
            file.write_all(&new.iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<u8>>())?;
            file.sync_all()
        };
        write().map_err(|e| Fault::new(format!("{} cannot be written: {e}", path.display()), "the checkpoint before is whole"))?;
        self.filed = (self.words.len(), new.iter().fold(self.filed.1, add));
        Ok([self.filed.0 as u64, self.filed.1])
    }

    /// What [`Journal::file`] has written, as far as the checkpoint says; none if it is not there, or something else.
    pub fn read(path: &Path, [count, sum]: [u64; 2]) -> Option<Self> {
        let bytes = std::fs::read(path).ok()?;
        let words = bytes.get(..usize::try_from(count).ok()?.checked_mul(8)?)?.chunks_exact(8);
        let journal = Self::again_from(words.map(|w| u64::from_le_bytes(w.try_into().unwrap_or_default())).collect());
        (journal.filed.1 == sum).then_some(journal)
    }

    /// Whether the script is on its way back to where it was.
    pub fn replaying(&self) -> bool {
        self.replaying
    }

    /// Whether all has been told again.
    pub fn is_at_end(&self) -> bool {
        self.at == self.words.len()
    }

    /// From here on the simulation tells.
    pub fn go_on(&mut self) {
        self.replaying = false;
    }

    /// What is told again; none while the simulation itself can be asked.
    ///
    /// # Errors
    /// The script asks for something else than before.
    pub fn again(&mut self, kind: Told) -> Result<Option<Vec<f64>>, Fault> {
        if !self.replaying || self.inside > 0 {
            return Ok(None);
        }
        let head = self.words.get(self.at..self.at + 2);
        match head {
            Some(&[tag, len]) if tag == kind as u64 && len as usize <= self.words.len() - self.at - 2 => {
                let values = &self.words[self.at + 2..self.at + 2 + len as usize];
                self.at += 2 + values.len();
                Ok(Some(values.iter().map(|w| f64::from_bits(*w)).collect()))
            }
            _ => Err(Fault::new(
                "the script goes another way than before it was cut off",
                "a file that it reads may have changed, or it follows the wall clock; run it anew with -f",
            )),
        }
    }

    /// Notes what is told.
    pub fn note(&mut self, kind: Told, values: &[f64]) {
        if self.inside == 0 && !self.replaying {
            self.words.extend([kind as u64, values.len() as u64]);
            self.words.extend(values.iter().map(|v| v.to_bits()));
        }
    }
}

/// Where FNV-1a begins, over words (Fowler, Noll and Vo, draft-eastlake-fnv).
const SUM: u64 = 0xcbf2_9ce4_8422_2325;

fn add(sum: u64, word: &u64) -> u64 {
    (sum ^ word).wrapping_mul(0x0100_0000_01b3)
}

/// A checkpoint: lists of words by name, and texts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Kept {
    /// Numbers, as they lie in memory.
    pub words: BTreeMap<String, Vec<u64>>,
    /// Texts.
    pub texts: BTreeMap<String, String>,
}

const MAGIC: &[u8] = b"spinloom-script/1\n";

impl Kept {
    /// Keeps floats.
    pub fn put(&mut self, name: &str, values: impl IntoIterator<Item = f64>) {
        self.words.insert(name.into(), values.into_iter().map(f64::to_bits).collect());
    }

    /// Floats of this name; none if there are not `n` of them (any number if `n` is `None`).
    pub fn floats(&self, name: &str, n: Option<usize>) -> Result<Vec<f64>, Fault> {
        Ok(self.integers(name, n)?.iter().map(|w| f64::from_bits(*w)).collect())
    }

    /// Words of this name.
    ///
    /// # Errors
    /// There are none, or not so many.
    pub fn integers(&self, name: &str, n: Option<usize>) -> Result<&[u64], Fault> {
        match self.words.get(name) {
            Some(list) if n.is_none_or(|n| n == list.len()) => Ok(list),
            _ => Err(Fault::new(format!("the checkpoint does not belong to this script: `{name}`"), "run it anew with -f")),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        let mut part = |name: &str, text: bool, bytes: &[u8]| {
            out.extend((name.len() as u64).to_le_bytes());
            out.extend(u64::from(text).to_le_bytes());
            out.extend((bytes.len() as u64).to_le_bytes());
            out.extend(name.as_bytes());
            out.extend(bytes);
        };
        for (name, words) in &self.words {
            part(name, false, &words.iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<u8>>());
        }
        self.texts.iter().for_each(|(name, text)| part(name, true, text.as_bytes()));
        let sum = hash::of_bytes(&out);
        out.extend(sum.as_bytes());
        out
    }

    /// Reads what [`Kept::write`] has written; none if it is something else, or cut short.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (body, sum) = bytes.split_at_checked(bytes.len().checked_sub(64)?)?;
        if hash::of_bytes(body).as_bytes() != sum {
            return None;
        }
        let mut rest = body.strip_prefix(MAGIC)?;
        let mut kept = Self::default();
        while !rest.is_empty() {
            let mut take = |n: usize| {
                let (head, tail) = rest.split_at_checked(n)?;
                rest = tail;
                Some(head)
            };
            let mut number = || Some(u64::from_le_bytes(take(8)?.try_into().ok()?));
            let (name, text, len) = (usize::try_from(number()?).ok()?, number()?, usize::try_from(number()?).ok()?);
            let name = String::from_utf8(take(name)?.to_vec()).ok()?;
            let bytes = take(len)?;
            if text == 1 {
                kept.texts.insert(name, String::from_utf8(bytes.to_vec()).ok()?);
            } else {
                let (words, []) = bytes.as_chunks::<8>() else { return None };
                kept.words.insert(name, words.iter().map(|w| u64::from_le_bytes(*w)).collect());
            }
        }
        Some(kept)
    }

    /// Writes it whole or not at all.
    ///
    /// # Errors
    /// What the file system says.
    pub fn write(&self, path: &Path) -> Result<(), Fault> {
        let part = path.with_extension("part");
        let cannot = |e: std::io::Error| Fault::new(format!("{} cannot be written: {e}", path.display()), "the one before is whole");
        let mut file = std::fs::File::create(&part).map_err(cannot)?;
        file.write_all(&self.bytes()).and_then(|()| file.sync_all()).map_err(cannot)?;
        std::fs::rename(&part, path).map_err(cannot)
    }

    /// Reads a checkpoint; none if there is no file.
    ///
    /// # Errors
    /// The file is no checkpoint.
    pub fn read(path: &Path) -> Result<Option<Self>, Problems> {
        match std::fs::read(path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Diagnostic::file(path.display().to_string(), format!("cannot be read: {e}")).into()),
            Ok(bytes) => Self::parse(&bytes).map(Some).ok_or_else(|| {
                Diagnostic::file(path.display().to_string(), "it is no checkpoint, or damaged").hint("run the script anew with -f").into()
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_comes_back_whole_or_not_at_all() {
        let mut kept = Kept::default();
        kept.put("a", [1.0, f64::NAN, -0.0]);
        kept.words.insert("none".into(), Vec::new());
        kept.texts.insert("script".into(), "ü\n".into());
        let bytes = kept.bytes();
        assert_eq!(Kept::parse(&bytes), Some(kept));
        for cut in 0..bytes.len() {
            assert_eq!(Kept::parse(&bytes[..cut]), None, "cut at {cut}");
        }
        for i in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[i] ^= 1;
            assert_eq!(Kept::parse(&bad), None, "a bit of byte {i}");
        }
    }

    #[test]
    fn what_was_told_is_told_again_in_order_and_nothing_else() {
        let mut journal = Journal::empty();
        journal.note(Told::Value, &[1.0, 2.0]);
        journal.inside = 1;
        journal.note(Told::Value, &[3.0]);
        journal.inside = 0;
        journal.note(Told::Row, &[]);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(TOLD);
        std::fs::write(&path, "of an earlier script, and longer than what follows: 0123456789").unwrap();
        let first = journal.file(&path).unwrap_or_else(|f| panic!("{}", f.message));
        journal.note(Told::Clock, &[4.0]);
        let second = journal.file(&path).unwrap_or_else(|f| panic!("{}", f.message));
        assert_eq!((first[0], second[0], std::fs::metadata(&path).unwrap().len()), (6, 9, 72));
        assert!(Journal::read(&path, [6, second[1]]).is_none() && Journal::read(&path, [10, second[1]]).is_none());
        assert!(Journal::read(&path, second).is_some());
        // The checkpoint of the first commit counts only what was there then.
        let mut again = Journal::read(&path, first).unwrap();
        assert_eq!(again.again(Told::Value).unwrap(), Some(vec![1.0, 2.0]));
        assert!(again.again(Told::Value).is_err());
        assert_eq!(again.again(Told::Row).unwrap(), Some(vec![]));
        assert!(again.is_at_end() && again.again(Told::Row).is_err());
        again.go_on();
        assert_eq!(again.again(Told::Row).unwrap(), None);
    }
}
