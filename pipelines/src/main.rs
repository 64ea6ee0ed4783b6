//! The command `spinloom`.
fn main() {
    let path = std::env::args().nth(1).unwrap();
    let out = std::env::args().nth(2).unwrap();
    let doc = spinloom_base::Document::read(std::path::Path::new(&path)).unwrap_or_else(|e| { eprintln!("{e}"); std::process::exit(2) });
    let e = spinloom_solver::Experiment::read(&doc).unwrap_or_else(|e| { eprintln!("{e}"); std::process::exit(2) });
    println!("{} replicas, {} cells", e.replicas(), e.system.mesh.cells());
    let mut last = std::time::Instant::now();
    let r = spinloom_solver::run(&e, std::path::Path::new(&out), &spinloom_solver::RunOptions{overwrite: true, ..Default::default()}, &mut |p| {
        if last.elapsed().as_secs() >= 5 { last = std::time::Instant::now(); eprintln!("{} {}/{} {:.2} of {:.1} ns, {} evals, {:.0} s", p.stage, p.finished, p.replicas, p.simulated*1e9, p.longest*1e9, p.evaluations, p.elapsed.as_secs_f64()); }
    });
    match r { Ok(o) => println!("{o:?}"), Err(e) => eprintln!("{e}") }
}
