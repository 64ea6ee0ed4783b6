//! The command as a user meets it.

mod common;

use common::{EXPERIMENT, folder, said, skipped, spinloom};
use spinloom_record::{Ovf, OvfFormat};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

#[test]
fn an_experiment_runs_to_one_file_and_equal_runs_have_equal_records() {
    let dir = folder(&[("wall.yaml", EXPERIMENT)]);
    for out in ["a", "b"] {
        let o = spinloom(dir.path(), &["run", "wall.yaml", "--out", out]);
        assert!(o.status.success(), "{}", said(&o));
    }
    let o = spinloom(dir.path(), &["record", "a", "--diff", "b/run.h5"]);
    assert!(o.status.success() && said(&o).contains("equal"), "{}", said(&o));
    let o = spinloom(dir.path(), &["record", "a"]);
    assert!(said(&o).contains("end push time") && said(&o).contains("wall_x (m)"), "{}", said(&o));
    let o = spinloom(dir.path(), &["convert", "a", "--out", "ovf"]);
    assert!(o.status.success() && std::fs::read_dir(dir.path().join("ovf")).unwrap().count() == 3, "{}", said(&o));
    // A record in the way is not overwritten without being asked.
    let o = spinloom(dir.path(), &["run", "wall.yaml", "--out", "a"]);
    assert_eq!(o.status.code(), Some(2), "{}", said(&o));
    assert!(said(&o).contains("record here already"), "{}", said(&o));
}

#[test]
fn bad_input_ends_with_code_2_and_leaves_nothing() {
    let dir = folder(&[("bad.yaml", &EXPERIMENT.replace("Aex: 15 pJ/m", "Axe: 15 pJ/s")), ("text.yaml", "a: [1")]);
    for (arguments, words) in [
        (vec!["run", "bad.yaml", "--out", "o"], "bad.yaml:3:27: `Axe` is not a parameter; did you mean `Aex`?"),
        (vec!["run", "none.yaml", "--out", "o"], "none.yaml: cannot be read"),
        (vec!["vet", "text.yaml"], "not valid YAML"),
        (vec!["record", "bad.yaml"], "bad.yaml"),
        (vec!["card", "show", "bad.yaml"], "this is not a model card"),
        (vec!["validate", "pirsms"], "did you mean `prisms`?"),
    ] {
        let o = spinloom(dir.path(), &arguments);
        assert_eq!(o.status.code(), Some(2), "{arguments:?}: {}", said(&o));
        assert!(said(&o).contains(words), "{arguments:?}: {}", said(&o));
    }
    assert!(!dir.path().join("o").exists());
}

const PIPELINE: &str = "\
pipeline: two stages
stages:
  wall: {simulate: wall.yaml}
  count: {command: {run: [sh, -c, 'wc -c < \"$0\" > size.txt; echo ran >> ../log', $wall], outputs: [size.txt], needs: [wall]}}
";

#[test]
fn a_stage_runs_again_only_if_something_it_rests_on_changed() {
    let dir = folder(&[("wall.yaml", EXPERIMENT), ("p.yaml", PIPELINE)]);
    let run = |more: &[&str]| {
        let o = spinloom(dir.path(), &[&["run", "p.yaml", "--out", "o"], more].concat());
        assert!(o.status.success(), "{}", said(&o));
        said(&o)
    };
    let times = || std::fs::read_to_string(dir.path().join("o/log")).unwrap().lines().count();
    run(&[]);
    assert_eq!(times(), 1);
    assert!(run(&[]).matches("as before").count() == 2 && times() == 1);
    assert!(run(&["--from", "count"]).matches("as before").count() == 1 && times() == 2);
    assert!(run(&["--only", "wall"]).matches("as before").count() == 1 && times() == 2);
    assert!(run(&["--force"]).matches("as before").count() == 0 && times() == 3);
    std::fs::write(dir.path().join("wall.yaml"), EXPERIMENT.replace("60 ps", "70 ps")).unwrap();
    assert!(run(&[]).matches("as before").count() == 0 && times() == 4);
    // A damaged output is noticed.
    std::fs::write(dir.path().join("o/count/size.txt"), "0").unwrap();
    assert!(run(&[]).matches("as before").count() == 1 && times() == 5);
}

#[test]
fn a_broken_pipeline_is_told_whole_before_anything_runs() {
    let bad = PIPELINE.replace("needs: [wall]", "needs: [wal]").replace("wall.yaml", "wool.yaml");
    let dir = folder(&[("p.yaml", &bad)]);
    let o = spinloom(dir.path(), &["run", "p.yaml", "--out", "o"]);
    let words = said(&o);
    assert!(o.status.code() == Some(2) && words.contains("wool.yaml: cannot be read") && words.contains("needs `wal`"), "{words}");
    assert!(!dir.path().join("o").exists());
    let dir = folder(&[("wall.yaml", EXPERIMENT), ("p.yaml", &PIPELINE.replace("outputs: [size.txt]", "outputs: [other.txt]"))]);
    let o = spinloom(dir.path(), &["run", "p.yaml", "--out", "o"]);
    assert!(o.status.code() == Some(2) && said(&o).contains("did not write `other.txt`"), "{}", said(&o));
}

