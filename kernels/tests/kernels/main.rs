//! The tests of this crate, one binary: every term against hand arithmetic, its own energy, and the plain device.

mod conformance;
mod demag;
mod host;
mod shapes;
