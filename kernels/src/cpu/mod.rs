//! The CPU device: `f32` or `f64`, any number of replicas, over all cores.
//!
//! # Two levels of parallelism that never fight
//!
//! Where there are enough replicas, or the mesh is too small to be worth a hand-off, replicas run side by side, each on one thread; otherwise rows and panels of
//! one replica are shared out. What was chosen is said at the end of a run. Nothing in an evaluation is serial but the control block and a largest value
//! for each thread. Two threads of a quiet Zen 4 are 1.7 to 1.9 times as fast as one from 256 x 256 cells up and 1.6 to 1.9 times in space; by Amdahl's law 5 to 25 % of
//! an evaluation is serial, waits, or shares the memory. On sixteen virtual cores of a server, busy with a run beside, 2, 4, 8 and 14 threads are 2.0, 3.3, 6.7 and 9.5 times as
//! fast as one at 1024 x 1024 in `f32` (25.7 M cells a second with one) and 1.7, 3.5, 6.6 and 10.1 times in `f64`; at 128³, which waits for memory
//! (copying reaches 20 GB/s with one thread, 64 with eight and no more with fourteen), 1.8, 2.8, 4.3 and 5.3 times in `f32`, 2.1, 3.6, 7.1 and 7.5 in `f64`.
//!
//! # Laws, motion and combination in one pass
//!
//! Short rows are taken together, long ones in parts, so that a block's scratch stays in the first-level cache. Each law adds to the block's field through a
//! function pointer; where no coefficient differs between cells, the commonest laws and the motion are one loop and nothing is added in memory. The stage's sum
//! and its normalisation are one loop over registers. A running simulation allocates nothing (`a_running_simulation_allocates_nothing`).
//!
//! # The convolution never transforms or stores a row of zeros
//!
//! A line of n cells lies in a circle of 2N ≥ 2n − 1 points, the rest zeros. Its spectrum is taken class by class, each a transform of length N of
//! x_j exp(−2πi j o/N): wave numbers k + o in units of 1/N. Along y and z the classes are o = 0 and o = ½, and nothing of length 2N is ever held.
//! Along x, where the numbers are real, one class is enough: the conjugates of the wave numbers k + ¼ are those that are missing of the *odd* ones, (2j + 1)/4N,
//! at which the circle closes with the sign −1; nothing that matters comes from beyond the end, so that any closing will do. N reals become N
//! complex numbers, and no wave number is its own conjugate. A periodic axis has N = n, o = 0; of x then 0..=N/2.
//!
//! 1. Along x: a lane for each row of any component, turned from rows into lanes and back in registers. The spectrum goes to *panels* of as many
//!    adjacent wave numbers as a line of 64 bytes holds, `[panel][component][z][y][re, im][lane]`.
//! 2. For each panel, in cache: y forward, z forward, product with the real symmetric kernel, z backward, y backward. The kernel is even or odd in the wave
//!    numbers along y and z, so that half of each class is stored. All scale factors lie in it.
//! 3. Back along x; the real part is the field.
//!
//! Bytes a cell and evaluation, of w-byte numbers: 1. reads 3w and writes 6w, 2. reads and writes 6w and reads the kernel, 4w in the plane and 6w
//! in space, 3. reads 6w and writes 3w: 34w or 36w, 136 or 144 B in `f32`, where a panel (6 w L ny nz bytes in L lanes) stays in the cache.
//!
//! Layers of a stack are not equally far apart: there z is not transformed, and the product sums over the source layers with a kernel for each pair.
//!
//! [`fn@reference`] is the plain version that everything faster is held to: `f64`, direct sum, one cell at a time.

mod cells;
pub(crate) mod convolution;
pub(crate) mod fft;
mod fused;
pub mod isa;
mod parallel;
mod rows;
pub mod sizes;
pub(crate) mod tables;
mod vector;

