//! T-22: what the tests of staged processes share.

use super::*;

/// Whoever works in the field.
pub(super) const FITTER: &str = "fitter-zhang";
pub(super) const MANAGER: &str = "manager-liu";
pub(super) const DIRECTOR: &str = "director-chen";
pub(super) const HEADS: [&str; 3] = ["head-1", "head-2", "head-3"];

pub(super) fn text(words: &str) -> Text {
    Text::new(words, words)
}

pub(super) fn codes(codes: &[&str]) -> Vec<String> {
    codes.iter().map(|code| (*code).to_owned()).collect()
}

pub(super) fn stage(code: &str) -> StageDraft {
    StageDraft {
        code: code.into(),
        title: text(code),
        roles: codes(&["handler"]),
        ..StageDraft::default()
    }
}

pub(super) fn condition(attribute: &str) -> RouteConditionDraft {
    RouteConditionDraft { attribute: attribute.into(), ..RouteConditionDraft::default() }
}

pub(super) fn route(code: &str, cases: Vec<Vec<RouteConditionDraft>>) -> RouteDraft {
    RouteDraft { code: code.into(), title: text(code), cases }
}

pub(super) fn in_hours(hours: u64, routes: &[&str]) -> StageClockDraft {
    StageClockDraft {
        length: Some(LengthDraft::Target(elapsed(hours))),
        routes: codes(routes),
        ..StageClockDraft::default()
    }
}

/// Application; survey of large ones; plan answered in writing beside the fee; review; construction; check.
pub(super) fn template() -> ProcessTemplateDraft {
    let outcome = |code: &str, next: Option<&str>| OutcomeDraft {
        code: code.into(),
        title: text(code),
        passed: next.is_none(),
        next: next.map(text),
    };
    ProcessTemplateDraft {
        attached: Vec::new(),
        code: "power".into(),
        title: text("power"),
        attributes: vec![
            AttributeDraft {
                code: "capacity".into(),
                title: text("kVA"),
                kind: Some(ValueKind::Number),
                maximum: Some(2_000.0),
                change_restarts_at: "plan".into(),
                ..AttributeDraft::default()
            },
            AttributeDraft {
                code: "double".into(),
                title: text("double"),
                kind: Some(ValueKind::Flag),
                change_restarts_at: "check".into(),
                ..AttributeDraft::default()
            },
        ],
        documents: ["form", "survey", "receipt", "drawings"]
            .map(|code| (code.into(), text(code)))
            .into(),
        routes: vec![
            route(
                "small",
                vec![vec![
                    RouteConditionDraft { at_most: Some(10.0), ..condition("capacity") },
                    RouteConditionDraft { flag: Some(false), ..condition("double") },
                ]],
            ),
            route(
                "large",
                vec![
                    vec![RouteConditionDraft { above: Some(10.0), ..condition("capacity") }],
                    vec![RouteConditionDraft { flag: Some(true), ..condition("double") }],
                ],
            ),
        ],
        stages: vec![
            StageDraft { documents: vec![("form".into(), Vec::new())], ..stage("application") },
            StageDraft {
                routes: codes(&["large"]),
                documents: vec![("survey".into(), Vec::new())],
                clocks: vec![StageClockDraft { warn_percent: 50, ..in_hours(48, &[]) }],
                ..stage("survey")
            },
            StageDraft {
                answer_promised: true,
                clocks: vec![in_hours(24, &["small"]), in_hours(72, &["large"])],
                ..stage("plan")
            },
            StageDraft {
                parallel: true,
                documents: vec![("receipt".into(), Vec::new())],
                ..stage("fee")
            },
            StageDraft {
                documents: vec![("drawings".into(), Vec::new())],
                approvals: vec![
                    ApprovalDraft {
                        roles: codes(&["manager"]),
                        level: 1,
                        ..ApprovalDraft::default()
                    },
                    ApprovalDraft {
                        roles: codes(&["headquarters", "director"]),
                        count: 2,
                        level: 3,
                        routes: codes(&["large"]),
                    },
                ],
                ..stage("review")
            },
            StageDraft {
                inspections: Some(InspectionsDraft {
                    minimum: 2,
                    maximum: 4,
                    outcomes: vec![outcome("passed", None), outcome("rework", Some("again"))],
                }),
                ..stage("construction")
            },
            StageDraft {
                clocks: vec![StageClockDraft {
                    length: Some(LengthDraft::Months(1)),
                    ..StageClockDraft::default()
                }],
                ..stage("check")
            },
        ],
        change_deciders: codes(&["manager", "director"]),
    }
}

