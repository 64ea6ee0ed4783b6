//! The live page: a small web server beside a run, or over folders of records. Everything it serves is inside the program or comes from a list of runs: no path
//! of a request ever reaches the file system.
//!
//! On a loopback address it asks for nothing (but answers only requests that name such an address, so that no other site's page can reach it by a name of its own);
//! anywhere else every request needs the token that is printed. Changes need a header that pages of other sites cannot send unasked.

use crate::http::{Answer, PATIENCE, Request, Server};
use crate::inspect::is_record;
use crate::signals;
use serde_json::{Value, json};
use spinloom_base::{Diagnostic, Problems};
use spinloom_kernels::device::byte;
use spinloom_record::Record;
use spinloom_solver::live::{Live, View, Window, Wish};
use std::io::Read;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

const PAGE: &str = include_str!("page.html");
/// Rows of a record sent at once.
const ROWS: usize = 4096;

/// A run that can be looked at.
enum Run {
    /// In this process.
    Live(Arc<Live>),
    /// A record, finished or written by another process.
    Stored {
        path: PathBuf,
        opened: Mutex<Option<(SystemTime, Arc<Mutex<Record>>)>>,
        /// Whether it was finished, and when it was looked at: lists of runs leave no file open.
        standing: Mutex<Option<(SystemTime, String)>>,
    },
}

/// A server on its way.
pub struct Served {
    _server: Server,
    /// Where a browser finds it.
    pub url: String,
}

struct House {
    runs: Vec<Run>,
    token: Option<String>,
}

fn told(code: u16, words: &str) -> Answer {
    Answer::told(code, words)
}

fn object(v: &Value) -> Answer {
    Answer::new(200, "application/json", v.to_string().into_bytes())
}

/// Begins to serve.
///
/// # Errors
/// An address that is none, or taken.
fn start(address: &str, runs: Vec<Run>) -> Result<Served, Problems> {
    let wrong =
        |why: String| Problems::from(Diagnostic::error(format!("cannot serve at {address}: {why}")).hint("e.g. --serve 127.0.0.1:35367"));
    let full = if address.contains(':') && !address.ends_with(':') {
        address.to_string()
    } else {
        format!("{}:35367", address.trim_end_matches(':'))
    };
    let socket: SocketAddr =
        full.to_socket_addrs().map_err(|e| wrong(e.to_string()))?.next().ok_or_else(|| wrong("no such address".into()))?;
    let token = (!socket.ip().is_loopback()).then(secret).transpose()?;
    let query = token.as_ref().map_or(String::new(), |t| format!("?token={t}"));
    let house = House { runs, token };
    let server = Server::start(socket, PATIENCE, move |request| house.reply(request)).map_err(|e| wrong(e.to_string()))?;
    // Of "every address of this machine" a browser elsewhere can make nothing.
    let name = if socket.ip().is_unspecified() { spinloom_record::Volatile::here().host } else { String::new() };
    let at = if name.is_empty() { server.at().to_string() } else { format!("{name}:{}", server.at().port()) };
    Ok(Served { _server: server, url: format!("http://{at}/{query}") })
}

/// 128 random bits, as text.
fn secret() -> Result<String, Problems> {
    let mut bytes = [0u8; 16];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut f| f.read_exact(&mut bytes))
        .map_err(|e| Diagnostic::error(format!("no random numbers for a token: {e}")))?;
    Ok(bytes.iter().map(|b| format!("{b:02x}")).collect())
}

/// Whether two texts are equal, in a time that does not depend on where they differ.
fn same(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |d, (x, y)| d | (x ^ y)) == 0
}

/// Serves a run of this process.
///
/// # Errors
/// As [`start`].
pub fn beside(address: &str) -> Result<(Served, Arc<Live>), Problems> {
    let live: Arc<Live> = Arc::default();
    let served = start(address, vec![Run::Live(live.clone())])?;
    eprintln!("live page: {}", served.url);
    Ok((served, live))
}

