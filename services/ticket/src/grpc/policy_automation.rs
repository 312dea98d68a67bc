//! Channel adapters, triggers and macros from their messages (T-14, T-26).

use std::time::Duration;

use kefu_api::ticket::v1 as pb;
use kefu_api::ticket::v1::automation_step::Step;
use kefu_identity::OrgUnit;
use kefu_rpc::{Fault, TextRule, Violations};

use super::policy::{each, priority, text};
use super::routing_policy::distribution;
use super::values;
use crate::domain::{
    AdapterDraft, AdapterKind, AutomationDraft, ConditionDraft, MacroDraft, StepDraftOf,
    TriggerDraft, TriggerEvent, WordingDraft,
};

/// Beyond the limits of the lists nothing is looked at, however much there is.
const MOST_ENTRIES: usize = 200;
const TAG: TextRule = TextRule::line(50).required();
const CATEGORY: TextRule = TextRule::line(200).required();
const GRADE: TextRule = TextRule::line(63).required();
/// A product or a shop.
const NAMED: TextRule = TextRule::line(200).required();
const KEYWORD: TextRule = TextRule::line(100).required();
const NOTE: TextRule = TextRule::paragraphs(2_000).required();

pub(super) fn within_limits(message: &pb::TicketPolicy, violations: &mut Violations) -> bool {
    let lists = [
        ("channel_adapters", message.channel_adapters.len()),
        ("triggers", message.triggers.len()),
        ("macros", message.macros.len()),
    ];
    let within = |violations: &mut Violations, lists: &[(&str, usize)]| {
        lists.iter().all(|(field, length)| violations.at_most(field, *length, MOST_ENTRIES))
    };
    let steps = |violations: &mut Violations, field: &str, steps: &[pb::AutomationStep]| {
        violations.at_most(field, steps.len(), MOST_ENTRIES)
            && steps.iter().enumerate().all(|(index, step)| match &step.step {
                Some(Step::AddTags(list)) => {
                    let field = format!("{field}[{index}].add_tags.tags");
                    violations.at_most(&field, list.tags.len(), MOST_ENTRIES)
                }
                _ => true,
            })
    };
    within(violations, &lists)
        && message.triggers.iter().enumerate().all(|(index, trigger)| {
            let condition = trigger.r#if.clone().unwrap_or_default();
            let lists = [
                ("when", trigger.when.len()),
                ("if.kinds", condition.kinds.len()),
                ("if.channels", condition.channels.len()),
                ("if.severities", condition.severities.len()),
                ("if.categories", condition.categories.len()),
                ("if.priorities", condition.priorities.len()),
                ("if.grades", condition.grades.len()),
                ("if.states", condition.states.len()),
                ("if.org_units", condition.org_units.len()),
                ("if.tags", condition.tags.len()),
                ("if.without_tags", condition.without_tags.len()),
                ("if.keywords", condition.keywords.len()),
                ("if.receiver_levels", condition.receiver_levels.len()),
                ("if.products", condition.products.len()),
                ("if.shops", condition.shops.len()),
                ("if.custom_fields", condition.custom_fields.len()),
                ("if.teams", condition.teams.len()),
                ("if.clocks", condition.clocks.len()),
                ("if.stages", condition.stages.len()),
            ];
            let path = |field: &str| format!("triggers[{index}].{field}");
            lists
                .iter()
                .all(|(field, length)| violations.at_most(&path(field), *length, MOST_ENTRIES))
                && condition.custom_fields.iter().enumerate().all(|(index, field)| {
                    let path = path(&format!("if.custom_fields[{index}].values"));
                    violations.at_most(&path, field.values.len(), MOST_ENTRIES)
                })
                && steps(violations, &path("then"), &trigger.then)
        })
        && message
            .macros
            .iter()
            .enumerate()
            .all(|(index, one)| steps(violations, &format!("macros[{index}].steps"), &one.steps))
}

pub(super) fn draft(found: &mut Violations, message: &pb::TicketPolicy) -> AutomationDraft {
    AutomationDraft {
        adapters: each(found, "channel_adapters", &message.channel_adapters, adapter),
        triggers: each(found, "triggers", &message.triggers, |found, one| TriggerDraft {
            name: one.name.clone(),
            title: text(found, "title", one.title.as_ref()),
            when: known(found, "when", &one.when, event),
            condition: match &one.r#if {
                Some(condition) => found.within("if", |found| self::condition(found, condition)),
                None => ConditionDraft::default(),
            },
            then: each(found, "then", &one.then, step),
        }),
        macros: each(found, "macros", &message.macros, |found, one| MacroDraft {
            code: one.code.clone(),
            title: text(found, "title", one.title.as_ref()),
            steps: each(found, "steps", &one.steps, step),
        }),
        max_depth: message.max_trigger_depth,
        max_per_hour: message.max_trigger_runs_per_hour,
    }
}

