//! An experiment in YAML: what is simulated, what is done to it, what is written down. Read and checked whole before anything is computed.

mod material;
mod mesh;
mod protocol;

pub(crate) use material::{read_unit_vector, read_waveform};
pub(crate) use mesh::positive_vector;

use crate::devices::DeviceChoice;
use crate::exchange_bias::ExchangeBias;
use crate::heat::{Heat, Law};
use crate::oersted::Conductor;
use crate::quantities::{self, Quantity, Source};
use crate::readout::{Probe, ProbeKind};
use crate::shapes::Shape;
use crate::simulation::{DemagEvery, Step};
use crate::surroundings::{Age, Level, SPLIT, Surroundings, Target};
use crate::tableau::{self, Tableau};
use material::{check_material, read_coupling, read_initial, read_parameter, read_parameters};
use mesh::{read_cellwise, read_mesh, read_regions};
use protocol::{Context, THERMAL_TURN, log_names, read_conditions, read_phases, read_solver};
use spinloom_base::diagnostics::{nearest, one_of};
use spinloom_base::random::Stream;
use spinloom_base::{Diagnostic, Dimension, Document, Fields, Node, Place, Problems, Value, units};
use spinloom_kernels::material::{Cellwise, Coupling};
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
    /// What a file holds, cell by cell.
    State(std::sync::Arc<Vec<[f64; 3]>>),
    /// The first, but in some regions another.
    Parts(Box<Initial>, Vec<(u16, Initial)>),
}

