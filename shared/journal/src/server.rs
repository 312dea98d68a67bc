//! The feed that a context hosts for the others.

use std::collections::HashSet;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use kefu_api::error::v1::Reason;
use kefu_api::feed::v1::feed_service_server::{FeedService, FeedServiceServer};
use kefu_api::feed::v1::{
    Event, GetHeadRequest, GetHeadResponse, SubscribeRequest, SubscribeResponse,
};
use kefu_identity::Authorizer;
use kefu_rpc::{Failure, Fault, RequestContext, Violations};
use tonic::{Code, Request, Response, Status};

use crate::{Cursor, FeedError, Follow, Pulse, Recorded, Start, Tail};

const DEFAULT_BATCH: i32 = 256;
const MAX_BATCH: i32 = 1_024;
const MAX_EVENT_TYPES: usize = 50;
const RETRY_AFTER: Duration = Duration::from_millis(200);

/// `kefu.feed.v1.FeedService` over the context's own journal. All its streams share one [`Tail`]; a stream is read as
/// fast as its client takes it, and no faster.
#[derive(Clone, Debug)]
pub struct FeedServer {
    tail: Tail,
    authorizer: Arc<Authorizer>,
}

impl FeedServer {
    /// Serves the journal that `tail` follows, to callers whom the permissions allow `feed.Subscribe` and
    /// `feed.GetHead` in their own org unit. Belongs behind [`kefu_rpc::Stack`].
    pub fn new(tail: Tail, authorizer: Arc<Authorizer>) -> Self {
        Self { tail, authorizer }
    }

    /// The service to be added to the context's routes.
    pub fn into_service(self) -> FeedServiceServer<Self> {
        FeedServiceServer::new(self)
    }

    fn authorize<T>(&self, request: &Request<T>, action: &str) -> Result<(), Status> {
        let context = RequestContext::of(request);
        let Some(home) = context.caller().org_unit() else {
            return Err(context.denied(action, ""));
        };
        self.authorizer
            .authorize(context.caller(), action, home)
            .map_err(|_| context.denied(action, home.as_str()))
    }
}

#[tonic::async_trait]
impl FeedService for FeedServer {
    type SubscribeStream = Pin<Box<dyn Stream<Item = Result<SubscribeResponse, Status>> + Send>>;

    async fn subscribe(
        &self,
        request: Request<SubscribeRequest>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        self.authorize(&request, "feed.Subscribe")?;
        let subscription = Subscription::decode(request.into_inner())?;
        let follow = self.tail.follow(subscription.start, subscription.batch).await?;
        let stream = futures::stream::try_unfold(
            (follow, subscription.types, Pulse::default()),
            |(mut follow, types, mut pulse)| async move {
                let message = next_message(&mut follow, &types, &mut pulse).await?;
                Ok(message.map(|message| (message, (follow, types, pulse))))
            },
        );
        Ok(Response::new(Box::pin(stream)))
    }

    async fn get_head(
        &self,
        request: Request<GetHeadRequest>,
    ) -> Result<Response<GetHeadResponse>, Status> {
        self.authorize(&request, "feed.GetHead")?;
        let cursor = self.tail.head().await?.to_string();
        Ok(Response::new(GetHeadResponse { cursor }))
    }
}

/// The next batch with an event that was asked for, or a sign of life; `None` when the process is going down.
async fn next_message(
    follow: &mut Follow,
    types: &HashSet<String>,
    pulse: &mut Pulse,
) -> Result<Option<SubscribeResponse>, FeedError> {
    let message = loop {
        let batch = match pulse.next(follow).await {
            Ok(Some(batch)) => batch,
            Err(FeedError::Closed) => return Ok(None),
            Err(error) => return Err(error),
            Ok(None) => {
                let (cursor, caught_up) = (follow.cursor().to_string(), follow.is_caught_up());
                break SubscribeResponse { events: Vec::new(), cursor, caught_up };
            }
        };
        let wanted = |event: &&Arc<Recorded>| types.is_empty() || types.contains(&event.event_type);
        let events: Vec<Event> = batch.events.iter().filter(wanted).map(|e| to_api(e)).collect();
        // Far behind and nothing of interest: read on without a message for every page.
        if !events.is_empty() || batch.caught_up {
            let cursor = batch.cursor.to_string();
            break SubscribeResponse { events, cursor, caught_up: batch.caught_up };
        }
    };
    pulse.told();
    Ok(Some(message))
}

struct Subscription {
    start: Start,
    types: HashSet<String>,
    batch: usize,
}

impl Subscription {
    fn decode(request: SubscribeRequest) -> Result<Self, Status> {
        let mut violations = Violations::new();
        let start = match request.cursor.as_str() {
            "" => Start::Oldest,
            text => text.parse::<Cursor>().map_or_else(
                |_| {
                    violations
                        .add("cursor", Fault::malformed("a cursor of this feed", "本事件流的游标"));
                    Start::Oldest
                },
                Start::After,
            ),
        };
        if request.event_types.len() > MAX_EVENT_TYPES {
            let fault = Fault::too_many(MAX_EVENT_TYPES, request.event_types.len());
            violations.add("event_types", fault);
        }
        let size = request.max_batch_size;
        if !(0..=MAX_BATCH).contains(&size) {
            violations.add("max_batch_size", Fault::out_of_range(0, MAX_BATCH, size));
        }
        violations.into_result()?;
        let size = if size == 0 { DEFAULT_BATCH } else { size };
        Ok(Self {
            start,
            types: request.event_types.into_iter().collect(),
            batch: usize::try_from(size).unwrap_or_default(),
        })
    }
}

impl From<FeedError> for Status {
    fn from(error: FeedError) -> Self {
        match error {
            FeedError::Store(error) if !error.is_transient() => kefu_rpc::internal(&error),
            FeedError::Store(_) | FeedError::NotReady => kefu_rpc::store_unavailable(RETRY_AFTER),
            FeedError::ForeignCursor { feed } => Failure::new(
                Code::FailedPrecondition,
                Reason::FeedIdentityChanged,
                "the cursor counts in another database",
            )
            .metadata("feed_id", feed.to_string())
            .into_status(),
            FeedError::Closed => Status::unavailable("the service is shutting down"),
        }
    }
}

fn to_api(event: &Recorded) -> Event {
    Event {
        id: event.event_id.to_string(),
        r#type: event.event_type.clone(),
        aggregate_type: event.aggregate_type.clone(),
        aggregate_id: event.aggregate_id.to_string(),
        revision: event.revision,
        org_unit: event.org_unit.clone(),
        occur_time: Some(kefu_rpc::to_proto_timestamp(event.occurred_at)),
        actor: event.actor.clone(),
        traceparent: event.traceparent.clone(),
        payload: event.payload.clone(),
        customer_id: event.customer_id.map(|id| id.to_string()).unwrap_or_default(),
    }
}
