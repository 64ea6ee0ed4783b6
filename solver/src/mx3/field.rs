//! Quantities of a script and how they are computed: every named one, and the algebra over them.

use super::shape::Shape;
use crate::readout::{self, solid_angle};
use crate::simulation::Simulation;
use num_complex::Complex;
use rayon::prelude::*;
use spinloom_base::constants::MU0;
use spinloom_kernels::real::{cross, dot};
use spinloom_kernels::{Mesh, ParameterId as P, RegionMap, Term, Values};
use std::f64::consts::PI;
use std::sync::{Arc, Mutex};

/// Values over the cells of a mesh or of a part of it, `[component][z][y][x]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// Number of components.
    pub components: usize,
    /// Cells along x, y, z.
    pub n: [usize; 3],
    /// The values.
    pub data: Vec<f64>,
}

impl Field {
    /// Zeros.
    pub fn zeros(components: usize, n: [usize; 3]) -> Self {
        Self { components, n, data: vec![0.0; components * n.iter().product::<usize>()] }
    }

    /// From a function of component and cell.
    pub fn of(components: usize, n: [usize; 3], f: impl Fn(usize, usize) -> f64) -> Self {
        let cells: usize = n.iter().product();
        Self { components, n, data: (0..components * cells).map(|i| f(i / cells, i % cells)).collect() }
    }

    /// Number of cells.
    pub fn cells(&self) -> usize {
        self.n.iter().product()
    }

    /// One value.
    pub fn at(&self, component: usize, cell: usize) -> f64 {
        self.data[component * self.cells() + cell]
    }

    /// The vector of a cell.
    pub fn vector(&self, cell: usize) -> [f64; 3] {
        std::array::from_fn(|c| self.at(c, cell))
    }

    /// The index of a cell, if it is there.
    pub fn index(&self, i: [i64; 3]) -> Option<usize> {
        let inside = (0..3).all(|a| i[a] >= 0 && (i[a] as usize) < self.n[a]);
        inside.then(|| (i[2] as usize * self.n[1] + i[1] as usize) * self.n[0] + i[0] as usize)
    }

    /// One component.
    pub fn component(&self, c: usize) -> Self {
        let cells = self.cells();
        Self { components: 1, n: self.n, data: self.data[c * cells..(c + 1) * cells].to_vec() }
    }

    /// Averages of the components over all cells.
    pub fn average(&self) -> Vec<f64> {
        let cells = self.cells();
        self.data.chunks(cells).map(|c| c.iter().sum::<f64>() / cells as f64).collect()
    }
}

/// What a running average has seen: the integral over time, where it began, where it last was.
#[derive(Debug, Default)]
pub struct Average {
    /// ∫ q dt since `start`.
    pub integral: Vec<f64>,
    /// The last value.
    pub last: Option<Field>,
    /// When it began (s).
    pub start: f64,
    /// When it last was brought up to date (s).
    pub until: f64,
}

/// A quantity.
#[derive(Clone, Debug)]
pub enum Quantity {
    /// One of [`QUANTITIES`], or a parameter.
    Named(&'static str),
    /// One component.
    Comp(Arc<Quantity>, usize),
    /// Zero outside a region.
    Region(Arc<Quantity>, u16),
    /// A box of cells, from and up to, per axis.
    Crop(Arc<Quantity>, [[usize; 2]; 3]),
    /// c1 a + c2 b.
    Madd(Arc<Quantity>, Arc<Quantity>, f64, f64),
    /// Pointwise.
    Mul(Arc<Quantity>, Arc<Quantity>),
    /// Pointwise; x/0 = 0.
    Div(Arc<Quantity>, Arc<Quantity>),
    /// a·b.
    Dot(Arc<Quantity>, Arc<Quantity>),
    /// a × b.
    Cross(Arc<Quantity>, Arc<Quantity>),
    /// Three rows of a matrix on a vector.
    MulMv([Arc<Quantity>; 3], Arc<Quantity>),
    /// The same everywhere.
    Const(Vec<f64>),
    /// Moved by cells, with zeros behind.
    Shifted(Arc<Quantity>, [i64; 3]),
    /// Zero outside a shape.
    Masked(Arc<Quantity>, Shape),
    /// Unit vectors.
    Normalized(Arc<Quantity>),
    /// Average over time.
    RunningAverage(Arc<Quantity>, Arc<Mutex<Average>>),
}

/// What a named quantity is.
#[derive(Clone, Copy, Debug)]
pub struct Named {
    /// As in scripts.
    pub name: &'static str,
    /// Components.
    pub components: usize,
    /// SI unit.
    pub unit: &'static str,
    /// Whether it has a value in every cell.
    pub space: bool,
    /// One line.
    pub about: &'static str,
}

const fn field(name: &'static str, components: usize, unit: &'static str, about: &'static str) -> Named {
    Named { name, components, unit, space: true, about }
}

const fn value(name: &'static str, components: usize, unit: &'static str, about: &'static str) -> Named {
    Named { name, components, unit, space: false, about }
}

/// The quantities that scripts know by name, besides parameters.
pub const QUANTITIES: &[Named] = &[
    field("m", 3, "", "Reduced magnetisation"),
    field("geom", 1, "", "How much of each cell is magnet"),
    field("regions", 1, "", "Region numbers"),
    field("m_full", 3, "A/m", "Magnetisation, Msat times m"),
    field("B_eff", 3, "T", "Effective field"),
    field("B_exch", 3, "T", "Exchange and DMI field"),
    field("B_demag", 3, "T", "Demagnetising field"),
    field("B_anis", 3, "T", "Anisotropy field"),
    field("B_mel", 3, "T", "Magneto-elastic field"),
    field("B_therm", 3, "T", "Thermal field"),
    field("B_custom", 3, "T", "The user's field terms"),
    field("F_mel", 3, "N/m3", "Magneto-elastic force density, for uniform B1 and B2"),
    field("torque", 3, "T", "Total torque over gamma"),
    field("LLtorque", 3, "T", "Landau-Lifshitz torque over gamma"),
    field("STTorque", 3, "T", "Spin-transfer torque over gamma"),
    field("Edens_total", 1, "J/m3", "Energy density"),
    field("Edens_exch", 1, "J/m3", "Exchange and DMI energy density"),
    field("Edens_demag", 1, "J/m3", "Demagnetising energy density"),
    field("Edens_anis", 1, "J/m3", "Anisotropy energy density"),
    field("Edens_Zeeman", 1, "J/m3", "Zeeman energy density"),
    field("Edens_therm", 1, "J/m3", "Energy density in the thermal field"),
    field("Edens_mel", 1, "J/m3", "Magneto-elastic energy density"),
    field("Edens_custom", 1, "J/m3", "The user's energy terms"),
    field("ExchCoupling", 1, "arb.", "Mean exchange stiffness to the neighbours"),
    field("DindCoupling", 1, "arb.", "Mean interfacial DMI to the neighbours"),
    field("spinAngle", 1, "rad", "Largest angle to a coupled neighbour"),
    field("MFM", 1, "arb.", "Magnetic-force image"),
    field("ext_phi", 1, "rad", "Azimuth of m"),
    field("ext_theta", 1, "rad", "Polar angle of m"),
    field("ext_topologicalchargedensity", 1, "1/m2", "Topological charge density, fourth-order differences"),
    field("ext_topologicalchargedensitylattice", 1, "1/m2", "Topological charge density by solid angles (Berg and Luescher)"),
    field("ext_hopfindexdensity_twopointstencil", 1, "1/m3", "Hopf index density, two-point differences"),
    field("ext_hopfindexdensity_fivepointstencil", 1, "1/m3", "Hopf index density, five-point differences"),
    field("ext_hopfindexdensity_solidangle", 1, "1/m3", "Hopf index density by solid angles"),
    field("ext_emergentmagneticfield_twopointstencil", 3, "1/m2", "Emergent magnetic field, two-point differences"),
    field("ext_emergentmagneticfield_fivepointstencil", 3, "1/m2", "Emergent magnetic field, five-point differences"),
    field("ext_emergentmagneticfield_solidangle", 3, "1/m2", "Emergent magnetic field by solid angles"),
    value("t", 1, "s", "Time"),
    value("E_total", 1, "J", "Energy"),
    value("E_exch", 1, "J", "Exchange and DMI energy"),
    value("E_demag", 1, "J", "Demagnetising energy"),
    value("E_anis", 1, "J", "Anisotropy energy"),
    value("E_Zeeman", 1, "J", "Zeeman energy"),
    value("E_therm", 1, "J", "Energy in the thermal field"),
    value("E_mel", 1, "J", "Magneto-elastic energy"),
    value("E_custom", 1, "J", "The user's energy terms"),
    value("maxTorque", 1, "T", "Largest torque over gamma"),
    value("MaxAngle", 1, "rad", "Largest angle between neighbours"),
    value("dt", 1, "s", "Time step"),
    value("LastErr", 1, "", "Error of the last step"),
    value("PeakErr", 1, "", "Largest error of any step"),
    value("NEval", 1, "", "Evaluations of the torque"),
    value("ext_corepos", 3, "m", "Place of a vortex core; its polarity in z"),
    value("ext_bubblepos", 3, "m", "Centre of a bubble"),
    value("ext_bubbledist", 1, "m", "Way of a bubble"),
    value("ext_bubblespeed", 1, "m/s", "Speed of a bubble"),
    value("ext_dwpos", 1, "m", "Place of the moving window"),
    value("ext_dwxpos", 1, "m", "Place of a wall from the window's and mx"),
    value("ext_dwspeed", 1, "m/s", "Speed of the moving window"),
    value("ext_dwtilt", 1, "rad", "Tilt of a wall"),
    value("ext_topologicalcharge", 1, "", "Topological charge"),
    value("ext_topologicalchargelattice", 1, "", "Topological charge by solid angles"),
    value("ext_hopfindex_twopointstencil", 1, "", "Hopf index, two-point differences"),
    value("ext_hopfindex_fivepointstencil", 1, "", "Hopf index, five-point differences"),
    value("ext_hopfindex_solidangle", 1, "", "Hopf index by solid angles"),
    value("ext_hopfindex_solidanglefourier", 1, "", "Hopf index by solid angles and Fourier transform"),
];

/// The entry of a quantity, whatever the case of its letters.
pub fn named(name: &str) -> Option<&'static Named> {
    QUANTITIES.iter().find(|q| q.name.eq_ignore_ascii_case(name))
}

