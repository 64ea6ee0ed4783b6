//! Time stepping against closed forms.

use spinloom_kernels::{Material, Mesh, ParameterId as P, RegionMap, Replica, System, Term, Values, Waveform};
use spinloom_solver::{DemagEvery, DeviceChoice, Simulation, Step, tableau};

fn spin(alpha: f64, field: f64) -> System {
    let mut v = Values::default();
    v.set_scalar(P::Msat, 1e6);
    v.set_scalar(P::Alpha, alpha);
    v.set(P::BExt, [0.0, 0.0, field]);
    let mut system = System::new(Mesh::new([1, 1, 1], [1e-9; 3]), RegionMap::uniform(1), Material::uniform(v, 1));
    system.terms.retain(|t| *t != Term::Demag);
    system
}

/// A spin in an oblique field with anisotropy, 20 ps in steps of `dt`: nonlinear, so that no method is better than its order by luck.
fn oblique(method: &'static tableau::Tableau, dt: f64) -> Vec<f64> {
    let mut system = spin(0.1, 1.0);
    let material = &mut system.replicas[0].material;
    material.set_everywhere(P::Ku1, [4e5, 0.0, 0.0]);
    material.set_everywhere(P::AnisU, [1.0, 0.5, 0.2]);
    system.terms = vec![Term::Uniaxial, Term::Zeeman];
    let mut sim = Simulation::new(system, DeviceChoice::CpuDouble, method, Step::Fixed(dt)).unwrap();
    sim.set_m(0, &[1.0, 0.2, -0.3]);
    sim.run_all_to(20e-12);
    sim.m(0)
}

#[test]
fn every_method_converges_at_its_order() {
    // 1000 times finer than the others, with the best of them: exact to rounding.
    let exact = oblique(&tableau::RKF45, 5e-15);
    let error = |method, dt| oblique(method, dt).iter().zip(&exact).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
    for method in tableau::ALL {
        let dt = if method.order >= 5 { 0.5e-12 } else { 0.25e-12 };
        let order = (error(method, dt) / error(method, dt / 2.0)).log2();
        println!("{}: order {order:.2}", method.name);
        assert!((order - f64::from(method.order)).abs() < 0.35, "{}: measured order {order}, stated {}", method.name, method.order);
    }
}

#[test]
fn the_energy_is_constant_without_damping() {
    let mut v = Values::default();
    for (p, x) in [(P::Msat, 8e5), (P::Aex, 13e-12), (P::Ku1, 1e5), (P::Dind, 1e-3)] {
        v.set_scalar(p, x);
    }
    v.set(P::BExt, [0.1, 0.0, 0.2]);
    // Periodic in plane: at a free edge the DMI ghost is a boundary condition, not a gradient.
    let mesh = Mesh { pbc: [1, 1, 0], ..Mesh::new([12, 8, 1], [4e-9, 4e-9, 2e-9]) };
    let system = System::new(mesh, RegionMap::uniform(mesh.cells()), Material::uniform(v, 1));
    let mut sim = Simulation::new(system, DeviceChoice::CpuDouble, &tableau::RK45, Step::Adaptive { max_err: 1e-8 }).unwrap();
    let cells = mesh.cells();
    let m: Vec<f64> =
        (0..3 * cells).map(|i| [0.3, 0.2, 1.0][i / cells] + 0.5 * (0.7 * (i % cells) as f64 + (i / cells) as f64).sin()).collect();
    sim.set_m(0, &m);
    let before = sim.total_energy(0);
    sim.run_all_to(50e-12);
    let change = (sim.total_energy(0) - before).abs() / before.abs();
    println!("relative change of energy {change:.1e} over {} steps", sim.control(0).steps);
    assert!(change < 1e-5, "the energy changed by {change}");
}

