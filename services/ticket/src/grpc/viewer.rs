//! `kefu.ticket.v1.ViewerService` (T-24).

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use kefu_api::ticket::v1 as pb;
use kefu_api::ticket::v1::viewer_service_server::ViewerService;
use kefu_rpc::{RequestContext, to_proto_timestamp};
use tonic::{Request, Response, Status};

use super::Grpc;
use super::status::status;
use crate::app::App;
use crate::app::viewer::Look;
use crate::store::viewer::{Seen, Viewer};

/// How long nothing is said to a client until it gets a sign of life.
const SILENCE: Duration = Duration::from_secs(15);

type Stream = Pin<Box<dyn futures::Stream<Item = Result<pb::WatchViewersResponse, Status>> + Send>>;

/// What one viewer sees.
struct Watch {
    app: Arc<App>,
    context: RequestContext,
    look: Look,
}

impl Watch {
    /// Who is looking, when that has changed or nothing was said for long; `None` when the service is going down.
    async fn next(&mut self) -> Result<Option<pb::WatchViewersResponse>, Status> {
        loop {
            let known = tokio::select! {
                changed = self.look.seen.changed() => changed.is_ok(),
                () = tokio::time::sleep(SILENCE) => true,
            };
            if !known {
                return Ok(None);
            }
            let seen = self.look.seen.borrow_and_update().clone();
            // Nothing is known before the worker's first round.
            if let Some(seen) = seen {
                let allowed = self.app.may_still_watch(self.context.caller(), &seen);
                allowed.map_err(|error| status(&self.context, error))?;
                return Ok(Some(response(&seen)));
            }
        }
    }
}

fn response(seen: &Seen) -> pb::WatchViewersResponse {
    let viewer = |viewer: &Viewer| pb::TicketViewer {
        staff: viewer.staff.clone(),
        since_time: Some(to_proto_timestamp(viewer.since)),
        composing: viewer.composing,
    };
    pb::WatchViewersResponse {
        viewers: seen.viewers.iter().map(viewer).collect(),
        viewer_count: i32::try_from(seen.count).unwrap_or(i32::MAX),
    }
}

#[tonic::async_trait]
impl ViewerService for Grpc {
    type WatchViewersStream = Stream;

    async fn watch_viewers(
        &self,
        request: Request<pb::WatchViewersRequest>,
    ) -> Result<Response<Stream>, Status> {
        let context = RequestContext::of(&request);
        let mut violations = context.violations();
        let id = violations.resource_id("ticket", &request.get_ref().ticket, "tickets");
        let id = violations.finish(id)?;
        let look = self.app.watch_viewers(context.caller(), id).await;
        let look = look.map_err(|error| status(&context, error))?;
        let watch = Watch { app: Arc::clone(&self.app), context, look };
        let stream = futures::stream::try_unfold(watch, |mut watch| async move {
            Ok(watch.next().await?.map(|message| (message, watch)))
        });
        Ok(Response::new(Box::pin(stream)))
    }

    async fn announce_composing(
        &self,
        request: Request<pb::AnnounceComposingRequest>,
    ) -> Result<Response<pb::AnnounceComposingResponse>, Status> {
        let context = RequestContext::of(&request);
        let message = request.into_inner();
        let mut violations = context.violations();
        let id = violations.resource_id("ticket", &message.ticket, "tickets");
        let id = violations.finish(id)?;
        let until = self.app.announce_composing(context.caller(), id, message.finished).await;
        let until = until.map_err(|error| status(&context, error))?;
        let until_time = until.map(to_proto_timestamp);
        Ok(Response::new(pb::AnnounceComposingResponse { until_time }))
    }
}
