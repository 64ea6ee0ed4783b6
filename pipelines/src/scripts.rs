//! mumax3 scripts from the command line, with the flags that its users have in their job files.

use crate::signals;
use clap::Args;
use spinloom_base::constants::KB;
use spinloom_base::{Diagnostic, Problems};
use spinloom_record::{Frame, Ovf, OvfFormat};
use spinloom_solver::barrier;
use spinloom_solver::live::Live;
use spinloom_solver::mx3;
use spinloom_solver::{DeviceChoice, Experiment, devices};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Flags of scripts.
#[derive(Args, Clone, Debug, Default)]
pub struct Flags {
    /// `f32`, as mumax3 computes, or `f64`.
    #[arg(long)]
    precision: Option<String>,
    /// The demagnetising tensor: `mumax3`, sampled as that program does, or `exact`.
    #[arg(long, default_value = "mumax3", value_parser = ["mumax3", "exact"])]
    demag: String,
    /// Shows the log while a script runs.
    #[arg(long, short)]
    verbose: bool,
    /// Shows nothing but errors.
    #[arg(long, short)]
    silent: bool,
    /// Ends a queue at its first failure.
    #[arg(long)]
    failfast: bool,
}

/// Whether a file is a script.
pub fn is_script(file: &Path) -> bool {
    file.extension().is_some_and(|e| e.eq_ignore_ascii_case("mx3") || e.eq_ignore_ascii_case("txt"))
}

/// The arguments with mumax3's flags in this program's form: `-o=dir`, `-vet`, `-gpu=1`, … Flags that have no meaning here (`-http`, `-cache`, `-sync`,
/// `-paranoid`, `-i`) are dropped, so that job files need no change. A script alone is run.
pub fn arguments(list: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let list: Vec<OsString> = list.collect();
    if !list.iter().skip(1).any(|a| is_script(Path::new(a)) && !a.to_string_lossy().starts_with('-')) {
        return list;
    }
    let mut rest: Vec<OsString> = Vec::new();
    let mut verb: Option<OsString> = None;
    let mut items = list[1..].iter().cloned();
    while let Some(item) = items.next() {
        let text = item.to_string_lossy().into_owned();
        let (flag, value) = match text.split_once('=') {
            Some((f, v)) => (f.to_string(), Some(v.to_string())),
            None => (text.clone(), None),
        };
        if rest.is_empty() && verb.is_none() && !text.starts_with('-') && !is_script(Path::new(&text)) {
            verb = Some(item);
            continue;
        }
        let single = flag.starts_with('-') && !flag.starts_with("--");
        match flag.trim_start_matches('-') {
            "vet" if single => verb = Some("vet".into()),
            "failfast" if single && value.is_none() => rest.push("--failfast".into()),
            "o" if single => {
                rest.push("--out".into());
                rest.extend(value.map(OsString::from).or_else(|| items.next()));
            }
            "gpu" if single => {
                let number = value.or_else(|| items.next().map(|n| n.to_string_lossy().into_owned())).unwrap_or_default();
                rest.push("--device".into());
                rest.push(if number == "-1" { "cpu".into() } else { format!("cuda:{number}").into() });
            }
            "http" | "cache" if single => {
                if value.is_none() {
                    items.next();
                }
            }
            // A switch that is said to be on, or off.
            "f" | "s" | "v" | "failfast" if single && value.is_some() => {
                if value.as_deref() == Some("true") || value.as_deref() == Some("1") {
                    rest.push(if flag == "-failfast" { "--failfast".into() } else { flag.into() });
                }
            }
            "sync" | "paranoid" | "i" | "test" | "launchtimeout" if single => {}
            _ => rest.push(item),
        }
    }
    let verb = verb.unwrap_or_else(|| "run".into());
    let keeps = |a: &OsString| verb != "vet" || !a.to_string_lossy().starts_with('-');
    [list[0].clone(), verb.clone()].into_iter().chain(rest.into_iter().filter(keeps)).collect()
}

fn device(name: Option<&str>, precision: Option<&str>) -> Result<DeviceChoice, Problems> {
    let name = name.unwrap_or("cpu");
    DeviceChoice::parse(name, precision.unwrap_or("f32"))
}

/// How scripts are run, besides their own flags.
pub struct Options<'a> {
    /// Folder for the results.
    pub out: Option<PathBuf>,
    /// Removes what lies there.
    pub clean: bool,
    /// Goes on with what was cut off.
    pub resume: bool,
    /// Wall-clock time between checkpoints.
    pub commit_every: Duration,
    /// The device's name.
    pub device: Option<&'a str>,
    /// Who watches, if anybody may.
    pub live: Option<Arc<Live>>,
}

