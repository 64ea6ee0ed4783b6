//! `spinloom bench`: how fast this machine evaluates the torque or takes whole steps, on the grids and materials of the comparison with other codes.

use serde::Serialize;
use spinloom_base::diagnostics::one_of;
use spinloom_base::{Diagnostic, Problems};
use spinloom_kernels::cpu::sizes;
use spinloom_kernels::device::DeviceInfo;
use spinloom_kernels::plan::{Buffer, Cells, Pass, Plan, Ref};
use spinloom_kernels::{Device, DeviceError, Material, Mesh, ParameterId as P, RegionMap, Replica, System, Values};
use spinloom_solver::{DemagEvery, DeviceChoice, Simulation, Step, Tableau, tableau};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Time spent on each grid and precision, split into [`SAMPLES`].
const BUDGET: Duration = Duration::from_secs(3);
const SAMPLES: u32 = 7;

/// One line of the result.
#[derive(Debug, Serialize)]
struct Line {
    code: &'static str,
    version: &'static str,
    work: &'static str,
    /// `evaluation`, or the method whose steps were taken.
    of: String,
    grid: String,
    replicas: usize,
    device: String,
    precision: &'static str,
    threads: usize,
    layout: String,
    /// Seconds per evaluation: least, and median.
    s_min: f64,
    s_med: f64,
    /// Million cells × evaluations per second, all replicas, of the least.
    mcells_best: f64,
    /// The plan's own least traffic over the time, of the least (GB/s).
    gigabytes: f64,
    /// 5 N log₂ N operations of the transforms over the time (1e9 a second), and the most one thread of this processor reaches times the threads; on the CPU.
    transform_gigaflops: Option<f64>,
    peak_gigaflops: Option<f64>,
    /// What copying a large array reaches on this device, read and written bytes (GB/s).
    copy_gigabytes: Option<f64>,
    /// Seconds from the description to the first evaluation done.
    start_up: f64,
}

/// Demagnetising field, exchange, uniaxial anisotropy, a field, and the torque of Landau, Lifshitz and Gilbert: cells of 4 nm of a soft material.
fn torque(n: [usize; 3]) -> System {
    let mut v = Values::default();
    for (p, x) in [(P::Msat, 8e5), (P::Aex, 1.3e-11), (P::Ku1, 5e4), (P::Alpha, 0.02)] {
        v.set_scalar(p, x);
    }
    v.set(P::AnisU, [0.0, 0.0, 1.0]);
    v.set(P::BExt, [10e-3, 5e-3, 2e-3]);
    let mesh = Mesh::new(n, [4e-9; 3]);
    System::new(mesh, RegionMap::uniform(mesh.cells()), Material::uniform(v, 1))
}

/// The domain-wall strip: interfacial DMI and spin-orbit torque on cells of 1 nm.
fn strip(n: [usize; 3]) -> System {
    let mut v = Values::default();
    for (p, x) in [(P::Msat, 1e6), (P::Aex, 1.5e-11), (P::Ku1, 1e6), (P::Dind, 0.5e-3), (P::Alpha, 0.012), (P::ThetaSh, 0.5)] {
        v.set_scalar(p, x);
    }
    v.set(P::J, [7e11, 0.0, 0.0]);
    let mesh = Mesh::new(n, [1e-9; 3]);
    System::new(mesh, RegionMap::uniform(mesh.cells()), Material::uniform(v, 1))
}

/// What the grids hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Work {
    /// [`torque`].
    Torque,
    /// [`strip`].
    Strip,
}

impl Work {
    fn name(self) -> &'static str {
        match self {
            Work::Torque => "torque",
            Work::Strip => "wall strip",
        }
    }

    fn system(self, n: [usize; 3]) -> System {
        match self {
            Work::Torque => torque(n),
            Work::Strip => strip(n),
        }
    }
}

