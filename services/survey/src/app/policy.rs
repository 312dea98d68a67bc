//! Survey policies and where they apply.

use std::sync::Arc;

use jiff::Timestamp;
use kefu_api::survey::v1 as pb;
use kefu_identity::{Caller, OrgUnit};
use kefu_policy::{NewVersion, Version, effective_time, to_json};
use kefu_rpc::Violations;
use sqlx::PgConnection;

use super::{App, Call, Change, Error};
use crate::{
    domain::{invitation::Invitation, policy::SurveyPolicy},
    encode::policy as encode,
};

impl App {
    /// Attaches a new version to an org unit from `effective_at` on, by default from now on. The message has been decoded
    /// without a fault.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a time in the past, [`Error::OrgUnitUnknown`], [`Error::CustomerUnavailable`] and those that
    /// every command has.
    pub async fn apply_survey_policy(
        &self,
        call: &Call,
        org_unit: OrgUnit,
        policy: &pb::SurveyPolicy,
        effective_at: Option<Timestamp>,
    ) -> Result<pb::SurveyPolicyVersion, Error> {
        const ACTION: &str = "survey.ApplySurveyPolicy";
        self.allow(&call.caller, ACTION, &org_unit)?;
        // Before the transaction: it may have to ask the customer context.
        self.org_units.require(&org_unit, call.deadline).await?;
        let mut work = self.begin(call).await?;
        if let Some(answer) = work.replay().await? {
            return Ok(answer);
        }
        let place = self.policies.place(work.conn()).await?;
        let now = work.now();
        let mut violations = Violations::new();
        let effective_at = violations.take("effective_time", effective_time(effective_at, now));
        let Some(effective_at) = effective_at else { return Err(Error::Invalid(violations)) };
        let new = NewVersion {
            id: self.ids.uuid(),
            org_unit: &org_unit,
            effective_at,
            message: policy,
            created_at: now,
            created_by: call.caller.subject(),
        };
        let version = self.policies.apply(work.conn(), place, new).await?;
        let answer = encode::resource(&version);
        let after = to_json(&answer).map_err(|error| Error::Defect(error.to_string()))?;
        work.record(vec![Change {
            aggregate_type: "survey_policy",
            aggregate_id: version.id,
            revision: 1,
            action: ACTION,
            org_unit: &org_unit,
            customer_id: None,
            before: None,
            after: Some(after),
            event: None,
        }])
        .await?;
        work.commit(answer).await
    }

    /// The version in force for an org unit, its own or the nearest one above.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::PolicyMissing`].
    pub async fn effective_survey_policy(
        &self,
        caller: &Caller,
        org_unit: OrgUnit,
        at: Timestamp,
    ) -> Result<pb::SurveyPolicyVersion, Error> {
        self.allow(caller, "survey.GetEffectiveSurveyPolicy", &org_unit)?;
        let mut conn = self.read().await?;
        let policies = self.policies.current(&mut conn).await?;
        let version = policies.effective(&org_unit, at);
        version.map(|version| encode::resource(version)).ok_or(Error::PolicyMissing(org_unit))
    }

    /// The version by which an invitation was made, whatever is in force now.
    pub(crate) async fn policy_of(
        &self,
        conn: &mut PgConnection,
        invitation: &Invitation,
    ) -> Result<Arc<Version<SurveyPolicy>>, Error> {
        let policies = self.policies.current(conn).await?;
        let version = policies.version(invitation.policy_version).map(Arc::clone);
        version.ok_or_else(|| Error::Defect("an invitation's policy version is gone".to_owned()))
    }
}
