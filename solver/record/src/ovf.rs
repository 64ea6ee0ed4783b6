//! OOMMF vector field files, for mumax3, OOMMF, discretisedfield and Muview.
//!
//! Written: OVF 2.0, rectangular mesh, as text or binary (little-endian, control number 1234567.0 in 4 bytes or
//! 123456789012345.0 in 8). Read: the same, and OVF 1.0 (three components, big-endian). Segments beyond the first are not read.

use crate::h5::{Named, problem};
use crate::header::Mesh;
use crate::reader::Frame;
use serde::{Deserialize, Serialize};
use spinloom_base::{Diagnostic, Place, Problems};
use std::fmt::Write as _;
use std::io::{BufWriter, Write};
use std::path::Path;

/// What follows `Begin: Data Binary 4`: a reader that finds another number has the bytes in the wrong order.
const CONTROL_4: f32 = 1234567.0;
/// The same for 8 bytes.
const CONTROL_8: f64 = 123456789012345.0;

/// How the numbers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OvfFormat {
    /// 32-bit floats: mumax3's default.
    Binary4,
    /// 64-bit floats.
    Binary8,
    /// Decimal digits, enough to read every bit back.
    Text,
}

impl OvfFormat {
    /// As the lines around the data call it.
    fn words(self) -> &'static str {
        match self {
            Self::Binary4 => "Binary 4",
            Self::Binary8 => "Binary 8",
            Self::Text => "Text",
        }
    }
}

/// One field in the form of an OVF file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ovf {
    /// `Title`: the quantity's name.
    pub title: String,
    /// The grid; `origin` becomes `xmin`, `ymin`, `zmin` (mumax3 always writes 0 there).
    pub mesh: Mesh,
    /// One label per component: `m_x`, `m_y`, `m_z`.
    pub labels: Vec<String>,
    /// One unit per component; `1` for a pure number.
    pub units: Vec<String>,
    /// `Total simulation time`, s.
    pub time: Option<f64>,
    /// Shape (nz, ny, nx, components), x the fastest axis, components innermost: the order of the file.
    pub data: Vec<f64>,
}

impl Ovf {
    /// A frame of a record.
    pub fn new(mesh: &Mesh, frame: &Frame) -> Self {
        let unit = if frame.unit.is_empty() { "1" } else { &frame.unit };
        let labels = match frame.components {
            1 => vec![frame.name.clone()],
            3 => ["x", "y", "z"].map(|c| format!("{}_{c}", frame.name)).to_vec(),
            n => (1..=n).map(|c| format!("{}_{c}", frame.name)).collect(),
        };
        Self {
            title: frame.name.clone(),
            mesh: mesh.clone(),
            units: vec![unit.into(); frame.components],
            labels,
            time: Some(frame.t),
            data: frame.data.clone(),
        }
    }

    /// Numbers per cell.
    pub fn components(&self) -> usize {
        self.labels.len()
    }

    /// Writes a file; one of that name is replaced when the new one is complete.
    ///
    /// # Errors
    /// What the file system says.
    ///
    /// # Panics
    /// If `data` does not hold `components` values for each cell, or units and labels differ in number.
    pub fn write_file(&self, path: &Path, format: OvfFormat) -> Result<(), Problems> {
        self.replace_file(path, |out| self.write(out, format))
    }

    /// The same in OVF 1.0, which knows three components only: a scalar is written as a vector along x.
    ///
    /// # Errors
    /// What the file system says.
    ///
    /// # Panics
    /// As [`write_file`](Ovf::write_file), or for any other number of components.
    pub fn write_file_1(&self, path: &Path, format: OvfFormat) -> Result<(), Problems> {
        self.replace_file(path, |out| self.write_1(out, format))
    }

    pub(crate) fn replace_file(
        &self,
        path: &Path,
        content: impl Fn(&mut BufWriter<std::fs::File>) -> std::io::Result<()>,
    ) -> Result<(), Problems> {
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let part = Path::new(&part);
        let write = || {
            let mut file = BufWriter::new(std::fs::File::create(part)?);
            content(&mut file)?;
            file.into_inner()?.sync_all()?;
            std::fs::rename(part, path)
        };
        write().named(path, "write").inspect_err(|_| drop(std::fs::remove_file(part)))
    }

