//! What an experimenter reads from a magnetisation: walls, Hall crosses, tunnel junctions. Host functions of a field read back.

use crate::experiment::read_unit_vector;
use crate::shapes::Shape;
use crate::surroundings::Level;
use spinloom_base::{Dimension, Fields, Node, Problems};
use spinloom_kernels::real::{cross, dot};
use spinloom_kernels::{Mesh, RegionMap};

/// Domain walls of a track along x between domains along ±z.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wall {
    /// How many walls the width-averaged profile has; 0 when the wall has been expelled.
    pub count: usize,
    /// Position of the first wall from the left: the zero of the width-averaged mz between cell centres, by linear interpolation (m from the centre of the box). Not-a-number without a wall.
    pub x: f64,
    /// Angle of the wall line to the y axis: arctangent of the slope dx/dy of a straight line through the rows' own zeros (rad). 0 for a straight wall.
    pub tilt: f64,
    /// In-plane angle of the magnetisation at the wall, from the x axis (rad), of the width average interpolated to the zero.
    pub phi: f64,
}

/// Finds the walls. `m` is `[component][z][y][x]`.
pub fn wall(mesh: &Mesh, regions: &RegionMap, m: &[f64]) -> Wall {
    let [nx, ny, nz] = mesh.n;
    let cells = mesh.cells();
    let mut profile = vec![[0.0; 3]; nx];
    let mut material = vec![0usize; nx];
    for row in 0..ny * nz {
        for x in 0..nx {
            let i = row * nx + x;
            if regions.cells[i] != RegionMap::VACUUM {
                material[x] += 1;
                for c in 0..3 {
                    profile[x][c] += m[c * cells + i];
                }
            }
        }
    }
    for (p, n) in profile.iter_mut().zip(&material) {
        p.iter_mut().for_each(|c| *c /= (*n).max(1) as f64);
    }
    let place = |x: f64| (x - (nx as f64 - 1.0) / 2.0) * mesh.cell[0];
    let crossing = |a: f64, b: f64| a / (a - b);
    let crosses = |x: usize| material[x] > 0 && material[x + 1] > 0 && (profile[x][2] < 0.0) != (profile[x + 1][2] < 0.0);
    let walls: Vec<usize> = (0..nx.saturating_sub(1)).filter(|x| crosses(*x)).collect();
    let Some(&first) = walls.first() else {
        return Wall { count: 0, x: f64::NAN, tilt: f64::NAN, phi: f64::NAN };
    };
    let s = crossing(profile[first][2], profile[first + 1][2]);
    let mix = |c: usize| profile[first][c] * (1.0 - s) + profile[first + 1][c] * s;
    // The zero of each row nearest to that of the average; a straight line through them by least squares.
    let mut points = Vec::new();
    for y in 0..ny {
        let row = &m[2 * cells + y * nx..][..nx];
        let own = &regions.cells[y * nx..][..nx];
        let nearest = (0..nx - 1)
            .filter(|&x| own[x] != RegionMap::VACUUM && own[x + 1] != RegionMap::VACUUM && (row[x] < 0.0) != (row[x + 1] < 0.0))
            .map(|x| x as f64 + crossing(row[x], row[x + 1]))
            .min_by(|a, b| (a - first as f64 - s).abs().total_cmp(&(b - first as f64 - s).abs()));
        points.extend(nearest.map(|x| (y as f64 * mesh.cell[1], x * mesh.cell[0])));
    }
    let n = points.len() as f64;
    let (my, mx) = points.iter().fold((0.0, 0.0), |a, p| (a.0 + p.0 / n, a.1 + p.1 / n));
    let (sxy, syy) = points.iter().fold((0.0, 0.0), |a, p| (a.0 + (p.0 - my) * (p.1 - mx), a.1 + (p.0 - my).powi(2)));
    let tilt = if syy > 0.0 { (sxy / syy).atan() } else { 0.0 };
    Wall { count: walls.len(), x: place(first as f64 + s), tilt, phi: mix(1).atan2(mix(0)) }
}

