//! What must not be lost is not lost: round trips, kills at every effect on the disk and at random moments, full disks,
//! damaged files, and the programs that read records.
//!
//! Tests that call Python take the interpreter from `SPINLOOM_PYTHON` (default `python3`) and say aloud if h5py or
//! discretisedfield cannot be imported there.

use spinloom_base::Problems;
use spinloom_record::*;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

// ---------------------------------------------------------------- a run in small

const STEPS: u64 = 36;
const STEPS_PER_COMMIT: u64 = 4;
const REPLICAS: usize = 2;
const N: [usize; 3] = [5, 3, 2];
/// A signalling NaN with a payload: the checkpoint must bring it back as it is.
const ODD_NAN: u64 = 0x7ff0_0000_dead_beef;

fn header() -> Header {
    Header {
        program: "test".into(),
        version: "0.0.1".into(),
        source: Source { file: "süß.mx3".into(), text: "setGridSize(5, 3, 2)\n// µ₀".into() },
        device: "cpu".into(),
        precision: Precision::Single,
        seed: u64::MAX - 1,
        parameters: vec![Parameter { name: "Msat".into(), value: "8e5".into(), unit: "A/m".into() }],
        choices: vec![Choice { key: "stepper".into(), value: "RK45".into() }, Choice { key: "simd".into(), value: "".into() }],
        mesh: Mesh::regular(N, [5e-9, 5e-9, 3e-9], [-12.5e-9, 0.0, 1e-9]),
        columns: [("t", "s"), ("mx", ""), ("E_total", "J")].map(|(name, unit)| Column { name: name.into(), unit: unit.into() }).to_vec(),
        replicas: (0..REPLICAS)
            .map(|i| Replica {
                label: format!("H {i}"),
                coordinates: vec![Coordinate { name: "H_ex".into(), value: 0.1 * i as f64, unit: "T".into() }],
            })
            .collect(),
        volatile: Volatile::here(),
    }
}

/// The state of the toy: everything it records follows from it.
struct Toy {
    step: u64,
    x: [f64; 4],
}

impl Toy {
    fn new() -> Self {
        Self { step: 0, x: [0.1, 0.2, 0.3, f64::from_bits(ODD_NAN)] }
    }

    fn from(checkpoint: &Checkpoint) -> Self {
        let x: [f64; 4] = checkpoint.arrays["x"][..].try_into().unwrap();
        assert_eq!(x[3].to_bits(), ODD_NAN, "the payload of a NaN must survive");
        assert_eq!(checkpoint.text["script"], "zero\0byte");
        assert!(checkpoint.arrays["none"].is_empty());
        Self { step: checkpoint.integers["step"][0], x }
    }

    fn checkpoint(&self) -> Checkpoint {
        let mut c = Checkpoint::default();
        c.arrays.insert("x".into(), self.x.to_vec());
        c.arrays.insert("none".into(), vec![]);
        c.integers.insert("step".into(), vec![self.step, u64::MAX]);
        c.text.insert("script".into(), "zero\0byte".into());
        c.text.insert("empty".into(), String::new());
        c
    }

    /// Chaotic, so that a lost or doubled step shows.
    fn step(&mut self, writer: &mut Writer) -> Result<(), Problems> {
        let t = self.step as f64 * 1e-12;
        for replica in 0..REPLICAS {
            // The replicas get different numbers of rows: the ensemble is ragged.
            if replica == 0 || !self.step.is_multiple_of(3) {
                writer.row(replica, &[t, self.x[replica], if self.step.is_multiple_of(7) { f64::NAN } else { -self.x[2] }])?;
            }
        }
        if self.step % 5 == 2 {
            let kind = if self.step.is_multiple_of(2) { "switch" } else { "nucleation" };
            writer.event(Event { replica: 1, t, kind: kind.into(), value: self.x[1], detail: format!("step {} → µ", self.step) })?;
        }
        let cells = N.iter().product::<usize>();
        if self.step % 3 == 1 {
            let m: Vec<f64> = (0..3 * cells).map(|i| (self.x[0] + i as f64).sin()).collect();
            writer.frame("m", "", (self.step % 2) as usize, t, 3, &m)?;
        }
        // A quantity that begins late: not every segment has it.
        if self.step > 14 && self.step.is_multiple_of(4) {
            let e: Vec<f64> = (0..cells).map(|i| self.x[2] * i as f64).collect();
            writer.frame("Edens_total", "J/m3", 0, t, 1, &e)?;
        }
        for x in &mut self.x[..3] {
            *x = 3.9 * *x * (1.0 - *x);
        }
        self.step += 1;
        Ok(())
    }
}

/// Runs or resumes the toy in a folder to its end. `say` hears how many steps are safe on the disk.
fn run(dir: &Path, faults: Faults, mut say: impl FnMut(u64)) -> Result<PathBuf, Problems> {
    // Merging often, so that kills fall into merges of merges.
    let options = Options { merge: 2, faults, ..Options::default() };
    let (mut writer, mut toy) = if dir.join("run.h5").exists() {
        match Writer::resume(dir, options)? {
            Resumed::Finished(path) => return Ok(path),
            Resumed::Unfinished { writer, header: found, checkpoint } => {
                assert_eq!(Header { volatile: found.volatile.clone(), ..header() }, *found);
                (*writer, checkpoint.as_ref().map_or_else(Toy::new, Toy::from))
            }
        }
    } else {
        (Writer::create(dir, header(), options)?, Toy::new())
    };
    while toy.step < STEPS {
        toy.step(&mut writer)?;
        // The last rows are left uncommitted on purpose: `finish` takes them along.
        if toy.step % STEPS_PER_COMMIT == 0 && toy.step < STEPS {
            writer.commit(&toy.checkpoint())?;
            if toy.step % (2 * STEPS_PER_COMMIT) == 0 {
                writer.wait()?;
                say(toy.step);
            }
        }
    }
    writer.finish()
}

/// A folder in memory where there is one: thousands of fsyncs wait for nothing there, and a killed process leaves the
/// same files behind on any file system.
fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// A record that was never disturbed.
fn reference() -> (tempfile::TempDir, Record) {
    let dir = scratch();
    let path = run(dir.path(), Faults::default(), |_| {}).unwrap();
    let record = Record::open(&path).unwrap();
    (dir, record)
}

