//! Sets of recordings: gestures and pictures before event cameras, spoken words from a model of the ear. Which files are for training and which for test:
//!
//! | set | files | split |
//! |---|---|---|
//! | DVS128 Gesture (Amir et al., CVPR 2017, 7243) | AEDAT 3.1, and beside each a table of the gestures in it | the lists of the archive: `trials_to_train.txt`, `trials_to_test.txt` |
//! | CIFAR10-DVS (Li et al., Front. Neurosci. 11, 309 (2017)) | a folder a class, AEDAT 2 | published without one: of each class the first 90 % by number, and the last 10 % |
//! | SHD and SSC (Cramer et al., IEEE TNNLS 33, 2744 (2022)) | HDF5: `spikes/times` (s), `spikes/units` (0 to 699), `labels` | the two files |
//!
//! Only what is asked for is read. The checksum in a result is that of the files that were read.

use super::bytes;
use super::events::{self, Camera, Cut, Event};
use super::samples::{Part, Samples};
use hdf5::types::VarLenArray;
use rayon::prelude::*;
use spinloom_base::{Diagnostic, Problems, hash};
use std::path::{Path, PathBuf};

/// Folders that DVS128 Gesture is looked for in.
pub(super) const GESTURE: &[&str] = &["DvsGesture", "dvs128-gesture"];
/// Those of CIFAR10-DVS.
pub(super) const CIFAR10_DVS: &[&str] = &["CIFAR10-DVS", "cifar10-dvs"];
/// Pixels of both cameras along a side.
pub(super) const SIDE: usize = 128;
/// Gestures; the last is "other".
pub(super) const GESTURES: usize = 11;
/// Classes of CIFAR10-DVS, in the order of their labels, and MD5 of each one's archive.
pub(super) const PICTURES: [(&str, &str); 10] = [
    ("airplane", "0afd5c4bf9ae06af762a77b180354fdd"),
    ("automobile", "8438dfeba3bc970c94962d995b1b9bdd"),
    ("bird", "a9c207c91c55b9dc2002dc21c684d785"),
    ("cat", "52c63c677c2b15fa5146a8daf4d56687"),
    ("deer", "b6bf21f6c04d21ba4e23fc3e36c8a4a3"),
    ("dog", "f379ebdf6703d16e0a690782e62639c3"),
    ("frog", "cad6ed91214b1c7388a5f6ee56d08803"),
    ("horse", "e7cbbf77bec584ffbf913f00e682782a"),
    ("ship", "41c7bd7d6b251be82557c6cce9a7d5c9"),
    ("truck", "89f3922fd147d9aeff89e76a2b0b70a7"),
];

/// A set of sounds as spikes of a cochlea's 700 channels.
pub struct Cochlea {
    name: &'static str,
    pub(super) folders: &'static [&'static str],
    /// Beginning of the names of its files.
    pub(super) stem: &'static str,
    pub(super) classes: usize,
    fetch: &'static str,
}

/// Channels of the cochlea.
pub(super) const CHANNELS: usize = 700;
/// Spoken digits in two languages.
pub const SHD: Cochlea = Cochlea {
    name: "SHD",
    folders: &["SHD", "shd"],
    stem: "shd",
    classes: 20,
    fetch: "unpack shd_train.h5.zip (MD5 f3252aeb598ac776c1b526422d90eecb) and shd_test.h5.zip (MD5 1503a5064faa34311c398fb0a1ed0a6f) into it",
};
/// Spoken commands.
pub const SSC: Cochlea = Cochlea {
    name: "SSC",
    folders: &["SSC", "ssc"],
    stem: "ssc",
    classes: 35,
    fetch: "unpack ssc_train.h5.zip and ssc_test.h5.zip into it (ssc_valid.h5 is not read: `validation` sets samples of the training part aside)",
};

