//! Events bound in time by the synchronisation of three oscillators (review table 3, Romera et al., Nat. Commun. 13, 883 (2022)).
//!
//! Each event raises the current of the first or of the second oscillator for a while, and with it its frequency. The three free-running frequencies are a step
//! apart, wider than the range of locking, so that a raised oscillator meets the next one and locks to it: A alone locks (1, 2), B alone locks (2, 3), and both
//! together lock none of (1, 2). Which pairs were locked in the first and in the second half of a trial tells the order of the events. The rule is read from
//! a map made of one noiseless trial per class, nothing else is trained.
//!
//! What couples changes powers, and through them frequencies: dφ_k/dt has κ √(1 + ν²) sin(φ_l − φ_k + δ + arctan ν), δ the phase of the coupling (Slavin and Tiberkevich 2009, section V). At δ = 0 only κ sin(φ_l − φ_k) of it pulls two
//! phases together, while noise of the power widens lines (1 + ν²)-fold: a device with ν = 42 then locks to nothing. The phase of the line between the oscillators is taken as δ = −arctan ν, where all of it pulls.

use super::oscillators::{Array, Device};
use super::{CardNote, Context, Outcome, Task, card, percent};
use crate::settings::settings;
use num_complex::Complex64;
use spinloom_base::random::Stream;
use spinloom_base::{Diagnostic, Problems};
use std::path::PathBuf;

settings!(
    /// Three oscillators and their events.
    Binding: "the binding network" {
        /// Card of the oscillator.
        card: Option<PathBuf> = None;
        /// Current over its threshold.
        zeta: f64 = 2.0, 1.05..=20.0;
        /// Coupling between every two as phases feel it: κ √(1 + ν²) (1/s).
        coupling: f64 = 2e7, 1e3..=1e12;
        /// Distance of neighbouring frequencies over coupling/π, the range of locking of two oscillators.
        distance: f64 = 4.0, 0.1..=100.0;
        /// Diffusion of a free oscillator's phase (rad²/s): typed, cards of noiseless simulations do not know it.
        noise: f64 = 2e5, 0.0..=1e12;
        /// Trials per class.
        trials: usize = 50, 1.0..=100000.0;
        /// Duration of an event in units of 1/κ.
        event: f64 = 40.0, 5.0..=1e4;
        /// Couplings (in units of `coupling`) of the map of locking.
        map: Vec<f64> = vec![0.25, 0.5, 0.75, 1.0, 1.25, 1.5], 0.0..=10.0;
    }
);

/// First half, second half of a trial: is the event of A and of B on.
const CLASSES: [(&str, [[bool; 2]; 2]); 4] = [
    ("A then B", [[true, false], [false, true]]),
    ("B then A", [[false, true], [true, false]]),
    ("together, then none", [[true, true], [false, false]]),
    ("none, then together", [[false, false], [true, true]]),
];

/// Length of the mean of e^(iφ), φ the phase between two oscillators: 1 where it stands still, near 0 where it turns.
fn locking(phases: &[f64]) -> f64 {
    let mean: Complex64 = phases.iter().map(|p| Complex64::from_polar(1.0, *p)).sum();
    mean.norm() / phases.len().max(1) as f64
}

