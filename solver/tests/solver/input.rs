//! What bad input gets: place, message, hint, everything at once, before anything is computed.

use spinloom_base::Document;
use spinloom_solver::Experiment;

pub const GOOD: &str = "\
name: a strip
mesh: {size: [40 nm, 8 nm, 1 nm], cell: [2 nm, 2 nm, 1 nm]}
regions:
  right: {shape: {box: {x: [0 nm, 20 nm]}}, material: {B_ext: [0, 0, $B]}}
material: {Msat: 1e6 A/m, Aex: 15 pJ/m, Ku1: 1e6 J/m^3, Dind: 0.5 mJ/m^2, alpha: 0.1, theta_SH: 0.5}
initial: {wall: {at: -4 nm, left: [0, 0, -1], centre: [1, 0, 0], right: [0, 0, 1], width: 6 nm}}
settle: minimise
sweep: {B: [100 Oe, 200 Oe]}
protocol:
  - repeat: 2
    until: {wall_x: {above: 18 nm}}
    phases:
      - {phase: push, for: 20 ps, set: {J: [-7e11 A/m^2, 0, 0]}, log: {J: 7e11 A/m^2}}
      - {phase: rest, for: 10 ps, set: {J: [0, 0, 0], right.B_ext: [0, 0, 50 mT]}}
table: {every: 4 ps, columns: [wall_x, wall_v, E_total]}
pictures: 20 ps
probes:
  - {name: cross, shape: {box: {x: [0 nm, 8 nm]}}, hall: {amplitude: 1 uV}}
";

fn read(text: &str) -> Result<Experiment, String> {
    let document = Document::parse("e.yaml", text).map_err(|e| e.to_string())?;
    Experiment::read(&document).map_err(|e| e.to_string())
}

#[test]
fn a_good_experiment_is_read_whole() {
    let e = read(GOOD).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!((e.replicas(), e.system.mesh.n, e.protocol[0].len()), (2, [20, 4, 1], 4));
    assert_eq!(e.axes[0].values, [0.01, 0.02]);
    assert!((e.longest() - 60e-12).abs() < 1e-20);
    let names: Vec<&str> = e.columns.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["J", "mx", "my", "mz", "wall_x", "wall_v", "E_total", "V_cross"]);
}

#[test]
fn every_slip_is_told_at_its_place_with_a_hint() {
    let cases = [
        ("Aex: 15 pJ/m", "Axe: 15 pJ/m", "e.yaml:5:", "`Axe` is not a parameter; did you mean `Aex`?"),
        ("Aex: 15 pJ/m", "Aex: 15 J/m", "e.yaml:5:", "times permalloy's"),
        ("cell: [2 nm,", "cell: [2 ns,", "e.yaml:2:", "`2 ns` is a time; a length is wanted"),
        ("2 nm, 1 nm]}\nregions", "2 nm, -1 nm]}\nregions", "e.yaml:2:", "greater than zero"),
        ("x: [0 nm, 20 nm]", "x: [30 nm, 40 nm]", "e.yaml:4:", "region `right` lies outside the mesh; the mesh spans ±20 nm"),
        ("sweep: {B: [100 Oe, 200 Oe]}", "sweep: {B: []}", "e.yaml:8:", "nothing would run"),
        ("$B]", "$C]", "e.yaml:4:", "`$C` is not swept; did you mean `$B`?"),
        ("settle: minimise", "settle: minimize", "e.yaml:7:", "did you mean `minimise`?"),
        ("wall_v, E_total", "wal_v, E_total", "e.yaml:15:", "`wal_v` is not a quantity; did you mean `wall_v`?"),
        ("until: {wall_x:", "until: {wal_x:", "e.yaml:11:", "`wal_x` is not a column of the table; did you mean `wall_x`?"),
        ("right.B_ext", "rigth.B_ext", "e.yaml:14:", "there is no region `rigth`; did you mean `right`?"),
        ("pictures: 20 ps", "picture: 20 ps", "e.yaml:16:", "an experiment has no key `picture`; did you mean `pictures`?"),
        ("alpha: 0.1,", "alpha: -0.1,", "e.yaml:5:", "alpha must be at least 0"),
        ("alpha: 0.1,", "alpha: 0.1, Temp: 300 K,", "", "needs a fixed step"),
        ("settle: minimise", "solver: {stepper: rk4, dt: 1 fs, demag_every: adaptive}", "e.yaml:7:", "no error to adapt to"),
        ("size: [40 nm,", "size: [41 nm,", "e.yaml:2:", "20.500 cells, not a whole number"),
        ("repeat: 2", "repeat: 0", "e.yaml:10:", "0 repetitions"),
        ("size: [40 nm, 8 nm,", "size: [80 um, 20 um,", "e.yaml:2:", "40000 x 10000 x 1 cells, 2 times, needs about"),
        ("size: [40 nm, 8 nm,", "size: [80 m, 20 m,", "e.yaml:2:", "more than this program takes"),
        ("Msat: 1e6 A/m,", "Msat: 0 A/m,", "e.yaml:5:", "no region has a magnetisation; set `Msat`"),
        ("initial: {wall:", "initial: {file: nothing.ovf, wall:", "e.yaml:6:", "exactly one of `uniform`, `wall` and `file`"),
    ];
    for (from, to, place, message) in cases {
        assert!(GOOD.contains(from), "{from}");
        let e = read(&GOOD.replace(from, to)).expect_err(to);
        assert!(e.contains(message) && e.lines().any(|l| l.starts_with(place) && l.contains(message)), "{to}:\n{e}");
    }
}

#[test]
fn thermal_waves_limit_the_extrapolation() {
    let hot = GOOD.replace("alpha: 0.1,", "alpha: 0.1, Temp: 300 K,");
    let with = |every: &str| read(&hot.replace("settle: minimise", &format!("solver: {{stepper: rk4, dt: 50 fs, demag_every: {every}}}")));
    assert!(with("50 fs").is_ok());
    let e = with("200 fs").unwrap_err();
    assert!(e.contains("e.yaml:7:") && e.contains("heats or cools") && e.contains("at most 66 fs here"), "{e}");
}

#[test]
fn all_slips_are_told_at_once() {
    let e = read(
        &GOOD
            .replace("Aex: 15 pJ/m", "Axe: 15 pJ/m")
            .replace("settle: minimise", "settle: minimize\nsolver: {stepper: rk9}")
            .replace("pictures:", "picture:")
            .replace("wall_v,", "wal_v,")
            .replace("for: 20 ps", "for: 20 nm")
            .replace("centre: [1, 0, 0]", "centre: [1, 0]"),
    )
    .unwrap_err();
    assert_eq!(e.lines().count(), 7, "{e}");
}
