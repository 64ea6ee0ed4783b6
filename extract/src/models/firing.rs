//! The probability that a device fires: three curves to choose from, and the table of the measurement itself.

use super::{About, Coefficient, Example, Model, Scatter, any, column, crossed, even, line};
use crate::data::Data;
use spinloom_base::Dimension;
use spinloom_card::{Kind, Table};
use statrs::distribution::{Beta, ContinuousCDF, Normal};

/// A curve from 0 to 1.
pub struct Firing {
    name: &'static str,
    equation: &'static str,
    reference: &'static str,
    curve: fn(f64) -> f64,
}

/// Logistic.
pub const LOGISTIC: Firing = Firing {
    name: "firing-logistic",
    equation: "P = 1/(1 + exp[-slope (V - V_50)])",
    reference: "J. Berkson, J. Am. Stat. Assoc. 39, 357 (1944); of two states with barriers linear in V, K. Y. Camsari et al., Phys. Rev. X 7, 031014 (2017)",
    curve: |x| 1.0 / (1.0 + (-x).exp()),
};

/// Normal: a threshold that is spread.
pub const PROBIT: Firing = Firing {
    name: "firing-probit",
    equation: "P = Phi[slope (V - V_50)]",
    reference: "C. I. Bliss, Science 79, 38 (1934)",
    curve: |x| Normal::standard().cdf(x),
};

/// Complementary log-log: escape over a barrier linear in V within a time.
pub const GOMPERTZ: Firing = Firing {
    name: "firing-escape",
    equation: "P = 1 - exp(-ln 2 exp[slope (V - V_50)])",
    reference: "escape within a pulse at a rate exponential in V, as R. H. Koch et al., Phys. Rev. Lett. 92, 088302 (2004)",
    curve: |x| -(-std::f64::consts::LN_2 * x.exp()).exp_m1(),
};

impl Model for Firing {
    fn about(&self) -> About {
        const COEFFICIENTS: [Coefficient; 2] = [
            any("V_50", "{V}", "drives on either side of one half").needs(&[("V", 2)]),
            any("slope", "{V}^-1", "three or more drives at which it fires sometimes").needs(&[("V", 2)]),
        ];
        About {
            name: self.name,
            kind: Kind::Neuron,
            equation: self.equation,
            reference: self.reference,
            columns: const {
                &[
                    column("V", None, "drive"),
                    column("k", Some(Dimension::NONE), "times fired"),
                    column("n", Some(Dimension::NONE), "tries"),
                ]
            },
            coefficients: &COEFFICIENTS,
            scatter: Scatter::Binomial("k", "n"),
            derived: &[],
            axes: ["V", "k/n", ""],
            open: &["a rate and a barrier: one pulse length and one temperature give the curve only"],
        }
    }

    fn predict(&self, p: &[f64], data: &Data, mean: &mut [f64]) {
        data.col("V").iter().zip(mean).for_each(|(v, m)| *m = (self.curve)(p[1] * (v - p[0])));
    }

    fn starts(&self, data: &Data) -> Vec<Vec<f64>> {
        let (k, n) = (data.col("k"), data.col("n"));
        let y: Vec<f64> = (0..data.rows()).map(|i| ((k[i] + 0.5) / (n[i] - k[i] + 0.5)).ln()).collect();
        match line(data.col("V"), &y) {
            Some([at, slope]) if slope != 0.0 => {
                [0.6, 1.0, 2.0].iter().map(|f| vec![if at == 0.0 { 0.01 / slope } else { -at / slope }, f * slope]).collect()
            }
            _ => Vec::new(),
        }
    }

    fn example(&self) -> Example {
        let design = crossed(&[("V", "V", &even(0.5, 2.2, 12))], 1, &[("k", "1", 0.0), ("n", "1", 100.0)]);
        Example { truth: vec![1.4, 4.0], sigma: 0.0, design }
    }

    fn tables(&self, _p: &[f64], data: &Data) -> Vec<(String, Table)> {
        vec![("P_fire".into(), monotone(data.col("V"), data.col("k"), data.col("n"), data.unit("V")))]
    }
}

/// Firing probabilities that do not fall with the drive: neighbours that do are pooled (M. Ayer et al., Ann. Math. Stat. 26, 641 (1955)), with
/// Jeffreys' interval of the pooled counts (L. D. Brown et al., Stat. Sci. 16, 101 (2001), section 3.1.3).
pub fn monotone(v: &[f64], k: &[f64], n: &[f64], unit: &str) -> Table {
    let mut order: Vec<usize> = (0..v.len()).collect();
    order.sort_by(|a, b| v[*a].total_cmp(&v[*b]));
    // Drives, fired, tries of each pool.
    let mut pools: Vec<(Vec<f64>, f64, f64)> = Vec::new();
    for i in order {
        pools.push((vec![v[i]], k[i], n[i]));
        while let [.., a, b] = pools.as_slice()
            && (a.1 * b.2 > b.1 * a.2 || a.0.last() == b.0.first())
        {
            let (drives, fired, tries) = pools.pop().expect("two were just seen");
            let into = pools.last_mut().expect("two were just seen");
            into.0.extend(drives);
            into.1 += fired;
            into.2 += tries;
        }
    }
    let mut columns = vec![Vec::new(); 4];
    for (drives, fired, tries) in pools {
        let beta = Beta::new(fired + 0.5, tries - fired + 0.5).ok();
        let at = |q: f64| beta.as_ref().map_or(f64::NAN, |b| b.inverse_cdf(q));
        let low = if fired == 0.0 { 0.0 } else { at(0.025) };
        let high = if fired == tries { 1.0 } else { at(0.975) };
        for d in drives {
            if columns[0].last() != Some(&d) {
                [d, fired / tries, low, high].into_iter().zip(&mut columns).for_each(|(x, c)| c.push(x));
            }
        }
    }
    Table {
        about: "firing probability, not falling with the drive, with 95 % interval".into(),
        columns: [("V", unit), ("P", "1"), ("P_low", "1"), ("P_high", "1")].map(|(n, u)| (n.to_string(), u.to_string())).to_vec(),
        values: columns,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_falls_is_pooled() {
        let t = monotone(&[1.0, 2.0, 3.0], &[2.0, 1.0, 9.0], &[10.0, 10.0, 10.0], "V");
        // 2/10 and 1/10 become 3/20.
        assert_eq!(t.values[1], vec![0.15, 0.15, 0.9]);
        // Jeffreys' interval of 9 in 10: quantiles of Beta(9.5, 1.5), which R's qbeta gives as 0.6187 and 0.9889.
        assert!((t.values[2][2] - 0.6187).abs() < 1e-3 && (t.values[3][2] - 0.9889).abs() < 1e-3, "{t:?}");
    }

    #[test]
    fn curves_pass_one_half_where_they_say() {
        for c in [LOGISTIC, PROBIT, GOMPERTZ] {
            assert!(((c.curve)(0.0) - 0.5).abs() < 1e-9);
        }
    }
}
