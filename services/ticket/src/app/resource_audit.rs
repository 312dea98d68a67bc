//! What the audit trail says of a resource that is whole in its message: the fields that differ, before and after.

use kefu_policy::to_json;
use prost::{Message, Name};
use serde_json::{Map, Value};

use super::Error;

/// The fields of `before` and `after` that differ; all of `after` where there was nothing before. Etag and time of change
/// are left out: each row of the journal has them.
pub(super) fn changed<M: Message + Name>(
    before: Option<&M>,
    after: &M,
) -> Result<(Option<Value>, Option<Value>), Error> {
    let mut new = fields(after)?;
    let Some(before) = before else { return Ok((None, Some(Value::Object(new)))) };
    let mut old = fields(before)?;
    old.retain(|field, value| {
        let same = new.get(field) == Some(value);
        if same {
            new.remove(field);
        }
        !same
    });
    Ok((Some(Value::Object(old)), Some(Value::Object(new))))
}

fn fields<M: Message + Name>(message: &M) -> Result<Map<String, Value>, Error> {
    let json = to_json(message).map_err(|error| Error::Defect(format!("audit: {error}")))?;
    let Value::Object(mut fields) = json else {
        return Err(Error::Defect("audit: a message that is no object".to_owned()));
    };
    fields.retain(|field, _| !matches!(field.as_str(), "etag" | "updateTime"));
    Ok(fields)
}
