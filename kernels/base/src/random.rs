//! Counter-based random numbers: the value is a function of (key, counter), so that any thread, device or resumed run draws the same ones.

/// Philox4x32-10 of Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC'11 (2011), section 4 and table 2.
#[inline(always)]
pub fn philox4x32(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for round in 0..10 {
        if round > 0 {
            key[0] = key[0].wrapping_add(0x9E37_79B9);
            key[1] = key[1].wrapping_add(0xBB67_AE85);
        }
        let p0 = u64::from(counter[0]) * 0xD251_1F53;
        let p1 = u64::from(counter[2]) * 0xCD9E_8D57;
        counter = [(p1 >> 32) as u32 ^ counter[1] ^ key[0], p1 as u32, (p0 >> 32) as u32 ^ counter[3] ^ key[1], p0 as u32];
    }
    counter
}

/// A uniform number in (0, 1], never 0, from 32 random bits.
#[inline(always)]
pub fn open_unit(bits: u32) -> f64 {
    (f64::from(bits) + 1.0) / 4_294_967_296.0
}

/// ln((bits + 1)/2^32) without branches or calls, so that loops over it vectorise; relative error below 1e-15.
///
/// u = 2^e m with m in [1/√2, √2), ln u = e ln 2 + 2 artanh s, s = (m − 1)/(m + 1): Abramowitz and Stegun, Handbook of Mathematical Functions (1964), 4.1.27.
#[inline(always)]
fn ln_open_unit(bits: u32) -> f64 {
    const MANTISSA: u64 = (1 << 52) - 1;
    // 2^52, whose last bits hold an integer: turns one into a float where no instruction does.
    const SHIFTER: u64 = 1075 << 52;
    // From this mantissa on, that of √2, the number is halved and the exponent raised.
    const ROOT2: u64 = 0x6_A09E_667F_3BCD;
    let u = open_unit(bits).to_bits();
    let above = u64::from((u & MANTISSA) >= ROOT2);
    let m = f64::from_bits((u & MANTISSA) | ((1023 - above) << 52));
    let e = f64::from_bits(SHIFTER | ((u >> 52) + above)) - (f64::from_bits(SHIFTER) + 1023.0);
    let s = (m - 1.0) / (m + 1.0);
    let q = s * s;
    let mut series = 1.0 / 21.0;
    for odd in [19.0, 17.0, 15.0, 13.0, 11.0, 9.0, 7.0, 5.0, 3.0, 1.0] {
        series = series * q + 1.0 / odd;
    }
    e * std::f64::consts::LN_2 + 2.0 * s * series
}

/// Sine and cosine of 2π (bits + 1)/2^32, without branches or calls: the nearest quarter turn is taken off, the Taylor series of the rest is below 1e-16 after eight terms.
#[inline(always)]
fn sin_cos_turn(bits: u32) -> (f64, f64) {
    let turn = bits.wrapping_add(1);
    let quarter = turn.wrapping_add(1 << 29) >> 30;
    let angle = f64::from(turn.wrapping_sub(quarter << 30) as i32) * (std::f64::consts::TAU / 4_294_967_296.0);
    let q = -angle * angle;
    let (mut sin, mut cos) = (1.0, 1.0);
    for k in [8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0] {
        sin = 1.0 + sin * (q * (1.0 / (2.0 * k * (2.0 * k + 1.0))));
        cos = 1.0 + cos * (q * (1.0 / (2.0 * k * (2.0 * k - 1.0))));
    }
    let sin = sin * angle;
    let (s, c) = if quarter & 1 == 0 { (sin, cos) } else { (cos, sin) };
    // Quarters 2 and 3 turn the sine's sign, 1 and 2 the cosine's.
    (if quarter & 2 == 0 { s } else { -s }, if (quarter + 1) & 2 == 0 { c } else { -c })
}

