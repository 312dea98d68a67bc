//! A filter whose fields exist and whose values fit.

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::parse::{Raw, RawTerm, parse};
use crate::token::Text;
use crate::{Fault, Field, Kind, Schema};

/// How a field is compared with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparator {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    More,
    /// `>=`
    AtLeast,
    /// `:`
    Has,
}

/// A filter that was checked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    pub(crate) root: Node,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    All(Vec<Node>),
    Any(Vec<Node>),
    Not(Box<Node>),
    Term(Term),
}

impl Default for Node {
    fn default() -> Self {
        Self::All(Vec::new())
    }
}

/// A field, a comparator and a value that fit each other.
#[derive(Clone, Debug, PartialEq)]
pub struct Term {
    /// The field.
    pub field: &'static Field,
    /// What stands for the star of the field's name, where it has one.
    pub key: String,
    /// How they are compared.
    pub comparator: Comparator,
    /// What the field is compared with.
    pub value: Value,
}

/// What a field is compared with.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Whether it is set, `*`.
    Anything,
    /// Whoever asks, `me`.
    Me,
    /// A text, a word in small letters, a path or a UUID.
    Text(String),
    /// A text that begins so.
    Prefix(String),
    /// A number.
    Number(i64),
    /// A truth.
    Flag(bool),
    /// A point in time.
    Time(Timestamp),
    /// A length of time.
    Duration(SignedDuration),
}

impl Filter {
    /// Reads and checks a filter. One of nothing but blanks lets everything pass.
    ///
    /// # Errors
    /// The first [`Fault`].
    pub fn parse(text: &str, schema: &Schema) -> Result<Self, Fault> {
        let root = match parse(text)? {
            None => Node::default(),
            Some(raw) => checked(raw, schema)?,
        };
        Ok(Self { root })
    }

    /// Whether it lets everything pass.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.root == Node::default()
    }

    /// All its terms.
    pub fn terms(&self) -> impl Iterator<Item = &Term> {
        let mut open = vec![&self.root];
        std::iter::from_fn(move || {
            loop {
                match open.pop()? {
                    Node::All(parts) | Node::Any(parts) => open.extend(parts.iter().rev()),
                    Node::Not(inner) => open.push(inner),
                    Node::Term(term) => return Some(term),
                }
            }
        })
    }

    /// The terms without which nothing passes: by one of them it can be looked for.
    pub fn required(&self) -> impl Iterator<Item = &Term> {
        let parts = match &self.root {
            Node::All(parts) => parts.as_slice(),
            only => std::slice::from_ref(only),
        };
        parts.iter().filter_map(|part| match part {
            Node::Term(term) => Some(term),
            _ => None,
        })
    }
}

fn checked(raw: Raw, schema: &Schema) -> Result<Node, Fault> {
    let all = |parts: Vec<Raw>| -> Result<Vec<Node>, Fault> {
        parts.into_iter().map(|part| checked(part, schema)).collect()
    };
    Ok(match raw {
        Raw::All(parts) => Node::All(all(parts)?),
        Raw::Any(parts) => Node::Any(all(parts)?),
        Raw::Not(inner) => Node::Not(Box::new(checked(*inner, schema)?)),
        Raw::Term(term) => Node::Term(check_term(term, schema)?),
    })
}

fn check_term(raw: RawTerm, schema: &Schema) -> Result<Term, Fault> {
    let (position, name) = raw.field;
    let (field, key) = find(schema, &name).ok_or_else(|| unknown(position, &name, schema))?;
    let (position, comparator) = raw.comparator;
    let (value_at, text) = raw.value;
    let derived = matches!(field.kind, Kind::Remaining(_) | Kind::Elapsed(_) | Kind::Passed(_));
    let presence = comparator == Comparator::Has && text.star && text.text.is_empty() && !derived;
    if !presence && !fits(field.kind, comparator) {
        let known = comparators(field.kind);
        return Err(Fault::new(
            position,
            format!("compares {name} in a way that it does not know; it knows {known}"),
            format!("{name} 不支持该比较符，只支持 {known}"),
        ));
    }
    let value = if presence {
        Value::Anything
    } else {
        value(field.kind, &text).map_err(|(english, chinese)| {
            Fault::new(
                value_at,
                format!("compares {name} with what is not {english}"),
                format!("{name} 的值应为{chinese}"),
            )
        })?
    };
    Ok(Term { field, key, comparator, value })
}

