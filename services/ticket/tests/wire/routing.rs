//! T-03: who handles what, and how fairly.

use std::collections::BTreeMap;

use kefu_api::ticket::v1 as pb;
use kefu_identity::role;

use crate::pack::{policy, text};
use crate::world::{Desk, World, complaint, metadata, reason, request_id, violations};

pub const RECOUNT: &str = "
    SELECT count(*) FROM (
        SELECT team_id, owner AS staff, count(*) AS open FROM ticket
        WHERE owner IS NOT NULL AND state IN ('registered', 'in_progress', 'waiting', 'resolved', 'reopened', 'executive_review')
        GROUP BY team_id, owner
    ) AS counted
    FULL JOIN (SELECT team_id, staff, open_tickets FROM member_load WHERE open_tickets > 0) AS load USING (team_id, staff)
    WHERE counted.open IS DISTINCT FROM load.open_tickets::bigint";

/// Service attitude and lifts go to their teams, what is left to the desk.
pub fn routed(distribution: pb::Distribution) -> pb::TicketPolicy {
    let category = |code: &str, parent: &str| pb::Category {
        code: code.into(),
        parent: parent.into(),
        title: Some(text(code, "类别")),
    };
    pb::TicketPolicy {
        categories: vec![
            category("service", ""),
            category("attitude", "service"),
            category("engineering", ""),
        ],
        complainant_types: vec![pb::ComplainantType {
            code: "franchisee".into(),
            title: Some(text("Franchisee", "加盟商")),
        }],
        severity_criteria: vec![
            pb::SeverityCriterion {
                severity: 3,
                text: Some(text("Somebody was hurt", "有人受伤")),
                keywords: vec!["受伤".into()],
                ..Default::default()
            },
            pb::SeverityCriterion {
                severity: 2,
                text: Some(text("The same again", "同一事项再次投诉")),
                repeat_within_days: 30,
                ..Default::default()
            },
        ],
        routing_rules: vec![
            pb::RoutingRule {
                name: "lifts".into(),
                keywords: vec!["电梯".into()],
                team: "lifts".into(),
                distribution: distribution.into(),
                priority: pb::TicketPriority::High.into(),
                ..Default::default()
            },
            pb::RoutingRule {
                name: "attitude".into(),
                categories: vec!["service".into()],
                team: "attitude".into(),
                owner: "zhou".into(),
                ..Default::default()
            },
            pb::RoutingRule {
                name: "rest".into(),
                team: "desk".into(),
                distribution: distribution.into(),
                ..Default::default()
            },
        ],
        ..policy()
    }
}

pub async fn team(desk: &mut Desk, org_unit: &str, code: &str, members: &[&str]) -> pb::Team {
    let team = pb::Team {
        org_unit: org_unit.into(),
        code: code.into(),
        title: Some(text(code, "班组")),
        members: members.iter().map(ToString::to_string).collect(),
        ..Default::default()
    };
    let request = pb::CreateTeamRequest { team: Some(team), ..Default::default() };
    desk.teams.create_team(request).await.unwrap().into_inner()
}

pub async fn present(world: &World, staff: &[&str], present: bool) {
    for staff in staff {
        let request = pb::SetPresenceRequest { present, ..Default::default() };
        let mut desk = world.desk(staff, "group", role::HANDLER);
        desk.duty.set_presence(request).await.unwrap();
    }
}

/// Teams with everybody there, and a policy that uses them.
pub async fn company(world: &World, distribution: pb::Distribution) -> [pb::Team; 3] {
    let mut manager = world.manager();
    let lifts = team(&mut manager, "group", "lifts", &["an", "bo", "chen"]).await;
    let attitude = team(&mut manager, "group/north", "attitude", &["zhou", "an"]).await;
    let desk = team(&mut manager, "group", "desk", &["an", "dai"]).await;
    present(world, &["an", "bo", "chen", "dai", "zhou"], true).await;
    world.admin().apply("group", routed(distribution)).await.unwrap();
    [lifts, attitude, desk]
}

