//! Looks into records.

use spinloom_base::{Diagnostic, Problems};
use spinloom_record::{Ovf, OvfFormat, Record, diff, write_xdmf};
use std::path::Path;
use std::process::ExitCode;

/// Prints what a record holds, or how it differs from another.
pub fn record(path: &Path, other: Option<&Path>) -> Result<ExitCode, Problems> {
    let record = Record::open(path)?;
    if let Some(other) = other {
        let differences = diff(&record, &Record::open(other)?)?;
        differences.iter().for_each(|d| println!("{d}"));
        println!(
            "{}",
            if differences.is_empty() {
                "equal, wall clocks and host aside".to_string()
            } else {
                format!("{} differences", differences.len())
            }
        );
        return Ok(ExitCode::from(u8::from(!differences.is_empty())));
    }
    let h = record.header();
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
    Ok(ExitCode::SUCCESS)
}

/// Writes every picture as OVF 2, and the XDMF file.
pub fn convert(path: &Path, out: &Path) -> Result<ExitCode, Problems> {
    let record = Record::open(path)?;
    std::fs::create_dir_all(out).map_err(|e| Diagnostic::file(out.display().to_string(), e.to_string()))?;
    let mut count = 0;
    for field in record.fields()? {
        for i in 0..field.frames.len() {
            let frame = record.frame(&field.name, i)?;
            let name = format!("{}_replica{}_{:06}.ovf", field.name, frame.replica, i);
            Ovf::new(&record.header().mesh, &frame).write_file(&out.join(name), OvfFormat::Binary4)?;
            count += 1;
        }
    }
    println!("{count} OVF files in {}", out.display());
    if count > 0 && record.is_finished() {
        println!("{}", write_xdmf(&record)?.display());
    }
    Ok(ExitCode::SUCCESS)
}
