//! The card of a neuron, put together from what was measured and fitted.

use crate::energy::Stack;
use crate::events::{Happening, TraceEvents, threshold_variation};
use crate::fit::{Comparison, FEWEST_UNITS, ModelFit, Start, expanded_interval, resample};
use crate::models::membrane::{Quantity, membrane};
use crate::trace::Trace;
use spinloom_base::units::parse_unit;
use spinloom_card::{Card, Drive, Event, Fit, Kind, Model, Parameter, Range, RecordHash, Rival, SCHEMA, Table};
use std::collections::BTreeMap;

/// What a card is made of.
#[derive(Clone, Debug)]
pub struct NeuronInputs<'a> {
    /// What the device is called.
    pub name: &'a str,
    /// The fits; all but the one of the card become its rivals.
    pub comparison: &'a Comparison,
    /// Which fit the card is of; 0 is the chosen one.
    pub index: usize,
    /// Traces of the fit; at least one.
    pub fit: &'a [&'a Trace],
    /// Traces held out.
    pub held_out: &'a [&'a Trace],
    /// Events of all these traces.
    pub events: &'a [TraceEvents],
    /// One step of a network.
    pub drive: Drive,
    /// What counts as back at reset, in words.
    pub back: String,
    /// The stack, for energies.
    pub stack: Option<&'a Stack>,
    /// Temperature of the records (K), if known.
    pub temperature: Option<f64>,
    /// Tables to carry along.
    pub tables: BTreeMap<String, Table>,
    /// Records and files behind it.
    pub records: Vec<RecordHash>,
    /// Seed of the resampling of `t_reset`.
    pub seed: u64,
}

/// The unit of a gain: membrane per second and unit of drive, written so that it can be read back.
fn gain_unit(membrane: &str, drive: &str) -> String {
    let mut parts = drive.split('/').map(|p| p.trim().trim_matches(['(', ')']));
    let divided: Vec<&str> = parts.next().into_iter().filter(|p| !p.is_empty() && *p != "1").chain(["s"]).collect();
    let times: Vec<&str> = [membrane].into_iter().filter(|m| *m != "1").chain(parts).collect();
    format!("{}/({})", if times.is_empty() { "1".into() } else { times.join(" ") }, divided.join(" "))
}

