//! A pipeline: named stages that meet in files. A stage whose settings, inputs and program are those of its last run is not run again.

use crate::stages;
use serde::{Deserialize, Serialize};
use spinloom_base::diagnostics::{nearest, one_of};
use spinloom_base::{Diagnostic, Document, Fields, Node, Place, Problems, hash};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// What a pipeline chains. Each stage has a folder of its own below the pipeline's output folder.
pub trait Stage {
    /// The word it is called by in a pipeline.
    fn kind(&self) -> &'static str;
    /// Names of the stages whose outputs it reads.
    fn needs(&self) -> Vec<String>;
    /// Other files it reads.
    fn files(&self) -> Vec<PathBuf>;
    /// Everything else that its result depends on, as text.
    fn settings(&self) -> String;
    /// Files it writes, relative to its folder; the first is what `$name` stands for.
    fn outputs(&self) -> Vec<PathBuf>;
    /// Does it.
    ///
    /// # Errors
    /// Whatever went wrong; then nothing counts as written.
    fn run(&self, context: &Context<'_>) -> Result<(), Problems>;
}

/// What a stage may know of the pipeline around it.
pub struct Context<'a> {
    /// Its own folder.
    pub folder: PathBuf,
    /// Whether what is in the folder is to be replaced rather than continued.
    pub anew: bool,
    /// Whether a continued run may have other bits.
    pub allow_different: bool,
    /// The command that runs the pipeline.
    pub command: String,
    /// Set by a stage that a signal has stopped where it can go on: what it has written is no result yet.
    pub stopped: Cell<bool>,
    done: &'a BTreeMap<String, (PathBuf, Stamp)>,
}

impl Context<'_> {
    /// The main output of another stage.
    pub fn output(&self, stage: &str) -> Option<&Path> {
        self.done.get(stage).map(|(p, _)| p.as_path())
    }

    /// The stages done so far: name, main output, what is known about the run.
    pub fn stages(&self) -> impl Iterator<Item = (&String, &PathBuf, &Stamp)> {
        self.done.iter().map(|(n, (p, s))| (n, p, s))
    }
}

/// What is known about a finished stage; kept beside its outputs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stamp {
    /// Which kind of stage.
    pub kind: String,
    /// Hash of program version, settings and inputs.
    pub key: String,
    /// SHA-256 of each output.
    pub outputs: BTreeMap<String, String>,
    /// Wall-clock time it took (s).
    pub seconds: f64,
}

/// A pipeline, checked.
pub struct Pipeline {
    /// What it is called.
    pub name: String,
    /// Its stages in order.
    pub stages: Vec<(String, Box<dyn Stage>)>,
}

/// How to run it.
#[derive(Clone, Debug)]
pub struct Options {
    /// Folder for everything.
    pub out: PathBuf,
    /// Runs every stage anew.
    pub force: bool,
    /// Only these stages.
    pub only: Vec<String>,
    /// This stage and all after it, anew.
    pub from: Option<String>,
    /// Folder with data sets.
    pub data: Option<PathBuf>,
    /// Whether a continued run may have other bits.
    pub allow_different: bool,
}

const KINDS: [&str; 5] = ["simulate", "extract", "network", "report", "command"];

impl Pipeline {
    /// Reads and checks a pipeline and everything its stages refer to.
    ///
    /// # Errors
    /// All that is wrong, in all files.
    pub fn read(document: &Document) -> Result<Pipeline, Problems> {
        Self::read_with(document, None)
    }

    fn read_with(document: &Document, data: Option<&Path>) -> Result<Pipeline, Problems> {
        let mut problems = Problems::new();
        let pipeline = read(document, data, &mut problems);
        problems.into_result(pipeline)
    }
}

