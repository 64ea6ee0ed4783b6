//! Whole trainings, small enough to run every time.

use spinloom_card::{Card, Drive, Event, Fit, Kind, Model, Parameter, Range, SCHEMA};
use spinloom_network::{Config, Crossbar, Dataset, Images, NeuronModel, Outcome, Reset, Trainer, Weights, evaluate, train};
use std::collections::BTreeMap;

fn small(hidden: usize, epochs: usize) -> Config {
    Config { layers: vec![784, hidden, 10], steps: 12, epochs, batch: 32, learning_rate: 3e-3, ..Config::default() }
}

/// A wall neuron as fitted at some exchange field: `rate` = R/tau_int (m²/(A s)), `tau` = tau_leak (s), `off` (s), `energy` of an integration (J).
fn wall(name: &str, rate: f64, tau: f64, off: f64, energy: f64) -> Card {
    let parameter = |value: f64, unit: &str| Parameter { value, unit: unit.into(), interval: None, origin: "set by the test".into() };
    Card {
        schema: SCHEMA.into(),
        name: name.into(),
        kind: Kind::Neuron,
        model: Model {
            name: "lif-two-times".into(),
            equation: "dV/dt = -(V - V_reset)/tau_leak + (R/tau_int) J".into(),
            reference: "test".into(),
        },
        parameters: BTreeMap::from([
            ("tau_leak".into(), parameter(tau, "s")),
            ("R_over_tau_int".into(), parameter(rate, "m^2/(A s)")),
            ("V_th".into(), parameter(0.9, "1")),
            ("V_reset".into(), parameter(0.1, "1")),
        ]),
        intervals: BTreeMap::new(),
        undetermined: vec![],
        correlation: BTreeMap::new(),
        drive: Some(Drive { quantity: "J".into(), unit: "A/m^2".into(), on: 1e-9, off, nominal: 7e11 }),
        validity: BTreeMap::from([("J".into(), Range { min: 0.0, max: 7e11, unit: "A/m^2".into() })]),
        fit: Fit { nrmse: 0.0, nrmse_held_out: 0.0, per_pulse: None, held_out: vec![], note: String::new(), rivals: vec![] },
        events: BTreeMap::from([
            ("integrate".into(), Event { energy: Some(energy), latency: None, origin: "test".into() }),
            ("fire".into(), Event { energy: Some(3.0 * energy), latency: None, origin: "test".into() }),
        ]),
        tables: BTreeMap::new(),
        records: vec![],
    }
}

/// Stand-ins for cards of H_ex = 500 Oe (long leak, slow) and 1500 Oe (short leak, weak net push, quick).
fn two_cards() -> [Card; 2] {
    [wall("H_ex 500 Oe", 4.2e-4, 14e-9, 1.5e-9, 2e-15), wall("H_ex 1500 Oe", 3.4e-4, 9e-9, 0.5e-9, 3e-15)]
}

#[test]
fn drawn_digits_are_learned_by_every_neuron() {
    let data = Dataset::stand_in(4000, 500, 3);
    assert!(data.stand_in && data.name.contains("stand-in"));
    let config = small(64, 6);
    let card = NeuronModel::from_card(&two_cards()[0], None).unwrap();
    for neuron in [NeuronModel::ideal_lif(0.9, Reset::Hard), NeuronModel::ideal_lif(0.9, Reset::Soft), NeuronModel::paper_constants(), card]
    {
        // A device that needs several pulses to fire needs more steps than one that fires at once.
        let config = Config { steps: if neuron.mapping.x_max.is_some() { 30 } else { 12 }, ..config.clone() };
        let r = train(&config, &neuron, &data, &mut |_| {}).unwrap().report;
        assert!(r.test.accuracy > 0.9, "{}: {}", neuron.mapping.neuron, r.test.accuracy);
        assert!(r.epochs[3].loss < r.epochs[0].loss && r.stand_in);
        // The matrix holds every test image once, and its diagonal is the accuracy.
        let all: u32 = r.test.confusion.iter().flatten().sum();
        let right: u32 = (0..10).map(|c| r.test.confusion[c][c]).sum();
        assert_eq!((all, f64::from(right) / 500.0), (500, r.test.accuracy));
        assert_eq!(r.split, [3667, 333, 500]);
        // The report is data: it survives its own file.
        let text = serde_json::to_string(&r).unwrap();
        let back: spinloom_network::Report = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::to_string(&back).unwrap(), text);
    }
}