/// Four independent standard normals from one counter (Box and Muller, Ann. Math. Stat. 29, 610 (1958)), by straight arithmetic only: the
/// same bits on every machine, and loops over it vectorise.
#[inline(always)]
pub fn normals(counter: [u32; 4], key: [u32; 2]) -> [f64; 4] {
    let bits = philox4x32(counter, key);
    let ([a, b], [c, d]) = (normal_pair(bits[0], bits[1]), normal_pair(bits[2], bits[3]));
    [a, b, c, d]
}

/// Two of them from two random words.
#[inline(always)]
pub fn normal_pair(a: u32, b: u32) -> [f64; 2] {
    let radius = (-2.0 * ln_open_unit(a)).sqrt();
    let (sin, cos) = sin_cos_turn(b);
    [radius * cos, radius * sin]
}

/// A seeded stream for host-side draws (shuffles, initial states): Philox with a running counter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    key: [u32; 2],
    counter: u64,
    domain: u64,
    buffer: [u32; 4],
    left: usize,
}

impl Stream {
    /// A stream of its own for every (seed, domain).
    pub fn new(seed: u64, domain: u64) -> Self {
        Self { key: [seed as u32, (seed >> 32) as u32], counter: 0, domain, buffer: [0; 4], left: 0 }
    }

    /// The next 32 random bits.
    pub fn next_u32(&mut self) -> u32 {
        if self.left == 0 {
            let c = self.counter;
            self.buffer = philox4x32([c as u32, (c >> 32) as u32, self.domain as u32, (self.domain >> 32) as u32], self.key);
            self.counter += 1;
            self.left = 4;
        }
        self.left -= 1;
        self.buffer[3 - self.left]
    }

    /// Uniform in (0, 1].
    pub fn uniform(&mut self) -> f64 {
        open_unit(self.next_u32())
    }

    /// Standard normal.
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.uniform().ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// Uniform in 0..n (Lemire's multiplication, bias below n/2^32).
    pub fn below(&mut self, n: usize) -> usize {
        ((u64::from(self.next_u32()) * n as u64) >> 32) as usize
    }

    /// Fisher–Yates.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn philox_gives_the_published_answers() {
        // Known-answer tests of Random123 (kat_vectors, philox4x32 10).
        assert_eq!(philox4x32([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(philox4x32([u32::MAX; 4], [u32::MAX; 2]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        assert_eq!(
            philox4x32([0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0]),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn straight_arithmetic_agrees_with_the_library() {
        let edges = [0, 1, 2, u32::MAX, u32::MAX - 1, 1 << 29, (1 << 29) - 1, 1 << 30, 1 << 31, 0x6A09_E667, 0xB504_F333, 0xB504_F334];
        let mut stream = Stream::new(1, 2);
        for bits in edges.into_iter().chain((0..100_000).map(|_| stream.next_u32())) {
            let u = open_unit(bits);
            let (ln, (sin, cos)) = (ln_open_unit(bits), sin_cos_turn(bits));
            // ln 1p keeps its digits next to u = 1.
            let exact = (-f64::from(u32::MAX - bits) / 4_294_967_296.0).ln_1p();
            let (s, c) = (std::f64::consts::TAU * u).sin_cos();
            assert!((ln - exact).abs() <= 1e-15 * exact.abs(), "ln({u}): {ln} is not {exact}");
            // The library sees 2πu rounded, at most 2π times 1e-16 off.
            assert!((sin - s).abs() < 1e-15 && (cos - c).abs() < 1e-15, "{bits}: {sin} {cos} are not {s} {c}");
        }
    }

    #[test]
    fn normals_have_the_moments_of_a_normal() {
        let n = 200_000u32;
        let (mut sum, mut square, mut fourth) = (0.0, 0.0, 0.0);
        for i in 0..n {
            for x in normals([i, 0, 0, 0], [7, 1]) {
                sum += x;
                square += x * x;
                fourth += x.powi(4);
            }
        }
        let n = f64::from(n) * 4.0;
        // Five standard errors: 5/sqrt(8e5) = 0.0056 for the mean, 5*sqrt(2/8e5) and 5*sqrt(96/8e5) for the others.
        assert!((sum / n).abs() < 0.0056 && (square / n - 1.0).abs() < 0.008 && (fourth / n - 3.0).abs() < 0.055);
    }
}
