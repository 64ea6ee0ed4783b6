//! Where one begins: examples to copy, completions for shells, manual pages.

use crate::pipeline::write_whole;
use clap::Command;
use spinloom_base::diagnostics::nearest;
use spinloom_base::{Diagnostic, Problems};
use std::path::Path;

/// An example: its folder, what it is, and its files.
struct Example {
    name: &'static str,
    about: &'static str,
    files: &'static [(&'static str, &'static str)],
}

macro_rules! example {
    ($name:literal, $about:literal, $($file:literal),+) => {
        Example { name: $name, about: $about, files: &[$(($file, include_str!(concat!("../../examples/", $name, "/", $file)))),+] }
    };
}

const EXAMPLES: &[Example] = &[
    example!(
        "saf-domain-wall-neuron",
        "a domain-wall neuron, from its magnetisation to a spiking network: run pipeline.yaml",
        "README.md",
        "crossbar.yaml",
        "network.yaml",
        "neuron.yaml",
        "pipeline.yaml",
        "train.yaml",
        "velocity.yaml"
    ),
    example!(
        "saf-stack",
        "the same stack with both layers resolved: loops, stray field, neuron",
        "README.md",
        "field.yaml",
        "loop.yaml",
        "neuron.yaml"
    ),
    example!(
        "binary-junction",
        "two conductances, their scatter, and how far devices lie apart",
        "README.md",
        "card.yaml",
        "cycles.yaml",
        "devices.yaml",
        "pipeline.yaml"
    ),
    example!(
        "exchange-bias-synapse",
        "antiferromagnetic grains that pulses of heat turn: levels, a window of pulse pairs, ten years",
        "README.md",
        "card.yaml",
        "oven.yaml",
        "pairs.yaml",
        "pipeline.yaml",
        "retention.yaml",
        "synapse.yaml"
    ),
    example!(
        "depressing-junction",
        "trains of pulses, each of which does less: a synapse that depresses",
        "README.md",
        "card.yaml",
        "junction.yaml",
        "pipeline.yaml"
    ),
    example!(
        "field-junction",
        "eight junctions that follow a field at 300 K: curve, spread, noise of a read",
        "README.md",
        "card.yaml",
        "junction.yaml",
        "pipeline.yaml"
    ),
    example!(
        "relaxing-junction",
        "a free layer that follows steps of a field: its time, and where it saturates",
        "README.md",
        "card.yaml",
        "junction.yaml",
        "pipeline.yaml"
    ),
    example!(
        "retention-ensemble",
        "a thousand free layers at three temperatures: barrier and attempt frequency",
        "README.md",
        "card.yaml",
        "ensemble.yaml",
        "pipeline.yaml"
    ),
    example!(
        "signed-pillar",
        "a tall pillar as a signed neuron: where first order is enough",
        "README.md",
        "card.yaml",
        "height-47.yaml",
        "height-60.yaml",
        "long-41.yaml",
        "long-48.yaml",
        "pillar.yaml",
        "pipeline.yaml",
        "polariser-y.yaml",
        "short-11.yaml",
        "short-9.yaml",
        "temperature.yaml"
    ),
    example!(
        "skyrmion-bar",
        "skyrmions that a field makes larger and smaller: a voltage that follows with a lag",
        "README.md",
        "card.yaml",
        "field.yaml",
        "pipeline.yaml"
    ),
    example!(
        "skyrmion-neuron",
        "a skyrmion on a slope of anisotropy as a leaky integrator",
        "README.md",
        "neuron.yaml",
        "pipeline.yaml",
        "train.yaml"
    ),
    example!("skyrmion-synapse", "skyrmions counted into a read-out", "README.md", "card.yaml", "pipeline.yaml", "track.yaml"),
    example!(
        "spin-diode",
        "a junction that rectifies: the line of its voltage over the frequency",
        "README.md",
        "card.yaml",
        "diode.yaml",
        "pipeline.yaml"
    ),
    example!(
        "spin-torque-oscillator",
        "threshold, frequency and nonlinearity of an oscillator",
        "README.md",
        "card.yaml",
        "oscillator.yaml",
        "pipeline.yaml"
    ),
    example!("stepped-wall-synapse", "a wall in a track of steps: six states", "README.md", "card.yaml", "pipeline.yaml", "wall.yaml"),
    example!(
        "stochastic-wall-neuron",
        "walls that pulses tear off by chance, or hold by degrees: firing curve and sigmoid",
        "README.md",
        "card.yaml",
        "graded.yaml",
        "pipeline.yaml",
        "pulse.yaml"
    ),
    example!(
        "superparamagnetic-junction",
        "dwell times of a junction without a barrier to speak of",
        "README.md",
        "card.yaml",
        "junction.yaml",
        "pipeline.yaml"
    ),
    example!(
        "switching-synapse",
        "the chance to switch against voltage and time, with voltage-controlled anisotropy",
        "README.md",
        "card.yaml",
        "down.yaml",
        "pipeline.yaml",
        "up.yaml"
    ),
    example!(
        "thermal-neuron",
        "a free layer that heat fires, and its antiferromagnet",
        "README.md",
        "card.yaml",
        "neuron.yaml",
        "pipeline.yaml",
        "reset.yaml",
        "single.yaml"
    ),
    example!(
        "networks",
        "every network of the source papers as a benchmark: spinloom network table.yaml",
        "README.md",
        "brunel.yaml",
        "fashion-mnist-conv-ideal.yaml",
        "fashion-mnist-conv.yaml",
        "microcircuit.yaml",
        "mnist-conv-ideal.yaml",
        "mnist-conv.yaml",
        "r-22-nonlinear-letters.yaml",
        "r-43-chaos.yaml",
        "r-47-all-spin.yaml",
        "r-52-binary-snn.yaml",
        "r-61-oscillator-array.yaml",
        "s0-dvs128-gesture.yaml",
        "s0-gesture.yaml",
        "s0-robustness.yaml",
        "s1-associative.yaml",
        "s1-stdp.yaml",
        "s3-fashion-mnist-ideal.yaml",
        "s3-fashion-mnist.yaml",
        "s3-mnist-ideal.yaml",
        "s3-mnist.yaml",
        "s4-cifar-10-pillar.yaml",
        "s4-cifar-10.yaml",
        "s4-cifar10-dvs.yaml",
        "shd-recurrent.yaml",
        "shd.yaml",
        "t3-01-xnor.yaml",
        "t3-02-letters.yaml",
        "t3-03-stochastic-stdp.yaml",
        "t3-04-attractor.yaml",
        "t3-05-resonators-28x28.yaml",
        "t3-05-resonators-8x8.yaml",
        "t3-06-binding.yaml",
        "t3-07-vowels.yaml",
        "t3-08-oscillator-reservoir.yaml",
        "t3-09-bitstreams.yaml",
        "t3-10-iris.yaml",
        "t3-11-recommendation.yaml",
        "t3-12-p-bit-reservoir.yaml",
        "t3-13-wall-mlp.yaml",
        "t3-14-lif.yaml",
        "t3-14-wall-snn.yaml",
        "t3-15-force.yaml",
        "t3-16-skyrmion-synapse.yaml",
        "t3-17-homeostasis.yaml",
        "t3-18-skyrmion-films.yaml",
        "t3-19-skyrmion-reservoir.yaml",
        "table.yaml",
        "cards/binary-junction-devices.yaml",
        "cards/binary-junction.yaml",
        "cards/depressing-junction.yaml",
        "cards/exchange-bias-synapse.yaml",
        "cards/field-junction.yaml",
        "cards/relaxing-junction-at-rest.yaml",
        "cards/relaxing-junction.yaml",
        "cards/graded-wall-neuron.yaml",
        "cards/saf-domain-wall-neuron.yaml",
        "cards/signed-pillar.yaml",
        "cards/skyrmion-bar-number.yaml",
        "cards/skyrmion-bar.yaml",
        "cards/skyrmion-neuron.yaml",
        "cards/skyrmion-synapse.yaml",
        "cards/spin-diode.yaml",
        "cards/spin-torque-oscillator.yaml",
        "cards/stepped-wall-synapse.yaml",
        "cards/stochastic-wall-neuron.yaml",
        "cards/superparamagnetic-junction.yaml",
        "cards/switching-synapse.yaml",
        "cards/thermal-neuron.yaml"
    ),
    example!(
        "wall-kinematics",
        "one kinematic law for walls of eight materials",
        "README.md",
        "card.yaml",
        "corners.yaml",
        "pipeline.yaml"
    ),
];

