//! Oersted fields of currents in wires, lines and vias: B (T) per ampere, by the Biot–Savart law with uniform current density in the conductor.
//!
//! The field of a straight filament along +z at the origin is B = μ0 I/(2π) (−y, x, 0)/(x² + y²); everything here is its integral over a cross-section.
//! Cells take the value at their centres. Conductors have the permeability of vacuum, and neighbours do not screen them: these are fields of currents
//! that change slowly against the diffusion of flux through a film (picoseconds at 100 nm).

use crate::experiment::positive_vector;
use crate::surroundings::Level;
use spinloom_base::constants::MU0;
use spinloom_base::{Dimension, Fields, Node, Problems};
use spinloom_kernels::Mesh;
use std::f64::consts::{FRAC_PI_2, PI, TAU};

/// A conductor and the current in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Conductor {
    /// Its name; the column is `I_<name>`.
    pub name: String,
    /// Its form.
    pub form: Form,
    /// Its centre (m from the centre of the mesh); the coordinate along an endless conductor does not matter.
    pub at: [f64; 3],
    /// What flows in it when nothing else is said.
    pub current: Current,
}

/// Where a conductor's current comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Current {
    /// A source of its own (A).
    Own(Level),
    /// A junction, by its position among the probes: their currents are the same.
    Junction(usize),
}

/// The form of a conductor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Form {
    /// An endless cylinder.
    Wire {
        /// 0, 1, 2 for x, y, z.
        along: usize,
        /// m.
        radius: f64,
    },
    /// An endless bar of rectangular cross-section.
    Strip {
        /// 0, 1, 2 for x, y, z.
        along: usize,
        /// Across, in the plane (along x for a bar along z) (m).
        width: f64,
        /// Along z (along y for a bar along z) (m).
        thickness: f64,
    },
    /// A cylinder along z over an ellipse. Where it ends its current leaves sideways, evenly in all directions, which adds no field by symmetry only
    /// far from the ends: near them a plate's own field is missing.
    Via {
        /// Full lengths of the ellipse's axes along x and y (m).
        size: [f64; 2],
        /// Length along z (m), or infinity.
        length: f64,
    },
}

impl Conductor {
    /// The field (T) at a point (m) of one ampere, which flows towards +x, +y or +z.
    pub fn field(&self, point: [f64; 3]) -> [f64; 3] {
        let d: [f64; 3] = std::array::from_fn(|c| point[c] - self.at[c]);
        match self.form {
            Form::Wire { along, radius } => {
                let [p, q] = across(along).map(|c| d[c]);
                let b = MU0 / TAU / (p * p + q * q).max(radius * radius);
                rotated(along, [-b * q, b * p])
            }
            Form::Strip { along, width, thickness } => {
                // Cyclic order (p, q, along) is right-handed; across a line along x that is (y, z), across one along y (z, x).
                let [p, q] = across(along).map(|c| d[c]);
                let [w, t] = if along == 1 { [thickness, width] } else { [width, thickness] };
                let b = MU0 / TAU / (w * t);
                rotated(along, [-b * bar(p, q, w, t), b * bar(q, p, t, w)])
            }
            Form::Via { size, length } => via(d, size.map(|s| 0.5 * s), length),
        }
    }

    /// The field of one ampere in every cell, `[component][z][y][x]`.
    pub fn mask(&self, mesh: &Mesh) -> Vec<f64> {
        let cells = mesh.cells();
        let mut b = vec![0.0; 3 * cells];
        let [nx, ny, _] = mesh.n;
        for i in 0..cells {
            let field = self.field(mesh.position(i % nx, i / nx % ny, i / (nx * ny)));
            (0..3).for_each(|c| b[c * cells + i] = field[c]);
        }
        b
    }

