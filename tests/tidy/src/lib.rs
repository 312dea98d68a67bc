//! The house rules that no compiler, linter or `buf` checks, as tests.
//!
//! Each rule is a function from the [`Tree`] of source files to its [`Finding`]s; each has one test in
//! `tests/house_rules.rs`, whose failure lists file, line and why. The rules read text, not types: a small
//! [`lexer`] blanks out comments and literals first, so that they speak of code.
//!
//! An exception is written where it is made, with its reason, on the line or the one above:
//!
//! ```text
//! // tidy-allow: tests_do_not_sleep: a real process is asked again until it answers
//! ```
//!
//! Where several rules could hold, the cheapest check wins: formatting is rustfmt's, banned functions are
//! clippy's, comments on the API are `buf lint`'s, licences are `cargo deny`'s.

pub mod lexer;
pub mod rules;
mod tree;

use std::fmt;

pub use tree::{Source, Tree};

/// One broken rule at one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Path from the root of the repository, with `/`.
    pub file: String,
    /// Counted from 1.
    pub line: usize,
    /// What is wrong, and what to do instead.
    pub why: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.why)
    }
}
