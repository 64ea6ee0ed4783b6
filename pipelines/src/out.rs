//! What a command prints: lines for people, or with `--json` one object at the end with what was done, the lines, the exit code and all that is wrong.

use serde_json::{Map, Value, json};
use spinloom_base::{Problems, diagnostics::Severity};
use std::sync::{Mutex, MutexGuard, OnceLock};

#[derive(Default)]
struct Told {
    entries: Map<String, Value>,
    lines: Vec<Value>,
    /// The command has printed an object of its own.
    own: bool,
}

static TOLD: OnceLock<Mutex<Told>> = OnceLock::new();

fn told() -> Option<MutexGuard<'static, Told>> {
    TOLD.get().map(|t| t.lock().unwrap_or_else(|e| e.into_inner()))
}

/// From now on everything goes into one object.
pub fn collect() {
    TOLD.get_or_init(Mutex::default);
}

/// Whether it does.
pub fn is_json() -> bool {
    TOLD.get().is_some()
}

/// Prints an object of the command's own, instead of the one that tells what is noted and said: the one thing on the standard output, whatever follows.
pub fn object(value: &Value) {
    own();
    println!("{value}");
}

/// The command prints something of its own that is no object.
pub fn own() {
    told().iter_mut().for_each(|t| t.own = true);
}

/// An entry of the object; of the same name twice, a list.
pub fn note(key: &str, value: Value) {
    if let Some(mut t) = told() {
        match t.entries.get_mut(key) {
            Some(Value::Array(list)) => list.push(value),
            Some(_) => {}
            None => drop(t.entries.insert(key.into(), if value.is_object() { json!([value]) } else { value })),
        }
    }
}

/// A line for people.
pub fn line(text: String) {
    match told() {
        Some(mut t) => t.lines.push(text.into()),
        None => println!("{text}"),
    }
}

macro_rules! say {
    ($($t:tt)*) => { $crate::out::line(format!($($t)*)) };
}
pub(crate) use say;

/// The object, unless the command has printed its own. What goes wrong after that stands on the standard error, and in the exit code.
pub fn end(code: u8, problems: &Problems) {
    let Some(mut t) = told() else { return };
    if t.own {
        return;
    }
    let mut object = std::mem::take(&mut t.entries);
    let list = problems.iter().map(|d| {
        let place = d.place.as_ref().map(|p| json!({"file": p.file, "line": p.line, "column": p.column}));
        json!({"place": place, "severity": if d.severity == Severity::Error { "error" } else { "warning" }, "message": d.message, "hint": d.hint})
    });
    object.insert("problems".into(), list.collect());
    object.insert("lines".into(), Value::Array(std::mem::take(&mut t.lines)));
    object.insert("code".into(), code.into());
    println!("{}", Value::Object(object));
}
