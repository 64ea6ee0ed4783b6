//! The CPU device against the reference on meshes of every shape, with every instruction set: where rows end, where sizes are odd or prime, periodic and
//! open, flat and deep, whole and with holes. One material everywhere: laws and motion in one loop.

use spinloom_kernels::cpu::isa::Isa;
use spinloom_kernels::plan::{Cells, Combine, Pass, Plan, Ref};
use spinloom_kernels::{Device, Material, Mesh, ParameterId as P, RegionMap, System, Values, cpu};

fn system(n: [usize; 3], pbc: [u32; 3]) -> System {
    let mut v = Values::default();
    for (p, x) in [(P::Msat, 8e5), (P::Aex, 1.3e-11), (P::Dind, 1e-3), (P::Ku1, 5e5), (P::Alpha, 0.1), (P::ThetaSh, 0.3)] {
        v.set_scalar(p, x);
    }
    v.set(P::AnisU, [0.1, 0.2, 0.97]);
    v.set(P::BExt, [0.1, -0.2, 0.05]);
    v.set(P::J, [1e12, 2e11, 0.0]);
    let mesh = Mesh { pbc, ..Mesh::new(n, [2e-9, 3e-9, 4e-9]) };
    System::new(mesh, RegionMap::uniform(mesh.cells()), Material::uniform(v, 1))
}

/// The rate and the combined state.
fn evaluate(mut device: Box<dyn Device>, system: &System, m0: &[f64]) -> [Vec<f64>; 2] {
    let [m, b, rate, out] = ["m", "b", "rate", "out"].map(|name| device.allocate(name, 1).unwrap());
    device.upload(0, m, false, m0);
    let combine = Some(Combine { base: Ref::of(m), weights: vec![(Ref::of(rate), 1.0)], out: Ref::of(out) });
    let cells = Cells { combine, measure: true, ..Cells::torque(system.terms.len(), Ref::of(m), Ref::of(b), Ref::of(rate)) };
    let passes = vec![Pass::Convolve { read: Ref::of(m), write: Ref::of(b) }, Pass::Cells(cells)];
    let plan = device.prepare(&Plan { name: "one evaluation".into(), passes }).unwrap();
    device.replay(plan, 1);
    let (rate, cells) = (device.download(0, rate, false), system.mesh.cells());
    let largest = (0..cells).map(|i| (0..3).map(|c| rate[c * cells + i].powi(2)).sum::<f64>().sqrt()).fold(0.0, f64::max);
    assert!((device.control(0).torque - largest).abs() <= 1e-6 * largest);
    [rate, device.download(0, out, false)]
}

#[test]
fn every_shape_and_instruction_set_agrees_with_the_reference() {
    let open = [0; 3];
    let shapes: &[([usize; 3], [u32; 3])] = &[
        ([1, 1, 1], open),
        ([2, 1, 1], open),
        ([17, 1, 1], open),
        ([1, 19, 1], open),
        ([1, 1, 9], open),
        ([300, 2, 1], open),
        ([5, 7, 1], open),
        ([16, 16, 1], open),
        ([33, 23, 1], open),
        ([64, 11, 1], open),
        ([40, 1, 6], open),
        ([1, 12, 5], open),
        ([9, 8, 7], open),
        ([13, 5, 2], open),
        ([10, 6, 3], open),
        ([7, 9, 1], [1, 0, 0]),
        ([8, 9, 1], [0, 2, 0]),
        ([11, 13, 1], [1, 1, 0]),
        ([22, 4, 1], [1, 0, 0]),
        ([6, 5, 4], [0, 0, 1]),
        ([5, 6, 3], [1, 1, 1]),
        ([12, 10, 1], [0, 0, 2]),
    ];
    for (n, pbc, holes) in shapes.iter().flat_map(|(n, pbc)| [(n, pbc, false), (n, pbc, true)]) {
        let mut system = system(*n, *pbc);
        let cells = system.mesh.cells();
        if holes && cells < 4 {
            continue;
        }
        if holes {
            // A round shape's corners, and a hole.
            let gone = |i: usize| i % 7 == 3 || i < cells / 9 || (i * i) % 23 == 5;
            system.regions.cells.iter_mut().enumerate().filter(|(i, _)| gone(*i)).for_each(|(_, r)| *r = RegionMap::VACUUM);
        }
        let mut m = vec![0.0; 3 * cells];
        for i in 0..cells {
            let (a, b) = (0.7 * i as f64 + 0.3 * ((i * i) % 17) as f64, 0.4 + 0.9 * ((i * 7) % 5) as f64);
            if system.regions.cells[i] != RegionMap::VACUUM {
                (m[i], m[cells + i], m[2 * cells + i]) = (a.cos() * b.sin(), a.sin() * b.sin(), b.cos());
            }
        }
        let exact = evaluate(cpu::reference(&system).unwrap(), &system, &m);
        let scale = exact[0].iter().fold(0.0f64, |s, v| s.max(v.abs()));
        for isa in Isa::available() {
            // Rounding of a sum over the mesh, and of the transforms.
            for (precision, tolerance) in [("f64", 1e-12), ("f32", 2e-6)] {
                let device = if precision == "f64" { cpu::double_with(&system, isa) } else { cpu::single_with(&system, isa) }.unwrap();
                let found = evaluate(device, &system, &m);
                for (what, unit) in [(0, scale), (1, 1.0)] {
                    let off = exact[what].iter().zip(&found[what]).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                    assert!(off < tolerance * unit, "{n:?} {pbc:?} {holes} {isa:?} {precision} {what}: {:e}", off / unit);
                }
            }
        }
    }
}
