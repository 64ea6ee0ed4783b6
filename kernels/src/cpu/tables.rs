//! Parameter tables of one replica: what the laws' coefficients are in every region, now.

use super::rows::BLOCK;
use crate::material::{Apart, Mask, Material, ParameterId, Values};
use crate::mesh::Mesh;
use crate::plan::Motion;
use crate::real::Real;
use crate::region::{Neighbours, RegionMap};
use crate::terms::{Driven, FreeFace, Law, MAX_COEFFICIENTS, Term, WithLaw, ghost_slope};
use std::sync::Arc;

#[derive(Clone)]
/// One coefficient: a value per region (and 0 for vacuum, last), and what multiplies it in time.
pub struct Column<T> {
    /// Per region, vacuum last.
    pub table: Vec<T>,
    /// A block of the value, where all material has the same one.
    uniform: Option<Vec<T>>,
    /// Waveform (position in the material's list) and its power.
    pub wave: Option<(usize, f64)>,
    /// Divided by √dt.
    pub white: bool,
}

impl<T: Real> Column<T> {
    fn new(values: Vec<f64>) -> Self {
        let uniform = values.windows(2).all(|w| w[0] == w[1]).then(|| vec![T::of(values[0]); BLOCK]);
        let mut table: Vec<T> = values.into_iter().map(T::of).collect();
        table.push(T::ZERO);
        Self { table, uniform, wave: None, white: false }
    }

    /// The factor at this instant; `None` if there is nothing to multiply.
    fn factor(&self, now: &Instant) -> Option<T> {
        if self.wave.is_none() && !self.white {
            return None;
        }
        let wave = self.wave.map_or(1.0, |(w, power)| if power == 1.0 { now.waves[w] } else { now.waves[w].max(0.0).powf(power) });
        Some(T::of(if self.white { wave / now.dt.sqrt() } else { wave }))
    }

    /// The value, where all material has the same one.
    pub fn everywhere(&self, now: &Instant) -> Option<T> {
        let value = self.uniform.as_ref()?[0];
        Some(self.factor(now).map_or(value, |f| value * f))
    }

    /// The value in one cell.
    pub fn at(&self, region: u16, now: &Instant) -> T {
        let value = self.table[usize::from(region).min(self.table.len() - 1)];
        self.factor(now).map_or(value, |f| value * f)
    }

    /// The values along a block of cells of these regions; `scratch` holds them where they are not at hand.
    pub fn row<'a>(&'a self, regions: &[u16], now: &Instant, scratch: &'a mut [T]) -> &'a [T] {
        let n = regions.len();
        match (&self.uniform, self.factor(now)) {
            (Some(row), None) => &row[..n],
            (Some(row), Some(f)) => {
                scratch[..n].fill(row[0] * f);
                &scratch[..n]
            }
            (None, f) => {
                let f = f.unwrap_or(T::ONE);
                let vacuum = self.table.len() - 1;
                for (s, r) in scratch.iter_mut().zip(regions) {
                    *s = self.table[usize::from(*r).min(vacuum)] * f;
                }
                &scratch[..n]
            }
        }
    }
}

/// Link coefficients of one axis: a table over pairs of regions.
pub struct Links<T> {
    /// `[own][other]`; or, where only neighbours have a place, `[own][place among its neighbours]` in rows of [`Neighbours::width`].
    pub table: Vec<T>,
    width: usize,
    neighbours: Option<Arc<Neighbours>>,
    uniform: Option<Vec<T>>,
    /// Whether there is a link across a free face.
    pub ghosts: bool,
}

impl<T: Real> Links<T> {
    fn new(regions: usize, neighbours: Option<&Arc<Neighbours>>, ghosts: bool, value: impl Fn(usize, usize) -> f64) -> Self {
        let (width, table): (usize, Vec<T>) = match neighbours {
            None => (regions, (0..regions * regions).map(|i| T::of(value(i / regions, i % regions))).collect()),
            Some(list) => {
                let width = list.width;
                let at = |own: usize, k: usize| list.of[own].get(k).map_or(T::ZERO, |other| T::of(value(own, usize::from(*other))));
                (width, (0..regions * width).map(|i| at(i / width, i % width)).collect())
            }
        };
        let uniform = (ghosts && table.windows(2).all(|w| w[0] == w[1])).then(|| vec![table[0]; BLOCK]);
        Self { table, width, neighbours: neighbours.cloned(), uniform, ghosts }
    }

