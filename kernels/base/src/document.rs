//! YAML documents that remember where each value stood, and the checks that turn them into values.
//!
//! A document is read once into [`Node`]s; then every stage takes its part through [`Fields`], which collects *all*
//! problems (unknown key with the nearest known one, wrong unit, missing key) instead of stopping at the first.

use crate::diagnostics::{Diagnostic, Place, Problems, nearest, one_of};
use crate::units::{self, Dimension};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_yaml::Spanned;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// A value with the place where it was written.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where it stands.
    pub place: Place,
    /// What stands there.
    pub value: Value,
}

/// What YAML can say.
#[derive(Clone, Debug)]
pub enum Value {
    /// Nothing, or `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A bare number.
    Number(f64),
    /// Any other scalar.
    Text(String),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the order written, with the place of each key.
    Map(Vec<(String, Place, Node)>),
}

/// A parsed file: its name, its text as it was, its tree.
#[derive(Clone, Debug)]
pub struct Document {
    /// The file as the user named it.
    pub name: String,
    /// The text, byte for byte.
    pub text: Arc<str>,
    /// The tree.
    pub root: Node,
}

struct Raw(Spanned<RawValue>);

enum RawValue {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<Raw>),
    Map(Vec<(Spanned<String>, Raw)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Spanned::<RawValue>::deserialize(d).map(Raw)
    }
}

impl<'de> Deserialize<'de> for RawValue {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = RawValue;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a YAML value")
            }
            fn visit_unit<E>(self) -> Result<RawValue, E> {
                Ok(RawValue::Null)
            }
            fn visit_none<E>(self) -> Result<RawValue, E> {
                Ok(RawValue::Null)
            }
            fn visit_some<D: Deserializer<'de>>(self, d: D) -> Result<RawValue, D::Error> {
                RawValue::deserialize(d)
            }
            fn visit_bool<E>(self, v: bool) -> Result<RawValue, E> {
                Ok(RawValue::Bool(v))
            }
            fn visit_i64<E>(self, v: i64) -> Result<RawValue, E> {
                Ok(RawValue::Number(v as f64))
            }
            fn visit_u64<E>(self, v: u64) -> Result<RawValue, E> {
                Ok(RawValue::Number(v as f64))
            }
            fn visit_f64<E>(self, v: f64) -> Result<RawValue, E> {
                Ok(RawValue::Number(v))
            }
            fn visit_str<E>(self, v: &str) -> Result<RawValue, E> {
                Ok(RawValue::Text(v.to_string()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<RawValue, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = seq.next_element()? {
                    list.push(item);
                }
                Ok(RawValue::List(list))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawValue, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(RawValue::Map(entries))
            }
        }
        d.deserialize_any(Reader)
    }
}

impl Raw {
    fn into_node(self, file: &str) -> Node {
        let place = place(file, &self.0.referenced);
        let value = match self.0.value {
            RawValue::Null => Value::Null,
            RawValue::Bool(b) => Value::Bool(b),
            RawValue::Number(n) => Value::Number(n),
            RawValue::Text(t) => Value::Text(t),
            RawValue::List(list) => Value::List(list.into_iter().map(|n| n.into_node(file)).collect()),
            RawValue::Map(map) => {
                Value::Map(map.into_iter().map(|(k, v)| (k.value, self::place(file, &k.referenced), v.into_node(file))).collect())
            }
        };
        Node { place, value }
    }
}

fn place(file: &str, location: &serde_yaml::Location) -> Place {
    Place { file: file.to_string(), line: location.line() as u32, column: location.column() as u32 }
}

impl Document {
    /// Parses text; `name` is how messages call it.
    ///
    /// # Errors
    /// What is not YAML, with its place.
    pub fn parse(name: &str, text: &str) -> Result<Document, Problems> {
        let options = serde_yaml::options! { strict_booleans: true };
        match serde_yaml::from_str_with_options::<Raw>(text, options) {
            Ok(raw) => Ok(Document { name: name.to_string(), text: text.into(), root: raw.into_node(name) }),
            Err(e) => {
                let at = e.location().map_or(Place { file: name.to_string(), line: 0, column: 0 }, |l| place(name, &l));
                let full = e.without_snippet().to_string();
                let message = full.lines().next().unwrap_or_default().to_string();
                Err(Diagnostic::error(format!("this is not valid YAML: {message}")).at(at).into())
            }
        }
    }

