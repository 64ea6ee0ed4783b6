//! Small PyTorch modules for snnTorch, Norse and SpikingJelly: a law in plain PyTorch, the same for all, in the clothes of each.

use super::step::Step;
use super::{File, refuse, value, word};
use spinloom_base::Problems;
use spinloom_card::Card;
use std::fmt::Write as _;

/// How a framework wants a neuron: what it imports, and the class around the law.
pub(super) struct Framework {
    name: &'static str,
    imports: &'static str,
    class: &'static str,
}

/// Returns spikes and state, as `snntorch.Leaky` does.
pub(super) const SNNTORCH: Framework = Framework {
    name: "snntorch",
    imports: "import snntorch\nfrom snntorch import surrogate\nimport torch\n",
    class: r#"class Neuron(snntorch.SpikingNeuron):
    def __init__(self, spike_grad=None):
        super().__init__(spike_grad=spike_grad or surrogate.atan())

    def forward(self, x, state=None):
        return law(x, start(x) if state is None else state, self.spike_grad)
"#,
};

/// A cell, which `norse.torch.SequentialState` and `Lift` take.
pub(super) const NORSE: Framework = Framework {
    name: "norse",
    imports: "from norse.torch.functional.threshold import threshold\nfrom norse.torch.module.snn import SNNCell\nimport torch\n",
    class: r#"class Neuron(SNNCell):
    """`p` is the slope of the surrogate gradient."""

    def __init__(self, p=100.0):
        super().__init__(self.step, start, torch.as_tensor(p))

    @staticmethod
    def step(x, state, p, dt):
        return law(x, state, lambda v: threshold(v, "super", p))
"#,
};

/// A memory module, which `functional.reset_net` resets.
pub(super) const SPIKINGJELLY: Framework = Framework {
    name: "spikingjelly",
    imports: "from spikingjelly.activation_based import base, surrogate\nimport torch\n",
    class: r#"class Neuron(base.MemoryModule):
    def __init__(self, surrogate_function=None, step_mode="s"):
        super().__init__()
        self.surrogate_function = surrogate_function or surrogate.ATan()
        self.step_mode = step_mode
        self.register_memory("state", None)

    def single_step_functional_forward(self, inputs, states, **kwargs):
        (x,), (state,) = inputs, states
        spikes, state = law(x, start(x) if state is None else state, self.surrogate_function)
        return (spikes,), (state,)
"#,
};