use crate::control::{Control, Status};
use crate::device::{Device, DeviceError, DeviceInfo, Prepared, Window};
use crate::plan::{Buffer, Dot, MAX_STAGES, Pass, Plan, Ref, Rule};
use crate::real::Real;
use crate::region::{Neighbours, RegionMap};
use crate::system::System;
use crate::terms::GpuLaw;
use crate::terms::custom::CustomField;
use crate::terms::demag::tensor::Tensor;
use crate::waveform::Waveform;
use crate::{Material, Mesh, Term, Values};
use convolution::{Columns, Convolution, Moment, Spectrum};
use fused::{FusedFn, Uniform};
use isa::Isa;
use parallel::{Shared, each};
use rayon::prelude::*;
use rows::{LawFn, Loops, law_fn};
use std::sync::{Arc, Mutex};
use tables::{Added, Instant, Tables};

/// Cells above which one replica is worth sharing out: a hand-off costs about as much as a few thousand cells.
const WORTH_SHARING: usize = 20_000;

enum Convolver<T: Real> {
    None,
    Transform(Box<Convolution<T>>),
    Direct(Vec<Arc<Tensor>>),
}

/// A buffer and its slot.
type Place = (usize, usize);

/// One member of the ensemble.
struct Member<T: Real> {
    /// `[buffer][slot]`, each `[component][z][y][x]`.
    buffers: Vec<[Vec<T>; 2]>,
    control: Control,
    material: Material,
    /// The values that `tables` hold.
    values: Vec<Values>,
    tables: Tables<T>,
    added: Vec<Added<T>>,
    moment: Moment<T>,
    waves: Vec<Waveform>,
    regions: Arc<Regions>,
    id: u64,
}

/// Regions of a replica, prepared.
struct Regions {
    map: RegionMap,
    /// For every row (z, y), whether it and its neighbours along y and z are without vacuum.
    full: Vec<bool>,
    /// See [`crate::region::partners`]; empty where no layers are coupled.
    partners: [Vec<u32>; 2],
    /// See [`RegionMap::neighbours`].
    neighbours: Option<Arc<Neighbours>>,
}

impl Regions {
    fn new(mesh: &Mesh, map: &RegionMap, material: &Material, partnered: bool) -> Self {
        let [nx, ny, nz] = mesh.n;
        let solid: Vec<bool> = map.cells.chunks(nx).map(|row| !row.contains(&RegionMap::VACUUM)).collect();
        let full = (0..nz * ny)
            .map(|row| {
                let (z, y) = (row / ny, row % ny);
                let beside = |axis: usize, i: usize, to: &dyn Fn(usize) -> usize| {
                    [false, true].into_iter().filter_map(|f| mesh.neighbour(axis, i, f)).all(|j| solid[to(j)])
                };
                solid[row] && beside(1, y, &|j| z * ny + j) && beside(2, z, &|j| j * ny + y)
            })
            .collect();
        let partners = if partnered { crate::region::partners(mesh, map, material) } else { Default::default() };
        Self { map: map.clone(), full, partners, neighbours: map.neighbours(mesh, material).map(Arc::new) }
    }
}

/// What one thread needs.
struct Scratch<T: Real> {
    columns: Vec<Columns<T>>,
    spectrum: Option<Spectrum<T>>,
    /// One per thread that shares a replica, with the largest squares it has met.
    blocks: Vec<(Box<cells::Scratch<T>>, [T; 2])>,
    lists: Lists<T>,
}

/// Short lists that every pass fills anew, kept for their memory.
struct Lists<T> {
    buffers: Vec<[Shared<T>; 2]>,
    waves: Vec<f64>,
    masks: Vec<f64>,
    sums: Vec<f64>,
}