/// Every number of a record is the beginning of the reference's; returns the rows of replica 0, one a step.
fn assert_is_beginning(record: &Record, reference: &Record) -> u64 {
    for replica in 0..REPLICAS {
        let (some, all) = (record.table(replica).unwrap(), reference.table(replica).unwrap());
        assert_eq!(bits(&some.values), bits(&all.values[..some.values.len()]));
        assert_eq!(record.rows(replica).unwrap(), some.rows());
    }
    let (events, all) = (record.events().unwrap(), reference.events().unwrap());
    assert_eq!(events[..], all[..events.len()]);
    for field in record.fields().unwrap() {
        for k in 0..field.frames.len() {
            assert_eq!(record.frame(&field.name, k).unwrap(), reference.frame(&field.name, k).unwrap());
        }
    }
    let steps = record.rows(0).unwrap() as u64;
    // Rows, events and frames agree with each other and with the state.
    assert_eq!(events.len() as u64, (0..steps).filter(|s| s % 5 == 2).count() as u64);
    assert_eq!(
        record.fields().unwrap().iter().find(|f| f.name == "m").map_or(0, |f| f.frames.len()),
        (0..steps).filter(|s| s % 3 == 1).count()
    );
    if !record.is_finished() {
        assert_eq!(steps % STEPS_PER_COMMIT, 0);
        assert_eq!(record.commits().unwrap() * STEPS_PER_COMMIT, steps);
        assert_eq!(record.checkpoint().unwrap().map_or(0, |c| Toy::from(&c).step), steps);
    }
    steps
}

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|x| x.to_bits()).collect()
}

fn assert_equal(a: &Record, b: &Record) {
    let differences = diff(a, b).unwrap();
    assert!(differences.is_empty(), "{differences:#?}");
    assert_eq!(a.content_hash().unwrap(), b.content_hash().unwrap());
}

/// One file, and nothing else.
fn assert_tidy(dir: &Path) {
    let names: Vec<_> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["run.h5"], "a finished run is one file");
}

fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

// ---------------------------------------------------------------- Python

fn python() -> String {
    std::env::var("SPINLOOM_PYTHON").unwrap_or_else(|_| "python3".into())
}

/// Runs a Python program with arguments and returns what it prints; `None`, aloud, if a module is missing.
fn run_python(modules: &str, program: &str, arguments: &[&Path]) -> Option<String> {
    let probe = Command::new(python()).args(["-c", &format!("import {modules}")]).stderr(Stdio::null()).status();
    if !probe.is_ok_and(|s| s.success()) {
        eprintln!("SKIPPED: `{} -c 'import {modules}'` fails; set SPINLOOM_PYTHON to an interpreter that has {modules}", python());
        return None;
    }
    let output = Command::new(python()).arg("-c").arg(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap())
}

/// For folders of running or finished records: `NAME finished rows-of-replica-0 frames-of-m`, one a line, through h5py and the links.
const COUNT_WITH_H5PY: &str = r#"
import sys, os, h5py, numpy as np
for top in sorted(os.listdir(sys.argv[1])):
    f = h5py.File(os.path.join(sys.argv[1], top, 'run.h5'), 'r')
    if f.attrs['finished']:
        rows = int(f['table/count'][0]); frames = f['fields/m/data'].shape[0]
        assert np.isnan(f['table/mx'][1, int(f['table/count'][1]):]).all()
        f['fields/m/data'][:]
    else:
        rows = frames = 0
        for name in f['segments']:
            s = f['segments'][name]
            rows += int((s['rows/replica'][:] == 0).sum()); s['rows/values'][:]
            if 'fields' in s and 'm' in s['fields']:
                frames += s['fields/m/data'][:].shape[0]
    print(top, int(f.attrs['finished']), rows, frames)
"#;

// ---------------------------------------------------------------- round trips

#[test]
fn a_record_says_what_was_written() {
    let (dir, record) = reference();
    assert_tidy(dir.path());
    assert!(record.is_finished());
    assert_eq!(Header { volatile: record.header().volatile.clone(), ..header() }, *record.header());
    assert_eq!(record.rows(0).unwrap(), 36);
    assert_eq!(record.rows(1).unwrap(), 24);
    let t = record.column("t", 1).unwrap();
    assert_eq!(t[..3], [1e-12, 2e-12, 4e-12]);
    assert!(record.column("E_total", 0).unwrap()[7].is_nan(), "a NaN that was written is not taken for padding");
    assert_eq!(record.events().unwrap().len(), 7);
    assert_eq!(record.events().unwrap()[1].detail, "step 7 → µ");
    let fields = record.fields().unwrap();
    assert_eq!(
        fields.iter().map(|f| (f.name.as_str(), f.unit.as_str(), f.components, f.frames.len())).collect::<Vec<_>>(),
        [("Edens_total", "J/m3", 1, 5), ("m", "", 3, 12)]
    );
    assert_eq!(fields[1].frames[1], (4e-12, 0));
    let frame = record.frame("m", 0).unwrap();
    // The first frame is at step 1, where x[0] = 3.9 0.1 0.9.
    let x: f64 = 3.9 * 0.1 * (1.0 - 0.1);
    assert_eq!(frame.data[4], (x + 4.0).sin() as f32 as f64);
    assert_eq!(record.hash().unwrap(), spinloom_base::hash::of_file(record.path()).unwrap());
    assert!(record.checkpoint().unwrap().is_none());
}

#[test]
fn a_running_record_reads_like_a_finished_one() {
    let (_dir, reference) = reference();
    let dir = scratch();
    let mut writer = Writer::create(dir.path(), header(), Options { merge: 2, ..Options::default() }).unwrap();
    let mut toy = Toy::new();
    assert_eq!(Record::open(dir.path()).unwrap().rows(0).unwrap(), 0);
    for commits in 1..=STEPS / STEPS_PER_COMMIT {
        (0..STEPS_PER_COMMIT).for_each(|_| toy.step(&mut writer).unwrap());
        writer.commit(&toy.checkpoint()).unwrap();
        writer.wait().unwrap();
        let record = Record::open(dir.path()).unwrap();
        assert_eq!(record.commits(), Some(commits));
        assert_eq!(assert_is_beginning(&record, &reference), commits * STEPS_PER_COMMIT);
        assert!(record.hash().unwrap_err().to_string().contains("not finished"));
    }
    // Merging two at a time keeps one segment per binary digit of the older ones.
    assert!(std::fs::read_dir(dir.path().join("segments")).unwrap().count() <= 5);
    let message = Writer::resume(dir.path(), Options::default()).err().unwrap().to_string();
    assert!(message.contains("still going on"), "{message}");
}

