//! Things that are dear to compute and the same next time, kept on disk: in `SPINLOOM_CACHE`, or the user's cache folder.
//!
//! A cache that cannot be written, or that is damaged, is no cache, nothing worse.

use crate::hash;
use std::path::{Path, PathBuf};

/// Bytes of one kind that are kept; beyond, the oldest go.
const MOST: u64 = 1 << 30;

fn folder(kind: &str) -> Option<PathBuf> {
    let named = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|p| !p.as_os_str().is_empty());
    named("SPINLOOM_CACHE")
        .or_else(|| named("XDG_CACHE_HOME").map(|p| p.join("spinloom")))
        .or_else(|| named("HOME").map(|p| p.join(".cache/spinloom")))
        .map(|p| p.join(kind))
}

/// What was kept under a description, whole.
pub fn read(kind: &str, description: &str) -> Option<Vec<u8>> {
    read_in(&folder(kind)?, description)
}

/// Keeps something under a description that says all it depends on.
pub fn write(kind: &str, description: &str, content: &[u8]) {
    if let Some(folder) = folder(kind) {
        let _ = write_in(&folder, description, content, MOST);
    }
}

fn read_in(folder: &Path, description: &str) -> Option<Vec<u8>> {
    let mut content = std::fs::read(folder.join(hash::of_bytes(description.as_bytes()))).ok()?;
    // The last 64 bytes are the hash of the rest.
    let rest = content.len().checked_sub(64)?;
    let good = hash::of_bytes(&content[..rest]).as_bytes() == &content[rest..];
    content.truncate(rest);
    good.then_some(content)
}

fn write_in(folder: &Path, description: &str, content: &[u8], most: u64) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let name = hash::of_bytes(description.as_bytes());
    // Whole or not at all: other processes read it.
    let part = folder.join(format!("{name}.{}.part", std::process::id()));
    let whole = [content, hash::of_bytes(content).as_bytes()].concat();
    std::fs::write(&part, whole).and_then(|()| std::fs::rename(&part, folder.join(name))).inspect_err(|_| {
        let _ = std::fs::remove_file(&part);
    })?;
    let mut files: Vec<(std::time::SystemTime, u64, PathBuf)> = std::fs::read_dir(folder)?
        .filter_map(|e| {
            let (path, m) = (e.as_ref().ok()?.path(), e.ok()?.metadata().ok()?);
            Some((m.modified().ok()?, m.len(), path))
        })
        .collect();
    files.sort();
    let mut total: u64 = files.iter().map(|f| f.1).sum();
    for (_, len, path) in files {
        if total <= most {
            break;
        }
        total -= len;
        std::fs::remove_file(path)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back_whole_or_not_at_all() {
        let folder = std::env::temp_dir().join(format!("spinloom-cache-{}", std::process::id()));
        assert_eq!(read_in(&folder, "a"), None);
        write_in(&folder, "a", b"abc", MOST).unwrap();
        write_in(&folder, "b", b"", MOST).unwrap();
        assert_eq!((read_in(&folder, "a"), read_in(&folder, "b")), (Some(b"abc".to_vec()), Some(vec![])));
        let file = folder.join(hash::of_bytes(b"a"));
        let mut bytes = std::fs::read(&file).unwrap();
        bytes[1] ^= 1;
        std::fs::write(&file, &bytes).unwrap();
        assert_eq!(read_in(&folder, "a"), None, "damaged");
        std::fs::write(&file, b"short").unwrap();
        assert_eq!(read_in(&folder, "a"), None, "cut off");
        // Room for one: the newest stays.
        std::thread::sleep(std::time::Duration::from_millis(20));
        write_in(&folder, "c", &[7; 100], 200).unwrap();
        assert!(read_in(&folder, "c").is_some() && read_in(&folder, "b").is_none());
        std::fs::remove_dir_all(folder).unwrap();
    }
}
