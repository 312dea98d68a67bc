//! The frame of every command, the same in all contexts: one transaction with its journal entries and its remembered
//! answer.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use jiff::Timestamp;
use kefu_clock::{IdSource, SharedClock};
use kefu_identity::{Caller, OrgUnit};
use kefu_journal::{
    Entry, Provenance, PublicEvent, Tail,
    requests::{self, Claim, Fingerprint, fingerprint},
};
use kefu_postgres::StoreError;
use kefu_rpc::{Deadline, RequestContext, Violations};
use prost::Message;
use serde_json::Value;
use sqlx::{PgConnection, PgPool, Postgres, Transaction};
use uuid::Uuid;

/// Who calls which command, until when, and how a retry of it is recognised.
#[derive(Clone, Debug)]
pub struct Call {
    /// The verified caller, or the anonymous one.
    pub caller: Arc<Caller>,
    /// The same for the journal.
    pub by: Provenance,
    /// Until when there must be an answer.
    pub deadline: Deadline,
    /// How a retry is recognised; `None` where the caller did not ask for protection against doubling.
    pub request: Option<RequestKey>,
}

/// How a retry is recognised.
#[derive(Clone, Debug)]
pub struct RequestKey {
    /// The id that the caller chose.
    pub id: String,
    /// The method, e.g. `kefu.ticket.v1.TicketService/CreateTicket`.
    pub method: &'static str,
    /// Of the request's content.
    pub fingerprint: Fingerprint,
}

impl Call {
    /// Of a request. `message` is the request without its `request_id`, so that the same id written in another case is the
    /// same request. An empty `request_id` gives no protection; anything else has to be an id, or the field is wrong.
    pub fn of(
        context: &RequestContext,
        violations: &mut Violations,
        method: &'static str,
        request_id: &str,
        message: &impl Message,
    ) -> Self {
        let id = if request_id.is_empty() {
            None
        } else {
            violations.request_id("request_id", request_id).map(|id| id.to_string())
        };
        Self {
            by: Provenance::of(context, id.as_deref().unwrap_or_default()),
            caller: Arc::clone(context.caller()),
            deadline: context.deadline(),
            request: id.map(|id| RequestKey {
                id,
                method,
                fingerprint: fingerprint(method, message),
            }),
        }
    }

    /// The request id as the caller's own.
    pub fn key(&self) -> Option<requests::RequestKey<'_>> {
        self.key_of(self.caller.subject())
    }

    fn key_of<'a>(&'a self, asking: &'a str) -> Option<requests::RequestKey<'a>> {
        self.request.as_ref().map(|request| requests::RequestKey {
            caller: asking,
            request_id: &request.id,
            method: request.method,
            fingerprint: request.fingerprint,
        })
    }
}

/// Why the frame refuses or fails. Each context has its own error, which this becomes.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The request id was used for another content.
    #[error("the request id was used for another content")]
    RequestIdReused {
        /// The id.
        request_id: String,
    },
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An answer was stored that cannot be read.
    #[error("a stored answer: {0}")]
    StoredAnswer(#[from] prost::DecodeError),
}

impl From<sqlx::Error> for CommandError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// One change, for the journal.
#[derive(Debug)]
pub struct Change<'a> {
    /// What kind of thing has changed, e.g. `customer`.
    pub aggregate_type: &'static str,
    /// Which one.
    pub aggregate_id: Uuid,
    /// Its revision after the change.
    pub revision: i64,
    /// The command, e.g. `customer.UpdateCustomer`.
    pub action: &'static str,
    /// Where it belongs.
    pub org_unit: &'a OrgUnit,
    /// The customer concerned.
    pub customer_id: Option<Uuid>,
    /// The changed fields before; `None` for a creation.
    pub before: Option<Value>,
    /// The changed fields after.
    pub after: Option<Value>,
    /// What the other contexts are told.
    pub event: Option<PublicEvent>,
}

impl<'a> Change<'a> {
    /// The same as it is written down.
    #[must_use]
    pub fn entry(self, by: &'a Provenance, now: Timestamp, ids: &IdSource) -> Entry<'a> {
        Entry {
            by,
            event_id: ids.uuid(),
            occurred_at: now,
            aggregate_type: self.aggregate_type,
            aggregate_id: self.aggregate_id,
            revision: self.revision,
            action: self.action,
            org_unit: self.org_unit.as_str(),
            customer_id: self.customer_id,
            before: self.before,
            after: self.after,
            event: self.event,
        }
    }
}

/// What a command needs of its context.
#[derive(Clone, Copy, Debug)]
pub struct Tools<'a> {
    /// The context's database.
    pub pool: &'a PgPool,
    /// The time.
    pub clock: &'a SharedClock,
    /// Ids by that clock.
    pub ids: &'a IdSource,
    /// The journal's.
    pub tail: &'a Tail,
}

/// A command under way, which fails with the context's own error `E`. Dropped without [`commit`](Self::commit), it leaves no
/// trace.
pub struct Work<'a, E> {
    tools: Tools<'a>,
    call: &'a Call,
    tx: Transaction<'static, Postgres>,
    now: Timestamp,
    /// Whose request ids these are.
    asking: String,
    /// Whether an answer has to be stored before the end.
    claimed: bool,
    error: PhantomData<fn() -> E>,
}

