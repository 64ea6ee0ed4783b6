//! Switching by a pulse: P_sw(V or I, t, T), with the barrier exponent fixed or free, a barrier that depends on voltage, or a field as the drive.

use super::hazard::{probability, rate};
use super::{About, Coefficient, Derived, Example, Input, Model, Scatter, any, column, crossed, even, line, optional, positive};
use crate::data::Data;
use spinloom_base::Dimension;
use spinloom_base::constants::KB;
use spinloom_card::Kind;

/// A family of switching laws.
pub struct Switching {
    name: &'static str,
    equation: &'static str,
    reference: &'static str,
    /// Column of the drive.
    drive: &'static str,
    columns: &'static [Input],
    coefficients: &'static [Coefficient],
    /// Exponent of the barrier; free if not a number.
    exponent: f64,
}

const TEMPERATURES: &str = "the same pulses at three or more temperatures";
const BARRIER: Coefficient = positive("E_b", "J", TEMPERATURES).needs(&[("T", 2), ("t", 2)]);
const ATTEMPTS: Coefficient = positive("f0", "s^-1", TEMPERATURES).needs(&[("T", 2), ("t", 2)]).widest(1e4);
const CRITICAL: Coefficient =
    positive("V_c", "{V}", "pulses of two or more lengths, decades apart, at two or more temperatures").needs(&[("T", 2), ("t", 2)]);
const EXPONENT: Coefficient =
    positive("b", "1", "pulse lengths over four decades or more at three temperatures").stage(2).needs(&[("T", 2), ("t", 3)]);
const COUNTS: [Input; 4] = [
    column("t", Some(Dimension::TIME), "length of the pulse"),
    optional("T", Dimension::TEMPERATURE, "temperature", 300.0),
    column("k", Some(Dimension::NONE), "how many of the tries switched"),
    column("n", Some(Dimension::NONE), "tries"),
];
const BY_VOLTAGE: [Input; 5] = [column("V", None, "drive"), COUNTS[0], COUNTS[1], COUNTS[2], COUNTS[3]];
const DERIVED: [Derived; 3] = [
    Derived { name: "Delta_300K", unit: "1", value: |p, _| p[1] / (KB * 300.0), of: &[1] },
    // What one temperature does determine, whatever f0: the logarithm of the rate without drive, and the slope by the drive.
    Derived { name: "ln_rate_at_rest", unit: "1", value: |p, d| p[0].ln() - p[1] / (KB * mean_temperature(d)), of: &[] },
    Derived { name: "E_b_over_kT_V_c", unit: "{V}^-1", value: |p, d| p[1] / (KB * mean_temperature(d) * p[2]), of: &[] },
];

/// Drive lowers the barrier in proportion.
pub const LINEAR: Switching = Switching {
    name: "switching-linear",
    equation: "P = 1 - exp(-t f0 exp[-(E_b/kT) (1 - V/V_c)])",
    reference: "R. H. Koch et al., Phys. Rev. Lett. 92, 088302 (2004)",
    drive: "V",
    columns: &BY_VOLTAGE,
    coefficients: &[ATTEMPTS, BARRIER, CRITICAL],
    exponent: 1.0,
};

/// Drive lowers the barrier as a field does.
pub const QUADRATIC: Switching = Switching {
    name: "switching-quadratic",
    equation: "P = 1 - exp(-t f0 exp[-(E_b/kT) (1 - V/V_c)^2])",
    reference: "T. Taniguchi and H. Imamura, Phys. Rev. B 83, 054432 (2011)",
    exponent: 2.0,
    ..LINEAR
};

/// With the exponent left open.
pub const FREE: Switching = Switching {
    name: "switching-free",
    equation: "P = 1 - exp(-t f0 exp[-(E_b/kT) (1 - V/V_c)^b])",
    reference: "exponents 1 and 2 of Koch et al. (2004) and Taniguchi and Imamura (2011) are special cases",
    coefficients: &[ATTEMPTS, BARRIER, CRITICAL, EXPONENT],
    exponent: f64::NAN,
    ..LINEAR
};

