//! Skyrmions: motion by Thiele's equation, radius in a field, and nucleation by pulses.

use super::{About, Coefficient, Derived, Example, Model, Scatter, any, column, crossed, even, line, positive, rk4, simulate_trace, span};
use crate::data::Data;
use spinloom_base::Dimension;
use spinloom_base::random::Stream;
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

/// Motion along a track whose edges repel.
pub struct Edge;

/// Velocity across, and along, at a place y of a track of width w, under a drive J: Thiele's equation divided by G, with a = alpha D/G, f = mobility-like drive c J along the track, and the force of
/// both edges over G, v_e [e^(-(y + w/2)/lambda) - e^(-(w/2 - y)/lambda)], across: v_y = (f - a e)/(1 + a^2), v_x = (a f + e)/(1 + a^2) with e = -(edge force).
fn edge_velocity(p: &[f64], y: f64, w: f64, j: f64) -> [f64; 2] {
    let (f, a) = (p[0] * j, p[1]);
    let push = p[2] * ((-(y + 0.5 * w) / p[3]).exp() - (-(0.5 * w - y) / p[3]).exp());
    let norm = 1.0 / (1.0 + a * a);
    [norm * (a * f - push), norm * (f + a * push)]
}

impl Model for Edge {
    fn about(&self) -> About {
        const COEFFICIENTS: [Coefficient; 4] = [
            positive("force", "m s^-1 {J}^-1", "pulses in the middle of the track"),
            positive("alpha_D_over_G", "1", "places along and across the track of the same pulses").needs(&[("axis", 2)]),
            positive("v_edge", "m s^-1", "pulses that bring it close to an edge, at two or more drives")
                .needs(&[("J", 2)])
                .widest(1e3)
                .stage(2),
            positive("lambda", "m", "pulses that bring it close to an edge, at two or more drives").needs(&[("J", 2)]).stage(2),
        ];
        About {
            name: "skyrmion-edge",
            kind: Kind::Synapse,
            equation: "G z x v - alpha D v + F = 0 on a track: F/G = (force J, v_edge [exp(-(y + W/2)/lambda) - exp(-(W/2 - y)/lambda)]) along and across",
            reference: "A. A. Thiele, Phys. Rev. Lett. 30, 230 (1973); an edge that repels exponentially: X. Zhang et al., Sci. Rep. 5, 7643 (2015)",
            columns: const {
                &[
                    column("t", Some(Dimension::TIME), "time"),
                    column("J", None, "drive over the interval that ends here"),
                    column("axis", Some(Dimension::NONE), "0 where `r` is along the track, 1 where it is across it from the middle"),
                    column("y_0", Some(Dimension::LENGTH), "place across the track where the run begins"),
                    column("W", Some(Dimension::LENGTH), "width of the track"),
                    column("r", Some(Dimension::LENGTH), "place of the centre"),
                ]
            },
            coefficients: &COEFFICIENTS,
            scatter: Scatter::Normal("r"),
            derived: &[
                Derived {
                    name: "mobility_in_the_middle",
                    unit: "m s^-1 {J}^-1",
                    value: |p, _| p[0] * p[1] / (1.0 + p[1] * p[1]),
                    of: &[0, 1],
                },
                Derived { name: "mobility_at_the_edge", unit: "m s^-1 {J}^-1", value: |p, _| p[0] / p[1], of: &[0, 1] },
                Derived { name: "Hall_angle", unit: "1", value: |p, _| (1.0 / p[1]).atan(), of: &[1] },
            ],
            axes: ["t", "r", "run"],
            open: &[
                "G, D and forces apart: places show their ratios only; with the topological charge known, G = 4 pi Msat t/gamma gives the rest",
                "the drive that pushes it over the edge: no run here left the track",
            ],
        }
    }

    fn predict(&self, p: &[f64], data: &Data, mean: &mut [f64]) {
        let [t, j, axis, from, w, r] = ["t", "J", "axis", "y_0", "W", "r"].map(|n| data.col(n));
        let mut at = [0.0; 2];
        for i in 0..mean.len() {
            if data.begins(i) {
                at = [if axis[i] == 0.0 { r[i] } else { 0.0 }, from[i]];
            } else {
                // A tenth of lambda a step.
                let dt = t[i] - t[i - 1];
                let steps = (dt * (p[0] * j[i]).abs() / (0.1 * p[3])).ceil().clamp(2.0, 400.0);
                for _ in 0..steps as usize {
                    at = rk4(at, dt / steps, |at| edge_velocity(p, at[1].clamp(-0.5 * w[i], 0.5 * w[i]), w[i], j[i]));
                }
            }
            mean[i] = if axis[i] == 0.0 { at[0] } else { at[1] };
        }
    }

