//! CUDA: the driver and NVRTC, both found when the program runs; kernels compiled for the device's own architecture and kept on disk.

use crate::{Backend, Found, GpuError, Kernel, Launch, Limits, Memory, Program, Recording};
use cudarc::driver::sys::CUdevice_attribute_enum as Attribute;
use cudarc::driver::{CudaContext, CudaFunction, CudaGraph, CudaSlice, CudaStream, LaunchConfig, PushKernelArg, sys as driver};
use cudarc::nvrtc::{Ptx, result as nvrtc, sys as nvrtc_sys};
use spinloom_base::cache;
use std::collections::HashMap;
use std::ffi::CString;
use std::sync::Arc;

/// A CUDA device.
pub struct Cuda {
    found: Found,
    architecture: String,
    context: Arc<CudaContext>,
    stream: Arc<CudaStream>,
    buffers: Vec<Option<CudaSlice<u8>>>,
    programs: Vec<(CudaFunction, u32)>,
    known: HashMap<Kernel, Program>,
    recordings: Vec<CudaGraph>,
}

// SAFETY: the context is bound to the calling thread by every call, and nothing is shared.
unsafe impl Send for Cuda {}

fn lost(e: impl std::fmt::Display) -> GpuError {
    GpuError::Lost(e.to_string())
}

/// Whether driver and compiler are there.
///
/// # Errors
/// [`GpuError::Missing`]: which is not, and how to get it.
pub fn present() -> Result<(), GpuError> {
    // The library panics where it finds none, so that is asked first.
    // SAFETY: these only look for a file.
    if !unsafe { driver::is_culib_present() } {
        return Err(GpuError::Missing("no CUDA driver (libcuda.so.1): it comes with NVIDIA's display or data-centre driver".into()));
    }
    compiler()
}

/// Whether NVRTC is there.
///
/// # Errors
/// [`GpuError::Missing`], with how to get it.
pub fn compiler() -> Result<(), GpuError> {
    // SAFETY: as above.
    if unsafe { nvrtc_sys::is_culib_present() } {
        return Ok(());
    }
    Err(GpuError::Missing(
        "no CUDA run-time compiler (libnvrtc.so.12): it comes with the CUDA toolkit, or with the Python package nvidia-cuda-nvrtc-cu12 (add its lib folder to LD_LIBRARY_PATH)".into(),
    ))
}

/// The usable devices, in the order of the driver, which follows `CUDA_VISIBLE_DEVICES`.
///
/// # Errors
/// [`GpuError::Missing`].
pub fn list() -> Result<Vec<Found>, GpuError> {
    present()?;
    let count = CudaContext::device_count().map_err(|e| GpuError::Missing(format!("the CUDA driver lists no devices: {e}")))?;
    // One that is in someone's exclusive use, or broken, does not hide the others.
    Ok((0..count as usize).filter_map(|i| describe(i, &*open_context(i).ok()?).ok()).collect())
}

fn open_context(index: usize) -> Result<Arc<CudaContext>, GpuError> {
    CudaContext::new(index).map_err(|e| GpuError::Missing(format!("CUDA device {index} does not open: {e}")))
}

fn describe(index: usize, context: &CudaContext) -> Result<Found, GpuError> {
    let attribute = |a| context.attribute(a).map(|v| v.max(0) as u32).map_err(lost);
    let memory = context.total_mem().map_err(lost)?;
    let (major, minor) = context.compute_capability().map_err(lost)?;
    let (mut nvrtc_major, mut nvrtc_minor, mut version) = (0, 0, 0);
    // SAFETY: the libraries are there, and the places are valid.
    unsafe {
        nvrtc_sys::nvrtcVersion(&mut nvrtc_major, &mut nvrtc_minor);
        driver::cuDriverGetVersion(&mut version);
    }
    Ok(Found {
        index,
        name: format!("cuda:{index}"),
        model: context.name().map_err(lost)?,
        memory: memory as u64,
        driver: format!(
            "CUDA {}.{}, NVRTC {nvrtc_major}.{nvrtc_minor}, compute capability {major}.{minor}",
            version / 1000,
            version % 1000 / 10
        ),
        limits: Limits {
            shared: attribute(Attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK)? as usize,
            group: attribute(Attribute::CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK)?,
            groups: [
                attribute(Attribute::CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X)?,
                attribute(Attribute::CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y)?,
                attribute(Attribute::CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z)?,
            ],
            buffer: memory,
            double: true,
        },
        software: false,
    })
}

/// Machine code of a kernel for an architecture such as `sm_80`. Needs the compiler, not a device.
///
/// # Errors
/// [`GpuError::Missing`] without NVRTC, [`GpuError::Compile`].
pub fn compile(kernel: &Kernel, architecture: &str) -> Result<Vec<u8>, GpuError> {
    compile_told(kernel, architecture, &[]).map(|(code, _)| code)
}

