//! Regions: which material a cell is made of, and where there is none.

use crate::material::Material;
use crate::mesh::Mesh;

/// The region number of every cell.
#[derive(Clone, Debug, PartialEq)]
pub struct RegionMap {
    /// One number per cell, x fastest; [`RegionMap::VACUUM`] where there is no material.
    pub cells: Vec<u16>,
    /// How many regions there are; every number is below it.
    pub count: usize,
    /// How much of each cell is magnet, 0 to 1, where shapes are smoothed at their edges; empty if every cell is full.
    pub fill: Vec<f64>,
}

/// The partners of every cell below and above: the next magnet in its column, across any number of empty cells, if a coupling joins their regions.
/// None is `u32::MAX`. Along a periodic z axis columns have no ends, but a cell is not its own partner.
pub fn partners(mesh: &Mesh, map: &RegionMap, material: &Material) -> [Vec<u32>; 2] {
    [false, true].map(|up| {
        (0..mesh.cells())
            .map(|i| {
                let own = map.cells[i];
                let plane = mesh.n[0] * mesh.n[1];
                let mut z = i / plane;
                for _ in 1..mesh.n[2] {
                    let Some(next) = mesh.neighbour(2, z, up) else { break };
                    z = next;
                    let j = z * plane + i % plane;
                    let other = map.cells[j];
                    if other != RegionMap::VACUUM {
                        let joined = own != RegionMap::VACUUM && material.couplings_of(own, other).next().is_some();
                        return if joined && j != i { j as u32 } else { u32::MAX };
                    }
                }
                u32::MAX
            })
            .collect()
    })
}

/// The regions that each region meets, itself first: what its links are looked up by where a table of all pairs would be too large.
#[derive(Clone, Debug, PartialEq)]
pub struct Neighbours {
    /// Of each region.
    pub of: Vec<Vec<u16>>,
    /// Places in a table for each of them: at least as many as any has.
    pub width: usize,
}

/// Regions up to which all pairs have a place in a table.
const ALL_PAIRS: usize = 256;

impl RegionMap {
    /// See [`Neighbours`]; `None` where there are few regions, and all pairs have a place.
    pub fn neighbours(&self, mesh: &Mesh, material: &Material) -> Option<Neighbours> {
        if self.count <= ALL_PAIRS {
            return None;
        }
        let mut list: Vec<Vec<u16>> = (0..self.count as u16).map(|r| vec![r]).collect();
        let mut meet = |a: u16, b: u16| {
            for (a, b) in [(a, b), (b, a)] {
                let own = &mut list[usize::from(a)];
                if !own.contains(&b) {
                    own.push(b);
                }
            }
        };
        let magnet = |i: usize| Some(self.cells[i]).filter(|r| *r != Self::VACUUM);
        for (i, own) in self.cells.iter().enumerate() {
            let at = [i % mesh.n[0], i / mesh.n[0] % mesh.n[1], i / (mesh.n[0] * mesh.n[1])];
            for axis in 0..3 {
                let mut other = at;
                let Some(next) = mesh.neighbour(axis, at[axis], true) else { continue };
                other[axis] = next;
                if let (Some(a), Some(b)) = (magnet(i), magnet(mesh.index(other[0], other[1], other[2]))) {
                    meet(a, b);
                }
            }
            debug_assert!(*own == Self::VACUUM || usize::from(*own) < self.count);
        }
        if !material.couplings.is_empty() {
            for (i, partner) in partners(mesh, self, material)[1].iter().enumerate().filter(|p| *p.1 != u32::MAX) {
                meet(self.cells[i], self.cells[*partner as usize]);
            }
        }
        let width = list.iter().map(Vec::len).max().unwrap_or(1);
        Some(Neighbours { of: list, width })
    }

    /// No material here.
    pub const VACUUM: u16 = u16::MAX;

    /// Full cells.
    pub fn new(cells: Vec<u16>, count: usize) -> Self {
        Self { cells, count, fill: Vec::new() }
    }

    /// The first and the last layer that each region lies in, for [`Material::layers`](crate::Material::layers); a region without cells counts as
    /// of the lowest.
    ///
    /// # Errors
    /// A region that lies in layers of a stack that differ in thickness, or do not touch: its cells would not be alike.
    pub fn layers(&self, mesh: &Mesh) -> Result<Vec<[usize; 2]>, u16> {
        let mut layers: Vec<Option<[usize; 2]>> = vec![None; self.count];
        for (i, region) in self.cells.iter().enumerate().filter(|c| *c.1 != Self::VACUUM) {
            // Cells come layer by layer, from below.
            let z = i / (mesh.n[0] * mesh.n[1]);
            layers[usize::from(*region)].get_or_insert([z, z])[1] = z;
        }
        let alike = |l: &[usize; 2]| {
            let stack = mesh.stack.as_ref()?;
            Some((l[0]..l[1]).all(|z| stack.touch(z, z + 1) && (stack.layer(z + 1).1 / stack.layer(z).1 - 1.0).abs() < 1e-6))
        };
        match layers.iter().position(|l| l.as_ref().and_then(alike) == Some(false)) {
            Some(region) => Err(region as u16),
            None => Ok(layers.into_iter().map(|l| l.unwrap_or([0; 2])).collect()),
        }
    }

    /// How much of a cell is magnet.
    pub fn filled(&self, cell: usize) -> f64 {
        if self.cells[cell] == Self::VACUUM { 0.0 } else { self.fill.get(cell).copied().unwrap_or(1.0) }
    }

    /// Every cell in region 0.
    pub fn uniform(cells: usize) -> Self {
        Self::new(vec![0; cells], 1)
    }

    /// Whether any cell is empty.
    pub fn has_holes(&self) -> bool {
        self.cells.contains(&Self::VACUUM)
    }
}
