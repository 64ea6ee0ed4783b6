//! Quantities as people write them (`384 nm`, `1000 Oe`, `7e11 A/m^2`) and the dimensions they must have.

use std::fmt;

/// Exponents of the SI base units metre, kilogram, second, ampere and kelvin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Dimension(pub [i8; 5]);

macro_rules! dimensions {
    ($($(#[$doc:meta])* $name:ident = $exponents:expr, $words:literal, $example:literal;)*) => {
        impl Dimension {
            $($(#[$doc])* pub const $name: Dimension = Dimension($exponents);)*

            /// What a person calls this dimension, with an example of how to write it.
            pub fn words(self) -> Option<(&'static str, &'static str)> {
                $(if self == Self::$name { return Some(($words, $example)); })*
                None
            }
        }
    };
}

dimensions! {
    /// A pure number.
    NONE = [0, 0, 0, 0, 0], "a pure number", "0.5";
    /// Metres.
    LENGTH = [1, 0, 0, 0, 0], "a length", "384 nm";
    /// Square metres.
    AREA = [2, 0, 0, 0, 0], "an area", "64 nm^2";
    /// Seconds.
    TIME = [0, 0, 1, 0, 0], "a time", "1.5 ns";
    /// Hertz.
    FREQUENCY = [0, 0, -1, 0, 0], "a frequency", "1 GHz";
    /// Metres per second.
    VELOCITY = [1, 0, -1, 0, 0], "a velocity", "100 m/s";
    /// Tesla; `Oe` counts as 1e-4 T, `A/m` (see [`parse`]) as mu0 times its value.
    FIELD = [0, 1, -2, -1, 0], "a magnetic field", "100 mT` or `1000 Oe";
    /// Amperes per metre.
    MAGNETISATION = [-1, 0, 0, 1, 0], "a magnetisation", "1e6 A/m";
    /// Amperes per square metre.
    CURRENT_DENSITY = [-2, 0, 0, 1, 0], "a current density", "7e11 A/m^2";
    /// Amperes.
    CURRENT = [0, 0, 0, 1, 0], "a current", "1 mA";
    /// Joules per metre.
    EXCHANGE = [1, 1, -2, 0, 0], "an exchange stiffness", "15 pJ/m";
    /// Joules per square metre.
    SURFACE_ENERGY = [0, 1, -2, 0, 0], "an energy per area", "0.5 mJ/m^2";
    /// Joules per cubic metre.
    ENERGY_DENSITY = [-1, 1, -2, 0, 0], "an energy density", "1e6 J/m^3";
    /// Joules.
    ENERGY = [2, 1, -2, 0, 0], "an energy", "1 pJ";
    /// Kelvin.
    TEMPERATURE = [0, 0, 0, 0, 1], "a temperature", "300 K";
    /// Volts.
    VOLTAGE = [2, 1, -3, -1, 0], "a voltage", "54 uV";
    /// Volts per metre.
    ELECTRIC_FIELD = [1, 1, -3, -1, 0], "an electric field", "1 V/nm";
    /// Joules per volt and metre.
    VCMA = [-1, 0, 1, 1, 0], "an energy per area and electric field", "100 fJ/(V m)";
    /// Ohms.
    RESISTANCE = [2, 1, -3, -2, 0], "a resistance", "1 kOhm";
    /// Siemens.
    CONDUCTANCE = [-2, -1, 3, 2, 0], "a conductance", "400 uS";
    /// Ohm metres.
    RESISTIVITY = [3, 1, -3, -2, 0], "a resistivity", "20 uOhm cm";
    /// Ohm square metres.
    RESISTANCE_AREA = [4, 1, -3, -2, 0], "a resistance-area product", "10 Ohm um^2";
    /// Joules per kelvin.
    HEAT_CAPACITY = [2, 1, -2, 0, -1], "a heat capacity", "1 fJ/K";
    /// Kelvin per watt.
    THERMAL_RESISTANCE = [-2, -1, 3, 0, 1], "a thermal resistance", "1 K/uW";
    /// Watts per metre and kelvin.
    THERMAL_CONDUCTIVITY = [1, 1, -3, 0, -1], "a thermal conductivity", "90 W/(m K)";
    /// Watts per square metre and kelvin.
    THERMAL_CONDUCTANCE = [0, 1, -3, 0, -1], "a thermal conductance per area", "100 MW/(m^2 K)";
    /// Joules per cubic metre and kelvin.
    VOLUMETRIC_HEAT = [-1, 1, -2, 0, -1], "a heat capacity per volume", "3.7e6 J/(m^3 K)";
    /// Radians per tesla second.
    GYROMAGNETIC = [0, -1, 1, 1, 0], "a gyromagnetic ratio", "1.7595e11 rad/(T s)";
}

impl Dimension {
    fn times(self, other: Dimension, power: i8) -> Dimension {
        Dimension(std::array::from_fn(|i| self.0[i] + power * other.0[i]))
    }
}

impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((words, _)) = self.words() {
            return f.write_str(words);
        }
        let mut first = true;
        for (symbol, exponent) in ["m", "kg", "s", "A", "K"].iter().zip(self.0) {
            if exponent != 0 {
                if !first {
                    f.write_str(" ")?;
                }
                first = false;
                f.write_str(symbol)?;
                if exponent != 1 {
                    write!(f, "^{exponent}")?;
                }
            }
        }
        Ok(())
    }
}

/// A unit: how many SI units it is, and of which dimension.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Unit {
    /// Multiply a value in this unit by `factor` to get SI.
    pub factor: f64,
    /// Its dimension.
    pub dimension: Dimension,
}

const SYMBOLS: &[(&str, f64, Dimension, bool)] = &[
    // symbol, SI factor, dimension, takes prefixes
    ("m", 1.0, Dimension::LENGTH, true),
    ("s", 1.0, Dimension::TIME, true),
    ("A", 1.0, Dimension::CURRENT, true),
    ("K", 1.0, Dimension::TEMPERATURE, true),
    ("g", 1e-3, Dimension([0, 1, 0, 0, 0]), true),
    ("T", 1.0, Dimension::FIELD, true),
    ("J", 1.0, Dimension::ENERGY, true),
    ("eV", crate::constants::E_CHARGE, Dimension::ENERGY, true),
    ("V", 1.0, Dimension::VOLTAGE, true),
    ("Ohm", 1.0, Dimension::RESISTANCE, true),
    ("ohm", 1.0, Dimension::RESISTANCE, true),
    ("Ω", 1.0, Dimension::RESISTANCE, true),
    ("S", 1.0, Dimension::CONDUCTANCE, true),
    ("W", 1.0, Dimension([2, 1, -3, 0, 0]), true),
    ("Hz", 1.0, Dimension::FREQUENCY, true),
    ("N", 1.0, Dimension([1, 1, -2, 0, 0]), true),
    ("Oe", 1e-4, Dimension::FIELD, true),
    ("G", 1e-4, Dimension::FIELD, true),
    ("rad", 1.0, Dimension::NONE, false),
    ("deg", std::f64::consts::PI / 180.0, Dimension::NONE, false),
    ("%", 0.01, Dimension::NONE, false),
    ("1", 1.0, Dimension::NONE, false),
];

const PREFIXES: &[(&str, f64)] = &[
    ("f", 1e-15),
    ("p", 1e-12),
    ("n", 1e-9),
    ("u", 1e-6),
    ("µ", 1e-6),
    ("μ", 1e-6),
    ("m", 1e-3),
    ("c", 1e-2),
    ("k", 1e3),
    ("M", 1e6),
    ("G", 1e9),
    ("T", 1e12),
];

fn symbol(text: &str) -> Option<Unit> {
    if let Some((_, factor, dimension, _)) = SYMBOLS.iter().find(|s| s.0 == text) {
        return Some(Unit { factor: *factor, dimension: *dimension });
    }
    PREFIXES.iter().find_map(|(prefix, scale)| {
        let rest = text.strip_prefix(prefix)?;
        let (_, factor, dimension, _) = SYMBOLS.iter().find(|s| s.0 == rest && s.3)?;
        Some(Unit { factor: scale * factor, dimension: *dimension })
    })
}

/// Reads a unit such as `A/m^2`, `mJ/m2`, `rad/(T s)` or `uOhm cm`. Everything after a slash, up to the next slash, divides.
///
/// # Errors
/// The part that is not a unit.
pub fn parse_unit(text: &str) -> Result<Unit, String> {
    let mut unit = Unit { factor: 1.0, dimension: Dimension::NONE };
    for (i, part) in text.split('/').enumerate() {
        let sign: i32 = if i == 0 { 1 } else { -1 };
        for word in part.split(|c: char| c.is_whitespace() || "*·()".contains(c)).filter(|w| !w.is_empty()) {
            let split = word.find(|c: char| c == '^' || c == '-' || c.is_ascii_digit()).filter(|&i| i > 0).unwrap_or(word.len());
            let (name, power) = word.split_at(split);
            let power: i32 = match power.trim_start_matches('^') {
                "" => 1,
                p => p.parse().map_err(|_| word.to_string())?,
            };
            let base = symbol(name).ok_or_else(|| name.to_string())?;
            unit.factor *= base.factor.powi(sign * power);
            unit.dimension = unit.dimension.times(base.dimension, (sign * power) as i8);
        }
    }
    Ok(unit)
}

/// `value * factor`, but dividing where the factor is one over a whole number, so that `384 nm` is exactly `384e-9`.
fn scale(value: f64, factor: f64) -> f64 {
    let inverse = (1.0 / factor).round();
    if factor < 1.0 && (inverse * factor - 1.0).abs() < 1e-12 { value / inverse } else { value * factor }
}

fn split(text: &str) -> (&str, &str) {
    let end = text
        .char_indices()
        .find(|&(i, c)| {
            let exponent = (c == 'e' || c == 'E') && text[i + 1..].starts_with(|d: char| d.is_ascii_digit() || d == '-' || d == '+');
            let sign = (c == '-' || c == '+') && (i == 0 || text[..i].ends_with(['e', 'E']));
            !(c.is_ascii_digit() || c == '.' || c == '_' || exponent || sign)
        })
        .map_or(text.len(), |(i, _)| i);
    (&text[..end], text[end..].trim())
}

/// The dimension of a quantity as written, if it is one.
pub fn dimension_of(text: &str) -> Option<Dimension> {
    let (number, unit) = split(text.trim());
    number.parse::<f64>().ok()?;
    parse_unit(unit).ok().map(|u| u.dimension)
}

/// The SI unit of a dimension, in a form that [`parse_unit`] reads.
pub fn si_symbol(dimension: Dimension) -> String {
    for (name, factor, d, _) in SYMBOLS {
        if *factor == 1.0 && *d == dimension {
            return (*name).to_string();
        }
    }
    // As the field writes them.
    for text in ["A/m", "A/m^2", "J/m", "J/m^2", "J/m^3", "m/s", "m^2", "rad/(T s)", "Ohm m", "Ohm m^2"] {
        if parse_unit(text).is_ok_and(|u| u.dimension == dimension) {
            return text.to_string();
        }
    }
    let parts: Vec<String> = ["m", "kg", "s", "A", "K"]
        .iter()
        .zip(dimension.0)
        .filter(|(_, e)| *e != 0)
        .map(|(s, e)| if e == 1 { s.to_string() } else { format!("{s}^{e}") })
        .collect();
    parts.join(" ")
}

/// Why a text is not a quantity of the wanted dimension.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantityError {
    /// What is wrong.
    pub message: String,
    /// How to write it.
    pub hint: String,
}

