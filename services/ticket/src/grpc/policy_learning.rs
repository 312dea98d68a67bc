//! The rules of violations, root causes, product holds, suggestions and shifts, from their message.

use std::time::Duration;

use kefu_api::policy::v1::Target as TargetMessage;
use kefu_api::ticket::v1 as pb;
use kefu_calendar::Target;
use kefu_policy::decode;
use kefu_rpc::{TextRule, Violations};

use super::values;
use crate::domain::{
    LearningDraft, RequiredField, RequiredFieldsDraft, RequiredMoment, ShiftPatternDraft,
    ShiftRulesDraft,
};

const MOST_ENTRIES: usize = 200;
/// So many fields, kinds or days one rule may be for.
const MOST_CONDITIONS: usize = 50;
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
            )
            & found.at_most("required_fields", rules.required_fields.len(), MOST_ENTRIES)
            & rules.required_fields.iter().enumerate().all(|(index, rule)| {
                found.within(&format!("required_fields[{index}]"), |found| {
                    found.at_most("fields", rule.fields.len(), MOST_CONDITIONS)
                        & found.at_most("ticket_kinds", rule.ticket_kinds.len(), MOST_CONDITIONS)
                })
            })
            & rules.shifts.as_ref().is_none_or(|shifts| {
                found.at_most("shifts.patterns", shifts.patterns.len(), MOST_ENTRIES)
                    && shifts.patterns.iter().enumerate().all(|(index, pattern)| {
                        let days = format!("shifts.patterns[{index}].days_of_week");
                        found.at_most(&days, pattern.days_of_week.len(), MOST_CONDITIONS)
                    })
            });
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
            shifts: rules.shifts.as_ref().map(|rules| shifts(found, rules)),
            refused_order: rules.refused_order.as_ref().map(|rule| {
                let within = found.within("refused_order", |found| {
                    target(found, "accept_within", rule.accept_within.as_ref())
                });
                (within, rule.violation.clone())
            }),
            required_fields: super::policy::each(
                found,
                "required_fields",
                &rules.required_fields,
                required_fields,
            ),
            order_reply_within: target(
                found,
                "order_reply_within",
                rules.order_reply_within.as_ref(),
            ),
        }
    })
}

fn target(found: &mut Violations, field: &str, target: Option<&TargetMessage>) -> Option<Target> {
    target.and_then(|target| decode::target(found, field, Some(target)))
}

fn shifts(found: &mut Violations, rules: &pb::ShiftRules) -> ShiftRulesDraft {
    let duration = |duration: prost_types::Duration| Duration::try_from(duration).ok();
    let patterns = found.within("shifts", |found| {
        super::policy::each(found, "patterns", &rules.patterns, |found, pattern| {
            let title = super::policy::text(found, "title", pattern.title.as_ref());
            ShiftPatternDraft {
                code: pattern.code.clone(),
                title,
                team: pattern.team.clone(),
                start: pattern.start_time.clone(),
                end: pattern.end_time.clone(),
                days: pattern.days_of_week.iter().map(|day| day_number(*day)).collect(),
                working_days_only: pattern.working_days_only,
            }
        })
    });
    ShiftRulesDraft {
        list_before_end: rules.list_before_end.and_then(duration),
        missed_list_violation: rules.missed_list_violation.clone(),
        patterns,
        plan_before: rules.plan_before_start.map(duration),
    }
}

fn day_number(day: i32) -> Option<i8> {
    i8::try_from(day).ok().filter(|day| (1..=7).contains(day))
}

fn required_fields(found: &mut Violations, rule: &pb::RequiredFieldsRule) -> RequiredFieldsDraft {
    let kind = |kind: &i32| pb::TicketKind::try_from(*kind).ok().and_then(values::ticket_kind);
    RequiredFieldsDraft {
        moment: moment(rule.moment()),
        fields: rule.fields.iter().map(|number| field(*number)).collect(),
        kinds: rule.ticket_kinds.iter().map(kind).collect(),
        within: target(found, "within", rule.within.as_ref()),
        violation: rule.violation.clone(),
    }
}

fn moment(moment: pb::RequiredFieldsMoment) -> Option<RequiredMoment> {
    Some(match moment {
        pb::RequiredFieldsMoment::Unspecified => return None,
        pb::RequiredFieldsMoment::Registered => RequiredMoment::Registered,
        pb::RequiredFieldsMoment::Answered => RequiredMoment::Answered,
        pb::RequiredFieldsMoment::Resolved => RequiredMoment::Resolved,
        pb::RequiredFieldsMoment::ResultFedBack => RequiredMoment::ResultFedBack,
        pb::RequiredFieldsMoment::Closed => RequiredMoment::Closed,
    })
}

fn field(field: i32) -> Option<RequiredField> {
    Some(match pb::RequiredField::try_from(field).ok()? {
        pb::RequiredField::Unspecified => return None,
        pb::RequiredField::Complainant => RequiredField::Complainant,
        pb::RequiredField::Customer => RequiredField::Customer,
        pb::RequiredField::Contact => RequiredField::Contact,
        pb::RequiredField::ComplainantType => RequiredField::ComplainantType,
        pb::RequiredField::Category => RequiredField::Category,
        pb::RequiredField::Product => RequiredField::Product,
        pb::RequiredField::Description => RequiredField::Description,
        pb::RequiredField::OccurTime => RequiredField::OccurTime,
        pb::RequiredField::Amount => RequiredField::Amount,
    })
}
