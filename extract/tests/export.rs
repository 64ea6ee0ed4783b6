//! Exports read back by the programs they are for, where those are on this machine, and by arithmetic where they are not.

use spinloom_base::random::Stream;
use spinloom_base::{Document, Problems};
use spinloom_card::{Card, Drive, Parameter};
use spinloom_extract::export::export;
use spinloom_extract::{Data, ExtractConfig, check, find, run};
use spinloom_network::NeuronModel;
use std::path::Path;
use std::process::Command;

/// The card of a model from its own example, by way of a table.
fn card(name: &str, dir: &Path) -> Card {
    let model = find(name).unwrap();
    let e = model.example();
    let data = model.simulate(&e.truth, e.sigma, &e.design, &mut Stream::new(17, 3));
    let names: Vec<&str> = data.names().collect();
    let rows: String =
        (0..data.rows()).map(|i| names.iter().map(|n| format!("{:e}", data.col(n)[i])).collect::<Vec<_>>().join(",") + "\n").collect();
    std::fs::write(dir.join("data.csv"), format!("{}\n{rows}", names.join(","))).unwrap();
    let columns: Vec<String> = names.iter().map(|n| format!("{n}: [{n}, '{}']", data.unit(n))).collect();
    let text = format!(
        "devices: [{{name: a device, csv: [{{file: data.csv}}], columns: {{{}}}, models: [{name}], resamples: 0}}]",
        columns.join(", ")
    );
    let document = Document::parse("e.yaml", &text).unwrap();
    let mut problems = Problems::new();
    let config = ExtractConfig::parse(&document.root, &mut problems);
    let config = problems.into_result(config).unwrap_or_else(|p| panic!("{p}"));
    let out = run(&config, dir).unwrap_or_else(|p| panic!("{name}: {p}"));
    out.cards.into_iter().next().unwrap()
}

fn value(card: &Card, name: &str) -> f64 {
    card.value(name).unwrap()
}

/// What a program prints, or none if it is not here.
fn output(program: &str, arguments: &[&str], dir: &Path) -> Option<String> {
    let o = Command::new(program).args(arguments).current_dir(dir).output().ok()?;
    assert!(o.status.success(), "{program}: {}", String::from_utf8_lossy(&o.stderr));
    Some(String::from_utf8_lossy(&o.stdout).to_string())
}

/// A Python with a module, or none, said aloud. Frameworks that want an environment of their own are looked for in `SPINLOOM_PEERS` too, a list of
/// interpreters parted by colons.
fn python(module: &str) -> Option<String> {
    let own = std::env::var("SPINLOOM_PYTHON").unwrap_or_else(|_| "python3".into());
    let peers = std::env::var("SPINLOOM_PEERS").unwrap_or_default();
    let has = |python: &&str| Command::new(python).args(["-c", &format!("import {module}")]).output().is_ok_and(|o| o.status.success());
    let found = std::iter::once(own.as_str()).chain(peers.split(':').filter(|p| !p.is_empty())).find(has).map(str::to_string);
    if found.is_none() {
        println!("skipped: no Python with `{module}` here; name one by SPINLOOM_PYTHON or SPINLOOM_PEERS");
    }
    found
}

#[test]
fn nir_reads_the_neuron_and_it_spikes_as_ours() {
    let dir = tempfile::tempdir().unwrap();
    let card = card("lif-two-times", dir.path());
    let tau = value(&card, "tau_leak");
    for format in ["nir", "nir-si"] {
        let files = export(&card, format, dir.path()).unwrap();
        let Some(python) = python("nir") else { return };
        // The reader's own equation by Euler's rule, as importers step it: 100 steps of a tenth of tau at 1.3 of the rheobase.
        let script = "import nir, sys\n\
            n = nir.read(sys.argv[1]).nodes['neuron']\n\
            assert type(n).__name__ == 'LIF', n\n\
            tau, r, leak, th, reset = [float(x[0]) for x in (n.tau, n.r, n.v_leak, n.v_threshold, n.v_reset)]\n\
            i, v, spikes = 1.3*(th - leak)/r, reset, []\n\
            for k in range(100):\n    v += 0.1*(leak - v + r*i)\n    if v > th:\n        spikes.append(k)\n        v = reset\n\
            print(tau, *spikes)\n";
        let said = output(&python, &["-c", script, files[0].to_str().unwrap()], dir.path()).unwrap();
        let numbers: Vec<f64> = said.split_whitespace().map(|w| w.parse().unwrap()).collect();
        let (mut u, mut spikes) = (0.0f64, Vec::new());
        for k in 0..100 {
            u += 0.1 * (1.3 - u);
            if u > 1.0 {
                spikes.push(f64::from(k));
                u = 0.0;
            }
        }
        assert_eq!(numbers[1..], spikes, "{format}");
        // Without a protocol the leak takes ten steps of 1e-4 s, each of which decays by e^-0.1.
        let wanted = if format == "nir" { 1e-4 / -(-0.1f64).exp_m1() } else { tau };
        assert!((numbers[0] / wanted - 1.0).abs() < 1e-9, "{format}: {} {wanted}", numbers[0]);
    }
}

