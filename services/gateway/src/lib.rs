//! The one front door (G-01): clients need one address and their token.
//!
//! What comes in is one of three things:
//!
//! * **A call of a context**, recognised by its package: `/kefu.ticket.…` is the ticket context's. It is passed on as it
//!   is, without looking into messages: metadata, deadline, streams in both directions, back-pressure, cancellation,
//!   status and details. A new method, or a new service in the packages of a context, needs no change here. See
//!   [`forward`].
//! * **A call of the gateway's own**: the customer 360 ([`overview`], G-02) and, beside a manual clock, the clock of the
//!   whole mesh ([`clock`], X-05).
//! * **Another protocol** around one of these: gRPC-Web, or plain JSON over HTTP for calls that are no streams. It is
//!   translated at the very front, so that everything behind knows gRPC only. See [`front`].
//!
//! What holds:
//!
//! * The gateway owns no data. What it keeps is a bounded number of last known copies, each for the very caller who
//!   read it, and only for the case that a context does not answer.
//! * `kefu.feed.v1` is not passed on. Feeds are for the contexts, which read each other directly; every context hosts
//!   one under the same name, and none is cut to a caller's org unit.
//! * A context that is down costs its own calls only: they fail with `UNAVAILABLE`, reason `CONTEXT_UNAVAILABLE` and the
//!   time to come back. The gateway itself stays ready, and its health says for each service whether it can be had.
//! * Tokens are verified here, so that forged ones stop at the door, and by every context, which trusts nobody. Inside
//!   one process the second time is left out, because the verified caller travels with the request.
//! * From where a call came travels as `x-forwarded-for` and `x-forwarded-user-agent`. Everybody can claim these, so the
//!   audit trail of a context shows them before the address that it saw itself, and no permission depends on them.

pub mod clock;
pub mod forward;
pub mod front;
mod health;
pub mod overview;

use std::sync::Arc;

use anyhow::Context as _;
use kefu_api::gateway::v1::gateway_service_server::GatewayServiceServer;
use kefu_rpc::{Readiness, Served};
use kefu_service::{Assembled, Context, Dependencies, Worker};
use sqlx::migrate::Migrator;
use tonic::service::Routes;

use crate::{
    clock::MeshClock,
    forward::{Destinations, Forward},
    front::{Front, Json},
    health::ContextHealth,
    overview::Overview,
};

/// The contexts without which there is no mesh.
const CONTEXTS: [&str; 3] = ["customer", "ticket", "survey"];

/// The gateway as a service.
#[derive(Clone, Copy, Debug)]
pub struct Gateway;

impl Context for Gateway {
    const NAME: &'static str = "gateway";

    fn migrators() -> Vec<&'static Migrator> {
        Vec::new()
    }

    async fn build(deps: Dependencies) -> anyhow::Result<Assembled> {
        for context in CONTEXTS {
            deps.peers.get(context)?;
        }
        let has_clock = deps.clock.manual().is_some();
        let readiness = Readiness::new(shown_services(&deps, has_clock));
        let destinations = Destinations::new(deps.peers.iter());
        let json =
            Json::new(Arc::clone(&deps.authenticator)).context("the descriptors for JSON")?;

        let mut routes = Routes::new(GatewayServiceServer::new(Overview::new(&deps)?));
        if let Some(clock) = deps.clock.manual() {
            routes = routes.add_service(MeshClock::new(clock.clone(), &deps).into_service());
        }
        let watched = ContextHealth::new(deps.peers.clone(), readiness.clone());
        Ok(Assembled::new(routes)
            .with_own_clock_service()
            .showing(readiness)
            .passing(move |own| Served::new(Forward::new(own, destinations)))
            .translating(move |grpc| Served::new(Front::new(grpc, json)))
            .worker(Worker::new("context-health", move |shutdown| {
                let watched = watched.clone();
                async move {
                    watched.run(shutdown).await;
                    Ok(())
                }
            })))
    }
}

/// Every service that can be had here: the gateway's own, and those of the contexts.
fn shown_services(deps: &Dependencies, has_clock: bool) -> Vec<String> {
    let services = kefu_api::descriptor_pool().services();
    let shown = services.filter(|service| match package_context(service.package_name()) {
        Some("gateway") => true,
        Some("clock") => has_clock,
        Some(context) => deps.peers.get(context).is_ok(),
        None => false,
    });
    shown.map(|service| service.full_name().to_owned()).collect()
}

/// `ticket` of `kefu.ticket.v1`.
fn package_context(package: &str) -> Option<&str> {
    package.strip_prefix("kefu.")?.split('.').next()
}
