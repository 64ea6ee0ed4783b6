//! Heat: the temperature of a junction as a thermal RC element or of the mesh by diffusion, and what a temperature does to Msat, Ku1 and Aex.
//!
//! # At which temperature and cell size parameters are defined
//!
//! The parameters in a file hold at the temperature `at` of a [`Law`] (0 K if nothing else is said), and the law carries them to any other. The
//! thermal field excites every spin wave that the mesh carries, those longer than two cells; shorter ones must be in the parameters already. A law
//! fitted to a measured M(T), which contains *all* magnons, therefore counts those of the mesh twice once `thermal_field` is on: the mean of m over
//! cells is below 1 on its own. Either take the law for the value inside a cell (from atomistic runs averaged over the volume of one cell, or by
//! dividing the measured curve by the ⟨|m|⟩ that the run shows), or leave the thermal field out. How parameters move with the cell: Grinstein and
//! Koch, PRL 90, 207201 (2003); Hahn, J. Phys. Commun. 3, 075009 (2019). Between `at` and T only the *ratio* of the law at the two temperatures
//! enters, so that at T = `at` nothing is counted twice whatever the law.
//!
//! The length of m stays 1, so nothing here describes the loss of order near the Curie point: laws are held at 0.99 Tc and the run says so.

use crate::surroundings::Level;
use spinloom_base::{Dimension, Fields, Node, Problems};
use spinloom_kernels::{Mesh, ParameterId, RegionMap, Values};

/// A body with a temperature.
#[derive(Clone, Debug, PartialEq)]
pub struct Heat {
    /// Its name; the column is `T_<name>`.
    pub name: String,
    /// What it is.
    pub body: Body,
    /// The regions that have its temperature.
    pub regions: Vec<usize>,
    /// Temperature of the bath, which is that of the start as well (K).
    pub ambient: Level,
    /// What heats it.
    pub sources: Vec<HeatSource>,
    /// Whether its temperature feeds the thermal field.
    pub thermal_field: bool,
}

/// What has a temperature.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Body {
    /// One temperature: C dT/dt = P − (T − T0)/R.
    Lumped {
        /// Heat capacity C (J/K).
        capacity: f64,
        /// Thermal resistance R to the bath (K/W).
        resistance: f64,
    },
    /// One temperature per cell: c ∂T/∂t = κ ∇²T + p in the cells of its regions. No heat crosses their border but through the lowest face of every column,
    /// g (T − T0) per area to the bath.
    Mesh {
        /// Thermal conductivity κ (W/(m K)).
        conductivity: f64,
        /// Heat capacity per volume c (J/(m³ K)).
        capacity: f64,
        /// Conductance g to the bath, per area (W/(m² K)).
        bath: f64,
    },
}

/// What heats a body.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum HeatSource {
    /// The power V I of a junction, by its position among the probes. On a mesh it enters below the junction, cell by cell.
    Junction(usize),
    /// The power I² R of a conductor, by its position.
    Conductor {
        /// Which.
        conductor: usize,
        /// R (Ω).
        resistance: f64,
    },
    /// The power ρ J² of the current density in its regions (Ω m).
    Resistivity(f64),
}

impl Body {
    /// How many temperatures it has.
    pub fn len(&self, mesh: &Mesh) -> usize {
        if matches!(self, Body::Lumped { .. }) { 1 } else { mesh.cells() }
    }

    /// Whether it has none.
    pub fn is_empty(&self, mesh: &Mesh) -> bool {
        self.len(mesh) == 0
    }
}

/// T after a time `dt` (s) of C dT/dt = P − (T − T0)/R with P going evenly from `power[0]` to `power[1]` (W): exact.
///
/// T − T0 = u with τ u' = R P − u. For P = p0 + s t a particular solution is R (p0 + s (t − τ)), the rest decays.
pub fn lumped(t: f64, ambient: f64, power: [f64; 2], capacity: f64, resistance: f64, dt: f64) -> f64 {
    let tau = resistance * capacity;
    let slope = if dt > 0.0 { (power[1] - power[0]) / dt } else { 0.0 };
    let at = |time: f64| resistance * (power[0] + slope * (time - tau));
    ambient + at(dt) + (t - ambient - at(0.0)) * (-dt / tau).exp()
}

