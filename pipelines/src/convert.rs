//! `spinloom convert`: fields from one form to another, whole or in part.

use crate::inspect::is_record;
use crate::pipeline::write_whole;
use clap::ValueEnum;
use spinloom_base::diagnostics::{nearest, one_of};
use spinloom_base::{Diagnostic, Problems};
use spinloom_record::{Format, Ovf, OvfFormat, Record, write_xdmf};
use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// What is asked for.
#[derive(clap::Args)]
pub struct Options {
    /// Records (a folder or its `run.h5`), OVF 1 and 2 files, `.vti`, `.vtr`, `.npy`, `.csv` and `.json`; any number.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Forms to write, separated by commas.
    #[arg(long, short, value_delimiter = ',', default_value = "ovf")]
    to: Vec<To>,
    /// How numbers are written in OVF, VTK and numpy files.
    #[arg(long, default_value = "binary4")]
    numbers: Numbers,
    /// Folder for the results; by default beside the file, of a record beside its `run.h5`.
    #[arg(long, short)]
    out: Option<PathBuf>,
    /// One component: `x`, `y`, `z`, a number from 0, or its label.
    #[arg(long, visible_alias = "comp")]
    component: Option<String>,
    /// Cells along x, from and up to but without: `10:20`, `10:`, `:20`.
    #[arg(long, value_name = "A:B")]
    cropx: Option<String>,
    /// The same along y.
    #[arg(long, value_name = "A:B")]
    cropy: Option<String>,
    /// The same along z.
    #[arg(long, value_name = "A:B")]
    cropz: Option<String>,
    /// The same box in another number of cells, after cropping: `64x64x1`. Coarser cells hold means, finer ones repeat.
    #[arg(long, value_name = "NXxNYxNZ")]
    resize: Option<String>,
    /// Vectors of length 1.
    #[arg(long, visible_alias = "normalize")]
    normalise: bool,
    /// The layer that pictures show, from 0 below.
    #[arg(long, default_value_t = 0)]
    layer: usize,
    /// The value that is black in pictures of numbers; by default the least.
    #[arg(long, allow_negative_numbers = true)]
    min: Option<f64>,
    /// The value that is white; by default the largest.
    #[arg(long, allow_negative_numbers = true)]
    max: Option<f64>,
    /// Of a record, only this quantity.
    #[arg(long)]
    field: Option<String>,
    /// Of a record, only this replica.
    #[arg(long)]
    replica: Option<usize>,
    /// Of a record, only these frames of each quantity, by number: `0:10`, `3`, `5:`.
    #[arg(long, value_name = "A:B")]
    frames: Option<String>,
    /// Size of a cell in metres, for numpy's files, which do not hold it, and along axes of CSV with one cell.
    #[arg(long, num_args = 3, value_names = ["DX", "DY", "DZ"], default_values_t = [1e-9; 3])]
    cell: Vec<f64>,
}

/// A form to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum To {
    /// OVF 2.0.
    Ovf,
    /// OVF 1.0.
    Ovf1,
    /// VTK, regular grid, for ParaView.
    Vti,
    /// VTK, rectilinear grid.
    Vtr,
    /// numpy, shape (nz, ny, nx, components).
    Npy,
    /// A line a cell.
    Csv,
    /// An object with title, mesh, labels, units, time and data.
    Json,
    /// A picture of one layer: direction as hue, z as lightness; numbers from black to white.
    Png,
    /// The same.
    Jpg,
    /// The same.
    Gif,
    /// Of a finished record, a file beside `run.h5` through which ParaView reads it.
    Xdmf,
    /// Of a record, the table of each replica as CSV.
    Table,
}

impl To {
    fn format(self) -> Option<Format> {
        Some(match self {
            Self::Ovf => Format::Ovf2,
            Self::Ovf1 => Format::Ovf1,
            Self::Vti => Format::Vti,
            Self::Vtr => Format::Vtr,
            Self::Npy => Format::Npy,
            Self::Csv => Format::Csv,
            Self::Json => Format::Json,
            Self::Png | Self::Jpg | Self::Gif | Self::Xdmf | Self::Table => return None,
        })
    }

    /// Whether it shows fields, one a file.
    fn of_fields(self) -> bool {
        !matches!(self, Self::Xdmf | Self::Table)
    }

    fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpg => "jpg",
            Self::Gif => "gif",
            other => other.format().map_or("csv", Format::extension),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Numbers {
    /// 32-bit floats.
    Binary4,
    /// 64-bit floats.
    Binary8,
    /// Decimal digits.
    Text,
}

/// A path with the ending of a form behind it, whatever dots it has.
fn named(stem: &Path, to: To) -> PathBuf {
    let mut name = stem.as_os_str().to_owned();
    name.push(".");
    name.push(to.extension());
    name.into()
}

/// Cells of one axis as the user wrote them; `whole` of them are there.
fn range(text: Option<&str>, what: &str, whole: usize) -> Result<Range<usize>, Problems> {
    let Some(text) = text else { return Ok(0..whole) };
    let number = |part: &str, default: usize| if part.is_empty() { Some(default) } else { part.trim().parse().ok() };
    let ends = match text.split_once(':') {
        Some((a, b)) => number(a, 0).zip(number(b, whole)),
        None => text.trim().parse().ok().map(|a: usize| (a, a.saturating_add(1))),
    };
    match ends {
        Some((a, b)) if a < b && b <= whole => Ok(a..b),
        Some((a, b)) => {
            Err(Diagnostic::error(format!("{what}: {a} up to {b} of {whole}")).hint("count from 0; the upper end is left out").into())
        }
        None => Err(Diagnostic::error(format!("{what}: `{text}` is not a range")).hint("write 10:20, 10: or :20").into()),
    }
}

/// Numbers kept between reading and writing: 1 GB.
const KEPT: usize = 125_000_000;
/// The most numbers that a resized field may hold: 8 GB.
const MOST: usize = 1_000_000_000;

impl Options {
    fn numbers(&self) -> OvfFormat {
        match self.numbers {
            Numbers::Binary4 => OvfFormat::Binary4,
            Numbers::Binary8 => OvfFormat::Binary8,
            Numbers::Text => OvfFormat::Text,
        }
    }

    /// What is wrong with the wishes alone.
    fn check(&self) -> Result<(), Problems> {
        let mut problems = Problems::new();
        if let (Some(a), Some(b)) = (self.min, self.max)
            && a >= b
        {
            problems.push(Diagnostic::error(format!("--min {a} is not below --max {b}")).hint("black is the lower one"));
        }
        if self.cell.iter().any(|c| !(*c > 0.0 && c.is_finite())) {
            problems.push(
                Diagnostic::error(format!("--cell {:?}: a cell has a size", self.cell)).hint("in metres, e.g. --cell 4e-9 4e-9 1e-9"),
            );
        }
        problems.take(self.resized());
        if self.numbers == Numbers::Text && self.to.contains(&To::Npy) {
            problems.push(Diagnostic::error("numpy's files hold no text").hint("take --numbers binary4 or binary8, or --to csv"));
        }
        problems.into_result(Some(()))
    }

    fn resized(&self) -> Result<Option<[usize; 3]>, Problems> {
        let Some(text) = &self.resize else { return Ok(None) };
        let n: Option<Vec<usize>> = text.split(['x', 'X', ',']).map(|n| n.trim().parse().ok().filter(|n| *n > 0)).collect();
        match n.as_deref() {
            Some(&[x, y, z]) if [x, y, z].iter().try_fold(9usize, |a, &b| a.checked_mul(b)).is_some_and(|n| n <= MOST) => {
                Ok(Some([x, y, z]))
            }
            Some(&[_, _, _]) => {
                Err(Diagnostic::error(format!("--resize {text} is more than memory should hold")).hint("take fewer cells").into())
            }
            _ => Err(Diagnostic::error(format!("--resize {text}: three whole numbers are wanted")).hint("write 64x64x1").into()),
        }
    }

    /// The part of a field that was asked for.
    fn part(&self, mut field: Ovf, name: &str) -> Result<Ovf, Problems> {
        let mut problems = Problems::new();
        let ranges = [&self.cropx, &self.cropy, &self.cropz];
        let ranges: [Option<Range<usize>>; 3] = std::array::from_fn(|a| {
            let what = format!("{name}: --crop{}", ["x", "y", "z"][a]);
            problems.take(range(ranges[a].as_deref(), &what, field.mesh.n[a]))
        });
        let component = problems.take(self.component_of(&field, name));
        let resized = problems.take(self.resized());
        let (Some(component), Some(resized), [Some(x), Some(y), Some(z)]) = (component, resized, ranges) else {
            return Err(problems);
        };
        if self.normalise {
            field = field.normalised();
        }
        if let Some(k) = component {
            field = field.component(k);
        }
        if [x.len(), y.len(), z.len()] != field.mesh.n {
            field = field.crop([x, y, z]);
        }
        if let Some(n) = resized {
            field = field.resized(n);
        }
        for to in &self.to {
            let width = field.components();
            if matches!(to, To::Png | To::Jpg | To::Gif) {
                if self.layer >= field.mesh.n[2] {
                    let message = format!("{name}: layer {} of {}", self.layer, field.mesh.n[2]);
                    problems.push(Diagnostic::error(message).hint("layers count from 0, below"));
                }
                if width != 1 && width != 3 {
                    problems.push(Diagnostic::error(format!("{name}: a picture of {width} components")).hint("take one with --component"));
                }
            }
        }
        problems.into_result(Some(field))
    }

