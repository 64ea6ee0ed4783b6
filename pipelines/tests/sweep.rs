//! Sweeps, here and under a real Slurm of one node, which the test itself sets up.

mod common;

use common::{EXPERIMENT, folder, said, skipped, spinloom};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The wall with a current that a sweep sets, and noise: numbers must not follow from how points are packed.
fn swept() -> String {
    EXPERIMENT
        .replace("alpha: 0.1,", "alpha: 0.1, Temp: 300 K,")
        .replace("J: [-7e11 A/m^2, 0, 0]", "J: [$J, 0, 0]")
        .replace("pictures: 30 ps", "solver: {stepper: heun, dt: 50 fs}")
}

fn run(dir: &Path, line: &str) -> String {
    let o = spinloom(dir, &line.split(' ').collect::<Vec<_>>());
    assert!(o.status.success(), "{line}: {}", said(&o));
    said(&o)
}

fn equal(dir: &Path, a: &str, b: &str) {
    assert!(run(dir, &format!("record {a} --diff {b}")).contains("equal"));
}

/// Of every chunk's log: how often its points were begun, and begun after they were done.
fn begun(out: &Path) -> (usize, usize) {
    let (mut times, mut again) = (0, 0);
    for chunk in std::fs::read_dir(out.join("chunks")).unwrap().map(|e| e.unwrap().path()) {
        let log = std::fs::read_to_string(chunk.join("log")).unwrap();
        let words: Vec<&str> = log.lines().map(|l| l.split(' ').next().unwrap()).collect();
        times += words.iter().filter(|w| **w == "begins").count();
        let done = words.iter().position(|w| *w == "done").unwrap_or(words.len());
        again += words[done..].iter().filter(|w| **w == "begins").count();
    }
    (times, again)
}

#[test]
fn a_sweep_gives_the_same_record_however_its_points_are_packed() {
    let sweep = "sweep: currents\nexperiment: wall.yaml\ngrid: {J: {from: -8e11 A/m^2, to: -1e11 A/m^2, count: 7}}\n";
    let dir = folder(&[("wall.yaml", &swept()), ("s.yaml", sweep)]);
    for pack in [1, 3, 7] {
        let said = run(dir.path(), &format!("sweep s.yaml --out p{pack} --pack {pack}"));
        assert!(said.contains(&format!("7 points in {} ensembles, 7 done, 0 failed", 7usize.div_ceil(pack))), "{said}");
    }
    equal(dir.path(), "p1/record", "p3/record");
    equal(dir.path(), "p1/record", "p7/record");
    let table = std::fs::read_to_string(dir.path().join("p1/sweep.csv")).unwrap();
    assert!(table.starts_with("point,J (A/m^2),J,mx,my,mz,phase,t,wall_x\n0,-8e11,") && table.lines().count() == 8, "{table}");
    // Again: nothing is left to do.
    run(dir.path(), "sweep s.yaml --out p3");
    assert_eq!(begun(&dir.path().join("p3")), (3, 0));
    let status: Value = serde_json::from_str(&run(dir.path(), "sweep status p3 --json")).unwrap();
    assert_eq!(status["chunks"]["done"], 3);
    // Another sweep does not go on with it.
    std::fs::write(dir.path().join("s.yaml"), sweep.replace("count: 7", "count: 6")).unwrap();
    let o = spinloom(dir.path(), &["sweep", "s.yaml", "--out", "p3"]);
    assert!(o.status.code() == Some(2) && said(&o).contains("another sweep lies here"), "{}", said(&o));
}

