//! The mesh of an experiment: its layers, its regions, and what differs from cell to cell.

use super::*;
use spinloom_kernels::mesh::{MAX_LAYERS, Stack};

/// The mesh, and the layers of a stack.
pub(super) fn read_mesh(node: &Node, problems: &mut Problems) -> Option<(Mesh, Vec<Layer>)> {
    let mut f = Fields::of(node, "the mesh", problems)?;
    let layers = f.optional("layers");
    let lengths = |node: Option<&Node>, problems: &mut Problems| match (node?, layers) {
        (n, None) => positive_vector::<3>(n, problems),
        // Along z a stack has its own.
        (n, Some(_)) => positive_vector::<2>(n, problems).map(|[x, y]| [x, y, 1.0]),
    };
    let size = lengths(f.required("size", problems), problems);
    let cell = lengths(f.required("cell", problems), problems);
    let pbc = f.optional("pbc").map_or(Some([0; 3]), |n| {
        let list = n.list(problems)?;
        if list.len() != 3 {
            problems.push(n.error("three numbers of periodic images are wanted here"));
            return None;
        }
        let counts: Option<Vec<usize>> = list.iter().map(|n| n.count(problems)).collect();
        counts.map(|c| [c[0] as u32, c[1] as u32, c[2] as u32])
    });
    f.finish(problems);
    let stack = match layers {
        Some(node) => Some(read_layers(node, problems)?),
        None => None,
    };
    let (size, cell) = (size?, cell?);
    let mut n = [0; 3];
    for a in 0..3 {
        let cells = size[a] / cell[a];
        n[a] = cells.round().max(1.0) as usize;
        if (cells - n[a] as f64).abs() > 1e-6 * cells.max(1.0) {
            let axis = ["x", "y", "z"][a];
            problems.push(
                node.error(format!("the size along {axis} is {cells:.3} cells, not a whole number")).hint("change the size or the cell"),
            );
        }
    }
    if let Some((stack, _)) = &stack {
        n[2] = stack.count();
    }
    if n.iter().map(|n| *n as f64).product::<f64>() > f64::from(1 << 30) {
        problems.push(node.error(format!("{} x {} x {} cells are more than this program takes (2^30)", n[0], n[1], n[2])));
        return None;
    }
    let pbc = pbc?;
    Some(match stack {
        Some((stack, layers)) => (Mesh { pbc, ..Mesh::stacked([n[0], n[1]], [cell[0], cell[1]], stack) }, layers),
        None => (Mesh { pbc, ..Mesh::new(n, cell) }, Vec::new()),
    })
}

/// A layer of a stack: its name and material, and the first and the last of its mesh layers.
pub(super) struct Layer {
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) material: Option<Node>,
    pub(super) mesh_layers: [usize; 2],
}

/// From the bottom up, `{name, thickness, cells, material}` or `{spacer: 0.9 nm}`.
pub(super) fn read_layers(node: &Node, problems: &mut Problems) -> Option<(Stack, Vec<Layer>)> {
    let mut height = 0.0;
    // Reads on after a bad entry, so that all are told of.
    let mut whole = true;
    let (mut faces, mut layers) = (Vec::new(), Vec::new());
    for n in node.list(problems)? {
        let mut f = Fields::of(n, "a layer", problems)?;
        if let Some(spacer) = f.optional("spacer") {
            f.finish(problems);
            match spacer.positive(Dimension::LENGTH, problems) {
                Some(s) => height += s,
                None => whole = false,
            }
            continue;
        }
        let name = f.required("name", problems).and_then(|n| n.text(problems)).map(str::to_string);
        let thickness = f.required("thickness", problems).and_then(|n| n.positive(Dimension::LENGTH, problems));
        let cells = f.optional("cells").map_or(Some(1), |n| {
            let count = n.count(problems)?;
            if !(1..=MAX_LAYERS).contains(&count) {
                problems.push(n.error(format!("a layer has 1 to {MAX_LAYERS} cells along z, not {count}")));
                return None;
            }
            Some(count)
        });
        let material = f.optional("material").cloned();
        f.finish(problems);
        let (Some(name), Some(thickness), Some(cells)) = (name, thickness, cells) else {
            whole = false;
            continue;
        };
        let first = faces.len();
        faces.extend((0..cells).map(|k| (height + thickness * k as f64 / cells as f64, thickness / cells as f64)));
        height += thickness;
        layers.push(Layer { name, place: n.place.clone(), material, mesh_layers: [first, faces.len() - 1] });
    }
    if !whole {
        return None;
    }
    match Stack::new(&faces) {
        Ok(stack) => Some((stack, layers)),
        Err(why) => {
            problems.push(node.error(why));
            None
        }
    }
}

pub(crate) fn positive_vector<const N: usize>(node: &Node, problems: &mut Problems) -> Option<[f64; N]> {
    let v = node.vector::<N>(Dimension::LENGTH, problems)?;
    if v.iter().all(|x| *x > 0.0) {
        return Some(v);
    }
    problems.push(node.error("lengths must be greater than zero"));
    None
}