#[test]
fn a_reader_survives_segments_merged_under_it() {
    let dir = scratch();
    let mut writer = Writer::create(dir.path(), header(), Options { merge: 2, ..Options::default() }).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (mut seen, mut opened, begun) = (0, 0, Instant::now());
            while seen < 400 && begun.elapsed() < Duration::from_secs(60) {
                let record = Record::open(dir.path()).unwrap();
                let rows = record.table(0).unwrap().rows();
                assert!(rows >= seen && (rows as u64).is_multiple_of(STEPS_PER_COMMIT));
                (seen, opened) = (rows, opened + 1);
            }
            assert_eq!(seen, 400);
            eprintln!("opened {opened} times while 100 commits were written and merged");
        });
        let mut toy = Toy::new();
        for _ in 0..100 {
            (0..STEPS_PER_COMMIT).for_each(|_| toy.step(&mut writer).unwrap());
            writer.commit(&toy.checkpoint()).unwrap();
        }
        writer.wait().unwrap();
    });
}

#[test]
fn an_old_large_checkpoint_does_not_stay() {
    let dir = scratch();
    let mut writer = Writer::create(dir.path(), header(), Options::default()).unwrap();
    let mut toy = Toy::new();
    let mut checkpoint = toy.checkpoint();
    checkpoint.arrays.insert("m".into(), vec![1.0; 1 << 18]);
    for _ in 0..6 {
        toy.step(&mut writer).unwrap();
        checkpoint.integers.insert("step".into(), vec![toy.step]);
        writer.commit(&checkpoint).unwrap();
    }
    writer.wait().unwrap();
    let size = |k: u32| std::fs::metadata(dir.path().join(format!("segments/{k:06}.h5"))).unwrap().len();
    assert!((0..5).all(|k| size(k) < 1 << 20), "old checkpoints of 2 MiB are gone");
    assert!(size(5) > 2 << 20, "the newest is there");
    let record = Record::open(dir.path()).unwrap();
    assert_eq!(record.rows(0).unwrap(), 6);
    let found = record.checkpoint().unwrap().unwrap();
    assert_eq!((found.integers, found.text), (checkpoint.integers, checkpoint.text));
    assert_eq!((bits(&found.arrays["x"]), &found.arrays["m"]), (bits(&checkpoint.arrays["x"]), &checkpoint.arrays["m"]));
}

#[test]
fn a_record_without_rows_or_frames_is_a_record() {
    let dir = scratch();
    let path = Writer::create(dir.path(), header(), Options::default()).unwrap().finish().unwrap();
    let record = Record::open(&path).unwrap();
    assert!(record.table(1).unwrap().values.is_empty());
    assert!(record.events().unwrap().is_empty() && record.fields().unwrap().is_empty());
    assert_eq!(record.content_hash().unwrap().len(), 64);
}

#[test]
fn double_precision_is_kept() {
    let dir = scratch();
    let mut writer = Writer::create(dir.path(), Header { precision: Precision::Double, ..header() }, Options::default()).unwrap();
    let data: Vec<f64> = (0..30).map(|i| 1.0 / (i as f64 + 1.0)).collect();
    writer.frame("E", "J", 1, 0.5, 1, &data).unwrap();
    let record = Record::open(&writer.finish().unwrap()).unwrap();
    assert_eq!(record.frame("E", 0).unwrap(), Frame { name: "E".into(), unit: "J".into(), replica: 1, t: 0.5, components: 1, data });
}

#[test]
fn equal_runs_have_equal_contents_and_different_ones_are_told_apart() {
    let ((_a, a), (_b, b)) = (reference(), reference());
    assert_equal(&a, &b);

    let changed = |change: &dyn Fn(&mut Writer), header: Header| {
        let dir = scratch();
        let mut writer = Writer::create(dir.path(), header, Options::default()).unwrap();
        let mut toy = Toy::new();
        while toy.step < STEPS {
            toy.step(&mut writer).unwrap();
        }
        change(&mut writer);
        let record = Record::open(&writer.finish().unwrap()).unwrap();
        let paths: Vec<String> = diff(&a, &record).unwrap().into_iter().map(|d| d.path).collect();
        assert_eq!(paths.is_empty(), a.content_hash().unwrap() == record.content_hash().unwrap());
        paths
    };
    assert!(changed(&|_| (), header()).is_empty(), "commits leave no trace");
    assert!(changed(&|_| (), Header { volatile: Volatile { started: 0.0, host: "elsewhere".into() }, ..header() }).is_empty());
    assert_eq!(changed(&|_| (), Header { seed: 1, ..header() }), ["@seed"]);
    assert_eq!(
        changed(&|_| (), Header { source: Source { text: "x".into(), ..header().source }, ..header() }),
        ["/source/text", "/source@sha256"]
    );
    let event = Event { replica: 0, t: 0.0, kind: "k".into(), value: 0.0, detail: "".into() };
    assert_eq!(changed(&|w| w.event(event.clone()).unwrap(), header()).len(), 5);
    assert_eq!(changed(&|w| w.row(1, &[0.0; 3]).unwrap(), header()), ["/table/E_total", "/table/count", "/table/mx", "/table/t"]);
    let zeros = vec![0.0; 90];
    assert_eq!(
        changed(&|w| w.frame("m", "", 0, 0.0, 3, &zeros).unwrap(), header()),
        ["/fields/m/data", "/fields/m/replica", "/fields/m/t"]
    );
}

#[test]
fn a_difference_names_the_first_value_also_far_inside() {
    let record = |x: f64| {
        let dir = scratch();
        let mesh = Mesh::regular([512, 512, 3], [1e-9; 3], [0.0; 3]);
        let mut data = vec![0.0; mesh.cells()];
        let mut writer = Writer::create(dir.path(), Header { mesh, ..header() }, Options::default()).unwrap();
        writer.frame("f", "", 0, 0.0, 1, &data).unwrap();
        data[2 * 512 * 512 + 5] = x;
        writer.frame("f", "", 0, 1.0, 1, &data).unwrap();
        let record = Record::open(&writer.finish().unwrap()).unwrap();
        (dir, record)
    };
    let ((_a, a), (_b, b)) = (record(0.0), record(-0.0));
    let differences = diff(&a, &b).unwrap();
    assert_eq!(
        differences,
        [Difference { path: "/fields/f/data".into(), left: "0e0 at [1, 2, 0, 5, 0]".into(), right: "-0e0 at [1, 2, 0, 5, 0]".into() }]
    );
}

// ---------------------------------------------------------------- refusals

#[test]
fn a_record_is_not_overwritten_unless_asked() {
    let (dir, before) = reference();
    let hash = before.hash().unwrap();
    let message = Writer::create(dir.path(), header(), Options::default()).err().unwrap().to_string();
    assert!(message.contains("run.h5: there is a record here already; resume it"), "{message}");
    assert_eq!(Record::open(dir.path()).unwrap().hash().unwrap(), hash);
    let writer = Writer::create(dir.path(), header(), Options { overwrite: true, ..Options::default() }).unwrap();
    let record = Record::open(&writer.finish().unwrap()).unwrap();
    assert_eq!(record.rows(0).unwrap(), 0);
}

