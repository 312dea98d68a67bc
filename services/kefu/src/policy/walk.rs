//! Holding a value beside the description of a message: what is unknown, what does not fit, and where.

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value};

use super::Fault;

/// Notes every key that `message` does not know and every value that does not fit its field.
pub(super) fn check(
    message: &MessageDescriptor,
    value: &Value,
    path: &str,
    faults: &mut Vec<Fault>,
) {
    let Value::Object(entries) = value else {
        faults.push(fault(path, "must be a group of keys and values"));
        return;
    };
    for (key, value) in entries {
        let path = format!("{path}.{key}");
        let known = message.get_field_by_json_name(key).or_else(|| message.get_field_by_name(key));
        let Some(field) = known else {
            faults.push(fault(&path, unknown(message)));
            continue;
        };
        if let (true, Value::Array(items)) = (field.is_list(), value) {
            for (index, item) in items.iter().enumerate() {
                check_one(message, &field, item, &format!("{path}[{index}]"), faults);
            }
        } else if field.is_list() {
            faults.push(fault(&path, "must be a list"));
        } else {
            check_one(message, &field, value, &path, faults);
        }
    }
}

/// One value of a field, or one item of its list.
fn check_one(
    message: &MessageDescriptor,
    field: &FieldDescriptor,
    value: &Value,
    path: &str,
    faults: &mut Vec<Fault>,
) {
    match field.kind() {
        // The well-known ones are written as a text, such as `86400s`.
        Kind::Message(inner) if inner.package_name() != "google.protobuf" => {
            check(&inner, value, path, faults);
        }
        _ => {
            let value =
                if field.is_list() { Value::Array(vec![value.clone()]) } else { value.clone() };
            let alone = Value::Object(Map::from_iter([(field.json_name().to_owned(), value)]));
            if let Err(error) = DynamicMessage::deserialize(message.clone(), alone) {
                faults.push(fault(path, error.to_string()));
            }
        }
    }
}

fn unknown(message: &MessageDescriptor) -> String {
    let known: Vec<_> = message.fields().map(|field| field.json_name().to_owned()).collect();
    format!("is unknown; known are {}", known.join(", "))
}

fn fault(path: &str, description: impl Into<String>) -> Fault {
    Fault { path: path.to_owned(), description: description.into() }
}