/// The card of one fit.
///
/// # Panics
/// Without a trace in the fit, or if `index` is not one of the fits.
pub fn neuron_card(inputs: &NeuronInputs) -> Card {
    let fit = &inputs.comparison.fits[inputs.index];
    let model = membrane(&fit.model).expect("a fit is of a known model");
    let all = || inputs.fit.iter().chain(inputs.held_out);
    let scale = &inputs.fit[0].membrane;
    // Networks want V_th above V_reset; a membrane that falls as it integrates is given reduced.
    let falls = scale.swing() < 0.0;
    let (swing, reset, threshold, unit) =
        if falls { (1.0, 0.0, 1.0, "1") } else { (scale.swing(), scale.reset, scale.threshold, scale.unit.as_str()) };

    let mut parameters = BTreeMap::new();
    let mut undetermined = vec![
        "R and tau_int apart: V(t) depends on their ratio R_over_tau_int only; R (membrane per unit of drive) measured by other means, with the wall \
         held, would give tau_int"
            .to_string(),
    ];
    let units = inputs.comparison.unit.words();
    for (symbol, p) in model.symbols().iter().zip(&fit.parameters) {
        let (factor, unit) = match Quantity::of(symbol) {
            Quantity::Time => (1.0, "s".to_string()),
            Quantity::Rate => (swing, format!("{unit}/s")),
            Quantity::Gain => (swing, gain_unit(unit, &inputs.drive.unit)),
        };
        let mut origin = match p.interval {
            Some(_) => {
                format!(
                    "fit; interval: bootstrap over {} {units} ({} resamples)",
                    inputs.comparison.units[0],
                    fit.resamples[0] - fit.resamples[1]
                )
            }
            None => "fit; no interval".to_string(),
        };
        if let Some([low, high]) = p.linear {
            origin += &format!(", linearised {:.4e} to {:.4e}", factor * low, factor * high);
        }
        let interval = p.interval.map(|i| i.map(|x| factor * x));
        parameters.insert(p.symbol.clone(), Parameter { value: factor * p.value, unit, interval, origin });
        undetermined.extend(p.undetermined.clone());
    }
    let set = |value: f64, origin: &str| Parameter { value, unit: unit.into(), interval: None, origin: origin.into() };
    let scale_words = if falls { "reduced: 0 at reset, 1 at threshold" } else { "set by the experiment" };
    parameters.insert("V_th".into(), set(threshold, scale_words));
    parameters.insert("V_reset".into(), set(reset, scale_words));
    match reset_time(inputs) {
        Some(t_reset) => {
            parameters.insert("t_reset".into(), t_reset);
        }
        None => undetermined.push(
            "t_reset: no trace fires and comes back; a train to the threshold followed by a gap long enough to reset would determine it"
                .into(),
        ),
    }

    let amplitudes = amplitudes(inputs.fit);
    if let [only] = amplitudes[..] {
        undetermined.push(format!(
            "whether the membrane rises in proportion to {}: every fitted pulse had {only:.4e} {}; trains at other drives would tell",
            inputs.drive.quantity, inputs.drive.unit
        ));
    }

    let mut validity = BTreeMap::new();
    let mut cover = |name: &str, unit: &str, value: f64| {
        let range = validity.entry(name.to_string()).or_insert(Range { min: value, max: value, unit: unit.into() });
        (range.min, range.max) = (range.min.min(value), range.max.max(value));
    };
    for trace in all() {
        trace.drive[1..].iter().for_each(|&d| cover(&inputs.drive.quantity, &inputs.drive.unit, d));
        trace.v.iter().for_each(|&v| if falls { cover("V", unit, trace.membrane.reduce(v)) } else { cover("V", unit, v) });
        for c in trace.coordinates.iter().filter(|c| c.name != "copy" && c.name != inputs.drive.quantity) {
            cover(&c.name, &c.unit, c.value);
        }
    }
    if let Some(temperature) = inputs.temperature {
        cover("Temp", "K", temperature);
    }

    let mut tables = inputs.tables.clone();
    tables.extend(cycles_table(inputs).map(|t| ("cycles".to_string(), t)));
    Card {
        schema: SCHEMA.into(),
        name: inputs.name.into(),
        kind: Kind::Neuron,
        model: Model { name: fit.model.clone(), equation: model.equation().into(), reference: model.reference().into() },
        parameters,
        intervals: BTreeMap::new(),
        undetermined,
        correlation: fit.correlation.iter().map(|(a, b, r)| (format!("{a},{b}"), *r)).collect(),
        drive: Some(inputs.drive.clone()),
        validity,
        fit: Fit {
            nrmse: fit.nrmse,
            nrmse_held_out: fit.nrmse_held_out,
            per_pulse: Some(fit.per_pulse.clone()),
            held_out: inputs.held_out.iter().map(|t| t.label.clone()).collect(),
            note: note(inputs, fit, falls),
            rivals: inputs
                .comparison
                .fits
                .iter()
                .enumerate()
                .filter(|(i, _)| *i != inputs.index)
                .map(|(_, f)| Rival {
                    model: f.model.clone(),
                    parameters: f.parameters.len(),
                    nrmse: f.nrmse,
                    nrmse_held_out: f.nrmse_held_out,
                    nrmse_per_pulse_held_out: Some(f.per_pulse.nrmse_held_out),
                    held_out_log_likelihood: f.mean_log_likelihood(),
                })
                .collect(),
        },
        events: events(inputs),
        tables,
        records: inputs.records.clone(),
    }
}

