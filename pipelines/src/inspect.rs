//! Looks into records.

use serde_json::json;
use spinloom_base::Problems;
use spinloom_record::{Record, diff};
use std::path::Path;

/// Whether a path names a record rather than a file of one field or table.
pub fn is_record(path: &Path) -> bool {
    path.is_dir() || path.extension().is_some_and(|e| e.eq_ignore_ascii_case("h5"))
}

/// Prints what a record holds, or how it differs from another.
pub fn record(path: &Path, other: Option<&Path>, json: bool) -> Result<u8, Problems> {
    let record = Record::open(path)?;
    if let Some(other) = other {
        let differences = diff(&record, &Record::open(other)?)?;
        if json {
            crate::out::object(
                &json!({"equal": differences.is_empty(), "differences": differences.iter().map(|d| d.to_string()).collect::<Vec<_>>()}),
            );
            return Ok(u8::from(!differences.is_empty()));
        }
        differences.iter().for_each(|d| println!("{d}"));
        println!(
            "{}",
            if differences.is_empty() {
                "equal, wall clocks and host aside".to_string()
            } else {
                format!("{} differences", differences.len())
            }
        );
        return Ok(u8::from(!differences.is_empty()));
    }
    let h = record.header();
    if json {
        crate::out::object(&described(&record)?);
        return Ok(0);
    }
    println!("{} {}, {} on {}, from {} (sha256 {})", h.program, h.version, h.precision.name(), h.device, h.source.file, h.source.sha256());
    println!(
        "{} x {} x {} cells of {:e} x {:e} x {:e} m; {}",
        h.mesh.n[0],
        h.mesh.n[1],
        h.mesh.n[2],
        h.mesh.cell[0],
        h.mesh.cell[1],
        h.mesh.cell[2],
        if record.is_finished() { "finished" } else { "unfinished" }
    );
    println!("content {}", record.content_hash()?);
    for p in &h.parameters {
        println!("  {} = {} {}", p.name, p.value, p.unit);
    }
    for c in &h.choices {
        println!("  {}: {}", c.key, c.value);
    }
    println!("columns: {}", h.columns.iter().map(|c| format!("{} ({})", c.name, c.unit)).collect::<Vec<_>>().join(", "));
    for f in record.fields()? {
        println!("pictures of {}: {}", f.name, f.frames.len());
    }
    let events = record.events()?;
    for (r, replica) in h.replicas.iter().enumerate() {
        println!("replica {r}: {} ({} rows)", replica.label, record.rows(r)?);
        for e in events.iter().filter(|e| e.replica == r && e.kind != "start") {
            println!("  {:>10.4} ns  {} {}", 1e9 * e.t, e.kind, e.detail);
        }
    }
    Ok(0)
}

/// The same as one object.
fn described(record: &Record) -> Result<serde_json::Value, Problems> {
    let h = record.header();
    let events = record.events()?;
    let replicas: Vec<_> = h
        .replicas
        .iter()
        .enumerate()
        .map(|(r, replica)| {
            let coordinates = replica.coordinates.iter().map(|c| json!({"name": c.name, "value": c.value, "unit": c.unit}));
            let mine = events.iter().filter(|e| e.replica == r);
            let events = mine.map(|e| json!({"t": e.t, "kind": e.kind, "value": e.value, "detail": e.detail}));
            Ok(json!({
                "label": replica.label, "rows": record.rows(r)?,
                "coordinates": coordinates.collect::<Vec<_>>(), "events": events.collect::<Vec<_>>(),
            }))
        })
        .collect::<Result<_, Problems>>()?;
    Ok(json!({
        "program": h.program, "version": h.version, "device": h.device, "precision": h.precision.name(), "seed": h.seed,
        "source": {"file": h.source.file, "sha256": h.source.sha256()},
        "mesh": h.mesh,
        "finished": record.is_finished(),
        "content": record.content_hash()?,
        "parameters": h.parameters.iter().map(|p| json!({"name": p.name, "value": p.value, "unit": p.unit})).collect::<Vec<_>>(),
        "choices": h.choices.iter().map(|c| (c.key.clone(), c.value.clone().into())).collect::<serde_json::Map<_, _>>(),
        "columns": h.columns.iter().map(|c| json!({"name": c.name, "unit": c.unit})).collect::<Vec<_>>(),
        "fields": record.fields()?.iter().map(|f| json!({"name": f.name, "unit": f.unit, "components": f.components, "frames": f.frames.len()})).collect::<Vec<_>>(),
        "replicas": replicas,
    }))
}