/// Without the wall times, which are not part of the result.
fn without_times(mut o: Outcome) -> Outcome {
    for e in &mut o.report.epochs {
        (e.seconds, e.validation_seconds) = (0.0, 0.0);
    }
    o.report.config.threads = 0;
    o.report.config.checkpoint = None;
    o
}

#[test]
fn seed_decides_the_bits_threads_and_interruptions_do_not() {
    let data = Dataset::stand_in(700, 130, 5);
    let neuron = NeuronModel::ideal_lif(0.9, Reset::Hard);
    let config = Config { batch: 100, ..small(24, 3) };
    let whole = without_times(train(&config, &neuron, &data, &mut |_| {}).unwrap());

    let threaded = Config { threads: 3, ..config.clone() };
    assert_eq!(without_times(train(&threaded, &neuron, &data, &mut |_| {}).unwrap()), whole, "three threads");

    let other = Config { seed: 2, ..config.clone() };
    assert_ne!(train(&other, &neuron, &data, &mut |_| {}).unwrap().weights, whole.weights, "another seed");

    // Killed after the second epoch: a new program finds the checkpoint and goes on.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.safetensors");
    let resumable = Config { checkpoint: Some(path.clone()), ..config.clone() };
    let mut first = Trainer::new(&resumable, &neuron, &data).unwrap();
    first.epoch(&mut |_| {}).unwrap();
    first.epoch(&mut |_| {}).unwrap();
    first.save(&path).unwrap();
    drop(first);
    let mut epochs = vec![];
    let resumed = train(&resumable, &neuron, &data, &mut |p| epochs.push(p.epoch)).unwrap();
    assert!(epochs.iter().all(|e| *e == 3), "only the third epoch is left to do: {epochs:?}");
    assert_eq!(without_times(resumed), whole, "resumed");

    // A checkpoint of something else is refused, with everything that differs.
    let changed = Config { learning_rate: 1e-3, ..resumable.clone() };
    let e = train(&changed, &NeuronModel::paper_constants(), &data, &mut |_| {}).unwrap_err().to_string();
    assert!(e.contains("another configuration") && e.contains("another neuron") && !e.contains("another data set"), "{e}");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let e = train(&resumable, &neuron, &data, &mut |_| {}).unwrap_err().to_string();
    assert!(e.contains("state.safetensors") && e.contains("truncated"), "{e}");
}

/// Pixels 255 and 0 spike in every step or never, so drives are known: +1, +0.5 and −1 of the nominal one.
fn known_drives() -> (Dataset, Weights) {
    let images = Images { pixels: vec![255, 255, 0, 0], labels: vec![0] };
    let classes = ["full", "half", "backward"].map(String::from).to_vec();
    let data = Dataset { name: "known".into(), stand_in: true, rows: 2, columns: 2, classes, train: images.clone(), test: images };
    #[rustfmt::skip]
    let w = vec![
        0.75, 0.5, -1.5,
        0.25, 0.0, 0.5,
        9.0, 9.0, 9.0,
        9.0, 9.0, 9.0,
        0.0, 0.0, 0.0, // bias
    ];
    (data, Weights { widths: vec![4, 3], layers: vec![w] })
}

