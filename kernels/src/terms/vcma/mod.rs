//! Voltage-controlled magnetic anisotropy of a film under a barrier.

use super::{Coefficients, Driven, Law, TermInfo, filled, layer_thickness, per_msat};
use crate::material::{ParameterId, Values};
use crate::mesh::Mesh;
use crate::real::Real;

/// The interface anisotropy along z changes by ΔKs = −ξ E: w = (ξ E/t) mz², B = −(2 ξ E/(Ms t)) mz z.
pub struct Vcma;

impl Law for Vcma {
    const INFO: TermInfo = TermInfo {
        name: "vcma",
        group: "anis",
        about: "Voltage-controlled anisotropy of the electric field E_z in a barrier",
        reference: "Amiri and Wang, SPIN 2, 1240002 (2012), eq. 1",
        degree: Some(2.0),
        switch: Some(ParameterId::XiVcma),
    };
    const COEFFICIENTS: usize = 1;
    const GPU: &'static str = "\
FN VEC vcma_finish(VEC m, VEC a, VEC extra, REAL c0) { return VEC(REAL(0.0f), REAL(0.0f), c0 * m.z); }
";
    const DRIVEN: &'static [Driven] = &[Driven { coefficient: 0, by: ParameterId::Ez, power: 1.0 }];

    fn coefficients(v: &Values, mesh: &Mesh) -> Coefficients<f64> {
        let thickness = layer_thickness(v, mesh);
        filled([-2.0 * v.scalar(ParameterId::XiVcma) * v.scalar(ParameterId::Ez) * per_msat(v) / thickness])
    }

    #[inline(always)]
    fn finish<T: Real>(m: [T; 3], _a: [T; 3], c: &Coefficients<T>, _extra: [T; 3]) -> [T; 3] {
        [T::ZERO, T::ZERO, c[0] * m[2]]
    }
}
