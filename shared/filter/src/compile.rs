//! A filter as an SQL/JSON path, which Postgres evaluates on an object with the schema's fields.
//!
//! The path is made of fixed words, names of the schema and numbered variables. A field that is not set must be absent from
//! the object, not null: then `NOT` and `!=` hold for what is not set, and no comparison is ever undecided.

use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value as Json};

use crate::check::Node;
use crate::{Comparator, Filter, Kind, Term, Value};

/// What a filter means at one moment for one caller.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'a> {
    /// The present.
    pub now: Timestamp,
    /// Whoever asks.
    pub me: &'a str,
}

/// A predicate for `jsonb_path_match(object, path, variables)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Compiled {
    /// The path.
    pub path: String,
    /// Its variables.
    pub variables: Json,
}

impl Filter {
    /// The predicate of this filter.
    #[must_use]
    pub fn compile(&self, moment: Moment<'_>) -> Compiled {
        let mut writer = Writer { path: String::new(), variables: Map::new(), moment };
        writer.node(&self.root);
        Compiled { path: writer.path, variables: Json::Object(writer.variables) }
    }
}

struct Writer<'a> {
    path: String,
    variables: Map<String, Json>,
    moment: Moment<'a>,
}

impl Writer<'_> {
    fn node(&mut self, node: &Node) {
        match node {
            Node::All(parts) if parts.is_empty() => self.path.push_str("1 == 1"),
            Node::All(parts) => self.joined(parts, " && "),
            Node::Any(parts) => self.joined(parts, " || "),
            Node::Not(inner) => {
                self.path.push_str("!(");
                self.node(inner);
                self.path.push(')');
            }
            Node::Term(term) => self.term(term),
        }
    }

    fn joined(&mut self, parts: &[Node], word: &str) {
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                self.path.push_str(word);
            }
            self.path.push('(');
            self.node(part);
            self.path.push(')');
        }
    }

    fn term(&mut self, term: &Term) {
        let Moment { now, me } = self.moment;
        let field = term.field.name;
        match (term.field.kind, &term.value) {
            (_, Value::Anything) => {
                let place = self.place(term, field);
                self.push(format_args!("exists({place})"));
            }
            (Kind::Remaining(of), Value::Duration(length)) => {
                self.compare(term, of, term.comparator, micros(now, *length));
            }
            (Kind::Elapsed(of), Value::Duration(length)) => {
                let before = micros(now, length.checked_neg().unwrap_or(SignedDuration::MAX));
                self.compare(term, of, mirrored(term.comparator), before);
            }
            (Kind::Passed(of), Value::Flag(passed)) => {
                if !passed {
                    self.path.push('!');
                }
                self.path.push('(');
                let now = micros(now, SignedDuration::ZERO);
                self.compare(term, of, Comparator::AtMost, now);
                self.path.push(')');
            }
            (Kind::Path, Value::Text(path)) if term.comparator == Comparator::Has => {
                let place = self.place(term, field);
                let at = self.variable(path.as_str().into());
                let below = self.variable(format!("{path}/").into());
                self.push(format_args!("({place} == {at} || {place} starts with {below})"));
            }
            (_, Value::Prefix(prefix)) => {
                let not = if term.comparator == Comparator::NotEqual { "!" } else { "" };
                let place = self.place(term, field);
                let prefix = self.variable(prefix.as_str().into());
                self.push(format_args!("{not}({place} starts with {prefix})"));
            }
            (_, Value::Me) => self.compare(term, field, term.comparator, me.into()),
            (_, Value::Text(text)) => {
                self.compare(term, field, term.comparator, text.as_str().into());
            }
            (_, Value::Number(number)) => {
                self.compare(term, field, term.comparator, (*number).into());
            }
            (_, Value::Time(time)) => {
                self.compare(term, field, term.comparator, micros(*time, SignedDuration::ZERO));
            }
            // Checking lets no such pair through.
            (_, Value::Duration(_) | Value::Flag(_)) => self.path.push_str("1 == 0"),
        }
    }

    fn compare(&mut self, term: &Term, field: &str, comparator: Comparator, value: Json) {
        let place = self.place(term, field);
        let value = self.variable(value);
        let operator = match comparator {
            // What is not set is not equal either.
            Comparator::NotEqual => return self.push(format_args!("!({place} == {value})")),
            Comparator::Equal | Comparator::Has => "==",
            Comparator::Less => "<",
            Comparator::AtMost => "<=",
            Comparator::More => ">",
            Comparator::AtLeast => ">=",
        };
        self.push(format_args!("{place} {operator} {value}"));
    }

    /// Where a field stands in the object. A key is the caller's, so it is compared as a variable too.
    fn place(&mut self, term: &Term, field: &str) -> String {
        match field.strip_suffix(".*") {
            None => format!("$.\"{field}\"[*]"),
            Some(map) => {
                let key = self.variable(term.key.as_str().into());
                format!("$.\"{map}\".keyvalue() ? (@.key == {key}).value")
            }
        }
    }

    fn variable(&mut self, value: Json) -> String {
        let name = format!("v{}", self.variables.len());
        let variable = format!("$\"{name}\"");
        self.variables.insert(name, value);
        variable
    }

    fn push(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = self.path.write_fmt(text);
    }
}

fn micros(time: Timestamp, later: SignedDuration) -> Json {
    let far = if later.is_negative() { Timestamp::MIN } else { Timestamp::MAX };
    time.checked_add(later).unwrap_or(far).as_microsecond().into()
}

/// More time has passed since what lies further back.
fn mirrored(comparator: Comparator) -> Comparator {
    match comparator {
        Comparator::Less => Comparator::More,
        Comparator::AtMost => Comparator::AtLeast,
        Comparator::More => Comparator::Less,
        Comparator::AtLeast => Comparator::AtMost,
        other => other,
    }
}
