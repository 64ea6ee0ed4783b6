//! Runs an experiment: steps every replica through its protocol, writes the record, commits so often that a kill costs seconds.

use crate::experiment::{Experiment, Phase, Settle};
use crate::live::{About, Live};
use crate::quantities::Source;
use crate::readout::{Wall, charge, skyrmion, wall};
use crate::simulation::{Rest, Simulation, Step, threads};
use crate::surroundings::{Around, Surroundings};
use rayon::prelude::*;
use spinloom_base::{Diagnostic, Problems};
use spinloom_kernels::{Control, PARAMETERS, ParameterId, Status, Term};
use spinloom_record::{
    Checkpoint, Choice, Column, Coordinate, Event, Frame, Header, Mesh, Options, Ovf, OvfFormat, Parameter, Precision, Replica, Resumed,
    Volatile, Writer,
};
use std::cell::LazyCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How to run.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// Whether to continue what is in the folder.
    pub resume: bool,
    /// Whether to replace what is in the folder.
    pub overwrite: bool,
    /// Whether to continue although program, device or choices that affect rounding differ.
    pub allow_different: bool,
    /// Whether every term gets a pass of its own: [`Simulation::take_apart`].
    pub unfused: bool,
    /// Wall-clock time between commits.
    pub commit_every: Duration,
    /// Set from elsewhere (by a signal): the run commits at its next row and returns. What lies there can be resumed.
    pub stop: Arc<AtomicBool>,
    /// Who watches, if anybody may.
    pub live: Option<Arc<Live>>,
    /// How the record is written; for tests of what a kill leaves behind.
    pub record: Options,
}

impl Default for RunOptions {
    fn default() -> Self {
        Self {
            resume: false,
            overwrite: false,
            allow_different: false,
            unfused: false,
            commit_every: Duration::from_secs(5),
            stop: Arc::default(),
            live: None,
            record: Options::default(),
        }
    }
}

/// Where a run stands.
#[derive(Clone, Debug)]
pub struct Progress {
    /// What it is doing, in a word or two.
    pub stage: &'static str,
    /// Replicas that have finished.
    pub finished: usize,
    /// All replicas.
    pub replicas: usize,
    /// Simulated time of all replicas together (s).
    pub simulated: f64,
    /// The same if every phase lasts as long as it may (s).
    pub longest: f64,
    /// Evaluations of the right-hand side so far, all replicas.
    pub evaluations: u64,
    /// Wall-clock time so far.
    pub elapsed: Duration,
}

/// What a run did.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The record.
    pub record: PathBuf,
    /// Whether it is finished; otherwise the run was stopped and can be resumed.
    pub finished: bool,
    /// Evaluations of the right-hand side, all replicas.
    pub evaluations: u64,
    /// Simulated time, all replicas (s).
    pub simulated: f64,
    /// Wall-clock time of this part of the run.
    pub elapsed: Duration,
    /// How the replicas and cells were laid out on the device.
    pub layout: String,
}

/// Wall-clock time between reports.
const TELL_EVERY: Duration = Duration::from_millis(300);
/// What a checkpoint of a run that still settles holds.
const SETTLING: &str = "settling";

/// Where a replica stands in its protocol.
#[derive(Clone, Debug, Default)]
struct Cursor {
    phase: usize,
    phase_start: f64,
    /// Rows written in this phase.
    rows: u64,
    pictures: u64,
    last_wall: Option<(f64, f64)>,
    done: bool,
    visited: Vec<u64>,
}

