//! Fields for other programs than OOMMF's: VTK (ParaView), numpy, CSV, JSON. Numpy and JSON are read, too.

use crate::h5::{Named, problem};
use crate::header::Mesh;
use crate::ovf::{Ovf, OvfFormat};
use spinloom_base::{Diagnostic, Place, Problems};
use std::io::Write;
use std::path::Path;

/// The form of a file that holds one field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// OVF 1.0, at most three components.
    Ovf1,
    /// OVF 2.0.
    Ovf2,
    /// VTK's image data, `.vti`: a regular grid.
    Vti,
    /// VTK's rectilinear grid, `.vtr`: the planes between cells are listed.
    Vtr,
    /// An array of numpy's of the shape (nz, ny, nx, components), as in the record.
    Npy,
    /// A line a cell: its centre, its values.
    Csv,
    /// An object with the entries of [`Ovf`], by their names.
    Json,
}

impl Format {
    /// What names of such files end in.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Ovf1 | Self::Ovf2 => "ovf",
            Self::Vti => "vti",
            Self::Vtr => "vtr",
            Self::Npy => "npy",
            Self::Csv => "csv",
            Self::Json => "json",
        }
    }
}

impl Ovf {
    /// Writes a file; one of that name is replaced when the new one is complete. `numbers` concerns the formats that have a choice:
    /// numpy has no text, CSV and JSON have nothing else.
    ///
    /// # Errors
    /// What the file system says; more than three components in OVF 1.0; numbers that JSON does not know.
    ///
    /// # Panics
    /// If `data` does not hold `components` values for each cell, or units and labels differ in number.
    pub fn save(&self, path: &Path, format: Format, numbers: OvfFormat) -> Result<(), Problems> {
        let width = self.components();
        assert!(self.data.len() == self.mesh.cells() * width && self.units.len() == width, "a field that does not fit its own grid");
        match format {
            Format::Ovf1 if width != 1 && width != 3 => Err(problem(
                path,
                format!("OVF 1.0 holds vectors, not {width} components"),
                "take `ovf`, which is OVF 2.0, or one component",
            )),
            Format::Ovf1 => self.write_file_1(path, numbers),
            Format::Ovf2 => self.write_file(path, numbers),
            Format::Vti => self.replace_file(path, |out| self.write_vtk(out, false, numbers)),
            Format::Vtr => self.replace_file(path, |out| self.write_vtk(out, true, numbers)),
            Format::Npy => self.replace_file(path, |out| self.write_npy(out, numbers)),
            Format::Csv => self.replace_file(path, |out| self.write_csv(out)),
            Format::Json if self.data.iter().any(|v| !v.is_finite()) => {
                Err(problem(path, "JSON has no infinity and nothing that is not a number", "take another format"))
            }
            Format::Json => self.replace_file(path, |out| {
                serde_json::to_writer(&mut *out, self)?;
                writeln!(out)
            }),
        }
    }

