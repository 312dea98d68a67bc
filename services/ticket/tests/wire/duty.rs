//! T-25: rosters, presence, absence; nothing waits for somebody who is away.

use kefu_api::ticket::v1 as pb;
use kefu_identity::role;
use tonic::{Code, Response, Status};

use crate::routing::{RECOUNT, company, present, team};
use crate::world::{Desk, World, at, complaint, request_id, violations};

pub async fn absent(
    desk: &mut Desk,
    staff: &str,
    (from, to): (&str, &str),
    substitute: &str,
) -> Result<pb::Absence, Status> {
    let absence = pb::Absence {
        staff: staff.into(),
        start_time: at(from),
        end_time: at(to),
        substitute: substitute.into(),
        reason: "年假".into(),
        ..Default::default()
    };
    let request = pb::CreateAbsenceRequest { absence: Some(absence), ..Default::default() };
    desk.duty.create_absence(request).await.map(Response::into_inner)
}

async fn close(desk: &mut Desk, absence: &pb::Absence) -> pb::Absence {
    let request = pb::CloseAbsenceRequest { name: absence.name.clone(), ..Default::default() };
    desk.duty.close_absence(request).await.unwrap().into_inner()
}

async fn update(desk: &mut Desk, team: pb::Team, mask: &[&str]) -> Result<pb::Team, Status> {
    let paths = mask.iter().map(ToString::to_string).collect();
    let request = pb::UpdateTeamRequest {
        team: Some(team),
        update_mask: Some(prost_types::FieldMask { paths }),
        ..Default::default()
    };
    desk.teams.update_team(request).await.map(Response::into_inner)
}

async fn causes(desk: &mut Desk, ticket: &pb::Ticket) -> Vec<pb::RoutingCause> {
    let request = pb::ExplainRoutingRequest { name: ticket.name.clone() };
    let steps = desk.routing.explain_routing(request).await.unwrap().into_inner().steps;
    steps.iter().map(pb::RoutingStep::cause).collect()
}

#[tokio::test]
async fn t25_what_nobody_could_take_goes_to_whoever_comes() {
    let mut world = World::new().await;
    world.start_replica().await;
    let [lifts, ..] = company(&world, pb::Distribution::LeastLoad).await;
    present(&world, &["an", "bo", "chen"], false).await;
    let mut clerk = world.clerk();
    let mut tickets = Vec::new();
    for _ in 0..5 {
        tickets.push(clerk.create(complaint("group", "电梯坏了")).await);
    }
    assert!(tickets.iter().all(|ticket| ticket.team == lifts.name && ticket.owner.is_empty()));
    let request = pb::GetTeamRequest { name: lifts.name.clone() };
    let shown = clerk.teams.get_team(request).await.unwrap().into_inner();
    assert_eq!((shown.waiting_tickets, shown.loads.iter().any(|load| load.available)), (5, false));
    present(&world, &["bo", "chen"], true).await;
    world.settle().await;
    let mut owners = Vec::new();
    for ticket in &tickets {
        owners.push(clerk.get(&ticket.name).await.owner);
    }
    let of = |staff: &str| owners.iter().filter(|owner| *owner == staff).count();
    assert_eq!((of("bo"), of("chen")), (3, 2), "{owners:?}");
    let expected = [pb::RoutingCause::Intake, pb::RoutingCause::Duty];
    assert_eq!(causes(&mut clerk, &tickets[0]).await, expected);
    let history = clerk.history(&tickets[0].name).await;
    assert_eq!(history.last().unwrap().actor, "system/duty");
    assert_eq!(world.count(RECOUNT).await, 0);
}

