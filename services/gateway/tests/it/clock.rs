//! The clock of the whole mesh.

use std::sync::{Arc, Mutex};

use jiff::SignedDuration;
use kefu_api::clock::v1::{
    GetTimeRequest, SetTimeRequest, SetTimeResponse, SettleRequest, SettleResponse,
    clock_service_client::ClockServiceClient,
};
use kefu_clock::Clock as _;
use tonic::{Code, Request, Status};

use crate::world::{BOTH, World, reason};

const SET_TIME: &str = "/kefu.clock.v1.ClockService/SetTime";
const SETTLE: &str = "/kefu.clock.v1.ClockService/Settle";

/// What was asked of the contexts, in order.
type Log = Arc<Mutex<Vec<String>>>;

/// Contexts whose journals move for so many rounds.
fn tick(world: &World, moves: [usize; 3]) -> Log {
    let log = Log::default();
    let contexts =
        [("customer", &world.customer), ("ticket", &world.ticket), ("survey", &world.survey)];
    for ((name, fake), moves) in contexts.into_iter().zip(moves) {
        let set = Arc::clone(&log);
        fake.unary(SET_TIME, move |request: Request<SetTimeRequest>| {
            let request = request.into_inner();
            assert!(request.skip_settle);
            set.lock().unwrap().push(format!("set {name}"));
            async move { Ok(SetTimeResponse { time: request.time }) }
        });
        let settled = Arc::clone(&log);
        fake.unary(SETTLE, move |_: Request<SettleRequest>| {
            let mut settled = settled.lock().unwrap();
            settled.push(format!("settle {name}"));
            let round = settled.iter().filter(|entry| **entry == format!("settle {name}")).count();
            let journal_head = round.min(moves + 1).to_string();
            async move { Ok(SettleResponse { journal_head }) }
        });
    }
    log
}

fn later(world: &World, skip_settle: bool) -> SetTimeRequest {
    let time = world.clock.now() + SignedDuration::from_hours(24);
    SetTimeRequest { time: Some(kefu_rpc::to_proto_timestamp(time)), skip_settle }
}

#[tokio::test]
async fn x05_all_clocks_move_before_anything_settles_and_settle_until_all_is_still() {
    for way in BOTH {
        let world = World::start(way).await;
        // The ticket context moves in three rounds; a fourth and a fifth show that nobody moves any more.
        let log = tick(&world, [0, 3, 1]);
        let mut client = ClockServiceClient::new(world.connect());
        let asked = later(&world, false);
        let request = world.request_as("group", "operator", asked);
        let answer = client.set_time(request).await.unwrap().into_inner();
        assert_eq!(answer.time, asked.time);
        let done = log.lock().unwrap().clone();
        assert!(done[..3].iter().all(|entry| entry.starts_with("set ")), "{done:?}");
        let rounds = done.iter().filter(|entry| **entry == "settle customer").count();
        assert_eq!((rounds, done.len()), (5, 3 + 5 * 3), "{done:?}");

        let read = world.request_as("group", "operator", GetTimeRequest {});
        assert_eq!(client.get_time(read).await.unwrap().into_inner().time, asked.time);
        log.lock().unwrap().clear();
        let request = world.request_as("group", "operator", later(&world, true));
        client.set_time(request).await.unwrap();
        assert_eq!(log.lock().unwrap().len(), 3, "moved only");
        let request = world.request_as("group", "operator", SettleRequest {});
        client.settle(request).await.unwrap();
    }
}

#[tokio::test]
async fn x05_a_context_that_cannot_settle_is_named_and_the_clock_is_for_operators() {
    let mut world = World::start(BOTH[1]).await;
    let log = tick(&world, [0; 3]);
    let mut client = ClockServiceClient::new(world.connect());
    let refusal = async |client: &mut ClockServiceClient<_>, request| -> Status {
        ClockServiceClient::set_time(client, request).await.unwrap_err()
    };
    let clerk = world.request(later(&world, false));
    assert_eq!(refusal(&mut client, clerk).await.code(), Code::PermissionDenied);
    let back = kefu_rpc::to_proto_timestamp(world.clock.now() - SignedDuration::from_secs(1));
    let back = SetTimeRequest { time: Some(back), skip_settle: false };
    let back = world.request_as("group", "operator", back);
    assert_eq!(refusal(&mut client, back).await.code(), Code::InvalidArgument);
    assert!(log.lock().unwrap().is_empty());
    world.survey.kill().await;
    let away = world.request_as("group", "operator", later(&world, false));
    let away = refusal(&mut client, away).await;
    assert_eq!((away.code(), &*reason(&away)), (Code::Unavailable, "CONTEXT_UNAVAILABLE"));
}
