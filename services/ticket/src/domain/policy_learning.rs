//! What a regulation says about violations, root causes, product holds, suggestions and shifts (T-17 to T-21).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kefu_calendar::{Calendar, Target};

use super::{
    category::CategoryTree,
    handling_rules::NO_CATEGORY,
    policy::ViolationRule,
    policy_check::{Faults, target},
    required_field::{self, RequiredFields, RequiredFieldsDraft},
    shift_pattern::{self, ShiftPattern, ShiftPatternDraft},
    word::Text,
};

/// The row of the violation table that a missed reply proposes where a policy does not say which: policies that were
/// stored before they could say it count on it.
const LATE_WORK_ORDER: &str = "late-work-order";
const MAX_ROOT_CAUSES: usize = 200;
const MAX_HOLD_CATEGORIES: usize = 100;
const LEADS: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(60)..=Duration::from_secs(12 * 3_600);
/// So long before its beginning a shift is planned where the policy does not say.
const PLAN_BEFORE: Duration = Duration::from_secs(24 * 3_600);
const MAX_PLAN_BEFORE: Duration = Duration::from_secs(7 * 24 * 3_600);

/// The rules, checked.
#[derive(Clone, Debug, Default)]
pub struct Learning {
    /// How long the person concerned may appeal; none means without limit.
    pub appeal_within: Option<Target>,
    /// Code of the violation that a missed reply to a work order proposes; none means none.
    pub late_work_order: Option<String>,
    /// The root causes by code; empty where any will do.
    pub root_causes: BTreeMap<String, Text>,
    /// A complaint in one of these categories holds its product.
    pub hold_categories: BTreeSet<String>,
    /// Within which time a suggestion is decided; none means no time.
    pub suggestion_decision_within: Option<Target>,
    /// How shifts are handed over; none means that no list is due.
    pub shifts: Option<ShiftRules>,
    /// When an order counts as refused; none means never.
    pub refused_order: Option<RefusedOrderRule>,
    /// What has to be noted on a ticket by when.
    pub required_fields: Vec<RequiredFields>,
    /// How far ahead the next reply to a work order may be promised; none means without limit.
    pub order_reply_within: Option<Target>,
}

/// When an order counts as refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedOrderRule {
    /// Within which time it has to be accepted or objected to.
    pub within: Target,
    /// Code of the violation that it proposes.
    pub violation: String,
}

/// The handover of shifts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShiftRules {
    /// So long before its end the list of a shift is due.
    pub list_before_end: Duration,
    /// Code of the violation that a missing list proposes.
    pub missed_list_violation: Option<String>,
    /// Shifts that come again and again.
    pub patterns: Vec<ShiftPattern>,
    /// So long before its beginning such a shift is planned.
    pub plan_before: Duration,
}

/// The handover of shifts as it is written down.
#[derive(Clone, Debug, Default)]
pub struct ShiftRulesDraft {
    /// `list_before_end`, where it is a duration.
    pub list_before_end: Option<Duration>,
    /// `missed_list_violation`.
    pub missed_list_violation: String,
    /// `patterns`.
    pub patterns: Vec<ShiftPatternDraft>,
    /// `plan_before_start`: unset, or a duration or none.
    pub plan_before: Option<Option<Duration>>,
}

/// The rules as they are written down.
#[derive(Clone, Debug, Default)]
pub struct LearningDraft {
    /// `violation_appeal_within`.
    pub appeal_within: Option<Target>,
    /// `late_work_order_violation`; empty means none.
    pub late_work_order: String,
    /// `root_causes`: code and title.
    pub root_causes: Vec<(String, Text)>,
    /// `product_hold_categories`.
    pub hold_categories: Vec<String>,
    /// `suggestion_decision_within`.
    pub suggestion_decision_within: Option<Target>,
    /// `shifts`.
    pub shifts: Option<ShiftRulesDraft>,
    /// `refused_order`: `accept_within` and `violation`.
    pub refused_order: Option<(Option<Target>, String)>,
    /// `required_fields`.
    pub required_fields: Vec<RequiredFieldsDraft>,
    /// `order_reply_within`.
    pub order_reply_within: Option<Target>,
}

