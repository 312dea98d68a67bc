//! A whole mesh for a test: fresh databases, a manual clock, tokens, and clients that go through the gateway.
//!
//! - [`Mesh::start`]: the four services in the test's own process; the gateway on a real socket.
//! - [`Mesh::start_processes`]: each service a process of its own, as `kefu serve`; replicas of the ticket context can be
//!   added, killed and started again.
//!
//! What holds: nothing is shared with another test but the Postgres server; the clock stands at [`START`] until it is
//! set, and [`Clock::set`] returns when all that follows from it has happened, so that no test waits for time to
//! pass; and when the mesh is dropped, or the test is killed, no process stays behind.

mod clock;
mod processes;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};
use kefu::client::{Client, Signed};
use kefu::database::{ContextName, Databases};
use kefu::home::Home;
use kefu::mesh::MeshOptions;
use kefu_api::customer::v1::customer_policy_service_client::CustomerPolicyServiceClient;
use kefu_api::customer::v1::customer_service_client::CustomerServiceClient;
use kefu_api::customer::v1::org_unit_service_client::OrgUnitServiceClient;
use kefu_api::gateway::v1::gateway_service_client::GatewayServiceClient;
use kefu_api::survey::v1::survey_policy_service_client::SurveyPolicyServiceClient;
use kefu_api::survey::v1::survey_service_client::SurveyServiceClient;
use kefu_api::ticket::v1::corrective_action_service_client::CorrectiveActionServiceClient;
use kefu_api::ticket::v1::duty_service_client::DutyServiceClient;
use kefu_api::ticket::v1::process_service_client::ProcessServiceClient;
use kefu_api::ticket::v1::report_service_client::ReportServiceClient;
use kefu_api::ticket::v1::routing_service_client::RoutingServiceClient;
use kefu_api::ticket::v1::saved_view_service_client::SavedViewServiceClient;
use kefu_api::ticket::v1::shift_service_client::ShiftServiceClient;
use kefu_api::ticket::v1::suggestion_service_client::SuggestionServiceClient;
use kefu_api::ticket::v1::team_service_client::TeamServiceClient;
use kefu_api::ticket::v1::ticket_link_service_client::TicketLinkServiceClient;
use kefu_api::ticket::v1::ticket_policy_service_client::TicketPolicyServiceClient;
use kefu_api::ticket::v1::ticket_service_client::TicketServiceClient;
use kefu_api::ticket::v1::violation_service_client::ViolationServiceClient;
use kefu_api::ticket::v1::work_order_service_client::WorkOrderServiceClient;
use kefu_clock::{ManualClock, SharedClock};
use kefu_identity::{Caller, Minter, OrgUnit, role};
use kefu_postgres::testing::TestDatabase;
use tempfile::TempDir;
use tokio::net::TcpListener;

pub use crate::clock::Clock;
use crate::processes::Processes;
pub use crate::processes::{Replica, kefu_program};

/// What every clock shows at first: nine o'clock in Shanghai on the last Monday before National Day 2026, which is a
/// week with an ordinary beginning, a public holiday at its end, and a make-up working Saturday after the next one.
pub const START: &str = "2026-09-28T01:00:00Z";

/// Tests travel far.
const TOKEN_LIFETIME: SignedDuration = SignedDuration::from_hours(100 * 366 * 24);

/// A mesh of a test's own.
pub struct Mesh {
    clock: ManualClock,
    minter: Minter,
    databases: Databases,
    kind: Kind,
    /// Keys; gone with the mesh.
    home: TempDir,
}

enum Kind {
    /// Whole meshes on the same databases; the first is the one that clients talk to.
    InProcess(Vec<kefu::mesh::Mesh>),
    Processes(Box<Processes>),
}

impl Mesh {
    /// A mesh in this process, ready.
    ///
    /// # Errors
    /// When there is no Postgres, or a service does not become ready.
    pub async fn start() -> anyhow::Result<Mesh> {
        Mesh::start_at(START.parse()?).await
    }

