//! One self-contained page: every figure and number with the command and the hash behind it.

use super::network::Trained;
use crate::pipeline::{Context, Stage, write_whole};
use crate::report::{confusion, escape, page, svg, table};
use spinloom_base::{Diagnostic, Fields, Node, Problems};
use spinloom_card::Card;
use spinloom_extract::{Line, Plot};
use spinloom_record::Record;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// `report: {title: TEXT, of: [stages]}`
pub struct Report {
    title: String,
    of: Vec<String>,
}

impl Report {
    /// Reads it.
    pub fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        let mut f = Fields::of(node, "a report", problems)?;
        let title = f.required("title", problems).and_then(|n| n.text(problems)).map(str::to_string);
        let of = f.required("of", problems).and_then(|n| n.list(problems)?.iter().map(|n| n.text(problems).map(str::to_string)).collect());
        f.finish(problems);
        Some(Self { title: title?, of: of? })
    }
}

impl Stage for Report {
    fn kind(&self) -> &'static str {
        "report"
    }

    fn needs(&self) -> Vec<String> {
        self.of.clone()
    }

    fn files(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    fn settings(&self) -> String {
        self.title.clone()
    }

    fn outputs(&self) -> Vec<PathBuf> {
        vec!["report.html".into()]
    }

    fn run(&self, context: &Context<'_>) -> Result<(), Problems> {
        let mut body = String::new();
        let stages: BTreeMap<&str, _> = context.stages().map(|(n, p, s)| (n.as_str(), (p, s))).collect();
        for name in &self.of {
            let Some((path, stamp)) = stages.get(name.as_str()) else { continue };
            let origin = origin(context, name, &stamp.outputs, stamp.seconds);
            match stamp.kind.as_str() {
                "simulate" => simulated(&mut body, name, path, &origin)?,
                "extract" => extracted(&mut body, name, path, &origin)?,
                "network" => trained(&mut body, name, path, &origin)?,
                _ => {
                    let _ = write!(body, "<h2>{}</h2>{origin}", escape(name));
                }
            }
        }
        write_whole(&context.folder.join("report.html"), page(&self.title, &body).as_bytes())
    }
}

fn origin(context: &Context<'_>, name: &str, outputs: &BTreeMap<String, String>, seconds: f64) -> String {
    let files: Vec<String> = outputs.iter().map(|(f, h)| format!("{f} sha256 {h}")).collect();
    format!(
        "<p class=\"origin\">made by <code>{} --only {}</code> in {seconds:.0} s; {}</p>\n",
        escape(&context.command),
        escape(name),
        escape(&files.join(", "))
    )
}

fn figure(body: &mut String, plot: &Plot, origin: &str) {
    let _ = writeln!(body, "<figure>{}<figcaption>{}</figcaption>{origin}</figure>", svg(plot), escape(&plot.title));
}

fn json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, Problems> {
    let cannot = |e: &dyn std::fmt::Display| Problems::from(Diagnostic::file(path.display().to_string(), e.to_string()));
    let text = std::fs::read_to_string(path).map_err(|e| cannot(&e))?;
    serde_json::from_str(&text).map_err(|e| cannot(&e))
}

/// Position of the wall in time, per replica; what was simulated.
fn simulated(body: &mut String, name: &str, path: &Path, origin: &str) -> Result<(), Problems> {
    let record = Record::open(path)?;
    let h = record.header();
    let _ = write!(
        body,
        "<h2>Simulation: {}</h2>\n<p>{} replica(s) of {} x {} x {} cells of {:.3} x {:.3} x {:.3} nm, {} precision on {}. Content {}.</p>\n",
        escape(name),
        h.replicas.len(),
        h.mesh.n[0],
        h.mesh.n[1],
        h.mesh.n[2],
        1e9 * h.mesh.cell[0],
        1e9 * h.mesh.cell[1],
        1e9 * h.mesh.cell[2],
        h.precision.name(),
        escape(&h.device),
        record.content_hash()?
    );
    let mut rows = vec![vec!["parameter".to_string(), "value".into(), "unit".into()]];
    rows.extend(h.parameters.iter().map(|p| vec![p.name.clone(), p.value.clone(), p.unit.clone()]));
    body.push_str(&table(&rows));
    if h.columns.iter().any(|c| c.name == "wall_x") {
        let shown = h.replicas.len().min(8);
        let every = h.replicas.len().div_ceil(shown.max(1));
        let lines = (0..h.replicas.len())
            .step_by(every.max(1))
            .map(|r| {
                Ok(Line { label: h.replicas[r].label.clone(), measured: true, x: record.column("t", r)?, y: record.column("wall_x", r)? })
            })
            .collect::<Result<Vec<_>, Problems>>()?;
        let lines = lines.into_iter().map(|l| if l.x.len() > 200 { l } else { Line { measured: false, ..l } }).collect();
        let plot = Plot {
            name: format!("{name} wall"),
            title: "Position of the domain wall".into(),
            x: ("time".into(), "s".into()),
            y: ("wall position from the centre of the track".into(), "m".into()),
            lines,
        };
        figure(body, &plot, origin);
    } else {
        body.push_str(origin);
    }
    Ok(())
}