/// Reads `384 nm`-like text into SI, checking the dimension. Where a field in tesla is wanted, `A/m` is taken as H and multiplied by mu0.
///
/// # Errors
/// What is wrong with it and how to write it.
pub fn parse(text: &str, wanted: Dimension) -> Result<f64, QuantityError> {
    let example = wanted.words().map(|(_, e)| format!("write it like `{e}`")).unwrap_or_default();
    let fail = |message: String| QuantityError { message, hint: example.clone() };
    let text = text.trim();
    let (number, unit_text) = split(text);
    let value: f64 = number.replace('_', "").parse().map_err(|_| fail(format!("`{text}` is not a number with a unit")))?;
    if unit_text.is_empty() && wanted != Dimension::NONE {
        if value == 0.0 {
            return Ok(0.0);
        }
        return Err(fail(format!("`{text}` has no unit; {wanted} is wanted")));
    }
    let unit = parse_unit(unit_text).map_err(|part| fail(format!("`{part}` in `{text}` is not a unit")))?;
    if unit.dimension == wanted {
        Ok(scale(value, unit.factor))
    } else if wanted == Dimension::FIELD && unit.dimension == Dimension::MAGNETISATION {
        Ok(value * unit.factor * crate::constants::MU0)
    } else {
        Err(fail(format!("`{text}` is {}; {wanted} is wanted", unit.dimension)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_of_the_field_are_read() {
        let cases = [
            ("384 nm", Dimension::LENGTH, 384e-9),
            ("1000 Oe", Dimension::FIELD, 0.1),
            ("-24.6 mT", Dimension::FIELD, -24.6e-3),
            ("7e11 A/m^2", Dimension::CURRENT_DENSITY, 7e11),
            ("0.5 mJ/m2", Dimension::SURFACE_ENERGY, 5e-4),
            ("1.5e-11 J/m", Dimension::EXCHANGE, 1.5e-11),
            ("1.7595e11 rad/(T s)", Dimension::GYROMAGNETIC, 1.7595e11),
            ("20 uOhm cm", Dimension::RESISTIVITY, 2e-7),
            ("400 uS", Dimension::CONDUCTANCE, 4e-4),
            ("10 Ohm um^2", Dimension::RESISTANCE_AREA, 1e-11),
            ("1 MA/m", Dimension::MAGNETISATION, 1e6),
            ("54 uV", Dimension::VOLTAGE, 54e-6),
            ("0", Dimension::LENGTH, 0.0),
            ("0.012", Dimension::NONE, 0.012),
        ];
        for (text, dimension, si) in cases {
            let read = parse(text, dimension).unwrap_or_else(|e| panic!("{text}: {}", e.message));
            assert!((read - si).abs() <= 1e-12 * si.abs(), "{text}: {read} is not {si}");
        }
    }

    #[test]
    fn a_field_in_ampere_per_metre_is_h() {
        // 80 kA/m is 0.1005 T (mu0 H).
        assert!((parse("80 kA/m", Dimension::FIELD).unwrap() - 0.100_530_96).abs() < 1e-7);
    }

    #[test]
    fn every_named_dimension_has_a_unit_that_reads_back() {
        for d in
            [Dimension::FIELD, Dimension::CURRENT_DENSITY, Dimension::EXCHANGE, Dimension::LENGTH, Dimension::GYROMAGNETIC, Dimension::NONE]
        {
            let text = format!("2 {}", si_symbol(d));
            assert_eq!(parse(&text, d), Ok(2.0), "{text}");
            assert_eq!(dimension_of(&text), Some(d));
        }
    }

    #[test]
    fn a_wrong_dimension_is_named() {
        let e = parse("3 ns", Dimension::LENGTH).unwrap_err();
        assert_eq!(e.message, "`3 ns` is a time; a length is wanted");
        assert!(parse("3", Dimension::LENGTH).unwrap_err().message.contains("no unit"));
        assert!(parse("3 parsec", Dimension::LENGTH).unwrap_err().message.contains("`parsec`"));
    }
}