pub(super) fn with(template: ProcessTemplateDraft) -> PolicyDraft {
    PolicyDraft { processes: vec![template], ..draft() }
}

pub(super) fn powered() -> Policy {
    Policy::try_new(with(template())).expect("a sound policy")
}

pub(super) fn number(number: f64) -> Value {
    Value::Number(Number::new(number).expect("finite"))
}

pub(super) fn agreed(capacity: f64, double: bool) -> Vec<(String, Value)> {
    vec![("capacity".into(), number(capacity)), ("double".into(), Value::Flag(double))]
}

pub(super) fn person(subject: &str) -> ProcessActor {
    let role = match subject {
        FITTER | HANDLER => "handler",
        MANAGER => "manager",
        DIRECTOR => "director",
        CLERK => "clerk",
        _ => "headquarters",
    };
    ProcessActor { subject: subject.into(), roles: vec![role.into()] }
}

/// A process and those around it.
pub(super) struct Site {
    pub(super) policy: Policy,
    pub(super) process: Process,
    pub(super) now: Timestamp,
}

impl Site {
    pub(super) fn at(capacity: f64, double: bool) -> Self {
        Self::under(powered(), capacity, double)
    }

    pub(super) fn under(policy: Policy, capacity: f64, double: bool) -> Self {
        let now = hours(0);
        let request = Intake { kind: TicketKind::Request, ..intake(Severity::Ordinary) };
        let ticket = register(request, identity(), &policy, &Actor::staff(CLERK), now);
        let ticket = ticket.expect("registered").ticket;
        let process = {
            let template = policy.process("power").expect("there");
            let ids = (Uuid::from_u128(1), Uuid::from_u128(2));
            let rules = (template, policy.calendar());
            let by = (&person(CLERK), now);
            start_process(ids, &ticket, None, rules, agreed(capacity, double), by).expect("starts")
        };
        Self { policy, process, now }
    }

    pub(super) fn template(&self) -> &ProcessTemplate {
        self.policy.process("power").expect("there")
    }

    pub(super) fn settle(&mut self, is_timer: bool) -> Vec<(String, RunAlarm, Timestamp)> {
        let mut seen = Vec::new();
        while let Some((next, notice)) = notice_process(&self.process, self.now, is_timer) {
            seen.push((next.runs[notice.run].stage.clone(), notice.alarm, notice.at));
            self.process = next;
        }
        seen
    }

    pub(super) fn asks(
        &mut self,
        subject: &str,
        command: ProcessCommand,
    ) -> Result<(), ProcessRefusal> {
        self.settle(false);
        let rules = (self.template(), self.policy.calendar());
        let next = decide_process(&self.process, rules, command, &person(subject), self.now)?;
        assert_eq!(next.revision, self.process.revision + 1);
        self.process = next;
        Ok(())
    }

    pub(super) fn does(&mut self, subject: &str, command: ProcessCommand) {
        let asked = command.name();
        self.asks(subject, command).unwrap_or_else(|refusal| panic!("{asked}: {refusal}"));
    }

    pub(super) fn running(&self) -> Vec<&str> {
        self.process.running().map(|run| &*run.stage).collect()
    }

