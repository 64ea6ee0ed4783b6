//! The energy barrier between two states: the simplified string method, with a climbing image.
//!
//! W. E, W. Ren and E. Vanden-Eijnden, J. Chem. Phys. 126, 164103 (2007): images between the two states descend the energy across the path, and are
//! spread evenly along it again when they have drifted. Once the path stands still, its highest image climbs: the part of its force along the path is turned
//! round (G. Henkelman, B. P. Uberuaga and H. Jónsson, J. Chem. Phys. 113, 9901 (2000), eq. 5). The images are the replicas of one ensemble.

use crate::devices::DeviceChoice;
use crate::simulation::{Simulation, Step};
use crate::tableau::HEUN;
use spinloom_kernels::{DeviceError, Mesh, ParameterId as P, RegionMap, Replica, System, Term};

/// A path of least energy.
#[derive(Clone, Debug)]
pub struct Barrier {
    /// States along the path, `[component][z][y][x]`, both ends included.
    pub images: Vec<Vec<f64>>,
    /// Their energies (J).
    pub energies: Vec<f64>,
    /// Way along the path (rad): the root of the sum over the magnet of the squared turns.
    pub way: Vec<f64>,
    /// The highest image.
    pub saddle: usize,
    /// Largest torque across the path, at any image (T); at the saddle along it too.
    pub torque: f64,
    /// Descent steps taken.
    pub steps: usize,
}

impl Barrier {
    /// From the first state over the saddle, and from the last (J).
    pub fn heights(&self) -> [f64; 2] {
        let top = self.energies[self.saddle];
        [top - self.energies[0], top - self.energies[self.energies.len() - 1]]
    }
}

/// How the path is sought.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// States along the path, both ends included.
    pub images: usize,
    /// Torque (T) below which the path stands still.
    pub tolerance: f64,
    /// Most descent steps.
    pub limit: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { images: 21, tolerance: 1e-4, limit: 20_000 }
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Takes from `v` what lies along `m`, cell by cell.
fn across(m: &[f64], v: &mut [f64]) {
    let cells = m.len() / 3;
    for i in 0..cells {
        let along: f64 = (0..3).map(|c| m[c * cells + i] * v[c * cells + i]).sum();
        (0..3).for_each(|c| v[c * cells + i] -= along * m[c * cells + i]);
    }
}

fn normalise(m: &mut [f64]) {
    let cells = m.len() / 3;
    for i in 0..cells {
        let norm = (0..3).map(|c| m[c * cells + i].powi(2)).sum::<f64>().sqrt();
        if norm > 0.0 {
            (0..3).for_each(|c| m[c * cells + i] /= norm);
        }
    }
}

/// Turns every spin of `a` a part `s` of the way to `b`, on the great circle between them; opposite spins turn through `axis`.
fn between(a: &[f64], b: &[f64], s: f64, axis: [f64; 3]) -> Vec<f64> {
    let cells = a.len() / 3;
    let mut out = vec![0.0; a.len()];
    for i in 0..cells {
        let (p, q): ([f64; 3], [f64; 3]) = (std::array::from_fn(|c| a[c * cells + i]), std::array::from_fn(|c| b[c * cells + i]));
        let cosine = dot(&p, &q).clamp(-1.0, 1.0);
        let angle = cosine.acos();
        let mut side: [f64; 3] = std::array::from_fn(|c| q[c] - cosine * p[c]);
        let mut norm = dot(&side, &side).sqrt();
        if norm < 1e-6 && cosine < 0.0 {
            let along = dot(&axis, &p);
            side = std::array::from_fn(|c| axis[c] - along * p[c]);
            norm = dot(&side, &side).sqrt();
        }
        let (sine, cosine) = (s * angle).sin_cos();
        for c in 0..3 {
            out[c * cells + i] = cosine * p[c] + if norm > 0.0 { sine * side[c] / norm } else { 0.0 };
        }
    }
    out
}

/// How far distances between images may be from even, in parts of them.
const UNEVEN: f64 = 0.1;

