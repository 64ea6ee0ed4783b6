//! Every problem must hold in its quick form; `spinloom validate --quick` prints the same reports.

use spinloom_solver::DeviceChoice;
use spinloom_validate::{PROBLEMS, Setting, run};

#[test]
fn every_problem_holds_in_its_quick_form() {
    let setting = Setting { device: DeviceChoice::CpuDouble, quick: true, software: false };
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let reports = run(&PROBLEMS.iter().collect::<Vec<_>>(), setting, workers, |r| print!("{r}"));
    let bad: Vec<String> = reports.iter().filter(|r| !r.good()).map(ToString::to_string).collect();
    assert!(bad.is_empty() && reports.len() == PROBLEMS.len(), "{}", bad.join("\n"));
}

#[test]
fn names_are_unique() {
    let mut names: Vec<_> = PROBLEMS.iter().map(|p| p.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), PROBLEMS.len());
}
