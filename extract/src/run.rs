//! Does what a configuration asks for: reads, measures, fits, and gathers cards, tables and figures.

use crate::card::{NeuronInputs, neuron_card};
use crate::config::{ExtractConfig, NeuronConfig, Selector, TraceSource};
use crate::energy::Stack;
use crate::events::{Happening, TraceEvents, find};
use crate::fit::{Comparison, Dataset, compare};
use crate::models::membrane;
use crate::trace::Trace;
use crate::velocity::{MapPoint, Regimes, VelocityMap};
use serde::Serialize;
use spinloom_base::units::parse_unit;
use spinloom_base::{Diagnostic, Problems};
use spinloom_card::{Card, Drive, RecordHash, Table};
use spinloom_record::Record;
use statrs::statistics::{Data, OrderStatistics};
use std::collections::BTreeMap;
use std::path::Path;

/// A line, or points, of a figure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    /// What it is.
    pub label: String,
    /// Whether it is measured (points) or modelled (a line).
    pub measured: bool,
    /// Abscissae; `y` has as many.
    pub x: Vec<f64>,
    /// Ordinates; not-a-number where there is none.
    pub y: Vec<f64>,
}

/// A figure, as numbers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plot {
    /// Short name, unique in an extraction.
    pub name: String,
    /// What it shows.
    pub title: String,
    /// Name and unit of the abscissa.
    pub x: (String, String),
    /// Name and unit of the ordinate.
    pub y: (String, String),
    /// What is drawn.
    pub lines: Vec<Line>,
}

/// Everything extracted.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Extraction {
    /// A card per model, the chosen one first.
    pub cards: Vec<Card>,
    /// What each replica of the velocity record did.
    pub velocity: Option<VelocityMap>,
    /// The same, averaged over copies.
    pub map: Vec<MapPoint>,
    /// Borders between the regimes.
    pub regimes: Vec<Regimes>,
    /// Events of every trace used.
    pub events: Vec<TraceEvents>,
    /// The fits.
    pub comparison: Option<Comparison>,
    /// Figures.
    pub plots: Vec<Plot>,
    /// What a reader should know: what was left out, and why.
    pub notes: Vec<String>,
}

/// Extracts. Paths of the configuration are relative to `base`.
///
/// # Errors
/// What is wrong with records, files or the choice of traces, all that was found.
pub fn run(config: &ExtractConfig, base: &Path) -> Result<Extraction, Problems> {
    let mut out = Extraction::default();
    let mut problems = Problems::new();
    let mut tables = BTreeMap::new();
    let mut hashes = Vec::new();
    if let Some(wanted) = &config.velocity {
        let measured = Record::open(&base.join(&wanted.record)).and_then(|record| {
            let map = VelocityMap::measure(&record, &wanted.options)?;
            hashes.push(RecordHash { path: wanted.record.display().to_string(), sha256: record.hash()? });
            Ok(map)
        });
        match measured {
            Ok(map) => {
                tables.extend(
                    [("v_f", map.table_v_f()), ("v_r", map.table_v_r()), ("regimes", map.table_regimes())].map(|(n, t)| (n.into(), t)),
                );
                out.plots.extend(map_plots(&map));
                out.notes.extend(map.rows.iter().filter(|r| r.expelled).map(|r| format!("`{}`: the wall left the strip", r.label)));
                (out.map, out.regimes) = (map.points(), map.regimes(None));
                out.velocity = Some(map);
            }
            Err(p) => problems.extend(p),
        }
    }
    if let Some(wanted) = &config.neuron
        && let Err(p) = neuron(wanted, config.stack.as_ref(), base, tables, hashes, &mut out)
    {
        problems.extend(p);
    }
    for wanted in &config.devices {
        match crate::device::extract(wanted, base) {
            Ok((cards, plots)) => {
                out.cards.extend(cards);
                out.plots.extend(plots);
            }
            Err(p) => problems.extend(p),
        }
    }
    problems.into_result(Some(out))
}

fn neuron(
    wanted: &NeuronConfig,
    stack: Option<&Stack>,
    base: &Path,
    tables: BTreeMap<String, Table>,
    mut hashes: Vec<RecordHash>,
    out: &mut Extraction,
) -> Result<(), Problems> {
    let (traces, read_hashes, recorded) = read(wanted, base, &mut out.notes)?;
    hashes.extend(read_hashes);
    hashes.dedup();
    let (fit, held_out) = select(wanted, &traces)?;
    let used: Vec<&Trace> = fit.iter().chain(&held_out).copied().collect();
    if let Some(other) = used.iter().find(|t| t.drive_unit != used[0].drive_unit) {
        return Err(Diagnostic::error(format!(
            "`{}` is driven in `{}`, `{}` in `{}`",
            used[0].label, used[0].drive_unit, other.label, other.drive_unit
        ))
        .hint("fit them apart")
        .into());
    }
    let events: Vec<TraceEvents> = used.iter().map(|t| find(t, &wanted.options.events)).collect();
    let drive = drive(wanted, &fit, &events)?;
    let comparison = compare(&wanted.models, &fit, &held_out, &wanted.options)?;
    let temperature = wanted.temperature.or(recorded);
    let back = match &wanted.source {
        TraceSource::Records { reset_distance, .. } => format!("within {reset_distance:e} m of the start"),
        TraceSource::Csv { .. } => format!("{} of the swing from reset", wanted.options.events.reset_level),
    };
    for index in 0..comparison.fits.len() {
        out.cards.push(neuron_card(&NeuronInputs {
            name: &wanted.name,
            comparison: &comparison,
            index,
            fit: &fit,
            held_out: &held_out,
            events: &events,
            drive: drive.clone(),
            back: back.clone(),
            stack,
            temperature,
            tables: tables.clone(),
            records: hashes.clone(),
            seed: wanted.options.seed,
        }));
    }
    out.plots.extend(fit_plots(wanted, &comparison, &used, fit.len()));
    out.events = events;
    out.comparison = Some(comparison);
    Ok(())
}

