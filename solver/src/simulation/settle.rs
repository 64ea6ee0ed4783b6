//! Coming to rest: relaxation and minimisation, in rounds, so that one can look, stop and take a checkpoint between two of them.
//!
//! Where a settling stands are the magnetisation, the rate that the next attempt begins with, the control blocks and what the rule remembers. The rate is kept
//! rather than computed anew: not every device computes it to the same bits.

use super::{Simulation, minimise_plan, start_plan, step_plan, still_terms};
use crate::tableau::RK23;
use spinloom_kernels::plan::Motion;
use spinloom_kernels::{Control, Material, Status, Term};

/// Attempts, or descent steps, of a round.
const ROUND: usize = 10;
/// Rounds after which a torque that has not fallen never will: rounding holds it up.
const PATIENCE: u64 = 200;

/// How to come to rest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rest {
    /// Damping without precession, first while the energy falls, then with ever smaller tolerance while the torque falls, as mumax3 does. With a threshold
    /// (T), damps until the largest torque is below it rather than while the energy falls.
    Relax {
        /// The threshold.
        threshold: Option<f64>,
    },
    /// Steepest descent with Barzilai–Borwein steps (Exl et al., J. Appl. Phys. 115, 17D118 (2014)), one replica after another, until no spin turns by more
    /// than a tolerance in some successive steps.
    Minimise {
        /// The largest turn (rad).
        tolerance: f64,
        /// How many successive steps, at least one.
        samples: u64,
        /// Steps after which it is given up.
        limit: u64,
    },
}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Rested {
    /// The largest remaining torque |m × B| (T) of each replica.
    pub torques: Vec<f64>,
    /// The steps each replica took; none where a minimisation was given up.
    pub taken: Vec<Option<u64>>,
    /// Steps of the replica that took most of a relaxation, of all together of a minimisation: as scripts count them.
    pub steps: u64,
}

/// What must fall in the next round of a relaxation, else the replica goes one stage further.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    Energy(f64),
    Above {
        limit: f64,
        least: f64,
        /// For how many rounds there has been no smaller torque.
        idle: u64,
    },
    Torque(f64),
    Over,
}

impl Stage {
    fn numbers(self) -> ([f64; 2], [u64; 2]) {
        match self {
            Self::Energy(e) => ([e, 0.0], [0, 0]),
            Self::Above { limit, least, idle } => ([limit, least], [1, idle]),
            Self::Torque(t) => ([t, 0.0], [2, 0]),
            Self::Over => ([0.0; 2], [3, 0]),
        }
    }

    fn of(f: &[f64], u: &[u64]) -> Self {
        match u[0] {
            0 => Self::Energy(f[0]),
            1 => Self::Above { limit: f[0], least: f[1], idle: u[1] },
            2 => Self::Torque(f[0]),
            _ => Self::Over,
        }
    }
}

/// A settling under way.
pub(super) struct Settling {
    how: Rest,
    /// The control blocks as they stood, put back at the end.
    before: Vec<Control>,
    /// What moves in time, held meanwhile.
    moving: Vec<Material>,
    /// Of a relaxation.
    stages: Vec<Stage>,
    /// Of a minimisation: the replica that descends, and for how many steps it has hardly turned.
    descends: usize,
    quiet: u64,
    rested: Rested,
}

/// Numbers of one replica in [`Simulation::settling_state`], besides its rate.
const FLOATS: usize = 17;
const INTEGERS: usize = 9;

impl Simulation {
    /// Relaxes every replica: [`Rest::Relax`]. The clocks are put back where they were. Thermal field and spin–orbit torque are left out.
    ///
    /// Returns the largest remaining torque |m × B| (T) of each replica.
    pub fn relax(&mut self) -> Vec<f64> {
        self.settle(Rest::Relax { threshold: None }).torques
    }

    /// Finds a minimum of the energy of every replica: [`Rest::Minimise`], over ten successive steps.
    ///
    /// Returns for each replica the steps taken, or `None` where the limit was reached.
    pub fn minimise(&mut self, tolerance: f64, limit: u64) -> Vec<Option<u64>> {
        self.settle(Rest::Minimise { tolerance, samples: 10, limit }).taken
    }

    /// Comes to rest without looking up.
    pub fn settle(&mut self, how: Rest) -> Rested {
        self.begin_settling(how);
        while self.go_on_settling() {}
        self.end_settling()
    }

    /// Begins to settle: [`Simulation::go_on_settling`] until it says no, then [`Simulation::end_settling`].
    pub fn begin_settling(&mut self, how: Rest) {
        let Some(mut s) = self.prepare_settling(how) else { return };
        let all: Vec<usize> = (0..self.replicas()).collect();
        match how {
            Rest::Relax { threshold } => {
                for r in &all {
                    let slot = s.before[*r].slot;
                    self.device.set_control(*r, Control { t_pause: f64::INFINITY, slot, ..Control::new() });
                }
                self.relax.iter().for_each(|(start, _)| self.device.replay(*start, 1));
                s.stages = match threshold {
                    Some(t) => all.iter().map(|r| Stage::Above { limit: t * self.gamma(*r), least: f64::INFINITY, idle: 0 }).collect(),
                    None => self.energies(&all, &self.still()).into_iter().map(Stage::Energy).collect(),
                };
            }
            Rest::Minimise { .. } => {
                for (r, control) in s.before.iter().enumerate() {
                    self.device.set_control(r, Control { status: Status::Due, ..*control });
                }
                self.begin_descent(0);
            }
        }
        self.settling = Some(s);
    }

