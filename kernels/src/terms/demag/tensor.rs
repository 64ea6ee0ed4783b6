//! The demagnetising tensor between two equal cells, in `f64`.
//!
//! Near: the closed form of Newell, Williams and Dunlop. It subtracts numbers that grow like R³ to get one that falls like
//! 1/R³, so it loses digits with distance. Far: the average of the dipole tensor over all pairs of points in the two cells.
//! The distance between two uniformly spread points has a triangular density along each axis, so that
//!
//! N_ab(R) = −(V/4π) ∫∫∫ w(u) ∂a∂b (1/|R+u|) d³u,  w(u) = Π (1 − |u_i|/d_i)/d_i  on |u_i| < d_i,
//!
//! a smooth integral with a positive weight: Gauss rules for the triangle converge like (d/2R)^2n without any cancellation.

use crate::mesh::{Mesh, Stack};
use rayon::prelude::*;
use spinloom_base::cache;
use std::f64::consts::PI;
use std::sync::{Arc, Mutex};

/// Number of independent components, in the order xx, yy, zz, xy, xz, yz.
pub const COMPONENTS: usize = 6;

/// Newell's function f, eq. 27 of Newell et al. (1993).
fn newell_f(x: f64, y: f64, z: f64) -> f64 {
    let (x, y, z) = (x.abs(), y.abs(), z.abs());
    let (x2, y2, z2) = (x * x, y * y, z * z);
    let r2 = x2 + y2 + z2;
    let r = r2.sqrt();
    let mut f = (2.0 * x2 - y2 - z2) * r / 6.0;
    // Each term tends to 0 with the factor in front of it, faster than its logarithm or arctangent grows.
    if x2 + z2 > 0.0 {
        f += 0.5 * y * (z2 - x2) * (y / (x2 + z2).sqrt()).asinh();
    }
    if x2 + y2 > 0.0 {
        f += 0.5 * z * (y2 - x2) * (z / (x2 + y2).sqrt()).asinh();
    }
    if x > 0.0 && r > 0.0 {
        f -= x * y * z * (y * z / (x * r)).atan();
    }
    f
}

/// Newell's function g, eq. 32 of Newell et al. (1993).
fn newell_g(x: f64, y: f64, z: f64) -> f64 {
    let z = z.abs();
    let (x2, y2, z2) = (x * x, y * y, z * z);
    let r = (x2 + y2 + z2).sqrt();
    let mut g = -x * y * r / 3.0;
    if x2 + y2 > 0.0 {
        g += x * y * z * (z / (x2 + y2).sqrt()).asinh();
    }
    if y2 + z2 > 0.0 {
        g += y / 6.0 * (3.0 * z2 - y2) * (x / (y2 + z2).sqrt()).asinh();
    }
    if x2 + z2 > 0.0 {
        g += x / 6.0 * (3.0 * z2 - x2) * (y / (x2 + z2).sqrt()).asinh();
    }
    if r > 0.0 {
        if z > 0.0 {
            g -= z2 * z / 6.0 * (x * y / (z * r)).atan();
        }
        if y != 0.0 {
            g -= z * y2 / 2.0 * (x * z / (y * r)).atan();
        }
        if x != 0.0 {
            g -= z * x2 / 2.0 * (y * z / (x * r)).atan();
        }
    }
    g
}

/// Second differences along every axis: 27 values with weights (1, −2, 1)³, eqs. 26 and 28 of Newell et al. (1993).
fn newell(function: impl Fn(f64, f64, f64) -> f64, r: [f64; 3], d: [f64; 3]) -> f64 {
    let mut sum = 0.0;
    for (i, wi) in [(-1.0, 1.0), (0.0, -2.0), (1.0, 1.0)] {
        for (j, wj) in [(-1.0, 1.0), (0.0, -2.0), (1.0, 1.0)] {
            for (k, wk) in [(-1.0, 1.0), (0.0, -2.0), (1.0, 1.0)] {
                sum += wi * wj * wk * function(r[0] + i * d[0], r[1] + j * d[1], r[2] + k * d[2]);
            }
        }
    }
    -sum / (4.0 * PI * d[0] * d[1] * d[2])
}

