//! Registering a ticket (T-01, T-02): the hot path.
//!
//! What it needs is in memory: policies, org units, the customer's standings. Its statement checks that memory was not
//! stale; if it was, nothing has happened and it is tried again with what is true now.

use std::sync::Arc;

use jiff::Timestamp;
use kefu_api::ticket::v1 as pb;
use kefu_identity::OrgUnit;
use kefu_journal::requests::{self, Claim};
use kefu_policy::Version;
use kefu_rpc::Deadline;
use prost::Message as _;
use uuid::Uuid;

use super::customer::KnownCustomer;
use super::work::decode_answer;
use super::{App, Call, Error, audit, product_hold};
use crate::domain::{
    Actor, Amount, Channel, Complainant, Details, Identity, Intake, Policy, Severity, TicketKind,
    register,
};
use crate::encode::{event, ticket as encode};
use crate::store;
use crate::store::registration::{Given, NewTicket};

/// How often a registration is tried before its caller is asked to try again.
const ATTEMPTS: usize = 8;

/// What was said at intake.
#[derive(Clone, Debug)]
pub struct NewRegistration {
    /// The org unit that answers for it.
    pub org_unit: OrgUnit,
    /// What kind of matter.
    pub kind: TicketKind,
    /// How it came in.
    pub channel: Channel,
    /// Who complains.
    pub complainant: Complainant,
    /// How much it weighs.
    pub severity: Severity,
    /// When it happened, if not now.
    pub occurred_at: Option<Timestamp>,
    /// What was noted down.
    pub details: Details,
    /// What it is about in money.
    pub amount: Option<Amount>,
    /// What whoever complains is to the company.
    pub complainant_type: Option<String>,
}

impl App {
    /// Registers a ticket at once, whoever takes the call.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::OrgUnitUnknown`], [`Error::PolicyMissing`], [`Error::Invalid`] for an unknown customer
    /// or contact, [`Error::CustomerUnavailable`], [`Error::RequestIdReused`], [`Error::Overloaded`].
    pub async fn create_ticket(
        &self,
        call: &Call,
        new: NewRegistration,
    ) -> Result<pb::Ticket, Error> {
        let allowed = self.allow(&call.caller, "ticket.CreateTicket", &new.org_unit);
        let known = match allowed {
            Ok(()) => self.require_places(&new, call.deadline).await,
            denied => denied,
        };
        if let Err(lacking) = known {
            // A retry needs neither the right nor the neighbour any more.
            return self.answered_first(call).await?.ok_or(lacking);
        }
        for _ in 0..ATTEMPTS {
            let now = self.now();
            let (policy_seq, version) = self.policy_in_force(&new.org_unit, now).await?;
            let prepared = self.prepare(call, &new, policy_seq, &version, now).await;
            // Nobody is refused by a policy that is in force no more; what is accepted, the statement compares itself.
            if matches!(&prepared, Err(Error::Refused(_) | Error::Invalid(..)))
                && self.policies.refresh().await?.seq() != policy_seq
            {
                continue;
            }
            let (entry, answer) = prepared?;
            let year = entry.year;
            if let Some(given) = self.intake.register(entry).await? {
                return Ok(with(answer, given));
            }
            if let Some(answer) = self.first_answer(call).await? {
                return Ok(answer);
            }
            self.learn(&new, year).await?;
        }
        Err(Error::Conflict)
    }

    /// Passes if its org unit and its contact are known.
    pub(super) async fn require_places(
        &self,
        new: &NewRegistration,
        deadline: Deadline,
    ) -> Result<(), Error> {
        self.org_units.require(&new.org_unit, deadline).await?;
        if let Complainant::Customer { customer, contact: Some(contact) } = new.complainant {
            self.customers.get(customer, deadline).await?;
            self.customers.require_contact(customer, contact, deadline).await?;
        }
        Ok(())
    }

    /// The policy in force, and up to which version the policies are known.
    pub(super) async fn policy_in_force(
        &self,
        org_unit: &OrgUnit,
        now: Timestamp,
    ) -> Result<(i64, Arc<Version<Policy>>), Error> {
        let known = self.policies.snapshot();
        if let Some(version) = known.effective(org_unit, now) {
            return Ok((known.seq(), version.clone()));
        }
        // There may be one that is not known yet; only "none" must not be said out of ignorance.
        let known = self.policies.refresh().await?;
        match known.effective(org_unit, now) {
            Some(version) => Ok((known.seq(), version.clone())),
            None => Err(Error::PolicyMissing(org_unit.clone())),
        }
    }

    /// What was said, with what is known of the customer beside.
    pub(super) async fn intake_of(
        &self,
        new: &NewRegistration,
        policy: &Policy,
        deadline: Deadline,
        now: Timestamp,
    ) -> Result<(Intake, Option<Arc<KnownCustomer>>), Error> {
        let customer = match new.complainant {
            Complainant::Customer { customer, .. } => {
                Some(self.customers.get(customer, deadline).await?)
            }
            _ => None,
        };
        let grade = customer
            .as_ref()
            .and_then(|customer| customer.grade(&new.org_unit, &new.details.product));
        let intake = Intake {
            org_unit: new.org_unit.to_string(),
            kind: new.kind,
            channel: new.channel,
            complainant: new.complainant.clone(),
            severity: new.severity,
            occurred_at: new.occurred_at,
            details: new.details.clone(),
            grade: grade.map(ToOwned::to_owned),
            amount: new.amount.clone(),
            complainant_type: new.complainant_type.clone(),
            last_complaint_at: self.last_complaint(new, policy, now).await?,
        };
        Ok((intake, customer))
    }

