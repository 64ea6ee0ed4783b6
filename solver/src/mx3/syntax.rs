//! The text of a script to a tree: Go's lexical rules and the part of its grammar that scripts use.
//!
//! Written by hand rather than with a parser library, because half of its work is to say what a physicist meant by what
//! is *not* in the language.

use spinloom_base::{Diagnostic, Place, Problems};
use std::sync::Arc;

/// A place in a script: file, line and column, the last two from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Spot {
    /// Number of the file in [`Script::files`].
    pub file: u16,
    /// Line.
    pub line: u32,
    /// Column.
    pub column: u32,
}

/// An expression and where it begins.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// What it is.
    pub kind: Kind,
    /// Where.
    pub spot: Spot,
}

/// Operators with two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`
    Div,
    /// `==`
    Eq,
    /// `!=`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
    /// `&&`
    And,
    /// `||`
    Or,
}

/// Kinds of expressions. Names are in lower case: the language does not tell cases apart.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// An integer literal.
    Int(i64),
    /// A number with a point or exponent.
    Float(f64),
    /// A string, without its quotes, escapes as written.
    Str(String),
    /// A name.
    Name(String),
    /// A function's call.
    Call(Box<Expr>, Vec<Expr>),
    /// `x.name`
    Member(Box<Expr>, String),
    /// `x[i]`
    Index(Box<Expr>, Box<Expr>),
    /// `-x`
    Neg(Box<Expr>),
    /// `!x`
    Not(Box<Expr>),
    /// `a + b` and the like.
    Binary(Op, Box<Expr>, Box<Expr>),
}

/// Statements.
#[derive(Clone, Debug, PartialEq)]
pub enum Stmt {
    /// A call, usually.
    Expr(Arc<Expr>),
    /// `x = value`
    Assign(Expr, Arc<Expr>),
    /// `x := value`
    Define(String, Spot, Arc<Expr>),
    /// `x += value`, `x -= value`, `x++`, `x--`.
    Change(Expr, Op, Arc<Expr>),
    /// `if`
    If(Arc<Expr>, Block, Option<Box<Stmt>>),
    /// `for`
    For(Option<Box<Stmt>>, Option<Arc<Expr>>, Option<Box<Stmt>>, Block),
    /// `{ … }`
    Block(Block),
}

/// Statements with the lines they came from.
pub type Block = Arc<Vec<(Stmt, Spot)>>;

/// A file of a script: as the user named it, and its text.
#[derive(Clone, Debug)]
pub struct File {
    /// Its name.
    pub name: String,
    /// Its text.
    pub text: Arc<str>,
}

/// A parsed script.
#[derive(Clone, Debug)]
pub struct Script {
    /// The script, then the files it takes in.
    pub files: Vec<File>,
    /// What it does.
    pub body: Block,
}

impl Script {
    /// An error at a place in it.
    pub fn error(&self, spot: Spot, message: impl Into<String>) -> Diagnostic {
        error_at(&self.files[usize::from(spot.file)], spot, message)
    }

    /// The line of a place.
    pub fn line(&self, spot: Spot) -> &str {
        line_of(&self.files[usize::from(spot.file)], spot)
    }

    /// The name of the file of a place.
    pub fn name(&self, spot: Spot) -> &str {
        &self.files[usize::from(spot.file)].name
    }
}

fn line_of(file: &File, spot: Spot) -> &str {
    file.text.lines().nth(spot.line.saturating_sub(1) as usize).unwrap_or("")
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Int(i64),
    Float(f64),
    Str(String),
    Name(String),
    /// A word of Go's; those are lower case.
    Keyword(String),
    Sign(&'static str),
    /// A newline or `;` that ends a statement.
    End,
    Eof,
}

const SIGNS: &[&str] = &[
    "<<=", ">>=", "&^=", "...", ":=", "+=", "-=", "*=", "/=", "%=", "++", "--", "&&", "||", "==", "!=", "<=", ">=", "<<", ">>", "&^", "+",
    "-", "*", "/", "%", "=", "<", ">", "!", "(", ")", "[", "]", "{", "}", ",", ".", ":", "&", "|", "^",
];

/// Go's words that the language does not have, and what to write instead.
const REFUSED: &[(&str, &str)] = &[
    ("switch", "use if / else if"),
    ("range", "count with `for i := 0; i < n; i++`"),
    ("break", "put the condition into the `for`"),
    ("continue", "use if / else"),
    ("return", "use exit() to stop"),
    ("func", "functions cannot be defined in scripts"),
    ("var", "write `x := value`"),
    ("const", "write `x := value`"),
    ("go", ""),
    ("defer", ""),
    ("goto", ""),
    ("select", ""),
    ("struct", ""),
    ("interface", ""),
    ("map", ""),
    ("chan", ""),
    ("type", ""),
    ("package", ""),
    ("import", ""),
    ("case", ""),
    ("default", ""),
    ("fallthrough", ""),
];

struct Lexer<'a> {
    file: &'a File,
    number: u16,
    text: &'a str,
    at: usize,
    line: u32,
    start: usize,
    list: Vec<(Token, Spot)>,
}