fn near(r: [f64; 3], d: [f64; 3]) -> [f64; COMPONENTS] {
    let [x, y, z] = r;
    let [a, b, c] = d;
    [
        newell(newell_f, r, d),
        newell(newell_f, [y, x, z], [b, a, c]),
        newell(newell_f, [z, y, x], [c, b, a]),
        newell(newell_g, r, d),
        newell(newell_g, [x, z, y], [a, c, b]),
        newell(newell_g, [y, z, x], [b, c, a]),
    ]
}

/// Between cells of two layers: along z the differences between the faces of either, (upper − lower) + (lower − upper) − (upper − upper) −
/// (lower − lower), which for equal layers are the second differences of [`newell`].
fn near_layers([x, y]: [f64; 2], [dx, dy]: [f64; 2], target: (f64, f64), source: (f64, f64)) -> [f64; COMPONENTS] {
    let (a, b, c, d) = (target.0, target.0 + target.1, source.0, source.0 + source.1);
    let sum = |function: &dyn Fn(f64, f64, f64) -> f64| {
        let mut sum = 0.0;
        for (i, wi) in [(-1.0, 1.0), (0.0, -2.0), (1.0, 1.0)] {
            for (j, wj) in [(-1.0, 1.0), (0.0, -2.0), (1.0, 1.0)] {
                for (z, wz) in [(b - c, 1.0), (a - d, 1.0), (b - d, -1.0), (a - c, -1.0)] {
                    sum += wi * wj * wz * function(x + i * dx, y + j * dy, z);
                }
            }
        }
        -sum / (4.0 * PI * dx * dy * target.1)
    };
    [
        sum(&newell_f),
        sum(&|x, y, z| newell_f(y, x, z)),
        sum(&|x, y, z| newell_f(z, y, x)),
        sum(&newell_g),
        sum(&|x, y, z| newell_g(x, z, y)),
        sum(&|x, y, z| newell_g(y, z, x)),
    ]
}

/// Gauss–Legendre nodes and weights on (0, 1) by Newton's method on P_n.
fn gauss(n: usize) -> Vec<(f64, f64)> {
    (0..n)
        .map(|i| {
            let mut x = (PI * (i as f64 + 0.75) / (n as f64 + 0.5)).cos();
            let mut slope = 1.0;
            for _ in 0..100 {
                let (mut p0, mut p1) = (1.0, x);
                for k in 2..=n {
                    (p0, p1) = (p1, ((2 * k - 1) as f64 * x * p1 - (k - 1) as f64 * p0) / k as f64);
                }
                slope = n as f64 * (x * p1 - p0) / (x * x - 1.0);
                let step = p1 / slope;
                x -= step;
                if step.abs() < 1e-15 {
                    break;
                }
            }
            (0.5 * (1.0 - x), 1.0 / ((1.0 - x * x) * slope * slope))
        })
        .collect()
}

/// Nodes and weights of the Gauss rules of 1 to `most` points for the weight 1 − |u| on |u| < 1. The polynomials that are orthogonal under it obey
/// p_k+1 = u p_k − b_k p_k−1 with b_k = ‖p_k‖²/‖p_k−1‖² (the procedure of Stieltjes; W. Gautschi, "Orthogonal Polynomials" (2004), section 2.2.3).
fn gauss_triangle(most: usize) -> Vec<Vec<(f64, f64)>> {
    // Exact for the polynomials met here: degree 2 · most, and the weight.
    let fine: Vec<(f64, f64)> = gauss(most + 1).into_iter().flat_map(|(u, w)| [(u, w * (1.0 - u)), (-u, w * (1.0 - u))]).collect();
    let mut b = vec![0.0];
    let polynomial = |b: &[f64], k: usize, u: f64| {
        let (mut before, mut p) = (0.0, 1.0);
        for b in &b[..k] {
            (before, p) = (p, u * p - b * before);
        }
        p
    };
    let square = |b: &[f64], k: usize| fine.iter().map(|(u, w)| w * polynomial(b, k, *u).powi(2)).sum::<f64>();
    for k in 1..most {
        let next = square(&b, k) / square(&b, k - 1);
        b.push(next);
    }
    (1..=most)
        .map(|n| {
            // The nodes are where p_n changes sign, all within the interval and further apart than a step of this search.
            let steps = 400;
            let at = |i: usize| -1.0 + 2.0 * (i as f64 + 0.5) / steps as f64;
            let crossings = (0..steps - 1).filter(|i| polynomial(&b, n, at(*i)) * polynomial(&b, n, at(i + 1)) < 0.0);
            let node = |i: usize| {
                let (mut low, mut high) = (at(i), at(i + 1));
                let rising = polynomial(&b, n, high) > 0.0;
                for _ in 0..60 {
                    let middle = 0.5 * (low + high);
                    if (polynomial(&b, n, middle) > 0.0) == rising { high = middle } else { low = middle }
                }
                0.5 * (low + high)
            };
            // Christoffel's numbers.
            let norms: Vec<f64> = (0..n).map(|k| square(&b, k)).collect();
            let weight = |u: f64| 1.0 / (0..n).map(|k| polynomial(&b, k, u).powi(2) / norms[k]).sum::<f64>();
            crossings.map(node).map(|u| (u, weight(u))).collect()
        })
        .collect()
}

