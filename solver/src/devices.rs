//! The machines that can compute: which there are, what the others lack, and which one a user means.

use crate::simulation::threads;
use spinloom_base::diagnostics::{Diagnostic, Problems};
use spinloom_gpu::cuda::{self, Cuda};
use spinloom_gpu::vulkan::{self, Vulkan};
use spinloom_gpu::{Backend, Found, GpuError, Precision};
use spinloom_kernels::cpu::{self, isa::Isa};
use spinloom_kernels::gpu::waves::realise;
use spinloom_kernels::{Device, DeviceError, System};
use std::fmt;
use std::sync::OnceLock;

/// Which machine computes, and how precisely.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceChoice {
    /// All cores, `f32`.
    CpuSingle,
    /// All cores, `f64`.
    CpuDouble,
    /// The plain version, `f64`, direct sum.
    Reference,
    /// A device of the Vulkan interface, by number.
    Vulkan(usize, Precision),
    /// A device of the CUDA interface, by number.
    Cuda(usize, Precision),
}

/// What [`list`] tells.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// As users name it.
    pub name: String,
    /// What it is; or, if it cannot be used, what is missing.
    pub about: String,
    /// Whether it can be used.
    pub usable: bool,
}

fn found(f: &Found) -> Listed {
    let precisions = if f.limits.double { "f32, f64" } else { "f32" };
    let software = if f.software { "; a processor that plays a graphics device" } else { "" };
    let gib = f.memory as f64 / f64::from(1 << 30);
    Listed { name: f.name.clone(), about: format!("{precisions}; {}, {gib:.1} GiB, {}{software}", f.model, f.driver), usable: true }
}

/// Every device of this machine, and what the interfaces without one lack.
pub fn list() -> Vec<Listed> {
    let cpu = format!("f32, f64; {} threads, {}", threads(), Isa::widest().name());
    let mut all = vec![
        Listed { name: "cpu".into(), about: cpu, usable: true },
        Listed {
            name: "cpu:reference".into(),
            about: "f64, direct sum, one thread: the plain version that everything faster is held to".into(),
            usable: true,
        },
    ];
    for (name, result) in [("vulkan", vulkan::list()), ("cuda", cuda::list())] {
        match result {
            Ok(devices) if devices.is_empty() => {
                all.push(Listed { name: name.into(), about: "no device; is its driver installed?".into(), usable: false });
            }
            Ok(devices) => all.extend(devices.iter().map(found)),
            Err(e) => all.push(Listed { name: name.into(), about: e.to_string(), usable: false }),
        }
    }
    all
}

/// What [`fastest`] found, for each precision: asking every interface takes its time, and many experiments of a sweep ask.
static FASTEST: [OnceLock<DeviceChoice>; 2] = [const { OnceLock::new() }; 2];

/// The fastest kind of device there is: CUDA, then a graphics device of the Vulkan interface, then the processor.
fn fastest(precision: Precision) -> DeviceChoice {
    *FASTEST[usize::from(precision == Precision::Double)].get_or_init(|| look(precision))
}

/// The device of the Vulkan interface that a scheduler has assigned. The CUDA driver lists what is assigned and nothing else; the Vulkan loader lists all that
/// the job may open, and what Slurm sets for other interfaces names its own.
fn assigned() -> Option<usize> {
    static ASSIGNED: OnceLock<Option<usize>> = OnceLock::new();
    *ASSIGNED.get_or_init(|| {
        let names = ["GPU_DEVICE_ORDINAL", "CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"];
        let number = names.iter().find_map(|name| first_number(&std::env::var(name).ok()?))?;
        vulkan::list().is_ok_and(|all| number < all.len()).then_some(number)
    })
}

/// The first of a list of numbers.
fn first_number(list: &str) -> Option<usize> {
    list.split(',').next()?.trim().parse().ok()
}

fn look(precision: Precision) -> DeviceChoice {
    let usable = |all: Result<Vec<Found>, GpuError>| -> Vec<usize> {
        let good = |f: &&Found| !f.software && (precision == Precision::Single || f.limits.double);
        all.unwrap_or_default().iter().filter(good).map(|f| f.index).collect()
    };
    let vulkan = || {
        let all = usable(vulkan::list());
        all.iter().find(|i| Some(**i) == assigned()).or(all.first()).copied()
    };
    if let Some(i) = usable(cuda::list()).first() {
        DeviceChoice::Cuda(*i, precision)
    } else if let Some(i) = vulkan() {
        DeviceChoice::Vulkan(i, precision)
    } else if precision == Precision::Double {
        DeviceChoice::CpuDouble
    } else {
        DeviceChoice::CpuSingle
    }
}

/// Bytes of the machine's memory that can still be taken, where the system tells.
pub fn free_memory() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find(|l| l.starts_with("MemAvailable:"))?;
    line.split_whitespace().nth(1)?.parse::<f64>().ok().map(|kib| 1024.0 * kib)
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CpuSingle | Self::CpuDouble => write!(f, "cpu, {}", self.precision()),
            Self::Reference => write!(f, "cpu:reference, f64"),
            Self::Vulkan(i, _) => write!(f, "vulkan:{i}, {}", self.precision()),
            Self::Cuda(i, _) => write!(f, "cuda:{i}, {}", self.precision()),
        }
    }
}

