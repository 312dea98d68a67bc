//! The company's own fields (自定义字段), T-01: what they hold, for which tickets, and when they must have a value.
//!
//! A value has one way to be written, whatever way it was typed: so it can be compared as text, and filtered by.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;

use super::category::{CategoryTree, is_within};
use super::policy_check::{Faults, UNKNOWN};
use super::ticket::{Details, Ticket};
use super::word::{Fault, Text, TicketKind, coded};

/// The most fields of a policy.
pub const MAX_FIELDS: usize = 100;
const MAX_CHOICES: usize = 200;
const MAX_CATEGORIES: usize = 50;
const MAX_CODE: usize = 40;
const USUAL_LENGTH: i32 = 200;
const MAX_LENGTH: i32 = 2_000;
/// Digits of a number, and of a decimal before its point.
const DIGITS: usize = 18;
/// Digits of a decimal after its point.
const FRACTION: usize = 6;
const UNIT: i128 = 1_000_000;
/// The longest value that is looked at, in bytes.
const MAX_VALUE: usize = 8_000;

/// The values of a ticket by the codes of the fields; each has at least one, several where several were chosen.
pub type FieldValues = BTreeMap<String, Vec<String>>;

coded! {
    /// What a field holds.
    FieldType {
        /// A line of text.
        Text = "text",
        /// A whole number.
        Number = "number",
        /// A decimal number.
        Decimal = "decimal",
        /// A day.
        Date = "date",
        /// Yes or no.
        Bool = "bool",
        /// One of the choices.
        Choice = "choice",
        /// Some of the choices.
        MultiChoice = "multi_choice",
    }
}

/// When a field must have a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// When the ticket is registered, and from then on.
    Registration,
    /// When it is resolved.
    Resolution,
}

/// A field as it is written down.
#[derive(Clone, Debug, Default)]
pub struct FieldDraft {
    /// `code`.
    pub code: String,
    /// `title`.
    pub title: Text,
    /// `type`.
    pub kind: Option<FieldType>,
    /// `ticket_kinds`.
    pub ticket_kinds: Vec<Option<TicketKind>>,
    /// `categories`.
    pub categories: Vec<String>,
    /// `required_at_registration`.
    pub at_registration: bool,
    /// `required_at_resolution`.
    pub at_resolution: bool,
    /// `choices`, by code.
    pub choices: Vec<(String, Text)>,
    /// `max_length`.
    pub max_length: i32,
    /// `min_value`.
    pub min: String,
    /// `max_value`.
    pub max: String,
}

/// The fields of a policy, by code.
#[derive(Clone, Debug, Default)]
pub struct CustomFields(BTreeMap<String, CustomField>);

/// A field.
#[derive(Clone, Debug)]
struct CustomField {
    kind: FieldType,
    ticket_kinds: BTreeSet<TicketKind>,
    categories: Vec<String>,
    at_registration: bool,
    at_resolution: bool,
    /// In the policy's order.
    choices: Vec<String>,
    max_length: usize,
    bounds: (Option<Amount>, Option<Amount>),
}

/// What can be compared: a number, a decimal as so many millionths, a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Amount {
    Millionths(i128),
    Day(Date),
}

impl CustomFields {
    /// Whether there are any.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether there is one with this code.
    #[must_use]
    pub(super) fn knows(&self, code: &str) -> bool {
        self.0.contains_key(code)
    }

