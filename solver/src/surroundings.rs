//! What surrounds the magnet and moves in steps of its own: currents and their Oersted fields, junctions and what feeds them, temperatures, grains of an
//! antiferromagnet, and the parameters that follow from all of these.
//!
//! The magnetisation runs from one pause to the next with parameters held; at the pause everything here advances over the same interval, each part by the
//! exact solution of its own law or a stable method, and the parameters are set anew (Lie splitting: first order in the interval, `split` in the file).
//! Currents that move in time are held at their value in the middle of an interval, powers are averaged over its ends. Devices see nothing but changed
//! parameters, so that all of them can do this, and hear from the host only at pauses.
//!
//! A file with all of it. Phases set `NAME.I` of a conductor, `NAME.V` or `NAME.I` of a junction and `NAME.T0` of a body, each a number or a wave:
//!
//! ```
//! let text = "
//! name: a synapse that heats itself
//! mesh: {size: [40 nm, 24 nm, 2 nm], cell: [4 nm, 4 nm, 2 nm]}
//! material: {Msat: 1e6 A/m, Aex: 10 pJ/m, alpha: 0.1, Pol: 0.4, FixedLayer: [1, 0, 0]}
//! initial: {uniform: [1, 0, 0]}
//! solver: {stepper: heun, dt: 100 fs}
//! probes:                       # columns G_mtj, R_mtj, V_mtj, I_mtj, W_mtj (what the source has given)
//!   - {name: mtj, shape: all, junction: {RA: 8 Ohm um^2, TMR: 1.2, Vh: 0.5 V, reference: [1, 0, 0], torque: true}}
//! oersted:                      # column I_pillar; also wire: {along: x, radius: …} and strip: {along: x, width: …, thickness: …}
//!   - {name: pillar, via: {size: [40 nm, 24 nm], length: 60 nm}, at: [0, 0, 0], current: {junction: mtj}}
//! heat:                         # column T_free; or diffusion: {kappa: …, c: …, bath: …}, columns T_free and T_free_max
//!   - {name: free, rc: {C: 0.5 fJ/K, R_th: 1 K/uW}, ambient: 300 K, sources: [{junction: mtj}]}
//! temperature_laws: {Tc: 1100 K, a: 1.5, b: 0.5, at: 300 K, Ku1: 3, Aex: 1.7}
//! exchange_bias:                # columns B_irmn, order_irmn, flips_irmn
//!   - {name: irmn, grain: 8 nm, thickness: 6 nm, sigma: 0.3, K_AF: 1.3e6 J/m^3, T_N: 690 K, J_ex: 0.2 mJ/m^2, axis: [1, 0, 0], spread: 5 deg}
//! split: 2 ps
//! protocol:
//!   - {phase: cooled, for: 10 ps, age: {for: 1 s, from: 680 K, to: 300 K}}
//!   - {phase: pulse, for: 500 ps, set: {mtj.V: 0.5 V}}
//!   - {phase: rest, for: 500 ps, set: {mtj.V: 0 V}}
//! table: {every: 10 ps}
//! ";
//! let document = spinloom_base::Document::parse("synapse.yaml", text)?;
//! let experiment = spinloom_solver::Experiment::read(&document)?;
//! assert!(experiment.columns.iter().any(|c| c.name == "T_free"));
//! # Ok::<(), spinloom_base::Problems>(())
//! ```

use crate::exchange_bias::{ExchangeBias, Grain, Memory};
use crate::experiment::{Phase, read_waveform};
use crate::heat::{Body, Diffusion, Heat, HeatSource, Law, lumped};
use crate::oersted::{Conductor, Current};
use crate::readout::{Feed, Probe, ProbeKind, ProbePart, Reading};
use crate::simulation::Simulation;
use spinloom_base::{Dimension, Fields, Node, Problems, Value};
use spinloom_kernels::material::{Coupling, Mask};
use spinloom_kernels::{Material, Mesh, ParameterId, RegionMap, System, Waveform};
use std::sync::Arc;

/// A number that a waveform may move.
#[derive(Clone, Debug, PartialEq)]
pub struct Level {
    /// SI.
    pub value: f64,
    /// What multiplies it in time.
    pub wave: Waveform,
}

impl Level {
    /// One that stays.
    pub fn constant(value: f64) -> Self {
        Self { value, wave: Waveform::Constant }
    }

    /// At a time (s).
    pub fn at(&self, t: f64) -> f64 {
        self.value * self.wave.at(t)
    }

    /// Just before a time (s), where it may jump.
    pub fn before(&self, t: f64) -> f64 {
        self.value * self.wave.before(t)
    }

    /// Whether it moves between jumps.
    fn flows(&self) -> bool {
        matches!(self.wave, Waveform::Sine { .. } | Waveform::Linear(_))
    }

