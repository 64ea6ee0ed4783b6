//! The terms of the right-hand side: one folder each, and one line each in the list at the end of this file.
//!
//! A term is a [`Law`]: pure functions of values, without indices, buffers or boundaries. Loops, periodic wrap, region
//! pairs and vacuum belong to the device's cells pass. From the list follow the quantities `B_x`, `E_x`, `Edens_x` of each
//! group, their headers and help, and the tests that every term must pass.

use crate::material::{Apart, Coupling, Material, ParameterId, Values};
use crate::mesh::Mesh;
use crate::real::Real;

pub mod bulk_dmi;
pub mod cubic;
pub mod custom;
pub mod demag;
pub mod exchange;
pub mod interfacial_dmi;
pub mod interlayer;
pub mod magneto_elastic;
pub mod slonczewski;
pub mod spin_orbit;
pub mod thermal;
pub mod uniaxial;
pub mod vcma;
pub mod zeeman;
pub mod zhang_li;

/// Most coefficients a law may have per cell.
pub const MAX_COEFFICIENTS: usize = 8;

/// Coefficients of one cell.
pub type Coefficients<T> = [T; MAX_COEFFICIENTS];

/// Coefficients, filled up with zeros.
fn filled<const N: usize>(c: [f64; N]) -> Coefficients<f64> {
    std::array::from_fn(|k| c.get(k).copied().unwrap_or(0.0))
}

/// What a term is, for people, files and tests.
#[derive(Clone, Copy, Debug)]
pub struct TermInfo {
    /// Folder and name.
    pub name: &'static str,
    /// Script group: the field is `B_<group>`, its energy `E_<group>`, the density `Edens_<group>`. Several terms may share one (mumax3's `B_exch` is exchange + DMI).
    pub group: &'static str,
    /// One line for people.
    pub about: &'static str,
    /// The equation and where it stands.
    pub reference: &'static str,
    /// Degree *n* of homogeneity in m: `Edens = -(1/n) Msat m·B`. `None` for a torque that has no energy.
    pub degree: Option<f64>,
    /// The parameter that must differ from zero somewhere for the term to act; `None` if it always acts.
    pub switch: Option<ParameterId>,
}

/// A field that a law reads besides m.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extra {
    /// Nothing.
    None,
    /// The result of the convolution with the demagnetising tensor (T).
    Demag,
    /// Three standard normals per cell, new with each accepted step.
    Noise,
    /// The field of [`crate::System::custom`] (T).
    Custom,
}

/// What stands beyond a face without a neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FreeFace {
    /// The [`ghost`] of the boundary condition.
    Ghost,
    /// Nothing: the link is left out.
    Nothing,
}

/// A coefficient that a waveform or the time step multiplies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Driven {
    /// Which coefficient.
    pub coefficient: usize,
    /// The waveform of this parameter multiplies it…
    pub by: ParameterId,
    /// … to this power.
    pub power: f64,
}

/// What a term computes in one cell.
pub trait Law: 'static {
    /// What it is.
    const INFO: TermInfo;
    /// How many coefficients it takes per cell.
    const COEFFICIENTS: usize;
    /// Whether it looks at neighbours.
    const LINKED: bool = false;
    /// How many strengths couple it to a cell's partners above and below, see [`crate::region::partners`]; such a law gathers from them instead of
    /// from the faces, once for each strength, with its number as the axis.
    const PARTNERED: usize = 0;
    /// What a free face is to it.
    const FREE_FACE: FreeFace = FreeFace::Ghost;
    /// The parameter under which [`crate::material::Pair`] changes its links.
    const PAIRED: Option<ParameterId> = None;
    /// What it reads besides m.
    const EXTRA: Extra = Extra::None;
    /// The coefficients that follow a waveform.
    const DRIVEN: &'static [Driven] = &[];
    /// Whether its coefficients are divided by the square root of the time step (white noise).
    const WHITE: bool = false;

    /// The same functions for graphics devices, in the subset that [`spinloom_gpu`] describes: `NAME_finish(m, accumulator, extra, c0, …)` and, for
    /// linked laws, `NAME_gather(m, mj, link, axis, sign, accumulator, c0, …)`, with the law's name.
    const GPU: &'static str;

    /// The coefficients in a cell with these parameters. Called where Msat > 0; vacuum has zeros.
    fn coefficients(v: &Values, mesh: &Mesh) -> Coefficients<f64>;

    /// The coefficient of the link between two neighbouring cells, before [`Law::link_scale`]. It may depend on [`Law::PAIRED`] and Msat alone.
    /// `share` is how much of the way between their centres lies in the first.
    fn link(_a: &Values, _b: &Values, _share: f64) -> f64 {
        0.0
    }

    /// Strength `k` of a coupling between two layers, per area.
    fn coupling(_c: &Coupling, _k: usize) -> f64 {
        0.0
    }

    /// What multiplies a link between cells so far apart.
    fn link_scale(_apart: &Apart) -> f64 {
        1.0
    }

    /// One neighbour's part: adds to the accumulator. `axis` is 0, 1, 2; `sign` is +1 towards higher coordinates, -1 towards lower.
    #[inline(always)]
    fn gather<T: Real>(_m: [T; 3], _mj: [T; 3], _link: T, _axis: usize, _sign: T, accumulator: [T; 3], _c: &Coefficients<T>) -> [T; 3] {
        accumulator
    }

    /// The field (T) in the cell.
    fn finish<T: Real>(m: [T; 3], accumulator: [T; 3], c: &Coefficients<T>, extra: [T; 3]) -> [T; 3];
}

