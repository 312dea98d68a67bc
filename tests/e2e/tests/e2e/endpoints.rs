//! Every endpoint has an authorization case (X-07, G-10): a method that is added without one fails here.

use http::uri::PathAndQuery;
use kefu_api::gateway::v1 as gateway;
use kefu_api::ticket::v1 as pb;
use kefu_api::ticket::v1::upload_attachment_request::Part;
use kefu_identity::role;
use kefu_rpc::Transport;
use prost::Message as _;
use prost_reflect::{DynamicMessage, MethodDescriptor};
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::{Code, Request, Status};

use crate::things::Things;
use crate::world::{Refusal, Way, World};

/// Messages as their bytes.
#[derive(Clone, Copy, Default)]
struct Bytes;

impl Codec for Bytes {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        bytes::BufMut::put_slice(buffer, &item);
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::default()
    }
}

impl Decoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let length = bytes::Buf::remaining(buffer);
        Ok(Some(bytes::Buf::copy_to_bytes(buffer, length).into()))
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::default()
    }
}

/// Calls any method; of a stream, the first message is the answer.
async fn call(
    way: &Transport,
    method: &MethodDescriptor,
    token: Option<&str>,
    body: Vec<u8>,
) -> Result<Vec<u8>, Status> {
    // What comes up as a stream is a file, with a header before it.
    let more = method.is_client_streaming().then(|| {
        let part = Some(Part::Chunk(b"text".to_vec()));
        pb::UploadAttachmentRequest { part }.encode_to_vec()
    });
    let mut request = Request::new(futures::stream::iter([Some(body), more].into_iter().flatten()));
    if let Some(token) = token {
        let bearer = format!("Bearer {token}");
        request.metadata_mut().insert("authorization", bearer.parse().unwrap());
    }
    let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
    let path = PathAndQuery::try_from(path).unwrap();
    let mut client = tonic::client::Grpc::new(way.clone());
    let mut answers = client.streaming(request, path, Bytes).await?.into_inner();
    Ok(answers.message().await?.unwrap_or_default())
}

/// A method and the bytes of a sensible request.
struct Endpoint {
    name: String,
    method: MethodDescriptor,
    body: Vec<u8>,
}

impl Endpoint {
    /// Whoever holds an invitation's token needs no other.
    fn needs_no_sign_in(&self) -> bool {
        ["survey.SurveyService.GetQuestionnaire", "survey.SurveyService.SubmitAnswer"]
            .contains(&&*self.name)
    }

    /// About no org unit: the roles that the caller has at home count.
    fn is_about_no_org_unit(&self) -> bool {
        self.name.starts_with("clock.") || self.name.starts_with("gateway.")
    }
}

/// All methods that can be had at the gateway. The feed cannot.
async fn endpoints(world: &World) -> Vec<Endpoint> {
    let mut requests = Things::make(world).await.requests();
    let mut endpoints = Vec::new();
    for service in kefu_api::descriptor_pool().services() {
        if service.package_name() == "kefu.feed.v1" {
            continue;
        }
        for method in service.methods() {
            let name = method.full_name().trim_start_matches("kefu.").replace(".v1.", ".");
            let request = requests.remove(&*name);
            let request = request.unwrap_or_else(|| panic!("{name} has no authorization case"));
            let body = DynamicMessage::deserialize(method.input(), request).unwrap();
            endpoints.push(Endpoint { name, method, body: body.encode_to_vec() });
        }
    }
    assert!(requests.is_empty(), "there are no such methods: {:?}", requests.keys());
    endpoints
}

