//! The one list of quantities that tables hold and conditions compare.

use crate::readout::Wall;
use crate::surroundings::Part;
use spinloom_kernels::Term;

/// Anything with a symbol and a unit that can stand in a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantity {
    /// Column name.
    pub name: String,
    /// SI unit as text; `1` for a number.
    pub unit: String,
    /// Where its value comes from.
    pub source: Source,
}

/// Where a quantity's value comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// A value that the protocol logs, by position.
    Log(usize),
    /// Average over volume of a component of m: of all magnet, or of one region.
    Mean(usize, Option<u16>),
    /// A property of the wall.
    Wall(WallPart),
    /// Velocity of the wall since the row before (m/s).
    WallVelocity,
    /// Topological charge, see [`crate::readout::charge`].
    Charge,
    /// What is reversed, see [`crate::readout::skyrmion`]: x and y of its centre, radius (m).
    Skyrmion(usize),
    /// Energy of a group of terms, or of all (J).
    Energy(Option<&'static str>),
    /// Largest torque over the gyromagnetic ratio at the last step (T).
    MaxTorque,
    /// Size of the next step (s).
    Step,
    /// What surrounds the magnet: probes, currents, temperatures, grains.
    Surrounding(Part),
}

/// Properties of a wall; see [`Wall`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WallPart {
    /// Number of walls.
    Count,
    /// Position (m).
    X,
    /// Tilt (rad).
    Tilt,
    /// In-plane angle of m (rad).
    Phi,
}

impl WallPart {
    /// Picks it.
    pub fn of(self, wall: &Wall) -> f64 {
        match self {
            Self::Count => wall.count as f64,
            Self::X => wall.x,
            Self::Tilt => wall.tilt,
            Self::Phi => wall.phi,
        }
    }
}

const LIST: &[(&str, &str, Source)] = &[
    ("mx", "1", Source::Mean(0, None)),
    ("my", "1", Source::Mean(1, None)),
    ("mz", "1", Source::Mean(2, None)),
    ("wall_x", "m", Source::Wall(WallPart::X)),
    ("wall_v", "m/s", Source::WallVelocity),
    ("wall_tilt", "rad", Source::Wall(WallPart::Tilt)),
    ("wall_phi", "rad", Source::Wall(WallPart::Phi)),
    ("wall_count", "1", Source::Wall(WallPart::Count)),
    ("charge", "1", Source::Charge),
    ("skyrmion_x", "m", Source::Skyrmion(0)),
    ("skyrmion_y", "m", Source::Skyrmion(1)),
    ("skyrmion_r", "m", Source::Skyrmion(2)),
    ("max_torque", "T", Source::MaxTorque),
    ("dt", "s", Source::Step),
    ("E_total", "J", Source::Energy(None)),
];

fn all() -> Vec<Quantity> {
    let mut list: Vec<Quantity> =
        LIST.iter().map(|(n, u, s)| Quantity { name: (*n).into(), unit: (*u).into(), source: s.clone() }).collect();
    for term in Term::ALL.iter().filter(|t| t.has_energy()) {
        let group = term.info().group;
        let name = format!("E_{group}");
        if list.iter().all(|q| q.name != name) {
            list.push(Quantity { name, unit: "J".into(), source: Source::Energy(Some(group)) });
        }
    }
    list
}

/// The quantities every table has.
pub fn always() -> Vec<Quantity> {
    all().into_iter().take(3).collect()
}

/// The quantity of that name.
pub fn find(name: &str) -> Option<Quantity> {
    all().into_iter().find(|q| q.name == name)
}

/// `mx.NAME`, the average over a region.
pub fn find_in_region(name: &str, regions: &[&str]) -> Option<Quantity> {
    let (component, region) = name.split_once('.')?;
    let c = ["mx", "my", "mz"].iter().position(|m| *m == component)?;
    let r = regions.iter().position(|n| *n == region)?;
    Some(Quantity { name: name.into(), unit: "1".into(), source: Source::Mean(c, Some(r as u16 + 1)) })
}

/// All names.
pub fn names() -> Vec<String> {
    all().into_iter().map(|q| q.name).collect()
}

impl Quantity {
    /// A value that the protocol logs.
    pub fn log(position: usize, name: &str, unit: &str) -> Self {
        Self { name: name.into(), unit: unit.into(), source: Source::Log(position) }
    }

    /// A column of the surroundings.
    pub fn surrounding(part: Part, name: &str, unit: &str) -> Self {
        Self { name: name.into(), unit: unit.into(), source: Source::Surrounding(part) }
    }
}
