//! Filters as people and programs write them: a safe subset of AIP-160, checked against a schema of fields (T-23).
//!
//! ```
//! use kefu_filter::{Field, Filter, Kind, Schema};
//!
//! static FIELDS: [Field; 2] = [
//!     Field::new("state", Kind::Code(&["registered", "closed"])),
//!     Field::new("severity", Kind::Number),
//! ];
//! let filter = Filter::parse("state = REGISTERED AND NOT severity < 2", &Schema(&FIELDS)).unwrap();
//! assert_eq!(filter.terms().count(), 2);
//! ```
//!
//! # The language
//!
//! `AND`, `OR`, `NOT` (or `-`), brackets; terms side by side are joined by AND; **OR binds closer than AND**, as AIP-160
//! has it. A term is a field, a comparator and a value; which comparators a field knows follows from its [`Kind`]. A text
//! may end in `*`, which stands for any end. `field:*` asks whether the field is set. Strings stand in single or double
//! quotes with `\` before a quote, a star or itself; what has no blanks and none of `()<>=!:,"'` needs no quotes.
//! Functions and terms without a field are refused.
//!
//! # What is promised
//!
//! * **Bounded (X-08).** At most [`MAX_LENGTH`] characters, [`MAX_DEPTH`] brackets within each other and [`MAX_TERMS`]
//!   terms; the effort is linear in the length, whatever the text. Nothing here panics.
//! * **Clear (X-06).** The first thing that is wrong is named with its position.
//! * **Safe.** [`Filter::compile`] makes an SQL/JSON path of fixed words, names of the schema and numbered variables; the
//!   caller's values are variables, never text of the path.

mod check;
mod compile;
mod parse;
mod token;

pub use crate::{
    check::{Comparator, Filter, Term, Value},
    compile::{Compiled, Moment},
};

/// The longest filter, in characters.
pub const MAX_LENGTH: usize = 2_000;
/// The most brackets and negations within each other.
pub const MAX_DEPTH: usize = 16;
/// The most terms.
pub const MAX_TERMS: usize = 64;

/// The fields that a filter may name.
#[derive(Clone, Copy, Debug)]
pub struct Schema(pub &'static [Field]);

/// A field that a filter may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// As people write it and as the filtered objects have it; `clock.*` stands for `clock.` with any key after it.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
}

impl Field {
    /// A field of a kind.
    pub const fn new(name: &'static str, kind: Kind) -> Self {
        Self { name, kind }
    }
}

/// What a field holds, and so how it is compared and how the filtered object has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One of these words, in small letters; a filter may write them in any case. `=`, `!=`.
    Code(&'static [&'static str]),
    /// A whole number. All comparators.
    Number,
    /// A text. `=`, `!=`, both also with a star at the end.
    Text,
    /// A path of segments with `/` between them. `=`, `!=`, and `:` for "at or below".
    Path,
    /// Texts. `:` for "one of them is".
    Tags,
    /// A point in time, as microseconds since 1970; written as in RFC 3339. `<`, `<=`, `>`, `>=`.
    Time,
    /// Time left until the point in time that the field of this name holds; negative once it has passed. Written as `4h`,
    /// `30m`, `2d`, `90s`. `<`, `<=`, `>`, `>=`.
    Remaining(&'static str),
    /// Time passed since the point in time that the field of this name holds; the same otherwise.
    Elapsed(&'static str),
    /// Whether the point in time that the field of this name holds has passed. `= true`, `= false`.
    Passed(&'static str),
    /// A member of staff; `me` without quotes stands for whoever asks. `=`, `!=`.
    Person,
    /// The UUID of a resource, written as its name in this collection. `=`, `!=`.
    Id(&'static str),
}

/// What is wrong with a filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("character {position}: {english}")]
pub struct Fault {
    /// Where, in characters from 1.
    pub position: usize,
    /// What, in English, to follow the word "filter".
    pub english: String,
    /// What, in Chinese.
    pub chinese: String,
}

impl Fault {
    pub(crate) fn new(
        position: usize,
        english: impl Into<String>,
        chinese: impl Into<String>,
    ) -> Self {
        Self { position, english: english.into(), chinese: chinese.into() }
    }
}
