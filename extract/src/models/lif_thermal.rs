//! The thermal neuron: pulses heat a junction, heat leaks away, and the hotter it is the likelier it switches.

use super::hazard::rate;
use super::{About, Derived, Example, Input, Model, Scatter, column, crossed, optional, positive, span};
use crate::data::Data;
use spinloom_base::Dimension;
use spinloom_base::constants::KB;
use spinloom_base::random::Stream;
use spinloom_card::Kind;

/// Pulses to fire over a barrier that stays as it is.
pub const CONSTANT: Thermal = Thermal { softens: false };
/// Over one that falls with temperature and ends at T_c, as does the anisotropy behind it.
pub const SOFTENING: Thermal = Thermal { softens: true };

/// Pulses to fire.
pub struct Thermal {
    softens: bool,
}

const FOUR: &str = "pulses to fire at three or more ambient temperatures, and at several currents";
/// Where `E_b` and `I_c` of a barrier that softens are stated.
const REFERENCE: f64 = 300.0;

/// Rate of firing. A barrier that softens is E_b s, s = (T_c - T)/(T_c - 300 K), and so is the threshold I_c s, since anisotropy makes both: (E_b s) (1 - I/(I_c s)) = E_b (s - I/I_c).
fn hazard(p: &[f64], temperature: f64, current: f64, end: Option<f64>) -> f64 {
    let soft = end.map_or(1.0, |end| (end - temperature) / (end - REFERENCE));
    rate(p[0], p[1], temperature, 1.0 - soft + current / p[2], 1.0)
}

/// Integral of the hazard over each of the first `count` pulses. Under a pulse the excess temperature runs to theta I^2 with the time constant tau, and
/// between pulses to zero; the integral is Simpson's with four intervals, within a percent while the hazard grows a hundredfold. What fires in the gaps is left out: without the current
/// nothing leads the magnet one way, and simulated trains are described worse with it (`examples/thermal-neuron`).
fn exposures(p: &[f64], [current, width, gap, ambient]: [f64; 4], end: Option<f64>, count: usize) -> Vec<f64> {
    const INTERVALS: usize = 4;
    let hot = p[3] * current * current;
    let (during, between) = ((-width / p[4] / INTERVALS as f64).exp(), (-gap / p[4]).exp());
    let mut excess = 0.0;
    (0..count)
        .map(|_| {
            let mut sum = 0.0;
            for k in 0..=INTERVALS {
                let weight = if k == 0 || k == INTERVALS { 1.0 } else { [2.0, 4.0][k % 2] };
                sum += weight * hazard(p, ambient + excess, current, end);
                if k < INTERVALS {
                    excess = hot + (excess - hot) * during;
                }
            }
            excess *= between;
            sum * width / (3 * INTERVALS) as f64
        })
        .collect()
}

impl Thermal {
    /// Where the barrier ends, of a row.
    fn end(&self, data: &Data, row: usize) -> Option<f64> {
        self.softens.then(|| data.col("T_c")[row])
    }
}

const COLUMNS: [Input; 7] = [
    column("I", None, "current of the pulses"),
    column("width", Some(Dimension::TIME), "length of a pulse"),
    column("gap", Some(Dimension::TIME), "time between pulses"),
    column("T_0", Some(Dimension::TEMPERATURE), "ambient temperature"),
    column("pulses", Some(Dimension::NONE), "the pulse that fired, or how many were given if none did"),
    optional("censored", Dimension::NONE, "1 where none fired", 0.0),
    column(
        "T_c",
        Some(Dimension::TEMPERATURE),
        "where the barrier ends, from a measurement of its own (a barrier that falls in a straight line takes it for f0 exp(E_b/kT_c))",
    ),
];