/// The magnetisation that a boundary condition puts outside a free face: `m_neighbour` seen by every linked law. `slope` is the ghost coefficient of the axis, see [`ghost_slope`].
/// `bulk` says which of the two interactions the slope comes from.
#[inline(always)]
pub fn ghost<T: Real>(m: [T; 3], slope: T, axis: usize, sign: T, bulk: bool) -> [T; 3] {
    // dm/dn of the DMI boundary condition; with slope = 0 it is the Neumann condition dm/dn = 0 of exchange alone.
    let s = slope * sign;
    match (axis, bulk) {
        (0, false) => [m[0] - s * m[2], m[1], m[2] + s * m[0]],
        (1, false) => [m[0], m[1] - s * m[2], m[2] + s * m[1]],
        (_, false) => m,
        // n × m
        (0, true) => [m[0], m[1] - s * m[2], m[2] + s * m[1]],
        (1, true) => [m[0] + s * m[2], m[1], m[2] - s * m[0]],
        (_, true) => [m[0] - s * m[1], m[1] + s * m[0], m[2]],
    }
}

/// The same for graphics devices.
pub fn ghost_gpu(bulk: bool) -> &'static str {
    if bulk {
        "\
FN VEC ghost(VEC m, REAL slope, int axis, REAL sign) {
    REAL s = slope * sign;
    if (axis == 0) { return VEC(m.x, m.y - s * m.z, m.z + s * m.y); }
    if (axis == 1) { return VEC(m.x + s * m.z, m.y, m.z - s * m.x); }
    return VEC(m.x - s * m.y, m.y + s * m.x, m.z);
}
"
    } else {
        "\
FN VEC ghost(VEC m, REAL slope, int axis, REAL sign) {
    REAL s = slope * sign;
    if (axis == 0) { return VEC(m.x - s * m.z, m.y, m.z + s * m.x); }
    if (axis == 1) { return VEC(m.x, m.y - s * m.z, m.z + s * m.y); }
    return m;
}
"
    }
}

/// The ghost coefficient of a cell with these parameters, to be multiplied by the distance between cell centres (m): D/(2A) of the
/// condition dm/dn = (D/2A) (z × n) × m, Rohart and Thiaville, PRB 88, 184422 (2013), eq. 8, in the sign convention of mumax3; for bulk DMI
/// dm/dn = (D/2A) n × m, the natural condition of w = D m·curl m, their eq. 8 for that energy.
pub fn ghost_slope(v: &Values) -> f64 {
    // At most one of the two is there.
    let (a, d) = (v.scalar(ParameterId::Aex), v.scalar(ParameterId::Dind) + v.scalar(ParameterId::Dbulk));
    if a > 0.0 { d / (2.0 * a) } else { 0.0 }
}

/// The thickness that takes up what comes through an interface (m): `FreeLayerThickness`, or the mesh's height where that is 0.
fn layer_thickness(v: &Values, mesh: &Mesh) -> f64 {
    match v.scalar(ParameterId::FreeLayerThickness) {
        t if t > 0.0 => t,
        _ => mesh.size()[2],
    }
}

/// What a torque's field `across` · m × p + `along` · p, written for the Gilbert form, becomes where [`ParameterId::DampingOnly`] turns off the precession
/// in B_eff: the two coefficients with which −m × (m × B) is still the torque −1/(1+α²) [m × B + α m × (m × B)] of that field.
fn kept(v: &Values, [across, along]: [f64; 2]) -> [f64; 2] {
    if v.scalar(ParameterId::DampingOnly) == 0.0 {
        return [across, along];
    }
    let a = v.scalar(ParameterId::Alpha);
    [(a * across - along) / (1.0 + a * a), (across + a * along) / (1.0 + a * a)]
}

/// 1/Ms, or 0 where there is no moment.
fn per_msat(v: &Values) -> f64 {
    let ms = v.scalar(ParameterId::Msat);
    if ms > 0.0 { 1.0 / ms } else { 0.0 }
}

/// Harmonic mean 2ab/(a+b) of two regions' stiffnesses that agree in sign, 0 if either is 0 or without moment. The interface of two materials is two half bonds in series
/// (Heistracher et al., J. Magn. Magn. Mater. 548, 168875 (2022)). Strengths of opposite sign follow mumax3's rule, Vansteenkiste et al., AIP Adv. 4, 107133 (2014).
/// Where the cells are not alike, `share` of the bond lies in the first.
pub fn pair_mean(a: &Values, b: &Values, id: ParameterId, share: f64) -> f64 {
    if a.scalar(ParameterId::Msat) == 0.0 || b.scalar(ParameterId::Msat) == 0.0 {
        return 0.0;
    }
    let (a, b) = (a.scalar(id), b.scalar(id));
    if a * b > 0.0 {
        a * b / (share * b + (1.0 - share) * a)
    } else if a * b < 0.0 {
        (a + b).signum() * ((-a * b).sqrt() * (a + b).abs() / 2.0).sqrt()
    } else {
        0.0
    }
}