/// Runs scripts, one after another.
pub fn run(files: &[PathBuf], given: &Options<'_>, flags: &Flags) -> Result<u8, Problems> {
    let Options { out, clean, resume, commit_every, device: name, live } = given;
    let name = *name;
    let device = device(name, flags.precision.as_deref())?;
    if name == Some("auto") {
        crate::out::say!("device: {}", devices::list().into_iter().find(|d| d.usable).map_or_else(String::new, |d| d.name));
    }
    // What is wrong with any script is told before one runs.
    let mut problems = Problems::new();
    files.iter().for_each(|file| drop(problems.take(mx3::vet(file))));
    if problems.any_error() {
        return Err(problems);
    }
    let watch = signals::watch();
    let mut unmet = true;
    for file in files {
        // Several scripts share no folder: each gets its own inside the one that is named.
        let out = out.as_ref().map(|o| if files.len() > 1 { o.join(file.file_stem().unwrap_or_default()) } else { o.clone() });
        let options = mx3::Options {
            device,
            out,
            clean: *clean,
            exact_demag: flags.demag == "exact",
            loud: flags.verbose,
            resume: *resume,
            commit_every: *commit_every,
            stop: watch.stop.clone(),
            live: live.clone(),
        };
        let began = std::time::Instant::now();
        let result = mx3::run(file, &options);
        if let Ok(o) = &result {
            let folder = options.out.clone().unwrap_or_else(|| file.with_extension("out"));
            crate::out::note(
                "runs",
                serde_json::json!({"script": file, "folder": folder, "finished": o.finished, "expectations": o.expectations, "seconds": began.elapsed().as_secs_f64()}),
            );
        }
        match result {
            Ok(o) if !o.finished => {
                eprintln!("{}: stopped, to be continued with --resume", file.display());
                if !problems.any_error() {
                    return Ok(signals::RESUME_ME);
                }
                break;
            }
            Ok(_) if flags.silent && !crate::out::is_json() => {}
            Ok(o) if o.before => crate::out::say!("{}: finished before", file.display()),
            Ok(o) => {
                crate::out::say!(
                    "{}: done in {:.2} s, {} expectation(s) held",
                    file.display(),
                    began.elapsed().as_secs_f64(),
                    o.expectations
                );
            }
            Err(e) => {
                unmet &= e.unmet;
                problems.extend(e.problems);
                if flags.failfast {
                    break;
                }
            }
        }
    }
    if problems.any_error() {
        if !unmet {
            return Err(problems);
        }
        eprintln!("{problems}");
        return Ok(1);
    }
    Ok(0)
}

/// Finds the energy barrier between two states and prints the path.
pub fn barrier(
    experiment: &Experiment,
    [from, to]: [&Path; 2],
    images: usize,
    tolerance: f64,
    axis: [f64; 3],
    saddle: Option<&Path>,
) -> Result<u8, Problems> {
    let mesh = experiment.system.mesh;
    let state = |path: &Path| -> Result<Vec<f64>, Problems> {
        let ovf = Ovf::read_file(path)?;
        if ovf.mesh.n != mesh.n || ovf.components() != 3 {
            let [x, y, z] = mesh.n;
            let message = format!("it holds no vectors on the experiment's {x} x {y} x {z} cells");
            return Err(Diagnostic::file(path.display().to_string(), message).into());
        }
        Ok((0..ovf.data.len()).map(|i| ovf.data[i % mesh.cells() * 3 + i / mesh.cells()]).collect())
    };
    if images < 3 {
        return Err(Diagnostic::error(format!("a path of {images} states has no middle")).hint("take at least 3 images").into());
    }
    let (a, b) = (state(from)?, state(to)?);
    let mut system = experiment.system.clone();
    system.replicas.truncate(1);
    let options = barrier::Options { images, tolerance, ..barrier::Options::default() };
    let path = barrier::barrier(&system, experiment.device, [&a, &b], axis, &options).map_err(|e| Diagnostic::error(e.to_string()))?;
    crate::out::say!("{:>5} {:>12} {:>16}", "image", "way (rad)", "energy (J)");
    for (k, (way, energy)) in path.way.iter().zip(&path.energies).enumerate() {
        crate::out::say!("{k:>5} {way:>12.5} {energy:>16.8e}{}", if k == path.saddle { "  saddle" } else { "" });
    }
    let [up, back] = path.heights();
    crate::out::say!("barrier {up:.6e} J forth, {back:.6e} J back; at 300 K {:.2} and {:.2} kT", up / (KB * 300.0), back / (KB * 300.0));
    crate::out::say!("{} steps, largest torque across the path {:.1e} T", path.steps, path.torque);
    if let Some(file) = saddle {
        let frame = Frame {
            name: "m".into(),
            unit: String::new(),
            replica: 0,
            components: 3,
            t: 0.0,
            data: interleaved(&path.images[path.saddle]),
        };
        Ovf::new(&spinloom_solver::run::recorded(&mesh), &frame).write_file(file, OvfFormat::Binary8)?;
    }
    Ok(if path.torque < tolerance { 0 } else { 1 })
}

/// `[component][cell]` to `[cell][component]`.
fn interleaved(m: &[f64]) -> Vec<f64> {
    let cells = m.len() / 3;
    (0..m.len()).map(|i| m[i % 3 * cells + i / 3]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_of_job_files_are_understood() {
        let to = |line: &str| {
            let list = arguments(line.split(' ').map(OsString::from));
            list.iter().skip(1).map(|a| a.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
        };
        for (line, want) in [
            ("x a.mx3", "run a.mx3"),
            ("x -f=true -s=false a.mx3", "run -f a.mx3"),
            ("x run -o=out -f a.mx3", "run --out out -f a.mx3"),
            ("x -gpu=1 -http= -cache=/tmp -i a.mx3 b.mx3", "run --device cuda:1 a.mx3 b.mx3"),
            ("x -gpu -1 -o out a.mx3", "run --device cpu --out out a.mx3"),
            ("x -vet a.mx3", "vet a.mx3"),
            ("x vet a.mx3", "vet a.mx3"),
            ("x run --demag exact a.mx3", "run --demag exact a.mx3"),
            ("x bench 64x64x1", "bench 64x64x1"),
        ] {
            assert_eq!(to(line), want, "{line}");
        }
    }
}
