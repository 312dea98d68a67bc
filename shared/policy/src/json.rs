//! The canonical JSON form of a message: what people read and pack files are written in.

use prost::{Message, Name};
use prost_reflect::DynamicMessage;

/// A message has no JSON form. A defect: every message of the API has one.
#[derive(Debug, thiserror::Error)]
pub enum JsonError {
    /// The message's type is not in the API's descriptors.
    #[error("{0} is not described")]
    Undescribed(String),
    /// Its descriptor does not fit its bytes.
    #[error(transparent)]
    Decode(#[from] prost::DecodeError),
    /// It cannot be written as JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

/// The message as protobuf's canonical JSON. For storage and for the audit trail.
///
/// # Errors
/// [`JsonError`] for a message that is not part of the API.
pub fn to_json<M: Message + Name>(message: &M) -> Result<serde_json::Value, JsonError> {
    let name = M::full_name();
    let descriptor = kefu_api::descriptor_pool()
        .get_message_by_name(&name)
        .ok_or(JsonError::Undescribed(name))?;
    let dynamic = DynamicMessage::decode(descriptor, message.encode_to_vec().as_slice())?;
    Ok(serde_json::to_value(dynamic)?)
}
