//! Graphics devices: plans lowered once to kernel text and recordings, run through either interface of [`spinloom_gpu`].
//!
//! All fields lie in one memory, tables in another, control blocks in two (numbers and counters): a kernel sees at most eight. A recording holds one pass
//! through a plan for all replicas; those that pause or have finished write nothing. The host keeps the clock in `f64`: on the device time is what
//! is left until the pause and what has gone since the block was written, in two numbers each.
//!
//! # Measured
//!
//! On an NVIDIA H200 (CUDA 13.0, `kernels/gpu/record/h200.jsonl`), M cells x evaluations a second in `f32`: 236 at 64², 2580 at 256², 3850 at 1024², 4050 at 2048²,
//! 2000 at 4096², 4110 at 64³, 4080 at 128³, 3050 at 256³; ensembles of 64 strips of 384 x 64 cells 8390, of 1024 squares of 64² 8510; `f64` 2880 at 1024² and
//! 2500 at 128³. Through Vulkan the same card reaches 3580 at 1024² and 3590 at 128³. These are 16 % of the bytes a second of copying (3550 GB/s) in one large plane,
//! 39 % in space, 49 % in ensembles. By the card's counters, two thirds of an evaluation at 1024² (190 of 280 us) and two fifths at 128³ (204 of 505 us) go to the last axis with the
//! product: three components of eight points in each item's registers leave room for one group a multiprocessor (12 % of its warps), and a line of 2048
//! points leaves a group one column, which uses an eighth of every sector it reads. At 64² an evaluation is five launches of 3.5 us, each far below what its data would take.

pub mod convolution;
pub mod fft;
pub mod text;
pub mod waves;

use crate::control::{Control, Status};
use crate::cpu::tables::{Tables, added};
use crate::device::{Device, DeviceError, DeviceInfo, Prepared, Window, byte};
use crate::plan::{Buffer, Pass, Plan, Ref, Rule};
use crate::region::{Neighbours, RegionMap, partners};
use crate::system::System;
use crate::terms::custom::CustomField;
use crate::waveform::Waveform;
use crate::{Material, ParameterId, Term, Values};
use convolution::Convolution;
use spinloom_gpu::{Backend, GpuError, Kernel, Launch, Memory, Precision, Recording};
use std::collections::HashMap;
use std::sync::Arc;
use text::{Names, TermLayout, ctl, state};

/// Replays in one go, at most: a replica that pauses idles through the rest.
const BATCH: usize = 16;

/// The memories, by the names that kernels call them.
#[derive(Clone, Copy, Debug)]
struct Memories {
    fields: Option<Memory>,
    par: Memory,
    regions: Memory,
    ctl: Memory,
    state: Memory,
    wave: Memory,
    partial: Memory,
    mask: Memory,
    /// The sum of the fields, where every term has a kernel of its own.
    acc: Option<Memory>,
    spec: Option<Memory>,
    tw: Option<Memory>,
}

/// A plan, cut where the host has a field to compute.
struct Compiled {
    name: String,
    parts: Vec<Part>,
    /// Whether it takes steps.
    steps: bool,
}

enum Part {
    /// What the device does on its own.
    Device(Vec<Pass>, Option<Recording>),
    /// The user's field.
    Host { read: Ref, time: f64, write: Ref },
}

impl Compiled {
    fn new(plan: &Plan) -> Self {
        let mut parts = vec![Part::Device(Vec::new(), None)];
        for pass in &plan.passes {
            match (pass, parts.last_mut()) {
                (Pass::Custom { read, time, write }, _) => {
                    parts.push(Part::Host { read: *read, time: *time, write: *write });
                    parts.push(Part::Device(Vec::new(), None));
                }
                (pass, Some(Part::Device(passes, _))) => passes.push(pass.clone()),
                _ => unreachable!("a part of the device's own comes last"),
            }
        }
        let steps = plan.passes.iter().any(|p| matches!(p, Pass::Control(Rule::End { .. })));
        Self { name: plan.name.clone(), parts, steps }
    }

    fn passes(&self) -> impl Iterator<Item = &Pass> {
        self.parts.iter().flat_map(|p| if let Part::Device(passes, _) = p { passes.as_slice() } else { &[] })
    }
}

/// See the module.
pub struct Gpu {
    backend: Box<dyn Backend>,
    names: Names,
    convolution: Option<Convolution>,
    memories: Memories,
    buffer_names: Vec<String>,
    plans: Vec<Compiled>,
    /// Blocks as the host knows them, and which of them the device does not know yet.
    controls: Vec<Control>,
    changed: Vec<bool>,
    /// Time at which each block was written (s).
    base: Vec<f64>,
    /// The parameters that terms follow; every replica has a waveform for each, most of them constant.
    followed: Vec<ParameterId>,
    waveforms: Vec<Vec<Waveform>>,
    seed: u64,
    ids: Vec<u64>,
    gammas: Vec<f64>,
    /// The blocks as they lie on the device.
    numbers: Vec<f64>,
    counters: Vec<u32>,
    /// What the device first complained of, and in which plan; every replica counts as failed from then on.
    trouble: Option<DeviceError>,
    /// Of each replica's regions, where there are many.
    neighbours: Vec<Option<Arc<Neighbours>>>,
    /// Regions as they were last written.
    maps: HashMap<usize, Vec<u16>>,
    materials: Vec<Material>,
    /// What masks add to each replica's coefficients, and how full its cells are, as they were last written.
    cellwise: Vec<Vec<f64>>,
    custom: Option<CustomField>,
}

fn bytes_of(values: &[f64], precision: Precision) -> Vec<u8> {
    match precision {
        Precision::Single => values.iter().flat_map(|v| single(*v).to_le_bytes()).collect(),
        Precision::Double => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
    }
}

/// Infinity and what a float cannot hold become about its largest number.
fn single(v: f64) -> f32 {
    (v as f32).clamp(-3.0e38, 3.0e38)
}

