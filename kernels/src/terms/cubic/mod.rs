//! Cubic anisotropy along anisC1, anisC2 and their cross product. The three orders are three laws, because each is homogeneous of its own degree.

use super::{Coefficients, Driven, Law, TermInfo, filled, per_msat};
use crate::material::{ParameterId, Values};
use crate::mesh::Mesh;
use crate::real::{Real, cross, dot};

/// Fourth order: w = Kc1 (a1² a2² + a1² a3² + a2² a3²) with a_i = c_i·m.
pub struct Cubic4;

/// Sixth order: w = Kc2 a1² a2² a3².
pub struct Cubic6;

/// Eighth order: w = Kc3 (a1⁴ a2⁴ + a1⁴ a3⁴ + a2⁴ a3⁴).
pub struct Cubic8;

/// −n K/Ms and the two axes.
fn coefficients(strength: f64, v: &Values) -> Coefficients<f64> {
    let unit = |id| {
        let u = v.vector(id);
        let norm = dot(u, u).sqrt();
        if norm > 0.0 { u.map(|c| c / norm) } else { u }
    };
    let (a, b) = (unit(ParameterId::AnisC1), unit(ParameterId::AnisC2));
    filled([strength * per_msat(v), a[0], a[1], a[2], b[0], b[1], b[2]])
}

/// Σ f_i c_i from f(own, one other, the other) of the projections.
#[inline(always)]
fn along<T: Real>(m: [T; 3], c: &Coefficients<T>, f: impl Fn(T, T, T) -> T) -> [T; 3] {
    let (c1, c2) = ([c[1], c[2], c[3]], [c[4], c[5], c[6]]);
    let c3 = cross(c1, c2);
    let p = |u: [T; 3]| m[0] * u[0] + m[1] * u[1] + m[2] * u[2];
    let (a1, a2, a3) = (p(c1), p(c2), p(c3));
    let (f1, f2, f3) = (c[0] * f(a1, a2, a3), c[0] * f(a2, a1, a3), c[0] * f(a3, a1, a2));
    std::array::from_fn(|i| f1 * c1[i] + f2 * c2[i] + f3 * c3[i])
}

macro_rules! gpu {
    ($name:literal, $f:literal) => {
        concat!(
            "FN REAL ",
            $name,
            "_slope(REAL a, REAL b, REAL d) { return ",
            $f,
            "; }\n",
            "FN VEC ",
            $name,
            "_finish(VEC m, VEC a, VEC extra, REAL c0, REAL c1, REAL c2, REAL c3, REAL c4, REAL c5, REAL c6) {\n",
            "    VEC u = VEC(c1, c2, c3);\n    VEC v = VEC(c4, c5, c6);\n    VEC w = cross(u, v);\n",
            "    REAL p = dot(m, u);\n    REAL q = dot(m, v);\n    REAL s = dot(m, w);\n",
            "    REAL f = c0 * ",
            $name,
            "_slope(p, q, s);\n    REAL g = c0 * ",
            $name,
            "_slope(q, p, s);\n    REAL h = c0 * ",
            $name,
            "_slope(s, p, q);\n",
            "    VEC fu = f * u;\n    VEC gv = g * v;\n    VEC hw = h * w;\n    return fu + gv + hw;\n}\n"
        )
    };
}

const REFERENCE: &str =
    "Kittel, Rev. Mod. Phys. 21, 541 (1949), section 3.A; orders as in Vansteenkiste et al., AIP Adv. 4, 107133 (2014), eq. 17";

impl Law for Cubic4 {
    const INFO: TermInfo = TermInfo {
        name: "cubic4",
        group: "anis",
        about: "Cubic anisotropy Kc1 along anisC1, anisC2 and their cross product",
        reference: REFERENCE,
        degree: Some(4.0),
        switch: Some(ParameterId::Kc1),
    };
    const COEFFICIENTS: usize = 7;
    const GPU: &'static str = gpu!("cubic4", "a * (b * b + d * d)");
    const DRIVEN: &'static [Driven] = &[Driven { coefficient: 0, by: ParameterId::Kc1, power: 1.0 }];

    fn coefficients(v: &Values, _mesh: &Mesh) -> Coefficients<f64> {
        coefficients(-2.0 * v.scalar(ParameterId::Kc1), v)
    }

    #[inline(always)]
    fn finish<T: Real>(m: [T; 3], _a: [T; 3], c: &Coefficients<T>, _extra: [T; 3]) -> [T; 3] {
        along(m, c, |a, b, d| a * (b * b + d * d))
    }
}

impl Law for Cubic6 {
    const INFO: TermInfo = TermInfo {
        name: "cubic6",
        group: "anis",
        about: "Cubic anisotropy of sixth order, Kc2",
        reference: REFERENCE,
        degree: Some(6.0),
        switch: Some(ParameterId::Kc2),
    };
    const COEFFICIENTS: usize = 7;
    const GPU: &'static str = gpu!("cubic6", "a * b * b * d * d");
    const DRIVEN: &'static [Driven] = &[Driven { coefficient: 0, by: ParameterId::Kc2, power: 1.0 }];

    fn coefficients(v: &Values, _mesh: &Mesh) -> Coefficients<f64> {
        coefficients(-2.0 * v.scalar(ParameterId::Kc2), v)
    }

    #[inline(always)]
    fn finish<T: Real>(m: [T; 3], _a: [T; 3], c: &Coefficients<T>, _extra: [T; 3]) -> [T; 3] {
        along(m, c, |a, b, d| a * b * b * d * d)
    }
}

impl Law for Cubic8 {
    const INFO: TermInfo = TermInfo {
        name: "cubic8",
        group: "anis",
        about: "Cubic anisotropy of eighth order, Kc3",
        reference: REFERENCE,
        degree: Some(8.0),
        switch: Some(ParameterId::Kc3),
    };
    const COEFFICIENTS: usize = 7;
    const GPU: &'static str = gpu!("cubic8", "a * a * a * (b * b * b * b + d * d * d * d)");
    const DRIVEN: &'static [Driven] = &[Driven { coefficient: 0, by: ParameterId::Kc3, power: 1.0 }];

    fn coefficients(v: &Values, _mesh: &Mesh) -> Coefficients<f64> {
        coefficients(-4.0 * v.scalar(ParameterId::Kc3), v)
    }

    #[inline(always)]
    fn finish<T: Real>(m: [T; 3], _a: [T; 3], c: &Coefficients<T>, _extra: [T; 3]) -> [T; 3] {
        along(m, c, |a, b, d| a * a * a * (b * b * b * b + d * d * d * d))
    }
}
