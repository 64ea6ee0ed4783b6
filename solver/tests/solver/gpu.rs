//! Whole simulations on graphics devices against the processor.

use spinloom_gpu::cuda::Cuda;
use spinloom_gpu::vulkan::Vulkan;
use spinloom_gpu::{Backend, Found, GpuError, Kernel, Launch, Memory, Precision, Program, Recording};
use spinloom_kernels::gpu::Gpu;
use spinloom_kernels::{Material, Mesh, ParameterId as P, RegionMap, Replica, System, Values, Waveform};
use spinloom_solver::{DemagEvery, DeviceChoice, Simulation, Step, devices, tableau};
use std::sync::{Arc, Mutex};

/// The first device of each interface, Vulkan and CUDA, as `f64` and `f32`; says so where there is none.
pub fn graphics() -> Vec<[DeviceChoice; 2]> {
    let there = |name: &str| {
        let found = devices::list().iter().any(|d| d.usable && d.name.starts_with(name));
        if !found {
            eprintln!("SKIPPED: no {name} device here");
        }
        found
    };
    let both = |of: fn(usize, Precision) -> DeviceChoice| [of(0, Precision::Double), of(0, Precision::Single)];
    let of: [(&str, fn(usize, Precision) -> DeviceChoice); 2] = [("vulkan", DeviceChoice::Vulkan), ("cuda", DeviceChoice::Cuda)];
    of.into_iter().filter(|(name, _)| there(name)).map(|(_, of)| both(of)).collect()
}

/// What a user calls the device: `vulkan:0`.
pub fn name_of(choice: DeviceChoice) -> String {
    choice.to_string().split(',').next().expect("a name").to_string()
}

fn material(list: &[(P, f64)]) -> Values {
    let mut v = Values::default();
    list.iter().for_each(|(p, x)| v.set_scalar(*p, *x));
    v
}

