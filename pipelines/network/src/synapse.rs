//! A weight as two devices, w = w_max (G⁺ − G⁻)/(G_max − G_min), with everything that real devices do to it.
//!
//! | what | law |
//! |---|---|
//! | levels | G = G_min + ΔG [x + 4 bow x(1 − x)], x = level/(levels − 1) (card `levels`); n two-state devices in parallel have n + 1 (card `compound`) |
//! | cycle to cycle | a programmed G is off by σ ΔG ξ |
//! | device to device | G is off by a factor e^(σ ξ), for good |
//! | stuck | a share of devices stands at G_max or G_min |
//! | retention | after a time t a share 1 − e^(−t/τ) of devices has fallen to the middle of what thermal agitation reaches (each at its own time) |
//! | wires | bit and word lines have a resistance per cell; the network of resistors of a tile is solved (below) |
//! | read noise | every read of a device is off by σ G ξ: σ² Σ x²(G⁺² + G⁻²) on a sum |
//! | DAC, ADC | inputs and sums in 2^bits steps |
//! | pulses, `pulses` above 0 | weights are learned by pulses between fixed ends; one pulse moves x along f = (1 − e^(−a x))/(1 − e^(−a)), a_up and a_down apart (card `ltp-ltd`; Chen et al., IEEE TCAD 37, 3067 (2018), equation 1) |
//!
//! A tile with wires: rows are driven at their left end, columns are read (virtual ground) at their bottom. Node equations of both planes are solved by conjugate gradients, one right-hand side a column: because
//! the conductance matrix is symmetric, the potentials that a unit voltage at a column's foot makes at the row drivers are that column's effective conductances.

use crate::encode::key;
use crate::settings::{Seconds, Siemens, choice, settings};
use rayon::prelude::*;
use spinloom_base::random::{Stream, normals};
use spinloom_base::{Diagnostic, Problems};
use spinloom_card::Card;
use std::path::PathBuf;

choice!(
    /// Where non-idealities act.
    When { Training = "training", Inference = "inference", Both = "both" }
);
settings!(
    /// Non-idealities of a synapse.
    Synapse: "the synapse" {
        /// Card of a synapse: `levels`, `compound` or `ltp-ltd`; the other keys add to it.
        card: Option<PathBuf> = None;
        /// Card `variability` of a conductance: how far devices lie apart, in place of `device_to_device`.
        spread: Option<PathBuf> = None;
        /// Conductance range.
        g_min: Siemens = Siemens(1e-4), 0.0..=1e3;
        /// Its upper end.
        g_max: Siemens = Siemens(2e-4), 0.0..=1e3;
        /// States of one device (or of `devices` in parallel); 0 is continuous.
        levels: usize = 0, 0.0..=65536.0;
        /// Two-state devices in parallel behind one side of a weight; above 1 they make the levels.
        devices: usize = 1, 1.0..=1024.0;
        /// Bow of the staircase of levels.
        bow: f64 = 0.0, -0.9..=0.9;
        /// Largest weight in units of the root mean square of a layer.
        range: f64 = 3.0, 0.1..=100.0;
        /// Spread of a programmed conductance over the range.
        cycle_to_cycle: f64 = 0.0, 0.0..=2.0;
        /// Spread of ln G between devices.
        device_to_device: f64 = 0.0, 0.0..=2.0;
        /// Share of devices stuck at G_max.
        stuck_on: f64 = 0.0, 0.0..=1.0;
        /// Share of devices stuck at G_min.
        stuck_off: f64 = 0.0, 0.0..=1.0;
        /// Relative noise of a read.
        read_noise: f64 = 0.0, 0.0..=2.0;
        /// Time since the weights were written.
        age: Seconds = Seconds(0.0), 0.0..=1e12;
        /// Mean time a state lasts.
        retention: Seconds = Seconds(3.15e8), 1e-12..=1e30;
        /// Wire resistance per cell (Ω).
        wire: f64 = 0.0, 0.0..=1e6;
        /// Rows and columns of a tile.
        tile: usize = 64, 2.0..=1024.0;
        /// Bits of inputs; 0 is continuous.
        dac_bits: usize = 0, 0.0..=24.0;
        /// Bits of sums; 0 is continuous.
        adc_bits: usize = 0, 0.0..=24.0;
        /// Pulses from one end of the range to the other, where weights are learned by pulses; 0: weights are computed elsewhere and written. The range is then `range` times the root mean
        /// square of the layer's weights before learning, for good.
        pulses: usize = 0, 0.0..=1e6;
        /// Curvature of potentiation.
        a_up: f64 = 0.0, -20.0..=20.0;
        /// Curvature of depression.
        a_down: f64 = 0.0, -20.0..=20.0;
        /// Spread of one pulse's step over the range.
        pulse_noise: f64 = 0.0, 0.0..=1.0;
        /// When all but the levels act.
        when: When = When::Inference;
        /// Chips drawn and tested.
        chips: usize = 3, 1.0..=1000.0;
        /// Batches of training samples by which each chip finds the means and variances of its normalisation anew, at least 64 samples each (Joshi et al., Nat. Commun. 11, 2473 (2020),
        /// adaptive batch normalisation statistics); 0: those of training.
        calibration: usize = 0, 0.0..=1e6;
    }
);

