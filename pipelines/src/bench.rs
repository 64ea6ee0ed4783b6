//! `spinloom bench`: how fast this machine evaluates the torque, on the grids and materials of the comparison with other codes.

use serde::Serialize;
use spinloom_base::{Diagnostic, Problems};
use spinloom_kernels::plan::{Cells, Motion, Pass, Plan, Ref};
use spinloom_kernels::{Material, Mesh, ParameterId as P, RegionMap, System, Values};
use spinloom_solver::DeviceChoice;
use std::process::ExitCode;
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
    grid: String,
    device: String,
    precision: &'static str,
    threads: usize,
    layout: String,
    /// Seconds per evaluation: least, and median.
    s_min: f64,
    s_med: f64,
    /// Million cells × evaluations per second, of the least.
    mcells_best: f64,
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

/// `64x64x1`.
fn grid(text: &str) -> Option<[usize; 3]> {
    let n: Vec<usize> = text.split('x').map(|n| n.parse().ok().filter(|n| (1..=1 << 14).contains(n))).collect::<Option<_>>()?;
    n.try_into().ok()
}

/// Runs the benchmark and prints a line a grid and precision; with `json` as JSON objects.
///
/// # Errors
/// A grid or precision that makes no sense, or a device that cannot.
pub fn bench(device: &str, precisions: &[String], grids: &[String], json: bool) -> Result<ExitCode, Problems> {
    let mut problems = Problems::new();
    let choices: Vec<DeviceChoice> = precisions.iter().filter_map(|p| problems.take(DeviceChoice::parse(device, p))).collect();
    let mut systems = Vec::new();
    for text in grids {
        match grid(text) {
            Some(n) => systems.push(("torque", text.clone(), torque(n))),
            None => problems.push(Diagnostic::error(format!("`{text}` is not a grid")).hint("write cells along x, y, z, e.g. `256x256x1`")),
        }
    }
    problems.into_result(Some(()))?;
    if grids.is_empty() {
        for n in [[64, 64, 1], [256, 256, 1], [1024, 1024, 1], [64, 64, 64], [128, 128, 32], [128, 128, 128]] {
            systems.push(("torque", n.map(|n| n.to_string()).join("x"), torque(n)));
        }
        systems.push(("wall strip", "384x64x1".into(), strip([384, 64, 1])));
    }
    for (work, text, system) in &systems {
        for choice in &choices {
            let line = measure(work, text, system, *choice)?;
            if json {
                println!("{}", serde_json::to_string(&line).expect("numbers and text"));
            } else {
                println!(
                    "{:<11} {:>12} {:>4} {:9.3} ms an evaluation, {:7.2} M cells x evaluations a second (median {:.2}), start-up {:.2} s; {}",
                    line.work,
                    line.grid,
                    line.precision,
                    1e3 * line.s_min,
                    line.mcells_best,
                    line.mcells_best * line.s_min / line.s_med,
                    line.start_up,
                    line.layout
                );
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn measure(work: &'static str, text: &str, system: &System, choice: DeviceChoice) -> Result<Line, Problems> {
    let trouble = |e: spinloom_kernels::DeviceError| Problems::from(Diagnostic::error(format!("{text}: {e}")));
    let clock = Instant::now();
    let mut device = choice.open(system).map_err(trouble)?;
    let mut allocate = |name| device.allocate(name, 1).map_err(trouble);
    let (m, b, rate) = (allocate("m")?, allocate("B_demag")?, allocate("rate")?);
    let cells = system.mesh.cells();
    let state: Vec<f64> = (0..3 * cells)
        .map(|i| {
            let a = 0.1 * (i % cells) as f64;
            [a.cos() * 0.6, a.sin() * 0.6, 0.8][i / cells]
        })
        .collect();
    device.upload(0, m, false, &state);
    let passes = vec![
        Pass::Convolve { read: Ref::of(m), write: Ref::of(b) },
        Pass::Cells(Cells {
            read: Ref::of(m),
            terms: (0..system.terms.len()).collect(),
            convolved: Some(Ref::of(b)),
            noise: None,
            time: 0.0,
            motion: Some(Motion::Llg),
            write: Ref::of(rate),
            combine: None,
            error: None,
            measure: true,
        }),
    ];
    let plan = device.prepare(&Plan { name: "one evaluation".into(), passes }).map_err(trouble)?;
    device.replay(plan, 1);
    let start_up = clock.elapsed().as_secs_f64();
    let one = Instant::now();
    device.replay(plan, 1);
    let repeat = ((BUDGET / SAMPLES).as_secs_f64() / one.elapsed().as_secs_f64()).max(1.0) as usize;
    let mut times: Vec<f64> = (0..SAMPLES)
        .map(|_| {
            let clock = Instant::now();
            device.replay(plan, repeat);
            clock.elapsed().as_secs_f64() / repeat as f64
        })
        .collect();
    times.sort_by(f64::total_cmp);
    let info = device.info();
    Ok(Line {
        code: "spinloom",
        version: env!("CARGO_PKG_VERSION"),
        work,
        grid: text.into(),
        device: info.name,
        precision: info.precision,
        threads: spinloom_solver::threads(),
        layout: info.layout,
        s_min: times[0],
        s_med: times[times.len() / 2],
        mcells_best: cells as f64 / times[0] / 1e6,
        start_up,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grids_are_read_or_refused() {
        assert_eq!((grid("64x32x1"), grid("64x32"), grid("64x0x1"), grid("axbxc")), (Some([64, 32, 1]), None, None, None));
        let e = bench("cpu", &["f16".into()], &["64".into()], true).unwrap_err().to_string();
        assert!(e.contains("`f16`") && e.contains("`64` is not a grid"), "{e}");
    }
}
