//! Tables `team`, `team_member` and what is told of `member_load` with them (T-03).

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use sqlx::PgConnection;
use uuid::Uuid;

use kefu_postgres::StoreError;

use crate::domain::Text;

/// A team as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Team {
    pub(crate) id: Uuid,
    pub(crate) revision: i64,
    pub(crate) org_unit: String,
    pub(crate) code: String,
    pub(crate) title: Text,
    pub(crate) rostered: bool,
    pub(crate) retired: bool,
    pub(crate) members: Vec<String>,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
}

/// How much somebody has to do for a team.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) staff: String,
    pub(crate) open_tickets: i32,
    pub(crate) available: bool,
}

struct TeamRow {
    id: Uuid,
    revision: i64,
    org_unit: String,
    code: String,
    title_en: String,
    title_zh: String,
    rostered: bool,
    retired: bool,
    members: Vec<String>,
    created_at: jiff_sqlx::Timestamp,
    updated_at: jiff_sqlx::Timestamp,
}

impl From<TeamRow> for Team {
    fn from(row: TeamRow) -> Self {
        Self {
            id: row.id,
            revision: row.revision,
            org_unit: row.org_unit,
            code: row.code,
            title: Text::new(row.title_en, row.title_zh),
            rostered: row.rostered,
            retired: row.retired,
            members: row.members,
            created_at: row.created_at.to_jiff(),
            updated_at: row.updated_at.to_jiff(),
        }
    }
}

/// Keeps others from changing members or absences until the end of the transaction.
pub(crate) async fn guard(conn: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::query!("SELECT only_row FROM duty_guard FOR NO KEY UPDATE").fetch_one(conn).await?;
    Ok(())
}

/// Locks a team until the end of the transaction and tells whether there is one.
pub(crate) async fn lock(conn: &mut PgConnection, id: Uuid) -> Result<bool, StoreError> {
    let locked = sqlx::query_scalar!("SELECT id FROM team WHERE id = $1 FOR NO KEY UPDATE", id);
    Ok(locked.fetch_optional(conn).await?.is_some())
}

/// The team with this id.
pub(crate) async fn find(conn: &mut PgConnection, id: Uuid) -> Result<Option<Team>, StoreError> {
    let row = sqlx::query_as!(
        TeamRow,
        r#"SELECT id, revision, org_unit, code, title_en, title_zh, rostered, retired,
                  ARRAY(SELECT staff FROM team_member WHERE team_id = team.id ORDER BY staff) AS "members!",
                  created_at AS "created_at: jiff_sqlx::Timestamp", updated_at AS "updated_at: jiff_sqlx::Timestamp"
           FROM team WHERE id = $1"#,
        id,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(Team::from))
}

/// The teams at and below an org unit after one of them, by org unit and code.
pub(crate) async fn list(
    conn: &mut PgConnection,
    org_unit: &str,
    after: Option<(String, String)>,
    limit: i64,
) -> Result<Vec<Team>, StoreError> {
    let (unit, code) = after.unzip();
    let rows = sqlx::query_as!(
        TeamRow,
        r#"SELECT id, revision, org_unit, code, title_en, title_zh, rostered, retired,
                  ARRAY(SELECT staff FROM team_member WHERE team_id = team.id ORDER BY staff) AS "members!",
                  created_at AS "created_at: jiff_sqlx::Timestamp", updated_at AS "updated_at: jiff_sqlx::Timestamp"
           FROM team
           WHERE (org_unit = $1 OR (org_unit > $1 || '/' AND org_unit < $1 || '0'))
             AND ($2::text IS NULL OR (org_unit, code) > ($2, $3::text))
           ORDER BY org_unit, code
           LIMIT $4"#,
        org_unit,
        unit as _,
        code as _,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(Team::from).collect())
}

/// How much everybody of a team has to do, and how many of its tickets wait for an owner.
pub(crate) async fn loads(
    conn: &mut PgConnection,
    team: Uuid,
    now: Timestamp,
) -> Result<(Vec<Load>, i64), StoreError> {
    let loads = sqlx::query_as!(
        Load,
        r#"SELECT load.staff, load.open_tickets, duty.staff IS NOT NULL AS "available!"
           FROM member_load AS load LEFT JOIN on_duty($1, $2) AS duty ON duty.staff = load.staff
           WHERE load.team_id = $1 AND (load.open_tickets > 0 OR duty.staff IS NOT NULL OR EXISTS (
               SELECT FROM team_member WHERE team_member.team_id = $1 AND team_member.staff = load.staff))
           ORDER BY load.staff"#,
        team,
        now.to_sqlx() as _,
    )
    .fetch_all(&mut *conn)
    .await?;
    let waiting = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM ticket
           WHERE team_id = $1 AND owner IS NULL
             AND state IN ('registered', 'in_progress', 'waiting', 'resolved', 'reopened', 'executive_review')"#,
        team,
    )
    .fetch_one(conn)
    .await?;
    Ok((loads, waiting))
}