fn values_of(bytes: &[u8], precision: Precision) -> Vec<f64> {
    match precision {
        Precision::Single => bytes.as_chunks::<4>().0.iter().map(|c| f64::from(f32::from_le_bytes(*c))).collect(),
        Precision::Double => bytes.as_chunks::<8>().0.iter().map(|c| f64::from_le_bytes(*c)).collect(),
    }
}

/// Two numbers of the device's precision that add up to `v`.
fn in_two(v: f64, precision: Precision) -> [f64; 2] {
    match precision {
        Precision::Double => [v.min(1e300), 0.0],
        Precision::Single => {
            let high = f64::from(single(v));
            [high, if v.is_finite() && v.abs() < 3e38 { v - high } else { 0.0 }]
        }
    }
}

impl Gpu {
    /// Realises a system on a device.
    ///
    /// # Errors
    /// What the device cannot do or has no room for.
    pub fn new(system: &System, mut backend: Box<dyn Backend>, precision: Precision) -> Result<Self, DeviceError> {
        let device = backend.found().name.clone();
        let limits = backend.found().limits;
        let unsupported = |what: String| DeviceError::Unsupported { device: device.clone(), what };
        if precision == Precision::Double && !limits.double {
            return Err(unsupported("it computes in single precision only".into()));
        }
        if let Some(what) = system.impossible() {
            return Err(unsupported(what));
        }
        let replicas = system.replicas.len();
        let regions = system.replicas[0].material.regions.len();
        let followed = system.followed();
        let waveforms: Vec<Vec<Waveform>> = system.replicas.iter().map(|r| in_order(&followed, &r.material)).collect();
        let neighbours = neighbours_of(system, 0);
        let mut names = Names {
            mesh: system.mesh,
            terms: system.terms.clone(),
            precision,
            regions,
            partners: system.partnered(),
            width: neighbours[0].as_ref().map(|n| n.width),
            own_regions: system.replicas.iter().any(|r| r.regions.is_some()),
            replicas,
            waves: (followed.len(), waveforms.iter().flatten().map(points).max().unwrap_or(0)),
            tables: Vec::new(),
            llg: [0; 2],
            damping: [0; 2],
            ghost: [0; 3],
            bulk: system.terms.contains(&Term::BulkDmi),
            open_faces: false,
            axes: system.axes(),
            moment: 0,
            stages: Vec::new(),
            added: Vec::new(),
            factors: 0,
            filled: false,
            par: 0,
            buffers: Vec::new(),
        };
        let first = &system.replicas[0].material;
        lay_out(&mut names, &followed, neighbours[0].as_ref(), first, first.at(0.0), &active(&waveforms));
        let convolution = if system.terms.contains(&Term::Demag) {
            Some(Convolution::new(&system.mesh, system.demag, &limits, precision).map_err(unsupported)?)
        } else {
            None
        };
        let element = precision.bytes();
        let mut take = |name: &str, bytes: usize| reserve(backend.as_mut(), name, bytes, element);
        let memories = Memories {
            fields: None,
            par: take("parameters", replicas * names.par * element)?,
            regions: take("regions", 4 * names.map() * if names.own_regions { replicas } else { 1 })?,
            ctl: take("control", replicas * names.ctl() * element)?,
            state: take("counters", replicas * state::SIZE * 4)?,
            wave: take("waveforms", 4 * replicas * names.waves.0 * names.wave())?,
            partial: take("partial results", replicas * 2 * names.groups() as usize * element)?,
            mask: take("values per cell", element)?,
            acc: None,
            spec: convolution.as_ref().map(|c| take("spectrum", c.spectrum(replicas) * element)).transpose()?,
            tw: convolution.as_ref().map(|c| take("demagnetising tensor", c.table.len() * element)).transpose()?,
        };
        let mut gpu = Self {
            backend,
            numbers: vec![0.0; replicas * names.ctl()],
            counters: vec![0; replicas * state::SIZE],
            names,
            convolution,
            memories,
            buffer_names: Vec::new(),
            plans: Vec::new(),
            controls: vec![Control::new(); replicas],
            changed: vec![true; replicas],
            base: vec![0.0; replicas],
            followed,
            waveforms,
            seed: system.seed,
            ids: system.replicas.iter().map(|r| r.id).collect(),
            gammas: vec![0.0; replicas],
            trouble: None,
            neighbours,
            maps: HashMap::new(),
            materials: system.replicas.iter().map(|r| r.material.clone()).collect(),
            cellwise: vec![Vec::new(); replicas],
            custom: system.custom.clone(),
        };
        if let Some(convolution) = &gpu.convolution {
            let table = bytes_of(&convolution.table, precision);
            gpu.backend.write(memories.tw.expect("made with it"), 0, &table).map_err(|e| told(&device, e))?;
        }
        let maps = if gpu.names.own_regions { replicas } else { 1 };
        for r in 0..maps {
            gpu.write_regions(r, system.regions_of(r), &system.replicas[r].material).map_err(|e| told(&device, e))?;
        }
        for r in 0..replicas {
            gpu.set_material(r, system);
        }
        match gpu.trouble.take() {
            Some(e) => Err(e),
            None => Ok(gpu),
        }
    }

    fn write_regions(&mut self, map: usize, regions: &RegionMap, material: &Material) -> Result<(), GpuError> {
        let count = self.names.regions as u32;
        let mut numbers: Vec<u32> = regions.cells.iter().map(|c| if *c == RegionMap::VACUUM { count } else { u32::from(*c) }).collect();
        if self.names.partners {
            numbers.extend(partners(&self.names.mesh, regions, material).concat());
        }
        if let Some(width) = self.names.width {
            let own = |r: usize| self.neighbours[map].as_ref().and_then(|n| n.of.get(r)).map_or(&[][..], Vec::as_slice);
            numbers.extend((0..self.names.regions * width).map(|i| own(i / width).get(i % width).map_or(count, |r| u32::from(*r))));
        }
        let bytes: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
        self.backend.write(self.memories.regions, map * bytes.len(), &bytes)?;
        self.maps.insert(map, regions.cells.clone());
        Ok(())
    }