    /// The coefficient between two regions; a free face (vacuum beyond) counts as the cell's own material, for its ghost is.
    pub fn at(&self, own: u16, other: u16) -> T {
        if own == RegionMap::VACUUM || (other == RegionMap::VACUUM && !self.ghosts) {
            return T::ZERO;
        }
        let other = if other == RegionMap::VACUUM { own } else { other };
        let place = match &self.neighbours {
            None => usize::from(other),
            Some(list) => list.of[usize::from(own)].iter().position(|r| *r == other).expect("regions that meet are neighbours"),
        };
        self.table[usize::from(own) * self.width + place]
    }

    /// The coefficient, where all links have the same one, free faces too.
    pub fn everywhere(&self) -> Option<T> {
        self.uniform.as_ref().map(|row| row[0])
    }

    /// The coefficients along a block, given the neighbours' regions.
    pub fn row<'a>(&'a self, own: &[u16], other: impl Fn(usize) -> u16, scratch: &'a mut [T]) -> &'a [T] {
        if let Some(row) = &self.uniform {
            return &row[..own.len()];
        }
        for (i, s) in scratch.iter_mut().enumerate().take(own.len()) {
            *s = self.at(own[i], other(i));
        }
        &scratch[..own.len()]
    }
}

/// The tables of one term.
pub struct TermTables<T> {
    /// As many as the law has coefficients.
    pub coefficients: Vec<Column<T>>,
    /// x, y, z; empty for laws without neighbours.
    pub links: Vec<Links<T>>,
}

/// What multiplies coefficients at one instant.
#[derive(Clone, Debug, Default)]
pub struct Instant<'a> {
    /// The material's waveforms, in its order.
    pub waves: &'a [f64],
    /// Factors of the material's masks.
    pub masks: &'a [f64],
    /// Time step (s).
    pub dt: f64,
}

/// All tables of one replica.
pub struct Tables<T> {
    /// In the order of the system's terms.
    pub terms: Vec<TermTables<T>>,
    /// Coefficients of m × B and m × (m × B) of LLG (rad/(T s)).
    llg: [Column<T>; 2],
    /// The same for damping only.
    damping: [Column<T>; 2],
    /// Ghost coefficient times cell size along x, y and z.
    pub ghost: [Column<T>; 3],
    /// Whether the ghosts are those of bulk DMI.
    pub bulk: bool,
    /// Largest γ (rad/(T s)).
    pub gamma: f64,
}

impl<T: Real> Tables<T> {
    /// Computes every coefficient in `f64` and rounds once. `regions` are the material's values now, which may differ from those it starts with.
    pub fn new(mesh: &Mesh, terms: &[Term], material: &Material, regions: &[Values], neighbours: Option<&Arc<Neighbours>>) -> Self {
        Self::with_links(mesh, terms, material, regions, neighbours, |_| None)
    }

    /// Follows the values from `old` to `new`, those of the same material at another time. Links between regions, of which there are many, are made anew only where something has moved
    /// that they depend on: see [`Law::link`].
    pub fn follow(
        &mut self,
        mesh: &Mesh,
        terms: &[Term],
        material: &Material,
        [old, new]: [&[Values]; 2],
        neighbours: Option<&Arc<Neighbours>>,
    ) {
        let rests = |p: ParameterId| old.iter().zip(new).all(|(a, b)| a.vector(p) == b.vector(p));
        let mut links: Vec<_> = self.terms.iter_mut().map(|t| Some(std::mem::take(&mut t.links))).collect();
        let rest = rests(ParameterId::Msat);
        *self = Self::with_links(mesh, terms, material, new, neighbours, |k| {
            links[k].take().filter(|_| rest && terms[k].paired().is_none_or(rests))
        });
    }

