//! Applied field.

use super::{Coefficients, Driven, Law, TermInfo, filled};
use crate::material::{ParameterId, Values};
use crate::mesh::Mesh;
use crate::real::Real;

/// B = B_ext, w = −Ms m·B_ext.
pub struct Zeeman;

impl Law for Zeeman {
    const INFO: TermInfo = TermInfo {
        name: "zeeman",
        group: "ext",
        about: "Applied field B_ext, per region and in time",
        reference: "w = -Msat m.B_ext",
        degree: Some(1.0),
        switch: None,
    };
    const COEFFICIENTS: usize = 3;
    const GPU: &'static str = "\
FN VEC zeeman_finish(VEC m, VEC a, VEC extra, REAL c0, REAL c1, REAL c2) { return VEC(c0, c1, c2); }
";
    const DRIVEN: &'static [Driven] = &[
        Driven { coefficient: 0, by: ParameterId::BExt, power: 1.0 },
        Driven { coefficient: 1, by: ParameterId::BExt, power: 1.0 },
        Driven { coefficient: 2, by: ParameterId::BExt, power: 1.0 },
    ];

    fn coefficients(v: &Values, _mesh: &Mesh) -> Coefficients<f64> {
        let b = v.vector(ParameterId::BExt);
        filled([b[0], b[1], b[2]])
    }

    #[inline(always)]
    fn finish<T: Real>(_m: [T; 3], _a: [T; 3], c: &Coefficients<T>, _extra: [T; 3]) -> [T; 3] {
        [c[0], c[1], c[2]]
    }
}