/// Runs an experiment into a folder. `monitor` is called a few times a second.
///
/// # Errors
/// A record in the way, a full disk, a device that cannot, a not-a-number (with its place; what was committed before stays), or a resume that would not give the same bits.
pub fn run(experiment: &Experiment, dir: &Path, options: &RunOptions, monitor: &mut dyn FnMut(&Progress)) -> Result<Outcome, Problems> {
    let clock = Instant::now();
    let trouble = |e: &dyn std::fmt::Display| Problems::from(Diagnostic::error(e.to_string()));
    let mut arounds: Vec<Around> = experiment.surroundings.iter().enumerate().map(|(r, s)| Around::new(s, &experiment.system, r)).collect();
    let mut system = experiment.system.clone();
    arounds.iter().enumerate().for_each(|(r, around)| around.make_room(&mut system, r));
    let mut sim = Simulation::with_demag_every(system, experiment.device, experiment.tableau, experiment.step, experiment.demag_every)
        .map_err(|e| trouble(&e))?;
    if options.unfused {
        sim.take_apart().map_err(|e| trouble(&e))?;
    }
    let header = header(experiment, &sim);
    let mut record_options = options.record.clone();
    record_options.overwrite = options.overwrite;
    let mut cursors = vec![Cursor::default(); sim.replicas()];
    let progress = |sim: &Simulation, cursors: &[Cursor], stage| Progress {
        stage,
        finished: cursors.iter().filter(|c| c.done).count(),
        replicas: cursors.len(),
        simulated: (0..sim.replicas()).map(|r| sim.outside(r).t).sum(),
        longest: cursors
            .iter()
            .enumerate()
            .map(|(r, c)| {
                if c.done {
                    sim.control(r).t
                } else {
                    c.phase_start + experiment.protocol[r][c.phase..].iter().map(|p| p.duration).sum::<f64>()
                }
            })
            .sum(),
        evaluations: (0..sim.replicas()).map(|r| sim.control(r).evaluations).sum(),
        elapsed: clock.elapsed(),
    };

    let begun = if options.resume {
        match Writer::resume(dir, record_options)? {
            Resumed::Finished(record) => {
                return Ok(Outcome {
                    record,
                    finished: true,
                    evaluations: 0,
                    simulated: 0.0,
                    elapsed: clock.elapsed(),
                    layout: "nothing left to do".into(),
                });
            }
            Resumed::Unfinished { writer, header: before, checkpoint } => {
                if !options.allow_different {
                    same_bits(&before, &header)?;
                }
                (*writer, checkpoint)
            }
        }
    } else {
        (Writer::create(dir, header, record_options)?, None)
    };
    let (mut writer, checkpoint) = begun;
    if let Some(live) = &options.live {
        let columns = [("t", "s"), ("phase", "1")].map(|(n, u)| (n.to_string(), u.to_string()));
        let columns = columns.into_iter().chain(experiment.columns.iter().map(|q| (q.name.clone(), q.unit.clone()))).collect();
        let (mesh, replicas) = (experiment.system.mesh, labels(experiment, sim.replicas()));
        live.begin(About { name: experiment.name.clone(), n: mesh.n, cell: mesh.cell, replicas, columns, editable: true });
    }
    // What who watches has set, after the phases of the protocol: a resumed run sets it again.
    let mut edits: Vec<(String, Phase)> = Vec::new();
    let mut committed = Instant::now();
    let mut told = Instant::now();
    match checkpoint {
        Some(checkpoint) if !checkpoint.arrays.contains_key(SETTLING) => {
            for text in checkpoint.text.get("edits").map_or("", String::as_str).lines() {
                edits.push((text.to_string(), experiment.edit(text)?));
            }
            restore(experiment, &edits, &mut sim, &mut arounds, &mut cursors, &checkpoint)?;
        }
        halfway => {
            for (r, around) in arounds.iter_mut().enumerate() {
                sim.set_m(r, &experiment.start(r));
                around.apply(&mut sim, r, 0.0);
            }
            let how = match experiment.settle {
                Settle::No => None,
                Settle::Relax => Some((Rest::Relax { threshold: None }, "relaxing")),
                Settle::Minimise => Some((Rest::Minimise { tolerance: 1e-6, samples: 10, limit: 100_000 }, "minimising")),
            };
            if let Some((how, stage)) = how {
                monitor(&progress(&sim, &cursors, stage));
                match &halfway {
                    Some(checkpoint) => settle_again(&mut sim, checkpoint)?,
                    None => sim.begin_settling(how),
                }
                while sim.go_on_settling() {
                    still_whole(&sim)?;
                    if let Some(live) = &options.live {
                        live.look(&sim, &options.stop, &mut |sim| save_field(experiment, sim, dir));
                    }
                    if told.elapsed() > TELL_EVERY {
                        let p = progress(&sim, &cursors, stage);
                        monitor(&p);
                        options.live.iter().for_each(|l| l.progress(&p));
                        told = Instant::now();
                    }
                    let stop = options.stop.load(Ordering::Relaxed);
                    if stop || committed.elapsed() > options.commit_every {
                        writer.commit(&save_settling(&sim))?;
                        committed = Instant::now();
                    }
                    if stop {
                        writer.wait()?;
                        return Ok(outcome(dir.join("run.h5"), false, &progress(&sim, &cursors, "stopped"), &sim));
                    }
                }
                sim.end_settling();
            }
            still_whole(&sim)?;
            for r in 0..sim.replicas() {
                enter(experiment, &mut sim, &mut arounds[r], &mut cursors[r], r, 0, &mut writer)?;
                let sight = look(experiment, &sim, &[r]).remove(0);
                let row = row(experiment, &mut sim, &mut arounds[r], &cursors[r], r, &sight);
                cursors[r].last_wall = Some((0.0, sight.wall.x));
                write_row(&mut writer, options.live.as_deref(), r, 0.0, 0, row)?;
                picture(experiment, &sim, &arounds[r], &mut cursors[r], r, 0.0, &mut writer)?;
            }
            still_whole(&sim)?;
            writer.commit(&save(&sim, &arounds, &cursors, &edits))?;
            committed = Instant::now();
        }
    }

    while cursors.iter().any(|c| !c.done) {
        for (r, c) in cursors.iter().enumerate().filter(|(_, c)| !c.done) {
            let phase = &experiment.protocol[r][c.phase];
            let pause = arounds[r].pause(sim.control(r).t, c.phase_start).min(next_row(experiment, c, phase.duration));
            arounds[r].begin(&mut sim, r, pause);
            sim.run_to(r, pause);
        }
        match &options.live {
            Some(live) => sim.advance_watched(|sim| live.look(sim, &options.stop, &mut |sim| save_field(experiment, sim, dir))),
            None => sim.advance(),
        }
        still_whole(&sim)?;
        let mut due = Vec::new();
        for r in 0..sim.replicas() {
            if cursors[r].done {
                continue;
            }
            let control = sim.control(r);
            if control.status == Status::NotANumber {
                return Err(not_a_number(&mut sim, r));
            }
            let was_beyond = arounds[r].beyond().is_some();
            arounds[r].end(&mut sim, r);
            if let (false, Some(detail)) = (was_beyond, arounds[r].beyond()) {
                writer.event(Event {
                    replica: r,
                    t: control.t,
                    kind: "beyond Curie point".into(),
                    value: cursors[r].phase as f64,
                    detail,
                })?;
            }
            let phase = &experiment.protocol[r][cursors[r].phase];
            if control.t < next_row(experiment, &cursors[r], phase.duration) {
                // A waveform jumped on the way, or the surroundings took a step.
                continue;
            }
            due.push(r);
        }
        // Read in parallel, a few at a time for their memory; written in order.
        for some in due.chunks(4 * threads()) {
            for (r, sight) in some.iter().copied().zip(look(experiment, &sim, some)) {
                settle_row(experiment, &mut sim, &mut arounds[r], &mut cursors[r], r, sight, &mut writer, options.live.as_deref())?;
            }
        }
        while let Some((live, text)) = options.live.as_ref().and_then(|l| Some((l, l.to_set()?))) {
            let text = text.replace('\n', " ");
            match experiment.edit(&text) {
                Ok(edit) => {
                    let number = (experiment.protocol[0].len() + edits.len()) as u64;
                    let moving: Vec<usize> = (0..sim.replicas()).filter(|r| !cursors[*r].done).collect();
                    for r in moving {
                        cursors[r].visited.push(number);
                        arounds[r].set(&edit);
                        let t = sim.control(r).t;
                        arounds[r].apply(&mut sim, r, t);
                        writer.event(Event { replica: r, t, kind: "edit".into(), value: 0.0, detail: text.clone() })?;
                    }
                    live.say(format!("set {text}"));
                    edits.push((text, edit));
                }
                Err(e) => live.say(format!("{text}: {e}")),
            }
        }
        if told.elapsed() > TELL_EVERY {
            let p = progress(&sim, &cursors, "running");
            monitor(&p);
            options.live.iter().for_each(|l| l.progress(&p));
            told = Instant::now();
        }
        let stop = options.stop.load(Ordering::Relaxed) && cursors.iter().any(|c| !c.done);
        if stop || committed.elapsed() > options.commit_every {
            still_whole(&sim)?;
            writer.commit(&save(&sim, &arounds, &cursors, &edits))?;
            committed = Instant::now();
        }
        if stop {
            writer.wait()?;
            return Ok(outcome(dir.join("run.h5"), false, &progress(&sim, &cursors, "stopped"), &sim));
        }
    }
    still_whole(&sim)?;
    let last = progress(&sim, &cursors, "writing");
    monitor(&last);
    Ok(outcome(writer.finish()?, true, &last, &sim))
}

