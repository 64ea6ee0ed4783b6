//! How an experiment moves: its method, its phases, and what ends them.

use super::*;

/// Largest angle that the fastest spin wave of the mesh may turn by between two samples of the demagnetising field where temperature keeps all
/// waves excited: the limit of third-order Adams–Bashforth on the imaginary axis, 0.72. Measured on 2 nm cells at 300 K, alpha = 0.012: exchange
/// energy -1 ± 0.5 % at 0.6 rad, -4 % at 1.3, eightfold at 2.5.
pub(super) const THERMAL_TURN: f64 = 0.7;

pub(super) fn read_solver(
    node: Option<&Node>,
    root: &Node,
    thermal: bool,
    problems: &mut Problems,
) -> Option<(&'static Tableau, Step, DemagEvery)> {
    let Some(node) = node else {
        if thermal {
            problems.push(root.error("a run with temperature needs a fixed step").hint("add `solver: {stepper: heun, dt: 50 fs}`"));
            return None;
        }
        return Some((&tableau::RK45, Step::Adaptive { max_err: 1e-5 }, DemagEvery::Evaluation));
    };
    let mut f = Fields::of(node, "the solver", problems)?;
    let names: Vec<&str> = tableau::ALL.iter().map(|t| t.name).collect();
    let method = f
        .optional("stepper")
        .map_or(Some(if thermal { &tableau::HEUN } else { &tableau::RK45 }), |n| n.choice(&names, problems).map(|i| tableau::ALL[i]));
    let (dt, max_err, every) = (f.optional("dt"), f.optional("max_err"), f.optional("demag_every"));
    f.finish(problems);
    let step = match (dt, max_err) {
        (Some(_), Some(n)) => {
            problems.push(n.error("either `dt` or `max_err`"));
            None
        }
        (Some(n), None) => n.positive(Dimension::TIME, problems).map(Step::Fixed),
        // Rejecting steps by their error looks at the noise, which biases it.
        (None, at) if thermal => {
            problems.push(at.unwrap_or(node).error("a run with temperature needs a fixed step").hint("give `dt` instead"));
            None
        }
        (None, Some(n)) => n.positive(Dimension::NONE, problems).map(|max_err| Step::Adaptive { max_err }),
        (None, None) => Some(Step::Adaptive { max_err: 1e-5 }),
    };
    let every = match (every, step) {
        (None, _) => Some(DemagEvery::Evaluation),
        (Some(n), Some(Step::Adaptive { max_err })) if matches!(&n.value, Value::Text(t) if t == "adaptive") => {
            Some(DemagEvery::Adaptive { max_err })
        }
        (Some(n), Some(Step::Fixed(_))) if matches!(&n.value, Value::Text(t) if t == "adaptive") => {
            problems.push(n.error("with a fixed step there is no error to adapt to").hint("give a time, e.g. `500 fs`"));
            None
        }
        (Some(n), _) => n.positive(Dimension::TIME, problems).map(DemagEvery::Time),
    };
    Some((method?, step?, every?))
}

pub(super) struct Context<'a> {
    pub(super) regions: &'a [(String, Option<Node>)],
    pub(super) columns: &'a [Quantity],
    pub(super) logs: &'a [(String, String)],
    pub(super) surroundings: &'a Surroundings,
}

/// Names and units of everything any phase logs, in the order met.
pub(super) fn log_names(node: &Node) -> Vec<(String, String)> {
    let mut names: Vec<(String, String)> = Vec::new();
    if let Value::List(list) = &node.value {
        for phase in list {
            if let Some(Value::Map(entries)) = phase.get("log").map(|n| &n.value) {
                for (name, _, n) in entries {
                    if names.iter().all(|(n, _)| n != name) {
                        let unit = match &n.value {
                            Value::Text(t) => units::dimension_of(t).filter(|d| *d != Dimension::NONE).map(units::si_symbol),
                            _ => None,
                        };
                        names.push((name.clone(), unit.unwrap_or_else(|| "1".into())));
                    }
                }
            }
            if let Some(inner) = phase.get("phases") {
                for n in log_names(inner) {
                    if names.iter().all(|(m, _)| *m != n.0) {
                        names.push(n);
                    }
                }
            }
        }
    }
    names
}

