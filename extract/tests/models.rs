//! Every model against its own example: known truth and noise put in, and asked back; what data cannot tell; devices and rivals.

use spinloom_base::random::Stream;
use spinloom_base::{Document, Problems};
use spinloom_extract::data::Data;
use spinloom_extract::device::preferred;
use spinloom_extract::estimate::{Fitted, Options, fit, random_effects};
use spinloom_extract::models::{MODELS, Model, find};
use spinloom_extract::recovery::coverage;
use spinloom_extract::{ExtractConfig, run};

const QUICK: Options = Options { resamples: 0, seed: 1, profiles: false, hold_out: false };

fn simulated(model: &dyn Model, seed: u64) -> Data {
    let e = model.example();
    model.simulate(&e.truth, e.sigma, &e.design, &mut Stream::new(seed, 11))
}

fn named(name: &str) -> &'static dyn Model {
    find(name).unwrap()
}

fn recover(trials: usize, least: f64, most: f64, options: &Options) {
    let mut wrong = Vec::new();
    for model in MODELS {
        let name = model.about().name;
        let (all, failed) = coverage(*model, trials, options);
        if failed > 0 {
            wrong.push(format!("{name}: {failed} of {trials} without a fit"));
        }
        for c in all {
            println!("{name} {}: Hessian {:.3}, bootstrap {:?}, bias {:+.1e}", c.name, c.hessian, c.bootstrap, c.bias);
            let inside = |share: f64| (least..=most).contains(&share);
            if !inside(c.hessian) || c.bootstrap.is_some_and(|b| !inside(b)) || c.undetermined > 0.05 {
                wrong.push(format!("{name}: {c:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_model_finds_its_own_truth() {
    // Of 20 intervals that hold the truth with 95 %, 15 or fewer do with 0.03 %: for 190 parameters, one run in twenty, and the seed is fixed.
    recover(20, 0.75, 1.0, &QUICK);
}

#[test]
#[ignore = "takes minutes: 200 trials of every model; `cargo run --release --example recovery` prints the same figures"]
fn intervals_hold_the_truth_in_ninety_to_ninety_nine_of_a_hundred() {
    // 95 % of 200: standard error 1.5 %. The shares asked for are 90 and 99 %, and 99.5 % is one trial more.
    recover(200, 0.90, 0.995, &QUICK);
}

#[test]
fn bootstrap_and_information_agree_where_the_model_is_nearly_linear() {
    for name in ["firing-logistic", "levels", "telegraph", "variability"] {
        let model = named(name);
        let f = fit(model, &simulated(model, 3), &Options { resamples: 400, ..QUICK }).unwrap();
        for p in &f.parameters {
            let ([a, b], [c, d]) = (p.hessian.unwrap(), p.bootstrap.unwrap());
            // Ends of 400 draws scatter by 10 % of the width; ten times forty devices drawn again by 15 % more.
            assert!(((d - c) / (b - a)).ln().abs() < 0.35, "{name}: {p:?}");
        }
        assert_eq!(f.resamples[0], 400);
    }
}

fn lacks(f: &Fitted, name: &str) -> Option<String> {
    f.parameters.iter().chain(&f.derived).find(|p| p.name == name).unwrap().undetermined.clone()
}

#[test]
fn one_temperature_or_one_pulse_length_gives_no_barrier() {
    // One temperature: f0, E_b and V_c are no numbers; the rate at rest and the slope by the drive are.
    for (name, drive) in [("switching-linear", "V_c"), ("switching-quadratic", "V_c"), ("field-immunity", "B_k")] {
        let model = named(name);
        let data = simulated(model, 5);
        let t = data.col("T");
        let one = data.filter(|i| t[i] == 320.0);
        let f = fit(model, &one, &Options { profiles: true, ..QUICK }).unwrap();
        for p in ["f0", "E_b", drive] {
            let why = lacks(&f, p).unwrap_or_else(|| panic!("{name}: {p} is called determined"));
            assert!(why.contains("temperatures"), "{why}");
        }
        assert!(lacks(&f, "Delta_300K").is_some());
        if name == "switching-linear" {
            for (p, truth) in [("ln_rate_at_rest", 1e9f64.ln() - 40.0 * 300.0 / 320.0), ("E_b_over_kT_V_c", 40.0 * 300.0 / 320.0 / 0.6)] {
                let e = f.derived.iter().find(|d| d.name == p).unwrap();
                let [low, high] = e.hessian.unwrap_or_else(|| panic!("{e:?}"));
                assert!(e.undetermined.is_none() && low < truth && truth < high, "{e:?}, truth {truth}");
            }
        }
        // One pulse length, three temperatures.
        let t = data.col("t");
        let one = data.filter(|i| t[i] == 1e-6);
        let f = fit(model, &one, &QUICK).unwrap();
        assert!(lacks(&f, "E_b").is_some() && lacks(&f, drive).is_some_and(|w| w.contains("`t` takes 1")), "{name}");
    }
    let model = named("telegraph-arrhenius");
    let data = simulated(model, 5);
    let t = data.col("T");
    let f = fit(model, &data.filter(|i| t[i] == 320.0), &QUICK).unwrap();
    assert!(["f0", "E_b", "V_c"].iter().all(|p| lacks(&f, p).is_some()) && lacks(&f, "V_50").is_none(), "{f:?}");
}

#[test]
fn a_flat_likelihood_is_seen_without_being_told() {
    // Plateaus only: where the step is and how wide cannot be told, the plateaus can.
    let model = named("sigmoid");
    let data = simulated(model, 2);
    let x = data.col("x");
    let f = fit(model, &data.filter(|i| x[i] < -1.0 || x[i] > 1.8), &Options { profiles: true, ..QUICK }).unwrap();
    assert!(lacks(&f, "s").is_some_and(|w| w.contains("three or more inputs")), "{f:?}");
    assert!(lacks(&f, "y_low").is_none(), "{f:?}");
    // A wall without a known field along its track: three parameters share two combinations, of which velocity is one.
    let model = named("wall-q-phi");
    let data = simulated(model, 2);
    let along = data.col("B_x");
    let f = fit(model, &data.filter(|i| along[i] == 0.0), &QUICK).unwrap();
    assert!(lacks(&f, "alpha").is_some_and(|w| w.contains("fields along the track")), "{f:?}");
}

#[test]
fn profiles_are_where_the_likelihood_has_fallen() {
    // Of a nearly quadratic likelihood the profile is the Hessian's interval.
    let model = named("switching-linear");
    let f = fit(model, &simulated(model, 1), &Options { profiles: true, ..QUICK }).unwrap();
    let e = f.parameters.iter().find(|p| p.name == "V_c").unwrap();
    let ([a, b], [c, d]) = (e.hessian.unwrap(), e.profile.unwrap_or_else(|| panic!("{:?}", f.correlation)));
    // Counts of 200 leave a skewness of some per cent of the width.
    let tolerance = 0.1 * (b - a);
    assert!((a - c).abs() < tolerance && (b - d).abs() < tolerance, "{e:?}");
}

#[test]
fn akaike_prefers_the_window_that_made_the_data() {
    let families: [&[&str]; 3] = [
        &["stdp-exponential", "stdp-gaussian", "stdp-mexican-hat", "stdp-rectangular"],
        &["sigmoid", "relu", "piecewise-linear"],
        &["step-constant", "step-soft-bounds", "step-exponential", "step-power"],
    ];
    for rivals in families {
        for truth in rivals {
            let data = simulated(named(truth), 8);
            let fits: Vec<Fitted> = rivals.iter().filter_map(|w| fit(named(w), &data, &QUICK).ok()).collect();
            // A rival that holds the truth as a special case (a ramp whose top is not reached) passes by chance in 5 % of seeds.
            let best = &fits[preferred(&fits.iter().collect::<Vec<_>>())];
            assert_eq!(best.model, *truth, "{:?}", fits.iter().map(|f| (&f.model, f.aicc)).collect::<Vec<_>>());
        }
    }
}

#[test]
fn devices_are_told_from_cycles() {
    // Fourteen devices whose middle is spread by 0.1 V; each is seen in twelve drives of 100 tries.
    let model = named("firing-logistic");
    let example = model.example();
    const TRIALS: u64 = 100;
    let (mut mean, mut spread, mut pooled) = (0, 0, 0);
    for trial in 0..TRIALS {
        let mut random = Stream::new(trial, 21);
        let mut all = Data::default();
        for device in 0..14 {
            let truth = [1.4 + 0.1 * random.normal(), 4.0];
            let mut one = model.simulate(&truth, 0.0, &example.design, &mut random);
            one.set("device", "1", vec![f64::from(device); one.rows()]);
            all.append(&one);
        }
        let f = fit(model, &all, &QUICK).unwrap();
        assert_eq!(f.devices, 14);
        let e = &f.parameters[0];
        let holds = |i: [f64; 2], x: f64| i[0] <= x && x <= i[1];
        mean += u32::from(holds(e.hessian.unwrap(), 1.4));
        spread += u32::from(holds(e.device_spread.unwrap().1, 0.1));
        let together = all.filter(|_| true);
        let without = Data::new(["V", "k", "n"].map(|n| (n, together.unit(n), together.col(n).to_vec())));
        pooled += u32::from(holds(fit(model, &without, &QUICK).unwrap().parameters[0].hessian.unwrap(), 1.4));
    }
    println!("mean {mean}, spread {spread}, pooled {pooled} of {TRIALS}");
    // 95 % of 100: standard error 2.2 %.
    assert!((89..=100).contains(&mean) && (89..=100).contains(&spread), "{mean} {spread}");
    // As if all tries were one device's, the interval is far too narrow.
    assert!(pooled < 60, "{pooled}");
}

#[test]
fn noise_inside_a_device_is_not_the_spread_of_devices() {
    // Twenty devices whose first level is spread by 40 uS, read with 5 uS.
    let model = named("levels");
    let example = model.example();
    let mut random = Stream::new(4, 22);
    let mut all = Data::default();
    for device in 0..20 {
        let truth = [2e-4 + 4e-5 * random.normal(), 1e-3, 0.06];
        let mut one = model.simulate(&truth, example.sigma, &example.design, &mut random);
        one.set("device", "1", vec![f64::from(device); one.rows()]);
        all.append(&one);
    }
    let f = fit(model, &all, &QUICK).unwrap();
    // 2540 degrees of freedom: 1.4 % scatter; and the spread of twenty: 16 %.
    assert!(
        (f.sigma / example.sigma - 1.0).abs() < 0.05 && f.derived[0].hessian.is_some_and(|[low, high]| low < f.sigma && f.sigma < high),
        "{f:?}"
    );
    let (spread, [low, high]) = f.parameters[0].device_spread.unwrap();
    assert!((spread / 4e-5 - 1.0).abs() < 0.5 && low < 4e-5 && 4e-5 < high, "{spread} {low} {high}");
    let mixed = Data::new([("run", "1", [0.0, 1.0].repeat(20)), ("x", "V", vec![0.0; 40]), ("y", "1", vec![0.0; 40])]);
    assert!(fit(named("sigmoid"), &mixed, &QUICK).unwrap_err().to_string().contains("do not follow each other"));
}

#[test]
fn random_effects_of_equal_variances_are_arithmetic() {
    // Values 1, 2, 3, 4 (variance 5/3), each known to 0.5: tau^2 = 5/3 - 0.5 by Paule and Mandel; the mean is plain, its t interval that of a plain mean.
    let r = random_effects(&[1.0, 2.0, 3.0, 4.0], &[0.5; 4]);
    assert!((r.mean - 2.5).abs() < 1e-9 && (r.spread.powi(2) - (5.0 / 3.0 - 0.5)).abs() < 1e-6, "{r:?}");
    let half = 3.182446 * (5.0f64 / 3.0 / 4.0).sqrt();
    assert!((r.interval[1] - 2.5 - half).abs() < 1e-4, "{r:?}");
    // Q-profile: sum of squares 5 over chi squared with 3 degrees at 2.5 and 97.5 %, 0.215795 and 9.348404, less 0.5; the lower end is cut at zero.
    assert!(
        r.spread_interval[0] < (5.0f64 / 9.348404 - 0.5).sqrt() + 1e-4
            && (r.spread_interval[1].powi(2) - (5.0 / 0.215795 - 0.5)).abs() < 1e-3,
        "{r:?}"
    );
}

fn extracted(dir: &std::path::Path, text: &str) -> Result<spinloom_extract::Extraction, Problems> {
    let document = Document::parse("e.yaml", text)?;
    let mut problems = Problems::new();
    let config = ExtractConfig::parse(&document.root, &mut problems);
    run(&problems.into_result(config)?, dir)
}

#[test]
fn a_measured_table_becomes_a_card_that_says_what_it_cannot_know() {
    let dir = tempfile::tempdir().unwrap();
    let data = simulated(named("switching-linear"), 4);
    let [v, t, temperature, k] = ["V", "t", "T", "k"].map(|n| data.col(n));
    let rows: String =
        (0..data.rows()).filter(|&i| temperature[i] == 280.0).map(|i| format!("{},{},{},200\n", v[i] * 1e3, t[i] * 1e9, k[i])).collect();
    std::fs::write(dir.path().join("p.csv"), format!("voltage,width,switched,tries\n{rows}")).unwrap();
    let text = "\
devices:
  - name: junction
    csv: [{file: p.csv}]
    columns: {V: [voltage, mV], t: [width, ns], k: switched, n: tries}
    known: {T: 280 K}
    models: [switching-linear, switching-quadratic]
    resamples: 40
";
    let out = extracted(dir.path(), text).unwrap();
    assert_eq!((out.cards.len(), out.plots.len()), (2, 2));
    let card = &out.cards[0];
    assert!(!card.parameters.contains_key("E_b") && card.parameters.contains_key("ln_rate_at_rest"), "{card:?}");
    assert!(card.undetermined.iter().any(|u| u.starts_with("f0:") && u.contains("three or more temperatures")), "{:?}", card.undetermined);
    assert_eq!((card.parameters["E_b_over_kT_V_c"].unit.as_str(), card.validity["V"].unit.as_str()), ("V^-1", "V"));
    assert!(card.intervals["ln_rate_at_rest"].bootstrap.is_some() && card.fit.nrmse_held_out < 0.1);
    // It survives its own file.
    assert_eq!(spinloom_card::Card::parse("c", &card.to_yaml()).unwrap().to_yaml(), card.to_yaml());

    let wrong = text.replace("[width, ns]", "[width, nm]").replace("switching-quadratic", "ltp-ltd");
    let e = extracted(dir.path(), &wrong).unwrap_err().to_string();
    assert!(e.contains("observes `k`") && e.contains("e.yaml:2"), "{e}");
    let e = extracted(dir.path(), &text.replace("[width, ns]", "[width, nm]")).unwrap_err().to_string();
    assert!(e.contains("a time"), "{e}");
    let e = extracted(dir.path(), &text.replace("n: tries", "n: trys")).unwrap_err().to_string();
    assert!(e.contains("did you mean `tries`?"), "{e}");
    let e = extracted(dir.path(), &text.replace("known: {T: 280 K}", "known: {Q: 3}").replace("[width, ns], k", "[width, ns], m"))
        .unwrap_err()
        .to_string();
    assert!(e.contains("needs the column `k`"), "{e}");
}

#[test]
fn names_units_and_references_are_complete() {
    let mut seen = std::collections::BTreeSet::new();
    for model in MODELS {
        let about = model.about();
        assert!(seen.insert(about.name), "{} twice", about.name);
        let e = model.example();
        assert_eq!(e.truth.len(), about.coefficients.len(), "{}", about.name);
        for c in about.columns {
            let unit = e.design.dimension(c.name);
            assert!(e.design.get(c.name).is_some() && c.dimension.is_none_or(|d| d == unit), "{} {}: {unit}", about.name, c.name);
        }
        for c in about.coefficients {
            let unit = spinloom_extract::models::unit(c.unit, &e.design);
            assert!(spinloom_base::units::parse_unit(&unit).is_ok(), "{} {}: {unit}", about.name, c.name);
            assert!(c.experiment.len() > 10 && about.reference.len() > 10);
        }
        for d in about.derived {
            let value = (d.value)(&e.truth, &e.design);
            assert!(value.is_finite(), "{} {}: {value}", about.name, d.name);
        }
    }
}

#[test]
fn a_spread_of_devices_is_seldom_found_where_there_is_none() {
    // Twenty equal devices, sixty times over; three parameters each. The lower end of a 95 % interval is above zero once in forty times.
    let model = named("levels");
    let example = model.example();
    let (mut found, mut asked) = (0, 0);
    for seed in 0..60 {
        let mut random = Stream::new(seed, 23);
        let mut all = Data::default();
        for device in 0..20 {
            let mut one = model.simulate(&example.truth, example.sigma, &example.design, &mut random);
            one.set("device", "1", vec![f64::from(device); one.rows()]);
            all.append(&one);
        }
        for p in fit(model, &all, &QUICK).unwrap().parameters {
            asked += 1;
            found += u32::from(p.device_spread.is_some_and(|s| s.1[0] > 0.0));
        }
    }
    println!("spread found in {found} of {asked}");
    // 4.5 of 180, standard deviation 2.1.
    assert!(asked == 180 && found <= 11, "{found} of {asked}");
}