fn outcome(record: PathBuf, finished: bool, p: &Progress, sim: &Simulation) -> Outcome {
    let layout = sim.device().info().layout;
    Outcome { record, finished, evaluations: p.evaluations, simulated: p.simulated, elapsed: p.elapsed, layout }
}

/// Nothing that a failed device says goes into the record: what was committed before stays, and can be resumed.
fn still_whole(sim: &Simulation) -> Result<(), Problems> {
    let Some(e) = sim.trouble() else { return Ok(()) };
    Err(Diagnostic::error(e.to_string())
        .hint("what was committed before is whole: continue it with --resume, or on another --device with --allow-different")
        .into())
}

/// When the next row of a phase is due: every so often, and at its end. A row that would miss the end by rounding alone is the end's.
fn next_row(experiment: &Experiment, cursor: &Cursor, duration: f64) -> f64 {
    let after = (cursor.rows + 1) as f64 * experiment.every;
    cursor.phase_start + if after > duration * (1.0 - 1e-9) { duration } else { after }
}

/// Writes the row a replica is due for, and moves it on if a condition or the end of its phase says so.
fn settle_row(
    experiment: &Experiment,
    sim: &mut Simulation,
    around: &mut Around,
    cursor: &mut Cursor,
    r: usize,
    sight: Sight,
    writer: &mut Writer,
    live: Option<&Live>,
) -> Result<(), Problems> {
    let t = sim.control(r).t;
    let phase = &experiment.protocol[r][cursor.phase];
    around.show(sim, r);
    let values = row(experiment, sim, around, cursor, r, &sight);
    still_whole(sim)?;
    cursor.last_wall = Some((t, sight.wall.x));
    cursor.rows += 1;
    write_row(writer, live, r, t, cursor.phase, values.clone())?;
    picture(experiment, sim, around, cursor, r, t, writer)?;
    if let Some(condition) = experiment.abort.iter().find(|c| c.met(&values)) {
        cursor.done = true;
        return writer.event(Event { replica: r, t, kind: "abort".into(), value: cursor.phase as f64, detail: condition.words() });
    }
    let exit = phase.exits.iter().find(|(c, _)| c.met(&values));
    let over = t >= cursor.phase_start + phase.duration;
    let (why, next) = match exit {
        Some((condition, next)) => (condition.words(), *next),
        None if over => ("time".into(), cursor.phase + 1),
        None => return Ok(()),
    };
    writer.event(Event { replica: r, t, kind: "end".into(), value: cursor.phase as f64, detail: format!("{} {why}", phase.name) })?;
    if next < experiment.protocol[r].len() {
        enter(experiment, sim, around, cursor, r, next, writer)?;
    } else {
        cursor.done = true;
    }
    Ok(())
}

