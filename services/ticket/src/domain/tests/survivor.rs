//! T-04: what the survivor of a merge takes on: promises by the versions that made them, whoever handled the matter, what never
//! left; and what comes of it when the merge is undone.

use proptest::{collection::vec, option, prelude::*};

use super::merge::{merges, pair, registered, try_unmerge, unmerges};
use super::*;

/// Versions 0 to 2: on three calendars, with three times to the solution, two of them in working time. The last one calls the rule
/// otherwise.
fn versions() -> [Arc<Regulation>; 3] {
    let daily = Calendar::new(&CalendarDraft {
        time_zone: "Europe/Berlin".into(),
        week: (1..=7)
            .map(|day_of_week| DayHours {
                day_of_week,
                intervals: vec![Hours::new("08:00", "12:00")],
            })
            .collect(),
        exceptions: Vec::new(),
        working_day: Duration::from_secs(4 * 3_600),
    });
    let changed = |change: &dyn Fn(&mut PolicyDraft)| {
        let mut draft = draft();
        change(&mut draft);
        Policy::try_new(draft).expect("a sound policy")
    };
    let second = changed(&|draft| draft.clocks[1].target = business(16));
    let third = changed(&|draft| {
        draft.calendar = Some(daily.clone().expect("a sound calendar"));
        draft.clocks[1].target = business(20);
        draft.clocks[1].name = "solution".into();
    });
    [regulation(0, policy()), regulation(1, second), regulation(2, third)]
}

/// Registered under a version.
fn under_version(id: u128, version: &Arc<Regulation>, at: Timestamp) -> Desk {
    let mut desk = registered(id, version.1.clone(), Severity::Ordinary, at);
    desk.ticket.policy_version = version.id();
    desk
}

fn minutes_after(at: Timestamp, minutes: i64) -> Timestamp {
    at.checked_add(minutes.minutes()).expect("a time in range")
}

/// The rules of what was taken over.
fn rules(taken: &[TakenPromise]) -> Vec<&str> {
    taken.iter().map(|taken| &*taken.rule).collect()
}

/// The entry of the survivor that stands for a promise.
fn entry<'a>(desk: &'a Desk, taken: &TakenPromise) -> &'a ClockEntry {
    let named = |clock: &&ClockEntry| {
        (clock.cycle, clock.round) == (taken.cycle, taken.round) && clock.rule == taken.rule
    };
    desk.ticket.clocks.iter().find(named).expect("an entry")
}

#[test]
fn t04_nobody_heard_what_somebody_else_was_told() {
    let unregistered = |name: &str| Complainant::Unregistered { name: name.into() };
    let known = |n| Complainant::Customer { customer: Uuid::from_u128(n), contact: None };
    let told = [
        (known(7), known(7), vec!["resolution"]),
        (known(7), unregistered("李四"), vec!["first-response", "resolution"]),
        (unregistered("张三"), known(7), vec!["first-response", "resolution"]),
        (unregistered("张三"), unregistered("李四"), vec!["first-response", "resolution"]),
        // Names prove nothing.
        (unregistered("张三"), unregistered("张三"), vec!["first-response", "resolution"]),
        (Complainant::Anonymous, Complainant::Anonymous, vec!["first-response", "resolution"]),
    ];
    for (one, other, promises) in told {
        let (mut first, mut second) = pair();
        first.ticket.complainant = one.clone();
        second.ticket.complainant = other.clone();
        second.does(HANDLER, hours(11), respond());
        let taken = merges(&mut first, &mut second, hours(12));
        assert_eq!(rules(&taken), promises, "{one:?} into {other:?}");
        let late = second.fires(hours(24));
        let broken = late.iter().any(|change| matches!(change.what, What::ClockBreached { .. }));
        assert_eq!(broken, promises.len() == 2, "somebody is owed the answer: {one:?}");
    }
}