    /// The same with another time on the clocks.
    ///
    /// # Errors
    /// When there is no Postgres, or a service does not become ready.
    pub async fn start_at(now: Timestamp) -> anyhow::Result<Mesh> {
        let (clock, minter, databases, home) = ground(now).await?;
        let kind = Kind::InProcess(vec![in_process(&clock, &databases, &home).await?]);
        Ok(Mesh { clock, minter, databases, kind, home })
    }

    /// A mesh of four processes, ready. Call it from the test's own thread: the kernel ends the processes with it.
    ///
    /// # Errors
    /// When there is no Postgres, the program `kefu` has not been built, or a service does not become ready.
    pub async fn start_processes() -> anyhow::Result<Mesh> {
        Mesh::start_processes_of(kefu_program()?).await
    }

    /// The same with a program that is known.
    ///
    /// # Errors
    /// When there is no Postgres, or a service does not become ready.
    pub async fn start_processes_of(program: impl Into<PathBuf>) -> anyhow::Result<Mesh> {
        let start: Timestamp = START.parse()?;
        let (clock, minter, databases, home) = ground(start).await?;
        let processes = Processes::start(program.into(), key(&home)?, start, &databases).await?;
        let kind = Kind::Processes(Box::new(processes));
        Ok(Mesh { clock, minter, databases, kind, home })
    }

    /// Where the gateway listens.
    pub fn address(&self) -> SocketAddr {
        match &self.kind {
            // There is always a first one.
            Kind::InProcess(meshes) => meshes[0].address(),
            Kind::Processes(processes) => processes.address(),
        }
    }

    /// Where a context listens itself, for a look at one process; clients go through the gateway.
    ///
    /// # Errors
    /// When the mesh is not one of processes.
    pub fn address_of(&self, context: ContextName) -> anyhow::Result<SocketAddr> {
        match &self.kind {
            Kind::Processes(processes) => Ok(processes.address_of(context)),
            Kind::InProcess(_) => anyhow::bail!("this mesh has no processes"),
        }
    }

    /// The databases, for a look behind the services' back.
    pub fn databases(&self) -> &Databases {
        &self.databases
    }

    /// A token for somebody with one role, whose subject is the role's name.
    ///
    /// # Panics
    /// When the org unit is none.
    pub fn token(&self, role: &str, org_unit: &str) -> String {
        self.token_for(role, org_unit, [role], TOKEN_LIFETIME)
    }

