//! Convolutions of pictures whose channels lie side by side, with the zero borders that keep their size: y[p] = Σ over taps of x[p + tap] W[tap].
//!
//! No patches are written out. Of a row of the kernel the taps and channels that one output needs are one run of a picture with borders, so a tile of a few pixels and a few vectors of output channels stays
//! in registers while the run goes by: one vector of weights and one number of the picture a product, as in a product of matrices. Gradients of inputs are the same with the kernel turned round;
//! gradients of weights keep a tile of (run, output channel) while the pixels go by.

use pulp::{Arch, Simd, WithSimd};

/// Rows, columns and channels of a picture, side of the kernel, output channels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Convolution {
    pub rows: usize,
    pub columns: usize,
    pub channels: usize,
    pub kernel: usize,
    pub width: usize,
}

/// What one thread works with; nothing is allocated once it has been used.
#[derive(Default)]
pub(crate) struct Scratch {
    bordered: Vec<f32>,
    gradient: Vec<f32>,
}

impl Convolution {
    fn pixels(&self) -> usize {
        self.rows * self.columns
    }

    /// Numbers from one row of the picture with borders to the next.
    fn pitch(&self) -> usize {
        (self.columns + self.kernel - 1) * self.channels
    }

    /// Length of the run of one row of the kernel.
    fn run(&self) -> usize {
        self.kernel * self.channels
    }

    /// The convolution that gives gradients of inputs.
    fn back(&self) -> Convolution {
        Convolution { channels: self.width, width: self.channels, ..*self }
    }

    /// A picture with borders; `before` rows and columns of them come first.
    fn border(&self, x: &[f32], before: usize, out: &mut Vec<f32>) {
        let (pitch, line) = (self.pitch(), self.columns * self.channels);
        out.clear();
        out.resize((self.rows + self.kernel - 1) * pitch, 0.0);
        for (y, x) in x.chunks_exact(line).enumerate() {
            out[(y + before) * pitch + before * self.channels..][..line].copy_from_slice(x);
        }
    }

    /// y = sums of x; weights as [`pack`] makes them.
    pub(crate) fn sums(&self, x: &[f32], packed: &[f32], y: &mut [f32], scratch: &mut Scratch) {
        self.border(x, self.kernel / 2, &mut scratch.bordered);
        Arch::new().dispatch(Sums { c: *self, x: &scratch.bordered, w: packed, y });
    }

    /// dx = gradient of the inputs from that of the sums; weights as [`pack_back`] makes them.
    pub(crate) fn inputs(&self, g: &[f32], packed: &[f32], dx: &mut [f32], scratch: &mut Scratch) {
        let back = self.back();
        back.border(g, self.kernel - 1 - self.kernel / 2, &mut scratch.bordered);
        Arch::new().dispatch(Sums { c: back, x: &scratch.bordered, w: packed, y: dx });
    }

    /// dw += gradient of the weights, of one picture.
    pub(crate) fn weights(&self, x: &[f32], g: &[f32], dw: &mut [f32], scratch: &mut Scratch) {
        self.border(x, self.kernel / 2, &mut scratch.bordered);
        Arch::new().dispatch(Weights { c: *self, x: &scratch.bordered, g, dw, padded: &mut scratch.gradient });
    }

    /// Weights `[tap][input][output]` in the order in which they are read: blocks of output vectors, each `[tap and input][output]`, the last filled up with zeros.
    pub(crate) fn pack(&self, w: &[f32]) -> Vec<f32> {
        Arch::new().dispatch(Pack { c: *self, w: &|run, out| w[run * self.width + out] })
    }

    /// The same for [`Convolution::inputs`]: taps turned round, inputs and outputs exchanged.
    pub(crate) fn pack_back(&self, w: &[f32]) -> Vec<f32> {
        let taps = self.kernel * self.kernel;
        let read = |run: usize, out: usize| {
            let (tap, channel) = (run / self.width, run % self.width);
            w[((taps - 1 - tap) * self.channels + out) * self.width + channel]
        };
        Arch::new().dispatch(Pack { c: self.back(), w: &read })
    }
}

/// Vectors of output channels in the next tile, of those left: as many as leave no thin rest.
fn vectors(left: usize, most: usize) -> usize {
    if left > most && left < 2 * most { left.div_ceil(2) } else { left.min(most) }
}

/// Pixels and vectors of a tile: what fits sixteen registers, or thirty-two.
macro_rules! tiles {
    ($lanes:expr, $v:expr, $call:ident, $s:ty, $($args:expr),*) => {
        match ($lanes > 8, $v) {
            (true, 1) => $call::<$s, 14, 1>($($args),*),
            (true, 2) => $call::<$s, 12, 2>($($args),*),
            (true, 3) => $call::<$s, 8, 3>($($args),*),
            (true, _) => $call::<$s, 6, 4>($($args),*),
            (false, 1) => $call::<$s, 8, 1>($($args),*),
            (false, 2) => $call::<$s, 6, 2>($($args),*),
            (false, _) => $call::<$s, 4, 3>($($args),*),
        }
    };
}