#[test]
fn an_interrupted_overwrite_mixes_nothing() {
    let (old_dir, old) = reference();
    let running = scratch();
    let _ = run(running.path(), Faults { full_at: Some(100), die_at: None }, |_| {});
    let mut faults = 0;
    for (from, old) in [(old_dir.path(), &old), (running.path(), &Record::open(running.path()).unwrap())] {
        let rows = old.rows(0).unwrap();
        assert!(rows > 0);
        for k in 1.. {
            let folder = scratch();
            copy_dir(from, folder.path());
            let options = Options { overwrite: true, faults: Faults { full_at: Some(k), die_at: None }, ..Options::default() };
            if Writer::create(folder.path(), header(), options).is_ok() {
                break;
            }
            faults += 1;
            // The old record, whole; or none; or the new one, empty.
            if folder.path().join("run.h5").exists() {
                let found = Record::open(folder.path()).unwrap().rows(0).unwrap();
                assert!(found == rows || found == 0, "{found} rows");
            }
            drop(Writer::create(folder.path(), header(), Options { overwrite: true, ..Options::default() }).unwrap());
            assert_eq!(Record::open(folder.path()).unwrap().rows(0).unwrap(), 0);
        }
    }
    assert!(faults > 12);
}

#[test]
fn all_that_is_wrong_with_a_header_is_said_at_once() {
    let column = |name: &str| Column { name: name.into(), unit: "".into() };
    let bad = Header {
        columns: vec![column("t"), column("a/b"), column("t"), column("count")],
        replicas: vec![],
        device: "zero\0".into(),
        mesh: Mesh { n: [0, 1, 1], ..header().mesh },
        ..header()
    };
    let dir = scratch();
    let problems = Writer::create(dir.path(), bad, Options::default()).err().unwrap();
    assert_eq!(problems.iter().count(), 6, "{problems}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing half-written");
}

#[test]
fn calls_that_cannot_be_recorded_are_refused() {
    let dir = scratch();
    let mut writer = Writer::create(dir.path(), header(), Options::default()).unwrap();
    let zeros = [0.0; 90];
    writer.frame("m", "", 0, 0.0, 3, &zeros).unwrap();
    assert!(writer.frame("m", "", 0, 0.0, 1, &zeros[..30]).unwrap_err().to_string().contains("`m` had 3 components"));
    assert!(writer.frame("a/b", "", 0, 0.0, 3, &zeros).is_err());
    assert!(writer.event(Event { replica: 0, t: 0.0, kind: "a\0".into(), value: 0.0, detail: "".into() }).is_err());
    let mut bad = Checkpoint::default();
    bad.arrays.insert("a/b".into(), vec![]);
    assert!(writer.commit(&bad).is_err());
    // None of it spoilt the record.
    let record = Record::open(&writer.finish().unwrap()).unwrap();
    assert_eq!(record.fields().unwrap().len(), 1);
    let message = record.frame("mm", 0).unwrap_err().to_string();
    assert!(message.contains("did you mean `m`?"), "{message}");
    assert!(record.column("E_totl", 0).unwrap_err().to_string().contains("did you mean `E_total`?"));
    assert!(record.frame("m", 1).is_err() && record.table(2).is_err());
}

#[test]
#[should_panic(expected = "a row of 2 values for replica 0, where 3 columns and 2 replicas were announced")]
fn a_row_of_the_wrong_width_is_a_bug() {
    let dir = scratch();
    let _ = Writer::create(dir.path(), header(), Options::default()).unwrap().row(0, &[1.0, 2.0]);
}

/// Everything a reader can be asked; it may refuse, not panic.
fn read_everything(path: &Path) -> Result<(), Problems> {
    let record = Record::open(path)?;
    let mut worst = Ok(());
    let mut note = |result: Result<(), Problems>| {
        if result.is_err() {
            worst = result;
        }
    };
    for replica in 0..record.header().replicas.len().min(4) {
        note(record.table(replica).map(|_| ()));
    }
    note(record.events().map(|_| ()));
    match record.fields() {
        Ok(fields) => fields.iter().for_each(|f| (0..f.frames.len().min(30)).for_each(|k| note(record.frame(&f.name, k).map(|_| ())))),
        Err(problems) => note(Err(problems)),
    }
    note(record.checkpoint().map(|_| ()));
    note(record.content_hash().map(|_| ()));
    worst
}

#[test]
fn damaged_files_are_refused_with_place_and_hint() {
    let (dir, _) = reference();
    let whole = std::fs::read(dir.path().join("run.h5")).unwrap();
    let file = dir.path().join("damaged.h5");
    for k in 0..64 {
        std::fs::write(&file, &whole[..whole.len() * k / 64]).unwrap();
        let message = read_everything(&file).unwrap_err().to_string();
        assert!(message.contains("damaged.h5: cannot read") && message.contains("cut short"), "{message}");
    }
    std::fs::write(&file, b"# table, not HDF5\n").unwrap();
    assert!(Record::open(&file).unwrap_err().to_string().contains("not HDF5"));
    assert!(Record::open(&dir.path().join("absent")).unwrap_err().to_string().contains("no record here"));

    let other = hdf5::File::create(&file).unwrap();
    drop(other);
    assert!(Record::open(&file).unwrap_err().to_string().contains("not a record"));
    let other = hdf5::File::create(&file).unwrap();
    let text: hdf5::types::VarLenUnicode = "spinloom-record/2".parse().unwrap();
    other.new_attr::<hdf5::types::VarLenUnicode>().create("schema").unwrap().write_scalar(&text).unwrap();
    drop(other);
    let message = Record::open(&file).unwrap_err().to_string();
    assert!(message.contains("schema `spinloom-record/2`, expected `spinloom-record/1`; read it with the version"), "{message}");
}

