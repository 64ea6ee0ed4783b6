//! Physical constants, in SI, each with its source. A number lives here once; everything derived is computed.
//!
//! The values are the ones the field's scripts assume (mumax3's, close to CODATA 2006), so that results can be
//! compared digit by digit; CODATA 2018 differs by at most 1e-5 relative.

/// Vacuum permeability (T m/A): 4 pi 1e-7, the value before the SI of 2019 (relative change 5e-10).
pub const MU0: f64 = 4.0e-7 * std::f64::consts::PI;
/// Boltzmann constant (J/K).
pub const KB: f64 = 1.380650424e-23;
/// Elementary charge (C).
pub const E_CHARGE: f64 = 1.60217646e-19;
/// Reduced Planck constant (J s).
pub const HBAR: f64 = 1.05457173e-34;
/// Bohr magneton (J/T).
pub const MUB: f64 = 9.2740091523e-24;
/// Default gyromagnetic ratio (rad/(T s)), the value of mumax3's `GammaLL`. The muMAG problems use 2.211e5 m/(A s) / mu0, 2.4e-5 smaller.
pub const GAMMA_LL: f64 = 1.7595e11;