#[tokio::test]
async fn t25_who_is_absent_hands_over_when_it_begins_and_to_whoever_is_there_in_the_end() {
    let world = World::new().await;
    let [lifts, ..] = company(&world, pb::Distribution::LeastLoad).await;
    let mut clerk = world.clerk();
    let ticket = clerk.create(complaint("group", "电梯坏了")).await;
    let done = clerk.create(complaint("group", "电梯又坏了")).await;
    assert_eq!((ticket.owner.as_str(), done.owner.as_str()), ("an", "bo"));
    let mut manager = world.manager();
    manager.resolve(&done.name).await.unwrap();
    let mut an = world.desk("an", "group", role::HANDLER);
    let tomorrow = ("2026-03-03T01:00:00Z", "2026-03-06T01:00:00Z");
    absent(&mut an, "an", tomorrow, "bo").await.unwrap();
    absent(&mut manager, "bo", tomorrow, "dai").await.unwrap();
    world.settle().await;
    assert_eq!(clerk.get(&ticket.name).await.owner, "an", "not before it begins");
    // Nobody was there at the time itself.
    world.set_time("2026-03-03T01:00:00Z").await;
    let moved = clerk.get(&ticket.name).await;
    assert_eq!((&moved.team, moved.owner.as_str()), (&lifts.name, "dai"), "bo is absent, too");
    assert_eq!(clerk.get(&done.name).await.owner, "dai", "the customer has to be told yet");
    assert_eq!(causes(&mut clerk, &ticket).await[1], pb::RoutingCause::Absence);
    // New ones: chen is there himself, dai stands in for both; each counts what he has of this team.
    let next = clerk.create(complaint("group", "电梯停了")).await;
    assert_eq!(next.owner, "chen");
    let next = clerk.create(complaint("group", "电梯停了")).await;
    assert_eq!(next.owner, "chen", "dai has two, one of which the customer is still to be told of");
    // What was resolved and comes back finds nobody but whoever stands in.
    manager.feed_back(&done.name).await.unwrap();
    world.quality().verdict(&done.name, 5).await.unwrap();
    world.settle().await;
    assert_eq!(clerk.get(&done.name).await.owner, "dai");
    assert_eq!(world.count(RECOUNT).await, 0);
    // Dai is none of the team: when it is over, the team has its tickets again.
    world.set_time("2026-03-06T01:00:00Z").await;
    let back = clerk.get(&ticket.name).await;
    assert_eq!(back.team, lifts.name);
    assert!(["an", "bo", "chen"].contains(&back.owner.as_str()), "{}", back.owner);
    assert_eq!(world.count(RECOUNT).await, 0);
}

#[tokio::test]
async fn t25_a_fixed_owner_who_is_absent_is_stood_in_for() {
    let world = World::new().await;
    company(&world, pb::Distribution::LeastLoad).await;
    let period = ("2026-03-02T02:00:00Z", "2026-03-06T01:00:00Z");
    let mut zhou = world.desk("zhou", "group", role::HANDLER);
    let absence = absent(&mut zhou, "zhou", period, "an").await.unwrap();
    let rude = pb::Ticket { category: "service".into(), ..complaint("group/north", "骂人") };
    assert_eq!(world.clerk().create(rude.clone()).await.owner, "an");
    let closed = close(&mut zhou, &absence).await;
    assert_eq!(closed.end_time, at("2026-03-02T02:00:00Z"));
    assert_eq!(close(&mut zhou, &absence).await, closed, "one that is over stays as it is");
    assert_eq!(world.clerk().create(rude).await.owner, "zhou");
}

#[tokio::test]
async fn t25_who_leaves_a_team_leaves_its_tickets_there() {
    let world = World::new().await;
    let [lifts, ..] = company(&world, pb::Distribution::LeastLoad).await;
    let mut clerk = world.clerk();
    let ticket = clerk.create(complaint("group", "电梯坏了")).await;
    let mut manager = world.manager();
    let members = vec!["bo".into(), "chen".into()];
    let changed = update(&mut manager, pb::Team { members, ..lifts.clone() }, &["members"]).await;
    assert_eq!(changed.unwrap().etag, "r2");
    let stale = update(&mut manager, lifts, &["members"]).await.unwrap_err();
    assert_eq!(stale.code(), Code::Aborted);
    world.settle().await;
    assert_eq!(clerk.get(&ticket.name).await.owner, "bo");
    let expected = [pb::RoutingCause::Intake, pb::RoutingCause::Left, pb::RoutingCause::Duty];
    assert_eq!(causes(&mut clerk, &ticket).await, expected);
    assert_eq!(world.count(RECOUNT).await, 0);
}

