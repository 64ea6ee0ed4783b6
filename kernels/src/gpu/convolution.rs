//! The demagnetising convolution as kernels: x forward, (y forward,) last axis with the product, (y backward,) x backward. Rows of zeros are neither
//! stored nor read. Spectra: `[re, im][replica][component][z][y][kx ≤ px/2]`, with all ky once y is transformed before z.
//!
//! An axis whose line does not fit a group's shared memory is parted, N = N₁ N₂ (D. H. Bailey, J. Supercomput. 4, 23 (1990)): lines of N₁ points N₂ apart,
//! twiddles, then lines of N₂ neighbours, one more round trip through memory. Frequency k₁ + N₁ k₂ is left where it falls, at k₁ N₂ + k₂; the
//! product looks it up there, and the way back undoes it. Such an axis is stored whole, along x without use of its symmetry.

use super::fft::{Line, Registers, Way, twiddles};
use super::text::Names;
use crate::cpu::convolution::octant;
use crate::cpu::isa::Isa;
use crate::mesh::Mesh;
use crate::terms::demag::tensor::{COMPONENTS, DemagKernel, Tensor};
use spinloom_gpu::{Binding, Element, Kernel, Limits, Precision};
use std::fmt::Write;

/// One axis.
struct Axis {
    /// Cells, and points of the circular grid.
    cells: usize,
    points: usize,
    /// Lines of N₁ points N₂ apart; whole lines where the axis is not parted.
    outer: Line,
    /// Lines of N₂ neighbours.
    inner: Option<Line>,
    /// Points stored of a spectrum.
    stored: usize,
    /// Where the twiddles of all points, of outer and of inner lines begin.
    twiddles: [usize; 3],
}

impl Axis {
    fn plan(cells: usize, points: usize, across: bool, limits: &Limits, precision: Precision) -> Result<Self, String> {
        let line = |n| Line::plan(n, across, limits, precision);
        let (outer, inner) = match line(points) {
            Ok(whole) => (whole, None),
            Err(why) => {
                // The most even parting: its longer part is the shortest.
                let parts = (2..points).filter(|n| points.is_multiple_of(*n) && n * n >= points);
                let both = |n: usize| Some((line(n).ok()?, line(points / n).ok()?));
                let (outer, inner) = parts.into_iter().find_map(both).ok_or(why)?;
                (outer, Some(inner))
            }
        };
        Ok(Self { cells, points, outer, inner, stored: 0, twiddles: [0; 3] })
    }

    /// N₂.
    fn inner_points(&self) -> usize {
        self.inner.as_ref().map_or(1, |l| l.n)
    }

    /// The frequency at a place of the stored spectrum.
    fn frequency(&self, place: &str) -> String {
        match &self.inner {
            None => place.to_string(),
            Some(inner) => format!("({place} / {n} + {} * ({place} % {n}))", self.outer.n, n = inner.n),
        }
    }
}

/// A planned convolution.
pub struct Convolution {
    n: [usize; 3],
    /// Whether its layers are those of a stack: then z is not transformed, and the product sums over them.
    stacked: bool,
    precision: Precision,
    axes: [Axis; 3],
    components: usize,
    /// `[component][kz ≤ pz/2][ky ≤ py/2][kx ≤ px/2]`, of a stack one for each target layer and source layer, then the twiddles.
    pub table: Vec<f64>,
}

/// Of a position (text): the two parts of what is there.
type Load<'a> = &'a dyn Fn(&str) -> (String, String);
/// Of a position and two parts: the statement that stores them.
type Store<'a> = &'a dyn Fn(&str, &str, &str) -> String;
/// The first position, at the least, from which there is nothing, and the condition for it.
type Beyond<'a> = Option<(usize, &'a dyn Fn(&str) -> String)>;