pub async fn explain(desk: &mut Desk, ticket: &pb::Ticket) -> Vec<pb::RoutingStep> {
    let request = pb::ExplainRoutingRequest { name: ticket.name.clone() };
    desk.routing.explain_routing(request).await.unwrap().into_inner().steps
}

pub async fn assign(
    desk: &mut Desk,
    ticket: &str,
    team: &pb::Team,
    owner: &str,
) -> Result<pb::Ticket, tonic::Status> {
    let request = pb::AssignTicketRequest {
        name: ticket.into(),
        team: team.name.clone(),
        owner: owner.into(),
        reason: "熟悉情况".into(),
        ..Default::default()
    };
    desk.routing.assign_ticket(request).await.map(tonic::Response::into_inner)
}

fn tally(tickets: &[pb::Ticket]) -> BTreeMap<String, usize> {
    let mut tally = BTreeMap::new();
    for ticket in tickets {
        *tally.entry(ticket.owner.clone()).or_default() += 1;
    }
    tally
}

#[tokio::test]
async fn t03_the_first_rule_that_matches_decides_and_says_why() {
    let world = World::new().await;
    let [lifts, attitude, desk] = company(&world, pb::Distribution::LeastLoad).await;
    let mut clerk = world.clerk();
    // In traditional characters, full width and with something between.
    let ticket = clerk.create(complaint("group/north/riverside", "電 梯坏了")).await;
    assert_eq!((&ticket.team, ticket.owner.as_str()), (&lifts.name, "an"));
    assert_eq!(ticket.priority(), pb::TicketPriority::High);
    assert_eq!(clerk.get(&ticket.name).await, ticket, "the answer is what is on record");
    let steps = explain(&mut clerk, &ticket).await;
    let looks: Vec<_> =
        steps[0].looks.iter().map(|look| (look.rule.as_str(), look.matched)).collect();
    let expected =
        [("severity_criteria[0]", false), ("severity_criteria[1]", false), ("lifts", true)];
    assert_eq!((steps.len(), looks), (1, expected.to_vec()));
    let candidates: Vec<_> =
        steps[0].candidates.iter().map(|c| (c.staff.as_str(), c.open_tickets)).collect();
    assert_eq!(candidates, [("an", 0), ("bo", 0), ("chen", 0)]);
    // A fixed owner, whatever the load, in the subtree of a category.
    let rude =
        pb::Ticket { category: "service/attitude".into(), ..complaint("group/north", "骂人") };
    let ticket = clerk.create(rude.clone()).await;
    assert_eq!((&ticket.team, ticket.owner.as_str()), (&attitude.name, "zhou"));
    // That team serves the north only: the rule decides all the same, and the trace says what is missing.
    let ticket = clerk.create(pb::Ticket { org_unit: "group/south".into(), ..rude }).await;
    assert_eq!((ticket.team.as_str(), ticket.owner.as_str()), ("", ""));
    let step = explain(&mut clerk, &ticket).await.remove(0);
    assert_eq!((step.rule.as_str(), step.team_code.as_str()), ("attitude", "attitude"));
    assert_eq!(step.looks[2].unmet, ["keywords"]);
    // Whatever is left; an has a ticket of the lifts, but none of the desk.
    let ticket = clerk.create(complaint("group/south", "漏水")).await;
    assert_eq!((&ticket.team, ticket.owner.as_str()), (&desk.name, "an"));
    assert_eq!(world.count(RECOUNT).await, 0);
}

#[tokio::test]
async fn t03_the_nearest_team_with_the_code_serves_an_org_unit() {
    let world = World::new().await;
    company(&world, pb::Distribution::LeastLoad).await;
    let near = team(&mut world.manager(), "group/north", "desk", &["dai"]).await;
    let ticket = world.clerk().create(complaint("group/north/riverside", "漏水")).await;
    assert_eq!((ticket.team, ticket.owner.as_str()), (near.name, "dai"));
}

