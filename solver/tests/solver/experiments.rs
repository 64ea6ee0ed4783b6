//! Whole experiments: what the record holds, and that a run cut off anywhere ends with the same bits.

use crate::input::GOOD;
use spinloom_base::Document;
use spinloom_record::{Faults, Options, Record, diff};
use spinloom_solver::{Experiment, RunOptions, run};
use std::path::Path;
use std::time::Duration;

pub fn experiment(text: &str) -> Experiment {
    Experiment::read(&Document::parse("e.yaml", text).unwrap()).unwrap_or_else(|e| panic!("{e}"))
}

pub fn uninterrupted(e: &Experiment, dir: &Path) -> Record {
    run(e, dir, &RunOptions::default(), &mut |_| ()).unwrap_or_else(|e| panic!("{e}"));
    Record::open(dir).unwrap()
}

#[test]
fn the_record_tells_what_was_done() {
    let dir = tempfile::tempdir().unwrap();
    let text = GOOD.replace("settle: minimise", "settle: no");
    let record = uninterrupted(&experiment(&text), dir.path());
    assert!(record.is_finished());
    let t = record.column("t", 0).unwrap();
    // Every 4 ps in phases of 20, 10, 20 and 10 ps, and the start.
    assert_eq!(t.len(), 1 + 5 + 3 + 5 + 3);
    assert!((t[t.len() - 1] - 60e-12).abs() < 1e-20);
    let drive = record.column("J", 0).unwrap();
    assert_eq!((drive[5], drive[6], drive[9]), (7e11, 0.0, 7e11));
    assert_eq!(record.header().replicas[1].coordinates[0].value, 0.02);
    let x = record.column("wall_x", 0).unwrap();
    assert!(x[5] > x[0] + 0.5e-9, "the current along -x drives the wall to +x: {x:?}");
    let events: Vec<String> =
        record.events().unwrap().iter().filter(|e| e.replica == 0).map(|e| format!("{} {}", e.kind, e.detail)).collect();
    assert_eq!(events[..3], ["start push", "end push time", "start rest"]);
    // 19 ps in rows of 1.9 ps: rounding does not make an eleventh.
    let finer = text.replace("push, for: 20 ps", "push, for: 19 ps").replace("every: 4 ps", "every: 1.9 ps");
    let odd = uninterrupted(&experiment(&finer), &dir.path().join("odd")).column("t", 0).unwrap();
    assert!(odd.windows(2).all(|w| w[1] - w[0] > 0.1e-12), "{odd:?}");
    // 0, 20, 40 and 60 ps.
    assert_eq!(record.fields().unwrap()[0].frames.iter().filter(|f| f.1 == 0).count(), 4);
    assert_eq!(record.header().source.text, text);
}

/// Runs with a commit after every row and a disk that fills up at step `k`, then resumes.
fn cut_and_resumed(e: &Experiment, dir: &Path, k: u64) -> bool {
    let faulty = RunOptions {
        commit_every: Duration::ZERO,
        record: Options { faults: Faults { full_at: Some(k), ..Faults::default() }, ..Options::default() },
        ..RunOptions::default()
    };
    let whole = run(e, dir, &faulty, &mut |_| ()).is_ok();
    if !whole {
        let again = RunOptions { resume: true, commit_every: Duration::ZERO, ..RunOptions::default() };
        if run(e, dir, &again, &mut |_| ()).is_err() {
            // Cut off before there was anything to resume.
            run(e, dir, &RunOptions { overwrite: true, ..RunOptions::default() }, &mut |_| ()).unwrap_or_else(|e| panic!("{e}"));
        }
    }
    whole
}

fn every_cut(text: &str) {
    every_cut_of(text, 3);
}

/// Every so many-th step of the writer; the record's own tests take every single one.
pub fn every_cut_of(text: &str, every: usize) {
    let e = experiment(text);
    let dir = tempfile::tempdir().unwrap();
    let whole = uninterrupted(&e, &dir.path().join("whole"));
    let mut cuts = 0;
    for k in (1..).step_by(every) {
        let part = dir.path().join(format!("cut{k}"));
        if cut_and_resumed(&e, &part, k) {
            break;
        }
        cuts += 1;
        let differences = diff(&whole, &Record::open(&part).unwrap()).unwrap();
        assert!(differences.is_empty(), "cut at step {k}: {}", differences[0]);
        std::fs::remove_dir_all(&part).unwrap();
    }
    println!("{cuts} cuts, each resumed to the same bits");
    assert!(cuts > 60 / every);
}

#[test]
fn a_run_cut_off_at_any_write_ends_with_the_same_bits() {
    every_cut(&GOOD.replace("settle: minimise", "settle: no"));
}

#[test]
fn so_does_one_that_extrapolates_the_demagnetising_field() {
    every_cut(&GOOD.replace("settle: minimise", "settle: no\nsolver: {stepper: rk45, max_err: 1e-4, demag_every: adaptive}"));
}

#[test]
fn so_does_one_with_temperature() {
    every_cut(
        &GOOD
            .replace("alpha: 0.1,", "alpha: 0.1, Temp: 300 K,")
            .replace("settle: minimise", "settle: no\nsolver: {stepper: heun, dt: 50 fs, demag_every: 50 fs}"),
    );
}

