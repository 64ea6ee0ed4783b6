//! `spinloom sweep`: an experiment at many points, packed as replicas, here or as array jobs of Slurm.
//!
//! A sweep is a folder: `plan.json` says what is swept and how points are packed; `chunks/N` is the record of the points from number N on, with `done.json` once it
//! is whole. A chunk is claimed before it is run (see [`Claim`]), so that no point runs twice, wherever its workers are. Everything else follows
//! from the file: the same command again goes on with what is missing.

use crate::pipeline::write_whole;
use crate::signals;
use crate::slurm;
use crate::stages::simulate;
use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};
use serde_json::json;
use spinloom_base::diagnostics::{nearest, one_of};
use spinloom_base::random::Stream;
use spinloom_base::{Diagnostic, Dimension, Document, Fields, Node, Problems, Value, hash, units};
use spinloom_record::{Header, Record, Writer};
use spinloom_solver::experiment::{Point, Points};
use spinloom_solver::run::is_not_a_number;
use spinloom_solver::{Experiment, RunOptions};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Most points of a sweep, or of a round towards borders: every one is read before any is run.
const POINTS: usize = 1_000_000;

/// What `spinloom sweep` takes.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Options {
    #[command(subcommand)]
    action: Option<Action>,
    /// The YAML file of the sweep.
    file: Option<PathBuf>,
    /// Folder for the results; by default `out/` and the name of the file.
    #[arg(long, short)]
    out: Option<PathBuf>,
    /// Replaces an earlier sweep.
    #[arg(long, short)]
    force: bool,
    /// Points in one ensemble; by default as many as keep the processor busy.
    #[arg(long)]
    pack: Option<usize>,
    /// Seconds between commits: what a kill costs at most.
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0)]
    commit_every: f64,
    /// Threads; by default `SLURM_CPUS_PER_TASK`, or all.
    #[arg(long)]
    pub threads: Option<usize>,
    /// Only the chunk that begins with this point: what array jobs run.
    #[arg(long, hide = true)]
    chunk: Option<u64>,
    /// Submits array jobs instead of computing here.
    #[arg(long)]
    slurm: bool,
    #[command(flatten)]
    jobs: slurm::Options,
}

#[derive(Subcommand)]
enum Action {
    /// How far a sweep is.
    Status {
        /// Its folder.
        folder: PathBuf,
    },
    /// Ends its jobs and workers; what they have committed stays.
    Cancel {
        /// Its folder.
        folder: PathBuf,
    },
    /// Forgets failures, so that the same command tries these points again.
    Retry {
        /// Its folder.
        folder: PathBuf,
    },
}

/// How points are chosen.
enum Choice {
    /// All of these.
    Listed(Vec<Vec<(Node, f64)>>),
    /// Where a condition changes along one name, for each of the others' values.
    Border(Border),
}

/// The border along one variable, by sections between a point where the condition holds and one where it does not.
struct Border {
    /// Values of the other names.
    lines: Vec<Vec<(Node, f64)>>,
    from: f64,
    to: f64,
    unit: String,
    within: f64,
    /// Points between the ends, a round.
    ways: usize,
    place: Node,
    met: Condition,
}

/// A condition on the last row of a point's table.
struct Condition {
    column: String,
    above: bool,
    limit: f64,
}

/// A sweep, checked.
pub struct Sweep {
    name: String,
    document: Document,
    experiment: Document,
    names: Vec<(String, String)>,
    choice: Choice,
    pack: Option<usize>,
}

/// What is known of a point that was run.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct PointResult {
    id: u64,
    /// Last row of its table, by column; what is not a number is left out.
    last: BTreeMap<String, f64>,
    /// Its place: record below the chunk's folder, replica.
    record: String,
    replica: usize,
}

/// Written beside a chunk that is whole.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Done {
    points: Vec<PointResult>,
    seconds: f64,
}

/// What a folder belongs to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Plan {
    sweep: String,
    program: String,
    /// SHA-256 of the sweep and of the experiment.
    key: String,
    file: String,
    pack: usize,
}

/// Points that run as one ensemble.
struct Chunk {
    points: Vec<Point>,
}

impl Chunk {
    fn first(&self) -> u64 {
        self.points[0].id
    }

    fn folder(&self, out: &Path) -> PathBuf {
        out.join(CHUNKS).join(format!("{:06}", self.first()))
    }
}

/// Why an ensemble gave no results.
enum Fault {
    /// It cannot be: its points' doing.
    Points(Problems),
    /// Anything else, from a full disk to a lost device: no point is to blame, and the same again may do.
    Other(Problems),
}

impl From<Problems> for Fault {
    fn from(p: Problems) -> Self {
        Self::Other(p)
    }
}

/// What became of a chunk.
#[derive(PartialEq)]
enum Came {
    Done,
    Failed,
    Stopped,
    /// Another worker has it.
    Busy,
}

fn number(node: &Node, value: f64, unit: &str) -> Node {
    let value = if unit == "1" { Value::Number(value) } else { Value::Text(format!("{value:e} {unit}")) };
    Node { place: node.place.clone(), value }
}

fn unit_of(dimension: Dimension) -> String {
    if dimension == Dimension::NONE { "1".into() } else { units::si_symbol(dimension) }
}

/// `{from, to}` of one dimension, which follows from `from`.
fn span(node: &Node, problems: &mut Problems) -> Option<([f64; 2], String)> {
    let mut f = Fields::of(node, "a range", problems)?;
    let (from, to) = (f.required("from", problems), f.required("to", problems));
    f.finish(problems);
    let from = from?;
    let dimension = match &from.value {
        Value::Text(t) => units::dimension_of(t).unwrap_or(Dimension::NONE),
        _ => Dimension::NONE,
    };
    Some(([from.quantity(dimension, problems)?, to?.quantity(dimension, problems)?], unit_of(dimension)))
}

/// Whether so many points can be.
fn few(count: usize, node: &Node, problems: &mut Problems) -> Option<()> {
    if count == 0 {
        problems.push(node.error("no points: nothing would run"));
    } else if count > POINTS {
        problems.push(node.error(format!("{count} points: a sweep has at most {POINTS}")).hint("part it into several"));
    }
    (1..=POINTS).contains(&count).then_some(())
}

/// The product of series, the last fastest.
fn grid(node: &Node, names: &mut Vec<(String, String)>, problems: &mut Problems) -> Option<Vec<Vec<(Node, f64)>>> {
    let mut points: Vec<Vec<(Node, f64)>> = vec![Vec::new()];
    for (name, _, values) in node.entries(problems)? {
        let (nodes, si, dimension) = values.series(problems)?;
        names.push((name.clone(), unit_of(dimension)));
        few(points.len().saturating_mul(si.len()), node, problems)?;
        points = points
            .iter()
            .flat_map(|p| nodes.iter().cloned().zip(si.iter().copied()).map(move |v| p.iter().cloned().chain([v]).collect()))
            .collect();
    }
    Some(points)
}

fn listed(node: &Node, names: &mut Vec<(String, String)>, problems: &mut Problems) -> Option<Vec<Vec<(Node, f64)>>> {
    let mut points = Vec::new();
    for item in node.list(problems)? {
        let mut point: Vec<Option<(Node, f64)>> = vec![None; names.len()];
        for (name, place, value) in item.entries(problems)? {
            let (nodes, si, dimension) = value.series(problems)?;
            let unit = unit_of(dimension);
            let at = match names.iter().position(|(n, _)| n == name) {
                Some(i) if names[i].1 == unit || si[0] == 0.0 => i,
                Some(i) => {
                    problems.push(value.error(format!("`{name}` is in {unit} here and in {} above", names[i].1)));
                    continue;
                }
                None if points.is_empty() => {
                    names.push((name.clone(), unit));
                    point.push(None);
                    names.len() - 1
                }
                None => {
                    problems.push(Diagnostic::error(format!("`{name}` is not in the first point")).at(place.clone()));
                    continue;
                }
            };
            point[at] = nodes.into_iter().zip(si).next();
        }
        if let Some(missing) = point.iter().position(Option::is_none) {
            problems.push(item.error(format!("`{}` has no value in this point", names[missing].0)));
            continue;
        }
        points.push(point.into_iter().flatten().collect());
    }
    if points.is_empty() && !problems.any_error() {
        problems.push(node.error("no points: nothing would run"));
    }
    Some(points)
}

