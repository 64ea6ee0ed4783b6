//! The demagnetising convolution, see [`super`].

use super::fft::{Elements, Fft, Sink, Source, root};
use super::isa::{Isa, with_vectors};
use super::parallel::{Shared, each};
use super::sizes::{cheapest, cheapest_of_lines};
use super::vector::{Complex, Lines, Vector, lanes, transpose};
use crate::mesh::Mesh;
use crate::real::Real;
use crate::terms::demag::tensor::{COMPONENTS, DemagKernel, Tensor};
use rayon::prelude::*;

/// μ0 Ms of the cells (T).
pub enum Moment<T> {
    /// The same wherever there is material.
    Uniform(T),
    /// Per cell.
    Cells(Vec<T>),
}

/// The wave numbers (k + offset)/N of an axis.
struct Class<T> {
    offset: f64,
    /// exp(−2πi j offset/N) for the n cells; empty where that is 1.
    twist: Vec<[T; 2]>,
    /// Of how many the kernel is stored, from k = 0 on; k beyond is the mirror image of `mirror` − k.
    stored: usize,
    mirror: usize,
    /// What is stored of the classes before.
    before: usize,
}

impl<T: Real> Class<T> {
    fn new(offset: f64, n: usize, len: usize, stored: usize, before: usize) -> Self {
        let twist = if offset == 0.0 { Vec::new() } else { (0..n).map(|j| root(j as f64 * offset, len)).collect() };
        Self { offset, twist, stored, mirror: len - (2.0 * offset) as usize, before }
    }

    /// Where the kernel of wave number `k` is stored, and whether it is mirrored.
    #[inline(always)]
    fn place(&self, k: usize) -> (usize, bool) {
        if k < self.stored { (self.before + k, false) } else { (self.before + self.mirror - k, true) }
    }

    fn twist(&self) -> Option<&[[T; 2]]> {
        if self.twist.is_empty() { None } else { Some(&self.twist) }
    }
}

/// One axis of the mesh.
struct Axis<T> {
    /// Cells.
    n: usize,
    /// Points of the circle.
    circle: usize,
    periodic: bool,
    /// Transform of one class.
    fft: Fft<T>,
    classes: Vec<Class<T>>,
}

impl<T: Real> Axis<T> {
    /// The axis of real numbers.
    fn real(n: usize, periodic: bool, isa: Isa) -> Self {
        let len = if periodic { n } else { cheapest_of_lines::<T>(n) };
        let class = if periodic { Class::new(0.0, n, len, n / 2 + 1, 0) } else { Class::new(0.25, n, len, len, 0) };
        Self { n, circle: if periodic { n } else { 2 * len }, periodic, fft: Fft::new(len, isa), classes: vec![class] }
    }

    /// An axis of spectra. A single open layer needs no transform.
    fn complex(n: usize, periodic: bool, isa: Isa) -> Self {
        let open = !periodic && n > 1;
        let len = if open { cheapest::<T>(n) } else { n };
        let mut classes = vec![Class::new(0.0, n, len, len / 2 + 1, 0)];
        if open {
            classes.push(Class::new(0.5, n, len, len.div_ceil(2), len / 2 + 1));
        }
        Self { n, circle: len * classes.len(), periodic, fft: Fft::new(len, isa), classes }
    }

    /// Transform length.
    fn len(&self) -> usize {
        self.fft.len()
    }

    /// From one transformed line to the next, in elements: odd, so that the elements of one wave number do not crowd in the same few places of a cache.
    fn pitch(&self) -> usize {
        self.len() | 1
    }

    /// Wave numbers of which the kernel is stored.
    fn stored(&self) -> usize {
        self.classes.iter().map(|c| c.stored).sum()
    }

    /// For each stored wave number: class offset and number in the class.
    fn wave_numbers(&self) -> Sums {
        let classes = self.classes.iter().map(|c| (c.offset, c.stored)).collect();
        Sums { len: self.len(), circular: self.periodic, classes }
    }
}

