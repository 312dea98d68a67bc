//! Ticket policies and where they apply.

use jiff::Timestamp;
use kefu_api::ticket::v1 as pb;
use kefu_identity::{Caller, OrgUnit};
use kefu_journal::Entry;
use kefu_policy::{NewVersion, effective_time, to_json};
use uuid::Uuid;

use super::{App, Call, Error};
use crate::domain::{Fault, Given, Refusal};
use crate::encode::policy as encode;
use crate::store;

impl App {
    /// Attaches a new version to an org unit from `effective_at` on, which the caller of this has checked not to be in
    /// the past. The message has been decoded without a fault.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::OrgUnitUnknown`], [`Error::RequestIdReused`].
    pub async fn apply_ticket_policy(
        &self,
        call: &Call,
        org_unit: OrgUnit,
        policy: &pb::TicketPolicy,
        effective_at: Option<Timestamp>,
    ) -> Result<pb::TicketPolicyVersion, Error> {
        if let Err(lacking) = self.allow_in(call, "ticket.ApplyTicketPolicy", &org_unit).await {
            return self.or_answered(call, lacking).await;
        }
        let mut work = self.begin(call).await?;
        if let Some(answer) = work.replay().await? {
            return Ok(answer);
        }
        self.require_teams(work.conn(), &org_unit, policy).await?;
        let place = self.policies.place(work.conn()).await?;
        let now = work.now();
        let effective_at = effective_time(effective_at, now)
            .map_err(|fault| Error::Invalid("effective_time", fault))?;
        let new = NewVersion {
            id: self.ids.uuid(),
            org_unit: &org_unit,
            effective_at,
            message: policy,
            created_at: now,
            created_by: call.caller.subject(),
        };
        let version = self.policies.apply(work.conn(), place, new).await?;
        if version.policy.clock_changes().open_tickets == Given::Recompute {
            store::policy_rollout::insert(work.conn(), &version).await?;
        }
        let answer = encode::resource(&version);
        let after = to_json(&answer).map_err(|error| Error::Defect(error.to_string()))?;
        let entry = Entry {
            by: &call.by,
            event_id: self.ids.uuid(),
            occurred_at: now,
            aggregate_type: "ticket_policy",
            aggregate_id: version.id,
            revision: 1,
            action: "ApplyTicketPolicy",
            org_unit: org_unit.as_str(),
            customer_id: None,
            before: None,
            after: Some(after),
            event: None,
        };
        kefu_journal::append(work.conn(), &[entry]).await?;
        work.commit(answer).await
    }

    /// Passes if each team that a rule names exists where the policy is for; names every rule of which it does not.
    async fn require_teams(
        &self,
        conn: &mut sqlx::PgConnection,
        org_unit: &OrgUnit,
        policy: &pb::TicketPolicy,
    ) -> Result<(), Error> {
        let rules = policy.routing_rules.iter().enumerate();
        let rules =
            rules.map(|(index, rule)| (format!("routing_rules[{index}].team"), &*rule.team));
        let triggers = policy.triggers.iter().enumerate();
        let triggers = triggers
            .flat_map(|(index, one)| assigned(format!("triggers[{index}].then"), &one.then));
        let asked = policy.triggers.iter().enumerate().flat_map(|(index, one)| {
            let teams = one.r#if.iter().flat_map(|condition| &condition.teams).enumerate();
            teams
                .map(move |(place, team)| (format!("triggers[{index}].if.teams[{place}]"), &**team))
        });
        let macros = policy.macros.iter().enumerate();
        let macros =
            macros.flat_map(|(index, one)| assigned(format!("macros[{index}].steps"), &one.steps));
        let named: Vec<(String, &str)> = rules
            .chain(triggers)
            .chain(asked)
            .chain(macros)
            .filter(|(_, code)| !code.is_empty())
            .collect();
        if named.is_empty() {
            return Ok(());
        }
        let codes: Vec<&str> = named.iter().map(|(_, code)| *code).collect();
        let unknown = store::team::unknown_codes(conn, &codes, org_unit.as_str()).await?;
        let faults: Vec<Fault> = named
            .into_iter()
            .filter(|(_, code)| unknown.iter().any(|unknown| unknown == code))
            .map(|(path, _)| {
                let path = format!("policy.{path}");
                let words = (
                    format!("is the code of no team in use above, at or below {org_unit}"),
                    format!("{org_unit} 及其上下级没有此代码的团队"),
                );
                Fault { reason: "UNKNOWN_TEAM", ..Fault::new(path, words) }
            })
            .collect();
        if faults.is_empty() { Ok(()) } else { Err(Refusal::Fields(faults).into()) }
    }

    /// One version.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub async fn ticket_policy_version(
        &self,
        caller: &Caller,
        id: Uuid,
    ) -> Result<pb::TicketPolicyVersion, Error> {
        let mut conn = self.read().await?;
        let version = self.version(&mut conn, id).await?.ok_or_else(|| Error::NotFound {
            kind: "kefu.dev/TicketPolicyVersion",
            name: encode::name(id),
        })?;
        self.allow(caller, "ticket.GetTicketPolicyVersion", &version.org_unit)?;
        Ok(encode::resource(&version))
    }

    /// The version in force for an org unit, its own or the nearest one above.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::PolicyMissing`].
    pub async fn effective_ticket_policy(
        &self,
        caller: &Caller,
        org_unit: OrgUnit,
        at: Option<Timestamp>,
    ) -> Result<pb::TicketPolicyVersion, Error> {
        self.allow(caller, "ticket.GetEffectiveTicketPolicy", &org_unit)?;
        let policies = self.policies.refresh().await?;
        let version = policies.effective(&org_unit, at.unwrap_or_else(|| self.now()));
        version.map(|version| encode::resource(version)).ok_or(Error::PolicyMissing(org_unit))
    }
}

/// The teams to which steps give a ticket, with their paths.
fn assigned(path: String, steps: &[pb::AutomationStep]) -> impl Iterator<Item = (String, &str)> {
    steps.iter().enumerate().filter_map(move |(index, step)| match &step.step {
        Some(pb::automation_step::Step::Assign(to)) => {
            Some((format!("{path}[{index}].assign.team"), to.team.as_str()))
        }
        _ => None,
    })
}
