//! Complex transforms of many adjacent columns at once: one SIMD lane per column.
//!
//! Stockham's self-sorting algorithm (Van Loan, "Computational frameworks for the FFT" (1992), section 1.7) with radices
//! 4, 2, 3, 5 and 7; every length without a larger prime factor. Forward exp(−2πi jk/N), backward is the forward
//! transform with real and imaginary parts exchanged; neither is scaled.

use super::isa::Isa;
use crate::real::Real;

/// Columns side by side: 64 bytes of `f32`.
pub const LANES: usize = 16;

/// One row of a panel.
pub type Lane<T> = [T; LANES];

/// The smallest length ≥ n without prime factors above 7.
pub fn smooth(n: usize) -> usize {
    (n.max(1)..).find(|&m| is_smooth(m)).expect("there is a power of two above any number")
}

/// The length ≥ n that is cheapest to transform. A factor costs about so many vector operations per element (measured: the odd
/// radices are sums of their definition, and 63 = 3·3·7 takes four times as long as 64).
pub fn cheapest(n: usize) -> usize {
    let cost = |mut m: usize| {
        let mut per_element = 1.0;
        for (radix, operations) in [(4, 4.0), (2, 3.0), (3, 9.0), (5, 18.0), (7, 30.0)] {
            while m.is_multiple_of(radix) {
                m /= radix;
                per_element += operations;
            }
        }
        if m == 1 { per_element } else { f64::INFINITY }
    };
    (n.max(1)..=2 * n.max(1))
        .min_by(|a, b| (*a as f64 * cost(*a)).total_cmp(&(*b as f64 * cost(*b))))
        .expect("there is a power of two in the range")
}

fn is_smooth(mut n: usize) -> bool {
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
    twiddles: Vec<(T, T)>,
    /// exp(−2πi k/radix), for the odd radices.
    roots: Vec<(T, T)>,
}

/// A transform of one length.
pub struct ColumnFft<T: Real> {
    len: usize,
    steps: Vec<Step<T>>,
    run: unsafe fn(&[Step<T>], usize, &mut [Lane<T>], &mut [Lane<T>], &mut [Lane<T>], &mut [Lane<T>]),
}

impl<T: Real> ColumnFft<T> {
    /// Plans a length that [`smooth`] would return.
    ///
    /// # Panics
    /// If the length has a prime factor above 7.
    pub fn new(len: usize, isa: Isa) -> Self {
        assert!(is_smooth(len), "length {len} has a prime factor above 7");
        let mut radices = Vec::new();
        let mut n = len;
        for r in [4, 2, 3, 5, 7] {
            while n.is_multiple_of(r) {
                radices.push(r);
                n /= r;
            }
        }
        let root = |j: usize, n: usize| {
            let angle = -std::f64::consts::TAU * (j % n) as f64 / n as f64;
            (T::of(angle.cos()), T::of(angle.sin()))
        };
        let mut steps = Vec::new();
        let (mut stride, mut left) = (1, len);
        for radix in radices {
            let rest = left / radix;
            let twiddles = (0..rest).flat_map(|p| (1..radix).map(move |k| (p * k, radix * rest))).map(|(j, n)| root(j, n)).collect();
            let roots = (0..radix).map(|k| root(k, radix)).collect();
            steps.push(Step { radix, stride, rest, twiddles, roots });
            stride *= radix;
            left = rest;
        }
        let run = match isa {
            Isa::Baseline => run_body::<T, false> as _,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => run_avx2::<T> as _,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => run_avx512::<T> as _,
        };
        Self { len, steps, run }
    }

    /// Transforms in place, forward; the work arrays are overwritten. All four have the planned length. For the backward transform exchange `re` and `im`.
    pub fn forward(&self, re: &mut [Lane<T>], im: &mut [Lane<T>], work_re: &mut [Lane<T>], work_im: &mut [Lane<T>]) {
        assert!([re.len(), im.len(), work_re.len(), work_im.len()].iter().all(|l| *l == self.len), "arrays differ from the planned length");
        // SAFETY: the instruction set was detected when `isa` was made, and the lengths have been checked.
        unsafe { (self.run)(&self.steps, self.len, re, im, work_re, work_im) }
    }
}

#[inline(always)]
fn madd<T: Real, const FMA: bool>(a: T, b: T, c: T) -> T {
    if FMA { a.fused(b, c) } else { a * b + c }
}

