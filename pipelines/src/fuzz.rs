//! Mutated inputs for every parser: none may panic, or ask for more memory at once than [`bound`] says.
//!
//! 100 000 inputs each in CI; `SPINLOOM_FUZZ=10000000 cargo test --release -p spinloom fuzz -- --nocapture` before a release. Seeds are the project's own files
//! and what lies in `tests/corpus`, one folder a parser; an input that failed once goes there, and stays.

use crate::sweep::Sweep;
use spinloom_base::random::Stream;
use spinloom_base::{Document, Value};
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

/// The most memory that a parser may ask for at once: a megabyte, and 128 bytes for each of the input. YAML's aliases stand for what they name, up to the
/// budget of its reader: 64 megabytes.
fn bound(name: &str, input: usize) -> usize {
    (if name == "yaml" { 64 << 20 } else { 1 << 20 }) + 128 * input
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

fn corpus(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(name)
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

/// Feeds a parser. `share` of the usual number, for those that are slow.
fn feed(name: &str, mut seeds: Vec<Vec<u8>>, share: f64, parse: impl Fn(&[u8]) + std::panic::RefUnwindSafe) {
    files(&corpus(name), &[], &mut seeds);
    assert!(!seeds.is_empty());
    let wanted = std::env::var("SPINLOOM_FUZZ").ok().and_then(|n| n.parse::<f64>().ok()).unwrap_or(1e5);
    let count = (wanted * share) as usize;
    let seed = std::env::var("SPINLOOM_FUZZ_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    let mut stream = Stream::new(seed, name.bytes().fold(0, |h: u64, b| h.wrapping_mul(31) + u64::from(b)));
    let clock = std::time::Instant::now();
    let mut most = 0.0f64;
    for k in 0..count + seeds.len() {
        let input = if k < seeds.len() { seeds[k].clone() } else { mutated(&mut stream, &seeds) };
        LARGEST.with(|l| l.set(0));
        let result = std::panic::catch_unwind(|| parse(&input));
        let largest = LARGEST.with(Cell::get);
        most = most.max(largest as f64 / bound(name, input.len()) as f64);
        if result.is_err() || largest > bound(name, input.len()) {
            let kept = std::env::temp_dir().join(format!("spinloom-{name}-{k}"));
            let _ = std::fs::write(&kept, &input);
            panic!("{name}: input {k} of seed {seed} panics or asks for {largest} bytes at once; it lies in {}", kept.display());
        }
    }
    let (seconds, part) = (clock.elapsed().as_secs_f64(), 100.0 * most);
    println!("{name}: {count} inputs from {} seeds in {seconds:.1} s, none panics; at most {part:.0} % of the memory bound", seeds.len());
}

fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

fn house(folder: &str, endings: &[&str]) -> Vec<Vec<u8>> {
    let mut list = Vec::new();
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder), endings, &mut list);
    // Short ones reach further.
    list.retain(|f| f.len() < 6000);
    list
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
        initial: {uniform: [1, 0, 1]}\nprotocol: [{phase: wait, for: $T}]\ntable: {every: 10 ps, columns: [mx]}\n";
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
        // A million points are allowed: only panics count.
        LARGEST.with(|l| l.set(0));
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
        LARGEST.with(|l| l.set(0));
        let one = Point { id: 0, nodes: Vec::new(), values: Vec::new() };
        drop(Experiment::read_points(&document, &Points { names: Vec::new(), points: vec![one] }));
        // What an experiment asks for is what it says, not what its text weighs: only panics count.
        LARGEST.with(|l| l.set(0));
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

#[test]
fn data_sets() {
    // Images of 2 x 2 pixels, and their labels, as the files lie in a folder.
    let images = [&0x803u32.to_be_bytes()[..], &3u32.to_be_bytes(), &2u32.to_be_bytes(), &2u32.to_be_bytes(), &[7; 12]].concat();
    let labels = [&0x801u32.to_be_bytes()[..], &3u32.to_be_bytes(), &[0, 1, 2]].concat();
    let dir = tempfile::tempdir().expect("a folder");
    let names = ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"];
    let put = |name: &str, bytes: &[u8]| std::fs::write(dir.path().join(name), bytes).expect("it can be written");
    for name in names {
        put(name, if name.contains("images") { &images } else { &labels });
    }
    assert!(spinloom_network::data::Dataset::read(dir.path(), spinloom_network::data::Source::Mnist).is_ok());
    // Through the file system, which takes its time: fewer.
    for (name, seed) in [(names[0], images.clone()), (names[1], labels.clone())] {
        feed("idx", vec![seed.clone()], 0.02, |b| {
            put(name, b);
            drop(spinloom_network::data::Dataset::read(dir.path(), spinloom_network::data::Source::Mnist));
        });
        put(name, &seed);
    }
}
