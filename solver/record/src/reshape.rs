//! Parts and other resolutions of a field.

use crate::ovf::Ovf;
use std::ops::Range;

impl Ovf {
    /// The cells in these ranges along x, y and z, where they were.
    ///
    /// # Panics
    /// If a range is empty or leaves the grid.
    pub fn crop(&self, [x, y, z]: [Range<usize>; 3]) -> Self {
        let [nx, ny, _] = self.mesh.n;
        let width = self.components();
        let mut part = Self { data: Vec::new(), ..self.clone() };
        for (axis, range) in [&x, &y, &z].into_iter().enumerate() {
            assert!(range.start < range.end && range.end <= self.mesh.n[axis], "{range:?} of {} cells", self.mesh.n[axis]);
            part.mesh.n[axis] = range.len();
            part.mesh.origin[axis] += range.start as f64 * self.mesh.cell[axis];
        }
        for k in z {
            for j in y.clone() {
                let row = (k * ny + j) * nx;
                part.data.extend_from_slice(&self.data[(row + x.start) * width..(row + x.end) * width]);
            }
        }
        part
    }

    /// One component as a scalar field.
    ///
    /// # Panics
    /// If there is no such component.
    pub fn component(&self, k: usize) -> Self {
        Self {
            title: self.labels[k].clone(),
            labels: vec![self.labels[k].clone()],
            units: vec![self.units[k].clone()],
            data: self.data.iter().skip(k).step_by(self.components()).copied().collect(),
            ..self.clone()
        }
    }

    /// Every cell's vector with the length 1; zero stays.
    pub fn normalised(mut self) -> Self {
        let width = self.components();
        for v in self.data.chunks_mut(width) {
            let norm = v.iter().map(|c| c * c).sum::<f64>().sqrt();
            if norm > 0.0 {
                v.iter_mut().for_each(|c| *c /= norm);
            }
        }
        self.units = vec!["1".into(); width];
        self
    }

    /// The same box in `n` cells. A new cell holds the mean over the old ones that it covers, each by the volume covered; therefore means
    /// stay, and finer cells repeat the value they lie in.
    ///
    /// # Panics
    /// If `n` has a zero.
    pub fn resized(&self, n: [usize; 3]) -> Self {
        assert!(!n.contains(&0), "{n:?} cells");
        let mut field = self.clone();
        for axis in 0..3 {
            let (old, new) = (field.mesh.n[axis], n[axis]);
            if old == new {
                continue;
            }
            let inner = field.components() * field.mesh.n[..axis].iter().product::<usize>();
            let outer = field.data.len() / (inner * old);
            let mut data = vec![0.0; outer * new * inner];
            for (block, from) in data.chunks_mut(new * inner).zip(field.data.chunks(old * inner)) {
                for (j, to) in block.chunks_mut(inner).enumerate() {
                    // In units of 1/new of an old cell, the new cell reaches from j old to (j + 1) old, and the old cell i from i new to (i + 1) new.
                    for i in j * old / new..((j + 1) * old).div_ceil(new) {
                        let shared = ((j + 1) * old).min((i + 1) * new) - (j * old).max(i * new);
                        let weight = shared as f64 / old as f64;
                        to.iter_mut().zip(&from[i * inner..]).for_each(|(to, v)| *to += weight * v);
                    }
                }
            }
            field.data = data;
            field.mesh.n[axis] = new;
            field.mesh.cell[axis] *= old as f64 / new as f64;
        }
        field
    }
}
