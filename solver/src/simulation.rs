//! A system realised on a device, and the ways to move it: run, relax, minimise.

mod settle;

use crate::devices::DeviceChoice;
use crate::tableau::{RK23, Tableau};
use rayon::prelude::*;
use spinloom_base::diagnostics::{Diagnostic, Problems};
use spinloom_kernels::device::{Prepared, Window};
use spinloom_kernels::plan::{Buffer, Cells, Combine, Dot, Motion, Pass, Plan, Ref, Rule};
use spinloom_kernels::terms::Extra;
use spinloom_kernels::{Control, Device, DeviceError, Material, ParameterId, RegionMap, Status, System, Term};

pub use settle::{Rest, Rested};

/// Number of threads that simulations use.
pub fn threads() -> usize {
    rayon::current_num_threads()
}

/// Sets it, before anything has run.
///
/// # Errors
/// If something has run already.
pub fn set_threads(n: usize) -> Result<(), Problems> {
    rayon::ThreadPoolBuilder::new().num_threads(n).build_global().map_err(|e| Diagnostic::error(e.to_string()).into())
}

/// How the step is chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Step {
    /// By the error estimate: |Δm| per step at most this.
    Adaptive {
        /// mumax3's `MaxErr`.
        max_err: f64,
    },
    /// Always this (s).
    Fixed(f64),
}

/// How often the demagnetising field, by far the dearest, is computed.
///
/// In between it is the parabola through its last three values, of third order in the interval: a multirate method of Adams and Bashforth's kind
/// (C. W. Gear and D. R. Wells, BIT 24, 484 (1984), the slow part first). Measured by tests: m converges at third order
/// (`the_demagnetising_field_may_be_extrapolated_between_samples`); without damping no energy is pumped in, and a film loses it as fast as by a damping
/// constant of 2.7 times `max_err` (`an_extrapolated_field_pumps_no_energy_without_damping`); at T > 0 an interval of one step shows the temperature
/// that was set (problem `thermometer` of the validation).
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub enum DemagEvery {
    /// At every evaluation.
    #[default]
    Evaluation,
    /// So often that extrapolating it in between (see [`spinloom_kernels::Sampling`]) turns no spin by more than `max_err`.
    Adaptive {
        /// Per interval (rad).
        max_err: f64,
    },
    /// Once in this time (s), extrapolated in between.
    Time(f64),
}

impl DemagEvery {
    /// For the record and the log; `None` where nothing is extrapolated.
    pub fn words(self) -> Option<String> {
        match self {
            Self::Evaluation => None,
            Self::Adaptive { max_err } => Some(format!("extrapolated, adaptive, max_err {max_err:e}")),
            Self::Time(t) => Some(format!("extrapolated, every {t:e} s")),
        }
    }
}

/// The longest interval between samples times the largest precession frequency γ μ0 Msat that the demagnetising field can cause: third-order
/// Adams–Bashforth is stable up to 0.72 on the imaginary axis.
const LONGEST_SAMPLING: f64 = 0.5;
/// How much of the stability limit of the undamped shortest wave a step takes.
const WITHIN_LIMIT: f64 = 0.97;
/// Degree of the polynomial through the samples.
const SAMPLING_ORDER: u8 = 2;

/// One entry of the state: a field with a law of motion. The magnetisation is the first; whatever else moves (temperature, a second
/// sublattice, exchange-bias directions) joins the list, and checkpoints, records and shifts iterate it.
#[derive(Clone, Copy, Debug)]
pub struct StateEntry {
    /// Its symbol, also its name in checkpoints.
    pub name: &'static str,
    buffer: Buffer,
    /// Whether it enters the first rate of a step, so that restoring it makes that rate stale.
    moves_with_stages: bool,
}

struct Buffers {
    m: Buffer,
    first: Buffer,
    stages: Vec<Buffer>,
    between: [Buffer; 2],
    demag: Buffer,
    /// Samples of the demagnetising field, where it is extrapolated.
    ring: Option<[Buffer; 3]>,
    /// The normals, where there is temperature.
    noise: Option<Buffer>,
    /// The user's field, where there is one.
    custom: Option<Buffer>,
    field: Buffer,
}

