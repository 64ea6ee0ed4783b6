//! Samples for networks of any kind: images of one or several channels, and event recordings as frames.

use super::events::{self, Camera, Cut};
use super::{Dataset, Source};
use super::{films, recordings, stand_ins};
use crate::settings::choice;
use crate::tasks::DataNote;
use flate2::read::GzDecoder;
use spinloom_base::{Diagnostic, Problems, hash};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

choice!(
    /// A data set.
    Set {
        Mnist = "mnist", FashionMnist = "fashion-mnist", Cifar10 = "cifar-10", NMnist = "n-mnist", Gesture = "dvs128-gesture", Cifar10Dvs = "cifar10-dvs",
        Shd = "shd", Ssc = "ssc", SkyrmionFilms = "skyrmion-films",
    }
);

impl Set {
    /// Folders in the user's folder of data that it is looked for in.
    pub(crate) fn folders(self) -> &'static [&'static str] {
        match self {
            Set::Mnist => &["mnist"],
            Set::FashionMnist => &["fashion-mnist"],
            Set::Cifar10 => &["cifar-10-batches-bin", "cifar10-jpeg-subset"],
            Set::NMnist => &["N-MNIST", "nmnist", "nmnist-small"],
            Set::Gesture => recordings::GESTURE,
            Set::Cifar10Dvs => recordings::CIFAR10_DVS,
            Set::Shd => recordings::SHD.folders,
            Set::Ssc => recordings::SSC.folders,
            // Drawn by the program, whatever data there are.
            Set::SkyrmionFilms => &[],
        }
    }
}

/// Samples with labels.
#[derive(Clone, Default)]
pub(crate) struct Part {
    /// `[sample][frame][row][column][channel]`.
    pub pixels: Vec<u8>,
    pub labels: Vec<u8>,
}

/// A data set cut into training and test.
pub(crate) struct Samples {
    pub name: String,
    pub stand_in: bool,
    pub sha256: String,
    /// Rows, columns, channels.
    pub shape: [usize; 3],
    /// Frames of a sample; 1 for images.
    pub frames: usize,
    /// What a value of one is.
    pub unit: f32,
    pub classes: usize,
    pub train: Part,
    pub test: Part,
}

impl Samples {
    /// What a result says of them, with so many of those to train with put aside for validation.
    pub(crate) fn note(&self, aside: usize) -> DataNote {
        let split = [self.train.labels.len() - aside, aside, self.test.labels.len()];
        DataNote { name: self.name.clone(), stand_in: self.stand_in, sha256: self.sha256.clone(), split }
    }

    /// Values of one sample.
    pub(crate) fn size(&self) -> usize {
        self.frames * self.shape.iter().product::<usize>()
    }

