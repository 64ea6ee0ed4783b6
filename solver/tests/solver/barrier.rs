//! Energy barriers against closed forms.

use spinloom_kernels::{Material, Mesh, ParameterId as P, RegionMap, System, Term, Values};
use spinloom_solver::DeviceChoice;
use spinloom_solver::barrier::{Options, barrier};

fn system(n: [usize; 3], cell: [f64; 3], set: &[(P, [f64; 3])]) -> System {
    let mut v = Values::default();
    set.iter().for_each(|(p, x)| v.set(*p, *x));
    let mesh = Mesh::new(n, cell);
    let mut s = System::new(mesh, RegionMap::uniform(mesh.cells()), Material::uniform(v, 1));
    s.terms.retain(|t| *t != Term::Demag);
    s
}

fn uniform(cells: usize, m: [f64; 3]) -> Vec<f64> {
    (0..3 * cells).map(|i| m[i / cells]).collect()
}

#[test]
fn a_macrospin_has_the_barriers_of_its_closed_form() {
    let (k, ms, side) = (1e5, 8e5, 5e-9_f64);
    let volume = side.powi(3);
    for b in [0.0, 0.05] {
        let s = system(
            [1, 1, 1],
            [side; 3],
            &[(P::Msat, [ms, 0.0, 0.0]), (P::Ku1, [k, 0.0, 0.0]), (P::AnisU, [0.0, 0.0, 1.0]), (P::BExt, [0.0, 0.0, b])],
        );
        let options = Options { images: 11, tolerance: 1e-7, limit: 20_000 };
        let path =
            barrier(&s, DeviceChoice::CpuDouble, [&uniform(1, [0.0, 0.0, 1.0]), &uniform(1, [0.0, 0.0, -1.0])], [1.0, 0.0, 0.0], &options)
                .unwrap();
        // Stoner and Wohlfarth: K V (1 ± B/B_K)² with B_K = 2K/Ms.
        let x = b / (2.0 * k / ms);
        let want = [k * volume * (1.0 + x).powi(2), k * volume * (1.0 - x).powi(2)];
        for (found, want) in path.heights().iter().zip(want) {
            assert!((found / want - 1.0).abs() < 1e-6, "{found:e} {want:e} after {} steps, torque {:e}", path.steps, path.torque);
        }
    }
}

#[test]
fn a_wire_reverses_by_a_wall_from_its_end() {
    // Much longer than a wall: at the saddle one wall stands in the wire, whose energy is 4 sqrt(A K) per area, wherever it stands.
    let (a, k, ms) = (1e-11, 4e5, 8e5);
    let (cell, n) = ([1e-9, 4e-9, 4e-9], 120);
    let s = system(
        [n, 1, 1],
        cell,
        &[(P::Msat, [ms, 0.0, 0.0]), (P::Aex, [a, 0.0, 0.0]), (P::Ku1, [k, 0.0, 0.0]), (P::AnisU, [0.0, 0.0, 1.0])],
    );
    // The path begins with a wall that moves in from the left: the last state is reached through states with a wall at every place.
    let state = |at: f64| -> Vec<f64> {
        let width = (a / k).sqrt();
        let theta = |i: usize| 2.0 * ((((i as f64 + 0.5) * cell[0] - at) / width).clamp(-40.0, 40.0)).exp().atan();
        (0..3 * n)
            .map(|i| match i / n {
                0 => theta(i % n).sin(),
                2 => theta(i % n).cos(),
                _ => 0.0,
            })
            .collect()
    };
    let options = Options { images: 15, tolerance: 2e-3, limit: 4000 };
    let up = uniform(n, [0.0, 0.0, 1.0]);
    let middle = state(60e-9);
    let path = barrier(&s, DeviceChoice::CpuDouble, [&up, &middle], [1.0, 0.0, 0.0], &options).unwrap();
    let wall = 4.0 * (a * k).sqrt() * cell[1] * cell[2];
    let found = path.heights()[0] / wall;
    // On cells of a fifth of the wall's width parameter the exchange of a wall is low by (cell/width)²/24, 0.2 %.
    println!("barrier over the wall's energy {found:.4} after {} steps, torque {:.1e} T", path.steps, path.torque);
    assert!((found - 1.0).abs() < 0.01, "{found}");
}
