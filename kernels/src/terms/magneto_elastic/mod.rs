//! Magneto-elastic field of a given strain.

use super::{Coefficients, Driven, Law, TermInfo, filled, per_msat};
use crate::material::{ParameterId, Values};
use crate::mesh::Mesh;
use crate::real::Real;

/// w = B1 Σ m_i² e_ii + B2 Σ_{i≠j} m_i m_j e_ij, B_i = −(2/Ms) [B1 m_i e_ii + B2 Σ_{j≠i} m_j e_ij].
pub struct MagnetoElastic;

const fn driven(coefficient: usize, by: ParameterId) -> Driven {
    Driven { coefficient, by, power: 1.0 }
}

impl Law for MagnetoElastic {
    const INFO: TermInfo = TermInfo {
        name: "magneto_elastic",
        group: "mel",
        about: "Magneto-elastic field of the strain exx, eyy, ezz, exy, exz, eyz",
        reference: "Kittel, Rev. Mod. Phys. 21, 541 (1949), section 3.B; Vanderveken et al., Open Res. Europe 1, 35 (2021), eqs. 2 and 3",
        degree: Some(2.0),
        switch: Some(ParameterId::B1),
    };
    const COEFFICIENTS: usize = 6;
    const GPU: &'static str = "\
FN VEC magneto_elastic_finish(VEC m, VEC a, VEC extra, REAL c0, REAL c1, REAL c2, REAL c3, REAL c4, REAL c5) {
    return VEC(c0 * m.x + c3 * m.y + c4 * m.z, c3 * m.x + c1 * m.y + c5 * m.z, c4 * m.x + c5 * m.y + c2 * m.z);
}
";
    const DRIVEN: &'static [Driven] = &[
        driven(0, ParameterId::Exx),
        driven(1, ParameterId::Eyy),
        driven(2, ParameterId::Ezz),
        driven(3, ParameterId::Exy),
        driven(4, ParameterId::Exz),
        driven(5, ParameterId::Eyz),
    ];

    fn coefficients(v: &Values, _mesh: &Mesh) -> Coefficients<f64> {
        let (b1, b2) = (-2.0 * v.scalar(ParameterId::B1) * per_msat(v), -2.0 * v.scalar(ParameterId::B2) * per_msat(v));
        let e = |id| v.scalar(id);
        filled([
            b1 * e(ParameterId::Exx),
            b1 * e(ParameterId::Eyy),
            b1 * e(ParameterId::Ezz),
            b2 * e(ParameterId::Exy),
            b2 * e(ParameterId::Exz),
            b2 * e(ParameterId::Eyz),
        ])
    }

    #[inline(always)]
    fn finish<T: Real>(m: [T; 3], _a: [T; 3], c: &Coefficients<T>, _extra: [T; 3]) -> [T; 3] {
        [c[0] * m[0] + c[3] * m[1] + c[4] * m[2], c[3] * m[0] + c[1] * m[1] + c[5] * m[2], c[4] * m[0] + c[5] * m[1] + c[2] * m[2]]
    }
}
