//! Keeps calls out while they could only fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use futures::future::Either;
use kefu_rpc::Served;
use tonic::body::Body;
use tower::Service as _;
use tower::util::BoxCloneSyncService;

use crate::peers::absent;

/// When to try again while the schema is being made or waited for.
const RETRY: Duration = Duration::from_secs(1);

const STARTING: u8 = 0;
const OPEN: u8 = 1;
const STOPPED: u8 = 2;

/// Refuses calls as `UNAVAILABLE` until the schema is there, and again after the service has stopped, which somebody in
/// the same process may not have heard. Health and reflection pass.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gate(Arc<AtomicU8>);

impl Gate {
    pub(crate) fn open(&self) {
        let _ = self.0.compare_exchange(STARTING, OPEN, Ordering::Relaxed, Ordering::Relaxed);
    }

    pub(crate) fn stop(&self) {
        self.0.store(STOPPED, Ordering::Relaxed);
    }

    pub(crate) fn before(&self, context: &'static str, service: Served) -> Served {
        let gate = self.clone();
        BoxCloneSyncService::new(tower::service_fn(move |request: http::Request<Body>| {
            let refusal = match gate.0.load(Ordering::Relaxed) {
                OPEN => None,
                _ if request.uri().path().starts_with("/grpc.") => None,
                STARTING => Some(kefu_rpc::context_starting(context, RETRY).into_http()),
                _ => Some(absent(context)),
            };
            // Cloned for the call only: a stack is always ready, so it need not be asked.
            let answer = match refusal {
                None => Either::Left(service.clone().call(request)),
                Some(refusal) => Either::Right(refusal),
            };
            async move {
                match answer {
                    Either::Left(answer) => answer.await,
                    Either::Right(refusal) => Ok(refusal),
                }
            }
        }))
    }
}
