//! Scripts in mumax3's language: the same names, the same conventions, on any device.

mod check;
pub mod engine;
pub mod field;
pub mod interpreter;
pub mod library;
pub mod output;
pub mod random;
pub mod shape;
pub mod syntax;
pub mod text;
pub mod time;
pub mod value;

use crate::devices::DeviceChoice;
use engine::Engine;
use interpreter::Interpreter;
use output::Output;
use spinloom_base::{Diagnostic, Problems};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use syntax::{Kind, Script, Stmt};

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
}

impl Default for Options {
    fn default() -> Self {
        Self { device: DeviceChoice::CpuSingle, out: None, clean: false, exact_demag: false, loud: false }
    }
}

/// Reads and checks a script.
///
/// # Errors
/// Everything that is wrong with it.
pub fn vet(file: &Path) -> Result<Script, Problems> {
    let text = std::fs::read_to_string(file).map_err(|e| Diagnostic::file(file.display().to_string(), format!("cannot be read: {e}")))?;
    let script = read(&file.display().to_string(), &text, file.parent().unwrap_or(Path::new("")), 0)?;
    check::check(&script, &HashMap::new())?;
    Ok(script)
}

/// Parses, and takes in the files named by `source("…")` where they are named.
fn read(name: &str, text: &str, folder: &Path, depth: usize) -> Result<Script, Problems> {
    let mut script = syntax::parse(name, text)?;
    let mut problems = Problems::new();
    let mut body = Vec::new();
    for (statement, spot) in script.body.iter() {
        let source = match statement {
            Stmt::Expr(e) => match &e.kind {
                Kind::Call(f, a) if matches!(&f.kind, Kind::Name(n) if n == "source") => Some(a),
                _ => None,
            },
            _ => None,
        };
        let Some(arguments) = source else {
            body.push((statement.clone(), *spot));
            continue;
        };
        let error = |message: String| syntax::error_at(name, text, *spot, message);
        match arguments.as_slice() {
            [syntax::Expr { kind: Kind::Str(file), .. }] if depth < 16 => {
                let path = folder.join(file);
                match std::fs::read_to_string(&path) {
                    Ok(inner) => {
                        if let Some(s) = problems.take(read(&path.display().to_string(), &inner, folder, depth + 1)) {
                            body.extend(s.body.iter().map(|(s, _)| (s.clone(), *spot)));
                        }
                    }
                    Err(e) => problems.push(error(format!("{} cannot be read: {e}", path.display()))),
                }
            }
            [_] if depth < 16 => problems.push(error("source takes a file's name in quotes".into()).hint("write source(\"file\")")),
            _ => problems.push(error("source takes one file, and files take in one another at most 16 deep".into())),
        }
    }
    script.body = Arc::new(body);
    problems.into_result(Some(script))
}

/// Runs a script; returns how many expectations it held.
///
/// # Errors
/// Everything that is wrong with it, before anything runs; what goes wrong while it runs, at its place.
pub fn run(file: &Path, options: &Options) -> Result<usize, Problems> {
    let script = vet(file)?;
    let out = options.out.clone().unwrap_or_else(|| file.with_extension("out"));
    let io = |e: std::io::Error| Diagnostic::file(out.display().to_string(), format!("cannot be written: {e}"));
    if options.clean && out.exists() {
        std::fs::remove_dir_all(&out).map_err(io)?;
    }
    std::fs::create_dir_all(&out).map_err(io)?;
    // What an earlier run has left is replaced, not continued.
    for file in ["table.txt", "log.txt"] {
        let _ = std::fs::remove_file(out.join(file));
    }
    let mut engine = Engine::new(options.device);
    engine.exact_demag = options.exact_demag;
    let mut output = Output::new(Some(out.clone()));
    output.loud = options.loud;
    output.log(&format!("//spinloom {} on {:?}", env!("CARGO_PKG_VERSION"), options.device));
    let folder = file.parent().unwrap_or(Path::new("")).to_path_buf();
    let mut it = Interpreter::new(script, engine, output, &folder);
    let result = it.run();
    std::fs::write(out.join("references.bib"), it.engine.references()).map_err(io)?;
    result?;
    Ok(it.expectations)
}
