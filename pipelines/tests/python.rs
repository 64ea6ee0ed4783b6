//! The Python package, from its wheel, in an environment of its own.

mod common;

use common::{EXPERIMENT, folder, skipped};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds the wheel and installs it; none, said aloud, where that cannot be.
fn installed(dir: &Path) -> Option<PathBuf> {
    let skip = |why: String| skipped(format!("{why}: the Python package is not tried"));
    let python = std::env::var("SPINLOOM_PYTHON").unwrap_or_else(|_| "python3".into());
    let house = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let python = if Path::new(&python).exists() {
        std::fs::canonicalize(Path::new(&python).parent().unwrap()).unwrap().join(Path::new(&python).file_name().unwrap())
    } else {
        python.into()
    };
    if !Command::new(&python).args(["-c", "import numpy"]).output().is_ok_and(|o| o.status.success()) {
        return skip(format!("{} has no numpy", python.display()));
    }
    let maturin = Command::new(&python).args(["-m", "maturin", "--version"]).output();
    if !maturin.is_ok_and(|o| o.status.success()) {
        return skip(format!("{} has no maturin", python.display()));
    }
    let build = Command::new(&python)
        .args(["-m", "maturin", "build", "--release", "--quiet", "--offline", "--auditwheel", "skip", "--interpreter"])
        .arg(&python)
        .arg("--out")
        .arg(dir.join("wheels"))
        .arg("--manifest-path")
        .arg(house.join("pipelines/python/Cargo.toml"))
        .current_dir(&house)
        .output()
        .unwrap();
    if !build.status.success() && String::from_utf8_lossy(&build.stderr).contains("unexpected argument") {
        return skip("this maturin is too old".into());
    }
    assert!(build.status.success(), "{}", String::from_utf8_lossy(&build.stderr));
    let wheel = std::fs::read_dir(dir.join("wheels")).unwrap().next().unwrap().unwrap().path();
    assert!(wheel.to_string_lossy().contains("abi3"), "{}", wheel.display());
    // Beside what the interpreter has (numpy), not into it.
    let site = dir.join("site");
    let install = Command::new(&python)
        .args(["-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target"])
        .arg(&site)
        .arg(&wheel)
        .output()
        .unwrap();
    if !install.status.success() {
        return skip(format!("pip: {}", String::from_utf8_lossy(&install.stderr)));
    }
    assert!(site.join("spinloom/py.typed").exists() && site.join("spinloom/_spinloom.pyi").exists());
    Some(python)
}

const TOUR: &str = r#"
import os, time
import numpy as np
import spinloom

assert spinloom.__version__
record = spinloom.run("wall.yaml", out="a")
assert record.finished and record.shape == (20, 2, 1) and ("wall_x", "m") in record.columns
x = record.column("wall_x")
assert x.shape == (7,) and x[-1] > x[0] and x.dtype == np.float64
m = record.frame("m", -1)
assert m.shape == (1, 2, 20, 3) and np.allclose(np.linalg.norm(m, axis=-1), 1, atol=1e-6)
# The memory that the reader has filled, not a copy that numpy would own.
def below(a):
    while isinstance(a.base, np.ndarray):
        a = a.base
    return a
for a in [x, m, record.frames("m", [0, 2])]:
    assert not below(a).flags.owndata and type(below(a).base).__name__ == "PySliceContainer", type(below(a).base)
assert record.frames("m", [0, 2]).shape == (2, 1, 2, 20, 3)
assert record.source.startswith("name: a wall") and record.events[0][2] == "start" and not record.diff(record)
try:
    record.column("wal_x")
    raise SystemExit("a column that is not there")
except spinloom.SpinloomError as e:
    assert "did you mean `wall_x`?" in str(e)
try:
    import xarray
    d = record.to_xarray()
    assert d["wall_x"].attrs["units"] == "m" and d["m"].dims == ("frame", "z", "y", "x", "component") and d["m"].shape == (3, 1, 2, 20, 3)
    assert abs(float(d["x"][0]) + 38e-9) < 1e-20
except ImportError:
    print("no xarray")
# h5py, if it is there, sees the same numbers.
try:
    import h5py
    with h5py.File("a/run.h5") as f:
        assert (f["table/wall_x"][0] == x).all() and (f["fields/m/data"][-1] == m).all()
except ImportError:
    print("no h5py")

# Live, from a notebook.
run = spinloom.start("long.yaml", out="b")
def until(what):
    end = time.monotonic() + 120
    while not what():
        assert time.monotonic() < end and not run.done, run.said
        time.sleep(0.02)
until(lambda: run.field() is not None and len(run.rows()) >= 3)
run.pause()
time.sleep(0.3)
t, _ = run.field()
time.sleep(0.3)
assert run.field()[0] == t and run.progress[0] == "paused"
for _ in range(5):
    run.step()
time.sleep(0.3)
assert run.field()[0] > t
run.resume()
run.set("J: [1e11 A/m^2, 0, 0]")
until(lambda: any("set J" in s for s in run.said))
f = run.field(every=2)[1]
assert f.dtype == np.int8 and f.shape == (1, 10, 3)
assert run.rows().shape[1] == len(run.columns())
run.stop()
assert run.wait(60) and not spinloom.Record("b").finished
assert spinloom.Record("a").diff(spinloom.run("wall.yaml", out="a", force=True)) == []

folder = spinloom.run_script("s.mx3")
assert os.path.exists(os.path.join(folder, "table.txt"))
try:
    spinloom.vet("bad.yaml")
    raise SystemExit("bad input was taken")
except spinloom.SpinloomError as e:
    assert "bad.yaml:3" in str(e) and "did you mean `Aex`?" in str(e)
print("all is well")
"#;

#[test]
fn the_wheel_runs_experiments_and_reads_what_they_leave() {
    let dir = folder(&[
        ("wall.yaml", EXPERIMENT),
        ("long.yaml", &EXPERIMENT.replace("for: 60 ps", "for: 1 us")),
        ("bad.yaml", &EXPERIMENT.replace("Aex: 15", "Axe: 15")),
        (
            "s.mx3",
            "setGridSize(4, 4, 1)\nsetCellSize(4e-9, 4e-9, 4e-9)\nMsat = 8e5\nAex = 13e-12\nm = uniform(1, 1, 0)\nB_ext = vector(0, 0.1, 0)\ntableAutoSave(1e-12)\nrun(5e-12)\n",
        ),
        ("tour.py", TOUR),
    ]);
    let Some(python) = installed(dir.path()) else { return };
    let o = Command::new(&python).arg("tour.py").current_dir(dir.path()).env("PYTHONPATH", dir.path().join("site")).output().unwrap();
    let said = String::from_utf8_lossy(&o.stdout).into_owned() + &String::from_utf8_lossy(&o.stderr);
    assert!(o.status.success() && said.contains("all is well"), "{said}");
}
