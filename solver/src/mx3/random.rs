//! The generator behind `rand`, `randNorm`, … and random configurations: that of Go's `math/rand`, so that a seed gives a script the numbers
//! it has always had.
//!
//! Additive lagged Fibonacci, x_n = x_{n−607} + x_{n−273} mod 2⁶⁴ (Mitchell and Moore, in D. E. Knuth, The Art of Computer Programming 2,
//! section 3.2.2), mixed with the state of the same recurrence after 7.8·10¹² steps; that state is reached here by jumping: z^N modulo the
//! recurrence's polynomial. Normals and exponentials by the ziggurat of Marsaglia and Tsang, J. Stat. Softw. 5, 8 (2000).

use std::sync::OnceLock;

const LONG: usize = 607;
const SHORT: usize = 273;
const WARMED: u64 = 7_800_000_000_000;

/// Next of the minimal generator of S. K. Park and K. W. Miller with multiplier 48271.
fn minimal(x: &mut i64) -> u64 {
    *x = *x * 48271 % 0x7fff_ffff;
    *x as u64
}

fn seeded(seed: i64, shifts: [u32; 2]) -> Vec<u64> {
    let mut x = seed.rem_euclid(0x7fff_ffff);
    if x == 0 {
        x = 89_482_311;
    }
    for _ in 0..20 {
        minimal(&mut x);
    }
    (0..LONG).map(|_| (minimal(&mut x) << shifts[0]) ^ (minimal(&mut x) << shifts[1]) ^ minimal(&mut x)).collect()
}

/// a b modulo z⁶⁰⁷ − z³³⁴ − 1.
fn product(a: &[u64], b: &[u64]) -> Vec<u64> {
    let mut full = vec![0u64; 2 * LONG - 1];
    for (i, x) in a.iter().enumerate().filter(|(_, x)| **x != 0) {
        for (j, y) in b.iter().enumerate() {
            full[i + j] = full[i + j].wrapping_add(x.wrapping_mul(*y));
        }
    }
    for k in (LONG..full.len()).rev() {
        let v = full[k];
        full[k - SHORT] = full[k - SHORT].wrapping_add(v);
        full[k - LONG] = full[k - LONG].wrapping_add(v);
    }
    full.truncate(LONG);
    full
}

/// The generator's vector after [`WARMED`] steps from seed 1.
fn warmed() -> &'static [u64] {
    static STATE: OnceLock<Vec<u64>> = OnceLock::new();
    STATE.get_or_init(|| {
        let start = seeded(1, [20, 10]);
        // The vector's place q holds x_n with n = 333 − q, modulo 607; before the first step n runs from −607 to −1.
        let place = |n: i64| (333 - n).rem_euclid(LONG as i64) as usize;
        let mut x: Vec<u64> = (0..LONG as i64).map(|i| start[place(i - LONG as i64)]).collect();
        for i in LONG..2 * LONG {
            x.push(x[i - LONG].wrapping_add(x[i - SHORT]));
        }
        let mut power = vec![0u64; LONG];
        power[0] = 1;
        let mut z = vec![0u64; LONG];
        z[1] = 1;
        for bit in (0..64 - WARMED.leading_zeros()).rev() {
            power = product(&power, &power);
            if WARMED >> bit & 1 == 1 {
                power = product(&power, &z);
            }
        }
        let mut state = vec![0u64; LONG];
        for i in 0..LONG {
            let value = (0..LONG).fold(0u64, |s, j| s.wrapping_add(power[j].wrapping_mul(x[i + j])));
            state[place(WARMED as i64 + i as i64 - LONG as i64)] = value;
        }
        state
    })
}

/// Go's generator.
pub struct GoRandom {
    state: Vec<u64>,
    tap: usize,
    feed: usize,
    /// Numbers drawn since the seed.
    drawn: u64,
}

struct Ziggurat {
    k: Vec<u32>,
    w: Vec<f32>,
    f: Vec<f32>,
}

impl Ziggurat {
    fn new(n: usize, r: f64, v: f64, scale: f64, f: impl Fn(f64) -> f64, inverse: impl Fn(f64) -> f64) -> Self {
        let (mut d, mut t) = (r, r);
        let q = v / f(d);
        let mut z = Self { k: vec![0; n], w: vec![0.0; n], f: vec![0.0; n] };
        z.k[0] = (d / q * scale) as u32;
        (z.w[0], z.w[n - 1]) = ((q / scale) as f32, (d / scale) as f32);
        (z.f[0], z.f[n - 1]) = (1.0, f(d) as f32);
        for i in (1..n - 1).rev() {
            d = inverse(v / d + f(d));
            z.k[i + 1] = (d / t * scale) as u32;
            t = d;
            z.f[i] = f(d) as f32;
            z.w[i] = (d / scale) as f32;
        }
        z
    }
}

const NORMAL_TAIL: f64 = 3.442619855899;
const EXPONENTIAL_TAIL: f64 = 7.697_117_470_131_05;

impl GoRandom {
    /// Seeded.
    pub fn new(seed: i64) -> Self {
        let state = seeded(seed, [40, 20]).iter().zip(warmed()).map(|(a, b)| a ^ b).collect();
        Self { state, tap: 0, feed: LONG - SHORT, drawn: 0 }
    }

