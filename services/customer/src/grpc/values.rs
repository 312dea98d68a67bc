//! Values that several messages of this context have.

use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use kefu_identity::OrgUnit;
use kefu_rpc::{Fault, TextRule, Violations};
use uuid::Uuid;

/// The earliest day on earth is this far ahead of UTC.
const EARLIEST_ZONE: SignedDuration = SignedDuration::from_hours(14);

/// A text that may be empty.
pub(super) fn text(
    violations: &mut Violations,
    field: &str,
    value: &str,
    rule: TextRule,
) -> Option<String> {
    violations.take(field, rule.apply(value))
}

/// A list of values, each read by `read`; a value that is given twice is kept once.
pub(super) fn list(
    violations: &mut Violations,
    field: &str,
    values: &[String],
    max: usize,
    read: impl Fn(&str) -> Result<String, Fault>,
) -> Option<Vec<String>> {
    if !violations.at_most(field, values.len(), max) {
        return None;
    }
    let mut kept: Vec<String> = Vec::with_capacity(values.len());
    let mut good = true;
    for (index, value) in values.iter().enumerate() {
        match read(value) {
            Ok(value) if kept.contains(&value) => {}
            Ok(value) => kept.push(value),
            Err(fault) => {
                violations.add(&format!("{field}[{index}]"), fault);
                good = false;
            }
        }
    }
    good.then_some(kept)
}

/// A date in the past or today, wherever on earth; empty is unknown. The outer `None` means that it is wrong.
#[allow(clippy::option_option, reason = "absent and wrong are different answers")]
pub(super) fn past_date(
    violations: &mut Violations,
    field: &str,
    value: &str,
    now: Timestamp,
) -> Option<Option<Date>> {
    if value.is_empty() {
        return Some(None);
    }
    let shape = value.len() == 10
        && value.bytes().enumerate().all(|(index, byte)| match index {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    // Postgres and people agree on years from 1 on.
    let date = value.parse::<Date>().ok().filter(|date| shape && date.year() > 0);
    let Some(date) = date else {
        violations.add(field, Fault::malformed("a date, YYYY-MM-DD", "日期 YYYY-MM-DD"));
        return None;
    };
    let today = now.checked_add(EARLIEST_ZONE).unwrap_or(Timestamp::MAX);
    if date > today.to_zoned(TimeZone::UTC).date() {
        violations.add(field, Fault::in_the_future());
        return None;
    }
    Some(Some(date))
}

/// An org unit, which must be given.
pub(super) fn org_unit(violations: &mut Violations, field: &str, value: &str) -> Option<OrgUnit> {
    violations.parse(field, value)
}

/// `customers/{uuid}`.
pub(super) fn customer_name(violations: &mut Violations, field: &str, name: &str) -> Option<Uuid> {
    violations.resource_id(field, name, "customers")
}

/// `customers/{uuid}/contacts/{uuid}`.
pub(super) fn contact_name(
    violations: &mut Violations,
    field: &str,
    name: &str,
) -> Option<(Uuid, Uuid)> {
    if name.is_empty() {
        violations.add(field, Fault::required());
        return None;
    }
    let uuid = |text: &str| if text.len() == 36 { Uuid::try_parse(text).ok() } else { None };
    let ids = name.strip_prefix("customers/").and_then(|rest| rest.split_once("/contacts/"));
    let ids = ids.and_then(|(customer, contact)| Some((uuid(customer)?, uuid(contact)?)));
    if ids.is_none() {
        violations.add(
            field,
            Fault::malformed(
                "a name of the form customers/UUID/contacts/UUID",
                "形如 customers/UUID/contacts/UUID 的名称",
            ),
        );
    }
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x06_a_date_has_one_form_and_is_not_in_the_future() {
        let now = "2024-02-09T18:00:00Z".parse().unwrap();
        let read = |text: &str| {
            let mut violations = Violations::new();
            past_date(&mut violations, "birthday", text, now)
        };
        assert_eq!(read(""), Some(None));
        assert_eq!(
            read("2024-02-10"),
            Some(Some(Date::constant(2024, 2, 10))),
            "today in Shanghai"
        );
        for bad in
            ["2024-02-11", "2024-2-9", "20240209", "2023-02-29", "0000-01-01", "+002024-02-09"]
        {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn x06_a_contact_has_one_name() {
        let (a, b) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let mut violations = Violations::new();
        let good = format!("customers/{a}/contacts/{b}");
        assert_eq!(contact_name(&mut violations, "name", &good), Some((a, b)));
        for bad in [format!("customers/{a}"), format!("contacts/{b}"), format!("{good}/x")] {
            assert_eq!(contact_name(&mut violations, "name", &bad), None, "{bad}");
        }
        assert_eq!(violations.fields().count(), 3);
    }
}
