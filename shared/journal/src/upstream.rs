//! The feed of another context, however it is reached.

use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;
use kefu_api::feed::v1::feed_service_client::FeedServiceClient;
use kefu_api::feed::v1::{GetHeadRequest, SubscribeRequest, SubscribeResponse};
use tonic::body::Body;
use tonic::client::GrpcService;
use tonic::codegen::{Body as HttpBody, Bytes, StdError};
use tonic::metadata::MetadataMap;
use tonic::{Request, Status, Streaming};

use crate::Cursor;

type Call<Q, A> = Arc<dyn Fn(Q) -> BoxFuture<'static, Result<A, Status>> + Send + Sync>;

/// Signs a call: adds this service's own token to its metadata.
pub type Sign = Arc<dyn Fn(&mut MetadataMap) + Send + Sync>;

/// The feed of another context, however it is reached.
#[derive(Clone)]
pub struct Upstream {
    subscribe: Call<SubscribeRequest, Streaming<SubscribeResponse>>,
    head: Call<GetHeadRequest, String>,
}

impl Upstream {
    /// The feed behind `transport`; `sign` adds the service's token to each call.
    pub fn new<T>(transport: T, sign: Sign) -> Self
    where
        T: GrpcService<Body> + Clone + Send + Sync + 'static,
        T::Future: Send,
        T::Error: Into<StdError>,
        T::ResponseBody: HttpBody<Data = Bytes> + Send + 'static,
        <T::ResponseBody as HttpBody>::Error: Into<StdError> + Send,
    {
        let client = FeedServiceClient::new(transport);
        let subscribe = {
            let (client, sign) = (client.clone(), sign.clone());
            move |request| {
                let (mut client, mut request) = (client.clone(), Request::new(request));
                sign(request.metadata_mut());
                let call = async move { Ok(client.subscribe(request).await?.into_inner()) };
                Box::pin(call) as BoxFuture<'static, _>
            }
        };
        let head = move |request| {
            let (mut client, mut request) = (client.clone(), Request::new(request));
            sign(request.metadata_mut());
            let call = async move { Ok(client.get_head(request).await?.into_inner().cursor) };
            Box::pin(call) as BoxFuture<'static, _>
        };
        Self { subscribe: Arc::new(subscribe), head: Arc::new(head) }
    }

    /// Opens the stream of events.
    ///
    /// # Errors
    /// What the feed answers.
    pub async fn subscribe(
        &self,
        request: SubscribeRequest,
    ) -> Result<Streaming<SubscribeResponse>, Status> {
        (self.subscribe)(request).await
    }

    /// The feed's head at this moment.
    ///
    /// # Errors
    /// What the feed answers; `INTERNAL` when the answer is no cursor.
    pub async fn head(&self) -> Result<Cursor, Status> {
        let text = (self.head)(GetHeadRequest {}).await?;
        text.parse().map_err(|_| Status::internal("the feed's head is no cursor"))
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Upstream")
    }
}
