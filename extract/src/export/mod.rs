//! Cards for other programs. Each format says what it cannot carry instead of leaving it out.

mod behaviour;
mod crossbar;
mod nir;
mod spice;
mod step;
mod torch;
mod verilog_a;

use spinloom_base::{Diagnostic, Problems};
use spinloom_card::Card;
use std::path::{Path, PathBuf};

/// A file format.
pub struct Format {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is for.
    pub about: &'static str,
    /// Files and their contents.
    write: fn(&Card) -> Result<Vec<File>, Problems>,
}

/// All formats.
pub const FORMATS: [Format; 10] = [
    Format {
        name: "nir",
        about: "NIR graph of one neuron, scaled for importers that step 1e-4 s and want threshold 1, reset 0 and r = 1",
        write: nir::portable,
    },
    Format {
        name: "snntorch",
        about: "PyTorch module for snnTorch: what NIR cannot say, leaks that switch, dead times, signs, chance",
        write: |card| torch::module(card, &torch::SNNTORCH),
    },
    Format { name: "norse", about: "the same for Norse", write: |card| torch::module(card, &torch::NORSE) },
    Format { name: "spikingjelly", about: "the same for SpikingJelly", write: |card| torch::module(card, &torch::SPIKINGJELLY) },
    Format { name: "nir-si", about: "NIR graph of one neuron in SI", write: nir::si },
    Format { name: "spice", about: "subcircuit for ngspice: neurons, switching probabilities, activations", write: spice::subcircuit },
    Format {
        name: "verilog-a",
        about: "Verilog-A module for OpenVAF and other compilers: the same models as spice",
        write: verilog_a::module,
    },
    Format {
        name: "aihwkit",
        about: "device preset for aihwkit as Python text and as JSON: synapses and step models",
        write: crossbar::aihwkit,
    },
    Format {
        name: "crosssim",
        about: "look-up tables dG_increasing.txt and dG_decreasing.txt of CrossSim 2: step models",
        write: crossbar::crosssim,
    },
    Format { name: "neurosim", about: "sheet of the constants that NeuroSim asks for: synapse ltp-ltd", write: crossbar::neurosim },
];

/// A file to be written.
enum File {
    Text(String, String),
    /// A NIR graph, which HDF5 writes itself.
    Graph(String, nir::Neuron),
}

/// Writes a card in a format into a folder; the files.
///
/// # Errors
/// An unknown format, a card whose model the format cannot carry, or what the file system says.
pub fn export(card: &Card, format: &str, folder: &Path) -> Result<Vec<PathBuf>, Problems> {
    let Some(format) = FORMATS.iter().find(|f| f.name == format) else {
        let near = spinloom_base::diagnostics::nearest(format, FORMATS.iter().map(|f| f.name));
        let hint = near.map_or(format!("formats are {}", spinloom_base::diagnostics::one_of(FORMATS.iter().map(|f| f.name))), |n| {
            format!("did you mean `{n}`?")
        });
        return Err(Diagnostic::error(format!("there is no format `{format}`")).hint(hint).into());
    };
    let files = (format.write)(card)?;
    let cannot = |path: &Path, e: &dyn std::fmt::Display| {
        Problems::from(Diagnostic::file(path.display().to_string(), format!("cannot be written: {e}")))
    };
    std::fs::create_dir_all(folder).map_err(|e| cannot(folder, &e))?;
    let mut written = Vec::new();
    for file in files {
        let path = match file {
            File::Text(name, text) => {
                let path = folder.join(name);
                std::fs::write(&path, text).map_err(|e| cannot(&path, &e))?;
                path
            }
            File::Graph(name, neuron) => {
                let path = folder.join(name);
                nir::write(&neuron, &path).map_err(|e| cannot(&path, &e))?;
                path
            }
        };
        written.push(path);
    }
    Ok(written)
}

/// The name of the device as a word of any of these languages.
fn word(card: &Card) -> String {
    let plain: String = card.name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect();
    if plain.starts_with(|c: char| c.is_ascii_alphabetic()) { plain } else { format!("d_{plain}") }
}

/// A parameter of the card, or why the export cannot be made.
fn value(card: &Card, name: &str) -> Result<f64, Problems> {
    card.value(name).map_err(|mut p| {
        let why = card.undetermined.iter().find(|u| u.starts_with(&format!("{name}:")));
        p.push(match why {
            Some(why) => Diagnostic::error(format!("it is not determined: {why}")),
            None => Diagnostic::error(format!("the export needs `{name}`")),
        });
        p
    })
}

/// That a format has no words for a model, and what it has words for.
fn refuse(card: &Card, format: &str, has: &str) -> Problems {
    Diagnostic::error(format!("{format} cannot carry model `{}` of card `{}`", card.model.name, card.name))
        .hint(format!("it carries {has}"))
        .into()
}