fn absent(folder: &Path, what: &str, hint: impl Into<String>) -> Problems {
    Diagnostic::file(folder.display().to_string(), format!("there is no {what} here")).hint(hint).into()
}

/// The folder itself, or the first of these in it that has what is wanted.
fn place(folder: &Path, names: &[&str], has: impl Fn(&Path) -> bool) -> Option<PathBuf> {
    std::iter::once(folder.to_path_buf()).chain(names.iter().map(|n| folder.join(n))).find(|f| has(f))
}

/// A gesture of a recording: class from 0, first microsecond and first no more.
pub type Labelled = (u8, i64, i64);

/// The table of gestures beside a recording: `class,startTime_usec,endTime_usec`, classes from 1.
///
/// # Errors
/// Rows that are no gesture, by their lines.
pub fn gesture_labels(name: &str, bytes: &[u8]) -> Result<Vec<Labelled>, Problems> {
    let mut list = Vec::new();
    for (line, row) in String::from_utf8_lossy(bytes).lines().enumerate() {
        let cells: Vec<&str> = row.split(',').map(str::trim).collect();
        if line == 0 && cells[0] == "class" || row.trim().is_empty() {
            continue;
        }
        let whole = |i: usize| cells.get(i).and_then(|c| c.parse::<i64>().ok());
        match (whole(0), whole(1), whole(2)) {
            (Some(class), Some(from), Some(to)) if (1..=GESTURES as i64).contains(&class) && from >= 0 && from < to => {
                list.push((class as u8 - 1, from, to));
            }
            _ => {
                return Err(Diagnostic::file(name, format!("line {} is no gesture", line + 1))
                    .hint(format!("a line has a class, 1 to {GESTURES}, its first and its last microsecond"))
                    .into());
            }
        }
    }
    if list.is_empty() {
        return Err(Diagnostic::file(name, "it names no gesture").into());
    }
    Ok(list)
}

/// DVS128 Gesture as its archive unpacks.
pub(super) fn gestures(folder: &Path, cut: Cut, at_most: [usize; 2]) -> Result<Samples, Problems> {
    const LISTS: [&str; 2] = ["trials_to_train.txt", "trials_to_test.txt"];
    let Some(folder) = place(folder, GESTURE, |f| LISTS.iter().all(|l| f.join(l).is_file())) else {
        return Err(absent(
            folder,
            "DVS128 Gesture",
            "unpack DvsGesture.tar.gz (MD5 8a5c71fb11e24e5ca5b11866ca6c00a1) into it: recordings, tables of labels and the lists trials_to_train.txt and trials_to_test.txt",
        ));
    };
    let sensor = [SIDE, SIDE, 2];
    let mut sums = String::new();
    let mut part = |list: &str, at_most: usize| -> Result<Part, Problems> {
        let mut part = Part::default();
        let path = folder.join(list);
        let names = bytes(&path)?;
        for (line, name) in String::from_utf8_lossy(&names).lines().enumerate() {
            let name = name.trim();
            if name.is_empty() || part.labels.len() >= at_most {
                continue;
            }
            let Some(stem) = name.strip_suffix(".aedat").filter(|s| !s.contains(['/', '\\'])) else {
                return Err(Diagnostic::file(path.display().to_string(), format!("line {} names no recording: {name:?}", line + 1)).into());
            };
            let (recording, table) = (folder.join(name), folder.join(format!("{stem}_labels.csv")));
            let (data, rows) = (bytes(&recording)?, bytes(&table)?);
            let name = recording.display().to_string();
            let list = events::parse(&name, &data, Camera::Dvs128)?;
            if let Some(e) = list.iter().find(|e| usize::from(e.x) >= SIDE || usize::from(e.y) >= SIDE) {
                return Err(
                    Diagnostic::file(name, format!("an event at x = {}, y = {} is none of a camera of {SIDE} x {SIDE}", e.x, e.y)).into()
                );
            }
            for (class, from, to) in gesture_labels(&table.display().to_string(), &rows)? {
                let some: Vec<Event> = list.iter().filter(|e| (from..to).contains(&e.t)).copied().collect();
                if some.is_empty() {
                    return Err(Diagnostic::file(
                        table.display().to_string(),
                        format!("from {from} to {to} us the recording has no events"),
                    )
                    .hint("the table is of another recording, or the recording is cut short: fetch both again")
                    .into());
                }
                part.labels.push(class);
                part.pixels.extend(events::frames(&some, sensor, cut));
            }
            sums.push_str(&hash::of_bytes(&data));
            sums.push_str(&hash::of_bytes(&rows));
        }
        if part.labels.is_empty() {
            return Err(Diagnostic::file(path.display().to_string(), "it names no recording").into());
        }
        Ok(part)
    };
    let (train, test) = (part(LISTS[0], at_most[0])?, part(LISTS[1], at_most[1])?);
    Ok(Samples {
        name: "DVS128 Gesture, split by its lists of trials".into(),
        stand_in: false,
        sha256: hash::of_bytes(sums.as_bytes()),
        shape: cut.shape(sensor),
        frames: cut.frames,
        unit: 1.0,
        classes: GESTURES,
        train,
        test,
    })
}

