//! Regions: which material a cell is made of, and where there is none.

/// The region number of every cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegionMap {
    /// One number per cell, x fastest; [`RegionMap::VACUUM`] where there is no material.
    pub cells: Vec<u16>,
    /// How many regions there are; every number is below it.
    pub count: usize,
}

impl RegionMap {
    /// No material here.
    pub const VACUUM: u16 = u16::MAX;

    /// Every cell in region 0.
    pub fn uniform(cells: usize) -> Self {
        Self { cells: vec![0; cells], count: 1 }
    }

    /// Whether any cell is empty.
    pub fn has_holes(&self) -> bool {
        self.cells.contains(&Self::VACUUM)
    }
}