/// An ensemble on a device. The description stays at hand; changing it and calling [`Simulation::apply`] moves the device along.
pub struct Simulation {
    /// What is simulated. Mesh, terms and regions are fixed once realised.
    pub system: System,
    device: Box<dyn Device>,
    state: Vec<StateEntry>,
    buffers: Buffers,
    tableau: &'static Tableau,
    attempt: Prepared,
    plan: Plan,
    /// Computes the first rate anew; for methods that reuse the last one.
    start: Option<Prepared>,
    /// Which replicas need `start` before their next attempt.
    stale: Vec<bool>,
    relax: Option<(Prepared, Prepared)>,
    minimise: Option<(Prepared, Prepared)>,
    /// Where a relaxation or minimisation stands that is under way.
    settling: Option<settle::Settling>,
    /// The first plan that the device refused after it had taken others.
    refused: Option<DeviceError>,
    fields: Vec<(Vec<usize>, Prepared)>,
}

impl Simulation {
    /// Realises a system with a method and a step rule.
    ///
    /// # Errors
    /// What the device cannot do.
    pub fn new(system: System, choice: DeviceChoice, tableau: &'static Tableau, step: Step) -> Result<Self, DeviceError> {
        Self::with_demag_every(system, choice, tableau, step, DemagEvery::Evaluation)
    }

    /// The same, with the demagnetising field computed less often than the rest.
    ///
    /// # Errors
    /// What the device cannot do.
    pub fn with_demag_every(
        system: System,
        choice: DeviceChoice,
        tableau: &'static Tableau,
        step: Step,
        every: DemagEvery,
    ) -> Result<Self, DeviceError> {
        let whole = system.expanded().map_err(|what| DeviceError::Unsupported { device: choice.to_string(), what })?;
        let device = choice.open(&whole)?;
        Self::on(device, system, tableau, step, every)
    }

    /// The same on a device that is open already.
    ///
    /// # Errors
    /// What the device cannot do.
    pub fn on(
        mut device: Box<dyn Device>,
        system: System,
        tableau: &'static Tableau,
        step: Step,
        every: DemagEvery,
    ) -> Result<Self, DeviceError> {
        let mut allocate = |name: &str, slots| device.allocate(name, slots);
        let buffers = Buffers {
            m: allocate("m", 2)?,
            first: allocate("rate of stage 1", 2)?,
            // Relaxation has a method of its own.
            stages: (1..tableau.c.len().max(RK23.c.len()))
                .map(|i| allocate(&format!("rate of stage {}", i + 1), 1))
                .collect::<Result<_, _>>()?,
            between: [allocate("m between stages", 1)?, allocate("m between stages, other", 1)?],
            demag: allocate("B_demag", 1)?,
            ring: if every != DemagEvery::Evaluation && system.terms.contains(&Term::Demag) {
                let mut sample = |i| allocate(&format!("B_demag sample {i}"), 1);
                Some([sample(1)?, sample(2)?, sample(3)?])
            } else {
                None
            },
            noise: if system.terms.contains(&Term::Thermal) { Some(allocate("normals", 1)?) } else { None },
            custom: if system.terms.contains(&Term::Custom) { Some(allocate("B_custom", 1)?) } else { None },
            field: allocate("field", 1)?,
        };
        let all: Vec<usize> = (0..system.terms.len()).collect();
        let noisy = system.terms.contains(&Term::Thermal);
        let plan = step_plan(&system, &buffers, tableau, &all, Motion::Llg, matches!(step, Step::Fixed(_)));
        let attempt = device.prepare(&plan)?;
        let start =
            if reuses(tableau, noisy, &buffers) { Some(device.prepare(&start_plan(&system, &buffers, &all, Motion::Llg))?) } else { None };
        let stale = vec![true; system.replicas.len()];
        let mut state = vec![StateEntry { name: "m", buffer: buffers.m, moves_with_stages: true }];
        for (name, buffer) in
            ["B_demag sample 1", "B_demag sample 2", "B_demag sample 3"].into_iter().zip(buffers.ring.into_iter().flatten())
        {
            state.push(StateEntry { name, buffer, moves_with_stages: false });
        }
        let mut simulation = Self {
            system,
            device,
            state,
            buffers,
            tableau,
            attempt,
            plan,
            start,
            stale,
            relax: None,
            minimise: None,
            settling: None,
            refused: None,
            fields: Vec::new(),
        };
        for r in 0..simulation.replicas() {
            let mut control = Control::new();
            match step {
                Step::Adaptive { max_err } => control.max_err = max_err,
                Step::Fixed(dt) => (control.dt, control.fixed) = (dt, true),
            }
            control.sampling.order = SAMPLING_ORDER;
            match every {
                _ if simulation.buffers.ring.is_none() => {}
                DemagEvery::Evaluation => {}
                DemagEvery::Time(t) => (control.sampling.every, control.sampling.fixed) = (t, true),
                DemagEvery::Adaptive { max_err } => {
                    control.sampling.max_err = max_err;
                    control.sampling.every = 1e-14;
                    control.sampling.longest = LONGEST_SAMPLING / simulation.demag_frequency(r);
                    // The shortest waves carry nothing but limit the step: a controller that feels for the limit wastes a third of its steps.
                    let mesh = simulation.system.mesh;
                    let highest = simulation.with_cells(r, |m| m.exchange_frequency(&mesh) + m.own_frequency());
                    if tableau.imaginary_limit > 0.0 {
                        control.dt_max = WITHIN_LIMIT * tableau.imaginary_limit / highest.max(f64::MIN_POSITIVE);
                    }
                }
            }
            simulation.device.set_control(r, control);
        }
        Ok(simulation)
    }