/// A Latin hypercube: along every axis one point in each of `n` equal parts; M. D. McKay, R. J. Beckman and W. J. Conover, Technometrics 21, 239 (1979).
pub fn latin_hypercube(n: usize, axes: usize, seed: u64) -> Vec<Vec<f64>> {
    let mut points = vec![vec![0.0; axes]; n];
    for axis in 0..axes {
        let mut stream = Stream::new(seed, axis as u64);
        let mut order: Vec<usize> = (0..n).collect();
        // Fisher and Yates.
        (1..n).rev().for_each(|i| order.swap(i, ((i + 1) as f64 * stream.uniform()) as usize % (i + 1)));
        for (point, part) in points.iter_mut().zip(order) {
            point[axis] = (part as f64 + stream.uniform()) / n as f64;
        }
    }
    points
}

impl Sweep {
    /// Reads and checks a sweep and its experiment at its first points.
    ///
    /// # Errors
    /// All that is wrong, in both files.
    pub fn read(file: &Path) -> Result<Sweep, Problems> {
        Self::of(Document::read(file)?)
    }

    /// The same of a document.
    ///
    /// # Errors
    /// As [`Sweep::read`].
    pub fn of(document: Document) -> Result<Sweep, Problems> {
        let mut problems = Problems::new();
        let sweep = read(document, &mut problems);
        problems.into_result(sweep)
    }

    /// What it is, for `vet`.
    pub fn words(&self) -> String {
        match &self.choice {
            Choice::Listed(points) => format!("a sweep of {} points", points.len()),
            Choice::Border(b) => format!("a sweep towards {} borders", b.lines.len()),
        }
    }

    /// Points of the first round, then those that follow from what is known; none if all is known.
    fn more(&self, known: &[Point], results: &BTreeMap<u64, PointResult>) -> Vec<Point> {
        let next = known.len() as u64;
        let number_from = |list: Vec<Vec<(Node, f64)>>| {
            let point = |(k, p): (usize, Vec<(Node, f64)>)| {
                let (nodes, values) = p.into_iter().unzip();
                Point { id: next + k as u64, nodes, values }
            };
            list.into_iter().enumerate().map(point).collect()
        };
        match &self.choice {
            Choice::Listed(points) if known.is_empty() => number_from(points.clone()),
            Choice::Listed(_) => Vec::new(),
            Choice::Border(b) => {
                let mut points = Vec::new();
                for line in &b.lines {
                    let (_, along) = b.along(line, known, results);
                    let values = if along.is_empty() { vec![b.from, b.to] } else { b.between(&along) };
                    points
                        .extend(values.into_iter().map(|v| [(number(&b.place, v, &b.unit), v)].into_iter().chain(line.clone()).collect()));
                }
                number_from(points)
            }
        }
    }

    /// What is known of the border of each line: between which values it lies.
    fn borders(&self, known: &[Point], results: &BTreeMap<u64, PointResult>) -> Vec<(Vec<f64>, Option<[f64; 2]>)> {
        let Choice::Border(b) = &self.choice else { return Vec::new() };
        let of = |line: &Vec<(Node, f64)>| {
            let (others, along) = b.along(line, known, results);
            (others, change(&along))
        };
        b.lines.iter().map(of).collect()
    }
}

/// The first neighbours between which the condition changes.
fn change(along: &[(f64, Option<bool>)]) -> Option<[f64; 2]> {
    along.windows(2).find(|w| w[0].1.is_some() && w[1].1.is_some() && w[0].1 != w[1].1).map(|w| [w[0].0, w[1].0])
}

impl Border {
    /// The others' values on a line, and what is known along it.
    fn along(&self, line: &[(Node, f64)], known: &[Point], results: &BTreeMap<u64, PointResult>) -> (Vec<f64>, Vec<(f64, Option<bool>)>) {
        let others: Vec<f64> = line.iter().map(|v| v.1).collect();
        let mut along: Vec<(f64, Option<bool>)> = known
            .iter()
            .filter(|p| p.values[1..] == others[..])
            .map(|p| (p.values[0], results.get(&p.id).and_then(|r| self.met.of(&r.last))))
            .collect();
        along.sort_by(|x, y| x.0.total_cmp(&y.0));
        (others, along)
    }

    /// New values between the neighbours where the condition changes.
    fn between(&self, along: &[(f64, Option<bool>)]) -> Vec<f64> {
        match change(along) {
            Some([a, b]) if (b - a).abs() > self.within * (1.0 + 1e-9) => {
                (1..=self.ways).map(|k| a + (b - a) * k as f64 / (self.ways + 1) as f64).collect()
            }
            _ => Vec::new(),
        }
    }
}

impl Condition {
    fn of(&self, last: &BTreeMap<String, f64>) -> Option<bool> {
        last.get(&self.column).map(|v| if self.above { *v > self.limit } else { *v < self.limit })
    }
}

