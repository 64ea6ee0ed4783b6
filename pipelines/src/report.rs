//! Figures as SVG and pages as self-contained HTML.

use plotters::prelude::*;
use spinloom_extract::{Line, Plot};

const SIZE: (u32, u32) = (640, 400);

/// A factor and prefix that bring the largest value between 1 and 1000.
fn prefix(largest: f64) -> (f64, &'static str) {
    const PREFIXES: [(f64, &str); 9] =
        [(1e-12, "p"), (1e-9, "n"), (1e-6, "µ"), (1e-3, "m"), (1.0, ""), (1e3, "k"), (1e6, "M"), (1e9, "G"), (1e12, "T")];
    PREFIXES.iter().rev().find(|(f, _)| largest >= *f).copied().unwrap_or((1.0, ""))
}

/// Values in a readable unit, and that unit.
fn readable(values: impl Iterator<Item = f64>, unit: &str) -> (f64, String) {
    let largest = values.filter(|v| v.is_finite()).fold(0.0, |m: f64, v| m.max(v.abs()));
    if largest == 0.0 || matches!(unit, "1" | "" | "%") {
        return (1.0, if unit == "1" { String::new() } else { unit.to_string() });
    }
    // Compound units are shown by a power of ten, simple ones by a prefix.
    if unit.contains(['/', '^', ' ']) {
        let power = largest.log10().floor() as i32;
        return if (-2..4).contains(&power) { (1.0, unit.to_string()) } else { (10f64.powi(power), format!("10^{power} {unit}")) };
    }
    let (factor, p) = prefix(largest);
    (factor, format!("{p}{unit}"))
}

/// A figure as SVG text. Points for what was measured, lines for models.
pub fn svg(plot: &Plot) -> String {
    let mut out = String::new();
    if draw(plot, &mut out).is_err() {
        // Drawing into a string fails only on impossible sizes.
        return format!("<p>figure `{}` could not be drawn</p>", escape(&plot.name));
    }
    out
}

fn draw(plot: &Plot, out: &mut String) -> Result<(), Box<dyn std::error::Error>> {
    let all = |pick: fn(&Line) -> &Vec<f64>| plot.lines.iter().flat_map(move |l| pick(l).iter().copied());
    let (fx, ux) = readable(all(|l| &l.x), &plot.x.1);
    let (fy, uy) = readable(all(|l| &l.y), &plot.y.1);
    let range = |values: &mut dyn Iterator<Item = f64>| {
        let (low, high) = values.filter(|v| v.is_finite()).fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
        if low > high {
            return 0.0..1.0;
        }
        let margin = if high > low { 0.04 * (high - low) } else { 0.5 * high.abs().max(1e-3) };
        low - margin..high + margin
    };
    let x = range(&mut all(|l| &l.x).map(|v| v / fx));
    let y = range(&mut all(|l| &l.y).map(|v| v / fy));
    let root = SVGBackend::with_string(out, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root).margin(12).x_label_area_size(40).y_label_area_size(62).build_cartesian_2d(x, y)?;
    let label = |name: &str, unit: &str| if unit.is_empty() { name.to_string() } else { format!("{name} ({unit})") };
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_desc(label(&plot.x.0, &ux))
        .y_desc(label(&plot.y.0, &uy))
        .label_style(("sans-serif", 13))
        .axis_desc_style(("sans-serif", 14))
        .draw()?;
    const COLOURS: [RGBColor; 8] = [
        RGBColor(31, 119, 180),
        RGBColor(214, 39, 40),
        RGBColor(44, 160, 44),
        RGBColor(148, 103, 189),
        RGBColor(255, 127, 14),
        RGBColor(23, 190, 207),
        RGBColor(140, 86, 75),
        RGBColor(127, 127, 127),
    ];
    for (i, line) in plot.lines.iter().enumerate() {
        let colour = COLOURS[i % COLOURS.len()];
        let points: Vec<(f64, f64)> = line.x.iter().zip(&line.y).map(|(x, y)| (x / fx, y / fy)).collect();
        // Dense measured traces read better as a line too.
        if line.measured && points.len() <= 200 {
            let solid = points.iter().filter(|p| p.1.is_finite()).map(|p| Circle::new(*p, 3, colour.filled()));
            chart.draw_series(solid)?.label(&line.label).legend(move |(x, y)| Circle::new((x + 10, y), 3, colour.filled()));
        } else {
            let width = if line.measured { 2 } else { 1 };
            let mut first = true;
            for piece in points.split(|p| !p.1.is_finite()).filter(|p| !p.is_empty()) {
                let series = chart.draw_series(LineSeries::new(piece.iter().copied(), colour.stroke_width(width)))?;
                if first {
                    series.label(&line.label).legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], colour.stroke_width(2)));
                    first = false;
                }
            }
        }
    }
    if plot.lines.len() <= 8 {
        chart
            .configure_series_labels()
            .background_style(WHITE.mix(0.8))
            .border_style(RGBColor(200, 200, 200))
            .label_font(("sans-serif", 12))
            .draw()?;
    }
    root.present()?;
    Ok(())
}

/// Text safe inside HTML.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A table; the first row is the heading. Cells are text.
pub fn table(rows: &[Vec<String>]) -> String {
    let mut out = String::from("<table>");
    for (i, row) in rows.iter().enumerate() {
        let tag = if i == 0 { "th" } else { "td" };
        out.push_str("<tr>");
        for cell in row {
            out.push_str(&format!("<{tag}>{}</{tag}>", escape(cell)));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</table>\n");
    out
}

/// A confusion matrix, shaded by the share of each true class.
pub fn confusion(classes: &[String], counts: &[Vec<u32>]) -> String {
    let mut out = String::from("<table class=\"confusion\"><tr><th>true \\ answer</th>");
    for c in classes {
        out.push_str(&format!("<th>{}</th>", escape(c)));
    }
    out.push_str("</tr>\n");
    for (class, row) in classes.iter().zip(counts) {
        let total: u32 = row.iter().sum();
        out.push_str(&format!("<tr><th>{}</th>", escape(class)));
        for n in row {
            let share = f64::from(*n) / f64::from(total.max(1));
            out.push_str(&format!("<td style=\"background:rgba(31,119,180,{share:.3})\">{n}</td>"));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</table>\n");
    out
}

/// A page: no scripts, no network, everything inside.
pub fn page(title: &str, body: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title>\n<style>\n\
         body{{font:16px/1.5 sans-serif;max-width:56rem;margin:2rem auto;padding:0 1rem;color:#222}}\n\
         h1,h2,h3{{line-height:1.2}} table{{border-collapse:collapse;margin:1rem 0;font-size:14px;display:block;overflow-x:auto}}\n\
         th,td{{border:1px solid #ccc;padding:.2rem .5rem;text-align:right}} th{{background:#f4f4f4}}\n\
         figure{{margin:1.5rem 0}} figure svg{{max-width:100%;height:auto}} figcaption,.origin{{color:#666;font-size:13px;overflow-wrap:anywhere}}\n\
         pre{{background:#f4f4f4;padding:1rem;overflow-x:auto;font-size:13px}} .note{{border-left:4px solid #d62728;padding-left:.8rem}}\n\
         </style></head><body>\n<h1>{title}</h1>\n{body}</body></html>\n",
        title = escape(title)
    )
}
