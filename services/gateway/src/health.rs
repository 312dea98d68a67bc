//! Which contexts can be had, as their own health says.

use std::time::Duration;

use kefu_rpc::{Readiness, Transport};
use kefu_service::Peers;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

/// How soon a context that does not answer is asked again.
const PERIOD: Duration = Duration::from_secs(1);

/// Follows the health of every context and says it for each of the context's services.
#[derive(Clone)]
pub(crate) struct ContextHealth {
    contexts: Peers,
    readiness: Readiness,
}

impl ContextHealth {
    /// Nothing is said to be up before it has said so itself.
    pub(crate) fn new(contexts: Peers, readiness: Readiness) -> Self {
        let health = Self { contexts, readiness };
        for (name, _) in health.contexts.iter() {
            health.set(name, false);
        }
        health
    }

    /// Runs until the shutdown.
    pub(crate) async fn run(&self, shutdown: CancellationToken) {
        let mut watches = JoinSet::new();
        for (name, way) in self.contexts.iter() {
            watches.spawn(self.clone().follow(name, way.clone()));
        }
        // A watch ends by a panic only, and the worker's restart is the answer to that.
        let ended = async { watches.join_next().await };
        shutdown.run_until_cancelled(ended).await;
    }

    async fn follow(self, context: &'static str, way: Transport) {
        loop {
            if let Err(status) = self.watch(context, way.clone()).await {
                tracing::debug!(context, %status, "no word about a context's health");
            }
            self.set(context, false);
            tokio::time::sleep(PERIOD).await;
        }
    }

    async fn watch(&self, context: &'static str, way: Transport) -> Result<(), Status> {
        let mut client = HealthClient::new(way);
        let mut changes = client.watch(HealthCheckRequest::default()).await?.into_inner();
        while let Some(change) = changes.message().await? {
            self.set(context, change.status() == ServingStatus::Serving);
        }
        Ok(())
    }

    fn set(&self, context: &str, up: bool) {
        for service in self.readiness.services() {
            let package = service.rsplit_once('.').map_or("", |(package, _)| package);
            if crate::package_context(package) == Some(context) {
                self.readiness.set_service(service, up);
            }
        }
    }
}
