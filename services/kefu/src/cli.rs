//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use jiff::Timestamp;
use kefu_clock::{IdSource, SystemClock};
use kefu_customer::CustomerContext;
use kefu_gateway::Gateway;
use kefu_identity::OrgUnit;
use kefu_postgres::RolePasswords;
use kefu_service::{ServiceConfig, run_configured};
use kefu_survey::SurveyContext;
use kefu_telemetry::{LogFormat, TelemetryConfig};
use kefu_ticket::TicketContext;

use crate::client::Client;
use crate::database::{self, ContextName};
use crate::replay::{self, ReplayArgs};
use crate::token::{self, TokenArgs};
use crate::up::{self, UpArgs};
use crate::{children, policy};

/// Kefu (客服): the backend with which a company keeps its promises to its customers.
#[derive(Debug, Parser)]
#[command(name = "kefu", version, propagate_version = true)]
struct Cli {
    /// The data directory of `kefu up`: its Postgres, its key, its token.
    #[arg(long, global = true, env = "KEFU_DATA", default_value = ".kefu")]
    data: PathBuf,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run everything on this machine, beside a private Postgres, until Ctrl-C.
    Up(Box<UpArgs>),
    /// Run one service, as `kefu-customer`, `kefu-ticket`, `kefu-survey` or `kefu-gateway` would.
    Serve(ServeArgs),
    /// Give a context its roles and its schema in a database. May be repeated.
    Provision {
        /// Which; without one, all of them in the same database.
        context: Option<ContextName>,
        /// The database, as a role that may create roles; it is made when it is missing.
        #[arg(long, env = "KEFU_ADMIN_DATABASE_URL", hide_env_values = true)]
        admin_database_url: String,
        /// Password to set for the role that the service runs as; without one it stays as it is.
        #[arg(
            long,
            env = "KEFU_APPLICATION_PASSWORD",
            hide_env_values = true,
            requires = "context"
        )]
        application_password: Option<String>,
        /// Password to set for the role that migrates; without one it stays as it is.
        #[arg(long, env = "KEFU_OWNER_PASSWORD", hide_env_values = true, requires = "context")]
        owner_password: Option<String>,
    },
    /// Bring the schema of a context up to date.
    Migrate {
        /// Which.
        context: ContextName,
        /// The database as the owner of the schema, directly and not through PgBouncer.
        #[arg(long, env = "KEFU_MIGRATION_DATABASE_URL", hide_env_values = true)]
        migration_database_url: String,
    },
    /// Policy packs: regulations as files.
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Make a token for development and print it.
    Token(TokenArgs),
    /// Play real records of past years on a manual clock, and tell which promises would have been kept.
    #[command(subcommand)]
    Replay(ReplayCommand),
}

