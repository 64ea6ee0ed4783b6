//! Experiments with what surrounds the magnet: currents, junctions, heat, antiferromagnets. Closed forms, all devices, cut-off runs, bad input.

use crate::experiments::{every_cut_of, experiment, uninterrupted};
use spinloom_base::Document;
use spinloom_base::constants::MU0;
use spinloom_record::Record;
use spinloom_solver::Experiment;

/// A block that does not move, 40 × 40 × 2 nm³ in 100 cells, and what is put around it.
fn still(rest: &str) -> String {
    format!(
        "name: a block\nprecision: f64\nmesh: {{size: [40 nm, 40 nm, 2 nm], cell: [4 nm, 4 nm, 2 nm]}}\n\
         material: {{Msat: 1e6 A/m, Aex: 10 pJ/m, alpha: 0.1, frozenspins: 1}}\ndemag: false\n{rest}\n"
    )
}

const VOLUME: f64 = 3.2e-24;

fn record(text: &str) -> (Record, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let record = uninterrupted(&experiment(text), dir.path());
    (record, dir)
}

fn columns<const N: usize>(record: &Record, names: [&str; N]) -> [Vec<f64>; N] {
    names.map(|n| record.column(n, 0).unwrap_or_else(|e| panic!("{n}: {e}")))
}

fn close(a: f64, b: f64, bound: f64) {
    assert!((a - b).abs() <= bound * b.abs(), "{a} is not {b}");
}

#[test]
fn the_field_of_a_current_acts_on_the_magnet_and_follows_its_wave() {
    // A wire along x, 100 nm below: B = μ0 I/(2π d) along −y times (1 + a few percent over the width, which averages to the closed form below).
    let text = still(
        "initial: {uniform: [0, 1, 0]}\n\
         oersted:\n  - {name: line, wire: {along: x, radius: 5 nm}, at: [0, 0, -100 nm], current: 2 mA}\n\
         protocol:\n  - {phase: on, for: 10 ps}\n  - {phase: reversed, for: 10 ps, set: {line.I: -1 mA}}\n  \
         - {phase: wave, for: 100 ps, set: {line.I: {value: 1 mA, wave: {sine: {frequency: 10 GHz}}}}}\n\
         split: 1 ps\ntable: {every: 5 ps, columns: [E_ext]}",
    );
    let (record, _dir) = record(&text);
    let [t, e, i] = columns(&record, ["t", "E_ext", "I_line"]);
    // Mean of B_y = −μ0/(2π) z/(y² + z²) over the cells' centres.
    let b: f64 =
        (0..10).map(|k| (f64::from(k) - 4.5) * 4e-9).map(|y| -MU0 / std::f64::consts::TAU * 1e-7 / (y * y + 1e-14)).sum::<f64>() / 10.0;
    for (t, (e, i)) in t.iter().zip(e.iter().zip(&i)) {
        let own = match t {
            t if *t < 10.5e-12 => 2e-3,
            t if *t < 20.5e-12 => -1e-3,
            t => 1e-3 * (std::f64::consts::TAU * 1e10 * t).sin(),
        };
        assert!((i - own).abs() < 1e-15, "{t}: {i} {own}");
        assert!((e + 1e6 * VOLUME * b * own).abs() < 1e-12 * 1e6 * VOLUME * b.abs() * 1e-3, "{t}: {e}");
    }
    assert_eq!(t.len(), 1 + 2 + 2 + 20);
}

