//! T-22: the clocks of stages stand still with their ticket, and escalate as those of tickets do; the ticket waits for the process.

use jiff::SignedDuration;
use proptest::{collection::vec, prelude::*};

use super::process::*;
use super::*;

fn step(name: &str, when: StepTime, notify_level: i32, raise_to_level: i32) -> StepDraft {
    StepDraft { name: name.into(), when: Some(when), notify_level, raise_to_level }
}

const fn of_hours(hours: u64) -> Duration {
    Duration::from_secs(hours * 3_600)
}

/// The survey has 48 hours: a warning at half time, and steps at 75 %, an hour before the deadline, and a day after it.
fn escalating() -> Policy {
    let mut template = template();
    template.stages[1].clocks[0] = StageClockDraft {
        warn_percent: 50,
        breach_raises_level: true,
        steps: vec![
            step("most-of-it", StepTime::Percent(75), 2, 0),
            step("last-hour", StepTime::Before(of_hours(1)), 0, 2),
            step("a-day-late", StepTime::After(of_hours(24)), 3, 3),
        ],
        ..in_hours(48, &[])
    };
    Policy::try_new(with(template)).expect("a sound policy")
}

/// At the survey, which began at `hours(0)`.
fn surveying() -> Site {
    let mut site = Site::under(escalating(), 700.0, false);
    site.does(HANDLER, document("application", "form"));
    site.does(HANDLER, ProcessCommand::Complete { stage: "application".into() });
    assert_eq!(site.running(), ["survey"]);
    site
}

fn waits(reason: &str) -> Standing {
    Standing::by(StateName::Waiting, hours(0), reason)
}

fn goes_on() -> Standing {
    Standing::by(StateName::InProgress, hours(0), "")
}

impl Site {
    fn follows(&mut self, standing: &Standing, at: Timestamp) -> bool {
        let rules = (self.template(), self.policy.calendar());
        let next = self.process.follow(rules, standing, &HANDLER.into(), at).expect("in reach");
        let follows = next.is_some();
        self.process = next.unwrap_or_else(|| self.process.clone());
        follows
    }

    fn survey(&self) -> &StageRun {
        self.process.counting("survey").expect("under way")
    }

    /// The alarms of the survey up to then, in hours since it began.
    fn rings_until(&mut self, until: Timestamp) -> Vec<(RunAlarm, i64)> {
        self.now = until;
        let rung = self.settle(true).into_iter().filter(|(stage, ..)| stage == "survey");
        rung.map(|(_, alarm, at)| (alarm, at.duration_since(hours(0)).as_hours())).collect()
    }
}

#[test]
fn t22_a_stage_warns_escalates_and_breaks_each_once_in_the_order_of_time() {
    use RunAlarm::{Breach, Step, Warn};
    let mut site = surveying();
    let all = [(Warn, 24), (Step(0), 36), (Step(1), 47), (Breach, 48), (Step(2), 72)];
    // Late in one go is the same as each at its moment.
    let mut late = Site { policy: escalating(), process: site.process.clone(), now: site.now };
    assert_eq!(late.rings_until(hours(500)), all);
    assert_eq!(late.rings_until(hours(900)), []);
    let at_its_moment: Vec<_> = (0..100).flat_map(|hour| site.rings_until(hours(hour))).collect();
    assert_eq!(at_its_moment, all);
    assert_eq!(site.survey().breached_at, Some(hours(48)));
    let taken = site.survey().steps.iter().map(|step| step.taken_at);
    assert_eq!(taken.collect::<Vec<_>>(), [36, 47, 72].map(|hour| Some(hours(hour))));
    // Done, it does nothing more.
    let mut site = surveying();
    assert_eq!(site.rings_until(hours(48)).len(), 4);
    site.does(HANDLER, document("survey", "survey"));
    site.does(HANDLER, ProcessCommand::Complete { stage: "survey".into() });
    assert_eq!(site.rings_until(hours(100)), []);
    assert_eq!(site.process.runs[1].steps[2].taken_at, None);
}

