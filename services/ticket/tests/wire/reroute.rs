//! T-03, T-26: "assign" as a step of triggers and macros, rules that are looked at again, and what the routing would be.

use kefu_api::ticket::v1 as pb;
use kefu_api::ticket::v1::automation_step::Step;
use kefu_identity::role;
use tonic::{Code, Status};

use crate::automation::{step, tags, trigger};
use crate::duty::absent;
use crate::pack::text;
use crate::routing::{RECOUNT, company, present, routed, team};
use crate::world::{Desk, World, complaint, violations};

pub fn to_team(team: &str, owner: &str, distribution: pb::Distribution) -> pb::AutomationStep {
    step(Step::Assign(pb::AssignStep {
        team: team.into(),
        owner: owner.into(),
        distribution: distribution.into(),
        ..Default::default()
    }))
}

fn by_rules() -> pb::AutomationStep {
    step(Step::Assign(pb::AssignStep { by_rules: true, ..Default::default() }))
}

fn when_tagged(tag: &str, then: Vec<pb::AutomationStep>) -> pb::Trigger {
    let condition = pb::TicketCondition { tags: vec![tag.into()], ..Default::default() };
    trigger("hand-on", pb::TriggerEvent::Updated, Some(condition), then)
}

async fn apply(world: &World, policy: pb::TicketPolicy) {
    world.admin().apply("group", policy).await.unwrap();
}

async fn update(desk: &mut Desk, ticket: pb::Ticket) -> Result<pb::Ticket, Status> {
    let request = pb::UpdateTicketRequest { ticket: Some(ticket), ..Default::default() };
    desk.tickets.update_ticket(request).await.map(tonic::Response::into_inner)
}

async fn tag(desk: &mut Desk, name: &str, tag: &str) {
    let request =
        pb::TagTicketRequest { name: name.into(), add: vec![tag.into()], ..Default::default() };
    desk.tickets.tag_ticket(request).await.unwrap();
}

async fn last_step(desk: &mut Desk, name: &str) -> pb::RoutingStep {
    let request = pb::ExplainRoutingRequest { name: name.into() };
    let steps = desk.routing.explain_routing(request).await.unwrap().into_inner().steps;
    steps.into_iter().next_back().unwrap()
}

async fn runs(desk: &mut Desk, name: &str) -> Vec<(pb::TriggerOutcome, String)> {
    let request = pb::ListTriggerRunsRequest { parent: name.into(), ..Default::default() };
    let runs = desk.automation.list_trigger_runs(request).await.unwrap().into_inner();
    runs.trigger_runs.into_iter().map(|run| (run.outcome(), run.detail)).collect()
}

fn macros(steps: Vec<pb::AutomationStep>) -> Vec<pb::Macro> {
    vec![pb::Macro { code: "pass-on".into(), title: Some(text("", "转交")), steps }]
}

async fn apply_macro(
    desk: &mut Desk,
    name: &str,
    validate_only: bool,
) -> Result<pb::Ticket, Status> {
    let request = pb::ApplyMacroRequest {
        name: name.into(),
        r#macro: "pass-on".into(),
        validate_only,
        ..Default::default()
    };
    desk.automation.apply_macro(request).await.map(tonic::Response::into_inner)
}

#[tokio::test]
async fn t26_a_trigger_gives_a_ticket_to_a_team_and_it_is_on_record_as_its_work() {
    let mut world = World::new().await;
    world.start_replica().await;
    let [lifts, _, desk] = company(&world, pb::Distribution::LeastLoad).await;
    let least = pb::Distribution::LeastLoad;
    let then = vec![to_team("lifts", "", least), tags(&["已转电梯班"])];
    let policy =
        pb::TicketPolicy { triggers: vec![when_tagged("转电梯", then)], ..routed(least) };
    apply(&world, policy).await;
    let mut manager = world.manager();
    let mut clerk = world.clerk();
    let mut names = Vec::new();
    for _ in 0..6 {
        let ticket = clerk.create(complaint("group", "漏水")).await;
        assert_eq!(ticket.team, desk.name);
        names.push(ticket.name);
    }
    for name in &names {
        tag(&mut manager, name, "转电梯").await;
    }
    world.settle().await;
    let mut owners = Vec::new();
    for name in &names {
        let ticket = manager.get(name).await;
        assert_eq!((&ticket.team, ticket.tags.len()), (&lifts.name, 2));
        owners.push(ticket.owner);
        assert_eq!(runs(&mut manager, name).await, [(pb::TriggerOutcome::Acted, String::new())]);
    }
    owners.sort();
    assert_eq!(owners, ["an", "an", "bo", "bo", "chen", "chen"], "the least load, each time");
    let step = last_step(&mut manager, &names[0]).await;
    assert_eq!(step.cause(), pb::RoutingCause::Trigger);
    assert_eq!((&*step.actor, &*step.team_code), ("system/trigger/hand-on", "lifts"));
    assert_eq!(step.candidates.len(), 3);
    assert_eq!(world.count(RECOUNT).await, 0, "loads are counts");
}