    /// A value of a field, or one of several that it may have, as it is written here.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn written(&self, code: &str, value: &str) -> Result<String, Wrong> {
        let unknown =
            || ("is no field of the policy".to_owned(), "制度中没有该自定义字段".to_owned());
        let read = self.0.get(code).ok_or_else(unknown)?.read(&[value.to_owned()])?;
        read.into_iter().next().ok_or_else(unknown)
    }

    /// The values with all that `asked` has differently written as they are written here. What stands there already stays as
    /// it is, also where the ticket is of another category by now.
    ///
    /// # Errors
    /// Every fault, with the path inside the request.
    pub fn read(
        &self,
        present: &FieldValues,
        asked: FieldValues,
        of: (TicketKind, &str),
    ) -> Result<FieldValues, Vec<Fault>> {
        let mut faults = Vec::new();
        let mut values = FieldValues::new();
        for (code, given) in asked {
            if present.get(&code) == Some(&given) {
                values.insert(code, given);
                continue;
            }
            let path = format!("ticket.custom_fields.{code}");
            let read = match self.0.get(&code) {
                None => Err(("is no field of the policy".into(), "制度中没有该自定义字段".into())),
                Some(field) if !field.is_for(of) => Err((
                    "is not meant for tickets of this kind and category".into(),
                    "该字段不适用于此类工单".into(),
                )),
                Some(field) => field.read(&given),
            };
            match read {
                Ok(read) => _ = values.insert(code, read),
                Err(wrong) => faults.push(Fault::new(path, wrong)),
            }
        }
        if faults.is_empty() { Ok(values) } else { Err(faults) }
    }

    /// The fields that lack a value then, by code.
    #[must_use]
    pub fn lacking(&self, moment: Moment, details: &Details, kind: TicketKind) -> Vec<&str> {
        let lacks = |(code, field): &(&String, &CustomField)| {
            let required = match moment {
                Moment::Registration => field.at_registration,
                Moment::Resolution => field.at_registration || field.at_resolution,
            };
            required
                && field.is_for((kind, &details.category))
                && !details.fields.contains_key(code.as_str())
        };
        self.0.iter().filter(lacks).map(|(code, _)| code.as_str()).collect()
    }

    /// What details lack that those before did not lack already, as faults.
    #[must_use]
    pub fn required(
        &self,
        before: Option<&Details>,
        details: &Details,
        kind: TicketKind,
    ) -> Vec<Fault> {
        let lacking = |details| self.lacking(Moment::Registration, details, kind);
        let before = before.map(lacking).unwrap_or_default();
        let missing = |code: &str| {
            let words = ("is required by the policy", format!("必须填写自定义字段“{code}”"));
            let path = format!("ticket.custom_fields.{code}");
            Fault { reason: "REQUIRED", ..Fault::new(path, words) }
        };
        lacking(details).into_iter().filter(|code| !before.contains(code)).map(missing).collect()
    }

    /// What a ticket lacks to be resolved.
    #[must_use]
    pub fn unresolved(&self, ticket: &Ticket) -> Vec<String> {
        let lacking = self.lacking(Moment::Resolution, &ticket.details, ticket.kind);
        lacking.into_iter().map(ToOwned::to_owned).collect()
    }
}

/// In English and in Chinese.
type Wrong = (String, String);

impl CustomField {
    fn is_for(&self, (kind, category): (TicketKind, &str)) -> bool {
        let below = |of: &String| is_within(category, of);
        (self.ticket_kinds.is_empty() || self.ticket_kinds.contains(&kind))
            && (self.categories.is_empty() || self.categories.iter().any(below))
    }

    fn read(&self, given: &[String]) -> Result<Vec<String>, Wrong> {
        if self.kind == FieldType::MultiChoice {
            let mut chosen = BTreeSet::new();
            for code in given {
                let place = self.choices.iter().position(|choice| choice == code);
                let Some(place) = place else { return Err(self.wrong()) };
                if !chosen.insert(place) {
                    return Err((format!("has {code:?} twice"), format!("选项“{code}”重复")));
                }
            }
            return Ok(chosen.into_iter().map(|place| self.choices[place].clone()).collect());
        }
        let [value] = given else {
            return Err(("must have one value only".into(), "只能填写一个值".into()));
        };
        let read = if value.len() > MAX_VALUE { None } else { self.one(value) };
        let read = read.ok_or_else(|| self.wrong())?;
        let amount = self.kind.amount(&read);
        let (min, max) = self.bounds;
        let low = amount.zip(min).is_some_and(|(amount, min)| amount < min);
        let high = amount.zip(max).is_some_and(|(amount, max)| amount > max);
        if low || high {
            let english = "is out of the range that the policy gives".to_owned();
            return Err((english, "超出制度规定的范围".into()));
        }
        Ok(vec![read])
    }