impl Initial {
    /// The direction in a cell, not normalised.
    fn at(&self, cell: usize, x: f64, region: u16, stream: &mut Stream) -> [f64; 3] {
        match self {
            Initial::Uniform(v) => *v,
            Initial::State(m) => m[cell],
            Initial::Random => [stream.normal(), stream.normal(), stream.normal()],
            Initial::Wall { left, right, centre, at, width } => {
                let u = (x - at) / width;
                let (l, r) = (0.5 * (1.0 - u.tanh()), 0.5 * (1.0 + u.tanh()));
                std::array::from_fn(|c| l * left[c] + r * right[c] + centre[c] / u.cosh())
            }
            Initial::Parts(base, parts) => parts.iter().find(|p| p.0 == region).map_or(&**base, |p| &p.1).at(cell, x, region, stream),
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

    /// Reads an experiment whose swept names have their values from elsewhere: a replica for each point.
    ///
    /// # Errors
    /// Everything that is wrong with it; a sweep of its own.
    pub fn read_points(document: &Document, points: &Points) -> Result<Experiment, Problems> {
        let mut problems = Problems::new();
        for (key, _, node) in document.root.entries(&mut problems).unwrap_or(&[]) {
            if key == "sweep" || key == "copies" {
                problems
                    .push(node.error(format!("the experiment has `{key}` of its own, inside a sweep")).hint("say all of it in the sweep"));
            }
        }
        problems.into_result(Some(()))?;
        let mut problems = Problems::new();
        let sweep = Sweep {
            names: points.names.clone(),
            points: points
                .points
                .iter()
                .map(|p| points.names.iter().zip(&p.nodes).map(|((n, _), v)| (n.clone(), v.clone())).collect())
                .collect(),
            values: points.points.iter().map(|p| p.values.clone()).collect(),
        };
        let mut experiment = ensemble(document, sweep, 1, &mut problems);
        if let Some(e) = &mut experiment {
            e.system.replicas.iter_mut().zip(&points.points).for_each(|(r, p)| r.id = p.id);
        }
        problems.into_result(experiment)
    }

    /// What a watcher sets while it runs, as a phase would: `J: [1e11 A/m^2, 0, 0]`.
    ///
    /// # Errors
    /// What is wrong with it; a parameter whose term is no part of the run.
    pub fn edit(&self, text: &str) -> Result<Phase, Problems> {
        let document = Document::parse("edit", text)?;
        let mut problems = Problems::new();
        let mut set = Vec::new();
        for (name, place, node) in document.root.entries(&mut problems).unwrap_or(&[]) {
            let Some((id, value, wave)) = read_parameter(name, place, node, &mut problems) else { continue };
            let term = Term::ALL.iter().find(|t| t.info().switch == Some(id));
            if let Some(term) = term.filter(|t| !self.system.terms.contains(t)) {
                problems.push(node.error(format!("the term `{}` is no part of this run: {name} would change nothing", term.info().name)));
            }
            if id == ParameterId::Temp && self.surroundings.iter().any(|s| !s.heat.is_empty()) {
                problems.push(node.error("the temperature is that of what is heated"));
            }
            set.push((None, id, value, wave));
        }
        if set.is_empty() && !problems.any_error() {
            problems.push(Diagnostic::error("nothing is set").hint("write e.g. `B_ext: [0, 0, 10 mT]`"));
        }
        problems.into_result(Some(Phase {
            name: "edit".into(),
            duration: 0.0,
            set,
            levels: Vec::new(),
            age: None,
            log: Vec::new(),
            exits: Vec::new(),
        }))
    }

    /// Whether both can be replicas of one ensemble.
    pub fn packs_with(&self, other: &Experiment) -> bool {
        self.unlike(other).is_none()
    }

    /// The key of what differs that replicas share, and what it is called.
    fn unlike(&self, other: &Experiment) -> Option<(&'static str, &'static str)> {
        let shared = [
            ("mesh", "the mesh", self.system.mesh != other.system.mesh),
            ("cells", "what differs from cell to cell", self.system.cellwise != other.system.cellwise),
            ("solver", "the method and its step", {
                self.tableau.name != other.tableau.name || self.step != other.step || self.demag_every != other.demag_every
            }),
            ("settle", "how it settles", self.settle != other.settle),
            ("seed", "the seed", self.system.seed != other.system.seed),
            ("device", "the device", self.device != other.device),
            ("table", "the table", self.every != other.every || self.columns != other.columns),
            ("pictures", "the time between pictures", self.pictures != other.pictures),
            ("abort", "the condition that ends it", self.abort != other.abort),
        ];
        shared.into_iter().find(|s| s.2).map(|(key, words, _)| (key, words))
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
        let mut stream = Stream::new(self.system.seed, 1 + self.system.replicas[replica].id);
        for i in 0..cells {
            let x = mesh.position(i % mesh.n[0], 0, 0)[0];
            let v = self.initial[replica].at(i, x, self.system.regions_of(replica).cells[i], &mut stream);
            for c in 0..3 {
                m[c * cells + i] = v[c];
            }
        }
        m
    }
}

/// Points of a sweep that stands elsewhere.
#[derive(Clone, Debug, Default)]
pub struct Points {
    /// What is swept, with SI units.
    pub names: Vec<(String, String)>,
    /// Where.
    pub points: Vec<Point>,
}

/// One of them.
#[derive(Clone, Debug)]
pub struct Point {
    /// Its number in the sweep: random numbers follow from it, however points are packed.
    pub id: u64,
    /// A value for each name, as an experiment would have it.
    pub nodes: Vec<Node>,
    /// The same in SI.
    pub values: Vec<f64>,
}

/// The product of all swept values, the last name fastest, times the copies.
struct Sweep {
    names: Vec<(String, String)>,
    points: Vec<Vec<(String, Node)>>,
    values: Vec<Vec<f64>>,
}

fn read_sweep(node: Option<&Node>, copies: usize, problems: &mut Problems) -> Option<Sweep> {
    let mut sweep = Sweep { names: Vec::new(), points: vec![Vec::new()], values: vec![Vec::new()] };
    // Looked at before they are made: numbers of copies and of values are quickly written.
    let few = |points: usize, times: usize, problems: &mut Problems| {
        let count = points.saturating_mul(times);
        if count > 65536 {
            let at = node.map(|n| n.error("")).unwrap_or_else(|| Diagnostic::error(""));
            problems.push(Diagnostic { message: format!("the sweep has {count} points; at most 65536 fit one record"), ..at });
        }
        (count <= 65536).then_some(())
    };
    for (name, place, values) in node.and_then(|n| n.entries(problems)).unwrap_or(&[]) {
        if sweep.names.iter().any(|(n, _)| n == name) {
            problems.push(Diagnostic::error(format!("`{name}` is swept twice")).at(place.clone()));
        }
        let (nodes, si, dimension) = values.series(problems)?;
        sweep.names.push((name.clone(), if dimension == Dimension::NONE { "1".into() } else { units::si_symbol(dimension) }));
        few(sweep.points.len(), si.len(), problems)?;
        let (points, old) = (std::mem::take(&mut sweep.points), std::mem::take(&mut sweep.values));
        for (point, value) in points.iter().zip(&old) {
            for (node, x) in nodes.iter().zip(&si) {
                sweep.points.push(point.iter().cloned().chain([(name.clone(), node.clone())]).collect());
                sweep.values.push(value.iter().copied().chain([*x]).collect());
            }
        }
    }
    few(sweep.points.len(), copies, problems)?;
    if copies > 1 {
        sweep.names.push(("copy".into(), "1".into()));
        let repeat = |i: usize| i / copies;
        let n = sweep.points.len() * copies;
        sweep.values = (0..n).map(|i| sweep.values[repeat(i)].iter().copied().chain([(i % copies) as f64]).collect()).collect();
        sweep.points = (0..n).map(|i| sweep.points[repeat(i)].clone()).collect();
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
    ensemble(document, sweep, copies.unwrap_or(1).max(1), problems)
}

/// An experiment with a replica for each point; `copies` successive ones are equal.
fn ensemble(document: &Document, sweep: Sweep, copies: usize, problems: &mut Problems) -> Option<Experiment> {
    let root = &document.root;
    let mut list = Vec::new();
    let substituted: Vec<Node> = {
        // Copies share their tree; so does everything without a sweep.
        let mut trees: Vec<Node> = Vec::new();
        for (i, point) in sweep.points.iter().enumerate() {
            if i > 0 && i % copies != 0 {
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
        list.push(read_one(document, tree, substituted.len(), problems));
    }
    if problems.any_error() {
        return None;
    }
    let mut all = list.into_iter().collect::<Option<Vec<_>>>()?.into_iter();
    let Some(mut first) = all.next() else {
        problems.push(root.error("no points: nothing would run"));
        return None;
    };
    for (other, tree) in all.zip(&substituted[1..]) {
        if let Some((key, words)) = first.unlike(&other) {
            let at = tree.get(key).unwrap_or(root);
            problems.push(
                at.error(format!("{words} cannot vary within one ensemble")).hint("run one experiment for each; `spinloom sweep` does"),
            );
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
    if let Some(why) = first.system.unstackable() {
        problems.push(root.get("mesh").unwrap_or(root).error(why));
    }
    first.axes = sweep
        .names
        .into_iter()
        .enumerate()
        .map(|(i, (name, unit))| Axis { name, unit, values: sweep.values.iter().map(|v| v[i]).collect() })
        .collect();
    Some(first)
}

fn read_one(document: &Document, root: &Node, replicas: usize, problems: &mut Problems) -> Option<Experiment> {
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
    if let Some(words) = device.and_then(|d| d.lacks_memory(mesh.n, replicas)) {
        problems.push(root.get("mesh").unwrap_or(root).error(words).hint("take fewer or larger cells, fewer replicas, or f32"));
        return None;
    }
    let (names, map) = read_regions(region_nodes, &mesh, layers, &geometry?, problems)?;
    let region_names: Vec<&str> = names.iter().map(|(n, _)| n.as_str()).collect();
    let initial = initial_node.and_then(|n| read_initial(n, document, &mesh, &region_names, problems));
    let mut values = Values::default();
    let mut waveforms = Vec::new();
    let mut regions = vec![Values::default(); names.len() + 1];
    // Reads on after a bad entry, so that all are told of.
    let mut whole = true;
    let mut given = |node: Option<&Node>, problems: &mut Problems| {
        let read = node.map_or(Some(Vec::new()), |n| read_parameters(n, problems));
        whole &= read.is_some();
        read.unwrap_or_default()
    };
    if let Some(node) = material_node {
        for (id, value, wave) in given(Some(node), problems) {
            values.set(id, value);
            waveforms.push((id, wave));
        }
        regions.fill(values.clone());
    }
    for (i, (_, node)) in names.iter().enumerate() {
        for (id, value, wave) in given(node.as_ref(), problems) {
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
    let cellwise = match cells_node {
        Some(node) => read_cellwise(node, document, &mesh, problems)?,
        None => Vec::new(),
    };
    let around = |k: usize| surrounding_nodes[k].filter(|_| !cellwise.is_empty());
    for node in [around(2), around(3)].into_iter().flatten() {
        let error = node.error("what is heated cannot have values per cell: its parameters follow its temperature region by region");
        problems.push(error.hint("leave out `cells`, or the heat"));
    }
    // With the values of every cell, in which limits are sought.
    let each = System { cellwise: cellwise.clone(), ..System::new(mesh, map.clone(), material.clone()) };
    let each = match each.expanded() {
        Ok(system) => system.replicas[0].material.clone(),
        Err(why) => {
            problems.push(cells_node.unwrap_or(root).error(why));
            return None;
        }
    };
    if whole {
        check_material(root, material_node.unwrap_or(root), &each, problems);
    }
    let thermal = material.uses(ParameterId::Temp);
    let solver = read_solver(solver_node, root, thermal, problems);
    let demag_every = solver.map(|s| s.2);
    if let Some(DemagEvery::Time(t)) = demag_every {
        let turn = t * each.own_frequency();
        if turn > 0.72 {
            problems.push(
                solver_node
                    .unwrap_or(root)
                    .error(format!("spins turn by up to {turn:.2} rad in their own field within `demag_every`, and above 0.72 the extrapolation is unstable"))
                    .hint(format!("at most {:.0} fs here, or `adaptive`", 1e15 * t * 0.72 / turn)),
            );
        }
    }
    if let (true, Some(DemagEvery::Time(t))) = (thermal, demag_every) {
        let turn = t * each.exchange_frequency(&mesh);
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
    let layered = mesh.stack.is_some_and(|s| s.count() > 1);
    let logs = log_names(protocol_node?);
    let mut columns: Vec<Quantity> = logs.iter().enumerate().map(|(i, (n, unit))| Quantity::log(i, n, unit)).collect();
    columns.extend(quantities::always());
    if let Some(node) = table.optional("columns") {
        for n in node.list(problems)? {
            let text = n.text(problems)?;
            match quantities::find(text).or_else(|| quantities::find_in_region(text, &region_names)) {
                Some(q) if columns.iter().any(|c| c.name == q.name) => problems.push(n.error(format!("`{text}` is in the table already"))),
                Some(q) if layered && matches!(q.source, Source::Wall(_) | Source::WallVelocity) => {
                    let error = n.error(format!("`{text}` would mix the walls of the stack's layers"));
                    problems.push(error.hint("follow a layer by its average, e.g. `mz.NAME`"));
                }
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
    if phases.iter().any(warms) && matches!(solver, Some((_, Step::Adaptive { .. }, _))) {
        problems.push(protocol_node?.error("a run with temperature needs a fixed step").hint("add `solver: {stepper: heun, dt: 50 fs}`"));
    }
    let abort = abort_node.map_or(Some(Vec::new()), |n| read_conditions(n, &context, problems));

    let mut system = System { terms: Vec::new(), seed: seed? as u64, cellwise, ..System::new(mesh, map, material) };
    if demag? {
        system.terms.push(Term::Demag);
    }
    let (tableau, step, demag_every) = solver?;
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
