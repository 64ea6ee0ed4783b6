//! Times of the CPU device's passes on one thread, per million cells: `cargo bench -p spinloom-kernels`, with a filter such as `convolution/f32/64x64x1`.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use spinloom_kernels::plan::{Cells, Combine, Pass, Plan, Ref};
use spinloom_kernels::{Device, Material, Mesh, ParameterId as P, RegionMap, System, Values, cpu};
use std::time::Duration;

const GRIDS: [[usize; 3]; 8] =
    [[64, 64, 1], [128, 32, 1], [384, 64, 1], [256, 256, 1], [1024, 1024, 1], [64, 64, 64], [128, 128, 32], [128, 128, 128]];

fn system(n: [usize; 3]) -> System {
    let mut v = Values::default();
    for (p, x) in [(P::Msat, 8e5), (P::Aex, 1.3e-11), (P::Ku1, 5e4), (P::Alpha, 0.02)] {
        v.set_scalar(p, x);
    }
    v.set(P::AnisU, [0.0, 0.0, 1.0]);
    v.set(P::BExt, [10e-3, 5e-3, 2e-3]);
    let mesh = Mesh::new(n, [4e-9; 3]);
    System::new(mesh, RegionMap::uniform(mesh.cells()), Material::uniform(v, 1))
}

fn passes(c: &mut Criterion) {
    rayon::ThreadPoolBuilder::new().num_threads(1).build_global().expect("a thread");
    for n in GRIDS {
        for precision in ["f32", "f64"] {
            {
                let system = system(n);
                let mut device = if precision == "f32" { cpu::single(&system) } else { cpu::double(&system) }.expect("a device");
                let buffer = |device: &mut Box<dyn Device>, name| device.allocate(name, 1).expect("memory");
                let [m, b, rate, out] = ["m", "b", "rate", "out"].map(|name| buffer(&mut device, name));
                let cells: usize = n.iter().product();
                let tilted = |i: usize| [0.6, 0.0, 0.8][i / cells] + 1e-3 * (i % 7) as f64;
                device.upload(0, m, false, &(0..3 * cells).map(tilted).collect::<Vec<_>>());
                let convolve = Pass::Convolve { read: Ref::of(m), write: Ref::of(b) };
                let combine = Some(Combine { base: Ref::of(m), weights: vec![(Ref::of(rate), 0.5)], out: Ref::of(out) });
                let torque = Pass::Cells(Cells { combine, ..Cells::torque(system.terms.len(), Ref::of(m), Ref::of(b), Ref::of(rate)) });
                for (name, pass) in [("convolution", convolve), ("cells", torque)] {
                    let plan = device.prepare(&Plan { name: name.into(), passes: vec![pass] }).expect("a plan");
                    let mut group = c.benchmark_group(format!("{name}/{precision}"));
                    group.throughput(Throughput::Elements(cells as u64)).sample_size(10);
                    group.warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_secs(1));
                    let [x, y, z] = n;
                    group.bench_function(BenchmarkId::from_parameter(format!("{x}x{y}x{z}")), |b| b.iter(|| device.replay(plan, 1)));
                    group.finish();
                }
            }
        }
    }
}

criterion_group!(benches, passes);
criterion_main!(benches);
