//! The tests of this crate, one binary.

mod barrier;
mod experiments;
mod gpu;
mod input;
mod motion;
mod mx3;
mod stack;
mod surroundings;
