//! Complex transforms of many lines at once: one lane per line.
//!
//! Stockham's self-sorting algorithm (Van Loan, "Computational frameworks for the FFT" (1992), section 1.7) with radices 8, 4, 2 and the odd
//! primes. Forward exp(−2πi jk/N); for the backward transform real and imaginary parts are exchanged before and after; neither is scaled. The first
//! step reads from a [`Source`] and the last writes to a [`Sink`]: what a transform starts from (zeros beyond an end, a twist) and what becomes of its result
//! (half of it dropped, a sum) costs no pass over memory of its own.

use super::isa::{Isa, with_vectors};
use super::vector::{Complex, Vector, lanes};
use crate::real::Real;

/// Where a transform reads its elements.
pub trait Source<V: Vector> {
    /// Element `i`, lanes from `lane` on.
    ///
    /// # Safety
    /// As for [`Vector`]; `i` is below the length.
    unsafe fn get(&self, i: usize, lane: usize) -> Complex<V>;
}

/// Where a transform puts its elements.
pub trait Sink<V: Vector> {
    /// Element `i`, lanes from `lane` on.
    ///
    /// # Safety
    /// As for [`Vector`]; `i` is below the length.
    unsafe fn put(&self, i: usize, lane: usize, value: Complex<V>);
}

/// Complex elements in memory: a line of real parts and a line of imaginary parts each, elements `step` lines apart.
#[derive(Clone, Copy)]
pub struct Elements<T> {
    re: *mut T,
    im: *mut T,
    step: usize,
}

impl<T: Real> Elements<T> {
    /// Elements from a place on, each `every` elements further.
    pub fn every(at: *mut T, every: usize) -> Self {
        Self { re: at, im: at.wrapping_add(lanes::<T>()), step: 2 * lanes::<T>() * every }
    }

    /// Elements side by side.
    pub fn at(at: *mut T) -> Self {
        Self::every(at, 1)
    }

    /// Real and imaginary parts exchanged.
    pub fn exchanged(self) -> Self {
        Self { re: self.im, im: self.re, step: self.step }
    }
}

impl<T: Real, V: Vector<Real = T>> Source<V> for Elements<T> {
    #[inline(always)]
    unsafe fn get(&self, i: usize, lane: usize) -> Complex<V> {
        // SAFETY: by the caller's promise.
        unsafe { Complex { re: V::load(self.re.add(i * self.step + lane)), im: V::load(self.im.add(i * self.step + lane)) } }
    }
}

impl<T: Real, V: Vector<Real = T>> Sink<V> for Elements<T> {
    #[inline(always)]
    unsafe fn put(&self, i: usize, lane: usize, value: Complex<V>) {
        // SAFETY: by the caller's promise.
        unsafe {
            value.re.store(self.re.add(i * self.step + lane));
            value.im.store(self.im.add(i * self.step + lane));
        }
    }
}

/// The smallest length ≥ n without prime factors above 7.
pub fn smooth(n: usize) -> usize {
    (n.max(1)..).find(|&m| is_smooth(m)).expect("there is a power of two above any number")
}

pub(super) fn is_smooth(mut n: usize) -> bool {
    for p in [2, 3, 5, 7] {
        while n.is_multiple_of(p) {
            n /= p;
        }
    }
    n == 1
}

struct Step<T> {
    radix: usize,
    /// Product of the radices already done.
    stride: usize,
    /// What is left after this step.
    rest: usize,
    /// exp(−2πi p k / (radix · rest)) for p in 0..rest, k in 1..radix.
    twiddles: Vec<[T; 2]>,
    /// exp(−2πi k/radix), for the odd radices.
    roots: Vec<[T; 2]>,
}

/// A transform of one length.
pub struct Fft<T> {
    len: usize,
    steps: Vec<Step<T>>,
    /// A step within the work array; a function of its own, since it is the same for every source and sink.
    middle: unsafe fn(&Step<T>, Elements<T>, Elements<T>),
}

with_vectors! {
    fn middle<V, T>(step: &Step<T>, from: Elements<T>, to: Elements<T>) {
        // SAFETY: by the caller's promise.
        unsafe { step.run::<V>(&from, &to) }
    }
}

/// exp(−2πi j/n)
pub fn root<T: Real>(j: f64, n: usize) -> [T; 2] {
    let angle = -std::f64::consts::TAU * j / n as f64;
    [T::of(angle.cos()), T::of(angle.sin())]
}