    fn starts(&self, data: &Data) -> Vec<Vec<f64>> {
        let [t, j, axis, w, r] = ["t", "J", "axis", "W", "r"].map(|n| data.col(n));
        // Velocities over drives: across at the start of runs, along over all of them.
        let per_drive = |a: f64, first: bool| {
            let all: Vec<f64> = (1..t.len())
                .filter(|&i| !data.begins(i) && axis[i] == a && j[i] != 0.0 && t[i] > t[i - 1] && (!first || data.begins(i - 1)))
                .map(|i| ((r[i] - r[i - 1]) / (t[i] - t[i - 1]) / j[i]).abs())
                .collect();
            all.iter().sum::<f64>() / all.len() as f64
        };
        let (along, across) = (per_drive(0.0, true), per_drive(1.0, true));
        if !(along > 0.0 && across > 0.0) {
            return Vec::new();
        }
        let (a, strongest) = (along / across, span(&j.iter().map(|j| j.abs()).collect::<Vec<_>>())[1]);
        let force = across * (1.0 + a * a);
        super::grid(&[&[0.05, 0.1, 0.2], &[10.0, 100.0]])
            .into_iter()
            .map(|g| vec![force, a, g[1] * force * strongest / a, g[0] * w[0]])
            .collect()
    }

    fn simulate(&self, p: &[f64], sigma: f64, design: &Data, random: &mut Stream) -> Data {
        simulate_trace(self, "r", p, sigma, design, random)
    }

    fn example(&self) -> Example {
        let mut rows: [Vec<f64>; 5] = Default::default();
        for (r, (current, axis)) in [1e11, 2e11, -3e11].into_iter().flat_map(|j| [(j, 0.0), (j, 1.0)]).enumerate() {
            for i in 0..=30 {
                let row = [r as f64, f64::from(i) * 2e-10, if i <= 20 { current } else { 0.0 }, axis, 5e-9];
                rows.iter_mut().zip(row).for_each(|(c, x)| c.push(x));
            }
        }
        let n = rows[0].len();
        let [run, t, j, axis, from] = rows;
        // What is not fitted of a run is its first row; places across begin at y_0.
        let begin = axis.iter().zip(&from).map(|(a, y)| if *a == 0.0 { 0.0 } else { *y }).collect();
        let design = Data::new([
            ("run", "1", run),
            ("t", "s", t),
            ("J", "A/m^2", j),
            ("axis", "1", axis),
            ("y_0", "m", from),
            ("W", "m", vec![100e-9; n]),
            ("r", "m", begin),
        ]);
        Example { truth: vec![4e-10, 0.4, 2e3, 8e-9], sigma: 5e-10, design }
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
    fn an_edge_stops_the_way_across_and_speeds_the_way_along() {
        let p = Edge.example().truth;
        let (w, j) = (100e-9, 2e11);
        // In the middle Hall's angle; both edges alike but for the sign.
        let [x, y] = edge_velocity(&p, 0.0, w, j);
        assert!((y / x - 1.0 / p[1]).abs() < 1e-12);
        let mirrored = edge_velocity(&p, -20e-9, w, -j);
        assert!(edge_velocity(&p, 20e-9, w, j).iter().zip(mirrored).all(|(a, b)| (a + b).abs() < 1e-12));
        // Where it moves along only, it does at force J/(alpha D/G), 1 + 1/a^2 times the speed in the middle.
        let mut at = [0.0, 0.0];
        for _ in 0..100_000 {
            at = rk4(at, 1e-12, |at| edge_velocity(&p, at[1], w, j));
        }
        let [x_edge, y_edge] = edge_velocity(&p, at[1], w, j);
        assert!(
            y_edge.abs() < 1e-6 * x_edge
                && (x_edge / (p[0] * j / p[1]) - 1.0).abs() < 1e-6
                && (x_edge / x - 1.0 - 1.0 / p[1].powi(2)).abs() < 1e-6
        );
        assert!(at[1] < 0.5 * w, "{at:?}");
    }

    #[test]
    fn the_radius_solves_its_equation() {
        for b in [0.0, 0.01, 0.1, 1.0] {
            let x = radius(1.0, 0.05, b);
            assert!((1.0 - 1.0 / (x * x) + b / 0.05 * x).abs() < 1e-12, "{b}: {x}");
        }
    }
}