fn read(document: &Document, data: Option<&Path>, problems: &mut Problems) -> Option<Pipeline> {
    let base = Path::new(&document.name).parent().unwrap_or(Path::new(".")).to_path_buf();
    let mut f = Fields::of(&document.root, "a pipeline", problems)?;
    let name = f.required("pipeline", problems).and_then(|n| n.text(problems)).map(str::to_string);
    let list = f.required("stages", problems);
    f.finish(problems);
    let mut stages: Vec<(String, Box<dyn Stage>)> = Vec::new();
    let mut places: Vec<Place> = Vec::new();
    let mut unreadable: Vec<&str> = Vec::new();
    for (name, place, node) in list?.entries(problems)? {
        if name.is_empty() || name.contains(['/', '\\', '.']) {
            problems.push(Diagnostic::error(format!("`{name}` cannot be the name of a stage")).at(place.clone()).hint("it names a folder"));
        }
        if let Some(stage) = read_stage(node, &base, data, problems) {
            stages.push((name.clone(), stage));
            places.push(place.clone());
        } else {
            unreadable.push(name);
        }
    }
    if stages.is_empty() && !problems.any_error() {
        problems.push(list?.error("no stages: nothing would run"));
    }
    for (i, (name, stage)) in stages.iter().enumerate() {
        for need in stage.needs() {
            if stages[..i].iter().all(|(n, _)| *n != need) && !unreadable.contains(&need.as_str()) {
                let before = || stages[..i].iter().map(|(n, _)| n.as_str());
                let hint = match nearest(&need, before()) {
                    Some(n) => format!("did you mean `{n}`?"),
                    None if i == 0 => "it is the first stage".to_string(),
                    None => format!("before it come {}", one_of(before())),
                };
                problems.push(
                    Diagnostic::error(format!("stage `{name}` needs `{need}`, which is no stage before it"))
                        .at(places[i].clone())
                        .hint(hint),
                );
            }
        }
    }
    Some(Pipeline { name: name?, stages })
}

fn read_stage(node: &Node, base: &Path, data: Option<&Path>, problems: &mut Problems) -> Option<Box<dyn Stage>> {
    let mut f = Fields::of(node, "a stage", problems)?;
    let given: Vec<_> = KINDS.into_iter().filter_map(|k| f.optional(k).map(|n| (k, n))).collect();
    f.finish(problems);
    let [(kind, inner)] = given[..] else {
        problems.push(node.error(format!("a stage is exactly one of {}", one_of(KINDS))));
        return None;
    };
    Some(match kind {
        "simulate" => Box::new(stages::simulate::Simulate::read(inner, base, problems)?),
        "extract" => Box::new(stages::extract::Extract::read(inner, base, problems)?),
        "network" => Box::new(stages::network::Network::read(inner, base, data, problems)?),
        "report" => Box::new(stages::report::Report::read(inner, problems)?),
        _ => Box::new(stages::command::UserCommand::read(inner, base, problems)?),
    })
}

/// Writes a file as a whole or not at all.
///
/// # Errors
/// What the file system says.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Problems> {
    use std::io::Write;
    let cannot = |e: std::io::Error| Problems::from(Diagnostic::file(path.display().to_string(), format!("cannot be written: {e}")));
    // Several processes may write the same: each to a file of its own first.
    let part = path.with_extension(format!("{}.part", std::process::id()));
    let mut file = std::fs::File::create(&part).map_err(cannot)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(cannot)?;
    std::fs::rename(&part, path).map_err(cannot)?;
    Ok(())
}

