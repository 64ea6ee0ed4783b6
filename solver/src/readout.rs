//! What an experimenter reads from a magnetisation: walls, Hall crosses, tunnel junctions. Host functions of a field read back.

use crate::shapes::Shape;
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

/// A named place where a voltage or a conductance is measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// Its name; the column is `V_<name>` or `G_<name>`.
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
    /// Conductance of a tunnel junction, cells in parallel: G = (A/RA) Σ [1 + P² m·p]/[1 + P²] with TMR = 2P²/(1 − P²)
    /// (Julliere, Phys. Lett. A 54, 225 (1975); Slonczewski, PRB 39, 6995 (1989), eq. 4.1). RA is that of the parallel state.
    Junction {
        /// Resistance–area product of the parallel state (Ω m²).
        ra: f64,
        /// (R_AP − R_P)/R_P.
        tmr: f64,
        /// Magnetisation of the reference layer, a unit vector.
        reference: [f64; 3],
    },
}

impl Probe {
    /// The column's name and unit.
    pub fn column(&self) -> (String, &'static str) {
        match self.kind {
            ProbeKind::Hall { .. } => (format!("V_{}", self.name), "V"),
            ProbeKind::Junction { .. } => (format!("G_{}", self.name), "S"),
        }
    }

    /// The reading, over the cells of the probe (see [`Shape::cells`]).
    pub fn read(&self, mesh: &Mesh, regions: &RegionMap, cells: &[usize], m: &[f64]) -> f64 {
        let all = mesh.cells();
        let solid: Vec<usize> = cells.iter().copied().filter(|i| regions.cells[*i] != RegionMap::VACUUM).collect();
        match self.kind {
            ProbeKind::Hall { amplitude } => amplitude * solid.iter().map(|i| m[2 * all + i]).sum::<f64>() / solid.len().max(1) as f64,
            ProbeKind::Junction { ra, tmr, reference } => {
                let p2 = tmr / (2.0 + tmr);
                let area = mesh.cell[0] * mesh.cell[1];
                solid
                    .iter()
                    .map(|i| {
                        let cos: f64 = (0..3).map(|c| m[c * all + i] * reference[c]).sum();
                        area / ra * (1.0 + p2 * cos) / (1.0 + p2)
                    })
                    .sum()
            }
        }
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
    fn probes_read_hand_values() {
        let (mesh, regions, mut m) = track(400e-9, 0.0);
        let cells = Shape::All.cells(&mesh);
        let hall = Probe { name: "a".into(), shape: Shape::All, kind: ProbeKind::Hall { amplitude: 2e-6 } };
        assert!((hall.read(&mesh, &regions, &cells, &m) + 2e-6).abs() < 1e-12);
        let junction =
            Probe { name: "a".into(), shape: Shape::All, kind: ProbeKind::Junction { ra: 1e-11, tmr: 1.0, reference: [0.0, 0.0, 1.0] } };
        let area = 200e-9 * 40e-9;
        // All antiparallel: G = A/RA/(1 + TMR); all parallel: A/RA.
        assert!((junction.read(&mesh, &regions, &cells, &m) / (area / 1e-11) - 0.5).abs() < 1e-6);
        m.iter_mut().for_each(|v| *v = -*v);
        assert!((junction.read(&mesh, &regions, &cells, &m) / (area / 1e-11) - 1.0).abs() < 1e-6);
    }
}
