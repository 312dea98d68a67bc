//! What the handlers have in common: everything that a request says is decoded, with everything that is wrong with it
//! before anything is done.

use jiff::Timestamp;
use kefu_rpc::{PageQuery, Violations};
use uuid::Uuid;

/// The most states that a list can be asked for: each more than twice.
const MAX_STATES: usize = 20;

/// A command on what its request names: `$decode` decodes what it says beside name, etag and request id, `$hand_over` does it.
macro_rules! named_command {
    (
        $request:ident, $service:literal / $method:literal of $collection:expr,
        |$violations:ident, $message:ident| $decode:expr,
        |$target:ident, $decoded:pat_param| $hand_over:expr $(,)?
    ) => {{
        let context = kefu_rpc::RequestContext::of(&$request);
        let mut $message = $request.into_inner();
        let request_id = std::mem::take(&mut $message.request_id);
        let mut $violations = context.violations();
        let method = (concat!("kefu.ticket.v1.", $service, "/", $method), $collection);
        let common = (&*$message.name, &*$message.etag, &*request_id);
        let target = $crate::grpc::target(&context, &mut $violations, method, common, &$message);
        let decoded = $decode;
        let ($target, $decoded) = $violations.finish(target.zip(decoded))?;
        let answer = $hand_over.await;
        answer
            .map(tonic::Response::new)
            .map_err(|error| $crate::grpc::status::status(&context, error))
    }};
}

/// A command that puts the resource in `$field` of its request on record. A request without one lacks each of its fields: all of
/// them are named.
macro_rules! creation {
    (
        $request:ident, $service:literal / $method:literal,
        $field:ident by $decode:path,
        |$call:ident, $new:ident| $hand_over:expr $(,)?
    ) => {{
        let context = kefu_rpc::RequestContext::of(&$request);
        let mut message = $request.into_inner();
        let request_id = std::mem::take(&mut message.request_id);
        let mut violations = context.violations();
        let method = concat!("kefu.ticket.v1.", $service, "/", $method);
        let $call = $crate::app::Call::of(&context, &mut violations, method, &request_id, &message);
        let resource = message.$field.unwrap_or_default();
        let decoded =
            violations.within(stringify!($field), |violations| $decode(violations, &resource));
        let $new = violations.finish(decoded)?;
        let answer = $hand_over.await;
        answer
            .map(tonic::Response::new)
            .map_err(|error| $crate::grpc::status::status(&context, error))
    }};
}

/// In which states what a list is asked for stands; a page token holds for the same ones only.
pub(super) fn states<E, S>(
    violations: &mut Violations,
    mut query: PageQuery,
    asked: &[i32],
    known: impl Fn(E) -> Option<S>,
) -> (PageQuery, Vec<S>)
where
    E: TryFrom<i32> + Default + PartialEq,
{
    let mut states = Vec::new();
    if violations.at_most("states", asked.len(), MAX_STATES) {
        for (index, state) in asked.iter().enumerate() {
            query = query.field(state.to_be_bytes());
            let state = violations.enumeration(&format!("states[{index}]"), *state);
            states.extend(state.and_then(&known));
        }
    }
    (query, states)
}

/// Where the page before ended, in a list by time and id.
pub(super) fn after(
    violations: &mut Violations,
    token: &str,
    query: &PageQuery,
) -> Option<(Timestamp, Uuid)> {
    let after: Option<(i64, Uuid)> = violations.page_token("page_token", token, query);
    after.and_then(|(at, id)| Some((Timestamp::from_microsecond(at).ok()?, id)))
}

/// The token of the page after this one; empty where it is the last.
pub(super) fn next(query: &PageQuery, next: Option<(Timestamp, Uuid)>) -> String {
    next.map(|(at, id)| query.token(&(at.as_microsecond(), id))).unwrap_or_default()
}
