//! What a policy says beside how long a promise is: steps of escalation, reopening, pause reasons.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use kefu_calendar::Calendar;

use super::{
    clock_note::{StepRule, StepTime},
    policy::{PauseReason, ReopenMode},
    policy_check::{DAY, Faults, MAX_DAYS, target},
    policy_draft::{PauseReasonDraft, StepDraft},
    word::{ClockKind, ReceiverLevel, Text},
};

const MAX_STEPS: usize = 20;
const MAX_PAUSE_REASONS: usize = 50;
const PERCENT: std::ops::RangeInclusive<u32> = 1..=1_000;

/// A resolution goes on unless the policy says otherwise; everything else begins anew.
pub(super) fn reopen(
    mode: Option<ReopenMode>,
    kind: Option<ClockKind>,
    path: &str,
    faults: &mut Faults,
) -> ReopenMode {
    let resumes = kind.is_none_or(|kind| kind == ClockKind::Resolution);
    if mode == Some(ReopenMode::Resume) && !resumes {
        faults.add(
            format_args!("{path}.on_reopen"),
            ("only a resolution can go on", "只有处理时限可以延续"),
        );
    }
    let by_kind = if resumes { ReopenMode::Resume } else { ReopenMode::Restart };
    mode.unwrap_or(by_kind)
}

pub(super) fn steps(
    drafts: Vec<StepDraft>,
    target: Option<Duration>,
    levels: usize,
    path: &str,
    faults: &mut Faults,
) -> Vec<StepRule> {
    faults.at_most(drafts.len(), MAX_STEPS, &format!("{path}.steps"));
    let mut names = BTreeMap::new();
    let mut steps = Vec::new();
    for (index, draft) in drafts.into_iter().enumerate() {
        let path = format!("{path}.steps[{index}]");
        faults.name(&draft.name, format_args!("{path}.name"));
        faults.unique(&mut names, draft.name.clone(), (), format_args!("{path}.name"));
        let when = faults.required(draft.when, format_args!("{path}.when"));
        let fault = match when {
            Some(StepTime::Percent(percent)) if !PERCENT.contains(&percent) => {
                Some(("percent", ("must be 1 to 1000", "须为 1 至 1000")))
            }
            Some(StepTime::Before(time))
                if time.is_zero() || target.is_some_and(|target| time >= target) =>
            {
                Some((
                    "before",
                    ("must be more than nothing and less than the target", "须大于零且小于时限"),
                ))
            }
            Some(StepTime::After(time)) if time.is_zero() || time > DAY * MAX_DAYS => Some((
                "after",
                ("must be more than nothing, up to 366 days", "须大于零，最多 366 天"),
            )),
            _ => None,
        };
        if let Some((field, description)) = fault {
            faults.add(format_args!("{path}.{field}"), description);
        }
        let notify = level(draft.notify_level, levels, &format!("{path}.notify_level"), faults);
        let raise_to =
            level(draft.raise_to_level, levels, &format!("{path}.raise_to_level"), faults);
        if (draft.notify_level, draft.raise_to_level) == (0, 0) {
            let description = ("must be set, or raise_to_level", "须填写此项或 raise_to_level");
            faults.add(format_args!("{path}.notify_level"), description);
        }
        if let Some(when) = when {
            steps.push(StepRule { name: draft.name.into(), when, notify, raise_to });
        }
    }
    steps
}

/// A level of the policy; 0 stands for none.
fn level(number: i32, levels: usize, path: &str, faults: &mut Faults) -> Option<ReceiverLevel> {
    if number == 0 {
        return None;
    }
    let known = usize::try_from(number).is_ok_and(|number| number <= levels);
    let level = ReceiverLevel::from_number(number).filter(|_| known);
    if level.is_none() {
        faults.add(path, ("is not a level of `levels`", "不在 `levels` 所列级别中"));
    }
    level
}

pub(super) fn pause_reasons(
    drafts: Vec<PauseReasonDraft>,
    calendar: Option<&Calendar>,
    faults: &mut Faults,
) -> BTreeMap<Arc<str>, PauseReason> {
    faults.at_most(drafts.len(), MAX_PAUSE_REASONS, "pause_reasons");
    let mut reasons = BTreeMap::new();
    for (index, draft) in drafts.into_iter().enumerate() {
        let path = format!("pause_reasons[{index}]");
        faults.name(&draft.code, format_args!("{path}.code"));
        if draft.title == Text::default() {
            faults.add(
                format_args!("{path}.title"),
                ("must have a text in English or Chinese", "须有英文或中文内容"),
            );
        }
        let mut after = |time: Option<_>, field: &str| {
            time.and_then(|time| target(Some(time), calendar, &format!("{path}.{field}"), faults))
        };
        let code: Arc<str> = draft.code.into();
        let reason = PauseReason {
            code: code.clone(),
            title: draft.title,
            remind_after: after(draft.remind_after, "remind_after"),
            propose_close_after: after(draft.propose_close_after, "propose_close_after"),
            // Known once the adapters and wordings are.
            reminder: None,
        };
        faults.unique(&mut reasons, code, reason, format_args!("{path}.code"));
    }
    reasons
}
