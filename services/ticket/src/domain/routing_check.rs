//! From the drafts of categories, criteria and rules to what decides (T-03): every fault at once, with its path.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    category::CategoryTree,
    keyword::{Collector, folded},
    policy_check::{Faults, NO_SEVERITY, Pair, UNKNOWN},
    routing::{AmountRange, Conditions, Criterion, Rerouting, Routing, Rule},
    routing_draft::{
        ComplainantTypeDraft, ConditionsDraft, CriterionDraft, RoutingDraft, RuleDraft,
    },
    word::{Priority, ReceiverLevel, Severity, Text},
};

/// The most types of complainants.
const MAX_TYPES: usize = 50;
/// The most criteria.
const MAX_CRITERIA: usize = 100;
/// The most rules.
pub(crate) const MAX_RULES: usize = 200;
/// The most values of one condition.
pub(crate) const MAX_VALUES: usize = 50;
/// The longest subject of a person, in bytes, so that it has room in an event.
pub(crate) const MAX_STAFF: usize = 120;
const MAX_REPEAT_DAYS: i32 = 3_660;
const NO_LEVEL: Pair = ("is not a level of `levels`", "不在 `levels` 所列级别中");
const NO_TEXT: Pair = ("must have a text in English or Chinese", "须有英文或中文内容");

/// What the conditions may name.
struct Known<'a> {
    categories: &'a CategoryTree,
    types: &'a BTreeMap<String, Text>,
    grades: &'a BTreeMap<String, Priority>,
    /// So many receiver levels there are.
    levels: usize,
}

pub(super) fn check(
    draft: RoutingDraft,
    grades: &BTreeMap<String, Priority>,
    (starts, levels): (BTreeMap<Severity, ReceiverLevel>, usize),
    faults: &mut Faults,
) -> Routing {
    let categories = CategoryTree::check(draft.categories, faults);
    let complainant_types = types(draft.complainant_types, faults);
    let rerouting = draft.rerouting;
    if rerouting != Rerouting::default() && draft.rules.is_empty() {
        faults.add("rerouting", ("needs `routing_rules`", "须先有 `routing_rules`"));
    }
    let known = Known { categories: &categories, types: &complainant_types, grades, levels };
    let mut words = Collector::default();
    let criteria = criteria(draft.criteria, &known, &mut words, faults);
    let texts: Vec<Vec<String>> =
        draft.rules.iter().map(|rule| rule.conditions.keywords.clone()).collect();
    let rules = rules(draft.rules, &known, &mut words, faults);
    let keywords = words.finish(faults);
    // Which words are in a word, by its id.
    let mut within: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for text in texts.iter().flatten() {
        let found = keywords.found_in(&[text]);
        let own = folded(text);
        for id in &found {
            within.entry(*id).or_default();
        }
        if let Some(id) = keywords.id(&own) {
            within.insert(id, found);
        }
    }
    let within = |word: usize| within.get(&word).cloned().unwrap_or_else(|| [word].into());
    for (index, (rule, sound)) in rules.iter().enumerate() {
        // What a faulty condition was meant to leave to others, nobody knows.
        let covers = |(first, of_it): &&(Rule, bool)| {
            *sound && *of_it && first.conditions.cover(&rule.conditions, within)
        };
        if let Some((earlier, _)) = rules[..index].iter().find(covers) {
            let name = &earlier.name;
            let words = (
                format!("is never reached: the rule {name:?} before it leaves nothing to it"),
                format!("永不会用到：其前的规则“{name}”已涵盖全部情形"),
            );
            faults.add(format_args!("routing_rules[{index}]"), words);
        }
    }
    let rules = rules.into_iter().map(|(rule, _)| rule).collect();
    Routing { categories, complainant_types, criteria, rules, keywords, rerouting, starts }
}

fn types(drafts: Vec<ComplainantTypeDraft>, faults: &mut Faults) -> BTreeMap<String, Text> {
    faults.at_most(drafts.len(), MAX_TYPES, "complainant_types");
    let mut types = BTreeMap::new();
    for (index, draft) in drafts.into_iter().enumerate() {
        let path = format!("complainant_types[{index}]");
        faults.name(&draft.code, format_args!("{path}.code"));
        if draft.title == Text::default() {
            faults.add(format_args!("{path}.title"), NO_TEXT);
        }
        faults.unique(&mut types, draft.code, draft.title, format_args!("{path}.code"));
    }
    types
}

