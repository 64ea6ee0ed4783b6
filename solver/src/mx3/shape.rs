//! Shapes and start configurations: functions of the position (m, from the centre of the box).

use super::random::GoRandom;
use spinloom_kernels::real::cross;
use std::f64::consts::{FRAC_PI_2, PI};
use std::sync::{Arc, Mutex};

/// A set of points.
#[derive(Clone)]
pub struct Shape(pub Arc<dyn Fn([f64; 3]) -> bool + Send + Sync>);

impl std::fmt::Debug for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shape")
    }
}

impl Shape {
    /// From a condition on (x, y, z).
    pub fn new(f: impl Fn(f64, f64, f64) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(move |[x, y, z]| f(x, y, z)))
    }

    /// Whether a point belongs to it.
    pub fn contains(&self, at: [f64; 3]) -> bool {
        (self.0)(at)
    }

    fn mapped(&self, to: impl Fn([f64; 3]) -> [f64; 3] + Send + Sync + 'static) -> Self {
        let inner = self.0.clone();
        Self(Arc::new(move |at| inner(to(at))))
    }

    fn with(&self, other: &Shape, join: impl Fn(bool, bool) -> bool + Send + Sync + 'static) -> Self {
        let (a, b) = (self.0.clone(), other.0.clone());
        Self(Arc::new(move |at| join(a(at), b(at))))
    }

    /// Moved.
    pub fn transl(&self, d: [f64; 3]) -> Self {
        self.mapped(move |p| [p[0] - d[0], p[1] - d[1], p[2] - d[2]])
    }

    /// Stretched from the origin.
    pub fn scale(&self, s: [f64; 3]) -> Self {
        self.mapped(move |p| [p[0] / s[0], p[1] / s[1], p[2] / s[2]])
    }

    /// Repeated with periods; 0 means not.
    pub fn repeat(&self, d: [f64; 3]) -> Self {
        let wrap = |x: f64, d: f64| if d == 0.0 { x } else { (x + 0.5 * d).rem_euclid(d) - 0.5 * d };
        self.mapped(move |p| [wrap(p[0], d[0]), wrap(p[1], d[1]), wrap(p[2], d[2])])
    }

    /// Turned about an axis by an angle (rad), counter-clockwise.
    pub fn rotate(&self, axis: usize, angle: f64) -> Self {
        let (s, c) = (-angle).sin_cos();
        let (u, v) = ((axis + 1) % 3, (axis + 2) % 3);
        self.mapped(move |p| {
            let mut q = p;
            q[u] = c * p[u] - s * p[v];
            q[v] = s * p[u] + c * p[v];
            q
        })
    }

    /// In either.
    pub fn add(&self, other: &Shape) -> Self {
        self.with(other, |a, b| a || b)
    }

    /// In both.
    pub fn intersect(&self, other: &Shape) -> Self {
        self.with(other, |a, b| a && b)
    }

    /// In this one only.
    pub fn sub(&self, other: &Shape) -> Self {
        self.with(other, |a, b| a && !b)
    }

    /// In one but not in both.
    pub fn xor(&self, other: &Shape) -> Self {
        self.with(other, |a, b| a != b)
    }

    /// Everything else.
    pub fn inverse(&self) -> Self {
        let inner = self.0.clone();
        Self(Arc::new(move |at| !inner(at)))
    }

    /// Everywhere.
    pub fn universe() -> Self {
        Self::new(|_, _, _| true)
    }

    /// Three full axes (m).
    pub fn ellipsoid(d: [f64; 3]) -> Self {
        Self::new(move |x, y, z| sq(2.0 * x / d[0]) + sq(2.0 * y / d[1]) + sq(2.0 * z / d[2]) <= 1.0)
    }

    /// |2x/d|^2p + … ≤ 1.
    pub fn superball(d: f64, p: f64) -> Self {
        Self::new(move |x, y, z| {
            let q = |v: f64| (2.0 * v / d).abs().powf(2.0 * p);
            q(x) + q(y) + q(z) <= 1.0
        })
    }

    /// Two full axes (m), without end along z.
    pub fn ellipse(dx: f64, dy: f64) -> Self {
        Self::new(move |x, y, _| sq(2.0 * x / dx) + sq(2.0 * y / dy) <= 1.0)
    }

    /// Base of this diameter at z = 0, tip at z = height (m).
    pub fn cone(d: f64, height: f64) -> Self {
        Self::new(move |x, y, z| height * (z - height) <= 0.0 && z * height >= 0.0 && sq(x) + sq(y) <= sq(0.5 * d * (1.0 - z / height)))
    }

    /// Diameter and height (m).
    pub fn cylinder(d: f64, height: f64) -> Self {
        Self::new(move |x, y, z| sq(x) + sq(y) <= sq(0.5 * d) && 2.0 * z.abs() <= height)
    }

    /// Three sides (m); the lower face belongs to it.
    pub fn cuboid(d: [f64; 3]) -> Self {
        let within = |v: f64, d: f64| v >= -0.5 * d && v < 0.5 * d;
        Self::new(move |x, y, z| within(x, d[0]) && within(y, d[1]) && within(z, d[2]))
    }

    /// Two sides (m), without end along z.
    pub fn rect(dx: f64, dy: f64) -> Self {
        Self::cuboid([dx, dy, f64::INFINITY])
    }

    /// Three corners (m) in the plane.
    pub fn triangle(p: [[f64; 2]; 3]) -> Self {
        Self::new(move |x, y, _| {
            let side = |a: [f64; 2], b: [f64; 2]| (b[0] - a[0]) * (y - a[1]) - (b[1] - a[1]) * (x - a[0]);
            let s = [side(p[0], p[1]), side(p[1], p[2]), side(p[2], p[0])];
            s.iter().all(|v| *v >= 0.0) || s.iter().all(|v| *v <= 0.0)
        })
    }

    /// from ≤ coordinate < to.
    pub fn range(axis: usize, from: f64, to: f64) -> Self {
        Self::new(move |x, y, z| {
            let v = [x, y, z][axis];
            v >= from && v < to
        })
    }
}