    /// How many numbers have been drawn since the seed.
    pub fn drawn(&self) -> u64 {
        self.drawn
    }

    /// Draws up to so many since the seed.
    pub fn draw_to(&mut self, drawn: u64) {
        while self.drawn < drawn {
            self.next();
        }
    }

    fn next(&mut self) -> u64 {
        self.drawn += 1;
        self.tap = (self.tap + LONG - 1) % LONG;
        self.feed = (self.feed + LONG - 1) % LONG;
        let x = self.state[self.feed].wrapping_add(self.state[self.tap]);
        self.state[self.feed] = x;
        x
    }

    fn int63(&mut self) -> u64 {
        self.next() & (u64::MAX >> 1)
    }

    fn uint32(&mut self) -> u32 {
        (self.int63() >> 31) as u32
    }

    /// Uniform in [0, 1).
    pub fn uniform(&mut self) -> f64 {
        loop {
            let v = self.int63() as f64 / (1u64 << 63) as f64;
            // Rounding may reach 1.
            if v < 1.0 {
                return v;
            }
        }
    }

    /// 0 … n − 1, for n from 1.
    pub fn below(&mut self, n: u32) -> u32 {
        let n = u64::from(n);
        if n.is_power_of_two() {
            return (self.int63() >> 32 & (n - 1)) as u32;
        }
        let largest = (1u64 << 31) - 1 - (1u64 << 31) % n;
        loop {
            let v = self.int63() >> 32;
            if v <= largest {
                return (v % n) as u32;
            }
        }
    }

    /// Standard normal.
    pub fn normal(&mut self) -> f64 {
        static TABLE: OnceLock<Ziggurat> = OnceLock::new();
        let z = TABLE.get_or_init(|| {
            Ziggurat::new(128, NORMAL_TAIL, 9.912_563_035_262_17e-3, 2147483648.0, |x| (-0.5 * x * x).exp(), |y| (-2.0 * y.ln()).sqrt())
        });
        loop {
            let j = self.uint32() as i32;
            let i = (j & 0x7f) as usize;
            let x = f64::from(j) * f64::from(z.w[i]);
            if j.unsigned_abs() < z.k[i] {
                return x;
            }
            if i == 0 {
                loop {
                    let x = -self.uniform().ln() / NORMAL_TAIL;
                    let y = -self.uniform().ln();
                    if y + y >= x * x {
                        return if j > 0 { NORMAL_TAIL + x } else { -NORMAL_TAIL - x };
                    }
                }
            }
            if z.f[i] + self.uniform() as f32 * (z.f[i - 1] - z.f[i]) < (-0.5 * x * x).exp() as f32 {
                return x;
            }
        }
    }

    /// Exponential with mean 1.
    pub fn exponential(&mut self) -> f64 {
        static TABLE: OnceLock<Ziggurat> = OnceLock::new();
        let z =
            TABLE.get_or_init(|| Ziggurat::new(256, EXPONENTIAL_TAIL, 3.949_659_822_581_572e-3, 4294967296.0, |x| (-x).exp(), |y| -y.ln()));
        loop {
            let j = self.uint32();
            let i = (j & 0xff) as usize;
            let x = f64::from(j) * f64::from(z.w[i]);
            if j < z.k[i] {
                return x;
            }
            if i == 0 {
                return EXPONENTIAL_TAIL - self.uniform().ln();
            }
            if z.f[i] + self.uniform() as f32 * (z.f[i - 1] - z.f[i]) < (-x).exp() as f32 {
                return x;
            }
        }
    }

    /// A direction, evenly over the sphere.
    pub fn direction(&mut self) -> [f64; 3] {
        let phi = std::f64::consts::TAU * self.uniform();
        let z = 2.0 * (self.uniform() - 0.5);
        let rho = (1.0 - z * z).sqrt();
        [rho * phi.cos(), rho * phi.sin(), z]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_is_gos() {
        // What `rand.Intn(100)` gives after `rand.Seed(1)`, the first ten: known to everyone who has run Go's tour.
        let mut r = GoRandom::new(1);
        let list: Vec<u32> = (0..10).map(|_| r.below(100)).collect();
        assert_eq!(list, [81, 87, 47, 59, 81, 18, 25, 40, 56, 0]);
        assert_eq!(GoRandom::new(1).uniform(), 0.6046602879796196);
    }

    #[test]
    fn its_distributions_have_their_moments() {
        let mut r = GoRandom::new(0);
        let n = 200_000;
        let normals: Vec<f64> = (0..n).map(|_| r.normal()).collect();
        let moment = |v: &[f64], k: i32| v.iter().map(|x| x.powi(k)).sum::<f64>() / v.len() as f64;
        assert!(moment(&normals, 1).abs() < 0.01 && (moment(&normals, 2) - 1.0).abs() < 0.02 && (moment(&normals, 4) - 3.0).abs() < 0.1);
        let e: Vec<f64> = (0..n).map(|_| r.exponential()).collect();
        assert!((moment(&e, 1) - 1.0).abs() < 0.01 && (moment(&e, 2) - 2.0).abs() < 0.05);
    }
}