/// Bytes overwritten anywhere: the child may find nothing or problems, but it must not panic.
#[test]
fn overwritten_bytes_do_not_panic() {
    let (dir, _) = reference();
    let whole = std::fs::read(dir.path().join("run.h5")).unwrap();
    let folder = dir.path().join("damaged");
    std::fs::create_dir(&folder).unwrap();
    let mut random = Random(7);
    for k in 0..400 {
        let mut bytes = whole.clone();
        // Mostly the first part, where HDF5 keeps its own structures.
        let span = if k % 2 == 0 { bytes.len() } else { 20_000.min(bytes.len()) };
        for _ in 0..1 + random.next() % 8 {
            let at = random.next() as usize % span;
            bytes[at] = random.next() as u8;
        }
        std::fs::write(folder.join(format!("{k}.h5")), bytes).unwrap();
    }
    let mut from = 0;
    let (mut read, mut refused, mut crashes) = (0, 0, 0);
    while from < 400 {
        let reader = child("read_damaged", &folder, &[("SPINLOOM_FROM", from)]);
        // A damaged length of a text makes HDF5 take gigabytes: under a limit it is refused them instead.
        let mut limited = Command::new("sh");
        limited.args(["-c", "ulimit -v 4000000; exec \"$0\" \"$@\""]).arg(reader.get_program()).args(reader.get_args());
        limited.envs(reader.get_envs().filter_map(|(k, v)| Some((k, v?)))).stdout(Stdio::piped()).stderr(Stdio::piped());
        let output = output_within(Duration::from_secs(20), limited);
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(!text.contains("panicked") && !String::from_utf8_lossy(&output.stderr).contains("panicked"), "{text}");
        let lines: Vec<&str> = text.lines().filter_map(|l| l.split("file ").nth(1)).collect();
        read += lines.iter().filter(|l| l.ends_with("read")).count();
        refused += lines.iter().filter(|l| l.ends_with("refused")).count();
        let next = from + lines.len() as u64;
        if next < 400 {
            // The C library itself crashed or hung on this file (memory errors in libhdf5 on hostile files are known); count it and go on.
            eprintln!("file {next}: {}", output.status);
            crashes += 1;
        }
        from = if next < 400 { next + 1 } else { next };
    }
    eprintln!("400 files with overwritten bytes: {read} read, {refused} refused, {crashes} crashed the HDF5 library");
    assert!(refused > 20, "the damage must be felt");
    assert!(crashes <= 40, "the HDF5 library crashes on more files than it used to");
}

/// Runs a process and ends it if it takes longer.
fn output_within(limit: Duration, mut command: Command) -> std::process::Output {
    let mut process = command.spawn().unwrap();
    let begun = Instant::now();
    while process.try_wait().unwrap().is_none() {
        if begun.elapsed() > limit {
            process.kill().unwrap();
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    process.wait_with_output().unwrap()
}

#[test]
#[ignore = "the child of `overwritten_bytes_do_not_panic`"]
fn read_damaged() {
    use std::io::Write;
    let folder = PathBuf::from(std::env::var("SPINLOOM_DIR").unwrap());
    for k in number("SPINLOOM_FROM").unwrap()..400 {
        let result = read_everything(&folder.join(format!("{k}.h5")));
        println!("file {k} {}", if result.is_ok() { "read" } else { "refused" });
        std::io::stdout().flush().unwrap();
    }
}

#[test]
fn missing_segments_are_named() {
    let dir = scratch();
    let mut writer = Writer::create(dir.path(), header(), Options::default()).unwrap();
    for _ in 0..3 {
        writer.row(0, &[0.0; 3]).unwrap();
        writer.commit(&Checkpoint::default()).unwrap();
    }
    drop(writer);
    for k in [1, 2] {
        let file = dir.path().join(format!("segments/{k:06}.h5"));
        let bytes = std::fs::read(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        let message = Record::open(dir.path()).unwrap_err().to_string();
        assert!(message.contains(&format!("segment {k:06} is missing; copy the whole folder")), "{message}");
        std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
        let message = Record::open(dir.path()).unwrap_err().to_string();
        assert!(message.contains(&format!("{k:06}.h5: cannot read")), "{message}");
        std::fs::write(&file, &bytes).unwrap();
    }
    Record::open(dir.path()).unwrap();
}

// ---------------------------------------------------------------- kills

/// Test processes: this binary again, one ignored test of it.
fn child(test: &str, dir: &Path, numbers: &[(&str, u64)]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--ignored", "--nocapture"]).env("SPINLOOM_DIR", dir).stderr(Stdio::piped()).stdout(Stdio::piped());
    for (name, number) in numbers {
        command.env(name, number.to_string());
    }
    command
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}

#[test]
#[ignore = "the child of the kill tests: runs or resumes the toy in SPINLOOM_DIR and dies at effect SPINLOOM_DIE_AT"]
fn run_in_child() {
    use std::io::Write;
    let dir = PathBuf::from(std::env::var("SPINLOOM_DIR").unwrap());
    let faults = Faults { die_at: number("SPINLOOM_DIE_AT"), full_at: None };
    println!("begun");
    run(&dir, faults, |steps| {
        println!("safe {steps}");
        std::io::stdout().flush().unwrap();
    })
    .unwrap();
    println!("finished");
}

/// Runs the child; how it ended, and the steps it said were safe.
fn run_child(dir: &Path, die_at: Option<u64>) -> (ExitStatus, u64) {
    let numbers: Vec<(&str, u64)> = die_at.map(|k| ("SPINLOOM_DIE_AT", k)).into_iter().collect();
    let output = child("run_in_child", dir, &numbers).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() || !errors.contains("panicked"), "{errors}");
    (output.status, safe_steps(&output.stdout))
}

fn safe_steps(stdout: &[u8]) -> u64 {
    String::from_utf8_lossy(stdout).lines().filter_map(|l| l.strip_prefix("safe ")?.parse().ok()).next_back().unwrap_or(0)
}

/// After a kill: what was said to be safe is there; a resume ends with the same bits.
fn assert_recovers(dir: &Path, safe: u64, reference: &Record) {
    if dir.join("run.h5").exists() {
        let record = Record::open(dir).unwrap();
        let steps = assert_is_beginning(&record, reference);
        assert!(steps >= safe, "{safe} steps were safe, {steps} are there");
    } else {
        assert_eq!(safe, 0);
    }
    let path = run(dir, Faults::default(), |_| {}).unwrap();
    assert_equal(&Record::open(&path).unwrap(), reference);
    assert_tidy(dir);
}

/// Compares what h5py sees in each folder with what our reader sees.
fn assert_h5py_agrees(folders: &Path) {
    let Some(text) = run_python("h5py, numpy", COUNT_WITH_H5PY, &[folders]) else { return };
    let mut seen = 0;
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let record = Record::open(&folders.join(words[0])).unwrap();
        assert_eq!(record.is_finished() as u8, words[1].parse::<u8>().unwrap());
        let rows: usize = words[2].parse().unwrap();
        let ours = record.rows(0).unwrap();
        // Between the renames of a segment and of the master the links are one commit behind the folder.
        assert!(rows == ours || (!record.is_finished() && rows + STEPS_PER_COMMIT as usize == ours), "{line}: we see {ours} rows");
        seen += 1;
    }
    assert_eq!(seen, std::fs::read_dir(folders).unwrap().count());
    eprintln!("h5py opened {seen} records left by kills");
}

#[test]
fn a_kill_at_any_effect_loses_nothing_that_was_committed() {
    let begun = Instant::now();
    let (_reference, reference) = reference();
    let folder = scratch();
    let graves = folder.path().join("graves");
    std::fs::create_dir(&graves).unwrap();
    let mut kills = 0;
    for k in 1.. {
        let dir = folder.path().join("run");
        let (status, safe) = run_child(&dir, Some(k));
        if status.success() {
            assert_equal(&Record::open(&dir).unwrap(), &reference);
            break;
        }
        kills += 1;
        if dir.join("run.h5").exists() {
            copy_dir(&dir, &graves.join(format!("{k:04}")));
        }
        // Every other one is killed again early in the resume.
        let (status, again) = if k % 2 == 0 { run_child(&dir, Some(1 + k / 2 % 9)) } else { (status, safe) };
        kills += (k % 2 == 0 && !status.success()) as u32;
        if status.success() {
            // It had so little left to do that it finished.
            assert_equal(&Record::open(&dir).unwrap(), &reference);
        } else {
            assert_recovers(&dir, safe.max(again), &reference);
        }
        std::fs::remove_dir_all(&dir).unwrap();
    }
    eprintln!("{kills} kills at every effect, {:.1} s", begun.elapsed().as_secs_f64());
    // Each commit has at least ten effects; fewer means that they are not counted.
    assert!(kills as u64 > 10 * STEPS / STEPS_PER_COMMIT);
    assert_h5py_agrees(&graves);
}

#[test]
fn a_kill_at_a_random_moment_loses_nothing_that_was_committed() {
    let begun = Instant::now();
    let (_reference, reference) = reference();
    let folder = scratch();
    let graves = folder.path().join("graves");
    std::fs::create_dir(&graves).unwrap();
    let started = Instant::now();
    assert!(run_child(&folder.path().join("timing"), None).0.success());
    let whole = started.elapsed();
    let mut random = Random(42);
    let (mut kills, mut in_time) = (0, 0);
    // Some come after the end, when other tests make the timing run slow.
    while in_time < 64 && kills < 200 {
        let dir = folder.path().join(format!("run{kills}"));
        let mut process = child("run_in_child", &dir, &[]).spawn().unwrap();
        let wait = whole.mul_f64(random.unit());
        let until = Instant::now() + wait;
        // Sleeping rounds up to the scheduler's grain; the last part is spun, to fall between any two instructions.
        std::thread::sleep(wait.saturating_sub(Duration::from_micros(200)));
        while Instant::now() < until {
            std::hint::spin_loop();
        }
        process.kill().unwrap();
        let output = process.wait_with_output().unwrap();
        kills += 1;
        in_time += !output.status.success() as u32;
        if dir.join("run.h5").exists() {
            copy_dir(&dir, &graves.join(format!("{kills:04}")));
        }
        assert_recovers(&dir, safe_steps(&output.stdout), &reference);
        std::fs::remove_dir_all(&dir).unwrap();
    }
    eprintln!("{kills} SIGKILLs, {in_time} before the end, {:.1} s", begun.elapsed().as_secs_f64());
    assert!(in_time >= 60);
    assert_h5py_agrees(&graves);
}

/// Small enough for a test, without a crate for it: xorshift64*.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    fn unit(&mut self) -> f64 {
        (self.next() & 0xffff_ffff) as f64 / 4294967296.0
    }
}

