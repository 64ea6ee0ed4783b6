//! Every name of the language: what it is, what it takes, what it does. There is no other list.

use super::engine::{Engine, Fault, Grains, Hook, RegionStep, Source};
use super::field::{Average, Field, Named, QUANTITIES, Quantity, named, parameter};
use super::interpreter::{Interpreter, Stop};
use super::output::{Column, Format, Periodic};
use super::random::GoRandom;
use super::resume::Told;
use super::shape::{Config, Shape};
use super::text;
use super::value::{Curve, Type, Value};
use crate::devices::free_memory;
use spinloom_base::constants::MU0;
use spinloom_kernels::ParameterId as P;
use spinloom_kernels::material::{Coupling, Pair};
use spinloom_record::{Ovf, OvfFormat};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

type Run = fn(&mut Interpreter, &Args) -> Result<Value, Stop>;

/// What a name is.
#[derive(Clone, Copy)]
pub enum Kind {
    /// A function: letters of its arguments (see [`super::value::serves`]; `*` repeats the last), what it returns, what it does.
    Function(&'static str, Type, Run),
    /// A function of one number.
    Math1(fn(f64) -> f64),
    /// A function of two.
    Math2(fn(f64, f64) -> f64),
    /// A variable: its type, how it is read and set.
    Variable(Type, fn(&Interpreter) -> Value, fn(&mut Interpreter, Value) -> Result<(), Fault>),
    /// A constant.
    Constant(Type, fn() -> Value),
    /// A quantity.
    Quantity(&'static Named),
    /// A parameter of the material.
    Parameter(P),
    /// A parameter that takes masks.
    Excitation(P),
    /// m.
    Magnetisation,
    /// The region map.
    Regions,
    /// The geometry.
    Geometry,
}

/// A name of the language.
#[derive(Clone, Copy)]
pub struct Entry {
    /// As people write it; cases do not matter.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// In a line.
    pub about: &'static str,
}

impl Entry {
    /// The type of its value.
    pub fn value_type(&self) -> Type {
        match self.kind {
            Kind::Function(..) | Kind::Math1(_) | Kind::Math2(_) => Type::Curve,
            Kind::Variable(t, ..) | Kind::Constant(t, _) => t,
            Kind::Quantity(q) if q.space => Type::Field(q.components),
            Kind::Quantity(q) => Type::Single(q.components),
            Kind::Parameter(p) => Type::Parameter(p),
            Kind::Excitation(p) => Type::Excitation(p),
            Kind::Magnetisation => Type::Magnetisation,
            Kind::Regions => Type::Regions,
            Kind::Geometry => Type::Geometry,
        }
    }
}

/// Arguments of a call; their types have been checked.
pub struct Args(pub Vec<Value>);

impl Args {
    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A number.
    pub fn f(&self, i: usize) -> f64 {
        match &self.0[i] {
            Value::Float(v) => *v,
            Value::Int(v) => *v as f64,
            _ => f64::NAN,
        }
    }

    /// Three numbers from here on.
    pub fn fff(&self, i: usize) -> [f64; 3] {
        [self.f(i), self.f(i + 1), self.f(i + 2)]
    }

    /// An integer.
    pub fn i(&self, i: usize) -> i64 {
        match &self.0[i] {
            Value::Int(v) => *v,
            Value::Float(v) => *v as i64,
            _ => 0,
        }
    }

    /// Three integers from here on.
    pub fn iii(&self, i: usize) -> [i64; 3] {
        [self.i(i), self.i(i + 1), self.i(i + 2)]
    }

    /// A string.
    pub fn s(&self, i: usize) -> &str {
        if let Value::Str(s) = &self.0[i] { s } else { "" }
    }

    /// A vector.
    pub fn v(&self, i: usize) -> [f64; 3] {
        if let Value::Vector(v) = &self.0[i] { *v } else { [f64::NAN; 3] }
    }

    /// A shape.
    pub fn shape(&self, i: usize) -> &Shape {
        if let Value::Shape(s) = &self.0[i] { s } else { unreachable!("checked before the call") }
    }

    /// A configuration.
    pub fn config(&self, i: usize) -> &Config {
        if let Value::Config(c) = &self.0[i] { c } else { unreachable!("checked before the call") }
    }

    /// A quantity.
    pub fn q(&self, i: usize) -> Arc<Quantity> {
        if let Value::Quantity(q) = &self.0[i] { q.clone() } else { unreachable!("checked before the call") }
    }

    /// Data.
    pub fn data(&self, i: usize) -> &Rc<RefCell<Field>> {
        if let Value::Data(d) = &self.0[i] { d } else { unreachable!("checked before the call") }
    }
}

fn nothing(result: Result<(), Fault>) -> Result<Value, Stop> {
    result.map(|()| Value::Nothing).map_err(Stop::Fault)
}

fn quantity(q: Quantity) -> Result<Value, Stop> {
    Ok(Value::Quantity(Arc::new(q)))
}

fn shape(s: Shape) -> Result<Value, Stop> {
    Ok(Value::Shape(s))
}

fn config(c: Config) -> Result<Value, Stop> {
    Ok(Value::Config(c))
}

fn data(f: Field) -> Value {
    Value::Data(Rc::new(RefCell::new(f)))
}

/// A region number of a script.
///
/// # Errors
/// Out of range.
pub fn region(i: i64) -> Result<u16, Fault> {
    if (0..256).contains(&i) {
        Ok(i as u16)
    } else if i == 256 {
        Ok(0)
    } else {
        Err(Fault::new(format!("there is no region {i}"), "regions are numbered from 0 to 255"))
    }
}

/// A cell of the mesh.
///
/// # Errors
/// Outside.
pub fn cell(n: [usize; 3], at: [i64; 3]) -> Result<[usize; 3], Fault> {
    if (0..3).all(|a| (0..n[a] as i64).contains(&at[a])) {
        Ok(at.map(|v| v as usize))
    } else {
        let hint = format!("cells are numbered from 0; the mesh has {} x {} x {}", n[0], n[1], n[2]);
        Err(Fault::new(format!("there is no cell ({}, {}, {})", at[0], at[1], at[2]), hint))
    }
}

/// A number with `n` components and cells that `d` has, on the mesh: as it is, or stretched to its size.
fn fitted(d: &Field, n: [usize; 3]) -> Field {
    if d.n == n {
        return d.clone();
    }
    Field::of(d.components, n, |c, i| {
        let at = [i % n[0], i / n[0] % n[1], i / (n[0] * n[1])];
        let from: [usize; 3] = std::array::from_fn(|a| at[a] * d.n[a] / n[a]);
        d.at(c, (from[2] * d.n[1] + from[1]) * d.n[0] + from[0])
    })
}

/// Reads an OVF file.
///
/// # Errors
/// What is wrong with it.
pub fn load(it: &Interpreter, file: &str) -> Result<Field, Fault> {
    let path = it.find_file(file);
    let ovf = Ovf::read_file(&path).map_err(|e| Fault::new(e.to_string(), ""))?;
    let (components, cells) = (ovf.components(), ovf.mesh.cells());
    Ok(Field { components, n: ovf.mesh.n, data: (0..components * cells).map(|k| ovf.data[k % cells * components + k / cells]).collect() })
}

/// Data stretched to the mesh.
///
/// # Errors
/// Without a mesh.
pub fn on_mesh(it: &Interpreter, d: &Field) -> Result<Field, Fault> {
    Ok(fitted(d, it.engine.mesh()?.n))
}

/// Random points with numbers, the same for the same seed, over the whole plane or space: centres of Voronoi cells. Squares of twice the size hold four (cubes eight) of them on average.
struct Voronoi {
    size: f64,
    seed: i64,
    deep: bool,
    tiles: Mutex<HashMap<[i64; 3], Vec<([f64; 3], f64)>>>,
}

impl Voronoi {
    fn new(size: f64, seed: i64, deep: bool) -> Self {
        Self { size: 2.0 * size, seed, deep, tiles: Mutex::new(HashMap::new()) }
    }

    fn points(&self, tile: [i64; 3]) -> Vec<([f64; 3], f64)> {
        let place = [73_856_093, 19_349_663, 83_492_791].iter().zip(tile).fold(0i64, |sum, (k, t)| sum.wrapping_add(t.wrapping_mul(*k)));
        let mut r = GoRandom::new(self.seed.wrapping_add(place));
        let mean: f64 = if self.deep { 8.0 } else { 4.0 };
        // Poisson by multiplication of uniforms; Knuth, The Art of Computer Programming 2, section 3.4.1.
        let (mut count, mut product) = (0, r.uniform());
        while product > (-mean).exp() {
            count += 1;
            product *= r.uniform();
        }
        let axes = if self.deep { 3 } else { 2 };
        (0..count)
            .map(|_| {
                let p: [f64; 3] = std::array::from_fn(|a| if a < axes { (tile[a] as f64 + r.uniform()) * self.size } else { 0.0 });
                (p, r.uniform())
            })
            .collect()
    }

    /// The nearest centre and its number in [0, 1).
    fn at(&self, p: [f64; 3]) -> ([f64; 3], f64) {
        let home: [i64; 3] = std::array::from_fn(|a| if a < 2 || self.deep { (p[a] / self.size).floor() as i64 } else { 0 });
        let mut tiles = self.tiles.lock().unwrap_or_else(|e| e.into_inner());
        let (mut best, mut least) = (([f64::NAN; 3], 0.0), f64::INFINITY);
        let dz = if self.deep { -1..=1 } else { 0..=0 };
        for z in dz {
            for y in -1..=1 {
                for x in -1..=1 {
                    let tile = [home[0].wrapping_add(x), home[1].wrapping_add(y), home[2].wrapping_add(z)];
                    for c in tiles.entry(tile).or_insert_with(|| self.points(tile)) {
                        let d: f64 = (0..if self.deep { 3 } else { 2 }).map(|a| (p[a] - c.0[a]).powi(2)).sum();
                        if d < least {
                            (best, least) = (*c, d);
                        }
                    }
                }
            }
        }
        best
    }
}

fn picture(it: &Interpreter, file: &str) -> Result<Shape, Fault> {
    let path = it.find_file(file);
    let image = image::open(&path)
        .map_err(|e| Fault::new(format!("cannot read {}: {e}", path.display()), "pictures are png, jpg or gif"))?
        .to_luma_alpha8();
    let mesh = it.engine.mesh()?;
    let size = mesh.size();
    let (w, h) = image.dimensions();
    Ok(Shape::new(move |x, y, _| {
        let u = ((x / size[0] + 0.5) * f64::from(w)).floor();
        let v = ((0.5 - y / size[1]) * f64::from(h) - 1e-9).floor();
        if u < 0.0 || v < 0.0 || u >= f64::from(w) || v >= f64::from(h) {
            return false;
        }
        let p = image.get_pixel(u as u32, v as u32);
        p[0] < 128 && p[1] >= 128
    }))
}

fn curve(it: &Interpreter, a: &Args) -> Result<Value, Fault> {
    let path = it.find_file(a.s(0));
    let text = std::fs::read_to_string(&path).map_err(|e| Fault::new(format!("cannot read {}: {e}", path.display()), ""))?;
    let mut points: Vec<(f64, f64)> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let parts: Vec<&str> = line.split([',', '\t', ' ', ';']).filter(|p| !p.is_empty()).collect();
        let pick = |c: i64| usize::try_from(c).ok().and_then(|c| parts.get(c)).and_then(|p| p.parse::<f64>().ok());
        match (pick(a.i(1)), pick(a.i(2))) {
            (Some(x), Some(y)) => points.push((x, y)),
            // A first line of words names the columns.
            _ if points.is_empty() && parts.iter().all(|p| p.parse::<f64>().is_err()) => {}
            _ => {
                let message = format!("{}:{}: no numbers in columns {} and {}", path.display(), number + 1, a.i(1), a.i(2));
                return Err(Fault::new(message, "columns are numbered from 0"));
            }
        }
    }
    if points.len() < 2 || points.windows(2).any(|w| w[0].0 >= w[1].0) {
        return Err(Fault::new(format!("{} must hold at least two points with rising abscissae", path.display()), ""));
    }
    let kind = a.s(3).to_lowercase();
    if !["linear", "nearest", "step"].contains(&kind.as_str()) {
        return Err(Fault::new(format!("there is no interpolation `{kind}`"), "linear, nearest or step"));
    }
    Ok(Value::Curve(Curve(Arc::new(move |x| {
        let after = points.partition_point(|p| p.0 <= x);
        match (after.checked_sub(1).map(|i| points[i]), points.get(after)) {
            (None, Some(b)) => b.1,
            (Some(a), None) => a.1,
            (Some(a), Some(b)) => match kind.as_str() {
                "step" => a.1,
                "nearest" => {
                    if x - a.0 < b.0 - x {
                        a.1
                    } else {
                        b.1
                    }
                }
                _ => a.1 + (b.1 - a.1) * (x - a.0) / (b.0 - a.0),
            },
            (None, None) => f64::NAN,
        }
    }))))
}

/// The field (T) of charges σ = ±Msat m at the two ends along x of the magnet, taken off so that the magnet seems endless.
fn end_charges(it: &mut Interpreter, r: u16, left: f64, right: f64) -> Result<(), Fault> {
    let mesh = it.engine.mesh()?;
    let ms = it.engine.parameter(P::Msat, r)[0];
    if ms == 0.0 {
        return Err(Fault::new(format!("Msat is zero in region {r}"), "set Msat before ext_rmSurfaceCharge"));
    }
    let (cells, [nx, ny, nz]) = (mesh.cells(), mesh.n);
    let mut b = vec![0.0; 3 * cells];
    // A rectangle of charge seen from a point: closed form of the surface integral of R/R³; E. Durand, Électrostatique (1964).
    let corner = |x: f64, y: f64, z: f64| -> [f64; 3] {
        let r = (x * x + y * y + z * z).sqrt();
        [(y * z / (x * r)).atan(), -(z + r).ln(), -(y + r).ln()]
    };
    for (x0, sigma) in [(-0.5 * mesh.size()[0], -ms * left), (0.5 * mesh.size()[0], ms * right)] {
        for face in 0..ny * nz {
            let (fy, fz) = (face % ny, face / ny);
            let inner = mesh.index(if x0 < 0.0 { 0 } else { nx - 1 }, fy, fz);
            if it.engine.fill[inner] == 0.0 {
                continue;
            }
            let centre = mesh.position(0, fy, fz);
            for i in 0..cells {
                let p = mesh.position(i % nx, i / nx % ny, i / (nx * ny));
                let x = p[0] - x0;
                for (sy, wy) in [(-0.5, 1.0), (0.5, -1.0)] {
                    for (sz, wz) in [(-0.5, 1.0), (0.5, -1.0)] {
                        let f = corner(x, p[1] - centre[1] - sy * mesh.cell[1], p[2] - centre[2] - sz * mesh.cell[2]);
                        for c in 0..3 {
                            // Minus the field of the charges.
                            b[c * cells + i] -= MU0 * sigma / (4.0 * std::f64::consts::PI) * wy * wz * f[c];
                        }
                    }
                }
            }
        }
    }
    it.engine.add_mask(P::BExt, b, Source::Fixed([1.0, 0.0, 0.0]));
    Ok(())
}

fn bessel(f: impl Fn(i64, f64) -> f64, n: f64, x: f64) -> f64 {
    f(n as i64, x)
}

const fn f(name: &'static str, args: &'static str, returns: Type, about: &'static str, run: Run) -> Entry {
    Entry { name, kind: Kind::Function(args, returns, run), about }
}

const fn m1(name: &'static str, run: fn(f64) -> f64) -> Entry {
    Entry { name, kind: Kind::Math1(run), about: "Mathematical function" }
}

const fn m2(name: &'static str, run: fn(f64, f64) -> f64) -> Entry {
    Entry { name, kind: Kind::Math2(run), about: "Mathematical function" }
}

macro_rules! variable {
    ($name:literal, $type:ident, $about:literal, $($path:ident).+ $([$index:expr])?) => {
        Entry {
            name: $name,
            kind: Kind::Variable(
                Type::$type,
                |it| Value::$type(it.$($path).+ $([$index])?),
                |it, v| {
                    sound($name, &v)?;
                    if let Value::$type(v) = v {
                        it.$($path).+ $([$index])? = v;
                        it.engine.touch();
                    }
                    Ok(())
                },
            ),
            about: $about,
        }
    };
}

/// Refuses what is not a number.
fn sound(name: &str, v: &Value) -> Result<(), Fault> {
    let bad = match v {
        Value::Float(v) => v.is_nan(),
        Value::Vector(v) => v.iter().any(|v| v.is_nan()),
        _ => false,
    };
    if bad { Err(Fault::new(format!("{name} would not be a number"), "")) } else { Ok(()) }
}

fn number(v: &Value) -> f64 {
    match v {
        Value::Float(v) => *v,
        Value::Int(v) => *v as f64,
        _ => f64::NAN,
    }
}

fn crop(a: &Args, axis: usize) -> Result<Value, Stop> {
    let mut range = [[0, usize::MAX]; 3];
    range[axis] = bounds(a.i(1), a.i(2))?;
    quantity(Quantity::Crop(a.q(0), range))
}

fn bounds(from: i64, to: i64) -> Result<[usize; 2], Stop> {
    if from < 0 || to <= from {
        return Err(Stop::Fault(Fault::new(format!("there are no cells from {from} up to {to}"), "the end is not included")));
    }
    Ok([from as usize, to as usize])
}

fn pair(it: &mut Interpreter, parameter: P, a: &Args, scales: bool) -> Result<Value, Stop> {
    let regions = (region(a.i(0))?, region(a.i(1))?);
    let (scale, value) = if scales { (a.f(2), 0.0) } else { (0.0, a.f(2)) };
    it.engine.set_pair(Pair { parameter, regions, scale, value });
    Ok(Value::Nothing)
}

fn coupling(it: &mut Interpreter, a: &Args, set: impl Fn(&mut Coupling)) -> Result<Value, Stop> {
    let (x, y) = (region(a.i(0))?, region(a.i(1))?);
    if x == y {
        return Err(Stop::Fault(Fault::new(format!("region {x} cannot be coupled to itself"), "give the two layers different regions")));
    }
    set(it.engine.coupling(x, y));
    Ok(Value::Nothing)
}

fn expect(it: &mut Interpreter, message: &str, have: f64, want: f64, tolerance: f64) -> Result<(), Stop> {
    it.expectations += 1;
    let good = have.is_finite() && (have - want).abs() <= tolerance;
    it.unmet |= !good;
    let line = format!(
        "{message}: have {}, want {} ± {}",
        text::show(&Value::Float(have)),
        text::show(&Value::Float(want)),
        text::show(&Value::Float(tolerance))
    );
    it.output.log(&format!("//{} {line}", if good { "ok" } else { "FAILED" }));
    if good { Ok(()) } else { Err(Stop::Fault(Fault::new(format!("expectation failed: {line}"), ""))) }
}

/// All names, in groups.
pub const NAMES: &[Entry] = &[
    // --- mesh, geometry, regions
    f("SetGridSize", "iii", Type::Nothing, "Number of cells along x, y, z", |it, a| nothing(it.engine.set_grid(a.iii(0)))),
    f("SetCellSize", "fff", Type::Nothing, "Edges of a cell (m)", |it, a| nothing(it.engine.set_cell(a.fff(0)))),
    f("SetPBC", "iii", Type::Nothing, "Periodic images to each side along x, y, z; 0 is open", |it, a| {
        nothing(it.engine.set_pbc(a.iii(0)))
    }),
    f("SetMesh", "iiifffiii", Type::Nothing, "Cells, their edges (m), periodic images", |it, a| {
        it.engine.set_mesh(a.iii(0), a.fff(3), Some(a.iii(6)))?;
        Ok(Value::Nothing)
    }),
    variable!("EdgeSmooth", Int, "Sub-samples per cell edge at the magnet's surface; 0 is a staircase", engine.settings.edge_smooth),
    f("SetGeom", "S", Type::Nothing, "The magnet's shape", |it, a| nothing(it.engine.set_geometry(a.shape(0).clone()))),
    f("ext_InitGeomFromOVF", "s", Type::Nothing, "Mesh and geometry from a scalar OVF file", |it, a| {
        let path = it.find_file(a.s(0));
        let ovf = Ovf::read_file(&path).map_err(|e| Stop::Fault(Fault::new(e.to_string(), "")))?;
        let width = ovf.components();
        it.engine.set_mesh(ovf.mesh.n.map(|n| n as i64), ovf.mesh.cell, None)?;
        it.engine.set_fill(ovf.data.chunks(width).map(|v| v[0].clamp(0.0, 1.0)).collect());
        Ok(Value::Nothing)
    }),
    Entry { name: "geom", kind: Kind::Geometry, about: "How much of each cell is magnet" },
    f("DefRegion", "iS", Type::Nothing, "Numbers the cells inside a shape", |it, a| {
        nothing(region(a.i(0)).and_then(|r| it.engine.add_region_step(RegionStep::Inside(r, a.shape(1).clone()))))
    }),
    f("DefRegionCell", "iiii", Type::Nothing, "Numbers one cell", |it, a| {
        let r = region(a.i(0))?;
        let n = it.engine.mesh()?.n;
        nothing(cell(n, a.iii(1)).and_then(|at| it.engine.set_cell_region(r, at)))
    }),
    f("RedefRegion", "ii", Type::Nothing, "Gives all cells of one number another", |it, a| {
        let step = region(a.i(0)).and_then(|x| Ok(RegionStep::Renumber(x, region(a.i(1))?)))?;
        nothing(it.engine.add_region_step(step))
    }),
    Entry { name: "regions", kind: Kind::Regions, about: "Region numbers" },
    f("ext_makegrains", "fii", Type::Nothing, "Voronoi grains in the plane: size (m), number of regions, seed", |it, a| {
        let count = a.i(1);
        if !(1..=256).contains(&count) || a.f(0) <= 0.0 {
            return Err(Stop::Fault(Fault::new("grains need a size above zero and 1 to 256 regions", "")));
        }
        let grains = Voronoi::new(a.f(0), a.i(2), false);
        nothing(it.engine.add_region_step(RegionStep::Map(Grains(Arc::new(move |p| Some((grains.at(p).1 * count as f64) as u16))))))
    }),
    f(
        "ext_make3dgrains",
        "fiiSi",
        Type::Nothing,
        "Voronoi grains in space: size (m), first region, number of regions, shape, seed",
        |it, a| {
            let (first, count) = (a.i(1), a.i(2));
            if count < 1 || first < 0 || first + count > 256 || a.f(0) <= 0.0 {
                return Err(Stop::Fault(Fault::new("grains need a size above zero and regions between 0 and 255", "")));
            }
            let (grains, inside, whole) = (Voronoi::new(a.f(0), a.i(4), true), a.shape(3).clone(), it.engine.settings.grain_cut_shape);
            let of = move |p: [f64; 3]| {
                let (centre, number) = grains.at(p);
                inside.contains(if whole { centre } else { p }).then_some((first + (number * count as f64) as i64) as u16)
            };
            nothing(it.engine.add_region_step(RegionStep::Map(Grains(Arc::new(of)))))
        },
    ),
    variable!(
        "ext_grainCutShape",
        Bool,
        "Whether whole grains are kept whose centre lies inside the shape",
        engine.settings.grain_cut_shape
    ),
    f("Index2Coord", "iii", Type::Vector, "The centre of a cell (m)", |it, a| Ok(Value::Vector(centre(it, a.iii(0))?))),
    // --- shapes
    f("Ellipsoid", "fff", Type::Shape, "Three full axes (m)", |_, a| shape(Shape::ellipsoid(a.fff(0)))),
    f("Superball", "ff", Type::Shape, "Diameter (m) and exponent", |_, a| shape(Shape::superball(a.f(0), a.f(1)))),
    f("Ellipse", "ff", Type::Shape, "Two full axes (m)", |_, a| shape(Shape::ellipse(a.f(0), a.f(1)))),
    f("Cone", "ff", Type::Shape, "Diameter at z = 0 and signed height (m)", |_, a| shape(Shape::cone(a.f(0), a.f(1)))),
    f("Cylinder", "ff", Type::Shape, "Diameter and height (m)", |_, a| shape(Shape::cylinder(a.f(0), a.f(1)))),
    f("Circle", "f", Type::Shape, "Diameter (m)", |_, a| shape(Shape::ellipse(a.f(0), a.f(0)))),
    f("Cuboid", "fff", Type::Shape, "Three sides (m)", |_, a| shape(Shape::cuboid(a.fff(0)))),
    f("Rect", "ff", Type::Shape, "Two sides (m)", |_, a| shape(Shape::rect(a.f(0), a.f(1)))),
    f("Square", "f", Type::Shape, "Side (m)", |_, a| shape(Shape::rect(a.f(0), a.f(0)))),
    f("Triangle", "ffffff", Type::Shape, "Three corners x, y (m)", |_, a| {
        shape(Shape::triangle([[a.f(0), a.f(1)], [a.f(2), a.f(3)], [a.f(4), a.f(5)]]))
    }),
    f("XRange", "ff", Type::Shape, "From and up to (m)", |_, a| shape(Shape::range(0, a.f(0), a.f(1)))),
    f("YRange", "ff", Type::Shape, "From and up to (m)", |_, a| shape(Shape::range(1, a.f(0), a.f(1)))),
    f("ZRange", "ff", Type::Shape, "From and up to (m)", |_, a| shape(Shape::range(2, a.f(0), a.f(1)))),
    f("Layers", "ii", Type::Shape, "Layers from and up to", |it, a| layers(it, a.i(0), a.i(1))),
    f("Layer", "i", Type::Shape, "One layer", |it, a| layers(it, a.i(0), a.i(0).saturating_add(1))),
    f("Universe", "", Type::Shape, "Everywhere", |_, _| shape(Shape::universe())),
    f("Cell", "iii", Type::Shape, "One cell", |it, a| shape(Shape::cuboid(it.engine.mesh()?.cell).transl(centre(it, a.iii(0))?))),
    f("ImageShape", "s", Type::Shape, "Dark pixels of a picture, stretched over the box", |it, a| {
        picture(it, a.s(0)).map(Value::Shape).map_err(Stop::Fault)
    }),
    f(
        "GrainRoughness",
        "fffi",
        Type::Shape,
        "Below a surface of Voronoi grains of random height: size, lowest, highest (m), seed",
        |_, a| {
            let (grains, low, high) = (Voronoi::new(a.f(0), a.i(3), false), a.f(1), a.f(2));
            shape(Shape::new(move |x, y, z| z <= low || (z < high && z < low + (high - low) * grains.at([x, y, 0.0]).1)))
        },
    ),
    // --- start configurations
    f("Uniform", "fff", Type::Config, "One direction", |_, a| config(Config::uniform(a.fff(0)))),
    f("Vortex", "ff", Type::Config, "Circulation and polarity", |it, a| {
        Ok(Value::Config(Config::vortex(a.f(0), a.f(1), false, cell_size(it)?)))
    }),
    f("Antivortex", "ff", Type::Config, "Circulation and polarity", |it, a| {
        Ok(Value::Config(Config::vortex(a.f(0), a.f(1), true, cell_size(it)?)))
    }),
    f("NeelSkyrmion", "ff", Type::Config, "Charge and polarity", |it, a| {
        Ok(Value::Config(Config::skyrmion(a.f(0), a.f(1), false, cell_size(it)?)))
    }),
    f("BlochSkyrmion", "ff", Type::Config, "Charge and polarity", |it, a| {
        Ok(Value::Config(Config::skyrmion(a.f(0), a.f(1), true, cell_size(it)?)))
    }),
    f("TwoDomain", "fffffffff", Type::Config, "Left, wall, right", |it, a| {
        Ok(Value::Config(Config::two_domain(a.fff(0), a.fff(3), a.fff(6), cell_size(it)?)))
    }),
    f("VortexWall", "ffff", Type::Config, "mx left and right, circulation, polarity", |it, a| {
        let height = it.engine.mesh()?.size()[1];
        Ok(Value::Config(Config::vortex_wall(a.f(0), a.f(1), a.f(2), a.f(3), cell_size(it)?, height)))
    }),
    f("RandomMag", "", Type::Config, "Random directions, seed 0", |_, _| config(Config::random(0))),
    f("RandomMagSeed", "i", Type::Config, "Random directions of a seed", |_, a| config(Config::random(a.i(0)))),
    f("Conical", "vvf", Type::Config, "Wave vector (rad/m), axis, cone angle (rad)", |_, a| {
        config(Config::conical(a.v(0), a.v(1), a.f(2)))
    }),
    f("Helical", "v", Type::Config, "Wave vector (rad/m)", |_, a| config(Config::helical(a.v(0)))),
    f("HopfionCompactSupport", "ff", Type::Config, "Major and minor radius (m)", |_, a| config(Config::hopfion(a.f(0), a.f(1)))),
    // --- material
    Entry { name: "Msat", kind: Kind::Parameter(P::Msat), about: "Saturation magnetisation" },
    Entry { name: "Aex", kind: Kind::Parameter(P::Aex), about: "Exchange stiffness" },
    Entry { name: "Dind", kind: Kind::Parameter(P::Dind), about: "Interfacial DMI" },
    Entry { name: "Dbulk", kind: Kind::Parameter(P::Dbulk), about: "Bulk DMI" },
    Entry { name: "Ku1", kind: Kind::Parameter(P::Ku1), about: "Uniaxial anisotropy, first" },
    Entry { name: "Ku2", kind: Kind::Parameter(P::Ku2), about: "Uniaxial anisotropy, second" },
    Entry { name: "anisU", kind: Kind::Parameter(P::AnisU), about: "Its axis" },
    Entry { name: "Kc1", kind: Kind::Parameter(P::Kc1), about: "Cubic anisotropy, first" },
    Entry { name: "Kc2", kind: Kind::Parameter(P::Kc2), about: "Cubic anisotropy, second" },
    Entry { name: "Kc3", kind: Kind::Parameter(P::Kc3), about: "Cubic anisotropy, third" },
    Entry { name: "anisC1", kind: Kind::Parameter(P::AnisC1), about: "Its first axis" },
    Entry { name: "anisC2", kind: Kind::Parameter(P::AnisC2), about: "Its second axis" },
    Entry { name: "alpha", kind: Kind::Parameter(P::Alpha), about: "Gilbert damping" },
    Entry { name: "Temp", kind: Kind::Parameter(P::Temp), about: "Temperature" },
    Entry { name: "frozenspins", kind: Kind::Parameter(P::FrozenSpins), about: "1 where spins do not move" },
    Entry { name: "NoDemagSpins", kind: Kind::Parameter(P::NoDemagSpins), about: "1 where spins do not demagnetise" },
    Entry { name: "xi", kind: Kind::Parameter(P::Xi), about: "Non-adiabaticity" },
    Entry { name: "Pol", kind: Kind::Parameter(P::Pol), about: "Polarisation of the current" },
    Entry { name: "Lambda", kind: Kind::Parameter(P::Lambda), about: "Slonczewski asymmetry" },
    Entry { name: "EpsilonPrime", kind: Kind::Parameter(P::EpsilonPrime), about: "Field-like spin-transfer efficiency" },
    Entry {
        name: "FreeLayerThickness",
        kind: Kind::Parameter(P::FreeLayerThickness),
        about: "Thickness that takes up the spin current; 0 is the mesh's",
    },
    Entry { name: "B1", kind: Kind::Parameter(P::B1), about: "Magneto-elastic coupling, first" },
    Entry { name: "B2", kind: Kind::Parameter(P::B2), about: "Magneto-elastic coupling, second" },
    // --- excitations
    Entry { name: "B_ext", kind: Kind::Excitation(P::BExt), about: "Applied field" },
    Entry { name: "J", kind: Kind::Excitation(P::J), about: "Current density" },
    Entry { name: "FixedLayer", kind: Kind::Excitation(P::FixedLayer), about: "Direction of the fixed layer" },
    Entry { name: "exx", kind: Kind::Excitation(P::Exx), about: "Strain" },
    Entry { name: "eyy", kind: Kind::Excitation(P::Eyy), about: "Strain" },
    Entry { name: "ezz", kind: Kind::Excitation(P::Ezz), about: "Strain" },
    Entry { name: "exy", kind: Kind::Excitation(P::Exy), about: "Strain" },
    Entry { name: "exz", kind: Kind::Excitation(P::Exz), about: "Strain" },
    Entry { name: "eyz", kind: Kind::Excitation(P::Eyz), about: "Strain" },
    Entry { name: "m", kind: Kind::Magnetisation, about: "Reduced magnetisation" },
    // --- switches and couplings
    variable!("EnableDemag", Bool, "Demagnetisation", engine.settings.enable_demag),
    variable!("DemagAccuracy", Float, "Points per distance of the sampled demagnetising tensor", engine.settings.demag_accuracy),
    variable!("OpenBC", Bool, "Open boundary condition of DMI", engine.settings.open_bc),
    f("ext_ScaleExchange", "iif", Type::Nothing, "Factor on the exchange between two regions", |it, a| pair(it, P::Aex, a, true)),
    f("ext_InterExchange", "iif", Type::Nothing, "Exchange between two regions (J/m)", |it, a| pair(it, P::Aex, a, false)),
    f("ext_ScaleDind", "iif", Type::Nothing, "Factor on the DMI between two regions", |it, a| pair(it, P::Dind, a, true)),
    f("ext_InterDind", "iif", Type::Nothing, "DMI between two regions (J/m2)", |it, a| pair(it, P::Dind, a, false)),
    variable!("GammaLL", Float, "Gyromagnetic ratio (rad/(T s))", engine.settings.gamma),
    variable!("DoPrecess", Bool, "Precession", engine.settings.do_precess),
    variable!("DisableZhangLiTorque", Bool, "Leaves out Zhang-Li torque", engine.settings.disable_zhang_li),
    variable!("DisableSlonczewskiTorque", Bool, "Leaves out Slonczewski torque", engine.settings.disable_slonczewski),
    Entry {
        name: "FixedLayerPosition",
        kind: Kind::Variable(
            Type::Token,
            |it| Value::Token(if it.engine.settings.fixed_layer_bottom { "FIXEDLAYER_BOTTOM" } else { "FIXEDLAYER_TOP" }),
            |it, v| {
                let Value::Token(t @ ("FIXEDLAYER_TOP" | "FIXEDLAYER_BOTTOM")) = v else {
                    return Err(Fault::new("the fixed layer lies on top or at the bottom", "FIXEDLAYER_TOP or FIXEDLAYER_BOTTOM"));
                };
                it.engine.settings.fixed_layer_bottom = t == "FIXEDLAYER_BOTTOM";
                it.engine.touch();
                Ok(())
            },
        ),
        about: "Where the fixed layer lies; it decides the sign of the torque",
    },
    Entry { name: "FIXEDLAYER_TOP", kind: Kind::Constant(Type::Token, || Value::Token("FIXEDLAYER_TOP")), about: "See FixedLayerPosition" },
    Entry {
        name: "FIXEDLAYER_BOTTOM",
        kind: Kind::Constant(Type::Token, || Value::Token("FIXEDLAYER_BOTTOM")),
        about: "See FixedLayerPosition",
    },
    f("ThermSeed", "i", Type::Nothing, "Seed of the thermal field", |it, a| {
        it.engine.set_seed(a.i(0));
        Ok(Value::Nothing)
    }),
    f(
        "ext_rmSurfaceCharge",
        "iff",
        Type::Nothing,
        "Cancels the charges at the left and right end of a wire: region, mx left, mx right",
        |it, a| {
            let r = region(a.i(0))?;
            nothing(end_charges(it, r, a.f(1), a.f(2)))
        },
    ),
    variable!("MFMLift", Float, "Height of the MFM tip (m)", engine.settings.mfm[0]),
    variable!("MFMDipole", Float, "Length of the MFM tip (m)", engine.settings.mfm[1]),
    f("ext_EnableUnsafe", "", Type::Nothing, "Nothing; kept for old scripts", |_, _| Ok(Value::Nothing)),
    // --- running
    f("Run", "f", Type::Nothing, "Runs for a time (s)", |it, a| it.run_for(a.f(0))),
    f("Steps", "i", Type::Nothing, "Takes a number of steps", |it, a| it.run_steps(a.i(0))),
    f("RunWhile", "B", Type::Nothing, "Runs while a condition holds", |it, a| it.run_while(&it.live(&a.0[0]))),
    f("Relax", "", Type::Nothing, "Relaxes to a minimum of the energy", |it, _| it.settle(Engine::relaxing)),
    f("Minimize", "", Type::Nothing, "Steepest descent to a minimum of the energy", |it, _| it.settle(Engine::minimising)),
    f("SetSolver", "i", Type::Nothing, "Method by number: -1, 1 to 6", |it, a| nothing(it.engine.set_solver(a.i(0)))),
    f("ClearPostSteps", "", Type::Nothing, "Forgets what is done after every step", |it, _| {
        it.engine.hooks.clear();
        Ok(Value::Nothing)
    }),
    f("Exit", "", Type::Nothing, "Ends the script", |_, _| Err(Stop::Exit)),
    Entry {
        name: "t",
        kind: Kind::Variable(
            Type::Single(1),
            |_| Value::Quantity(Arc::new(Quantity::Named("t"))),
            |it, v| {
                it.engine.set_time(number(&v));
                Ok(())
            },
        ),
        about: "Time (s)",
    },
    variable!("step", Int, "Steps taken", engine.steps),
    variable!("MinDt", Float, "Smallest step (s); 0 is none", engine.settings.min_dt),
    variable!("MaxDt", Float, "Largest step (s); 0 is none", engine.settings.max_dt),
    variable!("FixDt", Float, "Fixed step (s); 0 is adaptive", engine.settings.fix_dt),
    variable!("MaxErr", Float, "Largest error per step", engine.settings.max_err),
    variable!("Headroom", Float, "Safety factor of the step", engine.settings.headroom),
    variable!("RelaxTorqueThreshold", Float, "Torque (T) below which relax ends; -1 is automatic", engine.settings.relax_torque_threshold),
    variable!("MinimizerStop", Float, "Largest turn below which minimize ends", engine.settings.minimizer_stop),
    variable!("MinimizerSamples", Int, "Over how many steps", engine.settings.minimizer_samples),
    // --- moving window
    f("Shift", "i", Type::Nothing, "Moves the contents of the window by cells along x", |it, a| nothing(it.engine.move_window(0, a.i(0)))),
    variable!("EdgeCarryShift", Bool, "Whether what was at the edge comes in", engine.settings.edge_carry),
    variable!("ShiftMagL", Vector, "m that comes in from the left", engine.settings.shift_mag[0]),
    variable!("ShiftMagR", Vector, "m that comes in from the right", engine.settings.shift_mag[1]),
    variable!("ShiftMagU", Vector, "m that comes in from above", engine.settings.shift_mag[2]),
    variable!("ShiftMagD", Vector, "m that comes in from below", engine.settings.shift_mag[3]),
    variable!("ShiftM", Bool, "Whether m moves with the window", engine.settings.shifts[0]),
    variable!("ShiftGeom", Bool, "Whether the geometry moves with the window", engine.settings.shifts[1]),
    variable!("ShiftRegions", Bool, "Whether regions move with the window", engine.settings.shifts[2]),
    variable!("TotalShift", Float, "Way of the window along x (m)", engine.shift[0]),
    f("ext_centerWall", "i", Type::Nothing, "Keeps a component of m near zero by moving the window", |it, a| hook(it, a.i(0), None, None)),
    f("ext_centerWallInRegion", "ii", Type::Nothing, "The same in one region", |it, a| hook(it, a.i(0), Some(a.i(1)), None)),
    f("ext_centerWallInLayer", "ii", Type::Nothing, "The same in one layer", |it, a| hook(it, a.i(0), None, Some(a.i(1)))),
    f("ext_centerBubble", "", Type::Nothing, "Keeps a bubble in the middle by moving the window", |it, _| {
        it.engine.hooks.push(Hook::CentreBubble);
        Ok(Value::Nothing)
    }),
    variable!("ext_enableCenterBubbleX", Bool, "Along x", engine.settings.centre_bubble[0]),
    variable!("ext_enableCenterBubbleY", Bool, "Along y", engine.settings.centre_bubble[1]),
    variable!("ext_BubbleMz", Float, "Direction of the bubble, 1 or -1", engine.settings.bubble_mz),
    variable!("ext_BackGroundTilt", Float, "Tilt of the background that still belongs to it", engine.settings.background_tilt),
    // --- output
    f("Save", "q", Type::Nothing, "Writes a field to a numbered file", |it, a| it.save(&a.q(0), None, false)),
    f("SaveAs", "qs", Type::Nothing, "Writes a field to a named file", |it, a| it.save(&a.q(0), Some(a.s(1)), false)),
    f("AutoSave", "qf", Type::Nothing, "Writes a field every period (s); 0 ends it", |it, a| it.automatic(a.q(0), a.f(1), false)),
    f("Snapshot", "q", Type::Nothing, "Writes a picture to a numbered file", |it, a| it.save(&a.q(0), None, true)),
    f("SnapshotAs", "qs", Type::Nothing, "Writes a picture to a named file", |it, a| it.save(&a.q(0), Some(a.s(1)), true)),
    f("AutoSnapshot", "qf", Type::Nothing, "Writes a picture every period (s)", |it, a| it.automatic(a.q(0), a.f(1), true)),
    Entry {
        name: "SnapshotFormat",
        kind: Kind::Variable(
            Type::Str,
            |it| Value::Str(it.output.snapshot_format.as_str().into()),
            |it, v| {
                let format = text::show(&v).to_lowercase();
                if !["jpg", "jpeg", "png", "gif"].contains(&format.as_str()) {
                    return Err(Fault::new(format!("there are no pictures of format `{format}`"), "jpg, png or gif"));
                }
                it.output.snapshot_format = format;
                Ok(())
            },
        ),
        about: "jpg, png or gif",
    },
    Entry {
        name: "FilenameFormat",
        kind: Kind::Variable(
            Type::Str,
            |it| Value::Str(it.output.filename_format.as_str().into()),
            |it, v| {
                it.output.filename_format = text::show(&v);
                Ok(())
            },
        ),
        about: "Form of numbered files' names",
    },
    Entry {
        name: "OutputFormat",
        kind: Kind::Variable(
            Type::Token,
            |it| Value::Token(format_name(it.output.format)),
            |it, v| {
                it.output.format = match v {
                    Value::Token("OVF1_TEXT") => Format::Ovf(1, OvfFormat::Text),
                    Value::Token("OVF1_BINARY") => Format::Ovf(1, OvfFormat::Binary4),
                    Value::Token("OVF2_TEXT") => Format::Ovf(2, OvfFormat::Text),
                    Value::Token("OVF2_BINARY") => Format::Ovf(2, OvfFormat::Binary4),
                    Value::Token("DUMP") => {
                        it.output.log("//DUMP: mumax3's own form is not described anywhere; the .dump files hold OVF 2, binary");
                        Format::Dump
                    }
                    _ => return Err(Fault::new("this is no output format", "OVF1_TEXT, OVF1_BINARY, OVF2_TEXT, OVF2_BINARY or DUMP")),
                };
                Ok(())
            },
        ),
        about: "How fields are written",
    },
    Entry { name: "OVF1_TEXT", kind: Kind::Constant(Type::Token, || Value::Token("OVF1_TEXT")), about: "Output format" },
    Entry { name: "OVF1_BINARY", kind: Kind::Constant(Type::Token, || Value::Token("OVF1_BINARY")), about: "Output format" },
    Entry { name: "OVF2_TEXT", kind: Kind::Constant(Type::Token, || Value::Token("OVF2_TEXT")), about: "Output format" },
    Entry { name: "OVF2_BINARY", kind: Kind::Constant(Type::Token, || Value::Token("OVF2_BINARY")), about: "Output format" },
    Entry {
        name: "DUMP",
        kind: Kind::Constant(Type::Token, || Value::Token("DUMP")),
        about: "Output format; files of this ending that hold OVF 2",
    },
    f("TableAdd", "q", Type::Nothing, "Adds a quantity's columns to the table", |it, a| it.add_column(Column::Quantity(a.q(0)))),
    f("TableAddVar", "Ess", Type::Nothing, "Adds an expression, with name and unit, to the table", |it, a| {
        let column = Column::Live { expression: it.live(&a.0[0]), name: a.s(1).into(), unit: a.s(2).into() };
        it.add_column(column)
    }),
    f("TableSave", "", Type::Nothing, "Writes a row", |it, _| it.table_row().map(|()| Value::Nothing)),
    f("TableAutoSave", "f", Type::Nothing, "Writes a row every period (s)", |it, a| {
        it.output.table_period = (a.f(0) > 0.0).then(|| Periodic::new(a.f(0), it.engine.time()));
        Ok(Value::Nothing)
    }),
    f("TablePrint", "x*", Type::Nothing, "Writes a line into the table", |it, a| {
        let line = it.joined(a, " ")?;
        it.output.table_line(&line);
        Ok(Value::Nothing)
    }),
    f("Print", "x*", Type::Nothing, "Writes a line to the log", |it, a| {
        let line = it.joined(a, " ")?;
        it.output.log(&format!("//{line}"));
        if !it.output.loud && it.prints && !it.engine.journal.replaying() {
            println!("{line}");
        }
        Ok(Value::Nothing)
    }),
    f("Fprintln", "sx*", Type::Nothing, "Appends a line to a file", |it, a| {
        let line = it.joined(&Args(a.0[1..].to_vec()), " ")?;
        nothing(it.output.line(a.s(0), &line))
    }),
    f("Flush", "", Type::Nothing, "Writes what waits", |it, _| nothing(it.output.flush())),
    f("Crop", "qiiiiii", Type::Field(0), "A box of cells: from and up to along x, y, z", |_, a| {
        let range = [bounds(a.i(1), a.i(2))?, bounds(a.i(3), a.i(4))?, bounds(a.i(5), a.i(6))?];
        quantity(Quantity::Crop(a.q(0), range))
    }),
    f("CropX", "qii", Type::Field(0), "Cells from and up to along x", |_, a| crop(a, 0)),
    f("CropY", "qii", Type::Field(0), "Cells from and up to along y", |_, a| crop(a, 1)),
    f("CropZ", "qii", Type::Field(0), "Cells from and up to along z", |_, a| crop(a, 2)),
    f("CropLayer", "qi", Type::Field(0), "One layer", |_, a| {
        let mut range = [[0, usize::MAX]; 3];
        range[2] = bounds(a.i(1), a.i(1).saturating_add(1))?;
        quantity(Quantity::Crop(a.q(0), range))
    }),
    f("CropRegion", "qi", Type::Field(0), "The smallest box around a region", |it, a| {
        let r = region(a.i(1))?;
        let n = it.engine.mesh()?.n;
        let mut range = [[usize::MAX, 0]; 3];
        for i in (0..it.engine.regions.len()).filter(|i| it.engine.regions[*i] == r) {
            for (b, at) in range.iter_mut().zip([i % n[0], i / n[0] % n[1], i / (n[0] * n[1])]) {
                *b = [b[0].min(at), b[1].max(at + 1)];
            }
        }
        if range[0][1] == 0 {
            return Err(Stop::Fault(Fault::new(format!("no cell belongs to region {r}"), "")));
        }
        quantity(Quantity::Crop(a.q(0), range))
    }),
    // --- custom quantities
    f("AddFieldTerm", "q", Type::Nothing, "Adds a quantity to the effective field (T)", |it, a| {
        if it.engine.fits(&a.q(0))? != it.engine.mesh()?.n {
            return Err(Fault::new("a field term goes over the whole mesh", "mask it instead of cropping it").into());
        }
        if a.q(0).components() != 3 {
            return Err(Fault::new(format!("a field term is a vector, and {} is a number", a.q(0).name()), "").into());
        }
        it.engine.custom_fields.push(a.q(0));
        it.engine.touch();
        Ok(Value::Nothing)
    }),
    f("AddEdensTerm", "q", Type::Nothing, "Adds a quantity to the energy density (J/m3)", |it, a| {
        if it.engine.fits(&a.q(0))? != it.engine.mesh()?.n {
            return Err(Fault::new("an energy term goes over the whole mesh", "mask it instead of cropping it").into());
        }
        if a.q(0).components() != 1 {
            return Err(Fault::new(format!("an energy density is a number, and {} a vector", a.q(0).name()), "").into());
        }
        // Else it would be part of what it is made of.
        if a.q(0).mentions(&["E_total", "E_custom", "Edens_total", "Edens_custom"]) {
            return Err(Fault::new(format!("{} holds the energy that it would be added to", a.q(0).name()), "").into());
        }
        it.engine.custom_energies.push(a.q(0));
        it.engine.touch();
        Ok(Value::Nothing)
    }),
    f("RemoveCustomFields", "", Type::Nothing, "Takes all field terms away", |it, _| {
        it.engine.custom_fields.clear();
        it.engine.touch();
        Ok(Value::Nothing)
    }),
    f("RemoveCustomEnergies", "", Type::Nothing, "Takes all energy terms away", |it, _| {
        it.engine.custom_energies.clear();
        it.engine.touch();
        Ok(Value::Nothing)
    }),
    f("Add", "qq", Type::Field(0), "a + b", |_, a| quantity(Quantity::Madd(a.q(0), a.q(1), 1.0, 1.0))),
    f("Madd", "qqff", Type::Field(0), "c1 a + c2 b", |_, a| quantity(Quantity::Madd(a.q(0), a.q(1), a.f(2), a.f(3)))),
    f("Mul", "qq", Type::Field(0), "Pointwise product", |_, a| quantity(Quantity::Mul(a.q(0), a.q(1)))),
    f("Div", "qq", Type::Field(0), "Pointwise quotient; x/0 = 0", |_, a| quantity(Quantity::Div(a.q(0), a.q(1)))),
    f("Dot", "qq", Type::Field(1), "a.b", |_, a| quantity(Quantity::Dot(a.q(0), a.q(1)))),
    f("Cross", "qq", Type::Field(3), "a x b", |_, a| quantity(Quantity::Cross(a.q(0), a.q(1)))),
    f("MulMV", "qqqq", Type::Field(3), "Three rows of a matrix on a vector", |_, a| {
        quantity(Quantity::MulMv([a.q(0), a.q(1), a.q(2)], a.q(3)))
    }),
    f("Const", "f", Type::Field(1), "The same number everywhere", |_, a| quantity(Quantity::Const(vec![a.f(0)]))),
    f("ConstVector", "fff", Type::Field(3), "The same vector everywhere", |_, a| quantity(Quantity::Const(a.fff(0).to_vec()))),
    f("Shifted", "qiii", Type::Field(0), "Moved by cells; zeros come in", |_, a| quantity(Quantity::Shifted(a.q(0), a.iii(1)))),
    f("Masked", "qS", Type::Field(0), "Zero outside a shape", |_, a| quantity(Quantity::Masked(a.q(0), a.shape(1).clone()))),
    f("Normalized", "q", Type::Field(0), "Unit vectors", |_, a| quantity(Quantity::Normalized(a.q(0)))),
    f("RunningAverage", "q", Type::Field(0), "Average over time from now on", |it, a| {
        it.engine.fits(&a.q(0)).map_err(Stop::Fault)?;
        let average = Arc::new(Mutex::new(Average::default()));
        if !it.engine.journal.replaying() {
            it.engine.magnet()?.follow(&a.q(0), &average);
        }
        it.engine.averages.push((a.q(0), average.clone()));
        quantity(Quantity::RunningAverage(a.q(0), average))
    }),
    f("Sum", "q", Type::Float, "Sum over the cells", |it, a| {
        let f = it.engine.field(&a.q(0))?;
        Ok(Value::Float(f.data.iter().sum()))
    }),
    f("SumVector", "q", Type::Vector, "Sums of the components over the cells", |it, a| {
        let f = it.engine.field(&a.q(0))?;
        Ok(Value::Vector(std::array::from_fn(|c| if c < f.components { f.component(c).data.iter().sum() } else { 0.0 })))
    }),
    // --- data and tests
    f("LoadFile", "s", Type::Data, "Reads an OVF file", |it, a| load(it, a.s(0)).map(data).map_err(Stop::Fault)),
    f("NewSlice", "iiii", Type::Data, "Zeros: components, cells along x, y, z", |_, a| zeros(a.i(0), a.iii(1))),
    f("NewVectorMask", "iii", Type::Data, "Zeros of three components", |_, a| zeros(3, a.iii(0))),
    f("NewScalarMask", "iii", Type::Data, "Zeros of one component", |_, a| zeros(1, a.iii(0))),
    f("FunctionFromDatafile", "siis", Type::Curve, "Interpolates two columns of a file: linear, nearest or step", |it, a| {
        curve(it, a).map_err(Stop::Fault)
    }),
    f("Vector", "fff", Type::Vector, "Three numbers", |_, a| Ok(Value::Vector(a.fff(0)))),
    m1("Sign", |x| {
        if x > 0.0 {
            1.0
        } else if x < 0.0 {
            -1.0
        } else {
            0.0
        }
    }),
    Entry { name: "Mu0", kind: Kind::Constant(Type::Float, || Value::Float(MU0)), about: "Vacuum permeability (T m/A)" },
    f("Expect", "sfff", Type::Nothing, "Ends with an error unless |have - want| <= tolerance", |it, a| {
        expect(it, a.s(0), a.f(1), a.f(2), a.f(3)).map(|()| Value::Nothing)
    }),
    f("ExpectV", "svvf", Type::Nothing, "The same for every component", |it, a| {
        for c in 0..3 {
            expect(it, &format!("{}[{c}]", a.s(0)), a.v(1)[c], a.v(2)[c], a.f(3))?;
        }
        Ok(Value::Nothing)
    }),
    // --- mathematics
    m1("abs", f64::abs),
    m1("acos", f64::acos),
    m1("acosh", f64::acosh),
    m1("asin", f64::asin),
    m1("asinh", f64::asinh),
    m1("atan", f64::atan),
    m1("atanh", f64::atanh),
    m1("cbrt", f64::cbrt),
    m1("ceil", f64::ceil),
    m1("cos", f64::cos),
    m1("cosh", f64::cosh),
    m1("erf", libm::erf),
    m1("erfc", libm::erfc),
    m1("exp", f64::exp),
    m1("exp2", f64::exp2),
    m1("expm1", f64::exp_m1),
    m1("floor", f64::floor),
    m1("gamma", libm::tgamma),
    m1("j0", libm::j0),
    m1("j1", libm::j1),
    m1("log", f64::ln),
    m1("log10", f64::log10),
    m1("log1p", f64::ln_1p),
    m1("log2", f64::log2),
    m1("logb", |x| if x == 0.0 { f64::NEG_INFINITY } else { f64::from(libm::ilogb(x)) }),
    m1("sin", f64::sin),
    m1("sinh", f64::sinh),
    m1("sqrt", f64::sqrt),
    m1("tan", f64::tan),
    m1("tanh", f64::tanh),
    m1("trunc", f64::trunc),
    m1("y0", libm::y0),
    m1("y1", libm::y1),
    f("ilogb", "f", Type::Int, "Binary exponent", |_, a| Ok(Value::Int(i64::from(libm::ilogb(a.f(0)))))),
    f("pow10", "i", Type::Float, "Power of ten", |_, a| Ok(Value::Float(10f64.powi(a.i(0) as i32)))),
    m2("atan2", f64::atan2),
    m2("hypot", f64::hypot),
    m2("remainder", libm::remainder),
    m2("max", f64::max),
    m2("min", f64::min),
    m2("mod", |a, b| a % b),
    m2("pow", f64::powf),
    m2("yn", |n, x| bessel(|n, x| libm::yn(n as i32, x), n, x)),
    m2("jn", |n, x| bessel(|n, x| libm::jn(n as i32, x), n, x)),
    m2("ldexp", |x, n| libm::ldexp(x, n as i32)),
    f("isInf", "fi", Type::Bool, "Whether a number is infinite; sign 1, -1 or 0 for either", |_, a| {
        Ok(Value::Bool(a.f(0).is_infinite() && (a.i(1) == 0 || (a.i(1) > 0) == (a.f(0) > 0.0))))
    }),
    f("isNaN", "f", Type::Bool, "Whether it is not a number", |_, a| Ok(Value::Bool(a.f(0).is_nan()))),
    m1("norm", |x| (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt()),
    m1("heaviside", |x| {
        if x > 0.0 {
            1.0
        } else if x < 0.0 {
            0.0
        } else {
            0.5
        }
    }),
    m1("sinc", |x| if x == 0.0 { 1.0 } else { x.sin() / x }),
    f("randSeed", "i", Type::Nothing, "Seeds rand and its like", |it, a| {
        it.random = GoRandom::new(a.i(0));
        Ok(Value::Nothing)
    }),
    f("rand", "", Type::Float, "Uniform in [0, 1)", |it, _| Ok(Value::Float(it.random.uniform()))),
    f("randExp", "", Type::Float, "Exponential with mean 1", |it, _| Ok(Value::Float(it.random.exponential()))),
    f("randNorm", "", Type::Float, "Standard normal", |it, _| Ok(Value::Float(it.random.normal()))),
    f("randInt", "i", Type::Int, "0 to n - 1", |it, a| match u32::try_from(a.i(0)) {
        Ok(n) if n > 0 => Ok(Value::Int(i64::from(it.random.below(n)))),
        _ => Err(Stop::Fault(Fault::new(format!("randInt({}) has nothing to choose from", a.i(0)), "give a number from 1"))),
    }),
    f("sprint", "x*", Type::Str, "Text of values", |it, a| {
        // A space stands between two values of which neither is a text.
        let mut text = String::new();
        for (i, v) in a.0.iter().enumerate() {
            let plain = |v: &Value| !matches!(v, Value::Str(_));
            if i > 0 && plain(v) && plain(&a.0[i - 1]) {
                text.push(' ');
            }
            text += &text::show(&it.shown(v)?);
        }
        Ok(Value::Str(text.into()))
    }),
    f("sprintf", "sx*", Type::Str, "Text by a format", |it, a| {
        let values: Vec<Value> = a.0[1..].iter().map(|v| it.shown(v)).collect::<Result<_, _>>()?;
        let arguments: Vec<text::Arg<'_>> = values.iter().map(text::arg).collect();
        Ok(Value::Str(text::format(a.s(0), &arguments).into()))
    }),
    f("now", "", Type::Instant, "Wall-clock time", |_, _| Ok(Value::Instant(std::time::Instant::now()))),
    f("since", "D", Type::Duration, "Wall-clock time gone by", |it, a| {
        let Value::Instant(t) = &a.0[0] else { return Ok(Value::Nothing) };
        if let Some(v) = it.engine.journal.again(Told::Clock)? {
            return Ok(Value::Duration(v[0]));
        }
        let seconds = t.elapsed().as_secs_f64();
        it.engine.journal.note(Told::Clock, &[seconds]);
        Ok(Value::Duration(seconds))
    }),
    Entry { name: "pi", kind: Kind::Constant(Type::Float, || Value::Float(std::f64::consts::PI)), about: "3.14159…" },
    Entry { name: "inf", kind: Kind::Constant(Type::Float, || Value::Float(f64::INFINITY)), about: "Infinity" },
    Entry { name: "true", kind: Kind::Constant(Type::Bool, || Value::Bool(true)), about: "Truth" },
    Entry { name: "false", kind: Kind::Constant(Type::Bool, || Value::Bool(false)), about: "Falsehood" },
];

/// What mumax3 does not have. Its scripts may give these names to variables of their own.
pub const ADDED: &[Entry] = &[
    Entry {
        name: "theta_SH",
        kind: Kind::Parameter(P::ThetaSh),
        about: "Spin Hall angle of a current in the plane beside the magnet (set Pol to 0 then)",
    },
    Entry { name: "beta_FL", kind: Kind::Parameter(P::BetaFl), about: "Field-like over damping-like spin-orbit torque" },
    Entry { name: "xi_VCMA", kind: Kind::Parameter(P::XiVcma), about: "Voltage-controlled anisotropy (J/(V m))" },
    Entry { name: "E_z", kind: Kind::Excitation(P::Ez), about: "Electric field across the barrier (V/m)" },
    f(
        "ext_InterlayerCoupling",
        "iiff",
        Type::Nothing,
        "Bilinear J1 and biquadratic J2 (J/m2) between two layers across a spacer",
        |it, a| coupling(it, a, |c| (c.j1, c.j2) = (a.f(2), a.f(3))),
    ),
    f("ext_InterlayerDMI", "iiv", Type::Nothing, "Interlayer DMI vector (J/m2) between two layers across a spacer", |it, a| {
        coupling(it, a, |c| c.d = a.v(2))
    }),
];

fn zeros(components: i64, n: [i64; 3]) -> Result<Value, Stop> {
    if components < 1 || n.iter().any(|n| *n < 1) {
        return Err(Stop::Fault(Fault::new("data has at least one component and one cell along every axis", "")));
    }
    let bytes = 8.0 * components as f64 * n.iter().map(|n| *n as f64).product::<f64>();
    let free = free_memory().unwrap_or(f64::from(u32::MAX));
    if bytes > free {
        let message = format!(
            "data of {components} x {} x {} x {} numbers need about {:.1} GiB, and {:.1} GiB are free",
            n[0],
            n[1],
            n[2],
            bytes / f64::from(1 << 30),
            free / f64::from(1 << 30)
        );
        return Err(Stop::Fault(Fault::new(message, "a mask has as many cells as the mesh")));
    }
    Ok(data(Field::zeros(components as usize, n.map(|n| n as usize))))
}

fn format_name(format: Format) -> &'static str {
    match format {
        Format::Ovf(1, OvfFormat::Text) => "OVF1_TEXT",
        Format::Ovf(1, _) => "OVF1_BINARY",
        Format::Ovf(_, OvfFormat::Text) => "OVF2_TEXT",
        Format::Ovf(..) => "OVF2_BINARY",
        Format::Dump => "DUMP",
    }
}

/// The centre of a cell (m), which may lie outside the mesh, in a window that has moved.
fn centre(it: &Interpreter, at: [i64; 3]) -> Result<[f64; 3], Fault> {
    let (mesh, s) = (it.engine.mesh()?, it.engine.shift);
    let p: [f64; 3] = std::array::from_fn(|k| (at[k] as f64 - 0.5 * (mesh.n[k] as f64 - 1.0)) * mesh.cell[k]);
    Ok([p[0] - s[0], p[1] - s[1], p[2]])
}

fn cell_size(it: &Interpreter) -> Result<f64, Stop> {
    Ok(it.engine.mesh()?.cell[0])
}

fn layers(it: &Interpreter, from: i64, to: i64) -> Result<Value, Stop> {
    let mesh = it.engine.mesh()?;
    let at = |k: i64| (k as f64 - 0.5 * mesh.n[2] as f64) * mesh.cell[2];
    // Half a cell's thousandth of room, for positions are rounded.
    let room = 5e-4 * mesh.cell[2];
    shape(Shape::range(2, at(from) - room, at(to) - room))
}

fn hook(it: &mut Interpreter, component: i64, r: Option<i64>, layer: Option<i64>) -> Result<Value, Stop> {
    if !(0..3).contains(&component) {
        return Err(Stop::Fault(Fault::new(format!("m has no component {component}"), "0, 1 or 2")));
    }
    let region = r.map(region).transpose()?;
    let hook = Hook::CentreWall { component: component as usize, region, layer: layer.map(|l| l.max(0) as usize) };
    it.engine.hooks.push(hook);
    Ok(Value::Nothing)
}

/// The entry of a name in lower case.
pub fn find(name: &str) -> Option<Entry> {
    thread_local! {
        static INDEX: HashMap<String, Entry> = all().into_iter().map(|e| (e.name.to_lowercase(), e)).collect();
    }
    INDEX.with(|index| index.get(name).copied())
}

/// Whether a script may not define this name (in lower case): it is one of mumax3's.
pub fn is_taken(name: &str) -> bool {
    find(name).is_some() && !ADDED.iter().any(|e| e.name.eq_ignore_ascii_case(name))
}

/// All entries: [`NAMES`], [`ADDED`] and the named quantities.
pub fn all() -> Vec<Entry> {
    let taken = |name: &str| NAMES.iter().any(|e| e.name.eq_ignore_ascii_case(name));
    let quantities = QUANTITIES.iter().filter(|q| !taken(q.name)).map(|q| Entry { name: q.name, kind: Kind::Quantity(q), about: q.about });
    NAMES.iter().chain(ADDED).copied().chain(quantities).collect()
}

/// What a quantity is as a value of the language.
pub fn type_of(q: &Quantity) -> Type {
    match q {
        Quantity::Named("m") => Type::Magnetisation,
        Quantity::Named("regions") => Type::Regions,
        Quantity::Named("geom") => Type::Geometry,
        Quantity::Named(name) => match (parameter(name).and_then(|_| find(&name.to_lowercase())), named(name)) {
            (Some(e), _) => e.value_type(),
            (None, Some(n)) if !n.space => Type::Single(n.components),
            _ => Type::Field(q.components()),
        },
        _ => Type::Field(q.components()),
    }
}

/// The arguments and the type of a method, where a type has it.
pub fn method(of: Type, name: &str) -> Option<(&'static str, Type)> {
    let scalar = |n: usize| if n == 3 { Type::Vector } else { Type::Float };
    let n = of.components();
    Some(match (of, name) {
        (Type::Shape, "transl" | "scale" | "repeat") => ("fff", Type::Shape),
        (Type::Shape, "rotx" | "roty" | "rotz") => ("f", Type::Shape),
        (Type::Shape, "add" | "intersect" | "sub" | "xor") => ("S", Type::Shape),
        (Type::Shape, "inverse") => ("", Type::Shape),
        (Type::Config, "transl" | "scale") => ("fff", Type::Config),
        (Type::Config, "rotz") => ("f", Type::Config),
        (Type::Config, "add") => ("fC", Type::Config),
        (Type::Parameter(_) | Type::Excitation(_), "setregion") => (if n == 3 { "iV" } else { "iF" }, Type::Nothing),
        (Type::Parameter(_) | Type::Excitation(_), "set") => (if n == 3 { "V" } else { "F" }, Type::Nothing),
        (Type::Parameter(_) | Type::Excitation(_), "getregion") => ("i", scalar(n)),
        (Type::Parameter(_) | Type::Excitation(_), "isuniform") => ("", Type::Bool),
        (Type::Excitation(_), "add") => ("dF", Type::Nothing),
        (Type::Excitation(_), "removeextraterms") => ("", Type::Nothing),
        (Type::Magnetisation, "set") => ("C", Type::Nothing),
        (Type::Magnetisation, "setregion") => ("iC", Type::Nothing),
        (Type::Magnetisation, "setinshape") => ("SC", Type::Nothing),
        (Type::Magnetisation, "setcell") => ("iiiv", Type::Nothing),
        (Type::Magnetisation, "getcell") => ("iii", Type::Vector),
        (Type::Magnetisation, "setarray") => ("d", Type::Nothing),
        (Type::Magnetisation | Type::Regions, "loadfile") => ("s", Type::Nothing),
        (Type::Regions, "setcell") => ("iiii", Type::Nothing),
        (Type::Regions, "getcell") => ("iii", Type::Int),
        (Type::Regions, "gpu") => ("", Type::Data),
        (Type::Geometry, "getcell") => ("iii", Type::Float),
        (Type::Single(n), "get" | "average") => ("", scalar(n)),
        (t, "comp") if t.is_quantity() => ("i", Type::Field(1)),
        (t, "region") if t.is_quantity() => ("i", Type::Field(n)),
        (t, "average") if t.is_quantity() => ("", if n == 0 { Type::Unknown } else { scalar(n) }),
        (t, "hostcopy") if t.is_quantity() => ("", Type::Data),
        (t, "name" | "unit") if t.is_quantity() => ("", Type::Str),
        (Type::Vector, "x" | "y" | "z" | "len") => ("", Type::Float),
        (Type::Vector, "add" | "sub" | "cross") => ("v", Type::Vector),
        (Type::Vector, "mul" | "div") => ("f", Type::Vector),
        (Type::Vector, "madd") => ("fv", Type::Vector),
        (Type::Vector, "dot") => ("v", Type::Float),
        (Type::Data, "get") => ("iiii", Type::Float),
        (Type::Data, "set") => ("iiiif", Type::Nothing),
        (Type::Data, "setscalar") => ("iiif", Type::Nothing),
        (Type::Data, "setvector") => ("iiiv", Type::Nothing),
        (Type::Data, "comp") => ("i", Type::Data),
        (Type::Data, "size") => ("", Type::Numbers),
        (Type::Data, "ncomp" | "len") => ("", Type::Int),
        (Type::Data, "hostcopy") => ("", Type::Data),
        (Type::Duration, "seconds" | "minutes" | "hours" | "milliseconds") => ("", Type::Float),
        _ => return None,
    })
}

/// Names of methods, for hints.
pub const METHODS: &[&str] = &[
    "transl",
    "scale",
    "repeat",
    "rotx",
    "roty",
    "rotz",
    "add",
    "intersect",
    "sub",
    "xor",
    "inverse",
    "setregion",
    "getregion",
    "region",
    "average",
    "isuniform",
    "comp",
    "removeextraterms",
    "set",
    "setinshape",
    "setcell",
    "getcell",
    "setarray",
    "loadfile",
    "hostcopy",
    "name",
    "unit",
    "get",
    "gpu",
    "x",
    "y",
    "z",
    "mul",
    "div",
    "madd",
    "dot",
    "cross",
    "len",
    "setscalar",
    "setvector",
    "size",
    "ncomp",
    "seconds",
];
