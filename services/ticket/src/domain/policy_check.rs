//! From a draft to a policy: every fault at once, each with its path.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    fmt,
    time::Duration,
};

use jiff::{Timestamp, ToSpan, civil};
use kefu_calendar::{Calendar, Target};
use kefu_identity::role;

use super::{
    automation_check, content_rules, handling_rules, link_rules, message_template,
    phrase::ForbiddenPhrases,
    policy::{ClockRule, Level, Policy, VerdictOption, VerdictOutcome, ViolationRule},
    policy_check_clock as check_clock,
    policy_draft::{
        ClockRuleDraft, GradePriorityDraft, LevelDraft, PolicyDraft, SeverityDraft,
        VerdictOptionDraft, ViolationDraft,
    },
    policy_learning, process_check, reminder,
    report::DEFAULT_REPEAT_WINDOW_DAYS,
    routing_check,
    word::{Fault, Priority, ReceiverLevel, Severity, Text, Words},
};

const MAX_CLOCKS: usize = 50;
const MAX_SEVERITIES: usize = 3;
const MAX_GRADES: usize = 50;
const MAX_VIOLATIONS: usize = 100;
const MAX_VERDICT: u8 = 10;
const VERDICT_OPTIONS: std::ops::RangeInclusive<usize> = 2..=11;
const MAX_NAME: usize = 63;
pub(super) const DAY: Duration = Duration::from_secs(24 * 3_600);
pub(super) const MAX_DAYS: u32 = 366;
/// A promise that the ordinary week cannot keep within so many years is a slip of the pen.
const LONGEST_PROMISE_YEARS: i64 = 10;

pub(super) const UNKNOWN: Pair = ("must be set to a known value", "须为已知的取值");
pub(super) const NO_SEVERITY: Pair = ("must be 1, 2 or 3", "须为 1、2 或 3");

/// What is wrong, in English and in Chinese.
pub(super) type Pair = (&'static str, &'static str);

/// Collects faults.
#[derive(Default)]
pub(super) struct Faults(Vec<Fault>);

