//! What a file may be and say.

use super::{forbid, is_product};
use crate::{Finding, Source, Tree, lexer};

/// A file is read in one sitting: at most 600 lines. Aim for fewer than 500.
#[must_use]
pub fn files_stay_short(tree: &Tree) -> Vec<Finding> {
    const LIMIT: usize = 600;
    // Generated, or a table that is looked up rather than read.
    let exempt =
        |path: &str| path == "Cargo.toml" || path.ends_with(".json") || path.ends_with(".md");
    let mut findings = Vec::new();
    for source in tree.sources.iter().filter(|source| !exempt(&source.path)) {
        let lines = source.text.lines().count();
        if lines > LIMIT {
            let why =
                format!("{lines} lines, the limit is {LIMIT}: which part has a name of its own?");
            findings.push(Finding { file: source.path.clone(), line: LIMIT + 1, why });
        }
    }
    findings
}

/// What is known to be missing is an issue, not a comment.
#[must_use]
pub fn nothing_is_left_for_later(tree: &Tree) -> Vec<Finding> {
    // In pieces, so that this file does not find itself.
    let notes =
        [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X"), concat!("HA", "CK")];
    let macros = ["todo!", "unimplemented!"];
    let mut findings = Vec::new();
    for source in &tree.sources {
        for note in notes {
            for offset in lexer::words(&source.text, note) {
                let line = lexer::line_of(&source.text, offset);
                let why = format!("`{note}`: do it, or file an issue and delete the note");
                findings.push(Finding { file: source.path.clone(), line, why });
            }
        }
        if source.is_rust() {
            findings.extend(forbid(
                source,
                "nothing_is_left_for_later",
                &macros,
                |_| true,
                |word| format!("`{word}`: write it, or leave it out"),
            ));
        }
    }
    findings
}

/// A caller's input, a broken row or a lost connection is an error value, never a panic.
///
/// Clippy says the same and knows the types, so `expect` is left to it. Where it was told to be silent, this rule is
/// silent too: [`allowed_lints_have_a_reason`] sees to the reason.
#[must_use]
pub fn product_code_does_not_panic(tree: &Tree) -> Vec<Finding> {
    let words = [
        (".unwrap()", "clippy::unwrap_used"),
        ("panic!", "clippy::panic"),
        ("unreachable!", "clippy::unreachable"),
    ];
    let mut findings = Vec::new();
    for source in tree.rust().filter(|source| is_product(source)) {
        let applies = |line| !source.is_test(line);
        for (word, _) in
            words.iter().filter(|(_, lint)| lexer::words(&source.code, lint).next().is_none())
        {
            findings.extend(forbid(
                source,
                "product_code_does_not_panic",
                &[word],
                applies,
                |word| format!("`{word}` in product code: return an error that says what happened"),
            ));
        }
    }
    findings
}

/// A lint that is switched off says why, for the next reader.
#[must_use]
pub fn allowed_lints_have_a_reason(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in tree.rust() {
        for opening in ["[allow(", "[expect("] {
            for (offset, _) in source.code.match_indices(opening) {
                let attribute = source.code[offset..].split(']').next().unwrap_or_default();
                if !attribute.contains("reason") {
                    let line = lexer::line_of(&source.code, offset);
                    let why = "add `, reason = \"…\"`".to_owned();
                    findings.push(Finding { file: source.path.clone(), line, why });
                }
            }
        }
    }
    findings
}

/// Nothing depends on, or tells of, the machine it was written on.
#[must_use]
pub fn no_machine_paths(tree: &Tree) -> Vec<Finding> {
    // In pieces, so that this file does not find itself.
    let paths = [
        concat!("/wo", "rk/"),
        concat!("/ro", "ot/"),
        concat!("/ho", "me/"),
        concat!("/tm", "p/"),
        concat!("C:", "\\"),
    ];
    tree.sources.iter().flat_map(|source| machine_paths(source, &paths)).collect()
}

fn machine_paths(source: &Source, paths: &[&str]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for path in paths {
        for (offset, _) in source.text.match_indices(path) {
            let line = lexer::line_of(&source.text, offset);
            // `network/` and a URL's path are not absolute paths.
            let before = source.text[..offset].chars().next_back().unwrap_or(' ');
            let absolute = !before.is_alphanumeric() && !"._-}~)/".contains(before);
            if absolute && !source.allows("no_machine_paths", line) {
                let why = format!(
                    "`{path}…`: take a temporary directory, or a path relative to the repository"
                );
                findings.push(Finding { file: source.path.clone(), line, why });
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(path: &str, text: &str) -> Tree {
        Tree::new(vec![Source::new(path, text)])
    }

    #[test]
    fn the_line_behind_the_limit_is_named() {
        let found = files_stay_short(&tree("shared/x/src/a.rs", &"\n".repeat(601)));
        assert_eq!(found[0].line, 601);
        assert!(files_stay_short(&tree("shared/x/src/a.rs", &"\n".repeat(600))).is_empty());
    }

    #[test]
    fn a_panic_is_found_in_product_code_only() {
        let text = "fn f() { g().unwrap(); }\n#[cfg(test)]\nmod tests {\n    fn h() { g().unwrap(); }\n}\n";
        let found = product_code_does_not_panic(&tree("shared/x/src/a.rs", text));
        assert_eq!(found.iter().map(|finding| finding.line).collect::<Vec<_>>(), [1]);
        assert!(product_code_does_not_panic(&tree("tests/harness/src/a.rs", text)).is_empty());
        assert!(
            product_code_does_not_panic(&tree("shared/x/src/a.rs", "f().unwrap_or_default();"))
                .is_empty()
        );
    }

    #[test]
    fn an_allowance_without_a_reason_is_found() {
        let path = "shared/x/src/a.rs";
        assert_eq!(allowed_lints_have_a_reason(&tree(path, "#[allow(unsafe_code)]\n")).len(), 1);
        let long = "#[expect(\n    unsafe_code,\n    reason = \"signals\"\n)]\n";
        assert!(allowed_lints_have_a_reason(&tree(path, long)).is_empty());
    }

    #[test]
    fn machine_paths_are_found_and_relative_ones_are_not() {
        let absolute = concat!("let a = \"/tm", "p/x\";");
        assert_eq!(no_machine_paths(&tree("shared/x/src/a.rs", absolute)).len(), 1);
        let relative = concat!("let a = \"target/tm", "p/x\";");
        assert!(no_machine_paths(&tree("shared/x/src/a.rs", relative)).is_empty());
    }
}
