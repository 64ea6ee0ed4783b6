//! Every term on every device against the reference device, and against its own energy.

use crate::host::Host;
use spinloom_base::random::Stream;
use spinloom_gpu::dry::Dry;
use spinloom_gpu::vulkan::{self, Vulkan};
use spinloom_gpu::{Backend, Kernel, Limits, Precision, cuda};
use spinloom_kernels::cpu::{self, isa::Isa};
use spinloom_kernels::device::{Window, byte};
use spinloom_kernels::gpu::Gpu;
use spinloom_kernels::material::{Coupling, Drive, Mask, Pair};
use spinloom_kernels::mesh::Stack;
use spinloom_kernels::plan::{Cells, Combine, Dot, Motion, Pass, Plan, Ref, Rule};
use spinloom_kernels::terms::custom::CustomField;
use spinloom_kernels::{Device, Material, Mesh, ParameterId as P, RegionMap, System, Term, Values};

/// A material in which every term acts, different in each of two regions; one of the two kinds of DMI, for there is one boundary condition.
fn material(k: f64, bulk: bool) -> Values {
    let mut v = Values::default();
    for (p, x) in [
        (P::Msat, 8e5),
        (P::Aex, 1.3e-11),
        (if bulk { P::Dbulk } else { P::Dind }, 2e-3),
        (P::Ku1, 5e5),
        (P::Ku2, 2e5),
        (P::Alpha, 0.1),
        (P::Temp, 300.0),
        (P::ThetaSh, 0.3),
        (P::BetaFl, 0.4),
        (P::Kc1, 3e5),
        (P::Kc2, 4e5),
        (P::Kc3, 5e5),
        (P::B1, -8e6),
        (P::B2, 6e6),
        (P::Exx, 1e-3),
        (P::Eyy, -2e-3),
        (P::Ezz, 3e-3),
        (P::Exy, 4e-3),
        (P::Exz, -5e-3),
        (P::Eyz, 6e-3),
        (P::XiVcma, 1e-13),
        (P::Ez, 4e8),
        (P::Pol, 0.5),
        (P::Xi, 0.2),
        (P::Lambda, 1.4),
        (P::EpsilonPrime, 0.03),
    ] {
        v.set_scalar(p, x * k);
    }
    v.set(P::AnisU, [0.3, 0.1 * k, 1.0]);
    v.set(P::BExt, [0.02, -0.03 * k, 0.05]);
    v.set(P::J, [3e11, -1e11 * k, 2e11]);
    v.set(P::FixedLayer, [1.0, 0.2, -0.4 * k]);
    v.set(P::AnisC1, [1.0, 0.2 * k, 0.1]);
    v.set(P::AnisC2, [-0.2 * k, 1.0, 0.0]);
    v
}

/// The cases: meshes of one to three dimensions, odd sizes, holes, periodic axes, one or two regions.
fn systems() -> Vec<(String, System)> {
    let mut list = Vec::new();
    let mut stream = Stream::new(11, 0);
    for (n, pbc, bulk) in [
        ([7, 5, 1], [0; 3], false),
        ([16, 1, 1], [0; 3], true),
        ([5, 4, 3], [0; 3], true),
        ([8, 6, 1], [2, 0, 0], true),
        ([4, 5, 6], [0, 1, 1], false),
        ([1, 6, 2], [0; 3], false),
        ([300, 2, 1], [0; 3], false),
    ] {
        for (regions, holes) in [(1, false), (2, false), (2, true)] {
            let mesh = Mesh { pbc, ..Mesh::new(n, [2e-9, 3e-9, 1.5e-9]) };
            let cells = (0..mesh.cells())
                .map(|_| if holes && stream.below(4) == 0 { RegionMap::VACUUM } else { stream.below(regions) as u16 })
                .collect();
            let values = (0..regions).map(|r| material(1.0 - 0.4 * r as f64, bulk)).collect();
            let mut system = System::new(mesh, RegionMap::new(cells, regions), Material { regions: values, ..Material::default() });
            system.seed = 5;
            if n[2] > 1 && regions == 2 {
                // Layers 0 and 1, whose regions are mixed here, so that a cell may have a partner above, below, both or none.
                let coupling = Coupling { regions: (0, 1), j1: -2e-3, j2: 7e-4, d: [1e-4, -3e-4, 2e-4] };
                system.replicas[0].material.couplings.push(coupling);
                system.terms = system.terms_in_use();
            }
            list.push((format!("{n:?} pbc {pbc:?} regions {regions} holes {holes}"), system));
        }
    }
    list.extend([(2, [0; 3]), (3, [1, 0, 0]), (4, [0; 3])].map(|(layers, pbc)| stack(layers, pbc, &mut stream)));
    list
}

/// Layers of their own thickness, the first two in touch, the others across spacers; two regions a layer, and holes.
fn stack(layers: usize, pbc: [u32; 3], stream: &mut Stream) -> (String, System) {
    let all = [(0.0, 2.6e-9), (2.6e-9, 1.1e-9), (4.5e-9, 5.2e-9), (11e-9, 0.6e-9)];
    let mesh = Mesh { pbc, ..Mesh::stacked([6, 5], [2e-9, 3e-9], Stack::new(&all[..layers]).unwrap()) };
    let cells = (0..mesh.cells())
        .map(|i| if stream.below(5) == 0 { RegionMap::VACUUM } else { (2 * (i / 30)) as u16 + stream.below(2) as u16 })
        .collect();
    let values = (0..2 * layers).map(|r| material(1.0 - 0.1 * r as f64, false)).collect();
    let mut system = System::new(mesh, RegionMap::new(cells, 2 * layers), Material { regions: values, ..Material::default() });
    for (a, b) in [(0, 2), (2, 4), (3, 5), (4, 6)] {
        if usize::from(b) < 2 * layers {
            let coupling = Coupling { regions: (a, b), j1: -2e-3, j2: 7e-4, d: [1e-4, -3e-4, 2e-4] };
            system.replicas[0].material.couplings.push(coupling);
        }
    }
    system.seed = 5;
    system.terms = system.terms_in_use();
    assert_eq!(system.impossible(), None);
    (format!("stack of {layers}, pbc {pbc:?}"), system)
}