/// Levels of one side of a weight (fewer than two: continuous), their bow, and the largest weight over the root mean square of a layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Staircase {
    pub states: usize,
    pub bow: f64,
    pub range: f64,
}

impl Synapse {
    /// With what its card says; the SHA-256 of its records for the table.
    pub(crate) fn with_card(&self, card: &Card) -> Result<Synapse, Problems> {
        let mut s = self.clone();
        let mut range = |low: &str, high: &str| -> Result<(f64, f64), Problems> {
            let (a, b) = (card.value(low)?, card.value(high)?);
            let (a, b) = (a.min(b), a.max(b));
            (s.g_min, s.g_max) = (Siemens(a), Siemens(b));
            Ok((a, b))
        };
        match card.model.name.as_str() {
            "levels" => {
                range("G_first", "G_last")?;
                // Two levels have no bow, and their card none either.
                let two = card.validity.get("level").is_some_and(|r| (r.max - r.min).round() == 1.0);
                s.bow = if two && !card.parameters.contains_key("bow") { 0.0 } else { card.value("bow")? };
                // The number of levels is a dimension of the data, which the validity of `level` states.
                if let Some(r) = card.validity.get("level") {
                    let levels = (r.max - r.min).round() as usize + 1;
                    if s.levels > levels {
                        return Err(Diagnostic::error(format!(
                            "levels: {} are more than the {levels} of the card `{}`",
                            s.levels, card.name
                        ))
                        .hint("leave `levels` out to take the card's")
                        .into());
                    }
                    if s.levels == 0 {
                        s.levels = levels;
                    }
                }
                // What repeated writes of one level were off by, where no other number was typed.
                if s.cycle_to_cycle == 0.0
                    && let Ok(sigma) = card.value("sigma")
                {
                    s.cycle_to_cycle = sigma / (s.g_max.0 - s.g_min.0);
                }
            }
            "compound" => {
                let (low, high) = range("g_off", "g_on")?;
                // s is the noise of the whole synapse; that of one of n junctions, whose noises are their own, is s/√n.
                s.read_noise = card.value("s")? / (0.5 * (low + high) * (s.devices as f64).sqrt());
            }
            "ltp-ltd" => {
                range("G_min", "G_max")?;
                (s.a_up, s.a_down) = (card.value("a_up")?, card.value("a_down")?);
            }
            other => {
                return Err(Diagnostic::error(format!("the card `{}` has the model `{other}`", card.name))
                    .hint("a synapse takes `levels`, `compound` or `ltp-ltd`")
                    .into());
            }
        }
        Ok(s)
    }