#[test]
fn t22_a_stage_clock_stands_still_while_the_ticket_waits_and_goes_on_where_it_stood() {
    use RunAlarm::{Breach, Step, Warn};
    let mut site = surveying();
    assert_eq!(site.rings_until(hours(30)), [(Warn, 24)]);
    assert!(site.follows(&waits("等客户资料"), hours(30)));
    assert!(!site.follows(&waits("等客户资料"), hours(31)), "it does so already");
    let run = site.survey();
    assert_eq!((run.due, run.warn_at, run.paused().1), (None, Some(hours(24)), Some(hours(30))));
    assert!(run.steps.iter().all(|step| step.at.is_none() && step.taken_at.is_none()));
    assert_eq!((site.process.due(), site.process.next_fire_at()), (None, None));
    assert_eq!(site.rings_until(hours(100)), [], "nothing comes to its time");
    // For another reason it goes on standing still: two pauses, without a gap.
    assert!(site.follows(&Standing::by(StateName::Merged, hours(100), ""), hours(100)));
    assert!(site.follows(&goes_on(), hours(130)));
    assert!(!site.follows(&goes_on(), hours(131)));
    let pauses: Vec<_> = site.survey().pauses.iter().map(|pause| (pause.from, pause.to)).collect();
    assert_eq!(pauses, [(hours(30), Some(hours(100))), (hours(100), Some(hours(130)))]);
    assert_eq!(site.survey().paused(), (of_hours(100), None));
    assert_eq!(
        site.rings_until(hours(400)),
        [(Step(0), 136), (Step(1), 147), (Breach, 148), (Step(2), 172)]
    );
    let explained =
        explain_process(&site.process, site.template(), site.policy.calendar(), hours(400));
    let words = &explained.expect("explained")[0].1.summary;
    assert!(words.zh.contains("已顺延暂停 4 天 4 小时"), "{}", words.zh);
}

#[test]
fn t22_what_is_broken_pauses_no_more_and_what_was_due_before_the_pause_is_due() {
    use RunAlarm::{Breach, Step};
    let mut site = surveying();
    assert_eq!(site.rings_until(hours(48)).len(), 4);
    site.follows(&waits("等客户资料"), hours(50));
    assert!(!site.survey().is_paused());
    assert_eq!(site.rings_until(hours(80)), [(Step(2), 72)]);
    // Nobody had come yet when it paused: the deadline had passed all the same.
    let mut site = surveying();
    site.follows(&waits("等客户资料"), hours(48));
    assert!(site.rings_until(hours(90)).contains(&(Breach, 48)));
    // And a warning that was due is due, the deadline is not.
    let mut site = surveying();
    site.follows(&waits("等客户资料"), hours(37));
    let rung = [(RunAlarm::Warn, 24), (Step(0), 36)];
    assert_eq!(site.rings_until(hours(90)), rung);
    site.follows(&goes_on(), hours(137));
    assert_eq!(site.rings_until(hours(300)), [(Step(1), 147), (Breach, 148), (Step(2), 172)]);
}

#[test]
fn t22_a_stage_that_begins_while_the_ticket_waits_stands_still_from_its_start() {
    let mut site = Site::under(escalating(), 700.0, false);
    site.follows(&waits("等客户资料"), hours(5));
    assert_eq!(site.process.held.as_ref().map(|held| held.since), Some(hours(5)));
    site.now = hours(10);
    site.does(HANDLER, document("application", "form"));
    site.does(HANDLER, ProcessCommand::Complete { stage: "application".into() });
    assert_eq!((site.survey().due, site.survey().paused().1), (None, Some(hours(10))));
    site.follows(&goes_on(), hours(20));
    assert_eq!(site.survey().due, Some(hours(68)));
    // Completed while it stands still, it was completed in time, whenever that is.
    site.follows(&waits("等验收"), hours(30));
    site.now = hours(500);
    site.does(HANDLER, document("survey", "survey"));
    site.does(HANDLER, ProcessCommand::Complete { stage: "survey".into() });
    let run = &site.process.runs[1];
    assert_eq!((run.breached_at, run.is_paused()), (None, false));
    assert_eq!(run.due, Some(hours(68 + 470)));
    // What comes next waits as well, and its end ends that.
    assert!(site.process.counting("plan").is_some_and(StageRun::is_paused));
    assert!(site.follows(&Standing::by(StateName::Cancelled, hours(501), "客户撤回"), hours(501)));
    let end = site.process.end.clone().expect("over");
    assert!(end.cancelled.is_some_and(|why| why.contains("工单已取消：客户撤回")));
    assert!(site.process.held.is_none() && site.process.runs.iter().all(|run| !run.is_paused()));
    assert!(!site.follows(&goes_on(), hours(502)), "what ended never changes again");
}

