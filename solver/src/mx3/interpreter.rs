//! Runs a checked script.

use super::engine::{Engine, Fault, RegionStep, Source};
use super::field::{Field, Quantity};
use super::library::{self, Args, Kind};
use super::output::{Column, Output, Periodic};
use super::random::GoRandom;
use super::resume::{self, Kept, Told};
use super::syntax::{Block, Expr, Kind as E, Op, Script, Spot, Stmt};
use super::text;
use super::time::{self, Now, Timed};
use super::value::{Type, Value, serves, wanted};
use crate::live::{About, Live as Watched};
use crate::run::Progress;
use crate::simulation::Rest;
use spinloom_base::Problems;
use spinloom_kernels::ParameterId as P;
use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// An expression computed anew whenever it is asked for, with the names that were local where it stood.
#[derive(Clone, Debug)]
pub struct Live {
    expression: Arc<Expr>,
    /// Names of inner scopes as they were there.
    local: HashMap<String, Value>,
}

/// Time between lines of progress (s).
const SHOW_EVERY: u64 = 10;

/// Why a script stops.
pub enum Stop {
    /// It asked to.
    Exit,
    /// Something went wrong; whoever knows the place adds it.
    Fault(Fault),
    /// The same with its place.
    Problem(Problems),
    /// A signal, with everything kept that is needed to go on.
    Signal,
}

impl From<Fault> for Stop {
    fn from(f: Fault) -> Self {
        Stop::Fault(f)
    }
}

/// See the module.
pub struct Interpreter {
    /// What it acts on.
    pub engine: Engine,
    /// What it writes.
    pub output: Output,
    /// Behind `rand`.
    pub random: GoRandom,
    /// Expectations met or not.
    pub expectations: usize,
    /// Whether one was not met.
    pub unmet: bool,
    /// Wall-clock time between checkpoints.
    pub commit_every: Duration,
    /// Where a script that goes on was cut off.
    pub kept: Option<Kept>,
    /// See [`super::Options::live`].
    pub live: Option<Arc<Watched>>,
    /// Whether `print` shows on the screen.
    pub prints: bool,
    /// See [`super::Options::stop`].
    pub stop: Arc<AtomicBool>,
    /// When a loop first saw it set.
    stopping: Option<Instant>,
    script: Script,
    folder: PathBuf,
    scopes: Vec<HashMap<String, Value>>,
    expressions: Vec<Live>,
    /// The line that was logged last, and its file.
    logged: (u16, u32),
    /// When progress was shown last.
    shown: Instant,
    /// How many of the engine's warnings have been shown.
    told: usize,
    /// When the last checkpoint was written, and how long that took.
    committed: (Instant, Duration),
}

type Result<T> = std::result::Result<T, Stop>;

fn now(v: &Value) -> Option<Now> {
    match v {
        Value::Float(v) => Some(Now::F(*v)),
        Value::Int(v) => Some(Now::F(*v as f64)),
        Value::Bool(b) => Some(Now::B(*b)),
        Value::Vector(v) => Some(Now::V(*v)),
        _ => None,
    }
}

fn value(n: Now) -> Value {
    match n {
        Now::F(v) => Value::Float(v),
        Now::V(v) => Value::Vector(v),
        Now::B(b) => Value::Bool(b),
    }
}

fn data(f: Field) -> Value {
    Value::Data(Rc::new(RefCell::new(f)))
}

impl Interpreter {
    /// For a script; `folder` is where the files it names are sought.
    pub fn new(script: Script, engine: Engine, output: Output, folder: &Path) -> Self {
        Self {
            engine,
            output,
            random: GoRandom::new(0),
            expectations: 0,
            unmet: false,
            commit_every: Duration::from_secs(5),
            kept: None,
            live: None,
            prints: true,
            stop: Arc::default(),
            stopping: None,
            script,
            folder: folder.into(),
            scopes: vec![HashMap::new()],
            expressions: Vec::new(),
            logged: (0, 0),
            shown: Instant::now(),
            told: 0,
            committed: (Instant::now(), Duration::ZERO),
        }
    }

    /// Where a file that the script names is: as written, or beside the script.
    pub fn find_file(&self, name: &str) -> PathBuf {
        let beside = self.folder.join(name);
        let mine = self.output.path(name);
        if beside.exists() || Path::new(name).is_absolute() {
            beside
        } else if Path::new(name).exists() {
            name.into()
        } else {
            mine.filter(|p| p.exists()).unwrap_or(beside)
        }
    }

    /// Runs the script to its end; false if a signal has stopped it where it can go on.
    ///
    /// # Errors
    /// What goes wrong, at its place.
    pub fn run(&mut self) -> std::result::Result<bool, Problems> {
        let body = self.script.body.clone();
        let mut result = match self.block(&body, true) {
            Ok(()) | Err(Stop::Exit) => Ok(true),
            // What was committed stands, also when what came before it was still being done again.
            Err(Stop::Signal) => return self.output.flush().map_err(told).map(|()| false),
            Err(Stop::Problem(p)) => Err(p),
            Err(Stop::Fault(f)) => Err(told(f)),
        };
        if let (Ok(_), true) = (&result, self.engine.journal.replaying()) {
            let hint = "a file that it reads may have changed, or it follows the wall clock; run it anew with -f";
            result = Err(spinloom_base::Diagnostic::error("the script ends before it is where it was cut off").hint(hint).into());
        }
        if let Err(p) = &result {
            self.output.log(&format!("//ERROR {p}"));
        }
        let flushed = self.output.flush().map_err(told);
        result.and_then(|whole| flushed.map(|()| whole))
    }

