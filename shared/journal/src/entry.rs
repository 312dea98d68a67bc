//! What one change leaves behind.

use jiff::Timestamp;
use prost::Message;
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use kefu_postgres::StoreError;
use kefu_rpc::RequestContext;
use kefu_telemetry::current_trace;

/// Who did it, from where and on which request: the same for all changes of one command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provenance {
    /// Subject of the sign-in token, or `system/<worker>`; never empty.
    pub actor: String,
    /// Org unit of the actor's token; empty for workers and anonymous callers.
    pub actor_org_unit: String,
    /// Peer address and user agent; empty for workers.
    pub origin: String,
    /// The request id of the command; empty where there was none.
    pub request_id: String,
    /// W3C trace context; empty where there is none.
    pub traceparent: String,
}

impl Provenance {
    /// A change that `context`'s caller asked for, under `request_id` (empty where the method has none).
    pub fn of(context: &RequestContext, request_id: &str) -> Self {
        let caller = context.caller();
        Self {
            actor: caller.subject().to_owned(),
            actor_org_unit: caller.org_unit().map(ToString::to_string).unwrap_or_default(),
            origin: context.origin().to_string(),
            request_id: request_id.to_owned(),
            traceparent: context.trace().to_string(),
        }
    }

    /// A change that a worker of this service made by itself, e.g. `system("timer")`, within the current trace.
    pub fn system(worker: &str) -> Self {
        Self {
            actor: format!("system/{worker}"),
            traceparent: current_trace().map(|trace| trace.to_string()).unwrap_or_default(),
            ..Self::default()
        }
    }
}

/// The public event of a change: what other contexts may know of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicEvent {
    /// Full name of the payload's message type, e.g. `kefu.ticket.v1.TicketResolved`.
    pub type_name: String,
    /// The serialised message.
    pub payload: Vec<u8>,
}

impl PublicEvent {
    /// The event that `message` is.
    pub fn of<M: Message + prost::Name>(message: &M) -> Self {
        Self { type_name: M::full_name(), payload: message.encode_to_vec() }
    }
}

/// One change of one aggregate: a row of the journal.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// Who, from where, on which request.
    pub by: &'a Provenance,
    /// Id of the change, a UUID v7 of the service's id source.
    pub event_id: Uuid,
    /// When, on the service's clock.
    pub occurred_at: Timestamp,
    /// What kind of thing changed, e.g. `ticket`.
    pub aggregate_type: &'a str,
    /// Which one.
    pub aggregate_id: Uuid,
    /// Its revision after the change: 1 for the creation, one more for each change.
    pub revision: i64,
    /// What was done, e.g. `ticket.Resolve`.
    pub action: &'a str,
    /// The org unit that the change belongs to.
    pub org_unit: &'a str,
    /// The customer concerned, where there is one.
    pub customer_id: Option<Uuid>,
    /// The changed fields before; `None` for a creation.
    pub before: Option<Value>,
    /// The changed fields after; `None` for a removal.
    pub after: Option<Value>,
    /// What other contexts may know of it.
    pub event: Option<PublicEvent>,
}

/// Appends `entries`, in their order, to the journal within the caller's transaction: one statement however many they
/// are. Serves.
///
/// Wake the context's [`Tail`](crate::Tail) after the commit; without it the events travel with the next poll.
///
/// # Errors
/// [`StoreError::Unique`] on `journal_revision_key` when another transaction made the same revision first.
pub async fn append(conn: &mut PgConnection, entries: &[Entry<'_>]) -> Result<(), StoreError> {
    crate::store::journal::insert(conn, entries).await
}
