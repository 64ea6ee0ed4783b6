//! The record of a run: the one home of its file format, reader and writer. No physics.
//!
//! A record outlives the run that made it, the program and the disk that filled up half way. Therefore
//! **the only copy is never open for writing**: plain HDF5 has no journal, and a kill inside a flush can lose the file.
//! Everything is written under another name, closed, fsynced and renamed.
//!
//! # In Python
//!
//! A finished record opens in three lines (`t` is whatever the first column of the table is called):
//!
//! ```python
//! f = h5py.File('run.h5')
//! f['table/t'][0]          # column t of replica 0
//! f['fields/m/data'][-1]   # last frame of m, shape (nz, ny, nx, 3)
//! ```
//!
//! # In Rust
//!
//! ```
//! use spinloom_record::*;
//! # fn main() -> Result<(), spinloom_base::Problems> {
//! # let folder = tempfile::tempdir().unwrap();
//! # let dir = folder.path();
//! let header = Header {
//!     program: "example".into(),
//!     version: "0.1.0".into(),
//!     source: Source { file: "example.yaml".into(), text: "a: 1".into() },
//!     device: "cpu".into(),
//!     precision: Precision::Single,
//!     seed: 1,
//!     parameters: vec![Parameter { name: "Aex".into(), value: "13e-12".into(), unit: "J/m".into() }],
//!     choices: vec![Choice { key: "stepper".into(), value: "RK45".into() }],
//!     mesh: Mesh::regular([2, 1, 1], [5e-9; 3], [0.0; 3]),
//!     columns: vec![Column { name: "t".into(), unit: "s".into() }, Column { name: "mx".into(), unit: "".into() }],
//!     replicas: vec![Replica { label: "one".into(), coordinates: vec![] }],
//!     volatile: Volatile::here(),
//! };
//! let mut writer = Writer::create(dir, header, Options::default())?;
//! writer.row(0, &[0.0, 1.0])?;
//! writer.frame("m", "", 0, 0.0, 3, &[1.0, 0.0, 0.0, 1.0, 0.0, 0.0])?;
//! writer.commit(&Checkpoint::default())?; // from here on a kill loses nothing of the above
//! writer.row(0, &[1e-12, 0.5])?;
//! let path = writer.finish()?;
//!
//! let record = Record::open(&path)?;
//! assert_eq!(record.column("mx", 0)?, [1.0, 0.5]);
//! assert_eq!(record.frame("m", 0)?.data[..3], [1.0, 0.0, 0.0]);
//! # Ok(())
//! # }
//! ```
//!
//! # The schema, `spinloom-record/1`
//!
//! ## A finished run is one file, `DIR/run.h5`
//!
//! Texts are variable-length UTF-8. `R` replicas, `n` rows of the longest replica, `F` frames of a quantity.
//!
//! | object | type, shape | meaning |
//! |---|---|---|
//! | `/` attributes `schema`, `program`, `program_version`, `device`, `precision` | text | `precision` is `single` or `double` |
//! | `/` attribute `seed` | u64 | of all random numbers |
//! | `/` attribute `finished` | bool | true in a finished run; everything below "a running record" is then absent |
//! | `/source` attributes `file`, `sha256`; `/source/text` | text | the script or description, whole, and its SHA-256 |
//! | `/mesh` attributes `n` (u64, 3), `cell` (f64, 3, m), `origin` (f64, 3, m) | | order x, y, z; `origin` is the lower corner of the box |
//! | `/mesh/layers` | f64 (2 nz, m) | only in a stack of unequal layers or with gaps: lower face and thickness of each in turn; `cell` has their mean thickness |
//! | `/parameters/name`, `value`, `unit` | text (P) | every parameter, value as text |
//! | `/choices/key`, `value` | text (C) | every choice that affects rounding |
//! | `/columns/name`, `unit` | text (K) | columns of the table, in order |
//! | `/replicas/label` | text (R) | |
//! | `/replicas/coordinates/replica`, `name`, `value`, `unit` | u64, text, f64, text (all coordinates, long form) | e.g. replica 3, `H_ex`, 0.1, `T` |
//! | `/table/<column>` | f64 (R, n), attribute `unit` | padded with NaN |
//! | `/table/count` | u64 (R) | rows of each replica |
//! | `/events/replica`, `t`, `kind`, `value`, `detail` | u32, f64 (s), text, f64, text (E) | in the order written |
//! | `/fields/<name>/data` | f32 or f64 (F, nz, ny, nx, components), attribute `unit` | one chunk a frame, shuffle and deflate; x fastest of the axes, components innermost |
//! | `/fields/<name>/t`, `replica` | f64 (F, s), u32 (F) | |
//! | `/volatile` attributes `started`, `finished` (f64, s since 1970), `host` (text) | | what may differ between equal runs: left out of content hashes and comparisons |
//!
//! ## A running record
//!
//! `DIR/run.h5` is a small master, replaced atomically at every commit: the header as above, `finished = false`, and
//! `/segments/<name>`, external links to `DIR/segments/<name>.h5`. A segment is called `000000` or, after merging, by the
//! range it covers, `000000-000031`; a file covered by another one is a leftover of a kill and counts for nothing.
//!
//! | object in a segment | type, shape | meaning |
//! |---|---|---|
//! | `/` attribute `schema` | text | |
//! | `/rows/replica`, `/rows/values` | u32 (r), f64 (r, K) | rows of all replicas in the order written |
//! | `/events/…`, `/fields/…` | as above | |
//! | `/checkpoint/arrays/<name>`, `/checkpoint/integers/<name>`, `/checkpoint/text/<name>` | f64, u64, u8 (1-D) | the caller's state at the end of this segment; in the newest segment always, in older ones perhaps |
//!
//! Rows and state lie in one file that appears by one rename, so they cannot disagree: to resume is to read the newest
//! segment's checkpoint and go on with the next segment. `*.part` files are leftovers of a kill and are deleted then.
//!
//! # Files of this crate
//!
//! `header` (what a run is) · `segment` (rows, events, frames and checkpoint in HDF5) · `effects` (what touches the disk,
//! one numbered step each) · `writer` · `fold` (segments into one file) · `reader` · `content` (hash and comparison) ·
//! `ovf`, `formats`, `xdmf` (for other programs) · `reshape` (parts and other resolutions) · `picture` (for the eye) · `h5` (small helpers).

mod content;
mod effects;
mod fold;
mod formats;
mod h5;
mod header;
mod ovf;
mod picture;
mod reader;
mod reshape;
mod segment;
mod writer;
mod xdmf;

pub use content::{Difference, diff};
pub use effects::Faults;
pub use formats::Format;
pub use header::{Choice, Column, Coordinate, Header, Mesh, Parameter, Precision, Replica, Source, Volatile};
pub use ovf::{Ovf, OvfFormat};
pub use picture::{direction_colour, picture};
pub use reader::{Field, Frame, Record, Table};
pub use segment::{Checkpoint, Event};
pub use writer::{Options, Resumed, Writer};
pub use xdmf::write_xdmf;

/// The version of the format that this crate writes and reads.
pub const SCHEMA: &str = "spinloom-record/1";
