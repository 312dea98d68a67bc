//! The customer context as a process of its own.

use std::process::ExitCode;

use kefu_customer::CustomerContext;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    kefu_service::run_process::<CustomerContext>()
}
