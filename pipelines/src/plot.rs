//! `spinloom plot`: columns of tables against each other, spectra, and fields seen from above.

use crate::inspect::is_record;
use crate::pipeline::write_whole;
use crate::report;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use image::{ImageFormat, RgbImage, imageops};
use plotters::prelude::*;
use spinloom_base::diagnostics::{nearest, one_of};
use spinloom_base::{Diagnostic, Place, Problems};
use spinloom_extract::features::windowed_spectrum;
use spinloom_extract::{Line, Plot};
use spinloom_record::{Column, Ovf, Record, Table, direction_colour};
use std::io::Cursor;
use std::path::{Path, PathBuf};

/// What is asked for.
#[derive(clap::Args)]
pub struct Options {
    /// Records, tables (`table.txt` of scripts, CSV), or one field (OVF, VTK, `.npy`, `.json`).
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// The figure: `.svg`; of fields `.png` too, without axes; of tables `.csv` too, its numbers. By default `plot.svg`.
    #[arg(long, short, default_value = "plot.svg")]
    out: PathBuf,
    /// The column along the abscissa; by default the first.
    #[arg(long)]
    x: Option<String>,
    /// Columns along the ordinate, of one unit; by default the components of m, or the second column.
    #[arg(long, value_delimiter = ',')]
    y: Vec<String>,
    /// Only these replicas.
    #[arg(long, value_delimiter = ',')]
    replica: Vec<usize>,
    /// Only the last row of each phase: the settled points of a hysteresis loop.
    #[arg(long)]
    ends: bool,
    /// Amplitudes over frequencies instead of values over times: a sine of amplitude a is a peak of height a.
    #[arg(long, conflicts_with = "ends")]
    spectrum: bool,
    /// Of a record, this frame of a quantity instead of its table, from 0; -1 is the last.
    #[arg(long, allow_negative_numbers = true)]
    frame: Option<i64>,
    /// The quantity.
    #[arg(long, default_value = "m")]
    field: String,
    /// One component of a field, from black to white, instead of its direction.
    #[arg(long, value_parser = ["x", "y", "z"])]
    component: Option<String>,
    /// The layer of a field, from 0 below.
    #[arg(long, default_value_t = 0)]
    layer: usize,
}

/// A table with what it is called.
struct Named {
    label: String,
    table: Table,
}

/// Plots.
pub fn plot(options: &Options) -> Result<u8, Problems> {
    let ending = options.out.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
    let is_field = |p: &Path| {
        p.extension().is_some_and(|e| ["ovf", "omf", "ohf", "npy", "json", "vti", "vtr"].iter().any(|k| e.eq_ignore_ascii_case(k)))
    };
    let fields = options.frame.is_some() || options.files.iter().any(|f| is_field(f));
    let known: &[&str] = if fields { &["svg", "png"] } else { &["svg", "csv"] };
    if !known.contains(&ending.as_str()) {
        let what = if fields { "a field" } else { "a table" };
        let d = Diagnostic::file(options.out.display().to_string(), format!("`.{ending}` is no form for the figure of {what}"));
        return Err(d.hint(format!("end it in {}", one_of(known.iter().copied()))).into());
    }
    let bytes = if fields {
        let [file] = options.files.as_slice() else {
            return Err(Diagnostic::error("one field is drawn at a time").hint("spinloom convert --to png takes many").into());
        };
        field_figure(&field(file, options)?, options, ending == "png")?
    } else {
        let plot = lines(options)?;
        if ending == "csv" { numbers(&plot) } else { report::svg(&plot).into_bytes() }
    };
    write_whole(&options.out, &bytes)?;
    crate::out::note("figure", options.out.display().to_string().into());
    crate::out::say!("{}", options.out.display());
    Ok(0)
}

// --- tables

/// A table of text: the first line names columns as `name (unit)`, by tabs or commas.
fn read_table(path: &Path) -> Result<Table, Problems> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|e| Diagnostic::file(&name, format!("cannot be read: {e}")))?;
    parse_table(&name, &text)
}