#[tokio::test]
async fn t26_a_trigger_gives_a_ticket_to_a_person_or_whoever_stands_in() {
    let world = World::new().await;
    company(&world, pb::Distribution::LeastLoad).await;
    let none = pb::Distribution::Unspecified;
    let then = vec![to_team("lifts", "bo", none)];
    let policy = pb::TicketPolicy { triggers: vec![when_tagged("急", then)], ..routed(none) };
    apply(&world, policy).await;
    let mut manager = world.manager();
    let first = world.clerk().create(complaint("group", "漏水")).await;
    tag(&mut manager, &first.name, "急").await;
    world.settle().await;
    assert_eq!(manager.get(&first.name).await.owner, "bo");
    let days = ("2026-03-02T02:00:00Z", "2026-03-09T02:00:00Z");
    absent(&mut manager, "bo", days, "chen").await.unwrap();
    world.settle().await;
    let second = world.clerk().create(complaint("group", "漏水")).await;
    tag(&mut manager, &second.name, "急").await;
    world.settle().await;
    for name in [&first.name, &second.name] {
        assert_eq!(manager.get(name).await.owner, "chen", "nothing waits for bo, who is away");
    }
    assert_eq!(world.count(RECOUNT).await, 0);
}

#[tokio::test]
async fn t26_a_trigger_that_finds_nobody_leaves_it_to_whoever_comes_on_duty() {
    let world = World::new().await;
    let [lifts, ..] = company(&world, pb::Distribution::LeastLoad).await;
    let least = pb::Distribution::LeastLoad;
    let then = vec![to_team("lifts", "", least)];
    let policy = pb::TicketPolicy {
        triggers: vec![when_tagged("急", then)],
        ..routed(pb::Distribution::Unspecified)
    };
    apply(&world, policy).await;
    present(&world, &["an", "bo", "chen"], false).await;
    let mut manager = world.manager();
    let ticket = world.clerk().create(complaint("group", "漏水")).await;
    tag(&mut manager, &ticket.name, "急").await;
    world.settle().await;
    let waiting = manager.get(&ticket.name).await;
    assert_eq!((&waiting.team, &*waiting.owner), (&lifts.name, ""));
    present(&world, &["chen"], true).await;
    world.settle().await;
    assert_eq!(manager.get(&ticket.name).await.owner, "chen");
    assert_eq!(world.count(RECOUNT).await, 0);
}

#[tokio::test]
async fn t26_a_step_by_the_rules_takes_what_has_changed_and_is_refused_where_none_says_anything() {
    let world = World::new().await;
    let [_, attitude, _] = company(&world, pb::Distribution::LeastLoad).await;
    let mut policy = pb::TicketPolicy {
        triggers: vec![when_tagged("重新分派", vec![by_rules()])],
        ..routed(pb::Distribution::LeastLoad)
    };
    policy.routing_rules.truncate(2);
    apply(&world, policy).await;
    let mut manager = world.manager();
    let ticket = world.clerk().create(complaint("group/north", "骂人")).await;
    assert_eq!(ticket.team, "");
    tag(&mut manager, &ticket.name, "重新分派").await;
    world.settle().await;
    let (outcome, detail) = runs(&mut manager, &ticket.name).await.remove(0);
    assert_eq!(outcome, pb::TriggerOutcome::Refused);
    assert!(detail.contains("gives it to a team"), "{detail}");
    let changed = pb::Ticket {
        name: ticket.name.clone(),
        category: "service/attitude".into(),
        ..Default::default()
    };
    update(&mut manager, changed).await.unwrap();
    world.settle().await;
    let now = manager.get(&ticket.name).await;
    assert_eq!((&now.team, &*now.owner), (&attitude.name, "zhou"));
    let step = last_step(&mut manager, &ticket.name).await;
    assert_eq!((&*step.rule, step.looks.len()), ("attitude", 2), "and why");
    assert_eq!(world.count(RECOUNT).await, 0);
}