#[test]
fn t04_x10_a_promise_moves_with_the_version_that_made_it() {
    let [registered_by, other, third] = versions();
    let mut first = under_version(1, &other, hours(0));
    let mut second = under_version(2, &third, hours(1));
    let due = first.clock("resolution", 1).due;
    assert!(due < second.clock("solution", 1).due);
    let taken = merges(&mut first, &mut second, hours(2));
    assert_eq!(rules(&taken), ["first-response", "resolution"]);
    let moved = entry(&second, &taken[1]);
    assert_eq!((moved.due, moved.terms.version()), (due, Some(other.id())));
    let told = explain(moved, &second.policy, hours(2)).expect("explained");
    assert_eq!(told.segments.last().map(|segment| segment.to), due);
    assert_eq!(told.time_zone, "Asia/Shanghai");
    // It is broken by the table of its version and on the survivor, and once.
    let late = second.fires(due.expect("a deadline"));
    assert_eq!(late.iter().filter(|change| change.action() == "BreachClock").count(), 2);

    // By the version that judges the survivor it is one of its own; by a third one it stays so.
    let mut first = under_version(1, &registered_by, hours(0));
    first.does("manager", hours(1), under(&other));
    let mut second = under_version(2, &other, hours(1));
    let taken = merges(&mut first, &mut second, hours(2));
    let moved = entry(&second, taken.last().expect("the solution"));
    assert_eq!(moved.terms, Terms::Registered);
    assert_eq!(moved.eras.len(), 1);
    assert_eq!(moved.eras[0].terms.version(), Some(registered_by.id()));
}

#[test]
fn t04_t05_promises_that_were_made_anew_are_merged_like_others() {
    let [old, new, newest] = versions();
    let mut first = under_version(1, &old, hours(0));
    let mut second = under_version(2, &new, hours(1));
    first.does("manager", hours(3), under(&newest));
    second.does("manager", hours(3), under(&newest));
    let due = first.clock("solution", 1).due;
    let taken = merges(&mut first, &mut second, hours(4));
    let solution = taken.iter().find(|taken| &*taken.rule == "solution").expect("it moved");
    let moved = entry(&second, solution);
    assert_eq!((moved.due, moved.terms.version()), (due, Some(newest.id())));
    let own = solution.replaced.as_ref().and_then(|(rule, round)| {
        let mut clocks = second.ticket.clocks.iter();
        clocks.rfind(|clock| clock.round == *round && clock.rule == *rule).cloned()
    });
    assert_eq!(own.map(|own| own.state()), Some(ClockState::Cancelled), "one promise, not two");
}

#[test]
fn t13_whoever_handled_what_was_merged_judges_nothing_of_it() {
    let (mut first, mut second) = pair();
    first.does(HANDLER, hours(11), respond());
    first.ticket.owner = Some("owner-sun".into());
    let taken = merges(&mut first, &mut second, hours(12));
    assert!(second.ticket.cycle_handlers.is_empty(), "nobody has answered here");
    // What they did of the matter they did, also where it was two.
    let before = second.clone();
    unmerges(&mut first, &mut second, &taken, hours(13));
    for mut survivor in [before, second] {
        survivor.does("qian", hours(14), respond());
        survivor.does("qian", hours(14), resolve());
        survivor.does("qian", hours(14), feed_back());
        for own in [HANDLER, "owner-sun", "qian"] {
            for command in
                [verdict(1), Command::Handle(HandlingCommand::Close { reason: "联系不上".into() })]
            {
                let refused = survivor.tries(own, hours(15), command);
                assert!(
                    matches!(refused, Err(Refusal::SeparationOfDuties { .. })),
                    "{own}: {refused:?}"
                );
            }
        }
        survivor.does(QUALITY, hours(15), verdict(5));
        survivor.does("qian", hours(16), respond());
        survivor.does("qian", hours(16), resolve());
        survivor.does("qian", hours(16), feed_back());
        survivor.does(HANDLER, hours(17), verdict(1));
    }
    // Along the chain.
    let (mut first, mut second) = pair();
    first.does(HANDLER, hours(11), respond());
    merges(&mut first, &mut second, hours(12));
    let mut third = registered(3, policy(), Severity::Ordinary, hours(12));
    merges(&mut second, &mut third, hours(13));
    assert_eq!(third.ticket.handlers().map(|staff| &**staff).collect::<Vec<_>>(), [HANDLER]);
}