/// The card of a leaky neuron as a membrane's fit makes it: with a protocol, a dead time and a scale.
fn pulsed(name: &str, dir: &Path) -> Card {
    let mut card = card(name, dir);
    card.drive = Some(Drive { quantity: "J".into(), unit: "A/m^2".into(), on: 1e-9, off: 0.5e-9, nominal: 7e11 });
    let number = |value: f64, unit: &str| Parameter { value, unit: unit.into(), interval: None, origin: "set".into() };
    card.parameters.insert("V_reset".into(), number(160e-6, "V"));
    card.parameters.insert("V_th".into(), number(214e-6, "V"));
    for (name, unit) in [("R_over_tau_int", "V m^2/(s A)"), ("v_leak", "V/s")] {
        if let Some(p) = card.parameters.get_mut(name) {
            *p = number(p.value * 54e-6 * if name == "v_leak" { 1.0 } else { 2.5 }, unit);
        }
    }
    card
}

/// Inputs between 0 and 1, and the steps at which the network's own neuron fires on them.
fn network(card: &Card, steps: usize) -> (Vec<f64>, Vec<usize>) {
    let mapping = NeuronModel::from_card(card, None).unwrap_or_else(|p| panic!("{p}")).mapping;
    let mut random = Stream::new(5, 0);
    let inputs: Vec<f64> = (0..steps).map(|_| random.uniform()).collect();
    let (mut u, mut wait, mut fired) = (0.0, 0, Vec::new());
    for (k, x) in inputs.iter().enumerate() {
        if wait > 0 {
            (u, wait) = (0.0, wait - 1);
            continue;
        }
        let (_, fires, next) = mapping.step(u, *x);
        u = next;
        if fires {
            fired.push(k);
            wait = mapping.refractory_steps;
        }
    }
    assert!(fired.len() > steps / 40, "{fired:?}");
    (inputs, fired)
}

/// Steps at which a script says that it fired, for inputs on its standard input.
fn spikes(python: &str, script: &str, inputs: &[f64], dir: &Path) -> Vec<usize> {
    let list = inputs.iter().map(|x| format!("{x:e}")).collect::<Vec<_>>().join(" ");
    std::fs::write(dir.join("inputs.txt"), list).unwrap();
    let said = output(python, &["-c", script], dir).unwrap();
    said.lines().last().unwrap_or_default().split_whitespace().map(|w| w.parse().unwrap()).collect()
}

#[test]
fn frameworks_read_the_graph_and_spike_as_our_network_does() {
    let dir = tempfile::tempdir().unwrap();
    let card = pulsed("lif-two-times", dir.path());
    export(&card, "nir", dir.path()).unwrap();
    let (inputs, fired) = network(&card, 400);
    let load = "import nir, torch\ng = nir.read('a_device.nir')\nnotes = g.nodes['neuron'].metadata\n\
                note = notes['input_of_a_nominal_pulse']\ng1 = float(note.decode() if isinstance(note, bytes) else note)\n\
                x = [g1*float(w) for w in open('inputs.txt').read().split()]\nfired, state = [], None\n";
    let each = "for k, i in enumerate(x):\n    z, state = net(torch.tensor([[i]]), state)\n    if float(z) > 0:\n        fired.append(k)\nprint(*fired)\n";
    for (module, import) in [
        ("snntorch", "from snntorch.import_nir import import_from_nir\nnet = import_from_nir(g)\n"),
        ("norse", "import norse.torch\nnet = norse.torch.from_nir(g, dt=1e-4)\n"),
        (
            "spikingjelly",
            "from spikingjelly.activation_based.nir_exchange import import_from_nir\nnet = import_from_nir(g, dt=1e-4, step_mode='s')\n",
        ),
    ] {
        let Some(python) = python(module) else { continue };
        assert_eq!(spikes(&python, &format!("{load}{import}{each}"), &inputs, dir.path()), fired, "{module}");
        println!("{module}: {} spikes at the same steps as ours", fired.len());
    }
}