    /// The ticket and everything that goes with it, but for the number; and the answer, which lacks only that.
    async fn prepare(
        &self,
        call: &Call,
        new: &NewRegistration,
        policy_seq: i64,
        version: &Version<Policy>,
        now: Timestamp,
    ) -> Result<(NewTicket, pb::Ticket), Error> {
        let policy = &version.policy;
        let (intake, customer) = self.intake_of(new, policy, call.deadline, now).await?;
        let identity =
            Identity { id: self.ids.uuid(), number: String::new(), policy_version: version.id };
        let actor = Actor::staff(call.caller.subject());
        let registered = register(intake, identity, &version.policy, &actor, now)?;
        let ticket = registered.ticket;
        let answer = encode::resource(&ticket);
        let after =
            audit::registered(&ticket).map_err(|error| Error::Defect(format!("audit: {error}")))?;
        let mut entry = NewTicket {
            routed: registered.routed,
            year: now.to_zoned(version.policy.calendar().time_zone().clone()).year(),
            policy_seq,
            customer_stamp: customer.map(|customer| customer.stamp),
            fingerprint: call
                .request
                .as_ref()
                .map(|request| request.fingerprint)
                .unwrap_or_default(),
            response: answer.encode_to_vec(),
            event_id: self.ids.uuid(),
            event: event::registered(&ticket).payload,
            after,
            by: call.by.clone(),
            hold: product_hold::required(&self.ids, &ticket, &version.policy, now).map(Box::new),
            ticket,
        };
        // The statement claims an id for every entry, so a caller who gave none gets one that nobody else has.
        if entry.by.request_id.is_empty() {
            entry.by.request_id = self.ids.uuid().to_string();
        }
        Ok((entry, answer))
    }

    /// The answer that this request got before. It was stored without what the statement gave, which is on record.
    async fn first_answer(&self, call: &Call) -> Result<Option<pb::Ticket>, Error> {
        let Some(key) = call.key() else { return Ok(None) };
        let mut conn = self.read().await?;
        match requests::lookup(&mut conn, &key).await? {
            Claim::New => Ok(None),
            Claim::Mismatch => {
                Err(Error::RequestIdReused { request_id: key.request_id.to_owned() })
            }
            Claim::Replay(answer) => {
                let answer: pb::Ticket = decode_answer(&answer)?;
                let id =
                    answer.name.strip_prefix("tickets/").and_then(|id| Uuid::try_parse(id).ok());
                let id =
                    id.ok_or_else(|| Error::Defect("a stored answer without a name".into()))?;
                let given = store::routing::given(&mut conn, id).await?;
                Ok(Some(given.map_or(answer.clone(), |given| with(answer, given))))
            }
        }
    }

    /// The same for whoever may not or cannot register this now: that the id stands for something else is no news to him.
    async fn answered_first(&self, call: &Call) -> Result<Option<pb::Ticket>, Error> {
        match self.first_answer(call).await {
            Err(Error::RequestIdReused { .. }) => Ok(None),
            answer => answer,
        }
    }

    /// When the customer last complained of the same matter, where the policy asks.
    async fn last_complaint(
        &self,
        new: &NewRegistration,
        policy: &Policy,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, Error> {
        let Complainant::Customer { customer, .. } = new.complainant else { return Ok(None) };
        let Some(days) = policy.routing().repeat_days() else { return Ok(None) };
        let details = &new.details;
        if details.category.is_empty() && details.product.is_empty() {
            return Ok(None);
        }
        let since = now.checked_sub(jiff::SignedDuration::from_hours(days.saturating_mul(24)));
        let since = since.unwrap_or(Timestamp::MIN);
        let matter = (details.category.as_str(), details.product.as_str());
        let mut conn = self.read().await?;
        Ok(store::routing::last_complaint(&mut conn, customer, matter, since).await?)
    }

    /// Finds out what was stale or missing.
    async fn learn(&self, new: &NewRegistration, year: i16) -> Result<(), Error> {
        if let Complainant::Customer { customer, .. } = new.complainant {
            self.customers.forget(customer);
        }
        self.policies.refresh().await?;
        Ok(store::number::ensure_counter(&self.pool, &new.org_unit, year).await?)
    }
}

/// The answer with what the statement gave.
fn with(mut answer: pb::Ticket, given: Given) -> pb::Ticket {
    answer.number = given.number;
    answer.team = given.team.map(crate::encode::team::name).unwrap_or_default();
    answer.owner = given.owner.unwrap_or_default();
    answer
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    #[test]
    fn t01_the_new_year_begins_at_the_org_units_midnight() {
        let at: jiff::Timestamp = "2025-12-31T16:30:00Z".parse().unwrap();
        let year = |zone: &str| at.to_zoned(TimeZone::get(zone).unwrap()).year();
        assert_eq!((year("Asia/Shanghai"), year("Europe/Berlin")), (2026, 2025));
    }
}