impl Quantity {
    /// Its name in files and tables.
    pub fn name(&self) -> String {
        match self {
            Self::Named(name) => (*name).to_string(),
            Self::Comp(q, c) => format!("{}_{}", q.name(), ["x", "y", "z"].get(*c).unwrap_or(&"?")),
            Self::Region(q, r) => format!("{}.region{r}", q.name()),
            Self::Crop(q, r) => {
                let range = |axis: usize| format!("{}range{}-{}_", ["x", "y", "z"][axis], r[axis][0], r[axis][1]);
                format!("{}_{}", q.name(), (0..3).filter(|a| r[*a] != [0, usize::MAX]).map(range).collect::<String>())
            }
            Self::Madd(a, b, ..) => format!("{}+{}", a.name(), b.name()),
            Self::Mul(a, b) => format!("{}*{}", a.name(), b.name()),
            Self::Div(a, b) => format!("{}_over_{}", a.name(), b.name()),
            Self::Dot(a, b) => format!("{}.{}", a.name(), b.name()),
            Self::Cross(a, b) => format!("{}x{}", a.name(), b.name()),
            Self::MulMv(_, b) => format!("matrix*{}", b.name()),
            Self::Const(_) => "const".into(),
            Self::Shifted(q, _) => format!("{}_shifted", q.name()),
            Self::Masked(q, _) => format!("{}_masked", q.name()),
            Self::Normalized(q) => format!("{}_normalized", q.name()),
            Self::RunningAverage(q, _) => format!("{}_avg", q.name()),
        }
    }

    /// Its unit.
    pub fn unit(&self) -> String {
        match self {
            Self::Named(name) => {
                let unit = named(name).map(|q| q.unit).or_else(|| parameter(name).map(|p| p.info().unit)).unwrap_or("");
                if unit == "1" { String::new() } else { unit.replace('^', "") }
            }
            Self::Comp(q, _)
            | Self::Region(q, _)
            | Self::Crop(q, _)
            | Self::Shifted(q, _)
            | Self::Masked(q, _)
            | Self::RunningAverage(q, _) => q.unit(),
            Self::Madd(a, ..) => a.unit(),
            _ => String::new(),
        }
    }

    /// Components.
    pub fn components(&self) -> usize {
        match self {
            Self::Named(name) => named(name).map(|q| q.components).or_else(|| parameter(name).map(|p| p.info().components)).unwrap_or(1),
            Self::Comp(..) | Self::Dot(..) => 1,
            Self::Cross(..) | Self::MulMv(..) => 3,
            Self::Const(v) => v.len(),
            Self::Mul(a, b) => a.components().max(b.components()),
            Self::Region(q, _)
            | Self::Crop(q, _)
            | Self::Shifted(q, _)
            | Self::Masked(q, _)
            | Self::Normalized(q)
            | Self::RunningAverage(q, _) => q.components(),
            Self::Madd(a, ..) | Self::Div(a, _) => a.components(),
        }
    }