#[test]
fn t04_undone_while_the_survivor_waits_no_promise_is_kept_twice() {
    let (mut first, mut second) = pair();
    let taken = merges(&mut first, &mut second, hours(12));
    second.does(HANDLER, hours(13), pause());
    unmerges(&mut first, &mut second, &taken, hours(20));
    let live: Vec<_> = second.ticket.clocks.iter().filter(|clock| clock.is_live()).collect();
    let states: Vec<_> = live.iter().map(|clock| (&*clock.rule, clock.state())).collect();
    assert_eq!(
        states,
        [("first-response", ClockState::Running), ("resolution", ClockState::Paused)]
    );
    assert_eq!(live[1].timeline.started(), hours(10), "its own");
    second.does(HANDLER, hours(22), Command::Resume);
    assert_eq!(second.clock("resolution", 1).due, Some(hours(10 + 72 + 9)));
    assert_eq!(first.clock("resolution", 1).due, Some(hours(72)));
    // Solved, it has still its own way to go to the first answer.
    let (mut first, mut second) = pair();
    let taken = merges(&mut first, &mut second, hours(12));
    second.does(HANDLER, hours(13), resolve());
    unmerges(&mut first, &mut second, &taken, hours(20));
    assert_eq!(second.clock("first-response", 1).due, Some(hours(34)));
    assert_eq!(second.clock("resolution", 1).state(), ClockState::Met, "kept meanwhile");
}

#[test]
fn t19_what_a_registration_lacks_is_looked_for_again_when_the_merge_is_undone() {
    let mut draft = draft();
    draft.learning.required_fields = vec![RequiredFieldsDraft {
        moment: Some(RequiredMoment::Registered),
        fields: vec![Some(RequiredField::Category)],
        kinds: Vec::new(),
        within: elapsed(20),
        violation: "late-first-response".into(),
    }];
    let policy = Policy::try_new(draft).expect("sound");
    let pair = || {
        let mut first = registered(1, policy.clone(), Severity::Ordinary, hours(0));
        first.ticket.look_for_fields(&policy);
        (first, registered(2, policy.clone(), Severity::Ordinary, hours(10)))
    };
    let (mut first, mut second) = pair();
    assert_eq!(first.ticket.handling.fields_due, Some(hours(20)));
    let taken = merges(&mut first, &mut second, hours(12));
    assert_eq!(first.ticket.next_fire_at(), None, "it rests");
    unmerges(&mut first, &mut second, &taken, hours(13));
    assert_eq!(first.ticket.handling.fields_due, Some(hours(20)));
    assert_eq!(actions(&first.fires(hours(20))), ["WarnClock", "MissRequiredField"]);
    // Where its time was over meanwhile.
    let (mut first, mut second) = pair();
    let taken = merges(&mut first, &mut second, hours(12));
    let undone = try_unmerge(&first, &second, &taken, hours(21));
    let (of_source, _) = undone.expect("not refused");
    let missed = of_source.iter().find(|change| change.action() == "MissRequiredField");
    assert_eq!(missed.map(|change| change.effective_at), Some(hours(20)), "late and honestly");
    first.take(&of_source);
    assert_eq!(first.ticket.handling.fields_due, None, "once");
}

fn outbox(desk: &mut Desk, now: Timestamp, command: Command) -> Vec<Change> {
    let changes = decide(&desk.ticket, &desk.policy, command, &Actor::OUTBOX, now);
    let changes = changes.expect("never refused");
    desk.take(&changes);
    changes
}

