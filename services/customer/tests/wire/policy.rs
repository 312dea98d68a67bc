//! customer policies and where they apply.

use kefu_api::customer::v1::{
    ApplyCustomerPolicyRequest, CustomerPolicyVersion, GetEffectiveCustomerPolicyRequest,
};
use kefu_identity::role;
use kefu_rpc::to_proto_timestamp;
use tonic::Code;

use crate::world::{Desk, World, ladder, reason, request_id, violations};

fn at(text: &str) -> Option<prost_types::Timestamp> {
    Some(to_proto_timestamp(text.parse().unwrap()))
}

impl Desk {
    async fn effective(&mut self, org_unit: &str, time: &str) -> Option<CustomerPolicyVersion> {
        let time = if time.is_empty() { None } else { at(time) };
        let request = GetEffectiveCustomerPolicyRequest { org_unit: org_unit.into(), time };
        match self.policies.get_effective_customer_policy(request).await {
            Ok(found) => Some(found.into_inner()),
            Err(status) => {
                assert_eq!(reason(&status), "POLICY_MISSING");
                None
            }
        }
    }
}

#[tokio::test]
async fn x10_a_policy_applies_from_its_date_and_is_inherited_at_every_replica() {
    let mut world = World::new().await;
    world.start_replica().await;
    let mut admin = world.admin();
    let mut reader = world.desk_at(1, "reader", "group", role::CLERK);
    assert_eq!(reader.effective("group/north", "").await, None);
    admin.apply_ladder("group", &["vip"]).await;
    let request = ApplyCustomerPolicyRequest {
        org_unit: "group/north".into(),
        policy: Some(ladder(&["a", "b"])),
        effective_time: at("2026-06-01T00:00:00+08:00"),
        request_id: request_id(1),
    };
    let applied = admin.policies.apply_customer_policy(request.clone()).await.unwrap().into_inner();
    assert_eq!((applied.version, &applied.policy), (1, &Some(ladder(&["a", "b"]))));
    let retried = admin.policies.apply_customer_policy(request).await.unwrap().into_inner();
    assert_eq!(retried, applied);

    let north = "group/north/riverside";
    assert_eq!(reader.effective(north, "").await.unwrap().policy, Some(ladder(&["vip"])));
    let before = reader.effective(north, "2026-05-31T23:59:59+08:00").await.unwrap();
    assert_eq!(before.org_unit, "group");
    assert_eq!(reader.effective(north, "2026-06-01T00:00:00+08:00").await.unwrap(), applied);
    assert_eq!(reader.effective("group/south", "2026-07-01T00:00:00Z").await.unwrap(), before);
}

#[tokio::test]
async fn x10_a_new_version_does_not_reach_into_the_past() {
    let world = World::new().await;
    let mut admin = world.admin();
    let request = ApplyCustomerPolicyRequest {
        org_unit: "group".into(),
        policy: Some(ladder(&["vip", "vip"])),
        effective_time: at("2026-03-02T01:59:59Z"),
        request_id: String::new(),
    };
    let status = admin.policies.apply_customer_policy(request).await.unwrap_err();
    assert_eq!(violations(&status), ["policy.grades[1].code", "effective_time"]);
    let request = ApplyCustomerPolicyRequest {
        org_unit: "group/nowhere".into(),
        policy: Some(ladder(&["vip"])),
        ..ApplyCustomerPolicyRequest::default()
    };
    let status = admin.policies.apply_customer_policy(request).await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status)),
        (Code::FailedPrecondition, "ORG_UNIT_UNKNOWN".into())
    );
}
