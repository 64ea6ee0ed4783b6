//! Retention: how long a state lasts, extrapolated by Arrhenius' law, or by the passage over the barrier of one macrospin.

use super::hazard::{AT_300_K, passage};
use super::{About, Derived, Example, Model, Scatter, column, crossed, line, optional, positive};
use crate::data::Data;
use spinloom_base::Dimension;
use spinloom_base::constants::KB;
use spinloom_card::Kind;

/// f0 and E_b of a line through the logarithms of mean times over 1/kT.
fn arrhenius(data: &Data) -> Option<[f64; 2]> {
    let (temperature, time, censored) = (data.col("T"), data.col("t"), data.col("censored"));
    let (mut x, mut y) = (Vec::new(), Vec::new());
    for at in data.distinct("T") {
        let here = |i: &usize| (temperature[*i] / at - 1.0).abs() < 1e-6;
        let total: f64 = (0..data.rows()).filter(here).map(|i| time[i]).sum();
        let ends: f64 = (0..data.rows()).filter(here).map(|i| 1.0 - censored[i]).sum();
        if ends > 0.0 {
            x.push(1.0 / (KB * at));
            y.push((total / ends).ln());
        }
    }
    if x.is_empty() {
        return None;
    }
    let [minus, barrier] = line(&x, &y).filter(|l| l[1] > 0.0).unwrap_or([-(1e9f64.ln()), (y[0] + 1e9f64.ln()) / x[0]]);
    Some([(-minus).exp(), barrier])
}

/// Times to loss in ovens.
pub struct Retention;

impl Model for Retention {
    fn about(&self) -> About {
        const OVENS: &str = "times to loss at three or more temperatures";
        About {
            name: "retention",
            kind: Kind::Synapse,
            equation: "mean time to loss = exp(E_b/kT)/f0",
            reference: "L. Néel, Ann. Géophys. 5, 99 (1949); S. Arrhenius, Z. Phys. Chem. 4, 226 (1889)",
            columns: const {
                &[
                    column("T", Some(Dimension::TEMPERATURE), "temperature"),
                    column("t", Some(Dimension::TIME), "time to loss, or of the test where nothing was lost"),
                    optional("censored", Dimension::NONE, "1 where the state outlived the test", 0.0),
                ]
            },
            coefficients: const {
                &[positive("f0", "s^-1", OVENS).needs(&[("T", 2)]).widest(1e6), positive("E_b", "J", OVENS).needs(&[("T", 2)])]
            },
            scatter: Scatter::Exponential("t", "censored"),
            derived: &[
                Derived { name: "Delta_300K", unit: "1", value: |p, _| p[1] / (KB * 300.0), of: &[1] },
                // log10 of seconds: an interval of a time over decades is not symmetric.
                Derived {
                    name: "log10_retention_300K_s",
                    unit: "1",
                    value: |p, _| (p[1] / (KB * 300.0) - p[0].ln()) / std::f64::consts::LN_10,
                    of: &[1],
                },
                Derived {
                    name: "log10_retention_358K_s",
                    unit: "1",
                    value: |p, _| (p[1] / (KB * 358.15) - p[0].ln()) / std::f64::consts::LN_10,
                    of: &[1],
                },
            ],
            axes: ["T", "t", ""],
            open: &[
                "whether the barrier itself falls with temperature: a barrier E(1 - T/T_c) has the same law with another f0; ovens cannot tell, a measured barrier at room temperature can",
            ],
        }
    }

    fn predict(&self, p: &[f64], data: &Data, mean: &mut [f64]) {
        data.col("T").iter().zip(mean).for_each(|(t, m)| *m = (p[1] / (KB * t)).exp() / p[0]);
    }

    fn starts(&self, data: &Data) -> Vec<Vec<f64>> {
        arrhenius(data).map(Vec::from).into_iter().collect()
    }

    fn example(&self) -> Example {
        let design =
            crossed(&[("T", "K", &[400.0, 430.0, 460.0, 500.0])], 30, &[("t", "s", 0.0), ("censored", "1", 0.0), ("limit", "s", 1e6)]);
        Example { truth: vec![1e9, 45.0 * KB * 300.0], sigma: 0.0, design }
    }
}

/// Times to loss of a single uniaxial domain: no attempt frequency is assumed constant, and no barrier high.
pub struct Uniaxial;

impl Model for Uniaxial {
    fn about(&self) -> About {
        const TURNS: &str = "times to loss at three or more temperatures";
        About {
            name: "retention-uniaxial",
            kind: Kind::Synapse,
            equation: "mean time to loss = (2 s/f_B) int_m^1 dx e^(-s x^2)/(1 - x^2) int_x^1 dy e^(s y^2), s = E_b/kT, f_B = alpha gamma B_k/(1 + alpha^2)",
            reference: "W. F. Brown, Phys. Rev. 130, 1677 (1963): his Fokker-Planck equation; the passage time derived here",
            columns: const {
                &[
                    column("T", Some(Dimension::TEMPERATURE), "temperature"),
                    column("t", Some(Dimension::TIME), "time from m = 1 along the axis to the loss, or of the test where nothing was lost"),
                    optional("censored", Dimension::NONE, "1 where the state outlived the test", 0.0),
                    optional("m_lost", Dimension::NONE, "m along the axis at which it counts as lost", -0.5),
                ]
            },
            coefficients: const {
                &[positive("f_B", "s^-1", TURNS).needs(&[("T", 2)]).widest(1e4), positive("E_b", "J", TURNS).needs(&[("T", 2)])]
            },
            scatter: Scatter::Exponential("t", "censored"),
            derived: AT_300_K,
            axes: ["T", "t", ""],
            open: &["alpha and B_k apart: times show f_B only"],
        }
    }

    fn predict(&self, p: &[f64], data: &Data, mean: &mut [f64]) {
        let (t, end) = (data.col("T"), data.col("m_lost"));
        let mut known: Vec<[f64; 3]> = Vec::new();
        for i in 0..mean.len() {
            mean[i] = match known.iter().find(|k| k[0] == t[i] && k[1] == end[i]) {
                Some(k) => k[2],
                None => {
                    known.push([t[i], end[i], passage(p[1] / (KB * t[i]), 0.0, end[i])[0] / p[0]]);
                    known[known.len() - 1][2]
                }
            };
        }
    }

    fn starts(&self, data: &Data) -> Vec<Vec<f64>> {
        arrhenius(data).map(Vec::from).into_iter().collect()
    }

    fn example(&self) -> Example {
        let design = crossed(
            &[("T", "K", &[300.0, 360.0, 450.0])],
            100,
            &[("t", "s", 0.0), ("censored", "1", 0.0), ("limit", "s", 1.0), ("m_lost", "1", -0.5)],
        );
        Example { truth: vec![8e9, 7.0 * KB * 300.0], sigma: 0.0, design }
    }
}
