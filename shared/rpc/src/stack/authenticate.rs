//! From the bearer token to the caller (G-10).

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use kefu_api::error::v1::Reason;
use kefu_identity::{AuthenticationError, Authenticator, Caller, bearer_token};
use tonic::body::Body;
use tower::{Layer, Service};

use super::{Reply, is_infrastructure, refusal};
use crate::context::ANONYMOUS;

#[derive(Clone)]
pub(super) struct AuthenticateLayer {
    authenticator: Arc<Authenticator>,
}

impl AuthenticateLayer {
    pub(super) fn new(authenticator: Arc<Authenticator>) -> Self {
        Self { authenticator }
    }

    /// The caller; a call without any token is anonymous, and it is for the permission policies what that may do.
    fn caller<B>(&self, request: &Request<B>) -> Result<Arc<Caller>, AuthenticationError> {
        match bearer_token(request.headers()) {
            Ok(token) => self.authenticator.authenticate(token),
            Err(AuthenticationError::Missing) => Ok(Arc::clone(&ANONYMOUS)),
            Err(error) => Err(error),
        }
    }
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
                    tracing::info!(reason = %error, "token refused");
                    let reason = match error {
                        AuthenticationError::Missing => Reason::TokenMissing,
                        AuthenticationError::Expired => Reason::TokenExpired,
                        _ => Reason::TokenInvalid,
                    };
                    let response = refusal(crate::unauthenticated(reason));
                    return Box::pin(async { Ok(response) });
                }
            }
        }
        Box::pin(self.inner.call(request))
    }
}