/// The same of a text that is there already.
pub fn parse_table(name: &str, text: &str) -> Result<Table, Problems> {
    let separator = if text.lines().find(|l| !l.trim().is_empty()).is_some_and(|l| l.contains('\t')) { b'\t' } else { b',' };
    let mut reader = csv::ReaderBuilder::new();
    // The header of a script's table looks like a comment.
    let body = text.trim_start().strip_prefix('#').unwrap_or(text.trim_start());
    let before = text.len() - text.trim_start().len();
    let skipped = text[..before].matches('\n').count() as u64;
    let mut reader = reader.delimiter(separator).trim(csv::Trim::All).comment(Some(b'#')).flexible(true).from_reader(body.as_bytes());
    let place = |p: Option<&csv::Position>| Place { file: name.into(), line: p.map_or(1, |p| p.line() + skipped) as u32, column: 1 };
    let broken = |e: csv::Error| Problems::from(Diagnostic::error(format!("this is no table: {e}")).at(place(e.position())));
    let head = reader.headers().map_err(broken)?.clone();
    if head.iter().all(str::is_empty) {
        return Err(Diagnostic::file(name, "it is empty").hint("a table begins with the names of its columns").into());
    }
    let column = |c: &str| {
        let (name, unit) = c.split_once(" (").unwrap_or((c, ""));
        Column { name: name.trim().into(), unit: unit.trim_end_matches(')').into() }
    };
    let columns: Vec<Column> = head.iter().map(column).collect();
    let mut problems = Problems::new();
    let mut values = Vec::new();
    for row in reader.records() {
        let row = row.map_err(broken)?;
        let numbers: Vec<Option<f64>> = row.iter().map(|v| v.parse().ok()).collect();
        if numbers.len() != columns.len() || numbers.contains(&None) {
            let bad = numbers.iter().position(Option::is_none);
            let message = bad.map_or_else(
                || format!("{} values for {} columns", numbers.len(), columns.len()),
                |k| format!("value {} is not a number", k + 1),
            );
            problems.push(Diagnostic::error(message).at(place(row.position())));
            if problems.iter().count() == 10 {
                break;
            }
        }
        values.extend(numbers.into_iter().flatten());
    }
    problems.into_result(Some(Table { columns, values }))
}

fn tables(path: &Path, options: &Options) -> Result<Vec<Named>, Problems> {
    if !is_record(path) {
        return Ok(vec![Named { label: String::new(), table: read_table(path)? }]);
    }
    let record = Record::open(path)?;
    let replicas = &record.header().replicas;
    if let Some(r) = options.replica.iter().find(|r| **r >= replicas.len()) {
        let d = Diagnostic::file(path.display().to_string(), format!("there is no replica {r}"));
        return Err(d.hint(format!("it has {}, counted from 0", replicas.len())).into());
    }
    let wanted = (0..replicas.len()).filter(|r| options.replica.is_empty() || options.replica.contains(r));
    wanted.map(|r| Ok(Named { label: replicas[r].label.clone(), table: record.table(r)? })).collect()
}

/// A column's number in a table.
fn column(table: &Table, name: &str, file: &Path) -> Result<usize, Problems> {
    let names = || table.columns.iter().map(|c| c.name.as_str());
    names().position(|n| n == name).ok_or_else(|| {
        let hint = nearest(name, names()).map_or_else(|| format!("there is {}", one_of(names())), |n| format!("did you mean `{n}`?"));
        Diagnostic::file(file.display().to_string(), format!("the table has no column `{name}`")).hint(hint).into()
    })
}