/// The rules that the far field is integrated with.
struct Rules {
    /// 2 to 8 points on a segment.
    segment: Vec<Vec<(f64, f64)>>,
    /// 1 to 8 points on the triangle.
    triangle: Vec<Vec<(f64, f64)>>,
}

impl Rules {
    fn new() -> Self {
        let segment = (0..=8).map(|n| if n < 2 { Vec::new() } else { gauss(n) }).collect();
        Self { segment, triangle: gauss_triangle(8) }
    }

    /// Points and weights of the triangle (1 − |u|/d)/d on |u| < d seen from distance `r`, to about 1e-12.
    fn triangle(&self, d: f64, r: f64) -> Vec<(f64, f64)> {
        // n points err by about (d/2r)^2n.
        let n = (7.0 / (2.0 * r / d).log10()).ceil();
        if (1.0..=8.0).contains(&n) {
            return self.triangle[n as usize - 1].iter().map(|(u, w)| (u * d, *w)).collect();
        }
        // Each half of the triangle is a polynomial of degree 1, so the rule stays a Gauss rule.
        let half = self.segment(d, r).into_iter().map(|(u, w)| (u, w * (1.0 - u / d)));
        half.flat_map(|(u, w)| [(u, w), (-u, w)]).collect()
    }

    /// Points and weights of the mean over 0 < u < d seen from distance `r`, to about 1e-12.
    fn segment(&self, d: f64, r: f64) -> Vec<(f64, f64)> {
        // Pieces no longer than r/4.
        let pieces = (4.0 * d / r).ceil().max(1.0);
        let ratio = d / pieces / (2.0 * r);
        let n = ((-12.0 / (2.0 * ratio.log10())).ceil() as usize + 1).clamp(2, 8);
        let piece = |p: usize| self.segment[n].iter().map(move |(t, w)| ((p as f64 + t) * d / pieces, w / pieces));
        (0..pieces as usize).flat_map(piece).collect()
    }

    fn far(&self, r: [f64; 3], d: [f64; 3]) -> [f64; COMPONENTS] {
        let distance = (r[0] * r[0] + r[1] * r[1] + r[2] * r[2]).sqrt();
        let [px, py, pz] = d.map(|d| self.triangle(d, distance));
        Self::dipoles(r, [&px, &py, &pz]).map(|s| d[0] * d[1] * d[2] * s)
    }

    /// The weighted sum of a dipole's tensor, per volume of the source, over points about `r`.
    fn dipoles(r: [f64; 3], [px, py, pz]: [&[(f64, f64)]; 3]) -> [f64; COMPONENTS] {
        let mut sum = [0.0; COMPONENTS];
        for &(ux, wx) in px {
            for &(uy, wy) in py {
                for &(uz, wz) in pz {
                    let (x, y, z) = (r[0] + ux, r[1] + uy, r[2] + uz);
                    let s = 1.0 / (x * x + y * y + z * z);
                    let w = wx * wy * wz * s * s.sqrt();
                    let t = 3.0 * w * s;
                    sum[0] += t * x * x - w;
                    sum[1] += t * y * y - w;
                    sum[2] += t * z * z - w;
                    sum[3] += t * x * y;
                    sum[4] += t * x * z;
                    sum[5] += t * y * z;
                }
            }
        }
        sum.map(|s| -s / (4.0 * PI))
    }

