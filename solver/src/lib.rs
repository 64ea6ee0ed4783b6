//! Moves time and keeps records: shapes, materials, drives, steppers, relaxation, experiments, files.

pub mod barrier;
pub mod devices;
pub mod experiment;
pub mod mx3;
pub mod quantities;
pub mod readout;
pub mod run;
pub mod shapes;
pub mod simulation;
pub mod tableau;

pub use devices::DeviceChoice;
pub use experiment::Experiment;
pub use run::{Outcome, Progress, RunOptions, run};
pub use simulation::{DemagEvery, Simulation, Step, set_threads, threads};
pub use tableau::Tableau;
