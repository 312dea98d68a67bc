//! What the context does on what it learns from the others' feeds, within the transaction that moves the cursor.

use jiff::Timestamp;
use kefu_identity::OrgUnit;
use kefu_journal::Provenance;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    App, Error,
    invitation::{change, redirected},
};
use crate::{
    domain::{
        contact::Contact,
        invitation::{Invitation, Matter, Revocation, decide},
    },
    store,
};

impl App {
    /// Invites after a result was fed back at `at`, if the policy in force then has a call-back (S-02). However often and by
    /// however many replicas it is told: once for each ticket, cycle and campaign.
    pub(crate) async fn invite(
        &self,
        conn: &mut PgConnection,
        by: &Provenance,
        org_unit: OrgUnit,
        matter: Matter,
        at: Timestamp,
    ) -> Result<(), Error> {
        let policies = self.policies.current(conn).await?;
        let Some(version) = policies.effective(&org_unit, at) else { return Ok(()) };
        let Some(call_back) = &version.policy.ticket_call_back else { return Ok(()) };
        let contact = match matter.customer.zip(matter.contact) {
            Some((customer, contact)) => Some(store::contact::hold(conn, contact, customer).await?),
            None => None,
        };
        let now = self.now();
        let (id, ticket) = (self.ids.uuid(), matter.ticket);
        let call_back = (version.id, call_back);
        let Some(invitation) = decide(id, org_unit, matter, call_back, contact.as_ref(), now)
        else {
            tracing::info!(%ticket, "nobody is asked: the contact has closed every channel");
            return Ok(());
        };
        if store::invitation::insert(conn, &invitation).await? {
            let change = change("survey.Invite", None, &invitation);
            self.record(conn, by, now, vec![change]).await?;
        }
        Ok(())
    }

    /// Asks whom a ticket turns out to be of (T-01, S-02). An open invitation goes to that one under a link of its own, and the one
    /// that was sent works no more; a contact that has closed every channel is not asked. Where nobody was asked because the
    /// wrong one did not want it, the right one is, if the verdict is still waited for: `(waits, at)`. What was answered stays.
    pub(crate) async fn redirect(
        &self,
        conn: &mut PgConnection,
        by: &Provenance,
        org_unit: OrgUnit,
        matter: Matter,
        (waits, at): (bool, Timestamp),
    ) -> Result<(), Error> {
        // Locked before the invitations, as by whoever invites.
        let contact = match matter.customer.zip(matter.contact) {
            Some((customer, contact)) => Some(store::contact::hold(conn, contact, customer).await?),
            None => None,
        };
        let open =
            store::invitation::lock_open_of_ticket(conn, matter.ticket, matter.cycle).await?;
        let now = self.now();
        let (mut stale, mut changes) = (Vec::new(), Vec::new());
        for before in open {
            let after = before.redirect(&matter, now);
            match after {
                Some(after) if contact.as_ref().is_none_or(Contact::may_be_asked) => {
                    store::invitation::redirect(conn, &after).await?;
                    changes.push((before, after));
                }
                Some(_) => stale.push(before),
                None => {}
            }
        }
        let changes = changes.iter().map(|(before, after)| redirected(before, after));
        self.record(conn, by, now, changes.collect()).await?;
        self.end(conn, by, stale, Revocation::DoNotContact).await?;
        if waits { self.invite(conn, by, org_unit, matter, at).await } else { Ok(()) }
    }

    /// Takes back what still asks about a ticket's cycles up to `cycle`.
    pub(crate) async fn take_back(
        &self,
        conn: &mut PgConnection,
        by: &Provenance,
        ticket: Uuid,
        cycle: i32,
        why: Revocation,
    ) -> Result<(), Error> {
        let open = store::invitation::lock_open_of_ticket(conn, ticket, cycle).await?;
        self.end(conn, by, open, why).await
    }

    /// Keeps how a contact may be reached. One that has closed every channel is not asked any more (S-03).
    pub(crate) async fn learn_contact(
        &self,
        conn: &mut PgConnection,
        by: &Provenance,
        customer: Uuid,
        id: Uuid,
        contact: &Contact,
        revision: i64,
    ) -> Result<(), Error> {
        let news = store::contact::upsert(conn, id, customer, contact, revision).await?;
        if !news || contact.may_be_asked() {
            return Ok(());
        }
        let open = store::invitation::lock_open_of_contact(conn, id).await?;
        self.end(conn, by, open, Revocation::DoNotContact).await
    }

    /// Ends those: they expire if their time was over anyway.
    async fn end(
        &self,
        conn: &mut PgConnection,
        by: &Provenance,
        open: Vec<Invitation>,
        why: Revocation,
    ) -> Result<(), Error> {
        let now = self.now();
        for before in open {
            let ended = before.revoke(why, now).ok().or_else(|| before.expire(now));
            let Some(ended) = ended else { continue };
            store::invitation::update(conn, &ended).await?;
            let change = change("survey.End", Some(&before), &ended);
            self.record(conn, by, now, vec![change]).await?;
        }
        Ok(())
    }
}