/// A ticket that follows a process.
fn following(state: State) -> Desk {
    let mut desk = Desk::new(Severity::Ordinary);
    let rules = regulation(0, escalating()) as Arc<dyn Issued>;
    let stages = vec!["survey".to_owned()];
    desk.ticket.process = Some(RunningProcess { id: Uuid::from_u128(8), stages, rules });
    desk.ticket.state = state;
    desk
}

#[test]
fn t22_a_ticket_is_neither_solved_nor_closed_while_its_process_runs() {
    let told = State::ResultFedBack {
        solution: Solution { text: "通电".into(), by: HANDLER.into(), at: hours(0) },
        by: HANDLER.into(),
        at: hours(0),
    };
    let review = State::Open(Open::ExecutiveReview { since: hours(0) });
    let going = State::Open(Open::InProgress { since: hours(0) });
    let close = Command::Handle(HandlingCommand::Close { reason: "联系不上".into() });
    for (state, command) in [
        (going.clone(), resolve()),
        (told.clone(), verdict(1)),
        (review, super::review(ExecutiveOutcome::Solution)),
    ] {
        let desk = following(state);
        let name = command.name();
        match desk.tries(QUALITY, hours(1), command) {
            Err(Refusal::ProcessRuns { command, process, stages, .. }) => {
                assert_eq!(
                    (command, process.as_u128(), &*stages),
                    (name, 8, &["survey".into()][..])
                );
            }
            other => panic!("{name}: {other:?}"),
        }
    }
    let mut desk = following(told.clone());
    desk.ticket.handling.attempts = (0..4).map(|day| hours(24 * day)).collect();
    let refused = desk.tries(QUALITY, hours(100), close);
    assert!(matches!(refused, Err(Refusal::ProcessRuns { .. })), "{refused:?}");
    // The customer's own word is not refused, nor is a bad one: it opens the ticket again.
    assert!(following(told.clone()).tries(QUALITY, hours(1), verdict(5)).is_ok());
    assert!(!following(told).tries(QUALITY, hours(1), survey(1, 1)).expect("taken").is_empty());
    // Whoever calls the ticket off calls the process off.
    let cancel = Command::Cancel { reason: "客户撤回".into() };
    assert!(following(going).tries(QUALITY, hours(1), cancel).is_ok());
}

#[test]
fn t22_a_process_begins_while_the_ticket_is_open_or_waits() {
    let site = Site::at(5.0, false);
    let rules = (site.template(), site.policy.calendar());
    let start = |state: State| {
        let request = Intake { kind: TicketKind::Request, ..intake(Severity::Ordinary) };
        let registered =
            register(request, identity(), &site.policy, &Actor::staff(CLERK), hours(0));
        let ticket = Ticket { state, ..registered.expect("registered").ticket };
        let ids = (Uuid::from_u128(1), Uuid::from_u128(2));
        let by = (&person(CLERK), hours(9));
        start_process(ids, &ticket, None, rules, agreed(5.0, false), by)
    };
    let solution = Solution { text: "通电".into(), by: HANDLER.into(), at: hours(0) };
    let solved = start(State::Resolved(solution.clone())).map(|_| ());
    assert_eq!(lacking(solved), [(NeedKind::UnsolvedTicket, "ticket".to_owned())]);
    let closed = start(State::Closed { solution, at: hours(1) }).map(|_| ());
    assert_eq!(lacking(closed), [(NeedKind::OpenTicket, "ticket".to_owned())]);
    let waiting = State::Waiting {
        reason: "等客户资料".into(),
        since: hours(1),
        resume_to: Open::Registered,
        follow_up: None,
    };
    let process = start(waiting).expect("starts");
    let hold = Hold { since: hours(9), reason: "等客户资料".into() };
    assert_eq!(process.held, Some(hold));
}

