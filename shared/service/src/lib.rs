//! What turns a context into a service: as a process of its own, or beside the others in `kefu up`.
//!
//! A context implements [`Context`]: it names its migrations and assembles its routes and workers from
//! [`Dependencies`]. The rest is the same for all and is here:
//!
//! * **Start.** A service listens at once and is `NOT_SERVING` until its schema is migrated and it has read the feeds of
//!   the other contexts. Until the schema is there calls are refused as `UNAVAILABLE`.
//! * **Postgres away.** The service stays up, says `NOT_SERVING`, and recovers by itself.
//! * **Workers** that fail or panic are logged and started again, see [`Worker`].
//! * **Stop.** On SIGTERM it says `NOT_SERVING`, accepts nothing more, ends streams, finishes running calls, and then
//!   stops its workers at a safe point.
//! * **A manual clock** (X-05) brings `kefu.clock.v1.ClockService` with it, which moves the clock and waits until
//!   everything that this causes has happened, see [`Settle`].
//!
//! And what all contexts do alike inside: the frame of a command, [`Work`], and a [`Page`] of a list.
//!
//! A service's `main.rs` is [`run_process`] and nothing else.

mod clock_service;
mod command;
mod config;
mod context;
mod dependencies;
mod described;
mod gate;
mod page;
mod peers;
mod process;
mod running;
mod schema;
mod settle;
mod store;
mod token;
mod worker;

pub use crate::{
    command::{Call, Change, CommandError, RequestKey, Tools, Work},
    config::{
        ClockSetting, DatabaseConfig, IdentityConfig, InvalidClock, PeerConfig, ServiceClock,
        ServiceConfig, TelemetrySettings,
    },
    context::{Assembled, Context},
    dependencies::{Dependencies, actions, authenticator, authorizer},
    page::{Page, one_more},
    peers::{LocalPeer, Peers},
    process::{run_configured, run_process},
    running::{Running, StartOptions, start_in_process},
    schema::bring_up_to_date,
    settle::Settle,
    store::store_status,
    token::ServiceToken,
    worker::Worker,
};