/// Numbers for each cell, `[cell][component]`, from an OVF file beside the experiment.
pub(super) fn read_ovf(node: &Node, document: &Document, mesh: &Mesh, components: usize, problems: &mut Problems) -> Option<Vec<f64>> {
    let path = std::path::Path::new(&document.name).parent().unwrap_or(std::path::Path::new("")).join(node.text(problems)?);
    match spinloom_record::Ovf::read_file(&path) {
        Ok(ovf) if ovf.components() == components && ovf.mesh.n == mesh.n => Some(ovf.data),
        Ok(ovf) => {
            let ([x, y, z], [nx, ny, nz]) = (ovf.mesh.n, mesh.n);
            let found = format!("`{}` holds {} component(s) on {x} x {y} x {z} cells", path.display(), ovf.components());
            problems.push(node.error(found).hint(format!("wanted: {components} component(s) on the {nx} x {ny} x {nz} cells of the mesh")));
            None
        }
        Err(e) => {
            e.iter().for_each(|d| problems.push(node.error(format!("`{}`: {}", path.display(), d.message))));
            None
        }
    }
}

/// Parameters with a factor for each cell, from OVF files of one component beside the experiment.
pub(super) fn read_cellwise(node: &Node, document: &Document, mesh: &Mesh, problems: &mut Problems) -> Option<Vec<Cellwise>> {
    let mut list = Vec::new();
    for n in node.list(problems)? {
        let mut f = Fields::of(n, "an entry of `cells`", problems)?;
        let parameter = f.required("parameter", problems).and_then(|n| {
            let text = n.text(problems)?;
            let known = ParameterId::by_name(text);
            if known.is_none() {
                let error = n.error(format!("`{text}` is not a parameter"));
                problems.push(match nearest(text, PARAMETERS.iter().map(|p| p.name)) {
                    Some(k) => error.hint(format!("did you mean `{k}`?")),
                    None => error,
                });
            }
            known
        });
        let factors = f.required("factors", problems).and_then(|n| read_ovf(n, document, mesh, 1, problems));
        f.finish(problems);
        if parameter.is_some_and(|p| list.iter().flatten().any(|c: &Cellwise| c.parameter == p)) {
            problems.push(n.error("this parameter has factors already").hint("multiply them in one file"));
        }
        list.push(parameter.zip(factors).map(|(parameter, factors)| Cellwise { parameter, factors: factors.into() }));
    }
    list.into_iter().collect()
}

/// Names and material nodes of the regions after the first, and the painted map.
pub(super) fn read_regions(
    node: Option<&Node>,
    mesh: &Mesh,
    layers: Vec<Layer>,
    geometry: &Shape,
    problems: &mut Problems,
) -> Option<(Vec<(String, Option<Node>)>, RegionMap)> {
    let mut cells = vec![RegionMap::VACUUM; mesh.cells()];
    for i in geometry.cells(mesh) {
        cells[i] = 0;
    }
    if cells.iter().all(|c| *c == RegionMap::VACUUM) {
        problems.push(Diagnostic::error("the geometry contains no cell of the mesh"));
    }
    let mut names: Vec<(String, Option<Node>)> = Vec::new();
    let named = |name: &str, place: &Place, names: &[(String, Option<Node>)], problems: &mut Problems| {
        let error = |text: String| Diagnostic::error(text).at(place.clone());
        if ParameterId::by_name(name).is_some() || name == "all" {
            problems.push(error(format!("a region cannot be called `{name}`")).hint("that is a name of this program"));
        }
        if names.iter().any(|(n, _)| n == name) {
            problems.push(error(format!("there are two regions `{name}`")).hint("layers are regions too"));
        }
    };
    let plane = mesh.n[0] * mesh.n[1];
    for layer in layers {
        named(&layer.name, &layer.place, &names, problems);
        names.push((layer.name, layer.material));
        let [first, last] = layer.mesh_layers;
        cells[first * plane..(last + 1) * plane].iter_mut().filter(|c| **c != RegionMap::VACUUM).for_each(|c| *c = names.len() as u16);
    }
    for (name, place, node) in node.map_or(Some(&[][..]), |n| n.entries(problems))? {
        named(name, place, &names, problems);
        let mut f = Fields::of(node, "a region", problems)?;
        let shape = f.required("shape", problems).and_then(|n| Shape::read(n, problems));
        let material = f.optional("material").cloned();
        f.finish(problems);
        names.push((name.clone(), material));
        let mut any = false;
        for i in shape?.cells(mesh) {
            if cells[i] != RegionMap::VACUUM {
                cells[i] = names.len() as u16;
                any = true;
            }
        }
        if !any {
            let s = mesh.size().map(|s| (0.5e13 * s).round() / 1e4);
            problems.push(
                Diagnostic::error(format!("region `{name}` lies outside the mesh"))
                    .at(place.clone())
                    .hint(format!("the mesh spans ±{} nm, ±{} nm, ±{} nm around its centre", s[0], s[1], s[2])),
            );
        }
    }
    let map = RegionMap::new(cells, names.len() + 1);
    if let Err(region) = map.layers(mesh) {
        let name = usize::from(region).checked_sub(1).map_or("the geometry", |r| names[r].0.as_str());
        let error = Diagnostic::error(format!("region `{name}` lies in layers of the stack that are not alike"));
        problems.push(error.hint("give each a region of its own: bound its `shape` along z"));
    }
    Some((names, map))
}
