//! Text that people typed: bounded, normalised, without characters that deceive.

use unicode_normalization::{UnicodeNormalization as _, is_nfc};

use crate::{Fault, Violations};

/// What a text field may hold. Lengths count characters (Unicode scalar values) after normalisation.
#[derive(Clone, Copy, Debug)]
pub struct TextRule {
    max: usize,
    required: bool,
    multiline: bool,
}

impl TextRule {
    /// At most `max` characters on one line.
    pub const fn line(max: usize) -> Self {
        Self { max, required: false, multiline: false }
    }

    /// At most `max` characters; line breaks and tabs are allowed.
    pub const fn paragraphs(max: usize) -> Self {
        Self { max, required: false, multiline: true }
    }

    /// The same, and something other than white space must be in it.
    pub const fn required(self) -> Self {
        Self { required: true, ..self }
    }

    /// The text in normal form C, without white space around it, or what is wrong with it.
    ///
    /// # Errors
    /// [`Fault`] for a text that is too long, empty though required, or holds a character which is not allowed:
    /// control characters, bidirectional overrides, noncharacters, private use, line breaks in a line.
    pub fn apply(&self, text: &str) -> Result<String, Fault> {
        // A megabyte is refused by its size, before it is looked at: no character has more than four bytes, and
        // normal form C shortens a text to no less than a third of its characters.
        if text.len() > self.max.saturating_mul(12) {
            return Err(Fault::too_long(self.max, text.chars().count()));
        }
        if let Some((position, character)) =
            text.chars().enumerate().find(|&(_, c)| !self.allows(c))
        {
            return Err(Fault::bad_character(character, position));
        }
        let trimmed = text.trim();
        let normal: String =
            if is_nfc(trimmed) { trimmed.to_owned() } else { trimmed.nfc().collect() };
        if self.required && normal.is_empty() {
            return Err(Fault::required());
        }
        let length = normal.chars().count();
        if length > self.max {
            return Err(Fault::too_long(self.max, length));
        }
        Ok(normal)
    }

    fn allows(&self, c: char) -> bool {
        match c {
            '\n' | '\r' | '\t' => self.multiline,
            // Line and paragraph separators are line breaks by other names.
            '\u{2028}' | '\u{2029}' => self.multiline,
            // Embeddings, overrides and isolates let a text read differently from what it says.
            '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' => false,
            // A byte order mark or an interlinear annotation inside a text is an accident of some conversion.
            '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}' => false,
            // Private use: what it shows depends on the reader's fonts.
            '\u{E000}'..='\u{F8FF}' | '\u{F0000}'..='\u{10FFFF}' => false,
            // Noncharacters and blocks without any assigned character.
            '\u{FDD0}'..='\u{FDEF}' | '\u{40000}'..='\u{DFFFF}' => false,
            c if u32::from(c) & 0xFFFE == 0xFFFE => false,
            c => !c.is_control(),
        }
    }
}

/// A telephone number with separators removed: in international form, `+` and 5 to 15 digits of which the first is not
/// 0, or a local one of 5 to 15 digits.
///
/// # Errors
/// [`Fault`] if it is none.
pub fn phone(text: &str) -> Result<String, Fault> {
    let malformed = || {
        Fault::malformed(
            "a phone number of 5 to 15 digits, with or without + and country code",
            "5 至 15 位的电话号码，可带 + 和国家代码",
        )
    };
    // Separators that people use; full-width forms are what Chinese input methods make of them.
    let text = text.trim();
    let mut number = String::with_capacity(16);
    for c in text.chars().take(64) {
        match c {
            '+' | '＋' if number.is_empty() => number.push('+'),
            '0'..='9' => number.push(c),
            '(' | '（' => {}
            ' ' | '-' | '.' | ')' | '/' | '\u{A0}' | '）' if !number.is_empty() => {}
            _ => return Err(malformed()),
        }
    }
    let (digits, is_international) =
        number.strip_prefix('+').map_or((number.as_str(), false), |digits| (digits, true));
    let begins_wrong = is_international && digits.starts_with('0');
    if text.chars().count() > 64 || !(5..=15).contains(&digits.len()) || begins_wrong {
        return Err(malformed());
    }
    Ok(number)
}

/// An e-mail address that could exist: one `@`, a local part of 1 to 64 bytes, a domain with a dot, 254 bytes in all;
/// the domain in lower case.
///
/// # Errors
/// [`Fault`] if it is none.
pub fn email(text: &str) -> Result<String, Fault> {
    let malformed = || Fault::malformed("an e-mail address", "电子邮件地址");
    let text = text.trim();
    let (local, domain) = text.rsplit_once('@').ok_or_else(malformed)?;
    let local_is_good = (1..=64).contains(&local.len())
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..")
        && local.chars().all(|c| {
            c.is_alphanumeric() || (c.is_ascii_graphic() && !"@\"(),:;<>[\\]".contains(c))
        });
    let label_is_good = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_alphanumeric() || c == '-')
    };
    let domain_is_good = domain.contains('.') && domain.split('.').all(label_is_good);
    if text.len() > 254 || !local_is_good || !domain_is_good {
        return Err(malformed());
    }
    Ok(format!("{local}@{}", domain.to_lowercase()))
}

