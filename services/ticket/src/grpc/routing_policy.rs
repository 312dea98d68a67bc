//! Categories, criteria and routing rules of a policy from their messages (T-01, T-03).

use kefu_api::ticket::v1 as pb;
use kefu_rpc::{TextRule, Violations};

use super::policy::{each, priority, text};
use super::values;
use crate::domain::{
    CategoryDraft, ComplainantTypeDraft, ConditionsDraft, CriterionDraft, Distribution,
    MAX_CATEGORIES, MAX_RULES, MAX_VALUES, Rerouting, RoutingDraft, RuleDraft,
};

/// The longest value of a condition: a product, a word.
const VALUE: TextRule = TextRule::line(200).required();

/// Beyond these limits nothing is looked at, however much there is.
pub(super) fn within_limits(message: &pb::TicketPolicy, violations: &mut Violations) -> bool {
    let lists = [
        ("categories", message.categories.len(), MAX_CATEGORIES),
        ("complainant_types", message.complainant_types.len(), MAX_RULES),
        ("severity_criteria", message.severity_criteria.len(), MAX_RULES),
        ("routing_rules", message.routing_rules.len(), MAX_RULES),
    ];
    lists.iter().all(|(field, length, most)| violations.at_most(field, *length, *most))
        && message.severity_criteria.iter().enumerate().all(|(index, criterion)| {
            let lists = [
                ("categories", criterion.categories.len()),
                ("keywords", criterion.keywords.len()),
                ("kinds", criterion.kinds.len()),
            ];
            few(violations, &format!("severity_criteria[{index}]"), &lists)
        })
        && message.routing_rules.iter().enumerate().all(|(index, rule)| {
            let lists = [
                ("categories", rule.categories.len()),
                ("products", rule.products.len()),
                ("org_units", rule.org_units.len()),
                ("customer_grades", rule.customer_grades.len()),
                ("keywords", rule.keywords.len()),
                ("kinds", rule.kinds.len()),
                ("channels", rule.channels.len()),
                ("severities", rule.severities.len()),
                ("complainant_types", rule.complainant_types.len()),
                ("receiver_levels", rule.receiver_levels.len()),
            ];
            few(violations, &format!("routing_rules[{index}]"), &lists)
        })
}

fn few(violations: &mut Violations, path: &str, lists: &[(&str, usize)]) -> bool {
    lists
        .iter()
        .all(|(field, length)| violations.at_most(&format!("{path}.{field}"), *length, MAX_VALUES))
}

pub(super) fn draft(message: &pb::TicketPolicy, found: &mut Violations) -> RoutingDraft {
    RoutingDraft {
        categories: each(found, "categories", &message.categories, |found, category| {
            CategoryDraft {
                code: category.code.clone(),
                parent: category.parent.clone(),
                title: text(found, "title", category.title.as_ref()),
            }
        }),
        complainant_types: each(
            found,
            "complainant_types",
            &message.complainant_types,
            |found, kind| ComplainantTypeDraft {
                code: kind.code.clone(),
                title: text(found, "title", kind.title.as_ref()),
            },
        ),
        criteria: each(found, "severity_criteria", &message.severity_criteria, criterion),
        rules: each(found, "routing_rules", &message.routing_rules, rule),
        rerouting: message.rerouting.map(rerouting).unwrap_or_default(),
    }
}

fn rerouting(rule: pb::ReroutingRule) -> Rerouting {
    let pb::ReroutingRule { on_category_change, on_severity_change } = rule;
    Rerouting { on_category_change, on_severity_change }
}

fn criterion(found: &mut Violations, criterion: &pb::SeverityCriterion) -> CriterionDraft {
    CriterionDraft {
        severity: criterion.severity,
        text: text(found, "text", criterion.text.as_ref()),
        conditions: ConditionsDraft {
            categories: criterion.categories.clone(),
            keywords: lines(found, "keywords", &criterion.keywords),
            kinds: kinds(found, &criterion.kinds),
            ..ConditionsDraft::default()
        },
        repeat_within_days: criterion.repeat_within_days,
    }
}

fn rule(found: &mut Violations, rule: &pb::RoutingRule) -> RuleDraft {
    let channels = rule.channels.iter().enumerate().map(|(index, channel)| {
        found.enumeration(&format!("channels[{index}]"), *channel).and_then(values::ticket_channel)
    });
    let channels = channels.collect();
    let conditions = ConditionsDraft {
        categories: rule.categories.clone(),
        products: lines(found, "products", &rule.products),
        org_units: rule.org_units.clone(),
        grades: rule.customer_grades.clone(),
        min_amount_cents: rule.min_amount_cents,
        below_amount_cents: rule.below_amount_cents,
        currency: rule.currency.clone(),
        keywords: lines(found, "keywords", &rule.keywords),
        kinds: kinds(found, &rule.kinds),
        channels,
        severities: rule.severities.clone(),
        complainant_types: rule.complainant_types.clone(),
        receiver_levels: rule.receiver_levels.clone(),
    };
    let wanted: Option<Option<pb::TicketPriority>> =
        found.optional_enumeration("priority", rule.priority);
    let by: Option<Option<pb::Distribution>> =
        found.optional_enumeration("distribution", rule.distribution);
    RuleDraft {
        name: rule.name.clone(),
        conditions,
        team: rule.team.clone(),
        priority: wanted.flatten().and_then(priority),
        owner: found.text("owner", &rule.owner, TextRule::line(200)),
        distribution: by.flatten().and_then(distribution),
    }
}

fn lines(found: &mut Violations, field: &str, values: &[String]) -> Vec<String> {
    let values = values.iter().enumerate();
    values.map(|(index, value)| found.text(&format!("{field}[{index}]"), value, VALUE)).collect()
}

fn kinds(found: &mut Violations, kinds: &[i32]) -> Vec<Option<crate::domain::TicketKind>> {
    let kinds = kinds.iter().enumerate();
    kinds
        .map(|(index, kind)| {
            found.enumeration(&format!("kinds[{index}]"), *kind).and_then(values::ticket_kind)
        })
        .collect()
}

pub(super) fn distribution(by: pb::Distribution) -> Option<Distribution> {
    match by {
        pb::Distribution::Unspecified => None,
        pb::Distribution::LeastLoad => Some(Distribution::LeastLoad),
        pb::Distribution::RoundRobin => Some(Distribution::RoundRobin),
    }
}
