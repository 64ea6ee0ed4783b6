//! `spinloom network`: runs one benchmark, or a table of them, and writes what came out beside what the papers say.
//!
//! A table is a YAML file of rows; each names a benchmark, another command's file, or says why there is none. A benchmark whose file, cards, data folder and program are those of
//! its last run is not run again.

use crate::pipeline::write_whole;
use crate::progress::Meter;
use spinloom_base::{Diagnostic, Document, Fields, Node, Problems};
use spinloom_network::Open;
use spinloom_network::tasks::{Benchmark, Results};
use spinloom_solver::DeviceChoice;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// What to run.
#[derive(clap::Args)]
pub struct Options {
    /// A benchmark (`task: …`) or a table of them (`table: …`); without it the kinds of benchmarks are listed.
    file: Option<PathBuf>,
    /// Folder for the results; by default `out/` and the name of the file.
    #[arg(long, short)]
    out: Option<PathBuf>,
    /// Folder with data sets; without it stand-ins are drawn, and marked as such.
    #[arg(long, env = "SPINLOOM_DATA")]
    data: Option<PathBuf>,
    /// Of a table, only these rows.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Of a table, runs nothing: writes the table of what is there.
    #[arg(long)]
    collect: bool,
    /// Runs anew what was run before.
    #[arg(long, short)]
    force: bool,
    /// Only the first so many seeds of each benchmark.
    #[arg(long)]
    seeds: Option<usize>,
    /// Where classifiers are trained and tested: `cpu`, `vulkan`, `cuda`, `auto`; what cannot run there runs on the processor, and says so.
    #[arg(long, default_value = "cpu")]
    device: String,
}

/// The graphics device that was asked for: how it is named, and how it is opened. None if the processor is to compute.
fn device(options: &Options) -> Result<Option<DeviceChoice>, Problems> {
    let choice = DeviceChoice::parse(&options.device, "f32")?;
    match choice {
        DeviceChoice::Vulkan(..) | DeviceChoice::Cuda(..) => {
            // What is missing is said before data are read.
            choice.backend().map_err(|e| Diagnostic::error(e.to_string()).hint("`spinloom devices` lists what there is"))?;
            Ok(Some(choice))
        }
        _ => {
            if options.device == "auto" {
                eprintln!("no graphics device here: on the processor");
            }
            Ok(None)
        }
    }
}

fn text(results: &Results, index: usize) -> Option<String> {
    let (name, mean, sd, unit) = results.score(index)?;
    let unit = if unit == "1" { String::new() } else { format!(" {unit}") };
    let sd = sd.map_or(String::new(), |s| format!(" ± {}", number(s)));
    Some(format!("{name}: {}{sd}{unit}", number(mean)))
}

/// Four significant digits, without the zeros behind them.
fn number(v: f64) -> String {
    if v == 0.0 || !v.is_finite() {
        return format!("{v}");
    }
    let digits = 3 - v.abs().log10().floor() as i32;
    if (-3..=6).contains(&digits) {
        let text = format!("{v:.*}", digits.max(0) as usize);
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_string() } else { text }
    } else {
        format!("{v:.2e}")
    }
}

/// Runs it.
pub fn network(options: &Options) -> Result<u8, Problems> {
    let Some(file) = &options.file else {
        for kind in spinloom_network::tasks::TASKS {
            crate::out::say!("{:<16} {}", kind.name, kind.about);
        }
        crate::out::say!("a benchmark is a file with `task: NAME`, `seeds: [...]` and `settings: {{...}}`");
        return Ok(0);
    };
    let out = options.out.clone().unwrap_or_else(|| Path::new("out").join(file.file_stem().unwrap_or_default()));
    let document = Document::read(file)?;
    if document.root.get("table").is_some() {
        return table(&document, &out, options);
    }
    if !Benchmark::is(&document) {
        return Err(Diagnostic::file(file.display().to_string(), "this is neither a benchmark nor a table of them")
            .hint("a benchmark has the key `task`; a network on a card is run by a pipeline")
            .into());
    }
    let results = run(file, &document, &out, options, device(options)?)?;
    print(&results);
    Ok(0)
}

/// As users name it.
fn name(device: &DeviceChoice) -> String {
    device.to_string().split(',').next().unwrap_or_default().to_string()
}

