//! Transforms of lines as kernel text: Stockham's autosort method (C. Van Loan, Computational Frameworks for the Fast Fourier Transform (1992),
//! section 1.7) for every length whose prime factors are at most 7, emitted as straight-line code on named locals.
//!
//! A group transforms `lines` lines at once; `threads` items share a line. An item keeps its elements in registers; between stages they change
//! hands through one shared array of reals, real parts first, then imaginary ones, so that a line of n points needs n reals of shared
//! memory. Items without work repeat their neighbour's: they write the same values to the same places, and nobody branches.

use spinloom_gpu::{Limits, Precision, literal};
use std::f64::consts::TAU;
use std::fmt::Write;

/// Elements that an item holds, if the group may be as large as that takes.
const HELD: usize = 8;
/// Items in a group beyond which nothing is gained, but for lines so long that an item would hold more than [`HELD`] elements: three components of
/// sixteen do not fit its registers.
const GROUP: usize = 256;
const LARGEST: usize = 512;

/// How lines of one length are transformed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Number of points.
    pub n: usize,
    /// Radices of the stages, in order.
    pub radices: Vec<usize>,
    /// Items that share a line.
    pub threads: usize,
    /// Lines of a group.
    pub lines: usize,
    /// Whether neighbouring items take neighbouring lines (lines across the memory) or neighbouring points (lines along it).
    pub across: bool,
}

/// Which way, and in which order of stages. Backward transforms are unscaled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Forward.
    Forward,
    /// Backward.
    Backward,
    /// Backward with the stages in reverse: starts on the registers that a forward transform ends with.
    Return,
}

/// A complex register: the names of its parts.
pub type Register = (String, String);

/// The registers of an item: `[butterfly][element]`.
pub type Registers = Vec<Vec<Register>>;

impl Line {
    /// Plans lines of `n` points for a device. A pure function of the limits.
    ///
    /// # Errors
    /// In words, why it cannot be done: a prime factor above 7, or a line longer than the shared memory holds.
    pub fn plan(n: usize, across: bool, limits: &Limits, precision: Precision) -> Result<Line, String> {
        let mut radices = Vec::new();
        let mut rest = n;
        for r in [7, 5, 3, 8, 4, 2] {
            while rest.is_multiple_of(r) {
                radices.push(r);
                rest /= r;
            }
        }
        if rest != 1 {
            return Err(format!("{n} has a prime factor above 7"));
        }
        // A stage of 8 and one of 2 are worse than two of 4.
        if let Some(at) = radices.windows(2).position(|w| w == [8, 2]) {
            radices.splice(at..at + 2, [4, 4]);
        }
        if radices.is_empty() {
            radices.push(1);
        }
        let bytes = precision.bytes();
        let room = limits.shared / bytes / n;
        if room == 0 {
            return Err(format!("a line of {n} points needs {} bytes of shared memory, this device has {}", n * bytes, limits.shared));
        }
        let smallest = radices.iter().max().copied().unwrap_or(1);
        let threads = n.div_ceil(HELD.max(smallest)).min(LARGEST).min(limits.group as usize);
        let lines = (GROUP.min(limits.group as usize) / threads).min(room).clamp(1, 16);
        Ok(Line { n, radices, threads, lines, across })
    }

    /// Items in a group.
    pub fn group(&self) -> u32 {
        (self.threads * self.lines) as u32
    }

    /// Reals of shared memory.
    pub fn shared(&self) -> usize {
        if self.radices.len() > 1 { self.n * self.lines } else { 1 }
    }

    /// Groups for so many lines.
    pub fn groups(&self, lines: usize) -> u32 {
        lines.div_ceil(self.lines) as u32
    }

    /// Declares `t`, the item's place in its line, `line`, which of `count` lines it is, and `mine`: beyond the last line items go along with it, but
    /// must not write, for in place they might read what it has written.
    pub fn begin(&self, out: &mut String, count: usize) {
        let (w, t) = if self.across { ("lid % LINES", "lid / LINES") } else { ("lid / THREADS", "lid % THREADS") };
        let _ = write!(
            out,
            "    int lid = int(LID.x);\n    int w = {};\n    int t = {};\n    int line = min(int(WG.x) * {lines} + w, {});\n    bool mine = int(WG.x) * {lines} + w < {count};\n",
            w.replace("LINES", &self.lines.to_string()).replace("THREADS", &self.threads.to_string()),
            t.replace("LINES", &self.lines.to_string()).replace("THREADS", &self.threads.to_string()),
            count - 1,
            lines = self.lines
        );
    }

