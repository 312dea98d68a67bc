//! The frame of every command: one transaction with its journal entries and its remembered answer.

use std::sync::Arc;

use jiff::Timestamp;
use kefu_identity::{Caller, OrgUnit};
use kefu_journal::{
    Entry, Provenance, PublicEvent,
    requests::{self, Claim, Fingerprint},
};
use prost::Message;
use serde_json::Value;
use sqlx::{PgConnection, Postgres, Transaction};
use uuid::Uuid;

use super::{App, Error};

/// Who calls which command, and how a retry of it is recognised.
#[derive(Clone, Debug)]
pub struct Call {
    /// The verified caller.
    pub caller: Arc<Caller>,
    /// The same for the journal.
    pub by: Provenance,
    /// `None` where the caller did not ask for protection against doubling.
    pub request: Option<RequestKey>,
}

/// How a retry is recognised.
#[derive(Clone, Debug)]
pub struct RequestKey {
    /// The id that the caller chose.
    pub id: String,
    /// The method, e.g. `kefu.customer.v1.CustomerService/CreateCustomer`.
    pub method: &'static str,
    /// Of the request's content.
    pub fingerprint: Fingerprint,
}

impl Call {
    fn key(&self) -> Option<requests::RequestKey<'_>> {
        self.request.as_ref().map(|request| requests::RequestKey {
            caller: self.caller.subject(),
            request_id: &request.id,
            method: request.method,
            fingerprint: request.fingerprint,
        })
    }
}

/// One change, for the journal.
pub(crate) struct Change<'a> {
    pub(crate) aggregate_type: &'static str,
    pub(crate) aggregate_id: Uuid,
    pub(crate) revision: i64,
    pub(crate) action: &'static str,
    pub(crate) org_unit: &'a OrgUnit,
    pub(crate) customer_id: Option<Uuid>,
    /// The changed fields before; `None` for a creation.
    pub(crate) before: Option<Value>,
    /// The changed fields after.
    pub(crate) after: Option<Value>,
    pub(crate) event: Option<PublicEvent>,
}

/// A command under way. Dropped without [`commit`](Self::commit), it leaves no trace.
pub(crate) struct Work<'a> {
    app: &'a App,
    call: &'a Call,
    tx: Transaction<'static, Postgres>,
    now: Timestamp,
}

impl App {
    pub(crate) async fn begin<'a>(&'a self, call: &'a Call) -> Result<Work<'a>, Error> {
        let tx = kefu_postgres::begin(&self.pool).await?;
        Ok(Work { app: self, call, tx, now: self.clock.now() })
    }
}

impl Work<'_> {
    pub(crate) fn conn(&mut self) -> &mut PgConnection {
        &mut self.tx
    }

    /// The command's present: one for all that it writes.
    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    /// Takes the present again, once a lock has been waited for and before anything is written: so it does not lie before
    /// what was waited for.
    pub(crate) fn has_waited(&mut self) {
        self.now = self.now.max(self.app.clock.now());
    }

    /// Claims the request id; the first answer if this is a retry. After the lock on the resource and never before it, so
    /// that a command and its retry take the two in the same order.
    pub(crate) async fn replay<A: Message + Default>(&mut self) -> Result<Option<A>, Error> {
        let Some(key) = self.call.key() else { return Ok(None) };
        match requests::claim(&mut self.tx, &key).await? {
            Claim::New => Ok(None),
            Claim::Replay(answer) => A::decode(answer.as_slice())
                .map(Some)
                .map_err(|error| Error::Defect(format!("a stored answer: {error}"))),
            Claim::Mismatch => {
                Err(Error::RequestIdReused { request_id: key.request_id.to_owned() })
            }
        }
    }

    /// Writes changes into the journal, in their order.
    pub(crate) async fn record(&mut self, changes: Vec<Change<'_>>) -> Result<(), Error> {
        let entries: Vec<_> = changes
            .into_iter()
            .map(|change| Entry {
                by: &self.call.by,
                event_id: self.app.ids.uuid(),
                occurred_at: self.now,
                aggregate_type: change.aggregate_type,
                aggregate_id: change.aggregate_id,
                revision: change.revision,
                action: change.action,
                org_unit: change.org_unit.as_str(),
                customer_id: change.customer_id,
                before: change.before,
                after: change.after,
                event: change.event,
            })
            .collect();
        Ok(kefu_journal::append(&mut self.tx, &entries).await?)
    }

    /// Remembers the answer, commits, and wakes the feed.
    pub(crate) async fn commit<A: Message>(mut self, answer: A) -> Result<A, Error> {
        if let Some(key) = self.call.key() {
            requests::complete(&mut self.tx, &key, &answer.encode_to_vec()).await?;
        }
        self.tx.commit().await?;
        self.app.tail.wake();
        Ok(answer)
    }
}
