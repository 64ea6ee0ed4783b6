//! Crossbar simulators: aihwkit, CrossSim and NeuroSim.

use super::{File, refuse, value, word};
use spinloom_base::{Diagnostic, Problems};
use spinloom_card::{Card, Table};
use std::fmt::Write as _;

/// A preset: the class and its arguments, weights being conductances scaled to -1 … 1.
pub(super) fn aihwkit(card: &Card) -> Result<Vec<File>, Problems> {
    let v = |p: &str| value(card, p);
    // Step up and down at w = 0, in w; and what else the class wants.
    let (class, low, high, [up, down], more): (&str, f64, f64, [f64; 2], Vec<(&str, f64)>) = match card.model.name.as_str() {
        "step-constant" => {
            let range = range(card)?;
            let scale = 2.0 / (range[1] - range[0]);
            ("ConstantStepDevice", range[0], range[1], [scale * v("step_up")?, scale * v("step_down")?], vec![])
        }
        // dG = k_up (G_max - G) is k_up (1 - w), and down likewise: soft bounds at the bounds themselves.
        "step-soft-bounds" => ("SoftBoundsDevice", v("G_min")?, v("G_max")?, [v("k_up")?, v("k_down")?], vec![]),
        // A pulse up takes the share 1 - e^(-a/P_max) of what is left to the end of the exponential, which lies at w = 2/(1 - e^-a) - 1.
        "ltp-ltd" => {
            let pulses = card.validity.get("P").map_or(f64::NAN, |r| r.max);
            let branch = |a: f64| {
                let (share, end) = (-(-a / pulses).exp_m1(), -2.0 / (-a).exp_m1() - 1.0);
                [share * end, 1.0 / end]
            };
            let ([up, gamma_up], [down, gamma_down]) = (branch(v("a_up")?), branch(v("a_down")?));
            ("LinearStepDevice", v("G_min")?, v("G_max")?, [up, down], vec![("gamma_up", gamma_up), ("gamma_down", gamma_down)])
        }
        _ => {
            return Err(refuse(
                card,
                "aihwkit",
                "ltp-ltd, step-constant and step-soft-bounds; step-exponential and step-power have another form there, and their tables go to CrossSim",
            ));
        }
    };
    let (sigma, mean) = (v("sigma")?, 0.5 * (up + down));
    let mut arguments = vec![
        ("dw_min", mean),
        ("up_down", (up - down) / (up + down)),
        ("w_max", 1.0),
        ("w_min", -1.0),
        // Noise of one step, of its mean size. Of ltp-ltd sigma is that of the read-out, which bounds it from above.
        ("dw_min_std", 2.0 * sigma / (high - low) / mean),
    ];
    arguments.extend(more);
    let devices = |names: &[&str]| {
        names.iter().find_map(|n| card.intervals.get(*n)?.devices.as_ref().filter(|d| d.of == "ln value").map(|d| d.deviation))
    };
    match devices(&["step_up", "k_up"]) {
        Some(spread) => arguments.push(("dw_min_dtod", spread)),
        // Unset, aihwkit would put its own spread of 30 % here.
        None => arguments.push(("dw_min_dtod", 0.0)),
    }
    for unset in ["up_down_dtod", "w_max_dtod", "w_min_dtod"] {
        arguments.push((unset, 0.0));
    }
    let mut python = format!(
        "\"\"\"{}: {}.\n\nWeight w = 2 (G - {low:e})/({:e}) - 1, G in {}.\n\"\"\"\n\n",
        card.name.replace('"', "'"),
        card.model.name,
        high - low,
        unit(card)
    );
    let _ = write!(
        python,
        "from aihwkit.simulator.configs import SingleRPUConfig\nfrom aihwkit.simulator.configs.devices import {class}\n\n\ndef device():\n    return {class}(\n"
    );
    arguments.iter().for_each(|(n, x)| {
        let _ = writeln!(python, "        {n}={x:.6e},");
    });
    python += "    )\n\n\ndef config():\n    return SingleRPUConfig(device=device())\n";
    let values: serde_json::Map<String, serde_json::Value> = arguments.iter().map(|(n, x)| ((*n).to_string(), (*x).into())).collect();
    let json = serde_json::json!({"class": class, "arguments": values, "G_of_w_minus_1": low, "G_of_w_plus_1": high, "unit": unit(card)});
    let json = serde_json::to_string_pretty(&json).expect("numbers and texts");
    Ok(vec![File::Text(format!("{}_aihwkit.py", word(card)), python), File::Text(format!("{}_aihwkit.json", word(card)), json)])
}