/// CIFAR10-DVS: `airplane/cifar10_airplane_0.aedat`, …
pub(super) fn cifar10_dvs(folder: &Path, cut: Cut, at_most: [usize; 2]) -> Result<Samples, Problems> {
    let Some(folder) = place(folder, CIFAR10_DVS, |f| f.join(PICTURES[0].0).is_dir()) else {
        let archives: Vec<String> = PICTURES.iter().map(|(name, md5)| format!("{name}.zip (MD5 {md5})")).collect();
        return Err(absent(folder, "CIFAR10-DVS", format!("unpack into it {}: a folder of recordings each", archives.join(", "))));
    };
    let mut files = Vec::new();
    for (class, _) in PICTURES {
        let folder = folder.join(class);
        let list = std::fs::read_dir(&folder).map_err(|e| {
            Diagnostic::file(folder.display().to_string(), format!("cannot be read: {e}"))
                .hint("CIFAR10-DVS has a folder for each of ten classes")
        })?;
        // By the number in the name: 2 before 10.
        let mut some: Vec<(u64, PathBuf)> = list
            .flatten()
            .map(|f| f.path())
            .filter(|p| p.extension().is_some_and(|e| e == "aedat"))
            .map(|p| {
                let stem = p.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                let digits = stem.len() - stem.bytes().rev().take_while(u8::is_ascii_digit).count();
                (stem[digits..].parse().unwrap_or(0), p)
            })
            .collect();
        some.sort();
        if some.len() < 10 {
            return Err(Diagnostic::file(folder.display().to_string(), format!("{} recordings cannot be split nine to one", some.len()))
                .hint("the set has 1000 of each class; unpack it again")
                .into());
        }
        files.push(some);
    }
    // One of each class in turn, so that the first so many are of all classes.
    let pick = |test: bool, at_most: usize| -> Vec<(u8, PathBuf)> {
        let range = |n: usize| if test { n * 9 / 10..n } else { 0..n * 9 / 10 };
        let longest = files.iter().map(|f| range(f.len()).len()).max().unwrap_or(0);
        let turn = |i: usize| files.iter().enumerate().filter_map(move |(c, f)| Some((c as u8, f[range(f.len())].get(i)?.1.clone())));
        (0..longest).flat_map(turn).take(at_most).collect()
    };
    let sensor = [SIDE, SIDE, 2];
    let read = |list: Vec<(u8, PathBuf)>| -> Result<(Part, String), Problems> {
        let one = |path: &PathBuf| -> Result<(Vec<u8>, String), Problems> {
            let data = bytes(path)?;
            let name = path.display().to_string();
            let list = events::parse(&name, &data, Camera::Dvs128)?;
            if list.is_empty() {
                return Err(Diagnostic::file(name, "it has no events").hint("fetch its archive again").into());
            }
            Ok((events::frames(&list, sensor, cut), hash::of_bytes(&data)))
        };
        let found: Vec<_> = list.par_iter().map(|(_, path)| one(path)).collect::<Result<_, _>>()?;
        let part = Part { labels: list.iter().map(|f| f.0).collect(), pixels: found.iter().flat_map(|f| f.0.iter().copied()).collect() };
        Ok((part, found.into_iter().map(|f| f.1).collect()))
    };
    let ((train, first), (test, second)) = (read(pick(false, at_most[0]))?, read(pick(true, at_most[1]))?);
    Ok(Samples {
        name: "CIFAR10-DVS, of each class the first 90 % by number for training, the last 10 % for test".into(),
        stand_in: false,
        sha256: hash::of_bytes(format!("{first}{second}").as_bytes()),
        shape: cut.shape(sensor),
        frames: cut.frames,
        unit: 1.0,
        classes: PICTURES.len(),
        train,
        test,
    })
}