    /// Number of replicas.
    pub fn replicas(&self) -> usize {
        self.system.replicas.len()
    }

    /// The device.
    pub fn device(&self) -> &dyn Device {
        self.device.as_ref()
    }

    /// What has gone wrong on the device, if anything: then nothing more that it says is to be believed.
    pub fn trouble(&self) -> Option<DeviceError> {
        self.refused.clone().or_else(|| self.device.trouble())
    }

    /// Prepares a plan that is wanted only now. A refusal is kept for [`Simulation::trouble`].
    fn prepare(&mut self, plan: &Plan) -> Option<Prepared> {
        match self.device.prepare(plan) {
            Ok(prepared) => Some(prepared),
            Err(e) => {
                self.refused.get_or_insert(e);
                None
            }
        }
    }

    /// Gives every term a pass of its own, to find the one that is wrong: [`Device::take_apart`].
    ///
    /// # Errors
    /// A device that has nothing to take apart.
    pub fn take_apart(&mut self) -> Result<(), DeviceError> {
        self.device.take_apart()
    }

    /// What one attempt of a step does.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The method.
    pub fn tableau(&self) -> &'static Tableau {
        self.tableau
    }

    /// The magnetisation of a replica, `[component][z][y][x]`, zero in vacuum.
    pub fn m(&self, replica: usize) -> Vec<f64> {
        self.device.download(replica, self.buffers.m, false)
    }

    /// Sets the magnetisation of a replica; normalised here, and zeroed in vacuum.
    pub fn set_m(&mut self, replica: usize, m: &[f64]) {
        let cells = self.system.mesh.cells();
        let regions = self.system.regions_of(replica);
        let mut unit = m.to_vec();
        for i in 0..cells {
            let norm = (0..3).map(|c| m[c * cells + i].powi(2)).sum::<f64>().sqrt();
            let scale = if regions.cells[i] == RegionMap::VACUUM || norm == 0.0 { 0.0 } else { 1.0 / norm };
            for c in 0..3 {
                unit[c * cells + i] *= scale;
            }
        }
        let m = self.state[0];
        self.restore_state(replica, &m, &unit);
        self.forget_samples(replica);
    }

    /// The state: everything that moves, the magnetisation first.
    pub fn state(&self) -> &[StateEntry] {
        &self.state
    }

    /// The values of one entry of the state, `[component][z][y][x]`.
    pub fn read_state(&self, replica: usize, entry: &StateEntry) -> Vec<f64> {
        self.device.download(replica, entry.buffer, false)
    }

    /// Sets an entry to values that came from [`Simulation::read_state`], bit for bit.
    pub fn restore_state(&mut self, replica: usize, entry: &StateEntry, values: &[f64]) {
        self.device.upload(replica, entry.buffer, false, values);
        self.stale[replica] |= entry.moves_with_stages;
    }

    /// Clock, step and counters of a replica. While it settles they are of a time of its own: see [`Simulation::outside`].
    pub fn control(&self, replica: usize) -> Control {
        self.device.control(replica)
    }

    /// Overwrites clock, step and counters.
    pub fn set_control(&mut self, replica: usize, control: Control) {
        self.device.set_control(replica, control);
    }

    /// Tells the device about changed parameters of a replica.
    pub fn apply(&mut self, replica: usize) {
        self.tell(&[replica]);
        self.stale[replica] = true;
        self.forget_samples(replica);
    }

    /// Gives the device the parameters and regions of some replicas.
    fn tell(&mut self, replicas: &[usize]) {
        match self.system.expanded_for(|r| replicas.contains(&r)) {
            Ok(system) => replicas.iter().for_each(|r| self.device.set_material(*r, &system)),
            Err(what) => {
                let device = self.device.info().name;
                self.refused.get_or_insert(DeviceError::Unsupported { device, what });
            }
        }
    }

    /// What moves, or how, has jumped: extrapolating across would be wrong.
    fn forget_samples(&mut self, replica: usize) {
        let mut control = self.device.control(replica);
        control.sampling.forget();
        self.device.set_control(replica, control);
    }

    /// Sets the time (s) at which a replica pauses next, no later than a jump of one of its waveforms, and lets it run.
    pub fn run_to(&mut self, replica: usize, t: f64) {
        let mut control = self.device.control(replica);
        let jump = self.system.replicas[replica]
            .material
            .waveforms
            .iter()
            .filter_map(|(_, w)| w.next_jump(control.t))
            .fold(f64::INFINITY, f64::min);
        // What a resumed run cannot carry over, an uninterrupted one must not either.
        self.stale[replica] |= !self.device.carries_rates();
        if self.system.replicas[replica].material.waveforms.iter().any(|(_, w)| w.at(control.t) != w.before(control.t)) {
            self.stale[replica] = true;
            control.sampling.forget();
        }
        control.t_pause = t.min(jump);
        control.status = if control.t < control.t_pause { Status::Running } else { Status::Due };
        self.device.set_control(replica, control);
    }

    /// m of some cells of a replica, for who watches: [`Device::peek`].
    pub fn peek(&self, replica: usize, window: &Window) -> Vec<u8> {
        self.device.peek(replica, self.buffers.m, self.system.mesh.n, window)
    }

    /// Runs every replica up to its pause time.
    pub fn advance(&mut self) {
        self.advance_watched(|_| 4096);
    }

    /// The same; `look` is asked before and between attempts, and says how many follow until it is asked again. Where they are parted changes no bit.
    pub fn advance_watched(&mut self, mut look: impl FnMut(&Self) -> usize) {
        if let Some(start) = self.start
            && self.stale.iter().any(|s| *s)
        {
            // A pure function of the state: doing it for all gives the others the bits they had.
            self.device.replay(start, 1);
        }
        self.stale.fill(false);
        while (0..self.replicas()).any(|r| self.device.control(r).status == Status::Running) {
            let attempts = look(self);
            self.device.replay(self.attempt, attempts.max(1));
        }
    }

    /// Makes the first rate of a replica's next step be computed anew: its clock has been set, or something else that it cannot know.
    pub fn restart(&mut self, replica: usize) {
        self.stale[replica] = true;
    }

    /// Holds all that moves in time at its present value, or lets it go again: for what has no clock.
    fn hold_time(&mut self, hold: Option<Vec<Material>>) -> Vec<Material> {
        let now: Vec<Material> = self.system.replicas.iter().map(|r| r.material.clone()).collect();
        let mut changed = Vec::new();
        for r in 0..self.replicas() {
            let held = match &hold {
                Some(list) => list[r].clone(),
                None => now[r].held(self.control(r).t),
            };
            if held != now[r] {
                self.system.replicas[r].material = held;
                changed.push(r);
            }
        }
        self.tell(&changed);
        now
    }

    /// Whether the first rate of a replica's next step will be computed anew.
    pub fn is_stale(&self, replica: usize) -> bool {
        self.stale[replica]
    }

    /// Computes the first rates that are not known now, without a trace in the control blocks: a resumed run then counts its evaluations as an
    /// uninterrupted one, in which they were known.
    pub fn warm(&mut self) {
        let Some(start) = self.start.filter(|_| self.device.carries_rates()) else { return };
        let before: Vec<Control> = (0..self.replicas()).map(|r| self.device.control(r)).collect();
        before.iter().enumerate().for_each(|(r, c)| self.device.set_control(r, Control { status: Status::Running, ..*c }));
        self.device.replay(start, 1);
        before.into_iter().enumerate().for_each(|(r, c)| self.device.set_control(r, c));
        self.stale.fill(false);
    }

    /// Takes one step of every replica that runs: attempts until each has accepted one, or has paused.
    pub fn step(&mut self) {
        let before: Vec<u64> = (0..self.replicas()).map(|r| self.control(r).steps).collect();
        if let Some(start) = self.start
            && (self.stale.iter().any(|s| *s) || !self.device.carries_rates())
        {
            self.device.replay(start, 1);
        }
        self.stale.fill(false);
        let waits = |s: &Self, r: usize| s.control(r).status == Status::Running && s.control(r).steps == before[r];
        while self.trouble().is_none() && (0..self.replicas()).any(|r| waits(self, r)) {
            self.device.replay(self.attempt, 1);
        }
    }

    /// Runs one replica-less ensemble to time `t` (s), jumps included.
    pub fn run_all_to(&mut self, t: f64) {
        loop {
            for r in 0..self.replicas() {
                self.run_to(r, t);
            }
            self.advance();
            if (0..self.replicas()).all(|r| self.control(r).status == Status::NotANumber || self.control(r).t >= t) {
                return;
            }
        }
    }

    /// The field (T) of some terms in a replica, `[component][z][y][x]`.
    pub fn field(&mut self, replica: usize, terms: &[Term]) -> Vec<f64> {
        if !self.evaluate_field(terms, &[replica]) {
            return vec![f64::NAN; 3 * self.system.mesh.cells()];
        }
        self.device.download(replica, self.buffers.field, false)
    }

    /// The demagnetising field (T) of a replica everywhere, also where there is no magnet.
    pub fn stray_field(&mut self, replica: usize) -> Vec<f64> {
        if !self.system.terms.contains(&Term::Demag) {
            return vec![0.0; 3 * self.system.mesh.cells()];
        }
        self.field(replica, &[Term::Demag]);
        self.device.download(replica, self.buffers.demag, false)
    }

    /// The same in several replicas at once.
    pub fn fields(&mut self, replicas: &[usize], terms: &[Term]) -> Vec<Vec<f64>> {
        let good = self.evaluate_field(terms, replicas);
        let empty = || vec![f64::NAN; 3 * self.system.mesh.cells()];
        replicas.iter().map(|r| if good { self.device.download(*r, self.buffers.field, false) } else { empty() }).collect()
    }

    /// Computes a field in some replicas, without a trace in the control blocks; false if the device refuses.
    fn evaluate_field(&mut self, terms: &[Term], replicas: &[usize]) -> bool {
        let positions: Vec<usize> = (0..self.system.terms.len()).filter(|i| terms.contains(&self.system.terms[*i])).collect();
        let plan = match self.fields.iter().find(|(p, _)| *p == positions) {
            Some((_, plan)) => *plan,
            None => {
                let mut passes = prepare_passes(&self.system, &self.buffers, &positions, Ref::of(self.buffers.m), 0.0, false);
                passes.push(Pass::Cells(Cells {
                    read: Ref::of(self.buffers.m),
                    terms: positions.clone(),
                    convolved: Some(Ref::of(self.buffers.demag)),
                    noise: self.buffers.noise.map(Ref::of),
                    custom: self.buffers.custom.map(Ref::of),
                    time: 0.0,
                    motion: None,
                    write: Ref::of(self.buffers.field),
                    combine: None,
                    error: None,
                    measure: false,
                }));
                let Some(prepared) = self.prepare(&Plan { name: "field".into(), passes }) else { return false };
                self.fields.push((positions, prepared));
                prepared
            }
        };
        let before: Vec<Control> = (0..self.replicas()).map(|r| self.device.control(r)).collect();
        for (r, control) in before.iter().enumerate() {
            self.device.set_control(r, Control { status: if replicas.contains(&r) { Status::Running } else { Status::Due }, ..*control });
        }
        self.device.replay(plan, 1);
        for (r, control) in before.into_iter().enumerate() {
            self.device.set_control(r, control);
        }
        true
    }

    /// In words, what is not a number in a replica that stopped over it, in which cell and when: the field of a term, else m, else a rate.
    pub fn not_a_number(&mut self, replica: usize) -> String {
        let control = self.control(replica);
        let [nx, ny, _] = self.system.mesh.n;
        let place = |values: &[f64]| {
            let i = values.iter().position(|v| !v.is_finite())? % (values.len() / 3);
            Some(format!("in cell ({}, {}, {}) is not a number", i % nx, i / nx % ny, i / (nx * ny)))
        };
        let mut found = None;
        // What depends on time may fail no sooner than at the end of the step.
        for t in [control.t, control.end_time()] {
            self.set_control(replica, Control { t, ..control });
            for term in self.system.terms.clone() {
                let at = place(&self.field(replica, &[term]));
                found = found.or(at.map(|at| format!("the field of the term `{}` {at} at t = {t:e} s", term.info().name)));
            }
        }
        self.set_control(replica, control);
        let (m, rates) = (self.buffers.m, [self.buffers.first].into_iter().chain(self.buffers.stages.iter().copied()));
        let mut read = |buffer: Buffer| place(&self.device.download(replica, buffer, false));
        found
            .or_else(|| read(m).map(|at| format!("m {at} at t = {:e} s", control.t)))
            .or_else(|| rates.filter_map(&mut read).next().map(|at| format!("dm/dt {at} after t = {:e} s", control.t)))
            .unwrap_or_else(|| format!("the largest rate or the error of a step is not a number after t = {:e} s", control.t))
    }

    /// The energy (J) of some terms in a replica: −Σ (1/n) V Ms m·B, each term with its degree n.
    pub fn energy(&mut self, replica: usize, terms: &[Term]) -> f64 {
        self.energies(&[replica], terms)[0]
    }

    /// The same for several replicas at once.
    pub fn energies(&mut self, replicas: &[usize], terms: &[Term]) -> Vec<f64> {
        let active: Vec<Term> = self.system.terms.iter().copied().filter(|t| terms.contains(t) && t.has_energy()).collect();
        let mut degrees: Vec<f64> = active.iter().filter_map(|t| t.info().degree).collect();
        degrees.sort_by(f64::total_cmp);
        degrees.dedup();
        let cells = self.system.mesh.cells();
        let mesh = self.system.mesh;
        let volume = mesh.cell_volume();
        let mut totals = vec![0.0; replicas.len()];
        if degrees.is_empty() {
            return totals;
        }
        let states: Vec<Vec<f64>> = replicas.iter().map(|r| self.m(*r)).collect();
        let factors = self.system.moment_factors();
        // Terms of one degree share an evaluation.
        for degree in degrees {
            let group: Vec<Term> = active.iter().copied().filter(|t| t.info().degree == Some(degree)).collect();
            if !self.evaluate_field(&group, replicas) {
                return vec![f64::NAN; replicas.len()];
            }
            let fields: Vec<Vec<f64>> = replicas.iter().map(|r| self.device.download(*r, self.buffers.field, false)).collect();
            let system = &self.system;
            let one = |(r, m, b): (usize, &[f64], &[f64])| {
                let regions = &system.regions_of(r).cells;
                let ms: Vec<f64> = system.replicas[r].material.regions.iter().map(|v| v.scalar(ParameterId::Msat)).collect();
                let own = |i: usize| factors.as_ref().map_or(1.0, |f| f[i]);
                let dot = |i: usize| (0..3).map(|c| m[c * cells + i] * b[c * cells + i]).sum::<f64>();
                let moment = |i: usize| ms.get(usize::from(regions[i])).map_or(0.0, |ms| ms * own(i) * mesh.weight(i));
                (0..cells).map(|i| moment(i) * dot(i)).sum::<f64>()
            };
            // Each sum by one thread in one order: the same bits for any number of threads.
            let sums: Vec<f64> = (0..replicas.len()).into_par_iter().map(|k| one((replicas[k], &states[k], &fields[k]))).collect();
            totals.iter_mut().zip(sums).for_each(|(total, sum)| *total -= volume * sum / degree);
        }
        totals
    }

    /// The energy (J) of all terms but the thermal field.
    pub fn total_energy(&mut self, replica: usize) -> f64 {
        let terms: Vec<Term> = self.system.terms.iter().copied().filter(|t| *t != Term::Thermal).collect();
        self.energy(replica, &terms)
    }

    /// γ μ0 Msat (rad/s), the largest of any region.
    fn demag_frequency(&self, replica: usize) -> f64 {
        self.with_cells(replica, Material::own_frequency).max(f64::MIN_POSITIVE)
    }

    fn gamma(&self, replica: usize) -> f64 {
        self.with_cells(replica, Material::largest_gamma)
    }

    /// Asks a replica's material with the values of every cell.
    fn with_cells(&self, replica: usize, ask: impl Fn(&Material) -> f64) -> f64 {
        // What cannot be expanded was refused when the simulation was made.
        self.system.expanded_for(|r| r == replica).map_or(f64::NAN, |system| ask(&system.replicas[replica].material))
    }
}