/// Prints the steps at which a module fired, by its sign, in double precision.
const DRIVE: &str = "import sys, torch\nsys.path.insert(0, '.')\ntorch.set_default_dtype(torch.float64)\nimport MODULE as m\nnet, state = m.Neuron(), None\n\
                     x = [float(w) for w in open('inputs.txt').read().split()]\n\
                     def step(i):\n    global state\n    i = torch.tensor([[i]])\n    if 'MODULE'.endswith('spikingjelly'):\n        return net(i)\n    \
                     z, state = net(i, state)\n    return z\n\
                     fired = [float(step(i)) for i in x]\nprint(*[k*int(abs(z)) + (100000 if z < 0 else 0) for k, z in enumerate(fired) if z != 0])\n";

const FRAMEWORKS: [&str; 3] = ["snntorch", "norse", "spikingjelly"];

#[test]
fn modules_say_what_the_graph_cannot_leaks_that_switch_dead_times_and_signs() {
    let dir = tempfile::tempdir().unwrap();
    for (name, dead) in [("lif-two-times", 9e-9), ("constant-leak", 9e-9), ("lif-switching-leak", 0.0), ("lif-signed", 0.0)] {
        let mut card = if name == "lif-signed" { card(name, dir.path()) } else { pulsed(name, dir.path()) };
        if dead > 0.0 {
            card.parameters.insert("t_reset".into(), Parameter { value: dead, unit: "s".into(), interval: None, origin: "set".into() });
        }
        let v = |p: &str| value(&card, p);
        let (inputs, fired) = match name {
            "lif-signed" => {
                // Ten steps a leak, drives of both signs up to twice the rheobase.
                let mut random = Stream::new(6, 0);
                let inputs: Vec<f64> = (0..400).map(|k| 3.0 * random.uniform() * if k / 40 % 2 == 0 { 1.0 } else { -1.0 }).collect();
                let ratio = v("J_rh_minus") / v("J_rh_plus");
                let (mut u, mut fired) = (0.0, Vec::new());
                for (k, x) in inputs.iter().enumerate() {
                    u += (x - u) * -(-0.1f64).exp_m1();
                    if u > 1.0 || u < -ratio {
                        fired.push(k + if u < 0.0 { 100_000 } else { 0 });
                        u = 0.0;
                    }
                }
                assert!(fired.iter().any(|k| *k < 100_000) && fired.iter().any(|k| *k > 100_000), "{fired:?}");
                (inputs, fired)
            }
            "lif-switching-leak" => {
                // One step of the closed form: tau_on while it is driven, tau_off after.
                let (on, off) = (v("tau_on"), v("tau_off"));
                let gain = v("R_over_tau_int") / 54e-6 * 7e11 * on * -(-1e-9 / on).exp_m1();
                let mut random = Stream::new(7, 0);
                let inputs: Vec<f64> = (0..400).map(|_| random.uniform()).collect();
                let (mut u, mut fired) = (0.0, Vec::new());
                for (k, x) in inputs.iter().enumerate() {
                    u = u * (-1e-9 / on).exp() + gain * x;
                    if u >= 1.0 {
                        fired.push(k);
                        u = 0.0;
                    }
                    u *= (-0.5e-9 / off).exp();
                }
                (inputs, fired)
            }
            _ => network(&card, 400),
        };
        for framework in FRAMEWORKS {
            export(&card, framework, dir.path()).unwrap();
            let Some(python) = python(framework) else { continue };
            let script = DRIVE.replace("MODULE", &format!("a_device_{framework}"));
            assert_eq!(spikes(&python, &script, &inputs, dir.path()), fired, "{name} in {framework}");
            println!("{name} in {framework}: {} spikes at the same steps as ours", fired.len());
        }
    }
}