    /// A token for somebody in particular.
    ///
    /// # Panics
    /// When the org unit is none or the life time is not positive.
    #[allow(clippy::expect_used, reason = "a test with a wrong org unit is wrong")]
    pub fn token_for<'a>(
        &self,
        subject: &str,
        org_unit: &str,
        roles: impl IntoIterator<Item = &'a str>,
        lifetime: SignedDuration,
    ) -> String {
        let org_unit: OrgUnit = org_unit.parse().expect("an org unit");
        let caller = Caller::staff(subject, org_unit, roles);
        self.minter.mint(&caller, lifetime).expect("a token")
    }

    /// Clients of every service through the gateway.
    ///
    /// # Panics
    /// When the token cannot be put into a header.
    pub fn client(&self, token: &str) -> Client {
        client(self.address(), token)
    }

    /// Archives, contacts, standings.
    pub fn customers(&self, token: &str) -> CustomerServiceClient<Signed> {
        self.client(token).customers()
    }

    /// Customer policies.
    pub fn customer_policies(&self, token: &str) -> CustomerPolicyServiceClient<Signed> {
        self.client(token).customer_policies()
    }

    /// The company's tree.
    pub fn org_units(&self, token: &str) -> OrgUnitServiceClient<Signed> {
        self.client(token).org_units()
    }

    /// Tickets.
    pub fn tickets(&self, token: &str) -> TicketServiceClient<Signed> {
        self.client(token).tickets()
    }

    /// Ticket policies.
    pub fn ticket_policies(&self, token: &str) -> TicketPolicyServiceClient<Signed> {
        self.client(token).ticket_policies()
    }

    /// Reports.
    pub fn reports(&self, token: &str) -> ReportServiceClient<Signed> {
        self.client(token).reports()
    }

    /// Who handles what, and why.
    pub fn routing(&self, token: &str) -> RoutingServiceClient<Signed> {
        self.client(token).routing()
    }

    /// Teams.
    pub fn teams(&self, token: &str) -> TeamServiceClient<Signed> {
        self.client(token).teams()
    }

    /// Rosters, presence and absence.
    pub fn duty(&self, token: &str) -> DutyServiceClient<Signed> {
        self.client(token).duty()
    }

    /// Work orders.
    pub fn work_orders(&self, token: &str) -> WorkOrderServiceClient<Signed> {
        self.client(token).work_orders()
    }

    /// Violations.
    pub fn violations(&self, token: &str) -> ViolationServiceClient<Signed> {
        self.client(token).violations()
    }

    /// Root causes, corrective actions and product holds.
    pub fn corrective_actions(&self, token: &str) -> CorrectiveActionServiceClient<Signed> {
        self.client(token).corrective_actions()
    }

    /// Staged processes.
    pub fn processes(&self, token: &str) -> ProcessServiceClient<Signed> {
        self.client(token).processes()
    }

    /// Suggestions.
    pub fn suggestions(&self, token: &str) -> SuggestionServiceClient<Signed> {
        self.client(token).suggestions()
    }

    /// Duplicates, merges and mass complaints.
    pub fn ticket_links(&self, token: &str) -> TicketLinkServiceClient<Signed> {
        self.client(token).ticket_links()
    }

    /// Shifts.
    pub fn shifts(&self, token: &str) -> ShiftServiceClient<Signed> {
        self.client(token).shifts()
    }

    /// Queues under names.
    pub fn saved_views(&self, token: &str) -> SavedViewServiceClient<Signed> {
        self.client(token).saved_views()
    }

    /// Invitations and answers.
    pub fn surveys(&self, token: &str) -> SurveyServiceClient<Signed> {
        self.client(token).surveys()
    }

    /// Survey policies.
    pub fn survey_policies(&self, token: &str) -> SurveyPolicyServiceClient<Signed> {
        self.client(token).survey_policies()
    }

    /// The gateway's own aggregates.
    pub fn gateway(&self, token: &str) -> GatewayServiceClient<Signed> {
        self.client(token).gateway()
    }

    /// The clock of the whole mesh.
    pub fn clock(&self) -> Clock<'_> {
        let token = self.token(role::OPERATOR, "group");
        let clients = match &self.kind {
            Kind::InProcess(meshes) => {
                meshes.iter().map(|mesh| client(mesh.address(), &token)).collect()
            }
            Kind::Processes(processes) => processes.clients(&token),
        };
        Clock::new(&self.clock, clients)
    }

    /// Stops a context (`customer`, `ticket` or `survey`), as if it were down; of the ticket context, all replicas.
    ///
    /// # Errors
    /// When there is no such context, or it did not stop cleanly.
    pub async fn stop_context(&mut self, name: &str) -> anyhow::Result<()> {
        let name = ContextName::ALL.into_iter().find(|context| context.as_str() == name);
        let name = name.context("there is no such context")?;
        match &mut self.kind {
            Kind::InProcess(meshes) => {
                for mesh in meshes {
                    mesh.stop_context(name).await?;
                }
                Ok(())
            }
            Kind::Processes(processes) => processes.stop_context(name).await,
        }
    }

    /// Starts another replica of the ticket context on the same database, with a gateway of its own in front; in one
    /// process, of the other contexts as well.
    ///
    /// # Errors
    /// When the replica does not become ready.
    pub async fn add_ticket_replica(&mut self) -> anyhow::Result<Replica> {
        let now = kefu_clock::Clock::now(&self.clock);
        match &mut self.kind {
            Kind::Processes(processes) => processes.add_ticket_replica(now, &self.databases).await,
            Kind::InProcess(meshes) => {
                meshes.push(in_process(&self.clock, &self.databases, &self.home).await?);
                Ok(Replica::of(meshes.len() - 1))
            }
        }
    }

    /// Kills a replica of the ticket context as a crash would (SIGKILL).
    ///
    /// # Errors
    /// When it does not run.
    pub async fn kill_9(&mut self, replica: Replica) -> anyhow::Result<()> {
        self.as_processes()?.0.kill_9(replica).await
    }

    /// Starts a replica again that was killed, at the same address; its clock shows what the others show.
    ///
    /// # Errors
    /// When it runs, or does not become ready.
    pub async fn restart(&mut self, replica: Replica) -> anyhow::Result<()> {
        let now = kefu_clock::Clock::now(&self.clock);
        let (processes, databases) = self.as_processes()?;
        processes.restart(replica, now, databases).await
    }

    /// Clients through the gateway in front of a certain replica.
    ///
    /// # Errors
    /// When there is no such replica.
    pub fn client_of(&self, replica: Replica, token: &str) -> anyhow::Result<Client> {
        match &self.kind {
            Kind::Processes(processes) => processes.client_of(replica, token),
            Kind::InProcess(meshes) => {
                let mesh = meshes.get(replica.index()).context("there is no such replica")?;
                Client::new(&format!("http://{}", mesh.address()), token)
            }
        }
    }

    fn as_processes(&mut self) -> anyhow::Result<(&mut Processes, &Databases)> {
        match &mut self.kind {
            Kind::Processes(processes) => Ok((processes, &self.databases)),
            Kind::InProcess(..) => anyhow::bail!("this mesh has no processes"),
        }
    }

    /// Stops everything cleanly. Not needed, but a test of stopping wants to know.
    ///
    /// # Errors
    /// When a service did not stop cleanly.
    pub async fn stop(self) -> anyhow::Result<()> {
        match self.kind {
            Kind::InProcess(meshes) => {
                for mesh in meshes {
                    mesh.stop().await?;
                }
                Ok(())
            }
            Kind::Processes(processes) => processes.stop().await,
        }
    }
}