impl Lexer<'_> {
    fn spot(&self) -> Spot {
        Spot { file: self.number, line: self.line, column: self.text[self.start..self.at].chars().count() as u32 + 1 }
    }

    fn error(&self, message: impl Into<String>) -> Diagnostic {
        error_at(self.file, self.spot(), message)
    }

    fn newline(&mut self) {
        self.line += 1;
        self.start = self.at;
    }

    fn end_statement(&mut self) {
        let ends = match self.list.last() {
            Some((Token::Int(_) | Token::Float(_) | Token::Str(_) | Token::Name(_), _)) => true,
            Some((Token::Sign(s), _)) => matches!(*s, ")" | "]" | "}" | "++" | "--"),
            _ => false,
        };
        if ends {
            self.list.push((Token::End, self.spot()));
        }
    }

    fn run(mut self) -> Result<Vec<(Token, Spot)>, Problems> {
        while let Some(c) = self.text[self.at..].chars().next() {
            let rest = &self.text[self.at..];
            if c == '\n' {
                self.end_statement();
                self.at += 1;
                self.newline();
            } else if c.is_whitespace() || c == '\u{feff}' {
                self.at += c.len_utf8();
            } else if rest.starts_with("//") {
                self.at += rest.find('\n').unwrap_or(rest.len());
            } else if rest.starts_with("/*") {
                let Some(end) = rest.find("*/") else {
                    return Err(self.error("a comment begins here and never ends").hint("close it with `*/`").into());
                };
                if rest[..end].contains('\n') {
                    self.end_statement();
                    for _ in rest[..end].matches('\n') {
                        self.line += 1;
                    }
                    self.start = self.at + rest[..end].rfind('\n').unwrap_or(0) + 1;
                }
                self.at += end + 2;
            } else if c.is_alphabetic() || c == '_' {
                let len = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
                let spot = self.spot();
                let word = &rest[..len];
                let keyword = matches!(word, "if" | "for" | "else") || REFUSED.iter().any(|(w, _)| *w == word);
                // A call of `Const` is often written in lower case.
                let called = word == "const" && rest[len..].starts_with('(');
                let token = if keyword && !called { Token::Keyword(word.into()) } else { Token::Name(word.to_lowercase()) };
                self.list.push((token, spot));
                self.at += len;
            } else if c.is_ascii_digit() || (c == '.' && rest[1..].starts_with(|c: char| c.is_ascii_digit())) {
                let token = self.number(rest)?;
                let spot = self.spot();
                self.list.push((token.0, spot));
                self.at += token.1;
            } else if c == '"' || c == '`' {
                self.string(c)?;
            } else if c == '\'' {
                return Err(self.error("there are no single characters in scripts").hint("put strings in double quotes").into());
            } else if c == ';' {
                let spot = self.spot();
                self.list.push((Token::End, spot));
                self.at += 1;
            } else if let Some(sign) = SIGNS.iter().find(|s| rest.starts_with(**s)) {
                let spot = self.spot();
                self.list.push((Token::Sign(sign), spot));
                self.at += sign.len();
            } else {
                return Err(self.error(format!("`{c}` means nothing here")).into());
            }
        }
        self.end_statement();
        let spot = self.spot();
        self.list.push((Token::Eof, spot));
        Ok(self.list)
    }

    fn number(&self, rest: &str) -> Result<(Token, usize), Problems> {
        let bytes = rest.as_bytes();
        let mut len = 0;
        let digits = |mut i: usize| {
            while i < bytes.len() && (bytes[i].is_ascii_digit() || bytes[i] == b'_') {
                i += 1;
            }
            i
        };
        len = digits(len);
        let mut float = false;
        if bytes.get(len) == Some(&b'.') {
            float = true;
            len = digits(len + 1);
        }
        if matches!(bytes.get(len), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(len + 1), Some(b'+' | b'-')));
            let end = digits(len + 1 + sign);
            if end > len + 1 + sign {
                float = true;
                len = end;
            }
        }
        let text = &rest[..len];
        let after = rest[len..].chars().next();
        if after.is_some_and(|c| c.is_alphanumeric() || c == '_') || text.contains('_') {
            let word: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            return Err(self.error(format!("`{word}` is not a number")).hint("write decimal digits, as 1000 or 1e3").into());
        }
        if float {
            text.parse().map(|v| (Token::Float(v), len)).map_err(|_| self.error(format!("`{text}` is not a number")).into())
        } else {
            // A number too long for an integer is meant as one with a point.
            Ok((text.parse().map_or_else(|_| Token::Float(text.parse().unwrap_or(f64::NAN)), Token::Int), len))
        }
    }

    fn string(&mut self, quote: char) -> Result<(), Problems> {
        let spot = self.spot();
        let rest = &self.text[self.at + 1..];
        let mut escaped = false;
        for (i, c) in rest.char_indices() {
            if c == '\n' && quote == '"' {
                break;
            }
            if c == quote && !escaped {
                self.list.push((Token::Str(rest[..i].to_string()), spot));
                let lines = rest[..i].matches('\n').count();
                if lines > 0 {
                    self.line += lines as u32;
                    self.start = self.at + 1 + rest[..i].rfind('\n').unwrap_or(0) + 1;
                }
                self.at += i + 2;
                return Ok(());
            }
            escaped = c == '\\' && !escaped && quote == '"';
        }
        Err(self.error("a string begins here and never ends").hint("close it with a quote on the same line").into())
    }
}