    /// Reads `1 mA` or `{value: 1 mA, wave: {…}}`.
    pub fn read(node: &Node, dimension: Dimension, problems: &mut Problems) -> Option<Self> {
        let Value::Map(_) = node.value else { return node.quantity(dimension, problems).map(Self::constant) };
        let mut f = Fields::of(node, "a value in time", problems)?;
        let value = f.required("value", problems).and_then(|n| n.quantity(dimension, problems));
        let wave = f.required("wave", problems).and_then(|n| read_waveform(n, problems));
        f.finish(problems);
        Some(Self { value: value?, wave: wave? })
    }
}

/// What a phase can set besides parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The current of a conductor, by its position.
    Current(usize),
    /// The voltage of a junction, by its position among the probes.
    Voltage(usize),
    /// The current of a junction.
    Through(usize),
    /// The temperature of the bath of a body.
    Ambient(usize),
}

/// Grains that age before the clock of a phase starts: m stays as it is, temperature goes evenly from one value to the other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Age {
    /// For how long (s).
    pub time: f64,
    /// From which temperature to which (K).
    pub temperature: [f64; 2],
}

/// All that surrounds one member of an ensemble, as the file describes it.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Surroundings {
    /// Hall crosses and junctions.
    pub probes: Vec<Probe>,
    /// What feeds each at the start.
    pub feeds: Vec<Option<Feed>>,
    /// Conductors with an Oersted field.
    pub conductors: Vec<Conductor>,
    /// Bodies with a temperature.
    pub heat: Vec<Heat>,
    /// Temperature dependence of the parameters, by region.
    pub laws: Vec<Option<Law>>,
    /// Antiferromagnets.
    pub bias: Vec<ExchangeBias>,
    /// Longest interval between pauses (s).
    pub split: f64,
}

/// Interval between pauses where the file says nothing (s).
pub const SPLIT: f64 = 5e-12;

/// A column of the table that surroundings fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A probe and which of its columns.
    Probe(usize, ProbePart),
    /// Current of a conductor (A).
    Current(usize),
    /// Temperature of a body, the mean over its cells (K).
    Temperature(usize),
    /// The hottest cell of a body (K).
    Hottest(usize),
    /// Mean field of an antiferromagnet on the cells it touches, along the direction in which it was set (T).
    Bias(usize),
    /// The share of its volume with s = +1 less that with s = −1.
    Order(usize),
    /// Times that grains have turned.
    Flips(usize),
}

