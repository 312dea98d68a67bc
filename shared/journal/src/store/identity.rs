//! Table `feed_identity`.

use sqlx::PgPool;
use uuid::Uuid;

use kefu_postgres::StoreError;

/// The identity of the feed in this cluster, database and table; made when this place is served for the first time.
pub(crate) async fn ensure(pool: &PgPool) -> Result<Uuid, StoreError> {
    if let Some(known) = find(pool).await? {
        return Ok(known);
    }
    // Another replica may be faster, so what counts is what is found afterwards.
    sqlx::query!(
        "INSERT INTO feed_identity (system_identifier, database_oid, journal_oid)
         SELECT system_identifier, (SELECT oid FROM pg_database WHERE datname = current_database()),
                'journal'::regclass::oid
         FROM pg_control_system()
         ON CONFLICT DO NOTHING"
    )
    .execute(pool)
    .await?;
    find(pool).await?.ok_or_else(|| StoreError::Corrupt("the feed's identity vanished".to_owned()))
}

async fn find(pool: &PgPool) -> Result<Option<Uuid>, StoreError> {
    Ok(sqlx::query_scalar!(
        "SELECT feed_id FROM feed_identity
         WHERE system_identifier = (SELECT system_identifier FROM pg_control_system())
           AND database_oid = (SELECT oid FROM pg_database WHERE datname = current_database())
           AND journal_oid = 'journal'::regclass::oid"
    )
    .fetch_optional(pool)
    .await?)
}