/// With a barrier that the voltage itself changes, whichever way the junction switches.
pub const VCMA: Switching = Switching {
    name: "switching-vcma",
    equation: "P = 1 - exp(-t f0 exp[-((E_b - chi V)/kT) (1 - dir V/V_c)])",
    reference: "Koch et al. (2004), with the barrier of voltage-controlled anisotropy, J. G. Alzate et al., IEDM (2012): chi = xi area/t_barrier",
    columns: &[
        BY_VOLTAGE[0],
        column("dir", Some(Dimension::NONE), "+1 where a positive drive favours the switching counted, else -1"),
        COUNTS[0],
        COUNTS[1],
        COUNTS[2],
        COUNTS[3],
    ],
    coefficients: &[
        ATTEMPTS,
        BARRIER,
        CRITICAL,
        any("chi", "J {V}^-1", "switching in both directions, one with each sign of the drive").needs(&[("dir", 2)]),
    ],
    exponent: 1.0,
    ..LINEAR
};

/// Switching by a field along the easy axis: immunity against stray fields.
pub const FIELD: Switching = Switching {
    name: "field-immunity",
    equation: "P = 1 - exp(-t f0 exp[-(E_b/kT) (1 - B/B_k)^2])",
    reference: "M. P. Sharrock, J. Appl. Phys. 76, 6413 (1994), with the barrier of W. F. Brown, Phys. Rev. 130, 1677 (1963)",
    drive: "B",
    columns: &[column("B", Some(Dimension::FIELD), "field against the magnetisation"), COUNTS[0], COUNTS[1], COUNTS[2], COUNTS[3]],
    coefficients: &[
        ATTEMPTS,
        BARRIER,
        positive("B_k", "T", "fields held for times decades apart at two or more temperatures").needs(&[("T", 2), ("t", 2)]),
    ],
    exponent: 2.0,
};

fn mean_temperature(data: &Data) -> f64 {
    let t = data.col("T");
    t.iter().sum::<f64>() / t.len() as f64
}

impl Switching {
    fn b(&self, p: &[f64]) -> f64 {
        if self.exponent.is_nan() { p[3] } else { self.exponent }
    }

    fn has_vcma(&self) -> bool {
        self.columns.len() == VCMA.columns.len()
    }
}

impl Model for Switching {
    fn about(&self) -> About {
        About {
            name: self.name,
            kind: Kind::Synapse,
            equation: self.equation,
            reference: self.reference,
            columns: self.columns,
            coefficients: self.coefficients,
            scatter: Scatter::Binomial("k", "n"),
            derived: if self.drive == "V" { &DERIVED } else { &DERIVED_FIELD },
            axes: [self.drive, "k/n", "t"],
            open: &[],
        }
    }

    fn predict(&self, p: &[f64], data: &Data, mean: &mut [f64]) {
        let (drive, t, temperature) = (data.col(self.drive), data.col("t"), data.col("T"));
        let dir = if self.has_vcma() { data.get("dir") } else { None };
        let b = self.b(p);
        for i in 0..mean.len() {
            let (sign, barrier) = dir.map_or((1.0, p[1]), |d| (d[i], p[1] - p[3] * drive[i]));
            mean[i] = probability(rate(p[0], barrier, temperature[i], sign * drive[i] / p[2], b), t[i]);
        }
    }

