//! T-03, T-12, T-13: "the next level" is other people, where the policy's rules say who.

use kefu_api::ticket::v1 as pb;
use kefu_identity::role;

use crate::routing::{RECOUNT, explain, present, routed, team};
use crate::world::{Desk, World, complaint, violations};

/// The policy of the others with a rule before its rules: from the second level on it is the managers'.
fn by_level(team: &str) -> pb::TicketPolicy {
    let mut policy = routed(pb::Distribution::LeastLoad);
    let rule = pb::RoutingRule {
        name: "next-level".into(),
        receiver_levels: vec![2, 3],
        team: team.into(),
        distribution: pb::Distribution::LeastLoad.into(),
        ..Default::default()
    };
    policy.routing_rules.insert(0, rule);
    policy
}

/// A desk and its managers, everybody there.
async fn company(world: &World, policy: pb::TicketPolicy) -> [pb::Team; 2] {
    let mut manager = world.manager();
    let desk = team(&mut manager, "group", "desk", &["an", "dai"]).await;
    let managers = team(&mut manager, "group", "managers", &["ding", "fei"]).await;
    team(&mut manager, "group", "lifts", &["bo"]).await;
    team(&mut manager, "group", "attitude", &["zhou"]).await;
    present(world, &["an", "dai", "ding", "fei"], true).await;
    world.admin().apply("group", policy).await.unwrap();
    [desk, managers]
}

async fn escalate(desk: &mut Desk, name: &str) -> Result<pb::Ticket, tonic::Status> {
    let request = pb::EscalateTicketRequest {
        name: name.into(),
        reason: "超出权限".into(),
        ..Default::default()
    };
    desk.tickets.escalate_ticket(request).await.map(tonic::Response::into_inner)
}

#[tokio::test]
async fn t12_who_has_a_raised_ticket_is_whom_the_rule_on_its_level_names() {
    let world = World::new().await;
    let [desk, managers] = company(&world, by_level("managers")).await;
    let mut manager = world.manager();
    let ticket = world.clerk().create(complaint("group", "漏水")).await;
    assert_eq!((&ticket.team, ticket.receiver_level), (&desk.name, 1));
    let raised = escalate(&mut manager, &ticket.name).await.unwrap();
    assert_eq!((&raised.team, &*raised.owner), (&managers.name, "ding"));
    assert_eq!((raised.receiver_level, raised.escalations.len()), (2, 1));
    let step = explain(&mut manager, &raised).await.pop().unwrap();
    assert_eq!(
        (step.cause(), &*step.rule, &*step.actor),
        (pb::RoutingCause::Rerouted, "next-level", "system/routing")
    );
    assert_eq!(step.candidates.len(), 2);
    // At the next level the same rule decides for the same team: who has it keeps it.
    let top = escalate(&mut manager, &ticket.name).await.unwrap();
    assert_eq!((top.receiver_level, &top.owner), (3, &raised.owner));
    assert_eq!(explain(&mut manager, &top).await.len(), 2);
    assert_eq!(world.count(RECOUNT).await, 0, "loads are counts");
    // Why it was not theirs at first is on record, too.
    let looks = explain(&mut manager, &top).await.remove(0).looks;
    let look = looks.iter().find(|look| look.rule == "next-level").unwrap();
    assert_eq!(look.unmet, ["receiver_levels"]);
}

#[tokio::test]
async fn t03_a_ticket_that_starts_at_a_level_is_routed_by_it() {
    let world = World::new().await;
    let [_, managers] = company(&world, by_level("managers")).await;
    // By the severity that the criteria find, not by what was stated.
    let hurt = world.clerk().create(complaint("group", "有人受伤")).await;
    assert_eq!((hurt.severity, hurt.receiver_level, &hurt.team), (3, 2, &managers.name));
}