    fn component_of(&self, field: &Ovf, name: &str) -> Result<Option<usize>, Problems> {
        let Some(text) = &self.component else { return Ok(None) };
        let by_axis = ["x", "y", "z"].iter().position(|a| text.eq_ignore_ascii_case(a));
        let found = field.labels.iter().position(|l| l == text).or(by_axis).or(text.parse().ok());
        match found.filter(|k| *k < field.components()) {
            Some(k) => Ok(Some(k)),
            None => {
                let d = Diagnostic::error(format!("{name}: there is no component `{text}`"));
                Err(d.hint(format!("there is {}", one_of(field.labels.iter().map(String::as_str)))).into())
            }
        }
    }
}

/// Where fields come from.
enum Input {
    /// A record, and the frames wanted of it: quantity, number, replica.
    Record(Box<Record>, Vec<(String, usize, usize)>),
    File(PathBuf),
}

impl Input {
    fn open(path: &Path, options: &Options) -> Result<Self, Problems> {
        if !is_record(path) {
            if let Some(to) = options.to.iter().find(|t| matches!(t, To::Xdmf | To::Table)) {
                let form = if *to == To::Xdmf { "xdmf" } else { "table" };
                return Err(Diagnostic::file(path.display().to_string(), format!("`{form}` is made of records only"))
                    .hint("name a run's folder")
                    .into());
            }
            return Ok(Self::File(path.into()));
        }
        let record = Record::open(path)?;
        let name = path.display().to_string();
        let mut problems = Problems::new();
        let fields = record.fields()?;
        if let Some(wanted) = options.field.as_deref().filter(|w| fields.iter().all(|f| f.name != *w)) {
            let known = || fields.iter().map(|f| f.name.as_str());
            let hint = nearest(wanted, known()).map_or_else(|| format!("there is {}", one_of(known())), |n| format!("did you mean `{n}`?"));
            problems.push(Diagnostic::file(&name, format!("it holds no `{wanted}`")).hint(hint));
        }
        let replicas = record.header().replicas.len();
        if options.replica.is_some_and(|r| r >= replicas) {
            problems.push(Diagnostic::file(&name, format!("it has {replicas} replica(s)")).hint("replicas count from 0"));
        }
        let mut frames = Vec::new();
        for f in fields.iter().filter(|f| options.field.as_ref().is_none_or(|w| *w == f.name)) {
            if let Some(range) = problems.take(range(options.frames.as_deref(), &format!("{name}: --frames of {}", f.name), f.frames.len()))
            {
                let of = |i: &usize| options.replica.is_none_or(|r| f.frames[*i].1 == r);
                frames.extend(range.filter(of).map(|i| (f.name.clone(), i, f.frames[i].1)));
            }
        }
        if options.to.contains(&To::Xdmf) && !record.is_finished() {
            problems.push(
                Diagnostic::file(&name, "the run is not finished: its frames lie in several files").hint("let it finish, or resume it"),
            );
        }
        problems.into_result(Some(Self::Record(Box::new(record), frames)))
    }

    /// How many fields there are.
    fn len(&self) -> usize {
        match self {
            Self::Record(_, frames) => frames.len(),
            Self::File(_) => 1,
        }
    }

    /// The path of field number `k` without the ending of its form.
    fn stem(&self, k: usize, options: &Options) -> PathBuf {
        self.folder(options).join(match self {
            Self::Record(_, frames) => {
                let (name, i, replica) = &frames[k];
                format!("{name}_replica{replica}_{i:06}").into()
            }
            Self::File(path) => path.file_stem().unwrap_or_default().to_owned(),
        })
    }

    /// The part of field number `k` that was asked for.
    fn part(&self, k: usize, options: &Options) -> Result<Ovf, Problems> {
        match self {
            Self::Record(record, frames) => {
                let frame = record.frame(&frames[k].0, frames[k].1)?;
                options.part(Ovf::new(&record.header().mesh, &frame), &format!("{}, {}", record.path().display(), frames[k].0))
            }
            Self::File(path) => {
                let cell = [options.cell[0], options.cell[1], options.cell[2]];
                options.part(Ovf::load(path, cell)?, &path.display().to_string())
            }
        }
    }

    fn path(&self) -> &Path {
        match self {
            Self::Record(record, _) => record.path(),
            Self::File(path) => path,
        }
    }

