//! Spiking networks on fitted device models
