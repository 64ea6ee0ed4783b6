//! Scripts in mumax3's language: the same names, the same conventions, on any device.

mod check;
pub mod engine;
pub mod field;
pub mod interpreter;
pub mod library;
pub mod output;
pub mod random;
pub mod resume;
pub mod shape;
pub mod syntax;
pub mod text;
pub mod time;
pub mod value;

use crate::devices::DeviceChoice;
use crate::live::Live;
use engine::Engine;
use field::Quantity;
use interpreter::Interpreter;
use output::Output;
use resume::Kept;
use spinloom_base::{Diagnostic, Problems};
use spinloom_record::OvfFormat;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use syntax::{Block, Kind, Script, Spot, Stmt};

/// How a script is run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The machine.
    pub device: DeviceChoice,
    /// Folder for the results; by default the script's name with `.out`.
    pub out: Option<PathBuf>,
    /// Whether results that lie there are removed first.
    pub clean: bool,
    /// Whether the exact demagnetising tensor is used instead of mumax3's sampled one.
    pub exact_demag: bool,
    /// Whether messages go to the screen too.
    pub loud: bool,
    /// Whether a script that was cut off goes on.
    pub resume: bool,
    /// Wall-clock time between checkpoints.
    pub commit_every: Duration,
    /// Set from elsewhere (by a signal): the script ends after its present step (of `relax` and `minimize` within ten), with a checkpoint, its table and log whole
    /// and m in `stopped.ovf`.
    pub stop: Arc<AtomicBool>,
    /// Who watches, if anybody may.
    pub live: Option<Arc<Live>>,
}

/// What came of a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Expectations, all met.
    pub expectations: usize,
    /// Whether it has come to its end; otherwise it was stopped and can go on.
    pub finished: bool,
    /// Whether there was nothing left to do.
    pub before: bool,
}

/// Why a script has failed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// In words, with their places.
    pub problems: Problems,
    /// Whether an expectation of the script was not met; else it could not be done as it stands.
    pub unmet: bool,
}

impl<T: Into<Problems>> From<T> for Failure {
    fn from(problems: T) -> Self {
        Self { problems: problems.into(), unmet: false }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.problems.fmt(f)
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            device: DeviceChoice::CpuSingle,
            out: None,
            clean: false,
            exact_demag: false,
            loud: false,
            resume: false,
            commit_every: Duration::from_secs(5),
            stop: Arc::default(),
            live: None,
        }
    }
}

/// Reads and checks a script.
///
/// # Errors
/// Everything that is wrong with it.
pub fn vet(file: &Path) -> Result<Script, Problems> {
    let text = std::fs::read_to_string(file).map_err(|e| Diagnostic::file(file.display().to_string(), format!("cannot be read: {e}")))?;
    vet_text(file, &text)
}

/// The same of a text that is there already.
///
/// # Errors
/// Everything that is wrong with it.
pub fn vet_text(file: &Path, text: &str) -> Result<Script, Problems> {
    let mut reader = Reader { files: Vec::new(), problems: Problems::new() };
    let body = reader.read(&file.display().to_string(), text, file.parent().unwrap_or(Path::new("")), 0);
    let script = reader.problems.into_result(Some(Script { files: reader.files, body: Arc::new(body) }))?;
    check::check(&script, &HashMap::new())?;
    Ok(script)
}

/// Parses, and takes in the files named by `source("…")` where they are named, wherever a statement may stand.
struct Reader {
    files: Vec<syntax::File>,
    problems: Problems,
}

/// How many files may be taken in one through the other, and how many in all.
const DEEPEST: usize = 16;
const MOST_FILES: usize = 1000;

impl Reader {
    fn read(&mut self, name: &str, text: &str, folder: &Path, depth: usize) -> Vec<(Stmt, Spot)> {
        let file = syntax::File { name: name.into(), text: text.into() };
        let parsed = syntax::parse(&file, self.files.len() as u16);
        self.files.push(file);
        let Some(body) = self.problems.take(parsed) else { return Vec::new() };
        self.list(body, folder, depth)
    }

    fn list(&mut self, list: Vec<(Stmt, Spot)>, folder: &Path, depth: usize) -> Vec<(Stmt, Spot)> {
        let mut body = Vec::new();
        for (statement, spot) in list {
            match &statement {
                Stmt::Expr(e) => match &e.kind {
                    Kind::Call(f, arguments) if matches!(&f.kind, Kind::Name(n) if n == "source") => {
                        body.extend(self.source(arguments, spot, folder, depth));
                    }
                    _ => body.push((statement, spot)),
                },
                _ => body.push((self.statement(statement, folder, depth), spot)),
            }
        }
        body
    }

    fn block(&mut self, block: &Block, folder: &Path, depth: usize) -> Block {
        Arc::new(self.list(block.to_vec(), folder, depth))
    }

    fn statement(&mut self, statement: Stmt, folder: &Path, depth: usize) -> Stmt {
        match statement {
            Stmt::Block(b) => Stmt::Block(self.block(&b, folder, depth)),
            Stmt::For(first, condition, next, b) => Stmt::For(first, condition, next, self.block(&b, folder, depth)),
            Stmt::If(condition, then, otherwise) => {
                let otherwise = otherwise.map(|o| Box::new(self.statement(*o, folder, depth)));
                Stmt::If(condition, self.block(&then, folder, depth), otherwise)
            }
            other => other,
        }
    }

