//! The Cedar schema that permissions are validated against.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::action::{Action, Group};

/// The contexts that permissions may speak of where the methods are not known.
const CONTEXTS: [&str; 6] = ["customer", "ticket", "survey", "gateway", "feed", "clock"];

/// The schema, in Cedar's JSON form, for the given methods.
///
/// Methods and groups are declared and nothing else, so that a misspelt one in the permissions is a fault.
pub(super) fn schema(actions: &BTreeSet<String>) -> Value {
    let actions: Vec<Action<'_>> = actions.iter().filter_map(|name| Action::parse(name)).collect();
    let mut declared = Map::new();
    for group in Group::ALL {
        declared.insert(group.as_str().to_owned(), json!({}));
    }
    for action in &actions {
        declared.insert(action.context().to_owned(), json!({}));
        for group in Group::ALL {
            declared.insert(format!("{}.{}", action.context(), group.as_str()), json!({}));
        }
    }
    for action in &actions {
        let parents: Vec<Value> =
            action.parents().into_iter().map(|id| json!({ "id": id })).collect();
        let applies = json!({
            "principalTypes": ["Staff", "Anonymous"],
            "resourceTypes": ["OrgUnit"],
            "context": { "type": "Record", "attributes": {} },
        });
        declared.insert(
            action.as_str().to_owned(),
            json!({ "memberOf": parents, "appliesTo": applies }),
        );
    }
    json!({
        "Kefu": {
            "entityTypes": {
                "Role": {},
                "OrgUnit": { "memberOfTypes": ["OrgUnit"] },
                "Anonymous": {},
                "Staff": {
                    "memberOfTypes": ["Role"],
                    "shape": {
                        "type": "Record",
                        "attributes": { "org_unit": { "type": "Entity", "name": "OrgUnit" } },
                    },
                },
            },
            "actions": declared,
        }
    })
}

/// One method for every group of every context, beside those which the permissions name: what permissions are
/// validated with where the methods are not known.
pub(super) fn presumed_actions<'a>(named: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
    let mut actions: BTreeSet<String> =
        named.filter(|name| Action::parse(name).is_some()).map(str::to_owned).collect();
    for context in CONTEXTS {
        // A verb for each group, with a noun that is none of the rules.
        for verb in ["Get", "Create", "Update", "Cancel", "Apply"] {
            actions.insert(format!("{context}.{verb}Anything"));
        }
    }
    actions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_group_has_a_presumed_method() {
        let actions = presumed_actions(["survey.SubmitAnswer"].into_iter());
        assert!(actions.contains("survey.SubmitAnswer"));
        for context in CONTEXTS {
            for group in Group::ALL {
                assert!(actions.iter().filter_map(|name| Action::parse(name)).any(|action| {
                    action.context() == context && action.group() == Some(group)
                }));
            }
        }
    }
}