    /// Reads a set from the user's folder, or draws its stand-in; at most so many samples of each part.
    pub(crate) fn read(set: Set, folder: Option<&Path>, cut: Cut, at_most: [usize; 2]) -> Result<Samples, Problems> {
        if cut.bin > 1 && matches!(set, Set::Mnist | Set::FashionMnist | Set::Cifar10) {
            return Err(Diagnostic::error(format!("`bin` counts events of {} pixels as one, and `{}` has no events", cut.bin, set.word()))
                .hint("leave `bin` out; `pool` is a layer")
                .into());
        }
        let samples = match (set, folder) {
            (Set::Mnist, Some(f)) => Self::images(Dataset::read(f, Source::Mnist)?),
            (Set::FashionMnist, Some(f)) => Self::images(Dataset::read(f, Source::FashionMnist)?),
            (Set::Mnist | Set::FashionMnist, None) => Self::images(Dataset::stand_in(at_most[0].min(4000), at_most[1].min(1000), 1)),
            (Set::Cifar10, Some(f)) => cifar(f)?,
            (Set::Cifar10, None) => Self::coloured(Dataset::stand_in(at_most[0].min(2000), at_most[1].min(500), 1)),
            (Set::NMnist, Some(f)) => nmnist(f, cut, at_most)?,
            (Set::NMnist, None) if cut.bin > 1 => {
                return Err(Diagnostic::error("the stand-in of N-MNIST has no events to bin")
                    .hint("leave `bin` out, or give --data FOLDER")
                    .into());
            }
            (Set::NMnist, None) => Self::moving(Dataset::stand_in(at_most[0].min(1000), at_most[1].min(300), 1), cut.frames),
            (Set::Gesture, Some(f)) => recordings::gestures(f, cut, at_most)?,
            (Set::Gesture, None) => {
                stand_ins::read("hands that move before a camera", stand_ins::gestures, |f| recordings::gestures(f, cut, at_most), at_most)?
            }
            (Set::Cifar10Dvs, Some(f)) => recordings::cifar10_dvs(f, cut, at_most)?,
            (Set::Cifar10Dvs, None) => stand_ins::read(
                "digits moved before a camera",
                stand_ins::cifar10_dvs,
                |f| recordings::cifar10_dvs(f, cut, at_most),
                at_most,
            )?,
            (Set::Shd, f) => Self::sounds(&recordings::SHD, f, cut, at_most)?,
            (Set::Ssc, f) => Self::sounds(&recordings::SSC, f, cut, at_most)?,
            (Set::SkyrmionFilms, _) => films::films(cut.frames, cut.bin, [at_most[0].min(1200), at_most[1].min(300)]),
        };
        Ok(samples.first(at_most))
    }

    fn sounds(set: &recordings::Cochlea, folder: Option<&Path>, cut: Cut, at_most: [usize; 2]) -> Result<Samples, Problems> {
        let load = |f: &Path| recordings::cochlea(set, f, cut, at_most);
        folder.map_or_else(|| stand_ins::read("sounds of three moving tones", |f, n| stand_ins::cochlea(set, f, n), load, at_most), load)
    }

    /// Single images of one channel with the ten classes.
    pub(crate) fn grey_images(set: Set, folder: Option<&Path>, samples: &[usize]) -> Result<Samples, Problems> {
        if !matches!(set, Set::Mnist | Set::FashionMnist) {
            return Err(Diagnostic::error(format!("this task reads single grey images, `{}` has others", set.word()))
                .hint("take `mnist` or `fashion-mnist`")
                .into());
        }
        let train = samples.first().copied().unwrap_or(usize::MAX);
        Self::read(set, folder, Cut::STILL, [train, samples.last().copied().unwrap_or(train)])
    }

    fn first(mut self, [train, test]: [usize; 2]) -> Samples {
        let size = self.size();
        for (part, n) in [(&mut self.train, train), (&mut self.test, test)] {
            let n = n.min(part.labels.len());
            part.labels.truncate(n);
            part.pixels.truncate(n * size);
        }
        self
    }

    fn images(d: Dataset) -> Samples {
        Samples {
            sha256: d.sha256(),
            name: d.name,
            stand_in: d.stand_in,
            shape: [d.rows, d.columns, 1],
            frames: 1,
            unit: 255.0,
            classes: d.classes.len(),
            train: Part { pixels: d.train.pixels, labels: d.train.labels },
            test: Part { pixels: d.test.pixels, labels: d.test.labels },
        }
    }

    /// The drawn digits in colours of their class's neighbours, for nets that expect 32 × 32 × 3.
    fn coloured(d: Dataset) -> Samples {
        let paint = |pixels: &[u8], labels: &[u8]| {
            let mut out = vec![0u8; labels.len() * 32 * 32 * 3];
            for (i, l) in labels.iter().enumerate() {
                for y in 0..28 {
                    for x in 0..28 {
                        let v = u16::from(pixels[(i * 28 + y) * 28 + x]);
                        for c in 0..3 {
                            let share = [255, 180, 120][(usize::from(*l) + c) % 3];
                            out[((i * 32 + y + 2) * 32 + x + 2) * 3 + c] = (v * share / 255) as u8;
                        }
                    }
                }
            }
            Part { pixels: out, labels: labels.to_vec() }
        };
        Samples {
            sha256: d.sha256(),
            name: format!("coloured {}", d.name),
            stand_in: true,
            shape: [32, 32, 3],
            frames: 1,
            unit: 255.0,
            classes: 10,
            train: paint(&d.train.pixels, &d.train.labels),
            test: paint(&d.test.pixels, &d.test.labels),
        }
    }