    fn at(&self, spot: Spot) -> impl Fn(Stop) -> Stop + use<'_> {
        move |s| match s {
            Stop::Fault(f) => Stop::Problem(self.script.error(spot, f.message).hint(f.hint).into()),
            other => other,
        }
    }

    fn block(&mut self, block: &Block, outer: bool) -> Result<()> {
        for (statement, spot) in block.iter() {
            let place = (spot.file, spot.line);
            if outer && std::mem::replace(&mut self.logged, place) != place {
                let line = self.script.line(*spot).trim().to_string();
                self.output.log(&line);
            }
            let result = self.statement(statement);
            while self.told < self.engine.warned.len() {
                let line = self.engine.warned[self.told].clone();
                self.told += 1;
                self.output.log(&format!("//WARNING {line}"));
                eprintln!("{}:{}: warning: {line}", self.script.name(*spot), spot.line);
            }
            result.map_err(self.at(*spot))?;
        }
        Ok(())
    }

    fn scoped<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.scopes.push(HashMap::new());
        let result = work(self);
        self.scopes.pop();
        result
    }

    fn truth(&mut self, e: &Expr) -> Result<bool> {
        match self.eval(e)? {
            Value::Bool(b) => Ok(b),
            _ => Err(Fault::new("a condition must be true or false", "").into()),
        }
    }

    /// At every turn of a loop: a signal ends also a loop in which nothing runs. One that runs something is given a second to end there, where it commits.
    fn turn(&mut self) -> Result<()> {
        if !self.stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        let since = *self.stopping.get_or_insert_with(Instant::now);
        if since.elapsed().as_secs_f64() > 1.0 { Err(Stop::Signal) } else { Ok(()) }
    }

    fn statement(&mut self, s: &Stmt) -> Result<()> {
        match s {
            Stmt::Expr(e) => self.eval(e).map(drop),
            Stmt::Define(name, _, e) => {
                let mut v = self.eval(e)?;
                // A single quantity is kept as it is now, as any number would be, unless it is asked for by name.
                if let (E::Name(n), Value::Quantity(_)) = (&e.kind, &v)
                    && n == "t"
                {
                    v = self.settled(&v)?;
                }
                if let Some(scope) = self.scopes.last_mut() {
                    scope.insert(name.clone(), v);
                }
                Ok(())
            }
            Stmt::Assign(target, e) => self.assign(target, e),
            Stmt::Change(target, op, e) => {
                let (a, b) = (self.number(target)?, self.number(e)?);
                let v = if *op == Op::Add { a + b } else { a - b };
                self.store(target, Value::Float(v))
            }
            Stmt::If(c, then, otherwise) => {
                if self.truth(c)? {
                    self.scoped(|s| s.block(then, false))
                } else if let Some(o) = otherwise {
                    self.scoped(|s| s.statement(o))
                } else {
                    Ok(())
                }
            }
            Stmt::For(init, c, post, body) => self.scoped(|s| {
                if let Some(i) = init {
                    s.statement(i)?;
                }
                loop {
                    if let Some(c) = c
                        && !s.truth(c)?
                    {
                        return Ok(());
                    }
                    s.scoped(|s| s.block(body, false))?;
                    s.turn()?;
                    if let Some(p) = post {
                        s.statement(p)?;
                    }
                }
            }),
            Stmt::Block(b) => self.scoped(|s| s.block(b, false)),
        }
    }

    fn local(&self, name: &str) -> Option<&Value> {
        self.scopes.iter().rev().find_map(|s| s.get(name))
    }

    /// `value` as the type of what it replaces.
    fn converted(old: &Value, value: Value) -> std::result::Result<Value, Fault> {
        Ok(match (old, value) {
            (Value::Int(_), Value::Float(v)) if v.fract() == 0.0 => Value::Int(v as i64),
            (Value::Int(_), Value::Float(v)) => {
                return Err(Fault::new(
                    format!("{v} is not an integer, and this name holds one"),
                    "define it as a number with a point: x := 0.0",
                ));
            }
            (Value::Float(_), Value::Int(v)) => Value::Float(v as f64),
            (_, v) => v,
        })
    }

    fn store(&mut self, target: &Expr, v: Value) -> Result<()> {
        let E::Name(name) = &target.kind else { return Err(Fault::new("this cannot be assigned to", "").into()) };
        if let Some(old) = self.scopes.iter_mut().rev().find_map(|s| s.get_mut(name)) {
            *old = Self::converted(old, v)?;
            return Ok(());
        }
        match library::find(name).map(|e| e.kind) {
            Some(Kind::Variable(of, get, set)) => {
                let v = self.settled(&v)?;
                let v = match of {
                    Type::Single(_) => v,
                    _ => Self::converted(&get(self), v)?,
                };
                Ok(set(self, v)?)
            }
            _ => Err(Fault::new(format!("`{name}` cannot be assigned to"), "").into()),
        }
    }

    fn assign(&mut self, target: &Expr, e: &Arc<Expr>) -> Result<()> {
        if let E::Name(name) = &target.kind
            && self.local(name).is_none()
            && let Some(entry) = library::find(name)
        {
            match entry.kind {
                Kind::Parameter(p) | Kind::Excitation(p) => {
                    let source = self.source(p, e)?;
                    self.engine.set_source(p, None, source);
                    return Ok(());
                }
                Kind::Magnetisation => {
                    let Value::Config(c) = self.eval(e)? else { return Err(Fault::new("m takes a configuration", "").into()) };
                    return Ok(self.engine.configure(&c, |_, _| true)?);
                }
                _ => {}
            }
        }
        let v = self.eval(e)?;
        let v = if matches!(v, Value::Quantity(_))
            && matches!(&target.kind, E::Name(n) if !matches!(self.local(n), Some(Value::Quantity(_))))
        {
            self.settled(&v)?
        } else {
            v
        };
        self.store(target, v)
    }

    /// What a parameter is set to: a constant, or a function if the time occurs in it.
    fn source(&mut self, p: P, e: &Expr) -> Result<Source> {
        let timed = self.timed(e)?;
        let three = p.info().components == 3;
        let source = if timed.moves() {
            Source::Moving(timed)
        } else if three {
            Source::Fixed(timed.vector(0.0))
        } else {
            Source::Fixed([timed.number(0.0), 0.0, 0.0])
        };
        if let Source::Fixed(v) = &source
            && v.iter().any(|v| v.is_nan())
        {
            return Err(Fault::new(format!("{} would not be a number", p.info().name), "").into());
        }
        if let (Source::Fixed(v), Some(least)) = (&source, p.info().minimum)
            && v[0] < least
        {
            return Err(Fault::new(format!("{} = {} is below {least}", p.info().name, v[0]), "").into());
        }
        Ok(source)
    }

    /// An expression with everything but the time filled in.
    fn timed(&mut self, e: &Expr) -> Result<Timed> {
        let is_time = |s: &Self, e: &Expr| matches!(&e.kind, E::Name(n) if n == "t" && s.local("t").is_none());
        if is_time(self, e) {
            return Ok(Timed::T);
        }
        if !self.has_time(e) {
            let v = self.eval(e)?;
            let v = self.settled(&v)?;
            return now(&v).map(Timed::Value).ok_or_else(|| Fault::new("expected a number or a vector", "").into());
        }
        Ok(match &e.kind {
            E::Neg(a) => Timed::Neg(Box::new(self.timed(a)?)),
            E::Not(a) => Timed::Not(Box::new(self.timed(a)?)),
            E::Binary(op, a, b) => Timed::Binary(*op, Box::new(self.timed(a)?), Box::new(self.timed(b)?)),
            E::Index(a, i) => {
                let at = self.number(i)?;
                if !(0.0..3.0).contains(&at) {
                    return Err(Fault::new(format!("a vector has no component {at}"), "0, 1 or 2").into());
                }
                Timed::Index(Box::new(self.timed(a)?), at as usize)
            }
            E::Call(f, arguments) => match &f.kind {
                E::Name(name) => {
                    let mut list = arguments.iter().map(|a| self.timed(a)).collect::<Result<Vec<_>>>()?;
                    if let Some(Value::Curve(c)) = self.local(name) {
                        return Ok(Timed::Curve(c.clone(), Box::new(list.remove(0))));
                    }
                    match library::find(name).map(|e| (e.name, e.kind)) {
                        Some((_, Kind::Math1(f))) => Timed::Call1(f, Box::new(list.remove(0))),
                        Some((_, Kind::Math2(f))) => {
                            let b = list.remove(1);
                            Timed::Call2(f, Box::new(list.remove(0)), Box::new(b))
                        }
                        Some(("Vector", _)) => {
                            Timed::Vector(Box::new(list.try_into().map_err(|_| Fault::new("a vector has three components", ""))?))
                        }
                        _ => {
                            return Err(
                                Fault::new(format!("`{name}` cannot follow the time"), "compute it outside, or step by step").into()
                            );
                        }
                    }
                }
                E::Member(of, name) => {
                    let list = arguments.iter().map(|a| self.timed(a)).collect::<Result<Vec<_>>>()?;
                    let Some(known) = library::METHODS.iter().find(|m| *m == name) else {
                        return Err(Fault::new(format!("`.{name}` cannot follow the time"), "").into());
                    };
                    Timed::Method(known, Box::new(self.timed(of)?), list)
                }
                _ => return Err(Fault::new("this cannot be called", "").into()),
            },
            _ => return Err(Fault::new("this cannot follow the time", "").into()),
        })
    }

    fn has_time(&self, e: &Expr) -> bool {
        match &e.kind {
            E::Name(n) => n == "t" && self.local("t").is_none(),
            E::Neg(a) | E::Not(a) | E::Member(a, _) => self.has_time(a),
            E::Binary(_, a, b) | E::Index(a, b) => self.has_time(a) || self.has_time(b),
            E::Call(f, list) => self.has_time(f) || list.iter().any(|a| self.has_time(a)),
            _ => false,
        }
    }

    fn number(&mut self, e: &Expr) -> Result<f64> {
        let v = self.eval(e)?;
        match self.settled(&v)? {
            Value::Float(v) => Ok(v),
            Value::Int(v) => Ok(v as f64),
            v => Err(Fault::new(format!("expected a number, found {}", text::show(&v)), "").into()),
        }
    }

    /// A single quantity's value now; anything else as it is.
    ///
    /// # Errors
    /// What hinders the quantity.
    pub fn settled(&mut self, v: &Value) -> Result<Value> {
        match v {
            Value::Quantity(q) if !q.space() => self.shown(v),
            v => Ok(v.clone()),
        }
    }

    /// What is written of a value: of any quantity its average.
    ///
    /// # Errors
    /// What hinders the quantity.
    pub fn shown(&mut self, v: &Value) -> Result<Value> {
        match v {
            Value::Quantity(q) => {
                let v = self.engine.value(q)?;
                Ok(if v.len() == 3 { Value::Vector([v[0], v[1], v[2]]) } else { Value::Float(v[0]) })
            }
            v => Ok(v.clone()),
        }
    }

    /// Values as one text.
    ///
    /// # Errors
    /// What hinders a quantity.
    pub fn joined(&mut self, a: &Args, between: &str) -> Result<String> {
        let list = a.0.iter().map(|v| self.shown(v).map(|v| text::show(&v))).collect::<Result<Vec<_>>>()?;
        Ok(list.join(between))
    }

    /// Works in the scopes that a live expression sees: the outermost one, and the names that were local where it stood.
    fn now<T>(&mut self, live: &Live, work: impl FnOnce(&mut Self, &Expr) -> Result<T>) -> Result<T> {
        let inner = self.scopes.split_off(1);
        self.scopes.push(live.local.clone());
        let result = work(self, &live.expression);
        self.scopes.truncate(1);
        self.scopes.extend(inner);
        result
    }

    /// The live expression behind an argument.
    pub fn live(&self, v: &Value) -> Live {
        if let Value::Int(i) = v { self.expressions[*i as usize].clone() } else { unreachable!("the call has put it there") }
    }

    fn eval(&mut self, e: &Expr) -> Result<Value> {
        Ok(match &e.kind {
            E::Int(v) => Value::Int(*v),
            E::Float(v) => Value::Float(*v),
            E::Str(s) => Value::Str(s.as_str().into()),
            E::Name(name) => {
                if let Some(v) = self.local(name) {
                    return Ok(v.clone());
                }
                match library::find(name).map(|e| (e.name, e.kind)) {
                    Some((_, Kind::Variable(_, get, _))) => get(self),
                    Some((_, Kind::Constant(_, get))) => get(),
                    Some((
                        name,
                        Kind::Quantity(_) | Kind::Parameter(_) | Kind::Excitation(_) | Kind::Magnetisation | Kind::Regions | Kind::Geometry,
                    )) => Value::Quantity(Arc::new(Quantity::Named(name))),
                    Some((_, Kind::Math1(f))) => Value::Curve(super::value::Curve(Arc::new(f))),
                    _ => return Err(self.at(e.spot)(Fault::new(format!("`{name}` has no value"), "").into())),
                }
            }
            E::Neg(a) => Value::Float(-self.number(a)?),
            E::Not(a) => Value::Bool(!self.truth(a)?),
            E::Binary(Op::And, a, b) => Value::Bool(self.truth(a)? && self.truth(b)?),
            E::Binary(Op::Or, a, b) => Value::Bool(self.truth(a)? || self.truth(b)?),
            E::Binary(op, a, b) => {
                let (a, b) = (self.number(a)?, self.number(b)?);
                value(time::apply(*op, Now::F(a), Now::F(b)))
            }
            E::Index(a, i) => {
                let (v, i) = (self.eval(a)?, self.number(i)?);
                let list: &[f64] = match &v {
                    Value::Vector(v) => v,
                    Value::Numbers(v) => v,
                    other => return Err(Fault::new(format!("{} has no index", Self::type_of(other).words()), "").into()),
                };
                match usize::try_from(i as i64).ok().and_then(|k| list.get(k)) {
                    Some(v) => Value::Float(*v),
                    None => {
                        return Err(Fault::new(
                            format!("there is no element {i}"),
                            format!("they are numbered from 0 to {}", list.len().max(1) - 1),
                        )
                        .into());
                    }
                }
            }
            E::Member(..) => return Err(Fault::new("this is a method", "call it").into()),
            E::Call(f, arguments) => {
                let result = self.call(f, arguments);
                result.map_err(self.at(e.spot))?
            }
        })
    }

    /// An argument as a letter of a signature wants it.
    fn argument(&mut self, letter: char, e: &Expr) -> Result<Value> {
        if matches!(letter, 'B' | 'E') {
            let local = self.scopes[1..].iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect();
            self.expressions.push(Live { expression: Arc::new(e.clone()), local });
            return Ok(Value::Int(self.expressions.len() as i64 - 1));
        }
        let v = self.eval(e)?;
        let v = if letter == 'q' { v } else { self.settled(&v)? };
        let of = Self::type_of(&v);
        if !serves(letter, of) {
            return Err(self.at(e.spot)(Fault::new(format!("expected {}, found {}", wanted(letter), of.words()), "").into()));
        }
        match (letter, &v) {
            ('i', Value::Float(x)) if x.fract() != 0.0 => Err(self.at(e.spot)(Fault::new(format!("{x} is not an integer"), "").into())),
            ('i', Value::Float(x)) => Ok(Value::Int(*x as i64)),
            _ => Ok(v),
        }
    }

    fn type_of(v: &Value) -> Type {
        match v {
            Value::Nothing => Type::Nothing,
            Value::Bool(_) => Type::Bool,
            Value::Int(_) => Type::Int,
            Value::Float(_) => Type::Float,
            Value::Str(_) => Type::Str,
            Value::Vector(_) => Type::Vector,
            Value::Numbers(_) => Type::Numbers,
            Value::Shape(_) => Type::Shape,
            Value::Config(_) => Type::Config,
            Value::Quantity(q) => library::type_of(q),
            Value::Data(_) => Type::Data,
            Value::Curve(_) => Type::Curve,
            Value::Instant(_) => Type::Instant,
            Value::Duration(_) => Type::Duration,
            Value::Token(_) => Type::Token,
        }
    }

    fn arguments(&mut self, letters: &str, arguments: &[Expr]) -> Result<Args> {
        let (fixed, many) = match letters.strip_suffix('*') {
            Some(f) => (&f[..f.len() - 1], f.chars().last()),
            None => (letters, None),
        };
        if arguments.len() < fixed.len() || (arguments.len() > fixed.len() && many.is_none()) {
            return Err(Fault::new(format!("expected {} argument(s), found {}", fixed.len(), arguments.len()), "").into());
        }
        let mut list = Vec::new();
        for (i, a) in arguments.iter().enumerate() {
            let letter = fixed.chars().nth(i).or(many).unwrap_or('x');
            list.push(self.argument(letter, a)?);
        }
        Ok(Args(list))
    }

    fn call(&mut self, f: &Expr, arguments: &[Expr]) -> Result<Value> {
        match &f.kind {
            E::Name(name) => {
                if let Some(Value::Curve(c)) = self.local(name).cloned() {
                    return Ok(Value::Float((c.0)(self.arguments("f", arguments)?.f(0))));
                }
                match library::find(name).map(|e| e.kind) {
                    Some(Kind::Function(letters, _, run)) => {
                        let a = self.arguments(letters, arguments)?;
                        run(self, &a)
                    }
                    Some(Kind::Math1(f)) => Ok(Value::Float(f(self.arguments("f", arguments)?.f(0)))),
                    Some(Kind::Math2(f)) => {
                        let a = self.arguments("ff", arguments)?;
                        Ok(Value::Float(f(a.f(0), a.f(1))))
                    }
                    _ => Err(Fault::new(format!("`{name}` is not a function"), "").into()),
                }
            }
            E::Member(of, name) => {
                let v = self.eval(of)?;
                self.method(&v, name, arguments)
            }
            _ => Err(Fault::new("this cannot be called", "").into()),
        }
    }

    fn method(&mut self, v: &Value, name: &str, arguments: &[Expr]) -> Result<Value> {
        let of = Self::type_of(v);
        let Some((letters, _)) = library::method(of, name) else {
            return Err(Fault::new(format!("{} has no method `{name}`", of.words()), "").into());
        };
        // Parameters take functions of time.
        if let (Type::Parameter(p) | Type::Excitation(p), "setregion" | "set" | "add") = (of, name) {
            return self.set_parameter(p, name, arguments);
        }
        let a = self.arguments(letters, arguments)?;
        match v {
            Value::Shape(s) => Ok(Value::Shape(match name {
                "transl" => s.transl(a.fff(0)),
                "scale" => s.scale(a.fff(0)),
                "repeat" => s.repeat(a.fff(0)),
                "rotx" => s.rotate(0, a.f(0)),
                "roty" => s.rotate(1, a.f(0)),
                "rotz" => s.rotate(2, a.f(0)),
                "add" => s.add(a.shape(0)),
                "intersect" => s.intersect(a.shape(0)),
                "sub" => s.sub(a.shape(0)),
                "xor" => s.xor(a.shape(0)),
                _ => s.inverse(),
            })),
            Value::Config(c) => Ok(Value::Config(match name {
                "transl" => c.transl(a.fff(0)),
                "scale" => c.scale(a.fff(0)),
                "rotz" => c.rotz(a.f(0)),
                _ => c.add(a.f(0), a.config(1)),
            })),
            Value::Vector(w) => {
                let list: Vec<Now> = a.0.iter().filter_map(now).collect();
                time::method(name, *w, &list).map(value).ok_or_else(|| Fault::new("a vector has no such method", "").into())
            }
            Value::Data(d) => self.data_method(d, name, &a),
            Value::Duration(s) => Ok(Value::Float(match name {
                "minutes" => s / 60.0,
                "hours" => s / 3600.0,
                "milliseconds" => s * 1e3,
                _ => *s,
            })),
            Value::Quantity(q) => self.quantity_method(q, of, name, &a),
            _ => Err(Fault::new(format!("{} has no method `{name}`", of.words()), "").into()),
        }
    }

    fn set_parameter(&mut self, p: P, name: &str, arguments: &[Expr]) -> Result<Value> {
        match (name, arguments) {
            ("set", [e]) => {
                let source = self.source(p, e)?;
                self.engine.set_source(p, None, source);
            }
            ("setregion", [r, e]) => {
                let source = self.source(p, e)?;
                let r = self.number(r)?;
                let region = if r < 0.0 { None } else { Some(library::region(r as i64)?) };
                self.engine.set_source(p, region, source);
            }
            ("add", [mask, e]) => {
                let Value::Data(d) = self.eval(mask)? else {
                    return Err(Fault::new("the first argument is a mask", "LoadFile or NewVectorMask make one").into());
                };
                let values = library::on_mesh(self, &d.borrow())?;
                if values.components != p.info().components {
                    let message =
                        format!("the mask has {} component(s), and {} has {}", values.components, p.info().name, p.info().components);
                    return Err(Fault::new(message, "NewVectorMask makes three, NewScalarMask one").into());
                }
                let timed = self.timed(e)?;
                let factor = if timed.moves() { Source::Moving(timed) } else { Source::Fixed([timed.number(0.0), 0.0, 0.0]) };
                self.engine.add_mask(p, values.data, factor);
            }
            _ => return Err(Fault::new(format!("`{name}` has other arguments"), "").into()),
        }
        Ok(Value::Nothing)
    }

    fn data_method(&mut self, d: &Rc<RefCell<Field>>, name: &str, a: &Args) -> Result<Value> {
        let place = |f: &Field, at: [i64; 3]| -> std::result::Result<usize, Fault> {
            let at = library::cell(f.n, at)?;
            Ok((at[2] * f.n[1] + at[1]) * f.n[0] + at[0])
        };
        let component = |f: &Field, c: i64| -> std::result::Result<usize, Fault> {
            usize::try_from(c)
                .ok()
                .filter(|c| *c < f.components)
                .ok_or_else(|| Fault::new(format!("the data have no component {c}"), format!("they have {}", f.components)))
        };
        let mut f = d.borrow_mut();
        let cells = f.cells();
        Ok(match name {
            "get" => {
                let (c, i) = (component(&f, a.i(0))?, place(&f, a.iii(1))?);
                Value::Float(f.at(c, i))
            }
            "set" => {
                let (c, i) = (component(&f, a.i(0))?, place(&f, a.iii(1))?);
                f.data[c * cells + i] = a.f(4);
                Value::Nothing
            }
            "setscalar" => {
                let i = place(&f, a.iii(0))?;
                f.data[i] = a.f(3);
                Value::Nothing
            }
            "setvector" => {
                let i = place(&f, a.iii(0))?;
                for c in 0..f.components.min(3) {
                    f.data[c * cells + i] = a.v(3)[c];
                }
                Value::Nothing
            }
            "comp" => {
                let c = component(&f, a.i(0))?;
                data(f.component(c))
            }
            "size" => Value::Numbers(Rc::new(f.n.iter().map(|n| *n as f64).collect())),
            "ncomp" => Value::Int(f.components as i64),
            "len" => Value::Int(cells as i64),
            _ => data(f.clone()),
        })
    }

    fn quantity_method(&mut self, q: &Arc<Quantity>, of: Type, name: &str, a: &Args) -> Result<Value> {
        let single = |v: Vec<f64>| match v[..] {
            [x] => Value::Float(x),
            [x, y, z] => Value::Vector([x, y, z]),
            _ => Value::Numbers(Rc::new(v)),
        };
        match (of, name) {
            (_, "comp") => {
                let c = usize::try_from(a.i(0)).ok().filter(|c| *c < q.components());
                let c =
                    c.ok_or_else(|| Fault::new(format!("{} has no component {}", q.name(), a.i(0)), format!("it has {}", q.components())))?;
                Ok(Value::Quantity(Arc::new(Quantity::Comp(q.clone(), c))))
            }
            (_, "region") => Ok(Value::Quantity(Arc::new(Quantity::Region(q.clone(), library::region(a.i(0))?)))),
            (_, "average" | "get") => Ok(single(self.engine.value(q)?)),
            (_, "hostcopy" | "gpu") => Ok(data(self.engine.field(q)?)),
            (_, "name") => Ok(Value::Str(q.name().into())),
            (_, "unit") => Ok(Value::Str(q.unit().into())),
            (Type::Parameter(p) | Type::Excitation(p), "getregion") => {
                let v = self.engine.parameter(p, library::region(a.i(0))?);
                Ok(single(v[..p.info().components].to_vec()))
            }
            (Type::Parameter(p) | Type::Excitation(p), "isuniform") => Ok(Value::Bool(self.engine.is_uniform(p))),
            (Type::Excitation(p), "removeextraterms") => {
                self.engine.remove_masks(p);
                Ok(Value::Nothing)
            }
            (Type::Magnetisation, "set") => Ok(self.engine.configure(a.config(0), |_, _| true).map(|()| Value::Nothing)?),
            (Type::Magnetisation, "setregion") => {
                let r = library::region(a.i(0))?;
                let regions = self.engine.regions.clone();
                Ok(self.engine.configure(a.config(1), |i, _| regions[i] == r).map(|()| Value::Nothing)?)
            }
            (Type::Magnetisation, "setinshape") => {
                let shape = a.shape(0).clone();
                Ok(self.engine.configure(a.config(1), |_, p| shape.contains(p)).map(|()| Value::Nothing)?)
            }
            (Type::Magnetisation, "setcell") => {
                let mesh = self.engine.mesh()?;
                let at = library::cell(mesh.n, a.iii(0))?;
                if a.v(3).iter().any(|v| !v.is_finite()) {
                    return Err(Fault::new("this is no vector of numbers", "").into());
                }
                self.engine.set_cell_m(mesh.index(at[0], at[1], at[2]), a.v(3));
                Ok(Value::Nothing)
            }
            (Type::Magnetisation, "getcell") => {
                let mesh = self.engine.mesh()?;
                let at = library::cell(mesh.n, a.iii(0))?;
                Ok(Value::Vector(self.engine.cell_m(mesh.index(at[0], at[1], at[2]))?))
            }
            (Type::Magnetisation, "setarray" | "loadfile") => {
                let f = if name == "setarray" { a.data(0).borrow().clone() } else { library::load(self, a.s(0))? };
                let f = library::on_mesh(self, &f)?;
                if f.components != 3 {
                    return Err(Fault::new(format!("m has three components, and these data {}", f.components), "").into());
                }
                if f.data.iter().any(|v| !v.is_finite()) {
                    return Err(Fault::new("some of these data are not numbers", "").into());
                }
                self.engine.set_m(f.data);
                Ok(Value::Nothing)
            }
            (Type::Regions, "loadfile") => {
                let f = library::on_mesh(self, &library::load(self, a.s(0))?)?;
                let mesh = self.engine.mesh()?;
                let numbers =
                    (0..mesh.cells()).map(|i| library::region(f.at(0, i) as i64)).collect::<std::result::Result<Vec<u16>, _>>()?;
                let n = mesh.n;
                let of = move |p: [f64; 3]| {
                    let at: [i64; 3] = std::array::from_fn(|k| (p[k] / mesh.cell[k] + 0.5 * (n[k] as f64 - 1.0)).round() as i64);
                    f.index(at).map(|i| numbers[i])
                };
                Ok(self.engine.add_region_step(RegionStep::Map(super::engine::Grains(Arc::new(of)))).map(|()| Value::Nothing)?)
            }
            (Type::Regions, "setcell") => {
                let at = library::cell(self.engine.mesh()?.n, a.iii(0))?;
                let r = library::region(a.i(3))?;
                Ok(self.engine.set_cell_region(r, at).map(|()| Value::Nothing)?)
            }
            (Type::Regions | Type::Geometry, _) => {
                let mesh = self.engine.mesh()?;
                let at = library::cell(mesh.n, a.iii(0))?;
                let (region, fill) = self.engine.cell_matter(mesh.index(at[0], at[1], at[2]))?;
                Ok(if of == Type::Regions { Value::Int(i64::from(region)) } else { Value::Float(fill) })
            }
            _ => Err(Fault::new(format!("{} has no method `{name}`", of.words()), "").into()),
        }
    }

    // --- running

    /// Says, once, that nothing can move.
    pub fn warn_without_moment(&mut self) {
        let none = self.engine.mesh().is_ok() && (0..256).all(|r| self.engine.parameter(P::Msat, r)[0] == 0.0);
        if none {
            self.engine.warn("Msat is zero everywhere: nothing moves".into());
        }
    }

    /// A call that moves the magnet, told as a whole. `work` is given where in it the script was cut off, if it was in this call.
    fn moves(&mut self, work: impl FnOnce(&mut Self, Option<f64>) -> Result<()>) -> Result<Value> {
        let mut begun = None;
        if self.engine.journal.replaying() && self.engine.journal.inside == 0 {
            if !self.engine.journal.is_at_end() {
                let v = self.engine.journal.again(Told::Moved)?.unwrap_or_default();
                self.random.draw_to(v[0] as u64);
                self.engine.move_again(&v[1..]);
                return Ok(Value::Nothing);
            }
            begun = Some(self.go_on()?);
        }
        self.engine.journal.inside += 1;
        work(self, begun)?;
        self.engine.journal.inside -= 1;
        let drawn = self.random.drawn() as f64;
        let moved = self.engine.moved();
        self.engine.journal.note(Told::Moved, &[&[drawn], &moved[..]].concat());
        Ok(Value::Nothing)
    }

    /// Puts everything where it was when the checkpoint was taken; how far the present call had come.
    fn go_on(&mut self) -> Result<f64> {
        let kept = self.kept.take().unwrap_or_default();
        self.engine.journal.go_on();
        self.engine.restore(&kept)?;
        self.output.restore(&kept)?;
        self.told = self.engine.warned.len();
        self.random.draw_to(kept.integers("drawn", Some(1))?[0]);
        self.committed.0 = Instant::now();
        let place = kept.integers("place", Some(2))?;
        self.logged = (place[0] as u16, place[1] as u32);
        Ok(kept.floats("begun", Some(1))?[0])
    }

    /// Keeps what is needed to go on from here, if it is time to, or if a signal has come: then the script ends. `begun` is how far the present call has come.
    fn keep(&mut self, begun: f64) -> Result<()> {
        let stop = self.stop.load(Ordering::Relaxed);
        // Writing takes at most a twentieth of the time.
        if self.output.folder.is_none() || !stop && self.committed.0.elapsed() < self.commit_every.max(20 * self.committed.1) {
            return if stop { Err(Stop::Signal) } else { Ok(()) };
        }
        let clock = Instant::now();
        let mut kept = Kept::default();
        self.engine.keep(&mut kept)?;
        self.output.keep(&mut kept)?;
        if let Some(path) = self.output.path(resume::TOLD) {
            kept.words.insert("told".into(), self.engine.journal.file(&path)?.to_vec());
        }
        kept.words.insert("drawn".into(), vec![self.random.drawn()]);
        kept.words.insert("place".into(), vec![u64::from(self.logged.0), u64::from(self.logged.1)]);
        kept.put("begun", [begun]);
        self.write(kept)?;
        self.committed = (Instant::now(), clock.elapsed());
        if stop { Err(Stop::Signal) } else { Ok(()) }
    }

    /// Writes a checkpoint, with what it belongs to.
    fn write(&self, mut kept: Kept) -> std::result::Result<(), Fault> {
        kept.texts.insert("of".into(), self.identity());
        let before = self.output.before.iter().map(|(name, len)| format!("{len} {name}")).collect::<Vec<_>>();
        kept.texts.insert("before".into(), before.join("\n"));
        match self.output.path(resume::FILE) {
            Some(path) => kept.write(&path),
            None => Ok(()),
        }
    }

    /// What a script must have in common with the one that was cut off: texts, program, device.
    pub fn identity(&self) -> String {
        let texts: Vec<String> = self.script.files.iter().map(|f| spinloom_base::hash::of_bytes(f.text.as_bytes())).collect();
        format!("{} {} {:?} {}", texts.join(" "), env!("CARGO_PKG_VERSION"), self.engine.device, self.engine.exact_demag)
    }

    /// A checkpoint of a script that has not begun, or has ended.
    ///
    /// # Errors
    /// What the file system says.
    pub fn mark(&self, finished: bool) -> std::result::Result<(), Problems> {
        let mut kept = Kept::default();
        kept.words.insert("finished".into(), vec![u64::from(finished), self.expectations as u64]);
        self.write(kept).map_err(told)?;
        if let Some(path) = self.output.path(resume::TOLD) {
            // It may not be there.
            let _ = std::fs::remove_file(path);
        }
        Ok(())
    }

    /// `relax` and `minimize`.
    ///
    /// # Errors
    /// What goes wrong on the way.
    pub fn settle(&mut self, how: impl FnOnce(&Engine) -> Rest) -> Result<Value> {
        self.moves(|s, begun| {
            let (clock, how) = (Instant::now(), how(&s.engine));
            if begun.is_none() {
                s.warn_without_moment();
                s.engine.begin_settling(how)?;
            }
            while s.engine.go_on_settling()? {
                s.keep(0.0)?;
                s.watch(clock, 0.0)?;
            }
            Ok(s.engine.end_settling(how)?)
        })
    }

    /// What is due at this moment: table rows, fields, pictures.
    fn due(&mut self) -> Result<()> {
        let t = self.engine.time();
        for i in 0..self.output.automatic.len() {
            if self.output.automatic[i].1.due(t) {
                let (q, _, picture) = self.output.automatic[i].clone();
                self.save(&q, None, picture)?;
            }
        }
        if self.output.table_period.as_mut().is_some_and(|p| p.due(t)) {
            self.table_row()?;
        }
        Ok(self.output.tick()?)
    }

    /// Shows who watches what they want to see, waits while they say so, and does what they ask for.
    fn watch(&mut self, began: Instant, done: f64) -> Result<()> {
        let Some(live) = self.live.clone() else { return Ok(()) };
        let mesh = self.engine.mesh()?;
        let (about, columns) = (live.about(), self.output.heads());
        if (about.n, about.cell) != (mesh.n, mesh.cell) || about.columns != columns {
            let name = self.script.files[0].name.clone();
            live.begin(About { name, n: mesh.n, cell: mesh.cell, replicas: vec![String::new()], columns, editable: false });
        }
        let (t, elapsed) = (self.engine.time(), began.elapsed());
        let longest = if done > 0.0 { t / done } else { 0.0 };
        live.progress(&Progress {
            stage: "running",
            finished: 0,
            replicas: 1,
            simulated: t,
            longest,
            evaluations: self.engine.steps as u64,
            elapsed,
        });
        let (stop, path) = (self.stop.clone(), self.output.path(&format!("m_{:.4}ns.ovf", 1e9 * t)));
        let (mesh, shown) = (crate::run::recorded(&mesh), path.clone().map_or(String::new(), |p| p.display().to_string()));
        live.look(&self.engine.magnet()?.sim, &stop, &mut |sim| {
            path.iter().try_for_each(|p| crate::run::save_m(sim, 0, &mesh, t, p))?;
            Ok(format!("saved {shown}"))
        });
        while let Some(text) = live.to_set() {
            live.say(format!("{text}: a script sets its parameters itself"));
        }
        Ok(())
    }

    /// Tells, now and then, how far a long run has come. `done` is a part of the whole.
    fn progress(&mut self, began: Instant, done: f64) {
        if self.prints && self.shown.elapsed().as_secs() >= SHOW_EVERY {
            self.shown = Instant::now();
            let gone = began.elapsed().as_secs_f64();
            let left = if done > 0.0 { format!(", about {:.0} s left", gone * (1.0 / done - 1.0)) } else { String::new() };
            let (t, steps) = (self.engine.time(), self.engine.steps);
            eprintln!(
                "{}: t = {:.4} ns, step {steps}, {:.0} % of this run in {gone:.0} s{left}",
                self.script.files[0].name,
                1e9 * t,
                100.0 * done
            );
        }
    }

    /// Runs for a time (s).
    ///
    /// # Errors
    /// What goes wrong on the way.
    pub fn run_for(&mut self, duration: f64) -> Result<Value> {
        self.moves(|s, begun| {
            let clock = Instant::now();
            let start = begun.unwrap_or_else(|| s.engine.time());
            let until = s.engine.end(start, duration);
            if begun.is_none() {
                s.warn_without_moment();
                s.engine.begin(until)?;
                s.due()?;
                s.keep(start)?;
            }
            while s.engine.time() < until {
                s.engine.step()?;
                s.due()?;
                s.keep(start)?;
                let done = (s.engine.time() - start) / duration;
                s.progress(clock, done);
                s.watch(clock, done)?;
            }
            Ok(())
        })
    }

    /// Takes steps.
    ///
    /// # Errors
    /// What goes wrong on the way.
    pub fn run_steps(&mut self, count: i64) -> Result<Value> {
        self.moves(|s, begun| {
            let clock = Instant::now();
            if begun.is_none() {
                s.warn_without_moment();
                s.engine.begin(f64::INFINITY)?;
                s.due()?;
                s.keep(0.0)?;
            }
            for k in begun.unwrap_or_default() as i64..count {
                s.engine.step()?;
                s.due()?;
                s.keep((k + 1) as f64)?;
                let done = (k + 1) as f64 / count as f64;
                s.progress(clock, done);
                s.watch(clock, done)?;
            }
            Ok(())
        })
    }

    /// Runs while a condition holds.
    ///
    /// # Errors
    /// What goes wrong on the way.
    pub fn run_while(&mut self, condition: &Live) -> Result<Value> {
        self.moves(|s, begun| {
            if begun.is_none() {
                s.warn_without_moment();
                s.engine.begin(f64::INFINITY)?;
                s.due()?;
                s.keep(0.0)?;
            }
            let clock = Instant::now();
            while s.now(condition, |s, e| s.truth(e))? {
                s.engine.step()?;
                s.due()?;
                s.keep(0.0)?;
                s.watch(clock, 0.0)?;
            }
            Ok(())
        })
    }

    // --- output

    /// Writes a field or a picture of it.
    ///
    /// # Errors
    /// What hinders the quantity or the file.
    pub fn save(&mut self, q: &Arc<Quantity>, file: Option<&str>, picture: bool) -> Result<Value> {
        if self.engine.journal.replaying() {
            return Ok(Value::Nothing);
        }
        self.engine.journal.inside += 1;
        let field = self.engine.field(q)?;
        self.engine.journal.inside -= 1;
        let name = q.name();
        let extension = if picture { self.output.snapshot_format.clone() } else { self.output.format.extension().into() };
        let file = match file {
            Some(f)
                if Path::new(f).extension().is_some_and(|e| {
                    ["ovf", "omf", "ohf", "dump", "jpg", "jpeg", "png", "gif"].iter().any(|k| e.eq_ignore_ascii_case(k))
                }) =>
            {
                f.to_string()
            }
            Some(f) => format!("{f}.{extension}"),
            None => format!("{}.{extension}", self.output.numbered(&name)),
        };
        if picture {
            self.output.snapshot(&field, &file)?
        } else {
            self.output.save(&self.engine, &field, &name, &q.unit(), &file)?
        }
        Ok(Value::Nothing)
    }

    /// Writes a field or a picture of it every period (s).
    ///
    /// # Errors
    /// None.
    pub fn automatic(&mut self, q: Arc<Quantity>, period: f64, picture: bool) -> Result<Value> {
        let name = q.name();
        self.output.automatic.retain(|(other, _, p)| *p != picture || other.name() != name);
        if period > 0.0 {
            let now = self.engine.time();
            self.output.automatic.push((q, Periodic::new(period, now), picture));
        }
        Ok(Value::Nothing)
    }

    /// Adds columns to the table.
    ///
    /// # Errors
    /// If it has been begun.
    pub fn add_column(&mut self, column: Column) -> Result<Value> {
        if self.output.begun {
            return Err(Fault::new("the table has been begun", "add columns before its first row").into());
        }
        self.output.columns.push(column);
        Ok(Value::Nothing)
    }

    /// Writes a row of the table.
    ///
    /// # Errors
    /// What hinders a quantity or the file.
    pub fn table_row(&mut self) -> Result<()> {
        if let Some(drawn) = self.engine.journal.again(Told::Row)? {
            self.random.draw_to(drawn[0] as u64);
            self.output.begun = true;
            return Ok(());
        }
        self.engine.journal.inside += 1;
        let mut values = Vec::new();
        for column in self.output.columns.clone() {
            match column {
                Column::Quantity(q) => values.extend(self.engine.value(&q)?),
                Column::Live { expression, .. } => values.push(self.now(&expression, |s, e| s.number(e))?),
            }
        }
        self.engine.journal.inside -= 1;
        self.engine.journal.note(Told::Row, &[self.random.drawn() as f64]);
        let t = self.engine.time();
        if let Some(live) = &self.live {
            live.row(0, &[&[t], &values[..]].concat());
        }
        Ok(self.output.row(t, &values)?)
    }
}

fn told(f: Fault) -> Problems {
    spinloom_base::Diagnostic::error(f.message).hint(f.hint).into()
}
