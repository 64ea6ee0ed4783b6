//! Parameters, waveforms, couplings and initial states.

use super::*;

/// `{between: [lower, upper], J1: -1 mJ/m^2, J2: …, D: […]}`: regions by name, strengths per area.
pub(super) fn read_coupling(node: &Node, names: &[(String, Option<Node>)], problems: &mut Problems) -> Option<Coupling> {
    let mut f = Fields::of(node, "a coupling", problems)?;
    let between = f.required("between", problems).and_then(|n| {
        let list = n.list(problems)?;
        let find = |n: &Node, problems: &mut Problems| {
            let name = n.text(problems)?;
            let found = names.iter().position(|(k, _)| k == name);
            if found.is_none() {
                let hint = match nearest(name, names.iter().map(|(k, _)| k.as_str())) {
                    Some(k) => format!("did you mean `{k}`?"),
                    None => "couplings join regions by name".into(),
                };
                problems.push(n.error(format!("there is no region `{name}`")).hint(hint));
            }
            found.map(|i| i as u16 + 1)
        };
        match list {
            [a, b] => Some((find(a, problems)?, find(b, problems)?)),
            _ => {
                problems.push(n.error("a coupling joins two regions"));
                None
            }
        }
    });
    let j1 = f.optional("J1").map_or(Some(0.0), |n| n.quantity(Dimension::SURFACE_ENERGY, problems));
    let j2 = f.optional("J2").map_or(Some(0.0), |n| n.quantity(Dimension::SURFACE_ENERGY, problems));
    let d = f.optional("D").map_or(Some([0.0; 3]), |n| n.vector::<3>(Dimension::SURFACE_ENERGY, problems));
    f.finish(problems);
    Some(Coupling { regions: between?, j1: j1?, j2: j2?, d: d? })
}

/// One parameter: `15 pJ/m`, `[0, 0, 0.1 T]`, or `{value: …, wave: {…}}`.
pub(super) fn read_parameter(
    key: &str,
    place: &spinloom_base::Place,
    node: &Node,
    problems: &mut Problems,
) -> Option<(ParameterId, [f64; 3], Waveform)> {
    let Some(id) = ParameterId::by_name(key) else {
        let names = PARAMETERS.iter().map(|p| p.name);
        let hint = match nearest(key, names.clone()) {
            Some(k) => format!("did you mean `{k}`?"),
            None => format!("it can be {}", one_of(names)),
        };
        problems.push(Diagnostic::error(format!("`{key}` is not a parameter")).at(place.clone()).hint(hint));
        return None;
    };
    let info = id.info();
    let (value, wave) = match node.value {
        Value::Map(_) => {
            let mut f = Fields::of(node, "a parameter in time", problems)?;
            let value = f.required("value", problems)?;
            let wave = f.required("wave", problems).and_then(|n| read_waveform(n, problems));
            f.finish(problems);
            (value, wave?)
        }
        _ => (node, Waveform::Constant),
    };
    let v = if info.components == 3 {
        value.vector::<3>(info.dimension, problems)?
    } else {
        let x = value.quantity(info.dimension, problems)?;
        if let Some(minimum) = info.minimum
            && x < minimum
        {
            problems.push(value.error(format!("{key} must be at least {minimum}, not {x}")));
            return None;
        }
        [x, 0.0, 0.0]
    };
    Some((id, v, wave))
}

pub(super) fn read_parameters(node: &Node, problems: &mut Problems) -> Option<Vec<(ParameterId, [f64; 3], Waveform)>> {
    let entries = node.entries(problems)?;
    let list: Vec<_> = entries.iter().map(|(k, p, n)| read_parameter(k, p, n, problems)).collect();
    list.into_iter().collect()
}

pub(crate) fn read_waveform(node: &Node, problems: &mut Problems) -> Option<Waveform> {
    let mut f = Fields::of(node, "a waveform", problems)?;
    let (sine, linear, steps) = (f.optional("sine"), f.optional("linear"), f.optional("steps"));
    f.finish(problems);
    let points = |n: &Node, problems: &mut Problems| -> Option<Vec<(f64, f64)>> {
        let list = n.list(problems)?;
        let points: Option<Vec<(f64, f64)>> = list
            .iter()
            .map(|p| match p.list(problems)? {
                [t, x] => Some((t.quantity(Dimension::TIME, problems)?, x.quantity(Dimension::NONE, problems)?)),
                _ => {
                    problems.push(p.error("a point is [time, factor]"));
                    None
                }
            })
            .collect();
        let points = points?;
        if points.is_empty() || points.windows(2).any(|w| w[0].0 >= w[1].0) {
            problems.push(n.error("the points must be at least one, with rising times"));
            return None;
        }
        Some(points)
    };
    match (sine, linear, steps) {
        (Some(n), None, None) => {
            let mut f = Fields::of(n, "a sine", problems)?;
            let mut get = |key, dimension, default: Option<f64>, problems: &mut Problems| match (f.optional(key), default) {
                (Some(n), _) => n.quantity(dimension, problems),
                (None, Some(d)) => Some(d),
                (None, None) => {
                    problems.push(n.error(format!("a sine needs the key `{key}`")));
                    None
                }
            };
            let frequency = get("frequency", Dimension::FREQUENCY, None, problems);
            let amplitude = get("amplitude", Dimension::NONE, Some(1.0), problems);
            let offset = get("offset", Dimension::NONE, Some(0.0), problems);
            let phase = get("phase", Dimension::NONE, Some(0.0), problems);
            f.finish(problems);
            Some(Waveform::Sine { offset: offset?, amplitude: amplitude?, frequency: frequency?, phase: phase? })
        }
        (None, Some(n), None) => points(n, problems).map(Waveform::Linear),
        (None, None, Some(n)) => points(n, problems).map(Waveform::Steps),
        _ => {
            problems.push(node.error("a waveform is exactly one of `sine`, `linear` and `steps`"));
            None
        }
    }
}