#[tokio::test]
async fn t26_a_macro_passes_a_ticket_on_for_whoever_may_give_it_away() {
    let world = World::new().await;
    let [lifts, ..] = company(&world, pb::Distribution::LeastLoad).await;
    let none = pb::Distribution::Unspecified;
    let policy = pb::TicketPolicy {
        macros: macros(vec![tags(&["转交"]), to_team("lifts", "bo", none)]),
        ..routed(pb::Distribution::LeastLoad)
    };
    apply(&world, policy).await;
    let ticket = world.clerk().create(complaint("group", "漏水")).await;
    assert_eq!(ticket.owner, "an");
    let refused = apply_macro(&mut world.clerk(), &ticket.name, false).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied, "a clerk gives tickets to nobody");
    let mut stranger = world.desk("stranger", "group", role::HANDLER);
    for validate_only in [true, false] {
        let refused = apply_macro(&mut stranger, &ticket.name, validate_only).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied, "it is not his");
    }
    // Whoever is in the team that has it may pass it on.
    let mut dai = world.desk("dai", "group", role::HANDLER);
    let shown = apply_macro(&mut dai, &ticket.name, true).await.unwrap();
    assert_eq!((&shown.team, &*shown.owner), (&lifts.name, "bo"));
    assert_eq!(dai.get(&ticket.name).await, ticket, "it was only shown");
    let done = apply_macro(&mut dai, &ticket.name, false).await.unwrap();
    assert_eq!(
        (&done.team, &*done.owner, &done.tags[..]),
        (&lifts.name, "bo", &["转交".into()][..])
    );
    let step = last_step(&mut dai, &ticket.name).await;
    assert_eq!(step.cause(), pb::RoutingCause::Macro);
    assert_eq!((&*step.actor, &*step.reason), ("dai", "pass-on"));
    assert_eq!(world.count(RECOUNT).await, 0);
    // Once the customer knows the result it is given to nobody, and then the macro does nothing of it.
    let mut bo = world.desk("bo", "group", role::HANDLER);
    bo.respond(&ticket.name).await.unwrap();
    bo.resolve(&ticket.name).await.unwrap();
    bo.feed_back(&ticket.name).await.unwrap();
    let error = apply_macro(&mut bo, &ticket.name, false).await.unwrap_err();
    assert_eq!(error.code(), Code::FailedPrecondition);
}

#[tokio::test]
async fn t26_steps_that_assign_are_checked_when_the_policy_is_applied() {
    let world = World::new().await;
    team(&mut world.manager(), "group", "lifts", &["an"]).await;
    let least = pb::Distribution::LeastLoad;
    let both = step(Step::Assign(pb::AssignStep {
        by_rules: true,
        team: "lifts".into(),
        owner: "an".into(),
        distribution: least.into(),
    }));
    let odd = step(Step::Assign(pb::AssignStep {
        team: "Lifts".into(),
        owner: "长".repeat(41),
        distribution: 99,
        ..Default::default()
    }));
    let policy = pb::TicketPolicy {
        triggers: vec![when_tagged("急", vec![both, odd])],
        rerouting: Some(pb::ReroutingRule { on_category_change: true, on_severity_change: false }),
        ..crate::pack::policy()
    };
    let error = world.admin().apply("group", policy).await.unwrap_err();
    let mut wrong = violations(&error);
    wrong.sort();
    let step =
        |index: usize, field: &str| format!("policy.triggers[0].then[{index}].assign{field}");
    let expected = [
        "policy.rerouting".to_owned(),
        step(0, ".by_rules"),
        step(0, ".distribution"),
        step(0, ".owner"),
        step(0, ".team"),
        step(1, ".distribution"),
        step(1, ".owner"),
        step(1, ".team"),
    ];
    assert_eq!(wrong, expected);
    let twice = vec![to_team("lifts", "", least), tags(&["急"]), to_team("lifts", "an", least)];
    let twice = pb::TicketPolicy { macros: macros(twice), ..crate::pack::policy() };
    let error = world.admin().apply("group", twice).await.unwrap_err();
    assert_eq!(violations(&error), ["policy.macros[0].steps[2].assign"]);
    let unknown = pb::TicketPolicy {
        triggers: vec![when_tagged("急", vec![to_team("nobody", "", least)])],
        macros: macros(vec![tags(&["急"]), to_team("none", "", least)]),
        ..crate::pack::policy()
    };
    let error = world.admin().apply("group", unknown).await.unwrap_err();
    let expected =
        ["policy.triggers[0].then[0].assign.team", "policy.macros[0].steps[1].assign.team"];
    assert_eq!(violations(&error), expected);
}