fn sq(x: f64) -> f64 {
    x * x
}

/// A vector field.
#[derive(Clone)]
pub struct Config(pub Arc<dyn Fn([f64; 3]) -> [f64; 3] + Send + Sync>);

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Config")
    }
}

fn unit(v: [f64; 3]) -> [f64; 3] {
    let n = (v[0] * v[0] + v[1] * v[1] + v[2] * v[2]).sqrt();
    if n > 0.0 { v.map(|c| c / n) } else { v }
}

/// Two directions at right angles to a third and to each other.
fn plane(n: [f64; 3]) -> [[f64; 3]; 2] {
    let helper = if n[0].abs() < 0.9 { [1.0, 0.0, 0.0] } else { [0.0, 1.0, 0.0] };
    let u = unit(cross(cross(n, helper), n));
    [u, cross(n, u)]
}

impl Config {
    /// From a function of (x, y, z).
    pub fn new(f: impl Fn(f64, f64, f64) -> [f64; 3] + Send + Sync + 'static) -> Self {
        Self(Arc::new(move |[x, y, z]| f(x, y, z)))
    }

    /// At a point; not normalised.
    pub fn at(&self, p: [f64; 3]) -> [f64; 3] {
        (self.0)(p)
    }

    /// Moved.
    pub fn transl(&self, d: [f64; 3]) -> Self {
        let f = self.0.clone();
        Self(Arc::new(move |p| f([p[0] - d[0], p[1] - d[1], p[2] - d[2]])))
    }

    /// Stretched.
    pub fn scale(&self, s: [f64; 3]) -> Self {
        let f = self.0.clone();
        Self(Arc::new(move |p| f([p[0] / s[0], p[1] / s[1], p[2] / s[2]])))
    }

    /// Turned about z by an angle (rad): the pattern and the vectors.
    pub fn rotz(&self, angle: f64) -> Self {
        let f = self.0.clone();
        let (s, c) = angle.sin_cos();
        Self(Arc::new(move |p| {
            let v = f([c * p[0] + s * p[1], -s * p[0] + c * p[1], p[2]]);
            [c * v[0] - s * v[1], s * v[0] + c * v[1], v[2]]
        }))
    }

    /// This one and `weight` of another, each normalised first.
    pub fn add(&self, weight: f64, other: &Config) -> Self {
        let (f, g) = (self.0.clone(), other.0.clone());
        Self(Arc::new(move |p| {
            let (a, b) = (unit(f(p)), unit(g(p)));
            [a[0] + weight * b[0], a[1] + weight * b[1], a[2] + weight * b[2]]
        }))
    }