    /// Between cells of two layers of a stack: `x`, `y` from the source's centre to the target's, edges `dx`, `dy` of both, and the layers' lower
    /// faces and thicknesses.
    fn layers(&self, [x, y]: [f64; 2], [dx, dy]: [f64; 2], target: (f64, f64), source: (f64, f64)) -> [f64; COMPONENTS] {
        let z = target.0 + 0.5 * target.1 - source.0 - 0.5 * source.1;
        let r2 = x * x + y * y + z * z;
        let longest = dx.max(dy).max(target.1).max(source.1);
        // As for equal cells.
        let overlap = x.abs() < 2.0 * dx && y.abs() < 2.0 * dy && z.abs() < target.1 + source.1;
        if overlap || r2 * r2 * r2 < 1e5 * dx * dx * dy * dy * target.1 * source.1 || r2 < longest * longest {
            near_layers([x, y], [dx, dy], target, source)
        } else {
            let (px, py) = (self.triangle(dx, r2.sqrt()), self.triangle(dy, r2.sqrt()));
            let (to, from) = (self.segment(target.1, r2.sqrt()), self.segment(source.1, r2.sqrt()));
            let pz: Vec<(f64, f64)> =
                to.iter().flat_map(|(a, wa)| from.iter().map(move |(b, wb)| (target.0 + a - source.0 - b, wa * wb))).collect();
            Self::dipoles([x, y, 0.0], [&px, &py, &pz]).map(|s| dx * dy * source.1 * s)
        }
    }

    fn pair(&self, r: [f64; 3], d: [f64; 3]) -> [f64; COMPONENTS] {
        // The closed form keeps about 1e-16 R⁶/V² relative; up to here that is better than 1e-10. Closer than a cell's
        // longest edge the integrand of the far form is not smooth enough, so the closed form it is.
        let r2 = r[0] * r[0] + r[1] * r[1] + r[2] * r[2];
        let volume = d[0] * d[1] * d[2];
        let longest = d[0].max(d[1]).max(d[2]);
        let overlap = (0..3).all(|a| r[a].abs() < 2.0 * d[a]);
        if overlap || r2 * r2 * r2 < 1e5 * volume * volume || r2 < longest * longest { near(r, d) } else { self.far(r, d) }
    }
}

/// The tensor between two equal cells with edges `d` whose centres are `r` apart, components in the order of [`COMPONENTS`]. Dimensionless; the trace is 1 at r = 0.
pub fn pair(r: [f64; 3], d: [f64; 3]) -> [f64; COMPONENTS] {
    let unit = d[0].max(d[1]).max(d[2]);
    Rules::new().pair(r.map(|c| c / unit), d.map(|c| c / unit))
}

/// The tensor for every offset of the mesh, periodic images included.
///
/// `values[component][(z · padded_y + y) · padded_x + x]`, offsets counted circularly: index `p − i` is offset `−i`. An open axis that is given its own
/// length holds the offsets from 0 up. Only the components of [`COMPONENTS`] are held.
pub struct Tensor {
    /// Size of the circular grid.
    pub padded: [usize; 3],
    /// See above; the components xz and yz of a single layer vanish and are left empty.
    pub values: Vec<Vec<f64>>,
}

/// The numbers of an octant: from the disk if something with this description was computed before and is worth a file, else computed, and written there.
fn kept_on_disk(reach: [i64; 3], what: &str, compute: impl FnOnce() -> Vec<[f64; COMPONENTS]>) -> Vec<[f64; COMPONENTS]> {
    let numbers = COMPONENTS * reach.iter().map(|r| *r as usize + 1).product::<usize>();
    if !WORTH_A_FILE.contains(&numbers) {
        return compute();
    }
    // Everything the numbers depend on.
    let description = format!("{} {WAY} {what}", env!("CARGO_PKG_VERSION"));
    if let Some(bytes) = cache::read("tensors", &description).filter(|b| b.len() == 8 * numbers) {
        let numbers: Vec<f64> = bytes.as_chunks::<8>().0.iter().map(|b| f64::from_le_bytes(*b)).collect();
        return numbers.as_chunks::<COMPONENTS>().0.to_vec();
    }
    let octant = compute();
    let bytes: Vec<u8> = octant.as_flattened().iter().flat_map(|v| v.to_le_bytes()).collect();
    cache::write("tensors", &description, &bytes);
    octant
}