/// Heat on a mesh, prepared: runs of neighbouring cells along each axis.
#[derive(Clone, Debug)]
pub struct Diffusion {
    /// Per axis, the runs: first cell, number of cells.
    runs: [Vec<(usize, usize)>; 3],
    strides: [usize; 3],
    cell: [f64; 3],
    /// The cells that take part.
    pub cells: Vec<usize>,
    /// Of each of them, whether it is the lowest of its column.
    lowest: Vec<bool>,
}

impl Diffusion {
    /// In the cells of these regions.
    pub fn new(mesh: &Mesh, map: &RegionMap, regions: &[usize]) -> Self {
        let inside = |i: usize| regions.contains(&usize::from(map.cells[i]));
        let [nx, ny, nz] = mesh.n;
        let strides = [1, nx, nx * ny];
        let runs = [0, 1, 2].map(|axis| {
            let mut list = Vec::new();
            let starts = (0..mesh.cells()).filter(|i| i / strides[axis] % mesh.n[axis] == 0);
            for start in starts {
                let mut from = None;
                for k in 0..=[nx, ny, nz][axis] {
                    let there = k < mesh.n[axis] && inside(start + k * strides[axis]);
                    match (from, there) {
                        (None, true) => from = Some(k),
                        (Some(f), false) => {
                            list.push((start + f * strides[axis], k - f));
                            from = None;
                        }
                        _ => {}
                    }
                }
            }
            list
        });
        let mut met = vec![false; nx * ny];
        let cells: Vec<usize> = (0..mesh.cells()).filter(|i| inside(*i)).collect();
        let lowest = cells.iter().map(|i| !std::mem::replace(&mut met[i % (nx * ny)], true)).collect();
        Self { runs, strides, cell: mesh.cell, cells, lowest }
    }

    /// Advances temperatures (K) by `dt` (s): half of sources and bath, exact; conduction; the other half. `power` is per volume (W/m³), per cell.
    ///
    /// Conduction is one-dimensional along each axis in turn, x y z y x with half steps outside (Strang, SIAM J. Numer. Anal. 5, 506 (1968)), each by the
    /// two-stage, second-order, L-stable implicit Runge–Kutta method with γ = 1 − 1/√2 (Alexander, SIAM J. Numer. Anal. 14, 1006 (1977)): any step is
    /// stable, none overshoots for long, and the sum of all temperatures is kept to rounding.
    pub fn advance(&self, t: &mut [f64], body: &Body, ambient: f64, power: &[f64], dt: f64) {
        let Body::Mesh { conductivity, capacity, bath } = *body else { return };
        let react = |t: &mut [f64], dt: f64| {
            let rate = bath / (self.cell[2] * capacity);
            for (&i, lowest) in self.cells.iter().zip(&self.lowest) {
                let p = power[i] / capacity;
                t[i] = if rate > 0.0 && *lowest {
                    let end = ambient + p / rate;
                    end + (t[i] - end) * (-rate * dt).exp()
                } else {
                    t[i] + p * dt
                };
            }
        };
        react(t, 0.5 * dt);
        let axes: Vec<usize> = (0..3).filter(|a| self.runs[*a].iter().any(|r| r.1 > 1)).collect();
        if let Some((last, outer)) = axes.split_last() {
            for &axis in outer {
                self.conduct(t, axis, conductivity / capacity, 0.5 * dt);
            }
            self.conduct(t, *last, conductivity / capacity, dt);
            for &axis in outer.iter().rev() {
                self.conduct(t, axis, conductivity / capacity, 0.5 * dt);
            }
        }
        react(t, 0.5 * dt);
    }