fn adapter(found: &mut Violations, adapter: &pb::ChannelAdapter) -> AdapterDraft {
    let mut wait = |field: &str, wait: Option<prost_types::Duration>| {
        let wait = wait.map(Duration::try_from).transpose();
        if wait.is_err() {
            found.add(field, Fault::malformed("a duration of more than nothing", "大于零的时长"));
        }
        wait.ok().flatten()
    };
    let first_retry = wait("first_retry", adapter.first_retry);
    let longest_retry = wait("longest_retry", adapter.longest_retry);
    AdapterDraft {
        code: adapter.code.clone(),
        kind: found.enumeration("kind", adapter.kind).and_then(|kind| match kind {
            pb::ChannelAdapterKind::Unspecified => None,
            pb::ChannelAdapterKind::Mail => Some(AdapterKind::Mail),
            pb::ChannelAdapterKind::Webhook => Some(AdapterKind::Webhook),
        }),
        title: text(found, "title", adapter.title.as_ref()),
        max_attempts: adapter.max_attempts,
        first_retry,
        longest_retry,
    }
}

/// The values of an enumeration; none for each that nobody knows.
fn known<E, D>(
    found: &mut Violations,
    field: &str,
    values: &[i32],
    of: impl Fn(E) -> Option<D>,
) -> Vec<Option<D>>
where
    E: TryFrom<i32> + Default + PartialEq,
{
    let values = values.iter().enumerate();
    let decode = |(index, value): (usize, &i32)| {
        found.enumeration(&format!("{field}[{index}]"), *value).and_then(&of)
    };
    values.map(decode).collect()
}

fn lines(found: &mut Violations, field: &str, values: &[String], rule: TextRule) -> Vec<String> {
    let values = values.iter().enumerate();
    values.map(|(index, text)| found.text(&format!("{field}[{index}]"), text, rule)).collect()
}

fn condition(found: &mut Violations, condition: &pb::TicketCondition) -> ConditionDraft {
    let org_units = condition.org_units.iter().enumerate().map(|(index, path)| {
        let parsed: Option<OrgUnit> = found.parse(&format!("org_units[{index}]"), path);
        parsed.map(|path| path.to_string()).unwrap_or_default()
    });
    let org_units = org_units.collect();
    let fields = condition.custom_fields.iter();
    let fields = fields.map(|asked| (asked.field.clone(), asked.values.clone())).collect();
    ConditionDraft {
        kinds: known(found, "kinds", &condition.kinds, values::ticket_kind),
        channels: known(found, "channels", &condition.channels, values::ticket_channel),
        severities: condition.severities.clone(),
        categories: lines(found, "categories", &condition.categories, CATEGORY),
        priorities: known(found, "priorities", &condition.priorities, priority),
        grades: lines(found, "grades", &condition.grades, GRADE),
        states: known(found, "states", &condition.states, values::state),
        org_units,
        tags: lines(found, "tags", &condition.tags, TAG),
        without_tags: lines(found, "without_tags", &condition.without_tags, TAG),
        keywords: lines(found, "keywords", &condition.keywords, KEYWORD),
        unowned: condition.unowned,
        receiver_levels: condition.receiver_levels.clone(),
        products: lines(found, "products", &condition.products, NAMED),
        shops: lines(found, "shops", &condition.shops, NAMED),
        min_amount_cents: condition.min_amount_cents,
        below_amount_cents: condition.below_amount_cents,
        currency: condition.currency.clone(),
        custom_fields: fields,
        teams: condition.teams.clone(),
        clocks: condition.clocks.clone(),
        stages: condition.stages.clone(),
    }
}

