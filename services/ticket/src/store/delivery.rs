//! Table `delivery`: the outbox.

use std::time::Duration;

use jiff_sqlx::{Timestamp, ToSqlx as _};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use kefu_postgres::StoreError;

use super::read;
use crate::domain::{AdapterKind, Delivery, DeliveryContent, DeliveryState, Patience, Ticket};

/// A delivery as it is stored.
#[derive(Debug)]
pub(crate) struct DeliveryRow {
    id: Uuid,
    revision: i64,
    ticket_id: Uuid,
    customer_id: Option<Uuid>,
    org_unit: String,
    message_id: Option<Uuid>,
    content: String,
    rule: Option<String>,
    adapter: String,
    kind: String,
    recipient: String,
    subject: String,
    body: Option<String>,
    state: String,
    attempts: i32,
    allowed_attempts: i32,
    round_attempts: i32,
    first_wait_ms: i64,
    longest_wait_ms: i64,
    next_attempt_at: Option<Timestamp>,
    last_error: Option<String>,
    provider_id: Option<String>,
    sent_at: Option<Timestamp>,
    created_by: String,
    created_at: Timestamp,
    updated_at: Timestamp,
    lease: Option<Uuid>,
    in_flight: bool,
}

/// A delivery and who is sending it.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) delivery: Delivery,
    pub(crate) lease: Option<Uuid>,
    /// Whether the lease still counts.
    pub(crate) in_flight: bool,
}

fn count(column: &str, number: i32) -> Result<u32, StoreError> {
    read(column, u32::try_from(number))
}

fn milliseconds(column: &str, number: i64) -> Result<Duration, StoreError> {
    Ok(Duration::from_millis(read(column, u64::try_from(number))?))
}

impl DeliveryRow {
    fn into_held(self) -> Result<Held, StoreError> {
        let delivery = Delivery {
            id: self.id,
            revision: self.revision,
            ticket: self.ticket_id,
            customer: self.customer_id,
            org_unit: self.org_unit,
            message: self.message_id,
            content: read("delivery.content", self.content.parse())?,
            rule: self.rule,
            adapter: self.adapter,
            kind: read("delivery.kind", self.kind.parse())?,
            recipient: self.recipient,
            subject: self.subject,
            body: self.body,
            state: read("delivery.state", self.state.parse())?,
            attempts: count("delivery.attempts", self.attempts)?,
            allowed_attempts: count("delivery.allowed_attempts", self.allowed_attempts)?,
            patience: Patience {
                attempts: count("delivery.round_attempts", self.round_attempts)?,
                first: milliseconds("delivery.first_wait_ms", self.first_wait_ms)?,
                longest: milliseconds("delivery.longest_wait_ms", self.longest_wait_ms)?,
            },
            next_attempt_at: self.next_attempt_at.map(Timestamp::to_jiff),
            last_error: self.last_error,
            provider_id: self.provider_id,
            sent_at: self.sent_at.map(Timestamp::to_jiff),
            created_by: self.created_by.into(),
            created_at: self.created_at.to_jiff(),
            updated_at: self.updated_at.to_jiff(),
        };
        Ok(Held { delivery, lease: self.lease, in_flight: self.in_flight })
    }
}

fn number(column: &str, value: u32) -> Result<i32, StoreError> {
    read(column, i32::try_from(value))
}

fn whole_milliseconds(wait: Duration) -> i64 {
    i64::try_from(wait.as_millis()).unwrap_or(i64::MAX).max(1)
}

/// Puts something in the outbox.
pub(crate) async fn insert(conn: &mut PgConnection, delivery: &Delivery) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO delivery
             (id, revision, ticket_id, customer_id, org_unit, message_id, content, rule, adapter, kind, recipient, subject,
              body, state, attempts, allowed_attempts, round_attempts, first_wait_ms, longest_wait_ms, next_attempt_at,
              last_error, created_by, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24)",
        delivery.id,
        delivery.revision,
        delivery.ticket,
        delivery.customer,
        delivery.org_unit,
        delivery.message,
        delivery.content.code(),
        delivery.rule,
        delivery.adapter,
        delivery.kind.code(),
        delivery.recipient,
        delivery.subject,
        delivery.body,
        delivery.state.code(),
        number("delivery.attempts", delivery.attempts)?,
        number("delivery.allowed_attempts", delivery.allowed_attempts)?,
        number("delivery.round_attempts", delivery.patience.attempts)?,
        whole_milliseconds(delivery.patience.first),
        whole_milliseconds(delivery.patience.longest),
        delivery.next_attempt_at.map(|at| at.to_sqlx()) as _,
        delivery.last_error,
        &*delivery.created_by,
        delivery.created_at.to_sqlx() as _,
        delivery.updated_at.to_sqlx() as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// One delivery.