    /// Over how many cells it goes on a mesh of `n`.
    ///
    /// # Errors
    /// Where parts do not fit together, in words.
    pub fn extent(&self, n: [usize; 3]) -> Result<[usize; 3], String> {
        // Over the same cells, and with components that one operation can take together.
        let fit = |a: &Quantity, b: &Quantity, fit: fn(usize, usize) -> bool, wants: &str| {
            let ((x, y), (k, l)) = ((a.extent(n)?, b.extent(n)?), (a.components(), b.components()));
            if x != y {
                return Err(format!("{} has {x:?} cells and {} has {y:?}", a.name(), b.name()));
            }
            if fit(k, l) { Ok(x) } else { Err(format!("{} has {k} component(s) and {} has {l}: {wants}", a.name(), b.name())) }
        };
        let three: fn(usize, usize) -> bool = |k, l| k == 3 && l == 3;
        let equal: fn(usize, usize) -> bool = |k, l| k == l;
        match self {
            Self::Named(_) | Self::Const(_) => Ok(n),
            Self::Comp(q, _) | Self::Shifted(q, _) | Self::Normalized(q) | Self::RunningAverage(q, _) => q.extent(n),
            Self::Region(q, _) | Self::Masked(q, _) => match q.extent(n)? {
                whole if whole == n => Ok(n),
                _ => Err(format!("{} is only a part of the mesh: take the region or shape first, then crop", q.name())),
            },
            Self::Crop(q, range) => {
                let whole = q.extent(n)?;
                let part: [usize; 3] = std::array::from_fn(|a| range[a][1].min(whole[a]).saturating_sub(range[a][0]));
                let beyond = (0..3).any(|a| range[a][1] != usize::MAX && range[a][1] > whole[a]);
                if beyond || part.contains(&0) { Err(format!("{} goes beyond the mesh of {whole:?} cells", self.name())) } else { Ok(part) }
            }
            Self::Madd(a, b, ..) => fit(a, b, equal, "a sum takes as many on both sides"),
            Self::Dot(a, b) => fit(a, b, equal, "a scalar product takes as many on both sides"),
            Self::Mul(a, b) => fit(a, b, |k, l| k == l || k == 1 || l == 1, "a product takes as many on both sides, or one"),
            Self::Div(a, b) => fit(a, b, |k, l| k == l || l == 1, "a quotient takes as many on both sides, or one below"),
            Self::Cross(a, b) => fit(a, b, three, "a vector product takes two vectors"),
            Self::MulMv(rows, b) => rows.iter().try_fold(b.extent(n)?, |_, r| fit(r, b, three, "a matrix takes three rows and a vector")),
        }
    }

    /// Whether one of these named quantities is in it.
    pub fn mentions(&self, names: &[&str]) -> bool {
        match self {
            Self::Named(name) => names.contains(name),
            Self::Const(_) => false,
            Self::Comp(q, _)
            | Self::Region(q, _)
            | Self::Crop(q, _)
            | Self::Shifted(q, _)
            | Self::Masked(q, _)
            | Self::Normalized(q)
            | Self::RunningAverage(q, _) => q.mentions(names),
            Self::Madd(a, b, ..) | Self::Mul(a, b) | Self::Div(a, b) | Self::Dot(a, b) | Self::Cross(a, b) => {
                a.mentions(names) || b.mentions(names)
            }
            Self::MulMv(rows, b) => rows.iter().chain([b]).any(|q| q.mentions(names)),
        }
    }

    /// Whether it has a value in every cell.
    pub fn space(&self) -> bool {
        match self {
            Self::Named(name) => named(name).is_none_or(|q| q.space),
            _ => true,
        }
    }
}

/// The parameter that scripts call by this name.
pub fn parameter(name: &str) -> Option<P> {
    spinloom_kernels::PARAMETERS.iter().find(|p| p.name.eq_ignore_ascii_case(name)).and_then(|p| P::by_name(p.name))
}

/// A simulation with what quantities need besides it.
pub struct Magnet {
    /// The simulation; one replica.
    pub sim: Simulation,
    /// Region of every cell, whether or not there is magnet.
    pub numbers: Vec<u16>,
    /// Way of the window (m).
    pub shift: [f64; 2],
    /// Lift and tip length of the MFM image (m).
    pub mfm: [f64; 2],
    /// The user's energy densities.
    pub energies: Vec<Quantity>,
    /// Direction of a bubble's mz; how far in the plane m may lie and still count as perfectly out of it.
    pub bubble: (f64, f64),
    /// Largest error of any step.
    pub peak_error: f64,
    /// Place (m) and time (s) of the window, and of the bubble, when their speed was last asked for, the speed then, and the bubble's way.
    pub tracks: [Track; 2],
    /// Whether the torque is damping alone.
    pub damping_only: bool,
}

/// See [`Magnet::tracks`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Track {
    place: [f64; 2],
    time: f64,
    speed: f64,
    way: f64,
    begun: bool,
}

impl Track {
    /// As numbers, for a checkpoint.
    pub fn numbers(&self) -> [f64; 6] {
        [self.place[0], self.place[1], self.time, self.speed, self.way, f64::from(u8::from(self.begun))]
    }

    /// Back from them.
    pub fn from_numbers(n: &[f64]) -> Self {
        Self { place: [n[0], n[1]], time: n[2], speed: n[3], way: n[4], begun: n[5] != 0.0 }
    }
}

/// The group of terms behind `B_x`, `E_x`, `Edens_x` of scripts.
fn group(name: &str) -> &str {
    if name == "Zeeman" { "ext" } else { name }
}

impl Magnet {
    /// Its mesh.
    pub fn mesh(&self) -> Mesh {
        self.sim.system.mesh
    }

    /// Its regions and geometry.
    pub fn regions(&self) -> &RegionMap {
        self.sim.system.regions_of(0)
    }

    /// Time (s).
    pub fn time(&self) -> f64 {
        self.sim.outside(0).t
    }

    fn values(&self) -> Vec<Values> {
        self.sim.system.replicas[0].material.at(self.time()).0
    }

    fn blank(&self, components: usize) -> Field {
        Field::zeros(components, self.mesh().n)
    }

    /// m.
    pub fn m(&self) -> Field {
        Field { components: 3, n: self.mesh().n, data: self.sim.m(0) }
    }

    /// Msat times fill of every cell (A/m).
    fn moments(&self) -> Vec<f64> {
        let (values, map) = (self.values(), self.regions());
        (0..map.cells.len()).map(|i| values.get(usize::from(map.cells[i])).map_or(0.0, |v| v.scalar(P::Msat)) * map.filled(i)).collect()
    }

    /// How much of every cell is magnet.
    fn geometry(&self) -> Field {
        Field::of(1, self.mesh().n, |_, i| self.regions().filled(i))
    }

    fn terms(&self, of: impl Fn(&Term) -> bool) -> Vec<Term> {
        self.sim.system.terms.iter().copied().filter(of).collect()
    }