    fn failed(&self, e: GpuError) -> DeviceError {
        told(&self.backend.found().name, e)
    }

    fn element(&self) -> usize {
        self.names.precision.bytes()
    }

    fn note(&mut self, what: &str, result: Result<(), DeviceError>) {
        if let Err(e) = result {
            let e = match e {
                DeviceError::Failed { device, what: why } => DeviceError::Failed { device, what: format!("{what}: {why}") },
                other => other,
            };
            self.trouble.get_or_insert(e);
            self.controls.iter_mut().for_each(|c| c.status = Status::NotANumber);
        }
    }

    /// Plans name the waveforms of their coefficients and the memories they use: where those change, all are recorded anew when next needed.
    fn forget(&mut self) {
        self.backend.forget();
        for part in self.plans.iter_mut().flat_map(|p| &mut p.parts) {
            if let Part::Device(_, recording) = part {
                *recording = None;
            }
        }
    }

    /// The memory of the fields, made when it is first needed.
    fn fields(&mut self) -> Result<Memory, DeviceError> {
        if let Some(memory) = self.memories.fields {
            return Ok(memory);
        }
        let len: usize = self.names.buffers.iter().map(|(_, slots)| slots * self.names.slot()).sum();
        let element = self.element();
        let name = format!("fields ({})", self.buffer_names.join(", "));
        let memory = reserve(self.backend.as_mut(), &name, len * element, element)?;
        self.memories.fields = Some(memory);
        Ok(memory)
    }

    fn offset(&self, replica: usize, buffer: Buffer, other: bool) -> usize {
        let (start, slots) = self.names.buffers[buffer.0];
        let slot = if slots == 1 { 0 } else { usize::from(self.controls[replica].slot) ^ usize::from(other) };
        (start + slot * self.names.slot() + replica * 3 * self.names.mesh.cells()) * self.element()
    }

    fn memory(&self, name: &str) -> Memory {
        let m = &self.memories;
        match name {
            "fields" => m.fields.expect("made before anything is recorded"),
            "par" => m.par,
            "regions" => m.regions,
            "ctl" => m.ctl,
            "state" => m.state,
            "wave" => m.wave,
            "partial" => m.partial,
            "mask" => m.mask,
            "acc" => m.acc.expect("only kernels that are taken apart use it"),
            "spec" => m.spec.expect("a convolution has a spectrum"),
            _ => m.tw.expect("a convolution has a table"),
        }
    }

    /// The kernels of a plan with their groups, in order.
    fn lower(&self, passes: &[Pass], last: bool) -> Vec<(Kernel, [u32; 3])> {
        let names = &self.names;
        let replicas = names.replicas as u32;
        let on_cells = [names.groups(), replicas, 1];
        let once = [1, replicas, 1];
        let by_replica = [replicas.div_ceil(text::GROUP), 1, 1];
        // `slot` is a name of the kernels over cells.
        let of_lines = |r| names.place(r).replace("slot", "int(state[r * STATE_SIZE + SLOT])");
        let mut list = Vec::new();
        let mut evaluations = 0;
        for pass in passes {
            match pass {
                Pass::Noise(out) => list.push((text::noise(names, *out), on_cells)),
                Pass::Convolve { read, write } => {
                    list.extend(self.convolve(&of_lines(*read), &of_lines(*write), "state[r * STATE_SIZE + STATUS] == 0u"))
                }
                Pass::Sample { read, ring, predicted } => {
                    list.push((text::sample_due(names), by_replica));
                    list.push((text::sample_weights(names, 0.0), by_replica));
                    list.push((text::mix(names, *ring, *predicted, true), on_cells));
                    let due = format!("state[r * STATE_SIZE + {}] == 1u", state::DUE);
                    list.extend(self.convolve(&of_lines(*read), &text::next_sample(names, *ring), &due));
                    list.push((text::sample_error(names, *ring, *predicted), on_cells));
                    list.push((text::sampled(names), once));
                }
                Pass::Extrapolate { ring, time, write } => {
                    list.push((text::sample_weights(names, *time), by_replica));
                    list.push((text::mix(names, *ring, *write, false), on_cells));
                }
                Pass::Cells(pass) => {
                    if active(&self.waveforms).contains(&true) {
                        list.push((text::waves(names, pass.time), by_replica));
                    }
                    if self.memories.acc.is_some() {
                        list.extend((0..pass.terms.len()).map(|k| (text::cells(names, pass, text::Part::Field(k)), on_cells)));
                        // Without terms there is nothing in `acc`.
                        let rest = if pass.terms.is_empty() { text::Part::Whole } else { text::Part::Rest };
                        list.push((text::cells(names, pass, rest), on_cells));
                    } else {
                        list.push((text::cells(names, pass, text::Part::Whole), on_cells));
                    }
                    evaluations += 1;
                    if pass.measure || pass.error.is_some() {
                        list.push((text::measured(names, pass.measure, pass.error.is_some(), std::mem::take(&mut evaluations)), once));
                    }
                }
                Pass::Combine(pass) => list.push((text::combine(names, pass), on_cells)),
                Pass::Reduce(dots) => {
                    for dot in dots {
                        list.push((text::dot_parts(names, dot), on_cells));
                        list.push((text::dot_sum(names, dot.into), once));
                    }
                }
                Pass::Rotate { read, rate, out } => list.push((text::rotate(names, *read, *rate, *out), on_cells)),
                Pass::Control(rule) => {
                    if matches!(rule, Rule::End { .. }) && evaluations > 0 {
                        list.push((text::measured(names, false, false, std::mem::take(&mut evaluations)), once));
                    }
                    list.push((text::control(names, *rule), by_replica));
                }
                Pass::Custom { .. } => unreachable!("cut out when the plan was prepared"),
            }
        }
        if !last && evaluations > 0 {
            list.push((text::measured(names, false, false, evaluations), once));
        }
        list
    }