fn read(document: Document, problems: &mut Problems) -> Option<Sweep> {
    let base = Path::new(&document.name).parent().unwrap_or(Path::new(".")).to_path_buf();
    let root = document.root.clone();
    let mut f = Fields::of(&root, "a sweep", problems)?;
    let name = f.required("sweep", problems).and_then(|n| n.text(problems)).map(str::to_string);
    let experiment = f.required("experiment", problems).and_then(|n| Some(base.join(n.text(problems)?)));
    let kinds = ["grid", "list", "hypercube", "border"];
    let given: Vec<_> = kinds.into_iter().filter_map(|k| f.optional(k).map(|n| (k, n))).collect();
    let pack = f.optional("pack").map(|n| (n, n.count(problems)));
    f.finish(problems);
    if let Some((n, Some(0))) = pack {
        problems.push(n.error("0 points in an ensemble: nothing would run"));
    }
    let [(kind, node)] = given[..] else {
        problems.push(root.error(format!("a sweep has exactly one of {}", one_of(kinds))));
        return None;
    };
    let experiment = problems.take(Document::read(&experiment?))?;
    let mut names = Vec::new();
    let choice = match kind {
        "grid" => Choice::Listed(grid(node, &mut names, problems)?),
        "list" => Choice::Listed(listed(node, &mut names, problems)?),
        "hypercube" => {
            let mut f = Fields::of(node, "a Latin hypercube", problems)?;
            let count = f.required("points", problems).and_then(|n| n.count(problems));
            let seed = f.optional("seed").map_or(Some(0), |n| n.count(problems));
            let over = f.required("over", problems);
            f.finish(problems);
            let mut spans = Vec::new();
            for (name, _, n) in over?.entries(problems)? {
                let (span, unit) = span(n, problems)?;
                names.push((name.clone(), unit.clone()));
                spans.push((n, span, unit));
            }
            let value = |u: f64, (n, [from, to], unit): &(&Node, [f64; 2], String)| {
                let v = from + (to - from) * u;
                (number(n, v, unit), v)
            };
            let count = count?;
            few(count.saturating_mul(spans.len().max(1)), node, problems)?;
            let points = latin_hypercube(count, spans.len(), seed? as u64);
            Choice::Listed(points.into_iter().map(|p| p.into_iter().zip(&spans).map(|(u, s)| value(u, s)).collect()).collect())
        }
        _ => {
            let mut f = Fields::of(node, "a border", problems)?;
            let (of, from, to) = (f.required("of", problems), f.required("from", problems), f.required("to", problems));
            let (within, met) = (f.required("within", problems), f.required("met", problems));
            let ways = f.optional("ways").map_or(Some(3), |n| n.count(problems));
            let over = f.optional("over");
            f.finish(problems);
            let from = from?;
            let dimension = match &from.value {
                Value::Text(t) => units::dimension_of(t).unwrap_or(Dimension::NONE),
                _ => Dimension::NONE,
            };
            let unit = unit_of(dimension);
            names.push((of?.text(problems)?.to_string(), unit.clone()));
            let lines = match over {
                Some(n) => grid(n, &mut names, problems)?,
                None => vec![Vec::new()],
            };
            let [(column, place, limits)] = met?.entries(problems)? else {
                problems.push(met?.error("one column is wanted here").hint("e.g. `met: {wall_x: {above: 100 nm}}`"));
                return None;
            };
            let mut f = Fields::of(limits, "a condition", problems)?;
            let (above, below) = (f.optional("above"), f.optional("below"));
            f.finish(problems);
            let (limit, above) = match (above, below) {
                (Some(n), None) => (n, true),
                (None, Some(n)) => (n, false),
                _ => {
                    problems.push(limits.error("a condition is either `above` or `below`"));
                    return None;
                }
            };
            let of_limit = match &limit.value {
                Value::Text(t) => units::dimension_of(t).unwrap_or(Dimension::NONE),
                _ => Dimension::NONE,
            };
            let met = Condition { column: column.clone(), above, limit: limit.quantity(of_limit, problems)? };
            let border = Border {
                lines,
                from: from.quantity(dimension, problems)?,
                to: to?.quantity(dimension, problems)?,
                unit,
                within: within?.positive(dimension, problems)?,
                ways: ways?.max(1),
                place: from.clone(),
                met,
            };
            let [low, high] = [border.from.min(border.to), border.from.max(border.to)];
            few(border.lines.len().saturating_mul(border.ways.max(2)), node, problems)?;
            // Closer than neighbouring floats no two points come: sections would never end.
            let least = 16.0 * f64::EPSILON * low.abs().max(high.abs());
            if !(high - low).is_finite() || border.within < least {
                let (unit, within) = (&border.unit, border.within);
                problems.push(
                    node.error(format!(
                        "a border within {within:e} {unit} between {low:e} and {high:e} {unit} cannot be told by numbers of 64 bits"
                    ))
                    .hint(format!("`within` is at least {least:.1e} here")),
                );
                return None;
            }
            let border = Border { from: low, to: high, ..border };
            // The column is looked for in the table below, with the condition's unit.
            let columns = columns_of(&experiment, &names, &border, problems)?;
            match columns.iter().find(|(n, _)| n == column) {
                Some((_, unit))
                    if units::parse_unit(unit).map_or(Dimension::NONE, |u| u.dimension) == of_limit || border.met.limit == 0.0 => {}
                Some((_, unit)) => problems.push(limit.error(format!("`{column}` is in {unit}"))),
                None => {
                    let known = || columns.iter().map(|c| c.0.as_str());
                    let hint = nearest(column, known())
                        .map_or_else(|| format!("the table has {}", one_of(known())), |k| format!("did you mean `{k}`?"));
                    problems.push(Diagnostic::error(format!("`{column}` is not a column of the table")).at(place.clone()).hint(hint));
                }
            }
            Choice::Border(border)
        }
    };
    if names.is_empty() && !problems.any_error() {
        problems.push(node.error("nothing is swept").hint("name at least one parameter, e.g. `grid: {J: [1e11 A/m^2, 2e11 A/m^2]}`"));
    }
    for (i, (name, _)) in names.iter().enumerate() {
        if names[..i].iter().any(|(n, _)| n == name) {
            problems.push(root.error(format!("`{name}` is swept twice")));
        }
    }
    Some(Sweep { name: name?, document, experiment, names, choice, pack: pack.and_then(|p| p.1) })
}

/// Name and unit of the columns of an experiment's table at the border's first point.
fn columns_of(experiment: &Document, names: &[(String, String)], b: &Border, problems: &mut Problems) -> Option<Vec<(String, String)>> {
    let first = [(number(&b.place, b.from, &b.unit), b.from)].into_iter().chain(b.lines.first()?.clone());
    let (nodes, values) = first.unzip();
    let points = Points { names: names.to_vec(), points: vec![Point { id: 0, nodes, values }] };
    let experiment = problems.take(Experiment::read_points(experiment, &points))?;
    Some(experiment.columns.iter().map(|c| (c.name.clone(), c.unit.clone())).collect())
}

/// Parts a round's points into ensembles: neighbours that fit together by their kind, at most `pack` of them. Which points share an ensemble changes no bit of any
/// of them. Only one kind is held at a time.
pub fn packed<P, K, E>(
    points: impl IntoIterator<Item = Result<(P, K), E>>,
    pack: usize,
    together: impl Fn(&K, &K) -> bool,
) -> Result<Vec<Vec<P>>, E> {
    let mut chunks: Vec<Vec<P>> = Vec::new();
    let mut first: Option<K> = None;
    for point in points {
        let (point, kind) = point?;
        match (chunks.last_mut(), &first) {
            (Some(chunk), Some(first)) if chunk.len() < pack && together(first, &kind) => chunk.push(point),
            _ => {
                chunks.push(vec![point]);
                first = Some(kind);
            }
        }
    }
    Ok(chunks)
}

/// How many points of so many cells make one ensemble: enough to keep every thread busy, and small steps of many; not so many that a kill or a slow member costs much.
fn usual_pack(cells: usize, threads: usize) -> usize {
    const CELLS: usize = 1 << 16;
    (CELLS / cells.max(1)).clamp(threads.max(1), 256)
}

/// Folder of how the rounds of a sweep are packed: a file a round, named by its first point.
const PACKING: &str = "packing";
const CHUNKS: &str = "chunks";

/// Everything about a sweep in its folder.
struct Work<'a> {
    sweep: &'a Sweep,
    out: &'a Path,
    plan: Plan,
    commit_every: Duration,
}

