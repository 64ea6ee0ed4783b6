//! A device that computes nothing: it keeps what it is asked to compile and record, to be shown, counted and compiled elsewhere.

use crate::{Backend, Found, GpuError, Kernel, Launch, Limits, Memory, Program, Recording};
use std::sync::{Arc, Mutex};

/// What a [`Dry`] device was asked to do.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// The kernels, by the number of their program.
    pub kernels: Vec<Kernel>,
    /// The recordings: program and groups of each launch.
    pub recordings: Vec<Vec<(Program, [u32; 3])>>,
    /// Bytes of each memory.
    pub memories: Vec<usize>,
    /// Replays asked for.
    pub replays: usize,
}

/// See the module.
pub struct Dry {
    found: Found,
    log: Arc<Mutex<Log>>,
}

impl Dry {
    /// A device with these limits, and its log.
    pub fn new(limits: Limits) -> (Self, Arc<Mutex<Log>>) {
        let log = Arc::new(Mutex::new(Log::default()));
        let found =
            Found { index: 0, name: "dry".into(), model: "no device".into(), memory: 0, driver: "none".into(), limits, software: true };
        (Self { found, log: log.clone() }, log)
    }

    fn log(&self) -> std::sync::MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl Backend for Dry {
    fn found(&self) -> &Found {
        &self.found
    }

    fn allocate(&mut self, bytes: usize) -> Result<Memory, GpuError> {
        let mut log = self.log();
        log.memories.push(bytes);
        Ok(Memory(log.memories.len() - 1))
    }

    fn free(&mut self, _: Memory) {}

    fn write(&mut self, _: Memory, _: usize, _: &[u8]) -> Result<(), GpuError> {
        Ok(())
    }

    fn read(&self, _: Memory, _: usize, bytes: &mut [u8]) -> Result<(), GpuError> {
        bytes.fill(0);
        Ok(())
    }

    fn compile(&mut self, kernel: &Kernel) -> Result<Program, GpuError> {
        let mut log = self.log();
        if let Some(known) = log.kernels.iter().position(|k| k == kernel) {
            return Ok(Program(known));
        }
        log.kernels.push(kernel.clone());
        Ok(Program(log.kernels.len() - 1))
    }

    fn record(&mut self, launches: &[Launch]) -> Result<Recording, GpuError> {
        let mut log = self.log();
        log.recordings.push(launches.iter().map(|l| (l.program, l.groups)).collect());
        Ok(Recording(log.recordings.len() - 1))
    }

    fn replay(&mut self, _: Recording, times: usize) -> Result<(), GpuError> {
        self.log().replays += times;
        Ok(())
    }

    fn forget(&mut self) {}
}