#[test]
fn modules_fire_by_chance_as_often_as_the_card_says_and_learn() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["firing-logistic", "firing-probit", "firing-escape", "p-bit"] {
        let card = card(name, dir.path());
        let model = find(name).unwrap();
        let p: Vec<f64> = model.about().coefficients.iter().map(|c| value(&card, c.name)).collect();
        // A drive at which it fires about two times in three: of a p-bit in the long run.
        let drive = p[0] + 0.6 * if name == "p-bit" { p[1] } else { 1.0 / p[1] };
        let data = Data::new([("V", "V", vec![drive]), ("dt", "s", vec![1.0]), ("state", "1", vec![0.0])]);
        let mut mean = [0.0];
        model.predict(&p, &data, &mut mean);
        for framework in FRAMEWORKS {
            export(&card, framework, dir.path()).unwrap();
            let Some(python) = python(framework) else { continue };
            // 20 steps of 20000 neurons; the gradient of what comes out by what goes in.
            let script = format!(
                "import sys, torch\nsys.path.insert(0, '.')\ntorch.manual_seed(1)\nimport a_device_{framework} as m\nnet, state = m.Neuron(), None\n\
                 x = torch.full((20000, 1), {drive:e}, requires_grad=True)\n\
                 for k in range(20):\n    z = net(x) if '{framework}' == 'spikingjelly' else None\n    if z is None:\n        z, state = net(x, state)\n\
                 z.sum().backward()\nprint(float(z.mean()), float(x.grad.mean()))\n"
            );
            let said = output(&python, &["-c", &script], dir.path()).unwrap();
            let [share, slope] = [0, 1].map(|k| said.split_whitespace().nth(k).unwrap().parse::<f64>().unwrap());
            // Four deviations of a share of 20000.
            assert!((share - mean[0]).abs() < 4.0 * (0.25f64 / 20_000.0).sqrt(), "{name} in {framework}: {share} {}", mean[0]);
            assert!(slope > 0.0, "{name} in {framework}: {slope}");
            println!("{name} in {framework}: fires {share:.4}, the card says {:.4}", mean[0]);
        }
    }
}

#[test]
fn formats_refuse_what_they_have_no_words_for() {
    let dir = tempfile::tempdir().unwrap();
    let card = card("p-bit", dir.path());
    for format in ["nir", "spice", "verilog-a", "aihwkit", "crosssim", "neurosim"] {
        let e = export(&card, format, dir.path()).unwrap_err().to_string();
        assert!(e.contains("p-bit") && e.contains("carr"), "{e}");
    }
    assert!(export(&card, "spise", dir.path()).unwrap_err().to_string().contains("did you mean `spice`?"));
}

/// Last value of a vector that ngspice prints as `name = value`.
fn printed(said: &str, name: &str) -> f64 {
    let line = said
        .lines()
        .rev()
        .find(|l| l.trim_start().to_lowercase().starts_with(&format!("{name} ")))
        .unwrap_or_else(|| panic!("no {name} in {said}"));
    line.split('=').nth(1).unwrap().split_whitespace().next().unwrap().parse().unwrap()
}

fn ngspice(deck: &str, dir: &Path) -> Option<String> {
    std::fs::write(dir.join("deck.cir"), deck).unwrap();
    let said = output("ngspice", &["-b", "deck.cir"], dir);
    if said.is_none() {
        println!("skipped: ngspice is not here");
    }
    said
}

#[test]
fn the_neuron_fires_in_ngspice_at_its_period() {
    let dir = tempfile::tempdir().unwrap();
    let card = card("lif-two-times", dir.path());
    export(&card, "spice", dir.path()).unwrap();
    let (tau, gain) = (value(&card, "tau_leak"), value(&card, "R_over_tau_int"));
    // Twice the rheobase 1/(gain tau): threshold after tau ln 2, first from zero, then from 0.02 after a dead time of tau/50.
    let drive = 2.0 / (gain * tau);
    let deck = format!(
        "period\n.include a_device.sub\nVd d 0 {drive:e}\nX1 d u s a_device\nRload u 0 1e15\n.tran {:e} {:e} 0 {:e} uic\n.control\nrun\n\
         meas tran first when v(s)=0.5 rise=1\nmeas tran second when v(s)=0.5 rise=2\nmeas tran third when v(s)=0.5 rise=3\nquit\n.endc\n.end\n",
        tau / 500.0,
        4.0 * tau,
        tau / 2000.0
    );
    let Some(said) = ngspice(&deck, dir.path()) else { return };
    let [first, second, third] = ["first", "second", "third"].map(|n| printed(&said, n));
    // Steps of tau/2000, and the switch closes within one.
    assert!((first / (tau * 2f64.ln()) - 1.0).abs() < 0.01, "{first} {tau}");
    let period = tau * (1.98f64 / 1.0).ln() + 0.02 * tau;
    assert!(
        ((second - first) / period - 1.0).abs() < 0.02 && ((third - second) / (second - first) - 1.0).abs() < 0.005,
        "{first} {second} {third}, {period}"
    );
}

