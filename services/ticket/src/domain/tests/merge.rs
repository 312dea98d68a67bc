//! T-04: merges, parents and children.

use proptest::{collection::vec, prelude::*, sample::select};

use super::*;

pub fn registered(id: u128, policy: Policy, severity: Severity, at: Timestamp) -> Desk {
    let identity = Identity { id: Uuid::from_u128(id), number: format!("T-{id}"), ..identity() };
    let registered = register(intake(severity), identity, &policy, &Actor::staff(CLERK), at);
    Desk { ticket: registered.expect("registered").ticket, policy }
}

/// A ticket, and another one by the same customer ten hours later.
pub fn pair() -> (Desk, Desk) {
    let first = registered(1, policy(), Severity::Ordinary, hours(0));
    (first, registered(2, policy(), Severity::Ordinary, hours(10)))
}

pub type Decided = Result<(Vec<Change>, Vec<Change>), StepRefusal>;

pub fn merging<'a>(source: &'a Desk, target: &'a Desk) -> Merging<'a> {
    Merging {
        source: (&source.ticket, &source.policy),
        target: (&target.ticket, &target.policy),
        version: Arc::new(Regulation(source.ticket.policy_version, source.policy.clone())),
    }
}

pub fn try_merge(source: &Desk, target: &Desk, now: Timestamp) -> Decided {
    merge(merging(source, target), &[], "同一件事".into(), &Actor::staff(HANDLER), now)
}

/// Merges, and tells what was taken over.
pub fn merges(source: &mut Desk, target: &mut Desk, now: Timestamp) -> Vec<TakenPromise> {
    let (of_source, of_target) = try_merge(source, target, now).expect("not refused");
    source.take(&of_source);
    target.take(&of_target);
    let taken = of_target.iter().find_map(|change| match &change.what {
        What::Link(link) => match &**link {
            LinkChange::Taken { promises, .. } => Some(promises.clone()),
            _ => None,
        },
        _ => None,
    });
    taken.expect("it says what it took over")
}

pub fn unmerges(source: &mut Desk, target: &mut Desk, promises: &[TakenPromise], now: Timestamp) {
    let actor = Actor::staff(HANDLER);
    let decided = unmerge(merging(source, target), promises, "两件事".into(), &actor, now);
    let (of_source, of_target) = decided.expect("not refused");
    source.take(&of_source);
    target.take(&of_target);
}

pub fn needs(decided: Decided) -> Vec<&'static str> {
    match decided {
        Err(StepRefusal::IllegalState { missing, .. }) => {
            missing.into_iter().map(|need| need.code).collect()
        }
        Err(StepRefusal::Lacking { missing, .. }) => vec![missing.code],
        other => panic!("not refused for its state: {other:?}"),
    }
}

#[test]
fn t04_the_earlier_deadline_binds_the_survivor() {
    let (mut first, mut second) = pair();
    let (due, later) = (first.clock("resolution", 1).due, second.clock("resolution", 1).due);
    assert!(due < later);
    let taken = merges(&mut first, &mut second, hours(12));
    assert_eq!(taken.len(), 2, "first response and solution");
    assert_eq!(first.state(), StateName::Merged);
    assert_eq!(second.clock("resolution", 1).due, due);
    assert_eq!(second.clock("resolution", 1).timeline, first.clock("resolution", 1).timeline);
    assert_eq!(first.clock("resolution", 1).state(), ClockState::Merged);
    assert_eq!(first.ticket.next_fire_at(), None, "nothing rings any more");
    // The other way round the survivor's own are the earlier ones.
    let (mut first, mut second) = pair();
    assert_eq!(merges(&mut second, &mut first, hours(12)), []);
    assert_eq!(first.clock("resolution", 1).due, due);
    assert_eq!(first.ticket.clocks.iter().filter(|clock| clock.is_live()).count(), 2);
}

