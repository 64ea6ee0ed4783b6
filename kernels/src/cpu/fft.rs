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

    /// The length.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Transforms in place, forward; the work arrays are overwritten. All four have [`ColumnFft::len`] lanes. For the backward transform exchange `re` and `im`.
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

#[inline(always)]
fn lanes<T: Real>(f: impl Fn(usize) -> T) -> Lane<T> {
    let mut out = [T::ZERO; LANES];
    for (l, o) in out.iter_mut().enumerate() {
        *o = f(l);
    }
    out
}

#[inline(always)]
fn add<T: Real>(a: &Lane<T>, b: &Lane<T>) -> Lane<T> {
    lanes(|l| a[l] + b[l])
}

#[inline(always)]
fn sub<T: Real>(a: &Lane<T>, b: &Lane<T>) -> Lane<T> {
    lanes(|l| a[l] - b[l])
}

/// (a + ib)(c + is)
#[inline(always)]
fn turn<T: Real, const FMA: bool>(a: &Lane<T>, b: &Lane<T>, (c, s): (T, T)) -> (Lane<T>, Lane<T>) {
    (lanes(|l| madd::<T, FMA>(a[l], c, -(b[l] * s))), lanes(|l| madd::<T, FMA>(a[l], s, b[l] * c)))
}

#[inline(always)]
fn step_body<T: Real, const FMA: bool>(step: &Step<T>, xr: &[Lane<T>], xi: &[Lane<T>], yr: &mut [Lane<T>], yi: &mut [Lane<T>]) {
    let (s, m, r) = (step.stride, step.rest, step.radix);
    for p in 0..m {
        let w = &step.twiddles[p * (r - 1)..(p + 1) * (r - 1)];
        for q in 0..s {
            let from = |j: usize| q + s * (p + m * j);
            let to = |k: usize| q + s * (r * p + k);
            match r {
                2 => {
                    let (a, b) = (from(0), from(1));
                    (yr[to(0)], yi[to(0)]) = (add(&xr[a], &xr[b]), add(&xi[a], &xi[b]));
                    (yr[to(1)], yi[to(1)]) = turn::<T, FMA>(&sub(&xr[a], &xr[b]), &sub(&xi[a], &xi[b]), w[0]);
                }
                4 => {
                    let (a, b, c, d) = (from(0), from(1), from(2), from(3));
                    let (apc_r, apc_i) = (add(&xr[a], &xr[c]), add(&xi[a], &xi[c]));
                    let (amc_r, amc_i) = (sub(&xr[a], &xr[c]), sub(&xi[a], &xi[c]));
                    let (bpd_r, bpd_i) = (add(&xr[b], &xr[d]), add(&xi[b], &xi[d]));
                    let (bmd_r, bmd_i) = (sub(&xr[b], &xr[d]), sub(&xi[b], &xi[d]));
                    (yr[to(0)], yi[to(0)]) = (add(&apc_r, &bpd_r), add(&apc_i, &bpd_i));
                    // (a − c) ∓ i (b − d)
                    (yr[to(1)], yi[to(1)]) = turn::<T, FMA>(&add(&amc_r, &bmd_i), &sub(&amc_i, &bmd_r), w[0]);
                    (yr[to(2)], yi[to(2)]) = turn::<T, FMA>(&sub(&apc_r, &bpd_r), &sub(&apc_i, &bpd_i), w[1]);
                    (yr[to(3)], yi[to(3)]) = turn::<T, FMA>(&sub(&amc_r, &bmd_i), &add(&amc_i, &bmd_r), w[2]);
                }
                _ => {
                    for k in 0..r {
                        let (mut br, mut bi) = (xr[from(0)], xi[from(0)]);
                        for j in 1..r {
                            let (tr, ti) = turn::<T, FMA>(&xr[from(j)], &xi[from(j)], step.roots[j * k % r]);
                            (br, bi) = (add(&br, &tr), add(&bi, &ti));
                        }
                        (yr[to(k)], yi[to(k)]) = if k == 0 { (br, bi) } else { turn::<T, FMA>(&br, &bi, w[k - 1]) };
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
                let mut re: Vec<Lane<f64>> = (0..len).map(|j| lanes(|l| value(j, l).0)).collect();
                let mut im: Vec<Lane<f64>> = (0..len).map(|j| lanes(|l| value(j, l).1)).collect();
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