/// The terms that lead to a minimum of the energy: neither noise nor torques without an energy.
fn still_terms(system: &System) -> Vec<usize> {
    (0..system.terms.len()).filter(|i| system.terms[*i] != Term::Thermal && system.terms[*i].has_energy()).collect()
}

/// Whether the last rate of a step serves as the first of the next: not with new noise, nor where a sample of the demagnetising field corrects what was extrapolated.
fn reuses(tableau: &Tableau, noisy: bool, b: &Buffers) -> bool {
    tableau.fsal && !noisy && b.ring.is_none()
}

/// Passes that make what these terms read besides m.
fn prepare_passes(system: &System, b: &Buffers, terms: &[usize], read: Ref, time: f64, draw: bool) -> Vec<Pass> {
    let reads = |extra: Extra| terms.iter().any(|t| system.terms[*t].extra() == extra);
    let mut passes = Vec::new();
    if draw && reads(Extra::Noise) {
        passes.extend(b.noise.map(|n| Pass::Noise(Ref::of(n))));
    }
    if reads(Extra::Demag) {
        passes.push(Pass::Convolve { read, write: Ref::of(b.demag) });
    }
    passes.extend(custom_pass(system, b, terms, read, time));
    passes
}

fn custom_pass(system: &System, b: &Buffers, terms: &[usize], read: Ref, time: f64) -> Option<Pass> {
    let reads = terms.iter().any(|t| system.terms[*t].extra() == Extra::Custom);
    b.custom.filter(|_| reads).map(|buffer| Pass::Custom { read, time, write: Ref::of(buffer) })
}

