//! Nothing is allocated once a run goes.

use spinloom_kernels::{Material, Mesh, ParameterId as P, RegionMap, System, Values};
use spinloom_solver::{DemagEvery, DeviceChoice, Simulation, Step, tableau};
use std::alloc::{GlobalAlloc, Layout, System as Heap};
use std::cell::Cell;

thread_local! {
    static TAKEN: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator, counting what this thread takes.
struct Counting;

// SAFETY: everything is the system's.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = TAKEN.try_with(|n| n.set(n.get() + 1));
        // SAFETY: as for the caller.
        unsafe { Heap.alloc(layout) }
    }
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as for the caller.
        unsafe { Heap.dealloc(memory, layout) }
    }
}

#[global_allocator]
static HEAP: Counting = Counting;

#[test]
fn a_running_simulation_allocates_nothing() {
    let mut v = Values::default();
    for (p, x) in [(P::Msat, 1e6), (P::Aex, 15e-12), (P::Ku1, 1e6), (P::Dind, 5e-4), (P::Alpha, 0.012), (P::ThetaSh, 0.5)] {
        v.set_scalar(p, x);
    }
    v.set(P::J, [-7e11, 0.0, 0.0]);
    for (n, temperature) in [([48, 12, 1], 0.0), ([12, 10, 8], 0.0), ([48, 12, 1], 300.0)] {
        let mesh = Mesh::new(n, [4e-9, 4e-9, 1e-9]);
        let cells = mesh.cells();
        for choice in [DeviceChoice::CpuDouble, DeviceChoice::CpuSingle] {
            for every in [DemagEvery::Evaluation, DemagEvery::Time(20e-15)] {
                let mut v = v.clone();
                v.set_scalar(P::Temp, temperature);
                let system = System::new(mesh, RegionMap::uniform(cells), Material::uniform(v, 1));
                let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
                // One thread does all the work, so its count is the count.
                let taken = pool.install(|| {
                    let (method, step) = if temperature > 0.0 {
                        (&tableau::HEUN, Step::Fixed(20e-15))
                    } else {
                        (&tableau::RK45, Step::Adaptive { max_err: 1e-6 })
                    };
                    let mut sim = Simulation::with_demag_every(system, choice, method, step, every).unwrap();
                    sim.set_m(0, &(0..3 * cells).map(|i| [0.1, 0.2, 1.0][i / cells]).collect::<Vec<_>>());
                    sim.run_all_to(1e-12);
                    let before = (TAKEN.with(Cell::get), sim.control(0).steps);
                    sim.run_to(0, 9e-12);
                    sim.advance();
                    (TAKEN.with(Cell::get) - before.0, sim.control(0).steps - before.1)
                });
                println!("{n:?}, {temperature} K, {choice:?}, {every:?}: {} allocations in {} steps", taken.0, taken.1);
                assert!(taken.1 >= 10 && taken.0 == 0, "{n:?}, {temperature} K, {choice:?}, {every:?}: {taken:?}");
            }
        }
    }
}
