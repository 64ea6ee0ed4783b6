//! An experiment in YAML: what is simulated, what is done to it, what is written down. Read and checked whole before anything is computed.

use crate::devices::DeviceChoice;
use crate::exchange_bias::ExchangeBias;
use crate::heat::{Heat, Law};
use crate::oersted::Conductor;
use crate::quantities::{self, Quantity};
use crate::readout::{Probe, ProbeKind};
use crate::shapes::Shape;
use crate::simulation::{DemagEvery, Step};
use crate::surroundings::{Age, Level, SPLIT, Surroundings, Target};
use crate::tableau::{self, Tableau};
use spinloom_base::diagnostics::{nearest, one_of};
use spinloom_base::random::Stream;
use spinloom_base::{Diagnostic, Dimension, Document, Fields, Node, Place, Problems, Value, units};
use spinloom_kernels::material::{Cellwise, Coupling};
use spinloom_kernels::mesh::Stack;
use spinloom_kernels::{Material, Mesh, PARAMETERS, ParameterId, RegionMap, System, Term, Values, Waveform};

/// A whole experiment, ready to run.
#[derive(Clone, Debug)]
pub struct Experiment {
    /// What it is called.
    pub name: String,
    /// The file it came from, as the user named it, and its text.
    pub source: (String, String),
    /// Device.
    pub device: DeviceChoice,
    /// The ensemble at the start of the protocol.
    pub system: System,
    /// Start of each replica's magnetisation.
    pub initial: Vec<Initial>,
    /// Whether to relax, minimise or neither before the protocol.
    pub settle: Settle,
    /// Method.
    pub tableau: &'static Tableau,
    /// Step rule.
    pub step: Step,
    /// How often the demagnetising field is computed.
    pub demag_every: DemagEvery,
    /// The swept variables and their values per replica (SI), with unit.
    pub axes: Vec<Axis>,
    /// What is done, per replica; the same phases for all, with the replica's own values.
    pub protocol: Vec<Vec<Phase>>,
    /// Ends a replica's run when met.
    pub abort: Vec<Condition>,
    /// Table columns after `t` and `phase`.
    pub columns: Vec<Quantity>,
    /// Time between rows (s).
    pub every: f64,
    /// Time between stored pictures of m (s), if any.
    pub pictures: Option<f64>,
    /// What surrounds each replica's magnet.
    pub surroundings: Vec<Surroundings>,
}

/// A swept variable.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// Its name.
    pub name: String,
    /// SI unit.
    pub unit: String,
    /// One value per replica.
    pub values: Vec<f64>,
}

/// How the magnetisation starts.
#[derive(Clone, Debug, PartialEq)]
pub enum Initial {
    /// The same everywhere.
    Uniform([f64; 3]),
    /// Independent random directions.
    Random,
    /// A wall across the track: left and right domain, centre, position (m), width (m).
    Wall {
        /// m on the left.
        left: [f64; 3],
        /// m on the right.
        right: [f64; 3],
        /// m in the middle of the wall.
        centre: [f64; 3],
        /// Position (m).
        at: f64,
        /// Width parameter Δ of tanh(x/Δ) (m).
        width: f64,
    },
    /// The first, but in some regions another.
    Parts(Box<Initial>, Vec<(u16, Initial)>),
}

impl Initial {
    /// The direction in a cell, not normalised.
    fn at(&self, x: f64, region: u16, stream: &mut Stream) -> [f64; 3] {
        match self {
            Initial::Uniform(v) => *v,
            Initial::Random => [stream.normal(), stream.normal(), stream.normal()],
            Initial::Wall { left, right, centre, at, width } => {
                let u = (x - at) / width;
                let (l, r) = (0.5 * (1.0 - u.tanh()), 0.5 * (1.0 + u.tanh()));
                std::array::from_fn(|c| l * left[c] + r * right[c] + centre[c] / u.cosh())
            }
            Initial::Parts(base, parts) => parts.iter().find(|p| p.0 == region).map_or(&**base, |p| &p.1).at(x, region, stream),
        }
    }
}

/// What precedes the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settle {
    /// Nothing.
    No,
    /// [`crate::Simulation::relax`].
    Relax,
    /// [`crate::Simulation::minimise`].
    Minimise,
}

/// One stretch of a protocol.
#[derive(Clone, Debug, PartialEq)]
pub struct Phase {
    /// Its name, in events.
    pub name: String,
    /// Longest duration (s).
    pub duration: f64,
    /// Parameters that change at its start: region (all if `None`), parameter, value (SI), waveform.
    pub set: Vec<(Option<usize>, ParameterId, [f64; 3], Waveform)>,
    /// Currents, voltages and bath temperatures that change at its start.
    pub levels: Vec<(Target, Level)>,
    /// How grains of an antiferromagnet age before its clock starts.
    pub age: Option<Age>,
    /// Values written into the table while it lasts, by position in the log columns.
    pub log: Vec<(usize, f64)>,
    /// Conditions that end it, and the position of the phase to go on with (usually the next).
    pub exits: Vec<(Condition, usize)>,
}

/// A column compared with a number.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// The column, by position in [`Experiment::columns`].
    pub column: usize,
    /// Its name.
    pub name: String,
    /// Whether the value must lie above (or below) the limit.
    pub above: bool,
    /// The limit (SI).
    pub limit: f64,
}

impl Condition {
    /// Whether a row of the table (columns only) meets it. Not-a-number meets nothing.
    pub fn met(&self, row: &[f64]) -> bool {
        if self.above { row[self.column] > self.limit } else { row[self.column] < self.limit }
    }

    /// For events: `wall_x above`.
    pub fn words(&self) -> String {
        format!("{} {}", self.name, if self.above { "above" } else { "below" })
    }
}

