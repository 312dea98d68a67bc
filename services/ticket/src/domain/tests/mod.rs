//! What the rules say, by example and as properties. This file has what the tests share.

mod authority;
mod automation;
mod clocks;
mod content;
mod correction;
mod delivery;
mod evidence;
mod handling;
mod hands;
mod late;
mod learning;
mod ledger;
mod life;
mod likeness;
mod merge;
mod message_template;
mod phrase;
mod plan;
mod policy;
mod process;
mod process_clocks;
mod process_example;
mod process_policy;
mod process_properties;
mod properties;
mod recompute;
mod refusal;
mod reopen;
mod report;
mod reroute;
mod routing;
mod search;
mod simulation;
mod survivor;
mod told;
mod unmerge;
mod wall;
mod work_order;

use std::{sync::Arc, time::Duration};

use jiff::{Timestamp, ToSpan};
use kefu_calendar::{
    BusinessTime, Calendar, CalendarDraft, DayHours, Exception, ExceptionHours, Hours, Label,
    Target,
};
use uuid::Uuid;

use super::*;

/// Whoever takes the calls.
pub const CLERK: &str = "clerk-li";
/// Whoever works on the tickets.
pub const HANDLER: &str = "handler-wang";
/// Whoever asks for verdicts.
pub const QUALITY: &str = "quality-zhao";

pub fn at(text: &str) -> Timestamp {
    text.parse().expect("a timestamp")
}

pub fn hours(count: i64) -> Timestamp {
    // Wednesday, 25 September 2019, ten o'clock in Shanghai: the last week before National Day.
    at("2019-09-25T10:00:00+08:00").checked_add(count.hours()).expect("a time in range")
}

/// Monday to Friday 9 to 17 in Shanghai, with National Day and the make-up days around it.
pub fn calendar() -> Calendar {
    let day = Hours::new("09:00", "17:00");
    let mut exceptions: Vec<_> = (1..=7)
        .map(|day| Exception {
            date: format!("2019-10-{day:02}"),
            label: Label::new("National Day", "国庆节"),
            hours: ExceptionHours::Closed,
        })
        .collect();
    for date in ["2019-09-29", "2019-10-12"] {
        exceptions.push(Exception {
            date: date.into(),
            label: Label::new("Make-up working day", "调休"),
            hours: ExceptionHours::Open(vec![day.clone()]),
        });
    }
    let week = (1..=5).map(|n| DayHours { day_of_week: n, intervals: vec![day.clone()] });
    Calendar::new(&CalendarDraft {
        time_zone: "Asia/Shanghai".into(),
        week: week.collect(),
        exceptions,
        working_day: Duration::from_secs(8 * 3_600),
    })
    .expect("a sound calendar")
}

pub fn elapsed(hours: u64) -> Option<Target> {
    Some(Target::Elapsed(Duration::from_secs(hours * 3_600)))
}

pub fn business(hours: u32) -> Option<Target> {
    Some(Target::Business(BusinessTime::from_hours(hours)))
}

fn clock(name: &str, kind: ClockKind, target: Option<Target>) -> ClockRuleDraft {
    ClockRuleDraft { name: name.into(), kind: Some(kind), target, ..ClockRuleDraft::default() }
}