    fn one(&self, value: &str) -> Option<String> {
        match self.kind {
            FieldType::Text => {
                let length = value.chars().count();
                (!value.is_empty() && length <= self.max_length).then(|| value.to_owned())
            }
            FieldType::Choice => self.choices.iter().find(|choice| *choice == value).cloned(),
            kind => kind.written(value.trim()),
        }
    }

    fn wrong(&self) -> Wrong {
        match self.kind {
            FieldType::Text => (
                format!("must be 1 to {} characters", self.max_length),
                format!("须为 1 至 {} 个字符", self.max_length),
            ),
            FieldType::Number => {
                ("must be a whole number of at most 18 digits".into(), "须为整数".into())
            }
            FieldType::Decimal => (
                "must be a decimal number such as 12.5, with at most 6 digits after the point"
                    .into(),
                "须为小数，例如 12.5，小数点后最多 6 位".into(),
            ),
            FieldType::Date => {
                ("must be a day such as 2026-03-02".into(), "须为日期，例如 2026-03-02".into())
            }
            FieldType::Bool => ("must be true or false".into(), "须为 true 或 false".into()),
            FieldType::Choice | FieldType::MultiChoice => {
                ("is not one of the policy's choices".into(), "不在制度规定的选项内".into())
            }
        }
    }
}

impl FieldType {
    /// The one way in which a value is written; none where it is no value.
    fn written(self, value: &str) -> Option<String> {
        let negative = value.starts_with('-');
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        let bare = value.strip_prefix(['-', '+']).unwrap_or(value);
        let sign = |number: String| {
            let zero = number.bytes().all(|b| matches!(b, b'0' | b'.'));
            if negative && !zero { format!("-{number}") } else { number }
        };
        let whole = |text: &str| {
            let short = text.trim_start_matches('0');
            let sound = !text.is_empty() && digits(text) && short.len() <= DIGITS;
            sound.then(|| if short.is_empty() { "0".to_owned() } else { short.to_owned() })
        };
        match self {
            Self::Number => whole(bare).map(sign),
            Self::Decimal => {
                let (before, after) = bare.split_once('.').unwrap_or((bare, "0"));
                if after.is_empty() || !digits(after) {
                    return None;
                }
                let after = after.trim_end_matches('0');
                let before = whole(before).filter(|_| after.len() <= FRACTION)?;
                Some(sign(if after.is_empty() { before } else { format!("{before}.{after}") }))
            }
            Self::Date => {
                let shape =
                    value.len() == 10 && value.bytes().all(|b| b.is_ascii_digit() || b == b'-');
                value.parse::<Date>().ok().filter(|_| shape).map(|date| date.to_string())
            }
            Self::Bool => matches!(value, "true" | "false").then(|| value.to_owned()),
            Self::Text | Self::Choice | Self::MultiChoice => None,
        }
    }

    /// What a written value is compared by.
    fn amount(self, written: &str) -> Option<Amount> {
        match self {
            Self::Number | Self::Decimal => {
                let (before, after) = written.split_once('.').unwrap_or((written, ""));
                let negative = before.starts_with('-');
                let before: i128 = before.trim_start_matches('-').parse().ok()?;
                let after: i128 = format!("{after:0<FRACTION$}").parse().ok()?;
                let millionths = before * UNIT + after;
                Some(Amount::Millionths(if negative { -millionths } else { millionths }))
            }
            Self::Date => written.parse().ok().map(Amount::Day),
            _ => None,
        }
    }
}

pub(super) fn check(
    drafts: Vec<FieldDraft>,
    tree: &CategoryTree,
    faults: &mut Faults,
) -> CustomFields {
    faults.at_most(drafts.len(), MAX_FIELDS, "custom_fields");
    let mut fields = BTreeMap::new();
    for (index, draft) in drafts.into_iter().enumerate() {
        let path = format!("custom_fields[{index}]");
        let code = draft.code.clone();
        if !is_code(&code, "_") || !code.starts_with(|c: char| c.is_ascii_lowercase()) {
            let description = (
                "must be 1 to 40 lower-case letters, digits and '_', beginning with a letter",
                "须为 1 至 40 个小写字母、数字或“_”，以字母开头",
            );
            faults.add(format_args!("{path}.code"), description);
        }
        if draft.title == Text::default() {
            faults.add(format_args!("{path}.title"), ("must be set", "必填"));
        }
        if let Some(field) = field(draft, tree, &path, faults) {
            faults.unique(&mut fields, code, field, format_args!("{path}.code"));
        }
    }
    CustomFields(fields)
}