// A variant with these fields would show the settings' doc comment as its own.
#[derive(Debug, clap::Args)]
struct ServeArgs {
    /// Which.
    service: ServiceName,
    /// End when this process ends, which has started this one.
    #[arg(long, hide = true)]
    with_parent: Option<i32>,
    /// Its settings.
    #[command(flatten)]
    config: Box<ServiceConfig>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum ServiceName {
    Gateway,
    Customer,
    Ticket,
    Survey,
}

#[derive(Debug, Subcommand)]
enum PolicyCommand {
    /// Check a pack file, without a service.
    Validate {
        /// The file (YAML).
        file: PathBuf,
    },
    /// Check a pack file and attach it to an org unit.
    Apply {
        /// The file (YAML).
        file: PathBuf,
        /// Where it holds, and below.
        #[arg(long)]
        org_unit: OrgUnit,
        /// From when, e.g. `2027-01-01T00:00:00+08:00`; without it, from now.
        #[arg(long)]
        effective: Option<Timestamp>,
        /// The gateway.
        #[arg(long, env = "KEFU_GATEWAY", default_value = "http://127.0.0.1:50050")]
        gateway: String,
        /// The token to call it with; without one, the token in the data directory.
        #[arg(long, env = "KEFU_TOKEN", hide_env_values = true)]
        token: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
enum ReplayCommand {
    /// Complaints, or another record of cases by a column mapping.
    Complaints(ReplayArgs),
}

/// The whole of `main`. The exit code is 0 after success, 1 after a failure, 2 for a command that makes no sense.
pub fn run() -> ExitCode {
    let Cli { data, command } = Cli::parse();
    let outcome = match command {
        Command::Serve(ServeArgs { service, with_parent, config }) => {
            return match with_parent.map_or(Ok(()), children::live_with) {
                Ok(()) => serve(service, *config),
                Err(error) => failure(&error),
            };
        }
        Command::Token(args) => token::make(&args, &data).map(|token| println!("{token}")),
        Command::Policy(PolicyCommand::Validate { file }) => policy::read(&file).map(|pack| {
            let parts = [
                pack.customer.map(|_| "customer"),
                pack.ticket.map(|_| "ticket"),
                pack.survey.map(|_| "survey"),
            ];
            let parts: Vec<_> = parts.into_iter().flatten().collect();
            println!("{}: sound ({})", file.display(), parts.join(", "));
        }),
        command => tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .context("starting the runtime")
            .and_then(|runtime| runtime.block_on(Box::pin(perform(command, data)))),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure(&error),
    }
}

fn failure(error: &anyhow::Error) -> ExitCode {
    eprintln!("kefu: {error:#}");
    ExitCode::FAILURE
}

fn serve(service: ServiceName, config: ServiceConfig) -> ExitCode {
    match service {
        ServiceName::Gateway => run_configured::<Gateway>(config),
        ServiceName::Customer => run_configured::<CustomerContext>(config),
        ServiceName::Ticket => run_configured::<TicketContext>(config),
        ServiceName::Survey => run_configured::<SurveyContext>(config),
    }
}

async fn perform(command: Command, data: PathBuf) -> anyhow::Result<()> {
    if let Command::Up(args) = command {
        return Box::pin(up::command(*args, data)).await;
    }
    // What goes wrong in the services of a replay must be seen.
    let filter = std::env::var("KEFU_LOG").unwrap_or_else(|_| up::QUIET.to_owned());
    let telemetry = kefu_telemetry::init(&TelemetryConfig {
        log_format: LogFormat::Text,
        filter,
        ..TelemetryConfig::new("kefu")
    })?;
    let outcome = match command {
        Command::Provision {
            context,
            admin_database_url,
            application_password,
            owner_password,
        } => {
            let passwords =
                RolePasswords { owner: owner_password, application: application_password };
            provision(context, &admin_database_url, &passwords).await
        }
        Command::Migrate { context, migration_database_url } => {
            let stop = kefu_rpc::shutdown_on_signal()?;
            database::migrate(context, &migration_database_url, &stop).await
        }
        Command::Policy(PolicyCommand::Apply { file, org_unit, effective, gateway, token }) => {
            apply(&file, &org_unit, effective, &gateway, token, &data).await
        }
        Command::Replay(ReplayCommand::Complaints(args)) => Box::pin(replay::command(args)).await,
        // Done before a runtime was needed.
        Command::Up(_) | Command::Serve(_) | Command::Token(_) | Command::Policy(_) => Ok(()),
    };
    drop(telemetry);
    outcome
}

async fn provision(
    context: Option<ContextName>,
    admin_url: &str,
    passwords: &RolePasswords,
) -> anyhow::Result<()> {
    let stop = kefu_rpc::shutdown_on_signal()?;
    let contexts = context.map_or(ContextName::ALL.to_vec(), |only| vec![only]);
    database::provision(&contexts, admin_url, passwords, &stop).await?;
    for name in contexts {
        println!("{}: provisioned", name.as_str());
    }
    Ok(())
}

async fn apply(
    file: &std::path::Path,
    org_unit: &OrgUnit,
    effective: Option<Timestamp>,
    gateway: &str,
    token: Option<String>,
    data: &std::path::Path,
) -> anyhow::Result<()> {
    let pack = policy::read(file)?;
    let token = match token {
        Some(token) => token,
        None => {
            let path = data.join("token");
            std::fs::read_to_string(&path).with_context(|| {
                format!("{}: start `kefu up` there, or give a token with --token", path.display())
            })?
        }
    };
    let client = Client::new(gateway, &token)?;
    let ids = IdSource::new(std::sync::Arc::new(SystemClock));
    for version in policy::apply(&client, &pack, org_unit, effective, |_| ids.uuid()).await? {
        println!("{org_unit}: {version}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_commands_are_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_help_of_a_service_says_what_it_runs() {
        let mut command = Cli::command();
        let serve = command.find_subcommand_mut("serve").unwrap();
        assert!(serve.render_help().to_string().starts_with("Run one service"));
    }
}