#[test]
fn a_junction_heats_itself_as_an_rc_element() {
    // RA = 8 Ω µm² over 1600 nm²: 5 kΩ parallel. 1 V gives 200 µW; R = 1 K/µW and C = 0.5 fJ/K: 200 K, 0.5 ns.
    let text = still(
        "initial: {uniform: [0, 0, 1]}\n\
         probes:\n  - {name: mtj, shape: all, junction: {RA: 8 Ohm um^2, TMR: 1, Vh: 0.5 V, reference: [0, 0, 1]}}\n\
         heat:\n  - {name: free, rc: {C: 0.5 fJ/K, R_th: 1 K/uW}, ambient: 300 K, sources: [{junction: mtj}], thermal_field: false}\n\
         protocol:\n  - {phase: pulse, for: 1 ns, set: {mtj.V: 1 V}}\n  - {phase: rest, for: 0.5 ns, set: {mtj.V: 0 V}}\n\
         table: {every: 50 ps}",
    );
    let (record_p, _dir) = record(&text);
    let [t, g, r, v, i, w, hot] = columns(&record_p, ["t", "G_mtj", "R_mtj", "V_mtj", "I_mtj", "W_mtj", "T_free"]);
    assert_eq!((v[0], t.len()), (1.0, 31));
    for k in 0..t.len() {
        close(r[k], 5e3, 1e-12);
        close(g[k], 2e-4, 1e-12);
        let on = t[k].min(1e-9);
        // The row at the end of the pulse is the pulse's.
        assert_eq!((v[k], i[k] > 1.9e-4), if t[k] < 1.01e-9 { (1.0, true) } else { (0.0, false) });
        close(w[k] + 1e-30, 2e-4 * on + 1e-30, 1e-9);
        let rise = 200.0 * (1.0 - (-on / 0.5e-9).exp()) * (-(t[k] - on) / 0.5e-9).exp();
        close(hot[k], 300.0 + rise, 1e-12);
    }
    // Antiparallel and fed with a current: R = R_P (1 + TMR(V)) at the V that it finds itself.
    let text = text
        .replace("uniform: [0, 0, 1]", "uniform: [0, 0, -1]")
        .replace("mtj.V: 1 V", "mtj.I: 100 uA")
        .replace("mtj.V: 0 V", "mtj.I: 0 A");
    let (record_ap, _dir) = record(&text);
    let [t, r, v, i, hot] = columns(&record_ap, ["t", "R_mtj", "V_mtj", "I_mtj", "T_free"]);
    close(i[3], 1e-4, 1e-12);
    close(r[3], 5e3 * (1.0 + 1.0 / (1.0 + 4.0 * v[3] * v[3])), 1e-12);
    close(hot[20], 300.0 + 1e6 * v[3] * 1e-4 * (1.0 - (-t[20] / 0.5e-9).exp()), 1e-12);
    let numbers: Vec<&str> = record_ap.header().parameters.iter().map(|p| p.name.as_str()).collect();
    assert!(numbers.contains(&"free.R_th") && numbers.contains(&"mtj.RA"), "{numbers:?}");
}

#[test]
fn parameters_follow_the_temperature() {
    // A ramp of the bath, 300 K to 600 K; the body is so quick that it follows. Msat, Ku1: (m(T)/m(300))^1 and ^3, and m along z has E = −Ku1 V.
    let text = still(
        "initial: {uniform: [0, 0, 1]}\n\
         heat:\n  - {name: film, rc: {C: 1 aJ/K, R_th: 1 K/nW}, thermal_field: false, ambient: {value: 1 K, wave: {linear: [[0 s, 300], [1 ns, 600]]}}}\n\
         temperature_laws: {Tc: 1000 K, a: 1.5, b: 0.4, at: 300 K}\n\
         protocol:\n  - {phase: ramp, for: 1 ns, set: {Ku1: 1e5 J/m^3, B_ext: [0, 0, 0.1 T]}}\n\
         table: {every: 100 ps, columns: [E_anis, E_ext]}",
    );
    let text = text.replace("1 aJ/K", "1e-24 J/K");
    let (record, _dir) = record(&text);
    let [t, hot, anis, ext] = columns(&record, ["t", "T_film", "E_anis", "E_ext"]);
    let m = |t: f64| (1.0 - (t / 1000.0).powf(1.5)).powf(0.4);
    for k in 1..t.len() {
        // The bath is taken in the middle of an interval of 5 ps: 0.75 K behind.
        assert!((hot[k] - (300.0 + 300.0 * t[k] / 1e-9)).abs() < 0.8, "{}", hot[k]);
        let ratio = m(hot[k]) / m(300.0);
        close(anis[k], -1e5 * VOLUME * ratio.powi(3), 1e-9);
        close(ext[k], -1e6 * 0.1 * VOLUME * ratio, 1e-9);
    }
}