/// See the module.
struct Cpu<T: Real> {
    name: String,
    mesh: Mesh,
    terms: Vec<Term>,
    /// Along how many axes there are neighbours, or ghosts.
    axes: usize,
    custom: Option<CustomField>,
    seed: u64,
    isa: Isa,
    reference: bool,
    loops: Loops<T>,
    laws: Vec<LawFn<T>>,
    /// Which of the terms look at neighbours or partners.
    kinds: Vec<GpuLaw>,
    fused: FusedFn<T>,
    convolver: Convolver<T>,
    members: Vec<Member<T>>,
    plans: Vec<Plan>,
    names: Vec<String>,
    /// Which buffers have one slot only.
    single: Vec<bool>,
    threads: usize,
    /// Side by side, or one after another.
    across: bool,
    /// One per thread.
    scratch: Vec<Mutex<Scratch<T>>>,
}

// Concrete, so that the inner loops are compiled once, with this crate, and not again wherever a device is opened.

/// The fast device, in `f32`.
///
/// # Errors
/// A waveform that no term follows.
pub fn single(system: &System) -> Result<Box<dyn Device>, DeviceError> {
    single_with(system, Isa::widest())
}

/// The fast device, in `f64`.
///
/// # Errors
/// As [`single`].
pub fn double(system: &System) -> Result<Box<dyn Device>, DeviceError> {
    double_with(system, Isa::widest())
}

/// The fast device in `f32` with a given instruction set, for tests and for resuming a run from another machine.
///
/// # Errors
/// As [`single`].
pub fn single_with(system: &System, isa: Isa) -> Result<Box<dyn Device>, DeviceError> {
    Ok(Box::new(Cpu::<f32>::build(system, false, isa)?))
}

/// The same in `f64`.
///
/// # Errors
/// As [`single`].
pub fn double_with(system: &System, isa: Isa) -> Result<Box<dyn Device>, DeviceError> {
    Ok(Box::new(Cpu::<f64>::build(system, false, isa)?))
}

/// The plain version: `f64`, direct sum, one thread, one cell at a time.
///
/// # Errors
/// As [`single`].
pub fn reference(system: &System) -> Result<Box<dyn Device>, DeviceError> {
    Ok(Box::new(Cpu::<f64>::build(system, true, Isa::Baseline)?))
}

impl<T: Real> Cpu<T> {
    fn build(system: &System, reference: bool, isa: Isa) -> Result<Self, DeviceError> {
        let name = if reference { "cpu:reference" } else { "cpu" };
        let mesh = system.mesh;
        let unsupported = |what: String| DeviceError::Unsupported { device: name.into(), what };
        if let Some(what) = system.impossible() {
            return Err(unsupported(what));
        }
        let threads = if reference { 1 } else { rayon::current_num_threads() };
        let across = system.replicas.len() >= threads || mesh.cells() < WORTH_SHARING;
        let convolver = match system.terms.contains(&Term::Demag) {
            false => Convolver::None,
            true if reference => {
                let padded: [usize; 3] = std::array::from_fn(|a| if mesh.pbc[a] > 0 { mesh.n[a] } else { 2 * mesh.n[a] });
                Convolver::Direct(match &mesh.stack {
                    Some(stack) => Tensor::of_layers(&mesh, stack, [padded[0], padded[1]]),
                    None => vec![Tensor::of(system.demag, &mesh, padded)],
                })
            }
            true => Convolver::Transform(Box::new(Convolution::new(&mesh, system.demag, isa))),
        };
        let partnered = system.partnered();
        let shared = Arc::new(Regions::new(&mesh, &system.regions, &system.replicas[0].material, partnered));
        let members = system
            .replicas
            .iter()
            .map(|r| {
                let own = r.regions.is_some() || r.material.couplings != system.replicas[0].material.couplings;
                let regions = if own {
                    Arc::new(Regions::new(&mesh, r.regions.as_ref().unwrap_or(&system.regions), &r.material, partnered))
                } else {
                    shared.clone()
                };
                let values = r.material.at(0.0).0;
                Member {
                    buffers: Vec::new(),
                    control: Control::new(),
                    tables: Tables::new(&mesh, &system.terms, &r.material, &values, regions.neighbours.as_ref()),
                    added: tables::added(&mesh, &system.terms, &r.material, &values, &regions.map),
                    moment: moment(&regions.map, &values),
                    waves: r.material.waveforms.iter().map(|(_, w)| w.clone()).collect(),
                    material: r.material.clone(),
                    values,
                    regions,
                    id: r.id,
                }
            })
            .collect();
        let parallel_columns = if across { 1 } else { threads };
        let scratch = (0..if across { threads } else { 1 })
            .map(|_| {
                let (columns, spectrum) = match &convolver {
                    Convolver::Transform(c) => ((0..parallel_columns).map(|_| c.columns()).collect(), Some(c.spectrum())),
                    _ => (Vec::new(), None),
                };
                let blocks = (0..parallel_columns).map(|_| Default::default()).collect();
                let lists = Lists { buffers: Vec::new(), waves: Vec::new(), masks: Vec::new(), sums: Vec::new() };
                Mutex::new(Scratch { columns, spectrum, blocks, lists })
            })
            .collect();
        let axes = system.axes();
        Ok(Self {
            name: name.into(),
            mesh,
            terms: system.terms.clone(),
            axes,
            custom: system.custom.clone(),
            seed: system.seed,
            isa,
            reference,
            loops: Loops::of(isa),
            fused: fused::fused(isa, axes),
            kinds: system.terms.iter().map(|t| t.gpu()).collect(),
            laws: system.terms.iter().map(|t| law_fn(*t, isa, axes)).collect(),
            convolver,
            members,
            plans: Vec::new(),
            names: Vec::new(),
            single: Vec::new(),
            threads,
            across,
            scratch,
        })
    }

