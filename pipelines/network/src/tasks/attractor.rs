//! A continuous attractor network whose synapses depress for a short time (review table 3, Zheng et al., Phys. Rev. Appl. 14, 044060 (2020), after
//! Fung, Wong, Wang and Wu, Neural Comput. 24, 1147 (2012), equations 1 to 3, and Fung, Wong and Wu, NIPS 25, 1097 (2012)), rescaled:
//!
//! ```text
//! τs du/dt = −u + ∫ g(x − x') p(x') r(x') dx' + I(x, t)       g: normal density of width a
//! r = [u]₊² / (1 + k/K ∫ [u]₊² dx)                            K = 8 √(2π) a on a line, 32 π a² in the plane: where a bump just exists at k = 1
//! τd dp/dt = 1 − p − β p r                                     β = U · rate · τd
//! ```
//!
//! p is what depression leaves of a synapse: of the junctions' card `short-term-depression`, U is what one event takes and tau_rec = τd; τs is the leak of the neurons' card. Nothing is
//! trained. Where depression is strong the bump runs ahead of a moving stimulus; without it, it lags.

use super::{CardNote, Context, Outcome, Task, card};
use crate::settings::settings;
use spinloom_base::Problems;
use spinloom_base::random::Stream;
use spinloom_card::Card;
use std::path::PathBuf;

settings!(
    /// The network; lengths are in cells, times in τs.
    Attractor: "the attractor" {
        /// Card of the depressing junction; gives `release` and `recovery`.
        card: Option<PathBuf> = None;
        /// Card of the neurons (`lif-two-times`), whose tau_leak is τs; with `card` only.
        neuron: Option<PathBuf> = None;
        /// τs in seconds, with a card of the junction and none of the neurons: how tau_rec becomes `recovery`.
        membrane: crate::settings::Seconds = crate::settings::Seconds(1e-9), 1e-15..=10.0;
        /// Junctions on the ring.
        ring: usize = 20, 8.0..=4096.0;
        /// Rows and columns of the field in which a ball bounces.
        ball: Vec<usize> = vec![27, 40], 8.0..=512.0;
        /// Rows and columns of the field with two targets.
        pair: Vec<usize> = vec![21, 21], 8.0..=512.0;
        /// Width of the connections.
        width: f64 = 1.6, 0.5..=50.0;
        /// Global inhibition over its largest value with a bump.
        inhibition: f64 = 0.5, 0.0..=2.0;
        /// What one event takes of a synapse.
        release: f64 = 0.02, 0.0..=1.0;
        /// Events per τs at r = 1.
        rate: f64 = 0.05, 0.0..=100.0;
        /// Recovery time.
        recovery: f64 = 50.0, 0.1..=1e5;
        /// Height of the stimulus.
        stimulus: f64 = 0.8, 0.0..=10.0;
        /// Standard deviation over junctions of ln U and ln τd.
        spread: f64 = 0.0, 0.0..=1.0;
        /// Noise of u (standard deviation in a time τs).
        noise: f64 = 0.0, 0.0..=1.0;
        /// Speeds of the stimulus on the ring.
        speeds: Vec<f64> = vec![0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3], 1e-4..=10.0;
        /// Speed in the plane.
        speed: f64 = 0.1, 1e-4..=10.0;
        /// How long to look, per speed.
        time: f64 = 1500.0, 10.0..=1e6;
        /// Time step.
        step: f64 = 0.1, 1e-3..=0.5;
    }
);

/// The field of neurons.
struct Field {
    shape: [usize; 2],
    periodic: bool,
    kernel: Vec<f64>,
    /// k/K.
    inhibition: f64,
    step: f64,
    noise: f64,
    u: Vec<f64>,
    p: Vec<f64>,
    r: Vec<f64>,
    beta: Vec<f64>,
    recovery: Vec<f64>,
    work: [Vec<f64>; 2],
    stream: Stream,
}