fn step(found: &mut Violations, step: &pb::AutomationStep) -> StepDraftOf {
    match &step.step {
        None => StepDraftOf::Missing,
        Some(Step::AddTags(list)) => {
            StepDraftOf::AddTags(lines(found, "add_tags.tags", &list.tags, TAG))
        }
        Some(Step::RaisePriority(to)) => {
            let to = found.enumeration("raise_priority", *to).and_then(priority);
            StepDraftOf::RaisePriority(to)
        }
        Some(Step::Escalate(reason)) => {
            StepDraftOf::Escalate(found.text("escalate", reason, values::REASON))
        }
        Some(Step::AddNote(note)) => StepDraftOf::AddNote(found.text("add_note", note, NOTE)),
        Some(Step::Notify(notice)) => StepDraftOf::Notify {
            adapter: notice.adapter.clone(),
            recipients: notice.recipients.clone(),
            wording: wording(notice.wording.as_ref()),
        },
        Some(Step::CallWebhook(adapter)) => StepDraftOf::CallWebhook(adapter.clone()),
        Some(Step::Respond(said)) => StepDraftOf::Respond(wording(Some(said))),
        Some(Step::Resolve(said)) => StepDraftOf::Resolve(wording(Some(said))),
        Some(Step::FeedBack(said)) => StepDraftOf::FeedBack(wording(Some(said))),
        Some(Step::Assign(to)) => {
            let by: Option<Option<pb::Distribution>> =
                found.optional_enumeration("assign.distribution", to.distribution);
            StepDraftOf::Assign {
                by_rules: to.by_rules,
                team: to.team.clone(),
                owner: found.text("assign.owner", &to.owner, TextRule::line(200)),
                distribution: by.flatten().and_then(distribution),
            }
        }
        Some(Step::Pause(pause)) => StepDraftOf::Pause {
            code: pause.pause_reason.clone(),
            reason: found.text("pause.reason", &pause.reason, values::REASON),
        },
    }
}

pub(super) fn wording(wording: Option<&pb::WordingStep>) -> WordingDraft {
    let wording = wording.cloned().unwrap_or_default();
    WordingDraft { situation: wording.situation, language: wording.language }
}

fn event(event: pb::TriggerEvent) -> Option<TriggerEvent> {
    use pb::TriggerEvent as E;
    Some(match event {
        E::Unspecified => return None,
        E::Registered => TriggerEvent::Registered,
        E::Updated => TriggerEvent::Updated,
        E::Responded => TriggerEvent::Responded,
        E::Paused => TriggerEvent::Paused,
        E::Resumed => TriggerEvent::Resumed,
        E::Resolved => TriggerEvent::Resolved,
        E::ResultFedBack => TriggerEvent::ResultFedBack,
        E::Closed => TriggerEvent::Closed,
        E::Reopened => TriggerEvent::Reopened,
        E::Escalated => TriggerEvent::Escalated,
        E::Cancelled => TriggerEvent::Cancelled,
        E::ClockBreached => TriggerEvent::ClockBreached,
        E::ClockWarned => TriggerEvent::ClockWarned,
        E::DelayAnnounced => TriggerEvent::DelayAnnounced,
        E::Assessed => TriggerEvent::Assessed,
        E::ClockEscalated => TriggerEvent::ClockEscalated,
        E::ReminderDue => TriggerEvent::ReminderDue,
        E::CloseProposed => TriggerEvent::CloseProposed,
        E::PriorityRaised => TriggerEvent::PriorityRaised,
        E::MessageParked => TriggerEvent::MessageParked,
        E::AnswerUndelivered => TriggerEvent::AnswerUndelivered,
        E::TransferRequested => TriggerEvent::TransferRequested,
        E::TransferAccepted => TriggerEvent::TransferAccepted,
        E::TransferReturned => TriggerEvent::TransferReturned,
        E::TransferWithdrawn => TriggerEvent::TransferWithdrawn,
        E::Assigned => TriggerEvent::Assigned,
        E::Supervised => TriggerEvent::Supervised,
        E::Urged => TriggerEvent::Urged,
        E::SupervisionAnswered => TriggerEvent::SupervisionAnswered,
        E::SupervisionAnswerMissed => TriggerEvent::SupervisionAnswerMissed,
        E::SupervisionEnded => TriggerEvent::SupervisionEnded,
        E::ReportedToHeadquarters => TriggerEvent::ReportedToHeadquarters,
        E::ExecutiveReviewStarted => TriggerEvent::ExecutiveReviewStarted,
        E::ExecutiveReviewDecided => TriggerEvent::ExecutiveReviewDecided,
        E::Merged => TriggerEvent::Merged,
        E::Unmerged => TriggerEvent::Unmerged,
        E::DuplicateTaken => TriggerEvent::DuplicateTaken,
        E::Linked => TriggerEvent::Linked,
        E::Unlinked => TriggerEvent::Unlinked,
        E::FieldMissing => TriggerEvent::FieldMissing,
        E::ProcessStarted => TriggerEvent::ProcessStarted,
        E::ProcessStageStarted => TriggerEvent::ProcessStageStarted,
        E::ProcessStageWarned => TriggerEvent::ProcessStageWarned,
        E::ProcessStageBreached => TriggerEvent::ProcessStageBreached,
        E::ProcessStageEscalated => TriggerEvent::ProcessStageEscalated,
        E::ProcessCompleted => TriggerEvent::ProcessCompleted,
        E::HandlingFormCompleted => TriggerEvent::HandlingFormCompleted,
        E::ContactAttempted => TriggerEvent::ContactAttempted,
    })
}