    /// Reads and parses a file.
    ///
    /// # Errors
    /// A missing or unreadable file, or what is not YAML.
    pub fn read(path: &Path) -> Result<Document, Problems> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|e| Problems::from(Diagnostic::file(&name, format!("cannot be read: {e}"))))?;
        Self::parse(&name, &text)
    }
}

impl Node {
    /// An error at this node.
    pub fn error(&self, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(message).at(self.place.clone())
    }

    fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "true or false",
            Value::Number(_) => "a number",
            Value::Text(_) => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }

    fn wanted<T>(&self, what: &str, problems: &mut Problems) -> Option<T> {
        problems.push(self.error(format!("{what} is wanted here, not {}", self.kind())));
        None
    }

    /// The value of `key`, if this is a mapping that has it. Does not mark it as known: for looking ahead.
    pub fn get(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|(k, _, _)| k == key).map(|(_, _, v)| v),
            _ => None,
        }
    }

    /// The tree with every text `$name` (or `-$name`) replaced by the value of that name, the place staying where it was used.
    /// Unknown names are reported with the nearest known one.
    pub fn substitute(&self, values: &[(String, Node)], problems: &mut Problems) -> Node {
        let value = match &self.value {
            Value::Text(text) => {
                let (negative, name) = match text.strip_prefix('-') {
                    Some(rest) => (true, rest.trim_start()),
                    None => (false, text.as_str()),
                };
                let Some(name) = name.strip_prefix('$') else { return self.clone() };
                match (values.iter().find(|(n, _)| n == name).map(|(_, v)| &v.value), negative) {
                    (Some(value), false) => value.clone(),
                    (Some(Value::Number(x)), true) => Value::Number(-x),
                    (Some(Value::Text(t)), true) => Value::Text(t.strip_prefix('-').map_or_else(|| format!("-{t}"), str::to_string)),
                    (Some(_), true) => {
                        problems.push(self.error(format!("`${name}` cannot be negated")));
                        Value::Null
                    }
                    (None, _) => {
                        let known = || values.iter().map(|(n, _)| n.as_str());
                        let hint = match nearest(name, known()) {
                            Some(k) => format!("did you mean `${k}`?"),
                            None if values.is_empty() => "nothing is swept here".into(),
                            None => format!("the sweep has {}", one_of(known())),
                        };
                        problems.push(self.error(format!("`${name}` is not swept")).hint(hint));
                        Value::Null
                    }
                }
            }
            Value::List(list) => Value::List(list.iter().map(|n| n.substitute(values, problems)).collect()),
            Value::Map(map) => Value::Map(map.iter().map(|(k, p, n)| (k.clone(), p.clone(), n.substitute(values, problems))).collect()),
            other => other.clone(),
        };
        Node { place: self.place.clone(), value }
    }

    /// The members of a list, or of a range `{from, to, step}` or `{from, to, count}` whose dimension follows from `from`; or the one scalar. Never empty.
    /// Returns the nodes, their values in SI and the dimension.
    pub fn series(&self, problems: &mut Problems) -> Option<(Vec<Node>, Vec<f64>, Dimension)> {
        let first = match &self.value {
            Value::List(list) => list.first().unwrap_or(self),
            Value::Map(_) => self.get("from").unwrap_or(self),
            _ => self,
        };
        let dimension = match &first.value {
            Value::Text(t) => units::dimension_of(t).unwrap_or(Dimension::NONE),
            _ => Dimension::NONE,
        };
        let values = self.quantities(dimension, problems)?;
        let si = units::si_symbol(dimension);
        let nodes = match &self.value {
            Value::List(list) => list.clone(),
            _ => values
                .iter()
                .map(|v| Node {
                    place: self.place.clone(),
                    value: if dimension == Dimension::NONE { Value::Number(*v) } else { Value::Text(format!("{v:e} {si}")) },
                })
                .collect(),
        };
        Some((nodes, values, dimension))
    }

    /// A quantity of the wanted dimension, in SI.
    pub fn quantity(&self, wanted: Dimension, problems: &mut Problems) -> Option<f64> {
        let text = match &self.value {
            Value::Number(n) if wanted == Dimension::NONE || *n == 0.0 => return Some(*n),
            Value::Number(n) => n.to_string(),
            Value::Text(t) => t.clone(),
            _ => return self.wanted(&wanted.to_string(), problems),
        };
        match units::parse(&text, wanted) {
            Ok(v) => Some(v),
            Err(e) => {
                problems.push(self.error(e.message).hint(e.hint));
                None
            }
        }
    }

    /// A quantity that must be positive.
    pub fn positive(&self, wanted: Dimension, problems: &mut Problems) -> Option<f64> {
        let v = self.quantity(wanted, problems)?;
        if v > 0.0 {
            return Some(v);
        }
        problems.push(self.error(format!("{wanted} greater than zero is wanted here, not {v}")));
        None
    }

    /// Any number of quantities: one, a list, or a range `{from, to, step}` or `{from, to, count}` with both ends included. Never empty.
    pub fn quantities(&self, wanted: Dimension, problems: &mut Problems) -> Option<Vec<f64>> {
        match &self.value {
            Value::List(list) if list.is_empty() => {
                problems.push(self.error("this list is empty, so nothing would run").hint("give at least one value"));
                None
            }
            Value::List(list) => list.iter().map(|n| n.quantity(wanted, problems)).collect(),
            Value::Map(_) => {
                let mut f = Fields::of(self, "a range", problems)?;
                let from = f.required("from", problems).and_then(|n| n.quantity(wanted, problems));
                let to = f.required("to", problems).and_then(|n| n.quantity(wanted, problems));
                let step = f.optional("step").map(|n| (n, n.quantity(wanted, problems)));
                let count = f.optional("count").map(|n| (n, n.count(problems)));
                f.finish(problems);
                let (from, to) = (from?, to?);
                match (step, count) {
                    (Some((n, step)), None) => {
                        let step = step?;
                        let steps = (to - from) / step;
                        if step == 0.0 || steps < -1e-9 || !steps.is_finite() || steps > 1e6 {
                            problems
                                .push(n.error("this step does not lead from `from` to `to`").hint("the range would be empty or endless"));
                            return None;
                        }
                        Some((0..=(steps + 1e-9) as usize).map(|i| from + i as f64 * step).collect())
                    }
                    (None, Some((n, count))) => match count? {
                        0 => {
                            problems.push(n.error("a range of 0 values is empty, so nothing would run"));
                            None
                        }
                        1 => Some(vec![from]),
                        c if c > 1_000_000 => {
                            problems.push(n.error(format!("a range of {c} values: at most 1000000 are sensible")));
                            None
                        }
                        c => Some((0..c).map(|i| from + (to - from) * i as f64 / (c - 1) as f64).collect()),
                    },
                    _ => {
                        problems.push(self.error("a range takes either `step` or `count`"));
                        None
                    }
                }
            }
            _ => Some(vec![self.quantity(wanted, problems)?]),
        }
    }

    /// `N` quantities.
    pub fn vector<const N: usize>(&self, wanted: Dimension, problems: &mut Problems) -> Option<[f64; N]> {
        let list = self.list(problems)?;
        if list.len() != N {
            problems.push(self.error(format!("{N} values are wanted here, not {}", list.len())));
            return None;
        }
        let values: Vec<Option<f64>> = list.iter().map(|n| n.quantity(wanted, problems)).collect();
        let values: Option<Vec<f64>> = values.into_iter().collect();
        values.map(|v| v.try_into().expect("length was checked"))
    }

    /// A whole number, 0 or more.
    pub fn count(&self, problems: &mut Problems) -> Option<usize> {
        match self.value {
            Value::Number(n) if n >= 0.0 && n.fract() == 0.0 && n < 9e15 => Some(n as usize),
            Value::Number(n) => {
                problems.push(self.error(format!("a whole number is wanted here, not {n}")));
                None
            }
            _ => self.wanted("a whole number", problems),
        }
    }

    /// Text.
    pub fn text(&self, problems: &mut Problems) -> Option<&str> {
        match &self.value {
            Value::Text(t) => Some(t),
            _ => self.wanted("text", problems),
        }
    }

    /// `true` or `false`.
    pub fn bool(&self, problems: &mut Problems) -> Option<bool> {
        match self.value {
            Value::Bool(b) => Some(b),
            _ => self.wanted("`true` or `false`", problems),
        }
    }

    /// A list.
    pub fn list(&self, problems: &mut Problems) -> Option<&[Node]> {
        match &self.value {
            Value::List(list) => Some(list),
            _ => self.wanted("a list", problems),
        }
    }

    /// The entries of a mapping, in the order written.
    pub fn entries(&self, problems: &mut Problems) -> Option<&[(String, Place, Node)]> {
        match &self.value {
            Value::Map(entries) => Some(entries),
            _ => self.wanted("a mapping", problems),
        }
    }

    /// One of some known words; returns its position.
    pub fn choice(&self, known: &[&str], problems: &mut Problems) -> Option<usize> {
        let text = self.text(problems)?;
        if let Some(i) = known.iter().position(|k| *k == text) {
            return Some(i);
        }
        let hint = match nearest(text, known.iter().copied()) {
            Some(k) => format!("did you mean `{k}`?"),
            None => format!("it can be {}", one_of(known.iter().copied())),
        };
        problems.push(self.error(format!("`{text}` is not known here")).hint(hint));
        None
    }
}