impl Tensor {
    /// The tensor by one of the two ways, from the few that are kept if it was computed before.
    pub fn of(kernel: DemagKernel, mesh: &Mesh, padded: [usize; 3]) -> Arc<Self> {
        static KEPT: Mutex<Vec<(DemagKernel, Mesh, Arc<Tensor>)>> = Mutex::new(Vec::new());
        let kept = || KEPT.lock().unwrap_or_else(|e| e.into_inner());
        if let Some((.., tensor)) = kept().iter().find(|(k, m, t)| *k == kernel && m == mesh && t.padded == padded) {
            return tensor.clone();
        }
        let reach = reach(kernel, mesh);
        let octant =
            kept_on_disk(reach, &format!("{kernel:?} {:?} {:?} {:?}", mesh.n, mesh.cell.map(f64::to_bits), mesh.pbc), || match kernel {
                DemagKernel::Newell => exact(mesh, reach),
                DemagKernel::Sampled { accuracy } => sampled(mesh, reach, accuracy),
            });
        let weight = match kernel {
            // On a periodic axis offsets −i and n − i are the same cell, reached with equal images only in the
            // limit of many; their mean keeps the tensor exactly symmetric.
            DemagKernel::Newell => 0.5,
            DemagKernel::Sampled { .. } => 1.0,
        };
        let held = if mesh.n[2] == 1 && mesh.pbc[2] == 0 { 4 } else { COMPONENTS };
        let tensor = Arc::new(Self::spread(mesh, padded, reach, &octant, weight, held));
        if tensor.values.iter().map(Vec::len).sum::<usize>() < LARGEST_KEPT {
            let mut kept = kept();
            kept.push((kernel, *mesh, tensor.clone()));
            if kept.len() > MOST_KEPT {
                kept.remove(0);
            }
        }
        tensor
    }

    /// The tensors of every layer of a stack (first, the target) with every layer (the source), `[target · layers + source]`, each over the offsets in
    /// the plane. xz is odd along x and yz along y, so that their spectra are imaginary.
    pub fn of_layers(mesh: &Mesh, stack: &Stack, padded: [usize; 2]) -> Vec<Arc<Self>> {
        let d = [mesh.cell[0], mesh.cell[1]];
        let unit = d[0].max(d[1]);
        let layer = |z: usize| {
            let (bottom, thickness) = stack.layer(z);
            (bottom / unit, thickness / unit)
        };
        let rules = Rules::new();
        let reach = [mesh.n[0] as i64 - 1, mesh.n[1] as i64 - 1, 0];
        let images = [0, 1].map(|a| mesh.pbc[a] as i64);
        let one = |target: usize, source: usize| {
            let between = |i: [i64; 3]| {
                let mut sum = [0.0; COMPONENTS];
                for ky in -images[1]..=images[1] {
                    for kx in -images[0]..=images[0] {
                        let k = [kx, ky];
                        let r = [0, 1].map(|a| (i[a] + k[a] * mesh.n[a] as i64) as f64 * d[a] / unit);
                        let part = rules.layers(r, d.map(|d| d / unit), layer(target), layer(source));
                        sum.iter_mut().zip(part).for_each(|(s, v)| *s += v);
                    }
                }
                sum
            };
            let heights = [target, source].map(|z| [stack.layer(z).0, stack.layer(z).1].map(f64::to_bits));
            let description = format!("layers {heights:?} {:?} {:?} {:?}", &mesh.n[..2], d.map(f64::to_bits), &mesh.pbc[..2]);
            let octant = kept_on_disk(reach, &description, || octant_of(reach, between));
            let held = if target == source { 4 } else { COMPONENTS };
            Arc::new(Self::spread(mesh, [padded[0], padded[1], 1], reach, &octant, 0.5, held))
        };
        let count = stack.count();
        (0..count * count).map(|p| one(p / count, p % count)).collect()
    }

    /// Mirrors an octant of offsets to all of them, and adds up those that a periodic axis makes one; `weight` is that of offsets other than 0 along such an axis, and
    /// `held` the number of components that do not vanish.
    fn spread(mesh: &Mesh, padded: [usize; 3], reach: [i64; 3], octant: &[[f64; COMPONENTS]], weight: f64, held: usize) -> Self {
        let (wx, wy) = (reach[0] + 1, reach[1] + 1);
        let len = padded.iter().product();
        // Where there is no room for offsets below 0.
        let lowest: [i64; 3] = std::array::from_fn(|a| if mesh.pbc[a] == 0 && padded[a] == mesh.n[a] { 0 } else { -reach[a] });
        let mut values: Vec<Vec<f64>> = (0..COMPONENTS).map(|c| if c < held { vec![0.0; len] } else { Vec::new() }).collect();
        let at = |i: i64, p: usize| i.rem_euclid(p as i64) as usize;
        for oz in lowest[2]..=reach[2] {
            for oy in lowest[1]..=reach[1] {
                for ox in lowest[0]..=reach[0] {
                    let source = octant[((oz.abs() * wy + oy.abs()) * wx + ox.abs()) as usize];
                    let target = (at(oz, padded[2]) * padded[1] + at(oy, padded[1])) * padded[0] + at(ox, padded[0]);
                    let sign = |o: i64| if o < 0 { -1.0 } else { 1.0 };
                    let signs = [1.0, 1.0, 1.0, sign(ox) * sign(oy), sign(ox) * sign(oz), sign(oy) * sign(oz)];
                    let weight: f64 = (0..3).map(|a| if mesh.pbc[a] > 0 && [ox, oy, oz][a] != 0 { weight } else { 1.0 }).product();
                    for c in 0..held {
                        values[c][target] += weight * signs[c] * source[c];
                    }
                }
            }
        }
        Self { padded, values }
    }
}

