//! The one table of material and drive parameters, and their values per region.

use crate::mesh::Mesh;
use crate::waveform::Waveform;
use spinloom_base::Dimension;
use spinloom_base::constants::{GAMMA_LL, MU0};
use std::collections::HashMap;
use std::sync::Arc;

/// What one parameter is.
#[derive(Clone, Copy, Debug)]
pub struct ParameterInfo {
    /// The field's own name, as in scripts and files.
    pub name: &'static str,
    /// 1 for a scalar, 3 for a vector.
    pub components: usize,
    /// Its dimension; values are SI.
    pub dimension: Dimension,
    /// The SI unit as text.
    pub unit: &'static str,
    /// Value where nothing is said (first component for scalars).
    pub default: [f64; 3],
    /// Smallest allowed value of a scalar.
    pub minimum: Option<f64>,
    /// One line for people.
    pub about: &'static str,
}

macro_rules! parameters {
    ($($id:ident, $name:literal, $components:literal, $dimension:ident, $unit:literal, $default:expr, $minimum:expr, $about:literal;)*) => {
        /// Names one parameter of [`PARAMETERS`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum ParameterId {
            $(#[doc = $about] $id,)*
        }

        /// Every parameter there is. Files, scripts and help read this list.
        pub const PARAMETERS: &[ParameterInfo] = &[
            $(ParameterInfo { name: $name, components: $components, dimension: Dimension::$dimension, unit: $unit, default: $default, minimum: $minimum, about: $about },)*
        ];

        const IDS: &[ParameterId] = &[$(ParameterId::$id,)*];
    };
}

parameters! {
    Msat, "Msat", 1, MAGNETISATION, "A/m", [0.0; 3], Some(0.0), "Saturation magnetisation";
    Aex, "Aex", 1, EXCHANGE, "J/m", [0.0; 3], Some(0.0), "Exchange stiffness";
    Dind, "Dind", 1, SURFACE_ENERGY, "J/m^2", [0.0; 3], None, "Interfacial Dzyaloshinskii-Moriya strength, sign as in mumax3";
    Ku1, "Ku1", 1, ENERGY_DENSITY, "J/m^3", [0.0; 3], None, "First uniaxial anisotropy constant";
    Ku2, "Ku2", 1, ENERGY_DENSITY, "J/m^3", [0.0; 3], None, "Second uniaxial anisotropy constant";
    AnisU, "anisU", 3, NONE, "1", [0.0, 0.0, 1.0], None, "Uniaxial anisotropy axis";
    Alpha, "alpha", 1, NONE, "1", [0.0; 3], Some(0.0), "Gilbert damping";
    BExt, "B_ext", 3, FIELD, "T", [0.0; 3], None, "Applied magnetic field";
    Temp, "Temp", 1, TEMPERATURE, "K", [0.0; 3], Some(0.0), "Temperature";
    J, "J", 3, CURRENT_DENSITY, "A/m^2", [0.0; 3], None, "Current density in the layer that makes the spin current";
    ThetaSh, "theta_SH", 1, NONE, "1", [0.0; 3], None, "Spin Hall angle (damping-like efficiency)";
    BetaFl, "beta_FL", 1, NONE, "1", [0.0; 3], None, "Field-like over damping-like spin-orbit torque (b_j = beta a_j)";
    FreeLayerThickness, "FreeLayerThickness", 1, LENGTH, "m", [0.0; 3], Some(0.0), "Thickness that takes up the spin current; 0 means the height of the mesh, in a stack that of the layer";
    Dbulk, "Dbulk", 1, SURFACE_ENERGY, "J/m^2", [0.0; 3], None, "Bulk Dzyaloshinskii-Moriya strength";
    Kc1, "Kc1", 1, ENERGY_DENSITY, "J/m^3", [0.0; 3], None, "First cubic anisotropy constant";
    Kc2, "Kc2", 1, ENERGY_DENSITY, "J/m^3", [0.0; 3], None, "Second cubic anisotropy constant";
    Kc3, "Kc3", 1, ENERGY_DENSITY, "J/m^3", [0.0; 3], None, "Third cubic anisotropy constant";
    AnisC1, "anisC1", 3, NONE, "1", [1.0, 0.0, 0.0], None, "First cubic anisotropy axis";
    AnisC2, "anisC2", 3, NONE, "1", [0.0, 1.0, 0.0], None, "Second cubic anisotropy axis; the third is their cross product";
    B1, "B1", 1, ENERGY_DENSITY, "J/m^3", [0.0; 3], None, "First magneto-elastic coupling constant";
    B2, "B2", 1, ENERGY_DENSITY, "J/m^3", [0.0; 3], None, "Second magneto-elastic coupling constant";
    Exx, "exx", 1, NONE, "1", [0.0; 3], None, "Strain xx";
    Eyy, "eyy", 1, NONE, "1", [0.0; 3], None, "Strain yy";
    Ezz, "ezz", 1, NONE, "1", [0.0; 3], None, "Strain zz";
    Exy, "exy", 1, NONE, "1", [0.0; 3], None, "Strain xy";
    Exz, "exz", 1, NONE, "1", [0.0; 3], None, "Strain xz";
    Eyz, "eyz", 1, NONE, "1", [0.0; 3], None, "Strain yz";
    Pol, "Pol", 1, NONE, "1", [0.0; 3], None, "Spin polarisation of the current J through the magnet; 0 where J flows beside it";
    Xi, "xi", 1, NONE, "1", [0.0; 3], None, "Non-adiabaticity of the spin-transfer torque";
    FixedLayer, "FixedLayer", 3, NONE, "1", [0.0; 3], None, "Magnetisation of the layer that polarises a current along z";
    FixedLayerBottom, "FixedLayerBottom", 1, NONE, "1", [0.0; 3], None, "1 if that layer lies below the magnet, 0 if above";
    Lambda, "Lambda", 1, NONE, "1", [1.0, 0.0, 0.0], None, "Slonczewski asymmetry";
    EpsilonPrime, "EpsilonPrime", 1, NONE, "1", [0.0; 3], None, "Field-like spin-transfer efficiency";
    XiVcma, "xi_VCMA", 1, VCMA, "J/(V m)", [0.0; 3], None, "Voltage-controlled anisotropy: loss of interface anisotropy per electric field";
    Ez, "E_z", 1, ELECTRIC_FIELD, "V/m", [0.0; 3], None, "Electric field across the barrier, along z";
    FrozenSpins, "frozenspins", 1, NONE, "1", [0.0; 3], None, "1 where the magnetisation does not move";
    NoDemagSpins, "NoDemagSpins", 1, NONE, "1", [0.0; 3], None, "1 where spins neither make nor feel the demagnetising field";
    DampingOnly, "DampingOnly", 1, NONE, "1", [0.0; 3], None, "1 where spins only fall towards their field, -gamma m x (m x B), without precession or the damping constant; spin torques stay";
    GammaLl, "GammaLL", 1, GYROMAGNETIC, "rad/(T s)", [GAMMA_LL, 0.0, 0.0], Some(0.0), "Gyromagnetic ratio";
}

