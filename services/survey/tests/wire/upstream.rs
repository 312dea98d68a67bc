//! The contexts whose feeds are read: real ones as far as journal and feed go.

use std::sync::Arc;

use kefu_api::customer::v1::{
    CreateOrgUnitRequest, GetOrgUnitRequest, ListOrgUnitsRequest, ListOrgUnitsResponse, OrgUnit,
    UpdateOrgUnitRequest,
    org_unit_service_server::{OrgUnitService, OrgUnitServiceServer},
};
use kefu_clock::{Clock as _, IdSource, ManualClock};
use kefu_journal::{Entry, Provenance, PublicEvent, Tail};
use kefu_postgres::testing::{TestContext, TestDatabase};
use kefu_rpc::Transport;
use kefu_service::{Assembled, Context, Dependencies, Running, StartOptions, start_in_process};
use sqlx::{PgPool, migrate::Migrator};
use tokio::sync::Notify;
use tonic::{Request, Response, Status, service::Routes};
use uuid::Uuid;

/// An org unit which the customer context has made, and of which its feed has not told yet.
pub const FRESH: &str = "group/fresh";

/// A ticket context that consists of its journal.
pub struct Tickets;

/// A customer context that consists of its journal and knows one org unit.
pub struct Customers;

struct Tree;

impl Context for Tickets {
    const NAME: &'static str = "ticket";

    fn migrators() -> Vec<&'static Migrator> {
        vec![&kefu_journal::MIGRATOR]
    }

    async fn build(deps: Dependencies) -> anyhow::Result<Assembled> {
        let tail = Tail::new(deps.pool()?.clone(), Arc::clone(&deps.wake));
        Ok(Assembled::new(Routes::default()).journal(tail))
    }
}

impl Context for Customers {
    const NAME: &'static str = "customer";

    fn migrators() -> Vec<&'static Migrator> {
        vec![&kefu_journal::MIGRATOR]
    }

    async fn build(deps: Dependencies) -> anyhow::Result<Assembled> {
        let tail = Tail::new(deps.pool()?.clone(), Arc::clone(&deps.wake));
        Ok(Assembled::new(Routes::new(OrgUnitServiceServer::new(Tree))).journal(tail))
    }
}

#[tonic::async_trait]
impl OrgUnitService for Tree {
    async fn get_org_unit(
        &self,
        request: Request<GetOrgUnitRequest>,
    ) -> Result<Response<OrgUnit>, Status> {
        let name = request.into_inner().name;
        if name == format!("orgUnits/{FRESH}") {
            return Ok(Response::new(OrgUnit { name, ..OrgUnit::default() }));
        }
        Err(kefu_rpc::not_found("kefu.dev/OrgUnit", &name))
    }

    async fn create_org_unit(
        &self,
        _: Request<CreateOrgUnitRequest>,
    ) -> Result<Response<OrgUnit>, Status> {
        Err(Status::unimplemented("not asked for"))
    }

    async fn update_org_unit(
        &self,
        _: Request<UpdateOrgUnitRequest>,
    ) -> Result<Response<OrgUnit>, Status> {
        Err(Status::unimplemented("not asked for"))
    }

    async fn list_org_units(
        &self,
        _: Request<ListOrgUnitsRequest>,
    ) -> Result<Response<ListOrgUnitsResponse>, Status> {
        Err(Status::unimplemented("not asked for"))
    }
}

/// A context that tells what the test has it tell.
pub struct Upstream {
    pool: PgPool,
    clock: ManualClock,
    ids: Arc<IdSource>,
    wake: Arc<Notify>,
    running: Running,
    _database: TestContext,
}

impl Upstream {
    /// Starts one; `deps` is for another service and lends what is not its own.
    pub async fn start<C: Context>(deps: &Dependencies, clock: &ManualClock) -> Self {
        let database = TestDatabase::context(&C::migrators(), C::NAME).await.unwrap();
        let pool = database.pool().unwrap();
        let wake = Arc::new(Notify::new());
        let deps = Dependencies {
            database: Some(pool.clone()),
            wake: Arc::clone(&wake),
            delivery_file: None,
            attachment_store: None,
            shutdown: tokio_util::sync::CancellationToken::new(),
            ..deps.clone()
        };
        let ids = Arc::clone(&deps.ids);
        let running = start_in_process::<C>(deps, StartOptions::default()).await.unwrap();
        running.ready().await.unwrap();
        Self { pool, clock: clock.clone(), ids, wake, running, _database: database }
    }

    pub fn transport(&self) -> Transport {
        self.running.transport()
    }

    /// Tells of a change, as of now.
    pub async fn tell(&self, aggregate: (&str, Uuid), revision: i64, event: PublicEvent) {
        let mut tx = kefu_postgres::begin(&self.pool).await.unwrap();
        let entry = Entry {
            by: &Provenance { actor: "test".into(), ..Provenance::default() },
            event_id: self.ids.uuid(),
            occurred_at: self.clock.now(),
            aggregate_type: aggregate.0,
            aggregate_id: aggregate.1,
            revision,
            action: "test.Tell",
            org_unit: "group",
            customer_id: None,
            before: None,
            after: None,
            event: Some(event),
        };
        kefu_journal::append(&mut tx, &[entry]).await.unwrap();
        tx.commit().await.unwrap();
        self.wake.notify_one();
    }

    /// Stops it, as a context that is down.
    pub async fn stop(self) {
        self.running.stop().await.unwrap();
    }
}