/// Different drives of the driven stretches, ascending; measured currents within 0.1 % are the same.
fn amplitudes(traces: &[&Trace]) -> Vec<f64> {
    let driven = |t: &&Trace| t.stretches().iter().filter(|s| s.driven).map(|s| t.drive[s.end]).collect::<Vec<f64>>();
    let mut all: Vec<f64> = traces.iter().flat_map(driven).collect();
    all.sort_by(f64::total_cmp);
    all.dedup_by(|a, b| (*a - *b).abs() <= 1e-3 * b.abs());
    all
}

fn reset_time(inputs: &NeuronInputs) -> Option<Parameter> {
    let times: Vec<f64> = inputs.events.iter().flat_map(|e| e.of(Happening::Reset).map(|r| r.duration())).collect();
    if times.is_empty() {
        return None;
    }
    let n = times.len();
    let mean = times.iter().sum::<f64>() / n as f64;
    let means = resample(n, if n < FEWEST_UNITS { 0 } else { 1000 }, inputs.seed, |counts| {
        times.iter().zip(counts).map(|(t, c)| t * f64::from(*c)).sum::<f64>() / n as f64
    });
    let origin = format!("mean time from the threshold to {} over {n} resets", inputs.back);
    Some(Parameter { value: mean, unit: "s".into(), interval: expanded_interval(means, n), origin })
}

fn note(inputs: &NeuronInputs, fit: &ModelFit, falls: bool) -> String {
    let mut parts = vec![match inputs.temperature {
        Some(0.0) => {
            "The records are at 0 K: the misfit is the model's, not noise, and the intervals say how far the parameters depend on \
                      which data they are fitted to."
                .to_string()
        }
        Some(t) => format!("The records are at {t} K: the misfit is the model's and thermal noise together."),
        None => "The temperature is not stated: the misfit is the model's and noise together.".to_string(),
    }];
    parts.push(format!(
        "nrmse is over V_th - V_reset, open loop from the {}, every driven and undriven stretch weighing the same.",
        match inputs.comparison.start {
            Start::Trace => "start of each cycle",
            Start::Pulse => "start of each pulse",
        }
    ));
    parts.push(if inputs.index == 0 {
        format!("Chosen: {}.", inputs.comparison.choice)
    } else {
        format!("Not the chosen model: {}.", inputs.comparison.choice)
    });
    parts.push(format!(
        "Its mean log-likelihood per unit held out is {:.4}, a unit ({}) counting once.",
        fit.mean_log_likelihood(),
        inputs.comparison.unit.words()
    ));
    if falls {
        let m = &inputs.fit[0].membrane;
        parts.push(format!("The signal falls from {:e} to {:e} {} as the device integrates; V is reduced.", m.reset, m.threshold, m.unit));
    }
    let groups: std::collections::BTreeSet<&str> = inputs.fit.iter().map(|t| t.group.as_str()).collect();
    if groups.len() > 1 {
        parts.push(format!(
            "One set of parameters for {} conditions: {}.",
            groups.len(),
            groups.into_iter().collect::<Vec<_>>().join("; ")
        ));
    }
    for trace in inputs.fit.iter().chain(inputs.held_out) {
        if let Some(cut) = &trace.cut {
            parts.push(format!("`{}` ends at {:.4e} s: {}.", trace.label, cut.t, cut.why));
        }
    }
    parts.join(" ")
}

