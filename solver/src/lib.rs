//! Moves time and keeps records: shapes, materials, drives, steppers, relaxation, experiments, scripts, files.
//!
//! # What there is, and what tests it
//!
//! Names in the first column of the tests are problems of `spinloom validate` (`dmi1d`) or scripts of `tests/mx3` (`mx3/sp5`). Every term is also compared between all
//! devices and with the gradient of its energy, in `kernels/tests`.
//!
//! | what | where | what tests it |
//! |---|---|---|
//! | exchange, six neighbours | `terms/exchange` | gradient and device tests, `dmi1d`, `spin-waves`, `spirals` |
//! | exchange and DMI between two regions | `material::Pair`, `ext_InterExchange` … | `mx3/energies`, conformance |
//! | demagnetisation, exact tensor; mumax3's sampled one | `terms/demag` | `prisms`, `newell`; `mx3/sp5` to 1e-4 |
//! | interfacial and bulk DMI, Neumann and open faces | `terms/interfacial_dmi`, `terms/bulk_dmi` | `dmi1d`, `mx3/energies` |
//! | uniaxial Ku1, Ku2; cubic Kc1 to Kc3 | `terms/uniaxial`, `terms/cubic` | `mx3/energies` |
//! | Zeeman field per region, mask times f(t) | `terms/zeeman`, `material::Mask`, `Drive` | `mx3/energies`, `mx3/closure`, conformance |
//! | interlayer coupling: bilinear, biquadratic, DMI, across spacers | `terms/interlayer` | `layers`, `mx3/interlayer` |
//! | voltage-controlled anisotropy | `terms/vcma` | `mx3/vcma`, gradient and device tests |
//! | magneto-elastic field of a strain | `terms/magneto_elastic` | `mx3/energies` |
//! | Oersted field of a wire, a line, a via, of a current of its own or a junction's | `oersted` | Ampère's law, closed forms, sums of filaments; `surroundings` tests |
//! | tunnel junctions: RA, TMR and its fall with voltage; fed with V or I; torque and oxide field of what flows | `readout`, `surroundings` | hand values; against `J` and `E_z` as parameters |
//! | Joule heat: RC element, diffusion on the mesh | `heat` | closed forms, conservation, order 2 |
//! | Msat, Ku1, Aex … by temperature | `heat::Law` | hand values, `parameters_follow_the_temperature` |
//! | exchange bias with state: grains, field cooling, blocking, retention | `exchange_bias` | master equation, distribution of volumes, `bias_holds_the_magnet…` |
//! | thermal field | `terms/thermal` | `fokker-planck`, `langevin`, `mx3/energies` |
//! | the user's fields and energies | `terms/custom`, `mx3::field` | `mx3/custom` |
//! | Landau-Lifshitz-Gilbert, with and without precession | `plan::Motion` | `macrospin`, `mx3/running` |
//! | Zhang-Li and Slonczewski torque | `terms/zhang_li`, `terms/slonczewski` | `walker`, `zhang-li`, `slonczewski`, `stt`, `mx3/sp5`, `mx3/slonczewski` |
//! | spin-orbit torque of an in-plane current | `terms/spin_orbit` | `wall-sot` |
//! | frozen spins; spins without demagnetisation | `cpu::tables` | `mx3/energies`, conformance |
//! | Euler, Heun, RK23, RK4, RK45, RK56, implicit midpoint | `tableau` | order of convergence, `mx3/sp4_solvers` |
//! | relax, minimise | `simulation` | motion tests, `sp4-field1`, `mx3/sp4_solvers` |
//! | energy barriers: string method, climbing image | `barrier` | barrier tests |
//! | topological charge, both; Hopf index, all four; emergent field | `mx3::field` | `mx3/textures` |
//! | MFM image | `mx3::field` | `mx3/textures` |
//! | shapes, 19, and their algebra; pictures as shapes | `mx3::shape`, `shapes` | `mx3/geometry` |
//! | regions; Voronoi grains in two and three dimensions | `mx3::engine`, `mx3::library` | `mx3/geometry` |
//! | smoothed edges | `RegionMap::fill` | `mx3/geometry`, conformance |
//! | periodic boundaries | `Mesh::pbc` | device tests, `mx3/energies` |
//! | moving window: wall, bubble, region, layer | `mx3::engine` | `mx3/window` |
//! | a new mesh in the middle of a run | `mx3::engine` | `mx3/energies`, `mx3/textures` |
//! | OVF 1 and 2, in and out; PNG, JPEG, GIF | `record::ovf`, `mx3::output` | record tests, `mx3/running`, `mx3/geometry` |
//! | tables, autosave, log, bibliography | `mx3::output` | `a_script_leaves_the_files_people_know` |
//! | stacks: layers of their own thickness, a demagnetising tensor for each pair | `Mesh::stack`, `mesh: {layers: …}` | conformance, `stack` tests, `examples/saf-stack` |
//! | values of any parameter per cell, up to 65535 regions | `System::cellwise`, `cells: […]` | conformance, `stack` tests |
//! | ensembles larger than a graphics device's memories | `gpu::waves` | conformance |
//! | demagnetising field sampled less often than the rest | `Pass::Sample`, `demag_every` | motion tests, on every device |
//! | the script language, 317 names | `mx3` | `every_name_of_the_language_is_known`, `every_name_stands_in_some_script` |
//!
//! # Two sublattices
//!
//! Two antiferromagnetically coupled sublattices in one cell do not fit the present design cleanly, and are not there. What fits: a second magnetisation is one
//! more entry of the state with a material of its own, and the homogeneous coupling on a site is what `terms/interlayer` does between partners. What does
//! not: every law sees *one* m and its neighbours, while the inhomogeneous exchange between sublattices (A12 ∇m2 in the field on m1) looks at the
//! neighbours of the other; the demagnetising field comes from Ms1 m1 + Ms2 m2 at the same place, where a pass convolves one field; and an angular
//! momentum γ1 ≠ γ2 makes every coefficient of the motion a pair. Each is a change of the pass over cells, on all devices, not a term beside the others. Antiferromagnets
//! made of layers (synthetic ones, with layers on cells of their own) need none of this and are there; so is an antiferromagnet that only biases, grain by
//! grain.

pub mod barrier;
pub mod devices;
pub mod exchange_bias;
pub mod experiment;
pub mod heat;
pub mod mx3;
pub mod oersted;
pub mod quantities;
pub mod readout;
pub mod run;
pub mod shapes;
pub mod simulation;
pub mod surroundings;
pub mod tableau;

pub use devices::DeviceChoice;
pub use experiment::Experiment;
pub use run::{Outcome, Progress, RunOptions, run};
pub use simulation::{DemagEvery, Simulation, Step, set_threads, threads};
pub use tableau::Tableau;
