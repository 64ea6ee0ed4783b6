//! Looks through a whole script before its first statement runs: names, types, numbers of arguments.

use super::library::{self, Kind, METHODS};
use super::syntax::{Block, Expr, Kind as E, Op, Script, Spot, Stmt};
use super::value::{Type, serves, wanted};
use spinloom_base::Problems;
use spinloom_base::diagnostics::nearest;
use std::collections::HashMap;

struct Checker<'a> {
    script: &'a Script,
    scopes: Vec<HashMap<String, Type>>,
    problems: Problems,
}

/// Checks a script; `known` are names that are defined already.
///
/// # Errors
/// Everything that is wrong.
pub fn check(script: &Script, known: &HashMap<String, Type>) -> Result<(), Problems> {
    let mut c = Checker { script, scopes: vec![known.clone()], problems: Problems::new() };
    c.block(&script.body);
    c.problems.into_result(Some(()))
}

impl Checker<'_> {
    fn error(&mut self, spot: Spot, message: impl Into<String>, hint: impl Into<String>) {
        self.problems.push(self.script.error(spot, message).hint(hint));
    }

    fn local(&self, name: &str) -> Option<Type> {
        self.scopes.iter().rev().find_map(|s| s.get(name)).copied()
    }

    fn inner(&mut self, work: impl FnOnce(&mut Self)) {
        self.scopes.push(HashMap::new());
        work(self);
        self.scopes.pop();
    }

    fn block(&mut self, block: &Block) {
        for (statement, _) in block.iter() {
            self.statement(statement);
        }
    }

    fn condition(&mut self, e: &Expr) {
        if let Some(t) = self.expression(e)
            && !serves('b', t)
        {
            self.error(e.spot, format!("a condition must be true or false; this is {}", t.words()), "compare with == or <");
        }
    }

    fn statement(&mut self, s: &Stmt) {
        match s {
            Stmt::Expr(e) => {
                self.expression(e);
            }
            Stmt::Define(name, spot, value) => {
                let t = self.expression(value);
                let here = self.scopes.last().is_some_and(|s| s.contains_key(name));
                if here || (self.scopes.len() == 1 && library::is_taken(name)) {
                    let hint = if here { "write = to give it another value" } else { "this name belongs to the language; choose another" };
                    self.error(*spot, format!("`{name}` is defined already"), hint);
                }
                if t == Some(Type::Nothing) {
                    self.error(value.spot, "this has no value", "");
                }
                if let Some(scope) = self.scopes.last_mut() {
                    scope.insert(name.clone(), t.unwrap_or(Type::Unknown));
                }
            }
            Stmt::Assign(target, value) => {
                let t = self.expression(value);
                self.assign(target, value.spot, t);
            }
            Stmt::Change(target, _, value) => {
                let t = self.expression(value);
                if let Some(t) = t.filter(|t| !serves('f', *t)) {
                    self.error(value.spot, format!("only numbers are added or taken off; this is {}", t.words()), "");
                }
                if let Some(t) = self.expression(target)
                    && !serves('f', t)
                {
                    self.error(target.spot, format!("{} has no += or -=", t.words()), "");
                }
                self.assign(target, value.spot, Some(Type::Float));
            }
            Stmt::If(c, then, otherwise) => {
                self.condition(c);
                self.inner(|s| s.block(then));
                if let Some(o) = otherwise {
                    self.inner(|s| s.statement(o));
                }
            }
            Stmt::For(init, c, post, body) => self.inner(|s| {
                if let Some(i) = init {
                    s.statement(i);
                }
                if let Some(c) = c {
                    s.condition(c);
                }
                if let Some(p) = post {
                    s.statement(p);
                }
                s.inner(|s| s.block(body));
            }),
            Stmt::Block(b) => self.inner(|s| s.block(b)),
        }
    }

    fn assign(&mut self, target: &Expr, at: Spot, t: Option<Type>) {
        let E::Name(name) = &target.kind else {
            self.error(target.spot, "this cannot be assigned to", "only names can");
            return;
        };
        let letter = if let Some(have) = self.local(name) {
            match have {
                Type::Int => 'i',
                Type::Float => 'f',
                Type::Bool => 'b',
                Type::Str => 's',
                Type::Vector => 'v',
                Type::Shape => 'S',
                Type::Config => 'C',
                Type::Data => 'd',
                _ => 'x',
            }
        } else if let Some(entry) = library::find(name) {
            match entry.kind {
                Kind::Variable(Type::Int, ..) => 'i',
                Kind::Variable(Type::Float | Type::Single(_), ..) => 'f',
                Kind::Variable(Type::Bool, ..) => 'b',
                Kind::Variable(Type::Str, ..) => 's',
                Kind::Variable(Type::Vector, ..) => 'v',
                Kind::Variable(..) => 'T',
                Kind::Parameter(p) | Kind::Excitation(p) => {
                    if p.info().components == 3 {
                        'V'
                    } else {
                        'F'
                    }
                }
                Kind::Magnetisation => 'C',
                _ => {
                    self.error(target.spot, format!("`{name}` cannot be assigned to"), "");
                    return;
                }
            }
        } else {
            self.unknown(target.spot, name, "define it first with `:=`");
            return;
        };
        if let Some(t) = t.filter(|t| !serves(letter, *t)) {
            self.error(at, format!("`{name}` takes {}; this is {}", wanted(letter), t.words()), "");
        }
    }

    fn unknown(&mut self, spot: Spot, name: &str, otherwise: &str) {
        let all = library::all();
        let locals: Vec<String> = self.scopes.iter().flat_map(|s| s.keys().cloned()).collect();
        let known = all.iter().map(|e| e.name).chain(locals.iter().map(String::as_str));
        let lower: Vec<(String, &str)> = known.map(|n| (n.to_lowercase(), n)).collect();
        // Of two letters everything is near.
        let near = if name.chars().count() > 2 { nearest(name, lower.iter().map(|(l, _)| l.as_str())) } else { None };
        let hint = match near {
            Some(n) => format!("did you mean `{}`?", lower.iter().find(|(l, _)| l == n).map_or(n, |(_, n)| n)),
            None => otherwise.to_string(),
        };
        self.error(spot, format!("`{name}` is not known"), hint);
    }

    fn arguments(&mut self, what: &str, spot: Spot, letters: &str, arguments: &[Expr]) {
        let (fixed, many) = match letters.strip_suffix('*') {
            Some(f) => (&f[..f.len() - 1], f.chars().last()),
            None => (letters, None),
        };
        if arguments.len() < fixed.len() || (arguments.len() > fixed.len() && many.is_none()) {
            let n = fixed.len();
            let wants: Vec<&str> = letters.chars().filter(|c| *c != '*').map(wanted).collect();
            let hint = if wants.is_empty() { String::new() } else { format!("it takes {}", wants.join(", ")) };
            self.error(spot, format!("`{what}` takes {n} argument(s), not {}", arguments.len()), hint);
        }
        for (i, a) in arguments.iter().enumerate() {
            let letter = fixed.chars().nth(i).or(many);
            if let (Some(t), Some(letter)) = (self.expression(a), letter)
                && !serves(letter, t)
            {
                self.error(a.spot, format!("argument {} of `{what}` must be {}; this is {}", i + 1, wanted(letter), t.words()), "");
            }
        }
    }

    /// The type of an expression; none where something was wrong with it.
    fn expression(&mut self, e: &Expr) -> Option<Type> {
        match &e.kind {
            E::Int(_) => Some(Type::Int),
            E::Float(_) => Some(Type::Float),
            E::Str(_) => Some(Type::Str),
            E::Name(name) => {
                if let Some(t) = self.local(name) {
                    return Some(t);
                }
                match library::find(name) {
                    Some(entry) => Some(entry.value_type()),
                    None => {
                        self.unknown(e.spot, name, "");
                        None
                    }
                }
            }
            E::Neg(a) => {
                if let Some(t) = self.expression(a).filter(|t| !serves('f', *t)) {
                    self.error(
                        a.spot,
                        format!("a sign belongs to a number; this is {}", t.words()),
                        if t == Type::Vector { "use .mul(-1)" } else { "" },
                    );
                }
                Some(Type::Float)
            }
            E::Not(a) => {
                self.condition(a);
                Some(Type::Bool)
            }
            E::Binary(op, a, b) => {
                let letter = if matches!(op, Op::And | Op::Or) { 'b' } else { 'f' };
                for side in [a, b] {
                    if let Some(t) = self.expression(side).filter(|t| !serves(letter, *t)) {
                        let hint = match t {
                            Type::Vector => "vectors have methods: .add(v), .sub(v), .mul(s), .dot(v), .cross(v)",
                            Type::Str if *op == Op::Add => "sprint(a, b) joins texts",
                            Type::Str => "texts cannot be compared",
                            Type::Shape => "shapes have methods: .add(s), .sub(s), .intersect(s)",
                            t if t.is_quantity() => "quantities combine by add(a, b), mul(a, b), …",
                            _ => "",
                        };
                        self.error(side.spot, format!("expected {} here; this is {}", wanted(letter), t.words()), hint);
                    }
                }
                Some(if matches!(op, Op::Add | Op::Sub | Op::Mul | Op::Div) { Type::Float } else { Type::Bool })
            }
            E::Index(a, i) => {
                if let Some(t) = self.expression(i).filter(|t| !serves('i', *t)) {
                    self.error(i.spot, format!("an index is an integer; this is {}", t.words()), "");
                }
                if let Some(t) = self.expression(a)
                    && !matches!(t, Type::Vector | Type::Numbers | Type::Unknown)
                {
                    self.error(
                        a.spot,
                        format!("{} has no index", t.words()),
                        if t.is_quantity() { "take its .average() first" } else { "" },
                    );
                }
                Some(Type::Float)
            }
            E::Member(a, name) => {
                let t = self.expression(a)?;
                self.error(e.spot, format!("`.{name}` of {} is a method", t.words()), format!("write .{name}(…)"));
                None
            }
            E::Call(f, arguments) => self.call(e.spot, f, arguments),
        }
    }

    fn call(&mut self, spot: Spot, f: &Expr, arguments: &[Expr]) -> Option<Type> {
        match &f.kind {
            E::Name(name) => {
                if let Some(t) = self.local(name) {
                    if !matches!(t, Type::Curve | Type::Unknown) {
                        self.error(spot, format!("`{name}` is {}, not a function", t.words()), "");
                    }
                    self.arguments(name, spot, "f", arguments);
                    return Some(Type::Float);
                }
                let Some(entry) = library::find(name) else {
                    self.unknown(f.spot, name, "");
                    for a in arguments {
                        self.expression(a);
                    }
                    return None;
                };
                match entry.kind {
                    Kind::Function(letters, returns, _) => {
                        self.arguments(entry.name, spot, letters, arguments);
                        Some(returns)
                    }
                    Kind::Math1(_) => {
                        self.arguments(entry.name, spot, "f", arguments);
                        Some(Type::Float)
                    }
                    Kind::Math2(_) => {
                        self.arguments(entry.name, spot, "ff", arguments);
                        Some(Type::Float)
                    }
                    _ => {
                        self.error(spot, format!("`{}` is {}, not a function", entry.name, entry.value_type().words()), "");
                        None
                    }
                }
            }
            E::Member(of, name) => {
                let t = self.expression(of)?;
                if t == Type::Unknown {
                    for a in arguments {
                        self.expression(a);
                    }
                    return Some(Type::Unknown);
                }
                match library::method(t, name) {
                    Some((letters, returns)) => {
                        self.arguments(name, spot, letters, arguments);
                        Some(returns)
                    }
                    None => {
                        let known = METHODS.iter().copied().filter(|m| library::method(t, m).is_some());
                        let hint = match nearest(name, known.clone()) {
                            Some(n) => format!("did you mean `.{n}`?"),
                            None => format!("it has {}", known.collect::<Vec<_>>().join(", ")),
                        };
                        self.error(f.spot, format!("{} has no method `{name}`", t.words()), hint);
                        None
                    }
                }
            }
            _ => {
                self.error(f.spot, "this cannot be called", "");
                None
            }
        }
    }
}