/// Random unit vectors, smooth or not; zero in vacuum.
fn state(system: &System, smooth: bool) -> Vec<f64> {
    let cells = system.mesh.cells();
    let mut stream = Stream::new(3, 1);
    let mut m = vec![0.0; 3 * cells];
    for i in 0..cells {
        if system.regions.cells[i] == RegionMap::VACUUM {
            continue;
        }
        let a = 0.37 * i as f64;
        let v = if smooth { [a.cos(), a.sin(), 0.5 + 0.1 * a.sin()] } else { [stream.normal(), stream.normal(), stream.normal()] };
        let norm = (v[0] * v[0] + v[1] * v[1] + v[2] * v[2]).sqrt();
        for c in 0..3 {
            m[c * cells + i] = v[c] / norm;
        }
    }
    m
}

/// The field of some terms (or the rate of motion) at a state.
fn evaluate(device: &mut dyn Device, system: &System, m: &[f64], terms: &[Term], motion: Option<Motion>) -> Vec<f64> {
    let [state, field, demag, noise, custom] = ["m", "field", "B_demag", "normals", "B_custom"].map(|n| device.allocate(n, 1).unwrap());
    let positions = terms.iter().map(|t| system.terms.iter().position(|s| s == t).unwrap()).collect();
    let plan = Plan {
        name: "evaluate".into(),
        passes: vec![
            Pass::Noise(Ref::of(noise)),
            Pass::Convolve { read: Ref::of(state), write: Ref::of(demag) },
            Pass::Custom { read: Ref::of(state), time: 0.5, write: Ref::of(custom) },
            Pass::Cells(Cells {
                read: Ref::of(state),
                terms: positions,
                convolved: Some(Ref::of(demag)),
                noise: Some(Ref::of(noise)),
                custom: Some(Ref::of(custom)),
                time: 0.5,
                motion,
                write: Ref::of(field),
                combine: None,
                error: None,
                measure: false,
            }),
        ],
    };
    device.upload(0, state, false, m);
    let mut control = device.control(0);
    control.t = 0.3e-9;
    control.dt_now = 1e-13;
    control.steps = 7;
    device.set_control(0, control);
    let prepared = device.prepare(&plan).unwrap();
    device.replay(prepared, 1);
    device.download(0, field, false)
}

fn largest(v: &[f64]) -> f64 {
    v.iter().fold(0.0, |m, x| f64::max(m, x.abs()))
}