    /// Numbers of the device that were typed and act beside a card, or in place of it.
    fn typed(&self, real: &Synapse) -> Vec<String> {
        let default = Synapse::default();
        let mut out = Vec::new();
        let mut add = |name: &str, [typed, default, real]: [f64; 3]| {
            if typed != default && typed == real {
                out.push(format!("{name} {typed}"));
            }
        };
        let of = |f: fn(&Synapse) -> f64| [f(self), f(&default), f(real)];
        add("levels", of(|s| s.levels as f64));
        add("devices", of(|s| s.devices as f64));
        add("bow", of(|s| s.bow));
        add("cycle_to_cycle", of(|s| s.cycle_to_cycle));
        add("device_to_device", of(|s| s.device_to_device));
        add("stuck_on", of(|s| s.stuck_on));
        add("stuck_off", of(|s| s.stuck_off));
        add("read_noise", of(|s| s.read_noise));
        add("retention", of(|s| s.retention.0));
        add("wire", of(|s| s.wire));
        add("pulses", of(|s| s.pulses as f64));
        add("a_up", of(|s| s.a_up));
        add("a_down", of(|s| s.a_down));
        add("pulse_noise", of(|s| s.pulse_noise));
        out
    }

    /// Everything that is wrong with it beyond the ranges of single keys.
    pub(crate) fn check(&self) -> Result<(), Problems> {
        if self.g_max.0 <= self.g_min.0 {
            return Err(
                Diagnostic::error(format!("the synapse's g_max = {:e} S is not above g_min = {:e} S", self.g_max.0, self.g_min.0)).into()
            );
        }
        if self.stuck_on + self.stuck_off > 1.0 {
            return Err(Diagnostic::error("more than all devices are stuck").into());
        }
        Ok(())
    }

    /// States of one side.
    fn states(&self) -> usize {
        if self.devices > 1 { self.devices + 1 } else { self.levels }
    }

    /// What [`Synapse::quantise`] needs, for devices that do the same.
    pub(crate) fn staircase(&self) -> Staircase {
        Staircase { states: self.states(), bow: self.bow, range: self.root_mean_squares() }
    }

    /// Largest weight over the root mean square of a layer.
    fn root_mean_squares(&self) -> f64 {
        // Two states of a pair are signs: their size is what the weights have on average.
        if self.states() == 2 { 1.0 } else { self.range }
    }

    /// Largest weight of a layer that is written with these weights.
    pub(crate) fn w_max(&self, w: &[f32]) -> f64 {
        let square = w.iter().map(|w| f64::from(*w).powi(2)).sum::<f64>() / w.len().max(1) as f64;
        (self.root_mean_squares() * square.sqrt()).max(1e-30)
    }

    /// Where level k of a side lies after the bow.
    fn level(&self, k: usize) -> f64 {
        let x = k as f64 / (self.states() - 1) as f64;
        x + 4.0 * self.bow * x * (1.0 - x)
    }

    /// x (0 to 1) of a side on its nearest level.
    fn settle(&self, x: f64) -> f64 {
        let n = self.states();
        let x = x.clamp(0.0, 1.0);
        if n < 2 {
            return x;
        }
        if self.bow == 0.0 {
            return self.level((x * (n - 1) as f64).round() as usize);
        }
        (0..n).map(|k| self.level(k)).min_by(|a, b| (a - x).abs().total_cmp(&(b - x).abs())).expect("at least two levels")
    }

    /// x of a side on one of the two levels about it: by chance, so that its mean is x. A pulse makes a whole domain, or none.
    fn jump(&self, x: f64, stream: &mut Stream) -> f64 {
        let n = self.states();
        let x = x.clamp(0.0, 1.0);
        let Some(below) = (0..n.saturating_sub(1)).rfind(|k| self.level(*k) <= x) else { return x };
        let (low, high) = (self.level(below), self.level(below + 1));
        if stream.uniform() <= (x - low) / (high - low) { high } else { low }
    }

    /// Weights on their levels, devices ideal otherwise: what the forward pass of training sees. The gradient goes to the latent weights unchanged.
    pub(crate) fn quantise(&self, latent: &[f32], w_max: f64, out: &mut [f32]) {
        for (o, w) in out.iter_mut().zip(latent) {
            let x = f64::from(*w) / w_max;
            *o = (w_max * self.settle(x.abs()).copysign(x)) as f32;
        }
    }