pub(crate) async fn find(conn: &mut PgConnection, id: Uuid) -> Result<Option<Held>, StoreError> {
    let row = sqlx::query_file_as!(DeliveryRow, "src/store/delivery_get.sql", id);
    row.fetch_optional(conn).await?.map(DeliveryRow::into_held).transpose()
}

/// Locks a delivery for this transaction and tells its org unit; whatever is read after this is what the last change left.
pub(crate) async fn lock(conn: &mut PgConnection, id: Uuid) -> Result<Option<String>, StoreError> {
    Ok(sqlx::query_scalar!("SELECT org_unit FROM delivery WHERE id = $1 FOR NO KEY UPDATE", id)
        .fetch_optional(conn)
        .await?)
}

/// Locks, in the order of their ids, what of the messages on a ticket that this transaction has locked has not left.
pub(crate) async fn lock_unsent(
    conn: &mut PgConnection,
    ticket: Uuid,
) -> Result<Vec<Uuid>, StoreError> {
    Ok(sqlx::query_scalar!(
        "SELECT id FROM delivery
         WHERE ticket_id = $1 AND content = 'message' AND state IN ('pending', 'parked')
         ORDER BY id FOR NO KEY UPDATE",
        ticket
    )
    .fetch_all(conn)
    .await?)
}

/// Writes what may have changed of a delivery that this transaction has locked, and ends the lease if `release`.
pub(crate) async fn update(
    conn: &mut PgConnection,
    delivery: &Delivery,
    release: bool,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE delivery
         SET revision = $2, state = $3, allowed_attempts = $4, next_attempt_at = $5, last_error = $6, provider_id = $7,
             sent_at = $8, updated_at = $9, lease = CASE WHEN $10 THEN NULL ELSE lease END,
             leased_until = CASE WHEN $10 THEN NULL ELSE leased_until END
         WHERE id = $1",
        delivery.id,
        delivery.revision,
        delivery.state.code(),
        number("delivery.allowed_attempts", delivery.allowed_attempts)?,
        delivery.next_attempt_at.map(|at| at.to_sqlx()) as _,
        delivery.last_error,
        delivery.provider_id,
        delivery.sent_at.map(|at| at.to_sqlx()) as _,
        delivery.updated_at.to_sqlx() as _,
        release,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What somebody has leased in order to send it.
#[derive(Clone, Debug)]
pub(crate) struct Claimed {
    pub(crate) id: Uuid,
    pub(crate) ticket: Uuid,
    pub(crate) ticket_number: String,
    pub(crate) content: DeliveryContent,
    pub(crate) adapter: String,
    pub(crate) kind: AdapterKind,
    pub(crate) recipient: String,
    pub(crate) subject: String,
    pub(crate) body: String,
    /// This one included.
    pub(crate) attempts: u32,
    pub(crate) allowed_attempts: u32,
    pub(crate) created_at: jiff::Timestamp,
    pub(crate) created_by: String,
    pub(crate) lease: Uuid,
}

/// Leases up to `limit` deliveries of an adapter that are due, in one statement.
pub(crate) async fn claim(
    pool: &PgPool,
    adapter: &str,
    now: jiff::Timestamp,
    limit: i64,
    lease: (Uuid, Duration),
) -> Result<Vec<Claimed>, StoreError> {
    let (lease, time) = lease;
    let rows = sqlx::query_file!(
        "src/store/delivery_claim.sql",
        now.to_sqlx() as _,
        adapter,
        limit,
        lease,
        time.as_secs_f64(),
    )
    .fetch_all(pool)
    .await?;
    let rows = rows.into_iter().map(|row| {
        Ok(Claimed {
            id: row.id,
            ticket: row.ticket_id,
            ticket_number: row.ticket_number,
            content: read("delivery.content", row.content.parse())?,
            adapter: row.adapter,
            kind: read("delivery.kind", row.kind.parse())?,
            recipient: row.recipient,
            subject: row.subject,
            body: row.body,
            attempts: count("delivery.attempts", row.attempts)?,
            allowed_attempts: count("delivery.allowed_attempts", row.allowed_attempts)?,
            created_at: row.created_at.to_jiff(),
            created_by: row.created_by,
            lease,
        })
    });
    rows.collect()
}

/// When something of an adapter will be due that nobody is sending.
pub(crate) async fn next_due(
    pool: &PgPool,
    adapter: &str,
) -> Result<Option<jiff::Timestamp>, StoreError> {
    let at = sqlx::query_scalar!(
        r#"SELECT next_attempt_at AS "at!: Timestamp" FROM delivery
           WHERE state = 'pending' AND adapter = $1 AND (leased_until IS NULL OR leased_until <= now())
           ORDER BY next_attempt_at LIMIT 1"#,
        adapter,
    )
    .fetch_optional(pool)
    .await?;
    Ok(at.map(Timestamp::to_jiff))
}

/// The adapters that something waits for and that are not among these: one look into the index for each that there is,
/// however much waits for it.
pub(crate) async fn strangers(pool: &PgPool, known: &[String]) -> Result<Vec<String>, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"WITH RECURSIVE waited_for AS (
               (SELECT adapter FROM delivery WHERE state = 'pending' ORDER BY adapter LIMIT 1)
               UNION ALL
               SELECT (SELECT delivery.adapter FROM delivery
                       WHERE state = 'pending' AND delivery.adapter > waited_for.adapter
                       ORDER BY delivery.adapter LIMIT 1)
               FROM waited_for WHERE waited_for.adapter IS NOT NULL
           )
           SELECT adapter AS "adapter!" FROM waited_for
           WHERE adapter IS NOT NULL AND adapter <> ALL ($1)
           LIMIT 100"#,
        known,
    )
    .fetch_all(pool)
    .await?)
}