/// The example of the README in small: a track a quarter as wide, three trains, a few hundred digits.
#[test]
fn the_whole_chain_runs_from_magnetisation_to_a_page() {
    let train = include_str!("../../examples/saf-domain-wall-neuron/train.yaml")
        .replace("64 nm, 1 nm]", "16 nm, 1 nm]")
        .replace("J: [6.5e11 A/m^2, 7e11 A/m^2, 7.5e11 A/m^2, 8e11 A/m^2]", "J: [6e11 A/m^2, 7e11 A/m^2, 8e11 A/m^2]")
        .replace("for: 20 ns", "for: 4 ns");
    let neuron = "neuron:\n  name: small\n  records: [$train]\n  roi: [-128 nm, 256 nm]\n  threshold: 216 nm\n  \
                  hold_out: [{J: 7e11 A/m^2}]\n  resamples: 200\n  models: [lif-two-times]\n  pulse: {on: 1 ns, off: 1.5 ns}\n";
    let network = "card: $neuron\nneurons: [ideal, card]\nstand_in: {train: 300, test: 100}\nhidden: [20]\nsteps: 100\nepochs: 1\n";
    let pipeline = "pipeline: small\nstages:\n  train: {simulate: train.yaml}\n  neuron: {extract: neuron.yaml}\n  network: {network: network.yaml}\n  report: {report: {title: Small, of: [train, neuron, network]}}\n";
    let dir = folder(&[("train.yaml", &train), ("neuron.yaml", neuron), ("network.yaml", network), ("p.yaml", pipeline)]);
    let o = spinloom(dir.path(), &["run", "p.yaml", "--out", "o"]);
    assert!(o.status.success(), "{}", said(&o));
    let page = std::fs::read_to_string(dir.path().join("o/report/report.html")).unwrap();
    for words in ["<svg", "R_over_tau_int", "sha256", "confusion matrix", "drawn by this program", "--only neuron"] {
        assert!(page.contains(words), "the page lacks {words}");
    }
    assert!(
        !page.contains("http://") || page.matches("http://").count() == page.matches("http://www.w3.org").count(),
        "the page reaches for the network"
    );
}

#[test]
fn a_table_becomes_a_card_that_is_checked_compared_and_exported() {
    // 1/(1 + exp[-(x - 0.5)/0.1]) with an alternating 1 % on top, and the same 0.1 further.
    let table = |middle: f64| {
        let row = |i: i32| {
            let x = 0.05 * f64::from(i);
            format!("{x},{}\n", 1.0 / (1.0 + (-(x - middle) / 0.1).exp()) + if i % 2 == 0 { 0.01 } else { -0.01 })
        };
        format!("x,y\n{}", (0..21).map(row).collect::<String>())
    };
    let config = "devices: [{name: a neuron, csv: [{file: a.csv}], columns: {x: [x, V], y: y}, models: [sigmoid, relu], resamples: 50}]";
    let dir = folder(&[("a.csv", &table(0.5)), ("b.csv", &table(0.6)), ("a.yaml", config), ("b.yaml", &config.replace("a.csv", "b.csv"))]);
    for name in ["a", "b"] {
        let o = spinloom(dir.path(), &["extract", &format!("{name}.yaml"), "--out", name]);
        assert!(o.status.success() && said(&o).contains("card `a neuron`: sigmoid"), "{}", said(&o));
    }
    assert!(dir.path().join("a/card-relu.yaml").is_file());
    let figure = std::fs::read_to_string(dir.path().join("a/figures/a-neuron-sigmoid.svg")).unwrap();
    assert!(figure.contains("<svg") && figure.contains("<circle"));
    let o = spinloom(dir.path(), &["card", "check", "a/card.yaml"]);
    assert!(o.status.success() && said(&o).contains("nothing wrong with it"), "{}", said(&o));
    let o = spinloom(dir.path(), &["card", "diff", "a/card.yaml", "a/card.yaml"]);
    assert!(o.status.success() && said(&o).contains("no difference"), "{}", said(&o));
    let o = spinloom(dir.path(), &["card", "diff", "a/card.yaml", "b/card.yaml"]);
    assert!(o.status.code() == Some(1) && said(&o).contains("x_50: the intervals do not touch"), "{}", said(&o));
    let o = spinloom(dir.path(), &["card", "export", "a/card.yaml", "--format", "spice"]);
    assert!(o.status.success() && dir.path().join("a/a_neuron.sub").is_file(), "{}", said(&o));
    let o = spinloom(dir.path(), &["extract", "--model", "sigmoyd"]);
    assert!(o.status.code() == Some(2) && said(&o).contains("did you mean `sigmoid`?"), "{}", said(&o));
}

#[test]
fn fields_are_converted_whole_and_in_part() {
    let dir = folder(&[("wall.yaml", EXPERIMENT)]);
    let run = |arguments: &str| {
        let o = spinloom(dir.path(), &arguments.split(' ').collect::<Vec<_>>());
        assert!(o.status.success(), "{arguments}: {}", said(&o));
        said(&o)
    };
    run("run wall.yaml --out a");
    // Frames at 0, 30 and 60 ps: two of them in four forms, the table, and ParaView's file beside the record.
    run("convert a --frames 1: --to ovf,npy,vti,png,table,xdmf --numbers binary8 --out b");
    let mut names: Vec<String> =
        std::fs::read_dir(dir.path().join("b")).unwrap().map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    let both = |ending: &str| [1, 2].map(|i| format!("m_replica0_00000{i}.{ending}"));
    let mut wanted: Vec<String> = ["ovf", "npy", "vti", "png"].iter().flat_map(|e| both(e)).chain(["table_replica0.csv".into()]).collect();
    wanted.sort();
    assert_eq!(names, wanted);
    assert!(dir.path().join("a/run.xdmf").is_file());
    let table = std::fs::read_to_string(dir.path().join("b/table_replica0.csv")).unwrap();
    assert!(table.starts_with("t (s),phase (1),J (A/m^2),mx (1)") && table.lines().count() == 8, "{table}");
    // OVF to OVF of another kind and size, then through JSON.
    let whole = Ovf::read_file(&dir.path().join("b/m_replica0_000002.ovf")).unwrap();
    run("convert b/m_replica0_000002.ovf --to ovf1,json --cropx 4:12 --resize 4x1x1 --component z --numbers binary8 --out c");
    let part = Ovf::read_file(&dir.path().join("c/m_replica0_000002.ovf")).unwrap();
    assert_eq!(part.mesh.n, [4, 1, 1]);
    let cell = |x: usize, y: usize| whole.data[(y * 20 + x) * 3 + 2];
    // A scalar is a vector along x in OVF 1.
    assert_eq!((part.components(), part.data[3]), (3, 0.25 * (cell(6, 0) + cell(7, 0)) + 0.25 * (cell(6, 1) + cell(7, 1))));
    run("convert c/m_replica0_000002.json --numbers text --out d");
    let again = Ovf::read_file(&dir.path().join("d/m_replica0_000002.ovf")).unwrap();
    assert_eq!((again.components(), again.data[1]), (1, part.data[3]));
}

