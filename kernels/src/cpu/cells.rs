//! The cells pass over one block of a row, and its plain twin.

use super::convolution::Moment;
use super::parallel::Shared;
use super::rows::{BLOCK, Block, Rows};
use super::tables::{Added, Instant, Tables};
use super::{Cpu, Regions};
use crate::mesh::Mesh;
use crate::plan::{Cells, Ref};
use crate::real::{Real, dot};
use crate::region::RegionMap;
use crate::terms::demag::tensor::Tensor;
use crate::terms::{Extra, Law, MAX_COEFFICIENTS, WithLaw, ghost};
use std::sync::Arc;

/// Row buffers of one thread.
pub struct Scratch<T> {
    /// m with one ghost cell at each end.
    line: [[T; BLOCK + 2]; 3],
    neighbours: [[[T; BLOCK]; 3]; 6],
    partners: [[[T; BLOCK]; 3]; 2],
    links: [[T; BLOCK]; 6],
    coefficients: [[T; BLOCK]; MAX_COEFFICIENTS],
    motion: [[T; BLOCK]; 2],
    field: [[T; BLOCK]; 3],
    sum: [[T; BLOCK]; 3],
}

impl<T: Real> Default for Scratch<T> {
    fn default() -> Self {
        let row = [T::ZERO; BLOCK];
        Self {
            line: [[T::ZERO; BLOCK + 2]; 3],
            neighbours: [[row; 3]; 6],
            partners: [[row; 3]; 2],
            links: [row; 6],
            coefficients: [row; MAX_COEFFICIENTS],
            motion: [row; 2],
            field: [row; 3],
            sum: [row; 3],
        }
    }
}

/// One replica as the pass sees it.
pub struct View<'a, T: Real> {
    pub buffers: Vec<[Shared<T>; 2]>,
    pub slot: usize,
    pub tables: &'a Tables<T>,
    pub added: &'a [Added<T>],
    pub regions: &'a Regions,
    pub now: Instant,
}

impl<T: Real> View<'_, T> {
    fn shared(&self, r: Ref) -> Shared<T> {
        let pair = &self.buffers[r.buffer.0];
        if pair[1].is_empty() { pair[0] } else { pair[self.slot ^ usize::from(r.other)] }
    }

    /// What the masks add to a coefficient in a cell.
    fn added_at(&self, term: usize, coefficient: usize, cell: usize) -> T {
        let parts = self.added.iter().filter(|a| (a.term, a.coefficient) == (term, coefficient));
        parts.fold(T::ZERO, |sum, a| sum + a.values[cell] * T::of(self.now.masks[a.mask]))
    }

    /// Three rows of a field.
    ///
    /// # Safety
    /// Nobody may be writing them.
    unsafe fn rows(&self, r: Ref, cells: usize, from: usize, n: usize) -> Rows<'_, T> {
        let s = self.shared(r);
        // SAFETY: by the caller's promise.
        [0, 1, 2].map(|c| unsafe { &*s.range(c * cells + from, n) })
    }

    /// Three rows to write.
    ///
    /// # Safety
    /// Nobody else may be using them.
    #[allow(clippy::mut_from_ref, reason = "that is what shared buffers are for")]
    unsafe fn rows_mut(&self, r: Ref, cells: usize, from: usize, n: usize) -> [&mut [T]; 3] {
        let s = self.shared(r);
        // SAFETY: by the caller's promise.
        [0, 1, 2].map(|c| unsafe { s.range(c * cells + from, n) })
    }
}

/// How many blocks a mesh has.
pub fn blocks(mesh: &Mesh) -> usize {
    mesh.n[0].div_ceil(BLOCK) * mesh.n[1] * mesh.n[2]
}

