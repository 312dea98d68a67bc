//! Whether the service is ready, by `grpc.health.v1`.

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::Pin,
    sync::Arc,
};

use futures::Stream;
use tokio::sync::watch;
use tokio_stream::{StreamExt as _, wrappers::WatchStream};
use tonic::{Request, Response, Status};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse,
    health_check_response::ServingStatus,
    health_server::{Health, HealthServer},
};

/// The name to ask about whether the process serves at all: SERVING until it ends, also while it waits for Postgres
/// or drains. A supervisor restarts by this one, and routes by the others.
pub const LIVENESS: &str = "liveness";

#[derive(Clone, Debug, Default)]
struct State {
    conditions: BTreeMap<&'static str, bool>,
    /// Services that cannot be had although this server can.
    down: BTreeSet<String>,
    draining: bool,
}

impl State {
    fn serving(&self) -> bool {
        !self.draining && self.conditions.values().all(|met| *met)
    }

    fn response(&self, service: &str) -> HealthCheckResponse {
        let up = service == LIVENESS || (self.serving() && !self.down.contains(service));
        let status = if up { ServingStatus::Serving } else { ServingStatus::NotServing };
        HealthCheckResponse { status: status.into() }
    }
}

/// Whether a server wants calls. It does while all its conditions are met and it is not draining. Clones are one.
#[derive(Clone, Debug)]
pub struct Readiness {
    services: Arc<[String]>,
    state: watch::Sender<State>,
}

impl Readiness {
    /// Ready at once, for the services of the given full names and overall (""). Add conditions before serving.
    pub fn new(services: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let services = services.into_iter().map(Into::into).collect();
        Self { services, state: watch::Sender::new(State::default()) }
    }

    /// Something that must hold for the server to be ready, such as `migrations`; not met at first.
    pub fn condition(&self, name: &'static str) -> Condition {
        let condition = Condition { name, state: self.state.clone() };
        condition.set(false);
        condition
    }

    /// Says that one service cannot be had here now, or can again, whatever holds for the rest: for a server that stands
    /// in front of others.
    pub fn set_service(&self, service: &str, up: bool) {
        self.state.send_if_modified(|state| {
            if up { state.down.remove(service) } else { state.down.insert(service.to_owned()) }
        });
    }

    /// The full names of the services that it speaks for.
    pub fn services(&self) -> &[String] {
        &self.services
    }

    /// Whether the server wants calls now.
    pub fn is_ready(&self) -> bool {
        self.state.borrow().serving()
    }

    /// Completes once the server is ready.
    pub async fn ready(&self) {
        // The sender lives in `self`, so waiting cannot fail.
        let _ = self.state.subscribe().wait_for(State::serving).await;
    }

    /// The names of the conditions that are not met, for messages.
    pub fn unmet(&self) -> Vec<&'static str> {
        let state = self.state.borrow();
        state.conditions.iter().filter(|(_, met)| !**met).map(|(name, _)| *name).collect()
    }

    /// Not ready for good: the server is stopping.
    pub fn drain(&self) {
        self.state.send_modify(|state| state.draining = true);
    }

    /// The gRPC service which tells.
    pub fn service(&self) -> HealthServer<impl Health + use<>> {
        HealthServer::new(self.clone())
    }

    fn knows(&self, service: &str) -> bool {
        service.is_empty()
            || service == LIVENESS
            || self.services.iter().any(|known| known == service)
    }
}

/// One of the things that must hold for a server to be ready. Clones are one.
#[derive(Clone, Debug)]
pub struct Condition {
    name: &'static str,
    state: watch::Sender<State>,
}

impl Condition {
    /// Says whether it holds; may change as often as it does.
    pub fn set(&self, met: bool) {
        self.state.send_if_modified(|state| state.conditions.insert(self.name, met) != Some(met));
    }
}

#[tonic::async_trait]
impl Health for Readiness {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let service = &request.get_ref().service;
        if !self.knows(service) {
            return Err(Status::not_found("unknown service"));
        }
        Ok(Response::new(self.state.borrow().response(service)))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        // The protocol answers for a service that is not known (yet), too.
        let service = request.into_inner().service;
        let known = self.knows(&service);
        let changes = WatchStream::new(self.state.subscribe());
        let mut last = None;
        let responses = changes.filter_map(move |state| {
            let unknown = HealthCheckResponse { status: ServingStatus::ServiceUnknown.into() };
            let response = if known { state.response(&service) } else { unknown };
            (last.replace(response) != Some(response)).then_some(Ok(response))
        });
        Ok(Response::new(Box::pin(responses)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn readiness_needs_every_condition_and_ends_with_draining() {
        let readiness = Readiness::new(["kefu.ticket.v1.TicketService"]);
        let migrations = readiness.condition("migrations");
        let feeds = readiness.condition("feeds");
        assert_eq!(readiness.unmet(), ["feeds", "migrations"]);
        migrations.set(true);
        assert!(!readiness.is_ready());
        feeds.set(true);
        readiness.ready().await;
        feeds.set(false);
        assert!(!readiness.is_ready());
        feeds.set(true);
        readiness.drain();
        assert!(!readiness.is_ready());
    }

    #[tokio::test]
    async fn g01_a_service_behind_this_one_can_be_down_alone() {
        let readiness =
            Readiness::new(["kefu.ticket.v1.TicketService", "kefu.survey.v1.SurveyService"]);
        readiness.set_service("kefu.survey.v1.SurveyService", false);
        let state = readiness.state.borrow().clone();
        let serving = ServingStatus::Serving;
        assert_eq!(state.response("kefu.ticket.v1.TicketService").status(), serving);
        assert_eq!(state.response("").status(), serving);
        let down = state.response("kefu.survey.v1.SurveyService").status();
        assert_eq!(down, ServingStatus::NotServing);
        readiness.set_service("kefu.survey.v1.SurveyService", true);
        assert!(readiness.state.borrow().down.is_empty());
    }

    #[tokio::test]
    async fn a_server_that_is_not_ready_is_alive() {
        let readiness = Readiness::new(["kefu.ticket.v1.TicketService"]);
        readiness.condition("postgres").set(false);
        for (service, status) in [
            ("", ServingStatus::NotServing),
            ("kefu.ticket.v1.TicketService", ServingStatus::NotServing),
            (LIVENESS, ServingStatus::Serving),
        ] {
            let request = Request::new(HealthCheckRequest { service: service.to_owned() });
            let answer = readiness.check(request).await.map(|answer| answer.into_inner().status());
            assert_eq!(answer.ok(), Some(status), "{service}");
        }
    }
}
