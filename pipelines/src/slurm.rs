//! Array jobs of Slurm for a sweep's chunks. A task runs one chunk; killed by its time limit or with its node it is queued again and goes on where its last
//! commit was. Only `sbatch`, `squeue`, `scancel` and `scontrol` are used, as any user has them.

use crate::pipeline::write_whole;
use clap::Args;
use spinloom_base::{Diagnostic, Problems};
use std::collections::BTreeMap;
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

/// Ids of the jobs that a sweep has submitted.
fn jobs(out: &Path) -> Vec<String> {
    std::fs::read_to_string(out.join("slurm/jobs")).unwrap_or_default().lines().map(str::to_string).collect()
}

/// Tasks of a sweep in the queue: job, task, state.
fn tasks(out: &Path) -> Result<Vec<(String, String, String)>, Problems> {
    let jobs = jobs(out);
    if jobs.is_empty() {
        return Ok(Vec::new());
    }
    // A job that is long over is an error to squeue if it is the only one asked for: then all of the user's are listed.
    let lines = call("squeue", &["-h".into(), "-r".into(), "-o".into(), "%F %K %T".into()])?;
    let parse = |l: &str| {
        let mut words = l.split_whitespace().map(str::to_string);
        Some((words.next()?, words.next()?, words.next()?))
    };
    Ok(lines.lines().filter_map(parse).filter(|(job, ..)| jobs.contains(job)).collect())
}

/// How many tasks of a sweep are in which state.
pub fn queued(out: &Path) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    tasks(out).unwrap_or_default().into_iter().for_each(|(.., state)| *counts.entry(state).or_default() += 1);
    counts
}

/// Ends a sweep's jobs; how many there were.
///
/// # Errors
/// What Slurm says.
pub fn cancel(out: &Path) -> Result<usize, Problems> {
    let mut left: Vec<String> = tasks(out)?.into_iter().map(|(job, ..)| job).collect();
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

/// The batch script of tasks that run these chunks.
fn script(o: &Options, out: &Path, file: &Path, count: usize, commit_every: f64) -> Result<String, Problems> {
    let absolute = |p: &Path| std::path::absolute(p).unwrap_or_else(|_| p.to_path_buf());
    let program = std::env::current_exe().map_err(|e| Diagnostic::error(format!("where this program is cannot be found: {e}")))?;
    let quoted = |p: PathBuf| format!("'{}'", p.display().to_string().replace('\'', "'\\''"));
    let mut head = vec![
        format!("--array=0-{}{}", count - 1, o.throttle.map_or(String::new(), |n| format!("%{n}"))),
        "--job-name=spinloom".into(),
        format!("--output={}/%A_%a.log", absolute(&out.join("slurm")).display()),
        "--open-mode=append".into(),
        "--requeue".into(),
        // To the script, a minute before the time is over.
        "--signal=B:TERM@60".into(),
    ];
    let mut add = |key: &str, value: &Option<String>| head.extend(value.as_ref().map(|v| format!("--{key}={v}")));
    add("partition", &o.partition);
    add("time", &o.time);
    add("account", &o.account);
    add("mem", &o.mem);
    add("gres", &o.gpus.as_ref().map(|g| format!("gpu:{g}")));
    add("cpus-per-task", &o.cpus.map(|n| n.to_string()));
    let head: String = head.iter().chain(&o.sbatch).map(|l| format!("#SBATCH {l}\n")).collect();
    Ok(format!(
        "#!/bin/bash\n{head}\
         chunk=$(sed -n \"$((SLURM_ARRAY_TASK_ID + 1))p\" {folder}/\"$SLURM_ARRAY_JOB_ID\".list)\n\
         {program} sweep {file} --out {out} --chunk \"$chunk\" --commit-every {commit_every} &\n\
         worker=$!\n\
         # Slurm's signal reaches this shell; the program commits and ends with 75, \"resume me\".\n\
         trap 'kill -TERM $worker 2>/dev/null' TERM\n\
         wait $worker; code=$?\n\
         while kill -0 $worker 2>/dev/null; do wait $worker; code=$?; done\n\
         if [ $code = 75 ] && [ ! -e {folder}/\"$SLURM_ARRAY_JOB_ID\".cancelled ]; then scontrol requeue \"${{SLURM_ARRAY_JOB_ID}}_${{SLURM_ARRAY_TASK_ID}}\"; sleep 60; fi\n\
         exit $code\n",
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
    let list_of = |job: &str| -> Vec<u64> {
        let text = std::fs::read_to_string(folder.join(format!("{job}.list"))).unwrap_or_default();
        text.lines().filter_map(|l| l.parse().ok()).collect()
    };
    let waiting: Vec<u64> = queued.iter().filter_map(|(job, task, _)| list_of(job).get(task.parse::<usize>().ok()?).copied()).collect();
    let new: Vec<u64> = chunks.iter().copied().filter(|c| !waiting.contains(c)).collect();
    for part in new.chunks(largest_array()) {
        let list = folder.join("next.list");
        let text: String = part.iter().map(|c| format!("{c}\n")).collect();
        write_whole(&list, text.as_bytes())?;
        // The job's own list has its number, which is known only once it is submitted: it is held until then.
        let batch = folder.join("next.sh");
        let body = script(o, out, file, part.len(), commit_every)?;
        write_whole(&batch, body.as_bytes())?;
        let said = call("sbatch", &["--parsable".into(), "--hold".into(), batch.display().to_string()])?;
        let job = said.trim().split(';').next().unwrap_or_default().to_string();
        std::fs::rename(&list, folder.join(format!("{job}.list")))
            .map_err(|e| Diagnostic::file(list.display().to_string(), e.to_string()))?;
        let all: String = jobs(out).into_iter().chain([job.clone()]).map(|j| j + "\n").collect();
        write_whole(&folder.join("jobs"), all.as_bytes())?;
        call("scontrol", &["release".into(), job.clone()])?;
        eprintln!("job {job}: {} tasks", part.len());
    }
    if !o.wait {
        return Ok(Came::Submitted);
    }
    let mut pause = Duration::from_millis(500);
    while !tasks(out)?.is_empty() {
        if stopped() {
            return Ok(Came::Interrupted);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_secs(10));
    }
    Ok(Came::Ended)
}
