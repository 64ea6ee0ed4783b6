//! Kernels as text, and the two interfaces that compile, record and replay them: Vulkan on any vendor's device, CUDA on NVIDIA's.
//!
//! # One text for both
//! A [`Kernel`] is a body in the common subset of GLSL 450 and CUDA C++: plain functions and one `KERNEL_MAIN { … }`. What differs, declarations of
//! buffers, shared arrays and the size of a group, is written by [`Kernel::glsl`] and [`Kernel::cuda`]. The rules of the subset:
//!
//! * types `int`, `uint`, `bool`, `REAL` (`float` or `double`) and `VEC` (three `REAL`s, members `.x .y .z`, built by `VEC(a, b, c)`, with
//!   `+`, `-`, `REAL * VEC`, `dot`, `cross`);
//! * `FN` in front of every helper, which is defined before its use; casts are calls; whole local variables as `INOUT(REAL)` arguments;
//! * `GID` (item), `LID` (item in its group), `WG` (group), each with `.x .y .z`; `BARRIER()` only where all items of a group arrive;
//! * real constants by [`literal`]: GLSL as read here knows no double literals.
//!
//! Whatever changes between two replays lies in memory; everything else is a number in the text.

pub mod cuda;
pub mod dry;
pub mod vulkan;

use std::fmt;
use std::fmt::Write as _;

/// What a memory holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Element {
    /// `REAL`.
    Real,
    /// `float`, whatever `REAL` is.
    Float,
    /// `uint`.
    Uint,
}

/// A buffer that a kernel sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Binding {
    /// Its name in the text.
    pub name: &'static str,
    /// What it holds.
    pub element: Element,
    /// Whether the kernel writes it.
    pub writable: bool,
}

/// Precision of `REAL`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Precision {
    /// `float`.
    Single,
    /// `double`.
    Double,
}

impl Precision {
    /// Of one number.
    pub fn bytes(self) -> usize {
        match self {
            Self::Single => 4,
            Self::Double => 8,
        }
    }
}

/// A kernel.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Kernel {
    /// For messages.
    pub name: String,
    /// Functions and `KERNEL_MAIN`.
    pub body: String,
    /// Buffers, in order of their binding numbers.
    pub bindings: Vec<Binding>,
    /// Shared arrays of `REAL`: names and lengths.
    pub shared: Vec<(String, usize)>,
    /// Items along x in a group.
    pub group: u32,
    /// What `REAL` is.
    pub precision: Precision,
}

const GLSL: &str = include_str!("prelude.glsl");
const CUDA: &str = include_str!("prelude.cu");

/// `high`: the upper half of a product of two words, in 16-bit pieces, since the subset of the two languages has no other way to it.
pub const HIGH: &str = "\
FN uint high(uint a, uint b) {
    uint al = a & 0xffffu;
    uint ah = a >> 16u;
    uint bl = b & 0xffffu;
    uint bh = b >> 16u;
    uint low = al * bl;
    uint m1 = ah * bl + (low >> 16u);
    uint m2 = al * bh + (m1 & 0xffffu);
    return ah * bh + (m1 >> 16u) + (m2 >> 16u);
}
";

/// The ten rounds of Philox4x32-10 (Salmon et al., SC 2011) on the counter c0 to c3 and the key k0, k1, all `uint`s; wants [`HIGH`].
pub const PHILOX_ROUNDS: &str = "    for (int n = 0; n < 10; n += 1) {
        uint h0 = high(c0, 0xD2511F53u);
        uint l0 = c0 * 0xD2511F53u;
        uint h1 = high(c2, 0xCD9E8D57u);
        uint l1 = c2 * 0xCD9E8D57u;
        c0 = h1 ^ c1 ^ k0;
        c1 = l1;
        c2 = h0 ^ c3 ^ k1;
        c3 = l0;
        k0 = k0 + 0x9E3779B9u;
        k1 = k1 + 0xBB67AE85u;
    }
";

/// A real constant, exact in either precision: as a sum of floats, because `double(0.1)` would round to a float first.
pub fn literal(value: f64, precision: Precision) -> String {
    let float = |v: f32| if v == v.trunc() && v.abs() < 1e6 { format!("{v:.1}f") } else { format!("{v:e}f") };
    match precision {
        Precision::Single => float(value as f32),
        Precision::Double => {
            let mut rest = value;
            let mut parts = Vec::new();
            while parts.is_empty() || (rest != 0.0 && parts.len() < 3) {
                let part = rest as f32;
                parts.push(format!("REAL({})", float(part)));
                rest -= f64::from(part);
                // What a float cannot hold any more is below the rounding of the sum.
                if rest.abs() < 1e-17 * value.abs() {
                    break;
                }
            }
            format!("({})", parts.join(" + "))
        }
    }
}