impl Model for Thermal {
    fn about(&self) -> About {
        About {
            name: if self.softens { "lif-thermal-softening" } else { "lif-thermal" },
            kind: Kind::Neuron,
            equation: if self.softens {
                "dT/dt = theta I^2/tau_th - (T - T_0)/tau_th; fires at the rate f0 exp[-(E_b/kT) (s - I/I_c)], s = (T_c - T)/(T_c - 300 K), while the pulse lasts"
            } else {
                "dT/dt = theta I^2/tau_th - (T - T_0)/tau_th; fires at the rate f0 exp[-(E_b/kT) (1 - I/I_c)] while the pulse lasts"
            },
            reference: "Z. Chen et al., Nat. Commun. 17, 4362 (2026), with the escape law of R. H. Koch et al., Phys. Rev. Lett. 92, 088302 (2004)",
            columns: if self.softens { &COLUMNS } else { COLUMNS.split_at(6).0 },
            coefficients: const {
                &[
                    positive("f0", "s^-1", FOUR).needs(&[("T_0", 2)]).widest(1e4),
                    positive("E_b", "J", FOUR).needs(&[("T_0", 2)]),
                    positive("I_c", "{I}", "pulses to fire at three or more currents").needs(&[("I", 2)]),
                    positive("theta", "K {I}^-2", "pulses to fire with gaps shorter and longer than the cooling time")
                        .needs(&[("gap", 2)])
                        .stage(2),
                    positive("tau_th", "s", "pulses to fire with gaps around the cooling time").needs(&[("gap", 2)]).stage(2),
                ]
            },
            scatter: Scatter::Own,
            derived: &[Derived { name: "Delta_300K", unit: "1", value: |p, _| p[1] / (KB * 300.0), of: &[1] }],
            axes: ["gap", "pulses", "I"],
            open: &[
                "heat capacity and thermal resistance apart: theta = R R_th and tau_th = R_th C_th; the resistance of the junction gives R_th, and then C_th",
            ],
        }
    }

    /// The pulse by which one half has fired.
    fn predict(&self, p: &[f64], data: &Data, mean: &mut [f64]) {
        let [i, w, g, t] = ["I", "width", "gap", "T_0"].map(|n| data.col(n));
        let most = span(data.col("pulses"))[1].max(1.0) as usize;
        for k in 0..mean.len() {
            let mut sum = 0.0;
            let at = exposures(p, [i[k], w[k], g[k], t[k]], self.end(data, k), most).iter().position(|h| {
                sum += h;
                sum > std::f64::consts::LN_2
            });
            mean[k] = at.map_or(most as f64, |a| a as f64 + 1.0);
        }
    }

    fn log_likelihood(&self, p: &[f64], data: &Data, rows: &mut [f64]) {
        let [i, w, g, t, n, censored] = ["I", "width", "gap", "T_0", "pulses", "censored"].map(|n| data.col(n));
        // Rows of one condition, which repeats put side by side, share their exposures.
        let mut shared: (Option<[u64; 4]>, Vec<f64>) = (None, Vec::new());
        for k in 0..rows.len() {
            let condition = [i[k], w[k], g[k], t[k]].map(f64::to_bits);
            if shared.0 != Some(condition) || shared.1.len() < n[k] as usize {
                shared = (Some(condition), exposures(p, [i[k], w[k], g[k], t[k]], self.end(data, k), (n[k] as usize).next_power_of_two()));
            }
            let before: f64 = shared.1[..n[k] as usize - 1].iter().sum();
            let last = shared.1[n[k] as usize - 1];
            rows[k] = if censored[k] != 0.0 { -before - last } else { -before + (-(-last).exp_m1()).max(f64::MIN_POSITIVE).ln() };
        }
    }