    fn with_links(
        mesh: &Mesh,
        terms: &[Term],
        material: &Material,
        regions: &[Values],
        neighbours: Option<&Arc<Neighbours>>,
        mut kept: impl FnMut(usize) -> Option<Vec<Links<T>>>,
    ) -> Self {
        struct Make<'a, T>(&'a Mesh, &'a Material, &'a [Values], Option<&'a Arc<Neighbours>>, Option<Vec<Links<T>>>);
        impl<T: Real> WithLaw for Make<'_, T> {
            type Output = TermTables<T>;
            fn with<L: Law>(self) -> TermTables<T> {
                let Make(mesh, material, regions, neighbours, kept) = self;
                let rows: Vec<[f64; MAX_COEFFICIENTS]> = regions
                    .iter()
                    .enumerate()
                    .map(|(r, v)| {
                        let magnet = v.scalar(ParameterId::Msat) > 0.0;
                        if magnet { L::coefficients(v, &material.mesh_of(mesh, r)) } else { [0.0; MAX_COEFFICIENTS] }
                    })
                    .collect();
                let coefficients = (0..L::COEFFICIENTS)
                    .map(|k| {
                        let mut column = Column::new(rows.iter().map(|r| r[k]).collect());
                        column.white = L::WHITE;
                        column.wave = L::DRIVEN
                            .iter()
                            .filter(|d| d.coefficient == k)
                            .find_map(|d: &Driven| material.waveforms.iter().position(|(p, _)| *p == d.by).map(|w| (w, d.power)));
                        column
                    })
                    .collect();
                let links = if let Some(links) = kept {
                    links
                } else if L::LINKED {
                    let joins = material.joins(L::PAIRED);
                    let joined = |a, b, share| joins(a, b, L::link(&regions[a], &regions[b], share));
                    let ghosts = L::FREE_FACE == FreeFace::Ghost && !material.open_faces;
                    (0..3)
                        .map(|axis| {
                            Links::new(regions.len(), neighbours, ghosts, |a, b| {
                                let apart = if axis == 2 { material.apart(mesh, a, b) } else { Some(Apart::regular(mesh.cell[axis])) };
                                apart.map_or(0.0, |d| joined(a, b, d.share) * L::link_scale(&d))
                            })
                        })
                        .collect()
                } else {
                    let n = regions.len();
                    (0..L::PARTNERED)
                        .map(|k| {
                            Links::new(n, neighbours, false, |a, b| {
                                let sum = material.couplings_of(a as u16, b as u16).map(|c| L::coupling(c, k)).sum::<f64>();
                                sum / material.mesh_of(mesh, a).cell[2]
                            })
                        })
                        .collect()
                };
                TermTables { coefficients, links }
            }
        }
        let column = |f: &dyn Fn(&Values) -> f64| {
            Column::new(regions.iter().map(|v| if v.scalar(ParameterId::Msat) > 0.0 { f(v) } else { 0.0 }).collect())
        };
        let free = |v: &Values| if v.scalar(ParameterId::FrozenSpins) == 0.0 { 1.0 } else { 0.0 };
        let gilbert = |v: &Values| {
            let alpha = v.scalar(ParameterId::Alpha);
            -free(v) * v.scalar(ParameterId::GammaLl) / (1.0 + alpha * alpha)
        };
        let falls = |v: &Values| v.scalar(ParameterId::DampingOnly) != 0.0;
        let fall = |v: &Values| -free(v) * v.scalar(ParameterId::GammaLl);
        Self {
            terms: terms.iter().enumerate().map(|(k, t)| t.with(Make::<T>(mesh, material, regions, neighbours, kept(k)))).collect(),
            llg: [
                column(&|v| if falls(v) { 0.0 } else { gilbert(v) }),
                column(&|v| if falls(v) { fall(v) } else { gilbert(v) * v.scalar(ParameterId::Alpha) }),
            ],
            damping: [column(&|_| 0.0), column(&fall)],
            ghost: [0, 1, 2].map(|axis| column(&|v| ghost_slope(v) * mesh.cell[axis])),
            bulk: terms.contains(&Term::BulkDmi),
            gamma: material.largest_gamma(),
        }
    }

    /// The coefficients of a law of motion.
    pub fn motion(&self, motion: Motion) -> &[Column<T>; 2] {
        match motion {
            Motion::Llg => &self.llg,
            Motion::Damping => &self.damping,
        }
    }
}

