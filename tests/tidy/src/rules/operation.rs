//! What operators are told, and whether it is so.

use super::is_product;
use crate::{Finding, Tree, lexer};

/// Whoever runs Kefu finds every setting in a README, not in the sources.
#[must_use]
pub fn settings_are_documented(tree: &Tree) -> Vec<Finding> {
    let told = |setting: &str| {
        let readmes = tree.sources.iter().filter(|source| source.path.ends_with("README.md"));
        readmes.into_iter().any(|readme| readme.text.contains(&format!("`{setting}`")))
    };
    let mut findings = Vec::new();
    for source in tree.rust().filter(|source| is_product(source)) {
        for (offset, opening) in source.text.match_indices("env = \"") {
            let rest = &source.text[offset + opening.len()..];
            let setting = rest.split('"').next().unwrap_or_default();
            let line = lexer::line_of(&source.text, offset);
            if !source.is_test(line) && !told(setting) {
                let why = format!("`{setting}` stands in no README: say there what it means");
                findings.push(Finding { file: source.path.clone(), line, why });
            }
        }
    }
    findings
}

/// An alert on a metric or attribute that nobody sends never fires.
#[must_use]
pub fn alerts_name_what_is_sent(tree: &Tree) -> Vec<Finding> {
    // What the Prometheus exporter appends: the unit, the kind, the part of a histogram.
    const ENDINGS: [&str; 5] = ["_bucket", "_count", "_sum", "_total", "_seconds"];
    let is_sent = |name: &str| {
        let mut name = name;
        loop {
            let dotted = |text: &str| text.replace('.', "_") == name;
            let mut product = tree.rust().filter(|source| is_product(source));
            if product
                .any(|source| source.text.split('"').any(|part| part.contains('.') && dotted(part)))
            {
                return true;
            }
            match ENDINGS.iter().find_map(|ending| name.strip_suffix(ending)) {
                Some(shorter) => name = shorter,
                None => return false,
            }
        }
    };
    let mut findings = Vec::new();
    for source in tree.sources.iter().filter(|source| source.path.ends_with("alerts.yaml")) {
        for (number, line) in source.text.lines().enumerate() {
            let words = line.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
            let names = words.filter(|word| {
                ["kefu_", "rpc_", "db_"].iter().any(|family| word.starts_with(family))
            });
            for name in names.filter(|name| !is_sent(name)) {
                let why = format!("nothing sends `{name}`");
                findings.push(Finding { file: source.path.clone(), line: number + 1, why });
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Source;

    #[test]
    fn a_setting_that_no_readme_tells_of_is_found() {
        let code = Source::new("services/x/src/a.rs", "#[arg(env = \"KEFU_SIZE\")]\n");
        let readme = Source::new("README.md", "| `KEFU_SIZE` | how large |\n");
        assert!(settings_are_documented(&Tree::new(vec![code, readme])).is_empty());
        let code = Source::new("services/x/src/a.rs", "\n#[arg(env = \"KEFU_SIZE\")]\n");
        let found = settings_are_documented(&Tree::new(vec![code]));
        assert_eq!(found.iter().map(|finding| finding.line).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn an_alert_on_what_nobody_sends_is_found() {
        let sent =
            || Source::new("shared/x/src/a.rs", "f(\"kefu.timer.lag\", \"kefu.context\");\n");
        let alert = "expr: |\n  rate(kefu_timer_lag_seconds_bucket{kefu_context=\"a\"}[5m])\n";
        let alerts = |text: &str| Source::new("deploy/telemetry/alerts.yaml", text);
        let tree = Tree::new(vec![sent(), alerts(alert)]);
        assert!(alerts_name_what_is_sent(&tree).is_empty());
        let tree = Tree::new(vec![sent(), alerts(&alert.replace("lag", "delay"))]);
        assert_eq!(alerts_name_what_is_sent(&tree)[0].line, 2);
    }
}