#[tokio::test]
async fn t03_criteria_raise_the_severity_and_never_lower_it() {
    let world = World::new().await;
    company(&world, pb::Distribution::LeastLoad).await;
    let customer = world.customer(1).await;
    world.settle().await;
    let mut clerk = world.clerk();
    let hurt = clerk.create(complaint("group", "有人受傷")).await;
    assert_eq!((hurt.severity, hurt.receiver_level), (3, 2));
    let of = |severity, category: &str| pb::Ticket {
        customer: customer.clone(),
        category: category.into(),
        severity,
        ..complaint("group", "漏水")
    };
    assert_eq!(clerk.create(of(1, "engineering")).await.severity, 1);
    assert_eq!(clerk.create(of(1, "service")).await.severity, 1, "another matter");
    assert_eq!(clerk.create(of(1, "engineering")).await.severity, 2, "the same again");
    assert_eq!(clerk.create(of(3, "engineering")).await.severity, 3, "as stated");
    world.set_time("2026-04-10T02:00:00Z").await;
    assert_eq!(clerk.create(of(1, "service")).await.severity, 1, "too long ago");
}

#[tokio::test]
async fn t01_a_category_and_a_type_that_the_policy_does_not_have_are_wrong_fields() {
    let world = World::new().await;
    let mut clerk = world.clerk();
    let free = pb::Ticket {
        category: "随便".into(),
        complainant_type: "路人".into(),
        ..complaint("group", "漏水")
    };
    // By a policy without a tree, as ever; and it stays so for this ticket (X-10).
    let old = clerk.create(free.clone()).await;
    company(&world, pb::Distribution::LeastLoad).await;
    let error = clerk.try_create(free, String::new()).await.unwrap_err();
    assert_eq!(violations(&error), ["ticket.category", "ticket.complainant_type"]);
    let known = pb::Ticket {
        category: "service/attitude".into(),
        complainant_type: "franchisee".into(),
        amount_cents: 12_300,
        currency: "CNY".into(),
        ..complaint("group", "漏水")
    };
    let new = clerk.create(known.clone()).await;
    assert_eq!((new.complainant_type.as_str(), new.amount_cents), ("franchisee", 12_300));
    let half = pb::Ticket { category: "attitude".into(), ..known.clone() };
    assert_eq!(
        violations(&clerk.try_create(half, String::new()).await.unwrap_err()),
        ["ticket.category"]
    );
    let penniless = pb::Ticket { currency: String::new(), ..known };
    let error = clerk.try_create(penniless, String::new()).await.unwrap_err();
    assert_eq!(violations(&error), ["ticket.currency"]);
    let update = |name: &str, category: &str| {
        let ticket =
            pb::Ticket { name: name.into(), category: category.into(), ..Default::default() };
        let request = pb::UpdateTicketRequest { ticket: Some(ticket), ..Default::default() };
        let mut desk = world.desk("wang", "group", role::HANDLER);
        async move { desk.tickets.update_ticket(request).await }
    };
    update(&old.name, "随意").await.unwrap();
    assert_eq!(violations(&update(&new.name, "随意").await.unwrap_err()), ["ticket.category"]);
    update(&new.name, "engineering").await.unwrap();
}

