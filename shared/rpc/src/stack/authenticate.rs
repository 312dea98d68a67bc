//! From the bearer token to the caller (G-10).

use std::{
    convert::Infallible,
    sync::{Arc, LazyLock},
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

/// Where nobody in particular asks. What an anonymous caller may do cannot depend on the org unit: nobody has told which.
static ANYWHERE: LazyLock<Option<OrgUnit>> = LazyLock::new(|| "anywhere".parse().ok());

#[derive(Clone)]
pub(super) struct AuthenticateLayer {
    authenticator: Arc<Authenticator>,
    authorizer: Option<Arc<Authorizer>>,
}

impl AuthenticateLayer {
    pub(super) fn new(
        authenticator: Arc<Authenticator>,
        authorizer: Option<Arc<Authorizer>>,
    ) -> Self {
        Self { authenticator, authorizer }
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
        let Some(authorizer) = &self.authorizer else { return true };
        let action = action(path);
        let asked = action.zip(ANYWHERE.as_ref());
        asked.is_some_and(|(action, anywhere)| {
            authorizer.authorize(&ANONYMOUS, &action, anywhere).is_ok()
        })
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
