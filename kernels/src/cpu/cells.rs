//! The cells pass over one block of a row, and its plain twin.

use super::convolution::Moment;
use super::fused::{self, Uniform};
use super::parallel::Shared;
use super::rows::{BLOCK, Block, Rows, larger};
use super::tables::{Added, Instant, Tables};
use super::{Cpu, Regions};
use crate::mesh::Mesh;
use crate::plan::{Cells, MAX_STAGES, Ref};
use crate::real::{Real, dot};
use crate::region::RegionMap;
use crate::terms::demag::tensor::Tensor;
use crate::terms::{Extra, Law, MAX_COEFFICIENTS, WithLaw, ghost};
use std::sync::Arc;

/// Row buffers of one thread.
pub struct Scratch<T> {
    neighbours: [[[T; BLOCK]; 3]; 6],
    partners: [[[T; BLOCK]; 3]; 2],
    links: [[T; BLOCK]; 6],
    coefficients: [[T; BLOCK]; MAX_COEFFICIENTS],
    motion: [[T; BLOCK]; 2],
    field: [[T; BLOCK]; 3],
}

impl<T: Real> Default for Scratch<T> {
    fn default() -> Self {
        let row = [T::ZERO; BLOCK];
        Self {
            neighbours: [[row; 3]; 6],
            partners: [[row; 3]; 2],
            links: [row; 6],
            coefficients: [row; MAX_COEFFICIENTS],
            motion: [row; 2],
            field: [row; 3],
        }
    }
}

/// One replica as the pass sees it.
pub struct View<'a, T: Real> {
    pub buffers: &'a [[Shared<T>; 2]],
    pub slot: usize,
    pub tables: &'a Tables<T>,
    pub added: &'a [Added<T>],
    pub regions: &'a Regions,
    pub now: Instant<'a>,
    /// Where the laws may be taken in one loop.
    pub uniform: Option<Uniform<T>>,
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

/// A part of a row, or several whole rows of one plane.
#[derive(Clone, Copy)]
struct Span {
    row: usize,
    rows: usize,
    x0: usize,
    /// Cells.
    n: usize,
}

impl Span {
    /// Where the neighbours of a row of this plane begin, if there are any.
    fn row_beside(&self, mesh: &Mesh, y: usize, axis: usize, forward: bool) -> Option<usize> {
        let [nx, ny, _] = mesh.n;
        let z = self.row / ny;
        let i = if axis == 1 { y } else { z };
        mesh.neighbour(axis, i, forward).map(|j| if axis == 1 { (z * ny + j) * nx + self.x0 } else { (j * ny + y) * nx + self.x0 })
    }

    /// The neighbour of cell `i` of the span, if there is one.
    fn cell_beside(&self, mesh: &Mesh, i: usize, axis: usize, forward: bool) -> Option<usize> {
        let nx = mesh.n[0];
        let (r, x) = if self.rows == 1 { (0, i) } else { (i / nx, i % nx) };
        if axis > 0 {
            return self.row_beside(mesh, self.row % mesh.n[1] + r, axis, forward).map(|start| start + x);
        }
        mesh.neighbour(0, self.x0 + x, forward).map(|x| (self.row + r) * nx + x)
    }
}

/// How many rows lie in a block: short rows are taken together, so that what a block costs once is shared by many cells.
fn rows_together(mesh: &Mesh) -> usize {
    (BLOCK / mesh.n[0]).clamp(1, mesh.n[1])
}

/// How many blocks a mesh has.
pub fn blocks(mesh: &Mesh) -> usize {
    mesh.n[0].div_ceil(BLOCK) * mesh.n[1].div_ceil(rows_together(mesh)) * mesh.n[2]
}