/// What a kernel takes of a multiprocessor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Registers an item.
    pub registers: u32,
    /// Bytes an item that do not fit registers: written, and read back.
    pub spilled: u32,
    /// Shared memory a group (bytes).
    pub shared: u32,
}

/// What a kernel takes of a multiprocessor of an architecture, as its assembler reports it. Needs the compiler, not a device.
///
/// # Errors
/// As [`compile`].
pub fn usage(kernel: &Kernel, architecture: &str) -> Result<Usage, GpuError> {
    let (_, log) = compile_told(kernel, architecture, &["--ptxas-options=-v"])?;
    // "Used 34 registers, …, 512 bytes smem", "0 bytes spill stores, 0 bytes spill loads".
    let before = |word: &str| {
        let text = &log[..log.find(word)?];
        text.rsplit(|c: char| !c.is_ascii_digit()).find(|w| !w.is_empty())?.parse().ok()
    };
    let registers = before(" registers").ok_or_else(|| GpuError::Compile {
        kernel: kernel.name.clone(),
        why: format!("its assembler does not say what it takes: {log}"),
    })?;
    Ok(Usage {
        registers,
        spilled: before(" bytes spill stores").unwrap_or(0) + before(" bytes spill loads").unwrap_or(0),
        shared: before(" bytes smem").unwrap_or(0),
    })
}

/// Machine code, and what the compiler said about it.
fn compile_told(kernel: &Kernel, architecture: &str, more: &[&str]) -> Result<(Vec<u8>, String), GpuError> {
    compiler()?;
    let fail = |why: String| GpuError::Compile { kernel: kernel.name.clone(), why };
    let text = CString::new(kernel.cuda()).map_err(|e| fail(e.to_string()))?;
    let program = nvrtc::create_program(&text, None).map_err(|e| fail(e.to_string()))?;
    let mut options =
        vec![format!("--gpu-architecture={architecture}"), "--fmad=true".into(), "--std=c++17".into(), "-default-device".into()];
    options.extend(more.iter().map(|o| o.to_string()));
    // SAFETY: the program lives until it is destroyed below.
    let result = unsafe {
        let done = nvrtc::compile_program(program, &options);
        let log = nvrtc::get_program_log(program).unwrap_or_default();
        let log: String = log.into_iter().map(|c| c as u8 as char).take_while(|c| *c != '\0').collect();
        match done {
            Ok(()) => code(program).map(|c| (c, log)).map_err(|e| fail(e.to_string())),
            Err(e) => Err(fail(format!("{e}\n{log}"))),
        }
    };
    // SAFETY: nothing refers to it any more.
    let _ = unsafe { nvrtc::destroy_program(program) };
    result
}

/// # Safety
/// The program was compiled and lives.
unsafe fn code(program: nvrtc_sys::nvrtcProgram) -> Result<Vec<u8>, nvrtc::NvrtcError> {
    let mut size = 0usize;
    // SAFETY: as for the caller; the buffer has the size that was asked for.
    unsafe {
        nvrtc_sys::nvrtcGetCUBINSize(program, &mut size).result()?;
        let mut bytes = vec![0u8; size];
        nvrtc_sys::nvrtcGetCUBIN(program, bytes.as_mut_ptr().cast()).result()?;
        Ok(bytes)
    }
}

impl Cuda {
    /// Opens a device.
    ///
    /// # Errors
    /// [`GpuError::Missing`].
    pub fn open(index: usize) -> Result<Self, GpuError> {
        present()?;
        let context = open_context(index)?;
        // SAFETY: one stream only; it orders everything.
        unsafe { context.disable_event_tracking() };
        let stream = context.new_stream().map_err(lost)?;
        let found = describe(index, &context)?;
        let (major, minor) = context.compute_capability().map_err(lost)?;
        Ok(Self {
            found,
            architecture: format!("sm_{major}{minor}"),
            context,
            stream,
            buffers: Vec::new(),
            programs: Vec::new(),
            known: HashMap::new(),
            recordings: Vec::new(),
        })
    }

    fn buffer(&self, memory: Memory) -> &CudaSlice<u8> {
        self.buffers[memory.0].as_ref().expect("the memory was given back")
    }

    /// Compiled code, from the disk if it is there.
    fn machine_code(&self, kernel: &Kernel) -> Result<Vec<u8>, GpuError> {
        let (mut major, mut minor) = (0, 0);
        // SAFETY: the library is there, and both places are valid.
        unsafe { nvrtc_sys::nvrtcVersion(&mut major, &mut minor) };
        let description = format!("{} {major}.{minor}\n{}", self.architecture, kernel.cuda());
        if let Some(code) = cache::read("kernels", &description) {
            return Ok(code);
        }
        let code = compile(kernel, &self.architecture)?;
        cache::write("kernels", &description, &code);
        Ok(code)
    }