/// Begins a phase: its parameters, its clock, its event.
fn enter(
    experiment: &Experiment,
    sim: &mut Simulation,
    around: &mut Around,
    cursor: &mut Cursor,
    r: usize,
    phase: usize,
    writer: &mut Writer,
) -> Result<(), Problems> {
    let t = sim.control(r).t;
    (cursor.phase, cursor.phase_start, cursor.rows) = (phase, t, 0);
    cursor.visited.push(phase as u64);
    around.set(&experiment.protocol[r][phase]);
    if let Some(age) = &experiment.protocol[r][phase].age {
        around.age(sim, r, age);
        let [from, to] = age.temperature;
        writer.event(Event { replica: r, t, kind: "age".into(), value: age.time, detail: format!("{from} K to {to} K") })?;
    }
    around.apply(sim, r, t);
    let name = experiment.protocol[r][phase].name.clone();
    writer.event(Event { replica: r, t, kind: "start".into(), value: phase as f64, detail: name })
}

/// What is seen of a magnetisation.
struct Sight {
    wall: Wall,
    /// Values of the columns that follow from m alone; of others not a number.
    columns: Vec<f64>,
}

/// Looks at some replicas, in parallel.
fn look(experiment: &Experiment, sim: &Simulation, replicas: &[usize]) -> Vec<Sight> {
    let states: Vec<Vec<f64>> = replicas.iter().map(|r| sim.m(*r)).collect();
    let mesh = experiment.system.mesh;
    let cells = mesh.cells();
    let one = |r: usize, m: &[f64]| {
        let regions = experiment.system.regions_of(r);
        let magnet = |i: &usize| regions.cells[*i] != spinloom_kernels::RegionMap::VACUUM;
        let solid = (0..cells).filter(magnet).map(|i| mesh.weight(i)).sum::<f64>().max(f64::MIN_POSITIVE);
        let wall: Wall = wall(&mesh, regions, m);
        // Vacuum has m = 0.
        let mean = |c: usize, region: Option<u16>| {
            let of = |i: &usize| region.is_none_or(|r| regions.cells[*i] == r);
            let total = if region.is_none() { solid } else { (0..cells).filter(of).map(|i| mesh.weight(i)).sum::<f64>() };
            (0..cells).filter(of).map(|i| mesh.weight(i) * m[c * cells + i]).sum::<f64>() / total
        };
        // Once for all its columns, and not where there are none.
        let skyrmion = LazyCell::new(|| skyrmion(&mesh, regions, m));
        let value = |source: &Source| match source {
            Source::Mean(c, region) => mean(*c, *region),
            Source::Wall(part) => part.of(&wall),
            Source::Charge => charge(&mesh, regions, m),
            Source::Skyrmion(part) => skyrmion[*part],
            _ => f64::NAN,
        };
        Sight { columns: experiment.columns.iter().map(|q| value(&q.source)).collect(), wall }
    };
    (0..replicas.len()).into_par_iter().map(|k| one(replicas[k], &states[k])).collect()
}

