//! Tables `invitation` and `invitation_scope`.

use jiff_sqlx::{Timestamp, ToSqlx as _};
use kefu_identity::OrgUnit;
use kefu_postgres::StoreError;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::{
    invitation::{Invitation, Matter, Revocation, State},
    token::TokenHash,
};

struct Row {
    id: Uuid,
    org_unit: String,
    campaign: String,
    ticket_id: Uuid,
    ticket_number: String,
    ticket_cycle: i32,
    handler: String,
    handlers: Vec<String>,
    customer_id: Option<Uuid>,
    contact_id: Option<Uuid>,
    policy_version_id: Uuid,
    state: String,
    state_at: Timestamp,
    token_hash: Option<Vec<u8>>,
    revoke_reason: Option<String>,
    created_at: Timestamp,
    expires_at: Timestamp,
    revision: i64,
}

impl Row {
    /// All who handled the cycle. The version before `handlers` knows, and writes, one.
    fn take_handlers(&mut self) -> Vec<String> {
        let mut handlers = std::mem::take(&mut self.handlers);
        if !self.handler.is_empty() && !handlers.contains(&self.handler) {
            handlers.push(std::mem::take(&mut self.handler));
        }
        handlers
    }

    fn state(&self) -> Result<State, StoreError> {
        let corrupt = |reason: &str| StoreError::corrupt("invitation.state", reason);
        let at = self.state_at.to_jiff();
        let token = || {
            let hash = self.token_hash.as_deref().and_then(TokenHash::from_stored);
            hash.ok_or_else(|| corrupt("without a token"))
        };
        Ok(match self.state.as_str() {
            "created" => State::Created,
            "issued" => State::Issued { token: token()?, at },
            "answered" => State::Answered { token: token()?, at },
            "expired" => State::Expired { at },
            "revoked" => {
                let why = self.revoke_reason.as_deref().and_then(Revocation::from_word);
                State::Revoked { at, why: why.ok_or_else(|| corrupt("without a reason"))? }
            }
            _ => return Err(corrupt("unknown word")),
        })
    }
}

impl TryFrom<Row> for Invitation {
    type Error = StoreError;

    fn try_from(mut row: Row) -> Result<Self, StoreError> {
        let handlers = row.take_handlers();
        Ok(Self {
            id: row.id,
            org_unit: super::path("invitation.org_unit", &row.org_unit)?,
            state: row.state()?,
            campaign: row.campaign,
            matter: Matter {
                ticket: row.ticket_id,
                number: row.ticket_number,
                cycle: row.ticket_cycle,
                handlers,
                customer: row.customer_id,
                contact: row.contact_id,
            },
            policy_version: row.policy_version_id,
            created_at: row.created_at.to_jiff(),
            expires_at: row.expires_at.to_jiff(),
            revision: row.revision,
        })
    }
}

fn all(rows: Vec<Row>) -> Result<Vec<Invitation>, StoreError> {
    rows.into_iter().map(Invitation::try_from).collect()
}

macro_rules! select {
    ($tail:tt $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            r#"SELECT i.id, i.org_unit, i.campaign, i.ticket_id, i.ticket_number, i.ticket_cycle, i.handler,
                      i.handlers, i.customer_id, i.contact_id, i.policy_version_id, i.state,
                      i.state_at AS "state_at: Timestamp", i.token_hash, i.revoke_reason,
                      i.created_at AS "created_at: Timestamp", i.expires_at AS "expires_at: Timestamp", i.revision
               FROM invitation AS i "# + $tail
            $(, $argument)*
        )
    };
}

/// One invitation.
pub async fn get(conn: &mut PgConnection, id: Uuid) -> Result<Option<Invitation>, StoreError> {
    let row = select!("WHERE i.id = $1", id).fetch_optional(conn).await?;
    row.map(Invitation::try_from).transpose()
}

/// One invitation, locked until the transaction ends.
pub async fn lock(conn: &mut PgConnection, id: Uuid) -> Result<Option<Invitation>, StoreError> {
    let row = select!("WHERE i.id = $1 FOR NO KEY UPDATE", id).fetch_optional(conn).await?;
    row.map(Invitation::try_from).transpose()
}