/// Serves records until a signal comes.
///
/// # Errors
/// As [`start`]; nothing to serve.
pub fn serve(folders: &[PathBuf], address: &str) -> Result<u8, Problems> {
    let mut found = Vec::new();
    for folder in folders {
        if !folder.exists() {
            return Err(Diagnostic::file(folder.display().to_string(), "it is not there").into());
        }
        search(folder, 4, &mut found);
    }
    found.sort();
    if found.is_empty() {
        return Err(Diagnostic::error("no records in these folders")
            .hint("spinloom run FILE makes one; run FILE --serve shows it while it runs")
            .into());
    }
    let runs = found.into_iter().map(|path| Run::Stored { path, opened: Mutex::default(), standing: Mutex::default() }).collect();
    let watch = signals::watch();
    let served = start(address, runs)?;
    if crate::out::is_json() {
        crate::out::object(&json!({"url": served.url}));
    } else {
        println!("{}", served.url);
    }
    while !watch.stop.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(0)
}

/// Records below a folder, or the folder's own.
fn search(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    if folder.is_file() && is_record(folder) {
        found.push(folder.to_path_buf());
    } else if folder.join("run.h5").is_file() {
        found.push(folder.join("run.h5"));
    } else if depth > 0 {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        // Links are not followed: what is served lies below the folders that were named.
        entries.filter(|e| e.file_type().is_ok_and(|t| t.is_dir())).for_each(|e| search(&e.path(), depth - 1, found));
    }
}

impl House {
    fn reply(&self, request: &Request) -> Answer {
        let (path, query) = request.url.split_once('?').unwrap_or((&request.url, ""));
        let value = |name: &str| query.split('&').find_map(|p| p.strip_prefix(name)?.strip_prefix('='));
        match &self.token {
            Some(token) => {
                let given = request.head("Authorization").and_then(|h| h.strip_prefix("Bearer ")).or_else(|| value("token"));
                if !given.is_some_and(|g| same(g, token)) {
                    return told(401, "the token is missing: use the whole address that was printed");
                }
            }
            None => {
                // A name that another site has pointed here is not ours.
                let host = request.head("Host").unwrap_or_default();
                let name = host.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()).map_or(host, |(name, _)| name);
                let bare = name.trim_start_matches('[').trim_end_matches(']');
                if name != "localhost" && !bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()) {
                    return told(403, "this page answers to localhost only");
                }
            }
        }
        let number = |name: &str, other: usize| value(name).and_then(|v| v.parse().ok()).unwrap_or(other);
        let words: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        match (request.method.as_str(), words.as_slice()) {
            ("GET", [""]) => Answer::new(200, "text/html; charset=utf-8", PAGE.as_bytes().to_vec()),
            ("GET", ["api", "runs"]) => {
                let list = self.runs.iter().enumerate().map(|(id, r)| r.brief(id)).collect::<Vec<_>>();
                object(&json!(list))
            }
            (method, ["api", "runs", id, rest @ ..]) => {
                let Some((id, run)) = id.parse::<usize>().ok().and_then(|id| Some((id, self.runs.get(id)?))) else {
                    return told(404, "there is no such run");
                };
                match (method, rest) {
                    ("GET", []) => run.about(id, number("said", 0)).map_or_else(|e| told(500, &e.to_string()), |v| object(&v)),
                    ("GET", ["table"]) => run
                        .table(id, number("replica", 0), number("from", 0), number("every", 0))
                        .map_or_else(|e| told(500, &e.to_string()), |v| object(&v)),
                    ("GET", ["field"]) => {
                        let window = Window {
                            layer: number("layer", 0),
                            from: [number("x", 0), number("y", 0)],
                            size: [number("w", usize::MAX), number("h", usize::MAX)],
                            every: number("every", 1),
                        };
                        let view = View { replica: number("replica", 0), window };
                        run.field(view, number("after", 0) as u64, number("frame", 0))
                    }
                    ("POST", [what]) => {
                        if request.head("X-Spinloom").is_none() {
                            return told(403, "only this page's own requests change anything");
                        }
                        let Run::Live(live) = run else { return told(409, "this run is not in this process: it can only be looked at") };
                        let Ok(body) = String::from_utf8(request.body.clone()) else { return told(400, "this is no text") };
                        match *what {
                            "pause" => live.pause(true),
                            "resume" => live.pause(false),
                            "step" => live.step(),
                            "save" => live.ask(Wish::Save),
                            "set" => live.ask(Wish::Set(body)),
                            _ => return told(404, "there is no such thing to do"),
                        }
                        told(200, "")
                    }
                    _ => told(404, "there is nothing here"),
                }
            }
            _ => told(404, "there is nothing here"),
        }
    }
}

