//! The ticket context: complaints, inquiries, requests, from the call to the verdict.
//!
//! What holds here, whatever happens:
//!
//! - **One command, one transaction .** The change, its row in the journal with the public event, and the answer that
//!   a retry gets are committed together or not at all. Registrations share one statement and one commit with others, see
//!   [`app::intake`].
//! - **The ticket is the lock** of all that belongs to it. Every change locks the ticket's row first, then reads, so that a
//!   command, a timer and a survey's answer that meet at one ticket come one after the other, each seeing what the one
//!   before it left.
//! - **A number is given once (T-01):** `T-2026-riverside-000042` counts per org unit and year of its calendar's time zone,
//!   in the statement of the registration, without doubles and without gaps.
//! - **A work order's number is given if and only if the order is there (T-16).** It is counted under a lock in the
//!   transaction that inserts the order, and each order refers to the one before it, so the schema itself allows no gap.
//! - **An order is under a deadline until it is done (T-16):** each report promises the next, and whoever gets it from somebody
//!   else gets a deadline with it.
//! - **A ticket is judged by the policy version in force when it began .** It names that version, which never changes;
//!   a registration whose policies or standings were stale registers nothing and is tried again.
//! - **What is promised can be made anew, once per policy version (T-05, T-06),** by a manager, by a version that says so for
//!   open tickets, by the org unit that accepts a ticket. A clock names the version that promised it, and so its calendar.
//! - **A promise is broken once (T-07).** Breach, violation, escalation and event are one transaction under the ticket's
//!   lock, in any number of replicas, after any crash; what is due is found in the ledger, not in memory.
//! - **A ticket on its way stays where it is (T-11)** until somebody of the receiving org unit accepts it; meanwhile that org
//!   unit sees it. Whoever may not see it any more still gets the answer to its own retry.
//! - **Whose a ticket is can be put right (T-01),** and what hangs on it goes with it in the same transaction; what was promised
//!   stays.
//! - **A registration that goes to headquarters is looked at once (T-15).** The registration's one statement only marks the
//!   ticket; whoever touches it first, at the latest the timers at once, reports it under its lock.
//! - **The ledger is evidence (T-05).** One row per ticket, rule, cycle and round; at most one runs per ticket and rule, which the
//!   schema enforces; an ended cycle's rows are not changed.
//! - **What leaves goes through the outbox (T-14, T-26)**, written in the transaction of what caused it and sent afterwards,
//!   at least once, without a connection held; what cannot be sent is parked where people see it,
//!   and marks its ticket until the customer hears something. A reminder is on record as such only where one was put there.
//! - **A trigger acts once (T-26)** after an event and once in a chain of events, in the transaction that moves the triggers'
//!   cursor over the event; what it did is on record under its name, and what it could not do is found by org unit.
//! - **No call onward while a registration can do without (T-03).** Org units, customers, contacts and standings are copies
//!   kept from the customer context's feed; only what the copy does not know yet is asked for.
//! - **A load is a count (T-03).** How many open tickets of a team somebody owns changes in the transaction that changes
//!   such a ticket, the registration's included, and distributions in one team come one after the other under its lock. So
//!   least load and turns are fair whatever happens at the same time, in any number of replicas.
//! - **Nothing waits for somebody who is away (T-25).** Who works on what is compared with who is there, again and again, by
//!   how things are and not by what has happened; so nothing is missed that came in between or while the process was down.
//! - **Nobody judges what he had a hand in (T-13),** also by an order for the ticket; that is looked up under the ticket's
//!   lock, for which the issue of an order waits.
//! - **A survey's answer counts once (T-13, S-08).** It takes effect in the transaction that moves the feed's cursor, and
//!   the journal has every answer, also one that came too late to count.
//! - **Of a product at most one hold is in force per org unit (T-18),** which the schema enforces. One that the policy places
//!   is committed with the complaint that gives cause.
//! - **A shift that a pattern asks for is planned once (T-17),** by how policies and rosters are, in any number of replicas.
//! - **Nothing is charged without a confirmation, and statements of past months never change (T-19).**
//! - **A process is judged by its ticket's policy and locked by its ticket (T-22).** At most one is under way for a ticket, and of
//!   it each stage runs once at a time, which the schema enforces; it goes where its ticket goes. While it runs the ticket gets
//!   no solution and is not merged; it stands still, goes on and ends with its ticket, in the transaction of what happens to
//!   that. Its deadlines are made of what the ledger's clocks are made of and are no rows of the ledger: those belong to a
//!   cycle, to a rule of the policy's list and to the survivor of a merge, and a stage does not.
//! - **Queues and search follow the journal (T-23).** A worker looks at each ticket that changed as it is then, in the
//!   transaction that moves its place in the journal; commands pay nothing for it, and each answer says how far it is.
//! - **A file is there whole or not at all (T-01).** An intent is on record before the first byte is stored, and goes in the
//!   transaction that brings the attachment; so what a crash leaves in the object store is known and swept. What a file is
//!   is judged by its content; what was refused is on record. No connection is held while bytes flow.
//! - **Commands to many tickets are calls for each (T-23):** the same code, a transaction and an answer of its own; asked again,
//!   what was done is not done twice.
//! - **Who is looking is seen (T-24)** through any replica, and is gone with the process that said so; nothing of it is on
//!   record.
//! - **What is merged is merged into one ticket, and chains of merges end (T-04).** Both tickets are locked in the order of
//!   their ids, and only one that is not merged takes another one: there are no cycles, whoever meets whom.
//! - **What is said on a parent reaches each child once (T-04).** It is put on its way in the transaction of what was said,
//!   and goes from child to child, each in a transaction of its own that moves its place.
//! - **Lists are bounded (X-08)** and cost by the number of org units and the size of the page, not of the table.