impl Surroundings {
    /// The columns of the table that follow from it: name, unit, part.
    pub fn columns(&self, fed: &[bool]) -> Vec<(String, &'static str, Part)> {
        let mut list: Vec<(String, &'static str, Part)> = Vec::new();
        for (i, probe) in self.probes.iter().enumerate() {
            list.extend(probe.columns(fed[i]).into_iter().map(|(name, unit, part)| (name, unit, Part::Probe(i, part))));
        }
        list.extend(self.conductors.iter().enumerate().map(|(i, c)| (format!("I_{}", c.name), "A", Part::Current(i))));
        for (i, h) in self.heat.iter().enumerate() {
            list.push((format!("T_{}", h.name), "K", Part::Temperature(i)));
            if matches!(h.body, Body::Mesh { .. }) {
                list.push((format!("T_{}_max", h.name), "K", Part::Hottest(i)));
            }
        }
        for (i, b) in self.bias.iter().enumerate() {
            list.push((format!("B_{}", b.name), "T", Part::Bias(i)));
            list.push((format!("order_{}", b.name), "1", Part::Order(i)));
            list.push((format!("flips_{}", b.name), "1", Part::Flips(i)));
        }
        list
    }

    /// The body that a region has its temperature from.
    fn body_of(&self, region: usize) -> Option<usize> {
        self.heat.iter().position(|h| h.regions.contains(&region))
    }

    /// Whether parameters of the magnet follow what moves here.
    fn acts(&self) -> bool {
        let torque = |p: &Probe| matches!(p.kind, ProbeKind::Junction(j) if j.torque || j.oxide > 0.0);
        !self.heat.is_empty()
            || !self.bias.is_empty()
            || !self.conductors.is_empty()
            || self.probes.iter().any(torque)
            || self.laws.iter().any(Option::is_some)
    }

    /// Whether the interval between pauses can matter.
    pub fn moves(&self) -> bool {
        self.feeds.iter().any(Option::is_some) || self.acts()
    }

    /// Every number for the record: name, value with its unit's symbol.
    pub fn numbers(&self) -> Vec<(String, String, &'static str)> {
        let mut list = Vec::new();
        let mut put =
            |owner: &str, name: &str, value: f64, unit: &'static str| list.push((format!("{owner}.{name}"), format!("{value:e}"), unit));
        for p in &self.probes {
            if let ProbeKind::Junction(j) = p.kind {
                put(&p.name, "RA", j.ra, "Ohm m^2");
                put(&p.name, "TMR", j.tmr, "1");
                put(&p.name, "Vh", j.half, "V");
            }
        }
        for h in &self.heat {
            put(&h.name, "ambient", h.ambient.value, "K");
            match h.body {
                Body::Lumped { capacity, resistance } => {
                    put(&h.name, "C", capacity, "J/K");
                    put(&h.name, "R_th", resistance, "K/W");
                }
                Body::Mesh { conductivity, capacity, bath } => {
                    put(&h.name, "kappa", conductivity, "W/(m K)");
                    put(&h.name, "c", capacity, "J/(m^3 K)");
                    put(&h.name, "bath", bath, "W/(m^2 K)");
                }
            }
        }
        for (region, law) in self.laws.iter().enumerate() {
            let Some(law) = law else { continue };
            let owner = format!("law{region}");
            put(&owner, "Tc", law.curie, "K");
            put(&owner, "a", law.a, "1");
            put(&owner, "b", law.b, "1");
            put(&owner, "at", law.at, "K");
            law.powers.iter().for_each(|(id, power)| put(&owner, id.info().name, *power, "1"));
        }
        for b in &self.bias {
            for (name, value, unit) in [
                ("grain", b.grain, "m"),
                ("thickness", b.thickness, "m"),
                ("sigma", b.sigma, "1"),
                ("K_AF", b.anisotropy, "J/m^3"),
                ("T_N", b.neel, "K"),
                ("n", b.power, "1"),
                ("J_ex", b.coupling, "J/m^2"),
                ("f0", b.attempts, "Hz"),
            ] {
                put(&b.name, name, value, unit);
            }
        }
        list
    }
}

/// The surroundings of one member of an ensemble while it runs.
pub struct Around {
    about: Surroundings,
    mesh: Mesh,
    regions: RegionMap,
    seed: u64,
    member: u64,
    /// The parameters as file and phases have them, at the temperature that laws start from.
    base: Material,
    feeds: Vec<Option<Feed>>,
    currents: Vec<Current>,
    ambients: Vec<Level>,
    seen: Vec<Vec<usize>>,
    /// Field of one ampere.
    fields: Vec<Arc<Vec<f64>>>,
    diffusion: Vec<Option<Diffusion>>,
    /// Regions whose cells have temperatures of their own that parameters follow.
    parted: Vec<usize>,
    /// The regions as the device has them, parted by temperature.
    parts: RegionMap,
    grains: Vec<Vec<Grain>>,
    /// Factor of Msat in every cell, where cells have factors of their own.
    moments: Option<Vec<f64>>,
    temperatures: Vec<Vec<f64>>,
    memories: Vec<Memory>,
    /// What each probe's source has given (J).
    work: Vec<f64>,
    /// To which time it has come (s).
    since: f64,
    /// The magnetisation there, once it has been looked at.
    m: Option<Vec<f64>>,
    /// What the junctions take (W) and what bodies get (W, or W/m³ per cell) at the beginning of the interval.
    taken: Vec<f64>,
    given: Vec<Vec<f64>>,
}

/// Parts into which a region with a temperature per cell is divided, of equal steps between its coldest and its hottest cell: each cell has the parameters of
/// the mean of its part, off by at most 1/32 of that difference.
const PARTS: usize = 16;

/// A mask that is zero in one member and not in another would lay out their tables differently: it never quite is.
const NEXT_TO_NOTHING: f64 = 1e-20;

impl Around {
    /// Around a replica of a system.
    pub fn new(about: &Surroundings, system: &System, replica: usize) -> Self {
        let (mesh, regions) = (system.mesh, system.regions_of(replica));
        let member = system.replicas[replica].id;
        let grains: Vec<Vec<Grain>> =
            about.bias.iter().enumerate().map(|(i, b)| b.grains(&mesh, regions, system.seed, member, i)).collect();
        Self {
            base: system.replicas[replica].material.clone(),
            feeds: about.feeds.clone(),
            currents: about.conductors.iter().map(|c| c.current.clone()).collect(),
            ambients: about.heat.iter().map(|h| h.ambient.clone()).collect(),
            seen: about.probes.iter().map(|p| p.cells(&mesh, regions)).collect(),
            fields: about.conductors.iter().map(|c| Arc::new(c.mask(&mesh))).collect(),
            diffusion: about
                .heat
                .iter()
                .map(|h| matches!(h.body, Body::Mesh { .. }).then(|| Diffusion::new(&mesh, regions, &h.regions)))
                .collect(),
            parted: (0..system.replicas[replica].material.regions.len())
                .filter(|r| {
                    let heat = about.body_of(*r).map(|i| &about.heat[i]).filter(|h| matches!(h.body, Body::Mesh { .. }));
                    heat.is_some_and(|h| h.thermal_field || about.laws.get(*r).is_some_and(Option::is_some))
                })
                .collect(),
            parts: regions.clone(),
            moments: system.moment_factors(),
            temperatures: about.heat.iter().map(|h| vec![h.ambient.at(0.0); h.body.len(&mesh)]).collect(),
            memories: about
                .bias
                .iter()
                .enumerate()
                .map(|(i, b)| Memory { signs: b.start(&grains[i], system.seed, member, i), steps: 0.0, flips: 0.0 })
                .collect(),
            work: vec![0.0; about.probes.len()],
            since: 0.0,
            m: None,
            taken: Vec::new(),
            given: Vec::new(),
            about: about.clone(),
            mesh,
            regions: regions.clone(),
            seed: system.seed,
            member,
            grains,
        }
    }

