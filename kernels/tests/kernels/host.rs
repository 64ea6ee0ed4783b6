//! The CUDA text, compiled by the machine's own C++ compiler and run by one thread: what its numbers are where there is no device. Items of a group
//! are fibres that change at every barrier.

use libloading::Library;
use spinloom_gpu::{Backend, Element, Found, GpuError, Kernel, Launch, Limits, Memory, Precision, Program, Recording};
use std::ffi::c_void;
use std::path::Path;
use std::process::Command;

const PREAMBLE: &str = r#"
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <ucontext.h>
using std::sqrt; using std::pow; using std::floor; using std::min; using std::max;
#include <algorithm>
struct uint3 { unsigned int x, y, z; };
static inline uint3 make_uint3(unsigned int x, unsigned int y, unsigned int z) { uint3 v = {x, y, z}; return v; }
static uint3 blockIdx, blockDim, threadIdx;
#define __device__
#define __forceinline__ inline
#define __global__
#define __shared__ static
#define __launch_bounds__(n)
static inline unsigned int __float_as_uint(float x) { unsigned int u; std::memcpy(&u, &x, 4); return u; }
static inline float __uint_as_float(unsigned int u) { float x; std::memcpy(&x, &u, 4); return x; }
static ucontext_t scheduler_;
static ucontext_t* fibre_;
static inline void __syncthreads() { swapcontext(fibre_, &scheduler_); }
"#;

const SCHEDULER: &str = r#"
static void** arguments_;
static bool finished_[1024];
static void start_(int t) { call_(arguments_); finished_[t] = true; }
extern "C" void run_(void** arguments, unsigned int gx, unsigned int gy, unsigned int gz, unsigned int n) {
    const size_t stack = 256 << 10;
    static char* stacks = (char*)std::malloc(1024 * stack);
    static ucontext_t contexts[1024];
    arguments_ = arguments;
    blockDim = make_uint3(n, 1, 1);
    for (unsigned int z = 0; z < gz; z++) for (unsigned int y = 0; y < gy; y++) for (unsigned int x = 0; x < gx; x++) {
        blockIdx = make_uint3(x, y, z);
        for (unsigned int t = 0; t < n; t++) {
            finished_[t] = false;
            getcontext(&contexts[t]);
            contexts[t].uc_stack.ss_sp = stacks + t * stack;
            contexts[t].uc_stack.ss_size = stack;
            contexts[t].uc_link = &scheduler_;
            makecontext(&contexts[t], (void (*)())start_, 1, (int)t);
        }
        for (bool any = true; any;) {
            any = false;
            for (unsigned int t = 0; t < n; t++) {
                if (finished_[t]) continue;
                any = true;
                threadIdx = make_uint3(t, 0, 0);
                fibre_ = &contexts[t];
                swapcontext(&scheduler_, &contexts[t]);
            }
        }
    }
}
"#;

type Run = unsafe extern "C" fn(*mut *mut c_void, u32, u32, u32, u32);

/// Runs CUDA kernels on the processor.
pub struct Host {
    found: Found,
    folder: tempfile::TempDir,
    memories: Vec<Vec<u64>>,
    programs: Vec<(Library, u32)>,
    known: Vec<Kernel>,
    recordings: Vec<Vec<Launch>>,
}

impl Host {
    /// With these limits; `None` without a C++ compiler.
    pub fn new(limits: Limits) -> Option<Self> {
        Command::new("g++").arg("--version").output().ok()?;
        let found = Found {
            index: 0,
            name: "host".into(),
            model: "CUDA text on the processor".into(),
            memory: 0,
            driver: "g++".into(),
            limits,
            software: true,
        };
        let folder = tempfile::tempdir().ok()?;
        Some(Self { found, folder, memories: vec![], programs: vec![], known: vec![], recordings: vec![] })
    }
}

fn shim(kernel: &Kernel) -> String {
    let real = if kernel.precision == Precision::Double { "double" } else { "float" };
    let arguments: Vec<String> = kernel
        .bindings
        .iter()
        .enumerate()
        .map(|(i, b)| {
            let element = match b.element {
                Element::Real => real,
                Element::Float => "float",
                Element::Uint => "unsigned int",
            };
            format!("({element}*)a[{i}]")
        })
        .collect();
    format!("static void call_(void** a) {{ kernel_entry({}); }}\n", arguments.join(", "))
}

