//! Functions of time: expressions in which only `t` is live.

use super::syntax::Op;
use super::value::Curve;

/// A number, vector or truth value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Now {
    /// Number.
    F(f64),
    /// Vector.
    V([f64; 3]),
    /// Truth.
    B(bool),
}

impl Now {
    fn number(self) -> f64 {
        match self {
            Now::F(v) => v,
            Now::V(v) => v[0],
            Now::B(b) => f64::from(u8::from(b)),
        }
    }

    fn vector(self) -> [f64; 3] {
        match self {
            Now::V(v) => v,
            other => [other.number(), 0.0, 0.0],
        }
    }
}

/// An expression with everything but the time filled in.
#[derive(Clone, Debug)]
pub enum Timed {
    /// A value.
    Value(Now),
    /// The time (s).
    T,
    /// −x
    Neg(Box<Timed>),
    /// !x
    Not(Box<Timed>),
    /// Two sides.
    Binary(Op, Box<Timed>, Box<Timed>),
    /// A function of one number.
    Call1(fn(f64) -> f64, Box<Timed>),
    /// A function of two.
    Call2(fn(f64, f64) -> f64, Box<Timed>, Box<Timed>),
    /// A function from a file.
    Curve(Curve, Box<Timed>),
    /// vector(x, y, z)
    Vector(Box<[Timed; 3]>),
    /// A vector's method.
    Method(&'static str, Box<Timed>, Vec<Timed>),
    /// A component.
    Index(Box<Timed>, usize),
}

/// Applies an operator.
pub fn apply(op: Op, a: Now, b: Now) -> Now {
    let (x, y) = (a.number(), b.number());
    match op {
        Op::Add => Now::F(x + y),
        Op::Sub => Now::F(x - y),
        Op::Mul => Now::F(x * y),
        Op::Div => Now::F(x / y),
        Op::Eq => Now::B(x == y),
        Op::Ne => Now::B(x != y),
        Op::Lt => Now::B(x < y),
        Op::Le => Now::B(x <= y),
        Op::Gt => Now::B(x > y),
        Op::Ge => Now::B(x >= y),
        Op::And => Now::B(x != 0.0 && y != 0.0),
        Op::Or => Now::B(x != 0.0 || y != 0.0),
    }
}

/// A vector's method.
pub fn method(name: &str, v: [f64; 3], a: &[Now]) -> Option<Now> {
    let other = || a.first().map_or([0.0; 3], |a| a.vector());
    let number = |i: usize| a.get(i).map_or(0.0, |a| a.number());
    Some(match name {
        "x" => Now::F(v[0]),
        "y" => Now::F(v[1]),
        "z" => Now::F(v[2]),
        "len" => Now::F(v.iter().map(|c| c * c).sum::<f64>().sqrt()),
        "add" => Now::V(std::array::from_fn(|c| v[c] + other()[c])),
        "sub" => Now::V(std::array::from_fn(|c| v[c] - other()[c])),
        "mul" => Now::V(v.map(|c| c * number(0))),
        "div" => Now::V(v.map(|c| c / number(0))),
        "madd" => Now::V(std::array::from_fn(|c| v[c] + number(0) * a.get(1).map_or([0.0; 3], |a| a.vector())[c])),
        "dot" => Now::F((0..3).map(|c| v[c] * other()[c]).sum()),
        "cross" => {
            let w = other();
            Now::V([v[1] * w[2] - v[2] * w[1], v[2] * w[0] - v[0] * w[2], v[0] * w[1] - v[1] * w[0]])
        }
        _ => return None,
    })
}

impl Timed {
    /// Its value at a time (s).
    pub fn at(&self, t: f64) -> Now {
        match self {
            Self::Value(v) => *v,
            Self::T => Now::F(t),
            Self::Neg(a) => Now::F(-a.number(t)),
            Self::Not(a) => Now::B(a.number(t) == 0.0),
            Self::Binary(op, a, b) => apply(*op, a.at(t), b.at(t)),
            Self::Call1(f, a) => Now::F(f(a.number(t))),
            Self::Call2(f, a, b) => Now::F(f(a.number(t), b.number(t))),
            Self::Curve(f, a) => Now::F((f.0)(a.number(t))),
            Self::Vector(v) => Now::V([v[0].number(t), v[1].number(t), v[2].number(t)]),
            Self::Method(name, v, a) => {
                let a: Vec<Now> = a.iter().map(|a| a.at(t)).collect();
                method(name, v.vector(t), &a).unwrap_or(Now::F(f64::NAN))
            }
            Self::Index(v, i) => Now::F(v.vector(t)[*i]),
        }
    }

    /// As a number.
    pub fn number(&self, t: f64) -> f64 {
        self.at(t).number()
    }

    /// As a vector.
    pub fn vector(&self, t: f64) -> [f64; 3] {
        self.at(t).vector()
    }

    /// Whether the time occurs in it.
    pub fn moves(&self) -> bool {
        match self {
            Self::Value(_) => false,
            Self::T => true,
            Self::Neg(a) | Self::Not(a) | Self::Call1(_, a) | Self::Curve(_, a) | Self::Index(a, _) => a.moves(),
            Self::Binary(_, a, b) | Self::Call2(_, a, b) => a.moves() || b.moves(),
            Self::Vector(v) => v.iter().any(Self::moves),
            Self::Method(_, v, a) => v.moves() || a.iter().any(Self::moves),
        }
    }
}
