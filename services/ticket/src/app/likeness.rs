//! Likely duplicates (T-04): a bounded number of candidates by index, then how likely each of them is.

use kefu_identity::{Caller, OrgUnit};
use uuid::Uuid;

use super::ticket::not_found;
use super::{App, Error};
use crate::domain::{
    Likely, LinkRules, Matter, State, Ticket, first_words, most_likely, scope_token,
};
use crate::store;

/// Of what duplicates are looked for.
#[derive(Clone, Debug)]
pub enum Asked {
    /// A ticket.
    Ticket(Uuid),
    /// One that is not registered: what is compared, and the first words to look for.
    Draft(Matter, Vec<i32>),
}

impl App {
    /// The tickets at and below an org unit that are likely about the same matter, most likely first.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], [`Error::PolicyMissing`] where nothing says what a duplicate is.
    pub(crate) async fn list_likely_duplicates(
        &self,
        caller: &Caller,
        org_unit: &OrgUnit,
        asked: Asked,
    ) -> Result<Vec<(Ticket, Likely)>, Error> {
        self.allow(caller, "ticket.ListLikelyDuplicates", org_unit)?;
        match asked {
            Asked::Draft(matter, words) => {
                self.policies.refresh().await?;
                let (_, version) = self.policy_in_force(org_unit, self.now()).await?;
                self.candidates(org_unit, (&matter, &words), None, version.policy.links()).await
            }
            Asked::Ticket(id) => {
                let mut conn = self.read().await?;
                let row = store::ticket::find(&mut conn, id).await?.ok_or_else(|| not_found(id))?;
                let receiving = row.receiving_unit();
                self.allow_seen(caller, "ticket.ListLikelyDuplicates", &row.org_unit, receiving)?;
                let (ticket, version) = self.judged(&mut conn, row).await?;
                drop(conn);
                let details = &ticket.details;
                let words = first_words(&details.subject, &details.description);
                let matter = Matter::of(&ticket);
                let rules = version.policy.links();
                self.candidates(org_unit, (&matter, &words), Some(id), rules).await
            }
        }
    }

    async fn candidates(
        &self,
        org_unit: &OrgUnit,
        (matter, words): (&Matter, &[i32]),
        itself: Option<Uuid>,
        rules: &LinkRules,
    ) -> Result<Vec<(Ticket, Likely)>, Error> {
        let mut conn = self.read().await?;
        let unit = org_unit.as_str();
        let mut ids = store::likeness::by_words(&mut conn, scope_token(unit), words).await?;
        if let Some(customer) = matter.customer {
            let window = matter.window(rules);
            ids.extend(store::likeness::of_customer(&mut conn, unit, customer, window).await?);
        }
        ids.sort_unstable();
        ids.dedup();
        ids.retain(|id| Some(*id) != itself);
        let found = self.tickets_within(&mut conn, org_unit, &ids).await?;
        drop(conn);
        let gone =
            |ticket: &Ticket| matches!(ticket.state, State::Cancelled { .. } | State::Merged(_));
        let candidates = found.into_values().filter(|ticket| !gone(ticket)).collect();
        Ok(most_likely(matter, candidates, rules))
    }
}
