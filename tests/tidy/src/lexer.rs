//! Just enough of Rust's grammar to tell code from comments and literals, and tests from the rest.

/// The same text with comments and the insides of string and character literals blanked out.
///
/// Every character keeps its line and its column, so positions in the result are positions in the source.
#[must_use]
pub fn code_only(source: &str) -> String {
    let chars: Vec<char> = source.chars().collect();
    let mut out: Vec<char> = Vec::with_capacity(chars.len());
    while out.len() < chars.len() {
        let at = out.len();
        let end = literal_end(&chars, at);
        if end == at {
            out.push(chars[at]);
        } else {
            out.extend(chars[at..end].iter().map(|&c| if c == '\n' { '\n' } else { ' ' }));
        }
    }
    out.into_iter().collect()
}

/// Where the comment or literal that starts at `at` ends, or `at` if none starts there.
fn literal_end(chars: &[char], at: usize) -> usize {
    let next = |ahead: usize| chars.get(at + ahead).copied();
    match chars[at] {
        '/' if next(1) == Some('/') => {
            chars[at..].iter().position(|&c| c == '\n').map_or(chars.len(), |length| at + length)
        }
        '/' if next(1) == Some('*') => block_comment_end(chars, at),
        '"' => string_end(chars, at + 1),
        'r' if !continues_identifier(chars, at) => raw_string_end(chars, at).unwrap_or(at),
        '\'' => char_end(chars, at),
        _ => at,
    }
}

/// `r` inside `br"…"` or `cr"…"` starts a raw string; inside `for` it does not.
fn continues_identifier(chars: &[char], at: usize) -> bool {
    let is_word = |index: usize| chars.get(index).is_some_and(|&c| c.is_alphanumeric() || c == '_');
    if at == 0 || !is_word(at - 1) {
        return false;
    }
    let prefixed = matches!(chars[at - 1], 'b' | 'c') && (at == 1 || !is_word(at - 2));
    !prefixed
}

fn block_comment_end(chars: &[char], at: usize) -> usize {
    let (mut depth, mut i) = (0_usize, at);
    while i < chars.len() {
        match (chars[i], chars.get(i + 1)) {
            ('/', Some('*')) => {
                depth += 1;
                i += 2;
            }
            ('*', Some('/')) => {
                depth -= 1;
                i += 2;
                if depth == 0 {
                    return i;
                }
            }
            _ => i += 1,
        }
    }
    chars.len()
}

fn string_end(chars: &[char], mut at: usize) -> usize {
    while at < chars.len() {
        match chars[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    chars.len()
}

fn raw_string_end(chars: &[char], at: usize) -> Option<usize> {
    let hashes = chars[at + 1..].iter().take_while(|&&c| c == '#').count();
    let open = at + 1 + hashes;
    if chars.get(open) != Some(&'"') {
        return None;
    }
    let closes = |i: usize| {
        chars[i] == '"'
            && chars[i + 1..].iter().take(hashes).filter(|&&c| c == '#').count() == hashes
    };
    Some((open + 1..chars.len()).find(|&i| closes(i)).map_or(chars.len(), |i| i + 1 + hashes))
}

/// `'x'` and `'\n'` are literals, `'a` is a lifetime.
fn char_end(chars: &[char], at: usize) -> usize {
    match (chars.get(at + 1), chars.get(at + 2)) {
        (Some('\\'), _) => {
            // Past the escaped character, so that '\'' ends where it ends.
            let rest = chars.iter().skip(at + 3);
            rest.take(10).position(|&c| c == '\'').map_or(at, |length| at + 4 + length)
        }
        (Some(_), Some('\'')) => at + 3,
        _ => at,
    }
}

/// For each line of `code` (as [`code_only`] gives it): does it belong to an item under `#[cfg(test)]`?
#[must_use]
pub fn test_lines(code: &str) -> Vec<bool> {
    let mut marked = vec![false; code.lines().count()];
    for (start, attribute) in code.match_indices("#[cfg(test)]") {
        let body = start + attribute.len();
        let end = item_end(&code[body..]).map_or(code.len(), |length| body + length);
        let (first, last) = (line_of(code, start), line_of(code, end.saturating_sub(1)));
        for line in marked.iter_mut().take(last).skip(first - 1) {
            *line = true;
        }
    }
    marked
}

/// Where the item at the start of `code` ends: behind its closing brace, or its semicolon.
fn item_end(code: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (i, c) in code.char_indices() {
        match c {
            ';' if depth == 0 => return Some(i + 1),
            '{' => depth += 1,
            '}' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(i + 1);
                }
            }
            _ => {}
        }
    }
    None
}

/// The line, counted from 1, on which byte `offset` of `text` stands.
#[must_use]
pub fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes().iter().take(offset).filter(|&&byte| byte == b'\n').count() + 1
}

/// Every place where `word` stands in `code` as a whole path or identifier, as byte offsets.
///
/// `sqlx` is found in `use sqlx::PgPool`, not in `jiff_sqlx::Timestamp`.
pub fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let inside = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).map(|(start, _)| start).filter(move |&start| {
        let before = code[..start].chars().next_back();
        let after = code[start + word.len()..].chars().next();
        let open_left = word.starts_with(inside) && before.is_some_and(inside);
        let open_right = word.ends_with(inside) && after.is_some_and(inside);
        !open_left && !open_right
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked_and_nothing_moves() {
        let source = "let a = \"x // y\"; // z\n/* b /* c */ d */ let e = r#\"f\"g\"#;\n";
        let code = code_only(source);
        assert_eq!(code.len(), source.len());
        assert_eq!(
            code.split_whitespace().collect::<Vec<_>>(),
            ["let", "a", "=", ";", "let", "e", "=", ";"]
        );
    }

    #[test]
    fn lifetimes_are_code_and_characters_are_not() {
        let code = code_only(
            r#"fn f<'a>(x: &'a str) -> char { '"' } fn g() -> char { '\'' } let h = b'{';"#,
        );
        assert!(code.contains("<'a>") && code.contains("fn g()") && code.contains("let h = b"));
        assert!(!code.contains('"') && code.matches('{').count() == 2, "{code}");
    }

    #[test]
    fn an_escaped_quote_does_not_end_a_string() {
        assert!(!code_only(r#"let a = "b\"c"; d"#).contains('c'));
        assert!(code_only(r#"let a = "b\\"; d"#).ends_with("; d"));
    }

    #[test]
    fn only_the_lines_of_a_test_module_are_tests() {
        let code = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() { if c {} }\n}\nfn d() {}\n";
        assert_eq!(test_lines(code), [false, true, true, true, true, false]);
    }

    #[test]
    fn words_are_whole() {
        let code = "use sqlx::PgPool; use jiff_sqlx::X; fn sqlxer() {}";
        assert_eq!(words(code, "sqlx").collect::<Vec<_>>(), [4]);
        assert_eq!(words("a.unwrap(); b.unwrap_or(c)", ".unwrap()").count(), 1);
    }
}