/// All traces of the source, the hashes of its files, and the temperature that all records state.
fn read(wanted: &NeuronConfig, base: &Path, notes: &mut Vec<String>) -> Result<(Vec<Trace>, Vec<RecordHash>, Option<f64>), Problems> {
    let (mut traces, mut hashes, mut problems) = (Vec::new(), Vec::new(), Problems::new());
    let mut temperatures = Vec::new();
    match &wanted.source {
        TraceSource::Records { paths, view, .. } => {
            for path in paths {
                let record = match Record::open(&base.join(path)).and_then(|r| r.hash().map(|h| (r, h))) {
                    Ok((record, sha256)) => {
                        hashes.push(RecordHash { path: path.display().to_string(), sha256 });
                        record
                    }
                    Err(p) => {
                        problems.extend(p);
                        continue;
                    }
                };
                let header = record.header();
                let stated = header.parameters.iter().find(|p| p.name == "Temp").and_then(|p| p.value.parse::<f64>().ok());
                let mut failed = Problems::new();
                let before = traces.len();
                for (i, replica) in header.replicas.iter().enumerate() {
                    match Trace::from_record(&record, i, view) {
                        Ok(mut trace) => {
                            if paths.len() > 1 {
                                // Replicas of several records may be called the same.
                                let name = path.file_stem().filter(|s| *s != "run").or(path.parent().and_then(|p| p.file_name()));
                                trace.label = format!("{}: {}", name.unwrap_or_default().to_string_lossy(), trace.label);
                            }
                            temperatures.push(replica.coordinates.iter().find(|c| c.name == "Temp").map(|c| c.value).or(stated));
                            traces.push(trace);
                        }
                        Err(p) => failed.extend(p),
                    }
                }
                if traces.len() == before {
                    problems.extend(failed);
                } else {
                    notes.extend(failed.iter().map(|d| format!("left out: {d}")));
                }
            }
        }
        TraceSource::Csv { files, view, membrane } => {
            for file in files {
                let path = base.join(&file.path);
                match Trace::from_csv(&path, &file.label, file.coordinates.clone(), view, membrane) {
                    Ok(trace) => {
                        let sha256 = spinloom_base::hash::of_file(&path)
                            .map_err(|e| Diagnostic::file(path.display().to_string(), format!("cannot be read: {e}")))?;
                        hashes.push(RecordHash { path: file.path.display().to_string(), sha256 });
                        traces.push(trace);
                    }
                    Err(p) => problems.extend(p),
                }
            }
        }
    }
    for trace in &traces {
        notes.extend(trace.cut.as_ref().map(|c| format!("`{}` is cut at {:.4e} s: {}", trace.label, c.t, c.why)));
    }
    let one = temperatures.first().copied().flatten().filter(|t| temperatures.iter().all(|u| *u == Some(*t)));
    problems.into_result(Some((traces, hashes, one)))
}

/// Traces of the fit and traces held out.
fn select<'a>(wanted: &NeuronConfig, traces: &'a [Trace]) -> Result<(Vec<&'a Trace>, Vec<&'a Trace>), Problems> {
    let mut problems = Problems::new();
    let mut chosen = |selectors: &[Selector]| {
        let mut by = vec![false; traces.len()];
        for s in selectors {
            let mut any = false;
            for (by, trace) in by.iter_mut().zip(traces) {
                let hit = s.matches(trace);
                *by |= hit;
                any |= hit;
            }
            if !any {
                let labels = spinloom_base::diagnostics::one_of(traces.iter().take(12).map(|t| t.label.as_str()));
                problems.push(Diagnostic::error("no trace is meant by this").at(s.place.clone()).hint(format!("labels are {labels}")));
            }
        }
        by
    };
    let held_out = chosen(&wanted.hold_out);
    let fit = if wanted.fit.is_empty() { held_out.iter().map(|h| !h).collect() } else { chosen(&wanted.fit) };
    for (i, trace) in traces.iter().enumerate().filter(|(i, _)| fit[*i] && held_out[*i]) {
        let place = wanted.hold_out.iter().find(|s| s.matches(&traces[i])).map(|s| s.place.clone());
        let d =
            Diagnostic::error(format!("`{}` is in the fit and held out", trace.label)).hint("a model is judged on data it has not seen");
        problems.push(place.into_iter().fold(d, Diagnostic::at));
    }
    let pick = |by: &[bool]| traces.iter().zip(by).filter(|(_, by)| **by).map(|(t, _)| t).collect::<Vec<_>>();
    let (fit, held_out) = (pick(&fit), pick(&held_out));
    if fit.is_empty() && !problems.any_error() {
        problems.push(Diagnostic::error("every trace is held out, and none is left to fit").hint("hold out fewer"));
    }
    problems.into_result(Some((fit, held_out)))
}

