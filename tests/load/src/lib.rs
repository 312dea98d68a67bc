//! Measuring Kefu: `kefu-load`.
//!
//! - [`open_loop`]: calls at a constant rate, latency from when a call was *due*, errors by status.
//! - [`versus`]: the same SQL statements by pgbench ([`pgbench`]) and the calls by gRPC, alternating in one run; for reads
//!   also a gRPC server with nothing in it ([`bare`]). What counts are the ratios: absolute rates are the machine's.
//! - [`timers`]: very many deadlines within a minute, with two replicas, one of which is killed.
//! - [`reads`]: queues, histories and searches over a database that [`fill`] has filled with up to millions of rows.
//! - [`memory`]: what the services hold when nobody calls.
//!
//! What holds: only loopback addresses are called; every run is bounded in time and count and ends by itself, and its
//! children and its Postgres with it; two benchmarks never overlap; what others used of the machine is told.

pub mod bare;
pub mod cli;
pub mod closed_loop;
pub mod fill;
pub mod lock;
pub mod memory;
pub mod open_loop;
pub mod pgbench;
pub mod procfs;
pub mod reads;
pub mod recorder;
pub mod scenario;
pub mod schedule;
pub mod site;
pub mod stats;
pub mod table;
pub mod target;
pub mod timers;
pub mod versus;
pub mod world;