#[test]
fn a_conversion_that_cannot_be_is_told_whole_and_writes_nothing() {
    let dir = folder(&[("bad.ovf", "no field"), ("wall.yaml", EXPERIMENT)]);
    for (name, n) in [("a.ovf", 4), ("b.ovf", 2)] {
        let mesh = spinloom_record::Mesh { n: [n, 1, 1], cell: [1e-9; 3], origin: [0.0; 3], layers: Vec::new() };
        let data = vec![1.0; n];
        let labels = vec!["T".to_string()];
        let ovf = Ovf { title: "T".into(), mesh, labels, units: vec!["K".into()], time: None, data };
        ovf.write_file(&dir.path().join(name), OvfFormat::Text).unwrap();
    }
    for (arguments, words) in [
        ("convert a.ovf b.ovf bad.ovf none.ovf --cropx 1:3 --to csv", &["--cropx: 1 up to 3 of 2", "bad.ovf:1:1", "none.ovf"][..]),
        ("convert a.ovf --to ovf", &["a.ovf: it would be overwritten"]),
        ("convert a.ovf --to ovf --out .", &["a.ovf: it would be overwritten"]),
        ("convert a.ovf ./a.ovf --to csv --out .", &["would both become it"]),
        ("convert a.ovf --to png --layer 3 --component q", &["no component `q`"]),
        ("convert a.ovf --to npy --numbers text --resize 3x --min 2 --max 1", &["numpy's files hold no text", "64x64x1", "--min 2"]),
        ("convert a.ovf --to csv --resize 99999999x99999999x9", &["more than memory"]),
        ("convert a.ovf --to table", &["made of records only"]),
        ("convert a.ovf --to pmg", &["png"]),
        ("plot a.ovf --out a.csv", &["`.csv` is no form for the figure of a field"]),
        ("plot bad.ovf", &["bad.ovf:1:1"]),
        ("plot wall.yaml --y mz", &["wall.yaml:2:1: value 1 is not a number", "wall.yaml:3:1"]),
        ("new here --from saf-stak", &["did you mean `saf-stack`?"]),
        ("new . --from saf-stack", &["it is there already"]),
    ] {
        let before = std::fs::read_dir(dir.path()).unwrap().count();
        let o = spinloom(dir.path(), &arguments.split(' ').collect::<Vec<_>>());
        assert_eq!(o.status.code(), Some(2), "{arguments}: {}", said(&o));
        words.iter().for_each(|w| assert!(said(&o).contains(w), "{arguments}: {}", said(&o)));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), before, "{arguments}");
    }
}

#[test]
fn tables_loops_spectra_and_fields_are_drawn() {
    let row = |i: i32| format!("{:e}\t{}\t{}\n", 1e-11 * f64::from(i), (0.1 * f64::from(i)).sin(), 0.5);
    let table = format!("# t (s)\tmx ()\tmy ()\n{}", (0..200).map(row).collect::<String>());
    let swept = EXPERIMENT
        .replace("pictures", "sweep: {J: [-7e11 A/m^2, -6e11 A/m^2]}\npictures")
        .replace("J: [-7e11 A/m^2, 0, 0]", "J: [$J, 0, 0]");
    let dir = folder(&[("wall.yaml", &swept), ("table.txt", &table)]);
    let run = |arguments: &str| {
        let o = spinloom(dir.path(), &arguments.split(' ').collect::<Vec<_>>());
        assert!(o.status.success(), "{arguments}: {}", said(&o));
        let out = arguments.split(' ').next_back().unwrap();
        String::from_utf8_lossy(&std::fs::read(dir.path().join(out)).unwrap()).into_owned()
    };
    assert!(spinloom(dir.path(), &["run", "wall.yaml", "--out", "a"]).status.success());
    let figure = run("plot a --y wall_x -o wall.svg");
    assert!(
        figure.contains("J = -7e11") && figure.contains("J = -6e11") && figure.contains("wall_x (nm)") && figure.contains("t (ps)"),
        "{figure}"
    );
    // The only phase has one end, in each of two replicas.
    let ends = run("plot a --x t --y wall_x --ends -o ends.csv");
    assert!(ends.lines().count() == 3 && ends.starts_with("line,t (s),wall_x (m)"), "{ends}");
    // 0.1 rad in 10 ps is 1.59 GHz, between 3/(2 ns) and 4/(2 ns).
    let spectrum = run("plot table.txt --y mx --spectrum -o s.csv");
    let rows: Vec<[f64; 2]> = spectrum
        .lines()
        .skip(1)
        .map(|l| l.split(',').skip(1).map(|v| v.parse().unwrap()).collect::<Vec<f64>>().try_into().unwrap())
        .collect();
    let peak = rows.iter().max_by(|a, b| a[1].total_cmp(&b[1])).unwrap();
    assert!((1.4e9..2.1e9).contains(&peak[0]) && (0.8..1.1).contains(&peak[1]), "{peak:?}");
    assert!(run("plot table.txt -o both.svg").contains("mx, my"));
    let field = run("plot a --frame -1 -o m.svg");
    assert!(field.contains("data:image/png;base64,") && field.contains("x (nm)") && field.trim_end().ends_with("</svg>"), "{field}");
    let picture = run("plot a --frame 0 --component z -o mz.png");
    assert!(picture.contains("PNG"));
    let o = spinloom(dir.path(), &["plot", "a", "--y", "wal_x"]);
    assert!(o.status.code() == Some(2) && said(&o).contains("did you mean `wall_x`?"), "{}", said(&o));
}