/// `64x64x1`.
fn grid(text: &str) -> Option<[usize; 3]> {
    let n: Vec<usize> = text.split('x').map(|n| n.parse().ok().filter(|n| (1..=1 << 14).contains(n))).collect::<Option<_>>()?;
    n.try_into().ok()
}

/// What to measure.
pub struct Options<'a> {
    /// The device, as `run` takes it.
    pub device: &'a str,
    /// `f32`, `f64` or both.
    pub precisions: &'a [String],
    /// The grids; by default the seven of the comparison.
    pub grids: &'a [String],
    /// What they hold.
    pub work: Work,
    /// Only counts, with the kernels compiled for this architecture.
    pub count: Option<&'a str>,
    /// Whole steps of this method instead of single evaluations.
    pub stepper: Option<&'a str>,
    /// Members of the ensemble.
    pub replicas: usize,
    /// Folders of other codes' scripts, to be run beside.
    pub peers: &'a [PathBuf],
    /// One JSON object a line.
    pub json: bool,
}

/// Runs the benchmark and prints a line a grid and precision.
///
/// # Errors
/// A grid, method or precision that makes no sense, or a device that cannot.
pub fn bench(options: &Options<'_>) -> Result<u8, Problems> {
    if options.json {
        crate::out::own();
    }
    let mut problems = Problems::new();
    let choices: Vec<DeviceChoice> =
        options.precisions.iter().filter_map(|p| problems.take(DeviceChoice::parse(options.device, p))).collect();
    let method = options.stepper.and_then(|name| {
        let known = tableau::by_name(name);
        if known.is_none() {
            let names = one_of(tableau::ALL.iter().map(|t| t.name));
            problems.push(Diagnostic::error(format!("`{name}` is not a method")).hint(format!("it can be {names}")));
        }
        known
    });
    if options.replicas == 0 {
        problems.push(Diagnostic::error("no replicas: nothing would be measured").hint("at least 1"));
    }
    let mut systems = Vec::new();
    for text in options.grids {
        match grid(text) {
            Some(n) => systems.push((options.work.name(), text.clone(), options.work.system(n))),
            None => problems.push(Diagnostic::error(format!("`{text}` is not a grid")).hint("write cells along x, y, z, e.g. `256x256x1`")),
        }
    }
    problems.into_result(Some(()))?;
    if options.grids.is_empty() {
        for n in [[64, 64, 1], [256, 256, 1], [1024, 1024, 1], [64, 64, 64], [128, 128, 32], [128, 128, 128]] {
            systems.push((options.work.name(), n.map(|n| n.to_string()).join("x"), options.work.system(n)));
        }
        systems.push((Work::Strip.name(), "384x64x1".into(), strip([384, 64, 1])));
    }
    let copies: Vec<Option<f64>> = choices
        .iter()
        .map(|choice| {
            if options.count.is_some() {
                return Ok(None);
            }
            let found = choice.copy_speed().map_err(|e| Problems::from(Diagnostic::error(format!("{choice}: {e}"))))?;
            Ok(Some(found.map_or_else(copy_speed, |bytes| bytes / 1e9)))
        })
        .collect::<Result<_, Problems>>()?;
    for (work, text, system) in &mut systems {
        system.replicas = (0..options.replicas as u64).map(|id| Replica { id, ..system.replicas[0].clone() }).collect();
        for (choice, copy) in choices.iter().zip(&copies) {
            if let Some(architecture) = options.count {
                let counted = count(work, text, system, choice.precision(), method, architecture)?;
                println!("{}", serde_json::to_string(&counted).expect("numbers and text"));
                continue;
            }
            let mut line = measure(work, text, system, *choice, method)?;
            line.copy_gigabytes = *copy;
            if line.device == "cpu" {
                let peak = if line.precision == "f64" { sizes::peak_operations::<f64>() } else { sizes::peak_operations::<f32>() };
                line.peak_gigaflops = Some(1e-9 * peak * line.threads as f64);
            }
            if options.json {
                println!("{}", serde_json::to_string(&line).expect("numbers and text"));
            } else {
                println!(
                    "{:<11} {:>12} x {:<4} {:>4} {:<10} {:9.3} ms an evaluation, {:8.2} M cells x evaluations a second (median {:.2}), {:.1} GB/s of the plan{}{}, start-up {:.2} s; {}",
                    line.work,
                    line.grid,
                    line.replicas,
                    line.precision,
                    line.of,
                    1e3 * line.s_min,
                    line.mcells_best,
                    line.mcells_best * line.s_min / line.s_med,
                    line.gigabytes,
                    copy.map_or(String::new(), |c| format!(" ({:.0} % of copying)", 100.0 * line.gigabytes / c)),
                    line.transform_gigaflops.zip(line.peak_gigaflops).map_or(String::new(), |(f, peak)| {
                        format!(", transforms at {f:.1} GFLOP/s ({:.0} % of multiplying)", 100.0 * f / peak)
                    }),
                    line.start_up,
                    line.layout
                );
            }
            if options.work == Work::Torque {
                for folder in options.peers.iter().filter(|f| !f.join(NETWORKS).is_file()) {
                    beside(folder, &line, choice.precision(), options.json)?;
                }
            }
        }
    }
    for folder in options.peers.iter().filter(|f| f.join(NETWORKS).is_file()) {
        networks(folder)?;
    }
    Ok(0)
}

