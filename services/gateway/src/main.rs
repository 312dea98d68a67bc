//! The gateway as a process.

use std::process::ExitCode;

use kefu_gateway::Gateway;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    kefu_service::run_process::<Gateway>()
}
