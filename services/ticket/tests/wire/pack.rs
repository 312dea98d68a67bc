//! A regulation, as a policy.

use kefu_api::policy::v1 as policy_pb;
use kefu_api::policy::v1::target::Target;
use kefu_api::ticket::v1 as pb;

pub fn text(en: &str, zh: &str) -> policy_pb::LocalizedText {
    policy_pb::LocalizedText { en: en.into(), zh: zh.into() }
}

pub fn hours(hours: i64) -> Option<policy_pb::Target> {
    let elapsed = prost_types::Duration { seconds: hours * 3_600, nanos: 0 };
    Some(policy_pb::Target { target: Some(Target::Elapsed(elapsed)) })
}

pub fn working_days(days: i32) -> Option<policy_pb::Target> {
    Some(policy_pb::Target { target: Some(Target::WorkingDays(days)) })
}

/// Monday to Friday from nine to five in Shanghai, with a holiday and the Saturday that makes up for it.
pub fn calendar() -> policy_pb::BusinessCalendar {
    let day = |open: &str, close: &str| {
        vec![policy_pb::OpenInterval { open_time: open.into(), close_time: close.into() }]
    };
    policy_pb::BusinessCalendar {
        time_zone: "Asia/Shanghai".into(),
        weekly_hours: (1..=5)
            .map(|day_of_week| policy_pb::WeeklyHours {
                day_of_week,
                intervals: day("09:00", "17:00"),
            })
            .collect(),
        exceptions: vec![
            policy_pb::CalendarException {
                date: "2026-10-01".into(),
                label: Some(text("National Day", "国庆节")),
                intervals: Vec::new(),
            },
            policy_pb::CalendarException {
                date: "2026-09-26".into(),
                label: Some(text("Make-up day", "国庆调休")),
                intervals: day("09:00", "17:00"),
            },
        ],
        working_day_length: Some(prost_types::Duration { seconds: 8 * 3_600, nanos: 0 }),
    }
}

/// 24 hours to the first answer, three working days to the solution, two days to tell it, three to ask.
pub fn policy() -> pb::TicketPolicy {
    let rule = |name: &str, kind: pb::ClockKind, target| pb::ClockRule {
        name: name.into(),
        kind: kind.into(),
        target,
        ..pb::ClockRule::default()
    };
    let option = |value: i32, label: &str, outcome: pb::VerdictOutcome| pb::VerdictOption {
        value,
        label: Some(text("", label)),
        outcome: outcome.into(),
    };
    pb::TicketPolicy {
        code: "complaints".into(),
        title: Some(text("Complaints", "投诉管理制度")),
        calendar: Some(calendar()),
        clocks: vec![
            pb::ClockRule {
                warn_percent: 80,
                breach_raises_level: true,
                breach_violation: "late-first-response".into(),
                ..rule("first-response", pb::ClockKind::FirstResponse, hours(24))
            },
            pb::ClockRule {
                on_reopen: pb::ReopenMode::Restart.into(),
                ..rule("resolution", pb::ClockKind::Resolution, working_days(3))
            },
            rule("result-feedback", pb::ClockKind::ResultFeedback, hours(48)),
            rule("call-back", pb::ClockKind::CallBack, hours(72)),
        ],
        levels: [(1, "客服专员"), (2, "部门经理"), (3, "总监")]
            .map(|(level, title)| pb::ReceiverLevel {
                level,
                title: Some(text("", title)),
                ..Default::default()
            })
            .into(),
        severities: vec![pb::SeverityRule { severity: 3, receiver_level: 2 }],
        verdict_scale: Some(pb::VerdictScale {
            options: vec![
                option(1, "非常满意", pb::VerdictOutcome::Close),
                option(2, "满意", pb::VerdictOutcome::Close),
                option(3, "一般", pb::VerdictOutcome::Close),
                option(4, "不满意", pb::VerdictOutcome::Reopen),
                option(5, "非常不满意", pb::VerdictOutcome::Reopen),
            ],
        }),
        grade_priorities: vec![pb::GradePriority {
            grade: "vip".into(),
            priority: pb::TicketPriority::High.into(),
        }],
        violations: vec![pb::ViolationRule {
            code: "late-first-response".into(),
            description: Some(text("Nobody answered in time", "首次回复超时")),
            amount_cents: 5_000,
            currency: "CNY".into(),
            ..pb::ViolationRule::default()
        }],
        ..pb::TicketPolicy::default()
    }
}
