//! Two-state junctions that switch by chance: what a card of one says of a pulse.

use super::{Context, Outcome, card};
use crate::settings::settings;
use spinloom_base::{Diagnostic, Problems};
use spinloom_card::Card;
use spinloom_card::laws::switching_uniaxial;
use std::path::Path;

/// A card `switching-uniaxial` at 300 K.
pub(crate) struct Switching {
    /// For what it says besides.
    pub card: Card,
    law: [f64; 4],
}

impl Switching {
    /// Reads it, and tells which of the pulses to come (length in s, voltage in V) lie outside what it was measured at.
    pub fn read(context: &Context<'_>, path: &Path, pulses: &[(f64, f64)], out: &mut Outcome) -> Result<Switching, Problems> {
        let (card, note) = card(context, path, &["switching-uniaxial"])?;
        out.cards.push(note);
        let mut outside = Vec::new();
        for (what, value) in pulses.iter().flat_map(|(t, v)| [("t", *t), ("V", *v)]) {
            if let Some(r) = card.validity.get(what).filter(|r| !(r.min..=r.max).contains(&value)) {
                outside.push(format!("extrapolated: {what} = {value:e} lies outside the card's {:e} to {:e} {}", r.min, r.max, r.unit));
            }
        }
        outside.dedup();
        outside.into_iter().for_each(|o| out.note(o));
        Self::of(card)
    }

    /// From a card that has been read.
    pub fn of(card: Card) -> Result<Switching, Problems> {
        let law = [card.value("f_B")?, card.value("E_b")?, card.value("V_c")?, card.value("chi")?];
        Ok(Switching { card, law })
    }

    /// P_sw of a pulse of `t` seconds whose sign favours the switching, with the barrier at so many times that of the card.
    pub fn chance(&self, t: f64, voltage: f64, barrier: f64) -> Result<f64, Problems> {
        let [f_b, e_b, v_c, chi] = self.law;
        // f_B and V_c go with the field of anisotropy, as the barrier does (W. F. Brown, Phys. Rev. 130, 1677 (1963)): a junction whose anisotropy is larger has all three.
        let [start, tau] = switching_uniaxial([f_b * barrier, e_b * barrier, v_c * barrier, chi], voltage, voltage.signum(), 300.0);
        let chance = -(-(t - start).max(0.0) / tau).exp_m1();
        if !(0.0..=1.0).contains(&chance) {
            return Err(Diagnostic::error(format!("the card `{}` gives P = {chance} at {voltage} V and {t:e} s", self.card.name)).into());
        }
        Ok(chance)
    }
}

/// Energy of a pulse through a junction in each of its states, off and on (J): V² t G with the conductances of a card `levels`.
pub(crate) fn energies(levels: &Card, t: f64, voltage: f64) -> Result<[f64; 2], Problems> {
    let g = [levels.value("G_first")?, levels.value("G_last")?];
    Ok([g[0].min(g[1]), g[0].max(g[1])].map(|g| voltage * voltage * t * g))
}

settings!(
    /// Pulses of a junction with a card.
    Pulses: "the pulses" {
        /// Card of a switching junction (`switching-uniaxial`).
        card: Option<std::path::PathBuf> = None;
        /// Card of its two conductances (`levels`), for the energy of pulses.
        conductances: Option<std::path::PathBuf> = None;
        /// Length of a pulse.
        length: crate::settings::Seconds = crate::settings::Seconds(40e-9), 1e-12..=10.0;
        /// Voltage (V) that switches on, at the start and at the end of learning; in between it goes evenly.
        on: Vec<f64> = vec![0.2, 0.15], 0.0..=100.0;
        /// That switches off, likewise; its sign is the other one.
        off: Vec<f64> = vec![0.26, 0.22], 0.0..=100.0;
        /// Standard deviation of the barrier over junctions.
        barrier_spread: f64 = 0.0, 0.0..=1.0;
    }
);

impl Pulses {
    /// Voltages, on (positive) and off (negative), after a share of the learning.
    pub fn voltages(&self, done: f64) -> [f64; 2] {
        let at = |v: &[f64]| v[0] + (v[v.len() - 1] - v[0]) * done;
        [at(&self.on), -at(&self.off)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_card_gives_its_own_probability() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/networks/cards/switching-synapse.yaml");
        let mut card = Card::read(&path).unwrap();
        let at = |card: &Card, v: f64| Switching::of(card.clone()).unwrap().chance(4e-8, v, 1.0).unwrap();
        let (weak, strong) = (at(&card, 0.2), at(&card, 0.24));
        assert!(weak > 0.0 && weak < strong && strong < 1.0, "{weak} {strong}");
        // The other way a positive voltage raises the barrier: more of it is needed.
        assert!(at(&card, -0.24) < 0.5 * strong);
        let law = Switching::of(card.clone()).unwrap();
        assert!(law.chance(4e-8, 0.2, 1.1).unwrap() < weak && law.chance(4e-8, 0.2, 0.9).unwrap() > weak);
        for name in ["V_c", "chi", "E_b", "f_B"] {
            let value = card.parameters[name].value;
            card.parameters.get_mut(name).unwrap().value = 1.1 * value;
            assert!((at(&card, 0.2) / weak - 1.0).abs() > 1e-3, "{name} moves nothing");
            card.parameters.get_mut(name).unwrap().value = value;
        }
    }
}