/// The figure of what was asked for.
fn lines(options: &Options) -> Result<Plot, Problems> {
    let mut problems = Problems::new();
    let mut plot = Plot { name: "plot".into(), title: String::new(), x: Default::default(), y: Default::default(), lines: Vec::new() };
    let mut unit: Option<String> = None;
    for file in &options.files {
        for Named { label, table } in problems.take(tables(file, options)).unwrap_or_default() {
            let first = table.columns.first().map_or("", |c| c.name.as_str()).to_string();
            let Some(x) = problems.take(column(&table, options.x.as_deref().unwrap_or(&first), file)) else { continue };
            let m: Vec<String> =
                ["mx", "my", "mz"].iter().filter(|m| table.columns.iter().any(|c| c.name == **m)).map(|m| m.to_string()).collect();
            let second = || table.columns.iter().skip(1).find(|c| c.name != "phase").map(|c| vec![c.name.clone()]).unwrap_or_default();
            let names = if !options.y.is_empty() {
                options.y.clone()
            } else if m.is_empty() {
                second()
            } else {
                m
            };
            let pick = |c: usize| -> Vec<f64> { table.values.iter().skip(c).step_by(table.columns.len()).copied().collect() };
            let keep: Option<Vec<bool>> = if options.ends {
                let Some(phase) = problems.take(column(&table, "phase", file)).map(pick) else { continue };
                Some((0..phase.len()).map(|i| i + 1 == phase.len() || phase[i + 1] != phase[i]).collect())
            } else {
                None
            };
            let pick = |c: usize| -> Vec<f64> {
                let all = pick(c).into_iter().enumerate();
                all.filter(|(i, _)| keep.as_ref().is_none_or(|k| k[*i])).map(|(_, v)| v).collect()
            };
            for name in &names {
                let Some(y) = problems.take(column(&table, name, file)) else { continue };
                let this = table.columns[y].unit.clone();
                if *unit.get_or_insert_with(|| this.clone()) != this {
                    let message = format!("`{name}` is in {this}, another column in {}", unit.as_deref().unwrap_or_default());
                    problems.push(
                        Diagnostic::file(file.display().to_string(), message).hint("one figure shows columns of one unit: take --y apart"),
                    );
                    continue;
                }
                let (mut xs, mut ys) = (pick(x), pick(y));
                plot.x = (table.columns[x].name.clone(), table.columns[x].unit.clone());
                if options.spectrum {
                    let Some(pair) = problems.take(spectrum(&xs, &ys).map_err(|m| Diagnostic::file(file.display().to_string(), m).into()))
                    else {
                        continue;
                    };
                    (xs, ys) = pair;
                    plot.x =
                        if plot.x.1 == "s" { ("f".into(), "Hz".into()) } else { (format!("1/{}", plot.x.0), format!("1/{}", plot.x.1)) };
                }
                let stem = if options.files.len() > 1 { file.display().to_string() } else { String::new() };
                let words = [name.as_str(), &label, &stem].into_iter().filter(|w| !w.is_empty()).collect::<Vec<_>>().join(", ");
                plot.lines.push(Line { label: words, x: xs, y: ys, measured: options.ends });
            }
            plot.y = (if names.len() == 1 { names[0].clone() } else { names.join(", ") }, unit.clone().unwrap_or_default());
        }
    }
    problems.into_result(Some(plot))
}

/// Amplitudes of a column at the frequencies 1/T, 2/T, … The values are taken at even times by straight lines between rows, without their mean, through a Hann window
/// w; amplitude = 2 |Σ w x e^(−2πi f t)| / Σ w, so that a sine in the middle of a bin shows its own.
///
/// # Errors
/// Fewer than 8 rows, or times that do not increase.
fn spectrum(t: &[f64], values: &[f64]) -> Result<(Vec<f64>, Vec<f64>), String> {
    let n = t.len();
    if n < 8 {
        return Err(format!("{n} rows are too few for a spectrum"));
    }
    if !t.windows(2).all(|w| w[1] > w[0]) || values.iter().any(|v| !v.is_finite()) {
        return Err("a spectrum wants increasing times and finite values".into());
    }
    // n values n T/(n - 1) long: the row after the last would begin the next period.
    let step = (t[n - 1] - t[0]) / (n - 1) as f64;
    let mut k = 0;
    let even: Vec<f64> = (0..n)
        .map(|i| {
            let at = t[0] + i as f64 * step;
            while k + 2 < n && t[k + 1] < at {
                k += 1;
            }
            let part = ((at - t[k]) / (t[k + 1] - t[k])).clamp(0.0, 1.0);
            values[k] + part * (values[k + 1] - values[k])
        })
        .collect();
    let bins = windowed_spectrum(&even);
    Ok(bins.iter().enumerate().skip(1).map(|(i, c)| (i as f64 / (n as f64 * step), 4.0 * c.norm() / n as f64)).unzip())
}

/// The numbers of a figure, a row a point.
fn numbers(plot: &Plot) -> Vec<u8> {
    let unit = |(name, unit): &(String, String)| format!("{name} ({unit})");
    let mut out = csv::Writer::from_writer(Vec::new());
    let mut rows = vec![vec!["line".to_string(), unit(&plot.x), unit(&plot.y)]];
    for line in &plot.lines {
        rows.extend(line.x.iter().zip(&line.y).map(|(x, y)| vec![line.label.clone(), format!("{x:e}"), format!("{y:e}")]));
    }
    // Into memory, and every row has three cells: nothing can fail.
    rows.iter().for_each(|r| drop(out.write_record(r)));
    out.into_inner().unwrap_or_default()
}

