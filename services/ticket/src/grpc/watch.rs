//! The live stream of `kefu.ticket.v1.TicketService` (T-24).
//!
//! "From now" is from where this process has read the journal: what was committed a moment before may come, too, but
//! nothing after it is missed.

use std::collections::VecDeque;
use std::pin::Pin;

use kefu_api::ticket::v1 as pb;
use kefu_identity::OrgUnit;
use kefu_journal::{Batch, Cursor, FeedError, Follow, Pulse, Start};
use kefu_rpc::{Fault, RequestContext};
use tonic::{Request, Response, Status};

use super::status::status;
use super::{Grpc, values};
use crate::encode::event;

/// Events that are read at once. Nothing more is read before the client has taken them.
const BATCH: usize = 64;

pub(super) type Stream =
    Pin<Box<dyn futures::Stream<Item = Result<pb::WatchTicketsResponse, Status>> + Send>>;

/// What one watcher sees.
struct Watch {
    follow: Follow,
    org_unit: OrgUnit,
    ready: VecDeque<pb::WatchTicketsResponse>,
    pulse: Pulse,
}

pub(super) async fn start(
    grpc: &Grpc,
    request: Request<pb::WatchTicketsRequest>,
) -> Result<Response<Stream>, Status> {
    let context = RequestContext::of(&request);
    let message = request.into_inner();
    let mut violations = context.violations();
    let org_unit = values::org_unit(&mut violations, "org_unit", &message.org_unit);
    let start = match message.resume_token.as_str() {
        "" => Some(Start::Now),
        token => {
            let cursor = token.parse::<Cursor>();
            let cursor = cursor.map_err(|_| {
                Fault::malformed("a resume token of this stream", "本数据流的续读标记")
            });
            violations.take("resume_token", cursor).map(Start::After)
        }
    };
    let (org_unit, start) = violations.finish(org_unit.zip(start))?;
    grpc.app
        .allow(context.caller(), "ticket.WatchTickets", &org_unit)
        .map_err(|error| status(&context, error))?;
    let follow = grpc.app.tail.follow(start, BATCH).await?;
    let mut ready = VecDeque::new();
    // At once, so that a watcher knows from where on it sees everything.
    ready.push_back(sign_of_life(follow.cursor()));
    let watch = Watch { follow, org_unit, ready, pulse: Pulse::default() };
    let stream = futures::stream::try_unfold(watch, |mut watch| async move {
        Ok(watch.next().await?.map(|message| (message, watch)))
    });
    Ok(Response::new(Box::pin(stream)))
}

impl Watch {
    /// The next event in scope, or a sign of life; `None` when the service is going down.
    async fn next(&mut self) -> Result<Option<pb::WatchTicketsResponse>, Status> {
        loop {
            if let Some(message) = self.ready.pop_front() {
                self.pulse.told();
                return Ok(Some(message));
            }
            match self.pulse.next(&mut self.follow).await {
                Ok(Some(batch)) => self.take(&batch)?,
                Ok(None) => self.ready.push_back(sign_of_life(self.follow.cursor())),
                Err(FeedError::Closed) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn take(&mut self, batch: &Batch) -> Result<(), Status> {
        for recorded in &batch.events {
            let near = self.is_in_scope(&recorded.org_unit);
            if !near && !event::is_transfer(recorded) {
                continue;
            }
            let event = event::live(recorded).map_err(|error| kefu_rpc::internal(&error))?;
            // A transfer concerns whoever sends and whoever receives, wherever the ticket is then.
            let event = event.filter(|event| {
                let ends = event::transfer_ends(event);
                near || ends.is_some_and(|ends| ends.iter().any(|unit| self.is_in_scope(unit)))
            });
            let cursor = Cursor { feed: batch.cursor.feed, position: recorded.position };
            self.ready.extend(event.map(|event| pb::WatchTicketsResponse {
                event: Some(event),
                resume_token: cursor.to_string(),
            }));
        }
        Ok(())
    }

    fn is_in_scope(&self, org_unit: &str) -> bool {
        org_unit.parse().is_ok_and(|at: OrgUnit| self.org_unit.contains(&at))
    }
}

fn sign_of_life(cursor: Cursor) -> pb::WatchTicketsResponse {
    pb::WatchTicketsResponse { event: None, resume_token: cursor.to_string() }
}