    /// Butterflies of an item in a stage of this radix.
    fn butterflies(&self, radix: usize) -> usize {
        (self.n / radix).div_ceil(self.threads)
    }

    fn butterfly(&self, radix: usize, i: usize) -> String {
        match (i, self.butterflies(radix) * self.threads == self.n / radix) {
            (0, true) => "t".into(),
            (i, true) => format!("(t + {})", i * self.threads),
            (i, false) => format!("min(t + {}, {})", i * self.threads, self.n / radix - 1),
        }
    }

    /// Calls `each(butterfly, element, offset, position)` for every element that an item holds after a transform: the position is text, the
    /// offset the least it can be.
    pub fn ends(&self, way: Way, mut each: impl FnMut(usize, usize, usize, String)) {
        let radix = if way == Way::Return { self.radices[0] } else { self.radices[self.radices.len() - 1] };
        for i in 0..self.butterflies(radix) {
            for j in 0..radix {
                let offset = j * self.n / radix;
                each(i, j, i * self.threads + offset, format!("({} + {offset})", self.butterfly(radix, i)));
            }
        }
    }

    /// The same before one that does not return.
    pub fn starts(&self, each: impl FnMut(usize, usize, usize, String)) {
        self.ends(Way::Return, each);
    }

    /// Emits a transform of what the registers hold; backward by exchanging real and imaginary parts. `tag` sets the names of its locals apart. Reads the twiddles e^(−2πi k/n) from `tw[TWIDDLES + 2k]`.
    pub fn transform(
        &self,
        out: &mut String,
        tag: &str,
        registers: Registers,
        way: Way,
        twiddles: usize,
        precision: Precision,
    ) -> Registers {
        let swap = |r: Register| if way == Way::Forward { r } else { (r.1, r.0) };
        let mut now: Registers = registers.into_iter().map(|b| b.into_iter().map(swap).collect()).collect();
        let radices: Vec<usize> = if way == Way::Return { self.radices.iter().rev().copied().collect() } else { self.radices.clone() };
        let mut stride = 1;
        for (s, &radix) in radices.iter().enumerate() {
            let last = s + 1 == radices.len();
            let mut done: Registers = Vec::new();
            for (i, input) in now.iter().enumerate() {
                let name = format!("{tag}s{s}b{i}");
                let mut result = butterfly(out, &name, radix, input, precision);
                if !last {
                    let _ = writeln!(out, "    int {name}p = {} / {stride};", self.butterfly(radix, i));
                    for (k, r) in result.iter_mut().enumerate().skip(1) {
                        let (re, im) = (format!("{name}k{k}r"), format!("{name}k{k}i"));
                        let _ = write!(
                            out,
                            "    int {name}k{k}w = {twiddles} + 2 * {} * {name}p;\n    REAL {re} = {a} * tw[{name}k{k}w] - {b} * tw[{name}k{k}w + 1];\n    \
                             REAL {im} = {a} * tw[{name}k{k}w + 1] + {b} * tw[{name}k{k}w];\n",
                            stride * k,
                            a = r.0,
                            b = r.1
                        );
                        *r = (re, im);
                    }
                }
                done.push(result);
            }
            if last {
                now = done;
                break;
            }
            now = self.exchange(out, &format!("{tag}x{s}"), &done, radix, radices[s + 1], stride);
            stride *= radix;
        }
        now.into_iter().map(|b| b.into_iter().map(swap).collect()).collect()
    }