impl Work<'_> {
    fn experiment(&self, points: &[Point]) -> Result<Experiment, Problems> {
        Experiment::read_points(&self.sweep.experiment, &Points { names: self.sweep.names.clone(), points: points.to_vec() })
    }

    /// Chunks of a round. Every point is read before any is run, by whoever comes first: how they are packed is kept, for a task of an array runs one chunk and
    /// need not know what the others do.
    fn chunks(&self, mut points: Vec<Point>) -> Result<Vec<Chunk>, Problems> {
        let Some(first) = points.first().map(|p| p.id) else { return Ok(Vec::new()) };
        let kept = self.out.join(PACKING).join(format!("{first:06}.json"));
        let sizes: Option<Vec<usize>> = std::fs::read(&kept).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        if let Some(sizes) = sizes.filter(|sizes| sizes.iter().sum::<usize>() == points.len() && !sizes.contains(&0)) {
            return Ok(sizes.into_iter().map(|n| Chunk { points: points.drain(..n).collect() }).collect());
        }
        // One point's mistakes are every point's: the first that has some ends it.
        let read = points.into_iter().map(|p| {
            let experiment = self.experiment(std::slice::from_ref(&p))?;
            Ok::<_, Problems>((p, experiment))
        });
        let packed = packed(read, self.plan.pack, |a, b| a.packs_with(b))?;
        let folder = self.out.join(PACKING);
        std::fs::create_dir_all(&folder).map_err(|e| Diagnostic::file(folder.display().to_string(), format!("cannot be made: {e}")))?;
        write_json(&kept, &packed.iter().map(Vec::len).collect::<Vec<_>>())?;
        Ok(packed.into_iter().map(|points| Chunk { points }).collect())
    }

    /// Its results, if they are of these very points.
    fn done(&self, chunk: &Chunk) -> Option<Done> {
        let done: Done = serde_json::from_slice(&std::fs::read(chunk.folder(self.out).join("done.json")).ok()?).ok()?;
        Some(done).filter(|d| d.points.iter().map(|p| p.id).eq(chunk.points.iter().map(|p| p.id)))
    }

    /// Of a chunk that failed, the points that did not.
    fn partial(&self, chunk: &Chunk) -> Option<Done> {
        serde_json::from_slice(&std::fs::read(chunk.folder(self.out).join("partial.json")).ok()?).ok()
    }

    fn failed(&self, chunk: &Chunk) -> Option<String> {
        std::fs::read_to_string(chunk.folder(self.out).join("failed.txt")).ok()
    }

    /// Runs a chunk, if nobody else does, or has.
    fn run(&self, chunk: &Chunk) -> Result<Came, Problems> {
        let folder = chunk.folder(self.out);
        std::fs::create_dir_all(&folder).map_err(|e| Diagnostic::file(folder.display().to_string(), format!("cannot be made: {e}")))?;
        let Some(claim) = Claim::take(&folder)? else { return Ok(Came::Busy) };
        if self.done(chunk).is_some() {
            return Ok(Came::Done);
        }
        claim.note("begins");
        let clock = Instant::now();
        let points = match self.points(chunk, &folder) {
            Ok(Some(points)) => points,
            Ok(None) => {
                claim.note("stopped");
                return Ok(Came::Stopped);
            }
            Err(Fault::Other(e)) => {
                claim.note("broken");
                return Err(e);
            }
            Err(Fault::Points(e)) => {
                claim.note("failed");
                write_whole(&folder.join("failed.txt"), e.to_string().as_bytes())?;
                eprintln!("{e}");
                return Ok(Came::Failed);
            }
        };
        let _ = std::fs::remove_file(folder.join("failed.txt"));
        if !claim.is_mine() {
            return Ok(Came::Busy);
        }
        let done = Done { points, seconds: clock.elapsed().as_secs_f64() };
        write_json(&folder.join("done.json"), &done)?;
        claim.note("done");
        Ok(Came::Done)
    }

    /// The chunk's points as one ensemble; where that fails, each alone, so that one that cannot be does not spoil the others. None if stopped.
    fn points(&self, chunk: &Chunk, folder: &Path) -> Result<Option<Vec<PointResult>>, Fault> {
        let apart = folder.join("apart");
        if !apart.exists() {
            match self.ensemble(&chunk.points, folder, "") {
                Err(Fault::Points(e)) if chunk.points.len() > 1 => {
                    eprintln!("{e}\nnow each of its {} points alone", chunk.points.len());
                    std::fs::create_dir_all(&apart)
                        .map_err(|e| Problems::from(Diagnostic::file(apart.display().to_string(), format!("cannot be made: {e}"))))?;
                }
                result => return result,
            }
        }
        let mut results = Vec::new();
        let mut problems = Problems::new();
        for point in &chunk.points {
            let below = format!("apart/{:06}", point.id);
            match self.ensemble(std::slice::from_ref(point), &folder.join(&below), &below) {
                Ok(Some(r)) => results.extend(r),
                Ok(None) => return Ok(None),
                Err(Fault::Other(e)) => return Err(Fault::Other(e)),
                Err(Fault::Points(e)) => {
                    problems.push(Diagnostic::error(format!("point {} ({})", point.id, self.label(point))));
                    problems.extend(e);
                }
            }
        }
        if problems.any_error() {
            write_json(&folder.join("partial.json"), &Done { points: results, seconds: 0.0 })?;
            return Err(Fault::Points(problems));
        }
        Ok(Some(results))
    }

    fn label(&self, point: &Point) -> String {
        let one = |((name, unit), v): (&(String, String), &f64)| format!("{name} = {v:e} {unit}").trim_end_matches(" 1").to_string();
        self.sweep.names.iter().zip(&point.values).map(one).collect::<Vec<_>>().join(", ")
    }

    fn ensemble(&self, points: &[Point], folder: &Path, below: &str) -> Result<Option<Vec<PointResult>>, Fault> {
        let experiment = self.experiment(points).map_err(Fault::Points)?;
        let resume = folder.join("run.h5").exists();
        let options = RunOptions { resume, overwrite: !resume, commit_every: self.commit_every, ..RunOptions::default() };
        let blame = |e: Problems| if is_not_a_number(&e) { Fault::Points(e) } else { Fault::Other(e) };
        let outcome = simulate::run(&experiment, folder, &options).map_err(blame)?;
        if !outcome.finished {
            return Ok(None);
        }
        let record = Record::open(&outcome.record)?;
        let mut results = Vec::new();
        for (replica, point) in points.iter().enumerate() {
            let table = record.table(replica)?;
            let width = table.columns.len();
            let row = table.values.len().checked_sub(width).map_or(&[][..], |from| &table.values[from..]);
            let last = table.columns.iter().zip(row).filter(|(_, v)| v.is_finite()).map(|(c, v)| (c.name.clone(), *v)).collect();
            results.push(PointResult { id: point.id, last, record: below.into(), replica });
        }
        Ok(Some(results))
    }

    /// All results of chunks that are done.
    fn results(&self, chunks: &[Chunk]) -> BTreeMap<u64, PointResult> {
        chunks.iter().filter_map(|c| self.done(c).or_else(|| self.partial(c))).flat_map(|d| d.points).map(|p| (p.id, p)).collect()
    }

    /// Gathers everything into one record and one table.
    fn collect(&self, known: &[Point], chunks: &[Chunk], results: &BTreeMap<u64, PointResult>) -> Result<PathBuf, Problems> {
        let mut folders = BTreeMap::new();
        chunks.iter().for_each(|c| c.points.iter().for_each(|p| drop(folders.insert(p.id, c.folder(self.out)))));
        // Ensembles with a mesh of their own cannot share a record: the first one's is taken, the others stay where they are.
        let mut writer: Option<(Writer, Header)> = None;
        let mut left = 0;
        let mut by_record: BTreeMap<PathBuf, Vec<(u64, usize)>> = BTreeMap::new();
        for r in results.values() {
            by_record.entry(folders[&r.id].join(&r.record)).or_default().push((r.id, r.replica));
        }
        let order: BTreeMap<u64, usize> =
            known.iter().filter(|p| results.contains_key(&p.id)).enumerate().map(|(k, p)| (p.id, k)).collect();
        let mut headers = Vec::new();
        for path in by_record.keys() {
            headers.push(Record::open(&path.join("run.h5"))?.header().clone());
        }
        for ((path, points), own) in by_record.iter().zip(&headers) {
            if writer.is_none() {
                let mut header = own.clone();
                let all = || by_record.values().zip(&headers);
                let place = |id: u64| all().find_map(|(list, h)| list.iter().find(|p| p.0 == id).map(|p| h.replicas[p.1].clone()));
                header.replicas = order.keys().filter_map(|id| place(*id)).collect();
                for p in &mut header.parameters {
                    if headers.iter().any(|h| h.parameters.iter().find(|q| q.name == p.name) != Some(p)) {
                        p.value = "differs between replicas".into();
                    }
                }
                header.source = spinloom_record::Source {
                    file: self.sweep.document.name.clone(),
                    text: format!("{}\n---\n{}", self.sweep.document.text, self.sweep.experiment.text),
                };
                let options = spinloom_record::Options { overwrite: true, ..spinloom_record::Options::default() };
                writer = Some((Writer::create(&self.out.join("record"), header.clone(), options)?, header));
            }
            let Some((writer, header)) = &mut writer else { continue };
            if own.mesh != header.mesh || own.columns != header.columns {
                left += points.len();
                continue;
            }
            let record = Record::open(&path.join("run.h5"))?;
            let (events, fields) = (record.events()?, record.fields()?);
            // Point by point, so that the record does not tell how points were packed.
            for (id, replica) in points {
                let at = order[id];
                let table = record.table(*replica)?;
                for row in table.values.chunks(table.columns.len()) {
                    writer.row(at, row)?;
                }
                for event in events.iter().filter(|e| e.replica == *replica) {
                    writer.event(spinloom_record::Event { replica: at, ..event.clone() })?;
                }
                for field in &fields {
                    for (k, (t, _)) in field.frames.iter().enumerate().filter(|(_, f)| f.1 == *replica) {
                        let frame = record.frame(&field.name, k)?;
                        writer.frame(&field.name, &field.unit, at, *t, field.components, &frame.data)?;
                    }
                }
            }
        }
        if left > 0 {
            eprintln!("{left} points have another mesh or table than the first: their records stay in {}", self.out.join(CHUNKS).display());
        }
        let path = match writer {
            Some((writer, _)) => writer.finish()?,
            None => return Err(Diagnostic::error("no point is done: there is nothing to collect").into()),
        };
        self.table(known, results)?;
        Ok(path)
    }

    /// `sweep.csv`: a line for each point, its values and the last row of its table.
    fn table(&self, known: &[Point], results: &BTreeMap<u64, PointResult>) -> Result<(), Problems> {
        let mut columns: Vec<&str> = Vec::new();
        for name in results.values().flat_map(|r| r.last.keys()) {
            if !columns.contains(&name.as_str()) {
                columns.push(name);
            }
        }
        let mut out = csv::Writer::from_writer(Vec::new());
        let head = ["point".to_string()].into_iter().chain(self.sweep.names.iter().map(|(n, u)| format!("{n} ({u})")));
        let broken = |e: csv::Error| Problems::from(Diagnostic::error(e.to_string()));
        out.write_record(head.chain(columns.iter().map(|c| c.to_string()))).map_err(broken)?;
        for p in known {
            let Some(r) = results.get(&p.id) else { continue };
            let row = [p.id.to_string()].into_iter().chain(p.values.iter().map(|v| format!("{v:e}")));
            out.write_record(row.chain(columns.iter().map(|c| r.last.get(*c).map_or(String::new(), |v| format!("{v:e}")))))
                .map_err(broken)?;
        }
        write_whole(&self.out.join("sweep.csv"), &out.into_inner().map_err(|e| Diagnostic::error(e.to_string()))?)
    }
}

