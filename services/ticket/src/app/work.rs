//! The frame of every command but registrations: one transaction with its journal entries and its remembered answer
//!

use std::sync::Arc;

use jiff::Timestamp;
use kefu_identity::Caller;
use kefu_journal::Provenance;
use kefu_journal::requests::{self, Claim, Fingerprint};
use kefu_rpc::Deadline;
use prost::Message;
use sqlx::{PgConnection, Postgres, Transaction};

use super::{App, Error};

/// Who calls which command, until when, and how a retry of it is recognised.
#[derive(Clone, Debug)]
pub struct Call {
    /// The verified caller.
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
    pub(crate) fn key(&self) -> Option<requests::RequestKey<'_>> {
        self.request.as_ref().map(|request| requests::RequestKey {
            caller: self.caller.subject(),
            request_id: &request.id,
            method: request.method,
            fingerprint: request.fingerprint,
        })
    }
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

impl<'a> Work<'a> {
    /// Who calls, for the journal.
    pub(crate) fn by(&self) -> &'a Provenance {
        &self.call.by
    }

    pub(crate) fn conn(&mut self) -> &mut PgConnection {
        &mut self.tx
    }

    /// The command's present: one for all that it writes. Taken again once whatever it had to wait for is locked, so
    /// that it does not lie before what it waited for.
    pub(crate) fn now(&mut self) -> Timestamp {
        self.now = self.now.max(self.app.clock.now());
        self.now
    }

    /// Claims the request id; the first answer if this is a retry. After the lock on the resource and never before it,
    /// so that a command and its retry take the two in the same order.
    pub(crate) async fn replay<A: Message + Default>(&mut self) -> Result<Option<A>, Error> {
        let Some(key) = self.call.key() else { return Ok(None) };
        match requests::claim(&mut self.tx, &key).await? {
            Claim::New => Ok(None),
            Claim::Replay(answer) => decode_answer(&answer).map(Some),
            Claim::Mismatch => {
                Err(Error::RequestIdReused { request_id: key.request_id.to_owned() })
            }
        }
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

pub(crate) fn decode_answer<A: Message + Default>(answer: &[u8]) -> Result<A, Error> {
    A::decode(answer).map_err(|error| Error::Defect(format!("a stored answer: {error}")))
}