#[tokio::test]
async fn t25_on_duty_is_who_has_a_shift_and_is_there() {
    let world = World::new().await;
    let [lifts, ..] = company(&world, pb::Distribution::LeastLoad).await;
    let mut manager = world.manager();
    let team = pb::Team { rostered: true, ..lifts };
    let team = update(&mut manager, team, &["rostered"]).await.unwrap();
    let shift = |staff: &str, from: &str, to: &str| pb::RosterShift {
        staff: staff.into(),
        start_time: at(from),
        end_time: at(to),
    };
    let roster = |shifts: Vec<pb::RosterShift>, etag: &str| pb::UpdateRosterRequest {
        team: team.name.clone(),
        start_time: at("2026-03-02T00:00:00Z"),
        end_time: at("2026-03-03T00:00:00Z"),
        shifts,
        etag: etag.into(),
        ..Default::default()
    };
    let early = shift("bo", "2026-03-02T00:00:00Z", "2026-03-02T08:00:00Z");
    let late = shift("chen", "2026-03-02T08:00:00Z", "2026-03-02T16:00:00Z");
    let shifts = vec![early.clone(), late.clone()];
    let answer = manager.duty.update_roster(roster(shifts.clone(), &team.etag)).await.unwrap();
    assert_eq!((answer.get_ref().removed, answer.get_ref().added), (0, 2));
    let stale = manager.duty.update_roster(roster(shifts.clone(), &team.etag)).await.unwrap_err();
    assert_eq!(stale.code(), Code::Aborted);
    let again = manager.duty.update_roster(roster(shifts, "")).await.unwrap();
    assert_eq!((again.get_ref().removed, again.get_ref().added), (2, 2), "replaced");
    let mut clerk = world.clerk();
    let owner = |ticket: pb::Ticket| ticket.owner;
    assert_eq!(owner(clerk.create(complaint("group", "电梯坏了")).await), "bo");
    // At the very change of shifts it is the next one's, and then nobody's.
    world.set_time("2026-03-02T08:00:00Z").await;
    assert_eq!(owner(clerk.create(complaint("group", "电梯坏了")).await), "chen");
    world.set_time("2026-03-02T16:00:00Z").await;
    let night = clerk.create(complaint("group", "电梯坏了")).await;
    assert_eq!((night.team.as_str(), night.owner.as_str()), (team.name.as_str(), ""));
    let request = pb::ListRosterShiftsRequest {
        team: team.name.clone(),
        start_time: at("2026-03-02T07:00:00Z"),
        end_time: at("2026-03-02T09:00:00Z"),
        page_size: 1,
        ..Default::default()
    };
    let first = clerk.duty.list_roster_shifts(request.clone()).await.unwrap().into_inner();
    assert_eq!(first.shifts, std::slice::from_ref(&early));
    let next = pb::ListRosterShiftsRequest { page_token: first.next_page_token, ..request };
    assert_eq!(clerk.duty.list_roster_shifts(next).await.unwrap().into_inner().shifts, [late]);
    // Overlaps, strangers and what lies elsewhere are refused, also against what stays.
    let wrong = vec![
        shift("bo", "2026-03-02T07:00:00Z", "2026-03-02T09:00:00Z"),
        early,
        shift("an", "2026-03-05T00:00:00Z", "2026-03-05T08:00:00Z"),
        shift("", "2026-03-02T09:00:00Z", "2026-03-02T08:00:00Z"),
    ];
    let error = manager.duty.update_roster(roster(wrong, "")).await.unwrap_err();
    let expected = ["shifts[2].start_time", "shifts[3].staff", "shifts[3].end_time", "shifts"];
    assert_eq!(violations(&error), expected);
    let stranger = vec![shift("dai", "2026-03-02T09:00:00Z", "2026-03-02T10:00:00Z")];
    let error = manager.duty.update_roster(roster(stranger, "")).await.unwrap_err();
    assert_eq!(violations(&error), ["shifts"]);
    let before = pb::UpdateRosterRequest {
        start_time: at("2026-03-01T00:00:00Z"),
        end_time: at("2026-03-02T00:00:00Z"),
        ..roster(vec![shift("bo", "2026-03-01T20:00:00Z", "2026-03-02T01:00:00Z")], "")
    };
    let error = manager.duty.update_roster(before).await.unwrap_err();
    assert_eq!(violations(&error), ["shifts"]);
    assert_eq!(world.count("SELECT count(*) FROM roster_shift").await, 2);
}

#[tokio::test]
async fn t25_presence_ends_by_itself_where_it_was_said_until_when() {
    let world = World::new().await;
    company(&world, pb::Distribution::LeastLoad).await;
    present(&world, &["dai"], false).await;
    let mut an = world.desk("an", "group", role::HANDLER);
    let until = at("2026-03-02T10:00:00Z");
    let request = pb::SetPresenceRequest { present: true, until, ..Default::default() };
    an.duty.set_presence(request).await.unwrap();
    assert_eq!(world.clerk().create(complaint("group", "漏水")).await.owner, "an");
    world.set_time("2026-03-02T10:00:00Z").await;
    assert_eq!(world.clerk().create(complaint("group", "漏水")).await.owner, "");
    let presence = an.duty.get_presence(pb::GetPresenceRequest::default()).await.unwrap();
    assert!(!presence.into_inner().present);
    let past = pb::SetPresenceRequest { present: true, until, ..Default::default() };
    assert_eq!(violations(&an.duty.set_presence(past).await.unwrap_err()), ["until"]);
}