pub(super) fn read_conditions(node: &Node, context: &Context<'_>, problems: &mut Problems) -> Option<Vec<Condition>> {
    let mut list = Vec::new();
    for (name, place, node) in node.entries(problems)? {
        let Some(column) = context.columns.iter().position(|c| c.name == *name) else {
            let names = context.columns.iter().map(|c| c.name.as_str());
            let hint = match nearest(name, names.clone()) {
                Some(k) => format!("did you mean `{k}`?"),
                None => format!("the table has {}", one_of(names)),
            };
            problems.push(Diagnostic::error(format!("`{name}` is not a column of the table")).at(place.clone()).hint(hint));
            continue;
        };
        let mut f = Fields::of(node, "a condition", problems)?;
        let dimension = units::parse_unit(&context.columns[column].unit).map_or(Dimension::NONE, |u| u.dimension);
        let mut any = false;
        for (key, above) in [("above", true), ("below", false)] {
            if let Some(n) = f.optional(key) {
                any = true;
                if let Some(limit) = n.quantity(dimension, problems) {
                    list.push(Condition { column, name: name.clone(), above, limit });
                }
            }
        }
        f.finish(problems);
        if !any {
            problems.push(node.error("a condition needs `above` or `below`"));
        }
    }
    Some(list)
}

/// Appends the phases of a list; `outer` are conditions of the blocks around, which lead behind their block. Exits of a block that is
/// not finished yet point to `usize::MAX - depth` until its end is known.
pub(super) fn read_phases(
    node: &Node,
    context: &Context<'_>,
    outer: &[(Condition, usize)],
    phases: &mut Vec<Phase>,
    problems: &mut Problems,
) -> Option<()> {
    let list = node.list(problems)?;
    if list.is_empty() {
        problems.push(node.error("an empty protocol: nothing would run"));
    }
    for item in list {
        let mut f = Fields::of(item, "a phase", problems)?;
        if let Some(repeat) = f.optional("repeat") {
            let times = repeat.count(problems);
            let until = f.optional("until").map_or(Some(Vec::new()), |n| read_conditions(n, context, problems));
            let inner = f.required("phases", problems);
            f.finish(problems);
            let (times, until, inner) = (times?, until?, inner?);
            if times == 0 || times > 100_000 {
                problems.push(repeat.error(format!("{times} repetitions; 1 to 100000 are possible")));
                return None;
            }
            let mark = usize::MAX - outer.len();
            let exits: Vec<_> = outer.iter().cloned().chain(until.into_iter().map(|c| (c, mark))).collect();
            let from = phases.len();
            for _ in 0..times {
                read_phases(inner, context, &exits, phases, problems)?;
            }
            let end = phases.len();
            for p in &mut phases[from..] {
                p.exits.iter_mut().filter(|e| e.1 == mark).for_each(|e| e.1 = end);
            }
            continue;
        }
        let name = f.required("phase", problems).and_then(|n| n.text(problems)).map(str::to_string);
        let duration = f.required("for", problems).and_then(|n| n.positive(Dimension::TIME, problems));
        let set = f.optional("set").map_or(Some(Default::default()), |n| read_settings(n, context, problems));
        let age = f.optional("age").map_or(Some(None), |n| read_age(n, context, problems).map(Some));
        let mut log = Vec::new();
        if let Some(n) = f.optional("log") {
            for (name, _, n) in n.entries(problems)? {
                let i = context.logs.iter().position(|(l, _)| l == name)?;
                let dimension = units::parse_unit(&context.logs[i].1).map_or(Dimension::NONE, |u| u.dimension);
                log.push((i, n.quantity(dimension, problems)?));
            }
        }
        let until = f.optional("until").map_or(Some(Vec::new()), |n| read_conditions(n, context, problems));
        f.finish(problems);
        let next = phases.len() + 1;
        let exits = outer.iter().cloned().chain(until?.into_iter().map(|c| (c, next))).collect();
        let (set, levels) = set?;
        phases.push(Phase { name: name?, duration: duration?, set, levels, age: age?, log, exits });
    }
    Some(())
}

/// Parameters by region, and what else is set by name.
pub(super) type Settings = (Vec<(Option<usize>, ParameterId, [f64; 3], Waveform)>, Vec<(Target, Level)>);