#[tokio::test]
async fn g10_no_method_answers_without_a_token() {
    let world = World::start(Way::OneProcess).await;
    let endpoints = endpoints(&world).await;
    let before = world.on_record().await;
    let way = world.nobody();
    for endpoint in &endpoints {
        let status = call(&way, &endpoint.method, None, endpoint.body.clone()).await.unwrap_err();
        let expected = if endpoint.needs_no_sign_in() {
            Refusal::new(Code::NotFound, "INVITATION_INVALID", &[])
        } else {
            Refusal::new(Code::Unauthenticated, "TOKEN_MISSING", &[])
        };
        assert_eq!(Refusal::of(&status), expected, "{}", endpoint.name);
    }
    assert_eq!(world.on_record().await, before);
    let feed = kefu_api::descriptor_pool().get_service_by_name("kefu.feed.v1.FeedService").unwrap();
    for method in feed.methods() {
        let token = world.mesh.token(role::SERVICE, "group");
        let status = call(&way, &method, Some(&token), Vec::new()).await.unwrap_err();
        assert_eq!(status.code(), Code::Unimplemented, "feeds are for the contexts");
    }
}

#[tokio::test]
async fn x07_no_method_answers_a_token_of_another_org_unit() {
    let world = World::start(Way::OneProcess).await;
    let endpoints = endpoints(&world).await;
    let before = world.on_record().await;
    let way = world.nobody();
    let staff = role::ALL.into_iter().filter(|role| *role != role::SERVICE);
    let staff: Vec<_> = staff.collect();
    let lifetime = jiff::SignedDuration::from_hours(1);
    let there = world.mesh.token_for("li", "group/south", staff.iter().copied(), lifetime);
    for endpoint in endpoints.iter().filter(|e| !e.needs_no_sign_in() && !e.is_about_no_org_unit())
    {
        let answer = call(&way, &endpoint.method, Some(&there), endpoint.body.clone()).await;
        let status = answer.err().unwrap_or_else(|| panic!("{} answers", endpoint.name));
        let expected = Refusal::new(Code::PermissionDenied, "PERMISSION_DENIED", &[]);
        assert_eq!(Refusal::of(&status), expected, "{}", endpoint.name);
    }
    // Nor does one without any role that permits it, at home.
    let nothing = world.mesh.token_for("li", "group", ["visitor"], lifetime);
    for endpoint in endpoints.iter().filter(|e| !e.needs_no_sign_in()) {
        let answer = call(&way, &endpoint.method, Some(&nothing), endpoint.body.clone()).await;
        let status = answer.err().unwrap_or_else(|| panic!("{} answers", endpoint.name));
        assert_eq!(status.code(), Code::PermissionDenied, "{}", endpoint.name);
    }
    assert_eq!(world.on_record().await, before);

    // An aggregate is put together from what its reader may see, which here is nothing.
    let overview = endpoints.iter().find(|e| e.name.starts_with("gateway.")).unwrap();
    let overview = call(&way, &overview.method, Some(&there), overview.body.clone()).await.unwrap();
    let overview = gateway::CustomerOverview::decode(&*overview).unwrap();
    let archive = overview.archive.unwrap();
    assert_eq!(archive.status.unwrap().availability(), gateway::SectionAvailability::Denied);
    assert_eq!((archive.customer, archive.contacts.len()), (None, 0));
    assert!(overview.tickets.unwrap().tickets.is_empty());
    assert!(overview.surveys.unwrap().invitations.is_empty());

    // The requests are sensible: who has every role here is denied nothing for want of permission.
    let here = world.mesh.token_for("wang", "group", staff.iter().copied(), lifetime);
    for endpoint in &endpoints {
        let answer = call(&way, &endpoint.method, Some(&here), endpoint.body.clone()).await;
        // In the state of a thing there may be a reason to refuse, in what became of it meanwhile, and in who has handled it; in
        // the token there is none.
        let Err(status) = answer else { continue };
        let refusal = Refusal::of(&status);
        let by_state =
            ["ILLEGAL_STATE", "SEPARATION_OF_DUTIES", "ETAG_STALE"].contains(&&*refusal.reason);
        assert!(by_state || endpoint.needs_no_sign_in(), "{}: {refusal:?}", endpoint.name);
    }
}