    fn conduct(&self, t: &mut [f64], axis: usize, diffusivity: f64, dt: f64) {
        let gamma = 1.0 - std::f64::consts::FRAC_1_SQRT_2;
        let r = diffusivity * dt / self.cell[axis].powi(2);
        let mut line: Vec<f64> = Vec::new();
        let (mut k1, mut k2, mut scratch) = (Vec::new(), Vec::new(), Vec::new());
        for &(start, n) in self.runs[axis].iter().filter(|run| run.1 > 1) {
            let at = |k: usize| start + k * self.strides[axis];
            line.clear();
            line.extend((0..n).map(|k| t[at(k)]));
            // k = r L (u + γ k) solved for k; the first from u, the second from u + (1 − γ) k1.
            laplace(&line, r, &mut k1);
            implicit(&mut k1, gamma * r, &mut scratch);
            line.iter_mut().zip(&k1).for_each(|(u, k)| *u += (1.0 - gamma) * k);
            laplace(&line, r, &mut k2);
            implicit(&mut k2, gamma * r, &mut scratch);
            for k in 0..n {
                t[at(k)] = line[k] + gamma * k2[k];
            }
        }
    }
}

/// r times the second difference, no flux through the ends.
fn laplace(u: &[f64], r: f64, out: &mut Vec<f64>) {
    let n = u.len();
    out.clear();
    out.extend((0..n).map(|i| {
        let right = if i + 1 < n { u[i + 1] - u[i] } else { 0.0 };
        let left = if i > 0 { u[i] - u[i - 1] } else { 0.0 };
        r * (right - left)
    }));
}

/// Solves (1 − s ∂²) x = d in place by elimination; the matrix is diagonally dominant.
fn implicit(d: &mut [f64], s: f64, ratio: &mut Vec<f64>) {
    let n = d.len();
    ratio.clear();
    let mut before = 0.0;
    for i in 0..n {
        let diagonal = 1.0 + s * (if i > 0 { 1.0 } else { 0.0 } + if i + 1 < n { 1.0 } else { 0.0 });
        let left = if i > 0 { s } else { 0.0 };
        let pivot = diagonal - left * before;
        before = if i + 1 < n { s / pivot } else { 0.0 };
        ratio.push(before);
        d[i] = (d[i] + if i > 0 { left * d[i - 1] } else { 0.0 }) / pivot;
    }
    for i in (0..n.saturating_sub(1)).rev() {
        d[i] += ratio[i] * d[i + 1];
    }
}

/// How parameters depend on temperature: Msat(T)/Msat(T') = m(T)/m(T') with m(T) = (1 − (T/Tc)^a)^b, others as powers of that ratio.
///
/// a = 3/2, b = 1 is Bloch's law (Bloch, Z. Phys. 61, 206 (1930)); a = 1, b = 1/3 a Curie law; both exponents together the form of Evans, Atxitia and
/// Chantrell, PRB 91, 144425 (2015). Anisotropy follows m^(l(l+1)/2), 3 for uniaxial, 10 for cubic (Callen and Callen, J. Phys. Chem. Solids
/// 27, 1271 (1966)), 2 for two-ion anisotropy as in FePt; exchange m^p with p between 1.66 and 2 (Atxitia et al., PRB 82, 134440 (2010); 2 in the mean
/// field).
#[derive(Clone, Debug, PartialEq)]
pub struct Law {
    /// Curie temperature (K).
    pub curie: f64,
    /// a.
    pub a: f64,
    /// b.
    pub b: f64,
    /// At which temperature the parameters are given (K).
    pub at: f64,
    /// Parameters that follow, and their powers of m.
    pub powers: Vec<(ParameterId, f64)>,
}

impl Law {
    /// m(T), which ends at 0.99 Tc.
    pub fn order(&self, t: f64) -> f64 {
        (1.0 - (t.clamp(0.0, 0.99 * self.curie) / self.curie).powf(self.a)).powf(self.b)
    }

