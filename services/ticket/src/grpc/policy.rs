//! `kefu.ticket.v1.TicketPolicyService`, and policies from their messages.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::time::Duration;

use kefu_api::ticket::v1 as pb;
use kefu_api::ticket::v1::ticket_policy_service_server::TicketPolicyService;
use kefu_calendar::Label;
use kefu_policy::{Policy as _, decode, requested_effective_time};
use kefu_rpc::{Fault, RequestContext, TextRule, Violations};
use tonic::{Request, Response, Status};

use super::policy_automation as automation;
use super::status::status;
use super::{Grpc, content, policy_handling, routing_policy, values};
use crate::app::Call;
use crate::domain::{
    ClockChanges, ClockKind, ClockRuleDraft, ForbiddenPhraseDraft, Given, GradePriorityDraft,
    IntakeHours, LevelDraft, MAX_PHRASES, MAX_TEMPLATES, MessageTemplateDraft, PauseReasonDraft,
    Policy, PolicyDraft, Priority, ReminderDraft, ReopenMode, SeverityDraft, StepDraft, StepTime,
    VerdictOptionDraft, VerdictOutcome, ViolationDraft,
};

/// The longest text of a policy, in characters.
const MAX_TEXT: usize = 500;
/// A suggestion what to say instead, in characters: several fit into one refusal.
const MAX_SUGGESTION: usize = 200;
/// A forbidden phrase.
const PHRASE: TextRule = TextRule::line(100).required();
/// A standard wording.
const WORDING: TextRule = TextRule::paragraphs(5_000);
/// Beyond the limits of the lists nothing is looked at, however much there is.
const MOST_ENTRIES: usize = 200;
/// So many kinds, channels or severities one clock may be for.
const MOST_CONDITIONS: usize = 50;

#[tonic::async_trait]
impl TicketPolicyService for Grpc {
    async fn apply_ticket_policy(
        &self,
        request: Request<pb::ApplyTicketPolicyRequest>,
    ) -> Result<Response<pb::TicketPolicyVersion>, Status> {
        const METHOD: &str = "kefu.ticket.v1.TicketPolicyService/ApplyTicketPolicy";
        let context = RequestContext::of(&request);
        let mut message = request.into_inner();
        let request_id = std::mem::take(&mut message.request_id);
        let mut violations = context.violations();
        let call = Call::of(&context, &mut violations, METHOD, &request_id, &message);
        let org_unit = values::org_unit(&mut violations, "org_unit", &message.org_unit);
        let policy = violations.required("policy", message.policy.as_ref());
        let policy = policy.filter(|policy| {
            violations.within("policy", |violations| Policy::decode(policy, violations)).is_some()
        });
        let requested =
            requested_effective_time(&mut violations, message.effective_time, self.app.now());
        let decoded = org_unit.zip(policy).zip(requested);
        let ((org_unit, policy), effective_at) = violations.finish(decoded)?;
        let answer = self.app.apply_ticket_policy(&call, org_unit, policy, effective_at).await;
        answer.map(Response::new).map_err(|error| status(&context, error))
    }

    async fn get_ticket_policy_version(
        &self,
        request: Request<pb::GetTicketPolicyVersionRequest>,
    ) -> Result<Response<pb::TicketPolicyVersion>, Status> {
        let context = RequestContext::of(&request);
        let mut violations = context.violations();
        let id = violations.resource_id("name", &request.get_ref().name, "ticketPolicyVersions");
        let id = violations.finish(id)?;
        let version = self.app.ticket_policy_version(context.caller(), id).await;
        version.map(Response::new).map_err(|error| status(&context, error))
    }

    async fn get_effective_ticket_policy(
        &self,
        request: Request<pb::GetEffectiveTicketPolicyRequest>,
    ) -> Result<Response<pb::TicketPolicyVersion>, Status> {
        let context = RequestContext::of(&request);
        let message = request.into_inner();
        let mut violations = context.violations();
        let org_unit = values::org_unit(&mut violations, "org_unit", &message.org_unit);
        let at = violations.optional_time("time", message.time);
        let (org_unit, at) = violations.finish(org_unit.zip(at))?;
        let version = self.app.effective_ticket_policy(context.caller(), org_unit, at).await;
        version.map(Response::new).map_err(|error| status(&context, error))
    }
}

impl kefu_policy::Policy for Policy {
    type Message = pb::TicketPolicy;

