//! Inner loops over a block of one row: laws, motion, combination. Everything here is branch-free over slices of one
//! length, compiled for each instruction set, and called through function pointers.

use super::isa::{Isa, with_vectors};
use crate::real::{Real, cross};
use crate::terms::{Coefficients, Extra, Law, MAX_COEFFICIENTS, Term, WithLaw};
use spinloom_base::random::normals;

/// Longest block (cells): the scratch rows of a block stay in the first-level cache.
pub const BLOCK: usize = 256;

/// One row block of a vector field: x, y, z components.
pub type Rows<'a, T> = [&'a [T]; 3];

/// The same to write.
pub type RowsMut<'a, T> = [&'a mut [T]; 3];

/// Rows and what multiplies them.
pub type Weighted<'a, T> = (T, Rows<'a, T>);

/// What a law reads in one block. All slices have the block's length.
pub struct Block<'a, T> {
    /// Number of cells.
    pub n: usize,
    /// Magnetisation.
    pub m: Rows<'a, T>,
    /// Its neighbours at x−, x+, y−, y+, z−, z+; ghosts where there is none.
    pub neighbours: [Rows<'a, T>; 6],
    /// Its partners below and above.
    pub partners: [Rows<'a, T>; 2],
    /// Link coefficients to neighbours, or to partners, two for each strength.
    pub links: [&'a [T]; 6],
    /// Coefficients of the law.
    pub coefficients: [&'a [T]; MAX_COEFFICIENTS],
    /// What [`Law::EXTRA`] asks for.
    pub extra: Rows<'a, T>,
}

/// Adds a law's field to three rows.
pub type LawFn<T> = unsafe fn(&Block<'_, T>, &mut [T], &mut [T], &mut [T]);
/// The rate of m in a field B, with rows of the coefficients of m × B and m × (m × B); returns the largest |rate|².
pub type MotionFn<T> = unsafe fn(Rows<'_, T>, Rows<'_, T>, [&[T]; 2], RowsMut<'_, T>) -> T;
/// Adds `weight · rate` to three rows.
pub type AddFn<T> = unsafe fn(T, Rows<'_, T>, &mut [T], &mut [T], &mut [T]);
/// The sum of three rows and weighted others, scaled to length 1; zero stays zero.
pub type SumFn<T> = unsafe fn(Rows<'_, T>, &[Weighted<'_, T>], RowsMut<'_, T>);
/// The largest square of a weighted sum of rows.
pub type LargestSumFn<T> = unsafe fn(&[Weighted<'_, T>]) -> T;
/// Fills three rows with normals of the cells from a number on, by replica, step and seed.
pub type NoiseFn<T> = unsafe fn(u32, u32, u64, u64, &mut [T], &mut [T], &mut [T]);
/// The weighted sum of three slices.
pub type MixFn<T> = unsafe fn([T; 3], [&[T]; 3], &mut [T]);
/// Largest square of three rows.
pub type LargestFn<T> = unsafe fn(Rows<'_, T>) -> T;

with_vectors! {
    /// See [`LawFn`].
    fn law<V, T, L: Law; const AXES>(a: &Block<'_, T>, bx: &mut [T], by: &mut [T], bz: &mut [T]) {
        let n = a.n;
        let (bx, by, bz) = (&mut bx[..n], &mut by[..n], &mut bz[..n]);
        for i in 0..n {
            // SAFETY: every slice of a `Block` has at least n elements, which `CellsPass` ensures by construction; with bounds checks the loop does not vectorise.
            unsafe {
                let get = |r: &Rows<'_, T>| [*r[0].get_unchecked(i), *r[1].get_unchecked(i), *r[2].get_unchecked(i)];
                let m = get(&a.m);
                let mut c: Coefficients<T> = [T::ZERO; MAX_COEFFICIENTS];
                for (k, c) in c.iter_mut().enumerate().take(L::COEFFICIENTS) {
                    *c = *a.coefficients[k].get_unchecked(i);
                }
                let mut accumulator = [T::ZERO; 3];
                if L::LINKED {
                    for axis in 0..AXES {
                        for (side, sign) in [(0, -T::ONE), (1, T::ONE)] {
                            let face = 2 * axis + side;
                            accumulator = L::gather(m, get(&a.neighbours[face]), *a.links[face].get_unchecked(i), axis, sign, accumulator, &c);
                        }
                    }
                }
                for axis in 0..L::PARTNERED {
                    for (side, sign) in [(0, -T::ONE), (1, T::ONE)] {
                        let link = *a.links[2 * axis + side].get_unchecked(i);
                        accumulator = L::gather(m, get(&a.partners[side]), link, axis, sign, accumulator, &c);
                    }
                }
                let extra = if L::EXTRA == Extra::None { [T::ZERO; 3] } else { get(&a.extra) };
                let b = L::finish(m, accumulator, &c, extra);
                bx[i] += b[0];
                by[i] += b[1];
                bz[i] += b[2];
            }
        }
    }
}

with_vectors! {
    /// See [`MotionFn`].
    fn motion<V, T>(m: Rows<'_, T>, b: Rows<'_, T>, c: [&[T]; 2], out: RowsMut<'_, T>) -> T {
        let [ox, oy, oz] = out;
        let n = ox.len();
        let (oy, oz) = (&mut oy[..n], &mut oz[..n]);
        let (mx, my, mz) = (&m[0][..n], &m[1][..n], &m[2][..n]);
        let (bx, by, bz) = (&b[0][..n], &b[1][..n], &b[2][..n]);
        let (precession, damping) = (&c[0][..n], &c[1][..n]);
        for i in 0..n {
            let m = [mx[i], my[i], mz[i]];
            let mb = cross(m, [bx[i], by[i], bz[i]]);
            let mmb = cross(m, mb);
            ox[i] = precession[i] * mb[0] + damping[i] * mmb[0];
            oy[i] = precession[i] * mb[1] + damping[i] * mmb[1];
            oz[i] = precession[i] * mb[2] + damping[i] * mmb[2];
        }
        // SAFETY: as for the caller.
        unsafe { largest_body([ox, oy, oz]) }
    }
}

with_vectors! {
    /// See [`SumFn`].
    fn sum<V, T>(base: Rows<'_, T>, others: &[Weighted<'_, T>], out: RowsMut<'_, T>) {
        let n = base[0].len();
        let [ox, oy, oz] = out;
        // SAFETY: all rows have this length.
        unsafe {
            let whole = n / V::LANES * V::LANES;
            let one = V::splat(T::ONE);
            for i in (0..whole).step_by(V::LANES) {
                let mut x = V::load(base[0].as_ptr().add(i));
                let mut y = V::load(base[1].as_ptr().add(i));
                let mut z = V::load(base[2].as_ptr().add(i));
                for (weight, rows) in others {
                    let weight = V::splat(*weight);
                    x = x.plus(V::load(rows[0].as_ptr().add(i)).times(weight));
                    y = y.plus(V::load(rows[1].as_ptr().add(i)).times(weight));
                    z = z.plus(V::load(rows[2].as_ptr().add(i)).times(weight));
                }
                let scale = one.over_length(x.times(x).plus(y.times(y)).plus(z.times(z)));
                x.times(scale).store(ox.as_mut_ptr().add(i));
                y.times(scale).store(oy.as_mut_ptr().add(i));
                z.times(scale).store(oz.as_mut_ptr().add(i));
            }
            for i in whole..n {
                let sum = |c: usize| others.iter().fold(base[c][i], |sum, (weight, rows)| sum + rows[c][i] * *weight);
                let [x, y, z] = [sum(0), sum(1), sum(2)];
                let square = x * x + y * y + z * z;
                let scale = if square == T::ZERO { T::ZERO } else { T::ONE / square.root() };
                (ox[i], oy[i], oz[i]) = (x * scale, y * scale, z * scale);
            }
        }
    }
}

with_vectors! {
    /// See [`LargestSumFn`].
    fn largest_sum<V, T>(parts: &[Weighted<'_, T>]) -> T {
        let n = parts.first().map_or(0, |p| p.1[0].len());
        let mut largest = T::ZERO;
        let mut squares = [T::ZERO; 16];
        // SAFETY: all rows have this length.
        unsafe {
            let whole = n / V::LANES * V::LANES;
            for i in (0..whole).step_by(V::LANES) {
                let mut square = V::splat(T::ZERO);
                for c in 0..3 {
                    let mut sum = V::splat(T::ZERO);
                    for (weight, rows) in parts {
                        sum = sum.plus(V::load(rows[c].as_ptr().add(i)).times(V::splat(*weight)));
                    }
                    square = sum.times_plus(sum, square);
                }
                square.store(squares.as_mut_ptr());
                largest = squares[..V::LANES].iter().fold(largest, |l, s| larger(l, *s));
            }
            for i in whole..n {
                let sum = |c: usize| parts.iter().fold(T::ZERO, |sum, (weight, rows)| sum + *weight * rows[c][i]);
                let [x, y, z] = [sum(0), sum(1), sum(2)];
                largest = larger(largest, x * x + y * y + z * z);
            }
        }
        largest
    }
}

/// The larger one; not-a-number wins, so that it is noticed.
#[inline(always)]
#[allow(clippy::eq_op, reason = "not-a-number is the one value that differs from itself")]
pub fn larger<T: Real>(a: T, b: T) -> T {
    if a > b || a != a { a } else { b }
}

with_vectors! {
    /// See [`AddFn`].
    fn add<V, T>(w: T, r: Rows<'_, T>, x: &mut [T], y: &mut [T], z: &mut [T]) {
        let n = x.len();
        let (y, z) = (&mut y[..n], &mut z[..n]);
        let (rx, ry, rz) = (&r[0][..n], &r[1][..n], &r[2][..n]);
        for i in 0..n {
            x[i] += w * rx[i];
            y[i] += w * ry[i];
            z[i] += w * rz[i];
        }
    }
}

#[inline(always)]
unsafe fn largest_body<T: Real>(r: Rows<'_, T>) -> T {
    let n = r[0].len();
    let (x, y, z) = (r[0], &r[1][..n], &r[2][..n]);
    let mut largest = [T::ZERO; 16];
    let chunks = x.as_chunks::<16>().0.iter().zip(y.as_chunks::<16>().0).zip(z.as_chunks::<16>().0);
    for ((x, y), z) in chunks {
        for l in 0..16 {
            largest[l] = larger(largest[l], x[l] * x[l] + y[l] * y[l] + z[l] * z[l]);
        }
    }
    for i in n / 16 * 16..n {
        largest[0] = larger(largest[0], x[i] * x[i] + y[i] * y[i] + z[i] * z[i]);
    }
    largest.into_iter().fold(T::ZERO, larger)
}

with_vectors! {
    /// See [`NoiseFn`].
    fn noise<V, T>(first: u32, id: u32, step: u64, key: u64, x: &mut [T], y: &mut [T], z: &mut [T]) {
        let n = x.len();
        let (y, z) = (&mut y[..n], &mut z[..n]);
        for i in 0..n {
            let eta = normals([first + i as u32, id, step as u32, (step >> 32) as u32], [key as u32, (key >> 32) as u32]);
            x[i] = T::of(eta[0]);
            y[i] = T::of(eta[1]);
            z[i] = T::of(eta[2]);
        }
    }
}

with_vectors! {
    /// See [`MixFn`].
    fn mix<V, T>(w: [T; 3], from: [&[T]; 3], out: &mut [T]) {
        let n = out.len();
        let (a, b, c) = (&from[0][..n], &from[1][..n], &from[2][..n]);
        for i in 0..n {
            out[i] = w[0] * a[i] + w[1] * b[i] + w[2] * c[i];
        }
    }
}

with_vectors! {
    /// See [`LargestFn`].
    fn largest<V, T>(r: Rows<'_, T>) -> T {
        // SAFETY: as for the caller.
        unsafe { largest_body(r) }
    }
}

/// The loops of one instruction set. Calling any of them is safe where [`Isa::available`] lists it.
pub struct Loops<T> {
    /// See [`MotionFn`].
    pub motion: MotionFn<T>,
    /// See [`AddFn`].
    pub add: AddFn<T>,
    /// See [`SumFn`].
    pub sum: SumFn<T>,
    /// See [`LargestSumFn`].
    pub largest_sum: LargestSumFn<T>,
    /// See [`NoiseFn`].
    pub noise: NoiseFn<T>,
    /// See [`MixFn`].
    pub mix: MixFn<T>,
    /// See [`LargestFn`].
    pub largest: LargestFn<T>,
}

impl<T: Real> Loops<T> {
    /// Those of an instruction set.
    pub fn of(isa: Isa) -> Self {
        Self {
            motion: motion(isa),
            add: add(isa),
            sum: sum(isa),
            largest_sum: largest_sum(isa),
            noise: noise(isa),
            mix: mix(isa),
            largest: largest(isa),
        }
    }
}

/// The loop of a term for a mesh whose neighbours lie along the first `axes` axes.
pub fn law_fn<T: Real>(term: Term, isa: Isa, axes: usize) -> LawFn<T> {
    struct Pick<T>(Isa, usize, std::marker::PhantomData<T>);
    impl<T: Real> WithLaw for Pick<T> {
        type Output = LawFn<T>;
        fn with<L: Law>(self) -> LawFn<T> {
            match self.1 {
                1 => law::<T, L, 1>(self.0),
                2 => law::<T, L, 2>(self.0),
                _ => law::<T, L, 3>(self.0),
            }
        }
    }
    term.with(Pick(isa, axes, std::marker::PhantomData))
}