    /// Values at a temperature (K) from those at [`Law::at`].
    pub fn apply(&self, values: &mut Values, t: f64) {
        let ratio = self.order(t) / self.order(self.at);
        for (id, power) in &self.powers {
            values.set_scalar(*id, values.scalar(*id) * ratio.powf(*power));
        }
    }

    /// Reads `{Tc: 1100 K, a: 1.5, b: 1, at: 300 K, Ku1: 3, Aex: 1.7}`: numbers beside parameters are powers of m; Msat follows with 1, Ku1 with 3 and Aex
    /// with 1.7 unless told otherwise.
    pub fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        let mut f = Fields::of(node, "a temperature law", problems)?;
        let curie = f.required("Tc", problems).and_then(|n| n.positive(Dimension::TEMPERATURE, problems));
        let mut number = |key: &'static str, default: f64, problems: &mut Problems| {
            f.optional(key).map_or(Some(default), |n| n.positive(Dimension::NONE, problems))
        };
        let (a, b) = (number("a", 1.5, problems), number("b", 1.0, problems));
        let mut powers = Vec::new();
        for (id, default) in [
            (ParameterId::Msat, Some(1.0)),
            (ParameterId::Ku1, Some(3.0)),
            (ParameterId::Aex, Some(1.7)),
            (ParameterId::Ku2, None),
            (ParameterId::Kc1, None),
            (ParameterId::Dind, None),
            (ParameterId::Dbulk, None),
        ] {
            let power = f.optional(id.info().name).map_or(Some(default), |n| n.quantity(Dimension::NONE, problems).map(Some))?;
            powers.extend(power.map(|p| (id, p)));
        }
        let at_node = f.optional("at");
        let at = at_node.map_or(Some(0.0), |n| n.quantity(Dimension::TEMPERATURE, problems));
        f.finish(problems);
        let (curie, at) = (curie?, at?);
        if !(0.0..0.99 * curie).contains(&at) {
            problems.push(at_node.unwrap_or(node).error(format!("parameters given at {at} K do not lead to a Curie point of {curie} K")));
        }
        Some(Self { curie, a: a?, b: b?, at, powers })
    }
}