fn criteria(
    drafts: Vec<CriterionDraft>,
    known: &Known<'_>,
    words: &mut Collector,
    faults: &mut Faults,
) -> Vec<Criterion> {
    faults.at_most(drafts.len(), MAX_CRITERIA, "severity_criteria");
    let mut criteria = Vec::new();
    for (index, draft) in drafts.into_iter().enumerate() {
        let path = format!("severity_criteria[{index}]");
        let severity = Severity::from_number(draft.severity);
        if severity.is_none() {
            faults.add(format_args!("{path}.severity"), NO_SEVERITY);
        }
        if draft.text == Text::default() {
            faults.add(format_args!("{path}.text"), NO_TEXT);
        }
        if !(0..=MAX_REPEAT_DAYS).contains(&draft.repeat_within_days) {
            let english = format!("must be 0 (no matter) to {MAX_REPEAT_DAYS}");
            let words = (english, format!("须为 0（不计）至 {MAX_REPEAT_DAYS}"));
            faults.add(format_args!("{path}.repeat_within_days"), words);
        }
        let conditions = conditions(draft.conditions, known, words, &path, faults);
        criteria.push(Criterion {
            severity: severity.unwrap_or(Severity::Ordinary),
            conditions,
            repeat_within_days: (draft.repeat_within_days > 0)
                .then_some(draft.repeat_within_days.into()),
        });
    }
    criteria
}

/// The rules, and whether the conditions of each are what was written down.
fn rules(
    drafts: Vec<RuleDraft>,
    known: &Known<'_>,
    words: &mut Collector,
    faults: &mut Faults,
) -> Vec<(Rule, bool)> {
    faults.at_most(drafts.len(), MAX_RULES, "routing_rules");
    let mut names = BTreeMap::new();
    let mut rules = Vec::new();
    for (index, draft) in drafts.into_iter().enumerate() {
        let path = format!("routing_rules[{index}]");
        faults.name(&draft.name, format_args!("{path}.name"));
        faults.unique(&mut names, draft.name.clone(), (), format_args!("{path}.name"));
        let team = Some(draft.team).filter(|team| !team.is_empty());
        if let Some(team) = &team {
            faults.name(team, format_args!("{path}.team"));
        } else {
            if !draft.owner.is_empty() {
                faults.add(format_args!("{path}.owner"), ("needs a team", "须指定团队"));
            }
            if draft.distribution.is_some() {
                faults.add(format_args!("{path}.distribution"), ("needs a team", "须指定团队"));
            }
            if draft.priority.is_none() {
                faults.add(
                    format_args!("{path}.team"),
                    ("must be set where the rule sets no priority", "规则未设定优先级时必填"),
                );
            }
        }
        if draft.owner.len() > MAX_STAFF {
            faults.add(
                format_args!("{path}.owner"),
                (
                    format!("must have at most {MAX_STAFF} bytes"),
                    format!("最多 {MAX_STAFF} 个字节"),
                ),
            );
        }
        let before = faults.len();
        let conditions = conditions(draft.conditions, known, words, &path, faults);
        let sound = faults.len() == before;
        let rule = Rule {
            name: draft.name.into(),
            conditions,
            team: team.map(Into::into),
            priority: draft.priority,
            owner: Some(draft.owner).filter(|owner| !owner.is_empty()).map(Into::into),
            distribution: draft.distribution,
        };
        rules.push((rule, sound));
    }
    rules
}

