//! What a test may do, and what its name says.

use super::forbid;
use crate::{Finding, Tree, lexer};

/// The requirements by letter, and how many of each there are. The ids are stable and never reused.
const REQUIREMENTS: [(char, u32); 5] = [('x', 10), ('c', 26), ('t', 26), ('s', 10), ('g', 10)];

/// A test runs, or it is deleted.
#[must_use]
pub fn no_test_is_ignored(tree: &Tree) -> Vec<Finding> {
    tree.rust()
        .flat_map(|source| {
            forbid(
                source,
                "no_test_is_ignored",
                &["#[ignore", "ignore]"],
                |_| true,
                |_| "an ignored test proves nothing: mend it or delete it".to_owned(),
            )
        })
        .collect()
}

/// A test waits for what it waits for: a settable clock, a health watch, a notification.
///
/// The load generator is no test: arriving at a constant rate is its job.
#[must_use]
pub fn tests_do_not_sleep(tree: &Tree) -> Vec<Finding> {
    let words =
        ["thread::sleep", "time::sleep", "sleep(Duration", "sleep_until(Instant", "time::interval"];
    tree.rust()
        .filter(|source| !source.path.starts_with("tests/load/"))
        .flat_map(|source| {
            forbid(
                source,
                "tests_do_not_sleep",
                &words,
                |line| source.is_test(line),
                |word| {
                    format!("`{word}` in a test: set the clock, or wait for the condition itself")
                },
            )
        })
        .collect()
}

/// A test whose name begins like a rule id names a rule that exists: `t13_…`, `x02_…`.
#[must_use]
pub fn test_names_carry_existing_rule_ids(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in tree.rust() {
        for (offset, name) in test_functions(&source.code) {
            if let Err(why) = check_id(name) {
                let line = lexer::line_of(&source.code, offset);
                findings.push(Finding { file: source.path.clone(), line, why });
            }
        }
    }
    findings
}

/// The names of all functions under an attribute that ends in `test]` or `test(…)]`.
fn test_functions(code: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("test]").chain(code.match_indices("test(")) {
        let line_start = code[..at].rfind('\n').map_or(0, |newline| newline + 1);
        if !code[line_start..at].trim_start().starts_with("#[") {
            continue;
        }
        let Some(function) = code[at..].find("fn ").map(|offset| at + offset + 3) else { continue };
        let name = code[function..].split(|c: char| !c.is_alphanumeric() && c != '_').next();
        found.push((function, name.unwrap_or_default()));
    }
    // Inside `proptest!` the attribute is the same.
    found.sort_unstable();
    found.dedup();
    found
}

/// `Ok` for a name without an id, and for one whose id exists.
fn check_id(name: &str) -> Result<(), String> {
    let first = name.split('_').next().unwrap_or_default();
    let mut chars = first.chars();
    let Some(letter) = chars.next().filter(char::is_ascii_alphabetic) else { return Ok(()) };
    let digits = chars.as_str();
    // `utf8_…`, `fifo_…`, `i64_…` are words; `t7_…` is an id that is written wrongly.
    let Some((_, last)) = REQUIREMENTS.iter().find(|(known, _)| *known == letter) else {
        return Ok(());
    };
    if digits.is_empty() || !digits.chars().all(|c| c.is_ascii_digit()) {
        return Ok(());
    }
    match digits.parse::<u32>() {
        Ok(number) if digits.len() == 2 && (1..=*last).contains(&number) => Ok(()),
        _ => Err(format!(
            "`{first}` is no rule: `{letter}01` to `{letter}{last:02}` are, two digits each"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Source;

    fn tree(path: &str, text: &str) -> Tree {
        Tree::new(vec![Source::new(path, text)])
    }

    #[test]
    fn a_sleep_is_found_in_tests_only() {
        let text = "async fn f() { tokio::time::sleep(d).await; }\n";
        assert_eq!(tests_do_not_sleep(&tree("tests/e2e/tests/a.rs", text)).len(), 1);
        assert_eq!(tests_do_not_sleep(&tree("services/ticket/tests/a.rs", text)).len(), 1);
        assert!(tests_do_not_sleep(&tree("shared/clock/src/lib.rs", text)).is_empty());
    }

    #[test]
    fn names_with_ids_that_do_not_exist_are_found() {
        let text = "#[test]\nfn t99_x() {}\n#[tokio::test(start_paused = true)]\nasync fn x02_y() {}\n#[test]\nfn plain() {}\n";
        let found = test_names_carry_existing_rule_ids(&tree("shared/x/src/a.rs", text));
        assert_eq!(found.iter().map(|finding| finding.line).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn an_id_has_two_digits() {
        assert!(
            check_id("t7_x").is_err() && check_id("t007_x").is_err() && check_id("t00_x").is_err()
        );
        assert!(
            check_id("t07_x").is_ok() && check_id("utf8_x").is_ok() && check_id("text_x").is_ok()
        );
    }

    #[test]
    fn an_ignored_test_is_found() {
        let text =
            "#[test]\n#[ignore = \"slow\"]\nfn a() {}\n#[cfg_attr(any(), ignore)]\nfn b() {}\n";
        assert_eq!(no_test_is_ignored(&tree("shared/x/src/a.rs", text)).len(), 1);
    }
}
