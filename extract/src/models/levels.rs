//! Levels of a staircase: end points, bow, and how well neighbours can be told apart.

use super::{About, Coefficient, Derived, Example, Model, Scatter, any, column, crossed, even, span};
use crate::data::Data;
use spinloom_base::Dimension;
use spinloom_card::{Kind, Table};

/// Evenly spaced levels with a bow.
pub struct Levels;

fn last(data: &Data) -> f64 {
    span(data.col("level"))[1].max(1.0)
}

impl Model for Levels {
    fn about(&self) -> About {
        const COEFFICIENTS: [Coefficient; 3] = [
            any("G_first", "{G}", "reads of the lowest level"),
            any("G_last", "{G}", "reads of the highest level"),
            any("bow", "1", "reads of three or more levels").needs(&[("level", 3)]),
        ];
        About {
            name: "levels",
            kind: Kind::Synapse,
            equation: "G(x) = G_first + (G_last - G_first) [x + 4 bow x (1 - x)], x = level/(levels - 1)",
            reference: "end-point line and parabolic bow: integral nonlinearity of IEEE Std 1241-2010, here of a weight",
            columns: const { &[column("level", Some(Dimension::NONE), "index of the level, from 0"), column("G", None, "conductance read")] },
            coefficients: &COEFFICIENTS,
            scatter: Scatter::Normal("G"),
            derived: &[
                Derived { name: "step", unit: "{G}", value: |p, d| (p[1] - p[0]) / last(d), of: &[0, 1] },
                Derived { name: "on_off_ratio", unit: "1", value: |p, _| p[1] / p[0], of: &[0, 1] },
            ],
            axes: ["level", "G", ""],
            open: &[],
        }
    }

    fn predict(&self, p: &[f64], data: &Data, mean: &mut [f64]) {
        let most = last(data);
        data.col("level").iter().zip(mean).for_each(|(l, m)| {
            let x = l / most;
            *m = p[0] + (p[1] - p[0]) * (x + 4.0 * p[2] * x * (1.0 - x));
        });
    }

    fn starts(&self, data: &Data) -> Vec<Vec<f64>> {
        let (level, g) = (data.col("level"), data.col("G"));
        let mean = |at: f64| {
            let of: Vec<f64> = (0..data.rows()).filter(|&i| level[i] == at).map(|i| g[i]).collect();
            of.iter().sum::<f64>() / of.len() as f64
        };
        vec![vec![mean(span(level)[0]), mean(span(level)[1]), 0.05]]
    }

    fn example(&self) -> Example {
        let design = crossed(&[("level", "1", &even(0.0, 25.0, 26))], 5, &[("G", "S", 0.0)]);
        Example { truth: vec![2e-4, 1e-3, 0.06], sigma: 5e-6, design }
    }

    fn tables(&self, _p: &[f64], data: &Data) -> Vec<(String, Table)> {
        let (level, g) = (data.col("level"), data.col("G"));
        let mut columns: Vec<Vec<f64>> = vec![Vec::new(); 4];
        for at in data.distinct("level") {
            let [mean, deviation] = crate::velocity::mean_and_deviation((0..data.rows()).filter(|&i| level[i] == at).map(|i| g[i]));
            [at, mean, deviation, f64::NAN].into_iter().zip(&mut columns).for_each(|(x, c)| c.push(x));
        }
        for i in 0..columns[0].len().saturating_sub(1) {
            columns[3][i] = (columns[1][i + 1] - columns[1][i]).abs() / (columns[2][i] + columns[2][i + 1]);
        }
        let units = [("level", "1"), ("mean", data.unit("G")), ("deviation", data.unit("G")), ("separability", "1")];
        let about = "levels read, and distance to the next over the sum of both deviations".to_string();
        vec![("levels".into(), Table { about, columns: units.map(|(n, u)| (n.to_string(), u.to_string())).to_vec(), values: columns })]
    }
}
