//! Kernel text of everything but transforms: cells, combination, reductions, noise, control. Memories and their layout are named here.

use crate::mesh::Mesh;
use crate::plan::{Cells, Combine, Dot, LARGEST_TURN, Motion, Ref, Rule};
use crate::terms::{Extra, FreeFace, Term, ghost_gpu};
use spinloom_gpu::{Binding, Element, HIGH, Kernel, PHILOX_ROUNDS, Precision, literal};
use std::fmt::Write;

/// Items in a group of the kernels that go cell by cell.
pub const GROUP: u32 = 128;

/// Places in a replica's part of `ctl`, in the precision of the fields.
pub mod ctl {
    #![allow(
        missing_docs,
        reason = "they are those of `Control`, but for time, which lies here as what is left and what has gone, in two parts each"
    )]
    pub const DT: usize = 0;
    pub const DT_NOW: usize = 1;
    pub const DT_MIN: usize = 2;
    pub const DT_MAX: usize = 3;
    pub const MAX_ERR: usize = 4;
    pub const HEADROOM: usize = 5;
    pub const ERR: usize = 6;
    pub const TORQUE: usize = 7;
    pub const LEFT: usize = 8;
    pub const GONE: usize = 10;
    pub const DESCENT: usize = 12;
    pub const SUMS: usize = 13;
    pub const GAMMA: usize = 16;
    pub const EVERY: usize = 17;
    pub const LONGEST: usize = 18;
    pub const TURN: usize = 19;
    /// How long ago the samples in the ring were taken, by place.
    pub const AGES: usize = 20;
    /// What each place of the ring counts in the field at the stage in progress.
    pub const WEIGHTS: usize = 23;
    /// Factors of the waveforms at the stage in progress.
    pub const WAVES: usize = 26;
}

/// Places in a replica's part of `state`.
pub mod state {
    #![allow(missing_docs, reason = "they are those of `Control`")]
    pub const STATUS: usize = 0;
    pub const SLOT: usize = 1;
    pub const FIXED: usize = 2;
    pub const STEPS: usize = 3;
    pub const ATTEMPTS: usize = 5;
    pub const EVALUATIONS: usize = 6;
    pub const ID: usize = 7;
    /// Key of the noise: seed and the upper half of the id.
    pub const KEY: usize = 8;
    pub const SAMPLING_FIXED: usize = 10;
    pub const ORDER: usize = 11;
    pub const COUNT: usize = 12;
    pub const NEWEST: usize = 13;
    pub const TAKEN: usize = 14;
    /// Whether the attempt in progress takes a sample.
    pub const DUE: usize = 15;
    pub const SIZE: usize = 16;
}

/// Where the tables of a term lie in a replica's part of `par`.
#[derive(Clone, Debug, Default)]
pub struct TermLayout {
    /// Start of each coefficient's table over regions, its waveform with its power, and whether it is divided by √dt.
    pub coefficients: Vec<(usize, Option<(usize, f64)>, bool)>,
    /// Start of the link tables along x, y, z.
    pub links: Vec<usize>,
}

/// Where everything lies.
#[derive(Clone, Debug)]
pub struct Names {
    /// The mesh.
    pub mesh: Mesh,
    /// The terms, in the system's order.
    pub terms: Vec<Term>,
    /// Precision of the fields.
    pub precision: Precision,
    /// Number of regions; vacuum is this number.
    pub regions: usize,
    /// Whether the partners of cells follow their regions.
    pub partners: bool,
    /// Where there are too many regions for a table of all pairs: the places for neighbours of each, see [`crate::region::Neighbours`]. Their numbers follow in the map.
    pub width: Option<usize>,
    /// Whether every replica has a map of its own.
    pub own_regions: bool,
    /// Number of replicas.
    pub replicas: usize,
    /// Number of waveforms of a replica, and points of the longest.
    pub waves: (usize, usize),
    /// Tables of the terms.
    pub tables: Vec<TermLayout>,
    /// Tables of LLG, of damping, of the ghosts along x, y and z, of μ0 Ms.
    pub llg: [usize; 2],
    /// See [`Names::llg`].
    pub damping: [usize; 2],
    /// See [`Names::llg`].
    pub ghost: [usize; 3],
    /// Whether the ghosts are those of bulk DMI.
    pub bulk: bool,
    /// Whether there are none.
    pub open_faces: bool,
    /// Along how many axes there are neighbours or ghosts.
    pub axes: usize,
    /// See [`Names::llg`].
    pub moment: usize,
    /// Times (in steps) at which tables are written anew because a [`crate::material::Drive`] moves them; none where nothing does. One set of tables each.
    pub stages: Vec<f64>,
    /// What masks add, in the order of `mask`: mask, term, coefficient.
    pub added: Vec<(usize, usize, usize)>,
    /// Where the masks' factors begin.
    pub factors: usize,
    /// Whether cells are partly filled; how much stands in `mask` after what masks add.
    pub filled: bool,
    /// Length of a replica's part of `par`.
    pub par: usize,
    /// Start and number of slots of every buffer in `fields`.
    pub buffers: Vec<(usize, usize)>,
}

impl Names {
    /// Length of a replica's part of `ctl`.
    pub fn ctl(&self) -> usize {
        ctl::WAVES + self.waves.0
    }

    /// Length of a waveform's part of `wave`.
    pub fn wave(&self) -> usize {
        6 + 2 * self.waves.1
    }

    /// Length of a map in `regions`.
    pub fn map(&self) -> usize {
        self.neighbours() + self.width.unwrap_or(0) * self.regions
    }

    /// Where the regions' neighbours begin in a map.
    fn neighbours(&self) -> usize {
        self.mesh.cells() * if self.partners { 3 } else { 1 }
    }

