//! A public event as it stands in the journal.

use bytes::Bytes;
use jiff::Timestamp;
use uuid::Uuid;

use crate::Position;

/// A public event as it stands in the journal.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// Its place in the feed.
    pub position: Position,
    /// Its id.
    pub event_id: Uuid,
    /// When it happened, on the context's clock.
    pub occurred_at: Timestamp,
    /// Who did it.
    pub actor: String,
    /// W3C trace context; empty where there was none.
    pub traceparent: String,
    /// What kind of thing changed.
    pub aggregate_type: String,
    /// Which one.
    pub aggregate_id: Uuid,
    /// Its revision after the change.
    pub revision: i64,
    /// The org unit that the change belongs to.
    pub org_unit: String,
    /// The customer concerned, where there is one.
    pub customer_id: Option<Uuid>,
    /// Full name of the payload's message type.
    pub event_type: String,
    /// The serialised message.
    pub payload: Bytes,
}
