//! Tables `customer`, `customer_scope` and `customer_code_count`.

use jiff_sqlx::{Date, Timestamp, ToSqlx as _};
use kefu_identity::OrgUnit;
use kefu_postgres::StoreError;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::customer::{Customer, CustomerDetails, CustomerSize, CustomerType, LawfulBasis};

/// Violated by a customer of an org unit that does not exist.
pub const ORG_UNIT_FKEY: &str = "customer_org_unit_fkey";

struct Row {
    id: Uuid,
    code: String,
    org_unit: String,
    customer_type: String,
    display_name: String,
    short_name: String,
    industry: String,
    size: Option<String>,
    address: String,
    source_channel: String,
    lawful_basis: String,
    cooperation_start_date: Option<Date>,
    account_manager: String,
    product_lines: Vec<String>,
    tags: Vec<String>,
    revision: i64,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl TryFrom<Row> for Customer {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let customer_type = CustomerType::from_word(&row.customer_type);
        let lawful_basis = LawfulBasis::from_word(&row.lawful_basis);
        Ok(Self {
            id: row.id,
            code: row.code,
            org_unit: super::path("customer.org_unit", &row.org_unit)?,
            details: CustomerDetails {
                customer_type: super::word("customer.customer_type", customer_type)?,
                display_name: row.display_name,
                short_name: row.short_name,
                industry: row.industry,
                size: super::optional_word(
                    "customer.size",
                    row.size.as_deref(),
                    CustomerSize::from_word,
                )?,
                address: row.address,
                source_channel: row.source_channel,
                lawful_basis: super::word("customer.lawful_basis", lawful_basis)?,
                cooperation_start_date: row.cooperation_start_date.map(Date::to_jiff),
                account_manager: row.account_manager,
                product_lines: row.product_lines,
                tags: row.tags,
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
            r#"SELECT c.id, c.code, c.org_unit, c.customer_type, c.display_name, c.short_name,
                      c.industry, c.size, c.address, c.source_channel, c.lawful_basis,
                      c.cooperation_start_date AS "cooperation_start_date: Date",
                      c.account_manager, c.product_lines, c.tags, c.revision,
                      c.created_at AS "created_at: Timestamp",
                      c.updated_at AS "updated_at: Timestamp"
               FROM customer AS c "# + $tail
            $(, $argument)*
        )
    };
}

/// One customer.
pub async fn get(conn: &mut PgConnection, id: Uuid) -> Result<Option<Customer>, StoreError> {
    let row = select!("WHERE c.id = $1", id).fetch_optional(conn).await?;
    row.map(Customer::try_from).transpose()
}

/// One customer, locked until the transaction ends: for whoever changes it or one of its standings. Others may go on
/// referring to it.
pub async fn lock(conn: &mut PgConnection, id: Uuid) -> Result<Option<Customer>, StoreError> {
    let row = select!("WHERE c.id = $1 FOR NO KEY UPDATE", id).fetch_optional(conn).await?;
    row.map(Customer::try_from).transpose()
}

/// The org unit that owns a customer, which never changes.
pub async fn org_unit_of(conn: &mut PgConnection, id: Uuid) -> Result<Option<OrgUnit>, StoreError> {
    sqlx::query_scalar!("SELECT org_unit FROM customer WHERE id = $1", id)
        .fetch_optional(conn)
        .await?
        .map(|text| super::path("customer.org_unit", &text))
        .transpose()
}

/// Those owned at and below `scope`, newest first, after the customer `after.1` registered at `after.0`.
pub async fn page(
    conn: &mut PgConnection,
    scope: &OrgUnit,
    after: (jiff::Timestamp, Uuid),
    limit: i64,
) -> Result<Vec<Customer>, StoreError> {
    let rows = select!(
        "JOIN customer_scope AS s ON s.customer_id = c.id
         WHERE s.org_unit = $1 AND (s.created_at, s.customer_id) < ($2, $3)
         ORDER BY s.created_at DESC, s.customer_id DESC LIMIT $4",
        scope.as_str(),
        after.0.to_sqlx() as _,
        after.1,
        limit,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Customer::try_from).collect()
}

/// The one with this code, if it is owned at or below `scope`.
pub async fn by_code(
    conn: &mut PgConnection,
    scope: &OrgUnit,
    code: &str,
) -> Result<Option<Customer>, StoreError> {
    let row = select!(
        "WHERE c.code = $1 AND (c.org_unit = $2 OR starts_with(c.org_unit, $2 || '/'))",
        code,
        scope.as_str(),
    )
    .fetch_optional(conn)
    .await?;
    row.map(Customer::try_from).transpose()
}

/// The next number of a code. Others who want one of the same segment and year wait until the transaction ends.
pub async fn next_code_number(
    conn: &mut PgConnection,
    segment: &str,
    year: i16,
) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar!(
        "INSERT INTO customer_code_count AS count (segment, year, last) VALUES ($1, $2, 1)
         ON CONFLICT (segment, year) DO UPDATE SET last = count.last + 1
         RETURNING last",
        segment,
        i32::from(year),
    )
    .fetch_one(conn)
    .await?)
}

/// Writes a new one, and puts it into the lists of its org unit and of those above.
pub async fn insert(conn: &mut PgConnection, customer: &Customer) -> Result<(), StoreError> {
    let details = &customer.details;
    let org_unit = &customer.org_unit;
    let scopes: Vec<String> = std::iter::once(org_unit.clone())
        .chain(org_unit.ancestors())
        .map(|unit| unit.to_string())
        .collect();
    sqlx::query!(
        "WITH inserted AS (
             INSERT INTO customer
                 (id, code, org_unit, customer_type, display_name, short_name, industry, size,
                  address, source_channel, lawful_basis, cooperation_start_date, account_manager,
                  product_lines, tags, revision, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
         )
         INSERT INTO customer_scope (org_unit, created_at, customer_id)
         SELECT scope, $17, $1 FROM unnest($19::text[]) AS scope",
        customer.id,
        customer.code,
        org_unit.as_str(),
        details.customer_type.as_str(),
        details.display_name,
        details.short_name,
        details.industry,
        details.size.map(CustomerSize::as_str),
        details.address,
        details.source_channel,
        details.lawful_basis.as_str(),
        details.cooperation_start_date.map(jiff_sqlx::ToSqlx::to_sqlx) as _,
        details.account_manager,
        &details.product_lines,
        &details.tags,
        customer.revision,
        customer.created_at.to_sqlx() as _,
        customer.updated_at.to_sqlx() as _,
        &scopes,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes a changed one, locked before.
pub async fn update(conn: &mut PgConnection, customer: &Customer) -> Result<(), StoreError> {
    let details = &customer.details;
    sqlx::query!(
        "UPDATE customer
         SET customer_type = $2, display_name = $3, short_name = $4, industry = $5, size = $6,
             address = $7, source_channel = $8, lawful_basis = $9, cooperation_start_date = $10,
             account_manager = $11, product_lines = $12, tags = $13, revision = $14,
             updated_at = $15
         WHERE id = $1",
        customer.id,
        details.customer_type.as_str(),
        details.display_name,
        details.short_name,
        details.industry,
        details.size.map(CustomerSize::as_str),
        details.address,
        details.source_channel,
        details.lawful_basis.as_str(),
        details.cooperation_start_date.map(jiff_sqlx::ToSqlx::to_sqlx) as _,
        details.account_manager,
        &details.product_lines,
        &details.tags,
        customer.revision,
        customer.updated_at.to_sqlx() as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}