fn conditions(
    draft: ConditionsDraft,
    known: &Known<'_>,
    words: &mut Collector,
    path: &str,
    faults: &mut Faults,
) -> Conditions {
    let mut names = |field: &str, values: Vec<String>, unknown: &dyn Fn(&str) -> Option<Pair>| {
        faults.at_most(values.len(), MAX_VALUES, &format!("{path}.{field}"));
        let mut set = BTreeSet::new();
        for (index, value) in values.into_iter().enumerate() {
            let place = format!("{path}.{field}[{index}]");
            if let Some(description) = unknown(&value) {
                faults.add(&place, description);
            } else if !set.insert(value) {
                faults.add(&place, ("is given twice", "重复"));
            }
        }
        set
    };
    let categories = names("categories", draft.categories, &|path| {
        (!known.categories.contains(path)).then_some(("is no category of the tree", "不在类别树中"))
    });
    let products = draft.products.iter().map(|product| folded(product)).collect();
    let products = names("products", products, &|product| {
        product
            .is_empty()
            .then_some(("must have at least one letter or digit", "至少须有一个字母、汉字或数字"))
    });
    let org_units = names("org_units", draft.org_units, &|unit| {
        let unknown = unit.parse::<kefu_identity::OrgUnit>().is_err();
        unknown.then_some((
            "must be the path of an org unit such as `group/north`",
            "须为组织单元的路径，例如 `group/north`",
        ))
    });
    let grades = names("customer_grades", draft.grades, &|grade| {
        (!known.grades.contains_key(grade))
            .then_some(("is not in `grade_priorities`", "不在 `grade_priorities` 中"))
    });
    let complainant_types = names("complainant_types", draft.complainant_types, &|code| {
        (!known.types.contains_key(code))
            .then_some(("is not in `complainant_types`", "不在 `complainant_types` 中"))
    });
    faults.at_most(draft.keywords.len(), MAX_VALUES, &format!("{path}.keywords"));
    let mut keywords = BTreeSet::new();
    for (index, word) in draft.keywords.iter().enumerate() {
        let place = format!("{path}.keywords[{index}]");
        if !keywords.insert(words.add(word, &place, faults)) {
            faults.add(&place, ("is given twice", "重复"));
        }
    }
    let amount = (draft.min_amount_cents, draft.below_amount_cents, draft.currency.as_str());
    let amount = amount_range(amount, path, faults);
    let severities = draft.severities.into_iter().map(Severity::from_number);
    let levels = draft.receiver_levels.into_iter().map(|number| {
        let there = usize::try_from(number).is_ok_and(|number| number <= known.levels);
        ReceiverLevel::from_number(number).filter(|_| there)
    });
    Conditions {
        categories,
        products,
        org_units,
        grades,
        amount,
        keywords,
        kinds: faults.set(draft.kinds, format_args!("{path}.kinds"), UNKNOWN),
        channels: faults.set(draft.channels, format_args!("{path}.channels"), UNKNOWN),
        severities: faults.set(severities, format_args!("{path}.severities"), NO_SEVERITY),
        complainant_types,
        levels: faults.set(levels, format_args!("{path}.receiver_levels"), NO_LEVEL),
    }
}

pub(super) fn amount_range(
    (min, below, currency): (i64, i64, &str),
    path: &str,
    faults: &mut Faults,
) -> Option<AmountRange> {
    let bounded = min != 0 || below != 0;
    if min < 0 {
        faults.add(format_args!("{path}.min_amount_cents"), ("must not be negative", "不得为负数"));
    }
    if below < 0 || (below != 0 && below <= min) {
        let description = (
            "must be 0 (no bound) or more than `min_amount_cents`",
            "须为 0（不限）或大于 `min_amount_cents`",
        );
        faults.add(format_args!("{path}.below_amount_cents"), description);
    }
    if bounded && !is_currency(currency) {
        let description = (
            "must be three capital letters as in ISO 4217, with a bound on the amount",
            "限定金额时须为 ISO 4217 的三个大写字母",
        );
        faults.add(format_args!("{path}.currency"), description);
    }
    if !bounded && !currency.is_empty() {
        faults.add(
            format_args!("{path}.currency"),
            ("must be empty without a bound on the amount", "未限定金额时不得填写"),
        );
    }
    bounded.then(|| AmountRange {
        currency: currency.to_owned(),
        min,
        below: (below > 0).then_some(below),
    })
}

/// Whether a text is a code as in ISO 4217.
pub(crate) fn is_currency(code: &str) -> bool {
    code.len() == 3 && code.bytes().all(|b| b.is_ascii_uppercase())
}
