//! Short- and long-term potentiation: every pulse leaves a part that fades soon and one that stays long.

use super::{About, Derived, Example, Model, Scatter, any, column, positive, span};
use crate::data::Data;
use spinloom_base::Dimension;
use spinloom_card::Kind;

/// Two traces of every pulse.
pub struct StpLtp;

impl Model for StpLtp {
    fn about(&self) -> About {
        About {
            name: "stp-ltp",
            kind: Kind::Synapse,
            equation: "G = G_0 + S + L; each pulse adds a_s to S and a_l to L; dS/dt = -S/tau_s, dL/dt = -L/tau_l",
            reference: "short- and long-term parts as in T. Ohno et al., Nat. Mater. 10, 591 (2011), and A. Sengupta and K. Roy, Phys. Rev. Appl. 5, 024012 (2016)",
            columns: const {
                &[
                    column("t", Some(Dimension::TIME), "time"),
                    column("pulse", Some(Dimension::NONE), "1 where a pulse ended just before this read, else 0"),
                    column("G", None, "conductance read"),
                ]
            },
            coefficients: const {
                &[
                    any("G_0", "{G}", "a read before the first pulse"),
                    any("a_s", "{G}", "reads soon after single pulses"),
                    any("a_l", "{G}", "reads long after trains of pulses"),
                    positive("tau_s", "s", "reads from soon after a pulse to several of its times").stage(2),
                    positive("tau_l", "s", "reads until long after the last pulse").stage(2),
                ]
            },
            scatter: Scatter::Normal("G"),
            derived: &[Derived { name: "kept_share", unit: "1", value: |p, _| p[2] / (p[1] + p[2]), of: &[1, 2] }],
            axes: ["t", "G", "run"],
            open: &[],
        }
    }

    fn predict(&self, p: &[f64], data: &Data, mean: &mut [f64]) {
        let (t, pulse) = (data.col("t"), data.col("pulse"));
        let (mut short, mut long) = (0.0, 0.0);
        for i in 0..mean.len() {
            if data.begins(i) {
                (short, long) = (0.0, 0.0);
            } else {
                let dt = t[i] - t[i - 1];
                short *= (-dt / p[3]).exp();
                long *= (-dt / p[4]).exp();
            }
            short += p[1] * pulse[i];
            long += p[2] * pulse[i];
            mean[i] = p[0] + short + long;
        }
    }

    fn starts(&self, data: &Data) -> Vec<Vec<f64>> {
        let (t, pulse, g) = (data.col("t"), data.col("pulse"), data.col("G"));
        let first = (0..data.rows()).filter(|&i| data.begins(i)).map(|i| g[i]).sum::<f64>()
            / (0..data.rows()).filter(|&i| data.begins(i)).count().max(1) as f64;
        let jumps: Vec<f64> = (1..data.rows()).filter(|&i| pulse[i] > 0.0 && !data.begins(i)).map(|i| g[i] - g[i - 1]).collect();
        let jump = jumps.iter().sum::<f64>() / jumps.len() as f64;
        let gaps: Vec<f64> = (1..data.rows()).filter(|&i| !data.begins(i) && t[i] > t[i - 1]).map(|i| t[i] - t[i - 1]).collect();
        let [shortest, longest] = [span(&gaps)[0], span(t)[1] - span(t)[0]];
        if !jump.is_finite() || jump == 0.0 || !shortest.is_finite() {
            return Vec::new();
        }
        let first = if first == 0.0 { jump } else { first };
        let ratio = longest / shortest;
        super::grid(&[&[0.1, 0.25, 0.45], &[0.6, 0.85, 1.1]])
            .into_iter()
            .map(|e| vec![first, 0.7 * jump, 0.3 * jump, shortest * ratio.powf(e[0]), shortest * ratio.powf(e[1])])
            .collect()
    }

    fn example(&self) -> Example {
        let (mut run, mut t, mut pulse) = (Vec::new(), Vec::new(), Vec::new());
        for (r, (gap, count)) in [(1e-6, 10), (5e-6, 10), (3e-5, 10)].into_iter().enumerate() {
            let mut add = |time: f64, p: f64| {
                run.push(r as f64);
                t.push(time);
                pulse.push(p);
            };
            add(0.0, 0.0);
            (1..=count).for_each(|k| add(gap * f64::from(k), 1.0));
            let end = gap * f64::from(count);
            super::geometric(5e-7, 3e-2, 24).into_iter().for_each(|d| add(end + d, 0.0));
        }
        let g = vec![0.0; t.len()];
        Example {
            truth: vec![2e-4, 4e-5, 1e-5, 4e-6, 1e-2],
            sigma: 3e-6,
            design: Data::new([("run", "1", run), ("t", "s", t), ("pulse", "1", pulse), ("G", "S", g)]),
        }
    }
}