    /// Takes over what a phase sets.
    pub fn set(&mut self, phase: &Phase) {
        self.m = None;
        for (region, id, value, wave) in &phase.set {
            match region {
                Some(region) => self.base.regions[*region].set(*id, *value),
                None => self.base.set_everywhere(*id, *value),
            }
            if *wave != Waveform::Constant || self.base.waveforms.iter().any(|(p, _)| p == id) {
                self.base.set_waveform(*id, wave.clone());
            }
        }
        for (target, level) in &phase.levels {
            match target {
                Target::Current(i) => self.currents[*i] = Current::Own(level.clone()),
                Target::Voltage(i) => self.feeds[*i] = Some(Feed::Voltage(level.clone())),
                Target::Through(i) => self.feeds[*i] = Some(Feed::Current(level.clone())),
                Target::Ambient(i) => self.ambients[*i] = level.clone(),
            }
        }
    }

    fn levels(&self) -> impl Iterator<Item = &Level> {
        let feeds = self.feeds.iter().flatten().map(|f| match f {
            Feed::Voltage(l) | Feed::Current(l) => l,
        });
        let own = self.currents.iter().filter_map(|c| if let Current::Own(l) = c { Some(l) } else { None });
        feeds.chain(own).chain(&self.ambients)
    }

    /// Whether it moves between jumps.
    fn moves(&self) -> bool {
        let hot = self.base.waveforms.iter().any(|(p, _)| *p == ParameterId::Temp) && self.about.laws.iter().any(Option::is_some);
        !self.about.heat.is_empty()
            || !self.about.bias.is_empty()
            || self.feeds.iter().any(Option::is_some)
            || self.levels().any(Level::flows)
            || hot
    }

    /// The next time (s) after `t` at which it wants to be looked at, in a phase that began at `start`.
    pub fn pause(&self, t: f64, start: f64) -> f64 {
        let jump = self.levels().filter_map(|l| l.wave.next_jump(t)).fold(f64::INFINITY, f64::min);
        if !self.moves() {
            return jump;
        }
        // Rounding may have put `t` just below a multiple.
        let steps = ((t - start) / self.about.split + 1e-6).floor() + 1.0;
        jump.min(start + steps * self.about.split)
    }

    /// Sets the parameters for what happens now at the latest until `until` (s), and remembers the powers at the beginning.
    pub fn begin(&mut self, sim: &mut Simulation, replica: usize, until: f64) {
        let t = sim.control(replica).t;
        let jumps = self.levels().any(|l| l.at(t) != l.before(t));
        if self.moves() || jumps {
            if self.about.acts() {
                self.apply(sim, replica, until);
            }
            let readings = self.readings(sim, replica, t, false);
            self.taken = readings.iter().map(|r| r.v * r.i).collect();
            self.given = self.powers(&readings, t, false);
        }
    }

    /// Sets the parameters.
    pub fn apply(&mut self, sim: &mut Simulation, replica: usize, until: f64) {
        let t = sim.control(replica).t;
        let middle = if until.is_finite() { 0.5 * (t + until) } else { t };
        let material = if self.about.acts() {
            let readings = self.readings(sim, replica, t, false);
            self.material(&readings, middle)
        } else {
            self.base.clone()
        };
        let own = &mut sim.system.replicas[replica];
        own.material = material;
        if !self.parted.is_empty() {
            own.regions = Some(self.parts.clone());
        }
        sim.apply(replica);
    }

    /// Makes room in a system that is not realised yet for regions parted by temperature.
    pub fn make_room(&self, system: &mut System, replica: usize) {
        if !self.parted.is_empty() {
            let own = &mut system.replicas[replica];
            let last = own.material.regions.last().cloned().unwrap_or_default();
            own.material.regions.resize(self.base.regions.len() + self.parted.len() * (PARTS - 1), last);
            let count = own.material.regions.len();
            own.regions = Some(RegionMap { count, ..self.regions.clone() });
        }
    }

