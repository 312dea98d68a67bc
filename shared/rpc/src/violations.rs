//! All wrong fields of a request, in one pass (X-06).

use std::fmt::Write as _;

use kefu_api::error::v1::Reason;
use tonic::{Code, Status};
use tonic_types::pb;

use crate::{Failure, Fault, Language};

/// Violations beyond this many bytes of description are counted, not listed: they travel in a header line.
const MAX_LISTED: usize = 3 * 1024;

/// Collects what is wrong with a request while it is decoded, so that the caller learns all of it at once.
///
/// ```
/// use kefu_rpc::{TextRule, Violations};
///
/// let mut violations = Violations::new();
/// let subject = violations.text("subject", "", TextRule::line(200).required());
/// violations.item("contacts", 1, |violations| {
///     violations.phone("phone", "none");
/// });
/// let status = violations.into_result().unwrap_err();
/// assert!(status.message().contains("contacts[1].phone"));
/// # let _ = subject;
/// ```
#[derive(Clone, Debug, Default)]
pub struct Violations {
    language: Language,
    prefix: String,
    found: Vec<(String, Fault)>,
}

impl Violations {
    /// Nothing wrong so far.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, with a message for people in their language beside each description.
    pub fn in_language(language: Language) -> Self {
        Self { language, ..Self::default() }
    }

    /// Notes that `field` is wrong. The path counts from the enclosing [`item`](Self::item) or
    /// [`within`](Self::within).
    pub fn add(&mut self, field: &str, fault: Fault) {
        self.found.push((format!("{}{field}", self.prefix), fault));
    }

    /// Decodes the message in `field`; paths inside begin with `field.`.
    pub fn within<T>(&mut self, field: &str, decode: impl FnOnce(&mut Self) -> T) -> T {
        let outer = self.prefix.len();
        // Writing to a string cannot fail.
        let _ = write!(self.prefix, "{field}.");
        let decoded = decode(self);
        self.prefix.truncate(outer);
        decoded
    }

    /// Decodes one element of the list in `field`; paths inside begin with `field[index].`.
    pub fn item<T>(&mut self, field: &str, index: usize, decode: impl FnOnce(&mut Self) -> T) -> T {
        let outer = self.prefix.len();
        let _ = write!(self.prefix, "{field}[{index}].");
        let decoded = decode(self);
        self.prefix.truncate(outer);
        decoded
    }

    /// Whether nothing is wrong so far.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// The paths of all wrong fields, in the order in which they were found.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.found.iter().map(|(field, _)| field.as_str())
    }

    /// What is wrong, by path: for whoever puts several findings together.
    pub fn into_faults(self) -> impl Iterator<Item = (String, Fault)> {
        self.found.into_iter()
    }

    /// `Ok` if nothing is wrong so far.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` that names every wrong field.
    pub fn check(&self) -> Result<(), Status> {
        if self.found.is_empty() { Ok(()) } else { Err(self.to_status()) }
    }

    /// [`check`](Self::check), at the end.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` that names every wrong field.
    pub fn into_result(self) -> Result<(), Status> {
        self.check()
    }

    /// The decoded request, if nothing is wrong with it.
    ///
    /// `decoded` is built with `?` from what the decoding methods returned, and is `None` only if one of them
    /// complained.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` that names every wrong field.
    pub fn finish<T>(self, decoded: Option<T>) -> Result<T, Status> {
        self.check()?;
        decoded.ok_or_else(|| {
            crate::internal("a request was refused by its decoder without naming a field")
        })
    }

    pub(crate) fn to_status(&self) -> Status {
        let mut listed = Vec::new();
        let mut size = 0;
        for (field, fault) in &self.found {
            let localized_message = (self.language == Language::Chinese).then(|| {
                pb::LocalizedMessage { locale: "zh-CN".into(), message: fault.chinese.clone() }
            });
            size += field.len() + fault.english.len() + fault.reason.len() + 8;
            size += localized_message.as_ref().map_or(0, |m| m.message.len() + 16);
            if size > MAX_LISTED {
                break;
            }
            listed.push(pb::bad_request::FieldViolation {
                field: field.clone(),
                description: fault.english.clone(),
                reason: fault.reason.to_owned(),
                localized_message,
            });
        }

        let mut message = String::from("invalid request: ");
        for (index, violation) in listed.iter().enumerate() {
            let comma = if index == 0 { "" } else { "; " };
            let _ = write!(message, "{comma}{} {}", violation.field, violation.description);
            if message.len() > 400 {
                message.push_str("; …");
                break;
            }
        }
        let mut failure = Failure::new(Code::InvalidArgument, Reason::FieldsInvalid, message);
        if listed.len() < self.found.len() {
            let more = self.found.len() - listed.len();
            failure = failure.metadata("violations_not_listed", more.to_string());
        }
        failure.detail("BadRequest", &pb::BadRequest { field_violations: listed }).into_status()
    }
}

#[cfg(test)]
mod tests {
    use tonic_types::StatusExt as _;

    use super::*;

    #[test]
    fn x06_all_wrong_fields_are_named_at_once() {
        let mut violations = Violations::new();
        violations.add("subject", Fault::required());
        violations.item("contacts", 1, |violations| {
            violations.item("phones", 0, |violations| {
                violations.add("number", Fault::malformed("a phone number", "电话号码"));
            });
            violations.within("address", |violations| violations.add("city", Fault::required()));
        });
        violations.add("severity", Fault::unknown_value(9));

        let status = violations.into_result().unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        let bad = status.get_details_bad_request().unwrap();
        let fields: Vec<_> = bad.field_violations.iter().map(|v| v.field.as_str()).collect();
        let expected =
            ["subject", "contacts[1].phones[0].number", "contacts[1].address.city", "severity"];
        assert_eq!(fields, expected);
        let info = status.get_details_error_info().unwrap();
        assert_eq!(info.reason, "FIELDS_INVALID");
    }

    #[test]
    fn x06_a_good_request_passes() {
        assert!(Violations::new().check().is_ok());
        assert_eq!(Violations::new().finish(Some(7)).unwrap(), 7);
    }

    #[test]
    fn x06_very_many_violations_still_fit_into_a_header() {
        let mut violations = Violations::in_language(Language::Chinese);
        for index in 0..10_000 {
            violations.item("contacts", index, |v| v.add("name", Fault::required()));
        }
        let status = violations.into_result().unwrap_err();
        assert!(status.details().len() < 6 * 1024, "{}", status.details().len());
        assert!(status.message().len() < 512);
        let listed = status.get_details_bad_request().unwrap().field_violations.len();
        let more = &status.get_details_error_info().unwrap().metadata["violations_not_listed"];
        assert_eq!(listed + more.parse::<usize>().unwrap(), 10_000);
    }
}
