//! The IDX format: magic, counts (big-endian u32), then bytes. Images: 0x00000803, count, rows, columns; labels: 0x00000801, count.

use super::Images;
use flate2::read::GzDecoder;
use spinloom_base::{Diagnostic, Problems};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// What files of images begin with.
pub const IMAGES: u32 = 0x0000_0803;
/// What files of labels begin with.
pub const LABELS: u32 = 0x0000_0801;

/// Reads `<part>-images` and `<part>-labels`. Adds what is wrong to `problems`.
pub(super) fn pair(folder: &Path, part: &str, what: &str, classes: usize, problems: &mut Problems) -> Option<(Images, (usize, usize))> {
    let mut get = |kind: &str, dims: u32, magic: u32| {
        find(folder, &format!("{part}-{kind}"), dims)
            .and_then(|path| read(&path, magic).map(|found| (path, found)))
            .map_err(|d| problems.push(d))
            .ok()
    };
    let images = get("images", 3, IMAGES);
    let labels = get("labels", 1, LABELS);
    let ((images_at, (shape, pixels)), (labels_at, (_, labels))) = (images?, labels?);
    let count = shape[0];
    let at = |path: &Path, message: String| Diagnostic::file(path.display().to_string(), message);
    if count != labels.len() {
        let message = format!("it has {} labels for the {count} {what} images of {}", labels.len(), images_at.display());
        problems.push(at(&labels_at, message).hint("the two files are from different data sets"));
        return None;
    }
    if count == 0 || shape[1] == 0 || shape[2] == 0 {
        problems.push(at(&images_at, format!("it holds {count} images of {}x{} pixels: nothing to learn from", shape[1], shape[2])));
        return None;
    }
    if let Some(i) = labels.iter().position(|l| usize::from(*l) >= classes) {
        problems.push(at(&labels_at, format!("label {} of image {i} is not one of the {classes} classes 0 to {}", labels[i], classes - 1)));
        return None;
    }
    Some((Images { pixels, labels }, (shape[1], shape[2])))
}

/// The file under one of the names in use.
fn find(folder: &Path, stem: &str, dims: u32) -> Result<PathBuf, Diagnostic> {
    let names = [
        format!("{stem}-idx{dims}-ubyte.gz"),
        format!("{stem}-idx{dims}-ubyte"),
        format!("{stem}.idx{dims}-ubyte"),
        format!("{stem}.idx{dims}-ubyte.gz"),
    ];
    names.iter().map(|n| folder.join(n)).find(|p| p.is_file()).ok_or_else(|| {
        Diagnostic::file(folder.join(&names[0]).display().to_string(), "this file is missing")
            .hint(format!("it can also be there unpacked, as `{}`", names[1]))
    })
}

/// Shape and bytes of one file.
fn read(path: &Path, magic: u32) -> Result<(Vec<usize>, Vec<u8>), Diagnostic> {
    let name = path.display().to_string();
    let file = File::open(path).map_err(|e| Diagnostic::file(&name, format!("cannot be opened: {e}")))?;
    parse(&name, BufReader::new(file), magic)
}

/// Shape and bytes of what a file holds, gzipped or plain, that is to begin with `magic`.
///
/// # Errors
/// It is another kind of file, longer or shorter than its header says, or damaged.
pub fn parse(name: &str, mut file: impl BufRead, magic: u32) -> Result<(Vec<usize>, Vec<u8>), Diagnostic> {
    let fail = |message: String| Diagnostic::file(name, message);
    let broken = |e: std::io::Error| {
        fail(format!("it cannot be read to its end: {e}")).hint("it is truncated or damaged; fetch it again and compare its checksum")
    };
    let gzipped = file.fill_buf().map_err(broken)?.starts_with(&[0x1f, 0x8b]);
    let mut bytes: Box<dyn Read + '_> = if gzipped { Box::new(GzDecoder::new(file)) } else { Box::new(file) };

    let mut word = || {
        let mut w = [0; 4];
        bytes.read_exact(&mut w).map(|()| u32::from_be_bytes(w)).map_err(broken)
    };
    let found = word()?;
    if found != magic {
        let is = match found {
            IMAGES => " (an IDX file of images)",
            LABELS => " (an IDX file of labels)",
            _ => "",
        };
        let wanted = if magic == IMAGES { "images" } else { "labels" };
        return Err(fail(format!("it starts with 0x{found:08x}{is}, and IDX {wanted} start with 0x{magic:08x}"))
            .hint("the file has another name than its content, or is not an IDX file"));
    }
    let shape: Vec<usize> = (0..magic & 0xFF).map(|_| word().map(|n| n as usize)).collect::<Result<_, _>>()?;
    let size = shape.iter().try_fold(1u64, |a, &n| a.checked_mul(n as u64)).filter(|s| *s < 1 << 40);
    let Some(size) = size else {
        return Err(fail(format!("its header claims {shape:?} bytes")).hint("the header is damaged"));
    };
    let mut data = Vec::new();
    // One byte more than promised shows what is too long, without reading a wrong file to its end.
    bytes.take(size + 1).read_to_end(&mut data).map_err(broken)?;
    if data.len() as u64 != size {
        let found = if data.len() as u64 > size { "more".to_string() } else { data.len().to_string() };
        return Err(fail(format!("its header promises {size} bytes ({shape:?}), and it holds {found}"))
            .hint("it is truncated or damaged; fetch it again and compare its checksum"));
    }
    Ok((shape, data))
}