fn number(v: f64) -> String {
    if v == 0.0 || (1e-3..1e5).contains(&v.abs()) { format!("{v:.4}") } else { format!("{v:.4e}") }
}

fn card_rows(card: &Card) -> Vec<Vec<String>> {
    let mut rows = vec![vec!["parameter".to_string(), "value".into(), "95 % interval".into(), "unit".into(), "origin".into()]];
    rows.extend(card.parameters.iter().map(|(n, p)| {
        let interval = p.interval.map_or_else(String::new, |[a, b]| format!("{} … {}", number(a), number(b)));
        vec![n.clone(), number(p.value), interval, p.unit.clone(), p.origin.clone()]
    }));
    rows
}

fn extracted(body: &mut String, name: &str, path: &Path, origin: &str) -> Result<(), Problems> {
    let card = Card::read(path)?;
    let _ = write!(
        body,
        "<h2>Model: {}</h2>\n<p>{} ({}): <code>{}</code></p>\n",
        escape(&card.name),
        escape(&card.model.name),
        escape(name),
        escape(&card.model.equation)
    );
    body.push_str(&table(&card_rows(&card)));
    let _ = writeln!(
        body,
        "<p>Misfit over the swing: {:.2} % on the data of the fit, {:.2} % on held-out protocols ({}). {}</p>",
        100.0 * card.fit.nrmse,
        100.0 * card.fit.nrmse_held_out,
        escape(&card.fit.held_out.join(", ")),
        escape(&card.fit.note)
    );
    if let Some(p) = &card.fit.per_pulse {
        let _ = writeln!(
            body,
            "<p>Pulse by pulse, started from where the membrane is: {:.2} %, {:.2} % held out. With the parameters above the end of a gap scatters by {:.2} % \
             around the model, a random walk from pulse to pulse.</p>",
            100.0 * p.nrmse,
            100.0 * p.nrmse_held_out,
            100.0 * p.scatter
        );
    }
    for u in &card.undetermined {
        let _ = writeln!(body, "<p class=\"note\">Not determined: {}</p>", escape(u));
    }
    if !card.fit.rivals.is_empty() {
        let mut rows = vec![
            ["model", "parameters", "misfit (%)", "held out (%)", "pulse by pulse, held out (%)", "held-out log-likelihood"]
                .map(String::from)
                .to_vec(),
        ];
        rows.extend(card.fit.rivals.iter().map(|r| {
            vec![
                r.model.clone(),
                r.parameters.to_string(),
                format!("{:.2}", 100.0 * r.nrmse),
                format!("{:.2}", 100.0 * r.nrmse_held_out),
                r.nrmse_per_pulse_held_out.map_or("–".into(), |n| format!("{:.2}", 100.0 * n)),
                number(r.held_out_log_likelihood),
            ]
        }));
        body.push_str("<h3>Rivals on the same data</h3>\n");
        body.push_str(&table(&rows));
    }
    if !card.events.is_empty() {
        let mut rows = vec![["event", "energy (J)", "latency (s)", "origin"].map(String::from).to_vec()];
        let show = |v: Option<f64>| v.map_or_else(|| "not known".to_string(), number);
        rows.extend(card.events.iter().map(|(n, e)| vec![n.clone(), show(e.energy), show(e.latency), e.origin.clone()]));
        body.push_str(&table(&rows));
    }
    for (title, t) in &card.tables {
        let _ = writeln!(body, "<h3>{}: {}</h3>", escape(title), escape(&t.about));
        let mut rows = vec![t.columns.iter().map(|(n, u)| if u == "1" { n.clone() } else { format!("{n} ({u})") }).collect::<Vec<_>>()];
        let count = t.values.first().map_or(0, Vec::len);
        rows.extend((0..count).map(|i| t.values.iter().map(|c| if c[i].is_nan() { "–".into() } else { number(c[i]) }).collect()));
        body.push_str(&table(&rows));
    }
    #[derive(serde::Deserialize)]
    struct Plots {
        plots: Vec<RawPlot>,
        notes: Vec<String>,
    }
    // A not-a-number is written as null in JSON.
    #[derive(serde::Deserialize)]
    struct RawPlot {
        name: String,
        title: String,
        x: (String, String),
        y: (String, String),
        lines: Vec<RawLine>,
    }
    #[derive(serde::Deserialize)]
    struct RawLine {
        label: String,
        measured: bool,
        x: Vec<Option<f64>>,
        y: Vec<Option<f64>>,
    }
    let extraction: Plots = json(&path.with_file_name("extraction.json"))?;
    let values = |v: Vec<Option<f64>>| v.into_iter().map(|x| x.unwrap_or(f64::NAN)).collect();
    for p in extraction.plots {
        let lines = p.lines.into_iter().map(|l| Line { label: l.label, measured: l.measured, x: values(l.x), y: values(l.y) }).collect();
        figure(body, &Plot { name: p.name, title: p.title, x: p.x, y: p.y, lines }, origin);
    }
    for n in extraction.notes {
        let _ = writeln!(body, "<p class=\"note\">{}</p>", escape(&n));
    }
    Ok(())
}