/// (a + ib)(c + is)
#[inline(always)]
fn turn<T: Real, const FMA: bool>(a: T, b: T, (c, s): (T, T)) -> (T, T) {
    (madd::<T, FMA>(a, c, -(b * s)), madd::<T, FMA>(a, s, b * c))
}

/// Run `j` of `s` lanes that meets in butterfly `p`, as one flat slice: one long loop vectorises where nested short ones do not.
#[inline(always)]
fn part<T>(x: &[Lane<T>], s: usize, m: usize, p: usize, j: usize) -> &[T] {
    x[s * (p + m * j)..s * (p + m * j) + s].as_flattened()
}

#[inline(always)]
fn pair<T: Real, const FMA: bool>(
    ar: &[T],
    ai: &[T],
    br: &[T],
    bi: &[T],
    w: (T, T),
    or0: &mut [T],
    oi0: &mut [T],
    or1: &mut [T],
    oi1: &mut [T],
) {
    for l in 0..or0.len() {
        (or0[l], oi0[l]) = (ar[l] + br[l], ai[l] + bi[l]);
        (or1[l], oi1[l]) = turn::<T, FMA>(ar[l] - br[l], ai[l] - bi[l], w);
    }
}

#[inline(always)]
fn quad<T: Real, const FMA: bool>(
    [ar, br, cr, dr]: [&[T]; 4],
    [ai, bi, ci, di]: [&[T]; 4],
    [w1, w2, w3]: [(T, T); 3],
    or0: &mut [T],
    or1: &mut [T],
    or2: &mut [T],
    or3: &mut [T],
    oi0: &mut [T],
    oi1: &mut [T],
    oi2: &mut [T],
    oi3: &mut [T],
) {
    let n = or0.len();
    let (or1, or2, or3, oi0) = (&mut or1[..n], &mut or2[..n], &mut or3[..n], &mut oi0[..n]);
    let (oi1, oi2, oi3) = (&mut oi1[..n], &mut oi2[..n], &mut oi3[..n]);
    let (ar, br, cr, dr) = (&ar[..n], &br[..n], &cr[..n], &dr[..n]);
    let (ai, bi, ci, di) = (&ai[..n], &bi[..n], &ci[..n], &di[..n]);
    for l in 0..n {
        let (apc_r, apc_i, amc_r, amc_i) = (ar[l] + cr[l], ai[l] + ci[l], ar[l] - cr[l], ai[l] - ci[l]);
        let (bpd_r, bpd_i, bmd_r, bmd_i) = (br[l] + dr[l], bi[l] + di[l], br[l] - dr[l], bi[l] - di[l]);
        (or0[l], oi0[l]) = (apc_r + bpd_r, apc_i + bpd_i);
        // (a − c) ∓ i (b − d)
        (or1[l], oi1[l]) = turn::<T, FMA>(amc_r + bmd_i, amc_i - bmd_r, w1);
        (or2[l], oi2[l]) = turn::<T, FMA>(apc_r - bpd_r, apc_i - bpd_i, w2);
        (or3[l], oi3[l]) = turn::<T, FMA>(amc_r - bmd_i, amc_i + bmd_r, w3);
    }
}

#[inline(always)]
fn step_body<T: Real, const FMA: bool>(step: &Step<T>, xr: &[Lane<T>], xi: &[Lane<T>], yr: &mut [Lane<T>], yi: &mut [Lane<T>]) {
    let (s, m, r) = (step.stride, step.rest, step.radix);
    let run = s * LANES;
    for p in 0..m {
        let w = &step.twiddles[p * (r - 1)..(p + 1) * (r - 1)];
        let or = yr[s * r * p..s * r * (p + 1)].as_flattened_mut();
        let oi = yi[s * r * p..s * r * (p + 1)].as_flattened_mut();
        match r {
            2 => {
                let ((or0, or1), (oi0, oi1)) = (or.split_at_mut(run), oi.split_at_mut(run));
                let (ar, br, ai, bi) = (part(xr, s, m, p, 0), part(xr, s, m, p, 1), part(xi, s, m, p, 0), part(xi, s, m, p, 1));
                pair::<T, FMA>(
                    &ar[..run],
                    &ai[..run],
                    &br[..run],
                    &bi[..run],
                    w[0],
                    &mut or0[..run],
                    &mut oi0[..run],
                    &mut or1[..run],
                    &mut oi1[..run],
                );
            }
            4 => {
                let ((lr, hr), (li, hi)) = (or.split_at_mut(2 * run), oi.split_at_mut(2 * run));
                let ((or0, or1), (or2, or3)) = (lr.split_at_mut(run), hr.split_at_mut(run));
                let ((oi0, oi1), (oi2, oi3)) = (li.split_at_mut(run), hi.split_at_mut(run));
                let re = [part(xr, s, m, p, 0), part(xr, s, m, p, 1), part(xr, s, m, p, 2), part(xr, s, m, p, 3)];
                let im = [part(xi, s, m, p, 0), part(xi, s, m, p, 1), part(xi, s, m, p, 2), part(xi, s, m, p, 3)];
                quad::<T, FMA>(re, im, [w[0], w[1], w[2]], or0, or1, or2, or3, oi0, oi1, oi2, oi3);
            }
            _ => {
                for k in 0..r {
                    let (or, oi) = (&mut or[k * run..(k + 1) * run], &mut oi[k * run..(k + 1) * run]);
                    or.copy_from_slice(part(xr, s, m, p, 0));
                    oi.copy_from_slice(part(xi, s, m, p, 0));
                    for j in 1..r {
                        let (xr, xi, root) = (part(xr, s, m, p, j), part(xi, s, m, p, j), step.roots[j * k % r]);
                        for l in 0..run {
                            let (tr, ti) = turn::<T, FMA>(xr[l], xi[l], root);
                            or[l] += tr;
                            oi[l] += ti;
                        }
                    }
                    if k > 0 {
                        for l in 0..run {
                            (or[l], oi[l]) = turn::<T, FMA>(or[l], oi[l], w[k - 1]);
                        }
                    }
                }
            }
        }
    }
}