    /// The field (T) of some terms. Stray and applied field go on where there is no magnet.
    fn b(&mut self, terms: &[Term]) -> Field {
        let n = self.mesh().n;
        let active: Vec<Term> = self.terms(|t| terms.contains(t));
        if active.is_empty() {
            return Field::zeros(3, n);
        }
        let mut b = Field { components: 3, n, data: self.sim.field(0, &active) };
        let cells = b.cells();
        let empty: Vec<usize> = (0..cells).filter(|i| self.regions().cells[*i] == RegionMap::VACUUM).collect();
        if empty.is_empty() {
            return b;
        }
        if active.contains(&Term::Demag) {
            let stray = self.sim.stray_field(0);
            empty.iter().for_each(|i| (0..3).for_each(|c| b.data[c * cells + i] += stray[c * cells + i]));
        }
        if active.contains(&Term::Zeeman) {
            let applied = self.parameter_field(P::BExt);
            empty.iter().for_each(|i| (0..3).for_each(|c| b.data[c * cells + i] += applied.data[c * cells + i]));
        }
        b
    }

    fn group_field(&mut self, name: &str) -> Field {
        let terms = self.terms(|t| t.info().group == group(name));
        self.b(&terms)
    }

    /// The energy density of a group (J/m³).
    fn density(&mut self, name: &str) -> Field {
        let mut sum = self.blank(1);
        if name == "custom" {
            for q in self.energies.clone() {
                let e = self.field(&q);
                sum.data.iter_mut().zip(&e.data).for_each(|(s, e)| *s += e);
            }
            return sum;
        }
        let (m, moments) = (self.m(), self.moments());
        for term in self.terms(|t| t.info().group == group(name)) {
            let Some(degree) = term.info().degree else { continue };
            let b = self.b(&[term]);
            for i in 0..moments.len() {
                sum.data[i] -= moments[i] / degree * dot(m.vector(i), b.vector(i));
            }
        }
        sum
    }

    /// Turns a field into a torque over γ.
    fn torque_of(&self, b: &Field, damping_only: bool) -> Field {
        let (m, values, map) = (self.m(), self.values(), self.regions());
        let mut torque = self.blank(3);
        let cells = b.cells();
        for i in 0..cells {
            let Some(v) = values.get(usize::from(map.cells[i])).filter(|v| v.scalar(P::FrozenSpins) == 0.0) else { continue };
            let m = m.vector(i);
            let mb = cross(m, b.vector(i));
            let mmb = cross(m, mb);
            let a = v.scalar(P::Alpha);
            for c in 0..3 {
                torque.data[c * cells + i] = if damping_only { -mmb[c] } else { -(mb[c] + a * mmb[c]) / (1.0 + a * a) };
            }
        }
        torque
    }

    /// A quantity over the cells.
    pub fn field(&mut self, q: &Quantity) -> Field {
        match q {
            Quantity::Named(name) => self.named_field(name),
            Quantity::Comp(q, c) => self.field(q).component(*c),
            Quantity::Region(q, r) => {
                let mut f = self.field(q);
                let cells = f.cells();
                for (i, own) in self.numbers.iter().enumerate() {
                    if own != r {
                        (0..f.components).for_each(|c| f.data[c * cells + i] = 0.0);
                    }
                }
                f
            }
            Quantity::Crop(q, range) => {
                let f = self.field(q);
                let r: [[usize; 2]; 3] = std::array::from_fn(|a| [range[a][0].min(f.n[a]), range[a][1].min(f.n[a])]);
                let n = r.map(|r| r[1] - r[0]);
                Field::of(f.components, n, |c, i| {
                    let at = [i % n[0] + r[0][0], i / n[0] % n[1] + r[1][0], i / (n[0] * n[1]) + r[2][0]];
                    f.at(c, (at[2] * f.n[1] + at[1]) * f.n[0] + at[0])
                })
            }
            Quantity::Madd(a, b, s, t) => {
                let (a, b) = (self.field(a), self.field(b));
                Field::of(a.components, a.n, |c, i| s * a.at(c, i) + t * b.at(c.min(b.components - 1), i))
            }
            Quantity::Mul(a, b) => {
                let (a, b) = (self.field(a), self.field(b));
                Field::of(a.components.max(b.components), a.n, |c, i| a.at(c.min(a.components - 1), i) * b.at(c.min(b.components - 1), i))
            }
            Quantity::Div(a, b) => {
                let (a, b) = (self.field(a), self.field(b));
                Field::of(a.components, a.n, |c, i| match b.at(c.min(b.components - 1), i) {
                    0.0 => 0.0,
                    d => a.at(c, i) / d,
                })
            }
            Quantity::Dot(a, b) => {
                let (a, b) = (self.field(a), self.field(b));
                Field::of(1, a.n, |_, i| (0..a.components.min(b.components)).map(|c| a.at(c, i) * b.at(c, i)).sum())
            }
            Quantity::Cross(a, b) => {
                let (a, b) = (self.field(a), self.field(b));
                Field::of(3, a.n, |c, i| cross(a.vector(i), b.vector(i))[c])
            }
            Quantity::MulMv(rows, b) => {
                let (rows, b) = ([0, 1, 2].map(|r| self.field(&rows[r])), self.field(b));
                Field::of(3, b.n, |c, i| dot(rows[c].vector(i), b.vector(i)))
            }
            Quantity::Const(v) => Field::of(v.len(), self.mesh().n, |c, _| v[c]),
            Quantity::Shifted(q, d) => {
                let f = self.field(q);
                Field::of(f.components, f.n, |c, i| {
                    let at = [i % f.n[0], i / f.n[0] % f.n[1], i / (f.n[0] * f.n[1])];
                    f.index(std::array::from_fn(|a| (at[a] as i64).saturating_sub(d[a]))).map_or(0.0, |j| f.at(c, j))
                })
            }
            Quantity::Masked(q, shape) => {
                let f = self.field(q);
                let (mesh, shift) = (self.mesh(), self.shift);
                Field::of(f.components, f.n, |c, i| if shape.contains(position(&mesh, shift, i)) { f.at(c, i) } else { 0.0 })
            }
            Quantity::Normalized(q) => {
                let f = self.field(q);
                Field::of(f.components, f.n, |c, i| {
                    let norm = (0..f.components).map(|c| f.at(c, i).powi(2)).sum::<f64>().sqrt();
                    if norm > 0.0 { f.at(c, i) / norm } else { 0.0 }
                })
            }
            Quantity::RunningAverage(q, average) => {
                self.follow(q, average);
                let a = average.lock().unwrap_or_else(|e| e.into_inner());
                let last = a.last.clone().expect("it has just been followed");
                let span = a.until - a.start;
                if span > 0.0 { Field { data: a.integral.iter().map(|v| v / span).collect(), ..last } } else { last }
            }
        }
    }

    /// Brings a running average up to date.
    pub fn follow(&mut self, q: &Quantity, average: &Mutex<Average>) {
        let (now, f) = (self.time(), self.field(q));
        let mut a = average.lock().unwrap_or_else(|e| e.into_inner());
        match a.last.take() {
            Some(last) if now > a.until && last.data.len() == f.data.len() => {
                let half = 0.5 * (now - a.until);
                let parts = last.data.iter().zip(&f.data).map(|(x, y)| half * (x + y));
                a.integral.iter_mut().zip(parts).for_each(|(s, p)| *s += p);
            }
            Some(_) if a.integral.len() == f.data.len() => {}
            _ => (a.integral, a.start) = (vec![0.0; f.data.len()], now),
        }
        a.until = now;
        a.last = Some(f);
    }