    /// The shared parts are decoded and find their own faults; the domain finds the rest. What a part has reported is not
    /// reported again because the part is missing.
    fn decode(message: &pb::TicketPolicy, violations: &mut Violations) -> Option<Self> {
        if !within_limits(message, violations) {
            return None;
        }
        // With the paths inside the policy, and apart from what was found before.
        let mut found = Violations::new();
        let draft = draft(message, &mut found);
        let reported: BTreeSet<String> = found.fields().map(ToOwned::to_owned).collect();
        let policy = Policy::try_new(draft);
        for (path, fault) in found.into_faults() {
            violations.add(&path, fault);
        }
        let faults = match policy {
            Ok(policy) => return reported.is_empty().then_some(policy),
            Err(faults) => faults,
        };
        for fault in faults {
            if !contains_or_inside(&reported, &fault.path) {
                let told = Fault::new(fault.reason, fault.description, fault.chinese);
                violations.add(&fault.path, told);
            }
        }
        None
    }
}

/// Whether the path or one inside it is among `paths`.
fn contains_or_inside(paths: &BTreeSet<String>, path: &str) -> bool {
    paths.contains(path)
        || ['.', '['].iter().any(|separator| {
            let inside = format!("{path}{separator}");
            let next = paths.range::<str, _>((Bound::Included(&*inside), Bound::Unbounded)).next();
            next.is_some_and(|next| next.starts_with(&inside))
        })
}

fn within_limits(message: &pb::TicketPolicy, violations: &mut Violations) -> bool {
    let options = message.verdict_scale.as_ref().map_or(0, |scale| scale.options.len());
    let lists = [
        ("clocks", message.clocks.len()),
        ("levels", message.levels.len()),
        ("severities", message.severities.len()),
        ("verdict_scale.options", options),
        ("grade_priorities", message.grade_priorities.len()),
        ("violations", message.violations.len()),
        ("pause_reasons", message.pause_reasons.len()),
    ];
    if !automation::within_limits(message, violations) {
        return false;
    }
    if !content::within_limits(message, violations) {
        return false;
    }
    let phrases = message.forbidden_phrases.len();
    let templates = message.message_templates.len();
    let within =
        lists.iter().all(|(field, length)| violations.at_most(field, *length, MOST_ENTRIES));
    within
        && policy_handling::within_limits(message, violations)
        && routing_policy::within_limits(message, violations)
        && super::policy_process::within_limits(message, violations)
        && violations.at_most("forbidden_phrases", phrases, MAX_PHRASES)
        && violations.at_most("message_templates", templates, MAX_TEMPLATES)
        && message.clocks.iter().enumerate().all(|(index, clock)| {
            let lists = [
                ("ticket_kinds", clock.ticket_kinds.len()),
                ("channels", clock.channels.len()),
                ("severities", clock.severities.len()),
            ];
            lists.iter().all(|(field, length)| {
                violations.at_most(&format!("clocks[{index}].{field}"), *length, MOST_CONDITIONS)
            })
        })
}

/// What it says about promises that were given under another policy.
fn clock_changes(found: &mut Violations, rules: Option<&pb::ClockChangeRules>) -> ClockChanges {
    let rules = rules.copied().unwrap_or_default();
    let default = ClockChanges::default();
    found.within("clock_changes", |found| {
        let mut given = |field: &str, value, unset| {
            let value = found.optional_enumeration(field, value).flatten();
            match value {
                Some(pb::GivenPromises::Keep) => Given::Keep,
                Some(pb::GivenPromises::Recompute) => Given::Recompute,
                Some(pb::GivenPromises::Unspecified) | None => unset,
            }
        };
        ClockChanges {
            open_tickets: given("open_tickets", rules.open_tickets, default.open_tickets),
            transferred: given(
                "transferred_tickets",
                rules.transferred_tickets,
                default.transferred,
            ),
        }
    })
}

