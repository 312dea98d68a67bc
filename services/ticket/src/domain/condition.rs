//! What must be true of a ticket, and of what happened to it, for a trigger to run (T-26).

use std::collections::{BTreeMap, BTreeSet};

use super::{
    automation_check::Known,
    automation_draft::ConditionDraft,
    keyword::folded,
    phrase::ForbiddenPhrases,
    policy_check::{Faults, Pair},
    policy_draft::ForbiddenPhraseDraft,
    routing::AmountRange,
    routing_check::amount_range,
    ticket::{StateName, Ticket},
    trigger_event::{EventTold, TriggerEvent},
    word::{Channel, Priority, ReceiverLevel, Severity, Text, TicketKind},
};

const MAX_ENTRIES: usize = 50;
/// The most custom fields that one condition looks at.
const MAX_FIELDS: usize = 20;

/// What must be true of a ticket; an empty list asks for nothing.
#[derive(Clone, Debug, Default)]
pub struct TicketCondition {
    kinds: BTreeSet<TicketKind>,
    channels: BTreeSet<Channel>,
    severities: BTreeSet<Severity>,
    categories: Vec<String>,
    priorities: BTreeSet<Priority>,
    grades: Vec<String>,
    states: BTreeSet<StateName>,
    org_units: Vec<String>,
    tags: Vec<String>,
    without_tags: Vec<String>,
    keywords: ForbiddenPhrases,
    unowned: bool,
    receiver_levels: BTreeSet<ReceiverLevel>,
    /// Folded, as are the shops.
    products: BTreeSet<String>,
    shops: BTreeSet<String>,
    amount: Option<AmountRange>,
    /// By code; no values ask for any.
    fields: BTreeMap<String, BTreeSet<String>>,
    teams: Vec<String>,
    clocks: Vec<String>,
    stages: Vec<String>,
}

impl TicketCondition {
    /// Whether it has to be known which team has the ticket.
    #[must_use]
    pub fn asks_for_team(&self) -> bool {
        !self.teams.is_empty()
    }

    /// Whether all of it is true of a ticket, which the team with this code has, after what occurred.
    #[must_use]
    pub fn holds(&self, ticket: &Ticket, team: Option<&str>, occurred: &EventTold) -> bool {
        fn among<T: Ord>(set: &BTreeSet<T>, value: &T) -> bool {
            set.is_empty() || set.contains(value)
        }
        let details = &ticket.details;
        let any = |list: &[String], holds: &dyn Fn(&str) -> bool| {
            list.is_empty() || list.iter().any(|entry| holds(entry))
        };
        let tagged = |tag: &str| details.tags.iter().any(|own| own == tag);
        let found = |text: &str| !self.keywords.found_in(text).is_empty();
        let named =
            |set: &BTreeSet<String>, text: &str| set.is_empty() || set.contains(&folded(text));
        let valued = |(field, values): (&String, &BTreeSet<String>)| {
            let own = details.fields.get(field);
            own.is_some_and(|own| {
                values.is_empty() || own.iter().any(|value| values.contains(value))
            })
        };
        among(&self.kinds, &ticket.kind)
            && !(self.unowned && ticket.owner.is_some())
            && among(&self.channels, &ticket.channel)
            && among(&self.severities, &ticket.severity)
            && among(&self.receiver_levels, &ticket.receiver_level)
            && among(&self.priorities, &ticket.priority)
            && among(&self.states, &ticket.state.name())
            && any(&self.categories, &|path| is_at_or_below(&details.category, path))
            && any(&self.org_units, &|path| is_at_or_below(&ticket.org_unit, path))
            && any(&self.grades, &|grade| ticket.customer_grade.as_deref() == Some(grade))
            && any(&self.tags, &tagged)
            && !self.without_tags.iter().any(|tag| tagged(tag))
            && named(&self.products, &details.product)
            && named(&self.shops, &details.shop)
            && self.amount.as_ref().is_none_or(|range| range.holds(ticket.amount.as_ref()))
            && self.fields.iter().all(valued)
            && any(&self.teams, &|code| team == Some(code))
            && any(&self.clocks, &|rule| occurred.clock.as_deref() == Some(rule))
            && any(&self.stages, &|stage| occurred.stages.iter().any(|own| own == stage))
            && (self.keywords.is_empty() || found(&details.subject) || found(&details.description))
    }
}

