//! Channel adapters, triggers and macros, checked: every fault with its path.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use super::{
    addressee::NoticeTo,
    automation::{AssignTo, AutoStep, Automation, Tongue, Trigger, Wording},
    automation_draft::{
        AdapterDraft, AutomationDraft, MacroDraft, StepDraftOf, TriggerDraft, WordingDraft,
    },
    condition,
    custom_field::CustomFields,
    delivery::{AdapterKind, ChannelAdapter, Patience},
    message_template::MessageTemplate,
    policy::PauseReason,
    policy_check::{DAY, Faults},
    routing_check::MAX_STAFF,
    trigger_event::TriggerEvent,
    word::Text,
};

const MAX_ADAPTERS: usize = 20;
const MAX_TRIGGERS: usize = 100;
const MAX_MACROS: usize = 100;
/// The most steps of a trigger or a macro.
const MAX_STEPS: usize = 20;
const MAX_EVENTS: usize = 30;
/// The most tags that one step adds.
const MAX_ADDED_TAGS: usize = 20;
const ATTEMPTS: std::ops::RangeInclusive<u32> = 1..=50;
const SHORTEST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait between two attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(7 * 24 * 3_600);
const ORDINARY_DEPTH: u32 = 3;
const MAX_DEPTH: u32 = 10;
const ORDINARY_PER_HOUR: u32 = 60;
const MAX_PER_HOUR: u32 = 10_000;

/// What steps and conditions may name.
pub(super) struct Known<'a> {
    pub templates: &'a BTreeMap<String, MessageTemplate>,
    pub pause_reasons: &'a BTreeMap<Arc<str>, PauseReason>,
    /// Whether there are routing rules.
    pub routes: bool,
    /// How many receiver levels there are.
    pub levels: usize,
    /// The clock rules.
    pub clocks: BTreeSet<&'a str>,
    /// The stages of all process templates.
    pub stages: BTreeSet<&'a str>,
    /// The company's own fields.
    pub fields: &'a CustomFields,
}

/// Whose steps they are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Owner {
    Trigger,
    Macro,
}

pub(super) fn check(draft: AutomationDraft, known: &Known<'_>, faults: &mut Faults) -> Automation {
    let adapters = adapters(draft.adapters, faults);
    faults.at_most(draft.triggers.len(), MAX_TRIGGERS, "triggers");
    let (mut names, mut triggers) = (BTreeMap::new(), Vec::new());
    for (index, draft) in draft.triggers.into_iter().enumerate() {
        let path = format!("triggers[{index}]");
        faults.unique(&mut names, draft.name.clone(), (), format_args!("{path}.name"));
        triggers.push(trigger(draft, &path, &adapters, known, faults));
    }
    let macros = macros(draft.macros, &adapters, known, faults);
    let mut limit = |number: i32, most: u32, ordinary: u32, path: &str| {
        let known = u32::try_from(number).ok().filter(|number| *number <= most);
        if known.is_none() {
            faults.add(path, (format!("must be 0 to {most}"), format!("须为 0 至 {most}")));
        }
        known.filter(|number| *number > 0).unwrap_or(ordinary)
    };
    let max_depth = limit(draft.max_depth, MAX_DEPTH, ORDINARY_DEPTH, "max_trigger_depth");
    let field = "max_trigger_runs_per_hour";
    let max_per_hour = limit(draft.max_per_hour, MAX_PER_HOUR, ORDINARY_PER_HOUR, field);
    Automation { adapters, triggers, macros, max_depth, max_per_hour }
}