#[test]
fn points_are_listed_drawn_and_sought() {
    let plain = EXPERIMENT.replace("J: [-7e11 A/m^2, 0, 0]", "J: [$J, 0, 0]").replace("alpha: 0.1", "alpha: $a");
    let dir = folder(&[
        ("wall.yaml", &plain),
        ("list.yaml", "sweep: l\nexperiment: wall.yaml\nlist: [{J: -7e11 A/m^2, a: 0.1}, {a: 0.2, J: -6e11 A/m^2}]\n"),
        (
            "cube.yaml",
            "sweep: c\nexperiment: wall.yaml\nhypercube: {points: 5, seed: 4, over: {J: {from: -8e11 A/m^2, to: -1e11 A/m^2}, a: {from: 0.1, to: 0.3}}}\n",
        ),
        (
            "border.yaml",
            "sweep: b\nexperiment: wall.yaml\nborder: {of: J, from: -8e11 A/m^2, to: -1e11 A/m^2, within: 1e9 A/m^2, met: {wall_x: {above: -15 nm}}, over: {a: [0.1, 0.2]}}\n",
        ),
        ("both.yaml", "sweep: b\nexperiment: wall.yaml\ngrid: {J: 1 A/m^2}\nlist: []\n"),
        (
            "far.yaml",
            "sweep: b\nexperiment: wall.yaml\nborder: {of: J, from: 0 A/m^2, to: 1 A/m^2, within: 1 A/m^2, met: {wal_x: {above: 1 nm}}, over: {a: 0.1}}\n",
        ),
    ]);
    run(dir.path(), "sweep list.yaml --out l");
    let table = std::fs::read_to_string(dir.path().join("l/sweep.csv")).unwrap();
    assert!(table.contains("\n0,-7e11,1e-1,") && table.contains("\n1,-6e11,2e-1,"), "{table}");
    run(dir.path(), "sweep cube.yaml --out c");
    assert_eq!(std::fs::read_to_string(dir.path().join("c/sweep.csv")).unwrap().lines().count(), 6);
    let found: Value =
        serde_json::from_str(run(dir.path(), "sweep border.yaml --out b --json").lines().find(|l| l.starts_with('{')).unwrap()).unwrap();
    let lines = found["border"]["lines"].as_array().unwrap();
    assert_eq!(lines.len(), 2);
    for line in lines {
        let ends: Vec<f64> = line["between"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
        assert!(ends[1] - ends[0] <= 1e9 && ends[0] > -8e11 && ends[1] < -1e11, "{line}");
    }
    // 7e11 to 1e9 by quarters: five rounds of three points beside the two ends, twice.
    assert_eq!(found["points"], 2 * (2 + 3 * 5));
    for (file, words) in [("both.yaml", "exactly one of"), ("far.yaml", "did you mean `wall_x`?")] {
        let o = spinloom(dir.path(), &["sweep", file, "--out", "no"]);
        assert!(o.status.code() == Some(2) && said(&o).contains(words), "{}", said(&o));
    }
    assert!(run(dir.path(), "vet border.yaml").contains("a sweep towards 2 borders"));
}

#[test]
fn a_point_that_fails_spoils_no_other_and_can_be_tried_again() {
    // A torque beyond what floats hold: the first step is not a number.
    let plain = EXPERIMENT.replace("J: [-7e11 A/m^2, 0, 0]", "J: [$J, 0, 0]");
    let sweep = "sweep: f\nexperiment: wall.yaml\nlist: [{J: -7e11 A/m^2}, {J: -1e60 A/m^2}, {J: -6e11 A/m^2}]\n";
    let dir = folder(&[("wall.yaml", &plain), ("s.yaml", sweep)]);
    let o = spinloom(dir.path(), &["sweep", "s.yaml", "--out", "o", "--pack", "3"]);
    assert_eq!(o.status.code(), Some(2), "{}", said(&o));
    assert!(said(&o).contains("point 1 (J = -1e60 A/m^2)") && said(&o).contains("2 done, 1 failed"), "{}", said(&o));
    let table = std::fs::read_to_string(dir.path().join("o/sweep.csv")).unwrap();
    assert!(table.contains("\n0,-7e11,") && table.contains("\n2,-6e11,") && table.lines().count() == 3, "{table}");
    assert!(run(dir.path(), "sweep status o").contains("1 failed"));
    assert!(run(dir.path(), "sweep retry o").contains("1 ensembles will be tried again"));
    assert!(!run(dir.path(), "sweep status o").contains("failed"));
}

#[test]
fn what_would_never_end_or_run_nothing_is_refused() {
    let plain = EXPERIMENT.replace("J: [-7e11 A/m^2, 0, 0]", "J: [$J, 0, 0]");
    let copies = EXPERIMENT.to_string() + "copies: 1e15\n";
    let dir = folder(&[("wall.yaml", &plain), ("copies.yaml", &copies)]);
    let border =
        |within: &str| format!("border: {{of: J, from: 0 A/m^2, to: 1e11 A/m^2, within: {within}, met: {{wall_x: {{above: 1 nm}}}}}}");
    for (what, words) in [
        ("grid: {}", "nothing is swept"),
        ("list: [{}]", "nothing is swept"),
        ("hypercube: {points: 0, over: {J: {from: 0 A/m^2, to: 1 A/m^2}}}", "no points"),
        ("hypercube: {points: 3, over: {}}", "nothing is swept"),
        ("hypercube: {points: 1e15, over: {J: {from: 0 A/m^2, to: 1 A/m^2}}}", "at most 1000000"),
        ("grid: {J: {from: 0 A/m^2, to: 1 A/m^2, count: 1e15}}", "at most 1000000"),
        ("grid: {J: {from: 0 A/m^2, to: 1 A/m^2, count: 100000}, a: {from: 0, to: 1, count: 100000}}", "at most 1000000"),
        (&border("1e-30 A/m^2"), "cannot be told"),
    ] {
        std::fs::write(dir.path().join("s.yaml"), format!("sweep: s\nexperiment: wall.yaml\n{what}\n")).unwrap();
        let o = spinloom(dir.path(), &["vet", "s.yaml"]);
        assert!(o.status.code() == Some(2) && said(&o).contains(words), "{what}: {:?} {}", o.status, said(&o));
    }
    let o = spinloom(dir.path(), &["vet", "copies.yaml"]);
    assert!(o.status.code() == Some(2) && said(&o).contains("at most 65536"), "{}", said(&o));
}

#[test]
fn what_is_not_the_points_fault_is_not_held_against_them() {
    let sweep = "sweep: f\nexperiment: wall.yaml\nlist: [{J: -7e11 A/m^2}, {J: -6e11 A/m^2}]\n";
    let dir = folder(&[("wall.yaml", &EXPERIMENT.replace("J: [-7e11 A/m^2, 0, 0]", "J: [$J, 0, 0]")), ("s.yaml", sweep)]);
    let chunk = dir.path().join("o/chunks/000000");
    std::fs::create_dir_all(&chunk).unwrap();
    std::fs::write(chunk.join("run.h5"), "what another program left").unwrap();
    let o = spinloom(dir.path(), &["sweep", "s.yaml", "--out", "o", "--pack", "2"]);
    assert_eq!(o.status.code(), Some(2), "{}", said(&o));
    assert!(!chunk.join("failed.txt").exists() && !chunk.join("apart").exists(), "{}", said(&o));
    std::fs::remove_file(chunk.join("run.h5")).unwrap();
    let o = spinloom(dir.path(), &["sweep", "s.yaml", "--out", "o", "--pack", "1"]);
    assert!(o.status.code() == Some(2) && said(&o).contains("packed by 2"), "{}", said(&o));
    assert!(run(dir.path(), "sweep s.yaml --out o").contains("2 done, 0 failed"));
}

#[test]
fn only_a_sweep_is_replaced() {
    let sweep = "sweep: f\nexperiment: wall.yaml\nlist: [{J: -7e11 A/m^2}]\n";
    let dir = folder(&[
        ("wall.yaml", &EXPERIMENT.replace("J: [-7e11 A/m^2, 0, 0]", "J: [$J, 0, 0]")),
        ("s.yaml", sweep),
        ("home/letter", "dear"),
    ]);
    let o = spinloom(dir.path(), &["sweep", "s.yaml", "--out", "home", "-f"]);
    assert!(o.status.code() == Some(2) && said(&o).contains("no sweep lies here"), "{}", said(&o));
    run(dir.path(), "sweep s.yaml --out o");
    std::fs::write(dir.path().join("o/letter"), "dear").unwrap();
    std::fs::write(dir.path().join("s.yaml"), sweep.replace("-7e11", "-6e11")).unwrap();
    assert!(run(dir.path(), "sweep s.yaml --out o -f").contains("1 done, 0 failed"));
    assert!(dir.path().join("home/letter").exists() && dir.path().join("o/letter").exists());
}

fn begin(dir: &Path, line: &str) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_spinloom"));
    command.current_dir(dir).args(line.split(' ')).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

#[test]
fn a_sweep_killed_at_random_moments_or_shared_by_two_ends_with_the_same_record() {
    let sweep = "sweep: currents\nexperiment: wall.yaml\ngrid: {J: {from: -8e11 A/m^2, to: -1e11 A/m^2, count: 12}}\n";
    let long = swept().replace("for: 60 ps", "for: 400 ps");
    let dir = folder(&[("wall.yaml", &long), ("s.yaml", sweep)]);
    let clock = Instant::now();
    run(dir.path(), "sweep s.yaml --out whole --pack 2");
    let whole = clock.elapsed();
    let wanted = std::env::var("SPINLOOM_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(20);
    let mut stream = spinloom_base::random::Stream::new(std::process::id().into(), 3);
    let (mut kills, mut runs) = (0, 0);
    while kills < wanted {
        let out = format!("o{runs}");
        let before = kills;
        loop {
            let mut child = begin(dir.path(), &format!("sweep s.yaml --out {out} --pack 2 --commit-every 0.02"));
            // Later and later, for the machine may be busier than it was undisturbed.
            std::thread::sleep(whole.mul_f64((0.6 + 0.1 * f64::from(kills - before)) * stream.uniform()));
            if let Some(status) = child.try_wait().unwrap() {
                assert!(status.success());
                break;
            }
            child.kill().unwrap();
            child.wait().unwrap();
            kills += 1;
        }
        equal(dir.path(), "whole/record", &format!("{out}/record"));
        assert_eq!(begun(&dir.path().join(&out)).1, 0);
        runs += 1;
    }
    println!("{kills} kills in {runs} sweeps, each ended with the same record");
    // Two at once share the work; the one that finds some of it elsewhere says so with 75.
    let mut two = [begin(dir.path(), "sweep s.yaml --out two --pack 1"), begin(dir.path(), "sweep s.yaml --out two --pack 1")];
    for child in &mut two {
        assert!([Some(0), Some(75)].contains(&child.wait().unwrap().code()));
    }
    run(dir.path(), "sweep s.yaml --out two");
    assert_eq!(begun(&dir.path().join("two")), (12, 0));
    equal(dir.path(), "whole/record", "two/record");
}

// ---------------------------------------------------------------- Slurm

/// A Slurm of one node, with munge, in a folder of its own. Ends with it.
struct Slurm {
    dir: tempfile::TempDir,
    daemons: Vec<Child>,
    node: Option<Child>,
    host: String,
}

fn found(name: &str) -> Option<PathBuf> {
    ["/usr/sbin", "/usr/bin", "/sbin", "/usr/local/sbin"].iter().map(|d| Path::new(d).join(name)).find(|p| p.exists())
}

impl Slurm {
    /// None, said aloud, where it cannot be.
    fn start() -> Option<Slurm> {
        let skip = |why: &str| skipped(format!("{why}: no real Slurm"));
        let root = std::fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0);
        if !root {
            return skip("not root");
        }
        for program in ["slurmctld", "slurmd", "munged", "sbatch", "squeue", "scontrol"] {
            if found(program).is_none() {
                return skip(&format!("{program} is not installed (Debian: slurm-wlm, munge)"));
            }
        }
        let dir = tempfile::tempdir().unwrap();
        let d = dir.path().to_path_buf();
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap().trim().to_string();
        for sub in ["state", "spool"] {
            std::fs::create_dir(d.join(sub)).unwrap();
        }
        let mut key = vec![0u8; 1024];
        std::io::Read::read_exact(&mut std::fs::File::open("/dev/urandom").unwrap(), &mut key).unwrap();
        std::fs::write(d.join("key"), key).unwrap();
        std::fs::set_permissions(d.join("key"), std::os::unix::fs::PermissionsExt::from_mode(0o400)).unwrap();
        let at = |name: &str| d.join(name).display().to_string();
        let free = || std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let conf = format!(
            "ClusterName=test\nSlurmctldHost={host}(127.0.0.1)\nSlurmctldPort={}\nSlurmdPort={}\nAuthType=auth/munge\nAuthInfo=socket={},cred_expire=5\nCredType=cred/munge\n\
             SlurmUser=root\nSlurmdUser=root\nStateSaveLocation={}\nSlurmdSpoolDir={}\nSlurmctldPidFile={}\nSlurmdPidFile={}\nSlurmctldLogFile={}\nSlurmdLogFile={}\n\
             ProctrackType=proctrack/linuxproc\nTaskPlugin=task/none\nSwitchType=switch/none\nMpiDefault=none\nSelectType=select/cons_tres\nSelectTypeParameters=CR_CPU\n\
             ReturnToService=2\nSlurmdTimeout=10\nSlurmctldTimeout=10\nMaxArraySize=2001\nSchedulerParameters=sched_interval=1,sched_min_interval=100000,batch_sched_delay=0\n\
             MinJobAge=2\nKillWait=5\nJobRequeue=1\nNodeName={host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN\nPartitionName=test Nodes=ALL Default=YES MaxTime=INFINITE State=UP OverSubscribe=FORCE:2\n",
            free(),
            free(),
            at("munge.socket"),
            at("state"),
            at("spool"),
            at("ctld.pid"),
            at("slurmd.pid"),
            at("ctld.log"),
            at("slurmd.log"),
        );
        std::fs::write(d.join("slurm.conf"), conf).unwrap();
        let mut slurm = Slurm { daemons: Vec::new(), node: None, host, dir };
        let munged = slurm
            .daemon("munged")
            .args(["--foreground", "--force", "--socket", &at("munge.socket"), "--key-file", &at("key"), "--pid-file", &at("munged.pid")])
            .args(["--log-file", &at("munged.log"), "--seed-file", &at("seed"), "--num-threads", "2"])
            .spawn();
        slurm.daemons.push(munged.unwrap());
        let control = slurm.daemon("slurmctld").args(["-D", "-i"]).spawn();
        slurm.daemons.push(control.unwrap());
        slurm.boot();
        let clock = Instant::now();
        while !slurm.ask("sinfo", &["-h", "-o", "%T"]).contains("idle") {
            if clock.elapsed() > Duration::from_secs(30) {
                let log = |n: &str| std::fs::read_to_string(slurm.dir.path().join(n)).unwrap_or_default();
                println!("{}\n{}\n{}", log("munged.log"), log("ctld.log"), log("slurmd.log"));
                return skip("its daemons do not come up here");
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        Some(slurm)
    }

    fn daemon(&self, name: &str) -> Command {
        let mut c = Command::new(found(name).unwrap());
        c.env("SLURM_CONF", self.dir.path().join("slurm.conf")).stdout(Stdio::null()).stderr(Stdio::null());
        c
    }

    fn boot(&mut self) {
        self.node = Some(self.daemon("slurmd").args(["-D", "-N", &self.host]).spawn().unwrap());
    }

    fn ask(&self, program: &str, arguments: &[&str]) -> String {
        let o = Command::new(program).args(arguments).env("SLURM_CONF", self.dir.path().join("slurm.conf")).output().unwrap();
        String::from_utf8_lossy(&o.stdout).into_owned()
    }

    /// Processes below this Slurm's node: they carry its configuration in their environment.
    fn below(&self) -> Vec<u32> {
        let mark = format!("SLURM_CONF={}", self.dir.path().join("slurm.conf").display());
        let mine: Vec<u32> = self.daemons.iter().chain(&self.node).map(|c| c.id()).collect();
        let pids = std::fs::read_dir("/proc").unwrap().flatten().filter_map(|e| e.file_name().to_str()?.parse::<u32>().ok());
        pids.filter(|p| *p != std::process::id() && !mine.contains(p))
            .filter(|p| {
                let environ = std::fs::read(format!("/proc/{p}/environ")).unwrap_or_default();
                let inside = environ.split(|b| *b == 0).any(|v| v == mark.as_bytes());
                // Of the commands, only what runs for a job.
                inside
                    && (environ.windows(13).any(|w| w == b"SLURM_JOB_ID=")
                        || std::fs::read_to_string(format!("/proc/{p}/comm")).is_ok_and(|c| c.starts_with("slurmstepd")))
            })
            .collect()
    }

    /// The node is lost, with all that runs on it, and comes back.
    fn fail(&mut self) -> usize {
        if let Some(mut node) = self.node.take() {
            node.kill().unwrap();
            node.wait().unwrap();
        }
        let lost = self.below();
        for pid in &lost {
            let _ = Command::new("kill").args(["-KILL", &pid.to_string()]).stderr(Stdio::null()).status();
        }
        self.ask("scontrol", &["update", &format!("nodename={}", self.host), "state=down", "reason=lost"]);
        std::thread::sleep(Duration::from_secs(1));
        self.boot();
        std::thread::sleep(Duration::from_secs(1));
        self.ask("scontrol", &["update", &format!("nodename={}", self.host), "state=resume"]);
        lost.len()
    }
}

impl Drop for Slurm {
    fn drop(&mut self) {
        for pid in self.below() {
            let _ = Command::new("kill").args(["-KILL", &pid.to_string()]).stderr(Stdio::null()).status();
        }
        for child in self.node.iter_mut().chain(&mut self.daemons) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The program, where it finds a Slurm.
fn under(conf: &Path, dir: &Path, line: &str) -> Command {
    let mut c = Command::new(env!("CARGO_BIN_EXE_spinloom"));
    c.current_dir(dir).args(line.split(' ')).env("SLURM_CONF", conf);
    c
}

/// A limit of one minute, the least there is, and a point that takes longer: Slurm's own signal, a commit, the queue, and on from there, to the same bits.
#[test]
#[ignore = "two minutes: a time limit of Slurm is a minute at least"]
fn a_task_that_reaches_its_time_limit_goes_on_in_the_next() {
    let Some(slurm) = Slurm::start() else { return };
    let timed = |ns: u32| swept().replace("for: 60 ps", &format!("for: {ns} ns")).replace("every: 10 ps", "every: 100 ps");
    let dir = folder(&[("wall.yaml", &timed(10)), ("s.yaml", "sweep: one\nexperiment: wall.yaml\nlist: [{J: -7e10 A/m^2}]\n")]);
    // As long as a minute and a quarter here; other processes may make it longer.
    let clock = Instant::now();
    run(dir.path(), "sweep s.yaml --out probe --threads 1");
    let ns = (75.0 * 10.0 / clock.elapsed().as_secs_f64()).ceil() as u32;
    std::fs::write(dir.path().join("wall.yaml"), timed(ns)).unwrap();
    // The signal comes between the whole minute before it is due and then.
    let line = "sweep s.yaml --out o --commit-every 1000 --slurm --partition test --time 1 --cpus 1 --sbatch=--signal=B:TERM@15 --wait";
    let clock = Instant::now();
    let o = under(&slurm.dir.path().join("slurm.conf"), dir.path(), line).output().unwrap();
    let log = std::fs::read_to_string(dir.path().join("o/chunks/000000/log")).unwrap_or_default();
    let words: Vec<&str> = log.lines().map(|l| l.split(' ').next().unwrap()).collect();
    println!("{ns} ns in {:.0} s under a limit of one minute: {words:?}", clock.elapsed().as_secs_f64());
    assert!(o.status.success(), "{}", said(&o));
    // Every life but the last was stopped, none was killed.
    assert!(words.len() >= 4 && words.ends_with(&["begins", "done"]), "{words:?}");
    assert!(words[..words.len() - 2].chunks(2).all(|life| life == ["begins", "stopped"]), "{words:?}");
    let restarts: Vec<u64> =
        log.lines().filter_map(|l| serde_json::from_str::<Value>(l.split_once(' ')?.1).ok()?["restart"].as_u64()).collect();
    assert_eq!((restarts[0], restarts[restarts.len() - 1]), (0, words.len() as u64 / 2 - 1));
    run(dir.path(), "sweep s.yaml --out here");
    equal(dir.path(), "o/record", "here/record");
}

/// 40 points in CI; `SPINLOOM_SLURM=1000` before a release.
#[test]
fn slurm_runs_a_sweep_through_two_node_failures() {
    let Some(mut slurm) = Slurm::start() else { return };
    let points: usize = std::env::var("SPINLOOM_SLURM").ok().and_then(|n| n.parse().ok()).unwrap_or(40);
    let sweep = format!("sweep: currents\nexperiment: wall.yaml\ngrid: {{J: {{from: -8e11 A/m^2, to: -1e11 A/m^2, count: {points}}}}}\n");
    let dir = folder(&[("wall.yaml", &swept().replace("for: 60 ps", "for: 1 ns")), ("s.yaml", &sweep)]);
    let pack = if points > 100 { "8" } else { "2" };
    let conf = slurm.dir.path().join("slurm.conf");
    let command = |line: &str| under(&conf, dir.path(), line);
    let line =
        format!("sweep s.yaml --out o --pack {pack} --commit-every 0.1 --slurm --partition test --time 10:00 --cpus 1 --throttle 2 --wait");
    let clock = Instant::now();
    let mut waiting = command(&line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let chunks = points.div_ceil(pack.parse().unwrap());
    let done = || {
        let list = std::fs::read_dir(dir.path().join("o/chunks")).into_iter().flatten().flatten();
        list.filter(|e| e.path().join("done.json").exists()).count()
    };
    // Whether an ensemble was begun that has not ended: its node is to fail.
    let running = || {
        let list = std::fs::read_dir(dir.path().join("o/chunks")).into_iter().flatten().flatten();
        let begun = |log: String| log.lines().last().is_some_and(|l| l.starts_with("begins"));
        list.filter_map(|e| std::fs::read_to_string(e.path().join("log")).ok()).any(begun)
    };
    for failure in 1..=2 {
        while done() < chunks * failure / 3 || !running() {
            assert!(waiting.try_wait().unwrap().is_none() && clock.elapsed() < Duration::from_secs(900), "it ends too early, or never");
            std::thread::sleep(Duration::from_millis(50));
        }
        let (lost, done) = (slurm.fail(), done());
        println!("node failure {failure} after {done} of {chunks} ensembles: {lost} processes lost");
    }
    let o = waiting.wait_with_output().unwrap();
    assert!(o.status.success(), "{}", said(&o));
    let (times, again) = begun(&dir.path().join("o"));
    println!("{points} points in {chunks} ensembles in {:.0} s, begun {times} times, {again} after success", clock.elapsed().as_secs_f64());
    assert_eq!(again, 0, "a point was run after success");
    assert!(times > chunks, "no failure met a running ensemble");
    // The same bits as here, uninterrupted, and packed so that it does not take long.
    let clock = Instant::now();
    run(dir.path(), &format!("sweep s.yaml --out here --pack {}", points.min(250)));
    println!("undisturbed, here: {:.0} s", clock.elapsed().as_secs_f64());
    equal(dir.path(), "o/record", "here/record");
    // A task that is told that its time is nearly over, by the signal that `--signal=B:TERM@60` sends then, commits and queues itself again.
    let long = EXPERIMENT.replace("for: 60 ps", "for: 1 us").replace("J: [-7e11 A/m^2, 0, 0]", "J: [$J, 0, 0]");
    std::fs::write(dir.path().join("wall.yaml"), long).unwrap();
    let o = command("sweep s.yaml --out c --pack 64 --commit-every 1000 --slurm --partition test --cpus 1").output().unwrap();
    assert!(o.status.success() && said(&o).contains("job "), "{}", said(&o));
    let clock = Instant::now();
    let logs = || -> Vec<String> {
        let list = std::fs::read_dir(dir.path().join("c/chunks")).into_iter().flatten().flatten();
        list.filter_map(|e| std::fs::read_to_string(e.path().join("log")).ok()).collect()
    };
    let begun = || logs().iter().flat_map(|l| l.lines()).filter(|l| l.starts_with("begins")).count();
    let waits_for = |what: &str, most: u64, done: &dyn Fn() -> bool| {
        while !done() {
            let jobs = slurm.ask("scontrol", &["show", "job"]);
            assert!(clock.elapsed() < Duration::from_secs(most), "{what}: {jobs} {:?}", logs());
            std::thread::sleep(Duration::from_millis(200));
        }
    };
    let state = |word: &str| said(&command("sweep status c").output().unwrap()).contains(word);
    waits_for("it does not run", 60, &|| state("RUNNING") && begun() > 0);
    // One task: of a whole array, scancel would tell those again and again that wait, and then run.
    let running = slurm.ask("squeue", &["-h", "-r", "-t", "RUNNING", "-o", "%F_%K"]);
    let job = running.lines().next().unwrap().trim().to_string();
    std::thread::sleep(Duration::from_millis(500));
    slurm.ask("scancel", &["--batch", "--signal=TERM", &job]);
    waits_for("it is not queued again", 120, &|| slurm.ask("scontrol", &["show", "job", &job]).contains("Restarts=1"));
    assert!(logs().iter().any(|l| l.lines().last().is_some_and(|l| l.starts_with("stopped"))), "{:?}", logs());
    if points > 100 {
        // Slurm lets it wait for up to two minutes.
        let again = || logs().iter().any(|l| l.lines().filter(|l| l.starts_with("begins")).count() > 1);
        waits_for("it does not begin again", 400, &again);
        println!("told that its time was over, a task was queued again and went on after {:.0} s", clock.elapsed().as_secs_f64());
    }
    // Submitting again submits nothing that is queued.
    let o = command("sweep s.yaml --out c --slurm --partition test").output().unwrap();
    assert!(o.status.success() && !said(&o).contains("job "), "{}", said(&o));
    assert!(said(&command("sweep cancel c").output().unwrap()).contains("1 jobs"));
    let clock = Instant::now();
    while slurm.ask("squeue", &["-h"]).lines().count() > 0 {
        assert!(clock.elapsed() < Duration::from_secs(120), "{}", slurm.ask("squeue", &[]));
        std::thread::sleep(Duration::from_millis(200));
    }
}