pub fn rerouting(category: bool, severity: bool) -> pb::TicketPolicy {
    let rule = pb::ReroutingRule { on_category_change: category, on_severity_change: severity };
    let mut policy = routed(pb::Distribution::Unspecified);
    policy.routing_rules.insert(
        0,
        pb::RoutingRule {
            name: "severe".into(),
            severities: vec![3],
            team: "lifts".into(),
            distribution: pb::Distribution::RoundRobin.into(),
            priority: pb::TicketPriority::Urgent.into(),
            ..Default::default()
        },
    );
    pb::TicketPolicy { rerouting: Some(rule), ..policy }
}

async fn assess(desk: &mut Desk, name: &str, severity: i32) -> pb::Ticket {
    let request = pb::AssessTicketRequest {
        name: name.into(),
        severity,
        reason: "重新定级".into(),
        ..Default::default()
    };
    desk.tickets.assess_ticket(request).await.unwrap().into_inner()
}

#[tokio::test]
async fn t03_what_nobody_owns_is_routed_again_when_it_turns_out_to_be_something_else() {
    let world = World::new().await;
    let [lifts, attitude, desk] = company(&world, pb::Distribution::LeastLoad).await;
    apply(&world, rerouting(true, true)).await;
    let mut manager = world.manager();
    let ticket = world.clerk().create(complaint("group/north", "漏水")).await;
    assert_eq!((&ticket.team, &*ticket.owner), (&desk.name, ""));
    let recategorised = |name: &str| pb::Ticket {
        name: name.into(),
        category: "service".into(),
        ..Default::default()
    };
    // Nothing that the rules look at.
    tag(&mut manager, &ticket.name, "急").await;
    assert_eq!(manager.get(&ticket.name).await.team, desk.name);
    let now = update(&mut manager, recategorised(&ticket.name)).await.unwrap();
    assert_eq!((&now.team, &*now.owner), (&attitude.name, "zhou"), "the answer tells it");
    let step = last_step(&mut manager, &ticket.name).await;
    assert_eq!(step.cause(), pb::RoutingCause::Rerouted);
    assert_eq!((&*step.actor, &*step.rule), ("system/routing", "attitude"));
    let history = manager.history(&ticket.name).await;
    let by: Vec<_> = history.iter().map(|entry| (&*entry.action, &*entry.actor)).collect();
    let expected = [("UpdateTicket", "manager"), ("AssignTicket", "system/routing")];
    assert_eq!(by[by.len() - 2..], expected);
    // Now somebody has it: nobody takes it from him.
    assert_eq!(assess(&mut manager, &ticket.name, 3).await.owner, "zhou");
    // By its severity, with the priority of the rule; round robin goes on where it was.
    let mut owners = Vec::new();
    for _ in 0..4 {
        let ticket = world.clerk().create(complaint("group/north", "漏水")).await;
        let now = assess(&mut manager, &ticket.name, 3).await;
        assert_eq!((&now.team, now.priority()), (&lifts.name, pb::TicketPriority::Urgent));
        owners.push(now.owner);
    }
    assert_eq!(owners, ["an", "bo", "chen", "an"]);
    assert_eq!(world.count(RECOUNT).await, 0);
}

