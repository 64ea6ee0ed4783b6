//! Spin-transfer torque of a current through a texture.

use super::{Coefficients, Driven, FreeFace, Law, TermInfo, filled, kept, per_msat};
use crate::material::{Apart, ParameterId, Values};
use crate::mesh::Mesh;
use crate::real::{Real, cross};
use spinloom_base::constants::{E_CHARGE, GAMMA_LL, MUB};

/// τ = −(u·∇)m + ξ m × (u·∇)m with u = −muB P J / (e Ms (1+ξ²)), by central differences; a missing neighbour has the cell's own m.
///
/// Written as the field that gives it: B = m × h + ξ h with h = −(u·∇)m / γ, so that −γ m × B is τ. That field is not the gradient of an energy.
pub struct ZhangLi;

impl Law for ZhangLi {
    const INFO: TermInfo = TermInfo {
        name: "zhang_li",
        group: "STT",
        about: "Zhang-Li spin-transfer torque of the current J through the magnet",
        reference: "Zhang and Li, PRL 93, 127204 (2004), eq. 9; with 1/(1+xi^2) as in Vansteenkiste et al., AIP Adv. 4, 107133 (2014), eq. 22",
        degree: None,
        switch: Some(ParameterId::Pol),
    };
    const COEFFICIENTS: usize = 5;
    const LINKED: bool = true;
    const FREE_FACE: FreeFace = FreeFace::Nothing;
    const GPU: &'static str = "\
FN VEC zhang_li_gather(VEC m, VEC mj, REAL link, int axis, REAL sign, VEC a, REAL c0, REAL c1, REAL c2, REAL c3, REAL c4) {
    REAL w = link * sign * (axis == 0 ? c0 : (axis == 1 ? c1 : c2));
    return a + w * (mj - m);
}
FN VEC zhang_li_finish(VEC m, VEC h, VEC extra, REAL c0, REAL c1, REAL c2, REAL c3, REAL c4) {
    VEC d = cross(m, h);
    return c3 * d + c4 * h;
}
";
    const DRIVEN: &'static [Driven] = &[
        Driven { coefficient: 0, by: ParameterId::J, power: 1.0 },
        Driven { coefficient: 1, by: ParameterId::J, power: 1.0 },
        Driven { coefficient: 2, by: ParameterId::J, power: 1.0 },
    ];

    fn coefficients(v: &Values, _mesh: &Mesh) -> Coefficients<f64> {
        let xi = v.scalar(ParameterId::Xi);
        let k = MUB * v.scalar(ParameterId::Pol) * per_msat(v) / (2.0 * E_CHARGE * GAMMA_LL * (1.0 + xi * xi));
        let j = v.vector(ParameterId::J);
        let [across, along] = kept(v, [1.0, xi]);
        filled([k * j[0], k * j[1], k * j[2], across, along])
    }

    fn link(a: &Values, b: &Values, _share: f64) -> f64 {
        if a.scalar(ParameterId::Msat) > 0.0 && b.scalar(ParameterId::Msat) > 0.0 { 1.0 } else { 0.0 }
    }

    fn link_scale(apart: &Apart) -> f64 {
        1.0 / apart.distance
    }

    #[inline(always)]
    fn gather<T: Real>(m: [T; 3], mj: [T; 3], link: T, axis: usize, sign: T, a: [T; 3], c: &Coefficients<T>) -> [T; 3] {
        // Taking m off changes h along m only, which the torque does not feel; so a neighbour that is not there adds nothing.
        let w = link * sign * c[axis];
        [a[0] + w * (mj[0] - m[0]), a[1] + w * (mj[1] - m[1]), a[2] + w * (mj[2] - m[2])]
    }

    #[inline(always)]
    fn finish<T: Real>(m: [T; 3], h: [T; 3], c: &Coefficients<T>, _extra: [T; 3]) -> [T; 3] {
        let d = cross(m, h);
        [c[3] * d[0] + c[4] * h[0], c[3] * d[1] + c[4] * h[1], c[3] * d[2] + c[4] * h[2]]
    }
}
