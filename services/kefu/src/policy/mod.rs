//! Policy packs: a regulation as a file, checked and applied.

mod pack;
mod walk;

use anyhow::Context as _;
use jiff::Timestamp;
use kefu_api::customer::v1::ApplyCustomerPolicyRequest;
use kefu_api::survey::v1::ApplySurveyPolicyRequest;
use kefu_api::ticket::v1::ApplyTicketPolicyRequest;
use kefu_identity::OrgUnit;
use uuid::Uuid;

pub use pack::{Fault, Faults, Pack};

use crate::client::{Client, failed};

/// Attaches every part of a pack to an org unit and names the versions that this made. `request_id` gives the id of each
/// call.
///
/// # Errors
/// The first refusal, with every fault by its path. Parts before it are applied.
pub async fn apply(
    client: &Client,
    pack: &Pack,
    org_unit: &OrgUnit,
    effective_at: Option<Timestamp>,
    mut request_id: impl FnMut(&str) -> Uuid,
) -> anyhow::Result<Vec<String>> {
    let effective_time = effective_at.map(kefu_rpc::to_proto_timestamp);
    let mut versions = Vec::new();
    // The ladder of grades first: what comes after may speak of grades.
    if let Some(policy) = &pack.customer {
        let request = ApplyCustomerPolicyRequest {
            org_unit: org_unit.to_string(),
            policy: Some(policy.clone()),
            effective_time,
            request_id: request_id("customer").to_string(),
        };
        let applied = client.customer_policies().apply_customer_policy(request).await;
        versions.push(applied.map_err(failed("the customer part"))?.into_inner().name);
    }
    if let Some(policy) = &pack.ticket {
        let request = ApplyTicketPolicyRequest {
            org_unit: org_unit.to_string(),
            policy: Some(policy.clone()),
            effective_time,
            request_id: request_id("ticket").to_string(),
        };
        let applied = client.ticket_policies().apply_ticket_policy(request).await;
        versions.push(applied.map_err(failed("the ticket part"))?.into_inner().name);
    }
    if let Some(policy) = &pack.survey {
        let request = ApplySurveyPolicyRequest {
            org_unit: org_unit.to_string(),
            policy: Some(policy.clone()),
            effective_time,
            request_id: request_id("survey").to_string(),
        };
        let applied = client.survey_policies().apply_survey_policy(request).await;
        versions.push(applied.map_err(failed("the survey part"))?.into_inner().name);
    }
    Ok(versions)
}

/// Reads a pack file.
///
/// # Errors
/// When it cannot be read, or every fault in it, one a line.
pub fn read(path: &std::path::Path) -> anyhow::Result<Pack> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    Pack::parse(&text).map_err(|faults| anyhow::anyhow!("{}:\n{faults}", path.display()))
}