/// Puts a new team on record; false if its org unit has one of this code.
pub(crate) async fn insert(conn: &mut PgConnection, team: &Team) -> Result<bool, StoreError> {
    let inserted = sqlx::query!(
        "INSERT INTO team (id, revision, org_unit, code, title_en, title_zh, rostered, retired, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)
         ON CONFLICT (org_unit, code) DO NOTHING",
        team.id,
        team.revision,
        team.org_unit,
        team.code,
        team.title.en,
        team.title.zh,
        team.rostered,
        team.retired,
        team.created_at.to_sqlx() as _,
    )
    .execute(&mut *conn)
    .await?
    .rows_affected();
    if inserted == 0 {
        return Ok(false);
    }
    save_members(conn, team).await?;
    Ok(true)
}

/// Writes what may have changed of a team that this transaction has locked.
pub(crate) async fn update(conn: &mut PgConnection, team: &Team) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE team SET revision = $2, title_en = $3, title_zh = $4, rostered = $5, retired = $6, updated_at = $7
         WHERE id = $1",
        team.id,
        team.revision,
        team.title.en,
        team.title.zh,
        team.rostered,
        team.retired,
        team.updated_at.to_sqlx() as _,
    )
    .execute(&mut *conn)
    .await?;
    save_members(conn, team).await
}

async fn save_members(conn: &mut PgConnection, team: &Team) -> Result<(), StoreError> {
    sqlx::query!(
        "DELETE FROM team_member WHERE team_id = $1 AND staff <> ALL ($2)",
        team.id,
        &team.members
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "INSERT INTO team_member (team_id, staff) SELECT $1, unnest($2::text[]) ON CONFLICT DO NOTHING",
        team.id,
        &team.members,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Makes sure that all who could own a ticket have a load to count it in: members, and whoever stands in for them now or
/// later. Under [`guard`], of one team or of all.
pub(crate) async fn ensure_loads(
    conn: &mut PgConnection,
    team: Option<Uuid>,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query!(
        "WITH RECURSIVE could (team_id, staff) AS (
             SELECT team_id, staff FROM team_member WHERE $1::uuid IS NULL OR team_id = $1
             UNION
             SELECT could.team_id, absence.substitute FROM could JOIN absence ON absence.staff = could.staff
             WHERE absence.ends_at > $2
         )
         INSERT INTO member_load (team_id, staff) SELECT team_id, staff FROM could ON CONFLICT DO NOTHING",
        team as _,
        now.to_sqlx() as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The org units of the teams that somebody is a member of.
pub(crate) async fn org_units_of(
    conn: &mut PgConnection,
    staff: &str,
) -> Result<Vec<String>, StoreError> {
    Ok(sqlx::query_scalar!(
        "SELECT DISTINCT team.org_unit FROM team_member JOIN team ON team.id = team_member.team_id
         WHERE team_member.staff = $1 ORDER BY team.org_unit",
        staff,
    )
    .fetch_all(conn)
    .await?)
}

/// The team in use with a code that serves an org unit: the nearest one, at it or above it, as the registration chooses.
pub(crate) async fn serving(
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

/// Of the org units of somebody's teams those at, above and below which somebody else is in no team; at most 20.
pub(crate) async fn out_of_sight(
    conn: &mut PgConnection,
    staff: &str,
    substitute: &str,
) -> Result<Vec<String>, StoreError> {
    Ok(sqlx::query_scalar!(
        "SELECT DISTINCT team.org_unit FROM team_member JOIN team ON team.id = team_member.team_id
         WHERE team_member.staff = $1 AND NOT team.retired AND NOT EXISTS (
             SELECT FROM team_member AS other JOIN team AS near ON near.id = other.team_id
             WHERE other.staff = $2 AND NOT near.retired AND (
                 near.org_unit = team.org_unit OR starts_with(team.org_unit, near.org_unit || '/')
                 OR starts_with(near.org_unit, team.org_unit || '/')))
         ORDER BY team.org_unit LIMIT 20",
        staff,
        substitute,
    )
    .fetch_all(conn)
    .await?)
}

/// Whether somebody may own tickets of a team now: a member, or whoever stands in for one.
pub(crate) async fn may_own(
    conn: &mut PgConnection,
    team: Uuid,
    staff: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"SELECT EXISTS (
               SELECT FROM team_member
               WHERE team_id = $1 AND (staff = $2 OR stand_in(staff, $3) = $2)) AND EXISTS (
               SELECT FROM member_load WHERE team_id = $1 AND staff = $2) AS "may!""#,
        team,
        staff,
        now.to_sqlx() as _,
    )
    .fetch_one(conn)
    .await?)
}

/// Of some codes those that no team in use has at, above or below an org unit.
pub(crate) async fn unknown_codes(
    conn: &mut PgConnection,
    codes: &[&str],
    org_unit: &str,
) -> Result<Vec<String>, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"SELECT named.code AS "code!" FROM unnest($1::text[]) AS named (code)
           WHERE NOT EXISTS (
               SELECT FROM team
               WHERE team.code = named.code AND NOT team.retired AND (
                   team.org_unit = $2 OR starts_with($2, team.org_unit || '/') OR starts_with(team.org_unit, $2 || '/')))"#
            ,
        codes as _,
        org_unit,
    )
    .fetch_all(conn)
    .await?)
}