/// Three levels, five verdicts, four promises: 24 elapsed hours to the first response with a
/// warning at 80 %, a violation and a level for a breach; 72 elapsed hours to the solution with a
/// warning at half time; 48 to the feedback; one working day to the call-back.
pub fn draft() -> PolicyDraft {
    let outcome = |value| match value {
        1..=3 => VerdictOutcome::Close,
        _ => VerdictOutcome::Reopen,
    };
    PolicyDraft {
        code: "franchise-complaints".into(),
        title: Text::new("Complaints of franchisees", "加盟商投诉管理制度"),
        calendar: Some(calendar()),
        clocks: vec![
            ClockRuleDraft {
                warn_percent: 80,
                breach_raises_level: true,
                breach_violation: "late-first-response".into(),
                ..clock("first-response", ClockKind::FirstResponse, elapsed(24))
            },
            ClockRuleDraft {
                warn_percent: 50,
                on_reopen: Some(ReopenMode::Restart),
                ..clock("resolution", ClockKind::Resolution, elapsed(72))
            },
            clock("feedback", ClockKind::ResultFeedback, elapsed(48)),
            clock("call-back", ClockKind::CallBack, Some(Target::WorkingDays(1))),
        ],
        levels: (1..=3).map(|level| LevelDraft { level, ..LevelDraft::default() }).collect(),
        severities: vec![SeverityDraft { severity: 3, receiver_level: 2 }],
        verdict_options: (1..=5)
            .map(|value| VerdictOptionDraft {
                value,
                label: Text::new(format!("value {value}"), format!("评价 {value}")),
                outcome: Some(outcome(value)),
            })
            .collect(),
        grade_priorities: vec![GradePriorityDraft {
            grade: "vip".into(),
            priority: Some(Priority::Urgent),
        }],
        violations: vec![ViolationDraft {
            code: "late-first-response".into(),
            description: Text::new("First response too late", "首次回复超时"),
            amount_cents: 20_000,
            currency: "CNY".into(),
            ..ViolationDraft::default()
        }],
        ..PolicyDraft::default()
    }
}

pub fn policy() -> Policy {
    Policy::try_new(draft()).expect("a sound policy")
}

pub fn intake(severity: Severity) -> Intake {
    Intake {
        org_unit: "group/north/riverside".into(),
        kind: TicketKind::Complaint,
        channel: Channel::Phone,
        complainant: Complainant::Customer { customer: Uuid::from_u128(7), contact: None },
        severity,
        occurred_at: None,
        details: Details { subject: "门窗漏水 💧".into(), ..Details::default() },
        grade: None,
        amount: None,
        complainant_type: None,
        last_complaint_at: None,
    }
}

pub fn identity() -> Identity {
    Identity {
        id: Uuid::from_u128(1),
        number: "T-2019-riverside-000001".into(),
        policy_version: Uuid::from_u128(2),
    }
}

/// A ticket and its policy, to be told what happens.
#[derive(Clone)]
pub struct Desk {
    pub policy: Policy,
    pub ticket: Ticket,
}

impl Desk {
    /// Registered at `hours(0)` by the clerk.
    pub fn new(severity: Severity) -> Self {
        Self::with(policy(), severity)
    }

    pub fn with(policy: Policy, severity: Severity) -> Self {
        let intake = intake(severity);
        let registered = register(intake, identity(), &policy, &Actor::staff(CLERK), hours(0));
        let ticket = registered.expect("registered").ticket;
        Self { policy, ticket }
    }

    pub fn tries(
        &self,
        staff: &str,
        now: Timestamp,
        command: Command,
    ) -> Result<Vec<Change>, Refusal> {
        decide(&self.ticket, &self.policy, command, &Actor::staff(staff), now)
    }

    pub fn does(&mut self, staff: &str, now: Timestamp, command: Command) -> Vec<Change> {
        let changes = self.tries(staff, now, command).expect("not refused");
        self.take(&changes);
        changes
    }

    pub fn fires(&mut self, now: Timestamp) -> Vec<Change> {
        let fired = decide(&self.ticket, &self.policy, Command::FireTimers, &Actor::TIMERS, now);
        let changes = fired.expect("timers are never refused");
        self.take(&changes);
        changes
    }

    pub fn take(&mut self, changes: &[Change]) {
        changes.iter().for_each(|change| apply(&mut self.ticket, change));
    }

    pub fn clock(&self, rule: &str, cycle: u32) -> &ClockEntry {
        self.ticket.clock(rule, cycle).expect("a clock")
    }

    pub fn state(&self) -> StateName {
        self.ticket.state.name()
    }

    pub fn level(&self) -> u8 {
        self.ticket.receiver_level.number()
    }