#[test]
fn heat_spreads_over_the_mesh_and_none_is_lost() {
    // A small contact in the middle; no bath: what the source has given is what the film holds.
    let text = still(
        "initial: {uniform: [0, 0, 1]}\npictures: 50 ps\n\
         probes:\n  - {name: mtj, shape: {box: {x: [-8 nm, 8 nm], y: [-8 nm, 8 nm]}}, junction: {RA: 2 Ohm um^2, P: [0.5, 0.6], reference: [0, 0, 1], voltage: 0.2 V}}\n\
         heat:\n  - {name: film, diffusion: {kappa: 50 W/(m K), c: 3.5e6 J/(m^3 K)}, ambient: 300 K, sources: [{junction: mtj}], thermal_field: false}\n\
         protocol:\n  - {phase: pulse, for: 50 ps}\n  - {phase: rest, for: 50 ps, set: {mtj.V: 0 V}}\n\
         split: 0.5 ps\ntable: {every: 10 ps}",
    );
    let (record_a, _dir) = record(&text);
    let [mean, top, work] = columns(&record_a, ["T_film", "T_film_max", "W_mtj"]);
    for k in 0..mean.len() {
        close((mean[k] - 300.0) * 3.5e6 * VOLUME + 1e-30, work[k] + 1e-30, 1e-9);
    }
    close(work[10], 0.2 * 0.2 * (256e-18 / 2e-12) * 50e-12, 1e-9);
    // D t over the half-width: 14e-6 · 5e-11/(20e-9)² = 1.8: the rest has evened out to a few percent of the rise.
    assert!(top[5] - mean[5] > 5.0 && top[10] - mean[10] < 0.05 * (mean[10] - 300.0), "{top:?} {mean:?}");
    let fields: Vec<String> = record_a.fields().unwrap().into_iter().map(|f| f.name).collect();
    assert!(fields.contains(&"T_film".to_string()), "{fields:?}");
    // The current in the plane: ρ J² t/c everywhere.
    let text = text
        .replace("sources: [{junction: mtj}]", "sources: [{resistivity: 40 uOhm cm}]")
        .replace("for: 50 ps}", "for: 50 ps, set: {J: [1e12 A/m^2, 0, 0]}}");
    let (record_b, _dir) = record(&text);
    let [mean, top] = columns(&record_b, ["T_film", "T_film_max"]);
    close(mean[5] - 300.0, 4e-7 * 1e24 * 50e-12 / 3.5e6, 1e-9);
    close(top[5], mean[5], 1e-12);
}

#[test]
fn every_cell_has_the_parameters_of_its_own_temperature() {
    // Heat from a contact at one end, held by a bath: a profile. The moment of m along z in a field is the sum over cells of Msat(T), and that of a law
    // that is straight in T (a = b = 1) is Msat(mean T); the anisotropy, cubic in m, tells the spread of temperatures.
    let text = still(
        "initial: {uniform: [0, 0, 1]}\npictures: 100 ps\n\
         probes:\n  - {name: mtj, shape: {box: {x: [-20 nm, -8 nm]}}, junction: {RA: 1 Ohm um^2, TMR: 1, reference: [0, 0, 1], voltage: 0.3 V}}\n\
         heat:\n  - {name: film, diffusion: {kappa: 20 W/(m K), c: 3.5e6 J/(m^3 K), bath: 0.2e9 W/(m^2 K)}, ambient: 300 K, sources: [{junction: mtj}], thermal_field: false}\n\
         temperature_laws: {Tc: 1000 K, a: 1, b: 1}\n\
         protocol:\n  - {phase: pulse, for: 100 ps, set: {B_ext: [0, 0, 0.1 T], Ku1: 1e5 J/m^3}}\n\
         split: 1 ps\ntable: {every: 100 ps, columns: [E_ext, E_anis]}",
    );
    let (record, _dir) = record(&text);
    let [hot, top, ext, anis] = columns(&record, ["T_film", "T_film_max", "E_ext", "E_anis"]);
    assert!(top[1] > hot[1] + 30.0 && top[1] < 900.0, "{top:?} {hot:?}");
    close(ext[1], -1e6 * 0.1 * VOLUME * (1.0 - hot[1] / 1000.0), 1e-9);
    let last = record.frame("T_film", 1).unwrap().data;
    let exact = last.iter().map(|t| (1.0 - t / 1000.0).powi(3)).sum::<f64>() / 100.0;
    let of_mean = (1.0 - hot[1] / 1000.0).powi(3);
    // Sixteen parts leave less than a hundredth of what the spread does.
    assert!((exact / of_mean - 1.0) > 1e-3, "{exact} {of_mean}");
    assert!((anis[1] / (-1e5 * VOLUME) - exact).abs() < 0.01 * (exact - of_mean), "{} {exact} {of_mean}", anis[1] / (-1e5 * VOLUME));
}