    /// The kernels of a convolution from one place to another, for replicas that meet a condition (text).
    fn convolve(&self, from: &str, to: &str, on: &str) -> Vec<(Kernel, [u32; 3])> {
        let convolution = self.convolution.as_ref().expect("the system has a demagnetising field");
        let replicas = self.names.replicas;
        let kernels = convolution.kernels(replicas, &self.names, from, to, on).into_iter();
        kernels.map(|(k, g)| (k, [g, replicas as u32, 1])).collect()
    }

    /// Records every part of a plan that is not recorded yet.
    fn record(&mut self, plan: usize) -> Result<(), DeviceError> {
        self.fields()?;
        let count = self.plans[plan].parts.len();
        for part in 0..count {
            let Part::Device(passes, None) = &self.plans[plan].parts[part] else { continue };
            let passes = passes.clone();
            let recording = self.record_passes(&passes, part + 1 == count)?;
            if let Part::Device(_, place) = &mut self.plans[plan].parts[part] {
                *place = Some(recording);
            }
        }
        Ok(())
    }

    fn record_passes(&mut self, passes: &[Pass], last: bool) -> Result<Recording, DeviceError> {
        let kernels = self.lower(passes, last);
        let mut launches = Vec::new();
        for (kernel, groups) in kernels {
            let memories = kernel.bindings.iter().map(|b| self.memory(b.name)).collect();
            let most = self.backend.found().limits.groups;
            if let Some(axis) = (0..3).find(|a| groups[*a] > most[*a]) {
                let what = format!(
                    "kernel `{}` takes {} groups along axis {axis}, and this device at most {}",
                    kernel.name, groups[axis], most[axis]
                );
                return Err(self.failed(GpuError::TooLarge(format!("{what}; take fewer cells, or fewer replicas at once"))));
            }
            let program = self.backend.compile(&kernel).map_err(|e| told(&self.backend.found().name, e))?;
            launches.push(Launch { program, memories, groups });
        }
        self.backend.record(&launches).map_err(|e| told(&self.backend.found().name, e))
    }

    /// Writes the blocks that have changed.
    fn send(&mut self) -> Result<(), GpuError> {
        let (n, precision) = (self.names.ctl(), self.names.precision);
        if !self.changed.contains(&true) {
            return Ok(());
        }
        for r in 0..self.names.replicas {
            if !std::mem::take(&mut self.changed[r]) {
                continue;
            }
            let c = self.controls[r];
            self.base[r] = c.t;
            let numbers = &mut self.numbers[r * n..(r + 1) * n];
            numbers.fill(0.0);
            let left = if c.t_pause.is_finite() { c.t_pause - c.t } else { f64::INFINITY };
            let [high, low] = in_two(left, precision);
            for (at, v) in [
                (ctl::DT, c.dt),
                (ctl::DT_NOW, if c.dt_now > 0.0 { c.dt_now } else { c.dt }),
                (ctl::DT_MIN, c.dt_min),
                (ctl::DT_MAX, c.dt_max),
                (ctl::MAX_ERR, c.max_err),
                (ctl::HEADROOM, c.headroom),
                (ctl::ERR, c.err),
                (ctl::TORQUE, c.torque),
                (ctl::LEFT, high),
                (ctl::LEFT + 1, low),
                (ctl::DESCENT, c.descent),
                (ctl::SUMS, c.sums[0]),
                (ctl::SUMS + 1, c.sums[1]),
                (ctl::SUMS + 2, c.sums[2]),
                (ctl::GAMMA, self.gammas[r]),
                (ctl::EVERY, c.sampling.every),
                (ctl::LONGEST, c.sampling.longest),
                (ctl::TURN, c.sampling.max_err),
                (ctl::AGES, c.t - c.sampling.times[0]),
                (ctl::AGES + 1, c.t - c.sampling.times[1]),
                (ctl::AGES + 2, c.t - c.sampling.times[2]),
            ] {
                numbers[at] = v;
            }
            for (w, wave) in self.waveforms[r].iter().enumerate() {
                numbers[ctl::WAVES + w] = wave.at(c.t);
            }
            let status = match c.status {
                Status::Running => 0,
                Status::Due => 1,
                Status::NotANumber => 2,
            };
            let key = self.seed ^ (self.ids[r] >> 32);
            let counters: [u32; state::SIZE] = [
                status,
                u32::from(c.slot),
                u32::from(c.fixed),
                c.steps as u32,
                (c.steps >> 32) as u32,
                c.attempts as u32,
                c.evaluations as u32,
                self.ids[r] as u32,
                key as u32,
                (key >> 32) as u32,
                u32::from(c.sampling.fixed),
                u32::from(c.sampling.order),
                u32::from(c.sampling.count),
                u32::from(c.sampling.newest),
                c.sampling.taken as u32,
                0,
            ];
            self.counters[r * state::SIZE..(r + 1) * state::SIZE].copy_from_slice(&counters);
            if active(&self.waveforms).contains(&true) {
                let wave = self.names.wave();
                let all = self.waveforms[r].iter().flat_map(|w| encode(w, c.t, wave));
                let bytes: Vec<u8> = all.flat_map(|v| single(v).to_le_bytes()).collect();
                self.backend.write(self.memories.wave, 4 * r * self.names.waves.0 * wave, &bytes)?;
            }
        }
        // The others' parts are those that were last read.
        self.backend.write(self.memories.ctl, 0, &bytes_of(&self.numbers, precision))?;
        let counters: Vec<u8> = self.counters.iter().flat_map(|c| c.to_le_bytes()).collect();
        self.backend.write(self.memories.state, 0, &counters)
    }