fn is_at_or_below(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Checks a condition of a trigger that runs after `when`.
pub(super) fn check(
    draft: ConditionDraft,
    when: &BTreeSet<TriggerEvent>,
    path: &str,
    known: &Known<'_>,
    faults: &mut Faults,
) -> TicketCondition {
    const UNKNOWN: Pair = ("must be set to a known value", "须为已知的取值");
    lengths(&draft, path, faults);
    for (index, category) in draft.categories.iter().enumerate() {
        if category.starts_with('/') || category.ends_with('/') {
            let description = ("must not begin or end with '/'", "首尾不得为“/”");
            faults.add(format_args!("{path}.categories[{index}]"), description);
        }
    }
    for (index, tag) in draft.without_tags.iter().enumerate() {
        if draft.tags.contains(tag) {
            let description = (
                "is asked for in `tags`: this is never true",
                "`tags` 中已要求此标签，该条件永不成立",
            );
            faults.add(format_args!("{path}.without_tags[{index}]"), description);
        }
    }
    let keywords = keywords(draft.keywords, path, faults);
    let severities = draft.severities.into_iter().map(Severity::from_number);
    let levels = draft.receiver_levels.into_iter().map(|level| {
        ReceiverLevel::from_number(level)
            .filter(|level| usize::from(level.number()) <= known.levels)
    });
    let amount = (draft.min_amount_cents, draft.below_amount_cents, draft.currency.as_str());
    for (index, team) in draft.teams.iter().enumerate() {
        faults.name(team, format_args!("{path}.teams[{index}]"));
    }
    let all = |is_of: fn(TriggerEvent) -> bool| when.iter().all(|event| is_of(*event));
    of_event(
        (&draft.clocks, "clocks", all(TriggerEvent::is_of_clock)),
        (&|rule| known.clocks.contains(rule), ("is no clock of the policy", "制度中没有此时限")),
        (path, ("is for events of a clock only", "仅用于时限事件")),
        faults,
    );
    of_event(
        (&draft.stages, "stages", all(TriggerEvent::is_of_stage)),
        (
            &|stage| known.stages.contains(stage),
            ("is no stage of the policy's processes", "制度的流程中没有此环节"),
        ),
        (path, ("is for events of a stage only", "仅用于流程环节事件")),
        faults,
    );
    TicketCondition {
        kinds: faults.set(draft.kinds, format_args!("{path}.kinds"), UNKNOWN),
        channels: faults.set(draft.channels, format_args!("{path}.channels"), UNKNOWN),
        severities: faults.set(
            severities,
            format_args!("{path}.severities"),
            ("must be 1, 2 or 3", "须为 1、2 或 3"),
        ),
        receiver_levels: faults.set(
            levels,
            format_args!("{path}.receiver_levels"),
            ("must be a receiver level of the policy", "须为制度中的受理级别"),
        ),
        categories: draft.categories,
        priorities: faults.set(draft.priorities, format_args!("{path}.priorities"), UNKNOWN),
        grades: draft.grades,
        states: faults.set(draft.states, format_args!("{path}.states"), UNKNOWN),
        org_units: draft.org_units,
        tags: draft.tags,
        without_tags: draft.without_tags,
        keywords,
        unowned: draft.unowned,
        products: draft.products.iter().map(|product| folded(product)).collect(),
        shops: draft.shops.iter().map(|shop| folded(shop)).collect(),
        amount: amount_range(amount, path, faults),
        fields: fields(draft.custom_fields, path, known, faults),
        teams: draft.teams,
        clocks: draft.clocks,
        stages: draft.stages,
    }
}

fn lengths(draft: &ConditionDraft, path: &str, faults: &mut Faults) {
    let lists = [
        ("kinds", draft.kinds.len()),
        ("channels", draft.channels.len()),
        ("severities", draft.severities.len()),
        ("receiver_levels", draft.receiver_levels.len()),
        ("categories", draft.categories.len()),
        ("priorities", draft.priorities.len()),
        ("grades", draft.grades.len()),
        ("states", draft.states.len()),
        ("org_units", draft.org_units.len()),
        ("tags", draft.tags.len()),
        ("without_tags", draft.without_tags.len()),
        ("keywords", draft.keywords.len()),
        ("products", draft.products.len()),
        ("shops", draft.shops.len()),
        ("teams", draft.teams.len()),
        ("clocks", draft.clocks.len()),
        ("stages", draft.stages.len()),
    ];
    for (field, length) in lists {
        faults.at_most(length, MAX_ENTRIES, &format!("{path}.{field}"));
    }
}

/// Found as forbidden phrases are; what to say instead has no meaning here.
fn keywords(drafts: Vec<String>, path: &str, faults: &mut Faults) -> ForbiddenPhrases {
    let keywords = drafts.into_iter().map(|phrase| {
        let suggestion = Text::new(phrase.clone(), String::new());
        ForbiddenPhraseDraft { phrase, suggestion }
    });
    ForbiddenPhrases::check(keywords.collect()).unwrap_or_else(|found| {
        for fault in found {
            // The path is `[3].phrase`, the entry `[3]`.
            let entry = fault.path.trim_end_matches(".phrase");
            let of_keywords = |text: &str| text.replace("forbidden_phrases[", "keywords[");
            let words = (of_keywords(&fault.description), of_keywords(&fault.chinese));
            faults.add(format_args!("{path}.keywords{entry}"), words);
        }
        ForbiddenPhrases::default()
    })
}

/// A list that asks for what only some events have: each entry is known, and all events have it.
fn of_event(
    (list, field, fits): (&[String], &str, bool),
    (is_known, unknown): (&dyn Fn(&str) -> bool, Pair),
    (path, misplaced): (&str, Pair),
    faults: &mut Faults,
) {
    if !list.is_empty() && !fits {
        faults.add(format_args!("{path}.{field}"), misplaced);
    }
    for (index, entry) in list.iter().enumerate() {
        if !is_known(entry) {
            faults.add(format_args!("{path}.{field}[{index}]"), unknown);
        }
    }
}

fn fields(
    drafts: Vec<(String, Vec<String>)>,
    path: &str,
    known: &Known<'_>,
    faults: &mut Faults,
) -> BTreeMap<String, BTreeSet<String>> {
    faults.at_most(drafts.len(), MAX_FIELDS, &format!("{path}.custom_fields"));
    let mut fields = BTreeMap::new();
    for (index, (code, values)) in drafts.into_iter().enumerate() {
        let path = format!("{path}.custom_fields[{index}]");
        faults.at_most(values.len(), MAX_ENTRIES, &format!("{path}.values"));
        let mut asked = BTreeSet::new();
        if known.fields.knows(&code) {
            for (index, value) in values.iter().enumerate() {
                match known.fields.written(&code, value) {
                    Ok(value) => _ = asked.insert(value),
                    Err(wrong) => faults.add(format_args!("{path}.values[{index}]"), wrong),
                }
            }
        } else {
            let description = ("is no code of `custom_fields`", "`custom_fields` 中没有此代码");
            faults.add(format_args!("{path}.field"), description);
        }
        faults.unique(&mut fields, code, asked, format_args!("{path}.field"));
    }
    fields
}
