//! Switching of a single perpendicular domain by a torque along its axis and a voltage on its anisotropy: no barrier assumed high, no drive far below its threshold.

use super::hazard::AT_300_K;
use super::{About, Example, Model, Scatter, any, column, crossed, optional, positive};
use crate::data::Data;
use spinloom_base::Dimension;
use spinloom_base::constants::KB;
use spinloom_card::Kind;
use spinloom_card::laws::switching_uniaxial;

/// The passage over its barrier.
pub struct Uniaxial;

impl Model for Uniaxial {
    fn about(&self) -> About {
        const PULSES: &str = "pulses of two or more lengths at three or more temperatures, longer than the torque needs without heat";
        About {
            name: "switching-uniaxial",
            kind: Kind::Synapse,
            equation: "P = 1 - exp[-(t - t_0)/tau], tau^2 = <T^2> - <T>^2, t_0 = <T> - tau, T the passage time at E = E_b - chi V, f_B E/E_b and i = dir V/(V_c E/E_b)",
            reference: "W. F. Brown, Phys. Rev. 130, 1677 (1963): his Fokker-Planck equation, with a torque as in T. Taniguchi and H. Imamura, Phys. Rev. B 83, 054432 (2011); its passage time and the law of the voltage derived here",
            columns: const {
                &[
                    column("V", None, "drive"),
                    column("dir", Some(Dimension::NONE), "+1 where a positive drive favours the switching counted, else -1"),
                    column("t", Some(Dimension::TIME), "length of the pulse"),
                    optional("T", Dimension::TEMPERATURE, "temperature", 300.0),
                    column("k", Some(Dimension::NONE), "how many of the tries switched"),
                    column("n", Some(Dimension::NONE), "tries"),
                ]
            },
            coefficients: const {
                &[
                    positive("f_B", "s^-1", PULSES).needs(&[("t", 2)]).widest(1e4),
                    positive("E_b", "J", PULSES).needs(&[("T", 2)]),
                    positive("V_c", "{V}", PULSES).needs(&[("V", 3)]),
                    any("chi", "J {V}^-1", "switching in both directions, one with each sign of the drive").needs(&[("dir", 2)]),
                ]
            },
            scatter: Scatter::Binomial("k", "n"),
            derived: AT_300_K,
            axes: ["V", "k/n", "t"],
            open: &["alpha and B_k apart: times show f_B = alpha gamma B_k/(1 + alpha^2) only"],
        }
    }

    fn predict(&self, p: &[f64], data: &Data, mean: &mut [f64]) {
        let (v, dir, t, temperature) = (data.col("V"), data.col("dir"), data.col("t"), data.col("T"));
        // Drive, direction, temperature; t_0 and tau.
        let mut known: Vec<([f64; 3], [f64; 2])> = Vec::new();
        for i in 0..mean.len() {
            let at = [v[i], dir[i], temperature[i]];
            let [start, tau] = match known.iter().find(|k| k.0 == at) {
                Some(k) => k.1,
                None => {
                    let found = switching_uniaxial([p[0], p[1], p[2], p[3]], v[i], dir[i], temperature[i]);
                    known.push((at, found));
                    found
                }
            };
            mean[i] = -(-(t[i] - start).max(0.0) / tau).exp_m1();
        }
    }

    fn starts(&self, data: &Data) -> Vec<Vec<f64>> {
        let (v, dir, k, n) = (data.col("V"), data.col("dir"), data.col("k"), data.col("n"));
        // Between the drives at which some and at which most have switched lies the threshold, more or less.
        let some: Vec<f64> = (0..v.len()).filter(|&i| k[i] > 0.2 * n[i] && k[i] < 0.95 * n[i]).map(|i| v[i] * dir[i]).collect();
        if some.is_empty() {
            return Vec::new();
        }
        let middle = some.iter().sum::<f64>() / some.len() as f64;
        let thermal = KB * data.col("T").iter().sum::<f64>() / v.len() as f64;
        super::grid(&[&[1e8, 1e9, 1e10], &[15.0, 40.0], &[1.1, 1.5]])
            .into_iter()
            .map(|g| vec![g[0], g[1] * thermal, g[2] * middle, 0.05 * g[1] * thermal / middle])
            .collect()
    }

    fn example(&self) -> Example {
        let (times, temperatures) = ([4e-8, 1.2e-7], [270.0, 300.0, 340.0]);
        let counts = [("k", "1", 0.0), ("n", "1", 100.0)];
        let of = |volts: &[f64], dir: f64| {
            crossed(&[("V", "V", volts), ("t", "s", &times), ("T", "K", &temperatures)], 1, &[("dir", "1", dir), counts[0], counts[1]])
        };
        let mut design = of(&[0.16, 0.19, 0.22, 0.25], 1.0);
        design.append(&of(&[-0.22, -0.25, -0.28, -0.31], -1.0));
        Example { truth: vec![4e8, 1.1e-19, 0.34, 4.5e-20], sigma: 0.0, design }
    }
}