/// `{J: […], roi.B_ext: […], line.I: 1 mA, mtj.V: {value: …, wave: …}, film.T0: 350 K}`.
pub(super) fn read_settings(node: &Node, context: &Context<'_>, problems: &mut Problems) -> Option<Settings> {
    let (mut list, mut levels) = (Vec::new(), Vec::new());
    let around = context.surroundings;
    for (key, place, value) in node.entries(problems)? {
        let (region, parameter) = match key.split_once('.') {
            Some((owner, parameter)) => match context.regions.iter().position(|(n, _)| n == owner) {
                Some(i) => (Some(i + 1), parameter),
                None => {
                    let conductor = around.conductors.iter().position(|c| c.name == owner);
                    let junction = around.probes.iter().position(|p| p.name == owner && matches!(p.kind, ProbeKind::Junction(_)));
                    let body = around.heat.iter().position(|h| h.name == owner);
                    let known: &[(&str, Target, Dimension)] = match (conductor, junction, body) {
                        (Some(i), ..) => &[("I", Target::Current(i), Dimension::CURRENT)],
                        (_, Some(i), _) => &[("V", Target::Voltage(i), Dimension::VOLTAGE), ("I", Target::Through(i), Dimension::CURRENT)],
                        (.., Some(i)) => &[("T0", Target::Ambient(i), Dimension::TEMPERATURE)],
                        _ => {
                            let names: Vec<&str> = context
                                .regions
                                .iter()
                                .map(|(n, _)| n.as_str())
                                .chain(around.conductors.iter().map(|c| c.name.as_str()))
                                .chain(around.probes.iter().map(|p| p.name.as_str()))
                                .chain(around.heat.iter().map(|h| h.name.as_str()))
                                .collect();
                            let hint = nearest(owner, names.iter().copied()).map_or_else(
                                || {
                                    if names.is_empty() {
                                        "nothing here has a name".into()
                                    } else {
                                        format!("there are {}", one_of(names.iter().copied()))
                                    }
                                },
                                |k| format!("did you mean `{k}`?"),
                            );
                            problems.push(Diagnostic::error(format!("there is no region `{owner}`")).at(place.clone()).hint(hint));
                            continue;
                        }
                    };
                    match known.iter().find(|k| k.0 == parameter) {
                        Some((_, target, dimension)) => levels.push((*target, Level::read(value, *dimension, problems)?)),
                        None => {
                            let hint = format!("it can be {}", one_of(known.iter().map(|k| k.0)));
                            problems.push(Diagnostic::error(format!("`{owner}` has no `{parameter}` to set")).at(place.clone()).hint(hint));
                        }
                    }
                    continue;
                }
            },
            None => (None, key.as_str()),
        };
        let (id, v, wave) = read_parameter(parameter, place, value, problems)?;
        let heated = around.heat.iter().find(|h| h.thermal_field && region.is_none_or(|r| h.regions.contains(&r)));
        if let (ParameterId::Temp, Some(heat)) = (id, heated) {
            let hint = format!("set `{}.T0`, the temperature of its bath", heat.name);
            problems.push(Diagnostic::error(format!("the temperature is that of `{}`", heat.name)).at(place.clone()).hint(hint));
        }
        list.push((region, id, v, wave));
    }
    Some((list, levels))
}

/// `{for: 10 s, at: 450 K}` or `{for: 1 s, from: 600 K, to: 300 K}`.
pub(super) fn read_age(node: &Node, context: &Context<'_>, problems: &mut Problems) -> Option<Age> {
    let mut f = Fields::of(node, "ageing", problems)?;
    let time = f.required("for", problems).and_then(|n| n.positive(Dimension::TIME, problems));
    let [at, from, to] = ["at", "from", "to"].map(|k| f.optional(k).map(|n| n.positive(Dimension::TEMPERATURE, problems)));
    f.finish(problems);
    if context.surroundings.bias.is_empty() {
        problems.push(node.error("nothing ages here").hint("grains of an `exchange_bias` do"));
    }
    match (at, from, to) {
        (Some(t), None, None) => Some(Age { time: time?, temperature: [t?; 2] }),
        (None, Some(from), Some(to)) => Some(Age { time: time?, temperature: [from?, to?] }),
        _ => {
            problems.push(node.error("ageing is `at` a temperature, or `from` one `to` another"));
            None
        }
    }
}
