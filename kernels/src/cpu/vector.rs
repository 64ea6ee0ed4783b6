//! Vectors of the machine: a few operations on as many numbers as one register holds, for each instruction set.
//!
//! Code over [`Vector`] is written once, inlined into a thin function per instruction set (see [`super::isa`]), and called through a pointer.
//! Memory comes in *lines* of 64 bytes, the longest register and the unit of the caches: one or more vectors.

use crate::real::Real;
use std::alloc::Layout;
use std::ptr::NonNull;

/// Numbers in a line of 64 bytes.
pub const fn lanes<T>() -> usize {
    64 / size_of::<T>()
}

/// One register of numbers.
///
/// # Safety
/// Every method needs the instruction set of its type, and `load` and `store` as many readable or writable numbers as there are lanes.
pub trait Vector: Copy {
    /// Of which it holds several.
    type Real: Real;
    /// How many; a power of two that divides [`lanes`].
    const LANES: usize;
    /// Whether eight complex numbers and their sums fit the registers.
    const MANY_REGISTERS: bool;
    /// Reads from any address.
    unsafe fn load(from: *const Self::Real) -> Self;
    /// Writes to any address.
    unsafe fn store(self, to: *mut Self::Real);
    /// The same number in every lane.
    unsafe fn splat(x: Self::Real) -> Self;
    /// self + b
    unsafe fn plus(self, b: Self) -> Self;
    /// self − b
    unsafe fn minus(self, b: Self) -> Self;
    /// self · b
    unsafe fn times(self, b: Self) -> Self;
    /// self · b + c
    unsafe fn times_plus(self, b: Self, c: Self) -> Self;
    /// c − self · b
    unsafe fn minus_times(self, b: Self, c: Self) -> Self;
    /// self / √square, and zero for zero.
    unsafe fn over_length(self, square: Self) -> Self;
    /// a0 b0 a1 b1 …, in two registers.
    unsafe fn interleave(self, b: Self) -> (Self, Self);

    /// −self where asked.
    #[inline(always)]
    unsafe fn signed(self, negative: bool) -> Self {
        // SAFETY: by the caller's promise.
        if negative { unsafe { Self::splat(Self::Real::ZERO).minus(self) } } else { self }
    }
}

/// Four numbers, whatever the machine makes of them (SSE2, NEON).
#[derive(Clone, Copy)]
pub struct Portable<T>([T; 4]);

impl<T: Real> Portable<T> {
    #[inline(always)]
    fn each(f: impl Fn(usize) -> T) -> Self {
        Self([f(0), f(1), f(2), f(3)])
    }
}

