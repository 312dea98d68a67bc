//! Tables `attachment` and `attachment_upload` (T-01).

use std::time::Duration;

use jiff_sqlx::{Timestamp, ToSqlx as _};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use kefu_postgres::StoreError;

use super::{known, read};
use crate::domain::{Attachment, AttachmentState, Withdrawn};

struct Row {
    id: Uuid,
    revision: i64,
    ticket_id: Uuid,
    customer_id: Option<Uuid>,
    file_name: String,
    media_type: String,
    declared_type: String,
    size_bytes: i64,
    sha256: Vec<u8>,
    object_key: Option<String>,
    refuse_reason: Option<String>,
    uploaded_by: String,
    created_at: Timestamp,
    withdrawn_at: Option<Timestamp>,
    withdrawn_by: Option<String>,
    reason: Option<String>,
}

impl Row {
    fn into_attachment(self) -> Result<Attachment, StoreError> {
        let withdrawn = match self.withdrawn_at {
            None => None,
            Some(at) => Some(Withdrawn {
                by: known("attachment.withdrawn_by", self.withdrawn_by)?.into(),
                at: at.to_jiff(),
                reason: known("attachment.reason", self.reason)?,
            }),
        };
        Ok(Attachment {
            id: self.id,
            ticket: self.ticket_id,
            customer: self.customer_id,
            file_name: self.file_name,
            media_type: self.media_type,
            declared_type: self.declared_type,
            size: read("attachment.size_bytes", u64::try_from(self.size_bytes))?,
            sha256: self.sha256.try_into().ok(),
            object_key: self.object_key,
            refusal: self.refuse_reason,
            uploaded_by: self.uploaded_by.into(),
            created_at: self.created_at.to_jiff(),
            withdrawn,
            revision: self.revision,
        })
    }
}

/// What the files of a ticket come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sum {
    pub(crate) files: u64,
    pub(crate) bytes: u64,
}

/// What the files of a ticket come to that have bytes. Under the ticket's lock it stays so.
pub(crate) async fn sum(conn: &mut PgConnection, ticket: Uuid) -> Result<Sum, StoreError> {
    let row = sqlx::query!(
        r#"SELECT count(*) AS "files!", coalesce(sum(size_bytes), 0)::bigint AS "bytes!"
           FROM attachment WHERE ticket_id = $1 AND state <> 'refused'"#,
        ticket
    )
    .fetch_one(conn)
    .await?;
    Ok(Sum {
        files: read("attachment.files", u64::try_from(row.files))?,
        bytes: read("attachment.bytes", u64::try_from(row.bytes))?,
    })
}

/// The customer of a ticket, and whether there is such a ticket.
pub(crate) async fn customer(
    conn: &mut PgConnection,
    ticket: Uuid,
) -> Result<Option<Uuid>, StoreError> {
    let customer = sqlx::query_scalar!("SELECT customer_id FROM ticket WHERE id = $1", ticket);
    Ok(customer.fetch_optional(conn).await?.flatten())
}