/// A planned convolution; shared by all replicas.
pub struct Convolution<T: Real> {
    axes: [Axis<T>; 3],
    panels: usize,
    components: usize,
    /// `[panel][ky][kz][component][lane]`, of the stored wave numbers; of a stack one for each pair of layers, `[target · layers + source]`.
    kernels: Vec<Lines<T>>,
    forward: Pass<T>,
    panel: Pass<T>,
    backward: Pass<T>,
}

/// One item of a pass: a block of rows, or a panel.
type Pass<T> = unsafe fn(&Convolution<T>, usize, &Job<'_, T>, &mut Columns<T>);

/// One convolution.
struct Job<'a, T> {
    m: &'a [T],
    moment: &'a Moment<T>,
    b: Shared<T>,
    spectrum: Shared<T>,
}

/// Scratch memory for the spectrum of one replica.
pub struct Spectrum<T>(Lines<T>);

/// Scratch memory of one thread.
pub struct Columns<T> {
    /// The lines of a block of rows or of a panel, transformed.
    lines: Lines<T>,
    /// What the first class contributes, until the second one is there.
    sum: Lines<T>,
    /// Lines along z of one wave number along y, and what their first class contributes.
    deep: Lines<T>,
    deep_sum: Lines<T>,
    /// Of the transforms.
    work: Lines<T>,
}

impl<T: Real> Convolution<T> {
    /// Plans the mesh: sizes, transforms, kernel.
    pub fn new(mesh: &Mesh, kernel_of: DemagKernel, isa: Isa) -> Self {
        let axis = |a: usize| match a {
            0 => Axis::real(mesh.n[0], mesh.pbc[0] > 0, isa),
            2 if mesh.stack.is_some() => Axis { n: mesh.n[2], ..Axis::complex(1, false, isa) },
            a => Axis::complex(mesh.n[a], mesh.pbc[a] > 0, isa),
        };
        let axes = [axis(0), axis(1), axis(2)];
        let panels = axes[0].stored().div_ceil(lanes::<T>());
        // Offsets below 0 mirror those above; along a periodic axis they are the same cells.
        let held = mesh.n;
        let (components, tensors) = match &mesh.stack {
            Some(stack) => (COMPONENTS, Tensor::of_layers(mesh, stack, [held[0], held[1]])),
            None => {
                let tensor = Tensor::of(kernel_of, mesh, held);
                (tensor.values.iter().filter(|v| !v.is_empty()).count(), vec![tensor])
            }
        };
        let kernels = tensors.iter().map(|t| kernel(t, &axes, panels, components, mesh.stack.is_some(), isa)).collect();
        Self { axes, panels, components, kernels, forward: forward(isa), panel: panel(isa), backward: backward(isa) }
    }

    /// Sizes of the circular grid.
    pub fn padded(&self) -> [usize; 3] {
        self.axes.each_ref().map(|a| a.circle)
    }

    /// Scratch memory for the whole spectrum.
    pub fn spectrum(&self) -> Spectrum<T> {
        Spectrum(Lines::zeros(self.panels * self.rows() * 2 * lanes::<T>()))
    }

    /// Scratch memory for one thread.
    pub fn columns(&self) -> Columns<T> {
        let [x, y, z] = self.axes.each_ref().map(Axis::pitch);
        let [nx, ny, nz] = self.n();
        let complex = |n: usize| Lines::zeros(n * 2 * lanes::<T>());
        let bins = self.panels * lanes::<T>();
        Columns {
            lines: complex((3 * nz * y).max(bins.max(x))),
            sum: complex((3 * nz * ny).max(nx.next_multiple_of(lanes::<T>()))),
            deep: complex(3 * z.max(nz)),
            deep_sum: complex(3 * nz),
            work: complex((2 * x.max(y).max(z)).max(lanes::<T>())),
        }
    }

    /// Cells.
    fn n(&self) -> [usize; 3] {
        self.axes.each_ref().map(|a| a.n)
    }

    /// Rows of all components.
    fn rows(&self) -> usize {
        3 * self.axes[1].n * self.axes[2].n
    }