#[test]
fn t14_what_never_left_is_seen_where_the_matter_is_handled() {
    use DeliveryState::{Cancelled, Parked, Sent};

    use super::told::note;

    let shown = |desk: &Desk| {
        let lost = desk.ticket.outbound.undelivered.as_ref();
        lost.map(|lost| (lost.message.as_u128(), lost.said_on, lost.cancelled))
    };
    let follows = |source: &mut Desk, target: &mut Desk, now, command| {
        let before = source.ticket.clone();
        let changes = outbox(source, now, command);
        let judged = (&target.ticket, &target.policy);
        let done = (&Actor::OUTBOX, now);
        let following = follow_mark(judged, &before, &changes, false, done);
        target.take(&following);
        actions(&following).join(" ")
    };
    // Marked before the merge.
    let (mut first, mut second) = pair();
    let one = Some(first.ticket.id);
    outbox(&mut first, hours(11), note(1, hours(11), Parked, false));
    let done = (&Actor::OUTBOX, hours(12));
    let judged = (&second.ticket, &second.policy);
    assert_eq!(bring_mark(judged, &first.ticket, true, done), [], "heard since");
    let brings = bring_mark(judged, &first.ticket, false, done);
    let taken = merges(&mut first, &mut second, hours(12));
    second.take(&brings);
    assert_eq!(shown(&second), Some((1, one, false)));
    // Given up after it, as far as the chain leads.
    let mut third = registered(3, policy(), Severity::Ordinary, hours(12));
    let brings = bring_mark((&third.ticket, &third.policy), &second.ticket, false, done);
    assert_eq!(actions(&brings), ["MarkUndelivered"]);
    third.take(&brings);
    assert_eq!(shown(&third), Some((1, one, false)), "and where it was said");
    let clocks = first.ticket.clocks.clone();
    let cancelled = note(1, hours(11), Cancelled, false);
    assert_eq!(follows(&mut first, &mut second, hours(13), cancelled), "MarkUndelivered");
    assert_eq!((shown(&first), shown(&second)), (Some((1, None, true)), Some((1, one, true))));
    assert_eq!(first.ticket.clocks, clocks, "no clock notices");
    // Undone, it goes with its ticket, and a mark of its own stays.
    let (before, mut alone) = (second.clone(), first.clone());
    unmerges(&mut alone, &mut second, &taken, hours(14));
    assert_eq!((shown(&alone), shown(&second)), (Some((1, None, true)), None));
    let mut own = before.clone();
    outbox(&mut own, hours(13), note(5, hours(13), Parked, false));
    unmerges(&mut first.clone(), &mut own, &taken, hours(14));
    assert_eq!(shown(&own), Some((5, None, false)));
    // A later one of its own is what is shown; and what goes with another one is not taken for it.
    let mut later = before.clone();
    outbox(&mut later, hours(13), note(6, hours(13), Parked, false));
    let again = note(1, hours(11), Parked, false);
    assert_eq!(follows(&mut first.clone(), &mut later, hours(14), again), "");
    let sent = note(1, hours(11), Sent, false);
    assert_eq!(follows(&mut first.clone(), &mut later, hours(14), sent.clone()), "");
    assert_eq!(shown(&later).map(|(message, on, _)| (message, on)), Some((6, None)));
    // Taken after all.
    second = before;
    assert_eq!(follows(&mut first, &mut second, hours(15), sent), "ClearUndelivered");
    assert_eq!((shown(&first), shown(&second)), (None, None));
}

/// Does the same to both where it is possible, as of so many minutes after the last.
fn both_wait(desks: [&mut Desk; 2], mut now: Timestamp, gaps: &[i64]) -> Timestamp {
    let [one, other] = desks;
    for (turn, gap) in gaps.iter().enumerate() {
        now = minutes_after(now, *gap);
        let command = if turn % 2 == 0 { pause() } else { Command::Resume };
        one.does(HANDLER, now, command.clone());
        other.does(HANDLER, now, command);
    }
    now
}

