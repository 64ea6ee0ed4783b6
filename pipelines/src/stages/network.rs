//! Trains a spiking network on a card, beside an ideal neuron and the paper's constants.

use super::extract::{paths, references};
use crate::pipeline::{Context, Stage, write_whole};
use crate::progress::Meter;
use serde::{Deserialize, Serialize};
use spinloom_base::{Diagnostic, Dimension, Document, Fields, Node, Problems, Value};
use spinloom_card::Card;
use spinloom_network::{Config, Crossbar, Dataset, NeuronModel, Report, Reset, Source};
use std::path::{Path, PathBuf};

/// `network: FILE`, where `$name` stands for the card of the stage of that name.
pub struct Network {
    file: PathBuf,
    document: Document,
    needs: Vec<String>,
    data: Option<PathBuf>,
}

struct Settings {
    card: Option<PathBuf>,
    /// Names, and the model where it does not come from the card.
    neurons: Vec<(String, Option<NeuronModel>)>,
    sets: Vec<Source>,
    stand_in: [usize; 2],
    seeds: Vec<u64>,
    config: Config,
}

/// One trained network, as the report reads it.
#[derive(Serialize, Deserialize)]
pub struct Trained {
    /// Which neuron.
    pub neuron: String,
    /// Seed of this training.
    pub seed: u64,
    /// What was found out.
    pub report: Report,
}

const NEURONS: [&str; 3] = ["ideal", "card", "paper"];

/// The model of a name; none for the card's.
fn named(name: &str) -> Option<NeuronModel> {
    match name {
        "card" => None,
        "paper" => Some(NeuronModel::paper_constants()),
        _ => Some(NeuronModel::ideal_lif(0.9, Reset::Hard)),
    }
}

/// One of [`NEURONS`], or `{name: …, tau_int: …, tau_leak: …, step: …}`: a neuron of these times, driven throughout each step.
fn neuron(node: &Node, problems: &mut Problems) -> Option<(String, Option<NeuronModel>)> {
    if !matches!(node.value, Value::Map(_)) {
        let name = NEURONS[node.choice(&NEURONS, problems)?];
        return Some((name.to_string(), named(name)));
    }
    let mut f = Fields::of(node, "a neuron", problems)?;
    let name = f.required("name", problems).and_then(|n| n.text(problems)).map(str::to_string);
    let mut time = |key, problems: &mut Problems| f.required(key, problems).and_then(|n| n.positive(Dimension::TIME, problems));
    let (tau_int, tau_leak, step) = (time("tau_int", problems), time("tau_leak", problems), time("step", problems));
    f.finish(problems);
    let name = name?;
    if NEURONS.contains(&name.as_str()) || name.contains(['/', '\\', '.']) || name.is_empty() {
        problems.push(
            node.error(format!("`{name}` cannot be the name of a neuron"))
                .hint("it names files, and `ideal`, `card` and `paper` are taken"),
        );
        return None;
    }
    // Threshold and reset of table 1 of Sekh et al. 2026; the membrane is reduced by them, so that they change no spike.
    let model = NeuronModel::two_times(&name, tau_int?, tau_leak?, 214e-6, 160e-6, step?);
    Some((name, Some(model)))
}

/// Whether these settings can be read.
#[cfg(test)]
pub fn readable(node: &Node) -> bool {
    settings(node, &mut Problems::new()).is_some()
}