    /// Reads all blocks.
    fn receive(&mut self) -> Result<(), GpuError> {
        let (n, replicas) = (self.names.ctl(), self.names.replicas);
        let mut numbers = vec![0u8; replicas * n * self.element()];
        self.backend.read(self.memories.ctl, 0, &mut numbers)?;
        let mut counters = vec![0u8; replicas * state::SIZE * 4];
        self.backend.read(self.memories.state, 0, &mut counters)?;
        self.numbers = values_of(&numbers, self.names.precision);
        self.counters = counters.as_chunks::<4>().0.iter().map(|c| u32::from_le_bytes(*c)).collect();
        for (r, c) in self.controls.iter_mut().enumerate() {
            let (f, u) = (&self.numbers[r * n..], &self.counters[r * state::SIZE..]);
            c.status = [Status::Running, Status::Due, Status::NotANumber][(u[state::STATUS] as usize).min(2)];
            let gone = f[ctl::GONE] + f[ctl::GONE + 1];
            // The pause is met exactly; nothing has gone by in a plan that does not step.
            let met = f[ctl::LEFT] == 0.0 && gone > 0.0;
            c.t = if met { c.t_pause } else { self.base[r] + gone };
            (c.dt, c.dt_now, c.descent) = (f[ctl::DT], f[ctl::DT_NOW], f[ctl::DESCENT]);
            let finite = |v: f64| if v > 2.9e38 { f64::NAN } else { v };
            (c.err, c.torque) = (finite(f[ctl::ERR]), finite(f[ctl::TORQUE]));
            c.sums = [f[ctl::SUMS], f[ctl::SUMS + 1], f[ctl::SUMS + 2]];
            c.slot = u[state::SLOT] as u8 & 1;
            c.steps = u64::from(u[state::STEPS]) | u64::from(u[state::STEPS + 1]) << 32;
            let s = &mut c.sampling;
            if u[state::COUNT] > 0 {
                s.every = f[ctl::EVERY];
                s.times = [0, 1, 2].map(|p| c.t - f[ctl::AGES + p]);
                (s.count, s.newest) = (u[state::COUNT] as u8, u[state::NEWEST] as u8);
                s.taken += u64::from(u[state::TAKEN].wrapping_sub(s.taken as u32));
            }
            // Counters of 32 bits, continued on the host.
            c.attempts += u64::from(u[state::ATTEMPTS].wrapping_sub(c.attempts as u32));
            c.evaluations += u64::from(u[state::EVALUATIONS].wrapping_sub(c.evaluations as u32));
        }
        Ok(())
    }

    fn run(&mut self, plan: Prepared, times: usize) -> Result<(), DeviceError> {
        self.record(plan.0)?;
        self.send().map_err(|e| self.failed(e))?;
        let Compiled { parts, steps, .. } = &self.plans[plan.0];
        let steps = *steps;
        // What the host computes between kernels, or writes before each attempt, allows one attempt at a time.
        let alone = parts.len() > 1 || !self.names.stages.is_empty();
        let mut left = times;
        // A plan that steps is likely to pause soon: begin with few.
        let mut batch = if steps || alone { 1 } else { BATCH };
        while left > 0 && self.controls.iter().any(|c| c.status == Status::Running) {
            let n = left.min(batch);
            self.write_stages(steps)?;
            for part in 0..self.plans[plan.0].parts.len() {
                match self.plans[plan.0].parts[part] {
                    Part::Device(_, recording) => {
                        let recording = recording.expect("recorded above");
                        self.backend.replay(recording, n).and_then(|()| self.receive()).map_err(|e| told(&self.backend.found().name, e))?;
                    }
                    Part::Host { read, time, write } => self.compute_custom(read, time, write)?,
                }
            }
            left -= n;
            if !alone {
                batch = (2 * batch).min(BATCH);
            }
        }
        Ok(())
    }

    /// The user's field of every running replica at t + time · dt.
    fn compute_custom(&mut self, read: Ref, time: f64, write: Ref) -> Result<(), DeviceError> {
        let Some(CustomField(field)) = self.custom.clone() else { return Ok(()) };
        for r in 0..self.names.replicas {
            let c = self.controls[r];
            if c.status != Status::Running {
                continue;
            }
            let m = self.download(r, read.buffer, read.other);
            let mut b = vec![0.0; m.len()];
            field(c.stage_time(time), &m, &mut b);
            let (offset, bytes) = (self.offset(r, write.buffer, write.other), bytes_of(&b, self.names.precision));
            let memory = self.fields()?;
            self.backend.write(memory, offset, &bytes).map_err(|e| self.failed(e))?;
        }
        Ok(())
    }

    /// The tables of every stage of the attempt that comes next, where a [`crate::material::Drive`] moves them.
    fn write_stages(&mut self, steps: bool) -> Result<(), DeviceError> {
        let active = active(&self.waveforms);
        for k in 0..self.names.stages.len() {
            for r in 0..self.names.replicas {
                let mut c = self.controls[r];
                if c.status != Status::Running {
                    continue;
                }
                if steps {
                    c.begin();
                }
                let t = c.stage_time(self.names.stages[k]);
                let row = lay_out(
                    &mut self.names,
                    &self.followed,
                    self.neighbours[r].as_ref(),
                    &self.materials[r],
                    self.materials[r].at(t),
                    &active,
                );
                self.write_row(k, r, &row)?;
            }
        }
        Ok(())
    }

    fn write_row(&mut self, stage: usize, replica: usize, row: &[f64]) -> Result<(), DeviceError> {
        let bytes = bytes_of(row, self.names.precision);
        let at = (stage * self.names.replicas + replica) * bytes.len();
        self.backend.write(self.memories.par, at, &bytes).map_err(|e| self.failed(e))
    }