    /// Answered, resolved and told within one hour from `now` on.
    pub fn is_handled(&mut self, now: Timestamp) {
        let later = |minutes: i64| now.checked_add(minutes.minutes()).expect("a time in range");
        self.does(HANDLER, now, respond());
        self.does(HANDLER, later(20), resolve());
        self.does(HANDLER, later(40), feed_back());
    }
}

pub fn respond() -> Command {
    Command::Respond { message: "我们正在处理".into(), sent_at: None }
}

pub fn respond_sent(sent_at: Timestamp) -> Command {
    Command::Respond { message: "我们正在处理".into(), sent_at: Some(sent_at) }
}

pub fn pause() -> Command {
    Command::Pause { reason: "waits for photos".into(), code: String::new(), recipient: None }
}

pub fn pause_for(code: &str) -> Command {
    Command::Pause { reason: "waits for photos".into(), code: code.into(), recipient: None }
}

pub fn announce(rule: &str, new_due: Timestamp) -> Command {
    Command::AnnounceDelay {
        rule: rule.into(), new_due, reason: "配件缺货".into(), message: None
    }
}

pub fn assess(severity: Severity) -> Command {
    Command::Assess { severity, reason: "有人受伤".into() }
}

pub fn resolve() -> Command {
    Command::Resolve { solution: "已更换窗框".into() }
}

pub fn feed_back() -> Command {
    Command::FeedBack { message: "已告知客户".into(), sent_at: None }
}

pub fn feed_back_sent(sent_at: Timestamp) -> Command {
    Command::FeedBack { message: "已告知客户".into(), sent_at: Some(sent_at) }
}

pub fn carried(command: Command, sent_at: Timestamp) -> Command {
    Command::Carry { command: Box::new(command), sent_at }
}

pub fn verdict(value: i32) -> Command {
    Command::RecordVerdict { value, comment: String::new(), asked_at: None }
}

pub fn verdict_of(value: i32, asked_at: Timestamp) -> Command {
    Command::RecordVerdict { value, comment: String::new(), asked_at: Some(asked_at) }
}

pub fn survey(cycle: u32, value: i32) -> Command {
    Command::TakeSurveyVerdict { cycle, value, comment: String::new(), submitted_at: None }
}

pub fn survey_of(cycle: u32, value: i32, submitted_at: Timestamp) -> Command {
    let submitted_at = Some(submitted_at);
    Command::TakeSurveyVerdict { cycle, value, comment: String::new(), submitted_at }
}

/// A policy version of the tests.
#[derive(Debug)]
pub struct Regulation(Uuid, Policy);

impl Issued for Regulation {
    fn id(&self) -> Uuid {
        self.0
    }

    fn policy(&self) -> &Policy {
        &self.1
    }
}

/// Version 0 is the one by which tickets are registered, see [`identity`].
pub fn regulation(number: usize, policy: Policy) -> Arc<Regulation> {
    let registered = identity().policy_version.as_u128();
    Arc::new(Regulation(Uuid::from_u128(registered + number as u128), policy))
}

pub fn under(regulation: &Arc<Regulation>) -> Command {
    Command::Recompute(Recompute {
        version: Arc::clone(regulation) as Arc<dyn Issued>,
        cause: RecomputeCause::Manager,
        reason: "制度修订".into(),
    })
}

pub fn actions(changes: &[Change]) -> Vec<&'static str> {
    changes.iter().map(Change::action).collect()
}

/// What is missing, by a refusal for the state.
pub fn missing(refused: Result<Vec<Change>, Refusal>) -> Vec<Missing> {
    match refused {
        Err(Refusal::IllegalState { missing, .. }) => missing,
        other => panic!("not refused for its state: {other:?}"),
    }
}

/// The wrong fields, by a refusal for them.
pub fn wrong_fields(refused: Result<Vec<Change>, Refusal>) -> Vec<String> {
    match refused {
        Err(Refusal::Fields(faults)) => faults.into_iter().map(|fault| fault.path).collect(),
        other => panic!("not refused for its fields: {other:?}"),
    }
}

pub fn review(outcome: ExecutiveOutcome) -> Command {
    Command::Handle(HandlingCommand::DecideReview { decision: "全额退款".into(), outcome })
}
