//! What can be wrong with one field, in both languages.

use std::fmt::Display;

use http::{HeaderMap, header::ACCEPT_LANGUAGE};

/// The language of messages for people. Descriptions for developers are always English.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// English, the default.
    #[default]
    English,
    /// Simplified Chinese.
    Chinese,
}

impl Language {
    /// Chinese if an `accept-language` value prefers it; the first language that we know wins.
    pub fn accepted(header: &str) -> Self {
        let known = header.split(',').find_map(|part| {
            let tag = part.split(';').next().unwrap_or_default().trim();
            match tag.split('-').next() {
                Some(tag) if tag.eq_ignore_ascii_case("zh") => Some(Self::Chinese),
                Some(tag) if tag.eq_ignore_ascii_case("en") => Some(Self::English),
                _ => None,
            }
        });
        known.unwrap_or_default()
    }

    /// The language of whoever sent these headers.
    pub fn of(headers: &HeaderMap) -> Self {
        let accepted = headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        accepted.map(Self::accepted).unwrap_or_default()
    }
}

/// What is wrong with a field: a stable reason for programs, a description for their developers, the same in Chinese
/// for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub(crate) reason: &'static str,
    pub(crate) english: String,
    pub(crate) chinese: String,
}

impl Fault {
    /// A fault of a kind of its own. `reason` is in upper snake case and never changes.
    pub fn new(
        reason: &'static str,
        english: impl Into<String>,
        chinese: impl Into<String>,
    ) -> Self {
        let (english, chinese) = (english.into(), chinese.into());
        debug_assert!(
            chinese.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c)),
            "{english:?} in Chinese is {chinese:?}"
        );
        Self { reason, english, chinese }
    }

    /// The stable reason, such as `TOO_LONG`.
    pub fn reason(&self) -> &'static str {
        self.reason
    }

    /// The description in English.
    pub fn english(&self) -> &str {
        &self.english
    }

    /// The field is empty and must not be.
    pub fn required() -> Self {
        Self::new("REQUIRED", "is required", "必填")
    }

    /// More characters than allowed.
    pub fn too_long(max: usize, actual: usize) -> Self {
        Self::new(
            "TOO_LONG",
            format!("has {actual} characters; at most {max} are allowed"),
            format!("共 {actual} 个字符，最多允许 {max} 个"),
        )
    }

    /// More elements than allowed.
    pub fn too_many(max: usize, actual: usize) -> Self {
        Self::new(
            "TOO_MANY",
            format!("has {actual} elements; at most {max} are allowed"),
            format!("共 {actual} 项，最多允许 {max} 项"),
        )
    }

    /// A character that has no business in a text; `position` counts characters from 0.
    pub fn bad_character(character: char, position: usize) -> Self {
        let code = u32::from(character);
        Self::new(
            "BAD_CHARACTER",
            format!("has the character U+{code:04X} at position {position}, which is not allowed"),
            format!("第 {position} 位的字符 U+{code:04X} 不允许使用"),
        )
    }

    /// An enum value that this server does not know, most likely from a newer client.
    pub fn unknown_value(value: i32) -> Self {
        Self::new(
            "UNKNOWN_VALUE",
            format!("has the value {value}, which this server does not know"),
            format!("取值 {value} 无法识别"),
        )
    }

    /// A number outside its bounds.
    pub fn out_of_range(min: impl Display, max: impl Display, actual: impl Display) -> Self {
        Self::new(
            "OUT_OF_RANGE",
            format!("is {actual}; it must be from {min} to {max}"),
            format!("取值 {actual} 超出范围 {min} 至 {max}"),
        )
    }

    /// Not of the expected form. `expected` completes "must be …", and `chinese` "须为…".
    pub fn malformed(expected: &str, chinese: &str) -> Self {
        Self::new("MALFORMED", format!("must be {expected}"), format!("格式不正确，须为{chinese}"))
    }

    /// A time after the server's present.
    pub fn in_the_future() -> Self {
        Self::new("IN_THE_FUTURE", "lies in the future", "时间不能晚于当前时间")
    }

    /// A page token of another query, or none at all.
    pub fn foreign_page_token() -> Self {
        Self::new(
            "FOREIGN_PAGE_TOKEN",
            "is not a token which this query returned; keep all other fields as they were",
            "分页标记不属于本次查询",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x09_chinese_is_chosen_by_who_prefers_it() {
        for (header, language) in [
            ("zh-CN,zh;q=0.9,en;q=0.8", Language::Chinese),
            ("en-GB, zh;q=0.5", Language::English),
            ("de, ZH-Hans", Language::Chinese),
            ("fr", Language::English),
            ("", Language::English),
        ] {
            assert_eq!(Language::accepted(header), language, "{header}");
        }
    }
}