    /// Reads `{name: …, wire: {along: z, radius: …}, at: […], current: 1 mA}`, or with `strip: {along:, width:, thickness:}` or
    /// `via: {size: [a, b], length:}`. The current may be a wave, or `{junction: NAME}`.
    pub fn read(node: &Node, junctions: &[(usize, &str)], problems: &mut Problems) -> Option<Self> {
        let mut f = Fields::of(node, "a conductor", problems)?;
        let name = f.required("name", problems).and_then(|n| n.text(problems)).map(str::to_string);
        let forms = ["wire", "strip", "via"].map(|k| (k, f.optional(k)));
        let at = f.optional("at").map_or(Some([0.0; 3]), |n| n.vector::<3>(Dimension::LENGTH, problems));
        let current = f.optional("current").map_or(Some(Current::Own(Level::constant(0.0))), |n| match n.get("junction") {
            Some(other) => {
                let names: Vec<&str> = junctions.iter().map(|j| j.1).collect();
                other.choice(&names, problems).map(|i| Current::Junction(junctions[i].0))
            }
            None => Level::read(n, Dimension::CURRENT, problems).map(Current::Own),
        });
        f.finish(problems);
        let [(kind, inner)] = forms.into_iter().filter_map(|(k, n)| n.map(|n| (k, n))).collect::<Vec<_>>()[..] else {
            problems.push(node.error("a conductor is exactly one of `wire`, `strip` and `via`"));
            return None;
        };
        let mut f = Fields::of(inner, "its form", problems)?;
        let length = |n: Option<&Node>, problems: &mut Problems| n.and_then(|n| n.positive(Dimension::LENGTH, problems));
        let form = if kind == "via" {
            let size = f.required("size", problems).and_then(|n| positive_vector::<2>(n, problems));
            let length = f.optional("length").map_or(Some(f64::INFINITY), |n| n.positive(Dimension::LENGTH, problems));
            f.finish(problems);
            Form::Via { size: size?, length: length? }
        } else {
            let along = f.required("along", problems).and_then(|n| n.choice(&["x", "y", "z"], problems));
            let keys: &[&str] = if kind == "wire" { &["radius"] } else { &["width", "thickness"] };
            let sizes: Vec<Option<f64>> = keys.iter().map(|k| length(f.required(k, problems), problems)).collect();
            f.finish(problems);
            match sizes[..] {
                [radius] => Form::Wire { along: along?, radius: radius? },
                _ => Form::Strip { along: along?, width: sizes[0]?, thickness: sizes[1]? },
            }
        };
        Some(Self { name: name?, form, at: at?, current: current? })
    }
}

/// The two axes that complete one to a right-handed triple (p, q, along).
fn across(along: usize) -> [usize; 2] {
    [(along + 1) % 3, (along + 2) % 3]
}

fn rotated(along: usize, b: [f64; 2]) -> [f64; 3] {
    let mut field = [0.0; 3];
    across(along).into_iter().zip(b).for_each(|(c, b)| field[c] = b);
    field
}

/// ∫∫ (q − q')/((p − p')² + (q − q')²) dp' dq' over a rectangle of w × t about the origin.
///
/// With X = p − p' and Y = q − q': ∫ Y/(X² + Y²) dY = ln(X² + Y²)/2, and the integral of that over X is G = X ln(X² + Y²)/2 + Y arctan(X/Y) − X, of
/// which −X drops out between the two ends in Y. (The field of a rectangular bus-bar: Binns, Lawrenson and Trowbridge, The Analytical and Numerical
/// Solution of Electric and Magnetic Fields, Wiley (1992), chapter 3.)
fn bar(p: f64, q: f64, w: f64, t: f64) -> f64 {
    let g = |x: f64, y: f64| {
        // X ln r² → 0 and Y arctan(X/Y) → 0 at their zeros.
        let log = if x == 0.0 { 0.0 } else { 0.5 * x * (x * x + y * y).ln() };
        let arc = if y == 0.0 { 0.0 } else { y * (x / y).atan() };
        log + arc
    };
    let ([x0, x1], [y0, y1]) = ([p - 0.5 * w, p + 0.5 * w], [q - 0.5 * t, q + 0.5 * t]);
    g(x1, y1) - g(x0, y1) - g(x1, y0) + g(x0, y0)
}