#[inline(always)]
unsafe fn run_body<T: Real, const FMA: bool>(
    steps: &[Step<T>],
    len: usize,
    re: &mut [Lane<T>],
    im: &mut [Lane<T>],
    work_re: &mut [Lane<T>],
    work_im: &mut [Lane<T>],
) {
    let mut in_work = false;
    for step in steps {
        if in_work {
            step_body::<T, FMA>(step, work_re, work_im, re, im);
        } else {
            step_body::<T, FMA>(step, re, im, work_re, work_im);
        }
        in_work = !in_work;
    }
    if in_work {
        re[..len].copy_from_slice(&work_re[..len]);
        im[..len].copy_from_slice(&work_im[..len]);
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn run_avx2<T: Real>(s: &[Step<T>], n: usize, a: &mut [Lane<T>], b: &mut [Lane<T>], c: &mut [Lane<T>], d: &mut [Lane<T>]) {
    // SAFETY: as for the caller.
    unsafe { run_body::<T, true>(s, n, a, b, c, d) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
unsafe fn run_avx512<T: Real>(s: &[Step<T>], n: usize, a: &mut [Lane<T>], b: &mut [Lane<T>], c: &mut [Lane<T>], d: &mut [Lane<T>]) {
    // SAFETY: as for the caller.
    unsafe { run_body::<T, true>(s, n, a, b, c, d) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_smooth_length_equals_the_sum_of_its_definition() {
        for isa in Isa::available() {
            for len in [1usize, 2, 3, 4, 5, 6, 7, 8, 12, 14, 16, 30, 35, 64, 72, 105, 128] {
                let fft = ColumnFft::<f64>::new(len, isa);
                let value = |j: usize, l: usize| (((j * 7 + l * 3) % 11) as f64 - 5.0, ((j * 5 + l) % 13) as f64 - 6.0);
                let mut re: Vec<Lane<f64>> = (0..len).map(|j| std::array::from_fn(|l| value(j, l).0)).collect();
                let mut im: Vec<Lane<f64>> = (0..len).map(|j| std::array::from_fn(|l| value(j, l).1)).collect();
                let (mut wr, mut wi) = (vec![[f64::NAN; LANES]; len], vec![[f64::NAN; LANES]; len]);
                fft.forward(&mut re, &mut im, &mut wr, &mut wi);
                for k in 0..len {
                    for l in [0, 5, 15] {
                        let (mut sr, mut si) = (0.0, 0.0);
                        for j in 0..len {
                            let (sin, cos) = (-std::f64::consts::TAU * ((j * k) % len) as f64 / len as f64).sin_cos();
                            let (a, b) = value(j, l);
                            sr += a * cos - b * sin;
                            si += a * sin + b * cos;
                        }
                        // Rounding grows like log N on values of order 6 N.
                        assert!(
                            (re[k][l] - sr).abs() < 1e-12 * 6.0 * len as f64 && (im[k][l] - si).abs() < 1e-12 * 6.0 * len as f64,
                            "{isa:?} {len} {k}"
                        );
                    }
                }
            }
        }
    }
}