fn settings(node: &Node, problems: &mut Problems) -> Option<Settings> {
    let mut f = Fields::of(node, "the network", problems)?;
    let card = f.optional("card").map_or(Some(None), |n| n.text(problems).map(|t| Some(PathBuf::from(t))));
    let neurons: Option<Vec<_>> = match f.optional("neurons") {
        None => Some(NEURONS.map(|name| (name.to_string(), named(name))).to_vec()),
        Some(n) => n.list(problems).and_then(|list| list.iter().map(|n| neuron(n, problems)).collect()),
    };
    if card == Some(None) && neurons.as_ref().is_some_and(|n| n.iter().any(|(_, model)| model.is_none())) {
        problems.push(node.error("the neuron `card` needs a `card`").hint("write `card: $stage`, or the path of a card"));
        return None;
    }
    let sets = f.optional("data").map_or(Some(vec![Source::Mnist]), |n| {
        let known = [Source::Mnist, Source::FashionMnist];
        n.list(problems)?.iter().map(|n| n.choice(&known.map(Source::name), problems).map(|i| known[i])).collect()
    });
    let stand_in = f.optional("stand_in").map_or(Some([4000, 1000]), |n| {
        let mut f = Fields::of(n, "`stand_in`", problems)?;
        let train = f.required("train", problems).and_then(|n| n.count(problems));
        let test = f.required("test", problems).and_then(|n| n.count(problems));
        f.finish(problems);
        Some([train?, test?])
    });
    let seeds =
        f.optional("seeds").map_or(Some(vec![1]), |n| n.list(problems)?.iter().map(|n| n.count(problems).map(|c| c as u64)).collect());
    let mut config = Config::default();
    let mut count = |key, target: &mut usize, problems: &mut Problems| {
        if let Some(n) = f.optional(key).and_then(|n| n.count(problems)) {
            *target = n;
        }
    };
    count("steps", &mut config.steps, problems);
    count("epochs", &mut config.epochs, problems);
    count("batch", &mut config.batch, problems);
    let mut number = |key, target: &mut f64, problems: &mut Problems| {
        if let Some(n) = f.optional(key).and_then(|n| n.quantity(Dimension::NONE, problems)) {
            *target = n;
        }
    };
    number("rate", &mut config.rate, problems);
    number("learning_rate", &mut config.learning_rate, problems);
    number("weight_decay", &mut config.weight_decay, problems);
    number("slope", &mut config.slope, problems);
    number("logit_scale", &mut config.logit_scale, problems);
    if let Some(n) = f.optional("hidden") {
        let hidden: Option<Vec<usize>> = n.list(problems)?.iter().map(|n| n.count(problems)).collect();
        config.layers = std::iter::once(784).chain(hidden?).chain([10]).collect();
    }
    if let Some(n) = f.optional("crossbar") {
        let mut f = Fields::of(n, "a crossbar", problems)?;
        let mut get = |key, dimension, problems: &mut Problems| f.required(key, problems).and_then(|n| n.quantity(dimension, problems));
        let (on, off) = (get("G_on", Dimension::CONDUCTANCE, problems), get("G_off", Dimension::CONDUCTANCE, problems));
        let spread = f.optional("spread").map_or(Some(0.0), |n| n.quantity(Dimension::NONE, problems));
        let noise = f.optional("read_noise").map_or(Some(0.0), |n| n.quantity(Dimension::NONE, problems));
        let chips = f.optional("chips").map_or(Some(1), |n| n.count(problems));
        f.finish(problems);
        config.crossbar = Some(Crossbar { g_on: on?, g_off: off?, spread: spread?, read_noise: noise?, chips: chips? as u32 });
    }
    f.finish(problems);
    let (neurons, sets, seeds) = (neurons?, sets?, seeds?);
    if let Some((name, _)) = neurons.iter().enumerate().find(|(i, n)| neurons[..*i].iter().any(|m| m.0 == n.0)).map(|(_, n)| n) {
        problems.push(node.error(format!("two neurons are called `{name}`")));
        return None;
    }
    if neurons.is_empty() || sets.is_empty() || seeds.is_empty() {
        problems.push(node.error("an empty list of neurons, data or seeds: nothing would be trained"));
        return None;
    }
    Some(Settings { card: card.flatten(), neurons, sets, stand_in: stand_in?, seeds, config })
}

impl Network {
    /// Reads and checks the configuration.
    pub fn read(node: &Node, base: &Path, data: Option<&Path>, problems: &mut Problems) -> Option<Self> {
        let file = base.join(node.text(problems)?);
        let document = problems.take(Document::read(&file))?;
        settings(&document.root, problems)?;
        let mut needs = Vec::new();
        references(&document.root, &mut needs);
        Some(Self { file, document, needs, data: data.map(Path::to_path_buf) })
    }
}

impl Stage for Network {
    fn kind(&self) -> &'static str {
        "network"
    }

    fn needs(&self) -> Vec<String> {
        self.needs.clone()
    }

    fn files(&self) -> Vec<PathBuf> {
        vec![self.file.clone()]
    }

    fn settings(&self) -> String {
        format!("{}\ndata: {:?}", self.document.text, self.data)
    }

    fn outputs(&self) -> Vec<PathBuf> {
        vec!["networks.json".into()]
    }

    fn run(&self, context: &Context<'_>) -> Result<(), Problems> {
        let mut problems = Problems::new();
        let tree = self.document.root.substitute(&paths(&self.document.root, context, &self.needs), &mut problems);
        let read = settings(&tree, &mut problems);
        let s = problems.into_result(read)?;
        let of_card = match &s.card {
            Some(card) => {
                let card = Card::read(&self.file.parent().unwrap_or(Path::new(".")).join(card))?;
                s.neurons.iter().any(|(_, model)| model.is_none()).then(|| NeuronModel::from_card(&card, None)).transpose()?
            }
            None => None,
        };
        let mut trained = Vec::new();
        for source in &s.sets {
            let data = match &self.data {
                Some(folder) => Dataset::read(folder, *source)?,
                None if *source == Source::Mnist => Dataset::stand_in(s.stand_in[0], s.stand_in[1], 1),
                None => {
                    eprintln!("{} needs its real images: give --data FOLDER; left out", source.name());
                    continue;
                }
            };
            for seed in &s.seeds {
                for (name, model) in &s.neurons {
                    let neuron = model.as_ref().or(of_card.as_ref()).expect("a card was asked for, and read");
                    let mut config = s.config.clone();
                    config.seed = *seed;
                    config.threads = 0;
                    config.checkpoint = Some(context.folder.join(format!("{}-{name}-{seed}.checkpoint", source.name())));
                    let mut meter = Meter::new(&format!("{} on {}, seed {seed}", name, data.name));
                    let outcome = spinloom_network::train(&config, neuron, &data, &mut |p| {
                        let done = ((p.epoch - 1) as f64 + p.seen as f64 / p.images.max(1) as f64) / p.epochs as f64;
                        meter.show(done, &format!("epoch {}/{}", p.epoch, p.epochs));
                    })?;
                    meter.done(&format!("{:.2} % of {} test images", 100.0 * outcome.report.test.accuracy, outcome.report.test.images));
                    outcome.weights.save(&context.folder.join(format!("{}-{name}-{seed}.weights", source.name())))?;
                    trained.push(Trained { neuron: name.clone(), seed: *seed, report: outcome.report });
                }
            }
        }
        let json = serde_json::to_vec_pretty(&trained).map_err(|e| Problems::from(Diagnostic::error(e.to_string())))?;
        write_whole(&context.folder.join("networks.json"), &json)
    }
}