impl ParameterId {
    /// What it is.
    pub fn info(self) -> &'static ParameterInfo {
        &PARAMETERS[self as usize]
    }

    /// The parameter of that name.
    pub fn by_name(name: &str) -> Option<ParameterId> {
        PARAMETERS.iter().position(|p| p.name == name).map(|i| IDS[i])
    }
}

/// The value of every parameter in one region: SI, indexed by [`ParameterId`].
#[derive(Clone, Debug, PartialEq)]
pub struct Values([[f64; 3]; PARAMETERS.len()]);

impl Default for Values {
    fn default() -> Self {
        Self(std::array::from_fn(|i| PARAMETERS[i].default))
    }
}

impl Values {
    /// A scalar.
    pub fn scalar(&self, id: ParameterId) -> f64 {
        self.0[id as usize][0]
    }

    /// A vector.
    pub fn vector(&self, id: ParameterId) -> [f64; 3] {
        self.0[id as usize]
    }

    /// μ0 Msat (T) of a spin that takes part in demagnetisation, else 0.
    pub fn demag_moment(&self) -> f64 {
        if self.scalar(ParameterId::NoDemagSpins) == 0.0 { MU0 * self.scalar(ParameterId::Msat) } else { 0.0 }
    }

    /// Sets all components; scalars use the first.
    pub fn set(&mut self, id: ParameterId, value: [f64; 3]) {
        self.0[id as usize] = value;
    }

    /// Sets a scalar.
    pub fn set_scalar(&mut self, id: ParameterId, value: f64) {
        self.0[id as usize] = [value, 0.0, 0.0];
    }
}

/// A coupling between two regions that is not the mean of their own: `scale` · mean + `value`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// `Aex` or `Dind` (which also stands for `Dbulk`).
    pub parameter: ParameterId,
    /// The two regions, in any order.
    pub regions: (u16, u16),
    /// Factor on the mean of the two regions' own values.
    pub scale: f64,
    /// What is added, in the parameter's unit.
    pub value: f64,
}

