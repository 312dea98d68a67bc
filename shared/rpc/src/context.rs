//! What a handler knows about its call beside the message, and how calls go on from it.

use std::{
    fmt,
    net::SocketAddr,
    sync::{Arc, LazyLock},
};

use http::{
    Extensions, HeaderMap, HeaderName, HeaderValue,
    header::{ACCEPT_LANGUAGE, AUTHORIZATION, USER_AGENT},
};
use kefu_api::error::v1::Reason;
use kefu_identity::Caller;
use kefu_telemetry::TraceContext;
use tonic::{Status, metadata::MetadataMap};

use crate::{Deadline, Language};

/// Where a call comes from, as the first server that took it saw it.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// By which program.
const FORWARDED_AGENT: HeaderName = HeaderName::from_static("x-forwarded-user-agent");
/// The audit trail keeps no more of a user agent than this many characters.
const MAX_AGENT: usize = 200;

pub(crate) static ANONYMOUS: LazyLock<Arc<Caller>> = LazyLock::new(|| Arc::new(Caller::ANONYMOUS));

/// The address at the other end of the connection; in a request's extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerAddress(pub SocketAddr);

/// From where a call came, for the audit trail. It is personal data: not for logs.
///
/// What a proxy in front says in `x-forwarded-for` is kept beside what this server saw itself, because anybody can
/// claim the former.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    peer: Option<SocketAddr>,
    forwarded: Option<HeaderValue>,
    agent: Option<HeaderValue>,
}

impl Origin {
    fn of(headers: &HeaderMap, extensions: &Extensions) -> Self {
        let agent = headers.get(FORWARDED_AGENT).or_else(|| headers.get(USER_AGENT));
        Self {
            peer: extensions.get().map(|&PeerAddress(address)| address),
            forwarded: headers.get(FORWARDED_FOR).cloned(),
            agent: agent.cloned(),
        }
    }

    /// The connection's other end; `None` for a call that began inside this process.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// The program that called, as it names itself.
    pub fn user_agent(&self) -> Option<&str> {
        self.agent.as_ref().and_then(|agent| agent.to_str().ok())
    }

    /// Claimed addresses first, the one seen by us last.
    fn chain(&self) -> Option<String> {
        let claimed = self.forwarded.as_ref().and_then(|value| value.to_str().ok());
        let claimed = claimed.map(|text| text.chars().take(MAX_AGENT).collect::<String>());
        match (claimed, self.peer.map(|peer| peer.ip())) {
            (Some(claimed), Some(peer)) => Some(format!("{claimed}, {peer}")),
            (Some(claimed), None) => Some(claimed),
            (None, Some(peer)) => Some(peer.to_string()),
            (None, None) => None,
        }
    }

    fn write_headers(&self, headers: &mut HeaderMap) {
        if let Some(chain) = self.chain().and_then(|chain| HeaderValue::from_str(&chain).ok()) {
            headers.insert(FORWARDED_FOR, chain);
        }
        if let Some(agent) = &self.agent {
            headers.insert(FORWARDED_AGENT, agent.clone());
        }
    }
}

impl fmt::Display for Origin {
    /// One line: addresses from the farthest to the nearest, then the program in parentheses.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.chain().as_deref().unwrap_or("internal"))?;
        if let Some(agent) = self.user_agent() {
            write!(f, " ({})", agent.chars().take(MAX_AGENT).collect::<String>())?;
        }
        Ok(())
    }
}

/// Who calls, from where, until when, in which trace and language. Cheap to clone.
#[derive(Clone, Debug)]
pub struct RequestContext {
    caller: Arc<Caller>,
    deadline: Deadline,
    trace: TraceContext,
    origin: Origin,
    language: Language,
}

impl RequestContext {
    /// What [`crate::Stack`] found out about this request.
    pub fn of<T>(request: &tonic::Request<T>) -> Self {
        Self::from_parts(request.metadata().as_ref(), request.extensions())
    }

    /// The same for a request that is not decoded.
    pub fn from_parts(headers: &HeaderMap, extensions: &Extensions) -> Self {
        let caller = extensions.get::<Arc<Caller>>().unwrap_or(&ANONYMOUS);
        Self {
            caller: Arc::clone(caller),
            deadline: extensions.get().copied().unwrap_or_default(),
            trace: extensions.get().copied().unwrap_or_else(TraceContext::root),
            origin: Origin::of(headers, extensions),
            language: Language::of(headers),
        }
    }

    /// The context of work that nobody called for: a worker acting as `caller`, usually the service itself.
    pub fn internal(caller: Arc<Caller>, deadline: Deadline) -> Self {
        Self {
            caller,
            deadline,
            trace: kefu_telemetry::current_trace().unwrap_or_else(TraceContext::root),
            origin: Origin::default(),
            language: Language::default(),
        }
    }

    /// The verified caller, or the anonymous one.
    pub fn caller(&self) -> &Arc<Caller> {
        &self.caller
    }

    /// Until when the call must be answered.
    pub fn deadline(&self) -> Deadline {
        self.deadline
    }