/// One kernel over lines: what [`Convolution::lines`] needs to know.
struct Pass<'a> {
    name: &'a str,
    line: &'a Line,
    /// Where its twiddles begin.
    twiddles: usize,
    way: Way,
    /// Number of lines of a replica.
    count: usize,
    /// Declares what the others use, from `line`.
    begin: String,
    load: Load<'a>,
    /// Of the input.
    nothing: Beyond<'a>,
    /// Start of the twiddles of the whole axis, where lines are parted: each point is turned by its position times `apart`, before or after.
    turn: Option<usize>,
    store: Store<'a>,
    /// Of the output.
    dropped: Beyond<'a>,
    bindings: Vec<Binding>,
}

fn real(name: &'static str, writable: bool) -> Binding {
    Binding { name, element: Element::Real, writable }
}

fn uint(name: &'static str) -> Binding {
    Binding { name, element: Element::Uint, writable: false }
}

impl Convolution {
    /// Plans a mesh.
    ///
    /// # Errors
    /// In words, what the device cannot do.
    pub fn new(mesh: &Mesh, kernel: DemagKernel, limits: &Limits, precision: Precision) -> Result<Self, String> {
        let n = mesh.n;
        let mut axes = Self::axes(mesh, limits, precision)?;
        let padded = axes.each_ref().map(|a| a.points);
        let (components, mut table) = match &mesh.stack {
            Some(stack) => {
                let pairs = Tensor::of_layers(mesh, stack, [padded[0], padded[1]]);
                (COMPONENTS, pairs.iter().flat_map(|t| octant(t, COMPONENTS, Isa::Baseline, true)).collect())
            }
            None => {
                let tensor = Tensor::of(kernel, mesh, padded);
                let components = tensor.values.iter().filter(|v| !v.is_empty()).count();
                (components, octant(&tensor, components, Isa::Baseline, false))
            }
        };
        for axis in &mut axes {
            for (start, points) in axis.twiddles.iter_mut().zip([axis.points, axis.outer.n, axis.inner.as_ref().map_or(1, |l| l.n)]) {
                *start = table.len();
                table.extend(twiddles(points));
            }
        }
        Ok(Self { n, stacked: mesh.stack.is_some(), precision, axes, components, table })
    }

    /// The axes, with how much of each is stored; no tensor is computed for that.
    fn axes(mesh: &Mesh, limits: &Limits, precision: Precision) -> Result<[Axis; 3], String> {
        let n = mesh.n;
        let padded: [usize; 3] = std::array::from_fn(|a| match (mesh.pbc[a] > 0, n[a]) {
            (true, n) => n,
            (false, _) if a == 2 && mesh.stack.is_some() => 1,
            (false, 1) => 1,
            (false, n) => crate::cpu::fft::smooth(2 * n - 1),
        });
        let mut axes = Vec::new();
        for (axis, points) in padded.into_iter().enumerate() {
            let planned = Axis::plan(n[axis], points, axis > 0, limits, precision);
            axes.push(planned.map_err(|e| format!("along {}: {e}", ["x", "y", "z"][axis]))?);
        }
        for (a, axis) in axes.iter_mut().enumerate() {
            let whole = axis.inner.is_none();
            axis.stored = match a {
                0 if whole => axis.points / 2 + 1,
                1 if whole && n[2] == 1 && mesh.stack.is_none() => axis.cells,
                2 if whole => axis.cells,
                _ => axis.points,
            };
        }
        Ok(axes.try_into().unwrap_or_else(|_| unreachable!("three axes")))
    }

    /// Reals of the spectrum of one replica of a mesh.
    ///
    /// # Errors
    /// As [`Convolution::new`].
    pub fn spectrum_of(mesh: &Mesh, limits: &Limits, precision: Precision) -> Result<usize, String> {
        let axes = Self::axes(mesh, limits, precision)?;
        Ok(2 * 3 * axes.iter().map(|a| a.stored).product::<usize>())
    }

    /// Sizes of the circular grid.
    pub fn padded(&self) -> [usize; 3] {
        self.axes.each_ref().map(|a| a.points)
    }

    /// Reals of one part of one component of a spectrum.
    fn block(&self) -> usize {
        self.axes.iter().map(|a| a.stored).product()
    }

