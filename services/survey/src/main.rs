//! The survey context as a process of its own.

use std::process::ExitCode;

use kefu_survey::SurveyContext;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    kefu_service::run_process::<SurveyContext>()
}