    /// The number of part `k` of the `i`-th parted region, which has number `region`: the first keeps the region's own.
    fn part(&self, region: usize, i: usize, k: usize) -> usize {
        if k == 0 { region } else { self.base.regions.len() + i * (PARTS - 1) + k - 1 }
    }

    /// Sets the parameters to those of this very moment, where they move: for what is looked at between two intervals.
    pub fn show(&mut self, sim: &mut Simulation, replica: usize) {
        if self.moves() && self.about.acts() {
            self.apply(sim, replica, sim.control(replica).t);
        }
    }

    /// Advances to the replica's time.
    pub fn end(&mut self, sim: &mut Simulation, replica: usize) {
        let t = sim.control(replica).t;
        let dt = t - self.since;
        self.m = None;
        if dt > 0.0 && self.moves() {
            let middle = 0.5 * (t + self.since);
            let readings = self.readings(sim, replica, t, true);
            for (work, (before, r)) in self.work.iter_mut().zip(self.taken.iter().zip(&readings)) {
                *work += 0.5 * (before + r.v * r.i) * dt;
            }
            let powers = self.powers(&readings, t, true);
            let was: Vec<Vec<f64>> = (0..self.grains.len()).map(|i| self.grain_temperatures(i, self.since)).collect();
            for (i, heat) in self.about.heat.iter().enumerate() {
                let (before, after, own) = (&self.given[i], &powers[i], &mut self.temperatures[i]);
                let ambient = self.ambients[i].at(middle);
                match (&heat.body, &self.diffusion[i]) {
                    (Body::Lumped { capacity, resistance }, _) => {
                        own[0] = lumped(own[0], ambient, [before[0], after[0]], *capacity, *resistance, dt);
                    }
                    (body, Some(diffusion)) => {
                        let power: Vec<f64> = before.iter().zip(after).map(|(a, b)| 0.5 * (a + b)).collect();
                        diffusion.advance(own, body, ambient, &power, dt);
                    }
                    _ => {}
                }
            }
            let m = self.m.clone().unwrap_or_else(|| sim.m(replica));
            for i in 0..self.grains.len() {
                let now = self.grain_temperatures(i, t);
                let mean: Vec<f64> = was[i].iter().zip(&now).map(|(a, b)| 0.5 * (a + b)).collect();
                self.turn(i, &m, &mean, dt);
            }
            self.m = Some(m);
        }
        self.since = t;
    }

    /// Ages the grains with m as it is.
    pub fn age(&mut self, sim: &Simulation, replica: usize, age: &Age) {
        let m = sim.m(replica);
        let [from, to] = age.temperature;
        // Rates change by e^(ΔE/kT · ΔT/T) within a part: 400 of them resolve a ramp of 400 K to a kelvin.
        let parts = if from == to { 1 } else { 400 };
        for k in 0..parts {
            let t = from + (to - from) * (f64::from(k) + 0.5) / f64::from(parts);
            for i in 0..self.grains.len() {
                self.turn(i, &m, &vec![t; self.grains[i].len()], age.time / f64::from(parts));
            }
        }
    }

    fn turn(&mut self, i: usize, m: &[f64], temperatures: &[f64], dt: f64) {
        let cells = self.mesh.cells();
        let along: Vec<f64> = self.grains[i]
            .iter()
            .map(|g| {
                let sum: f64 = g.cells.iter().map(|j| (0..3).map(|c| m[c * cells + j] * g.axis[c]).sum::<f64>()).sum();
                sum / g.cells.len() as f64
            })
            .collect();
        self.memories[i].advance(&self.about.bias[i], &self.grains[i], temperatures, &along, dt, (self.seed, self.member, i));
    }

    /// The temperature (K) of a cell at a time (s).
    fn temperature(&self, cell: usize, t: f64) -> f64 {
        let region = usize::from(self.regions.cells[cell]);
        match self.about.body_of(region) {
            Some(i) => self.temperatures[i][if self.temperatures[i].len() == 1 { 0 } else { cell }],
            None => self.parameter_temperature(region, t),
        }
    }

    fn parameter_temperature(&self, region: usize, t: f64) -> f64 {
        let wave = self.base.waveforms.iter().find(|(p, _)| *p == ParameterId::Temp).map_or(1.0, |(_, w)| w.at(t));
        self.base.regions.get(region).map_or(0.0, |v| v.scalar(ParameterId::Temp) * wave)
    }

    fn region_temperature(&self, region: usize, t: f64) -> f64 {
        let Some(i) = self.about.body_of(region) else { return self.parameter_temperature(region, t) };
        let own = &self.temperatures[i];
        match &self.diffusion[i] {
            None => own[0],
            Some(d) => mean(d.cells.iter().filter(|c| usize::from(self.regions.cells[**c]) == region).map(|c| own[*c])),
        }
    }