#[test]
fn t04_the_survivor_weighs_what_the_heavier_does_and_breaches_stay_where_they_are() {
    let mut heavy = registered(1, policy(), Severity::VerySerious, hours(0));
    let mut light = registered(2, policy(), Severity::Ordinary, hours(20));
    heavy.ticket.priority = Priority::Urgent;
    let merged_at = hours(30);
    merges(&mut heavy, &mut light, merged_at);
    assert_eq!(heavy.clock("first-response", 1).state(), ClockState::Breached);
    assert_eq!(heavy.clock("first-response", 1).breached_at, Some(hours(24)));
    let survivor = &light.ticket;
    assert_eq!((survivor.severity, survivor.priority), (Severity::VerySerious, Priority::Urgent));
    assert_eq!(survivor.receiver_level, heavy.ticket.receiver_level);
    assert!(survivor.receiver_level.number() == 3, "raised by the breach of the other");
    let own = light.clock("first-response", 1);
    assert_eq!((own.state(), own.due), (ClockState::Running, Some(hours(44))));
}

#[test]
fn t04_whoever_has_seen_a_solution_is_owed_a_verdict_and_survives() {
    let (mut first, mut second) = pair();
    first.is_handled(hours(11));
    assert_eq!(needs(try_merge(&first, &second, hours(12))), ["verdict"]);
    assert_eq!(needs(try_merge(&second, &first, hours(12))), ["open_survivor"]);
    first.does(QUALITY, hours(13), verdict(5));
    assert_eq!(needs(try_merge(&first, &second, hours(14))), ["verdict"], "reopened");
    merges(&mut second, &mut first, hours(14));
    assert_eq!(needs(try_merge(&second, &first, hours(15))), ["not_merged"]);
}

#[test]
fn t04_everything_that_is_under_way_is_named_at_once() {
    let (mut first, mut second) = pair();
    second.ticket.complainant =
        Complainant::Customer { customer: Uuid::from_u128(8), contact: None };
    second.does(HANDLER, hours(11), pause());
    first.does(CLERK, hours(11), handling::send("group/south"));
    first.does(QUALITY, hours(11), handling::supervise(hours(50)));
    let rules = Arc::new(Regulation(first.ticket.policy_version, first.policy.clone()));
    let (id, stages) = (Uuid::from_u128(9), vec!["survey".to_owned()]);
    first.ticket.process = Some(RunningProcess { id, stages, rules });
    let blockers = [Blocker::WorkOrders, Blocker::Children];
    let actor = Actor::staff(HANDLER);
    let refused = merge(merging(&first, &second), &blockers, "同".into(), &actor, hours(12));
    assert_eq!(
        needs(refused),
        [
            "transfer_ended",
            "no_supervision",
            "no_open_work_order",
            "no_running_process",
            "no_children",
            "open_survivor",
            "same_customer"
        ]
    );
    let mut draft = draft();
    draft.links.across_customers = true;
    first = registered(1, Policy::try_new(draft).expect("sound"), Severity::Ordinary, hours(0));
    second.does(HANDLER, hours(12), Command::Resume);
    assert!(try_merge(&first, &second, hours(13)).is_ok(), "the policy allows it");
}

#[test]
fn t04_no_complaint_vanishes_in_something_else() {
    let (first, mut second) = pair();
    second.ticket.kind = TicketKind::Inquiry;
    assert_eq!(needs(try_merge(&first, &second, hours(12))), ["complaint"]);
    assert!(try_merge(&second, &first, hours(12)).is_ok());
}

#[test]
fn t04_what_headquarters_is_to_hear_of_is_reported_before_and_not_merged_after() {
    let mut draft = draft();
    draft.handling.reporting = Some(ReportingDraft {
        criteria: vec![ReportingCriterionDraft {
            title: Text::new("very serious", "重大投诉"),
            severities: vec![3],
            ..ReportingCriterionDraft::default()
        }],
        supervise_within: elapsed(24),
    });
    let policy = Policy::try_new(draft).expect("sound");
    let first = registered(1, policy.clone(), Severity::VerySerious, hours(0));
    let second = registered(2, policy, Severity::VerySerious, hours(10));
    assert_eq!(needs(try_merge(&first, &second, hours(12))), ["no_supervision"]);
}

