//! `spinloom plan`: what one attempt of a step does, pass by pass, and the kernels that graphics devices run for it.

use spinloom_base::{Diagnostic, Problems};
use spinloom_gpu::dry::Dry;
use spinloom_gpu::{Limits, Precision};
use spinloom_kernels::Device;
use spinloom_kernels::gpu::Gpu;
use spinloom_solver::{Experiment, Simulation};

/// Which text to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Source {
    /// As Vulkan devices compile it.
    Glsl,
    /// As CUDA devices compile it.
    Cuda,
}

/// What to print.
pub struct Options<'a> {
    /// The kernels' text.
    pub source: Option<Source>,
    /// What they take of a multiprocessor of this architecture.
    pub registers: Option<&'a str>,
    /// A kernel for each term.
    pub unfused: bool,
}

/// What cards of CUDA's have at the least.
pub const CARD: Limits = Limits { shared: 48 << 10, group: 1024, groups: [u32::MAX >> 1, 65535, 65535], buffer: 1 << 40, double: true };

/// Prints the plan of an experiment.
///
/// # Errors
/// An experiment that no graphics device could run.
pub fn plan(experiment: &Experiment, options: &Options<'_>) -> Result<u8, Problems> {
    let (dry, log) = Dry::new(CARD);
    let precision = if experiment.device.precision() == "f64" { Precision::Double } else { Precision::Single };
    let trouble = |e: spinloom_kernels::DeviceError| Problems::from(Diagnostic::error(e.to_string()));
    let system = experiment.system.expanded().map_err(|e| Problems::from(Diagnostic::error(e)))?.into_owned();
    let mut gpu = Gpu::new(&system, Box::new(dry), precision).map_err(trouble)?;
    if options.unfused {
        gpu.take_apart().map_err(trouble)?;
    }
    let sim = Simulation::on(Box::new(gpu), system, experiment.tableau, experiment.step, experiment.demag_every).map_err(trouble)?;
    let mesh = experiment.system.mesh;
    let log = log.lock().unwrap_or_else(|e| e.into_inner()).clone();

    crate::out::say!(
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
        crate::out::say!("  {:>2}  {:<58} {bytes:>6.0} B a cell", i + 1, pass.name());
    }
    let evaluations = sim.plan().evaluations();
    crate::out::say!(
        "      {evaluations} evaluations, {total:.0} B a cell, {:.0} an evaluation: the floor of what memory must move",
        total / evaluations as f64
    );
    // The attempt was recorded first.
    let launches = &log.recordings[0];
    crate::out::say!(
        "on a graphics device: {} launches of {} kernels in one recording, {:.1} MB of memory",
        launches.len(),
        launches.iter().map(|l| l.0.0).collect::<std::collections::BTreeSet<_>>().len(),
        log.memories.iter().sum::<usize>() as f64 / 1e6
    );
    for (i, (program, groups)) in launches.iter().enumerate() {
        let kernel = &log.kernels[program.0];
        crate::out::say!(
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
    if let Some(architecture) = options.registers {
        crate::out::say!("for {architecture}:");
        for (i, kernel) in log.kernels.iter().enumerate() {
            let u = spinloom_gpu::cuda::usage(kernel, architecture).map_err(|e| Problems::from(Diagnostic::error(e.to_string())))?;
            crate::out::say!(
                "  {:>2}  {:<28} {:>3} registers, {} B spilled, {} B shared",
                i + 1,
                kernel.name,
                u.registers,
                u.spilled,
                u.shared
            );
        }
    }
    if let Some(source) = options.source {
        for (i, kernel) in log.kernels.iter().enumerate() {
            crate::out::say!("\n// ---- kernel {}: {}", i + 1, kernel.name);
            crate::out::say!("{}", if source == Source::Cuda { kernel.cuda() } else { kernel.glsl() });
        }
    }
    Ok(0)
}