    fn run_member(&self, member: &mut Member<T>, plan: &Plan, times: usize, scratch: &mut Scratch<T>) {
        for _ in 0..times {
            if member.control.status != Status::Running {
                return;
            }
            for pass in &plan.passes {
                self.run_pass(member, pass, scratch);
            }
        }
    }

    fn run_pass(&self, member: &mut Member<T>, pass: &Pass, scratch: &mut Scratch<T>) {
        let slot = usize::from(member.control.slot);
        let place = |r: Ref| (r.buffer.0, if self.single[r.buffer.0] { 0 } else { slot ^ usize::from(r.other) });
        match pass {
            Pass::Noise(out) => {
                let (b, s) = place(*out);
                let [steps, id] = [member.control.steps, member.id];
                let out = Shared::new(&mut member.buffers[b][s]);
                let (cells, nx) = (self.mesh.cells(), self.mesh.n[0]);
                let key = self.seed ^ (id >> 32);
                self.each_row(|row| {
                    // SAFETY: each row is written by one thread, and the instruction set was detected.
                    unsafe {
                        let [x, y, z] = [0, 1, 2].map(|c| out.range(c * cells + row * nx, nx));
                        (self.loops.noise)((row * nx) as u32, id as u32, steps, key, x, y, z);
                    }
                });
            }
            Pass::Convolve { read, write } => self.convolve(member, place(*read), place(*write), scratch),
            Pass::Sample { read, ring, predicted } => {
                if !member.control.sample_due() {
                    return;
                }
                let ring = ring.map(place);
                let (fresh, predicted) = (ring[member.control.sampling.next_place()], place(*predicted));
                let known = member.control.sampling.count > 0;
                if known {
                    self.extrapolate(member, ring, member.control.t, predicted);
                }
                self.convolve(member, place(*read), fresh, scratch);
                let error = if known { self.distance(member, fresh, predicted) } else { 0.0 };
                member.control.sampled(member.tables.gamma * error);
            }
            Pass::Extrapolate { ring, time, write } => {
                let t = member.control.t + time * member.control.dt_now;
                self.extrapolate(member, ring.map(place), t, place(*write));
            }
            Pass::Custom { read, time, write } => {
                let Some(CustomField(field)) = &self.custom else { return };
                let ((rb, rs), (wb, ws)) = (place(*read), place(*write));
                let m: Vec<f64> = member.buffers[rb][rs].iter().map(|v| v.wide()).collect();
                let mut b = vec![0.0; m.len()];
                field(member.control.stage_time(*time), &m, &mut b);
                member.buffers[wb][ws].iter_mut().zip(b).for_each(|(t, v)| *t = T::of(v));
            }
            Pass::Cells(pass) => {
                let lists = &mut scratch.lists;
                self.drive(member, pass.time, &mut lists.masks);
                waves(member, pass.time, &mut lists.waves);
                let dt = if member.control.dt_now > 0.0 { member.control.dt_now } else { member.control.dt };
                let now = Instant { waves: &lists.waves, masks: &lists.masks, dt };
                lists.buffers.clear();
                lists.buffers.extend(member.buffers.iter_mut().map(|b| b.each_mut().map(|v| Shared::new(v))));
                let uniform = Uniform::of(&self.terms, pass, &member.tables, !member.added.is_empty(), &now);
                let view = cells::View {
                    buffers: &lists.buffers,
                    slot,
                    tables: &member.tables,
                    added: &member.added,
                    regions: &member.regions,
                    now,
                    uniform,
                };
                scratch.blocks.iter_mut().for_each(|(_, largest)| *largest = [T::ZERO; 2]);
                each(cells::blocks(&self.mesh), &mut scratch.blocks, |i, (s, largest)| {
                    let l = cells::block(self, &view, pass, i, s);
                    *largest = [rows::larger(largest[0], l[0]), rows::larger(largest[1], l[1])];
                });
                let largest = scratch.blocks.iter().fold([T::ZERO; 2], |a, (_, l)| [rows::larger(a[0], l[0]), rows::larger(a[1], l[1])]);
                let control = &mut member.control;
                control.evaluations += 1;
                if pass.measure {
                    control.torque = largest[0].wide().sqrt();
                }
                if pass.error.is_some() {
                    control.err = control.dt_now * largest[1].wide().sqrt();
                }
            }
            Pass::Reduce(dots) => {
                for Dot { a, b, into } in dots {
                    let field = |r: Ref| {
                        let (b, s) = place(r);
                        &member.buffers[b][s][..]
                    };
                    let (a0, a1, b0, b1) = (field(a.0), field(a.1), field(b.0), field(b.1));
                    let nx = self.mesh.n[0];
                    // One partial sum a row, added in order: the same for any number of threads.
                    let rows = a0.len() / nx;
                    let sums = &mut scratch.lists.sums;
                    sums.resize(rows, 0.0);
                    let partial = |row: usize| -> f64 {
                        (row * nx..(row + 1) * nx).map(|i| (a0[i].wide() - a1[i].wide()) * (b0[i].wide() - b1[i].wide())).sum()
                    };
                    if self.across {
                        sums.iter_mut().enumerate().for_each(|(row, s)| *s = partial(row));
                    } else {
                        sums.par_iter_mut().enumerate().for_each(|(row, s)| *s = partial(row));
                    }
                    member.control.sums[*into] = sums.iter().sum();
                }
            }
            Pass::Combine(combine) => {
                let out = place(combine.out);
                let mut to = std::mem::take(&mut member.buffers[out.0][out.1]);
                let base = place(combine.base);
                let (mut rates, mut count) = ([(base, 0.0); MAX_STAGES], 0);
                for (r, w) in combine.weights.iter().filter(|w| w.1 != 0.0) {
                    rates[count] = (place(*r), *w);
                    count += 1;
                }
                let rates = &rates[..count];
                let (cells, nx, dt) = (self.mesh.cells(), self.mesh.n[0], member.control.dt_now);
                let shared = Shared::new(&mut to);
                self.each_row(|row| {
                    // SAFETY: each row is written by one thread.
                    let [x, y, z] = [0, 1, 2].map(|c| unsafe { shared.range(c * cells + row * nx, nx) });
                    let rows = |(b, s): (usize, usize)| [0, 1, 2].map(|c| &member.buffers[b][s][c * cells + row * nx..][..nx]);
                    let from = rows(base);
                    let mut parts = [(T::ZERO, from); MAX_STAGES];
                    for (part, (rate, weight)) in parts.iter_mut().zip(rates) {
                        *part = (T::of(weight * dt), rows(*rate));
                    }
                    // SAFETY: the instruction set was detected.
                    unsafe { (self.loops.sum)(from, &parts[..rates.len()], [x, y, z]) }
                });
                member.buffers[out.0][out.1] = to;
            }
            Pass::Rotate { read, rate, out } => {
                let ((rb, rs), (kb, ks), (ob, os)) = (place(*read), place(*rate), place(*out));
                let mut to = std::mem::take(&mut member.buffers[ob][os]);
                let (m, k) = (&member.buffers[rb][rs], &member.buffers[kb][ks]);
                let cells = self.mesh.cells();
                let h = member.control.descent / member.tables.gamma;
                for i in 0..cells {
                    let at = |v: &[T]| std::array::from_fn::<f64, 3, _>(|c| v[c * cells + i].wide());
                    let (m, k) = (at(m), at(k).map(|c| h * c));
                    let k2 = k[0] * k[0] + k[1] * k[1] + k[2] * k[2];
                    for c in 0..3 {
                        to[c * cells + i] = T::of(((4.0 - k2) * m[c] + 4.0 * k[c]) / (4.0 + k2));
                    }
                }
                member.buffers[ob][os] = to;
            }
            Pass::Control(rule) => {
                let control = &mut member.control;
                match rule {
                    Rule::Begin => {
                        control.begin();
                        // The moment that demagnetises is taken once a step.
                        if member.material.drive.is_some() {
                            self.drive(member, 0.0, &mut scratch.lists.masks);
                            member.moment = moment(&member.regions.map, &member.values);
                        }
                    }
                    Rule::End { order } => control.end(*order),
                    Rule::Descent => {
                        let [ss, sy, yy] = control.sums;
                        // Where the energy curves downwards s·y has the other sign: its size still tells how far to go.
                        let h = if control.steps.is_multiple_of(2) { ss / sy } else { sy / yy };
                        let h = h.abs() * member.tables.gamma;
                        let most = crate::plan::LARGEST_TURN * member.tables.gamma / control.torque;
                        control.descent = if h > 0.0 && h < 1e30 { h.min(most) } else { 1e-4 };
                        control.attempts += 1;
                    }
                    Rule::Accept => {
                        control.slot ^= 1;
                        control.steps += 1;
                        if !control.torque.is_finite() {
                            control.status = Status::NotANumber;
                        }
                    }
                }
            }
        }
    }

