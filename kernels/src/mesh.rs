//! The regular mesh.

/// A regular mesh of nx × ny × nz equal cells. Arrays over it are ordered x fastest, then y, then z.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mesh {
    /// Number of cells along x, y, z.
    pub n: [usize; 3],
    /// Edge lengths of a cell (m).
    pub cell: [f64; 3],
    /// Periodic images to each side along x, y, z; 0 means open. An axis with images wraps for neighbours too.
    pub pbc: [u32; 3],
}

impl Mesh {
    /// An open mesh.
    pub fn new(n: [usize; 3], cell: [f64; 3]) -> Self {
        Self { n, cell, pbc: [0; 3] }
    }

    /// Number of cells.
    pub fn cells(&self) -> usize {
        self.n.iter().product()
    }

    /// Volume of one cell (m³).
    pub fn cell_volume(&self) -> f64 {
        self.cell.iter().product()
    }

    /// Size of the box (m).
    pub fn size(&self) -> [f64; 3] {
        std::array::from_fn(|a| self.n[a] as f64 * self.cell[a])
    }

    /// Centre of a cell (m); the origin is the centre of the box, as in mumax3.
    pub fn position(&self, x: usize, y: usize, z: usize) -> [f64; 3] {
        let i = [x, y, z];
        std::array::from_fn(|a| (i[a] as f64 - (self.n[a] as f64 - 1.0) / 2.0) * self.cell[a])
    }

    /// Index of a cell.
    pub fn index(&self, x: usize, y: usize, z: usize) -> usize {
        (z * self.n[1] + y) * self.n[0] + x
    }

    /// The neighbour's coordinate along `axis` one cell further in direction `sign`, if there is one.
    pub fn neighbour(&self, axis: usize, i: usize, forward: bool) -> Option<usize> {
        let n = self.n[axis];
        match (forward, self.pbc[axis] > 0) {
            (true, _) if i + 1 < n => Some(i + 1),
            (false, _) if i > 0 => Some(i - 1),
            (true, true) => Some(0),
            (false, true) => Some(n - 1),
            _ => None,
        }
    }
}