/// Most vectors of a tile.
fn most(lanes: usize) -> usize {
    if lanes > 8 { 4 } else { 3 }
}

struct Pack<'a> {
    c: Convolution,
    w: &'a dyn Fn(usize, usize) -> f32,
}

impl WithSimd for Pack<'_> {
    type Output = Vec<f32>;

    fn with_simd<S: Simd>(self, _: S) -> Vec<f32> {
        let (lanes, runs) = (S::F32_LANES, self.c.kernel * self.c.run());
        let (all, mut done) = (self.c.width.div_ceil(lanes), 0);
        let mut out = Vec::with_capacity(runs * all * lanes);
        while done < all {
            let v = vectors(all - done, most(lanes));
            for run in 0..runs {
                for o in done * lanes..(done + v) * lanes {
                    out.push(if o < self.c.width { (self.w)(run, o) } else { 0.0 });
                }
            }
            done += v;
        }
        out
    }
}

struct Sums<'a> {
    c: Convolution,
    x: &'a [f32],
    w: &'a [f32],
    y: &'a mut [f32],
}

impl WithSimd for Sums<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (c, lanes, runs) = (self.c, S::F32_LANES, self.c.kernel * self.c.run());
        assert!(self.x.len() == (c.rows + c.kernel - 1) * c.pitch() && self.y.len() == c.pixels() * c.width);
        let (all, mut done, mut w) = (c.width.div_ceil(lanes), 0, self.w);
        while done < all {
            let v = vectors(all - done, most(lanes));
            let (block, rest) = w.split_at(runs * v * lanes);
            tiles!(lanes, v, sums_block, S, simd, c, self.x, block, self.y, done * lanes);
            (w, done) = (rest, done + v);
        }
    }
}

/// One block of output vectors at all pixels, P at a time.
#[inline(always)]
fn sums_block<S: Simd, const P: usize, const V: usize>(simd: S, c: Convolution, x: &[f32], w: &[f32], y: &mut [f32], first: usize) {
    let pixels = c.pixels();
    let mut from = 0;
    while from < pixels {
        // The last tile reaches back: what it does again is the same again.
        let at: [usize; P] = std::array::from_fn(|p| (from.min(pixels.saturating_sub(P)) + p).min(pixels - 1));
        let base = at.map(|p| (p / c.columns) * c.pitch() + (p % c.columns) * c.channels);
        let mut sum = [[simd.splat_f32s(0.0); V]; P];
        for (ky, w) in w.chunks_exact(c.run() * V * S::F32_LANES).enumerate() {
            let x: [&[f32]; P] = base.map(|b| &x[b + ky * c.pitch()..][..c.run()]);
            let (w, _) = S::as_simd_f32s(w);
            let (w, _) = pulp::as_arrays::<V, _>(w);
            for (j, w) in w.iter().enumerate() {
                for p in 0..P {
                    // SAFETY: each slice is as long as the run, and there are as many weights.
                    let x = simd.splat_f32s(unsafe { *x[p].get_unchecked(j) });
                    for v in 0..V {
                        sum[p][v] = simd.mul_add_e_f32s(x, w[v], sum[p][v]);
                    }
                }
            }
        }
        for p in 0..P {
            store::<S, V>(&sum[p], &mut y[at[p] * c.width..][..c.width], first, false);
        }
        from += P;
    }
}

/// Writes or adds some vectors of channels, as many of them as there are.
#[inline(always)]
fn store<S: Simd, const V: usize>(sum: &[S::f32s; V], to: &mut [f32], first: usize, add: bool) {
    for (v, sum) in sum.iter().enumerate() {
        let from = first + v * S::F32_LANES;
        if from < to.len() {
            let n = S::F32_LANES.min(to.len() - from);
            // A vector is its numbers.
            let numbers = bytes_of::<S>(sum);
            for (t, s) in to[from..from + n].iter_mut().zip(numbers) {
                *t = if add { *t + s } else { *s };
            }
        }
    }
}

/// The numbers of a vector.
#[inline(always)]
fn bytes_of<S: Simd>(v: &S::f32s) -> &[f32] {
    // SAFETY: `f32s` is plain data of F32_LANES numbers (pulp's own `Pod` bound).
    unsafe { std::slice::from_raw_parts(std::ptr::from_ref(v).cast(), S::F32_LANES) }
}

struct Weights<'a> {
    c: Convolution,
    x: &'a [f32],
    g: &'a [f32],
    dw: &'a mut [f32],
    padded: &'a mut Vec<f32>,
}