    /// Makes room for tables at every time that plans ask for, if some parameter follows a drive.
    fn find_stages(&mut self) -> Result<(), DeviceError> {
        let mut stages: Vec<f64> = Vec::new();
        if self.materials.iter().any(|m| m.drive.is_some()) {
            for pass in self.plans.iter().flat_map(Compiled::passes) {
                if let Pass::Cells(c) = pass
                    && !stages.contains(&c.time)
                {
                    stages.push(c.time);
                }
            }
        }
        if stages == self.names.stages {
            return Ok(());
        }
        self.names.stages = stages;
        let element = self.element();
        let bytes = self.names.stages.len().max(1) * self.names.replicas * self.names.par * element;
        self.forget();
        self.backend.free(self.memories.par);
        self.memories.par = reserve(self.backend.as_mut(), "parameters", bytes, element)?;
        let active = active(&self.waveforms);
        for r in 0..self.names.replicas {
            let t = self.controls[r].t;
            let row =
                lay_out(&mut self.names, &self.followed, self.neighbours[r].as_ref(), &self.materials[r], self.materials[r].at(t), &active);
            for k in 0..self.names.stages.len().max(1) {
                self.write_row(k, r, &row)?;
            }
        }
        Ok(())
    }

    /// Regions meet more others than there were places for: maps and tables of links are laid out anew.
    fn widen(&mut self, width: usize, system: &System) -> Result<(), DeviceError> {
        self.names.width = Some(width);
        self.forget();
        self.backend.free(self.memories.regions);
        let maps = if self.names.own_regions { self.names.replicas } else { 1 };
        self.memories.regions = reserve(self.backend.as_mut(), "regions", 4 * self.names.map() * maps, 4)?;
        for map in 0..maps {
            self.write_regions(map, system.regions_of(map), &system.replicas[map].material).map_err(|e| self.failed(e))?;
        }
        // Every row of parameters has another length.
        self.names.stages = vec![f64::NAN];
        Ok(())
    }

    /// Values per cell of a replica: what masks add, and how full cells are.
    fn write_cellwise(&mut self, replica: usize, system: &System) -> Result<(), DeviceError> {
        let map = system.regions_of(replica);
        let added = {
            let material = &self.materials[replica];
            let values = material.at(self.controls[replica].t).0;
            added::<f64>(&self.names.mesh, &self.names.terms, material, &values, map)
        };
        let list: Vec<(usize, usize, usize)> = added.iter().map(|a| (a.mask, a.term, a.coefficient)).collect();
        let filled = (0..self.names.replicas).any(|r| !system.regions_of(r).fill.is_empty());
        let cells = self.names.mesh.cells();
        let fill = filled.then(|| (0..cells).map(|i| map.filled(i)).collect::<Vec<f64>>());
        let parts: Vec<Vec<f64>> = added.into_iter().map(|a| a.values).chain(fill).collect();
        let element = self.element();
        if list != self.names.added || filled != self.names.filled {
            // All replicas share one layout; the last one that differs decides, and an ensemble that does not agree is refused.
            if self.names.replicas > 1 && replica > 0 {
                let what = "replicas of one ensemble must have masks of the same parameters".into();
                return Err(DeviceError::Unsupported { device: self.backend.found().name.clone(), what });
            }
            (self.names.added, self.names.filled) = (list, filled);
            self.forget();
            self.backend.free(self.memories.mask);
            let bytes = (parts.len() * self.names.replicas * cells).max(1) * element;
            self.memories.mask = reserve(self.backend.as_mut(), "values per cell", bytes, element)?;
            self.cellwise.iter_mut().for_each(Vec::clear);
        }
        let all: Vec<f64> = parts.concat();
        if all != self.cellwise[replica] {
            for (k, part) in parts.iter().enumerate() {
                let bytes = bytes_of(part, self.names.precision);
                let at = (k * self.names.replicas + replica) * bytes.len();
                self.backend.write(self.memories.mask, at, &bytes).map_err(|e| self.failed(e))?;
            }
            self.cellwise[replica] = all;
        }
        Ok(())
    }
}

/// The neighbours of each replica's regions, in tables of one width for all, at least `least`.
fn neighbours_of(system: &System, least: usize) -> Vec<Option<Arc<Neighbours>>> {
    let of = |r: usize| system.regions_of(r).neighbours(&system.mesh, &system.replicas[r].material);
    let mut all: Vec<Option<Neighbours>> = (0..system.replicas.len()).map(of).collect();
    let width = all.iter().flatten().map(|n| n.width).max().unwrap_or(0).max(least);
    all.iter_mut().flatten().for_each(|n| n.width = width);
    all.into_iter().map(|n| n.map(Arc::new)).collect()
}

/// What an interface says, in the terms of the seam above.
fn told(device: &str, e: GpuError) -> DeviceError {
    let device = device.to_string();
    match e {
        GpuError::OutOfMemory { bytes, .. } => DeviceError::OutOfMemory { device, buffer: "a buffer".into(), bytes },
        GpuError::Missing(what) | GpuError::TooLarge(what) => DeviceError::Unsupported { device, what },
        e @ (GpuError::Compile { .. } | GpuError::Lost(_)) => DeviceError::Failed { device, what: e.to_string() },
    }
}

/// Memory for a named buffer; kernels count its elements in 32 bits.
fn reserve(backend: &mut dyn Backend, name: &str, bytes: usize, element: usize) -> Result<Memory, DeviceError> {
    let device = backend.found().name.clone();
    if bytes / element.min(4) > i32::MAX as usize {
        let what = format!(
            "buffer `{name}` would have {} numbers, and kernels count to 2^31; take fewer cells, or fewer replicas at once",
            bytes / element
        );
        return Err(DeviceError::Unsupported { device, what });
    }
    backend.allocate(bytes).map_err(|e| match e {
        GpuError::OutOfMemory { bytes, .. } => DeviceError::OutOfMemory { device, buffer: name.into(), bytes },
        other => told(&device, other),
    })
}

