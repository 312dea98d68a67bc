//! From the bearer token to the caller (G-10).

use std::{
    collections::HashSet,
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use kefu_api::error::v1::Reason;
use kefu_identity::{
    AuthenticationError, Authenticator, Authorizer, Caller, OrgUnit, bearer_token,
};
use tonic::body::Body;
use tower::{Layer, Service};

use super::{Reply, is_infrastructure, refusal};
use crate::context::ANONYMOUS;
use crate::methods::Methods;

/// The paths of the methods that everybody may call, found out once: what somebody without a token asks for is looked up here
/// and is neither judged nor remembered.
#[derive(Clone, Debug)]
pub(super) struct PublicMethods(Arc<HashSet<String>>);

impl PublicMethods {
    /// Those of `methods` that the policies permit to an anonymous caller. That cannot depend on the org unit, for nobody has
    /// told which.
    pub(super) fn of(methods: &Methods, authorizer: &Authorizer) -> Self {
        let anywhere: Option<OrgUnit> = "anywhere".parse().ok();
        let is_public = |path: &&str| {
            let asked = action(path).zip(anywhere.as_ref());
            asked
                .is_some_and(|(action, anywhere)| authorizer.permits(&ANONYMOUS, &action, anywhere))
        };
        Self(Arc::new(methods.paths().filter(is_public).map(str::to_owned).collect()))
    }
}

#[derive(Clone)]
pub(super) struct AuthenticateLayer {
    authenticator: Arc<Authenticator>,
    public: Option<PublicMethods>,
}

impl AuthenticateLayer {
    pub(super) fn new(authenticator: Arc<Authenticator>, public: Option<PublicMethods>) -> Self {
        Self { authenticator, public }
    }

    /// The caller; a call without any token is anonymous, if the permission policies let anybody make it.
    fn caller<B>(&self, request: &Request<B>) -> Result<Arc<Caller>, AuthenticationError> {
        match bearer_token(request.headers()) {
            Ok(token) => self.authenticator.authenticate(token),
            Err(AuthenticationError::Missing) if self.is_public(request.uri().path()) => {
                Ok(Arc::clone(&ANONYMOUS))
            }
            Err(error) => Err(error),
        }
    }

    fn is_public(&self, path: &str) -> bool {
        self.public.as_ref().is_none_or(|public| public.0.contains(path))
    }
}

/// `/kefu.ticket.v1.TicketService/GetTicket` is the action `ticket.GetTicket`.
fn action(path: &str) -> Option<String> {
    let (service, method) = path.strip_prefix('/')?.split_once('/')?;
    let context = service.strip_prefix("kefu.")?.split('.').next()?;
    Some(format!("{context}.{method}"))
}

/// `UNAUTHENTICATED`: why a token, or its absence, was not accepted.
pub fn token_refused(error: &AuthenticationError) -> tonic::Status {
    tracing::info!(reason = %error, "token refused");
    crate::unauthenticated(match error {
        AuthenticationError::Missing => Reason::TokenMissing,
        AuthenticationError::Expired => Reason::TokenExpired,
        _ => Reason::TokenInvalid,
    })
}

impl<S> Layer<S> for AuthenticateLayer {
    type Service = Authenticate<S>;

    fn layer(&self, inner: S) -> Authenticate<S> {
        Authenticate { inner, layer: self.clone() }
    }
}

#[derive(Clone)]
pub(super) struct Authenticate<S> {
    inner: S,
    layer: AuthenticateLayer,
}

impl<S, B> Service<Request<Body>> for Authenticate<S>
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible>,
    S::Future: Send + 'static,
    B: Default + Send + 'static,
{
    type Response = Response<B>;
    type Error = Infallible;
    type Future = Reply<B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        // A caller that is there already was verified by this very process, one service earlier: extensions do not
        // travel over a socket, so nobody outside can put one in.
        let known = request.extensions().get::<Arc<Caller>>().is_some();
        if !known && !is_infrastructure(request.uri().path()) {
            match self.layer.caller(&request) {
                Ok(caller) => {
                    request.extensions_mut().insert(caller);
                }
                Err(error) => {
                    let response = refusal(token_refused(&error));
                    return Box::pin(async { Ok(response) });
                }
            }
        }
        Box::pin(self.inner.call(request))
    }
}
