//! Customer policies and where they apply.

use jiff::Timestamp;
use kefu_api::customer::v1 as pb;
use kefu_identity::{Caller, OrgUnit};
use kefu_policy::{NewVersion, effective_time, to_json};
use kefu_rpc::Violations;

use super::{App, Call, Change, Error};
use crate::{encode::policy as encode, store};

impl App {
    /// Attaches a new version to an org unit from `effective_at` on, by default from now on. The message has been decoded
    /// without a fault.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a time in the past, [`Error::OrgUnitUnknown`] and those that every command has.
    pub async fn apply_customer_policy(
        &self,
        call: &Call,
        org_unit: OrgUnit,
        policy: &pb::CustomerPolicy,
        effective_at: Option<Timestamp>,
    ) -> Result<pb::CustomerPolicyVersion, Error> {
        const ACTION: &str = "customer.ApplyCustomerPolicy";
        self.allow(&call.caller, ACTION, &org_unit)?;
        let mut work = self.begin(call).await?;
        if let Some(answer) = work.replay().await? {
            return Ok(answer);
        }
        let place = self.policies.place(work.conn()).await?;
        let now = work.now();
        let mut violations = Violations::new();
        let effective_at = violations.take("effective_time", effective_time(effective_at, now));
        let Some(effective_at) = effective_at else { return Err(Error::Invalid(violations)) };
        if !store::org_unit::exists(work.conn(), &org_unit).await? {
            return Err(Error::OrgUnitUnknown(org_unit));
        }
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
            aggregate_type: "customer_policy",
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
    pub async fn effective_customer_policy(
        &self,
        caller: &Caller,
        org_unit: OrgUnit,
        at: Timestamp,
    ) -> Result<pb::CustomerPolicyVersion, Error> {
        self.allow(caller, "customer.GetEffectiveCustomerPolicy", &org_unit)?;
        let mut conn = self.read().await?;
        let policies = self.policies.current(&mut conn).await?;
        let version = policies.effective(&org_unit, at);
        version.map(|version| encode::resource(version)).ok_or(Error::PolicyMissing(org_unit))
    }
}
