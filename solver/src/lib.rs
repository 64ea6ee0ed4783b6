//! Moves time and keeps records: shapes, materials, drives, steppers, relaxation, experiments, scripts, files.
//!
//! # What there is, and what tests it
//!
//! In the last column stand tests by their names, problems of `spinloom validate` (`dmi1d`) and scripts of `tests/mx3` (`mx3/sp5`); a test looks for every one of
//! them. Every term is also compared between all devices and with the gradient of its energy, in `kernels/tests`.
//!
//! | what | where | what tests it |
//! |---|---|---|
//! | **Energy** | | |
//! | exchange, six neighbours | `terms/exchange` | `spin-waves`, `spirals`, `wall` |
//! | exchange that differs from region to region, from pair to pair, from cell to cell | `material::Pair`, `cells:` | `inhomogeneous`, `pinning`, `borders`, `cells_may_have_values_of_their_own_for_every_parameter` |
//! | demagnetisation, exact tensor; mumax3's sampled one | `terms/demag` | `newell`, `prisms`, `cylinders`, `small-meshes`; `mx3/sp5` to 1e-4 |
//! | demagnetisation between layers of their own thickness and height: a tensor for each pair | `Mesh::stack`, `mesh: {layers: …}` | `stacked`, `thick_layers_are_the_mean_of_thin_ones`, `a_stack_of_equal_layers_moves_as_a_regular_mesh_with_a_gap_does` |
//! | the demagnetising field sampled less often than the rest | `Pass::Sample`, `demag_every` | `the_demagnetising_field_may_be_extrapolated_between_samples` |
//! | interfacial DMI | `terms/interfacial_dmi` | `dmi1d`, `dmi2d`, `skyrmions`, `wall-sot` |
//! | bulk DMI | `terms/bulk_dmi` | `dmi1d`, `dmi3d`, `mx3/energies` |
//! | other DMI (D2d, C2v, a tensor) | not there: `terms/custom` takes any quantity | |
//! | uniaxial Ku1, Ku2 | `terms/uniaxial` | `anisotropies`, `films` |
//! | cubic Kc1, Kc2, Kc3 | `terms/cubic` | `anisotropies`, `films` |
//! | other anisotropies | `terms/custom`, by the algebra of quantities | `mx3/custom` |
//! | applied field, per region and mask times f(t) | `terms/zeeman`, `material::Mask`, `Drive` | `mx3/energies`, `mx3/closure`, `mx3/grains_and_masks` |
//! | interlayer coupling, bilinear (RKKY), across empty cells too | `terms/interlayer` | `layers`, `borders`, `mx3/interlayer` |
//! | interlayer coupling, biquadratic; interlayer DMI | `terms/interlayer` | `mx3/interlayer` |
//! | exchange bias with state: grains, field cooling, blocking, retention | `exchange_bias` | `bias_holds_the_magnet_and_field_cooling_turns_it`, `devices_of_an_ensemble_differ_by_their_grains` |
//! | voltage-controlled anisotropy | `terms/vcma` | `vcma`, `mx3/vcma` |
//! | magneto-elastic field of a strain | `terms/magneto_elastic` | `mx3/energies`, `walker` |
//! | elastodynamics | not there: strain is given, not solved for | |
//! | thermal field | `terms/thermal` | `fokker-planck`, `langevin`, `boltzmann`, `neel-brown`, `thermometer` |
//! | Oersted field of a wire, a line, a via, of a current of its own or a junction's | `oersted` | `the_field_of_a_current_acts_on_the_magnet_and_follows_its_wave` |
//! | tunnel junctions: RA, TMR and its fall with voltage; fed with V or I | `readout`, `surroundings` | `the_current_of_a_junction_turns_the_magnet_as_the_same_current_density_does` |
//! | spin accumulation, drift and diffusion of spins | not there: torques take a given current | |
//! | heat: RC element, diffusion on the mesh; Msat, Ku1, Aex … by temperature | `heat` | `a_junction_heats_itself_as_an_rc_element`, `heat_spreads_over_the_mesh_and_none_is_lost`, `parameters_follow_the_temperature` |
//! | roughness | `mx3::shape`, a shape | `mx3/geometry` |
//! | the user's fields and energies | `terms/custom`, `mx3::field` | `mx3/custom` |
//! | **Motion** | | |
//! | Landau-Lifshitz-Gilbert, with and without precession | `plan::Motion` | `macrospin`, `kittel`, `mx3/running` |
//! | Landau-Lifshitz-Bloch; inertia | not there; below the Curie temperature `heat::Law` | `every_cell_has_the_parameters_of_its_own_temperature` |
//! | Zhang-Li torque | `terms/zhang_li` | `zhang-li`, `sp5`, `mx3/sp5` |
//! | Slonczewski torque | `terms/slonczewski` | `slonczewski`, `stt`, `stt-critical`, `slonczewski-layer`, `mx3/slonczewski` |
//! | spin-orbit torque of an in-plane current, per region | `terms/spin_orbit` | `wall-sot`, `sot-threshold`, `neuron` |
//! | frozen spins; spins without demagnetisation | `cpu::tables` | `mx3/switches`, `mx3/energies` |
//! | two sublattices, three, altermagnets | not there: see below | |
//! | atomistic spins; Monte Carlo | not there: this is a continuum | |
//! | **Solvers and analysis** | | |
//! | Euler, Heun, RK23, RK4, RK45, RKF45, RK56; the last rate of a step reused | `tableau` | `every_method_converges_at_its_order`, `mx3/sp4_solvers` |
//! | implicit midpoint | `tableau` | `every_method_converges_at_its_order` |
//! | minimise, with limits on steps | `simulation` | `with_damping_the_energy_falls_and_relax_and_minimise_find_the_same_state`, `sp2`, `sp3` |
//! | relax | `simulation` | `with_damping_the_energy_falls_and_relax_and_minimise_find_the_same_state`, `sp4-field1` |
//! | energy barriers: string method, climbing image | `barrier` | `a_macrospin_has_the_barriers_of_its_closed_form`, `a_wire_reverses_by_a_wall_from_its_end` |
//! | eigenmodes; transforms of modes | not there: `fmr` and `dipolar-waves` show how they are read from motion | `fmr`, `dipolar-waves` |
//! | topological charge, both; Hopf index, all four; emergent field | `mx3::field` | `mx3/textures`, `vortex` |
//! | MFM images | `mx3::field` | `mx3/textures` |
//! | Lorentz microscopy; derivatives by parameters; finite elements | not there | |
//! | **Geometry, boundaries, window** | | |
//! | shapes, 19, and their algebra; pictures as shapes | `mx3::shape`, `shapes` | `mx3/geometry` |
//! | regions, 256 in scripts, 65535 in all | `RegionMap`, `mx3::engine` | `mx3/geometry`, `mx3/grains_and_masks`, `parameters_may_differ_from_cell_to_cell` |
//! | values of any parameter per cell | `System::cellwise`, `cells: […]` | `cells_may_have_values_of_their_own_for_every_parameter`, `parameters_may_differ_from_cell_to_cell` |
//! | smoothed edges | `RegionMap::fill` | `mx3/geometry`, `mx3/shapes_change` |
//! | Voronoi grains in two and three dimensions | `mx3::engine`, `mx3::library` | `mx3/geometry`, `mx3/grains_and_masks` |
//! | faces with DMI, Neumann and open | `terms::FreeFace` | `dmi-edge`, `dmi1d`, `mx3/shapes_change` |
//! | periodic boundaries | `Mesh::pbc` | `periodic`, `mx3/energies` |
//! | moving window: wall, bubble, region, layer | `mx3::engine` | `mx3/window` |
//! | a new mesh in the middle of a run | `mx3::engine` | `mx3/energies`, `mx3/textures` |
//! | **Files, interface, engineering** | | |
//! | OVF 1 and 2, in and out | `record::ovf` | `ovf_comes_back_as_it_was`, `ovf_1_of_oommf_is_read`, `the_initial_state_may_come_from_a_file` |
//! | VTK | XDMF for ParaView: `record::xdmf` | `xdmf_points_at_what_is_there`, `a_stack_opens_in_paraview_with_its_layers_where_they_are` |
//! | HDF5; numpy and tables through h5py | `record` | `h5py_opens_a_record_in_three_lines` |
//! | PNG, JPEG, GIF | `mx3::output` | `mx3/running`, `mx3/geometry` |
//! | tables, autosave, log, bibliography | `mx3::output` | `a_script_leaves_the_files_people_know`, `files_are_called_and_tables_headed_as_people_know` |
//! | the script language, 317 names | `mx3` | `every_name_of_the_language_is_known`, `every_name_stands_in_some_script` |
//! | Python interface | `pipelines/python` | `the_wheel_runs_experiments_and_reads_what_they_leave` |
//! | web page | `live`, `pipelines` | `a_run_is_watched_paused_stepped_saved_and_edited`, `a_browser_shows_a_run_and_holds_its_reins` |
//! | a queue of scripts, mumax3's flags; sweeps | `pipelines` | `flags_of_job_files_are_understood`, `an_ensemble_of_walls_is_the_same_on_a_graphics_device` |
//! | restart from anywhere | `record`, `run` | `a_run_cut_off_at_any_write_ends_with_the_same_bits`, `cut_off_anywhere_it_ends_with_the_same_bits`, `a_script_stopped_anywhere_goes_on_to_the_same_bits` |
//! | ensembles, also larger than a graphics device's memories | `gpu::waves` | `a_replica_in_an_ensemble_takes_the_steps_it_would_take_alone`, `an_ensemble_beyond_the_largest_memory_is_parted` |
//! | one run on several cards | not there | |
//! | processors; AMD, Intel, NVIDIA cards | `cpu`, `gpu` | `every_device_computes_every_term_as_the_reference_does`, `graphics_devices_compute_every_term_as_the_reference_does`, `every_device_steps_as_the_processor_does` |
//! | single and double precision | `cpu`, `gpu` | `every_device_computes_every_term_as_the_reference_does` |
//! | sums that do not depend on the run | `Pass::Reduce` | `two_runs_on_one_device_are_equal_to_the_bit` |
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
pub mod live;
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