#[test]
fn an_example_shells_and_manuals_are_at_hand() {
    let dir = folder(&[]);
    let run = |arguments: &str| {
        let o = spinloom(dir.path(), &arguments.split(' ').collect::<Vec<_>>());
        assert!(o.status.success(), "{arguments}: {}", said(&o));
        said(&o)
    };
    assert!(run("new").contains("saf-stack"));
    run("new mine --from saf-domain-wall-neuron");
    assert!(run("vet mine/pipeline.yaml mine/train.yaml").contains("nothing wrong with it"));
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run(&format!("completions {shell}"));
        assert!(script.contains("convert") && script.contains("cropx"), "{shell}");
    }
    run("man pages");
    let page = std::fs::read_to_string(dir.path().join("pages/spinloom-convert.1")).unwrap();
    assert!(page.contains("cropx"));
    assert!(run("--help").contains("Exit codes:"));
    let devices: serde_json::Value = serde_json::from_str(&run("devices --json")).unwrap();
    assert!(devices.as_array().unwrap().iter().any(|d| d["name"] == "cpu" && d["usable"] == true), "{devices}");
}

// ---------------------------------------------------------------- kills

/// A run of a second or two: the wall on a longer track, with noise, two replicas, and a row every 10 ps.
fn long_run() -> String {
    EXPERIMENT
        .replace("alpha: 0.1,", "alpha: 0.1, Temp: 300 K,")
        .replace("for: 60 ps", "for: 4 ns")
        .replace("pictures: 30 ps", "pictures: 1 ns\nsolver: {stepper: heun, dt: 20 fs}\nsweep: {J: [-7e11 A/m^2, -6e11 A/m^2]}")
        .replace("J: [-7e11 A/m^2, 0, 0]", "J: [$J, 0, 0]")
}

fn begin(dir: &Path, arguments: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_spinloom"));
    command.current_dir(dir).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts")
}

fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

