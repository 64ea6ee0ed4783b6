//! Fields for other programs than OOMMF's: VTK (ParaView), numpy, CSV, JSON; both ways.

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

    /// Reads OVF, VTK, `.npy`, `.csv` or `.json`, told apart by the name. `cell` is the size of cells where the file does not know it.
    ///
    /// # Errors
    /// A file that cannot be read, is cut short, or does not hold what its name promises.
    pub fn load(path: &Path, cell: [f64; 3]) -> Result<Self, Problems> {
        Self::parse(&std::fs::read(path).named(path, "read")?, path, cell)
    }

    /// The same of bytes that are there already; `path` is how messages call them.
    ///
    /// # Errors
    /// As [`Ovf::load`].
    pub fn parse(bytes: &[u8], path: &Path, cell: [f64; 3]) -> Result<Self, Problems> {
        match path.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase).as_deref() {
            Some("npy") => read_npy(bytes, path, cell),
            Some("json") => read_json(bytes, path),
            Some("csv") => read_csv(bytes, path, cell),
            Some("vti" | "vtr") => read_vtk(bytes, path),
            _ => Self::read(bytes, &path.display().to_string()),
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

fn read_npy(bytes: &[u8], path: &Path, cell: [f64; 3]) -> Result<Ovf, Problems> {
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
    let labels = labels_of(&title, width);
    Ok(Ovf {
        title,
        mesh: Mesh { n, cell, origin: [0.0; 3], layers: Vec::new() },
        units: vec!["1".into(); width],
        labels,
        time: None,
        data,
    })
}

/// What components are called where a file does not say.
fn labels_of(title: &str, width: usize) -> Vec<String> {
    match width {
        1 => vec![title.to_string()],
        3 => ["x", "y", "z"].map(|a| format!("{title}_{a}")).to_vec(),
        _ => (1..=width).map(|c| format!("{title}_{c}")).collect(),
    }
}

/// A line a cell, its centre before its values, in any order; along an axis with one cell its size is `cell`'s.
fn read_csv(bytes: &[u8], path: &Path, cell: [f64; 3]) -> Result<Ovf, Problems> {
    let name = path.display().to_string();
    let hint = "expected the header `x (m),y (m),z (m),…` and a line a cell, as convert writes them";
    let mut table = csv::ReaderBuilder::new().trim(csv::Trim::All).comment(Some(b'#')).from_reader(bytes);
    let at = |e: csv::Error| {
        let line = e.position().map_or(1, |p| p.line() as u32);
        Problems::from(Diagnostic::error(format!("this is no table: {e}")).at(Place { file: name.clone(), line, column: 1 }).hint(hint))
    };
    let head: Vec<(String, String)> = table
        .headers()
        .map_err(at)?
        .iter()
        .map(|h| h.split_once(" (").map_or((h.to_string(), String::new()), |(n, u)| (n.to_string(), u.trim_end_matches(')').to_string())))
        .collect();
    if head.len() < 4 || !head.iter().zip(["x", "y", "z"]).all(|(h, axis)| h.0 == axis) {
        return Err(problem(path, "its first columns are not the places x, y, z of cells", hint));
    }
    let width = head.len() - 3;
    let mut rows: Vec<Vec<f64>> = Vec::new();
    for record in table.records() {
        let record = record.map_err(at)?;
        let line = record.position().map_or(0, |p| p.line() as u32);
        let row: Option<Vec<f64>> = record.iter().map(|v| v.parse().ok()).collect();
        let row = row.filter(|r| r[..3].iter().all(|v| v.is_finite())).ok_or_else(|| {
            Problems::from(Diagnostic::error("a value is not a number").at(Place { file: name.clone(), line, column: 1 }).hint(hint))
        })?;
        rows.push(row);
    }
    // Places along each axis; a thousandth of the smallest distance is rounding.
    let mut places: [Vec<f64>; 3] = Default::default();
    for (axis, list) in places.iter_mut().enumerate() {
        let mut all: Vec<f64> = rows.iter().map(|r| r[axis]).collect();
        all.sort_by(f64::total_cmp);
        let wide = all.first().zip(all.last()).map_or(0.0, |(a, b)| b - a);
        all.dedup_by(|a, b| (*a - *b).abs() <= 1e-6 * wide);
        *list = all;
    }
    let n = [0, 1, 2].map(|a| places[a].len());
    let cells = n.iter().try_fold(1usize, |a, &b| a.checked_mul(b));
    if rows.is_empty() || cells != Some(rows.len()) {
        let message = format!("{} lines are no box of {} x {} x {} cells", rows.len(), n[0], n[1], n[2]);
        return Err(problem(path, message, "every cell of the box has one line"));
    }
    let size = [0, 1, 2].map(|a| {
        let p = &places[a];
        if p.len() > 1 { (p[p.len() - 1] - p[0]) / (p.len() - 1) as f64 } else { cell[a] }
    });
    let even = |a: usize| places[a].iter().enumerate().all(|(i, p)| (p - places[a][0] - i as f64 * size[a]).abs() < 1e-3 * size[a]);
    if !(0..3).all(even) {
        return Err(problem(path, "the places of cells are not evenly spaced", "only regular meshes are read"));
    }
    let mut data = vec![f64::NAN; rows.len() * width];
    let mut seen = vec![false; rows.len()];
    for row in &rows {
        let at = [0, 1, 2].map(|a| ((row[a] - places[a][0]) / size[a]).round() as usize);
        let i = (at[2] * n[1] + at[1]) * n[0] + at[0];
        if std::mem::replace(&mut seen[i], true) {
            return Err(problem(
                path,
                format!("cell ({}, {}, {}) has two lines", at[0], at[1], at[2]),
                "every cell of the box has one line",
            ));
        }
        data[i * width..(i + 1) * width].copy_from_slice(&row[3..]);
    }
    let origin = [0, 1, 2].map(|a| places[a][0] - 0.5 * size[a]);
    let (labels, units) = head.into_iter().skip(3).unzip();
    let title = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Ovf { title, mesh: Mesh::regular(n, size, origin), labels, units, time: None, data })
}

