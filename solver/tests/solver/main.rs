//! The tests of this crate, one binary.

mod experiments;
mod gpu;
mod input;
mod motion;
mod mx3;