fn worst(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

#[test]
fn every_device_computes_every_term_as_the_reference_does() {
    let mut compared = 0;
    for (name, system) in systems() {
        for smooth in [false, true] {
            let m = state(&system, smooth);
            let cases: Vec<(Vec<Term>, Option<Motion>)> = system
                .terms
                .iter()
                .map(|t| (vec![*t], None))
                .chain([(system.terms.clone(), Some(Motion::Llg)), (system.terms.clone(), Some(Motion::Damping))])
                .collect();
            for (terms, motion) in cases {
                let exact = evaluate(cpu::reference(&system).unwrap().as_mut(), &system, &m, &terms, motion);
                let scale = largest(&exact).max(1e-30);
                for isa in Isa::available() {
                    let double = evaluate(cpu::double_with(&system, isa).unwrap().as_mut(), &system, &m, &terms, motion);
                    let single = evaluate(cpu::single_with(&system, isa).unwrap().as_mut(), &system, &m, &terms, motion);
                    let (d, s) = (worst(&exact, &double) / scale, worst(&exact, &single) / scale);
                    // Rounding only: 1e-12 in f64; f32 also rounds m itself and the cancellation of exchange between like neighbours.
                    assert!(d < 1e-12, "{name}, {terms:?} {motion:?} {isa:?}: f64 differs by {d:e}");
                    assert!(s < 2e-6, "{name}, {terms:?} {motion:?} {isa:?}: f32 differs by {s:e}");
                    compared += 2;
                }
            }
        }
    }
    println!("{compared} comparisons");
}

/// Total energy of a term from its own field: −(1/n) V Σ Ms m·B.
fn energy(system: &System, m: &[f64], term: Term) -> f64 {
    let b = evaluate(cpu::reference(system).unwrap().as_mut(), system, m, &[term], None);
    let cells = system.mesh.cells();
    let degree = term.info().degree.unwrap();
    (0..3 * cells)
        .map(|i| {
            let region = system.regions.cells[i % cells];
            if region == RegionMap::VACUUM {
                0.0
            } else {
                let ms = system.replicas[0].material.regions[usize::from(region)].scalar(P::Msat);
                -m[i] * b[i] * ms * system.mesh.weight(i % cells) / degree
            }
        })
        .sum::<f64>()
        * system.mesh.cell_volume()
}

#[test]
fn every_field_is_minus_the_gradient_of_its_energy() {
    // Periodic in all axes, because at a free face the DMI ghost makes the field a boundary condition rather than a gradient.
    let mesh = Mesh { pbc: [1; 3], ..Mesh::new([4, 5, 3], [2e-9, 3e-9, 1.5e-9]) };
    let cells: Vec<u16> = (0..mesh.cells()).map(|i| ((i + i / 20) % 2) as u16).collect();
    for bulk in [false, true] {
        let regions = vec![material(1.0, bulk), material(0.7, bulk)];
        let couplings = vec![Coupling { regions: (0, 1), j1: -2e-3, j2: 7e-4, d: [1e-4, -3e-4, 2e-4] }];
        let material = Material { regions, couplings, ..Material::default() };
        let system = System::new(mesh, RegionMap::new(cells.clone(), 2), material);
        assert!(system.terms.contains(&Term::Biquadratic));
        check_gradients(&system);
    }
}

/// Couplings between layers, and exchange between unequal ones that touch.
#[test]
fn fields_in_a_stack_are_minus_the_gradients_of_their_energies() {
    let (_, mut system) = stack(4, [1, 1, 0], &mut Stream::new(8, 0));
    // Without holes, for the reason above.
    system.regions.cells = (0..120).map(|i| (2 * (i / 30) + i % 2) as u16).collect();
    check_gradients(&system);
}

fn check_gradients(system: &System) {
    let (mesh, m) = (system.mesh, state(system, false));
    for term in system.terms.iter().copied().filter(|t| t.has_energy()) {
        let b = evaluate(cpu::reference(system).unwrap().as_mut(), system, &m, &[term], None);
        let cells = mesh.cells();
        for i in [0, 17, cells + 23, 2 * cells + 31] {
            let ms = system.replicas[0].material.regions[usize::from(system.regions.cells[i % cells])].scalar(P::Msat);
            let volume = mesh.cell_volume() * mesh.weight(i % cells);
            let h = 1e-4;
            let at = |d: f64| {
                let mut m = m.clone();
                m[i] += d;
                energy(system, &m, term)
            };
            // Fourth-order difference: exact for polynomials up to degree 4, to h⁴ beyond.
            let slope = (8.0 * (at(h) - at(-h)) - (at(2.0 * h) - at(-2.0 * h))) / (12.0 * h);
            let field = -slope / (ms * volume);
            // Cancellation in the difference of energies: about 1e-16 E/(h Ms V).
            assert!((field - b[i]).abs() < 1e-6 * largest(&b), "{term:?} cell {i}: {field} is not {}", b[i]);
        }
    }
}

/// The first device of each interface, Vulkan and CUDA, or a line that says why there is none.
fn backends() -> Vec<(&'static str, Box<dyn Backend>)> {
    let vulkan = Vulkan::open(0).map(|v| ("vulkan", Box::new(v) as Box<dyn Backend>));
    let cuda = cuda::Cuda::open(0).map(|c| ("cuda", Box::new(c) as Box<dyn Backend>));
    [vulkan, cuda].into_iter().filter_map(|b| b.map_err(|e| eprintln!("SKIPPED: {e}")).ok()).collect()
}

/// The system on each of them.
fn on_graphics(system: &System, precision: Precision) -> Vec<(&'static str, Gpu)> {
    backends().into_iter().map(|(name, b)| (name, Gpu::new(system, b, precision).unwrap())).collect()
}

#[test]
fn graphics_devices_compute_every_term_as_the_reference_does() {
    // One to three dimensions, odd sizes, holes, periodic axes, one region and two; every kernel costs a software device a tenth of a second.
    for (name, system) in [1, 2, 5, 8, 10, 14, 17, 22].map(|i| systems().remove(i)) {
        graphics_devices_agree(&name, &system);
    }
}

fn graphics_devices_agree(name: &str, system: &System) {
    for (precision, bound) in [(Precision::Single, 2e-6), (Precision::Double, 1e-12)] {
        for smooth in [false, true] {
            let m = state(system, smooth);
            let mut cases: Vec<(Vec<Term>, Option<Motion>)> =
                vec![(system.terms.clone(), Some(Motion::Llg)), (system.terms.clone(), Some(Motion::Damping))];
            if smooth || precision == Precision::Single {
                cases.extend(system.terms.iter().map(|t| (vec![*t], None)));
            }
            for (terms, motion) in cases {
                let exact = evaluate(cpu::reference(system).unwrap().as_mut(), system, &m, &terms, motion);
                // Normals are made in single precision on graphics devices.
                let bound = if terms.contains(&Term::Thermal) { f64::max(bound, 2e-6) } else { bound };
                for (on, mut device) in on_graphics(system, precision) {
                    let found = evaluate(&mut device, system, &m, &terms, motion);
                    let off = worst(&exact, &found) / largest(&exact).max(1e-30);
                    assert!(off < bound, "{on}, {name}, {terms:?} {motion:?} {precision:?}: differs by {off:e}");
                }
            }
        }
    }
}

/// What a watcher is shown is what a download of the whole field shows.
#[test]
fn every_device_shows_the_cells_of_a_window() {
    let mesh = Mesh::new([7, 5, 3], [2e-9; 3]);
    let mut system = System::new(mesh, RegionMap::uniform(mesh.cells()), Material::uniform(material(1.0, false), 1));
    system.replicas.push(system.replicas[0].clone());
    let mut stream = Stream::new(31, 0);
    let m: Vec<f64> = (0..3 * mesh.cells()).map(|_| f64::from((2.0 * stream.uniform() - 1.0) as f32)).collect();
    let check = |name: &str, device: &mut dyn Device| {
        let buffer = device.allocate("m", 2).unwrap();
        device.upload(1, buffer, false, &m);
        for (layer, from, size, every) in
            [(0, [0, 0], [7, 5], 1), (2, [0, 0], [7, 5], 3), (1, [3, 2], [4, 3], 2), (2, [6, 4], [1, 1], 9), (1, [1, 1], [5, 1], 1)]
        {
            let window = Window { layer, from, size, every };
            let mut expected = Vec::new();
            for (y, x) in (0..size[1]).step_by(every).flat_map(|y| (0..size[0]).step_by(every).map(move |x| (y, x))) {
                let cell = (layer * 5 + from[1] + y) * 7 + from[0] + x;
                expected.extend((0..3).map(|c| byte(m[c * mesh.cells() + cell] as f32)));
            }
            assert_eq!(device.peek(1, buffer, mesh.n, &window), expected, "{name}: {window:?}");
        }
    };
    check("f32", cpu::single(&system).unwrap().as_mut());
    for precision in [Precision::Single, Precision::Double] {
        on_graphics(&system, precision).into_iter().for_each(|(name, mut device)| check(name, &mut device));
    }
}

/// What only some cells or some moments have: masks, half-filled cells, parameters that move in one region, open faces, couplings of two
/// regions, frozen spins, spins without demagnetisation, a field of the user's.
fn particular() -> System {
    let (_, mut system) = systems().remove(2);
    let cells = system.mesh.cells();
    let mut stream = Stream::new(21, 0);
    system.regions.fill = (0..cells).map(|i| if i % 3 == 0 { 0.4 } else { 1.0 }).collect();
    let material = &mut system.replicas[0].material;
    let mut mask = |parameter: P, factor, size: f64| {
        let values = (0..parameter.info().components * cells).map(|_| size * stream.normal()).collect::<Vec<f64>>();
        material.masks.push(Mask { parameter, values: values.into(), factor });
    };
    mask(P::BExt, 0.7, 0.05);
    mask(P::J, -1.3, 1e11);
    mask(P::Exy, 1.0, 1e-3);
    material.pairs.push(Pair { parameter: P::Aex, regions: (1, 0), scale: 0.5, value: 1e-12 });
    material.open_faces = true;
    material.regions[1].set_scalar(P::NoDemagSpins, 1.0);
    material.drive = Some(Drive(std::sync::Arc::new(|t: f64, regions: &mut [Values], masks: &mut [f64]| {
        regions[1].set_scalar(P::Ku1, 3e5 + 1e14 * t);
        masks[0] = 1e9 * t;
    })));
    system.custom = Some(CustomField(std::sync::Arc::new(|t, m, b: &mut [f64]| {
        b.iter_mut().zip(m).for_each(|(b, m)| *b = 0.1 * m * m + 1e8 * t);
    })));
    system.terms = system.terms_in_use();
    system
}

/// The rate of motion under some terms on every device there is, against the reference device's, which is returned.
fn every_device_agrees(system: &System, m: &[f64], terms: &[Term]) -> Vec<f64> {
    let exact = evaluate(cpu::reference(system).unwrap().as_mut(), system, m, terms, Some(Motion::Llg));
    let scale = largest(&exact);
    let mut compared = Vec::new();
    let mut check = |name: &str, device: &mut dyn Device, bound: f64| {
        let off = worst(&exact, &evaluate(device, system, m, terms, Some(Motion::Llg))) / scale;
        assert!(off < bound, "{name} differs by {off:e}");
        compared.push(format!("{name} {off:.0e}"));
    };
    for isa in Isa::available() {
        check("f64", cpu::double_with(system, isa).unwrap().as_mut(), 1e-12);
        check("f32", cpu::single_with(system, isa).unwrap().as_mut(), 2e-6);
    }
    for (precision, bound) in [(Precision::Single, 2e-6), (Precision::Double, 1e-12)] {
        for (name, mut device) in on_graphics(system, precision) {
            check(name, &mut device, bound);
        }
        match Host::new(Limits::LEAST) {
            Some(host) => check("the CUDA text", &mut Gpu::new(system, Box::new(host), precision).unwrap(), bound),
            None => eprintln!("SKIPPED: no C++ compiler here"),
        }
    }
    println!("{}", compared.join(", "));
    exact
}

/// Every cell of its own region: values of any parameter per cell.
fn cellwise(n: [usize; 3], pbc: [u32; 3]) -> System {
    let mesh = Mesh { pbc, ..Mesh::new(n, [2e-9, 3e-9, 1.5e-9]) };
    let cells = mesh.cells();
    let mut stream = Stream::new(31, 0);
    let map = (0..cells as u16).map(|i| if stream.below(9) == 0 { RegionMap::VACUUM } else { i }).collect();
    let mut values: Vec<Values> = (0..cells).map(|i| material(1.0 - 0.4 * i as f64 / cells as f64, false)).collect();
    for v in &mut values {
        v.set_scalar(P::Msat, 8e5 * (1.0 + 0.1 * stream.normal()));
        v.set_scalar(P::Aex, 1.3e-11 * (1.0 + 0.1 * stream.normal()));
    }
    System::new(mesh, RegionMap::new(map, cells), Material { regions: values, ..Material::default() })
}

#[test]
fn cells_may_have_values_of_their_own_for_every_parameter() {
    let system = cellwise([20, 17, 1], [1, 0, 0]);
    let m = state(&system, false);
    let all: Vec<Term> = system.terms.iter().copied().filter(|t| *t != Term::Thermal).collect();
    every_device_agrees(&system, &m, &all);
    // Against the table of all pairs: the same system in few regions, each half of the cells alike.
    let few = |regions: usize| {
        let mut s = system.clone();
        let halves: Vec<Values> = (0..regions).map(|r| material(1.0 - 0.4 * (r % 2) as f64, false)).collect();
        s.regions.count = regions;
        s.regions.cells.iter_mut().enumerate().filter(|c| *c.1 != RegionMap::VACUUM).for_each(|(i, c)| *c = (i % regions.min(340)) as u16);
        s.replicas[0].material.regions = halves;
        evaluate(cpu::double(&s).unwrap().as_mut(), &s, &m, &all, Some(Motion::Llg))
    };
    assert_eq!(few(2), few(340), "many regions of two kinds are two");
    // A map that moves: regions meet others than before.
    let mut moved = system.clone();
    moved.regions.cells.rotate_right(7);
    let fresh = evaluate(cpu::double(&moved).unwrap().as_mut(), &moved, &m, &all, Some(Motion::Llg));
    let mut mixed = cpu::double(&system).unwrap();
    mixed.set_material(0, &moved);
    assert_eq!(evaluate(mixed.as_mut(), &moved, &m, &all, Some(Motion::Llg)), fresh);
    if let Some(host) = Host::new(Limits::LEAST) {
        let mut gpu = Gpu::new(&system, Box::new(host), Precision::Double).unwrap();
        // One region in all places but one: it meets all the others there are.
        let mut star = system.clone();
        star.regions.cells.iter_mut().enumerate().filter(|c| c.0 % 2 == 0).for_each(|(_, c)| *c = 0);
        let plain = evaluate(cpu::double(&star).unwrap().as_mut(), &star, &m, &all, Some(Motion::Llg));
        gpu.set_material(0, &star);
        let off = worst(&plain, &evaluate(&mut gpu, &star, &m, &all, Some(Motion::Llg))) / largest(&plain);
        assert!(off < 1e-12, "{off:e}");
    }
}

#[test]
fn what_only_some_cells_have_is_the_same_on_every_device() {
    let system = particular();
    assert!(system.terms.contains(&Term::Custom));
    let m = state(&system, false);
    let all: Vec<Term> = system.terms.iter().copied().filter(|t| *t != Term::Thermal).collect();
    let exact = every_device_agrees(&system, &m, &all);
    let scale = largest(&exact);
    // Each of them matters: without it the result is another.
    let without = |change: &dyn Fn(&mut System)| {
        let mut other = particular();
        change(&mut other);
        worst(&exact, &evaluate(cpu::double(&other).unwrap().as_mut(), &other, &m, &all, Some(Motion::Llg))) / scale
    };
    for (name, off) in [
        ("masks", without(&|s| s.replicas[0].material.masks.iter_mut().for_each(|m| m.values = vec![0.0; m.values.len()].into()))),
        ("fill", without(&|s| s.regions.fill.clear())),
        ("drive", without(&|s| s.replicas[0].material.drive = None)),
        ("pairs", without(&|s| s.replicas[0].material.pairs.clear())),
        ("open faces", without(&|s| s.replicas[0].material.open_faces = false)),
        ("frozen spins", without(&|s| s.replicas[0].material.regions[0].set_scalar(P::FrozenSpins, 1.0))),
    ] {
        assert!(off > 1e-4, "{name} changes nothing: {off:e}");
    }
}

/// A plan with every kind of pass, for some of the terms.
fn whole_plan(device: &mut dyn Device, terms: &[usize]) -> Plan {
    let [m, first, other, demag, noise] =
        [("m", 2), ("k1", 2), ("k2", 1), ("B", 1), ("normals", 1)].map(|(n, s)| device.allocate(n, s).unwrap());
    let ring = ["B0", "B1", "B2"].map(|n| Ref::of(device.allocate(n, 1).unwrap()));
    let cells = |write, combine, error| {
        Pass::Cells(Cells {
            read: Ref::of(m),
            terms: terms.to_vec(),
            convolved: Some(Ref::of(demag)),
            noise: Some(Ref::of(noise)),
            custom: None,
            time: 0.5,
            motion: Some(Motion::Llg),
            write,
            combine,
            error,
            measure: true,
        })
    };
    let combine = Combine { base: Ref::of(m), weights: vec![(Ref::of(first), 0.25), (Ref::of(other), 0.1)], out: Ref::next(m) };
    Plan {
        name: "everything".into(),
        passes: vec![
            Pass::Control(Rule::Begin),
            Pass::Noise(Ref::of(noise)),
            Pass::Convolve { read: Ref::of(m), write: Ref::of(demag) },
            cells(Ref::of(first), None, None),
            Pass::Sample { read: Ref::of(m), ring, predicted: Ref::of(demag) },
            Pass::Extrapolate { ring, time: 0.5, write: Ref::of(demag) },
            cells(Ref::of(other), Some(combine.clone()), Some(vec![(Ref::of(first), -1.0), (Ref::of(other), 1.0)])),
            Pass::Combine(combine),
            Pass::Rotate { read: Ref::of(m), rate: Ref::of(first), out: Ref::next(m) },
            Pass::Reduce(vec![Dot { a: (Ref::next(m), Ref::of(m)), b: (Ref::next(first), Ref::of(first)), into: 1 }]),
            Pass::Control(Rule::End { order: 4.0 }),
            Pass::Control(Rule::Descent),
            Pass::Control(Rule::Accept),
        ],
    }
}

/// All kernels of a system's plan for some of its terms, on a device with these limits; the end of a step for methods of every order.
fn kernels_of(system: &System, terms: &[usize], precision: Precision, limits: Limits) -> Vec<Kernel> {
    let (dry, log) = Dry::new(limits);
    let mut gpu = Gpu::new(system, Box::new(dry), precision).unwrap();
    let mut plan = whole_plan(&mut gpu, terms);
    plan.passes.extend((0..=6).map(|order| Pass::Control(Rule::End { order: f64::from(order) })));
    gpu.prepare(&plan).unwrap();
    log.lock().unwrap().kernels.clone()
}

/// Each law alone, all together, and 20 seeded subsets.
fn subsets(count: usize) -> Vec<Vec<usize>> {
    let mut stream = Stream::new(4, 0);
    let all: Vec<usize> = (0..count).collect();
    let mut list: Vec<Vec<usize>> = all.iter().map(|t| vec![*t]).chain([all.clone()]).collect();
    list.extend((0..20).map(|_| all.iter().copied().filter(|_| stream.below(2) == 0).collect()));
    list
}

#[test]
fn every_kernel_compiles_for_cuda() {
    if let Err(e) = cuda::compiler() {
        eprintln!("SKIPPED: {e}");
        return;
    }
    let mut compiled = 0;
    let (_, system) = systems().remove(14);
    for (index, terms) in subsets(system.terms.len()).into_iter().enumerate() {
        let all = terms.len() == system.terms.len();
        for kernel in kernels_of(&system, &terms, Precision::Single, Limits::LEAST) {
            // What no term enters is the same for all subsets.
            if !all && kernel.name != "cells" {
                continue;
            }
            for architecture in if all { &["sm_75", "sm_80", "sm_90"][..] } else { &["sm_75", "sm_80", "sm_90"][index % 3..index % 3 + 1] }
            {
                let code = cuda::compile(&kernel, architecture).unwrap_or_else(|e| panic!("{e}\n{}", kernel.cuda()));
                assert!(code.len() > 500);
                compiled += 1;
            }
        }
    }
    for kernel in kernels_of(&system, &subsets(system.terms.len())[system.terms.len()], Precision::Double, Limits::LEAST) {
        cuda::compile(&kernel, "sm_90").unwrap_or_else(|e| panic!("{e}\n{}", kernel.cuda()));
        compiled += 1;
    }
    println!("{compiled} compilations");
}

#[test]
fn the_cuda_text_computes_every_term_as_the_reference_does() {
    // A mesh of two dimensions with holes, and one of three with periodic axes: every kind of kernel is compiled by the processor's compiler and run.
    for (name, system) in [2, 14, 23].map(|i| systems().remove(i)) {
        if Host::new(Limits::LEAST).is_none() {
            eprintln!("SKIPPED: no C++ compiler here");
            return;
        }
        let m = state(&system, false);
        for (terms, motion) in [(system.terms.clone(), Some(Motion::Llg)), (vec![Term::Demag], None)] {
            let exact = evaluate(cpu::reference(&system).unwrap().as_mut(), &system, &m, &terms, motion);
            for (precision, bound) in [(Precision::Single, 2e-6), (Precision::Double, 1e-12)] {
                let host = Host::new(Limits::LEAST).expect("there was one");
                let found = evaluate(&mut Gpu::new(&system, Box::new(host), precision).unwrap(), &system, &m, &terms, motion);
                let bound = if terms.contains(&Term::Thermal) { f64::max(bound, 2e-6) } else { bound };
                let off = worst(&exact, &found) / largest(&exact);
                assert!(off < bound, "{name}, {terms:?} {motion:?} {precision:?}: differs by {off:e}");
            }
        }
    }
}

/// A kernel for each term, or one for all.
#[test]
fn taking_the_cells_apart_changes_nothing() {
    let (_, system) = systems().remove(14);
    let m = state(&system, false);
    let run = |apart: bool, backend: Box<dyn Backend>| {
        let mut gpu = Gpu::new(&system, backend, Precision::Double).unwrap();
        if apart {
            gpu.take_apart().unwrap();
        }
        evaluate(&mut gpu, &system, &m, &system.terms, Some(Motion::Llg))
    };
    let mut compared = 0;
    let mut check = |name: &str, one: Box<dyn Backend>, two: Box<dyn Backend>| {
        let (whole, parts) = (run(false, one), run(true, two));
        // The sum is taken in the same order; compilers may contract it otherwise.
        let off = worst(&whole, &parts) / largest(&whole);
        assert!(off < 1e-14, "{name}: {off:e}");
        compared += 1;
    };
    match (Host::new(Limits::LEAST), Host::new(Limits::LEAST)) {
        (Some(one), Some(two)) => check("the CUDA text", Box::new(one), Box::new(two)),
        _ => eprintln!("SKIPPED: no C++ compiler here"),
    }
    for ((name, one), (_, two)) in backends().into_iter().zip(backends()) {
        check(name, one, two);
    }
    let (dry, log) = Dry::new(Limits::LEAST);
    run(true, Box::new(dry));
    let names: Vec<String> = log.lock().unwrap().kernels.iter().map(|k| k.name.clone()).filter(|n| n.starts_with("field of")).collect();
    assert_eq!(names.len(), system.terms.len(), "{names:?}");
    assert!(cpu::double(&system).unwrap().take_apart().is_err());
    println!("{compared} devices, {} kernels of fields", names.len());
}

/// An ensemble in parts is the ensemble.
#[test]
fn an_ensemble_beyond_the_largest_memory_is_parted() {
    let (_, mut system) = systems().remove(8);
    system.replicas = (0..5).map(|id| spinloom_kernels::Replica { id, ..system.replicas[0].clone() }).collect();
    for (k, replica) in system.replicas.iter_mut().enumerate() {
        replica.material.set_everywhere(P::BExt, [0.01 * k as f64, 0.02, 0.0]);
    }
    if Host::new(Limits::LEAST).is_none() {
        eprintln!("SKIPPED: no C++ compiler here");
        return;
    }
    let m = state(&system, false);
    let run = |buffer: usize| {
        let limits = Limits { buffer, ..Limits::LEAST };
        let open = || Ok(Box::new(Host::new(limits).expect("there was one")) as Box<dyn Backend>);
        let mut device = spinloom_kernels::gpu::waves::realise(&system, Precision::Single, open).unwrap();
        let plan = whole_plan(device.as_mut(), &(0..system.terms.len()).collect::<Vec<_>>());
        let prepared = device.prepare(&plan).unwrap();
        for r in 0..5 {
            device.upload(r, spinloom_kernels::plan::Buffer(0), false, &m);
            device.set_control(r, spinloom_kernels::Control { t_pause: 1e-9, max_err: 1.0, ..spinloom_kernels::Control::new() });
        }
        let mut changed = system.clone();
        changed.replicas[3].material.set_everywhere(P::BExt, [0.0, 0.0, 0.5]);
        device.set_material(3, &changed);
        device.replay(prepared, 3);
        assert!(device.trouble().is_none());
        let all: Vec<_> = (0..5).map(|r| (device.download(r, spinloom_kernels::plan::Buffer(1), false), device.control(r))).collect();
        (device.info().layout, all)
    };
    // Two replicas fit: 24 fields of 3 numbers a cell.
    let bytes = 2 * 24 * 3 * 4 * system.mesh.cells();
    let (whole, parts) = (run(1 << 27), run(bytes + 100));
    println!("{}; {}", whole.0, parts.0);
    assert!(parts.0.contains("3 parts"), "{}", parts.0);
    assert!(whole.1 == parts.1, "to the bit");
    assert!(whole.1[3].0 != whole.1[2].0 && whole.1[0].0 != whole.1[4].0);
}

/// With little shared memory every axis is parted, and the field is the same.
#[test]
fn long_lines_are_parted() {
    if Host::new(Limits::LEAST).is_none() {
        eprintln!("SKIPPED: no C++ compiler here");
        return;
    }
    let small = Limits { shared: 64, ..Limits::LEAST };
    for (n, pbc) in [([20, 12, 1], [0; 3]), ([12, 10, 9], [0; 3]), ([18, 3, 12], [1, 0, 1])] {
        let mesh = Mesh { pbc, ..Mesh::new(n, [2e-9, 3e-9, 1.5e-9]) };
        let system = System::new(mesh, RegionMap::uniform(mesh.cells()), Material::uniform(material(1.0, false), 1));
        let m = state(&system, false);
        let exact = evaluate(cpu::reference(&system).unwrap().as_mut(), &system, &m, &[Term::Demag], None);
        let host = Host::new(small).expect("there was one");
        let mut gpu = Gpu::new(&system, Box::new(host), Precision::Single).unwrap();
        let found = evaluate(&mut gpu, &system, &m, &[Term::Demag], None);
        let off = worst(&exact, &found) / largest(&exact);
        println!("{n:?}: {off:.1e}");
        assert!(off < 2e-6, "{n:?} {pbc:?}: differs by {off:e}");
    }
}

/// Lines of every length that a card holds whole, parts, or shares among more items.
#[test]
fn graphics_devices_transform_lines_of_any_length() {
    for (n, pbc) in
        [([1500, 5, 1], [0; 3]), ([7, 2048, 1], [1, 0, 0]), ([4096, 3, 1], [0; 3]), ([40, 30, 18], [0; 3]), ([5, 256, 64], [0, 0, 1])]
    {
        let mesh = Mesh { pbc, ..Mesh::new(n, [2e-9, 3e-9, 1.5e-9]) };
        let system = System::new(mesh, RegionMap::uniform(mesh.cells()), Material::uniform(material(1.0, false), 1));
        let m = state(&system, false);
        let exact = evaluate(cpu::double(&system).unwrap().as_mut(), &system, &m, &[Term::Demag], None);
        for (precision, bound) in [(Precision::Single, 2e-6), (Precision::Double, 1e-12)] {
            for (on, mut device) in on_graphics(&system, precision) {
                let off = worst(&exact, &evaluate(&mut device, &system, &m, &[Term::Demag], None)) / largest(&exact);
                println!("{on}, {n:?}: {off:.1e}");
                assert!(off < bound, "{on}, {n:?} {pbc:?} {precision:?}: differs by {off:e}");
            }
        }
    }
}

/// Steps of the whole plan: reductions, combinations and control of graphics devices, and of the CUDA text here, against the processor's own.
#[test]
fn every_device_steps_as_the_processor_does() {
    let (_, mut system) = systems().remove(2);
    system.terms.retain(|t| *t != Term::Thermal);
    let terms: Vec<usize> = (0..system.terms.len()).collect();
    let m = state(&system, true);
    let run = |device: &mut dyn Device| {
        let plan = whole_plan(device, &terms);
        let mut control =
            spinloom_kernels::Control { dt: 1e-14, dt_now: 1e-14, t_pause: 1e-9, max_err: 1.0, ..spinloom_kernels::Control::new() };
        // The samples' interval is sought, and meets its limit.
        control.sampling = spinloom_kernels::Sampling { every: 1e-14, longest: 4e-14, max_err: 1e-5, order: 2, ..control.sampling };
        device.set_control(0, control);
        device.upload(0, spinloom_kernels::plan::Buffer(0), false, &m);
        let prepared = device.prepare(&plan).unwrap();
        device.replay(prepared, 6);
        (device.download(0, spinloom_kernels::plan::Buffer(0), false), device.control(0))
    };
    let (exact, a) = run(cpu::double(&system).unwrap().as_mut());
    let mut devices = on_graphics(&system, Precision::Double);
    match Host::new(Limits::LEAST) {
        Some(host) => devices.push(("the CUDA text", Gpu::new(&system, Box::new(host), Precision::Double).unwrap())),
        None => eprintln!("SKIPPED: no C++ compiler here"),
    }
    for (on, mut device) in devices {
        let (found, b) = run(&mut device);
        assert!(worst(&exact, &found) < 1e-12, "{on}: {}", worst(&exact, &found));
        assert_eq!((a.steps, a.attempts, a.slot, a.evaluations), (b.steps, b.attempts, b.slot, b.evaluations));
        let (s, t) = (a.sampling, b.sampling);
        assert_eq!((s.count, s.newest, s.taken), (t.count, t.newest, t.taken));
        assert!(s.taken > 3 && (0..3).all(|k| (s.times[k] - t.times[k]).abs() < 1e-5 * a.t), "{s:?} {t:?}");
        assert!((s.every / t.every - 1.0).abs() < 1e-5, "{s:?} {t:?}");
        // Terms of the sum cancel to a millionth.
        for (name, a, b, bound) in
            [("t", a.t, b.t, 1e-9), ("err", a.err, b.err, 1e-9), ("torque", a.torque, b.torque, 1e-9), ("sum", a.sums[1], b.sums[1], 1e-6)]
        {
            // An error of rounding only is no error.
            assert!((a - b).abs() <= bound * a.abs() + if name == "err" { 1e-16 } else { 0.0 }, "{name}: {a} and {b}");
        }
        // The next step follows from a power in single precision.
        assert!((a.dt / b.dt - 1.0).abs() < 1e-5 && a.t > 2.9e-14, "{} {}", a.dt, b.dt);
    }
}

#[test]
fn every_kernel_compiles_for_vulkan() {
    for (_, system) in [0, 8, 14, 21].map(|i| systems().remove(i)) {
        for terms in subsets(system.terms.len()) {
            for precision in [Precision::Single, Precision::Double] {
                for kernel in kernels_of(&system, &terms, precision, Limits::LEAST) {
                    vulkan::check(&kernel).unwrap_or_else(|e| panic!("{e}\n{}", kernel.glsl()));
                    assert!(kernel.group <= Limits::LEAST.group && kernel.bindings.len() <= 8);
                }
            }
        }
    }
}

#[test]
fn two_runs_on_one_device_are_equal_to_the_bit() {
    let (_, system) = systems().into_iter().nth(8).unwrap();
    let m = state(&system, false);
    let run = || evaluate(cpu::single(&system).unwrap().as_mut(), &system, &m, &system.terms, Some(Motion::Llg));
    assert_eq!(run(), run());
}

/// A uniform magnetisation must feel the exact factors of its prism on any subdivision.
#[test]
fn a_prism_has_its_factors_on_any_subdivision() {
    for (n, size, exact) in [
        ([32, 8, 1], [500.0, 125.0, 3.0], [0.0091796704, 0.0381761231, 0.9526442066]),
        ([8, 8, 4], [10.0, 10.0, 1.0], [0.0974611832, 0.0974611832, 0.8050776336]),
    ] {
        let cell: [f64; 3] = std::array::from_fn(|a| size[a] * 1e-9 / n[a] as f64);
        let mut v = Values::default();
        v.set_scalar(P::Msat, 1e6);
        let system = System::new(Mesh::new(n, cell), RegionMap::uniform(n.iter().product()), Material::uniform(v, 1));
        let cells = system.mesh.cells();
        for axis in 0..3 {
            let mut m = vec![0.0; 3 * cells];
            m[axis * cells..(axis + 1) * cells].fill(1.0);
            let factor = |b: Vec<f64>| {
                -b[axis * cells..(axis + 1) * cells].iter().sum::<f64>() / cells as f64 / (spinloom_base::constants::MU0 * 1e6)
            };
            let double = factor(evaluate(cpu::double(&system).unwrap().as_mut(), &system, &m, &[Term::Demag], None));
            let single = factor(evaluate(cpu::single(&system).unwrap().as_mut(), &system, &m, &[Term::Demag], None));
            assert!((double - exact[axis]).abs() < 1e-8, "{n:?} axis {axis}: {double} is not {}", exact[axis]);
            assert!((single - exact[axis]).abs() < 1e-6, "{n:?} axis {axis}: {single} is not {} in f32", exact[axis]);
        }
    }
}
