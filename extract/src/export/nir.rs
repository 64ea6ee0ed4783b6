//! NIR: a graph of input, one leaky integrate-and-fire neuron and output, in HDF5, as `nir` 1.0 reads it.
//!
//! `tau dv/dt = v_leak - v + r I`, fires at `v_threshold`: J. E. Pedersen et al., Nat. Commun. 15, 8122 (2024). NIR has no second time constant, no sign of a
//! spike, no refractory time and no chance: models with those are refused.

use super::{File, refuse, value, word};
use hdf5::types::VarLenUnicode;
use spinloom_base::Problems;
use spinloom_card::Card;
use std::path::Path;
use std::str::FromStr;

/// The step that importers assume unless told otherwise (s).
const IMPORTERS_STEP: f64 = 1e-4;

/// A neuron and what a reader should know about it.
pub(super) struct Neuron {
    tau: f64,
    r: f64,
    v_leak: f64,
    v_threshold: f64,
    v_reset: f64,
    notes: Vec<(&'static str, String)>,
}

/// Leak time (s), gain (membrane per second and unit of drive), reset and threshold.
fn leaky(card: &Card) -> Result<[f64; 4], Problems> {
    if card.model.name != "lif-two-times" {
        return Err(refuse(card, "NIR", "`lif-two-times`: one leak time, whatever the drive; no signs, dead times or chance"));
    }
    // A card of traces of the reduced membrane has no scale of its own.
    let or = |name: &str, x: f64| if card.parameters.contains_key(name) { value(card, name) } else { Ok(x) };
    Ok([value(card, "tau_leak")?, value(card, "R_over_tau_int")?, or("V_reset", 0.0)?, or("V_th", 1.0)?])
}

/// In SI.
pub(super) fn si(card: &Card) -> Result<Vec<File>, Problems> {
    let [tau, gain, reset, threshold] = leaky(card)?;
    let notes = vec![("units", format!("seconds, membrane in {}, drive in {}", unit(card, "V_th"), drive_unit(card)))];
    Ok(vec![File::Graph(
        format!("{}.si.nir", word(card)),
        Neuron { tau, r: gain * tau, v_leak: reset, v_threshold: threshold, v_reset: reset, notes },
    )])
}

/// Scaled: threshold 1, reset and leak 0, r = 1, and the time in which one step of the network is 1e-4 s.
pub(super) fn portable(card: &Card) -> Result<Vec<File>, Problems> {
    let [tau, gain, reset, threshold] = leaky(card)?;
    // Without a protocol the leak time is ten steps.
    let (step, on, nominal) = card.drive.as_ref().map_or((0.1 * tau, 0.1 * tau, f64::NAN), |d| (d.on + d.off, d.on, d.nominal));
    let per_drive = gain * tau / (threshold - reset) * on / step;
    let mut notes = vec![
        ("one_step_of_the_device_s", format!("{step:e}")),
        ("input_of_a_pulse_per_unit_of_drive", format!("{per_drive:e}")),
        ("drive_unit", drive_unit(card)),
        ("membrane", format!("v = (V - {reset:e})/{:e} {}", threshold - reset, unit(card, "V_th"))),
        ("tau_leak_s", format!("{tau:e}")),
    ];
    if nominal.is_finite() {
        notes.push(("input_of_a_nominal_pulse", format!("{:e}", per_drive * nominal)));
    }
    let neuron = Neuron { tau: IMPORTERS_STEP * tau / step, r: 1.0, v_leak: 0.0, v_threshold: 1.0, v_reset: 0.0, notes };
    Ok(vec![File::Graph(format!("{}.nir", word(card)), neuron)])
}

fn unit(card: &Card, name: &str) -> String {
    card.parameters.get(name).map_or("1", |p| p.unit.as_str()).to_string()
}

fn drive_unit(card: &Card) -> String {
    card.drive.as_ref().map_or_else(|| card.validity.get("J").map_or("1".into(), |r| r.unit.clone()), |d| d.unit.clone())
}

/// Writes the graph under another name, then renames it.
pub(super) fn write(neuron: &Neuron, path: &Path) -> hdf5::Result<()> {
    let part = path.with_extension("part");
    let text = |s: &str| VarLenUnicode::from_str(s).map_err(|_| hdf5::Error::from("a text holds a zero byte"));
    {
        let file = hdf5::File::create(&part)?;
        file.new_dataset::<VarLenUnicode>().create("version")?.write_scalar(&text("1.0")?)?;
        let root = file.create_group("node")?;
        root.new_dataset::<VarLenUnicode>().create("type")?.write_scalar(&text("NIRGraph")?)?;
        let edges = ndarray_edges(&[["input", "neuron"], ["neuron", "output"]], text)?;
        root.new_dataset_builder().with_data(&edges).create("edges")?;
        let nodes = root.create_group("nodes")?;
        for end in ["Input", "Output"] {
            let node = nodes.create_group(&end.to_lowercase())?;
            node.new_dataset::<VarLenUnicode>().create("type")?.write_scalar(&text(end)?)?;
            node.new_dataset_builder().with_data(&[1i64]).create("shape")?;
        }
        let node = nodes.create_group("neuron")?;
        node.new_dataset::<VarLenUnicode>().create("type")?.write_scalar(&text("LIF")?)?;
        let values = [
            ("tau", neuron.tau),
            ("r", neuron.r),
            ("v_leak", neuron.v_leak),
            ("v_threshold", neuron.v_threshold),
            ("v_reset", neuron.v_reset),
        ];
        for (name, x) in values {
            node.new_dataset_builder().with_data(&[x]).create(name)?;
        }
        let notes = node.create_group("metadata")?;
        for (name, words) in &neuron.notes {
            notes.new_dataset::<VarLenUnicode>().create(*name)?.write_scalar(&text(words)?)?;
        }
    }
    std::fs::rename(&part, path).map_err(|e| hdf5::Error::from(e.to_string()))
}

/// Edges as the (E, 2) array of texts that the format wants.
fn ndarray_edges(edges: &[[&str; 2]], text: impl Fn(&str) -> hdf5::Result<VarLenUnicode>) -> hdf5::Result<ndarray::Array2<VarLenUnicode>> {
    let all = edges.iter().flatten().map(|s| text(s)).collect::<hdf5::Result<Vec<_>>>()?;
    ndarray::Array2::from_shape_vec((edges.len(), 2), all).map_err(|e| hdf5::Error::from(e.to_string()))
}