impl Field {
    fn new(shape: [usize; 2], periodic: bool, s: &Attractor, beta: f64, seed: u64) -> Self {
        let n = shape[0] * shape[1];
        let reach = (4.0 * s.width).ceil() as i64;
        // Normalised on the grid, so that a coarse grid has the same bump.
        let raw: Vec<f64> = (-reach..=reach).map(|d| (-(d as f64 / s.width).powi(2) / 2.0).exp()).collect();
        let sum: f64 = raw.iter().sum();
        let line = shape[0] == 1;
        let k = if line { 8.0 * std::f64::consts::TAU.sqrt() * s.width } else { 32.0 * std::f64::consts::PI * s.width * s.width };
        let mut stream = Stream::new(seed, 0x41 << 40);
        let mut draw = |mean: f64| -> Vec<f64> { (0..n).map(|_| mean * (s.spread * stream.normal()).exp()).collect() };
        Self {
            shape,
            periodic,
            kernel: raw.iter().map(|v| v / sum).collect(),
            inhibition: s.inhibition / k,
            step: s.step,
            noise: s.noise,
            u: vec![0.0; n],
            p: vec![1.0; n],
            r: vec![0.0; n],
            beta: draw(beta),
            recovery: draw(s.recovery),
            work: [vec![0.0; n], vec![0.0; n]],
            stream,
        }
    }

    /// `to` = `from` convolved along one axis.
    fn convolve(kernel: &[f64], from: &[f64], to: &mut [f64], [rows, columns]: [usize; 2], along_rows: bool, periodic: bool) {
        let reach = (kernel.len() / 2) as i64;
        let (length, stride) = if along_rows { (rows, columns) } else { (columns, 1) };
        let lines = rows * columns / length;
        for line in 0..lines {
            let start = if along_rows { line } else { line * columns };
            for i in 0..length as i64 {
                let mut sum = 0.0;
                for (k, w) in kernel.iter().enumerate() {
                    let mut j = i + k as i64 - reach;
                    if periodic {
                        j = j.rem_euclid(length as i64);
                    } else if j < 0 || j >= length as i64 {
                        continue;
                    }
                    sum += w * from[start + j as usize * stride];
                }
                to[start + i as usize * stride] = sum;
            }
        }
    }

    /// One step by Euler: every time constant is ten steps or more.
    fn step(&mut self, stimulus: impl Fn(usize, usize) -> f64) {
        let total: f64 = self.u.iter().map(|u| u.max(0.0).powi(2)).sum();
        let divide = 1.0 + self.inhibition * total;
        let [a, b] = &mut self.work;
        for (((r, u), p), a) in self.r.iter_mut().zip(&self.u).zip(&self.p).zip(a.iter_mut()) {
            *r = u.max(0.0).powi(2) / divide;
            *a = *r * p;
        }
        Self::convolve(&self.kernel, a, b, self.shape, false, self.periodic);
        if self.shape[0] > 1 {
            a.copy_from_slice(b);
            Self::convolve(&self.kernel, a, b, self.shape, true, self.periodic);
        }
        let h = self.step;
        for y in 0..self.shape[0] {
            for x in 0..self.shape[1] {
                let i = y * self.shape[1] + x;
                let kick = if self.noise > 0.0 { self.noise * h.sqrt() * self.stream.normal() } else { 0.0 };
                self.u[i] += h * (b[i] - self.u[i] + stimulus(y, x)) + kick;
                self.p[i] += h * ((1.0 - self.p[i]) / self.recovery[i] - self.beta[i] / self.recovery[i] * self.p[i] * self.r[i]);
            }
        }
    }

    /// Centre of activity near a point, by moving there until it stands still; none where nothing is active.
    fn centre(&self, [y0, x0]: [f64; 2], radius: f64) -> Option<[f64; 2]> {
        let mut at = [y0, x0];
        for _ in 0..20 {
            let (mut sum, mut moment) = (0.0, [0.0; 2]);
            for y in 0..self.shape[0] {
                for x in 0..self.shape[1] {
                    let d = self.apart([y as f64, x as f64], at);
                    if d[0].hypot(d[1]) <= radius {
                        let r = self.r[y * self.shape[1] + x];
                        sum += r;
                        moment[0] += r * d[0];
                        moment[1] += r * d[1];
                    }
                }
            }
            if sum < 1e-9 {
                return None;
            }
            at = [at[0] + moment[0] / sum, at[1] + moment[1] / sum];
        }
        Some(at)
    }

