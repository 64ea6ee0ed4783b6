//! Compares with the world: standard problems, closed forms, other codes.
//!
//! A problem is one function and one line in [`PROBLEMS`]. The function builds what it needs with [`Magnet`], runs it, and tells its [`Trial`] what came out,
//! what is right, how far apart they may be and why; curves too. It does not know on which device it runs. The numbers to compare with lie in `reference/`, each
//! file with its source.

mod magnet;
mod trial;

mod dmi;
mod energies;
mod films;
mod layers;
mod magnetostatics;
mod mumag;
mod spin;
mod thermal;
mod walls;
mod waves;

pub use magnet::{Magnet, table};
pub use spinloom_extract::{Line, Plot};
pub use trial::{Check, Outcome, Report, Setting, Tolerance, Trial, Verdict, run};

/// A problem: what it is and how to run it.
pub struct Problem {
    /// Name on the command line.
    pub name: &'static str,
    /// One line for people.
    pub about: &'static str,
    /// Where it is stated and where the numbers come from.
    pub source: &'static str,
    /// Runs it.
    pub run: fn(&mut Trial) -> Outcome,
    /// Why a processor that plays a graphics device takes minutes for its quick form, which is then left out there.
    pub tedious: Option<&'static str>,
}

/// Reasons why problems are left out in the quick form on a processor that plays a graphics device.
const STEPS: &str = "tens of thousands of steps, whose kernels are far shorter than the way to them";
const CELLS: &str = "thousands of steps on thousands of cells";
const MESHES: &str = "many large meshes, each with kernels of its own to translate";

macro_rules! problems {
    (@) => { None };
    (@ $why:expr) => { Some($why) };
    ($($name:literal $about:literal $source:literal $run:path $(, tedious: $why:expr)?;)*) => {
        /// Every problem there is.
        pub const PROBLEMS: &[Problem] = &[$(Problem { name: $name, about: $about, source: $source, run: $run, tedious: problems!(@ $($why)?) },)*];
    };
}

