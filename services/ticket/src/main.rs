//! The ticket service as a process.

use std::process::ExitCode;

use kefu_ticket::TicketContext;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    kefu_service::run_process::<TicketContext>()
}
