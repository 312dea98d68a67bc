//! The whole mesh, over the gateway only: the story that must work, what must not be lost, and what must be refused.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod company;
mod endpoints;
mod files;
mod handling;
mod hostile;
mod intruders;
mod lifecycle;
mod links;
mod load;
mod processes;
mod raw;
mod reading;
mod story;
mod survivors;
mod telemetry;
mod things;
mod timers;
mod world;