fn cells(b: &Buffers, read: Ref, terms: &[usize], time: f64, motion: Motion, write: Ref) -> Cells {
    Cells {
        read,
        terms: terms.to_vec(),
        convolved: Some(Ref::of(b.demag)),
        noise: b.noise.map(Ref::of),
        custom: b.custom.map(Ref::of),
        time,
        motion: Some(motion),
        write,
        combine: None,
        error: None,
        measure: false,
    }
}

/// The rate at the present state, into the slot of the state.
fn start_plan(system: &System, b: &Buffers, terms: &[usize], motion: Motion) -> Plan {
    let mut passes = prepare_passes(system, b, terms, Ref::of(b.m), 0.0, false);
    passes.push(Pass::Cells(Cells { measure: true, ..cells(b, Ref::of(b.m), terms, 0.0, motion, Ref::of(b.first)) }));
    Plan { name: "first rate".into(), passes }
}

/// One attempt of a step: stages, combination, error, decision. With `fixed` the stage that only serves the error estimate is left out where noise forbids reusing it.
fn step_plan(system: &System, b: &Buffers, tableau: &Tableau, terms: &[usize], motion: Motion, fixed: bool) -> Plan {
    let noisy = terms.iter().any(|t| system.terms[*t].extra() == Extra::Noise);
    // Relaxation has no clock to extrapolate along.
    let ring = if motion == Motion::Llg { b.ring.map(|ring| ring.map(Ref::of)) } else { None };
    let reuse = tableau.fsal && !noisy && ring.is_none();
    let stages = tableau.c.len();
    let rate = |i: usize| if i == 0 { Ref::of(b.first) } else { Ref::of(b.stages[i - 1]) };
    // m of stage i: the state itself, the two temporaries in turn, or (last stage of a method that reuses it) the next state.
    let stage_m = |i: usize| match i {
        0 => Ref::of(b.m),
        i if tableau.fsal && i + 1 == stages => Ref::next(b.m),
        i => Ref::of(b.between[i % 2]),
    };
    let weights = |w: &[f64]| w.iter().enumerate().map(|(j, w)| (rate(j), *w)).collect::<Vec<_>>();
    let mut passes = vec![Pass::Control(Rule::Begin)];
    passes.extend(prepare_passes(system, b, terms, Ref::of(b.m), 0.0, true).into_iter().filter(|p| matches!(p, Pass::Noise(_))));
    passes.extend(ring.map(|ring| Pass::Sample { read: Ref::of(b.m), ring, predicted: Ref::of(b.demag) }));
    for i in 0..stages {
        let last = i + 1 == stages;
        let combine = if last {
            (!tableau.fsal).then(|| Combine { base: Ref::of(b.m), weights: weights(tableau.b), out: Ref::next(b.m) })
        } else {
            Some(Combine { base: Ref::of(b.m), weights: weights(tableau.a[i + 1]), out: stage_m(i + 1) })
        };
        if i == 0 && reuse {
            passes.extend(combine.map(Pass::Combine));
            continue;
        }
        if last && tableau.fsal && !reuse && fixed {
            continue;
        }
        match ring {
            Some(ring) => {
                passes.push(Pass::Extrapolate { ring, time: tableau.c[i], write: Ref::of(b.demag) });
                passes.extend(custom_pass(system, b, terms, stage_m(i), tableau.c[i]));
            }
            None => passes.extend(prepare_passes(system, b, terms, stage_m(i), tableau.c[i], false)),
        }
        let write = if last && reuse { Ref::next(b.first) } else { rate(i) };
        let error = (last && !fixed).then(|| {
            let mut w = weights(tableau.e);
            if let Some(own) = w.last_mut() {
                own.0 = write;
            }
            w
        });
        passes.push(Pass::Cells(Cells {
            combine,
            error,
            measure: last || i == 0,
            ..cells(b, stage_m(i), terms, tableau.c[i], motion, write)
        }));
    }
    passes.push(Pass::Control(Rule::End { order: f64::from(tableau.control_order) }));
    Plan { name: format!("{} step", tableau.name), passes }
}

/// One descent step: rotate along the rate, new rate, s and y, next step length.
fn minimise_plan(system: &System, b: &Buffers, terms: &[usize]) -> Plan {
    let (m, next) = (Ref::of(b.m), Ref::next(b.m));
    let (k, k_next) = (Ref::of(b.first), Ref::next(b.first));
    let mut passes = vec![Pass::Rotate { read: m, rate: k, out: next }];
    passes.extend(prepare_passes(system, b, terms, next, 0.0, false));
    passes.push(Pass::Cells(Cells { measure: true, ..cells(b, next, terms, 0.0, Motion::Damping, k_next) }));
    passes.push(Pass::Reduce(vec![
        Dot { a: (next, m), b: (next, m), into: 0 },
        Dot { a: (next, m), b: (k_next, k), into: 1 },
        Dot { a: (k_next, k), b: (k_next, k), into: 2 },
    ]));
    passes.push(Pass::Control(Rule::Descent));
    passes.push(Pass::Control(Rule::Accept));
    Plan { name: "descent step".into(), passes }
}
