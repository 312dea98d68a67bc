//! What every crate's manifest and first lines say.

use crate::{Finding, Tree};

/// A dependency's version stands in the root manifest, once.
#[must_use]
pub fn versions_live_in_the_root(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for manifest in tree.manifests() {
        let mut in_dependencies = false;
        for (index, line) in manifest.text.lines().enumerate() {
            if line.starts_with('[') {
                in_dependencies = line.contains("dependencies");
                // `[dependencies.tokio]` hides its version in the lines below.
                if line.contains("dependencies.") {
                    let why = "write the dependency on one line, `x.workspace = true`".to_owned();
                    findings.push(Finding { file: manifest.path.clone(), line: index + 1, why });
                }
            } else if in_dependencies
                && line.contains('=')
                && !line.trim_start().starts_with('#')
                && !line.replace(' ', "").contains("workspace=true")
            {
                let why =
                    "name the version in the root Cargo.toml and write `x.workspace = true` here"
                        .to_owned();
                findings.push(Finding { file: manifest.path.clone(), line: index + 1, why });
            }
        }
    }
    findings
}

/// The workspace's lints hold in every crate.
#[must_use]
pub fn lints_are_inherited(tree: &Tree) -> Vec<Finding> {
    let inherits = |text: &str| text.replace("\r\n", "\n").contains("[lints]\nworkspace = true");
    tree.manifests()
        .filter(|manifest| !inherits(&manifest.text))
        .map(|manifest| Finding {
            file: manifest.path.clone(),
            line: 1,
            why: "add `[lints]` with `workspace = true`".to_owned(),
        })
        .collect()
}

/// A crate's first lines say what it promises, so that nobody has to guess from its code.
#[must_use]
pub fn crates_say_what_they_promise(tree: &Tree) -> Vec<Finding> {
    const LEAST: usize = 3;
    let mut findings = Vec::new();
    for source in tree.rust().filter(|source| source.path.ends_with("/src/lib.rs")) {
        let said = source
            .text
            .lines()
            .filter(|line| line.strip_prefix("//!").is_some_and(|text| text.len() > 3))
            .count();
        if said < LEAST {
            let why = format!(
                "a crate documentation (`//!`) of at least {LEAST} lines: its job, its promises"
            );
            findings.push(Finding { file: source.path.clone(), line: 1, why });
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Source;

    fn tree(path: &str, text: &str) -> Tree {
        Tree::new(vec![Source::new(path, text)])
    }

    #[test]
    fn a_version_in_a_crate_is_found() {
        let text = "[package]\nversion = \"1\"\n[dependencies]\na.workspace = true\nb = \"1\"\nc = { workspace = true }\n";
        let found = versions_live_in_the_root(&tree("shared/x/Cargo.toml", text));
        assert_eq!(found.iter().map(|finding| finding.line).collect::<Vec<_>>(), [5]);
    }

    #[test]
    fn a_crate_without_a_promise_is_found() {
        assert_eq!(
            crates_say_what_they_promise(&tree("shared/x/src/lib.rs", "//! kefu-x.\n")).len(),
            1
        );
        let text = "//! The journal.\n//!\n//! Append only.\n//! In order.\n";
        assert!(crates_say_what_they_promise(&tree("shared/x/src/lib.rs", text)).is_empty());
    }
}