#[test]
fn t22_an_alarm_raises_the_ticket_by_the_policy_after_what_its_own_clocks_did() {
    let desk = Desk::new(Severity::Ordinary);
    let raise = |desk: &Desk, raise: Raise, at: Timestamp| {
        raise_by_stage(&desk.ticket, &desk.policy, (raise, "超时".into()), at, hours(100))
    };
    let second = ReceiverLevel::from_number(2).expect("a level");
    let (changes, raised) = raise(&desk, Raise::To(second), hours(1));
    assert_eq!((actions(&changes), raised), (vec!["EscalateTicket"], Some(second)));
    assert_eq!(changes[0].actor, Actor::TIMERS);
    assert_eq!((changes[0].effective_at, changes[0].at), (hours(1), hours(100)));
    // The first response was due after 24 hours, and its breach has raised the ticket there already.
    let (changes, raised) = raise(&desk, Raise::To(second), hours(30));
    assert!(raised.is_none() && actions(&changes).contains(&"BreachClock"));
    let (_, raised) = raise(&desk, Raise::Next, hours(30));
    assert_eq!(raised.map(|level| level.number()), Some(3));
    assert_eq!(raise(&desk, Raise::No, hours(1)), (Vec::new(), None));
    let mut ended = desk.clone();
    ended.does(CLERK, hours(1), Command::Cancel { reason: "撤回".into() });
    assert_eq!(raise(&ended, Raise::Next, hours(30)), (Vec::new(), None));
}

fn file(state: Option<AttachmentState>) -> ProcessCommand {
    let file = Named { ticket: Uuid::from_u128(3), id: Uuid::from_u128(77) };
    ProcessCommand::RecordDocument {
        stage: "review".into(),
        document: "drawings".into(),
        reference: String::new(),
        file: Some(NamedFile { file, state }),
    }
}

#[test]
fn t22_a_document_that_must_be_a_file_is_one_that_is_there_and_stays_there() {
    let mut template = template();
    template.attached = codes(&["drawings"]);
    let policy = Policy::try_new(with(template)).expect("a sound policy");
    let mut site = Site::under(policy, 5.0, false);
    while site.running() != ["review"] {
        assert!(site.diligent());
    }
    let wrong = [
        document("review", "drawings"),
        file(None),
        file(Some(AttachmentState::Withdrawn)),
        file(Some(AttachmentState::Refused)),
    ];
    for command in wrong {
        let Err(ProcessRefusal::Fields(faults)) = site.asks(HANDLER, command) else { panic!() };
        assert_eq!(faults[0].path, "attachment");
        assert_ne!(faults[0].chinese, faults[0].description);
    }
    site.does(HANDLER, file(Some(AttachmentState::Stored)));
    site.does(HANDLER, ProcessCommand::Submit { stage: "review".into() });
    site.does(MANAGER, approve());
    // Withdrawn, it is no document any more, and what was approved is not what is there.
    assert!(without_file(&site.process, Uuid::from_u128(78), hours(1)).is_none());
    site.process = without_file(&site.process, Uuid::from_u128(77), hours(1)).expect("has it");
    assert!(without_file(&site.process, Uuid::from_u128(77), hours(2)).is_none(), "once");
    let run = site.process.running().next().expect("review").clone();
    assert!(run.submission().is_none() && run.record.documents[0].withdrawn_at.is_some());
    let complete = ProcessCommand::Complete { stage: "review".into() };
    assert_eq!(
        lacking(site.asks(HANDLER, complete.clone())),
        [(NeedKind::Document, "drawings".to_owned()), (NeedKind::Submission, "review".to_owned())]
    );
    site.does(HANDLER, file(Some(AttachmentState::Stored)));
    site.does(HANDLER, ProcessCommand::Submit { stage: "review".into() });
    site.does(MANAGER, approve());
    site.does(HANDLER, complete);
    // What is done stays as it was done.
    assert!(without_file(&site.process, Uuid::from_u128(77), hours(3)).is_none());
}

