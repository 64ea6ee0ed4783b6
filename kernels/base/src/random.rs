//! Counter-based random numbers: the value is a function of (key, counter), so that any thread, device or resumed run draws the same ones.

/// Philox4x32-10 of Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC'11 (2011), section 4 and table 2.
#[inline]
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
#[inline]
pub fn open_unit(bits: u32) -> f64 {
    (f64::from(bits) + 1.0) / 4_294_967_296.0
}

/// Four independent standard normals from one counter (Box and Muller, Ann. Math. Stat. 29, 610 (1958)).
#[inline]
pub fn normals(counter: [u32; 4], key: [u32; 2]) -> [f64; 4] {
    let bits = philox4x32(counter, key);
    let pair = |a: u32, b: u32| {
        let radius = (-2.0 * open_unit(a).ln()).sqrt();
        let (sin, cos) = (std::f64::consts::TAU * open_unit(b)).sin_cos();
        [radius * cos, radius * sin]
    };
    let ([a, b], [c, d]) = (pair(bits[0], bits[1]), pair(bits[2], bits[3]));
    [a, b, c, d]
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