// ---------------------------------------------------------------- full disks

#[test]
fn a_full_disk_at_any_effect_loses_nothing_that_was_committed() {
    let (_reference, reference) = reference();
    let folder = scratch();
    let mut faults = 0;
    for k in 1.. {
        let dir = folder.path().join("run");
        let mut safe = 0;
        match run(&dir, Faults { full_at: Some(k), die_at: None }, |steps| safe = steps) {
            Ok(path) => {
                assert_equal(&Record::open(&path).unwrap(), &reference);
                break;
            }
            Err(problems) => {
                let message = problems.to_string();
                assert!(message.contains(&folder.path().display().to_string()) && message.contains("no storage space"), "{message}");
                // Before there is a record, nothing can be safe.
                let tells = message.contains("safe in")
                    || message.contains("nothing had been committed")
                    || message.contains("in place and complete");
                assert!(tells || !dir.join("run.h5").exists(), "{message}");
                let parts =
                    std::fs::read_dir(&dir).into_iter().flatten().chain(std::fs::read_dir(dir.join("segments")).into_iter().flatten());
                assert!(
                    !parts.flatten().any(|e| e.file_name().to_string_lossy().ends_with(".part")),
                    "unfinished files give their space back"
                );
            }
        }
        assert_recovers(&dir, safe, &reference);
        std::fs::remove_dir_all(&dir).unwrap();
        faults += 1;
    }
    eprintln!("full disk at each of {faults} effects");
    assert!(faults > 10 * STEPS / STEPS_PER_COMMIT);
}

#[test]
fn a_disk_that_is_really_full_loses_nothing_that_was_committed() {
    let folder = scratch();
    let mount = |options: &str| {
        Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(folder.path()).stderr(Stdio::null()).status()
    };
    if !mount("size=1m").is_ok_and(|s| s.success()) {
        eprintln!("SKIPPED: no permission to mount a small file system; only injected errors were tested");
        return;
    }
    // HDF5 keeps a file open that it failed to close, so the runs live in children: a mount can then be taken away.
    let dir = folder.path().join("run");
    let output = child("fill_disk", &dir, &[]).output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let safe = safe_steps(text.as_bytes());
    let rows = Record::open(&dir).map(|r| r.rows(0).unwrap() as u64);
    let resumed_small = child("fill_disk", &dir, &[]).output().unwrap();
    let _ = mount("remount,size=16m");
    let resumed = child("fill_disk", &dir, &[]).output().unwrap();
    let finished = Record::open(&dir).map(|r| (r.is_finished(), r.rows(0).unwrap(), r.column("mx", 0).unwrap()));
    let unmounted = Command::new("umount").arg(folder.path()).status();

    assert!(output.status.success(), "{text}");
    assert!(text.contains("No space left on device") && text.contains("is safe in"), "{text}");
    assert!(safe > 0 && rows.unwrap() >= safe, "{text}");
    let again = String::from_utf8_lossy(&resumed_small.stdout);
    assert!(again.contains("No space left on device"), "{again}");
    assert!(resumed.status.success() && String::from_utf8_lossy(&resumed.stdout).contains("finished"), "{resumed:?}");
    let (is_finished, rows, mx) = finished.unwrap();
    assert!(is_finished && rows == 400 && mx.iter().enumerate().all(|(i, &x)| x == i as f64));
    assert!(unmounted.unwrap().success(), "the file system is not held open");
    eprintln!("a file system of 1 MB was full after {safe} steps; after it grew the run was resumed to its end");
}