/// What makes no physical sense, or a slip of the unit.
pub(super) fn check_material(root: &Node, node: &Node, material: &Material, problems: &mut Problems) {
    let place = |p: ParameterId| node.get(p.info().name).unwrap_or(node);
    for v in &material.regions {
        let aex = v.scalar(ParameterId::Aex);
        if aex > 1e-9 {
            let ratio = aex / 13e-12;
            problems.push(
                place(ParameterId::Aex)
                    .error(format!("Aex = {aex:e} J/m is 10^{:.0} times permalloy's", ratio.log10()))
                    .hint("exchange stiffnesses are of the order of 10 pJ/m"),
            );
        }
        let ms = v.scalar(ParameterId::Msat);
        if ms > 5e6 {
            problems.push(place(ParameterId::Msat).error(format!("Msat = {ms:e} A/m is above every known material (iron has 1.7e6)")));
        }
        if v.scalar(ParameterId::Ku1) != 0.0 && v.vector(ParameterId::AnisU) == [0.0; 3] {
            problems.push(place(ParameterId::AnisU).error("the anisotropy axis has no direction"));
        }
        if v.scalar(ParameterId::Dind) != 0.0 && aex == 0.0 {
            problems.push(place(ParameterId::Dind).error("Dind needs Aex: its boundary condition divides by it"));
        }
        if v.scalar(ParameterId::Temp) > 0.0 && v.scalar(ParameterId::Alpha) == 0.0 {
            problems.push(place(ParameterId::Temp).error("a temperature without damping has no thermal field").hint("set `alpha`"));
        }
    }
    if !material.uses(ParameterId::Msat) {
        problems.push(root.get("material").unwrap_or(root).error("no region has a magnetisation").hint("set `Msat`"));
    }
}

/// A vector that is not zero, as written.
pub(super) fn read_direction(node: &Node, problems: &mut Problems) -> Option<[f64; 3]> {
    let v = node.vector::<3>(Dimension::NONE, problems)?;
    if v == [0.0; 3] {
        problems.push(node.error("a direction of length zero"));
        return None;
    }
    Some(v)
}

/// The same, made of length 1.
pub(crate) fn read_unit_vector(node: &Node, problems: &mut Problems) -> Option<[f64; 3]> {
    let v = read_direction(node, problems)?;
    let norm = v.iter().map(|c| c * c).sum::<f64>().sqrt();
    Some(v.map(|c| c / norm))
}

pub(super) fn read_initial(node: &Node, document: &Document, mesh: &Mesh, regions: &[&str], problems: &mut Problems) -> Option<Initial> {
    if let Value::Text(_) = node.value {
        return node.choice(&["random"], problems).map(|_| Initial::Random);
    }
    let mut f = Fields::of(node, "the initial state", problems)?;
    let (uniform, wall, file, parts) = (f.optional("uniform"), f.optional("wall"), f.optional("file"), f.optional("regions"));
    f.finish(problems);
    let base = match (uniform, wall, file) {
        (Some(n), None, None) => read_direction(n, problems).map(Initial::Uniform),
        (None, None, Some(n)) => {
            let data = mesh::read_ovf(n, document, mesh, 3, problems)?;
            Some(Initial::State(data.as_chunks().0.to_vec().into()))
        }
        (None, Some(n), None) => {
            let mut f = Fields::of(n, "a wall", problems)?;
            let [left, right, centre] =
                ["left", "right", "centre"].map(|k| f.required(k, problems).and_then(|n| read_direction(n, problems)));
            let at = f.required("at", problems).and_then(|n| n.quantity(Dimension::LENGTH, problems));
            let width = f.required("width", problems).and_then(|n| n.positive(Dimension::LENGTH, problems));
            f.finish(problems);
            Some(Initial::Wall { left: left?, right: right?, centre: centre?, at: at?, width: width? })
        }
        _ => {
            problems.push(node.error("the initial state is `random`, or exactly one of `uniform`, `wall` and `file`"));
            None
        }
    };
    let Some(parts) = parts else { return base };
    let mut list = Vec::new();
    for (name, place, node) in parts.entries(problems)? {
        match regions.iter().position(|r| r == name) {
            Some(i) => list.push((i as u16 + 1, read_initial(node, document, mesh, regions, problems)?)),
            None => {
                let error = Diagnostic::error(format!("there is no region `{name}`")).at(place.clone());
                problems.push(match nearest(name, regions.iter().copied()) {
                    Some(k) => error.hint(format!("did you mean `{k}`?")),
                    None => error,
                });
            }
        }
    }
    Some(Initial::Parts(Box::new(base?), list))
}
