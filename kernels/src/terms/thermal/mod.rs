//! Thermal field.

use super::{Coefficients, Driven, Extra, Law, TermInfo, filled, per_msat};
use crate::material::{ParameterId, Values};
use crate::mesh::Mesh;
use crate::real::Real;
use spinloom_base::constants::KB;

/// B = η sqrt(2 kB alpha T / (γ Ms V dt)) with three standard normals η per cell and step, held over the stages of the step.
pub struct Thermal;

impl Law for Thermal {
    const INFO: TermInfo = TermInfo {
        name: "thermal",
        group: "therm",
        about: "Thermal field of the temperature Temp",
        reference: "Brown, Phys. Rev. 130, 1677 (1963), eq. 3.6; per time step: Leliaert et al., AIP Adv. 7, 125010 (2017), eq. 3",
        degree: Some(1.0),
        switch: Some(ParameterId::Temp),
    };
    const COEFFICIENTS: usize = 1;
    const EXTRA: Extra = Extra::Noise;
    const GPU: &'static str = "\
FN VEC thermal_finish(VEC m, VEC a, VEC eta, REAL c0) { return c0 * eta; }
";
    const DRIVEN: &'static [Driven] = &[Driven { coefficient: 0, by: ParameterId::Temp, power: 0.5 }];
    const WHITE: bool = true;

    fn coefficients(v: &Values, mesh: &Mesh) -> Coefficients<f64> {
        let power = 2.0 * KB * v.scalar(ParameterId::Alpha) * v.scalar(ParameterId::Temp) * per_msat(v);
        filled([(power / (v.scalar(ParameterId::GammaLl) * mesh.cell_volume())).sqrt()])
    }

    #[inline(always)]
    fn finish<T: Real>(_m: [T; 3], _a: [T; 3], c: &Coefficients<T>, eta: [T; 3]) -> [T; 3] {
        [c[0] * eta[0], c[0] * eta[1], c[0] * eta[2]]
    }
}