#[test]
fn switching_and_activations_are_the_same_curves_in_ngspice() {
    let dir = tempfile::tempdir().unwrap();
    let card = card("switching-quadratic", dir.path());
    export(&card, "spice", dir.path()).unwrap();
    let [f0, barrier, critical] = ["f0", "E_b", "V_c"].map(|n| value(&card, n));
    let (v, t, temperature) = (0.33, 1e-6, 320.0);
    let deck = format!(
        "p\n.include a_device.sub\nVd d 0 {v}\nX1 d h p a_device temperature={temperature}\nRl p 0 1\n.tran 1n {t:e} uic\n.control\nrun\nmeas tran pend find v(p) at={:e}\nquit\n.endc\n.end\n",
        0.9999 * t
    );
    let Some(said) = ngspice(&deck, dir.path()) else { return };
    let rate = spinloom_extract::models::hazard::rate(f0, barrier, temperature, v / critical, 2.0);
    let truth = -(-rate * 0.9999 * t).exp_m1();
    // ngspice prints seven digits and integrates a constant.
    assert!((printed(&said, "pend") - truth).abs() < 1e-4, "{said} {truth}");

    let model = find("sigmoid").unwrap();
    let card = self::card("sigmoid", dir.path());
    export(&card, "spice", dir.path()).unwrap();
    let deck = "y\n.include a_device.sub\nVx x 0 0.7\nX1 x y a_device\nRl y 0 1\n.op\n.control\nrun\nlet yout = v(y)\nprint yout\nquit\n.endc\n.end\n";
    let Some(said) = ngspice(deck, dir.path()) else { return };
    let mut mean = [0.0];
    let p: Vec<f64> = model.about().coefficients.iter().map(|c| value(&card, c.name)).collect();
    model.predict(&p, &spinloom_extract::Data::new([("x", "V", vec![0.7])]), &mut mean);
    assert!((printed(&said, "yout") - mean[0]).abs() < 1e-5, "{said} {}", mean[0]);
}

#[test]
fn openvaf_compiles_the_modules_and_their_currents_are_ours() {
    let dir = tempfile::tempdir().unwrap();
    let Some(python) = python("openvaf_py") else { return };
    // Residuals of all nodes and branches for given voltages: the parts without a time derivative.
    let residuals = |voltages: &str| {
        let script = format!(
            "import openvaf_py\nm = openvaf_py.compile_va('a_device.va')[0]\n\
             r, _ = m.run_init_eval({{**{{'mfactor': 1.0, 'temperature': 320.0}}, **{voltages}}})\nprint(*[x[0] for x in r])\n"
        );
        let said = output(&python, &["-c", &script], dir.path()).unwrap();
        said.split_whitespace().map(|w| w.parse::<f64>().unwrap()).collect::<Vec<f64>>()
    };
    let holds = |all: &[f64], wanted: f64| assert!(all.iter().any(|r| (r / wanted - 1.0).abs() < 1e-9), "{all:?}, {wanted:e}");

    let neuron = card("lif-two-times", dir.path());
    export(&neuron, "verilog-a", dir.path()).unwrap();
    let (tau, gain) = (value(&neuron, "tau_leak"), value(&neuron, "R_over_tau_int"));
    let r = residuals("{'V(drive)': 5e11, 'V(u)': 0.3, 'V(spike)': 0.0}");
    holds(&r, 1e-9 * (0.3 / tau - gain * 5e11));
    // While it resets the drive is off, and it falls by ln 50 in a fiftieth of tau.
    let r = residuals("{'V(drive)': 5e11, 'V(u)': 0.3, 'V(spike)': 1.0}");
    holds(&r, 1e-9 * (0.3 / tau + 0.3 * 50f64.ln() / (0.02 * tau)));

    let switching = card("switching-quadratic", dir.path());
    export(&switching, "verilog-a", dir.path()).unwrap();
    let [f0, barrier, critical] = ["f0", "E_b", "V_c"].map(|n| value(&switching, n));
    let rate = spinloom_extract::models::hazard::rate(f0, barrier, 320.0, 0.33 / critical, 2.0);
    holds(&residuals("{'V(v)': 0.33, 'V(h)': 0.0, 'V(p)': 0.0, 'I(p)': 0.0}"), -1e-9 * rate);
}