    /// Largest u within a radius.
    fn peak(&self, at: [f64; 2], radius: f64) -> f64 {
        let cells = (0..self.shape[0]).flat_map(|y| (0..self.shape[1]).map(move |x| (y, x)));
        cells
            .filter(|(y, x)| {
                let d = self.apart([*y as f64, *x as f64], at);
                d[0].hypot(d[1]) <= radius
            })
            .map(|(y, x)| self.u[y * self.shape[1] + x])
            .fold(f64::NEG_INFINITY, f64::max)
    }

    /// b → a, the short way round where there is one.
    fn apart(&self, a: [f64; 2], b: [f64; 2]) -> [f64; 2] {
        let mut d = [a[0] - b[0], a[1] - b[1]];
        if self.periodic {
            for (d, n) in d.iter_mut().zip(self.shape) {
                let n = n as f64;
                *d -= n * (*d / n).round();
            }
        }
        d
    }
}

/// Where a bouncing ball is at a time, and its direction; `t` counts path length.
fn bounce(shape: [usize; 2], margin: f64, path: f64) -> ([f64; 2], [f64; 2]) {
    let mut at = [0.0; 2];
    let mut heading = [0.0; 2];
    // A direction that visits the whole field.
    for (axis, (n, cosine)) in shape.iter().zip([0.6f64, 0.8]).enumerate() {
        let length = *n as f64 - 1.0 - 2.0 * margin;
        let phase = (path * cosine).rem_euclid(2.0 * length);
        at[axis] = margin + if phase < length { phase } else { 2.0 * length - phase };
        heading[axis] = if phase < length { cosine } else { -cosine };
    }
    (at, heading)
}

/// A square of side `side` around a centre; `path` runs along it.
fn square([y, x]: [f64; 2], side: f64, path: f64) -> ([f64; 2], [f64; 2]) {
    let h = side / 2.0;
    let s = path.rem_euclid(4.0 * side);
    let (edge, along) = ((s / side) as usize, s % side);
    match edge {
        0 => ([y - h, x - h + along], [0.0, 1.0]),
        1 => ([y - h + along, x + h], [1.0, 0.0]),
        2 => ([y + h, x + h - along], [0.0, -1.0]),
        _ => ([y + h - along, x - h], [-1.0, 0.0]),
    }
}

fn circle([y, x]: [f64; 2], radius: f64, path: f64) -> ([f64; 2], [f64; 2]) {
    let (sin, cos) = (path / radius).sin_cos();
    ([y + radius * sin, x + radius * cos], [cos, -sin])
}

/// What following targets came to.
struct Tracked {
    /// Mean of the centre's displacement along the target's motion.
    lead: f64,
    /// Root mean square distance.
    distance: f64,
    /// Share of the time in which there was a bump within the radius: u above twice what the stimulus alone makes of it.
    held: f64,
}

impl Attractor {
    /// The same with the depression of a card, in units of the membrane time τs (s).
    fn with(&self, card: &Card, membrane: f64) -> Result<Attractor, Problems> {
        Ok(Attractor { release: card.value("U")?, recovery: card.value("tau_rec")? / membrane, ..self.clone() })
    }

    fn follow(&self, mut field: Field, speed: f64, targets: &[&dyn Fn(f64) -> ([f64; 2], [f64; 2])]) -> Vec<Tracked> {
        let steps = (self.time / self.step) as usize;
        let mut sums = vec![[0.0; 4]; targets.len()];
        let width = self.width;
        for i in 0..steps {
            let path = i as f64 * self.step * speed;
            let now: Vec<_> = targets.iter().map(|t| t(path)).collect();
            let (shape, periodic) = (field.shape, field.periodic);
            let stimulus = |y: usize, x: usize| {
                now.iter()
                    .map(|(at, _)| {
                        let mut square = 0.0;
                        for (axis, v) in [y as f64, x as f64].into_iter().enumerate() {
                            let mut d = v - at[axis];
                            if periodic {
                                let n = shape[axis] as f64;
                                d -= n * (d / n).round();
                            }
                            square += d * d;
                        }
                        self.stimulus * (-square / (4.0 * width * width)).exp()
                    })
                    .sum::<f64>()
            };
            field.step(stimulus);
            // The first third lets the bump form and catch up; then a look per τs.
            if i > steps / 3 && i % (1.0 / self.step).ceil() as usize == 0 {
                for ((at, heading), sum) in now.iter().zip(&mut sums) {
                    sum[3] += 1.0;
                    if let Some(c) = field.centre(*at, 2.5 * width).filter(|c| field.peak(*c, width) > 2.0 * self.stimulus) {
                        let d = field.apart(c, *at);
                        sum[0] += d[0] * heading[0] + d[1] * heading[1];
                        sum[1] += d[0] * d[0] + d[1] * d[1];
                        sum[2] += 1.0;
                    }
                }
            }
        }
        sums.iter()
            .map(|s| Tracked { lead: s[0] / s[2].max(1.0), distance: (s[1] / s[2].max(1.0)).sqrt(), held: s[2] / s[3].max(1.0) })
            .collect()
    }

