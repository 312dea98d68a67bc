//! The whole mesh, tested from outside; this library is empty, the tests are in `tests/e2e/tests`.
//!
//! They go through the gateway only, as a client does, and prove the story from the call to the verdict in one process and
//! with a process per service, timers under kill -9, start, stop and health, one trace through all, hostile input, and that
//! every method has its permission.