#[test]
fn t22_steps_of_a_stage_are_checked_with_their_paths() {
    let mut template = template();
    template.stages[1].clocks[0].steps = vec![
        step("too-early", StepTime::Before(of_hours(48)), 2, 0),
        step("nobody", StepTime::Percent(50), 0, 0),
        step("nobody", StepTime::Percent(0), 4, 0),
    ];
    // A month may have 28 days.
    template.stages[6].clocks[0].steps = vec![
        step("just", StepTime::Before(of_hours(28 * 24 - 1)), 2, 0),
        step("beyond", StepTime::Before(of_hours(28 * 24)), 2, 0),
    ];
    let faults = Policy::try_new(with(template)).expect_err("faults");
    let paths: Vec<_> = faults.iter().map(|fault| &*fault.path).collect();
    let of_survey = "process_templates[0].stages[1].clocks[0].steps";
    assert_eq!(
        paths,
        [
            &*format!("{of_survey}[0].before"),
            &format!("{of_survey}[1].notify_level"),
            &format!("{of_survey}[2].name"),
            &format!("{of_survey}[2].percent"),
            &format!("{of_survey}[2].notify_level"),
            "process_templates[0].stages[6].clocks[0].steps[1].before",
        ]
    );
}

#[test]
fn x08_t22_a_stage_stands_still_only_as_often_as_there_is_room_for() {
    let mut site = surveying();
    for hour in 0..200 {
        let at = hours(0) + SignedDuration::from_mins(2 * hour);
        assert!(site.follows(&waits("等"), at));
        assert!(site.follows(&goes_on(), at + SignedDuration::from_mins(1)));
    }
    let rules = (site.template(), site.policy.calendar());
    let held =
        |standing: &Standing| site.process.follow(rules, standing, &HANDLER.into(), hours(9));
    let missing = vec![ProcessNeed::new(NeedKind::Room, "survey")];
    let refused = ProcessRefusal::Lacking { command: "PauseTicket", missing };
    assert_eq!(held(&waits("等")), Err(refused));
    let over = Standing::by(StateName::Cancelled, hours(9), "不需要了");
    assert!(held(&over).expect("there is room to end").is_some());
}

proptest! {
    /// For any waits and any looks of the timers: pauses do not overlap and only the last is open, what is used up and what is
    /// left are the whole, the deadline is what a plain count of the minutes says, and it is broken exactly when that has passed.
    #[test]
    fn t22_a_stage_clock_never_runs_twice_and_loses_no_pause(
        moves in vec((any::<bool>(), 1..900_i64, any::<bool>()), 0..24),
    ) {
        let mut site = surveying();
        let (mut at, mut held) = (hours(0), false);
        let (mut counted, whole) = (0_i64, 48 * 60);
        let mut broken = None;
        for (waiting, minutes, timers) in moves {
            let next = at + SignedDuration::from_mins(minutes);
            if !held && broken.is_none() {
                if counted + minutes >= whole {
                    broken = Some(at + SignedDuration::from_mins(whole - counted));
                }
                counted = (counted + minutes).min(whole);
            }
            at = next;
            if timers {
                site.now = at;
                site.settle(true);
            }
            if waiting != held {
                let standing = if waiting { waits("等") } else { goes_on() };
                prop_assert!(site.follows(&standing, at));
                held = waiting;
            }
            let run = site.survey();
            let open = run.pauses.iter().filter(|pause| pause.to.is_none()).count();
            prop_assert!(open <= 1 && run.is_paused() == (open == 1));
            for pair in run.pauses.windows(2) {
                prop_assert!(pair[0].to.is_some_and(|to| to <= pair[1].from));
            }
            if broken.is_none() {
                prop_assert_eq!(run.is_paused(), held);
                let left = SignedDuration::from_mins(whole - counted);
                prop_assert_eq!(run.due, (!held).then(|| at + left));
            } else {
                prop_assert_eq!(run.due, broken);
            }
        }
        site.now = at;
        site.settle(true);
        prop_assert_eq!(site.survey().breached_at, broken);
        prop_assert_eq!(site.process.next_fire_at().is_some_and(|next| next <= at), false);
    }
}