    fn on_ring(&self, beta: f64, speed: f64, seed: u64) -> Tracked {
        let field = Field::new([1, self.ring], true, self, beta, seed);
        let n = self.ring as f64;
        self.follow(field, speed, &[&|path: f64| ([0.0, path.rem_euclid(n)], [0.0, 1.0])]).remove(0)
    }
}

impl Task for Attractor {
    fn cards(&self) -> Vec<PathBuf> {
        self.card.iter().chain(&self.neuron).cloned().collect()
    }

    fn run(&self, seed: u64, context: &Context<'_>) -> Result<Outcome, Problems> {
        let mut out = Outcome::default();
        let mut s = self.clone();
        match &self.card {
            Some(path) => {
                let (junction, note) = card(context, path, &["short-term-depression"])?;
                out.cards.push(note);
                let membrane = match &self.neuron {
                    Some(path) => {
                        let (neuron, note) = card(context, path, &["lif-two-times"])?;
                        out.cards.push(note);
                        neuron.value("tau_leak")?
                    }
                    None => self.membrane.0,
                };
                s = self.with(&junction, membrane)?;
                let typed = if self.neuron.is_none() { "membrane time, " } else { "" };
                out.cards.push(CardNote::typed(format!("typed beside the card: {typed}rate of events, spread between junctions, noise")));
                out.note(format!("U = {:.3}, recovery {:.1} membrane times of {membrane:.3e} s", s.release, s.recovery));
            }
            None => out.cards.push(CardNote::typed("depression typed: U and recovery of the settings")),
        }
        let beta = s.release * s.rate * s.recovery;
        let mut rows = Vec::new();
        for (i, &speed) in s.speeds.iter().enumerate() {
            (context.progress)(i as f64 / (s.speeds.len() + 2) as f64, "speeds on the ring");
            let (with, without) = (s.on_ring(beta, speed, seed), s.on_ring(0.0, speed, seed));
            rows.push(vec![speed, with.lead, with.lead / speed, without.lead, with.held]);
        }
        let ahead = rows.iter().filter(|r| r[1] > 0.0 && r[4] > 0.99).count();
        let longest = rows.iter().map(|r| r[2]).fold(f64::NEG_INFINITY, f64::max);
        let undepressed = rows.iter().filter(|r| r[3] > 0.0).count();
        out.score("speeds with lead", super::percent(ahead, rows.len()), "%");
        out.score("longest lead time", longest, "membrane times");
        out.score("speeds with lead, no depression", super::percent(undepressed, rows.len()), "%");
        out.curve(
            format!("lead on a ring of {}", s.ring),
            &[
                "speed (cells per membrane time)",
                "lead (cells)",
                "lead time (membrane times)",
                "lead without depression",
                "share of time with a bump",
            ],
            rows,
        );
        let shape = |v: &[usize], name: &str| -> Result<[usize; 2], Problems> {
            <[usize; 2]>::try_from(v).map_err(|_| spinloom_base::Diagnostic::error(format!("{name} needs rows and columns")).into())
        };
        let (ball, pair) = (shape(&s.ball, "ball")?, shape(&s.pair, "pair")?);
        (context.progress)(0.8, "ball");
        let follow = |beta: f64| {
            let field = Field::new(ball, false, &s, beta, seed);
            s.follow(field, s.speed, &[&|path: f64| bounce(ball, 2.0 * s.width, path)]).remove(0)
        };
        let (with, without) = (follow(beta), follow(0.0));
        out.score(format!("ball on {}x{}: lead time", ball[0], ball[1]), with.lead / s.speed, "membrane times");
        out.score("ball: lead time, no depression", without.lead / s.speed, "membrane times");
        out.score("ball: distance", with.distance, "cells");
        (context.progress)(0.9, "two targets");
        let [h, w] = pair.map(|n| n as f64 - 1.0);
        let field = Field::new(pair, false, &s, beta, seed);
        let round = |path: f64| circle([0.27 * h, 0.27 * w], 0.14 * h, path);
        let edged = |path: f64| square([0.73 * h, 0.73 * w], 0.28 * h, path);
        for (name, t) in ["circle", "square"].iter().zip(s.follow(field, s.speed, &[&round, &edged])) {
            out.score(format!("two targets, {name}: distance"), t.distance, "cells");
            out.score(format!("two targets, {name}: held"), 100.0 * t.held, "%");
        }
        out.note(format!(
            "beta = U rate tau_d = {beta:.4}; the paper counts 1128 junctions and tracks on 27x40 = 1080 and 21x21 = 441: both fields run"
        ));
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depression_turns_the_lag_into_a_lead() {
        let s = Attractor { time: 400.0, ..Attractor::default() };
        let beta = s.release * s.rate * s.recovery;
        let (with, without) = (s.on_ring(beta, 0.1, 1), s.on_ring(0.0, 0.1, 1));
        assert!(with.lead > 0.0 && without.lead < 0.0 && with.held == 1.0, "{} {} {}", with.lead, without.lead, with.held);
    }

    #[test]
    fn the_card_of_the_junction_sets_the_lead() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/networks/cards/depressing-junction.yaml");
        let mut card = Card::read(&path).unwrap();
        let s = Attractor { time: 200.0, ..Attractor::default() };
        let lead = |card: &Card, membrane: f64| {
            let s = s.with(card, membrane).unwrap();
            s.on_ring(s.release * s.rate * s.recovery, 0.05, 1).lead
        };
        let own = lead(&card, 1.2e-10);
        assert!(own > 0.0 && (lead(&card, 2e-10) - own).abs() > 0.01, "{own}");
        for name in ["U", "tau_rec"] {
            let value = card.parameters[name].value;
            card.parameters.get_mut(name).unwrap().value = 0.5 * value;
            assert!((lead(&card, 1.2e-10) - own).abs() > 0.01, "{name} moves nothing");
            card.parameters.get_mut(name).unwrap().value = value;
        }
    }

