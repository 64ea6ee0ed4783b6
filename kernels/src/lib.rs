//! Computes: mesh, fields, terms, plans and the devices that run them.
//!
//! A [`System`] describes the physics and owns no device. The active [`terms`] make a [`plan::Plan`], an ordered list of
//! passes over buffers; a [`device::Device`] is a memory that runs such plans. Time stepping lives one crate up.

pub mod control;
pub mod cpu;
pub mod device;
pub mod gpu;
pub mod material;
pub mod mesh;
pub mod plan;
pub mod real;
pub mod region;
pub mod system;
pub mod terms;
pub mod waveform;

pub use control::{Control, Sampling, Status};
pub use device::{Device, DeviceError, DeviceInfo};
pub use material::{Material, PARAMETERS, ParameterId, Values};
pub use mesh::Mesh;
pub use plan::Plan;
pub use real::Real;
pub use region::RegionMap;
pub use system::{Replica, System};
pub use terms::Term;
pub use waveform::Waveform;
