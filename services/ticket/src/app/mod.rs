//! What the context does: one file per noun. A command is one short transaction: lock the ticket, authorize, claim the
//! request id, check the etag, decide, save, append to the journal, store the answer, commit, wake feed and timers.
//! Registrations, the most frequent command, go many at once, see [`intake`].

pub mod addressee;
pub mod attachment;
mod audit;
pub mod bulk;
pub(crate) mod change;
pub mod clock_ledger;
mod correction;
pub mod corrective_action;
pub mod customer;
pub mod delivery;
pub mod duty;
pub mod error;
pub mod handling;
mod handling_record;
pub mod intake;
pub mod likeness;
pub mod link;
pub mod listing;
pub mod macros;
pub mod mass_answer;
pub mod mass_carry;
pub mod merge;
pub mod message;
mod outbox;
mod placement;
pub mod policy;
pub mod policy_rollout;
pub mod process;
mod process_follow;
mod process_timer;
pub mod product_hold;
pub mod projection;
pub mod queue;
pub mod registration;
pub mod report;
mod resource_audit;
pub mod routing;
pub mod saved_view;
pub mod search;
pub mod shift;
pub mod shift_plan;
pub mod simulation;
pub mod suggestion;
pub mod survey;
pub mod team;
pub mod ticket;
pub mod timer;
mod transfer;
pub mod trigger;
mod trigger_event;
mod unmerge;
pub mod upload;
mod upload_receive;
pub mod viewer;
pub mod violation;
pub mod work;
pub mod work_order;
mod work_order_audit;
mod work_order_record;

use std::sync::Arc;

use jiff::Timestamp;
use kefu_clock::{IdSource, SharedClock};
use kefu_identity::{Authorizer, Caller, OrgUnit};
use kefu_journal::Tail;
use kefu_policy::{OrgUnits, PolicyBook, Version};
use kefu_postgres::StoreError;
use kefu_rpc::Transport;
pub use kefu_service::Page;
pub(crate) use kefu_service::one_more;
use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, PgPool, Postgres};
use uuid::Uuid;

use crate::channel::Channels;
use crate::domain::{Issued, Policy, RunningProcess, Ticket};
use crate::files::Files;
use crate::store::ticket::TicketRow;

pub use self::{
    customer::Customers,
    error::Error,
    intake::Intake,
    outbox::OutboxSignal,
    timer::TimerSignal,
    viewer::Viewers,
    work::{Call, RequestKey},
};

/// What [`App::allow_followed`] asks for.
const READ_AS_FIRST_CONTACT: &str = "ticket.ReadAsFirstContact";

/// The context at work. One per process; share it in an `Arc`.
#[derive(Debug)]
pub struct App {
    pub(crate) pool: PgPool,
    pub(crate) clock: SharedClock,
    pub(crate) ids: Arc<IdSource>,
    pub(crate) authorizer: Arc<Authorizer>,
    pub(crate) policies: PolicyBook<Policy>,
    pub(crate) org_units: OrgUnits<Transport>,
    pub(crate) customers: Customers,
    pub(crate) intake: Intake,
    pub(crate) timers: TimerSignal,
    pub(crate) order_timers: TimerSignal,
    pub(crate) learning_timers: TimerSignal,
    pub(crate) channels: Channels,
    pub(crate) outbox: OutboxSignal,
    pub(crate) files: Files,
    pub(crate) mass_answers: OutboxSignal,
    pub(crate) tail: Tail,
    pub(crate) viewers: Viewers,
    pub(crate) reports: report::ReportGate,
    pub(crate) queue_units: queue::QueueUnits,
    pub(crate) sampled: search::Sampled,
}

impl App {
    /// The present.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Passes if the caller may do `action` in `org_unit`.
    pub(crate) fn allow(
        &self,
        caller: &Caller,
        action: &'static str,
        org_unit: &OrgUnit,
    ) -> Result<(), Error> {
        self.authorizer
            .authorize(caller, action, org_unit)
            .map_err(|_| Error::Denied { action, org_unit: org_unit.clone() })
    }

