//! Skyrmions: motion by Thiele's equation, radius in a field, and nucleation by pulses.

use super::{About, Coefficient, Derived, Example, Model, Scatter, any, column, crossed, even, line, positive, span};
use crate::data::Data;
use spinloom_base::Dimension;
use spinloom_card::Kind;

/// Velocities along and across the drive.
pub struct Thiele;

impl Model for Thiele {
    fn about(&self) -> About {
        const COEFFICIENTS: [Coefficient; 3] = [
            positive("mobility", "m s^-1 {J}^-1", "velocities along the drive at two or more drives above depinning"),
            any("tan_Hall", "1", "velocities across the drive"),
            positive("J_dep", "{J}", "velocities at drives just above depinning").needs(&[("J", 3)]),
        ];
        About {
            name: "skyrmion-thiele",
            kind: Kind::Synapse,
            equation: "G z x v - alpha D v + F = 0: v_x = mobility (J - J_dep), v_y = tan_Hall v_x above J_dep, else 0; tan_Hall = G/(alpha D)",
            reference: "A. A. Thiele, Phys. Rev. Lett. 30, 230 (1973); Hall angle as in W. Jiang et al., Nat. Phys. 13, 162 (2017)",
            columns: const {
                &[
                    column("J", None, "drive"),
                    column("axis", Some(Dimension::NONE), "0 for the velocity along the drive, 1 for that across"),
                    column("v", Some(Dimension::VELOCITY), "velocity"),
                ]
            },
            coefficients: &COEFFICIENTS,
            scatter: Scatter::Normal("v"),
            derived: &[
                Derived { name: "Hall_angle", unit: "1", value: |p, _| p[1].atan(), of: &[1] },
                Derived { name: "alpha_D_over_G", unit: "1", value: |p, _| 1.0 / p[1], of: &[1] },
            ],
            axes: ["J", "v", "axis"],
            open: &[
                "force and dissipation apart: velocities show F/(alpha D) and G/(alpha D) only; with the topological charge known, G = 4 pi Msat t/gamma gives alpha D",
            ],
        }
    }

    fn predict(&self, p: &[f64], data: &Data, mean: &mut [f64]) {
        let (j, axis) = (data.col("J"), data.col("axis"));
        for i in 0..mean.len() {
            let along = p[0] * (j[i].abs() - p[2]).max(0.0) * j[i].signum();
            mean[i] = if axis[i] == 0.0 { along } else { p[1] * along };
        }
    }

    fn starts(&self, data: &Data) -> Vec<Vec<f64>> {
        let (j, axis, v) = (data.col("J"), data.col("axis"), data.col("v"));
        let rows = |a: f64| (0..v.len()).filter(|&i| axis[i] == a).collect::<Vec<_>>();
        let (along, across) = (rows(0.0), rows(1.0));
        let sum = |rows: &[usize]| rows.iter().map(|&i| v[i] * j[i].signum()).sum::<f64>() / rows.len() as f64;
        let fast = |rows: &[usize]| {
            rows.iter().copied().filter(|&i| v[i].abs() > 0.3 * rows.iter().fold(0.0, |m: f64, &k| m.max(v[k].abs()))).collect::<Vec<_>>()
        };
        let moving = fast(&along);
        let Some([at, slope]) =
            line(&moving.iter().map(|&i| j[i].abs()).collect::<Vec<_>>(), &moving.iter().map(|&i| v[i].abs()).collect::<Vec<_>>())
        else {
            return Vec::new();
        };
        let strongest = j.iter().fold(0.0, |m: f64, j| m.max(j.abs()));
        let ratio = sum(&across) / sum(&along);
        if slope <= 0.0 || !ratio.is_finite() || ratio == 0.0 {
            return Vec::new();
        }
        [(-at / slope).max(0.02 * strongest), 0.1 * strongest, 0.3 * strongest].iter().map(|dep| vec![slope, ratio, *dep]).collect()
    }

    fn example(&self) -> Example {
        let design = crossed(&[("J", "A/m^2", &even(5e10, 5e11, 19)), ("axis", "1", &[0.0, 1.0])], 2, &[("v", "m/s", 0.0)]);
        Example { truth: vec![2e-10, 0.6, 1.2e11], sigma: 1.5, design }
    }
}

/// Radius in a field.
pub struct Radius;

/// Radius of the energy 2 pi R sigma + 2 pi c/R + pi R^2 (2 Msat B) of a circular wall (tension, curvature, Zeeman), least where
/// 1 - (R_0/R)^2 + (B/B_0)(R/R_0) = 0, R_0^2 = c/sigma, B_0 = sigma/(2 Msat R_0). The left side rises with R for B >= 0.
fn radius(zero: f64, scale: f64, field: f64) -> f64 {
    let h = field / scale;
    // x = R/R_0; from x = 1 Newton's steps of a concave rising function stay below the root after the first and converge.
    let mut x = 1.0f64;
    for _ in 0..40 {
        let step = (1.0 - 1.0 / (x * x) + h * x) / (2.0 / (x * x * x) + h);
        x = (x - step).max(0.2 * x);
        if step.abs() < 1e-14 * x {
            break;
        }
    }
    zero * x
}

