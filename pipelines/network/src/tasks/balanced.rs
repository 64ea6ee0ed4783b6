//! Large sparse networks: Brunel's balanced network (J. Comput. Neurosci. 8, 183 (2000), model A) and the cortical microcircuit of Potjans and Diesmann (Cereb. Cortex 24, 785
//! (2014), tables 4 and 5), first with their own neurons, then with a card's, by the engine of [`crate::sparse`].
//!
//! The microcircuit's synapses are drawn with a fixed total number per projection, K = ln(1 − C)/ln(1 − 1/(N_s N_t)), with replacement, as in the model; in Brunel's every neuron has the same number of inputs.
//! `scale` scales numbers of neurons and keeps the number of inputs of each, so that means and variances of inputs stay.
//!
//! The card's neuron at matched time constants: its tau_leak becomes τ_m, and with the same factor its t_reset becomes the refractory time; its membrane does not go below its lower end; a constant leak stays one. The threshold's spread from device to device
//! and its scatter from event to event are typed: a card's misfit is no noise. What that does to rates and irregularity is reported beside the original.

use super::{CardNote, Context, Outcome, Task, card};
use crate::settings::{choice, settings};
use crate::sparse::{Network, Neuron, Population, Projection, STEP, Spikes};
use spinloom_base::{Diagnostic, Problems};
use std::path::PathBuf;

choice!(
    /// Which network.
    Model { Brunel = "brunel", Microcircuit = "microcircuit" }
);
settings!(
    /// A balanced network.
    Balanced: "the network" {
        /// Which.
        model: Model = Model::Brunel;
        /// Numbers of neurons over the original's; inputs per neuron stay, as far as there are sources.
        scale: f64 = 1.0, 0.001..=100.0;
        /// Relative strength of inhibition (Brunel).
        g: f64 = 5.0, 0.0..=20.0;
        /// External rate over the one that reaches threshold (Brunel).
        eta: f64 = 2.0, 0.0..=20.0;
        /// Biological time to discard (s).
        settle: f64 = 0.2, 0.0..=1000.0;
        /// And to look at (s).
        time: f64 = 1.0, 0.01..=10000.0;
        /// Card of a neuron (`lif-two-times`, `constant-leak`) to compare with.
        card: Option<PathBuf> = None;
        /// Spread of thresholds between devices, over threshold minus reset.
        spread: f64 = 0.05, 0.0..=1.0;
        /// Scatter of the threshold from event to event, likewise.
        scatter: f64 = 0.0, 0.0..=1.0;
    }
);

/// A network to build, and what a published simulation gives as each population's rate (Hz).
struct Described {
    populations: Vec<Population>,
    projections: Vec<Projection>,
    neuron: Neuron,
    names: Vec<&'static str>,
    published: Vec<f64>,
}

/// What a run showed, population by population.
struct Seen {
    rates: Vec<f64>,
    cv: Vec<f64>,
    correlation: Vec<f64>,
    /// Rates of single neurons, sorted, for distances of distributions.
    single: Vec<Vec<f64>>,
}