impl Heat {
    /// Reads `{name: …, rc: {C: …, R_th: …}}` or `{name: …, diffusion: {kappa: …, c: …, bath: …}}`, with `ambient`, `regions`, `thermal_field` and
    /// `sources: [{junction: NAME}, {conductor: NAME, resistance: …}, {resistivity: …}]`.
    pub fn read(node: &Node, regions: &[&str], junctions: &[(usize, &str)], conductors: &[&str], problems: &mut Problems) -> Option<Self> {
        let mut f = Fields::of(node, "a heat entry", problems)?;
        let name = f.required("name", problems).and_then(|n| n.text(problems)).map(str::to_string);
        let (lumped, mesh) = (f.optional("rc"), f.optional("diffusion"));
        let ambient = f.required("ambient", problems).and_then(|n| Level::read(n, Dimension::TEMPERATURE, problems));
        let own = f.optional("regions").map_or(Some((0..=regions.len()).collect::<Vec<usize>>()), |n| {
            n.list(problems)?.iter().map(|n| n.choice(regions, problems).map(|i| i + 1)).collect()
        });
        let thermal_field = f.optional("thermal_field").map_or(Some(true), |n| n.bool(problems));
        let source_node = f.optional("sources");
        f.finish(problems);
        let mut sources = Vec::new();
        for n in source_node.map_or(Some(&[][..]), |n| n.list(problems))? {
            let mut f = Fields::of(n, "a source of heat", problems)?;
            let (junction, conductor) = (f.optional("junction"), f.optional("conductor"));
            let (resistance, resistivity) = (f.optional("resistance"), f.optional("resistivity"));
            f.finish(problems);
            sources.push(match (junction, conductor, resistance, resistivity) {
                (Some(j), None, None, None) => {
                    let names: Vec<&str> = junctions.iter().map(|j| j.1).collect();
                    HeatSource::Junction(junctions[j.choice(&names, problems)?].0)
                }
                (None, Some(c), Some(r), None) => HeatSource::Conductor {
                    conductor: c.choice(conductors, problems)?,
                    resistance: r.positive(Dimension::RESISTANCE, problems)?,
                },
                (None, None, None, Some(r)) => HeatSource::Resistivity(r.positive(Dimension::RESISTIVITY, problems)?),
                _ => {
                    problems
                        .push(n.error("heat comes from a `junction`, from a `conductor` with its `resistance`, or from a `resistivity`"));
                    return None;
                }
            });
        }
        let body = match (lumped, mesh) {
            (Some(n), None) => {
                let mut f = Fields::of(n, "a thermal RC element", problems)?;
                let capacity = f.required("C", problems).and_then(|n| n.positive(Dimension::HEAT_CAPACITY, problems));
                let resistance = f.required("R_th", problems).and_then(|n| n.positive(Dimension::THERMAL_RESISTANCE, problems));
                f.finish(problems);
                Body::Lumped { capacity: capacity?, resistance: resistance? }
            }
            (None, Some(n)) => {
                let mut f = Fields::of(n, "heat diffusion", problems)?;
                let conductivity = f.required("kappa", problems).and_then(|n| n.positive(Dimension::THERMAL_CONDUCTIVITY, problems));
                let capacity = f.required("c", problems).and_then(|n| n.positive(Dimension::VOLUMETRIC_HEAT, problems));
                let bath = f.optional("bath").map_or(Some(0.0), |n| n.positive(Dimension::THERMAL_CONDUCTANCE, problems));
                f.finish(problems);
                Body::Mesh { conductivity: conductivity?, capacity: capacity?, bath: bath? }
            }
            _ => {
                problems.push(node.error("a heat entry is exactly one of `rc` and `diffusion`"));
                return None;
            }
        };
        let (ambient, own) = (ambient?, own?);
        if ambient.value < 0.0 {
            problems.push(node.get("ambient").unwrap_or(node).error("temperatures start at 0 K"));
        }
        Some(Self { name: name?, body, regions: own, ambient, sources, thermal_field: thermal_field? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rc_element_follows_its_closed_forms() {
        // C = 1 fJ/K, R = 1 K/µW: 1 ns; 200 µW raise it by 200 K.
        let (c, r) = (1e-15, 1e6);
        let mut t = 300.0;
        for k in 1..=40 {
            t = lumped(t, 300.0, [2e-4; 2], c, r, 0.1e-9);
            let exact = 300.0 + 200.0 * (1.0 - (-0.1 * f64::from(k)).exp());
            assert!((t - exact).abs() < 1e-10, "{t} {exact}");
        }
        // Cooling.
        assert!((lumped(500.0, 300.0, [0.0; 2], c, r, 1e-9) - 300.0 - 200.0 / 1f64.exp()).abs() < 1e-10);
        // A ramp from 0: u = R s (t − τ (1 − e^{−t/τ})), in one step or in many.
        let ramp = |n: usize| {
            let at = |k: usize| 1e-4 * k as f64 / n as f64;
            (0..n).fold(300.0, |t, k| lumped(t, 300.0, [at(k), at(k + 1)], c, r, 2e-9 / n as f64))
        };
        let exact = 300.0 + 1e6 * 1e-4 / 2.0 * (2.0 - (1.0 - (-2f64).exp()));
        assert!((ramp(1) - exact).abs() < 1e-10 && (ramp(7) - exact).abs() < 1e-10);
    }

    fn copper() -> Body {
        Body::Mesh { conductivity: 100.0, capacity: 3.5e6, bath: 0.0 }
    }

    #[test]
    fn heat_is_conserved_and_a_gaussian_spreads_as_it_should() {
        let mesh = Mesh::new([64, 48, 3], [2e-9, 3e-9, 2e-9]);
        let map = RegionMap::uniform(mesh.cells());
        let heat = Diffusion::new(&mesh, &map, &[0]);
        let (dt, steps) = (0.1e-12, 8);
        let diffusivity = 100.0 / 3.5e6;
        // Variances 2 D t larger than at the start; walls 6 sigma away.
        let s0 = 8e-9f64;
        let (sx, sy) = (s0.powi(2), s0.powi(2));
        let grown = 2.0 * diffusivity * dt * f64::from(steps);
        let profile =
            |p: [f64; 3], a: f64, b: f64| 50.0 * (s0 * s0 / (a * b).sqrt()) * (-p[0] * p[0] / (2.0 * a) - p[1] * p[1] / (2.0 * b)).exp();
        let place = |i: usize| mesh.position(i % 64, i / 64 % 48, i / (64 * 48));
        let mut t: Vec<f64> = (0..mesh.cells()).map(|i| profile(place(i), sx, sy)).collect();
        let moments = |t: &[f64]| {
            let sum: f64 = t.iter().sum();
            let x2: f64 = t.iter().enumerate().map(|(i, v)| v * place(i)[0].powi(2)).sum::<f64>() / sum;
            (sum, x2)
        };
        let (sum0, var0) = moments(&t);
        let none = vec![0.0; mesh.cells()];
        for _ in 0..steps {
            heat.advance(&mut t, &copper(), 0.0, &none, dt);
        }
        let (sum, var) = moments(&t);
        assert!((sum / sum0 - 1.0).abs() < 1e-13, "{sum} {sum0}");
        // The second moment of the discrete equation grows by exactly 2 D t, for any Runge–Kutta method; walls far away take 1e-7.
        assert!(((var - var0) / grown - 1.0).abs() < 1e-5, "{} {grown}", var - var0);
        // The shape: fourth-order terms of the mesh, (cell/s)²/12 relative, 1e-2 of the growth.
        let worst = (0..mesh.cells()).map(|i| (t[i] - profile(place(i), sx + grown, sy + grown)).abs()).fold(0.0, f64::max);
        assert!(worst < 0.25, "{worst} K of 50");
    }

    #[test]
    fn conduction_converges_to_second_order_in_time_and_holes_hold_no_heat() {
        // A cosine between insulated walls decays at the rate D k² of the mesh, k² = (2 − 2 cos(πn/N))/cell²; two axes at once.
        let mesh = Mesh::new([20, 10, 1], [2e-9; 3]);
        let mut map = RegionMap::uniform(mesh.cells());
        let heat = Diffusion::new(&mesh, &map, &[0]);
        let d = 100.0 / 3.5e6;
        let wave = |i: usize| {
            let x = (i % 20) as f64 + 0.5;
            let y = (i / 20) as f64 + 0.5;
            (std::f64::consts::PI * 2.0 * x / 20.0).cos() * (std::f64::consts::PI * y / 10.0).cos()
        };
        let rate = 2.0 * d * (2.0 - 2.0 * (std::f64::consts::PI / 10.0).cos()) / 4e-18;
        let error = |n: usize| {
            let mut t: Vec<f64> = (0..200).map(wave).collect();
            let dt = 1.0 / rate / n as f64;
            (0..n).for_each(|_| heat.advance(&mut t, &copper(), 0.0, &[0.0; 200], dt));
            (t[0] / wave(0) / (-1f64).exp() - 1.0).abs()
        };
        let (coarse, fine) = (error(4), error(8));
        assert!(coarse < 0.02 && (coarse / fine - 4.0).abs() < 0.5, "{coarse} {fine}");
        // To the bath alone: e^{−g t/(h c)}, exact; with a source it ends at p h/g.
        let mut t = vec![10.0; 200];
        let body = Body::Mesh { conductivity: 100.0, capacity: 3.5e6, bath: 1e9 };
        let fall: f64 = 1e9 * 1e-12 / (2e-9 * 3.5e6);
        heat.advance(&mut t, &body, 0.0, &[0.0; 200], 1e-12);
        assert!(t.iter().all(|t| (t / 10.0 - (-fall).exp()).abs() < 1e-13));
        (0..250).for_each(|_| heat.advance(&mut t, &body, 300.0, &[1e17; 200], 1e-12));
        assert!(t.iter().all(|t| (t - 300.0 - 1e17 * 2e-9 / 1e9).abs() < 1e-4), "{}", t[0]);
        // A wall of vacuum across: what is left of it stays there.
        (0..10).for_each(|y| map.cells[y * 20 + 10] = RegionMap::VACUUM);
        let heat = Diffusion::new(&mesh, &map, &[0]);
        let mut t: Vec<f64> = (0..200).map(|i| if i % 20 < 10 { (i % 7) as f64 } else { 0.0 }).collect();
        let before: f64 = t.iter().sum();
        (0..50).for_each(|_| heat.advance(&mut t, &copper(), 0.0, &[0.0; 200], 1e-12));
        let mean = before / 100.0;
        assert!((0..200).all(|i| (t[i] - if i % 20 < 10 { mean } else { 0.0 }).abs() < 1e-6), "{:?}", &t[..20]);
    }

    #[test]
    fn heat_leaves_a_stack_through_its_lowest_face() {
        // Steady state of a stack of n cells heated evenly: all that is put in passes the lowest face, q = p H, and T_0 = T0 + q/g in the lowest cell; above, the
        // flux q_k = p (H − k dz) makes T_k+1 − T_k = q_(k+1) dz/κ.
        let mesh = Mesh::new([1, 1, 6], [4e-9, 4e-9, 1e-9]);
        let heat = Diffusion::new(&mesh, &RegionMap::uniform(6), &[0]);
        let (p, g, kappa) = (1e18, 2e9, 5.0);
        let body = Body::Mesh { conductivity: kappa, capacity: 3e6, bath: g };
        let mut t = vec![300.0; 6];
        (0..20_000).for_each(|_| heat.advance(&mut t, &body, 300.0, &[p; 6], 1e-14));
        let mut exact = 300.0 + p * 6e-9 / g;
        for k in 0..6 {
            // Splitting flux and source leaves what passes in a step, p dt/c = 3 mK, several times over.
            assert!((t[k] - exact).abs() < 0.02, "{k}: {} {exact}", t[k]);
            exact += p * (5 - k) as f64 * 1e-9 * 1e-9 / kappa;
        }
    }

    #[test]
    fn laws_of_temperature_have_their_hand_values() {
        let law = Law { curie: 1000.0, a: 1.5, b: 1.0, at: 0.0, powers: vec![(ParameterId::Msat, 1.0), (ParameterId::Ku1, 3.0)] };
        let mut v = Values::default();
        v.set_scalar(ParameterId::Msat, 1e6);
        v.set_scalar(ParameterId::Ku1, 8e5);
        v.set_scalar(ParameterId::Aex, 1e-11);
        law.apply(&mut v, 250.0);
        // (1/4)^1.5 = 1/8.
        assert!((v.scalar(ParameterId::Msat) - 0.875e6).abs() < 1e-6);
        assert!((v.scalar(ParameterId::Ku1) - 8e5 * 0.875f64.powi(3)).abs() < 1e-6);
        assert_eq!(v.scalar(ParameterId::Aex), 1e-11);
        // Given at 250 K, nothing changes there; and a Curie law with b = 1/3 at 0.875 Tc is 1/2.
        let law = Law { at: 250.0, ..law };
        let mut same = v.clone();
        law.apply(&mut same, 250.0);
        assert_eq!(same, v);
        let curie = Law { curie: 800.0, a: 1.0, b: 1.0 / 3.0, at: 0.0, powers: Vec::new() };
        assert!((curie.order(700.0) - 0.5).abs() < 1e-15 && curie.order(5000.0) == curie.order(792.0));
    }
}
