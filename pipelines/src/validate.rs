//! `spinloom validate`: runs the standard problems and closed forms on a device and writes what came out.

use crate::pipeline::write_whole;
use crate::report::{escape, page, svg, table};
use spinloom_base::{Diagnostic, Problems};
use spinloom_solver::{DeviceChoice, devices};
use spinloom_validate::{PROBLEMS, Problem, Report, Setting, Verdict};
use std::fmt::Write;
use std::path::PathBuf;
use std::time::Instant;

/// What is asked for.
#[derive(clap::Args)]
pub struct Options {
    /// Which; by default all. `list` lists them.
    problems: Vec<String>,
    /// The device: `cpu`, `vulkan`, `cuda`, `vulkan:1`, … or `auto`.
    #[arg(long, default_value = "cpu")]
    device: String,
    /// `f32` or `f64`; by default what the device does best.
    #[arg(long)]
    precision: Option<String>,
    /// Coarser meshes, fewer points, shorter times: three minutes on two cores.
    #[arg(long)]
    quick: bool,
    /// Folder for the report, `validation.html`.
    #[arg(long, short)]
    out: Option<PathBuf>,
    /// Problems at a time; by default one per core on the processor, one on other devices.
    #[arg(long)]
    workers: Option<usize>,
}

/// Runs what is asked for; succeeds if nothing fails.
pub fn validate(options: &Options) -> Result<u8, Problems> {
    if options.problems.iter().any(|w| w == "list") {
        PROBLEMS.iter().for_each(|p| crate::out::say!("{:<18} {}", p.name, p.about));
        return Ok(0);
    }
    let chosen = choose(&options.problems)?;
    let on_processor = options.device == "cpu";
    let precision = options.precision.as_deref().unwrap_or(if options.device.starts_with("cpu") { "f64" } else { "f32" });
    let device = DeviceChoice::parse(&options.device, precision)?;
    let name = device.to_string();
    let listed = devices::list().into_iter().find(|d| name.split(',').next() == Some(d.name.as_str()));
    let machine = listed.map_or_else(|| name.clone(), |d| format!("{name}: {}", d.about));
    // What is asked for by name runs, however long it takes.
    let software = options.problems.is_empty() && machine.contains("plays a graphics device");
    let setting = Setting { device, quick: options.quick, software };
    let workers = options.workers.unwrap_or(if on_processor { spinloom_solver::threads() } else { 1 });
    let clock = Instant::now();
    let reports = spinloom_validate::run(&chosen, setting, workers, |r| crate::out::say!("{}", r.to_string().trim_end()));
    let seconds = clock.elapsed().as_secs_f64();
    let count = |f: &dyn Fn(&Verdict) -> bool| reports.iter().filter(|r| f(&r.verdict)).count();
    let (held, skipped) = (count(&|v| *v == Verdict::Holds), count(&|v| matches!(v, Verdict::Skipped(_))));
    let failed = reports.len() - held - skipped;
    let summary = format!("{held} of {} problems hold, {failed} fail, {skipped} are skipped; {seconds:.0} s on {machine}", reports.len());
    crate::out::say!("{summary}");
    if let Some(folder) = &options.out {
        let file = folder.join("validation.html");
        std::fs::create_dir_all(folder).map_err(|e| Diagnostic::file(folder.display().to_string(), format!("cannot be made: {e}")))?;
        write_whole(&file, html(&reports, &summary, options.quick).as_bytes())?;
        crate::out::say!("{}", file.display());
    }
    Ok(if failed == 0 { 0 } else { 1 })
}

/// The problems of these names, or all.
fn choose(wanted: &[String]) -> Result<Vec<&'static Problem>, Problems> {
    let mut problems = Problems::new();
    for w in wanted.iter().filter(|w| PROBLEMS.iter().all(|p| p.name != **w)) {
        let hint = match spinloom_base::diagnostics::nearest(w, PROBLEMS.iter().map(|p| p.name)) {
            Some(n) => format!("did you mean `{n}`?"),
            None => "`spinloom validate list` lists them".into(),
        };
        problems.push(Diagnostic::error(format!("there is no problem `{w}`")).hint(hint));
    }
    problems.into_result(Some(()))?;
    Ok(PROBLEMS.iter().filter(|p| wanted.is_empty() || wanted.iter().any(|w| w == p.name)).collect())
}

/// One word for a verdict.
fn word(v: &Verdict) -> &'static str {
    match v {
        Verdict::Holds => "holds",
        Verdict::Fails | Verdict::Refused(_) => "FAILS",
        Verdict::Skipped(_) => "skipped",
    }
}

/// A number with the digits that its tolerance leaves of interest.
fn number(x: f64) -> String {
    if x == 0.0 || (1e-3..1e6).contains(&x.abs()) {
        format!("{x:.7}").trim_end_matches('0').trim_end_matches('.').into()
    } else {
        format!("{x:.4e}")
    }
}

fn html(reports: &[Report], summary: &str, quick: bool) -> String {
    let mut body = String::new();
    let command: Vec<String> = std::env::args().collect();
    let form = if quick { "The quick form: coarser meshes, fewer points, shorter times. " } else { "" };
    let _ = write!(
        body,
        "<p><b>{}</b></p>\n<p class=\"origin\">{form}Version {}. Command: <code>{}</code></p>\n",
        escape(summary),
        env!("CARGO_PKG_VERSION"),
        escape(&command.join(" "))
    );
    let mut overview = vec![["problem", "what", "verdict", "worst deviation / tolerance", "seconds"].map(String::from).to_vec()];
    for r in reports {
        // Exact comparisons have no tolerance to measure with.
        let worst = r.checks.iter().filter(|c| c.tolerance > 0.0).map(|c| (c.got - c.want).abs() / c.tolerance).fold(0.0, f64::max);
        overview.push(vec![
            r.name.into(),
            r.about.into(),
            word(&r.verdict).into(),
            if r.checks.is_empty() { String::new() } else { format!("{worst:.2}") },
            format!("{:.1}", r.seconds),
        ]);
    }
    body += &table(&overview);
    for r in reports {
        let _ = write!(body, "<h2 id=\"{0}\">{0}: {1}</h2>\n<p>{2}</p>\n", escape(r.name), escape(r.about), escape(r.source));
        match &r.verdict {
            Verdict::Skipped(why) | Verdict::Refused(why) => {
                let _ = writeln!(body, "<p class=\"note\">{}: {}</p>", word(&r.verdict), escape(why));
                continue;
            }
            Verdict::Holds | Verdict::Fails => {}
        }
        let _ = writeln!(
            body,
            "<p class=\"origin\">{}; {} cells, {} evaluations, {:.1} s</p>",
            word(&r.verdict),
            r.cells,
            r.evaluations,
            r.seconds
        );
        for plot in &r.plots {
            let _ = writeln!(body, "<figure>{}<figcaption>{}</figcaption></figure>", svg(plot), escape(&plot.title));
        }
        let mut rows = vec![["compared", "here", "reference", "deviation", "tolerance", "why", "verdict"].map(String::from).to_vec()];
        for c in &r.checks {
            let verdict = if c.holds() { "ok" } else { "FAILS" };
            rows.push(vec![
                c.what.clone(),
                number(c.got),
                number(c.want),
                format!("{:.1e}", (c.got - c.want).abs()),
                format!("{:.1e}", c.tolerance),
                c.reason.into(),
                verdict.into(),
            ]);
        }
        body += &table(&rows);
    }
    page("Validation of spinloom", &body)
}