    /// The drawn digits moved one pixel a frame: a pixel that brightens or darkens is an event.
    fn moving(d: Dataset, frames: usize) -> Samples {
        let film = |pixels: &[u8], labels: &[u8]| {
            let mut out = vec![0u8; labels.len() * frames * 34 * 34 * 2];
            for i in 0..labels.len() {
                let at = |y: i64, x: i64| {
                    if (0..28).contains(&y) && (0..28).contains(&x) { i16::from(pixels[i * 784 + (y * 28 + x) as usize]) } else { 0 }
                };
                for f in 0..frames {
                    // Three saccades, as in N-MNIST: right and down, left, up.
                    let (dy, dx) = [(1, 1), (0, -1), (-1, 0)][f * 3 / frames];
                    for y in 0..34i64 {
                        for x in 0..34i64 {
                            let change = at(y - 3 - dy, x - 3 - dx) - at(y - 3, x - 3);
                            if change.abs() > 64 {
                                out[(((i * frames + f) * 34 + y as usize) * 34 + x as usize) * 2 + usize::from(change > 0)] = 1;
                            }
                        }
                    }
                }
            }
            Part { pixels: out, labels: labels.to_vec() }
        };
        Samples {
            sha256: d.sha256(),
            name: format!("moving {}", d.name),
            stand_in: true,
            shape: [34, 34, 2],
            frames,
            unit: 1.0,
            classes: 10,
            train: film(&d.train.pixels, &d.train.labels),
            test: film(&d.test.pixels, &d.test.labels),
        }
    }
}

/// What a compressed file may grow to: twice of what the largest set here takes.
const LARGEST: u64 = 8 << 30;

fn read_all(path: &Path) -> Result<Vec<u8>, Problems> {
    let name = path.display().to_string();
    let fail = |e: std::io::Error| Problems::from(Diagnostic::file(&name, format!("cannot be read: {e}")));
    let bytes = std::fs::read(path).map_err(fail)?;
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return Ok(bytes);
    }
    let mut out = Vec::new();
    GzDecoder::new(bytes.as_slice()).take(LARGEST + 1).read_to_end(&mut out).map_err(fail)?;
    if out.len() as u64 > LARGEST {
        return Err(Diagnostic::file(&name, "it unpacks to more than 8 GiB").into());
    }
    Ok(out)
}