/// One step of a network.
fn drive(wanted: &NeuronConfig, fit: &[&Trace], events: &[TraceEvents]) -> Result<Drive, Problems> {
    let unit = &fit[0].drive_unit;
    let median = |kind: Happening| {
        let values: Vec<f64> = events.iter().take(fit.len()).flat_map(|e| e.of(kind).map(|e| e.duration())).collect();
        // Differences of times: what lies behind the ninth digit is their rounding.
        let tidy = |x: f64| format!("{x:.8e}").parse().unwrap_or(x);
        (!values.is_empty()).then(|| tidy(Data::new(values).median()))
    };
    let pulse = wanted.pulse.or_else(|| Some([median(Happening::Integrate)?, median(Happening::Leak)?]));
    let Some([on, off]) = pulse else {
        return Err(Diagnostic::error(
            "the fitted traces have no pulse that integrates with a gap after it that leaks, so a step has no length",
        )
        .hint("state `pulse: {on: …, off: …}`")
        .into());
    };
    let factor = parse_unit(unit).map_or(1.0, |u| u.factor);
    let largest = fit.iter().map(|t| t.largest_drive()).fold(0.0, f64::max);
    let nominal = wanted.nominal.map_or(largest, |n| n / factor);
    Ok(Drive { quantity: wanted.drive.clone(), unit: unit.clone(), on, off, nominal })
}

fn map_plots(map: &VelocityMap) -> Vec<Plot> {
    let points = map.points();
    let mut plots = Vec::new();
    let figures: [(&str, &str, &str, &dyn Fn(&MapPoint) -> f64); 3] = [
        ("v_f", "forward velocity", "m/s", &|p| p.v_f[0]),
        ("v_r", "return velocity", "m/s", &|p| p.v_r[0]),
        ("tilt", "tilt of the wall at the start of the reset", "rad", &|p| p.tilt),
    ];
    for (name, title, unit, value) in figures {
        let line = |same: &[MapPoint]| {
            let stop = same[0].x_stop.map_or(String::new(), |x| format!(", stop at {:.1} nm", x * 1e9));
            let label = format!("{} = {:.3e} {}{stop}", map.drive.0, same[0].drive, map.drive.1);
            Line { label, measured: true, x: same.iter().map(|p| p.field).collect(), y: same.iter().map(value).collect() }
        };
        let lines: Vec<Line> = points.chunk_by(|a, b| a.drive == b.drive && a.x_stop == b.x_stop).map(line).collect();
        if lines.iter().any(|l| l.y.iter().any(|y| y.is_finite())) {
            plots.push(Plot { name: name.into(), title: title.into(), x: map.field.clone(), y: (name.into(), unit.into()), lines });
        }
    }
    plots
}

fn fit_plots(wanted: &NeuronConfig, comparison: &Comparison, used: &[&Trace], fitted: usize) -> Vec<Plot> {
    let data = Dataset::new(used, &wanted.options);
    let paths: Vec<Vec<[Vec<f64>; 3]>> =
        comparison.fits.iter().map(|f| data.paths(membrane(&f.model).expect("a fit is of a known model"), &f.values())).collect();
    let time = ("t".to_string(), "s".to_string());
    let mut plots = Vec::new();
    let mut residuals = Vec::new();
    for (k, trace) in used.iter().enumerate() {
        let value = |u: &Vec<f64>| u.iter().map(|&u| trace.membrane.value(u)).collect::<Vec<f64>>();
        let mut lines = vec![Line { label: "trace".into(), measured: true, x: trace.t.clone(), y: trace.v.clone() }];
        for (f, paths) in comparison.fits.iter().zip(&paths) {
            let [t, _, modelled] = &paths[k];
            lines.push(Line { label: f.model.clone(), measured: false, x: t.clone(), y: value(modelled) });
        }
        let part = if k < fitted { "fitted" } else { "held out" };
        plots.push(Plot {
            name: format!("trace {}", k + 1),
            title: format!("{} ({part})", trace.label),
            x: time.clone(),
            y: ("V".into(), trace.membrane.unit.clone()),
            lines,
        });
        let [t, measured, modelled] = &paths[0][k];
        residuals.push(Line {
            label: format!("{} ({part})", trace.label),
            measured: false,
            x: t.clone(),
            y: modelled.iter().zip(measured).map(|(a, b)| a - b).collect(),
        });
    }
    plots.push(Plot {
        name: "residuals".into(),
        title: format!("{} minus trace, over V_th - V_reset", comparison.fits[0].model),
        x: time,
        y: ("residual".into(), "1".into()),
        lines: residuals,
    });
    plots
}