/// A film of grains on an antiferromagnet; nothing else holds m.
const BIASED: &str = "\
name: a biased film
precision: f64
mesh: {size: [80 nm, 80 nm, 2 nm], cell: [4 nm, 4 nm, 2 nm]}
material: {Msat: 1e6 A/m, Aex: 10 pJ/m, alpha: 1}
demag: false
initial: {uniform: [1, 0, 0]}
exchange_bias:
  - {name: irmn, grain: 12 nm, thickness: 6 nm, K_AF: 6e5 J/m^3, T_N: 690 K, J_ex: 0.2 mJ/m^2, axis: [1, 0, 0], sigma: 0.3, set: [1, 0, 0]}
";

#[test]
fn bias_holds_the_magnet_and_field_cooling_turns_it() {
    // Set along +x: B = J/(Msat t) = 0.1 T on every cell. A field of 0.1 T along y turns m to 45°.
    let text = format!(
        "{BIASED}protocol:\n  - {{phase: across, for: 2 ns, set: {{B_ext: [0, 0.1 T, 0]}}}}\n  \
         - {{phase: saturate, for: 1 ns, set: {{B_ext: [-1 T, 0.1 T, 0]}}}}\n  \
         - {{phase: cooled, for: 2 ns, age: {{for: 1 s, from: 680 K, to: 300 K}}, set: {{B_ext: [0, 0.1 T, 0]}}}}\n\
         table: {{every: 1 ns}}\npictures: 5 ns\n"
    );
    let (record, _dir) = record(&text);
    let [mx, my, b, order] = columns(&record, ["mx", "my", "B_irmn", "order_irmn"]);
    close(b[0], 0.1, 1e-12);
    close(mx[2], 0.5f64.sqrt(), 1e-5);
    close(my[2], 0.5f64.sqrt(), 1e-5);
    // Cooled with m along −x: each grain freezes where 2 J A/kT is large; in the seed's draw all but a few follow.
    assert!(order[4] < -0.9 && b[4] < -0.09, "{order:?} {b:?}");
    assert!(mx[5] < -0.65, "{mx:?}");
    let events = record.events().unwrap();
    assert!(events.iter().any(|e| e.kind == "age" && e.detail == "680 K to 300 K"), "{events:?}");
    assert!(record.fields().unwrap().iter().any(|f| f.name == "order_irmn"));
}

#[test]
fn devices_of_an_ensemble_differ_by_their_grains() {
    // Warm, against m, for as long as turns half of the grains of each.
    let text =
        format!("{BIASED}copies: 6\nprotocol:\n  - {{phase: warm, for: 2 ps, age: {{for: 0.1 s, at: 450 K}}}}\ntable: {{every: 1 ps}}\n")
            .replace("uniform: [1, 0, 0]", "uniform: [-1, 0, 0]");
    let e = experiment(&text);
    let dir = tempfile::tempdir().unwrap();
    let record = uninterrupted(&e, dir.path());
    let fields: Vec<f64> = (0..6).map(|r| record.column("B_irmn", r).unwrap()[1]).collect();
    let mean = fields.iter().sum::<f64>() / 6.0;
    let width = (fields.iter().map(|b| (b - mean).powi(2)).sum::<f64>() / 5.0).sqrt();
    println!("biases of six devices: {fields:?} T");
    // About 44 grains each: 0.1 T · 2 √(p (1 − p)/44) is at most 15 mT, and the grains' own sizes add to it.
    assert!(width > 2e-3 && width < 40e-3, "{fields:?}");
    assert!(mean.abs() < 0.08, "{mean}");
}