#[tokio::test]
async fn t25_substitutes_make_no_circle_not_even_at_once() {
    let mut world = World::new().await;
    world.start_replica().await;
    company(&world, pb::Distribution::LeastLoad).await;
    let day = ("2026-03-03T00:00:00Z", "2026-03-04T00:00:00Z");
    let calls = [("an", "bo"), ("bo", "chen"), ("chen", "an")].into_iter().enumerate();
    let calls = calls.map(|(index, (staff, substitute))| {
        let mut manager = world.desk_at(index % 2, "manager", "group", role::MANAGER);
        async move { absent(&mut manager, staff, day, substitute).await }
    });
    let outcomes = futures::future::join_all(calls).await;
    let refused: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).collect();
    assert_eq!(refused.len(), 1);
    assert_eq!(violations(refused[0]), ["absence.substitute"]);
    // Where the times do not meet there is no circle.
    let mut manager = world.manager();
    let later = ("2026-03-04T00:00:00Z", "2026-03-05T00:00:00Z");
    for (staff, substitute) in [("an", "bo"), ("bo", "chen")] {
        absent(&mut manager, staff, later, substitute).await.unwrap();
    }
    let overlapping = ("2026-03-04T12:00:00Z", "2026-03-06T00:00:00Z");
    let error = absent(&mut manager, "an", overlapping, "dai").await.unwrap_err();
    assert_eq!(violations(&error), ["absence.start_time"]);
    let error = absent(&mut manager, "chen", overlapping, "an").await.unwrap_err();
    assert_eq!(violations(&error), ["absence.substitute"]);
    let error = absent(&mut manager, "chen", later, "nobody").await.unwrap_err();
    assert_eq!(violations(&error), ["absence.substitute"]);
    let past = ("2026-02-01T00:00:00Z", "2026-02-02T00:00:00Z");
    assert_eq!(
        violations(&absent(&mut manager, "dai", past, "an").await.unwrap_err()),
        ["absence.end_time"]
    );
    let request = pb::ListAbsencesRequest {
        org_unit: "group".into(),
        start_time: at("2026-03-04T00:00:00Z"),
        end_time: at("2026-03-05T00:00:00Z"),
        ..Default::default()
    };
    let listed = manager.duty.list_absences(request).await.unwrap().into_inner().absences;
    assert_eq!(listed.len(), 2);
}