    fn folder(&self, options: &Options) -> PathBuf {
        options.out.clone().unwrap_or_else(|| self.path().parent().unwrap_or(Path::new("")).to_path_buf())
    }
}

/// Converts; nothing is written if anything is wrong with the wishes or the files.
pub fn convert(options: &Options) -> Result<u8, Problems> {
    options.check()?;
    let mut problems = Problems::new();
    let inputs: Vec<Input> = options.files.iter().filter_map(|f| problems.take(Input::open(f, options))).collect();
    // Every file is read once before anything is written; of a record, the first frame of a quantity speaks for the others.
    let mut made: HashMap<PathBuf, &Path> = HashMap::new();
    // What was read is kept for writing, as long as that is little.
    let (mut kept, mut room): (HashMap<usize, Ovf>, usize) = (HashMap::new(), KEPT);
    for (at, input) in inputs.iter().enumerate() {
        let source = input.path();
        let first = |k: usize| match input {
            Input::Record(_, frames) => k == 0 || frames[k].0 != frames[k - 1].0,
            Input::File(_) => true,
        };
        for k in 0..input.len() {
            if first(k) {
                let part = problems.take(input.part(k, options)).filter(|p| matches!(input, Input::File(_)) && p.data.len() <= room);
                if let Some(part) = part {
                    room -= part.data.len();
                    kept.insert(at, part);
                }
            }
            for target in options.to.iter().filter(|t| t.of_fields()).map(|t| named(&input.stem(k, options), *t)) {
                let hint = "name another folder with --out";
                if std::fs::canonicalize(&target).is_ok_and(|t| std::fs::canonicalize(source).is_ok_and(|s| s == t)) {
                    problems.push(Diagnostic::file(source.display().to_string(), "it would be overwritten").hint(hint));
                } else if let Some(other) = made.insert(target.clone(), source) {
                    let message = format!("{} and {} would both become it", other.display(), source.display());
                    problems.push(Diagnostic::file(target.display().to_string(), message).hint(hint));
                }
            }
        }
    }
    problems.into_result(Some(()))?;

    let mut count = 0;
    for (at, input) in inputs.iter().enumerate() {
        let folder = input.folder(options);
        if !folder.as_os_str().is_empty() {
            std::fs::create_dir_all(&folder).map_err(|e| Diagnostic::file(folder.display().to_string(), format!("cannot be made: {e}")))?;
        }
        if options.to.iter().any(|t| t.of_fields()) {
            for k in 0..input.len() {
                let part = kept.remove(&at).map_or_else(|| input.part(k, options), Ok)?;
                count += write(&part, &input.stem(k, options), options)?;
            }
        }
        if let Input::Record(record, _) = input {
            if options.to.contains(&To::Xdmf) {
                crate::out::say!("{}", write_xdmf(record)?.display());
            }
            if options.to.contains(&To::Table) {
                count += tables(record, &folder, options.replica)?;
            }
        }
    }
    crate::out::note("written", count.into());
    crate::out::say!("{count} file(s) written");
    Ok(0)
}

/// Writes one field in every form asked for.
fn write(field: &Ovf, stem: &Path, options: &Options) -> Result<usize, Problems> {
    let mut count = 0;
    for to in options.to.iter().filter(|t| t.of_fields()) {
        let path = named(stem, *to);
        match to.format() {
            Some(format) => field.save(&path, format, options.numbers())?,
            None => {
                let finite = || field.data.iter().copied().filter(|v| v.is_finite());
                let (low, high) = (options.min.unwrap_or_else(|| finite().fold(f64::INFINITY, f64::min)), options.max);
                let high = high.unwrap_or_else(|| finite().fold(f64::NEG_INFINITY, f64::max));
                let picture = field.picture(options.layer, Some([low, high]));
                picture.save(&path).map_err(|e| Diagnostic::file(path.display().to_string(), format!("cannot be written: {e}")))?;
            }
        }
        count += 1;
    }
    Ok(count)
}

/// Writes the table of each replica as CSV.
fn tables(record: &Record, folder: &Path, only: Option<usize>) -> Result<usize, Problems> {
    let replicas: Vec<usize> = (0..record.header().replicas.len()).filter(|r| only.is_none_or(|o| o == *r)).collect();
    for &r in &replicas {
        let table = record.table(r)?;
        let mut out = csv::Writer::from_writer(Vec::new());
        let path = folder.join(format!("table_replica{r}.csv"));
        let told = |e: &dyn std::fmt::Display| Problems::from(Diagnostic::file(path.display().to_string(), e.to_string()));
        out.write_record(table.columns.iter().map(|c| format!("{} ({})", c.name, c.unit))).map_err(|e| told(&e))?;
        for row in table.values.chunks(table.columns.len().max(1)) {
            out.write_record(row.iter().map(|v| format!("{v:e}"))).map_err(|e| told(&e))?;
        }
        write_whole(&path, &out.into_inner().map_err(|e| told(&e))?)?;
    }
    Ok(replicas.len())
}