    /// From the registers at the end of a stage to those at the start of the next.
    fn exchange(&self, out: &mut String, tag: &str, from: &Registers, radix: usize, next: usize, stride: usize) -> Registers {
        let place = |position: &str| {
            if self.across { format!("({position}) * {} + w", self.lines) } else { format!("w * {} + ({position})", self.n) }
        };
        let mut to: Registers = (0..self.butterflies(next))
            .map(|i| (0..next).map(|j| (format!("{tag}b{i}j{j}r"), format!("{tag}b{i}j{j}i"))).collect())
            .collect();
        for part in 0..2 {
            for (i, elements) in from.iter().enumerate() {
                let b = self.butterfly(radix, i);
                for (k, r) in elements.iter().enumerate() {
                    let position = format!("{b} % {stride} + {} * ({b} / {stride}) + {}", stride * radix, stride * k);
                    let _ = writeln!(out, "    sh[{}] = {};", place(&position), if part == 0 { &r.0 } else { &r.1 });
                }
            }
            out.push_str("    BARRIER();\n");
            for (i, elements) in to.iter_mut().enumerate() {
                let b = self.butterfly(next, i);
                for (j, r) in elements.iter().enumerate() {
                    let position = format!("{b} + {}", j * self.n / next);
                    let _ = writeln!(out, "    REAL {} = sh[{}];", if part == 0 { &r.0 } else { &r.1 }, place(&position));
                }
            }
            out.push_str("    BARRIER();\n");
        }
        to
    }
}

/// The twiddles that [`Line::transform`] reads: cosine and minus sine of 2π k/n, computed in double precision.
pub fn twiddles(n: usize) -> Vec<f64> {
    (0..n).flat_map(|k| [(TAU * k as f64 / n as f64).cos(), -(TAU * k as f64 / n as f64).sin()]).collect()
}