impl Kernel {
    /// Shared memory of a group (bytes).
    pub fn shared_bytes(&self) -> usize {
        self.shared.iter().map(|(_, n)| n * self.precision.bytes()).sum()
    }

    /// As GLSL.
    pub fn glsl(&self) -> String {
        let (real, vec) = if self.precision == Precision::Double { ("double", "dvec3") } else { ("float", "vec3") };
        let mut text = format!("#version 450\n#define REAL {real}\n#define VEC {vec}\nlayout(local_size_x = {}) in;\n", self.group);
        for (i, b) in self.bindings.iter().enumerate() {
            let element = match b.element {
                Element::Real => real,
                Element::Float => "float",
                Element::Uint => "uint",
            };
            let access = if b.writable { "" } else { "readonly " };
            let _ = writeln!(text, "layout(std430, set = 0, binding = {i}) {access}buffer B_{0} {{ {element} {0}[]; }};", b.name);
        }
        for (name, len) in &self.shared {
            let _ = writeln!(text, "shared {real} {name}[{len}];");
        }
        text + GLSL + &self.body
    }

    /// As CUDA C++; the entry is `kernel_entry`.
    pub fn cuda(&self) -> String {
        let real = if self.precision == Precision::Double { "double" } else { "float" };
        let mut text = format!("#define REAL {real}\n#define GROUP {}\n{CUDA}", self.group);
        for (name, len) in &self.shared {
            let _ = writeln!(text, "__shared__ {real} {name}[{len}];");
        }
        text.push_str("struct Kernel_ {\n");
        let declare = |b: &Binding| {
            let element = match b.element {
                Element::Real => real,
                Element::Float => "float",
                Element::Uint => "unsigned int",
            };
            format!("{}{element}* __restrict__ {}", if b.writable { "" } else { "const " }, b.name)
        };
        for b in &self.bindings {
            let _ = writeln!(text, "    {};", declare(b));
        }
        text.push_str("#line 1 \"body\"\n");
        text.push_str(&self.body);
        let arguments: Vec<String> = self.bindings.iter().map(declare).collect();
        let names: Vec<&str> = self.bindings.iter().map(|b| b.name).collect();
        let _ = write!(
            text,
            "\n}};\nextern \"C\" __global__ void __launch_bounds__(GROUP) kernel_entry({}) {{\n    Kernel_ kernel = {{{}}};\n    kernel.kernel_main();\n}}\n",
            arguments.join(", "),
            names.join(", ")
        );
        text
    }
}

/// What can go wrong.
#[derive(Clone, Debug, PartialEq)]
pub enum GpuError {
    /// There is no such device, or what it needs is not installed; says what.
    Missing(String),
    /// No room.
    OutOfMemory {
        /// How much was asked for (bytes).
        bytes: usize,
        /// What the interface said.
        why: String,
    },
    /// More than the device's numbers or grids hold; says what.
    TooLarge(String),
    /// A kernel does not compile.
    Compile {
        /// Its name.
        kernel: String,
        /// What the compiler said.
        why: String,
    },
    /// Anything else that the interface reports, a lost device first of all.
    Lost(String),
}

impl fmt::Display for GpuError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(what) | Self::TooLarge(what) => f.write_str(what),
            Self::OutOfMemory { bytes, why } => write!(f, "no room for {bytes} bytes: {why}"),
            Self::Compile { kernel, why } => write!(f, "kernel `{kernel}` does not compile: {why}"),
            Self::Lost(why) => write!(f, "the device failed: {why}"),
        }
    }
}

impl std::error::Error for GpuError {}

/// What a device can do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Shared memory of a group (bytes).
    pub shared: usize,
    /// Items in a group.
    pub group: u32,
    /// Groups along x, y and z.
    pub groups: [u32; 3],
    /// The largest buffer (bytes).
    pub buffer: usize,
    /// Whether it computes in double precision.
    pub double: bool,
}

impl Limits {
    /// The least that Vulkan promises.
    pub const LEAST: Limits = Limits { shared: 16384, group: 128, groups: [65535; 3], buffer: 1 << 27, double: true };
}