#[test]
fn an_extrapolated_field_pumps_no_energy_without_damping() {
    let mut v = Values::default();
    for (p, x) in [(P::Msat, 8e5), (P::Aex, 13e-12)] {
        v.set_scalar(p, x);
    }
    v.set(P::BExt, [0.02, 0.0, 0.0]);
    let mesh = Mesh::new([24, 12, 1], [5e-9, 5e-9, 5e-9]);
    let cells = mesh.cells();
    // For how long, and by which part of itself the energy has moved after each twentieth of it.
    let run = |alpha, every, max_err| {
        let mut v = v.clone();
        v.set_scalar(P::Alpha, alpha);
        let system = System::new(mesh, RegionMap::uniform(cells), Material::uniform(v, 1));
        let step = Step::Adaptive { max_err };
        let mut sim = Simulation::with_demag_every(system, DeviceChoice::CpuDouble, &tableau::KGU35, step, every).unwrap();
        sim.set_m(0, &(0..3 * cells).map(|i| [1.0, 0.4, 0.3 * (0.5 * (i % 24) as f64).sin()][i / cells]).collect::<Vec<_>>());
        let before = sim.total_energy(0);
        let drift: Vec<f64> = (1..=20)
            .map(|k| {
                sim.run_all_to(f64::from(k) * 50e-12);
                sim.total_energy(0) / before - 1.0
            })
            .collect();
        (drift, sim.control(0).sampling.taken, sim.control(0).evaluations)
    };
    // What a damping constant of 1e-4 takes: the measure of what the method takes by itself.
    let damped = run(1e-4, DemagEvery::Evaluation, 1e-7).0[19];
    for max_err in [1e-4, 1e-5, 1e-6] {
        let plain = run(0.0, DemagEvery::Evaluation, max_err).0;
        let (drift, samples, evaluations) = run(0.0, DemagEvery::Adaptive { max_err }, max_err);
        println!(
            "{max_err:e}: in 1 ns the energy moves by {:+.1e}, as by alpha = {:.1e} ({:.1e} without samples); {samples} samples for {evaluations} evaluations",
            drift[19],
            1e-4 * drift[19] / damped,
            1e-4 * plain[19] / damped
        );
        // It is never pumped, and the loss follows the tolerance.
        assert!(drift.iter().chain(&plain).all(|d| *d < 0.1 * max_err), "{drift:?} {plain:?}");
        let alpha = 1e-4 * drift[19] / damped;
        assert!(alpha < 5.0 * max_err && 3 * samples < evaluations, "{alpha}");
    }
}

#[test]
fn with_damping_the_energy_falls_and_relax_and_minimise_find_the_same_state() {
    let mut v = Values::default();
    for (p, x) in [(P::Msat, 8e5), (P::Aex, 13e-12), (P::Alpha, 0.5)] {
        v.set_scalar(p, x);
    }
    let mesh = Mesh::new([40, 20, 1], [5e-9, 5e-9, 3e-9]);
    let cells = mesh.cells();
    let start: Vec<f64> = (0..3 * cells).map(|i| [1.0, 0.3, 0.05][i / cells]).collect();
    let new = || {
        let mut sim = Simulation::new(
            System::new(mesh, RegionMap::uniform(cells), Material::uniform(v.clone(), 1)),
            DeviceChoice::CpuDouble,
            &tableau::RK23,
            Step::Adaptive { max_err: 1e-5 },
        )
        .unwrap();
        sim.set_m(0, &start);
        sim
    };
    let mut moving = new();
    let mut last = moving.total_energy(0);
    for k in 1..20 {
        moving.run_all_to(f64::from(k) * 10e-12);
        let e = moving.total_energy(0);
        assert!(e < last, "the energy rose at {k}");
        last = e;
    }
    let (mut a, mut b) = (new(), new());
    let torque = a.relax()[0];
    let steps = b.minimise(1e-6, 20_000)[0];
    let (ea, eb) = (a.total_energy(0), b.total_energy(0));
    println!("relaxed to {ea:.9e} J with {torque:.1e} T left; minimised to {eb:.9e} J in {steps:?} steps");
    assert!(torque < 1e-5 && steps.is_some() && (ea - eb).abs() < 1e-6 * ea.abs());
}

