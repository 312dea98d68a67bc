//! T-04, X-07: whom an answer or a solution on a parent reaches, in whose name, and that nothing holds up the rest.

use kefu_api::ticket::v1 as pb;
use kefu_identity::role;
use tonic::{Code, Response, Status};

use crate::delivery::messages;
use crate::handling::lacking;
use crate::mass_answer::{answers, family, link, missed, results};
use crate::merge::{merge, unmerge};
use crate::neighbour::{Held, hold, silent};
use crate::recipients::correct;
use crate::world::{Desk, World, complaint, reason};

use pb::MassAnswerOutcome::{Ended, Failed, Reached, Refused};

async fn say(desk: &mut Desk, parent: &str, message: &str) -> Result<pb::MassAnswer, Status> {
    let request = pb::AnswerChildTicketsRequest {
        name: parent.into(),
        message: message.into(),
        ..Default::default()
    };
    desk.links.answer_child_tickets(request).await.map(Response::into_inner)
}

async fn outcomes(desk: &mut Desk, answer: &str) -> Vec<pb::MassAnswerOutcome> {
    let found = results(desk, answer, "group").await;
    found.iter().map(pb::MassAnswerResult::outcome).collect()
}

/// Of the last answer.
async fn last(desk: &mut Desk, parent: &str) -> Vec<pb::MassAnswerOutcome> {
    let last = answers(desk, parent).await.remove(0);
    outcomes(desk, &last.name).await
}

async fn add(world: &World, parent: &str, child: pb::Ticket) -> pb::Ticket {
    let child = world.clerk().create(child).await;
    link(&mut world.manager(), &child.name, parent).await.unwrap()
}

async fn heard(world: &World, ticket: &str) -> Vec<String> {
    let said = messages(&mut world.manager(), ticket).await;
    said.into_iter().map(|said| said.body).collect()
}

#[tokio::test]
async fn x07_nobody_solves_through_a_parent_what_he_may_not_solve_himself() {
    // No level of this policy names roles.
    let world = World::new().await;
    let (parent, children) = family(&world, 1).await;
    let south = add(&world, &parent.name, complaint("group/south", "南区停水")).await;
    let mut north = world.desk("bei", "group/north", role::HANDLER);
    north.resolve(&parent.name).await.unwrap();
    let ask = pb::ResolveChildTicketsRequest { name: parent.name.clone(), ..Default::default() };
    north.links.resolve_child_tickets(ask.clone()).await.unwrap();
    world.settle().await;
    let mut manager = world.manager();
    assert_eq!(last(&mut manager, &parent.name).await, [Reached, Refused]);
    let asked = answers(&mut manager, &parent.name).await.remove(0);
    let told = results(&mut manager, &asked.name, "group/south").await.remove(0).detail;
    assert!(told.contains("org unit") && told.contains("组织单元"), "{told}");
    let solved = manager.get(&children[0].name).await;
    assert_eq!((solved.state(), &*solved.handler), (pb::TicketState::Resolved, "bei"));
    let untouched = manager.get(&south.name).await;
    assert_eq!((untouched.state(), &*untouched.handler), (pb::TicketState::Registered, ""));
    // An answer is the parent's and needs no more than that.
    north.feed_back(&parent.name).await.unwrap();
    world.settle().await;
    assert_eq!(last(&mut manager, &parent.name).await, [Reached, Reached]);
    // Whoever may do it in both.
    manager.links.resolve_child_tickets(ask).await.unwrap();
    world.settle().await;
    assert_eq!(manager.get(&south.name).await.handler, "manager");
}

#[tokio::test]
async fn t04_a_child_is_merged_only_where_the_parents_answers_reach() {
    let world = World::new().await;
    let (parent, children) = family(&world, 2).await;
    let alone = world.clerk().create(complaint("group/north", "停水")).await;
    let mut manager = world.manager();
    let error = merge(&mut manager, &children[0].name, &alone.name).await.unwrap_err();
    assert_eq!(lacking(&error), ["SAME_PARENT"]);
    merge(&mut manager, &children[0].name, &children[1].name).await.unwrap();
    say(&mut manager, &parent.name, "18 点恢复").await.unwrap();
    world.settle().await;
    assert_eq!(last(&mut manager, &parent.name).await, [Ended, Reached]);
    // Unmerged, its customer is told what was said meanwhile.
    assert_eq!(missed(&mut manager, &children[1].name).await, []);
    unmerge(&mut manager, &children[0].name).await.unwrap();
    let unheard = missed(&mut manager, &children[0].name).await;
    assert_eq!(unheard.iter().map(|said| &*said.body).collect::<Vec<_>>(), ["18 点恢复"]);
    say(&mut manager, &parent.name, "已恢复").await.unwrap();
    world.settle().await;
    assert_eq!(missed(&mut manager, &children[0].name).await, unheard, "that it has heard");
}