/// The script that trains networks in other codes.
const NETWORKS: &str = "peers.py";

fn python() -> std::ffi::OsString {
    std::env::var_os("SPINLOOM_PYTHON").unwrap_or_else(|| "python3".into())
}

/// Runs the folder's script on the training speed of networks, which prints its own table; with as many threads, on the sets of SPINLOOM_DATA, beside the programs that were built with this one.
fn networks(folder: &Path) -> Result<(), Problems> {
    let script = folder.join(NETWORKS);
    let Some(data) = std::env::var_os("SPINLOOM_DATA") else {
        println!("    {}: SKIPPED, SPINLOOM_DATA names no folder with MNIST and CIFAR-10", script.display());
        return Ok(());
    };
    let own = std::env::current_exe().map_err(|e| Diagnostic::error(e.to_string()))?;
    let programs = own.parent().unwrap_or(Path::new("."));
    if !programs.join("examples/train").is_file() {
        return Err(Diagnostic::error(format!("{} is not there", programs.join("examples/train").display()))
            .hint("cargo build --release -p spinloom-network --example train")
            .into());
    }
    let threads = spinloom_solver::threads().to_string();
    let status = Command::new(python())
        .arg(&script)
        .arg("--data")
        .arg(data)
        .arg("--programs")
        .arg(programs)
        .args(["--threads", &threads, "--samples", "12000", "2000"])
        .status()
        .map_err(|e| Diagnostic::error(format!("{}: {e}", python().to_string_lossy())))?;
    if !status.success() {
        println!("    {}: SKIPPED, it ended with {status}", script.display());
    }
    Ok(())
}