// --- fields

fn field(file: &Path, options: &Options) -> Result<Ovf, Problems> {
    let name = file.display().to_string();
    let mut field = if is_record(file) {
        let record = Record::open(file)?;
        let fields = record.fields()?;
        let frames = fields.iter().find(|f| f.name == options.field).map_or(0, |f| f.frames.len()) as i64;
        let asked = options.frame.unwrap_or(-1);
        let index = if asked < 0 { frames + asked } else { asked };
        if frames > 0 && !(0..frames).contains(&index) {
            let d = Diagnostic::file(name, format!("there are {frames} frames of {}, number {asked} was asked for", options.field));
            return Err(d.hint("they count from 0; -1 is the last").into());
        }
        let frame = record.frame(&options.field, index.max(0) as usize)?;
        Ovf::new(&record.header().mesh, &frame)
    } else {
        Ovf::load(file, [1e-9; 3])?
    };
    if let Some(k) = options.component.as_deref().and_then(|c| ["x", "y", "z"].iter().position(|a| *a == c)) {
        if k >= field.components() {
            return Err(Diagnostic::file(name, format!("it has {} component(s)", field.components())).into());
        }
        field = field.component(k);
    }
    if options.layer >= field.mesh.n[2] {
        let d = Diagnostic::file(name, format!("there is no layer {}", options.layer));
        return Err(d.hint(format!("it has {}, counted from 0 below", field.mesh.n[2])).into());
    }
    if ![1, 3].contains(&field.components()) {
        return Err(Diagnostic::file(name, format!("a picture of {} components", field.components()))
            .hint("convert one with --component")
            .into());
    }
    Ok(field)
}

/// A picture inside SVG; pixels stay square.
fn embedded(picture: &RgbImage, [x, y, width, height]: [i32; 4]) -> String {
    let mut png = Cursor::new(Vec::new());
    // Into memory, at a size that exists already: nothing can fail.
    let _ = picture.write_to(&mut png, ImageFormat::Png);
    format!(
        "<image x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" preserveAspectRatio=\"none\" style=\"image-rendering:pixelated\" \
         href=\"data:image/png;base64,{}\"/>\n",
        BASE64_STANDARD.encode(png.into_inner())
    )
}

/// Size of the legend: the wheel of directions, or the scale of numbers.
const LEGEND: u32 = 72;

/// The wheel of in-plane directions, or a scale from black (below) to white.
fn legend(vectors: bool) -> RgbImage {
    RgbImage::from_fn(LEGEND, LEGEND, |x, y| {
        let to = |v: u32| 2.0 * (f64::from(v) + 0.5) / f64::from(LEGEND) - 1.0;
        let (x, y) = (to(x), -to(y));
        image::Rgb(if !vectors {
            if x < -0.4 { [(127.5 * (1.0 + y)) as u8; 3] } else { [255; 3] }
        } else if x * x + y * y > 1.0 {
            [255; 3]
        } else {
            // The hemisphere from above: white in the middle is +z.
            direction_colour([x, y, (1.0 - x * x - y * y).sqrt()])
        })
    })
}