    /// Reals of the spectrum of so many replicas.
    pub fn spectrum(&self, replicas: usize) -> usize {
        2 * replicas * 3 * self.block()
    }

    fn kernel(&self, name: &str, body: String, line: &Line, bindings: Vec<Binding>) -> Kernel {
        Kernel {
            name: format!("demag {name}"),
            body,
            bindings,
            shared: vec![("sh".into(), line.shared())],
            group: line.group(),
            precision: self.precision,
        }
    }

    fn head(out: &mut String, names: &Names, line: &Line, count: usize, on: &str) {
        out.push_str(&names.defines());
        // A whole group belongs to one replica: all of its items return, or none.
        let _ = write!(out, "KERNEL_MAIN {{\n    int r = int(WG.y);\n    bool on = {on};\n    if (!on) {{ return; }}\n");
        line.begin(out, count);
    }

    /// Emits the reading of a line's registers.
    fn load(out: &mut String, line: &Line, tag: &str, load: Load<'_>, nothing: Beyond<'_>) -> Registers {
        let mut registers: Registers = Vec::new();
        line.starts(|i, j, least, position| {
            if j == 0 {
                registers.push(Vec::new());
            }
            let name = (format!("{tag}i{i}e{j}r"), format!("{tag}i{i}e{j}i"));
            let at = format!("{tag}i{i}e{j}p");
            match nothing {
                Some((first, _)) if least >= first => {
                    let _ = writeln!(out, "    REAL {} = REAL(0.0f);\n    REAL {} = REAL(0.0f);", name.0, name.1);
                }
                Some((_, condition)) => {
                    // Where there is nothing, the line's first point is read, and dropped.
                    let nothing = condition(&position);
                    let (re, im) = load(&at);
                    let _ = writeln!(
                        out,
                        "    bool {at}z = {nothing};\n    int {at} = {at}z ? 0 : {position};\n    REAL {} = {at}z ? REAL(0.0f) : {re};\n    REAL {} = {at}z ? REAL(0.0f) : {im};",
                        name.0, name.1
                    );
                }
                None => {
                    let (re, im) = load(&at);
                    let _ = writeln!(out, "    int {at} = {position};\n    REAL {} = {re};\n    REAL {} = {im};", name.0, name.1);
                }
            }
            registers[i].push(name);
        });
        registers
    }

    /// Emits the turning of registers by e^(∓2πi · position · apart/N), forward or backward.
    fn turn(out: &mut String, tag: &str, registers: Registers, positions: &[Vec<String>], start: usize, forward: bool) -> Registers {
        let mut turned: Registers = Vec::new();
        for (i, (row, places)) in registers.into_iter().zip(positions).enumerate() {
            turned.push(Vec::new());
            for (j, ((re, im), position)) in row.into_iter().zip(places).enumerate() {
                let t = format!("{tag}{i}e{j}");
                let sign = if forward { ("-", "+") } else { ("+", "-") };
                let _ = writeln!(
                    out,
                    "    int {t}w = {start} + 2 * (apart * {position});\n    REAL {t}r = {re} * tw[{t}w] {} {im} * tw[{t}w + 1];\n    REAL {t}i = {im} * tw[{t}w] {} {re} * tw[{t}w + 1];",
                    sign.0, sign.1
                );
                turned[i].push((format!("{t}r"), format!("{t}i")));
            }
        }
        turned
    }

    fn positions(line: &Line, start: bool) -> Vec<Vec<String>> {
        let mut all: Vec<Vec<String>> = Vec::new();
        let mut each = |_: usize, j: usize, _: usize, position: String| {
            if j == 0 {
                all.push(Vec::new());
            }
            all.last_mut().expect("just pushed").push(position);
        };
        if start {
            line.starts(&mut each)
        } else {
            line.ends(Way::Forward, &mut each)
        }
        all
    }

