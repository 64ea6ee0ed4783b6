//! Interfacial Dzyaloshinskii–Moriya interaction.

use super::{Coefficients, Law, TermInfo, filled, pair_mean, per_msat};
use crate::material::{Apart, ParameterId, Values};
use crate::mesh::Mesh;
use crate::real::Real;

/// w = D [mz (∂x mx + ∂y my) − mx ∂x mz − my ∂y mz], B = (2D/Ms) (∂x mz, ∂y mz, −∂x mx − ∂y my), by central differences.
/// At a free face every linked law sees the [`super::ghost`] of the boundary condition.
pub struct InterfacialDmi;

impl Law for InterfacialDmi {
    const INFO: TermInfo = TermInfo {
        name: "interfacial_dmi",
        group: "exch",
        about: "Interfacial Dzyaloshinskii-Moriya interaction of a film with normal z",
        reference: "Rohart and Thiaville, PRB 88, 184422 (2013), eqs. 2 and 8; sign as in Vansteenkiste et al., AIP Adv. 4, 107133 (2014), eq. 11",
        degree: Some(2.0),
        switch: Some(ParameterId::Dind),
    };
    const COEFFICIENTS: usize = 1;
    const LINKED: bool = true;
    const PAIRED: Option<ParameterId> = Some(ParameterId::Dind);
    const GPU: &'static str = "\
FN VEC interfacial_dmi_gather(VEC m, VEC mj, REAL link, int axis, REAL sign, VEC a, REAL c0) {
    REAL d = link * sign;
    if (axis == 0) { return VEC(a.x + d * mj.z, a.y, a.z - d * mj.x); }
    if (axis == 1) { return VEC(a.x, a.y + d * mj.z, a.z - d * mj.y); }
    return a;
}
FN VEC interfacial_dmi_finish(VEC m, VEC a, VEC extra, REAL c0) { return c0 * a; }
";

    fn coefficients(v: &Values, _mesh: &Mesh) -> Coefficients<f64> {
        filled([per_msat(v)])
    }

    fn link(a: &Values, b: &Values, share: f64) -> f64 {
        pair_mean(a, b, ParameterId::Dind, share)
    }

    // Two faces of a central difference make 2D/(2d).
    fn link_scale(apart: &Apart) -> f64 {
        1.0 / apart.distance
    }

    #[inline(always)]
    fn gather<T: Real>(_m: [T; 3], mj: [T; 3], link: T, axis: usize, sign: T, a: [T; 3], _c: &Coefficients<T>) -> [T; 3] {
        let d = link * sign;
        match axis {
            0 => [a[0] + d * mj[2], a[1], a[2] - d * mj[0]],
            1 => [a[0], a[1] + d * mj[2], a[2] - d * mj[1]],
            _ => a,
        }
    }

    #[inline(always)]
    fn finish<T: Real>(_m: [T; 3], a: [T; 3], c: &Coefficients<T>, _extra: [T; 3]) -> [T; 3] {
        [c[0] * a[0], c[0] * a[1], c[0] * a[2]]
    }
}
