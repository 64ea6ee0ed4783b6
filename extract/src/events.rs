//! Leaky-integrate-and-fire events of a pulse train, found from drive and membrane alone.
//!
//! - **integrate**: a driven stretch over which V rises;
//! - **leak**: an undriven stretch after a driven one, before a fire, over which V falls;
//! - **fire**: V crosses the threshold from below; it can fire again only after a reset;
//! - **reset**: after a fire, V falls below the reset level, while the drive is off.
//!
//! All levels are of the reduced membrane (reset 0, threshold 1).

use crate::trace::{Trace, crossing};
use crate::velocity::mean_and_deviation;
use serde::Serialize;

/// Levels of the finder.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EventOptions {
    /// Reduced membrane below which the neuron is back.
    pub reset_level: f64,
    /// Least rise or fall, in reduced membrane, that is an event; above the noise.
    pub min_change: f64,
}

impl Default for EventOptions {
    fn default() -> Self {
        Self { reset_level: 0.05, min_change: 0.01 }
    }
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Happening {
    /// V rises under the drive.
    Integrate,
    /// V falls without drive.
    Leak,
    /// V crosses the threshold; begins and ends there.
    Fire,
    /// From the fire back to the reset level.
    Reset,
}

/// One event.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct NeuronEvent {
    /// What.
    pub kind: Happening,
    /// When it begins and ends (s).
    pub t: [f64; 2],
    /// Membrane at both ends, in its own unit; of a reset the first is the peak.
    pub v: [f64; 2],
}

impl NeuronEvent {
    /// Change of the membrane, in its own unit.
    pub fn amplitude(&self) -> f64 {
        self.v[1] - self.v[0]
    }

    /// Duration (s).
    pub fn duration(&self) -> f64 {
        self.t[1] - self.t[0]
    }
}

/// The events of a trace, in order of their beginning.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TraceEvents {
    /// The trace.
    pub label: String,
    /// The events.
    pub events: Vec<NeuronEvent>,
    /// How many of each: integrate, leak, fire, reset.
    pub counts: [usize; 4],
    /// Highest membrane of each cycle that fires, in its own unit.
    pub peaks: Vec<f64>,
    /// Why the trace ends early, if it does.
    pub cut: Option<String>,
}

impl TraceEvents {
    /// The events of a kind.
    pub fn of(&self, kind: Happening) -> impl Iterator<Item = &NeuronEvent> {
        self.events.iter().filter(move |e| e.kind == kind)
    }
}

/// Cycle-to-cycle variation of the firing level, sigma/|mu| of the peaks (sigma with n - 1), as Sekh et al., Adv. Sci. (2026),
/// advs73549, section 4 quote it for V_AHE; absent below two cycles. Its mu is the membrane as given, offset included.
pub fn threshold_variation(peaks: &[f64]) -> Option<f64> {
    let [mean, deviation] = mean_and_deviation(peaks.iter().copied());
    (peaks.len() >= 2).then(|| deviation / mean.abs())
}

