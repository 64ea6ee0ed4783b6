//! Which length a transform is given.

use super::fft::is_smooth;
use crate::real::Real;

/// The length ≥ n that is cheapest to transform. A factor costs about so many vector operations per element.
pub fn cheapest<T: Real>(n: usize) -> usize {
    let cost = |mut m: usize| {
        let mut per_element = 2.0;
        for (radix, operations) in [(8, 6.0), (4, 4.0), (2, 3.0), (3, 4.5), (5, 7.5), (7, 11.0)] {
            while m.is_multiple_of(radix) {
                m /= radix;
                per_element += operations;
            }
        }
        per_element
    };
    (n.max(1)..=2 * n.max(1))
        .filter(|m| is_smooth(*m))
        .min_by(|a, b| (*a as f64 * cost(*a)).total_cmp(&(*b as f64 * cost(*b))))
        .expect("there is a power of two in the range")
}
