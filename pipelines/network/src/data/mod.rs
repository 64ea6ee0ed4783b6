//! Images and recordings with labels: read from the files of published sets, or drawn by this program where there are none.

mod digits;
pub mod events;
mod films;
pub mod idx;
pub mod recordings;
pub(crate) mod samples;
mod stand_ins;

use serde::{Deserialize, Serialize};
use spinloom_base::{Diagnostic, Problems, hash};
use std::path::Path;

/// All of a file.
pub(crate) fn bytes(path: &Path) -> Result<Vec<u8>, Problems> {
    Ok(std::fs::read(path).map_err(|e| Diagnostic::file(path.display().to_string(), format!("cannot be read: {e}")))?)
}

/// A data set that this program knows the file layout of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// Handwritten digits (LeCun, Cortes and Burges).
    Mnist,
    /// Pictures of clothes (Xiao, Rasul and Vollgraf, arXiv:1708.07747).
    FashionMnist,
}

impl Source {
    /// Its folder, and its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Source::Mnist => "mnist",
            Source::FashionMnist => "fashion-mnist",
        }
    }

    /// What its ten labels mean.
    pub fn classes(self) -> [&'static str; 10] {
        match self {
            Source::Mnist => ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
            Source::FashionMnist => {
                ["T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"]
            }
        }
    }
}

/// Some images and their labels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Images {
    /// `[image][row][column]`, 0 (background) to 255 (ink).
    pub pixels: Vec<u8>,
    /// `[image]`, 0 to number of classes − 1.
    pub labels: Vec<u8>,
}

impl Images {
    /// Number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }
}

/// A data set with its official split into training and test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    /// `mnist`, `fashion-mnist`, or that it is a stand-in.
    pub name: String,
    /// Drawn by this program, because no files were given: accuracies on it say nothing about any published benchmark.
    pub stand_in: bool,
    /// Pixels from top to bottom.
    pub rows: usize,
    /// Pixels from left to right.
    pub columns: usize,
    /// What each label means.
    pub classes: Vec<String>,
    /// For training and validation.
    pub train: Images,
    /// For one evaluation at the end.
    pub test: Images,
}

impl Dataset {
    /// Reads the four IDX files of a data set, gzipped or plain, from `folder/<name>/` or from `folder` itself.
    ///
    /// # Errors
    /// Files that are missing, truncated, damaged, of another kind, or that contradict each other; all that is found.
    pub fn read(folder: &Path, source: Source) -> Result<Dataset, Problems> {
        let below = folder.join(source.name());
        let folder = if below.is_dir() { below } else { folder.to_path_buf() };
        if !folder.is_dir() {
            return Err(Diagnostic::file(folder.display().to_string(), "this folder does not exist")
                .hint(format!("give the folder that holds the four IDX files of {} or a folder `{0}` with them", source.name()))
                .into());
        }
        let mut problems = Problems::new();
        let mut read = |part: &str, what: &str| idx::pair(&folder, part, what, source.classes().len(), &mut problems);
        let (train, test) = (read("train", "training"), read("t10k", "test"));
        let (Some((train, shape)), Some((test, test_shape))) = (train, test) else { return Err(problems) };
        if shape != test_shape {
            let message = format!("training images have {}x{} pixels, test images {}x{}", shape.0, shape.1, test_shape.0, test_shape.1);
            return Err(Diagnostic::file(folder.display().to_string(), message).hint("the files are from different data sets").into());
        }
        Ok(Dataset {
            name: source.name().to_string(),
            stand_in: false,
            rows: shape.0,
            columns: shape.1,
            classes: source.classes().map(String::from).to_vec(),
            train,
            test,
        })
    }

    /// Digits of 28x28 pixels drawn by this program in a wavering hand, for use where no data set is at hand. A function of its arguments.
    pub fn stand_in(train: usize, test: usize, seed: u64) -> Dataset {
        Dataset {
            name: format!("stand-in digits (drawn by the program, seed {seed})"),
            stand_in: true,
            rows: digits::SIDE,
            columns: digits::SIDE,
            classes: Source::Mnist.classes().map(String::from).to_vec(),
            train: digits::images(0, train, seed),
            test: digits::images(train, test, seed),
        }
    }

    /// The first images of each part, for quick trials. The name says so.
    pub fn first(&self, train: usize, test: usize) -> Dataset {
        let size = self.rows * self.columns;
        let cut = |images: &Images, n: usize| Images {
            pixels: images.pixels[..n.min(images.len()) * size].to_vec(),
            labels: images.labels[..n.min(images.len())].to_vec(),
        };
        let (train, test) = (cut(&self.train, train), cut(&self.test, test));
        let name = format!("{} (first {} + {})", self.name, train.len(), test.len());
        Dataset { name, stand_in: self.stand_in, rows: self.rows, columns: self.columns, classes: self.classes.clone(), train, test }
    }

    /// SHA-256 over shape, pixels and labels: what a checkpoint and a report call this data.
    pub fn sha256(&self) -> String {
        let parts = [&self.train.pixels, &self.train.labels, &self.test.pixels, &self.test.labels].map(|p| hash::of_bytes(p));
        hash::of_bytes(format!("{}x{} {}", self.rows, self.columns, parts.join(" ")).as_bytes())
    }
}