    fn source(&mut self, arguments: &[syntax::Expr], spot: Spot, folder: &Path, depth: usize) -> Vec<(Stmt, Spot)> {
        let files = &self.files;
        let error = |message: String| syntax::error_at(&files[usize::from(spot.file)], spot, message);
        let problem = match arguments {
            _ if depth == DEEPEST || files.len() == MOST_FILES => {
                error(format!("files take in one another at most {DEEPEST} deep, and at most {MOST_FILES} in all"))
            }
            [syntax::Expr { kind: Kind::Str(file), .. }] => {
                let beside = folder.join(file);
                let path = if !beside.exists() && Path::new(file).exists() { PathBuf::from(file) } else { beside };
                match std::fs::read_to_string(&path) {
                    Ok(text) => {
                        let folder = path.parent().unwrap_or(Path::new("")).to_path_buf();
                        return self.read(&path.display().to_string(), &text, &folder, depth + 1);
                    }
                    Err(e) => error(format!("{} cannot be read: {e}", path.display())),
                }
            }
            [_] => error("source takes a file's name in quotes".into()).hint("write source(\"file\")"),
            _ => error(format!("source takes one file, not {}", arguments.len())),
        };
        self.problems.push(problem);
        Vec::new()
    }
}

/// Runs a script.
///
/// # Errors
/// Everything that is wrong with it, before anything runs; what goes wrong while it runs, at its place.
pub fn run(file: &Path, options: &Options) -> Result<Outcome, Failure> {
    let script = vet(file)?;
    let out = options.out.clone().unwrap_or_else(|| file.with_extension("out"));
    let io = |e: std::io::Error| Diagnostic::file(out.display().to_string(), format!("cannot be written: {e}"));
    if options.clean && out.exists() {
        std::fs::remove_dir_all(&out).map_err(io)?;
    }
    std::fs::create_dir_all(&out).map_err(io)?;
    let mut engine = Engine::new(options.device);
    engine.exact_demag = options.exact_demag;
    let mut output = Output::new(Some(out.clone()));
    output.loud = options.loud;
    let folder = file.parent().unwrap_or(Path::new("")).to_path_buf();
    let mut it = Interpreter::new(script, engine, output, &folder);
    (it.stop, it.commit_every, it.live) = (options.stop.clone(), options.commit_every, options.live.clone());
    let kept = if options.resume { Kept::read(&out.join(resume::FILE))? } else { None };
    if let Some(mut kept) = kept {
        if kept.texts.get("of") != Some(&it.identity()) {
            let problem =
                Diagnostic::file(out.join(resume::FILE).display().to_string(), "another script, program or device was cut off here");
            return Err(problem.hint("go on where they are the same, or run the script anew with -f").into());
        }
        if let Some(&[1, expectations]) = kept.words.get("finished").map(Vec::as_slice) {
            return Ok(Outcome { expectations: expectations as usize, finished: true, before: true });
        }
        let before = kept.texts.get("before").map_or("", String::as_str);
        it.output.before =
            before.lines().filter_map(|l| l.split_once(' ')).filter_map(|(n, name)| Some((name.into(), n.parse().ok()?))).collect();
        it.output.begin_anew();
        if let Some(told) = kept.words.remove("told") {
            let path = out.join(resume::TOLD);
            let told = <[u64; 2]>::try_from(told).ok().and_then(|told| resume::Journal::read(&path, told));
            it.engine.journal = told.ok_or_else(|| {
                let problem = Diagnostic::file(path.display().to_string(), "it is not there, or damaged");
                Problems::from(problem.hint("a script goes on with the checkpoint and this file; run it anew with -f"))
            })?;
            it.output.muted = true;
            it.kept = Some(kept);
        }
    } else {
        // What an earlier run has left is replaced, not continued.
        for file in ["table.txt", "log.txt"] {
            let _ = std::fs::remove_file(out.join(file));
        }
        it.output.look_around();
        it.mark(false)?;
    }
    it.output.log(&format!("//spinloom {} on {:?}", env!("CARGO_PKG_VERSION"), options.device));
    let result = it.run();
    if let Ok(finished) = result {
        if finished {
            it.mark(true)?;
        } else {
            it.output.format = output::Format::Ovf(2, OvfFormat::Binary8);
            let told = |f: engine::Fault| Problems::from(Diagnostic::error(f.message).hint(f.hint));
            let m = it.engine.field(&Quantity::Named("m")).map_err(told)?;
            it.output.save(&it.engine, &m, "m", "", "stopped.ovf").map_err(told)?;
        }
    }
    std::fs::write(out.join("references.bib"), it.engine.references()).map_err(io)?;
    match result {
        Ok(finished) => Ok(Outcome { expectations: it.expectations, finished, before: false }),
        Err(problems) => Err(Failure { problems, unmet: it.unmet }),
    }
}
