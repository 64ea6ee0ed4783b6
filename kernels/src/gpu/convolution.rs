//! The demagnetising convolution as kernels: x forward, (y forward,) last axis with the product, (y backward,) x backward. Rows of zeros are neither
//! stored nor read. Spectra: `[re, im][replica][component][z][y][kx ≤ px/2]`, with all ky once y is transformed before z.

use super::fft::{Line, Registers, Way, twiddles};
use super::text::Names;
use crate::cpu::convolution::octant;
use crate::cpu::isa::Isa;
use crate::mesh::Mesh;
use crate::terms::demag::tensor::Tensor;
use spinloom_gpu::{Binding, Element, Kernel, Limits, Precision};
use std::fmt::Write;

/// A planned convolution.
pub struct Convolution {
    n: [usize; 3],
    padded: [usize; 3],
    precision: Precision,
    lines: [Line; 3],
    /// Where each axis' twiddles begin in the table.
    twiddles: [usize; 3],
    components: usize,
    /// `[component][kz ≤ pz/2][ky ≤ py/2][kx ≤ px/2]`, then the twiddles.
    pub table: Vec<f64>,
}

/// The next 7-smooth number.
fn smooth(n: usize) -> usize {
    crate::cpu::fft::smooth(n)
}

impl Convolution {
    /// Plans a mesh.
    ///
    /// # Errors
    /// In words, what the device cannot do.
    pub fn new(mesh: &Mesh, limits: &Limits, precision: Precision) -> Result<Self, String> {
        let n = mesh.n;
        let padded: [usize; 3] = std::array::from_fn(|a| match (mesh.pbc[a] > 0, n[a]) {
            (true, n) => n,
            (false, 1) => 1,
            (false, n) => smooth(2 * n - 1),
        });
        let mut lines = Vec::new();
        for (axis, n) in padded.into_iter().enumerate() {
            lines.push(Line::plan(n, axis > 0, limits, precision).map_err(|e| format!("along {}: {e}", ["x", "y", "z"][axis]))?);
        }
        let tensor = Tensor::new(mesh, padded);
        let components = tensor.values.iter().filter(|v| !v.is_empty()).count();
        let mut table = octant(&tensor, components, Isa::widest());
        let mut starts = [0; 3];
        for axis in 0..3 {
            starts[axis] = table.len();
            table.extend(twiddles(padded[axis]));
        }
        let lines: [Line; 3] = lines.try_into().expect("three axes");
        Ok(Self { n, padded, precision, lines, twiddles: starts, components, table })
    }

    /// Sizes of the circular grid.
    pub fn padded(&self) -> [usize; 3] {
        self.padded
    }

    fn wave_numbers(&self) -> usize {
        self.padded[0] / 2 + 1
    }

    /// Rows along x of one component of a spectrum.
    fn rows(&self) -> usize {
        self.n[2] * if self.n[2] > 1 { self.padded[1] } else { self.n[1] }
    }

    /// Reals of the spectrum of so many replicas.
    pub fn spectrum(&self, replicas: usize) -> usize {
        2 * replicas * 3 * self.rows() * self.wave_numbers()
    }