problems! {
    "sp1" "muMAG standard problem 1: energies of a film, and a loop held to itself"
        "muMAG; OOMMF's regression test" mumag::sp1, tedious: STEPS;
    "sp2" "muMAG standard problem 2: remanence and coercivity against size"
        "Donahue et al., J. Appl. Phys. 87, 5520 (2000); muMAG's published solutions" mumag::sp2, tedious: STEPS;
    "sp3" "muMAG standard problem 3: flower and vortex in a cube"
        "muMAG; Martins, Ribeiro and Freitas, and Rave, Fabian and Hubert (1998)" mumag::sp3, tedious: CELLS;
    "sp4-field1" "muMAG standard problem 4, field 1: a film reverses"
        "published mean: Bjørk et al., J. Magn. Magn. Mater. 535, 168057 (2021); OOMMF, mumax3, Martinez et al." mumag::sp4_field1, tedious: CELLS;
    "sp4-field2" "muMAG standard problem 4, field 2"
        "published mean: Bjørk et al., J. Magn. Magn. Mater. 535, 168057 (2021); mumax3" mumag::sp4_field2, tedious: CELLS;
    "sp5" "muMAG standard problem 5: a vortex driven by a current"
        "Najafi et al., J. Appl. Phys. 105, 113914 (2009); OOMMF, Finocchio et al., fidimag, mumax3" mumag::sp5, tedious: CELLS;
    "prisms" "demagnetising factors of rectangular prisms"
        "Aharoni, J. Appl. Phys. 83, 3432 (1998)" magnetostatics::prisms, tedious: MESHES;
    "cylinders" "demagnetising factors of disks and cylinders"
        "Joseph (1966); Chen, Brug and Goldfarb, IEEE Trans. Magn. 27, 3601 (1991)" magnetostatics::cylinders, tedious: MESHES;
    "stacked" "the field of one prism in another one above it"
        "Newell, Williams and Dunlop, J. Geophys. Res. 98, 9551 (1993), in 70-digit arithmetic" magnetostatics::stacked;
    "small-meshes" "every demagnetising field of a chain and a small grid"
        "exact sums, equal to the tests of MicroMagnetic.jl" magnetostatics::small_meshes;
    "periodic" "periodic images: the endless chain and film"
        "closed form" magnetostatics::periodic;
    "sphere" "a sphere of cells has no easy direction"
        "cubic symmetry" magnetostatics::sphere;
    "newell" "the demagnetising tensor between cells up to 1000 apart"
        "Newell, Williams and Dunlop, J. Geophys. Res. 98, 9551 (1993), in 70-digit arithmetic" magnetostatics::newell;
    "films" "a film and a disk in a field"
        "OOMMF and mumax3" magnetostatics::films, tedious: CELLS;
    "spirals" "exchange energy of spirals"
        "closed form of the stencil and of the continuum" energies::spirals;
    "inhomogeneous" "exchange between different stiffnesses and moments"
        "OOMMF's Oxs_ExchangePtwise" energies::inhomogeneous;
    "anisotropies" "uniaxial and cubic anisotropy, every order"
        "closed forms; mumax3's tests" energies::anisotropies;
    "ellipse" "a vortex in an ellipse, and its saturation"
        "OOMMF" energies::ellipse, tedious: CELLS;
    "pinning" "a wall pinned where the material changes"
        "Heistracher et al., J. Magn. Magn. Mater. 548, 168875 (2022)" energies::pinning, tedious: STEPS;
    "dmi1d" "DMI standard problem, one dimension"
        "Cortés-Ortuño et al., New J. Phys. 20, 113015 (2018)" dmi::dmi1d;
    "dmi2d" "DMI standard problem: a skyrmion in a disk"
        "Cortés-Ortuño et al., New J. Phys. 20, 113015 (2018)" dmi::dmi2d;
    "dmi3d" "DMI standard problem: a skyrmion in a cylinder of FeGe"
        "Cortés-Ortuño et al., New J. Phys. 20, 113015 (2018)" dmi::dmi3d, tedious: CELLS;
    "dmi-edge" "the edge of a chain near the critical DMI"
        "Rohart and Thiaville, Phys. Rev. B 88, 184422 (2013)" dmi::edge;
    "dmi-critical" "the DMI at which walls cost nothing; a wall between Bloch and Néel"
        "closed form; mumax3's test" dmi::critical, tedious: CELLS;
    "skyrmions" "radii of isolated skyrmions"
        "radial Euler-Lagrange equation, solved three ways" dmi::skyrmions, tedious: CELLS;
    "dmi-relaxation" "free relaxation with DMI loses energy"
        "mumax3" dmi::relaxation, tedious: CELLS;
    "macrospin" "damped precession of one spin"
        "m = (cos wt, sin wt, sinh(a wt))/cosh(a wt)" spin::macrospin;
    "slonczewski" "one spin under field, anisotropy and spin-transfer torque"
        "direct integration of the same equation; Nmag" spin::slonczewski;
    "stt" "reversal time and oscillation under spin-transfer torque"
        "closed forms of a macrospin" spin::stt;
    "stt-critical" "critical currents of spin-transfer torque"
        "linear stability of a macrospin" spin::critical_current;
    "sot-threshold" "threshold of spin-orbit torque with a field along the current"
        "Lee, Lee, Min and Lee, Appl. Phys. Lett. 102, 112410 (2013)" spin::sot_threshold;
    "stoner-wohlfarth" "the astroid"
        "Stoner and Wohlfarth, Phil. Trans. R. Soc. A 240, 599 (1948)" spin::stoner_wohlfarth, tedious: STEPS;
    "vcma" "voltage-controlled anisotropy: precession switching"
        "closed form" spin::vcma;
    "kittel" "resonance in plane and perpendicular"
        "Kittel, Phys. Rev. 73, 155 (1948)" waves::kittel;
    "spin-waves" "exchange spin waves"
        "dispersion on the mesh and of the continuum" waves::exchange_waves;
    "dipolar-waves" "dipole-exchange waves in a film and along a strip"
        "Kalinikos and Slavin, J. Phys. C 19, 7013 (1986); the strip of Venkat et al., IEEE Trans. Magn. 49, 524 (2013)" waves::dipolar_waves, tedious: STEPS;
    "fmr" "standard problem of ferromagnetic resonance"
        "Baker et al., J. Magn. Magn. Mater. 421, 428 (2017); OOMMF" waves::fmr, tedious: STEPS;
    "wall" "a domain wall at rest"
        "closed form" walls::fixed;
    "walker" "Bloch walls driven by a field, below and above Walker's"
        "Schryer and Walker, J. Appl. Phys. 45, 5406 (1974); a chain code" walls::walker, tedious: STEPS;
    "zhang-li" "Bloch walls driven by a current"
        "Thiaville et al., EPL 69, 990 (2005); a chain code" walls::zhang_li, tedious: STEPS;
    "wall-sot" "Néel walls driven by spin-orbit torque, both signs of J and D"
        "Thiaville et al., EPL 100, 57002 (2012); a chain code" walls::sot, tedious: STEPS;
    "neuron" "the wall of a domain-wall neuron against an opposing field"
        "q–φ model of Sekh et al., Adv. Sci. (2026), doi 10.1002/advs.202521732; Boulle et al., Phys. Rev. Lett. 111, 217203 (2013)" walls::neuron, tedious: STEPS;
    "layers" "two layers coupled across a spacer: spin flop and saturation"
        "two coupled macrospins in closed form" layers::saf;
    "borders" "turning a coupled layer; an antiferromagnetic border"
        "closed form; mumax3's tests" layers::borders, tedious: CELLS;
    "fokker-planck" "decay of an ensemble of uniaxial macrospins"
        "exact solution of Brown, Phys. Rev. 130, 1677 (1963)" thermal::fokker_planck, tedious: CELLS;
    "langevin" "superparamagnetic moments in a field"
        "coth xi - 1/xi" thermal::langevin, tedious: CELLS;
    "boltzmann" "uniaxial macrospins in equilibrium; equipartition"
        "exp(sigma u^2) in closed form" thermal::boltzmann, tedious: CELLS;
    "neel-brown" "switching rates of thermal ensembles"
        "lowest eigenvalue of Brown's Fokker-Planck equation, Phys. Rev. 130, 1677 (1963)" thermal::neel_brown, tedious: CELLS;
    "current-rates" "a superparamagnet turns over under spin-transfer torque"
        "Fokker-Planck equation with the torque as a field a_J/alpha; Li and Zhang, Phys. Rev. B 69, 134416 (2004)" thermal::current_rates, tedious: CELLS;
    "thermometer" "the temperature that an interacting film shows"
        "Rugh, Phys. Rev. Lett. 78, 772 (1997); mumax3's test" thermal::thermometer, tedious: CELLS;
    "slonczewski-layer" "spin-transfer torque in an extended layer"
        "OOMMF and mumax3" films::slonczewski_layer, tedious: STEPS;
    "vortex" "a vortex at rest and its gyration"
        "mumax3; Guslienko et al., J. Appl. Phys. 91, 8037 (2002)" films::vortex, tedious: CELLS;
}