#[test]
#[ignore = "the child of `a_disk_that_is_really_full_loses_nothing_that_was_committed`"]
fn fill_disk() {
    let dir = PathBuf::from(std::env::var("SPINLOOM_DIR").unwrap());
    let go = || -> Result<(), Problems> {
        let mesh = Mesh::regular([32, 32, 1], [1e-9; 3], [0.0; 3]);
        let options = Options { merge: 4, ..Options::default() };
        let (mut writer, begin) = if dir.join("run.h5").exists() {
            match Writer::resume(&dir, options)? {
                Resumed::Finished(_) => return Ok(()),
                Resumed::Unfinished { writer, checkpoint, .. } => (*writer, checkpoint.map_or(0, |c| c.integers["step"][0])),
            }
        } else {
            (Writer::create(&dir, Header { mesh: mesh.clone(), ..header() }, options)?, 0)
        };
        for step in begin..400 {
            let mut random = Random(step + 1);
            let noise: Vec<f64> = (0..3 * mesh.cells()).map(|_| random.unit()).collect();
            writer.row(0, &[step as f64, step as f64, 0.0])?;
            writer.frame("m", "", 0, step as f64, 3, &noise)?;
            if step % 5 == 4 {
                let mut checkpoint = Checkpoint::default();
                checkpoint.integers.insert("step".into(), vec![step + 1]);
                checkpoint.arrays.insert("m".into(), noise);
                writer.commit(&checkpoint)?;
                writer.wait()?;
                println!("safe {}", step + 1);
            }
        }
        writer.finish().map(|_| println!("finished"))
    };
    if let Err(problems) = go() {
        println!("{problems}");
    }
}

// ---------------------------------------------------------------- other programs

#[test]
fn h5py_opens_a_record_in_three_lines() {
    let (dir, record) = reference();
    let program = "
import sys, os, h5py
os.chdir(sys.argv[1])
f = h5py.File('run.h5')
print(repr(float(f['table/t'][0][2])), f['table/t'].attrs['unit'].decode())
print(repr(float(f['fields/m/data'][-1][1, 2, 4, 0])), f['fields/m/data'].shape, f['fields/m/data'].dtype)
print(f['source/text'][()].decode(), f.attrs['schema'].decode(), f.attrs['finished'], f.attrs['seed'])
print(f['replicas/coordinates/name'][1].decode(), f['replicas/coordinates/value'][1], f['events/kind'][0].decode())
";
    let Some(text) = run_python("h5py", program, &[dir.path()]) else { return };
    let last = record.frame("m", 11).unwrap();
    let value = last.data[((N[1] + 2) * N[0] + 4) * 3];
    let expected = format!(
        "2e-12 s\n{value:?} (12, 2, 3, 5, 3) float32\nsetGridSize(5, 3, 2)\n// µ₀ spinloom-record/1 True {}\nH_ex 0.1 switch\n",
        u64::MAX - 1
    );
    assert_eq!(text, expected);
}

fn ovf() -> Ovf {
    let data = (0..90).map(|i| (i as f64 * 0.7).sin() / 3.0).collect();
    Ovf::new(&header().mesh, &Frame { name: "m".into(), unit: "".into(), replica: 0, t: 1.5e-9, components: 3, data })
}

#[test]
fn ovf_comes_back_as_it_was() {
    let dir = scratch();
    for format in [OvfFormat::Binary4, OvfFormat::Binary8, OvfFormat::Text] {
        let file = dir.path().join("m.ovf");
        let mut expected = ovf();
        if format == OvfFormat::Binary4 {
            expected.data.iter_mut().for_each(|x| *x = *x as f32 as f64);
        }
        ovf().write_file(&file, format).unwrap();
        assert_eq!(Ovf::read_file(&file).unwrap(), expected);
        let bytes = std::fs::read(&file).unwrap();
        for k in 0..100 {
            let cut = bytes.len().saturating_sub(60) * k / 100;
            assert!(Ovf::read(&bytes[..cut], "cut.ovf").is_err(), "{format:?} cut at {cut} of {}", bytes.len());
        }
    }
    let mut bytes = Vec::new();
    ovf().write(&mut bytes, OvfFormat::Binary4).unwrap();
    let at = bytes.windows(17).position(|w| w == b"Begin: Data Binar").unwrap();
    // mumax3's header, key for key.
    let head = String::from_utf8_lossy(&bytes[..at]).into_owned();
    for line in [
        "# OOMMF OVF 2.0",
        "# Title: m",
        "# meshtype: rectangular",
        "# xmin: -0.0000000125",
        "# valuedim: 3",
        "# valuelabels: m_x m_y m_z",
        "# valueunits: 1 1 1",
        "# Desc: Total simulation time:  0.0000000015  s",
        "# xnodes: 5",
        "# zstepsize: 0.000000003",
    ] {
        assert!(head.lines().any(|l| l == line), "`{line}` in\n{head}");
    }
    bytes[at + 21] ^= 1;
    assert!(Ovf::read(&bytes, "m.ovf").unwrap_err().to_string().contains("control number"));
}

#[test]
fn ovf_1_of_oommf_is_read() {
    let mut bytes = b"# OOMMF: rectangular mesh v1.0\n# Segment count: 1\n# Begin: Segment\n# Begin: Header\n# Title: old\n# meshtype: rectangular\n## comment: no\n# xbase: 0.5e-9\n# ybase: 0.5e-9\n# zbase: 0.5e-9\n# xstepsize: 1e-9\n# ystepsize: 1e-9\n# zstepsize: 1e-9\n# xnodes: 2\n# ynodes: 1\n# znodes: 1\n# valueunit: A/m\n# valuemultiplier: 1\n# End: Header\n# Begin: Data Binary 4\n".to_vec();
    for x in [1234567.0f32, 1.0, 2.0, 3.0, -1.0, -2.0, -3.0] {
        bytes.extend(x.to_be_bytes());
    }
    let ovf = Ovf::read(&bytes, "old.omf").unwrap();
    assert_eq!((ovf.data, ovf.mesh.n, ovf.mesh.origin), (vec![1.0, 2.0, 3.0, -1.0, -2.0, -3.0], [2, 1, 1], [0.0; 3]));
}

