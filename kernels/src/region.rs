//! Regions: which material a cell is made of, and where there is none.

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

impl RegionMap {
    /// No material here.
    pub const VACUUM: u16 = u16::MAX;

    /// Full cells.
    pub fn new(cells: Vec<u16>, count: usize) -> Self {
        Self { cells, count, fill: Vec::new() }
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
