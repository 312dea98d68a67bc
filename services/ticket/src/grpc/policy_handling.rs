//! What a policy says about handling, from its messages (T-09 to T-13, T-15).

use std::time::Duration;

use kefu_api::ticket::v1 as pb;
use kefu_calendar::Target;
use kefu_policy::decode;
use kefu_rpc::{Fault, Violations};

use crate::domain::{
    AttemptDraft, AuthorityDraft, HandlingDraft, ReportingCriterionDraft, ReportingDraft,
};

/// The longest text of a policy, in characters.
const MAX_TEXT: usize = 500;
/// Beyond the limits of the lists nothing is looked at, however much there is.
const MOST_ENTRIES: usize = 200;

pub(super) fn within_limits(message: &pb::TicketPolicy, violations: &mut Violations) -> bool {
    let reporting = message.headquarters_reporting.as_ref();
    let criteria = reporting.map(|reporting| reporting.criteria.as_slice()).unwrap_or_default();
    let plan = message.handling_plan.as_ref().map_or(0, |plan| plan.severities.len());
    let mut within = |field: &str, length| violations.at_most(field, length, MOST_ENTRIES);
    within("authorities", message.authorities.len())
        && within("headquarters_reporting.criteria", criteria.len())
        && within("handling_plan.severities", plan)
        && message.authorities.iter().enumerate().all(|(index, authority)| {
            within(&format!("authorities[{index}].severities"), authority.severities.len())
                && within(&format!("authorities[{index}].categories"), authority.categories.len())
        })
        && criteria.iter().enumerate().all(|(index, criterion)| {
            let path = format!("headquarters_reporting.criteria[{index}]");
            within(&format!("{path}.severities"), criterion.severities.len())
                && within(&format!("{path}.categories"), criterion.categories.len())
                && within(&format!("{path}.keywords"), criterion.keywords.len())
        })
}

pub(super) fn draft(message: &pb::TicketPolicy, found: &mut Violations) -> HandlingDraft {
    let attempts = message.contact_attempts.as_ref().map(|rule| AttemptDraft {
        failed: rule.failed_attempts,
        min_interval: found.within("contact_attempts", |found| interval(found, rule.min_interval)),
        distinct_days: rule.distinct_days,
        unasked_violation: rule.unasked_violation.clone(),
    });
    let reporting = message.headquarters_reporting.as_ref().map(|reporting| {
        found.within("headquarters_reporting", |found| ReportingDraft {
            criteria: reporting
                .criteria
                .iter()
                .enumerate()
                .map(|(index, rule)| found.item("criteria", index, |found| criterion(found, rule)))
                .collect(),
            supervise_within: reporting
                .supervise_within
                .as_ref()
                .and_then(|time| decode::target(found, "supervise_within", Some(time))),
        })
    });
    let supervision = message.supervision.as_ref();
    HandlingDraft {
        attempts,
        plan: message.handling_plan.as_ref().map(|plan| (plan.severities.clone(), plan.agreement)),
        authorities: message
            .authorities
            .iter()
            .map(|rule| AuthorityDraft {
                level: rule.level,
                severities: rule.severities.clone(),
                categories: rule.categories.clone(),
                max_amount_cents: rule.max_amount_cents,
                currency: rule.currency.clone(),
            })
            .collect(),
        form_required: message.handling_form_required,
        missed_answer_violation: supervision
            .map(|rule| rule.missed_answer_violation.clone())
            .unwrap_or_default(),
        reporting,
        reopen_within: message
            .reopening
            .as_ref()
            .map(|rule| found.within("reopening", |found| reopen_within(found, rule))),
    }
}

fn reopen_within(found: &mut Violations, rule: &pb::ReopeningRule) -> Option<Target> {
    // One that is not set is named by the check of the rules.
    let within = rule.within.as_ref();
    within.and_then(|within| decode::target(found, "within", Some(within)))
}

fn interval(found: &mut Violations, time: Option<prost_types::Duration>) -> Duration {
    let Some(time) = time else { return Duration::ZERO };
    Duration::try_from(time).unwrap_or_else(|_| {
        found.add(
            "min_interval",
            Fault::malformed("a duration that is not negative", "不为负的时长"),
        );
        Duration::ZERO
    })
}

fn criterion(found: &mut Violations, rule: &pb::ReportCriterion) -> ReportingCriterionDraft {
    let title = decode::localized_text(found, "title", rule.title.as_ref(), MAX_TEXT);
    ReportingCriterionDraft {
        title: title.unwrap_or_default(),
        severities: rule.severities.clone(),
        categories: rule.categories.clone(),
        keywords: rule.keywords.clone(),
        min_level: rule.min_level,
    }
}
