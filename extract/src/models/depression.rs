//! Short-term depression: a store that each event empties in part and that fills again.

use super::{About, Example, Model, Scatter, any, column, positive, share};
use crate::data::Data;
use spinloom_base::Dimension;
use spinloom_card::Kind;

/// The depressing synapse.
pub struct Depression;

impl Model for Depression {
    fn about(&self) -> About {
        About {
            name: "short-term-depression",
            kind: Kind::Synapse,
            equation: "response = A U x; after an event x -> x (1 - U); dx/dt = (1 - x)/tau_rec; x = 1 at the first event",
            reference: "M. V. Tsodyks and H. Markram, Proc. Natl. Acad. Sci. 94, 719 (1997)",
            columns: const {
                &[
                    column("dt", Some(Dimension::TIME), "time since the event before (any value at the first)"),
                    column("y", None, "response to the event"),
                ]
            },
            coefficients: const {
                &[
                    any("A", "{y}", "trains long enough to settle at two or more rates"),
                    share("U", "the second response of pairs close together"),
                    positive("tau_rec", "s", "pairs or trains with intervals below and above it").stage(2).needs(&[("dt", 2)]),
                ]
            },
            scatter: Scatter::Normal("y"),
            derived: &[],
            axes: ["dt", "y", "run"],
            open: &[],
        }
    }

    fn predict(&self, p: &[f64], data: &Data, mean: &mut [f64]) {
        let dt = data.col("dt");
        let mut x = 1.0;
        for i in 0..mean.len() {
            x = if data.begins(i) { 1.0 } else { 1.0 - (1.0 - x * (1.0 - p[1])) * (-dt[i] / p[2]).exp() };
            mean[i] = p[0] * p[1] * x;
        }
    }

    fn starts(&self, data: &Data) -> Vec<Vec<f64>> {
        let y = data.col("y");
        let firsts: Vec<f64> = (0..data.rows()).filter(|&i| data.begins(i)).map(|i| y[i]).collect();
        let first = firsts.iter().sum::<f64>() / firsts.len() as f64;
        let intervals = data.distinct("dt");
        let middle = intervals.get(intervals.len() / 2).copied().unwrap_or(1.0).max(f64::MIN_POSITIVE);
        if first == 0.0 {
            return Vec::new();
        }
        super::grid(&[&[0.2, 0.5], &[0.3, 1.0, 5.0]]).into_iter().map(|g| vec![first / g[0], g[0], g[1] * middle]).collect()
    }

    fn example(&self) -> Example {
        let (mut run, mut dt) = (Vec::new(), Vec::new());
        for (r, gap) in [2e-9, 5e-9, 1e-8, 3e-8, 1e-7].into_iter().enumerate() {
            for _ in 0..8 {
                run.push(r as f64);
                dt.push(gap);
            }
        }
        let y = vec![0.0; dt.len()];
        Example { truth: vec![1.0, 0.4, 2e-8], sigma: 0.01, design: Data::new([("run", "1", run), ("dt", "s", dt), ("y", "1", y)]) }
    }
}