impl WithSimd for Weights<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (c, lanes) = (self.c, S::F32_LANES);
        let (all, pixels) = (c.width.div_ceil(lanes), c.pixels());
        assert!(self.dw.len() == c.kernel * c.run() * c.width && self.g.len() == pixels * c.width);
        let mut done = 0;
        while done < all {
            let v = vectors(all - done, most(lanes));
            // This block of the gradient on its own, filled up with zeros, so that the loop over pixels reads whole vectors.
            let (first, wide) = (done * lanes, v * lanes);
            let n = wide.min(c.width - first);
            self.padded.clear();
            self.padded.resize(pixels * wide, 0.0);
            for (to, from) in self.padded.chunks_exact_mut(wide).zip(self.g.chunks_exact(c.width)) {
                to[..n].copy_from_slice(&from[first..first + n]);
            }
            tiles!(lanes, v, weights_block, S, simd, c, self.x, self.padded, self.dw, first);
            done += v;
        }
    }
}

/// One block of output vectors of all weights, Q of a run at a time.
#[inline(always)]
fn weights_block<S: Simd, const Q: usize, const V: usize>(simd: S, c: Convolution, x: &[f32], g: &[f32], dw: &mut [f32], first: usize) {
    let run = c.run();
    if run < Q {
        return weights_block::<S, 1, V>(simd, c, x, g, dw, first);
    }
    let (g, _) = S::as_simd_f32s(g);
    let (g, _) = pulp::as_arrays::<V, _>(g);
    for ky in 0..c.kernel {
        let mut from = 0;
        while from < run {
            // The last tile reaches back, and adds only what is new.
            let start = from.min(run - Q);
            let mut sum = [[simd.splat_f32s(0.0); V]; Q];
            for (row, g) in g.chunks_exact(c.columns).enumerate() {
                let line = &x[(row + ky) * c.pitch() + start..][..(c.columns - 1) * c.channels + Q];
                for (column, g) in g.iter().enumerate() {
                    for q in 0..Q {
                        // SAFETY: the line ends Q numbers behind the beginning of its last column.
                        let x = simd.splat_f32s(unsafe { *line.get_unchecked(column * c.channels + q) });
                        for v in 0..V {
                            sum[q][v] = simd.mul_add_e_f32s(x, g[v], sum[q][v]);
                        }
                    }
                }
            }
            for q in from - start..Q {
                store::<S, V>(&sum[q], &mut dw[(ky * run + start + q) * c.width..][..c.width], first, true);
            }
            from += Q;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use spinloom_base::random::Stream;

    /// Every size of tile against the sums written out: pictures smaller than a tile, channels that fill no vector, kernels of even side.
    #[test]
    fn tiles_are_the_sums_written_out() {
        let mut scratch = Scratch::default();
        for (rows, columns, channels, kernel, width) in
            [(5, 7, 3, 3, 24), (2, 3, 5, 3, 10), (9, 4, 16, 5, 48), (8, 8, 20, 1, 64), (6, 6, 2, 4, 130), (1, 1, 1, 3, 1)]
        {
            let c = Convolution { rows, columns, channels, kernel, width };
            let mut stream = Stream::new(1, width as u64);
            let mut draw = |n: usize| -> Vec<f32> { (0..n).map(|_| stream.normal() as f32).collect() };
            let (x, w, g) = (draw(rows * columns * channels), draw(kernel * kernel * channels * width), draw(rows * columns * width));
            let (mut y, mut dx, mut dw) = (vec![0.0f64; g.len()], vec![0.0f64; x.len()], vec![0.0f64; w.len()]);
            let reach = (kernel / 2) as isize;
            for p in 0..rows * columns {
                for tap in 0..kernel * kernel {
                    let row = (p / columns + tap / kernel) as isize - reach;
                    let column = (p % columns + tap % kernel) as isize - reach;
                    if row < 0 || column < 0 || row >= rows as isize || column >= columns as isize {
                        continue;
                    }
                    let q = row as usize * columns + column as usize;
                    for i in 0..channels {
                        for o in 0..width {
                            let (a, b, d) = (q * channels + i, (tap * channels + i) * width + o, p * width + o);
                            y[d] += f64::from(x[a]) * f64::from(w[b]);
                            dx[a] += f64::from(g[d]) * f64::from(w[b]);
                            dw[b] += f64::from(g[d]) * f64::from(x[a]);
                        }
                    }
                }
            }
            let (mut fy, mut fdx, mut fdw) = (vec![f32::NAN; y.len()], vec![f32::NAN; dx.len()], vec![0.0f32; dw.len()]);
            c.sums(&x, &c.pack(&w), &mut fy, &mut scratch);
            c.inputs(&g, &c.pack_back(&w), &mut fdx, &mut scratch);
            c.weights(&x, &g, &mut fdw, &mut scratch);
            for (what, found, wanted) in [("sums", fy, y), ("inputs", fdx, dx), ("weights", fdw, dw)] {
                for (f, w) in found.iter().zip(&wanted) {
                    // Sums of up to some thousand terms of size one, in f32.
                    assert!((f64::from(*f) - w).abs() < 1e-4 * (1.0 + w.abs()), "{c:?}, {what}: {f} {w}");
                }
            }
        }
    }
}
