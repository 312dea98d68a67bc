//! T-04, T-12, T-14: answers to all children go in their order and wait for none of another parent's, and nobody does through
//! a parent what he may not do on the child.

use kefu_api::clock::v1::SetTimeRequest;
use kefu_api::ticket::v1 as pb;
use kefu_clock::Clock as _;
use kefu_identity::role;
use kefu_rpc::to_proto_timestamp;
use tonic::{Code, Response, Status};
use tonic_types::StatusExt as _;

use crate::delivery::messages;
use crate::handling::world_with;
use crate::mass_answer::{answers, family, link, results};
use crate::neighbour::{silent, speak};
use crate::pack::{policy, text};
use crate::world::{Desk, World, complaint};

pub async fn say(
    desk: &mut Desk,
    parent: &str,
    message: &str,
    override_forbidden_phrases: bool,
) -> Result<pb::MassAnswer, Status> {
    let request = pb::AnswerChildTicketsRequest {
        name: parent.into(),
        message: message.into(),
        override_forbidden_phrases,
        ..Default::default()
    };
    desk.links.answer_child_tickets(request).await.map(Response::into_inner)
}

async fn resolve_children(desk: &mut Desk, parent: &str) -> Result<pb::MassAnswer, Status> {
    let request = pb::ResolveChildTicketsRequest { name: parent.into(), ..Default::default() };
    desk.links.resolve_child_tickets(request).await.map(Response::into_inner)
}

/// Settles as far as it gets: something waits for the neighbour.
pub async fn settle_in_vain(world: &World) {
    let time = Some(to_proto_timestamp(world.clock.now()));
    let request = SetTimeRequest { time, skip_settle: false };
    let mut operator = world.desk("operator", "group", role::OPERATOR);
    operator.clock.set_time(request).await.unwrap_err();
}

/// A child whose customer's name only the neighbour can tell.
pub async fn add_named(world: &World, parent: &str, customer: &str) -> pb::Ticket {
    let customer = customer.to_owned();
    let child = pb::Ticket { customer, ..complaint("group/north", "家里停水") };
    let child = world.clerk().create(child).await;
    link(&mut world.manager(), &child.name, parent).await.unwrap()
}

/// What was said on a ticket, in the order in which it was put on record.
async fn heard(world: &World, ticket: &str, texts: &[&str]) -> Vec<usize> {
    let history = world.manager().history(ticket).await;
    let said = |entry: &pb::TicketHistoryEntry| {
        texts.iter().position(|text| entry.after_json.contains(text))
    };
    history.iter().filter_map(said).collect()
}

async fn outcomes(desk: &mut Desk, answer: &str) -> Vec<(pb::MassAnswerOutcome, String)> {
    let found = results(desk, answer, "group").await;
    found.iter().map(|result| (result.outcome(), result.detail.clone())).collect()
}

const REACHED: pb::MassAnswerOutcome = pb::MassAnswerOutcome::Reached;
const REFUSED: pb::MassAnswerOutcome = pb::MassAnswerOutcome::Refused;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t04_no_child_hears_the_second_answer_before_the_first_whoever_carries_them() {
    let mut world = World::new().await;
    world.start_replica().await;
    let (parent, mut children) = family(&world, 2).await;
    let customer = silent(41);
    let name = world.customer(customer).await;
    world.settle().await;
    children.push(add_named(&world, &parent.name, &name).await);
    let mut manager = world.manager();
    say(&mut manager, &parent.name, "{customer.name}您好，正在抢修", false).await.unwrap();
    let mut other = world.desk_at(1, "manager", "group", role::MANAGER);
    other.respond(&parent.name).await.unwrap();
    settle_in_vain(&world).await;
    let texts = ["您好，正在抢修", "我们正在处理"];
    assert_eq!(heard(&world, &children[0].name, &texts).await, [0]);
    assert!(heard(&world, &children[2].name, &texts).await.is_empty(), "the first comes first");
    // Whoever was at it is gone; the others go on in the same order.
    world.replicas.remove(0).stop().await.unwrap();
    world.start_replica().await;
    speak(customer);
    world.settle().await;
    for child in &children {
        assert_eq!(heard(&world, &child.name, &texts).await, [0, 1], "{}", child.name);
    }
    let said = messages(&mut world.manager(), &children[2].name).await;
    assert!(said.iter().any(|said| said.body == "滨河物业您好，正在抢修"), "{said:?}");
}

