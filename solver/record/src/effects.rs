//! What touches the disk, one numbered step each, so that a test can stop or fill it at every one.

use crate::h5::{self, Named};
use spinloom_base::Problems;
use std::fs::File;
use std::io;
use std::path::Path;

/// Faults that tests inject; [`Faults::default`] is none. Effects count from 1, per writer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// The process aborts in place of this effect: what a kill or a power cut leaves behind.
    pub die_at: Option<u64>,
    /// This effect, and every later one that needs space, finds the disk full.
    pub full_at: Option<u64>,
}

/// The counter of effects of one writer.
pub(crate) struct Effects {
    done: u64,
    faults: Faults,
}

impl Effects {
    pub(crate) fn new(faults: Faults) -> Self {
        Self { done: 0, faults }
    }

    /// Called before each effect; `doing` and `file` name it in an error.
    pub(crate) fn step(&mut self, file: &Path, doing: &str) -> Result<(), Problems> {
        self.done += 1;
        if self.faults.die_at == Some(self.done) {
            std::process::abort();
        }
        if self.faults.full_at.is_some_and(|k| self.done >= k) {
            return Err(io::Error::from(io::ErrorKind::StorageFull)).named(file, doing);
        }
        Ok(())
    }

    /// Makes a folder, and makes that last.
    pub(crate) fn create_dir(&mut self, dir: &Path) -> Result<(), Problems> {
        if dir.is_dir() {
            return Ok(());
        }
        self.step(dir, "create the folder")?;
        std::fs::create_dir_all(dir).named(dir, "create the folder")?;
        match dir.parent().filter(|p| !p.as_os_str().is_empty()) {
            Some(parent) => self.sync(parent),
            None => Ok(()),
        }
    }

    /// Waits until a file's content, or a folder's list of names, is on the disk.
    pub(crate) fn sync(&mut self, path: &Path) -> Result<(), Problems> {
        self.step(path, "write to the disk")?;
        File::open(path).and_then(|f| f.sync_all()).named(path, "write to the disk")
    }

    /// Gives a file its final name once it is `written` and closed, in that order on the disk as well: content, name.
    /// If anything fails before, the unfinished file is discarded.
    pub(crate) fn publish(&mut self, written: Result<(), Problems>, part: &Path, name: &Path) -> Result<(), Problems> {
        if let Err(problems) = written.and_then(|()| self.rename(part, name)) {
            discard(part);
            return Err(problems);
        }
        self.sync(name.parent().unwrap_or(Path::new(".")))
    }

    fn rename(&mut self, part: &Path, name: &Path) -> Result<(), Problems> {
        // Whatever HDF5 failed to write at close shows here: it compares the length it noted with the file's.
        h5::open(part).named(part, "read back what was written")?;
        self.sync(part)?;
        self.step(name, "put in place")?;
        std::fs::rename(part, name).named(name, "put in place")
    }

    /// Removes a file that may be gone already.
    pub(crate) fn remove(&mut self, file: &Path) -> Result<(), Problems> {
        self.step(file, "remove")?;
        match std::fs::remove_file(file) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e).named(file, "remove"),
            _ => Ok(()),
        }
    }
}

/// Removes an unfinished file, emptied first: after a failed write HDF5 may still hold it open, and its space is needed.
pub(crate) fn discard(part: &Path) {
    let _ = std::fs::OpenOptions::new().write(true).truncate(true).open(part);
    let _ = std::fs::remove_file(part);
}
