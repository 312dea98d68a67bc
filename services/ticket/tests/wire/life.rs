//! T-06, T-09, T-12, T-13: from the first answer to the verdict.

use kefu_api::ticket::v1 as pb;
use kefu_identity::role;
use tonic_types::StatusExt as _;

use crate::handling::lacking;
use crate::world::{World, at, clock, complaint, metadata, reason};

#[tokio::test]
async fn t09_a_ticket_goes_from_registration_to_its_verdict() {
    let world = World::new().await;
    let mut manager = world.manager();
    let ticket = world.clerk().create(complaint("group/north", "漏水")).await;
    let answered = manager.respond(&ticket.name).await.unwrap();
    assert_eq!(answered.state(), pb::TicketState::InProgress);
    world.pass_hours(1).await;
    let resolved = manager.resolve(&ticket.name).await.unwrap();
    assert_eq!(
        (resolved.state(), resolved.solution.as_str()),
        (pb::TicketState::Resolved, "已更换电机")
    );
    assert_eq!(clock(&resolved, "result-feedback", 1).due_time, at("2026-03-04T03:00:00Z"));
    let told = manager.feed_back(&ticket.name).await.unwrap();
    assert_eq!(told.state(), pb::TicketState::ResultFedBack);
    assert_eq!(clock(&told, "call-back", 1).state(), pb::ClockState::Running);
    let closed = world.quality().verdict(&ticket.name, 2).await.unwrap();
    assert_eq!(closed.state(), pb::TicketState::Closed);
    let verdict = &closed.verdicts[0];
    assert_eq!((verdict.value, verdict.source()), (2, pb::VerdictSource::Call));
    assert!(closed.clocks.iter().all(|clock| clock.state() == pb::ClockState::Met));
    assert!(closed.close_time.is_some() && closed.resolve_time.is_some());
    assert_eq!(manager.get(&ticket.name).await, closed);
    assert_eq!(world.count("SELECT count(*) FROM message").await, 2);
}

#[tokio::test]
async fn t13_a_bad_verdict_reopens_one_level_up_with_a_new_cycle() {
    let world = World::new().await;
    let ticket = world.clerk().create(complaint("group", "漏水")).await;
    world.manager().handle(&ticket.name).await;
    world.pass_hours(1).await;
    let reopened = world.quality().verdict(&ticket.name, 4).await.unwrap();
    assert_eq!(reopened.state(), pb::TicketState::Reopened);
    assert_eq!((reopened.cycle, reopened.receiver_level), (2, 2));
    assert_eq!(reopened.escalations[0].cause(), pb::EscalationCause::Verdict);
    assert_eq!(
        clock(&reopened, "first-response", 1).state(),
        pb::ClockState::Met,
        "evidence stays"
    );
    assert_eq!(clock(&reopened, "first-response", 2).due_time, at("2026-03-03T03:00:00Z"));
    assert_eq!(reopened.solution, "已更换电机");
    world.manager().handle(&ticket.name).await;
    let closed = world.quality().verdict(&ticket.name, 2).await.unwrap();
    assert_eq!((closed.state(), closed.verdicts.len()), (pb::TicketState::Closed, 2));
    assert_eq!(world.manager().get(&ticket.name).await, closed);
}

#[tokio::test]
async fn t12_severity_three_that_stays_unsatisfactory_goes_to_executive_review() {
    let world = World::new().await;
    let severe = pb::Ticket { severity: 3, ..complaint("group", "有人受伤") };
    let ticket = world.clerk().create(severe).await;
    let mut states = Vec::new();
    for _ in 0..2 {
        world.manager().handle(&ticket.name).await;
        states.push(world.quality().verdict(&ticket.name, 5).await.unwrap());
    }
    let last = states.pop().unwrap();
    assert_eq!((last.state(), last.receiver_level), (pb::TicketState::ExecutiveReview, 3));
    assert_eq!(world.clerk().get(&ticket.name).await, last);
}

#[tokio::test]
async fn t13_nobody_enters_the_verdict_on_its_own_work() {
    let world = World::new().await;
    let ticket = world.clerk().create(complaint("group", "漏水")).await;
    world.manager().handle(&ticket.name).await;
    let error = world.manager().verdict(&ticket.name, 1).await.unwrap_err();
    let found = (error.code(), reason(&error));
    assert_eq!(found, (tonic::Code::PermissionDenied, "SEPARATION_OF_DUTIES".to_owned()));
    let error = world.quality().verdict(&ticket.name, 9).await.unwrap_err();
    assert_eq!(crate::world::violations(&error), ["value"]);
}

