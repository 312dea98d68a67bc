//! A small company with two regions that promise different things.

use kefu::client::Client;
use kefu_api::customer::v1 as customer;
use kefu_api::policy::v1::{
    BusinessCalendar, CalendarException, LocalizedText, OpenInterval, Target, WeeklyHours, target,
};
use kefu_api::survey::v1 as survey;
use kefu_api::ticket::v1 as ticket;
use prost_types::Duration;

/// Promises the first answer within 24 hours, nights and holidays included.
pub const RIVERSIDE: &str = "group/north/riverside";
/// Promises it within one working day.
pub const LAKESIDE: &str = "group/south/lakeside";

/// The tree, and the policies of all three contexts.
pub async fn found(admin: &Client) {
    for path in ["group", "group/north", RIVERSIDE, "group/south", LAKESIDE] {
        let request = customer::CreateOrgUnitRequest {
            org_unit: Some(customer::OrgUnit {
                path: path.into(),
                title: Some(text(path, "组织单元")),
                ..Default::default()
            }),
            ..Default::default()
        };
        admin.org_units().create_org_unit(request).await.unwrap();
    }
    let request = customer::ApplyCustomerPolicyRequest {
        org_unit: "group".into(),
        policy: Some(grades()),
        ..Default::default()
    };
    admin.customer_policies().apply_customer_policy(request).await.unwrap();
    let request = survey::ApplySurveyPolicyRequest {
        org_unit: "group".into(),
        policy: Some(call_back()),
        ..Default::default()
    };
    admin.survey_policies().apply_survey_policy(request).await.unwrap();
    apply(admin, "group", in_hours()).await;
    apply(admin, "group/south", in_working_days()).await;
}

pub async fn apply(admin: &Client, org_unit: &str, policy: ticket::TicketPolicy) {
    let request = ticket::ApplyTicketPolicyRequest {
        org_unit: org_unit.into(),
        policy: Some(policy),
        ..Default::default()
    };
    admin.ticket_policies().apply_ticket_policy(request).await.unwrap();
}

pub fn text(en: &str, zh: &str) -> LocalizedText {
    LocalizedText { en: en.into(), zh: zh.into() }
}

fn grades() -> customer::CustomerPolicy {
    let grade = |code: &str, en: &str, zh: &str| customer::Grade {
        code: code.into(),
        title: Some(text(en, zh)),
        visible_to_customer: false,
    };
    customer::CustomerPolicy {
        code: "grades".into(),
        title: Some(text("Grades", "客户等级管理制度")),
        grades: vec![grade("vip", "VIP", "贵宾"), grade("ordinary", "Ordinary", "普通")],
    }
}

fn call_back() -> survey::SurveyPolicy {
    survey::SurveyPolicy {
        code: "call-back".into(),
        title: Some(text("Call-back", "回访管理制度")),
        ticket_call_back: Some(survey::TicketCallBack {
            campaign: "ticket-call-back".into(),
            questionnaire: Some(survey::Questionnaire {
                title: Some(text("How did we do?", "服务评价")),
                question: Some(text("Are you content?", "您对处理结果满意吗？")),
                scale: Some(survey::Scale {
                    min: 1,
                    max: 5,
                    polarity: survey::ScalePolarity::LowIsGood.into(),
                    labels: Vec::new(),
                }),
            }),
            expire_after: Some(seconds(14 * 86_400)),
        }),
    }
}

pub fn seconds(seconds: i64) -> Duration {
    Duration { seconds, nanos: 0 }
}

pub fn elapsed(length: i64) -> Option<Target> {
    Some(Target { target: Some(target::Target::Elapsed(seconds(length))) })
}

pub fn hours(hours: i64) -> Option<Target> {
    elapsed(hours * 3_600)
}

pub fn working_days(days: i32) -> Option<Target> {
    Some(Target { target: Some(target::Target::WorkingDays(days)) })
}

