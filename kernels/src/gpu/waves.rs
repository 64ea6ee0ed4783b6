//! Ensembles beyond what one set of memories may hold: parts of them, each a [`Gpu`] of its own on the same device, that look like one.
//!
//! Kernels count the numbers of a memory in 31 bits, and many devices bound a memory's bytes; replicas know nothing of each other, so an ensemble is
//! cut between them. All parts lie on the device at once: what its whole memory does not hold is refused by name.

use super::Gpu;
use super::convolution::Convolution;
use crate::control::Control;
use crate::device::{Device, DeviceError, DeviceInfo, Prepared, Window};
use crate::plan::{Buffer, Plan};
use crate::system::System;
use crate::terms::Term;
use spinloom_gpu::{Backend, GpuError, Limits, Precision};

/// Fields that a simulation holds at most: two slots of m and of the first rate, the other rates of the longest method, and what stands between.
const FIELDS: usize = 24;

/// How many replicas of a system fit one set of memories.
fn most(system: &System, limits: &Limits, precision: Precision) -> Result<usize, String> {
    let spectrum = if system.terms.contains(&Term::Demag) { Convolution::spectrum_of(&system.mesh, limits, precision)? } else { 0 };
    let numbers = spectrum.max(FIELDS * 3 * system.mesh.cells());
    let bound = (limits.buffer / precision.bytes()).min(i32::MAX as usize);
    // Groups of all replicas lie along one axis of the grid.
    Ok((bound / numbers).clamp(1, limits.groups[1] as usize))
}

/// See the module.
pub struct Waves {
    parts: Vec<Gpu>,
    /// Replicas of each part but the last.
    each: usize,
}

/// Realises a system on a device, in as many parts as it takes; `open` opens it once for each.
///
/// # Errors
/// What the device cannot do or has no room for.
pub fn realise(
    system: &System,
    precision: Precision,
    mut open: impl FnMut() -> Result<Box<dyn Backend>, GpuError>,
) -> Result<Box<dyn Device>, DeviceError> {
    let unopened = |e: GpuError| DeviceError::Unsupported { device: "the device".into(), what: e.to_string() };
    let first = open().map_err(unopened)?;
    let found = first.found();
    let unsupported = |what| DeviceError::Unsupported { device: found.name.clone(), what };
    let each = most(system, &found.limits, precision).map_err(unsupported)?;
    if system.replicas.len() <= each {
        return Ok(Box::new(Gpu::new(system, first, precision)?));
    }
    let mut backend = Some(first);
    let mut parts = Vec::new();
    // As even as can be: the kernels of equal parts are the same text.
    let count = system.replicas.len().div_ceil(each);
    let each = system.replicas.len().div_ceil(count);
    for replicas in system.replicas.chunks(each) {
        let part = System { replicas: replicas.to_vec(), ..system.clone() };
        let backend = backend.take().map_or_else(&mut open, Ok).map_err(unopened)?;
        parts.push(Gpu::new(&part, backend, precision)?);
    }
    Ok(Box::new(Waves { parts, each }))
}

impl Waves {
    fn part(&mut self, replica: usize) -> (&mut Gpu, usize) {
        (&mut self.parts[replica / self.each], replica % self.each)
    }
}

impl Device for Waves {
    fn info(&self) -> DeviceInfo {
        let mut info = self.parts[0].info();
        info.layout = format!("{} parts of up to {} replicas", self.parts.len(), self.each);
        info
    }

    fn allocate(&mut self, name: &str, slots: usize) -> Result<Buffer, DeviceError> {
        let mut buffer = Buffer(0);
        for part in &mut self.parts {
            buffer = part.allocate(name, slots)?;
        }
        Ok(buffer)
    }

    fn upload(&mut self, replica: usize, buffer: Buffer, other: bool, values: &[f64]) {
        let (part, r) = self.part(replica);
        part.upload(r, buffer, other, values);
    }

    fn download(&self, replica: usize, buffer: Buffer, other: bool) -> Vec<f64> {
        self.parts[replica / self.each].download(replica % self.each, buffer, other)
    }

    fn peek(&self, replica: usize, buffer: Buffer, n: [usize; 3], window: &Window) -> Vec<u8> {
        self.parts[replica / self.each].peek(replica % self.each, buffer, n, window)
    }

    fn set_material(&mut self, replica: usize, system: &System) {
        let first = replica / self.each * self.each;
        let last = (first + self.each).min(system.replicas.len());
        let part = System { replicas: system.replicas[first..last].to_vec(), ..system.clone() };
        let (device, r) = self.part(replica);
        device.set_material(r, &part);
    }

    fn prepare(&mut self, plan: &Plan) -> Result<Prepared, DeviceError> {
        let mut prepared = Prepared(0);
        for part in &mut self.parts {
            prepared = part.prepare(plan)?;
        }
        Ok(prepared)
    }

    fn take_apart(&mut self) -> Result<(), DeviceError> {
        self.parts.iter_mut().try_for_each(Device::take_apart)
    }

    fn replay(&mut self, plan: Prepared, times: usize) {
        self.parts.iter_mut().for_each(|part| part.replay(plan, times));
    }

    fn trouble(&self) -> Option<DeviceError> {
        self.parts.iter().find_map(Device::trouble)
    }

    fn carries_rates(&self) -> bool {
        self.parts[0].carries_rates()
    }

    fn control(&self, replica: usize) -> Control {
        self.parts[replica / self.each].control(replica % self.each)
    }

    fn set_control(&mut self, replica: usize, control: Control) {
        let (part, r) = self.part(replica);
        part.set_control(r, control);
    }
}