/// The waveforms of the followed parameters, constant where the material has none.
fn in_order(followed: &[ParameterId], material: &Material) -> Vec<Waveform> {
    let of = |p: &ParameterId| material.waveforms.iter().find(|(q, _)| q == p).map_or(Waveform::Constant, |(_, w)| w.clone());
    followed.iter().map(of).collect()
}

/// Of each followed parameter, whether any replica moves it.
fn active(waveforms: &[Vec<Waveform>]) -> Vec<bool> {
    let count = waveforms.first().map_or(0, Vec::len);
    (0..count).map(|w| waveforms.iter().any(|r| r[w] != Waveform::Constant)).collect()
}

/// Points that a waveform needs room for: its own, and where it is now.
fn points(waveform: &Waveform) -> usize {
    if let Waveform::Linear(points) = waveform { points.len() + 1 } else { 0 }
}

/// A waveform from time `t` on, as kernels read it.
fn encode(waveform: &Waveform, t: f64, len: usize) -> Vec<f64> {
    let mut v = vec![0.0; len];
    match waveform {
        Waveform::Constant => v[1] = 1.0,
        // A step of the solver never crosses a jump: until the pause it is what it is now.
        Waveform::Steps(_) => v[1] = waveform.at(t),
        Waveform::Sine { offset, amplitude, frequency, phase } => {
            let turns = frequency * t + phase / std::f64::consts::TAU;
            v[..5].copy_from_slice(&[1.0, *offset, *amplitude, *frequency, turns - turns.floor()]);
        }
        Waveform::Linear(points) => {
            // The segment that holds `t` begins at it, so that later points are told apart however late the clock.
            let later = points.iter().filter(|p| p.0 > t).map(|p| (p.0 - t, p.1));
            let all: Vec<(f64, f64)> = std::iter::once((0.0, waveform.at(t))).chain(later).collect();
            (v[0], v[5]) = (2.0, all.len() as f64);
            for (k, (at, value)) in all.into_iter().enumerate() {
                (v[6 + 2 * k], v[7 + 2 * k]) = (at, value);
            }
        }
    }
    v
}

/// The tables of a replica, with these values and factors of masks, in one row of numbers; and, as a side effect, where they lie, which is the
/// same for all replicas. `active` tells which of the followed parameters move in any of them.
fn lay_out(
    names: &mut Names,
    followed: &[ParameterId],
    neighbours: Option<&Arc<Neighbours>>,
    material: &Material,
    (regions, factors): (Vec<Values>, Vec<f64>),
    active: &[bool],
) -> Vec<f64> {
    let tables = Tables::<f64>::new(&names.mesh, &names.terms, material, &regions, neighbours);
    let mut row: Vec<f64> = Vec::new();
    let mut put = |values: &[f64]| {
        row.extend_from_slice(values);
        row.len() - values.len()
    };
    names.tables = tables
        .terms
        .iter()
        .zip(&names.terms)
        .map(|(t, term)| {
            let wave = |k: usize| {
                let driven = term.driven().iter().find(|d| d.coefficient == k)?;
                let place = followed.iter().position(|p| *p == driven.by).filter(|w| active[*w])?;
                Some((place, driven.power))
            };
            TermLayout {
                coefficients: t.coefficients.iter().enumerate().map(|(k, c)| (put(&c.table), wave(k), c.white)).collect(),
                links: t.links.iter().map(|l| put(&l.table)).collect(),
            }
        })
        .collect();
    names.llg = [put(&tables.motion(crate::plan::Motion::Llg)[0].table), put(&tables.motion(crate::plan::Motion::Llg)[1].table)];
    names.damping =
        [put(&tables.motion(crate::plan::Motion::Damping)[0].table), put(&tables.motion(crate::plan::Motion::Damping)[1].table)];
    names.ghost = [0, 1, 2].map(|axis| put(&tables.ghost[axis].table));
    names.open_faces = material.open_faces;
    let moment: Vec<f64> = regions.iter().map(|v| v.demag_moment()).chain([0.0]).collect();
    names.moment = put(&moment);
    names.factors = put(&factors);
    names.par = row.len();
    row
}

impl Device for Gpu {
    fn info(&self) -> DeviceInfo {
        let found = self.backend.found();
        let mut choices = vec![("device".to_string(), format!("{} ({})", found.model, found.driver))];
        if let Some(c) = &self.convolution {
            let [x, y, z] = c.padded();
            choices.push(("padded sizes".into(), format!("{x} x {y} x {z}")));
        }
        if self.memories.acc.is_some() {
            choices.push(("cells".into(), "a kernel for each term".into()));
        }
        DeviceInfo {
            name: found.name.clone(),
            precision: if self.names.precision == Precision::Double { "f64" } else { "f32" },
            choices,
            layout: format!("{} replica(s) in one recording", self.names.replicas),
        }
    }

    fn allocate(&mut self, name: &str, slots: usize) -> Result<Buffer, DeviceError> {
        let start = self.names.buffers.iter().map(|(_, slots)| slots * self.names.slot()).sum();
        let old = self.memories.fields.take();
        self.names.buffers.push((start, slots));
        self.buffer_names.push(name.into());
        if let Some(old) = old {
            // Buffers that hold something already move to a larger memory, and plans are recorded anew.
            let mut contents = vec![0u8; start * self.element()];
            self.backend.read(old, 0, &mut contents).map_err(|e| self.failed(e))?;
            self.forget();
            self.backend.free(old);
            let memory = self.fields()?;
            self.backend.write(memory, 0, &contents).map_err(|e| self.failed(e))?;
        }
        Ok(Buffer(self.names.buffers.len() - 1))
    }