    /// `b = −μ0 N ∗ (Ms m)` in tesla. `columns` has one entry per thread; with one the work stays on the calling thread.
    pub fn run(&self, m: &[T], moment: &Moment<T>, b: &mut [T], spectrum: &mut Spectrum<T>, columns: &mut [Columns<T>]) {
        let job = Job { m, moment, b: Shared::new(b), spectrum: Shared::new(spectrum.0.as_mut_slice()) };
        let blocks = self.rows().div_ceil(lanes::<T>());
        for (pass, items) in [(self.forward, blocks), (self.panel, self.panels), (self.backward, blocks)] {
            // SAFETY: the instruction set was detected when the convolution was planned, and no two items of a pass write the same place.
            each(items, columns, |i, c| unsafe { pass(self, i, &job, c) });
        }
    }

    /// The first row of a block, and how many there are.
    #[inline(always)]
    fn block(&self, block: usize) -> (usize, usize) {
        let first = block * lanes::<T>();
        (first, lanes::<T>().min(self.rows() - first))
    }

    /// Where a row of a panel begins in the spectrum.
    #[inline(always)]
    fn place(&self, panel: usize, row: usize) -> usize {
        (panel * self.rows() + row) * 2 * lanes::<T>()
    }
}

/// Elements of a line, twisted; nothing beyond its end.
struct Twisted<'a, T> {
    from: Elements<T>,
    n: usize,
    twist: Option<&'a [[T; 2]]>,
}

impl<T: Real, V: Vector<Real = T>> Source<V> for Twisted<'_, T> {
    #[inline(always)]
    unsafe fn get(&self, i: usize, lane: usize) -> Complex<V> {
        // SAFETY: by the caller's promise.
        unsafe {
            if i >= self.n {
                return Complex::zero();
            }
            let value = self.from.get(i, lane);
            match self.twist {
                Some(twist) => value.turned(*twist.get_unchecked(i)),
                None => value,
            }
        }
    }
}

/// The end of a backward transform: its elements exchanged, those within the line untwisted, added to what is there of another class.
struct Untwisted<'a, T> {
    sum: Option<Elements<T>>,
    to: Elements<T>,
    n: usize,
    twist: Option<&'a [[T; 2]]>,
}

impl<T: Real, V: Vector<Real = T>> Sink<V> for Untwisted<'_, T> {
    #[inline(always)]
    unsafe fn put(&self, i: usize, lane: usize, value: Complex<V>) {
        // SAFETY: by the caller's promise.
        unsafe {
            if i >= self.n {
                return;
            }
            // Exchanged numbers turn the other way: conj(i w z) = … , so the twist itself, not its conjugate, turns them back.
            let mut value = match self.twist {
                Some(twist) => value.turned(*twist.get_unchecked(i)),
                None => value,
            }
            .exchanged();
            if let Some(sum) = self.sum {
                value = value.plus(sum.get(i, lane));
            }
            self.to.put(i, lane, value);
        }
    }
}

/// Real numbers, twisted.
struct RealLine<'a, T> {
    from: *const T,
    n: usize,
    twist: Option<&'a [[T; 2]]>,
}

impl<T: Real, V: Vector<Real = T>> Source<V> for RealLine<'_, T> {
    #[inline(always)]
    unsafe fn get(&self, i: usize, lane: usize) -> Complex<V> {
        // SAFETY: by the caller's promise.
        unsafe {
            if i >= self.n {
                return Complex::zero();
            }
            let x = V::load(self.from.add(i * lanes::<T>() + lane));
            match self.twist {
                Some(twist) => {
                    let [c, s] = *twist.get_unchecked(i);
                    Complex { re: x.times(V::splat(c)), im: x.times(V::splat(s)) }
                }
                None => Complex { re: x, im: V::splat(T::ZERO) },
            }
        }
    }
}

/// The real part of the end of a backward transform, untwisted.
struct RealPart<'a, T> {
    to: *mut T,
    n: usize,
    twist: Option<&'a [[T; 2]]>,
}

