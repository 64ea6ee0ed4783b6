//! Spin-transfer torque of a current perpendicular to the film.

use super::{Coefficients, Driven, Law, TermInfo, filled, kept, layer_thickness, per_msat};
use crate::material::{ParameterId, Values};
use crate::mesh::Mesh;
use crate::real::{Real, cross};
use spinloom_base::constants::{E_CHARGE, HBAR};

/// τ = γ b [ε m × (p × m) + ε' p × m] with b = ħ Jz/(e d Ms), ε = P Λ²/((Λ²+1) + (Λ²−1) p·m), in the Gilbert form.
///
/// Written as the field that gives it: B = b ε m × p + b ε' p, so that −γ m × B is τ. That field is not the gradient of an energy.
pub struct Slonczewski;

impl Law for Slonczewski {
    const INFO: TermInfo = TermInfo {
        name: "slonczewski",
        group: "STT",
        about: "Slonczewski spin-transfer torque of the current J along z, polarised by FixedLayer",
        reference: "Slonczewski, J. Magn. Magn. Mater. 159, L1 (1996); Xiao, Zangwill and Stiles, PRB 70, 172405 (2004); Vansteenkiste et al., AIP Adv. 4, 107133 (2014), eq. 24",
        degree: None,
        switch: Some(ParameterId::FixedLayer),
    };
    const COEFFICIENTS: usize = 8;
    const GPU: &'static str = "\
FN VEC slonczewski_finish(VEC m, VEC a, VEC extra, REAL c0, REAL c1, REAL c2, REAL c3, REAL c4, REAL c5, REAL c6, REAL c7) {
    VEC p = VEC(c2, c3, c4);
    REAL w = REAL(1.0f) / (REAL(1.0f) + c5 * dot(p, m));
    VEC d = cross(m, p);
    return (w * c0 + c7) * d + (w * c6 + c1) * p;
}
";
    const DRIVEN: &'static [Driven] = &[
        Driven { coefficient: 0, by: ParameterId::J, power: 1.0 },
        Driven { coefficient: 1, by: ParameterId::J, power: 1.0 },
        Driven { coefficient: 2, by: ParameterId::FixedLayer, power: 1.0 },
        Driven { coefficient: 3, by: ParameterId::FixedLayer, power: 1.0 },
        Driven { coefficient: 4, by: ParameterId::FixedLayer, power: 1.0 },
        Driven { coefficient: 6, by: ParameterId::J, power: 1.0 },
        Driven { coefficient: 7, by: ParameterId::J, power: 1.0 },
    ];

    fn coefficients(v: &Values, mesh: &Mesh) -> Coefficients<f64> {
        let p = v.vector(ParameterId::FixedLayer);
        let norm = p.iter().map(|c| c * c).sum::<f64>().sqrt();
        let p = if norm > 0.0 { p.map(|c| c / norm) } else { p };
        let thickness = layer_thickness(v, mesh);
        let side = if v.scalar(ParameterId::FixedLayerBottom) == 0.0 { 1.0 } else { -1.0 };
        // Without a fixed layer p is zero, and with it the torque; b must not be: masks may add both a current and a layer.
        let b = side * HBAR / E_CHARGE * v.vector(ParameterId::J)[2] * per_msat(v) / thickness;
        let l2 = v.scalar(ParameterId::Lambda).powi(2);
        let efficiency = v.scalar(ParameterId::Pol) * l2 / (l2 + 1.0);
        // The part with the angle's denominator, and the part without.
        let [across, along] = kept(v, [b * efficiency, 0.0]);
        let [across_plain, along_plain] = kept(v, [0.0, b * v.scalar(ParameterId::EpsilonPrime)]);
        filled([across, along_plain, p[0], p[1], p[2], (l2 - 1.0) / (l2 + 1.0), along, across_plain])
    }

    #[inline(always)]
    fn finish<T: Real>(m: [T; 3], _a: [T; 3], c: &Coefficients<T>, _extra: [T; 3]) -> [T; 3] {
        let p = [c[2], c[3], c[4]];
        let w = T::ONE / (T::ONE + c[5] * (p[0] * m[0] + p[1] * m[1] + p[2] * m[2]));
        let d = cross(m, p);
        let (across, along) = (w * c[0] + c[7], w * c[6] + c[1]);
        [across * d[0] + along * p[0], across * d[1] + along * p[1], across * d[2] + along * p[2]]
    }
}