    fn starts(&self, data: &Data) -> Vec<Vec<f64>> {
        let (drive, t, temperature) = (data.col(self.drive), data.col("t"), data.col("T"));
        let (k, n) = (data.col("k"), data.col("n"));
        let dir = if self.has_vcma() { data.get("dir") } else { None };
        // Rates where some but not all tries switched, at the temperature with most of them.
        let usable = |i: &usize| k[*i] > 0.0 && k[*i] < n[*i];
        let at = |t0: f64| (0..data.rows()).filter(usable).filter(|&i| (temperature[i] / t0 - 1.0).abs() < 1e-6).collect::<Vec<_>>();
        let Some(rows) = data.distinct("T").into_iter().map(at).max_by_key(Vec::len).filter(|r| r.len() > 2) else { return Vec::new() };
        let x: Vec<f64> = rows.iter().map(|&i| dir.map_or(1.0, |d| d[i]) * drive[i]).collect();
        let y: Vec<f64> = rows.iter().map(|&i| (-(1.0 - k[i] / n[i]).ln() / t[i]).ln()).collect();
        let Some([_, slope]) = line(&x, &y).filter(|l| l[1] > 0.0) else { return Vec::new() };
        let (mx, my) = (x.iter().sum::<f64>() / x.len() as f64, y.iter().sum::<f64>() / y.len() as f64);
        let thermal = KB * temperature[rows[0]];
        let exponents: &[f64] = if self.exponent.is_nan() { &[1.0, 1.5, 2.0] } else { &[self.exponent] };
        super::grid(&[&[1e8, 1e9, 1e10, 1e11, 1e12], exponents])
            .into_iter()
            .filter(|g| g[0].ln() > my + 0.5)
            .map(|g| {
                // With h = ln f0 - ln rate = (E/kT)(1 - i)^b: d ln rate/dV = b h/(V_c - V).
                let h = g[0].ln() - my;
                let critical = mx + g[1] * h / slope;
                let barrier = thermal * h / (1.0 - mx / critical).powf(g[1]);
                let mut start = vec![g[0], barrier, critical];
                match self.coefficients.len() {
                    4 if self.exponent.is_nan() => start.push(g[1]),
                    4 => start.push(0.05 * barrier / critical),
                    _ => {}
                }
                start
            })
            .filter(|s| s.iter().all(|x| *x > 0.0))
            .collect()
    }

    fn example(&self) -> Example {
        let barrier = 40.0 * KB * 300.0;
        let temperatures = [280.0, 320.0, 360.0];
        let (truth, drives, times): (Vec<f64>, Vec<f64>, Vec<f64>) = if self.exponent.is_nan() {
            (vec![1e9, barrier, 0.6, 1.5], even(0.24, 0.6, 19), vec![1e-8, 1e-6, 1e-4, 1e-2])
        } else if self.exponent == 2.0 {
            (vec![1e9, barrier, 0.6], even(0.33, 0.57, 13), vec![1e-8, 1e-6, 1e-4])
        } else if self.has_vcma() {
            (vec![1e9, barrier, 0.6, 3e-20], even(0.4, 0.62, 12), vec![1e-8, 1e-6])
        } else {
            (vec![1e9, barrier, 0.6], even(0.42, 0.58, 9), vec![1e-8, 1e-7, 1e-6])
        };
        let unit = if self.drive == "B" { "T" } else { "V" };
        let counts = [("k", "1", 0.0), ("n", "1", 200.0)];
        let factors: Vec<(&str, &str, &[f64])> = vec![(self.drive, unit, &drives), ("t", "s", &times), ("T", "K", &temperatures)];
        let mut design = crossed(&factors, 1, &counts);
        if self.has_vcma() {
            let mut back = crossed(&factors, 1, &[("dir", "1", -1.0), counts[0], counts[1]]);
            back = back.with("V", back.col("V").iter().map(|v| -v).collect());
            design.set("dir", "1", vec![1.0; design.rows()]);
            design.append(&back);
        }
        Example { truth, sigma: 0.0, design }
    }
}

const DERIVED_FIELD: [Derived; 2] = [DERIVED[0], DERIVED[1]];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_probability_is_that_of_arithmetic() {
        // Barrier 40 kT, i = 0.75: rate 1e9 e^-10 = 45399.93/s; in 10 us 1 - e^-0.4539993 = 0.364914.
        let d = Data::new([("V", "V", vec![0.45]), ("t", "s", vec![1e-5]), ("T", "K", vec![300.0])]);
        let mut mean = [0.0];
        LINEAR.predict(&[1e9, 40.0 * KB * 300.0, 0.6], &d, &mut mean);
        assert!((mean[0] - 0.364914).abs() < 1e-5, "{}", mean[0]);
        // Exponent 2: 40/16 = 2.5.
        QUADRATIC.predict(&[1e9, 40.0 * KB * 300.0, 0.6], &d, &mut mean);
        assert!((mean[0] - 1.0).abs() < 1e-12);
    }
}