    fn store(out: &mut String, line: &Line, way: Way, registers: &Registers, store: Store<'_>, dropped: Beyond<'_>) {
        line.ends(way, |i, j, least, position| {
            let (re, im) = &registers[i][j];
            let statement = store(&position, re, im);
            match dropped {
                Some((first, _)) if least >= first => {}
                Some((_, condition)) => {
                    let _ = writeln!(out, "    if (mine && !({})) {{ {statement} }}", condition(&position));
                }
                None => {
                    let _ = writeln!(out, "    if (mine) {{ {statement} }}");
                }
            }
        });
    }

    /// A kernel that transforms lines.
    fn lines(&self, names: &Names, on: &str, pass: Pass<'_>) -> (Kernel, u32) {
        let mut body = String::new();
        Self::head(&mut body, names, pass.line, pass.count, on);
        body += &pass.begin;
        let mut registers = Self::load(&mut body, pass.line, "a", pass.load, pass.nothing);
        if let (Some(start), Way::Backward) = (pass.turn, pass.way) {
            registers = Self::turn(&mut body, "u", registers, &Self::positions(pass.line, true), start, false);
        }
        let mut done = pass.line.transform(&mut body, "f", registers, pass.way, pass.twiddles, self.precision);
        if let (Some(start), Way::Forward) = (pass.turn, pass.way) {
            done = Self::turn(&mut body, "u", done, &Self::positions(pass.line, false), start, true);
        }
        Self::store(&mut body, pass.line, Way::Forward, &done, pass.store, pass.dropped);
        body.push_str("}\n");
        let groups = pass.line.groups(pass.count);
        (self.kernel(pass.name, body, pass.line, pass.bindings), groups)
    }

