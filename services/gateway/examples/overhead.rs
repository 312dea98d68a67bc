//! What passing a call on costs: the same empty call made directly, through a gateway in the context's process, and
//! through a gateway with a socket between, over our own connections and over tonic's channel.
//!
//! All in one process and over loopback, so only ratios mean something, and those roughly. `tests/load` measures the
//! real thing.
//!
//! `cargo run --release -p kefu-gateway --example overhead`

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use jiff::SignedDuration;
use kefu_api::ticket::v1::{GetTicketRequest, Ticket, ticket_service_client::TicketServiceClient};
use kefu_clock::{IdSource, SharedClock, SystemClock};
use kefu_gateway::Gateway;
use kefu_identity::{Authenticator, AuthenticatorOptions, Authorizer, Caller, Minter};
use kefu_rpc::{ChannelOptions, Methods, Readiness, ServeOptions, Served, Stack, Transport, serve};
use kefu_service::{
    ClockSetting, Dependencies, Peers, Running, ServiceToken, StartOptions, start_in_process,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, body::Body};
use tonic_prost::ProstCodec;
use tower::{Service as _, ServiceExt as _};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const IN_FLIGHT: usize = 64;
const CONNECTIONS: usize = 4;
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(1);

type Anyhow<T> = anyhow::Result<T>;

async fn listen() -> Anyhow<(TcpListener, String)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("http://{}", listener.local_addr()?);
    Ok((listener, address))
}

/// A context whose only method does nothing.
async fn empty(
    request: http::Request<Body>,
) -> Result<http::Response<Body>, std::convert::Infallible> {
    let answer = tower::service_fn(|_: Request<GetTicketRequest>| async {
        Ok::<_, Status>(Response::new(Ticket::default()))
    });
    let codec = ProstCodec::<Ticket, GetTicketRequest>::default();
    Ok(tonic::server::Grpc::new(codec).unary(answer, request).await)
}

async fn gateway(deps: &Dependencies, way: Transport) -> Anyhow<(Running, String)> {
    let (listener, address) = listen().await?;
    let peers = ["customer", "ticket", "survey"].map(|name| (name, way.clone()));
    let deps = Dependencies {
        peers: peers.into_iter().collect(),
        shutdown: CancellationToken::new(),
        ..deps.clone()
    };
    let options = StartOptions { listener: Some(listener), ..StartOptions::default() };
    let running = start_in_process::<Gateway>(deps, options).await?;
    running.ready().await?;
    Ok((running, address))
}

/// Calls a second over one address.
async fn rate(address: &str, token: &str) -> Anyhow<f64> {
    let ways: Vec<Transport> = (0..CONNECTIONS)
        .map(|_| Transport::remote(address, &ChannelOptions::default()))
        .collect::<Result<_, _>>()?;
    let began = kefu_clock::monotonic();
    let callers = (0..IN_FLIGHT).map(|caller| {
        let mut client = TicketServiceClient::new(ways[caller % CONNECTIONS].clone());
        let token = token.to_owned();
        tokio::spawn(async move {
            let mut calls = 0_u32;
            while began.elapsed() < ROUND {
                let mut request = Request::new(GetTicketRequest::default());
                request.metadata_mut().insert("authorization", token.parse()?);
                client.get_ticket(request).await?;
                calls += 1;
            }
            anyhow::Ok(calls)
        })
    });
    let mut calls = 0;
    for outcome in join_all(callers).await {
        calls += outcome??;
    }
    Ok(f64::from(calls) / began.elapsed().as_secs_f64())
}

#[tokio::main]
async fn main() -> Anyhow<()> {
    let clock: SharedClock = Arc::new(SystemClock);
    let minter = Minter::generate("issuer", "kefu", Arc::clone(&clock))?;
    let authenticator = Arc::new(Authenticator::new(
        AuthenticatorOptions::new("issuer", "kefu"),
        minter.key_source(),
        Arc::clone(&clock),
    )?);
    let deps = Dependencies {
        database: None,
        clock: ClockSetting::System.into(),
        ids: Arc::new(IdSource::new(clock)),
        authenticator: Arc::clone(&authenticator),
        authorizer: Arc::new(Authorizer::with_defaults()?),
        peers: Peers::default(),
        token: ServiceToken::none(),
        wake: Arc::default(),
        delivery_file: None,
        attachment_store: None,
        shutdown: CancellationToken::new(),
    };
    let caller = Caller::staff("desk", "group".parse()?, ["clerk"]);
    let token = format!("Bearer {}", minter.mint(&caller, SignedDuration::from_hours(1))?);

    let methods = Methods::from_descriptors([kefu_api::FILE_DESCRIPTOR_SET])?;
    let context = Stack::new(methods, authenticator, CancellationToken::new())
        .wrap_service(tower::service_fn(empty));
    let (listener, direct) = listen().await?;
    tokio::spawn(serve(
        listener,
        context.clone(),
        Readiness::new(["kefu.ticket.v1.TicketService"]),
        CancellationToken::new(),
        ServeOptions::default(),
    ));

    let remote = |connections| {
        Transport::remote(&direct, &ChannelOptions { connections, ..ChannelOptions::default() })
    };
    let channel =
        tonic::transport::Endpoint::from_shared(direct.clone())?.tcp_nodelay(true).connect_lazy();
    let channel = Transport::local(Served::new(tower::service_fn(move |request| {
        let mut channel = channel.clone();
        async move {
            let answer = match channel.ready().await {
                Ok(ready) => ready.call(request).await,
                Err(error) => Err(error),
            };
            Ok(answer.unwrap_or_else(|_| Status::unavailable("no answer").into_http()))
        }
    })));
    let mut running = Vec::new();
    let mut paths = vec![("direct".to_owned(), direct.clone(), Vec::new())];
    for (name, way) in [
        ("gateway, in one process", Transport::local(context)),
        ("gateway, 1 connection", remote(1)?),
        ("gateway, 2 connections", remote(2)?),
        ("gateway, 4 connections", remote(4)?),
        ("gateway, tonic channel", channel),
    ] {
        let (gateway, address) = gateway(&deps, way).await?;
        running.push(gateway);
        paths.push((name.to_owned(), address, Vec::new()));
    }
    for round in 0..=ROUNDS {
        for (_, address, rates) in &mut paths {
            let rate = rate(address, &token).await?;
            // The first round warms up.
            if round > 0 {
                rates.push(rate);
            }
        }
    }
    let median = |rates: &[f64]| {
        let mut sorted = rates.to_vec();
        sorted.sort_by(f64::total_cmp);
        sorted[sorted.len() / 2]
    };
    let base = median(&paths[0].2);
    for (name, _, rates) in &paths {
        let rate = median(rates);
        println!("{name:<26} {rate:>8.0} calls/s   {:.2} of direct", rate / base);
    }
    for gateway in running {
        gateway.stop().await?;
    }
    Ok(())
}
