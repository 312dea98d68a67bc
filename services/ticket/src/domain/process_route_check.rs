//! Whether exactly one route fits, whatever is agreed: found out by trying, not by guessing (T-22).
//!
//! Conditions compare with a finite number of values. Between two neighbours of them nothing changes, so it is enough to try
//! each of them and one value between each two: what holds for these holds for all.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    policy_check::Faults,
    process_draft::{RouteConditionDraft, RouteDraft},
    process_template::{Agreed, Attribute, AttributeKind, Condition, Is, Number, Route, Value},
    word::Text,
};

const MAX_ROUTES: usize = 20;
const MAX_CASES: usize = 10;
const MAX_CONDITIONS: usize = 20;
/// More combinations than that nobody can oversee, and trying them takes too long.
const MAX_CELLS: usize = 20_000;

/// The routes; faults below `path`.
pub(super) fn routes(
    drafts: Vec<RouteDraft>,
    attributes: &[Attribute],
    path: &str,
    faults: &mut Faults,
) -> Vec<Route> {
    let list = format!("{path}.routes");
    faults.at_most(drafts.len(), MAX_ROUTES, &list);
    let before = faults.len();
    let mut codes = BTreeMap::new();
    let mut routes = Vec::new();
    for (index, draft) in drafts.into_iter().enumerate() {
        let path = format!("{list}[{index}]");
        faults.name(&draft.code, format_args!("{path}.code"));
        if draft.title == Text::default() {
            faults.add(
                format_args!("{path}.title"),
                ("must have a text in English or Chinese", "须有英文或中文内容"),
            );
        }
        faults.unique(&mut codes, draft.code.clone(), (), format_args!("{path}.code"));
        if draft.cases.is_empty() {
            faults.add(
                format_args!("{path}.cases"),
                ("must have at least one case", "至少须有一种情形"),
            );
        }
        faults.at_most(draft.cases.len(), MAX_CASES, &format!("{path}.cases"));
        let cases = draft.cases.into_iter().enumerate();
        let cases = cases.map(|(index, case)| {
            conditions(case, attributes, &format!("{path}.cases[{index}]"), faults)
        });
        let cases = cases.collect();
        routes.push(Route { code: draft.code, title: draft.title, cases });
    }
    if faults.len() == before {
        try_all(&routes, attributes, &list, faults);
    }
    routes
}

fn conditions(
    drafts: Vec<RouteConditionDraft>,
    attributes: &[Attribute],
    path: &str,
    faults: &mut Faults,
) -> Vec<Condition> {
    faults.at_most(drafts.len(), MAX_CONDITIONS, &format!("{path}.conditions"));
    let mut names = BTreeMap::new();
    let mut conditions = Vec::new();
    for (index, draft) in drafts.into_iter().enumerate() {
        let path = format!("{path}.conditions[{index}]");
        let known = attributes.iter().find(|attribute| attribute.code == draft.attribute);
        let Some(known) = known else {
            faults.add(
                format_args!("{path}.attribute"),
                ("is not in the list `attributes`", "不在 `attributes` 清单中"),
            );
            continue;
        };
        faults.unique(&mut names, known.code.clone(), (), format_args!("{path}.attribute"));
        if let Some(is) = condition(&draft, &known.kind, &path, faults) {
            conditions.push(Condition { attribute: draft.attribute, is });
        }
    }
    conditions
}

fn condition(
    draft: &RouteConditionDraft,
    kind: &AttributeKind,
    path: &str,
    faults: &mut Faults,
) -> Option<Is> {
    let numbers = [draft.above, draft.at_least, draft.below, draft.at_most];
    let given =
        [numbers.iter().any(Option::is_some), draft.flag.is_some(), !draft.choices.is_empty()];
    let wanted = match kind {
        AttributeKind::Number(..) => [true, false, false],
        AttributeKind::Flag => [false, true, false],
        AttributeKind::Choice(_) => [false, false, true],
    };
    if given != wanted {
        faults.add(
            path,
            (
                "must ask what the kind of the attribute can be asked, and nothing else",
                "须为该属性类型可用的条件，且不得有其他条件",
            ),
        );
        return None;
    }
    match kind {
        AttributeKind::Number(..) => between(draft, path, faults),
        AttributeKind::Flag => draft.flag.map(Is::Flag),
        AttributeKind::Choice(choices) => {
            let known = draft.choices.iter().map(|choice| choices.get_key_value(choice));
            let known = known.map(|known| known.map(|(code, _)| code));
            let path = format!("{path}.choices");
            let found =
                faults.set(known, path, ("is none of the attribute's choices", "不是该属性的选项"));
            Some(Is::OneOf(found.into_iter().cloned().collect()))
        }
    }
}

fn between(draft: &RouteConditionDraft, path: &str, faults: &mut Faults) -> Option<Is> {
    let mut end = |open: Option<f64>, closed: Option<f64>, fields: [&str; 2]| {
        if open.is_some() && closed.is_some() {
            let [field, other] = fields;
            let words = (format!("excludes `{other}`"), format!("不得与 `{other}` 同时填写"));
            faults.add(format_args!("{path}.{field}"), words);
        }
        let (number, field, at) = match (open, closed) {
            (Some(open), _) => (open, fields[0], false),
            (None, Some(closed)) => (closed, fields[1], true),
            (None, None) => return None,
        };
        let number = Number::new(number);
        if number.is_none() {
            faults.add(format_args!("{path}.{field}"), ("must be a finite number", "须为有限的数"));
        }
        number.map(|number| (number, at))
    };
    let from = end(draft.above, draft.at_least, ["above", "at_least"]);
    let to = end(draft.below, draft.at_most, ["below", "at_most"]);
    if let (Some((from, from_in)), Some((to, to_in))) = (from, to)
        && (from > to || (from == to && !(from_in && to_in)))
    {
        faults.add(path, ("no number lies between these", "二者之间没有任何数值"));
    }
    Some(Is::Between(from, to))
}

