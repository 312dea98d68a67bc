//! Queues: what a filter can ask for, and in which order (T-23).

use std::str::FromStr;

use jiff::Timestamp;
use kefu_filter::{Comparator, Compiled, Field, Filter, Kind, Moment, Schema, Value};

use super::word::UnknownCode;

/// What a filter of tickets can name; the function `ticket_fields` of migration 0035 has the same names. What is closed,
/// cancelled or merged is in no queue, but lists have it.
pub static TICKET_FIELDS: Schema = Schema(&[
    Field::new(
        "state",
        Kind::Code(&[
            "registered",
            "in_progress",
            "waiting",
            "resolved",
            "result_fed_back",
            "reopened",
            "executive_review",
            "closed",
            "cancelled",
            "merged",
        ]),
    ),
    Field::new("kind", Kind::Code(&["complaint", "inquiry", "request", "suggestion"])),
    Field::new(
        "channel",
        Kind::Code(&[
            "phone",
            "sms",
            "letter",
            "fax",
            "mail",
            "chat",
            "web",
            "messenger",
            "visit",
            "counter",
        ]),
    ),
    Field::new("priority", Kind::Code(&["low", "normal", "high", "urgent"])),
    Field::new("severity", Kind::Number),
    Field::new("receiver_level", Kind::Number),
    Field::new("cycle", Kind::Number),
    Field::new("number", Kind::Text),
    Field::new("product", Kind::Text),
    Field::new("order_reference", Kind::Text),
    Field::new("shop", Kind::Text),
    Field::new("category", Kind::Path),
    Field::new("org_unit", Kind::Path),
    Field::new("tag", Kind::Tags),
    Field::new("first_contact_owner", Kind::Person),
    Field::new("handler", Kind::Person),
    Field::new("owner", Kind::Person),
    Field::new("team", Kind::Id("teams")),
    Field::new("customer", Kind::Id("customers")),
    Field::new("customer_grade", Kind::Text),
    Field::new("complainant_type", Kind::Text),
    Field::new("create_time", Kind::Time),
    Field::new("update_time", Kind::Time),
    Field::new("due_time", Kind::Time),
    Field::new("due_in", Kind::Remaining("due_time")),
    Field::new("age", Kind::Elapsed("create_time")),
    Field::new("overdue", Kind::Passed("due_time")),
    Field::new("fields.*", Kind::Text),
    Field::new("undelivered", Kind::Code(&["parked", "cancelled"])),
    // Where it is on its way to (T-11), and what headquarters has to do with it (T-15).
    Field::new("transfer_to", Kind::Path),
    Field::new("supervision", Kind::Code(&["open", "missed", "answered"])),
    Field::new("report_time", Kind::Time),
    Field::new("clock.*", Kind::Code(&["running", "paused", "met", "breached", "cancelled"])),
    Field::new("due.*", Kind::Time),
]);

/// The fields by whose value a queue is found without going through the others, `queue_entry.who`: that of which there are
/// fewest first.
const WHOSE: [&str; 5] = ["customer", "owner", "handler", "first_contact_owner", "team"];

/// The order of a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QueueOrder {
    /// The earliest deadline that is owed first.
    #[default]
    DueTime,
    /// The most urgent first.
    Priority,
    /// The newest first.
    Newest,
}

impl QueueOrder {
    /// As it is stored.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::DueTime => "due_time",
            Self::Priority => "priority",
            Self::Newest => "newest",
        }
    }
}

impl FromStr for QueueOrder {
    type Err = UnknownCode;

    fn from_str(code: &str) -> Result<Self, UnknownCode> {
        let all = [Self::DueTime, Self::Priority, Self::Newest];
        all.into_iter()
            .find(|order| order.code() == code)
            .ok_or_else(|| UnknownCode { noun: "QueueOrder", code: code.to_owned() })
    }
}

/// A filter of tickets with the text that it was read from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TicketFilter {
    /// As it was written.
    pub text: String,
    filter: Filter,
}

impl TicketFilter {
    /// Reads a filter.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn read(text: &str) -> Result<Self, kefu_filter::Fault> {
        let filter = Filter::parse(text, &TICKET_FIELDS)?;
        Ok(Self { text: text.trim().to_owned(), filter })
    }

    /// What it asks of `queue_entry.fields` at a moment, if `me` asks.
    #[must_use]
    pub fn compile(&self, now: Timestamp, me: &str) -> Compiled {
        self.filter.compile(Moment { now, me })
    }

    /// One of `queue_entry.who` that everything which passes has, if the filter says so.
    #[must_use]
    pub fn whose(&self, me: &str) -> Option<String> {
        WHOSE.into_iter().find_map(|field| {
            self.filter.required().filter(|term| term.field.name == field).find_map(|term| {
                match (&term.value, term.comparator) {
                    (Value::Text(value), Comparator::Equal) => Some(format!("{field}:{value}")),
                    (Value::Me, Comparator::Equal) => Some(format!("{field}:{me}")),
                    _ => None,
                }
            })
        })
    }

    /// The customer of everything that passes, if the filter says so.
    #[must_use]
    pub fn customer(&self) -> Option<uuid::Uuid> {
        let mut named = self.filter.required().filter(|term| term.field.name == "customer");
        named.find_map(|term| match (&term.value, term.comparator) {
            (Value::Text(id), Comparator::Equal) => uuid::Uuid::try_parse(id).ok(),
            _ => None,
        })
    }

    /// Whether everything passes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }
}