/// Runs the pass on block `index`; returns the largest |rate|² and the largest |error sum|².
pub(super) fn block<T: Real>(cpu: &Cpu<T>, view: &View<'_, T>, pass: &Cells, index: usize, s: &mut Scratch<T>) -> [T; 2] {
    let [nx, ny, _] = cpu.mesh.n;
    let (per_row, together) = (nx.div_ceil(BLOCK), rows_together(&cpu.mesh));
    let (rows, x0) = (index / per_row, index % per_row * BLOCK);
    let per_plane = ny.div_ceil(together);
    let (z, y) = (rows / per_plane, rows % per_plane * together);
    let count = together.min(ny - y);
    let row = z * ny + y;
    if view.regions.full[row..row + count].iter().all(|f| *f) {
        return span(cpu, view, pass, Span { row, rows: count, x0, n: count * BLOCK.min(nx - x0) }, s);
    }
    (row..row + count).fold([T::ZERO; 2], |largest, row| {
        let found = span(cpu, view, pass, Span { row, rows: 1, x0, n: BLOCK.min(nx - x0) }, s);
        [larger(largest[0], found[0]), larger(largest[1], found[1])]
    })
}

fn span<T: Real>(cpu: &Cpu<T>, view: &View<'_, T>, pass: &Cells, span: Span, s: &mut Scratch<T>) -> [T; 2] {
    let [nx, ny, nz] = cpu.mesh.n;
    let cells = nx * ny * nz;
    let Span { row, rows, x0, n } = span;
    let from = row * nx + x0;
    let regions = &view.regions.map.cells[from..from + n];

    let full = view.regions.full[row..row + rows].iter().all(|f| *f);
    // In vacuum m is zero, and so is its rate whatever the coefficients.
    let together = view.uniform.as_ref().filter(|_| !cpu.reference);
    if together.is_none() {
        for f in &mut s.field {
            f[..n].fill(T::ZERO);
        }
        if cpu.reference {
            plain_field(cpu, view, pass, from, n, s);
        } else {
            fast_field(cpu, view, pass, span, s);
        }
    }

    // SAFETY: the rows written here belong to this block alone, and a plan never writes what its own pass reads as neighbours.
    unsafe {
        let m = view.rows(pass.read, cells, from, n);
        let mut largest = [T::ZERO; 2];
        let mut out = view.rows_mut(pass.write, cells, from, n);
        match (pass.motion, together) {
            (_, Some(common)) => {
                let neighbours = neighbours(cpu, view, pass, span, &mut s.neighbours);
                let read = |r: Option<Ref>| r.map_or(m, |r| view.rows(r, cells, from, n));
                let block = fused::Block { common, m, neighbours, demag: read(pass.convolved), noise: read(pass.noise) };
                (cpu.fused)(&block, out.each_mut().map(|o| &mut **o));
                if pass.measure {
                    largest[0] = (cpu.loops.largest)(out.each_ref().map(|o| &**o));
                }
            }
            (Some(motion), None) => {
                let [a, b] = view.tables.motion(motion);
                let [sa, sb] = &mut s.motion;
                let c = [a.row(regions, &view.now, sa), b.row(regions, &view.now, sb)];
                largest[0] = (cpu.loops.motion)(m, s.field.each_ref().map(|f| &f[..n]), c, out);
            }
            (None, None) => {
                for (out, field) in out.iter_mut().zip(&s.field) {
                    out.copy_from_slice(&field[..n]);
                }
                if !full {
                    for i in (0..n).filter(|&i| regions[i] == RegionMap::VACUUM) {
                        out.iter_mut().for_each(|o| o[i] = T::ZERO);
                    }
                }
            }
        }

        let weighted = |weights: &[(Ref, f64)], factor: f64| {
            let (mut parts, mut count) = ([(T::ZERO, m); MAX_STAGES], 0);
            for (rate, weight) in weights.iter().filter(|w| w.1 != 0.0) {
                parts[count] = (T::of(weight * factor), view.rows(*rate, cells, from, n));
                count += 1;
            }
            (parts, count)
        };
        if let Some(combine) = &pass.combine {
            let [x, y, z] = view.rows_mut(combine.out, cells, from, n);
            let (parts, count) = weighted(&combine.weights, view.now.dt);
            (cpu.loops.sum)(view.rows(combine.base, cells, from, n), &parts[..count], [x, y, z]);
        }
        if let Some(weights) = &pass.error {
            let (parts, count) = weighted(weights, 1.0);
            largest[1] = (cpu.loops.largest_sum)(&parts[..count]);
        }
        largest
    }
}

