//! Runs a benchmark file without the rest of the program: `cargo run --release -p spinloom-network --example benchmark -- FILE OUT [DATA]`.

use spinloom_base::{Document, Problems};
use spinloom_network::tasks::Results;
use std::path::PathBuf;

fn main() -> Result<(), Problems> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [file, out, data @ ..] = arguments.as_slice() else {
        eprintln!("benchmark FILE OUT [DATA]");
        std::process::exit(2);
    };
    let results = Results::run(file, &Document::read(file)?, out, data.first().map(PathBuf::as_path), (None, false), &|_, _, _| {})?;
    for i in 0.. {
        let Some((name, mean, sd, unit)) = results.score(i) else { break };
        println!("{name}: {mean} ± {} {unit}", sd.unwrap_or(f64::NAN));
    }
    let first = &results.outcomes[0];
    first.curves.iter().filter(|c| c.rows.len() <= 12).for_each(|c| println!("{}: {:?}\n{:?}", c.title, c.columns, c.rows));
    println!("{:?}\n{:?} s, seeds {:?}", first.notes, results.seconds, results.seeds);
    Ok(())
}
