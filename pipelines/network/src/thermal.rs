//! A thermal neuron in steps, from its card: what cools between pulses, and how sharply it begins to fire.

use crate::tasks::wrong;
use spinloom_base::Problems;
use spinloom_base::constants::KB;
use spinloom_card::Card;

/// Models of cards that [`steps`] reads.
pub(crate) const MODELS: [&str; 2] = ["lif-thermal", "lif-thermal-softening"];
/// Where a barrier that softens, and its ambient temperature, are stated (K).
const AMBIENT: f64 = 300.0;

/// Heat that is left after a step of `step` seconds, and the slope with which the logarithm of the expected number of fires in a pulse rises with the heat, where that number is one; heat there is 1.
///
/// The card's law: fires at f0 exp[−(E_b/kT)(s − I/I_c)] while the pulse lasts, s = 1 or (T_c − T)/(T_c − 300 K), over an excess temperature θI² that decays with tau_th (Chen et al., Nat. Commun. 17, 4362 (2026);
/// Koch et al., Phys. Rev. Lett. 92, 088302 (2004)). The temperature is taken as that at the end of the pulse, and its law as a straight line of ln rate over the excess, as `Answer::Thermal` has it.
/// A current that the card does not separate from the attempt frequency (I_c not determined) is in it.
///
/// # Errors
/// Parameters or ranges that are missing; a junction that heat alone never fires; a step shorter than the pulse.
pub(crate) fn steps(card: &Card, step: f64) -> Result<(f64, f64), Problems> {
    let (f0, barrier, tau) = (card.value("f0")?, card.value("E_b")?, card.value("tau_th")?);
    let constant = |name: &str| {
        let r = card.validity.get(name).ok_or_else(|| wrong(card, format!("states no range of `{name}`"), "fit it again"))?;
        Ok::<f64, Problems>(0.5 * (r.min + r.max))
    };
    let width = constant("width")?;
    let end = (card.model.name == "lif-thermal-softening").then(|| constant("T_c")).transpose()?;
    if step < width {
        return Err(wrong(
            card,
            format!("has pulses of {width:e} s, longer than the step of {step:e} s"),
            "give a longer `step` in `circuit`",
        ));
    }
    // ln of the expected number of fires in a pulse, a − b/T; both laws are of this form.
    let full = barrier / KB;
    let (a, b, hottest) = match end {
        None => ((f0 * width).ln(), full, AMBIENT + 1e6),
        Some(end) => ((f0 * width).ln() + full / (end - AMBIENT), full * end / (end - AMBIENT), end),
    };
    let t = b / a;
    if !(AMBIENT < t && t < hottest) {
        return Err(wrong(card, "is one that heat alone does not fire, or that fires cold", "its f0, E_b and pulses do not make a neuron"));
    }
    let slope = (t - AMBIENT) * b / (t * t);
    Ok(((-step / tau).exp(), slope))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_card_says_how_it_cools_and_how_sharply_it_fires() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/networks/cards/thermal-neuron.yaml");
        let mut card = Card::read(&path).unwrap();
        let (decay, slope) = steps(&card, 1e-9).unwrap();
        assert!((decay - (-1e-9 / card.value("tau_th").unwrap()).exp()).abs() < 1e-12 && slope > 1.0, "{decay} {slope}");
        // By hand: with T* where the exposure is one, d ln/d ln ΔT = ΔT (E_b/k) [s/T² + 1/(T (T_c − 300))].
        let [f0, barrier, end] = [card.value("f0").unwrap(), card.value("E_b").unwrap(), card.validity["T_c"].max];
        let b = barrier / KB;
        let l = (f0 * card.validity["width"].max).ln();
        // l = (b/T)(T_c − T)/(T_c − 300) is linear in 1/T.
        let t = b * end / (l * (end - AMBIENT) + b);
        let s = (end - t) / (end - AMBIENT);
        let expected = (t - AMBIENT) * b * (s / (t * t) + 1.0 / (t * (end - AMBIENT)));
        assert!((slope / expected - 1.0).abs() < 1e-3, "{slope} {expected}");
        assert!(steps(&card, 1e-10).unwrap_err().to_string().contains("longer than the step"));
        card.parameters.get_mut("E_b").unwrap().value *= 1.2;
        assert!((steps(&card, 1e-9).unwrap().1 / slope - 1.0).abs() > 0.01);
        card.parameters.get_mut("f0").unwrap().value = 1.0;
        assert!(steps(&card, 1e-9).unwrap_err().to_string().contains("does not fire"));
    }
}