impl<T: Real> Fft<T> {
    /// Plans any length ≥ 1; a prime factor p costs p operations an element. With few registers eight complex numbers at once are too many.
    pub fn new(len: usize, isa: Isa) -> Self {
        let mut radices = Vec::new();
        let mut n = len;
        // Eights, but two fours rather than an eight and a two.
        while isa.many_registers() && n.is_multiple_of(8) && n.trailing_zeros() != 4 {
            radices.push(8);
            n /= 8;
        }
        for r in [4, 2] {
            while n.is_multiple_of(r) {
                radices.push(r);
                n /= r;
            }
        }
        // Odd primes in the middle, the largest first: steps at the ends are quickest.
        let (mut p, mut primes) = (3, Vec::new());
        while n > 1 {
            while n.is_multiple_of(p) {
                primes.push(p);
                n /= p;
            }
            p += 2;
        }
        let at = radices.len().min(1);
        radices.splice(at..at, primes.into_iter().rev());
        let mut steps = Vec::new();
        let (mut stride, mut left) = (1, len);
        for radix in radices {
            let rest = left / radix;
            let twiddles = (0..rest).flat_map(|p| (1..radix).map(move |k| root((p * k) as f64, radix * rest))).collect();
            let roots = (0..radix).map(|k| root(k as f64, radix)).collect();
            steps.push(Step { radix, stride, rest, twiddles, roots });
            stride *= radix;
            left = rest;
        }
        Self { len, steps, middle: middle(isa) }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Transforms forward.
    ///
    /// # Safety
    /// The instruction set of `V` is there; source and sink take every index below the length, `work` holds two times [`Fft::len`] elements that are used by
    /// nobody else. The sink may overwrite the source.
    #[inline(always)]
    pub unsafe fn forward<V: Vector<Real = T>>(&self, source: &impl Source<V>, sink: &impl Sink<V>, work: *mut T) {
        let half = |odd: bool| Elements::at(work.wrapping_add(if odd { 2 * lanes::<T>() * self.len } else { 0 }));
        let mut steps = &self.steps[..];
        let mut odd = false;
        // SAFETY: by the caller's promise.
        unsafe {
            // Only the commonest steps meet every source and sink, or the program would be as long as the list of all.
            match steps {
                [first, rest @ ..] if !rest.is_empty() && first.radix == 8 && V::MANY_REGISTERS => {
                    first.each::<V, Even, 8>(source, &half(odd));
                    steps = rest;
                }
                [first, rest @ ..] if !rest.is_empty() && first.radix == 4 => {
                    first.each::<V, Even, 4>(source, &half(odd));
                    steps = rest;
                }
                _ => copy(self.len, source, &half(odd)),
            }
            while let [step, rest @ ..] = steps {
                if rest.is_empty() && (step.radix < 6 || step.radix == 8 && V::MANY_REGISTERS) {
                    break;
                }
                (self.middle)(step, half(odd), half(!odd));
                odd = !odd;
                steps = rest;
            }
            match steps {
                [last] if last.radix == 8 && V::MANY_REGISTERS => last.each::<V, Even, 8>(&half(odd), sink),
                [last] if last.radix == 4 => last.each::<V, Even, 4>(&half(odd), sink),
                [last] if last.radix == 2 => last.each::<V, Even, 2>(&half(odd), sink),
                [last] if last.radix == 3 => last.each::<V, Odd, 3>(&half(odd), sink),
                [last] if last.radix == 5 => last.each::<V, Odd, 5>(&half(odd), sink),
                _ => copy(self.len, &half(odd), sink),
            }
        }
    }
}

#[inline(always)]
unsafe fn copy<V: Vector>(len: usize, source: &impl Source<V>, sink: &impl Sink<V>) {
    for i in 0..len {
        for lane in (0..lanes::<V::Real>()).step_by(V::LANES) {
            // SAFETY: by the caller's promise.
            unsafe { sink.put(i, lane, source.get(i, lane)) };
        }
    }
}

impl<T: Real> Step<T> {
    /// # Safety
    /// As for [`Fft::forward`].
    #[inline(always)]
    unsafe fn run<V: Vector<Real = T>>(&self, source: &impl Source<V>, sink: &impl Sink<V>) {
        // SAFETY: by the caller's promise.
        unsafe {
            match self.radix {
                8 if V::MANY_REGISTERS => self.each::<V, Even, 8>(source, sink),
                4 => self.each::<V, Even, 4>(source, sink),
                2 => self.each::<V, Even, 2>(source, sink),
                3 => self.each::<V, Odd, 3>(source, sink),
                5 => self.each::<V, Odd, 5>(source, sink),
                7 => self.each::<V, Odd, 7>(source, sink),
                _ => self.any(source, sink),
            }
        }
    }

