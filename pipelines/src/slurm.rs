//! Array jobs of Slurm for a sweep's chunks. A task runs one chunk; killed by its time limit or with its node it is queued again and goes on where its last
//! commit was. Only `sbatch`, `squeue`, `scancel` and `scontrol` are used, as any user has them.

use crate::pipeline::write_whole;
use clap::Args;
use spinloom_base::{Diagnostic, Problems};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// What jobs ask for.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Of --slurm: the partition.
    #[arg(long, requires = "slurm")]
    pub partition: Option<String>,
    /// Of --slurm: time limit of a task, e.g. `4:00:00`. A task that reaches it commits and is queued again.
    #[arg(long, requires = "slurm")]
    pub time: Option<String>,
    /// Of --slurm: the account.
    #[arg(long, requires = "slurm")]
    pub account: Option<String>,
    /// Of --slurm: cores of a task.
    #[arg(long, requires = "slurm")]
    pub cpus: Option<usize>,
    /// Of --slurm: what is asked of a task's graphics cards, e.g. `1` or `a100:1`; the experiment says `device: cuda`.
    #[arg(long, requires = "slurm")]
    pub gpus: Option<String>,
    /// Of --slurm: memory of a task, e.g. `4G`.
    #[arg(long, requires = "slurm")]
    pub mem: Option<String>,
    /// Of --slurm: at most so many tasks at once.
    #[arg(long, requires = "slurm")]
    pub throttle: Option<usize>,
    /// Of --slurm: waits for the jobs, submits further rounds, and collects.
    #[arg(long, requires = "slurm")]
    pub wait: bool,
    /// Of --slurm: more options for sbatch, e.g. `--sbatch=--qos=long`.
    #[arg(long, requires = "slurm", allow_hyphen_values = true)]
    pub sbatch: Vec<String>,
}

/// What came of submitting.
#[derive(PartialEq)]
pub enum Came {
    /// Jobs are queued; nobody waits.
    Submitted,
    /// No job of the sweep is left in the queue.
    Ended,
    /// A signal came while waiting; the jobs go on.
    Interrupted,
}

fn call(program: &str, arguments: &[String]) -> Result<String, Problems> {
    let output = Command::new(program).args(arguments).output().map_err(|e| {
        Problems::from(
            Diagnostic::error(format!("`{program}` cannot be started: {e}"))
                .hint("--slurm needs Slurm's commands on the PATH; without it the sweep runs here"),
        )
    })?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr).trim().to_string();
        return Err(Diagnostic::error(format!("`{program} {}`: {words}", arguments.join(" "))).into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Names of the jobs that a sweep has submitted, or was about to submit. Each is a job's alone, and the name of its list of chunks.
fn jobs(out: &Path) -> Vec<String> {
    std::fs::read_to_string(out.join("slurm/jobs")).unwrap_or_default().lines().map(str::to_string).collect()
}

/// A task in the queue.
struct Task {
    job: String,
    index: String,
    state: String,
    name: String,
}

/// Tasks of a sweep in the queue.
fn tasks(out: &Path) -> Result<Vec<Task>, Problems> {
    let jobs = jobs(out);
    if jobs.is_empty() {
        return Ok(Vec::new());
    }
    // Of all the user's jobs: one that is long over is an error to squeue if it is asked for.
    let lines = call("squeue", &["--me".into(), "-h".into(), "-r".into(), "-o".into(), "%F %K %T %j".into()])?;
    let parse = |l: &str| {
        let mut words = l.split_whitespace().map(str::to_string);
        Some(Task { job: words.next()?, index: words.next()?, state: words.next()?, name: words.next()? })
    };
    Ok(lines.lines().filter_map(parse).filter(|t| jobs.contains(&t.name)).collect())
}

/// How many tasks of a sweep are in which state.
pub fn queued(out: &Path) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    tasks(out).unwrap_or_default().into_iter().for_each(|t| *counts.entry(t.state).or_default() += 1);
    counts
}

/// Ends a sweep's jobs; how many there were.
///
/// # Errors
/// What Slurm says.
pub fn cancel(out: &Path) -> Result<usize, Problems> {
    let mut left: Vec<String> = tasks(out)?.into_iter().map(|t| t.job).collect();
    left.sort();
    left.dedup();
    if !left.is_empty() {
        // A task that is told to stop would queue itself again, were it not for this.
        for job in &left {
            write_whole(&out.join("slurm").join(format!("{job}.cancelled")), b"")?;
        }
        call("scancel", &left)?;
    }
    Ok(left.len())
}