/// A coupling of two layers across a spacer, per area (J/m²).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Coupling {
    /// The two regions, in any order.
    pub regions: (u16, u16),
    /// Bilinear strength.
    pub j1: f64,
    /// Biquadratic strength.
    pub j2: f64,
    /// Interlayer DMI vector.
    pub d: [f64; 3],
}

/// Values that a parameter has per cell, on top of its region's: `values` times a factor that may change in time. Only for parameters that the laws
/// are linear in: applied field, current density, strain.
#[derive(Clone, Debug, PartialEq)]
pub struct Mask {
    /// Which.
    pub parameter: ParameterId,
    /// SI, `[component][z][y][x]`, with as many components as the parameter.
    pub values: Arc<Vec<f64>>,
    /// The factor where no [`Drive`] sets it.
    pub factor: f64,
}

/// What sets the values of all regions, and the factors of the masks, at a time (s).
pub type DriveFunction = dyn Fn(f64, &mut [Values], &mut [f64]) + Send + Sync;

/// Any time dependence: where parameters of single regions follow functions of their own, which no common [`Waveform`] can say.
#[derive(Clone)]
pub struct Drive(pub Arc<DriveFunction>);

impl std::fmt::Debug for Drive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Drive")
    }
}

impl PartialEq for Drive {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// The parameters of every region, and what moves or bends them.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Material {
    /// One set of values per region.
    pub regions: Vec<Values>,
    /// Time dependence, at most one waveform per parameter; it multiplies the value in every region.
    pub waveforms: Vec<(ParameterId, Waveform)>,
    /// Couplings across borders of regions.
    pub pairs: Vec<Pair>,
    /// Couplings of layers.
    pub couplings: Vec<Coupling>,
    /// Whether free faces are open: exchange and DMI end there, instead of meeting the condition that DMI sets.
    pub open_faces: bool,
    /// Where [`crate::System::expanded`] has parted regions, the region that each of them was: couplings and pairs name those. Empty where none was.
    pub bases: Vec<u16>,
    /// In a stack, the first and the last layer that each region lies in; see [`crate::RegionMap::layers`].
    pub layers: Vec<[usize; 2]>,
    /// Values per cell.
    pub masks: Vec<Mask>,
    /// Any other time dependence; overrides `regions` and the masks' factors.
    pub drive: Option<Drive>,
}

/// Factors on a parameter, one for each cell: disorder, a gradient, a measured map. They multiply what the cell's region has, at any time.
#[derive(Clone, Debug, PartialEq)]
pub struct Cellwise {
    /// Which; all its components are multiplied.
    pub parameter: ParameterId,
    /// `[z][y][x]`
    pub factors: Arc<Vec<f64>>,
}

/// Two neighbouring cells along an axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Apart {
    /// Length of the cell itself (m).
    pub own: f64,
    /// Distance of the centres (m).
    pub distance: f64,
    /// How much of that lies in the cell itself, 0 to 1.
    pub share: f64,
}

impl Apart {
    /// Of cells of one length.
    pub fn regular(length: f64) -> Self {
        Self { own: length, distance: length, share: 0.5 }
    }
}

impl Material {
    /// The region that couplings and pairs know a region by.
    pub fn base(&self, region: u16) -> u16 {
        self.bases.get(usize::from(region)).copied().unwrap_or(region)
    }

    /// The couplings that join two regions, in any order.
    pub fn couplings_of(&self, a: u16, b: u16) -> impl Iterator<Item = &Coupling> {
        let (a, b) = (self.base(a), self.base(b));
        self.couplings.iter().filter(move |c| c.regions == (a, b) || c.regions == (b, a))
    }

    /// What a cell of a region sees of the mesh: [`Mesh::of_layer`].
    pub fn mesh_of(&self, mesh: &Mesh, region: usize) -> Mesh {
        self.layers.get(region).map_or(*mesh, |[first, last]| Mesh { n: [mesh.n[0], mesh.n[1], last - first + 1], ..mesh.of_layer(*first) })
    }