    fn grain_temperatures(&self, i: usize, t: f64) -> Vec<f64> {
        self.grains[i].iter().map(|g| mean(g.cells.iter().map(|c| self.temperature(*c, t)))).collect()
    }

    /// The state of every probe at a time (s), or just before it.
    fn readings(&mut self, sim: &Simulation, replica: usize, t: f64, before: bool) -> Vec<Reading> {
        if self.m.is_none() {
            self.m = Some(sim.m(replica));
        }
        let m = self.m.as_deref().unwrap_or_default();
        (0..self.about.probes.len())
            .map(|i| {
                let level = |l: &Level| if before { l.before(t) } else { l.at(t) };
                let (feed, is_voltage) = match &self.feeds[i] {
                    Some(Feed::Voltage(l)) => (level(l), true),
                    Some(Feed::Current(l)) => (level(l), false),
                    None => (0.0, true),
                };
                self.about.probes[i].read(&self.mesh, &self.seen[i], m, feed, is_voltage)
            })
            .collect()
    }

    fn current(&self, conductor: usize, readings: &[Reading], t: f64, before: bool) -> f64 {
        match &self.currents[conductor] {
            Current::Own(l) if before => l.before(t),
            Current::Own(l) => l.at(t),
            Current::Junction(i) => readings[*i].i,
        }
    }

    /// Factor of Msat in a cell.
    fn moment(&self, cell: usize) -> f64 {
        self.moments.as_ref().map_or(1.0, |m| m[cell])
    }

    /// Height of a cell (m).
    fn height(&self, cell: usize) -> f64 {
        self.mesh.thickness(cell / (self.mesh.n[0] * self.mesh.n[1]))
    }

    /// What every body gets: W for one temperature, W/m³ per cell on a mesh.
    fn powers(&self, readings: &[Reading], t: f64, before: bool) -> Vec<Vec<f64>> {
        let volume = self.mesh.cell_volume();
        let area = self.mesh.cell[0] * self.mesh.cell[1];
        let m = self.m.as_deref().unwrap_or_default();
        let wave = self.base.waveforms.iter().find(|(p, _)| *p == ParameterId::J).map(|(_, w)| w);
        let factor = wave.map_or(1.0, |w| if before { w.before(t) } else { w.at(t) });
        let density = |region: usize, rho: f64| {
            let j = self.base.regions[region].vector(ParameterId::J);
            rho * factor * factor * j.iter().map(|c| c * c).sum::<f64>()
        };
        self.about
            .heat
            .iter()
            .zip(&self.diffusion)
            .map(|(heat, diffusion)| {
                let mut power = vec![0.0; heat.body.len(&self.mesh)];
                for source in &heat.sources {
                    match (source, diffusion) {
                        (HeatSource::Junction(i), None) => power[0] += readings[*i].v * readings[*i].i,
                        (HeatSource::Junction(i), Some(_)) => {
                            let (r, ProbeKind::Junction(j)) = (readings[*i], self.about.probes[*i].kind) else { continue };
                            for &cell in &self.seen[*i] {
                                power[cell] += r.v * r.v * j.conductance(j.cos(m, cell), r.v) * area / volume;
                            }
                        }
                        (HeatSource::Conductor { conductor, resistance }, _) => {
                            let p = resistance * self.current(*conductor, readings, t, before).powi(2);
                            match diffusion {
                                None => power[0] += p,
                                Some(d) => d.cells.iter().for_each(|c| power[*c] += p / (volume * d.cells.len() as f64)),
                            }
                        }
                        (HeatSource::Resistivity(rho), None) => {
                            let cells =
                                self.regions.cells.iter().map(|r| usize::from(*r)).enumerate().filter(|(_, r)| heat.regions.contains(r));
                            power[0] += cells.map(|(i, r)| density(r, *rho) * self.mesh.weight(i)).sum::<f64>() * volume;
                        }
                        (HeatSource::Resistivity(rho), Some(d)) => {
                            d.cells.iter().for_each(|c| power[*c] += density(usize::from(self.regions.cells[*c]), *rho));
                        }
                    }
                }
                power
            })
            .collect()
    }