#[test]
fn the_current_of_a_junction_turns_the_magnet_as_the_same_current_density_does() {
    // TMR next to nothing: the current does not depend on m.
    let common = "name: a pillar\nprecision: f64\nmesh: {size: [40 nm, 40 nm, 2 nm], cell: [4 nm, 4 nm, 2 nm]}\n\
        material: {Msat: 1e6 A/m, Aex: 10 pJ/m, alpha: 0.02, Ku1: 8e5 J/m^3, Pol: 0.5, FixedLayer: [0, 0, 1]}\n\
        geometry: {ellipse: {size: [40 nm, 40 nm]}}\ninitial: {uniform: [0.2, 0, -1]}\n";
    let junction = "probes:\n  - {name: mtj, shape: all, junction: {RA: 2 Ohm um^2, TMR: 1e-12, reference: [0, 0, 1], torque: true}}\n";
    let ends = |set: &str| {
        let text = format!("{common}{junction}protocol:\n  - {{phase: push, for: 200 ps, set: {{{set}}}}}\ntable: {{every: 100 ps}}\n");
        let (record, _dir) = record(&text);
        columns(&record, ["mx", "mz"]).map(|c| c[2])
    };
    let (by_voltage, by_density) = (ends("mtj.V: -0.5 V"), ends("J: [0, 0, -2.5e11 A/m^2]"));
    for (a, b) in by_voltage.iter().zip(&by_density) {
        // The two take other steps: each is good to 1e-5.
        assert!((a - b).abs() < 1e-4, "{by_voltage:?} {by_density:?}");
    }
    assert!((by_voltage[1] - ends("mtj.V: 0 V")[1]).abs() > 1e-3, "{by_voltage:?}");
    // The field in the oxide: −0.5 V over 1 nm, and 200 fJ/(V m) of anisotropy lost per field.
    let (junction, torque) = (junction.replace("torque: true", "oxide: 1 nm"), "Pol: 0.5,");
    let ends = |set: &str| {
        let common = common.replace(torque, "xi_VCMA: 200 fJ/(V m),");
        let text = format!("{common}{junction}protocol:\n  - {{phase: push, for: 100 ps, set: {{{set}}}}}\ntable: {{every: 50 ps}}\n");
        let (record, _dir) = record(&text);
        columns(&record, ["mx", "my"]).map(|c| c[2])
    };
    let (by_voltage, by_field) = (ends("mtj.V: -0.5 V"), ends("E_z: -0.5 V/nm"));
    for (a, b) in by_voltage.iter().zip(&by_field) {
        assert!((a - b).abs() < 1e-4, "{by_voltage:?} {by_field:?}");
    }
    assert!((by_voltage[0] - ends("mtj.V: 0 V")[0]).abs() > 1e-3, "{by_voltage:?}");
}

#[test]
fn a_bath_makes_the_same_noise_as_the_parameter() {
    let common = "name: a block\nmesh: {size: [16 nm, 16 nm, 2 nm], cell: [4 nm, 4 nm, 2 nm]}\ninitial: {uniform: [0, 0, 1]}\n\
        solver: {stepper: heun, dt: 100 fs}\nprotocol:\n  - {phase: warm, for: 20 ps}\ntable: {every: 5 ps}\n";
    let material = "material: {Msat: 1e6 A/m, Aex: 10 pJ/m, alpha: 0.1}\n";
    let heat = |body: &str| format!("{common}{material}heat:\n  - {{name: film, ambient: 300 K, {body}}}\n");
    let ends = |text: &str| columns(&record(text).0, ["mx", "mz"]);
    let plain = ends(&format!("{common}{}", material.replace("alpha", "Temp: 300 K, alpha")));
    assert!(plain[0][4].abs() > 1e-4, "{plain:?}");
    assert_eq!(plain, ends(&heat("rc: {C: 1 fJ/K, R_th: 1 K/uW}")));
    assert_eq!(plain, ends(&heat("diffusion: {kappa: 5 W/(m K), c: 3.5e6 J/(m^3 K)}")));
}