/// The fields of one mapping while it is taken apart. [`Fields::finish`] reports every key nobody asked for.
pub struct Fields<'a> {
    node: &'a Node,
    entries: &'a [(String, Place, Node)],
    what: &'a str,
    known: Vec<&'a str>,
}

impl<'a> Fields<'a> {
    /// Starts on a node that should be a mapping; `what` names it in messages (`the mesh`).
    pub fn of(node: &'a Node, what: &'a str, problems: &mut Problems) -> Option<Fields<'a>> {
        node.entries(problems).map(|entries| Fields { node, entries, what, known: Vec::new() })
    }

    /// The value of a key that may be absent or null.
    pub fn optional(&mut self, key: &'a str) -> Option<&'a Node> {
        self.known.push(key);
        self.entries.iter().find(|(k, _, _)| k == key).map(|(_, _, v)| v).filter(|v| !matches!(v.value, Value::Null))
    }

    /// The value of a key that must be there.
    pub fn required(&mut self, key: &'a str, problems: &mut Problems) -> Option<&'a Node> {
        let found = self.optional(key);
        if found.is_none() {
            problems.push(self.node.error(format!("{} needs the key `{key}`", self.what)));
        }
        found
    }

    /// The mapping itself.
    pub fn node(&self) -> &'a Node {
        self.node
    }

    /// Reports the keys that were never asked for.
    pub fn finish(self, problems: &mut Problems) {
        for (key, place, _) in self.entries {
            if !self.known.contains(&key.as_str()) {
                let hint = match nearest(key, self.known.iter().copied()) {
                    Some(k) => format!("did you mean `{k}`?"),
                    None => format!("it can be {}", one_of(self.known.iter().copied())),
                };
                problems.push(Diagnostic::error(format!("{} has no key `{key}`", self.what)).at(place.clone()).hint(hint));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mesh(text: &str) -> (Option<[f64; 3]>, String) {
        let doc = Document::parse("a.yaml", text).unwrap();
        let mut problems = Problems::new();
        let mut f = Fields::of(&doc.root, "the mesh", &mut problems).unwrap();
        let size = f.required("size", &mut problems).and_then(|n| n.vector(Dimension::LENGTH, &mut problems));
        f.optional("cell");
        f.finish(&mut problems);
        (size, problems.to_string())
    }

    #[test]
    fn values_come_with_units() {
        assert_eq!(mesh("size: [384 nm, 64 nm, 0]").0, Some([384e-9, 64e-9, 0.0]));
    }

    #[test]
    fn all_problems_are_told_at_their_places() {
        let (_, text) = mesh("size: [384 nm, 64 ns, 1]\nsells: 3\n");
        assert_eq!(
            text,
            "a.yaml:1:16: `64 ns` is a time; a length is wanted; write it like `384 nm`\n\
             a.yaml:1:23: `1` has no unit; a length is wanted; write it like `384 nm`\n\
             a.yaml:2:1: the mesh has no key `sells`; did you mean `cell`?"
        );
    }

    #[test]
    fn ranges_include_both_ends_and_are_never_empty() {
        let read = |text: &str| {
            let doc = Document::parse("a.yaml", text).unwrap();
            let mut problems = Problems::new();
            (doc.root.quantities(Dimension::FIELD, &mut problems), problems.to_string())
        };
        let v = read("{from: 0 Oe, to: 2000 Oe, step: 100 Oe}").0.unwrap();
        assert_eq!((v.len(), v[20]), (21, 0.2));
        assert_eq!(read("{from: 0 Oe, to: 1 T, count: 3}").0.unwrap(), [0.0, 0.5, 1.0]);
        assert!(read("[]").1.contains("empty"));
        assert!(read("{from: 1 T, to: 0 T, step: 1 mT}").1.contains("does not lead"));
    }

    #[test]
    fn text_that_is_not_yaml_has_a_place() {
        let e = Document::parse("a.yaml", "a: [1, 2\nb: 3").unwrap_err();
        assert!(e.iter().next().unwrap().place.as_ref().unwrap().line >= 1, "{e}");
    }
}