    /// Takes a round; whether another is to follow.
    pub fn go_on_settling(&mut self) -> bool {
        let Some(mut s) = self.settling.take() else { return false };
        let more = match s.how {
            Rest::Relax { .. } => self.relax_round(&mut s),
            Rest::Minimise { tolerance, samples, limit } => self.descend(&mut s, tolerance, samples.max(1), limit),
        };
        self.settling = Some(s);
        more
    }

    /// Lets time go on as it was.
    pub fn end_settling(&mut self) -> Rested {
        let none = Rested { torques: vec![f64::NAN; self.replicas()], taken: vec![None; self.replicas()], steps: 0 };
        let Some(mut s) = self.settling.take() else { return none };
        if matches!(s.how, Rest::Relax { .. }) {
            for r in 0..self.replicas() {
                let after = self.put_back(&s, r);
                s.rested.torques[r] = after.torque / self.gamma(r);
                s.rested.taken[r] = Some(after.steps);
                s.rested.steps = s.rested.steps.max(after.steps);
            }
        }
        self.hold_time(Some(s.moving));
        self.stale.fill(true);
        (0..self.replicas()).for_each(|r| self.forget_samples(r));
        s.rested
    }

    /// The control block of a replica as it stands for all but a settling under way.
    pub fn outside(&self, replica: usize) -> Control {
        let now = self.control(replica);
        match &self.settling {
            Some(s) if matches!(s.how, Rest::Relax { .. }) || s.descends == replica => Control { slot: now.slot, ..s.before[replica] },
            _ => now,
        }
    }

    /// Where a settling stands that is under way, besides the magnetisation: for [`Simulation::resume_settling`].
    pub fn settling_state(&self) -> Option<(Vec<f64>, Vec<u64>)> {
        let s = self.settling.as_ref()?;
        let (mut floats, mut integers) = match s.how {
            Rest::Relax { threshold } => (vec![threshold.unwrap_or(f64::NAN)], vec![0, 0, 0]),
            Rest::Minimise { tolerance, samples, limit } => (vec![tolerance], vec![1, samples, limit]),
        };
        integers.extend([s.descends as u64, s.quiet, s.rested.steps]);
        for r in 0..self.replicas() {
            let (f, u) = self.control(r).numbers();
            let (stage, turn) = s.stages.get(r).map_or(([0.0; 2], [0; 2]), |stage| stage.numbers());
            floats.extend(f.into_iter().chain(stage).chain([s.rested.torques[r]]));
            floats.extend(self.device.download(r, self.buffers.first, false));
            integers.extend(u.into_iter().chain(turn).chain([u64::from(s.rested.taken[r].is_some()), s.rested.taken[r].unwrap_or(0)]));
        }
        Some((floats, integers))
    }

    /// Goes on with a settling, to the same bits, once everything else is as it was when it began, and the magnetisation as it was in between; false if the
    /// numbers are not of such a simulation.
    pub fn resume_settling(&mut self, floats: &[f64], integers: &[u64]) -> bool {
        let (n, rate) = (self.replicas(), 3 * self.system.mesh.cells());
        if floats.len() != 1 + n * (FLOATS + rate) || integers.len() != 6 + n * INTEGERS || integers[3] > n as u64 {
            return false;
        }
        let how = match integers[0] {
            0 => Rest::Relax { threshold: Some(floats[0]).filter(|t| !t.is_nan()) },
            _ => Rest::Minimise { tolerance: floats[0], samples: integers[1], limit: integers[2] },
        };
        let Some(mut s) = self.prepare_settling(how) else { return false };
        (s.descends, s.quiet, s.rested.steps) = (integers[3] as usize, integers[4], integers[5]);
        for (r, (f, u)) in floats[1..].chunks(FLOATS + rate).zip(integers[6..].chunks(INTEGERS)).enumerate() {
            let control = self.control(r);
            self.device.set_control(r, control.with_numbers(f, u));
            self.device.upload(r, self.buffers.first, false, &f[FLOATS..]);
            s.stages.push(Stage::of(&f[14..], &u[5..]));
            s.rested.torques[r] = f[16];
            s.rested.taken[r] = (u[7] == 1).then_some(u[8]);
        }
        self.settling = Some(s);
        true
    }