    /// The parameters at a time (s).
    fn material(&mut self, readings: &[Reading], t: f64) -> Material {
        let mut material = self.base.clone();
        // Every region with its temperature, and every part of one.
        let mut all: Vec<(usize, f64)> = (0..self.base.regions.len()).map(|r| (r, self.region_temperature(r, t))).collect();
        self.parts = self.regions.clone();
        for (i, &region) in self.parted.iter().enumerate() {
            let inside: Vec<usize> = (0..self.mesh.cells()).filter(|c| usize::from(self.regions.cells[*c]) == region).collect();
            let own: Vec<f64> = inside.iter().map(|c| self.temperature(*c, t)).collect();
            let (low, high) = own.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |a, t| (a.0.min(*t), a.1.max(*t)));
            // Differences that rounding makes are none.
            let of =
                |t: f64| if high - low > 1e-9 * high { (((t - low) / (high - low) * PARTS as f64) as usize).min(PARTS - 1) } else { 0 };
            for k in 0..PARTS {
                let members = own.iter().filter(|t| of(**t) == k);
                let temperature = if members.clone().next().is_some() { mean(members.copied()) } else { low };
                if k == 0 { all[region].1 = temperature } else { all.push((region, temperature)) }
            }
            for (cell, t) in inside.iter().zip(&own) {
                self.parts.cells[*cell] = self.part(region, i, of(*t)) as u16;
            }
        }
        material.regions = all
            .iter()
            .map(|&(region, temperature)| {
                let mut values = self.base.regions[region].clone();
                if self.about.body_of(region).is_some_and(|i| self.about.heat[i].thermal_field) {
                    values.set_scalar(ParameterId::Temp, temperature);
                }
                if let Some(Some(law)) = self.about.laws.get(region) {
                    law.apply(&mut values, temperature);
                }
                values
            })
            .collect();
        self.parts.count = all.len();
        if !self.parted.is_empty() {
            let numbers = |r: u16| all.iter().enumerate().filter(move |(_, p)| p.0 == usize::from(r)).map(|(i, _)| i as u16);
            let joined = |c: &Coupling| -> Vec<Coupling> {
                numbers(c.regions.0)
                    .flat_map(|a| numbers(c.regions.1).map(move |b| (a, b)))
                    .map(|regions| Coupling { regions, ..*c })
                    .collect()
            };
            material.couplings = self.base.couplings.iter().flat_map(joined).collect();
        }
        for (i, field) in self.fields.iter().enumerate() {
            let factor = self.current(i, readings, t, false);
            material.masks.push(Mask { parameter: ParameterId::BExt, values: field.clone(), factor });
        }
        let cells = self.mesh.cells();
        if !self.grains.is_empty() {
            let mut field = vec![NEXT_TO_NOTHING; 3 * cells];
            let ms: Vec<f64> = material.regions.iter().map(|v| v.scalar(ParameterId::Msat)).collect();
            let msat = |i: usize| ms.get(usize::from(self.parts.cells[i])).map_or(0.0, |ms| ms * self.moment(i));
            for (i, grains) in self.grains.iter().enumerate() {
                let temperatures = self.grain_temperatures(i, t);
                self.about.bias[i].field(grains, &self.memories[i].signs, msat, |c| self.height(c), &temperatures, &mut field);
            }
            material.masks.push(Mask { parameter: ParameterId::BExt, values: Arc::new(field), factor: 1.0 });
        }
        let m = self.m.as_deref().unwrap_or_default();
        for (i, probe) in self.about.probes.iter().enumerate() {
            let ProbeKind::Junction(junction) = probe.kind else { continue };
            let v = readings[i].v;
            if junction.torque {
                let mut j = vec![0.0; 3 * cells];
                let plane = self.mesh.n[0] * self.mesh.n[1];
                for &cell in &self.seen[i] {
                    let density = v * junction.conductance(junction.cos(m, cell), v) + NEXT_TO_NOTHING;
                    // The current goes straight on through the column.
                    (0..self.mesh.n[2]).for_each(|z| j[2 * cells + z * plane + cell % plane] = density);
                }
                material.masks.push(Mask { parameter: ParameterId::J, values: Arc::new(j), factor: 1.0 });
            }
            if junction.oxide > 0.0 {
                let mut e = vec![0.0; cells];
                self.seen[i].iter().for_each(|cell| e[*cell] = 1.0 / junction.oxide);
                material.masks.push(Mask { parameter: ParameterId::Ez, values: Arc::new(e), factor: v });
            }
        }
        material
    }

    /// Whether a law had to stop short of the Curie point at present.
    pub fn beyond(&self) -> Option<String> {
        let t = self.since;
        self.about.laws.iter().enumerate().find_map(|(region, law)| {
            let law = law.as_ref()?;
            let hot = self.region_temperature(region, t);
            (hot > 0.99 * law.curie).then(|| format!("region {region} at {hot:.0} K, Curie temperature {:.0} K", law.curie))
        })
    }

