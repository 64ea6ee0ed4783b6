//! Moves time and keeps records: shapes, materials, drives, steppers, relaxation, experiments, files.

pub mod simulation;
pub mod tableau;

pub use simulation::{DeviceChoice, Simulation, Step};
pub use tableau::Tableau;
