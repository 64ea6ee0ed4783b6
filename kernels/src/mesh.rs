//! The mesh: regular in the plane, and along z regular or a stack of layers of their own thickness.

/// Layers of a stack, at the most.
pub const MAX_LAYERS: usize = 16;

/// Layers of their own thickness at their own height: a mesh layer each. Spacers are gaps between them, without cells.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stack {
    count: usize,
    bottoms: [f64; MAX_LAYERS],
    thicknesses: [f64; MAX_LAYERS],
}

impl Stack {
    /// From the bottom up, `(height of the lower face, thickness)` of every layer (m).
    ///
    /// # Errors
    /// In words, what is wrong with them.
    pub fn new(layers: &[(f64, f64)]) -> Result<Self, String> {
        if layers.is_empty() || layers.len() > MAX_LAYERS {
            return Err(format!("a stack has 1 to {MAX_LAYERS} layers, not {}", layers.len()));
        }
        if let Some(k) = layers.iter().position(|l| !(l.0.is_finite() && l.1.is_finite() && l.1 > 0.0)) {
            return Err(format!("layer {k} of the stack has no thickness"));
        }
        // A millionth of a layer is rounding.
        if let Some(k) = layers.windows(2).position(|w| w[1].0 < w[0].0 + w[0].1 * (1.0 - 1e-6)) {
            return Err(format!("layers {k} and {} of the stack overlap", k + 1));
        }
        let mut stack = Self { count: layers.len(), bottoms: [0.0; MAX_LAYERS], thicknesses: [0.0; MAX_LAYERS] };
        for (k, (bottom, thickness)) in layers.iter().enumerate() {
            (stack.bottoms[k], stack.thicknesses[k]) = (*bottom, *thickness);
        }
        Ok(stack)
    }

    /// Number of layers.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Lower face and thickness of a layer (m).
    pub fn layer(&self, z: usize) -> (f64, f64) {
        (self.bottoms[z], self.thicknesses[z])
    }

    /// Whether two layers share a face.
    pub fn touch(&self, a: usize, b: usize) -> bool {
        let (low, high) = if a < b { (a, b) } else { (b, a) };
        high == low + 1 && self.bottoms[high] - self.bottoms[low] <= self.thicknesses[low] * (1.0 + 1e-6)
    }
}

/// A regular mesh of nx × ny × nz equal cells. Arrays over it are ordered x fastest, then y, then z.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mesh {
    /// Number of cells along x, y, z.
    pub n: [usize; 3],
    /// Edge lengths of a cell (m).
    pub cell: [f64; 3],
    /// Periodic images to each side along x, y, z; 0 means open. An axis with images wraps for neighbours too.
    pub pbc: [u32; 3],
    /// The layers along z where they are not all equal and without gaps; then `cell[2]` is their mean thickness.
    pub stack: Option<Stack>,
}

impl Mesh {
    /// An open mesh.
    pub fn new(n: [usize; 3], cell: [f64; 3]) -> Self {
        Self { n, cell, pbc: [0; 3], stack: None }
    }

    /// An open mesh of layers, of nx × ny cells each.
    pub fn stacked(n: [usize; 2], cell: [f64; 2], stack: Stack) -> Self {
        let count = stack.count();
        let mean = (0..count).map(|z| stack.layer(z).1).sum::<f64>() / count as f64;
        Self { n: [n[0], n[1], count], cell: [cell[0], cell[1], mean], pbc: [0; 3], stack: Some(stack) }
    }

    /// What a cell of layer `z` sees of the mesh: its own edges, and one layer only in a stack.
    pub fn of_layer(&self, z: usize) -> Self {
        match self.stack {
            Some(stack) => {
                Self { n: [self.n[0], self.n[1], 1], cell: [self.cell[0], self.cell[1], stack.layer(z).1], stack: None, ..*self }
            }
            None => *self,
        }
    }

    /// Thickness of layer `z` (m).
    pub fn thickness(&self, z: usize) -> f64 {
        self.stack.map_or(self.cell[2], |s| s.layer(z).1)
    }

    /// Volume of cell `i` over the mean volume: 1 on a regular mesh.
    pub fn weight(&self, i: usize) -> f64 {
        self.stack.map_or(1.0, |s| s.layer(i / (self.n[0] * self.n[1])).1 / self.cell[2])
    }

    /// Number of cells.
    pub fn cells(&self) -> usize {
        self.n.iter().product()
    }

    /// Volume of one cell, in a stack of the mean one (m³).
    pub fn cell_volume(&self) -> f64 {
        self.cell.iter().product()
    }

    /// Size of the box (m).
    pub fn size(&self) -> [f64; 3] {
        let mut size = std::array::from_fn(|a| self.n[a] as f64 * self.cell[a]);
        if let Some(stack) = self.stack {
            let (bottom, thickness) = stack.layer(stack.count() - 1);
            size[2] = bottom + thickness - stack.layer(0).0;
        }
        size
    }

    /// Centre of a cell (m); the origin is the centre of the box, as in mumax3.
    pub fn position(&self, x: usize, y: usize, z: usize) -> [f64; 3] {
        let i = [x, y, z];
        let mut at = std::array::from_fn(|a| (i[a] as f64 - (self.n[a] as f64 - 1.0) / 2.0) * self.cell[a]);
        if let Some(stack) = self.stack {
            let (bottom, thickness) = stack.layer(z);
            at[2] = bottom + 0.5 * thickness - stack.layer(0).0 - 0.5 * self.size()[2];
        }
        at
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