/// The solid angle of three unit vectors; Berg and Lüscher, Nucl. Phys. B 190, 412 (1981), eq. 12.
pub(crate) fn solid_angle(a: [f64; 3], b: [f64; 3], c: [f64; 3]) -> f64 {
    2.0 * dot(a, cross(b, c)).atan2(1.0 + dot(a, b) + dot(b, c) + dot(c, a))
}

/// Topological charge, the mean over the layers: every plaquette of four cells as two triangles, so that it is a whole number but for what turns at the edges. The number of
/// skyrmions where all have one sign. `m` is `[component][z][y][x]`.
pub fn charge(mesh: &Mesh, regions: &RegionMap, m: &[f64]) -> f64 {
    let [nx, ny, nz] = mesh.n;
    let cells = mesh.cells();
    let at = |x: usize, y: usize, z: usize| {
        let i = mesh.index(x, y, z);
        (regions.cells[i] != RegionMap::VACUUM).then(|| [0, 1, 2].map(|c| m[c * cells + i]))
    };
    let mut sum = 0.0;
    for z in 0..nz {
        for y in 0..ny.saturating_sub(1) {
            for x in 0..nx.saturating_sub(1) {
                if let (Some(a), Some(b), Some(c), Some(d)) = (at(x, y, z), at(x + 1, y, z), at(x + 1, y + 1, z), at(x, y + 1, z)) {
                    sum += solid_angle(a, b, c) + solid_angle(a, c, d);
                }
            }
        }
    }
    sum / (4.0 * std::f64::consts::PI * nz as f64)
}

/// What stands against the mean m_z: x and y of its centre, each cell weighed with its |m_z|, and the radius of the circle of the same area for every whole unit of charge (m). Of one
/// skyrmion its place and its radius at m_z = 0; of several their mean. No numbers where nothing is reversed. `m` is `[component][z][y][x]`.
pub fn skyrmion(mesh: &Mesh, regions: &RegionMap, m: &[f64]) -> [f64; 3] {
    let [nx, ny, nz] = mesh.n;
    let cells = mesh.cells();
    let mz = |i: usize| if regions.cells[i] == RegionMap::VACUUM { 0.0 } else { m[2 * cells + i] };
    let up = (0..cells).map(mz).sum::<f64>().signum();
    let (mut weight, mut count, mut at) = (0.0, 0.0, [0.0; 2]);
    for i in (0..cells).filter(|&i| up * mz(i) < 0.0) {
        let (place, w) = (mesh.position(i % nx, i / nx % ny, 0), mz(i).abs());
        weight += w;
        count += 1.0;
        at = [at[0] + w * place[0], at[1] + w * place[1]];
    }
    let number = charge(mesh, regions, m).abs().round().max(1.0);
    let area = count * mesh.cell[0] * mesh.cell[1] / nz as f64;
    if count == 0.0 { [f64::NAN; 3] } else { [at[0] / weight, at[1] / weight, (area / (std::f64::consts::PI * number)).sqrt()] }
}

/// A named place where something electrical is measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// Its name; the columns are `V_<name>`, `G_<name>` and so on, see [`Probe::columns`].
    pub name: String,
    /// Where.
    pub shape: Shape,
    /// What.
    pub kind: ProbeKind,
}

/// What a probe measures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ProbeKind {
    /// Anomalous Hall voltage of a cross: V = amplitude · the mean mz over its area (Nagaosa et al., Rev. Mod. Phys. 82, 1539 (2010), eq. 1.1 without the ordinary part).
    Hall {
        /// Voltage at mean mz = 1 (V).
        amplitude: f64,
    },
    /// A tunnel junction.
    Junction(Junction),
}