#[cfg(test)]
mod tests {
    use super::super::{Dataset, Source};
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;
    use std::path::Path;

    fn file(magic: u32, shape: &[u32], data: &[u8]) -> Vec<u8> {
        let mut bytes = magic.to_be_bytes().to_vec();
        shape.iter().for_each(|n| bytes.extend(n.to_be_bytes()));
        bytes.extend(data);
        bytes
    }

    fn gz(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// Three training and two test images of 2x2 pixels: two files gzipped, two plain.
    fn write(folder: &Path) {
        std::fs::create_dir_all(folder).unwrap();
        let put = |name: &str, bytes: &[u8]| std::fs::write(folder.join(name), bytes).unwrap();
        put("train-images-idx3-ubyte.gz", &gz(&file(0x803, &[3, 2, 2], &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])));
        put("train-labels-idx1-ubyte.gz", &gz(&file(0x801, &[3], &[7, 0, 9])));
        put("t10k-images-idx3-ubyte", &file(0x803, &[2, 2, 2], &[0, 255, 0, 255, 1, 1, 1, 1]));
        put("t10k-labels.idx1-ubyte", &file(0x801, &[2], &[3, 4]));
    }

    fn error(change: impl Fn(&Path)) -> String {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path());
        change(folder.path());
        Dataset::read(folder.path(), Source::Mnist).unwrap_err().to_string()
    }

    #[test]
    fn gzipped_and_plain_files_are_read_from_either_place() {
        let folder = tempfile::tempdir().unwrap();
        write(&folder.path().join("fashion-mnist"));
        let data = Dataset::read(folder.path(), Source::FashionMnist).unwrap();
        assert_eq!((data.rows, data.columns, data.stand_in), (2, 2, false));
        assert_eq!(data.train.labels, [7, 0, 9]);
        assert_eq!(data.train.pixels[4..8], [5, 6, 7, 8]);
        assert_eq!(data.test.pixels, [0, 255, 0, 255, 1, 1, 1, 1]);
        assert_eq!(Dataset::read(&folder.path().join("fashion-mnist"), Source::FashionMnist).unwrap(), data);
        let other = Dataset { test: data.train.clone(), ..data.clone() };
        assert_ne!(other.sha256(), data.sha256());
    }

    #[test]
    fn what_is_wrong_with_a_file_is_told_with_its_name() {
        let e = error(|f| std::fs::remove_file(f.join("train-labels-idx1-ubyte.gz")).unwrap());
        assert!(e.contains("train-labels-idx1-ubyte.gz: this file is missing"), "{e}");

        let whole = gz(&file(0x803, &[3, 2, 2], &[9; 12]));
        let e = error(|f| std::fs::write(f.join("train-images-idx3-ubyte.gz"), &whole[..whole.len() - 12]).unwrap());
        assert!(e.contains("train-images-idx3-ubyte.gz: it cannot be read to its end") && e.contains("truncated"), "{e}");

        let e = error(|f| std::fs::write(f.join("t10k-images-idx3-ubyte"), file(0x803, &[2, 2, 2], &[0; 5])).unwrap());
        assert!(e.contains("promises 8 bytes") && e.contains("holds 5"), "{e}");

        let e = error(|f| std::fs::write(f.join("t10k-images-idx3-ubyte"), file(0x803, &[2, 2, 2], &[0; 9])).unwrap());
        assert!(e.contains("promises 8 bytes") && e.contains("holds more"), "{e}");

        let e = error(|f| std::fs::write(f.join("t10k-images-idx3-ubyte"), b"\x00\x00").unwrap());
        assert!(e.contains("t10k-images-idx3-ubyte: it cannot be read"), "{e}");

        let e = error(|f| std::fs::copy(f.join("t10k-labels.idx1-ubyte"), f.join("t10k-images-idx3-ubyte")).map(|_| ()).unwrap());
        assert!(e.contains("0x00000801 (an IDX file of labels)") && e.contains("0x00000803"), "{e}");

        let e = error(|f| std::fs::write(f.join("t10k-labels.idx1-ubyte"), file(0x801, &[3], &[1, 2, 3])).unwrap());
        assert!(e.contains("3 labels for the 2 test images"), "{e}");

        let e = error(|f| std::fs::write(f.join("t10k-labels.idx1-ubyte"), file(0x801, &[2], &[1, 10])).unwrap());
        assert!(e.contains("label 10 of image 1"), "{e}");

        let e = error(|f| std::fs::write(f.join("t10k-images-idx3-ubyte"), file(0x803, &[u32::MAX; 3], &[])).unwrap());
        assert!(e.contains("header is damaged"), "{e}");

        let e = error(|f| std::fs::write(f.join("t10k-images-idx3-ubyte"), file(0x803, &[2, 1, 4], &[0; 8])).unwrap());
        assert!(e.contains("2x2") && e.contains("1x4"), "{e}");

        let e = Dataset::read(Path::new("/nowhere/at/all"), Source::Mnist).unwrap_err().to_string();
        assert!(e.contains("does not exist"), "{e}");
    }

    #[test]
    fn all_broken_files_are_told_at_once() {
        let e = error(|f| {
            std::fs::remove_file(f.join("train-images-idx3-ubyte.gz")).unwrap();
            std::fs::write(f.join("t10k-labels.idx1-ubyte"), b"PNG not IDX").unwrap();
        });
        assert_eq!(e.lines().count(), 2, "{e}");
    }
}