/// Monday to Friday from nine to noon and from one to six in Shanghai; the National Day holiday of 2026 with the
/// Saturday that makes up for it.
fn calendar() -> BusinessCalendar {
    let hours = [("09:00", "12:00"), ("13:00", "18:00")]
        .map(|(open, close)| OpenInterval { open_time: open.into(), close_time: close.into() });
    let holiday = |day: u8| CalendarException {
        date: format!("2026-10-{day:02}"),
        label: Some(text("National Day", "国庆节")),
        intervals: Vec::new(),
    };
    let make_up = CalendarException {
        date: "2026-10-10".into(),
        label: Some(text("National Day make-up day", "国庆节调休")),
        intervals: hours.to_vec(),
    };
    BusinessCalendar {
        time_zone: "Asia/Shanghai".into(),
        weekly_hours: (1..=5)
            .map(|day_of_week| WeeklyHours { day_of_week, intervals: hours.to_vec() })
            .collect(),
        exceptions: (1..=7).map(holiday).chain([make_up]).collect(),
        working_day_length: Some(seconds(8 * 3_600)),
    }
}

/// 24 hours to the first answer, seven days to the solution.
pub fn in_hours() -> ticket::TicketPolicy {
    policy("elapsed-hours", hours(24), hours(7 * 24))
}

/// One working day to the first answer, three to the solution.
pub fn in_working_days() -> ticket::TicketPolicy {
    policy("working-days", working_days(1), working_days(3))
}

/// A policy by what it promises for the first answer and for the solution.
/// One stage with all that a stage can ask for (T-22).
fn process() -> ticket::ProcessTemplate {
    let title = Some(text("Connection", "装表"));
    let manager = || vec!["manager".to_owned()];
    ticket::ProcessTemplate {
        code: "connection".into(),
        title: title.clone(),
        attributes: vec![ticket::ProcessAttribute {
            code: "urgent".into(),
            title: title.clone(),
            kind: ticket::ProcessAttributeKind::Flag.into(),
            change_restarts_at: "work".into(),
            ..Default::default()
        }],
        documents: vec![ticket::ProcessDocument {
            code: "form".into(),
            title: title.clone(),
            ..Default::default()
        }],
        stages: vec![ticket::ProcessStage {
            code: "work".into(),
            title: title.clone(),
            roles: vec!["handler".into()],
            documents: vec![ticket::ProcessRequirement {
                document: "form".into(),
                ..Default::default()
            }],
            approvals: vec![ticket::ProcessApproval { roles: manager(), ..Default::default() }],
            inspections: Some(ticket::ProcessInspections {
                minimum: 1,
                maximum: 2,
                outcomes: vec![ticket::ProcessOutcome {
                    code: "passed".into(),
                    title,
                    passed: true,
                    next: None,
                }],
            }),
            answer_promised: true,
            ..Default::default()
        }],
        change_deciders: manager(),
        ..Default::default()
    }
}