fn build(kernel: &Kernel, folder: &Path, index: usize) -> Result<Library, String> {
    let (source, object) = (folder.join(format!("k{index}.cpp")), folder.join(format!("k{index}.so")));
    std::fs::write(&source, format!("{PREAMBLE}{}\n#line 1 \"shim\"\n{}{SCHEDULER}", kernel.cuda(), shim(kernel)))
        .map_err(|e| e.to_string())?;
    let out = Command::new("g++").args(["-O1", "-w", "-std=c++17", "-shared", "-fPIC", "-o"]).arg(&object).arg(&source).output();
    let out = out.map_err(|e| e.to_string())?;
    if !out.status.success() {
        return Err(String::from_utf8_lossy(&out.stderr).into_owned());
    }
    // SAFETY: the library was made from our own text just now, and has no initialisers.
    unsafe { Library::new(&object) }.map_err(|e| e.to_string())
}

fn bytes(memory: &[u64]) -> &[u8] {
    // SAFETY: whole numbers are bytes.
    unsafe { std::slice::from_raw_parts(memory.as_ptr().cast(), 8 * memory.len()) }
}

fn bytes_mut(memory: &mut [u64]) -> &mut [u8] {
    // SAFETY: as above.
    unsafe { std::slice::from_raw_parts_mut(memory.as_mut_ptr().cast(), 8 * memory.len()) }
}

impl Backend for Host {
    fn found(&self) -> &Found {
        &self.found
    }

    fn allocate(&mut self, bytes: usize) -> Result<Memory, GpuError> {
        self.memories.push(vec![0; bytes.div_ceil(8).max(1)]);
        Ok(Memory(self.memories.len() - 1))
    }

    fn free(&mut self, memory: Memory) {
        self.memories[memory.0] = vec![];
    }

    fn write(&mut self, memory: Memory, offset: usize, from: &[u8]) -> Result<(), GpuError> {
        bytes_mut(&mut self.memories[memory.0])[offset..offset + from.len()].copy_from_slice(from);
        Ok(())
    }

    fn read(&self, memory: Memory, offset: usize, to: &mut [u8]) -> Result<(), GpuError> {
        to.copy_from_slice(&bytes(&self.memories[memory.0])[offset..offset + to.len()]);
        Ok(())
    }

    fn compile(&mut self, kernel: &Kernel) -> Result<Program, GpuError> {
        if let Some(known) = self.known.iter().position(|k| k == kernel) {
            return Ok(Program(known));
        }
        let library = build(kernel, self.folder.path(), self.known.len())
            .map_err(|why| GpuError::Compile { kernel: kernel.name.clone(), why: format!("{why}\n{}", kernel.cuda()) })?;
        self.known.push(kernel.clone());
        self.programs.push((library, kernel.group));
        Ok(Program(self.known.len() - 1))
    }

    fn record(&mut self, launches: &[Launch]) -> Result<Recording, GpuError> {
        self.recordings.push(launches.to_vec());
        Ok(Recording(self.recordings.len() - 1))
    }

    fn replay(&mut self, recording: Recording, times: usize) -> Result<(), GpuError> {
        for _ in 0..times {
            for launch in &self.recordings[recording.0] {
                let (library, group) = &self.programs[launch.program.0];
                let mut arguments: Vec<*mut c_void> = launch.memories.iter().map(|m| self.memories[m.0].as_mut_ptr().cast()).collect();
                let [x, y, z] = launch.groups;
                // SAFETY: the function has this signature, and the pointers are those of its bindings.
                unsafe {
                    let run: libloading::Symbol<'_, Run> = library.get(b"run_").map_err(|e| GpuError::Lost(e.to_string()))?;
                    run(arguments.as_mut_ptr(), x, y, z, *group);
                }
            }
        }
        Ok(())
    }

    fn forget(&mut self) {
        self.recordings.clear();
    }
}