    /// The weights of one chip as its devices really are, and per weight G⁺² + G⁻² in units of weight² (for read noise). `[input][output]`.
    pub(crate) fn chip(
        &self,
        latent: &[f32],
        w_max: f64,
        [inputs, outputs]: [usize; 2],
        layer: usize,
        seed: u64,
        chip: u32,
    ) -> (Vec<f32>, Vec<f32>) {
        let delta = self.g_max.0 - self.g_min.0;
        let k = key(seed ^ 0x53_594E);
        let lost = 1.0 - (-self.age.0 / self.retention.0).exp();
        let n = self.devices;
        let mut g = vec![[0.0f64; 2]; latent.len()];
        g.par_iter_mut().enumerate().for_each(|(i, g)| {
            let x = f64::from(latent[i]) / w_max;
            let mut stream = Stream::new(seed ^ u64::from(chip) << 48 ^ (layer as u64) << 40, 0x53 << 56 | i as u64);
            for side in 0..2 {
                let wanted = self.settle(if side == 0 { x } else { -x });
                let mut sum = 0.0;
                for d in 0..n {
                    let z = normals([i as u32, (layer * 2 + side) as u32 | chip << 16, d as u32, 77], k);
                    // Of parallel devices the first so many are on.
                    let mut x = if n > 1 { f64::from(u8::from((d as f64 + 0.5) < wanted * n as f64)) } else { wanted };
                    x += self.cycle_to_cycle * z[0];
                    if lost > 0.0 && stream.uniform() <= lost {
                        x = if n > 1 || self.states() == 2 { f64::from(stream.next_u32() & 1) } else { 0.5 };
                    }
                    if self.stuck_on + self.stuck_off > 0.0 {
                        let u = stream.uniform();
                        if u <= self.stuck_on {
                            x = 1.0;
                        } else if u <= self.stuck_on + self.stuck_off {
                            x = 0.0;
                        }
                    }
                    // A conductance is not negative.
                    let low = -self.g_min.0 / delta;
                    sum += (self.g_min.0 + delta * x.max(low)) * (self.device_to_device * z[1]).exp();
                }
                g[side] = sum / n as f64;
            }
        });
        if self.wire > 0.0 {
            for side in 0..2 {
                let plane: Vec<f64> = g.iter().map(|g| g[side]).collect();
                let real = through_wires(&plane, [inputs, outputs], self.tile, self.wire);
                g.iter_mut().zip(real).for_each(|(g, r)| g[side] = r);
            }
        }
        let unit = w_max / delta;
        let weights = g.iter().map(|[p, m]| (unit * (p - m)) as f32).collect();
        let squares = g.iter().map(|[p, m]| (unit * unit * (p * p + m * m) / n as f64) as f32).collect();
        (weights, squares)
    }

    /// Moves a latent weight by pulses towards w − step: the number of pulses is drawn so that its mean is right. Where the device has levels, it ends on one. Returns the pulses.
    pub(crate) fn pulse(&self, w: &mut f32, step: f64, w_max: f64, stream: &mut Stream) -> u32 {
        let size = 2.0 * w_max / self.pulses as f64;
        let wanted = step.abs() / size;
        let n = wanted.floor() + f64::from(u8::from(stream.uniform() <= wanted.fract()));
        if n == 0.0 {
            return 0;
        }
        // The pair as one device between −w_max and w_max.
        let x = ((f64::from(*w) / w_max + 1.0) / 2.0).clamp(0.0, 1.0);
        let up = step < 0.0;
        let a = if up { self.a_up } else { self.a_down };
        let x = if up { x } else { 1.0 - x };
        let at = if a.abs() < 1e-6 { x } else { -(1.0 - x * (1.0 - (-a).exp())).ln() / a };
        let at = (at + n / self.pulses as f64).clamp(0.0, 1.0);
        let x = if a.abs() < 1e-6 { at } else { (1.0 - (-a * at).exp()) / (1.0 - (-a).exp()) };
        let x = x + if self.pulse_noise > 0.0 { self.pulse_noise * n.sqrt() * stream.normal() } else { 0.0 };
        let x = if up { x } else { 1.0 - x }.clamp(0.0, 1.0);
        let mut to = 2.0 * x - 1.0;
        if self.states() > 1 {
            to = self.jump(to.abs(), stream).copysign(to);
        }
        *w = (w_max * to) as f32;
        n as u32
    }