/// Neighbouring cells of a span: in place where they lie side by side, else gathered into `near`. Several rows are without vacuum, and so are those
/// beside them.
fn neighbours<'a, T: Real>(
    cpu: &Cpu<T>,
    view: &'a View<'_, T>,
    pass: &Cells,
    span: Span,
    near: &'a mut [[[T; BLOCK]; 3]; 6],
) -> [Rows<'a, T>; 6] {
    let mesh = &cpu.mesh;
    let nx = mesh.n[0];
    let cells = mesh.cells();
    let Span { row, rows, x0, n } = span;
    let from = row * nx + x0;
    let y = row % mesh.n[1];
    let regions = &view.regions.map.cells[from..from + n];
    let axes = cpu.axes;
    // SAFETY: nobody writes the field that is read.
    let m = unsafe { view.rows(pass.read, cells, from, n) };
    if !pass.terms.iter().any(|t| cpu.kinds[*t].linked) {
        return [m; 6];
    }
    let full = view.regions.full[row];
    let mut direct: [Option<usize>; 6] = [None; 6];

    let width = n / rows;
    let slopes = &view.tables.ghost;
    for (axis, forward) in (0..axes).flat_map(|axis| [(axis, false), (axis, true)]) {
        let face = 2 * axis + usize::from(forward);
        let sign = if forward { T::ONE } else { -T::ONE };
        let beside = |r: usize| span.row_beside(mesh, y + r, axis, forward);
        let [x, y, z] = &mut near[face];
        if axis == 0 {
            for from in (0..n).step_by(width) {
                let (inner, end) = if forward { (from + 1..from + width, from + width - 1) } else { (from..from + width - 1, from) };
                let to = if forward { from } else { from + 1 };
                for (to_row, from_row) in [&mut *x, &mut *y, &mut *z].into_iter().zip(m) {
                    to_row[to..to + width - 1].copy_from_slice(&from_row[inner.clone()]);
                }
                [x[end], y[end], z[end]] = neighbour(view, pass, mesh, span, end, axis, forward);
            }
        } else {
            // The neighbours of rows in one plane are rows side by side, but for the plane's first and last one.
            let side_by_side = beside(0).zip(beside(rows - 1)).filter(|(first, last)| full && *last == first + (rows - 1) * nx);
            if let Some((first, _)) = side_by_side {
                direct[face] = Some(first);
                continue;
            }
            for r in 0..rows {
                let own = r * width..(r + 1) * width;
                let (x, y, z) = (&mut x[own.clone()], &mut y[own.clone()], &mut z[own.clone()]);
                if let Some(start) = beside(r) {
                    // SAFETY: as above.
                    let other = unsafe { view.rows(pass.read, cells, start, width) };
                    x.copy_from_slice(other[0]);
                    y.copy_from_slice(other[1]);
                    z.copy_from_slice(other[2]);
                    continue;
                }
                let (mx, my, mz) = (&m[0][own.clone()], &m[1][own.clone()], &m[2][own.clone()]);
                let everywhere = slopes[axis].everywhere(&view.now);
                for i in 0..width {
                    let slope = everywhere.unwrap_or_else(|| slopes[axis].at(regions[own.start + i], &view.now));
                    [x[i], y[i], z[i]] = ghost([mx[i], my[i], mz[i]], slope, axis, sign, view.tables.bulk);
                }
            }
        }
        if !full {
            // One row: ghosts wherever vacuum lies beside.
            let map = &view.regions.map.cells;
            let (there, first) = match (axis, forward) {
                (0, true) => (&map[from + 1..from + n], 0),
                (0, false) => (&map[from..from + n - 1], 1),
                _ => (beside(0).map_or(&[][..], |start| &map[start..start + n]), 0),
            };
            for i in there.iter().enumerate().filter(|(_, r)| **r == RegionMap::VACUUM).map(|(i, _)| i + first) {
                let slope = slopes[axis].at(regions[i], &view.now);
                [x[i], y[i], z[i]] = ghost([m[0][i], m[1][i], m[2][i]], slope, axis, sign, view.tables.bulk);
            }
        }
    }
    let near = &*near;
    std::array::from_fn(|face| match direct[face] {
        // SAFETY: as above.
        Some(start) => unsafe { view.rows(pass.read, cells, start, n) },
        None => [0, 1, 2].map(|c| &near[face][c][..n]),
    })
}

