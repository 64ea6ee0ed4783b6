//! Coupling of two layers across a spacer, or of two that touch: bilinear, biquadratic, and the interlayer Dzyaloshinskii–Moriya interaction.
//!
//! Energies are per area between a cell and its *partner*, the next magnet above or below it in the same column; see [`crate::region::partners`].

use super::{Coefficients, Law, TermInfo, filled, per_msat};
use crate::material::{Coupling, ParameterId, Values};
use crate::mesh::Mesh;
use crate::real::{Real, cross};

/// w = −J1 m1·m2 per area, B1 = J1 m2/(Ms t).
pub struct Bilinear;

/// w = −J2 (m1·m2)² per area, B1 = 2 J2 (m1·m2) m2/(Ms t).
pub struct Biquadratic;

/// w = D·(m1 × m2) per area, 1 below and 2 above, B1 = −m2 × D/(Ms t), B2 = m1 × D/(Ms t).
pub struct InterlayerDmi;

const fn info(name: &'static str, about: &'static str, reference: &'static str, degree: f64) -> TermInfo {
    TermInfo { name, group: "exch", about, reference, degree: Some(degree), switch: Some(ParameterId::Msat) }
}

impl Law for Bilinear {
    const INFO: TermInfo = info(
        "interlayer_bilinear",
        "Bilinear coupling J1 of two layers (RKKY)",
        "Bruno and Chappert, PRB 46, 261 (1992), eq. 1; sign: J1 > 0 makes layers parallel",
        2.0,
    );
    const COEFFICIENTS: usize = 1;
    const PARTNERED: usize = 1;
    const GPU: &'static str = "\
FN VEC interlayer_bilinear_gather(VEC m, VEC mj, REAL link, int axis, REAL sign, VEC a, REAL c0) { return a + link * mj; }
FN VEC interlayer_bilinear_finish(VEC m, VEC a, VEC extra, REAL c0) { return c0 * a; }
";

    fn coefficients(v: &Values, _mesh: &Mesh) -> Coefficients<f64> {
        filled([per_msat(v)])
    }

    fn coupling(c: &Coupling, _k: usize) -> f64 {
        c.j1
    }

    #[inline(always)]
    fn gather<T: Real>(_m: [T; 3], mj: [T; 3], link: T, _axis: usize, _sign: T, a: [T; 3], _c: &Coefficients<T>) -> [T; 3] {
        [a[0] + link * mj[0], a[1] + link * mj[1], a[2] + link * mj[2]]
    }

    #[inline(always)]
    fn finish<T: Real>(_m: [T; 3], a: [T; 3], c: &Coefficients<T>, _extra: [T; 3]) -> [T; 3] {
        [c[0] * a[0], c[0] * a[1], c[0] * a[2]]
    }
}

impl Law for Biquadratic {
    const INFO: TermInfo = info(
        "interlayer_biquadratic",
        "Biquadratic coupling J2 of two layers",
        "Slonczewski, PRL 67, 3172 (1991), eq. 1; sign: J2 < 0 makes layers perpendicular",
        4.0,
    );
    const COEFFICIENTS: usize = 1;
    const PARTNERED: usize = 1;
    const GPU: &'static str = "\
FN VEC interlayer_biquadratic_gather(VEC m, VEC mj, REAL link, int axis, REAL sign, VEC a, REAL c0) {
    REAL w = link * dot(m, mj);
    return a + w * mj;
}
FN VEC interlayer_biquadratic_finish(VEC m, VEC a, VEC extra, REAL c0) { return c0 * a; }
";

    fn coefficients(v: &Values, _mesh: &Mesh) -> Coefficients<f64> {
        filled([2.0 * per_msat(v)])
    }

    fn coupling(c: &Coupling, _k: usize) -> f64 {
        c.j2
    }

    #[inline(always)]
    fn gather<T: Real>(m: [T; 3], mj: [T; 3], link: T, _axis: usize, _sign: T, a: [T; 3], _c: &Coefficients<T>) -> [T; 3] {
        let w = link * (m[0] * mj[0] + m[1] * mj[1] + m[2] * mj[2]);
        [a[0] + w * mj[0], a[1] + w * mj[1], a[2] + w * mj[2]]
    }

    #[inline(always)]
    fn finish<T: Real>(_m: [T; 3], a: [T; 3], c: &Coefficients<T>, _extra: [T; 3]) -> [T; 3] {
        [c[0] * a[0], c[0] * a[1], c[0] * a[2]]
    }
}

impl Law for InterlayerDmi {
    const INFO: TermInfo = info(
        "interlayer_dmi",
        "Interlayer Dzyaloshinskii-Moriya interaction of two layers",
        "Vedmedenko et al., PRL 122, 257202 (2019), eq. 1; D.(m_lower x m_upper)",
        2.0,
    );
    const COEFFICIENTS: usize = 1;
    const PARTNERED: usize = 3;
    const GPU: &'static str = "\
FN VEC interlayer_dmi_gather(VEC m, VEC mj, REAL link, int axis, REAL sign, VEC a, REAL c0) {
    REAL d = link * sign;
    if (axis == 0) { return VEC(a.x, a.y - d * mj.z, a.z + d * mj.y); }
    if (axis == 1) { return VEC(a.x + d * mj.z, a.y, a.z - d * mj.x); }
    return VEC(a.x - d * mj.y, a.y + d * mj.x, a.z);
}
FN VEC interlayer_dmi_finish(VEC m, VEC a, VEC extra, REAL c0) { return c0 * a; }
";

    fn coefficients(v: &Values, _mesh: &Mesh) -> Coefficients<f64> {
        filled([per_msat(v)])
    }

    fn coupling(c: &Coupling, k: usize) -> f64 {
        c.d[k]
    }

    // −sign (mj × e_k) D_k
    #[inline(always)]
    fn gather<T: Real>(_m: [T; 3], mj: [T; 3], link: T, axis: usize, sign: T, a: [T; 3], _c: &Coefficients<T>) -> [T; 3] {
        let mut e = [T::ZERO; 3];
        e[axis] = T::ONE;
        let v = cross(e, mj);
        let d = link * sign;
        [a[0] + d * v[0], a[1] + d * v[1], a[2] + d * v[2]]
    }

    #[inline(always)]
    fn finish<T: Real>(_m: [T; 3], a: [T; 3], c: &Coefficients<T>, _extra: [T; 3]) -> [T; 3] {
        [c[0] * a[0], c[0] * a[1], c[0] * a[2]]
    }
}
