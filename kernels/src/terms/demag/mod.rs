//! Magnetostatic interaction: the convolution of μ0 Ms m with the demagnetising tensor of [`tensor`].

pub mod tensor;

use super::{Coefficients, Extra, Law, TermInfo, filled};
use crate::material::{ParameterId, Values};
use crate::mesh::Mesh;
use crate::real::Real;

/// B_i = −μ0 Σ_j N_ij Ms_j m_j, averaged over cell i, with the exact tensor for uniformly magnetised cells.
pub struct Demag;

impl Law for Demag {
    const INFO: TermInfo = TermInfo {
        name: "demag",
        group: "demag",
        about: "Demagnetising field of uniformly magnetised cells",
        reference: "Newell, Williams and Dunlop, J. Geophys. Res. 98, 9551 (1993), eqs. 27-32",
        degree: Some(2.0),
        switch: Some(ParameterId::Msat),
    };
    const COEFFICIENTS: usize = 1;
    const EXTRA: Extra = Extra::Demag;
    const GPU: &'static str = "\
FN VEC demag_finish(VEC m, VEC a, VEC b, REAL c0) { return c0 * b; }
";

    fn coefficients(v: &Values, _mesh: &Mesh) -> Coefficients<f64> {
        filled([if v.scalar(ParameterId::NoDemagSpins) == 0.0 { 1.0 } else { 0.0 }])
    }

    #[inline(always)]
    fn finish<T: Real>(_m: [T; 3], _a: [T; 3], c: &Coefficients<T>, b: [T; 3]) -> [T; 3] {
        [c[0] * b[0], c[0] * b[1], c[0] * b[2]]
    }
}