/// Runs the other codes on the grid that was just measured, with as many threads, and prints how many times faster this one was.
fn beside(folder: &Path, own: &Line, precision: &str, json: bool) -> Result<(), Problems> {
    let python = python();
    let threads = own.threads.to_string();
    let folder = &folder.canonicalize().map_err(|e| Diagnostic::error(format!("{}: {e}", folder.display())))?;
    for script in ["bench_magnumnp.py", "bench_neuralmag.py"] {
        let file = folder.join(script);
        if !file.is_file() {
            return Err(Diagnostic::error(format!("{} has no `{script}`", folder.display())).into());
        }
        // Some take the number of threads from the processors they are given.
        let processors = (0..own.threads).map(|p| p.to_string()).collect::<Vec<_>>().join(",");
        let mut command = if Command::new("taskset").arg("-V").output().is_ok() {
            let mut pinned = Command::new("taskset");
            pinned.args(["-c", &processors]).arg(&python);
            pinned
        } else {
            Command::new(&python)
        };
        command.arg(&file).args(["w2", &own.grid]).env("OMP_NUM_THREADS", &threads).env("NM_BACKEND", "jax").current_dir(folder);
        if precision == "f32" {
            command.env("PEER_DTYPE", "float32");
        }
        let output = command.output().map_err(|e| Diagnostic::error(format!("{}: {e}", python.to_string_lossy())))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let found = text.lines().rev().find_map(|l| serde_json::from_str::<serde_json::Value>(l).ok());
        let speed = found.as_ref().and_then(|v| v["mcells_best"].as_f64());
        match (found, speed) {
            (Some(found), Some(speed)) if json => println!("{}", serde_json::json!({ "peer": found, "ratio": own.mcells_best / speed })),
            (Some(found), Some(speed)) => {
                let text = |key: &str| found[key].as_str().unwrap_or("?").to_string();
                let (code, version, real) = (text("code"), text("version"), text("precision"));
                println!(
                    "    {code} {version}, {real}: {speed:.2} M cells x evaluations a second; spinloom {:.1} times as fast",
                    own.mcells_best / speed
                );
            }
            _ => {
                let why = String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or("it printed no result").to_string();
                println!("    {script}: SKIPPED, {why}");
            }
        }
    }
    Ok(())
}

/// Writes the table of [`sizes`].
///
/// # Errors
/// A file that cannot be written.
pub fn tune(file: &Path) -> Result<u8, Problems> {
    std::fs::write(file, sizes::measured()).map_err(|e| Diagnostic::error(format!("{}: {e}", file.display())))?;
    Ok(0)
}

/// What a graphics device would do, counted without one.
#[derive(Debug, Serialize)]
struct Counted {
    code: &'static str,
    version: &'static str,
    work: &'static str,
    of: String,
    grid: String,
    replicas: usize,
    precision: &'static str,
    architecture: String,
    /// The plan's own floor.
    bytes_per_cell_and_evaluation: f64,
    launches_per_evaluation: f64,
    /// All memories (bytes).
    memory: usize,
    kernels: Vec<CountedKernel>,
}

#[derive(Debug, Serialize)]
struct CountedKernel {
    name: String,
    items: u32,
    groups: u64,
    registers: u32,
    spilled: u32,
    shared: u32,
}

fn count(
    work: &'static str,
    text: &str,
    system: &System,
    precision: &'static str,
    method: Option<&'static Tableau>,
    architecture: &str,
) -> Result<Counted, Problems> {
    let trouble = |e: &dyn std::fmt::Display| Problems::from(Diagnostic::error(format!("{text}: {e}")));
    let (dry, log) = spinloom_gpu::dry::Dry::new(crate::plan::CARD);
    let real = if precision == "f64" { spinloom_gpu::Precision::Double } else { spinloom_gpu::Precision::Single };
    let mut gpu = spinloom_kernels::gpu::Gpu::new(system, Box::new(dry), real).map_err(|e| trouble(&e))?;
    let plan = match method {
        Some(method) => {
            let step = Step::Adaptive { max_err: 1e-5 };
            let sim = Simulation::on(Box::new(gpu), system.clone(), method, step, DemagEvery::Evaluation).map_err(|e| trouble(&e))?;
            sim.plan().clone()
        }
        None => {
            let (_, plan) = evaluation(&mut gpu, system).map_err(|e| trouble(&e))?;
            gpu.prepare(&plan).map_err(|e| trouble(&e))?;
            plan
        }
    };
    let log = log.lock().unwrap_or_else(|e| e.into_inner()).clone();
    // What is counted was recorded first.
    let launches = &log.recordings[0];
    let mut used: Vec<usize> = launches.iter().map(|l| l.0.0).collect();
    used.sort_unstable();
    used.dedup();
    let kernels = used
        .into_iter()
        .map(|k| {
            let kernel = &log.kernels[k];
            let u = spinloom_gpu::cuda::usage(kernel, architecture).map_err(|e| trouble(&e))?;
            let groups = launches.iter().find(|l| l.0.0 == k).map_or(0, |l| l.1.iter().map(|g| u64::from(*g)).product());
            let (registers, spilled, shared) = (u.registers, u.spilled, u.shared);
            Ok(CountedKernel { name: kernel.name.clone(), items: kernel.group, groups, registers, spilled, shared })
        })
        .collect::<Result<_, Problems>>()?;
    let evaluations = plan.evaluations() as f64;
    let traffic: f64 = plan.passes.iter().map(|p| p.traffic(&system.mesh)).sum();
    Ok(Counted {
        code: "spinloom",
        version: env!("CARGO_PKG_VERSION"),
        work,
        of: method.map_or("evaluation".into(), |m| format!("{} steps", m.name)),
        grid: text.into(),
        replicas: system.replicas.len(),
        precision,
        architecture: architecture.into(),
        bytes_per_cell_and_evaluation: 3.0 * real.bytes() as f64 * traffic / evaluations,
        launches_per_evaluation: launches.len() as f64 / evaluations,
        memory: log.memories.iter().sum(),
        kernels,
    })
}