    /// A function that finds the place of a pair of regions in a table of links.
    fn link_at(&self) -> String {
        match self.width {
            None => format!("FN int link_at(int r, int own, int other) {{ return own * {} + other; }}\n", self.regions),
            Some(width) => format!(
                "FN int link_at(int r, int own, int other) {{\n    int place = own * {width};\n    for (int k = 1; k < {width}; k += 1) {{\n        \
                 if (int(regions[r * REGION_STRIDE + {} + own * {width} + k]) == other) {{ place = own * {width} + k; }}\n    }}\n    return place;\n}}\n",
                self.neighbours()
            ),
        }
    }

    /// Groups of a pass over the cells.
    pub fn groups(&self) -> u32 {
        self.mesh.cells().div_ceil(GROUP as usize) as u32
    }

    /// Length of one slot of a buffer.
    pub fn slot(&self) -> usize {
        self.replicas * 3 * self.mesh.cells()
    }

    /// The numbers that texts call by name.
    pub fn defines(&self) -> String {
        let [nx, ny, nz] = self.mesh.n;
        format!(
            "#define CELLS {}\n#define NX {nx}\n#define NY {ny}\n#define NZ {nz}\n#define VACUUM {}\n#define REPLICAS {}\n#define REGION_STRIDE {}\n#define PAR_SIZE {}\n\
             #define CTL_SIZE {}\n#define STATE_SIZE {}\n#define STATUS {}\n#define SLOT {}\n#define DT_NOW {}\n#define GROUPS {}\n",
            self.mesh.cells(),
            self.regions,
            self.replicas,
            if self.own_regions { self.map() } else { 0 },
            self.par,
            self.ctl(),
            state::SIZE,
            state::STATUS,
            state::SLOT,
            ctl::DT_NOW,
            self.groups()
        )
    }

    /// μ0 Ms of a cell.
    pub fn moment(&self, cell: &str) -> String {
        let whole = format!("par[r * PAR_SIZE + {} + int(regions[r * REGION_STRIDE + {cell}])]", self.moment);
        if self.filled { format!("{whole} * mask[({} + r) * CELLS + {cell}]", self.added.len() * self.replicas) } else { whole }
    }

    /// Where the tables for a time (in steps) begin.
    fn at(&self, time: f64) -> usize {
        self.stages.iter().position(|s| *s == time).unwrap_or(0) * self.replicas * self.par
    }

    /// Where a field begins, given `slot`.
    pub fn place(&self, r: Ref) -> String {
        let (start, slots) = self.buffers[r.buffer.0];
        if slots == 1 { start.to_string() } else { format!("({start} + (slot ^ {}) * {})", u32::from(r.other), self.slot()) }
    }

    fn real(&self, value: f64) -> String {
        literal(value, self.precision)
    }
}

fn bind(name: &'static str, element: Element, writable: bool) -> Binding {
    Binding { name, element, writable }
}

