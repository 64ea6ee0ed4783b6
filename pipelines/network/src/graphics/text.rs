//! The kernels of a network on a graphics device, one text for both interfaces: the subset of GLSL and CUDA C++ that [`spinloom_gpu`] describes.
//!
//! | kernel | what |
//! |---|---|
//! | [`product`] | c = a b in tiles: synaptic sums, gradients of weights (parted along the sum) and of inputs, of dense layers and convolutions |
//! | [`sum_parts`] | adds up the parts of a parted product |
//! | [`column_sums`], [`finish_sums`] | sums over all rows, channel by channel: biases, statistics of a normalisation and their way back |
//! | [`normalise`], [`normalise_back`] | batch normalisation |
//! | [`pool`], [`pool_back`] | means over squares |
//! | [`neurons`], [`neurons_back`] | neurons over all time steps, and the surrogate gradient back through them |
//! | [`spikes`] | Poisson trains from pixels |
//! | [`cross_entropy`] | loss, answer and gradient of each sample |
//! | [`adam`] | the optimiser's step of all parameters |
//! | [`copy`], [`ranges`], [`levels`] | the parameters in use from those that learn: on the levels of their devices |
//!
//! Arrays are those of [`crate::layers`]. The first word of `control` is the number of samples n, so a short batch runs with the same kernels.

use super::control;
use crate::layers::{Answer, Curve, Shape};
use crate::neuron::Reset;
use crate::synapse::Staircase;
use spinloom_gpu::{Binding, Element, HIGH, Kernel, PHILOX_ROUNDS, Precision, literal};
use std::fmt::Write as _;

/// Items of every group: the least that Vulkan promises.
pub(super) const GROUP: usize = 128;
/// Terms of a sum that a tile holds at once.
const DEEP: usize = 16;
/// Columns and rows of items in a group of [`product`].
const ACROSS: usize = 8;
const DOWN: usize = GROUP / ACROSS;
/// Channels side by side in a group of [`column_sums`].
pub(super) const CHANNELS: usize = 16;

fn float(v: f64) -> String {
    literal(v, Precision::Single)
}