    fn named_field(&mut self, name: &str) -> Field {
        let mesh = self.mesh();
        if let Some(p) = parameter(name) {
            return self.parameter_field(p);
        }
        if let Some(q) = named(name).filter(|q| !q.space) {
            let v = self.value(&Quantity::Named(q.name));
            return Field::of(v.len(), mesh.n, |c, _| v[c]);
        }
        match name {
            "m" => self.m(),
            "geom" => self.geometry(),
            "regions" => Field::of(1, mesh.n, |_, i| match self.regions().cells[i] {
                RegionMap::VACUUM => 0.0,
                r => f64::from(r),
            }),
            "m_full" => {
                let (m, moments) = (self.m(), self.moments());
                Field::of(3, mesh.n, |c, i| moments[i] * m.at(c, i))
            }
            "B_eff" => {
                let terms = self.terms(|t| t.has_energy());
                self.b(&terms)
            }
            "LLtorque" => {
                let terms = self.terms(|t| t.has_energy());
                let b = self.b(&terms);
                self.torque_of(&b, self.damping_only)
            }
            "STTorque" => {
                let terms = self.terms(|t| !t.has_energy());
                let b = self.b(&terms);
                self.torque_of(&b, self.damping_only)
            }
            "torque" => {
                let (a, b) = (self.named_field("LLtorque"), self.named_field("STTorque"));
                Field::of(3, mesh.n, |c, i| a.at(c, i) + b.at(c, i))
            }
            "Edens_total" => {
                let mut sum = self.blank(1);
                for name in ["exch", "demag", "anis", "Zeeman", "therm", "mel", "custom"] {
                    let e = self.density(name);
                    sum.data.iter_mut().zip(&e.data).for_each(|(s, e)| *s += e);
                }
                sum
            }
            "F_mel" => self.elastic_force(),
            "ExchCoupling" => self.coupling(P::Aex),
            "DindCoupling" => self.coupling(P::Dind),
            "spinAngle" => self.angles(),
            "MFM" => {
                let (m, moments) = (self.m(), self.moments());
                let sum = mfm(&mesh, &m, &moments, self.mfm);
                Field::of(1, mesh.n, |_, i| sum[i % sum.len()])
            }
            "ext_phi" => {
                let m = self.m();
                Field::of(1, mesh.n, |_, i| m.at(1, i).atan2(m.at(0, i)))
            }
            "ext_theta" => {
                let m = self.m();
                Field::of(1, mesh.n, |_, i| m.at(2, i).clamp(-1.0, 1.0).acos())
            }
            "ext_topologicalchargedensity" => {
                let m = self.m();
                Field::of(1, mesh.n, |_, i| {
                    let (dx, dy) = (slope4(&mesh, &m, 0, i), slope4(&mesh, &m, 1, i));
                    dot(m.vector(i), cross(dx, dy)) / (4.0 * PI)
                })
            }
            "ext_topologicalchargedensitylattice" => {
                let m = self.m();
                let area = mesh.cell[0] * mesh.cell[1];
                Field::of(1, mesh.n, |_, i| lattice(&mesh, &m, [0, 1], i) / (4.0 * PI * area))
            }
            _ => {
                if let Some(kind) = name.strip_prefix("ext_emergentmagneticfield_") {
                    self.emergent(kind)
                } else if let Some(kind) = name.strip_prefix("ext_hopfindexdensity_") {
                    self.hopf_density(kind)
                } else if let Some(group) = name.strip_prefix("Edens_") {
                    self.density(group)
                } else if let Some(group) = name.strip_prefix("B_") {
                    self.group_field(group)
                } else {
                    self.blank(3)
                }
            }
        }
    }

    /// A parameter in every cell: its region's value and what masks add.
    fn parameter_field(&self, p: P) -> Field {
        let (values, factors) = self.sim.system.replicas[0].material.at(self.time());
        let components = p.info().components;
        let own = |i: usize| values.get(usize::from(self.numbers[i]));
        let mut f = Field::of(components, self.mesh().n, |c, i| own(i).map_or(0.0, |v| v.vector(p)[c]));
        for (mask, factor) in self.sim.system.replicas[0].material.masks.iter().zip(factors).filter(|(m, _)| m.parameter == p) {
            f.data.iter_mut().zip(mask.values.iter()).for_each(|(f, v)| *f += factor * v);
        }
        f
    }

    /// A quantity without space, or the average of one with: over the magnet for m and single components, else over the box.
    pub fn value(&mut self, q: &Quantity) -> Vec<f64> {
        match q {
            Quantity::Named(name) if !q.space() => self.named_value(name),
            Quantity::Named("m") | Quantity::Comp(..) => {
                let f = self.field(q);
                let weights = self.geometry();
                let all: f64 = weights.data.iter().sum();
                if weights.data.len() != f.cells() || all == 0.0 {
                    return f.average();
                }
                f.data.chunks(f.cells()).map(|c| c.iter().zip(&weights.data).map(|(v, w)| v * w).sum::<f64>() / all).collect()
            }
            Quantity::Region(_, r) => {
                let f = self.field(q);
                let count = self.numbers.iter().filter(|c| *c == r).count().max(1);
                f.data.chunks(f.cells()).map(|c| c.iter().sum::<f64>() / count as f64).collect()
            }
            _ => self.field(q).average(),
        }
    }

    fn total(&mut self, density: &str) -> f64 {
        let volume = self.mesh().cell_volume();
        volume * self.named_field(density).data.iter().sum::<f64>()
    }

    fn named_value(&mut self, name: &str) -> Vec<f64> {
        let control = self.sim.control(0);
        let mesh = self.mesh();
        let one = match name {
            "t" => control.t,
            "dt" => control.dt,
            "LastErr" => control.err,
            "PeakErr" => self.peak_error,
            "NEval" => control.evaluations as f64,
            "maxTorque" => {
                if control.torque > 0.0 {
                    control.torque / self.sim.system.replicas[0].material.largest_gamma()
                } else {
                    let t = self.named_field("torque");
                    (0..t.cells()).map(|i| dot(t.vector(i), t.vector(i)).sqrt()).fold(0.0, f64::max)
                }
            }
            "MaxAngle" => self.angles().data.into_iter().fold(0.0, f64::max),
            "ext_corepos" => return self.core().to_vec(),
            "ext_bubblepos" => return self.bubble_place().to_vec(),
            "ext_bubbledist" => {
                let [x, y, _] = self.bubble_place();
                self.track(1, [x, y]).way
            }
            "ext_bubblespeed" => {
                let [x, y, _] = self.bubble_place();
                self.track(1, [x, y]).speed
            }
            "ext_dwpos" => -self.shift[0],
            "ext_dwxpos" => {
                let mx = self.value(&Quantity::Comp(Arc::new(Quantity::Named("m")), 0))[0];
                -self.shift[0] + 0.5 * mx * mesh.size()[0]
            }
            "ext_dwspeed" => self.track(0, [-self.shift[0], 0.0]).speed,
            "ext_dwtilt" => readout::wall(&mesh, self.regions(), &self.m().data).tilt,
            "ext_topologicalcharge" => self.charge("ext_topologicalchargedensity"),
            "ext_topologicalchargelattice" => self.charge("ext_topologicalchargedensitylattice"),
            "ext_hopfindex_solidanglefourier" => self.hopf_density("solidangle").data.iter().sum::<f64>() * mesh.cell_volume(),
            _ => {
                if let Some(kind) = name.strip_prefix("ext_hopfindex_") {
                    self.hopf_density(kind).data.iter().sum::<f64>() * mesh.cell_volume()
                } else if let Some(kind) = name.strip_prefix("E_") {
                    self.total(&format!("Edens_{kind}"))
                } else {
                    f64::NAN
                }
            }
        };
        vec![one]
    }