/// Runs the pass on block `index`; returns the largest |rate|² and the largest |error sum|².
pub(super) fn block<T: Real>(cpu: &Cpu<T>, view: &View<'_, T>, pass: &Cells, index: usize, s: &mut Scratch<T>) -> [T; 2] {
    let [nx, ny, nz] = cpu.mesh.n;
    let cells = nx * ny * nz;
    let per_row = nx.div_ceil(BLOCK);
    let (row, x0) = (index / per_row, index % per_row * BLOCK);
    let n = BLOCK.min(nx - x0);
    let from = row * nx + x0;
    let regions = &view.regions.map.cells[from..from + n];

    for f in &mut s.field {
        f[..n].fill(T::ZERO);
    }
    if cpu.reference {
        plain_field(cpu, view, pass, row, x0, n, s);
    } else {
        fast_field(cpu, view, pass, row, x0, n, s);
    }

    // SAFETY: the rows written here belong to this block alone, and a plan never writes what its own pass reads as neighbours.
    unsafe {
        let m = view.rows(pass.read, cells, from, n);
        let [fx, fy, fz] = &mut s.field;
        let (fx, fy, fz) = (&mut fx[..n], &mut fy[..n], &mut fz[..n]);
        let mut largest = [T::ZERO; 2];
        match pass.motion {
            Some(motion) => {
                let [a, b] = view.tables.motion(motion);
                let [sa, sb] = &mut s.motion;
                largest[0] = (cpu.loops.motion)(m, [a.row(regions, &view.now, sa), b.row(regions, &view.now, sb)], fx, fy, fz);
            }
            None if view.regions.full[row] => {}
            None => {
                for i in (0..n).filter(|&i| regions[i] == RegionMap::VACUUM) {
                    (fx[i], fy[i], fz[i]) = (T::ZERO, T::ZERO, T::ZERO);
                }
            }
        }
        let [wx, wy, wz] = view.rows_mut(pass.write, cells, from, n);
        wx.copy_from_slice(fx);
        wy.copy_from_slice(fy);
        wz.copy_from_slice(fz);

        if let Some(combine) = &pass.combine {
            let [ox, oy, oz] = view.rows_mut(combine.out, cells, from, n);
            let base = view.rows(combine.base, cells, from, n);
            ox.copy_from_slice(base[0]);
            oy.copy_from_slice(base[1]);
            oz.copy_from_slice(base[2]);
            for (rate, weight) in combine.weights.iter().filter(|w| w.1 != 0.0) {
                (cpu.loops.add)(T::of(weight * view.now.dt), view.rows(*rate, cells, from, n), ox, oy, oz);
            }
            (cpu.loops.normalise)(ox, oy, oz);
        }
        if let Some(weights) = &pass.error {
            let [sx, sy, sz] = &mut s.sum;
            let (sx, sy, sz) = (&mut sx[..n], &mut sy[..n], &mut sz[..n]);
            sx.fill(T::ZERO);
            sy.fill(T::ZERO);
            sz.fill(T::ZERO);
            for (rate, weight) in weights.iter().filter(|w| w.1 != 0.0) {
                (cpu.loops.add)(T::of(*weight), view.rows(*rate, cells, from, n), sx, sy, sz);
            }
            largest[1] = (cpu.loops.largest)([sx, sy, sz]);
        }
        largest
    }
}