/// Runs a pipeline. False if a signal has stopped it: then the same command goes on with it.
///
/// # Errors
/// All that is wrong before anything is computed, or what a stage says.
pub fn run(document: &Document, options: &Options) -> Result<bool, Problems> {
    let pipeline = Pipeline::read_with(document, options.data.as_deref())?;
    let mut problems = Problems::new();
    for name in options.only.iter().chain(&options.from) {
        if pipeline.stages.iter().all(|(n, _)| n != name) {
            let names = || pipeline.stages.iter().map(|(n, _)| n.as_str());
            let hint =
                nearest(name, names()).map_or_else(|| format!("the stages are {}", one_of(names())), |n| format!("did you mean `{n}`?"));
            problems.push(Diagnostic::error(format!("there is no stage `{name}`")).hint(hint));
        }
    }
    problems.into_result(Some(()))?;
    let wanted = wanted(&pipeline, &options.only);
    let first_anew = options.from.as_ref().and_then(|f| pipeline.stages.iter().position(|(n, _)| n == f));
    let mut done: BTreeMap<String, (PathBuf, Stamp)> = BTreeMap::new();
    for (i, (name, stage)) in pipeline.stages.iter().enumerate() {
        if !wanted.contains(name) {
            continue;
        }
        let folder = options.out.join(name);
        let key = key(stage.as_ref(), &done)?;
        let anew = options.force || first_anew.is_some_and(|f| i >= f) && (options.only.is_empty() || options.only.contains(name));
        let main = folder.join(stage.outputs().first().cloned().unwrap_or_default());
        if !anew && let Some(stamp) = stamped(&folder, stage.as_ref(), &key) {
            eprintln!("[{}/{}] {name}: as before ({:.0} s saved)", i + 1, pipeline.stages.len(), stamp.seconds);
            done.insert(name.clone(), (main, stamp));
            continue;
        }
        eprintln!("[{}/{}] {name}: {}", i + 1, pipeline.stages.len(), stage.kind());
        let cannot = |e: std::io::Error| Problems::from(Diagnostic::file(folder.display().to_string(), format!("cannot be used: {e}")));
        std::fs::create_dir_all(&folder).map_err(cannot)?;
        // What another key began is not continued.
        let begun = folder.join("begun");
        let same = std::fs::read_to_string(&begun).is_ok_and(|k| k == key);
        let _ = std::fs::remove_file(folder.join("stage.json"));
        if !same || anew {
            clear(&folder).map_err(cannot)?;
            std::fs::write(&begun, &key).map_err(cannot)?;
        }
        let clock = Instant::now();
        let context = Context {
            folder: folder.clone(),
            anew: anew || !same,
            allow_different: options.allow_different,
            command: format!("spinloom run {} --out {}", document.name, options.out.display()),
            stopped: Cell::new(false),
            done: &done,
        };
        stage.run(&context).map_err(|e| {
            let mut all = Problems::from(Diagnostic::error(format!("stage `{name}` failed")));
            all.extend(e);
            all
        })?;
        if context.stopped.get() {
            eprintln!("stage `{name}` stopped: run the same again to go on");
            return Ok(false);
        }
        let stamp =
            Stamp { kind: stage.kind().into(), key, outputs: hashes(&folder, stage.as_ref())?, seconds: clock.elapsed().as_secs_f64() };
        let json = serde_json::to_vec_pretty(&stamp).map_err(|e| Problems::from(Diagnostic::error(e.to_string())))?;
        write_whole(&folder.join("stage.json"), &json)?;
        done.insert(name.clone(), (main, stamp));
    }
    if let Some((path, _)) = done.values().find(|(_, s)| s.kind == "report") {
        eprintln!("{}: {}", pipeline.name, path.display());
    }
    Ok(true)
}

/// The stages asked for and everything they need.
fn wanted(pipeline: &Pipeline, only: &[String]) -> Vec<String> {
    let mut wanted: Vec<String> = only.to_vec();
    if only.is_empty() {
        return pipeline.stages.iter().map(|(n, _)| n.clone()).collect();
    }
    for (name, stage) in pipeline.stages.iter().rev() {
        if wanted.contains(name) {
            wanted.extend(stage.needs());
        }
    }
    wanted
}

fn clear(folder: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { std::fs::remove_dir_all(path)? } else { std::fs::remove_file(path)? }
    }
    Ok(())
}

fn key(stage: &dyn Stage, done: &BTreeMap<String, (PathBuf, Stamp)>) -> Result<String, Problems> {
    let mut text = format!("{} {}\n{}\n", env!("CARGO_PKG_VERSION"), stage.kind(), stage.settings());
    for need in stage.needs() {
        if let Some((_, stamp)) = done.get(&need) {
            text.push_str(&format!("{need} {:?}\n", stamp.outputs));
        }
    }
    for file in stage.files() {
        // A record folder is known by its file.
        let path = if file.is_dir() { file.join("run.h5") } else { file };
        let hash = hash::of_file(&path)
            .map_err(|e| Problems::from(Diagnostic::file(path.display().to_string(), format!("cannot be read: {e}"))))?;
        // By name and content: a folder may be moved.
        text.push_str(&format!("{} {hash}\n", path.file_name().unwrap_or_default().display()));
    }
    Ok(hash::of_bytes(text.as_bytes()))
}

fn hashes(folder: &Path, stage: &dyn Stage) -> Result<BTreeMap<String, String>, Problems> {
    stage
        .outputs()
        .iter()
        .map(|o| {
            let path = folder.join(o);
            let hash = hash::of_file(&path)
                .map_err(|e| Problems::from(Diagnostic::file(path.display().to_string(), format!("cannot be read: {e}"))))?;
            Ok((o.display().to_string(), hash))
        })
        .collect()
}

/// The stamp of a folder whose key and outputs are as they should be.
fn stamped(folder: &Path, stage: &dyn Stage, key: &str) -> Option<Stamp> {
    let text = std::fs::read_to_string(folder.join("stage.json")).ok()?;
    let stamp: Stamp = serde_json::from_str(&text).ok()?;
    (stamp.key == key && hashes(folder, stage).ok()? == stamp.outputs).then_some(stamp)
}
