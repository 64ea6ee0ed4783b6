//! The seam to the machines: a memory that runs plans.

use crate::control::Control;
use crate::plan::{Buffer, Plan};
use crate::system::System;
use std::fmt;

/// What a device tells about itself. Everything in `choices` affects rounding and goes into the record.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceInfo {
    /// As the user names it, e.g. `cpu`.
    pub name: String,
    /// `f32` or `f64`.
    pub precision: &'static str,
    /// Key and value of every choice that affects rounding.
    pub choices: Vec<(String, String)>,
    /// How the work is laid out, for the log.
    pub layout: String,
}

/// What can go wrong on a device.
#[derive(Clone, Debug, PartialEq)]
pub enum DeviceError {
    /// No room for a buffer.
    OutOfMemory {
        /// The device.
        device: String,
        /// The buffer.
        buffer: String,
        /// How much was asked for.
        bytes: usize,
    },
    /// It has failed: it was lost, or a kernel does not compile.
    Failed {
        /// The device.
        device: String,
        /// What it was doing, and what it said.
        what: String,
    },
    /// The system asks for something the device cannot do.
    Unsupported {
        /// The device.
        device: String,
        /// What.
        what: String,
    },
}

impl fmt::Display for DeviceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfMemory { device, buffer, bytes } => write!(f, "{device} has no room for buffer `{buffer}` ({bytes} bytes)"),
            Self::Failed { device, what } => write!(f, "{device} failed: {what}"),
            Self::Unsupported { device, what } => write!(f, "{device} cannot do this: {what}"),
        }
    }
}

impl std::error::Error for DeviceError {}

/// A box of one layer of a mesh, every so many cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Layer.
    pub layer: usize,
    /// First cell along x and y.
    pub from: [usize; 2],
    /// Cells along x and y.
    pub size: [usize; 2],
    /// Every so many, at least one.
    pub every: usize,
}

/// A component of a unit vector in 127ths, as the bits of a signed byte.
pub fn byte(v: f32) -> u8 {
    // Truncation of what is above zero: rounding would be a call of a function for each.
    ((127.0 * v + 128.5) as i32 - 128) as i8 as u8
}

impl Window {
    /// Width and height in points.
    pub fn points(&self) -> [usize; 2] {
        self.size.map(|n| n.div_ceil(self.every.max(1)))
    }

    /// The first cell in a mesh of `n` cells, and how many there are from it to the last.
    pub fn span(&self, n: [usize; 3]) -> (usize, usize) {
        let [_, y] = self.points();
        let first = (self.layer * n[1] + self.from[1]) * n[0] + self.from[0];
        (first, if y == 0 { 0 } else { (y - 1) * self.every * n[0] + self.size[0] })
    }

    /// The index of the first cell of each row in a mesh of `n` cells, beside that row's part of the points.
    pub fn rows<'a>(&self, n: [usize; 3], out: &'a mut [u8]) -> impl Iterator<Item = (usize, &'a mut [u8])> + use<'a> {
        let Self { layer, from, every, .. } = *self;
        let first = move |y: usize| (layer * n[1] + from[1] + y * every) * n[0] + from[0];
        out.chunks_exact_mut(3 * self.points()[0]).enumerate().map(move |(y, row)| (first(y), row))
    }

    /// The points of a row of a field `[component][cell]` that begins at a cell.
    pub fn row<T>(&self, all: &[T], from: usize, out: &mut [u8], narrow: impl Fn(&T) -> f32) {
        let plane = all.len() / 3;
        let [x, y, z] = [0, 1, 2].map(|c| all[c * plane + from..][..self.size[0]].iter().step_by(self.every));
        for (((x, y), z), point) in x.zip(y).zip(z).zip(out.chunks_exact_mut(3)) {
            point.copy_from_slice(&[byte(narrow(x)), byte(narrow(y)), byte(narrow(z))]);
        }
    }
}

/// A prepared plan, as [`Device::prepare`] numbered it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prepared(pub usize);

/// A memory and a few passes. Object-safe: nothing above this trait knows which machine it is.
///
/// Host arrays are `f64`; a device that computes in `f32` rounds on the way in. Vector fields travel as
/// `[component][z][y][x]`.
pub trait Device: Send {
    /// What it is and what it chose.
    fn info(&self) -> DeviceInfo;

    /// Makes room for a vector field over the mesh in every replica, filled with zeros; `slots` is 1 or 2. `name` is for messages.
    ///
    /// # Errors
    /// Out of memory.
    fn allocate(&mut self, name: &str, slots: usize) -> Result<Buffer, DeviceError>;

    /// Writes a field (3 × cells values) of one replica, into the slot of the state (or the other one).
    ///
    /// # Panics
    /// If the length is wrong.
    fn upload(&mut self, replica: usize, buffer: Buffer, other: bool, values: &[f64]);

    /// Reads a field of one replica.
    fn download(&self, replica: usize, buffer: Buffer, other: bool) -> Vec<f64>;

    /// Some cells of a field as [`byte`]s, `[y][x][component]`: for whoever watches a run. Only what is needed of the field is read.
    fn peek(&self, replica: usize, buffer: Buffer, n: [usize; 3], window: &Window) -> Vec<u8>;

    /// Takes over changed parameters and regions (not mesh or terms) of one replica.
    fn set_material(&mut self, replica: usize, system: &System);

    /// Checks a plan and gets it ready; once.
    ///
    /// # Errors
    /// What the device cannot do.
    fn prepare(&mut self, plan: &Plan) -> Result<Prepared, DeviceError>;

    /// Runs a prepared plan up to `times` times on every replica that is running; a replica that pauses sits out the rest.
    fn replay(&mut self, plan: Prepared, times: usize);

    /// Gives every term a pass of its own from now on, to find the one that is wrong; plans do the same as before.
    ///
    /// # Errors
    /// A device that has nothing to take apart, or no room for the sum.
    fn take_apart(&mut self) -> Result<(), DeviceError> {
        let what = "every term has a function of its own already; leave out `--unfused`".into();
        Err(DeviceError::Unsupported { device: self.info().name, what })
    }

    /// What has gone wrong since the device was opened. After that nothing it says is to be believed.
    fn trouble(&self) -> Option<DeviceError> {
        None
    }

    /// Whether a rate carried over from the last stage of a step equals one computed anew at its end, to the bit.
    fn carries_rates(&self) -> bool {
        true
    }

    /// The control block of a replica.
    fn control(&self, replica: usize) -> Control;

    /// Overwrites the control block of a replica.
    fn set_control(&mut self, replica: usize, control: Control);
}