fn is_code(code: &str, marks: &str) -> bool {
    (1..=MAX_CODE).contains(&code.len())
        && code.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || marks.contains(c))
}

fn field(
    draft: FieldDraft,
    tree: &CategoryTree,
    path: &str,
    faults: &mut Faults,
) -> Option<CustomField> {
    let kind = faults.required(draft.kind, format_args!("{path}.type"));
    let kinds_path = format!("{path}.ticket_kinds");
    let ticket_kinds = faults.set(draft.ticket_kinds, kinds_path, UNKNOWN);
    faults.at_most(draft.categories.len(), MAX_CATEGORIES, &format!("{path}.categories"));
    for (index, category) in draft.categories.iter().enumerate() {
        if category.is_empty() || !tree.allows(category) {
            let description = ("is not in the tree `categories`", "不在类别树 `categories` 中");
            faults.add(format_args!("{path}.categories[{index}]"), description);
        }
    }
    let kind = kind?;
    let chooses = matches!(kind, FieldType::Choice | FieldType::MultiChoice);
    let choices = choices(draft.choices, chooses, path, faults);
    if draft.max_length != 0 && kind != FieldType::Text {
        faults.add(format_args!("{path}.max_length"), ("is for texts only", "仅用于文本"));
    }
    if !(0..=MAX_LENGTH).contains(&draft.max_length) {
        faults.add(
            format_args!("{path}.max_length"),
            ("must be 0 (meaning 200) to 2000", "须为 0（即 200）至 2000"),
        );
    }
    let max_length = if draft.max_length == 0 { USUAL_LENGTH } else { draft.max_length };
    let mut bound = |field: &str, text: &str| {
        if text.is_empty() {
            return None;
        }
        let amount = kind.written(text).and_then(|written| kind.amount(&written));
        if amount.is_none() {
            let description = (
                "must be a value of the field's type, which has to be a number, a decimal or a date",
                "须为该字段类型的值，且类型须为整数、小数或日期",
            );
            faults.add(format_args!("{path}.{field}"), description);
        }
        amount
    };
    let bounds = (bound("min_value", &draft.min), bound("max_value", &draft.max));
    if bounds.0.zip(bounds.1).is_some_and(|(min, max)| min > max) {
        faults.add(
            format_args!("{path}.max_value"),
            ("must not be less than `min_value`", "不得小于 `min_value`"),
        );
    }
    Some(CustomField {
        kind,
        ticket_kinds,
        categories: draft.categories,
        at_registration: draft.at_registration,
        at_resolution: draft.at_resolution,
        choices,
        max_length: usize::try_from(max_length).unwrap_or_default(),
        bounds,
    })
}

fn choices(
    drafts: Vec<(String, Text)>,
    chooses: bool,
    path: &str,
    faults: &mut Faults,
) -> Vec<String> {
    if chooses && drafts.is_empty() {
        faults
            .add(format_args!("{path}.choices"), ("must have at least one entry", "至少须有一项"));
    }
    if !chooses && !drafts.is_empty() {
        faults.add(format_args!("{path}.choices"), ("are for a choice only", "仅用于选择类型"));
    }
    faults.at_most(drafts.len(), MAX_CHOICES, &format!("{path}.choices"));
    let mut known = Vec::new();
    for (index, (code, title)) in drafts.into_iter().enumerate() {
        let at = format!("{path}.choices[{index}]");
        if !is_code(&code, "-_") {
            let description = (
                "must be 1 to 40 lower-case letters, digits, '-' and '_'",
                "须为 1 至 40 个小写字母、数字、“-”或“_”",
            );
            faults.add(format_args!("{at}.code"), description);
        }
        if title == Text::default() {
            faults.add(format_args!("{at}.title"), ("must be set", "必填"));
        }
        if known.contains(&code) {
            faults.add(format_args!("{at}.code"), ("is given twice", "重复"));
        } else {
            known.push(code);
        }
    }
    known
}