fn adapters(drafts: Vec<AdapterDraft>, faults: &mut Faults) -> BTreeMap<String, ChannelAdapter> {
    faults.at_most(drafts.len(), MAX_ADAPTERS, "channel_adapters");
    let mut adapters = BTreeMap::new();
    for (index, draft) in drafts.into_iter().enumerate() {
        let path = format!("channel_adapters[{index}]");
        faults.name(&draft.code, format_args!("{path}.code"));
        titled(&draft.title, &path, faults);
        let kind = faults.required(draft.kind, format_args!("{path}.kind"));
        let attempts = u32::try_from(draft.max_attempts).ok().filter(|n| ATTEMPTS.contains(n));
        if attempts.is_none() {
            faults.add(format_args!("{path}.max_attempts"), ("must be 1 to 50", "须为 1 至 50"));
        }
        let first = draft.first_retry.filter(|first| (SHORTEST_WAIT..=DAY).contains(first));
        if first.is_none() {
            faults.add(
                format_args!("{path}.first_retry"),
                ("must be 1 second to 1 day", "须为 1 秒至 1 天"),
            );
        }
        let least = first.unwrap_or(SHORTEST_WAIT);
        let longest = draft.longest_retry.filter(|wait| (least..=LONGEST_WAIT).contains(wait));
        if longest.is_none() {
            let description = (
                "must be at least first_retry and at most 7 days",
                "不得小于 first_retry，最多 7 天",
            );
            faults.add(format_args!("{path}.longest_retry"), description);
        }
        let patience = attempts.zip(first).zip(longest);
        let patience =
            patience.map(|((attempts, first), longest)| Patience { attempts, first, longest });
        // Not whole where a fault was added; but what names it is not wrong for that.
        let adapter = ChannelAdapter {
            code: draft.code.as_str().into(),
            kind: kind.unwrap_or(AdapterKind::Webhook),
            title: draft.title,
            patience: patience.unwrap_or(Patience { attempts: 1, first: DAY, longest: DAY }),
        };
        faults.unique(&mut adapters, draft.code, adapter, format_args!("{path}.code"));
    }
    adapters
}

fn trigger(
    draft: TriggerDraft,
    path: &str,
    adapters: &BTreeMap<String, ChannelAdapter>,
    known: &Known<'_>,
    faults: &mut Faults,
) -> Trigger {
    faults.name(&draft.name, format_args!("{path}.name"));
    titled(&draft.title, path, faults);
    if draft.when.is_empty() {
        faults
            .add(format_args!("{path}.when"), ("must name at least one event", "至少指定一个事件"));
    }
    faults.at_most(draft.when.len(), MAX_EVENTS, &format!("{path}.when"));
    let unknown = ("must be set to a known event", "须为已知的事件");
    let when = faults.set(draft.when, format_args!("{path}.when"), unknown);
    let condition = condition::check(draft.condition, &when, &format!("{path}.if"), known, faults);
    let path = format!("{path}.then");
    for (index, step) in draft.then.iter().enumerate() {
        if let StepDraftOf::Notify { recipients, .. } = step
            && NoticeTo::from(recipients.clone()).is_of_transfer()
            && !when.iter().copied().all(TriggerEvent::is_of_transfer)
        {
            let words = ("is known of events of a transfer only", "仅用于转派事件");
            faults.add(format_args!("{path}[{index}].notify.recipients"), words);
        }
    }
    let then = steps(draft.then, &path, Owner::Trigger, adapters, known, faults);
    Trigger { name: draft.name.into(), when, condition, then }
}

fn macros(
    drafts: Vec<MacroDraft>,
    adapters: &BTreeMap<String, ChannelAdapter>,
    known: &Known<'_>,
    faults: &mut Faults,
) -> BTreeMap<String, Vec<AutoStep>> {
    faults.at_most(drafts.len(), MAX_MACROS, "macros");
    let mut macros = BTreeMap::new();
    for (index, draft) in drafts.into_iter().enumerate() {
        let path = format!("macros[{index}]");
        faults.name(&draft.code, format_args!("{path}.code"));
        titled(&draft.title, &path, faults);
        let list = format!("{path}.steps");
        let steps = steps(draft.steps, &list, Owner::Macro, adapters, known, faults);
        faults.unique(&mut macros, draft.code, steps, format_args!("{path}.code"));
    }
    macros
}