    #[test]
    fn without_recurrent_weights_nothing_is_held() {
        let s = Attractor { time: 100.0, ..Attractor::default() };
        let target = |path: f64| ([0.0, path.rem_euclid(20.0)], [0.0, 1.0]);
        let held = |cut: bool| {
            let mut field = Field::new([1, 20], true, &s, 0.0, 1);
            if cut {
                field.kernel.fill(0.0);
            }
            s.follow(field, 0.1, &[&target]).remove(0).held
        };
        assert_eq!((held(false), held(true)), (1.0, 0.0));
    }

    /// A bump of u0 exp(−x²/4a²) stands where k/K √(2π) a u0² − u0/√2 + 1 = 0.
    #[test]
    fn a_bump_has_the_height_of_the_closed_form() {
        let s = Attractor { ring: 64, width: 3.0, inhibition: 0.5, stimulus: 0.0, noise: 0.0, ..Attractor::default() };
        let mut f = Field::new([1, 64], true, &s, 0.0, 1);
        for (i, u) in f.u.iter_mut().enumerate() {
            *u = 6.0 * (-(i as f64 - 32.0).powi(2) / 36.0).exp();
        }
        for _ in 0..2000 {
            f.step(|_, _| 0.0);
        }
        // K √(2π) a = 1/8, so k u0²/8 − u0/√2 + 1 = 0; the stable root is the upper one.
        let k = 0.5;
        let u0 = 4.0 / k * (0.5f64.sqrt() + (0.5f64 - k / 2.0).sqrt());
        let found = f.u.iter().fold(0.0f64, |a, &b| a.max(b));
        assert!((found / u0 - 1.0).abs() < 0.01, "{found} {u0}");
    }
}