/// Sums the active laws into `s.field`, row by row.
fn fast_field<T: Real>(cpu: &Cpu<T>, view: &View<'_, T>, pass: &Cells, row: usize, x0: usize, n: usize, s: &mut Scratch<T>) {
    let mesh = &cpu.mesh;
    let [nx, ny, nz] = mesh.n;
    let cells = nx * ny * nz;
    let from = row * nx + x0;
    let (z, y) = (row / ny, row % ny);
    let map = &view.regions.map.cells;
    let regions = &map[from..from + n];
    let axes = cpu.axes;
    // SAFETY: nobody writes the field that is read.
    let m = unsafe { view.rows(pass.read, cells, from, n) };
    let linked = pass.terms.iter().any(|t| cpu.terms[*t].gpu().linked);
    let partnered = pass.terms.iter().any(|t| cpu.terms[*t].gpu().partnered > 0);

    // Where each y or z neighbour row begins, if it exists.
    let beside = |axis: usize, forward: bool| -> Option<usize> {
        let i = if axis == 1 { y } else { z };
        mesh.neighbour(axis, i, forward).map(|j| if axis == 1 { (z * ny + j) * nx + x0 } else { (j * ny + y) * nx + x0 })
    };
    // Coordinates of the x neighbours of the block's ends.
    let ends = [
        if x0 > 0 { Some(x0 - 1) } else { mesh.neighbour(0, 0, false) },
        if x0 + n < nx { Some(x0 + n) } else { mesh.neighbour(0, nx - 1, true) },
    ];
    let full = view.regions.full[row];
    let mut direct: [Option<usize>; 6] = [None; 6];

    if linked {
        // SAFETY: as above.
        let whole = unsafe { view.rows(pass.read, cells, row * nx, nx) };
        let slope = |axis: usize, i: usize| view.tables.ghost[axis].at(regions[i], &view.now);
        let bulk = view.tables.bulk;
        let own = |i: usize| [m[0][i], m[1][i], m[2][i]];
        for c in 0..3 {
            s.line[c][1..=n].copy_from_slice(m[c]);
        }
        for (end, (at, inner)) in [(0, 0), (n + 1, n - 1)].into_iter().enumerate() {
            let sign = if end == 0 { -T::ONE } else { T::ONE };
            let value = match ends[end] {
                Some(x) => [whole[0][x], whole[1][x], whole[2][x]],
                None => ghost(own(inner), slope(0, inner), 0, sign, bulk),
            };
            for c in 0..3 {
                s.line[c][at] = value[c];
            }
        }
        for axis in 1..axes {
            for forward in [false, true] {
                let face = 2 * axis + usize::from(forward);
                let sign = if forward { T::ONE } else { -T::ONE };
                match beside(axis, forward) {
                    Some(start) if full => direct[face] = Some(start),
                    start => {
                        for i in 0..n {
                            let there = start.filter(|b| map[b + i] != RegionMap::VACUUM);
                            let value = match there {
                                Some(b) => {
                                    let (r, x) = ((b / nx) * nx, b % nx + i);
                                    // SAFETY: as above.
                                    let other = unsafe { view.rows(pass.read, cells, r, nx) };
                                    [other[0][x], other[1][x], other[2][x]]
                                }
                                None => ghost(own(i), slope(axis, i), axis, sign, bulk),
                            };
                            for c in 0..3 {
                                s.neighbours[face][c][i] = value[c];
                            }
                        }
                    }
                }
            }
        }
        if !full {
            // Rows with holes: x neighbours one by one.
            for forward in [false, true] {
                let sign = if forward { T::ONE } else { -T::ONE };
                for i in 0..n {
                    let x = match (forward, i) {
                        (false, 0) => ends[0],
                        (true, i) if i + 1 == n => ends[1],
                        (false, i) => Some(x0 + i - 1),
                        (true, i) => Some(x0 + i + 1),
                    };
                    let value = match x.filter(|x| map[row * nx + x] != RegionMap::VACUUM) {
                        Some(x) => [whole[0][x], whole[1][x], whole[2][x]],
                        None => ghost(own(i), slope(0, i), 0, sign, bulk),
                    };
                    for c in 0..3 {
                        s.neighbours[usize::from(forward)][c][i] = value[c];
                    }
                }
            }
        }
    }

    if partnered {
        for (side, rows) in s.partners.iter_mut().enumerate() {
            for i in 0..n {
                let p = view.regions.partners[side][from + i];
                let (r, x) = if p == u32::MAX { (from / nx * nx, x0 + i) } else { (p as usize / nx * nx, p as usize % nx) };
                // SAFETY: as above.
                let other = unsafe { view.rows(pass.read, cells, r, nx) };
                (0..3).for_each(|c| rows[c][i] = other[c][x]);
            }
        }
    }

    let Scratch { line, neighbours, partners, links, coefficients, field, .. } = s;
    let partners: [Rows<'_, T>; 2] = std::array::from_fn(|side| if partnered { [0, 1, 2].map(|c| &partners[side][c][..n]) } else { m });
    let neighbours: [Rows<'_, T>; 6] = std::array::from_fn(|face| {
        if !linked || face >= 2 * axes {
            return m;
        }
        match (face, full) {
            (0, true) => [0, 1, 2].map(|c| &line[c][..n]),
            (1, true) => [0, 1, 2].map(|c| &line[c][2..n + 2]),
            _ => match direct[face] {
                // SAFETY: as above.
                Some(start) => unsafe { view.rows(pass.read, cells, start, n) },
                None => [0, 1, 2].map(|c| &neighbours[face][c][..n]),
            },
        }
    });
    let [bx, by, bz] = field;
    for &t in &pass.terms {
        let tables = &view.tables.terms[t];
        let mut link_rows: [&[T]; 6] = [&[]; 6];
        if cpu.terms[t].gpu().partnered > 0 {
            for (place, scratch) in links.iter_mut().enumerate().take(2 * tables.links.len()) {
                let partner = |i: usize| match view.regions.partners[place % 2][from + i] {
                    u32::MAX => RegionMap::VACUUM,
                    j => map[j as usize],
                };
                link_rows[place] = tables.links[place / 2].row(regions, partner, scratch);
            }
        } else if !tables.links.is_empty() {
            for (face, scratch) in links.iter_mut().enumerate().take(2 * axes) {
                let (axis, forward) = (face / 2, face % 2 == 1);
                let other = |i: usize| -> u16 {
                    let at = if axis == 0 {
                        let x = match (forward, i) {
                            (false, 0) => ends[0],
                            (true, i) if i + 1 == n => ends[1],
                            (false, i) => Some(x0 + i - 1),
                            (true, i) => Some(x0 + i + 1),
                        };
                        x.map(|x| row * nx + x)
                    } else {
                        beside(axis, forward).map(|b| b + i)
                    };
                    at.map_or(RegionMap::VACUUM, |at| map[at])
                };
                link_rows[face] = tables.links[axis].row(regions, other, scratch);
            }
        }
        let mut rows: [&[T]; MAX_COEFFICIENTS] = [&[]; MAX_COEFFICIENTS];
        for (k, ((row, column), scratch)) in rows.iter_mut().zip(&tables.coefficients).zip(coefficients.iter_mut()).enumerate() {
            if view.added.iter().any(|a| (a.term, a.coefficient) == (t, k)) {
                for (i, s) in scratch.iter_mut().enumerate().take(n) {
                    *s = column.at(regions[i], &view.now) + view.added_at(t, k, from + i);
                }
                *row = &scratch[..n];
            } else {
                *row = column.row(regions, &view.now, scratch);
            }
        }
        let extra = match cpu.terms[t].extra() {
            Extra::None => m,
            // SAFETY: as above.
            Extra::Demag => unsafe { view.rows(pass.convolved.expect("the plan convolves"), cells, from, n) },
            // SAFETY: as above.
            Extra::Noise => unsafe { view.rows(pass.noise.expect("the plan draws noise"), cells, from, n) },
            // SAFETY: as above.
            Extra::Custom => unsafe { view.rows(pass.custom.expect("the plan computes it"), cells, from, n) },
        };
        let block = Block { n, m, neighbours, partners, links: link_rows, coefficients: rows, extra };
        // SAFETY: the instruction set was detected, and every slice that the law reads has n elements.
        unsafe { (cpu.laws[t])(&block, &mut bx[..n], &mut by[..n], &mut bz[..n]) };
    }
}