    /// What a converter of so many bits makes of numbers between ± `largest`: 2^bits codes from end to end, none beyond.
    pub(crate) fn convert(bits: usize, x: &mut [f32], largest: f32) {
        if bits == 0 || largest <= 0.0 {
            return;
        }
        x.par_chunks_mut(4096).for_each(|x| x.iter_mut().for_each(|x| *x = code(f64::from(*x), f64::from(largest), 1 << bits) as f32));
    }

    /// Whether a read gives what the weights say: no noise, no converters.
    pub(crate) fn reads_exactly(&self) -> bool {
        self.read_noise == 0.0 && self.dac_bits == 0 && self.adc_bits == 0
    }

    /// Whether a chip can be tested away from the processor: noise of reads, converters and calibrations are the processor's.
    pub(crate) fn tested_anywhere(&self) -> bool {
        self.reads_exactly() && self.calibration == 0
    }

    /// The same for inputs: where none is negative, as of pixels and rates, codes lie between 0 and `largest`, one of them at 0.
    pub(crate) fn convert_inputs(bits: usize, x: &mut [f32], largest: f32) {
        if bits == 0 || x.iter().any(|x| *x < 0.0) {
            return Self::convert(bits, x, largest);
        }
        // Moved so that 0 is the lower end.
        x.iter_mut().for_each(|x| *x = 2.0 * *x - largest);
        Self::convert(bits, x, largest);
        x.iter_mut().for_each(|x| *x = 0.5 * (*x + largest));
    }

    /// Whether anything but levels acts at the time.
    pub(crate) fn acts(&self, training: bool) -> bool {
        match self.when {
            When::Training => training,
            When::Inference => !training,
            When::Both => true,
        }
    }
}

/// The nearest of `codes` equal steps from −limit to limit.
pub(crate) fn code(x: f64, limit: f64, codes: usize) -> f64 {
    let last = (codes - 1) as f64;
    let k = ((x / limit).clamp(-1.0, 1.0) + 1.0) / 2.0 * last;
    limit * (2.0 * k.round() / last - 1.0)
}

/// Effective conductances `[input][output]` of an array cut into tiles whose wires have a resistance.
fn through_wires(g: &[f64], [rows, columns]: [usize; 2], tile: usize, wire: f64) -> Vec<f64> {
    let mut out = vec![0.0; g.len()];
    let tiles: Vec<(usize, usize)> = (0..rows).step_by(tile).flat_map(|r| (0..columns).step_by(tile).map(move |c| (r, c))).collect();
    let solved: Vec<_> = tiles
        .par_iter()
        .map(|&(r0, c0)| {
            let (h, w) = (tile.min(rows - r0), tile.min(columns - c0));
            let part: Vec<f64> = (0..h * w).map(|i| g[(r0 + i / w) * columns + c0 + i % w]).collect();
            ((r0, c0, h, w), solve_tile(&part, h, w, 1.0 / wire))
        })
        .collect();
    for ((r0, c0, h, w), part) in solved {
        for i in 0..h * w {
            out[(r0 + i / w) * columns + c0 + i % w] = part[i];
        }
    }
    out
}