/// The magnetisation next to cell `i` of a span, or the ghost of the boundary condition.
fn neighbour<T: Real>(view: &View<'_, T>, pass: &Cells, mesh: &Mesh, span: Span, i: usize, axis: usize, forward: bool) -> [T; 3] {
    let map = &view.regions.map.cells;
    let at = |cell: usize| {
        // SAFETY: nobody writes the field that is read.
        let there = unsafe { view.rows(pass.read, mesh.cells(), cell, 1) };
        [there[0][0], there[1][0], there[2][0]]
    };
    match span.cell_beside(mesh, i, axis, forward).filter(|j| map[*j] != RegionMap::VACUUM) {
        Some(j) => at(j),
        None => {
            let own = span.row * mesh.n[0] + span.x0 + i;
            let slope = view.tables.ghost[axis].at(map[own], &view.now);
            ghost(at(own), slope, axis, if forward { T::ONE } else { -T::ONE }, view.tables.bulk)
        }
    }
}

/// Sums the active laws into `s.field`.
fn fast_field<T: Real>(cpu: &Cpu<T>, view: &View<'_, T>, pass: &Cells, span: Span, s: &mut Scratch<T>) {
    let mesh = &cpu.mesh;
    let cells = mesh.cells();
    let Span { row, x0, n, .. } = span;
    let from = row * mesh.n[0] + x0;
    let map = &view.regions.map.cells;
    let regions = &map[from..from + n];
    let axes = cpu.axes;
    // SAFETY: nobody writes the field that is read.
    let m = unsafe { view.rows(pass.read, cells, from, n) };
    let partnered = pass.terms.iter().any(|t| cpu.kinds[*t].partnered > 0);

    if partnered {
        for (side, rows) in s.partners.iter_mut().enumerate() {
            for i in 0..n {
                let p = view.regions.partners[side][from + i];
                let cell = if p == u32::MAX { from + i } else { p as usize };
                // SAFETY: as above.
                let other = unsafe { view.rows(pass.read, cells, cell, 1) };
                (0..3).for_each(|c| rows[c][i] = other[c][0]);
            }
        }
    }

    let Scratch { neighbours: near, partners, links, coefficients, field, .. } = s;
    let neighbours = neighbours(cpu, view, pass, span, near);
    let partners: [Rows<'_, T>; 2] = std::array::from_fn(|side| if partnered { [0, 1, 2].map(|c| &partners[side][c][..n]) } else { m });
    let [bx, by, bz] = field;
    for &t in &pass.terms {
        let tables = &view.tables.terms[t];
        let mut link_rows: [&[T]; 6] = [&[]; 6];
        if cpu.kinds[t].partnered > 0 {
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
                let other = |i: usize| span.cell_beside(mesh, i, axis, forward).map_or(RegionMap::VACUUM, |j| map[j]);
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
fn plain_field<T: Real>(cpu: &Cpu<T>, view: &View<'_, T>, pass: &Cells, from: usize, n: usize, s: &mut Scratch<T>) {
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
    let [nx, ny, _] = cpu.mesh.n;
    for i in 0..n {
        let at = [(from + i) % nx, (from + i) / nx % ny, (from + i) / (nx * ny)];
        for &term in &pass.terms {
            let b = cpu.terms[term].with(Cell { cpu, view, pass, term, at });
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