/// Copies an example into a new folder, or lists them.
pub fn new(folder: Option<&Path>, from: Option<&str>) -> Result<u8, Problems> {
    let (Some(folder), Some(from)) = (folder, from) else {
        EXAMPLES.iter().for_each(|e| crate::out::say!("{:<24} {}", e.name, e.about));
        crate::out::say!("spinloom new FOLDER --from EXAMPLE copies one");
        return Ok(0);
    };
    let mut problems = Problems::new();
    let example = EXAMPLES.iter().find(|e| e.name == from);
    if example.is_none() {
        let known = || EXAMPLES.iter().map(|e| e.name);
        let hint = nearest(from, known()).map_or_else(|| "spinloom new lists them".into(), |n| format!("did you mean `{n}`?"));
        problems.push(Diagnostic::error(format!("there is no example `{from}`")).hint(hint));
    }
    if std::fs::read_dir(folder).map_or(folder.exists(), |mut entries| entries.next().is_some()) {
        let d = Diagnostic::file(folder.display().to_string(), "it is there already, and not empty");
        problems.push(d.hint("name a new folder"));
    }
    let example = problems.into_result(example)?;
    std::fs::create_dir_all(folder).map_err(|e| Diagnostic::file(folder.display().to_string(), format!("cannot be made: {e}")))?;
    for (file, text) in example.files {
        if let Some(below) = folder.join(file).parent() {
            std::fs::create_dir_all(below).map_err(|e| Diagnostic::file(below.display().to_string(), format!("cannot be made: {e}")))?;
        }
        write_whole(&folder.join(file), text.as_bytes())?;
        crate::out::say!("{}", folder.join(file).display());
    }
    Ok(0)
}

