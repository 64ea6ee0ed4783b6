//! Spin–orbit torque of an in-plane current.

use super::{Coefficients, Driven, Law, TermInfo, filled, kept, layer_thickness, per_msat};
use crate::material::{ParameterId, Values};
use crate::mesh::Mesh;
use crate::real::{Real, cross};
use spinloom_base::constants::{E_CHARGE, HBAR};

/// Damping-like and field-like torque τ = γ B_DL m × (s × m) − γ β B_DL m × s with B_DL = ħ θ_SH J / (2 e Ms t) and s = z × J/|J|.
///
/// Both are written as the field that gives them: −γ m × B with B = B_DL (m × s + β s). That field is not the gradient of an energy.
pub struct SpinOrbit;

impl Law for SpinOrbit {
    const INFO: TermInfo = TermInfo {
        name: "spin_orbit",
        group: "SOT",
        about: "Spin-orbit torque, damping-like and field-like, of the in-plane current J",
        reference: "Thiaville et al., EPL 100, 57002 (2012), eq. 4; Khvalkovskiy et al., PRB 87, 020402 (2013), eq. 2",
        degree: None,
        switch: Some(ParameterId::ThetaSh),
    };
    const COEFFICIENTS: usize = 5;
    const GPU: &'static str = "\
FN VEC spin_orbit_finish(VEC m, VEC a, VEC extra, REAL c0, REAL c1, REAL c2, REAL c3, REAL c4) {
    VEC s = VEC(c0, c1, c2);
    VEC d = cross(m, s);
    return c3 * d + c4 * s;
}
";
    const DRIVEN: &'static [Driven] = &[
        Driven { coefficient: 0, by: ParameterId::J, power: 1.0 },
        Driven { coefficient: 1, by: ParameterId::J, power: 1.0 },
        Driven { coefficient: 2, by: ParameterId::J, power: 1.0 },
    ];

    fn coefficients(v: &Values, mesh: &Mesh) -> Coefficients<f64> {
        let j = v.vector(ParameterId::J);
        let thickness = layer_thickness(v, mesh);
        let b = HBAR * v.scalar(ParameterId::ThetaSh) * per_msat(v) / (2.0 * E_CHARGE * thickness);
        // z × J
        let [across, along] = kept(v, [1.0, v.scalar(ParameterId::BetaFl)]);
        filled([-b * j[1], b * j[0], 0.0, across, along])
    }

    #[inline(always)]
    fn finish<T: Real>(m: [T; 3], _a: [T; 3], c: &Coefficients<T>, _extra: [T; 3]) -> [T; 3] {
        let s = [c[0], c[1], c[2]];
        let d = cross(m, s);
        [c[3] * d[0] + c[4] * s[0], c[3] * d[1] + c[4] * s[1], c[3] * d[2] + c[4] * s[2]]
    }
}