/// Puts an attachment on record.
pub(crate) async fn insert(
    conn: &mut PgConnection,
    attachment: &Attachment,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO attachment
             (id, revision, ticket_id, customer_id, file_name, media_type, declared_type, size_bytes, sha256, object_key, state,
              refuse_reason, uploaded_by, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
        attachment.id,
        attachment.revision,
        attachment.ticket,
        attachment.customer,
        attachment.file_name,
        attachment.media_type,
        attachment.declared_type,
        read("attachment.size_bytes", i64::try_from(attachment.size))?,
        attachment.sha256.as_ref().map(|hash| hash.as_slice()).unwrap_or_default(),
        attachment.object_key,
        attachment.state().code(),
        attachment.refusal,
        &*attachment.uploaded_by,
        attachment.created_at.to_sqlx() as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Locks an attachment for this transaction. False if there is none.
pub(crate) async fn lock(conn: &mut PgConnection, id: Uuid) -> Result<bool, StoreError> {
    let locked =
        sqlx::query_scalar!("SELECT id FROM attachment WHERE id = $1 FOR NO KEY UPDATE", id);
    Ok(locked.fetch_optional(conn).await?.is_some())
}

/// Writes that an attachment, which this transaction has locked, was withdrawn.
pub(crate) async fn save_withdrawn(
    conn: &mut PgConnection,
    attachment: &Attachment,
) -> Result<(), StoreError> {
    let withdrawn = attachment.withdrawn.as_ref();
    sqlx::query!(
        "UPDATE attachment SET revision = $2, state = $3, withdrawn_at = $4, withdrawn_by = $5, reason = $6 WHERE id = $1",
        attachment.id,
        attachment.revision,
        attachment.state().code(),
        withdrawn.map(|withdrawn| withdrawn.at.to_sqlx()) as _,
        withdrawn.map(|withdrawn| &*withdrawn.by),
        withdrawn.map(|withdrawn| withdrawn.reason.as_str()),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// An attachment of a ticket.
pub(crate) async fn find(
    conn: &mut PgConnection,
    ticket: Uuid,
    id: Uuid,
) -> Result<Option<Attachment>, StoreError> {
    let row = sqlx::query_as!(
        Row,
        r#"SELECT id, revision, ticket_id, customer_id, file_name, media_type, declared_type, size_bytes, sha256, object_key,
                  refuse_reason, uploaded_by, created_at AS "created_at: Timestamp",
                  withdrawn_at AS "withdrawn_at: Timestamp", withdrawn_by, reason
           FROM attachment WHERE id = $2 AND ticket_id = $1"#,
        ticket,
        id
    );
    row.fetch_optional(conn).await?.map(Row::into_attachment).transpose()
}

/// A page of those of a ticket, oldest first.
pub(crate) async fn list(
    conn: &mut PgConnection,
    ticket: Uuid,
    states: &[AttachmentState],
    after: Option<(jiff::Timestamp, Uuid)>,
    limit: i64,
) -> Result<Vec<Attachment>, StoreError> {
    let (at, id) = after.unzip();
    let states: Vec<&str> = states.iter().map(|state| state.code()).collect();
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT id, revision, ticket_id, customer_id, file_name, media_type, declared_type, size_bytes, sha256, object_key,
                  refuse_reason, uploaded_by, created_at AS "created_at: Timestamp",
                  withdrawn_at AS "withdrawn_at: Timestamp", withdrawn_by, reason
           FROM attachment
           WHERE ticket_id = $1 AND (cardinality($2::text[]) = 0 OR state = ANY ($2))
             AND ($3::timestamptz IS NULL OR (created_at, id) > ($3, $4::uuid))
           ORDER BY created_at, id
           LIMIT $5"#,
        ticket,
        &states as _,
        at.map(|at| at.to_sqlx()) as _,
        id as _,
        limit,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Row::into_attachment).collect()
}

/// Puts on record that bytes are about to be stored under a key.
pub(crate) async fn begin_upload(
    conn: &mut PgConnection,
    id: Uuid,
    key: &str,
) -> Result<(), StoreError> {
    sqlx::query!("INSERT INTO attachment_upload (id, object_key) VALUES ($1, $2)", id, key)
        .execute(conn)
        .await?;
    Ok(())
}

/// Ends an upload in the transaction of what came of it. False if it was given up meanwhile, and its bytes with it.
pub(crate) async fn end_upload(conn: &mut PgConnection, id: Uuid) -> Result<bool, StoreError> {
    let ended = sqlx::query!("DELETE FROM attachment_upload WHERE id = $1 AND NOT swept", id);
    Ok(ended.execute(conn).await?.rows_affected() == 1)
}

/// Gives up uploads that began longer ago than any may take, the oldest first, and tells their keys. What was given up and has
/// not been forgotten is among them again.
pub(crate) async fn give_up(
    pool: &PgPool,
    longest: Duration,
    limit: i64,
) -> Result<Vec<(Uuid, String)>, StoreError> {
    let rows = sqlx::query!(
        "UPDATE attachment_upload SET swept = true
         WHERE id IN (
             SELECT id FROM attachment_upload WHERE begun_at < now() - make_interval(secs => $1)
             ORDER BY begun_at, id LIMIT $2 FOR UPDATE SKIP LOCKED)
         RETURNING id, object_key",
        longest.as_secs_f64(),
        limit
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.object_key)).collect())
}

/// Forgets an upload of which no byte is left.
pub(crate) async fn forget_upload(pool: &PgPool, id: Uuid) -> Result<(), StoreError> {
    sqlx::query!("DELETE FROM attachment_upload WHERE id = $1", id).execute(pool).await?;
    Ok(())
}