impl Experiment {
    /// Reads and checks an experiment; nothing is computed.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(document: &Document) -> Result<Experiment, Problems> {
        let mut problems = Problems::new();
        let experiment = read(document, &mut problems);
        problems.into_result(experiment)
    }

    /// Number of replicas.
    pub fn replicas(&self) -> usize {
        self.system.replicas.len()
    }

    /// Longest time the protocol can take (s), over all replicas.
    pub fn longest(&self) -> f64 {
        self.protocol.iter().map(|p| p.iter().map(|p| p.duration).sum()).fold(0.0, f64::max)
    }

    /// The starting magnetisation of a replica.
    pub fn start(&self, replica: usize) -> Vec<f64> {
        let mesh = &self.system.mesh;
        let cells = mesh.cells();
        let mut m = vec![0.0; 3 * cells];
        let mut stream = Stream::new(self.system.seed, 1 + replica as u64);
        for i in 0..cells {
            let x = mesh.position(i % mesh.n[0], 0, 0)[0];
            let v = self.initial[replica].at(x, self.system.regions_of(replica).cells[i], &mut stream);
            for c in 0..3 {
                m[c * cells + i] = v[c];
            }
        }
        m
    }
}

/// The product of all swept values, the last name fastest, times the copies.
struct Sweep {
    names: Vec<(String, String)>,
    points: Vec<Vec<(String, Node)>>,
    values: Vec<Vec<f64>>,
}

fn read_sweep(node: Option<&Node>, copies: usize, problems: &mut Problems) -> Option<Sweep> {
    let mut sweep = Sweep { names: Vec::new(), points: vec![Vec::new()], values: vec![Vec::new()] };
    for (name, place, values) in node.and_then(|n| n.entries(problems)).unwrap_or(&[]) {
        if sweep.names.iter().any(|(n, _)| n == name) {
            problems.push(Diagnostic::error(format!("`{name}` is swept twice")).at(place.clone()));
        }
        let (nodes, si, dimension) = values.series(problems)?;
        sweep.names.push((name.clone(), if dimension == Dimension::NONE { "1".into() } else { units::si_symbol(dimension) }));
        let (points, old) = (std::mem::take(&mut sweep.points), std::mem::take(&mut sweep.values));
        for (point, value) in points.iter().zip(&old) {
            for (node, x) in nodes.iter().zip(&si) {
                sweep.points.push(point.iter().cloned().chain([(name.clone(), node.clone())]).collect());
                sweep.values.push(value.iter().copied().chain([*x]).collect());
            }
        }
    }
    if copies > 1 {
        sweep.names.push(("copy".into(), "1".into()));
        let repeat = |i: usize| i / copies;
        let n = sweep.points.len() * copies;
        sweep.values = (0..n).map(|i| sweep.values[repeat(i)].iter().copied().chain([(i % copies) as f64]).collect()).collect();
        sweep.points = (0..n).map(|i| sweep.points[repeat(i)].clone()).collect();
    }
    if sweep.points.len() > 65536 {
        let at = node.map(|n| n.error("")).unwrap_or_else(|| Diagnostic::error(""));
        problems.push(Diagnostic { message: format!("the sweep has {} points; at most 65536 fit one record", sweep.points.len()), ..at });
        return None;
    }
    Some(sweep)
}

fn read(document: &Document, problems: &mut Problems) -> Option<Experiment> {
    let root = &document.root;
    let copies = root.get("copies").and_then(|n| {
        let c = n.count(problems)?;
        if c == 0 {
            problems.push(n.error("0 copies: nothing would run"));
        }
        Some(c)
    });
    let sweep = read_sweep(root.get("sweep"), copies.unwrap_or(1).max(1), problems)?;
    let mut list = Vec::new();
    let substituted: Vec<Node> = {
        // Copies share their tree; so does everything without a sweep.
        let mut trees: Vec<Node> = Vec::new();
        for (i, point) in sweep.points.iter().enumerate() {
            if i > 0 && i % copies.unwrap_or(1).max(1) != 0 {
                trees.push(trees[i - 1].clone());
                continue;
            }
            let mut own = root.clone();
            if let Value::Map(entries) = &mut own.value {
                entries.retain(|(k, _, _)| k != "sweep" && k != "copies");
            }
            trees.push(own.substitute(point, problems));
        }
        trees
    };
    for tree in &substituted {
        list.push(read_one(document, tree, problems));
    }
    if problems.any_error() {
        return None;
    }
    let mut all = list.into_iter().collect::<Option<Vec<_>>>()?;
    let mut first = all.remove(0);
    for (other, tree) in all.into_iter().zip(&substituted[1..]) {
        if other.system.mesh != first.system.mesh {
            let at = tree.get("mesh").unwrap_or(root);
            problems.push(at.error("the mesh cannot vary within one ensemble").hint("run one experiment per mesh"));
            return None;
        }
        if other.system.cellwise != first.system.cellwise {
            let at = tree.get("cells").unwrap_or(root);
            problems.push(at.error("what differs from cell to cell cannot vary within one ensemble").hint("run one experiment for each"));
            return None;
        }
        let regions = (other.system.regions != first.system.regions).then_some(other.system.regions);
        let mut replica = other.system.replicas.into_iter().next()?;
        replica.regions = regions;
        replica.id = first.system.replicas.len() as u64;
        first.system.replicas.push(replica);
        first.initial.extend(other.initial);
        first.protocol.extend(other.protocol);
        first.surroundings.extend(other.surroundings);
    }
    let demag = first.system.terms.contains(&Term::Demag);
    // What a phase switches on later must be there from the start.
    let set = |p: ParameterId| first.protocol.iter().flatten().flat_map(|phase| &phase.set).any(|(_, id, v, _)| *id == p && *v != [0.0; 3]);
    let now = first.system.terms_in_use();
    first.system.terms = Term::ALL.iter().copied().filter(|t| now.contains(t) || t.info().switch.is_some_and(set)).collect();
    if !demag {
        first.system.terms.retain(|t| *t != Term::Demag);
    }
    first.axes = sweep
        .names
        .into_iter()
        .enumerate()
        .map(|(i, (name, unit))| Axis { name, unit, values: sweep.values.iter().map(|v| v[i]).collect() })
        .collect();
    Some(first)
}

