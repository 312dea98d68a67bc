//! Who may know whom.

use super::{forbid, is_product};
use crate::{Finding, Tree};

/// What a pure function has no use for.
const OUTSIDE_WORLD: [&str; 9] = [
    "sqlx",
    "tonic",
    "tokio",
    "reqwest",
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "std::thread",
];
const QUERIES: [&str; 10] = [
    "sqlx::query",
    "query!",
    "query_as!",
    "query_scalar!",
    "query_file!",
    "query_file_as!",
    "query_file_scalar!",
    "query_as",
    "query_scalar",
    "QueryBuilder",
];
/// The crates whose whole job is SQL.
const STORES: [&str; 2] = ["shared/journal/", "shared/postgres/"];
const CONTEXTS: [&str; 4] = ["kefu-customer", "kefu-ticket", "kefu-survey", "kefu-gateway"];

/// `domain/` decides and does nothing else: no I/O, no runtime, no wire, no database.
#[must_use]
pub fn domain_is_pure(tree: &Tree) -> Vec<Finding> {
    let pure =
        |path: &str| path.contains("/src/domain/") || path.starts_with("shared/calendar/src/");
    let files = tree.rust().filter(|source| pure(&source.path));
    files
        .flat_map(|source| {
            forbid(source, "domain_is_pure", &OUTSIDE_WORLD, |line| !source.is_test(line), |word| {
                format!("`{word}` in pure code: take the value as an argument, do the work in app/ or store/")
            })
        })
        .collect()
}

/// SQL is under `store/`, where its row types are, and in migrations.
#[must_use]
pub fn sql_lives_in_store(tree: &Tree) -> Vec<Finding> {
    let elsewhere = |path: &str| {
        !path.contains("/src/store/")
            && !path.ends_with("/src/store.rs")
            && !STORES.iter().any(|store| path.starts_with(store))
    };
    let files = tree.rust().filter(|source| is_product(source) && elsewhere(&source.path));
    files
        .flat_map(|source| {
            forbid(
                source,
                "sql_lives_in_store",
                &QUERIES,
                |line| !source.is_test(line),
                |word| format!("`{word}` outside store/: move the statement there and call it"),
            )
        })
        .collect()
}

/// Statements are literals that the compiler checks against the schema; no text of a caller becomes SQL.
///
/// `shared/postgres` sets up roles and databases, whose names cannot be parameters; Postgres quotes them.
#[must_use]
pub fn sql_is_never_assembled(tree: &Tree) -> Vec<Finding> {
    let sets_up = |path: &str| path.starts_with("shared/postgres/");
    let files = tree.rust().filter(|source| is_product(source) && !sets_up(&source.path));
    files
        .flat_map(|source| {
            let words = ["AssertSqlSafe", "QueryBuilder"];
            forbid(
                source,
                "sql_is_never_assembled",
                &words,
                |line| !source.is_test(line),
                |word| {
                    format!(
                        "`{word}`: write the statement out as a checked query!, with parameters"
                    )
                },
            )
        })
        .collect()
}

/// Contexts learn of each other over gRPC and feeds; shared crates know no context.
#[must_use]
pub fn contexts_do_not_know_each_other(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for manifest in tree.manifests() {
        let path = &manifest.path;
        let is_context =
            CONTEXTS.iter().any(|name| path.starts_with(&name.replace("kefu-", "services/")));
        if !is_context && !path.starts_with("shared/") {
            continue;
        }
        let mut shipped = false;
        for (index, line) in manifest.text.lines().enumerate() {
            if line.starts_with('[') {
                shipped = line.trim() == "[dependencies]";
            }
            let dependency = line.split(['.', ' ', '=']).next().unwrap_or_default();
            if shipped && CONTEXTS.contains(&dependency) {
                let why = format!("depends on `{dependency}`: call its API, or read its feed");
                findings.push(Finding { file: path.clone(), line: index + 1, why });
            }
        }
    }
    findings
}

/// `main.rs` reads the configuration, starts telemetry and runs the library.
#[must_use]
pub fn mains_are_short(tree: &Tree) -> Vec<Finding> {
    const LIMIT: usize = 40;
    let mains =
        tree.rust().filter(|source| is_product(source) && source.path.ends_with("/src/main.rs"));
    mains
        .filter(|source| source.text.lines().count() >= LIMIT)
        .map(|source| Finding {
            file: source.path.clone(),
            line: LIMIT,
            why: format!(
                "a main has fewer than {LIMIT} lines: what it does more belongs into the library"
            ),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Source;

    fn tree(path: &str, text: &str) -> Tree {
        Tree::new(vec![Source::new(path, text)])
    }

    #[test]
    fn a_database_in_the_domain_is_found_and_a_mention_is_not() {
        let path = "services/ticket/src/domain/clock.rs";
        assert_eq!(
            domain_is_pure(&tree(path, "use jiff::Timestamp;\nuse sqlx::PgPool;\n"))[0].line,
            2
        );
        assert!(domain_is_pure(&tree(path, "// no sqlx here\nlet a = \"tokio\";\n")).is_empty());
        assert!(
            domain_is_pure(&tree("services/ticket/src/app/clock.rs", "use sqlx::PgPool;\n"))
                .is_empty()
        );
    }

    #[test]
    fn sql_is_found_outside_the_store_only() {
        let text = "fn f() { sqlx::query!(\"select 1\"); }\n";
        assert!(!sql_lives_in_store(&tree("services/ticket/src/app/ticket.rs", text)).is_empty());
        assert!(sql_lives_in_store(&tree("services/ticket/src/store/ticket.rs", text)).is_empty());
        assert!(sql_lives_in_store(&tree("shared/journal/src/append.rs", text)).is_empty());
        assert!(sql_lives_in_store(&tree("services/ticket/tests/ticket.rs", text)).is_empty());
    }

    #[test]
    fn a_context_in_a_context_is_found() {
        let text = "[dependencies]\nkefu-survey.workspace = true\n[dev-dependencies]\nkefu-customer.workspace = true\n";
        assert_eq!(
            contexts_do_not_know_each_other(&tree("services/ticket/Cargo.toml", text)).len(),
            1
        );
        assert!(
            contexts_do_not_know_each_other(&tree("services/kefu/Cargo.toml", text)).is_empty()
        );
    }
}