    /// The same for an org unit as it is stored.
    pub(crate) fn allow_at(
        &self,
        caller: &Caller,
        action: &'static str,
        org_unit: &str,
    ) -> Result<(), Error> {
        let org_unit: OrgUnit =
            org_unit.parse().map_err(|error| StoreError::corrupt("ticket.org_unit", error))?;
        self.allow(caller, action, &org_unit)
    }

    /// Whether somebody may decide for a ticket of that org unit what a manager decides: then that is what is on record of his
    /// escalation (T-12).
    pub(crate) fn is_manager(&self, caller: &Caller, org_unit: &str) -> Result<bool, Error> {
        let org_unit: OrgUnit =
            org_unit.parse().map_err(|error| StoreError::corrupt("ticket.org_unit", error))?;
        Ok(self.authorizer.permits(caller, "ticket.DecideEscalation", &org_unit))
    }

    /// The same for what a ticket's receiver may see as well while the ticket is on its way (T-11).
    pub(crate) fn allow_seen(
        &self,
        caller: &Caller,
        action: &'static str,
        org_unit: &str,
        receiving: Option<&str>,
    ) -> Result<(), Error> {
        if let Some(receiving) = receiving {
            let receiving: OrgUnit =
                receiving.parse().map_err(|error| StoreError::corrupt("transfer.to", error))?;
            if self.authorizer.permits(caller, action, &receiving) {
                return Ok(());
            }
        }
        self.allow_at(caller, action, org_unit)
    }

    /// The same for what its first-contact owner may read wherever the ticket has gone (T-02).
    pub(crate) fn allow_followed(
        &self,
        caller: &Caller,
        action: &'static str,
        (org_unit, receiving): (&str, Option<&str>),
        first_contact: &str,
    ) -> Result<(), Error> {
        let seen = self.allow_seen(caller, action, org_unit, receiving);
        if seen.is_err() && self.is_followed_by(caller, READ_AS_FIRST_CONTACT, first_contact) {
            return Ok(());
        }
        seen
    }

    /// Whether the caller is whoever was asked first, and may do this about what he took. The right is his where he works; which
    /// tickets it is about is told by the ticket and not by where that is.
    pub(crate) fn is_followed_by(
        &self,
        caller: &Caller,
        right: &'static str,
        first_contact: &str,
    ) -> bool {
        caller.subject() == first_contact
            && caller.org_unit().is_some_and(|own| self.authorizer.permits(caller, right, own))
    }

    pub(crate) async fn read(&self) -> Result<PoolConnection<Postgres>, StoreError> {
        Ok(self.pool.acquire().await?)
    }

    /// The policy version with this id. Versions never change, so one that is in memory needs no look at the database.
    pub(crate) async fn version(
        &self,
        conn: &mut PgConnection,
        id: Uuid,
    ) -> Result<Option<Arc<Version<Policy>>>, StoreError> {
        if let Some(version) = self.policies.snapshot().version(id) {
            return Ok(Some(Arc::clone(version)));
        }
        Ok(self.policies.current(conn).await?.version(id).cloned())
    }

    /// A stored ticket with the policy version that judges it, and inside it those that promise it something.
    pub(crate) async fn judged(
        &self,
        conn: &mut PgConnection,
        row: TicketRow,
    ) -> Result<(Ticket, Arc<Version<Policy>>), StoreError> {
        let version = self.version(conn, row.policy_version_id).await?;
        let version = version.ok_or_else(|| {
            StoreError::corrupt("ticket.policy_version_id", "there is no such policy version")
        })?;
        let running = row.process.clone();
        let mut others = Vec::new();
        for id in row.other_versions()? {
            let other = self.version(conn, id).await?.ok_or_else(|| {
                StoreError::corrupt("policy_version_id", "there is no such policy version")
            })?;
            others.push(other as Arc<dyn Issued>);
        }
        let mut ticket = row.into_ticket(&version.policy, &others)?;
        ticket.process = running.map(|(id, stages)| {
            let rules = Arc::clone(&version) as Arc<dyn Issued>;
            RunningProcess { id, stages, rules }
        });
        Ok((ticket, version))
    }
}
