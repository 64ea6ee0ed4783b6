//! The command as a user meets it.

use std::path::Path;
use std::process::{Command, Output};

const EXPERIMENT: &str = "\
name: a wall
mesh: {size: [80 nm, 8 nm, 1 nm], cell: [4 nm, 4 nm, 1 nm]}
material: {Msat: 1e6 A/m, Aex: 15 pJ/m, Ku1: 1e6 J/m^3, Dind: 0.5 mJ/m^2, alpha: 0.1, theta_SH: 0.5}
initial: {wall: {at: -20 nm, left: [0, 0, -1], centre: [1, 0, 0], right: [0, 0, 1], width: 6 nm}}
protocol:
  - {phase: push, for: 60 ps, set: {J: [-7e11 A/m^2, 0, 0]}, log: {J: 7e11 A/m^2}}
table: {every: 10 ps, columns: [wall_x]}
pictures: 30 ps
";

fn spinloom(dir: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_spinloom"))
        .current_dir(dir)
        .args(arguments)
        .env_remove("SPINLOOM_DATA")
        .output()
        .expect("the program starts")
}

fn said(o: &Output) -> String {
    String::from_utf8_lossy(&o.stdout).into_owned() + &String::from_utf8_lossy(&o.stderr)
}

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

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