    #[inline(always)]
    unsafe fn each<V: Vector<Real = T>, B: Butterfly<R>, const R: usize>(&self, source: &impl Source<V>, sink: &impl Sink<V>) {
        let (s, m) = (self.stride, self.rest);
        // SAFETY: by the caller's promise.
        unsafe {
            for p in 0..m {
                let twiddles: &[[T; 2]] = self.twiddles.get_unchecked(p * (R - 1)..(p + 1) * (R - 1));
                for q in 0..s {
                    for lane in (0..lanes::<T>()).step_by(V::LANES) {
                        let mut x = [Complex::zero(); R];
                        for (j, x) in x.iter_mut().enumerate() {
                            *x = source.get(s * (p + m * j) + q, lane);
                        }
                        let y = B::of(x, &self.roots);
                        let to = s * R * p + q;
                        sink.put(to, lane, y[0]);
                        for k in 1..R {
                            // The last step has nothing to turn.
                            let turned = if m == 1 { y[k] } else { y[k].turned(*twiddles.get_unchecked(k - 1)) };
                            sink.put(to + s * k, lane, turned);
                        }
                    }
                }
            }
        }
    }

    /// Straight from the definition.
    #[inline(always)]
    unsafe fn any<V: Vector<Real = T>>(&self, source: &impl Source<V>, sink: &impl Sink<V>) {
        let (s, m, r) = (self.stride, self.rest, self.radix);
        // SAFETY: by the caller's promise.
        unsafe {
            for (p, q) in (0..m).flat_map(|p| (0..s).map(move |q| (p, q))) {
                for lane in (0..lanes::<T>()).step_by(V::LANES) {
                    for k in 0..r {
                        let mut sum = source.get(s * p + q, lane);
                        for j in 1..r {
                            sum = sum.plus(source.get(s * (p + m * j) + q, lane).turned(self.roots[j * k % r]));
                        }
                        let turned = if k == 0 { sum } else { sum.turned(self.twiddles[p * (r - 1) + k - 1]) };
                        sink.put(s * (r * p + k) + q, lane, turned);
                    }
                }
            }
        }
    }
}

/// The transform of a few numbers. (A trait, because closures are not inlined into functions with more instructions.)
trait Butterfly<const R: usize> {
    /// # Safety
    /// As for [`Vector`]; `roots` are those of [`Step`].
    unsafe fn of<V: Vector>(x: [Complex<V>; R], roots: &[[V::Real; 2]]) -> [Complex<V>; R];
}

struct Even;

impl Butterfly<2> for Even {
    #[inline(always)]
    unsafe fn of<V: Vector>([a, b]: [Complex<V>; 2], _: &[[V::Real; 2]]) -> [Complex<V>; 2] {
        // SAFETY: of this and all below: by the caller's promise.
        unsafe { [a.plus(b), a.minus(b)] }
    }
}

impl Butterfly<4> for Even {
    #[inline(always)]
    unsafe fn of<V: Vector>([a, b, c, d]: [Complex<V>; 4], _: &[[V::Real; 2]]) -> [Complex<V>; 4] {
        unsafe {
            let (ac, a_c, bd, b_d) = (a.plus(c), a.minus(c), b.plus(d), b.minus(d));
            [ac.plus(bd), a_c.minus_i(b_d), ac.minus(bd), a_c.plus_i(b_d)]
        }
    }
}

impl Butterfly<8> for Even {
    #[inline(always)]
    unsafe fn of<V: Vector>(x: [Complex<V>; 8], roots: &[[V::Real; 2]]) -> [Complex<V>; 8] {
        unsafe {
            let even = <Self as Butterfly<4>>::of([x[0], x[2], x[4], x[6]], roots);
            let odd = <Self as Butterfly<4>>::of([x[1], x[3], x[5], x[7]], roots);
            let h = V::splat(V::Real::of(std::f64::consts::FRAC_1_SQRT_2));
            // (1 − i) odd₁ and (1 + i) odd₃, both short of √½.
            let one = odd[1].minus_i(odd[1]);
            let three = odd[3].plus_i(odd[3]);
            [
                even[0].plus(odd[0]),
                one.scaled_plus(h, even[1]),
                even[2].minus_i(odd[2]),
                three.minus_scaled(h, even[3]),
                even[0].minus(odd[0]),
                one.minus_scaled(h, even[1]),
                even[2].plus_i(odd[2]),
                three.scaled_plus(h, even[3]),
            ]
        }
    }
}

/// Sums and differences of those opposite each other meet cosines and sines.
struct Odd;

impl<const R: usize> Butterfly<R> for Odd {
    #[inline(always)]
    unsafe fn of<V: Vector>(x: [Complex<V>; R], roots: &[[V::Real; 2]]) -> [Complex<V>; R] {
        unsafe {
            let (mut sums, mut differences) = (x, x);
            let mut y = x;
            for j in 1..=R / 2 {
                sums[j] = x[j].plus(x[R - j]);
                differences[j] = x[j].minus(x[R - j]);
                y[0] = y[0].plus(sums[j]);
            }
            for k in 1..=R / 2 {
                let (mut even, mut odd) = (x[0], Complex::zero());
                for j in 1..=R / 2 {
                    let [c, s] = *roots.get_unchecked(j * k % R);
                    even = sums[j].scaled_plus(V::splat(c), even);
                    odd = differences[j].scaled_plus(V::splat(s), odd);
                }
                (y[k], y[R - k]) = (even.plus_i(odd), even.minus_i(odd));
            }
            y
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::vector::Lines;
    use super::*;

    with_vectors! {
        fn transform<V, T>(fft: &Fft<T>, x: &mut Lines<T>, work: &mut Lines<T>) {
            // SAFETY: as for the caller.
            unsafe {
                let x = Elements::at(x.start());
                let out = Elements::at(work.start().add(4 * fft.len() * lanes::<T>()));
                fft.forward::<V>(&x, &out, work.start());
                for i in 0..fft.len() {
                    for lane in (0..lanes::<T>()).step_by(V::LANES) {
                        let value: Complex<V> = out.get(i, lane);
                        x.put(i, lane, value);
                    }
                }
            }
        }
    }

    fn check<T: Real>(isa: Isa, len: usize, tolerance: f64) {
        let fft = Fft::<T>::new(len, isa);
        let width = lanes::<T>();
        let value = |j: usize, l: usize| (((j * 7 + l * 3) % 11) as f64 - 5.0, ((j * 5 + l) % 13) as f64 - 6.0);
        let (mut x, mut work) = (Lines::<T>::zeros(2 * len * width), Lines::<T>::zeros(6 * len * width));
        for (i, line) in x.as_mut_slice().chunks_mut(width).enumerate() {
            for (l, v) in line.iter_mut().enumerate() {
                let (re, im) = value(i / 2, l);
                *v = T::of(if i % 2 == 0 { re } else { im });
            }
        }
        // SAFETY: the instruction set is one of those available.
        unsafe { transform(isa)(&fft, &mut x, &mut work) };
        for k in 0..len {
            for l in [0, 3, width - 1] {
                let (mut sr, mut si) = (0.0, 0.0);
                for j in 0..len {
                    let (sin, cos) = (-std::f64::consts::TAU * ((j * k) % len) as f64 / len as f64).sin_cos();
                    let (a, b) = value(j, l);
                    sr += a * cos - b * sin;
                    si += a * sin + b * cos;
                }
                let found = |part: usize| x.as_slice()[(2 * k + part) * width + l].wide();
                // Rounding grows like log N on values of order 6 N.
                let allowed = tolerance * 6.0 * len as f64;
                assert!((found(0) - sr).abs() < allowed && (found(1) - si).abs() < allowed, "{isa:?} {} {len} {k}", T::NAME);
            }
        }
    }

    #[test]
    fn every_length_equals_the_sum_of_its_definition() {
        for isa in Isa::available() {
            for len in (1usize..=64).chain([72, 105, 128, 210, 256, 512]) {
                check::<f64>(isa, len, 1e-14);
                check::<f32>(isa, len, 5e-7);
            }
        }
    }
}