impl DeviceChoice {
    /// From the words a user writes: `cpu`, `cpu:reference`, `vulkan` or `cuda` with or without `:n`, `auto`.
    ///
    /// # Errors
    /// An unknown device or precision.
    pub fn parse(device: &str, precision: &str) -> Result<Self, Problems> {
        let real = match precision {
            "f32" => Precision::Single,
            "f64" => Precision::Double,
            _ => {
                let d = Diagnostic::error(format!("`{precision}` is not a precision"));
                return Err(d.hint("it can be `f32` or `f64`").into());
            }
        };
        let (kind, number) = device.split_once(':').map_or((device, None), |(k, n)| (k, Some(n)));
        let unknown = || {
            Problems::from(
                Diagnostic::error(format!("`{device}` is not a device of this program"))
                    .hint("it can be `cpu`, `cpu:reference`, `vulkan`, `vulkan:1`, `cuda`, `cuda:1` or `auto`"),
            )
        };
        let index = || number.map_or(Some(0), |n| n.parse::<usize>().ok()).ok_or_else(unknown);
        match (kind, number) {
            ("cpu", None) if real == Precision::Single => Ok(Self::CpuSingle),
            ("cpu", None) => Ok(Self::CpuDouble),
            ("auto", None) => Ok(fastest(real)),
            ("cpu", Some("reference")) if real == Precision::Double => Ok(Self::Reference),
            ("cpu", Some("reference")) => {
                Err(Diagnostic::error("the reference device computes in f64 only").hint("write `precision: f64`").into())
            }
            ("vulkan", None) => Ok(Self::Vulkan(assigned().unwrap_or(0), real)),
            ("vulkan", _) => Ok(Self::Vulkan(index()?, real)),
            ("cuda", _) => Ok(Self::Cuda(index()?, real)),
            _ => Err(unknown()),
        }
    }

    /// `f32` or `f64`.
    pub fn precision(self) -> &'static str {
        match self {
            Self::CpuSingle | Self::Vulkan(_, Precision::Single) | Self::Cuda(_, Precision::Single) => "f32",
            _ => "f64",
        }
    }

    /// In words, how much memory replicas on a mesh of so many cells need and there is, if it is not enough.
    pub fn lacks_memory(self, n: [usize; 3], replicas: usize) -> Option<String> {
        let cells = n.iter().map(|n| *n as f64).product::<f64>();
        // State, stages and fields of each replica; and a spectrum of twice the length along every axis that has more than one cell.
        let numbers = cells * (3.0 * 14.0 * replicas as f64 + 6.0 * 2f64.powi(n[1..].iter().filter(|n| **n > 1).count() as i32));
        let (need, free) = (numbers * if self.precision() == "f64" { 8.0 } else { 4.0 }, free_memory().unwrap_or(f64::INFINITY));
        (need > free || cells > 2e9).then(|| {
            let [need, free] = [need, free].map(|bytes| bytes / f64::from(1 << 30));
            let each = if replicas > 1 { format!(", {replicas} times,") } else { String::new() };
            format!("a mesh of {} x {} x {} cells{each} needs about {need:.1} GiB, and {free:.1} GiB are free", n[0], n[1], n[2])
        })
    }

    /// The graphics device itself, for other work than micromagnetics; `None` of a processor.
    ///
    /// # Errors
    /// That it is not there, or cannot be opened.
    pub fn backend(self) -> Result<Option<Box<dyn Backend>>, GpuError> {
        Ok(Some(match self {
            Self::Vulkan(i, _) => Box::new(Vulkan::open(i)?),
            Self::Cuda(i, _) => Box::new(Cuda::open(i)?),
            _ => return Ok(None),
        }))
    }

    /// Bytes read and written a second by copying a large array in the memory of a graphics device; `None` of a processor.
    ///
    /// # Errors
    /// What the device cannot do, or that it is not there.
    pub fn copy_speed(self) -> Result<Option<f64>, GpuError> {
        let Some(mut backend) = self.backend()? else { return Ok(None) };
        // No cache holds it, and every device takes it in one piece.
        let bytes = (256 << 20).min(backend.found().limits.buffer);
        spinloom_gpu::copy_speed(backend.as_mut(), bytes).map(Some)
    }

    /// Realises a system.
    ///
    /// # Errors
    /// What the device cannot do, or that it is not there.
    pub fn open(self, system: &System) -> Result<Box<dyn Device>, DeviceError> {
        let named = |name: String| {
            move |e| match e {
                // What cannot be opened has no name yet.
                DeviceError::Unsupported { what, .. } => DeviceError::Unsupported { device: name, what },
                e => e,
            }
        };
        Ok(match self {
            Self::CpuSingle => cpu::single(system)?,
            Self::CpuDouble => cpu::double(system)?,
            Self::Reference => cpu::reference(system)?,
            Self::Vulkan(i, precision) => {
                let open = || Vulkan::open(i).map(|d| Box::new(d) as Box<dyn Backend>);
                realise(system, precision, open).map_err(named(format!("vulkan:{i}")))?
            }
            Self::Cuda(i, precision) => {
                let open = || Cuda::open(i).map(|d| Box::new(d) as Box<dyn Backend>);
                realise(system, precision, open).map_err(named(format!("cuda:{i}")))?
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_scheduler_assigns_is_read() {
        assert_eq!(first_number("3"), Some(3));
        assert_eq!(first_number(" 1,0"), Some(1));
        // Names of cards are CUDA's alone; nothing is assigned by an empty list.
        assert_eq!((first_number("GPU-5ebe"), first_number("")), (None, None));
    }
}
