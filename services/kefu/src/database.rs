//! The contexts' places in a database: who owns what, and bringing it up to date.

use std::time::Duration;

use anyhow::Context as _;
use kefu_customer::CustomerContext;
use kefu_postgres::{ContextUrls, PgSettings, RolePasswords, StoreError};
use kefu_service::Context;
use kefu_survey::SurveyContext;
use kefu_ticket::TicketContext;
use sqlx::migrate::Migrator;
use tokio_util::sync::CancellationToken;

/// How often to try again while Postgres is away.
const PAUSE: Duration = Duration::from_secs(1);

/// A context with a schema of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ContextName {
    /// Archives, contacts, standings, the company's tree.
    Customer,
    /// Tickets and their clocks.
    Ticket,
    /// Invitations and answers.
    Survey,
}

impl ContextName {
    /// All of them, in the order in which they are started.
    pub const ALL: [ContextName; 3] =
        [ContextName::Customer, ContextName::Ticket, ContextName::Survey];

    /// The name as in packages, schemas and commands.
    pub const fn as_str(self) -> &'static str {
        match self {
            ContextName::Customer => CustomerContext::NAME,
            ContextName::Ticket => TicketContext::NAME,
            ContextName::Survey => SurveyContext::NAME,
        }
    }

    /// Its migrations, in order.
    pub fn migrators(self) -> Vec<&'static Migrator> {
        match self {
            ContextName::Customer => CustomerContext::migrators(),
            ContextName::Ticket => TicketContext::migrators(),
            ContextName::Survey => SurveyContext::migrators(),
        }
    }
}

/// Where each context connects.
#[derive(Clone)]
pub struct Databases([ContextUrls; 3]);

impl Databases {
    /// The URLs of the customer, the ticket and the survey context.
    pub const fn new(customer: ContextUrls, ticket: ContextUrls, survey: ContextUrls) -> Databases {
        Databases([customer, ticket, survey])
    }

    /// Gives every context its roles and its schema in the database of `admin_url`, which is made when it is missing.
    /// May be repeated.
    ///
    /// # Errors
    /// When the server is away or the role of `admin_url` lacks rights.
    pub async fn provision(admin_url: &str) -> anyhow::Result<Databases> {
        kefu_postgres::ensure_database(admin_url).await?;
        let passwords = RolePasswords::default();
        let [customer, ticket, survey] = ContextName::ALL.map(ContextName::as_str);
        Ok(Databases([
            kefu_postgres::provision(admin_url, customer, &passwords).await?,
            kefu_postgres::provision(admin_url, ticket, &passwords).await?,
            kefu_postgres::provision(admin_url, survey, &passwords).await?,
        ]))
    }

    /// The URLs of one context.
    pub fn of(&self, context: ContextName) -> &ContextUrls {
        let [customer, ticket, survey] = &self.0;
        match context {
            ContextName::Customer => customer,
            ContextName::Ticket => ticket,
            ContextName::Survey => survey,
        }
    }
}

/// Gives contexts their roles and schemas in the database of `admin_url`, as [`Databases::provision`] does. Waits while
/// Postgres is away, and says once why.
///
/// # Errors
/// When the role of `admin_url` lacks rights, or `stop` was cancelled first.
pub async fn provision(
    contexts: &[ContextName],
    admin_url: &str,
    passwords: &RolePasswords,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let provisioning = async {
        let mut told = false;
        while let Err(error) = provision_once(contexts, admin_url, passwords).await {
            if !error.is_transient() {
                return Err(error);
            }
            if !std::mem::replace(&mut told, true) {
                tracing::warn!(%error, "waiting for Postgres");
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    };
    let done = stop.run_until_cancelled(provisioning).await.transpose()?;
    done.context("told to stop before the database was provisioned")
}

async fn provision_once(
    contexts: &[ContextName],
    admin_url: &str,
    passwords: &RolePasswords,
) -> Result<(), StoreError> {
    kefu_postgres::ensure_database(admin_url).await?;
    for context in contexts {
        kefu_postgres::provision(admin_url, context.as_str(), passwords).await?;
    }
    Ok(())
}

/// Brings the schema of one context up to date, as its owner. Waits while Postgres is away or the context is not
/// provisioned yet, and says why.
///
/// # Errors
/// When a migration fails, or `stop` was cancelled first.
pub async fn migrate(
    context: ContextName,
    owner_url: &str,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let owner = PgSettings {
        application_name: format!("kefu-{}-migration", context.as_str()),
        ..PgSettings::new(owner_url)
    };
    let done = kefu_service::bring_up_to_date(&owner, &context.migrators(), stop).await?;
    anyhow::ensure!(done, "told to stop before the schema was up to date");
    Ok(())
}