    /// Reads OVF, `.npy` or `.json`, told apart by the name. `cell` is the size of cells where the file does not know it.
    ///
    /// # Errors
    /// A file that cannot be read, is cut short, or does not hold what its name promises.
    pub fn load(path: &Path, cell: [f64; 3]) -> Result<Self, Problems> {
        match path.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase).as_deref() {
            Some("npy") => read_npy(path, cell),
            Some("json") => read_json(path),
            _ => Self::read_file(path),
        }
    }

    /// XML files of VTK, "VTK File Formats for VTK Version 4.2", section "XML File Formats". Binary numbers follow the text as they
    /// are, behind their length in 8 bytes, little-endian.
    fn write_vtk(&self, out: &mut impl Write, rectilinear: bool, numbers: OvfFormat) -> std::io::Result<()> {
        let Mesh { n, cell, origin, .. } = self.mesh;
        let width = self.components();
        let kind = if rectilinear { "RectilinearGrid" } else { "ImageData" };
        let extent = format!("0 {} 0 {} 0 {}", n[0], n[1], n[2]);
        let three = |v: [f64; 3]| v.map(|v| format!("{v:e}")).join(" ");
        writeln!(out, "<?xml version=\"1.0\"?>")?;
        writeln!(out, "<VTKFile type=\"{kind}\" version=\"1.0\" byte_order=\"LittleEndian\" header_type=\"UInt64\">")?;
        let place = if rectilinear { String::new() } else { format!(" Origin=\"{}\" Spacing=\"{}\"", three(origin), three(cell)) };
        writeln!(out, "<{kind} WholeExtent=\"{extent}\"{place}>")?;
        if let Some(t) = self.time {
            let array = "DataArray type=\"Float64\" Name=\"TimeValue\" NumberOfTuples=\"1\" format=\"ascii\"";
            writeln!(out, "<FieldData><{array}>{t:e}</DataArray></FieldData>")?;
        }
        writeln!(out, "<Piece Extent=\"{extent}\">")?;
        if rectilinear {
            writeln!(out, "<Coordinates>")?;
            for (axis, name) in ["x", "y", "z"].iter().enumerate() {
                let planes: Vec<String> = (0..=n[axis]).map(|i| format!("{:e}", origin[axis] + i as f64 * cell[axis])).collect();
                writeln!(out, "<DataArray type=\"Float64\" Name=\"{name}\" format=\"ascii\">{}</DataArray>", planes.join(" "))?;
            }
            writeln!(out, "</Coordinates>")?;
        }
        let name = escape(&self.title);
        let role = if width == 3 { "Vectors" } else { "Scalars" };
        let single = numbers == OvfFormat::Binary4;
        let array =
            format!("<DataArray type=\"{}\" Name=\"{name}\" NumberOfComponents=\"{width}\"", if single { "Float32" } else { "Float64" });
        writeln!(out, "<CellData {role}=\"{name}\">")?;
        if numbers == OvfFormat::Text {
            writeln!(out, "{array} format=\"ascii\">")?;
            for values in self.data.chunks(width) {
                writeln!(out, "{}", values.iter().map(|v| format!("{v:e}")).collect::<Vec<_>>().join(" "))?;
            }
            writeln!(out, "</DataArray>")?;
        } else {
            writeln!(out, "{array} format=\"appended\" offset=\"0\"/>")?;
        }
        writeln!(out, "</CellData>\n</Piece>\n</{kind}>")?;
        if numbers != OvfFormat::Text {
            write!(out, "<AppendedData encoding=\"raw\">\n_")?;
            out.write_all(&((self.data.len() * if single { 4 } else { 8 }) as u64).to_le_bytes())?;
            self.write_numbers(out, single)?;
            writeln!(out, "\n</AppendedData>")?;
        }
        writeln!(out, "</VTKFile>")
    }

    fn write_numbers(&self, out: &mut impl Write, single: bool) -> std::io::Result<()> {
        if single {
            self.data.iter().try_for_each(|&v| out.write_all(&(v as f32).to_le_bytes()))
        } else {
            self.data.iter().try_for_each(|v| out.write_all(&v.to_le_bytes()))
        }
    }

    /// NEP 1, "A Simple File Format for NumPy Arrays", version 1.0.
    fn write_npy(&self, out: &mut impl Write, numbers: OvfFormat) -> std::io::Result<()> {
        let single = numbers == OvfFormat::Binary4;
        let [nx, ny, nz] = self.mesh.n;
        let shape = format!("({nz}, {ny}, {nx}, {})", self.components());
        let mut head = format!("{{'descr': '<f{}', 'fortran_order': False, 'shape': {shape}, }}", if single { 4 } else { 8 });
        // Ten bytes before it and the line's end: together a multiple of 64.
        head += &" ".repeat(63 - (head.len() + 10) % 64);
        out.write_all(NPY)?;
        out.write_all(&((head.len() + 1) as u16).to_le_bytes())?;
        writeln!(out, "{head}")?;
        self.write_numbers(out, single)
    }

    fn write_csv(&self, out: &mut impl Write) -> std::io::Result<()> {
        let Mesh { n, cell, origin, .. } = self.mesh;
        let mut table = csv::Writer::from_writer(out);
        let axes = ["x (m)", "y (m)", "z (m)"].map(String::from);
        table.write_record(axes.into_iter().chain(self.labels.iter().zip(&self.units).map(|(l, u)| format!("{l} ({u})"))))?;
        for (i, values) in self.data.chunks(self.components()).enumerate() {
            let at = [i % n[0], i / n[0] % n[1], i / n[0] / n[1]];
            let centre = (0..3).map(|a| origin[a] + (at[a] as f64 + 0.5) * cell[a]);
            table.write_record(centre.chain(values.iter().copied()).map(|v| format!("{v:e}")))?;
        }
        table.flush()
    }
}

