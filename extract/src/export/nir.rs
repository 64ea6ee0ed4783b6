//! NIR: a graph of input, one leaky integrate-and-fire neuron and output, in HDF5, as `nir` 1.0 reads it.
//!
//! `tau dv/dt = v_leak - v + r I`, fires at `v_threshold`: J. E. Pedersen et al., Nat. Commun. 15, 8122 (2024). NIR has no second time constant, no sign of a
//! spike, no refractory time and no chance: models with those are refused.

use super::step::Step;
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

/// The step of a card that NIR can carry: one leak time, whatever the drive.
fn leaky(card: &Card) -> Result<Step, Problems> {
    match Step::of(card) {
        Some(step) if card.model.name == "lif-two-times" => step,
        _ => Err(refuse(card, "NIR", "`lif-two-times`: one leak time, whatever the drive; no signs, dead times or chance")),
    }
}

/// In SI.
pub(super) fn si(card: &Card) -> Result<Vec<File>, Problems> {
    let Step { nominal, membrane: [reset, swing], unit, .. } = leaky(card)?;
    let tau = value(card, "tau_leak")?;
    let notes = vec![("units", format!("seconds, membrane in {unit}, drive in {}", nominal.1))];
    let r = value(card, "R_over_tau_int")? * tau;
    Ok(vec![File::Graph(
        format!("{}.si.nir", word(card)),
        Neuron { tau, r, v_leak: reset, v_threshold: reset + swing, v_reset: reset, notes },
    )])
}

/// Scaled: threshold 1, reset and leak 0, r = 1, and the time in which one step of the network is 1e-4 s.
///
/// Importers step by Euler's rule, v <- v + (dt/tau)(I - v). The time written is the one with which that is the device's own step: 1 - dt/tau is its decay
/// over a period, exact for any length of the period, and the input of a pulse is its gain over dt/tau.
pub(super) fn portable(card: &Card) -> Result<Vec<File>, Problems> {
    let step = leaky(card)?;
    let share = 1.0 - step.decay_on * step.decay_off;
    let [reset, swing] = step.membrane;
    let notes = vec![
        ("one_step_of_the_device_s", format!("{:e}", step.length)),
        ("input_of_a_nominal_pulse", format!("{:e}", step.gain / share)),
        ("nominal_drive", format!("{:e} {}", step.nominal.0, step.nominal.1)),
        ("membrane", format!("v = (V - {reset:e})/{swing:e} {}", step.unit)),
        ("tau_leak_s", format!("{:e}", value(card, "tau_leak")?)),
    ];
    let neuron = Neuron { tau: IMPORTERS_STEP / share, r: 1.0, v_leak: 0.0, v_threshold: 1.0, v_reset: 0.0, notes };
    Ok(vec![File::Graph(format!("{}.nir", word(card)), neuron)])
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
