//! T-04: tickets on one cause, and one answer that reaches all.

use futures::StreamExt as _;
use kefu_api::ticket::v1 as pb;
use kefu_identity::role;
use tonic::{Code, Status};

use crate::delivery::{by, deliveries, messages, send};
use crate::handling::lacking;
use crate::pack::{policy, text};
use crate::receiver::Endpoint;
use crate::world::{Desk, World, clock, complaint, request_id, violations};

pub async fn link(desk: &mut Desk, child: &str, parent: &str) -> Result<pb::Ticket, Status> {
    let request =
        pb::LinkTicketRequest { name: child.into(), parent: parent.into(), ..Default::default() };
    desk.links.link_ticket(request).await.map(tonic::Response::into_inner)
}

pub async fn answers(desk: &mut Desk, parent: &str) -> Vec<pb::MassAnswer> {
    let request = pb::ListMassAnswersRequest { parent: parent.into(), ..Default::default() };
    desk.links.list_mass_answers(request).await.unwrap().into_inner().mass_answers
}

pub async fn missed(desk: &mut Desk, child: &str) -> Vec<pb::MassAnswer> {
    let request = pb::ListMissedAnswersRequest { parent: child.into(), ..Default::default() };
    desk.links.list_missed_answers(request).await.unwrap().into_inner().mass_answers
}

pub async fn results(desk: &mut Desk, answer: &str, org_unit: &str) -> Vec<pb::MassAnswerResult> {
    let request = pb::ListMassAnswerResultsRequest {
        parent: answer.into(),
        org_unit: org_unit.into(),
        ..Default::default()
    };
    desk.links.list_mass_answer_results(request).await.unwrap().into_inner().results
}

/// A parent with children in the north.
pub async fn family(world: &World, children: usize) -> (pb::Ticket, Vec<pb::Ticket>) {
    let (mut clerk, mut manager) = (world.clerk(), world.manager());
    let parent = clerk.create(complaint("group/north", "全区停水")).await;
    let mut found = Vec::new();
    for number in 1..=children {
        let complainant = format!("业主{number}");
        let child = pb::Ticket { complainant, ..complaint("group/north", "家里停水") };
        let child = clerk.create(child).await;
        found.push(link(&mut manager, &child.name, &parent.name).await.unwrap());
    }
    (parent, found)
}

#[tokio::test]
async fn t04_one_answer_reaches_all_each_in_its_own_words_and_stops_its_own_clock() {
    let world = World::new().await;
    let mut manager = world.manager();
    let (parent, children) = family(&world, 3).await;
    let request = pb::CancelTicketRequest {
        name: children[2].name.clone(),
        reason: "登记错误".into(),
        ..Default::default()
    };
    manager.tickets.cancel_ticket(request).await.unwrap();
    world.pass_hours(2).await;
    let answer = pb::AnswerChildTicketsRequest {
        name: parent.name.clone(),
        message: "{customer.name}您好，工单 {ticket.number} 预计 18 点恢复供水".into(),
        request_id: request_id(1),
        ..Default::default()
    };
    let said = manager.links.answer_child_tickets(answer.clone()).await.unwrap().into_inner();
    assert_eq!(
        (said.number, said.personal, said.purpose()),
        (1, true, pb::MassAnswerPurpose::Answer)
    );
    world.settle().await;
    // Said again under the same id, it is the same.
    assert_eq!(
        manager.links.answer_child_tickets(answer).await.unwrap().into_inner().name,
        said.name
    );
    world.settle().await;
    for (number, child) in children[..2].iter().enumerate() {
        let heard = messages(&mut manager, &child.name).await;
        let expected = format!("业主{}您好，工单 {} 预计 18 点恢复供水", number + 1, child.number);
        assert_eq!(heard.iter().map(|said| said.body.as_str()).collect::<Vec<_>>(), [expected]);
        let child = manager.get(&child.name).await;
        let first = clock(&child, "first-response", 1);
        assert_eq!((first.state(), first.fulfill_time), (pb::ClockState::Met, said.create_time));
        assert_eq!(child.handler, "manager");
    }
    let own = messages(&mut manager, &parent.name).await;
    assert_eq!(own[0].body, format!("客户您好，工单 {} 预计 18 点恢复供水", parent.number));
    let told = answers(&mut manager, &parent.name).await;
    assert_eq!((told.len(), told[0].reached_count, told[0].unreached_count), (1, 2, 1));
    assert_eq!(told[0].finish_time, said.create_time);
    let outcomes: Vec<_> =
        results(&mut manager, &said.name, "group").await.iter().map(|r| r.outcome()).collect();
    let (reached, ended) = (pb::MassAnswerOutcome::Reached, pb::MassAnswerOutcome::Ended);
    assert_eq!(outcomes, [reached, reached, ended]);
    // What is answered as always reaches them as well.
    manager.respond(&parent.name).await.unwrap();
    world.settle().await;
    assert_eq!(messages(&mut manager, &children[0].name).await.len(), 2);
    assert_eq!(answers(&mut manager, &parent.name).await.len(), 2);
}