#[tokio::test]
async fn t04_any_number_of_answers_that_wait_keep_no_other_waiting() {
    let world = World::new().await;
    let mut manager = world.manager();
    let customer = silent(42);
    let name = world.customer(customer).await;
    world.settle().await;
    let mut parents = Vec::new();
    for _ in 0..20 {
        let parent = world.clerk().create(complaint("group/north", "全楼停水")).await.name;
        add_named(&world, &parent, &name).await;
        parents.push(parent);
    }
    let (parent, children) = family(&world, 2).await;
    for parent in &parents {
        say(&mut manager, parent, "{customer.name}您好", false).await.unwrap();
    }
    manager.respond(&parent.name).await.unwrap();
    settle_in_vain(&world).await;
    for child in &children {
        assert_eq!(messages(&mut manager, &child.name).await.len(), 1);
    }
    let waiting = "SELECT count(*) FROM mass_answer WHERE finished_at IS NULL";
    assert_eq!(world.count(waiting).await, 20);
    speak(customer);
    world.settle().await;
    assert_eq!(world.count(waiting).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t04_a_solution_and_its_result_reach_many_in_that_order_with_two_replicas() {
    let mut world = world_with(|policy| {
        let links = pb::LinkRules { resolve_children: true, ..Default::default() };
        policy.links = Some(links);
    })
    .await;
    world.start_replica().await;
    let (parent, children) = family(&world, 60).await;
    let mut manager = world.manager();
    manager.resolve(&parent.name).await.unwrap();
    manager.feed_back(&parent.name).await.unwrap();
    world.replicas.remove(0).stop().await.unwrap();
    world.start_replica().await;
    world.settle().await;
    let told = "SELECT count(*) FROM ticket WHERE state = 'result_fed_back'";
    assert_eq!(world.count(told).await, i64::try_from(children.len()).unwrap() + 1);
    let early = "SELECT count(*) FROM journal WHERE action = 'RespondTicket'";
    assert_eq!(world.count(early).await, 0, "nobody was told of a result that was none yet");
}

#[tokio::test]
async fn t12_a_solution_reaches_a_child_only_from_whoever_has_its_level_there() {
    let world = world_with(|policy| {
        policy.levels[1].roles = vec![role::MANAGER.to_owned()];
        let links = pb::LinkRules { resolve_children: true, ..Default::default() };
        policy.links = Some(links);
    })
    .await;
    let mut manager = world.manager();
    let mut handler = world.desk("wang", "group", role::HANDLER);
    let (parent, children) = family(&world, 2).await;
    let escalate = |name: &str| pb::EscalateTicketRequest {
        name: name.into(),
        reason: "超出权限".into(),
        ..Default::default()
    };
    manager.tickets.escalate_ticket(escalate(&children[1].name)).await.unwrap();
    // With the parent's own resolution, and asked for on the children.
    handler.resolve(&parent.name).await.unwrap();
    world.settle().await;
    let first = answers(&mut manager, &parent.name).await.remove(0);
    let found = outcomes(&mut manager, &first.name).await;
    assert_eq!((found[0].0, found[1].0), (REACHED, REFUSED));
    assert!(found[1].1.contains("level 2: manager"), "{}", found[1].1);
    assert_eq!(manager.get(&children[0].name).await.state(), pb::TicketState::Resolved);
    let second = resolve_children(&mut handler, &parent.name).await.unwrap();
    world.settle().await;
    assert_eq!(outcomes(&mut manager, &second.name).await[1].0, REFUSED);
    assert_eq!(manager.get(&children[1].name).await.solution, "");
    // A role counts where it is held: not for a child elsewhere.
    let south = world.clerk().create(complaint("group/south", "南区停水")).await;
    let unlink = pb::UnlinkTicketRequest {
        name: children[1].name.clone(),
        reason: "另有原因".into(),
        ..Default::default()
    };
    manager.links.unlink_ticket(unlink).await.unwrap();
    link(&mut manager, &children[1].name, &south.name).await.unwrap();
    let mut there = world.desk("nan", "group/south", role::MANAGER);
    there.resolve(&south.name).await.unwrap();
    world.settle().await;
    let elsewhere = answers(&mut manager, &south.name).await.remove(0);
    assert_eq!(outcomes(&mut manager, &elsewhere.name).await[0].0, REFUSED);
    // Whoever has it both here and there.
    let third = resolve_children(&mut manager, &south.name).await.unwrap();
    world.settle().await;
    assert_eq!(outcomes(&mut manager, &third.name).await, [(REACHED, String::new())]);
    let solved = manager.get(&children[1].name).await;
    assert_eq!((solved.state(), &*solved.handler), (pb::TicketState::Resolved, "manager"));
    // And nobody goes past the parent's level.
    let (parent, _) = family(&world, 1).await;
    manager.tickets.escalate_ticket(escalate(&parent.name)).await.unwrap();
    manager.resolve(&parent.name).await.unwrap();
    let error = resolve_children(&mut handler, &parent.name).await.unwrap_err();
    assert_eq!(error.code(), Code::PermissionDenied, "{error:?}");
    let lack = error.get_details_precondition_failure().unwrap().violations;
    assert_eq!(lack[0].r#type, "LEVEL");
}

#[tokio::test]
async fn t14_a_childs_own_forbidden_phrases_are_overridden_only_by_whoever_may_there() {
    let world = World::new().await;
    let suggestion = Some(text("", "退回款项"));
    let phrase = pb::ForbiddenPhrase { phrase: "退款".into(), suggestion };
    let rules = pb::TicketPolicy { forbidden_phrases: vec![phrase], ..policy() };
    world.admin().apply("group/south", rules).await.unwrap();
    let (parent, children) = family(&world, 1).await;
    let south = pb::Ticket { subject: "我要退 款".into(), ..complaint("group/south", "") };
    let south = world.clerk().create(south).await;
    let mut manager = world.manager();
    link(&mut manager, &south.name, &parent.name).await.unwrap();
    // Forbidden there and not here: said by everybody who may answer here, and by a supervisor of here.
    let mut handler = world.desk("wang", "group", role::HANDLER);
    let request = pb::RespondTicketRequest {
        name: parent.name.clone(),
        message: "可以退款".into(),
        ..Default::default()
    };
    handler.tickets.respond_ticket(request).await.unwrap();
    world.settle().await;
    let mut here = world.desk("bei", "group/north", role::MANAGER);
    say(&mut here, &parent.name, "三日内退款", true).await.unwrap();
    // And one whose words are only in what the child fills in.
    say(&mut manager, &parent.name, "关于“{ticket.subject}”：已受理", false).await.unwrap();
    world.settle().await;
    let told = answers(&mut manager, &parent.name).await;
    for answer in &told {
        let found = outcomes(&mut manager, &answer.name).await;
        assert_eq!((found[0].0, found[1].0), (REACHED, REFUSED), "{answer:?}");
        assert!(found[1].1.contains("退款") && found[1].1.contains("退回款项"), "{}", found[1].1);
    }
    assert_eq!(told.len(), 3);
    assert_eq!(messages(&mut manager, &children[0].name).await.len(), 3);
    assert_eq!(messages(&mut manager, &south.name).await, []);
    // Whoever may override both here and there.
    say(&mut manager, &parent.name, "款项：退款", true).await.unwrap();
    world.settle().await;
    let heard = messages(&mut manager, &south.name).await;
    assert_eq!((heard.len(), &*heard[0].overridden_phrases), (1, &["退款".to_owned()][..]));
}

#[tokio::test]
async fn x08_children_and_results_come_in_pages_wherever_the_children_are() {
    let world = World::new().await;
    let (parent, mut children) = family(&world, 5).await;
    let mut manager = world.manager();
    for unit in ["group/south", "group/north/riverside", "group/south", "group/north"] {
        let child = world.clerk().create(complaint(unit, "停水")).await;
        children.push(link(&mut manager, &child.name, &parent.name).await.unwrap());
    }
    let said = say(&mut manager, &parent.name, "{ticket.number} 已受理", false).await.unwrap();
    world.settle().await;
    for unit in ["group", "group/north", "group/south", "group/south/riverside"] {
        let mut expected: Vec<_> = children
            .iter()
            .filter(|child| {
                child.org_unit == unit || child.org_unit.starts_with(&format!("{unit}/"))
            })
            .map(|child| child.name.clone())
            .collect();
        expected.sort();
        let mut listed = Vec::new();
        let mut request = pb::ListChildTicketsRequest {
            parent: parent.name.clone(),
            org_unit: unit.into(),
            page_size: 2,
            ..Default::default()
        };
        for _ in 0..=children.len() {
            let page =
                manager.links.list_child_tickets(request.clone()).await.unwrap().into_inner();
            listed.extend(page.tickets.into_iter().map(|ticket| ticket.name));
            request.page_token = page.next_page_token;
            if request.page_token.is_empty() {
                break;
            }
        }
        assert_eq!(listed, expected, "{unit}");
        let mut found = Vec::new();
        let mut request = pb::ListMassAnswerResultsRequest {
            parent: said.name.clone(),
            org_unit: unit.into(),
            page_size: 2,
            ..Default::default()
        };
        for _ in 0..=children.len() {
            let page = manager.links.list_mass_answer_results(request.clone()).await;
            let page = page.unwrap().into_inner();
            found.extend(page.results.into_iter().map(|result| result.ticket));
            request.page_token = page.next_page_token;
            if request.page_token.is_empty() {
                break;
            }
        }
        assert_eq!(found, expected, "{unit}");
    }
}

fn explained(statement: &str) -> String {
    format!("EXPLAIN (ANALYZE, FORMAT JSON) {statement}")
}

/// The most rows that any part of a plan came to, over all of its rounds.
fn most_rows(plan: &serde_json::Value) -> i64 {
    let own = |field: &str| plan.get(field).and_then(serde_json::Value::as_f64).unwrap_or_default();
    #[expect(clippy::cast_possible_truncation, reason = "counts of a few thousand rows")]
    let own = (own("Actual Rows") * own("Actual Loops")).round() as i64;
    let below = match plan {
        serde_json::Value::Object(fields) => fields.values().map(most_rows).max(),
        serde_json::Value::Array(items) => items.iter().map(most_rows).max(),
        _ => None,
    };
    own.max(below.unwrap_or_default())
}

#[tokio::test]
async fn x08_a_page_of_children_or_results_costs_what_it_shows_and_not_what_others_have() {
    let world = World::new().await;
    let (parent, _) = family(&world, 1).await;
    let mut manager = world.manager();
    let said = say(&mut manager, &parent.name, "已受理", false).await.unwrap();
    world.settle().await;
    // As many as a mass complaint has, put there by the operator.
    let owner = world.database.owner_pool().unwrap();
    let id = |name: &str| name.rsplit('/').next().unwrap().to_owned();
    let crowd = "INSERT INTO ticket SELECT (jsonb_populate_record(ticket, jsonb_build_object(
                     'id', gen_random_uuid(), 'number', 'X-' || n))).*
                 FROM ticket CROSS JOIN generate_series(1, 5000) AS n WHERE links ->> 'parent' = $1";
    sqlx::query(crowd).bind(id(&parent.name)).execute(&owner).await.unwrap();
    let results = "INSERT INTO mass_answer_result
                   SELECT $1::uuid, id, 'reached', '', created_at FROM ticket WHERE number LIKE 'X-%'";
    sqlx::query(results).bind(id(&said.name)).execute(&owner).await.unwrap();
    let links = "INSERT INTO ticket_link (child_id, number, parent_id, answers_before, linked_by, linked_at)
                 SELECT id, 1, $1::uuid, 0, 'operator', created_at FROM ticket WHERE number LIKE 'X-%'";
    sqlx::query(links).bind(id(&parent.name)).execute(&owner).await.unwrap();
    sqlx::query("ANALYZE ticket, ticket_link, mass_answer_result").execute(&owner).await.unwrap();
    let late = world.clerk().create(complaint("group/south", "停水")).await;
    link(&mut manager, &late.name, &parent.name).await.unwrap();
    // Where few are: by the index of the children, and none but those. Where the parent is: as many as the page has.
    let few = include_str!("../../src/store/link_children_below.sql");
    let plan = sqlx::query_scalar(sqlx::AssertSqlSafe(explained(few)));
    let plan: serde_json::Value = plan
        .bind(id(&parent.name))
        .bind("group/south")
        .bind(uuid::Uuid::nil())
        .bind(51_i64)
        .fetch_one(&owner)
        .await
        .unwrap();
    assert!(plan.to_string().contains("ticket_child_idx"), "{plan}");
    assert!(most_rows(&plan) < 10, "{plan}");
    let many = include_str!("../../src/store/link_children.sql");
    let plan = sqlx::query_scalar(sqlx::AssertSqlSafe(explained(many)));
    let plan: serde_json::Value = plan
        .bind(uuid::Uuid::try_parse(&id(&parent.name)).unwrap())
        .bind("group")
        .bind(uuid::Uuid::nil())
        .bind(51_i64)
        .fetch_one(&owner)
        .await
        .unwrap();
    assert!(plan.to_string().contains("ticket_link_children_idx"), "{plan}");
    assert!(most_rows(&plan) <= 51, "{plan}");
    let request = pb::ListChildTicketsRequest {
        parent: parent.name.clone(),
        org_unit: "group/south".into(),
        ..Default::default()
    };
    let page = manager.links.list_child_tickets(request).await.unwrap().into_inner();
    let names: Vec<_> = page.tickets.into_iter().map(|ticket| ticket.name).collect();
    assert_eq!((names, &*page.next_page_token), (vec![late.name], ""));
    // A page of results looks at so many, tells none, and where it goes on.
    let mut request = pb::ListMassAnswerResultsRequest {
        parent: said.name,
        org_unit: "group/south".into(),
        ..Default::default()
    };
    let mut pages = 1;
    for _ in 0..10 {
        let page = manager.links.list_mass_answer_results(request.clone()).await;
        let page = page.unwrap().into_inner();
        assert_eq!(page.results, []);
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
        pages += 1;
    }
    assert_eq!(pages, 3, "5001 of them, 2000 at a time");
}