    /// Brings values that follow a [`crate::material::Drive`] to t + time · dt, and tells the masks' factors.
    fn drive(&self, member: &mut Member<T>, time: f64, factors: &mut Vec<f64>) {
        factors.clear();
        if member.material.drive.is_none() {
            factors.extend(member.material.masks.iter().map(|m| m.factor));
            return;
        }
        let (values, now) = member.material.at(member.control.stage_time(time));
        factors.extend(now);
        if values != member.values {
            let neighbours = member.regions.neighbours.as_ref();
            member.tables.follow(&self.mesh, &self.terms, &member.material, [&member.values, &values], neighbours);
            if !member.material.masks.is_empty() {
                member.added = tables::added(&self.mesh, &self.terms, &member.material, &values, &member.regions.map);
            }
            member.values = values;
        }
    }

    /// B (T) of μ0 Ms m.
    fn convolve(&self, member: &mut Member<T>, (rb, rs): Place, (wb, ws): Place, scratch: &mut Scratch<T>) {
        let mut out = std::mem::take(&mut member.buffers[wb][ws]);
        match &self.convolver {
            Convolver::Transform(c) => {
                let spectrum = scratch.spectrum.as_mut().expect("made with the convolution");
                c.run(&member.buffers[rb][rs], &member.moment, &mut out, spectrum, &mut scratch.columns);
            }
            Convolver::Direct(tensors) => cells::direct_sum(&self.mesh, tensors, &member.buffers[rb][rs], &member.moment, &mut out),
            Convolver::None => out.fill(T::ZERO),
        }
        member.buffers[wb][ws] = out;
    }