impl<T: Real, V: Vector<Real = T>> Sink<V> for RealPart<'_, T> {
    #[inline(always)]
    unsafe fn put(&self, i: usize, lane: usize, value: Complex<V>) {
        // SAFETY: by the caller's promise.
        unsafe {
            if i >= self.n {
                return;
            }
            let real = match self.twist {
                Some(twist) => {
                    let [c, s] = *twist.get_unchecked(i);
                    value.re.times_plus(V::splat(s), value.im.times(V::splat(c)))
                }
                None => value.im,
            };
            real.store(self.to.add(i * lanes::<T>() + lane));
        }
    }
}

with_vectors! {
    /// Rows to panels.
    fn forward<V, T>(plan: &Convolution<T>, block: usize, job: &Job<'_, T>, c: &mut Columns<T>) {
        let width = lanes::<T>();
        let x = &plan.axes[0];
        let (nx, (first, count)) = (x.n, plan.block(block));
        let component = plan.axes[1].n * plan.axes[2].n;
        // SAFETY: of this whole function: offsets stay within the rows, the scratch lines and the panels as they were allocated.
        unsafe {
            let (reals, spectrum) = (c.sum.start(), c.lines.start());
            let mut square = [T::ZERO; 256];
            for from in (0..nx).step_by(width) {
                let part = width.min(nx - from);
                for r in 0..count {
                    let row = first + r;
                    let (source, target) = (job.m.as_ptr().add(row * nx + from), square.as_mut_ptr().add(r * width));
                    match job.moment {
                        Moment::Uniform(k) if part == width => {
                            let k = V::splat(*k);
                            for l in (0..width).step_by(V::LANES) {
                                V::load(source.add(l)).times(k).store(target.add(l));
                            }
                        }
                        Moment::Cells(k) if part == width => {
                            let k = k.as_ptr().add(row % component * nx + from);
                            for l in (0..width).step_by(V::LANES) {
                                V::load(source.add(l)).times(V::load(k.add(l))).store(target.add(l));
                            }
                        }
                        _ => {
                            for l in 0..part {
                                let k = match job.moment {
                                    Moment::Uniform(k) => *k,
                                    Moment::Cells(k) => k[row % component * nx + from + l],
                                };
                                *target.add(l) = k * *source.add(l);
                            }
                        }
                    }
                }
                transpose::<V>(square.as_ptr(), width, reals.add(from * width), width);
            }
            let class = &x.classes[0];
            let source = RealLine { from: reals, n: nx, twist: class.twist() };
            x.fft.forward::<V>(&source, &Elements::at(spectrum), c.work.start());
            for panel in 0..plan.panels {
                let from = spectrum.add(panel * width * 2 * width);
                let whole = count == width;
                let to: *mut T = if whole { job.spectrum.range(plan.place(panel, first), 2 * width * width).as_mut_ptr() } else { c.work.start() };
                transpose::<V>(from, 2 * width, to, 2 * width);
                transpose::<V>(from.add(width), 2 * width, to.add(width), 2 * width);
                if !whole {
                    let len = 2 * width * count;
                    job.spectrum.range(plan.place(panel, first), len).copy_from_slice(std::slice::from_raw_parts(to, len));
                }
            }
        }
    }
}