fn read_one(document: &Document, root: &Node, problems: &mut Problems) -> Option<Experiment> {
    let mut f = Fields::of(root, "an experiment", problems)?;
    let name = f.required("name", problems).and_then(|n| n.text(problems)).map(str::to_string);
    let word = |node: Option<&Node>, default: &str, problems: &mut Problems| {
        node.map_or(Some(default.to_string()), |n| n.text(problems).map(str::to_string))
    };
    let device_node = f.optional("device");
    let (device, precision) = (word(device_node, "cpu", problems), word(f.optional("precision"), "f32", problems));
    let device = match DeviceChoice::parse(&device?, &precision?) {
        Ok(d) => Some(d),
        Err(e) => {
            let at = device_node.unwrap_or(root).place.clone();
            e.iter().for_each(|d| problems.push(d.clone().at(at.clone())));
            None
        }
    };
    let seed = f.optional("seed").map_or(Some(0), |n| n.count(problems));
    let mesh = f.required("mesh", problems).and_then(|n| read_mesh(n, problems));
    let geometry = f.optional("geometry").map_or(Some(Shape::All), |n| Shape::read(n, problems));
    let region_nodes = f.optional("regions");
    let material_node = f.required("material", problems);
    let cells_node = f.optional("cells");
    let coupling_node = f.optional("couplings");
    let demag = f.optional("demag").map_or(Some(true), |n| n.bool(problems));
    let initial_node = f.required("initial", problems);
    let settle = f.optional("settle").map_or(Some(Settle::No), |n| {
        n.choice(&["no", "relax", "minimise"], problems).map(|i| [Settle::No, Settle::Relax, Settle::Minimise][i])
    });
    let solver_node = f.optional("solver");
    let surrounding_nodes = ["probes", "oersted", "heat", "temperature_laws", "exchange_bias", "split"].map(|k| f.optional(k));
    let table_node = f.required("table", problems);
    let protocol_node = f.required("protocol", problems);
    let abort_node = f.optional("abort");
    let pictures = f.optional("pictures").map(|n| n.positive(Dimension::TIME, problems));
    f.finish(problems);

    let (mesh, layers) = mesh?;
    let (names, map) = read_regions(region_nodes, &mesh, layers, &geometry?, problems)?;
    let region_names: Vec<&str> = names.iter().map(|(n, _)| n.as_str()).collect();
    let initial = initial_node.and_then(|n| read_initial(n, &region_names, problems));
    let mut values = Values::default();
    let mut waveforms = Vec::new();
    let mut regions = vec![Values::default(); names.len() + 1];
    if let Some(node) = material_node {
        for (id, value, wave) in read_parameters(node, problems)? {
            values.set(id, value);
            waveforms.push((id, wave));
        }
        regions.fill(values.clone());
    }
    for (i, (_, node)) in names.iter().enumerate() {
        for (id, value, wave) in node.as_ref().map_or(Some(Vec::new()), |n| read_parameters(n, problems))? {
            regions[i + 1].set(id, value);
            waveforms.push((id, wave));
        }
    }
    let mut material = Material { regions, ..Material::default() };
    for (id, wave) in waveforms {
        material.set_waveform(id, wave);
    }
    if let Some(node) = coupling_node {
        for n in node.list(problems)? {
            material.couplings.extend(read_coupling(n, &names, problems));
        }
    }
    let surroundings = read_surroundings(surrounding_nodes, root, &names, &mesh, &map, problems)?;
    for (i, heat) in surroundings.heat.iter().enumerate().filter(|(_, h)| h.thermal_field) {
        if material.waveforms.iter().any(|(p, _)| *p == ParameterId::Temp) {
            let node = material_node.and_then(|n| n.get("Temp")).unwrap_or(root);
            problems.push(node.error(format!("the temperature is that of `{}`", heat.name)).hint("let `ambient` be the wave"));
        }
        for region in surroundings.heat[i].regions.iter() {
            material.regions[*region].set_scalar(ParameterId::Temp, heat.ambient.at(0.0));
        }
    }
    check_material(root, material_node.unwrap_or(root), &material, problems);
    let thermal = material.uses(ParameterId::Temp);
    let (tableau, step, demag_every) = read_solver(solver_node, thermal, problems)?;
    if let DemagEvery::Time(t) = demag_every {
        let turn = t * material.own_frequency();
        if turn > 0.72 {
            problems.push(
                solver_node
                    .unwrap_or(root)
                    .error(format!("spins turn by up to {turn:.2} rad in their own field within `demag_every`, and above 0.72 the extrapolation is unstable"))
                    .hint(format!("at most {:.0} fs here, or `adaptive`", 1e15 * t * 0.72 / turn)),
            );
        }
    }
    if let (true, DemagEvery::Time(t)) = (thermal, demag_every) {
        let turn = t * highest_frequency(&material, &mesh);
        if turn > THERMAL_TURN {
            problems.push(
                solver_node
                    .unwrap_or(root)
                    .error(format!("thermal spin waves turn by up to {turn:.1} rad within `demag_every`, and above {THERMAL_TURN} the extrapolated field heats or cools them"))
                    .hint(format!("at most {:.0} fs here", 1e15 * t * THERMAL_TURN / turn)),
            );
        }
    }

    let mut table = Fields::of(table_node?, "the table", problems)?;
    let every = table.required("every", problems).and_then(|n| n.positive(Dimension::TIME, problems));
    let logs = log_names(protocol_node?);
    let mut columns: Vec<Quantity> = logs.iter().enumerate().map(|(i, (n, unit))| Quantity::log(i, n, unit)).collect();
    columns.extend(quantities::always());
    if let Some(node) = table.optional("columns") {
        for n in node.list(problems)? {
            let text = n.text(problems)?;
            match quantities::find(text).or_else(|| quantities::find_in_region(text, &region_names)) {
                Some(q) if columns.iter().any(|c| c.name == q.name) => problems.push(n.error(format!("`{text}` is in the table already"))),
                Some(q) => columns.push(q),
                None => {
                    let names = quantities::names();
                    let hint = match nearest(text, names.iter().map(String::as_str)) {
                        Some(k) => format!("did you mean `{k}`?"),
                        None => format!("it can be {}", one_of(names.iter().map(String::as_str))),
                    };
                    problems.push(n.error(format!("`{text}` is not a quantity")).hint(hint));
                }
            }
        }
    }
    table.finish(problems);
    let fed: Vec<bool> = surroundings
        .probes
        .iter()
        .zip(&surroundings.feeds)
        .map(|(p, feed)| feed.is_some() || is_set(protocol_node, &[format!("{}.V", p.name), format!("{}.I", p.name)]))
        .collect();
    for (name, unit, part) in surroundings.columns(&fed) {
        if columns.iter().any(|c| c.name == name) {
            problems.push(
                root.error(format!("two columns of the table would be called `{name}`"))
                    .hint("give probes, conductors and bodies names of their own"),
            );
        }
        columns.push(Quantity::surrounding(part, &name, unit));
    }
    let context = Context { regions: &names, columns: &columns, logs: &logs, surroundings: &surroundings };
    let mut phases = Vec::new();
    read_phases(protocol_node?, &context, &[], &mut phases, problems)?;
    let warms = |phase: &Phase| phase.set.iter().any(|(_, id, v, _)| *id == ParameterId::Temp && v[0] > 0.0);
    if phases.iter().any(warms) && matches!(step, Step::Adaptive { .. }) {
        problems.push(protocol_node?.error("a run with temperature needs a fixed step").hint("add `solver: {stepper: heun, dt: 50 fs}`"));
    }
    let abort = abort_node.map_or(Some(Vec::new()), |n| read_conditions(n, &context, problems));

    let cellwise = match cells_node {
        Some(node) => read_cellwise(node, document, &mesh, problems)?,
        None => Vec::new(),
    };
    if !cellwise.is_empty() && surroundings.heat.iter().any(|h| matches!(h.body, crate::heat::Body::Mesh { .. })) {
        let node = cells_node.unwrap_or(root);
        problems.push(node.error("cells that differ cannot have temperatures of their own as well").hint("heat them as one body, `rc`"));
    }
    let mut system = System { terms: Vec::new(), seed: seed? as u64, cellwise, ..System::new(mesh, map, material) };
    if let Err(why) = system.expanded() {
        problems.push(cells_node.unwrap_or(root).error(why));
    }
    if demag? {
        system.terms.push(Term::Demag);
    }
    Some(Experiment {
        name: name?,
        source: (document.name.clone(), document.text.to_string()),
        device: device?,
        system,
        initial: vec![initial?],
        settle: settle?,
        tableau,
        step,
        demag_every,
        axes: Vec::new(),
        protocol: vec![phases],
        abort: abort?,
        columns,
        every: every?,
        pictures: match pictures {
            Some(p) => Some(p?),
            None => None,
        },
        surroundings: vec![surroundings],
    })
}