/// Nodes of the integral over directions. Inside and outside it converges like a power series; on the edge, where the chord has a kink, to 1e-4.
const DIRECTIONS: usize = 128;

/// The field of one ampere along +z, even over an ellipse of half-axes a and b, between −L/2 and L/2.
///
/// A filament at distance ρ gives B = μ0 I/(4πρ²) (−y, x) S with S = zt/√(ρ² + zt²) − zb/√(ρ² + zb²), zt and zb the heights of its ends above the point
/// (Jackson, Classical Electrodynamics, 3rd ed., section 5.2, integrated between ends). In polar coordinates about the point the 1/ρ cancels against the
/// element of area, and ∫ S dρ = F = zt arsinh(ρ/|zt|) − zb arsinh(ρ/|zb|) (2ρ without ends) along each ray; the integral over directions is smooth and done
/// by the trapezoidal rule. In coordinates that make the ellipse a unit circle a ray runs along (a cos φ, b sin φ).
fn via(d: [f64; 3], [a, b]: [f64; 2], length: f64) -> [f64; 3] {
    let part = |rho: f64, z: f64| if z == 0.0 { 0.0 } else { z * (rho / z.abs()).asinh() };
    let along = |rho: f64| {
        if length.is_infinite() { 2.0 * rho } else { part(rho, 0.5 * length - d[2]) - part(rho, -0.5 * length - d[2]) }
    };
    let p = [d[0] / a, d[1] / b];
    let r2 = p[0] * p[0] + p[1] * p[1];
    let mut sum = [0.0; 2];
    let mut add = |phi: f64, weight: f64| {
        let (s, c) = phi.sin_cos();
        let v = [a * c, b * s];
        let g = (v[0] * v[0] + v[1] * v[1]).sqrt();
        let middle = -(p[0] * c + p[1] * s);
        let half = (middle * middle + 1.0 - r2).max(0.0).sqrt();
        let chord = along((middle + half).max(0.0) * g) - along((middle - half).max(0.0) * g);
        let k = weight * chord / (g * g * g);
        sum[0] += k * v[1];
        sum[1] -= k * v[0];
    };
    for i in 0..DIRECTIONS {
        if r2 <= 1.0 {
            add(TAU * i as f64 / DIRECTIONS as f64, TAU / DIRECTIONS as f64);
        } else {
            // Only directions between the tangents meet the ellipse; the sine makes the chord's square-root ends smooth.
            let (centre, spread) = ((-p[1]).atan2(-p[0]), (1.0 / r2.sqrt()).asin());
            let u = PI * (i as f64 + 0.5) / DIRECTIONS as f64 - FRAC_PI_2;
            add(centre + spread * u.sin(), spread * u.cos() * PI / DIRECTIONS as f64);
        }
    }
    // The density 1/(π a b) cancels the a b of the element of area.
    let k = MU0 / (4.0 * PI) / PI;
    [k * sum[0], k * sum[1], 0.0]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conductor(form: Form, at: [f64; 3]) -> Conductor {
        Conductor { name: "c".into(), form, at, current: Current::Own(Level::constant(1.0)) }
    }

    fn close(a: [f64; 3], b: [f64; 3], bound: f64) {
        let size = b.iter().map(|v| v * v).sum::<f64>().sqrt();
        let off = (0..3).map(|c| (a[c] - b[c]).powi(2)).sum::<f64>().sqrt();
        assert!(off <= bound * size, "{a:?} is not {b:?}");
    }

    const N: f64 = 1e-9;

    /// ∮ B·dl around a circle of radius r in the plane across an axis (T m).
    fn circulation(c: &Conductor, along: usize, r: f64, height: f64) -> f64 {
        let n = 4000;
        let [p, q] = across(along);
        (0..n)
            .map(|i| {
                let (s, co) = (TAU * (f64::from(i) + 0.5) / f64::from(n)).sin_cos();
                let mut x = c.at;
                x[along] += height;
                (x[p], x[q]) = (x[p] + r * co, x[q] + r * s);
                let b = c.field(x);
                (b[q] * co - b[p] * s) * r * TAU / f64::from(n)
            })
            .sum()
    }

    #[test]
    fn amperes_law_holds_around_every_conductor() {
        let at = [3.0 * N, -5.0 * N, 2.0 * N];
        for along in 0..3 {
            let wire = conductor(Form::Wire { along, radius: 10.0 * N }, at);
            assert!((circulation(&wire, along, 25.0 * N, 0.0) / MU0 - 1.0).abs() < 1e-12);
            // A quarter of the area within half the radius.
            assert!((circulation(&wire, along, 5.0 * N, 0.0) / MU0 - 0.25).abs() < 1e-12);
            let strip = conductor(Form::Strip { along, width: 40.0 * N, thickness: 6.0 * N }, at);
            assert!((circulation(&strip, along, 30.0 * N, 0.0) / MU0 - 1.0).abs() < 1e-9);
            // A circle within the bar: its part of the area.
            assert!((circulation(&strip, along, 2.0 * N, 0.0) / MU0 - PI * 4.0 / 240.0).abs() < 1e-9);
        }
        let via = conductor(Form::Via { size: [40.0 * N, 24.0 * N], length: f64::INFINITY }, at);
        assert!((circulation(&via, 2, 30.0 * N, 0.0) / MU0 - 1.0).abs() < 1e-9);
        assert!((circulation(&via, 2, 8.0 * N, 0.0) / MU0 - 64.0 / 240.0).abs() < 1e-9);
    }

    #[test]
    fn closed_forms_of_textbooks_are_met() {
        // 1 mA in a thin wire at 100 nm: μ0 I/(2π r) = 2 mT.
        let wire = conductor(Form::Wire { along: 2, radius: N }, [0.0; 3]);
        close(wire.field([100.0 * N, 0.0, 7.0]).map(|b| 1e-3 * b), [0.0, 2e-3, 0.0], 1e-12);
        let wire = conductor(Form::Wire { along: 0, radius: N }, [0.0; 3]);
        close(wire.field([0.0, 0.0, -100.0 * N]).map(|b| 1e-3 * b), [0.0, 2e-3, 0.0], 1e-12);
        // Below the middle of a thin film along x: μ0 I/(π w) arctan(w/2z) along +y, and its negative above.
        let strip = conductor(Form::Strip { along: 0, width: 400.0 * N, thickness: 0.1 * N }, [0.0; 3]);
        let b = MU0 / (PI * 400.0 * N) * (200.0f64 / 10.0).atan();
        // The thickness adds (t/z)² of the small part that depends on z.
        close(strip.field([0.0, 0.0, -10.0 * N]), [0.0, b, 0.0], 1e-6);
        close(strip.field([0.0, 0.0, 10.0 * N]), [0.0, -b, 0.0], 1e-6);
        let strip = conductor(Form::Strip { along: 1, width: 400.0 * N, thickness: 0.1 * N }, [0.0; 3]);
        close(strip.field([0.0, 0.0, 10.0 * N]), [b, 0.0, 0.0], 1e-6);
        // Inside an endless ellipse: B = μ0 J (−a y, b x)/(a + b), which has the curl μ0 J and vanishing divergence, and is the slab's for a → ∞.
        let via = conductor(Form::Via { size: [60.0 * N, 20.0 * N], length: f64::INFINITY }, [0.0; 3]);
        let j = 1.0 / (PI * 30.0 * N * 10.0 * N);
        let (x, y) = (11.0 * N, -4.0 * N);
        close(via.field([x, y, 0.0]), [-MU0 * j * 30.0 * y / 40.0, MU0 * j * 10.0 * x / 40.0, 0.0], 1e-9);
        // A round one is a wire, inside and outside.
        let round = conductor(Form::Via { size: [20.0 * N; 2], length: f64::INFINITY }, [0.0; 3]);
        let wire = conductor(Form::Wire { along: 2, radius: 10.0 * N }, [0.0; 3]);
        for p in [[3.0 * N, 4.0 * N, 0.0], [-9.0 * N, 12.0 * N, 5.0 * N], [10.5 * N, 0.0, 0.0]] {
            close(round.field(p), wire.field(p), 1e-9);
        }
        // A thin one of finite length, from outside, is a filament between its ends: μ0 I/(4πρ) (sin α + sin β); up to (a/ρ)²/8 of the point.
        let short = conductor(Form::Via { size: [0.2 * N; 2], length: 40.0 * N }, [0.0, 0.0, 5.0 * N]);
        let (rho, up, down): (f64, f64, f64) = (30.0 * N, 20.0 * N - 2.0 * N, 20.0 * N + 2.0 * N);
        let b = MU0 / (4.0 * PI * rho) * (up / rho.hypot(up) + down / rho.hypot(down));
        close(short.field([rho, 0.0, 7.0 * N]), [0.0, b, 0.0], 1e-5);
    }

    #[test]
    fn filaments_add_up_to_the_strip_and_the_via() {
        // A grid of filaments: the midpoint rule, whose error falls as 1/n²; 200 × 40 at a distance of half a width leave 1e-6.
        let at = [1.0 * N, -2.0 * N, 4.0 * N];
        let strip = conductor(Form::Strip { along: 0, width: 50.0 * N, thickness: 10.0 * N }, at);
        let p = [0.0, 40.0 * N, 20.0 * N];
        let (nw, nt) = (200, 40);
        let mut sum = [0.0; 3];
        for i in 0..nw * nt {
            let y = at[1] + 50.0 * N * (((i % nw) as f64 + 0.5) / nw as f64 - 0.5);
            let z = at[2] + 10.0 * N * (((i / nw) as f64 + 0.5) / nt as f64 - 0.5);
            let b = conductor(Form::Wire { along: 0, radius: 1e-15 }, [0.0, y, z]).field(p);
            (0..3).for_each(|c| sum[c] += b[c] / (nw * nt) as f64);
        }
        close(strip.field(p), sum, 1e-5);
        // Filaments of finite length over an ellipse, seen from above its edge and from outside.
        let via = conductor(Form::Via { size: [60.0 * N, 30.0 * N], length: 25.0 * N }, at);
        for p in [[50.0 * N, 10.0 * N, 9.0 * N], [20.0 * N, -6.0 * N, 40.0 * N]] {
            let (mut sum, mut count) = ([0.0; 3], 0.0);
            let n = 400;
            for i in 0..n * n {
                let [u, v] = [i % n, i / n].map(|k| 2.0 * (f64::from(k) + 0.5) / f64::from(n) - 1.0);
                if u * u + v * v < 1.0 {
                    let [x, y] = [p[0] - at[0] - 30.0 * N * u, p[1] - at[1] - 15.0 * N * v];
                    let [up, down] = [12.5 * N - (p[2] - at[2]), -12.5 * N - (p[2] - at[2])];
                    let rho = x.hypot(y);
                    let b = MU0 / (4.0 * PI * rho * rho) * (up / rho.hypot(up) - down / rho.hypot(down));
                    sum[0] -= b * y;
                    sum[1] += b * x;
                    count += 1.0;
                }
            }
            // Counting squares in a circle of 400 across is good to 1e-4.
            close(via.field(p), sum.map(|b| b / count), 1e-3);
        }
    }
}