impl Violations {
    /// Notes what is wrong, or gives the value.
    pub fn take<T>(&mut self, field: &str, value: Result<T, Fault>) -> Option<T> {
        value.map_err(|fault| self.add(field, fault)).ok()
    }

    /// A text by its rule; empty if it is wrong.
    pub fn text(&mut self, field: &str, value: &str, rule: TextRule) -> String {
        self.take(field, rule.apply(value)).unwrap_or_default()
    }

    /// A phone number, international or local, see [`phone`].
    pub fn phone(&mut self, field: &str, value: &str) -> Option<String> {
        self.take(field, phone(value))
    }

    /// An e-mail address, see [`email`].
    pub fn email(&mut self, field: &str, value: &str) -> Option<String> {
        self.take(field, email(value))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fault(rule: TextRule, text: &str) -> &'static str {
        rule.apply(text).unwrap_err().reason()
    }

    #[test]
    fn x06_a_control_character_is_refused_with_its_position() {
        let found = TextRule::line(20).apply("电梯\u{7}坏了").unwrap_err();
        assert_eq!(found.reason(), "BAD_CHARACTER");
        assert!(found.english().contains("U+0007 at position 2"), "{}", found.english());
    }

    #[test]
    fn x06_deceiving_characters_are_refused() {
        for c in ['\u{202E}', '\u{2066}', '\u{FEFF}', '\u{E000}', '\u{FFFF}', '\0', '\u{85}'] {
            assert_eq!(fault(TextRule::paragraphs(20), &format!("a{c}b")), "BAD_CHARACTER");
        }
    }

    #[test]
    fn x09_emoji_and_chinese_are_text_like_any_other() {
        for text in ["电梯坏了😡", "👩🏽‍🔧", "Ärger", "客服"] {
            assert_eq!(TextRule::line(20).apply(text).unwrap(), text);
        }
        assert_eq!(TextRule::line(4).apply("电梯坏了").unwrap(), "电梯坏了");
        assert_eq!(fault(TextRule::line(4), "电梯坏了吗"), "TOO_LONG");
    }

    #[test]
    fn x09_text_is_stored_in_one_normal_form() {
        assert_eq!(TextRule::line(5).apply("A\u{308}rger").unwrap(), "Ärger");
        assert_eq!(TextRule::line(5).apply("  hi ").unwrap(), "hi");
    }

    #[test]
    fn x08_a_megabyte_is_refused_by_its_length() {
        assert_eq!(fault(TextRule::line(200), &"长".repeat(1 << 20)), "TOO_LONG");
        assert_eq!(fault(TextRule::line(200).required(), "  "), "REQUIRED");
        assert_eq!(fault(TextRule::line(200), "two\nlines"), "BAD_CHARACTER");
        assert!(TextRule::paragraphs(200).apply("two\r\n\tlines").is_ok());
    }

    #[test]
    fn x06_a_phone_number_that_is_none_is_refused() {
        for (given, kept) in [
            ("+86 (138) 0000-0000", "+8613800000000"),
            ("＋86 138 0000 0000", "+8613800000000"),
            ("138 0013 8042", "13800138042"),
            ("(0755) 1234-567", "07551234567"),
            ("（0755）1234567", "07551234567"),
            ("95588", "95588"),
        ] {
            assert_eq!(phone(given).unwrap(), kept, "{given}");
        }
        for text in [
            "",
            "+",
            "call me",
            "1234",
            "+1234",
            "1234567890123456",
            "+1234567890123456",
            "+0123456",
            "1+23456",
            "++123456",
            "138\u{7}00138",
            "１３８００１３８",
            "-12345",
        ] {
            assert!(phone(text).is_err(), "{text}");
        }
    }

    #[test]
    fn x06_an_email_address_that_is_none_is_refused() {
        assert_eq!(email("Li.Wei+x@Example.COM").unwrap(), "Li.Wei+x@example.com");
        assert!(email("李伟@例子.公司").is_ok());
        for text in ["", "@", "a@b", "a b@c.d", "a@-c.d", ".a@c.d", "a@c..d", "a@b@c.d\n"] {
            assert!(email(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn x06_no_text_makes_a_validator_panic(text in any::<String>()) {
            let _ = phone(&text);
            let _ = email(&text);
            if let Ok(kept) = TextRule::paragraphs(30).apply(&text) {
                prop_assert!(kept.chars().count() <= 30);
                prop_assert_eq!(TextRule::paragraphs(30).apply(&kept).unwrap(), kept);
            }
        }
    }
}
