//! The Python package's other half: what `pipelines/python/spinloom` builds on. Arrays take over the memory that the reader has filled.

use numpy::{PyArray1, PyArray2, PyArrayMethods};
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use spinloom_base::{Document, Problems};
use spinloom_solver::live::{Live, View, Window, Wish};
use spinloom_solver::{DeviceChoice, Experiment, RunOptions, mx3};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

pyo3::create_exception!(_spinloom, SpinloomError, PyException, "What is wrong, with its places.");

fn told(problems: Problems) -> PyErr {
    SpinloomError::new_err(problems.to_string())
}

fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(|e| e.into_inner())
}

/// A record.
#[pyclass(subclass, module = "spinloom._spinloom")]
struct Record {
    inner: Mutex<spinloom_record::Record>,
}

#[pymethods]
impl Record {
    #[new]
    fn new(path: PathBuf) -> PyResult<Self> {
        Ok(Self { inner: Mutex::new(spinloom_record::Record::open(&path).map_err(told)?) })
    }

    #[getter]
    fn path(&self) -> String {
        held(&self.inner).path().display().to_string()
    }

    #[getter]
    fn finished(&self) -> bool {
        held(&self.inner).is_finished()
    }

    #[getter]
    fn device(&self) -> String {
        held(&self.inner).header().device.clone()
    }

    /// The text that it was made from.
    #[getter]
    fn source(&self) -> String {
        held(&self.inner).header().source.text.clone()
    }

    /// Cells along x, y, z.
    #[getter]
    fn shape(&self) -> (usize, usize, usize) {
        let [x, y, z] = held(&self.inner).header().mesh.n;
        (x, y, z)
    }

    /// Their size (m).
    #[getter]
    fn cell(&self) -> (f64, f64, f64) {
        let [x, y, z] = held(&self.inner).header().mesh.cell;
        (x, y, z)
    }

    /// The lower corner of the box (m).
    #[getter]
    fn origin(&self) -> (f64, f64, f64) {
        let [x, y, z] = held(&self.inner).header().mesh.origin;
        (x, y, z)
    }

    /// Name and unit of each column.
    #[getter]
    fn columns(&self) -> Vec<(String, String)> {
        held(&self.inner).header().columns.iter().map(|c| (c.name.clone(), c.unit.clone())).collect()
    }

    /// Name, value and unit of each parameter.
    #[getter]
    fn parameters(&self) -> Vec<(String, String, String)> {
        held(&self.inner).header().parameters.iter().map(|p| (p.name.clone(), p.value.clone(), p.unit.clone())).collect()
    }

    /// Label and coordinates of each replica.
    #[getter]
    fn replicas(&self) -> Vec<(String, Vec<(String, f64)>)> {
        let one = |r: &spinloom_record::Replica| (r.label.clone(), r.coordinates.iter().map(|c| (c.name.clone(), c.value)).collect());
        held(&self.inner).header().replicas.iter().map(one).collect()
    }

    /// Name, unit and components of each field, with time (s) and replica of each frame.
    #[getter]
    fn fields(&self) -> PyResult<Vec<(String, String, usize, Vec<(f64, usize)>)>> {
        Ok(held(&self.inner).fields().map_err(told)?.into_iter().map(|f| (f.name, f.unit, f.components, f.frames)).collect())
    }

    /// Replica, time (s), kind, value and detail of each event.
    #[getter]
    fn events(&self) -> PyResult<Vec<(usize, f64, String, f64, String)>> {
        let list = held(&self.inner).events().map_err(told)?;
        Ok(list.into_iter().map(|e| (e.replica, e.t, e.kind, e.value, e.detail)).collect())
    }

    /// One column, a value a row.
    #[pyo3(signature = (name, replica = 0))]
    fn column<'py>(&self, py: Python<'py>, name: &str, replica: usize) -> PyResult<Bound<'py, PyArray1<f64>>> {
        Ok(PyArray1::from_vec(py, held(&self.inner).column(name, replica).map_err(told)?))
    }

    /// One frame, of the shape (nz, ny, nx, components); −1 is the last.
    #[pyo3(signature = (name = "m", index = -1))]
    fn frame<'py>(&self, py: Python<'py>, name: &str, index: isize) -> PyResult<Bound<'py, PyAny>> {
        let record = held(&self.inner);
        let count = record.fields().map_err(told)?.iter().find(|f| f.name == name).map_or(0, |f| f.frames.len());
        let index = if index < 0 { count.checked_add_signed(index).unwrap_or(usize::MAX) } else { index as usize };
        let frame = record.frame(name, index).map_err(told)?;
        let [nx, ny, nz] = record.header().mesh.n;
        Ok(PyArray1::from_vec(py, frame.data).reshape([nz, ny, nx, frame.components])?.into_any())
    }

    /// Several frames of one field in one array, of the shape (frames, nz, ny, nx, components).
    fn frames<'py>(&self, py: Python<'py>, name: &str, indices: Vec<usize>) -> PyResult<Bound<'py, PyAny>> {
        let record = held(&self.inner);
        let (mut all, mut components) = (Vec::new(), 1);
        for index in &indices {
            let frame = record.frame(name, *index).map_err(told)?;
            components = frame.components;
            all.extend(frame.data);
        }
        let [nx, ny, nz] = record.header().mesh.n;
        Ok(PyArray1::from_vec(py, all).reshape([indices.len(), nz, ny, nx, components])?.into_any())
    }

    /// In words, what differs from another record, wall clocks and host aside.
    fn diff(&self, other: &Record) -> PyResult<Vec<String>> {
        if std::ptr::eq(self, other) {
            return Ok(Vec::new());
        }
        let list = spinloom_record::diff(&held(&self.inner), &held(&other.inner)).map_err(told)?;
        Ok(list.iter().map(|d| d.to_string()).collect())
    }
}