/// Every fault with its path below `learning`.
pub(super) fn check(
    draft: LearningDraft,
    calendar: Option<&Calendar>,
    (violations, tree): (&BTreeMap<String, ViolationRule>, &CategoryTree),
    faults: &mut Faults,
) -> Learning {
    let within = |value: Option<Target>, field: &str, faults: &mut Faults| {
        value.and_then(|value| target(Some(value), calendar, &format!("learning.{field}"), faults))
    };
    let appeal_within = within(draft.appeal_within, "violation_appeal_within", faults);
    let decided = within(draft.suggestion_decision_within, "suggestion_decision_within", faults);
    let order_reply_within = within(draft.order_reply_within, "order_reply_within", faults);
    let code = |code: String, field: &str, faults: &mut Faults| {
        let code = Some(code).filter(|code| !code.is_empty())?;
        if !violations.contains_key(&code) {
            faults.add(
                format_args!("learning.{field}"),
                ("is not in the table `violations`", "违规条款表 `violations` 中没有此代码"),
            );
        }
        Some(code)
    };
    let late_work_order = code(draft.late_work_order, "late_work_order_violation", faults)
        .or_else(|| violations.get(LATE_WORK_ORDER).map(|rule| rule.code.clone()));
    let shifts = draft.shifts.and_then(|shifts| {
        let missed = code(shifts.missed_list_violation, "shifts.missed_list_violation", faults);
        let lead = shifts.list_before_end.filter(|lead| LEADS.contains(lead));
        if lead.is_none() {
            faults.add(
                "learning.shifts.list_before_end",
                ("must be 1 minute to 12 hours", "须为 1 分钟至 12 小时"),
            );
        }
        let ahead = shifts.plan_before.unwrap_or(Some(PLAN_BEFORE));
        let ahead = ahead.filter(|ahead| *ahead <= MAX_PLAN_BEFORE);
        if ahead.is_none() {
            faults.add("learning.shifts.plan_before_start", ("must be up to 7 days", "最多 7 天"));
        }
        let patterns = shift_pattern::check(shifts.patterns, lead, faults);
        Some(ShiftRules {
            list_before_end: lead?,
            missed_list_violation: missed,
            patterns,
            plan_before: ahead?,
        })
    });
    let refused_order = draft.refused_order.and_then(|(within, violation)| {
        if !violations.contains_key(&violation) {
            let description =
                ("is not in the table `violations`", "违规条款表 `violations` 中没有此代码");
            faults.add("learning.refused_order.violation", description);
        }
        let within = target(within, calendar, "learning.refused_order.accept_within", faults);
        Some(RefusedOrderRule { within: within?, violation })
    });
    let required_fields =
        required_field::check(draft.required_fields, calendar, violations, faults);
    Learning {
        appeal_within,
        late_work_order,
        root_causes: root_causes(draft.root_causes, faults),
        hold_categories: hold_categories(draft.hold_categories, tree, faults),
        suggestion_decision_within: decided,
        shifts,
        refused_order,
        required_fields,
        order_reply_within,
    }
}

fn root_causes(drafts: Vec<(String, Text)>, faults: &mut Faults) -> BTreeMap<String, Text> {
    faults.at_most(drafts.len(), MAX_ROOT_CAUSES, "learning.root_causes");
    let mut causes = BTreeMap::new();
    for (index, (code, title)) in drafts.into_iter().enumerate() {
        let path = format!("learning.root_causes[{index}]");
        faults.name(&code, format_args!("{path}.code"));
        if title == Text::default() {
            faults.add(
                format_args!("{path}.title"),
                ("must have a text in English or Chinese", "须有英文或中文内容"),
            );
        }
        faults.unique(&mut causes, code, title, format_args!("{path}.code"));
    }
    causes
}

fn hold_categories(
    drafts: Vec<String>,
    tree: &CategoryTree,
    faults: &mut Faults,
) -> BTreeSet<String> {
    faults.at_most(drafts.len(), MAX_HOLD_CATEGORIES, "learning.product_hold_categories");
    let mut categories = BTreeSet::new();
    for (index, category) in drafts.into_iter().enumerate() {
        let path = format!("learning.product_hold_categories[{index}]");
        if !tree.allows(&category) {
            faults.add(path, NO_CATEGORY);
        } else if !categories.insert(category) {
            faults.add(path, ("is given twice", "重复"));
        }
    }
    categories
}