pub mod app;
pub mod channel;
pub mod domain;
pub mod encode;
pub mod files;
pub mod grpc;
mod store;
pub mod workers;

use std::sync::Arc;

use anyhow::Context as _;
use kefu_api::customer::v1::customer_service_client::CustomerServiceClient;
use kefu_journal::{Sign, Subscriber, Tail, requests::prune_until};
use kefu_policy::{OrgUnits, PolicyBook};
use kefu_service::{Assembled, Context, Dependencies, Settle, Worker};
use sqlx::migrate::Migrator;

use crate::app::{App, Customers, Intake, OutboxSignal, TimerSignal, Viewers};
use crate::channel::Channels;
use crate::files::Files;
use crate::grpc::Grpc;
use crate::workers::{
    customer_feed::CustomerFeed, duty::DutyKeeper, learning::LearningTimers,
    mass_answers::MassAnswers, outbox::Outbox, policy_rollouts::PolicyRollouts,
    projections::Projections, shift_plan::ShiftPlanner, survey_feed::SurveyFeed, timers::Timers,
    triggers::Triggers, uploads::UploadSweeper, viewers::ViewerKeeper, work_orders::OrderTimers,
};

/// The migrations of the context's own tables, after those of journal and policy.
pub static MIGRATOR: Migrator = sqlx::migrate!();

/// The ticket context, as a service is made of it.
#[derive(Clone, Copy, Debug)]
pub struct TicketContext;

impl Context for TicketContext {
    const NAME: &'static str = "ticket";

