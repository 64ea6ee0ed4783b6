//! Cards drawn from what a card says of its own uncertainty: an ensemble to carry it through a network.
//!
//! The posterior is taken as normal with the card's correlation coefficients (Laplace's approximation; Tierney and Kadane, J. Am. Stat. Assoc. 81, 82 (1986)), and each parameter is stretched to its
//! own 95 % interval, below and above the value apart, so that intervals of profiles and bootstraps keep their skew. Numbers without an interval stay; those that have no correlation in the card (a
//! residual's deviation, what follows from other parameters) are drawn on their own.

use nalgebra::{DMatrix, DVector, SymmetricEigen};
use spinloom_base::random::Stream;
use spinloom_card::Card;

/// Half the width of a normal distribution's 95 % interval in standard deviations.
const HALF: f64 = 1.959_964;

/// Member `member` of the ensemble.
pub(crate) fn draw(card: &Card, seed: u64, member: u64) -> Card {
    let known = |p: &spinloom_card::Parameter| p.interval.filter(|i| i.iter().all(|v| v.is_finite()));
    let names: Vec<&String> = card.parameters.iter().filter(|(_, p)| known(p).is_some()).map(|(n, _)| n).collect();
    let n = names.len();
    if n == 0 {
        return card.clone();
    }
    let correlation = |a: &str, b: &str| {
        let of = |a: &str, b: &str| card.correlation.get(&format!("{a},{b}")).copied();
        if a == b { 1.0 } else { of(a, b).or_else(|| of(b, a)).unwrap_or(0.0) }
    };
    let matrix = DMatrix::from_fn(n, n, |i, j| correlation(names[i], names[j]));
    // The root of the matrix by its eigenvalues: rounded coefficients near ±1 may leave one a little below zero, which Cholesky's would refuse.
    let eigen = SymmetricEigen::new(matrix);
    let mut stream = Stream::new(seed, 0x454E << 40 | member);
    let z = DVector::from_fn(n, |_, _| stream.normal());
    let z = &eigen.eigenvectors * DVector::from_fn(n, |i, _| eigen.eigenvalues[i].max(0.0).sqrt() * z[i]);
    let mut drawn = card.clone();
    for (name, z) in names.into_iter().zip(z.iter()) {
        let p = drawn.parameters.get_mut(name).expect("a name of this card");
        let [low, high] = known(p).expect("filtered above");
        let side = if *z > 0.0 { high - p.value } else { p.value - low };
        p.value += z * side.max(0.0) / HALF;
    }
    drawn
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cards_vary_as_their_intervals_and_correlations_say() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/networks/cards/spin-torque-oscillator.yaml");
        let card = Card::read(&path).unwrap();
        let n = 3000;
        let all: Vec<Card> = (0..n).map(|k| draw(&card, 1, k)).collect();
        let column = |name: &str| -> Vec<f64> { all.iter().map(|c| c.parameters[name].value).collect() };
        let pair = |a: &str, b: &str| crate::ridge::correlation_squared(&column(a), &column(b)).sqrt();
        // Standard error of a coefficient r from n pairs: (1 - r²)/√n.
        for (a, b) in [("Q", "N"), ("I_th", "f_0"), ("Gamma_G", "f_0"), ("N", "f_0")] {
            let r = card.correlation.get(&format!("{a},{b}")).or_else(|| card.correlation.get(&format!("{b},{a}"))).unwrap();
            // The two halves of skew intervals are stretched apart, which bends a line a little.
            assert!((pair(a, b) - r.abs()).abs() < 4.0 * (1.0 - r * r) / (n as f64).sqrt() + 0.01, "{a},{b}: {} {r}", pair(a, b));
        }
        for (name, p) in &card.parameters {
            let [low, high] = p.interval.unwrap();
            let inside = column(name).iter().filter(|v| (low..=high).contains(*v)).count() as f64 / n as f64;
            // Four standard errors of a binomial.
            assert!((inside - 0.95).abs() < 4.0 * (0.95 * 0.05 / n as f64).sqrt(), "{name}: {inside}");
        }
        assert_ne!(all[0].parameters, all[1].parameters);
        assert_eq!(draw(&card, 1, 7).parameters, all[7].parameters);
    }
}
