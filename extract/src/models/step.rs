//! What one pulse does to a conductance, as a function of the conductance: rival laws, and the measured table with its noise.

use super::{About, Coefficient, Example, Model, Scatter, any, column, crossed, even, line, positive, span};
use crate::data::Data;
use spinloom_base::Dimension;
use spinloom_card::{Kind, Table};

/// A law of steps.
pub struct Step {
    name: &'static str,
    equation: &'static str,
    reference: &'static str,
    coefficients: &'static [Coefficient],
    /// Size of the step for parameters, G, and the ends of the range measured; first the way up, then the way down.
    size: fn(&[f64], f64, [f64; 2]) -> [f64; 2],
    truth: &'static [f64],
}

const UP: &str = "pulses up from conductances over the whole range";
const DOWN: &str = "pulses down from conductances over the whole range";
const BOTH: &[(&str, usize)] = &[("dir", 2)];

/// The same everywhere.
pub const CONSTANT: Step = Step {
    name: "step-constant",
    equation: "dG = +step_up or -step_down",
    reference: "T. Gokmen and Y. Vlasov, Front. Neurosci. 10, 333 (2016)",
    coefficients: &[positive("step_up", "{G}", UP), positive("step_down", "{G}", DOWN).needs(BOTH)],
    size: |p, _, _| [p[0], p[1]],
    truth: &[1.5e-5, 2e-5],
};

/// Falls in proportion to the distance from a bound.
pub const SOFT_BOUNDS: Step = Step {
    name: "step-soft-bounds",
    equation: "up: dG = k_up (G_max - G); down: dG = -k_down (G - G_min)",
    reference: "S. Fusi and L. F. Abbott, Nat. Neurosci. 10, 485 (2007)",
    coefficients: &[
        positive("k_up", "1", UP),
        positive("k_down", "1", DOWN).needs(BOTH),
        any("G_max", "{G}", "pulses up from near the upper end"),
        any("G_min", "{G}", "pulses down from near the lower end").needs(BOTH),
    ],
    size: |p, g, _| [p[0] * (p[2] - g), p[1] * (g - p[3])],
    truth: &[0.03, 0.05, 1.1e-3, 1e-4],
};

/// Falls exponentially on the way.
pub const EXPONENTIAL: Step = Step {
    name: "step-exponential",
    equation: "up: dG = step_up exp(-beta_up x); down: dG = -step_down exp(-beta_down (1 - x)); x = (G - G_low)/(G_high - G_low), of the range measured",
    reference: "D. Querlioz et al., IEEE Trans. Nanotechnol. 12, 288 (2013)",
    coefficients: &[
        positive("step_up", "{G}", UP),
        positive("step_down", "{G}", DOWN).needs(BOTH),
        any("beta_up", "1", UP),
        any("beta_down", "1", DOWN).needs(BOTH),
    ],
    size: |p, g, [low, high]| {
        let x = (g - low) / (high - low);
        [p[0] * (-p[2] * x).exp(), p[1] * (-p[3] * (1.0 - x)).exp()]
    },
    truth: &[3e-5, 4e-5, 1.5, 2.5],
};

/// A power of the distance from the end of the range.
pub const POWER: Step = Step {
    name: "step-power",
    equation: "up: dG = step_up (1 - x)^gamma_up; down: dG = -step_down x^gamma_down; x = (G - G_low)/(G_high - G_low), of the range measured",
    reference: "R. Gütig et al., J. Neurosci. 23, 3697 (2003)",
    coefficients: &[
        positive("step_up", "{G}", UP),
        positive("step_down", "{G}", DOWN).needs(BOTH),
        positive("gamma_up", "1", UP),
        positive("gamma_down", "1", DOWN).needs(BOTH),
    ],
    size: |p, g, [low, high]| {
        let x = ((g - low) / (high - low)).clamp(1e-9, 1.0 - 1e-9);
        [p[0] * (1.0 - x).powf(p[2]), p[1] * x.powf(p[3])]
    },
    truth: &[3e-5, 4e-5, 1.0, 1.8],
};

impl Model for Step {
    fn about(&self) -> About {
        About {
            name: self.name,
            kind: Kind::Synapse,
            equation: self.equation,
            reference: self.reference,
            columns: const {
                &[
                    column("G", None, "conductance before the pulse"),
                    column("dir", Some(Dimension::NONE), "+1 for a pulse up, -1 for one down"),
                    column("dG", None, "change of the conductance"),
                ]
            },
            coefficients: self.coefficients,
            scatter: Scatter::Normal("dG"),
            derived: &[],
            axes: ["G", "dG", "dir"],
            open: &[],
        }
    }

