//! A synapse of n binary junctions in parallel that switch by chance, read as one conductance.

use super::{About, Derived, Example, Model, Scatter, binomial, column, crossed, positive, share, span};
use crate::data::Data;
use spinloom_base::Dimension;
use spinloom_base::random::Stream;
use spinloom_card::Kind;
use statrs::function::factorial::ln_binomial;

/// n junctions, all in the same state before the first pulse.
pub struct Compound;

/// Probability that one junction has switched.
fn switched(p: &[f64], pulses: f64) -> f64 {
    1.0 - (1.0 - p[0]).powf(pulses)
}

impl Model for Compound {
    fn about(&self) -> About {
        About {
            name: "compound",
            kind: Kind::Synapse,
            equation: "G = k g_on + (n - k) g_off + s xi, k binomial with 1 - (1 - P_sw)^pulses",
            reference: "D. Zhang et al., NANOARCH (2016): compound magnetoresistive synapse",
            columns: const {
                &[
                    column("pulses", Some(Dimension::NONE), "pulses since all junctions were off"),
                    column("junctions", Some(Dimension::NONE), "number of junctions in parallel"),
                    column("G", None, "conductance of all together"),
                ]
            },
            coefficients: const {
                &[
                    share("P_sw", "reads after one to a few pulses"),
                    positive("g_off", "{G}", "reads before any pulse"),
                    positive("g_on", "{G}", "reads after so many pulses that all have switched"),
                    positive("s", "{G}", "repeated reads of one state"),
                ]
            },
            scatter: Scatter::Own,
            derived: &[Derived { name: "TMR", unit: "1", value: |p, _| p[2] / p[1] - 1.0, of: &[1, 2] }],
            axes: ["pulses", "G", ""],
            open: &[],
        }
    }

    fn predict(&self, p: &[f64], data: &Data, mean: &mut [f64]) {
        let (pulses, n) = (data.col("pulses"), data.col("junctions"));
        (0..mean.len()).for_each(|i| mean[i] = n[i] * (p[1] + (p[2] - p[1]) * switched(p, pulses[i])));
    }

    fn log_likelihood(&self, p: &[f64], data: &Data, rows: &mut [f64]) {
        let (pulses, n, g) = (data.col("pulses"), data.col("junctions"), data.col("G"));
        for i in 0..rows.len() {
            let q = switched(p, pulses[i]).clamp(1e-300, 1.0 - 1e-16);
            // Sum over how many have switched, the largest term apart so that nothing underflows.
            let term = |k: u64| {
                let (k_, rest) = (k as f64, n[i] - k as f64);
                let weight = ln_binomial(n[i] as u64, k)
                    + if k > 0 { k_ * q.ln() } else { 0.0 }
                    + if rest > 0.0 { rest * (-q).ln_1p() } else { 0.0 };
                let off = (g[i] - k_ * p[2] - rest * p[1]) / p[3];
                weight - 0.5 * off * off
            };
            let terms: Vec<f64> = (0..=n[i] as u64).filter(|k| pulses[i] > 0.0 || *k == 0).map(term).collect();
            let top = span(&terms)[1];
            rows[i] = top + terms.iter().map(|t| (t - top).exp()).sum::<f64>().ln() - p[3].ln() - 0.5 * std::f64::consts::TAU.ln();
        }
    }

    fn starts(&self, data: &Data) -> Vec<Vec<f64>> {
        let (n, g, pulses) = (data.col("junctions"), data.col("G"), data.col("pulses"));
        let per: Vec<f64> = (0..data.rows()).map(|i| g[i] / n[i]).collect();
        let [low, high] = span(&per);
        if low <= 0.0 || high <= low {
            return Vec::new();
        }
        let some: Vec<f64> = (0..data.rows())
            .filter(|&i| pulses[i] > 0.0)
            .map(|i| 1.0 - (1.0 - ((per[i] - low) / (high - low)).clamp(0.02, 0.98)).powf(1.0 / pulses[i]))
            .collect();
        let chance = (some.iter().sum::<f64>() / some.len() as f64).clamp(0.02, 0.98);
        let most = span(n)[1];
        // The rungs of the ladder may be the junctions, or noise may hide them.
        [0.08, 0.25, 0.6].iter().map(|s| vec![chance, low, high, s * (high - low)]).filter(|_| most >= 1.0).collect()
    }

    fn simulate(&self, p: &[f64], _sigma: f64, design: &Data, random: &mut Stream) -> Data {
        let (pulses, n) = (design.col("pulses"), design.col("junctions"));
        let read = (0..design.rows()).map(|i| {
            let on = binomial(n[i], switched(p, pulses[i]), random);
            on * p[2] + (n[i] - on) * p[1] + p[3] * random.normal()
        });
        design.with("G", read.collect())
    }

    fn example(&self) -> Example {
        let design = crossed(&[("pulses", "1", &[0.0, 1.0, 2.0, 3.0, 5.0, 8.0, 20.0])], 12, &[("junctions", "1", 9.0), ("G", "S", 0.0)]);
        Example { truth: vec![0.2, 1e-4, 2.2e-4, 2e-5], sigma: 0.0, design }
    }
}
