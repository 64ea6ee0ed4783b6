//! What a script acts on: mesh, geometry, regions, parameters, and the simulation that follows from them.

use super::field::{Average, Field, Magnet, Quantity, Track, position};
use super::resume::{Journal, Kept, Told};
use super::shape::{Config, Shape};
use super::time::Timed;
use crate::devices::DeviceChoice;
use crate::simulation::{DemagEvery, Rest, Simulation, Step};
use crate::tableau::{self, Tableau};
use spinloom_kernels::material::{Coupling, Drive, Mask, Pair};
use spinloom_kernels::terms::custom::CustomField;
use spinloom_kernels::terms::demag::tensor::DemagKernel;
use spinloom_kernels::{Control, Material, Mesh, ParameterId as P, RegionMap, Status, System, Term, Values};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// What goes wrong while a script runs: message and hint. Whoever runs the statement knows its place.
#[derive(Clone, Debug)]
pub struct Fault {
    /// What.
    pub message: String,
    /// What to do.
    pub hint: String,
}

impl Fault {
    /// A message and a hint, which may be empty.
    pub fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: hint.into() }
    }
}

/// Regions a script may number.
pub const REGIONS: usize = 256;

/// A parameter's value in one region.
#[derive(Clone, Debug)]
pub enum Source {
    /// Constant.
    Fixed([f64; 3]),
    /// A function of time.
    Moving(Timed),
}

/// How regions came about; kept, so that a new mesh or a moved window can ask again.
#[derive(Clone, Debug)]
pub enum RegionStep {
    /// Inside a shape.
    Inside(u16, Shape),
    /// Cells one by one.
    Cells(HashMap<[usize; 3], u16>),
    /// From one number to another.
    Renumber(u16, u16),
    /// A number for every place, or none.
    Map(Grains),
}

/// See [`RegionStep::Map`].
#[derive(Clone)]
pub struct Grains(pub Arc<dyn Fn([f64; 3]) -> Option<u16> + Send + Sync>);

impl std::fmt::Debug for Grains {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Grains")
    }
}

/// What is done after every step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Hook {
    /// Keeps the average of a component near zero, in a region or layer or everywhere.
    CentreWall {
        /// Component.
        component: usize,
        /// Region.
        region: Option<u16>,
        /// Layer.
        layer: Option<usize>,
    },
    /// Keeps a bubble in the middle.
    CentreBubble,
}

/// Settings that are plain variables of the language.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Demagnetisation.
    pub enable_demag: bool,
    /// Points per distance of mumax3's kernel.
    pub demag_accuracy: f64,
    /// Open boundary condition.
    pub open_bc: bool,
    /// Precession.
    pub do_precess: bool,
    /// Leaves out Zhang-Li torque.
    pub disable_zhang_li: bool,
    /// Leaves out Slonczewski torque.
    pub disable_slonczewski: bool,
    /// Whether the fixed layer lies below.
    pub fixed_layer_bottom: bool,
    /// Gyromagnetic ratio (rad/(T s)).
    pub gamma: f64,
    /// Sub-samples per cell edge of shapes.
    pub edge_smooth: i64,
    /// See [`spinloom_kernels::Control`].
    pub min_dt: f64,
    /// Largest step; 0 means any (s).
    pub max_dt: f64,
    /// Fixed step; 0 means adaptive (s).
    pub fix_dt: f64,
    /// Tolerance.
    pub max_err: f64,
    /// Safety factor.
    pub headroom: f64,
    /// −1: by itself.
    pub relax_torque_threshold: f64,
    /// Largest turn.
    pub minimizer_stop: f64,
    /// Over how many steps.
    pub minimizer_samples: i64,
    /// MFM (m).
    pub mfm: [f64; 2],
    /// What the window lets in: left, right, up, down.
    pub shift_mag: [[f64; 3]; 4],
    /// Whether what was at the edge comes in.
    pub edge_carry: bool,
    /// Which things move with the window: m, geometry, regions.
    pub shifts: [bool; 3],
    /// Direction of a bubble.
    pub bubble_mz: f64,
    /// Tilt of its background.
    pub background_tilt: f64,
    /// Along which axes a bubble is kept in the middle.
    pub centre_bubble: [bool; 2],
    /// Whether whole grains are kept.
    pub grain_cut_shape: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            enable_demag: true,
            demag_accuracy: 6.0,
            open_bc: false,
            do_precess: true,
            disable_zhang_li: false,
            disable_slonczewski: false,
            fixed_layer_bottom: false,
            gamma: spinloom_base::constants::GAMMA_LL,
            edge_smooth: 0,
            min_dt: 0.0,
            max_dt: 0.0,
            fix_dt: 0.0,
            max_err: 1e-5,
            headroom: 0.8,
            relax_torque_threshold: -1.0,
            minimizer_stop: 1e-6,
            minimizer_samples: 10,
            mfm: [50e-9, 1e-3],
            shift_mag: [[0.0; 3]; 4],
            edge_carry: false,
            shifts: [true; 3],
            bubble_mz: 1.0,
            background_tilt: 0.25,
            centre_bubble: [true; 2],
            grain_cut_shape: false,
        }
    }
}

/// See the module.
pub struct Engine {
    /// The machine.
    pub device: DeviceChoice,
    /// Whether the exact tensor is used instead of mumax3's.
    pub exact_demag: bool,
    /// Variables.
    pub settings: Settings,
    grid: Option<[usize; 3]>,
    cell: Option<[f64; 3]>,
    pbc: [u32; 3],
    mesh: Option<Mesh>,
    shape: Option<Shape>,
    /// How much of each cell is magnet.
    pub fill: Vec<f64>,
    /// Region numbers, whether or not there is magnet.
    pub regions: Vec<u16>,
    region_steps: Vec<RegionStep>,
    parameters: HashMap<P, Vec<Source>>,
    masks: Vec<(P, Arc<Vec<f64>>, Source)>,
    pairs: HashMap<(P, u16, u16), Pair>,
    couplings: Vec<Coupling>,
    magnet: Option<Magnet>,
    /// Clock, step and counters of the simulation that was given up last, for the next one, and where its textures were.
    kept: Option<(Control, [Track; 2])>,
    /// Regions met so far: tables do not shrink when a window leaves a region.
    most_regions: usize,
    m: Vec<f64>,
    /// What that is to the m of the simulation, where there is one.
    copy: Copy,
    changed: bool,
    /// Time (s) while there is no simulation.
    t: f64,
    seed: u64,
    method: &'static Tableau,
    /// Field terms of the user's.
    pub custom_fields: Vec<Arc<Quantity>>,
    /// Energy terms of the user's.
    pub custom_energies: Vec<Arc<Quantity>>,
    /// See [`Hook`].
    pub hooks: Vec<Hook>,
    /// Running averages to keep up.
    pub averages: Vec<(Arc<Quantity>, Arc<Mutex<Average>>)>,
    /// Way of the window (m).
    pub shift: [f64; 2],
    /// Steps taken, as scripts count them.
    pub steps: i64,
    peak_error: f64,
    /// Warnings that were given already.
    pub warned: Vec<String>,
    /// What the script was told.
    pub journal: Journal,
}

