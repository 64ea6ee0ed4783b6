//! Temperature.

use crate::{Check, Report, mean, table};
use spinloom_kernels::{Material, Mesh, ParameterId as P, RegionMap, System, Term, Values};
use spinloom_solver::{DeviceChoice, Simulation, Step, tableau};
use std::time::Instant;

/// Independent macrospins: the cells of a mesh without exchange and demagnetisation.
fn macrospins(count: usize, v: Values, edge: f64, seed: u64) -> Simulation {
    let side = (count as f64).sqrt() as usize;
    let mesh = Mesh::new([side, count / side, 1], [edge; 3]);
    let mut system = System::new(mesh, RegionMap::uniform(mesh.cells()), Material::uniform(v, 1));
    system.terms.retain(|t| *t != Term::Demag);
    system.seed = seed;
    let mut sim = Simulation::new(system, DeviceChoice::CpuSingle, &tableau::HEUN, Step::Fixed(2e-12)).expect("an open mesh");
    let mut m = vec![0.0; 3 * mesh.cells()];
    m[2 * mesh.cells()..].fill(1.0);
    sim.set_m(0, &m);
    sim
}

/// Decay of the mean mz of 65 536 uniaxial macrospins against the exact Fokker–Planck solution.
pub fn fokker_planck() -> Report {
    let clock = Instant::now();
    let mut v = Values::default();
    for (p, x) in [(P::Msat, 1e6), (P::Ku1, 2500.0), (P::Alpha, 0.1), (P::Temp, 100.0)] {
        v.set_scalar(p, x);
    }
    let mut sim = macrospins(65536, v, 10e-9, 1);
    let mut checks = Vec::new();
    for row in table(include_str!("../reference/fokker_planck_decay.csv")).iter().filter(|r| r[0] > 0.0 && r[0] <= 5.001e-9) {
        sim.run_all_to(row[0]);
        let m = mean(&sim.m(0))[2];
        if [1e-9, 2e-9, 5e-9].iter().any(|t| (t - row[0]).abs() < 1e-15) {
            checks.push(Check {
                what: format!("<mz> after {:.0} ns", 1e9 * row[0]),
                got: m,
                want: row[1],
                tolerance: 0.004,
                reason: "three standard errors of 65 536 spins, 0.0012 each",
            });
        }
    }
    let work = format!("65536 cells, {} evaluations, {:.1} s", sim.control(0).evaluations, clock.elapsed().as_secs_f64());
    Report { name: "fokker-planck", source: "exact solution of Brown, Phys. Rev. 130, 1677 (1963); sigma = 1.81", work, checks }
}

/// Mean mz of superparamagnetic moments in a field, at three temperatures.
pub fn langevin() -> Report {
    let clock = Instant::now();
    let mut checks = Vec::new();
    for row in table(include_str!("../reference/langevin_mz.csv")).iter().filter(|r| [50.0, 150.0, 300.0].contains(&r[0])) {
        let mut v = Values::default();
        for (p, x) in [(P::Msat, 8e5), (P::Alpha, 0.5), (P::Temp, row[0])] {
            v.set_scalar(p, x);
        }
        v.set(P::BExt, [0.0, 0.0, 0.05]);
        let mut sim = macrospins(16384, v, 1e-25f64.cbrt(), 2);
        sim.run_all_to(2e-9);
        // 20 nearly independent pictures: the relaxation time is below 0.2 ns here.
        let (mut sum, mut square) = (0.0, 0.0);
        for k in 1..=20 {
            sim.run_all_to(2e-9 + k as f64 * 0.2e-9);
            let m = sim.m(0);
            let cells = m.len() / 3;
            sum += mean(&m)[2] / 20.0;
            square += m[2 * cells..].iter().map(|z| z * z).sum::<f64>() / cells as f64 / 20.0;
        }
        let error = 4.0 * 0.6 / (16384.0f64 * 20.0 / 2.0).sqrt();
        checks.push(Check {
            what: format!("<mz> at {} K", row[0]),
            got: sum,
            want: row[2],
            tolerance: error,
            reason: "four standard errors",
        });
        checks.push(Check {
            what: format!("<mz^2> at {} K", row[0]),
            got: square,
            want: row[3],
            tolerance: error,
            reason: "four standard errors",
        });
    }
    Report { name: "langevin", source: "coth xi - 1/xi", work: format!("{:.1} s", clock.elapsed().as_secs_f64()), checks }
}

/// Uniaxial macrospins in equilibrium: how far they stand from the axis.
pub fn boltzmann() -> Report {
    let clock = Instant::now();
    let (mut checks, edge, kelvin) = (Vec::new(), 1e-25f64.cbrt(), 300.0);
    for row in table(include_str!("../reference/boltzmann_uniaxial.csv")).iter().filter(|r| [2.0, 5.0, 20.0].contains(&r[0])) {
        let mut v = Values::default();
        let ku = row[0] * spinloom_base::constants::KB * kelvin / edge.powi(3);
        for (p, x) in [(P::Msat, 8e5), (P::Alpha, 0.5), (P::Temp, kelvin), (P::Ku1, ku)] {
            v.set_scalar(p, x);
        }
        let mut sim = macrospins(16384, v, edge, 3);
        let mut control = sim.control(0);
        // The stiffest wells turn a spin by 2 K γ/Ms dt in a step.
        control.dt = 0.5e-12;
        sim.set_control(0, control);
        sim.run_all_to(1e-9);
        let mut square = 0.0;
        for k in 1..=20 {
            sim.run_all_to(1e-9 + f64::from(k) * 0.1e-9);
            let m = sim.m(0);
            let cells = m.len() / 3;
            square += m[2 * cells..].iter().map(|z| z * z).sum::<f64>() / cells as f64 / 20.0;
        }
        checks.push(Check {
            what: format!("<mz^2> at K V = {} kT", row[0]),
            got: square,
            want: row[2],
            tolerance: 4.0 * 0.3 / (16384.0f64 * 20.0 / 4.0).sqrt(),
            reason: "four standard errors, a picture in four independent",
        });
    }
    Report { name: "boltzmann", source: "exp(sigma u^2) in closed form", work: format!("{:.1} s", clock.elapsed().as_secs_f64()), checks }
}
