//! A process follows its ticket, in the transaction of what happens to that (T-04, T-06, T-09, T-22).

use jiff::Timestamp;
use kefu_clock::IdSource;
use kefu_journal::Provenance;
use sqlx::PgConnection;
use uuid::Uuid;

use super::process::{save, template_of};
use super::{App, Error};
use crate::domain::{Change, Standing, Ticket, without_file};
use crate::store;

/// Stands still, goes on or ends with a ticket that this transaction has locked, by what a change made of that.
pub(super) async fn follow(
    conn: &mut PgConnection,
    ids: &IdSource,
    (earlier, later): (&Ticket, &Ticket),
    change: &Change,
    by: &Provenance,
) -> Result<(), Error> {
    let Some(running) = &earlier.process else { return Ok(()) };
    let standing = Standing::of(later);
    if standing == Standing::of(earlier) {
        return Ok(());
    }
    let found = store::process::find(conn, running.id).await?;
    let found = found.ok_or_else(|| Error::Defect("a process was lost on its way".to_owned()))?;
    if found.policy_version != running.rules.id() {
        let defect = "a process is judged by another policy version than its ticket";
        return Err(Error::Defect(defect.to_owned()));
    }
    let policy = running.rules.policy();
    let template = template_of(policy, &found)?;
    let (rules, subject) = ((template, policy.calendar()), change.actor.subject());
    let next = found.follow(rules, &standing, &subject, change.effective_at);
    if let Some(next) = next? {
        save(conn, ids, by, (&found, &next), template, standing.action()).await?;
    }
    Ok(())
}

impl App {
    /// Takes a file that is withdrawn out of the process of its ticket, which this transaction has locked.
    pub(super) async fn file_withdrawn(
        &self,
        conn: &mut PgConnection,
        (ticket, attachment): (Uuid, Uuid),
        by: &Provenance,
        now: Timestamp,
    ) -> Result<(), Error> {
        let Some(id) = store::process::running_of(conn, ticket).await? else { return Ok(()) };
        let Some(found) = store::process::find(conn, id).await? else { return Ok(()) };
        let Some(next) = without_file(&found, attachment, now) else { return Ok(()) };
        let judged = self.judged_process(conn, found).await?;
        let both = (&judged.process, &next);
        save(conn, &self.ids, by, both, judged.template()?, "WithdrawAttachment").await?;
        Ok(())
    }
}