/// Effective conductances of one tile; `gw` is the conductance of a wire segment.
fn solve_tile(g: &[f64], h: usize, w: usize, gw: f64) -> Vec<f64> {
    let n = h * w;
    // Unknowns: potentials of row nodes, then of column nodes. Row i is driven through a segment left of node (i, 0), column j grounded through one below (h − 1, j).
    let multiply = |v: &[f64], out: &mut [f64]| {
        for i in 0..h {
            for j in 0..w {
                let k = i * w + j;
                let (a, b) = (v[k], v[n + k]);
                let cell = g[k] * (a - b);
                let left = if j > 0 { a - v[k - 1] } else { a };
                let right = if j + 1 < w { a - v[k + 1] } else { 0.0 };
                out[k] = cell + gw * (left + right);
                let up = if i > 0 { b - v[n + k - w] } else { 0.0 };
                let down = if i + 1 < h { b - v[n + k + w] } else { b };
                out[n + k] = -cell + gw * (up + down);
            }
        }
    };
    let diagonal: Vec<f64> = (0..2 * n)
        .map(|k| {
            let (cell, i, j) = (k % n, (k % n) / w, k % w);
            let ends = if k < n { 1.0 + f64::from(u8::from(j + 1 < w)) } else { f64::from(u8::from(i > 0)) + 1.0 };
            g[cell] + gw * ends
        })
        .collect();
    let mut out = vec![0.0; n];
    for column in 0..w {
        // A unit voltage at the foot of the column, rows at ground: by symmetry the current into row i's driver is the current that a unit voltage there sends to the foot.
        let mut b = vec![0.0; 2 * n];
        b[n + (h - 1) * w + column] = gw;
        let mut x = vec![0.0; 2 * n];
        let mut r = b;
        let mut z: Vec<f64> = r.iter().zip(&diagonal).map(|(r, d)| r / d).collect();
        let mut p = z.clone();
        let mut q = vec![0.0; 2 * n];
        let mut rz: f64 = r.iter().zip(&z).map(|(a, b)| a * b).sum();
        let first = rz;
        // A bound on the work, not on the error: what is reached by then is taken.
        for _ in 0..20 * (h + w) {
            if rz <= 1e-26 * first {
                break;
            }
            multiply(&p, &mut q);
            let alpha = rz / p.iter().zip(&q).map(|(a, b)| a * b).sum::<f64>();
            x.iter_mut().zip(&p).for_each(|(x, p)| *x += alpha * p);
            r.iter_mut().zip(&q).for_each(|(r, q)| *r -= alpha * q);
            z.iter_mut().zip(&r).zip(&diagonal).for_each(|((z, r), d)| *z = r / d);
            let next: f64 = r.iter().zip(&z).map(|(a, b)| a * b).sum();
            let beta = next / rz;
            rz = next;
            p.iter_mut().zip(&z).for_each(|(p, z)| *p = z + beta * *p);
        }
        for i in 0..h {
            out[i * w + column] = gw * x[i * w];
        }
    }
    out
}