    /// One direction.
    pub fn uniform(m: [f64; 3]) -> Self {
        Self::new(move |_, _, _| m)
    }

    /// A vortex, or with `anti` an antivortex, with a core as wide as two cells.
    pub fn vortex(circulation: f64, polarity: f64, anti: bool, cell: f64) -> Self {
        Self::new(move |x, y, _| {
            let r = (x * x + y * y).sqrt();
            if r == 0.0 {
                return [0.0, 0.0, polarity];
            }
            let core = 1.5 * polarity * (-r * r / (2.0 * cell * cell)).exp();
            let [u, v] = if anti { [-x, y] } else { [-y, x] };
            [u * circulation / r, v * circulation / r, core]
        })
    }

    /// A skyrmion of width 8 cells, of Néel or Bloch type.
    pub fn skyrmion(charge: f64, polarity: f64, bloch: bool, cell: f64) -> Self {
        let w = 8.0 * cell;
        Self::new(move |x, y, _| {
            let r2 = x * x + y * y;
            let r = r2.sqrt();
            let mz = 2.0 * polarity * ((-r2 / (w * w)).exp() - 0.5);
            let plane = if r > 0.0 { charge / r * (1.0 - mz.abs()) } else { 0.0 };
            if bloch { [-y * plane, x * plane, mz] } else { [x * plane, y * plane, mz] }
        })
    }

    /// Two domains and the wall between them, of two cells' width.
    pub fn two_domain(left: [f64; 3], wall: [f64; 3], right: [f64; 3], cell: f64) -> Self {
        Self::new(move |x, _, _| {
            let side = if x < 0.0 { left } else { right };
            let g = (-sq(x / (2.0 * cell))).exp();
            std::array::from_fn(|c| (1.0 - g) * side[c] + g * wall[c])
        })
    }

    /// Domains along ±x with a vortex between; `height` is the magnet's size along y (m).
    pub fn vortex_wall(left: f64, right: f64, circulation: f64, polarity: f64, cell: f64, height: f64) -> Self {
        let vortex = Self::vortex(circulation, polarity, false, cell);
        Self::new(move |x, y, z| {
            if x < -0.5 * height {
                [left, 0.0, 0.0]
            } else if x > 0.5 * height {
                [right, 0.0, 0.0]
            } else {
                vortex.at([x, y, z])
            }
        })
    }

    /// Every point drawn anew, in the order in which it is asked.
    pub fn random(seed: i64) -> Self {
        let stream = Mutex::new(GoRandom::new(seed));
        Self(Arc::new(move |_| stream.lock().unwrap_or_else(|e| e.into_inner()).direction()))
    }

    /// A cone about an axis, turning along the wave vector (rad/m).
    pub fn conical(q: [f64; 3], axis: [f64; 3], angle: f64) -> Self {
        let n = unit(axis);
        let [u, v] = plane(n);
        let (s, c) = angle.sin_cos();
        Self::new(move |x, y, z| {
            let (sp, cp) = (q[0] * x + q[1] * y + q[2] * z).sin_cos();
            std::array::from_fn(|i| s * (cp * u[i] + sp * v[i]) + c * n[i])
        })
    }

    /// A helix at right angles to its wave vector (rad/m).
    pub fn helical(q: [f64; 3]) -> Self {
        Self::conical(q, q, FRAC_PI_2)
    }

    /// A hopfion: down on a ring of radius `major`, up beyond `minor` from it (m). Hopf index 1. Sutcliffe, J. Phys. A 51, 375401 (2018), section 2, with a linear profile.
    pub fn hopfion(major: f64, minor: f64) -> Self {
        Self::new(move |x, y, z| {
            let rho = (x * x + y * y).sqrt();
            let d = ((rho - major).powi(2) + z * z).sqrt();
            if d >= minor {
                return [0.0, 0.0, 1.0];
            }
            let theta = PI * (1.0 - d / minor);
            let phi = y.atan2(x) + z.atan2(rho - major);
            [theta.sin() * phi.cos(), theta.sin() * phi.sin(), theta.cos()]
        })
    }
}