fn try_all(routes: &[Route], attributes: &[Attribute], list: &str, faults: &mut Faults) {
    if routes.is_empty() {
        return;
    }
    let Some(tried) = combinations(routes, attributes) else {
        let english = format!("must tell apart at most {MAX_CELLS} combinations of values");
        faults.add(list, (english, format!("最多区分 {MAX_CELLS} 种取值组合")));
        return;
    };
    let mut gap = None;
    let mut overlaps = BTreeMap::new();
    let mut reached = BTreeSet::new();
    for agreed in &tried {
        let fitting = routes.iter().enumerate().filter(|(_, route)| route.fits(agreed));
        let fitting: Vec<usize> = fitting.map(|(index, _)| index).collect();
        for index in &fitting {
            for (case, conditions) in
                routes.get(*index).iter().flat_map(|route| route.cases.iter().enumerate())
            {
                let alone = Route {
                    code: String::new(),
                    title: Text::default(),
                    cases: vec![conditions.clone()],
                };
                if alone.fits(agreed) {
                    reached.insert((*index, case));
                }
            }
        }
        match &*fitting {
            [] => gap = gap.or(Some(agreed)),
            [first, second, ..] => _ = overlaps.entry((*first, *second)).or_insert(agreed),
            [_] => {}
        }
    }
    if let Some(agreed) = gap {
        let agreed = words(agreed);
        let english = format!("leave a gap: none fits for {agreed}");
        faults.add(list, (english, format!("有遗漏：{agreed} 不符合任何路线")));
    }
    for ((first, second), agreed) in overlaps {
        let agreed = words(agreed);
        let english = format!("overlaps {list}[{first}]: both fit for {agreed}");
        let chinese = format!("与 {list}[{first}] 重叠：{agreed} 同时符合二者");
        faults.add(format_args!("{list}[{second}]"), (english, chinese));
    }
    for (index, route) in routes.iter().enumerate() {
        for case in (0..route.cases.len()).filter(|case| !reached.contains(&(index, *case))) {
            let path = format_args!("{list}[{index}].cases[{case}]");
            faults.add(
                path,
                (
                    "cannot be reached: no value that the attributes may have fits",
                    "无法到达：属性的任何取值都不符合",
                ),
            );
        }
    }
}

/// One of each kind of values that the routes tell apart; none if there are too many.
fn combinations(routes: &[Route], attributes: &[Attribute]) -> Option<Vec<Agreed>> {
    let mut all = vec![Agreed::new()];
    for attribute in attributes {
        let conditions = routes.iter().flat_map(|route| route.cases.iter().flatten());
        let asked: Vec<&Is> = conditions
            .filter(|condition| condition.attribute == attribute.code)
            .map(|condition| &condition.is)
            .collect();
        if asked.is_empty() {
            continue;
        }
        let values = samples(&attribute.kind, &asked);
        if all.len().saturating_mul(values.len()) > MAX_CELLS {
            return None;
        }
        all = all
            .iter()
            .flat_map(|agreed| {
                values.iter().map(|value| {
                    let mut agreed = agreed.clone();
                    agreed.insert(attribute.code.clone(), value.clone());
                    agreed
                })
            })
            .collect();
    }
    Some(all)
}

fn samples(kind: &AttributeKind, asked: &[&Is]) -> Vec<Value> {
    match kind {
        AttributeKind::Flag => vec![Value::Flag(false), Value::Flag(true)],
        AttributeKind::Choice(choices) => choices.keys().cloned().map(Value::Choice).collect(),
        AttributeKind::Number(least, most) => {
            let ends = asked.iter().flat_map(|is| match is {
                Is::Between(from, to) => [*from, *to],
                _ => [None, None],
            });
            let inside = ends.flatten().map(|(end, _)| end);
            let inside = inside.filter(|end| (least..=most).contains(&end));
            let points: BTreeSet<Number> = inside.chain([*least, *most]).collect();
            let next = points.iter().skip(1);
            let middles = points.iter().zip(next).filter_map(|(from, to)| {
                let middle = Number::new(from.get() + (to.get() - from.get()) / 2.0)?;
                (*from < middle && middle < *to).then_some(middle)
            });
            middles
                .chain(points.iter().copied())
                .collect::<BTreeSet<_>>()
                .into_iter()
                .map(Value::Number)
                .collect()
        }
    }
}

fn words(agreed: &Agreed) -> String {
    let value = |value: &Value| match value {
        Value::Number(number) => number.get().to_string(),
        Value::Flag(flag) => flag.to_string(),
        Value::Choice(choice) => choice.clone(),
    };
    let each: Vec<_> = agreed.iter().map(|(code, is)| format!("{code} = {}", value(is))).collect();
    if each.is_empty() { "anything".to_owned() } else { each.join(", ") }
}