#[test]
fn swapping_cards_changes_spikes_energy_and_latency_as_the_cards_say() {
    let (data, weights) = known_drives();
    let steps = 40;
    let config = Config { layers: vec![4, 3], steps, ..Config::default() };
    let config = Config { validation: 0.0, ..config };
    let found = two_cards().map(|card| {
        let neuron = NeuronModel::from_card(&card, None).unwrap();
        let e = evaluate(&config, &neuron, &weights, &data, &data.test).unwrap();
        // The equation of the card in its own units, written out again: drives of 7e11, 3.5e11 and no (clipped) A/m².
        let (rate, tau, off) = (card.value("R_over_tau_int").unwrap(), card.value("tau_leak").unwrap(), card.drive.as_ref().unwrap().off);
        let mut spikes = 0;
        for j in [7e11, 3.5e11] {
            let mut v: f64 = 0.1;
            for _ in 0..steps {
                let settled = 0.1 + rate * j * tau;
                v = settled + (v - settled) * (-1e-9 / tau).exp();
                if v >= 0.9 {
                    spikes += 1;
                    v = 0.1;
                }
                v = 0.1 + (v - 0.1) * (-off / tau).exp();
            }
        }
        assert_eq!(e.layers[0].spikes, f64::from(spikes), "{}", card.name);
        // One of three neurons is driven backward in every step; none is driven too hard.
        assert!((e.layers[0].drive_below - 1.0 / 3.0).abs() < 1e-12 && e.layers[0].drive_above == 0.0);
        let price = card.events["integrate"].energy.unwrap();
        let cost = e.cost.unwrap();
        // Two of three neurons integrate in each of 40 steps; a spike costs three integrations.
        let expected = price * (80.0 + 3.0 * f64::from(spikes));
        assert!((cost.energy.unwrap() / expected - 1.0).abs() < 1e-12);
        // Joule heat: 40 steps of 1² and 40 of 0.5².
        let scaled = price * (50.0 + 3.0 * f64::from(spikes));
        assert!((cost.energy_joule_scaled.unwrap() / scaled - 1.0).abs() < 1e-6);
        assert!((cost.latency / (40.0 * (1e-9 + off)) - 1.0).abs() < 1e-12);
        assert_eq!(cost.unpriced, ["reset"]);
        (spikes, cost.energy.unwrap(), cost.latency)
    });
    let [(spikes_500, energy_500, latency_500), (spikes_1500, energy_1500, latency_1500)] = found;
    assert!(spikes_500 != spikes_1500 && spikes_500 > 5 && spikes_1500 > 5, "{spikes_500} {spikes_1500}");
    assert!(energy_1500 > energy_500, "an integration costs 1.5 times as much");
    assert!((latency_500 / latency_1500 - 2.5 / 1.5).abs() < 1e-12);
}

#[test]
fn drives_above_the_valid_range_are_clipped_and_counted() {
    let (data, mut weights) = known_drives();
    weights.layers[0][0] = 5.0;
    let config = Config { layers: vec![4, 3], steps: 30, validation: 0.0, ..Config::default() };
    let neuron = NeuronModel::from_card(&two_cards()[0], None).unwrap();
    let e = evaluate(&config, &neuron, &weights, &data, &data.test).unwrap();
    assert!((e.layers[0].drive_above - 1.0 / 3.0).abs() < 1e-12);
    let at_limit = neuron.mapping.spikes(1.0, 30) + neuron.mapping.spikes(0.5, 30);
    assert_eq!(e.layers[0].spikes, f64::from(at_limit));
}

#[test]
fn a_device_that_is_resetting_neither_integrates_nor_fires() {
    let (data, weights) = known_drives();
    let mut card = two_cards()[0].clone();
    let t_reset = Parameter { value: 20e-9, unit: "s".into(), interval: None, origin: "set by the test".into() };
    card.parameters.insert("t_reset".into(), t_reset);
    let neuron = NeuronModel::from_card(&card, None).unwrap();
    // (20 − 1.5)/2.5 = 7.4 → 8 steps.
    assert_eq!(neuron.mapping.refractory_steps, 8);
    let config = Config { layers: vec![4, 3], steps: 60, validation: 0.0, ..Config::default() };
    let e = evaluate(&config, &neuron, &weights, &data, &data.test).unwrap();
    let spikes = neuron.mapping.spikes(1.0, 60) + neuron.mapping.spikes(0.5, 60);
    assert!(spikes > 3);
    assert_eq!(e.layers[0].spikes, f64::from(spikes));
    // Every spike but those within the last eight steps silences its neuron for eight steps.
    let cost = e.cost.unwrap();
    let missed = 120.0 - cost.events.integrate;
    assert!(missed > 8.0 * f64::from(spikes - 2) && missed <= 8.0 * f64::from(spikes), "{missed} steps missed for {spikes} spikes");
}

