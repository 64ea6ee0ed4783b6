//! The record of a run: HDF5 reader and writer, no physics