impl Model for Radius {
    fn about(&self) -> About {
        const COEFFICIENTS: [Coefficient; 2] = [
            positive("R_0", "m", "radii in small fields"),
            positive("B_0", "T", "radii in fields that shrink the skyrmion by a fifth or more").needs(&[("B", 3)]),
        ];
        About {
            name: "skyrmion-radius",
            kind: Kind::Synapse,
            equation: "1 - (R_0/R)^2 + (B/B_0) (R/R_0) = 0",
            reference: "energy of a circular wall: S. Rohart and A. Thiaville, Phys. Rev. B 88, 184422 (2013); A. N. Bogdanov and A. Hubert, J. Magn. Magn. Mater. 138, 255 (1994)",
            columns: const {
                &[column("B", Some(Dimension::FIELD), "field against the core"), column("R", Some(Dimension::LENGTH), "radius at m_z = 0")]
            },
            coefficients: &COEFFICIENTS,
            scatter: Scatter::Normal("R"),
            derived: &[],
            axes: ["B", "R", ""],
            open: &[
                "Aex, Ku1, D and Msat apart: the radius shows sqrt(c/sigma) and sigma/(2 Msat R_0) only",
                "small skyrmions, whose core is not a wall: below two wall widths the law is a guess",
            ],
        }
    }

    fn predict(&self, p: &[f64], data: &Data, mean: &mut [f64]) {
        data.col("B").iter().zip(mean).for_each(|(b, m)| *m = radius(p[0], p[1], *b));
    }

    fn starts(&self, data: &Data) -> Vec<Vec<f64>> {
        let (b, r) = (data.col("B"), data.col("R"));
        let field = span(b)[1].max(1e-6);
        [0.3, 1.0, 4.0].iter().map(|f| vec![1.1 * span(r)[1], f * field]).filter(|s| s[0] > 0.0).collect()
    }

    fn example(&self) -> Example {
        Example { truth: vec![40e-9, 0.05], sigma: 1e-9, design: crossed(&[("B", "T", &even(0.0, 0.1, 21))], 1, &[("R", "m", 0.0)]) }
    }
}

/// How many a pulse makes.
pub struct Nucleation;

fn middle(data: &Data) -> f64 {
    let [low, high] = span(data.col("J"));
    0.5 * (low + high)
}

impl Model for Nucleation {
    fn about(&self) -> About {
        const COEFFICIENTS: [Coefficient; 2] = [
            positive("rate", "s^-1", "pulses at drives around the middle"),
            positive("J_e", "{J}", "pulses at three or more drives").needs(&[("J", 2)]),
        ];
        About {
            name: "skyrmion-nucleation",
            kind: Kind::Synapse,
            equation: "mean number made by a pulse = t rate exp[(J - J_mid)/J_e], J_mid the middle of the drives measured",
            reference: "escape over a barrier linear in the drive, as in R. H. Koch et al., Phys. Rev. Lett. 92, 088302 (2004); counts of independent events, S. D. Poisson (1837)",
            columns: const {
                &[
                    column("J", None, "drive"),
                    column("t", Some(Dimension::TIME), "length of the pulse"),
                    column("k", Some(Dimension::NONE), "skyrmions made"),
                ]
            },
            coefficients: &COEFFICIENTS,
            scatter: Scatter::Poisson("k"),
            derived: &[],
            axes: ["J", "k", "t"],
            open: &["attempt rate and barrier apart: several temperatures would tell them"],
        }
    }

    fn predict(&self, p: &[f64], data: &Data, mean: &mut [f64]) {
        let (j, t, at) = (data.col("J"), data.col("t"), middle(data));
        (0..mean.len()).for_each(|i| mean[i] = t[i] * p[0] * ((j[i] - at) / p[1]).clamp(-300.0, 300.0).exp());
    }

    fn starts(&self, data: &Data) -> Vec<Vec<f64>> {
        let (j, t, k) = (data.col("J"), data.col("t"), data.col("k"));
        let y: Vec<f64> = (0..k.len()).map(|i| ((k[i] + 0.3) / t[i]).ln()).collect();
        let x: Vec<f64> = j.iter().map(|j| j - middle(data)).collect();
        line(&x, &y).filter(|l| l[1] > 0.0).map(|[at, slope]| vec![at.exp(), 1.0 / slope]).into_iter().collect()
    }

    fn example(&self) -> Example {
        let design = crossed(&[("J", "A/m^2", &even(2e11, 6e11, 9)), ("t", "s", &[1e-9, 4e-9])], 5, &[("k", "1", 0.0)]);
        Example { truth: vec![1e9, 1.2e11], sigma: 0.0, design }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_radius_solves_its_equation() {
        for b in [0.0, 0.01, 0.1, 1.0] {
            let x = radius(1.0, 0.05, b);
            assert!((1.0 - 1.0 / (x * x) + b / 0.05 * x).abs() < 1e-12, "{b}: {x}");
        }
    }
}
