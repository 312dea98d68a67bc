//! The source files of the repository, read once.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::lexer;

/// Where sources are, below the root. Anything else that lies about in a work tree is nobody's business.
const ROOTS: [&str; 9] =
    [".cargo", ".ci", ".config", "deploy", "docs", "proto", "services", "shared", "tests"];
/// Built or prepared by a tool, or input data in the form in which it came.
const GENERATED: [&str; 6] = ["target", ".sqlx", ".kefu", "node_modules", "testdata", "data"];
const EXTENSIONS: [&str; 13] = [
    "rs", "proto", "sql", "toml", "md", "yaml", "yml", "sh", "py", "html", "cedar", "json", "bash",
];

/// One file.
#[derive(Debug)]
pub struct Source {
    /// Path from the root of the repository, with `/`.
    pub path: String,
    /// As it stands on disk.
    pub text: String,
    /// For Rust: the text with comments and literals blanked out; for the rest, the text.
    pub code: String,
    /// For each line: is it a test's?
    in_test: Vec<bool>,
}

impl Source {
    /// A file with this path and text, as if it had been read.
    #[must_use]
    pub fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        let (path, text) = (path.into(), text.into());
        let code = if path.ends_with(".rs") { lexer::code_only(&text) } else { text.clone() };
        let in_test =
            if path.starts_with("tests/") || path.contains("/tests/") || path.contains("/benches/")
            {
                vec![true; text.lines().count()]
            } else {
                lexer::test_lines(&code)
            };
        Self { path, text, code, in_test }
    }

    /// Is this Rust?
    #[must_use]
    pub fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Is `line` (counted from 1) part of a test?
    #[must_use]
    pub fn is_test(&self, line: usize) -> bool {
        self.in_test.get(line - 1).copied().unwrap_or(false)
    }

    /// Is `rule` excepted on `line` by a `tidy-allow: RULE: REASON` on it or on the comment above it?
    #[must_use]
    pub fn allows(&self, rule: &str, line: usize) -> bool {
        let lines: Vec<&str> = self.text.lines().collect();
        let excepts = |text: &str| {
            text.split_once("tidy-allow:")
                .and_then(|(_, rest)| rest.trim_start().strip_prefix(rule)?.strip_prefix(':'))
                .is_some_and(|reason| reason.trim().len() >= 10)
        };
        let above =
            lines[..line - 1].iter().rev().take_while(|text| text.trim_start().starts_with("//"));
        lines.get(line - 1).is_some_and(|text| excepts(text))
            || above.into_iter().any(|text| excepts(text))
    }
}

/// All files that the house rules speak of, ordered by path.
#[derive(Debug)]
pub struct Tree {
    /// The files.
    pub sources: Vec<Source>,
}

impl Tree {
    /// Reads this repository.
    ///
    /// # Errors
    /// What the file system says, with the path.
    pub fn read() -> io::Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
        let mut paths: Vec<PathBuf> = fs::read_dir(&root)?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<_, _>>()?;
        paths.retain(|path| path.is_file());
        for start in ROOTS.map(|name| root.join(name)).into_iter().filter(|path| path.is_dir()) {
            collect(&start, &mut paths)?;
        }
        paths.retain(|path| is_source(path));
        paths.sort();
        let sources = paths.iter().map(|path| read(&root, path)).collect::<io::Result<_>>()?;
        Ok(Self::new(sources))
    }

    /// These files as a tree. A file that another one declares under `#[cfg(test)]`, or under a feature for tests, is
    /// a test as a whole.
    #[must_use]
    pub fn new(mut sources: Vec<Source>) -> Self {
        let modules: Vec<String> = sources.iter().flat_map(test_modules).collect();
        for source in &mut sources {
            let stem = source.path.strip_suffix(".rs").unwrap_or(&source.path);
            let inside = |module: &String| {
                stem.strip_prefix(module.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            };
            if modules.iter().any(inside) {
                source.in_test.fill(true);
            }
        }
        Self { sources }
    }

    /// The Rust files.
    pub fn rust(&self) -> impl Iterator<Item = &Source> {
        self.sources.iter().filter(|source| source.is_rust())
    }

    /// The manifests of the workspace's crates.
    pub fn manifests(&self) -> impl Iterator<Item = &Source> {
        self.sources.iter().filter(|source| source.path.ends_with("/Cargo.toml"))
    }
}

fn collect(folder: &Path, into: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let generated = path.file_name().is_some_and(|name| GENERATED.iter().any(|g| name == *g));
        if path.is_dir() && !generated {
            collect(&path, into)?;
        } else if path.is_file() {
            into.push(path);
        }
    }
    Ok(())
}

/// The paths, without `.rs`, of the modules in files of their own that `source` declares for tests only.
fn test_modules(source: &Source) -> Vec<String> {
    if !source.is_rust() {
        return Vec::new();
    }
    let stem = source.path.trim_end_matches(".rs");
    let (folder, name) = stem.rsplit_once('/').unwrap_or(("", stem));
    let base = if ["lib", "main", "mod"].contains(&name) { folder } else { stem };
    let lines: Vec<&str> = source.text.lines().map(str::trim).collect();
    lines
        .windows(2)
        .filter(|pair| {
            pair[0].starts_with("#[cfg(") && pair[0].contains("test") && !pair[0].contains("not(")
        })
        .filter_map(|pair| {
            let declared = pair[1].rsplit_once("mod ")?.1.strip_suffix(';')?;
            Some(format!("{base}/{declared}"))
        })
        .collect()
}

/// By its extension, or, without one, by a shebang.
fn is_source(path: &Path) -> bool {
    match path.extension() {
        Some(extension) => EXTENSIONS.iter().any(|known| extension == *known),
        None => fs::read(path).is_ok_and(|bytes| bytes.starts_with(b"#!")),
    }
}

fn read(root: &Path, path: &Path) -> io::Result<Source> {
    let text = fs::read_to_string(path)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
    let relative = path.strip_prefix(root).unwrap_or(path).to_string_lossy().replace('\\', "/");
    Ok(Source::new(relative, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_declared_for_tests_is_a_test() {
        let file = |path: &str, text: &str| Source::new(path, text);
        let tree = Tree::new(vec![
            file(
                "shared/x/src/lib.rs",
                "#[cfg(feature = \"testing\")]\npub mod suite;\n#[cfg(test)]\nmod model;\nmod a;\n",
            ),
            file("shared/x/src/suite/feed.rs", "fn f() {}\n"),
            file("shared/x/src/model.rs", "fn f() {}\n"),
            file("shared/x/src/a.rs", "fn f() {}\n"),
            file("shared/x/src/models.rs", "fn f() {}\n"),
        ]);
        let tests: Vec<bool> = tree.sources.iter().map(|source| source.is_test(1)).collect();
        assert_eq!(tests, [false, true, true, false, false]);
    }

    #[test]
    fn an_exception_needs_its_rule_and_a_reason() {
        let file = |comment: &str| {
            Source::new("shared/x/src/a.rs", format!("fn f() {{\n    // {comment}\n    g();\n}}\n"))
        };
        assert!(file("tidy-allow: a_rule: a process has no clock").allows("a_rule", 3));
        assert!(!file("tidy-allow: a_rule: a process has no clock").allows("another", 3));
        assert!(!file("tidy-allow: a_rule:").allows("a_rule", 3));
        assert!(!file("tidy-allow: a_rule: a process has no clock").allows("a_rule", 4));
    }
}