/// The one that this token opens.
pub async fn by_token(
    conn: &mut PgConnection,
    token: &TokenHash,
) -> Result<Option<Invitation>, StoreError> {
    let row = select!("WHERE i.token_hash = $1", token.as_bytes()).fetch_optional(conn).await?;
    row.map(Invitation::try_from).transpose()
}

/// The one that this token opens, locked until the transaction ends. Whoever waited for the lock finds none if the token was
/// retired meanwhile.
pub async fn lock_by_token(
    conn: &mut PgConnection,
    token: &TokenHash,
) -> Result<Option<Invitation>, StoreError> {
    let row = select!("WHERE i.token_hash = $1 FOR NO KEY UPDATE", token.as_bytes())
        .fetch_optional(conn)
        .await?;
    row.map(Invitation::try_from).transpose()
}

/// The open ones about a ticket's cycles up to `cycle`, locked until the transaction ends.
pub async fn lock_open_of_ticket(
    conn: &mut PgConnection,
    ticket: Uuid,
    cycle: i32,
) -> Result<Vec<Invitation>, StoreError> {
    let rows = select!(
        "WHERE i.ticket_id = $1 AND i.ticket_cycle <= $2 AND i.state IN ('created', 'issued')
         ORDER BY i.id FOR NO KEY UPDATE",
        ticket,
        cycle,
    )
    .fetch_all(conn)
    .await?;
    all(rows)
}

/// The open ones that ask a contact, locked until the transaction ends.
pub async fn lock_open_of_contact(
    conn: &mut PgConnection,
    contact: Uuid,
) -> Result<Vec<Invitation>, StoreError> {
    let rows = select!(
        "WHERE i.contact_id = $1 AND i.state IN ('created', 'issued')
         ORDER BY i.id FOR NO KEY UPDATE",
        contact,
    )
    .fetch_all(conn)
    .await?;
    all(rows)
}

/// Some of those whose time is over, earliest first, locked until the transaction ends. What another replica or a call has
/// locked is left to that one.
pub async fn lease_due(
    conn: &mut PgConnection,
    now: jiff::Timestamp,
    limit: i64,
) -> Result<Vec<Invitation>, StoreError> {
    let rows = select!(
        "WHERE i.state IN ('created', 'issued') AND i.expires_at <= $1
         ORDER BY i.expires_at, i.id LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED",
        now.to_sqlx() as _,
        limit,
    )
    .fetch_all(conn)
    .await?;
    all(rows)
}

/// When the next open one expires, whoever may have it locked.
pub async fn next_due(conn: &mut PgConnection) -> Result<Option<jiff::Timestamp>, StoreError> {
    let next = sqlx::query_scalar!(
        r#"SELECT min(expires_at) AS "next: Timestamp" FROM invitation WHERE state IN ('created', 'issued')"#
    )
    .fetch_one(conn)
    .await?;
    Ok(next.map(Timestamp::to_jiff))
}

/// Those at and below `scope`, newest first, after the invitation `after.1` made at `after.0`.
pub async fn page(
    conn: &mut PgConnection,
    scope: &OrgUnit,
    after: (jiff::Timestamp, Uuid),
    limit: i64,
) -> Result<Vec<Invitation>, StoreError> {
    let rows = select!(
        "JOIN invitation_scope AS s ON s.invitation_id = i.id
         WHERE s.org_unit = $1 AND (s.created_at, s.invitation_id) < ($2, $3)
         ORDER BY s.created_at DESC, s.invitation_id DESC LIMIT $4",
        scope.as_str(),
        after.0.to_sqlx() as _,
        after.1,
        limit,
    )
    .fetch_all(conn)
    .await?;
    all(rows)
}