#[test]
fn a_wave_held_over_intervals_converges_to_second_order() {
    // A macrospin driven by the field of an alternating current.
    let end = |split: &str| {
        let text = format!(
            "name: a spin\nprecision: f64\nmesh: {{size: [4 nm, 4 nm, 2 nm], cell: [4 nm, 4 nm, 2 nm]}}\ndemag: false\n\
             material: {{Msat: 1e6 A/m, alpha: 0.02, B_ext: [0, 0, 0.1 T]}}\ninitial: {{uniform: [0.1, 0, 1]}}\n\
             solver: {{stepper: rk45, max_err: 1e-8}}\n\
             oersted:\n  - {{name: line, strip: {{along: x, width: 100 nm, thickness: 5 nm}}, at: [0, 0, -10 nm], \
             current: {{value: 10 mA, wave: {{sine: {{frequency: 4 GHz}}}}}}}}\n\
             protocol:\n  - {{phase: drive, for: 320 ps}}\ntable: {{every: 320 ps}}\nsplit: {split}\n"
        );
        columns(&record(&text).0, ["mx"])[0][1]
    };
    let (a, b, c) = (end("16 ps"), end("8 ps"), end("4 ps"));
    let ratio = (a - b) / (b - c);
    println!("differences shrink {ratio:.2} times");
    assert!((ratio - 4.0).abs() < 0.6, "{a} {b} {c}");
}

#[test]
fn pulses_of_rising_height_write_one_level_after_another_and_the_levels_stay() {
    // A junction of 96 nm whose pulses heat the antiferromagnet beside it while a field holds m against its bias: each pulse turns the grains that are small
    // enough for its temperature. τ = 0.3 ns; 300 K + 435 K (V/1 V)².
    let pulses: String = (0..9)
        .map(|k| {
            let v = 0.78 + 0.0175 * f64::from(k);
            let set = format!("B_ext: [-0.3 T, 0, 0], mtj.V: {v:.4} V");
            format!("  - {{phase: pulse, for: 1 ns, set: {{{set}}}}}\n  - {{phase: rest, for: 1.5 ns, set: {{mtj.V: 0 V}}}}\n")
        })
        .collect();
    let text = format!(
        "name: a synapse\nmesh: {{size: [96 nm, 96 nm, 2 nm], cell: [4 nm, 4 nm, 2 nm]}}\ngeometry: {{ellipse: {{size: [96 nm, 96 nm]}}}}\n\
         material: {{Msat: 1e6 A/m, Aex: 10 pJ/m, alpha: 0.5}}\ndemag: false\ninitial: {{uniform: [1, 0, 0]}}\n\
         solver: {{stepper: rk45, max_err: 1e-3}}\nsplit: 10 ps\n\
         probes:\n  - {{name: mtj, shape: all, junction: {{RA: 5 Ohm um^2, TMR: 1, reference: [-1, 0, 0]}}}}\n\
         heat:\n  - {{name: stack, rc: {{C: 1 fJ/K, R_th: 0.3 K/uW}}, ambient: 300 K, thermal_field: false, sources: [{{junction: mtj}}]}}\n\
         exchange_bias:\n  - {{name: irmn, grain: 8 nm, thickness: 6 nm, sigma: 0.4, K_AF: 1.3e6 J/m^3, T_N: 690 K, J_ex: 0.2 mJ/m^2, axis: [1, 0, 0]}}\n\
         protocol:\n{pulses}  - {{phase: ten years, for: 1 ps, age: {{for: 3.156e8 s, at: 300 K}}}}\ntable: {{every: 0.5 ns}}\n"
    );
    let (record, _dir) = record(&text);
    let [t, hot, order, work] = columns(&record, ["t", "T_stack", "order_irmn", "W_mtj"]);
    let ends: Vec<usize> = (1..=9).map(|k| t.iter().position(|t| (t - 2.5e-9 * f64::from(k)).abs() < 1e-14).unwrap()).collect();
    let levels: Vec<f64> = ends.iter().map(|k| order[*k]).collect();
    println!(
        "levels {levels:.3?}; hottest {:.0} K; {:.2} pJ in all",
        hot.iter().fold(0.0f64, |a, b| a.max(*b)),
        1e12 * work[work.len() - 1]
    );
    assert!(levels.windows(2).all(|w| w[1] <= w[0]) && levels[0] > 0.9 && levels[8] < 0.0, "{levels:?}");
    let distinct = levels.windows(2).filter(|w| w[0] - w[1] > 0.02).count();
    assert!(distinct >= 5, "{levels:?}");
    // Ten years turn only grains that a pulse would turn at 300 K · ln(f0 10 a)/ln(f0 ns) less: the very smallest.
    assert!((order[order.len() - 1] - levels[8]).abs() < 0.05, "{} {}", order[order.len() - 1], levels[8]);
}

