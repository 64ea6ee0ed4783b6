//! The stages a pipeline chains, all behind [`crate::pipeline::Stage`].

pub mod command;
pub mod extract;
pub mod network;
pub mod report;
pub mod simulate;