/// What is not a number has no place in JSON.
fn numbers(row: &[f64]) -> Value {
    row.iter().map(|v| if v.is_finite() { json!(v) } else { Value::Null }).collect()
}

fn time_left(done: f64, elapsed: Duration) -> String {
    if done <= 0.0 || done >= 1.0 {
        return String::new();
    }
    let s = elapsed.as_secs_f64() * (1.0 / done - 1.0);
    if s < 90.0 {
        format!("{s:.0} s left")
    } else if s < 5400.0 {
        format!("{:.0} min left", s / 60.0)
    } else {
        format!("{:.1} h left", s / 3600.0)
    }
}

/// When a file was last written.
fn written(path: &Path) -> SystemTime {
    std::fs::metadata(path).and_then(|m| m.modified()).unwrap_or(SystemTime::UNIX_EPOCH)
}

impl Run {
    /// The record as it is now; a running one is opened anew when it has grown.
    fn record(&self) -> Result<Arc<Mutex<Record>>, Problems> {
        let Run::Stored { path, opened, .. } = self else { return Err(Diagnostic::error("not a record").into()) };
        let when = written(path);
        let mut opened = opened.lock().unwrap_or_else(|e| e.into_inner());
        if let Some((time, record)) = &*opened
            && *time == when
        {
            return Ok(record.clone());
        }
        let record = Arc::new(Mutex::new(Record::open(path)?));
        *opened = Some((when, record.clone()));
        Ok(record)
    }

    fn name(&self) -> String {
        match self {
            Run::Live(live) => live.about().name,
            // The folder, not the whole path: that is nobody's business.
            Run::Stored { path, .. } => {
                let parts: Vec<_> = path.parent().unwrap_or(path).iter().rev().take(2).map(|p| p.to_string_lossy().into_owned()).collect();
                parts.into_iter().rev().collect::<Vec<_>>().join("/")
            }
        }
    }

    fn standing(&self) -> String {
        match self {
            Run::Live(live) => match live.standing() {
                (_, _, true) => "finished".into(),
                (_, true, _) => "paused".into(),
                (Some(p), ..) => p.stage.into(),
                _ => "starting".into(),
            },
            Run::Stored { path, standing, .. } => {
                let when = written(path);
                let mut standing = standing.lock().unwrap_or_else(|e| e.into_inner());
                match &*standing {
                    Some((time, words)) if *time == when => words.clone(),
                    _ => {
                        // What cannot be read now may be read soon: another process has it.
                        let Ok(record) = Record::open(path) else { return "unreadable".into() };
                        let words = if record.is_finished() { "finished" } else { "unfinished" };
                        *standing = Some((when, words.into()));
                        words.into()
                    }
                }
            }
        }
    }

    fn brief(&self, id: usize) -> Value {
        json!({"id": id, "name": self.name(), "standing": self.standing(), "live": matches!(self, Run::Live(_))})
    }