fn find(schema: &Schema, name: &str) -> Option<(&'static Field, String)> {
    schema.0.iter().find_map(|field| match field.name.strip_suffix('*') {
        None => (field.name == name).then(|| (field, String::new())),
        Some(prefix) => {
            let key = name.strip_prefix(prefix).filter(|key| !key.is_empty())?;
            Some((field, key.to_owned()))
        }
    })
}

fn unknown(position: usize, name: &str, schema: &Schema) -> Fault {
    let known: Vec<&str> = schema.0.iter().map(|field| field.name).collect();
    let known = known.join(", ");
    let name: String = name.chars().take(50).collect();
    Fault::new(
        position,
        format!("names {name:?}, which is no field; there are {known}"),
        format!("没有字段“{name}”，可用的有 {known}"),
    )
}

fn fits(kind: Kind, comparator: Comparator) -> bool {
    use Comparator::{AtLeast, AtMost, Equal, Has, Less, More, NotEqual};
    match kind {
        Kind::Code(_) | Kind::Text | Kind::Person | Kind::Id(_) => {
            matches!(comparator, Equal | NotEqual)
        }
        Kind::Number => comparator != Has,
        Kind::Path => matches!(comparator, Equal | NotEqual | Has),
        Kind::Tags => comparator == Has,
        Kind::Time | Kind::Remaining(_) | Kind::Elapsed(_) => {
            matches!(comparator, Less | AtMost | More | AtLeast)
        }
        Kind::Passed(_) => comparator == Equal,
    }
}

fn comparators(kind: Kind) -> &'static str {
    match kind {
        Kind::Code(_) | Kind::Text | Kind::Person | Kind::Id(_) => "= != :*",
        Kind::Number => "= != < <= > >= :*",
        Kind::Path => "= != :",
        Kind::Tags => ":",
        Kind::Time => "< <= > >= :*",
        Kind::Remaining(_) | Kind::Elapsed(_) => "< <= > >=",
        Kind::Passed(_) => "=",
    }
}

type Expected = (String, String);

fn value(kind: Kind, text: &Text) -> Result<Value, Expected> {
    let plain = text.text.as_str();
    let expected = |english: &str, chinese: &str| (english.to_owned(), chinese.to_owned());
    if text.star && !matches!(kind, Kind::Text) {
        return Err(expected("a whole value", "完整的值，不能带星号"));
    }
    match kind {
        Kind::Code(codes) => {
            let code = plain.to_ascii_lowercase();
            let known = codes.contains(&code.as_str());
            let list = || codes.join(", ").to_ascii_uppercase();
            if known { Ok(Value::Text(code)) } else { Err((format!("one of {}", list()), list())) }
        }
        Kind::Number => {
            plain.parse().map(Value::Number).map_err(|_| expected("a whole number", "整数"))
        }
        Kind::Text if text.star => Ok(Value::Prefix(plain.to_owned())),
        Kind::Text | Kind::Path | Kind::Tags => Ok(Value::Text(plain.to_owned())),
        Kind::Person if plain == "me" && !text.quoted => Ok(Value::Me),
        Kind::Person => Ok(Value::Text(plain.to_owned())),
        Kind::Time => plain.parse().map(Value::Time).map_err(|_| {
            expected(
                "a time such as \"2026-03-02T10:00:00+08:00\"",
                "时间，例如 \"2026-03-02T10:00:00+08:00\"",
            )
        }),
        Kind::Remaining(_) | Kind::Elapsed(_) => duration(plain)
            .map(Value::Duration)
            .ok_or_else(|| expected("a length of time such as 4h", "时长，例如 4h")),
        Kind::Passed(_) => plain
            .to_ascii_lowercase()
            .parse()
            .map(Value::Flag)
            .map_err(|_| expected("true or false", "true 或 false")),
        Kind::Id(collection) => plain
            .strip_prefix(collection)
            .and_then(|rest| rest.strip_prefix('/'))
            .and_then(|id| Uuid::try_parse(id).ok())
            .map(|id| Value::Text(id.to_string()))
            .ok_or_else(|| (format!("{collection}/UUID"), format!("{collection}/UUID"))),
    }
}

/// A number and a unit, at most a hundred years.
fn duration(text: &str) -> Option<SignedDuration> {
    const LONGEST: i64 = 100 * 366 * 86_400;
    let unit = match text.chars().next_back()? {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return None,
    };
    let number: i64 = text.get(..text.len() - 1)?.parse().ok()?;
    let seconds = number.checked_mul(unit).filter(|seconds| seconds.abs() <= LONGEST)?;
    Some(SignedDuration::from_secs(seconds))
}