/// The values of all columns after `t` and `phase`.
fn row(experiment: &Experiment, sim: &mut Simulation, around: &mut Around, cursor: &Cursor, r: usize, sight: &Sight) -> Vec<f64> {
    let control = sim.control(r);
    experiment
        .columns
        .iter()
        .zip(&sight.columns)
        .map(|(q, seen)| match &q.source {
            Source::Mean(..) | Source::Wall(_) | Source::Charge | Source::Skyrmion(_) => *seen,
            Source::Log(i) => experiment.protocol[r][cursor.phase].log.iter().find(|(j, _)| j == i).map_or(0.0, |(_, v)| *v),
            Source::WallVelocity => cursor.last_wall.map_or(f64::NAN, |(t0, x0)| (sight.wall.x - x0) / (control.t - t0)),
            Source::Energy(None) => sim.total_energy(r),
            Source::Energy(Some(group)) => {
                let terms: Vec<Term> = Term::ALL.iter().copied().filter(|t| t.info().group == *group).collect();
                sim.energy(r, &terms)
            }
            Source::MaxTorque => control.torque / sim.system.replicas[r].material.regions[0].scalar(ParameterId::GammaLl),
            Source::Step => control.dt,
            Source::Surrounding(part) => around.column(*part, sim, r),
        })
        .collect()
}

fn write_row(writer: &mut Writer, live: Option<&Live>, r: usize, t: f64, phase: usize, values: Vec<f64>) -> Result<(), Problems> {
    let mut all = vec![t, phase as f64];
    all.extend(values);
    live.iter().for_each(|l| l.row(r, &all));
    writer.row(r, &all)
}

/// Stores m if its time has come. The record wants components innermost.
fn picture(
    experiment: &Experiment,
    sim: &Simulation,
    around: &Around,
    cursor: &mut Cursor,
    r: usize,
    t: f64,
    writer: &mut Writer,
) -> Result<(), Problems> {
    let Some(every) = experiment.pictures else { return Ok(()) };
    if t < cursor.pictures as f64 * every * (1.0 - 1e-9) {
        return Ok(());
    }
    cursor.pictures = (t / every * (1.0 + 1e-9)) as u64 + 1;
    let m = sim.m(r);
    let cells = m.len() / 3;
    let interleaved: Vec<f64> = (0..m.len()).map(|i| m[i % 3 * cells + i / 3]).collect();
    writer.frame("m", "", r, t, 3, &interleaved)?;
    for (name, unit, components, values) in around.pictures() {
        writer.frame(&name, unit, r, t, components, &values)?;
    }
    Ok(())
}

/// Everything a run continues from.
fn save(sim: &Simulation, arounds: &[Around], cursors: &[Cursor], edits: &[(String, Phase)]) -> Checkpoint {
    let mut c = Checkpoint::default();
    if !edits.is_empty() {
        c.text.insert("edits".into(), edits.iter().map(|(text, _)| text.as_str()).collect::<Vec<_>>().join("\n"));
    }
    let controls: Vec<Control> = (0..sim.replicas()).map(|r| sim.control(r)).collect();
    for entry in sim.state() {
        c.arrays.insert(entry.name.into(), (0..sim.replicas()).flat_map(|r| sim.read_state(r, entry)).collect());
    }
    c.arrays.insert("control".into(), controls.iter().flat_map(|c| [c.t, c.dt, c.dt_now, c.err, c.torque]).collect());
    c.integers.insert("control".into(), controls.iter().flat_map(|c| [c.steps, c.attempts, c.evaluations]).collect());
    c.arrays.insert("sampling".into(), controls.iter().flat_map(|c| [c.sampling.every].into_iter().chain(c.sampling.times)).collect());
    c.integers.insert(
        "sampling".into(),
        controls.iter().flat_map(|c| [u64::from(c.sampling.count), u64::from(c.sampling.newest), c.sampling.taken]).collect(),
    );
    c.arrays.insert(
        "cursor".into(),
        cursors
            .iter()
            .flat_map(|c| [c.phase_start, c.last_wall.map_or(f64::NAN, |l| l.0), c.last_wall.map_or(f64::NAN, |l| l.1)])
            .collect(),
    );
    c.integers.insert(
        "cursor".into(),
        cursors.iter().flat_map(|c| [c.phase as u64, c.rows, c.pictures, u64::from(c.done), u64::from(c.last_wall.is_some())]).collect(),
    );
    // Replicas have as many grains as they have: how long their parts are stands beside them.
    for (k, (name, _)) in arounds.first().map(Around::state).unwrap_or_default().into_iter().enumerate() {
        let parts: Vec<Vec<f64>> = arounds.iter().map(|a| a.state().swap_remove(k).1).collect();
        c.integers.insert(name.clone(), parts.iter().map(|p| p.len() as u64).collect());
        c.arrays.insert(name, parts.concat());
    }
    c.integers.insert("visits".into(), cursors.iter().map(|c| c.visited.len() as u64).collect());
    c.integers.insert("visited".into(), cursors.iter().flat_map(|c| c.visited.iter().copied()).collect());
    c
}

