//! Stacks of layers against regular meshes and closed forms.

use crate::experiments::{experiment, uninterrupted};
use spinloom_base::Document;
use spinloom_base::constants::MU0;
use spinloom_kernels::mesh::Stack;
use spinloom_kernels::{Material, Mesh, ParameterId as P, RegionMap, System, Term, Values};
use spinloom_solver::{DeviceChoice, Experiment, Simulation, Step, tableau};

fn material(ms: f64) -> Values {
    let mut v = Values::default();
    for (p, x) in [(P::Msat, ms), (P::Aex, 1.3e-11), (P::Ku1, 4e5), (P::Alpha, 0.1)] {
        v.set_scalar(p, x);
    }
    v
}

fn simulation(mesh: Mesh, regions: RegionMap) -> Simulation {
    let values = (0..regions.count).map(|r| material(8e5 + 1e5 * r as f64)).collect();
    let system = System::new(mesh, regions, Material { regions: values, ..Material::default() });
    Simulation::new(system, DeviceChoice::CpuDouble, &tableau::RK45, Step::Adaptive { max_err: 1e-7 }).unwrap()
}

fn worst(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

/// Two layers of 1 nm, a gap of 1 nm: as a stack, and as three layers of a regular mesh with nothing in the middle.
#[test]
fn a_stack_of_equal_layers_moves_as_a_regular_mesh_with_a_gap_does() {
    let (nx, ny) = (16, 10);
    let plane = nx * ny;
    let cell = [3e-9, 2e-9];
    let stack = Stack::new(&[(0.0, 1e-9), (2e-9, 1e-9)]).unwrap();
    let mut stacked = simulation(Mesh::stacked([nx, ny], cell, stack), RegionMap::new([vec![0; plane], vec![1; plane]].concat(), 2));
    let cells = [vec![0; plane], vec![RegionMap::VACUUM; plane], vec![1; plane]].concat();
    let mut regular = simulation(Mesh::new([nx, ny, 3], [cell[0], cell[1], 1e-9]), RegionMap::new(cells, 2));
    // Of two layers, a component of each in turn.
    let start = |i: usize| [(0.3 * i as f64).sin(), 0.2 + (0.7 * i as f64).cos(), 1.0];
    let two: Vec<f64> = (0..3).flat_map(|c| (0..2 * plane).map(move |i| start(i)[c])).collect();
    let three: Vec<f64> = (0..3)
        .flat_map(|c| (0..3 * plane).map(move |i| if i / plane == 1 { 0.0 } else { start(if i < plane { i } else { i - plane })[c] }))
        .collect();
    let without_gap =
        |v: &[f64]| -> Vec<f64> { v.chunks(3 * plane).flat_map(|c| c[..plane].iter().chain(&c[2 * plane..])).copied().collect() };
    stacked.set_m(0, &two);
    regular.set_m(0, &three);
    for term in [Term::Demag, Term::Exchange, Term::Uniaxial] {
        let (a, b) = (stacked.energy(0, &[term]), regular.energy(0, &[term]));
        // Both tensors are good to 1e-10.
        assert!((a / b - 1.0).abs() < 1e-9, "{term:?}: {a} {b}");
    }
    let (a, b) = (stacked.stray_field(0), without_gap(&regular.stray_field(0)));
    assert!(worst(&a, &b) < 1e-9, "{:e} T", worst(&a, &b));
    stacked.run_all_to(20e-12);
    regular.run_all_to(20e-12);
    let (a, b) = (stacked.m(0), without_gap(&regular.m(0)));
    // The same steps but for rounding.
    assert!(worst(&a, &b) < 1e-8, "{:e}", worst(&a, &b));
}

/// 2 nm, a gap of 1 nm, 4 nm: each layer one cell thick, or in cells of 1 nm. Uniform layers have the same energy, and the mean field of each is the same.
#[test]
fn thick_layers_are_the_mean_of_thin_ones() {
    let (nx, ny) = (12, 8);
    let plane = nx * ny;
    let stack = Stack::new(&[(0.0, 2e-9), (3e-9, 4e-9)]).unwrap();
    let mesh = Mesh::stacked([nx, ny], [3e-9, 3e-9], stack);
    assert!((mesh.size()[2] - 7e-9).abs() < 1e-21 && (mesh.position(0, 0, 0)[2] + 2.5e-9).abs() < 1e-21);
    let mut thick = simulation(mesh, RegionMap::new([vec![0; plane], vec![1; plane]].concat(), 2));
    let layer = |z: usize| {
        if z < 2 {
            0
        } else if z == 2 {
            RegionMap::VACUUM
        } else {
            1
        }
    };
    let cells = (0..7 * plane).map(|i| layer(i / plane)).collect();
    let mut thin = simulation(Mesh::new([nx, ny, 7], [3e-9, 3e-9, 1e-9]), RegionMap::new(cells, 2));
    let directions = [[0.6, 0.0, 0.8], [0.0, 0.6, -0.8]];
    let fill = |n: usize, of: &dyn Fn(usize) -> Option<usize>| -> Vec<f64> {
        (0..3).flat_map(|c| (0..n * plane).map(move |i| of(i / plane).map_or(0.0, |l| directions[l][c]))).collect()
    };
    thick.set_m(0, &fill(2, &|z| Some(z)));
    thin.set_m(
        0,
        &fill(7, &|z| match layer(z) {
            RegionMap::VACUUM => None,
            l => Some(usize::from(l)),
        }),
    );
    let (a, b) = (thick.energy(0, &[Term::Demag]), thin.energy(0, &[Term::Demag]));
    assert!((a / b - 1.0).abs() < 1e-9, "{a} {b}");
    assert!((thick.energy(0, &[Term::Uniaxial]) / thin.energy(0, &[Term::Uniaxial]) - 1.0).abs() < 1e-12);
    let (a, b) = (thick.stray_field(0), thin.stray_field(0));
    for c in 0..3 {
        for i in 0..plane {
            let mean = |from: usize, to: usize| (from..to).map(|z| b[(c * 7 + z) * plane + i]).sum::<f64>() / (to - from) as f64;
            for (z, mean) in [(0, mean(0, 2)), (1, mean(3, 7))] {
                let found = a[(c * 2 + z) * plane + i];
                assert!((found - mean).abs() < 1e-9, "{found} {mean}");
            }
        }
    }
}

const SAF: &str = "
name: two layers
device: cpu
precision: f64
demag: false
mesh:
  size: [8 nm, 8 nm]
  cell: [4 nm, 4 nm]
  layers:
    - {name: soft, thickness: 2.6 nm, material: {Msat: 1e6 A/m}}
    - {spacer: 0.9 nm}
    - {name: hard, thickness: 5.2 nm, cells: 2, material: {Msat: 8e5 A/m}}
material: {Aex: 15 pJ/m, Ku1: 3e5 J/m^3, alpha: 0.5}
couplings:
  - {between: [soft, hard], J1: -0.5 mJ/m^2}
initial: {uniform: [0, 0, 1], regions: {soft: {uniform: [0.02, 0, -1]}}}
solver: {stepper: rk45, max_err: 1e-6}
table: {every: 10 ps, columns: [mz.soft, mz.hard, E_total, E_exch]}
protocol:
  - {phase: rest, for: 20 ps}
";

/// The soft layer feels B = J/(Ms t) of the hard one, and the energy is that of the areas.
#[test]
fn a_stack_is_read_and_its_layers_are_coupled_over_their_own_thickness() {
    let dir = tempfile::tempdir().unwrap();
    let e = experiment(SAF);
    assert_eq!(e.system.mesh.n, [2, 2, 3]);
    assert_eq!(e.system.replicas[0].material.layers, [[0, 0], [0, 0], [1, 2]]);
    let record = uninterrupted(&e, dir.path());
    let at = |name: &str| record.column(name, 0).unwrap()[0];
    assert!((at("mz.soft") + 1.0 / 1.0004f64.sqrt()).abs() < 1e-12 && (at("mz.hard") - 1.0).abs() < 1e-12);
    // The average over volume.
    assert!((at("mz") - (5.2 - 2.6 / 1.0004f64.sqrt()) / 7.8).abs() < 1e-12);
    let coupled = -(-0.5e-3) * (-1.0 / 1.0004f64.sqrt()) * 64e-18;
    assert!((at("E_exch") / coupled - 1.0).abs() < 1e-9, "{} {coupled}", at("E_exch"));
    let mut sim = Simulation::new(e.system.clone(), DeviceChoice::CpuDouble, &tableau::RK45, Step::Adaptive { max_err: 1e-6 }).unwrap();
    sim.set_m(0, &e.start(0));
    let b = sim.field(0, &[Term::Bilinear]);
    let (soft, hard) = (-0.5e-3 / (1e6 * 2.6e-9), -0.5e-3 / (8e5 * 2.6e-9));
    // z components: the soft layer, the lower half of the hard one, which alone touches the spacer, and the upper half.
    assert!((b[2 * 12] - soft).abs() < 1e-12 && (b[2 * 12 + 4] + hard / 1.0004f64.sqrt()).abs() < 1e-12 && b[2 * 12 + 8] == 0.0);
}

/// What enters through an interface is taken up by the whole layer, however it is cut; exchange through a face between unequal layers and the
/// gradient along a current are those of a chain of unequal cells.
#[test]
fn a_layer_is_one_however_it_is_cut() {
    let build = |faces: &[(f64, f64)], regions: &[u16], set: &dyn Fn(&mut Values)| {
        let mut v = [material(8e5), material(8e5)];
        v[1].set_scalar(P::Aex, 2.6e-11);
        v.iter_mut().for_each(set);
        let mesh = Mesh::stacked([1, 1], [4e-9, 4e-9], Stack::new(faces).unwrap());
        let map = RegionMap::new(regions.to_vec(), 2);
        let system = System::new(mesh, map, Material { regions: v.to_vec(), ..Material::default() });
        Simulation::new(system, DeviceChoice::CpuDouble, &tableau::RK45, Step::Adaptive { max_err: 1e-7 }).unwrap()
    };
    let torque = |faces: &[(f64, f64)], regions: &[u16]| {
        let mut sim = build(faces, regions, &|v| {
            v.set_scalar(P::ThetaSh, 0.3);
            v.set(P::J, [1e12, 0.0, 0.0]);
        });
        let n = regions.len();
        sim.set_m(0, &(0..3 * n).map(|i| [0.6, 0.0, 0.8][i / n]).collect::<Vec<_>>());
        sim.field(0, &[Term::SpinOrbit])
    };
    let (one, two) = (torque(&[(0.0, 2e-9)], &[0]), torque(&[(0.0, 1e-9), (1e-9, 1e-9)], &[0, 0]));
    assert!(one[0].abs() + one[1].abs() > 1e-3 && (0..3).all(|c| (one[c] - two[2 * c]).abs() < 1e-15), "{one:?} {two:?}");
    // 1 nm of A beside 5 nm of 2A, at right angles: B1 = 2 A12/(Ms t1 d), with half bonds in series 1/(share/A + (1 - share)/2A).
    let mut sim = build(&[(0.0, 1e-9), (1e-9, 5e-9)], &[0, 1], &|v| {
        v.set_scalar(P::Pol, 0.5);
        v.set(P::J, [0.0, 0.0, 1e12]);
    });
    sim.set_m(0, &[0.0, 1.0, 0.0, 0.0, 1.0, 0.0]);
    let b = sim.field(0, &[Term::Exchange]);
    let (d, share) = (3e-9, 1.0 / 6.0);
    let bond = 1.0 / (share / 1.3e-11 + (1.0 - share) / 2.6e-11);
    assert!((b[0] / (2.0 * bond / (8e5 * 1e-9 * d)) - 1.0).abs() < 1e-12, "{b:?}");
    assert!((b[5] / (2.0 * bond / (8e5 * 5e-9 * d)) - 1.0).abs() < 1e-12, "{b:?}");
    // Zhang and Li's field is half of the difference over the distance of the centres, the same size in both.
    let b = sim.field(0, &[Term::ZhangLi]);
    let size = |i: usize| (0..3).map(|c| b[2 * c + i].powi(2)).sum::<f64>().sqrt();
    assert!(size(0) > 1e-6 && (size(0) / size(1) - 1.0).abs() < 1e-12, "{b:?}");
}

/// A film of two layers far wider than thick: between uniform perpendicular layers there is no stray field in the middle.
#[test]
fn wide_layers_see_nothing_of_each_other_in_their_middle() {
    let stack = Stack::new(&[(0.0, 1e-9), (2e-9, 3e-9)]).unwrap();
    let n = 128;
    let mut sim = simulation(Mesh::stacked([n, n], [20e-9, 20e-9], stack), RegionMap::new([vec![0; n * n], vec![1; n * n]].concat(), 2));
    sim.set_m(0, &(0..6 * n * n).map(|i| if i < 4 * n * n { 0.0 } else { 1.0 }).collect::<Vec<_>>());
    let b = sim.stray_field(0);
    let middle = 4 * n * n + n * n / 2 + n / 2;
    for (z, ms) in [(0, 8e5), (1, 9e5)] {
        // −μ0 Ms of its own; the rest falls like thickness over width.
        assert!((b[middle + z * n * n] / (-MU0 * ms) - 1.0).abs() < 4e-3, "{}", b[middle + z * n * n]);
    }
}

/// A factor for each cell on the anisotropy and on Msat: the fields are those of the values.
#[test]
fn parameters_may_differ_from_cell_to_cell() {
    let dir = tempfile::tempdir().unwrap();
    let mesh = spinloom_record::Mesh::regular([20, 15, 1], [4e-9, 4e-9, 1e-9], [0.0; 3]);
    let write = |name: &str, of: &dyn Fn(usize) -> f64| {
        let frame = spinloom_record::Frame {
            name: "factor".into(),
            unit: "1".into(),
            components: 1,
            replica: 0,
            t: 0.0,
            data: (0..300).map(of).collect(),
        };
        spinloom_record::Ovf::new(&mesh, &frame).write_file(&dir.path().join(name), spinloom_record::OvfFormat::Binary8).unwrap();
    };
    // 300 sets of factors: more regions than a table of all pairs takes.
    write("ku.ovf", &|i| 1.0 + 1e-3 * i as f64);
    write("ms.ovf", &|i| 1.0 + 0.1 * (i % 7) as f64);
    let text = "
name: disorder
device: cpu
precision: f64
mesh: {size: [80 nm, 60 nm, 1 nm], cell: [4 nm, 4 nm, 1 nm]}
material: {Msat: 1e6 A/m, Aex: 15 pJ/m, Ku1: 8e5 J/m^3, alpha: 0.5}
cells: [{parameter: Ku1, factors: ku.ovf}, {parameter: Msat, factors: ms.ovf}]
initial: {uniform: [0.1, 0, 1]}
solver: {stepper: rk45, max_err: 1e-6}
table: {every: 10 ps, columns: [E_anis, E_demag]}
protocol:
  - {phase: rest, for: 20 ps}
";
    let file = dir.path().join("e.yaml");
    std::fs::write(&file, text).unwrap();
    let e = Experiment::read(&Document::read(&file).unwrap()).unwrap_or_else(|e| panic!("{e}"));
    let mut sim = Simulation::new(e.system.clone(), DeviceChoice::CpuDouble, &tableau::RK45, Step::Adaptive { max_err: 1e-6 }).unwrap();
    sim.set_m(0, &e.start(0));
    let b = sim.field(0, &[Term::Uniaxial]);
    let mz = 1.0 / 1.01f64.sqrt();
    let (mut anis, volume) = (0.0, 16e-27);
    for i in 0..300 {
        let (ku, ms) = (8e5 * (1.0 + 1e-3 * i as f64), 1e6 * (1.0 + 0.1 * (i % 7) as f64));
        assert!((b[600 + i] / (2.0 * ku * mz / ms) - 1.0).abs() < 1e-12, "cell {i}");
        anis -= ku * mz * mz * volume;
    }
    assert!((sim.energy(0, &[Term::Uniaxial]) / anis - 1.0).abs() < 1e-12);
    // Exchange between cells of unequal Msat has no energy where m is uniform, and demagnetisation follows the moments.
    assert_eq!(sim.energy(0, &[Term::Exchange]), 0.0);
    let record = uninterrupted(&e, &dir.path().join("out"));
    assert!((record.column("E_anis", 0).unwrap()[0] / anis - 1.0).abs() < 1e-12);
    write("less.ovf", &|i| 1.0 - 0.01 * i as f64);
    for (from, to, words) in [
        ("factors: ms.ovf", "factors: less.ovf", "Msat cannot be below zero"),
        ("parameter: Msat", "parameter: Ku1", "has factors already"),
        ("parameter: Ku1", "parameter: Ku11", "did you mean `Ku1`"),
        ("ku.ovf", "none.ovf", "none.ovf"),
        ("size: [80 nm", "size: [76 nm", "wanted: 1 component(s) on the 19 x 15 x 1 cells"),
    ] {
        std::fs::write(&file, text.replace(from, to)).unwrap();
        let told = Experiment::read(&Document::read(&file).unwrap()).map(|_| ()).unwrap_err().to_string();
        assert!(told.contains(words), "{told}");
    }
}

#[test]
fn what_is_wrong_with_a_stack_is_told_at_its_place() {
    let read = |text: &str| Experiment::read(&Document::parse("e.yaml", text).unwrap()).map(|_| ()).unwrap_err().to_string();
    for (from, to, words) in [
        ("thickness: 2.6 nm", "thickness: 0 nm", "e.yaml:10"),
        ("spacer: 0.9 nm", "spacer: 0.9 T", "e.yaml:11"),
        ("name: hard", "name: soft", "there are two regions `soft`"),
        ("{soft: {uniform", "{sofd: {uniform", "did you mean `soft`"),
        ("mz.soft", "mz.sogt", "`mz.sogt` is not a quantity"),
        ("size: [8 nm, 8 nm]", "size: [8 nm, 8 nm, 8 nm]", "e.yaml:7"),
        ("thickness: 2.6 nm, material", "thickness: 2.6 T, material", "e.yaml:10"),
        ("cells: 2,", "cells: 2000000000,", "a layer has 1 to 16 cells"),
        ("cell: [4 nm, 4 nm]", "cell: [4 nm, 4 nm]\n  pbc: [0, 0, 1]", "a stack cannot be periodic along z"),
        ("material: {Aex", "material: {Dbulk: 1 mJ/m^2, Aex", "bulk DMI needs cells of one thickness"),
        ("mz.soft,", "wall_x,", "`wall_x` would mix the walls"),
        (
            "couplings:",
            "regions: {post: {shape: {box: {x: [0 nm, 8 nm]}}}}\ncouplings:",
            "`post` lies in layers of the stack that are not alike",
        ),
    ] {
        assert!(SAF.contains(from), "{from}");
        let told = read(&SAF.replace(from, to));
        assert!(told.contains(words), "{from} -> {to}: {told}");
    }
}