/// A usable device, for people.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Its number in its interface.
    pub index: usize,
    /// As users name it, e.g. `vulkan:0`.
    pub name: String,
    /// Its maker's name for it.
    pub model: String,
    /// Its memory (bytes).
    pub memory: u64,
    /// Driver and interface version.
    pub driver: String,
    /// What it can do.
    pub limits: Limits,
    /// Whether it is a processor that plays a graphics device.
    pub software: bool,
}

/// A piece of device memory, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Memory(pub usize);

/// A compiled kernel, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Program(pub usize);

/// A recorded list of launches, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Recording(pub usize);

/// One launch. Launches of a recording run one after another, each seeing what those before it wrote.
#[derive(Clone, Debug, PartialEq)]
pub struct Launch {
    /// What to run.
    pub program: Program,
    /// A memory for each binding.
    pub memories: Vec<Memory>,
    /// Number of groups.
    pub groups: [u32; 3],
}

/// An interface to a device: memory, and kernels that are compiled and recorded once and replayed unchanged.
pub trait Backend: Send {
    /// Which device this is.
    fn found(&self) -> &Found;

    /// Zeroed memory.
    ///
    /// # Errors
    /// [`GpuError::OutOfMemory`].
    fn allocate(&mut self, bytes: usize) -> Result<Memory, GpuError>;

    /// Gives memory back. Recordings that use it must not be replayed any more.
    fn free(&mut self, memory: Memory);

    /// Copies to the device; returns when done.
    ///
    /// # Errors
    /// A lost device.
    fn write(&mut self, memory: Memory, offset: usize, bytes: &[u8]) -> Result<(), GpuError>;

    /// Copies from the device, after everything submitted.
    ///
    /// # Errors
    /// A lost device.
    fn read(&self, memory: Memory, offset: usize, bytes: &mut [u8]) -> Result<(), GpuError>;

    /// Compiles a kernel; the same one again costs nothing.
    ///
    /// # Errors
    /// [`GpuError::Compile`].
    fn compile(&mut self, kernel: &Kernel) -> Result<Program, GpuError>;

    /// Records launches.
    ///
    /// # Errors
    /// A lost device.
    fn record(&mut self, launches: &[Launch]) -> Result<Recording, GpuError>;

    /// Runs a recording so many times, and waits for the end.
    ///
    /// # Errors
    /// A lost device.
    fn replay(&mut self, recording: Recording, times: usize) -> Result<(), GpuError>;

    /// Forgets all recordings.
    fn forget(&mut self);
}

/// Bytes read and written a second by copying an array of so many bytes from one memory to another (the least of some tries).
///
/// # Errors
/// No room, or a lost device.
pub fn copy_speed(backend: &mut dyn Backend, bytes: usize) -> Result<f64, GpuError> {
    const GROUP: u32 = 128;
    // Groups along one axis may be few: each item copies every so many-th number.
    const GROUPS: u32 = 4096;
    let numbers = bytes / 4;
    let items = GROUP * GROUPS;
    let body = format!("KERNEL_MAIN {{ for (int i = int(GID.x); i < {numbers}; i += {items}) {{ to[i] = from[i]; }} }}");
    let binding = |name, writable| Binding { name, element: Element::Float, writable };
    let bindings = vec![binding("from", false), binding("to", true)];
    let kernel = Kernel { name: "copy".into(), body, bindings, shared: vec![], group: GROUP, precision: Precision::Single };
    let memories = vec![backend.allocate(4 * numbers)?, backend.allocate(4 * numbers)?];
    let program = backend.compile(&kernel)?;
    let recording = backend.record(&[Launch { program, memories: memories.clone(), groups: [GROUPS, 1, 1] }])?;
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let clock = std::time::Instant::now();
        backend.replay(recording, 8)?;
        best = best.min(clock.elapsed().as_secs_f64() / 8.0);
    }
    memories.into_iter().for_each(|m| backend.free(m));
    Ok(8.0 * numbers as f64 / best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_survive_in_both_precisions() {
        assert_eq!(literal(1.0, Precision::Single), "1.0f");
        for v in [std::f64::consts::PI, -0.1, 1e-20, 3.0, 2.0f64.sqrt() * 1e11] {
            assert_eq!(literal(v, Precision::Single).trim_end_matches('f').parse::<f32>().unwrap(), v as f32);
            let text = literal(v, Precision::Double);
            let sum: f64 = text
                .trim_matches(['(', ')'])
                .split(" + ")
                .map(|p| f64::from(p.trim_start_matches("REAL(").trim_end_matches([')', 'f']).parse::<f32>().unwrap()))
                .sum();
            assert!((sum - v).abs() <= 2e-16 * v.abs(), "{text}");
        }
    }
}