/// The same before the protocol has begun.
fn save_settling(sim: &Simulation) -> Checkpoint {
    let mut c = Checkpoint::default();
    let m = &sim.state()[0];
    c.arrays.insert(m.name.into(), (0..sim.replicas()).flat_map(|r| sim.read_state(r, m)).collect());
    if let Some((floats, integers)) = sim.settling_state() {
        c.arrays.insert(SETTLING.into(), floats);
        c.integers.insert(SETTLING.into(), integers);
    }
    c
}

/// Goes on with a settling that was cut off.
fn settle_again(sim: &mut Simulation, c: &Checkpoint) -> Result<(), Problems> {
    let m = sim.state()[0];
    let (values, len) = (c.arrays.get(m.name).map_or(&[][..], Vec::as_slice), 3 * sim.system.mesh.cells());
    let fits = values.len() == sim.replicas() * len;
    if fits {
        (0..sim.replicas()).for_each(|r| sim.restore_state(r, &m, &values[r * len..(r + 1) * len]));
    }
    match (c.arrays.get(SETTLING), c.integers.get(SETTLING)) {
        (Some(floats), Some(integers)) if fits && sim.resume_settling(floats, integers) => Ok(()),
        _ => Err(foreign()),
    }
}

fn foreign() -> Problems {
    Diagnostic::error("the checkpoint does not belong to this experiment").hint("run it anew into another folder").into()
}

fn restore(
    experiment: &Experiment,
    edits: &[(String, Phase)],
    sim: &mut Simulation,
    arounds: &mut [Around],
    cursors: &mut [Cursor],
    c: &Checkpoint,
) -> Result<(), Problems> {
    let n = sim.replicas();
    let len = 3 * sim.system.mesh.cells();
    let none_f: Vec<f64> = Vec::new();
    let none_u: Vec<u64> = Vec::new();
    let array = |name: &str| c.arrays.get(name).unwrap_or(&none_f);
    let integer = |name: &str| c.integers.get(name).unwrap_or(&none_u);
    let visits: u64 = integer("visits").iter().sum();
    let state = sim.state().to_vec();
    let fits = state.iter().all(|e| array(e.name).len() == n * len)
        && array("control").len() == 5 * n
        && integer("control").len() == 3 * n
        && array("sampling").len() == 4 * n
        && integer("sampling").len() == 3 * n
        && array("cursor").len() == 3 * n
        && integer("cursor").len() == 5 * n
        && integer("visits").len() == n
        && integer("visited").len() as u64 == visits
        && integer("visited").iter().all(|p| (*p as usize) < experiment.protocol[0].len() + edits.len());
    if !fits {
        return Err(foreign());
    }
    let names: Vec<String> = arounds.first().map(Around::state).unwrap_or_default().into_iter().map(|e| e.0).collect();
    let mut from = vec![0; names.len()];
    let mut visited = integer("visited").iter();
    for (r, cursor) in cursors.iter_mut().enumerate() {
        let (f, u) = (&array("control")[5 * r..], &integer("control")[3 * r..]);
        let mut control = sim.control(r);
        (control.t, control.dt, control.dt_now, control.err, control.torque) = (f[0], f[1], f[2], f[3], f[4]);
        (control.steps, control.attempts, control.evaluations, control.status) = (u[0], u[1], u[2], Status::Due);
        sim.set_control(r, control);
        for entry in &state {
            sim.restore_state(r, entry, &array(entry.name)[r * len..(r + 1) * len]);
        }
        let (f, u) = (&array("cursor")[3 * r..], &integer("cursor")[5 * r..]);
        *cursor = Cursor {
            phase: u[0] as usize,
            phase_start: f[0],
            rows: u[1],
            pictures: u[2],
            done: u[3] == 1,
            last_wall: (u[4] == 1).then_some((f[1], f[2])),
            visited: visited.by_ref().take(integer("visits")[r] as usize).copied().collect(),
        };
        for phase in &cursor.visited {
            let own = &experiment.protocol[r];
            arounds[r].set(own.get(*phase as usize).unwrap_or_else(|| &edits[*phase as usize - own.len()].1));
        }
        let entries: Option<Vec<Vec<f64>>> = names
            .iter()
            .zip(&mut from)
            .map(|(name, from)| {
                let begin = *from;
                *from += *integer(name).get(r)? as usize;
                array(name).get(begin..*from).map(<[f64]>::to_vec)
            })
            .collect();
        if !entries.is_some_and(|e| arounds[r].restore(&e)) {
            return Err(foreign());
        }
        let t = sim.control(r).t;
        arounds[r].apply(sim, r, t);
        // The samples of the demagnetising field came back with the state; applying the parameters has forgotten that they hold.
        let (f, u) = (&array("sampling")[4 * r..], &integer("sampling")[3 * r..]);
        let mut control = sim.control(r);
        let sampling = &mut control.sampling;
        (sampling.every, sampling.times) = (f[0], [f[1], f[2], f[3]]);
        (sampling.count, sampling.newest, sampling.taken) = (u[0].min(3) as u8, (u[1] % 3) as u8, u[2]);
        sim.set_control(r, control);
    }
    Ok(())
}