/// What [`Engine`]'s own m is to that of the simulation: scripts set and ask for single cells by the thousand.
#[derive(Clone, Debug, PartialEq)]
enum Copy {
    /// Of an earlier moment.
    Stale,
    /// The same.
    Same,
    /// Ahead of it.
    Newer,
}

impl Engine {
    /// On a machine.
    pub fn new(device: DeviceChoice) -> Self {
        let mut e = Self {
            device,
            exact_demag: false,
            settings: Settings::default(),
            grid: None,
            cell: None,
            pbc: [0; 3],
            mesh: None,
            shape: None,
            fill: Vec::new(),
            regions: Vec::new(),
            region_steps: Vec::new(),
            parameters: HashMap::new(),
            masks: Vec::new(),
            pairs: HashMap::new(),
            couplings: Vec::new(),
            magnet: None,
            kept: None,
            most_regions: 1,
            m: Vec::new(),
            copy: Copy::Stale,
            changed: true,
            t: 0.0,
            seed: 0,
            method: &tableau::RK45,
            custom_fields: Vec::new(),
            custom_energies: Vec::new(),
            hooks: Vec::new(),
            averages: Vec::new(),
            shift: [0.0; 2],
            steps: 0,
            peak_error: 0.0,
            warned: Vec::new(),
            journal: Journal::empty(),
        };
        // A current flows through the magnet unless a script says otherwise; axes are zero until they are set.
        e.set_source(P::Pol, None, Source::Fixed([1.0, 0.0, 0.0]));
        for axis in [P::AnisU, P::AnisC1, P::AnisC2] {
            e.set_source(axis, None, Source::Fixed([0.0; 3]));
        }
        e
    }

    // --- mesh

    /// The mesh.
    ///
    /// # Errors
    /// If it has not been set.
    pub fn mesh(&self) -> Result<Mesh, Fault> {
        self.mesh.ok_or_else(|| Fault::new("there is no mesh yet", "call setGridSize and setCellSize first"))
    }

    /// Number of cells.
    ///
    /// # Errors
    /// Impossible or too large.
    pub fn set_grid(&mut self, n: [i64; 3]) -> Result<(), Fault> {
        if n.iter().any(|n| *n < 1) {
            return Err(Fault::new(
                format!("a grid of {} x {} x {} cells is impossible", n[0], n[1], n[2]),
                "every axis has at least one cell",
            ));
        }
        self.grid = Some(n.map(|n| n as usize));
        self.new_mesh()
    }

    /// Edges of a cell (m).
    ///
    /// # Errors
    /// Impossible.
    pub fn set_cell(&mut self, d: [f64; 3]) -> Result<(), Fault> {
        if d.iter().any(|d| !(*d > 0.0 && d.is_finite())) {
            return Err(Fault::new(
                format!("a cell of {:e} x {:e} x {:e} m is impossible", d[0], d[1], d[2]),
                "edges are greater than zero, in metres",
            ));
        }
        self.cell = Some(d);
        self.new_mesh()
    }

    /// Periodic images.
    ///
    /// # Errors
    /// As for the mesh.
    pub fn set_pbc(&mut self, p: [i64; 3]) -> Result<(), Fault> {
        if p.iter().any(|p| !(0..=10_000).contains(p)) {
            return Err(Fault::new("the number of periodic images must be between 0 and 10000", "0 means open"));
        }
        self.pbc = p.map(|p| p as u32);
        self.new_mesh()
    }

    /// All of a mesh at once; periodic images stay as they are if they are not given.
    ///
    /// # Errors
    /// Impossible or too large.
    pub fn set_mesh(&mut self, n: [i64; 3], d: [f64; 3], p: Option<[i64; 3]>) -> Result<(), Fault> {
        // While an axis is unknown no mesh is made.
        self.grid = None;
        if let Some(p) = p {
            self.set_pbc(p)?;
        }
        self.set_cell(d)?;
        self.set_grid(n)
    }

    fn new_mesh(&mut self) -> Result<(), Fault> {
        let (Some(n), Some(cell)) = (self.grid, self.cell) else { return Ok(()) };
        let mesh = Mesh { pbc: self.pbc, ..Mesh::new(n, cell) };
        if let Some(words) = self.device.lacks_memory(n, 1) {
            return Err(Fault::new(words, "take fewer or larger cells, or f32"));
        }
        if self.mesh == Some(mesh) {
            return Ok(());
        }
        let old = self.mesh.map(|old| (old, self.m()));
        self.mesh = Some(mesh);
        self.drop_magnet();
        self.masks.clear();
        self.render_geometry();
        self.render_regions();
        let (n, count) = (mesh.n, mesh.cells());
        self.m = vec![0.0; 3 * count];
        if let Some((old, m)) = old {
            for i in 0..count {
                let at = [i % n[0], i / n[0] % n[1], i / (n[0] * n[1])];
                let from: [usize; 3] = std::array::from_fn(|a| at[a] * old.n[a] / n[a]);
                let j = old.index(from[0], from[1], from[2]);
                (0..3).for_each(|c| self.m[c * count + i] = m[c * old.cells() + j]);
            }
        }
        self.fill_new_cells();
        Ok(())
    }

    /// Centre of a cell (m).
    pub fn position(&self, mesh: &Mesh, i: usize) -> [f64; 3] {
        position(mesh, self.shift, i)
    }

    // --- geometry and regions

    /// Sets the magnet's shape.
    ///
    /// # Errors
    /// Without a mesh, or if no cell is inside.
    pub fn set_geometry(&mut self, shape: Shape) -> Result<(), Fault> {
        self.mesh()?;
        let smooth = self.settings.edge_smooth;
        if !(0..=100).contains(&smooth) {
            return Err(Fault::new(
                format!("EdgeSmooth = {smooth} samples along every edge of a cell"),
                "0 is a staircase, 8 is smooth; at most 100",
            ));
        }
        self.keep_m();
        self.shape = Some(shape);
        self.render_geometry();
        if self.fill.iter().all(|f| *f == 0.0) {
            self.shape = None;
            self.render_geometry();
            return Err(Fault::new("no cell lies inside this geometry", "lengths are in metres, from the centre of the box"));
        }
        self.fill_new_cells();
        self.changed = true;
        Ok(())
    }

    /// Sets the fill of every cell.
    pub fn set_fill(&mut self, fill: Vec<f64>) {
        self.keep_m();
        self.fill = fill;
        self.fill_new_cells();
        self.changed = true;
    }

    fn cell_fill(&self, mesh: &Mesh, i: usize) -> f64 {
        let Some(shape) = &self.shape else { return 1.0 };
        let p = self.position(mesh, i);
        let n = self.settings.edge_smooth;
        if n <= 0 {
            return f64::from(u8::from(shape.contains(p)));
        }
        let offset = |k: i64| (k as f64 + 0.5) / n as f64 - 0.5;
        let mut inside = 0;
        for z in 0..n {
            for y in 0..n {
                for x in 0..n {
                    let at = [p[0] + offset(x) * mesh.cell[0], p[1] + offset(y) * mesh.cell[1], p[2] + offset(z) * mesh.cell[2]];
                    inside += i64::from(shape.contains(at));
                }
            }
        }
        inside as f64 / n.pow(3) as f64
    }