fn worst(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

/// muMAG standard problem 4, field 1, on coarse cells: relaxed, then 0.3 ns. Mean m.
fn problem4(choice: DeviceChoice) -> Vec<f64> {
    let mesh = Mesh::new([50, 13, 1], [1e-8, 125e-9 / 13.0, 3e-9]);
    let cells = mesh.cells();
    let v = material(&[(P::Msat, 8e5), (P::Aex, 1.3e-11), (P::Alpha, 0.02)]);
    let system = System::new(mesh, RegionMap::uniform(cells), Material::uniform(v, 1));
    let mut sim = Simulation::new(system, choice, &tableau::RK45, Step::Adaptive { max_err: 1e-5 }).unwrap();
    sim.set_m(0, &(0..3 * cells).map(|i| [1.0, 0.1, 0.0][i / cells]).collect::<Vec<_>>());
    sim.relax();
    sim.system.replicas[0].material.set_everywhere(P::BExt, [-24.6e-3, 4.3e-3, 0.0]);
    sim.apply(0);
    let mut means = Vec::new();
    for k in 1..=3 {
        sim.run_all_to(f64::from(k) * 1e-10);
        let m = sim.m(0);
        means.extend((0..3).map(|c| m[c * cells..(c + 1) * cells].iter().sum::<f64>() / cells as f64));
    }
    means
}

#[test]
fn standard_problem_4_is_the_same_on_a_graphics_device() {
    let exact = problem4(DeviceChoice::CpuDouble);
    for (choice, bound) in graphics().into_iter().flat_map(|[double, single]| [(single, 2e-4), (double, 1e-5)]) {
        let off = worst(&exact, &problem4(choice));
        println!("{choice:?}: <m> differs by {off:.1e}");
        // Steps are chosen by rounded errors, and each is good to 1e-5; relaxation ends where rounding lets it.
        assert!(off < bound, "{choice:?}: {off}");
    }
}

/// The domain-wall device, three replicas of their own current and region map, with a waveform on the field; 40 ps in fixed steps.
fn walls(choice: DeviceChoice) -> Vec<Vec<f64>> {
    let mesh = Mesh::new([48, 12, 1], [4e-9, 4e-9, 1e-9]);
    let cells = mesh.cells();
    let mut v = material(&[(P::Msat, 1e6), (P::Aex, 15e-12), (P::Ku1, 1e6), (P::Dind, 5e-4), (P::Alpha, 0.012), (P::ThetaSh, 0.5)]);
    v.set(P::BExt, [0.0, 0.0, 0.05]);
    let map = RegionMap::new((0..cells).map(|i| u16::from(i % 48 >= 16)).collect(), 2);
    let mut system = System::new(mesh, map.clone(), Material { regions: vec![v.clone(), v], ..Default::default() });
    let first = system.replicas[0].clone();
    system.replicas = (0..3)
        .map(|r| {
            let mut replica = Replica { id: r, ..first.clone() };
            replica.material.set_everywhere(P::J, [-7e11 + 2e11 * r as f64, 0.0, 0.0]);
            replica.material.regions[0].set(P::BExt, [0.0, 0.0, -0.1]);
            // Replicas name their waveforms in different orders, and not all have all.
            let sine = (P::BExt, Waveform::Sine { offset: 1.0, amplitude: 0.5, frequency: 2e10, phase: 0.3 });
            let linear = (P::J, Waveform::Linear(vec![(0.0, 0.0), (7e-12, 1.0), (30e-12, 0.5)]));
            let steps = (P::Ku1, Waveform::Steps(vec![(0.0, 1.0), (20.3e-12, 0.95)]));
            let own = [vec![sine.clone(), linear.clone(), steps.clone()], vec![steps, sine], vec![linear]];
            own[r as usize].iter().for_each(|(p, w)| replica.material.set_waveform(*p, w.clone()));
            if r == 2 {
                let mut holes = map.clone();
                holes.cells[40] = RegionMap::VACUUM;
                replica.regions = Some(holes);
            }
            replica
        })
        .collect();
    system.terms = system.terms_in_use();
    let mut sim = Simulation::new(system, choice, &tableau::RKF45, Step::Fixed(1e-13)).unwrap();
    let m: Vec<f64> = (0..3 * cells)
        .map(|i| {
            let s = ((i % 48) as f64 - 15.5) * 4.0 / 6.0;
            [1.0 / s.cosh(), 0.0, s.tanh()][i / cells]
        })
        .collect();
    (0..3).for_each(|r| sim.set_m(r, &m));
    sim.run_all_to(20e-12);
    // One gets a waveform on the way, longer than any before it.
    let long: Vec<(f64, f64)> = (0..200).map(|k| (20e-12 + 0.1e-12 * f64::from(k), 1.0 + 0.3 * (0.2 * f64::from(k)).sin())).collect();
    sim.system.replicas[2].material.set_waveform(P::BExt, Waveform::Linear(long));
    sim.apply(2);
    sim.run_all_to(40e-12);
    assert!((0..3).all(|r| sim.control(r).t == 40e-12 && sim.control(r).evaluations > 0));
    (0..3).map(|r| sim.m(r)).collect()
}

#[test]
fn an_ensemble_of_walls_is_the_same_on_a_graphics_device() {
    let exact = walls(DeviceChoice::CpuDouble);
    let graphics = graphics();
    let choices = graphics.iter().flat_map(|[double, single]| [(*double, 1e-6), (*single, 2e-3)]);
    for (choice, bound) in choices.chain([(DeviceChoice::CpuSingle, 2e-3)]) {
        let found = walls(choice);
        let off = (0..3).map(|r| worst(&exact[r], &found[r])).fold(0.0, f64::max);
        println!("{choice:?}: m differs by {off:.1e}");
        // 400 steps of 6 evaluations; in f32 each rounds by 1e-7 of fields of tens of tesla. Waveforms are made in f32 on graphics devices.
        assert!(off < bound, "{choice:?}: {off}");
    }
    for [_, single] in graphics {
        assert_eq!(walls(single), walls(single), "two runs on one device are equal to the bit");
    }
}

#[test]
fn noise_and_minimisation_are_the_same_on_a_graphics_device() {
    let mesh = Mesh::new([20, 10, 1], [4e-9, 4e-9, 2e-9]);
    let cells = mesh.cells();
    let run = |choice, hot: bool| {
        let mut v = material(&[(P::Msat, 8e5), (P::Aex, 1.3e-11), (P::Alpha, 0.1)]);
        v.set_scalar(P::Temp, if hot { 300.0 } else { 0.0 });
        let mut system = System::new(mesh, RegionMap::uniform(cells), Material::uniform(v, 1));
        system.seed = 9;
        system.replicas.push(Replica { id: 5, ..system.replicas[0].clone() });
        let mut sim = Simulation::new(system, choice, &tableau::HEUN, Step::Fixed(1e-13)).unwrap();
        let start: Vec<f64> = (0..3 * cells).map(|i| [1.0, 0.3, 0.1][i / cells]).collect();
        (0..2).for_each(|r| sim.set_m(r, &start));
        if hot {
            sim.run_all_to(5e-12);
        } else {
            assert!(sim.minimise(1e-5, 20_000).iter().all(Option::is_some), "{choice:?} finds no minimum");
        }
        (0..2).map(|r| sim.m(r)).collect::<Vec<_>>()
    };
    for (hot, bound) in [(true, 1e-4), (false, 2e-3)] {
        let exact = run(DeviceChoice::CpuDouble, hot);
        for choice in graphics().into_iter().map(|[_, single]| single).chain([DeviceChoice::CpuSingle]) {
            let found = run(choice, hot);
            let off = f64::max(worst(&exact[0], &found[0]), worst(&exact[1], &found[1]));
            println!("{}, {choice:?}: m differs by {off:.1e}", if hot { "5 ps at 300 K" } else { "minimum" });
            assert!(off < bound, "{choice:?}: {off}");
        }
        assert_eq!(exact[0] == exact[1], !hot, "replicas have noise of their own");
    }
}

/// The demagnetising field computed less often than the rest: a thick strip, 20 ps.
#[test]
fn a_sampled_demagnetising_field_is_the_same_on_a_graphics_device() {
    let mesh = Mesh::new([40, 10, 1], [4e-9, 4e-9, 5e-9]);
    let cells = mesh.cells();
    let run = |choice, every| {
        let v = material(&[(P::Msat, 8e5), (P::Aex, 1.3e-11), (P::Alpha, 0.1)]);
        let system = System::new(mesh, RegionMap::uniform(cells), Material::uniform(v, 1));
        let mut sim = Simulation::with_demag_every(system, choice, &tableau::RK45, Step::Adaptive { max_err: 1e-6 }, every).unwrap();
        sim.set_m(0, &(0..3 * cells).map(|i| [1.0, 0.1 * (i % 7) as f64, 0.4][i / cells]).collect::<Vec<_>>());
        for k in 1..=4 {
            sim.run_all_to(f64::from(k) * 5e-12);
        }
        (sim.m(0), sim.control(0))
    };
    for every in [DemagEvery::Adaptive { max_err: 1e-5 }, DemagEvery::Time(1e-13)] {
        let (exact, c) = run(DeviceChoice::CpuDouble, every);
        let (plain, _) = run(DeviceChoice::CpuDouble, DemagEvery::Evaluation);
        for (choice, bound) in graphics().into_iter().flat_map(|[double, single]| [(double, 1e-5), (single, 1e-4)]) {
            let (found, d) = run(choice, every);
            let off = worst(&exact, &found);
            println!(
                "{every:?} {choice:?}: m differs by {off:.1e} from the processor's, which is {:.1e} from that without samples; {} and {} samples in {} steps",
                worst(&exact, &plain),
                c.sampling.taken,
                d.sampling.taken,
                d.steps
            );
            // Steps and intervals follow rounded errors; what is extrapolated is good to max_err an interval.
            assert!(off < bound, "{off}");
            assert!(d.sampling.taken.abs_diff(c.sampling.taken) <= 1 + c.sampling.taken / 20);
            assert!(d.sampling.taken <= d.steps);
        }
    }
}

/// A device that counts what it is asked.
struct Counting(Box<dyn Backend>, Arc<Mutex<Counts>>);

/// The first device of each interface.
fn backends() -> Vec<Box<dyn Backend>> {
    let vulkan = Vulkan::open(0).map(|v| Box::new(v) as Box<dyn Backend>);
    let cuda = Cuda::open(0).map(|c| Box::new(c) as Box<dyn Backend>);
    [vulkan, cuda].into_iter().filter_map(|b| b.map_err(|e| eprintln!("SKIPPED: {e}")).ok()).collect()
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Counts {
    allocations: usize,
    compilations: usize,
    recordings: usize,
    /// Submissions: each waits once.
    submissions: usize,
    replays: usize,
    reads: usize,
    writes: usize,
}

impl Counting {
    fn count(&self, f: impl FnOnce(&mut Counts)) {
        f(&mut self.1.lock().unwrap());
    }
}

impl Backend for Counting {
    fn found(&self) -> &Found {
        self.0.found()
    }
    fn allocate(&mut self, bytes: usize) -> Result<Memory, GpuError> {
        self.count(|c| c.allocations += 1);
        self.0.allocate(bytes)
    }
    fn free(&mut self, memory: Memory) {
        self.0.free(memory);
    }
    fn write(&mut self, memory: Memory, offset: usize, bytes: &[u8]) -> Result<(), GpuError> {
        self.count(|c| c.writes += 1);
        self.0.write(memory, offset, bytes)
    }
    fn read(&self, memory: Memory, offset: usize, bytes: &mut [u8]) -> Result<(), GpuError> {
        self.count(|c| c.reads += 1);
        self.0.read(memory, offset, bytes)
    }
    fn compile(&mut self, kernel: &Kernel) -> Result<Program, GpuError> {
        self.count(|c| c.compilations += 1);
        self.0.compile(kernel)
    }
    fn record(&mut self, launches: &[Launch]) -> Result<Recording, GpuError> {
        self.count(|c| c.recordings += 1);
        self.0.record(launches)
    }
    fn replay(&mut self, recording: Recording, times: usize) -> Result<(), GpuError> {
        self.count(|c| {
            c.submissions += 1;
            c.replays += times;
        });
        self.0.replay(recording, times)
    }
    fn forget(&mut self) {
        self.0.forget();
    }
}

/// A device that fails at one of its duties.
struct Failing(Counting, fn(&Counts) -> bool, GpuError);

impl Failing {
    fn now(&self) -> Result<(), GpuError> {
        if (self.1)(&self.0.1.lock().unwrap()) { Err(self.2.clone()) } else { Ok(()) }
    }
}

impl Backend for Failing {
    fn found(&self) -> &Found {
        self.0.found()
    }
    fn allocate(&mut self, bytes: usize) -> Result<Memory, GpuError> {
        let memory = self.0.allocate(bytes)?;
        self.now().map(|()| memory)
    }
    fn free(&mut self, memory: Memory) {
        self.0.free(memory);
    }
    fn write(&mut self, memory: Memory, offset: usize, bytes: &[u8]) -> Result<(), GpuError> {
        self.0.write(memory, offset, bytes)
    }
    fn read(&self, memory: Memory, offset: usize, bytes: &mut [u8]) -> Result<(), GpuError> {
        self.0.read(memory, offset, bytes)
    }
    fn compile(&mut self, kernel: &Kernel) -> Result<Program, GpuError> {
        let program = self.0.compile(kernel)?;
        self.now().map(|()| program)
    }
    fn record(&mut self, launches: &[Launch]) -> Result<Recording, GpuError> {
        self.0.record(launches)
    }
    fn replay(&mut self, recording: Recording, times: usize) -> Result<(), GpuError> {
        self.0.replay(recording, times)?;
        self.now()
    }
    fn forget(&mut self) {
        self.0.forget();
    }
}

/// No room, a kernel that does not compile, a device that is lost on the way: who, what and where is told, and nothing goes on.
#[test]
fn a_failing_device_says_what_failed() {
    let mesh = Mesh::new([16, 16, 1], [4e-9, 4e-9, 2e-9]);
    let v = material(&[(P::Msat, 8e5), (P::Aex, 1.3e-11), (P::Alpha, 0.1)]);
    let system = System::new(mesh, RegionMap::uniform(256), Material::uniform(v, 1));
    for k in 0..backends().len() {
        let name = backends()[k].found().name.clone();
        let build = |when: fn(&Counts) -> bool, error: GpuError| {
            let counting = Counting(backends().swap_remove(k), Arc::default());
            let gpu = Gpu::new(&system, Box::new(Failing(counting, when, error)), Precision::Single)?;
            Simulation::on(Box::new(gpu), system.clone(), &tableau::RK45, Step::Adaptive { max_err: 1e-5 }, DemagEvery::Evaluation)
        };
        let full = GpuError::OutOfMemory { bytes: 4096, why: "full".into() };
        let told = build(|c| c.allocations == 1, full).map(|_| ()).unwrap_err().to_string();
        assert!(told.contains(&name) && told.contains("`parameters`") && told.contains("bytes"), "{told}");
        let bad = GpuError::Compile { kernel: "cells".into(), why: "a brace".into() };
        let told = build(|c| c.compilations == 5, bad).map(|_| ()).unwrap_err().to_string();
        assert!(told.contains(&name) && told.contains("`cells`") && told.contains("a brace"), "{told}");
        let mut sim = build(|c| c.submissions == 20, GpuError::Lost("gone".into())).unwrap_or_else(|e| panic!("{e}"));
        sim.set_m(0, &vec![1.0; 768]);
        sim.run_all_to(1e-9);
        let told = sim.trouble().expect("it was lost").to_string();
        assert!(told.contains(&name) && told.contains("gone") && told.contains("plan `"), "{told}");
        assert!(sim.control(0).t < 1e-9 && sim.control(0).status == spinloom_kernels::Status::NotANumber);
    }
}

#[test]
fn a_run_on_a_graphics_device_keeps_its_budgets() {
    backends().into_iter().for_each(keeps_its_budgets);
}

fn keeps_its_budgets(backend: Box<dyn Backend>) {
    let counts = Arc::new(Mutex::new(Counts::default()));
    let mesh = Mesh::new([16, 16, 1], [4e-9, 4e-9, 2e-9]);
    let mut v = material(&[(P::Msat, 8e5), (P::Aex, 1.3e-11), (P::Alpha, 0.1)]);
    v.set(P::BExt, [0.1, 0.2, 0.0]);
    let mut system = System::new(mesh, RegionMap::uniform(256), Material::uniform(v, 1));
    system.replicas = (0..4).map(|id| Replica { id, ..system.replicas[0].clone() }).collect();
    let gpu = Gpu::new(&system, Box::new(Counting(backend, counts.clone())), Precision::Single).unwrap();
    let mut sim = Simulation::on(Box::new(gpu), system, &tableau::RK45, Step::Adaptive { max_err: 1e-5 }, DemagEvery::Evaluation).unwrap();
    (0..4).for_each(|r| sim.set_m(r, &vec![1.0; 768]));
    sim.run_all_to(1e-12);
    let (before, attempts) = (counts.lock().unwrap().clone(), sim.control(0).attempts);
    sim.run_all_to(100e-12);
    let after = counts.lock().unwrap().clone();
    let attempts = sim.control(0).attempts - attempts;
    let (replays, submissions) = (after.replays - before.replays, after.submissions - before.submissions);
    println!("{attempts} attempts of four replicas: {replays} replays in {submissions} submissions, {} reads", after.reads - before.reads);
    // Nothing is made once a run goes; one wait a submission, and two small reads after it.
    assert_eq!((after.allocations, after.compilations, after.recordings), (before.allocations, before.compilations, before.recordings));
    assert!(submissions <= attempts as usize && after.reads - before.reads == 2 * submissions);
    // A batch is not cut short, but at most fifteen replays find nothing to do.
    assert!(replays <= attempts as usize + 15, "{replays} replays for {attempts} attempts");
    let evaluations = sim.plan().evaluations();
    println!("{} passes for {evaluations} evaluations", sim.plan().passes.len());
    assert!(sim.plan().passes.len() <= 2 * evaluations + 3);
}