/// Refuses to continue where the bits would differ.
fn same_bits(before: &Header, now: &Header) -> Result<(), Problems> {
    let mut problems = Problems::new();
    let mut compare = |what: &str, a: String, b: String| {
        if a != b {
            problems.push(
                Diagnostic::error(format!("{what} was {a} and is {b} now"))
                    .hint("resume where it is the same, or say --allow-different and accept other bits"),
            );
        }
    };
    compare("the experiment", before.source.sha256(), now.source.sha256());
    compare("the program", format!("{} {}", before.program, before.version), format!("{} {}", now.program, now.version));
    compare("the device", before.device.clone(), now.device.clone());
    compare("the precision", before.precision.name().into(), now.precision.name().into());
    for choice in &now.choices {
        let old = before.choices.iter().find(|c| c.key == choice.key).map_or("absent", |c| &c.value);
        compare(&choice.key, old.into(), choice.value.clone());
    }
    for gone in before.choices.iter().filter(|c| now.choices.iter().all(|n| n.key != c.key)) {
        compare(&gone.key, gone.value.clone(), "absent".into());
    }
    problems.into_result(Some(()))
}

fn not_a_number(sim: &mut Simulation, r: usize) -> Problems {
    Diagnostic::error(format!("replica {r}: {}", sim.not_a_number(r))).hint(NOT_A_NUMBER).into()
}

const NOT_A_NUMBER: &str = "what was committed before is in the record; look at the parameters, or take a smaller step and resume";

/// Whether a run ended because a replica's numbers did: that is the experiment's doing, unlike a full disk or a lost device.
pub fn is_not_a_number(problems: &Problems) -> bool {
    problems.iter().any(|d| d.hint.as_deref() == Some(NOT_A_NUMBER))
}