/// CIFAR-10 in its binary form: the five batches and the test batch, or the JPEG subset, from `folder` or a folder in it.
fn cifar(folder: &Path) -> Result<Samples, Problems> {
    let whole = |f: &Path| -> Option<(Vec<std::path::PathBuf>, std::path::PathBuf)> {
        let train: Vec<_> = (1..=5).map(|i| f.join(format!("data_batch_{i}.bin"))).collect();
        let test = f.join("test_batch.bin");
        (train.iter().all(|p| p.is_file()) && test.is_file()).then_some((train, test))
    };
    let subset = |f: &Path| -> Option<(Vec<std::path::PathBuf>, std::path::PathBuf)> {
        let (train, test) = (f.join("cifar10_jpegq75_train_10000.bin.gz"), f.join("cifar10_jpegq75_test_2000.bin.gz"));
        (train.is_file() && test.is_file()).then_some((vec![train], test))
    };
    let places = [folder.to_path_buf(), folder.join("cifar-10-batches-bin"), folder.join("cifar10-jpeg-subset")];
    let Some((is_subset, (train, test))) =
        places.iter().find_map(|p| whole(p).map(|f| (false, f)).or_else(|| subset(p).map(|f| (true, f))))
    else {
        return Err(Diagnostic::file(folder.display().to_string(), "there is no CIFAR-10 here")
            .hint("unpack cifar-10-binary.tar.gz (MD5 c32a1d4ab5d03f1284b67883e8d87530) into it: data_batch_1.bin to _5.bin and test_batch.bin")
            .into());
    };
    let mut hashes = Vec::new();
    let mut part = |paths: &[std::path::PathBuf]| -> Result<Part, Problems> {
        let mut part = Part::default();
        for path in paths {
            let bytes = read_all(path)?;
            hashes.push(hash::of_bytes(&bytes));
            if bytes.is_empty() || bytes.len() % 3073 != 0 || bytes.iter().step_by(3073).any(|l| *l > 9) {
                return Err(Diagnostic::file(
                    path.display().to_string(),
                    "it does not consist of records of a label 0 to 9 and 3072 pixels",
                )
                .into());
            }
            for record in bytes.chunks_exact(3073) {
                part.labels.push(record[0]);
                part.pixels.extend((0..1024).flat_map(|i| [record[1 + i], record[1025 + i], record[2049 + i]]));
            }
        }
        Ok(part)
    };
    let (train, test) = (part(&train)?, part(&[test])?);
    Ok(Samples {
        name: if is_subset { "CIFAR-10, JPEG subset".into() } else { "CIFAR-10".into() },
        stand_in: false,
        sha256: hash::of_bytes(hashes.join(" ").as_bytes()),
        shape: [32, 32, 3],
        frames: 1,
        unit: 255.0,
        classes: 10,
        train,
        test,
    })
}

/// N-MNIST: `Train/0..9/*.bin` and `Test/…`, or the sample of 1000 + 100 recordings with its list of labels.
fn nmnist(folder: &Path, cut: Cut, at_most: [usize; 2]) -> Result<Samples, Problems> {
    let sensor = [34, 34, 2];
    let mut all: BTreeMap<(bool, String, u8), Recording> = BTreeMap::new();
    let name;
    let small = [folder.to_path_buf(), folder.join("nmnist-small")]
        .into_iter()
        .find(|f| f.join("labels.csv").is_file() && f.join("nmnist-small.tar.gz").is_file());
    let whole = [folder.to_path_buf(), folder.join("N-MNIST"), folder.join("nmnist")]
        .into_iter()
        .find(|f| f.join("Train/0").is_dir() && f.join("Test/0").is_dir());
    if let Some(f) = whole {
        name = "N-MNIST".to_string();
        for (split, test) in [("Train", false), ("Test", true)] {
            for label in 0..10u8 {
                let folder = f.join(split).join(label.to_string());
                let files = std::fs::read_dir(&folder)
                    .map_err(|e| Diagnostic::file(folder.display().to_string(), format!("cannot be read: {e}")))?;
                for file in files.flatten() {
                    let key = file.file_name().to_string_lossy().into_owned();
                    all.insert((test, key, label), Recording::File(file.path()));
                }
            }
        }
    } else if let Some(f) = small {
        name = "N-MNIST, first 1000 + 100 recordings".to_string();
        let list = std::fs::read_to_string(f.join("labels.csv")).map_err(|e| Diagnostic::file("labels.csv", e.to_string()))?;
        let mut labels = BTreeMap::new();
        for (number, line) in list.lines().enumerate().skip(1) {
            let cells: Vec<&str> = line.split(',').map(str::trim).collect();
            let ([sample, _, split], Some(label)) = (&cells[..], cells.get(1).and_then(|l| l.parse().ok()).filter(|l| *l <= 9u8)) else {
                let path = f.join("labels.csv").display().to_string();
                return Err(
                    Diagnostic::file(path, format!("line {} is not a sample, a label 0 to 9, and train or test", number + 1)).into()
                );
            };
            labels.insert((*sample).to_string(), (label, *split == "test"));
        }
        let path = f.join("nmnist-small.tar.gz");
        let at = |e: std::io::Error| Problems::from(Diagnostic::file(path.display().to_string(), format!("cannot be read: {e}")));
        let bytes = read_all(&path)?;
        for entry in tar::Archive::new(bytes.as_slice()).entries().map_err(at)? {
            let mut entry = entry.map_err(at)?;
            let stem = entry.path().map_err(at)?.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
            if let Some((label, test)) = labels.get(&stem) {
                let mut bytes = Vec::new();
                entry.read_to_end(&mut bytes).map_err(at)?;
                all.insert((*test, format!("{stem:0>6}"), *label), Recording::Bytes(bytes));
            }
        }
    } else {
        return Err(Diagnostic::file(folder.display().to_string(), "there is no N-MNIST here")
            .hint("unpack Train.zip (MD5 20959b8e626244a1b502305a9e6e2031) and Test.zip (MD5 69ca8762b2fe404d9b9bad1103e97832) into it")
            .into());
    }
    let (mut train, mut test) = (Part::default(), Part::default());
    let mut hashes = String::new();
    for ((is_test, key, label), recording) in all {
        // Only what is asked for is read: the whole set as frames takes gigabytes.
        if (if is_test { &test } else { &train }).labels.len() >= at_most[usize::from(is_test)] {
            continue;
        }
        let bytes = match recording {
            Recording::Bytes(b) => b,
            Recording::File(path) => read_all(&path)?,
        };
        let bytes = bytes.as_slice();
        let list = events::parse(&format!("{key}.bin"), bytes, Camera::Dvs128)?;
        let part = if is_test { &mut test } else { &mut train };
        part.labels.push(label);
        part.pixels.extend(events::frames(&list, sensor, cut));
        hashes.push_str(&hash::of_bytes(bytes));
    }
    if train.labels.is_empty() || test.labels.is_empty() {
        return Err(Diagnostic::file(folder.display().to_string(), "its N-MNIST has no recordings of one of its parts").into());
    }
    let (shape, sha256) = (cut.shape(sensor), hash::of_bytes(hashes.as_bytes()));
    Ok(Samples { name, stand_in: false, sha256, shape, frames: cut.frames, unit: 1.0, classes: 10, train, test })
}

