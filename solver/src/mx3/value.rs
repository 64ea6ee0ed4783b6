//! Values and types of the language.

use super::field::{Field, Quantity};
use super::shape::{Config, Shape};
use spinloom_kernels::ParameterId;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

/// A function of one number, from a file.
#[derive(Clone)]
pub struct Curve(pub Arc<dyn Fn(f64) -> f64 + Send + Sync>);

impl std::fmt::Debug for Curve {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("function")
    }
}

/// A value of a script.
#[derive(Clone, Debug)]
pub enum Value {
    /// What statements return.
    Nothing,
    /// Truth.
    Bool(bool),
    /// Integer.
    Int(i64),
    /// Number.
    Float(f64),
    /// Text.
    Str(Rc<str>),
    /// Three numbers.
    Vector([f64; 3]),
    /// A list of numbers.
    Numbers(Rc<Vec<f64>>),
    /// Shape.
    Shape(Shape),
    /// Configuration.
    Config(Config),
    /// Quantity.
    Quantity(Arc<Quantity>),
    /// Data in memory.
    Data(Rc<RefCell<Field>>),
    /// A function.
    Curve(Curve),
    /// A point of wall-clock time.
    Instant(Instant),
    /// A span of it (s).
    Duration(f64),
    /// A named constant, e.g. an output format.
    Token(&'static str),
}

/// Types, as far as they are known before a script runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// See [`Value::Nothing`].
    Nothing,
    /// See [`Value::Bool`].
    Bool,
    /// See [`Value::Int`].
    Int,
    /// See [`Value::Float`].
    Float,
    /// See [`Value::Str`].
    Str,
    /// See [`Value::Vector`].
    Vector,
    /// See [`Value::Numbers`].
    Numbers,
    /// See [`Value::Shape`].
    Shape,
    /// See [`Value::Config`].
    Config,
    /// A quantity with a value in every cell, by components.
    Field(usize),
    /// A quantity without space, by components.
    Single(usize),
    /// A parameter of the material.
    Parameter(ParameterId),
    /// A parameter to which masks may be added.
    Excitation(ParameterId),
    /// m.
    Magnetisation,
    /// The region map.
    Regions,
    /// The geometry.
    Geometry,
    /// See [`Value::Data`].
    Data,
    /// See [`Value::Curve`].
    Curve,
    /// See [`Value::Instant`].
    Instant,
    /// See [`Value::Duration`].
    Duration,
    /// See [`Value::Token`].
    Token,
    /// Known only when the script runs.
    Unknown,
}

impl Type {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Bool => "a truth value",
            Self::Int => "an integer",
            Self::Float => "a number",
            Self::Str => "a string",
            Self::Vector => "a vector",
            Self::Numbers => "a list of numbers",
            Self::Shape => "a shape",
            Self::Config => "a configuration",
            Self::Field(_) => "a field",
            Self::Single(_) => "a quantity",
            Self::Parameter(_) => "a material parameter",
            Self::Excitation(_) => "an excitation",
            Self::Magnetisation => "the magnetisation",
            Self::Regions => "the regions",
            Self::Geometry => "the geometry",
            Self::Data => "data",
            Self::Curve => "a function",
            Self::Instant => "a time",
            Self::Duration => "a duration",
            Self::Token => "a named constant",
            Self::Unknown => "a value",
        }
    }

    /// Whether it is a quantity.
    pub fn is_quantity(self) -> bool {
        matches!(
            self,
            Self::Field(_)
                | Self::Single(_)
                | Self::Parameter(_)
                | Self::Excitation(_)
                | Self::Magnetisation
                | Self::Regions
                | Self::Geometry
        )
    }

    /// Components of a quantity.
    pub fn components(self) -> usize {
        match self {
            Self::Field(n) | Self::Single(n) => n,
            Self::Parameter(p) | Self::Excitation(p) => p.info().components,
            Self::Magnetisation => 3,
            _ => 1,
        }
    }
}

/// Whether a value of type `have` serves where a signature's letter asks for something.
///
/// `f` number, `i` integer, `s` string, `b` truth value, `v` vector, `S` shape, `C` configuration, `q` quantity, `d` data, `F` number or function of t,
/// `V` vector or function of t, `B` condition, `E` expression, `T` named constant, `D` instant, `x` anything.
pub fn serves(letter: char, have: Type) -> bool {
    if have == Type::Unknown {
        return true;
    }
    match letter {
        'f' | 'F' | 'E' => matches!(have, Type::Float | Type::Int | Type::Single(1)),
        'i' => matches!(have, Type::Int | Type::Float),
        's' => have == Type::Str,
        'b' | 'B' => have == Type::Bool,
        'v' | 'V' => matches!(have, Type::Vector | Type::Single(3)),
        'S' => have == Type::Shape,
        'C' => have == Type::Config,
        'q' => have.is_quantity(),
        'd' => have == Type::Data,
        'T' => have == Type::Token,
        'D' => have == Type::Instant,
        _ => have != Type::Nothing,
    }
}

/// What a letter of a signature asks for, in words.
pub fn wanted(letter: char) -> &'static str {
    match letter {
        'f' => "a number",
        'F' => "a number or a function of t",
        'E' => "an expression with a number",
        'i' => "an integer",
        's' => "a string",
        'b' => "a truth value",
        'B' => "a condition",
        'v' => "a vector",
        'V' => "a vector or a function of t",
        'S' => "a shape",
        'C' => "a configuration",
        'q' => "a quantity",
        'd' => "data",
        'T' => "a named constant",
        'D' => "a time",
        _ => "a value",
    }
}
