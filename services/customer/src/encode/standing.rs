//! Standings as others see them.

use kefu_api::customer::v1 as pb;
use kefu_journal::PublicEvent;
use kefu_rpc::to_proto_timestamp;

use super::{customer, policy};
use crate::domain::standing::Standing;

/// The resource.
pub fn resource(standing: &Standing) -> pb::Standing {
    pb::Standing {
        name: format!("{}/standings/{}", customer::name(standing.customer_id), standing.id),
        department: standing.department.to_string(),
        product_line: standing.product_line.clone(),
        grade: standing.rating.grade.clone(),
        reason: standing.rating.reason.clone(),
        grade_time: Some(to_proto_timestamp(standing.graded_at)),
        create_time: Some(to_proto_timestamp(standing.created_at)),
        update_time: Some(to_proto_timestamp(standing.updated_at)),
        etag: super::etag(standing.revision),
        policy_version: policy::name(standing.rating.policy_version),
    }
}

/// What the other contexts learn of it.
pub fn event(standing: &Standing) -> PublicEvent {
    PublicEvent::of(&pb::StandingChanged {
        customer: customer::name(standing.customer_id),
        department: standing.department.to_string(),
        product_line: standing.product_line.clone(),
        grade: standing.rating.grade.clone(),
    })
}
