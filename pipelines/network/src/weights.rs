//! Weights on disk: the safetensors layout (8 bytes little-endian length of the header, a JSON header with name, type, shape and place of each
//! array, then the raw little-endian numbers), which Python reads with one call of `safetensors.numpy.load_file`.
//!
//! A layer is the array `layer0`, `layer1`, … of shape `[from + 1, to]`: synaptic sum of neuron j = `Σ_i spike_i · w[i][j] + w[from][j]`. The last
//! row is the bias, an input line that is always on.

use serde_json::{Map, Value, json};
use spinloom_base::{Diagnostic, Problems};
use std::io::Write;
use std::path::Path;

/// The weights of a network.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    /// Neurons per layer, inputs first.
    pub widths: Vec<usize>,
    /// Per pair of layers, `[from + 1][to]`, row-major; the last row is the bias, an input that is always on.
    pub layers: Vec<Vec<f32>>,
}

impl Weights {
    /// Writes them as a whole or not at all.
    ///
    /// # Errors
    /// What the file system says.
    pub fn save(&self, path: &Path) -> Result<(), Problems> {
        let arrays: Vec<Array> = (0..self.layers.len()).map(|l| self.array(&format!("layer{l}"), l, &self.layers[l])).collect();
        write(path, &arrays, &[])
    }

    /// Reads what [`Weights::save`] or another program wrote.
    ///
    /// # Errors
    /// A file that is missing, truncated, or does not hold the layers of one network.
    pub fn load(path: &Path) -> Result<Weights, Problems> {
        read(path).and_then(|file| file.weights("layer"))
    }

    pub(crate) fn array<'a>(&self, name: &str, layer: usize, data: &'a [f32]) -> Array<'a> {
        Array { name: name.to_string(), shape: [self.widths[layer] + 1, self.widths[layer + 1]], data }
    }
}

/// One array on its way to a file.
pub(crate) struct Array<'a> {
    name: String,
    shape: [usize; 2],
    data: &'a [f32],
}

/// Writes arrays and texts under a temporary name, syncs, and renames.
pub(crate) fn write(path: &Path, arrays: &[Array], texts: &[(&str, String)]) -> Result<(), Problems> {
    let mut header = Map::new();
    let metadata: Map<String, Value> = texts.iter().map(|(k, v)| (k.to_string(), json!(v))).collect();
    header.insert("__metadata__".into(), Value::Object(metadata));
    let mut end = 0;
    for a in arrays {
        let start = end;
        end += 4 * a.data.len();
        header.insert(a.name.clone(), json!({ "dtype": "F32", "shape": a.shape, "data_offsets": [start, end] }));
    }
    let mut header = serde_json::to_string(&header).expect("a header is text and whole numbers");
    // Arrays start at a multiple of 8 bytes, as the format asks.
    header.push_str(&" ".repeat(header.len().next_multiple_of(8) - header.len()));
    let part = path.with_extension("part");
    let save = || {
        let mut file = std::io::BufWriter::new(std::fs::File::create(&part)?);
        file.write_all(&(header.len() as u64).to_le_bytes())?;
        file.write_all(header.as_bytes())?;
        for v in arrays.iter().flat_map(|a| a.data) {
            file.write_all(&v.to_le_bytes())?;
        }
        file.into_inner().map_err(|e| e.into_error())?.sync_all()?;
        std::fs::rename(&part, path)
    };
    save().map_err(|e: std::io::Error| Diagnostic::file(path.display().to_string(), format!("cannot be written: {e}")).into())
}

/// A file in memory: its texts, and its arrays by name.
pub(crate) struct Contents {
    name: String,
    texts: Map<String, Value>,
    arrays: Vec<(String, Vec<usize>, Vec<f32>)>,
}