fn steps(
    drafts: Vec<StepDraftOf>,
    path: &str,
    owner: Owner,
    adapters: &BTreeMap<String, ChannelAdapter>,
    known: &Known<'_>,
    faults: &mut Faults,
) -> Vec<AutoStep> {
    if drafts.is_empty() {
        faults.add(path, ("must have at least one step", "至少须有一个步骤"));
    }
    faults.at_most(drafts.len(), MAX_STEPS, path);
    let assigning = drafts.iter().enumerate();
    let assigning = assigning.filter(|(_, draft)| matches!(draft, StepDraftOf::Assign { .. }));
    for (index, _) in assigning.skip(1) {
        faults.add(
            format_args!("{path}[{index}].assign"),
            ("a ticket is assigned once at most", "工单至多分派一次"),
        );
    }
    let drafts = drafts.into_iter().enumerate();
    let steps = drafts.filter_map(|(index, draft)| {
        let path = format!("{path}[{index}]");
        step(draft, &path, owner, adapters, known, faults)
    });
    steps.collect()
}

fn step(
    draft: StepDraftOf,
    path: &str,
    owner: Owner,
    adapters: &BTreeMap<String, ChannelAdapter>,
    known: &Known<'_>,
    faults: &mut Faults,
) -> Option<AutoStep> {
    let mut only = |wanted: Owner, field: &str| {
        if owner != wanted {
            let description = match wanted {
                Owner::Trigger => ("is for triggers only", "仅用于触发器"),
                Owner::Macro => (
                    "is for macros only: nothing is said to a customer by itself",
                    "仅用于宏：系统不会自行向客户发送内容",
                ),
            };
            faults.add(format_args!("{path}.{field}"), description);
        }
    };
    match &draft {
        StepDraftOf::Notify { .. } => only(Owner::Trigger, "notify"),
        StepDraftOf::CallWebhook(_) => only(Owner::Trigger, "call_webhook"),
        StepDraftOf::Respond(_) => only(Owner::Macro, "respond"),
        StepDraftOf::Pause { .. } => only(Owner::Macro, "pause"),
        StepDraftOf::Resolve(_) => only(Owner::Macro, "resolve"),
        StepDraftOf::FeedBack(_) => only(Owner::Macro, "feed_back"),
        _ => {}
    }
    Some(match draft {
        StepDraftOf::Missing => {
            faults.add(path, ("must be one of the known steps", "须为已知的步骤"));
            return None;
        }
        StepDraftOf::AddTags(tags) => {
            let field = format!("{path}.add_tags.tags");
            if tags.is_empty() {
                faults.add(&field, ("must have at least one tag", "至少须有一个标签"));
            }
            faults.at_most(tags.len(), MAX_ADDED_TAGS, &field);
            let mut seen = BTreeSet::new();
            for (index, tag) in tags.iter().enumerate() {
                if !seen.insert(tag) {
                    faults.add(format_args!("{field}[{index}]"), ("is given twice", "重复"));
                }
            }
            AutoStep::AddTags(tags)
        }
        StepDraftOf::RaisePriority(to) => {
            AutoStep::RaisePriority(faults.required(to, format_args!("{path}.raise_priority"))?)
        }
        StepDraftOf::Escalate(reason) => AutoStep::Escalate(reason),
        StepDraftOf::AddNote(note) => AutoStep::AddNote(note),
        StepDraftOf::Notify { adapter, recipients, wording: said } => {
            faults.name(&recipients, format_args!("{path}.notify.recipients"));
            let adapter =
                named(&adapter, None, adapters, &format!("{path}.notify.adapter"), faults);
            let said = wording(said, &format!("{path}.notify.wording"), known, faults);
            AutoStep::Notify { adapter: adapter?, to: recipients.into(), wording: said? }
        }
        StepDraftOf::CallWebhook(code) => {
            let path = format!("{path}.call_webhook");
            AutoStep::CallWebhook(named(
                &code,
                Some(AdapterKind::Webhook),
                adapters,
                &path,
                faults,
            )?)
        }
        StepDraftOf::Respond(said) => {
            AutoStep::Respond(wording(said, &format!("{path}.respond"), known, faults)?)
        }
        StepDraftOf::Resolve(said) => {
            AutoStep::Resolve(wording(said, &format!("{path}.resolve"), known, faults)?)
        }
        StepDraftOf::FeedBack(said) => {
            AutoStep::FeedBack(wording(said, &format!("{path}.feed_back"), known, faults)?)
        }
        StepDraftOf::Pause { code, reason } => {
            let known = match (known.pause_reasons.is_empty(), code.is_empty()) {
                (true, empty) => empty,
                (false, _) => known.pause_reasons.contains_key(code.as_str()),
            };
            if !known {
                let description = ("is no code of `pause_reasons`", "`pause_reasons` 中没有此代码");
                faults.add(format_args!("{path}.pause.pause_reason"), description);
            }
            AutoStep::Pause { code, reason }
        }
        StepDraftOf::Assign { by_rules, team, owner, distribution } => {
            let path = format!("{path}.assign");
            AutoStep::Assign(if by_rules {
                if !known.routes {
                    faults.add(
                        format_args!("{path}.by_rules"),
                        ("needs `routing_rules`", "须先有 `routing_rules`"),
                    );
                }
                let others = [
                    ("team", !team.is_empty()),
                    ("owner", !owner.is_empty()),
                    ("distribution", distribution.is_some()),
                ];
                for (field, _) in others.into_iter().filter(|(_, is_set)| *is_set) {
                    faults.add(
                        format_args!("{path}.{field}"),
                        ("must be unset with `by_rules`", "使用 `by_rules` 时不得填写"),
                    );
                }
                AssignTo::Rules
            } else {
                faults.name(&team, format_args!("{path}.team"));
                if owner.len() > MAX_STAFF {
                    let english = format!("must have at most {MAX_STAFF} bytes");
                    let words = (english, format!("最多 {MAX_STAFF} 个字节"));
                    faults.add(format_args!("{path}.owner"), words);
                }
                let owner = Some(owner).filter(|owner| !owner.is_empty()).map(Into::into);
                AssignTo::Team { team: team.into(), owner, distribution }
            })
        }
    })
}