pub fn policy(
    code: &str,
    first_response: Option<Target>,
    resolution: Option<Target>,
) -> ticket::TicketPolicy {
    use ticket::{ClockKind, VerdictOutcome};
    let rule = |name: &str, kind: ClockKind, target| ticket::ClockRule {
        name: name.into(),
        kind: kind.into(),
        target,
        ..Default::default()
    };
    let option = |value: i32, en: &str, zh: &str, outcome: VerdictOutcome| ticket::VerdictOption {
        value,
        label: Some(text(en, zh)),
        outcome: outcome.into(),
    };
    ticket::TicketPolicy {
        code: code.into(),
        title: Some(text("Complaints", "投诉管理制度")),
        calendar: Some(calendar()),
        clocks: vec![
            ticket::ClockRule {
                breach_raises_level: true,
                breach_violation: "late-first-response".into(),
                ..rule("first-response", ClockKind::FirstResponse, first_response)
            },
            ticket::ClockRule {
                on_reopen: ticket::ReopenMode::Restart.into(),
                ..rule("resolution", ClockKind::Resolution, resolution)
            },
            rule("result-feedback", ClockKind::ResultFeedback, hours(48)),
            rule("call-back", ClockKind::CallBack, hours(72)),
        ],
        levels: [
            (1, "Front line", "客服专员"),
            (2, "Department manager", "部门经理"),
            (3, "Director", "总监"),
        ]
        .map(|(level, en, zh)| ticket::ReceiverLevel {
            level,
            title: Some(text(en, zh)),
            roles: Vec::new(),
        })
        .into(),
        severities: Vec::new(),
        verdict_scale: Some(ticket::VerdictScale {
            options: vec![
                option(1, "Very satisfied", "非常满意", VerdictOutcome::Close),
                option(2, "Satisfied", "满意", VerdictOutcome::Close),
                option(3, "Neutral", "一般", VerdictOutcome::Close),
                option(4, "Dissatisfied", "不满意", VerdictOutcome::Reopen),
                option(5, "Very dissatisfied", "非常不满意", VerdictOutcome::Reopen),
            ],
        }),
        grade_priorities: vec![ticket::GradePriority {
            grade: "vip".into(),
            priority: ticket::TicketPriority::High.into(),
        }],
        violations: vec![ticket::ViolationRule {
            code: "late-first-response".into(),
            description: Some(text("Nobody answered in time", "首次回复超时")),
            amount_cents: 5_000,
            currency: "CNY".into(),
            ..Default::default()
        }],
        process_templates: vec![process()],
        message_templates: vec![ticket::MessageTemplate {
            situation: "first-response".into(),
            title: Some(text("First answer", "首次回复")),
            text: Some(text("We look into {ticket.number}.", "{ticket.number} 已受理。")),
        }],
        channel_adapters: vec![ticket::ChannelAdapter {
            code: "messenger".into(),
            kind: ticket::ChannelAdapterKind::Webhook.into(),
            title: Some(text("Messenger", "消息")),
            max_attempts: 10,
            first_retry: Some(Duration { seconds: 3_600, nanos: 0 }),
            longest_retry: Some(Duration { seconds: 86_400, nanos: 0 }),
        }],
        macros: vec![ticket::Macro {
            code: "label".into(),
            title: Some(text("Mark as read", "标记已读")),
            steps: vec![ticket::AutomationStep {
                step: Some(ticket::automation_step::Step::AddTags(ticket::TagList {
                    tags: vec!["已读".into()],
                })),
            }],
        }],
        ..Default::default()
    }
}

/// A complaint with no more than it needs.
pub fn complaint(org_unit: &str, subject: &str) -> ticket::Ticket {
    ticket::Ticket {
        org_unit: org_unit.into(),
        kind: ticket::TicketKind::Complaint.into(),
        channel: ticket::TicketChannel::Phone.into(),
        subject: subject.into(),
        ..Default::default()
    }
}

/// A request to register it.
pub fn registration(ticket: ticket::Ticket, request_id: String) -> ticket::CreateTicketRequest {
    ticket::CreateTicketRequest { ticket: Some(ticket), request_id }
}

/// A customer of Riverside with two contacts.
pub fn customer_of_riverside() -> customer::CreateCustomerRequest {
    let contact = |name: &str, phone: &str, channel: customer::ContactChannel| customer::Contact {
        display_name: name.into(),
        phones: vec![phone.into()],
        preferred_channel: channel.into(),
        ..Default::default()
    };
    customer::CreateCustomerRequest {
        customer: Some(customer::Customer {
            org_unit: RIVERSIDE.into(),
            customer_type: customer::CustomerType::Organization.into(),
            display_name: "滨河花园业主委员会".into(),
            lawful_basis: customer::LawfulBasis::Contract.into(),
            ..Default::default()
        }),
        contacts: vec![
            contact("王芳", "+86 138 0013 8000", customer::ContactChannel::Phone),
            contact("Li Wei", "010-6552 9988", customer::ContactChannel::Messenger),
        ],
        request_id: String::new(),
    }
}