    /// The kernels, in order, and how many groups along x each takes. `m` and `b` are where the fields lie, `on` is whether replica `r` takes part (text).
    pub fn kernels(&self, replicas: usize, names: &Names, m: &str, b: &str, on: &str) -> Vec<(Kernel, u32)> {
        let [nx, ny, nz] = self.n;
        let [sx, sy, _] = self.axes.each_ref().map(|a| a.stored);
        let imaginary = replicas * 3 * self.block();
        let block = self.block();
        let at = |p: &str, step: usize| (format!("spec[base + {p} * {step}]"), format!("spec[{imaginary} + base + {p} * {step}]"));
        let put = |p: &str, re: &str, im: &str, step: usize| {
            format!("spec[base + {p} * {step}] = {re}; spec[{imaginary} + base + {p} * {step}] = {im};")
        };
        let middle = vec![real("spec", true), real("tw", false), uint("state")];
        let mut list = Vec::new();

        // x forward: each row of each component; N₂ lines of it where the axis is parted.
        let x = &self.axes[0];
        let n2 = x.inner_points();
        let rows = 3 * nz * ny;
        // Which row of which component, of so many lines each, and where its spectrum begins.
        let row = |lines: usize| {
            format!(
                "    int apart = line % {lines};\n    int row = line / {lines} % {};\n    int c = line / {};\n    int spectrum = ((r * 3 + c) * {} + (row / {ny} * {sy} + row % {ny})) * {sx};\n",
                nz * ny,
                lines * nz * ny,
                block / sx
            )
        };
        let beyond = |p: &str| format!("{p} * {n2} + apart >= {nx}");
        let other_half = |p: &str| format!("{p} >= {sx}");
        list.push(
            self.lines(
                names,
                on,
                Pass {
                    name: "x forward",
                    line: &x.outer,
                    twiddles: x.twiddles[1],
                    way: Way::Forward,
                    count: rows * n2,
                    begin: row(n2)
                        + &format!("    int from = {m} + (r * 3 + c) * CELLS + row * {nx} + apart;\n    int to = spectrum + apart;\n"),
                    load: &|p| {
                        (
                            format!("fields[from + {p} * {n2}] * {}", names.moment(&format!("row * {nx} + {p} * {n2} + apart"))),
                            "REAL(0.0f)".into(),
                        )
                    },
                    nothing: Some((nx.div_ceil(n2), &beyond)),
                    turn: x.inner.as_ref().map(|_| x.twiddles[0]),
                    store: &|p, re, im| format!("spec[to + {p} * {n2}] = {re}; spec[{imaginary} + to + {p} * {n2}] = {im};"),
                    dropped: if x.inner.is_none() { Some((sx, &other_half)) } else { None },
                    bindings: [
                        real("fields", false),
                        real("par", false),
                        uint("regions"),
                        uint("state"),
                        real("spec", true),
                        real("tw", false),
                    ]
                    .into_iter()
                    .chain(names.filled.then(|| real("mask", false)))
                    .collect(),
                },
            ),
        );
        let x_inner = |list: &mut Vec<(Kernel, u32)>, name: &str, way| {
            if let Some(inner) = &x.inner {
                let n1 = x.outer.n;
                list.push(self.lines(
                    names,
                    on,
                    Pass {
                        name,
                        line: inner,
                        twiddles: x.twiddles[2],
                        way,
                        count: rows * n1,
                        begin: row(n1) + &format!("    int base = spectrum + apart * {n2};\n"),
                        load: &|p| at(p, 1),
                        nothing: None,
                        turn: None,
                        store: &|p, re, im| put(p, re, im, 1),
                        dropped: None,
                        bindings: middle.clone(),
                    },
                ));
            }
        };
        x_inner(&mut list, "x forward, inner", Way::Forward);

        // Columns along an axis: outer lines, or inner ones.
        let column = |list: &mut Vec<(Kernel, u32)>, name: &str, a: usize, inner: bool, way: Way| {
            let axis = &self.axes[a];
            let (n1, n2) = (axis.outer.n, axis.inner_points());
            // Points of an axis lie this far apart; the columns of y are (component, z, kx), those of z (component, ky, kx).
            let step = if a == 1 { sx } else { sy * sx };
            let (line, lines_of_column) = if inner { (axis.inner.as_ref().expect("parted"), n1) } else { (&axis.outer, n2) };
            let columns = 3 * if a == 1 { nz * sx } else { sy * sx };
            let column = if a == 1 {
                format!("(r * 3 + column / {}) * {block} + column / {sx} % {nz} * {} + column % {sx}", nz * sx, sy * sx)
            } else {
                format!("(r * 3 + column / {}) * {block} + column % {}", sy * sx, sy * sx)
            };
            let begin = format!(
                "    int column = line % {columns};\n    int apart = line / {columns};\n    int base = {column} + apart * {};\n",
                if inner { n2 * step } else { step }
            );
            let (stride, cells) = (if inner { step } else { n2 * step }, axis.cells);
            let beyond = |p: &str| format!("{p} * {n2} + apart >= {cells}");
            let limit: Beyond<'_> = Some((cells.div_ceil(n2), &beyond));
            let first_or_last = !inner;
            list.push(self.lines(
                names,
                on,
                Pass {
                    name,
                    line,
                    twiddles: axis.twiddles[if inner { 2 } else { 1 }],
                    way,
                    count: columns * lines_of_column,
                    begin,
                    load: &|p| at(p, stride),
                    nothing: if first_or_last && way == Way::Forward { limit } else { None },
                    turn: if first_or_last && axis.inner.is_some() { Some(axis.twiddles[0]) } else { None },
                    store: &|p, re, im| put(p, re, im, stride),
                    dropped: if first_or_last && way == Way::Backward { limit } else { None },
                    bindings: middle.clone(),
                },
            ));
        };
        let last = if nz > 1 || self.stacked { 2 } else { 1 };
        if last == 2 && self.axes[1].points > 1 {
            column(&mut list, "y forward", 1, false, Way::Forward);
            if self.axes[1].inner.is_some() {
                column(&mut list, "y forward, inner", 1, true, Way::Forward);
            }
        }
        if self.axes[last].inner.is_some() {
            column(&mut list, if last == 2 { "z forward" } else { "y forward" }, last, false, Way::Forward);
        }
        list.push(if self.stacked { self.layers(names, on, imaginary) } else { self.product(names, on, last, imaginary) });
        if self.axes[last].inner.is_some() {
            column(&mut list, if last == 2 { "z backward" } else { "y backward" }, last, false, Way::Backward);
        }
        if last == 2 && self.axes[1].points > 1 {
            if self.axes[1].inner.is_some() {
                column(&mut list, "y backward, inner", 1, true, Way::Backward);
            }
            column(&mut list, "y backward", 1, false, Way::Backward);
        }

        // x backward: a row of real numbers, from half of its spectrum where that is all there is.
        x_inner(&mut list, "x backward, inner", Way::Backward);
        let half = |p: &str| {
            if x.inner.is_some() {
                return (format!("spec[spectrum + apart + {p} * {n2}]"), format!("spec[{imaginary} + spectrum + apart + {p} * {n2}]"));
            }
            let mirrored = format!("({p} < {sx} ? {p} : {} - {p})", x.points);
            (
                format!("spec[spectrum + {mirrored}]"),
                format!("({p} < {sx} ? REAL(1.0f) : REAL(-1.0f)) * spec[{imaginary} + spectrum + {mirrored}]"),
            )
        };
        list.push(self.lines(
            names,
            on,
            Pass {
                name: "x backward",
                line: &x.outer,
                twiddles: x.twiddles[1],
                way: Way::Backward,
                count: rows * n2,
                begin: row(n2) + &format!("    int to = {b} + (r * 3 + c) * CELLS + row * {nx} + apart;\n"),
                load: &half,
                nothing: None,
                turn: x.inner.as_ref().map(|_| x.twiddles[0]),
                store: &|p, re, _| format!("fields[to + {p} * {n2}] = {re};"),
                dropped: Some((nx.div_ceil(n2), &beyond)),
                bindings: vec![real("fields", true), uint("state"), real("spec", false), real("tw", false)],
            },
        ));
        list
    }

