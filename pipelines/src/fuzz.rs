//! Mutated inputs for every parser: none may panic, or ask for more memory at once than [`bound`] says.
//!
//! 100 000 inputs each in CI, fewer of those that are slow; `SPINLOOM_FUZZ=10000000 cargo test --release -p spinloom fuzz:: -- --nocapture` before a release, and
//! with `SPINLOOM_FUZZ_THREADS=4` each parser by four threads, with `SPINLOOM_FUZZ_SECONDS` no longer than that. One parser by its name: `… fuzz::ovf …`. Seeds are the project's own files and what lies in
//! `tests/corpus`, one folder a parser; an input that failed once goes there, and stays.

use crate::sweep::Sweep;
use spinloom_base::random::Stream;
use spinloom_base::{Document, Problems, Value};
use spinloom_record::{Format, Mesh, Ovf, OvfFormat};
use spinloom_solver::experiment::{Experiment, Point, Points};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::path::{Path, PathBuf};

/// Remembers the largest piece of memory that a thread has asked for.
struct Watching;

thread_local! {
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

fn note(size: usize) {
    // While a thread ends, nobody looks.
    let _ = LARGEST.try_with(|l| l.set(l.get().max(size)));
}

// SAFETY: everything is done by the system's allocator.
unsafe impl GlobalAlloc for Watching {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: as promised by the caller.
        unsafe { System.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: as promised by the caller.
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn realloc(&self, p: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size);
        // SAFETY: as promised by the caller.
        unsafe { System.realloc(p, layout, size) }
    }
    unsafe fn dealloc(&self, p: *mut u8, layout: Layout) {
        // SAFETY: as promised by the caller.
        unsafe { System.dealloc(p, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Watching = Watching;

/// The most memory that a parser may ask for at once: a megabyte, and 128 bytes for each of the input. In YAML aliases stand for what they name, up to the
/// budget of its reader, 64 megabytes, and an experiment or sweep asks for what it says. Packed files unpack to at most 1032 times their size (deflate's
/// longest run for its shortest code), into room that doubles.
fn bound(name: &str, input: usize) -> usize {
    match name {
        "yaml" | "pipeline" | "extract" | "network" | "benchmark" | "experiment" | "sweep" => (64 << 20) + 128 * input,
        "idx" | "events" => (1 << 20) + 2 * 1032 * input,
        _ => (1 << 20) + 128 * input,
    }
}

/// What numbers go wrong at.
const NUMBERS: [&str; 14] = [
    "0",
    "-1",
    "1e308",
    "-1e-308",
    "NaN",
    "inf",
    "4294967296",
    "9223372036854775807",
    "18446744073709551615",
    "1e400",
    "0x7f",
    "3.",
    "00",
    "99999999999",
];
const TOKENS: [&str; 20] =
    ["\n", "\t", ":", "{", "}", "[", "]", "(", ")", "\"", "'", "#", "&a", "*a", "<<", "!!", "\u{0}", "\u{feff}", "ä", "//"];

/// A child of one seed, or of two.
fn mutated(stream: &mut Stream, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut below = |n: usize| ((n as f64 * stream.uniform()) as usize).min(n.saturating_sub(1));
    let mut v = seeds[below(seeds.len())].clone();
    for _ in 0..1 + below(6) {
        let at = below(v.len() + 1);
        let most = [5, 17, 201][below(3)];
        let to = (at + below(most)).min(v.len());
        match below(9) {
            0 if at < v.len() => v[at] ^= 1 << below(8),
            1 if at < v.len() => v[at] = [0, 0xff, 0x7f, 0x80, b' ', b'0'][below(6)],
            2 => drop(v.drain(at..to)),
            3 => {
                let part = v[at..to].to_vec();
                (0..1 + below(8)).for_each(|_| drop(v.splice(at..at, part.iter().copied())));
            }
            4 => drop(v.splice(at..to, NUMBERS[below(NUMBERS.len())].bytes())),
            5 => {
                let token = TOKENS[below(TOKENS.len())].repeat(1 + below(3));
                drop(v.splice(at..at, token.into_bytes()));
            }
            6 => {
                let other = &seeds[below(seeds.len())];
                let from = below(other.len() + 1);
                drop(v.splice(at.., other[from..].iter().copied()));
            }
            7 => v.truncate(at),
            // The number that stands here, or next, becomes another.
            _ => {
                let digit = |b: &u8| b.is_ascii_digit();
                if let Some(from) = v[at..].iter().position(digit).map(|p| at + p) {
                    let end = v[from..].iter().position(|b| !digit(b)).map_or(v.len(), |p| from + p);
                    drop(v.splice(from..end, NUMBERS[below(NUMBERS.len())].bytes()));
                }
            }
        }
        v.truncate(1 << 15);
    }
    v
}

/// A child of a binary file in which everything stands at its place: bytes change where they are, and now and then the end is missing.
fn damaged(stream: &mut Stream, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut below = |n: usize| ((n as f64 * stream.uniform()) as usize).min(n.saturating_sub(1));
    let mut v = seeds[below(seeds.len())].clone();
    for _ in 0..1 + below(4) {
        let at = below(v.len());
        let to = (at + [1, 2, 4, 8, 64][below(5)]).min(v.len());
        match below(4) {
            0 => v[at] ^= 1 << below(8),
            1 => v[at..to].fill([0, 1, 0x7f, 0x80, 0xff][below(5)]),
            2 => {
                // A small number, little-endian.
                v[at..to].fill(0);
                v[at] = below(16) as u8;
            }
            _ => {
                let from = below(v.len() - (to - at) + 1);
                v.copy_within(from..from + to - at, at);
            }
        }
    }
    if below(50) == 0 {
        v.truncate(below(v.len()));
    }
    v
}

/// The folder of this crate: where it was built, or, on another machine, where `CARGO_MANIFEST_DIR` says.
fn home() -> PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from)
}

fn corpus(name: &str) -> PathBuf {
    home().join("tests/corpus").join(name)
}

/// Files below a folder with one of these endings.
fn files(folder: &Path, endings: &[&str], list: &mut Vec<Vec<u8>>) {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            files(&path, endings, list);
        } else if endings.is_empty() || path.extension().is_some_and(|e| endings.iter().any(|k| e == *k)) {
            list.extend(std::fs::read(&path));
        }
    }
}

fn number(name: &str) -> Option<f64> {
    std::env::var(name).ok().and_then(|n| n.parse().ok())
}

/// Feeds a parser. `share` of the usual number, for those that are slow.
fn feed(name: &str, mut seeds: Vec<Vec<u8>>, share: f64, parse: impl Fn(&[u8]) + Sync + std::panic::RefUnwindSafe) {
    files(&corpus(name), &[], &mut seeds);
    assert!(!seeds.is_empty());
    let count = number("SPINLOOM_FUZZ").unwrap_or(1e5 * share) as usize;
    let threads = number("SPINLOOM_FUZZ_THREADS").map_or(1, |n| n.max(1.0) as usize);
    let seed = number("SPINLOOM_FUZZ_SEED").map_or(1, |n| n as u64);
    let clock = std::time::Instant::now();
    let seconds = number("SPINLOOM_FUZZ_SECONDS").unwrap_or(f64::INFINITY);
    let some = |thread: usize| -> (usize, usize, f64) {
        let mut stream = Stream::new(seed + ((thread as u64) << 32), name.bytes().fold(0, |h: u64, b| h.wrapping_mul(31) + u64::from(b)));
        let (mut most, mut part) = (0, 0.0f64);
        let own = count / threads + usize::from(thread < count % threads);
        let mut fed = 0;
        for k in 0..own + seeds.len() {
            if clock.elapsed().as_secs_f64() > seconds {
                break;
            }
            fed += usize::from(k >= seeds.len());
            let input = if k < seeds.len() { seeds[k].clone() } else { mutated(&mut stream, &seeds) };
            LARGEST.with(|l| l.set(0));
            let result = std::panic::catch_unwind(|| parse(&input));
            let largest = LARGEST.with(Cell::get);
            (most, part) = (most.max(largest), part.max(largest as f64 / bound(name, input.len()) as f64));
            if result.is_err() || part > 1.0 {
                let kept = std::env::temp_dir().join(format!("spinloom-{name}-{thread}-{k}"));
                let _ = std::fs::write(&kept, &input);
                panic!("{name}: input {k} of seed {seed} panics or asks for {largest} bytes at once; it lies in {}", kept.display());
            }
        }
        (fed, most, part)
    };
    let some = &some;
    let seen: Vec<(usize, usize, f64)> = std::thread::scope(|s| {
        let all: Vec<_> = (0..threads).map(|t| s.spawn(move || some(t))).collect();
        all.into_iter().map(|t| t.join().unwrap_or_else(|e| std::panic::resume_unwind(e))).collect()
    });
    let (seconds, most) = (clock.elapsed().as_secs_f64(), seen.iter().map(|s| s.1).max().unwrap_or(0));
    let part = 100.0 * seen.iter().fold(0.0, |a: f64, s| a.max(s.2));
    let (seeds, fed) = (seeds.len(), seen.iter().map(|s| s.0).sum::<usize>());
    println!(
        "{name}: {fed} inputs from {seeds} seeds in {seconds:.1} s, none panics; at most {most} bytes at once, {part:.0} % of the bound"
    );
}

fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

fn house(folder: &str, endings: &[&str]) -> Vec<Vec<u8>> {
    let mut list = Vec::new();
    files(&home().join("..").join(folder), endings, &mut list);
    // Short ones reach further.
    list.retain(|f| f.len() < 6000);
    list
}

/// YAML files of the house that hold a word.
fn seeds_with(folder: &str, word: &str) -> Vec<Vec<u8>> {
    house(folder, &["yaml"]).into_iter().filter(|f| text(f).contains(word)).collect()
}

#[test]
fn scripts() {
    feed("mx3", house("solver/tests/mx3", &["mx3"]), 1.0, |b| drop(spinloom_solver::mx3::vet_text(Path::new("s.mx3"), &text(b))));
}

#[test]
fn yaml() {
    feed("yaml", house("examples", &["yaml"]), 1.0, |b| drop(Document::parse("a.yaml", &text(b))));
}

/// Sweeps of one experiment, of every kind.
#[test]
fn sweeps() {
    let dir = tempfile::tempdir().expect("a folder");
    let experiment = "name: a\nmesh: {size: [8 nm, 8 nm, 1 nm], cell: [4 nm, 4 nm, 1 nm]}\nmaterial: {Msat: 1e6 A/m, Aex: 15 pJ/m, alpha: $a}\n\
        initial: {uniform: [1, 0, 1]}\nprotocol: [{phase: wait, for: $T}]\ntable: {every: 10 ps, columns: [E_total]}\n";
    std::fs::write(dir.path().join("a.yaml"), experiment).expect("it can be written");
    let seeds = [
        "grid: {a: [0.1, 0.2], T: {from: 10 ps, to: 30 ps, count: 3}}",
        "grid: {a: {from: 0.1, to: 0.5, step: 0.1}, T: 20 ps}",
        "list: [{a: 0.1, T: 10 ps}, {T: 20 ps, a: 0.2}]",
        "hypercube: {points: 5, seed: 4, over: {a: {from: 0.1, to: 0.2}, T: {from: 10 ps, to: 20 ps}}}",
        "border: {of: T, from: 10 ps, to: 20 ps, within: 1 ps, met: {mx: {above: 0.5}}, over: {a: [0.1, 0.2]}}",
    ];
    let seeds = seeds.iter().map(|s| format!("sweep: s\nexperiment: a.yaml\n{s}\n").into_bytes()).collect();
    let name = dir.path().join("s.yaml").display().to_string();
    feed("sweep", seeds, 0.02, |b| {
        // The experiment stays: nothing else of this machine is to be read.
        let kept: Vec<String> =
            text(b).lines().map(|l| if l.contains("experiment") { "experiment: a.yaml".into() } else { l.to_string() }).collect();
        if let Ok(document) = Document::parse(&name, &kept.join("\n")) {
            let own = document.root.get("experiment").is_some_and(|n| matches!(&n.value, Value::Text(t) if t == "a.yaml"));
            drop(own.then(|| Sweep::of(document)));
        }
    });
}

#[test]
fn experiments() {
    // The mesh stays: a large one is no mistake of the parser's.
    let mesh = "mesh: {size: [80 nm, 8 nm, 1 nm], cell: [4 nm, 4 nm, 1 nm]}";
    feed("experiment", house("examples", &["yaml"]), 0.05, |b| {
        let kept: Vec<String> = text(b).lines().map(|l| if l.starts_with("mesh:") { mesh.into() } else { l.to_string() }).collect();
        let Ok(document) = Document::parse("/nowhere/a.yaml", &kept.join("\n")) else { return };
        if document.root.get("mesh").is_none_or(|m| m.place.line == 0)
            || document.root.get("copies").is_some()
            || document.root.get("sweep").is_some()
        {
            return;
        }
        let one = Point { id: 0, nodes: Vec::new(), values: Vec::new() };
        drop(Experiment::read_points(&document, &Points { names: Vec::new(), points: vec![one] }));
    });
}

/// Of what stages name, nothing is there: files have parsers of their own.
#[test]
fn pipelines() {
    let seeds = seeds_with("examples", "pipeline:");
    feed("pipeline", seeds, 0.1, |b| {
        if let Ok(document) = Document::parse("/nowhere/p.yaml", &text(b)) {
            drop(crate::pipeline::Pipeline::read(&document));
        }
    });
}

#[test]
fn extractions() {
    let mut seeds = seeds_with("examples", "models:");
    seeds.extend(seeds_with("examples", "velocity:"));
    feed("extract", seeds, 0.1, |b| {
        if let Ok(document) = Document::parse("e.yaml", &text(b)) {
            drop(spinloom_extract::ExtractConfig::parse(&document.root, &mut Problems::new()));
        }
    });
}

#[test]
fn networks() {
    feed("network", seeds_with("examples/saf-domain-wall-neuron", "neurons:"), 0.1, |b| {
        if let Ok(document) = Document::parse("n.yaml", &text(b)) {
            crate::stages::network::readable(&document.root);
        }
    });
    feed("benchmark", seeds_with("examples/networks", "task:"), 0.1, |b| {
        if let Ok(document) = Document::parse("b.yaml", &text(b)) {
            drop(spinloom_network::tasks::Benchmark::read(&document));
        }
    });
}

#[test]
fn cards() {
    let mut seeds = house("extract", &["yaml"]);
    seeds.extend(house("pipelines/tests/corpus/card", &["yaml"]));
    feed("card", seeds, 1.0, |b| drop(spinloom_card::Card::parse("c.yaml", &text(b))));
}

fn written(format: Format, numbers: OvfFormat, ending: &str) -> Vec<u8> {
    let mesh = Mesh::regular([3, 2, 2], [1e-9, 2e-9, 3e-9], [0.0; 3]);
    let data = (0..36).map(|i| (i as f64).sin()).collect();
    let ovf = Ovf {
        title: "m".into(),
        labels: ["x", "y", "z"].map(String::from).to_vec(),
        units: vec!["1".into(); 3],
        mesh,
        time: Some(1e-9),
        data,
    };
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join(format!("a.{ending}"));
    ovf.save(&path, format, numbers).expect("it can be written");
    std::fs::read(path).expect("it is there")
}

#[test]
fn ovf() {
    let kinds = [OvfFormat::Text, OvfFormat::Binary4, OvfFormat::Binary8];
    let seeds = [Format::Ovf1, Format::Ovf2].into_iter().flat_map(|f| kinds.map(|k| written(f, k, "ovf"))).collect();
    feed("ovf", seeds, 1.0, |b| drop(Ovf::parse(b, Path::new("a.ovf"), [1e-9; 3])));
}

#[test]
fn other_fields() {
    for (name, format, kinds) in [
        ("vti", Format::Vti, &[OvfFormat::Text, OvfFormat::Binary4][..]),
        ("vtr", Format::Vtr, &[OvfFormat::Text, OvfFormat::Binary8]),
        ("npy", Format::Npy, &[OvfFormat::Binary4, OvfFormat::Binary8]),
        ("csv", Format::Csv, &[OvfFormat::Text]),
        ("json", Format::Json, &[OvfFormat::Text]),
    ] {
        let path = PathBuf::from(format!("a.{name}"));
        let seeds = kinds.iter().map(|k| written(format, *k, name)).collect();
        feed(name, seeds, 1.0, |b| drop(Ovf::parse(b, &path, [1e-9; 3])));
    }
}

#[test]
fn tables() {
    let seeds =
        ["# t (s)\tmx ()\n0\t1\n1e-12\t0.5\n", "t (s),\"x, y\",z\n1,2,3\n# remark\n4,5,6\n"].map(|t| t.as_bytes().to_vec()).to_vec();
    feed("table", seeds, 1.0, |b| drop(crate::plot::parse_table("t.csv", &text(b))));
}

#[test]
fn checkpoints_of_scripts() {
    // The sum at the end refuses nearly everything: what it lets through is tried without it too.
    let mut kept = spinloom_solver::mx3::resume::Kept::default();
    kept.put("a", [1.0, 2.0]);
    kept.texts.insert("t".into(), "x".into());
    let dir = tempfile::tempdir().expect("a folder");
    kept.write(&dir.path().join("c")).unwrap_or_else(|f| panic!("{}", f.message));
    let seeds = vec![std::fs::read(dir.path().join("c")).expect("it is there")];
    feed("checkpoint", seeds, 1.0, |b| {
        drop(spinloom_solver::mx3::resume::Kept::parse(b));
        let body = &b[..b.len().saturating_sub(64)];
        let sum = spinloom_base::hash::of_bytes(body);
        drop(spinloom_solver::mx3::resume::Kept::parse(&[body, sum.as_bytes()].concat()));
    });
}

/// Measured traces and tables of devices.
#[test]
fn traces() {
    let rows: String = (0..30).map(|i| format!("{i}e-10,{},{}\n", f64::from(i % 7 / 4) * 7e11, 0.01 * f64::from(i))).collect();
    let own = format!("# measured\nt,drive,v\n{rows}").into_bytes();
    let script = format!("# t (s)\tdrive (A/m2)\tv (V)\n{}", rows.replace(',', "\t")).into_bytes();
    let membrane = spinloom_extract::Membrane { reset: 0.0, threshold: 0.2, unit: "V".into() };
    feed("trace", vec![own, script], 1.0, |b| {
        // Each input in one of the two ways: most of the time goes into the CSV library's tables for a reader.
        let script = b.iter().fold(0, |a, b| a ^ b).count_ones() % 2 == 1;
        let view = spinloom_extract::CsvView::default();
        drop(spinloom_extract::Trace::parse_csv("t.csv".into(), &text(b), script, "a", Vec::new(), &view, &membrane));
    });
    let wanted = [("x", "t", "ns"), ("y", "v", "mV")].map(|(a, b, c)| (a.to_string(), b.to_string(), c.to_string()));
    feed("device", vec![format!("t,drive,v\n{rows}").into_bytes()], 1.0, |b| {
        drop(spinloom_extract::Data::parse_csv("t.csv".into(), b, &wanted));
    });
}

/// Images of 2 x 2 pixels, and their labels; gzipped in the corpus.
#[test]
fn data_sets() {
    use spinloom_network::data::idx::{IMAGES, LABELS, parse};
    let images = [&IMAGES.to_be_bytes()[..], &3u32.to_be_bytes(), &2u32.to_be_bytes(), &2u32.to_be_bytes(), &[7; 12]].concat();
    let labels = [&LABELS.to_be_bytes()[..], &3u32.to_be_bytes(), &[0, 1, 2]].concat();
    feed("idx", vec![images, labels], 1.0, |b| {
        for magic in [IMAGES, LABELS] {
            drop(parse("a", b, magic));
        }
    });
}

/// Recordings of cameras; one of each kind lies in the corpus.
#[test]
fn recordings() {
    use spinloom_network::data::events::{Camera, Cut, Slice, frames, parse};
    feed("events", vec![b"t,x,y,p\n5,3,7,1\n70000,33,0,0\n".to_vec()], 1.0, |b| {
        for name in ["a.bin", "a.aedat", "a.csv", "a"] {
            drop(parse(name, b, Camera::Davis));
        }
        if let Ok(list) = parse("a.aedat", b, Camera::Dvs128) {
            let cut = Cut { frames: 3, slice: Slice::Time, bin: 4 };
            assert_eq!(frames(&list, [128, 128, 2], cut).len(), 3 * 32 * 32 * 2);
        }
    });
}

/// Tables of gestures beside recordings.
#[test]
fn gestures() {
    let seeds = vec![b"class,startTime_usec,endTime_usec\n1,80048239,85092709\n11,99191127,104155609\n".to_vec()];
    feed("gestures", seeds, 1.0, |b| drop(spinloom_network::data::recordings::gesture_labels("a_labels.csv", b)));
}

/// What a child of [`in_children`] reads: the number of its first input, that behind its last, and a folder.
const BATCH: &str = "SPINLOOM_FUZZ_BATCH";
/// How long one input may take; a child that takes longer is killed, and counts as ended by a signal.
const LONGEST: std::time::Duration = std::time::Duration::from_secs(10);
/// Inputs a child reads before another takes over: HDF5 keeps a few hundred bytes of a damaged file that it gives up.
const LIFE: usize = 200_000;
/// Memory a child may take, all its libraries included (KiB).
const ADDRESSES: usize = 1 << 20;

/// What HDF5 reads is read by a library in C: in children, for it may end a process, with bounded memory, for it has an allocator of its own. `part` is the test that is such a child; at most
/// a share `lost` of the inputs may end it by a signal (a panic is never forgiven).
fn in_children(name: &str, part: &str, lost: f64) {
    let count = number("SPINLOOM_FUZZ").unwrap_or(500.0) as usize;
    let threads = number("SPINLOOM_FUZZ_THREADS").map_or(1, |n| n.max(1.0) as usize);
    let clock = std::time::Instant::now();
    let shares: Vec<(usize, Vec<String>)> = std::thread::scope(|s| {
        let all: Vec<_> =
            (0..threads).map(|t| s.spawn(move || share(name, part, [count * t / threads, count * (t + 1) / threads], clock))).collect();
        all.into_iter().map(|t| t.join().unwrap_or_else(|e| std::panic::resume_unwind(e))).collect()
    });
    let fed: usize = shares.iter().map(|s| s.0).sum();
    let died: Vec<String> = shares.into_iter().flat_map(|s| s.1).collect();
    let seconds = clock.elapsed().as_secs_f64();
    println!("{name}: {fed} inputs in {seconds:.1} s in at most {} MiB a process; {} ended it", ADDRESSES >> 10, died.len());
    assert!(died.len() as f64 <= lost * fed as f64, "{}", died.join(", "));
}

/// Inputs `from` to `end`, by one child after the other: how many were read, and those that ended a child.
fn share(name: &str, part: &str, [first, end]: [usize; 2], clock: std::time::Instant) -> (usize, Vec<String>) {
    let dir = tempfile::tempdir().expect("a folder");
    let late = number("SPINLOOM_FUZZ_SECONDS").unwrap_or(f64::INFINITY);
    let (mut from, mut died) = (first, Vec::new());
    let at = dir.path().join("at");
    // The child may be between two lives of this file.
    let now = || std::fs::read_to_string(&at).ok().and_then(|t| t.trim().parse::<usize>().ok());
    while from < end {
        std::fs::write(&at, format!("{from}")).expect("it can be written");
        let exe = std::env::current_exe().expect("a name");
        let exe = exe.to_str().expect("a plain name");
        let command = format!("ulimit -v {ADDRESSES}; exec '{exe}' --exact fuzz::{part} --ignored --nocapture --test-threads 1");
        let said = dir.path().join("said");
        let stream = || std::fs::OpenOptions::new().create(true).append(true).open(&said).expect("it can be written");
        let mut child = std::process::Command::new("sh")
            .args(["-c", &command])
            .env(BATCH, format!("{from} {} {}", end.min(from + LIFE), dir.path().display()))
            .stdout(stream())
            .stderr(stream())
            .spawn()
            .expect("it starts");
        let (mut last, mut since, mut enough) = (now(), std::time::Instant::now(), false);
        let status = loop {
            if let Some(status) = child.try_wait().expect("it can be asked") {
                break status;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
            enough = clock.elapsed().as_secs_f64() > late;
            if let Some(k) = now().filter(|k| last != Some(*k)) {
                (last, since) = (Some(k), std::time::Instant::now());
            }
            if enough || since.elapsed() > LONGEST {
                let _ = child.kill();
            }
        };
        if status.success() {
            from = end.min(from + LIFE);
            continue;
        }
        let k = now().or(last).expect("a number");
        assert!(status.code().is_none(), "input {k}: {}", std::fs::read_to_string(&said).unwrap_or_default());
        // Killed for the time; what a crash of its own has ended counts, whenever it comes.
        if enough && std::os::unix::process::ExitStatusExt::signal(&status) == Some(libc::SIGKILL) {
            from = k;
            break;
        }
        let kept = std::env::temp_dir().join(format!("spinloom-{name}-{k}"));
        let _ = std::fs::copy(dir.path().join("input.h5"), &kept);
        died.push(format!("{} ({status})", kept.display()));
        from = k + 1;
    }
    (from - first, died)
}

/// The child's side: damaged files one by one; `read` says whether one could be opened. Each has its own stream, so that a child can begin anywhere.
fn as_child(seeds: impl Fn(&Path) -> Vec<Vec<u8>>, read: impl Fn(&Path) -> bool) {
    let words = std::env::var(BATCH).expect("it is started by its parent");
    let mut words = words.splitn(3, ' ');
    let mut next = || words.next().expect("three words");
    let (from, to): (usize, usize) = (next().parse().expect("a number"), next().parse().expect("a number"));
    let dir = PathBuf::from(next());
    let seeds = seeds(&dir);
    let seed = number("SPINLOOM_FUZZ_SEED").map_or(1, |n| n as u64);
    let path = dir.join("input.h5");
    let mut good = 0;
    for k in from..to {
        std::fs::write(dir.join("at"), format!("{k}")).expect("it can be written");
        std::fs::write(&path, damaged(&mut Stream::new(seed, k as u64), &seeds)).expect("it can be written");
        good += usize::from(read(&path));
    }
    // A file that no damage gets past tests nothing.
    assert!(to - from < 100 || good > (to - from) / 100, "{good} of {} could be opened", to - from);
}

#[test]
fn records() {
    in_children("record", "some_records", 0.0);
}

#[test]
#[ignore = "a part of `records`"]
fn some_records() {
    as_child(
        |dir| vec![small_record(&dir.join("seed"))],
        |path| {
            let Ok(record) = spinloom_record::Record::open(path) else { return false };
            let replicas = record.header().replicas.len();
            for r in 0..replicas.min(4) {
                drop(record.table(r));
            }
            drop((record.events(), record.checkpoint()));
            for field in record.fields().unwrap_or_default() {
                drop((0..field.frames.len().min(4)).map(|i| record.frame(&field.name, i)).collect::<Vec<_>>());
            }
            true
        },
    );
}

/// Spikes of cochleas; the file in the corpus is h5py's. HDF5 1.10 trusts the heaps that lists of different lengths lie in (`H5HG_read` reads where a damaged one points): about one of 500
/// inputs ends the process there, in code that is not ours.
#[test]
fn sounds() {
    in_children("shd", "some_sounds", 0.02);
}

#[test]
#[ignore = "a part of `sounds`"]
fn some_sounds() {
    let seeds = |_: &Path| {
        let mut seeds = Vec::new();
        files(&corpus("shd"), &[], &mut seeds);
        assert!(!seeds.is_empty());
        seeds
    };
    as_child(seeds, |path| spinloom_network::data::recordings::spikes(path, 20, usize::MAX).is_ok());
}

/// The bytes of a finished record of a few rows and frames.
fn small_record(dir: &Path) -> Vec<u8> {
    let text = "name: a\nmesh: {size: [8 nm, 8 nm, 1 nm], cell: [4 nm, 4 nm, 1 nm]}\nmaterial: {Msat: 1e6 A/m, Aex: 15 pJ/m, alpha: 0.1}\n\
        initial: {uniform: [1, 0, 1]}\nprotocol: [{phase: wait, for: 3 ps}]\ntable: {every: 1 ps, columns: [E_total]}\npictures: 1 ps\n";
    let document = Document::parse("a.yaml", text).expect("it is right");
    let experiment = Experiment::read(&document).expect("it is right");
    let options = spinloom_solver::RunOptions { overwrite: true, ..spinloom_solver::RunOptions::default() };
    let outcome = spinloom_solver::run(&experiment, dir, &options, &mut |_| ()).expect("it runs");
    std::fs::read(outcome.record).expect("it is there")
}