/// Everything at once, with noise: a junction that heats itself and its antiferromagnet, an Oersted field of its current.
const ALL: &str = "\
name: a synapse
mesh: {size: [40 nm, 24 nm, 2 nm], cell: [4 nm, 4 nm, 2 nm]}
geometry: {ellipse: {size: [40 nm, 24 nm]}}
material: {Msat: 1e6 A/m, Aex: 10 pJ/m, alpha: 0.1, Pol: 0.4, FixedLayer: [1, 0, 0]}
initial: {uniform: [1, 0.1, 0]}
solver: {stepper: heun, dt: 100 fs}
sweep: {V: [0.4 V, 0.6 V]}
probes:
  - {name: mtj, shape: all, junction: {RA: 2 Ohm um^2, TMR: 1, Vh: 0.5 V, reference: [1, 0, 0], torque: true}}
oersted:
  - {name: pillar, via: {size: [40 nm, 24 nm], length: 60 nm}, current: {junction: mtj}}
heat:
  - {name: free, rc: {C: 0.05 fJ/K, R_th: 1 K/uW}, ambient: 300 K, sources: [{junction: mtj}]}
temperature_laws: {Tc: 1100 K, at: 300 K}
exchange_bias:
  - {name: irmn, grain: 10 nm, thickness: 5 nm, K_AF: 4e5 J/m^3, T_N: 650 K, J_ex: 0.2 mJ/m^2, axis: [1, 0, 0], spread: 10 deg, sigma: 0.3}
protocol:
  - {phase: pulse, for: 20 ps, set: {mtj.V: $V}}
  - {phase: rest, for: 12 ps, set: {mtj.V: 0 V}}
table: {every: 4 ps}
split: 2 ps
";

#[test]
fn cut_off_anywhere_it_ends_with_the_same_bits() {
    every_cut_of(ALL, 6);
    // Heat on the mesh and a wave, on a method that carries rates over.
    every_cut_of(
        &ALL.replace(
            "rc: {C: 0.05 fJ/K, R_th: 1 K/uW}",
            "thermal_field: false, diffusion: {kappa: 50 W/(m K), c: 3.5e6 J/(m^3 K), bath: 1e9 W/(m^2 K)}",
        )
        .replace("solver: {stepper: heun, dt: 100 fs}\n", "solver: {stepper: rk45, max_err: 1e-4, demag_every: adaptive}\n")
        .replace("for: 12 ps,", "for: 12 ps, age: {for: 1 us, from: 600 K, to: 300 K},")
        .replace("mtj.V: $V", "mtj.V: {value: $V, wave: {steps: [[0 s, 1], [7 ps, 0.5], [13 ps, 1]]}}"),
        12,
    );
}

#[test]
fn so_it_does_on_a_graphics_device_and_agrees_with_the_processor() {
    let names: Vec<String> = crate::gpu::graphics().iter().map(|[double, _]| crate::gpu::name_of(*double)).collect();
    for name in &names {
        every_cut_of(&ALL.replace("sweep:", &format!("device: {name}\nsweep:")), 40);
    }
    // Without noise the same path on both, with one temperature and with one per cell.
    let lumped = ALL.replace("R_th: 1 K/uW}", "R_th: 1 K/uW}, thermal_field: false");
    let spread =
        lumped.replace("rc: {C: 0.05 fJ/K, R_th: 1 K/uW}", "diffusion: {kappa: 5 W/(m K), c: 3.5e6 J/(m^3 K), bath: 1e9 W/(m^2 K)}");
    for quiet in [lumped, spread] {
        let ends = |device: &str| {
            let (record, _dir) = record(&quiet.replace("sweep:", &format!("device: {device}\nsweep:")));
            columns(&record, ["mx", "my", "T_free", "I_mtj", "B_irmn"])
        };
        let a = ends("cpu");
        for name in &names {
            let b = ends(name);
            for (k, bound) in [1e-5, 1e-5, 1e-2, 1e-8, 1e-6].into_iter().enumerate() {
                for (x, y) in a[k].iter().zip(&b[k]) {
                    assert!((x - y).abs() < bound, "{name}, column {k}: {:?} {:?}", a[k], b[k]);
                }
            }
        }
        assert!(a[2].iter().any(|t| *t > 305.0), "{:?}", a[2]);
    }
}

