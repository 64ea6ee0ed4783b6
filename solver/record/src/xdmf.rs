//! XDMF beside a finished record, for ParaView: light text that points into `run.h5`.

use crate::formats::escape;
use crate::h5::{Named, problem};
use crate::header::{Mesh, Precision};
use crate::reader::{Field, Record};
use spinloom_base::Problems;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;

/// Writes `run.xdmf` beside a finished record and returns its path. One temporal collection per replica that has frames;
/// each instant shows the quantities of which there is a frame at exactly that time.
///
/// # Errors
/// The run is not finished; a damaged file; what the file system says.
pub fn write_xdmf(record: &Record) -> Result<PathBuf, Problems> {
    if !record.is_finished() {
        return Err(problem(record.path(), "the run is not finished: its frames lie in several files", "let it finish, or resume it"));
    }
    let path = record.path().with_extension("xdmf");
    let text = text(record)?;
    let part = path.with_extension("xdmf.part");
    std::fs::write(&part, text).and_then(|()| std::fs::rename(&part, &path)).named(&path, "write")?;
    Ok(path)
}

fn text(record: &Record) -> Result<String, Problems> {
    let (header, fields) = (record.header(), record.fields()?);
    let file = record.path().file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let mut frames: Vec<BTreeMap<TimeKey, Vec<(&Field, usize)>>> = vec![BTreeMap::new(); header.replicas.len()];
    for field in &fields {
        for (k, &(t, replica)) in field.frames.iter().enumerate() {
            let Some(instants) = frames.get_mut(replica) else {
                return Err(problem(record.path(), format!("a frame of replica {replica}, which does not exist"), "the file is damaged"));
            };
            instants.entry(TimeKey(t)).or_default().push((field, k));
        }
    }
    let mut out = String::from("<?xml version=\"1.0\"?>\n<Xdmf Version=\"2.0\">\n  <Domain>\n");
    for (replica, instants) in header.replicas.iter().zip(&frames).filter(|(_, i)| !i.is_empty()) {
        let _ = writeln!(out, "    <Grid Name=\"{}\" GridType=\"Collection\" CollectionType=\"Temporal\">", escape(&replica.label));
        for (TimeKey(t), shown) in instants {
            instant(&mut out, record, &file, *t, shown);
        }
        out += "    </Grid>\n";
    }
    out += "  </Domain>\n</Xdmf>\n";
    Ok(out)
}

/// One grid; of a stack a spatial collection of them, one for each run of equal layers, so that every layer has its own height.
fn instant(out: &mut String, record: &Record, file: &str, t: f64, shown: &[(&Field, usize)]) {
    let parts = record.header().mesh.parts();
    let alone = parts.len() == 1;
    let time = format!("<Time Value=\"{t:e}\"/>");
    if !alone {
        let _ = writeln!(out, "      <Grid Name=\"stack\" GridType=\"Collection\" CollectionType=\"Spatial\">\n        {time}");
    }
    for (layers, mesh) in parts {
        let name = if alone { "mesh".to_string() } else { format!("layers {} to {}", layers.start, layers.end - 1) };
        let _ = writeln!(out, "      <Grid Name=\"{name}\" GridType=\"Uniform\">");
        if alone {
            let _ = writeln!(out, "        {time}");
        }
        grid(out, record, file, (layers.start, &mesh), shown);
        let _ = writeln!(out, "      </Grid>");
    }
    if !alone {
        let _ = writeln!(out, "      </Grid>");
    }
}

/// The layers from `first` on that are a regular mesh.
fn grid(out: &mut String, record: &Record, file: &str, (first, mesh): (usize, &Mesh), shown: &[(&Field, usize)]) {
    // XDMF counts z first, like the data; a grid of n cells has n + 1 nodes.
    let [nx, ny, nz] = mesh.n;
    let ([x, y, z], [dx, dy, dz]) = (mesh.origin, mesh.cell);
    let all = record.header().mesh.n[2];
    let bytes = if record.header().precision == Precision::Single { 4 } else { 8 };
    let _ = writeln!(out, "        <Topology TopologyType=\"3DCoRectMesh\" Dimensions=\"{} {} {}\"/>", nz + 1, ny + 1, nx + 1);
    let _ = writeln!(out, "        <Geometry GeometryType=\"ORIGIN_DXDYDZ\">");
    let _ = writeln!(
        out,
        "          <DataItem Dimensions=\"3\" NumberType=\"Float\" Precision=\"8\" Format=\"XML\">{z:e} {y:e} {x:e}</DataItem>"
    );
    let _ = writeln!(
        out,
        "          <DataItem Dimensions=\"3\" NumberType=\"Float\" Precision=\"8\" Format=\"XML\">{dz:e} {dy:e} {dx:e}</DataItem>"
    );
    let _ = writeln!(out, "        </Geometry>");
    for (field, k) in shown {
        let components = field.components;
        let kind = match components {
            1 => "Scalar",
            3 => "Vector",
            6 => "Tensor6",
            9 => "Tensor",
            _ => "Matrix",
        };
        let name = escape(&field.name);
        let dimensions = if components == 1 { format!("{nz} {ny} {nx}") } else { format!("{nz} {ny} {nx} {components}") };
        let frames = field.frames.len();
        let _ = writeln!(out, "        <Attribute Name=\"{name}\" AttributeType=\"{kind}\" Center=\"Cell\">");
        let _ = writeln!(out, "          <DataItem ItemType=\"HyperSlab\" Dimensions=\"{dimensions}\">");
        let slab = format!("{k} {first} 0 0 0  1 1 1 1 1  1 {nz} {ny} {nx} {components}");
        let _ = writeln!(out, "            <DataItem Dimensions=\"3 5\" Format=\"XML\">{slab}</DataItem>");
        let _ = writeln!(
            out,
            "            <DataItem Dimensions=\"{frames} {all} {ny} {nx} {components}\" NumberType=\"Float\" Precision=\"{bytes}\" Format=\"HDF\">{}:/fields/{name}/data</DataItem>",
            escape(file)
        );
        let _ = writeln!(out, "          </DataItem>\n        </Attribute>");
    }
}

/// A time as a key; NaN sorts last.
#[derive(Clone, Copy, PartialEq)]
struct TimeKey(f64);

impl Eq for TimeKey {}

impl Ord for TimeKey {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for TimeKey {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