    fn starts(&self, data: &Data) -> Vec<Vec<f64>> {
        let [i, w, g, n, censored] = ["I", "width", "gap", "pulses", "censored"].map(|n| data.col(n));
        let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
        let fired: f64 = censored.iter().map(|c| 1.0 - c).sum();
        let waited: f64 = n.iter().zip(w).map(|(n, w)| n * w).sum();
        if fired == 0.0 || n.iter().any(|n| *n < 1.0) {
            return Vec::new();
        }
        let rate = (fired / waited).ln();
        let (current, ambient) = (mean(i), mean(data.col("T_0")));
        let largest = span(i)[1];
        let gap = (span(g)[0] * span(g)[1]).sqrt().max(f64::MIN_POSITIVE);
        super::grid(&[&[1e9, 1e11], &[1.1, 1.5], &[0.15, 0.5]])
            .into_iter()
            .filter(|s| s[0].ln() > rate)
            .map(|s| {
                let critical = s[1] * largest;
                let excess = s[2] * ambient;
                let middle = ambient + 0.5 * excess;
                // A barrier that has softened was higher where it is stated, and more current would have been its threshold.
                let soft = self.end(data, 0).map_or(1.0, |end| ((end - middle) / (end - REFERENCE)).max(0.1));
                let critical = critical / soft;
                vec![s[0], KB * middle * (s[0].ln() - rate) / (soft - current / critical), critical, excess / (current * current), gap]
            })
            .collect()
    }

    fn simulate(&self, p: &[f64], _sigma: f64, design: &Data, random: &mut Stream) -> Data {
        let [i, w, g, t] = ["I", "width", "gap", "T_0"].map(|n| design.col(n));
        let limit = design.get("limit").map_or(1000.0, |l| span(l)[1]) as usize;
        let (mut pulses, mut censored) = (Vec::new(), Vec::new());
        for k in 0..design.rows() {
            // Fires when the exposure passes an exponential number.
            let (bound, mut sum) = (-random.uniform().ln(), 0.0);
            let at = exposures(p, [i[k], w[k], g[k], t[k]], self.end(design, k), limit).iter().position(|h| {
                sum += h;
                sum >= bound
            });
            pulses.push(at.map_or(limit as f64, |a| a as f64 + 1.0));
            censored.push(f64::from(u8::from(at.is_none())));
        }
        design.with("pulses", pulses).with("censored", censored)
    }

    fn example(&self) -> Example {
        let design = crossed(
            &[("I", "A", &[3.2e-4, 3.9e-4, 4.6e-4]), ("gap", "s", &[2e-10, 1e-9, 4e-9, 2e-8]), ("T_0", "K", &[260.0, 320.0, 400.0])],
            20,
            &[("width", "s", 1e-9), ("pulses", "1", 1.0), ("censored", "1", 0.0), ("limit", "1", 64.0)],
        );
        if self.softens {
            let mut design = design;
            design.set("T_c", "K", vec![600.0; design.rows()]);
            return Example { truth: vec![1e10, 34.0 * KB * REFERENCE, 1.1e-3, 7e8, 2.5e-9], sigma: 0.0, design };
        }
        Example { truth: vec![1e10, 20.0 * KB * 300.0, 6e-4, 1.5e9, 2.5e-9], sigma: 0.0, design }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exposure_is_the_integral_of_the_hazard() {
        for model in [&CONSTANT, &SOFTENING] {
            let e = model.example();
            let end = model.end(&e.design, 0);
            for (current, gap) in [(3.2e-4, 2e-10), (4.6e-4, 4e-9), (3.9e-4, 2e-8)] {
                let (width, ambient) = (1e-9, 300.0);
                let found = exposures(&e.truth, [current, width, gap, ambient], end, 3);
                // Plain sums over steps of a picosecond.
                let (mut excess, dt) = (0.0f64, 1e-12);
                for exposure in found {
                    let mut sum = 0.0;
                    for k in 0..((width + gap) / dt).round() as usize {
                        let on = (k as f64 + 0.5) * dt < width;
                        let drive = if on { current } else { 0.0 };
                        let steady = e.truth[3] * drive * drive;
                        excess = steady + (excess - steady) * (-dt / e.truth[4]).exp();
                        sum += if on { dt * hazard(&e.truth, ambient + excess, drive, end) } else { 0.0 };
                    }
                    assert!((exposure / sum - 1.0).abs() < 0.015, "{current} {gap}: {exposure} {sum}");
                }
            }
        }
    }
}