    /// The samples' polynomial at time `t`.
    fn extrapolate(&self, member: &mut Member<T>, ring: [Place; 3], t: f64, (wb, ws): Place) {
        let mut out = std::mem::take(&mut member.buffers[wb][ws]);
        let weights = member.control.sampling.weights(t).map(T::of);
        let shared = Shared::new(&mut out);
        let nx = self.mesh.n[0];
        self.each_row(|row| {
            for c in 0..3 {
                let from = c * self.mesh.cells() + row * nx;
                // SAFETY: each row is written by one thread, and the instruction set was detected.
                unsafe { (self.loops.mix)(weights, ring.map(|(b, s)| &member.buffers[b][s][from..from + nx]), shared.range(from, nx)) };
            }
        });
        member.buffers[wb][ws] = out;
    }

    /// The largest |a − b| of any cell; `b` is overwritten.
    fn distance(&self, member: &mut Member<T>, (ab, at): Place, (bb, bt): Place) -> f64 {
        let mut difference = std::mem::take(&mut member.buffers[bb][bt]);
        let a = &member.buffers[ab][at];
        let cells = self.mesh.cells();
        // SAFETY: the instruction set was detected.
        let largest = unsafe {
            let (x, rest) = difference.split_at_mut(cells);
            let (y, z) = rest.split_at_mut(cells);
            (self.loops.add)(-T::ONE, [0, 1, 2].map(|c| &a[c * cells..][..cells]), x, y, z);
            (self.loops.largest)([x, y, z])
        };
        member.buffers[bb][bt] = difference;
        largest.wide().sqrt()
    }

