//! Table `contact`.

use jiff_sqlx::{Date, Timestamp, ToSqlx as _};
use kefu_postgres::StoreError;
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

use crate::domain::contact::{Channel, Contact, ContactDetails, DecisionRole, DoNotContact};

/// Violated by a contact of a customer that does not exist.
pub const CUSTOMER_FKEY: &str = "contact_customer_id_fkey";

struct Row {
    id: Uuid,
    customer_id: Uuid,
    display_name: String,
    title: String,
    phones: Vec<String>,
    emails: Vec<String>,
    messengers: Vec<String>,
    birthday: Option<Date>,
    preferred_channel: Option<String>,
    do_not_contact: Json<Vec<DoNotContact>>,
    decision_role: Option<String>,
    revision: i64,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl TryFrom<Row> for Contact {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id,
            customer_id: row.customer_id,
            details: ContactDetails {
                display_name: row.display_name,
                title: row.title,
                phones: row.phones,
                emails: row.emails,
                messengers: row.messengers,
                birthday: row.birthday.map(Date::to_jiff),
                preferred_channel: super::optional_word(
                    "contact.preferred_channel",
                    row.preferred_channel.as_deref(),
                    Channel::from_word,
                )?,
                do_not_contact: row.do_not_contact.0,
                decision_role: super::optional_word(
                    "contact.decision_role",
                    row.decision_role.as_deref(),
                    DecisionRole::from_word,
                )?,
            },
            revision: row.revision,
            created_at: row.created_at.to_jiff(),
            updated_at: row.updated_at.to_jiff(),
        })
    }
}

macro_rules! select {
    ($tail:tt $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            r#"SELECT id, customer_id, display_name, title, phones, emails, messengers,
                      birthday AS "birthday: Date", preferred_channel,
                      do_not_contact AS "do_not_contact: Json<Vec<DoNotContact>>", decision_role,
                      revision, created_at AS "created_at: Timestamp",
                      updated_at AS "updated_at: Timestamp"
               FROM contact "# + $tail
            $(, $argument)*
        )
    };
}

/// One contact of a customer.
pub async fn get(
    conn: &mut PgConnection,
    customer_id: Uuid,
    id: Uuid,
) -> Result<Option<Contact>, StoreError> {
    let row =
        select!("WHERE id = $1 AND customer_id = $2", id, customer_id).fetch_optional(conn).await?;
    row.map(Contact::try_from).transpose()
}

/// One contact of a customer, locked until the transaction ends.
pub async fn lock(
    conn: &mut PgConnection,
    customer_id: Uuid,
    id: Uuid,
) -> Result<Option<Contact>, StoreError> {
    let row = select!("WHERE id = $1 AND customer_id = $2 FOR NO KEY UPDATE", id, customer_id)
        .fetch_optional(conn)
        .await?;
    row.map(Contact::try_from).transpose()
}

/// Those of a customer, oldest first, after the contact `after.1` registered at `after.0`.
pub async fn page(
    conn: &mut PgConnection,
    customer_id: Uuid,
    after: (jiff::Timestamp, Uuid),
    limit: i64,
) -> Result<Vec<Contact>, StoreError> {
    let rows = select!(
        "WHERE customer_id = $1 AND (created_at, id) > ($2, $3)
         ORDER BY created_at, id LIMIT $4",
        customer_id,
        after.0.to_sqlx() as _,
        after.1,
        limit,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Contact::try_from).collect()
}

/// Writes a new one.
pub async fn insert(conn: &mut PgConnection, contact: &Contact) -> Result<(), StoreError> {
    let details = &contact.details;
    sqlx::query!(
        "INSERT INTO contact
             (id, customer_id, display_name, title, phones, emails, messengers, birthday,
              preferred_channel, do_not_contact, decision_role, revision, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
        contact.id,
        contact.customer_id,
        details.display_name,
        details.title,
        &details.phones,
        &details.emails,
        &details.messengers,
        details.birthday.map(jiff_sqlx::ToSqlx::to_sqlx) as _,
        details.preferred_channel.map(Channel::as_str),
        Json(&details.do_not_contact) as _,
        details.decision_role.map(DecisionRole::as_str),
        contact.revision,
        contact.created_at.to_sqlx() as _,
        contact.updated_at.to_sqlx() as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes a changed one, locked before.
pub async fn update(conn: &mut PgConnection, contact: &Contact) -> Result<(), StoreError> {
    let details = &contact.details;
    sqlx::query!(
        "UPDATE contact
         SET display_name = $2, title = $3, phones = $4, emails = $5, messengers = $6,
             birthday = $7, preferred_channel = $8, do_not_contact = $9, decision_role = $10,
             revision = $11, updated_at = $12
         WHERE id = $1",
        contact.id,
        details.display_name,
        details.title,
        &details.phones,
        &details.emails,
        &details.messengers,
        details.birthday.map(jiff_sqlx::ToSqlx::to_sqlx) as _,
        details.preferred_channel.map(Channel::as_str),
        Json(&details.do_not_contact) as _,
        details.decision_role.map(DecisionRole::as_str),
        contact.revision,
        contact.updated_at.to_sqlx() as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}
