//! Which team serves a ticket, and who of it could own one (T-03); as the statement of a registration finds them.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use sqlx::PgConnection;
use uuid::Uuid;

use kefu_postgres::StoreError;

use crate::domain::{Candidate, Subject};

/// Of the teams in use with a code the one of the nearest org unit, from one upwards.
pub(crate) async fn team(
    conn: &mut PgConnection,
    code: &str,
    org_unit: &str,
) -> Result<Option<Uuid>, StoreError> {
    Ok(sqlx::query_scalar!(
        "SELECT id FROM team
         WHERE code = $1 AND NOT retired AND (org_unit = $2 OR starts_with($2, org_unit || '/'))
         ORDER BY length(org_unit) DESC LIMIT 1",
        code,
        org_unit,
    )
    .fetch_optional(conn)
    .await?)
}

/// The code of a team.
pub(crate) async fn code(
    conn: &mut PgConnection,
    team: Uuid,
) -> Result<Option<String>, StoreError> {
    Ok(sqlx::query_scalar!("SELECT code FROM team WHERE id = $1", team)
        .fetch_optional(conn)
        .await?)
}

/// Who acts for a member of a team at a time: the member, or whoever stands in; none for somebody who is no member.
pub(crate) async fn acting(
    conn: &mut PgConnection,
    team: Uuid,
    staff: &str,
    now: Timestamp,
) -> Result<Option<Subject>, StoreError> {
    let acting = sqlx::query_scalar!(
        r#"SELECT load.staff AS "staff!" FROM team_member
           JOIN member_load AS load ON load.team_id = $1 AND load.staff = stand_in(team_member.staff, $3)
           WHERE team_member.team_id = $1 AND team_member.staff = $2"#,
        team,
        staff,
        now.to_sqlx() as _,
    )
    .fetch_optional(conn)
    .await?;
    Ok(acting.map(Into::into))
}

/// Those who could get a ticket of a team now, without keeping anybody from getting one meanwhile.
pub(crate) async fn candidates(
    conn: &mut PgConnection,
    team: Uuid,
    now: Timestamp,
) -> Result<Vec<Candidate>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT load.staff, duty.stands_for AS "stands_for!", load.open_tickets, load.turn
           FROM on_duty($1, $2) AS duty JOIN member_load AS load ON load.team_id = $1 AND load.staff = duty.staff
           ORDER BY load.staff"#,
        team,
        now.to_sqlx() as _,
    )
    .fetch_all(conn)
    .await?;
    let candidates = rows.into_iter().map(|row| Candidate {
        staff: row.staff.into(),
        stands_for: Some(row.stands_for).filter(|staff| !staff.is_empty()).map(Into::into),
        open: row.open_tickets,
        turn: row.turn,
    });
    Ok(candidates.collect())
}