    fn launch(&self, launch: &Launch) -> Result<(), GpuError> {
        let (function, group) = &self.programs[launch.program.0];
        let mut builder = self.stream.launch_builder(function);
        for memory in &launch.memories {
            builder.arg(self.buffer(*memory));
        }
        let [x, y, z] = launch.groups;
        let config = LaunchConfig { grid_dim: (x, y, z), block_dim: (*group, 1, 1), shared_mem_bytes: 0 };
        // SAFETY: the kernel takes one pointer for each of its bindings, and stays within them.
        unsafe { builder.launch(config) }.map(|_| ()).map_err(lost)
    }
}

impl Backend for Cuda {
    fn found(&self) -> &Found {
        &self.found
    }

    fn allocate(&mut self, bytes: usize) -> Result<Memory, GpuError> {
        let bytes = bytes.max(16);
        let full = |e: driver_error| GpuError::OutOfMemory { bytes, why: e.to_string() };
        let memory = self.stream.alloc_zeros::<u8>(bytes).map_err(full)?;
        self.stream.synchronize().map_err(full)?;
        self.buffers.push(Some(memory));
        Ok(Memory(self.buffers.len() - 1))
    }

    fn free(&mut self, memory: Memory) {
        self.buffers[memory.0] = None;
    }

    fn write(&mut self, memory: Memory, offset: usize, bytes: &[u8]) -> Result<(), GpuError> {
        let stream = self.stream.clone();
        let buffer = self.buffers[memory.0].as_mut().expect("the memory was given back");
        stream.memcpy_htod(bytes, &mut buffer.slice_mut(offset..offset + bytes.len())).map_err(lost)?;
        stream.synchronize().map_err(lost)
    }

    fn read(&self, memory: Memory, offset: usize, bytes: &mut [u8]) -> Result<(), GpuError> {
        self.context.bind_to_thread().map_err(lost)?;
        let view = self.buffer(memory).slice(offset..offset + bytes.len());
        self.stream.memcpy_dtoh(&view, bytes).map_err(lost)?;
        self.stream.synchronize().map_err(lost)
    }

    fn compile(&mut self, kernel: &Kernel) -> Result<Program, GpuError> {
        if let Some(program) = self.known.get(kernel) {
            return Ok(*program);
        }
        let fail = |why: String| GpuError::Compile { kernel: kernel.name.clone(), why };
        let shared = kernel.shared_bytes();
        if shared > self.found.limits.shared || kernel.group > self.found.limits.group {
            return Err(fail(format!("it needs {shared} bytes of shared memory and {} items a group", kernel.group)));
        }
        let code = self.machine_code(kernel)?;
        let module = self.context.load_module(Ptx::from_binary(code)).map_err(|e| fail(e.to_string()))?;
        let function = module.load_function("kernel_entry").map_err(|e| fail(e.to_string()))?;
        self.programs.push((function, kernel.group));
        let program = Program(self.programs.len() - 1);
        self.known.insert(kernel.clone(), program);
        Ok(program)
    }

    fn record(&mut self, launches: &[Launch]) -> Result<Recording, GpuError> {
        self.stream.begin_capture(driver::CUstreamCaptureMode_enum::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL).map_err(lost)?;
        let launched = launches.iter().try_for_each(|l| self.launch(l));
        let graph = self.stream.end_capture(driver::CUgraphInstantiate_flags(0)).map_err(lost)?;
        launched?;
        self.recordings.push(graph.ok_or_else(|| lost("nothing was captured"))?);
        Ok(Recording(self.recordings.len() - 1))
    }

    fn replay(&mut self, recording: Recording, times: usize) -> Result<(), GpuError> {
        for _ in 0..times {
            self.recordings[recording.0].launch().map_err(lost)?;
        }
        self.stream.synchronize().map_err(lost)
    }

    fn forget(&mut self) {
        self.recordings.clear();
    }
}

#[allow(non_camel_case_types, reason = "the library's own name is no word")]
type driver_error = cudarc::driver::DriverError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_kernel_takes_is_reported() {
        let kernel = Kernel {
            name: "twice".into(),
            body: "KERNEL_MAIN { sh[int(LID.x)] = x[int(GID.x)]; BARRIER(); x[int(GID.x)] = REAL(2.0f) * sh[63 - int(LID.x)]; }".into(),
            bindings: vec![crate::Binding { name: "x", element: crate::Element::Real, writable: true }],
            shared: vec![("sh".into(), 64)],
            group: 64,
            precision: crate::Precision::Single,
        };
        match usage(&kernel, "sm_90") {
            Ok(u) => assert!(u.registers > 4 && u.registers < 40 && u.spilled == 0 && u.shared == 256, "{u:?}"),
            Err(e) => eprintln!("SKIPPED: {e}"),
        }
    }

    #[test]
    fn a_machine_without_cuda_is_told_what_is_missing() {
        match list() {
            Ok(found) => println!("{found:?}"),
            Err(e) => assert!(
                matches!(&e, GpuError::Missing(why) if why.contains("libcuda") || why.contains("libnvrtc") || why.contains("driver")),
                "{e}"
            ),
        }
    }
}