/// The value of an attribute in a tag.
fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = tag;
    while let Some(at) = rest.find(name) {
        let (before, after) = (&rest[..at], &rest[at + name.len()..]);
        let own = before.ends_with(char::is_whitespace);
        match after.trim_start().strip_prefix('=').map(str::trim_start).and_then(|v| v.strip_prefix('"')) {
            Some(value) if own => return value.split_once('"').map(|(v, _)| v),
            _ => rest = after,
        }
    }
    None
}

/// From the first tag of a name on: the tag without its brackets, and what follows it.
fn tag<'a>(text: &'a str, name: &str) -> Option<(&'a str, &'a str)> {
    let mut rest = text;
    loop {
        let after = &rest[rest.find('<')? + 1..];
        let end = after.find('>')?;
        let whole = after[..end].trim_end_matches('/');
        if whole.split_whitespace().next() == Some(name) {
            return Some((whole, &after[end + 1..]));
        }
        rest = &after[end + 1..];
    }
}

/// VTK's XML files of one piece with numbers per cell, as text or appended as they are, without compression: what convert writes, and ParaView with "ascii" or
/// "appended, raw".
fn read_vtk(bytes: &[u8], path: &Path) -> Result<Ovf, Problems> {
    let wrong = |message: &str| {
        problem(path, message, "expected image data or a rectilinear grid with one array per cell, as text or appended raw, not compressed")
    };
    // Appended numbers begin behind the underscore; all before is text.
    let mark = b"<AppendedData";
    let appended = bytes.windows(mark.len()).position(|w| w == mark);
    let (head, rest) = bytes.split_at(appended.unwrap_or(bytes.len()));
    let text = std::str::from_utf8(head).map_err(|_| wrong("it is no text"))?;
    let (file, _) = tag(text, "VTKFile").ok_or_else(|| wrong("it is no file of VTK's"))?;
    if attribute(file, "compressor").is_some() || attribute(file, "byte_order").is_some_and(|o| o != "LittleEndian") {
        return Err(wrong("it is compressed, or big-endian"));
    }
    let (grid, _) = tag(text, "ImageData").or_else(|| tag(text, "RectilinearGrid")).ok_or_else(|| wrong("it holds no regular grid"))?;
    let numbers = |list: &str| -> Option<Vec<f64>> { list.split_whitespace().map(|v| v.parse().ok()).collect() };
    let extent: Option<[f64; 6]> = attribute(grid, "WholeExtent").and_then(numbers).and_then(|v| v.try_into().ok());
    let extent = extent.ok_or_else(|| wrong("its extent is not six numbers"))?;
    let n = [0, 1, 2].map(|a| extent[2 * a + 1] - extent[2 * a]);
    if n.iter().any(|n| !(*n >= 1.0 && *n <= 1e9 && n.fract() == 0.0)) {
        return Err(wrong("its extent holds no cells"));
    }
    let n = n.map(|n| n as usize);
    let (mut cell, mut origin) = ([1.0; 3], [0.0; 3]);
    if grid.starts_with("ImageData") {
        let three = |name: &str| -> Option<[f64; 3]> { attribute(grid, name).and_then(numbers).and_then(|v| v.try_into().ok()) };
        (cell, origin) = (three("Spacing").unwrap_or(cell), three("Origin").unwrap_or(origin));
    } else {
        let (_, mut coordinates) = tag(text, "Coordinates").ok_or_else(|| wrong("its coordinates are missing"))?;
        for axis in 0..3 {
            let (head, after) = tag(coordinates, "DataArray").ok_or_else(|| wrong("its coordinates are missing"))?;
            if attribute(head, "format") != Some("ascii") {
                return Err(wrong("its coordinates are no text"));
            }
            let planes = after.split_once('<').and_then(|(list, _)| numbers(list)).filter(|p| p.len() == n[axis] + 1);
            let planes = planes.ok_or_else(|| wrong("its coordinates are not one more than its cells"))?;
            cell[axis] = (planes[n[axis]] - planes[0]) / n[axis] as f64;
            origin[axis] = planes[0];
            if planes.iter().enumerate().any(|(i, p)| (p - planes[0] - i as f64 * cell[axis]).abs() > 1e-3 * cell[axis].abs()) {
                return Err(wrong("its planes are not evenly spaced"));
            }
            coordinates = after;
        }
    }
    if cell.iter().any(|c| !(*c > 0.0 && c.is_finite())) {
        return Err(wrong("its cells have no size"));
    }
    let time = tag(text, "FieldData")
        .and_then(|(_, inside)| tag(inside, "DataArray"))
        .filter(|(head, _)| attribute(head, "Name") == Some("TimeValue") && attribute(head, "format") == Some("ascii"))
        .and_then(|(_, after)| after.split_once('<'))
        .and_then(|(value, _)| value.trim().parse().ok());
    let (_, cells) = tag(text, "CellData").ok_or_else(|| wrong("it holds no numbers per cell"))?;
    let (array, after) = tag(cells, "DataArray").ok_or_else(|| wrong("it holds no numbers per cell"))?;
    let width: usize = attribute(array, "NumberOfComponents")
        .map_or(Some(1), |w| w.parse().ok())
        .filter(|w| *w > 0)
        .ok_or_else(|| wrong("it has no components"))?;
    let wide = match attribute(array, "type") {
        Some("Float32") => 4,
        Some("Float64") => 8,
        _ => return Err(wrong("its numbers are not Float32 or Float64")),
    };
    let count = n.iter().chain([&width]).try_fold(1usize, |a, &b| a.checked_mul(b)).ok_or_else(|| wrong("it is larger than memory"))?;
    let data = match attribute(array, "format") {
        Some("ascii") => after.split_once('<').and_then(|(list, _)| numbers(list)),
        Some("appended") => {
            let long = if attribute(file, "header_type") == Some("UInt64") { 8 } else { 4 };
            let offset: usize = attribute(array, "offset").and_then(|o| o.parse().ok()).unwrap_or(0);
            let begin = rest
                .iter()
                .position(|b| *b == b'_')
                .map_or(usize::MAX, |p| p.saturating_add(1))
                .saturating_add(offset)
                .saturating_add(long);
            let raw = rest.get(begin..).and_then(|r| r.get(..count.checked_mul(wide)?));
            raw.map(|raw| {
                if wide == 4 {
                    raw.as_chunks().0.iter().map(|b| f64::from(f32::from_le_bytes(*b))).collect()
                } else {
                    raw.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b)).collect()
                }
            })
        }
        _ => return Err(wrong("its numbers are encoded otherwise")),
    };
    let data = data.filter(|d: &Vec<f64>| d.len() == count).ok_or_else(|| wrong("it does not hold as many numbers as it says"))?;
    let unescaped = |t: &str| t.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&");
    let title = attribute(array, "Name").map_or_else(String::new, unescaped);
    let labels = labels_of(&title, width);
    Ok(Ovf { mesh: Mesh::regular(n, cell, origin), units: vec!["1".into(); width], labels, title, time, data })
}

fn read_json(bytes: &[u8], path: &Path) -> Result<Ovf, Problems> {
    let ovf: Ovf = serde_json::from_slice(bytes).map_err(|e| {
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
