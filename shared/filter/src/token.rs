//! A filter's text in words.

use crate::{Comparator, Fault, MAX_LENGTH};

/// A word of a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    Open,
    Close,
    And,
    Or,
    Not,
    Compare(Comparator),
    Text(Text),
}

/// A name or a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Text {
    pub(crate) text: String,
    pub(crate) quoted: bool,
    /// Whether a star stood at its end, which is not part of `text`.
    pub(crate) star: bool,
}

/// A word and where it stands, in characters from 1.
#[derive(Clone, Debug)]
pub(crate) struct Placed {
    pub(crate) token: Token,
    pub(crate) position: usize,
}

/// Whether a character ends a word without quotes.
fn ends_word(c: char) -> bool {
    c.is_whitespace() || "()<>=!:,\"'".contains(c)
}

/// The words of a text.
pub(crate) fn tokens(text: &str) -> Result<Vec<Placed>, Fault> {
    let characters: Vec<char> = text.chars().take(MAX_LENGTH + 1).collect();
    if characters.len() > MAX_LENGTH {
        return Err(Fault::new(
            MAX_LENGTH + 1,
            format!("must have at most {MAX_LENGTH} characters"),
            format!("最多 {MAX_LENGTH} 个字符"),
        ));
    }
    Lexer { characters: &characters, at: 0, found: Vec::new() }.run()
}

struct Lexer<'a> {
    characters: &'a [char],
    at: usize,
    found: Vec<Placed>,
}

impl Lexer<'_> {
    fn run(mut self) -> Result<Vec<Placed>, Fault> {
        while let Some(c) = self.peek(0) {
            if c.is_whitespace() {
                self.at += 1;
                continue;
            }
            let position = self.at + 1;
            let token = self.next(c)?;
            self.found.push(Placed { token, position });
        }
        Ok(self.found)
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.characters.get(self.at + ahead).copied()
    }

    fn take(&mut self, length: usize, token: Token) -> Token {
        self.at += length;
        token
    }

    fn next(&mut self, c: char) -> Result<Token, Fault> {
        let wide = self.peek(1) == Some('=');
        Ok(match c {
            '(' => self.take(1, Token::Open),
            ')' => self.take(1, Token::Close),
            '=' => self.take(1, Token::Compare(Comparator::Equal)),
            ':' => self.take(1, Token::Compare(Comparator::Has)),
            '!' if wide => self.take(2, Token::Compare(Comparator::NotEqual)),
            '<' if wide => self.take(2, Token::Compare(Comparator::AtMost)),
            '>' if wide => self.take(2, Token::Compare(Comparator::AtLeast)),
            '<' => self.take(1, Token::Compare(Comparator::Less)),
            '>' => self.take(1, Token::Compare(Comparator::More)),
            '"' | '\'' => self.quoted(c)?,
            '!' | ',' => return Err(unexpected(self.at + 1, c)),
            // After a comparator a minus belongs to the value.
            '-' if !self.after_comparator() => self.take(1, Token::Not),
            _ => self.word()?,
        })
    }

    fn after_comparator(&self) -> bool {
        matches!(self.found.last(), Some(Placed { token: Token::Compare(_), .. }))
    }

    fn quoted(&mut self, quote: char) -> Result<Token, Fault> {
        let begin = self.at + 1;
        self.at += 1;
        let (mut text, mut star) = (String::new(), None);
        loop {
            let Some(c) = self.peek(0) else {
                return Err(Fault::new(begin, "has a quote that is not closed", "引号没有结束"));
            };
            self.at += 1;
            match c {
                c if c == quote => break,
                '\\' => {
                    let escaped = self.peek(0).filter(|c| "\\\"'*".contains(*c));
                    let Some(escaped) = escaped else {
                        return Err(Fault::new(
                            self.at,
                            "has a backslash before what needs none",
                            "反斜杠后只能是引号、星号或反斜杠",
                        ));
                    };
                    self.at += 1;
                    text.push(escaped);
                }
                '*' => {
                    only_star(star)?;
                    star = Some((self.at, text.len()));
                }
                c => text.push(c),
            }
        }
        ends_with_star(star, &text)?;
        Ok(Token::Text(Text { text, quoted: true, star: star.is_some() }))
    }

    fn word(&mut self) -> Result<Token, Fault> {
        let (mut text, mut star) = (String::new(), None);
        while let Some(c) = self.peek(0).filter(|c| !ends_word(*c)) {
            self.at += 1;
            if c == '*' {
                only_star(star)?;
                star = Some((self.at, text.len()));
            } else {
                text.push(c);
            }
        }
        ends_with_star(star, &text)?;
        Ok(match text.as_str() {
            "AND" if star.is_none() => Token::And,
            "OR" if star.is_none() => Token::Or,
            "NOT" if star.is_none() => Token::Not,
            _ => Token::Text(Text { text, quoted: false, star: star.is_some() }),
        })
    }
}

fn unexpected(position: usize, c: char) -> Fault {
    Fault::new(position, format!("must not have {c:?} here"), format!("此处不能有“{c}”"))
}

/// A second star is one that does not stand at the end, or is one too many.
fn only_star(star: Option<(usize, usize)>) -> Result<(), Fault> {
    star.map_or(Ok(()), |(position, _)| Err(misplaced(position)))
}

fn ends_with_star(star: Option<(usize, usize)>, text: &str) -> Result<(), Fault> {
    match star {
        Some((position, length)) if length != text.len() => Err(misplaced(position)),
        _ => Ok(()),
    }
}

fn misplaced(position: usize) -> Fault {
    Fault::new(
        position,
        "may have a star only at the end of a value; write \\* in quotes for the character",
        "星号只能在值的末尾；要表示星号本身，请在引号内写 \\*",
    )
}