fn draft(message: &pb::TicketPolicy, found: &mut Violations) -> PolicyDraft {
    let options = message.verdict_scale.as_ref().map(|scale| scale.options.as_slice());
    PolicyDraft {
        routing: routing_policy::draft(message, found),
        clock_changes: clock_changes(found, message.clock_changes.as_ref()),
        code: message.code.clone(),
        title: text(found, "title", message.title.as_ref()),
        calendar: decode::calendar(found, "calendar", message.calendar.as_ref()),
        clocks: each(found, "clocks", &message.clocks, clock),
        levels: each(found, "levels", &message.levels, |found, level| LevelDraft {
            level: level.level,
            title: text(found, "title", level.title.as_ref()),
            roles: level.roles.clone(),
        }),
        severities: message
            .severities
            .iter()
            .map(|rule| SeverityDraft {
                severity: rule.severity,
                receiver_level: rule.receiver_level,
            })
            .collect(),
        verdict_options: each(
            found,
            "verdict_scale.options",
            options.unwrap_or_default(),
            |found, option| VerdictOptionDraft {
                value: option.value,
                label: text(found, "label", option.label.as_ref()),
                outcome: found.enumeration("outcome", option.outcome).and_then(outcome),
            },
        ),
        grade_priorities: each(
            found,
            "grade_priorities",
            &message.grade_priorities,
            |found, grade| GradePriorityDraft {
                grade: grade.grade.clone(),
                priority: found.enumeration("priority", grade.priority).and_then(priority),
            },
        ),
        violations: each(found, "violations", &message.violations, |found, rule| ViolationDraft {
            code: rule.code.clone(),
            description: text(found, "description", rule.description.as_ref()),
            amount_cents: rule.amount_cents,
            max_amount_cents: rule.max_amount_cents,
            currency: rule.currency.clone(),
        }),
        pause_reasons: each(found, "pause_reasons", &message.pause_reasons, |found, reason| {
            let mut after = |field: &str, target: Option<&kefu_api::policy::v1::Target>| {
                target.and_then(|target| decode::target(found, field, Some(target)))
            };
            PauseReasonDraft {
                code: reason.code.clone(),
                remind_after: after("remind_after", reason.remind_after.as_ref()),
                propose_close_after: after(
                    "propose_close_after",
                    reason.propose_close_after.as_ref(),
                ),
                title: text(found, "title", reason.title.as_ref()),
                reminder: reason.reminder.as_ref().map(|reminder| ReminderDraft {
                    adapter: reminder.adapter.clone(),
                    wording: automation::wording(reminder.wording.as_ref()),
                }),
            }
        }),
        forbidden_phrases: each(found, "forbidden_phrases", &message.forbidden_phrases, phrase),
        message_templates: each(
            found,
            "message_templates",
            &message.message_templates,
            |found, template| MessageTemplateDraft {
                situation: template.situation.clone(),
                title: text(found, "title", template.title.as_ref()),
                text: wording(found, "text", template.text.as_ref()),
            },
        ),
        handling: policy_handling::draft(message, found),
        learning: super::policy_learning::draft(found, message.learning.as_ref()),
        repeat_window_days: message.repeat_window_days,
        automation: automation::draft(found, message),
        processes: super::policy_process::drafts(found, &message.process_templates),
        content: content::draft(found, message),
        links: super::link::rules(message.links.as_ref()),
    }
}

fn phrase(found: &mut Violations, phrase: &pb::ForbiddenPhrase) -> ForbiddenPhraseDraft {
    let suggestion = phrase.suggestion.as_ref();
    let suggestion = decode::localized_text(found, "suggestion", suggestion, MAX_SUGGESTION);
    ForbiddenPhraseDraft {
        phrase: found.text("phrase", &phrase.phrase, PHRASE),
        suggestion: suggestion.unwrap_or_default(),
    }
}

/// A text of several lines in at least one of the two languages.
fn wording(
    found: &mut Violations,
    field: &str,
    text: Option<&kefu_api::policy::v1::LocalizedText>,
) -> Label {
    let Some(text) = text.filter(|text| !text.en.trim().is_empty() || !text.zh.trim().is_empty())
    else {
        found.add(field, Fault::required());
        return Label::default();
    };
    found.within(field, |found| {
        Label::new(found.text("en", &text.en, WORDING), found.text("zh", &text.zh, WORDING))
    })
}

pub(super) fn each<M, D>(
    found: &mut Violations,
    field: &str,
    messages: &[M],
    decode: impl Fn(&mut Violations, &M) -> D,
) -> Vec<D> {
    let messages = messages.iter().enumerate();
    messages.map(|(index, m)| found.item(field, index, |found| decode(found, m))).collect()
}

