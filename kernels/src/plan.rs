//! A plan: an ordered list of passes over named buffers. It says what is computed, never where or how.
//!
//! Whatever changes between two replays of a plan (time, step, slot, drives) lies in control blocks and parameter tables, not
//! in the plan.

use crate::mesh::Mesh;

/// A buffer of the device, as [`crate::Device::allocate`] numbered it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Buffer(pub usize);

/// A vector field in device memory. Buffers with two slots are addressed relative to the replica's slot bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ref {
    /// Which buffer.
    pub buffer: Buffer,
    /// Whether the slot that does *not* hold the state is meant.
    pub other: bool,
}

impl Ref {
    /// The slot of the present state (or the only slot).
    pub fn of(buffer: Buffer) -> Self {
        Self { buffer, other: false }
    }

    /// The slot of the next state.
    pub fn next(buffer: Buffer) -> Self {
        Self { buffer, other: true }
    }
}

/// Which law of motion turns the field into a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Motion {
    /// Landau–Lifshitz–Gilbert: dm/dt = −γ/(1+α²) [m × B + α m × (m × B)].
    Llg,
    /// Damping only: dm/dt = −γ m × (m × B), for relaxation.
    Damping,
}

/// out = base + dt Σ weight · rate, normalised to |m| = 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Combine {
    /// Start.
    pub base: Ref,
    /// Rates and their weights, in units of the time step.
    pub weights: Vec<(Ref, f64)>,
    /// Result. Must not be what the pass reads neighbours from.
    pub out: Ref,
}

/// All local laws of a cell, the motion and the stage combination in one pass.
#[derive(Clone, Debug, PartialEq)]
pub struct Cells {
    /// The magnetisation.
    pub read: Ref,
    /// Positions in [`crate::System::terms`] of the terms that are summed.
    pub terms: Vec<usize>,
    /// The convolution's result, where a term reads it.
    pub convolved: Option<Ref>,
    /// The normals, where a term reads them.
    pub noise: Option<Ref>,
    /// The user's field, where a term reads it.
    pub custom: Option<Ref>,
    /// Waveforms are taken at t + time · dt.
    pub time: f64,
    /// Turns the field (T) into a rate (1/s); without it the field itself is written.
    pub motion: Option<Motion>,
    /// Where the rate or field is written.
    pub write: Ref,
    /// The stage's new magnetisation.
    pub combine: Option<Combine>,
    /// Error estimate: `err = dt · max |Σ weight · rate|` over the cells.
    pub error: Option<Vec<(Ref, f64)>>,
    /// Whether to store the largest |rate| in the control block.
    pub measure: bool,
}

impl Cells {
    /// All of a system's terms, so many, and the motion of Landau, Lifshitz and Gilbert, at the beginning of a step; `convolved` holds the demagnetising field of `read`.
    pub fn torque(terms: usize, read: Ref, convolved: Ref, write: Ref) -> Self {
        Self {
            terms: (0..terms).collect(),
            read,
            convolved: Some(convolved),
            noise: None,
            custom: None,
            time: 0.0,
            motion: Some(Motion::Llg),
            write,
            combine: None,
            error: None,
            measure: false,
        }
    }
}

/// Sum over cells and components of (a − a') · (b − b').
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dot {
    /// a and a'.
    pub a: (Ref, Ref),
    /// b and b'.
    pub b: (Ref, Ref),
    /// Position in `Control::sums`.
    pub into: usize,
}

/// Most rates that a sum takes.
pub const MAX_STAGES: usize = 16;

/// Most that any spin turns in a descent step (rad).
pub const LARGEST_TURN: f64 = 0.5;

/// A rule that one thread per replica applies to its control block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    /// Chooses the step of this attempt.
    Begin,
    /// Accepts or rejects by an error estimate of this order, and proposes the next step.
    End {
        /// Order of the estimate.
        order: f64,
    },
    /// Barzilai–Borwein step length from `sums` = (s·s, s·y, y·y), alternating; Exl et al., J. Appl. Phys. 115, 17D118 (2014), eq. 14.
    /// Its size is taken where the energy curves downwards, and no step turns a spin by more than [`LARGEST_TURN`].
    Descent,
    /// Takes the new state.
    Accept,
}