#[tokio::test]
async fn t03_the_policy_says_whether_a_change_is_a_reason_to_route_again() {
    let world = World::new().await;
    let [lifts, _, desk] = company(&world, pb::Distribution::LeastLoad).await;
    apply(&world, rerouting(false, true)).await;
    let mut manager = world.manager();
    let ticket = world.clerk().create(complaint("group/north", "漏水")).await;
    let changed =
        pb::Ticket { name: ticket.name.clone(), category: "service".into(), ..Default::default() };
    assert_eq!(update(&mut manager, changed).await.unwrap().team, desk.name);
    let shown = pb::AssessTicketRequest {
        name: ticket.name.clone(),
        severity: 3,
        reason: "预览".into(),
        validate_only: true,
        ..Default::default()
    };
    manager.tickets.assess_ticket(shown).await.unwrap();
    assert_eq!(manager.get(&ticket.name).await.team, desk.name);
    assert_eq!(assess(&mut manager, &ticket.name, 3).await.team, lifts.name);
    // By a policy that says nothing of it, nothing happens.
    apply(&world, rerouting(false, false)).await;
    let ticket = world.clerk().create(complaint("group/north", "漏水")).await;
    assert_eq!(assess(&mut manager, &ticket.name, 3).await.team, desk.name);
}

#[tokio::test]
async fn t03_many_that_are_routed_again_at_once_are_shared_out_fairly() {
    let mut world = World::new().await;
    world.start_replica().await;
    company(&world, pb::Distribution::LeastLoad).await;
    apply(&world, rerouting(true, true)).await;
    let mut clerk = world.clerk();
    let mut names = Vec::new();
    for _ in 0..24 {
        names.push(clerk.create(complaint("group/north", "漏水")).await.name);
    }
    let calls = names.iter().enumerate().map(|(number, name)| {
        let mut desk = world.desk_at(number % 2, "manager", "group", role::MANAGER);
        async move { assess(&mut desk, name, 3).await.owner }
    });
    let mut owners = futures::future::join_all(calls).await;
    owners.sort();
    let each = |who: &str| owners.iter().filter(|owner| *owner == who).count();
    assert_eq!([each("an"), each("bo"), each("chen")], [8, 8, 8]);
    assert_eq!(world.count(RECOUNT).await, 0);
}

#[tokio::test]
async fn t03_tickets_that_cross_between_two_teams_do_not_lock_each_other_out() {
    let mut world = World::new().await;
    world.start_replica().await;
    company(&world, pb::Distribution::LeastLoad).await;
    let least = pb::Distribution::LeastLoad;
    let over_to = |code: &str, team: &str| pb::Macro {
        code: code.into(),
        title: Some(text("", "转交")),
        steps: vec![to_team(team, "", least)],
    };
    let policy = pb::TicketPolicy {
        macros: vec![over_to("to-lifts", "lifts"), over_to("to-desk", "desk")],
        ..routed(least)
    };
    apply(&world, policy).await;
    let (mut clerk, mut manager) = (world.clerk(), world.manager());
    let mut names = Vec::new();
    for _ in 0..24 {
        names.push(clerk.create(complaint("group", "漏水")).await.name);
    }
    let to = |number: usize, name: &str, turn: usize| pb::ApplyMacroRequest {
        name: name.into(),
        r#macro: if number % 2 == turn { "to-lifts" } else { "to-desk" }.into(),
        ..Default::default()
    };
    for (number, name) in names.iter().enumerate() {
        manager.automation.apply_macro(to(number, name, 0)).await.unwrap();
    }
    // Now each half goes where the other one is.
    let calls = names.iter().enumerate().map(|(number, name)| {
        let mut desk = world.desk_at(number % 2, "manager", "group", role::MANAGER);
        let request = to(number, name, 1);
        async move { desk.automation.apply_macro(request).await.map(drop) }
    });
    for moved in futures::future::join_all(calls).await {
        moved.unwrap();
    }
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    assert_eq!(world.count(deadlocks).await, 0);
    assert_eq!(world.count(RECOUNT).await, 0);
}

async fn simulate(
    desk: &mut Desk,
    request: pb::SimulateRoutingRequest,
) -> Result<pb::SimulateRoutingResponse, Status> {
    desk.routing.simulate_routing(request).await.map(tonic::Response::into_inner)
}