#[test]
fn t04_a_merged_ticket_takes_no_command_and_names_where_to_go() {
    let (mut first, mut second) = pair();
    merges(&mut first, &mut second, hours(12));
    let into = second.ticket.id;
    for command in [respond(), pause(), resolve(), verdict(1), assess(Severity::Serious)] {
        let command_name = command.name();
        let refused = first.tries(HANDLER, hours(13), command);
        assert_eq!(refused, Err(Refusal::Merged { command: command_name, into }));
    }
    assert_eq!(first.tries(HANDLER, hours(13), survey(1, 5)), Ok(Vec::new()), "too late");
    assert_eq!(first.fires(hours(1_000)), [], "its clocks rest");
}

#[test]
fn t04_a_merge_can_be_undone_for_as_long_as_the_policy_says() {
    let mut draft = draft();
    draft.links.unmerge_within_days = 2;
    let policy = Policy::try_new(draft).expect("sound");
    let mut first = registered(1, policy.clone(), Severity::Ordinary, hours(0));
    let mut second = registered(2, policy, Severity::Ordinary, hours(10));
    let actor = Actor::staff(HANDLER);
    let undo = |first: &Desk, second: &Desk, now| {
        unmerge(merging(first, second), &[], "两件事".into(), &actor, now)
    };
    assert_eq!(needs(undo(&first, &second, hours(11))), ["merged"]);
    merges(&mut first, &mut second, hours(12));
    assert!(undo(&first, &second, hours(60)).is_ok());
    let late = undo(&first, &second, hours(60).checked_add(1.seconds()).expect("a time"));
    assert_eq!(needs(late), ["unmerge_limit"]);
}

#[test]
fn t04_undone_what_fell_due_is_broken_as_of_its_deadline_and_the_survivor_has_its_own_promises_back()
 {
    let (mut first, mut second) = pair();
    let own = second.ticket.clocks.clone();
    let taken = merges(&mut first, &mut second, hours(12));
    second.does(HANDLER, hours(13), pause());
    second.does(HANDLER, hours(15), Command::Resume);
    unmerges(&mut first, &mut second, &taken, hours(20));
    assert_eq!(first.state(), StateName::Registered);
    assert_eq!(second.clock("first-response", 1).due, own[0].due);
    // It has paused for two hours since.
    let back = second.clock("resolution", 1);
    assert_eq!(back.due, Some(hours(10 + 72 + 2)));
    assert_eq!(back.timeline.started(), hours(10));
    // And where nobody looks until long after the deadline:
    let (mut first, mut second) = pair();
    let taken = merges(&mut first, &mut second, hours(12));
    second.does(HANDLER, hours(13), respond());
    unmerges(&mut first, &mut second, &taken, hours(30));
    let late = first.clock("first-response", 1);
    assert_eq!((late.state(), late.breached_at), (ClockState::Breached, Some(hours(24))));
    assert_eq!(first.level(), 2, "raised as it would have been");
}

#[test]
fn t04_a_parent_is_no_child() {
    let (mut parent, mut child) = pair();
    let third = registered(3, policy(), Severity::Ordinary, hours(10));
    let actor = Actor::staff(HANDLER);
    let try_link = |child: &Desk, parent: &Desk, blockers: &[Blocker]| {
        let (of_child, of_parent) =
            ((&child.ticket, &child.policy), (&parent.ticket, &parent.policy));
        link(of_child, of_parent, blockers, 0, &actor, hours(11))
    };
    let (of_child, of_parent) = try_link(&child, &parent, &[]).expect("linked");
    child.take(&of_child);
    parent.take(&of_parent);
    assert_eq!(
        (child.ticket.links.parent, parent.ticket.links.leads),
        (Some(parent.ticket.id), true)
    );
    assert_eq!(needs(try_link(&third, &child, &[])), ["parent_is_no_child"]);
    assert_eq!(needs(try_link(&parent, &third, &[Blocker::Children])), ["child_is_no_parent"]);
    assert_eq!(needs(try_link(&child, &third, &[])), ["unlinked"]);
    let changes = unlink(&child.ticket, &child.policy, "误".into(), &actor, hours(12));
    child.take(&changes.expect("unlinked"));
    assert_eq!(child.ticket.links.parent, None);
    assert!(unlink(&child.ticket, &child.policy, "误".into(), &actor, hours(12)).is_err());
}

