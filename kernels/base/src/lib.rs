//! What every stage shares and nothing heavy: physical constants, units with dimensions, diagnostics that name
//! a place, YAML documents that remember where each value stood, content hashes, a cache on disk, and counter-based random numbers.

pub mod cache;
pub mod constants;
pub mod diagnostics;
pub mod document;
pub mod hash;
pub mod random;
pub mod units;

pub use diagnostics::{Diagnostic, Place, Problems, Severity};
pub use document::{Document, Fields, Node, Value};
pub use units::{Dimension, Unit};