#[test]
fn discretisedfield_reads_our_ovf() {
    let dir = scratch();
    let files = [OvfFormat::Binary4, OvfFormat::Binary8, OvfFormat::Text].map(|format| {
        let file = dir.path().join(format!("{format:?}.ovf"));
        ovf().write_file(&file, format).unwrap();
        file
    });
    let program = "
import sys, discretisedfield as df
for name in sys.argv[1:]:
    f = df.Field.from_file(name)
    print(tuple(int(n) for n in f.mesh.n), f.array.shape, '%.5f' % f.array[4, 2, 1, 2], '%.4g' % f.mesh.region.pmin[0], f.nvdim)
";
    let arguments: Vec<&Path> = files.iter().map(|f| f.as_path()).collect();
    let Some(text) = run_python("discretisedfield", program, &arguments) else { return };
    let value = ovf().data[((N[1] + 2) * N[0] + 4) * 3 + 2];
    assert_eq!(text, format!("(5, 3, 2) (5, 3, 2, 3) {value:.5} -1.25e-08 3\n").repeat(3));
}

#[test]
fn xdmf_points_at_what_is_there() {
    let (_dir, record) = reference();
    let path = write_xdmf(&record).unwrap();
    let program = r#"
import sys, os, h5py, xml.etree.ElementTree as et
top = os.path.dirname(sys.argv[1])
frames = 0
for grid in et.parse(sys.argv[1]).getroot().iter('Grid'):
    for attribute in grid.findall('Attribute'):
        slab, data = attribute.find('DataItem').findall('DataItem')
        name, place = data.text.split(':')
        set_ = h5py.File(os.path.join(top, name))[place]
        assert tuple(map(int, data.attrib['Dimensions'].split())) == set_.shape and int(data.attrib['Precision']) == set_.dtype.itemsize
        start, stride, count = (list(map(int, slab.text.split()))[i:i + 5] for i in (0, 5, 10))
        part = set_[tuple(slice(a, a + n) for a, n in zip(start, count))]
        want = tuple(map(int, attribute.find('DataItem').attrib['Dimensions'].split()))
        assert part.size == __import__('math').prod(want)
        nodes = tuple(map(int, grid.find('Topology').attrib['Dimensions'].split()))
        assert tuple(n - 1 for n in nodes) == want[:3]
        t = set_.parent['t'][start[0]]
        assert float(grid.find('Time').attrib['Value']) == t
        frames += 1
print(frames)
"#;
    if let Some(text) = run_python("h5py", program, &[&path]) {
        assert_eq!(text.trim(), "17", "12 frames of m and 5 of Edens_total");
    }
}

/// Through ParaView's own reader: each run of equal layers is a block at its height with its data, at each time.
#[test]
fn a_stack_opens_in_paraview_with_its_layers_where_they_are() {
    let dir = scratch();
    // 1 nm; a gap of 0.9 nm; 2 nm in two layers; 3 nm on top of it.
    let layers = vec![[-3.45e-9, 1e-9], [-1.55e-9, 1e-9], [-0.55e-9, 1e-9], [0.45e-9, 3e-9]];
    let mesh = Mesh { layers, ..Mesh::regular([3, 2, 4], [4e-9, 4e-9, 1.5e-9], [-6e-9, -4e-9, -3.45e-9]) };
    let mut writer = Writer::create(dir.path(), Header { mesh: mesh.clone(), ..header() }, Options::default()).unwrap();
    let frame = |t: f64| (0..72).map(|i| (i / 18) as f64 + 10.0 * (i % 3) as f64 + 1e12 * t).collect::<Vec<f64>>();
    [0.0, 1e-12].into_iter().for_each(|t| writer.frame("m", "", 0, t, 3, &frame(t)).unwrap());
    let record = Record::open(&writer.finish().unwrap()).unwrap();
    assert_eq!(record.header().mesh, mesh);
    let path = write_xdmf(&record).unwrap();
    let program = r#"
import sys
from vtkmodules.vtkIOXdmf2 import vtkXdmfReader
from vtkmodules.util.numpy_support import vtk_to_numpy
reader = vtkXdmfReader()
reader.SetFileName(sys.argv[1])
reader.UpdateInformation()
out = reader.GetOutputInformation(0)
times = [out.Get(reader.GetExecutive().TIME_STEPS(), k) for k in range(out.Length(reader.GetExecutive().TIME_STEPS()))]
def leaves(data):
    if hasattr(data, 'GetNumberOfBlocks'):
        return [leaf for k in range(data.GetNumberOfBlocks()) for leaf in leaves(data.GetBlock(k))]
    return [data]
for t in times:
    reader.UpdateTimeStep(t)
    for grid in leaves(reader.GetOutputDataObject(0)):
        b, m = grid.GetBounds(), vtk_to_numpy(grid.GetCellData().GetArray('m'))
        print('%g' % t, *('%.2f' % (1e9 * x) for x in b[4:]), m.shape[0], *(sorted({int(v) for v in m[:, 1]})))
"#;
    if let Some(text) = run_python("vtkmodules.vtkIOXdmf2", program, &[&path]) {
        let at = |t: &str, first: u32| {
            let line = |low: &str, high: &str, cells: u32, values: &str| format!("{t} {low} {high} {cells} {values}\n");
            line("-3.45", "-2.45", 6, &format!("{}", first))
                + &line("-1.55", "0.45", 12, &format!("{} {}", first + 1, first + 2))
                + &line("0.45", "3.45", 6, &format!("{}", first + 3))
        };
        assert_eq!(text, at("0", 10) + &at("1e-12", 11));
    }
    let mut ovf = Vec::new();
    Ovf::new(&mesh, &record.frame("m", 0).unwrap()).write(&mut ovf, OvfFormat::Text).unwrap();
    let text = String::from_utf8(ovf).unwrap();
    assert!(text.contains("# Desc: A stack") && text.contains("# Desc: Layer 3 from 4.5e-10 m to 3.45e-9 m"), "{text}");
    assert_eq!(Ovf::read(text.as_bytes(), "stack.ovf").unwrap().data, frame(0.0));
}

// ---------------------------------------------------------------- speed

#[test]
fn a_row_costs_well_under_a_microsecond() {
    let dir = scratch();
    let mut best = f64::INFINITY;
    for attempt in 0..5 {
        let columns = (0..10).map(|i| Column { name: format!("c{i}"), unit: "".into() }).collect();
        let folder = dir.path().join(attempt.to_string());
        let mut writer = Writer::create(&folder, Header { columns, ..header() }, Options { queue: 1000, ..Options::default() }).unwrap();
        let row: Vec<f64> = (0..10).map(|i| i as f64).collect();
        let started = Instant::now();
        for k in 0..200_000 {
            writer.row(k % 2, &row).unwrap();
        }
        best = best.min(started.elapsed().as_secs_f64() / 200_000.0);
        let record = Record::open(&writer.finish().unwrap()).unwrap();
        assert_eq!(record.rows(1).unwrap(), 100_000);
    }
    eprintln!("a row of ten columns: {:.0} ns", best * 1e9);
    // The best of five, on a machine that may be busy with other tests; alone it is some tens of nanoseconds.
    assert!(best < 1e-6);
}