/// Reads a synapse with its card.
pub(crate) fn resolve(s: &Synapse, base: &std::path::Path, cards: &mut Vec<crate::tasks::CardNote>) -> Result<Synapse, Problems> {
    s.check()?;
    let mut real = s.clone();
    match &s.card {
        None => cards.push(crate::tasks::CardNote::typed("synapse typed: values of the settings")),
        Some(path) => {
            let card = Card::read(&base.join(path))?;
            real = s.with_card(&card)?;
            cards.push(crate::tasks::CardNote::of(&card));
        }
    }
    if let Some(path) = &s.spread {
        let card = crate::tasks::read_card(base, path, &["variability"])?;
        // Of ln G, for spreads much below 1.
        real.device_to_device = card.value("d2d_over_mean")?;
        cards.push(crate::tasks::CardNote::of(&card));
    }
    real.check()?;
    if s.card.is_none() {
        return Ok(real);
    }
    // Numbers of the device that the settings have and the card has not, or that stand in place of the card's.
    let typed = s.typed(&real);
    if !typed.is_empty() {
        cards.push(crate::tasks::CardNote::typed(format!("typed beside the card: {}", typed.join(", "))));
    }
    Ok(real)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_the_nearest_and_parallel_devices_count() {
        let s = Synapse { levels: 5, range: 1.0, ..Synapse::default() };
        let w = [0.0f32, 1.0, -1.0, 0.4, -0.6, 1.2];
        let w_max = s.w_max(&w);
        let mut q = [0.0f32; 6];
        s.quantise(&w, w_max, &mut q);
        for (q, w) in q.iter().zip(&w) {
            let steps = f64::from(*q) / w_max * 4.0;
            assert!(
                (steps - steps.round()).abs() < 1e-5 && (f64::from(q - w).abs() <= w_max / 8.0 + 1e-6 || f64::from(w.abs()) > w_max),
                "{q} {w}"
            );
        }
        let n = Synapse { devices: 4, levels: 0, range: 1.0, ..Synapse::default() };
        let mut p = [0.0f32; 6];
        n.quantise(&w, w_max, &mut p);
        assert_eq!(p, q);
        // A chip of ideal devices holds just these.
        let (chip, _) = n.chip(&w, w_max, [3, 2], 0, 1, 0);
        assert!(chip.iter().zip(&q).all(|(a, b)| (a - b).abs() < 1e-5), "{chip:?} {q:?}");
    }

    #[test]
    fn the_card_states_levels_and_scatter_and_what_is_typed_shows() {
        let base = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/networks/cards");
        let path = PathBuf::from("skyrmion-synapse.yaml");
        let card = Card::read(&base.join(&path)).unwrap();
        let mut notes = Vec::new();
        let s = Synapse { card: Some(path), ..Synapse::default() };
        let real = resolve(&s, &base, &mut notes).unwrap();
        let sigma = card.value("sigma").unwrap() / (card.value("G_last").unwrap() - card.value("G_first").unwrap());
        assert!(real.levels == 6 && (real.cycle_to_cycle / sigma - 1.0).abs() < 1e-12 && notes.len() == 1, "{real:?} {notes:?}");
        let s = Synapse { cycle_to_cycle: 0.2, pulses: 32, ..s };
        assert_eq!(resolve(&s, &base, &mut notes).unwrap().cycle_to_cycle, 0.2);
        assert!(notes.last().unwrap().name.contains("cycle_to_cycle 0.2") && notes.last().unwrap().name.contains("pulses 32"), "{notes:?}");
        let e = resolve(&Synapse { levels: 16, ..s }, &base, &mut notes).unwrap_err().to_string();
        assert!(e.contains("16") && e.contains('6') && e.contains("leave `levels` out"), "{e}");
    }

    #[test]
    fn stuck_devices_and_age_take_their_share() {
        let w = vec![0.5f32; 20_000];
        let s = Synapse { stuck_off: 0.3, range: 1.0, ..Synapse::default() };
        let (chip, _) = s.chip(&w, 0.5, [200, 100], 0, 3, 0);
        let off = chip.iter().filter(|w| w.abs() < 1e-6).count() as f64 / 2e4;
        // Five standard errors of a binomial.
        assert!((off - 0.3).abs() < 5.0 * (0.21f64 / 2e4).sqrt(), "{off}");
        let old = Synapse { age: Seconds(2.0), retention: Seconds(1.0), range: 1.0, ..Synapse::default() };
        let (chip, _) = old.chip(&w, 0.5, [200, 100], 0, 3, 0);
        let mean = chip.iter().map(|w| f64::from(*w)).sum::<f64>() / 2e4;
        // G⁺ starts at 1 and G⁻ at 0; both fall to ½, so that w decays as e^(−t/τ).
        assert!((mean / 0.5 - (-2.0f64).exp()).abs() < 0.02, "{mean}");
    }

    #[test]
    fn pulses_follow_the_curve_of_the_card() {
        let s = Synapse { pulses: 100, a_up: 3.0, a_down: 3.0, ..Synapse::default() };
        let mut stream = Stream::new(1, 1);
        let mut w = -1.0f32;
        let mut path = vec![w];
        for _ in 0..100 {
            s.pulse(&mut w, -0.02, 1.0, &mut stream);
            path.push(w);
        }
        let f = |x: f64| (1.0 - (-3.0 * x).exp()) / (1.0 - (-3.0f64).exp());
        for (k, w) in path.iter().enumerate() {
            assert!((f64::from(*w) - (2.0 * f(k as f64 / 100.0) - 1.0)).abs() < 1e-3, "{k} {w}");
        }
    }

    #[test]
    fn a_device_with_levels_jumps_between_them_and_stops_at_its_ends() {
        let s = Synapse { pulses: 40, levels: 5, bow: 0.2, ..Synapse::default() };
        let mut stream = Stream::new(2, 1);
        let allowed: Vec<f64> = (0..5).map(|k| s.level(k)).collect();
        // Half a level at a time: where it stands is a level after each, and its mean moves as much as the pulses say.
        let mut ends = Vec::new();
        for _ in 0..4000 {
            let mut w = s.level(2) as f32;
            s.pulse(&mut w, -0.1, 1.0, &mut stream);
            assert!(allowed.iter().any(|l| (f64::from(w) - l).abs() < 1e-6), "{w}");
            ends.push(f64::from(w));
        }
        let mean = ends.iter().sum::<f64>() / 4000.0;
        // Standard error: levels are 0.3 apart at most, and a third of them moves.
        assert!((mean - (s.level(2) + 0.1)).abs() < 0.01, "{mean}");
        let mut w = 0.0;
        (0..200).for_each(|_| {
            s.pulse(&mut w, -0.1, 1.0, &mut stream);
        });
        assert_eq!(w, 1.0);
    }

    #[test]
    fn converters_have_as_many_codes_as_their_bits_say() {
        for bits in [1, 2, 4] {
            let mut x: Vec<f32> = (-3000..=3000).map(|i| i as f32 / 1000.0).collect();
            Synapse::convert(bits, &mut x, 2.0);
            let mut codes = x.clone();
            codes.dedup();
            assert_eq!(codes.len(), 1 << bits, "{codes:?}");
            assert_eq!((codes[0], *codes.last().unwrap()), (-2.0, 2.0));
            assert!(x.windows(2).all(|w| w[0] <= w[1]));
        }
        // Pixels use all codes, and black stays black.
        let mut x: Vec<f32> = (0..=3000).map(|i| i as f32 / 1000.0).collect();
        Synapse::convert_inputs(4, &mut x, 2.0);
        x.dedup();
        assert!(x.len() == 16 && x[0] == 0.0 && *x.last().unwrap() == 2.0, "{x:?}");
        let mut x = [-1.0f32, 0.1];
        Synapse::convert_inputs(1, &mut x, 2.0);
        assert_eq!(x, [-2.0, 2.0]);
        // None at 0 bits: inputs stay.
        let mut x = [0.3f32];
        Synapse::convert(0, &mut x, 1.0);
        assert_eq!(x, [0.3]);
    }

    /// One row and one column: two segments and the cell in series. A row of cells: the closed form of two cells by hand.
    #[test]
    fn wires_are_resistors_in_series() {
        let g = 1e-4;
        let one = solve_tile(&[g], 1, 1, 1.0 / 100.0);
        assert!((1.0 / one[0] - (1.0 / g + 200.0)).abs() < 1e-3, "{}", 1.0 / one[0]);
        let none = through_wires(&[1e-4, 2e-4, 3e-4, 4e-4], [2, 2], 2, 0.01);
        assert!(none.iter().zip([1e-4, 2e-4, 3e-4, 4e-4]).all(|(a, b)| (a / b - 1.0).abs() < 1e-4));
        // Two columns on one row, both feet grounded, the row driven at 1 V through R; the second node lies behind another R.
        let (r, r1, r2) = (100.0, 10_000.0, 5_000.0);
        let two = solve_tile(&[1.0 / r1, 1.0 / r2], 1, 2, 1.0 / r);
        let (b1, b2) = (r1 + r, r2 + r);
        let behind = r + b2;
        let into = r + b1 * behind / (b1 + behind);
        let v1 = 1.0 - r / into;
        let (i1, i2) = (v1 / b1, v1 / behind);
        assert!((two[0] / i1 - 1.0).abs() < 1e-6 && (two[1] / i2 - 1.0).abs() < 1e-6, "{two:?} {i1} {i2}");
    }
}