/// Finds the events of a trace.
pub fn find(trace: &Trace, options: &EventOptions) -> TraceEvents {
    let u: Vec<f64> = (0..trace.t.len()).map(|i| trace.u(i)).collect();
    let t = &trace.t;
    // The stop of a protocol at the threshold may leave the last sample a rounding below it.
    let threshold = 1.0 - 1e-9;
    let mut events = Vec::new();
    let mut peaks: Vec<f64> = Vec::new();
    // Index into `events` of the fire that has not been reset, and the highest u since.
    let mut fired: Option<(f64, f64)> = None;
    let mut after_drive = false;
    for s in trace.stretches() {
        let mut settled = false;
        let was_fired = fired.is_some();
        for i in s.begin + 1..=s.end {
            match &mut fired {
                None if u[i] >= threshold && u[i - 1] < threshold => {
                    let at = crossing([t[i - 1], t[i]], [u[i - 1], u[i]], 1.0);
                    events.push(NeuronEvent { kind: Happening::Fire, t: [at; 2], v: [trace.membrane.threshold; 2] });
                    fired = Some((at, u[i]));
                }
                None => {}
                Some((at, peak)) => {
                    *peak = peak.max(u[i]);
                    if !s.driven && u[i] <= options.reset_level {
                        let back = crossing([t[i - 1], t[i]], [u[i - 1], u[i]], options.reset_level);
                        let v = [*peak, options.reset_level].map(|u| trace.membrane.value(u));
                        events.push(NeuronEvent { kind: Happening::Reset, t: [*at, back], v });
                        peaks.push(v[0]);
                        (fired, settled) = (None, true);
                    }
                }
            }
        }
        let change = u[s.end] - u[s.begin];
        let ends = |kind: Happening| NeuronEvent { kind, t: [t[s.begin], t[s.end]], v: [trace.v[s.begin], trace.v[s.end]] };
        if s.driven && change >= options.min_change {
            events.push(ends(Happening::Integrate));
        } else if !s.driven && after_drive && !was_fired && !settled && fired.is_none() && -change >= options.min_change {
            events.push(ends(Happening::Leak));
        }
        after_drive = s.driven;
    }
    if let Some((_, peak)) = fired {
        peaks.push(trace.membrane.value(peak));
    }
    events.sort_by(|a, b| a.t[0].total_cmp(&b.t[0]));
    let count = |kind: Happening| events.iter().filter(|e| e.kind == kind).count();
    let counts = [Happening::Integrate, Happening::Leak, Happening::Fire, Happening::Reset].map(count);
    TraceEvents { label: trace.label.clone(), events, counts, peaks, cut: trace.cut.as_ref().map(|c| c.why.clone()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::Membrane;

    /// Position on straight lines: +0.25 in each 1 ns pulse, -0.1 in each 1.5 ns gap, `pulses` pulses, then 20 ns off at the same leak.
    fn train(pulses: usize, dt: f64) -> Trace {
        let (mut t, mut v, mut drive) = (vec![0.0], vec![0.0], vec![0.0]);
        let mut go = |duration: f64, rate: f64, j: f64| {
            let n = (duration / dt).round() as usize;
            for _ in 0..n {
                t.push(t[t.len() - 1] + dt);
                v.push((v[v.len() - 1] + rate * dt).max(0.0f64));
                drive.push(j);
            }
        };
        go(0.5e-9, 0.0, 0.0);
        for _ in 0..pulses {
            go(1e-9, 0.25e9, 7e11);
            go(1.5e-9, -0.1e9 / 1.5, 0.0);
        }
        go(20e-9, -0.1e9 / 1.5, 0.0);
        let membrane = Membrane::position(1.0);
        Trace { label: "a".into(), group: "a".into(), coordinates: vec![], t, drive, v, drive_unit: "A/m^2".into(), membrane, cut: None }
    }

    #[test]
    fn six_integrate_and_leak_then_fire_and_self_reset() {
        // After n pulses and n - 1 gaps V = 0.15 n + 0.1: the sixth pulse ends at the threshold, 1.0 exactly, but for rounding.
        let e = find(&train(6, 1e-11), &EventOptions::default());
        assert_eq!(e.counts, [6, 5, 1, 1], "the sixth fall is the reset");
        let fire = e.of(Happening::Fire).next().unwrap();
        // 0.5 ns + 5 periods of 2.5 ns + 1 ns.
        assert!((fire.t[0] - 14e-9).abs() < 1e-13, "{:e}", fire.t[0]);
        let reset = e.of(Happening::Reset).next().unwrap();
        // From 1 to 0.05 at 0.1/1.5 ns: 14.25 ns.
        assert!((reset.duration() - 14.25e-9).abs() < 1e-12, "{:e}", reset.duration());
        let leak = e.of(Happening::Leak).next().unwrap();
        assert!((leak.amplitude() + 0.1).abs() < 1e-9 && (leak.duration() - 1.5e-9).abs() < 1e-15);
    }

    #[test]
    fn too_short_a_train_does_not_fire_and_a_fire_counts_once() {
        assert_eq!(find(&train(5, 1e-11), &EventOptions::default()).counts, [5, 5, 0, 0]);
        // Two pulses above the threshold without a reset between them are one fire.
        let e = find(&train(8, 1e-11), &EventOptions::default());
        assert_eq!(e.counts, [8, 5, 1, 1]);
        assert_eq!(e.peaks.len(), 1);
        assert!((e.peaks[0] - 1.3).abs() < 1e-9);
    }

    #[test]
    fn variation_of_the_firing_level_is_sigma_over_mu() {
        // Mean 1.0, deviation with n - 1: sqrt((0.01^2 + 0 + 0.01^2)/2) = 0.01.
        assert!((threshold_variation(&[0.99, 1.0, 1.01]).unwrap() - 0.01).abs() < 1e-12);
        assert_eq!(threshold_variation(&[1.0]), None);
    }
}
