//! Every problem must hold; `spinloom validate` prints the same reports.

macro_rules! problems {
    ($($test:ident $name:literal;)*) => {
        $(#[test]
        fn $test() {
            let problem = spinloom_validate::PROBLEMS.iter().find(|p| p.name == $name).expect("a listed problem");
            let report = (problem.run)();
            println!("{report}");
            assert!(report.holds(), "{report}");
        })*

        #[test]
        fn every_problem_is_tested() {
            assert_eq!(spinloom_validate::PROBLEMS.len(), [$($name),*].len());
        }
    };
}

problems! {
    prisms "prisms";
    newell "newell";
    dmi1d "dmi1d";
    sp4_field1 "sp4-field1";
    sp4_field2 "sp4-field2";
    sp3 "sp3";
    sp5 "sp5";
    dmi2d "dmi2d";
    macrospin "macrospin";
    wall_sot "wall-sot";
    slonczewski "slonczewski";
    stt "stt";
    walls "walls";
    resonance "resonance";
    layers "layers";
    fokker_planck "fokker-planck";
    boltzmann "boltzmann";
    langevin "langevin";
}