/// What a mesh stands on: a clock, an identity provider, a database for each context.
async fn ground(now: Timestamp) -> anyhow::Result<(ManualClock, Minter, Databases, TempDir)> {
    let clock = ManualClock::new(now);
    let shared: SharedClock = Arc::new(clock.clone());
    let home = tempfile::tempdir().context("making a temporary directory")?;
    let minter = Home::open(home.path())?.minter(shared)?;
    let [customer, ticket, survey] = ContextName::ALL.map(|context| async move {
        let migrators = context.migrators();
        TestDatabase::context(&migrators, context.as_str()).await.map(|made| made.urls)
    });
    let databases = Databases::new(customer.await?, ticket.await?, survey.await?);
    Ok((clock, minter, databases, home))
}

/// The four services in this process, ready.
async fn in_process(
    clock: &ManualClock,
    databases: &Databases,
    home: &TempDir,
) -> anyhow::Result<kefu::mesh::Mesh> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let options = MeshOptions {
        pool_size: 8,
        ..MeshOptions::new(databases.clone(), clock.clone(), key(home)?, listener)
    };
    let mesh = kefu::mesh::Mesh::start(options).await?;
    mesh.ready().await?;
    Ok(mesh)
}

#[allow(clippy::expect_used, reason = "a token that was made is one")]
fn client(address: SocketAddr, token: &str) -> Client {
    Client::new(&format!("http://{address}"), token).expect("an address and a token")
}

fn key(home: &TempDir) -> anyhow::Result<PathBuf> {
    let path: &Path = home.path();
    Ok(Home::open(path)?.key())
}