fn unit(card: &Card) -> String {
    ["G", "dG"]
        .iter()
        .find_map(|n| card.validity.get(*n))
        .map_or_else(|| card.parameters.get("G_max").map_or("1".into(), |p| p.unit.clone()), |r| r.unit.clone())
}

fn range(card: &Card) -> Result<[f64; 2], Problems> {
    let range = card
        .validity
        .get("G")
        .ok_or_else(|| Problems::from(Diagnostic::error(format!("card `{}` has no range of conductances", card.name))))?;
    Ok([range.min, range.max])
}

/// Two tables: the conductances, the shares, and for each share a line of changes at all conductances.
pub(super) fn crosssim(card: &Card) -> Result<Vec<File>, Problems> {
    let (Some(up), Some(down)) = (card.tables.get("dG_up"), card.tables.get("dG_down")) else {
        return Err(refuse(card, "CrossSim", "step models, whose cards hold the tables dG_up and dG_down (40 pulses each way at least)"));
    };
    // Both files want the same conductances: those that both were measured at.
    const POINTS: usize = 50;
    let ends = |t: &Table| [t.values[0][0], t.values[0][t.values[0].len() - 1]];
    let ([a, b], [c, d]) = (ends(up), ends(down));
    let (low, high) = (a.max(c), b.min(d));
    if high <= low {
        return Err(Diagnostic::error("pulses up and pulses down were measured at different conductances")
            .hint("CrossSim's two tables share one axis")
            .into());
    }
    let grid: Vec<f64> = (0..POINTS).map(|i| low + (high - low) * i as f64 / (POINTS - 1) as f64).collect();
    let shares: Vec<f64> = up.columns[1..].iter().map(|c| c.0.trim_start_matches('q').parse().unwrap_or(f64::NAN)).collect();
    let text = |t: &Table, what: &str| {
        let row = |values: &[f64]| values.iter().map(|x| format!("{x:.6e}")).collect::<Vec<_>>().join(", ") + "\n";
        let mut all = format!("{what} of {}, model {}: G, CDF, then dG by row of CDF\n", card.name.replace('\n', " "), card.model.name);
        all += &row(&grid);
        all += &row(&shares);
        for column in &t.values[1..] {
            all += &row(&grid.iter().map(|g| interpolate(&t.values[0], column, *g)).collect::<Vec<_>>());
        }
        all
    };
    Ok(vec![
        File::Text("dG_increasing.txt".into(), text(up, "changes by pulses up")),
        File::Text("dG_decreasing.txt".into(), text(down, "changes by pulses down")),
    ])
}

/// By straight lines; the ends hold outside.
fn interpolate(x: &[f64], y: &[f64], at: f64) -> f64 {
    let i = x.partition_point(|x| *x <= at).clamp(1, x.len() - 1);
    let share = ((at - x[i - 1]) / (x[i] - x[i - 1])).clamp(0.0, 1.0);
    y[i - 1] + share * (y[i] - y[i - 1])
}

/// Names are NeuroSim's. It wants the spread from cycle to cycle as a share of the range.
pub(super) fn neurosim(card: &Card) -> Result<Vec<File>, Problems> {
    if card.model.name != "ltp-ltd" {
        return Err(refuse(card, "NeuroSim's sheet", "ltp-ltd"));
    }
    let v = |p: &str| value(card, p);
    let (low, high) = (v("G_min")?, v("G_max")?);
    let pulses = card.validity.get("P").map_or(f64::NAN, |r| r.max);
    let spread = card.intervals.get("a_up").and_then(|i| i.devices.as_ref()).map_or(0.0, |d| d.deviation);
    let rows = [
        ("maxConductance", high, unit(card)),
        ("minConductance", low, unit(card)),
        ("maxNumLevelLTP", pulses, "1".into()),
        ("maxNumLevelLTD", pulses, "1".into()),
        ("NL_LTP", v("NL_up")?, "label".into()),
        ("NL_LTD", v("NL_down")?, "label".into()),
        ("sigmaCtoC", v("sigma")? / (high - low), "of the range".into()),
        ("sigmaDtoD", spread, "of a_up; of the label nearly the same below 3".into()),
    ];
    let body: String = rows.iter().map(|(n, x, u)| format!("{n},{x:.6e},{u}\n")).collect();
    Ok(vec![File::Text(format!("{}_neurosim.csv", word(card)), format!("constant,value,unit\n{body}"))])
}