/// The plan of one evaluation of the torque on a device, and the field that holds m.
fn evaluation(device: &mut dyn Device, system: &System) -> Result<(Buffer, Plan), DeviceError> {
    let (m, b, rate) = (device.allocate("m", 1)?, device.allocate("B_demag", 1)?, device.allocate("rate", 1)?);
    let passes = vec![
        Pass::Convolve { read: Ref::of(m), write: Ref::of(b) },
        Pass::Cells(Cells { measure: true, ..Cells::torque(system.terms.len(), Ref::of(m), Ref::of(b), Ref::of(rate)) }),
    ];
    Ok((m, Plan { name: "one evaluation".into(), passes }))
}

/// Bytes read and written a second by copying an array that no cache holds (GB/s), all threads.
fn copy_speed() -> f64 {
    const BYTES: usize = 256 << 20;
    let from = vec![1u8; BYTES];
    let mut to = vec![0u8; BYTES];
    let threads = spinloom_solver::threads();
    let best = (0..5)
        .map(|_| {
            let clock = Instant::now();
            std::thread::scope(|scope| {
                for (from, to) in from.chunks(BYTES.div_ceil(threads)).zip(to.chunks_mut(BYTES.div_ceil(threads))) {
                    scope.spawn(move || to.copy_from_slice(from));
                }
            });
            clock.elapsed().as_secs_f64()
        })
        .fold(f64::INFINITY, f64::min);
    std::hint::black_box(&to);
    2.0 * BYTES as f64 / best / 1e9
}

/// Of the transforms of one evaluation on the CPU.
fn operations(info: &DeviceInfo, system: &System) -> Option<f64> {
    let padded = info.choices.iter().find(|c| c.0 == "padded sizes")?;
    let sizes: Vec<usize> = padded.1.split(" x ").filter_map(|n| n.parse().ok()).collect();
    (info.name == "cpu").then(|| Some(sizes::transform_operations(sizes.try_into().ok()?, system.mesh.n)))?
}