/// Writes the manual page of the program and one of each verb.
pub fn manual(command: Command, folder: &Path) -> Result<u8, Problems> {
    let cannot = |e: std::io::Error| Diagnostic::file(folder.display().to_string(), format!("cannot be written: {e}"));
    std::fs::create_dir_all(folder).map_err(cannot)?;
    clap_mangen::generate_to(command, folder).map_err(cannot)?;
    crate::out::say!("man pages in {0}; read one with man {0}/spinloom.1", folder.display());
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_of_the_house_can_be_begun_with() {
        let house = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
        let folders = std::fs::read_dir(&house).unwrap().map(|e| e.unwrap().path()).filter(|p| p.is_dir());
        let mut count = 0;
        for folder in folders {
            let name = folder.file_name().unwrap().to_string_lossy().into_owned();
            let example = EXAMPLES.iter().find(|e| e.name == name).unwrap_or_else(|| panic!("{name} is not in the list"));
            let mut open = vec![folder.clone()];
            while let Some(below) = open.pop() {
                for file in std::fs::read_dir(&below).unwrap().map(|e| e.unwrap().path()) {
                    // Studies of parameters are large, and stay in the house.
                    if file.is_dir() {
                        open.extend((!file.ends_with("study")).then_some(file));
                    } else if file.extension().is_some_and(|e| e == "yaml") {
                        assert!(example.files.iter().any(|(f, _)| folder.join(f) == file), "{} is not in the list", file.display());
                        count += 1;
                    }
                }
            }
        }
        assert!(count > 5);
    }
}
