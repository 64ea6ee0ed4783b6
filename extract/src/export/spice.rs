//! Subcircuits for ngspice, of behavioural sources and switches only: nothing that needs a compiled model.

use super::behaviour::Behaviour;
use super::{File, word};
use spinloom_base::Problems;
use spinloom_card::Card;

/// The subcircuit of a card.
pub(super) fn subcircuit(card: &Card) -> Result<Vec<File>, Problems> {
    let name = word(card);
    let body = match Behaviour::of(card, "the SPICE subcircuit")? {
        // One nanofarad holds the membrane: currents are of the order of amperes, which the solver takes as they are. The switches close at 1 and
        // open at 0.02, ln 50 time constants of their resistance and the capacitor later.
        Behaviour::Neuron { tau, gain, dead } => format!(
            "* drive: V(drive) is the drive; u: membrane, 0 at reset and 1 at the threshold; spike: 1 while it resets\n\
             .subckt {name} drive u spike\n\
             Cu u 0 1n IC=0\n\
             Bleak u 0 I=1n*V(u)/{tau:e}\n\
             Bgain 0 u I=(1-V(spike))*1n*{gain:e}*V(drive)\n\
             Sreset u 0 u 0 {name}_reset\n\
             Sspike spike 1v u 0 {name}_spike\n\
             Rspike spike 0 1meg\n\
             Vone 1v 0 1\n\
             .model {name}_reset sw vt=0.51 vh=0.49 ron={ron:e} roff=1e15\n\
             .model {name}_spike sw vt=0.51 vh=0.49 ron=1 roff=1e15\n\
             .ends\n",
            ron = dead / 50f64.ln() / 1e-9
        ),
        Behaviour::Switching { f0, barrier, critical, exponent } => format!(
            "* v: drive; h: exposure, the integral of the switching rate since the start; p: probability of having switched\n\
             * It switches when V(h) > -ln(r), r uniform in (0, 1), drawn once per try.\n\
             .subckt {name} v h p temperature=300\n\
             Ch h 0 1n IC=0\n\
             Bh 0 h I=1n*{f0:e}*exp(-{barrier:e}/{{temperature}}*pow(max(1-V(v)/{critical:e},0),{exponent:e}))\n\
             Rh h 0 1e18\n\
             Bp p 0 V=1-exp(-V(h))\n\
             .ends\n"
        ),
        Behaviour::Curve(y) => format!("* x: input; y: answer\n.subckt {name} x y\nBy y 0 V={y}\n.ends\n"),
    };
    let head = format!("* {}: {}\n* {}\n", card.name.replace('\n', " "), card.model.equation, card.model.reference);
    Ok(vec![File::Text(format!("{name}.sub"), head + &body)])
}