    /// The product of a stack: an item takes one wave number of the plane in all layers.
    fn layers(&self, names: &Names, on: &str, imaginary: usize) -> (Kernel, u32) {
        const GROUP: u32 = 64;
        let nz = self.n[2];
        let [sx, sy, _] = self.axes.each_ref().map(|a| a.stored);
        let [px, py, _] = self.padded();
        let (hx, hy, block) = (px / 2 + 1, py / 2 + 1, self.block());
        let mut body = names.defines();
        let _ = write!(
            body,
            "KERNEL_MAIN {{\n    int r = int(WG.y);\n    bool on = {on};\n    int column = int(GID.x);\n    if (!on || column >= {}) {{ return; }}\n",
            sx * sy
        );
        Self::fold(&mut body, "x", &self.axes[0].frequency(&format!("(column % {sx})")), px);
        Self::fold(&mut body, "y", &self.axes[1].frequency(&format!("(column / {sx})")), py);
        let _ = writeln!(body, "    int k = ym * {hx} + xm;\n    REAL both = xs * ys;");
        let at = |c: usize, layer: usize| format!("(r * 3 + {c}) * {block} + {} + column", layer * sy * sx);
        for layer in 0..nz {
            for c in 0..3 {
                let at = at(c, layer);
                let _ = writeln!(body, "    REAL m{layer}c{c}r = spec[{at}];\n    REAL m{layer}c{c}i = spec[{imaginary} + {at}];");
            }
        }
        for target in 0..nz {
            for c in 0..3 {
                let _ = writeln!(body, "    REAL b{target}c{c}r = REAL(0.0f);\n    REAL b{target}c{c}i = REAL(0.0f);");
            }
            for source in 0..nz {
                let tag = format!("n{target}s{source}");
                let sign = ["", "", "", "both * ", "xs * ", "ys * "];
                for (component, name) in ["xx", "yy", "zz", "xy", "xz", "yz"].into_iter().enumerate() {
                    let start = ((target * nz + source) * COMPONENTS + component) * hx * hy;
                    let _ = writeln!(body, "    REAL {tag}{name} = {}tw[{start} + k];", sign[component]);
                }
                let m = |c: usize, part: char| format!("m{source}c{c}{part}");
                // What is imaginary turns the parts: i K (re + i im).
                for (c, row) in [["xx", "xy", "xz"], ["xy", "yy", "yz"], ["xz", "yz", "zz"]].into_iter().enumerate() {
                    for part in ['r', 'i'] {
                        let mut sum = format!("b{target}c{c}{part}");
                        for (d, name) in row.into_iter().enumerate() {
                            let turned = name == "xz" || name == "yz";
                            let (sign, from) = match (turned, part) {
                                (false, _) => ('+', m(d, part)),
                                (true, 'r') => ('-', m(d, 'i')),
                                (true, _) => ('+', m(d, 'r')),
                            };
                            let _ = write!(sum, " {sign} {tag}{name} * {from}");
                        }
                        let _ = writeln!(body, "    b{target}c{c}{part} = {sum};");
                    }
                }
            }
            for c in 0..3 {
                let at = at(c, target);
                let _ = writeln!(body, "    spec[{at}] = b{target}c{c}r;\n    spec[{imaginary} + {at}] = b{target}c{c}i;");
            }
        }
        body.push_str("}\n");
        let kernel = Kernel {
            name: "demag layers".into(),
            body,
            bindings: vec![real("spec", true), real("tw", false), uint("state")],
            shared: vec![],
            group: GROUP,
            precision: self.precision,
        };
        (kernel, ((sx * sy) as u32).div_ceil(GROUP))
    }

