//! `spinloom`: from the magnetisation of one device to the accuracy of a network built from it.

mod bench;
mod cards;
mod convert;
#[cfg(test)]
mod fuzz;
mod http;
mod inspect;
mod networks;
mod out;
mod pipeline;
mod plan;
mod plot;
mod progress;
mod report;
mod scripts;
mod serve;
mod signals;
mod slurm;
mod stages;
mod start;
mod sweep;
mod validate;

use clap::{CommandFactory, Parser, Subcommand};
use spinloom_base::{Diagnostic, Document, Problems};
use spinloom_solver::{Experiment, RunOptions};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What the program says by its exit code.
const EXITS: &str = "\
Exit codes:
  0    all is well
  1    it was done, and the answer is no: an expectation of a script is not met, a problem of validation does not hold, records or cards differ, no
       barrier was found
  2    it was not done: something is wrong with the input, the device or the disk, and the messages say where
  75   stopped by SIGTERM or SIGINT with everything written: continue with `run --resume`, a pipeline or a sweep by running it again
  130, 143  ended at once by a second signal, or where nothing was being simulated";

/// From the magnetisation of one device to the accuracy of a network built from it.
#[derive(Parser)]
#[command(version, propagate_version = true, after_help = EXITS)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
    /// Prints one JSON object: what was done, what is wrong, the exit code.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Verb {
    /// Runs an experiment, a pipeline or mumax3 scripts.
    #[command(args_override_self = true)]
    Run {
        /// A YAML file, or any number of `.mx3` scripts, which run one after another. Scripts take mumax3's flags too: `-o DIR -f -vet -s -v`.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Folder for the results; by default `out/` and the name of the file, of a script its name with `.out` beside it.
        #[arg(long, short)]
        out: Option<PathBuf>,
        /// Continues an experiment or a script that was cut off, to the same bits, or begins it if there is nothing yet; a pipeline always does.
        #[arg(long)]
        resume: bool,
        /// Continues even where program, device or file differ, accepting other bits.
        #[arg(long)]
        allow_different: bool,
        /// Replaces an earlier run.
        #[arg(long, short)]
        force: bool,
        /// Of a pipeline, only these stages (and what they need, if it is missing).
        #[arg(long, value_delimiter = ',')]
        only: Vec<String>,
        /// Of a pipeline, this stage and everything after it, anew.
        #[arg(long)]
        from: Option<String>,
        /// Folder with MNIST and the like; without it networks train on digits drawn by this program.
        #[arg(long, env = "SPINLOOM_DATA")]
        data: Option<PathBuf>,
        /// Seconds between commits: what a kill costs at most.
        #[arg(long, value_name = "SECONDS", default_value_t = 5.0)]
        commit_every: f64,
        /// Threads; by default all.
        #[arg(long)]
        threads: Option<usize>,
        /// Of an experiment or a script, the device instead of the one it names: `cpu`, `vulkan`, `cuda`, `vulkan:1`, … or `auto`.
        #[arg(long)]
        device: Option<String>,
        /// Of an experiment on a graphics device: a kernel for each term, to find the one that is wrong.
        #[arg(long)]
        unfused: bool,
        /// Of one experiment or script, shows it while it runs: a page with the magnetisation and the table, to pause, step, save and set parameters. Other
        /// addresses than loopback ones ask for a token.
        #[arg(long, value_name = "ADDRESS", num_args = 0..=1, default_missing_value = "127.0.0.1:35367")]
        serve: Option<String>,
        /// Of scripts.
        #[command(flatten)]
        scripts: scripts::Flags,
    },
    /// Shows records in the browser, also those that other processes are writing.
    Serve {
        /// Records, or folders with records below them.
        #[arg(default_value = "out")]
        folders: Vec<PathBuf>,
        /// Where; other addresses than loopback ones ask for a token.
        #[arg(long, default_value = "127.0.0.1:35367")]
        address: String,
    },
    /// Runs an experiment at many points: a grid, a list, a Latin hypercube, or towards a border; here, or as array jobs of Slurm.
    Sweep(sweep::Options),
    /// Checks an experiment, a pipeline or scripts without running them.
    Vet {
        /// YAML files or scripts.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Shows what one attempt of an experiment's step does, pass by pass, and the kernels that graphics devices run for it.
    Plan {
        /// The YAML file.
        file: PathBuf,
        /// Prints their text too.
        #[arg(long)]
        source: Option<plan::Source>,
        /// Compiles them for an architecture of CUDA's, e.g. `sm_90`, and says what they take of a multiprocessor; needs NVRTC, not a card.
        #[arg(long)]
        registers: Option<String>,
        /// With a kernel for each term.
        #[arg(long)]
        unfused: bool,
    },
    /// Finds the energy barrier between two states of an experiment's system.
    Barrier {
        /// The YAML file; its first replica's system is taken.
        file: PathBuf,
        /// The two states, as OVF files on the experiment's mesh.
        from: PathBuf,
        /// The other one.
        to: PathBuf,
        /// States along the path, both ends included.
        #[arg(long, default_value_t = 21)]
        images: usize,
        /// Torque (T) below which the path stands still.
        #[arg(long, default_value_t = 1e-4)]
        tolerance: f64,
        /// The direction through which spins turn that are opposite in the two states.
        #[arg(long, num_args = 3, default_values_t = [1.0, 0.0, 0.0], allow_negative_numbers = true)]
        axis: Vec<f64>,
        /// Writes the state at the saddle there, as OVF.
        #[arg(long)]
        saddle: Option<PathBuf>,
    },
    /// Runs the standard problems and closed forms.
    Validate(validate::Options),
    /// Looks into a record: columns, replicas, events; or compares two.
    Record {
        /// Its folder or `run.h5`.
        path: PathBuf,
        /// Another one to compare with, bit for bit.
        #[arg(long)]
        diff: Option<PathBuf>,
    },
    /// Writes fields of records and files in other forms, whole or in part: OVF, VTK, numpy, CSV, JSON, pictures.
    Convert(convert::Options),
    /// Draws columns of tables, hysteresis loops, spectra, and fields with the colour wheel of directions.
    Plot(plot::Options),
    /// Fits models to records or measured tables and writes model cards and figures.
    Extract {
        /// The YAML file.
        #[arg(required_unless_present_any = ["models", "model"])]
        file: Option<PathBuf>,
        /// Folder for the results; by default `out/` and the name of the file.
        #[arg(long, short)]
        out: Option<PathBuf>,
        /// Lists the models.
        #[arg(long)]
        models: bool,
        /// Tells all about one model.
        #[arg(long)]
        model: Option<String>,
    },
    /// Shows, checks, compares and exports model cards.
    Card {
        /// What to do with them.
        #[command(subcommand)]
        verb: cards::CardVerb,
    },
    /// Runs networks of the source papers as benchmarks, or the table of all of them; without a file, lists the kinds.
    Network(networks::Options),
    /// Measures how fast torques are evaluated here, or whole steps taken.
    Bench {
        /// Grids, as `256x256x1`; by default the seven of the comparison with other codes.
        grids: Vec<String>,
        /// The device.
        #[arg(long, default_value = "cpu")]
        device: String,
        /// `f32`, `f64` or both.
        #[arg(long, value_delimiter = ',', default_value = "f32,f64")]
        precision: Vec<String>,
        /// What the grids hold: the soft material of the comparison with other codes, or the domain-wall strip with DMI and spin-orbit torque.
        #[arg(long, default_value = "torque")]
        work: bench::Work,
        /// Does not run: counts bytes and launches, and what the kernels take of a multiprocessor of this architecture, e.g. `sm_90`.
        #[arg(long)]
        count: Option<String>,
        /// Whole steps of this method, e.g. `heun` or `rk45`, instead of single evaluations.
        #[arg(long)]
        stepper: Option<String>,
        /// Members of the ensemble.
        #[arg(long, default_value_t = 1)]
        replicas: usize,
        /// Runs the other codes' scripts of this folder on the same grids too, turn by turn, and prints the ratios; the Python that has those codes by
        /// SPINLOOM_PYTHON. Given again with `examples/networks`, trains networks in other codes too, on the data of SPINLOOM_DATA.
        #[arg(long, value_name = "FOLDER")]
        peers: Vec<PathBuf>,
        /// Measures what transforms of every length cost here, and writes the table that sizes are chosen by.
        #[arg(long, value_name = "FILE", conflicts_with_all = ["peers", "count", "stepper"])]
        tune: Option<PathBuf>,
        /// Threads; by default all.
        #[arg(long)]
        threads: Option<usize>,
    },
    /// Lists the devices of this machine.
    Devices,
    /// Copies an example to begin with; without arguments, lists them.
    New {
        /// The new folder.
        #[arg(requires = "from")]
        folder: Option<PathBuf>,
        /// The example.
        #[arg(long, requires = "folder")]
        from: Option<String>,
    },
    /// Prints completions for a shell, e.g. `spinloom completions bash > ~/.local/share/bash-completion/completions/spinloom`.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Writes manual pages.
    Man {
        /// Folder for them.
        folder: PathBuf,
    },
}