/// An error at a place, with its line of the source and a mark under it.
pub fn error_at(file: &File, spot: Spot, message: impl Into<String>) -> Diagnostic {
    let line = line_of(file, spot);
    let before: String = line.chars().take(spot.column.saturating_sub(1) as usize).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
    let message: String = message.into();
    Diagnostic::error(format!("{message}\n    {line}\n    {before}^\n   ")).at(Place {
        file: file.name.clone(),
        line: spot.line,
        column: spot.column,
    })
}

struct Parser<'a> {
    file: &'a File,
    tokens: Vec<(Token, Spot)>,
    at: usize,
    /// How many statements and values we are inside of.
    depth: usize,
    /// Operators, calls and members of the present statement so far.
    links: usize,
}

/// Blocks and parentheses may be nested so deep, and a statement may have so many operators, calls and members: whoever walks the tree does so on a stack.
const DEEPEST: usize = 150;
const MOST_LINKS: usize = 500;

type Parsed<T> = Result<T, Diagnostic>;

impl Parser<'_> {
    /// Works one level further in.
    fn deeper<T>(&mut self, work: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth == DEEPEST {
            return Err(self.error(format!("this is nested more than {DEEPEST} deep")).hint("write it in several statements"));
        }
        self.depth += 1;
        let result = work(self);
        self.depth -= 1;
        result
    }

    fn link(&mut self) -> Parsed<()> {
        self.links += 1;
        if self.links > MOST_LINKS {
            return Err(self.error(format!("more than {MOST_LINKS} operators in one statement")).hint("write several"));
        }
        Ok(())
    }

    fn peek(&self) -> &Token {
        &self.tokens[self.at].0
    }

    fn spot(&self) -> Spot {
        self.tokens[self.at].1
    }

    fn next(&mut self) -> Token {
        let token = self.tokens[self.at].0.clone();
        if self.at + 1 < self.tokens.len() {
            self.at += 1;
        }
        token
    }

    fn is(&self, sign: &str) -> bool {
        matches!(self.peek(), Token::Sign(s) if *s == sign)
    }

    fn take(&mut self, sign: &str) -> bool {
        let there = self.is(sign);
        if there {
            self.next();
        }
        there
    }

    fn error(&self, message: impl Into<String>) -> Diagnostic {
        error_at(self.file, self.spot(), message)
    }

    fn found(&self) -> String {
        match self.peek() {
            Token::Int(v) => format!("`{v}`"),
            Token::Float(v) => format!("`{v}`"),
            Token::Str(s) => format!("\"{s}\""),
            Token::Name(n) | Token::Keyword(n) => format!("`{n}`"),
            Token::Sign(s) => format!("`{s}`"),
            Token::End => "the end of the line".into(),
            Token::Eof => "the end of the file".into(),
        }
    }

    fn expect(&mut self, sign: &str, what: &str) -> Parsed<()> {
        if self.take(sign) { Ok(()) } else { Err(self.error(format!("expected `{sign}` {what}, found {}", self.found()))) }
    }

    /// Statements up to `}` or the end.
    fn statements(&mut self, inner: bool, problems: &mut Problems) -> Vec<(Stmt, Spot)> {
        let mut list = Vec::new();
        loop {
            while *self.peek() == Token::End {
                self.next();
            }
            if *self.peek() == Token::Eof || (inner && self.is("}")) {
                return list;
            }
            let spot = self.spot();
            let before = self.at;
            match self.deeper(|p| p.statement(problems)) {
                Ok(statement) => {
                    list.push((statement, spot));
                    if !self.ended(inner) {
                        problems.push(self.error(format!("expected the end of the statement, found {}", self.found())));
                        self.recover(inner);
                    }
                }
                Err(e) => {
                    problems.push(e);
                    if self.at == before {
                        self.next();
                    }
                    self.recover(inner);
                }
            }
        }
    }

    /// Whether a statement ends here.
    fn ended(&self, inner: bool) -> bool {
        matches!(self.peek(), Token::End | Token::Eof) || (inner && self.is("}"))
    }

    /// To the next statement, so that further problems are found too.
    fn recover(&mut self, inner: bool) {
        while !self.ended(inner) {
            self.next();
        }
    }

    fn block(&mut self, problems: &mut Problems) -> Parsed<Block> {
        self.expect("{", "to begin a block")?;
        let list = self.statements(true, problems);
        self.expect("}", "to end the block")?;
        Ok(Arc::new(list))
    }

    fn statement(&mut self, problems: &mut Problems) -> Parsed<Stmt> {
        if self.is("{") {
            return Ok(Stmt::Block(self.block(problems)?));
        }
        if let Token::Keyword(word) = self.peek().clone() {
            match word.as_str() {
                "if" => {
                    self.next();
                    return self.branch(problems);
                }
                "for" => {
                    self.next();
                    return self.repeat(problems);
                }
                "else" => return Err(self.error("an `else` without its `if`").hint("write `} else {` on one line")),
                _ => {}
            }
            if let Some((_, hint)) = REFUSED.iter().find(|(w, _)| *w == word) {
                return Err(self.error(format!("scripts have no `{word}`")).hint(*hint));
            }
        }
        self.simple()
    }

    fn branch(&mut self, problems: &mut Problems) -> Parsed<Stmt> {
        let mut first = self.simple()?;
        // An initial statement is accepted, and has no effect, as in mumax3.
        if *self.peek() == Token::End {
            self.next();
            first = self.simple()?;
        }
        let Stmt::Expr(condition) = first else { return Err(self.error("expected a condition after `if`").hint("compare with `==`")) };
        let then = self.block(problems)?;
        let otherwise = if matches!(self.peek(), Token::Keyword(w) if w == "else") {
            self.next();
            if matches!(self.peek(), Token::Keyword(w) if w == "if") {
                self.next();
                Some(Box::new(self.deeper(|p| p.branch(problems))?))
            } else {
                Some(Box::new(Stmt::Block(self.block(problems)?)))
            }
        } else {
            None
        };
        Ok(Stmt::If(condition, then, otherwise))
    }

    fn repeat(&mut self, problems: &mut Problems) -> Parsed<Stmt> {
        if self.is("{") {
            return Ok(Stmt::For(None, None, None, self.block(problems)?));
        }
        let init = if *self.peek() == Token::End { None } else { Some(self.simple()?) };
        if self.is("{") {
            let Some(Stmt::Expr(condition)) = init else { return Err(self.error("expected a condition after `for`")) };
            return Ok(Stmt::For(None, Some(condition), None, self.block(problems)?));
        }
        if *self.peek() != Token::End {
            return Err(self.error(format!("expected `;` after the first part of `for`, found {}", self.found())));
        }
        self.next();
        let condition = if *self.peek() == Token::End { None } else { Some(Arc::new(self.expression(0)?)) };
        if *self.peek() != Token::End {
            return Err(self.error(format!("expected `;` after the condition of `for`, found {}", self.found())));
        }
        self.next();
        let post = if self.is("{") { None } else { Some(Box::new(self.simple()?)) };
        Ok(Stmt::For(init.map(Box::new), condition, post, self.block(problems)?))
    }

    fn simple(&mut self) -> Parsed<Stmt> {
        self.links = 0;
        let spot = self.spot();
        let left = self.expression(0)?;
        if self.is(",") {
            return Err(self.error("one value is assigned at a time").hint("write two statements"));
        }
        let Token::Sign(sign) = self.peek().clone() else { return Ok(Stmt::Expr(Arc::new(left))) };
        match sign {
            "=" | ":=" | "+=" | "-=" => {
                self.next();
                let value = Arc::new(self.expression(0)?);
                match (sign, left) {
                    (":=", Expr { kind: Kind::Name(name), .. }) => Ok(Stmt::Define(name, spot, value)),
                    (":=", _) => Err(error_at(self.file, spot, "only a name can be defined with `:=`")),
                    ("=", left) => Ok(Stmt::Assign(left, value)),
                    ("+=", left) => Ok(Stmt::Change(left, Op::Add, value)),
                    (_, left) => Ok(Stmt::Change(left, Op::Sub, value)),
                }
            }
            "++" | "--" => {
                self.next();
                let one = Arc::new(Expr { kind: Kind::Int(1), spot });
                Ok(Stmt::Change(left, if sign == "++" { Op::Add } else { Op::Sub }, one))
            }
            "*=" | "/=" | "%=" | "<<=" | ">>=" | "&^=" => {
                Err(self.error(format!("scripts have no `{sign}`")).hint(format!("write `x = x {} …`", &sign[..sign.len() - 1])))
            }
            _ => Ok(Stmt::Expr(Arc::new(left))),
        }
    }

    fn expression(&mut self, floor: u8) -> Parsed<Expr> {
        let mut left = self.deeper(Self::unary)?;
        loop {
            let Token::Sign(sign) = self.peek().clone() else { return Ok(left) };
            let (op, level) = match sign {
                "||" => (Op::Or, 1),
                "&&" => (Op::And, 2),
                "==" => (Op::Eq, 3),
                "!=" => (Op::Ne, 3),
                "<" => (Op::Lt, 3),
                "<=" => (Op::Le, 3),
                ">" => (Op::Gt, 3),
                ">=" => (Op::Ge, 3),
                "+" => (Op::Add, 4),
                "-" => (Op::Sub, 4),
                "*" => (Op::Mul, 5),
                "/" => (Op::Div, 5),
                "%" => return Err(self.error("scripts have no `%`").hint("write mod(a, b)")),
                "^" => return Err(self.error("scripts have no `^`").hint("write pow(a, b)")),
                "&" | "|" | "<<" | ">>" | "&^" => return Err(self.error(format!("scripts have no `{sign}`"))),
                _ => return Ok(left),
            };
            if level <= floor {
                return Ok(left);
            }
            let spot = left.spot;
            self.next();
            self.link()?;
            let right = self.expression(level)?;
            left = Expr { kind: Kind::Binary(op, Box::new(left), Box::new(right)), spot };
        }
    }

    fn unary(&mut self) -> Parsed<Expr> {
        let spot = self.spot();
        if self.take("-") {
            let inner = self.deeper(Self::unary)?;
            return Ok(Expr { kind: Kind::Neg(Box::new(inner)), spot });
        }
        if self.take("!") {
            let inner = self.deeper(Self::unary)?;
            return Ok(Expr { kind: Kind::Not(Box::new(inner)), spot });
        }
        if self.is("+") {
            return Err(self.error("scripts have no sign `+` in front of a number").hint("leave it out"));
        }
        if self.is("*") || self.is("&") {
            return Err(self.error("scripts have no pointers"));
        }
        self.postfix()
    }

    fn postfix(&mut self) -> Parsed<Expr> {
        let spot = self.spot();
        let mut e = match self.next() {
            Token::Int(v) => Expr { kind: Kind::Int(v), spot },
            Token::Float(v) => Expr { kind: Kind::Float(v), spot },
            Token::Str(s) => Expr { kind: Kind::Str(s), spot },
            Token::Name(n) => Expr { kind: Kind::Name(n), spot },
            Token::Keyword(n) => {
                let hint = REFUSED.iter().find(|(w, _)| *w == n).map_or("", |(_, h)| h);
                return Err(error_at(self.file, spot, format!("`{n}` is no value")).hint(hint));
            }
            Token::Sign("(") => {
                let inner = self.expression(0)?;
                self.expect(")", "to close the parenthesis")?;
                inner
            }
            _ => {
                self.at = self.at.saturating_sub(1).max(self.tokens.iter().position(|t| t.1 == spot).unwrap_or(0));
                return Err(self.error(format!("expected a value, found {}", self.found())));
            }
        };
        loop {
            if ["(", ".", "["].iter().any(|s| self.is(s)) {
                self.link()?;
            }
            if self.take("(") {
                let mut arguments = Vec::new();
                while !self.is(")") {
                    arguments.push(self.expression(0)?);
                    if !self.take(",") {
                        break;
                    }
                }
                self.expect(")", "to close the arguments")?;
                e = Expr { kind: Kind::Call(Box::new(e), arguments), spot };
            } else if self.take(".") {
                let Token::Name(name) = self.peek().clone() else {
                    return Err(self.error(format!("expected a method's name after the point, found {}", self.found())));
                };
                self.next();
                e = Expr { kind: Kind::Member(Box::new(e), name), spot };
            } else if self.take("[") {
                let index = self.expression(0)?;
                if self.is(":") {
                    return Err(self.error("scripts have no slices `a[i:j]`"));
                }
                self.expect("]", "to close the index")?;
                e = Expr { kind: Kind::Index(Box::new(e), Box::new(index)), spot };
            } else if self.is("{") && matches!(&e.kind, Kind::Name(n) if n == "vector" || n == "float64") {
                return Err(self.error("scripts have no composite literals").hint("write vector(x, y, z)"));
            } else {
                return Ok(e);
            }
        }
    }
}