    fn predict(&self, p: &[f64], data: &Data, mean: &mut [f64]) {
        let (g, dir) = (data.col("G"), data.col("dir"));
        let range = span(g);
        for i in 0..mean.len() {
            let [up, down] = (self.size)(p, g[i], range);
            mean[i] = if dir[i] > 0.0 { up } else { -down };
        }
    }

    fn starts(&self, data: &Data) -> Vec<Vec<f64>> {
        let (g, dir, change) = (data.col("G"), data.col("dir"), data.col("dG"));
        let branch = |sign: f64| {
            let rows: Vec<usize> = (0..data.rows()).filter(|&i| dir[i] * sign > 0.0).collect();
            let (x, y): (Vec<f64>, Vec<f64>) = rows.iter().map(|&i| (g[i], sign * change[i])).unzip();
            let mean = y.iter().sum::<f64>() / y.len() as f64;
            (mean, line(&x, &y).map_or(0.0, |l| l[1]))
        };
        let [low, high] = span(g);
        let ((up, up_slope), (mut down, mut down_slope)) = (branch(1.0), branch(-1.0));
        if down.is_nan() {
            (down, down_slope) = (up, -up_slope);
        }
        if up.is_nan() || up <= 0.0 || down <= 0.0 {
            return Vec::new();
        }
        let width = high - low;
        match self.name {
            "step-constant" => vec![vec![up, down]],
            "step-soft-bounds" => {
                let (k_up, k_down) = ((-up_slope).max(0.1 * up / width), down_slope.max(0.1 * down / width));
                vec![vec![k_up, k_down, up / k_up + 0.5 * (low + high), 0.5 * (low + high) - down / k_down]]
            }
            _ => [0.5, 1.0, 2.0].iter().map(|x| vec![1.5 * up, 1.5 * down, *x, *x]).collect(),
        }
    }

    fn example(&self) -> Example {
        let design = crossed(&[("G", "S", &even(2e-4, 1e-3, 40)), ("dir", "1", &[1.0, -1.0])], 4, &[("dG", "S", 0.0)]);
        Example { truth: self.truth.to_vec(), sigma: 4e-6, design }
    }

    fn tables(&self, _p: &[f64], data: &Data) -> Vec<(String, Table)> {
        [("dG_up", 1.0), ("dG_down", -1.0)]
            .into_iter()
            .filter_map(|(name, sign)| Some((name.to_string(), distribution(data, sign)?)))
            .collect()
    }
}

/// Quantiles of the change by a pulse in bins of conductance of equal count: a look-up table that carries noise as well as nonlinearity.
fn distribution(data: &Data, sign: f64) -> Option<Table> {
    // A bin of twenty has its quartiles; more bins than twenty no longer show more.
    const IN_BIN: usize = 20;
    const QUANTILES: [f64; 9] = [0.0, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 1.0];
    let (g, dir, change) = (data.col("G"), data.col("dir"), data.col("dG"));
    let mut rows: Vec<usize> = (0..data.rows()).filter(|&i| dir[i] * sign > 0.0).collect();
    rows.sort_by(|a, b| g[*a].total_cmp(&g[*b]));
    let bins = (rows.len() / IN_BIN).min(20);
    if bins < 2 {
        return None;
    }
    let mut columns = vec![Vec::new(); 1 + QUANTILES.len()];
    for b in 0..bins {
        let of = &rows[b * rows.len() / bins..(b + 1) * rows.len() / bins];
        let mut changes: Vec<f64> = of.iter().map(|&i| change[i]).collect();
        changes.sort_by(f64::total_cmp);
        columns[0].push(of.iter().map(|&i| g[i]).sum::<f64>() / of.len() as f64);
        for (c, q) in columns[1..].iter_mut().zip(QUANTILES) {
            let at = q * (changes.len() - 1) as f64;
            let (i, part) = (at.floor() as usize, at.fract());
            c.push(changes[i] + part * (changes[(i + 1).min(changes.len() - 1)] - changes[i]));
        }
    }
    let names = std::iter::once("G".to_string()).chain(QUANTILES.iter().map(|q| format!("q{q}")));
    Some(Table {
        about: "quantiles of the change of conductance by one pulse, in bins of conductance".into(),
        columns: names.map(|n| (n, data.unit("G").to_string())).collect(),
        values: columns,
    })
}
