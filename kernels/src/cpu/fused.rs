//! The commonest laws and the motion in one loop, where each of them is the same in every cell.
//!
//! A pass usually calls one function a law and block (see [`super::rows`]), each of which reads m and adds to the field in memory. Where only these laws
//! act and no coefficient differs between cells, all stays in registers. Laws that do not act have coefficients 0 here: what they add is exactly nothing, so
//! that the result is that of the calls one by one, to the bit.

use super::isa::{Isa, with_vectors};
use super::rows::{Rows, RowsMut};
use super::tables::{Instant, Tables};
use crate::plan::Cells;
use crate::real::{Real, cross};
use crate::terms::{Coefficients, Extra, Law, MAX_COEFFICIENTS, Term};
use crate::terms::{demag, exchange, interfacial_dmi, spin_orbit, thermal, uniaxial, zeeman};

/// Writes the list of laws and the loop over them.
macro_rules! common {
    ($($place:literal $name:ident = $law:ty;)*) => {
        /// The laws, in the order of the list of terms.
        const COMMON: &[Term] = &[$(Term::$name),*];

        with_vectors! {
            fn copy<V, T; const AXES>(a: &Block<'_, T>, out: RowsMut<'_, T>) {
                let [ox, oy, oz] = out;
                struct At<'a, T, const AXES: usize> {
                    laws: &'a [Common<T>; COUNT],
                    m: [T; 3],
                    near: [[T; 3]; 6],
                    demag: [T; 3],
                    noise: [T; 3],
                }
                impl<T: Real, const AXES: usize> At<'_, T, AXES> {
                    #[inline(always)]
                    fn add<L: Law>(&self, place: usize, b: [T; 3]) -> [T; 3] {
                        let law = &self.laws[place];
                        let mut sum = [T::ZERO; 3];
                        if L::LINKED {
                            for axis in 0..AXES {
                                let link = law.links[axis];
                                sum = L::gather(self.m, self.near[2 * axis], link, axis, -T::ONE, sum, &law.coefficients);
                                sum = L::gather(self.m, self.near[2 * axis + 1], link, axis, T::ONE, sum, &law.coefficients);
                            }
                        }
                        let extra = match L::EXTRA {
                            Extra::Demag => self.demag,
                            Extra::Noise => self.noise,
                            Extra::None | Extra::Custom => [T::ZERO; 3],
                        };
                        let own = L::finish(self.m, sum, &law.coefficients, extra);
                        [b[0] + own[0], b[1] + own[1], b[2] + own[2]]
                    }
                }
                let laws = a.common.laws;
                let [precession, damping] = a.common.motion;
                let n = ox.len();
                let (oy, oz) = (&mut oy[..n], &mut oz[..n]);
                for i in 0..n {
                    // SAFETY: every slice of a `Block` has at least as many elements as the output; with bounds checks the loop does not vectorise.
                    unsafe {
                        let get = |r: &Rows<'_, T>| [*r[0].get_unchecked(i), *r[1].get_unchecked(i), *r[2].get_unchecked(i)];
                        let mut near = [[T::ZERO; 3]; 6];
                        for face in 0..2 * AXES {
                            near[face] = get(&a.neighbours[face]);
                        }
                        let at = At::<T, AXES> { laws: &laws, m: get(&a.m), near, demag: get(&a.demag), noise: get(&a.noise) };
                        let mut b = [T::ZERO; 3];
                        $(b = at.add::<$law>($place, b);)*
                        let mb = cross(at.m, b);
                        let mmb = cross(at.m, mb);
                        ox[i] = precession * mb[0] + damping * mmb[0];
                        oy[i] = precession * mb[1] + damping * mmb[1];
                        oz[i] = precession * mb[2] + damping * mmb[2];
                    }
                }
            }
        }
    };
}

const COUNT: usize = 7;
common! {
    0 Exchange = exchange::Exchange;
    1 InterfacialDmi = interfacial_dmi::InterfacialDmi;
    2 Demag = demag::Demag;
    3 Uniaxial = uniaxial::Uniaxial;
    4 Zeeman = zeeman::Zeeman;
    5 Thermal = thermal::Thermal;
    6 SpinOrbit = spin_orbit::SpinOrbit;
}

/// A law's numbers.
#[derive(Clone, Copy)]
struct Common<T> {
    coefficients: Coefficients<T>,
    /// Along x, y, z.
    links: [T; 3],
}

/// What is the same in every cell, at one instant.
#[derive(Clone, Copy)]
pub struct Uniform<T> {
    laws: [Common<T>; COUNT],
    /// Of m × B and m × (m × B).
    motion: [T; 2],
}

impl<T: Real> Uniform<T> {
    /// The numbers of a pass, if nothing in it differs between cells and no other law acts.
    pub fn of(terms: &[Term], pass: &Cells, tables: &Tables<T>, masked: bool, now: &Instant) -> Option<Self> {
        let motion = tables.motion(pass.motion?);
        if masked {
            return None;
        }
        let nothing = Common { coefficients: [T::ZERO; MAX_COEFFICIENTS], links: [T::ZERO; 3] };
        let mut uniform = Self { laws: [nothing; COUNT], motion: [motion[0].everywhere(now)?, motion[1].everywhere(now)?] };
        for &t in &pass.terms {
            let law = &mut uniform.laws[COMMON.iter().position(|c| *c == terms[t])?];
            for (c, column) in law.coefficients.iter_mut().zip(&tables.terms[t].coefficients) {
                *c = column.everywhere(now)?;
            }
            for (l, links) in law.links.iter_mut().zip(&tables.terms[t].links) {
                *l = links.everywhere()?;
            }
        }
        Some(uniform)
    }
}

/// What the loop reads. All slices have the block's length.
pub struct Block<'a, T> {
    pub common: &'a Uniform<T>,
    pub m: Rows<'a, T>,
    /// At x−, x+, y−, y+, z−, z+; ghosts where there is none.
    pub neighbours: [Rows<'a, T>; 6],
    /// The convolved field and the normals; anything where no law reads them.
    pub demag: Rows<'a, T>,
    pub noise: Rows<'a, T>,
}

/// Writes the rate.
pub type FusedFn<T> = unsafe fn(&Block<'_, T>, RowsMut<'_, T>);

/// The loop for a mesh whose neighbours lie along the first `axes` axes.
pub fn fused<T: Real>(isa: Isa, axes: usize) -> FusedFn<T> {
    match axes {
        1 => copy::<T, 1>(isa),
        2 => copy::<T, 2>(isa),
        _ => copy::<T, 3>(isa),
    }
}
