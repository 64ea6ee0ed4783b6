//! The demagnetising convolution by real transforms, without ever transforming or storing a row of zeros.
//!
//! x: each of the nz·ny rows is padded and transformed on its own (real to complex); its spectrum goes to *panels* of 16
//! adjacent wave numbers, `[panel][component][z][y][16]`. Per panel, in cache: y forward (padded on the fly), z forward,
//! product with the real symmetric kernel, z backward, y backward, keeping the rows that matter. Then x backward.
//! The kernel is even or odd in every wave number, so one octant of it is stored. All scale factors lie in the kernel.
//!
//! Layers of a stack are not equally far apart: there z is not transformed, and the product sums over the source layers with a kernel for each pair.

use super::fft::{ColumnFft, LANES, Lane, cheapest, smooth};
use super::isa::Isa;
use super::parallel::{Shared, each};
use crate::mesh::Mesh;
use crate::real::Real;
use crate::terms::demag::tensor::{COMPONENTS, DemagKernel, Tensor};
use num_complex::Complex;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};
use std::sync::Arc;

/// μ0 Ms of the cells (T).
pub enum Moment<T> {
    /// The same wherever there is material.
    Uniform(T),
    /// Per cell.
    Cells(Vec<T>),
}

/// A planned convolution; shared by all replicas.
pub struct Convolution<T: Real> {
    n: [usize; 3],
    padded: [usize; 3],
    panels: usize,
    components: usize,
    /// `[panel][kz ≤ pz/2][ky ≤ py/2][component][16]`
    kernel: Vec<Lane<T>>,
    x_forward: Arc<dyn RealToComplex<T>>,
    x_backward: Arc<dyn ComplexToReal<T>>,
    y: ColumnFft<T>,
    z: ColumnFft<T>,
    product: unsafe fn(&[Lane<T>], Product<'_, T>),
    /// Of a stack, `[target · layers + source]`, each as `kernel`.
    pairs: Vec<Vec<Lane<T>>>,
    layers: unsafe fn(&[Vec<Lane<T>>], Layers<'_, T>),
}

/// The spectra of all layers of a stack in one panel, and where its kernels lie.
struct Layers<'a, T> {
    /// `[component][layer][ky]`.
    re: &'a mut [Lane<T>],
    im: &'a mut [Lane<T>],
    /// `[component][layer]`
    sum_re: &'a mut [Lane<T>],
    sum_im: &'a mut [Lane<T>],
    /// Start of the kernel's panel, in lanes.
    start: usize,
    points: usize,
}

/// Three components of a column of spectra, real and imaginary parts, and where its kernel lies.
struct Product<'a, T> {
    re: [&'a mut [Lane<T>]; 3],
    im: [&'a mut [Lane<T>]; 3],
    /// Start of the kernel line and the step to the next wave number, in lanes.
    start: usize,
    step: usize,
    /// Sign of the odd components in the fixed wave number: (xy, xz, yz).
    signs: [T; 3],
    /// Which signs change beyond half the column.
    flips: [bool; 3],
    components: usize,
}

/// Scratch memory of one thread or one large simulation.
pub struct Spectrum<T> {
    re: Vec<Lane<T>>,
    im: Vec<Lane<T>>,
}

/// Scratch memory of one thread.
pub struct Columns<T: Real> {
    row: Vec<T>,
    spectrum: Vec<Complex<T>>,
    fft: Vec<Complex<T>>,
    /// Columns of three components, real and imaginary: first over y for every z, then over z.
    re: Vec<Lane<T>>,
    im: Vec<Lane<T>>,
    line_re: Vec<Lane<T>>,
    line_im: Vec<Lane<T>>,
    work_re: Vec<Lane<T>>,
    work_im: Vec<Lane<T>>,
}

impl<T: Real> Convolution<T> {
    /// Plans the mesh: sizes, transforms, kernel.
    pub fn new(mesh: &Mesh, kernel_of: DemagKernel, isa: Isa) -> Self {
        let n = mesh.n;
        // An open axis needs 2n − 1 circular offsets; a periodic one exactly its own length. A single open layer needs no
        // transform at all. Real transforms along x want an even length.
        let padded: [usize; 3] = std::array::from_fn(|a| match (mesh.pbc[a] > 0, n[a]) {
            (true, n) => n,
            (false, _) if a == 2 && mesh.stack.is_some() => 1,
            (false, 1) if a > 0 => 1,
            (false, n) if a == 0 => 2 * smooth(n),
            (false, n) => cheapest(2 * n - 1),
        });
        let panels = (padded[0] / 2 + 1).div_ceil(LANES);
        let mut planner = RealFftPlanner::<T>::new();
        let product = match isa {
            Isa::Baseline => product_body::<T> as _,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => product_avx2::<T> as _,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => product_avx512::<T> as _,
        };
        let layers = match isa {
            Isa::Baseline => layers_body::<T> as _,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => layers_avx2::<T> as _,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => layers_avx512::<T> as _,
        };
        let (components, whole, pairs) = match &mesh.stack {
            Some(stack) => {
                let tensors = Tensor::of_layers(mesh, stack, [padded[0], padded[1]]);
                (COMPONENTS, Vec::new(), tensors.iter().map(|t| kernel(t, COMPONENTS, isa, true)).collect())
            }
            None => {
                let tensor = Tensor::of(kernel_of, mesh, padded);
                let components = tensor.values.iter().filter(|v| !v.is_empty()).count();
                (components, kernel(&tensor, components, isa, false), Vec::new())
            }
        };
        Self {
            n,
            padded,
            panels,
            components,
            kernel: whole,
            pairs,
            layers,
            x_forward: planner.plan_fft_forward(padded[0]),
            x_backward: planner.plan_fft_inverse(padded[0]),
            y: ColumnFft::new(padded[1], isa),
            z: ColumnFft::new(padded[2], isa),
            product,
        }
    }

    /// Sizes of the circular grid.
    pub fn padded(&self) -> [usize; 3] {
        self.padded
    }

    /// Scratch memory for the whole spectrum.
    pub fn spectrum(&self) -> Spectrum<T> {
        let len = self.panels * 3 * self.n[2] * self.n[1];
        Spectrum { re: vec![[T::ZERO; LANES]; len], im: vec![[T::ZERO; LANES]; len] }
    }

    /// Scratch memory for one thread.
    pub fn columns(&self) -> Columns<T> {
        let lane = |n: usize| vec![[T::ZERO; LANES]; n];
        let plane = 3 * self.n[2] * self.padded[1];
        let longest = self.padded[1].max(self.padded[2]);
        Columns {
            row: self.x_forward.make_input_vec(),
            spectrum: self.x_forward.make_output_vec(),
            fft: vec![Complex::new(T::ZERO, T::ZERO); self.x_forward.get_scratch_len().max(self.x_backward.get_scratch_len())],
            re: lane(plane),
            im: lane(plane),
            line_re: lane(3 * self.padded[2].max(self.n[2])),
            line_im: lane(3 * self.padded[2].max(self.n[2])),
            work_re: lane(longest),
            work_im: lane(longest),
        }
    }

    /// `b = −μ0 N ∗ (Ms m)` in tesla. `columns` has one entry per thread; with one the work stays on the calling thread.
    pub fn run(&self, m: &[T], moment: &Moment<T>, b: &mut [T], spectrum: &mut Spectrum<T>, columns: &mut [Columns<T>]) {
        let [nx, ny, nz] = self.n;
        let cells = nx * ny * nz;
        let (re, im, out) = (Shared::new(&mut spectrum.re), Shared::new(&mut spectrum.im), Shared::new(b));
        let rows = 3 * nz * ny;
        let wave_numbers = self.padded[0] / 2 + 1;
        let place = |panel: usize, row: usize| panel * rows + row;

        each(rows, columns, |row, c| {
            let first = row * nx;
            match moment {
                Moment::Uniform(k) => c.row[..nx].iter_mut().zip(&m[first..first + nx]).for_each(|(r, m)| *r = *k * *m),
                Moment::Cells(k) => {
                    let k = &k[first % cells..][..nx];
                    c.row[..nx].iter_mut().zip(&m[first..first + nx]).zip(k).for_each(|((r, m), k)| *r = *k * *m);
                }
            }
            c.row[nx..].fill(T::ZERO);
            self.x_forward.process_with_scratch(&mut c.row, &mut c.spectrum, &mut c.fft).expect("lengths are the planned ones");
            for panel in 0..self.panels {
                let part = &c.spectrum[panel * LANES..wave_numbers.min((panel + 1) * LANES)];
                // SAFETY: every (panel, row) is written by this row alone.
                let (re, im) = unsafe { (re.at(place(panel, row)), im.at(place(panel, row))) };
                for (l, v) in part.iter().enumerate() {
                    (re[l], im[l]) = (v.re, v.im);
                }
            }
        });

        each(self.panels, columns, |panel, c| {
            // SAFETY: each panel's lanes are touched by this panel alone.
            let (re, im) = unsafe { (re.range(place(panel, 0), rows), im.range(place(panel, 0), rows)) };
            self.panel(panel, re, im, c);
        });

        each(rows, columns, |row, c| {
            for panel in 0..self.panels {
                let part = &mut c.spectrum[panel * LANES..wave_numbers.min((panel + 1) * LANES)];
                // SAFETY: nobody writes the spectrum now.
                let (re, im) = unsafe { (re.at(place(panel, row)), im.at(place(panel, row))) };
                for (l, v) in part.iter_mut().enumerate() {
                    *v = Complex::new(re[l], im[l]);
                }
            }
            // The imaginary parts of these are zero but for rounding, and the library insists.
            c.spectrum[0].im = T::ZERO;
            if self.padded[0].is_multiple_of(2) {
                c.spectrum[wave_numbers - 1].im = T::ZERO;
            }
            self.x_backward.process_with_scratch(&mut c.spectrum, &mut c.row, &mut c.fft).expect("lengths are the planned ones");
            // SAFETY: each output row is written by this row alone.
            unsafe { out.range(row * nx, nx) }.copy_from_slice(&c.row[..nx]);
        });
    }

    /// y and z transforms, product and back, for the 16 wave numbers of one panel. `re`, `im`: `[component][z][y]`.
    fn panel(&self, panel: usize, re: &mut [Lane<T>], im: &mut [Lane<T>], c: &mut Columns<T>) {
        let ([_, ny, nz], [_, py, pz]) = (self.n, self.padded);
        let zero = [T::ZERO; LANES];
        for (column, (from_re, from_im)) in re.chunks(ny).zip(im.chunks(ny)).enumerate() {
            let (r, i) = (&mut c.re[column * py..(column + 1) * py], &mut c.im[column * py..(column + 1) * py]);
            r[..ny].copy_from_slice(from_re);
            i[..ny].copy_from_slice(from_im);
            r[ny..].fill(zero);
            i[ny..].fill(zero);
            self.y.forward(r, i, &mut c.work_re[..py], &mut c.work_im[..py]);
        }
        let (half_y, half_z) = (py / 2 + 1, pz / 2 + 1);
        let start = panel * half_z * half_y * self.components;
        let one = [T::ONE; 3];
        if !self.pairs.is_empty() {
            let (re, im, sum_re, sum_im) = (&mut c.re[..], &mut c.im[..], &mut c.line_re[..], &mut c.line_im[..]);
            // SAFETY: the instruction set was detected when the convolution was planned.
            unsafe { (self.layers)(&self.pairs, Layers { re, im, sum_re, sum_im, start, points: py }) };
        } else if pz == 1 {
            let product = Product {
                re: split(&mut c.re, py),
                im: split(&mut c.im, py),
                start,
                step: self.components,
                signs: one,
                flips: [true, false, true],
                components: self.components,
            };
            // SAFETY: the instruction set was detected when the convolution was planned.
            unsafe { (self.product)(&self.kernel, product) };
        } else {
            for ky in 0..py {
                let (mirrored, odd) = if ky < half_y { (ky, T::ONE) } else { (py - ky, -T::ONE) };
                for component in 0..3 {
                    let (r, i) =
                        (&mut c.line_re[component * pz..(component + 1) * pz], &mut c.line_im[component * pz..(component + 1) * pz]);
                    for z in 0..nz {
                        let at = (component * nz + z) * py + ky;
                        (r[z], i[z]) = (c.re[at], c.im[at]);
                    }
                    r[nz..].fill(zero);
                    i[nz..].fill(zero);
                    self.z.forward(r, i, &mut c.work_re[..pz], &mut c.work_im[..pz]);
                }
                let product = Product {
                    re: split(&mut c.line_re, pz),
                    im: split(&mut c.line_im, pz),
                    start: start + mirrored * self.components,
                    step: half_y * self.components,
                    signs: [odd, T::ONE, odd],
                    flips: [false, true, true],
                    components: self.components,
                };
                // SAFETY: as above.
                unsafe { (self.product)(&self.kernel, product) };
                for component in 0..3 {
                    let (r, i) =
                        (&mut c.line_re[component * pz..(component + 1) * pz], &mut c.line_im[component * pz..(component + 1) * pz]);
                    self.z.forward(i, r, &mut c.work_im[..pz], &mut c.work_re[..pz]);
                    for z in 0..nz {
                        let at = (component * nz + z) * py + ky;
                        (c.re[at], c.im[at]) = (r[z], i[z]);
                    }
                }
            }
        }
        for (column, (to_re, to_im)) in re.chunks_mut(ny).zip(im.chunks_mut(ny)).enumerate() {
            let (r, i) = (&mut c.re[column * py..(column + 1) * py], &mut c.im[column * py..(column + 1) * py]);
            // Backward: real and imaginary parts exchanged.
            self.y.forward(i, r, &mut c.work_im[..py], &mut c.work_re[..py]);
            to_re.copy_from_slice(&r[..ny]);
            to_im.copy_from_slice(&i[..ny]);
        }
    }
}

fn split<T>(all: &mut [Lane<T>], len: usize) -> [&mut [Lane<T>]; 3] {
    let (x, rest) = all.split_at_mut(len);
    let (y, rest) = rest.split_at_mut(len);
    [x, y, &mut rest[..len]]
}

#[inline(always)]
unsafe fn product_body<T: Real>(kernel: &[Lane<T>], p: Product<'_, T>) {
    let Product { re: [rx, ry, rz], im: [ix, iy, iz], start, step, signs, flips, components } = p;
    let len = rx.len();
    let half = len / 2 + 1;
    for k in 0..len {
        let (mirrored, beyond) = if k < half { (k, false) } else { (len - k, true) };
        let sign = |c: usize| if beyond && flips[c] { -signs[c] } else { signs[c] };
        let at = start + mirrored * step;
        let [xx, yy, zz, xy] = [&kernel[at], &kernel[at + 1], &kernel[at + 2], &kernel[at + 3]];
        let s_xy = sign(0);
        for m in [(&mut *rx, &mut *ry, &mut *rz), (&mut *ix, &mut *iy, &mut *iz)] {
            let (x, y, z) = (m.0[k], m.1[k], m.2[k]);
            let (mut bx, mut by, mut bz) = ([T::ZERO; LANES], [T::ZERO; LANES], [T::ZERO; LANES]);
            for l in 0..LANES {
                let o = s_xy * xy[l];
                bx[l] = xx[l] * x[l] + o * y[l];
                by[l] = o * x[l] + yy[l] * y[l];
                bz[l] = zz[l] * z[l];
            }
            if components == 6 {
                let (xz, yz, s_xz, s_yz) = (&kernel[at + 4], &kernel[at + 5], sign(1), sign(2));
                for l in 0..LANES {
                    let (o, q) = (s_xz * xz[l], s_yz * yz[l]);
                    bx[l] += o * z[l];
                    by[l] += q * z[l];
                    bz[l] += o * x[l] + q * y[l];
                }
            }
            (m.0[k], m.1[k], m.2[k]) = (bx, by, bz);
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn product_avx2<T: Real>(kernel: &[Lane<T>], p: Product<'_, T>) {
    // SAFETY: as for the caller.
    unsafe { product_body(kernel, p) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
unsafe fn product_avx512<T: Real>(kernel: &[Lane<T>], p: Product<'_, T>) {
    // SAFETY: as for the caller.
    unsafe { product_body(kernel, p) }
}

/// The field's spectrum in every layer: the sum over the source layers. xz and yz are i times a real number.
#[inline(always)]
unsafe fn layers_body<T: Real>(pairs: &[Vec<Lane<T>>], p: Layers<'_, T>) {
    let count = pairs.len().isqrt();
    let half = p.points / 2 + 1;
    let place = |c: usize, layer: usize, ky: usize| (c * count + layer) * p.points + ky;
    for ky in 0..p.points {
        let (mirrored, odd) = if ky < half { (ky, T::ONE) } else { (p.points - ky, -T::ONE) };
        let at = p.start + mirrored * COMPONENTS;
        for target in 0..count {
            let mut b = [[T::ZERO; LANES]; 6];
            for source in 0..count {
                let k: &[Lane<T>; COMPONENTS] = pairs[target * count + source][at..].first_chunk().expect("a panel's lanes");
                let [xr, yr, zr] = [0, 1, 2].map(|c| &p.re[place(c, source, ky)]);
                let [xi, yi, zi] = [0, 1, 2].map(|c| &p.im[place(c, source, ky)]);
                for l in 0..LANES {
                    let (xy, xz, yz) = (odd * k[3][l], k[4][l], odd * k[5][l]);
                    b[0][l] += k[0][l] * xr[l] + xy * yr[l] - xz * zi[l];
                    b[1][l] += xy * xr[l] + k[1][l] * yr[l] - yz * zi[l];
                    b[2][l] += k[2][l] * zr[l] - xz * xi[l] - yz * yi[l];
                    b[3][l] += k[0][l] * xi[l] + xy * yi[l] + xz * zr[l];
                    b[4][l] += xy * xi[l] + k[1][l] * yi[l] + yz * zr[l];
                    b[5][l] += k[2][l] * zi[l] + xz * xr[l] + yz * yr[l];
                }
            }
            for c in 0..3 {
                (p.sum_re[c * count + target], p.sum_im[c * count + target]) = (b[c], b[3 + c]);
            }
        }
        for c in 0..3 {
            for layer in 0..count {
                let to = place(c, layer, ky);
                (p.re[to], p.im[to]) = (p.sum_re[c * count + layer], p.sum_im[c * count + layer]);
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn layers_avx2<T: Real>(pairs: &[Vec<Lane<T>>], p: Layers<'_, T>) {
    // SAFETY: as for the caller.
    unsafe { layers_body(pairs, p) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
unsafe fn layers_avx512<T: Real>(pairs: &[Vec<Lane<T>>], p: Layers<'_, T>) {
    // SAFETY: as for the caller.
    unsafe { layers_body(pairs, p) }
}

/// The same octant as a plain array, `[component][kz ≤ pz/2][ky ≤ py/2][kx ≤ px/2]`.
pub fn octant(tensor: &Tensor, components: usize, isa: Isa, odd: bool) -> Vec<f64> {
    let lanes = kernel::<f64>(tensor, components, isa, odd);
    let half = tensor.padded.map(|p| p / 2 + 1);
    let mut plain = Vec::with_capacity(components * half.iter().product::<usize>());
    for component in 0..components {
        for row in 0..half[2] * half[1] {
            for kx in 0..half[0] {
                plain.push(lanes[(kx / LANES * half[2] * half[1] + row) * components + component][kx % LANES]);
            }
        }
    }
    plain
}

/// The spectrum of −N / (number of points), real by symmetry, one octant of it. Between two layers xz and yz are `odd` in the plane: of them the
/// imaginary part is all there is.
fn kernel<T: Real>(tensor: &Tensor, components: usize, isa: Isa, odd: bool) -> Vec<Lane<T>> {
    let [px, py, pz] = tensor.padded;
    let wave_numbers = px / 2 + 1;
    let panels = wave_numbers.div_ceil(LANES);
    let (half_y, half_z) = (py / 2 + 1, pz / 2 + 1);
    let mut out = vec![[T::ZERO; LANES]; panels * half_z * half_y * components];
    let x = RealFftPlanner::<f64>::new().plan_fft_forward(px);
    let (y, z) = (ColumnFft::<f64>::new(py, isa), ColumnFft::<f64>::new(pz, isa));
    let scale = -1.0 / (px * py * pz) as f64;
    let mut rows = vec![x.make_output_vec(); py * pz];
    let longest = py.max(pz);
    let lane = |n: usize| vec![[0.0f64; LANES]; n];
    let (mut re, mut im, mut wr, mut wi) = (lane(py * pz), lane(py * pz), lane(longest), lane(longest));
    let (mut zr, mut zi) = (lane(pz), lane(pz));
    for component in 0..components {
        let mut input = tensor.values[component].clone();
        if input.is_empty() {
            continue;
        }
        for (row, spectrum) in input.chunks_mut(px).zip(&mut rows) {
            x.process(row, spectrum).expect("lengths are the planned ones");
        }
        for panel in 0..panels {
            for (row, spectrum) in rows.iter().enumerate() {
                for l in 0..LANES {
                    let v = spectrum.get(panel * LANES + l).copied().unwrap_or_default();
                    (re[row][l], im[row][l]) = (v.re, v.im);
                }
            }
            for (r, i) in re.chunks_mut(py).zip(im.chunks_mut(py)) {
                y.forward(r, i, &mut wr[..py], &mut wi[..py]);
            }
            for ky in 0..half_y {
                for kz in 0..pz {
                    (zr[kz], zi[kz]) = (re[kz * py + ky], im[kz * py + ky]);
                }
                z.forward(&mut zr, &mut zi, &mut wr[..pz], &mut wi[..pz]);
                for kz in 0..half_z {
                    let at = ((panel * half_z + kz) * half_y + ky) * components + component;
                    let part = if odd && component > 3 { &zi } else { &zr };
                    out[at] = std::array::from_fn(|l| T::of(scale * part[kz][l]));
                }
            }
        }
    }
    out
}