impl<E> fmt::Debug for Work<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Work")
            .field("call", self.call)
            .field("now", &self.now)
            .finish_non_exhaustive()
    }
}

impl<'a, E: From<CommandError>> Work<'a, E> {
    /// Begins the transaction.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and the like.
    pub async fn begin(tools: Tools<'a>, call: &'a Call) -> Result<Self, E> {
        let tx = kefu_postgres::begin(tools.pool).await.map_err(CommandError::from)?;
        let asking = call.caller.subject().to_owned();
        let now = tools.clock.now();
        Ok(Self { tools, call, tx, now, asking, claimed: false, error: PhantomData })
    }

    /// Who calls, for the journal.
    pub fn by(&self) -> &'a Provenance {
        &self.call.by
    }

    /// The transaction.
    pub fn conn(&mut self) -> &mut PgConnection {
        &mut self.tx
    }

    /// The command's present, for all that it writes. Ask once, when whatever had to be waited for is locked: so it does not
    /// lie before what was waited for. Never goes back.
    pub fn now(&mut self) -> Timestamp {
        self.now = self.now.max(self.tools.clock.now());
        self.now
    }

    /// Says whose request ids these are, where it is not the caller's: anonymous callers are not one and the same, so the
    /// holder of a token asks in the name of its invitation.
    pub fn asks_as(&mut self, who: String) {
        self.asking = who;
    }

    /// Claims the request id; the bytes of the first answer if this is a retry. After the lock on the resource and never
    /// before it, so that a command and its retry take the two in the same order.
    ///
    /// # Errors
    /// [`CommandError::RequestIdReused`], and what the database says.
    pub async fn claim(&mut self) -> Result<Option<Vec<u8>>, E> {
        let Some(key) = self.call.key_of(&self.asking) else { return Ok(None) };
        match requests::claim(&mut self.tx, &key).await.map_err(CommandError::from)? {
            Claim::New => {
                self.claimed = true;
                Ok(None)
            }
            Claim::Replay(answer) => Ok(Some(answer)),
            Claim::Mismatch => {
                let request_id = key.request_id.to_owned();
                Err(CommandError::RequestIdReused { request_id }.into())
            }
        }
    }

    /// [`claim`](Self::claim), with the first answer decoded.
    ///
    /// # Errors
    /// As that, and [`CommandError::StoredAnswer`].
    pub async fn replay<A: Message + Default>(&mut self) -> Result<Option<A>, E> {
        let first = self.claim().await?;
        let first = first.map(|answer| A::decode(answer.as_slice())).transpose();
        first.map_err(|error| CommandError::from(error).into())
    }

    /// The first answer of whoever may not do this any more, because the thing has gone to another org unit since: it did what
    /// it asks for, and learns what it learned then. Claims nothing.
    ///
    /// # Errors
    /// What the database says, and [`CommandError::StoredAnswer`].
    pub async fn answered<A: Message + Default>(&mut self) -> Result<Option<A>, E> {
        let Some(key) = self.call.key_of(&self.asking) else { return Ok(None) };
        match requests::lookup(&mut self.tx, &key).await.map_err(CommandError::from)? {
            Claim::Replay(answer) => {
                let answer = A::decode(answer.as_slice()).map_err(CommandError::from)?;
                Ok(Some(answer))
            }
            Claim::New | Claim::Mismatch => Ok(None),
        }
    }

    /// Writes changes into the journal as of the command's present, in their order.
    ///
    /// # Errors
    /// What the database says.
    pub async fn record(&mut self, changes: Vec<Change<'_>>) -> Result<(), E> {
        let Self { tools, call, tx, now, .. } = self;
        let entries: Vec<_> =
            changes.into_iter().map(|change| change.entry(&call.by, *now, tools.ids)).collect();
        Ok(kefu_journal::append(tx, &entries).await.map_err(CommandError::from)?)
    }

    /// Remembers the answer, commits, and wakes the feed.
    ///
    /// # Errors
    /// What the database says; then nothing has changed, unless the connection broke while it committed.
    pub async fn commit<A: Message>(self, answer: A) -> Result<A, E> {
        let remembered = answer.encode_to_vec();
        self.commit_remembering(&remembered).await?;
        Ok(answer)
    }

    /// The same for an answer that must not be stored as it is.
    ///
    /// # Errors
    /// As [`commit`](Self::commit).
    pub async fn commit_remembering(self, answer: &[u8]) -> Result<(), E> {
        let tail = self.tools.tail;
        self.finish(answer).await?;
        tail.wake();
        Ok(())
    }

    async fn finish(mut self, answer: &[u8]) -> Result<(), CommandError> {
        if let Some(key) = self.call.key_of(&self.asking).filter(|_| self.claimed) {
            requests::complete(&mut self.tx, &key, answer).await?;
        }
        Ok(self.tx.commit().await?)
    }
}