    fn each_row(&self, work: impl Fn(usize) + Sync + Send) {
        let rows = self.mesh.n[1] * self.mesh.n[2];
        if self.across { (0..rows).for_each(work) } else { (0..rows).into_par_iter().for_each(work) }
    }
}

fn waves<T: Real>(member: &Member<T>, time: f64, now: &mut Vec<f64>) {
    now.clear();
    let t = member.control.stage_time(time);
    let at = |w: &Waveform| if time == 1.0 { w.before(member.control.end_time()) } else { w.at(t) };
    now.extend(member.waves.iter().map(at));
}

fn moment<T: Real>(map: &RegionMap, values: &[Values]) -> Moment<T> {
    let per_region: Vec<f64> = values.iter().map(Values::demag_moment).collect();
    if per_region.windows(2).all(|w| w[0] == w[1]) && map.fill.is_empty() {
        Moment::Uniform(T::of(per_region[0]))
    } else {
        let of = |(i, r): (usize, &u16)| per_region.get(usize::from(*r)).map_or(T::ZERO, |m| T::of(*m * map.filled(i)));
        Moment::Cells(map.cells.iter().enumerate().map(of).collect())
    }
}

impl<T: Real> Device for Cpu<T> {
    fn info(&self) -> DeviceInfo {
        let mut choices = vec![("instruction set".to_string(), self.isa.name().to_string())];
        if let Convolver::Transform(c) = &self.convolver {
            let [x, y, z] = c.padded();
            choices.push(("padded sizes".into(), format!("{x} x {y} x {z}")));
        }
        let layout = if self.across {
            format!("{} replica(s) side by side on {} thread(s)", self.members.len(), self.scratch.len().min(self.members.len()))
        } else {
            format!("rows of one replica shared by {} threads", self.threads)
        };
        DeviceInfo { name: self.name.clone(), precision: T::NAME, choices, layout }
    }