    /// Writes OVF 1.0 to anything; big-endian.
    ///
    /// # Errors
    /// Those of `out`.
    ///
    /// # Panics
    /// As [`write_file_1`](Ovf::write_file_1).
    pub fn write_1(&self, out: &mut impl Write, format: OvfFormat) -> std::io::Result<()> {
        let width = self.components();
        assert!(width == 1 || width == 3, "OVF 1.0 holds vectors, not {width} components");
        let Mesh { n, cell, origin, .. } = self.mesh;
        writeln!(out, "# OOMMF: rectangular mesh v1.0\n# Segment count: 1\n# Begin: Segment\n# Begin: Header")?;
        writeln!(out, "# Title: {}\n# meshtype: rectangular\n# meshunit: m", line(&self.title))?;
        for (axis, (min, (n, cell))) in ["x", "y", "z"].iter().zip(origin.iter().zip(n.iter().zip(&cell))) {
            writeln!(out, "# {axis}base: {}\n# {axis}stepsize: {cell}\n# {axis}nodes: {n}", min + 0.5 * cell)?;
            writeln!(out, "# {axis}min: {min}\n# {axis}max: {}", min + *n as f64 * cell)?;
        }
        let vector = |v: &[f64]| [v[0], *v.get(1).unwrap_or(&0.0), *v.get(2).unwrap_or(&0.0)];
        let norms = || self.data.chunks(width).map(|v| v.iter().map(|c| c * c).sum::<f64>().sqrt());
        let (low, high) = (norms().fold(f64::INFINITY, f64::min), norms().fold(0.0, f64::max));
        writeln!(out, "# valueunit: {}\n# valuemultiplier: 1", words(&self.units[..1]))?;
        writeln!(out, "# ValueRangeMinMag: {low}\n# ValueRangeMaxMag: {high}")?;
        self.describe(out)?;
        let name = format.words();
        writeln!(out, "# End: Header\n# Begin: Data {name}")?;
        match format {
            OvfFormat::Binary4 => {
                out.write_all(&CONTROL_4.to_be_bytes())?;
                self.data.chunks(width).flat_map(vector).try_for_each(|x| out.write_all(&(x as f32).to_be_bytes()))?;
                writeln!(out)?;
            }
            OvfFormat::Binary8 => {
                out.write_all(&CONTROL_8.to_be_bytes())?;
                self.data.chunks(width).flat_map(vector).try_for_each(|x| out.write_all(&x.to_be_bytes()))?;
                writeln!(out)?;
            }
            OvfFormat::Text => {
                for [x, y, z] in self.data.chunks(width).map(vector) {
                    writeln!(out, "{x:e} {y:e} {z:e}")?;
                }
            }
        }
        writeln!(out, "# End: Data {name}\n# End: Segment")
    }

    /// Writes to anything; give it something buffered.
    ///
    /// # Errors
    /// Those of `out`.
    ///
    /// # Panics
    /// As [`write_file`](Ovf::write_file).
    pub fn write(&self, out: &mut impl Write, format: OvfFormat) -> std::io::Result<()> {
        let width = self.components();
        assert!(
            self.data.len() == self.mesh.cells() * width,
            "{} values for {} cells of {width} components",
            self.data.len(),
            self.mesh.cells()
        );
        assert!(self.units.len() == width, "{} units for {width} components", self.units.len());
        let Mesh { n, cell, origin, .. } = self.mesh;
        writeln!(out, "# OOMMF OVF 2.0\n# Segment count: 1\n# Begin: Segment\n# Begin: Header")?;
        writeln!(out, "# Title: {}\n# meshtype: rectangular\n# meshunit: m", line(&self.title))?;
        for (axis, (min, (n, cell))) in ["x", "y", "z"].iter().zip(origin.iter().zip(n.iter().zip(&cell))) {
            writeln!(out, "# {axis}min: {min}\n# {axis}max: {}", min + *n as f64 * cell)?;
        }
        writeln!(out, "# valuedim: {width}")?;
        writeln!(out, "# valuelabels: {}\n# valueunits: {}", words(&self.labels), words(&self.units))?;
        self.describe(out)?;
        for (axis, (min, cell)) in ["x", "y", "z"].iter().zip(origin.iter().zip(&cell)) {
            writeln!(out, "# {axis}base: {}", min + 0.5 * cell)?;
        }
        for (axis, n) in ["x", "y", "z"].iter().zip(n) {
            writeln!(out, "# {axis}nodes: {n}")?;
        }
        for (axis, cell) in ["x", "y", "z"].iter().zip(cell) {
            writeln!(out, "# {axis}stepsize: {cell}")?;
        }
        let name = format.words();
        writeln!(out, "# End: Header\n# Begin: Data {name}")?;
        match format {
            OvfFormat::Binary4 => {
                out.write_all(&CONTROL_4.to_le_bytes())?;
                self.data.iter().try_for_each(|&x| out.write_all(&(x as f32).to_le_bytes()))?;
                writeln!(out)?;
            }
            OvfFormat::Binary8 => {
                out.write_all(&CONTROL_8.to_le_bytes())?;
                self.data.iter().try_for_each(|x| out.write_all(&x.to_le_bytes()))?;
                writeln!(out)?;
            }
            OvfFormat::Text => {
                let mut text = String::new();
                for values in self.data.chunks(width) {
                    text.clear();
                    for (i, x) in values.iter().enumerate() {
                        // Shortest digits that give the same bits.
                        let _ = write!(text, "{}{x:e}", if i > 0 { " " } else { "" });
                    }
                    writeln!(out, "{text}")?;
                }
            }
        }
        writeln!(out, "# End: Data {name}\n# End: Segment")
    }

