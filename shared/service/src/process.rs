//! A service as a process of its own.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args as _, FromArgMatches as _};
use kefu_postgres::PgSettings;
use tokio::net::TcpListener;

use crate::{Context, Dependencies, ServiceConfig, StartOptions, start_in_process};

/// The whole of a service's `main`: reads the settings, starts, runs until SIGTERM or SIGINT, drains, and ends.
///
/// The exit code is 0 after a clean stop, 1 if the service could not go on, and 2 if the settings are wrong.
pub fn run_process<C: Context>() -> ExitCode {
    let matches = command(C::NAME).get_matches();
    let config = match ServiceConfig::from_arg_matches(&matches) {
        Ok(config) => config,
        Err(error) => error.exit(),
    };
    run_configured::<C>(config)
}

fn command(context: &'static str) -> clap::Command {
    let name = format!("kefu-{context}");
    let command = clap::Command::new(context)
        .bin_name(&name)
        .display_name(&name)
        .version(env!("CARGO_PKG_VERSION"));
    // The settings bring a description of their own, which would be the program's.
    ServiceConfig::augment_args(command)
        .about(format!("The {context} service of Kefu."))
        .long_about(None)
}

/// The same for a program that has read the settings itself: `kefu serve`.
pub fn run_configured<C: Context>(config: ServiceConfig) -> ExitCode {
    let name = format!("kefu-{}", C::NAME);
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("starting the runtime")
        .and_then(|runtime| runtime.block_on(Box::pin(run::<C>(&name, config))));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The log may not be set up yet.
            eprintln!("{name}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run<C: Context>(name: &str, config: ServiceConfig) -> anyhow::Result<()> {
    let telemetry = kefu_telemetry::init(&config.telemetry.for_service(name))?;
    // Before anything else can take time: a signal during the start is a wish to stop, too.
    let signal = kefu_rpc::shutdown_on_signal().context("waiting for signals")?;
    let deps = Dependencies::from_config::<C>(&config)?;
    let listener = TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("listening on {}", config.listen))?;
    let migrate_as = config.database.migration_database_url.as_deref().map(|url| PgSettings {
        application_name: format!("{name}-migration"),
        ..PgSettings::new(url)
    });
    let options =
        StartOptions { listener: Some(listener), migrate_as, drain_timeout: config.drain_timeout };
    let running = start_in_process::<C>(deps, options).await?;
    tracing::info!(address = %config.listen, clock = %config.clock, "listening");
    tokio::select! {
        () = signal.cancelled() => tracing::info!("stopping"),
        () = running.stopping() => {}
    }
    let outcome = running.stop().await;
    // Sending what is queued may block for some seconds, which the runtime's own threads must not.
    tokio::task::spawn_blocking(move || telemetry.shutdown()).await?;
    outcome
}

#[cfg(test)]
mod tests {
    use super::command;

    #[test]
    fn help_says_which_service_it_is() {
        for help in [command("ticket").render_help(), command("ticket").render_long_help()] {
            let help = help.to_string();
            assert!(help.starts_with("The ticket service of Kefu."), "{help}");
        }
    }
}