    fn allocate(&mut self, name: &str, slots: usize) -> Result<Buffer, DeviceError> {
        let len = 3 * self.mesh.cells();
        let too_big = |_| DeviceError::OutOfMemory { device: self.name.clone(), buffer: name.into(), bytes: slots * len * size_of::<T>() };
        for member in &mut self.members {
            let mut pair = [Vec::new(), Vec::new()];
            for v in pair.iter_mut().take(slots) {
                v.try_reserve_exact(len).map_err(too_big)?;
                v.resize(len, T::ZERO);
            }
            member.buffers.push(pair);
        }
        self.names.push(name.into());
        self.single.push(slots < 2);
        Ok(Buffer(self.names.len() - 1))
    }

    fn upload(&mut self, replica: usize, buffer: Buffer, other: bool, values: &[f64]) {
        let member = &mut self.members[replica];
        let slot = place(member, buffer, other);
        let target = &mut member.buffers[buffer.0][slot];
        assert_eq!(values.len(), target.len(), "buffer `{}` has another length", self.names[buffer.0]);
        target.iter_mut().zip(values).for_each(|(t, v)| *t = T::of(*v));
    }

    fn download(&self, replica: usize, buffer: Buffer, other: bool) -> Vec<f64> {
        let member = &self.members[replica];
        member.buffers[buffer.0][place(member, buffer, other)].iter().map(|v| v.wide()).collect()
    }

    fn peek(&self, replica: usize, buffer: Buffer, n: [usize; 3], window: &Window) -> Vec<u8> {
        let member = &self.members[replica];
        let all = &member.buffers[buffer.0][place(member, buffer, false)];
        let mut out = vec![0; 3 * window.points().iter().product::<usize>()];
        let rows: Vec<_> = window.rows(n, &mut out).collect();
        rows.into_par_iter().with_min_len(64).for_each(|(from, row)| window.row(all, from, row, |v| v.wide() as f32));
        out
    }

    fn set_material(&mut self, replica: usize, system: &System) {
        let member = &mut self.members[replica];
        let source = &system.replicas[replica];
        if member.regions.map != *system.regions_of(replica) || member.material.couplings != source.material.couplings {
            member.regions = Arc::new(Regions::new(&self.mesh, system.regions_of(replica), &source.material, system.partnered()));
        }
        member.values = source.material.at(member.control.t).0;
        member.tables = Tables::new(&self.mesh, &self.terms, &source.material, &member.values, member.regions.neighbours.as_ref());
        member.moment = moment(&member.regions.map, &member.values);
        if member.material.masks != source.material.masks || !source.material.masks.is_empty() {
            member.added = tables::added(&self.mesh, &self.terms, &source.material, &member.values, &member.regions.map);
        }
        member.material = source.material.clone();
        member.waves = source.material.waveforms.iter().map(|(_, w)| w.clone()).collect();
    }

    fn prepare(&mut self, plan: &Plan) -> Result<Prepared, DeviceError> {
        self.plans.push(plan.clone());
        Ok(Prepared(self.plans.len() - 1))
    }

    fn replay(&mut self, plan: Prepared, times: usize) {
        let mut members = std::mem::take(&mut self.members);
        let this = &*self;
        let plan = &this.plans[plan.0];
        if this.across && members.len() > 1 {
            members.par_iter_mut().for_each(|member| {
                let own = rayon::current_thread_index().unwrap_or(0) % this.scratch.len();
                let mut scratch = this.scratch[own].lock().unwrap_or_else(|e| e.into_inner());
                this.run_member(member, plan, times, &mut scratch);
            });
        } else {
            let mut scratch = this.scratch[0].lock().unwrap_or_else(|e| e.into_inner());
            for member in &mut members {
                this.run_member(member, plan, times, &mut scratch);
            }
        }
        self.members = members;
    }

    fn control(&self, replica: usize) -> Control {
        self.members[replica].control
    }

    fn set_control(&mut self, replica: usize, control: Control) {
        self.members[replica].control = control;
    }
}

/// The slot a buffer is addressed by: buffers with one slot have no other.
fn place<T: Real>(member: &Member<T>, buffer: Buffer, other: bool) -> usize {
    if member.buffers[buffer.0][1].is_empty() { 0 } else { usize::from(member.control.slot) ^ usize::from(other) }
}
