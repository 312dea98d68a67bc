//! The survey context: who is asked whether they are content, by invitations, and what they answer.
//!
//! What holds here, whatever happens:
//!
//! - **One command, one transaction .** The change, its row in the journal with the public event, and the answer that
//!   a retry gets are committed together or not at all. [`app`] has the frame. What a feed causes is committed together
//!   with the feed's cursor.
//! - **One invitation for each ticket, cycle and campaign (S-02, S-04),** made when the ticket context tells that a result
//!   was fed back and the survey policy in force at that time has a call-back for the ticket's org unit. A unique key proves
//!   it, however often the event comes.
//! - **Unregistered and unknown are asked, too:** then customer or contact of the invitation are empty, and whoever can
//!   reach the complainant gets the token.
//! - **Who does not want to be contacted is not asked (S-03, C-02).** A contact that has closed *every* channel gets no
//!   invitation, and what was open is taken back when it closes the last one, in whatever order the two feeds tell it. As
//!   long as a channel is left, choosing it is the business of whoever sends the link.
//! - **The token is the permission (S-04).** 32 random bytes, given out once; only their SHA-256 is stored, and none of the
//!   two is in the journal or the log. Issuing again retires the token before. A token that is unknown, retired, expired or
//!   of a revoked invitation gets one and the same error: a hash is stored only while its token works.
//! - **One answer (S-05),** whatever the race: the invitation is locked, its state says whether an answer can still come,
//!   and a unique key proves it. The same request id and content gets the first answer again; request ids of a token's
//!   holder count for its invitation, since anonymous callers are not one and the same.
//! - **Nobody judges his own work (T-13, S-05).** Whoever handled the ticket can neither be given the token nor submit the
//!   answer under his name.
//! - **The verdict of a call ends the question (T-13).** A ticket that was closed, reopened or cancelled without our answer
//!   has its open invitations taken back.
//! - **Time ends it, too.** From its expire time on no call takes an answer, whether or not the timer has said so yet. The
//!   timer is the invitations' own rows, shared by all replicas: each is expired once.
//! - **The questionnaire stays what it was :** an invitation remembers the version of the policy by which it was made.
//! - **An answered call-back is told in its own transaction (S-08):** the ticket context takes its verdict from the event.

pub mod app;
pub mod domain;
pub mod encode;
pub mod grpc;
pub mod store;
pub mod workers;

use std::sync::Arc;

use kefu_journal::{Consumer, Subscriber, Tail, requests::prune_until};
use kefu_policy::OrgUnits;
use kefu_service::{Assembled, Context, Dependencies, Worker};
use sqlx::migrate::Migrator;

use crate::{
    app::{App, Parts},
    grpc::Grpc,
    workers::{customer_feed::CustomerFeed, expiry::Expiry, ticket_feed::TicketFeed},
};

/// The migrations of the context's own tables, after those of journal and policy.
pub static MIGRATOR: Migrator = sqlx::migrate!();

/// The survey context, as a service is made of it.
#[derive(Clone, Copy, Debug)]
pub struct SurveyContext;

impl Context for SurveyContext {
    const NAME: &'static str = "survey";

    fn migrators() -> Vec<&'static Migrator> {
        vec![&kefu_journal::MIGRATOR, &kefu_policy::MIGRATOR, &MIGRATOR]
    }

    async fn build(deps: Dependencies) -> anyhow::Result<Assembled> {
        let pool = deps.pool()?.clone();
        let tail = Tail::new(pool.clone(), Arc::clone(&deps.wake));
        let token = deps.token.clone();
        let app = Arc::new(App::new(Parts {
            pool: pool.clone(),
            clock: deps.clock(),
            ids: Arc::clone(&deps.ids),
            authorizer: Arc::clone(&deps.authorizer),
            org_units: OrgUnits::new(
                pool.clone(),
                deps.peers.get("customer")?,
                Arc::new(move |metadata| token.sign(metadata)),
            ),
            tail: tail.clone(),
        }));
        let customers = subscriber(&deps, CustomerFeed::new(Arc::clone(&app)))?;
        let tickets = subscriber(&deps, TicketFeed::new(Arc::clone(&app)))?;
        let expiry = Expiry::new(Arc::clone(&app));
        let timer = expiry.clone();
        let prune = Worker::new("request-pruner", move |shutdown| {
            let pool = pool.clone();
            async move {
                prune_until(pool, shutdown).await;
                Ok(())
            }
        });
        Ok(Assembled::new(Grpc::routes(app))
            .journal(tail)
            .worker(reader("customer-feed", &customers))
            .worker(reader("ticket-feed", &tickets))
            .worker(Worker::new("invitation-expiry", move |shutdown| {
                let timer = timer.clone();
                async move { Ok(timer.run(shutdown).await?) }
            }))
            .worker(prune)
            // Who may be asked before who is asked before whose time is over.
            .settles(customers)
            .settles(tickets)
            .settles(Arc::new(expiry)))
    }
}

fn subscriber<C: Consumer>(deps: &Dependencies, consumer: C) -> anyhow::Result<Arc<Subscriber<C>>> {
    let upstream = deps.feed_of(consumer.source())?;
    Ok(Arc::new(Subscriber::new(consumer, upstream, deps.pool()?.clone(), deps.clock())))
}

fn reader<C: Consumer>(name: &'static str, subscriber: &Arc<Subscriber<C>>) -> Worker {
    let subscriber = Arc::clone(subscriber);
    Worker::new(name, move |shutdown| {
        let subscriber = Arc::clone(&subscriber);
        async move {
            subscriber.run(shutdown).await;
            Ok(())
        }
    })
}
