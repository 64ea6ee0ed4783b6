//! The live page: by its requests, and in a real browser.

mod common;

use common::{EXPERIMENT, folder, said, skipped, spinloom};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

struct Reply {
    code: u16,
    heads: String,
    body: Vec<u8>,
}

/// One request.
fn ask(at: &str, method: &str, path: &str, heads: &str, body: &str) -> std::io::Result<Reply> {
    let mut stream = TcpStream::connect(at)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let host = if heads.contains("Host:") { String::new() } else { format!("Host: {at}\r\n") };
    write!(stream, "{method} {path} HTTP/1.1\r\n{host}{heads}Connection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len())?;
    let (mut all, mut part) = (Vec::new(), [0u8; 65536]);
    // Some servers leave the connection open: what they say of the length counts.
    loop {
        let n = stream.read(&mut part)?;
        all.extend_from_slice(&part[..n]);
        let whole = all.windows(4).position(|w| w == b"\r\n\r\n").and_then(|end| {
            let heads = String::from_utf8_lossy(&all[..end]).to_ascii_lowercase();
            let length = heads.lines().find_map(|l| l.strip_prefix("content-length:")?.trim().parse::<usize>().ok())?;
            Some(all.len() >= end + 4 + length)
        });
        if n == 0 || whole == Some(true) {
            break;
        }
    }
    let end = all.windows(4).position(|w| w == b"\r\n\r\n").unwrap_or(all.len());
    let heads = String::from_utf8_lossy(&all[..end]).into_owned();
    let code = heads.split(' ').nth(1).and_then(|c| c.parse().ok()).unwrap_or(0);
    let mut body = all.get(end + 4..).unwrap_or_default().to_vec();
    if heads.to_ascii_lowercase().contains("transfer-encoding: chunked") {
        let (mut rest, mut whole) = (body.as_slice(), Vec::new());
        while let Some(line) = rest.windows(2).position(|w| w == b"\r\n") {
            let n = usize::from_str_radix(String::from_utf8_lossy(&rest[..line]).trim(), 16).unwrap_or(0);
            if n == 0 {
                break;
            }
            whole.extend_from_slice(&rest[line + 2..line + 2 + n]);
            rest = &rest[line + 4 + n..];
        }
        body = whole;
    }
    Ok(Reply { code, heads, body })
}

fn get(at: &str, path: &str) -> Reply {
    ask(at, "GET", path, "", "").unwrap()
}

fn object(at: &str, path: &str) -> Value {
    let r = get(at, path);
    assert_eq!(r.code, 200, "{path}: {}", String::from_utf8_lossy(&r.body));
    serde_json::from_slice(&r.body).unwrap()
}

fn post(at: &str, path: &str, body: &str) -> u16 {
    ask(at, "POST", path, "X-Spinloom: 1\r\n", body).unwrap().code
}

/// A run with its page on a free port; ends with it.
struct Shown {
    child: Child,
    at: String,
    url: String,
}

impl Drop for Shown {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn show(dir: &Path, arguments: &[&str]) -> Shown {
    let mut command = Command::new(env!("CARGO_BIN_EXE_spinloom"));
    let mut child = command.current_dir(dir).args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut url = None;
    let lines: Box<dyn Read + Send> =
        if arguments[0] == "serve" { Box::new(child.stdout.take().unwrap()) } else { Box::new(child.stderr.take().unwrap()) };
    let mut lines = BufReader::new(lines);
    let mut text = String::new();
    while url.is_none() {
        let mut line = String::new();
        assert!(lines.read_line(&mut line).unwrap() > 0, "it ended: {text}");
        url = line.find("http://").map(|k| line[k..].trim().to_string());
        text += &line;
    }
    // What it says later must find a reader.
    std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
    let url = url.unwrap();
    let at = url.trim_start_matches("http://").split('/').next().unwrap().to_string();
    Shown { child, at, url }
}

/// A wall driven to and fro for longer than any test, with rows and noise-free steps.
fn endless() -> String {
    EXPERIMENT
        .replace("size: [80 nm, 8 nm, 1 nm]", "size: [256 nm, 64 nm, 1 nm]")
        .replace(
            "for: 60 ps, set: {J: [-7e11 A/m^2, 0, 0]}",
            "for: 10 us, set: {J: {value: [-2e11 A/m^2, 0, 0], wave: {sine: {frequency: 1 GHz}}}}",
        )
        .replace("every: 10 ps, columns: [wall_x]", "every: 5 ps, columns: [wall_x]")
}

#[test]
fn a_run_is_watched_paused_stepped_saved_and_edited() {
    let dir = folder(&[("wall.yaml", &endless())]);
    let shown = show(dir.path(), &["run", "wall.yaml", "--out", "a", "--serve", "127.0.0.1:0", "--commit-every", "0.1"]);
    let at = shown.at.as_str();
    assert!(shown.url.starts_with("http://127.0.0.1:") && !shown.url.contains("token"));
    let page = get(at, "/");
    assert!(page.code == 200 && String::from_utf8_lossy(&page.body).contains("<canvas") && page.heads.contains("Content-Security-Policy"));
    let wait = |what: &str, good: &dyn Fn(&Value) -> bool| -> Value {
        let clock = Instant::now();
        loop {
            let v = object(at, "/api/runs/0");
            if good(&v) {
                return v;
            }
            assert!(clock.elapsed() < Duration::from_secs(60), "{what}: {v}");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    let about = wait("begins", &|v| v["evaluations"].as_u64().unwrap_or(0) > 100);
    assert_eq!((&about["n"], &about["columns"][2], &about["live"]), (&json!([64, 16, 1]), &json!(["J", "A/m^2"]), &json!(true)));
    // A field, whole and in part; what is outside is brought inside.
    let field = get(at, "/api/runs/0/field?every=1");
    assert!(field.code == 200 && field.body.len() == 3 * 64 * 16, "{}", field.heads);
    assert!(field.body.chunks(3).all(|m| (m.iter().map(|b| (f64::from(*b as i8) / 127.0).powi(2)).sum::<f64>() - 1.0).abs() < 0.03));
    assert_eq!(get(at, "/api/runs/0/field?x=8&y=4&w=16&h=8&every=2").body.len(), 3 * 8 * 4);
    assert_eq!(get(at, "/api/runs/0/field?x=99999&y=1&w=99999&h=9&every=1&replica=7&layer=5").body.len(), 3 * 9);
    let rows = object(at, "/api/runs/0/table?replica=0&from=0&every=0");
    assert!(rows["rows"].as_array().unwrap().len() > 1 && rows["rows"][0].as_array().unwrap().len() == 7);
    // Paused is paused; a step is a step.
    assert_eq!(post(at, "/api/runs/0/pause", ""), 200);
    wait("pauses", &|v| v["paused"] == true);
    let time = || -> f64 {
        let heads = get(at, "/api/runs/0/field?every=4").heads;
        heads.lines().find_map(|l| l.strip_prefix("X-Time: ")).unwrap().parse().unwrap()
    };
    std::thread::sleep(Duration::from_millis(300));
    let t = time();
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(t, time());
    assert_eq!(post(at, "/api/runs/0/step", ""), 200);
    std::thread::sleep(Duration::from_millis(300));
    let next = time();
    // One attempt, which may have been rejected; a few more are not.
    (0..4).for_each(|_| assert_eq!(post(at, "/api/runs/0/step", ""), 200));
    std::thread::sleep(Duration::from_millis(500));
    let later = time();
    assert!(next >= t && later > t && later - t < 5e-12, "{t:e} {next:e} {later:e}");
    assert_eq!(post(at, "/api/runs/0/resume", ""), 200);
    // Wishes, good and bad.
    for (what, body, words) in [
        ("save", "", "saved"),
        ("set", "J: [1e11 A/m^2, 0, 0]", "set J: [1e11 A/m^2, 0, 0]"),
        ("set", "alpa: 0.3", "did you mean `alpha`?"),
        ("set", "Temp: 300 K", "no part of this run"),
    ] {
        assert_eq!(post(at, &format!("/api/runs/0/{what}"), body), 200);
        wait(words, &|v| v["said"].as_array().unwrap().iter().any(|s| s.as_str().unwrap().contains(words)));
    }
    assert!(std::fs::read_dir(dir.path().join("a")).unwrap().flatten().any(|e| e.file_name().to_string_lossy().ends_with(".ovf")));
    // What was set is in the record, and a resumed run has it too: it is read again, and would be refused if it were not whole.
    std::thread::sleep(Duration::from_millis(300));
    assert!(Command::new("kill").args(["-TERM", &shown.child.id().to_string()]).status().unwrap().success());
    let mut shown = shown;
    assert_eq!(shown.child.wait().unwrap().code(), Some(75));
    let record = said(&spinloom(dir.path(), &["record", "a"]));
    assert!(record.contains("edit J: [1e11 A/m^2, 0, 0]"), "{record}");
    let again = show(dir.path(), &["run", "wall.yaml", "--out", "a", "--serve", "127.0.0.1:0", "--resume"]);
    let clock = Instant::now();
    while object(&again.at, "/api/runs/0")["evaluations"].as_u64().unwrap_or(0) == 0 {
        assert!(clock.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn watching_and_pausing_change_no_bit() {
    let dir = folder(&[("wall.yaml", &EXPERIMENT.replace("for: 60 ps", "for: 2 ns"))]);
    assert!(spinloom(dir.path(), &["run", "wall.yaml", "--out", "plain"]).status.success());
    let mut shown = show(dir.path(), &["run", "wall.yaml", "--out", "watched", "--serve", "127.0.0.1:0"]);
    let mut after = 0;
    while shown.child.try_wait().unwrap().is_none() {
        let Ok(r) = ask(&shown.at, "GET", &format!("/api/runs/0/field?every=1&after={after}"), "", "") else { break };
        after = r.heads.lines().find_map(|l| l.strip_prefix("X-Number: ")).and_then(|n| n.parse().ok()).unwrap_or(after);
        for what in ["pause", "step", "resume"] {
            let _ = ask(&shown.at, "POST", &format!("/api/runs/0/{what}"), "X-Spinloom: 1\r\n", "");
        }
    }
    assert!(shown.child.wait().unwrap().success());
    let o = spinloom(dir.path(), &["record", "plain", "--diff", "watched"]);
    assert!(o.status.success(), "{}", said(&o));
}

/// A script makes its mesh smaller while somebody looks at cells that were there before.
#[test]
fn a_script_that_changes_its_mesh_is_watched() {
    let head = "setGridSize(N, N, 1)\nsetCellSize(4e-9, 4e-9, 4e-9)\nMsat = 8e5\nAex = 13e-12\nalpha = 0.1\nm = uniform(1, 0.1, 0)\nB_ext = vector(0, 0.1, 0)\ntableAutoSave(1e-12)\n";
    let part = |n: &str| head.replace('N', n) + "run(100e-12)\n";
    let text = part("64") + &part("8") + &part("4") + &part("32");
    let dir = folder(&[("s.mx3", &text)]);
    let mut shown = show(dir.path(), &["run", "s.mx3", "--serve", "127.0.0.1:0"]);
    let mut sizes = std::collections::BTreeSet::new();
    let path = format!("/api/runs/0/field?x=3&y=3&w=60&h=60&every=1&after={}", u64::MAX / 2);
    while shown.child.try_wait().unwrap().is_none() {
        let Ok(r) = ask(&shown.at, "GET", if sizes.len() % 2 == 0 { "/api/runs/0/field?x=3&y=3&w=60&h=60" } else { &path }, "", "") else {
            break;
        };
        sizes.insert(r.body.len());
        let _ = ask(&shown.at, "GET", "/api/runs/0/table", "", "");
    }
    let status = shown.child.wait().unwrap();
    assert!(status.success(), "{status:?}, sizes {sizes:?}");
}

#[test]
fn records_are_listed_and_no_path_leads_elsewhere() {
    let dir = folder(&[("wall.yaml", EXPERIMENT), ("secret.txt", "not yours")]);
    for out in ["runs/a", "runs/b"] {
        assert!(spinloom(dir.path(), &["run", "wall.yaml", "--out", out]).status.success());
    }
    let shown = show(dir.path(), &["serve", "runs", "--address", "127.0.0.1:0"]);
    let at = shown.at.as_str();
    let list = object(at, "/api/runs");
    assert!(list.as_array().unwrap().len() == 2 && list[0]["name"] == "runs/a" && list[1]["standing"] == "finished", "{list}");
    let about = object(at, "/api/runs/1");
    assert!(about["frames"] == 3 && about["live"] == false, "{about}");
    assert_eq!(get(at, "/api/runs/1/field?frame=2&every=1").body.len(), 3 * 40);
    assert_eq!(object(at, "/api/runs/1/table")["rows"].as_array().unwrap().len(), 7);
    assert_eq!(post(at, "/api/runs/1/pause", ""), 409);
    for path in [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "//etc/passwd",
        "/api/runs/../../secret.txt",
        "/api/runs/-1",
        "/api/runs/9",
        "/runs/a/run.h5",
    ] {
        let r = get(at, path);
        assert!(r.code == 404 && !String::from_utf8_lossy(&r.body).contains("not yours"), "{path}: {}", r.code);
    }
    // Names that other sites point here, and changes that their pages ask for.
    assert_eq!(ask(at, "GET", "/api/runs", "Host: evil.example\r\n", "").unwrap().code, 403);
    assert_eq!(ask(at, "POST", "/api/runs/0/pause", "", "").unwrap().code, 403);
    let port = at.rsplit_once(':').unwrap().1;
    assert_eq!(ask(at, "GET", "/api/runs", &format!("Host: localhost:{port}\r\n"), "").unwrap().code, 200);
}

#[test]
fn addresses_that_others_reach_ask_for_the_token() {
    let dir = folder(&[("wall.yaml", EXPERIMENT)]);
    assert!(spinloom(dir.path(), &["run", "wall.yaml", "--out", "a"]).status.success());
    let shown = show(dir.path(), &["serve", "a", "--address", "0.0.0.0:0"]);
    // The machine's own name, which a network without names would not find.
    let (name, port) = shown.at.rsplit_once(':').unwrap();
    assert_ne!(name, "0.0.0.0");
    let at = format!("127.0.0.1:{port}");
    let token = shown.url.split("token=").nth(1).unwrap().to_string();
    assert_eq!(token.len(), 32);
    for (path, heads, code) in [
        ("/".to_string(), String::new(), 401),
        ("/api/runs".into(), String::new(), 401),
        (format!("/?token={}", "0".repeat(32)), String::new(), 401),
        (format!("/?token={token}"), String::new(), 200),
        ("/api/runs".into(), format!("Authorization: Bearer {token}\r\n"), 200),
    ] {
        assert_eq!(ask(&at, "GET", &path, &heads, "").unwrap().code, code, "{path}");
    }
}

// ---------------------------------------------------------------- a browser

/// A headless Chromium, driven over WebDriver.
struct Browser {
    driver: Child,
    at: String,
    session: String,
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = ask(&self.at, "DELETE", &format!("/session/{}", self.session), "", "");
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

impl Browser {
    /// None, said aloud, where there is none.
    fn start(width: u32, height: u32) -> Option<Browser> {
        let driver = ["/usr/bin/chromedriver", "/usr/lib/chromium/chromedriver"].iter().map(PathBuf::from).find(|p| p.exists());
        let Some(driver) = driver else {
            return skipped("no chromedriver (Debian: chromium-driver): the page is not tried in a browser");
        };
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let driver = Command::new(driver).arg(format!("--port={port}")).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let at = format!("127.0.0.1:{port}");
        let clock = Instant::now();
        while TcpStream::connect(&at).is_err() {
            assert!(clock.elapsed() < Duration::from_secs(30), "chromedriver does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
        let mut browser = Browser { driver, at, session: String::new() };
        let wish = json!({"capabilities": {"alwaysMatch": {"goog:chromeOptions": {"args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", format!("--window-size={width},{height}")]}}}});
        let made = browser.call("POST", "", &wish);
        browser.session = made["sessionId"].as_str().unwrap_or_else(|| panic!("no session: {made}")).to_string();
        Some(browser)
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let path = if self.session.is_empty() { "/session".to_string() } else { format!("/session/{}/{path}", self.session) };
        let body = if method == "GET" { String::new() } else { body.to_string() };
        let r = ask(&self.at, method, &path, "Content-Type: application/json\r\n", &body).unwrap();
        let v: Value = serde_json::from_slice(&r.body).unwrap_or_default();
        v["value"].clone()
    }

    fn open(&self, url: &str) {
        self.call("POST", "url", &json!({"url": url}));
    }

    fn run(&self, script: &str) -> Value {
        self.call("POST", "execute/sync", &json!({"script": script, "args": []}))
    }

    fn until(&self, script: &str) -> Value {
        let clock = Instant::now();
        loop {
            let v = self.run(&format!("return {script}"));
            if v != Value::Null && v != false {
                return v;
            }
            assert!(clock.elapsed() < Duration::from_secs(60), "{script}: {}", self.run("return document.body.innerText"));
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn picture(&self) -> Vec<u8> {
        use base64::Engine;
        base64::prelude::BASE64_STANDARD.decode(self.call("GET", "screenshot", &Value::Null).as_str().unwrap()).unwrap()
    }
}

/// Also makes the manual's pictures: `SPINLOOM_PICTURES=docs/src/pictures`.
#[test]
fn a_browser_shows_a_run_and_holds_its_reins() {
    let Some(browser) = Browser::start(1280, 800) else { return };
    let dir = folder(&[("wall.yaml", &endless())]);
    let shown = show(dir.path(), &["run", "wall.yaml", "--out", "a", "--serve", "127.0.0.1:0"]);
    browser.open(&shown.url);
    browser.until("+document.body.dataset.frames > 5");
    browser.until("+document.body.dataset.rows > 20");
    assert_eq!(browser.run("return document.getElementById('name').textContent"), "a wall");
    assert_eq!(browser.run("return [document.getElementById('field').width, document.getElementById('field').height]"), json!([64, 16]));
    // The picture holds both domains: white above, black below.
    let both = "(() => { const c = document.getElementById('field'), d = c.getContext('2d').getImageData(0, 8, c.width, 1).data; let w = 0, b = 0; for (let i = 0; i < d.length; i += 4) { const s = d[i] + d[i+1] + d[i+2]; if (s > 690) w++; if (s < 75) b++; } return w > 5 && b > 5 })()";
    browser.until(both);
    browser.run("document.getElementById('quiver').click()");
    browser.until("document.getElementById('field').width > 800");
    browser.until("document.getElementById('runs').textContent.includes('running')");
    let keep = |name: &str, picture: Vec<u8>| {
        if let Ok(folder) = std::env::var("SPINLOOM_PICTURES") {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(Path::new(&folder).join(name), picture).unwrap();
        }
    };
    let picture = browser.picture();
    assert!(picture.starts_with(b"\x89PNG") && picture.len() > 10_000);
    keep("page.png", picture);
    browser.run("document.getElementById('quiver').click()");
    // Pause, by the button; then the run stands still.
    browser.run("document.getElementById('pause').click()");
    browser.until("document.getElementById('pause').textContent === 'go on'");
    std::thread::sleep(Duration::from_millis(800));
    let t = browser.run("return document.getElementById('t').textContent");
    std::thread::sleep(Duration::from_millis(800));
    assert_eq!(t, browser.run("return document.getElementById('t').textContent"));
    browser.run("for (let k = 0; k < 40; k++) document.getElementById('step').click()");
    browser.until(&format!("document.getElementById('t').textContent !== {t}"));
    browser.run("document.getElementById('pause').click()");
    browser.until("document.getElementById('pause').textContent === 'pause'");
    browser.run("document.getElementById('edit').value = 'J: [1e10 A/m^2, 0, 0]'; document.getElementById('set').click()");
    browser.until("document.getElementById('said').textContent.includes('set J')");
    // Zoomed in, the picture holds fewer cells.
    browser.run("const b = document.getElementById('field').getBoundingClientRect(); for (let k = 0; k < 6; k++) document.getElementById('field').dispatchEvent(new WheelEvent('wheel', {deltaY: -100, clientX: b.left + b.width / 2, clientY: b.top + b.height / 2, cancelable: true}))");
    browser.until("document.getElementById('field').width < 40");
    browser.run("document.getElementById('whole').click()");
    browser.until("document.getElementById('field').width === 64");
    // A small screen: nothing sticks out sideways.
    browser.call("POST", "window/rect", &json!({"width": 500, "height": 900}));
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(browser.run("return document.documentElement.scrollWidth <= window.innerWidth"), true);
    keep("small.png", browser.picture());
}

/// Frames a second at 1024 x 1024 cells, and what watching costs the run: run before a release on a quiet machine,
/// `cargo test --release -p spinloom --test page watching_costs -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement of two minutes"]
fn watching_costs() {
    let big = EXPERIMENT
        .replace("size: [80 nm, 8 nm, 1 nm]", "size: [4096 nm, 4096 nm, 1 nm]")
        .replace("for: 60 ps", "for: 10 ns")
        .replace("every: 10 ps, columns: [wall_x]", "every: 1 ns, columns: [wall_x]")
        .replace("pictures: 30 ps", "solver: {stepper: euler, dt: 1 fs}");
    let dir = folder(&[("big.yaml", &big)]);
    let seconds = std::env::var("SPINLOOM_SECONDS").ok().and_then(|s| s.parse().ok()).unwrap_or(10.0);
    let steps = |at: &str| object(at, "/api/runs/0")["evaluations"].as_f64().unwrap_or(0.0);
    let shown = show(dir.path(), &["run", "big.yaml", "--out", "a", "--serve", "127.0.0.1:0"]);
    let at = shown.at.as_str();
    // The time of a field's state is the number of steps of 1 fs.
    // A view that nobody had before is copied at once.
    let views = std::cell::Cell::new(400);
    let time = || -> f64 {
        views.set(views.get() + 1);
        let heads = get(at, &format!("/api/runs/0/field?every={}", views.get())).heads;
        heads.lines().find_map(|l| l.strip_prefix("X-Time: ")).and_then(|t| t.parse().ok()).unwrap_or(0.0)
    };
    while time() == 0.0 {
        std::thread::sleep(Duration::from_millis(200));
    }
    let (mut quiet, mut watched, mut frames, mut fresh) = (Vec::new(), Vec::new(), 0, 0);
    for _ in 0..4 {
        // Nobody watches after three seconds.
        std::thread::sleep(Duration::from_millis(3500));
        let (clock, t) = (Instant::now(), time());
        std::thread::sleep(Duration::from_secs_f64(seconds));
        quiet.push((time() - t) / 1e-15 / clock.elapsed().as_secs_f64());
        let (clock, t, mut after) = (Instant::now(), time(), 0u64);
        while clock.elapsed().as_secs_f64() < seconds {
            // As the page does: 512 x 512 points, at most one request each 50 ms.
            let began = Instant::now();
            let r = get(at, &format!("/api/runs/0/field?every=2&after={after}"));
            assert_eq!(r.body.len(), 3 * 512 * 512);
            let number = r.heads.lines().find_map(|l| l.strip_prefix("X-Number: ")).and_then(|n| n.parse().ok()).unwrap_or(after);
            fresh += usize::from(number != after);
            after = number;
            frames += 1;
            std::thread::sleep(Duration::from_millis(50).saturating_sub(began.elapsed()));
        }
        watched.push((time() - t) / 1e-15 / clock.elapsed().as_secs_f64());
    }
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
    let all = 4.0 * seconds;
    println!(
        "1024 x 1024: {:.1} frames/s, {:.1} of them new; {:.2} steps/s watched, {:.2} not: {:+.1} %  ({watched:.2?} {quiet:.2?}); {} evaluations",
        frames as f64 / all,
        fresh as f64 / all,
        mean(&watched),
        mean(&quiet),
        100.0 * (mean(&watched) / mean(&quiet) - 1.0),
        steps(at)
    );
}
