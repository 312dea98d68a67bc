//! Each house rule, on this repository.

use std::{fmt, io};

use kefu_tidy::rules::{architecture, manifests, operation, prose, testing};
use kefu_tidy::{Finding, Tree};

/// An error that the test harness prints as it is, without a backtrace.
enum Broken {
    /// The places that break the rule, one a line.
    Rule(Vec<Finding>),
    /// The repository could not be read.
    Tree(io::Error),
}

impl fmt::Debug for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule(findings) => {
                writeln!(f, "this rule is broken in {} places:", findings.len())?;
                findings.iter().try_for_each(|finding| writeln!(f, "{finding}"))
            }
            Self::Tree(error) => write!(f, "{error}"),
        }
    }
}

fn holds(rule: fn(&Tree) -> Vec<Finding>) -> Result<(), Broken> {
    let tree = Tree::read().map_err(Broken::Tree)?;
    assert!(
        tree.sources.len() > 20,
        "too few files: was the repository read from the right place?"
    );
    let findings = rule(&tree);
    if findings.is_empty() { Ok(()) } else { Err(Broken::Rule(findings)) }
}

#[test]
fn domain_is_pure() -> Result<(), Broken> {
    holds(architecture::domain_is_pure)
}

#[test]
fn sql_lives_in_store() -> Result<(), Broken> {
    holds(architecture::sql_lives_in_store)
}

#[test]
fn sql_is_never_assembled() -> Result<(), Broken> {
    holds(architecture::sql_is_never_assembled)
}

#[test]
fn contexts_do_not_know_each_other() -> Result<(), Broken> {
    holds(architecture::contexts_do_not_know_each_other)
}

#[test]
fn mains_are_short() -> Result<(), Broken> {
    holds(architecture::mains_are_short)
}

#[test]
fn versions_live_in_the_root() -> Result<(), Broken> {
    holds(manifests::versions_live_in_the_root)
}

#[test]
fn lints_are_inherited() -> Result<(), Broken> {
    holds(manifests::lints_are_inherited)
}

#[test]
fn crates_say_what_they_promise() -> Result<(), Broken> {
    holds(manifests::crates_say_what_they_promise)
}

#[test]
fn settings_are_documented() -> Result<(), Broken> {
    holds(operation::settings_are_documented)
}

#[test]
fn alerts_name_what_is_sent() -> Result<(), Broken> {
    holds(operation::alerts_name_what_is_sent)
}

#[test]
fn files_stay_short() -> Result<(), Broken> {
    holds(prose::files_stay_short)
}

#[test]
fn nothing_is_left_for_later() -> Result<(), Broken> {
    holds(prose::nothing_is_left_for_later)
}

#[test]
fn product_code_does_not_panic() -> Result<(), Broken> {
    holds(prose::product_code_does_not_panic)
}

#[test]
fn allowed_lints_have_a_reason() -> Result<(), Broken> {
    holds(prose::allowed_lints_have_a_reason)
}

#[test]
fn no_machine_paths() -> Result<(), Broken> {
    holds(prose::no_machine_paths)
}

#[test]
fn no_test_is_ignored() -> Result<(), Broken> {
    holds(testing::no_test_is_ignored)
}

#[test]
fn tests_do_not_sleep() -> Result<(), Broken> {
    holds(testing::tests_do_not_sleep)
}

#[test]
fn test_names_carry_existing_rule_ids() -> Result<(), Broken> {
    holds(testing::test_names_carry_existing_rule_ids)
}