#[tokio::test]
async fn t03_a_policy_that_cannot_route_is_refused_with_every_fault() {
    let world = World::new().await;
    let mut manager = world.manager();
    team(&mut manager, "group/north", "desk", &["an"]).await;
    let rule = |name: &str| pb::RoutingRule {
        name: name.into(),
        team: "desk".into(),
        ..Default::default()
    };
    let category = |code: &str, parent: &str| pb::Category {
        code: code.into(),
        parent: parent.into(),
        title: Some(text("", "类别")),
    };
    let faulty = pb::TicketPolicy {
        categories: vec![
            category("a", "b"),
            category("b", "a"),
            category("c", "nowhere"),
            category("d", ""),
            category("d", ""),
            category("e", "c"),
        ],
        routing_rules: vec![
            pb::RoutingRule { categories: vec!["d".into()], ..rule("broad") },
            pb::RoutingRule {
                categories: vec!["d".into()],
                keywords: vec!["电梯".into()],
                customer_grades: vec!["gold".into()],
                ..rule("narrow")
            },
            pb::RoutingRule { categories: vec!["zz".into()], ..rule("unknown") },
            pb::RoutingRule { min_amount_cents: 5, below_amount_cents: 5, ..rule("broad") },
            pb::RoutingRule {
                owner: "an".into(),
                team: String::new(),
                kinds: vec![2],
                ..rule("teamless")
            },
            pb::RoutingRule { categories: vec!["d".into()], kinds: vec![1], ..rule("kinds") },
            pb::RoutingRule { categories: vec!["d".into()], kinds: vec![1], ..rule("again") },
        ],
        ..policy()
    };
    let error = world.admin().apply("group", faulty).await.unwrap_err();
    assert_eq!(
        violations(&error),
        [
            "policy.categories[4].code",
            "policy.categories[0].parent",
            "policy.categories[1].parent",
            "policy.categories[2].parent",
            "policy.routing_rules[1].customer_grades[0]",
            "policy.routing_rules[2].categories[0]",
            "policy.routing_rules[3].name",
            "policy.routing_rules[3].below_amount_cents",
            "policy.routing_rules[3].currency",
            "policy.routing_rules[4].owner",
            "policy.routing_rules[4].team",
            "policy.routing_rules[5]",
            "policy.routing_rules[6]",
        ]
    );
    let strangers = pb::TicketPolicy {
        routing_rules: vec![
            pb::RoutingRule { kinds: vec![pb::TicketKind::Inquiry.into()], ..rule("known") },
            pb::RoutingRule { team: "nobody".into(), ..rule("unknown") },
        ],
        ..policy()
    };
    let error = world.admin().apply("group", strangers.clone()).await.unwrap_err();
    assert_eq!(violations(&error), ["policy.routing_rules[1].team"]);
    // A team of the north is no use to the south.
    let error = world.admin().apply("group/south", strangers).await.unwrap_err();
    assert_eq!(
        violations(&error),
        ["policy.routing_rules[0].team", "policy.routing_rules[1].team"]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t03_least_load_and_turns_are_fair_however_many_come_at_once() {
    for distribution in [pb::Distribution::LeastLoad, pb::Distribution::RoundRobin] {
        let mut world = World::new().await;
        world.start_replica().await;
        company(&world, distribution).await;
        let calls = (0..100_usize).map(|index| {
            let mut desk = world.desk_at(index % 2, "clerk", "group", role::CLERK);
            let (unit, subject) = if index % 4 == 0 {
                ("group/north", "漏水")
            } else {
                ("group/south", "电梯坏了")
            };
            let call = async move {
                desk.try_create(complaint(unit, subject), request_id(index as u128 + 1)).await
            };
            tokio::spawn(call)
        });
        let calls: Vec<_> = calls.collect();
        let mut tickets = Vec::new();
        for call in calls {
            tickets.push(call.await.unwrap().unwrap());
        }
        let (lifts, desk): (Vec<_>, Vec<_>) =
            tickets.iter().cloned().partition(|ticket| ticket.subject.starts_with("电梯"));
        let expected = |shares: [(&str, usize); 3]| -> BTreeMap<String, usize> {
            let shares = shares.into_iter().filter(|(_, share)| *share > 0);
            shares.map(|(staff, share)| (staff.to_owned(), share)).collect()
        };
        assert_eq!(tally(&lifts), expected([("an", 25), ("bo", 25), ("chen", 25)]));
        assert_eq!(tally(&desk), expected([("an", 13), ("dai", 12), ("", 0)]));
        assert_eq!(world.count(RECOUNT).await, 0);
        // Whoever asks again gets the owner of then.
        let again = world.clerk().try_create(complaint("group/north", "漏水"), request_id(1)).await;
        assert_eq!(again.unwrap(), tickets[0]);
        let turns = "SELECT count(*) FROM team WHERE turn <> (SELECT count(*) FROM ticket WHERE team_id = team.id)";
        assert_eq!(world.count(turns).await, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t03_loads_are_the_count_of_open_tickets_whatever_happens_at_once() {
    let mut world = World::new().await;
    world.start_replica().await;
    let [lifts, _, desk] = company(&world, pb::Distribution::LeastLoad).await;
    let calls = (0..24_usize).map(|index| {
        let mut manager = world.desk_at(index % 2, "manager", "group", role::MANAGER);
        let mut quality = world.desk_at((index + 1) % 2, "quality", "group", role::QUALITY);
        let subject = if index % 2 == 0 { "电梯坏了" } else { "漏水" };
        let teams = [lifts.clone(), desk.clone()];
        tokio::spawn(async move {
            let ticket = manager.create(complaint("group", subject)).await;
            let name = ticket.name.as_str();
            match index % 6 {
                // From one to another and back, in both directions at once.
                0 => {
                    assign(&mut manager, name, &teams[1], "dai").await.unwrap();
                    assign(&mut manager, name, &teams[0], "bo").await.unwrap();
                }
                1 => {
                    assign(&mut manager, name, &teams[0], "bo").await.unwrap();
                    assign(&mut manager, name, &teams[1], "dai").await.unwrap();
                }
                2 => _ = manager.resolve(name).await.unwrap(),
                3 => {
                    manager.handle(name).await;
                    quality.verdict(name, 5).await.unwrap();
                }
                4 => {
                    manager.handle(name).await;
                    quality.verdict(name, 1).await.unwrap();
                }
                _ => {
                    let reason = "误报".to_owned();
                    let request =
                        pb::CancelTicketRequest { name: name.into(), reason, ..Default::default() };
                    manager.tickets.cancel_ticket(request).await.unwrap();
                }
            }
        })
    });
    let calls: Vec<_> = calls.collect();
    for call in calls {
        call.await.unwrap();
    }
    assert_eq!(world.count(RECOUNT).await, 0);
    assert_eq!(
        world.count("SELECT sum(open_tickets) FROM member_load").await,
        16,
        "resolved is not yet told"
    );
}

#[tokio::test]
async fn t03_a_ticket_is_assigned_by_whoever_has_it_or_supervises() {
    let world = World::new().await;
    let [lifts, attitude, desk] = company(&world, pb::Distribution::LeastLoad).await;
    let ticket = world.clerk().create(complaint("group", "漏水")).await;
    let name = ticket.name.as_str();
    assert_eq!(ticket.owner, "an");
    let mut stranger = world.desk("bo", "group", role::HANDLER);
    let error = assign(&mut stranger, name, &lifts, "bo").await.unwrap_err();
    assert_eq!(error.code(), tonic::Code::PermissionDenied);
    let mut owner = world.desk("dai", "group", role::HANDLER);
    let moved = assign(&mut owner, name, &lifts, "chen").await.unwrap();
    assert_eq!((&moved.team, moved.owner.as_str()), (&lifts.name, "chen"));
    let mut manager = world.manager();
    let error = assign(&mut manager, name, &attitude, "zhou").await.unwrap_err();
    assert_eq!(violations(&error), ["team"], "it does not serve the group");
    let error = assign(&mut manager, name, &lifts, "dai").await.unwrap_err();
    assert_eq!(violations(&error), ["owner"]);
    let history = manager.history(name).await;
    let last = history.last().unwrap();
    assert_eq!((last.action.as_str(), last.actor.as_str()), ("AssignTicket", "dai"));
    assert!(last.after_json.contains("熟悉情况"), "{}", last.after_json);
    let steps = explain(&mut manager, &ticket).await;
    assert_eq!(steps[1].cause(), pb::RoutingCause::Manual);
    assert_eq!((steps[1].owner.as_str(), steps[1].reason.as_str()), ("chen", "熟悉情况"));
    // Twice the same request is one, also when it is stale by then; another stale one is refused.
    let request = pb::AssignTicketRequest {
        name: name.into(),
        team: desk.name.clone(),
        owner: "dai".into(),
        reason: "还给前台".into(),
        etag: moved.etag.clone(),
        request_id: request_id(7),
    };
    let first = manager.routing.assign_ticket(request.clone()).await.unwrap().into_inner();
    let again = manager.routing.assign_ticket(request.clone()).await.unwrap().into_inner();
    assert_eq!(first, again);
    let stale = pb::AssignTicketRequest { request_id: request_id(8), ..request };
    let error = manager.routing.assign_ticket(stale).await.unwrap_err();
    assert_eq!(error.code(), tonic::Code::Aborted);
    manager.resolve(name).await.unwrap();
    manager.feed_back(name).await.unwrap();
    let error = assign(&mut manager, name, &lifts, "bo").await.unwrap_err();
    assert_eq!(
        (reason(&error).as_str(), metadata(&error, "command").as_str()),
        ("ILLEGAL_STATE", "AssignTicket")
    );
    let mut elsewhere = world.desk("nan", "group/south", role::MANAGER);
    let error = assign(&mut elsewhere, name, &lifts, "bo").await.unwrap_err();
    assert_eq!(error.code(), tonic::Code::PermissionDenied);
    assert_eq!(world.count(RECOUNT).await, 0);
}

#[tokio::test]
async fn t03_vip_standing_is_never_lowered_by_a_rule() {
    let world = World::new().await;
    team(&mut world.manager(), "group", "desk", &["an"]).await;
    let rule =
        |name: &str, channel: pb::TicketChannel, priority: pb::TicketPriority| pb::RoutingRule {
            name: name.into(),
            channels: vec![channel.into()],
            team: "desk".into(),
            priority: priority.into(),
            ..Default::default()
        };
    let rules = vec![
        rule("low", pb::TicketChannel::Phone, pb::TicketPriority::Low),
        rule("urgent", pb::TicketChannel::Mail, pb::TicketPriority::Urgent),
    ];
    let policy = pb::TicketPolicy { routing_rules: rules, ..policy() };
    world.admin().apply("group", policy).await.unwrap();
    let customer = world.customer(1).await;
    world.grade(1, "group", "vip", 1).await;
    world.settle().await;
    let mut clerk = world.clerk();
    let vip = pb::Ticket { customer, ..complaint("group", "漏水") };
    assert_eq!(clerk.create(vip.clone()).await.priority(), pb::TicketPriority::High);
    let mail = pb::Ticket { channel: pb::TicketChannel::Mail.into(), ..vip };
    assert_eq!(clerk.create(mail).await.priority(), pb::TicketPriority::Urgent);
}

#[tokio::test]
async fn t03_the_event_and_the_journal_of_a_registration_know_its_owner() {
    use prost::Message as _;
    let world = World::new().await;
    let [lifts, ..] = company(&world, pb::Distribution::RoundRobin).await;
    let ticket = world.clerk().create(complaint("group", "电梯坏了")).await;
    let stored = "SELECT event FROM journal WHERE aggregate_type = 'ticket' AND revision = 1";
    let event: Vec<u8> = sqlx::query_scalar(stored).fetch_one(&world.pool).await.unwrap();
    let event = pb::TicketRegistered::decode(&*event).unwrap().ticket.unwrap();
    assert_eq!((event.number, event.team, event.owner), (ticket.number, lifts.name, "an".into()));
    let history = world.clerk().history(&ticket.name).await;
    assert!(history[0].after_json.contains(r#""owner":"an""#), "{}", history[0].after_json);
}