    /// The value of a column at the replica's time; `m` is the magnetisation there.
    pub fn column(&mut self, part: Part, sim: &Simulation, replica: usize) -> f64 {
        let t = sim.control(replica).t;
        match part {
            Part::Probe(i, which) => {
                let r = self.readings(sim, replica, t, false)[i];
                match which {
                    ProbePart::Hall | ProbePart::V => r.v,
                    ProbePart::G => r.g,
                    ProbePart::R => 1.0 / r.g,
                    ProbePart::I => r.i,
                    ProbePart::Work => self.work[i],
                }
            }
            Part::Current(i) => {
                let readings = self.readings(sim, replica, t, false);
                self.current(i, &readings, t, false)
            }
            Part::Temperature(i) => match &self.diffusion[i] {
                None => self.temperatures[i][0],
                Some(d) => mean(d.cells.iter().map(|c| self.temperatures[i][*c])),
            },
            Part::Hottest(i) => {
                let own = &self.temperatures[i];
                self.diffusion[i].as_ref().map_or(own[0], |d| d.cells.iter().map(|c| own[*c]).fold(f64::NEG_INFINITY, f64::max))
            }
            Part::Bias(i) => {
                let bias = &self.about.bias[i];
                let towards = |g: &Grain| match bias.set {
                    Some(v) => (0..3).map(|c| v[c] * g.axis[c]).sum::<f64>(),
                    None => 1.0,
                };
                let ms: Vec<f64> = sim.system.replicas[replica].material.regions.iter().map(|v| v.scalar(ParameterId::Msat)).collect();
                let mut sum = 0.0;
                let mut count = 0;
                for (g, (s, temperature)) in self.grains[i].iter().zip(self.memories[i].signs.iter().zip(self.grain_temperatures(i, t))) {
                    count += g.cells.len();
                    if temperature < bias.neel {
                        let moment = |c: &usize| self.height(*c) * self.moment(*c) * ms[usize::from(self.parts.cells[*c])];
                        let moments = g.cells.iter().map(moment).filter(|mt| *mt > 0.0);
                        sum += moments.map(|mt| bias.coupling * s * towards(g) / mt).sum::<f64>();
                    }
                }
                sum / count.max(1) as f64
            }
            Part::Order(i) => {
                let (sum, all) =
                    self.grains[i].iter().zip(&self.memories[i].signs).fold((0.0, 0.0), |a, (g, s)| (a.0 + s * g.volume, a.1 + g.volume));
                sum / all
            }
            Part::Flips(i) => self.memories[i].flips,
        }
    }

    /// Fields for pictures: name, unit, components, values with the components innermost.
    pub fn pictures(&self) -> Vec<(String, &'static str, usize, Vec<f64>)> {
        let mut list = Vec::new();
        for (heat, own) in self.about.heat.iter().zip(&self.temperatures).filter(|(_, t)| t.len() > 1) {
            list.push((format!("T_{}", heat.name), "K", 1, own.clone()));
        }
        for (i, bias) in self.about.bias.iter().enumerate() {
            let cells = self.mesh.cells();
            let mut s = vec![0.0; 3 * cells];
            for (g, sign) in self.grains[i].iter().zip(&self.memories[i].signs) {
                g.cells.iter().for_each(|j| (0..3).for_each(|c| s[3 * j + c] = sign * g.axis[c]));
            }
            list.push((format!("order_{}", bias.name), "1", 3, s));
        }
        list
    }

    /// What moves, by name: the entries of the state that follow the magnetisation. A resumed run gives them back.
    pub fn state(&self) -> Vec<(String, Vec<f64>)> {
        let mut list = vec![("time and work".to_string(), std::iter::once(self.since).chain(self.work.iter().copied()).collect())];
        list.extend(self.about.heat.iter().zip(&self.temperatures).map(|(h, t)| (format!("T of {}", h.name), t.clone())));
        for (bias, memory) in self.about.bias.iter().zip(&self.memories) {
            list.push((
                format!("grains of {}", bias.name),
                [memory.steps, memory.flips].into_iter().chain(memory.signs.iter().copied()).collect(),
            ));
        }
        list
    }

    /// Takes the state back, in the order of [`Around::state`]; false if it does not fit.
    pub fn restore(&mut self, entries: &[Vec<f64>]) -> bool {
        let own = self.state();
        if own.len() != entries.len() || own.iter().zip(entries).any(|(a, b)| a.1.len() != b.len()) {
            return false;
        }
        self.since = entries[0][0];
        self.work.copy_from_slice(&entries[0][1..]);
        let heats = self.temperatures.len();
        self.temperatures.clone_from_slice(&entries[1..1 + heats]);
        for (memory, v) in self.memories.iter_mut().zip(&entries[1 + heats..]) {
            (memory.steps, memory.flips) = (v[0], v[1]);
            memory.signs.copy_from_slice(&v[2..]);
        }
        self.m = None;
        true
    }
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, n) = values.fold((0.0, 0), |(s, n), v| (s + v, n + 1));
    sum / n.max(1) as f64
}
