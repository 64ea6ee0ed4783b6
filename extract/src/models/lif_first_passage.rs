//! Times to the threshold under steady drives: the leaky integrator with a refractory time, and the one that fires with both signs.

use super::{About, Coefficient, Derived, Example, Input, Model, Scatter, column, crossed, line, positive, span};
use crate::data::Data;
use spinloom_base::Dimension;
use spinloom_card::Kind;

/// A leaky integrator seen by its first passages.
pub struct FirstPassage {
    signed: bool,
}

/// With a dead time after each fire.
pub const REFRACTORY: FirstPassage = FirstPassage { signed: false };
/// With a threshold of its own for each sign.
pub const SIGNED: FirstPassage = FirstPassage { signed: true };

/// Time from reset to the threshold: 1 = (J/J_rh)(1 - e^(-t/tau)). Below the rheobase it never comes; the logarithm then stays at 20, so
/// that a search is turned back and not stopped.
fn passage(tau: f64, rheobase: f64, drive: f64) -> f64 {
    tau * (drive / (drive - rheobase).max(2e-9 * drive)).ln()
}

impl Model for FirstPassage {
    fn about(&self) -> About {
        const DRIVE: Input = column("J", None, "steady drive");
        const TIME: Option<Dimension> = Some(Dimension::TIME);
        const OPEN: &[&str] = &[
            "gain and threshold apart: times depend on their ratio, the rheobase, only; the membrane itself, sampled below the threshold, gives both",
        ];
        const TAU: Coefficient = positive("tau_leak", "s", "drives just above the rheobase and far above it").needs(&[("J", 3)]);
        const PLUS: Coefficient = positive("J_rh_plus", "{J}", "positive drives just above the rheobase").stage(2);
        if self.signed {
            return About {
                name: "lif-signed",
                kind: Kind::Neuron,
                equation: "dV/dt = -V/tau_leak + g J, fires +1 at V = V_plus and -1 at V = -V_minus: t = tau_leak ln[|J|/(|J| - J_rh)], J_rh of the sign of J",
                reference: "Y. Zheng, W. Liu and J. Yang, arXiv 2606.03796; first passage as in W. Gerstner et al., Neuronal Dynamics (2014), section 1.3",
                columns: const { &[DRIVE, column("t", TIME, "time from reset to the fire, which has the sign of the drive")] },
                coefficients: const { &[TAU, PLUS, positive("J_rh_minus", "{J}", "negative drives just beyond the rheobase").stage(2)] },
                scatter: Scatter::LogNormal("t"),
                derived: &[Derived { name: "threshold_ratio", unit: "1", value: |p, _| p[1] / p[2], of: &[1, 2] }],
                axes: ["J", "t", ""],
                open: OPEN,
            };
        }
        About {
            name: "lif-refractory",
            kind: Kind::Neuron,
            equation: "t = t_ref + tau_leak ln[J/(J - J_rh)]",
            reference: "L. Lapicque, J. Physiol. Pathol. Gén. 9, 620 (1907); W. Gerstner et al., Neuronal Dynamics (2014), section 1.3",
            columns: const { &[DRIVE, column("t", TIME, "time from one fire to the next")] },
            coefficients: const {
                &[
                    TAU,
                    positive("J_rh", "{J}", "drives just above the rheobase").stage(2),
                    positive("t_ref", "s", "drives far above the rheobase, where only the dead time is left"),
                ]
            },
            scatter: Scatter::LogNormal("t"),
            derived: &[Derived { name: "highest_rate", unit: "s^-1", value: |p, _| 1.0 / p[2], of: &[2] }],
            axes: ["J", "t", ""],
            open: OPEN,
        }
    }

    fn predict(&self, p: &[f64], data: &Data, mean: &mut [f64]) {
        for (j, m) in data.col("J").iter().zip(mean) {
            *m = if self.signed { passage(p[0], if *j > 0.0 { p[1] } else { p[2] }, j.abs()) } else { p[2] + passage(p[0], p[1], j.abs()) };
        }
    }

    fn starts(&self, data: &Data) -> Vec<Vec<f64>> {
        let (j, t) = (data.col("J"), data.col("t"));
        let least = |sign: f64| span(&j.iter().map(|j| j * sign).filter(|j| *j > 0.0).collect::<Vec<_>>())[0];
        let (plus, minus) = (least(1.0), least(-1.0));
        if self.signed && !(plus.is_finite() && minus.is_finite()) {
            return Vec::new();
        }
        [0.6, 0.9, 0.98]
            .iter()
            .filter_map(|f| {
                // For a guess of the rheobase, times lie on a line over the logarithm.
                let of = |j: f64| {
                    if j > 0.0 || !self.signed {
                        passage(1.0, f * plus.min(if self.signed { plus } else { plus.min(minus) }), j.abs())
                    } else {
                        passage(1.0, f * minus, j.abs())
                    }
                };
                let [at, tau] = line(&j.iter().map(|j| of(*j)).collect::<Vec<_>>(), t).filter(|l| l[1] > 0.0)?;
                let dead = at.max(0.05 * span(t)[0]);
                Some(if self.signed { vec![tau, f * plus, f * minus] } else { vec![tau, f * plus.min(minus), dead] })
            })
            .collect()
    }

    fn example(&self) -> Example {
        let drives = [1.05, 1.1, 1.2, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0].map(|x| x * 1e11);
        if self.signed {
            let both: Vec<f64> = drives.iter().flat_map(|j| [*j, -1.4 * j]).collect();
            return Example {
                truth: vec![2e-9, 1e11, 1.3e11],
                sigma: 0.05,
                design: crossed(&[("J", "A/m^2", &both)], 6, &[("t", "s", 0.0)]),
            };
        }
        Example { truth: vec![2e-9, 1e11, 5e-10], sigma: 0.03, design: crossed(&[("J", "A/m^2", &drives)], 10, &[("t", "s", 0.0)]) }
    }
}
