//! One complaint from the call to the verdict, and beside it another one in a region that promises other things.
//!
//! All times below are worked out by hand. Shanghai is eight hours ahead; the National Day holiday of 2026 is from
//! Thursday, 1 October to Wednesday, 7 October, and Saturday, 10 October makes up for a part of it.

use kefu_api::customer::v1 as customer;
use kefu_api::survey::v1 as survey;
use kefu_api::survey::v1::survey_service_client::SurveyServiceClient;
use kefu_api::ticket::v1 as pb;
use kefu_api::ticket::v1::ticket_event::Change;
use kefu_identity::role;
use tonic::Streaming;

use crate::company::{LAKESIDE, RIVERSIDE, complaint, customer_of_riverside, registration};
use crate::reading;
use crate::world::{Way, World, at, request_id};

/// Wednesday, three in the afternoon in Shanghai, the last working day before the holiday.
const REGISTERED: &str = "2026-09-30T07:00:00Z";
/// 24 hours later, on the holiday.
const HOURS_BREACHED: &str = "2026-10-01T07:00:00Z";
/// Three hours were left on Wednesday, so five of the next working day, which is Thursday, 8 October: three in the
/// afternoon, because nobody works from noon to one.
const DAY_BREACHED: &str = "2026-10-08T07:00:00Z";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c01_c02_c10_t01_t05_t07_t09_t12_t13_t19_t20_t24_s04_s08_g02_the_story_in_one_process() {
    Box::pin(story(Way::OneProcess)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c01_c02_c10_t01_t05_t07_t09_t12_t13_t19_t20_t24_s04_s08_g02_the_story_with_a_process_per_service()
 {
    Box::pin(story(Way::Processes)).await;
}

async fn story(way: Way) {
    let mut world = World::start(way).await;
    world.mesh.add_ticket_replica().await.unwrap();
    world.set_time("2026-09-30T06:00:00Z").await;
    let mut stream = watch(&world).await;

    let who = register_the_customer(&world).await;
    world.set_time(REGISTERED).await;
    let (hours, days) = Box::pin(register_complaints(&world, &who)).await;

    nobody_answers(&world, &hours, &days, &mut stream).await;
    dissatisfied(&world, &hours, &mut stream).await;
    satisfied(&world, &hours).await;
    by_working_days(&world, &days, &mut stream).await;

    reading::deadlines(&world, &hours, &days).await;
    reading::trail(&world, &hours, &days, stream).await;
    reading::report(&world).await;
    reading::overview(&mut world, &who.customer, &hours, &days).await;
    world.mesh.stop().await.unwrap();
}

/// The customer and the one who calls.
pub struct Who {
    pub customer: String,
    pub contact: String,
}

async fn watch(world: &World) -> Streaming<pb::WatchTicketsResponse> {
    let request = pb::WatchTicketsRequest { org_unit: "group".into(), ..Default::default() };
    world.clerk().tickets().watch_tickets(request).await.unwrap().into_inner()
}

/// The next thing that happens to a ticket.
pub async fn next(stream: &mut Streaming<pb::WatchTicketsResponse>, ticket: &str) -> Change {
    loop {
        let message = stream.message().await.unwrap().unwrap();
        let Some(event) = message.event else { continue };
        if event.ticket == ticket {
            return event.change.unwrap();
        }
    }
}

pub async fn get(world: &World, name: &str) -> pb::Ticket {
    let request = pb::GetTicketRequest { name: name.into() };
    world.clerk().tickets().get_ticket(request).await.unwrap().into_inner()
}

pub fn clock<'a>(ticket: &'a pb::Ticket, rule: &str, cycle: i32) -> &'a pb::Clock {
    let found = ticket.clocks.iter().find(|clock| clock.rule == rule && clock.cycle == cycle);
    found.unwrap_or_else(|| panic!("no {rule} in cycle {cycle}: {:?}", ticket.clocks))
}

