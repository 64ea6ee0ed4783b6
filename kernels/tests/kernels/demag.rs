//! Magnetostatics against exact numbers.

use spinloom_kernels::terms::demag::tensor::pair;

/// Volume-averaged factors of prisms, from a 70-digit evaluation of the closed form (Aharoni, J. Appl. Phys. 83, 3432 (1998)).
const PRISMS: &[([f64; 3], [f64; 3])] = &[
    ([1.0, 1.0, 1.0], [0.333333333333333, 0.333333333333333, 0.333333333333333]),
    // Two equal factors follow from the third where the source gives only one: the trace is 1.
    ([2.0, 1.0, 1.0], [0.198316152788838, 0.400841923605581, 0.400841923605581]),
    ([10.0, 10.0, 1.0], [0.0974611832, 0.0974611832, 0.8050776336]),
    ([100.0, 100.0, 1.0], [0.0169802089, 0.0169802089, 0.9660395822]),
    ([500.0, 125.0, 3.0], [0.0091796704, 0.0381761231, 0.9526442066]),
];

#[test]
fn one_cell_prisms_have_the_exact_factors() {
    for (size, exact) in PRISMS {
        let n = pair([0.0; 3], *size);
        for c in 0..3 {
            // Ten digits are given.
            assert!((n[c] - exact[c]).abs() < 1e-9, "{size:?} {c}: {} is not {}", n[c], exact[c]);
        }
    }
}