/// A worker's hold on a chunk: the file `claim.N` with the highest N says who has it. Made by exclusive creation, which is atomic on network file systems too
/// (Lustre, NFS from version 3) where locks may not be. A claim is over when its worker says so, when it is of this machine and its process is gone, when it is of
/// an earlier life of this very job, or when it was not refreshed for its [`LEASE`]: by the file system's own clock, and, since that clock may have jumped, before the
/// eyes of whoever takes it; but never while its process is seen to live.
/// A worker that finds its chunk taken all the same, having slept too long, ends.
struct Claim {
    path: PathBuf,
    folder: PathBuf,
    /// Locked while the claim is written: no sign of life follows the last word.
    over: Arc<Mutex<bool>>,
}

#[derive(Serialize, Deserialize)]
struct Worker {
    host: String,
    /// The machine since it was started, and the space of its process numbers: containers may share the host's name.
    #[serde(default)]
    machine: String,
    pid: u32,
    /// When the process began, in the kernel's ticks: its number alone may come again.
    began: String,
    job: Option<String>,
    restart: u32,
    over: bool,
    /// Counts its signs of life: whoever sees it change knows, whatever the clocks say.
    #[serde(default)]
    beat: u64,
}

impl Worker {
    fn me() -> Self {
        let variable = |name: &str| std::env::var(name).ok();
        Self {
            host: spinloom_record::Volatile::here().host,
            machine: machine(),
            pid: std::process::id(),
            began: began(std::process::id()).unwrap_or_default(),
            job: variable("SLURM_ARRAY_JOB_ID").zip(variable("SLURM_ARRAY_TASK_ID")).map(|(j, t)| format!("{j}_{t}")),
            restart: variable("SLURM_RESTART_COUNT").and_then(|n| n.parse().ok()).unwrap_or(0),
            over: false,
            beat: 0,
        }
    }

    /// Whether its process could be seen from here.
    fn is_near(&self, me: &Worker) -> bool {
        self.host == me.host && self.machine == me.machine && !me.machine.is_empty()
    }

    /// Whether it certainly works.
    fn is_there(&self, me: &Worker) -> bool {
        !self.over && self.is_near(me) && began(self.pid).is_some_and(|b| b == self.began)
    }

    /// Whether it certainly works no more.
    fn is_gone(&self, me: &Worker) -> bool {
        self.over
            || self.is_near(me) && began(self.pid).is_none_or(|b| b != self.began)
            || self.job.is_some() && self.job == me.job && self.restart < me.restart
    }
}

/// What tells this machine, since its start, and the space of process numbers from others.
fn machine() -> String {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let space = std::fs::read_link("/proc/self/ns/pid").map_or(String::new(), |p| p.display().to_string());
    format!("{} {space}", boot.trim()).trim().to_string()
}

/// When a process of this machine began; none if there is none.
fn began(pid: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold anything but ends with the last bracket; the time is the 20th field after it. A zombie works no more.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?;
    if state == "Z" { None } else { fields.nth(18).map(str::to_string) }
}

/// How long claims hold.
#[derive(Clone, Copy)]
struct Lease {
    /// Without a sign of life, by the clock of the file system.
    whole: Duration,
    /// Between signs of life.
    refresh: Duration,
    /// A claim that seems old is watched for so long before it is taken: that clock may have jumped.
    watch: Duration,
}

const LEASE: Lease = Lease { whole: Duration::from_secs(120), refresh: Duration::from_secs(10), watch: Duration::from_secs(25) };

impl Claim {
    fn number(path: &Path) -> Option<u64> {
        path.file_name()?.to_str()?.strip_prefix("claim.")?.parse().ok()
    }

    /// The present claim: its number and its file.
    fn highest(folder: &Path) -> Option<(u64, PathBuf)> {
        let paths = std::fs::read_dir(folder).ok()?.flatten().map(|e| e.path());
        paths.filter_map(|p| Some((Self::number(&p)?, p))).max_by_key(|(n, _)| *n)
    }

    /// The file of the present claim, if it holds.
    fn held(folder: &Path, me: &Worker, lease: Lease) -> std::io::Result<Option<PathBuf>> {
        let Some((_, path)) = Self::highest(folder) else { return Ok(None) };
        let read = || std::fs::read(&path).unwrap_or_default();
        let seen = read();
        let worker: Option<Worker> = serde_json::from_slice(&seen).ok();
        let holds = match worker {
            Some(w) if w.is_there(me) => true,
            Some(w) if w.is_gone(me) => false,
            // Half-written claims have their lease too.
            _ if age(folder, &path)?.is_some_and(|age| age < lease.whole) => true,
            _ => {
                let until = unchanged_since(folder, &path, &seen) + lease.watch;
                loop {
                    if read() != seen || signals::stopped() {
                        break true;
                    }
                    if Instant::now() >= until {
                        break false;
                    }
                    std::thread::sleep(lease.watch / 25);
                }
            }
        };
        Ok(holds.then_some(path))
    }

    /// Takes the chunk; none if another worker has it.
    fn take(folder: &Path) -> Result<Option<Self>, Problems> {
        Self::take_for(folder, LEASE)
    }

    fn take_for(folder: &Path, lease: Lease) -> Result<Option<Self>, Problems> {
        let me = Worker::me();
        let cannot = |e: std::io::Error| Problems::from(Diagnostic::file(folder.display().to_string(), format!("cannot be claimed: {e}")));
        let next = Self::highest(folder).map_or(0, |(n, _)| n + 1);
        if Self::held(folder, &me, lease).map_err(cannot)?.is_some() {
            return Ok(None);
        }
        let path = folder.join(format!("claim.{next}"));
        match std::fs::File::options().write(true).create_new(true).open(&path) {
            Ok(mut file) => {
                let text = serde_json::to_vec(&me).map_err(|e| Diagnostic::error(e.to_string()))?;
                file.write_all(&text).and_then(|()| file.sync_all()).map_err(cannot)?;
                let over = Arc::new(Mutex::new(false));
                let (seen, mine, within) = (over.clone(), path.clone(), folder.to_path_buf());
                std::thread::spawn(move || {
                    let (mut worker, mut waited) = (me, Duration::ZERO);
                    loop {
                        let pause = lease.refresh.min(Duration::from_millis(200));
                        std::thread::sleep(pause);
                        waited += pause;
                        let over = seen.lock().unwrap_or_else(|e| e.into_inner());
                        if *over {
                            break;
                        }
                        if waited >= lease.refresh {
                            waited = Duration::ZERO;
                            // Slept through the lease, as a machine that was suspended does: what it would write is another's now.
                            if Self::highest(&within).is_some_and(|(n, _)| n > next) {
                                eprintln!("{}: another worker has taken this over", within.display());
                                signals::stop();
                                break;
                            }
                            worker.beat += 1;
                            let _ = std::fs::write(&mine, serde_json::to_vec(&worker).unwrap_or_default());
                        }
                    }
                });
                Ok(Some(Self { path, folder: folder.into(), over }))
            }
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(None),
            Err(e) => Err(cannot(e)),
        }
    }