    fn upload(&mut self, replica: usize, buffer: Buffer, other: bool, values: &[f64]) {
        assert_eq!(values.len(), 3 * self.names.mesh.cells(), "buffer `{}` has another length", self.buffer_names[buffer.0]);
        let offset = self.offset(replica, buffer, other);
        let bytes = bytes_of(values, self.names.precision);
        let result = self.fields().and_then(|memory| self.backend.write(memory, offset, &bytes).map_err(|e| self.failed(e)));
        self.note("writing a field", result);
    }

    fn download(&self, replica: usize, buffer: Buffer, other: bool) -> Vec<f64> {
        let mut bytes = vec![0u8; 3 * self.names.mesh.cells() * self.element()];
        if let Some(memory) = self.memories.fields
            && self.backend.read(memory, self.offset(replica, buffer, other), &mut bytes).is_err()
        {
            return vec![f64::NAN; 3 * self.names.mesh.cells()];
        }
        values_of(&bytes, self.names.precision)
    }

    // Of each component the cells from the window's first to its last: of a mesh with many layers one, of a window the rows it crosses.
    fn peek(&self, replica: usize, buffer: Buffer, n: [usize; 3], window: &Window) -> Vec<u8> {
        let (first, span) = window.span(n);
        let element = self.element();
        let mut bytes = vec![0u8; 3 * span * element];
        let mut out = vec![byte(f32::NAN); 3 * window.points().iter().product::<usize>()];
        let (Some(memory), 1..) = (self.memories.fields, span) else { return out };
        let start = self.offset(replica, buffer, false);
        for (c, part) in bytes.chunks_mut(span * element).enumerate() {
            if self.backend.read(memory, start + (c * self.names.mesh.cells() + first) * element, part).is_err() {
                return out;
            }
        }
        for (from, row) in window.rows(n, &mut out) {
            match self.names.precision {
                Precision::Single => window.row(bytes.as_chunks::<4>().0, from - first, row, |b| f32::from_le_bytes(*b)),
                Precision::Double => window.row(bytes.as_chunks::<8>().0, from - first, row, |b| f64::from_le_bytes(*b) as f32),
            }
        }
        out
    }

    fn set_material(&mut self, replica: usize, system: &System) {
        let source = &system.replicas[replica];
        let before = active(&self.waveforms);
        self.waveforms[replica] = in_order(&self.followed, &source.material);
        let after = active(&self.waveforms);
        let (open_faces, length) = (self.names.open_faces, self.names.par);
        let couplings = self.materials[replica].couplings != source.material.couplings;
        self.materials[replica] = source.material.clone();
        let map = if self.names.own_regions { replica } else { 0 };
        let moved = self.maps.get(&map) != Some(&system.regions_of(replica).cells) || couplings;
        if let (true, Some(width)) = (moved, self.names.width) {
            let neighbours = neighbours_of(system, width);
            let wider = neighbours.iter().flatten().map(|n| n.width).max().unwrap_or(width);
            self.neighbours = neighbours;
            if wider > width {
                let result = self.widen(wider, system);
                self.note("making room for neighbours of regions", result);
            }
        }
        let result = self.write_cellwise(replica, system);
        self.note("writing values per cell", result);
        let now = source.material.at(self.controls[replica].t);
        let row = lay_out(&mut self.names, &self.followed, self.neighbours[replica].as_ref(), &source.material, now, &after);
        if self.names.par != length {
            // Another number of masks: every row has another length.
            self.names.stages = vec![f64::NAN];
        }
        let result = self.find_stages();
        self.note("making room for parameters", result);
        let longest = self.waveforms[replica].iter().map(points).max().unwrap_or(0);
        let room = longest > self.names.waves.1;
        if room {
            self.names.waves.1 = longest;
            let bytes = 4 * self.names.replicas * self.names.waves.0 * self.names.wave();
            self.backend.free(self.memories.wave);
            match reserve(self.backend.as_mut(), "waveforms", bytes, 4) {
                Ok(memory) => self.memories.wave = memory,
                Err(e) => self.note("a longer waveform", Err(e)),
            }
            self.changed.fill(true);
        }
        self.gammas[replica] = source.material.largest_gamma();
        if room || before != after || open_faces != self.names.open_faces {
            self.forget();
        }
        self.changed[replica] = true;
        for k in 0..self.names.stages.len().max(1) {
            let result = self.write_row(k, replica, &row);
            self.note("writing parameters", result);
        }
        if moved {
            let result = self.write_regions(map, system.regions_of(replica), &source.material).map_err(|e| self.failed(e));
            self.note("writing regions", result);
        }
    }

    fn prepare(&mut self, plan: &Plan) -> Result<Prepared, DeviceError> {
        self.plans.push(Compiled::new(plan));
        let index = self.plans.len() - 1;
        self.find_stages()?;
        self.record(index)?;
        Ok(Prepared(index))
    }

    fn take_apart(&mut self) -> Result<(), DeviceError> {
        if self.memories.acc.is_none() {
            let element = self.element();
            let bytes = self.names.slot() * element;
            self.memories.acc = Some(reserve(self.backend.as_mut(), "sum of the fields", bytes, element)?);
            self.forget();
        }
        Ok(())
    }

    fn replay(&mut self, plan: Prepared, times: usize) {
        if self.trouble.is_none() {
            let result = self.run(plan, times);
            let name = self.plans[plan.0].name.clone();
            self.note(&format!("plan `{name}`"), result);
        }
    }

    fn trouble(&self) -> Option<DeviceError> {
        self.trouble.clone()
    }

    // Rounded otherwise: waveforms count from when the block was written, and the two kernels are different texts.
    fn carries_rates(&self) -> bool {
        false
    }

    fn control(&self, replica: usize) -> Control {
        self.controls[replica]
    }

    fn set_control(&mut self, replica: usize, control: Control) {
        if self.trouble.is_none() && self.controls[replica] != control {
            self.controls[replica] = control;
            self.changed[replica] = true;
        }
    }
}