/// A domain wall in a strip, driven by spin-orbit torque, for 60 ps: the demagnetising field changes all the time. m, and how often it was sampled.
fn driven_wall(method: &'static tableau::Tableau, step: Step, every: DemagEvery) -> (Vec<f64>, u64, u64) {
    let mut v = Values::default();
    for (p, x) in [(P::Msat, 1e6), (P::Aex, 15e-12), (P::Ku1, 1e6), (P::Dind, 5e-4), (P::Alpha, 0.012), (P::ThetaSh, 0.5)] {
        v.set_scalar(p, x);
    }
    v.set(P::BExt, [0.0, 0.0, 0.05]);
    v.set(P::J, [-7e11, 0.0, 0.0]);
    let mesh = Mesh::new([48, 12, 1], [4e-9, 4e-9, 1e-9]);
    let system = System::new(mesh, RegionMap::uniform(mesh.cells()), Material::uniform(v, 1));
    let mut sim = Simulation::with_demag_every(system, DeviceChoice::CpuDouble, method, step, every).unwrap();
    let m: Vec<f64> = (0..3 * mesh.cells())
        .map(|i| {
            let s = ((i % 48) as f64 - 20.5) * 4.0 / 6.0;
            [1.0 / s.cosh(), 0.0, s.tanh()][i / mesh.cells()]
        })
        .collect();
    sim.set_m(0, &m);
    sim.run_all_to(60e-12);
    (sim.m(0), sim.control(0).sampling.taken, sim.control(0).evaluations)
}

#[test]
fn the_demagnetising_field_may_be_extrapolated_between_samples() {
    let exact = driven_wall(&tableau::RK4, Step::Fixed(0.1e-12), DemagEvery::Evaluation).0;
    let off = |m: &[f64]| exact.iter().zip(m).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    // Alone, the step is good to 1e-7 here, so that what is left is the extrapolation's.
    let every = |t| off(&driven_wall(&tableau::RK4, Step::Fixed(0.125e-12), DemagEvery::Time(t)).0);
    let errors = [1e-12, 0.5e-12, 0.25e-12].map(every);
    let orders = [(errors[0] / errors[1]).log2(), (errors[1] / errors[2]).log2()];
    println!("errors {errors:?}, orders {orders:?}");
    assert!((orders[1] - 3.0).abs() < 0.5, "third order was stated: {orders:?}");
    for max_err in [1e-4, 1e-5] {
        let (m, samples, evaluations) = driven_wall(&tableau::RKF45, Step::Adaptive { max_err }, DemagEvery::Adaptive { max_err });
        let plain = off(&driven_wall(&tableau::RKF45, Step::Adaptive { max_err }, DemagEvery::Evaluation).0);
        println!(
            "adaptive {max_err:e}: error {:e} (without extrapolation {plain:e}), {samples} samples for {evaluations} evaluations",
            off(&m)
        );
        // About 60 samples, each allowed max_err.
        assert!(off(&m) < 60.0 * max_err && 3 * samples < evaluations);
    }
}

#[test]
fn a_replica_in_an_ensemble_takes_the_steps_it_would_take_alone() {
    let mut system = spin(0.05, 0.7);
    system.terms = vec![Term::Zeeman, Term::Thermal];
    let mut hot = system.replicas[0].material.clone();
    hot.set_everywhere(P::Temp, [10.0, 0.0, 0.0]);
    system.replicas = (0..5).map(|id| Replica { material: hot.clone(), regions: None, id }).collect();
    let run = |system: System| {
        let mut sim = Simulation::new(system, DeviceChoice::CpuSingle, &tableau::HEUN, Step::Fixed(1e-13)).unwrap();
        (0..sim.replicas()).for_each(|r| sim.set_m(r, &[1.0, 0.0, 0.0]));
        sim.run_all_to(20e-12);
        (0..sim.replicas()).map(|r| sim.m(r)).collect::<Vec<_>>()
    };
    let together = run(system.clone());
    for id in 0..5 {
        let alone = System { replicas: vec![system.replicas[id].clone()], ..system.clone() };
        assert_eq!(run(alone)[0], together[id], "replica {id}");
    }
    assert_ne!(together[0], together[1]);
}

#[test]
fn a_step_never_runs_across_a_jump_of_a_waveform() {
    let mut system = spin(0.0, 1.0);
    system.replicas[0].material.set_waveform(P::BExt, Waveform::Steps(vec![(0.0, 1.0), (3.33e-12, -1.0)]));
    let mut sim = Simulation::new(system, DeviceChoice::CpuDouble, &tableau::RK45, Step::Adaptive { max_err: 1e-7 }).unwrap();
    sim.set_m(0, &[1.0, 0.0, 0.0]);
    // Forward and back by equal angles.
    sim.run_all_to(6.66e-12);
    let m = sim.m(0);
    assert!((m[0] - 1.0).abs() < 1e-6 && m[1].abs() < 1e-6, "{m:?}");
}