#[test]
fn binary_conductances_learn_and_suffer_from_spread() {
    let data = Dataset::stand_in(2500, 400, 3);
    let crossbar = Crossbar { g_on: 2e-4, g_off: 8e-5, spread: 0.05, read_noise: 0.02, chips: 3 };
    let config = Config { crossbar: Some(crossbar), ..small(64, 4) };
    let outcome = train(&config, &NeuronModel::ideal_lif(0.9, Reset::Hard), &data, &mut |_| {}).unwrap();
    let report = outcome.report.crossbar.as_ref().unwrap();
    assert!(report.nominal_accuracy > 0.85, "{}", report.nominal_accuracy);
    let (mean, deviation) = report.over_chips().unwrap();
    assert!(mean > 0.75 && deviation.is_some() && report.chip_accuracies.len() == 3, "{:?}", report.chip_accuracies);
    // Every weight is one of three levels of its layer.
    for ((layer, scale), width) in outcome.weights.layers.iter().zip(&report.scales).zip([64, 10]) {
        let layer = &layer[..layer.len() - width]; // the bias is no device
        let levels = [0.0, *scale as f32, -*scale as f32];
        assert!(layer.iter().all(|w| levels.contains(w)) && layer.iter().any(|w| *w == levels[1]) && layer.iter().any(|w| *w == levels[2]));
    }
    // Chips with a hundred times the spread are useless: the option does something.
    let wild = Crossbar { spread: 5.0, ..config.crossbar.clone().unwrap() };
    let wild = Config { crossbar: Some(wild), epochs: 1, ..config };
    let report = train(&wild, &NeuronModel::ideal_lif(0.9, Reset::Hard), &data, &mut |_| {}).unwrap().report.crossbar.unwrap();
    assert!(report.over_chips().unwrap().0 < 0.5 && report.nominal_accuracy > 0.5, "{report:?}");
}

#[test]
fn every_problem_of_a_configuration_is_told() {
    let data = Dataset::stand_in(50, 20, 1);
    let config = Config {
        layers: vec![783, 0, 9],
        steps: 0,
        rate: 1.5,
        epochs: 0,
        learning_rate: f64::NAN,
        crossbar: Some(Crossbar { g_on: 1.0, g_off: 2.0, spread: 0.0, read_noise: 0.0, chips: 0 }),
        ..Config::default()
    };
    let e = train(&config, &NeuronModel::paper_constants(), &data, &mut |_| {}).unwrap_err().to_string();
    for part in ["layers [783, 0, 9]", "steps = 0", "rate = 1.5", "epochs = 0", "learning_rate = NaN", "g_off", "0 chips"] {
        assert!(e.contains(part), "`{part}` is missing in\n{e}");
    }
    let short = Config { steps: 1, ..small(8, 1) };
    let narrow = Config { steps: 6, ..small(8, 1) };
    let card = NeuronModel::from_card(&two_cards()[0], None).unwrap();
    let e = train(&short, &card, &data, &mut |_| {}).unwrap_err().to_string();
    assert!(e.contains("does not fire within 1 steps"), "{e}");
    // 4.2e-4 · 7e11 A/m² is 0.294 per ns of a swing of 0.8: four pulses and their leak to fire, so seven steps for two layers.
    let e = train(&narrow, &card, &data, &mut |_| {}).unwrap_err().to_string();
    assert!(e.contains("no spike can reach the output within 6 steps") && e.contains("needs 4 steps"), "{e}");
    let e = train(&Config { layers: vec![100, 10], ..short }, &card, &data, &mut |_| {}).unwrap_err().to_string();
    assert!(e.contains("784 pixels"), "{e}");
}