fn clock(found: &mut Violations, rule: &pb::ClockRule) -> ClockRuleDraft {
    let ticket_kinds = rule.ticket_kinds.iter().enumerate().map(|(index, kind)| {
        found.enumeration(&format!("ticket_kinds[{index}]"), *kind).and_then(values::ticket_kind)
    });
    let ticket_kinds = ticket_kinds.collect();
    let channels = rule.channels.iter().enumerate().map(|(index, channel)| {
        found.enumeration(&format!("channels[{index}]"), *channel).and_then(values::ticket_channel)
    });
    let channels = channels.collect();
    ClockRuleDraft {
        name: rule.name.clone(),
        kind: found.enumeration("kind", rule.kind).and_then(clock_kind),
        ticket_kinds,
        channels,
        severities: rule.severities.clone(),
        intake_hours: found
            .optional_enumeration("intake_hours", rule.intake_hours)
            .flatten()
            .and_then(intake_hours),
        target: decode::target(found, "target", rule.target.as_ref()),
        warn_percent: rule.warn_percent,
        breach_raises_level: rule.breach_raises_level,
        breach_violation: rule.breach_violation.clone(),
        on_reopen: found
            .optional_enumeration("on_reopen", rule.on_reopen)
            .flatten()
            .and_then(reopen_mode),
        steps: if found.at_most("steps", rule.steps.len(), MOST_ENTRIES) {
            each(found, "steps", &rule.steps, step)
        } else {
            Vec::new()
        },
    }
}

fn intake_hours(hours: pb::IntakeHours) -> Option<IntakeHours> {
    Some(match hours {
        pb::IntakeHours::Unspecified => return None,
        pb::IntakeHours::Open => IntakeHours::Open,
        pb::IntakeHours::Closed => IntakeHours::Closed,
    })
}

fn reopen_mode(mode: pb::ReopenMode) -> Option<ReopenMode> {
    Some(match mode {
        pb::ReopenMode::Unspecified => return None,
        pb::ReopenMode::Restart => ReopenMode::Restart,
        pb::ReopenMode::Resume => ReopenMode::Resume,
    })
}

pub(super) fn step(found: &mut Violations, step: &pb::EscalationStep) -> StepDraft {
    use pb::escalation_step::When;
    let mut time = |field: &str, time: prost_types::Duration| {
        let time = Duration::try_from(time);
        if time.is_err() {
            found.add(field, Fault::malformed("a duration of more than nothing", "大于零的时长"));
        }
        time.ok()
    };
    let when = match step.when {
        None => None,
        // What is negative is out of range, too.
        Some(When::Percent(percent)) => {
            Some(StepTime::Percent(u32::try_from(percent).unwrap_or_default()))
        }
        Some(When::Before(before)) => {
            Some(StepTime::Before(time("before", before).unwrap_or_default()))
        }
        Some(When::After(after)) => Some(StepTime::After(time("after", after).unwrap_or_default())),
    };
    StepDraft {
        name: step.name.clone(),
        when,
        notify_level: step.notify_level,
        raise_to_level: step.raise_to_level,
    }
}

pub(super) fn text(
    found: &mut Violations,
    field: &str,
    text: Option<&kefu_api::policy::v1::LocalizedText>,
) -> Label {
    decode::localized_text(found, field, text, MAX_TEXT).unwrap_or_default()
}

fn clock_kind(kind: pb::ClockKind) -> Option<ClockKind> {
    Some(match kind {
        pb::ClockKind::Unspecified => return None,
        pb::ClockKind::FirstResponse => ClockKind::FirstResponse,
        pb::ClockKind::Resolution => ClockKind::Resolution,
        pb::ClockKind::ResultFeedback => ClockKind::ResultFeedback,
        pb::ClockKind::CallBack => ClockKind::CallBack,
        pb::ClockKind::ProgressUpdate => ClockKind::ProgressUpdate,
    })
}

fn outcome(outcome: pb::VerdictOutcome) -> Option<VerdictOutcome> {
    Some(match outcome {
        pb::VerdictOutcome::Unspecified => return None,
        pb::VerdictOutcome::Close => VerdictOutcome::Close,
        pb::VerdictOutcome::Reopen => VerdictOutcome::Reopen,
    })
}

pub(super) fn priority(priority: pb::TicketPriority) -> Option<Priority> {
    Some(match priority {
        pb::TicketPriority::Unspecified => return None,
        pb::TicketPriority::Low => Priority::Low,
        pb::TicketPriority::Normal => Priority::Normal,
        pb::TicketPriority::High => Priority::High,
        pb::TicketPriority::Urgent => Priority::Urgent,
    })
}