/// The bindings of the kernels here; a kernel takes those it names.
fn bindings(names: &[(&'static str, bool)]) -> Vec<Binding> {
    names
        .iter()
        .map(|(name, writable)| bind(name, if matches!(*name, "regions" | "state") { Element::Uint } else { Element::Real }, *writable))
        .collect()
}

const LOAD: &str = "FN VEC load(int at) { return VEC(fields[at], fields[at + CELLS], fields[at + 2 * CELLS]); }\n";
/// A value that is not finite becomes one that no comparison loses.
const FINITE: &str = "FN REAL finite(REAL x) { return (BITS(float(x)) & 0x7f800000u) == 0x7f800000u ? REAL(3.0e38f) : x; }\nFN REAL larger(REAL a, REAL b) { return a > b ? a : b; }\n";
const NORMALISE: &str = "FN VEC unit(VEC v) {\n    REAL s = dot(v, v);\n    REAL k = s == REAL(0.0f) ? REAL(0.0f) : REAL(1.0f) / sqrt(s);\n    return k * v;\n}\n";
const BEGIN: &str = "\
    int r = int(WG.y);
    int i = min(int(GID.x), CELLS - 1);
    bool on = state[r * STATE_SIZE + STATUS] == 0u && int(GID.x) < CELLS;
    int slot = int(state[r * STATE_SIZE + SLOT]);
    int own = r * 3 * CELLS + i;
    REAL dt = ctl[r * CTL_SIZE + DT_NOW];
";

fn store(out: &mut String, to: &str, value: &str) {
    let _ = writeln!(
        out,
        "    if (on) {{ fields[{to} + own] = {value}.x; fields[{to} + own + CELLS] = {value}.y; fields[{to} + own + 2 * CELLS] = {value}.z; }}"
    );
}

/// Brings `red` of all items of a group together in its first place; `join` is the text of two of them.
fn tree(out: &mut String, join: impl Fn(&str, &str) -> String) {
    let mut half = GROUP / 2;
    while half > 0 {
        let both = join("red[int(LID.x)]", &format!("red[int(LID.x) + {half}]"));
        let _ = write!(out, "    if (int(LID.x) < {half}) {{ red[int(LID.x)] = {both}; }}\n    BARRIER();\n");
        half /= 2;
    }
}

/// Largest of a value over a group, into `partial`.
fn group_largest(out: &mut String, value: &str, which: usize) {
    let _ = write!(out, "    red[int(LID.x)] = on ? finite({value}) : REAL(0.0f);\n    BARRIER();\n");
    tree(out, |a, b| format!("larger({a}, {b})"));
    let _ = write!(out, "    if (LID.x == 0u) {{ partial[(r * 2 + {which}) * GROUPS + int(WG.x)] = red[0]; }}\n    BARRIER();\n");
}

/// Largest of what [`group_largest`] has left of a replica, into `red[0]`.
fn largest_of_groups(out: &mut String, which: usize) {
    let _ = write!(
        out,
        "    REAL v{which} = REAL(0.0f);\n    for (int g = int(LID.x); g < GROUPS; g += {GROUP}) {{ v{which} = larger(v{which}, partial[(r * 2 + {which}) * GROUPS + g]); }}\n    \
         red[int(LID.x)] = v{which};\n    BARRIER();\n"
    );
    tree(out, |a, b| format!("larger({a}, {b})"));
}

fn combination(out: &mut String, names: &Names, combine: &Combine, fresh: Option<Ref>) {
    let _ = writeln!(out, "    VEC next = load({} + own);", names.place(combine.base));
    for (rate, weight) in combine.weights.iter().filter(|w| w.1 != 0.0) {
        let value = if fresh == Some(*rate) { "k".to_string() } else { format!("load({} + own)", names.place(*rate)) };
        let _ = writeln!(out, "    next = next + (dt * {}) * {value};", names.real(*weight));
    }
    out.push_str("    next = unit(next);\n");
    store(out, &names.place(combine.out), "next");
}

/// The coefficients of a law as further arguments of its functions; `term` is its place in the system.
fn coefficients(names: &Names, layout: &TermLayout, term: usize) -> String {
    let mut arguments = String::new();
    for (k, (at, wave, white)) in layout.coefficients.iter().enumerate() {
        let _ = write!(arguments, ", par[table + {at} + ri]");
        if let Some((w, power)) = wave {
            let factor = format!("ctl[r * CTL_SIZE + {}]", ctl::WAVES + w);
            if *power == 1.0 {
                let _ = write!(arguments, " * {factor}");
            } else if *power == 0.5 {
                let _ = write!(arguments, " * sqrt(larger({factor}, REAL(0.0f)))");
            } else {
                let _ = write!(arguments, " * REAL(pow(float(larger({factor}, REAL(0.0f))), {power:?}f))");
            }
        }
        if *white {
            arguments.push_str(" / sqrt(dt)");
        }
        for (place, (mask, ..)) in names.added.iter().enumerate().filter(|(_, a)| (a.1, a.2) == (term, k)) {
            let _ = write!(arguments, " + par[table + {}] * mask[({} + r) * CELLS + i]", names.factors + mask, place * names.replicas);
        }
    }
    arguments
}

/// How much of a pass over the cells one kernel does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Whole,
    /// The field of the pass's term at this place, added to `acc`, which the first one overwrites.
    Field(usize),
    /// Motion and stage combination of what stands in `acc`.
    Rest,
}

/// All laws of a cell, the motion and the stage combination; or a part of it, to find the law that is wrong.
pub fn cells(names: &Names, pass: &Cells, part: Part) -> Kernel {
    let one = match part {
        Part::Whole => pass.terms.clone(),
        Part::Field(k) => vec![pass.terms[k]],
        Part::Rest => Vec::new(),
    };
    // In the order of the fused kernel, so that the sums are the same.
    let start = match part {
        Part::Whole | Part::Field(0) => "zero",
        Part::Field(_) | Part::Rest => "VEC(acc[own], acc[own + CELLS], acc[own + 2 * CELLS])",
    };
    let pass = &Cells { terms: one, ..pass.clone() };
    let mut body = names.defines() + LOAD + FINITE + NORMALISE + ghost_gpu(names.bulk) + &names.link_at();
    let terms: Vec<(Term, &TermLayout, usize)> = pass.terms.iter().map(|t| (names.terms[*t], &names.tables[*t], *t)).collect();
    terms.iter().for_each(|(t, ..)| body += t.gpu().text);
    body.push_str("KERNEL_MAIN {\n");
    body += BEGIN;
    let read = names.place(pass.read);
    let table = names.at(pass.time);
    let _ = write!(
        body,
        "    int ri = int(regions[r * REGION_STRIDE + i]);\n    int rl = min(ri, VACUUM - 1);\n    int table = {table} + r * PAR_SIZE;\n    VEC m = load({read} + own);\n    VEC zero = VEC(REAL(0.0f), REAL(0.0f), REAL(0.0f));\n    VEC b = {start};\n"
    );
    let linked: Vec<&(Term, &TermLayout, usize)> = terms.iter().filter(|(t, ..)| t.gpu().linked).collect();
    for (t, ..) in &linked {
        let _ = writeln!(body, "    VEC a_{} = zero;", t.info().name);
    }
    if !linked.is_empty() {
        body.push_str("    int x = i % NX;\n    int y = i / NX % NY;\n    int z = i / (NX * NY);\n");
        for axis in 0..names.axes {
            let (letter, n, step) = [("x", "NX", "1"), ("y", "NY", "NX"), ("z", "NZ", "(NX * NY)")][axis];
            let slope = format!("par[table + {} + ri]", names.ghost[axis]);
            for forward in [false, true] {
                let sign = if forward { "REAL(1.0f)" } else { "REAL(-1.0f)" };
                let (inside, neighbour, wrapped) = if forward {
                    (format!("{letter} + 1 < {n}"), format!("i + {step}"), format!("i - ({n} - 1) * {step}"))
                } else {
                    (format!("{letter} > 0"), format!("i - {step}"), format!("i + ({n} - 1) * {step}"))
                };
                // At an open end the cell itself is read, and dropped.
                let otherwise = if names.mesh.pbc[axis] > 0 { wrapped } else { "i".into() };
                let there = if names.mesh.pbc[axis] > 0 { "true".into() } else { inside.clone() };
                let _ = write!(
                    body,
                    "    {{\n        int j = {inside} ? {neighbour} : {otherwise};\n        int rj = {there} ? int(regions[r * REGION_STRIDE + j]) : VACUUM;\n        \
                     VEC mj = load({read} + r * 3 * CELLS + j);\n        VEC outside = ghost(m, {slope}, {axis}, {sign});\n        \
                     bool open = rj == VACUUM;\n        if (open) {{ mj = outside; rj = rl; }}\n        int lj = link_at(r, rl, rj);\n"
                );
                for (t, layout, place) in &linked {
                    let name = t.info().name;
                    let mut link = format!("par[table + {} + lj]", layout.links[axis]);
                    if names.open_faces || t.gpu().free_face == FreeFace::Nothing {
                        link = format!("(open ? REAL(0.0f) : {link})");
                    }
                    let arguments = coefficients(names, layout, *place);
                    let _ = writeln!(body, "        a_{name} = {name}_gather(m, mj, {link}, {axis}, {sign}, a_{name}{arguments});");
                }
                body.push_str("    }\n");
            }
        }
    }
    let partnered: Vec<&(Term, &TermLayout, usize)> = terms.iter().filter(|(t, ..)| t.gpu().partnered > 0).collect();
    for (t, ..) in &partnered {
        let _ = writeln!(body, "    VEC a_{} = zero;", t.info().name);
    }
    for (side, sign) in [(0, "REAL(-1.0f)"), (1, "REAL(1.0f)")] {
        if partnered.is_empty() {
            break;
        }
        let _ = write!(
            body,
            "    {{\n        int p = int(regions[r * REGION_STRIDE + {} * CELLS + i]);\n        bool alone = p < 0;\n        int j = alone ? i : p;\n        \
             int rj = min(int(regions[r * REGION_STRIDE + j]), VACUUM - 1);\n        VEC mj = load({read} + r * 3 * CELLS + j);\n        int lj = link_at(r, rl, rj);\n",
            side + 1
        );
        for (t, layout, place) in &partnered {
            let (name, arguments) = (t.info().name, coefficients(names, layout, *place));
            for (axis, link) in layout.links.iter().enumerate() {
                let link = format!("(alone ? REAL(0.0f) : par[table + {link} + lj])");
                let _ = writeln!(body, "        a_{name} = {name}_gather(m, mj, {link}, {axis}, {sign}, a_{name}{arguments});");
            }
        }
        body.push_str("    }\n");
    }
    for (t, layout, place) in &terms {
        let name = t.info().name;
        let accumulator = if t.gpu().linked || t.gpu().partnered > 0 { format!("a_{name}") } else { "zero".into() };
        let extra = match t.extra() {
            Extra::None => "zero".to_string(),
            Extra::Demag => format!("load({} + own)", names.place(pass.convolved.expect("the plan convolves"))),
            Extra::Noise => format!("load({} + own)", names.place(pass.noise.expect("the plan draws noise"))),
            Extra::Custom => format!("load({} + own)", names.place(pass.custom.expect("the plan computes it"))),
        };
        let arguments = coefficients(names, layout, *place);
        let _ = writeln!(body, "    b = b + {name}_finish(m, {accumulator}, {extra}{arguments});");
    }
    let mut list = vec![("fields", true), ("par", false), ("regions", false), ("ctl", false), ("state", false)];
    if names.added.iter().any(|a| pass.terms.contains(&a.1)) {
        list.push(("mask", false));
    }
    if part != Part::Whole {
        list.push(("acc", part != Part::Rest));
    }
    if let Part::Field(_) = part {
        body.push_str("    if (on) { acc[own] = b.x; acc[own + CELLS] = b.y; acc[own + 2 * CELLS] = b.z; }\n}\n");
        list[0].1 = false;
        return on_cells(&format!("field of {}", terms[0].0.info().name), names, body, &list, false);
    }
    match pass.motion {
        Some(motion) => {
            let [p, d] = match motion {
                Motion::Llg => names.llg,
                Motion::Damping => names.damping,
            };
            let _ = writeln!(
                body,
                "    VEC mb = cross(m, b);\n    VEC mmb = cross(m, mb);\n    VEC k = par[table + {p} + ri] * mb + par[table + {d} + ri] * mmb;"
            );
        }
        None => body.push_str("    VEC k = b;\n    if (ri == VACUUM) { k = zero; }\n"),
    }
    store(&mut body, &names.place(pass.write), "k");
    if let Some(combine) = &pass.combine {
        combination(&mut body, names, combine, Some(pass.write));
    }
    if let Some(weights) = &pass.error {
        body.push_str("    VEC e = zero;\n");
        for (rate, weight) in weights.iter().filter(|w| w.1 != 0.0) {
            let value = if *rate == pass.write { "k".to_string() } else { format!("load({} + own)", names.place(*rate)) };
            let _ = writeln!(body, "    e = e + {} * {value};", names.real(*weight));
        }
        group_largest(&mut body, "dot(e, e)", 1);
    }
    if pass.measure {
        group_largest(&mut body, "dot(k, k)", 0);
    }
    body.push_str("}\n");
    let reduces = pass.measure || pass.error.is_some();
    if reduces {
        list.push(("partial", true));
    }
    on_cells("cells", names, body, &list, reduces)
}

/// A stage combination on its own.
pub fn combine(names: &Names, pass: &Combine) -> Kernel {
    let mut body = names.defines() + LOAD + NORMALISE + "KERNEL_MAIN {\n" + BEGIN;
    combination(&mut body, names, pass, None);
    body.push_str("}\n");
    on_cells("combine", names, body, &[("fields", true), ("ctl", false), ("state", false)], false)
}

/// Rotation by the descent step.
pub fn rotate(names: &Names, read: Ref, rate: Ref, out: Ref) -> Kernel {
    let mut body = names.defines() + LOAD + "KERNEL_MAIN {\n" + BEGIN;
    let _ = write!(
        body,
        "    REAL h = ctl[r * CTL_SIZE + {}] / ctl[r * CTL_SIZE + {}];\n    VEC m = load({} + own);\n    VEC k = h * load({} + own);\n    REAL s = dot(k, k);\n    \
         VEC v = (REAL(1.0f) / (REAL(4.0f) + s)) * ((REAL(4.0f) - s) * m + REAL(4.0f) * k);\n",
        ctl::DESCENT,
        ctl::GAMMA,
        names.place(read),
        names.place(rate)
    );
    store(&mut body, &names.place(out), "v");
    body.push_str("}\n");
    on_cells("rotate", names, body, &[("fields", true), ("ctl", false), ("state", false)], false)
}

fn on_cells(name: &str, names: &Names, body: String, list: &[(&'static str, bool)], shared: bool) -> Kernel {
    Kernel {
        name: name.into(),
        body,
        bindings: bindings(list),
        shared: if shared { vec![("red".into(), GROUP as usize)] } else { vec![] },
        group: GROUP,
        precision: names.precision,
    }
}

/// What a pass over the cells has measured, from the groups' parts to the control block; counts `evaluations`, its own and those before it.
pub fn measured(names: &Names, torque: bool, error: bool, evaluations: u32) -> Kernel {
    let mut body =
        names.defines() + FINITE + "KERNEL_MAIN {\n    int r = int(WG.y);\n    bool on = state[r * STATE_SIZE + STATUS] == 0u;\n";
    for (wanted, which, to, factor) in [(torque, 0, ctl::TORQUE, ""), (error, 1, ctl::ERR, "ctl[r * CTL_SIZE + DT_NOW] * ")] {
        if !wanted {
            continue;
        }
        largest_of_groups(&mut body, which);
        let _ = write!(
            body,
            "    if (on && LID.x == 0u) {{ ctl[r * CTL_SIZE + {to}] = red[0] < REAL(3.0e38f) ? {factor}sqrt(red[0]) : REAL(3.0e38f); }}\n    BARRIER();\n"
        );
    }
    let _ = write!(
        body,
        "    if (on && LID.x == 0u) {{ state[r * STATE_SIZE + {0}] = state[r * STATE_SIZE + {0}] + {evaluations}u; }}\n}}\n",
        state::EVALUATIONS
    );
    let mut list = vec![("ctl", true), ("state", true)];
    if torque || error {
        list.push(("partial", false));
    }
    on_cells("measured", names, body, &list, torque || error)
}

/// The parts of a sum of (a − a′)·(b − b′).
pub fn dot_parts(names: &Names, dot: &Dot) -> Kernel {
    let mut body = names.defines() + LOAD + "KERNEL_MAIN {\n" + BEGIN;
    let load = |r: Ref| format!("load({} + own)", names.place(r));
    let _ = write!(
        body,
        "    VEC a = {} - {};\n    VEC b = {} - {};\n    REAL v = dot(a, b);\n    red[int(LID.x)] = on ? v : REAL(0.0f);\n    BARRIER();\n",
        load(dot.a.0),
        load(dot.a.1),
        load(dot.b.0),
        load(dot.b.1)
    );
    tree(&mut body, |a, b| format!("{a} + {b}"));
    body.push_str("    if (LID.x == 0u) { partial[(r * 2) * GROUPS + int(WG.x)] = red[0]; }\n}\n");
    on_cells("dot", names, body, &[("fields", false), ("ctl", false), ("state", false), ("partial", true)], true)
}

/// The sum of the parts, in order, with the rounding of each addition carried along.
pub fn dot_sum(names: &Names, into: usize) -> Kernel {
    let mut body = names.defines() + "KERNEL_MAIN {\n    int r = int(WG.y);\n";
    let _ = write!(
        body,
        "    if (LID.x == 0u && state[r * STATE_SIZE + STATUS] == 0u) {{\n        REAL sum = REAL(0.0f);\n        REAL rest = REAL(0.0f);\n        \
         for (int g = 0; g < GROUPS; g += 1) {{\n            REAL v = partial[(r * 2) * GROUPS + g] + rest;\n            REAL s = sum + v;\n            REAL back = s - sum;\n            \
         rest = v - back;\n            sum = s;\n        }}\n        ctl[r * CTL_SIZE + {}] = sum + rest;\n    }}\n}}\n",
        ctl::SUMS + into
    );
    on_cells("sum", names, body, &[("ctl", true), ("state", false), ("partial", false)], false)
}

/// The waveforms at t + time · dt.
pub fn waves(names: &Names, time: f64) -> Kernel {
    let wave = names.wave();
    let mut body = names.defines() + SIN_TURN + "KERNEL_MAIN {\n    int r = int(GID.x);\n    if (r < REPLICAS) {\n";
    let _ = write!(
        body,
        "        float t = float(ctl[r * CTL_SIZE + {g}] + ctl[r * CTL_SIZE + {g} + 1] + {} * ctl[r * CTL_SIZE + DT_NOW]);\n        \
         for (int w = 0; w < {}; w += 1) {{\n            int at = (r * {} + w) * {wave};\n            float v = wave[at + 1];\n            \
         if (wave[at] == 1.0f) {{ float turns = wave[at + 3] * t; turns = turns - floor(turns) + wave[at + 4]; v = v + wave[at + 2] * sin_turn(turns - floor(turns)); }}\n            \
         if (wave[at] == 2.0f) {{\n                int n = int(wave[at + 5]);\n                v = wave[at + 7];\n                \
         for (int k = 1; k < n; k += 1) {{\n                    float t0 = wave[at + 4 + 2 * k];\n                    float t1 = wave[at + 6 + 2 * k];\n                    \
         if (t >= t0) {{ v = t < t1 ? wave[at + 5 + 2 * k] + (wave[at + 7 + 2 * k] - wave[at + 5 + 2 * k]) * (t - t0) / (t1 - t0) : wave[at + 7 + 2 * k]; }}\n                }}\n            }}\n            \
         ctl[r * CTL_SIZE + {} + w] = REAL(v);\n        }}\n    }}\n}}\n",
        names.real(time),
        names.waves.0,
        names.waves.0,
        ctl::WAVES,
        g = ctl::GONE
    );
    let mut list = bindings(&[("ctl", true)]);
    list.push(bind("wave", Element::Float, false));
    Kernel { name: "waveforms".into(), body, bindings: list, shared: vec![], group: GROUP, precision: names.precision }
}

/// sin of 2π u for 0 ≤ u ≤ 1: the nearest quarter turn taken off, Taylor's series of the rest. Graphics interfaces promise no more than three digits of their own.
const SIN_TURN: &str = "\
FN float sin_turn(float u) {
    float q = floor(4.0f * u + 0.5f);
    float a = 6.28318530717958648f * (u - 0.25f * q);
    float s = a * a;
    float sine = a * (1.0f + s * (-1.0f / 6.0f + s * (1.0f / 120.0f + s * (-1.0f / 5040.0f + s * (1.0f / 362880.0f)))));
    float cosine = 1.0f + s * (-0.5f + s * (1.0f / 24.0f + s * (-1.0f / 720.0f + s * (1.0f / 40320.0f))));
    int k = int(q) & 3;
    float v = (k & 1) == 0 ? sine : cosine;
    return (k & 2) == 0 ? v : -v;
}
";

/// The normals of the step in progress: those of [`spinloom_base::random::normals`], in single precision throughout.
pub fn noise(names: &Names, out: Ref) -> Kernel {
    let mut body = names.defines()
        + HIGH
        + NORMALS
        + "KERNEL_MAIN {\n    int r = int(WG.y);\n    int i = min(int(GID.x), CELLS - 1);\n    bool on = state[r * STATE_SIZE + STATUS] == 0u && int(GID.x) < CELLS;\n    int slot = int(state[r * STATE_SIZE + SLOT]);\n    int own = r * 3 * CELLS + i;\n";
    let _ = write!(
        body,
        "    uint id = state[r * STATE_SIZE + {}];\n    uint c0 = uint(i);\n    uint c1 = id;\n    uint c2 = state[r * STATE_SIZE + {}];\n    uint c3 = state[r * STATE_SIZE + {} + 1];\n    \
         uint k0 = state[r * STATE_SIZE + {key}];\n    uint k1 = state[r * STATE_SIZE + {key} + 1];\n{PHILOX_ROUNDS}    float ra = radius(c0);\n    float rb = radius(c2);\n    \
         VEC v = VEC(REAL(ra * turn(c1 + 0x40000000u)), REAL(ra * turn(c1)), REAL(rb * turn(c3 + 0x40000000u)));\n",
        state::ID,
        state::STEPS,
        state::STEPS,
        key = state::KEY
    );
    store(&mut body, &names.place(out), "v");
    body.push_str("}\n");
    on_cells("noise", names, body, &[("fields", true), ("state", false)], false)
}

/// `radius`: √(−2 ln u); `turn`: sin of 2π (bits + 1)/2^32, a cosine a quarter turn on.
const NORMALS: &str = "\
FN float artanh2(float s) {
    float q = s * s;
    return 2.0f * s * (1.0f + q * (1.0f / 3.0f + q * (1.0f / 5.0f + q * (1.0f / 7.0f + q * (1.0f / 9.0f + q * (1.0f / 11.0f))))));
}
FN float radius(uint bits) {
    float below = float(0xffffffffu - bits) * 2.3283064365386963e-10f;
    float u = (float(bits) + 1.0f) * 2.3283064365386963e-10f;
    uint word = BITS(u);
    uint up = (word & 0x7fffffu) >= 0x3504F3u ? 1u : 0u;
    float m = UNBITS((word & 0x7fffffu) | ((127u - up) << 23u));
    float e = float(int(word >> 23u) + int(up) - 127);
    float far = e * 0.69314718055994531f + artanh2((m - 1.0f) / (m + 1.0f));
    float near = artanh2(-below / (2.0f - below));
    float l = below < 0.25f ? near : far;
    return sqrt(-2.0f * l);
}
FN float turn(uint bits) {
    uint b = bits + 1u;
    uint quarter = (b + 0x20000000u) >> 30u;
    float a = float(int(b - (quarter << 30u))) * 1.4629180792671596e-9f;
    float s = a * a;
    float sine = a * (1.0f + s * (-1.0f / 6.0f + s * (1.0f / 120.0f + s * (-1.0f / 5040.0f + s * (1.0f / 362880.0f)))));
    float cosine = 1.0f + s * (-0.5f + s * (1.0f / 24.0f + s * (-1.0f / 720.0f + s * (1.0f / 40320.0f))));
    float v = (quarter & 1u) == 0u ? sine : cosine;
    return (quarter & 2u) == 0u ? v : -v;
}
";

/// A rule of the control block; one item per replica.
pub fn control(names: &Names, rule: Rule) -> Kernel {
    let c = |at: usize| format!("ctl[c + {at}]");
    let s = |at: usize| format!("state[s + {at}]");
    let mut body = names.defines();
    body.push_str(
        "FN REAL within(REAL x, REAL low, REAL high) { return x < low ? low : (x > high ? high : x); }\n\
         FN REAL rounding(REAL a, REAL b) { REAL s = a + b; REAL t = s - a; return (a - (s - t)) + (b - t); }\n\
         KERNEL_MAIN {\n    int r = int(GID.x);\n    if (r < REPLICAS) {\n        int c = r * CTL_SIZE;\n        int s = r * STATE_SIZE;\n        if (state[s + STATUS] == 0u) {\n",
    );
    let accept = format!(
        "            {slot} = {slot} ^ 1u;\n            {steps} = {steps} + 1u;\n            if ({steps} == 0u) {{ {more} = {more} + 1u; }}\n",
        slot = s(state::SLOT),
        steps = s(state::STEPS),
        more = s(state::STEPS + 1)
    );
    match rule {
        Rule::Begin => {
            // A crumb of the step that rounding leaves is not taken on its own: a float's step is off by up to 3e-8, and ten thousands of them may go by.
            let crumb = names.real(if names.precision == Precision::Double { 1.0 + 1e-9 } else { 1.0 + 1e-3 });
            let _ = write!(
                body,
                "            REAL left = {} + {};\n            REAL dt = within({}, {}, {});\n            \
                 if ({longest} > REAL(0.0f) && {every} < dt) {{ dt = {every}; }}\n            \
                 if (left <= dt * {crumb}) {{ dt = left; }} else {{ if (left < REAL(2.0f) * dt && {} == 0u) {{ dt = REAL(0.5f) * left; }} }}\n            \
                 {} = dt;\n            {attempts} = {attempts} + 1u;\n",
                c(ctl::LEFT),
                c(ctl::LEFT + 1),
                c(ctl::DT),
                c(ctl::DT_MIN),
                c(ctl::DT_MAX),
                s(state::FIXED),
                c(ctl::DT_NOW),
                attempts = s(state::ATTEMPTS),
                longest = c(ctl::LONGEST),
                every = c(ctl::EVERY)
            );
        }
        Rule::End { order } => {
            let _ = write!(
                body,
                "            REAL err = {err};\n            REAL now = {now};\n            REAL dt = {dt};\n            \
                 if (err > REAL(2.9e38f) || {torque} > REAL(2.9e38f)) {{ {status} = 2u; }} else {{\n            \
                 bool take = {fixed} != 0u || err <= {max} || now <= {least};\n            if ({fixed} == 0u) {{\n                \
                 float p = take ? {} : {};\n                REAL factor = REAL(2.0f);\n                \
                 if (err > REAL(0.0f)) {{ factor = within({headroom} * REAL(pow(float({max} / err), p)), REAL(0.5f), REAL(2.0f)); }}\n                \
                 REAL next = within(now * factor, {least}, {most});\n                if (take && now < dt && next < dt) {{ next = dt; }}\n                {dt} = next;\n            }}\n            \
                 if (take) {{\n",
                literal(1.0 / (order + 1.0), Precision::Single),
                literal(1.0 / (order + 2.0), Precision::Single),
                err = c(ctl::ERR),
                now = c(ctl::DT_NOW),
                dt = c(ctl::DT),
                torque = c(ctl::TORQUE),
                status = s(state::STATUS),
                fixed = s(state::FIXED),
                max = c(ctl::MAX_ERR),
                least = c(ctl::DT_MIN),
                most = c(ctl::DT_MAX),
                headroom = c(ctl::HEADROOM)
            );
            body += &accept;
            // Time in two parts each: what one addition rounds away is not lost.
            let _ = write!(
                body,
                "            REAL left = {l0} + {l1};\n            if (now >= left) {{\n                {l0} = REAL(0.0f);\n                {l1} = REAL(0.0f);\n                {status} = 1u;\n            }} else {{\n                \
                 REAL a = {l0} - now;\n                REAL ar = rounding({l0}, -now) + {l1};\n                {l0} = a + ar;\n                {l1} = rounding(a, ar);\n            }}\n            \
                 REAL g = {g0} + now;\n            REAL gr = rounding({g0}, now) + {g1};\n            {g0} = g + gr;\n            {g1} = rounding(g, gr);\n            \
                 for (int p = 0; p < 3; p += 1) {{ ctl[c + {ages} + p] = ctl[c + {ages} + p] + now; }}\n            }}\n            }}\n",
                l0 = c(ctl::LEFT),
                l1 = c(ctl::LEFT + 1),
                g0 = c(ctl::GONE),
                g1 = c(ctl::GONE + 1),
                ages = ctl::AGES,
                status = s(state::STATUS)
            );
        }
        Rule::Descent => {
            let _ = write!(
                body,
                "            REAL h = (({} & 1u) == 0u ? {ss} / {sy} : {sy} / {yy}) * {gamma};\n            h = h < REAL(0.0f) ? -h : h;\n            \
                 REAL most = {} * {gamma} / {};\n            bool good = h > REAL(0.0f) && h < REAL(1.0e30f);\n            \
                 {} = good ? (h < most ? h : most) : REAL(1.0e-4f);\n            {attempts} = {attempts} + 1u;\n",
                s(state::STEPS),
                names.real(LARGEST_TURN),
                c(ctl::TORQUE),
                c(ctl::DESCENT),
                gamma = c(ctl::GAMMA),
                ss = c(ctl::SUMS),
                sy = c(ctl::SUMS + 1),
                yy = c(ctl::SUMS + 2),
                attempts = s(state::ATTEMPTS)
            );
        }
        Rule::Accept => {
            body += &accept;
            let _ = writeln!(body, "            if ({} > REAL(2.9e38f)) {{ {} = 2u; }}", c(ctl::TORQUE), s(state::STATUS));
        }
    }
    body.push_str("        }\n    }\n}\n");
    Kernel {
        name: format!("control {rule:?}"),
        body,
        bindings: bindings(&[("ctl", true), ("state", true)]),
        shared: vec![],
        group: GROUP,
        precision: names.precision,
    }
}

/// Names of a replica's parts of the control block, for rules of one item per replica.
const OF_REPLICA: &str = "int c = r * CTL_SIZE;\n    int s = r * STATE_SIZE;\n";

/// Whether the attempt in progress needs a sample of the demagnetising field: [`crate::Control::sample_due`].
pub fn sample_due(names: &Names) -> Kernel {
    // Ages are sums of steps: what rounding adds to them is no reason for a sample.
    let crumb = names.real(if names.precision == Precision::Double { 1.0 + 1e-9 } else { 1.0 + 1e-3 });
    let body = names.defines()
        + &format!(
            "KERNEL_MAIN {{\n    int r = int(GID.x);\n    if (r < REPLICAS) {{\n    {OF_REPLICA}    REAL age = ctl[c + {ages} + int(state[s + {newest}])];\n    \
             bool few = state[s + {count}] <= state[s + {order}];\n    \
             bool due = state[s + {count}] == 0u || (age > REAL(0.0f) && (few || age + ctl[c + DT_NOW] > ctl[c + {every}] * {crumb}));\n    \
             state[s + {due}] = due && state[s + STATUS] == 0u ? 1u : 0u;\n    }}\n}}\n",
            ages = ctl::AGES,
            newest = state::NEWEST,
            count = state::COUNT,
            order = state::ORDER,
            every = ctl::EVERY,
            due = state::DUE
        );
    by_replica("sample due", names, body)
}

/// What each place of the ring counts in the field at t + time · dt: [`crate::Sampling::weights`].
pub fn sample_weights(names: &Names, time: f64) -> Kernel {
    let body = names.defines()
        + &format!(
            "KERNEL_MAIN {{\n    int r = int(GID.x);\n    if (r < REPLICAS) {{\n    {OF_REPLICA}    int newest = int(state[s + {newest}]);\n    \
             int points = min(int(state[s + {count}]), int(state[s + {order}]) + 1);\n    REAL ahead = {time} * ctl[c + DT_NOW];\n    \
             for (int p = 0; p < 3; p += 1) {{ ctl[c + {weights} + p] = REAL(0.0f); }}\n    \
             for (int k = 0; k < points; k += 1) {{\n        int p = (newest + 3 - k) % 3;\n        REAL w = REAL(1.0f);\n        \
             for (int j = 0; j < points; j += 1) {{\n            int q = (newest + 3 - j) % 3;\n            \
             if (q != p) {{ w = w * ((ahead + ctl[c + {ages} + q]) / (ctl[c + {ages} + q] - ctl[c + {ages} + p])); }}\n        }}\n        \
             ctl[c + {weights} + p] = w;\n    }}\n    }}\n}}\n",
            newest = state::NEWEST,
            count = state::COUNT,
            order = state::ORDER,
            time = names.real(time),
            weights = ctl::WEIGHTS,
            ages = ctl::AGES
        );
    by_replica("sample weights", names, body)
}

/// The field of the ring with the weights at hand; `due` only where a sample is.
pub fn mix(names: &Names, ring: [Ref; 3], out: Ref, due: bool) -> Kernel {
    let mut body = names.defines() + LOAD + "KERNEL_MAIN {\n" + BEGIN;
    if due {
        let _ = writeln!(body, "    on = on && state[r * STATE_SIZE + {}] == 1u;", state::DUE);
    }
    let weight = |p: usize| format!("ctl[r * CTL_SIZE + {}]", ctl::WEIGHTS + p);
    let part = |p: usize| format!("{} * load({} + own)", weight(p), names.place(ring[p]));
    let _ = writeln!(body, "    if (!on) {{ return; }}\n    VEC b = {} + {} + {};", part(0), part(1), part(2));
    store(&mut body, &names.place(out), "b");
    body.push_str("}\n");
    on_cells("extrapolation", names, body, &[("fields", true), ("ctl", false), ("state", false)], false)
}

/// Where the next sample goes (text).
pub fn next_sample(names: &Names, ring: [Ref; 3]) -> String {
    let [a, b, c] = ring.map(|r| names.place(r));
    let next = format!("((state[r * STATE_SIZE + {}] + 1u) % 3u)", state::NEWEST);
    format!("({next} == 0u ? {a} : ({next} == 1u ? {b} : {c}))")
}

/// The parts of the largest |fresh sample − predicted field|.
pub fn sample_error(names: &Names, ring: [Ref; 3], predicted: Ref) -> Kernel {
    let mut body = names.defines() + LOAD + FINITE + "KERNEL_MAIN {\n" + BEGIN;
    let _ = writeln!(
        body,
        "    on = on && state[r * STATE_SIZE + {}] == 1u;\n    VEC d = load({} + own) - load({} + own);",
        state::DUE,
        next_sample(names, ring),
        names.place(predicted)
    );
    group_largest(&mut body, "dot(d, d)", 0);
    body.push_str("}\n");
    on_cells("sample error", names, body, &[("fields", false), ("ctl", false), ("state", false), ("partial", true)], true)
}

/// Takes note of a sample and chooses the next interval: [`crate::Control::sampled`].
pub fn sampled(names: &Names) -> Kernel {
    let mut body = names.defines() + FINITE + "KERNEL_MAIN {\n    int r = int(WG.y);\n";
    largest_of_groups(&mut body, 0);
    let _ = write!(
        body,
        "    {OF_REPLICA}    if (LID.x == 0u && state[s + {due}] == 1u) {{\n        int points = min(int(state[s + {count}]), int(state[s + {order}]) + 1);\n        \
         REAL span = ctl[c + {ages} + int(state[s + {newest}])];\n        if (points > 0 && state[s + {fixed}] == 0u) {{\n            REAL n = REAL(points + 1);\n            \
         REAL turn = ctl[c + {gamma}] * sqrt(red[0]) * span / n;\n            REAL factor = REAL(2.0f);\n            \
         if (turn > REAL(0.0f)) {{ factor = ctl[c + {headroom}] * REAL(pow(float(ctl[c + {most}] / turn), float(REAL(1.0f) / n))); }}\n            \
         factor = factor < REAL(0.2f) ? REAL(0.2f) : (factor > REAL(2.0f) ? REAL(2.0f) : factor);\n            REAL next = span * factor;\n            \
         if (factor > REAL(1.0f)) {{ next = larger(next, ctl[c + {every}]); }}\n            ctl[c + {every}] = next < ctl[c + {longest}] ? next : ctl[c + {longest}];\n        }}\n        \
         uint place = (state[s + {newest}] + 1u) % 3u;\n        state[s + {newest}] = place;\n        ctl[c + {ages} + int(place)] = REAL(0.0f);\n        \
         state[s + {count}] = min(state[s + {count}] + 1u, 3u);\n        state[s + {taken}] = state[s + {taken}] + 1u;\n    }}\n}}\n",
        due = state::DUE,
        count = state::COUNT,
        order = state::ORDER,
        ages = ctl::AGES,
        newest = state::NEWEST,
        fixed = state::SAMPLING_FIXED,
        gamma = ctl::GAMMA,
        headroom = ctl::HEADROOM,
        most = ctl::TURN,
        every = ctl::EVERY,
        longest = ctl::LONGEST,
        taken = state::TAKEN
    );
    on_cells("sampled", names, body, &[("ctl", true), ("state", true), ("partial", false)], true)
}

fn by_replica(name: &str, names: &Names, body: String) -> Kernel {
    on_cells(name, names, body, &[("ctl", true), ("state", true)], false)
}