    /// The same call with less time: for the parts of an aggregate.
    #[must_use]
    pub fn with_deadline(&self, deadline: Deadline) -> Self {
        Self { deadline, ..self.clone() }
    }

    /// The trace and span of this call.
    pub fn trace(&self) -> TraceContext {
        self.trace
    }

    /// From where the call came.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// In which language people want to read messages.
    pub fn language(&self) -> Language {
        self.language
    }

    /// An empty collector of violations in the caller's language.
    pub fn violations(&self) -> crate::Violations {
        crate::Violations::in_language(self.language)
    }

    /// The status of a call that no policy permits: `PERMISSION_DENIED`, or `UNAUTHENTICATED` for a caller who has not
    /// said who it is.
    pub fn denied(&self, action: &str, org_unit: &str) -> Status {
        if self.caller.is_anonymous() {
            crate::unauthenticated(Reason::TokenMissing)
        } else {
            crate::permission_denied(action, org_unit)
        }
    }

    /// A call onward in the caller's name: its token, the time left, the trace, the origin, the language.
    pub fn outgoing<T>(&self, message: T) -> tonic::Request<T> {
        let mut headers = HeaderMap::with_capacity(6);
        self.deadline.write_headers(&mut headers);
        self.trace.write_headers(&mut headers);
        self.origin.write_headers(&mut headers);
        if self.language == Language::Chinese {
            headers.insert(ACCEPT_LANGUAGE, HeaderValue::from_static("zh-CN"));
        }
        let mut extensions = Extensions::new();
        if let Some(token) = self.caller.token() {
            if let Ok(mut value) = HeaderValue::from_str(&format!("Bearer {token}")) {
                value.set_sensitive(true);
                headers.insert(AUTHORIZATION, value);
            }
            // Inside a process the token need not be verified twice. On a socket extensions stay behind.
            extensions.insert(Arc::clone(&self.caller));
        }
        tonic::Request::from_parts(MetadataMap::from_headers(headers), extensions, message)
    }
}

/// Prepares a request that came through [`crate::Stack`] for being passed on as it is: writes the time left, this
/// server's span and the origin into its headers. Everything else, the token included, stays as the caller sent it.
pub fn forward<B>(request: &mut http::Request<B>) {
    let origin = Origin::of(request.headers(), request.extensions());
    let deadline = request.extensions().get::<Deadline>().copied();
    let trace = request.extensions().get::<TraceContext>().copied();
    // The next server sees us at the other end, and the caller in the header.
    request.extensions_mut().remove::<PeerAddress>();
    let headers = request.headers_mut();
    origin.write_headers(headers);
    if let Some(deadline) = deadline {
        deadline.write_headers(headers);
    }
    if let Some(trace) = trace {
        trace.write_headers(headers);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn request() -> http::Request<()> {
        let mut request = http::Request::new(());
        request.headers_mut().insert(USER_AGENT, HeaderValue::from_static("desk/1"));
        request.headers_mut().insert(ACCEPT_LANGUAGE, HeaderValue::from_static("zh-CN"));
        let peer = PeerAddress(([127, 0, 0, 1], 4711).into());
        request.extensions_mut().insert(peer);
        request.extensions_mut().insert(Deadline::default().at_most(Duration::from_secs(5)));
        request.extensions_mut().insert(TraceContext::root());
        request
    }

    #[test]
    fn x04_the_origin_survives_the_hop_through_the_gateway() {
        let mut request = request();
        forward(&mut request);
        request.headers_mut().insert(USER_AGENT, HeaderValue::from_static("tonic"));
        request.extensions_mut().insert(PeerAddress(([127, 0, 0, 9], 1).into()));
        let context = RequestContext::from_parts(request.headers(), request.extensions());
        assert_eq!(context.origin().to_string(), "127.0.0.1, 127.0.0.9 (desk/1)");
    }

    #[test]
    fn x08_a_call_onward_carries_token_trace_and_the_time_left() {
        let mut request = request();
        let unit = "group/north".parse().unwrap();
        let caller = Caller::staff("u1", unit, ["clerk"]).with_token("abc");
        request.extensions_mut().insert(Arc::new(caller));
        let context = RequestContext::from_parts(request.headers(), request.extensions());
        let outgoing = context.outgoing(());
        let metadata = outgoing.metadata();
        assert_eq!(metadata.get("authorization").unwrap(), "Bearer abc");
        assert_eq!(metadata.get("traceparent").unwrap(), &context.trace().to_string());
        assert_eq!(metadata.get("accept-language").unwrap(), "zh-CN");
        let left = crate::parse_timeout(metadata.as_ref()).unwrap().unwrap();
        assert!(left > Duration::from_secs(4) && left <= Duration::from_secs(5));
    }

    #[test]
    fn x07_an_anonymous_caller_is_asked_for_its_token() {
        let request = request();
        let context = RequestContext::from_parts(request.headers(), request.extensions());
        let status = context.denied("ticket.GetTicket", "group");
        assert_eq!(status.code(), tonic::Code::Unauthenticated);
    }
}