    /// Wave number, mirrored into the octant, and the sign of what is odd in it.
    fn fold(out: &mut String, name: &str, text: &str, points: usize) {
        let half = points / 2 + 1;
        let _ = writeln!(
            out,
            "    int {name}k = {text};\n    bool {name}b = {name}k >= {half};\n    int {name}m = {name}b ? {points} - {name}k : {name}k;\n    REAL {name}s = {name}b ? REAL(-1.0f) : REAL(1.0f);"
        );
    }

    /// The last axis: three components forward, product, and back; of a parted axis the inner lines.
    fn product(&self, names: &Names, on: &str, last: usize, imaginary: usize) -> (Kernel, u32) {
        let axis = &self.axes[last];
        let [sx, sy, _] = self.axes.each_ref().map(|a| a.stored);
        let [px, py, pz] = self.padded();
        let (n1, n2) = (axis.outer.n, axis.inner_points());
        let (line, twiddles) = axis.inner.as_ref().map_or((&axis.outer, axis.twiddles[1]), |l| (l, axis.twiddles[2]));
        let step = if last == 1 { sx } else { sy * sx };
        // Columns of one component, and the lines of each.
        let columns = if last == 1 { sx } else { sy * sx };
        let parts = if axis.inner.is_some() { n1 } else { 1 };
        let count = columns * parts;
        let mut body = String::new();
        Self::head(&mut body, names, line, count, on);
        let _ = writeln!(body, "    int column = line % {columns};\n    int apart = line / {columns};");
        let cells = axis.cells;
        let beyond = |p: &str| format!("{p} >= {cells}");
        let limit: Beyond<'_> = if axis.inner.is_none() { Some((cells, &beyond)) } else { None };
        let mut forward = Vec::new();
        for c in 0..3 {
            let _ = writeln!(body, "    int base{c} = (r * 3 + {c}) * {} + column + apart * {};", self.block(), n2 * step);
            let load = |p: &str| (format!("spec[base{c} + {p} * {step}]"), format!("spec[{imaginary} + base{c} + {p} * {step}]"));
            let registers = Self::load(&mut body, line, &format!("a{c}"), &load, limit);
            forward.push(line.transform(&mut body, &format!("f{c}"), registers, Way::Forward, twiddles, self.precision));
        }
        let [hx, hy, hz] = [px, py, pz].map(|p| p / 2 + 1);
        let block = hz * hy * hx;
        Self::fold(&mut body, "x", &self.axes[0].frequency(&format!("(column % {sx})")), px);
        if last == 2 {
            Self::fold(&mut body, "y", &self.axes[1].frequency(&format!("(column / {sx})")), py);
        }
        let mut backward: Vec<Registers> = vec![Vec::new(); 3];
        let mut product = String::new();
        line.ends(Way::Forward, |i, j, _, position| {
            let t = format!("p{i}e{j}");
            let frequency = if axis.inner.is_some() { format!("apart + {n1} * {position}") } else { position };
            Self::fold(&mut product, &t, &frequency, axis.points);
            let at = if last == 2 { format!("({t}m * {hy} + ym) * {hx} + xm") } else { format!("{t}m * {hx} + xm") };
            let _ = writeln!(product, "    int {t}o = {at};");
            let component = |index: usize| format!("tw[{} + {t}o]", index * block);
            // xy is odd in kx and ky, xz in kx and kz, yz in ky and kz.
            let (y, z) = if last == 2 { ("ys".to_string(), format!("{t}s")) } else { (format!("{t}s"), "REAL(1.0f)".into()) };
            for (index, name) in ["xx", "yy", "zz"].into_iter().enumerate() {
                let _ = writeln!(product, "    REAL {t}{name} = {};", component(index));
            }
            let _ = writeln!(product, "    REAL {t}xy = xs * {y} * {};", component(3));
            let full = self.components == 6;
            if full {
                let _ = writeln!(product, "    REAL {t}xz = xs * {z} * {};\n    REAL {t}yz = {y} * {z} * {};", component(4), component(5));
            }
            for part in 0..2 {
                let v: Vec<&String> = forward.iter().map(|f: &Registers| if part == 0 { &f[i][j].0 } else { &f[i][j].1 }).collect();
                let name = |c: usize| format!("{t}c{c}{}", ["r", "i"][part]);
                let (x, y, z) = (v[0], v[1], v[2]);
                let (fx, fy, fz) = if full {
                    (format!(" + {t}xz * {z}"), format!(" + {t}yz * {z}"), format!(" + {t}xz * {x} + {t}yz * {y}"))
                } else {
                    Default::default()
                };
                let _ = writeln!(
                    product,
                    "    REAL {} = {t}xx * {x} + {t}xy * {y}{fx};\n    REAL {} = {t}xy * {x} + {t}yy * {y}{fy};\n    REAL {} = {t}zz * {z}{fz};",
                    name(0),
                    name(1),
                    name(2)
                );
            }
            for (c, registers) in backward.iter_mut().enumerate() {
                if j == 0 {
                    registers.push(Vec::new());
                }
                registers[i].push((format!("{t}c{c}r"), format!("{t}c{c}i")));
            }
        });
        body += &product;
        for (c, registers) in backward.into_iter().enumerate() {
            let done = line.transform(&mut body, &format!("b{c}"), registers, Way::Return, twiddles, self.precision);
            let store = |p: &str, re: &str, im: &str| {
                format!("spec[base{c} + {p} * {step}] = {re}; spec[{imaginary} + base{c} + {p} * {step}] = {im};")
            };
            Self::store(&mut body, line, Way::Return, &done, &store, limit);
        }
        body.push_str("}\n");
        let name = if last == 2 { "z and product" } else { "y and product" };
        let bindings = vec![real("spec", true), real("tw", false), uint("state")];
        (self.kernel(name, body, line, bindings), line.groups(count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_smooth_size_is_refused() {
        let mut planned = 0;
        for n in (1..=65536).filter(|n| crate::cpu::fft::smooth(*n) == *n) {
            for precision in [Precision::Single, Precision::Double] {
                let axis = Axis::plan(n, n, true, &Limits::LEAST, precision).unwrap_or_else(|e| panic!("{e}"));
                assert_eq!(axis.outer.n * axis.inner_points(), n);
                planned += 1;
            }
        }
        println!("{planned} plans");
    }
}
