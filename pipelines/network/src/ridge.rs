//! Linear read-out by ridge regression: W = (XᵀX + λ I)⁻¹ Xᵀ Y (Hoerl and Kennard, Technometrics 12, 55 (1970)), a column of ones included and not shrunk.

use nalgebra::{DMatrix, DVector};

/// A fitted read-out.
pub(crate) struct Ridge {
    /// `[feature + constant][target]`.
    weights: DMatrix<f64>,
    mean: DVector<f64>,
}

impl Ridge {
    /// Fits `states` (rows: samples) to `targets`; λ is in units of the mean variance of a feature times the number of samples.
    pub(crate) fn fit(states: &DMatrix<f64>, targets: &DMatrix<f64>, lambda: f64) -> Ridge {
        let (n, m) = (states.nrows(), states.ncols());
        let mean = DVector::from_iterator(m, states.column_iter().map(|c| c.mean()));
        let mut x = states.clone();
        for (mut column, mean) in x.column_iter_mut().zip(mean.iter()) {
            column.add_scalar_mut(-mean);
        }
        let mut gram = x.tr_mul(&x);
        let shrink = lambda * gram.trace() / m as f64;
        for i in 0..m {
            gram[(i, i)] += shrink.max(1e-12 * n as f64);
        }
        let target_mean: Vec<f64> = targets.column_iter().map(|c| c.mean()).collect();
        let right = x.tr_mul(targets);
        // Positive by the added diagonal; a least-squares answer otherwise.
        let weights = match gram.clone().cholesky() {
            Some(c) => c.solve(&right),
            None => gram.svd(true, true).solve(&right, 1e-12).expect("both sides were asked for"),
        };
        let weights = weights.insert_row(m, 0.0);
        let mut weights = weights;
        for (k, t) in target_mean.iter().enumerate() {
            weights[(m, k)] = *t;
        }
        Ridge { weights, mean }
    }

    /// Outputs for rows of states.
    pub(crate) fn predict(&self, states: &DMatrix<f64>) -> DMatrix<f64> {
        let m = states.ncols();
        let mut x = states.clone();
        for (mut column, mean) in x.column_iter_mut().zip(self.mean.iter()) {
            column.add_scalar_mut(-mean);
        }
        let mut y = x * self.weights.rows(0, m);
        for (k, mut column) in y.column_iter_mut().enumerate() {
            column.add_scalar_mut(self.weights[(m, k)]);
        }
        y
    }
}

/// Root mean square error over the standard deviation of the target.
pub(crate) fn nrmse(found: &[f64], wanted: &[f64]) -> f64 {
    let n = wanted.len() as f64;
    let mean = wanted.iter().sum::<f64>() / n;
    let variance = wanted.iter().map(|w| (w - mean).powi(2)).sum::<f64>() / n;
    let square = found.iter().zip(wanted).map(|(f, w)| (f - w).powi(2)).sum::<f64>() / n;
    (square / variance).sqrt()
}

/// Square of the correlation: the capacity of Dambre et al., Sci. Rep. 2, 514 (2012), for a fitted read-out.
pub(crate) fn correlation_squared(a: &[f64], b: &[f64]) -> f64 {
    let n = a.len() as f64;
    let (ma, mb) = (a.iter().sum::<f64>() / n, b.iter().sum::<f64>() / n);
    let cov: f64 = a.iter().zip(b).map(|(a, b)| (a - ma) * (b - mb)).sum();
    let (va, vb): (f64, f64) = (a.iter().map(|a| (a - ma).powi(2)).sum(), b.iter().map(|b| (b - mb).powi(2)).sum());
    if va * vb > 0.0 { cov * cov / (va * vb) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plane_is_found_and_shrunk() {
        let x = DMatrix::from_fn(50, 2, |i, j| ((i * (j + 3)) as f64 * 0.37).sin());
        let y = DMatrix::from_fn(50, 1, |i, _| 2.0 * x[(i, 0)] - x[(i, 1)] + 5.0);
        let exact = Ridge::fit(&x, &y, 0.0);
        assert!((exact.weights[(0, 0)] - 2.0).abs() < 1e-9 && (exact.predict(&x) - &y).norm() < 1e-8);
        let shrunk = Ridge::fit(&x, &y, 1.0);
        assert!(shrunk.weights[(0, 0)] < 1.4 && (shrunk.predict(&x).mean() - y.mean()).abs() < 1e-9);
        assert!(nrmse(&[1.0, 2.0], &[1.0, 2.0]) == 0.0 && (correlation_squared(&[1.0, 2.0, 3.0], &[-2.0, -4.0, -6.0]) - 1.0).abs() < 1e-12);
    }
}