    /// The time; and of a stack, whose layers the format cannot space, where they lie.
    fn describe(&self, out: &mut impl Write) -> std::io::Result<()> {
        if let Some(t) = self.time {
            writeln!(out, "# Desc: Total simulation time:  {t}  s")?;
        }
        if !self.mesh.layers.is_empty() {
            writeln!(out, "# Desc: A stack: the layers along z differ, or lie apart; zstepsize is their mean thickness.")?;
        }
        for (z, [bottom, thickness]) in self.mesh.layers.iter().enumerate() {
            writeln!(out, "# Desc: Layer {z} from {bottom:e} m to {:e} m", bottom + thickness)?;
        }
        Ok(())
    }

    /// Reads the first segment of a file.
    ///
    /// # Errors
    /// Not an OVF file, an irregular mesh, a header without the numbers of nodes, a wrong control number, too few values.
    pub fn read_file(path: &Path) -> Result<Self, Problems> {
        let bytes = std::fs::read(path).named(path, "read")?;
        Self::read(&bytes, &path.display().to_string())
    }

    /// Reads the first segment of a file's bytes; `name` names the file in errors.
    ///
    /// # Errors
    /// As [`read_file`](Ovf::read_file).
    pub fn read(bytes: &[u8], name: &str) -> Result<Self, Problems> {
        let mut header = OvfHeader::default();
        let mut rest = bytes;
        let mut number = 0;
        loop {
            let end = rest.iter().position(|&b| b == b'\n').map(|i| i + 1).unwrap_or(rest.len());
            if end == 0 {
                return Err(problem(Path::new(name), "the file ends before its data", "it was cut short: copy it again"));
            }
            let (text, after) = rest.split_at(end);
            (rest, number) = (after, number + 1);
            let at = Place { file: name.into(), line: number, column: 1 };
            let text = String::from_utf8_lossy(text);
            let text = text.trim();
            if number == 1 {
                header.version_1 = match text.trim_start_matches('#').trim().to_lowercase().as_str() {
                    "oommf ovf 2.0" => false,
                    "oommf: rectangular mesh v1.0" => true,
                    other => {
                        return Err(Diagnostic::error(format!("the first line is `{}`", short(other)))
                            .at(at)
                            .hint("expected `# OOMMF OVF 2.0`")
                            .into());
                    }
                };
                continue;
            }
            let Some((key, value)) = text.strip_prefix('#').filter(|t| !t.starts_with('#')).and_then(|t| t.split_once(':')) else {
                continue;
            };
            let (key, value) = (key.trim().to_lowercase(), value.trim());
            if key == "begin" && value.to_lowercase().starts_with("data") {
                return header.finish(&value.to_lowercase(), rest, number, name);
            }
            header.line(&key, value).map_err(|message| Diagnostic::error(message).at(at))?;
        }
    }
}

/// What the lines before the data say.
#[derive(Default)]
struct OvfHeader {
    version_1: bool,
    title: String,
    min: [Option<f64>; 3],
    base: [Option<f64>; 3],
    step: [Option<f64>; 3],
    nodes: [Option<usize>; 3],
    valuedim: Option<usize>,
    labels: Vec<String>,
    units: Vec<String>,
    time: Option<f64>,
}