/// Seconds per evaluation of all replicas, ascending.
fn sample(mut run: impl FnMut(usize) -> u64) -> Vec<f64> {
    let one = Instant::now();
    run(1);
    let repeat = ((BUDGET / SAMPLES).as_secs_f64() / one.elapsed().as_secs_f64()).clamp(1.0, 1e6) as usize;
    let mut times: Vec<f64> = (0..SAMPLES)
        .map(|_| {
            let clock = Instant::now();
            let evaluations = run(repeat).max(1);
            clock.elapsed().as_secs_f64() / evaluations as f64
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times
}

fn measure(
    work: &'static str,
    text: &str,
    system: &System,
    choice: DeviceChoice,
    method: Option<&'static Tableau>,
) -> Result<Line, Problems> {
    let trouble = |e: spinloom_kernels::DeviceError| Problems::from(Diagnostic::error(format!("{text}: {e}")));
    let clock = Instant::now();
    let cells = system.mesh.cells();
    let state: Vec<f64> = (0..3 * cells)
        .map(|i| {
            let a = 0.1 * (i % cells) as f64;
            [a.cos() * 0.6, a.sin() * 0.6, 0.8][i / cells]
        })
        .collect();
    let replicas = system.replicas.len();
    let traffic = |plan: &Plan| plan.passes.iter().map(|p| p.traffic(&system.mesh)).sum::<f64>();
    let (start_up, times, info, numbers, trouble_met) = match method {
        None => {
            let mut device = choice.open(system).map_err(trouble)?;
            let (m, plan) = evaluation(device.as_mut(), system).map_err(trouble)?;
            (0..replicas).for_each(|r| device.upload(r, m, false, &state));
            let prepared = device.prepare(&plan).map_err(trouble)?;
            device.replay(prepared, 1);
            let start_up = clock.elapsed().as_secs_f64();
            let times = sample(|repeat| {
                device.replay(prepared, repeat);
                (repeat * replicas) as u64
            });
            (start_up, times, device.info(), traffic(&plan), device.trouble())
        }
        Some(method) => {
            // Steps so short that nothing happens: what is measured is the work.
            let mut sim = Simulation::new(system.clone(), choice, method, Step::Fixed(1e-16)).map_err(trouble)?;
            (0..replicas).for_each(|r| sim.set_m(r, &state));
            sim.run_all_to(1e-16);
            let start_up = clock.elapsed().as_secs_f64();
            let mut steps = 1;
            let count = |sim: &Simulation| (0..replicas).map(|r| sim.control(r).evaluations).sum::<u64>();
            let times = sample(|repeat| {
                let before = count(&sim);
                // At least as many steps as a graphics device takes in one go.
                steps += 16 * repeat as u64;
                sim.run_all_to(steps as f64 * 1e-16);
                count(&sim) - before
            });
            let numbers = traffic(sim.plan()) / sim.plan().evaluations() as f64;
            (start_up, times, sim.device().info(), numbers, sim.trouble())
        }
    };
    if let Some(e) = trouble_met {
        return Err(trouble(e));
    }
    let (least, median) = (times[0], times[times.len() / 2]);
    let bytes = 3.0 * numbers * if info.precision == "f64" { 8.0 } else { 4.0 };
    Ok(Line {
        code: "spinloom",
        version: env!("CARGO_PKG_VERSION"),
        work,
        of: method.map_or("evaluation".into(), |m| format!("{} steps", m.name)),
        grid: text.into(),
        replicas,
        device: info.name.clone(),
        precision: info.precision,
        threads: spinloom_solver::threads(),
        layout: info.layout.clone(),
        s_min: least,
        s_med: median,
        mcells_best: cells as f64 / least / 1e6,
        gigabytes: bytes * cells as f64 / least / 1e9,
        transform_gigaflops: operations(&info, system).map(|o| 1e-9 * o / least),
        peak_gigaflops: None,
        copy_gigabytes: None,
        start_up,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grids_are_read_or_refused() {
        assert_eq!((grid("64x32x1"), grid("64x32"), grid("64x0x1"), grid("axbxc")), (Some([64, 32, 1]), None, None, None));
        let wrong = Options {
            device: "cpu",
            precisions: &["f16".into()],
            grids: &["64".into()],
            work: Work::Torque,
            count: None,
            stepper: Some("rk5"),
            replicas: 0,
            peers: &[],
            json: true,
        };
        let e = bench(&wrong).unwrap_err().to_string();
        assert!(
            e.contains("`f16`") && e.contains("`64` is not a grid") && e.contains("`rk5` is not a method") && e.contains("no replicas"),
            "{e}"
        );
    }
}