/// Threads as asked for, or as Slurm has given.
fn threads_of(asked: Option<usize>) {
    let given = || std::env::var("SLURM_CPUS_PER_TASK").ok()?.parse().ok().filter(|n| *n > 0);
    if let Some(n) = asked.or_else(given) {
        // Only fails if the pool exists already, and nothing has run yet.
        let _ = spinloom_solver::set_threads(n);
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse_from(scripts::arguments(std::env::args_os()));
    #[cfg(unix)]
    if matches!(cli.verb, Verb::Vet { .. } | Verb::Plan { .. } | Verb::Record { .. } | Verb::Devices | Verb::Completions { .. }) {
        // What only prints ends when nobody reads on, as other commands do; what computes must not.
        // SAFETY: no other thread runs yet, and no handler is installed.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    }
    if cli.json {
        out::collect();
    }
    let (code, problems) = match cli.verb.run(cli.json) {
        Ok(code) => (code, Problems::new()),
        Err(problems) => {
            eprintln!("{problems}");
            (2, problems)
        }
    };
    out::end(code, &problems);
    ExitCode::from(code)
}

impl Verb {
    fn run(self, json: bool) -> Result<u8, Problems> {
        match self {
            Verb::Run {
                files,
                out,
                resume,
                allow_different,
                force,
                only,
                from,
                data,
                commit_every,
                threads,
                device,
                unfused,
                serve,
                scripts,
            } => {
                let Ok(commit_every) = std::time::Duration::try_from_secs_f64(commit_every) else {
                    return Err(Diagnostic::error(format!("--commit-every {commit_every} is not a time"))
                        .hint("in seconds, e.g. 5")
                        .into());
                };
                threads_of(threads);
                if files.iter().all(|f| scripts::is_script(f)) {
                    let served = match (&serve, files.as_slice()) {
                        (Some(address), [_]) => Some(serve::beside(address)?),
                        (Some(_), _) => {
                            return Err(Diagnostic::error("one script is shown at a time")
                                .hint("run them one by one, or leave out --serve")
                                .into());
                        }
                        _ => None,
                    };
                    let live = served.as_ref().map(|(_, live)| live.clone());
                    let options = scripts::Options { out, clean: force, resume, commit_every, device: device.as_deref(), live };
                    return scripts::run(&files, &options, &scripts);
                }
                let [file] = files.as_slice() else {
                    let d = Diagnostic::error("one experiment or pipeline runs at a time");
                    return Err(d.hint("only .mx3 scripts queue; sweeps are written in the YAML file").into());
                };
                let out = out.unwrap_or_else(|| Path::new("out").join(file.file_stem().unwrap_or_default()));
                let document = Document::read(file)?;
                if document.root.get("stages").is_some() {
                    if device.is_some() {
                        let d = Diagnostic::error("a pipeline has no device of its own");
                        return Err(d.hint("write `device:` in its experiments").into());
                    }
                    if serve.is_some() {
                        let d = Diagnostic::error("a pipeline has no page");
                        return Err(d.hint("spinloom serve FOLDER shows its records; run one of its experiments with --serve").into());
                    }
                    let options = pipeline::Options { out, force, only, from, data, allow_different };
                    if !pipeline::run(&document, &options)? {
                        return Ok(signals::RESUME_ME);
                    }
                } else {
                    let mut experiment = Experiment::read(&document)?;
                    if let Some(device) = device {
                        experiment.device = spinloom_solver::DeviceChoice::parse(&device, experiment.device.precision())?;
                    }
                    let resume = resume && out.join("run.h5").exists();
                    let served = serve.as_deref().map(serve::beside).transpose()?;
                    let live = served.as_ref().map(|(_, live)| live.clone());
                    let options =
                        RunOptions { resume, overwrite: force, allow_different, unfused, commit_every, live, ..RunOptions::default() };
                    let o = stages::simulate::run(&experiment, &out, &options)?;
                    out::note(
                        "runs",
                        serde_json::json!({
                            "record": o.record, "finished": o.finished, "evaluations": o.evaluations, "simulated": o.simulated,
                            "seconds": o.elapsed.as_secs_f64(), "layout": o.layout,
                        }),
                    );
                    if !o.finished {
                        return Ok(signals::RESUME_ME);
                    }
                }
                Ok(0)
            }
            Verb::Serve { folders, address } => serve::serve(&folders, &address),
            Verb::Sweep(options) => {
                threads_of(options.threads);
                sweep::sweep(&options)
            }
            Verb::Vet { files } => {
                let mut problems = Problems::new();
                for file in &files {
                    if let Some(words) = problems.take(vet(file)) {
                        out::say!("{}: {words}, nothing wrong with it", file.display());
                        out::note("files", serde_json::json!({"file": file, "what": words}));
                    }
                }
                problems.into_result(Some(0))
            }
            Verb::Plan { file, source, registers, unfused } => {
                plan::plan(&Experiment::read(&Document::read(&file)?)?, &plan::Options { source, registers: registers.as_deref(), unfused })
            }
            Verb::Barrier { file, from, to, images, tolerance, axis, saddle } => {
                let experiment = Experiment::read(&Document::read(&file)?)?;
                scripts::barrier(&experiment, [&from, &to], images, tolerance, [axis[0], axis[1], axis[2]], saddle.as_deref())
            }
            Verb::Validate(options) => validate::validate(&options),
            Verb::Record { path, diff } => inspect::record(&path, diff.as_deref(), json),
            Verb::Convert(options) => convert::convert(&options),
            Verb::Plot(options) => plot::plot(&options),
            Verb::Extract { file, out, models, model } => match file {
                Some(file) if !models && model.is_none() => {
                    cards::extract(&file, &out.unwrap_or_else(|| Path::new("out").join(file.file_stem().unwrap_or_default())))
                }
                _ => cards::models(model.as_deref()),
            },
            Verb::Card { verb } => verb.run(),
            Verb::Network(options) => networks::network(&options),
            Verb::Bench { grids, device, precision, work, count, stepper, replicas, peers, tune, threads } => {
                threads_of(threads);
                if let Some(file) = tune {
                    return bench::tune(&file);
                }
                let stepper = stepper.as_deref();
                let count = count.as_deref();
                bench::bench(&bench::Options {
                    device: &device,
                    precisions: &precision,
                    grids: &grids,
                    work,
                    count,
                    stepper,
                    replicas,
                    peers: &peers,
                    json,
                })
            }
            Verb::Devices => {
                let list = spinloom_solver::devices::list();
                if json {
                    let list: Vec<_> =
                        list.iter().map(|d| serde_json::json!({"name": d.name, "usable": d.usable, "about": d.about})).collect();
                    out::object(&serde_json::Value::from(list));
                    return Ok(0);
                }
                for d in list {
                    println!("{:<14} {}{}", d.name, if d.usable { "" } else { "cannot be used: " }, d.about);
                }
                Ok(0)
            }
            Verb::New { folder, from } => start::new(folder.as_deref(), from.as_deref()),
            Verb::Completions { shell } => {
                out::own();
                clap_complete::generate(shell, &mut Cli::command(), "spinloom", &mut std::io::stdout());
                Ok(0)
            }
            Verb::Man { folder } => start::manual(Cli::command(), &folder),
        }
    }
}

/// Checks a file; says what it is.
fn vet(file: &Path) -> Result<String, Problems> {
    if scripts::is_script(file) {
        let script = spinloom_solver::mx3::vet(file)?;
        return Ok(format!("a script of {} statements", script.body.len()));
    }
    let document = Document::read(file)?;
    if document.root.get("stages").is_some() {
        return Ok(format!("a pipeline of {} stages", pipeline::Pipeline::read(&document)?.stages.len()));
    }
    if document.root.get("experiment").is_some() {
        return sweep::Sweep::read(file).map(|s| s.words());
    }
    // An experiment has a table too, and a mesh.
    if document.root.get("table").is_some() && document.root.get("mesh").is_none() {
        return Ok(format!("a table of {} rows", networks::vet(&document)?));
    }
    if spinloom_network::tasks::Benchmark::is(&document) {
        return Ok(format!("a benchmark `{}`", spinloom_network::tasks::Benchmark::read(&document)?.kind.name));
    }
    let e = Experiment::read(&document)?;
    Ok(format!("{} replica(s) of {} cells, at most {:.3} ns each", e.replicas(), e.system.mesh.cells(), 1e9 * e.longest()))
}