/// One pass.
#[derive(Clone, Debug, PartialEq)]
pub enum Pass {
    /// Draws the normals of the step in progress.
    Noise(Ref),
    /// Convolves μ0 Ms m with the demagnetising tensor.
    Convolve {
        /// m.
        read: Ref,
        /// B (T).
        write: Ref,
    },
    /// Computes the user's field ([`crate::System::custom`]) at t + time · dt.
    Custom {
        /// m.
        read: Ref,
        /// In steps.
        time: f64,
        /// B (T).
        write: Ref,
    },
    /// If the control block says that one is due, takes a sample of the convolution into the oldest place of the ring, compares it with the
    /// field extrapolated to now, and lets the control block choose the next interval.
    Sample {
        /// m.
        read: Ref,
        /// The samples.
        ring: [Ref; 3],
        /// Room for the extrapolated field.
        predicted: Ref,
    },
    /// The field of the ring's samples extrapolated to t + time · dt.
    Extrapolate {
        /// The samples.
        ring: [Ref; 3],
        /// In steps.
        time: f64,
        /// B (T).
        write: Ref,
    },
    /// Laws, motion, combination.
    Cells(Cells),
    /// A stage combination on its own.
    Combine(Combine),
    /// Reductions, in `f64`, in an order that does not depend on the number of threads.
    Reduce(Vec<Dot>),
    /// Rotation by the descent step h along the rate k: m' = [(4 − h²k²) m + 4 h k] / (4 + h²k²), which keeps |m| = 1. Eq. 10 of Exl et al. (2014) for a rate k ⟂ m in units of tesla.
    Rotate {
        /// m.
        read: Ref,
        /// k (1/s); divided by γ.
        rate: Ref,
        /// m'.
        out: Ref,
    },
    /// A rule on the control block.
    Control(Rule),
}

/// An ordered list of passes.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Plan {
    /// What it does, for messages.
    pub name: String,
    /// The passes, in order.
    pub passes: Vec<Pass>,
}

impl Plan {
    /// How often it computes the right-hand side.
    pub fn evaluations(&self) -> usize {
        self.passes.iter().filter(|p| matches!(p, Pass::Cells(_))).count()
    }
}

impl Pass {
    /// Numbers read and written per cell and component of a vector field, beyond what a cache holds: the floor of what the pass moves. Neighbours
    /// count once.
    pub fn traffic(&self, mesh: &Mesh) -> f64 {
        let deep = mesh.n[2] > 1;
        // Rows of the spectrum stored per row of the mesh: along y all of them in 3D, the mesh's own in 2D.
        let rows = if deep && mesh.n[1] > 1 { 2.0 } else { 1.0 };
        match self {
            Pass::Noise(_) => 1.0,
            // x forward and backward read or write the field and a spectrum of as many numbers again (half of twice the length, two parts);
            // every further axis reads and writes the spectrum, the last one once for there and back.
            Pass::Convolve { .. } => {
                let spectrum = 2.0 * rows;
                let middle = if deep { 2.0 * (2.0 + spectrum) + 2.0 * spectrum } else { 4.0 };
                2.0 * (1.0 + 2.0) + middle
            }
            Pass::Sample { .. } | Pass::Control(_) => 0.0,
            Pass::Custom { .. } => 2.0,
            Pass::Extrapolate { .. } => 4.0,
            Pass::Cells(c) => {
                let combined = |c: &Combine| 2.0 + c.weights.iter().filter(|w| w.1 != 0.0).count() as f64;
                let error = c.error.as_ref().map_or(0.0, |e| e.iter().filter(|w| w.1 != 0.0 && w.0 != c.write).count() as f64);
                // A rate that was just written is still at hand, and the error reads what the combination has read.
                let fresh = c.combine.as_ref().is_some_and(|k| k.weights.iter().any(|w| w.0 == c.write && w.1 != 0.0));
                2.0 + c.combine.as_ref().map_or(error, |k| combined(k).max(error)) - f64::from(u8::from(fresh))
            }
            Pass::Combine(c) => 2.0 + c.weights.iter().filter(|w| w.1 != 0.0).count() as f64,
            Pass::Reduce(dots) => 4.0 * dots.len() as f64,
            Pass::Rotate { .. } => 3.0,
        }
    }

    /// In a word or two.
    pub fn name(&self) -> String {
        match self {
            Pass::Noise(_) => "noise".into(),
            Pass::Convolve { .. } => "convolution".into(),
            Pass::Custom { .. } => "custom field".into(),
            Pass::Sample { .. } => "sample of the demagnetising field".into(),
            Pass::Extrapolate { .. } => "extrapolation".into(),
            Pass::Cells(c) => {
                let extra = [(c.combine.is_some(), "combination"), (c.error.is_some(), "error"), (c.measure, "largest torque")];
                let words: Vec<&str> = extra.into_iter().filter(|e| e.0).map(|e| e.1).collect();
                format!("cells: {} term(s){}{}", c.terms.len(), if words.is_empty() { "" } else { ", " }, words.join(", "))
            }
            Pass::Combine(_) => "combination".into(),
            Pass::Reduce(dots) => format!("{} sum(s)", dots.len()),
            Pass::Rotate { .. } => "rotation".into(),
            Pass::Control(rule) => format!("control: {rule:?}"),
        }
    }
}