fn print(results: &Results) {
    for i in 0..results.outcomes.first().map_or(0, |o| o.scores.len()) {
        crate::out::say!("{}", text(results, i).unwrap_or_default());
    }
    if let Some(o) = results.outcomes.first() {
        if o.data.as_ref().is_some_and(|d| d.stand_in) {
            crate::out::say!("on a stand-in drawn by the program: accuracy not shown; give --data FOLDER");
        }
        o.notes.iter().for_each(|n| crate::out::say!("{n}"));
    }
}

fn run(file: &Path, document: &Document, out: &Path, options: &Options, device: Option<DeviceChoice>) -> Result<Results, Problems> {
    let meter = Mutex::new(Meter::new(&file.file_stem().unwrap_or_default().to_string_lossy()));
    let progress = |seed: u64, done: f64, words: &str| {
        meter.lock().unwrap_or_else(PoisonError::into_inner).show(done, &format!("seed {seed}: {words}"))
    };
    let open = || Ok(device.map_or(Ok(None), DeviceChoice::backend)?.expect("a graphics device was chosen"));
    let named = device.map(|d| name(&d));
    let there = named.as_deref().map(|name| (name, &open as &Open<'_>));
    let results = Results::run(file, document, out, options.data.as_deref(), (options.seeds, options.force), there, &progress)?;
    meter.into_inner().unwrap_or_else(PoisonError::into_inner).done(&text(&results, 0).unwrap_or_default());
    Ok(results)
}

/// A row of the table.
struct Row {
    name: String,
    system: String,
    paper: String,
    file: Option<PathBuf>,
    /// Where else it is shown, or why it is not.
    instead: Option<String>,
}

fn rows(document: &Document, problems: &mut Problems) -> Option<(String, Vec<Row>)> {
    let base = Path::new(&document.name).parent().unwrap_or(Path::new(".")).to_path_buf();
    let mut f = Fields::of(&document.root, "the table", problems)?;
    let title = f.required("table", problems).and_then(|n| n.text(problems)).map(str::to_string);
    let list = f.required("rows", problems);
    f.finish(problems);
    let mut rows = Vec::new();
    for node in list?.list(problems)? {
        rows.extend(row(node, &base, problems));
    }
    Some((title?, rows))
}

fn row(node: &Node, base: &Path, problems: &mut Problems) -> Option<Row> {
    let mut f = Fields::of(node, "a row", problems)?;
    let mut text = |key, problems: &mut Problems| f.required(key, problems).and_then(|n| n.text(problems)).map(str::to_string);
    let (name, system, paper) = (text("row", problems), text("system", problems), text("paper", problems));
    let mut other = |key, problems: &mut Problems| f.optional(key).and_then(|n| n.text(problems)).map(str::to_string);
    let (file, example, deferred) = (other("file", problems), other("example", problems), other("deferred", problems));
    f.finish(problems);
    if [&file, &example, &deferred].iter().filter(|o| o.is_some()).count() != 1 {
        problems.push(node.error("a row has one of `file`, `example` and `deferred`"));
    }
    if let Some(file) = &file
        && !base.join(file).is_file()
    {
        problems.push(node.error(format!("there is no file {}", base.join(file).display())));
    }
    let instead = example.map(|e| format!("`{e}`")).or_else(|| deferred.map(|d| format!("deferred: {d}")));
    Some(Row { name: name?, system: system?, paper: paper?, file: file.map(|f| base.join(f)), instead })
}

/// A table with all its files checked.
fn checked(document: &Document) -> Result<(String, Vec<Row>), Problems> {
    let mut problems = Problems::new();
    let read = rows(document, &mut problems);
    for file in read.iter().flat_map(|(_, rows)| rows).filter_map(|r| r.file.as_ref()) {
        if let Some(d) = problems.take(Document::read(file)) {
            problems.take(Benchmark::read(&d));
        }
    }
    problems.into_result(read)
}

/// Checks a table; returns its number of rows.
pub fn vet(document: &Document) -> Result<usize, Problems> {
    Ok(checked(document)?.1.len())
}

fn table(document: &Document, out: &Path, options: &Options) -> Result<u8, Problems> {
    let (title, rows) = checked(document)?;
    if let Some(unknown) = options.only.iter().find(|o| rows.iter().all(|r| r.name != **o)) {
        return Err(Diagnostic::error(format!("the table has no row {unknown}")).into());
    }
    let mut text = format!("# {title}\n\n| row | system | paper | here | command | card | seconds |\n|---|---|---|---|---|---|---|\n");
    let mut failed = Vec::new();
    let device = device(options)?;
    for row in &rows {
        let _ = write!(text, "| {} | {} | {} | ", row.name, row.system, row.paper);
        let Some(file) = &row.file else {
            let _ = writeln!(text, "{} | | | |", row.instead.as_deref().unwrap_or_default());
            continue;
        };
        let folder = out.join(file.file_stem().unwrap_or_default());
        let wanted = !options.collect && (options.only.is_empty() || options.only.contains(&row.name));
        let found = if wanted {
            eprintln!("{}: {}", row.name, file.display());
            match run(file, &Document::read(file)?, &folder, options, device) {
                Ok(r) => Some(r),
                Err(e) => {
                    eprintln!("{e}");
                    failed.push(row.name.clone());
                    let _ = writeln!(text, "failed: {} | | | |", e.to_string().replace(['\n', '|'], " "));
                    continue;
                }
            }
        } else {
            Results::kept(&folder)?
        };
        let Some(results) = found else {
            let _ = writeln!(text, "not run | | | |");
            continue;
        };
        // What was run with another file, card, data or program is shown as such.
        let stale = !wanted
            && results.key
                != Results::identity(file, &Document::read(file)?, options.data.as_deref(), device.as_ref().map(name).as_deref())?;
        let _ = writeln!(text, "{}{}", if stale { "stale, run again: " } else { "" }, cells(&results));
    }
    std::fs::create_dir_all(out).map_err(|e| Diagnostic::file(out.display().to_string(), format!("cannot be made: {e}")))?;
    write_whole(&out.join("table.md"), text.as_bytes())?;
    crate::out::say!("{}", out.join("table.md").display());
    Ok(u8::from(!failed.is_empty()))
}

/// The last four cells of a row.
fn cells(results: &Results) -> String {
    let first = results.outcomes.first();
    let stand_in = first.and_then(|o| o.data.as_ref()).is_some_and(|d| d.stand_in);
    // The headline and three more; all are in the file of results.
    let mut here: Vec<String> = (0..4).filter_map(|i| text(results, i)).collect();
    if stand_in {
        here.push("stand-in data: accuracy not shown".into());
    }
    if results.seeds.len() > 1 {
        here.push(format!("{} seeds", results.seeds.len()));
    }
    let cards: Vec<String> = first
        .map(|o| {
            o.cards
                .iter()
                .map(|c| match c.records.first() {
                    None if c.name.contains("not used") || c.name.starts_with("typed") => c.name.clone(),
                    None => format!("{}: not simulated", c.name),
                    Some(hash) => format!("{}: record {}", c.name, hash.get(..12).unwrap_or(hash)),
                })
                .collect()
        })
        .unwrap_or_default();
    let seconds = results.seconds.iter().sum::<f64>() / results.seconds.len().max(1) as f64;
    format!("{} | `{}` | {} | {} |", here.join("; "), results.command, cards.join("; "), number(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_four_digits() {
        assert_eq!(
            [number(96.0), number(0.123456), number(12345.6), number(1.5e-12), number(99.996)],
            ["96", "0.1235", "12346", "1.50e-12", "100"]
        );
    }

    #[test]
    fn the_table_of_the_house_names_files_that_are_right() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/networks/table.yaml");
        let mut problems = Problems::new();
        let (_, rows) = rows(&Document::read(&path).unwrap(), &mut problems).unwrap();
        assert!(!problems.any_error(), "{problems}");
        for row in &rows {
            if let Some(file) = &row.file {
                Benchmark::read(&Document::read(file).unwrap()).unwrap_or_else(|e| panic!("{}: {e}", row.name));
            }
        }
        // Every row of tables 3 and of the networks of the other papers, and all rows named only in the text.
        let names: Vec<&str> = rows.iter().map(|r| r.name.as_str()).collect();
        for n in 1..=19 {
            assert!(names.iter().any(|r| r.split(' ').any(|r| r == format!("T3-{n}"))), "T3-{n} is missing");
        }
        for name in ["S0-NET", "S1-NET", "S3-NET-M", "S3-NET-F", "S4-C10", "S4-DVS", "R-20", "R-43", "R-47", "R-52", "R-75", "R-76"] {
            assert!(names.iter().any(|r| r.starts_with(name)), "{name} is missing");
        }
    }
}
