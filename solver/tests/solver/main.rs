//! The tests of this crate, one binary.

mod experiments;
mod input;
mod motion;