impl Balanced {
    fn describe(&self) -> Described {
        let scaled = |n: f64| (n * self.scale).round().max(2.0) as usize;
        match self.model {
            Model::Brunel => {
                // C_E = 1000, C_I = 250, J = 0.1 mV, D = 1.5 ms, θ = 20 mV, V_r = 10 mV, τ = 20 ms, τ_rp = 2 ms.
                let (e, i) = (scaled(10_000.0), scaled(2_500.0));
                let threshold_rate = 20.0 / (0.1 * 1000.0 * 0.02);
                let external = self.eta * threshold_rate * 1000.0 * STEP;
                // Figure 8C of the paper, asynchronous irregular at g = 5, η = 2: 37.7 Hz simulated; other points are not stated here.
                let published = if self.g == 5.0 && self.eta == 2.0 { 37.7 } else { f64::NAN };
                let populations = vec![Population { size: e, external }, Population { size: i, external }];
                let mut projections = Vec::new();
                for to in 0..2 {
                    for (from, inputs, weight) in [(0, 1000, 0.1), (1, 250, -0.1 * self.g)] {
                        projections.push(Projection {
                            from,
                            to,
                            synapses: inputs * populations[to].size,
                            even: true,
                            weight,
                            weight_spread: 0.0,
                            delay: 1.5e-3,
                            delay_spread: 0.0,
                        });
                    }
                }
                let neuron = Neuron {
                    tau: 0.02,
                    tau_syn: 0.0,
                    per_charge: 1.0,
                    threshold: 20.0,
                    reset: 10.0,
                    refractory: 20,
                    floor: None,
                    constant: None,
                    spread: 0.0,
                    scatter: 0.0,
                    external_weight: 0.1,
                };
                Described { populations, projections, neuron, names: vec!["E", "I"], published: vec![published; 2] }
            }
            Model::Microcircuit => {
                const SIZES: [f64; 8] = [20683., 5834., 21915., 5479., 4850., 1065., 14395., 2948.];
                const NAMES: [&str; 8] = ["L2/3E", "L2/3I", "L4E", "L4I", "L5E", "L5I", "L6E", "L6I"];
                const EXTERNAL: [f64; 8] = [1600., 1500., 2100., 1900., 2000., 1900., 2900., 2100.];
                // Sizes, external inputs and chances of connection are Table 5 of the paper; like the mean rates of the full model they are those that the package `microcircuit` 1.0 of its group states
                // (`network_params.py`), compared number by number.
                const RATES: [f64; 8] = [0.903, 2.965, 4.414, 5.876, 7.569, 8.633, 1.105, 7.829];
                const CHANCE: [[f64; 8]; 8] = [
                    [0.1009, 0.1689, 0.0437, 0.0818, 0.0323, 0.0, 0.0076, 0.0],
                    [0.1346, 0.1371, 0.0316, 0.0515, 0.0755, 0.0, 0.0042, 0.0],
                    [0.0077, 0.0059, 0.0497, 0.135, 0.0067, 0.0003, 0.0453, 0.0],
                    [0.0691, 0.0029, 0.0794, 0.1597, 0.0033, 0.0, 0.1057, 0.0],
                    [0.1004, 0.0622, 0.0505, 0.0057, 0.0831, 0.3726, 0.0204, 0.0],
                    [0.0548, 0.0269, 0.0257, 0.0022, 0.06, 0.3158, 0.0086, 0.0],
                    [0.0156, 0.0066, 0.0211, 0.0166, 0.0572, 0.0197, 0.0396, 0.2252],
                    [0.0364, 0.001, 0.0034, 0.0005, 0.0277, 0.008, 0.0658, 0.1443],
                ];
                // 0.15 mV of potential is 87.8 pA of current for these constants.
                let w = 87.8;
                let populations: Vec<Population> =
                    (0..8).map(|k| Population { size: scaled(SIZES[k]), external: EXTERNAL[k] * 8.0 * STEP }).collect();
                let mut projections = Vec::new();
                for to in 0..8 {
                    for from in 0..8 {
                        if CHANCE[to][from] > 0.0 {
                            let pairs = SIZES[to] * SIZES[from];
                            let whole = (1.0 - CHANCE[to][from]).ln() / (1.0 - 1.0 / pairs).ln();
                            let exciting = from % 2 == 0;
                            let double = if (to, from) == (0, 2) { 2.0 } else { 1.0 };
                            projections.push(Projection {
                                from,
                                to,
                                synapses: (whole / SIZES[to] * populations[to].size as f64).round() as usize,
                                even: false,
                                weight: if exciting { w * double } else { -4.0 * w },
                                weight_spread: 0.1,
                                delay: if exciting { 1.5e-3 } else { 0.75e-3 },
                                delay_spread: 0.5,
                            });
                        }
                    }
                }
                let neuron = Neuron {
                    tau: 0.01,
                    tau_syn: 5e-4,
                    // 1/(250 pF): 1 pA makes 4 mV/s.
                    per_charge: 4.0,
                    threshold: 15.0,
                    reset: 0.0,
                    refractory: 20,
                    floor: None,
                    constant: None,
                    spread: 0.0,
                    scatter: 0.0,
                    external_weight: w,
                };
                Described { populations, projections, neuron, names: NAMES.to_vec(), published: RATES.to_vec() }
            }
        }
    }
}