/// The plain twin of [`fast_field`]: one cell at a time, from the definitions.
fn plain_field<T: Real>(cpu: &Cpu<T>, view: &View<'_, T>, pass: &Cells, row: usize, x0: usize, n: usize, s: &mut Scratch<T>) {
    struct Cell<'a, T: Real> {
        cpu: &'a Cpu<T>,
        view: &'a View<'a, T>,
        pass: &'a Cells,
        term: usize,
        at: [usize; 3],
    }
    impl<T: Real> WithLaw for Cell<'_, T> {
        type Output = [T; 3];
        fn with<L: Law>(self) -> [T; 3] {
            let Cell { cpu, view, pass, term, at: [x, y, z] } = self;
            let mesh = &cpu.mesh;
            let cells = mesh.cells();
            let map = &view.regions.map.cells;
            let tables = &view.tables.terms[term];
            let value = |r: Ref, i: usize| {
                // SAFETY: nobody writes the field that is read.
                let rows = unsafe { view.rows(r, cells, i, 1) };
                [rows[0][0], rows[1][0], rows[2][0]]
            };
            let i = mesh.index(x, y, z);
            let m = value(pass.read, i);
            let mut c = [T::ZERO; MAX_COEFFICIENTS];
            for (k, (c, column)) in c.iter_mut().zip(&tables.coefficients).enumerate() {
                *c = column.at(map[i], &view.now) + view.added_at(term, k, i);
            }
            let mut accumulator = [T::ZERO; 3];
            if L::LINKED {
                for axis in 0..cpu.axes {
                    for (forward, sign) in [(false, -T::ONE), (true, T::ONE)] {
                        let mut other = [x, y, z];
                        let neighbour = mesh.neighbour(axis, other[axis], forward).map(|j| {
                            other[axis] = j;
                            mesh.index(other[0], other[1], other[2])
                        });
                        let (mj, region) = match neighbour.filter(|j| map[*j] != RegionMap::VACUUM) {
                            Some(j) => (value(pass.read, j), map[j]),
                            None => {
                                let slope = view.tables.ghost[axis].at(map[i], &view.now);
                                (ghost(m, slope, axis, sign, view.tables.bulk), RegionMap::VACUUM)
                            }
                        };
                        accumulator = L::gather(m, mj, tables.links[axis].at(map[i], region), axis, sign, accumulator, &c);
                    }
                }
            }
            for axis in 0..L::PARTNERED {
                for (side, sign) in [(0, -T::ONE), (1, T::ONE)] {
                    let p = view.regions.partners[side][i];
                    if p != u32::MAX {
                        let link = tables.links[axis].at(map[i], map[p as usize]);
                        accumulator = L::gather(m, value(pass.read, p as usize), link, axis, sign, accumulator, &c);
                    }
                }
            }
            let extra = match L::EXTRA {
                Extra::None => [T::ZERO; 3],
                Extra::Demag => value(pass.convolved.expect("the plan convolves"), i),
                Extra::Noise => value(pass.noise.expect("the plan draws noise"), i),
                Extra::Custom => value(pass.custom.expect("the plan computes it"), i),
            };
            L::finish(m, accumulator, &c, extra)
        }
    }
    let ny = cpu.mesh.n[1];
    for i in 0..n {
        for &term in &pass.terms {
            let b = cpu.terms[term].with(Cell { cpu, view, pass, term, at: [x0 + i, row % ny, row / ny] });
            for c in 0..3 {
                s.field[c][i] += b[c];
            }
        }
    }
}