impl OvfHeader {
    fn line(&mut self, key: &str, value: &str) -> Result<(), String> {
        let number = || value.parse::<f64>().map_err(|_| format!("`{key}` is `{}`, expected a number", short(value)));
        let count = || value.parse::<usize>().map_err(|_| format!("`{key}` is `{}`, expected a whole number", short(value)));
        let axis = ["x", "y", "z"].iter().position(|a| key.starts_with(a));
        match (axis, key) {
            (Some(a), "xmin" | "ymin" | "zmin") => self.min[a] = Some(number()?),
            (Some(a), "xbase" | "ybase" | "zbase") => self.base[a] = Some(number()?),
            (Some(a), "xstepsize" | "ystepsize" | "zstepsize") => self.step[a] = Some(number()?),
            (Some(a), "xnodes" | "ynodes" | "znodes") => self.nodes[a] = Some(count()?),
            (_, "valuedim") => self.valuedim = Some(count()?),
            (_, "title") => self.title = value.into(),
            (_, "valuelabels") => self.labels = split_words(value),
            (_, "valueunits") => self.units = split_words(value),
            (_, "valueunit") => self.units = vec![value.into(); 3],
            (_, "meshtype") if value != "rectangular" => {
                return Err(format!("a mesh of the type `{}`, expected `rectangular`", short(value)));
            }
            (_, "desc") => {
                if let Some(t) = value.strip_prefix("Total simulation time:") {
                    self.time = t.trim().trim_end_matches('s').trim().parse().ok();
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn finish(self, kind: &str, data: &[u8], line: u32, name: &str) -> Result<Ovf, Problems> {
        let wrong = |message: String, hint: &str| -> Problems {
            Diagnostic::error(message).at(Place { file: name.into(), line, column: 1 }).hint(hint).into()
        };
        let ([Some(nx), Some(ny), Some(nz)], [Some(dx), Some(dy), Some(dz)]) = (self.nodes, self.step) else {
            return Err(wrong("the header lacks numbers of nodes or step sizes".into(), "expected `xnodes`, `xstepsize` and so on"));
        };
        let width = self.valuedim.unwrap_or(3);
        let values = [nx, ny, nz, width].iter().try_fold(1usize, |a, &n| a.checked_mul(n)).filter(|&n| n > 0);
        // A number takes at least a byte in any of the formats: a header that promises more is wrong, and must not cost memory.
        let Some(values) = values.filter(|&n| n <= data.len()) else {
            return Err(wrong(
                format!("{nx} x {ny} x {nz} cells of {width} values are more than the file holds"),
                "it was cut short: copy it again",
            ));
        };
        let cell = [dx, dy, dz];
        let origin = std::array::from_fn(|a| self.min[a].or(self.base[a].map(|b| b - 0.5 * cell[a])).unwrap_or(0.0));
        let data = if kind.starts_with("data text") {
            let text = String::from_utf8_lossy(data);
            let numbers = text.lines().filter(|l| !l.trim_start().starts_with('#')).flat_map(str::split_whitespace).take(values);
            numbers
                .map(|w| w.parse::<f64>().map_err(|_| wrong(format!("`{}` among the data", short(w)), "expected a number")))
                .collect::<Result<Vec<f64>, _>>()?
        } else if kind.starts_with("data binary 4") {
            let number = |b: [u8; 4]| if self.version_1 { f32::from_be_bytes(b) } else { f32::from_le_bytes(b) };
            let numbers: Vec<f64> = data.chunks_exact(4).take(values + 1).map(|b| number([b[0], b[1], b[2], b[3]]) as f64).collect();
            after_control(numbers, CONTROL_4 as f64)
                .map_err(|found| wrong(found, "the bytes are in another order, or the file is damaged"))?
        } else if kind.starts_with("data binary 8") {
            let number = |b: [u8; 8]| if self.version_1 { f64::from_be_bytes(b) } else { f64::from_le_bytes(b) };
            let numbers: Vec<f64> =
                data.chunks_exact(8).take(values + 1).map(|b| number([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]])).collect();
            after_control(numbers, CONTROL_8).map_err(|found| wrong(found, "the bytes are in another order, or the file is damaged"))?
        } else {
            return Err(wrong(format!("data of the kind `{}`", short(kind)), "expected `Data Text`, `Data Binary 4` or `Data Binary 8`"));
        };
        if data.len() < values {
            return Err(wrong(format!("{} of {values} values", data.len()), "the file was cut short: copy it again"));
        }
        let fill = |mut given: Vec<String>, default: &dyn Fn(usize) -> String| {
            given.truncate(width);
            (given.len()..width).for_each(|i| given.push(default(i)));
            given
        };
        let labels = fill(self.labels, &|i| format!("{}_{}", self.title, i + 1));
        let units = fill(self.units, &|_| "1".into());
        Ok(Ovf { title: self.title, mesh: Mesh::regular([nx, ny, nz], cell, origin), labels, units, time: self.time, data })
    }
}

fn after_control(mut numbers: Vec<f64>, control: f64) -> Result<Vec<f64>, String> {
    match numbers.first() {
        Some(&found) if found == control => Ok(numbers.split_off(1)),
        Some(found) => Err(format!("control number {found}, expected {control}")),
        None => Err("no data".into()),
    }
}

/// Labels with blanks are braced, as in Tcl lists, where OOMMF comes from.
fn words(list: &[String]) -> String {
    let words: Vec<String> =
        list.iter().map(|w| if w.is_empty() || w.contains(char::is_whitespace) { format!("{{{}}}", line(w)) } else { w.clone() }).collect();
    words.join(" ")
}

fn split_words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (word, after) = match rest.strip_prefix('{') {
            Some(inner) => inner.split_once('}').unwrap_or((inner, "")),
            None => rest.split_once(char::is_whitespace).unwrap_or((rest, "")),
        };
        words.push(word.into());
        rest = after.trim_start();
    }
    words
}

/// A header line is one line.
fn line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

fn short(text: &str) -> String {
    text.chars().take(40).collect()
}