/// What a mask adds to one coefficient of one term, per unit of its factor.
pub struct Added<T> {
    /// Position in [`Material::masks`].
    pub mask: usize,
    /// Position in the system's terms.
    pub term: usize,
    /// Which coefficient.
    pub coefficient: usize,
    /// Per cell.
    pub values: Vec<T>,
}

/// The parts of all masks. A coefficient is linear in a masked parameter: what one unit of the factor adds is its value with the mask less its
/// value without.
pub fn added<T: Real>(mesh: &Mesh, terms: &[Term], material: &Material, regions: &[Values], map: &RegionMap) -> Vec<Added<T>> {
    struct Of<'a>(Mesh, &'a Values);
    impl WithLaw for Of<'_> {
        type Output = [f64; MAX_COEFFICIENTS];
        fn with<L: Law>(self) -> Self::Output {
            L::coefficients(self.1, &self.0)
        }
    }
    let mut list = Vec::new();
    for (mask, Mask { parameter, values, .. }) in material.masks.iter().enumerate() {
        for (term, law) in terms.iter().enumerate().filter(|(_, t)| t.follows().contains(parameter)) {
            let mut parts: Vec<Vec<T>> = vec![vec![T::ZERO; mesh.cells()]; MAX_COEFFICIENTS];
            for (i, region) in map.cells.iter().enumerate() {
                let Some(own) = regions.get(usize::from(*region)).filter(|v| v.scalar(ParameterId::Msat) > 0.0) else { continue };
                let mut v = own.clone();
                v.set(*parameter, [0.0; 3]);
                let own_mesh = material.mesh_of(mesh, usize::from(*region));
                let without = law.with(Of(own_mesh, &v));
                let components = parameter.info().components;
                v.set(*parameter, std::array::from_fn(|c| if c < components { values[c * mesh.cells() + i] } else { 0.0 }));
                let with = law.with(Of(own_mesh, &v));
                for (part, (a, b)) in parts.iter_mut().zip(with.iter().zip(without)) {
                    part[i] = T::of(a - b);
                }
            }
            for (coefficient, values) in parts.into_iter().enumerate().filter(|(_, v)| v.iter().any(|v| *v != T::ZERO)) {
                list.push(Added { mask, term, coefficient, values });
            }
        }
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_that_follow_values_are_those_made_anew() {
        let mesh = Mesh::new([8, 4, 2], [2e-9; 3]);
        let terms = [Term::Exchange, Term::InterfacialDmi, Term::ZhangLi, Term::Uniaxial, Term::Zeeman];
        let mut region = Values::default();
        for (p, x) in [(ParameterId::Msat, 8e5), (ParameterId::Aex, 1e-11), (ParameterId::Dind, 1e-3), (ParameterId::Ku1, 1e5)] {
            region.set_scalar(p, x);
        }
        let old = vec![region; 3];
        let material = Material { regions: old.clone(), ..Material::default() };
        for (p, x) in [
            (ParameterId::BExt, 0.1),
            (ParameterId::Aex, 2e-11),
            (ParameterId::Dind, -1e-3),
            (ParameterId::Msat, 0.0),
            (ParameterId::Ku1, 2e5),
        ] {
            let mut new = old.clone();
            new[1].set_scalar(p, x);
            let mut followed = Tables::<f64>::new(&mesh, &terms, &material, &old, None);
            followed.follow(&mesh, &terms, &material, [&old, &new], None);
            let made = Tables::<f64>::new(&mesh, &terms, &material, &new, None);
            for (a, b) in followed.terms.iter().zip(&made.terms) {
                let tables = |t: &TermTables<f64>| -> Vec<Vec<f64>> {
                    t.coefficients.iter().map(|c| c.table.clone()).chain(t.links.iter().map(|l| l.table.clone())).collect()
                };
                assert!(!b.links.iter().any(|l| l.table.is_empty()));
                assert_eq!(tables(a), tables(b), "{p:?}");
            }
        }
    }
}