/// The first bytes of numpy's files, with the version.
const NPY: &[u8] = b"\x93NUMPY\x01\x00";

fn read_npy(path: &Path, cell: [f64; 3]) -> Result<Ovf, Problems> {
    let bytes = std::fs::read(path).named(path, "read")?;
    let wrong = |message: &str| {
        problem(path, message, "expected what numpy.save writes of an array of floats with 3 or 4 axes, x or components last")
    };
    let rest = bytes.strip_prefix(NPY).ok_or_else(|| wrong("the file does not begin as numpy's files of version 1.0 do"))?;
    let length = rest.get(..2).map(|l| usize::from(u16::from_le_bytes([l[0], l[1]]))).unwrap_or(usize::MAX);
    let head =
        rest.get(2..length.saturating_add(2)).map(String::from_utf8_lossy).ok_or_else(|| wrong("the file ends within its header"))?;
    let data = &rest[length + 2..];
    let after = |key: &str| head.split_once(key).map(|(_, rest)| rest.trim_start_matches([' ', ':', '\'', '"']));
    let wide = match after("'descr'") {
        Some(d) if d.starts_with("<f4") => 4,
        Some(d) if d.starts_with("<f8") => 8,
        _ => return Err(wrong("the numbers are not little-endian floats of 4 or 8 bytes")),
    };
    if !after("'fortran_order'").is_some_and(|f| f.starts_with("False")) {
        return Err(wrong("the array is in the order of Fortran"));
    }
    let inside = after("'shape'").and_then(|s| s.strip_prefix('(')).and_then(|s| s.split_once(')'));
    let shape: Option<Vec<usize>> =
        inside.and_then(|(s, _)| s.split(',').map(str::trim).filter(|s| !s.is_empty()).map(|n| n.parse().ok()).collect());
    let (n, width) = match shape.as_deref() {
        Some(&[nz, ny, nx]) => ([nx, ny, nz], 1),
        Some(&[nz, ny, nx, width]) => ([nx, ny, nz], width),
        _ => return Err(wrong("the array has not 3 or 4 axes")),
    };
    let size = n.iter().chain([&width, &wide]).try_fold(1usize, |a, &b| a.checked_mul(b));
    if size != Some(data.len()) || data.is_empty() {
        return Err(wrong("the file does not hold as many numbers as its header says"));
    }
    let data = if wide == 4 {
        data.chunks_exact(4).map(|b| f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]]))).collect()
    } else {
        data.chunks_exact(8).map(|b| f64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]])).collect()
    };
    let title = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let labels = if width == 3 {
        ["x", "y", "z"].map(|a| format!("{title}_{a}")).to_vec()
    } else {
        (1..=width).map(|c| if width == 1 { title.clone() } else { format!("{title}_{c}") }).collect()
    };
    Ok(Ovf {
        title,
        mesh: Mesh { n, cell, origin: [0.0; 3], layers: Vec::new() },
        units: vec!["1".into(); width],
        labels,
        time: None,
        data,
    })
}

fn read_json(path: &Path) -> Result<Ovf, Problems> {
    let text = std::fs::read_to_string(path).named(path, "read")?;
    let ovf: Ovf = serde_json::from_str(&text).map_err(|e| {
        let at = Place { file: path.display().to_string(), line: e.line() as u32, column: e.column().max(1) as u32 };
        Diagnostic::error(format!("this is not a field: {e}"))
            .at(at)
            .hint("expected title, mesh, labels, units, time and data, as convert writes them")
    })?;
    let values = ovf.mesh.n.iter().chain([&ovf.labels.len()]).try_fold(1usize, |a, &b| a.checked_mul(b));
    if values != Some(ovf.data.len()) || ovf.data.is_empty() || ovf.units.len() != ovf.labels.len() {
        let message =
            format!("{} values, {} labels and {} units for {:?} cells", ovf.data.len(), ovf.labels.len(), ovf.units.len(), ovf.mesh.n);
        return Err(problem(path, message, "each cell has a value for each label, and each label a unit"));
    }
    Ok(ovf)
}

/// Text safe inside XML.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