    fn render_geometry(&mut self) {
        if let Some(mesh) = self.mesh {
            self.fill = (0..mesh.cells()).map(|i| self.cell_fill(&mesh, i)).collect();
        }
    }

    fn cell_region(&self, mesh: &Mesh, i: usize) -> u16 {
        let mut region = 0;
        for step in &self.region_steps {
            match step {
                RegionStep::Inside(r, shape) if shape.contains(self.position(mesh, i)) => region = *r,
                RegionStep::Cells(list) => {
                    region = list.get(&[i % mesh.n[0], i / mesh.n[0] % mesh.n[1], i / (mesh.n[0] * mesh.n[1])]).copied().unwrap_or(region)
                }
                RegionStep::Renumber(from, to) if region == *from => region = *to,
                RegionStep::Map(Grains(f)) => region = f(self.position(mesh, i)).unwrap_or(region),
                _ => {}
            }
        }
        region
    }

    fn render_regions(&mut self) {
        if let Some(mesh) = self.mesh {
            self.regions = (0..mesh.cells()).map(|i| self.cell_region(&mesh, i)).collect();
            self.note_regions();
        }
    }

    /// Adds a step to how regions come about.
    ///
    /// # Errors
    /// Without a mesh.
    pub fn add_region_step(&mut self, step: RegionStep) -> Result<(), Fault> {
        let mesh = self.mesh()?;
        for i in 0..mesh.cells() {
            match &step {
                RegionStep::Inside(r, shape) if shape.contains(self.position(&mesh, i)) => self.regions[i] = *r,
                RegionStep::Renumber(from, to) if self.regions[i] == *from => self.regions[i] = *to,
                RegionStep::Map(Grains(f)) => self.regions[i] = f(self.position(&mesh, i)).unwrap_or(self.regions[i]),
                _ => {}
            }
        }
        self.region_steps.push(step);
        self.note_regions();
        self.changed = true;
        Ok(())
    }

    /// Numbers one cell of the mesh.
    ///
    /// # Errors
    /// Without a mesh.
    pub fn set_cell_region(&mut self, region: u16, at: [usize; 3]) -> Result<(), Fault> {
        let mesh = self.mesh()?;
        self.regions[mesh.index(at[0], at[1], at[2])] = region;
        // A script that numbers cell by cell leaves one step, not thousands.
        if let Some(RegionStep::Cells(list)) = self.region_steps.last_mut() {
            list.insert(at, region);
        } else {
            self.region_steps.push(RegionStep::Cells(HashMap::from([(at, region)])));
        }
        self.most_regions = self.most_regions.max(usize::from(region) + 1);
        self.changed = true;
        Ok(())
    }

    /// Gives magnet without magnetisation a random one, and takes it from where there is no magnet.
    fn fill_new_cells(&mut self) {
        let Some(mesh) = self.mesh else { return };
        let cells = mesh.cells();
        let mut stream = super::random::GoRandom::new(0);
        for i in 0..cells {
            let at = |m: &[f64], c: usize| m[c * cells + i];
            let drawn = stream.direction();
            if self.fill[i] == 0.0 {
                (0..3).for_each(|c| self.m[c * cells + i] = 0.0);
            } else if (0..3).all(|c| at(&self.m, c) == 0.0) {
                (0..3).for_each(|c| self.m[c * cells + i] = drawn[c]);
            }
        }
        self.put_m();
    }

    // --- magnetisation

    /// m, `[component][z][y][x]`.
    pub fn m(&self) -> Vec<f64> {
        match &self.magnet {
            Some(g) if self.copy == Copy::Stale => g.sim.m(0),
            _ => self.m.clone(),
        }
    }

    fn keep_m(&mut self) {
        if let Some(g) = &self.magnet
            && self.copy == Copy::Stale
        {
            self.m = g.sim.m(0);
            self.copy = Copy::Same;
        }
    }

    /// m of one cell.
    ///
    /// # Errors
    /// Only of a script that goes another way than before it was cut off.
    pub fn cell_m(&mut self, i: usize) -> Result<[f64; 3], Fault> {
        if let Some(v) = self.journal.again(Told::Value)? {
            return Ok(std::array::from_fn(|c| v[c]));
        }
        self.keep_m();
        let cells = self.fill.len();
        let v = std::array::from_fn(|c| self.m[c * cells + i]);
        self.journal.note(Told::Value, &v);
        Ok(v)
    }

    /// Region and fill of one cell.
    ///
    /// # Errors
    /// As for [`Engine::cell_m`].
    pub fn cell_matter(&mut self, i: usize) -> Result<(u16, f64), Fault> {
        if let Some(v) = self.journal.again(Told::Value)? {
            return Ok((v[0] as u16, v[1]));
        }
        self.journal.note(Told::Value, &[f64::from(self.regions[i]), self.fill[i]]);
        Ok((self.regions[i], self.fill[i]))
    }

    /// Sets m of one cell; it is normalised.
    pub fn set_cell_m(&mut self, i: usize, v: [f64; 3]) {
        self.keep_m();
        let cells = self.fill.len();
        let scale = unit_scale(self.fill[i], v);
        (0..3).for_each(|c| self.m[c * cells + i] = scale * v[c]);
        self.copy = Copy::Newer;
    }

    /// Sets m; it is normalised.
    pub fn set_m(&mut self, mut m: Vec<f64>) {
        let cells = self.fill.len();
        for i in 0..cells {
            let scale = unit_scale(self.fill[i], std::array::from_fn(|c| m[c * cells + i]));
            (0..3).for_each(|c| m[c * cells + i] *= scale);
        }
        self.m = m;
        self.put_m();
    }

    fn put_m(&mut self) {
        let map = self.map();
        let Some(magnet) = &mut self.magnet else { return };
        if magnet.mesh().cells() != self.fill.len() || magnet.regions().count != map.count {
            self.drop_magnet();
            return;
        }
        if *magnet.regions() != map {
            magnet.sim.system.regions = map;
            magnet.sim.apply(0);
        }
        magnet.sim.set_m(0, &self.m);
        forget_torque(&mut magnet.sim);
        self.copy = Copy::Same;
    }

    /// Sets m to a configuration, where a condition on the cell holds.
    ///
    /// # Errors
    /// Without a mesh.
    pub fn configure(&mut self, config: &Config, inside: impl Fn(usize, [f64; 3]) -> bool) -> Result<(), Fault> {
        let mesh = self.mesh()?;
        let mut m = self.m();
        let cells = mesh.cells();
        for i in 0..cells {
            let p = self.position(&mesh, i);
            if inside(i, p) {
                let v = config.at(p);
                if v.iter().any(|v| !v.is_finite()) {
                    return Err(Fault::new(
                        format!("this configuration is no vector of numbers at ({:e}, {:e}, {:e}) m", p[0], p[1], p[2]),
                        "",
                    ));
                }
                (0..3).for_each(|c| m[c * cells + i] = v[c]);
            }
        }
        self.set_m(m);
        Ok(())
    }

    // --- parameters

    /// Something changed that the simulation must know.
    pub fn touch(&mut self) {
        self.changed = true;
    }

    /// Sets a parameter in a region, or in all.
    pub fn set_source(&mut self, p: P, region: Option<u16>, source: Source) {
        let list = self.parameters.entry(p).or_insert_with(|| vec![Source::Fixed(p.info().default); REGIONS]);
        match region {
            Some(r) => list[usize::from(r)] = source,
            None => list.fill(source),
        }
        self.changed = true;
    }

