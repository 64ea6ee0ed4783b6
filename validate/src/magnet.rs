//! What problems are built from: a magnet in a few words, and the usual questions to it.

use crate::trial::Trial;
use spinloom_kernels::material::Coupling;
use spinloom_kernels::terms::demag::tensor::DemagKernel;
use spinloom_kernels::{DeviceError, Material, Mesh, ParameterId as P, RegionMap, System, Term, Values};
use spinloom_solver::{DemagEvery, Simulation, Step, Tableau, tableau};

/// A magnet to be simulated: one material on a box of cells, until told otherwise.
pub struct Magnet {
    system: System,
    demag: bool,
    tableau: &'static Tableau,
    step: Step,
    every: DemagEvery,
    m: Vec<f64>,
}

impl Magnet {
    /// A box of this many cells of this size (m) with these scalar parameters.
    pub fn new(n: [usize; 3], cell: [f64; 3], values: &[(P, f64)]) -> Self {
        let mut v = Values::default();
        values.iter().for_each(|(p, x)| v.set_scalar(*p, *x));
        let mesh = Mesh::new(n, cell);
        let cells = mesh.cells();
        Self {
            system: System::new(mesh, RegionMap::uniform(cells), Material::uniform(v, 1)),
            demag: true,
            tableau: &tableau::RKF45,
            step: Step::Adaptive { max_err: 1e-6 },
            every: DemagEvery::Evaluation,
            m: vec![0.0; 3 * cells],
        }
    }

    fn material(&mut self) -> &mut Material {
        &mut self.system.replicas[0].material
    }

    /// With a vector parameter.
    pub fn vector(mut self, parameter: P, value: [f64; 3]) -> Self {
        self.material().set_everywhere(parameter, value);
        self
    }

    /// Periodic: so many images to each side.
    pub fn periodic(mut self, images: [u32; 3]) -> Self {
        self.system.mesh.pbc = images;
        self
    }

    /// Only where a point (m) is inside.
    pub fn inside(mut self, inside: impl Fn([f64; 3]) -> bool) -> Self {
        for i in 0..self.system.mesh.cells() {
            if !inside(position(&self.system.mesh, i)) {
                self.system.regions.cells[i] = RegionMap::VACUUM;
            }
        }
        self
    }

    /// One more region, with the first one's parameters but for these, where a point (m) is inside.
    pub fn region(mut self, values: &[(P, f64)], inside: impl Fn([f64; 3]) -> bool) -> Self {
        let number = self.system.regions.count as u16;
        let mut v = self.material().regions[0].clone();
        values.iter().for_each(|(p, x)| v.set_scalar(*p, *x));
        self.material().regions.push(v);
        self.system.regions.count += 1;
        for i in 0..self.system.mesh.cells() {
            if self.system.regions.cells[i] != RegionMap::VACUUM && inside(position(&self.system.mesh, i)) {
                self.system.regions.cells[i] = number;
            }
        }
        self
    }

    /// With a coupling across a spacer.
    pub fn couple(mut self, coupling: Coupling) -> Self {
        self.material().couplings.push(coupling);
        self
    }

    /// Without its own stray field.
    pub fn without_demag(mut self) -> Self {
        self.demag = false;
        self
    }

    /// With mumax3's demagnetising tensor, which comes from surface charges in points: for comparison with what mumax3 computed.
    pub fn sampled_demag(mut self) -> Self {
        self.system.demag = DemagKernel::Sampled { accuracy: 6.0 };
        self
    }

    /// With anything else changed.
    pub fn edit(mut self, change: impl FnOnce(&mut System)) -> Self {
        change(&mut self.system);
        self
    }

    /// Moved by this method, |Δm| of a step at most `max_err`.
    pub fn adaptive(mut self, tableau: &'static Tableau, max_err: f64) -> Self {
        (self.tableau, self.step) = (tableau, Step::Adaptive { max_err });
        self
    }

    /// Moved by this method in equal steps (s).
    pub fn fixed(mut self, tableau: &'static Tableau, dt: f64) -> Self {
        (self.tableau, self.step) = (tableau, Step::Fixed(dt));
        self
    }

    /// Its demagnetising field computed this often.
    pub fn every(mut self, every: DemagEvery) -> Self {
        self.every = every;
        self
    }

    /// Magnetised like this function of a point (m); normalised later.
    pub fn m(mut self, f: impl Fn([f64; 3]) -> [f64; 3]) -> Self {
        self.m = state(&self.system, f);
        self
    }