/// A tunnel junction over the cells of a probe, all in parallel: G = (A/RA) Σ [1 + p m·r]/[1 + p] with TMR = 2p/(1 − p), p = P1 P2
/// (Julliere, Phys. Lett. A 54, 225 (1975); Slonczewski, PRB 39, 6995 (1989), eq. 4.1). RA is that of the parallel state and does not depend on voltage; TMR
/// falls as TMR0/(1 + (V/Vh)²) (Zhang et al., IEEE Trans. Electron Devices 59, 819 (2012)).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Junction {
    /// Resistance–area product of the parallel state (Ω m²).
    pub ra: f64,
    /// (R_AP − R_P)/R_P at no voltage.
    pub tmr: f64,
    /// Voltage at which TMR has fallen to a half (V); infinity if it does not.
    pub half: f64,
    /// Magnetisation r of the reference layer, a unit vector.
    pub reference: [f64; 3],
    /// Whether the barrier lies below the magnet rather than above it: which cell of a column faces it.
    pub below: bool,
    /// Whether its current flows on through the magnet along z, as [`spinloom_kernels::ParameterId::J`] of the spin-transfer torque.
    pub torque: bool,
    /// Thickness of the oxide (m), whose field V along z then is that of voltage-controlled anisotropy, [`spinloom_kernels::ParameterId::Ez`]; 0 if that stays
    /// away.
    pub oxide: f64,
}

/// What feeds a junction. Positive currents flow along +z.
#[derive(Clone, Debug, PartialEq)]
pub enum Feed {
    /// A voltage (V), whatever the resistance.
    Voltage(Level),
    /// A current (A), whatever the resistance.
    Current(Level),
}

/// State of a fed junction.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Reading {
    /// Conductance at its voltage (S).
    pub g: f64,
    /// Voltage across it (V).
    pub v: f64,
    /// Current through it (A).
    pub i: f64,
}

/// One of the columns of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbePart {
    /// Hall voltage (V).
    Hall,
    /// Conductance (S).
    G,
    /// Resistance (Ω).
    R,
    /// Voltage (V).
    V,
    /// Current (A).
    I,
    /// What the source has given since the start (J).
    Work,
}

impl Junction {
    /// p = P1 P2 at a voltage.
    fn polarisation(&self, v: f64) -> f64 {
        let tmr = self.tmr / (1.0 + (v / self.half).powi(2));
        tmr / (2.0 + tmr)
    }

    /// Conductance per area (S/m²) at a voltage, with m·r.
    pub fn conductance(&self, cos: f64, v: f64) -> f64 {
        let p = self.polarisation(v);
        (1.0 + p * cos) / ((1.0 + p) * self.ra)
    }

    /// The cosine to the reference layer in a cell. `m` is `[component][z][y][x]`.
    pub fn cos(&self, m: &[f64], cell: usize) -> f64 {
        let cells = m.len() / 3;
        (0..3).map(|c| m[c * cells + cell] * self.reference[c]).sum()
    }

    /// The state of a junction over `area` (m²) with the mean cosine `cos`, fed with so many volts or amperes.
    pub fn fed(&self, area: f64, cos: f64, feed: f64, is_voltage: bool) -> Reading {
        let g = |v: f64| area * self.conductance(cos, v);
        let v = if is_voltage {
            feed
        } else {
            // G grows with V, for p falls: V lies below I/G(0), and V G(V) grows, so halving the interval finds it.
            let (mut low, mut high) = (0.0, feed.abs() / g(0.0));
            for _ in 0..200 {
                let middle = 0.5 * (low + high);
                if middle * g(middle) < feed.abs() { low = middle } else { high = middle }
            }
            high.copysign(feed)
        };
        Reading { g: g(v), v, i: v * g(v) }
    }
}

impl Probe {
    /// Its columns: name, unit, part. A junction that nothing feeds has no voltage.
    pub fn columns(&self, fed: bool) -> Vec<(String, &'static str, ProbePart)> {
        let list: &[(&str, &str, ProbePart)] = match self.kind {
            ProbeKind::Hall { .. } => &[("V", "V", ProbePart::Hall)],
            ProbeKind::Junction(_) => &[
                ("G", "S", ProbePart::G),
                ("R", "Ohm", ProbePart::R),
                ("V", "V", ProbePart::V),
                ("I", "A", ProbePart::I),
                ("W", "J", ProbePart::Work),
            ],
        };
        let shown = list.iter().filter(|c| fed || matches!(c.2, ProbePart::Hall | ProbePart::G | ProbePart::R));
        shown.map(|(symbol, unit, part)| (format!("{symbol}_{}", self.name), *unit, *part)).collect()
    }