/// 1. A customer with two contacts and a standing in one department, C-01, C-02, C-10.
async fn register_the_customer(world: &World) -> Who {
    let manager = world.client_at(role::MANAGER, RIVERSIDE);
    let registered = manager.customers().create_customer(customer_of_riverside()).await;
    let registered = registered.unwrap().into_inner();
    assert_eq!(registered.code, "C-2026-riverside-000001");
    let parent = registered.name.clone();
    let request = customer::ListContactsRequest { parent: parent.clone(), ..Default::default() };
    let contacts = manager.customers().list_contacts(request).await.unwrap().into_inner().contacts;
    let names: Vec<_> = contacts.iter().map(|contact| contact.display_name.as_str()).collect();
    assert_eq!(names, ["王芳", "Li Wei"]);
    let request = customer::SetStandingRequest {
        parent,
        standing: Some(customer::Standing {
            department: RIVERSIDE.into(),
            grade: "vip".into(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let standing = manager.customers().set_standing(request).await.unwrap().into_inner();
    assert_eq!((standing.grade.as_str(), standing.department.as_str()), ("vip", RIVERSIDE));
    Who { customer: registered.name, contact: contacts[0].name.clone() }
}

/// 2. Two complaints of that customer, one of which is about a department that does not know it as a VIP, T-01, T-05.
async fn register_complaints(world: &World, who: &Who) -> (String, String) {
    let mut clerk = world.clerk().tickets();
    let ticket = |org_unit, subject| pb::Ticket {
        customer: who.customer.clone(),
        contact: who.contact.clone(),
        ..complaint(org_unit, subject)
    };
    let request = registration(ticket(RIVERSIDE, "三号楼电梯停运"), request_id(1));
    let hours = clerk.create_ticket(request.clone()).await.unwrap().into_inner();
    assert_eq!(hours.number, "T-2026-riverside-000001");
    assert_eq!((hours.priority(), &*hours.customer_grade), (pb::TicketPriority::High, "vip"));
    assert_eq!((hours.state(), hours.receiver_level), (pb::TicketState::Registered, 1));
    assert_eq!((&*hours.first_contact_owner, hours.create_time), ("clerk", at(REGISTERED)));
    assert_eq!(clock(&hours, "first-response", 1).due_time, at(HOURS_BREACHED));
    assert_eq!(clock(&hours, "resolution", 1).due_time, at("2026-10-07T07:00:00Z"));
    let again = clerk.create_ticket(request).await.unwrap().into_inner();
    assert_eq!(again, hours, "X-02");

    let request = registration(ticket(LAKESIDE, "Charged twice"), request_id(2));
    let days = clerk.create_ticket(request).await.unwrap().into_inner();
    assert_eq!(days.number, "T-2026-lakeside-000001");
    assert_eq!((days.priority(), &*days.customer_grade), (pb::TicketPriority::Normal, ""));
    assert_eq!(clock(&days, "first-response", 1).due_time, at(DAY_BREACHED));
    // 3 hours on Wednesday, 8 on Thursday and on Friday a week later, 5 on the Saturday that makes up for the holiday.
    assert_eq!(clock(&days, "resolution", 1).due_time, at("2026-10-10T07:00:00Z"));

    // Somebody whom nobody knows calls by mistake.
    let request = registration(complaint(LAKESIDE, "错打电话"), String::new());
    let name = clerk.create_ticket(request).await.unwrap().into_inner().name;
    let request =
        pb::CancelTicketRequest { name, reason: "打错了".into(), ..Default::default() };
    world.manager().tickets().cancel_ticket(request).await.unwrap();
    (hours.name, days.name)
}

/// 3. The deadline passes: breach, violation and escalation are one change, once, with two replicas, T-07, T-12, T-19.
async fn nobody_answers(
    world: &World,
    hours: &str,
    days: &str,
    stream: &mut Streaming<pb::WatchTicketsResponse>,
) {
    assert!(matches!(next(stream, hours).await, Change::Registered(_)));
    world.set_time("2026-10-01T06:59:59.999Z").await;
    assert_eq!(
        clock(&get(world, hours).await, "first-response", 1).state(),
        pb::ClockState::Running
    );
    world.set_time(HOURS_BREACHED).await;
    let Change::ClockBreached(seen) = next(stream, hours).await else { panic!("not a breach") };
    let broken = seen.clock.unwrap();
    assert_eq!((&*broken.rule, broken.breach_time), ("first-response", at(HOURS_BREACHED)));
    assert_eq!(seen.violation.unwrap().code, "late-first-response");
    assert_eq!(seen.escalation.unwrap().to_level, 2);

    let ticket = get(world, hours).await;
    assert_eq!((ticket.state(), ticket.receiver_level), (pb::TicketState::Registered, 2));
    let first = clock(&ticket, "first-response", 1);
    assert_eq!((first.state(), first.breach_time), (pb::ClockState::Breached, at(HOURS_BREACHED)));
    assert_eq!(first.fulfill_time, None);
    let [form] = &ticket.escalations[..] else { panic!("{:?}", ticket.escalations) };
    assert_eq!((form.cause(), form.from_level), (pb::EscalationCause::Breach, 1));
    let violations = violations(world).await;
    let [violation] = &violations[..] else { panic!("{violations:?}") };
    assert_eq!((&*violation.ticket, &*violation.staff), (hours, "clerk"));
    assert_eq!((violation.amount_cents, &*violation.currency), (5_000, "CNY"));
    assert_eq!(violation.state(), pb::ViolationState::Proposed);
    assert_eq!(get(world, days).await.receiver_level, 1, "one working day is not over");
}

pub async fn violations(world: &World) -> Vec<pb::Violation> {
    let request = pb::ListViolationsRequest { org_unit: "group".into(), ..Default::default() };
    world.clerk().tickets().list_violations(request).await.unwrap().into_inner().violations
}

/// Answered, solved, told, each at its time.
async fn handle(world: &World, role: &str, name: &str, [answer, solution, result]: [&str; 3]) {
    let mut tickets = world.client(role).tickets();
    world.set_time(answer).await;
    let request = pb::RespondTicketRequest {
        name: name.into(),
        message: "维修人员已在路上".into(),
        ..Default::default()
    };
    let ticket = tickets.respond_ticket(request).await.unwrap().into_inner();
    assert_eq!(ticket.handler, role);
    world.set_time(solution).await;
    let request = pb::ResolveTicketRequest {
        name: name.into(),
        solution: "更换了控制板".into(),
        ..Default::default()
    };
    tickets.resolve_ticket(request).await.unwrap();
    world.set_time(result).await;
    let request = pb::FeedBackTicketRequest {
        name: name.into(),
        message: "电梯已恢复运行".into(),
        ..Default::default()
    };
    let ticket = tickets.feed_back_ticket(request).await.unwrap().into_inner();
    assert_eq!(ticket.state(), pb::TicketState::ResultFedBack);
    world.mesh.clock().settle().await.unwrap();
}

/// The customer is asked by the survey, and answers without any sign-in, S-04, S-08.
async fn answer(world: &World, ticket: &str, cycle: i32, time: &str, verdict: i32) {
    let mut quality = world.quality().surveys();
    let request = survey::ListInvitationsRequest {
        org_unit: "group".into(),
        ticket: ticket.into(),
        ..Default::default()
    };
    let invitations = quality.list_invitations(request).await.unwrap().into_inner().invitations;
    let invitation = &invitations[0];
    assert_eq!(
        (invitation.ticket_cycle, invitation.state()),
        (cycle, survey::InvitationState::Created)
    );
    assert_eq!(i32::try_from(invitations.len()).unwrap(), cycle, "one for each cycle");
    assert!(invitation.contact.starts_with(&invitation.customer), "{invitation:?}");
    let request = survey::IssueInvitationTokenRequest {
        name: invitation.name.clone(),
        request_id: String::new(),
    };
    let token = quality.issue_invitation_token(request).await.unwrap().into_inner().token;

    world.set_time(time).await;
    let mut customer = SurveyServiceClient::new(world.nobody());
    let request = survey::GetQuestionnaireRequest { token: token.clone() };
    let asked = customer.get_questionnaire(request).await.unwrap().into_inner();
    assert_eq!(asked.ticket_number, "T-2026-riverside-000001");
    assert_eq!(asked.questionnaire.unwrap().question.unwrap().zh, "您对处理结果满意吗？");
    let request = survey::SubmitAnswerRequest {
        token,
        verdict,
        comment: "电梯又停了😡".into(),
        request_id: request_id(3),
    };
    let said = customer.submit_answer(request.clone()).await.unwrap().into_inner();
    assert_eq!(customer.submit_answer(request).await.unwrap().into_inner(), said, "X-02");
    world.mesh.clock().settle().await.unwrap();
}

/// 4. Handled, but the customer is dissatisfied: one level up with new clocks; the old ones stay as evidence, T-13.
async fn dissatisfied(
    world: &World,
    hours: &str,
    stream: &mut Streaming<pb::WatchTicketsResponse>,
) {
    let times = ["2026-10-02T02:00:00Z", "2026-10-02T03:00:00Z", "2026-10-02T04:00:00Z"];
    handle(world, role::MANAGER, hours, times).await;
    answer(world, hours, 1, "2026-10-02T05:00:00Z", 4).await;
    let reopened = loop {
        if let Change::Reopened(reopened) = next(stream, hours).await {
            break reopened;
        }
    };
    assert_eq!(reopened.verdict.unwrap().value, 4);
    let ticket = get(world, hours).await;
    assert_eq!((ticket.state(), ticket.receiver_level), (pb::TicketState::Reopened, 3));
    assert_eq!((ticket.cycle, &*ticket.first_contact_owner), (2, "clerk"));
    let [verdict] = &ticket.verdicts[..] else { panic!("{:?}", ticket.verdicts) };
    assert_eq!((verdict.value, verdict.cycle), (4, 1));
    assert_eq!(
        (verdict.source(), &*verdict.recorded_by),
        (pb::VerdictSource::Survey, "system/survey")
    );
    assert_eq!(ticket.escalations[1].cause(), pb::EscalationCause::Verdict);

    let first = clock(&ticket, "first-response", 1);
    assert_eq!((first.state(), first.breach_time), (pb::ClockState::Breached, at(HOURS_BREACHED)));
    assert_eq!(first.fulfill_time, at("2026-10-02T02:00:00Z"), "late, and on record as late");
    let kept = [
        ("resolution", "2026-10-02T03:00:00Z", "2026-10-07T07:00:00Z"),
        ("result-feedback", "2026-10-02T04:00:00Z", "2026-10-04T03:00:00Z"),
        ("call-back", "2026-10-02T05:00:00Z", "2026-10-05T04:00:00Z"),
    ];
    for (rule, fulfilled, due) in kept {
        let clock = clock(&ticket, rule, 1);
        assert_eq!(clock.state(), pb::ClockState::Met, "{rule}");
        assert_eq!((clock.fulfill_time, clock.due_time), (at(fulfilled), at(due)), "{rule}");
    }
    for (rule, due) in
        [("first-response", "2026-10-03T05:00:00Z"), ("resolution", "2026-10-09T05:00:00Z")]
    {
        let clock = clock(&ticket, rule, 2);
        assert_eq!((clock.state(), clock.due_time), (pb::ClockState::Running, at(due)), "{rule}");
    }
    assert_eq!(ticket.clocks.len(), 6);
}

/// 5. Handled again, and the customer is satisfied.
async fn satisfied(world: &World, hours: &str) {
    let evidence = get(world, hours).await.clocks[..4].to_vec();
    let times = ["2026-10-02T06:00:00Z", "2026-10-02T07:00:00Z", "2026-10-02T08:00:00Z"];
    handle(world, role::DIRECTOR, hours, times).await;
    answer(world, hours, 2, "2026-10-02T09:00:00Z", 2).await;
    let ticket = get(world, hours).await;
    assert_eq!(
        (ticket.state(), ticket.close_time),
        (pb::TicketState::Closed, at("2026-10-02T09:00:00Z"))
    );
    assert_eq!(ticket.clocks[..4], evidence, "what the first cycle shows never changes");
    let second = ticket.clocks[4..].iter();
    let second: Vec<_> = second.map(|clock| (&*clock.rule, clock.cycle, clock.state())).collect();
    let met = ["first-response", "resolution", "result-feedback", "call-back"];
    assert_eq!(second, met.map(|rule| (rule, 2, pb::ClockState::Met)));
    assert_eq!(ticket.first_response_time, at("2026-10-02T02:00:00Z"), "that of the first cycle");
}

/// The other complaint: broken only after a working day, solved in time because of the make-up Saturday, and judged by
/// telephone, for which the invitation is taken back.
async fn by_working_days(
    world: &World,
    days: &str,
    stream: &mut Streaming<pb::WatchTicketsResponse>,
) {
    world.set_time("2026-10-08T06:59:59.999Z").await;
    assert_eq!(get(world, days).await.receiver_level, 1);
    world.set_time(DAY_BREACHED).await;
    loop {
        if let Change::ClockBreached(breach) = next(stream, days).await {
            assert_eq!(breach.clock.unwrap().breach_time, at(DAY_BREACHED));
            break;
        }
    }
    assert_eq!(get(world, days).await.receiver_level, 2);
    let times = ["2026-10-08T08:30:00Z", "2026-10-10T06:00:00Z", "2026-10-10T06:30:00Z"];
    handle(world, role::MANAGER, days, times).await;
    world.set_time("2026-10-10T08:00:00Z").await;
    let request = pb::RecordVerdictRequest { name: days.into(), value: 1, ..Default::default() };
    let own = world.manager().tickets().record_verdict(request.clone()).await.unwrap_err();
    assert_eq!(own.code(), tonic::Code::PermissionDenied, "nobody judges his own work, T-13");
    let ticket = world.quality().tickets().record_verdict(request).await.unwrap().into_inner();
    assert_eq!(ticket.state(), pb::TicketState::Closed);
    assert_eq!(clock(&ticket, "resolution", 1).state(), pb::ClockState::Met);
    world.mesh.clock().settle().await.unwrap();
    let request = survey::ListInvitationsRequest {
        org_unit: "group".into(),
        ticket: days.into(),
        ..Default::default()
    };
    let asked = world.quality().surveys().list_invitations(request).await.unwrap().into_inner();
    let states: Vec<_> = asked.invitations.iter().map(|invitation| invitation.state()).collect();
    assert_eq!(states, [survey::InvitationState::Revoked]);
}