/// Way from each image to the next, added up.
fn ways(images: &[Vec<f64>]) -> Vec<f64> {
    let mut way = vec![0.0];
    for pair in images.windows(2) {
        let step = pair[0].iter().zip(&pair[1]).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
        way.push(way[way.len() - 1] + step);
    }
    way
}

/// Spreads the images evenly along the path through them, if they have drifted apart: each interpolation cuts the path's corners.
fn spread(images: &mut [Vec<f64>], axis: [f64; 3]) {
    let way = ways(images);
    let (n, all) = (images.len(), way[way.len() - 1]);
    let even = all / (n - 1) as f64;
    if way.windows(2).all(|w| (w[1] - w[0] - even).abs() <= UNEVEN * even) {
        return;
    }
    let old = images.to_vec();
    for (k, image) in images.iter_mut().enumerate().take(n - 1).skip(1) {
        let at = all * k as f64 / (n - 1) as f64;
        let j = way.partition_point(|w| *w <= at).clamp(1, n - 1);
        let length = way[j] - way[j - 1];
        let s = if length > 0.0 { (at - way[j - 1]) / length } else { 0.0 };
        *image = between(&old[j - 1], &old[j], s, axis);
    }
}

/// The stiffest curvature of the energy per moment (T): exchange on the mesh, and what every other term can hold against a turn.
fn stiffness(system: &System, mesh: &Mesh) -> f64 {
    let axes = 0..if mesh.n[2] > 1 { 3 } else { 2 };
    let thinnest = (0..mesh.n[2]).map(|z| mesh.thickness(z)).fold(f64::INFINITY, f64::min);
    let least = |a: usize| if a == 2 { thinnest } else { mesh.cell[a] };
    let laplacian: f64 = axes.filter(|a| mesh.n[*a] > 1).map(|a| 4.0 / least(a).powi(2)).sum();
    let curvature: f64 = (0..3).filter(|a| mesh.n[*a] > 1).map(|a| 2.0 / mesh.cell[a]).sum();
    let material = &system.replicas[0].material;
    let coupled: f64 =
        material.couplings.iter().map(|c| (c.j1.abs() + 4.0 * c.j2.abs() + c.d.iter().map(|d| d.abs()).sum::<f64>()) / thinnest).sum();
    let joined = material.pairs.iter().filter(|p| p.parameter == P::Aex).map(|p| p.value.abs()).fold(0.0, f64::max);
    let of = |v: &spinloom_kernels::Values| {
        let ms = v.scalar(P::Msat);
        if ms == 0.0 {
            return 0.0;
        }
        let s = |p| v.scalar(p).abs();
        let strain: f64 = [P::Exx, P::Eyy, P::Ezz, P::Exy, P::Exz, P::Eyz].iter().map(|p| s(*p)).sum();
        let anisotropy =
            2.0 * s(P::Ku1) + 12.0 * s(P::Ku2) + 12.0 * (s(P::Kc1) + s(P::Kc2) + s(P::Kc3)) + 2.0 * (s(P::B1) + s(P::B2)) * strain;
        let chiral = 2.0 * (s(P::Dind) + s(P::Dbulk)) * curvature;
        let field = v.vector(P::BExt).iter().map(|b| b.abs()).sum::<f64>();
        (2.0 * s(P::Aex).max(joined) * laplacian + anisotropy + chiral + 2.0 * coupled) / ms + spinloom_base::constants::MU0 * ms + field
    };
    material.regions.iter().map(of).fold(1e-9, f64::max)
}

