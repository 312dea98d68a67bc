//! Bytes that are no gRPC.

use kefu_api::ticket::v1::ticket_service_client::TicketServiceClient;
use kefu_identity::role;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::company::{RIVERSIDE, complaint, registration};
use crate::world::{Way, World, bearing, request_id};

/// The client's greeting by the protocol, and an empty SETTINGS frame.
const GREETING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// A literal header field that is not indexed, with a new name.
fn field(name: &str, value: &str) -> Vec<u8> {
    // Lengths of up to 126 are one byte, longer ones continue in seven bits each.
    let length = |mut length: usize| {
        if length < 127 {
            return vec![u8::try_from(length).unwrap()];
        }
        length -= 127;
        let mut bytes = vec![127];
        while length >= 128 {
            bytes.push(u8::try_from(length % 128).unwrap() | 128);
            length /= 128;
        }
        bytes.push(u8::try_from(length).unwrap());
        bytes
    };
    [vec![0], length(name.len()), name.into(), length(value.len()), value.into()].concat()
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The beginning of a registration as it travels: greeting, HEADERS, DATA.
fn registration_bytes(world: &World) -> Vec<u8> {
    use prost::Message as _;
    let message = registration(complaint(RIVERSIDE, "断线"), request_id(9)).encode_to_vec();
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let body = [&[0], &length[..], &message].concat();
    let token = format!("Bearer {}", world.mesh.token(role::CLERK, "group"));
    let headers = [
        field(":method", "POST"),
        field(":scheme", "http"),
        field(":path", "/kefu.ticket.v1.TicketService/CreateTicket"),
        field(":authority", "localhost"),
        field("content-type", "application/grpc"),
        field("te", "trailers"),
        field("authorization", &token),
    ]
    .concat();
    // END_HEADERS, and at the end of the DATA, END_STREAM.
    [GREETING, &frame(1, 4, 1, &headers), &frame(0, 1, 1, &body)].concat()
}

/// What a server says to these bytes until it closes or the client has gone.
async fn send(world: &World, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(world.mesh.address()).await.unwrap();
    // The server may close before it has taken everything.
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    answer
}

#[tokio::test]
async fn x06_truncated_frames_cost_their_own_connection_only_and_do_nothing() {
    let world = World::start(Way::OneProcess).await;
    let mut neighbour = TicketServiceClient::new(world.nobody());
    let token = world.mesh.token(role::CLERK, "group");
    let whole = registration_bytes(&world);
    let before = world.on_record().await;
    // Cut in the greeting, in a frame's head, in the headers, in the message's length, and one byte before its end.
    let body = whole.len() - frame(0, 1, 1, &[]).len();
    for cut in [
        10,
        GREETING.len() - 3,
        GREETING.len() + 5,
        GREETING.len() + 200,
        body - 90,
        whole.len() - 1,
    ] {
        send(&world, &whole[..cut]).await;
        let list = kefu_api::ticket::v1::ListTicketsRequest {
            org_unit: "group".into(),
            ..Default::default()
        };
        let page = neighbour.list_tickets(bearing(&token, list)).await.unwrap().into_inner();
        assert!(page.tickets.is_empty(), "cut at {cut}");
    }
    // Frames that are whole and wrong: a window that overflows, headers that do not unpack, a frame that is too large.
    for wrong in [
        frame(8, 0, 0, &[0x7f, 0xff, 0xff, 0xff]),
        frame(1, 5, 1, &[0xff; 8]),
        [&[0xff, 0xff, 0xff, 0, 0], &[0, 0, 0, 1][..]].concat(),
    ] {
        send(&world, &[GREETING, &wrong].concat()).await;
    }
    assert_eq!(world.on_record().await, before, "not even a request id was used up");
    // The same bytes to the last one do what they say, so the cuts above were cuts of something real.
    let mut stream = TcpStream::connect(world.mesh.address()).await.unwrap();
    stream.write_all(&whole).await.unwrap();
    let mut answer = Vec::new();
    let mut chunk = [0; 4096];
    let is_there = |answer: &[u8]| answer.windows(8).any(|bytes| bytes == b"tickets/");
    while !is_there(&answer) {
        let read = stream.read(&mut chunk).await.unwrap();
        assert_ne!(read, 0, "no answer");
        answer.extend_from_slice(&chunk[..read]);
    }
    let request = registration(complaint(RIVERSIDE, "断线"), request_id(9));
    let again = neighbour.create_ticket(bearing(&token, request)).await.unwrap().into_inner();
    assert_eq!(again.number, "T-2026-riverside-000001");
}
