//! Scripts: every name of the language, every script of the folder `mx3`, and what bad ones are told.

use spinloom_solver::DeviceChoice;
use spinloom_solver::mx3::{self, Options};
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mx3")
}

/// The names of mumax3 3.11, without the special form `source`.
fn names() -> Vec<String> {
    std::fs::read_to_string(folder().join("names.txt")).unwrap().lines().map(str::to_string).collect()
}

fn scripts() -> Vec<PathBuf> {
    let list = std::fs::read_dir(folder()).unwrap().map(|e| e.unwrap().path());
    let mut list: Vec<PathBuf> = list.filter(|p| p.extension().is_some_and(|e| e == "mx3")).collect();
    list.sort();
    list
}

/// Runs a script's text in a folder of its own; returns that folder and what came of it.
fn run(text: &str) -> (tempfile::TempDir, Result<usize, String>) {
    run_beside(text, &[])
}

/// The same with other files in that folder.
fn run_beside(text: &str, others: &[(&str, &str)]) -> (tempfile::TempDir, Result<usize, String>) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("s.mx3");
    others.iter().for_each(|(name, text)| std::fs::write(dir.path().join(name), text).unwrap());
    std::fs::write(&file, text).unwrap();
    let result = mx3::run(&file, &Options::default()).map(|o| o.expectations).map_err(|e| e.to_string());
    (dir, result)
}

/// Runs a script that must fail, with another file beside it, and looks for words in what it is told.
fn told(text: &str, other: (&str, &str), words: &[&str]) -> tempfile::TempDir {
    let (dir, result) = run_beside(text, &[other]);
    let message = result.unwrap_err();
    words.iter().for_each(|w| assert!(message.contains(w), "{text}: {message}"));
    dir
}

