//! A restricted Boltzmann machine whose units are random bits of a device (review table 3, Ye et al., Sci. Bull. 70, 1929 (2025): 64 x 10 junctions, recommendation).
//!
//! Hidden and visible bits are 1 with the device's probability σ((x − V_50)/s), weights are changed by contrastive divergence with one step (Hinton, Neural Comput.
//! 14, 1771 (2002), equation 10). Recommended is an item that a user has not rated if its probability, given what they rated, is above one half; the score is the
//! share of ratings held out that are told rightly. The paper names its data no further; here each user likes the items of one or two of several tastes, with
//! some likes at random: a stand-in, so that the gap between ideal and device bits counts, not the accuracy.

use super::{CardNote, Context, DataNote, Driven, Outcome, RandomBit, Task, card, percent};
use crate::settings::settings;
use spinloom_base::Problems;
use spinloom_base::random::Stream;
use std::path::PathBuf;

settings!(
    /// The machine.
    Recommendation: "the machine" {
        /// Card of the random bit.
        card: Option<PathBuf> = None;
        /// What a sum of one drives it by, in the card's unit; drives stop where the card's range does. Without a card a sum of one is the width of its curve.
        drive: Option<f64> = None, 1e-30..=1e30;
        /// Items.
        visible: usize = 64, 2.0..=10000.0;
        /// Hidden units.
        hidden: usize = 10, 1.0..=10000.0;
        /// Users to learn from and to test.
        users: Vec<usize> = vec![1000, 200], 1.0..=1e6;
        /// Tastes.
        tastes: usize = 6, 1.0..=100.0;
        /// Share of ratings drawn at random.
        fickle: f64 = 0.02, 0.0..=1.0;
        /// Share of ratings held out of a test user.
        held_out: f64 = 0.2, 0.01..=0.9;
        /// Passes over the users.
        epochs: usize = 40, 1.0..=10000.0;
        /// Learning rate.
        learning_rate: f64 = 0.05, 1e-6..=10.0;
        /// Spread between devices of V_50 in units of s, and of ln s.
        spread: f64 = 0.2, 0.0..=10.0;
        /// Looks averaged when recommending.
        looks: usize = 100, 1.0..=100000.0;
        /// Levels of a weight between −1 and 1 times its limit; 0 is continuous.
        levels: usize = 0, 0.0..=65536.0;
        /// Limit of a weight.
        limit: f64 = 4.0, 0.1..=100.0;
    }
);

/// A unit: offset and relative width of its sigmoid.
#[derive(Clone, Copy)]
struct Unit {
    offset: f64,
    width: f64,
}

impl Unit {
    fn chance(self, x: f64, drive: Driven) -> f64 {
        1.0 / (1.0 + (-(drive.at(x) - self.offset) / self.width).exp())
    }
}

struct Machine {
    weights: Vec<f64>,
    visible_bias: Vec<f64>,
    hidden_bias: Vec<f64>,
    visible: Vec<Unit>,
    hidden: Vec<Unit>,
    drive: Driven,
    looks: usize,
    limit: f64,
    levels: usize,
}

impl Machine {
    fn new(s: &Recommendation, drive: Driven, spread: f64, stream: &mut Stream) -> Self {
        let mut units = |n: usize| -> Vec<Unit> {
            (0..n).map(|_| Unit { offset: spread * stream.normal(), width: (spread * stream.normal()).exp() }).collect()
        };
        let (visible, hidden) = (units(s.visible), units(s.hidden));
        Self {
            weights: (0..s.visible * s.hidden).map(|_| 0.05 * stream.normal()).collect(),
            visible_bias: vec![0.0; s.visible],
            hidden_bias: vec![0.0; s.hidden],
            visible,
            hidden,
            drive,
            looks: s.looks,
            limit: s.limit,
            levels: s.levels,
        }
    }

    fn weight(&self, i: usize, j: usize) -> f64 {
        let w = self.weights[i * self.hidden.len() + j].clamp(-self.limit, self.limit);
        if self.levels < 2 {
            return w;
        }
        crate::synapse::code(w, self.limit, self.levels)
    }

    fn up(&self, v: &[f64], stream: &mut Stream) -> Vec<f64> {
        (0..self.hidden.len())
            .map(|j| {
                let x = self.hidden_bias[j] + v.iter().enumerate().map(|(i, v)| v * self.weight(i, j)).sum::<f64>();
                f64::from(u8::from(stream.uniform() <= self.hidden[j].chance(x, self.drive)))
            })
            .collect()
    }

    fn down(&self, h: &[f64], stream: &mut Stream) -> Vec<f64> {
        (0..self.visible.len())
            .map(|i| {
                let x = self.visible_bias[i] + h.iter().enumerate().map(|(j, h)| h * self.weight(i, j)).sum::<f64>();
                f64::from(u8::from(stream.uniform() <= self.visible[i].chance(x, self.drive)))
            })
            .collect()
    }

    fn learn(&mut self, v0: &[f64], rate: f64, stream: &mut Stream) {
        let h0 = self.up(v0, stream);
        let v1 = self.down(&h0, stream);
        let h1 = self.up(&v1, stream);
        let n = self.hidden.len();
        for (i, (a, b)) in v0.iter().zip(&v1).enumerate() {
            for j in 0..n {
                let w = &mut self.weights[i * n + j];
                *w = (*w + rate * (a * h0[j] - b * h1[j])).clamp(-self.limit, self.limit);
            }
            self.visible_bias[i] += rate * (a - b);
        }
        for j in 0..n {
            self.hidden_bias[j] += rate * (h0[j] - h1[j]);
        }
    }