#[test]
fn crossbar_files_make_the_steps_of_the_model() {
    let dir = tempfile::tempdir().unwrap();
    let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
    // Soft bounds: dw = dw_min (1 + up_down) (1 - w/w_max) up.
    let card = card("step-soft-bounds", dir.path());
    export(&card, "aihwkit", dir.path()).unwrap();
    let json: serde_json::Value = serde_json::from_str(&read("a_device_aihwkit.json")).unwrap();
    let [dw, beta] = ["dw_min", "up_down"].map(|n| json["arguments"][n].as_f64().unwrap());
    assert!(
        (dw * (1.0 + beta) / value(&card, "k_up") - 1.0).abs() < 1e-9 && (dw * (1.0 - beta) / value(&card, "k_down") - 1.0).abs() < 1e-9
    );
    assert!(read("a_device_aihwkit.py").contains("return SoftBoundsDevice("));
    // The table of quantiles as CrossSim wants it: one more line than shares, after three heading lines; up is up.
    export(&card, "crosssim", dir.path()).unwrap();
    for (file, sign) in [("dG_increasing.txt", 1.0), ("dG_decreasing.txt", -1.0)] {
        let text = read(file);
        let rows: Vec<Vec<f64>> = text.lines().skip(1).map(|l| l.split(',').map(|x| x.trim().parse().unwrap()).collect()).collect();
        let (grid, shares, changes) = (&rows[0], &rows[1], &rows[2..]);
        assert_eq!((changes.len(), shares[0], shares[shares.len() - 1]), (shares.len(), 0.0, 1.0));
        assert!(changes.iter().all(|r| r.len() == grid.len()));
        // The median is the model's step, to the noise of 4 uS over the root of twenty per bin.
        let median = &changes[shares.iter().position(|s| *s == 0.5).unwrap()];
        for (g, d) in grid.iter().zip(median) {
            let truth = if sign > 0.0 { 0.03 * (1.1e-3 - g) } else { -0.05 * (g - 1e-4) };
            assert!((d - truth).abs() < 5e-6, "{file} at {g}: {d} {truth}");
        }
    }

    // Pulse by pulse, the linear step of aihwkit is the exponential of NeuroSim: dw = dw_min (1 + beta) (1 - gamma_up w).
    let card = self::card("ltp-ltd", dir.path());
    export(&card, "aihwkit", dir.path()).unwrap();
    let json: serde_json::Value = serde_json::from_str(&read("a_device_aihwkit.json")).unwrap();
    let a = |n: &str| json["arguments"][n].as_f64().unwrap();
    let mut w = -1.0;
    for pulse in 1..=50 {
        w += a("dw_min") * (1.0 + a("up_down")) * (1.0 - a("gamma_up") * w);
        let x = f64::from(pulse) / 50.0;
        let up = value(&card, "a_up");
        let curve = -1.0 + 2.0 * (-up * x).exp_m1() / (-up).exp_m1();
        assert!((w - curve).abs() < 1e-9, "{pulse}: {w} {curve}");
    }
    for pulse in 1..=50 {
        w -= a("dw_min") * (1.0 - a("up_down")) * (1.0 + a("gamma_down") * w);
        let x = f64::from(pulse) / 50.0;
        let down = value(&card, "a_down");
        let curve = 1.0 - 2.0 * (-down * x).exp_m1() / (-down).exp_m1();
        assert!((w - curve).abs() < 1e-9, "{pulse}: {w} {curve}");
    }
    export(&card, "neurosim", dir.path()).unwrap();
    let sheet = read("a_device_neurosim.csv");
    let of = |n: &str| sheet.lines().find(|l| l.starts_with(n)).unwrap().split(',').nth(1).unwrap().parse::<f64>().unwrap();
    // a = 2 up is s = 0.5, which the table calls 2.40 at 0.499181; the fit is within 2 %.
    assert!((of("NL_LTP") - 2.4).abs() < 0.1 && of("NL_LTD") < 0.0 && of("maxNumLevelLTP") == 50.0, "{sheet}");
}