fn field_figure(field: &Ovf, options: &Options, png: bool) -> Result<Vec<u8>, Problems> {
    let picture = field.picture(options.layer, None);
    let spinloom_record::Mesh { n, cell, origin, .. } = field.mesh;
    let cannot =
        |e: &dyn std::fmt::Display| Problems::from(Diagnostic::file(options.out.display().to_string(), format!("cannot be drawn: {e}")));
    if png {
        let scale = (512 / n[0].max(n[1]) as u32).max(1);
        let large = imageops::resize(&picture, n[0] as u32 * scale, n[1] as u32 * scale, imageops::FilterType::Nearest);
        let mut bytes = Cursor::new(Vec::new());
        large.write_to(&mut bytes, ImageFormat::Png).map_err(|e| cannot(&e))?;
        return Ok(bytes.into_inner());
    }
    let axis = |a: usize| 1e9 * origin[a]..1e9 * (origin[a] + n[a] as f64 * cell[a]);
    let aspect = (n[1] as f64 * cell[1]) / (n[0] as f64 * cell[0]);
    let (width, height) = (520.0, (520.0 * aspect).clamp(40.0, 1040.0));
    let size = (width as u32 + 62 + 24 + LEGEND + 60, (height as u32).max(LEGEND) + 40 + 40);
    let mut text = String::new();
    let draw = |text: &mut String| -> Result<[i32; 4], Box<dyn std::error::Error>> {
        let root = SVGBackend::with_string(text, size).into_drawing_area();
        root.fill(&WHITE)?;
        let (left, _) = root.split_horizontally(width as u32 + 62 + 12);
        let (upper, _) = left.split_vertically(height as u32 + 40 + 12);
        let mut chart = ChartBuilder::on(&upper)
            .margin_top(12)
            .margin_right(12)
            .x_label_area_size(40)
            .y_label_area_size(62)
            .build_cartesian_2d(axis(0), axis(1))?;
        chart
            .configure_mesh()
            .disable_mesh()
            .x_desc("x (nm)")
            .y_desc("y (nm)")
            .y_labels((height / 50.0) as usize + 2)
            .label_style(("sans-serif", 13))
            .axis_desc_style(("sans-serif", 14))
            .draw()?;
        let (x, y) = chart.plotting_area().get_pixel_range();
        root.present()?;
        Ok([x.start, y.start, x.end - x.start, y.end - y.start])
    };
    let place = draw(&mut text).map_err(|e| cannot(&e))?;
    let right = place[0] + place[2] + 24;
    let mut more = embedded(&picture, place) + &embedded(&legend(field.components() == 3), [right, 12, LEGEND as i32, LEGEND as i32]);
    let unit = field.units[0].as_str();
    let finite = || field.data.iter().copied().filter(|v| v.is_finite());
    let (low, high) = (finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max));
    let words: Vec<(i32, i32, String)> = if field.components() == 3 {
        vec![(right, LEGEND as i32 + 30, format!("{}, white: +z", field.title))]
    } else {
        let shown = |v: f64| if unit == "1" { format!("{v:.3e}") } else { format!("{v:.3e} {unit}") };
        vec![(right + 26, 24, shown(high)), (right + 26, LEGEND as i32 + 10, shown(low)), (right, LEGEND as i32 + 30, field.title.clone())]
    };
    for (x, y, words) in words {
        more += &format!("<text x=\"{x}\" y=\"{y}\" font-family=\"sans-serif\" font-size=\"12\">{}</text>\n", report::escape(&words));
    }
    let end = text.rfind("</svg>").unwrap_or(text.len());
    text.insert_str(end, &more);
    Ok(text.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sine_is_a_peak_of_its_own_height_at_its_own_frequency() {
        // 10 ns in 1000 rows that are not even: 5 and 12 GHz lie in the middle of bins 50 and 120, over a mean of 2.
        let wobble = |i: usize| 1e-11 * (i as f64 + 0.2 * (7.0 * i as f64).sin() * f64::from(u8::from(i > 0 && i < 999)));
        let t: Vec<f64> = (0..1000).map(wobble).collect();
        let of = |f: f64, t: f64| (2.0 * std::f64::consts::PI * f * t).sin();
        let values: Vec<f64> = t.iter().map(|t| 2.0 + 0.3 * of(5e9, *t) + 0.1 * of(12e9, *t)).collect();
        let (f, a) = spectrum(&t, &values).unwrap();
        assert_eq!(f.len(), 500);
        // Straight lines between points 10 ps apart lose up to (2π f h)²/8, 7 % at 12 GHz, where they do not meet a row.
        for (bin, frequency, amplitude) in [(49, 5e9, 0.3), (119, 12e9, 0.1)] {
            assert!((f[bin] / frequency - 1.0).abs() < 1e-9, "{}", f[bin]);
            assert!((a[bin] / amplitude - 1.0).abs() < 0.07, "{}", a[bin]);
            assert!(a[bin] > a[bin - 1] && a[bin] > a[bin + 1]);
        }
        assert!(a[80] < 0.01 && a[300] < 0.01);
        assert!(spectrum(&t[..5], &values[..5]).is_err() && spectrum(&[0.0; 9], &[0.0; 9]).is_err());
    }
}