#[test]
fn so_does_one_on_a_graphics_device() {
    for [double, _] in crate::gpu::graphics() {
        let name = crate::gpu::name_of(double);
        // The method carries rates over, and the current is a wave: both restart at every row.
        let text = GOOD
            .replace("settle: minimise", &format!("settle: no\ndevice: {name}\nsolver: {{stepper: rk45, max_err: 1e-4}}"))
            .replace(
                "J: [-7e11 A/m^2, 0, 0]}, log",
                "J: {value: [-7e11 A/m^2, 0, 0], wave: {sine: {offset: 1, amplitude: 0.2, frequency: 30 GHz}}}}, log",
            )
            .replace("sweep: {B: [100 Oe, 200 Oe]}", "sweep: {B: [100 Oe]}")
            .replace("for: 20 ps", "for: 8 ps");
        every_cut_of(&text, 12);
    }
}

/// A signal that comes as soon as a run looks for one, a dozen times: every part takes one round of ten steps of the settling, from where the one before stopped.
#[test]
fn settling_goes_on_where_it_was_stopped() {
    let dir = tempfile::tempdir().unwrap();
    for how in ["minimise", "relax"] {
        let e = experiment(&GOOD.replace("settle: minimise", &format!("settle: {how}")).replace("for: 20 ps", "for: 8 ps"));
        let whole = uninterrupted(&e, &dir.path().join(how));
        let part = dir.path().join(format!("{how} in parts"));
        for parts in 1.. {
            let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(parts <= 12));
            let options = RunOptions { resume: parts > 1, stop, ..RunOptions::default() };
            let outcome = run(&e, &part, &options, &mut |_| ()).unwrap_or_else(|e| panic!("{e}"));
            if outcome.finished {
                assert!(parts > 12);
                break;
            }
            let checkpoint = Record::open(&part).unwrap().checkpoint().unwrap().unwrap();
            if parts <= 4 {
                // After the six words of the rule come, of the first replica: fixed, steps, attempts.
                assert_eq!(checkpoint.integers["settling"][6 + if how == "relax" { 2 } else { 1 }], 10 * parts, "{how}");
            }
        }
        let differences = diff(&whole, &Record::open(&part).unwrap()).unwrap();
        assert!(differences.is_empty(), "{how}: {}", differences[0]);
    }
}

#[test]
fn another_experiment_is_not_resumed() {
    let dir = tempfile::tempdir().unwrap();
    let e = experiment(GOOD);
    assert!(
        run(
            &e,
            dir.path(),
            &RunOptions {
                commit_every: Duration::ZERO,
                record: Options { faults: Faults { full_at: Some(20), ..Faults::default() }, ..Options::default() },
                ..RunOptions::default()
            },
            &mut |_| ()
        )
        .is_err()
    );
    let other = experiment(&GOOD.replace("0.5 mJ/m^2", "0.6 mJ/m^2"));
    let message = run(&other, dir.path(), &RunOptions { resume: true, ..RunOptions::default() }, &mut |_| ()).unwrap_err().to_string();
    assert!(message.contains("the experiment was") && message.contains("--allow-different"), "{message}");
}

#[test]
fn a_not_a_number_stops_the_run_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    // A fixed step of 20 ps is far beyond stability; in f32 the field overflows.
    let e = experiment(
        &GOOD
            .replace("settle: minimise", "settle: no\nsolver: {stepper: heun, dt: 20 ps}")
            .replace("0, 0, 50 mT", "0, 0, 1e38 T")
            .replace("$B", "3e38 T")
            .replace("sweep: {B: [100 Oe, 200 Oe]}\n", ""),
    );
    let message = run(&e, dir.path(), &RunOptions::default(), &mut |_| ()).unwrap_err().to_string();
    assert!(message.contains("replica 0") && message.contains(") is not a number a"), "{message}");
}

#[test]
fn the_initial_state_may_come_from_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let mesh = spinloom_record::Mesh::regular([20, 4, 1], [2e-9, 2e-9, 1e-9], [0.0; 3]);
    let data: Vec<f64> = (0..240).map(|i| if i % 3 == 2 { 1.0 } else { 0.01 * f64::from(i % 7) }).collect();
    let frame = spinloom_record::Frame { name: "m".into(), unit: String::new(), replica: 0, components: 3, t: 0.0, data: data.clone() };
    spinloom_record::Ovf::new(&mesh, &frame).write_file(&dir.path().join("m.ovf"), spinloom_record::OvfFormat::Binary8).unwrap();
    let from = |file: &str| {
        let start = GOOD.find("initial:").unwrap();
        let end = start + GOOD[start..].find('\n').unwrap();
        let text = format!("{}initial: {{file: {file}}}{}", &GOOD[..start], &GOOD[end..]);
        let document = spinloom_base::Document::parse(&dir.path().join("e.yaml").display().to_string(), &text).unwrap();
        spinloom_solver::Experiment::read(&document).map_err(|e| e.to_string())
    };
    let m = from("m.ovf").unwrap().start(1);
    assert!((0..240).all(|i| m[i % 3 * 80 + i / 3] == data[i]));
    std::fs::write(dir.path().join("cut.ovf"), "# OOMMF OVF 2.0\n# xnodes: 20\n").unwrap();
    for (file, words) in [("none.ovf", "cannot read"), ("cut.ovf", "cut.ovf")] {
        let e = from(file).unwrap_err();
        assert!(e.contains(words) && e.contains("e.yaml:6:"), "{e}");
    }
}
