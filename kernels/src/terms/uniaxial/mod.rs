//! Uniaxial anisotropy. The two orders are two laws, because each is homogeneous of its own degree.

use super::{Coefficients, Driven, Law, TermInfo, filled, per_msat};
use crate::material::{ParameterId, Values};
use crate::mesh::Mesh;
use crate::real::{Real, dot};

/// Second order: w = −Ku1 (m·u)², B = (2 Ku1/Ms) (m·u) u.
pub struct Uniaxial;

/// Fourth order: w = −Ku2 (m·u)⁴, B = (4 Ku2/Ms) (m·u)³ u.
pub struct Uniaxial4;

fn coefficients(strength: f64, v: &Values) -> Coefficients<f64> {
    let u = v.vector(ParameterId::AnisU);
    let norm = dot(u, u).sqrt();
    let u = if norm > 0.0 { u.map(|c| c / norm) } else { u };
    filled([strength * per_msat(v), u[0], u[1], u[2]])
}

impl Law for Uniaxial {
    const INFO: TermInfo = TermInfo {
        name: "uniaxial",
        group: "anis",
        about: "Uniaxial anisotropy Ku1 along anisU",
        reference: "w = -Ku1 (m.u)^2; Vansteenkiste et al., AIP Adv. 4, 107133 (2014), eq. 15",
        degree: Some(2.0),
        switch: Some(ParameterId::Ku1),
    };
    const COEFFICIENTS: usize = 4;
    const GPU: &'static str = "\
FN VEC uniaxial_finish(VEC m, VEC a, VEC extra, REAL c0, REAL c1, REAL c2, REAL c3) {
    VEC u = VEC(c1, c2, c3);
    REAL mu = dot(m, u);
    return (c0 * mu) * u;
}
";
    const DRIVEN: &'static [Driven] = &[Driven { coefficient: 0, by: ParameterId::Ku1, power: 1.0 }];

    fn coefficients(v: &Values, _mesh: &Mesh) -> Coefficients<f64> {
        coefficients(2.0 * v.scalar(ParameterId::Ku1), v)
    }

    #[inline(always)]
    fn finish<T: Real>(m: [T; 3], _a: [T; 3], c: &Coefficients<T>, _extra: [T; 3]) -> [T; 3] {
        let mu = m[0] * c[1] + m[1] * c[2] + m[2] * c[3];
        let b = c[0] * mu;
        [b * c[1], b * c[2], b * c[3]]
    }
}

impl Law for Uniaxial4 {
    const INFO: TermInfo = TermInfo {
        name: "uniaxial4",
        group: "anis",
        about: "Uniaxial anisotropy of fourth order, Ku2 along anisU",
        reference: "w = -Ku2 (m.u)^4; Vansteenkiste et al., AIP Adv. 4, 107133 (2014), eq. 15",
        degree: Some(4.0),
        switch: Some(ParameterId::Ku2),
    };
    const COEFFICIENTS: usize = 4;
    const GPU: &'static str = "\
FN VEC uniaxial4_finish(VEC m, VEC a, VEC extra, REAL c0, REAL c1, REAL c2, REAL c3) {
    VEC u = VEC(c1, c2, c3);
    REAL mu = dot(m, u);
    return (c0 * mu * mu * mu) * u;
}
";
    const DRIVEN: &'static [Driven] = &[Driven { coefficient: 0, by: ParameterId::Ku2, power: 1.0 }];

    fn coefficients(v: &Values, _mesh: &Mesh) -> Coefficients<f64> {
        coefficients(4.0 * v.scalar(ParameterId::Ku2), v)
    }

    #[inline(always)]
    fn finish<T: Real>(m: [T; 3], _a: [T; 3], c: &Coefficients<T>, _extra: [T; 3]) -> [T; 3] {
        let mu = m[0] * c[1] + m[1] * c[2] + m[2] * c[3];
        let b = c[0] * mu * mu * mu;
        [b * c[1], b * c[2], b * c[3]]
    }
}