    /// Charge of a density: its integral over a layer, averaged over the layers.
    fn charge(&mut self, density: &str) -> f64 {
        let mesh = self.mesh();
        self.named_field(density).data.iter().sum::<f64>() * mesh.cell[0] * mesh.cell[1] / mesh.n[2] as f64
    }

    /// Takes note of where the window is.
    pub fn follow_window(&mut self) {
        self.track(0, [-self.shift[0], 0.0]);
    }

    fn track(&mut self, which: usize, place: [f64; 2]) -> Track {
        let now = self.time();
        let t = &mut self.tracks[which];
        if !t.begun {
            *t = Track { place, time: now, begun: true, ..Track::default() };
        } else if now > t.time {
            let d = [place[0] - t.place[0], place[1] - t.place[1]];
            let way = (d[0] * d[0] + d[1] * d[1]).sqrt();
            if way > 0.0 {
                t.speed = if which == 0 { d[0] } else { way } / (now - t.time);
                t.way += way;
                (t.place, t.time) = (place, now);
            }
        }
        *t
    }

    /// The neighbours of a cell that are magnet: axis and index.
    fn neighbours(&self, i: usize) -> Vec<(usize, usize)> {
        let mesh = self.mesh();
        let at = [i % mesh.n[0], i / mesh.n[0] % mesh.n[1], i / (mesh.n[0] * mesh.n[1])];
        let map = self.regions();
        let mut list = Vec::new();
        for axis in 0..3 {
            for forward in [false, true] {
                if let Some(j) = mesh.neighbour(axis, at[axis], forward) {
                    let mut other = at;
                    other[axis] = j;
                    let j = mesh.index(other[0], other[1], other[2]);
                    if j != i && map.cells[j] != RegionMap::VACUUM {
                        list.push((axis, j));
                    }
                }
            }
        }
        list
    }

    /// The coupling between any two regions, `[own][other]`, and how many regions there are.
    fn links(&self, p: P) -> (Vec<f64>, usize) {
        let values = self.values();
        let n = values.len();
        let mean = |a: usize, b: usize| spinloom_kernels::terms::pair_mean(&values[a], &values[b], p, 0.5);
        let joins = self.sim.system.replicas[0].material.joins(Some(p));
        ((0..n * n).map(|i| joins(i / n, i % n, mean(i / n, i % n))).collect(), n)
    }

    fn coupling(&self, p: P) -> Field {
        let (links, n) = self.links(p);
        let cells = &self.regions().cells;
        Field::of(1, self.mesh().n, |_, i| {
            if cells[i] == RegionMap::VACUUM {
                return 0.0;
            }
            let list = self.neighbours(i);
            list.iter().map(|(_, j)| links[usize::from(cells[i]) * n + usize::from(cells[*j])]).sum::<f64>() / list.len().max(1) as f64
        })
    }

    fn angles(&self) -> Field {
        let (m, (links, n)) = (self.m(), self.links(P::Aex));
        let cells = &self.regions().cells;
        Field::of(1, self.mesh().n, |_, i| {
            if cells[i] == RegionMap::VACUUM {
                return 0.0;
            }
            let coupled = self.neighbours(i).into_iter().filter(|(_, j)| links[usize::from(cells[i]) * n + usize::from(cells[*j])] != 0.0);
            let angle = |j: usize| {
                let c = cross(m.vector(i), m.vector(j));
                dot(c, c).sqrt().atan2(dot(m.vector(i), m.vector(j)))
            };
            coupled.map(|(_, j)| angle(j)).fold(0.0, f64::max)
        })
    }

    /// div σ with σ_ii = B1 m_i², σ_ij = B2 m_i m_j; Vanderveken et al., Open Res. Europe 1, 35 (2021), eq. 5.
    fn elastic_force(&self) -> Field {
        let (m, mesh, values) = (self.m(), self.mesh(), self.values());
        let (b1, b2) = (values[0].scalar(P::B1), values[0].scalar(P::B2));
        let cells = mesh.cells();
        let mut f = self.blank(3);
        for i in 0..cells {
            let d: [[f64; 3]; 3] = [0, 1, 2].map(|axis| slope2(&mesh, &m, axis, i));
            let v = m.vector(i);
            for a in 0..3 {
                let mut sum = 2.0 * b1 * v[a] * d[a][a];
                for b in (0..3).filter(|b| *b != a) {
                    sum += b2 * (d[b][a] * v[b] + v[a] * d[b][b]);
                }
                f.data[a * cells + i] = sum;
            }
        }
        f
    }

    /// The cell with the largest |mz|, refined by a parabola along x and y; z holds the sign.
    fn core(&self) -> [f64; 3] {
        let (m, mesh) = (self.m(), self.mesh());
        let layer = mesh.n[2] / 2;
        let [nx, ny, _] = mesh.n;
        let mz = |x: usize, y: usize| m.at(2, mesh.index(x, y, layer));
        let (mut best, mut at) = (-1.0, [0, 0]);
        for y in 1..ny.saturating_sub(1) {
            for x in 1..nx.saturating_sub(1) {
                if mz(x, y).abs() > best {
                    (best, at) = (mz(x, y).abs(), [x, y]);
                }
            }
        }
        let [x, y] = at;
        let p = mesh.position(x, y, layer);
        if nx < 3 || ny < 3 {
            return [p[0], p[1], 0.0];
        }
        let vertex = |a: f64, b: f64, c: f64| if a + c == 2.0 * b { 0.0 } else { 0.5 * (a - c) / (a - 2.0 * b + c) };
        let dx = vertex(mz(x - 1, y).abs(), mz(x, y).abs(), mz(x + 1, y).abs());
        let dy = vertex(mz(x, y - 1).abs(), mz(x, y).abs(), mz(x, y + 1).abs());
        [p[0] + dx * mesh.cell[0] - self.shift[0], p[1] + dy * mesh.cell[1] - self.shift[1], mz(x, y).signum()]
    }

