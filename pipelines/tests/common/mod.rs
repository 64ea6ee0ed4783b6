//! What tests of the command share. Each takes what it needs.
#![allow(dead_code, reason = "every test binary has its own copy")]

use std::path::Path;
use std::process::{Command, Output};

/// A wall in 40 cells, pushed for 60 ps.
pub const EXPERIMENT: &str = "\
name: a wall
mesh: {size: [80 nm, 8 nm, 1 nm], cell: [4 nm, 4 nm, 1 nm]}
material: {Msat: 1e6 A/m, Aex: 15 pJ/m, Ku1: 1e6 J/m^3, Dind: 0.5 mJ/m^2, alpha: 0.1, theta_SH: 0.5}
initial: {wall: {at: -20 nm, left: [0, 0, -1], centre: [1, 0, 0], right: [0, 0, 1], width: 6 nm}}
protocol:
  - {phase: push, for: 60 ps, set: {J: [-7e11 A/m^2, 0, 0]}, log: {J: 7e11 A/m^2}}
table: {every: 10 ps, columns: [wall_x]}
pictures: 30 ps
";

/// Runs the program in a folder.
pub fn spinloom(dir: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_spinloom"))
        .current_dir(dir)
        .args(arguments)
        .env_remove("SPINLOOM_DATA")
        .output()
        .expect("the program starts")
}

/// Says that something is not tried, and why: where the runner shows it, and where a person looks.
pub fn skipped<T>(why: impl std::fmt::Display) -> Option<T> {
    println!("SKIPPED: {why}");
    eprintln!("SKIPPED: {why}");
    None
}

/// What it said.
pub fn said(o: &Output) -> String {
    String::from_utf8_lossy(&o.stdout).into_owned() + &String::from_utf8_lossy(&o.stderr)
}

/// A folder with files.
pub fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    dir
}