/// The largest offset of every axis. A periodic axis of [`DemagKernel::Sampled`] counts the offsets up to its length times its images, each once.
fn reach(kernel: DemagKernel, mesh: &Mesh) -> [i64; 3] {
    std::array::from_fn(|a| match kernel {
        DemagKernel::Newell => mesh.n[a] as i64 - 1,
        DemagKernel::Sampled { .. } => mesh.n[a] as i64 * i64::from(mesh.pbc[a].max(1)) - 1,
    })
}

/// A value for each offset of the octant `0..=reach`, x fastest.
fn octant_of(reach: [i64; 3], value: impl Fn([i64; 3]) -> [f64; COMPONENTS] + Sync) -> Vec<[f64; COMPONENTS]> {
    let [wx, wy, wz] = reach.map(|r| r + 1);
    (0..wx * wy * wz).into_par_iter().map(|i| value([i % wx, (i / wx) % wy, i / (wx * wy)])).collect()
}

/// The octant of [`DemagKernel::Newell`]: distinct offsets by mirror symmetry; an image at k boxes adds the offsets i ± k n.
fn exact(mesh: &Mesh, reach: [i64; 3]) -> Vec<[f64; COMPONENTS]> {
    let unit = mesh.cell.iter().copied().fold(0.0, f64::max);
    let d = mesh.cell.map(|c| c / unit);
    let rules = Rules::new();
    octant_of(reach, |i| {
        let mut sum = [0.0; COMPONENTS];
        let images = mesh.pbc.map(|p| p as i64);
        for kz in -images[2]..=images[2] {
            for ky in -images[1]..=images[1] {
                for kx in -images[0]..=images[0] {
                    let k = [kx, ky, kz];
                    let r: [f64; 3] = std::array::from_fn(|a| (i[a] + k[a] * mesh.n[a] as i64) as f64 * d[a]);
                    for (s, v) in sum.iter_mut().zip(rules.pair(r, d)) {
                        *s += v;
                    }
                }
            }
        }
        sum
    })
}

/// The octant of [`DemagKernel::Sampled`].
fn sampled(mesh: &Mesh, reach: [i64; 3], accuracy: f64) -> Vec<[f64; COMPONENTS]> {
    // In metres: numbers of points that end in .5 must be rounded as they are elsewhere.
    octant_of(reach, |i| sampled_pair(i, mesh.cell, accuracy))
}

/// How the tensor is computed.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub enum DemagKernel {
    /// Exactly, for uniformly magnetised cells.
    #[default]
    Newell,
    /// As mumax3 does: surface charges in points, averaged over points of the target cell.
    Sampled {
        /// Points per distance (`DemagAccuracy`); mumax3 takes 6.
        accuracy: f64,
    },
}

/// Tensors that are kept, and numbers in the largest of them (64 MiB).
const MOST_KEPT: usize = 4;
const LARGEST_KEPT: usize = 8 << 20;
/// To be raised when the numbers are computed otherwise: tensors on disk are then others.
const WAY: u32 = 2;
/// Numbers of an octant that is worth a file: fewer are computed in less time than a disk takes, more are a hundred megabytes.
const WORTH_A_FILE: std::ops::Range<usize> = 200_000..16_000_000;