    /// Realised on the trial's device.
    pub fn on(mut self, t: &Trial) -> Result<Simulation, DeviceError> {
        self.system.terms = self.system.terms_in_use();
        if !self.demag {
            self.system.terms.retain(|term| *term != Term::Demag);
        }
        let step = match self.step {
            // An estimate below the roundings of a rate says nothing.
            Step::Adaptive { max_err } if t.single() => Step::Adaptive { max_err: max_err.max(1e-6) },
            step => step,
        };
        let mut sim = Simulation::with_demag_every(self.system, t.setting.device, self.tableau, step, self.every)?;
        sim.set_m(0, &self.m);
        Ok(sim)
    }
}

/// Centre of cell number `i` (m).
pub fn position(mesh: &Mesh, i: usize) -> [f64; 3] {
    let [nx, ny, _] = mesh.n;
    mesh.position(i % nx, i / nx % ny, i / (nx * ny))
}

/// m, as [`Simulation::set_m`] takes it, from a function of a point (m).
pub fn state(system: &System, f: impl Fn([f64; 3]) -> [f64; 3]) -> Vec<f64> {
    let cells = system.mesh.cells();
    let mut m = vec![0.0; 3 * cells];
    for i in (0..cells).filter(|i| system.regions.cells[*i] != RegionMap::VACUUM) {
        let v = f(position(&system.mesh, i));
        (0..3).for_each(|c| m[c * cells + i] = v[c]);
    }
    m
}

/// Sets a parameter everywhere while time goes on.
pub fn set(sim: &mut Simulation, parameter: P, value: [f64; 3]) {
    sim.system.replicas[0].material.set_everywhere(parameter, value);
    sim.apply(0);
}

/// A field's average over the magnet.
pub fn average(sim: &Simulation, field: &[f64]) -> [f64; 3] {
    let cells = field.len() / 3;
    let magnet: Vec<usize> = (0..cells).filter(|i| sim.system.regions.cells[*i] != RegionMap::VACUUM).collect();
    std::array::from_fn(|c| magnet.iter().map(|i| field[c * cells + i]).sum::<f64>() / magnet.len() as f64)
}

/// The magnetisation's average over the magnet.
pub fn mean(sim: &Simulation) -> [f64; 3] {
    average(sim, &sim.m(0))
}

/// <m> at each of these times (s).
pub fn follow(sim: &mut Simulation, times: &[f64]) -> Vec<[f64; 3]> {
    times.iter().map(|t| (sim.run_all_to(*t), mean(sim)).1).collect()
}

/// The largest distance of each component.
pub fn largest_distance(ours: &[[f64; 3]], theirs: &[[f64; 3]]) -> [f64; 3] {
    std::array::from_fn(|c| ours.iter().zip(theirs).map(|(a, b)| (a[c] - b[c]).abs()).fold(0.0, f64::max))
}

/// Finds the nearest minimum of the energy: by descent, and in `f32`, where its last steps drown in roundings, by damping.
pub fn settle(sim: &mut Simulation, t: &Trial) {
    if t.single() {
        sim.minimise(1e-5, 2000);
        sim.relax();
    } else {
        sim.minimise(1e-7, 200_000);
    }
}

/// Where a curve first passes zero, by straight lines between its points; not-a-number if nowhere.
pub fn zero(x: &[f64], y: &[f64]) -> f64 {
    (1..x.len())
        .find(|&i| y[i - 1] * y[i] <= 0.0 && y[i - 1] != y[i])
        .map_or(f64::NAN, |i| x[i - 1] + (x[i] - x[i - 1]) * y[i - 1] / (y[i - 1] - y[i]))
}

/// The rows of a reference table; lines with `#` and the heading are skipped, text columns become not-a-number.
pub fn table(text: &str) -> Vec<Vec<f64>> {
    text.lines()
        .filter(|l| !l.starts_with('#') && !l.trim().is_empty())
        .skip(1)
        .map(|l| l.split(',').map(|c| c.trim().parse().unwrap_or(f64::NAN)).collect())
        .collect()
}

/// A column of a table.
pub fn column(rows: &[Vec<f64>], k: usize) -> Vec<f64> {
    rows.iter().map(|r| r[k]).collect()
}

/// Three columns of a table, from this one on.
pub fn vectors(rows: &[Vec<f64>], k: usize) -> Vec<[f64; 3]> {
    rows.iter().map(|r| [r[k], r[k + 1], r[k + 2]]).collect()
}