/// Costs of the three events a network counts. Energies only with a complete stack.
fn events(inputs: &NeuronInputs) -> BTreeMap<String, Event> {
    let of = |kind: Happening| inputs.events.iter().flat_map(move |e| e.of(kind));
    let drive = &inputs.drive;
    let power = parse_unit(&drive.unit).ok().and_then(|unit| inputs.stack?.power(drive.nominal * unit.factor, unit.dimension));
    let priced = |text: &str| match (power, inputs.stack) {
        (Some(_), Some(stack)) => format!("{text}. {}", stack.origin()),
        (None, Some(stack)) => format!("{text}. No energy: it needs every resistivity and a drive in A or A/m^2. {}", stack.origin()),
        (_, None) => format!("{text}. No energy: the stack is not given"),
    };
    let mut map = BTreeMap::new();
    let pulses = of(Happening::Integrate).count();
    if pulses > 0 {
        let text = format!("one pulse of {:e} {} for {:e} s, as in {pulses} pulses measured", drive.nominal, drive.unit, drive.on);
        map.insert("integrate".into(), Event { energy: power.map(|p| p * drive.on), latency: Some(drive.on), origin: priced(&text) });
    }
    // From the first pulse of the cycle to the threshold.
    let mut latencies = Vec::new();
    for trace in inputs.events {
        let mut since = None;
        for e in &trace.events {
            match e.kind {
                Happening::Integrate => since = since.or(Some(e.t[0])),
                Happening::Fire => latencies.extend(since.take().map(|t| e.t[0] - t)),
                Happening::Leak | Happening::Reset => {}
            }
        }
    }
    let mean = |values: &[f64]| (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64);
    if let Some(latency) = mean(&latencies) {
        let text = "mean time from the first pulse to the threshold; the pulse that fires is counted with the integrate events, the read-out is not priced";
        map.insert("fire".into(), Event { energy: None, latency: Some(latency), origin: format!("{text} ({} fires)", latencies.len()) });
    }
    let resets: Vec<f64> = of(Happening::Reset).map(|e| e.duration()).collect();
    if let Some(latency) = mean(&resets) {
        let origin = format!("mean of {} resets to {}; the drive is off, so there is no Joule heat", resets.len(), inputs.back);
        map.insert("reset".into(), Event { energy: power.map(|_| 0.0), latency: Some(latency), origin });
    }
    map
}

fn cycles_table(inputs: &NeuronInputs) -> Option<Table> {
    let scale = &inputs.fit[0].membrane;
    let peaks: Vec<f64> = inputs.events.iter().flat_map(|e| e.peaks.iter().copied()).collect();
    let fires = inputs.events.iter().flat_map(|e| {
        e.of(Happening::Fire).map(move |f| (f.t[0], e.of(Happening::Reset).find(|r| r.t[0] == f.t[0]).map_or(f64::NAN, |r| r.duration())))
    });
    let (times, resets): (Vec<f64>, Vec<f64>) = fires.unzip();
    if peaks.is_empty() {
        return None;
    }
    let variation = match threshold_variation(&peaks) {
        Some(v) => format!("cycle-to-cycle sigma/mu of the peak {:.4} % over {} cycles", 100.0 * v, peaks.len()),
        None => "one cycle: no cycle-to-cycle variation".into(),
    };
    let column = |name: &str, unit: &str| (name.to_string(), unit.to_string());
    Some(Table {
        about: format!("cycles that fire; {variation}"),
        columns: vec![column("peak V", &scale.unit), column("t_fire", "s"), column("t_reset", "s")],
        values: vec![peaks, times, resets],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gains_have_units_that_can_be_read() {
        for (membrane, drive, text) in
            [("1", "A/m^2", "m^2/(A s)"), ("V", "A/m^2", "V m^2/(A s)"), ("V", "mA", "V/(mA s)"), ("1", "1", "1/(s)")]
        {
            let unit = gain_unit(membrane, drive);
            assert_eq!(unit, text);
            let read = |u: &str| parse_unit(u).unwrap();
            let (gain, v, d) = (read(&unit), read(membrane), read(drive));
            for i in 0..5 {
                let per_second = i8::from(i == 2);
                assert_eq!(gain.dimension.0[i], v.dimension.0[i] - d.dimension.0[i] - per_second, "{unit}");
            }
            assert!((gain.factor * d.factor / v.factor - 1.0).abs() < 1e-12);
        }
    }
}