    fn is_mine(&self) -> bool {
        Self::highest(&self.folder).is_some_and(|(_, p)| p == self.path)
    }

    /// A line in the chunk's log.
    fn note(&self, what: &str) {
        let line = format!("{what} {}\n", serde_json::to_string(&Worker::me()).unwrap_or_default());
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.folder.join("log"));
        let _ = log.and_then(|mut f| f.write_all(line.as_bytes()));
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut over = self.over.lock().unwrap_or_else(|e| e.into_inner());
        *over = true;
        let text = serde_json::to_vec(&Worker { over: true, ..Worker::me() }).unwrap_or_default();
        let _ = std::fs::write(&self.path, text);
    }
}

/// Since when this process has seen a claim as it is. With the first one of a sweep all its others are looked at, so that they are watched at the same time.
fn unchanged_since(folder: &Path, path: &Path, content: &[u8]) -> Instant {
    static SEEN: Mutex<BTreeMap<PathBuf, (Vec<u8>, Instant)>> = Mutex::new(BTreeMap::new());
    let mut seen = SEEN.lock().unwrap_or_else(|e| e.into_inner());
    if seen.get(path).is_none_or(|(before, _)| before != content) {
        seen.insert(path.into(), (content.into(), Instant::now()));
        let chunks = folder.parent().filter(|p| p.ends_with(CHUNKS)).and_then(|p| p.parent());
        for other in chunks.map(folders).unwrap_or_default() {
            let Some((_, path)) = Claim::highest(&other).filter(|(_, p)| !seen.contains_key(p)) else { continue };
            let content = std::fs::read(&path).unwrap_or_default();
            seen.insert(path, (content, Instant::now()));
        }
    }
    seen[path].1
}

/// How long ago a file was written, by the clock of its file system; none if it was not yet written by that clock, which was set back since.
fn age(folder: &Path, path: &Path) -> std::io::Result<Option<Duration>> {
    // Workers of two machines may have one number.
    let me = Worker::me();
    let probe = folder.join(format!("clock.{}.{}.{}", me.host.replace('/', "_"), me.pid, me.began));
    std::fs::write(&probe, "")?;
    let now = std::fs::metadata(&probe)?.modified()?;
    let _ = std::fs::remove_file(&probe);
    Ok(now.duration_since(std::fs::metadata(path)?.modified()?).ok())
}

/// What `spinloom sweep` does.
pub fn sweep(options: &Options) -> Result<u8, Problems> {
    match &options.action {
        Some(Action::Status { folder }) => return status(folder),
        Some(Action::Cancel { folder }) => return cancel(folder),
        Some(Action::Retry { folder }) => return retry(folder),
        None => {}
    }
    let Some(file) = &options.file else {
        return Err(Diagnostic::error("which sweep?").hint("spinloom sweep FILE, or sweep status FOLDER").into());
    };
    let sweep = Sweep::read(file)?;
    let out = options.out.clone().unwrap_or_else(|| Path::new("out").join(file.file_stem().unwrap_or_default()));
    let Ok(commit_every) = Duration::try_from_secs_f64(options.commit_every) else {
        return Err(Diagnostic::error(format!("--commit-every {} is not a time", options.commit_every)).hint("in seconds, e.g. 5").into());
    };
    let key = hash::of_bytes(format!("{}\n{}", sweep.document.text, sweep.experiment.text).as_bytes());
    let cannot = |e: std::io::Error| Problems::from(Diagnostic::file(out.display().to_string(), format!("cannot be used: {e}")));
    if options.force && out.exists() {
        clear(&out)?;
    }
    std::fs::create_dir_all(&out).map_err(cannot)?;
    let first = sweep.more(&[], &BTreeMap::new());
    let mut work = Work {
        sweep: &sweep,
        out: &out,
        commit_every,
        plan: Plan {
            sweep: sweep.name.clone(),
            program: env!("CARGO_PKG_VERSION").into(),
            key,
            file: std::path::absolute(file).unwrap_or_else(|_| file.clone()).display().to_string(),
            pack: 1,
        },
    };
    if read_plan(&out).is_none() {
        let cells = work.experiment(&first[..1.min(first.len())])?.system.mesh.cells();
        let threads = options.jobs.cpus.filter(|_| options.slurm).unwrap_or_else(spinloom_solver::threads);
        work.plan.pack = options.pack.or(sweep.pack).unwrap_or_else(|| usual_pack(cells, threads)).max(1);
        make_plan(&out, &work.plan)?;
    }
    // Another worker may have been first: its plan holds, so that both pack alike.
    let before = plan_of(&out)?;
    if before.key != work.plan.key || before.program != work.plan.program {
        let what = if before.key == work.plan.key { "program" } else { "sweep" };
        return Err(Diagnostic::file(out.display().to_string(), format!("another {what} lies here"))
            .hint("choose another --out, or replace it with --force")
            .into());
    }
    if let Some(pack) = options.pack.filter(|p| *p != before.pack) {
        return Err(Diagnostic::file(out.display().to_string(), format!("this sweep is packed by {}, not by {pack}", before.pack))
            .hint("leave --pack out to go on with it, or replace it with --force")
            .into());
    }
    work.plan.pack = before.pack;
    let (mut known, mut chunks, mut new) = (Vec::new(), Vec::new(), first);
    let watch = signals::watch();
    let stopped = || watch.stop.load(std::sync::atomic::Ordering::SeqCst);
    loop {
        known.extend(new.iter().cloned());
        chunks.extend(work.chunks(new)?);
        if let Some(wanted) = options.chunk {
            if let Some(chunk) = chunks.iter().find(|c| c.first() == wanted) {
                // A worker whose node was lost may still hold it: Slurm knows that it does not.
                return Ok(match work.run(chunk)? {
                    Came::Done => 0,
                    Came::Stopped | Came::Busy => signals::RESUME_ME,
                    Came::Failed => 2,
                });
            }
        } else {
            let missing: Vec<&Chunk> = chunks.iter().filter(|c| work.done(c).is_none() && work.failed(c).is_none()).collect();
            if options.slurm && !missing.is_empty() {
                let firsts: Vec<u64> = missing.iter().map(|c| c.first()).collect();
                let came = slurm::submit(&options.jobs, &out, file, &firsts, options.commit_every, &stopped)?;
                if came == slurm::Came::Submitted {
                    eprintln!("the same command goes on with what is missing; spinloom sweep status {} tells how far it is", out.display());
                    return Ok(0);
                }
                if came == slurm::Came::Interrupted {
                    return Ok(signals::RESUME_ME);
                }
                if let Some(lost) = missing.iter().find(|c| work.done(c).is_none() && work.failed(c).is_none()) {
                    return Err(Diagnostic::error(format!("the job of chunk {} ended without a result", lost.first()))
                        .hint(format!("look into {}; the same command submits it again", out.join("slurm").display()))
                        .into());
                }
            } else {
                for (k, chunk) in missing.iter().enumerate() {
                    eprintln!("[{}/{}] points {} to {}", k + 1, missing.len(), chunk.first(), chunk.points[chunk.points.len() - 1].id);
                    if work.run(chunk)? == Came::Stopped || stopped() {
                        eprintln!("{}: stopped; run the same again to go on", sweep.name);
                        return Ok(signals::RESUME_ME);
                    }
                }
            }
        }
        let results = work.results(&chunks);
        // Chunks that failed, or that others have, give no results: what follows from them waits.
        let whole = chunks.iter().all(|c| work.done(c).is_some());
        new = if whole { sweep.more(&known, &results) } else { Vec::new() };
        if !new.is_empty() {
            continue;
        }
        if options.chunk.is_some() {
            return Err(Diagnostic::error("there is no such chunk").hint("array jobs know theirs").into());
        }
        let failed: Vec<String> = chunks.iter().filter_map(|c| work.failed(c)).collect();
        let busy = chunks.len() - chunks.iter().filter(|c| work.done(c).is_some() || work.failed(c).is_some()).count();
        if busy > 0 {
            eprintln!("{busy} ensembles are being run elsewhere: run the same again when they are done");
            return Ok(signals::RESUME_ME);
        }
        // One of several workers that end together gathers.
        let Some(_gathers) = Claim::take(&out)? else {
            eprintln!("the results are being gathered elsewhere");
            return Ok(signals::RESUME_ME);
        };
        let record = if results.is_empty() { None } else { Some(work.collect(&known, &chunks, &results)?) };
        let borders = sweep.borders(&known, &results);
        if crate::out::is_json() {
            let (name, unit) = &sweep.names[0];
            let borders: Vec<_> = borders.iter().map(|(at, between)| json!({"at": at, "between": between})).collect();
            crate::out::object(
                &json!({"sweep": sweep.name, "points": known.len(), "done": results.len(), "failed": known.len() - results.len(),
                       "record": record.as_ref().map(|r| r.display().to_string()), "border": {"of": name, "unit": unit, "lines": borders}}),
            );
        } else {
            for (at, between) in &borders {
                let others: Vec<String> = sweep.names[1..].iter().zip(at).map(|((n, u), v)| format!("{n} = {v:e} {u}, ")).collect();
                let (name, unit) = &sweep.names[0];
                match between {
                    Some([a, b]) => println!("{}{name} between {a:e} and {b:e} {unit}", others.concat()),
                    None => println!("{}{name}: no border between the ends", others.concat()),
                }
            }
            let packed = format!("{} points in {} ensembles", known.len(), chunks.len());
            println!("{}: {packed}, {} done, {} failed", sweep.name, results.len(), known.len() - results.len());
            if let Some(record) = &record {
                println!("{} and {}", record.display(), out.join("sweep.csv").display());
            }
        }
        return Ok(if failed.is_empty() && results.len() == known.len() { 0 } else { 2 });
    }
}

