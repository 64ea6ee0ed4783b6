//! Settings of benchmarks: a structure, its defaults, its ranges and its reader from one list, so that every value that is refused names its place.

use spinloom_base::{Dimension, Node, Problems};
use std::path::PathBuf;

/// What can stand behind a key.
pub(crate) trait Setting: Sized {
    /// Reads it; adds what is wrong.
    fn read(node: &Node, problems: &mut Problems) -> Option<Self>;

    /// The numbers in it, which a range bounds.
    fn numbers(&self) -> Vec<f64> {
        Vec::new()
    }
}

impl Setting for f64 {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        node.quantity(Dimension::NONE, problems)
    }

    fn numbers(&self) -> Vec<f64> {
        vec![*self]
    }
}

impl Setting for usize {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        node.count(problems)
    }

    fn numbers(&self) -> Vec<f64> {
        vec![*self as f64]
    }
}

impl Setting for bool {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        node.bool(problems)
    }
}

impl Setting for PathBuf {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        node.text(problems).map(PathBuf::from)
    }
}

impl<T: Setting> Setting for Vec<T> {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        let list: Option<Vec<T>> = node.list(problems)?.iter().map(|n| T::read(n, problems)).collect();
        if list.as_ref().is_some_and(Vec::is_empty) {
            problems.push(node.error("this list is empty").hint("give at least one value, or leave the key out"));
            return None;
        }
        list
    }

    fn numbers(&self) -> Vec<f64> {
        self.iter().flat_map(Setting::numbers).collect()
    }
}

impl<T: Setting> Setting for Option<T> {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        T::read(node, problems).map(Some)
    }

    fn numbers(&self) -> Vec<f64> {
        self.iter().flat_map(Setting::numbers).collect()
    }
}

/// A quantity with a unit: its SI value.
macro_rules! quantity {
    ($($(#[$doc:meta])* $name:ident: $dimension:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
        #[serde(transparent)]
        pub struct $name(pub f64);

        impl Setting for $name {
            fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
                node.quantity(Dimension::$dimension, problems).map(Self)
            }

            fn numbers(&self) -> Vec<f64> {
                vec![self.0]
            }
        }
    )*};
}
quantity! {
    /// Siemens.
    Siemens: CONDUCTANCE;
    /// Seconds.
    Seconds: TIME;
}

/// One of a few words.
macro_rules! choice {
    ($(#[$doc:meta])* $name:ident { $($(#[$each:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum $name { $($(#[$each])* $variant),+ }

        impl $name {
            /// All of them.
            #[allow(dead_code, reason = "not every choice is listed somewhere")]
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Its word.
            #[allow(dead_code, reason = "not every choice is printed")]
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl $crate::settings::Setting for $name {
            fn read(node: &spinloom_base::Node, problems: &mut spinloom_base::Problems) -> Option<Self> {
                node.choice(&[$($word),+], problems).map(|i| Self::ALL[i])
            }
        }
    };
}

/// `name: type = default, range;` lines become a structure with `Default`, and a reader that knows every key and its range.
macro_rules! settings {
    ($(#[$doc:meta])* $name:ident: $what:literal { $($(#[$each:meta])* $field:ident: $type:ty = $default:expr $(, $range:expr)?;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize)]
        pub struct $name { $($(#[$each])* pub $field: $type),* }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default),* }
            }
        }

        impl $crate::settings::Setting for $name {
            fn read(node: &spinloom_base::Node, problems: &mut spinloom_base::Problems) -> Option<Self> {
                let mut f = spinloom_base::Fields::of(node, $what, problems)?;
                #[allow(unused_mut)]
                let mut s = Self::default();
                let mut whole = true;
                $(if let Some(n) = f.optional(stringify!($field)) {
                    match <$type as $crate::settings::Setting>::read(n, problems) {
                        None => whole = false,
                        Some(v) => {
                            $(let range: std::ops::RangeInclusive<f64> = $range;
                            if let Some(x) = $crate::settings::Setting::numbers(&v).into_iter().find(|x| !range.contains(x)) {
                                problems.push(n.error(format!("{} = {x} cannot be used", stringify!($field))).hint(format!("{} to {}", range.start(), range.end())));
                                whole = false;
                            })?
                            s.$field = v;
                        }
                    }
                })*
                f.finish(problems);
                whole.then_some(s)
            }
        }
    };
}

pub(crate) use {choice, settings};

#[cfg(test)]
mod tests {
    use super::*;
    use spinloom_base::Document;

    choice!(Colour { Red = "red", Green = "green" });
    settings!(Paint: "the paint" {
        coats: usize = 2, 1.0..=9.0;
        gloss: f64 = 0.5, 0.0..=1.0;
        colour: Colour = Colour::Red;
        dry: Seconds = Seconds(60.0);
        shades: Vec<f64> = vec![1.0], 0.0..=2.0;
    });

    fn read(text: &str) -> Result<Paint, String> {
        let document = Document::parse("paint.yaml", text).unwrap();
        let mut problems = Problems::new();
        let paint = Paint::read(&document.root, &mut problems);
        problems.into_result(paint).map_err(|e| e.to_string())
    }

    #[test]
    fn keys_have_defaults_ranges_units_and_places() {
        assert_eq!(read("coats: 3").unwrap(), Paint { coats: 3, ..Paint::default() });
        assert_eq!(read("dry: 5 ns\ncolour: green").unwrap(), Paint { dry: Seconds(5e-9), colour: Colour::Green, ..Paint::default() });
        let e = read("coats: 3\ngloss: 1.5\ncolour: gren\nshade: 2").unwrap_err();
        assert!(e.contains("paint.yaml:2:8: gloss = 1.5 cannot be used") && e.contains("0 to 1"), "{e}");
        assert!(e.contains("did you mean `green`?") && e.contains("did you mean `shades`?"), "{e}");
        assert!(read("shades: [0.5, 3]").unwrap_err().contains("shades = 3"));
        assert!(read("shades: []").unwrap_err().contains("empty"));
    }
}