fn wait_for(path: &Path) {
    let begun = Instant::now();
    while !path.exists() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{} does not appear", path.display());
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Waits until a program holds SIGTERM back: before, it would only end.
fn wait_until_it_listens(child: &Child) {
    let begun = Instant::now();
    let listens = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let caught = status.lines().find_map(|l| u64::from_str_radix(l.strip_prefix("SigCgt:")?.trim(), 16).ok());
        caught.is_some_and(|mask| mask & 1 << 14 != 0)
    };
    while !listens() {
        assert!(begun.elapsed() < Duration::from_secs(60), "it does not listen to signals");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn equal(dir: &Path, a: &str, b: &str) {
    let o = spinloom(dir, &["record", a, "--diff", b]);
    assert!(o.status.success() && said(&o).contains("equal"), "{}", said(&o));
}

/// How many kills the tests below make; `SPINLOOM_KILLS=200` before a release.
fn kills_wanted() -> usize {
    std::env::var("SPINLOOM_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(20)
}

/// Runs a command whole, then again and again with kills at random moments until each has come to its end, and compares what they left: kills, runs.
fn kill_until_done(dir: &Path, command: &[&str], compare: &dyn Fn(&str, &str)) -> (usize, usize) {
    kill_and_look(dir, command, kills_wanted(), &mut |_| (), compare)
}

/// The same with so many kills; `look` sees what each has left.
fn kill_and_look(dir: &Path, command: &[&str], wanted: usize, look: &mut dyn FnMut(&str), compare: &dyn Fn(&str, &str)) -> (usize, usize) {
    let with = |out: &str| command.iter().map(|w| w.to_string()).chain(["--out".into(), out.into()]).collect::<Vec<String>>();
    let begun = Instant::now();
    let arguments = with("whole");
    let o = spinloom(dir, &arguments.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(o.status.success(), "{}", said(&o));
    let whole = begun.elapsed().as_secs_f64();
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    println!("seed {seed}; undisturbed in {whole:.2} s");
    let mut random = seed | 1;
    let (mut kills, mut runs) = (0, 0);
    while kills < wanted {
        let name = format!("run{runs}");
        let arguments = with(&name);
        let before = kills;
        loop {
            let mut child = begin(dir, &arguments.iter().map(String::as_str).collect::<Vec<_>>());
            // Marsaglia's xorshift, J. Stat. Softw. 8, 14 (2003): anything uneven would do.
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            // From before anything is there to the middle of an undisturbed run; later and later, for the machine may be busier now.
            let latest = whole * (0.5 + 0.1 * (kills - before) as f64);
            std::thread::sleep(Duration::from_secs_f64(latest * (random >> 11) as f64 / (1u64 << 53) as f64));
            if let Some(status) = child.try_wait().unwrap() {
                assert!(status.success(), "seed {seed}, after {kills} kills: {status}");
                break;
            }
            signal(&child, "-KILL");
            child.wait().unwrap();
            kills += 1;
            look(&name);
            assert!(kills < 20 * wanted, "seed {seed}: it does not come to an end");
        }
        compare("whole", &name);
        runs += 1;
    }
    (kills, runs)
}

#[test]
fn a_program_killed_at_random_moments_ends_with_the_same_bits() {
    let dir = folder(&[("long.yaml", &long_run())]);
    let command = ["run", "long.yaml", "--resume", "--commit-every", "0.02"];
    let (kills, runs) = kill_until_done(dir.path(), &command, &|a, b| equal(dir.path(), a, b));
    println!("{kills} kills in {runs} runs, each ended with the same bits");
}

/// A film that relaxes from noise for most of its time.
const RELAXING: &str = "\
name: a film at rest
mesh: {size: [128 nm, 128 nm, 2 nm], cell: [4 nm, 4 nm, 2 nm]}
material: {Msat: 8e5 A/m, Aex: 13 pJ/m, alpha: 0.1}
initial: random
settle: relax
protocol: [{phase: wait, for: 2 ps}]
table: {every: 1 ps, columns: [E_total]}
";

/// Kills in the middle of a relaxation: what had been relaxed is not lost.
#[test]
fn a_program_killed_while_it_relaxes_goes_on_from_there() {
    let dir = folder(&[("film.yaml", RELAXING), ("film.mx3", FILM)]);
    let read = |name: &str| -> Vec<Vec<u8>> {
        ["table.txt", "m000000.ovf", "m000001.ovf"].map(|f| std::fs::read(dir.path().join(name).join(f)).unwrap()).to_vec()
    };
    let (wanted, mut amidst) = (kills_wanted().div_ceil(2), [0, 0]);
    let settles = |out: &str| {
        let record = spinloom_record::Record::open(&dir.path().join(out)).ok();
        record.and_then(|r| r.checkpoint().ok().flatten()).is_some_and(|c| c.arrays.contains_key("settling"))
    };
    let (yaml, runs) = kill_and_look(
        dir.path(),
        &["run", "film.yaml", "--resume", "--commit-every", "0.02"],
        wanted,
        &mut |out| amidst[0] += usize::from(settles(out)),
        &|a, b| equal(dir.path(), a, b),
    );
    println!("{yaml} kills in {runs} runs, {} of them while it relaxed, each ended with the same bits", amidst[0]);
    for i in 0..runs {
        std::fs::remove_dir_all(dir.path().join(format!("run{i}"))).unwrap();
    }
    std::fs::remove_dir_all(dir.path().join("whole")).unwrap();
    let settles =
        |out: &str| std::fs::read(dir.path().join(out).join("checkpoint")).is_ok_and(|b| b.windows(15).any(|w| w == b"settling counts"));
    let (script, runs) = kill_and_look(
        dir.path(),
        &["run", "film.mx3", "--resume", "--commit-every", "0.02"],
        wanted,
        &mut |out| amidst[1] += usize::from(settles(out)),
        &|a, b| assert!(read(a) == read(b)),
    );
    println!("{script} kills in {runs} scripts, {} of them while it relaxed or minimised, each left the same files", amidst[1]);
    // Where they hit is chance; of many, some must.
    assert!(wanted < 10 || amidst.iter().all(|n| *n > 0), "{amidst:?} of {yaml} and {script} kills");
}

const FILM: &str = "setGridSize(32, 32, 1)\nsetCellSize(4e-9, 4e-9, 2e-9)\nMsat = 8e5\nAex = 13e-12\nalpha = 0.1\nm = randomMagSeed(1)\nrelax()\n\
    tableSave()\nsave(m)\nm = randomMagSeed(2)\nminimize()\ntableSave()\nsave(m)\n";

#[test]
fn sigterm_stops_an_experiment_where_it_can_be_resumed() {
    let dir = folder(&[("long.yaml", &long_run()), ("p.yaml", "pipeline: one\nstages:\n  wall: {simulate: long.yaml}\n")]);
    assert!(spinloom(dir.path(), &["run", "long.yaml", "--out", "whole"]).status.success());
    for (file, out, record) in [("long.yaml", "a", "a"), ("p.yaml", "p", "p/wall")] {
        for name in ["-TERM", "-INT"] {
            // Commits are rare: what is there after the signal was written because of it.
            let mut child = begin(dir.path(), &["run", file, "--out", out, "--resume"]);
            wait_for(&dir.path().join(record).join("run.h5"));
            wait_until_it_listens(&child);
            std::thread::sleep(Duration::from_millis(50));
            signal(&child, name);
            assert_eq!(child.wait().unwrap().code(), Some(75), "{file} {name}");
        }
        let o = spinloom(dir.path(), &["record", record, "--json"]);
        let seen: serde_json::Value = serde_json::from_slice(&o.stdout).unwrap();
        assert!(seen["finished"] == false && seen["replicas"][0]["rows"].as_u64().unwrap() > 1, "{seen}");
        let o = spinloom(dir.path(), &["run", file, "--out", out, "--resume"]);
        assert!(o.status.success(), "{}", said(&o));
        equal(dir.path(), "whole", record);
    }
}

/// A command of each kind that computes, with what must be equal of two runs of it: the record, or these files.
const KINDS: [(&str, &[&str]); 5] = [
    ("run long.yaml --resume --commit-every 0.01", &[]),
    ("run s.mx3 --resume --commit-every 0.01", &["table.txt", "own.txt", "m000000.ovf"]),
    ("extract fit.yaml", &["card.yaml"]),
    ("network letters.yaml", &["results.json"]),
    ("sweep sweep.yaml --pack 2 --commit-every 0.01", &[]),
];

/// Their files.
fn kinds() -> tempfile::TempDir {
    let row = |i: i32| format!("{},{}\n", 0.05 * f64::from(i), 1.0 / (1.0 + (5.0 - 0.5 * f64::from(i)).exp()));
    folder(&[
        ("long.yaml", &long_run().replace("for: 4 ns", "for: 400 ps")),
        ("s.mx3", SCRIPT),
        ("fit.csv", &format!("x,y\n{}", (0..21).map(row).collect::<String>())),
        ("fit.yaml", "devices: [{name: n, csv: [{file: fit.csv}], columns: {x: [x, V], y: y}, models: [sigmoid], resamples: 20}]"),
        ("letters.yaml", "task: letters\nseeds: [1, 2]\nsettings: {epochs: 20}\n"),
        ("wall.yaml", EXPERIMENT),
        ("driven.yaml", &EXPERIMENT.replace("J: [-7e11 A/m^2, 0, 0]", "J: [$J, 0, 0]")),
        ("sweep.yaml", "sweep: s\nexperiment: driven.yaml\ngrid: {J: {from: -8e11 A/m^2, to: -5e11 A/m^2, count: 4}}\n"),
    ])
}

/// The words of a command, with its folder.
fn into<'a>(command: &'a str, out: &'a str) -> Vec<&'a str> {
    command.split(' ').chain(["--out", out]).collect()
}

fn alike(dir: &Path, files: &[&str], a: &str, b: &str) {
    if files.is_empty() {
        // Of a sweep, the record that it has gathered.
        let record = |out: &str| Path::new(out).join(if dir.join(out).join("plan.json").exists() { "record" } else { "" });
        return equal(dir, record(a).to_str().unwrap(), record(b).to_str().unwrap());
    }
    let read = |out: &str, name: &str| {
        let bytes = std::fs::read(dir.join(out).join(name)).unwrap();
        if !name.ends_with(".json") {
            return bytes;
        }
        // But for the time it took.
        let mut value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert!(value.as_object_mut().unwrap().remove("seconds").is_some());
        value.to_string().into_bytes()
    };
    files.iter().for_each(|name| assert!(read(a, name) == read(b, name), "{b}: {name} differs"));
}

/// No file may grow beyond a few blocks, as on a disk that is full: what is told names the file, and what was committed goes on.
#[cfg(unix)]
#[test]
fn a_full_disk_ends_with_a_message_and_loses_nothing_that_was_committed() {
    let dir = kinds();
    for (kind, (command, files)) in KINDS.into_iter().enumerate() {
        let whole = format!("whole{kind}");
        let o = spinloom(dir.path(), &into(command, &whole));
        assert!(o.status.success(), "{}", said(&o));
        let mut full = 0;
        // In blocks of 512 bytes.
        for blocks in [1, 12, 24, 48, 96] {
            let out = format!("out{kind}-{blocks}");
            let words = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" {command} --out {out}");
            let o = Command::new("sh").args(["-c", &words, env!("CARGO_BIN_EXE_spinloom")]).current_dir(dir.path()).output().unwrap();
            if !o.status.success() {
                full += 1;
                assert_eq!(o.status.code(), Some(2), "{command}, {blocks}: {}", said(&o));
                assert!(said(&o).contains(&out) && !said(&o).contains("panicked"), "{command}, {blocks}: {}", said(&o));
            }
            let o = spinloom(dir.path(), &into(command, &out));
            assert!(o.status.success(), "{command}, {blocks}: {}", said(&o));
            alike(dir.path(), files, &whole, &out);
        }
        assert!(full >= 1, "{command}: {full}");
    }
}

/// Where nothing can be written, nothing is computed first.
#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_cannot_be_written_is_told() {
    let dir = kinds();
    std::fs::write(dir.path().join("p.yaml"), PIPELINE).unwrap();
    let commands: Vec<&str> = KINDS.iter().map(|k| k.0).chain(["run p.yaml"]).collect();
    let told = |out: &str| {
        for command in &commands {
            let o = spinloom(dir.path(), &into(command, out));
            assert_eq!(o.status.code(), Some(2), "{command}: {}", said(&o));
            assert!(said(&o).contains(out.trim_end_matches("/here")) && !said(&o).contains("panicked"), "{command}: {}", said(&o));
        }
    };
    told("/proc/nothing/here");
    // Not even the superuser writes into a file system that is mounted for reading.
    let small = dir.path().join("small");
    std::fs::create_dir(&small).unwrap();
    let mount = |options: &str| {
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(&small).stderr(Stdio::null()).status();
        mounted.is_ok_and(|s| s.success())
    };
    if !mount("size=8m") {
        skipped::<()>("no permission to mount a file system: none for reading was tried");
        return;
    }
    let _unmount = Unmount(&small);
    let out = |kind: usize| format!("small/{kind}");
    for (kind, (command, _)) in KINDS.iter().enumerate() {
        assert!(spinloom(dir.path(), &into(command, &out(kind))).status.success());
    }
    assert!(mount("remount,ro"));
    told("small/here");
    // What is there already stays as it is, whether it would be replaced or gone on with: what is whole is read.
    let before = std::fs::read(small.join("0/run.h5")).unwrap();
    for (kind, (command, _)) in KINDS.iter().enumerate() {
        let o = spinloom(dir.path(), &into(command, &out(kind)));
        assert!([Some(0), Some(2)].contains(&o.status.code()) && !said(&o).contains("panicked"), "{command}: {}", said(&o));
        assert!(o.status.success() || said(&o).contains(&out(kind)), "{command}: {}", said(&o));
    }
    assert!(before == std::fs::read(small.join("0/run.h5")).unwrap());
}

#[cfg(target_os = "linux")]
struct Unmount<'a>(&'a Path);

#[cfg(target_os = "linux")]
impl Drop for Unmount<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0).status();
    }
}

