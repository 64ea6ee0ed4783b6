//! Which length a transform is given, from a table of what each costs: `spinloom bench --tune` measures them all and writes the table anew.

use super::fft::{Elements, Fft, is_smooth};
use super::isa::{Isa, with_vectors};
use super::vector::{Lines, lanes};
use crate::real::Real;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// The longest length in the table.
const LONGEST: usize = 4096;

/// Nanoseconds of a transform of as many lines as there are lanes, in `f32` and `f64`, by length.
static TABLE: LazyLock<Vec<(usize, [f64; 2])>> = LazyLock::new(|| {
    let row = |line: &str| {
        let mut words = line.split_whitespace();
        let length = words.next()?.parse().ok()?;
        let mut cost = || words.next()?.parse::<f64>().ok();
        Some((length, [cost()?, cost()?]))
    };
    include_str!("sizes.txt").lines().filter_map(row).collect()
});

fn cost<T: Real>(length: usize) -> f64 {
    let precision = usize::from(size_of::<T>() == 8);
    match TABLE.binary_search_by_key(&length, |row| row.0) {
        Ok(at) => TABLE[at].1[precision],
        // Longer ones by their number of operations.
        Err(_) => length as f64 * (length as f64).log2(),
    }
}

/// The length ≥ n without a prime factor above 7 that is cheapest to transform.
pub fn cheapest<T: Real>(n: usize) -> usize {
    least(n, cost::<T>)
}

/// The same for an axis whose wave numbers fill lines of memory: what is left of the last one is computed too.
pub fn cheapest_of_lines<T: Real>(n: usize) -> usize {
    least(n, |m| cost::<T>(m) / m as f64 * m.next_multiple_of(lanes::<T>()) as f64)
}

fn least(n: usize, cost: impl Fn(usize) -> f64) -> usize {
    if n == 1 {
        return 1;
    }
    (n..=2 * n)
        .filter(|m| is_smooth(*m) && (n > LONGEST || *m <= LONGEST || m.is_power_of_two()))
        .min_by(|a, b| cost(*a).total_cmp(&cost(*b)))
        .expect("there is a power of two in the range")
}

with_vectors! {
    fn transform<V, T>(fft: &Fft<T>, from: &mut Lines<T>, to: &mut Lines<T>, work: &mut Lines<T>) {
        // SAFETY: all have room for the length, `work` twice.
        unsafe { fft.forward::<V>(&Elements::at(from.start()), &Elements::at(to.start()), work.start()) }
    }
}

/// The table, measured on this machine: text of lines `length f32 f64`.
pub fn measured() -> String {
    let isa = Isa::widest();
    let lengths: Vec<usize> = (2..=LONGEST).filter(|n| is_smooth(*n)).collect();
    let mut best = vec![[f64::INFINITY; 2]; lengths.len()];
    // In rounds, so that what disturbs the machine for a while disturbs no length alone.
    for _ in 0..5 {
        for (n, best) in lengths.iter().zip(&mut best) {
            best[0] = best[0].min(time::<f32>(*n, isa));
            best[1] = best[1].min(time::<f64>(*n, isa));
        }
    }
    let mut text = String::from("# Length, nanoseconds of a transform of 64 bytes of lines in f32, in f64: `spinloom bench --tune`.\n");
    for (n, [single, double]) in lengths.iter().zip(best) {
        text += &format!("{n} {single:.1} {double:.1}\n");
    }
    text
}

fn time<T: Real>(n: usize, isa: Isa) -> f64 {
    let fft = Fft::<T>::new(n, isa);
    let lines = |n: usize| Lines::<T>::zeros(2 * n * lanes::<T>());
    let (mut from, mut to, mut work) = (lines(n), lines(n), lines(2 * n));
    let run = transform(isa);
    let (mut count, mut best) = (0u32, f64::INFINITY);
    let clock = Instant::now();
    while count < 8 || clock.elapsed() < Duration::from_micros(300) {
        let one = Instant::now();
        for _ in 0..4 {
            // SAFETY: the instruction set is one of those available.
            unsafe { run(&fft, &mut from, &mut to, &mut work) };
        }
        best = best.min(one.elapsed().as_nanos() as f64 / 4.0);
        count += 1;
    }
    best
}

/// Operations of one convolution's transforms on a mesh of so many cells, 5 N log₂ N for a complex one of length N.
pub fn transform_operations(padded: [usize; 3], n: [usize; 3]) -> f64 {
    let of = |len: usize| 5.0 * len as f64 * (len as f64).log2();
    let [px, py, pz] = padded;
    // x: one class of half the circle; y and z: both, of half of it each.
    let x = (n[1] * n[2]) as f64 * of(px.div_ceil(2));
    let y = px.div_ceil(2) as f64 * n[2] as f64 * if n[1] > 1 { 2.0 * of(py.div_ceil(2)) } else { 0.0 };
    let z = px.div_ceil(2) as f64 * py as f64 * if pz > 1 { 2.0 * of(pz.div_ceil(2)) } else { 0.0 };
    3.0 * 2.0 * (x + y + z)
}

with_vectors! {
    /// Rounds of twelve independent multiplications with addition on a register each.
    fn multiply<V, T>(rounds: usize) -> T {
        // SAFETY: by the caller's promise.
        unsafe {
            let (a, b) = (V::splat(T::of(0.999)), V::splat(T::of(1e-3)));
            let mut x = [a; 12];
            for (k, x) in x.iter_mut().enumerate() {
                *x = V::splat(T::of(k as f64));
            }
            for _ in 0..rounds {
                for x in &mut x {
                    *x = x.times_plus(a, b);
                }
            }
            let mut sum = x[0];
            for x in &x[1..] {
                sum = sum.plus(*x);
            }
            let mut out = [T::ZERO; 16];
            sum.store(out.as_mut_ptr());
            out[0]
        }
    }
}

/// Operations a second that one thread of this machine reaches at most, multiplications with addition counted as two.
pub fn peak_operations<T: Real>() -> f64 {
    const ROUNDS: usize = 100_000;
    let isa = Isa::widest();
    let run = multiply::<T>(isa);
    let lanes = match isa {
        Isa::Baseline => 4,
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => lanes::<T>() / 2,
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => lanes::<T>(),
    };
    let best = (0..10)
        .map(|_| {
            let clock = Instant::now();
            // SAFETY: the instruction set is one of those available.
            std::hint::black_box(unsafe { run(std::hint::black_box(ROUNDS)) });
            clock.elapsed().as_secs_f64()
        })
        .fold(f64::INFINITY, f64::min);
    (2 * 12 * ROUNDS * lanes) as f64 / best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_holds_every_smooth_length_and_the_choice_is_never_dearer() {
        let lengths: Vec<usize> = TABLE.iter().map(|row| row.0).collect();
        assert_eq!(lengths, (2..=LONGEST).filter(|n| is_smooth(*n)).collect::<Vec<_>>());
        for n in (1..200).chain([255, 256, 257, 1000, 3000, 4095, 4096, 5000]) {
            for m in [cheapest::<f32>(n), cheapest::<f64>(n), cheapest_of_lines::<f32>(n), cheapest_of_lines::<f64>(n)] {
                assert!(is_smooth(m) && (n..=2 * n).contains(&m), "{n} {m}");
            }
            assert!(cost::<f64>(cheapest::<f64>(n)) <= cost::<f64>(super::super::fft::smooth(n)));
        }
    }
}