/// SHD or SSC.
pub(super) fn cochlea(set: &Cochlea, folder: &Path, cut: Cut, at_most: [usize; 2]) -> Result<Samples, Problems> {
    let files = ["train", "test"].map(|part| format!("{}_{part}.h5", set.stem));
    let Some(folder) = place(folder, set.folders, |f| files.iter().all(|name| f.join(name).is_file())) else {
        return Err(absent(folder, set.name, set.fetch));
    };
    let sensor = [1, CHANNELS, 1];
    let mut sums = String::new();
    let mut part = |name: &str, at_most: usize| -> Result<Part, Problems> {
        let path = folder.join(name);
        let (list, labels) = spikes(&path, set.classes, at_most)?;
        sums.push_str(&hash::of_bytes(&bytes(&path)?));
        let pixels: Vec<Vec<u8>> = list.par_iter().map(|events| events::frames(events, sensor, cut)).collect();
        Ok(Part { pixels: pixels.concat(), labels })
    };
    let (train, test) = (part(&files[0], at_most[0])?, part(&files[1], at_most[1])?);
    Ok(Samples {
        name: format!("{}, split by its files", set.name),
        stand_in: false,
        sha256: hash::of_bytes(sums.as_bytes()),
        shape: cut.shape(sensor),
        frames: cut.frames,
        unit: 1.0,
        classes: set.classes,
        train,
        test,
    })
}