#[tokio::test]
async fn x07_duty_and_teams_of_others_are_for_those_above_them() {
    let world = World::new().await;
    let [lifts, attitude, _] = company(&world, pb::Distribution::LeastLoad).await;
    let period = ("2026-03-03T00:00:00Z", "2026-03-04T00:00:00Z");
    let mut bo = world.desk("bo", "group", role::HANDLER);
    let mut south = world.desk("nan", "group/south", role::MANAGER);
    let mut north = world.desk("bei", "group/north", role::MANAGER);
    for desk in [&mut bo, &mut south, &mut north] {
        // An is in teams of the group, too.
        let error = absent(desk, "an", period, "bo").await.unwrap_err();
        assert_eq!(error.code(), Code::PermissionDenied);
        let request =
            pb::SetPresenceRequest { staff: "an".into(), present: true, ..Default::default() };
        assert_eq!(
            desk.duty.set_presence(request).await.unwrap_err().code(),
            Code::PermissionDenied
        );
        let error = update(desk, lifts.clone(), &["members"]).await.unwrap_err();
        assert_eq!(error.code(), Code::PermissionDenied);
    }
    // Zhou is only in a team of the north.
    let absence = absent(&mut north, "zhou", period, "bo").await.unwrap();
    let request = pb::CloseAbsenceRequest { name: absence.name, ..Default::default() };
    assert_eq!(south.duty.close_absence(request).await.unwrap_err().code(), Code::PermissionDenied);
    let request = pb::GetTeamRequest { name: attitude.name };
    assert_eq!(south.teams.get_team(request).await.unwrap_err().code(), Code::PermissionDenied);
    let auditor = world.desk("audit", "group", role::AUDITOR);
    let request = pb::SetPresenceRequest { present: true, ..Default::default() };
    let refused = auditor.clone().duty.set_presence(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn t03_teams_are_listed_and_their_codes_are_unique() {
    let world = World::new().await;
    company(&world, pb::Distribution::LeastLoad).await;
    let mut manager = world.manager();
    let request =
        pb::ListTeamsRequest { org_unit: "group".into(), page_size: 2, ..Default::default() };
    let first = manager.teams.list_teams(request.clone()).await.unwrap().into_inner();
    let codes: Vec<_> = first.teams.iter().map(|team| team.code.as_str()).collect();
    assert_eq!(codes, ["desk", "lifts"]);
    let next = pb::ListTeamsRequest { page_token: first.next_page_token, ..request };
    let next = manager.teams.list_teams(next).await.unwrap().into_inner();
    assert_eq!((next.teams.len(), next.next_page_token.as_str()), (1, ""));
    let wrong = pb::Team {
        org_unit: "group".into(),
        code: "Desk".into(),
        members: vec!["an".into(), "an".into(), "组".repeat(60)],
        ..Default::default()
    };
    let request = pb::CreateTeamRequest { team: Some(wrong), ..Default::default() };
    let error = manager.teams.create_team(request).await.unwrap_err();
    let expected = ["team.code", "team.title", "team.members[1]", "team.members[2]"];
    assert_eq!(violations(&error), expected);
    let taken = pb::Team {
        org_unit: "group".into(),
        code: "desk".into(),
        title: Some(crate::pack::text("Desk", "前台")),
        ..Default::default()
    };
    let request = pb::CreateTeamRequest { team: Some(taken), request_id: request_id(3) };
    assert_eq!(violations(&manager.teams.create_team(request).await.unwrap_err()), ["team.code"]);
    team(&mut manager, "group/south", "desk", &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t25_people_come_go_and_leave_while_tickets_come() {
    let mut world = World::new().await;
    world.start_replica().await;
    let [lifts, ..] = company(&world, pb::Distribution::LeastLoad).await;
    let mut calls = Vec::new();
    for index in 0..60_usize {
        let mut clerk = world.desk_at(index % 2, "manager", "group", role::MANAGER);
        calls.push(tokio::spawn(async move {
            let ticket = clerk.create(complaint("group/south", "电梯坏了")).await;
            if index % 3 == 0 {
                clerk.resolve(&ticket.name).await.unwrap();
            }
        }));
    }
    for index in 0..8_usize {
        let mut staff = world.desk_at(index % 2, "an", "group", role::HANDLER);
        let mut manager = world.desk_at((index + 1) % 2, "manager", "group", role::MANAGER);
        let team = pb::Team { etag: String::new(), ..lifts.clone() };
        calls.push(tokio::spawn(async move {
            let request = pb::SetPresenceRequest { present: index % 2 == 1, ..Default::default() };
            staff.duty.set_presence(request).await.unwrap();
            let members = ["an", "bo", "chen", "dai"].iter().skip(index % 2);
            let members = members.map(ToString::to_string).collect();
            update(&mut manager, pb::Team { members, ..team }, &["members"]).await.unwrap();
            let day = ("2026-03-02T01:00:00Z", "2026-03-04T00:00:00Z");
            // One is refused while another is open.
            if let Ok(absence) = absent(&mut manager, "bo", day, "chen").await {
                close(&mut manager, &absence).await;
            }
        }));
    }
    for call in calls {
        call.await.unwrap();
    }
    present(&world, &["an", "bo", "chen", "dai"], true).await;
    world.settle().await;
    assert_eq!(world.count(RECOUNT).await, 0);
    let open = "SELECT count(*) FROM ticket WHERE state = 'registered'";
    assert_eq!(world.count(open).await, 40);
    let unowned = "SELECT count(*) FROM ticket WHERE owner IS NULL AND state = 'registered'";
    assert_eq!(world.count(unowned).await, 0, "somebody is there");
    let strangers = "SELECT count(*) FROM ticket WHERE state = 'registered' AND NOT EXISTS (
        SELECT FROM team_member WHERE team_member.team_id = ticket.team_id AND team_member.staff = ticket.owner)";
    assert_eq!(world.count(strangers).await, 0, "and nobody else has any");
}