    /// The centre of gravity of 1 + s mz, s the bubble's direction. Where m is out of the plane but for a small tilt it counts as fully so: else a tilted
    /// background, being large, would weigh more than the bubble.
    fn bubble_place(&self) -> [f64; 3] {
        let (m, mesh) = (self.m(), self.mesh());
        let (mut sum, mut all) = ([0.0; 2], 0.0);
        let (direction, tilt) = self.bubble;
        for i in 0..mesh.cells() {
            if self.regions().cells[i] != RegionMap::VACUUM {
                let mz = m.at(2, i);
                let in_plane = m.at(0, i).hypot(m.at(1, i));
                let w = 1.0 + direction * if in_plane < tilt { mz.signum() } else { mz };
                let p = position(&mesh, self.shift, i);
                sum = [sum[0] + w * p[0], sum[1] + w * p[1]];
                all += w;
            }
        }
        if all > 0.0 { [sum[0] / all, sum[1] / all, 0.0] } else { [0.0; 3] }
    }

    /// F_i = (1/8π) ε_ijk m·(∂j m × ∂k m), whose flux through a plane is the charge there.
    fn emergent(&self, kind: &str) -> Field {
        let (m, mesh) = (self.m(), self.mesh());
        let cells = mesh.cells();
        let mut f = self.blank(3);
        for axis in 0..3 {
            let (u, v) = ((axis + 1) % 3, (axis + 2) % 3);
            for i in 0..cells {
                f.data[axis * cells + i] = match kind {
                    "solidangle" => lattice(&mesh, &m, [u, v], i) / (4.0 * PI * mesh.cell[u] * mesh.cell[v]),
                    _ => {
                        let slope = |a| if kind == "fivepointstencil" { slope4(&mesh, &m, a, i) } else { slope2(&mesh, &m, a, i) };
                        dot(m.vector(i), cross(slope(u), slope(v))) / (4.0 * PI)
                    }
                };
            }
        }
        f
    }

    /// F·A with curl A = F in the gauge A_z = 0; Whitehead, PNAS 33, 117 (1947).
    fn hopf_density(&self, kind: &str) -> Field {
        let (f, mesh) = (self.emergent(kind), self.mesh());
        let [nx, ny, nz] = mesh.n;
        let plane = nx * ny;
        let mut h = self.blank(1);
        for i in 0..plane {
            // −∂z A_y = F_x, ∂z A_x = F_y, by the trapezoidal rule from below.
            let (mut ax, mut ay) = (0.0, 0.0);
            for z in 0..nz {
                let at = z * plane + i;
                let d = mesh.cell[2];
                let (mut x, mut y) = (f.at(1, at), f.at(0, at));
                if z > 0 {
                    (x, y) = (0.5 * (x + f.at(1, at - plane)), 0.5 * (y + f.at(0, at - plane)));
                    ax += d * x;
                    ay -= d * y;
                } else {
                    ax += 0.5 * d * x;
                    ay -= 0.5 * d * y;
                }
                h.data[at] = f.at(0, at) * ax + f.at(1, at) * ay;
            }
        }
        h
    }
}

/// How many periodic images to each side the MFM image sees: its kernel falls with the fourth power of the distance.
const IMAGES: i64 = 20;

/// The dipole of a cell's force gradient on a tip at (x, y, z) from it, per unit of its moment: ∂Bz/∂z of (mx, my, mz).
fn gradient(volume: f64, [x, y, z]: [f64; 3]) -> [f64; 3] {
    let r2 = x * x + y * y + z * z;
    let k = 3.0 * MU0 * volume / (4.0 * PI) / (r2 * r2 * r2 * r2.sqrt());
    let across = k * (r2 - 5.0 * z * z);
    [across * x, across * y, k * z * (3.0 * r2 - 5.0 * z * z)]
}

/// What an MFM image shows, over the plane: the force gradient on a tip with two charges, one `lift` above the top and one `length` higher, of opposite
/// sign; every cell is a dipole at its centre (Jackson, Classical Electrodynamics, 3rd ed., eq. 5.56), and the image is in arbitrary units.
///
/// Rows padded to twice their length and laid end to end make the convolution over the plane one over a line: no offset meets another then.
fn mfm(mesh: &Mesh, m: &Field, moments: &[f64], [lift, length]: [f64; 2]) -> Vec<f64> {
    let [nx, ny, nz] = mesh.n;
    let (width, plane) = (2 * nx, nx * ny);
    let len = 2 * ny * width;
    let (volume, size, top) = (mesh.cell_volume(), mesh.size(), 0.5 * mesh.size()[2]);
    let mut planner = realfft::RealFftPlanner::<f64>::new();
    let (forward, backward) = (planner.plan_fft_forward(len), planner.plan_fft_inverse(len));
    let spectrum = |mut line: Vec<f64>| {
        let mut out = forward.make_output_vec();
        forward.process(&mut line, &mut out).expect("the lengths are the plan's");
        out
    };
    let images = |axis: usize| i64::from(mesh.pbc[axis]).min(IMAGES);
    let kernel = |x: f64, y: f64, heights: [f64; 2]| {
        let mut sum = [0.0; 3];
        for (q, p) in (-images(1)..=images(1)).flat_map(|q| (-images(0)..=images(0)).map(move |p| (q, p))) {
            let at = [x + p as f64 * size[0], y + q as f64 * size[1]];
            let [near, far] = heights.map(|z| gradient(volume, [at[0], at[1], z]));
            (0..3).for_each(|c| sum[c] += near[c] - far[c]);
        }
        sum
    };
    let parts: Vec<Vec<Complex<f64>>> = (0..nz)
        .into_par_iter()
        .map(|layer| {
            let z = top + lift - mesh.position(0, 0, layer)[2];
            let mut table = [0, 1, 2].map(|_| vec![0.0; len]);
            for (dy, dx) in (1 - ny as i64..ny as i64).flat_map(|dy| (1 - nx as i64..nx as i64).map(move |dx| (dy, dx))) {
                let at = (dy * width as i64 + dx).rem_euclid(len as i64) as usize;
                let k = kernel(dx as f64 * mesh.cell[0], dy as f64 * mesh.cell[1], [z, z + length]);
                (0..3).for_each(|c| table[c][at] = k[c]);
            }
            let mut sum = forward.make_output_vec();
            for (c, table) in table.into_iter().enumerate() {
                let mut line = vec![0.0; len];
                for i in 0..plane {
                    let cell = layer * plane + i;
                    line[i / nx * width + i % nx] = moments[cell] * m.at(c, cell);
                }
                let (k, s) = (spectrum(table), spectrum(line));
                sum.iter_mut().zip(k.iter().zip(&s)).for_each(|(sum, (k, s))| *sum += k * s);
            }
            sum
        })
        .collect();
    let mut sum = forward.make_output_vec();
    for part in &parts {
        sum.iter_mut().zip(part).for_each(|(s, p)| *s += p);
    }
    // Of a real line the first and the last wave number are real; rounding may say otherwise.
    [0, len / 2].iter().for_each(|k| sum[*k].im = 0.0);
    let mut line = vec![0.0; len];
    backward.process(&mut sum, &mut line).expect("the lengths are the plan's");
    (0..plane).map(|i| line[i / nx * width + i % nx] / len as f64).collect()
}