    /// The cells it sees: all of its shape, or for a junction in each column the one that faces the barrier.
    pub fn cells(&self, mesh: &Mesh, regions: &RegionMap) -> Vec<usize> {
        let solid = self.shape.cells(mesh).into_iter().filter(|i| regions.cells[*i] != RegionMap::VACUUM);
        let ProbeKind::Junction(junction) = self.kind else { return solid.collect() };
        let plane = mesh.n[0] * mesh.n[1];
        let mut facing: Vec<Option<usize>> = vec![None; plane];
        // Cells come from the lowest up.
        for i in solid {
            let place = &mut facing[i % plane];
            if place.is_none() || !junction.below {
                *place = Some(i);
            }
        }
        facing.into_iter().flatten().collect()
    }

    /// What is fed with so much, over its cells (see [`Probe::cells`]). A Hall cross shows its voltage.
    pub fn read(&self, mesh: &Mesh, cells: &[usize], m: &[f64], feed: f64, is_voltage: bool) -> Reading {
        let n = cells.len().max(1) as f64;
        match self.kind {
            ProbeKind::Hall { amplitude } => {
                let weights: f64 = cells.iter().map(|i| mesh.weight(*i)).sum();
                let sum: f64 = cells.iter().map(|i| mesh.weight(*i) * m[2 * (m.len() / 3) + i]).sum();
                Reading { v: amplitude * sum / weights.max(f64::MIN_POSITIVE), ..Reading::default() }
            }
            ProbeKind::Junction(junction) => {
                let cos = cells.iter().map(|i| junction.cos(m, *i)).sum::<f64>() / n;
                junction.fed(mesh.cell[0] * mesh.cell[1] * cells.len() as f64, cos, feed, is_voltage)
            }
        }
    }