    fn migrators() -> Vec<&'static Migrator> {
        vec![&kefu_journal::MIGRATOR, &kefu_policy::MIGRATOR, &MIGRATOR]
    }

    async fn build(deps: Dependencies) -> anyhow::Result<Assembled> {
        let pool = deps.pool()?.clone();
        let app = Arc::new(app(&deps)?);
        let customer_feed = Arc::new(Subscriber::new(
            CustomerFeed,
            deps.feed_of("customer")?,
            pool.clone(),
            deps.clock(),
        ));
        let survey_feed = Arc::new(Subscriber::new(
            SurveyFeed::new(Arc::clone(&app)),
            deps.feed_of("survey")?,
            pool.clone(),
            deps.clock(),
        ));
        let rollouts = PolicyRollouts::new(Arc::clone(&app));
        let timers = Timers::new(Arc::clone(&app));
        let order_timers = OrderTimers::new(Arc::clone(&app));
        let duty = DutyKeeper::new(Arc::clone(&app));
        let shift_planner = ShiftPlanner::new(Arc::clone(&app));
        let learning_timers = LearningTimers::new(Arc::clone(&app));
        let [queue, search] = Projections::of(&app);
        let triggers = Triggers::new(Arc::clone(&app));
        let outbox = Outbox::new(Arc::clone(&app));
        let sweeper = UploadSweeper::new(Arc::clone(&app));
        let viewers = ViewerKeeper::new(Arc::clone(&app));
        let mass_answers = MassAnswers::new(Arc::clone(&app));
        let mut assembled = Assembled::new(Grpc::routes(Arc::clone(&app)))
            .journal(app.tail.clone())
            // What causes before what is caused.
            .settles(Arc::clone(&customer_feed) as Arc<dyn Settle>)
            .settles(Arc::clone(&survey_feed) as Arc<dyn Settle>)
            .settles(Arc::new(rollouts.clone()))
            .worker(worker("policy-rollouts", rollouts, PolicyRollouts::run))
            .settles(Arc::new(timers.clone()))
            .settles(Arc::new(order_timers.clone()))
            .settles(Arc::new(duty.clone()))
            .worker(worker("duty", duty, DutyKeeper::run))
            .settles(Arc::new(shift_planner.clone()))
            .settles(Arc::new(learning_timers.clone()))
            .settles(Arc::new(queue.clone()))
            .settles(Arc::new(search.clone()))
            .settles(Arc::new(triggers.clone()))
            .settles(Arc::new(mass_answers.clone()))
            .settles(Arc::new(outbox.clone()))
            .settles(Arc::new(sweeper.clone()))
            .worker(worker("upload-sweeper", sweeper, UploadSweeper::run))
            .settles(Arc::new(viewers.clone()))
            .worker(worker("viewers", viewers, ViewerKeeper::run))
            .worker(worker("customer-feed", customer_feed, |feed, shutdown| async move {
                feed.run(shutdown).await;
                Ok(())
            }))
            .worker(worker("survey-feed", survey_feed, |feed, shutdown| async move {
                feed.run(shutdown).await;
                Ok(())
            }))
            .worker(worker("timers", timers, |timers, shutdown| async move {
                timers.run(shutdown).await;
                Ok(())
            }))
            .worker(worker("work-order-timers", order_timers, OrderTimers::run))
            .worker(worker("shift-planner", shift_planner, ShiftPlanner::run))
            .worker(worker("learning-timers", learning_timers, LearningTimers::run))
            .worker(worker("queue", queue, Projections::run))
            .worker(worker("search", search, Projections::run))
            .worker(worker("triggers", triggers, Triggers::run))
            .worker(worker("outbox", outbox, Outbox::run))
            .worker(worker("mass-answers", mass_answers, MassAnswers::run))
            .worker(worker("request-pruner", pool, |pool, shutdown| async move {
                prune_until(pool, shutdown).await;
                Ok(())
            }));
        for _ in 0..app::intake::WRITERS {
            let writer = worker("intake", app.intake.clone(), |intake, shutdown| async move {
                intake.write(shutdown).await;
                Ok(())
            });
            assembled = assembled.worker(writer.until_drained());
        }
        Ok(assembled)
    }
}

fn app(deps: &Dependencies) -> anyhow::Result<App> {
    let pool = deps.pool()?.clone();
    let tail = Tail::new(pool.clone(), Arc::clone(&deps.wake));
    let timers = TimerSignal::default();
    let customer = deps.peers.get("customer")?;
    let token = deps.token.clone();
    let sign: Sign = Arc::new(move |metadata| token.sign(metadata));
    Ok(App {
        policies: PolicyBook::new(pool.clone()),
        org_units: OrgUnits::new(pool.clone(), customer.clone(), Arc::clone(&sign)),
        customers: Customers::new(
            pool.clone(),
            deps.clock(),
            CustomerServiceClient::new(customer),
            sign,
        ),
        intake: Intake::new(pool.clone(), tail.clone(), timers.clone(), Arc::clone(&deps.ids)),
        clock: deps.clock(),
        ids: Arc::clone(&deps.ids),
        authorizer: Arc::clone(&deps.authorizer),
        timers,
        order_timers: TimerSignal::default(),
        learning_timers: TimerSignal::default(),
        reports: app::report::ReportGate::default(),
        queue_units: app::queue::QueueUnits::default(),
        sampled: app::search::Sampled::default(),
        channels: Channels::load(deps.delivery_file.as_deref()).context("KEFU_DELIVERY_FILE")?,
        outbox: OutboxSignal::default(),
        files: Files::open(deps.attachment_store.as_deref()).context("KEFU_ATTACHMENT_STORE")?,
        viewers: Viewers::new(deps.ids.uuid()),
        mass_answers: OutboxSignal::default(),
        tail,
        pool,
    })
}

/// A worker that begins with a clone of what it works on, also when it is started again.
fn worker<T, W>(
    name: &'static str,
    with: T,
    run: impl Fn(T, tokio_util::sync::CancellationToken) -> W + Send + Sync + 'static,
) -> Worker
where
    T: Clone + Send + Sync + 'static,
    W: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    Worker::new(name, move |shutdown| run(with.clone(), shutdown))
}
