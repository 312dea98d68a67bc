//! What a context brings.

use std::sync::Arc;

use kefu_journal::Tail;
use kefu_rpc::{Readiness, Served};
use sqlx::migrate::Migrator;
use tonic::service::Routes;

use crate::{Dependencies, Settle, Worker};

/// A context of the mesh, or the gateway: what a service is made of.
pub trait Context: 'static {
    /// Its name: `customer`, `ticket`, `survey` or `gateway`. Its packages are `kefu.<name>.v…`.
    const NAME: &'static str;

    /// Its migrations in the order in which they are applied, the journal's first; none for a service without a
    /// database.
    fn migrators() -> Vec<&'static Migrator>;

    /// Puts the context together. Must not wait for the database or for other contexts, which may all be away.
    ///
    /// # Errors
    /// What is wrong with the settings; the service does not start.
    fn build(deps: Dependencies) -> impl Future<Output = anyhow::Result<Assembled>> + Send;
}

/// Puts something around a service.
pub(crate) type Around = Box<dyn FnOnce(Served) -> Served + Send>;

/// A context put together, ready to be started.
#[derive(Default)]
pub struct Assembled {
    pub(crate) routes: Routes,
    pub(crate) workers: Vec<Worker>,
    pub(crate) settle: Vec<Arc<dyn Settle>>,
    pub(crate) journal: Option<Tail>,
    pub(crate) readiness: Option<Readiness>,
    pub(crate) handlers: Option<Around>,
    pub(crate) front: Option<Around>,
    pub(crate) own_clock_service: bool,
}

impl Assembled {
    /// A context with these gRPC services. Feed, clock, health and reflection come by themselves.
    pub fn new(routes: Routes) -> Assembled {
        Assembled { routes, ..Assembled::default() }
    }

    /// Adds the context's journal: its feed is served, and its tail is followed.
    #[must_use]
    pub fn journal(self, tail: Tail) -> Assembled {
        Assembled { journal: Some(tail), ..self }
    }

    /// Adds a worker. It is started when the schema is migrated.
    #[must_use]
    pub fn worker(mut self, worker: Worker) -> Assembled {
        self.workers.push(worker);
        self
    }

    /// Adds something that has to come to rest after the manual clock was moved, and be caught up before the service
    /// is ready. They settle in the order in which they are added: what causes before what is caused, so subscribers
    /// before timers.
    #[must_use]
    pub fn settles(mut self, part: Arc<dyn Settle>) -> Assembled {
        self.settle.push(part);
        self
    }

    /// Brings the readiness with the names of the gRPC services that health and reflection show, where these are not
    /// those of the context's packages: the gateway shows all.
    #[must_use]
    pub fn showing(self, readiness: Readiness) -> Assembled {
        Assembled { readiness: Some(readiness), ..self }
    }

    /// Puts something around the routes, below the stack: what passes calls on instead of answering them.
    #[must_use]
    pub fn passing(self, around: impl FnOnce(Served) -> Served + Send + 'static) -> Assembled {
        Assembled { handlers: Some(Box::new(around)), ..self }
    }

    /// Puts something around the whole service, above the stack: what translates other protocols into gRPC. The socket
    /// then speaks HTTP/1.1, too.
    #[must_use]
    pub fn translating(self, around: impl FnOnce(Served) -> Served + Send + 'static) -> Assembled {
        Assembled { front: Some(Box::new(around)), ..self }
    }

    /// Says that the routes have a ClockService of their own: the gateway's, which moves all clocks.
    #[must_use]
    pub fn with_own_clock_service(self) -> Assembled {
        Assembled { own_clock_service: true, ..self }
    }
}