    fn about(&self, id: usize, said: usize) -> Result<Value, Problems> {
        match self {
            Run::Live(live) => {
                let (about, (progress, paused, finished)) = (live.about(), live.standing());
                let done = progress.as_ref().map_or(0.0, |p| if p.longest > 0.0 { p.simulated / p.longest } else { 0.0 });
                let left = progress.as_ref().map_or(String::new(), |p| time_left(done, p.elapsed));
                Ok(json!({
                    "id": id, "name": about.name, "standing": self.standing(), "live": !finished, "paused": paused,
                    "done": if finished { 1.0 } else { done }, "left": left, "n": about.n, "cell": about.cell,
                    "replicas": about.replicas, "columns": about.columns, "editable": about.editable, "frames": 0, "said": live.said(said),
                    "evaluations": progress.as_ref().map_or(0, |p| p.evaluations), "t": progress.map_or(0.0, |p| p.simulated),
                }))
            }
            Run::Stored { .. } => {
                let record = self.record()?;
                let record = record.lock().unwrap_or_else(|e| e.into_inner());
                let h = record.header();
                let frames = record.fields()?.iter().find(|f| f.name == "m").map_or(0, |f| f.frames.len());
                let columns: Vec<_> = h.columns.iter().map(|c| (c.name.clone(), c.unit.clone())).collect();
                Ok(json!({
                    "id": id, "name": self.name(), "standing": if record.is_finished() { "finished" } else { "unfinished" }, "live": false, "paused": false,
                    "done": if record.is_finished() { 1.0 } else { 0.0 }, "left": "", "n": h.mesh.n, "cell": h.mesh.cell,
                    "replicas": h.replicas.iter().map(|r| r.label.clone()).collect::<Vec<_>>(), "columns": columns, "editable": false,
                    "frames": frames, "said": Vec::<String>::new(),
                }))
            }
        }
    }

    fn table(&self, id: usize, replica: usize, from: usize, every: usize) -> Result<Value, Problems> {
        let (rows, now, anew) = match self {
            Run::Live(live) => {
                let now = live.rows(replica, usize::MAX).1;
                let anew = now != every;
                (live.rows(replica, if anew { 0 } else { from }).0, now, anew)
            }
            Run::Stored { .. } => {
                let record = self.record()?;
                let record = record.lock().unwrap_or_else(|e| e.into_inner());
                let table = record.table(replica)?;
                let width = table.columns.len();
                let step = (table.values.len() / width).div_ceil(ROWS).max(1);
                let anew = step != every;
                let skip = if anew { 0 } else { from };
                (table.values.chunks(width).step_by(step).skip(skip).map(<[f64]>::to_vec).collect(), step, anew)
            }
        };
        Ok(json!({"id": id, "every": now, "anew": anew, "rows": rows.iter().map(|r| numbers(r)).collect::<Vec<_>>()}))
    }

    fn field(&self, view: View, after: u64, frame: usize) -> Answer {
        let (points, t, number, m) = match self {
            Run::Live(live) => match live.see(view, after) {
                Some(seen) => (seen.view.window.points(), seen.t, seen.number, seen.m),
                None => return told(204, ""),
            },
            Run::Stored { .. } => {
                let read = || -> Result<_, Problems> {
                    let record = self.record()?;
                    let record = record.lock().unwrap_or_else(|e| e.into_inner());
                    let n = record.header().mesh.n;
                    let fields = record.fields()?;
                    let Some(m) = fields.iter().find(|f| f.name == "m") else { return Ok(None) };
                    let view = view.within(n, record.header().replicas.len());
                    // Frames are counted over all replicas; the nearest of this one is shown.
                    let own = m.frames.iter().enumerate().filter(|(_, f)| f.1 == view.replica).min_by_key(|(k, _)| k.abs_diff(frame));
                    let Some((k, _)) = own else { return Ok(None) };
                    let frame = record.frame("m", k)?;
                    let points = view.window.points();
                    let mut m = vec![0; 3 * points[0] * points[1]];
                    for (from, row) in view.window.rows(n, &mut m) {
                        let cells = frame.data[3 * from..].chunks_exact(3).step_by(view.window.every);
                        row.iter_mut().zip(cells.flatten()).for_each(|(point, v)| *point = byte(*v as f32));
                    }
                    Ok(Some((points, frame.t, k as u64 + 1, Arc::new(m))))
                };
                match read() {
                    Ok(Some(seen)) => seen,
                    Ok(None) => return told(204, ""),
                    Err(e) => return told(500, &e.to_string()),
                }
            }
        };
        Answer::new(200, "application/octet-stream", m)
            .with("X-Width", points[0].to_string())
            .with("X-Height", points[1].to_string())
            .with("X-Time", format!("{t:e}"))
            .with("X-Number", number.to_string())
    }
}
