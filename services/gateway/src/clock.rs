//! The manual clock of the whole mesh: moves the clocks of all contexts and waits until all is still.
//!
//! One replica for each context: a replica behind the same address would keep its old time.

use std::sync::Arc;

use futures::future::join_all;
use kefu_api::clock::v1::{
    GetTimeRequest, GetTimeResponse, SetTimeRequest, SetTimeResponse, SettleRequest,
    SettleResponse,
    clock_service_client::ClockServiceClient,
    clock_service_server::{ClockService, ClockServiceServer},
};
use kefu_clock::{Clock as _, ManualClock};
use kefu_identity::Authorizer;
use kefu_rpc::{Fault, Reason, RequestContext};
use kefu_service::{Dependencies, Peers, ServiceToken};
use tonic::{Request, Response, Status};

/// The clock service of the gateway.
pub struct MeshClock {
    clock: ManualClock,
    contexts: Peers,
    authorizer: Arc<Authorizer>,
    token: ServiceToken,
}

impl MeshClock {
    /// `clock` is the gateway's own.
    pub fn new(clock: ManualClock, deps: &Dependencies) -> Self {
        Self {
            clock,
            contexts: deps.peers.clone(),
            authorizer: Arc::clone(&deps.authorizer),
            token: deps.token.clone(),
        }
    }

    /// As a gRPC service.
    pub fn into_service(self) -> ClockServiceServer<Self> {
        ClockServiceServer::new(self)
    }

    fn authorize<T>(&self, request: &Request<T>, action: &str) -> Result<RequestContext, Status> {
        let context = RequestContext::of(request);
        let Some(home) = context.caller().org_unit() else {
            return Err(kefu_rpc::unauthenticated(Reason::TokenMissing));
        };
        self.authorizer
            .authorize(context.caller(), action, home)
            .map_err(|_| context.denied(action, home.as_str()))?;
        Ok(context)
    }

    /// A call onward, in the gateway's own name where it has one: a caller's token may be over by the time to which the
    /// clocks have been moved, while the gateway's is as fresh as its clock.
    fn onward<T>(&self, context: &RequestContext, message: T) -> Request<T> {
        let mut request = context.outgoing(message);
        self.token.sign(request.metadata_mut());
        request
    }

    fn now(&self) -> Option<prost_types::Timestamp> {
        Some(kefu_rpc::to_proto_timestamp(self.clock.now()))
    }

    /// What a context causes, another one's feed brings to it, and so on: all are settled again and again, until a whole
    /// round has left every journal where it was. The call's deadline is the limit.
    async fn settle_all(&self, context: &RequestContext) -> Result<(), Status> {
        let mut before = None;
        loop {
            let settled = self.contexts.iter().map(|(name, way)| async move {
                let request = self.onward(context, SettleRequest {});
                let answer = ClockServiceClient::new(way.clone()).settle(request).await;
                answer.map(|answer| answer.into_inner().journal_head).map_err(|e| of(name, e))
            });
            let heads = Some(join_all(settled).await.into_iter().collect::<Result<Vec<_>, _>>()?);
            if heads == before {
                return Ok(());
            }
            before = heads;
        }
    }
}

/// Whose error it is: the context's that was asked, unless that one names another which it waits for.
fn of(context: &str, status: Status) -> Status {
    let names_one = kefu_rpc::reason(&status) == Some(Reason::ContextUnavailable);
    if status.code() == tonic::Code::Unavailable && !names_one {
        let retry_after = std::time::Duration::from_secs(1);
        return kefu_rpc::context_unavailable(context, retry_after);
    }
    tracing::info!(context, %status, "a context's clock refused");
    status
}

#[tonic::async_trait]
impl ClockService for MeshClock {
    async fn get_time(
        &self,
        request: Request<GetTimeRequest>,
    ) -> Result<Response<GetTimeResponse>, Status> {
        self.authorize(&request, "clock.GetTime")?;
        Ok(Response::new(GetTimeResponse { time: self.now() }))
    }

    async fn set_time(
        &self,
        request: Request<SetTimeRequest>,
    ) -> Result<Response<SetTimeResponse>, Status> {
        let context = self.authorize(&request, "clock.SetTime")?;
        let asked = request.into_inner();
        let mut violations = context.violations();
        // Ours first: tokens that we make from here on are good at the new time as well as at the old.
        if let Some(time) = violations.time("time", asked.time)
            && self.clock.set(time).is_err()
        {
            let backwards = Fault::new("BACKWARDS", "a clock is never set back", "时钟不能往回拨");
            violations.add("time", backwards);
        }
        violations.into_result()?;
        let only_move = SetTimeRequest { time: asked.time, skip_settle: true };
        let moved = self.contexts.iter().map(|(name, way)| {
            let request = self.onward(&context, only_move);
            async move {
                let answer = ClockServiceClient::new(way.clone()).set_time(request).await;
                answer.map(drop).map_err(|e| of(name, e))
            }
        });
        // All are asked before the first refusal counts: a clock that was not moved with the others would have to be found
        // and moved by hand.
        join_all(moved).await.into_iter().collect::<Result<(), Status>>()?;
        if !asked.skip_settle {
            self.settle_all(&context).await?;
        }
        Ok(Response::new(SetTimeResponse { time: self.now() }))
    }

    async fn settle(
        &self,
        request: Request<SettleRequest>,
    ) -> Result<Response<SettleResponse>, Status> {
        let context = self.authorize(&request, "clock.Settle")?;
        self.settle_all(&context).await?;
        Ok(Response::new(SettleResponse::default()))
    }
}