/// The largest index an array may have.
fn largest_array() -> usize {
    let text = call("scontrol", &["show".into(), "config".into()]).unwrap_or_default();
    let value = |l: &str| l.strip_prefix("MaxArraySize")?.split('=').nth(1)?.trim().parse::<usize>().ok();
    // One more than the largest index; 1001 is Slurm's default.
    text.lines().find_map(value).unwrap_or(1001).saturating_sub(1).max(1)
}

/// What sbatch is told about a job of so many tasks.
fn asked(o: &Options, out: &Path, name: &str, count: usize) -> Vec<String> {
    // In sbatch's patterns a percent sign begins a number.
    let logs = absolute(&out.join("slurm")).display().to_string().replace('%', "%%");
    let mut list = vec![
        format!("--array=0-{}{}", count - 1, o.throttle.map_or(String::new(), |n| format!("%{n}"))),
        format!("--output={logs}/%A_%a.log"),
        "--open-mode=append".into(),
        "--requeue".into(),
        // To the script, a minute before the time is over.
        "--signal=B:TERM@60".into(),
    ];
    let mut add = |key: &str, value: &Option<String>| list.extend(value.as_ref().map(|v| format!("--{key}={v}")));
    add("partition", &o.partition);
    add("time", &o.time);
    add("account", &o.account);
    add("mem", &o.mem);
    add("gres", &o.gpus.as_ref().map(|g| format!("gpu:{g}")));
    add("cpus-per-task", &o.cpus.map(|n| n.to_string()));
    list.extend(o.sbatch.iter().cloned());
    // Last, since it is how the job is found again.
    list.push(format!("--job-name={name}"));
    list
}

fn absolute(p: &Path) -> PathBuf {
    std::path::absolute(p).unwrap_or_else(|_| p.to_path_buf())
}

/// The batch script of tasks that run the chunks of a list.
fn script(out: &Path, file: &Path, list: &Path, commit_every: f64) -> Result<String, Problems> {
    let program = std::env::current_exe().map_err(|e| Diagnostic::error(format!("where this program is cannot be found: {e}")))?;
    let quoted = |p: PathBuf| format!("'{}'", p.display().to_string().replace('\'', "'\\''"));
    Ok(format!(
        "#!/bin/bash\n\
         chunk=$(sed -n \"$((SLURM_ARRAY_TASK_ID + 1))p\" {list})\n\
         # Slurm's signal reaches this shell, and ends its waiting; the program commits and ends with 75, \"resume me\". One that did not listen yet ends with 143.\n\
         trap 'told=1; over=1; kill -TERM $worker 2>/dev/null' TERM\n\
         {program} sweep {file} --out {out} --chunk \"$chunk\" --commit-every {commit_every} &\n\
         worker=$!\n\
         [ \"$over\" ] && kill -TERM $worker 2>/dev/null\n\
         while told=; wait $worker; code=$?; [ \"$told\" ]; do :; done\n\
         [ \"$over\" ] && [ $code = 143 ] && code=75\n\
         if [ $code = 75 ] && [ ! -e {folder}/\"$SLURM_ARRAY_JOB_ID\".cancelled ]; then scontrol requeue \"${{SLURM_ARRAY_JOB_ID}}_${{SLURM_ARRAY_TASK_ID}}\"; sleep 60; fi\n\
         exit $code\n",
        list = quoted(absolute(list)),
        folder = quoted(absolute(&out.join("slurm"))),
        program = quoted(program),
        file = quoted(absolute(file)),
        out = quoted(absolute(out)),
    ))
}

