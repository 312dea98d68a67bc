//! What the audit trail says of a change: the fields that changed, before and after. Numbers and addresses of contacts
//! are masked there: the trail is append-only and outlives an erasure (C-24, C-26), so it tells that and which one, not what.

use serde::Serialize;
use serde_json::{Map, Value};

use super::Error;
use crate::domain::contact::{masked_email, masked_messenger, masked_phone};

/// All fields of something new.
pub(crate) fn all(details: &impl Serialize) -> Result<Value, Error> {
    serde_json::to_value(details).map_err(|error| Error::Defect(format!("audit: {error}")))
}

/// The fields that differ, before and after.
pub(crate) fn changed<T: Serialize>(
    before: &T,
    after: &T,
) -> Result<(Option<Value>, Option<Value>), Error> {
    let (Value::Object(mut before), Value::Object(mut after)) = (all(before)?, all(after)?) else {
        return Err(Error::Defect("audit: details are no object".to_owned()));
    };
    let same: Vec<String> = before
        .iter()
        .filter(|(field, value)| after.get(*field) == Some(*value))
        .map(|(field, _)| field.clone())
        .collect();
    for field in same {
        before.remove(&field);
        after.remove(&field);
    }
    Ok((Some(Value::Object(before)), Some(Value::Object(after))))
}

/// The same value with everything masked by which a contact can be reached or was born. Fields are compared before they are
/// masked, so that a change shows even where both sides look alike.
pub(crate) fn masked(value: Value) -> Value {
    let Value::Object(mut fields) = value else { return value };
    mask(&mut fields, "phones", masked_phone);
    mask(&mut fields, "emails", masked_email);
    mask(&mut fields, "messengers", masked_messenger);
    mask(&mut fields, "birthday", |_| "****-**-**".to_owned());
    Value::Object(fields)
}

fn mask(fields: &mut Map<String, Value>, field: &str, how: impl Fn(&str) -> String) {
    match fields.get_mut(field) {
        Some(Value::String(text)) => *text = how(text),
        Some(Value::Array(items)) => {
            for item in items {
                if let Value::String(text) = item {
                    *text = how(text);
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn x04_only_changed_fields_are_kept_and_reachable_ones_are_masked() {
        let before = json!({"display_name": "李伟", "phones": ["13800138042"], "title": "经理"});
        let after = json!({"display_name": "李伟", "phones": ["13900139042"], "title": "总监"});
        let (before, after) = changed(&before, &after).unwrap();
        let expected = json!({"phones": ["*********42"], "title": "经理"});
        assert_eq!(before.map(masked).unwrap(), expected);
        let expected = json!({"phones": ["*********42"], "title": "总监"});
        assert_eq!(after.map(masked).unwrap(), expected);
    }
}