/// The same of one customer.
pub async fn page_of_customer(
    conn: &mut PgConnection,
    scope: &OrgUnit,
    customer: Uuid,
    after: (jiff::Timestamp, Uuid),
    limit: i64,
) -> Result<Vec<Invitation>, StoreError> {
    let rows = select!(
        "WHERE i.customer_id = $2 AND (i.org_unit = $1 OR starts_with(i.org_unit, $1 || '/'))
           AND (i.created_at, i.id) < ($3, $4)
         ORDER BY i.created_at DESC, i.id DESC LIMIT $5",
        scope.as_str(),
        customer,
        after.0.to_sqlx() as _,
        after.1,
        limit,
    )
    .fetch_all(conn)
    .await?;
    all(rows)
}

/// The same about one ticket, and of one customer where that is given.
pub async fn page_of_ticket(
    conn: &mut PgConnection,
    scope: &OrgUnit,
    ticket: Uuid,
    customer: Option<Uuid>,
    after: (jiff::Timestamp, Uuid),
    limit: i64,
) -> Result<Vec<Invitation>, StoreError> {
    let rows = select!(
        "WHERE i.ticket_id = $2 AND (i.org_unit = $1 OR starts_with(i.org_unit, $1 || '/'))
           AND ($3::uuid IS NULL OR i.customer_id = $3) AND (i.created_at, i.id) < ($4, $5)
         ORDER BY i.created_at DESC, i.id DESC LIMIT $6",
        scope.as_str(),
        ticket,
        customer,
        after.0.to_sqlx() as _,
        after.1,
        limit,
    )
    .fetch_all(conn)
    .await?;
    all(rows)
}

/// Writes a new one, and puts it into the lists of its org unit and of those above. False where this cycle of the ticket is
/// asked about in this campaign already; then nothing is written.
pub async fn insert(conn: &mut PgConnection, invitation: &Invitation) -> Result<bool, StoreError> {
    let matter = &invitation.matter;
    let listed = sqlx::query!(
        "WITH inserted AS (
             INSERT INTO invitation
                 (id, org_unit, campaign, ticket_id, ticket_number, ticket_cycle, handler,
                  customer_id, contact_id, policy_version_id, state, state_at, created_at,
                  expires_at, revision, handlers)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12, $13, $14, $16)
             ON CONFLICT ON CONSTRAINT invitation_matter_key DO NOTHING
             RETURNING id
         )
         INSERT INTO invitation_scope (org_unit, created_at, invitation_id)
         SELECT scope, $12, inserted.id FROM inserted, unnest($15::text[]) AS scope",
        invitation.id,
        invitation.org_unit.as_str(),
        invitation.campaign,
        matter.ticket,
        matter.number,
        matter.cycle,
        matter.handlers.last().map_or("", String::as_str),
        matter.customer,
        matter.contact,
        invitation.policy_version,
        invitation.state.as_str(),
        invitation.created_at.to_sqlx() as _,
        invitation.expires_at.to_sqlx() as _,
        invitation.revision,
        &super::scopes(&invitation.org_unit),
        &matter.handlers,
    )
    .execute(conn)
    .await?
    .rows_affected();
    Ok(listed > 0)
}

/// Writes whom one asks that was locked before, and its state.
pub async fn redirect(conn: &mut PgConnection, invitation: &Invitation) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE invitation SET customer_id = $2, contact_id = $3 WHERE id = $1",
        invitation.id,
        invitation.matter.customer,
        invitation.matter.contact,
    )
    .execute(&mut *conn)
    .await?;
    update(conn, invitation).await
}

/// Writes the state of one that was locked before.
pub async fn update(conn: &mut PgConnection, invitation: &Invitation) -> Result<(), StoreError> {
    let (at, why) = match &invitation.state {
        State::Created => (invitation.created_at, None),
        State::Issued { at, .. } | State::Answered { at, .. } | State::Expired { at } => {
            (*at, None)
        }
        State::Revoked { at, why } => (*at, Some(why.as_str())),
    };
    sqlx::query!(
        "UPDATE invitation
         SET state = $2, state_at = $3, token_hash = $4, revoke_reason = $5, revision = $6
         WHERE id = $1",
        invitation.id,
        invitation.state.as_str(),
        at.to_sqlx() as _,
        invitation.state.token().map(TokenHash::as_bytes),
        why,
        invitation.revision,
    )
    .execute(conn)
    .await?;
    Ok(())
}
