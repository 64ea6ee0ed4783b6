//! Bulk Dzyaloshinskii–Moriya interaction.

use super::{Coefficients, Law, TermInfo, filled, pair_mean, per_msat};
use crate::material::{Apart, ParameterId, Values};
use crate::mesh::Mesh;
use crate::real::Real;

/// w = D m·curl m, B = −(2D/Ms) curl m, by central differences.
/// At a free face, also those across a single layer, every linked law sees the [`super::ghost`] of the boundary condition.
pub struct BulkDmi;

impl Law for BulkDmi {
    const INFO: TermInfo = TermInfo {
        name: "bulk_dmi",
        group: "exch",
        about: "Bulk Dzyaloshinskii-Moriya interaction",
        reference: "w = Dbulk m.curl(m); Bak and Jensen, J. Phys. C 13, L881 (1980), eq. 1; Vansteenkiste et al., AIP Adv. 4, 107133 (2014), eq. 13",
        degree: Some(2.0),
        switch: Some(ParameterId::Dbulk),
    };
    const COEFFICIENTS: usize = 1;
    const LINKED: bool = true;
    const PAIRED: Option<ParameterId> = Some(ParameterId::Dind);
    const GPU: &'static str = "\
FN VEC bulk_dmi_gather(VEC m, VEC mj, REAL link, int axis, REAL sign, VEC a, REAL c0) {
    REAL d = link * sign;
    if (axis == 0) { return VEC(a.x, a.y + d * mj.z, a.z - d * mj.y); }
    if (axis == 1) { return VEC(a.x - d * mj.z, a.y, a.z + d * mj.x); }
    return VEC(a.x + d * mj.y, a.y - d * mj.x, a.z);
}
FN VEC bulk_dmi_finish(VEC m, VEC a, VEC extra, REAL c0) { return c0 * a; }
";

    fn coefficients(v: &Values, _mesh: &Mesh) -> Coefficients<f64> {
        filled([per_msat(v)])
    }

    fn link(a: &Values, b: &Values, share: f64) -> f64 {
        pair_mean(a, b, ParameterId::Dbulk, share)
    }

    // Two faces of a central difference make 2D/(2d).
    fn link_scale(apart: &Apart) -> f64 {
        1.0 / apart.distance
    }

    #[inline(always)]
    fn gather<T: Real>(_m: [T; 3], mj: [T; 3], link: T, axis: usize, sign: T, a: [T; 3], _c: &Coefficients<T>) -> [T; 3] {
        let d = link * sign;
        match axis {
            0 => [a[0], a[1] + d * mj[2], a[2] - d * mj[1]],
            1 => [a[0] - d * mj[2], a[1], a[2] + d * mj[0]],
            _ => [a[0] + d * mj[1], a[1] - d * mj[0], a[2]],
        }
    }

    #[inline(always)]
    fn finish<T: Real>(_m: [T; 3], a: [T; 3], c: &Coefficients<T>, _extra: [T; 3]) -> [T; 3] {
        [c[0] * a[0], c[0] * a[1], c[0] * a[2]]
    }
}