    /// What lies between neighbours along z of two regions; `None` across a gap of a stack.
    pub fn apart(&self, mesh: &Mesh, own: usize, other: usize) -> Option<Apart> {
        let Some(stack) = mesh.stack else { return Some(Apart::regular(mesh.cell[2])) };
        let (a, b) = (*self.layers.get(own)?, *self.layers.get(other)?);
        let (ta, tb) = (stack.layer(a[0]).1, stack.layer(b[0]).1);
        // Layers of one region touch each other, and are alike.
        let shared = a[0] <= b[1] && b[0] <= a[1];
        let touch = shared || stack.touch(a[1], b[0]) || stack.touch(b[1], a[0]);
        touch.then_some(Apart { own: ta, distance: 0.5 * (ta + tb), share: ta / (ta + tb) })
    }

    /// The largest gyromagnetic ratio of any region (rad/(T s)).
    pub fn largest_gamma(&self) -> f64 {
        self.regions.iter().map(|v| v.scalar(ParameterId::GammaLl)).fold(0.0, f64::max)
    }

    /// The fastest precession that its own field can cause: the largest γ μ0 Msat of any region (rad/s).
    pub fn own_frequency(&self) -> f64 {
        self.regions.iter().map(|v| MU0 * v.scalar(ParameterId::Msat) * v.scalar(ParameterId::GammaLl)).fold(0.0, f64::max)
    }

    /// γ times the exchange field of the shortest wave of the mesh (rad/s), the largest of any region.
    pub fn exchange_frequency(&self, mesh: &Mesh) -> f64 {
        let least = |a: usize| if a == 2 { (0..mesh.n[2]).map(|z| mesh.thickness(z)).fold(f64::INFINITY, f64::min) } else { mesh.cell[a] };
        let inverse: f64 = (0..3).filter(|a| mesh.n[*a] > 1).map(|a| 4.0 / least(a).powi(2)).sum();
        let of = |v: &Values| {
            let ms = v.scalar(ParameterId::Msat);
            if ms > 0.0 { v.scalar(ParameterId::GammaLl) * 2.0 * v.scalar(ParameterId::Aex) / ms * inverse } else { 0.0 }
        };
        self.regions.iter().map(of).fold(0.0, f64::max)
    }

    /// What couples two regions: the mean of their own values, unless a [`Pair`] of this parameter says otherwise, the last one. Takes the regions and that mean.
    pub fn joins(&self, parameter: Option<ParameterId>) -> impl Fn(usize, usize, f64) -> f64 + '_ {
        let key = |(a, b): (u16, u16)| (a.min(b), a.max(b));
        let own = self.pairs.iter().filter(|p| parameter == Some(p.parameter));
        let pairs: HashMap<(u16, u16), &Pair> = own.map(|p| (key(p.regions), p)).collect();
        move |a, b, mean| pairs.get(&key((self.base(a as u16), self.base(b as u16)))).map_or(mean, |p| p.scale * mean + p.value)
    }

    /// The same with everything that moves held at its value at a time (s).
    pub fn held(&self, t: f64) -> Self {
        let (mut regions, factors) = self.at(t);
        for (parameter, wave) in &self.waveforms {
            let factor = wave.at(t);
            regions.iter_mut().for_each(|v| v.set(*parameter, v.vector(*parameter).map(|c| c * factor)));
        }
        let masks = self.masks.iter().zip(factors).map(|(m, factor)| Mask { factor, ..m.clone() }).collect();
        Self { regions, waveforms: Vec::new(), masks, drive: None, ..self.clone() }
    }

    /// The same values in `count` regions.
    pub fn uniform(values: Values, count: usize) -> Self {
        Self { regions: vec![values; count], ..Self::default() }
    }

    /// Whether any region has a parameter different from zero, or some cells have.
    pub fn uses(&self, id: ParameterId) -> bool {
        self.regions.iter().any(|r| r.vector(id) != [0.0; 3]) || self.masks.iter().any(|m| m.parameter == id)
    }

    /// The values of every region and the masks' factors at a time (s).
    pub fn at(&self, t: f64) -> (Vec<Values>, Vec<f64>) {
        let (mut regions, mut factors) = (self.regions.clone(), self.masks.iter().map(|m| m.factor).collect::<Vec<_>>());
        if let Some(Drive(drive)) = &self.drive {
            drive(t, &mut regions, &mut factors);
        }
        (regions, factors)
    }

    /// Sets a parameter in every region.
    pub fn set_everywhere(&mut self, id: ParameterId, value: [f64; 3]) {
        for r in &mut self.regions {
            r.set(id, value);
        }
    }

    /// Sets the waveform of a parameter.
    pub fn set_waveform(&mut self, id: ParameterId, waveform: Waveform) {
        self.waveforms.retain(|(other, _)| *other != id);
        if waveform != Waveform::Constant {
            self.waveforms.push((id, waveform));
        }
    }
}