    /// Reads `{name: …, shape: …, hall: {amplitude: …}}` or `{…, junction: {RA:, TMR: (or P: [P1, P2]), Vh:, reference:, barrier:, torque:, oxide:, voltage: (or
    /// current:)}}`, with what feeds it.
    pub fn parse(node: &Node, problems: &mut Problems) -> Option<(Self, Option<Feed>)> {
        let mut f = Fields::of(node, "a probe", problems)?;
        let name = f.required("name", problems).and_then(|n| n.text(problems)).map(str::to_string);
        let shape = f.required("shape", problems).and_then(|n| Shape::read(n, problems));
        let (hall, junction) = (f.optional("hall"), f.optional("junction"));
        f.finish(problems);
        let (kind, feed) = match (hall, junction) {
            (Some(n), None) => {
                let mut f = Fields::of(n, "a Hall cross", problems)?;
                let amplitude = f.required("amplitude", problems).and_then(|n| n.quantity(Dimension::VOLTAGE, problems));
                f.finish(problems);
                (ProbeKind::Hall { amplitude: amplitude? }, None)
            }
            (None, Some(n)) => {
                let mut f = Fields::of(n, "a junction", problems)?;
                let ra = f.required("RA", problems).and_then(|n| n.positive(Dimension::RESISTANCE_AREA, problems));
                let (tmr, p) = (f.optional("TMR"), f.optional("P"));
                let half = f.optional("Vh").map_or(Some(f64::INFINITY), |n| n.positive(Dimension::VOLTAGE, problems));
                let reference_node = f.required("reference", problems);
                let below = f.optional("barrier").map_or(Some(false), |n| n.choice(&["above", "below"], problems).map(|i| i == 1));
                let torque = f.optional("torque").map_or(Some(false), |n| n.bool(problems));
                let oxide = f.optional("oxide").map_or(Some(0.0), |n| n.positive(Dimension::LENGTH, problems));
                let (voltage, current) = (f.optional("voltage"), f.optional("current"));
                f.finish(problems);
                let tmr = match (tmr, p) {
                    (Some(n), None) => n.positive(Dimension::NONE, problems),
                    (None, Some(n)) => n.vector::<2>(Dimension::NONE, problems).and_then(|[a, b]| {
                        let p = a * b;
                        if p <= 0.0 || p >= 1.0 {
                            problems
                                .push(n.error(format!("P1 P2 = {p} gives no TMR = 2 P1 P2/(1 - P1 P2)")).hint("both are between 0 and 1"));
                            return None;
                        }
                        Some(2.0 * p / (1.0 - p))
                    }),
                    _ => {
                        problems.push(n.error("a junction has either `TMR` or both polarisations `P: [P1, P2]`"));
                        None
                    }
                };
                let reference = reference_node.and_then(|n| read_unit_vector(n, problems));
                let feed = match (voltage, current) {
                    (Some(n), None) => Some(Feed::Voltage(Level::read(n, Dimension::VOLTAGE, problems)?)),
                    (None, Some(n)) => Some(Feed::Current(Level::read(n, Dimension::CURRENT, problems)?)),
                    (None, None) => None,
                    (Some(_), Some(n)) => {
                        problems.push(n.error("a junction is fed with either a `voltage` or a `current`"));
                        None
                    }
                };
                let junction =
                    Junction { ra: ra?, tmr: tmr?, half: half?, reference: reference?, below: below?, torque: torque?, oxide: oxide? };
                (ProbeKind::Junction(junction), feed)
            }
            _ => {
                problems.push(node.error("a probe is exactly one of `hall` and `junction`"));
                return None;
            }
        };
        Some((Probe { name: name?, shape: shape?, kind }, feed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Walls at x0 + slope·y, of width Δ = 6 nm.
    fn track(x0: f64, slope: f64) -> (Mesh, RegionMap, Vec<f64>) {
        let mesh = Mesh::new([100, 20, 1], [2e-9, 2e-9, 1e-9]);
        let cells = mesh.cells();
        let mut m = vec![0.0; 3 * cells];
        for y in 0..20 {
            for x in 0..100 {
                let p = mesh.position(x, y, 0);
                let u = (p[0] - x0 - slope * p[1]) / 6e-9;
                let i = mesh.index(x, y, 0);
                m[i] = 0.6 / u.cosh();
                m[cells + i] = 0.8 / u.cosh();
                m[2 * cells + i] = u.tanh();
            }
        }
        (mesh, RegionMap::uniform(cells), m)
    }

    #[test]
    fn a_skyrmion_counts_one() {
        // m_z = -1 in the middle, +1 outside, hedgehog in the plane: charge -1 whichever its radius.
        let mesh = Mesh::new([24, 20, 2], [2e-9, 2e-9, 1e-9]);
        let regions = RegionMap::uniform(mesh.cells());
        let cells = mesh.cells();
        let mut m = vec![0.0; 3 * cells];
        for i in 0..cells {
            let p = mesh.position(i % 24, i / 24 % 20, 0);
            let (x, y) = (p[0] - 4e-9, p[1] + 2e-9);
            let r = x.hypot(y);
            let theta = std::f64::consts::PI * (1.0 - (r / 16e-9).min(1.0));
            (m[i], m[cells + i], m[2 * cells + i]) = (theta.sin() * x / r, theta.sin() * y / r, theta.cos());
        }
        let q = charge(&mesh, &regions, &m);
        let [at_x, at_y, radius] = skyrmion(&mesh, &regions, &m);
        assert!((q + 1.0).abs() < 1e-12, "{q}");
        // m_z = 0 at 8 nm, found to a quarter of a cell.
        assert!((at_x - 4e-9).abs() < 1e-15 && (at_y + 2e-9).abs() < 1e-15 && (radius - 8e-9).abs() < 5e-10, "{at_x} {at_y} {radius}");
    }

    #[test]
    fn a_wall_is_found_to_a_hundredth_of_a_cell() {
        for x0 in [-31.3e-9, 0.0, 7.77e-9] {
            let (mesh, regions, m) = track(x0, 0.0);
            let w = wall(&mesh, &regions, &m);
            // tanh between two cells is straight to (cell/Δ)²/24 of a cell.
            assert!((w.x - x0).abs() < 2e-11 && w.count == 1 && w.tilt.abs() < 1e-12, "{w:?}");
            assert!((w.phi - 0.8f64.atan2(0.6)).abs() < 1e-9);
        }
        let (mesh, regions, m) = track(3e-9, 0.3);
        assert!((wall(&mesh, &regions, &m).tilt - 0.3f64.atan()).abs() < 5e-3);
        let (mesh, regions, m) = track(400e-9, 0.0);
        let w = wall(&mesh, &regions, &m);
        assert!(w.count == 0 && w.x.is_nan());
    }

    #[test]
    fn a_hall_cross_reads_its_hand_value() {
        let (mesh, regions, m) = track(400e-9, 0.0);
        let hall = Probe { name: "a".into(), shape: Shape::All, kind: ProbeKind::Hall { amplitude: 2e-6 } };
        let cells = hall.cells(&mesh, &regions);
        assert!((hall.read(&mesh, &cells, &m, 0.0, true).v + 2e-6).abs() < 1e-12);
    }

    fn junction(half: f64) -> Probe {
        let reference = [0.0, 0.0, 1.0];
        let kind = ProbeKind::Junction(Junction { ra: 1e-11, tmr: 1.0, half, reference, below: false, torque: false, oxide: 0.0 });
        Probe { name: "a".into(), shape: Shape::All, kind }
    }

    #[test]
    fn a_junction_reads_its_hand_values() {
        let (mesh, regions, mut m) = track(400e-9, 0.0);
        let probe = junction(f64::INFINITY);
        let cells = probe.cells(&mesh, &regions);
        let area = 200e-9 * 40e-9;
        let g = |m: &[f64]| probe.read(&mesh, &cells, m, 0.0, true).g / (area / 1e-11);
        // All antiparallel: G = A/RA/(1 + TMR); all parallel: A/RA; across: the mean of both.
        assert!((g(&m) - 0.5).abs() < 1e-6);
        m.iter_mut().for_each(|v| *v = -*v);
        assert!((g(&m) - 1.0).abs() < 1e-6);
        assert!((g(&vec![0.0; m.len()]) - 0.75).abs() < 1e-12);
        // One domain of each: conductances add up.
        let (_, _, half) = track(0.0, 0.0);
        assert!((g(&half) - 0.75).abs() < 1e-6);
    }

    #[test]
    fn tmr_falls_with_voltage_and_either_feed_finds_the_same_state() {
        let ProbeKind::Junction(j) = junction(0.5).kind else { unreachable!() };
        let area = 1e-14;
        // At Vh the antiparallel resistance is R_P (1 + TMR/2), the parallel one as before.
        let at_half = j.fed(area, -1.0, 0.5, true);
        assert!((1.0 / at_half.g - 1.5 * 1000.0).abs() < 1e-9 && (at_half.i - 0.5 / 1500.0).abs() < 1e-15);
        assert!((1.0 / j.fed(area, 1.0, 0.5, true).g - 1000.0).abs() < 1e-9);
        for cos in [-1.0, -0.3, 0.8] {
            for v in [-0.7, -0.1, 0.0, 0.05, 0.4, 2.0] {
                let by_voltage = j.fed(area, cos, v, true);
                let by_current = j.fed(area, cos, by_voltage.i, false);
                assert!((by_current.v - v).abs() < 1e-12, "{cos} {v}: {by_current:?}");
            }
        }
    }

    #[test]
    fn only_the_cells_at_the_barrier_count() {
        let mesh = Mesh::new([2, 1, 3], [1e-9; 3]);
        let mut regions = RegionMap::uniform(6);
        // The top cell of the second column is empty.
        regions.cells[5] = RegionMap::VACUUM;
        let mut probe = junction(f64::INFINITY);
        assert_eq!(probe.cells(&mesh, &regions), [4, 3]);
        if let ProbeKind::Junction(j) = &mut probe.kind {
            j.below = true;
        }
        assert_eq!(probe.cells(&mesh, &regions), [0, 1]);
    }
}