/// The distances between `m` points spread evenly over a length and `n` points spread over another one at a distance `r`, with their frequencies.
fn distances(r: f64, length: f64, m: usize, n: usize) -> Vec<(f64, f64)> {
    if n.is_multiple_of(m) || m.is_multiple_of(n) {
        // Both grids lie on a common one: equal distances are counted, not repeated.
        let fine = length / (2.0 * m.max(n) as f64);
        let (a, b) = (m.max(n) / m, m.max(n) / n);
        let mut counts = std::collections::BTreeMap::<i64, f64>::new();
        for i in 0..m {
            for j in 0..n {
                let at = ((2 * j + 1) * b) as i64 - ((2 * i + 1) * a) as i64;
                *counts.entry(at).or_default() += 1.0;
            }
        }
        counts.into_iter().map(|(at, count)| (r + at as f64 * fine, count / (m * n) as f64)).collect()
    } else {
        let at = |i: usize, n: usize| (i as f64 + 0.5) / n as f64 * length;
        (0..m).flat_map(|i| (0..n).map(move |j| (r + at(j, n) - at(i, m), 1.0 / (m * n) as f64))).collect()
    }
}

/// N between two cells by sampling: each pair of charged faces of the source by twice as many points along its edges as the target has, and
/// those so many that their spacing is the cells' distance over `accuracy`.
fn sampled_pair(i: [i64; 3], d: [f64; 3], accuracy: f64) -> [f64; COMPONENTS] {
    let gap: f64 = (0..3).map(|a| ((i[a].abs() - 1).max(0) as f64 * d[a]).powi(2)).sum::<f64>().sqrt();
    let near = if gap > 0.0 { gap } else { d[0].min(d[1]).min(d[2]) };
    let points = d.map(|c| ((c / (near / accuracy)).max(1.0) + 0.5) as usize);
    let r: [f64; 3] = std::array::from_fn(|a| i[a] as f64 * d[a]);
    // N_source,target, in the order xx, yy, zz, xy, xz, yz.
    let place = [[0, 3, 4], [3, 1, 5], [4, 5, 2]];
    let mut n = [0.0; COMPONENTS];
    for source in 0..3 {
        let (v, w) = ((source + 1) % 3, (source + 2) % 3);
        // The target's points seen from the two faces.
        let target: Vec<f64> =
            (0..points[source]).map(|k| r[source] + ((k as f64 + 0.5) / points[source] as f64 - 0.5) * d[source]).collect();
        let along_v = distances(r[v], d[v], 2 * points[v], points[v]);
        let along_w = distances(r[w], d[w], 2 * points[w], points[w]);
        let mut field = [0.0; 3];
        for t in target {
            for (face, charge) in [(-0.5, -1.0), (0.5, 1.0)] {
                let u = t - face * d[source];
                for &(y, wy) in &along_v {
                    for &(z, wz) in &along_w {
                        let r2 = u * u + y * y + z * z;
                        let q = charge * wy * wz / (r2 * r2.sqrt());
                        field[source] += q * u;
                        field[v] += q * y;
                        field[w] += q * z;
                    }
                }
            }
        }
        let area = d[v] * d[w] / (4.0 * PI * points[source] as f64);
        for target in 0..3 {
            // Off the diagonal both orders are the same in the limit; the upper one is taken.
            if target >= source {
                n[place[source][target]] = -area * field[target];
            }
        }
    }
    n
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sampled_tensor_tends_to_the_exact_one() {
        let d = [2.0, 1.5, 1.0];
        for i in [[0, 0, 0], [1, 0, 0], [2, 1, 0], [5, 3, 1]] {
            let exact = pair(std::array::from_fn(|a| i[a] as f64 * d[a]), d);
            let off = |accuracy| {
                let found = sampled_pair(i, d, accuracy);
                (0..COMPONENTS).map(|c| (found[c] - exact[c]).abs()).fold(0.0, f64::max)
            };
            // Closer than a spacing to a charged face the convergence is slow.
            assert!(off(6.0) < 6e-3 && off(24.0) < off(6.0).max(1e-8), "{i:?}: {:e}, {:e}", off(6.0), off(24.0));
        }
    }

    #[test]
    fn layers_of_one_thickness_are_cells_and_unequal_ones_obey_reciprocity() {
        let rules = Rules::new();
        for (r, z) in [([0.0, 0.0], 0.5), ([2.0, 1.0], 1.5), ([9.0, 4.0], 2.5), ([40.0, 3.0], 0.5)] {
            let equal = rules.pair([r[0], r[1], z], [1.0, 0.8, 0.5]);
            let found = rules.layers(r, [1.0, 0.8], (z, 0.5), (0.0, 0.5));
            let scale = equal.iter().fold(0.0f64, |m, v| m.max(v.abs()));
            assert!((0..COMPONENTS).all(|c| (equal[c] - found[c]).abs() < 1e-9 * scale), "{r:?} {equal:?} {found:?}");
            // V N is the energy of two magnets on each other: the same seen from either.
            let (up, down) =
                (rules.layers(r, [1.0, 0.8], (z, 0.3), (-1.0, 0.9)), rules.layers(r.map(|c| -c), [1.0, 0.8], (-1.0, 0.9), (z, 0.3)));
            let scale = up.iter().fold(0.0f64, |m, v| m.max(v.abs()));
            assert!((0..COMPONENTS).all(|c| (0.3 * up[c] - 0.9 * down[c]).abs() < 1e-9 * scale), "{r:?} {up:?} {down:?}");
            // A layer in two parts acts as the sum of both, and feels their mean.
            let parts = [rules.layers(r, [1.0, 0.8], (z, 0.3), (-1.0, 0.4)), rules.layers(r, [1.0, 0.8], (z, 0.3), (-0.6, 0.5))];
            assert!((0..COMPONENTS).all(|c| (up[c] - parts[0][c] - parts[1][c]).abs() < 1e-9 * scale));
        }
        // Where both forms hold.
        let (a, b) =
            (near_layers([5.0, 1.0], [1.0, 1.0], (2.0, 0.4), (0.0, 1.1)), rules.layers([5.0, 1.0], [1.0, 1.0], (2.0, 0.4), (0.0, 1.1)));
        assert!((0..COMPONENTS).all(|c| (a[c] - b[c]).abs() < 1e-9 * a[0].abs()), "{a:?} {b:?}");
    }

    #[test]
    fn rules_for_the_triangle_integrate_its_moments() {
        for (n, rule) in gauss_triangle(8).iter().enumerate() {
            assert_eq!(rule.len(), n + 1);
            for m in (0..2 * (n + 1)).step_by(2) {
                let found: f64 = rule.iter().map(|(u, w)| w * u.powi(m as i32)).sum();
                assert!((found - 2.0 / ((m + 1) * (m + 2)) as f64).abs() < 1e-14, "{n} {m}: {found}");
            }
        }
        // The rules and the pieces, near and far.
        let rules = Rules::new();
        for r in [7.0, 12.0, 40.0, 300.0] {
            let by = |points: Vec<(f64, f64)>| points.iter().map(|(u, w)| w / (r + u).powi(3)).sum::<f64>() * r * r * r;
            let pieces: Vec<(f64, f64)> =
                rules.segment(1.0, r / 4.0).into_iter().map(|(u, w)| (u, w * (1.0 - u))).flat_map(|(u, w)| [(u, w), (-u, w)]).collect();
            assert!((by(rules.triangle(1.0, r)) - by(pieces)).abs() < 1e-12, "{r}");
        }
    }

    #[test]
    fn far_and_near_forms_agree_where_both_hold() {
        let rules = Rules::new();
        for (r, d) in [([5.0, 2.0, 1.0], [1.0, 1.0, 1.0]), ([6.0, 3.0, 0.0], [1.0, 1.0, 0.5]), ([0.0, 4.0, 5.0], [1.0, 0.8, 0.6])] {
            let (a, b) = (near(r, d), rules.far(r, d));
            let scale = a.iter().fold(0.0f64, |m, v| m.max(v.abs()));
            for c in 0..COMPONENTS {
                // The near form has lost about 1e-16 R⁶/V² ≈ 2e-11 here.
                assert!((a[c] - b[c]).abs() < 1e-9 * scale, "{r:?} {c}: {} {}", a[c], b[c]);
            }
        }
    }

    #[test]
    fn the_self_term_of_a_cube_is_a_third_and_the_trace_vanishes_outside() {
        let n = pair([0.0; 3], [1.0; 3]);
        assert!((n[0] - 1.0 / 3.0).abs() < 1e-12 && n[3].abs() < 1e-12);
        for r in [[1.0, 0.0, 0.0], [3.0, 2.0, 1.0], [40.0, 7.0, 0.0], [900.0, 1.0, 3.0]] {
            let n = pair(r, [1.0, 1.0, 1.0]);
            assert!((n[0] + n[1] + n[2]).abs() < 1e-9 * n[0].abs().max(n[1].abs()), "{r:?} {n:?}");
        }
    }
}