impl Seen {
    /// Statistics of the spikes of `time` seconds in the populations that begin at `starts`.
    fn new(spikes: &Spikes, starts: &[usize], time: f64) -> Seen {
        let mut seen = Seen { rates: vec![], cv: vec![], correlation: vec![], single: vec![] };
        for w in starts.windows(2) {
            let of = &spikes.trains[w[0]..w[1]];
            let mut single: Vec<f64> = of.iter().map(|t| t.len() as f64 / time).collect();
            seen.rates.push(single.iter().sum::<f64>() / of.len() as f64);
            single.sort_by(f64::total_cmp);
            seen.single.push(single);
            let cvs: Vec<f64> = of
                .iter()
                .filter(|t| t.len() > 4)
                .map(|t| {
                    let gaps: Vec<f64> = t.windows(2).map(|p| f64::from(p[1] - p[0])).collect();
                    let n = gaps.len() as f64;
                    let mean = gaps.iter().sum::<f64>() / n;
                    (gaps.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt() / mean
                })
                .collect();
            seen.cv.push(cvs.iter().sum::<f64>() / cvs.len() as f64);
            // Counts in bins of 2 ms; the mean correlation of pairs of up to 200 neurons that fired.
            let bins = (time / 2e-3).ceil() as usize;
            let counts: Vec<Vec<f64>> = of
                .iter()
                .filter(|t| !t.is_empty())
                .take(200)
                .map(|t| {
                    let mut c = vec![0.0; bins];
                    t.iter().for_each(|s| c[(*s as usize / 20).min(bins - 1)] += 1.0);
                    let mean = c.iter().sum::<f64>() / bins as f64;
                    c.iter_mut().for_each(|v| *v -= mean);
                    let norm = c.iter().map(|v| v * v).sum::<f64>().sqrt();
                    c.iter_mut().for_each(|v| *v /= norm.max(1e-12));
                    c
                })
                .collect();
            let n = counts.len() as f64;
            // Σ over pairs of products is (|Σ|² − n)/2.
            let sum: f64 = (0..bins).map(|b| counts.iter().map(|c| c[b]).sum::<f64>().powi(2)).sum();
            seen.correlation.push((sum - n) / (n * (n - 1.0)));
        }
        seen
    }
}

/// Kolmogorov and Smirnov's distance of two sorted samples.
fn ks(a: &[f64], b: &[f64]) -> f64 {
    let (mut i, mut j, mut d) = (0, 0, 0.0f64);
    while i < a.len() && j < b.len() {
        let x = a[i].min(b[j]);
        while i < a.len() && a[i] <= x {
            i += 1;
        }
        while j < b.len() && b[j] <= x {
            j += 1;
        }
        d = d.max((i as f64 / a.len() as f64 - j as f64 / b.len() as f64).abs());
    }
    d
}

impl Task for Balanced {
    fn cards(&self) -> Vec<PathBuf> {
        self.card.iter().cloned().collect()
    }