/// What one step does: constants, the state at the start, and the body of `law(x, state, spike)`.
struct Law {
    about: String,
    constants: Vec<(&'static str, f64)>,
    start: &'static str,
    body: &'static str,
}

/// The law of a card.
fn law(card: &Card) -> Result<Law, Problems> {
    let v = |p: &str| value(card, p);
    let model = card.model.name.as_str();
    if let Some(step) = Step::of(card) {
        let step = step?;
        let [reset, swing] = step.membrane;
        return Ok(Law {
            about: format!(
                "A step lasts {:e} s. Input 1 is a drive of {:e} {}; the membrane u is (V - {reset:e})/{swing:e} {}.",
                step.length, step.nominal.0, step.nominal.1, step.unit
            ),
            constants: vec![
                ("DECAY_ON", step.decay_on),
                ("LEAK_ON", step.leak_on),
                ("GAIN", step.gain),
                ("DECAY_OFF", step.decay_off),
                ("LEAK_OFF", step.leak_off),
                ("U_MIN", step.u[0]),
                ("U_MAX", step.u[1]),
                ("X_MIN", step.x[0]),
                ("X_MAX", step.x[1]),
                ("WAIT", step.wait),
            ],
            start: "torch.zeros_like(x), torch.zeros_like(x)",
            body: r"    u, wait = state
    ready = (wait <= 0).to(x.dtype)
    h = ready * (DECAY_ON * u - LEAK_ON + GAIN * x.clamp(X_MIN, X_MAX)).clamp(U_MIN, U_MAX)
    fires = ready * spike(h - 1.0)
    u = ready * (DECAY_OFF * h * (1.0 - fires) - LEAK_OFF).clamp(min=U_MIN)
    return fires, (u, (wait - 1.0).clamp(min=0.0) + WAIT * fires.detach())
",
        });
    }
    Ok(match model {
        "lif-signed" => {
            let (plus, tau) = (v("J_rh_plus")?, v("tau_leak")?);
            Law {
                about: format!(
                    "A step lasts {:e} s, a tenth of the leak. Input 1 is a drive of {plus:e} {}, which just reaches the threshold of +1; a spike is +1 or -1.",
                    0.1 * tau,
                    card.parameters["J_rh_plus"].unit
                ),
                constants: vec![("DECAY", (-0.1f64).exp()), ("THRESHOLD_MINUS", v("J_rh_minus")? / plus)],
                start: "(torch.zeros_like(x),)",
                body: r"    (u,) = state
    u = DECAY * u + (1.0 - DECAY) * x
    plus, minus = spike(u - 1.0), spike(-u - THRESHOLD_MINUS)
    return plus - minus, (u * (1.0 - plus) * (1.0 - minus),)
",
            }
        }
        "firing-logistic" | "firing-probit" | "firing-escape" => Law {
            about: format!(
                "Input is the drive in {}; each step is one try. The gradient is that of the probability.",
                card.parameters["V_50"].unit
            ),
            constants: vec![("V_50", v("V_50")?), ("SLOPE", v("slope")?)],
            start: "()",
            body: match model {
                "firing-logistic" => "    p = torch.sigmoid(SLOPE * (x - V_50))\n    return drawn(p), state\n",
                "firing-probit" => "    p = torch.special.ndtr(SLOPE * (x - V_50))\n    return drawn(p), state\n",
                _ => "    p = -torch.expm1(-0.6931471805599453 * torch.exp(SLOPE * (x - V_50)))\n    return drawn(p), state\n",
            },
        },
        "p-bit" => {
            let tau = v("tau")?;
            Law {
                about: format!(
                    "A step lasts {tau:e} s, the response time. Input in {}; 1 is up, 0 is down. The gradient is that of the probability.",
                    card.parameters["V_50"].unit
                ),
                constants: vec![("V_50", v("V_50")?), ("S", v("s")?)],
                start: "(torch.full_like(x, 0.5),)",
                body: r"    (up,) = state
    y = (x - V_50) / S
    p = torch.sigmoid(y)
    bit = drawn(p + (up - p) * torch.exp(-torch.cosh(0.5 * y)))
    return bit, (bit,)
",
            }
        }
        _ => {
            let has =
                "lif-two-times, lif-switching-leak, constant-leak, lif-signed, firing-logistic, firing-probit, firing-escape and p-bit";
            return Err(refuse(card, "the PyTorch module", has));
        }
    })
}

/// The module of a card for a framework.
pub(super) fn module(card: &Card, framework: &Framework) -> Result<Vec<File>, Problems> {
    let Law { about, constants, start, body } = law(card)?;
    let plain = |s: &str| s.replace(['"', '\\'], "'").replace('\n', " ");
    let mut text = format!(
        "\"\"\"{}: {}.\n\n{}\n{about}\n\"\"\"\n\n{}\n",
        plain(&card.name),
        card.model.name,
        plain(&card.model.equation),
        framework.imports
    );
    for (name, x) in constants {
        let _ = match x {
            x if x.is_infinite() => writeln!(text, "{name} = {}float(\"inf\")", if x < 0.0 { "-" } else { "" }),
            x => writeln!(text, "{name} = {x:e}"),
        };
    }
    if body.contains("drawn(") {
        text += "\n\ndef drawn(p):\n    \"\"\"1 with probability p, with the gradient of p.\"\"\"\n    return p + (torch.bernoulli(p.detach()) - p).detach()\n";
    }
    let _ = write!(
        text,
        "\n\ndef start(x):\n    \"\"\"The state before the first step.\"\"\"\n    return {start}\n\n\ndef law(x, state, spike):\n    \"\"\"One step: spikes and the new state; `spike` is the step function with its surrogate gradient.\"\"\"\n{body}\n\n{}",
        framework.class
    );
    Ok(vec![File::Text(format!("{}_{}.py", word(card), framework.name), text)])
}