    /// Means of visible bits with the known ones held.
    fn complete(&self, known: &[Option<f64>], stream: &mut Stream) -> Vec<f64> {
        let mut v: Vec<f64> = known.iter().map(|k| k.unwrap_or_else(|| f64::from(stream.next_u32() & 1))).collect();
        let mut mean = vec![0.0; v.len()];
        for look in 0..self.looks + 10 {
            let h = self.up(&v, stream);
            v = self.down(&h, stream);
            if look >= 10 {
                mean.iter_mut().zip(&v).for_each(|(m, v)| *m += v / self.looks as f64);
            }
            v.iter_mut().zip(known).for_each(|(v, k)| *v = k.unwrap_or(*v));
        }
        mean
    }
}

impl Recommendation {
    fn users(&self, stream: &mut Stream) -> Vec<Vec<f64>> {
        let taste: Vec<usize> = (0..self.visible).map(|_| stream.below(self.tastes)).collect();
        (0..self.users[0] + self.users[1])
            .map(|_| {
                let (a, b) = (stream.below(self.tastes), stream.below(self.tastes));
                taste
                    .iter()
                    .map(|t| {
                        let like = *t == a || *t == b;
                        let random = stream.uniform() <= self.fickle;
                        f64::from(u8::from(if random { stream.next_u32() & 1 == 1 } else { like }))
                    })
                    .collect()
            })
            .collect()
    }

    fn accuracy(&self, users: &[Vec<f64>], drive: Driven, spread: f64, seed: u64, context: &Context<'_>) -> f64 {
        let mut stream = Stream::new(seed, 0x72 << 40 | u64::from(spread > 0.0));
        let mut machine = Machine::new(self, drive, spread, &mut stream);
        let (train, test) = users.split_at(self.users[0]);
        let mut order: Vec<usize> = (0..train.len()).collect();
        for epoch in 0..self.epochs {
            (context.progress)(epoch as f64 / self.epochs as f64, "contrastive divergence");
            stream.shuffle(&mut order);
            let rate = self.learning_rate * (1.0 - 0.9 * epoch as f64 / self.epochs as f64);
            order.iter().for_each(|&i| machine.learn(&train[i], rate, &mut stream));
        }
        let (mut right, mut of) = (0, 0);
        for user in test {
            let known: Vec<Option<f64>> = user.iter().map(|r| (stream.uniform() > self.held_out).then_some(*r)).collect();
            let found = machine.complete(&known, &mut stream);
            for i in 0..user.len() {
                if known[i].is_none() {
                    of += 1;
                    right += usize::from((found[i] > 0.5) == (user[i] > 0.5));
                }
            }
        }
        percent(right, of)
    }
}

impl Task for Recommendation {
    fn cards(&self) -> Vec<PathBuf> {
        self.card.iter().cloned().collect()
    }

    fn run(&self, seed: u64, context: &Context<'_>) -> Result<Outcome, Problems> {
        let mut out = Outcome::default();
        if self.users.len() != 2 {
            return Err(spinloom_base::Diagnostic::error("users needs two numbers: to learn from, to test").into());
        }
        let ideal = Driven::freely(1.0);
        let drive = match &self.card {
            Some(path) => {
                let (card, note) = card(context, path, &super::RANDOM_BITS)?;
                let bit = RandomBit::of(&card)?;
                let drive = Driven::of(&card, self.drive, "drive", bit.s)?;
                // Independent bits are three response times apart; a look takes one step up and one down.
                out.note(format!("one recommendation takes {:.3e} s", 6.0 * bit.tau * self.looks as f64));
                out.cards.push(note);
                out.cards.push(CardNote::typed(format!(
                    "typed beside the card: drive of a sum of one {:e} in its unit, spread",
                    drive.one * bit.s
                )));
                drive
            }
            None => {
                super::no_card(&[("drive", self.drive.is_some())])?;
                out.cards.push(CardNote::typed("random bit typed: logistic"));
                ideal
            }
        };
        let mut stream = Stream::new(seed, 0x73 << 40);
        let users = self.users(&mut stream);
        let (device, ideal) = (self.accuracy(&users, drive, self.spread, seed, context), self.accuracy(&users, ideal, 0.0, seed, context));
        out.score("held-out ratings told", device, "%");
        out.score("held-out ratings told, ideal bits", ideal, "%");
        out.score("gap", ideal - device, "points");
        out.data = Some(DataNote {
            name: format!("{} users with {} tastes, drawn by the program", users.len(), self.tastes),
            stand_in: true,
            sha256: String::new(),
            split: [self.users[0], 0, self.users[1]],
        });
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tastes_are_learned_by_ideal_and_by_uneven_bits() {
        let s = Recommendation { users: vec![300, 50], epochs: 15, looks: 40, ..Recommendation::default() };
        let context = Context { data: None, base: std::path::Path::new("."), folder: None, device: None, progress: &|_, _| {} };
        let out = s.run(1, &context).unwrap();
        // A constant answer "no" is right in about 69 %.
        assert!(out.value("held-out ratings told, ideal bits").unwrap() > 80.0 && out.scores[0].value > 78.0, "{:?}", out.scores);
    }
}
