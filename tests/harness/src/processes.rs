//! A mesh of processes.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use jiff::Timestamp;
use kefu::children::{ChildOptions, Service};
use kefu::client::Client;
use kefu::database::{ContextName, Databases};
use kefu_service::ClockSetting;

/// One of the ticket context's processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replica(usize);

impl Replica {
    /// The one that is there from the start.
    pub const FIRST: Replica = Replica(0);

    pub(crate) const fn of(index: usize) -> Replica {
        Replica(index)
    }

    pub(crate) const fn index(self) -> usize {
        self.0
    }
}

/// The program `kefu` of the same build as the running test.
///
/// # Errors
/// When it has not been built: `cargo nextest run --workspace` does, a run of one package need not.
pub fn kefu_program() -> anyhow::Result<PathBuf> {
    let test = std::env::current_exe().context("finding this test")?;
    // target/<profile>/deps/<test>
    let profile = test.parent().and_then(|deps| deps.parent()).context("finding the build")?;
    let program = profile.join("kefu");
    anyhow::ensure!(
        program.exists(),
        "the program kefu has not been built for this test; run `cargo build -p kefu` first"
    );
    Ok(program)
}

/// A ticket context and the gateway in front of it.
struct Pair {
    ticket: Option<Service>,
    address: SocketAddr,
    gateway: Service,
}

/// The processes of a mesh.
pub(crate) struct Processes {
    options: ChildOptions,
    customer: Option<Service>,
    survey: Option<Service>,
    pairs: Vec<Pair>,
}

impl Processes {
    pub(crate) async fn start(
        program: PathBuf,
        key: PathBuf,
        now: Timestamp,
        databases: &Databases,
    ) -> anyhow::Result<Processes> {
        let [customer, ticket, survey] = free_addresses()?;
        let options = ChildOptions {
            program,
            key,
            clock: ClockSetting::Manual(now),
            customer,
            ticket,
            survey,
            log_filter: "warn".to_owned(),
            otlp_endpoint: None,
            delivery_file: None,
            attachment_store: None,
        };
        let start =
            |context| options.context(context, options.address_of(context), databases.of(context));
        let mut processes = Processes {
            customer: Some(start(ContextName::Customer)?),
            survey: Some(start(ContextName::Survey)?),
            pairs: Vec::new(),
            options: options.clone(),
        };
        processes.add_pair(ticket, now, databases).await?;
        for service in [&mut processes.customer, &mut processes.survey].into_iter().flatten() {
            service.ready().await?;
        }
        for pair in &mut processes.pairs {
            pair.gateway.ready().await?;
        }
        Ok(processes)
    }

    async fn add_pair(
        &mut self,
        ticket: SocketAddr,
        now: Timestamp,
        databases: &Databases,
    ) -> anyhow::Result<Replica> {
        let [listen] = free_addresses()?;
        let options =
            ChildOptions { ticket, clock: ClockSetting::Manual(now), ..self.options.clone() };
        let urls = databases.of(ContextName::Ticket);
        let mut service = options.context(ContextName::Ticket, ticket, urls)?;
        let gateway = options.gateway(listen)?;
        service.ready().await?;
        self.pairs.push(Pair { ticket: Some(service), address: ticket, gateway });
        Ok(Replica(self.pairs.len() - 1))
    }

    pub(crate) async fn add_ticket_replica(
        &mut self,
        now: Timestamp,
        databases: &Databases,
    ) -> anyhow::Result<Replica> {
        let [ticket] = free_addresses()?;
        let replica = self.add_pair(ticket, now, databases).await?;
        self.pair(replica)?.gateway.ready().await?;
        Ok(replica)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.pairs.first().map_or(self.options.ticket, |pair| pair.gateway.address())
    }

    pub(crate) fn address_of(&self, context: ContextName) -> SocketAddr {
        self.options.address_of(context)
    }

    pub(crate) async fn kill_9(&mut self, replica: Replica) -> anyhow::Result<()> {
        let ticket = self.pair(replica)?.ticket.take().context("that replica does not run")?;
        ticket.kill().await
    }

    pub(crate) async fn restart(
        &mut self,
        replica: Replica,
        now: Timestamp,
        databases: &Databases,
    ) -> anyhow::Result<()> {
        let options = ChildOptions { clock: ClockSetting::Manual(now), ..self.options.clone() };
        let pair = self.pair(replica)?;
        anyhow::ensure!(pair.ticket.is_none(), "that replica runs");
        let urls = databases.of(ContextName::Ticket);
        let mut service = options.context(ContextName::Ticket, pair.address, urls)?;
        service.ready().await?;
        pair.ticket = Some(service);
        Ok(())
    }

    pub(crate) fn client_of(&self, replica: Replica, token: &str) -> anyhow::Result<Client> {
        let pair = self.pairs.get(replica.0).context("there is no such replica")?;
        Client::new(&format!("http://{}", pair.gateway.address()), token)
    }

    /// A client for each gateway whose ticket context runs; all of them where none does.
    pub(crate) fn clients(&self, token: &str) -> Vec<Client> {
        let running: Vec<&Pair> = self.pairs.iter().filter(|pair| pair.ticket.is_some()).collect();
        let pairs = if running.is_empty() { self.pairs.iter().collect() } else { running };
        let clients = pairs
            .into_iter()
            .map(|pair| Client::new(&format!("http://{}", pair.gateway.address()), token));
        clients.filter_map(Result::ok).collect()
    }

    pub(crate) async fn stop_context(&mut self, name: ContextName) -> anyhow::Result<()> {
        let stopping: Vec<Option<Service>> = match name {
            ContextName::Customer => vec![self.customer.take()],
            ContextName::Survey => vec![self.survey.take()],
            ContextName::Ticket => self.pairs.iter_mut().map(|pair| pair.ticket.take()).collect(),
        };
        for service in stopping.into_iter().flatten() {
            service.stop().await?;
        }
        Ok(())
    }

    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        let mut contexts = vec![self.customer, self.survey];
        for pair in self.pairs {
            pair.gateway.stop().await?;
            contexts.push(pair.ticket);
        }
        // Asked one after the other, each stops within its own time.
        for service in contexts.into_iter().flatten() {
            service.stop().await?;
        }
        Ok(())
    }

    fn pair(&mut self, replica: Replica) -> anyhow::Result<&mut Pair> {
        self.pairs.get_mut(replica.0).context("there is no such replica")
    }
}

/// Addresses at which nobody listens. Taken all at once, so that they differ.
fn free_addresses<const N: usize>() -> anyhow::Result<[SocketAddr; N]> {
    let mut listeners = Vec::with_capacity(N);
    let mut addresses = [SocketAddr::from(([127, 0, 0, 1], 0)); N];
    for address in &mut addresses {
        let listener = std::net::TcpListener::bind(*address).context("finding a free port")?;
        *address = listener.local_addr()?;
        listeners.push(listener);
    }
    Ok(addresses)
}