fn trained(body: &mut String, name: &str, path: &Path, origin: &str) -> Result<(), Problems> {
    let all: Vec<Trained> = json(path)?;
    let _ = writeln!(body, "<h2>Network: {}</h2>", escape(name));
    if all.iter().any(|t| t.report.stand_in) {
        body.push_str("<p class=\"note\">Trained on digits drawn by this program, not on MNIST: give <code>--data FOLDER</code> for the real sets.</p>\n");
    }
    let mut rows = vec![
        [
            "data",
            "neuron",
            "seeds",
            "train (%)",
            "test (%)",
            "spikes per inference",
            "drive below / above range (%)",
            "energy per inference (J)",
            "latency (s)",
            "epoch (s)",
        ]
        .map(String::from)
        .to_vec(),
    ];
    let mut groups: BTreeMap<(String, String), Vec<&Trained>> = BTreeMap::new();
    for t in &all {
        groups.entry((t.report.data.clone(), t.neuron.clone())).or_default().push(t);
    }
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
    let spread = |v: &[f64]| {
        let m = mean(v);
        if v.len() < 2 {
            String::new()
        } else {
            format!(" ± {:.2}", (v.iter().map(|x| (x - m).powi(2)).sum::<f64>() / (v.len() - 1) as f64).sqrt())
        }
    };
    for ((data, neuron), list) in &groups {
        let pick = |f: &dyn Fn(&Trained) -> f64| list.iter().map(|t| f(t)).collect::<Vec<_>>();
        let test = pick(&|t| 100.0 * t.report.test.accuracy);
        let train = pick(&|t| 100.0 * t.report.train_accuracy);
        let spikes = pick(&|t| t.report.test.layers.iter().map(|l| l.spikes).sum());
        let drive = |f: fn(&spinloom_network::LayerActivity) -> f64| {
            let per: Vec<f64> = list.iter().flat_map(|t| t.report.test.layers.iter().map(f)).collect();
            100.0 * mean(&per)
        };
        let cost = list[0].report.test.cost.as_ref();
        rows.push(vec![
            data.clone(),
            neuron.clone(),
            list.len().to_string(),
            format!("{:.2}{}", mean(&train), spread(&train)),
            format!("{:.2}{}", mean(&test), spread(&test)),
            format!("{:.0}", mean(&spikes)),
            format!("{:.1} / {:.1}", drive(|l| l.drive_below), drive(|l| l.drive_above)),
            cost.and_then(|c| c.energy).map_or_else(|| "not known".into(), number),
            cost.map_or_else(|| "–".into(), |c| number(c.latency)),
            format!("{:.1}", list[0].report.epochs.iter().map(|e| e.seconds).fold(f64::INFINITY, f64::min)),
        ]);
    }
    body.push_str(&table(&rows));
    body.push_str(origin);
    if let Some(t) = all.iter().find(|t| t.neuron == "card") {
        body.push_str("<h3>What the card makes of the network</h3>\n<pre>");
        t.report.neuron.lines.iter().for_each(|l| {
            let _ = writeln!(body, "{}", escape(l));
        });
        body.push_str("</pre>\n");
    }
    let mut shown: Vec<String> = Vec::new();
    for t in &all {
        let key = format!("{} {}", t.report.data, t.neuron);
        if shown.contains(&key) {
            continue;
        }
        shown.push(key.clone());
        let epochs: Vec<f64> = t.report.epochs.iter().map(|e| e.epoch as f64).collect();
        let line = |label: &str, y: Vec<f64>| Line { label: label.into(), measured: false, x: epochs.clone(), y };
        let plot = Plot {
            name: key.clone(),
            title: format!(
                "{key}, seed {}: accuracy while training; epoch {} was kept, chosen on images set aside from training",
                t.seed, t.report.chosen_epoch
            ),
            x: ("epoch".into(), "1".into()),
            y: ("accuracy".into(), "%".into()),
            lines: vec![
                line("training", t.report.epochs.iter().map(|e| 100.0 * e.train_accuracy).collect()),
                line("validation", t.report.epochs.iter().map(|e| e.validation_accuracy.map_or(f64::NAN, |a| 100.0 * a)).collect()),
            ],
        };
        figure(body, &plot, origin);
        let _ = writeln!(body, "<p>{}: confusion matrix of the {} test images</p>", escape(&key), t.report.test.images);
        body.push_str(&confusion(&t.report.classes, &t.report.test.confusion));
        if let Some(c) = &t.report.crossbar {
            let _ = write!(body, "<p>Binary crossbar: {:.2} % with every conductance on target", 100.0 * c.nominal_accuracy);
            if let Some((m, s)) = c.over_chips() {
                let _ = write!(
                    body,
                    ", {:.2} % {} over {} chips with spread and noise",
                    100.0 * m,
                    s.map_or(String::new(), |s| format!("± {:.2}", 100.0 * s)),
                    c.chip_accuracies.len()
                );
            }
            body.push_str("</p>\n");
        }
    }
    Ok(())
}