#[tokio::test]
async fn t09_an_illegal_move_is_refused_with_what_is_missing() {
    let world = World::new().await;
    let ticket = world.clerk().create(complaint("group", "漏水")).await;
    let error = world.manager().feed_back(&ticket.name).await.unwrap_err();
    let found = (error.code(), reason(&error));
    assert_eq!(found, (tonic::Code::FailedPrecondition, "ILLEGAL_STATE".to_owned()));
    assert_eq!(metadata(&error, "state"), "REGISTERED");
    assert_eq!(metadata(&error, "command"), "FeedBackTicket");
    let missing = error.get_details_precondition_failure().unwrap().violations;
    let told: Vec<_> =
        missing.iter().map(|lack| (&*lack.r#type, &*lack.subject, &*lack.description)).collect();
    assert_eq!(told, [("SOLUTION", "ticket", "a solution must be on record first")]);
    assert_eq!(world.clerk().get(&ticket.name).await, ticket, "nothing has changed");
    assert_eq!(world.clerk().history(&ticket.name).await.len(), 1);
    assert_eq!(
        world.count("SELECT count(*) FROM message").await,
        0,
        "and nobody was told anything"
    );
    // Everything that is missing is named at once, in every state.
    let mut manager = world.manager();
    let told = manager.handle(&ticket.name).await;
    let error = manager.resolve(&ticket.name).await.unwrap_err();
    assert_eq!(lacking(&error), ["NO_SOLUTION_YET", "RESULT_NOT_FED_BACK_YET"]);
    assert_eq!(metadata(&error, "state"), "RESULT_FED_BACK");
    assert_eq!(manager.get(&ticket.name).await, told);
    let closed = world.quality().verdict(&ticket.name, 1).await.unwrap();
    let resume = pb::ResumeTicketRequest { name: ticket.name.clone(), ..Default::default() };
    let error = manager.tickets.resume_ticket(resume).await.unwrap_err();
    assert_eq!(lacking(&error), ["NOT_ENDED", "WAITING"]);
    let told = ["state", "command"].map(|key| metadata(&error, key));
    assert_eq!(told, ["CLOSED", "ResumeTicket"]);
    assert_eq!(manager.get(&ticket.name).await, closed);
}

#[tokio::test]
async fn t06_resolution_pauses_and_the_first_response_does_not() {
    let world = World::new().await;
    let mut manager = world.manager();
    let ticket = world.clerk().create(complaint("group", "漏水")).await;
    let request = pb::PauseTicketRequest {
        name: ticket.name.clone(),
        reason: "等待供应商配件".into(),
        ..Default::default()
    };
    let waiting = manager.tickets.pause_ticket(request).await.unwrap().into_inner();
    assert_eq!(waiting.state(), pb::TicketState::Waiting);
    let paused = clock(&waiting, "resolution", 1);
    assert_eq!((paused.state(), paused.due_time), (pb::ClockState::Paused, None));
    assert_eq!(clock(&waiting, "first-response", 1).state(), pb::ClockState::Running);
    world.pass_hours(48).await;
    let request = pb::ResumeTicketRequest { name: ticket.name.clone(), ..Default::default() };
    let resumed = manager.tickets.resume_ticket(request).await.unwrap().into_inner();
    // Three working days from Monday ten o'clock, and two days of waiting: from Wednesday ten o'clock.
    assert_eq!(clock(&resumed, "resolution", 1).due_time, at("2026-03-09T02:00:00Z"));
    let request = pb::ExplainDeadlineRequest { name: ticket.name };
    let explained = manager.tickets.explain_deadline(request).await.unwrap().into_inner();
    let resolution = &explained.explanations[1];
    let reasons: Vec<_> = resolution.segments.iter().map(pb::DeadlineSegment::reason).collect();
    assert!(reasons.contains(&pb::SegmentReason::Paused), "{reasons:?}");
    let label = resolution.segments[0].label.as_ref().map(|label| label.zh.clone());
    assert_eq!(label.as_deref(), Some("等待供应商配件"));
}

#[tokio::test]
async fn t05_a_deadline_is_explained_segment_by_segment() {
    let world = World::new().await;
    world.set_time("2026-09-30T08:00:00Z").await;
    let ticket = world.clerk().create(complaint("group", "漏水")).await;
    let request = pb::ExplainDeadlineRequest { name: ticket.name.clone() };
    let explained = world.clerk().tickets.explain_deadline(request).await.unwrap().into_inner();
    assert_eq!(explained.explanations.len(), 2);
    let resolution = &explained.explanations[1];
    assert_eq!(resolution.clock.as_ref(), Some(clock(&ticket, "resolution", 1)));
    assert_eq!((resolution.time_zone.as_str(), resolution.truncated), ("Asia/Shanghai", false));
    let holiday = resolution.segments.iter().find(|s| s.reason() == pb::SegmentReason::Holiday);
    assert_eq!(holiday.unwrap().label.as_ref().unwrap().zh, "国庆节");
    let counted: i64 = resolution
        .segments
        .iter()
        .filter(|segment| segment.counted)
        .map(|s| s.end_time.unwrap().seconds - s.start_time.unwrap().seconds)
        .sum();
    assert_eq!(counted, 3 * 8 * 3_600);
    for pair in resolution.segments.windows(2) {
        assert_eq!(pair[0].end_time, pair[1].start_time, "without a gap");
    }
    assert!(resolution.summary.as_ref().unwrap().zh.contains("国庆节"));
}

#[tokio::test]
async fn t09_a_ticket_may_be_cancelled_or_raised_by_who_may_decide() {
    let world = World::new().await;
    let ticket = world.clerk().create(complaint("group", "漏水")).await;
    let escalate = |name: &str| pb::EscalateTicketRequest {
        name: name.into(),
        reason: "需要总监介入".into(),
        ..Default::default()
    };
    let raised =
        world.manager().tickets.escalate_ticket(escalate(&ticket.name)).await.unwrap().into_inner();
    assert_eq!(
        (raised.receiver_level, raised.escalations[0].cause()),
        (2, pb::EscalationCause::Manager)
    );
    // Whoever handles it asks for the same, and decides nothing.
    let mut handler = world.desk("wang", "group", role::HANDLER);
    let raised =
        handler.tickets.escalate_ticket(escalate(&ticket.name)).await.unwrap().into_inner();
    let causes: Vec<_> = raised.escalations.iter().map(pb::Escalation::cause).collect();
    assert_eq!(causes, [pb::EscalationCause::Manager, pb::EscalationCause::Handler]);
    assert_eq!(world.clerk().get(&ticket.name).await, raised, "and so it is stored");
    let cancel = pb::CancelTicketRequest {
        name: ticket.name.clone(),
        reason: "重复登记".into(),
        ..Default::default()
    };
    let error = world.clerk().tickets.cancel_ticket(cancel.clone()).await.unwrap_err();
    assert_eq!(error.code(), tonic::Code::PermissionDenied);
    let cancelled = world.manager().tickets.cancel_ticket(cancel).await.unwrap().into_inner();
    assert_eq!(cancelled.state(), pb::TicketState::Cancelled);
    assert!(cancelled.clocks.iter().all(|clock| clock.state() == pb::ClockState::Cancelled));
    assert_eq!(world.clerk().get(&ticket.name).await, cancelled);
}

#[tokio::test]
async fn x03_an_update_with_a_stale_etag_is_refused_with_the_current_one() {
    let world = World::new().await;
    let mut desk = world.desk("wang", "group", role::HANDLER);
    let ticket = world.clerk().create(complaint("group", "漏水")).await;
    let update = |etag: &str, subject: &str| pb::UpdateTicketRequest {
        ticket: Some(pb::Ticket {
            name: ticket.name.clone(),
            etag: etag.into(),
            subject: subject.into(),
            ..pb::Ticket::default()
        }),
        ..Default::default()
    };
    let updated =
        desk.tickets.update_ticket(update(&ticket.etag, "屋顶漏水")).await.unwrap().into_inner();
    assert_eq!(updated.subject, "屋顶漏水");
    let error = desk.tickets.update_ticket(update(&ticket.etag, "地下室漏水")).await.unwrap_err();
    assert_eq!((error.code(), reason(&error).as_str()), (tonic::Code::Aborted, "ETAG_STALE"));
    assert_eq!(metadata(&error, "current_etag"), updated.etag);
    let same =
        desk.tickets.update_ticket(update(&updated.etag, "屋顶漏水")).await.unwrap().into_inner();
    assert_eq!(same, updated, "no difference is no change");
    let history = desk.history(&ticket.name).await;
    assert_eq!(history.len(), 2);
    assert_eq!(history[1].before_json, r#"{"subject":"漏水"}"#);
    assert_eq!(history[1].after_json, r#"{"subject":"屋顶漏水"}"#);
}