/// The centre of a cell (m), in a window that has moved.
pub fn position(mesh: &Mesh, shift: [f64; 2], i: usize) -> [f64; 3] {
    let p = mesh.position(i % mesh.n[0], i / mesh.n[0] % mesh.n[1], i / (mesh.n[0] * mesh.n[1]));
    [p[0] - shift[0], p[1] - shift[1], p[2]]
}

/// The cell `steps` along an axis, if it is there and magnet.
fn along(mesh: &Mesh, m: &Field, axis: usize, i: usize, steps: i64) -> Option<[f64; 3]> {
    let mut at = [i % mesh.n[0], i / mesh.n[0] % mesh.n[1], i / (mesh.n[0] * mesh.n[1])].map(|v| v as i64);
    at[axis] += steps;
    if mesh.pbc[axis] > 0 {
        at[axis] = at[axis].rem_euclid(mesh.n[axis] as i64);
    }
    m.index(at).map(|j| m.vector(j)).filter(|v| *v != [0.0; 3])
}

/// ∂m along an axis by central differences, one-sided of first order at an edge.
fn slope2(mesh: &Mesh, m: &Field, axis: usize, i: usize) -> [f64; 3] {
    let (a, b) = (along(mesh, m, axis, i, -1), along(mesh, m, axis, i, 1));
    let (own, d) = (m.vector(i), mesh.cell[axis]);
    let between = |a: [f64; 3], b: [f64; 3], d: f64| [0, 1, 2].map(|c| (b[c] - a[c]) / d);
    match (a, b) {
        (Some(a), Some(b)) => between(a, b, 2.0 * d),
        (None, Some(b)) => between(own, b, d),
        (Some(a), None) => between(a, own, d),
        (None, None) => [0.0; 3],
    }
}

/// ∂m along an axis to fourth order where two neighbours stand on each side, to second where one does, one-sided at edges.
fn slope4(mesh: &Mesh, m: &Field, axis: usize, i: usize) -> [f64; 3] {
    if m.vector(i) == [0.0; 3] {
        return [0.0; 3];
    }
    let at = |s| along(mesh, m, axis, i, s);
    let (own, d) = (m.vector(i), mesh.cell[axis]);
    match (at(-2), at(-1), at(1), at(2)) {
        (Some(a), Some(b), Some(e), Some(f)) => [0, 1, 2].map(|c| (a[c] - 8.0 * b[c] + 8.0 * e[c] - f[c]) / (12.0 * d)),
        (_, Some(b), Some(e), _) => [0, 1, 2].map(|c| (e[c] - b[c]) / (2.0 * d)),
        (_, None, Some(e), Some(f)) => [0, 1, 2].map(|c| (-3.0 * own[c] + 4.0 * e[c] - f[c]) / (2.0 * d)),
        (Some(a), Some(b), None, _) => [0, 1, 2].map(|c| (3.0 * own[c] - 4.0 * b[c] + a[c]) / (2.0 * d)),
        (_, None, Some(e), None) => [0, 1, 2].map(|c| (e[c] - own[c]) / d),
        (None, Some(b), None, _) => [0, 1, 2].map(|c| (own[c] - b[c]) / d),
        _ => [0.0; 3],
    }
}

/// The solid angle that belongs to a cell in the plane of two axes: the mean of the four triangles with its neighbours, twice each.
fn lattice(mesh: &Mesh, m: &Field, [u, v]: [usize; 2], i: usize) -> f64 {
    let own = m.vector(i);
    if own == [0.0; 3] {
        return 0.0;
    }
    let at = |axis, s| along(mesh, m, axis, i, s);
    let (left, right, down, up) = (at(u, -1), at(u, 1), at(v, -1), at(v, 1));
    // Each corner of the cell is a triangle with half the area of a cell; each plaquette has one from each of its four corners, and counts twice over.
    let mut sum = 0.0;
    for (a, b, diagonal) in [(right, up, [1, 1]), (up, left, [-1, 1]), (left, down, [-1, -1]), (down, right, [1, -1])] {
        if let (Some(a), Some(b)) = (a, b) {
            // A plaquette without its far corner is one triangle rather than two: it counts whole.
            let mut far = [i % mesh.n[0], i / mesh.n[0] % mesh.n[1], i / (mesh.n[0] * mesh.n[1])].map(|v| v as i64);
            far[u] += diagonal[0];
            far[v] += diagonal[1];
            for axis in [u, v] {
                if mesh.pbc[axis] > 0 {
                    far[axis] = far[axis].rem_euclid(mesh.n[axis] as i64);
                }
            }
            let whole = m.index(far).is_none_or(|j| m.vector(j) == [0.0; 3]);
            sum += if whole { 1.0 } else { 0.5 } * solid_angle(own, a, b);
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mfm_image_is_the_sum_over_all_cells() {
        let random = |n: usize, seed: i64| {
            let mut r = super::super::random::GoRandom::new(seed);
            (0..n).map(|_| r.normal()).collect::<Vec<f64>>()
        };
        for pbc in [[0, 0, 0], [2, 0, 0], [1, 3, 0]] {
            let mesh = Mesh { pbc, ..Mesh::new([7, 5, 3], [4e-9, 3e-9, 2e-9]) };
            let m = Field { components: 3, n: mesh.n, data: random(3 * mesh.cells(), 1) };
            let moments = random(mesh.cells(), 2);
            let tip = [20e-9, 50e-9];
            let image = mfm(&mesh, &m, &moments, tip);
            let largest = image.iter().fold(0.0, |a, v| f64::max(a, v.abs()));
            for (j, have) in image.iter().enumerate() {
                let to = mesh.position(j % 7, j / 7, 0);
                let mut want = 0.0;
                for i in 0..mesh.cells() {
                    let from = mesh.position(i % 7, i / 7 % 5, i / 35);
                    for (p, q) in (-(pbc[0] as i64)..=pbc[0] as i64).flat_map(|p| (-(pbc[1] as i64)..=pbc[1] as i64).map(move |q| (p, q))) {
                        for (height, sign) in [(tip[0], 1.0), (tip[0] + tip[1], -1.0)] {
                            let x = to[0] - from[0] + p as f64 * mesh.size()[0];
                            let y = to[1] - from[1] + q as f64 * mesh.size()[1];
                            let z = 0.5 * mesh.size()[2] + height - from[2];
                            want += sign * moments[i] * dot(gradient(mesh.cell_volume(), [x, y, z]), m.vector(i));
                        }
                    }
                }
                // Rounding of sums of a few hundred terms, by transforms in double precision.
                assert!((have - want).abs() < 1e-12 * largest, "{j}: {have:e}, not {want:e}");
            }
        }
    }
}