/// How a run has ended: whether it has come to its end, or why not.
type Ending = Option<Result<bool, String>>;

/// A run that goes on beside Python.
#[pyclass(module = "spinloom._spinloom")]
struct Running {
    folder: PathBuf,
    live: Arc<Live>,
    stop: Arc<AtomicBool>,
    ending: Arc<(Mutex<Ending>, Condvar)>,
}

impl Running {
    fn begin(folder: PathBuf, work: impl FnOnce(Arc<Live>, Arc<AtomicBool>) -> Result<bool, String> + Send + 'static) -> Self {
        let (live, stop): (Arc<Live>, Arc<AtomicBool>) = Default::default();
        let ending: Arc<(Mutex<Ending>, Condvar)> = Arc::default();
        let (l, s, e) = (live.clone(), stop.clone(), ending.clone());
        std::thread::spawn(move || {
            // Who waits must hear of a panic too.
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(l.clone(), s)))
                .unwrap_or_else(|p| Err(format!("an error of the program ended the run: {}", panicked(&*p))));
            l.end(match &result {
                Ok(true) => "finished".to_string(),
                Ok(false) => "stopped".to_string(),
                Err(e) => e.clone(),
            });
            *held(&e.0) = Some(result);
            e.1.notify_all();
        });
        Self { folder, live, stop, ending }
    }
}

#[pymethods]
impl Running {
    /// Where its results are.
    #[getter]
    fn folder(&self) -> String {
        self.folder.display().to_string()
    }

    /// Whether it is over.
    #[getter]
    fn done(&self) -> bool {
        held(&self.ending.0).is_some()
    }

    /// What it is doing, and which part is done, from 0 to 1.
    #[getter]
    fn progress(&self) -> (String, f64) {
        let (p, paused, finished) = self.live.standing();
        let words = if finished {
            "finished"
        } else if paused {
            "paused"
        } else {
            p.as_ref().map_or("starting", |p| p.stage)
        };
        let part = p.filter(|p| p.longest > 0.0).map_or(0.0, |p| p.simulated / p.longest);
        (words.to_string(), if finished { 1.0 } else { part })
    }

    /// What there was to say.
    #[getter]
    fn said(&self) -> Vec<String> {
        self.live.said(0)
    }

    /// Holds it.
    fn pause(&self) {
        self.live.pause(true);
    }

    /// Lets it go on.
    fn resume(&self) {
        self.live.pause(false);
    }

    /// Takes one step and holds it.
    fn step(&self) {
        self.live.step();
    }

    /// Writes m into its folder.
    fn save(&self) {
        self.live.ask(Wish::Save);
    }

    /// Sets parameters from its next row on, as a phase would: `B_ext: [0, 0, 10 mT]`.
    fn set(&self, text: String) {
        self.live.ask(Wish::Set(text));
    }

    /// Ends it where it can be resumed.
    fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Waits until it is over, or so many seconds; whether it is.
    #[pyo3(signature = (seconds = None))]
    fn wait(&self, py: Python<'_>, seconds: Option<f64>) -> PyResult<bool> {
        let mut left = seconds.map(|s| Duration::try_from_secs_f64(s).unwrap_or_default());
        loop {
            let slice = Duration::from_millis(100).min(left.unwrap_or(Duration::MAX));
            let over = py.detach(|| {
                let ending = held(&self.ending.0);
                let (ending, _) = self.ending.1.wait_timeout_while(ending, slice, |e| e.is_none()).unwrap_or_else(|e| e.into_inner());
                ending.clone()
            });
            match over {
                Some(Err(e)) => return Err(SpinloomError::new_err(e)),
                Some(Ok(_)) => return Ok(true),
                None => py.check_signals()?,
            }
            if let Some(l) = &mut left {
                *l = l.saturating_sub(slice);
                if l.is_zero() {
                    return Ok(false);
                }
            }
        }
    }