#[tokio::test]
async fn t04_a_name_that_nobody_tells_is_waited_for_and_then_gone_without() {
    let world = World::new().await;
    let (parent, children) = family(&world, 1).await;
    let customer = world.customer(silent(51)).await;
    world.settle().await;
    let named = pb::Ticket { customer, ..complaint("group/north", "家里停水") };
    let named = add(&world, &parent.name, named).await;
    let mut manager = world.manager();
    say(&mut manager, &parent.name, "{customer.name}您好，正在抢修").await.unwrap();
    manager.respond(&parent.name).await.unwrap();
    // Not to be told by the time that goes by: the clock does.
    world.pass_hours(1).await;
    world.settle().await;
    let expected = ["客户您好，正在抢修", "我们正在处理"];
    assert_eq!(heard(&world, &named.name).await, expected);
    assert_eq!(heard(&world, &children[0].name).await.len(), 2);
    let waiting = "SELECT count(*) FROM mass_answer WHERE finished_at IS NULL";
    assert_eq!(world.count(waiting).await, 0);
}

#[tokio::test]
async fn t04_a_child_on_which_it_fails_every_time_holds_up_nobody() {
    let world = World::new().await;
    let (parent, children) = family(&world, 2).await;
    let mut manager = world.manager();
    // As if the schema had a rule that the program does not know.
    let id = children[0].name.rsplit('/').next().unwrap();
    let rule = format!("ALTER TABLE message ADD CONSTRAINT unheard_of CHECK (ticket_id <> '{id}')");
    let owner = world.database.owner_pool().unwrap();
    sqlx::query(sqlx::AssertSqlSafe(rule)).execute(&owner).await.unwrap();
    for message in ["正在抢修", "已恢复"] {
        say(&mut manager, &parent.name, message).await.unwrap();
    }
    world.settle().await;
    assert_eq!(heard(&world, &children[1].name).await, ["正在抢修", "已恢复"]);
    assert_eq!(last(&mut manager, &parent.name).await, [Failed, Reached]);
    assert_eq!(heard(&world, &children[0].name).await, Vec::<String>::new());
    assert_eq!(missed(&mut manager, &children[0].name).await.len(), 2);
}

/// A customer whose name is asked for and told only once somebody else has gone on; with a ticket of his.
async fn slow(world: &World, number: u128, child_of: Option<&str>) -> (Held, pb::Ticket) {
    let held = hold(number);
    let customer = world.customer(held.customer()).await;
    world.settle().await;
    let ticket = pb::Ticket { customer, ..complaint("group/north", "家里停水") };
    let ticket = match child_of {
        Some(parent) => add(world, parent, ticket).await,
        None => world.clerk().create(ticket).await,
    };
    (held, ticket)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t14_nobody_is_called_by_the_name_of_whom_the_ticket_was_not_of() {
    let world = World::new().await;
    let mut manager = world.manager();
    // The parent itself is put right while the name is asked for.
    let (held, parent) = slow(&world, 61, None).await;
    let child = add(&world, &parent.name, complaint("group/north", "也停水")).await;
    let mut other = world.desk("wang", "group", role::MANAGER);
    let name = parent.name.clone();
    let saying = tokio::spawn(async move { say(&mut other, &name, "{customer.name}您好").await });
    held.asked().await;
    correct(&mut manager, &parent.name, "李四").await;
    held.tell();
    let error = saying.await.unwrap().unwrap_err();
    assert_eq!((error.code(), &*reason(&error)), (Code::Aborted, "CONFLICT"));
    assert_eq!(heard(&world, &parent.name).await, Vec::<String>::new());
    say(&mut manager, &parent.name, "{customer.name}您好").await.unwrap();
    world.settle().await;
    assert_eq!(heard(&world, &parent.name).await, ["李四您好"]);
    assert_eq!(heard(&world, &child.name).await, ["客户您好"]);
    // And a child.
    let (held, child) = slow(&world, 62, Some(&parent.name)).await;
    say(&mut manager, &parent.name, "{customer.name}，已恢复").await.unwrap();
    held.asked().await;
    correct(&mut manager, &child.name, "王五").await;
    held.tell();
    world.settle().await;
    assert_eq!(heard(&world, &child.name).await, ["王五，已恢复"]);
}