#[tokio::test]
async fn t13_t07_a_verdict_and_a_breach_raise_to_other_people_with_two_replicas() {
    let mut world = World::new().await;
    world.start_replica().await;
    let [_, managers] = company(&world, by_level("managers")).await;
    let judged = world.clerk().create(complaint("group", "漏水")).await;
    world.desk("handler", "group", role::HANDLER).handle(&judged.name).await;
    let reopened = world.quality().verdict(&judged.name, 5).await.unwrap();
    assert_eq!((reopened.receiver_level, &reopened.team), (2, &managers.name));
    let mut late = Vec::new();
    for _ in 0..5 {
        late.push(world.clerk().create(complaint("group", "停电")).await.name);
    }
    world.pass_hours(25).await;
    let mut owners = Vec::new();
    for name in &late {
        let ticket = world.clerk().get(name).await;
        assert_eq!((ticket.receiver_level, &ticket.team), (2, &managers.name));
        assert_eq!(explain(&mut world.clerk(), &ticket).await.len(), 2, "once");
        owners.push(ticket.owner);
    }
    let of = |staff: &str| owners.iter().filter(|owner| *owner == staff).count();
    assert!(of("ding").abs_diff(of("fei")) <= 1, "fair: {owners:?}");
    assert_eq!(world.count(RECOUNT).await, 0);
}

#[tokio::test]
async fn t12_without_a_rule_on_the_level_team_and_owner_stay() {
    let cases: [fn(&mut pb::TicketPolicy); 3] = [
        // No rule on a level.
        |policy| policy.routing_rules.retain(|rule| rule.name != "next-level"),
        // It leads to the team that has it.
        |policy| policy.routing_rules[0].team = "desk".into(),
        // It is about something else.
        |policy| policy.routing_rules[0].keywords = vec!["电梯".into()],
    ];
    for change in cases {
        let world = World::new().await;
        let mut policy = by_level("managers");
        change(&mut policy);
        let [desk, _] = company(&world, policy).await;
        let ticket = world.clerk().create(complaint("group", "漏水")).await;
        let raised = escalate(&mut world.manager(), &ticket.name).await.unwrap();
        assert_eq!((raised.receiver_level, &raised.team), (2, &desk.name));
        assert_eq!(raised.owner, ticket.owner);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t12_raises_at_once_are_one_after_the_other_and_loads_stay_counts() {
    let mut world = World::new().await;
    world.start_replica().await;
    let [_, managers] = company(&world, by_level("managers")).await;
    let mut names = Vec::new();
    for _ in 0..6 {
        names.push(world.clerk().create(complaint("group", "漏水")).await.name);
    }
    let mut calls = Vec::new();
    for name in &names {
        for replica in 0..2 {
            let mut desk = world.desk_at(replica, "manager", "group", role::MANAGER);
            let name = name.clone();
            calls.push(tokio::spawn(async move { escalate(&mut desk, &name).await }));
        }
    }
    for call in calls {
        call.await.unwrap().unwrap();
    }
    let mut owners = std::collections::BTreeMap::<String, usize>::new();
    for name in &names {
        let ticket = world.clerk().get(name).await;
        assert_eq!((ticket.receiver_level, ticket.escalations.len()), (3, 2));
        assert_eq!(ticket.team, managers.name);
        assert_eq!(explain(&mut world.clerk(), &ticket).await.len(), 2, "given once");
        *owners.entry(ticket.owner).or_default() += 1;
    }
    assert_eq!(owners, [("ding".to_owned(), 3), ("fei".to_owned(), 3)].into());
    assert_eq!(world.count(RECOUNT).await, 0);
}

#[tokio::test]
async fn x06_levels_of_rules_are_checked_when_the_policy_is_applied() {
    let world = World::new().await;
    let mut policy = by_level("managers");
    policy.routing_rules[0].receiver_levels = vec![2, 4, 0, 2];
    let mut after = policy.routing_rules[0].clone();
    after.name = "unreached".into();
    after.receiver_levels = vec![3];
    let error = world.admin().apply("group", policy.clone()).await.unwrap_err();
    let path = |index: usize| format!("policy.routing_rules[0].receiver_levels[{index}]");
    let found = violations(&error);
    for index in [1, 2, 3] {
        assert!(found.contains(&path(index)), "{found:?}");
    }
    policy.routing_rules[0].receiver_levels = vec![2, 3];
    policy.routing_rules.insert(1, after);
    let error = world.admin().apply("group", policy).await.unwrap_err();
    assert!(violations(&error).contains(&"policy.routing_rules[1]".to_owned()), "never reached");
}
