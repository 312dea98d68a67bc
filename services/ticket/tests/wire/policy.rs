//! policies.

use kefu_api::ticket::v1 as pb;

use crate::pack::{hours, policy};
use crate::world::{World, at, reason, request_id, violations};

#[tokio::test]
async fn x06_every_fault_of_a_policy_is_named_with_its_path() {
    let world = World::new().await;
    let mut wrong = policy();
    wrong.code = "No Code".into();
    wrong.title = None;
    if let Some(calendar) = &mut wrong.calendar {
        calendar.time_zone = "Mars/Olympus".into();
        calendar.weekly_hours[0].intervals[0].open_time = "25:00".into();
    }
    wrong.clocks[0].target = hours(0);
    wrong.clocks[1].kind = 77;
    wrong.clocks[2].name = "first-response".into();
    wrong.clocks[3].breach_violation = "unknown".into();
    wrong.levels[1].level = 7;
    wrong.grade_priorities[0].priority = 0;
    let error = world.admin().apply("group", wrong).await.unwrap_err();
    let mut found = violations(&error);
    found.sort();
    let expected = [
        "policy.calendar.time_zone",
        "policy.calendar.weekly_hours[0].intervals[0].open_time",
        "policy.clocks[0].target.elapsed",
        "policy.clocks[1].kind",
        "policy.clocks[2].name",
        "policy.clocks[3].breach_violation",
        "policy.code",
        "policy.grade_priorities[0].priority",
        "policy.levels[1].level",
        "policy.title",
    ];
    assert_eq!(found, expected);
}

#[tokio::test]
async fn x10_a_policy_is_inherited_downwards_and_applies_from_its_time() {
    let world = World::new().await;
    let mut admin = world.admin();
    let request = pb::ApplyTicketPolicyRequest {
        org_unit: "group/north".into(),
        policy: Some(policy()),
        effective_time: at("2026-04-01T00:00:00Z"),
        request_id: request_id(1),
    };
    let later = admin.policies.apply_ticket_policy(request.clone()).await.unwrap().into_inner();
    let ask = |time| pb::GetEffectiveTicketPolicyRequest {
        org_unit: "group/north/riverside".into(),
        time,
    };
    let now = admin.policies.get_effective_ticket_policy(ask(None)).await.unwrap().into_inner();
    assert_eq!(now.org_unit, "group");
    let then = admin.policies.get_effective_ticket_policy(ask(at("2026-04-01T00:00:00Z"))).await;
    let then = then.unwrap().into_inner();
    assert_eq!((&then.name, &*then.org_unit), (&later.name, "group/north"));
    assert_eq!(then.policy, Some(policy()), "as it was applied");
    let get = pb::GetTicketPolicyVersionRequest { name: later.name.clone() };
    assert_eq!(admin.policies.get_ticket_policy_version(get).await.unwrap().into_inner(), then);
    let past = pb::ApplyTicketPolicyRequest {
        effective_time: at("2026-03-01T00:00:00Z"),
        request_id: String::new(),
        ..request.clone()
    };
    let error = admin.policies.apply_ticket_policy(past).await.unwrap_err();
    assert_eq!(violations(&error), ["effective_time"]);
    // Who did not hear the answer may ask again after the time has come.
    world.set_time("2026-04-01T00:00:01Z").await;
    let again = admin.policies.apply_ticket_policy(request).await.unwrap().into_inner();
    assert_eq!(again, later);
    let ask = pb::GetEffectiveTicketPolicyRequest {
        org_unit: "group".into(),
        time: at("2020-01-01T00:00:00Z"),
    };
    let error = admin.policies.get_effective_ticket_policy(ask).await.unwrap_err();
    assert_eq!(reason(&error), "POLICY_MISSING");
}

/// Each would be a fault of its own, were they looked at one by one.
#[tokio::test]
async fn x08_a_list_inside_a_clock_is_refused_by_its_length() {
    let world = World::new().await;
    let mut long = policy();
    long.clocks[1].channels = vec![99; 300_000];
    let request = pb::ApplyTicketPolicyRequest {
        org_unit: "group".into(),
        policy: Some(long),
        ..Default::default()
    };
    let error = world.admin().policies.apply_ticket_policy(request).await.unwrap_err();
    assert_eq!(violations(&error), ["policy.clocks[1].channels"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x10_what_is_applied_later_does_not_apply_earlier() {
    let world = World::new().await;
    // Somebody else is applying a policy.
    let mut other = kefu_postgres::begin(&world.pool).await.unwrap();
    sqlx::query("UPDATE policy_head SET seq = seq").execute(&mut *other).await.unwrap();
    let mut admin = world.admin();
    let applying = tokio::spawn(async move { admin.apply("group", policy()).await });
    let waits = "SELECT count(*) FROM pg_stat_activity
                 WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let mut looks = 0;
    while world.count(waits).await == 0 {
        looks += 1;
        assert!(looks < 60_000, "nobody waits for the one who is applying a policy");
    }
    world.clock.set("2026-03-05T00:00:00Z".parse().unwrap()).unwrap();
    other.commit().await.unwrap();
    let version = applying.await.unwrap().unwrap();
    assert_eq!(version.effective_time, at("2026-03-05T00:00:00Z"));
    assert_eq!(version.create_time, version.effective_time);
}