/// Whether any phase sets one of these.
fn is_set(node: Option<&Node>, keys: &[String]) -> bool {
    let Some(Value::List(list)) = node.map(|n| &n.value) else { return false };
    list.iter().any(|phase| {
        is_set(phase.get("phases"), keys)
            || matches!(phase.get("set").map(|n| &n.value), Some(Value::Map(entries)) if entries.iter().any(|(k, _, _)| keys.contains(k)))
    })
}

/// Probes, conductors, bodies with a temperature, laws of temperature and antiferromagnets.
fn read_surroundings(
    [probes, oersted, heat, laws, bias, split]: [Option<&Node>; 6],
    root: &Node,
    regions: &[(String, Option<Node>)],
    mesh: &Mesh,
    map: &RegionMap,
    problems: &mut Problems,
) -> Option<Surroundings> {
    let region_names: Vec<&str> = regions.iter().map(|(n, _)| n.as_str()).collect();
    // Reads on after a bad entry, so that all are told of.
    fn all<T>(node: Option<&Node>, problems: &mut Problems, mut read: impl FnMut(&Node, &mut Problems) -> Option<T>) -> Option<Vec<T>> {
        let list: Vec<Option<T>> = node.map_or(Some(&[][..]), |n| n.list(problems))?.iter().map(|n| read(n, problems)).collect();
        list.into_iter().collect()
    }
    let probed = all(probes, problems, Probe::parse);
    let split = split.map_or(Some(SPLIT), |n| n.positive(Dimension::TIME, problems));
    let (list, feeds): (Vec<Probe>, Vec<_>) = probed?.into_iter().unzip();
    for p in &list {
        if p.cells(mesh, map).is_empty() {
            problems.push(probes.unwrap_or(root).error(format!("probe `{}` lies outside the mesh", p.name)));
        }
    }
    let junctions: Vec<(usize, &str)> =
        list.iter().enumerate().filter(|(_, p)| matches!(p.kind, ProbeKind::Junction(_))).map(|(i, p)| (i, p.name.as_str())).collect();
    let conductors = all(oersted, problems, |n, problems| Conductor::read(n, &junctions, problems))?;
    let conductor_names: Vec<&str> = conductors.iter().map(|c| c.name.as_str()).collect();
    let bodies = all(heat, problems, |n, problems| Heat::read(n, &region_names, &junctions, &conductor_names, problems));
    let bias_list = all(bias, problems, ExchangeBias::read);
    let mut by_region = vec![None; regions.len() + 1];
    if let Some(node) = laws {
        if node.get("Tc").is_some() {
            by_region.fill(Some(Law::read(node, problems)?));
        } else {
            for (name, place, n) in node.entries(problems)? {
                match region_names.iter().position(|r| r == name) {
                    Some(i) => by_region[i + 1] = Law::read(n, problems),
                    None => {
                        let hint = match nearest(name, region_names.iter().copied()) {
                            Some(k) => format!("did you mean `{k}`?"),
                            None => "a law has a Curie temperature `Tc`, or stands under the name of a region".into(),
                        };
                        problems.push(Diagnostic::error(format!("there is no region `{name}`")).at(place.clone()).hint(hint));
                    }
                }
            }
        }
    }
    let (bodies, bias_list) = (bodies?, bias_list?);
    for region in 0..=regions.len() {
        let owners: Vec<&str> = bodies.iter().filter(|h| h.regions.contains(&region)).map(|h| h.name.as_str()).collect();
        if let [a, b, ..] = owners[..] {
            problems.push(
                heat.unwrap_or(root)
                    .error(format!("`{a}` and `{b}` both give a region its temperature"))
                    .hint("tell them apart by `regions`"),
            );
        }
    }
    for h in bodies.iter().filter(|h| matches!(h.body, crate::heat::Body::Mesh { .. })) {
        if mesh.stack.is_some() {
            let error =
                heat.unwrap_or(root).error(format!("heat does not diffuse through the layers of a stack, as `{}` would need", h.name));
            problems.push(error.hint("give it one temperature, or a regular mesh"));
        }
        if mesh.pbc != [0; 3] {
            problems.push(
                heat.unwrap_or(root).error(format!("heat does not cross the periodic border of the mesh that `{}` would need", h.name)),
            );
        }
    }
    for b in &bias_list {
        if b.shape.cells(mesh).iter().all(|i| map.cells[*i] == RegionMap::VACUUM) {
            problems.push(bias.unwrap_or(root).error(format!("`{}` touches no cell of the magnet", b.name)));
        }
        if b.grain < 2.0 * mesh.cell[0].max(mesh.cell[1]) {
            problems.push(
                bias.unwrap_or(root)
                    .error(format!(
                        "grains of {:.1} nm are not resolved by cells of {:.1} nm",
                        1e9 * b.grain,
                        1e9 * mesh.cell[0].max(mesh.cell[1])
                    ))
                    .hint("cells of at most half a grain"),
            );
        }
    }
    let mut names: Vec<&str> = region_names.clone();
    for (name, node) in list
        .iter()
        .map(|p| (p.name.as_str(), probes))
        .chain(conductors.iter().map(|c| (c.name.as_str(), oersted)))
        .chain(bodies.iter().map(|h| (h.name.as_str(), heat)))
        .chain(bias_list.iter().map(|b| (b.name.as_str(), bias)))
    {
        if name.is_empty() || name.contains(['/', '.']) {
            problems.push(
                node.unwrap_or(root).error(format!("`{name}` cannot be a name")).hint("dots and slashes part names in phases and records"),
            );
        }
        if names.contains(&name) {
            problems.push(
                node.unwrap_or(root).error(format!("`{name}` is the name of two things")).hint("phases and columns call them by name"),
            );
        }
        names.push(name);
    }
    Some(Surroundings { probes: list, feeds, conductors, heat: bodies, laws: by_region, bias: bias_list, split: split? })
}