impl Faults {
    pub fn add(&mut self, path: impl fmt::Display, words: impl Into<Words>) {
        self.0.push(Fault::new(path.to_string(), words));
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Takes the faults of a list whose paths begin with the index.
    fn below<T: Default>(&mut self, list: &str, checked: Result<T, Vec<Fault>>) -> T {
        checked.unwrap_or_else(|faults| {
            let below = |fault: Fault| Fault { path: format!("{list}{}", fault.path), ..fault };
            self.0.extend(faults.into_iter().map(below));
            T::default()
        })
    }

    pub fn required<T>(&mut self, value: Option<T>, path: impl fmt::Display) -> Option<T> {
        if value.is_none() {
            self.add(path, UNKNOWN);
        }
        value
    }

    pub fn name(&mut self, name: &str, path: impl fmt::Display) {
        let sound = (1..=MAX_NAME).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !sound {
            self.add(
                path,
                (
                    "must be 1 to 63 lower-case letters, digits and '-'",
                    "须为 1 至 63 个小写字母、数字或“-”",
                ),
            );
        }
    }

    pub fn at_most(&mut self, len: usize, most: usize, path: &str) {
        if len > most {
            let english = format!("must have at most {most} entries, has {len}");
            self.add(path, (english, format!("最多 {most} 项，现有 {len} 项")));
        }
    }

    pub fn unique<K: Ord, V>(
        &mut self,
        into: &mut BTreeMap<K, V>,
        key: K,
        value: V,
        path: impl fmt::Display,
    ) {
        match into.entry(key) {
            Entry::Vacant(free) => _ = free.insert(value),
            Entry::Occupied(_) => self.add(path, ("is given twice", "重复")),
        }
    }

    pub fn set<T: Copy + Ord>(
        &mut self,
        items: impl IntoIterator<Item = Option<T>>,
        path: impl fmt::Display,
        unknown: Pair,
    ) -> BTreeSet<T> {
        let mut set = BTreeSet::new();
        for (index, item) in items.into_iter().enumerate() {
            match item {
                None => self.add(format_args!("{path}[{index}]"), unknown),
                Some(item) if !set.insert(item) => {
                    self.add(format_args!("{path}[{index}]"), ("is given twice", "重复"));
                }
                Some(_) => {}
            }
        }
        set
    }
}

pub(super) fn check(draft: PolicyDraft) -> Result<Policy, Vec<Fault>> {
    let mut faults = Faults::default();
    faults.name(&draft.code, "code");
    let calendar = calendar(draft.calendar, &mut faults);
    let violations = violations(draft.violations, &mut faults);
    let level_count = draft.levels.len();
    let clocks = clocks(draft.clocks, calendar.as_ref(), &violations, level_count, &mut faults);
    let levels = levels(draft.levels, &mut faults);
    let reminders = reminder::Drafted::of(&draft.pause_reasons);
    let mut pause_reasons =
        check_clock::pause_reasons(draft.pause_reasons, calendar.as_ref(), &mut faults);
    let starts = starts(&draft.severities, levels.len(), &mut faults);
    let verdicts = verdicts(draft.verdict_options, &mut faults);
    let priorities = priorities(draft.grade_priorities, &mut faults);
    let of_levels = (starts.clone(), levels.len());
    let routing = routing_check::check(draft.routing, &priorities, of_levels, &mut faults);
    let phrases = ForbiddenPhrases::check(draft.forbidden_phrases);
    let phrases = faults.below("forbidden_phrases", phrases);
    let templates = message_template::check(draft.message_templates, &phrases);
    let templates = faults.below("message_templates", templates);
    let handling = handling_rules::check(
        draft.handling,
        calendar.as_ref(),
        (&violations, routing.categories()),
        level_count,
        &mut faults,
    );
    let known = (&violations, routing.categories());
    let learning = policy_learning::check(draft.learning, calendar.as_ref(), known, &mut faults);
    let repeat_window_days = repeat_window(draft.repeat_window_days, &mut faults);
    let staged = process_check::Known {
        calendar: calendar.as_ref(),
        violations: &violations,
        levels: level_count,
    };
    let processes = process_check::check(draft.processes, &staged, &mut faults);
    let content = content_rules::check(draft.content, routing.categories(), &mut faults);
    let stages = processes.values().flat_map(|template| template.stages());
    let known = automation_check::Known {
        templates: &templates,
        pause_reasons: &pause_reasons,
        routes: routing.has_rules(),
        levels: level_count,
        clocks: clocks.iter().map(|rule| &*rule.name).collect(),
        stages: stages.map(|stage| &*stage.code).collect(),
        fields: &content.fields,
    };
    let automation = automation_check::check(draft.automation, &known, &mut faults);
    let links = link_rules::check(&draft.links, &mut faults);
    for (code, reminder) in reminders.check(&automation.adapters, &known, &mut faults) {
        if let Some(reason) = pause_reasons.get_mut(&code) {
            reason.reminder = Some(reminder);
        }
    }
    match calendar {
        Some(calendar) if faults.0.is_empty() => Ok(Policy {
            code: draft.code,
            title: draft.title,
            calendar,
            clocks,
            levels,
            starts,
            verdicts,
            priorities,
            violations,
            pause_reasons,
            phrases,
            templates,
            handling,
            routing,
            learning,
            repeat_window_days,
            automation,
            processes,
            content,
            links,
            clock_changes: draft.clock_changes,
        }),
        _ => Err(faults.0),
    }
}

/// How far back a complaint can be repeated (T-20).
fn repeat_window(days: i32, faults: &mut Faults) -> u32 {
    match u32::try_from(days) {
        Ok(0) => DEFAULT_REPEAT_WINDOW_DAYS,
        Ok(days) if days <= MAX_DAYS => days,
        _ => {
            faults.add(
                "repeat_window_days",
                ("must be 0 (meaning 90) to 366", "须为 0（即 90）至 366"),
            );
            DEFAULT_REPEAT_WINDOW_DAYS
        }
    }
}

/// Besides what the calendar knows of itself: the ordinary week has hours, for exceptions end
/// some day and the promises do not.
fn calendar(calendar: Option<Calendar>, faults: &mut Faults) -> Option<Calendar> {
    let Some(calendar) = calendar else {
        faults.add("calendar", ("must be set", "必填"));
        return None;
    };
    let week_opens = ordinary_times().is_none_or(|(start, _)| {
        let next_week = start.checked_add((14 * 24).hours()).unwrap_or(start);
        calendar.consumed(start, next_week).amount() > Duration::ZERO
    });
    if !week_opens {
        faults.add(
            "calendar.weekly_hours",
            ("must open at least once in the ordinary week", "常规一周内至少须有一段营业时间"),
        );
    }
    week_opens.then_some(calendar)
}

/// A time before any exception can lie, and the longest promise after it.
fn ordinary_times() -> Option<(Timestamp, Timestamp)> {
    let start = civil::date(1880, 1, 1).at(0, 0, 0, 0).to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    let end = start.checked_add(LONGEST_PROMISE_YEARS.years()).ok()?;
    Some((start.timestamp(), end.timestamp()))
}

fn clocks(
    drafts: Vec<ClockRuleDraft>,
    calendar: Option<&Calendar>,
    violations: &BTreeMap<String, ViolationRule>,
    levels: usize,
    faults: &mut Faults,
) -> Vec<ClockRule> {
    faults.at_most(drafts.len(), MAX_CLOCKS, "clocks");
    let mut names = BTreeMap::new();
    let mut rules = Vec::new();
    for (index, draft) in drafts.into_iter().enumerate() {
        let path = format!("clocks[{index}]");
        faults.name(&draft.name, format_args!("{path}.name"));
        faults.unique(&mut names, draft.name.clone(), (), format_args!("{path}.name"));
        let kind = faults.required(draft.kind, format_args!("{path}.kind"));
        let kinds_path = format_args!("{path}.ticket_kinds");
        let ticket_kinds = faults.set(draft.ticket_kinds, kinds_path, UNKNOWN);
        let channels = faults.set(draft.channels, format_args!("{path}.channels"), UNKNOWN);
        let severities = draft.severities.into_iter().map(Severity::from_number);
        let severities_path = format_args!("{path}.severities");
        let severities = faults.set(severities, severities_path, NO_SEVERITY);
        let target = target(draft.target, calendar, &format!("{path}.target"), faults);
        let warn_percent = u32::try_from(draft.warn_percent).ok().filter(|percent| *percent < 100);
        if warn_percent.is_none() {
            faults.add(
                format_args!("{path}.warn_percent"),
                ("must be 0 (no warning) to 99", "须为 0（不预警）至 99"),
            );
        }
        let violation = Some(draft.breach_violation).filter(|code| !code.is_empty());
        if violation.as_ref().is_some_and(|code| !violations.contains_key(code)) {
            faults.add(
                format_args!("{path}.breach_violation"),
                ("is not in the table `violations`", "违规条款表 `violations` 中没有此代码"),
            );
        }
        let target_amount = target.zip(calendar).map(|(target, calendar)| target.amount(calendar));
        let steps = check_clock::steps(draft.steps, target_amount, levels, &path, faults);
        let reopen = check_clock::reopen(draft.on_reopen, kind, &path, faults);
        if let (Some(kind), Some(target)) = (kind, target) {
            rules.push(ClockRule {
                name: draft.name.into(),
                kind,
                ticket_kinds,
                channels,
                severities,
                intake_hours: draft.intake_hours,
                target,
                warn_percent: warn_percent.filter(|percent| *percent > 0),
                breach_raises_level: draft.breach_raises_level,
                breach_violation: violation,
                reopen,
                steps,
            });
        }
    }
    rules
}

pub(super) fn target(
    target: Option<Target>,
    calendar: Option<&Calendar>,
    path: &str,
    faults: &mut Faults,
) -> Option<Target> {
    let Some(target) = target else {
        faults.add(path, ("must be set", "必填"));
        return None;
    };
    let amounts = Duration::from_secs(1)..=DAY * MAX_DAYS;
    let fault = match target {
        Target::Elapsed(time) if !amounts.contains(&time) => {
            Some((".elapsed", ("must be 1 second to 366 days", "须为 1 秒至 366 天")))
        }
        Target::Business(time) if !amounts.contains(&time.amount()) => {
            Some((".business", ("must be 1 second to 366 days", "须为 1 秒至 366 天")))
        }
        Target::WorkingDays(days) if !(1..=MAX_DAYS).contains(&days) => {
            Some((".working_days", ("must be 1 to 366", "须为 1 至 366")))
        }
        _ if !can_be_kept(target, calendar) => {
            Some(("", ("takes more than 10 years on this calendar", "按此日历需十年以上")))
        }
        _ => None,
    };
    if let Some((field, description)) = fault {
        faults.add(format_args!("{path}{field}"), description);
        return None;
    }
    Some(target)
}

fn can_be_kept(target: Target, calendar: Option<&Calendar>) -> bool {
    let (Some(calendar), Some((start, latest))) = (calendar, ordinary_times()) else {
        return true;
    };
    calendar.due_at(start, target).is_ok_and(|due| due <= latest)
}

fn levels(drafts: Vec<LevelDraft>, faults: &mut Faults) -> Vec<Level> {
    if drafts.is_empty() {
        faults.add("levels", ("must have at least level 1", "至少须有 1 级"));
    }
    faults.at_most(drafts.len(), usize::from(ReceiverLevel::MAX), "levels");
    for (index, draft) in drafts.iter().enumerate() {
        if usize::try_from(draft.level) != Ok(index + 1) {
            let level = index + 1;
            let words = (
                format!("must be {level}: levels count from 1 without a gap, in order"),
                format!("须为 {level}：级别须从 1 起依次连续"),
            );
            faults.add(format_args!("levels[{index}].level"), words);
        }
    }
    let level = |(index, draft): (usize, LevelDraft)| Level {
        title: draft.title,
        roles: roles(draft.roles, index, faults),
    };
    drafts.into_iter().enumerate().map(level).collect()
}

/// Who may resolve at a level; a role that nobody can have would lock it.
fn roles(drafts: Vec<String>, level: usize, faults: &mut Faults) -> BTreeSet<String> {
    let mut roles = BTreeSet::new();
    for (index, name) in drafts.into_iter().enumerate() {
        let path = format!("levels[{level}].roles[{index}]");
        if !role::ALL.contains(&&*name) {
            let roles = role::ALL.join(", ");
            faults.add(
                path,
                (format!("must be one of {roles}"), format!("须为以下角色之一：{roles}")),
            );
        } else if !roles.insert(name) {
            faults.add(path, ("is given twice", "重复"));
        }
    }
    roles
}

fn starts(
    drafts: &[SeverityDraft],
    levels: usize,
    faults: &mut Faults,
) -> BTreeMap<Severity, ReceiverLevel> {
    faults.at_most(drafts.len(), MAX_SEVERITIES, "severities");
    let mut starts = BTreeMap::new();
    for (index, draft) in drafts.iter().enumerate() {
        let path = format!("severities[{index}]");
        let severity = Severity::from_number(draft.severity);
        if severity.is_none() {
            faults.add(format_args!("{path}.severity"), NO_SEVERITY);
        }
        let level = ReceiverLevel::from_number(draft.receiver_level)
            .filter(|level| usize::from(level.number()) <= levels);
        if level.is_none() {
            faults.add(
                format_args!("{path}.receiver_level"),
                ("is not one of `levels`", "不在 `levels` 所列级别中"),
            );
        }
        if let Some(severity) = severity {
            let level = level.unwrap_or(ReceiverLevel::FRONT_LINE);
            faults.unique(&mut starts, severity, level, format_args!("{path}.severity"));
        }
    }
    starts
}

fn verdicts(drafts: Vec<VerdictOptionDraft>, faults: &mut Faults) -> BTreeMap<u8, VerdictOption> {
    const PATH: &str = "verdict_scale.options";
    if !VERDICT_OPTIONS.contains(&drafts.len()) {
        let has = drafts.len();
        let english = format!("must have 2 to 11 entries, has {has}");
        faults.add(PATH, (english, format!("须有 2 至 11 项，现有 {has} 项")));
    }
    for (outcome, description) in [
        (
            VerdictOutcome::Close,
            ("must have a value that closes the ticket", "须有一个使工单关闭的评价"),
        ),
        (
            VerdictOutcome::Reopen,
            ("must have a value that reopens the ticket", "须有一个使工单重开的评价"),
        ),
    ] {
        if !drafts.iter().any(|draft| draft.outcome == Some(outcome)) {
            faults.add(PATH, description);
        }
    }
    let mut verdicts = BTreeMap::new();
    for (index, draft) in drafts.into_iter().enumerate() {
        let path = format!("{PATH}[{index}]");
        let value = u8::try_from(draft.value).ok().filter(|value| *value <= MAX_VERDICT);
        if value.is_none() {
            faults.add(format_args!("{path}.value"), ("must be 0 to 10", "须为 0 至 10"));
        }
        let outcome = faults.required(draft.outcome, format_args!("{path}.outcome"));
        if let Some(value) = value {
            let outcome = outcome.unwrap_or(VerdictOutcome::Close);
            let option = VerdictOption { label: draft.label, outcome };
            faults.unique(&mut verdicts, value, option, format_args!("{path}.value"));
        }
    }
    verdicts
}

fn priorities(drafts: Vec<GradePriorityDraft>, faults: &mut Faults) -> BTreeMap<String, Priority> {
    faults.at_most(drafts.len(), MAX_GRADES, "grade_priorities");
    let mut priorities = BTreeMap::new();
    for (index, draft) in drafts.into_iter().enumerate() {
        let path = format!("grade_priorities[{index}]");
        faults.name(&draft.grade, format_args!("{path}.grade"));
        let priority = faults.required(draft.priority, format_args!("{path}.priority"));
        let priority = priority.unwrap_or(Priority::Normal);
        faults.unique(&mut priorities, draft.grade, priority, format_args!("{path}.grade"));
    }
    priorities
}

fn violations(drafts: Vec<ViolationDraft>, faults: &mut Faults) -> BTreeMap<String, ViolationRule> {
    faults.at_most(drafts.len(), MAX_VIOLATIONS, "violations");
    let mut violations = BTreeMap::new();
    for (index, draft) in drafts.into_iter().enumerate() {
        let path = format!("violations[{index}]");
        faults.name(&draft.code, format_args!("{path}.code"));
        if draft.description == Text::default() {
            faults.add(
                format_args!("{path}.description"),
                ("must have a text in English or Chinese", "须有英文或中文内容"),
            );
        }
        if draft.amount_cents < 0 {
            faults.add(format_args!("{path}.amount_cents"), ("must not be negative", "不得为负数"));
        }
        let most = draft.max_amount_cents;
        if most != 0 && most < draft.amount_cents {
            faults.add(
                format_args!("{path}.max_amount_cents"),
                ("must not be below amount_cents", "不得小于 amount_cents"),
            );
        }
        let currency = Some(draft.currency).filter(|currency| !currency.is_empty());
        let sound = match &currency {
            None => draft.amount_cents == 0 && most == 0,
            Some(code) => code.len() == 3 && code.bytes().all(|b| b.is_ascii_uppercase()),
        };
        if !sound {
            let description = (
                "must be three capital letters as in ISO 4217, set with an amount",
                "须为 ISO 4217 的三个大写字母，与金额一并填写",
            );
            faults.add(format_args!("{path}.currency"), description);
        }
        let rule = ViolationRule {
            code: draft.code.clone(),
            description: draft.description,
            amount_cents: draft.amount_cents,
            max_amount_cents: most.max(draft.amount_cents),
            currency,
        };
        faults.unique(&mut violations, draft.code, rule, format_args!("{path}.code"));
    }
    violations
}