    /// The kernels, in order, and how many groups along x each takes. `m` and `b` are where the fields lie (text), `moment` the text of μ0 Ms in cell `cell`.
    pub fn kernels(&self, replicas: usize, names: &Names, m: &str, b: &str) -> Vec<(Kernel, u32)> {
        let [nx, ny, nz] = self.n;
        let [px, py, pz] = self.padded;
        let hx = self.wave_numbers();
        let stride_rows = if nz > 1 { py } else { ny };
        let imaginary = replicas * 3 * self.rows() * hx;
        let real = |name, writable| Binding { name, element: Element::Real, writable };
        let uint = |name, writable| Binding { name, element: Element::Uint, writable };
        let kernel = |name: &str, body: String, line: &Line, bindings: Vec<Binding>| Kernel {
            name: format!("demag {name}"),
            body,
            bindings,
            shared: vec![("sh".into(), line.shared())],
            group: line.group(),
            precision: self.precision,
        };
        let head = |out: &mut String| {
            out.push_str(&names.defines());
            out.push_str("KERNEL_MAIN {\n    int r = int(WG.y);\n    bool on = state[r * STATE_SIZE + STATUS] == 0u;\n");
        };
        let load = |out: &mut String, line: &Line, tag: &str, length: usize, text: &dyn Fn(&str) -> (String, String)| -> Registers {
            let mut registers: Registers = Vec::new();
            line.starts(|i, j, least, position| {
                if j == 0 {
                    registers.push(Vec::new());
                }
                let name = (format!("{tag}i{i}e{j}r"), format!("{tag}i{i}e{j}i"));
                if least >= length {
                    let _ = writeln!(out, "    REAL {} = REAL(0.0f);\n    REAL {} = REAL(0.0f);", name.0, name.1);
                } else {
                    let at = format!("{tag}i{i}e{j}p");
                    let (re, im) = text(&at);
                    // Beyond the end: read the last one, and drop it.
                    let _ = writeln!(
                        out,
                        "    int {at} = min({position}, {});\n    bool {at}z = {position} >= {length};\n    REAL {} = {at}z ? REAL(0.0f) : {re};\n    REAL {} = {at}z ? REAL(0.0f) : {im};",
                        length - 1,
                        name.0,
                        name.1
                    );
                }
                registers[i].push(name);
            });
            registers
        };
        let mut list = Vec::new();

        // x forward: each row of each component.
        let line = &self.lines[0];
        let mut body = String::new();
        head(&mut body);
        let rows = 3 * nz * ny;
        line.begin(&mut body, rows);
        let _ = write!(
            body,
            "    int c = line / {};\n    int row = line % {};\n    int from = {m} + (r * 3 + c) * CELLS + row * {nx};\n    int to = ((r * 3 + c) * {} + row / {ny} * {stride_rows} + row % {ny}) * {hx};\n",
            nz * ny,
            nz * ny,
            self.rows()
        );
        let registers = load(&mut body, line, "a", nx, &|at| {
            (format!("fields[from + {at}] * {}", names.moment(&format!("row * {nx} + {at}"))), "REAL(0.0f)".into())
        });
        let spectrum = line.transform(&mut body, "f", registers, Way::Forward, self.twiddles[0], self.precision);
        line.ends(Way::Forward, |i, j, least, position| {
            if least < hx {
                let (re, im) = &spectrum[i][j];
                let _ = writeln!(
                    body,
                    "    if (on && mine && {position} < {hx}) {{ spec[to + {position}] = {re}; spec[{imaginary} + to + {position}] = {im}; }}"
                );
            }
        });
        body.push_str("}\n");
        let bindings = vec![
            real("fields", false),
            real("par", false),
            uint("regions", false),
            uint("state", false),
            real("spec", true),
            real("tw", false),
        ];
        list.push((kernel("x forward", body, line, bindings), line.groups(rows)));

        let middle = vec![real("spec", true), real("tw", false), uint("state", false)];
        let column = |out: &mut String,
                      name: &str,
                      line: &Line,
                      count: usize,
                      base: &str,
                      step: usize,
                      input: usize,
                      output: usize,
                      way: Way| {
            head(out);
            line.begin(out, count);
            let _ = writeln!(out, "    int base = {base};");
            let registers = load(out, line, "a", input, &|at| {
                (format!("spec[base + {at} * {step}]"), format!("spec[{imaginary} + base + {at} * {step}]"))
            });
            let done = line.transform(out, name, registers, way, self.twiddles[1], self.precision);
            line.ends(Way::Forward, |i, j, least, position| {
                if least < output {
                    let (re, im) = &done[i][j];
                    let _ = writeln!(out, "    if (on && mine && {position} < {output}) {{ spec[base + {position} * {step}] = {re}; spec[{imaginary} + base + {position} * {step}] = {im}; }}");
                }
            });
            out.push_str("}\n");
        };
        let columns = 3 * nz * hx;
        let base = format!("(r * 3 + line / {}) * {} + line / {hx} % {nz} * {} + line % {hx}", nz * hx, self.rows() * hx, py * hx);
        if nz > 1 && py > 1 {
            let mut body = String::new();
            column(&mut body, "f", &self.lines[1], columns, &base, hx, ny, py, Way::Forward);
            list.push((kernel("y forward", body, &self.lines[1], middle.clone()), self.lines[1].groups(columns)));
        }

        // The last axis: three components forward, product, and back.
        let axis = if nz > 1 { 2 } else { 1 };
        let (line, length, count, step) = if axis == 2 { (&self.lines[2], nz, py * hx, py * hx) } else { (&self.lines[1], ny, hx, hx) };
        let mut body = String::new();
        head(&mut body);
        line.begin(&mut body, count);
        let mut forward = Vec::new();
        for c in 0..3 {
            let _ = writeln!(body, "    int base{c} = (r * 3 + {c}) * {} + line;", self.rows() * hx);
            let registers = load(&mut body, line, &format!("a{c}"), length, &|at| {
                (format!("spec[base{c} + {at} * {step}]"), format!("spec[{imaginary} + base{c} + {at} * {step}]"))
            });
            forward.push(line.transform(&mut body, &format!("f{c}"), registers, Way::Forward, self.twiddles[axis], self.precision));
        }
        let (half_y, half_z) = (py / 2 + 1, pz / 2 + 1);
        let block = half_z * half_y * hx;
        let points = self.padded[axis];
        let _ = writeln!(body, "    int kx = line % {hx};");
        if axis == 2 {
            let _ = writeln!(
                body,
                "    int ky = line / {hx};\n    int my = ky < {half_y} ? ky : {py} - ky;\n    REAL odd = ky < {half_y} ? REAL(1.0f) : REAL(-1.0f);"
            );
        }
        let mut backward: Vec<Registers> = vec![Vec::new(); 3];
        let mut product = String::new();
        line.ends(Way::Forward, |i, j, _, position| {
            let t = format!("p{i}e{j}");
            let half = points / 2 + 1;
            let _ = writeln!(
                product,
                "    int {t}k = {position};\n    bool {t}b = {t}k >= {half};\n    int {t}m = {t}b ? {points} - {t}k : {t}k;\n    REAL {t}s = {t}b ? REAL(-1.0f) : REAL(1.0f);"
            );
            let at = if axis == 2 { format!("({t}m * {half_y} + my) * {hx} + kx") } else { format!("{t}m * {hx} + kx") };
            let _ = writeln!(product, "    int {t}o = {at};");
            let component = |index: usize| format!("tw[{} + {t}o]", index * block);
            // Signs of xy, xz, yz: odd in both of their axes.
            let signs = if axis == 2 { ["odd".to_string(), format!("{t}s"), format!("odd * {t}s")] } else { [format!("{t}s"), String::new(), String::new()] };
            for (index, name) in ["xx", "yy", "zz"].into_iter().enumerate() {
                let _ = writeln!(product, "    REAL {t}{name} = {};", component(index));
            }
            let _ = writeln!(product, "    REAL {t}xy = {} * {};", signs[0], component(3));
            let full = self.components == 6;
            if full {
                let _ = writeln!(product, "    REAL {t}xz = {} * {};\n    REAL {t}yz = {} * {};", signs[1], component(4), signs[2], component(5));
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
            let done = line.transform(&mut body, &format!("b{c}"), registers, Way::Return, self.twiddles[axis], self.precision);
            line.ends(Way::Return, |i, j, least, position| {
                if least < length {
                    let (re, im) = &done[i][j];
                    let _ = writeln!(body, "    if (on && mine && {position} < {length}) {{ spec[base{c} + {position} * {step}] = {re}; spec[{imaginary} + base{c} + {position} * {step}] = {im}; }}");
                }
            });
        }
        body.push_str("}\n");
        list.push((kernel(if axis == 2 { "z and product" } else { "y and product" }, body, line, middle.clone()), line.groups(count)));

        if nz > 1 && py > 1 {
            let mut body = String::new();
            column(&mut body, "b", &self.lines[1], columns, &base, hx, py, ny, Way::Backward);
            list.push((kernel("y backward", body, &self.lines[1], middle.clone()), self.lines[1].groups(columns)));
        }

        // x backward: a row of real numbers from half of its spectrum.
        let line = &self.lines[0];
        let mut body = String::new();
        head(&mut body);
        line.begin(&mut body, rows);
        let _ = write!(
            body,
            "    int c = line / {};\n    int row = line % {};\n    int to = {b} + (r * 3 + c) * CELLS + row * {nx};\n    int from = ((r * 3 + c) * {} + row / {ny} * {stride_rows} + row % {ny}) * {hx};\n",
            nz * ny,
            nz * ny,
            self.rows()
        );
        let registers = load(&mut body, line, "a", px, &|at| {
            let mirrored = format!("({at} < {hx} ? {at} : {px} - {at})");
            (
                format!("spec[from + {mirrored}]"),
                format!("({at} < {hx} ? REAL(1.0f) : REAL(-1.0f)) * spec[{imaginary} + from + {mirrored}]"),
            )
        });
        let done = line.transform(&mut body, "b", registers, Way::Backward, self.twiddles[0], self.precision);
        line.ends(Way::Forward, |i, j, least, position| {
            if least < nx {
                let _ = writeln!(body, "    if (on && mine && {position} < {nx}) {{ fields[to + {position}] = {}; }}", done[i][j].0);
            }
        });
        body.push_str("}\n");
        let bindings = vec![real("fields", true), uint("state", false), real("spec", false), real("tw", false)];
        list.push((kernel("x backward", body, line, bindings), line.groups(rows)));
        list
    }
}