/// Removes a file or a folder; a link, not what it leads to.
fn remove(path: &Path) -> std::io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e),
        Ok(m) if m.is_dir() => std::fs::remove_dir_all(path),
        Ok(_) => std::fs::remove_file(path),
    }
}

fn write_json(path: &Path, what: &impl Serialize) -> Result<(), Problems> {
    write_whole(path, &serde_json::to_vec_pretty(what).map_err(|e| Diagnostic::error(e.to_string()))?)
}

/// Removes what an earlier sweep has made in a folder, and nothing else.
fn clear(out: &Path) -> Result<(), Problems> {
    let place = || out.display().to_string();
    let cannot = |e: std::io::Error| Problems::from(Diagnostic::file(place(), format!("cannot be replaced: {e}")));
    if !out.join("plan.json").is_file() {
        if std::fs::read_dir(out).map_err(cannot)?.next().is_some() {
            return Err(Diagnostic::file(place(), "no sweep lies here: --force replaces nothing else").hint("choose another --out").into());
        }
        return Ok(());
    }
    let me = Worker::me();
    for folder in folders(out).iter().map(PathBuf::as_path).chain([out]) {
        if Claim::held(folder, &me, LEASE).map_err(cannot)?.is_some() {
            return Err(Diagnostic::file(place(), "a worker is at it")
                .hint("end it with spinloom sweep cancel, then replace its sweep")
                .into());
        }
    }
    let claims = std::fs::read_dir(out).map_err(cannot)?.flatten().map(|e| e.path()).filter(|p| Claim::number(p).is_some());
    // The plan last: what is left of a sweep half removed is still a sweep's.
    let own = [CHUNKS, "record", "sweep.csv", "slurm", "log", PACKING, "plan.json"].map(|n| out.join(n));
    claims.chain(own).try_for_each(|p| remove(&p)).map_err(cannot)
}

fn read_plan(out: &Path) -> Option<Plan> {
    serde_json::from_slice(&std::fs::read(out.join("plan.json")).ok()?).ok()
}

/// Makes a plan, unless there is one.
fn make_plan(out: &Path, plan: &Plan) -> Result<(), Problems> {
    let path = out.join("plan.json");
    let cannot = |e: std::io::Error| Problems::from(Diagnostic::file(path.display().to_string(), format!("cannot be made: {e}")));
    let text = serde_json::to_vec_pretty(plan).map_err(|e| Diagnostic::error(e.to_string()))?;
    let mut whole = tempfile::NamedTempFile::new_in(out).map_err(cannot)?;
    whole.write_all(&text).and_then(|()| whole.as_file().sync_all()).map_err(cannot)?;
    // Whole from the start, and only once: a link of its own to the file, or where there are no links an exclusive creation.
    match std::fs::hard_link(whole.path(), &path) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(_) => match std::fs::File::options().write(true).create_new(true).open(&path) {
            Ok(mut file) => file.write_all(&text).and_then(|()| file.sync_all()).map_err(cannot),
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
            Err(e) => Err(cannot(e)),
        },
    }
}

fn plan_of(folder: &Path) -> Result<Plan, Problems> {
    let no = || Diagnostic::file(folder.display().to_string(), "there is no sweep here").hint("name the folder with plan.json");
    read_plan(folder).ok_or_else(|| no().into())
}

/// The folders of all chunks begun.
fn folders(out: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(out.join(CHUNKS)).into_iter().flatten().flatten();
    let mut list: Vec<PathBuf> = entries.map(|e| e.path()).filter(|p| p.is_dir()).collect();
    list.sort();
    list
}

/// Of a chunk's folder: done, failed, running or waiting.
fn state(folder: &Path) -> &'static str {
    let worker = |p: PathBuf| serde_json::from_slice::<Worker>(&std::fs::read(p).ok()?).ok();
    match Claim::highest(folder).and_then(|(_, p)| worker(p)) {
        _ if folder.join("done.json").exists() => "done",
        _ if folder.join("failed.txt").exists() => "failed",
        Some(w) if !w.is_gone(&Worker::me()) => "running",
        _ => "waiting",
    }
}

fn status(folder: &Path) -> Result<u8, Problems> {
    let plan = plan_of(folder)?;
    let sweep = Sweep::read(Path::new(&plan.file)).ok();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    folders(folder).iter().for_each(|f| *counts.entry(state(f)).or_default() += 1);
    let jobs = slurm::queued(folder);
    let points = sweep.as_ref().map(|s| match &s.choice {
        Choice::Listed(p) => p.len().to_string(),
        Choice::Border(b) => format!("{} borders", b.lines.len()),
    });
    let failures: Vec<(String, String)> = folders(folder)
        .iter()
        .filter_map(|f| Some((f.file_name()?.to_string_lossy().into_owned(), std::fs::read_to_string(f.join("failed.txt")).ok()?)))
        .collect();
    if crate::out::is_json() {
        crate::out::object(
            &json!({"sweep": plan.sweep, "points": points, "pack": plan.pack, "chunks": counts, "jobs": jobs, "failures": failures}),
        );
        return Ok(0);
    }
    let begun: Vec<String> = counts.iter().map(|(s, n)| format!("{n} {s}")).collect();
    println!("{}: {} points, {} in an ensemble; ensembles begun: {}", plan.sweep, points.unwrap_or_default(), plan.pack, begun.join(", "));
    jobs.iter().for_each(|(state, n)| println!("Slurm: {n} {state}"));
    failures.iter().for_each(|(chunk, text)| println!("chunk {chunk}: {}", text.trim_end()));
    Ok(0)
}

fn cancel(folder: &Path) -> Result<u8, Problems> {
    plan_of(folder)?;
    let jobs = slurm::cancel(folder)?;
    let me = Worker::me();
    let mut workers = std::collections::BTreeSet::new();
    for chunk in folders(folder) {
        let worker = |p: PathBuf| serde_json::from_slice::<Worker>(&std::fs::read(p).ok()?).ok();
        if let Some(w) = Claim::highest(&chunk).and_then(|(_, p)| worker(p)).filter(|w| w.is_there(&me)) {
            workers.insert(w.pid);
        }
    }
    for pid in &workers {
        let _ = std::process::Command::new("kill").arg(pid.to_string()).status();
    }
    crate::out::say!("{jobs} jobs and {} workers of this machine told to stop; what they have committed stays", workers.len());
    Ok(0)
}

