//! What stands beside a clock in the ledger, as it is stored: steps, announced delays, changes that moved the deadline.

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use kefu_postgres::StoreError;

use super::{known, read};
use crate::domain::{Announcement, Cause, ClockEntry, Revision, Severity, Step};

/// Steps as they are stored.
pub(crate) fn steps_json(steps: &[Step]) -> Option<Value> {
    let step = |step: &Step| json!({ "name": &*step.name, "at": text(step.at), "taken_at": text(step.taken_at) });
    list(steps, step)
}

/// Announced delays as they are stored.
pub(crate) fn announcements_json(clock: &ClockEntry) -> Option<Value> {
    let announcement = |said: &Announcement| {
        json!({
            "at": said.at.to_string(), "new_due": said.new_due.to_string(), "reason": said.reason, "by": &*said.by,
        })
    };
    list(&clock.announcements, announcement)
}

/// Changes of severity and of policy version as they are stored.
pub(crate) fn revisions_json(clock: &ClockEntry) -> Option<Value> {
    let revision = |revision: &Revision| {
        let (from, to): (Value, Value) = match revision.cause {
            Cause::Severity { from, to } => (from.number().into(), to.number().into()),
            // The versions are texts where severities are numbers.
            Cause::Policy { from, to } => (from.to_string().into(), to.to_string().into()),
        };
        json!({
            "at": revision.at.to_string(), "by": &*revision.by, "from": from, "to": to,
            "from_rule": &*revision.from_rule, "previous_due": text(revision.previous_due),
        })
    };
    list(&clock.revisions, revision)
}

fn list<T>(items: &[T], value: impl Fn(&T) -> Value) -> Option<Value> {
    (!items.is_empty()).then(|| items.iter().map(value).collect())
}

fn text(at: Option<Timestamp>) -> Option<String> {
    at.map(|at| at.to_string())
}

pub(super) fn steps(column: &'static str, stored: Option<&Value>) -> Result<Vec<Step>, StoreError> {
    each(column, stored, |field| {
        Ok(Step {
            name: field.text("name")?.into(),
            at: field.optional_time("at")?,
            taken_at: field.optional_time("taken_at")?,
        })
    })
}

pub(super) fn announcements(stored: Option<&Value>) -> Result<Vec<Announcement>, StoreError> {
    each("ticket_clock.announcements", stored, |field| {
        Ok(Announcement {
            at: field.time("at")?,
            new_due: field.time("new_due")?,
            reason: field.text("reason")?.to_owned(),
            by: field.text("by")?.into(),
        })
    })
}

pub(super) fn revisions(stored: Option<&Value>) -> Result<Vec<Revision>, StoreError> {
    each("ticket_clock.revisions", stored, |field| {
        Ok(Revision {
            at: field.time("at")?,
            by: field.text("by")?.into(),
            cause: field.cause()?,
            from_rule: field.text("from_rule")?.into(),
            previous_due: field.optional_time("previous_due")?,
        })
    })
}

fn each<T>(
    column: &'static str,
    stored: Option<&Value>,
    item: impl Fn(Fields<'_>) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let Some(stored) = stored else { return Ok(Vec::new()) };
    let items = known(column, stored.as_array())?;
    items.iter().map(|object| item(Fields { column, object })).collect()
}

/// The fields of an object in a column.
pub(super) struct Fields<'a> {
    pub(super) column: &'static str,
    pub(super) object: &'a Value,
}

impl<'a> Fields<'a> {
    pub(super) fn text(&self, key: &str) -> Result<&'a str, StoreError> {
        known(self.column, self.object.get(key).and_then(Value::as_str))
    }

    fn time(&self, key: &str) -> Result<Timestamp, StoreError> {
        read(self.column, self.text(key)?.parse())
    }

    pub(super) fn optional_time(&self, key: &str) -> Result<Option<Timestamp>, StoreError> {
        let text = self.object.get(key).and_then(Value::as_str);
        text.map(|text| read(self.column, text.parse())).transpose()
    }

    fn cause(&self) -> Result<Cause, StoreError> {
        match self.object.get("from") {
            Some(Value::String(_)) => {
                Ok(Cause::Policy { from: self.uuid("from")?, to: self.uuid("to")? })
            }
            _ => Ok(Cause::Severity { from: self.severity("from")?, to: self.severity("to")? }),
        }
    }

    fn uuid(&self, key: &str) -> Result<Uuid, StoreError> {
        read(self.column, self.text(key)?.parse())
    }

    fn severity(&self, key: &str) -> Result<Severity, StoreError> {
        let number = self.object.get(key).and_then(Value::as_i64);
        let number = number.and_then(|number| i32::try_from(number).ok());
        known(self.column, number.and_then(Severity::from_number))
    }
}