    /// Time (s) and m of one layer, every so many cells, as 127ths of the shape (ny, nx, 3); none before it has begun.
    #[pyo3(signature = (layer = 0, every = 1, replica = 0))]
    fn field<'py>(&self, py: Python<'py>, layer: usize, every: usize, replica: usize) -> PyResult<Option<(f64, Bound<'py, PyAny>)>> {
        let view = View { replica, window: Window { layer, from: [0, 0], size: [usize::MAX; 2], every } };
        let Some(seen) = py.detach(|| self.live.see(view, 0)) else { return Ok(None) };
        let [w, h] = seen.view.window.points();
        let m = PyArray1::from_vec(py, seen.m.iter().map(|b| *b as i8).collect()).reshape([h, w, 3])?;
        Ok(Some((seen.t, m.into_any())))
    }

    /// Rows of its table so far, of long runs every so many.
    #[pyo3(signature = (replica = 0))]
    fn rows<'py>(&self, py: Python<'py>, replica: usize) -> PyResult<Bound<'py, PyArray2<f64>>> {
        Ok(PyArray2::from_vec2(py, &self.live.rows(replica, 0).0)?)
    }

    /// Name and unit of its columns.
    fn columns(&self) -> Vec<(String, String)> {
        self.live.about().columns
    }
}

/// The words of a panic.
fn panicked(p: &(dyn std::any::Any + Send)) -> &str {
    p.downcast_ref::<String>().map(String::as_str).or_else(|| p.downcast_ref::<&str>().copied()).unwrap_or("without words")
}

fn beside(file: &Path, out: Option<PathBuf>) -> PathBuf {
    out.unwrap_or_else(|| Path::new("out").join(file.file_stem().unwrap_or_default()))
}

/// Begins an experiment.
#[pyfunction]
#[pyo3(signature = (file, out = None, *, resume = false, force = false))]
fn start(file: PathBuf, out: Option<PathBuf>, resume: bool, force: bool) -> PyResult<Running> {
    let experiment = Experiment::read(&Document::read(&file).map_err(told)?).map_err(told)?;
    let out = beside(&file, out);
    let folder = out.clone();
    Ok(Running::begin(folder, move |live, stop| {
        let resume = resume && out.join("run.h5").exists();
        let options = RunOptions { resume, overwrite: force, stop, live: Some(live), ..RunOptions::default() };
        spinloom_solver::run(&experiment, &out, &options, &mut |_| {}).map(|o| o.finished).map_err(|e| e.to_string())
    }))
}

/// Begins a mumax3 script.
#[pyfunction]
#[pyo3(signature = (file, out = None, *, resume = false, clean = false))]
fn start_script(file: PathBuf, out: Option<PathBuf>, resume: bool, clean: bool) -> PyResult<Running> {
    mx3::vet(&file).map_err(told)?;
    let folder = out.unwrap_or_else(|| file.with_extension("out"));
    let out = Some(folder.clone());
    let device = DeviceChoice::parse("cpu", "f32").map_err(told)?;
    Ok(Running::begin(folder, move |live, stop| {
        let options = mx3::Options { device, out, resume, clean, stop, live: Some(live), ..mx3::Options::default() };
        mx3::run(&file, &options).map(|o| o.finished).map_err(|e| e.to_string())
    }))
}

/// Checks an experiment or a script; what is wrong is raised.
#[pyfunction]
fn vet(file: PathBuf) -> PyResult<()> {
    if file.extension().is_some_and(|e| e.eq_ignore_ascii_case("mx3")) {
        return mx3::vet(&file).map(drop).map_err(told);
    }
    Experiment::read(&Document::read(&file).map_err(told)?).map(drop).map_err(told)
}

/// A model card as a dictionary.
#[pyfunction]
fn card<'py>(py: Python<'py>, path: PathBuf) -> PyResult<Bound<'py, PyAny>> {
    let card = spinloom_card::Card::read(&path).map_err(told)?;
    let text = serde_json::to_string(&card).map_err(|e| SpinloomError::new_err(e.to_string()))?;
    py.import("json")?.call_method1("loads", (text,))
}

#[pymodule]
fn _spinloom(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add("__version__", env!("CARGO_PKG_VERSION"))?;
    m.add("SpinloomError", m.py().get_type::<SpinloomError>())?;
    m.add_class::<Record>()?;
    m.add_class::<Running>()?;
    m.add_function(wrap_pyfunction!(start, m)?)?;
    m.add_function(wrap_pyfunction!(start_script, m)?)?;
    m.add_function(wrap_pyfunction!(vet, m)?)?;
    m.add_function(wrap_pyfunction!(card, m)?)
}