    /// A parameter's value in a region, now.
    pub fn parameter(&self, p: P, region: u16) -> [f64; 3] {
        match self.parameters.get(&p).map(|l| &l[usize::from(region)]) {
            Some(Source::Fixed(v)) => *v,
            Some(Source::Moving(f)) => moving(p, f, self.time()),
            None => p.info().default,
        }
    }

    /// Whether a parameter is the same in all regions that are in use.
    pub fn is_uniform(&self, p: P) -> bool {
        let count = self.region_count();
        (0..count as u16).all(|r| self.parameter(p, r) == self.parameter(p, 0)) && self.masks.iter().all(|m| m.0 != p)
    }

    /// Adds a mask to an excitation.
    pub fn add_mask(&mut self, p: P, values: Vec<f64>, factor: Source) {
        self.masks.push((p, Arc::new(values), factor));
        self.changed = true;
    }

    /// Takes all masks from an excitation.
    pub fn remove_masks(&mut self, p: P) {
        self.masks.retain(|m| m.0 != p);
        self.changed = true;
    }

    /// The coupling of two layers.
    pub fn coupling(&mut self, a: u16, b: u16) -> &mut Coupling {
        self.changed = true;
        let known = self.couplings.iter().position(|c| c.regions == (a, b) || c.regions == (b, a));
        let at = known.unwrap_or_else(|| {
            self.couplings.push(Coupling { regions: (a, b), j1: 0.0, j2: 0.0, d: [0.0; 3] });
            self.couplings.len() - 1
        });
        &mut self.couplings[at]
    }

    /// Couples two regions otherwise than by the mean of their own values.
    pub fn set_pair(&mut self, pair: Pair) {
        let (a, b) = pair.regions;
        self.pairs.insert((pair.parameter, a.min(b), a.max(b)), pair);
        self.changed = true;
    }

    /// Regions and geometry as the solver takes them.
    fn map(&self) -> RegionMap {
        let cells = self.fill.iter().zip(&self.regions).map(|(f, r)| if *f > 0.0 { *r } else { RegionMap::VACUUM }).collect();
        let fill = if self.fill.iter().all(|f| *f == 0.0 || *f == 1.0) { Vec::new() } else { self.fill.clone() };
        RegionMap { cells, count: self.region_count(), fill }
    }

    fn region_count(&self) -> usize {
        (usize::from(self.regions.iter().copied().max().unwrap_or(0)) + 1).max(self.most_regions)
    }

    fn note_regions(&mut self) {
        self.most_regions = self.region_count();
    }

    fn uses(&self, p: P) -> bool {
        let count = self.region_count();
        let set = self.parameters.get(&p).is_some_and(|list| {
            list[..count].iter().any(|s| match s {
                Source::Fixed(v) => *v != [0.0; 3],
                Source::Moving(_) => true,
            })
        });
        set || self.masks.iter().any(|m| m.0 == p)
    }

    /// Seed of the thermal noise, which begins anew.
    pub fn set_seed(&mut self, seed: i64) {
        self.seed = seed as u64;
        self.keep_m();
        self.drop_magnet();
        // Draws are numbered by these steps.
        self.kept.iter_mut().for_each(|(c, _)| c.steps = 0);
    }

    /// Chooses the method.
    ///
    /// # Errors
    /// An unknown number.
    pub fn set_solver(&mut self, number: i64) -> Result<(), Fault> {
        self.method = match number {
            -1 => &tableau::MIDPOINT,
            1 => &tableau::EULER,
            2 => &tableau::HEUN,
            3 => &tableau::RK23,
            4 => &tableau::RK4,
            5 => &tableau::RK45,
            6 => &tableau::RK56,
            n => {
                let hint = "-1 implicit midpoint, 1 Euler, 2 Heun, 3 RK23, 4 RK4, 5 RK45 (Dormand-Prince), 6 RK56 (Fehlberg)";
                return Err(Fault::new(format!("there is no solver {n}"), hint));
            }
        };
        self.keep_m();
        self.drop_magnet();
        Ok(())
    }

