//! The customer context: the company's tree, archives, contacts, standings, and the policies that govern them.
//!
//! What holds here, whatever happens:
//!
//! - **One command, one transaction .** The change, its row in the journal with the public event, and the answer that
//!   a retry gets are committed together or not at all. [`app`] has the frame.
//! - **The customer is the lock** of itself and of its standings. A command locks the resource first and claims its request
//!   id afterwards; all take the two in this order.
//! - **A code is given once (C-01):** `C-2026-riverside-000042` counts per last segment of the org unit's path and UTC year,
//!   in the transaction of the registration, without doubles and without gaps.
//! - **One standing in one place (C-10):** a customer has at most one grade per department and product line; its grade
//!   was on the ladder of the policy in force when it was given, and remembers which version that was.
//! - **The tree only grows.** An org unit has a parent, or is a root; its path never changes, and nothing removes it. So
//!   whoever has seen one may rely on it.
//! - **An archive's org unit never changes,** so who may see it follows from its creation: whoever has the right at or
//!   above that org unit. A standing belongs to its department instead.
//! - **Events tell names, not numbers (C-24).** What other contexts learn of a contact is its name and by which channels it
//!   may be reached. The audit trail has phones, e-mails and messenger ids masked; the archive alone has them whole.
//! - **Lists are bounded (X-08)** and cost the same at every level of the tree, see `customer_scope` in the migrations.

pub mod app;
pub mod domain;
pub mod encode;
pub mod grpc;
pub mod store;

use std::sync::Arc;

use kefu_journal::{Tail, requests::prune_until};
use kefu_service::{Assembled, Context, Dependencies, Worker};
use sqlx::migrate::Migrator;

use crate::{app::App, grpc::Grpc};

/// The migrations of the context's own tables, after those of journal and policy.
pub static MIGRATOR: Migrator = sqlx::migrate!();

/// The customer context, as a service is made of it.
#[derive(Clone, Copy, Debug)]
pub struct CustomerContext;

impl Context for CustomerContext {
    const NAME: &'static str = "customer";

    fn migrators() -> Vec<&'static Migrator> {
        vec![&kefu_journal::MIGRATOR, &kefu_policy::MIGRATOR, &MIGRATOR]
    }

    async fn build(deps: Dependencies) -> anyhow::Result<Assembled> {
        let pool = deps.pool()?.clone();
        let tail = Tail::new(pool.clone(), Arc::clone(&deps.wake));
        let app = App::new(
            pool.clone(),
            deps.clock(),
            Arc::clone(&deps.ids),
            Arc::clone(&deps.authorizer),
            tail.clone(),
        );
        let prune = Worker::new("request-pruner", move |shutdown| {
            let pool = pool.clone();
            async move {
                prune_until(pool, shutdown).await;
                Ok(())
            }
        });
        Ok(Assembled::new(Grpc::routes(Arc::new(app))).journal(tail).worker(prune))
    }
}