/// The first so many sounds of a file of SHD's form, spikes in the order of time, and their labels. Numbers may be of any type that HDF5 turns into these: the published times have 16 bits.
///
/// HDF5 itself trusts a file's word on where its lists lie: one that is damaged there can end the program. Compare the checksum first.
///
/// # Errors
/// A file that is damaged or of another form.
pub fn spikes(path: &Path, classes: usize, at_most: usize) -> Result<(Vec<Vec<Event>>, Vec<u8>), Problems> {
    let wrong = |message: String| -> Problems {
        Diagnostic::file(path.display().to_string(), message)
            .hint("the file is damaged or of another set: fetch it again, unpack it and compare its checksum")
            .into()
    };
    let read = || -> hdf5::Result<(Vec<VarLenArray<f32>>, Vec<VarLenArray<u16>>, Vec<i64>, [usize; 3])> {
        // Without locks, which some file systems refuse.
        let file = hdf5::File::with_options().with_fapl(|a| a.file_locking(false)).open(path)?;
        let [times, units, labels] = [file.dataset("spikes/times")?, file.dataset("spikes/units")?, file.dataset("labels")?];
        let sizes = [times.size(), units.size(), labels.size()];
        for d in [&times, &units, &labels] {
            // A damaged file may claim more than it holds; deflate shrinks at most 1032-fold.
            let claimed = d.size() as u128 * d.dtype()?.size() as u128;
            if d.ndim() != 1 || claimed > 1100 * u128::from(d.storage_size()) {
                return Err(format!("`{}` is no list that the file holds", d.name()).into());
            }
        }
        let n = sizes[0].min(at_most);
        if sizes != [sizes[0]; 3] {
            return Ok((Vec::new(), Vec::new(), Vec::new(), sizes));
        }
        let some = |d: &hdf5::Dataset| -> hdf5::Result<Vec<i64>> { Ok(d.read_slice_1d::<i64, _>(..n)?.to_vec()) };
        Ok((times.read_slice_1d(..n)?.to_vec(), units.read_slice_1d(..n)?.to_vec(), some(&labels)?, sizes))
    };
    let (times, units, labels, sizes) = read().map_err(|e| wrong(format!("cannot be read: {e}")))?;
    if sizes != [sizes[0]; 3] || sizes[0] == 0 {
        let [times, units, labels] = sizes;
        return Err(wrong(format!("it has {times} lists of times, {units} of channels and {labels} labels")));
    }
    let mut sounds = Vec::with_capacity(times.len());
    let mut classes_of = Vec::with_capacity(times.len());
    for (i, ((t, u), label)) in times.iter().zip(&units).zip(&labels).enumerate() {
        if t.len() != u.len() {
            return Err(wrong(format!("sound {i} has {} times and {} channels", t.len(), u.len())));
        }
        if !(0..classes as i64).contains(label) {
            return Err(wrong(format!("label {label} of sound {i} is none of {classes} classes")));
        }
        // A recording of an hour would be none of a word.
        if let Some(bad) = t.iter().find(|t| !(0.0..3600.0).contains(*t)) {
            return Err(wrong(format!("a time of sound {i} is {bad} s")));
        }
        if let Some(bad) = u.iter().find(|u| usize::from(**u) >= CHANNELS) {
            return Err(wrong(format!("a spike of sound {i} is in channel {bad} of {CHANNELS}")));
        }
        let mut sound: Vec<Event> =
            t.iter().zip(u.iter()).map(|(t, u)| Event { t: (f64::from(*t) * 1e6).round() as i64, x: *u, y: 0, on: true }).collect();
        sound.sort_by_key(|e| e.t);
        sounds.push(sound);
        classes_of.push(*label as u8);
    }
    Ok((sounds, classes_of))
}

#[cfg(test)]
mod tests {
    use super::super::events::Slice;
    use super::super::stand_ins;
    use super::*;

    const CUT: Cut = Cut { frames: 4, slice: Slice::Time, bin: 1 };

    fn refused(r: Result<Samples, Problems>) -> String {
        r.err().expect("it is refused").to_string()
    }