fn kernel(name: impl Into<String>, bindings: &[(&'static str, bool)], shared: &[(&str, usize)], body: String) -> Kernel {
    let bind = |&(name, writable): &(&'static str, bool)| Binding {
        name,
        element: if name == "control" { Element::Uint } else { Element::Real },
        writable,
    };
    Kernel {
        name: name.into(),
        body,
        bindings: bindings.iter().map(bind).collect(),
        shared: shared.iter().map(|(n, l)| (n.to_string(), *l)).collect(),
        group: GROUP as u32,
        precision: Precision::Single,
    }
}

const SAMPLES: &str = "    int n = int(control[0]);\n";

/// Which of two indices of a factor lies next to itself in memory: neighbouring items read neighbours.
#[derive(Clone, Copy, PartialEq)]
enum Fast {
    /// The index that is summed over.
    Inner,
    /// The other one.
    Outer,
}

/// A factor of a product: the text that reads an element (of the first factor row `i` and term `k`, of the second term `k` and column `j`), and its fast index.
struct Factor {
    read: String,
    fast: Fast,
}

/// What a product computes.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Wanted {
    /// Sums of a layer, its bias added.
    Sums,
    /// Gradient of its weights.
    Weights,
    /// Gradient of its inputs.
    Inputs,
}

/// A dense layer (`kernel` 0) or a convolution, with so many rows of samples and steps for each sample of a batch.
#[derive(Clone, Copy)]
pub(super) struct Synapses {
    pub from: Shape,
    pub width: usize,
    pub kernel: usize,
    pub steps: usize,
    /// Where its weights and its bias begin among all parameters.
    pub weights: usize,
    pub bias: usize,
}

/// Rows, terms and columns of a product; of rows and terms, those of one sample where they grow with the samples.
pub(super) struct Extent {
    pub rows: usize,
    pub terms: usize,
    pub columns: usize,
}

impl Synapses {
    /// Inputs of a neuron.
    pub(super) fn fan(&self) -> usize {
        if self.kernel == 0 { self.from.iter().product() } else { self.kernel * self.kernel * self.from[2] }
    }

    fn pixels(&self) -> usize {
        if self.kernel == 0 { 1 } else { self.from[0] * self.from[1] }
    }

    pub(super) fn extent(&self, wanted: Wanted) -> Extent {
        let rows = self.steps * self.pixels();
        match wanted {
            Wanted::Sums => Extent { rows, terms: self.fan(), columns: self.width },
            Wanted::Weights => Extent { rows: self.fan(), terms: rows, columns: self.width },
            Wanted::Inputs if self.kernel == 0 => Extent { rows, terms: self.width, columns: self.fan() },
            Wanted::Inputs => Extent { rows, terms: self.kernel * self.kernel * self.width, columns: self.from[2] },
        }
    }

    /// A patch around a pixel (`pixel`, counted over rows of samples), its element `tap`: zero outside. The way back looks from the input, in the opposite direction.
    fn patch(&self, array: &str, channels: usize, pixel: &str, tap: &str, back: bool) -> String {
        let ([h, w, _], side, reach) = (self.from, self.kernel, self.kernel / 2);
        let look = if back { format!("{reach} - ky") } else { format!("ky - {reach}") };
        format!(
            "    int row = {pixel} / {pixels};\n    int p = {pixel} - row * {pixels};\n    int tap = {tap} / {channels};\n    int channel = {tap} - tap * {channels};\n    \
             int ky = tap / {side};\n    int kx = tap - ky * {side};\n    int y = p / {w} + {look};\n    int x0 = p - (p / {w}) * {w} + {};\n    \
             if (y < 0 || y >= {h} || x0 < 0 || x0 >= {w}) {{ return 0.0f; }}\n    return {array}[((row * {h} + y) * {w} + x0) * {channels} + channel];\n",
            look.replace("ky", "kx"),
            pixels = h * w,
        )
    }

    fn factors(&self, wanted: Wanted) -> [Factor; 2] {
        let (fan, width, weights) = (self.fan(), self.width, self.weights);
        let one = |read: String, fast| Factor { read: format!("    return {read};\n"), fast };
        match (wanted, self.kernel) {
            (Wanted::Sums, 0) => {
                [one(format!("x[i * {fan} + k]"), Fast::Inner), one(format!("w[{weights} + k * {width} + j]"), Fast::Outer)]
            }
            (Wanted::Weights, 0) => [one(format!("x[k * {fan} + i]"), Fast::Outer), one(format!("g[k * {width} + j]"), Fast::Outer)],
            (Wanted::Inputs, 0) => {
                [one(format!("g[i * {width} + k]"), Fast::Inner), one(format!("w[{weights} + j * {width} + k]"), Fast::Inner)]
            }
            (Wanted::Sums, _) => [
                Factor { read: self.patch("x", self.from[2], "i", "k", false), fast: Fast::Inner },
                one(format!("w[{weights} + k * {width} + j]"), Fast::Outer),
            ],
            (Wanted::Weights, _) => [
                Factor { read: self.patch("x", self.from[2], "k", "i", false), fast: Fast::Outer },
                one(format!("g[k * {width} + j]"), Fast::Outer),
            ],
            (Wanted::Inputs, _) => [
                Factor { read: self.patch("g", width, "i", "k", true), fast: Fast::Inner },
                one(format!("w[{weights} + ((k / {width}) * {} + j) * {width} + k % {width}]", self.from[2]), Fast::Inner),
            ],
        }
    }
}

/// How a product is cut: numbers of rows and columns that one item computes, and terms of one part.
#[derive(Clone, Copy)]
pub(super) struct Cut {
    pub rows: usize,
    pub columns: usize,
    pub part: usize,
}

impl Cut {
    /// So that a batch of so many samples makes enough groups to fill a large device, of tiles as large as that allows. Returns the groups too.
    pub(super) fn of(e: &Extent, wanted: Wanted, samples: usize) -> (Cut, [u32; 3]) {
        const ENOUGH: usize = 256;
        let (rows, terms) = if wanted == Wanted::Weights { (e.rows, e.terms * samples) } else { (e.rows * samples, e.terms) };
        let columns = e.columns.div_ceil(ACROSS).min(8);
        let across = e.columns.div_ceil(ACROSS * columns);
        let mut each = 8;
        while each > 1 && (rows.div_ceil(DOWN * each) * across < ENOUGH && wanted != Wanted::Weights || DOWN * each / 2 >= rows) {
            each /= 2;
        }
        let tiles = rows.div_ceil(DOWN * each) * across;
        // Only gradients of weights are sums long enough to be parted; each part fills some tiles.
        let parts = if wanted == Wanted::Weights { (2 * ENOUGH).div_ceil(tiles).min(terms.div_ceil(8 * DEEP)).max(1) } else { 1 };
        let part = terms.div_ceil(parts).next_multiple_of(DEEP);
        let groups = [rows.div_ceil(DOWN * each) as u32, across as u32, terms.div_ceil(part) as u32];
        (Cut { rows: each, columns, part }, groups)
    }
}

/// c = a b. Each group computes a tile, and of it each item some rows and columns in registers, from slices of both factors in shared memory. A parted product writes its
/// parts one after another, all others the layer's sums, the gradients of inputs, or of weights in their place.
pub(super) fn product(s: &Synapses, wanted: Wanted, cut: Cut, parted: bool) -> Kernel {
    let e = s.extent(wanted);
    let [a, b] = s.factors(wanted);
    let (tall, wide) = (DOWN * cut.rows, ACROSS * cut.columns);
    // Odd multiples of four keep the columns of a slice in different banks.
    let (pitch_a, pitch_b) = (tall + 4, wide + 4);
    let of_n = |m: usize| if m == 1 { "n".to_string() } else { format!("n * {m}") };
    let (rows, terms) = if wanted == Wanted::Weights { (e.rows.to_string(), of_n(e.terms)) } else { (of_n(e.rows), e.terms.to_string()) };
    let mut body = format!("FN float first(int i, int k) {{\n{}}}\nFN float second(int k, int j) {{\n{}}}\n", a.read, b.read);
    let _ = write!(
        body,
        "KERNEL_MAIN {{\n{SAMPLES}    int rows = {rows};\n    int terms = {terms};\n    int row0 = int(WG.x) * {tall};\n    int column0 = int(WG.y) * {wide};\n    \
         int item = int(LID.x);\n    int tx = item % {ACROSS};\n    int ty = item / {ACROSS};\n    int k0 = int(WG.z) * {part};\n    int end = min(k0 + {part}, terms);\n    \
         if (row0 >= rows) {{ end = k0; }}\n",
        part = cut.part
    );
    for r in 0..cut.rows {
        let zeros: Vec<String> = (0..cut.columns).map(|c| format!("c{r}_{c} = 0.0f")).collect();
        let _ = writeln!(body, "    float {};", zeros.join(", "));
    }
    body.push_str("    for (; k0 < end; k0 += DEEP_) {\n".replace("DEEP_", &DEEP.to_string()).as_str());
    let mut load = |name: &str, outer: &str, begin: &str, limit: &str, size: usize, pitch: usize, fast: Fast, call: &str| {
        for e in 0..size * DEEP / GROUP {
            let (k, o) = match fast {
                Fast::Inner => (format!("item % {DEEP}"), format!("item / {DEEP} + {}", e * GROUP / DEEP)),
                Fast::Outer => (format!("(item + {}) / {size}", e * GROUP), format!("(item + {}) % {size}", e * GROUP)),
            };
            let _ = writeln!(
                body,
                "        {{ int k = {k}; int o = {o}; {name}[k * {pitch} + o] = ({begin} + o < {limit} && k0 + k < end) ? {} : 0.0f; }}",
                call.replace(outer, &format!("{begin} + o")).replace("@k", "k0 + k")
            );
        }
    };
    load("slice_a", "@i", "row0", "rows", tall, pitch_a, a.fast, "first(@i, @k)");
    load("slice_b", "@j", "column0", &e.columns.to_string(), wide, pitch_b, b.fast, "second(@k, @j)");
    let _ = writeln!(body, "        BARRIER();\n        for (int k = 0; k < {DEEP}; k += 1) {{");
    for r in 0..cut.rows {
        let _ = writeln!(body, "            float a{r} = slice_a[k * {pitch_a} + ty + {}];", r * DOWN);
    }
    for c in 0..cut.columns {
        let _ = writeln!(body, "            float b{c} = slice_b[k * {pitch_b} + tx + {}];", c * ACROSS);
    }
    for r in 0..cut.rows {
        body.push_str("           ");
        (0..cut.columns).for_each(|c| {
            let _ = write!(body, " c{r}_{c} += a{r} * b{c};");
        });
        body.push('\n');
    }
    body.push_str("        }\n        BARRIER();\n    }\n");
    let columns = e.columns;
    for r in 0..cut.rows {
        for c in 0..cut.columns {
            let (i, j) = (format!("(row0 + ty + {})", r * DOWN), format!("(column0 + tx + {})", c * ACROSS));
            let value = if wanted == Wanted::Sums { format!("c{r}_{c} + w[{} + {j}]", s.bias) } else { format!("c{r}_{c}") };
            let place = match (wanted, parted) {
                (Wanted::Weights, true) => format!("c[(int(WG.z) * rows + {i}) * {columns} + {j}]"),
                (Wanted::Weights, false) => format!("c[{} + {i} * {columns} + {j}]", s.weights),
                _ => format!("c[{i} * {columns} + {j}]"),
            };
            let _ = writeln!(body, "    if ({i} < rows && {j} < {columns}) {{ {place} = {value}; }}");
        }
    }
    body.push_str("}\n");
    let bindings: &[(&'static str, bool)] = match wanted {
        Wanted::Sums => &[("control", false), ("x", false), ("w", false), ("c", true)],
        Wanted::Weights => &[("control", false), ("x", false), ("g", false), ("c", true)],
        Wanted::Inputs => &[("control", false), ("g", false), ("w", false), ("c", true)],
    };
    let name = match wanted {
        Wanted::Sums => "synaptic sums",
        Wanted::Weights => "gradient of weights",
        Wanted::Inputs => "gradient of inputs",
    };
    kernel(name, bindings, &[("slice_a", DEEP * pitch_a), ("slice_b", DEEP * pitch_b)], body)
}

/// The parts of a gradient of `size` weights, added in order.
pub(super) fn sum_parts(size: usize, parts: usize, to: usize) -> Kernel {
    let body = format!(
        "KERNEL_MAIN {{\n    int i = int(GID.x);\n    if (i < {size}) {{\n        float sum = 0.0f;\n        for (int p = 0; p < {parts}; p += 1) {{ sum += part[p * {size} + i]; }}\n        gradient[{to} + i] = sum;\n    }}\n}}\n"
    );
    kernel("sum of parts", &[("part", false), ("gradient", true)], &[], body)
}

/// What is summed over rows, and what becomes of the sums.
#[derive(Clone, Copy)]
pub(super) enum Columns {
    /// Gradient of a bias.
    Bias { to: usize },
    /// Mean and variance of a batch, and the running ones. Sums are of differences to the first row, lest the variance be a small difference of large squares.
    Statistics,
    /// Gradients of scale and shift.
    Normalised { scale: usize, shift: usize },
}

/// Most chunks of rows: what one group adds up at the end.
pub(super) const CHUNKS: usize = GROUP;

/// Rows of a chunk, if a batch of so many samples has so many.
pub(super) fn chunk(rows: usize, samples: usize) -> usize {
    (rows * samples).div_ceil(CHUNKS).max(16)
}

const HALVE: &str = "    for (int reach = WIDE / 2; reach >= LEAST; reach = reach / 2) {\n        if (item < reach) { s0[item] += s0[item + reach]; s1[item] += s1[item + reach]; }\n        BARRIER();\n    }\n";

fn halve(least: usize) -> String {
    HALVE.replace("WIDE", &GROUP.to_string()).replace("LEAST", &least.to_string())
}

/// Sums over chunks of rows: (chunk, channel).
pub(super) fn column_sums(what: Columns, rows: usize, channels: usize, chunk: usize) -> Kernel {
    let lanes = GROUP / CHANNELS;
    let add = match what {
        Columns::Bias { .. } => "a += g[at];".to_string(),
        Columns::Statistics => "float d = x[at] - x[k]; a += d; b += d * d;".to_string(),
        Columns::Normalised { .. } => {
            format!("a += g[at]; b += g[at] * (x[at] - statistics[k]) / sqrt(statistics[{channels} + k] + {});", float(1e-5))
        }
    };
    let body = format!(
        "KERNEL_MAIN {{\n{SAMPLES}    int item = int(LID.x);\n    int k = int(WG.y) * {CHANNELS} + item % {CHANNELS};\n    int r = int(WG.x) * {chunk} + item / {CHANNELS};\n    \
         int end = min((int(WG.x) + 1) * {chunk}, n * {rows});\n    float a = 0.0f;\n    float b = 0.0f;\n    \
         if (k < {channels}) {{ for (; r < end; r += {lanes}) {{ int at = r * {channels} + k; {add} }} }}\n    \
         s0[item] = a;\n    s1[item] = b;\n    BARRIER();\n{}    \
         if (item < {CHANNELS} && k < {channels}) {{ int at = 2 * (int(WG.x) * {channels} + k); part[at] = s0[item]; part[at + 1] = s1[item]; }}\n}}\n",
        halve(CHANNELS)
    );
    let bindings: &[(&'static str, bool)] = match what {
        Columns::Bias { .. } => &[("control", false), ("g", false), ("part", true)],
        Columns::Statistics => &[("control", false), ("x", false), ("part", true)],
        Columns::Normalised { .. } => &[("control", false), ("g", false), ("x", false), ("statistics", false), ("part", true)],
    };
    kernel("sums over rows", bindings, &[("s0", GROUP), ("s1", GROUP)], body)
}

/// Adds the chunks up, a group a channel.
pub(super) fn finish_sums(what: Columns, rows: usize, channels: usize, chunk: usize) -> Kernel {
    let then = match what {
        Columns::Bias { to } => format!("gradient[{to} + k] = s0[0];"),
        Columns::Statistics => format!(
            "float m = float(n * {rows}); float d = s0[0] / m; float mean = x[k] + d; float variance = max(s1[0] / m - d * d, 0.0f); \
             statistics[k] = mean; statistics[{channels} + k] = variance; \
             running[k] = 0.9f * running[k] + 0.1f * mean; running[{channels} + k] = 0.9f * running[{channels} + k] + 0.1f * variance;"
        ),
        Columns::Normalised { scale, shift } => format!("gradient[{scale} + k] = s1[0]; gradient[{shift} + k] = s0[0];"),
    };
    let body = format!(
        "KERNEL_MAIN {{\n{SAMPLES}    int item = int(LID.x);\n    int k = int(WG.x);\n    bool there = item * {chunk} < n * {rows};\n    int at = 2 * (item * {channels} + k);\n    \
         s0[item] = there ? part[at] : 0.0f;\n    s1[item] = there ? part[at + 1] : 0.0f;\n    BARRIER();\n{}    if (item == 0) {{ {then} }}\n}}\n",
        halve(1)
    );
    let bindings: &[(&'static str, bool)] = match what {
        Columns::Statistics => &[("control", false), ("x", false), ("part", false), ("statistics", true), ("running", true)],
        _ => &[("control", false), ("part", false), ("gradient", true)],
    };
    kernel("sums of all rows", bindings, &[("s0", GROUP), ("s1", GROUP)], body)
}

/// y = (x − mean) scale/√(variance + 10⁻⁵) + shift.
pub(super) fn normalise(rows: usize, channels: usize, scale: usize, shift: usize) -> Kernel {
    let body = format!(
        "KERNEL_MAIN {{\n{SAMPLES}    int i = int(GID.x);\n    if (i < n * {}) {{\n        int k = i % {channels};\n        \
         y[i] = (x[i] - statistics[k]) * (w[{scale} + k] / sqrt(statistics[{channels} + k] + {})) + w[{shift} + k];\n    }}\n}}\n",
        rows * channels,
        float(1e-5)
    );
    kernel("normalisation", &[("control", false), ("x", false), ("statistics", false), ("w", false), ("y", true)], &[], body)
}

/// Its way back, with the gradients of scale (Σ g z) and shift (Σ g) at hand: dx = scale/σ (g − Σ g/m − z Σ g z/m).
pub(super) fn normalise_back(rows: usize, channels: usize, scale: usize, shift: usize) -> Kernel {
    let body = format!(
        "KERNEL_MAIN {{\n{SAMPLES}    int i = int(GID.x);\n    if (i < n * {}) {{\n        int k = i % {channels};\n        float m = float(n * {rows});\n        \
         float inverse = 1.0f / sqrt(statistics[{channels} + k] + {});\n        float z = (x[i] - statistics[k]) * inverse;\n        \
         dx[i] = inverse * w[{scale} + k] * (g[i] - gradient[{shift} + k] / m - z * gradient[{scale} + k] / m);\n    }}\n}}\n",
        rows * channels,
        float(1e-5)
    );
    let bindings = [("control", false), ("g", false), ("x", false), ("statistics", false), ("w", false), ("gradient", false), ("dx", true)];
    kernel("normalisation, back", &bindings, &[], body)
}

/// Means over squares; `rows` arrays a sample.
pub(super) fn pool(rows: usize, [h, w, c]: Shape, size: usize) -> Kernel {
    let (oh, ow) = (h / size, w / size);
    let body = format!(
        "KERNEL_MAIN {{\n{SAMPLES}    int i = int(GID.x);\n    if (i < n * {}) {{\n        int k = i % {c};\n        int p = i / {c};\n        int row = p / {};\n        int q = p - row * {};\n        \
         int at = ((row * {h} + (q / {ow}) * {size}) * {w} + (q % {ow}) * {size}) * {c} + k;\n        float sum = 0.0f;\n        \
         for (int a = 0; a < {size}; a += 1) {{ for (int b = 0; b < {size}; b += 1) {{ sum += x[at + (a * {w} + b) * {c}]; }} }}\n        y[i] = {} * sum;\n    }}\n}}\n",
        rows * oh * ow * c,
        oh * ow,
        oh * ow,
        float(1.0 / (size * size) as f64)
    );
    kernel("pool", &[("control", false), ("x", false), ("y", true)], &[], body)
}

/// Its way back: what lies outside the squares has no gradient.
pub(super) fn pool_back(rows: usize, [h, w, c]: Shape, size: usize) -> Kernel {
    let (oh, ow) = (h / size, w / size);
    let body = format!(
        "KERNEL_MAIN {{\n{SAMPLES}    int i = int(GID.x);\n    if (i < n * {}) {{\n        int k = i % {c};\n        int p = i / {c};\n        int row = p / {};\n        int q = p - row * {};\n        \
         int a = (q / {w}) / {size};\n        int b = (q % {w}) / {size};\n        float v = 0.0f;\n        \
         if (a < {oh} && b < {ow}) {{ v = {} * g[((row * {oh} + a) * {ow} + b) * {c} + k]; }}\n        dx[i] = v;\n    }}\n}}\n",
        rows * h * w * c,
        h * w,
        h * w,
        float(1.0 / (size * size) as f64)
    );
    kernel("pool, back", &[("control", false), ("g", false), ("dx", true)], &[], body)
}

/// Stands in h for a neuron that slept: no gradient comes back there. No membrane is as large.
const SLEPT: &str = "1e30f";

/// `chance`: a number of (0, 1] from one word of Philox, as [`spinloom_base::random::open_unit`].
fn chances() -> String {
    format!(
        "{HIGH}FN float open_unit(uint bits) {{ return bits == 0xffffffffu ? 1.0f : float(bits + 1u) * 2.3283064365386963e-10f; }}\n\
         FN float chance(uint c0, uint c1, uint c2, uint c3, uint k0, uint k1, int word) {{\n{PHILOX_ROUNDS}    \
         return open_unit(word == 0 ? c0 : (word == 1 ? c1 : (word == 2 ? c2 : c3)));\n}}\n"
    )
}

/// Where the drive of step `t` stands.
fn drive(repeated: bool) -> &'static str {
    if repeated { "x[i]" } else { "x[t * width + i]" }
}

/// Text that keeps a number between bounds, where there are any.
fn within(value: &str, low: Option<f64>, high: Option<f64>) -> String {
    let low = low.map_or(value.to_string(), |v| format!("max({value}, {})", float(v)));
    high.map_or(low.clone(), |v| format!("min({low}, {})", float(v)))
}

fn bound(v: f32) -> Option<f64> {
    v.is_finite().then_some(f64::from(v))
}

/// The drive d on a curve, without its floor.
fn logistic(c: &Curve) -> String {
    let d = within("d", bound(c.low), bound(c.high));
    format!("1.0f / (1.0f + exp(-{} * ({d} - {})))", float(f64::from(c.slope)), float(f64::from(c.middle)))
}

/// The answer to the drive d on a curve.
fn on_curve(c: &Curve) -> String {
    let floor = f64::from(c.floor);
    if floor == 0.0 { logistic(c) } else { format!("{} + {} * ({})", float(floor), float(1.0 - floor), logistic(c)) }
}

/// Neurons of one layer over `steps`: spikes or answers `y`, what is compared with the threshold `h`, and the sum of |y| of each group. `repeated`: the same drive in every step.
pub(super) fn neurons(answer: &Answer, features: usize, steps: usize, repeated: bool, layer: usize) -> Kernel {
    let chance = format!(
        "chance(uint(i), uint(t), control[{}], 79u, control[{}] ^ {layer}u, control[{}], 0)",
        control::KEY + 2,
        control::KEY,
        control::KEY + 1
    );
    // From u and d to h[at], s and the next u.
    let step = match answer {
        Answer::Membrane { mapping: m, signed, .. } => {
            let down = if *signed { " else if (v <= -1.0f) { s = -1.0f; }" } else { "" };
            let after = match m.reset {
                Reset::Hard => "s != 0.0f ? 0.0f : v",
                Reset::Soft => "v - s",
            };
            let fire = if m.refractory_steps > 0 { format!("if (s != 0.0f) {{ wait = {}; }}", m.refractory_steps) } else { String::new() };
            let run = format!(
                "float v = {}; if (v >= 1.0f) {{ s = 1.0f; }}{down} h[at] = v; u = {}; {fire}",
                within(
                    &format!("({} * u - {} + {} * {})", float(m.decay_on), float(m.leak_on), float(m.gain), within("d", m.x_min, m.x_max)),
                    m.u_min,
                    m.u_max
                ),
                within(&format!("({} * ({after}) - {})", float(m.decay_off), float(m.leak_off)), m.u_min, None),
            );
            if m.refractory_steps > 0 { format!("if (wait > 0) {{ wait -= 1; h[at] = {SLEPT}; u = 0.0f; }} else {{ {run} }}") } else { run }
        }
        Answer::Thermal { decay, slope } => format!(
            "float q = max(d, 0.0f); float v = {} * u + q * q; h[at] = v; float p = 1.0f - exp(-exp(min({} * (v - 1.0f), 20.0f))); if ({chance} <= p) {{ s = 1.0f; }} u = s > 0.0f ? 0.0f : v;",
            float(f64::from(*decay)),
            float(f64::from(*slope))
        ),
        Answer::Firing(c) => format!("if ({chance} <= {}) {{ s = 1.0f; }}", on_curve(c)),
        Answer::PBit => format!("s = {chance} <= 0.5f * (1.0f + tanh(d)) ? 1.0f : -1.0f;"),
        Answer::Linear { top } => format!("s = {};", within("d", Some(0.0), bound(*top))),
        Answer::Sigmoid(c) => format!("s = {};", on_curve(c)),
        Answer::Tanh => "s = tanh(d);".into(),
        Answer::Sign => "s = d >= 0.0f ? 1.0f : -1.0f;".into(),
    };
    let random = matches!(answer, Answer::Thermal { .. } | Answer::Firing(_) | Answer::PBit);
    let mut body = if random { chances() } else { String::new() };
    let _ = write!(
        body,
        "KERNEL_MAIN {{\n{SAMPLES}    int width = n * {features};\n    int i = int(GID.x);\n    int item = int(LID.x);\n    float sum = 0.0f;\n    if (i < width) {{\n        float u = 0.0f;\n        int wait = 0;\n        \
         for (int t = 0; t < {steps}; t += 1) {{\n            int at = t * width + i;\n            float d = {};\n            float s = 0.0f;\n            {step}\n            y[at] = s;\n            sum += max(s, -s);\n        }}\n    }}\n    \
         s0[item] = sum;\n    BARRIER();\n    for (int reach = {}; reach >= 1; reach = reach / 2) {{\n        if (item < reach) {{ s0[item] += s0[item + reach]; }}\n        BARRIER();\n    }}\n    \
         if (item == 0) {{ activity[int(WG.x)] = s0[0]; }}\n}}\n",
        drive(repeated),
        GROUP / 2
    );
    let mut bindings = vec![("control", false), ("x", false), ("y", true), ("activity", true)];
    if keeps_h(answer) {
        bindings.push(("h", true));
    }
    kernel("neurons", &bindings, &[("s0", GROUP)], body)
}

/// Whether the way back needs what the membrane was.
pub(super) fn keeps_h(answer: &Answer) -> bool {
    matches!(answer, Answer::Membrane { .. } | Answer::Thermal { .. })
}

/// From the gradient of the answers to that of the drives.
pub(super) fn neurons_back(answer: &Answer, features: usize, steps: usize, repeated: bool) -> Kernel {
    // From gs, du, d, h[at] and y[at] to the gradient of the drive and the next du.
    let step = match answer {
        Answer::Membrane { mapping: m, signed, k } => {
            // The surrogate: k/2/(1 + (π k v/2)²).
            let k = f64::from(*k);
            let surrogate =
                |v: &str| format!("{} / (1.0f + ({p} * {v}) * ({p} * {v}))", float(0.5 * k), p = float(std::f64::consts::FRAC_PI_2 * k));
            let mut slope = surrogate("(v - 1.0f)");
            if *signed {
                slope = format!("{slope} + {}", surrogate("(v + 1.0f)"));
            }
            let kept = match m.reset {
                Reset::Soft => float(m.decay_off),
                Reset::Hard => format!("(y[at] == 0.0f ? {} : 0.0f)", float(m.decay_off)),
            };
            let mut run = format!("float dh = gs * ({slope}) + du * {kept};");
            for (limit, text) in [(m.u_min, "v <= L && dh > 0.0f"), (m.u_max, "v >= L && dh < 0.0f")] {
                if let Some(l) = limit {
                    let _ = write!(run, " if ({}) {{ dh = 0.0f; }}", text.replace('L', &float(l)));
                }
            }
            let _ = write!(run, " now = {} * dh;", float(m.gain));
            for (limit, text) in [(m.x_min, "d < L && now > 0.0f"), (m.x_max, "d > L && now < 0.0f")] {
                if let Some(l) = limit {
                    let _ = write!(run, " if ({}) {{ now = 0.0f; }}", text.replace('L', &float(l)));
                }
            }
            let _ = write!(run, " du = {} * dh;", float(m.decay_on));
            format!("float v = h[at]; if (v >= {SLEPT}) {{ du = 0.0f; }} else {{ {run} }}")
        }
        Answer::Thermal { decay, slope } => {
            let slope = float(f64::from(*slope));
            format!(
                "float a = min({slope} * (h[at] - 1.0f), 20.0f); float dh = gs * {slope} * exp(a - exp(a)) + (y[at] > 0.0f ? 0.0f : du); now = dh * 2.0f * max(d, 0.0f); du = {} * dh;",
                float(f64::from(*decay))
            )
        }
        Answer::Firing(c) | Answer::Sigmoid(c) => {
            let mut text = format!(
                "float p = {}; now = gs * {} * p * (1.0f - p);",
                logistic(c),
                float(f64::from(c.slope) * (1.0 - f64::from(c.floor)))
            );
            for (end, words) in [(c.low, "d < L && now > 0.0f"), (c.high, "d > L && now < 0.0f")] {
                if let Some(end) = bound(end) {
                    let _ = write!(text, " if ({}) {{ now = 0.0f; }}", words.replace('L', &float(end)));
                }
            }
            text
        }
        Answer::PBit | Answer::Tanh => "float a = tanh(d); now = gs * (1.0f - a * a);".into(),
        Answer::Linear { top } => {
            let below = bound(*top).map_or(String::new(), |t| format!(" && d < {}", float(t)));
            format!("now = d > 0.0f{below} ? gs : 0.0f;")
        }
        Answer::Sign => "now = max(d, -d) <= 1.0f ? gs : 0.0f;".into(),
    };
    let (each, last) = if repeated { ("sum += now;", "dx[i] = sum;") } else { ("dx[at] = now;", "") };
    let body = format!(
        "KERNEL_MAIN {{\n{SAMPLES}    int width = n * {features};\n    int i = int(GID.x);\n    if (i < width) {{\n        float du = 0.0f;\n        float sum = 0.0f;\n        \
         for (int t = {} - 1; t >= 0; t -= 1) {{\n            int at = t * width + i;\n            float d = {};\n            float gs = g[at];\n            float now = 0.0f;\n            {step}\n            {each}\n        }}\n        {last}\n    }}\n}}\n",
        steps,
        drive(repeated)
    );
    let mut bindings = vec![("control", false), ("g", false), ("x", false), ("dx", true)];
    if keeps_h(answer) {
        bindings.extend([("h", false), ("y", false)]);
    }
    kernel("neurons, back", &bindings, &[], body)
}

/// Poisson trains: a spike where a number drawn for (pixel, step, sample) is not above the pixel's value. The draws are those of the processor, to the bit.
pub(super) fn spikes(features: usize, steps: usize, batch: usize) -> Kernel {
    let body = format!(
        "{}KERNEL_MAIN {{\n{SAMPLES}    int i = int(GID.x);\n    if (i < n * {features}) {{\n        int which = i / {features};\n        int j = i - which * {features};\n        float rate = pixels[i];\n        \
         for (int t = 0; t < {steps}; t += 1) {{\n            float u = chance(uint(j / 4), control[{} + which], control[{}], uint(80 + t), control[{}], control[{}], j % 4);\n            \
         x[t * n * {features} + i] = u <= rate ? 1.0f : 0.0f;\n        }}\n    }}\n}}\n",
        chances(),
        control::LABELS + batch,
        control::PHASE,
        control::KEY,
        control::KEY + 1
    );
    kernel("Poisson trains", &[("control", false), ("pixels", false), ("x", true)], &[], body)
}

/// Softmax of scale × the mean over steps: of each sample the loss and the answer (the last of equals), and the gradient of the outputs.
pub(super) fn cross_entropy(classes: usize, steps: usize, scale: f64) -> Kernel {
    let body = format!(
        "KERNEL_MAIN {{\n{SAMPLES}    int i = int(GID.x);\n    if (i < n) {{\n        float z[{classes}];\n        int label = int(control[{labels} + i]);\n        float top = -3e38f;\n        int answer = 0;\n        \
         for (int c = 0; c < {classes}; c += 1) {{\n            float sum = 0.0f;\n            for (int t = 0; t < {steps}; t += 1) {{ sum += y[(t * n + i) * {classes} + c]; }}\n            \
         z[c] = {share} * sum;\n            if (z[c] >= top) {{ top = z[c]; answer = c; }}\n        }}\n        float sum = 0.0f;\n        \
         for (int c = 0; c < {classes}; c += 1) {{ sum += exp(z[c] - top); }}\n        result[2 * i] = log(sum) - (z[label] - top);\n        result[2 * i + 1] = float(answer);\n        \
         for (int c = 0; c < {classes}; c += 1) {{\n            float d = (exp(z[c] - top) / sum - (c == label ? 1.0f : 0.0f)) * {share} / float(n);\n            \
         for (int t = 0; t < {steps}; t += 1) {{ g[(t * n + i) * {classes} + c] = d; }}\n        }}\n    }}\n}}\n",
        labels = control::LABELS,
        share = float(scale / steps as f64)
    );
    kernel("cross-entropy", &[("control", false), ("y", false), ("g", true), ("result", true)], &[], body)
}

/// The parameters in use are those that learn.
pub(super) fn copy(parameters: usize) -> Kernel {
    let body = format!("KERNEL_MAIN {{\n    int i = int(GID.x);\n    if (i < {parameters}) {{ used[i] = latent[i]; }}\n}}\n");
    kernel("parameters in use", &[("latent", false), ("used", true)], &[], body)
}

/// Largest weight of an array of so many weights from `from` on: [`crate::synapse::Synapse::w_max`]. One group reads it, in a fixed order.
pub(super) fn ranges(array: usize, from: usize, weights: usize, s: &Staircase) -> Kernel {
    let body = format!(
        "KERNEL_MAIN {{\n    int item = int(LID.x);\n    float a = 0.0f;\n    for (int i = item; i < {weights}; i += {GROUP}) {{ float w = latent[{from} + i]; a += w * w; }}\n    \
         s0[item] = a;\n    BARRIER();\n    for (int reach = {}; reach >= 1; reach = reach / 2) {{\n        if (item < reach) {{ s0[item] += s0[item + reach]; }}\n        BARRIER();\n    }}\n    \
         if (item == 0) {{ ranges[{array}] = max({} * sqrt(s0[0] * {}), 1e-30f); }}\n}}\n",
        GROUP / 2,
        float(s.range),
        float(1.0 / weights.max(1) as f64)
    );
    kernel("range of weights", &[("latent", false), ("ranges", true)], &[("s0", GROUP)], body)
}

/// The weights of an array on their levels: [`crate::synapse::Synapse::quantise`].
pub(super) fn levels(array: usize, from: usize, weights: usize, s: &Staircase) -> Kernel {
    let last = s.states.saturating_sub(1);
    let settle = match (s.states, s.bow) {
        (0 | 1, _) => String::new(),
        (_, 0.0) => format!("x = float(int(x * {0} + 0.5f)) / {0};", float(last as f64)),
        (states, bow) => format!(
            "float near = 4.0f; float at = 0.0f; for (int k = 0; k < {states}; k += 1) {{ float l = float(k) / {}; l = l + {} * l * (1.0f - l); float d = max(l - x, x - l); \
             if (d < near) {{ near = d; at = l; }} }} x = at;",
            float(last as f64),
            float(4.0 * bow)
        ),
    };
    let body = format!(
        "KERNEL_MAIN {{\n    int i = int(GID.x);\n    if (i < {weights}) {{\n        float top = ranges[{array}];\n        float w = latent[{from} + i];\n        \
         float x = min(max(w, -w) / top, 1.0f);\n        {settle}\n        used[{from} + i] = w < 0.0f ? -x * top : x * top;\n    }}\n}}\n"
    );
    kernel("levels", &[("latent", false), ("ranges", false), ("used", true)], &[], body)
}

/// Adam with decoupled decay of the first `decayed` parameters: [`crate::layers`], `update`.
pub(super) fn adam(parameters: usize, decayed: usize) -> Kernel {
    let at = |k: usize| format!("UNBITS(control[{}])", control::ADAM + k);
    let body = format!(
        "KERNEL_MAIN {{\n    int i = int(GID.x);\n    if (i < {parameters}) {{\n        float g = gradient[i];\n        float a = 0.9f * m[i] + 0.1f * g;\n        float b = 0.999f * v[i] + 0.001f * g * g;\n        \
         m[i] = a;\n        v[i] = b;\n        float decay = i < {decayed} ? {} : 0.0f;\n        w[i] = w[i] - ({} * (a / {}) / (sqrt(b / {}) + 1e-8f) + decay * w[i]);\n    }}\n}}\n",
        at(1),
        at(0),
        at(2),
        at(3)
    );
    kernel("Adam", &[("control", false), ("gradient", false), ("m", true), ("v", true), ("w", true)], &[], body)
}
