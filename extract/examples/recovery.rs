//! Prints how often the 95 % intervals of every model hold the truth.
//!
//! `cargo run --release -p spinloom-extract --example recovery -- TRIALS RESAMPLES [MODEL ...]`

use spinloom_extract::MODELS;
use spinloom_extract::estimate::Options;
use spinloom_extract::recovery::coverage;
use std::time::Instant;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize, default: usize| arguments.get(i).and_then(|a| a.parse().ok()).unwrap_or(default);
    let (trials, resamples) = (number(0, 200), number(1, 0));
    for model in MODELS {
        let name = model.about().name;
        if arguments.len() > 2 && !arguments[2..].iter().any(|a| a == name) {
            continue;
        }
        let begin = Instant::now();
        let options = Options { resamples, profiles: false, hold_out: false, ..Options::default() };
        let (all, failed) = coverage(*model, trials, &options);
        println!("{name}: {trials} trials, {failed} without a fit, {:.1} s", begin.elapsed().as_secs_f64());
        for c in all {
            let bootstrap = c.bootstrap.map_or(String::new(), |b| format!(", bootstrap {:5.1} %", 100.0 * b));
            println!(
                "  {:14} Hessian {:5.1} %{bootstrap}, bias {:+.2e}{}",
                c.name,
                100.0 * c.hessian,
                c.bias,
                if c.undetermined > 0.0 { format!(", called undetermined in {:.1} %", 100.0 * c.undetermined) } else { String::new() }
            );
        }
    }
}