impl<T: Real> Vector for Portable<T> {
    type Real = T;
    const LANES: usize = 4;
    const MANY_REGISTERS: bool = false;
    #[inline(always)]
    unsafe fn load(from: *const T) -> Self {
        // SAFETY: by the caller's promise.
        Self(unsafe { from.cast::<[T; 4]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut T) {
        // SAFETY: by the caller's promise.
        unsafe { to.cast::<[T; 4]>().write_unaligned(self.0) }
    }
    #[inline(always)]
    unsafe fn splat(x: T) -> Self {
        Self([x; 4])
    }
    #[inline(always)]
    unsafe fn plus(self, b: Self) -> Self {
        Self::each(|l| self.0[l] + b.0[l])
    }
    #[inline(always)]
    unsafe fn minus(self, b: Self) -> Self {
        Self::each(|l| self.0[l] - b.0[l])
    }
    #[inline(always)]
    unsafe fn times(self, b: Self) -> Self {
        Self::each(|l| self.0[l] * b.0[l])
    }
    #[inline(always)]
    unsafe fn times_plus(self, b: Self, c: Self) -> Self {
        // Where it is no instruction it would be a slow call.
        if cfg!(target_arch = "aarch64") {
            Self::each(|l| self.0[l].fused(b.0[l], c.0[l]))
        } else {
            Self::each(|l| self.0[l] * b.0[l] + c.0[l])
        }
    }
    #[inline(always)]
    unsafe fn minus_times(self, b: Self, c: Self) -> Self {
        if cfg!(target_arch = "aarch64") {
            Self::each(|l| (-self.0[l]).fused(b.0[l], c.0[l]))
        } else {
            Self::each(|l| c.0[l] - self.0[l] * b.0[l])
        }
    }
    #[inline(always)]
    unsafe fn over_length(self, square: Self) -> Self {
        Self::each(|l| if square.0[l] == T::ZERO { T::ZERO } else { self.0[l] / square.0[l].root() })
    }
    #[inline(always)]
    unsafe fn interleave(self, b: Self) -> (Self, Self) {
        let a = self.0;
        let b = b.0;
        (Self([a[0], b[0], a[1], b[1]]), Self([a[2], b[2], a[3], b[3]]))
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Vector;
    use std::arch::x86_64::*;

    macro_rules! vector {
        ($v:ident, $t:ident, $lanes:literal, $many:literal, $load:ident $store:ident $splat:ident $add:ident $sub:ident $mul:ident $fma:ident $fnma:ident, |$x:ident, $square:ident| $over:expr, |$a:ident, $b:ident| $interleave:expr) => {
            impl Vector for $v {
                type Real = $t;
                const LANES: usize = $lanes;
                const MANY_REGISTERS: bool = $many;
                #[inline(always)]
                unsafe fn load(from: *const $t) -> Self {
                    // SAFETY: of this and all below: by the caller's promise.
                    unsafe { $load(from) }
                }
                #[inline(always)]
                unsafe fn store(self, to: *mut $t) {
                    unsafe { $store(to, self) }
                }
                #[inline(always)]
                unsafe fn splat(x: $t) -> Self {
                    unsafe { $splat(x) }
                }
                #[inline(always)]
                unsafe fn plus(self, b: Self) -> Self {
                    unsafe { $add(self, b) }
                }
                #[inline(always)]
                unsafe fn minus(self, b: Self) -> Self {
                    unsafe { $sub(self, b) }
                }
                #[inline(always)]
                unsafe fn times(self, b: Self) -> Self {
                    unsafe { $mul(self, b) }
                }
                #[inline(always)]
                unsafe fn times_plus(self, b: Self, c: Self) -> Self {
                    unsafe { $fma(self, b, c) }
                }
                #[inline(always)]
                unsafe fn minus_times(self, b: Self, c: Self) -> Self {
                    unsafe { $fnma(self, b, c) }
                }
                #[inline(always)]
                unsafe fn over_length(self, $square: Self) -> Self {
                    let $x = self;
                    unsafe { $over }
                }
                #[inline(always)]
                unsafe fn interleave(self, $b: Self) -> (Self, Self) {
                    let $a = self;
                    unsafe { $interleave }
                }
            }
        };
    }
    vector!(__m256, f32, 8, false, _mm256_loadu_ps _mm256_storeu_ps _mm256_set1_ps _mm256_add_ps _mm256_sub_ps _mm256_mul_ps _mm256_fmadd_ps _mm256_fnmadd_ps, |x, square| {
        let some = _mm256_cmp_ps::<_CMP_NEQ_UQ>(square, _mm256_setzero_ps());
        _mm256_and_ps(some, _mm256_div_ps(x, _mm256_sqrt_ps(square)))
    }, |a, b| {
        let (lo, hi) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
        (_mm256_permute2f128_ps::<0x20>(lo, hi), _mm256_permute2f128_ps::<0x31>(lo, hi))
    });
    vector!(__m256d, f64, 4, false, _mm256_loadu_pd _mm256_storeu_pd _mm256_set1_pd _mm256_add_pd _mm256_sub_pd _mm256_mul_pd _mm256_fmadd_pd _mm256_fnmadd_pd, |x, square| {
        let some = _mm256_cmp_pd::<_CMP_NEQ_UQ>(square, _mm256_setzero_pd());
        _mm256_and_pd(some, _mm256_div_pd(x, _mm256_sqrt_pd(square)))
    }, |a, b| {
        let (lo, hi) = (_mm256_unpacklo_pd(a, b), _mm256_unpackhi_pd(a, b));
        (_mm256_permute2f128_pd::<0x20>(lo, hi), _mm256_permute2f128_pd::<0x31>(lo, hi))
    });
    vector!(__m512, f32, 16, true, _mm512_loadu_ps _mm512_storeu_ps _mm512_set1_ps _mm512_add_ps _mm512_sub_ps _mm512_mul_ps _mm512_fmadd_ps _mm512_fnmadd_ps, |x, square| {
        let some = _mm512_cmp_ps_mask::<_CMP_NEQ_UQ>(square, _mm512_setzero_ps());
        _mm512_maskz_div_ps(some, x, _mm512_sqrt_ps(square))
    }, |a, b| {
        let lo = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
        let hi = _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
        (_mm512_permutex2var_ps(a, lo, b), _mm512_permutex2var_ps(a, hi, b))
    });
    vector!(__m512d, f64, 8, true, _mm512_loadu_pd _mm512_storeu_pd _mm512_set1_pd _mm512_add_pd _mm512_sub_pd _mm512_mul_pd _mm512_fmadd_pd _mm512_fnmadd_pd, |x, square| {
        let some = _mm512_cmp_pd_mask::<_CMP_NEQ_UQ>(square, _mm512_setzero_pd());
        _mm512_maskz_div_pd(some, x, _mm512_sqrt_pd(square))
    }, |a, b| {
        let lo = _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11);
        let hi = _mm512_setr_epi64(4, 12, 5, 13, 6, 14, 7, 15);
        (_mm512_permutex2var_pd(a, lo, b), _mm512_permutex2var_pd(a, hi, b))
    });
}

/// A complex number in every lane.
#[derive(Clone, Copy)]
pub struct Complex<V> {
    /// Real part.
    pub re: V,
    /// Imaginary part.
    pub im: V,
}

impl<V: Vector> Complex<V> {
    /// Both parts zero.
    #[inline(always)]
    pub unsafe fn zero() -> Self {
        // SAFETY: of this and all below: the instruction set is there, by the caller's promise.
        let zero = unsafe { V::splat(V::Real::ZERO) };
        Self { re: zero, im: zero }
    }
    /// self + b
    #[inline(always)]
    pub unsafe fn plus(self, b: Self) -> Self {
        unsafe { Self { re: self.re.plus(b.re), im: self.im.plus(b.im) } }
    }
    /// self − b
    #[inline(always)]
    pub unsafe fn minus(self, b: Self) -> Self {
        unsafe { Self { re: self.re.minus(b.re), im: self.im.minus(b.im) } }
    }
    /// self − i b
    #[inline(always)]
    pub unsafe fn minus_i(self, b: Self) -> Self {
        unsafe { Self { re: self.re.plus(b.im), im: self.im.minus(b.re) } }
    }
    /// self + i b
    #[inline(always)]
    pub unsafe fn plus_i(self, b: Self) -> Self {
        unsafe { Self { re: self.re.minus(b.im), im: self.im.plus(b.re) } }
    }
    /// self · (c + is)
    #[inline(always)]
    pub unsafe fn turned(self, [c, s]: [V::Real; 2]) -> Self {
        unsafe {
            let (c, s) = (V::splat(c), V::splat(s));
            Self { re: self.im.minus_times(s, self.re.times(c)), im: self.re.times_plus(s, self.im.times(c)) }
        }
    }
    /// self · x, of a real number.
    #[inline(always)]
    pub unsafe fn scaled(self, x: V) -> Self {
        unsafe { Self { re: self.re.times(x), im: self.im.times(x) } }
    }
    /// x · self + b
    #[inline(always)]
    pub unsafe fn scaled_plus(self, x: V, b: Self) -> Self {
        unsafe { Self { re: self.re.times_plus(x, b.re), im: self.im.times_plus(x, b.im) } }
    }
    /// b − x · self
    #[inline(always)]
    pub unsafe fn minus_scaled(self, x: V, b: Self) -> Self {
        unsafe { Self { re: self.re.minus_times(x, b.re), im: self.im.minus_times(x, b.im) } }
    }
    /// Real and imaginary parts exchanged: the forward transform of that is the backward transform, exchanged.
    #[inline(always)]
    pub fn exchanged(self) -> Self {
        Self { re: self.im, im: self.re }
    }
}

/// Transposes a square of lanes × lanes numbers: rows of `from`, `from_step` numbers apart, become columns of `to`.
///
/// # Safety
/// Both squares are within memory, and the instruction set is there.
#[inline(always)]
pub unsafe fn transpose<V: Vector>(from: *const V::Real, from_step: usize, to: *mut V::Real, to_step: usize) {
    // SAFETY: by the caller's promise.
    unsafe {
        for (i, j) in (0..lanes::<V::Real>() / V::LANES).flat_map(|i| (0..lanes::<V::Real>() / V::LANES).map(move |j| (i, j))) {
            let (from, to) = (from.add(i * V::LANES * from_step + j * V::LANES), to.add(j * V::LANES * to_step + i * V::LANES));
            let mut rows = [V::splat(V::Real::ZERO); 16];
            for (r, row) in rows.iter_mut().enumerate().take(V::LANES) {
                *row = V::load(from.add(r * from_step));
            }
            // The digits of (row, lane) move one place round at each turn; after as many as there are digits they have changed places.
            let mut turns = V::LANES;
            while turns > 1 {
                let old = rows;
                for k in 0..V::LANES / 2 {
                    (rows[2 * k], rows[2 * k + 1]) = old[k].interleave(old[k + V::LANES / 2]);
                }
                turns /= 2;
            }
            for (r, row) in rows.into_iter().enumerate().take(V::LANES) {
                row.store(to.add(r * to_step));
            }
        }
    }
}

/// Numbers that begin on a line; many of them on the machine's large pages, since columns step over whole pages.
pub struct Lines<T> {
    start: NonNull<T>,
    layout: Layout,
}

// SAFETY: it owns plain numbers.
unsafe impl<T: Send> Send for Lines<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for Lines<T> {}

impl<T: Real> Lines<T> {
    /// As many zeros, and those that fill the last line.
    pub fn zeros(len: usize) -> Self {
        const LARGE_PAGE: usize = 2 << 20;
        let bytes = (len * size_of::<T>()).next_multiple_of(64).max(64);
        let large = bytes >= LARGE_PAGE;
        let layout = Layout::from_size_align(bytes, if large { LARGE_PAGE } else { 64 }).expect("fewer bytes than there are addresses");
        // SAFETY: the layout is not empty; zeros are numbers.
        unsafe {
            let start = std::alloc::alloc(layout);
            let Some(numbers) = NonNull::new(start.cast()) else { std::alloc::handle_alloc_error(layout) };
            #[cfg(target_os = "linux")]
            if large {
                // Only advice: without large pages all is the same but slower.
                libc::madvise(start.cast(), bytes, libc::MADV_HUGEPAGE);
            }
            start.write_bytes(0, bytes);
            Self { start: numbers, layout }
        }
    }

    /// Its start.
    pub fn start(&mut self) -> *mut T {
        self.start.as_ptr()
    }

    /// All of it.
    pub fn as_slice(&self) -> &[T] {
        // SAFETY: as many numbers were allocated.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.layout.size() / size_of::<T>()) }
    }

    /// All of it.
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.layout.size() / size_of::<T>()) }
    }
}

impl<T> Drop for Lines<T> {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout.
        unsafe { std::alloc::dealloc(self.start.as_ptr().cast(), self.layout) }
    }
}
