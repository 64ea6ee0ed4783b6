//! `sprint` and `sprintf`.

use super::output::go_number;
use super::value::Value;
use std::fmt::Write as _;

/// What is put into a format.
#[derive(Clone, Debug)]
pub enum Arg<'a> {
    /// Text.
    Str(&'a str),
    /// Integer.
    Int(i64),
    /// Number.
    Float(f64),
    /// Anything else, as it prints.
    Other(String),
}

/// A value as Go prints it.
pub fn show(v: &Value) -> String {
    let list = |v: &[f64]| format!("[{}]", v.iter().map(|x| go_number(*x, false)).collect::<Vec<_>>().join(" "));
    match v {
        Value::Nothing => "<nil>".into(),
        Value::Bool(b) => b.to_string(),
        Value::Int(i) => i.to_string(),
        Value::Float(f) => go_number(*f, false),
        Value::Str(s) => s.to_string(),
        Value::Vector(v) => list(v),
        Value::Numbers(v) => list(v),
        Value::Quantity(q) => q.name(),
        Value::Data(d) => {
            let d = d.borrow();
            format!("data of {} component(s), {} x {} x {} cells", d.components, d.n[0], d.n[1], d.n[2])
        }
        Value::Duration(s) => {
            let (scale, unit) = [(1e-6, "ns"), (1e-3, "µs"), (1.0, "ms")]
                .into_iter()
                .zip([1e9, 1e6, 1e3])
                .find(|((below, _), _)| s < below)
                .map_or((1.0, "s"), |((_, u), k)| (k, u));
            format!("{}{unit}", go_number((s * scale * 1e9).round() / 1e9, false))
        }
        Value::Shape(_) => "shape".into(),
        Value::Config(_) => "configuration".into(),
        Value::Curve(_) => "function".into(),
        Value::Instant(_) => "time".into(),
        Value::Token(t) => (*t).into(),
    }
}

/// An argument from a value.
pub fn arg(v: &Value) -> Arg<'_> {
    match v {
        Value::Int(i) => Arg::Int(*i),
        Value::Float(f) => Arg::Float(*f),
        Value::Str(s) => Arg::Str(s),
        other => Arg::Other(show(other)),
    }
}

fn float(v: f64, verb: char, precision: Option<usize>) -> String {
    let exponential = |p: usize| {
        let text = format!("{v:.p$e}");
        let (m, e) = text.split_once('e').unwrap_or((&text, "0"));
        let e: i32 = e.parse().unwrap_or(0);
        format!("{m}e{}{:02}", if e < 0 { '-' } else { '+' }, e.abs())
    };
    match verb {
        'e' => exponential(precision.unwrap_or(6)),
        'f' | 'F' => format!("{v:.*}", precision.unwrap_or(6)),
        _ => match precision {
            None => go_number(v, false),
            Some(p) => {
                let p = p.max(1);
                let magnitude = if v == 0.0 { 0 } else { v.abs().log10().floor() as i32 };
                let trim = |s: String| if s.contains('.') { s.trim_end_matches('0').trim_end_matches('.').to_string() } else { s };
                if magnitude < -4 || magnitude >= p as i32 {
                    let text = exponential(p - 1);
                    let (m, e) = text.split_once('e').unwrap_or((&text, "+00"));
                    format!("{}e{e}", trim(m.to_string()))
                } else {
                    trim(format!("{v:.*}", (p as i32 - 1 - magnitude).max(0) as usize))
                }
            }
        },
    }
}

/// Go's `Sprintf` for the verbs that scripts use: `%v %d %s %q %f %e %g %x %X %o %b %c %t %%`, with flags, width and precision.
pub fn format(format: &str, arguments: &[Arg<'_>]) -> String {
    let mut out = String::new();
    let mut list = arguments.iter();
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let (mut zero, mut left, mut plus) = (false, false, false);
        while let Some(&f) = chars.peek() {
            match f {
                '0' => zero = true,
                '-' => left = true,
                '+' => plus = true,
                ' ' | '#' => {}
                _ => break,
            }
            chars.next();
        }
        let number = |chars: &mut std::iter::Peekable<std::str::Chars<'_>>| {
            let mut digits = String::new();
            while let Some(d) = chars.next_if(char::is_ascii_digit) {
                digits.push(d);
            }
            digits.parse::<usize>().ok()
        };
        let width = number(&mut chars).unwrap_or(0);
        let precision = if chars.next_if_eq(&'.').is_some() { Some(number(&mut chars).unwrap_or(0)) } else { None };
        let Some(verb) = chars.next() else {
            out.push_str("%!(NOVERB)");
            break;
        };
        if verb == '%' {
            out.push('%');
            continue;
        }
        let Some(a) = list.next() else {
            let _ = write!(out, "%!{verb}(MISSING)");
            continue;
        };
        let mut text = match (a, verb) {
            (Arg::Str(s), 'q') => format!("{s:?}"),
            (Arg::Str(s), _) => s.to_string(),
            (Arg::Int(i), 'x') => format!("{i:x}"),
            (Arg::Int(i), 'X') => format!("{i:X}"),
            (Arg::Int(i), 'o') => format!("{i:o}"),
            (Arg::Int(i), 'b') => format!("{i:b}"),
            (Arg::Int(i), 'c') => u32::try_from(*i).ok().and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER).to_string(),
            (Arg::Int(i), 'd' | 'v') => i.to_string(),
            (Arg::Int(i), v) => float(*i as f64, v, precision),
            // Numbers that are whole are what a script means by an integer.
            (Arg::Float(f), 'd') if (f - f.round()).abs() <= 1e-9 * f.abs() => format!("{f:.0}"),
            (Arg::Float(f), 'd') => format!("%!d(float64={})", go_number(*f, false)),
            (Arg::Float(f), v) => float(*f, v, precision),
            (Arg::Other(s), _) => s.clone(),
        };
        if plus && !text.starts_with('-') {
            text.insert(0, '+');
        }
        let pad = width.saturating_sub(text.chars().count());
        if left {
            text.extend(std::iter::repeat_n(' ', pad));
        } else if zero {
            let at = usize::from(text.starts_with(['-', '+']));
            text.insert_str(at, &"0".repeat(pad));
        } else {
            text.insert_str(0, &" ".repeat(pad));
        }
        out.push_str(&text);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_gos() {
        let text = format(
            "%s%06d|%v|%.3f|%5.1e|%g|%-4d|%+d|%%|%03d",
            &[
                Arg::Str("m"),
                Arg::Int(7),
                Arg::Float(1e-9),
                Arg::Float(2.0 / 3.0),
                Arg::Float(12345.0),
                Arg::Float(0.1),
                Arg::Int(5),
                Arg::Int(5),
                Arg::Int(-7),
            ],
        );
        assert_eq!(text, "m000007|1e-09|0.667|1.2e+04|0.1|5   |+5|%|-07");
        // Whole but for roundings, and not.
        assert_eq!(format("%d %d", &[Arg::Float(0.024 * 1000.0), Arg::Float(24.6)]), "24 %!d(float64=24.6)");
    }
}