/// Parses a file, the `number`th of a script, into its statements.
///
/// # Errors
/// Everything that is wrong with its form.
pub fn parse(file: &File, number: u16) -> Result<Vec<(Stmt, Spot)>, Problems> {
    let tokens = Lexer { file, number, text: &file.text, at: 0, line: 1, start: 0, list: Vec::new() }.run()?;
    let mut parser = Parser { file, tokens, at: 0, depth: 0, links: 0 };
    let mut problems = Problems::new();
    let body = parser.statements(false, &mut problems);
    problems.into_result(Some(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(name: &str, text: &str) -> Result<Vec<(Stmt, Spot)>, Problems> {
        super::parse(&File { name: name.into(), text: text.into() }, 0)
    }

    #[test]
    fn what_would_need_too_much_of_a_stack_is_refused() {
        let many = |text: &str| text.repeat(20_000);
        for (text, words) in [
            (format!("x := {}1{}", many("("), many(")")), "nested more than"),
            (format!("x := {}true", many("!")), "nested more than"),
            (format!("{}{}", many("{"), many("}")), "nested more than"),
            (format!("if a == 1 {{ }}{}", many(" else if a == 1 { }")), "nested more than"),
            (format!("x := 1{}", many("+1")), "more than 500 operators"),
            (format!("x := m{}", many(".comp")), "more than 500 operators"),
        ] {
            let said = parse("t", &text).unwrap_err().to_string();
            assert!(said.contains(words), "{}", &said[..said.len().min(300)]);
        }
        assert!(parse("t", &format!("x := {}1{}", "(".repeat(70), ")".repeat(70))).is_ok());
    }

    #[test]
    fn the_grammar_takes_what_go_takes_and_says_what_it_does_not() {
        let good = "a := 1; b := -2.5e-3 // comment\nfor i:=0; i<3; i++ {\n  a += i*(b-1)/2\n}\nif a==1 && !(b<2) { x(a,\n b) } else if a>3 { } else { m.Average()[1] }\n/* x\ny */ c := \"s\"\nfor a < 3 { a++ }\nfor { a-- }";
        let script = parse("t", good).unwrap();
        assert_eq!(script.len(), 7);
        for (bad, word) in [
            ("x *= 2", "*="),
            ("a := [3]", "value"),
            ("if a = 1 { }", "=="),
            ("for i := range x {}", "range"),
            ("y := +2", "sign"),
            ("s := \"x", "never ends"),
            ("a, b = 1, 2", "one value"),
            ("z := 0x10", "number"),
            ("a % b", "mod"),
            ("f(1", ")"),
        ] {
            let problems = parse("t", bad).unwrap_err().to_string();
            assert!(problems.contains(word), "{bad}: {problems}");
        }
        // All problems at once, each with its place.
        let problems = parse("t", "x *= 2\ny := 3\nz %= 1\n").unwrap_err().to_string();
        assert!(problems.contains("t:1:3") && problems.contains("t:3:3"), "{problems}");
    }
}