#[test]
fn aihwkit_runs_the_preset_and_its_weights_follow_the_model() {
    let dir = tempfile::tempdir().unwrap();
    let Some(python) = python("aihwkit") else { return };
    // 400 devices, from near the bottom, where noise would be cut off: thirty pulses up, thirty down, one at a time; the mean of their weights after each.
    let script = "import sys, torch\nsys.path.insert(0, '.')\ntorch.manual_seed(1)\nfrom aihwkit.simulator.tiles.analog import AnalogTile\nimport a_device_aihwkit as m\n\
        c = m.config()\nc.update.desired_bl, c.update.update_bl_management, c.update.update_management = 1, False, False\n\
        t = AnalogTile(400, 1, c)\nt.tile.set_learning_rate(1.0)\nt.tile.set_weights(-0.8*torch.ones(400, 1))\nx, d = -torch.ones(1, 1), torch.ones(1, 400)\n\
        for sign in (1.0, -1.0):\n    for k in range(30):\n        t.tile.update(x, sign*d, False)\n        print(float(t.tile.get_weights().mean()))\n";
    for name in ["step-constant", "step-soft-bounds", "ltp-ltd"] {
        let card = card(name, dir.path());
        export(&card, "aihwkit", dir.path()).unwrap();
        let said = output(&python, &["-c", script], dir.path()).unwrap();
        let weights: Vec<f64> = said.split_whitespace().map(|w| w.parse().unwrap()).collect();
        let v = |p: &str| value(&card, p);
        let (low, high) = match name {
            "step-constant" => (card.validity["G"].min, card.validity["G"].max),
            _ => (v("G_min"), v("G_max")),
        };
        let pulses = card.validity.get("P").map_or(f64::NAN, |r| r.max);
        let mut g = low + 0.1 * (high - low);
        for (k, w) in weights.iter().enumerate() {
            let up = k < 30;
            g += match name {
                "step-constant" => {
                    if up {
                        v("step_up")
                    } else {
                        -v("step_down")
                    }
                }
                "step-soft-bounds" => {
                    if up {
                        v("k_up") * (high - g)
                    } else {
                        -v("k_down") * (g - low)
                    }
                }
                // The share of what is left to the end of the exponential, which lies beyond the range.
                _ if up => -(-v("a_up") / pulses).exp_m1() * (low + (high - low) / -(-v("a_up")).exp_m1() - g),
                _ => -(-v("a_down") / pulses).exp_m1() * (high - (high - low) / -(-v("a_down")).exp_m1() - g),
            };
            g = g.clamp(low, high);
            let wanted = 2.0 * (g - low) / (high - low) - 1.0;
            // Noise of up to one step of every pulse, over the root of thirty pulses and of 400 devices: below a hundredth.
            assert!((w - wanted).abs() < 0.015, "{name} after pulse {}: {w} {wanted}", k + 1);
        }
        println!("{name}: sixty pulses in aihwkit, within 0.015 of the model");
    }
}

#[test]
fn a_card_is_checked_against_its_model_and_its_records() {
    let dir = tempfile::tempdir().unwrap();
    let mut card = card("firing-logistic", dir.path());
    let path = dir.path().join("card.yaml");
    assert_eq!(check(&card, &path).unwrap(), Vec::<String>::new());
    card.parameters.remove("slope");
    card.parameters.get_mut("V_50").unwrap().unit = "Vlot".into();
    std::fs::write(dir.path().join("data.csv"), "other").unwrap();
    let e = check(&card, &path).unwrap_err().to_string();
    for wanted in ["`slope` of model `firing-logistic` is neither given", "`Vlot`", "has changed since the card was made"] {
        assert!(e.contains(wanted), "{wanted}\n--\n{e}");
    }
}