#[tokio::test]
async fn t03_a_simulation_tells_what_a_registration_would_get_and_writes_nothing() {
    let world = World::new().await;
    let [lifts, ..] = company(&world, pb::Distribution::LeastLoad).await;
    let customer = world.customer(1).await;
    world.grade(1, "group", "vip", 1).await;
    world.settle().await;
    let mut clerk = world.clerk();
    clerk.create(complaint("group", "电梯坏了")).await;
    let on_record =
        "SELECT (SELECT count(*) FROM ticket) * 1000 + (SELECT sum(turn)::bigint FROM team)";
    let before = world.count(on_record).await;
    let draft = pb::Ticket { customer, ..complaint("group/north", "电梯里有人受伤") };
    let request = pb::SimulateRoutingRequest { draft: Some(draft.clone()), ..Default::default() };
    let would = simulate(&mut clerk, request).await.unwrap();
    assert_eq!(world.count(on_record).await, before);
    let ticket = clerk.create(draft).await;
    assert_eq!((&would.team, &would.owner), (&ticket.team, &ticket.owner));
    assert_eq!((&*would.team, &*would.owner), (&*lifts.name, "bo"));
    assert_eq!(would.severity, ticket.severity);
    assert_eq!(would.priority(), ticket.priority());
    assert_eq!((would.receiver_level, ticket.receiver_level), (2, 2));
    assert_eq!(would.policy_version, ticket.policy_version);
    let steps = pb::ExplainRoutingRequest { name: ticket.name.clone() };
    let step = clerk.routing.explain_routing(steps).await.unwrap().into_inner().steps.remove(0);
    assert_eq!((&would.looks, &would.rule), (&step.looks, &step.rule));
    assert_eq!(would.candidates, step.candidates);
}

#[tokio::test]
async fn t03_a_simulation_tells_what_would_become_of_a_ticket_that_is_there() {
    let world = World::new().await;
    let [_, attitude, desk] = company(&world, pb::Distribution::LeastLoad).await;
    let mut clerk = world.clerk();
    let ticket = clerk.create(complaint("group/north", "漏水")).await;
    let of = |category: &str, severity| pb::SimulateRoutingRequest {
        name: ticket.name.clone(),
        category: category.into(),
        severity,
        ..Default::default()
    };
    let same = simulate(&mut clerk, of("", 0)).await.unwrap();
    assert_eq!((&same.team, &*same.rule), (&desk.name, "rest"));
    let other = simulate(&mut clerk, of("service/attitude", 3)).await.unwrap();
    assert_eq!((&other.team, &*other.owner), (&attitude.name, "zhou"));
    assert_eq!((other.severity, other.receiver_level), (3, 2));
    assert_eq!(clerk.get(&ticket.name).await, ticket);
    let error = simulate(&mut clerk, of("attitude", 4)).await.unwrap_err();
    assert_eq!(violations(&error), ["severity"]);
    let error = simulate(&mut clerk, of("attitude", 0)).await.unwrap_err();
    assert_eq!(violations(&error), ["category"]);
    let mixed = pb::SimulateRoutingRequest {
        draft: Some(pb::Ticket { category: "x".into(), ..complaint("", "") }),
        ..of("service", 1)
    };
    let mut wrong = violations(&simulate(&mut clerk, mixed).await.unwrap_err());
    wrong.sort();
    let expected = ["category", "draft.org_unit", "draft.subject", "name", "severity"];
    assert_eq!(wrong, expected);
    let unknown = pb::SimulateRoutingRequest {
        draft: Some(pb::Ticket { category: "x".into(), ..complaint("group", "漏水") }),
        ..Default::default()
    };
    let error = simulate(&mut clerk, unknown).await.unwrap_err();
    assert_eq!(violations(&error), ["draft.category"]);
    let mut south = world.desk("zhao", "group/south", role::HANDLER);
    let denied = simulate(&mut south, of("", 0)).await.unwrap_err();
    assert_eq!(denied.code(), Code::PermissionDenied);
    let nothing = pb::SimulateRoutingRequest::default();
    assert_eq!(violations(&simulate(&mut clerk, nothing).await.unwrap_err()), ["name"]);
}