/// What happens before the merge, so many minutes after the last thing.
fn steps() -> impl Strategy<Value = Vec<(i64, Command)>> {
    let command = select(vec![respond(), pause(), Command::Resume, assess(Severity::Serious)]);
    vec((0..2_000_i64, command), 0..5)
}

/// Does what is allowed of it; tells when it was done.
fn lives(desk: &mut Desk, steps: &[(i64, Command)]) -> Timestamp {
    let mut now = desk.ticket.created_at;
    for (gap, command) in steps {
        now = now.checked_add(gap.minutes()).expect("a time in range");
        if let Ok(changes) = desk.tries(HANDLER, now, command.clone()) {
            desk.take(&changes);
        }
    }
    now
}

proptest! {
    #[test]
    fn t04_a_merge_lengthens_no_promise_and_undone_it_is_as_if_it_had_never_been(
        of_source in steps(),
        of_target in steps(),
        weights in (select(Severity::ALL.to_vec()), select(Severity::ALL.to_vec())),
        gaps in (0..3_000_i64, 0..4_000_i64, 0..9_000_i64),
    ) {
        let mut source = registered(1, policy(), weights.0, hours(0));
        let began = hours(0).checked_add(gaps.0.minutes()).expect("a time in range");
        let mut target = registered(2, policy(), weights.1, began);
        let last = lives(&mut source, &of_source).max(lives(&mut target, &of_target));
        let now = last.checked_add(gaps.1.minutes()).expect("a time in range");
        source.fires(now);
        target.fires(now);
        prop_assume!(try_merge(&source, &target, now).is_ok());
        let mut twin = source.clone();
        let taken = merges(&mut source, &mut target, now);
        for clock in twin.ticket.clocks.iter().filter(|clock| clock.is_live()) {
            let resumed = clock.timeline.is_paused().then(|| {
                let mut going_on = clock.timeline.clone();
                going_on.resume(now).expect("it paused");
                going_on.due(target.policy.calendar()).expect("in reach").expect("it runs")
            });
            let due = clock.due.or(resumed).expect("one of the two");
            let kept = target.ticket.current_clocks().any(|own| {
                let told = own.fulfilled.as_ref().is_some_and(|told| told.at >= clock.timeline.started());
                own.kind == clock.kind
                    && (told && own.kind != ClockKind::Resolution
                        || own.due.is_some_and(|own| own <= due) && (own.is_live() || own.breached_at.is_some()))
            });
            prop_assert!(kept, "{} is promised to nobody: {:?}", clock.rule, target.ticket.clocks);
        }
        for rule in ["first-response", "resolution"] {
            let live = target.ticket.clocks.iter().filter(|clock| &*clock.rule == rule && clock.is_live());
            prop_assert!(live.count() <= 1);
        }
        prop_assert!(target.ticket.severity >= twin.ticket.severity);
        prop_assert!(target.ticket.receiver_level >= twin.ticket.receiver_level);
        for (rests, was) in source.ticket.clocks.iter().zip(&twin.ticket.clocks) {
            prop_assert_eq!((rests.breached_at, &rests.fulfilled), (was.breached_at, &was.fulfilled));
        }
        let later = now.checked_add(gaps.2.minutes()).expect("a time in range");
        source.fires(later);
        unmerges(&mut source, &mut target, &taken, later);
        twin.fires(later);
        prop_assert_eq!(&source.ticket.clocks, &twin.ticket.clocks);
        prop_assert_eq!(&source.ticket.state, &twin.ticket.state);
        prop_assert_eq!(&source.ticket.escalations, &twin.ticket.escalations);
        prop_assert_eq!(source.ticket.receiver_level, twin.ticket.receiver_level);
    }
}
