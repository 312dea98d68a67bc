//! The rules, by what they are about. A rule's name is the name that `tidy-allow` uses.

pub mod architecture;
pub mod manifests;
pub mod operation;
pub mod prose;
pub mod testing;

use crate::{Finding, Source, lexer};

/// A finding for every whole word of `words` in the code of `source`, where `applies` to its line.
fn forbid(
    source: &Source,
    rule: &str,
    words: &[&str],
    applies: impl Fn(usize) -> bool,
    why: impl Fn(&str) -> String,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for word in words {
        for offset in lexer::words(&source.code, word) {
            let line = lexer::line_of(&source.code, offset);
            if applies(line) && !source.allows(rule, line) {
                findings.push(Finding { file: source.path.clone(), line, why: why(word) });
            }
        }
    }
    findings
}

/// Product code: what ends up in a binary that we ship. The test crates are tools of the tests.
fn is_product(source: &Source) -> bool {
    source.is_rust()
        && (source.path.starts_with("services/") || source.path.starts_with("shared/"))
        && source.path.contains("/src/")
}