    fn run(&self, seed: u64, context: &Context<'_>) -> Result<Outcome, Problems> {
        let mut out = Outcome::default();
        let Described { populations, projections, neuron, names, published } = self.describe();
        let synapses: usize = projections.iter().map(|p| p.synapses).sum();
        if synapses > 2_000_000_000 {
            return Err(Diagnostic::error(format!("{synapses} synapses take more than 30 GB")).hint("take a smaller scale").into());
        }
        (context.progress)(0.0, &format!("connecting {synapses} synapses"));
        let network = Network::new(populations, &projections, seed);
        if self.scale != 1.0 {
            out.note(format!("published rates are those of the full size, here it is scaled by {}", self.scale));
        }
        let both = [self.settle, self.time];
        let neurons = network.neurons() as f64;
        let mean_rate = |seen: &Seen| seen.rates.iter().zip(&network.populations).map(|(r, p)| r * p.size as f64).sum::<f64>() / neurons;
        let spikes = network.run(&neuron, both, seed, &|d| (context.progress)(d, "its own neuron"));
        let own = Seen::new(&spikes, &network.starts, self.time);
        // A population that is silent has no intervals.
        let mean = |v: &[f64]| {
            let (sum, n) = v.iter().filter(|x| x.is_finite()).fold((0.0, 0), |(sum, n), x| (sum + x, n + 1));
            sum / f64::from(n)
        };
        let off: Vec<f64> =
            own.rates.iter().zip(&published).filter(|(_, p)| p.is_finite()).map(|(r, p)| 100.0 * (r / p - 1.0).abs()).collect();
        if !off.is_empty() {
            out.score("rates off the published ones, mean over populations", mean(&off), "%");
        }
        out.score("mean rate", mean_rate(&own), "Hz");
        out.score("CV of intervals", mean(&own.cv), "1");
        out.score("wall time over biological time", spikes.wall / (self.settle + self.time), "1");
        out.score("synapses", network.synapses as f64, "synapses");
        out.score("synaptic events per second of wall time", spikes.events as f64 / spikes.wall, "1/s");
        let columns = ["population", "published rate (Hz)", "rate (Hz)", "CV", "correlation in 2 ms"];
        let rows = (0..published.len()).map(|k| vec![k as f64, published[k], own.rates[k], own.cv[k], own.correlation[k]]).collect();
        out.curve(format!("its own neuron; populations {}", names.join(", ")), &columns, rows);
        if let Some(path) = &self.card {
            let (card, note) = card(context, path, &["lif-two-times", "constant-leak"])?;
            out.cards.push(note);
            let swing = card.value("V_th")? - card.value("V_reset")?;
            // A leak of constant speed has no time constant; what it takes from threshold to reset stands for one.
            let leak = if card.model.name == "constant-leak" { swing / card.value("v_leak")? } else { card.value("tau_leak")? };
            let factor = neuron.tau / leak;
            let refractory = card.value("t_reset").map_or(neuron.refractory, |t| (t * factor / STEP).round() as usize);
            if !factor.is_finite() || factor <= 0.0 || refractory > usize::from(u16::MAX) {
                return Err(Diagnostic::error(format!(
                    "the card `{}` leaks in {leak:e} s: at matched times it rests for {refractory} steps",
                    card.name
                ))
                .hint("take the card of a neuron whose leak and reset are of like duration")
                .into());
            }
            out.cards
                .push(CardNote::typed(format!("typed beside the card: spread {}, scatter {} of the threshold", self.spread, self.scatter)));
            let below = card.value("V_min").map_or(0.0, |v| (v - card.value("V_reset").unwrap_or(v)) / swing);
            let card_neuron = Neuron {
                refractory,
                floor: Some(neuron.reset + below * (neuron.threshold - neuron.reset)),
                constant: (card.model.name == "constant-leak").then(|| (neuron.threshold - neuron.reset) / neuron.tau),
                spread: self.spread,
                scatter: self.scatter,
                ..neuron.clone()
            };
            let spikes = network.run(&card_neuron, both, seed, &|d| (context.progress)(d, "the card's neuron"));
            let with = Seen::new(&spikes, &network.starts, self.time);
            out.score("mean rate, card's neuron", mean_rate(&with), "Hz");
            out.score("CV, card's neuron", mean(&with.cv), "1");
            let distance: Vec<f64> = own.single.iter().zip(&with.single).map(|(a, b)| ks(a, b)).collect();
            out.score("KS distance of rates, mean over populations", mean(&distance), "1");
            let rows = (0..published.len())
                .map(|k| vec![k as f64, own.rates[k], with.rates[k], with.cv[k], with.correlation[k], distance[k]])
                .collect();
            out.curve(
                "the card's neuron",
                &["population", "rate of its own (Hz)", "rate (Hz)", "CV", "correlation", "KS distance of rates"],
                rows,
            );
            out.note(format!(
                "card at matched times: {:.3e} s become {:.3e} s; refractory {:.1} ms; no membrane below {:.2} mV",
                leak,
                neuron.tau,
                card_neuron.refractory as f64 * STEP * 1e3,
                card_neuron.floor.unwrap_or(f64::NEG_INFINITY)
            ));
        } else {
            out.cards.push(CardNote::typed("the model's own neuron"));
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One neuron without inputs but its external ones: the mean of V is that of shot noise, rate × weight × τ_m (Campbell).
    #[test]
    fn a_neuron_below_threshold_has_campbells_mean_and_a_driven_one_its_rate() {
        let s = Balanced { scale: 0.004, eta: 2.0, ..Balanced::default() };
        let Described { populations, neuron, .. } = s.describe();
        let rates =
            |network: &Network, neuron: &Neuron| Seen::new(&network.run(neuron, [0.05, 0.5], 1, &|_| {}), &network.starts, 0.5).rates;
        let network = Network::new(populations, &[], 1);
        // Driven to twice the threshold without recurrence, a mean of 40 mV: the deterministic rate 1/(τ_rp + τ ln((40 − 10)/(40 − 20))).
        let rate = 1.0 / (0.002 + 0.02 * (30.0f64 / 20.0).ln());
        let seen = rates(&network, &neuron);
        assert!((seen[0] / rate - 1.0).abs() < 0.03, "{seen:?} {rate}");
        // Exponential currents bring the same charge.
        let exp = Neuron { tau_syn: 5e-4, external_weight: 0.1 / 5e-4, ..neuron };
        let seen = rates(&network, &exp);
        assert!((seen[0] / rate - 1.0).abs() < 0.03, "{seen:?} {rate}");
    }

    #[test]
    fn inhibition_balances_and_threads_change_nothing() {
        let s = Balanced { scale: 0.1, ..Balanced::default() };
        let Described { populations, projections, neuron, .. } = s.describe();
        let network = Network::new(populations, &projections, 1);
        assert_eq!(network.synapses, 1250 * 1250);
        assert!(network.inputs().iter().all(|n| *n == 1250));
        let spikes = network.run(&neuron, [0.05, 0.2], 1, &|_| {});
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let one = pool.install(|| network.run(&neuron, [0.05, 0.2], 1, &|_| {}));
        assert_eq!(spikes.trains, one.trains);
        let seen = Seen::new(&spikes, &network.starts, 0.2);
        // Inputs per neuron are those of the full network, a tenth of the neurons shares them: rates stay within half of the paper's 37.7 Hz.
        assert!(seen.rates[0] > 19.0 && seen.rates[0] < 75.0 && seen.cv[0] > 0.3, "{:?} {:?}", seen.rates, seen.cv);
        assert_eq!(ks(&[1.0, 2.0], &[1.0, 2.0]), 0.0);
        assert_eq!(ks(&[1.0, 2.0], &[3.0, 4.0]), 1.0);
    }
}