with_vectors! {
    /// Panels to rows.
    fn backward<V, T>(plan: &Convolution<T>, block: usize, job: &Job<'_, T>, c: &mut Columns<T>) {
        let width = lanes::<T>();
        let x = &plan.axes[0];
        let (nx, (first, count)) = (x.n, plan.block(block));
        // SAFETY: of this whole function: offsets stay within the rows, the scratch lines and the panels as they were allocated.
        unsafe {
            let (reals, spectrum) = (c.sum.start(), c.lines.start());
            for panel in 0..plan.panels {
                let to = spectrum.add(panel * width * 2 * width);
                let whole = count == width;
                let from: *const T = if whole {
                    job.spectrum.range(plan.place(panel, first), 2 * width * width).as_ptr()
                } else {
                    let len = 2 * width * count;
                    c.work.as_mut_slice()[..len].copy_from_slice(job.spectrum.range(plan.place(panel, first), len));
                    c.work.start()
                };
                transpose::<V>(from, 2 * width, to, 2 * width);
                transpose::<V>(from.add(width), 2 * width, to.add(width), 2 * width);
            }
            let class = &x.classes[0];
            let source = Twisted { from: Elements::at(spectrum).exchanged(), n: class.stored, twist: None };
            x.fft.forward::<V>(&source, &RealPart { to: reals, n: nx, twist: class.twist() }, c.work.start());
            let mut square = [T::ZERO; 256];
            for from in (0..nx).step_by(width) {
                let part = width.min(nx - from);
                transpose::<V>(reals.add(from * width), width, square.as_mut_ptr(), width);
                for r in 0..count {
                    let to = job.b.range((first + r) * nx + from, part);
                    if part == width {
                        for l in (0..width).step_by(V::LANES) {
                            V::load(square.as_ptr().add(r * width + l)).store(to.as_mut_ptr().add(l));
                        }
                    } else {
                        to.copy_from_slice(&square[r * width..][..part]);
                    }
                }
            }
        }
    }
}

with_vectors! {
    /// y and z transforms, product and back, for the wave numbers of one panel.
    fn panel<V, T>(plan: &Convolution<T>, panel: usize, job: &Job<'_, T>, c: &mut Columns<T>) {
        let width = 2 * lanes::<T>();
        let [_, y, z] = &plan.axes;
        let (ny, nz, count, pitch) = (y.n, z.n, y.len(), y.pitch());
        // SAFETY: of this whole function: offsets stay within the panel, the scratch lines and the kernel as they were allocated.
        unsafe {
            let data = job.spectrum.range(plan.place(panel, 0), plan.rows() * width).as_mut_ptr();
            let (lines, work) = (c.lines.start(), c.work.start());
            for (number, class) in y.classes.iter().enumerate() {
                for line in 0..3 * nz {
                    let source = Twisted { from: Elements::at(data.add(line * ny * width)), n: ny, twist: class.twist() };
                    y.fft.forward::<V>(&source, &Elements::at(lines.add(line * pitch * width)), work);
                }
                if plan.kernels.len() > 1 {
                    for k in 0..count {
                        layers::<T, V>(plan, panel, class.place(k), lines.add(k * width), c.deep.start());
                    }
                } else if z.len() == 1 {
                    for k in 0..count {
                        let (at, mirrored) = class.place(k);
                        let kernel = kernel_at(plan, panel, at, 0);
                        let at = [0, 1, 2].map(|component| lines.add((component * pitch + k) * width));
                        product::<T, V>(kernel, plan.components, [mirrored, false], at);
                    }
                } else {
                    for k in 0..count {
                        deep::<T, V>(plan, panel, class.place(k), lines.add(k * width), c);
                    }
                }
                for line in 0..3 * nz {
                    let source = Elements::at(lines.add(line * pitch * width)).exchanged();
                    let (to, sum) = (Elements::at(data.add(line * ny * width)), Elements::at(c.sum.start().add(line * ny * width)));
                    let last = number + 1 == y.classes.len();
                    let sink = Untwisted { sum: (number > 0).then_some(sum), to: if last { to } else { sum }, n: ny, twist: class.twist() };
                    y.fft.forward::<V>(&source, &sink, work);
                }
            }
        }
    }
}

/// The kernel's components at a stored wave number along y and z.
#[inline(always)]
unsafe fn kernel_at<T: Real>(plan: &Convolution<T>, panel: usize, ky: usize, kz: usize) -> *const T {
    let [_, y, z] = &plan.axes;
    let at = ((panel * y.stored() + ky) * z.stored() + kz) * plan.components * lanes::<T>();
    // SAFETY: of the caller: within the kernel.
    unsafe { plan.kernels[0].as_slice().as_ptr().add(at) }
}

