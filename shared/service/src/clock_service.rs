//! `kefu.clock.v1.ClockService`: served only beside a manual clock.

use std::sync::Arc;

use kefu_api::clock::v1::clock_service_server::{ClockService, ClockServiceServer};
use kefu_api::clock::v1::{
    GetTimeRequest, GetTimeResponse, SetTimeRequest, SetTimeResponse, SettleRequest, SettleResponse,
};
use kefu_clock::{Clock as _, ManualClock};
use kefu_identity::Authorizer;
use kefu_rpc::{Fault, Reason, RequestContext, Violations};
use tonic::{Request, Response, Status};

use crate::settle::Settlement;

/// Moves the manual clock of one service and waits for what that causes.
pub(crate) struct ClockServer {
    clock: ManualClock,
    settlement: Settlement,
    authorizer: Arc<Authorizer>,
}

impl ClockServer {
    pub(crate) fn new(
        clock: ManualClock,
        settlement: Settlement,
        authorizer: Arc<Authorizer>,
    ) -> ClockServiceServer<ClockServer> {
        ClockServiceServer::new(ClockServer { clock, settlement, authorizer })
    }

    fn now(&self) -> Option<prost_types::Timestamp> {
        Some(kefu_rpc::to_proto_timestamp(self.clock.now()))
    }

    fn authorize<T>(&self, request: &Request<T>, action: &str) -> Result<(), Status> {
        authorize_at_home(&self.authorizer, request, action)
    }
}

/// Whether the caller may do in its own org unit what is about no org unit in particular.
pub(crate) fn authorize_at_home<T>(
    authorizer: &Authorizer,
    request: &Request<T>,
    action: &str,
) -> Result<(), Status> {
    let context = RequestContext::of(request);
    let Some(home) = context.caller().org_unit() else {
        return Err(kefu_rpc::unauthenticated(Reason::TokenMissing));
    };
    authorizer
        .authorize(context.caller(), action, home)
        .map_err(|_| kefu_rpc::permission_denied(action, home.as_str()))
}

fn backwards() -> Fault {
    Fault::new("BACKWARDS", "a clock is never set back", "时钟不能往回拨")
}

#[tonic::async_trait]
impl ClockService for ClockServer {
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
        self.authorize(&request, "clock.SetTime")?;
        let request = request.into_inner();
        let mut violations = Violations::new();
        if let Some(time) = violations.time("time", request.time)
            && self.clock.set(time).is_err()
        {
            violations.add("time", backwards());
        }
        violations.into_result()?;
        if !request.skip_settle {
            self.settlement.settle().await?;
        }
        Ok(Response::new(SetTimeResponse { time: self.now() }))
    }

    async fn settle(
        &self,
        request: Request<SettleRequest>,
    ) -> Result<Response<SettleResponse>, Status> {
        self.authorize(&request, "clock.Settle")?;
        let journal_head = self.settlement.settle().await?;
        Ok(Response::new(SettleResponse { journal_head }))
    }
}