    /// The method.
    pub fn method(&self) -> &'static Tableau {
        self.method
    }

    // --- simulation

    /// Time (s).
    pub fn time(&self) -> f64 {
        self.magnet.as_ref().map_or(self.t, Magnet::time)
    }

    /// Sets the clock.
    pub fn set_time(&mut self, t: f64) {
        self.t = t;
        if let Some((c, _)) = &mut self.kept {
            c.t = t;
        }
        if let Some(g) = &mut self.magnet {
            let c = g.sim.control(0);
            g.sim.set_control(0, Control { t, ..c });
        }
    }

    fn drop_magnet(&mut self) {
        if let Some(g) = self.magnet.take() {
            self.t = g.time();
            self.kept = Some((g.sim.control(0), g.tracks));
        }
        self.changed = true;
    }

    /// What mumax3's demagnetising tensor makes of a mesh: refused, or a warning, or nothing to say.
    fn check_mesh(&mut self, mesh: &Mesh) -> Result<(), Fault> {
        if !self.settings.enable_demag {
            return Ok(());
        }
        let axes = || (0..3).filter(|a| mesh.n[*a] > 1 || mesh.cells() == 1);
        let (longest, shortest) = mesh.cell.iter().fold((0.0, f64::INFINITY), |(l, s), c| (f64::max(l, *c), f64::min(s, *c)));
        let aspect = longest / shortest;
        if aspect > 100.0 && !self.exact_demag {
            let hint = "take cells nearer to cubes, or the exact tensor (--demag exact)";
            return Err(Fault::new(
                format!("cells {aspect:.0} times longer than thick: the sampled demagnetising tensor is unreliable above 100"),
                hint,
            ));
        }
        let accuracy = self.settings.demag_accuracy;
        if !(0.0..=100.0).contains(&accuracy) && !self.exact_demag {
            return Err(Fault::new(
                format!("DemagAccuracy = {accuracy} points per distance"),
                "6 is usual; the time to sample goes with its fifth power; at most 100",
            ));
        }
        if aspect > 4.0 && !self.exact_demag {
            self.warn(format!("cells are {aspect:.1} times longer than thick: the sampled demagnetising tensor loses accuracy above 4; --demag exact does not"));
        }
        let rough = |mut n: usize| {
            [2, 3, 5, 7].iter().for_each(|p| {
                while n.is_multiple_of(*p) {
                    n /= p
                }
            });
            n > 1
        };
        for axis in axes().filter(|a| rough(mesh.n[*a])).collect::<Vec<_>>() {
            let n = mesh.n[axis];
            self.warn(format!("{n} cells along {} have a prime factor above 7: transforms are slower", ["x", "y", "z"][axis]));
        }
        Ok(())
    }

    /// Something to tell the user once; whoever runs the script fetches it.
    pub fn warn(&mut self, line: String) {
        if !self.warned.contains(&line) {
            self.warned.push(line);
        }
    }

    fn system(&mut self) -> Result<System, Fault> {
        let mesh = self.mesh()?;
        for q in self.custom_fields.iter().chain(&self.custom_energies) {
            if self.fits(q)? != mesh.n {
                return Err(Fault::new(
                    format!("{} does not go over the whole mesh", q.name()),
                    "removeCustomFields() and removeCustomEnergies() take such terms away",
                ));
            }
        }
        self.check_mesh(&mesh)?;
        let count = self.region_count();
        let now = self.time();
        let s = &self.settings;
        let mut regions = vec![Values::default(); count];
        let mut moved: Vec<(P, usize, Timed)> = Vec::new();
        for (p, list) in &self.parameters {
            for (r, source) in list[..count].iter().enumerate() {
                match source {
                    Source::Fixed(v) => regions[r].set(*p, *v),
                    Source::Moving(f) => {
                        regions[r].set(*p, moving(*p, f, now));
                        moved.push((*p, r, f.clone()));
                    }
                }
            }
        }
        for v in &mut regions {
            v.set_scalar(P::GammaLl, s.gamma);
            v.set_scalar(P::FixedLayerBottom, f64::from(u8::from(s.fixed_layer_bottom)));
            v.set_scalar(P::DampingOnly, f64::from(u8::from(!s.do_precess)));
        }
        let mut factors: Vec<(usize, Timed)> = Vec::new();
        let masks = self
            .masks
            .iter()
            .enumerate()
            .map(|(i, (p, values, factor))| {
                let factor = match factor {
                    Source::Fixed(v) => v[0],
                    Source::Moving(f) => {
                        factors.push((i, f.clone()));
                        f.number(now)
                    }
                };
                Mask { parameter: *p, values: values.clone(), factor }
            })
            .collect();
        if matches!(self.device, DeviceChoice::Vulkan(..) | DeviceChoice::Cuda(..))
            && let Some((mask, other)) = masks_that_move(&self.masks, &moved)
        {
            let (mask, other) = (mask.info().name, other.info().name);
            let hint = "run this script on the processor: --device cpu";
            return Err(Fault::new(format!("graphics devices cannot follow {other} in time where masks are added to {mask}"), hint));
        }
        let drive = (!moved.is_empty() || !factors.is_empty()).then(|| {
            Drive(Arc::new(move |t: f64, regions: &mut [Values], masks: &mut [f64]| {
                moved.iter().for_each(|(p, r, f)| regions[*r].set(*p, moving(*p, f, t)));
                factors.iter().for_each(|(i, f)| masks[*i] = f.number(t));
            }))
        });
        let mut pairs: Vec<Pair> = self.pairs.values().copied().collect();
        pairs.sort_by_key(|p| (p.parameter, p.regions));
        let material =
            Material { regions, pairs, couplings: self.couplings.clone(), open_faces: s.open_bc, masks, drive, ..Material::default() };
        let mut system = System::new(mesh, self.map(), material);
        system.seed = self.seed;
        system.demag = if self.exact_demag { DemagKernel::Newell } else { DemagKernel::Sampled { accuracy: s.demag_accuracy } };
        let current = self.uses(P::J);
        let active = |t: &Term| match t {
            Term::Demag => s.enable_demag && self.uses(P::Msat),
            Term::MagnetoElastic => self.uses(P::B1) || self.uses(P::B2),
            Term::ZhangLi => current && self.uses(P::Pol) && !s.disable_zhang_li,
            Term::Slonczewski => current && self.uses(P::FixedLayer) && !s.disable_slonczewski,
            Term::SpinOrbit => current && self.uses(P::ThetaSh),
            Term::Custom => !self.custom_fields.is_empty(),
            Term::Exchange => self.uses(P::Aex) || self.pairs.keys().any(|p| p.0 == P::Aex),
            Term::Vcma => self.uses(P::XiVcma) && self.uses(P::Ez),
            t if t.gpu().partnered > 0 => t.in_use(&system.replicas[0].material),
            t => t.info().switch.is_none_or(|p| self.uses(p)),
        };
        system.terms = Term::ALL.iter().copied().filter(active).collect();
        if let Some(what) = system.impossible() {
            return Err(Fault::new(what, ""));
        }
        Ok(system)
    }

    fn make(&self, system: System) -> Result<Simulation, Fault> {
        let fault = |e: spinloom_kernels::DeviceError| Fault::new(e.to_string(), "");
        let mut sim =
            Simulation::with_demag_every(system, self.device, self.method, Step::Adaptive { max_err: 1e-5 }, DemagEvery::Evaluation)
                .map_err(fault)?;
        sim.set_m(0, &self.m);
        Ok(sim)
    }

    fn surround(&self, sim: Simulation) -> Magnet {
        Magnet {
            sim,
            numbers: self.regions.clone(),
            shift: self.shift,
            mfm: self.settings.mfm,
            energies: self.custom_energies.iter().map(|q| (**q).clone()).collect(),
            bubble: (self.settings.bubble_mz, self.settings.background_tilt),
            peak_error: self.peak_error,
            tracks: Default::default(),
            damping_only: !self.settings.do_precess,
        }
    }

    /// The simulation, brought up to date with everything the script has set.
    ///
    /// # Errors
    /// What is missing or impossible.
    pub fn magnet(&mut self) -> Result<&mut Magnet, Fault> {
        if self.copy == Copy::Newer && !self.changed {
            self.put_m();
        }
        if self.changed || self.magnet.is_none() {
            let mut system = self.system()?;
            let same = self.magnet.as_ref().is_some_and(|g| {
                let old = &g.sim.system;
                old.mesh == system.mesh
                    && old.terms == system.terms
                    && old.demag == system.demag
                    && old.seed == system.seed
                    && old.regions.count == system.regions.count
                    && !system.terms.contains(&Term::Custom)
            });
            if let (true, Some(g)) = (same, &mut self.magnet) {
                g.sim.system.replicas[0].material = system.replicas.remove(0).material;
                g.sim.system.regions = system.regions;
                g.sim.apply(0);
                if self.copy == Copy::Newer {
                    g.sim.set_m(0, &self.m);
                    self.copy = Copy::Same;
                }
            } else {
                self.keep_m();
                let control = self.magnet.as_ref().map(|g| (g.sim.control(0), g.tracks)).or(self.kept.take());
                if system.terms.contains(&Term::Custom) {
                    let mut plain = system.clone();
                    plain.terms.retain(|t| *t != Term::Custom);
                    let probe = Mutex::new(self.surround(self.make(plain)?));
                    let fields = self.custom_fields.clone();
                    system.custom = Some(CustomField(Arc::new(move |t, m, out| {
                        let mut probe = probe.lock().unwrap_or_else(|e| e.into_inner());
                        probe.sim.set_m(0, m);
                        let c = probe.sim.control(0);
                        probe.sim.set_control(0, Control { t, ..c });
                        for q in &fields {
                            let f = probe.field(q);
                            let cells = f.cells();
                            out.iter_mut().enumerate().for_each(|(i, o)| *o += f.at((i / cells).min(f.components - 1), i % cells));
                        }
                    })));
                }
                let sim = self.make(system)?;
                let mut g = self.surround(sim);
                let fresh = g.sim.control(0);
                match control {
                    Some((c, tracks)) => {
                        g.sim.set_control(0, Control { slot: fresh.slot, ..c });
                        g.tracks = tracks;
                    }
                    None => g.sim.set_control(0, Control { t: self.t, ..fresh }),
                }
                self.magnet = Some(g);
                self.copy = Copy::Same;
            }
            self.changed = false;
            let (shift, s) = (self.shift, &self.settings);
            let energies = self.custom_energies.iter().map(|q| (**q).clone()).collect();
            let g = self.magnet.as_mut().expect("made above");
            g.numbers.clone_from(&self.regions);
            (g.shift, g.mfm, g.damping_only, g.energies) = (shift, s.mfm, !s.do_precess, energies);
            g.bubble = (s.bubble_mz, s.background_tilt);
            forget_torque(&mut g.sim);
        }
        Ok(self.magnet.as_mut().expect("made above"))
    }

    /// What this simulation stands on, for a bibliography.
    pub fn references(&self) -> String {
        let mut text = String::from("% What this simulation used.\n");
        let terms = self.magnet.as_ref().map(|g| g.sim.system.terms.clone()).unwrap_or_default();
        let parts = terms.iter().map(|t| (t.info().name, t.info().about, t.info().reference));
        for (key, title, note) in parts.chain([(self.method.name, "Time stepping", self.method.reference)]) {
            text += &format!("@misc{{{key},\n  title = {{{title}}},\n  note = {{{note}}}\n}}\n");
        }
        text
    }

    /// Over how many cells a quantity goes.
    ///
    /// # Errors
    /// Parts that do not fit together or into the mesh.
    pub fn fits(&self, q: &Quantity) -> Result<[usize; 3], Fault> {
        q.extent(self.mesh()?.n).map_err(|e| Fault::new(e, "cells are numbered from 0; the end is not included"))
    }

    /// A quantity over the cells.
    ///
    /// # Errors
    /// As for [`Engine::magnet`].
    pub fn field(&mut self, q: &Quantity) -> Result<Field, Fault> {
        if let Some(v) = self.journal.again(Told::Field)? {
            return Ok(Field { components: v[0] as usize, n: [v[1] as usize, v[2] as usize, v[3] as usize], data: v[4..].to_vec() });
        }
        let field = self.field_now(q)?;
        if self.journal.inside == 0 {
            let head = [field.components, field.n[0], field.n[1], field.n[2]].map(|n| n as f64);
            self.journal.note(Told::Field, &[&head, &field.data[..]].concat());
        }
        Ok(field)
    }

    fn field_now(&mut self, q: &Quantity) -> Result<Field, Fault> {
        // What needs no simulation must not build one: a script may ask for geometry before there is a material.
        let mesh = self.mesh()?;
        self.fits(q)?;
        match q {
            Quantity::Named("geom") => Ok(Field { components: 1, n: mesh.n, data: self.fill.clone() }),
            Quantity::Named("regions") => {
                Ok(Field { components: 1, n: mesh.n, data: self.regions.iter().map(|r| f64::from(*r)).collect() })
            }
            _ => Ok(self.magnet()?.field(q)),
        }
    }

    /// The value of a quantity: its own, or its average.
    ///
    /// # Errors
    /// As for [`Engine::magnet`].
    pub fn value(&mut self, q: &Quantity) -> Result<Vec<f64>, Fault> {
        if let Some(v) = self.journal.again(Told::Value)? {
            return Ok(v);
        }
        let v = match q {
            Quantity::Named("t") => vec![self.time()],
            Quantity::Named("geom" | "regions") => self.field_now(q)?.average(),
            _ => {
                self.fits(q)?;
                self.magnet()?.value(q)
            }
        };
        self.journal.note(Told::Value, &v);
        Ok(v)
    }

    // --- going on after a kill

    /// Where a call that moves the magnet has left clock and window: all that a script can see of it without asking.
    pub fn moved(&self) -> Vec<f64> {
        let few = [self.time(), self.steps as f64, self.peak_error, self.most_regions as f64];
        few.into_iter().chain(self.shift).chain(self.settings.shift_mag.into_iter().flatten()).collect()
    }

    /// The same again, without having moved.
    pub fn move_again(&mut self, v: &[f64]) {
        (self.t, self.steps, self.peak_error, self.most_regions) = (v[0], v[1] as i64, v[2], v[3] as usize);
        let shift = [v[4], v[5]];
        self.settings.shift_mag = std::array::from_fn(|k| std::array::from_fn(|c| v[6 + 3 * k + c]));
        if std::mem::replace(&mut self.shift, shift) != shift {
            self.render_geometry();
            self.render_regions();
        }
    }

    /// The magnet's state. What follows has the bits that it would have had.
    ///
    /// # Errors
    /// As for [`Engine::magnet`].
    pub fn keep(&mut self, kept: &mut Kept) -> Result<(), Fault> {
        self.magnet()?;
        let newer = self.copy != Copy::Stale;
        let g = self.magnet()?;
        kept.put("m", g.sim.m(0));
        // Of a settling under way the magnetisation is kept as it is, all else as it was when it began, and where it stands.
        let (floats, counts) = g.sim.outside(0).numbers();
        kept.put("control", floats);
        kept.words.insert("counts".into(), counts.into_iter().chain([u64::from(g.sim.is_stale(0))]).collect());
        if let Some((floats, integers)) = g.sim.settling_state() {
            kept.put("settling", floats);
            kept.words.insert("settling counts".into(), integers);
        }
        kept.put("tracks", g.tracks.iter().flat_map(|t| t.numbers()));
        kept.put("bubble", [g.peak_error]);
        for (key, value) in &g.sim.device().info().choices {
            kept.texts.insert(format!("choice {key}"), value.clone());
        }
        if newer {
            kept.put("copy of m", self.m.iter().copied());
        }
        kept.put("fill", self.fill.iter().copied());
        kept.words.insert("regions".into(), self.regions.iter().map(|r| u64::from(*r)).collect());
        kept.put("moved", self.moved());
        kept.texts.insert("warned".into(), self.warned.join("\n"));
        for (k, (_, average)) in self.averages.iter().enumerate() {
            let a = average.lock().unwrap_or_else(|e| e.into_inner());
            let n = a.last.as_ref().map_or([0; 4], |f| [f.components, f.n[0], f.n[1], f.n[2]]);
            kept.put(&format!("average {k}"), [a.start, a.until].into_iter().chain(n.map(|n| n as f64)));
            kept.put(&format!("average {k} integral"), a.integral.iter().copied());
            kept.put(&format!("average {k} last"), a.last.iter().flat_map(|f| f.data.iter().copied()));
        }
        Ok(())
    }

    /// Puts the magnet where it was.
    ///
    /// # Errors
    /// The checkpoint is another script's, or of another device.
    pub fn restore(&mut self, kept: &Kept) -> Result<(), Fault> {
        let cells = self.mesh()?.cells();
        self.move_again(&kept.floats("moved", Some(18))?);
        self.fill = kept.floats("fill", Some(cells))?;
        self.regions = kept.integers("regions", Some(cells))?.iter().map(|r| *r as u16).collect();
        self.warned = kept.texts.get("warned").map_or(Vec::new(), |t| t.lines().map(str::to_string).collect());
        let m = kept.floats("m", Some(3 * cells))?;
        self.m = if kept.words.contains_key("copy of m") { kept.floats("copy of m", Some(3 * cells))? } else { m.clone() };
        self.drop_magnet();
        let (copied, f, u) =
            (kept.words.contains_key("copy of m"), kept.floats("control", Some(14))?, kept.integers("counts", Some(6))?.to_vec());
        let tracks = kept.floats("tracks", Some(12))?;
        let peak = kept.floats("bubble", Some(1))?[0];
        let g = self.magnet()?;
        for (key, value) in &g.sim.device().info().choices {
            let before = kept.texts.get(&format!("choice {key}")).map_or("absent", String::as_str);
            if before != value {
                let hint = "go on where it is the same, or run the script anew with -f";
                return Err(Fault::new(format!("{key} was {before} and is {value} now: the bits would differ"), hint));
            }
        }
        let entry = g.sim.state()[0];
        g.sim.restore_state(0, &entry, &m);
        let control = g.sim.control(0).with_numbers(&f, &u);
        g.sim.set_control(0, control);
        if u[5] == 0 {
            g.sim.warm();
        }
        if let Ok(counts) = kept.integers("settling counts", None)
            && !g.sim.resume_settling(&kept.floats("settling", None)?, counts)
        {
            return Err(Fault::new("the checkpoint does not belong to this script: `settling`", "run it anew with -f"));
        }
        g.tracks = [Track::from_numbers(&tracks), Track::from_numbers(&tracks[6..])];
        g.peak_error = peak;
        self.copy = if copied { Copy::Same } else { Copy::Stale };
        for (k, (_, average)) in self.averages.iter().enumerate() {
            let head = kept.floats(&format!("average {k}"), Some(6))?;
            let mut a = average.lock().unwrap_or_else(|e| e.into_inner());
            (a.start, a.until) = (head[0], head[1]);
            a.integral = kept.floats(&format!("average {k} integral"), None)?;
            let data = kept.floats(&format!("average {k} last"), None)?;
            let n = [head[2], head[3], head[4], head[5]].map(|v| v as usize);
            a.last = (n[0] > 0).then_some(Field { components: n[0], n: [n[1], n[2], n[3]], data });
        }
        Ok(())
    }

    /// When a run of this duration ends: fixed steps are all of the same length, so that the last one may pass its end.
    pub fn end(&self, start: f64, duration: f64) -> f64 {
        let step = self.settings.fix_dt;
        // A multiple but for roundings is one.
        if step > 0.0 { start + (duration / step - 1e-6).ceil() * step } else { start + duration }
    }

    /// Gets ready to step until a time (s).
    ///
    /// # Errors
    /// As for [`Engine::magnet`].
    pub fn begin(&mut self, until: f64) -> Result<(), Fault> {
        let s = self.settings.clone();
        let steps = [("MinDt", s.min_dt), ("MaxDt", s.max_dt), ("FixDt", s.fix_dt)];
        if let Some((name, v)) = steps.into_iter().find(|(_, v)| *v < 0.0) {
            return Err(Fault::new(format!("{name} = {v:e} s is below zero"), "0 means none"));
        }
        let above = [("MaxErr", s.max_err), ("Headroom", s.headroom), ("GammaLL", s.gamma)];
        // Without a tolerance no step would be short enough; a smallest or fixed step is taken whatever its error.
        let free = s.fix_dt > 0.0 || s.min_dt > 0.0;
        if let Some((name, v)) = above.into_iter().find(|(n, v)| !(*v > 0.0 || (*n == "MaxErr" && free && *v == 0.0)) || v.is_infinite()) {
            return Err(Fault::new(format!("{name} = {v:e} lets no step be taken"), "it is a number above zero"));
        }
        if self.method.name == "midpoint" && s.fix_dt == 0.0 {
            return Err(Fault::new("the implicit midpoint rule takes fixed steps", "set FixDt"));
        }
        let g = self.magnet()?;
        g.sim.restart(0);
        g.sim.run_to(0, until);
        let mut c = g.sim.control(0);
        (c.max_err, c.headroom, c.dt_min) = (s.max_err, s.headroom, s.min_dt);
        c.dt_max = if s.max_dt > 0.0 { s.max_dt } else { f64::INFINITY };
        c.fixed = s.fix_dt > 0.0;
        if c.fixed {
            c.dt = s.fix_dt;
            (c.dt_min, c.dt_max) = (0.0, f64::INFINITY);
        }
        g.sim.set_control(0, c);
        Ok(())
    }

    /// Takes one step, and what the script wants after it.
    ///
    /// # Errors
    /// A value that is not a number, a device that fails.
    pub fn step(&mut self) -> Result<(), Fault> {
        if self.changed {
            let until = self.magnet.as_ref().map_or(f64::INFINITY, |g| g.sim.control(0).t_pause);
            self.begin(until)?;
        }
        self.magnet()?;
        self.copy = Copy::Stale;
        let g = self.magnet()?;
        g.sim.step();
        let c = g.sim.control(0);
        if let Some(e) = g.sim.trouble() {
            return Err(Fault::new(e.to_string(), ""));
        }
        if c.status == Status::NotANumber {
            return Err(Fault::new(g.sim.not_a_number(0), "check the parameters; a smaller MaxDt may help"));
        }
        g.peak_error = g.peak_error.max(c.err);
        self.peak_error = g.peak_error;
        self.steps += 1;
        for hook in self.hooks.clone() {
            self.run_hook(hook)?;
        }
        if !self.hooks.is_empty() {
            self.magnet()?.follow_window();
        }
        for (q, average) in self.averages.clone() {
            // What does not fit a new mesh begins anew when it is asked for, with its error then.
            if self.fits(&q).is_ok() {
                self.magnet()?.follow(&q, &average);
            }
        }
        Ok(())
    }

    /// How `relax` comes to rest.
    pub fn relaxing(&self) -> Rest {
        Rest::Relax { threshold: Some(self.settings.relax_torque_threshold).filter(|t| *t > 0.0) }
    }

    /// How `minimize` does.
    pub fn minimising(&self) -> Rest {
        let samples = self.settings.minimizer_samples.max(1) as u64;
        Rest::Minimise { tolerance: self.settings.minimizer_stop, samples, limit: 1_000_000 }
    }

    /// Begins to settle.
    ///
    /// # Errors
    /// As for [`Engine::magnet`].
    pub fn begin_settling(&mut self, how: Rest) -> Result<(), Fault> {
        self.magnet()?.sim.begin_settling(how);
        self.copy = Copy::Stale;
        Ok(())
    }

    /// Takes a round; whether another is to follow.
    ///
    /// # Errors
    /// A device that fails.
    pub fn go_on_settling(&mut self) -> Result<bool, Fault> {
        let g = self.magnet()?;
        let more = g.sim.go_on_settling();
        g.sim.trouble().map_or(Ok(more), |e| Err(Fault::new(e.to_string(), "")))
    }

    /// Comes to the end of it.
    ///
    /// # Errors
    /// A device that fails, a minimum that is not found.
    pub fn end_settling(&mut self, how: Rest) -> Result<(), Fault> {
        let g = self.magnet()?;
        let rested = g.sim.end_settling();
        // The torque of the last step is no longer that of its state.
        forget_torque(&mut g.sim);
        if let Some(e) = g.sim.trouble() {
            return Err(Fault::new(e.to_string(), ""));
        }
        self.steps += rested.steps as i64;
        let left = rested.torques[0];
        match how {
            Rest::Relax { threshold: Some(threshold) } if left > threshold => self.warn(format!(
                "relaxation ended at a torque of {left:.2e} T, which falls no further; RelaxTorqueThreshold is {threshold:.2e} T"
            )),
            Rest::Minimise { .. } if rested.taken[0].is_none() => {
                return Err(Fault::new("no minimum was found in a million steps", "try relax()"));
            }
            _ => {}
        }
        Ok(())
    }

    // --- moving window

    fn run_hook(&mut self, hook: Hook) -> Result<(), Fault> {
        let mesh = self.mesh()?;
        let cells = mesh.cells();
        match hook {
            Hook::CentreWall { component, region, layer } => {
                let m = self.m();
                let plane = mesh.n[0] * mesh.n[1];
                let belongs =
                    |i: &usize| self.fill[*i] > 0.0 && region.is_none_or(|r| self.regions[*i] == r) && layer.is_none_or(|l| i / plane == l);
                let (sum, count) = (0..cells).filter(belongs).fold((0.0, 0.0), |(s, n), i| (s + m[component * cells + i], n + 1.0));
                let mean = if count > 0.0 { sum / count } else { 0.0 };
                if mean.abs() < 4.0 / mesh.n[0] as f64 {
                    return Ok(());
                }
                // The domains at the two ends say which way, and what comes in.
                let end = |x: usize| -> [f64; 3] {
                    let row: Vec<usize> = (0..mesh.n[1] * mesh.n[2]).map(|r| r * mesh.n[0] + x).filter(belongs).collect();
                    let sum: [f64; 3] = std::array::from_fn(|c| row.iter().map(|i| m[c * cells + i]).sum());
                    let norm = sum.iter().map(|v| v * v).sum::<f64>().sqrt();
                    if norm > 0.0 { sum.map(|v| v / norm) } else { sum }
                };
                let (left, right) = (end(0), end(mesh.n[0] - 1));
                self.settings.shift_mag[0] = domain(left, component);
                self.settings.shift_mag[1] = domain(right, component);
                let toward_right = mean * left[component] < 0.0;
                self.move_window(0, if toward_right { 1 } else { -1 })
            }
            Hook::CentreBubble => {
                let (saved, wanted) = (self.settings.shift_mag, [0.0, 0.0, -self.settings.bubble_mz]);
                self.settings.shift_mag = [wanted; 4];
                let shift = self.shift;
                let place = self.magnet()?.value(&Quantity::Named("ext_bubblepos"));
                for axis in 0..2 {
                    let off = (place[axis] + shift[axis]) / mesh.cell[axis];
                    if self.settings.centre_bubble[axis] && off.abs() > 1.0 {
                        self.move_window(axis, if off > 0.0 { -1 } else { 1 })?;
                    }
                }
                self.settings.shift_mag = saved;
                Ok(())
            }
        }
    }

    /// Moves what is in the window by cells along x or y; the window itself goes the other way.
    ///
    /// # Errors
    /// Without a mesh.
    pub fn move_window(&mut self, axis: usize, by: i64) -> Result<(), Fault> {
        let mesh = self.mesh()?;
        let (n, cells) = (mesh.n, mesh.cells());
        let old = self.m();
        let [with_m, with_geometry, with_regions] = self.settings.shifts;
        let (mut m, mut fill, mut regions) = (old.clone(), self.fill.clone(), self.regions.clone());
        self.shift[axis] += by as f64 * mesh.cell[axis];
        for i in 0..cells {
            let at = [i % n[0], i / n[0] % n[1], i / (n[0] * n[1])];
            let from = (at[axis] as i64).saturating_sub(by);
            let source = |x: i64| {
                let mut other = at;
                other[axis] = x as usize;
                mesh.index(other[0], other[1], other[2])
            };
            if (0..n[axis] as i64).contains(&from) {
                let j = source(from);
                if with_m {
                    (0..3).for_each(|c| m[c * cells + i] = old[c * cells + j]);
                }
                if with_geometry {
                    fill[i] = self.fill[j];
                }
                if with_regions {
                    regions[i] = self.regions[j];
                }
            } else {
                let edge = source(if from < 0 { 0 } else { n[axis] as i64 - 1 });
                let entering = self.settings.shift_mag[match (axis, from < 0) {
                    (0, true) => 0,
                    (0, false) => 1,
                    (_, true) => 3,
                    (_, false) => 2,
                }];
                if with_m {
                    let carry = self.settings.edge_carry || entering == [0.0; 3];
                    (0..3).for_each(|c| m[c * cells + i] = if carry { old[c * cells + edge] } else { entering[c] });
                }
                if with_geometry {
                    fill[i] = self.cell_fill(&mesh, i);
                }
                if with_regions {
                    regions[i] = self.cell_region(&mesh, i);
                }
            }
        }
        self.changed |= fill != self.fill || regions != self.regions;
        (self.fill, self.regions) = (fill, regions);
        self.note_regions();
        self.set_m(m);
        if let Some(g) = &mut self.magnet {
            g.shift = self.shift;
        }
        Ok(())
    }
}

