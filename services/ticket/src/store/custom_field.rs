//! Column `ticket.custom_fields`: the company's own fields (T-01). A statement of its own, so that the frequent changes do not
//! carry it.

use serde_json::{Map, Value};
use sqlx::PgConnection;

use kefu_postgres::StoreError;

use crate::domain::{FieldValues, Ticket};

/// As it is stored: a text, or texts where there are several. None where there are no values.
pub(crate) fn fields_json(fields: &FieldValues) -> Option<Value> {
    if fields.is_empty() {
        return None;
    }
    let value = |values: &Vec<String>| match values.as_slice() {
        [one] => Value::from(one.as_str()),
        several => Value::from(several),
    };
    let object: Map<String, Value> =
        fields.iter().map(|(code, values)| (code.clone(), value(values))).collect();
    Some(Value::Object(object))
}

pub(super) fn values(stored: Option<Value>) -> Result<FieldValues, StoreError> {
    let wrong = || StoreError::corrupt("ticket.custom_fields", "is no object of texts");
    let text = |value: Value| match value {
        Value::String(text) => Ok(text),
        _ => Err(wrong()),
    };
    match stored {
        None => Ok(FieldValues::new()),
        Some(Value::Object(object)) => object
            .into_iter()
            .map(|(code, value)| {
                let values = match value {
                    Value::Array(several) => {
                        several.into_iter().map(text).collect::<Result<_, _>>()?
                    }
                    one => vec![text(one)?],
                };
                Ok((code, values))
            })
            .collect(),
        Some(_) => Err(wrong()),
    }
}

/// Writes the values.
pub(crate) async fn save(conn: &mut PgConnection, ticket: &Ticket) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE ticket SET custom_fields = $2 WHERE id = $1",
        ticket.id,
        fields_json(&ticket.details.fields)
    )
    .execute(conn)
    .await?;
    Ok(())
}
