//! Trains the 784-256-128-10 network on MNIST or Fashion-MNIST and prints accuracy, spikes, cost and seconds per epoch.
//!
//! ```text
//! cargo run --release --example train -- --data FOLDER --set mnist --neuron ideal --neuron paper --neuron card.yaml
//! ```
//! Without `--data` it draws stand-in digits, whose accuracies say nothing about any published benchmark.

use clap::Parser;
use spinloom_base::Problems;
use spinloom_card::Card;
use spinloom_network::{Config, Crossbar, Dataset, NeuronModel, Outcome, Progress, Reset, Schedule, Source, Surrogate, train};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Train a spiking network and print what came out.
#[derive(Parser)]
struct Args {
    /// Folder of the IDX files, or of the folders `mnist` and `fashion-mnist`; stand-in digits without it
    #[arg(long)]
    data: Option<PathBuf>,
    /// `mnist` or `fashion-mnist`
    #[arg(long, default_value = "mnist")]
    set: String,
    /// `ideal`, `ideal-soft`, `paper` or the path of a model card; may be given several times
    #[arg(long, default_value = "ideal")]
    neuron: Vec<String>,
    /// Passes over the training images
    #[arg(long, default_value_t = 10)]
    epochs: usize,
    /// Time steps per image
    #[arg(short = 'T', long, default_value_t = 20)]
    steps: usize,
    /// Images per update
    #[arg(long, default_value_t = 128)]
    batch: usize,
    /// Threads; 0 is one per processor
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Learning rate
    #[arg(long)]
    rate: Option<f64>,
    /// Keep the learning rate constant
    #[arg(long)]
    constant: bool,
    /// Weight decay
    #[arg(long)]
    decay: Option<f64>,
    /// Slope of the surrogate
    #[arg(long)]
    slope: Option<f64>,
    /// Fast sigmoid instead of arctan
    #[arg(long)]
    fast_sigmoid: bool,
    /// Treat the reset as constant in the gradient
    #[arg(long)]
    detach_reset: bool,
    /// Logit of an output that fires as often as it can
    #[arg(long)]
    logit_scale: Option<f64>,
    /// Neurons of the hidden layers
    #[arg(long, value_delimiter = ',', default_value = "256,128")]
    hidden: Vec<usize>,
    /// Binary conductances
    #[arg(long)]
    crossbar: bool,
    /// Standard deviation of ln G from device to device
    #[arg(long, default_value_t = 0.0)]
    spread: f64,
    /// Relative noise of one read
    #[arg(long, default_value_t = 0.0)]
    read_noise: f64,
    /// Use only the first images of the training and test sets
    #[arg(long)]
    first: Option<usize>,
    /// Save after every epoch here, and resume from here
    #[arg(long)]
    checkpoint: Option<PathBuf>,
    /// Write the reports as JSON
    #[arg(long)]
    json: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problems) => {
            eprintln!("{problems}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), Problems> {
    let source = if args.set == "fashion-mnist" { Source::FashionMnist } else { Source::Mnist };
    let mut data = match &args.data {
        Some(folder) => Dataset::read(folder, source)?,
        None => Dataset::stand_in(6000, 1000, 1),
    };
    if let Some(n) = args.first {
        data = data.first(n, n);
    }
    let standard = Config::default();
    let config = Config {
        layers: [&[data.rows * data.columns], &args.hidden[..], &[data.classes.len()]].concat(),
        steps: args.steps,
        epochs: args.epochs,
        batch: args.batch,
        learning_rate: args.rate.unwrap_or(standard.learning_rate),
        schedule: if args.constant { Schedule::Constant } else { Schedule::Cosine },
        weight_decay: args.decay.unwrap_or(standard.weight_decay),
        seed: args.seed,
        surrogate: if args.fast_sigmoid { Surrogate::FastSigmoid } else { standard.surrogate },
        slope: args.slope.unwrap_or(standard.slope),
        detach_reset: args.detach_reset,
        logit_scale: args.logit_scale.unwrap_or(standard.logit_scale),
        crossbar: args.crossbar.then_some(Crossbar { g_on: 2e-4, g_off: 8e-5, spread: args.spread, read_noise: args.read_noise, chips: 5 }),
        threads: args.threads,
        checkpoint: args.checkpoint.clone(),
        ..standard
    };
    println!(
        "{}: {} training and {} test images{}",
        data.name,
        data.train.len(),
        data.test.len(),
        if data.stand_in { ", a STAND-IN" } else { "" }
    );
    let mut outcomes = Vec::new();
    for name in &args.neuron {
        let neuron = match name.as_str() {
            "ideal" => NeuronModel::ideal_lif(0.9, Reset::Hard),
            "ideal-soft" => NeuronModel::ideal_lif(0.9, Reset::Soft),
            "paper" => NeuronModel::paper_constants(),
            path => NeuronModel::from_card(&Card::read(Path::new(path))?, None)?,
        };
        println!("\n{}", neuron.mapping);
        println!("epoch   loss  train %  valid %  valid loss  seconds  +valid");
        let outcome = train(&config, &neuron, &data, &mut |p: &Progress| {
            if let Some(e) = p.finished {
                let percent = |a: Option<f64>| a.map_or("-".into(), |a| format!("{:.2}", 100.0 * a));
                println!(
                    "{:5} {:6.4}  {:7.2}  {:>7}  {:10.4}  {:7.2}  {:6.2}",
                    e.epoch,
                    e.loss,
                    100.0 * e.train_accuracy,
                    percent(e.validation_accuracy),
                    e.validation_loss.unwrap_or(f64::NAN),
                    e.seconds,
                    e.validation_seconds
                );
            }
        })?;
        print(&outcome);
        outcomes.push(outcome.report);
    }
    println!("\nneuron                                    train %   test %  s/epoch (least)");
    for r in &outcomes {
        let least = r.epochs.iter().map(|e| e.seconds).fold(f64::INFINITY, f64::min);
        println!("{:40}  {:7.2}  {:7.2}  {least:7.2}", r.neuron.neuron, 100.0 * r.train_accuracy, 100.0 * r.test.accuracy);
    }
    if let Some(path) = &args.json {
        std::fs::write(path, serde_json::to_string_pretty(&outcomes).expect("reports are numbers and text"))
            .expect("the file can be written");
    }
    Ok(())
}

fn print(outcome: &Outcome) {
    let (r, t) = (&outcome.report, &outcome.report.test);
    println!(
        "kept epoch {}: train {:.2} %, test {:.2} % (loss {:.4})",
        r.chosen_epoch,
        100.0 * r.train_accuracy,
        100.0 * t.accuracy,
        t.loss
    );
    println!("input {:.0} spikes per inference; highest count shared by {:.2} % of the images", t.input_spikes, 100.0 * t.ties);
    for l in &t.layers {
        println!(
            "  {:4} neurons: {:7.1} spikes, {:5.1} % active; drive below range {:5.2} %, above {:5.2} %",
            l.neurons,
            l.spikes,
            100.0 * l.active,
            100.0 * l.drive_below,
            100.0 * l.drive_above
        );
    }
    if let Some(c) = &t.cost {
        let joule = |e: Option<f64>| e.map_or("not known".to_string(), |e| format!("{e:.4e} J"));
        println!("latency {:.4e} s; energy {}; with Joule scaling {}", c.latency, joule(c.energy), joule(c.energy_joule_scaled));
    }
    if let Some(c) = &r.crossbar {
        println!("crossbar: nominal {:.2} %, chips {:.4?}, zeros {:.3?}", 100.0 * c.nominal_accuracy, c.chip_accuracies, c.zeros);
    }
    println!("confusion (rows: truth, columns: answer)");
    for row in &t.confusion {
        println!("  {}", row.iter().map(|n| format!("{n:5}")).collect::<String>());
    }
}