/// Submits jobs for chunks that are in no job yet.
///
/// # Errors
/// What Slurm says.
pub fn submit(
    o: &Options,
    out: &Path,
    file: &Path,
    chunks: &[u64],
    commit_every: f64,
    stopped: &dyn Fn() -> bool,
) -> Result<Came, Problems> {
    let folder = out.join("slurm");
    std::fs::create_dir_all(&folder).map_err(|e| Diagnostic::file(folder.display().to_string(), format!("cannot be made: {e}")))?;
    // What is in the queue already is not submitted again.
    let queued = tasks(out)?;
    let list_of = |name: &str| -> Vec<u64> {
        let text = std::fs::read_to_string(folder.join(format!("{name}.list"))).unwrap_or_default();
        text.lines().filter_map(|l| l.parse().ok()).collect()
    };
    let waiting: Vec<u64> = queued.iter().filter_map(|t| list_of(&t.name).get(t.index.parse::<usize>().ok()?).copied()).collect();
    let new: Vec<u64> = chunks.iter().copied().filter(|c| !waiting.contains(c)).collect();
    for part in new.chunks(largest_array()) {
        // Everything that finds the job again is written before there is one: a submission that is cut off leaves no job that nobody knows of.
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let name = format!("spinloom-{}-{}", now.as_nanos(), std::process::id());
        let (list, batch) = (folder.join(format!("{name}.list")), folder.join(format!("{name}.sh")));
        let text: String = part.iter().map(|c| format!("{c}\n")).collect();
        write_whole(&list, text.as_bytes())?;
        write_whole(&batch, script(out, file, &list, commit_every)?.as_bytes())?;
        let path = folder.join("jobs");
        let mut jobs = std::fs::OpenOptions::new().create(true).append(true).open(&path);
        jobs.as_mut()
            .map_err(|e| std::io::Error::new(e.kind(), e.to_string()))
            .and_then(|f| f.write_all(format!("{name}\n").as_bytes()).and_then(|()| f.sync_all()))
            .map_err(|e| Diagnostic::file(path.display().to_string(), format!("cannot be written: {e}")))?;
        let said =
            call("sbatch", &[vec!["--parsable".into()], asked(o, out, &name, part.len()), vec![batch.display().to_string()]].concat())?;
        let job = said.trim().split(';').next().unwrap_or_default().to_string();
        eprintln!("job {job}: {} tasks", part.len());
    }
    if !o.wait {
        return Ok(Came::Submitted);
    }
    let mut pause = Duration::from_millis(500);
    // Busy controllers do not always answer.
    let mut failures = 0;
    loop {
        match tasks(out) {
            Ok(left) if left.is_empty() => return Ok(Came::Ended),
            Ok(_) => failures = 0,
            Err(e) => {
                failures += 1;
                if failures > 10 {
                    return Err(e);
                }
            }
        }
        if stopped() {
            return Ok(Came::Interrupted);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_secs(10));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_with_spaces_and_percents_reach_sbatch_whole() {
        let o = Options {
            partition: Some("main".into()),
            time: None,
            account: None,
            cpus: Some(4),
            gpus: None,
            mem: None,
            throttle: Some(3),
            wait: false,
            sbatch: vec!["--qos=long".into(), "--job-name=other".into()],
        };
        let list = asked(&o, Path::new("/a folder/50%"), "spinloom-1", 7);
        assert!(list.contains(&"--output=/a folder/50%%/slurm/%A_%a.log".to_string()) && list.contains(&"--array=0-6%3".to_string()));
        assert!(list.contains(&"--qos=long".to_string()) && list.last().unwrap() == "--job-name=spinloom-1");
    }

    /// The shell that waits for a worker ends with the worker's own code, whenever its signal comes.
    #[test]
    fn the_batch_script_ends_with_its_workers_code() {
        let dir = tempfile::tempdir().unwrap();
        let list = dir.path().join("it's a.list");
        std::fs::write(&list, "0\n").unwrap();
        let text = script(dir.path(), Path::new("s.yaml"), &list, 5.0).unwrap();
        let program = text.lines().find(|l| l.contains("--chunk")).unwrap();
        let batch = dir.path().join("a.sh");
        for k in 0..10 {
            // Every other one does not hear the signal, as a program that has only just begun.
            let hears = if k % 2 == 0 { "trap 'exit 75' TERM; " } else { "trap - TERM; " };
            let text = text.replace(program, &format!("({hears}while :; do sleep 0.01; done) &"));
            std::fs::write(&batch, text.replace("scontrol requeue", "echo requeue").replace("sleep 60", ":")).unwrap();
            let mut shell = Command::new("bash");
            shell.arg(&batch).env("SLURM_ARRAY_TASK_ID", "0").env("SLURM_ARRAY_JOB_ID", "1");
            let mut child = shell.stdout(std::process::Stdio::piped()).spawn().unwrap();
            std::thread::sleep(Duration::from_millis(150 + k));
            assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
            assert_eq!(child.wait().unwrap().code(), Some(75));
            let said = std::io::read_to_string(child.stdout.take().unwrap()).unwrap();
            assert_eq!(said, "requeue 1_0\n");
        }
    }
}