pub(crate) fn read(path: &Path) -> Result<Contents, Problems> {
    let name = path.display().to_string();
    let fail = |message: String| -> Problems { Diagnostic::file(&name, message).into() };
    let bytes = std::fs::read(path).map_err(|e| fail(format!("cannot be read: {e}")))?;
    let damaged = |what: &str| -> Problems {
        Diagnostic::file(&name, format!("these are not weights in safetensors layout: {what}"))
            .hint("it is truncated or another file")
            .into()
    };
    let length = bytes.get(..8).map(|b| u64::from_le_bytes(b.try_into().expect("eight bytes"))).ok_or_else(|| damaged("too short"))?;
    let end = usize::try_from(length).ok().and_then(|l| l.checked_add(8)).ok_or_else(|| damaged("the header has no end"))?;
    let header = bytes.get(8..end).ok_or_else(|| damaged("the header is longer than the file"))?;
    let header: Map<String, Value> = serde_json::from_slice(header).map_err(|e| damaged(&format!("its header is not JSON ({e})")))?;
    let data = &bytes[end..];
    let mut arrays = Vec::new();
    let mut texts = Map::new();
    for (key, value) in header {
        if key == "__metadata__" {
            texts = value.as_object().cloned().unwrap_or_default();
            continue;
        }
        let numbers =
            |field: &str| -> Option<Vec<usize>> { value.get(field)?.as_array()?.iter().map(|v| v.as_u64().map(|v| v as usize)).collect() };
        let (Some(shape), Some(place)) = (numbers("shape"), numbers("data_offsets")) else {
            return Err(damaged(&format!("`{key}` has no shape or place")));
        };
        if value.get("dtype") != Some(&json!("F32")) || place.len() != 2 {
            return Err(damaged(&format!("`{key}` is not an array of F32")));
        }
        let raw = data.get(place[0]..place[1]).ok_or_else(|| damaged(&format!("`{key}` ends after the file")))?;
        if shape.iter().try_fold(4usize, |a, &n| a.checked_mul(n)) != Some(raw.len()) {
            return Err(damaged(&format!("`{key}` has {} bytes, which is not its shape {shape:?}", raw.len())));
        }
        let values = raw.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().expect("four bytes"))).collect();
        arrays.push((key, shape, values));
    }
    Ok(Contents { name, texts, arrays })
}

impl Contents {
    /// A text by name.
    pub(crate) fn text(&self, key: &str) -> Result<&str, Problems> {
        self.texts.get(key).and_then(|v| v.as_str()).ok_or_else(|| Diagnostic::file(&self.name, format!("it has no `{key}`")).into())
    }

    /// The arrays `prefix0`, `prefix1`, … as weights.
    pub(crate) fn weights(&self, prefix: &str) -> Result<Weights, Problems> {
        let mut weights = Weights { widths: Vec::new(), layers: Vec::new() };
        while let Some((name, shape, data)) = self.arrays.iter().find(|a| a.0 == format!("{prefix}{}", weights.layers.len())) {
            let (Some(from), &[_, to]) = (shape.first().and_then(|rows| rows.checked_sub(1)), &shape[..]) else {
                return Err(Diagnostic::file(&self.name, format!("`{name}` has the shape {shape:?}, not [from + 1, to]")).into());
            };
            match weights.widths.last() {
                None => weights.widths.push(from),
                Some(last) if *last != from => {
                    return Err(
                        Diagnostic::file(&self.name, format!("`{name}` takes {from} inputs, and {last} neurons come before it")).into()
                    );
                }
                Some(_) => {}
            }
            weights.widths.push(to);
            weights.layers.push(data.clone());
        }
        if weights.layers.is_empty() {
            return Err(Diagnostic::file(&self.name, format!("it has no array `{prefix}0`")).into());
        }
        Ok(weights)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_survive_their_file_and_damage_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.safetensors");
        let weights = Weights {
            widths: vec![2, 3, 1],
            layers: vec![vec![1.0, -0.0, 3.5e-20, 4.0, f32::MAX, 6.0, 7.0, 8.0, 9.0], vec![0.1, 0.2, 0.3, 0.4]],
        };
        weights.save(&path).unwrap();
        let back = Weights::load(&path).unwrap();
        assert_eq!(back, weights);
        assert!(back.layers[0][1].is_sign_negative());
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!((u64::from_le_bytes(bytes[..8].try_into().unwrap()) + 8) % 8, 0);
        for length in [0, 5, 30, bytes.len() - 1] {
            std::fs::write(&path, &bytes[..length]).unwrap();
            let e = Weights::load(&path).unwrap_err().to_string();
            assert!(e.contains("w.safetensors") && e.contains("not weights"), "{e}");
        }
        std::fs::write(&path, [&u64::MAX.to_le_bytes()[..], b"{}"].concat()).unwrap();
        assert!(Weights::load(&path).is_err());
    }
}