/// A number for people: at most six digits, none of them idle.
fn short(v: f64) -> String {
    let text = format!("{v:.5e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let digits = digits.trim_end_matches('0').trim_end_matches('.');
    if exponent == "0" { digits.to_string() } else { format!("{digits}e{exponent}") }
}

/// What each replica is, in words.
fn labels(experiment: &Experiment, replicas: usize) -> Vec<String> {
    let one = |r: usize| {
        let axes =
            experiment.axes.iter().map(|a| format!("{} = {} {}", a.name, short(a.values[r]), a.unit).trim_end_matches(" 1").to_string());
        axes.collect::<Vec<_>>().join(", ")
    };
    (0..replicas).map(one).collect()
}

/// Writes m of every replica beside the record.
fn save_field(experiment: &Experiment, sim: &Simulation, dir: &Path) -> Result<String, Problems> {
    let mesh = recorded(&experiment.system.mesh);
    let mut last = String::new();
    for replica in 0..sim.replicas() {
        let t = sim.control(replica).t;
        let path = dir.join(format!("m_replica{replica}_{:.4}ns.ovf", 1e9 * t));
        save_m(sim, replica, &mesh, t, &path)?;
        last = path.display().to_string();
    }
    Ok(format!("saved {last}"))
}

/// Writes the magnetisation of a replica at time `t` (s) as OVF.
pub(crate) fn save_m(sim: &Simulation, replica: usize, mesh: &Mesh, t: f64, path: &Path) -> Result<(), Problems> {
    let m = sim.m(replica);
    let cells = m.len() / 3;
    let data = (0..m.len()).map(|i| m[i % 3 * cells + i / 3]).collect();
    let frame = Frame { name: "m".into(), unit: String::new(), replica, components: 3, t, data };
    Ovf::new(mesh, &frame).write_file(path, OvfFormat::Binary8)
}

fn header(experiment: &Experiment, sim: &Simulation) -> Header {
    let info = sim.device().info();
    let system = &experiment.system;
    let mut choices: Vec<Choice> = info.choices.iter().map(|(key, value)| Choice { key: key.clone(), value: value.clone() }).collect();
    for c in &system.cellwise {
        let bytes: Vec<u8> = c.factors.iter().flat_map(|f| f.to_le_bytes()).collect();
        choices.push(Choice { key: format!("cells of {}", c.parameter.info().name), value: spinloom_base::hash::of_bytes(&bytes) });
    }
    if let Some(stack) = &system.mesh.stack {
        let layer = |z| format!("{:e} m at {:e} m", stack.layer(z).1, stack.layer(z).0);
        choices.push(Choice { key: "layers".into(), value: (0..stack.count()).map(layer).collect::<Vec<_>>().join(", ") });
    }
    choices.push(Choice { key: "stepper".into(), value: experiment.tableau.name.into() });
    choices.push(Choice {
        key: "step".into(),
        value: match experiment.step {
            Step::Adaptive { max_err } => format!("adaptive, max_err {max_err:e}"),
            Step::Fixed(dt) => format!("fixed, {dt:e} s"),
        },
    });
    if let Some(words) = experiment.demag_every.words() {
        choices.push(Choice { key: "demagnetising field".into(), value: words });
    }
    if experiment.surroundings.iter().any(Surroundings::moves) {
        choices.push(Choice { key: "split".into(), value: format!("{:e} s", experiment.surroundings[0].split) });
    }
    let names: Vec<&str> = system.terms.iter().map(|t| t.info().name).collect();
    choices.push(Choice { key: "terms".into(), value: names.join(" ") });
    // One entry per parameter and region where it differs from the first region; replicas that differ show it in their coordinates.
    let mut parameters = Vec::new();
    let first = &system.replicas[0].material;
    for (i, info) in PARAMETERS.iter().enumerate() {
        let id = ParameterId::by_name(info.name).unwrap_or_else(|| unreachable!("entry {i} of the list names itself"));
        let show = |v: [f64; 3]| if info.components == 3 { format!("{:e} {:e} {:e}", v[0], v[1], v[2]) } else { format!("{:e}", v[0]) };
        for (region, values) in first.regions.iter().enumerate() {
            if region == 0 || values.vector(id) != first.regions[0].vector(id) {
                let name = if region == 0 { info.name.to_string() } else { format!("region{region}.{}", info.name) };
                let varies = system.replicas.iter().any(|r| r.material.regions[region].vector(id) != values.vector(id));
                let value = if varies { "differs between replicas".into() } else { show(values.vector(id)) };
                parameters.push(Parameter { name, value, unit: info.unit.into() });
            }
        }
    }
    let around: Vec<Vec<_>> = experiment.surroundings.iter().map(|s| s.numbers()).collect();
    for (k, (name, value, unit)) in around[0].iter().enumerate() {
        let varies = around.iter().any(|other| other.get(k).is_none_or(|o| o.1 != *value));
        let value = if varies { "differs between replicas".into() } else { value.clone() };
        parameters.push(Parameter { name: name.clone(), value, unit: (*unit).into() });
    }
    let mut columns = vec![Column { name: "t".into(), unit: "s".into() }, Column { name: "phase".into(), unit: "1".into() }];
    columns.extend(experiment.columns.iter().map(|q| Column { name: q.name.clone(), unit: q.unit.clone() }));
    let replicas = labels(experiment, sim.replicas())
        .into_iter()
        .enumerate()
        .map(|(r, label)| Replica {
            label,
            coordinates: experiment
                .axes
                .iter()
                .map(|a| Coordinate { name: a.name.clone(), value: a.values[r], unit: a.unit.clone() })
                .collect(),
        })
        .collect();
    Header {
        program: "spinloom".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        source: spinloom_record::Source { file: experiment.source.0.clone(), text: experiment.source.1.clone() },
        device: info.name,
        precision: if info.precision == "f32" { Precision::Single } else { Precision::Double },
        seed: system.seed,
        parameters,
        choices,
        mesh: recorded(&system.mesh),
        columns,
        replicas,
        volatile: Volatile::here(),
    }
}

/// A mesh as records and OVF files describe it, its box centred.
pub fn recorded(mesh: &spinloom_kernels::Mesh) -> Mesh {
    let origin = mesh.size().map(|s| -0.5 * s);
    let layers = mesh.stack.map_or(Vec::new(), |stack| {
        (0..stack.count()).map(|z| [stack.layer(z).0 - stack.layer(0).0 + origin[2], stack.layer(z).1]).collect()
    });
    Mesh { layers, ..Mesh::regular(mesh.n, mesh.cell, origin) }
}