/// z transforms, product and back, of one wave number along y. `line`: the first component and layer.
#[inline(always)]
unsafe fn deep<T: Real, V: Vector<Real = T>>(
    plan: &Convolution<T>,
    panel: usize,
    (ky, mirrored): (usize, bool),
    line: *mut T,
    c: &mut Columns<T>,
) {
    let width = 2 * lanes::<T>();
    let [_, y, z] = &plan.axes;
    let (nz, count) = (z.n, z.len());
    let (deep, sums, work) = (c.deep.start(), c.deep_sum.start(), c.work.start());
    // SAFETY: by the caller's promise.
    unsafe {
        // The next wave number's elements lie a page apart each: the machine does not foresee them.
        for row in 0..3 * nz {
            prefetch::<T>(line.wrapping_add((row * y.pitch() + 1) * width));
        }
        for (number, class) in z.classes.iter().enumerate() {
            for component in 0..3 {
                let from = Elements::every(line.add(component * nz * y.pitch() * width), y.pitch());
                let to = Elements::at(deep.add(component * count * width));
                z.fft.forward::<V>(&Twisted { from, n: nz, twist: class.twist() }, &to, work);
            }
            for k in 0..count {
                let (kz, below) = class.place(k);
                let at = [0, 1, 2].map(|component| deep.add((component * count + k) * width));
                product::<T, V>(kernel_at(plan, panel, ky, kz), plan.components, [mirrored, below], at);
            }
            for component in 0..3 {
                let from = Elements::at(deep.add(component * count * width)).exchanged();
                let (to, sum) = (
                    Elements::every(line.add(component * nz * y.pitch() * width), y.pitch()),
                    Elements::at(sums.add(component * nz * width)),
                );
                let last = number + 1 == z.classes.len();
                let sink = Untwisted { sum: (number > 0).then_some(sum), to: if last { to } else { sum }, n: nz, twist: class.twist() };
                z.fft.forward::<V>(&from, &sink, work);
            }
        }
    }
}