#[test]
fn every_name_of_the_language_is_known() {
    let names = names();
    assert_eq!(names.len(), 317);
    let unknown: Vec<&String> = names.iter().filter(|n| mx3::library::find(&n.to_lowercase()).is_none()).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn every_name_stands_in_some_script() {
    let text: String = scripts().iter().map(|p| std::fs::read_to_string(p).unwrap().to_lowercase()).collect();
    let words: std::collections::HashSet<&str> = text.split(|c: char| !(c.is_alphanumeric() || c == '_')).collect();
    let missing: Vec<String> = names().into_iter().filter(|n| !words.contains(n.to_lowercase().as_str())).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_script_holds_what_it_expects() {
    let out = tempfile::tempdir().unwrap();
    let mut failed = Vec::new();
    for file in scripts() {
        let options = Options { out: Some(out.path().join(file.file_stem().unwrap())), ..Options::default() };
        let began = std::time::Instant::now();
        match mx3::run(&file, &options) {
            Ok(o) => println!("{}: {} expectations, {:.1} s", file.display(), o.expectations, began.elapsed().as_secs_f64()),
            Err(e) => failed.push(e.to_string()),
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn a_script_leaves_the_files_people_know() {
    let (dir, result) = run(
        "setGridSize(8, 4, 1)\nsetCellSize(2e-9, 2e-9, 2e-9)\nMsat = 8e5\nAex = 1e-11\nalpha = 0.5\nm = uniform(1, 0, 0)\nB_ext = vector(0, 0.1, 0)\n\
        tableAdd(maxTorque)\ntableAdd(B_ext)\ntableAutoSave(1e-12)\nautoSave(m, 2e-12)\nsnapshot(m)\nsaveAs(cropLayer(m_full, 0), \"full\")\nrun(4e-12)\nOutputFormat = OVF1_TEXT\nsaveAs(m.comp(0), \"x.ovf\")\nfprintln(\"own.txt\", 1, \"two\")\n",
    );
    assert_eq!(result, Ok(0));
    let out = dir.path().join("s.out");
    let table = std::fs::read_to_string(out.join("table.txt")).unwrap();
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines[0], "# t (s)\tmx ()\tmy ()\tmz ()\tmaxTorque (T)\tB_extx (T)\tB_exty (T)\tB_extz (T)");
    assert!((4..=6).contains(&(lines.len() - 1)), "{table}");
    assert_eq!(lines[1].split('\t').count(), 8);
    for file in ["m000000.jpg", "m000001.ovf", "m000002.ovf", "m000003.ovf", "full.ovf", "x.ovf", "log.txt", "own.txt", "references.bib"] {
        assert!(out.join(file).exists(), "{file}");
    }
    assert_eq!(std::fs::read_to_string(out.join("own.txt")).unwrap(), "1 two\n");
}

#[test]
fn files_are_called_and_tables_headed_as_people_know() {
    let out = tempfile::tempdir().unwrap();
    let options = Options { out: Some(out.path().to_path_buf()), ..Options::default() };
    mx3::run(&folder().join("files.mx3"), &options).unwrap();
    let read = |name: &str| std::fs::read_to_string(out.path().join(name)).unwrap();
    let averages = read("averages.txt");
    let [saturation, x, all] = *averages.trim().splitn(3, ' ').collect::<Vec<_>>() else { panic!("{averages}") };
    assert!(saturation == "1e+06" && all.starts_with(&format!("[{x} ")) && all.ends_with(']'), "{averages}");
    assert_eq!(read("names.txt"), "m m_x m.region3 m_xrange0-4_yrange2-3_zrange0-1_ E_total T A/m2\n");
    for file in ["m_000.ovf", "m_001.ovf", "m_z_zrange1-2__000.ovf", "m_002.png", "m_z_000.ovf", "m_z_001.ovf", "m_z_002.ovf"] {
        assert!(out.path().join(file).exists(), "{file}");
    }
    let table = read("table.txt");
    let lines: Vec<&str> = table.lines().collect();
    let heads = "# t (s)\tmx ()\tmy ()\tmz ()\tm_x ()\tm.region3x ()\tm.region3y ()\tm.region3z ()\tm_xrange0-8_x ()\tm_xrange0-8_y ()\tm_xrange0-8_z ()\tMsat (A/m)\text_coreposx (m)\text_coreposy (m)\text_coreposz (m)\ttwice ()";
    assert_eq!(lines[0], heads);
    assert_eq!(lines[2], "# a remark 3");
    // Two by hand, then at 0, 1, 2, 3 and 4 ps.
    assert_eq!(lines.len(), 4 + 5, "{table}");
    assert!(
        lines[4..]
            .iter()
            .enumerate()
            .all(|(k, l)| (l.split('\t').next().unwrap().parse::<f64>().unwrap() - 1e-12 * k as f64).abs() < 1e-18)
    );
    let last = |l: &str| l.rsplit('\t').next().unwrap().parse::<f64>().unwrap();
    assert_eq!((last(lines[3]), last(lines[8])), (1.0, 17.0));
}

#[test]
fn live_expressions_see_the_names_that_stood_where_they_stand() {
    let text = "setGridSize(2, 2, 1)\nsetCellSize(2e-9, 2e-9, 2e-9)\nMsat = 1e6\nx := 1.0\ntableAddVar(x, \"x\", \"\")\n{ x := 5.0; tableSave(); print(x) }\nx = 2\nfor x := 7.0; x < 8; x++ { tableSave() }\n";
    let (dir, result) = run(text);
    assert_eq!(result, Ok(0));
    let table = std::fs::read_to_string(dir.path().join("s.out/table.txt")).unwrap();
    let last: Vec<&str> = table.lines().skip(1).map(|l| l.rsplit('\t').next().unwrap()).collect();
    assert_eq!(last, ["1", "2"]);
}

#[test]
fn meshes_are_judged_before_their_tensor_is_sampled() {
    let mesh = |z: &str| format!("setGridSize(11, 4, 1)\nsetCellSize(1e-9, 1e-9, {z})\nMsat = 1e6\nAex = 1e-11\nsteps(1)\n");
    let (_, result) = run(&mesh("200e-9"));
    assert!(result.unwrap_err().contains("unreliable above 100"));
    let (dir, result) = run(&mesh("5e-9"));
    assert_eq!(result, Ok(0));
    let log = std::fs::read_to_string(dir.path().join("s.out/log.txt")).unwrap();
    assert!(log.contains("5.0 times longer than thick") && log.contains("11 cells along x"), "{log}");
}

#[test]
fn bad_scripts_are_told_where_and_why_before_anything_runs() {
    for (text, words) in [
        ("x := 1\nMsta = 8e5\n", vec!["s.mx3:2:1", "`msta` is not known", "did you mean `Msat`"]),
        ("setgridsize(1, 2)\n", vec!["takes 3 argument(s), not 2"]),
        ("Msat = \"a\"\nAex = vector(1, 2, 3)\n", vec!["s.mx3:1:8", "s.mx3:2:7", "a string", "a vector"]),
        ("m = 3\n", vec!["`m` takes a configuration"]),
        ("circle(1e-9).substract(circle(1e-9))\n", vec!["a shape has no method `substract`", ".sub"]),
        ("x := 1\nx := 2\n", vec!["defined already"]),
        ("if m { }\n", vec!["condition"]),
        ("print(m + 1)\n", vec!["quantities combine by add"]),
        ("t := 1\n", vec!["belongs to the language"]),
        ("source(\"nothing.mx3\")\n", vec!["cannot be read"]),
        ("x := 1\nif x > 0 {\n  source(\"bad.txt\")\n}\n", vec!["bad.txt:2:6", "`msta` is not known", "y := msta"]),
        ("source(\"s.mx3\")\n", vec!["at most 16 deep"]),
        ("x := source(\"bad.txt\")\n", vec!["s.mx3:1:6", "`source` is not known"]),
        ("print(\"a)\n", vec!["s.mx3:1:7", "never ends"]),
        ("/* x\n", vec!["s.mx3:1:1", "never ends"]),
        ("for i := 0; i < 3; i++ {\n", vec!["s.mx3:2:1", "expected `}`", "end of the file"]),
        ("x := 3 3\ny := *2\n", vec!["s.mx3:1:8", "s.mx3:2:6", "pointers"]),
        ("m.average()[\"a\"]\n", vec!["an index is an integer"]),
        ("s := \"a\" == \"b\"\n", vec!["texts cannot be compared"]),
        ("v := -vector(1, 2, 3)\n", vec![".mul(-1)"]),
        ("c := circle(1) + circle(2)\n", vec![".add(s)"]),
        ("Aex.setregion(1)\n", vec!["takes 2 argument(s), not 1"]),
        ("pi = 3\n", vec!["`pi` cannot be assigned to"]),
        ("run = 3\nrun()\n", vec!["s.mx3:1:1", "s.mx3:2:1", "takes 1 argument(s), not 0"]),
    ] {
        let dir = told(text, ("bad.txt", "// of another file\ny := msta\n"), &words);
        assert!(!dir.path().join("s.out").exists(), "{text}: nothing may run");
    }
}

#[test]
fn what_goes_wrong_on_the_way_is_told_with_its_place() {
    let mesh = "setgridsize(4, 4, 1)\nsetcellsize(1e-9, 1e-9, 1e-9)\n";
    for (text, words) in [
        ("m = uniform(1, 0, 0)\n".to_string(), vec!["there is no mesh", "setGridSize"]),
        (format!("{mesh}i := 7\ni = 1.5\n"), vec!["s.mx3:4", "not an integer"]),
        ("setgridsize(0, 1, 1)\n".into(), vec!["impossible"]),
        ("setgridsize(100000, 100000, 100)\nsetcellsize(1e-9, 1e-9, 1e-9)\n".into(), vec!["GiB", "s.mx3:2"]),
        (format!("{mesh}setgeom(circle(1e-12))\n"), vec!["no cell lies inside"]),
        (format!("{mesh}m.loadfile(\"nothing.ovf\")\n"), vec!["nothing.ovf"]),
        (format!("{mesh}Msat = 1e6\nDind = 1e-3\nDbulk = 1e-3\nAex = 1e-11\nrun(1e-12)\n"), vec!["Dind and Dbulk together"]),
        (format!("{mesh}Msat = -1\n"), vec!["below 0"]),
        (format!("{mesh}expect(\"two\", 1, 2, 0.5)\n"), vec!["expectation failed", "have 1, want 2"]),
        (format!("{mesh}setsolver(9)\n"), vec!["no solver 9"]),
        (format!("{mesh}Msat = 1\nprint(cropx(m, 2, 9).average())\n"), vec!["beyond the mesh"]),
        (format!("{mesh}Msat = 1\nsave(add(m, cropx(m, 0, 2)))\n"), vec!["cells and"]),
        (format!("{mesh}Msat = 1\nsave(cropx(m, 0, 2).region(1))\n"), vec!["then crop"]),
        (format!("{mesh}tablesave()\ntableadd(E_total)\n"), vec!["has been begun"]),
        (format!("{mesh}m.setcell(9, 0, 0, vector(1, 0, 0))\n"), vec!["no cell (9, 0, 0)"]),
        (format!("{mesh}i := 1\ni = i / 0\n"), vec!["s.mx3:4:1", "not an integer"]),
        (format!("{mesh}print(m.average()[3])\n"), vec!["no element 3", "from 0 to 2"]),
        (format!("{mesh}Msat = 1\nsave(cross(alpha, m))\n"), vec!["s.mx3:4:1", "a vector product takes two vectors"]),
        (format!("{mesh}Msat = 1\nprint(runningaverage(add(m, alpha)).average())\n"), vec!["as many on both sides"]),
        (format!("{mesh}addFieldTerm(alpha)\n"), vec!["a field term is a vector"]),
        (format!("{mesh}addEdensTerm(mul(const(2), Edens_total))\n"), vec!["the energy that it would be added to"]),
        (format!("{mesh}addEdensTerm(m)\n"), vec!["an energy density is a number"]),
        (
            format!("{mesh}addFieldTerm(crop(m, 0, 4, 0, 4, 0, 1))\nMsat = 1\nsetgridsize(8, 8, 1)\nsteps(1)\n"),
            vec!["does not go over the whole mesh"],
        ),
        (format!("{mesh}newVectorMask(1000000, 1000000, 1000)\n"), vec!["GiB"]),
        (format!("{mesh}newScalarMask(9223372036854775807, 2, 2)\n"), vec!["GiB"]),
        (format!("{mesh}newSlice(0, 1, 1, 1)\n"), vec!["at least one component"]),
        (format!("{mesh}Msat = 1\nDemagAccuracy = 1e9\nprint(E_demag)\n"), vec!["s.mx3:5", "at most 100"]),
        (format!("{mesh}EdgeSmooth = 1000000\nsetgeom(circle(3e-9))\n"), vec!["at most 100"]),
        (format!("{mesh}Msat = 1\nMaxErr = 0\nsteps(1)\n"), vec!["lets no step be taken"]),
        (format!("{mesh}Msat = 1\nMinDt = -1\nsteps(1)\n"), vec!["below zero"]),
        (format!("{mesh}GammaLL = 0/0\n"), vec!["GammaLL would not be a number"]),
        (format!("{mesh}B_ext = vector(0, 0/0, 0)\n"), vec!["B_ext would not be a number"]),
        (format!("{mesh}m = uniform(0/0, 1, 0)\n"), vec!["no vector of numbers"]),
        (format!("{mesh}m.setcell(0, 0, 0, vector(1/0, 0, 0))\n"), vec!["no vector of numbers"]),
        (format!("{mesh}OutputFormat = FIXEDLAYER_TOP\n"), vec!["no output format", "OVF2_BINARY"]),
        (format!("{mesh}m.loadfile(\"junk.ovf\")\n"), vec!["junk.ovf"]),
        (format!("{mesh}setgeom(imageshape(\"junk.ovf\"))\n"), vec!["junk.ovf"]),
        (format!("{mesh}f := functionFromDatafile(\"junk.ovf\", 0, 1, \"linear\")\n"), vec!["junk.ovf"]),
        (format!("{mesh}defregion(300, universe())\n"), vec!["no region 300", "0 to 255"]),
        (
            format!("{mesh}Msat = 1e6\nAex = 1e300\nm = randommag()\nalpha = 1\nfixdt = 1\nrun(2)\n"),
            vec!["the term `exchange` in cell (0, 0, 0) is not a number at t = 0"],
        ),
        (
            format!(
                "{mesh}Msat = 1e6\nalpha = 1\nm = uniform(1, 0, 0)\nfixdt = 1e-13\nB_ext = vector(0, sqrt(1e-12 - t), 0)\nrun(2e-12)\n"
            ),
            vec!["the term `zeeman` in cell (0, 0, 0) is not a number at t = 1."],
        ),
    ] {
        let dir = told(&text, ("junk.ovf", "\u{1}\u{2}\n# OOMMF OVF 9.0\n# xnodes: many\n"), &words);
        // The log says so too, and what was written before stays.
        assert!(std::fs::read_to_string(dir.path().join("s.out/log.txt")).unwrap().contains("ERROR"), "{text}");
    }
}

#[test]
fn scripts_run_on_graphics_devices_too() {
    let Ok(device) = DeviceChoice::parse("vulkan", "f32") else { return };
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("s.mx3");
    let text = "setGridSize(32, 16, 1)\nsetCellSize(4e-9, 4e-9, 3e-9)\nMsat = 8e5\nAex = 13e-12\nalpha = 0.02\nm = uniform(1, .1, 0)\nsetgeom(ellipse(128e-9, 64e-9))\nB_ext = vector(-0.02, 0.01, 0)\nrun(20e-12)\nprint(m.average())\nshift(1)\nrun(1e-12)\nsaveas(m, \"end\")\n";
    std::fs::write(&file, text).unwrap();
    let end = |device, name: &str| {
        let out = dir.path().join(name);
        mx3::run(&file, &Options { device, out: Some(out.clone()), ..Options::default() })
            .map(|_| spinloom_record::Ovf::read_file(&out.join("end.ovf")).unwrap().data)
    };
    let cpu = end(DeviceChoice::CpuSingle, "cpu").unwrap();
    match end(device, "gpu") {
        Ok(gpu) => {
            let off = cpu.iter().zip(&gpu).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            // Steps are chosen by errors that differ in the last digit.
            assert!(off < 2e-4, "{off:e}");
        }
        Err(e) => eprintln!("SKIPPED: {e}"),
    }
}

#[test]
fn what_cannot_go_on_is_said_but_ends_nothing() {
    let mesh = "setgridsize(4, 4, 1)\nsetcellsize(1e-9, 1e-9, 1e-9)\n";
    for (text, words) in [
        ("relax()\nexpect(\"done\", 1, 1, 0)\n", "Msat is zero everywhere"),
        ("Msat = 8e5\nAex = 1e-11\nRelaxTorqueThreshold = 1e-30\nrelax()\nexpect(\"done\", 1, 1, 0)\n", "falls no further"),
    ] {
        let (dir, result) = run(&format!("{mesh}{text}"));
        assert_eq!(result, Ok(1));
        let log = std::fs::read_to_string(dir.path().join("s.out/log.txt")).unwrap();
        assert!(log.contains(words), "{log}");
    }
}

/// Every function of the language, and every variable, with what is at the edge of sense: it may refuse, and must come back.
#[test]
fn no_name_falls_over_what_it_is_given() {
    use mx3::library::Kind;
    use mx3::value::Type;
    let choices = |letter: char| -> &'static [&'static str] {
        match letter {
            'f' | 'F' => &["0", "-1", "0/0", "inf", "1e300", "1e-9", "2.5"],
            'i' => &["0", "-1", "3", "9223372036854775807", "256", "-9223372036854775807"],
            's' => &["\"\"", "\"x.ovf\"", "\"no/such/folder/x\"", "\"%d%s%\"", "\"linear\""],
            'v' | 'V' => &["vector(0, 0, 0)", "vector(0/0, 1, inf)", "m.average()", "vector(1e300, 1, 0)"],
            'S' => &["universe().inverse()", "layers(-3, 99)", "circle(0).scale(0, 0, 0)", "cell(-1, 99, 0).repeat(-1e-9, 0, inf)"],
            'C' => &["uniform(0, 0, 0)", "uniform(0/0, 1, 0)", "vortex(0, inf).scale(0, 1, 1)", "randommag().add(-1, randommag())"],
            'q' => &["m", "E_total", "geom", "B_ext.region(255)", "cropx(m.comp(2), 0, 9)", "dot(m, alpha)", "const(0/0)", "ext_corepos"],
            'd' => &["m.hostcopy()", "newSlice(2, 1, 1, 1)", "newScalarMask(9, 1, 3)"],
            'B' => &["false", "step < -1"],
            'T' => &["DUMP", "FIXEDLAYER_TOP", "OVF1_TEXT"],
            'D' => &["now()"],
            'b' => &["true", "false"],
            _ => &["1", "\"a\"", "m", "E_total", "vector(1, 2, 3)", "true"],
        }
    };
    let head = "setgridsize(4, 2, 2)\nsetcellsize(2e-9, 2e-9, 2e-9)\nMsat = 1e6\nAex = 1e-11\nalpha = 1\n";
    let mut texts = Vec::new();
    for entry in mx3::library::all() {
        match entry.kind {
            Kind::Function(letters, ..) if !["Run", "Steps", "Exit"].contains(&entry.name) => {
                let letters: Vec<char> = letters.replace('*', "x").chars().collect();
                texts.extend((0..6).map(|v| {
                    let arguments: Vec<&str> =
                        letters.iter().enumerate().map(|(i, l)| choices(*l)[(v * (i + 1) + i) % choices(*l).len()]).collect();
                    format!("{}({})", entry.name, arguments.join(", "))
                }));
            }
            Kind::Variable(of, ..) => {
                let letter = match of {
                    Type::Int => 'i',
                    Type::Bool => 'b',
                    Type::Str => 's',
                    Type::Vector => 'v',
                    Type::Token => 'T',
                    _ => 'f',
                };
                texts.extend(choices(letter).iter().map(|v| format!("{} = {v}", entry.name)));
            }
            Kind::Parameter(p) | Kind::Excitation(p) => {
                let letter = if p.info().components == 3 { 'v' } else { 'f' };
                texts.extend(choices(letter).iter().map(|v| format!("{} = {v}", entry.name)));
            }
            _ => texts.push(format!("save({0})\nsave({0}.comp(0))", entry.name)),
        }
    }
    for text in texts {
        // Whatever is set, a step that follows must end too.
        let whole = format!("{head}{text}\nfixdt = 1e-15\nsteps(1)\ntablesave()\nprint(E_total, MFM.average())\n");
        let ran = std::panic::catch_unwind(|| run(&whole).1);
        assert!(ran.is_ok(), "{text}");
    }
}

/// Everything that a checkpoint must hold: control flow by what was read, live expressions that draw random numbers, a window, a running average, terms of
/// the user's, data, temperature, lines of the script's own in a file that was there before, `relax` and `minimize`.
const CUT: &str = r#"
setGridSize(32, 16, 1)
setCellSize(4e-9, 4e-9, 3e-9)
setGeom(rect(128e-9, 56e-9))
defRegion(1, xrange(0, inf))
Msat = 8e5
Aex = 13e-12
alpha = 0.05
Ku1.setRegion(1, 1e4)
anisU = vector(0, 0, 1)
m = twoDomain(1, 0, 0, 0, 1, 0, -1, 0, 0)
randSeed(3)
tableAdd(E_total)
tableAddVar(rand() + step, "r", "")
ext_centerWall(0)
mean := RunningAverage(m)
addFieldTerm(mul(const(0.01), m))
tableAutoSave(2e-12)
autoSave(m, 20e-12)
B_ext = vector(0.005 * sin(2 * pi * 5e9 * t), 0, 0.01)
run(30e-12)
for i := 0; i < 6; i++ {
    steps(5)
    if m.comp(1).average() > rand() - 0.5 {
        B_ext = vector(m.average().x() * 0.02, 0.01 * i, 0)
        m.setInShape(circle(20e-9), uniform(0, 0, 1))
    } else {
        Aex = 12e-12
    }
    tableSave()
    fprintln("own.txt", i, t, E_total, m.getCell(3, 3, 0), regions.getCell(20, 3, 0))
}
save(mean)
d := m.hostcopy()
B_ext.add(d, sin(2 * pi * 3e9 * t))
runWhile(t < 60e-12)
B_ext.removeExtraTerms()
minimize()
snapshot(m)
removeCustomFields()
setSolver(2)
fixdt = 2e-14
Temp = 300
ThermSeed(7)
run(2e-12)
saveAs(m, "warm")
Temp = 0
alpha = 1
relax()
print(E_total, t, step, rand(), ext_dwspeed)
save(m)
"#;

/// The bytes of every file of a folder.
fn contents(folder: &std::path::Path) -> Vec<(String, Vec<u8>)> {
    let mut list: Vec<(String, Vec<u8>)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap())
        .filter(|e| e.file_name() != "stopped.ovf")
        .map(|e| (e.file_name().to_string_lossy().into_owned(), std::fs::read(e.path()).unwrap()))
        .collect();
    list.sort();
    list
}

#[test]
fn a_script_stopped_anywhere_goes_on_to_the_same_bits() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("s.mx3");
    std::fs::write(&file, CUT).unwrap();
    let begin = |name: &str| {
        let out = dir.path().join(name);
        std::fs::create_dir(&out).unwrap();
        std::fs::write(out.join("own.txt"), "from before\n").unwrap();
        out
    };
    let out = begin("whole");
    let clock = std::time::Instant::now();
    let options = Options { out: Some(out.clone()), ..Options::default() };
    let whole = mx3::run(&file, &options).unwrap();
    let time = clock.elapsed();
    let want = contents(&out);
    let mut random = spinloom_base::random::Stream::new(std::process::id().into(), 0);
    let mut stops = 0;
    for round in 0..4 {
        let out = begin(&format!("cut{round}"));
        loop {
            let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
            let options = Options {
                out: Some(out.clone()),
                resume: true,
                commit_every: std::time::Duration::ZERO,
                stop: stop.clone(),
                ..Options::default()
            };
            let wait = time.mul_f64(0.4 * random.uniform());
            let timer = std::thread::spawn(move || {
                std::thread::sleep(wait);
                stop.store(true, std::sync::atomic::Ordering::Relaxed);
            });
            let outcome = mx3::run(&file, &options).unwrap();
            timer.join().unwrap();
            if outcome.finished {
                assert_eq!(outcome.expectations, whole.expectations);
                break;
            }
            stops += 1;
        }
        // Finished is finished.
        assert!(mx3::run(&file, &Options { out: Some(out.clone()), resume: true, ..Options::default() }).unwrap().before);
        let have = contents(&out);
        let names = |list: &[(String, Vec<u8>)]| list.iter().map(|(n, _)| n.clone()).collect::<Vec<_>>();
        assert_eq!(names(&have), names(&want));
        for ((name, a), (_, b)) in have.iter().zip(&want) {
            assert!(a == b, "{name} differs:\n{}\n---\n{}", String::from_utf8_lossy(a), String::from_utf8_lossy(b));
        }
    }
    println!("{stops} stops in 4 runs of {time:.2?}, each ended with the same bits");
    assert!(stops >= 4);
}

/// As `settling_goes_on_where_it_was_stopped`, for scripts.
#[test]
fn a_script_goes_on_in_the_middle_of_relax_and_minimize() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("s.mx3");
    let text = "setGridSize(16, 8, 1)\nsetCellSize(4e-9, 4e-9, 3e-9)\nMsat = 8e5\nAex = 13e-12\nalpha = 0.1\nB_ext = vector(0.02 * cos(t * 1e10), 0, 0)\n\
        m = uniform(1, 0.2, 0.1)\ntableAdd(NEval)\nminimize()\ntableSave()\nm = vortex(1, 1)\nrelax()\ntableSave()\nsave(m)\nRelaxTorqueThreshold = 1e-3\nB_ext = \
        vector(0, 0.05, 0)\nrelax()\nsave(m)\nprint(t, step)\nrun(1e-12)\nsave(m)\n";
    std::fs::write(&file, text).unwrap();
    let whole = dir.path().join("whole");
    mx3::run(&file, &Options { out: Some(whole.clone()), ..Options::default() }).unwrap();
    let part = dir.path().join("part");
    let mut settling = 0;
    for parts in 1.. {
        let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(parts <= 60));
        if mx3::run(&file, &Options { out: Some(part.clone()), resume: true, stop, ..Options::default() }).unwrap().finished {
            assert!(parts > 60);
            break;
        }
        let kept = mx3::resume::Kept::read(&part.join(mx3::resume::FILE)).unwrap().unwrap();
        let Some(counts) = kept.words.get("settling counts") else { continue };
        settling += 1;
        if parts <= 4 {
            // Of the minimisation that comes first, after the six words of the rule: fixed, steps.
            assert_eq!(counts[7], 10 * parts);
        }
    }
    assert!(settling > 30, "stopped {settling} times while it settled");
    let (have, want) = (contents(&part), contents(&whole));
    assert_eq!(have.iter().map(|f| &f.0).collect::<Vec<_>>(), want.iter().map(|f| &f.0).collect::<Vec<_>>());
    for ((name, a), (_, b)) in have.iter().zip(&want) {
        assert!(a == b, "{name} differs:\n{}\n---\n{}", String::from_utf8_lossy(a), String::from_utf8_lossy(b));
    }
}

#[test]
fn a_script_does_not_go_on_as_another() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("s.mx3");
    let text = "setGridSize(8, 4, 1)\nsetCellSize(4e-9, 4e-9, 3e-9)\nMsat = 8e5\nAex = 13e-12\nm = uniform(1, 1, 0)\nrun(1e-12)\n";
    std::fs::write(&file, text).unwrap();
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let stopped = mx3::run(&file, &Options { stop, ..Options::default() }).unwrap();
    assert!(!stopped.finished);
    std::fs::write(&file, text.replace("13e-12", "12e-12")).unwrap();
    let resume = || Options { resume: true, ..Options::default() };
    assert!(mx3::run(&file, &resume()).unwrap_err().to_string().contains("another script"));
    std::fs::write(&file, text).unwrap();
    std::fs::write(dir.path().join("s.out/checkpoint"), "nonsense").unwrap();
    assert!(mx3::run(&file, &resume()).unwrap_err().to_string().contains("no checkpoint, or damaged"));
}