fn retry(folder: &Path) -> Result<u8, Problems> {
    let plan = plan_of(folder)?;
    let failed: Vec<PathBuf> =
        folders(folder).into_iter().filter(|f| f.join("failed.txt").exists() && !f.join("done.json").exists()).collect();
    for chunk in &failed {
        let cannot = |e: std::io::Error| Problems::from(Diagnostic::file(chunk.display().to_string(), e.to_string()));
        let Some(_claim) = Claim::take(chunk)? else { continue };
        // What a failed ensemble has left would fail in the same way, `failed.txt` last: until then it has failed.
        for entry in std::fs::read_dir(chunk).map_err(cannot)?.flatten() {
            let name = entry.file_name();
            let kept = name == "log" || name == "failed.txt" || name.to_string_lossy().starts_with("claim.");
            if !kept {
                remove(&entry.path()).map_err(cannot)?;
            }
        }
        remove(&chunk.join("failed.txt")).map_err(cannot)?;
    }
    crate::out::say!("{} ensembles will be tried again by spinloom sweep {} --out {}", failed.len(), plan.file, folder.display());
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latin_hypercube_has_one_point_in_every_part() {
        for (n, axes, seed) in [(1, 1, 0), (7, 3, 1), (100, 5, 2), (64, 2, 3)] {
            let points = latin_hypercube(n, axes, seed);
            assert_eq!(points.len(), n);
            for axis in 0..axes {
                let mut parts: Vec<usize> = points.iter().map(|p| (p[axis] * n as f64) as usize).collect();
                parts.sort();
                assert_eq!(parts, (0..n).collect::<Vec<_>>());
            }
            assert_eq!(points, latin_hypercube(n, axes, seed));
        }
    }

    /// For random lists, sizes and kinds: nothing is lost, doubled or moved, no ensemble is too large or mixed, and none could have taken its neighbour.
    #[test]
    fn packing_keeps_every_point_in_order_and_mixes_nothing() {
        let mut stream = Stream::new(11, 0);
        for _ in 0..2000 {
            let n = (40.0 * stream.uniform()) as usize;
            let pack = 1 + (9.0 * stream.uniform()) as usize;
            let kinds = 1 + (3.0 * stream.uniform()) as usize;
            let points: Vec<(usize, usize)> = (0..n).map(|i| (i, (kinds as f64 * stream.uniform()) as usize)).collect();
            let Ok(chunks) = packed(points.iter().map(|p| Ok::<_, ()>((*p, p.1))), pack, |a, b| a == b) else { panic!() };
            assert_eq!(chunks.concat(), points);
            assert!(chunks.iter().all(|c| !c.is_empty() && c.len() <= pack && c.iter().all(|p| p.1 == c[0].1)));
            assert!(chunks.windows(2).all(|w| w[0].len() == pack || w[0][0].1 != w[1][0].1));
        }
    }

    /// However old its sign of life is, a worker that is seen to live keeps its chunk; one elsewhere does so for its lease, and as long as it gives signs of life,
    /// whatever the clocks say.
    #[test]
    fn a_living_worker_keeps_its_claim() {
        let dir = tempfile::tempdir().unwrap();
        let lease = Lease { watch: Duration::from_millis(300), ..LEASE };
        let take = || Claim::take_for(dir.path(), lease).unwrap();
        // As if the file system's clock had jumped by so many s since.
        let jump = |by: i64| {
            let (_, path) = Claim::highest(dir.path()).unwrap();
            let file = std::fs::File::options().write(true).open(path).unwrap();
            let (now, by_so_much) = (std::time::SystemTime::now(), Duration::from_secs(by.unsigned_abs()));
            file.set_modified(if by > 0 { now - by_so_much } else { now + by_so_much }).unwrap();
        };
        let claim = take().unwrap();
        jump(3600);
        assert!(take().is_none());
        drop(claim);
        let second = take().unwrap();
        // Of a container with this host's name: its process cannot be seen.
        let elsewhere = |beat| Worker { machine: "another".into(), pid: 1, beat, ..Worker::me() };
        let sign = |beat| std::fs::write(&second.path, serde_json::to_vec(&elsewhere(beat)).unwrap()).unwrap();
        sign(0);
        assert!(take().is_none());
        for by in [3600, -3600, 86400, -86400] {
            jump(by);
            std::thread::scope(|s| {
                s.spawn(|| {
                    std::thread::sleep(lease.watch / 3);
                    sign(by.unsigned_abs() + u64::from(by > 0));
                    jump(by);
                });
                assert!(take().is_none(), "{by}");
            });
        }
        // It dies, and the clock is set back by a day: nobody waits for tomorrow.
        jump(-86400);
        let clock = Instant::now();
        let third = take().unwrap();
        assert!(clock.elapsed() > lease.watch / 2 && third.is_mine() && !second.is_mine());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 3, "only claims are left");
    }

    /// Many claims that nobody holds any more are watched at once.
    #[test]
    fn claims_of_the_dead_are_watched_together() {
        let dir = tempfile::tempdir().unwrap();
        let lease = Lease { watch: Duration::from_millis(500), ..LEASE };
        let gone = Worker { machine: "another".into(), ..Worker::me() };
        let chunks: Vec<PathBuf> = (0..20).map(|k| dir.path().join(CHUNKS).join(k.to_string())).collect();
        for chunk in &chunks {
            std::fs::create_dir_all(chunk).unwrap();
            std::fs::write(chunk.join("claim.0"), serde_json::to_vec(&gone).unwrap()).unwrap();
            let file = std::fs::File::options().write(true).open(chunk.join("claim.0")).unwrap();
            file.set_modified(std::time::SystemTime::now() - 2 * lease.whole).unwrap();
        }
        let clock = Instant::now();
        assert!(chunks.iter().all(|c| Claim::take_for(c, lease).unwrap().is_some()));
        assert!((lease.watch..5 * lease.watch).contains(&clock.elapsed()), "{:?}", clock.elapsed());
    }

    #[test]
    fn the_first_plan_holds() {
        let dir = tempfile::tempdir().unwrap();
        let plan = |pack| Plan { sweep: "s".into(), program: "0".into(), key: "k".into(), file: "f".into(), pack };
        let all: Vec<_> = std::thread::scope(|s| {
            let workers: Vec<_> = (1..9)
                .map(|k| (k, &dir))
                .map(|(k, d)| {
                    s.spawn(move || {
                        make_plan(d.path(), &plan(k)).unwrap();
                        read_plan(d.path()).unwrap().pack
                    })
                })
                .collect();
            workers.into_iter().map(|w| w.join().unwrap()).collect()
        });
        assert!(all.iter().all(|p| *p == all[0]), "{all:?}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_border_closes_in() {
        let place = Node { place: spinloom_base::Place { file: String::new(), line: 0, column: 0 }, value: Value::Null };
        let met = Condition { column: "x".into(), above: true, limit: 0.0 };
        let b = Border { lines: vec![], from: 0.0, to: 1.0, unit: "1".into(), within: 1e-3, ways: 3, place, met };
        let edge = 0.637;
        let mut along = vec![(0.0, Some(false)), (1.0, Some(true))];
        let mut rounds = 0;
        loop {
            let new = b.between(&along);
            if new.is_empty() {
                break;
            }
            along.extend(new.into_iter().map(|v| (v, Some(v > edge))));
            along.sort_by(|x, y| x.0.total_cmp(&y.0));
            rounds += 1;
        }
        let [low, high] = change(&along).unwrap();
        // Each round leaves a quarter: 4^5 is the first above 1000.
        assert!(low <= edge && edge <= high && high - low <= 1e-3 && rounds == 5, "{low} {high} {rounds}");
    }
}