/// B = −μ0 Σ N Ms m, cell by cell, straight from the tensor.
pub fn direct_sum<T: Real>(mesh: &Mesh, tensors: &[Arc<Tensor>], m: &[T], moment: &Moment<T>, out: &mut [T]) {
    let cells = mesh.cells();
    let [nx, ny, nz] = mesh.n;
    let [px, py, pz] = tensors[0].padded;
    let coordinates = |i: usize| [i % nx, i / nx % ny, i / (nx * ny)];
    let order = [[0, 3, 4], [3, 1, 5], [4, 5, 2]];
    for i in 0..cells {
        let a = coordinates(i);
        let mut b = [0.0; 3];
        for j in 0..cells {
            let k = match moment {
                Moment::Uniform(k) => k.wide(),
                Moment::Cells(k) => k[j].wide(),
            };
            let mj: [f64; 3] = std::array::from_fn(|c| k * m[c * cells + j].wide());
            if mj == [0.0; 3] {
                continue;
            }
            let o = coordinates(j);
            let wrap = |axis: usize, p: usize| (a[axis] + p - o[axis]) % p;
            // In a stack each pair of layers has a tensor of its own.
            let (tensor, z) = if mesh.stack.is_some() { (&tensors[a[2] * nz + o[2]], 0) } else { (&tensors[0], wrap(2, pz)) };
            let at = (z * py + wrap(1, py)) * px + wrap(0, px);
            for (b, row) in b.iter_mut().zip(order) {
                let n: [f64; 3] = row.map(|c| tensor.values[c].get(at).copied().unwrap_or(0.0));
                *b -= dot(n, mj);
            }
        }
        for c in 0..3 {
            out[c * cells + i] = T::of(b[c]);
        }
    }
}