/// Asks for an element that will soon be needed.
#[inline(always)]
fn prefetch<T>(at: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: any address may be asked for.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(at.cast());
        _mm_prefetch::<_MM_HINT_T0>(at.wrapping_add(lanes::<T>()).cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

/// Magnetisation to field of one wave number, in place. xy is odd in the wave number along y, xz in that along z, yz in both.
#[inline(always)]
unsafe fn product<T: Real, V: Vector<Real = T>>(kernel: *const T, components: usize, [y, z]: [bool; 2], at: [*mut T; 3]) {
    let width = lanes::<T>();
    // SAFETY: by the caller's promise.
    unsafe {
        let at = [Elements::at(at[0]), Elements::at(at[1]), Elements::at(at[2])];
        for l in (0..width).step_by(V::LANES) {
            let k = kernel.add(l);
            let (mx, my, mz): (Complex<V>, Complex<V>, Complex<V>) = (at[0].get(0, l), at[1].get(0, l), at[2].get(0, l));
            let xy = V::load(k.add(3 * width)).signed(y);
            let mut bx = my.scaled_plus(xy, mx.scaled(V::load(k)));
            let mut by = mx.scaled_plus(xy, my.scaled(V::load(k.add(width))));
            let mut bz = mz.scaled(V::load(k.add(2 * width)));
            if components == COMPONENTS {
                let (xz, yz) = (V::load(k.add(4 * width)).signed(z), V::load(k.add(5 * width)).signed(y != z));
                bx = mz.scaled_plus(xz, bx);
                by = mz.scaled_plus(yz, by);
                bz = my.scaled_plus(yz, mx.scaled_plus(xz, bz));
            }
            at[0].put(0, l, bx);
            at[1].put(0, l, by);
            at[2].put(0, l, bz);
        }
    }
}

/// The same for all layers of a stack: the sum over the source layers. xz and yz are i times a real number, xy and yz odd in the wave number along y.
#[inline(always)]
unsafe fn layers<T: Real, V: Vector<Real = T>>(
    plan: &Convolution<T>,
    panel: usize,
    (ky, mirrored): (usize, bool),
    line: *mut T,
    sums: *mut T,
) {
    let width = lanes::<T>();
    let [_, y, z] = &plan.axes;
    let start = (panel * y.stored() + ky) * COMPONENTS * width;
    // SAFETY: by the caller's promise.
    unsafe {
        let place = |component: usize, layer: usize| Elements::at(line.add((component * z.n + layer) * y.pitch() * 2 * width));
        let sum = |component: usize, layer: usize| Elements::at(sums.add((component * z.n + layer) * 2 * width));
        for l in (0..width).step_by(V::LANES) {
            for target in 0..z.n {
                let (mut bx, mut by, mut bz): (Complex<V>, Complex<V>, Complex<V>) = (Complex::zero(), Complex::zero(), Complex::zero());
                for source in 0..z.n {
                    let k = plan.kernels[target * z.n + source].as_slice().as_ptr().add(start + l);
                    let (mx, my, mz) = (place(0, source).get(0, l), place(1, source).get(0, l), place(2, source).get(0, l));
                    let (xy, xz) = (V::load(k.add(3 * width)).signed(mirrored), V::load(k.add(4 * width)));
                    let yz = V::load(k.add(5 * width)).signed(mirrored);
                    bx = my.scaled_plus(xy, mx.scaled_plus(V::load(k), bx)).plus_i(mz.scaled(xz));
                    by = my.scaled_plus(V::load(k.add(width)), mx.scaled_plus(xy, by)).plus_i(mz.scaled(yz));
                    bz = mz.scaled_plus(V::load(k.add(2 * width)), bz).plus_i(my.scaled_plus(yz, mx.scaled(xz)));
                }
                sum(0, target).put(0, l, bx);
                sum(1, target).put(0, l, by);
                sum(2, target).put(0, l, bz);
            }
            for (component, layer) in (0..3).flat_map(|c| (0..z.n).map(move |layer| (c, layer))) {
                let b: Complex<V> = sum(component, layer).get(0, l);
                place(component, layer).put(0, l, b);
            }
        }
    }
}

/// Of which wave numbers sums of cosines and sines are wanted along an axis.
#[derive(Clone)]
struct Sums {
    len: usize,
    /// Whether all places of the circle are given, or those from 0 up of a line that is even or odd.
    circular: bool,
    /// Offset, and how many.
    classes: Vec<(f64, usize)>,
}

with_vectors! {
    /// Sums along one axis of `[outer][n][inner]`, for the lines `block` · lanes on.
    fn sum_block<V, T>(sums: &Sums, fft: &Fft<T>, block: usize, odd: bool, from: (&[T], [usize; 3]), to: Shared<T>, scratch: &mut [Lines<T>; 3]) {
        let width = lanes::<T>();
        let (data, [outer, n, inner]) = from;
        let bins: usize = sums.classes.iter().map(|c| c.1).sum();
        let first = block * width;
        let count = width.min(outer * inner - first);
        let [line, out, work] = scratch;
        let mut before = 0;
        for &(offset, stored) in &sums.classes {
            for j in 0..n {
                let [c, s] = root::<T>(j as f64 * offset, sums.len);
                for l in 0..count {
                    let (o, i) = ((first + l) / inner, (first + l) % inner);
                    let x = data[(o * n + j) * inner + i];
                    let at = &mut line.as_mut_slice()[2 * j * width..];
                    (at[l], at[width + l]) = (x * c, x * s);
                }
            }
            // SAFETY: the scratch lines have the transform's length, `work` twice that.
            unsafe {
                let source = Twisted { from: Elements::at(line.start()), n, twist: None };
                fft.forward::<V>(&source, &Elements::at(out.start()), work.start());
            }
            for k in 0..stored {
                for l in 0..count {
                    let (o, i) = ((first + l) / inner, (first + l) % inner);
                    let sum = out.as_slice()[(2 * k + usize::from(odd)) * width + l];
                    let whole = match (sums.circular, odd) {
                        (true, _) => sum,
                        (false, true) => sum + sum,
                        (false, false) => sum + sum - data[o * n * inner + i],
                    };
                    // SAFETY: every place is written once, by its line.
                    unsafe { *to.at((o * bins + before + k) * inner + i) = whole };
                }
            }
            before += stored;
        }
    }
}

/// The sums Σ t_j exp(−iωj) of a tensor component along all axes, without the factors i of the odd ones: `[kz][ky][kx]`.
fn sums(values: &[f64], dims: [usize; 3], axes: [Sums; 3], odd: [bool; 3], isa: Isa) -> Vec<f64> {
    let mut dims = dims;
    let mut data = values.to_vec();
    let run = sum_block::<f64>(isa);
    for (a, sums) in axes.iter().enumerate() {
        let bins = sums.classes.iter().map(|c| c.1).sum();
        let shape = [dims[a + 1..].iter().product(), dims[a], dims[..a].iter().product()];
        let mut out = vec![0.0; shape[0] * bins * shape[2]];
        let fft = Fft::<f64>::new(sums.len, isa);
        let to = Shared::new(&mut out);
        let lines = |n: usize| Lines::zeros(n * 2 * lanes::<f64>());
        (0..(shape[0] * shape[2]).div_ceil(lanes::<f64>())).into_par_iter().for_each_init(
            || [lines(sums.len), lines(sums.len), lines(2 * sums.len)],
            // SAFETY: the instruction set is one of those available.
            |scratch, block| unsafe { run(sums, &fft, block, odd[a], (&data, shape), to, scratch) },
        );
        dims[a] = bins;
        data = out;
    }
    data
}

/// Along which axes a component is odd, and the sign that its factors i make together; between layers `xz` and `yz` keep one.
fn parity(component: usize, layered: bool) -> ([bool; 3], f64) {
    match component {
        3 => ([true, true, false], -1.0),
        4 => ([true, false, !layered], if layered { 1.0 } else { -1.0 }),
        5 => ([false, true, !layered], if layered { 1.0 } else { -1.0 }),
        _ => ([false; 3], 1.0),
    }
}

/// One octant of the spectrum of −N / (number of points) for real transforms of the circle that the tensor holds, `[component][kz ≤ pz/2][ky ≤ py/2][kx ≤ px/2]`.
pub fn octant(tensor: &Tensor, components: usize, isa: Isa, layered: bool) -> Vec<f64> {
    let circle = |p: usize| Sums { len: p, circular: true, classes: vec![(0.0, p / 2 + 1)] };
    let scale = -1.0 / tensor.padded.iter().product::<usize>() as f64;
    let of = |component: usize| {
        let (odd, sign) = parity(component, layered);
        let values = &tensor.values[component];
        let len = tensor.padded.map(|p| p / 2 + 1).iter().product();
        let found = if values.is_empty() { vec![0.0; len] } else { sums(values, tensor.padded, tensor.padded.map(circle), odd, isa) };
        found.into_iter().map(move |v| scale * sign * v)
    };
    (0..components).flat_map(of).collect()
}

/// The kernel of [`Convolution::kernels`].
fn kernel<T: Real>(tensor: &Tensor, axes: &[Axis<T>; 3], panels: usize, components: usize, layered: bool, isa: Isa) -> Lines<T> {
    let [kx, ky, kz] = axes.each_ref().map(Axis::stored);
    let width = lanes::<T>();
    let mut out = Lines::zeros(panels * ky * kz * components * width);
    // Only one of a wave number and its conjugate is there, and a class is N points of the circle; but 0 and the highest one are their own conjugates.
    let points: usize = axes.iter().map(|a| a.circle).product();
    let x = &axes[0];
    let weight = |k: usize| if x.periodic && (k == 0 || 2 * k == x.len()) { 1.0 } else { 2.0 };
    for component in (0..components).filter(|c| !tensor.values[*c].is_empty()) {
        let (odd, sign) = parity(component, layered);
        let found = sums(&tensor.values[component], tensor.padded, axes.each_ref().map(Axis::wave_numbers), odd, isa);
        let to = out.as_mut_slice();
        for (row, line) in found.chunks_exact(kx).enumerate() {
            let (z, y) = (row / ky, row % ky);
            for (k, v) in line.iter().enumerate() {
                let at = (((k / width * ky + y) * kz + z) * components + component) * width + k % width;
                to[at] = T::of(-sign * weight(k) * v / points as f64);
            }
        }
    }
    out
}