    #[test]
    fn gestures_are_cut_out_of_their_recordings() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join("DvsGesture").join(name);
        std::fs::create_dir(folder.path().join("DvsGesture")).unwrap();
        let event = |t, x, y| Event { t, x, y, on: true };
        let list = [event(5, 0, 0), event(10, 1, 2), event(19, 127, 127), event(20, 3, 3), event(40, 9, 9)];
        std::fs::write(at("a.aedat"), stand_ins::aedat3(&list)).unwrap();
        let table = "class,startTime_usec,endTime_usec\n11,10,20\n1,20,41\n";
        std::fs::write(at("a_labels.csv"), table).unwrap();
        std::fs::write(at("trials_to_train.txt"), "a.aedat\n").unwrap();
        std::fs::write(at("trials_to_test.txt"), "a.aedat\n\n").unwrap();
        let read = |n| gestures(folder.path(), CUT, n);
        let s = read([100, 1]).unwrap();
        assert_eq!((s.shape, s.train.labels, s.test.labels.len()), ([128, 128, 2], vec![10, 0], 2));
        // Two events each: in the first and the last of four slices of time, at [frame][y][x][on].
        let frame = 128 * 128 * 2;
        let ones: Vec<usize> = (0..8 * frame).filter(|i| s.train.pixels[*i] == 1).collect();
        let place = |k: usize, x: usize, y: usize| k * frame + (y * 128 + x) * 2 + 1;
        assert_eq!(ones, [place(0, 1, 2), place(3, 127, 127), place(4, 3, 3), place(7, 9, 9)]);
        // Whoever takes the wrong files is told which, and what to do.
        let write = |name: &str, text: &str| std::fs::write(at(name), text).unwrap();
        write("a_labels.csv", &table.replace("11,", "12,"));
        assert!(refused(read([9, 9])).contains("line 2 is no gesture"));
        write("a_labels.csv", "1,100,200\n");
        assert!(refused(read([9, 9])).contains("no events"));
        write("trials_to_train.txt", "../a.aedat\n");
        assert!(refused(read([9, 9])).contains("names no recording"));
        write("trials_to_train.txt", "b.aedat\n");
        assert!(refused(read([9, 9])).contains("b.aedat"));
        std::fs::write(at("b.aedat"), stand_ins::aedat3(&[event(1, 128, 0)])).unwrap();
        write("b_labels.csv", table);
        assert!(refused(read([9, 9])).contains("x = 128"));
        std::fs::remove_file(at("trials_to_test.txt")).unwrap();
        let e = refused(read([9, 9]));
        assert!(e.contains("there is no DVS128 Gesture") && e.contains("8a5c71fb11e24e5ca5b11866ca6c00a1"), "{e}");
    }

    #[test]
    fn pictures_are_split_by_their_numbers() {
        let folder = tempfile::tempdir().unwrap();
        for (class, _) in PICTURES {
            std::fs::create_dir(folder.path().join(class)).unwrap();
            for i in 0..20u16 {
                // The number of the recording stands in its only event.
                let path = folder.path().join(class).join(format!("cifar10_{class}_{i}.aedat"));
                std::fs::write(path, stand_ins::aedat2(&[Event { t: 7, x: i, y: 1, on: false }])).unwrap();
            }
        }
        let numbers = |part: &Part| -> Vec<usize> {
            part.pixels.chunks_exact(4 * 128 * 128 * 2).map(|s| s.iter().position(|v| *v == 1).unwrap() / 2 % 128).collect()
        };
        let s = cifar10_dvs(folder.path(), CUT, [usize::MAX, usize::MAX]).unwrap();
        let (train, test) = (numbers(&s.train), numbers(&s.test));
        assert_eq!((train.len(), test.len(), &s.train.labels[..10]), (180, 20, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9][..]));
        assert!(train.iter().enumerate().all(|(i, n)| *n == i / 10) && test.iter().enumerate().all(|(i, n)| *n == 18 + i / 10));
        assert!(s.name.contains("first 90 %"), "{}", s.name);
        // The first so many are of all classes.
        let few = cifar10_dvs(folder.path(), CUT, [15, 10]).unwrap();
        assert_eq!((few.train.labels.len(), few.train.labels[14], few.test.labels), (15, 4, (0..10).collect()));
        let damaged = folder.path().join("cat/cifar10_cat_3.aedat");
        let data = std::fs::read(&damaged).unwrap();
        std::fs::write(&damaged, &data[..data.len() - 3]).unwrap();
        let e = refused(cifar10_dvs(folder.path(), CUT, [usize::MAX, 1]));
        assert!(e.contains("cifar10_cat_3") && e.contains("truncated"), "{e}");
        std::fs::remove_dir_all(folder.path().join("truck")).unwrap();
        assert!(refused(cifar10_dvs(folder.path(), CUT, [9, 9])).contains("ten classes"));
        std::fs::remove_dir_all(folder.path().join("airplane")).unwrap();
        assert!(refused(cifar10_dvs(folder.path(), CUT, [9, 9])).contains("airplane.zip (MD5 0afd5c4b"));
    }

    #[test]
    fn sounds_come_from_hdf5() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let (times, units) = (vec![vec![0.5, 0.0, 0.9995], vec![], vec![0.25]], vec![vec![3.0, 699.0, 4.0], vec![], vec![6.0]]);
        stand_ins::write_spikes(&at("shd_train.h5"), &times, &units, &[0, 19, 7]).unwrap();
        stand_ins::write_spikes(&at("shd_test.h5"), &times, &units, &[1, 2, 3]).unwrap();
        let s = cochlea(&SHD, folder.path(), CUT, [2, 9]).unwrap();
        assert_eq!((s.shape, s.classes, s.train.labels, s.test.labels), ([1, 700, 1], 20, vec![0, 19], vec![1, 2, 3]));
        let ones: Vec<usize> = (0..2 * 2800).filter(|i| s.train.pixels[*i] == 1).collect();
        assert_eq!(ones, [699, 2 * 700 + 3, 3 * 700 + 4]);
        assert_eq!(cochlea(&SHD, folder.path(), Cut { bin: 7, ..CUT }, [2, 9]).unwrap().shape, [1, 100, 1]);
        let write = |units: &[Vec<f32>], labels: &[u16]| stand_ins::write_spikes(&at("shd_train.h5"), &times, units, labels).unwrap();
        let read = || refused(cochlea(&SHD, folder.path(), CUT, [9, 9]));
        write(&units, &[0, 20, 7]);
        assert!(read().contains("label 20 of sound 1"));
        write(&units, &[0, 1]);
        assert!(read().contains("3 lists of times, 3 of channels and 2 labels"));
        write(&[vec![3.0], vec![], vec![6.0]], &[0, 1, 2]);
        assert!(read().contains("sound 0 has 3 times and 1 channels"));
        write(&[vec![3.0, 700.0, 1.0], vec![], vec![6.0]], &[0, 1, 2]);
        assert!(read().contains("channel 700"));
        std::fs::write(at("shd_train.h5"), "no HDF5").unwrap();
        assert!(read().contains("shd_train.h5: cannot be read"));
        std::fs::remove_file(at("shd_train.h5")).unwrap();
        let e = read();
        assert!(e.contains("there is no SHD") && e.contains("f3252aeb598ac776c1b526422d90eecb"), "{e}");
    }

    /// Times of 16 bits, as the published files have them; written by h5py 3.16: `dtype=h5py.vlen_dtype(numpy.float16)`, the rest of uint16.
    #[test]
    fn sounds_with_short_times() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus/shd/half.h5");
        let (sounds, labels) = spikes(&path, 20, 9).unwrap();
        let event = |t, x| Event { t, x, y: 0, on: true };
        assert_eq!(labels, [4, 19]);
        assert_eq!(sounds, [vec![event(125_000, 3), event(500_000, 699)], vec![event(1_000_000, 0)]]);
    }

    #[test]
    fn every_stand_in_comes_through_its_loader() {
        use super::super::samples::Set;
        for (set, shape, classes) in
            [(Set::Gesture, [16, 16, 2], 11), (Set::Cifar10Dvs, [16, 16, 2], 10), (Set::Shd, [1, 88, 1], 20), (Set::Ssc, [1, 88, 1], 35)]
        {
            let s = Samples::read(set, None, Cut { bin: 8, ..CUT }, [33, 20]).unwrap();
            assert!(s.stand_in && s.name.starts_with("stand-in"), "{}", s.name);
            assert_eq!((s.shape, s.classes, s.train.labels.len(), s.test.labels.len()), (shape, classes, 33, 20));
            assert!(s.train.pixels.chunks_exact(s.size()).all(|p| p.iter().any(|v| *v > 0)));
        }
        assert!(refused(Samples::read(Set::Mnist, None, Cut { bin: 2, ..CUT }, [9, 9])).contains("no events"));
    }
}