    /// The plans of a settling, its time held; none if the device refuses.
    fn prepare_settling(&mut self, how: Rest) -> Option<Settling> {
        let terms = still_terms(&self.system);
        let start = start_plan(&self.system, &self.buffers, &terms, Motion::Damping);
        match how {
            Rest::Relax { .. } if self.relax.is_none() => {
                let plan = step_plan(&self.system, &self.buffers, &RK23, &terms, Motion::Damping, false);
                self.relax = Some(self.prepare(&start).zip(self.prepare(&plan))?);
            }
            Rest::Minimise { .. } if self.minimise.is_none() => {
                let plan = minimise_plan(&self.system, &self.buffers, &terms);
                self.minimise = Some(self.prepare(&start).zip(self.prepare(&plan))?);
            }
            _ => {}
        }
        let before = (0..self.replicas()).map(|r| self.device.control(r)).collect();
        let rested = Rested { torques: vec![f64::NAN; self.replicas()], taken: vec![None; self.replicas()], steps: 0 };
        Some(Settling { how, before, moving: self.hold_time(None), stages: Vec::new(), descends: 0, quiet: 0, rested })
    }

    /// The energies that settling follows.
    fn still(&self) -> Vec<Term> {
        still_terms(&self.system).into_iter().map(|i| self.system.terms[i]).collect()
    }

    fn relax_round(&mut self, s: &mut Settling) -> bool {
        let Some((_, attempt)) = self.relax else { return false };
        if s.stages.iter().all(|stage| *stage == Stage::Over) {
            return false;
        }
        self.device.replay(attempt, ROUND);
        let by_energy: Vec<usize> = (0..self.replicas()).filter(|r| matches!(s.stages[*r], Stage::Energy(_))).collect();
        let mut energies = self.energies(&by_energy, &self.still()).into_iter();
        for (r, stage) in s.stages.iter_mut().enumerate() {
            let mut control = self.device.control(r);
            *stage = match *stage {
                Stage::Energy(last) => match energies.next() {
                    Some(e) if e < last => Stage::Energy(e),
                    _ => Stage::Torque(control.torque),
                },
                Stage::Above { limit, least, idle } if control.torque > limit && control.status == Status::Running && idle < PATIENCE => {
                    let idle = if control.torque < least { 0 } else { idle + 1 };
                    Stage::Above { limit, least: least.min(control.torque), idle }
                }
                Stage::Above { .. } => Stage::Torque(control.torque),
                Stage::Torque(last) if control.torque < last => Stage::Torque(control.torque),
                Stage::Torque(last) if control.max_err > 1e-9 && control.status == Status::Running => {
                    control.max_err /= std::f64::consts::SQRT_2;
                    self.device.set_control(r, control);
                    Stage::Torque(last)
                }
                Stage::Torque(_) => {
                    self.device.set_control(r, Control { status: Status::Due, ..control });
                    Stage::Over
                }
                Stage::Over => Stage::Over,
            };
        }
        s.stages.iter().any(|stage| *stage != Stage::Over)
    }

    /// Lets one replica descend, from a control block of its own; the others wait.
    fn begin_descent(&mut self, replica: usize) {
        let slot = self.device.control(replica).slot;
        self.device.set_control(replica, Control { slot, ..Control::new() });
        self.minimise.iter().for_each(|(start, _)| self.device.replay(*start, 1));
    }

    fn descend(&mut self, s: &mut Settling, tolerance: f64, samples: u64, limit: u64) -> bool {
        let Some((_, plan)) = self.minimise else { return false };
        let r = s.descends;
        if r >= self.replicas() {
            return false;
        }
        let gamma = self.gamma(r);
        let mut over = limit == 0;
        for _ in 0..ROUND {
            if over {
                break;
            }
            self.device.replay(plan, 1);
            let c = self.device.control(r);
            if c.status != Status::Running || self.trouble().is_some() {
                over = true;
                break;
            }
            // The turn of the step just taken: the rate it was taken along is one evaluation old, but both shrink together.
            s.quiet = if c.torque / gamma * c.descent < tolerance { s.quiet + 1 } else { 0 };
            if s.quiet >= samples {
                s.rested.taken[r] = Some(c.steps);
            }
            over = s.quiet >= samples || c.steps >= limit;
        }
        if over {
            let after = self.put_back(s, r);
            self.device.set_control(r, Control { status: Status::Due, ..self.device.control(r) });
            s.rested.torques[r] = after.torque / gamma;
            s.rested.steps += after.steps;
            (s.descends, s.quiet) = (r + 1, 0);
            if s.descends < self.replicas() {
                self.begin_descent(s.descends);
            } else {
                for (r, control) in s.before.iter().enumerate() {
                    self.device.set_control(r, Control { status: control.status, ..self.device.control(r) });
                }
            }
        }
        s.descends < self.replicas()
    }

    /// Gives a replica its control block back; the one it settled with.
    fn put_back(&mut self, s: &Settling, replica: usize) -> Control {
        let after = self.device.control(replica);
        let before = s.before[replica];
        self.device.set_control(replica, Control { slot: after.slot, evaluations: before.evaluations + after.evaluations, ..before });
        after
    }
}