/// `{between: [lower, upper], J1: -1 mJ/m^2, J2: …, D: […]}`: regions by name, strengths per area.
fn read_coupling(node: &Node, names: &[(String, Option<Node>)], problems: &mut Problems) -> Option<Coupling> {
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

/// The mesh, and the layers of a stack.
fn read_mesh(node: &Node, problems: &mut Problems) -> Option<(Mesh, Vec<Layer>)> {
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
    if n.iter().product::<usize>() > 1 << 30 {
        problems.push(node.error(format!("{} x {} x {} cells are more than this program takes (2^30)", n[0], n[1], n[2])));
    }
    let pbc = pbc?;
    Some(match stack {
        Some((stack, layers)) => (Mesh { pbc, ..Mesh::stacked([n[0], n[1]], [cell[0], cell[1]], stack) }, layers),
        None => (Mesh { pbc, ..Mesh::new(n, cell) }, Vec::new()),
    })
}

/// A layer of a stack: its name and material, and the first and the last of its mesh layers.
struct Layer {
    name: String,
    place: Place,
    material: Option<Node>,
    mesh_layers: [usize; 2],
}

/// From the bottom up, `{name, thickness, cells, material}` or `{spacer: 0.9 nm}`.
fn read_layers(node: &Node, problems: &mut Problems) -> Option<(Stack, Vec<Layer>)> {
    let mut height = 0.0;
    let (mut faces, mut layers) = (Vec::new(), Vec::new());
    for n in node.list(problems)? {
        let mut f = Fields::of(n, "a layer", problems)?;
        if let Some(spacer) = f.optional("spacer") {
            f.finish(problems);
            height += spacer.positive(Dimension::LENGTH, problems)?;
            continue;
        }
        let name = f.required("name", problems).and_then(|n| n.text(problems)).map(str::to_string);
        let thickness = f.required("thickness", problems).and_then(|n| n.positive(Dimension::LENGTH, problems));
        let cells = f.optional("cells").map_or(Some(1), |n| n.count(problems).filter(|c| *c > 0));
        let material = f.optional("material").cloned();
        f.finish(problems);
        let (thickness, cells) = (thickness?, cells?);
        let first = faces.len();
        faces.extend((0..cells).map(|k| (height + thickness * k as f64 / cells as f64, thickness / cells as f64)));
        height += thickness;
        layers.push(Layer { name: name?, place: n.place.clone(), material, mesh_layers: [first, faces.len() - 1] });
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

/// Parameters with a factor for each cell, from OVF files of one component beside the experiment.
fn read_cellwise(node: &Node, document: &Document, mesh: &Mesh, problems: &mut Problems) -> Option<Vec<Cellwise>> {
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
        let factors = f.required("factors", problems).and_then(|n| {
            let path = std::path::Path::new(&document.name).parent().unwrap_or(std::path::Path::new("")).join(n.text(problems)?);
            match spinloom_record::Ovf::read_file(&path) {
                Ok(ovf) if ovf.components() == 1 && ovf.mesh.n == mesh.n => Some(ovf.data),
                Ok(ovf) => {
                    let [x, y, z] = ovf.mesh.n;
                    let found = format!("{} component(s) on {x} x {y} x {z} cells", ovf.components());
                    problems.push(
                        n.error(format!("`{}` holds {found}", path.display()))
                            .hint(format!("wanted: one component on the {} x {} x {} cells of the mesh", mesh.n[0], mesh.n[1], mesh.n[2])),
                    );
                    None
                }
                Err(e) => {
                    e.iter().for_each(|d| problems.push(n.error(format!("`{}`: {}", path.display(), d.message))));
                    None
                }
            }
        });
        f.finish(problems);
        list.push(Cellwise { parameter: parameter?, factors: factors?.into() });
    }
    Some(list)
}

/// Names and material nodes of the regions after the first, and the painted map.
fn read_regions(
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

/// One parameter: `15 pJ/m`, `[0, 0, 0.1 T]`, or `{value: …, wave: {…}}`.
fn read_parameter(
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

fn read_parameters(node: &Node, problems: &mut Problems) -> Option<Vec<(ParameterId, [f64; 3], Waveform)>> {
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
fn check_material(root: &Node, node: &Node, material: &Material, problems: &mut Problems) {
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
fn read_direction(node: &Node, problems: &mut Problems) -> Option<[f64; 3]> {
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

fn read_initial(node: &Node, regions: &[&str], problems: &mut Problems) -> Option<Initial> {
    if let Value::Text(_) = node.value {
        return node.choice(&["random"], problems).map(|_| Initial::Random);
    }
    let mut f = Fields::of(node, "the initial state", problems)?;
    let (uniform, wall, parts) = (f.optional("uniform"), f.optional("wall"), f.optional("regions"));
    f.finish(problems);
    let base = match (uniform, wall) {
        (Some(n), None) => read_direction(n, problems).map(Initial::Uniform),
        (None, Some(n)) => {
            let mut f = Fields::of(n, "a wall", problems)?;
            let [left, right, centre] =
                ["left", "right", "centre"].map(|k| f.required(k, problems).and_then(|n| read_direction(n, problems)));
            let at = f.required("at", problems).and_then(|n| n.quantity(Dimension::LENGTH, problems));
            let width = f.required("width", problems).and_then(|n| n.positive(Dimension::LENGTH, problems));
            f.finish(problems);
            Some(Initial::Wall { left: left?, right: right?, centre: centre?, at: at?, width: width? })
        }
        _ => {
            problems.push(node.error("the initial state is `random`, or exactly one of `uniform` and `wall`"));
            None
        }
    };
    let Some(parts) = parts else { return base };
    let mut list = Vec::new();
    for (name, place, node) in parts.entries(problems)? {
        match regions.iter().position(|r| r == name) {
            Some(i) => list.push((i as u16 + 1, read_initial(node, regions, problems)?)),
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

/// Largest angle that the fastest spin wave of the mesh may turn by between two samples of the demagnetising field where temperature keeps all
/// waves excited: the limit of third-order Adams–Bashforth on the imaginary axis, 0.72. Measured on 2 nm cells at 300 K, alpha = 0.012: exchange
/// energy -1 ± 0.5 % at 0.6 rad, -4 % at 1.3, eightfold at 2.5.
const THERMAL_TURN: f64 = 0.7;

/// γ times the exchange field of the shortest wave of the mesh (rad/s), the largest of any region.
fn highest_frequency(material: &Material, mesh: &Mesh) -> f64 {
    let least = |a: usize| if a == 2 { (0..mesh.n[2]).map(|z| mesh.thickness(z)).fold(f64::INFINITY, f64::min) } else { mesh.cell[a] };
    let inverse: f64 = (0..3).filter(|a| mesh.n[*a] > 1).map(|a| 4.0 / least(a).powi(2)).sum();
    let of = |v: &Values| {
        let ms = v.scalar(ParameterId::Msat);
        if ms > 0.0 { v.scalar(ParameterId::GammaLl) * 2.0 * v.scalar(ParameterId::Aex) / ms * inverse } else { 0.0 }
    };
    material.regions.iter().map(of).fold(0.0, f64::max)
}

fn read_solver(node: Option<&Node>, thermal: bool, problems: &mut Problems) -> Option<(&'static Tableau, Step, DemagEvery)> {
    let Some(node) = node else {
        if thermal {
            problems.push(Diagnostic::error("a run with temperature needs a fixed step").hint("add `solver: {stepper: heun, dt: 50 fs}`"));
            return None;
        }
        return Some((&tableau::RK45, Step::Adaptive { max_err: 1e-5 }, DemagEvery::Evaluation));
    };
    let mut f = Fields::of(node, "the solver", problems)?;
    let names: Vec<&str> = tableau::ALL.iter().map(|t| t.name).collect();
    let method = f
        .optional("stepper")
        .map_or(Some(if thermal { &tableau::HEUN } else { &tableau::RK45 }), |n| n.choice(&names, problems).map(|i| tableau::ALL[i]));
    let (dt, max_err, every) = (f.optional("dt"), f.optional("max_err"), f.optional("demag_every"));
    f.finish(problems);
    let step = match (dt, max_err) {
        (Some(_), Some(n)) => {
            problems.push(n.error("either `dt` or `max_err`"));
            None
        }
        (Some(n), None) => n.positive(Dimension::TIME, problems).map(Step::Fixed),
        // Rejecting steps by their error looks at the noise, which biases it.
        (None, at) if thermal => {
            problems.push(at.unwrap_or(node).error("a run with temperature needs a fixed step").hint("give `dt` instead"));
            None
        }
        (None, Some(n)) => n.positive(Dimension::NONE, problems).map(|max_err| Step::Adaptive { max_err }),
        (None, None) => Some(Step::Adaptive { max_err: 1e-5 }),
    };
    let every = match (every, step) {
        (None, _) => Some(DemagEvery::Evaluation),
        (Some(n), Some(Step::Adaptive { max_err })) if matches!(&n.value, Value::Text(t) if t == "adaptive") => {
            Some(DemagEvery::Adaptive { max_err })
        }
        (Some(n), Some(Step::Fixed(_))) if matches!(&n.value, Value::Text(t) if t == "adaptive") => {
            problems.push(n.error("with a fixed step there is no error to adapt to").hint("give a time, e.g. `500 fs`"));
            None
        }
        (Some(n), _) => n.positive(Dimension::TIME, problems).map(DemagEvery::Time),
    };
    Some((method?, step?, every?))
}

struct Context<'a> {
    regions: &'a [(String, Option<Node>)],
    columns: &'a [Quantity],
    logs: &'a [(String, String)],
    surroundings: &'a Surroundings,
}

/// Names and units of everything any phase logs, in the order met.
fn log_names(node: &Node) -> Vec<(String, String)> {
    let mut names: Vec<(String, String)> = Vec::new();
    if let Value::List(list) = &node.value {
        for phase in list {
            if let Some(Value::Map(entries)) = phase.get("log").map(|n| &n.value) {
                for (name, _, n) in entries {
                    if names.iter().all(|(n, _)| n != name) {
                        let unit = match &n.value {
                            Value::Text(t) => units::dimension_of(t).filter(|d| *d != Dimension::NONE).map(units::si_symbol),
                            _ => None,
                        };
                        names.push((name.clone(), unit.unwrap_or_else(|| "1".into())));
                    }
                }
            }
            if let Some(inner) = phase.get("phases") {
                for n in log_names(inner) {
                    if names.iter().all(|(m, _)| *m != n.0) {
                        names.push(n);
                    }
                }
            }
        }
    }
    names
}

fn read_conditions(node: &Node, context: &Context<'_>, problems: &mut Problems) -> Option<Vec<Condition>> {
    let mut list = Vec::new();
    for (name, place, node) in node.entries(problems)? {
        let Some(column) = context.columns.iter().position(|c| c.name == *name) else {
            let names = context.columns.iter().map(|c| c.name.as_str());
            let hint = match nearest(name, names.clone()) {
                Some(k) => format!("did you mean `{k}`?"),
                None => format!("the table has {}", one_of(names)),
            };
            problems.push(Diagnostic::error(format!("`{name}` is not a column of the table")).at(place.clone()).hint(hint));
            continue;
        };
        let mut f = Fields::of(node, "a condition", problems)?;
        let dimension = units::parse_unit(&context.columns[column].unit).map_or(Dimension::NONE, |u| u.dimension);
        let mut any = false;
        for (key, above) in [("above", true), ("below", false)] {
            if let Some(n) = f.optional(key) {
                any = true;
                if let Some(limit) = n.quantity(dimension, problems) {
                    list.push(Condition { column, name: name.clone(), above, limit });
                }
            }
        }
        f.finish(problems);
        if !any {
            problems.push(node.error("a condition needs `above` or `below`"));
        }
    }
    Some(list)
}

/// Appends the phases of a list; `outer` are conditions of the blocks around, which lead behind their block. Exits of a block that is
/// not finished yet point to `usize::MAX - depth` until its end is known.
fn read_phases(
    node: &Node,
    context: &Context<'_>,
    outer: &[(Condition, usize)],
    phases: &mut Vec<Phase>,
    problems: &mut Problems,
) -> Option<()> {
    let list = node.list(problems)?;
    if list.is_empty() {
        problems.push(node.error("an empty protocol: nothing would run"));
    }
    for item in list {
        let mut f = Fields::of(item, "a phase", problems)?;
        if let Some(repeat) = f.optional("repeat") {
            let times = repeat.count(problems);
            let until = f.optional("until").map_or(Some(Vec::new()), |n| read_conditions(n, context, problems));
            let inner = f.required("phases", problems);
            f.finish(problems);
            let (times, until, inner) = (times?, until?, inner?);
            if times == 0 || times > 100_000 {
                problems.push(repeat.error(format!("{times} repetitions; 1 to 100000 are possible")));
                return None;
            }
            let mark = usize::MAX - outer.len();
            let exits: Vec<_> = outer.iter().cloned().chain(until.into_iter().map(|c| (c, mark))).collect();
            let from = phases.len();
            for _ in 0..times {
                read_phases(inner, context, &exits, phases, problems)?;
            }
            let end = phases.len();
            for p in &mut phases[from..] {
                p.exits.iter_mut().filter(|e| e.1 == mark).for_each(|e| e.1 = end);
            }
            continue;
        }
        let name = f.required("phase", problems).and_then(|n| n.text(problems)).map(str::to_string);
        let duration = f.required("for", problems).and_then(|n| n.positive(Dimension::TIME, problems));
        let set = f.optional("set").map_or(Some(Default::default()), |n| read_settings(n, context, problems));
        let age = f.optional("age").map_or(Some(None), |n| read_age(n, context, problems).map(Some));
        let mut log = Vec::new();
        if let Some(n) = f.optional("log") {
            for (name, _, n) in n.entries(problems)? {
                let i = context.logs.iter().position(|(l, _)| l == name)?;
                let dimension = units::parse_unit(&context.logs[i].1).map_or(Dimension::NONE, |u| u.dimension);
                log.push((i, n.quantity(dimension, problems)?));
            }
        }
        let until = f.optional("until").map_or(Some(Vec::new()), |n| read_conditions(n, context, problems));
        f.finish(problems);
        let next = phases.len() + 1;
        let exits = outer.iter().cloned().chain(until?.into_iter().map(|c| (c, next))).collect();
        let (set, levels) = set?;
        phases.push(Phase { name: name?, duration: duration?, set, levels, age: age?, log, exits });
    }
    Some(())
}

/// Parameters by region, and what else is set by name.
type Settings = (Vec<(Option<usize>, ParameterId, [f64; 3], Waveform)>, Vec<(Target, Level)>);

/// `{J: […], roi.B_ext: […], line.I: 1 mA, mtj.V: {value: …, wave: …}, film.T0: 350 K}`.
fn read_settings(node: &Node, context: &Context<'_>, problems: &mut Problems) -> Option<Settings> {
    let (mut list, mut levels) = (Vec::new(), Vec::new());
    let around = context.surroundings;
    for (key, place, value) in node.entries(problems)? {
        let (region, parameter) = match key.split_once('.') {
            Some((owner, parameter)) => match context.regions.iter().position(|(n, _)| n == owner) {
                Some(i) => (Some(i + 1), parameter),
                None => {
                    let conductor = around.conductors.iter().position(|c| c.name == owner);
                    let junction = around.probes.iter().position(|p| p.name == owner && matches!(p.kind, ProbeKind::Junction(_)));
                    let body = around.heat.iter().position(|h| h.name == owner);
                    let known: &[(&str, Target, Dimension)] = match (conductor, junction, body) {
                        (Some(i), ..) => &[("I", Target::Current(i), Dimension::CURRENT)],
                        (_, Some(i), _) => &[("V", Target::Voltage(i), Dimension::VOLTAGE), ("I", Target::Through(i), Dimension::CURRENT)],
                        (.., Some(i)) => &[("T0", Target::Ambient(i), Dimension::TEMPERATURE)],
                        _ => {
                            let names: Vec<&str> = context
                                .regions
                                .iter()
                                .map(|(n, _)| n.as_str())
                                .chain(around.conductors.iter().map(|c| c.name.as_str()))
                                .chain(around.probes.iter().map(|p| p.name.as_str()))
                                .chain(around.heat.iter().map(|h| h.name.as_str()))
                                .collect();
                            let hint = nearest(owner, names.iter().copied()).map_or_else(
                                || {
                                    if names.is_empty() {
                                        "nothing here has a name".into()
                                    } else {
                                        format!("there are {}", one_of(names.iter().copied()))
                                    }
                                },
                                |k| format!("did you mean `{k}`?"),
                            );
                            problems.push(Diagnostic::error(format!("there is no region `{owner}`")).at(place.clone()).hint(hint));
                            continue;
                        }
                    };
                    match known.iter().find(|k| k.0 == parameter) {
                        Some((_, target, dimension)) => levels.push((*target, Level::read(value, *dimension, problems)?)),
                        None => {
                            let hint = format!("it can be {}", one_of(known.iter().map(|k| k.0)));
                            problems.push(Diagnostic::error(format!("`{owner}` has no `{parameter}` to set")).at(place.clone()).hint(hint));
                        }
                    }
                    continue;
                }
            },
            None => (None, key.as_str()),
        };
        let (id, v, wave) = read_parameter(parameter, place, value, problems)?;
        let heated = around.heat.iter().find(|h| h.thermal_field && region.is_none_or(|r| h.regions.contains(&r)));
        if let (ParameterId::Temp, Some(heat)) = (id, heated) {
            let hint = format!("set `{}.T0`, the temperature of its bath", heat.name);
            problems.push(Diagnostic::error(format!("the temperature is that of `{}`", heat.name)).at(place.clone()).hint(hint));
        }
        list.push((region, id, v, wave));
    }
    Some((list, levels))
}

/// `{for: 10 s, at: 450 K}` or `{for: 1 s, from: 600 K, to: 300 K}`.
fn read_age(node: &Node, context: &Context<'_>, problems: &mut Problems) -> Option<Age> {
    let mut f = Fields::of(node, "ageing", problems)?;
    let time = f.required("for", problems).and_then(|n| n.positive(Dimension::TIME, problems));
    let [at, from, to] = ["at", "from", "to"].map(|k| f.optional(k).map(|n| n.positive(Dimension::TEMPERATURE, problems)));
    f.finish(problems);
    if context.surroundings.bias.is_empty() {
        problems.push(node.error("nothing ages here").hint("grains of an `exchange_bias` do"));
    }
    match (at, from, to) {
        (Some(t), None, None) => Some(Age { time: time?, temperature: [t?; 2] }),
        (None, Some(from), Some(to)) => Some(Age { time: time?, temperature: [from?, to?] }),
        _ => {
            problems.push(node.error("ageing is `at` a temperature, or `from` one `to` another"));
            None
        }
    }
}