/// A small transform in registers.
fn butterfly(out: &mut String, tag: &str, radix: usize, x: &[Register], precision: Precision) -> Vec<Register> {
    let mut count = 0;
    let mut value = |out: &mut String, text: String| {
        count += 1;
        let name = format!("{tag}v{count}");
        let _ = writeln!(out, "    REAL {name} = {text};");
        name
    };
    match radix {
        1 => x.to_vec(),
        2 | 4 | 8 => {
            // Decimation in time: halves of even and odd elements.
            if radix == 2 {
                let add = |out: &mut String, value: &mut dyn FnMut(&mut String, String) -> String, sign: char| {
                    (value(out, format!("{} {sign} {}", x[0].0, x[1].0)), value(out, format!("{} {sign} {}", x[0].1, x[1].1)))
                };
                return vec![add(out, &mut value, '+'), add(out, &mut value, '-')];
            }
            let half = radix / 2;
            let even: Vec<Register> = x.iter().step_by(2).cloned().collect();
            let odd: Vec<Register> = x.iter().skip(1).step_by(2).cloned().collect();
            let (e, o) =
                (butterfly(out, &format!("{tag}e"), half, &even, precision), butterfly(out, &format!("{tag}o"), half, &odd, precision));
            let root = literal(std::f64::consts::FRAC_1_SQRT_2, precision);
            let mut low = Vec::new();
            let mut high = Vec::new();
            for k in 0..half {
                // o times e^(−2πi k/radix): eighths of a turn.
                let (re, im) = o[k].clone();
                let turned = match 8 / radix * k {
                    0 => (re, im),
                    1 => (value(out, format!("{root} * ({re} + {im})")), value(out, format!("{root} * ({im} - {re})"))),
                    2 => (im.clone(), value(out, format!("-{re}"))),
                    _ => (value(out, format!("{root} * ({im} - {re})")), value(out, format!("-{root} * ({re} + {im})"))),
                };
                low.push((value(out, format!("{} + {}", e[k].0, turned.0)), value(out, format!("{} + {}", e[k].1, turned.1))));
                high.push((value(out, format!("{} - {}", e[k].0, turned.0)), value(out, format!("{} - {}", e[k].1, turned.1))));
            }
            low.extend(high);
            low
        }
        _ => {
            // An odd prime: sums and differences of elements j and radix − j share their cosines and sines.
            let pairs = radix / 2;
            let mut sums = Vec::new();
            let mut differences = Vec::new();
            for j in 1..=pairs {
                let (a, b) = (&x[j], &x[radix - j]);
                sums.push((value(out, format!("{} + {}", a.0, b.0)), value(out, format!("{} + {}", a.1, b.1))));
                differences.push((value(out, format!("{} - {}", a.0, b.0)), value(out, format!("{} - {}", a.1, b.1))));
            }
            let total =
                |part: &dyn Fn(&Register) -> &String| sums.iter().fold(part(&x[0]).clone(), |text, s| format!("{text} + {}", part(s)));
            let first = (value(out, total(&|r| &r.0)), value(out, total(&|r| &r.1)));
            let mut result = vec![first];
            let mut mirrored = Vec::new();
            for k in 1..=pairs {
                let (mut even, mut odd) = ((x[0].0.clone(), x[0].1.clone()), (String::new(), String::new()));
                for j in 1..=pairs {
                    let angle = TAU * ((j * k) % radix) as f64 / radix as f64;
                    let (c, s) = (literal(angle.cos(), precision), literal(angle.sin(), precision));
                    let _ = write!(even.0, " + {c} * {}", sums[j - 1].0);
                    let _ = write!(even.1, " + {c} * {}", sums[j - 1].1);
                    let plus = if j > 1 { " + " } else { "" };
                    let _ = write!(odd.0, "{plus}{s} * {}", differences[j - 1].0);
                    let _ = write!(odd.1, "{plus}{s} * {}", differences[j - 1].1);
                }
                let (er, ei) = (value(out, even.0), value(out, even.1));
                let (or, oi) = (value(out, odd.0), value(out, odd.1));
                // X_k = even − i odd, X_(radix−k) = even + i odd.
                result.push((value(out, format!("{er} + {oi}")), value(out, format!("{ei} - {or}"))));
                mirrored.push((value(out, format!("{er} - {oi}")), value(out, format!("{ei} + {or}"))));
            }
            mirrored.reverse();
            result.extend(mirrored);
            result
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use spinloom_gpu::{Backend, Binding, Element, Kernel, Launch, vulkan::Vulkan};

    const SMALL: Limits = Limits { shared: 16384, group: 128, groups: [65535; 3], buffer: 1 << 27, double: false };

    #[test]
    fn every_smooth_length_that_fits_has_a_plan_within_the_least_limits() {
        for n in 1..=4096 {
            let smooth = [2, 3, 5, 7].iter().fold(n, |mut n, p| {
                while n % p == 0 {
                    n /= p;
                }
                n
            }) == 1;
            match Line::plan(n, true, &SMALL, Precision::Single) {
                Ok(line) => {
                    assert!(smooth && line.radices.iter().product::<usize>() == n && line.group() <= 128 && 4 * line.shared() <= 16384);
                    assert!(line.threads * line.butterflies(1).max(1) >= n, "{line:?}");
                }
                Err(_) => assert!(!smooth, "{n}"),
            }
        }
    }

    /// Transforms random lines forward and, from the registers, backward.
    fn through(device: &mut Vulkan, n: usize, across: bool, precision: Precision) -> (f64, f64) {
        let lines = 5;
        let line = Line::plan(n, across, &device.found().limits.clone(), precision).unwrap();
        let mut body = String::from("KERNEL_MAIN {\n");
        line.begin(&mut body, lines);
        let mut registers: Registers = Vec::new();
        line.starts(|i, j, _, position| {
            let name = (format!("in{i}_{j}r"), format!("in{i}_{j}i"));
            let _ = writeln!(
                body,
                "    REAL {} = x[2 * (line * {n} + {position})];\n    REAL {} = x[2 * (line * {n} + {position}) + 1];",
                name.0, name.1
            );
            if j == 0 {
                registers.push(Vec::new());
            }
            registers[i].push(name);
        });
        let forward = line.transform(&mut body, "f", registers, Way::Forward, 0, precision);
        let mut store = String::new();
        line.ends(Way::Forward, |i, j, _, position| {
            let _ = writeln!(
                store,
                "    y[2 * (line * {n} + {position})] = {};\n    y[2 * (line * {n} + {position}) + 1] = {};",
                forward[i][j].0, forward[i][j].1
            );
        });
        body += &store;
        let back = line.transform(&mut body, "b", forward, Way::Return, 0, precision);
        line.ends(Way::Return, |i, j, _, position| {
            let _ = writeln!(
                body,
                "    z[2 * (line * {n} + {position})] = {};\n    z[2 * (line * {n} + {position}) + 1] = {};",
                back[i][j].0, back[i][j].1
            );
        });
        body.push_str("}\n");
        let binding = |name, writable| Binding { name, element: Element::Real, writable };
        let kernel = Kernel {
            name: format!("fft {n}"),
            body,
            bindings: vec![binding("x", false), binding("y", true), binding("z", true), binding("tw", false)],
            shared: vec![("sh".into(), line.shared())],
            group: line.group(),
            precision,
        };
        let bytes = |v: &[f64]| -> Vec<u8> {
            match precision {
                Precision::Single => v.iter().flat_map(|v| (*v as f32).to_le_bytes()).collect(),
                Precision::Double => v.iter().flat_map(|v| v.to_le_bytes()).collect(),
            }
        };
        let mut stream = spinloom_base::random::Stream::new(n as u64, 0);
        let x: Vec<f64> = (0..2 * n * lines).map(|_| f64::from(stream.normal() as f32)).collect();
        let (xb, tw) = (bytes(&x), bytes(&twiddles(n)));
        let memories: Vec<_> = [xb.len(), xb.len(), xb.len(), tw.len()].into_iter().map(|b| device.allocate(b).unwrap()).collect();
        device.write(memories[0], 0, &xb).unwrap();
        device.write(memories[3], 0, &tw).unwrap();
        let program = device.compile(&kernel).unwrap_or_else(|e| panic!("{e}\n{}", kernel.body));
        let recording = device.record(&[Launch { program, memories: memories.clone(), groups: [line.groups(lines), 1, 1] }]).unwrap();
        device.replay(recording, 1).unwrap();
        let read = |m| {
            let mut out = vec![0u8; xb.len()];
            device.read(m, 0, &mut out).unwrap();
            match precision {
                Precision::Single => out.chunks(4).map(|c| f64::from(f32::from_le_bytes(c.try_into().unwrap()))).collect::<Vec<f64>>(),
                Precision::Double => out.chunks(8).map(|c| f64::from_le_bytes(c.try_into().unwrap())).collect(),
            }
        };
        let (y, z) = (read(memories[1]), read(memories[2]));
        let tw = twiddles(n);
        let (mut off, mut scale, mut trip) = (0.0f64, 0.0f64, 0.0f64);
        for l in 0..lines {
            for k in 0..n {
                let (mut re, mut im) = (0.0, 0.0);
                for p in 0..n {
                    let (c, s) = (tw[2 * (p * k % n)], tw[2 * (p * k % n) + 1]);
                    let (a, b) = (x[2 * (l * n + p)], x[2 * (l * n + p) + 1]);
                    re += a * c - b * s;
                    im += a * s + b * c;
                }
                let at = 2 * (l * n + k);
                off = off.max((y[at] - re).abs()).max((y[at + 1] - im).abs());
                scale = scale.max(re.abs()).max(im.abs());
                trip = trip.max((z[at] / n as f64 - x[at]).abs());
            }
        }
        (off / scale, trip / x.iter().fold(0.0, |m, v| f64::max(m, v.abs())))
    }

    #[test]
    fn lines_are_transformed_and_come_back() {
        let Ok(mut device) = Vulkan::open(0) else {
            eprintln!("SKIPPED: no Vulkan device here");
            return;
        };
        for (n, across) in [(1, true), (2, false), (7, true), (30, true), (64, false), (105, true), (128, true), (384, false)] {
            let (off, trip) = through(&mut device, n, across, Precision::Single);
            println!("{n}: {off:.1e}, there and back {trip:.1e}");
            // Rounding of a few stages.
            assert!(off < 5e-7 && trip < 1e-6, "{n}: {off} {trip}");
        }
        let (off, trip) = through(&mut device, 60, true, Precision::Double);
        assert!(off < 1e-15 && trip < 2e-15, "double: {off} {trip}");
    }
}