/// A recording of N-MNIST, or where it lies.
enum Recording {
    Bytes(Vec<u8>),
    File(std::path::PathBuf),
}

#[cfg(test)]
mod tests {
    use super::super::events::Slice;
    use super::*;

    /// A folder in the layout of the sample of N-MNIST.
    fn small(labels: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("labels.csv"), labels).unwrap();
        let mut tar = tar::Builder::new(Vec::new());
        for i in 0..6 {
            let bytes = [3, 7, 0x80, 0, 5];
            let mut header = tar::Header::new_gnu();
            header.set_size(5);
            header.set_cksum();
            tar.append_data(&mut header, format!("{i}.bin"), &bytes[..]).unwrap();
        }
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut gz, &tar.into_inner().unwrap()).unwrap();
        std::fs::write(folder.path().join("nmnist-small.tar.gz"), gz.finish().unwrap()).unwrap();
        folder
    }

    #[test]
    fn labels_of_recordings_are_checked_and_only_some_are_read() {
        let good = "sample,label,split\n0,1,train\n1,9,train\n2,3,train\n3,4,test\n4,5,test\n5,0,test\n";
        let read =
            |labels: &str, n| Samples::read(Set::NMnist, Some(small(labels).path()), Cut { frames: 2, slice: Slice::Count, bin: 1 }, n);
        let some = read(good, [2, 1]).unwrap();
        assert_eq!((some.train.labels, some.test.labels), (vec![1, 9], vec![4]));
        let e = read(&good.replace("4,5,test", "4,10,test"), [3, 3]).err().unwrap().to_string();
        assert!(e.contains("line 6") && e.contains("label 0 to 9"), "{e}");
        let e = Samples::grey_images(Set::Cifar10, None, &[10]).err().unwrap().to_string();
        assert!(e.contains("grey") && e.contains("fashion-mnist"), "{e}");
    }
}