/// The system's clock, for a program that it is loaded into: with every look it jumps to and fro by an hour or a day.
#[cfg(target_os = "linux")]
const JUMPS: &str = r#"
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long looks;

static long jump(void) {
    static const long by[] = {0, 3600, -3600, 86400, -86400};
    return by[__atomic_fetch_add(&looks, 1, __ATOMIC_RELAXED) % 5];
}

int clock_gettime(clockid_t clock, struct timespec *t) {
    int failed = syscall(SYS_clock_gettime, clock, t);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) t->tv_sec += jump();
    return failed;
}

int gettimeofday(struct timeval *restrict t, void *restrict zone) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    t->tv_sec = now.tv_sec;
    t->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *t) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (t) *t = now.tv_sec;
    return now.tv_sec;
}

__attribute__((destructor)) static void tell(void) {
    FILE *f = fopen(getenv("LOOKS"), "a");
    if (f) { fprintf(f, "%ld\n", looks); fclose(f); }
}
"#;

/// A wall clock that is set to and fro changes no result and loses nothing; commits come as often as they should.
#[cfg(target_os = "linux")]
#[test]
fn a_clock_that_jumps_changes_nothing() {
    let dir = kinds();
    std::fs::write(dir.path().join("jumps.c"), JUMPS).unwrap();
    let compiled = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o", "jumps.so", "jumps.c"]).current_dir(dir.path()).output();
    match compiled {
        Err(_) => {
            skipped::<()>("no C compiler here: the clock does not jump");
            return;
        }
        Ok(o) => assert!(o.status.success(), "{}", said(&o)),
    }
    let jumping = |command: &str, out: &str| {
        let mut c = Command::new(env!("CARGO_BIN_EXE_spinloom"));
        c.current_dir(dir.path()).args(into(command, out)).env("LD_PRELOAD", dir.path().join("jumps.so"));
        c.env("LOOKS", dir.path().join("looks"));
        c
    };
    let mut looks = 0;
    for (kind, (command, files)) in KINDS.into_iter().enumerate() {
        let (whole, out) = (format!("whole{kind}"), format!("out{kind}"));
        let o = spinloom(dir.path(), &into(command, &whole));
        assert!(o.status.success(), "{}", said(&o));
        let o = jumping(command, &out).output().unwrap();
        assert!(o.status.success(), "{command}: {}", said(&o));
        alike(dir.path(), files, &whole, &out);
        let text = std::fs::read_to_string(dir.path().join("looks")).unwrap();
        let now: u64 = text.lines().map(|l| l.parse::<u64>().unwrap()).sum();
        println!("{command}: {} looks at the clock", now - looks);
        looks = now;
    }
    assert!(looks > 5);
    // Killed in the middle, with commits every 20 ms: they have not waited for tomorrow.
    let long = "run longer.yaml --resume --commit-every 0.02";
    std::fs::write(dir.path().join("longer.yaml"), long_run().replace("for: 4 ns", "for: 2 ns")).unwrap();
    assert!(spinloom(dir.path(), &into(long, "whole")).status.success());
    let mut child = jumping(long, "killed").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for(&dir.path().join("killed/run.h5"));
    let committed = || spinloom_record::Record::open(&dir.path().join("killed")).and_then(|r| r.rows(0)).unwrap_or(0);
    let begun = Instant::now();
    while committed() < 5 {
        assert!(begun.elapsed() < Duration::from_secs(60), "nothing is committed");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(child.try_wait().unwrap().is_none(), "it ended before it was killed");
    signal(&child, "-KILL");
    child.wait().unwrap();
    assert!(jumping(long, "killed").status().unwrap().success());
    equal(dir.path(), "whole", "killed");
}

#[test]
fn an_error_after_a_signal_is_an_error() {
    let dir = folder(&[("long.yaml", &long_run())]);
    let mut child = begin(dir.path(), &["run", "long.yaml", "--out", "a", "--commit-every", "1000"]);
    wait_for(&dir.path().join("a/run.h5"));
    std::thread::sleep(Duration::from_millis(100));
    // What the signal asks to be committed has no place to go.
    std::fs::remove_dir_all(dir.path().join("a")).unwrap();
    std::fs::write(dir.path().join("a"), "").unwrap();
    signal(&child, "-TERM");
    assert_eq!(child.wait().unwrap().code(), Some(2));
}

const SCRIPT: &str = "setGridSize(32, 32, 1)\nsetCellSize(4e-9, 4e-9, 4e-9)\nMsat = 8e5\nAex = 13e-12\nalpha = 0.02\nm = vortex(1, 1)\nrelax()\n\
    B_ext = vector(0.02 * sin(t * 1e10), 0, 0)\ntableAutoSave(1e-12)\nautoSave(m, 2e-11)\nrun(1e-10)\nfor i := 0; i < 5; i++ { steps(20); \
    B_ext = vector(m.average().y(), 0.01, 0); fprintln(\"own.txt\", i, m.average()) }\nrun(1e-10)\nsave(m)\n";

#[test]
fn a_script_killed_at_random_moments_leaves_the_same_files() {
    let dir = folder(&[("s.mx3", SCRIPT)]);
    let read = |name: &str| -> Vec<(String, Vec<u8>)> {
        let mut list: Vec<_> = std::fs::read_dir(dir.path().join(name))
            .unwrap()
            .map(|e| e.unwrap().path())
            // The checkpoint tells what lay there before: of one that was killed before its first checkpoint, its own log.
            .filter(|p| !p.ends_with("checkpoint"))
            .map(|p| (p.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(&p).unwrap()))
            .collect();
        list.sort();
        list
    };
    let (kills, runs) = kill_until_done(dir.path(), &["run", "s.mx3", "--resume", "--commit-every", "0.02"], &|a, b| {
        let (a, b) = (read(a), read(b));
        assert_eq!(a.iter().map(|f| &f.0).collect::<Vec<_>>(), b.iter().map(|f| &f.0).collect::<Vec<_>>());
        a.iter().zip(&b).for_each(|(x, y)| assert!(x == y, "{} differs", x.0));
    });
    println!("{kills} kills in {runs} runs, each left the same files");
}

#[test]
fn sigterm_leaves_a_script_that_can_go_on() {
    let script = SCRIPT.replace("run(1e-10)\nsave", "run(1e-6)\nsave");
    let dir = folder(&[
        ("s.mx3", &script),
        ("next.mx3", &SCRIPT.replace("m = vortex(1, 1)", "m.loadFile(\"s.out/stopped.ovf\")").replace("run(1e-10)", "steps(1)")),
    ]);
    for _ in 0..2 {
        let mut child = begin(dir.path(), &["run", "s.mx3", "--resume"]);
        wait_for(&dir.path().join("s.out/m000000.ovf"));
        wait_until_it_listens(&child);
        std::thread::sleep(Duration::from_millis(300));
        signal(&child, "-TERM");
        assert_eq!(child.wait().unwrap().code(), Some(75));
    }
    let read = |name: &str| std::fs::read_to_string(dir.path().join("s.out").join(name)).unwrap();
    assert!(read("table.txt").lines().count() > 10 && read("table.txt").ends_with('\n'));
    let m = Ovf::read_file(&dir.path().join("s.out/stopped.ovf")).unwrap();
    assert!(m.data.chunks(3).all(|v| (v.iter().map(|c| c * c).sum::<f64>() - 1.0).abs() < 1e-5), "f32 vectors of length 1");
    let o = spinloom(dir.path(), &["run", "next.mx3"]);
    assert!(o.status.success(), "{}", said(&o));
}

#[test]
fn a_signal_ends_a_loop_in_which_nothing_runs() {
    let script = "setGridSize(4, 4, 1)\nsetCellSize(4e-9, 4e-9, 4e-9)\nMsat = 8e5\nAex = 13e-12\nm = uniform(1, 0, 0)\nsave(m)\n\
        for i := 0; i < 1000000000; i++ { x := sin(i) }\n";
    let dir = folder(&[("s.mx3", script)]);
    let mut child = begin(dir.path(), &["run", "s.mx3"]);
    wait_for(&dir.path().join("s.out/m000000.ovf"));
    wait_until_it_listens(&child);
    signal(&child, "-TERM");
    assert_eq!(child.wait().unwrap().code(), Some(75));
}

/// What only prints ends quietly when nobody reads on.
#[cfg(unix)]
#[test]
fn a_closed_pipe_is_no_panic() {
    for arguments in [&["completions", "bash"][..], &["devices"]] {
        let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_spinloom"))
            .args(arguments)
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let o = child.wait_with_output().unwrap();
        assert!(!String::from_utf8_lossy(&o.stderr).contains("panicked"), "{}", said(&o));
    }
}

#[test]
fn scripts_end_with_the_code_of_what_is_wrong() {
    let huge = "setGridSize(100000, 100000, 100)\nsetCellSize(1e-9, 1e-9, 1e-9)\n";
    let dir = folder(&[("huge.mx3", huge), ("no.mx3", "expect(\"one\", 1, 2, 0)\n"), ("bad.mx3", "Msat = 1 +\n")]);
    for (files, code, words) in [
        (&["huge.mx3"][..], 2, "huge.mx3:"),
        (&["no.mx3"], 1, "expectation failed"),
        (&["no.mx3", "huge.mx3"], 2, "GiB are free"),
        (&["bad.mx3"], 2, "bad.mx3:2:1: expected a value"),
    ] {
        let o = spinloom(dir.path(), &[&["run"], files].concat());
        assert_eq!(o.status.code(), Some(code), "{files:?}: {}", said(&o));
        assert!(said(&o).contains(words), "{files:?}: {}", said(&o));
    }
}

#[test]
fn a_pipeline_killed_in_extraction_or_training_ends_with_the_same_results() {
    let row = |i: i32| {
        format!("{},{}\n", 0.05 * f64::from(i), 1.0 / (1.0 + (5.0 - 0.5 * f64::from(i)).exp()) + if i % 2 == 0 { 0.01 } else { -0.01 })
    };
    let dir = folder(&[
        ("a.csv", &format!("x,y\n{}", (0..21).map(row).collect::<String>())),
        (
            "a.yaml",
            "devices: [{name: a neuron, csv: [{file: a.csv}], columns: {x: [x, V], y: y}, models: [sigmoid, relu], resamples: 2000}]",
        ),
        ("n.yaml", "neurons: [ideal]\nstand_in: {train: 2000, test: 100}\nhidden: [40]\nsteps: 20\nepochs: 3\n"),
        ("p.yaml", "pipeline: two\nstages:\n  card: {extract: a.yaml}\n  network: {network: n.yaml}\n"),
    ]);
    let read = |out: &str| -> Vec<Vec<u8>> {
        let weights = std::fs::read_dir(dir.path().join(out).join("network")).unwrap().map(|e| e.unwrap().path());
        let weights = weights.filter(|p| p.extension().is_some_and(|e| e == "weights"));
        let list: Vec<Vec<u8>> = weights.chain([dir.path().join(out).join("card/card.yaml")]).map(|p| std::fs::read(p).unwrap()).collect();
        assert_eq!(list.len(), 2);
        list
    };
    let (kills, runs) = kill_until_done(dir.path(), &["run", "p.yaml"], &|a, b| assert!(read(a) == read(b)));
    println!("{kills} kills in {runs} pipelines, each ended with the same card and weights");
}