impl Binding {
    /// The three oscillators, coupled with the strength `coupling`.
    fn array<'a>(&self, device: &'a Device, coupling: f64, noise: f64) -> Array<'a> {
        let nu = device.nu(self.zeta);
        let swell = nu.hypot(1.0);
        Array { device, zeta: vec![self.zeta; 3], coupling: coupling / swell, angle: -nu.atan(), noise: noise.sqrt() * self.kick(device) }
    }

    /// Noise of c over that of its phase: c of power p turns by the noise across it over √p, and its power's noise adds ν² of that.
    fn kick(&self, device: &Device) -> f64 {
        (2.0 * device.power(self.zeta)).sqrt() / device.nu(self.zeta).hypot(1.0)
    }

    /// Locking of the pairs (1, 2) and (2, 3) in both halves.
    fn trial(&self, device: &Device, events: &[[bool; 2]; 2], noise: f64, stream: &mut Stream) -> [f64; 4] {
        let base = device.frequency(self.zeta);
        let apart = self.distance * self.coupling / std::f64::consts::PI;
        let array = self.array(device, self.coupling, noise);
        let step = 0.1 / self.coupling.max(device.gamma);
        let half = (self.event / self.coupling / step) as usize;
        let frequency = |k: usize, t: f64| {
            let now = events[usize::from(t >= half as f64 * step)];
            base + apart * (k as f64 + if k < 2 && now[k] { 1.0 } else { 0.0 })
        };
        let start = device.power(self.zeta).sqrt();
        let mut c: Vec<Complex64> = (0..3).map(|_| Complex64::from_polar(start, std::f64::consts::TAU * stream.uniform())).collect();
        let mut phases = [[Vec::new(), Vec::new()], [Vec::new(), Vec::new()]];
        array.run(&mut c, base + apart, (step, 2 * half), &[], frequency, stream, |i, c| {
            // The second part of each half, when the first has settled.
            let (h, within) = (i / half, i % half);
            if h < 2 && within > half / 3 {
                for pair in 0..2 {
                    phases[h][pair].push((c[pair] * c[pair + 1].conj()).arg());
                }
            }
        });
        [locking(&phases[0][0]), locking(&phases[0][1]), locking(&phases[1][0]), locking(&phases[1][1])]
    }
}

impl Task for Binding {
    fn cards(&self) -> Vec<PathBuf> {
        self.card.iter().cloned().collect()
    }

