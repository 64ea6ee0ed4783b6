//! Subcircuits for ngspice, of behavioural sources only: nothing that needs a compiled model.
//!
//! Quantities that are no voltages (a membrane, a drive in A/m^2, a probability) are voltages of their own nodes, one volt per unit.

use super::{File, refuse, value, word};
use spinloom_base::Problems;
use spinloom_base::constants::KB;
use spinloom_card::Card;

/// The subcircuit of a card.
pub(super) fn subcircuit(card: &Card) -> Result<Vec<File>, Problems> {
    let name = word(card);
    let v = |p: &str| value(card, p);
    let body = match card.model.name.as_str() {
        "lif-two-times" => {
            let or = |p: &str, x: f64| if card.parameters.contains_key(p) { v(p) } else { Ok(x) };
            let (tau, gain, reset, threshold) = (v("tau_leak")?, v("R_over_tau_int")?, or("V_reset", 0.0)?, or("V_th", 1.0)?);
            // A reset as long as the device's, but never none: the switch discharges one farad-second per volt within a fifth of it.
            let dead = or("t_reset", 0.02 * tau)?;
            format!(
                "* drive: V(drive) is the drive; u: membrane, 0 at reset and 1 at the threshold; spike: 1 while it resets\n\
                 * dV/dt = -(V - V_reset)/tau_leak + R_over_tau_int J, u = (V - V_reset)/(V_th - V_reset)\n\
                 .subckt {name} drive u spike\n\
                 * One nanofarad holds the membrane: currents are of the order of amperes, which the solver takes as they are.\n\
                 Cu u 0 1n IC=0\n\
                 Bleak u 0 I=1n*V(u)/{tau:e}\n\
                 Bgain 0 u I=(1-V(spike))*1n*{gain:e}*V(drive)/{swing:e}\n\
                 * Closes at 1, opens at 0.02.\n\
                 Sreset u 0 u 0 {name}_reset ON\n\
                 Sspike spike 1v u 0 {name}_spike\n\
                 Rspike spike 0 1meg\n\
                 Vone 1v 0 1\n\
                 .model {name}_reset sw vt=0.51 vh=0.49 ron={ron:e} roff=1e15\n\
                 .model {name}_spike sw vt=0.51 vh=0.49 ron=1 roff=1e15\n\
                 .ends\n",
                swing = threshold - reset,
                // From 1 to 0.02 in the dead time: ln 50 time constants of ron and one nanofarad.
                ron = dead / 50f64.ln() / 1e-9
            )
            .replace(" ON\n", "\n")
        }
        "switching-linear" | "switching-quadratic" | "switching-free" => {
            let exponent = match card.model.name.as_str() {
                "switching-linear" => 1.0,
                "switching-quadratic" => 2.0,
                _ => v("b")?,
            };
            format!(
                "* v: drive; h: exposure, the integral of the switching rate since the start; p: probability of having switched\n\
                 * It switches when h passes -ln(u), u uniform in (0, 1), drawn once per try: V(h) > -ln(u).\n\
                 .subckt {name} v h p temperature=300\n\
                 Ch h 0 1n IC=0\n\
                 Bh 0 h I=1n*{f0:e}*exp(-{barrier:e}/temperature*pow(max(1-V(v)/{critical:e},0),{exponent:e}))\n\
                 Rh h 0 1e18\n\
                 Bp p 0 V=1-exp(-V(h))\n\
                 .ends\n",
                f0 = v("f0")?,
                barrier = v("E_b")? / KB,
                critical = v("V_c")?
            )
            .replace("/temperature", "/{temperature}")
        }
        "sigmoid" => {
            curve(&name, &format!("{:e}+({:e})/(1+exp(-(V(x)-({:e}))/{:e}))", v("y_low")?, v("y_high")? - v("y_low")?, v("x_50")?, v("s")?))
        }
        "relu" => curve(&name, &format!("{:e}+({:e})*max(0,V(x)-({:e}))", v("y_0")?, v("gain")?, v("x_0")?)),
        "piecewise-linear" => {
            let (foot, top) = (v("x_low")?, v("x_high")?);
            curve(
                &name,
                &format!("{:e}+({:e})*min(1,max(0,(V(x)-({foot:e}))/({:e})))", v("y_low")?, v("y_high")? - v("y_low")?, top - foot),
            )
        }
        _ => {
            return Err(refuse(
                card,
                "the SPICE subcircuit",
                "lif-two-times, switching-linear, switching-quadratic, switching-free, sigmoid, relu and piecewise-linear",
            ));
        }
    };
    let head = format!("* {}: {}\n* {}\n", card.name.replace('\n', " "), card.model.equation, card.model.reference);
    Ok(vec![File::Text(format!("{name}.sub"), head + &body)])
}

fn curve(name: &str, y: &str) -> String {
    format!("* x: input; y: answer\n.subckt {name} x y\nBy y 0 V={y}\n.ends\n")
}