/// What a graphics device needs to know of a law.
#[derive(Clone, Copy, Debug)]
pub struct GpuLaw {
    /// See [`Law::GPU`].
    pub text: &'static str,
    /// See [`Law::LINKED`].
    pub linked: bool,
    /// See [`Law::PARTNERED`].
    pub partnered: usize,
    /// See [`Law::FREE_FACE`].
    pub free_face: FreeFace,
}

/// A function that works on any law, called with the law of a [`Term`].
pub trait WithLaw {
    /// What it returns.
    type Output;
    /// The work.
    fn with<L: Law>(self) -> Self::Output;
}

macro_rules! terms {
    ($($name:ident = $law:ty;)*) => {
        /// Names one term of the list.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Term {
            $(#[doc = concat!("See [`", stringify!($law), "`].")] $name,)*
        }

        impl Term {
            /// The list of terms. There is no other.
            pub const ALL: &'static [Term] = &[$(Term::$name,)*];

            /// What it is.
            pub fn info(self) -> TermInfo {
                match self { $(Term::$name => <$law>::INFO,)* }
            }

            /// Calls a generic function with this term's law.
            pub fn with<W: WithLaw>(self, w: W) -> W::Output {
                match self { $(Term::$name => w.with::<$law>(),)* }
            }
        }
    };
}

terms! {
    Exchange = exchange::Exchange;
    InterfacialDmi = interfacial_dmi::InterfacialDmi;
    BulkDmi = bulk_dmi::BulkDmi;
    Bilinear = interlayer::Bilinear;
    Biquadratic = interlayer::Biquadratic;
    InterlayerDmi = interlayer::InterlayerDmi;
    Demag = demag::Demag;
    Uniaxial = uniaxial::Uniaxial;
    Uniaxial4 = uniaxial::Uniaxial4;
    Cubic4 = cubic::Cubic4;
    Cubic6 = cubic::Cubic6;
    Cubic8 = cubic::Cubic8;
    Vcma = vcma::Vcma;
    MagnetoElastic = magneto_elastic::MagnetoElastic;
    Zeeman = zeeman::Zeeman;
    Custom = custom::Custom;
    Thermal = thermal::Thermal;
    SpinOrbit = spin_orbit::SpinOrbit;
    ZhangLi = zhang_li::ZhangLi;
    Slonczewski = slonczewski::Slonczewski;
}

impl Term {
    /// Whether these parameters make the term act.
    pub fn in_use(self, material: &Material) -> bool {
        struct Couples<'a>(&'a Material);
        impl WithLaw for Couples<'_> {
            type Output = bool;
            fn with<L: Law>(self) -> bool {
                L::PARTNERED == 0 || self.0.couplings.iter().any(|c| (0..L::PARTNERED).any(|k| L::coupling(c, k) != 0.0))
            }
        }
        self.info().switch.is_none_or(|p| material.uses(p)) && self.with(Couples(material))
    }

    /// Whether the term is a field with an energy, as opposed to a torque without one.
    pub fn has_energy(self) -> bool {
        self.info().degree.is_some()
    }

    /// What a graphics device needs to know of its law.
    pub fn gpu(self) -> GpuLaw {
        struct Ask;
        impl WithLaw for Ask {
            type Output = GpuLaw;
            fn with<L: Law>(self) -> Self::Output {
                GpuLaw { text: L::GPU, linked: L::LINKED, partnered: L::PARTNERED, free_face: L::FREE_FACE }
            }
        }
        self.with(Ask)
    }

    /// See [`Law::PAIRED`].
    pub fn paired(self) -> Option<ParameterId> {
        struct Ask;
        impl WithLaw for Ask {
            type Output = Option<ParameterId>;
            fn with<L: Law>(self) -> Self::Output {
                L::PAIRED
            }
        }
        self.with(Ask)
    }

    /// What the term reads besides m.
    pub fn extra(self) -> Extra {
        struct Ask;
        impl WithLaw for Ask {
            type Output = Extra;
            fn with<L: Law>(self) -> Extra {
                L::EXTRA
            }
        }
        self.with(Ask)
    }

    /// The coefficients of its law that follow waveforms.
    pub fn driven(self) -> &'static [Driven] {
        struct Ask;
        impl WithLaw for Ask {
            type Output = &'static [Driven];
            fn with<L: Law>(self) -> Self::Output {
                L::DRIVEN
            }
        }
        self.with(Ask)
    }

    /// The parameters whose waveforms the term can follow.
    pub fn follows(self) -> Vec<ParameterId> {
        self.driven().iter().map(|d| d.by).collect()
    }
}