    /// Does whatever is missing in a running stage, and completes it. Bounded; false where it is stuck.
    pub(super) fn diligent(&mut self) -> bool {
        if self.process.pending_change().is_some() {
            let requester = self.process.changes.last().expect("pending").requested.by.to_string();
            let decider = if requester == MANAGER { DIRECTOR } else { MANAGER };
            let command = ProcessCommand::DecideChange { agreed: false, decision: "no".into() };
            self.does(decider, command);
        }
        let Some(run) = self.process.running().next().cloned() else { return false };
        let stage = run.stage.clone();
        let missing = self.process.missing(self.template(), &run);
        let Some(need) = missing.first() else {
            self.does(HANDLER, ProcessCommand::Complete { stage });
            return true;
        };
        match need.kind {
            NeedKind::Document => self.does(HANDLER, document(&stage, &need.subject)),
            NeedKind::Inspection => self.does(HANDLER, inspection("passed")),
            NeedKind::Submission => self.does(HANDLER, ProcessCommand::Submit { stage }),
            NeedKind::Approval => {
                let all = [MANAGER, DIRECTOR, HEADS[0], HEADS[1], HEADS[2]];
                return all.iter().any(|who| self.asks(who, approve()).is_ok());
            }
            NeedKind::Answer => self.does(HANDLER, answer(&stage, self.now)),
            // Only what is agreed differently gets new inspections.
            NeedKind::InspectionsExhausted => {
                let current = &self.process.agreed["capacity"];
                let other = if *current == number(700.0) { 701.0 } else { 700.0 };
                self.does(HANDLER, change(other));
                self.does(
                    MANAGER,
                    ProcessCommand::DecideChange { agreed: true, decision: "yes".into() },
                );
            }
            other => panic!("nobody can help that {other} is missing"),
        }
        true
    }

    pub(super) fn finish(&mut self) {
        let steps = (0..200).take_while(|_| self.process.end.is_none() && self.diligent()).count();
        assert_eq!(
            self.process.state(),
            ProcessState::Completed,
            "after {steps}: {:?}",
            self.running()
        );
    }
}

pub(super) fn document(stage: &str, document: &str) -> ProcessCommand {
    let (stage, document) = (stage.to_owned(), document.to_owned());
    ProcessCommand::RecordDocument { stage, document, reference: "档案 42".into(), file: None }
}

pub(super) fn inspection(outcome: &str) -> ProcessCommand {
    let (stage, outcome) = ("construction".to_owned(), outcome.to_owned());
    ProcessCommand::RecordInspection { stage, outcome, finding: "接地良好".into() }
}

pub(super) fn answer(stage: &str, sent_at: Timestamp) -> ProcessCommand {
    let said = Said { message: Uuid::from_u128(9), sent_at, is_void: false };
    named_answer(stage, Some(said))
}

pub(super) fn named_answer(stage: &str, said: Option<Said>) -> ProcessCommand {
    let message = Named { ticket: Uuid::from_u128(3), id: Uuid::from_u128(9) };
    ProcessCommand::RecordAnswer { stage: stage.to_owned(), message, said }
}

pub(super) fn approve() -> ProcessCommand {
    ProcessCommand::Approve { stage: "review".into(), comment: String::new() }
}

pub(super) fn change(capacity: f64) -> ProcessCommand {
    let values = vec![("capacity".to_owned(), number(capacity))];
    ProcessCommand::RequestChange { values, reason: "增容".into() }
}

pub(super) fn lacking(refusal: Result<(), ProcessRefusal>) -> Vec<(NeedKind, String)> {
    match refusal {
        Err(ProcessRefusal::Lacking { missing, .. }) => {
            missing.into_iter().map(|need| (need.kind, need.subject)).collect()
        }
        other => panic!("{other:?}"),
    }
}

pub(super) fn duty(refusal: Result<(), ProcessRefusal>) -> ProcessDuty {
    match refusal {
        Err(ProcessRefusal::NotYours { duty, .. }) => duty,
        other => panic!("{other:?}"),
    }
}
