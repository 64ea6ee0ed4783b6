//! A field that the user defines.

use super::{Coefficients, Extra, Law, TermInfo, filled};
use crate::material::Values;
use crate::mesh::Mesh;
use crate::real::Real;
use std::sync::Arc;

/// A field (T) computed on the host from time (s) and magnetisation, `[component][z][y][x]`, and written to the last argument.
pub type FieldFunction = dyn Fn(f64, &[f64], &mut [f64]) + Send + Sync;

/// See [`FieldFunction`].
#[derive(Clone)]
pub struct CustomField(pub Arc<FieldFunction>);

impl std::fmt::Debug for CustomField {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CustomField")
    }
}

impl PartialEq for CustomField {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// B = what [`crate::System::custom`] gives.
pub struct Custom;

impl Law for Custom {
    const INFO: TermInfo = TermInfo {
        name: "custom",
        group: "custom",
        about: "Fields that the user defines",
        reference: "the user's own",
        degree: Some(1.0),
        switch: None,
    };
    const COEFFICIENTS: usize = 1;
    const EXTRA: Extra = Extra::Custom;
    const GPU: &'static str = "\
FN VEC custom_finish(VEC m, VEC a, VEC b, REAL c0) { return c0 * b; }
";

    fn coefficients(_v: &Values, _mesh: &Mesh) -> Coefficients<f64> {
        filled([1.0])
    }

    #[inline(always)]
    fn finish<T: Real>(_m: [T; 3], _a: [T; 3], c: &Coefficients<T>, b: [T; 3]) -> [T; 3] {
        [c[0] * b[0], c[0] * b[1], c[0] * b[2]]
    }
}