#[tokio::test]
async fn t04_who_is_linked_later_is_told_what_it_missed() {
    let world = World::new().await;
    let mut manager = world.manager();
    let (parent, _) = family(&world, 1).await;
    manager.respond(&parent.name).await.unwrap();
    let late = world.clerk().create(complaint("group/south", "也停水")).await;
    let linked = link(&mut manager, &late.name, &parent.name).await.unwrap();
    assert_eq!(linked.parent, parent.name);
    world.settle().await;
    assert_eq!(messages(&mut manager, &late.name).await, [], "said before it was there");
    let unheard = missed(&mut manager, &late.name).await;
    assert_eq!(unheard.iter().map(|said| said.body.as_str()).collect::<Vec<_>>(), ["我们正在处理"]);
    manager.respond(&parent.name).await.unwrap();
    world.settle().await;
    assert_eq!(messages(&mut manager, &late.name).await.len(), 1);
    assert_eq!(missed(&mut manager, &late.name).await.len(), 1, "the second it has heard");
    // Whoever leaves hears no more.
    let request = pb::UnlinkTicketRequest {
        name: late.name.clone(),
        reason: "另有原因".into(),
        ..Default::default()
    };
    let alone = manager.links.unlink_ticket(request.clone()).await.unwrap().into_inner();
    assert_eq!(alone.parent, "");
    let error = manager.links.unlink_ticket(request).await.unwrap_err();
    assert_eq!(lacking(&error), ["LINKED"]);
    manager.respond(&parent.name).await.unwrap();
    world.settle().await;
    assert_eq!(messages(&mut manager, &late.name).await.len(), 1);
    // Whoever sees the south only sees nothing of the parent.
    let mut south = world.desk("nan", "group/south", role::HANDLER);
    let request = pb::ListMassAnswersRequest { parent: parent.name, ..Default::default() };
    let error = south.links.list_mass_answers(request).await.unwrap_err();
    assert_eq!(error.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn t04_what_is_sent_is_sent_to_each_on_its_own_way() {
    let mut endpoint = Endpoint::start().await;
    let world = crate::delivery::world(&endpoint.adapter("messenger", 1_000)).await;
    let mut manager = world.manager();
    let mut clerk = world.clerk();
    let parent = clerk.create(complaint("group/north", "全区停水")).await;
    let mut children = Vec::new();
    for _ in 0..3 {
        children.push(clerk.create(complaint("group/north", "家里停水")).await.name);
    }
    // One is reached as was said when it was linked, one as it was reached before, and of one nobody knows.
    let request = pb::LinkTicketRequest {
        name: children[0].clone(),
        parent: parent.name.clone(),
        delivery: by("messenger", "wx-1"),
        ..Default::default()
    };
    let unknown = pb::LinkTicketRequest { delivery: by("pigeon", "wx-1"), ..request.clone() };
    let error = manager.links.link_ticket(unknown).await.unwrap_err();
    assert_eq!(violations(&error), ["delivery.adapter"]);
    manager.links.link_ticket(request).await.unwrap();
    send(&mut manager, &children[1], "已登记", by("messenger", "wx-2")).await.unwrap();
    for child in &children[1..] {
        link(&mut manager, child, &parent.name).await.unwrap();
    }
    send(&mut manager, &parent.name, "18 点恢复供水", by("messenger", "wx-0")).await.unwrap();
    world.settle().await;
    let mut to: Vec<_> = deliveries(&mut manager, "group", &[pb::DeliveryState::Sent])
        .await
        .into_iter()
        .map(|delivery| (delivery.recipient, delivery.ticket))
        .collect();
    to.sort();
    let expected = [
        ("wx-0", &parent.name),
        ("wx-1", &children[0]),
        ("wx-2", &children[1]),
        ("wx-2", &children[1]),
    ];
    let expected = expected.map(|(recipient, ticket)| (recipient.to_owned(), ticket.clone()));
    assert_eq!(to, expected);
    assert_eq!(endpoint.all().len(), 4);
    let answer = answers(&mut manager, &parent.name).await.remove(0);
    let outcomes: Vec<_> =
        results(&mut manager, &answer.name, "group").await.iter().map(|r| r.outcome()).collect();
    assert_eq!(
        outcomes,
        [
            pb::MassAnswerOutcome::Reached,
            pb::MassAnswerOutcome::Reached,
            pb::MassAnswerOutcome::NoRecipient
        ]
    );
    let unheard = manager.get(&children[2]).await;
    assert_eq!(
        clock(&unheard, "first-response", 1).state(),
        pb::ClockState::Running,
        "it heard nothing"
    );
}

#[tokio::test]
async fn t04_a_wrong_wording_or_a_forbidden_phrase_is_caught_before_anybody_hears_it() {
    let world = World::new().await;
    let mut manager = world.manager();
    let suggestion = Some(text("", "我们会尽力"));
    let phrase = pb::ForbiddenPhrase { phrase: "不可能".into(), suggestion };
    let rules = pb::TicketPolicy { forbidden_phrases: vec![phrase], ..policy() };
    world.admin().apply("group", rules).await.unwrap();
    let (parent, children) = family(&world, 2).await;
    let say = |message: &str| pb::AnswerChildTicketsRequest {
        name: parent.name.clone(),
        message: message.into(),
        ..Default::default()
    };
    for wrong in ["您好 {customer.nmae}", "您好 {", "不 可 能恢复", ""] {
        let error = manager.links.answer_child_tickets(say(wrong)).await.unwrap_err();
        assert_eq!(violations(&error), ["message"], "{wrong}");
    }
    world.settle().await;
    assert_eq!(world.count("SELECT count(*) FROM message").await, 0);
    let overridden = pb::AnswerChildTicketsRequest {
        override_forbidden_phrases: true,
        ..say("不可能恢复")
    };
    let mut handler = world.desk("wang", "group", role::HANDLER);
    let error = handler.links.answer_child_tickets(overridden.clone()).await.unwrap_err();
    assert_eq!(error.code(), Code::PermissionDenied);
    manager.links.answer_child_tickets(overridden).await.unwrap();
    world.settle().await;
    let heard = messages(&mut manager, &children[0].name).await;
    assert_eq!(heard[0].overridden_phrases, ["不可能"], "on record with each");
    // Alone there is nobody to answer; the front desk answers no crowd.
    let single = world.clerk().create(complaint("group", "噪音")).await;
    let request = pb::AnswerChildTicketsRequest { name: single.name.clone(), ..say("好") };
    let error = manager.links.answer_child_tickets(request.clone()).await.unwrap_err();
    assert_eq!(lacking(&error), ["CHILDREN"]);
    let error = world.clerk().links.answer_child_tickets(request).await.unwrap_err();
    assert_eq!(error.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn t04_a_solution_is_offered_or_taken_over_as_the_policy_says_and_each_has_its_own_verdict() {
    let world = World::new().await;
    let mut manager = world.manager();
    let (parent, offered) = family(&world, 1).await;
    let request =
        pb::ResolveChildTicketsRequest { name: parent.name.clone(), ..Default::default() };
    let error = manager.links.resolve_child_tickets(request.clone()).await.unwrap_err();
    assert_eq!(lacking(&error), ["SOLUTION"]);
    let links = pb::LinkRules { resolve_children: true, ..Default::default() };
    let rules = pb::TicketPolicy { links: Some(links), ..policy() };
    world.admin().apply("group", rules).await.unwrap();
    let taking = world.clerk().create(complaint("group/north", "没水")).await;
    link(&mut manager, &taking.name, &parent.name).await.unwrap();
    manager.resolve(&parent.name).await.unwrap();
    world.settle().await;
    // Each is judged by the policy of its own time.
    assert_eq!(manager.get(&taking.name).await.state(), pb::TicketState::Resolved);
    assert_eq!(manager.get(&offered[0].name).await.state(), pb::TicketState::Registered);
    let answer = answers(&mut manager, &parent.name).await.remove(0);
    let told = results(&mut manager, &answer.name, "group").await;
    assert_eq!(told[0].outcome(), pb::MassAnswerOutcome::Offered);
    manager.links.resolve_child_tickets(request).await.unwrap();
    world.settle().await;
    let solved = manager.get(&offered[0].name).await;
    assert_eq!((solved.state(), &*solved.solution), (pb::TicketState::Resolved, "已更换电机"));
    let demanded = answers(&mut manager, &parent.name).await.remove(0);
    let told = results(&mut manager, &demanded.name, "group").await;
    assert_eq!(told[1].outcome(), pb::MassAnswerOutcome::Refused, "solved already: {told:?}");
    // The result is told to all; each is asked for its own verdict.
    manager.feed_back(&parent.name).await.unwrap();
    world.settle().await;
    let mut quality = world.quality();
    let happy = quality.verdict(&taking.name, 1).await.unwrap();
    let unhappy = quality.verdict(&offered[0].name, 5).await.unwrap();
    assert_eq!(
        (happy.state(), unhappy.state()),
        (pb::TicketState::Closed, pb::TicketState::Reopened)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t04_many_children_hear_it_once_each_with_two_replicas_and_after_a_restart() {
    let mut world = World::new().await;
    let (parent, children) = family(&world, 120).await;
    let mut manager = world.manager();
    manager.respond(&parent.name).await.unwrap();
    // Whoever was at it is gone, wherever it was; two others go on.
    world.replicas.remove(0).stop().await.unwrap();
    world.start_replica().await;
    world.start_replica().await;
    world.settle().await;
    let mut manager = world.manager();
    let answer = answers(&mut manager, &parent.name).await.remove(0);
    assert_eq!((answer.reached_count, answer.unreached_count), (120, 0));
    assert!(answer.finish_time.is_some());
    let heard = "SELECT count(*) FROM (SELECT ticket_id FROM message GROUP BY ticket_id HAVING count(*) = 1) AS one";
    assert_eq!(world.count(heard).await, i64::try_from(children.len()).unwrap() + 1);
    assert_eq!(results(&mut manager, &answer.name, "group/south").await, []);
    let request = pb::ListChildTicketsRequest {
        parent: parent.name.clone(),
        org_unit: "group".into(),
        page_size: 100,
        ..Default::default()
    };
    let page = manager.links.list_child_tickets(request.clone()).await.unwrap().into_inner();
    let rest = pb::ListChildTicketsRequest { page_token: page.next_page_token, ..request };
    let rest = manager.links.list_child_tickets(rest).await.unwrap().into_inner();
    assert_eq!((page.tickets.len(), rest.tickets.len(), &*rest.next_page_token), (100, 20, ""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t04_one_level_only_whoever_meets_whom() {
    let mut world = World::new().await;
    world.start_replica().await;
    let mut clerk = world.clerk();
    for _ in 0..6 {
        let mut names = Vec::new();
        for subject in ["甲", "乙", "丙"] {
            names.push(clerk.create(complaint("group", subject)).await.name);
        }
        let pairs = [(0, 1), (1, 2), (1, 0), (2, 0)];
        let calls: Vec<_> = pairs
            .into_iter()
            .enumerate()
            .map(|(index, (child, parent))| {
                let mut desk = world.desk_at(index % 2, "wang", "group", role::HANDLER);
                let (child, parent): (String, String) =
                    (names[child].clone(), names[parent].clone());
                tokio::spawn(async move { link(&mut desk, &child, &parent).await })
            })
            .collect();
        for call in calls {
            if let Err(status) = call.await.unwrap() {
                assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
            }
        }
    }
    let deep = "SELECT count(*) FROM ticket_link AS link JOIN ticket_link AS above ON above.child_id = link.parent_id
                WHERE link.unlinked_at IS NULL AND above.unlinked_at IS NULL";
    assert_eq!(world.count(deep).await, 0, "a parent is no child");
    assert!(world.count("SELECT count(*) FROM ticket_link").await >= 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t04_one_answer_to_hundreds_of_children_has_a_result_for_each_in_bounded_pages() {
    const CHILDREN: usize = 320;
    let world = World::new().await;
    let (mut manager, mut clerk) = (world.manager(), world.clerk());
    let parent = clerk.create(complaint("group/north", "全区停水")).await.name;
    let born = (0..CHILDREN).map(|number| {
        let mut clerk = clerk.clone();
        let org_unit = if number % 4 == 0 { "group/south" } else { "group/north" };
        async move { clerk.create(complaint(org_unit, "家里停水")).await.name }
    });
    let mut children: Vec<String> = futures::stream::iter(born).buffered(32).collect().await;
    for child in &children {
        link(&mut manager, child, &parent).await.unwrap();
    }
    let say = pb::AnswerChildTicketsRequest {
        name: parent.clone(),
        message: "{ticket.number} 预计 18 点恢复供水".into(),
        ..Default::default()
    };
    let answer = manager.links.answer_child_tickets(say).await.unwrap().into_inner().name;
    world.settle().await;
    let told = answers(&mut manager, &parent).await.remove(0);
    assert_eq!((usize::try_from(told.reached_count), told.unreached_count), (Ok(CHILDREN), 0));
    assert!(told.finish_time.is_some());

    let mut request = pb::ListMassAnswerResultsRequest {
        parent: answer.clone(),
        org_unit: "group".into(),
        page_size: 100,
        ..Default::default()
    };
    let (mut sizes, mut reached) = (Vec::new(), Vec::new());
    for _ in 0..4 {
        let page = manager.links.list_mass_answer_results(request.clone()).await.unwrap();
        let page = page.into_inner();
        sizes.push(page.results.len());
        for result in page.results {
            assert_eq!(result.outcome(), pb::MassAnswerOutcome::Reached);
            reached.push(result.ticket);
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!((sizes, &*request.page_token), (vec![100, 100, 100, 20], ""));
    children.sort();
    reached.sort();
    assert_eq!(reached, children, "each once");
    // A page that nobody sized is of fifty, and none is of more than a thousand; a scope sees its own.
    assert_eq!(results(&mut manager, &answer, "group").await.len(), 50);
    let all = pb::ListMassAnswerResultsRequest {
        page_size: i32::MAX,
        page_token: String::new(),
        org_unit: "group/south".into(),
        ..request
    };
    let south = manager.links.list_mass_answer_results(all).await.unwrap().into_inner();
    assert_eq!((south.results.len(), &*south.next_page_token), (CHILDREN / 4, ""));
    let each = "SELECT count(*) FROM (SELECT ticket_id FROM message GROUP BY ticket_id HAVING count(*) = 1) AS one";
    assert_eq!(world.count(each).await, i64::try_from(CHILDREN).unwrap() + 1);
}