#[test]
fn every_slip_around_the_magnet_is_told_at_its_place() {
    let read = |text: &str| Experiment::read(&Document::parse("e.yaml", text).unwrap()).map_err(|e| e.to_string());
    read(ALL).unwrap_or_else(|e| panic!("{e}"));
    let cases = [
        ("RA: 2 Ohm um^2", "RA: 2 Ohm", "e.yaml:9:", "`2 Ohm` is a resistance; a resistance-area product is wanted"),
        ("TMR: 1, Vh", "TRM: 1, Vh", "e.yaml:9:", "a junction has no key `TRM`; did you mean `TMR`?"),
        ("TMR: 1,", "TMR: 1, P: [0.5, 0.5],", "e.yaml:9:", "either `TMR` or both polarisations"),
        ("reference: [1, 0, 0], torque", "reference: [0, 0, 0], torque", "e.yaml:9:", "a direction of length zero"),
        ("torque: true", "torque: true, voltage: 1 V, current: 1 mA", "e.yaml:9:", "either a `voltage` or a `current`"),
        ("current: {junction: mtj}", "current: {junction: mjt}", "e.yaml:11:", "`mjt` is not known here; did you mean `mtj`?"),
        ("current: {junction: mtj}", "current: 1 mT", "e.yaml:11:", "`1 mT` is a magnetic field; a current is wanted"),
        ("length: 60 nm}", "length: 60 nm}, wire: {along: z, radius: 1 nm}", "e.yaml:11:", "exactly one of `wire`, `strip` and `via`"),
        ("C: 0.05 fJ/K,", "C: 0.05 fJ,", "e.yaml:13:", "a heat capacity is wanted"),
        ("ambient: 300 K, sources", "ambient: 300 K, source", "e.yaml:13:", "did you mean `sources`?"),
        ("ambient: 300 K,", "ambient: 300 K, regions: [top],", "e.yaml:13:", "`top` is not known here"),
        ("[{junction: mtj}]}\ntemp", "[{conductor: pillar}]}\ntemp", "e.yaml:13:", "from a `conductor` with its `resistance`"),
        ("Tc: 1100 K, at", "Tc: 1100 K, Kul: 3, at", "e.yaml:14:", "a temperature law has no key `Kul`; did you mean `Ku1`?"),
        ("Tc: 1100 K", "Tc: 250 K", "e.yaml:14:", "do not lead to a Curie point"),
        ("grain: 10 nm", "grain: 5 nm", "e.yaml:16:", "grains of 5.0 nm are not resolved by cells of 4.0 nm"),
        ("T_N: 650 K,", "", "e.yaml:16:", "an exchange bias needs the key `T_N`"),
        ("axis: [1, 0, 0], spread", "axis: plain, spread", "e.yaml:16:", "did you mean `plane`?"),
        ("name: free", "name: mtj", "e.yaml:13:", "`mtj` is the name of two things"),
        ("name: free", "name: a/b", "e.yaml:13:", "`a/b` cannot be a name"),
        ("mtj.V: 0 V", "mjt.V: 0 V", "e.yaml:19:", "there is no region `mjt`; did you mean `mtj`?"),
        ("mtj.V: 0 V", "mtj.U: 0 V", "e.yaml:19:", "`mtj` has no `U` to set; it can be `V` or `I`"),
        ("mtj.V: 0 V", "Temp: 0 K", "e.yaml:19:", "the temperature is that of `free`; set `free.T0`"),
        ("for: 12 ps,", "for: 12 ps, age: {for: 1 s},", "e.yaml:19:", "ageing is `at` a temperature"),
        ("split: 2 ps", "split: 2 nm", "e.yaml:21:", "`2 nm` is a length; a time is wanted"),
        ("split: 2 ps", "splt: 2 ps", "e.yaml:21:", "did you mean `split`?"),
    ];
    for (from, to, place, message) in cases {
        assert!(ALL.contains(from), "{from}");
        let e = read(&ALL.replace(from, to)).expect_err(to);
        assert!(e.lines().any(|l| l.starts_with(place) && l.contains(message)), "{to}:\n{e}");
    }
}