/// The path of least energy between two states of a system with one replica, which should be minima. `axis` is the direction through which spins turn
/// that point opposite ways in the two states.
///
/// # Errors
/// What the device cannot do.
pub fn barrier(
    system: &System,
    device: DeviceChoice,
    [first, last]: [&[f64]; 2],
    axis: [f64; 3],
    options: &Options,
) -> Result<Barrier, DeviceError> {
    let expanded = system.expanded().map_err(|what| DeviceError::Unsupported { device: device.to_string(), what })?;
    let mut ensemble = expanded.into_owned();
    let one = ensemble.replicas[0].clone();
    ensemble.replicas = (0..options.images).map(|id| Replica { id: id as u64, ..one.clone() }).collect();
    ensemble.terms.retain(|t| *t != Term::Thermal && t.has_energy());
    let (terms, mesh) = (ensemble.terms.clone(), ensemble.mesh);
    let h = 1.0 / stiffness(&ensemble, &mesh);
    // What does not move: empty cells and frozen spins.
    let material = &ensemble.replicas[0].material;
    let frozen: Vec<bool> = material.regions.iter().map(|v| v.scalar(P::FrozenSpins) != 0.0).collect();
    let still = |r: &u16| *r == RegionMap::VACUUM || frozen.get(usize::from(*r)).copied().unwrap_or(false);
    let vacuum: Vec<bool> = ensemble.regions_of(0).cells.iter().map(still).collect();
    let mut sim = Simulation::new(ensemble, device, &HEUN, Step::Fixed(1e-15))?;
    let n = options.images;
    let mut images: Vec<Vec<f64>> = (0..n).map(|k| between(first, last, k as f64 / (n - 1) as f64, axis)).collect();
    let all: Vec<usize> = (0..n).collect();
    let mut climbing: Option<usize> = None;
    let (mut energies, mut torque, mut steps) = (Vec::new(), f64::INFINITY, 0);
    while steps <= options.limit {
        for (r, image) in images.iter().enumerate() {
            sim.set_m(r, image);
        }
        let fields = sim.fields(&all, &terms);
        let way = ways(&images);
        torque = 0.0;
        let mut moves: Vec<Vec<f64>> = Vec::new();
        for (k, mut b) in fields.into_iter().enumerate() {
            across(&images[k], &mut b);
            (0..b.len()).filter(|i| vacuum[i % vacuum.len()]).for_each(|i| b[i] = 0.0);
            // The tangent: to the neighbours on both sides, across m.
            let (low, high) = (k.saturating_sub(1), (k + 1).min(n - 1));
            let mut tangent: Vec<f64> = images[high].iter().zip(&images[low]).map(|(a, b)| a - b).collect();
            across(&images[k], &mut tangent);
            let norm = dot(&tangent, &tangent).sqrt();
            let along = if norm > 0.0 { dot(&b, &tangent) / norm } else { 0.0 };
            let take =
                |b: &mut [f64], factor: f64| b.iter_mut().zip(&tangent).for_each(|(b, t)| *b -= factor * along * t / norm.max(1e-300));
            // Inner images move across the path only; the climbing one along it too, upwards.
            if k > 0 && k < n - 1 {
                take(&mut b, if climbing == Some(k) { 2.0 } else { 1.0 });
            }
            let cells = vacuum.len();
            let largest = (0..cells)
                .filter(|i| !vacuum[*i])
                .map(|i| (0..3).map(|c| b[c * cells + i].powi(2)).sum::<f64>().sqrt())
                .fold(0.0, f64::max);
            torque = f64::max(torque, largest);
            moves.push(b);
        }
        if torque < options.tolerance || steps == options.limit || way[n - 1] == 0.0 {
            energies = sim.energies(&all, &terms);
            if climbing.is_some() || steps == options.limit || way[n - 1] == 0.0 {
                break;
            }
            climbing = (1..n - 1).max_by(|a, b| energies[*a].total_cmp(&energies[*b]));
        }
        for (image, b) in images.iter_mut().zip(&moves) {
            image.iter_mut().zip(b).for_each(|(m, b)| *m += h * b);
            normalise(image);
        }
        match climbing {
            Some(k) => {
                spread(&mut images[..=k], axis);
                spread(&mut images[k..], axis);
            }
            None => spread(&mut images, axis),
        }
        steps += 1;
        if let Some(e) = sim.trouble() {
            return Err(e);
        }
    }
    let saddle = (0..n).max_by(|a, b| energies[*a].total_cmp(&energies[*b])).unwrap_or(0);
    Ok(Barrier { way: ways(&images), images, energies, saddle, torque, steps })
}