proptest! {
    #[test]
    fn t04_t05_a_promise_that_moved_counts_as_it_would_have_counted_where_it_was_given(
        registered in (0..3_usize, 0..3_usize),
        anew in (option::of(0..3_usize), option::of(0..3_usize)),
        gaps in (0..2_000_i64, 0..600_i64, 1..1_000_i64),
        waits in vec(0..3_000_i64, 0..6),
    ) {
        let versions = versions();
        let mut source = under_version(1, &versions[registered.0], hours(0));
        let began = minutes_after(hours(0), gaps.0);
        let mut target = under_version(2, &versions[registered.1], began);
        let now = minutes_after(began, gaps.1);
        for (desk, anew) in [(&mut source, anew.0), (&mut target, anew.1)] {
            if let Some(version) = anew {
                desk.does("manager", now, under(&versions[version]));
            }
        }
        let now = minutes_after(now, gaps.2);
        source.fires(now);
        target.fires(now);
        let mut twin = source.clone();
        let taken = merges(&mut source, &mut target, now);
        let was: Vec<_> = twin.ticket.clocks.iter().filter(|clock| clock.is_live()).cloned().collect();
        for promise in &taken {
            let given = was.iter().find(|clock| clock.rule == promise.rule).expect("it was live");
            prop_assert_eq!(entry(&target, promise).due, given.due, "no promise is moved");
        }
        let later = both_wait([&mut target, &mut twin], now, &waits);
        for promise in &taken {
            let given = was.iter().find(|clock| clock.rule == promise.rule).expect("it was live");
            let given = twin.ticket.clocks.iter().find(|clock| {
                (&clock.rule, clock.round) == (&given.rule, given.round)
            }).expect("it is still there");
            let moved = entry(&target, promise);
            prop_assert_eq!((moved.due, moved.state()), (given.due, given.state()));
            let told = |clock: &ClockEntry, policy: &Policy| {
                let told = explain(clock, policy, later).expect("explained");
                (told.due, told.segments, told.time_zone, told.stretches.len())
            };
            prop_assert_eq!(told(moved, &target.policy), told(given, &twin.policy));
        }
    }

    #[test]
    fn t04_undone_the_survivor_stands_as_if_nothing_had_been_merged_into_it(
        gaps in (0..3_000_i64, 1..2_000_i64, 0..300_i64),
        waits in vec(0..300_i64, 0..6),
    ) {
        let mut source = registered(1, policy(), Severity::Ordinary, hours(0));
        let began = minutes_after(hours(0), gaps.0);
        let mut target = registered(2, policy(), Severity::Ordinary, began);
        let now = minutes_after(began, gaps.1);
        source.fires(now);
        target.fires(now);
        let mut twin = target.clone();
        let taken = merges(&mut source, &mut target, now);
        let later = both_wait([&mut target, &mut twin], now, &waits);
        let later = minutes_after(later, gaps.2);
        target.fires(later);
        twin.fires(later);
        // What was broken here stays broken here.
        prop_assume!(taken.iter().all(|promise| entry(&target, promise).is_live()));
        unmerges(&mut source, &mut target, &taken, later);
        let live = |desk: &Desk| -> Vec<_> {
            let clocks = desk.ticket.clocks.iter().filter(|clock| clock.is_live());
            let mut live: Vec<_> = clocks.map(|clock| {
                (clock.rule.clone(), clock.timeline.clone(), clock.due, clock.state())
            }).collect();
            live.sort_by(|one, other| one.0.cmp(&other.0));
            live
        };
        prop_assert_eq!(live(&target), live(&twin));
        prop_assert_eq!(&target.ticket.state, &twin.ticket.state);
    }
}
