//! The grammar: who binds how closely.

use crate::token::{Placed, Text, Token, tokens};
use crate::{Comparator, Fault, MAX_DEPTH, MAX_TERMS};

/// A filter as it is written.
#[derive(Debug)]
pub(crate) enum Raw {
    All(Vec<Raw>),
    Any(Vec<Raw>),
    Not(Box<Raw>),
    Term(RawTerm),
}

/// A field, a comparator and a value, with the positions of field and value.
#[derive(Debug)]
pub(crate) struct RawTerm {
    pub(crate) field: (usize, String),
    pub(crate) comparator: (usize, Comparator),
    pub(crate) value: (usize, Text),
}

/// None for a text of nothing but blanks.
pub(crate) fn parse(text: &str) -> Result<Option<Raw>, Fault> {
    let tokens = tokens(text)?;
    if tokens.is_empty() {
        return Ok(None);
    }
    let end = text.chars().count() + 1;
    let mut parser = Parser { tokens: tokens.into_iter().peekable(), end, depth: 0, terms: 0 };
    let raw = parser.expression()?;
    match parser.tokens.next() {
        None => Ok(Some(raw)),
        // An expression goes on until a bracket closes that nobody opened.
        Some(placed) => {
            Err(Fault::new(placed.position, "closes a bracket that is not open", "多余的右括号"))
        }
    }
}

struct Parser {
    tokens: std::iter::Peekable<std::vec::IntoIter<Placed>>,
    /// The position after the last character.
    end: usize,
    depth: usize,
    terms: usize,
}

impl Parser {
    fn sees(&mut self, token: &Token) -> bool {
        self.tokens.peek().is_some_and(|placed| placed.token == *token)
    }

    /// Takes the next word if it is this one.
    fn takes(&mut self, token: &Token) -> bool {
        let sees = self.sees(token);
        if sees {
            self.tokens.next();
        }
        sees
    }

    /// All of what is joined by AND, or by nothing.
    fn expression(&mut self) -> Result<Raw, Fault> {
        let mut all = vec![self.factor()?];
        while self.tokens.peek().is_some() && !self.sees(&Token::Close) {
            self.takes(&Token::And);
            all.push(self.factor()?);
        }
        Ok(joined(all, Raw::All))
    }

    /// Any of what is joined by OR.
    fn factor(&mut self) -> Result<Raw, Fault> {
        let mut any = vec![self.term()?];
        while self.takes(&Token::Or) {
            any.push(self.term()?);
        }
        Ok(joined(any, Raw::Any))
    }

    fn term(&mut self) -> Result<Raw, Fault> {
        let Some(placed) = self.tokens.next() else {
            return Err(Fault::new(self.end, "ends where a term is missing", "末尾缺少条件"));
        };
        let position = placed.position;
        match placed.token {
            Token::Not => {
                let inner = self.within(position, Self::term)?;
                Ok(Raw::Not(Box::new(inner)))
            }
            Token::Open => {
                let inner = self.within(position, Self::expression)?;
                if self.takes(&Token::Close) {
                    Ok(inner)
                } else {
                    Err(Fault::new(
                        position,
                        "opens a bracket that is not closed",
                        "左括号没有结束",
                    ))
                }
            }
            Token::Text(name) => self.restriction(position, name),
            Token::Close | Token::And | Token::Or | Token::Compare(_) => Err(Fault::new(
                position,
                "must have a term here, such as `state = REGISTERED`",
                "此处应为条件，例如 state = REGISTERED",
            )),
        }
    }

    /// Whatever stands within one more bracket or negation.
    fn within(
        &mut self,
        position: usize,
        inner: impl FnOnce(&mut Self) -> Result<Raw, Fault>,
    ) -> Result<Raw, Fault> {
        if self.depth == MAX_DEPTH {
            return Err(Fault::new(
                position,
                format!("must have at most {MAX_DEPTH} brackets and negations within each other"),
                format!("括号和否定最多嵌套 {MAX_DEPTH} 层"),
            ));
        }
        self.depth += 1;
        let inner = inner(self)?;
        self.depth -= 1;
        Ok(inner)
    }

    fn restriction(&mut self, position: usize, name: Text) -> Result<Raw, Fault> {
        self.terms += 1;
        if self.terms > MAX_TERMS {
            return Err(Fault::new(
                position,
                format!("must have at most {MAX_TERMS} terms"),
                format!("最多 {MAX_TERMS} 个条件"),
            ));
        }
        let compared = self.tokens.next_if(|placed| matches!(placed.token, Token::Compare(_)));
        let Some(Placed { token: Token::Compare(comparator), position: compared_at }) = compared
        else {
            return Err(Fault::new(
                position,
                "must have a comparator after a field; words are looked for by SearchTickets",
                "字段后必须有比较符；查找文字请使用 SearchTickets",
            ));
        };
        if name.quoted || name.star {
            return Err(Fault::new(
                position,
                "must name a field here, without quotes",
                "此处应为字段名，不加引号",
            ));
        }
        match self.tokens.next() {
            Some(Placed { token: Token::Text(value), position: value_at }) => {
                Ok(Raw::Term(RawTerm {
                    field: (position, name.text),
                    comparator: (compared_at, comparator),
                    value: (value_at, value),
                }))
            }
            other => Err(Fault::new(
                other.map_or(self.end, |placed| placed.position),
                "must have a value here",
                "此处缺少值",
            )),
        }
    }
}

/// What is alone needs no joining.
fn joined(mut parts: Vec<Raw>, join: impl FnOnce(Vec<Raw>) -> Raw) -> Raw {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        Some(last) => {
            parts.push(last);
            join(parts)
        }
        None => join(parts),
    }
}