/// The torque of the last step is no longer that of the state.
fn forget_torque(sim: &mut Simulation) {
    let c = sim.control(0);
    sim.set_control(0, Control { torque: 0.0, ..c });
}

/// A mask, and a parameter that multiplies what it adds and follows the time: graphics devices multiply once, when masks are written.
fn masks_that_move(masks: &[(P, Arc<Vec<f64>>, Source)], moved: &[(P, usize, Timed)]) -> Option<(P, P)> {
    let current = [P::J, P::FixedLayer];
    let strain = [P::Exx, P::Eyy, P::Ezz, P::Exy, P::Exz, P::Eyz];
    let factors = |p: P| -> &[P] {
        match p {
            p if current.contains(&p) => {
                &[P::Msat, P::J, P::FixedLayer, P::Pol, P::Xi, P::Lambda, P::EpsilonPrime, P::FreeLayerThickness, P::ThetaSh, P::BetaFl]
            }
            p if strain.contains(&p) => &[P::Msat, P::B1, P::B2],
            P::Ez => &[P::Msat, P::XiVcma],
            _ => &[],
        }
    };
    masks.iter().find_map(|(p, ..)| moved.iter().find(|(q, ..)| q != p && factors(*p).contains(q)).map(|(q, ..)| (*p, *q)))
}

/// What makes a vector one of length 1, or none where there is no magnet.
fn unit_scale(fill: f64, v: [f64; 3]) -> f64 {
    let norm = v.iter().map(|c| c * c).sum::<f64>().sqrt();
    if fill > 0.0 && norm > 0.0 { 1.0 / norm } else { 0.0 }
}

/// A parameter's function at a time.
fn moving(p: P, f: &Timed, t: f64) -> [f64; 3] {
    if p.info().components == 3 { f.vector(t) } else { [f.number(t), 0.0, 0.0] }
}

/// The direction along one component that a vector is closest to, or the vector itself where that component is not its largest.
fn domain(v: [f64; 3], component: usize) -> [f64; 3] {
    let mut d = [0.0; 3];
    d[component] = v[component].signum();
    if v[component] == 0.0 { v } else { d }
}
