//! How Kefu speaks gRPC: what every call goes through, what every error looks like, how a call goes on.
//!
//! | for | see |
//! |---|---|
//! | decoding a request, all wrong fields at once (X-06) | [`Violations`], [`TextRule`], [`Fault`] |
//! | an error with a stable reason (X-06) | [`Failure`] and the functions such as [`not_found`] |
//! | paging and etags (X-03, X-08) | [`PageQuery`], [`Etag`] |
//! | who calls, from where, until when | [`RequestContext`] |
//! | calling another context | [`Transport`], [`RequestContext::outgoing`], [`forward`] |
//! | serving | [`Stack`], [`serve`], [`Readiness`], [`with_reflection`] |
//!
//! What the crate promises to whoever serves through [`Stack`]:
//!
//! * Every call has a deadline, its own or the server's, and is dropped when it is over; a transaction that it holds is
//!   rolled back by that.
//! * More calls than the server can take are refused at once, with the time to come back.
//! * A panic costs its own call only, and tells nothing to the caller.
//! * A handler always finds a verified caller, or the anonymous one, in its request.
//! * The same holds over a socket and inside a process.

mod chinese;
mod context;
mod deadline;
mod etag;
mod failure;
mod fault;
mod greeting;
mod health;
mod mask;
mod methods;
mod page;
mod reflection;
mod remote;
mod server;
mod stack;
mod text;
mod transport;
mod values;
mod violations;

pub use kefu_api::error::v1::Reason;

pub use crate::{
    chinese::{in_language, status_in},
    context::{Origin, PeerAddress, RequestContext, forward},
    deadline::{Deadline, GRPC_TIMEOUT, parse_timeout},
    etag::Etag,
    failure::{
        DOMAIN, Failure, Precondition, aborted_conflict, aborted_stale_etag, aborted_stale_etag_of,
        already_exists, context_starting, context_unavailable, deadline_exceeded, internal,
        invalid, not_found, permission_denied, reason, reason_name, request_id_reused,
        resource_exhausted, store_unavailable, unauthenticated,
    },
    fault::{Fault, Language},
    health::{Condition, LIVENESS, Readiness},
    mask::Mask,
    methods::{Method, Methods},
    page::PageQuery,
    reflection::with_reflection,
    remote::{InvalidAddress, Remote},
    server::{ServeOptions, serve, shutdown_on_signal},
    stack::{Limits, Served, Stack, token_refused},
    text::{TextRule, email, phone},
    transport::{ChannelOptions, Transport},
    values::{CLOCK_TOLERANCE, PageLimits, timestamp, to_proto_timestamp},
    violations::Violations,
};
