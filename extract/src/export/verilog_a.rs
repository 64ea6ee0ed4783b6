//! Verilog-A in the part of the language that OpenVAF compiles: no events, no random numbers. What an event would do, the reset of a neuron, a second
//! fast state does.

use super::behaviour::Behaviour;
use super::{File, word};
use spinloom_base::Problems;
use spinloom_card::Card;

/// The module of a card.
pub(super) fn module(card: &Card) -> Result<Vec<File>, Problems> {
    let name = word(card);
    let (ports, parameters, analog) = match Behaviour::of(card, "the Verilog-A module")? {
        // The spike follows a step of the membrane that lies at 1 while it is low and at 0.02 while it is high, and carries the reset.
        Behaviour::Neuron { tau, gain, dead } => (
            "drive, u, spike",
            String::new(),
            format!(
                "  // u: membrane, 0 at reset and 1 at the threshold; spike: 1 while it resets\n\
                 \x20 I(u) <+ 1e-9*(ddt(V(u)) + V(u)/{tau:e} - (1.0 - V(spike))*{gain:e}*V(drive) + V(spike)*V(u)/{fall:e});\n\
                 \x20 I(spike) <+ 1e-9*(ddt(V(spike)) + (V(spike) - 0.5*(1.0 + tanh((V(u) - 1.0 + 0.98*V(spike))/0.002)))/{follow:e});\n",
                fall = dead / 50f64.ln(),
                follow = 0.05 * dead
            ),
        ),
        Behaviour::Switching { f0, barrier, critical, exponent } => (
            "v, h, p",
            "parameter real temperature = 300.0 from (0:inf);\n".to_string(),
            format!(
                "  // h: exposure, the integral of the switching rate; p: probability of having switched. It switches when V(h) > -ln(r), r uniform in (0, 1).\n\
                 \x20 I(h) <+ 1e-9*(ddt(V(h)) - {f0:e}*exp(-{barrier:e}/temperature*pow(max(1.0-V(v)/{critical:e}, 0.0), {exponent:e})));\n\
                 \x20 V(p) <+ 1.0 - exp(-V(h));\n"
            ),
        ),
        Behaviour::Curve(y) => ("x, y", String::new(), format!("  V(y) <+ {y};\n")),
    };
    let head = format!(
        "// {}: {}\n// {}\n`include \"disciplines.vams\"\n\n",
        card.name.replace('\n', " "),
        card.model.equation,
        card.model.reference
    );
    let body = format!("module {name}({ports});\ninout {ports};\nelectrical {ports};\n{parameters}analog begin\n{analog}end\nendmodule\n");
    Ok(vec![File::Text(format!("{name}.va"), head + &body)])
}
