//! The rules of violations, root causes, product holds, suggestions and shifts, from their message.

use std::time::Duration;

use kefu_api::policy::v1::Target as TargetMessage;
use kefu_api::ticket::v1 as pb;
use kefu_calendar::Target;
use kefu_policy::decode;
use kefu_rpc::{TextRule, Violations};

use crate::domain::LearningDraft;

const MOST_ENTRIES: usize = 200;
const CATEGORY: TextRule = TextRule::line(200).required();

/// The draft; what is wrong with it beyond its form the domain finds.
pub(super) fn draft(found: &mut Violations, rules: Option<&pb::LearningRules>) -> LearningDraft {
    let Some(rules) = rules else { return LearningDraft::default() };
    found.within("learning", |found| {
        let bounded = found.at_most("root_causes", rules.root_causes.len(), MOST_ENTRIES)
            & found.at_most(
                "product_hold_categories",
                rules.product_hold_categories.len(),
                MOST_ENTRIES,
            );
        if !bounded {
            return LearningDraft::default();
        }
        LearningDraft {
            appeal_within: target(
                found,
                "violation_appeal_within",
                rules.violation_appeal_within.as_ref(),
            ),
            late_work_order: rules.late_work_order_violation.clone(),
            root_causes: super::policy::each(
                found,
                "root_causes",
                &rules.root_causes,
                |found, cause| {
                    (cause.code.clone(), super::policy::text(found, "title", cause.title.as_ref()))
                },
            ),
            hold_categories: rules
                .product_hold_categories
                .iter()
                .enumerate()
                .map(|(index, category)| {
                    found.text(&format!("product_hold_categories[{index}]"), category, CATEGORY)
                })
                .collect(),
            suggestion_decision_within: target(
                found,
                "suggestion_decision_within",
                rules.suggestion_decision_within.as_ref(),
            ),
            shifts: rules.shifts.as_ref().map(|shifts| {
                let lead = shifts.list_before_end.and_then(|lead| Duration::try_from(lead).ok());
                (lead, shifts.missed_list_violation.clone())
            }),
        }
    })
}

fn target(found: &mut Violations, field: &str, target: Option<&TargetMessage>) -> Option<Target> {
    target.and_then(|target| decode::target(found, field, Some(target)))
}