pub(super) fn named(
    code: &str,
    kind: Option<AdapterKind>,
    adapters: &BTreeMap<String, ChannelAdapter>,
    path: &str,
    faults: &mut Faults,
) -> Option<ChannelAdapter> {
    let Some(adapter) = adapters.get(code) else {
        faults.add(path, ("is no code of `channel_adapters`", "`channel_adapters` 中没有此代码"));
        return None;
    };
    if kind.is_some_and(|kind| kind != adapter.kind) {
        faults.add(path, ("must be a webhook adapter", "须为 webhook 渠道"));
        return None;
    }
    Some(adapter.clone())
}

pub(super) fn wording(
    draft: WordingDraft,
    path: &str,
    known: &Known<'_>,
    faults: &mut Faults,
) -> Option<Wording> {
    let tongue = draft.language.parse::<Tongue>().ok();
    if tongue.is_none() {
        faults.add(
            format_args!("{path}.language"),
            ("must be `en` or `zh`", "须为 `en` 或 `zh`，即英文或中文"),
        );
    }
    let Some(template) = known.templates.get(&draft.situation) else {
        let description =
            ("is no situation of `message_templates`", "`message_templates` 中没有此场景");
        faults.add(format_args!("{path}.situation"), description);
        return None;
    };
    let tongue = tongue?;
    if !template.speaks(tongue) {
        let description = ("the wording has no text in this language", "该话术没有此语言的内容");
        faults.add(format_args!("{path}.language"), description);
    }
    Some(Wording { situation: draft.situation, tongue })
}

fn titled(title: &Text, path: &str, faults: &mut Faults) {
    if *title == Text::default() {
        faults.add(
            format_args!("{path}.title"),
            ("must have a text in English or Chinese", "须有英文或中文内容"),
        );
    }
}
