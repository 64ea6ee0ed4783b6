//! `spinloom plan`: what one attempt of a step does, pass by pass, and the kernels that graphics devices run for it.

use spinloom_base::{Diagnostic, Problems};
use spinloom_gpu::dry::Dry;
use spinloom_gpu::{Limits, Precision};
use spinloom_kernels::Device;
use spinloom_kernels::gpu::Gpu;
use spinloom_solver::{DemagEvery, Experiment, Simulation};
use std::process::ExitCode;

/// Which text to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Source {
    /// As Vulkan devices compile it.
    Glsl,
    /// As CUDA devices compile it.
    Cuda,
}

/// Prints the plan of an experiment.
///
/// # Errors
/// An experiment that no graphics device could run.
pub fn plan(experiment: &Experiment, source: Option<Source>) -> Result<ExitCode, Problems> {
    let limits = Limits { shared: 48 << 10, group: 1024, groups: [u32::MAX >> 1, 65535, 65535], buffer: 1 << 40, double: true };
    let (dry, log) = Dry::new(limits);
    let precision = if experiment.device.precision() == "f64" { Precision::Double } else { Precision::Single };
    let trouble = |e: spinloom_kernels::DeviceError| Problems::from(Diagnostic::error(e.to_string()));
    let gpu = Gpu::new(&experiment.system, Box::new(dry), precision).map_err(trouble)?;
    let extrapolates = experiment.demag_every != DemagEvery::Evaluation;
    // Graphics devices do not extrapolate the demagnetising field: that plan is the processor's alone.
    let device: Box<dyn Device> = if extrapolates { experiment.device.open(&experiment.system).map_err(trouble)? } else { Box::new(gpu) };
    let system = experiment.system.clone();
    let sim = Simulation::on(device, system, experiment.tableau, experiment.step, experiment.demag_every).map_err(trouble)?;
    let mesh = experiment.system.mesh;
    let log = log.lock().unwrap_or_else(|e| e.into_inner()).clone();

    println!(
        "{}: one attempt, {} replica(s) of {} cells, {}",
        sim.plan().name,
        sim.replicas(),
        mesh.cells(),
        experiment.device.precision()
    );
    let mut total = 0.0;
    for (i, pass) in sim.plan().passes.iter().enumerate() {
        let bytes = 3.0 * precision.bytes() as f64 * pass.traffic(&mesh);
        total += bytes;
        println!("  {:>2}  {:<58} {bytes:>6.0} B a cell", i + 1, pass.name());
    }
    let evaluations = sim.plan().evaluations();
    println!(
        "      {evaluations} evaluations, {total:.0} B a cell, {:.0} an evaluation: the floor of what memory must move",
        total / evaluations as f64
    );
    if extrapolates {
        println!("no graphics device runs this: they compute the demagnetising field at every evaluation");
        return Ok(ExitCode::SUCCESS);
    }
    // The attempt was recorded first.
    let launches = &log.recordings[0];
    println!(
        "on a graphics device: {} launches of {} kernels in one recording, {:.1} MB of memory",
        launches.len(),
        launches.iter().map(|l| l.0.0).collect::<std::collections::BTreeSet<_>>().len(),
        log.memories.iter().sum::<usize>() as f64 / 1e6
    );
    for (i, (program, groups)) in launches.iter().enumerate() {
        let kernel = &log.kernels[program.0];
        println!(
            "  {:>2}  {:<28} kernel {:>2}: {} x {} x {} groups of {}",
            i + 1,
            kernel.name,
            program.0 + 1,
            groups[0],
            groups[1],
            groups[2],
            kernel.group
        );
    }
    if let Some(source) = source {
        for (i, kernel) in log.kernels.iter().enumerate() {
            println!("\n// ---- kernel {}: {}", i + 1, kernel.name);
            println!("{}", if source == Source::Cuda { kernel.cuda() } else { kernel.glsl() });
        }
    }
    Ok(ExitCode::SUCCESS)
}
