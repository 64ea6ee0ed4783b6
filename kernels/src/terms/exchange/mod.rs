//! Heisenberg exchange.

use super::{Coefficients, Law, TermInfo, filled, pair_mean, per_msat};
use crate::material::{Apart, ParameterId, Values};
use crate::mesh::Mesh;
use crate::real::Real;

/// B = (2A/Ms) ∇²m, on the mesh (2/Ms) Σ_j A_ij (m_j − m_i)/d², with the harmonic mean of A across region borders.
pub struct Exchange;

impl Law for Exchange {
    const INFO: TermInfo = TermInfo {
        name: "exchange",
        group: "exch",
        about: "Heisenberg exchange, six neighbours",
        reference: "B = (2 Aex/Msat) laplacian(m); six-neighbour form: Donahue and Porter, Physica B 343, 177 (2004), eq. 5",
        degree: Some(2.0),
        switch: Some(ParameterId::Aex),
    };
    const COEFFICIENTS: usize = 1;
    const LINKED: bool = true;
    const PAIRED: Option<ParameterId> = Some(ParameterId::Aex);
    const GPU: &'static str = "\
FN VEC exchange_gather(VEC m, VEC mj, REAL link, int axis, REAL sign, VEC a, REAL c0) { return a + link * (mj - m); }
FN VEC exchange_finish(VEC m, VEC a, VEC extra, REAL c0) { return c0 * a; }
";

    fn coefficients(v: &Values, _mesh: &Mesh) -> Coefficients<f64> {
        filled([2.0 * per_msat(v)])
    }

    fn link(a: &Values, b: &Values, share: f64) -> f64 {
        pair_mean(a, b, ParameterId::Aex, share)
    }

    fn link_scale(apart: &Apart) -> f64 {
        1.0 / (apart.own * apart.distance)
    }

    #[inline(always)]
    fn gather<T: Real>(m: [T; 3], mj: [T; 3], link: T, _axis: usize, _sign: T, a: [T; 3], _c: &Coefficients<T>) -> [T; 3] {
        [a[0] + link * (mj[0] - m[0]), a[1] + link * (mj[1] - m[1]), a[2] + link * (mj[2] - m[2])]
    }

    #[inline(always)]
    fn finish<T: Real>(_m: [T; 3], a: [T; 3], c: &Coefficients<T>, _extra: [T; 3]) -> [T; 3] {
        [c[0] * a[0], c[0] * a[1], c[0] * a[2]]
    }
}
