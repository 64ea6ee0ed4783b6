//! Where the time of one evaluation goes: `cargo run --release -p spinloom-kernels --example speed -- 192 32 1`.

use spinloom_kernels::cpu;
use spinloom_kernels::plan::{Cells, Combine, Motion, Pass, Plan, Ref};
use spinloom_kernels::{Material, Mesh, ParameterId as P, RegionMap, System, Values};
use std::time::Instant;

fn main() {
    let n: Vec<usize> = std::env::args().skip(1).map(|a| a.parse().expect("a number of cells")).collect();
    let n = [n[0], n[1], n[2]];
    let mut v = Values::default();
    for (p, x) in [(P::Msat, 1e6), (P::Aex, 15e-12), (P::Ku1, 1e6), (P::Dind, 0.5e-3), (P::Alpha, 0.012), (P::ThetaSh, 0.5)] {
        v.set_scalar(p, x);
    }
    v.set(P::J, [7e11, 0.0, 0.0]);
    let mesh = Mesh::new(n, [2e-9, 2e-9, 1e-9]);
    let system = System::new(mesh, RegionMap::uniform(mesh.cells()), Material::uniform(v, 1));
    let mut device = cpu::single(&system).expect("an open mesh");
    let [m, b, k, next] = ["m", "B", "k", "next"].map(|name| device.allocate(name, 1).expect("memory"));
    let start: Vec<f64> = (0..3 * mesh.cells()).map(|i| if i < 2 * mesh.cells() { 0.1 } else { 0.99 }).collect();
    device.upload(0, m, false, &start);
    println!("{:?}", device.info());
    let convolve = Pass::Convolve { read: Ref::of(m), write: Ref::of(b) };
    let cells = |terms: Vec<usize>, combine: bool| {
        Pass::Cells(Cells {
            read: Ref::of(m),
            terms,
            convolved: Some(Ref::of(b)),
            noise: None,
            custom: None,
            time: 0.0,
            motion: Some(Motion::Llg),
            write: Ref::of(k),
            combine: combine.then(|| Combine { base: Ref::of(m), weights: vec![(Ref::of(k), 0.5); 4], out: Ref::of(next) }),
            error: None,
            measure: true,
        })
    };
    let all: Vec<usize> = (0..system.terms.len()).collect();
    for (name, pass) in [
        ("convolution", convolve),
        ("noise", Pass::Noise(Ref::of(b))),
        ("torque alone", cells(vec![], false)),
        ("cells, all terms", cells(all.clone(), false)),
        ("cells, all terms, four rates", cells(all, true)),
    ] {
        let plan = device.prepare(&Plan { name: name.into(), passes: vec![pass] }).expect("a simple plan");
        device.replay(plan, 3);
        let mut best = f64::INFINITY;
        let repeat = (4_000_000 / mesh.cells()).clamp(1, 200);
        for _ in 0..15 {
            let clock = Instant::now();
            device.replay(plan, repeat);
            best = best.min(clock.elapsed().as_secs_f64() / repeat as f64);
        }
        println!("{name:<30} {:>8.2} ns a cell", 1e9 * best / mesh.cells() as f64);
    }
}