/// How many deliveries are parked, counted no further than ten thousand, and since when the oldest waits that is neither sent
/// nor given up.
pub(crate) async fn backlog(pool: &PgPool) -> Result<(u64, Option<jiff::Timestamp>), StoreError> {
    let row = sqlx::query!(
        r#"SELECT (SELECT count(*) FROM (SELECT FROM delivery WHERE state = 'parked' LIMIT 10000) AS parked) AS "parked!",
                  (SELECT min(created_at) FROM delivery WHERE state = 'pending') AS "oldest: Timestamp""#,
    )
    .fetch_one(pool)
    .await?;
    let parked = read("delivery", u64::try_from(row.parked))?;
    Ok((parked, row.oldest.map(Timestamp::to_jiff)))
}

/// Which deliveries, and from where on.
#[derive(Clone, Debug)]
pub(crate) struct DeliveryQuery {
    /// Of tickets at and below this org unit.
    pub(crate) org_unit: String,
    /// In one of these states.
    pub(crate) states: Vec<DeliveryState>,
    /// Of this ticket only.
    pub(crate) ticket: Option<Uuid>,
    /// Older than this one.
    pub(crate) after: Option<(jiff::Timestamp, Uuid)>,
    /// At most so many.
    pub(crate) limit: i64,
}

/// The newest deliveries that the query asks for, newest first: one statement.
pub(crate) async fn list(
    conn: &mut PgConnection,
    query: &DeliveryQuery,
) -> Result<Vec<Delivery>, StoreError> {
    let states: Vec<&str> = query.states.iter().map(|state| state.code()).collect();
    let (at, id) = query.after.unzip();
    let at = at.map(|at| at.to_sqlx());
    let rows = match query.ticket {
        None => {
            sqlx::query_file_as!(
                DeliveryRow,
                "src/store/delivery_list.sql",
                query.org_unit,
                &states as _,
                at as _,
                id as _,
                query.limit,
            )
            .fetch_all(conn)
            .await?
        }
        Some(ticket) => {
            sqlx::query_file_as!(
                DeliveryRow,
                "src/store/delivery_list_ticket.sql",
                query.org_unit,
                &states as _,
                at as _,
                id as _,
                query.limit,
                ticket,
            )
            .fetch_all(conn)
            .await?
        }
    };
    rows.into_iter().map(|row| Ok(row.into_held()?.delivery)).collect()
}

/// Another org unit answers for the ticket and for what is sent because of it. As with the supervision's row, the ticket's
/// journal says so.
pub(crate) async fn hand_over(conn: &mut PgConnection, ticket: &Ticket) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE delivery SET org_unit = $2 WHERE ticket_id = $1 AND org_unit <> $2",
        ticket.id,
        ticket.org_unit,
    )
    .execute(conn)
    .await?;
    Ok(())
}