    fn run(&self, seed: u64, context: &Context<'_>) -> Result<Outcome, Problems> {
        let mut out = Outcome::default();
        let device = match &self.card {
            Some(path) => {
                let (card, note) = card(context, path, &["spin-torque-oscillator"])?;
                out.cards.push(note);
                out.cards.push(CardNote::typed("typed beside the card: coupling and its phase, distance, noise of the phase"));
                Device::of(&card)?
            }
            None => {
                out.cards.push(CardNote::typed("oscillator typed: typical values"));
                Device::typical()
            }
        };
        // A trial has this many steps at least; beyond, it would never end.
        let steps = 2.0 * self.event / self.coupling * self.coupling.max(device.gamma) / 0.1;
        if steps > 1e7 {
            return Err(Diagnostic::error(format!(
                "a trial takes {steps:.1e} steps: coupling = {:e} is far below Gamma_G = {:e}",
                self.coupling, device.gamma
            ))
            .hint("take a stronger coupling or a shorter event")
            .into());
        }
        let mut stream = Stream::new(seed, 0x42 << 40);
        let templates: Vec<[f64; 4]> = CLASSES.iter().map(|(_, e)| self.trial(&device, e, 0.0, &mut stream)).collect();
        let mut right = 0;
        for (class, (name, events)) in CLASSES.iter().enumerate() {
            for t in 0..self.trials {
                (context.progress)((class * self.trials + t) as f64 / (CLASSES.len() * self.trials) as f64, name);
                let found = self.trial(&device, events, self.noise, &mut stream);
                let distance = |a: &[f64; 4]| a.iter().zip(&found).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
                let best = (0..4).min_by(|&a, &b| distance(&templates[a]).total_cmp(&distance(&templates[b]))).expect("four classes");
                right += usize::from(best == class);
            }
        }
        out.note(format!("nu = {:.2}", device.nu(self.zeta)));
        out.score("event order told", percent(right, CLASSES.len() * self.trials), "%");
        out.curve(
            "locking in each half, no noise (A then B; B then A; together first; together last)",
            &["(1,2) first", "(2,3) first", "(1,2) second", "(2,3) second"],
            templates.iter().map(|t| t.to_vec()).collect(),
        );
        // Arnold tongues: the widest distance at which all three run at one frequency, against coupling.
        let rows = self
            .map
            .iter()
            .map(|&m| {
                let coupling = m * self.coupling;
                let array = self.array(&device, coupling, 0.0);
                let f = device.frequency(self.zeta);
                let step = 0.1 / self.coupling.max(device.gamma);
                let (mut low, mut high) = (0.0, 20.0 * self.coupling / std::f64::consts::PI);
                for _ in 0..9 {
                    let mid = 0.5 * (low + high);
                    let steps = ((200.0 / self.coupling / step) as usize).min(40_000);
                    let found = array.frequencies(f, (step, steps), 0.5, &[], |k| f + mid * (k as f64 - 1.0), &mut stream);
                    let locked = found.iter().all(|x| (x - found[1]).abs() < 0.02 * self.coupling);
                    (low, high) = if locked { (mid, high) } else { (low, mid) };
                }
                vec![m, low]
            })
            .collect();
        out.curve("tongue of three", &["coupling (over its setting)", "largest distance of neighbours locked (Hz)"], rows);
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_coupling_that_never_acts_is_refused() {
        let b = Binding { coupling: 1e3, ..Binding::default() };
        let context = Context { data: None, base: std::path::Path::new("."), folder: None, device: None, progress: &|_, _| {} };
        assert!(b.run(1, &context).unwrap_err().to_string().contains("coupling"));
    }

    /// A free oscillator's phase spreads as `noise` says, whatever its nonlinear shift; two lock within coupling/π.
    #[test]
    fn phases_spread_and_lock_as_the_settings_say() {
        for n in [0.0, 2e9] {
            let device = Device { n, ..Device::typical() };
            let b = Binding::default();
            let f = device.frequency(b.zeta);
            let free = Array { coupling: 0.0, ..b.array(&device, b.coupling, b.noise) };
            let mut stream = Stream::new(3, 1);
            // 300 turns of three oscillators over 1 us: 900 spreads with a variance of noise × time; its relative standard error √(2/900).
            let (step, steps) = (1e-10, 10_000);
            let mut all = Vec::new();
            for _ in 0..300 {
                let mut c = vec![Complex64::new(device.power(b.zeta).sqrt(), 0.0); 3];
                free.run(&mut c, f, (step, steps), &[], |_, _| f, &mut stream, |_, _| {});
                all.extend(c.iter().map(|c| c.arg()));
            }
            let spread = all.iter().map(|a| a * a).sum::<f64>() / all.len() as f64 / (b.noise * step * steps as f64);
            assert!((spread - 1.0).abs() < 0.25, "N = {n}: {spread}");
            let range = b.coupling / std::f64::consts::PI;
            for (share, locks) in [(0.85, true), (1.2, false)] {
                let two = Array { zeta: vec![b.zeta; 2], ..b.array(&device, b.coupling, 0.0) };
                let found = two.frequencies(f, (2e-10, 20_000), 0.5, &[], |k| f + share * range * (k as f64 - 0.5), &mut stream);
                assert_eq!((found[1] - found[0]).abs() < 1e-3 * range, locks, "N = {n}, {share}: {found:?}");
            }
        }
    }

    #[test]
    fn the_order_of_events_shows_in_what_locks() {
        let b = Binding::default();
        let mut stream = Stream::new(1, 1);
        let d = Device::typical();
        let ab = b.trial(&d, &CLASSES[0].1, 0.0, &mut stream);
        let ba = b.trial(&d, &CLASSES[1].1, 0.0, &mut stream);
        assert!(ab[0] > 0.9 && ab[1] < 0.6 && ab[3] > 0.9 && ab[2] < 0.6, "{ab:?}");
        assert!(ba[1] > 0.9 && ba[0] < 0.6 && ba[2] > 0.9 && ba[3] < 0.6, "{ba:?}");
    }
}
