//! Tables `roster_shift`, `presence` and `absence`: who is on duty and there (T-25).

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use sqlx::PgConnection;
use uuid::Uuid;

use kefu_postgres::StoreError;

use super::column;

/// Somebody is on duty.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RosterShift {
    pub(crate) staff: String,
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
}

/// Whether somebody is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Presence {
    pub(crate) id: Uuid,
    pub(crate) revision: i64,
    pub(crate) staff: String,
    pub(crate) present: bool,
    pub(crate) since: Timestamp,
    pub(crate) until: Option<Timestamp>,
}

/// Somebody will not be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Absence {
    pub(crate) id: Uuid,
    pub(crate) revision: i64,
    pub(crate) staff: String,
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
    pub(crate) substitute: String,
    pub(crate) reason: String,
    pub(crate) recorded_by: String,
    pub(crate) created_at: Timestamp,
}

struct AbsenceRow {
    id: Uuid,
    revision: i64,
    staff: String,
    starts_at: jiff_sqlx::Timestamp,
    ends_at: jiff_sqlx::Timestamp,
    substitute: String,
    reason: String,
    recorded_by: String,
    created_at: jiff_sqlx::Timestamp,
}

impl From<AbsenceRow> for Absence {
    fn from(row: AbsenceRow) -> Self {
        Self {
            id: row.id,
            revision: row.revision,
            staff: row.staff,
            from: row.starts_at.to_jiff(),
            to: row.ends_at.to_jiff(),
            substitute: row.substitute,
            reason: row.reason,
            recorded_by: row.recorded_by,
            created_at: row.created_at.to_jiff(),
        }
    }
}

/// The shifts of a team that touch a period, after one of them.
pub(crate) async fn shifts(
    conn: &mut PgConnection,
    team: Uuid,
    (from, to): (Timestamp, Timestamp),
    after: Option<(Timestamp, String)>,
    limit: i64,
) -> Result<Vec<RosterShift>, StoreError> {
    let (at, staff) = after.unzip();
    let rows = sqlx::query!(
        r#"SELECT staff, starts_at AS "starts_at: jiff_sqlx::Timestamp", ends_at AS "ends_at: jiff_sqlx::Timestamp"
           FROM roster_shift
           WHERE team_id = $1 AND starts_at < $3 AND starts_at > $2::timestamptz - interval '48 hours' AND ends_at > $2
             AND ($4::timestamptz IS NULL OR (starts_at, staff) > ($4, $5::text))
           ORDER BY starts_at, staff
           LIMIT $6"#,
        team,
        from.to_sqlx() as _,
        to.to_sqlx() as _,
        at.map(|at| at.to_sqlx()) as _,
        staff as _,
        limit,
    )
    .fetch_all(conn)
    .await?;
    let shifts = rows.into_iter().map(|row| RosterShift {
        staff: row.staff,
        from: row.starts_at.to_jiff(),
        to: row.ends_at.to_jiff(),
    });
    Ok(shifts.collect())
}

/// Replaces the shifts of a team, which this transaction has locked, that begin within a period; tells what they were.
pub(crate) async fn replace_shifts(
    conn: &mut PgConnection,
    team: Uuid,
    (from, to): (Timestamp, Timestamp),
    shifts: &[RosterShift],
) -> Result<Vec<RosterShift>, StoreError> {
    let removed = sqlx::query!(
        r#"DELETE FROM roster_shift WHERE team_id = $1 AND starts_at >= $2 AND starts_at < $3
           RETURNING staff, starts_at AS "starts_at: jiff_sqlx::Timestamp", ends_at AS "ends_at: jiff_sqlx::Timestamp""#,
        team,
        from.to_sqlx() as _,
        to.to_sqlx() as _,
    )
    .fetch_all(&mut *conn)
    .await?;
    let removed = removed.into_iter().map(|row| RosterShift {
        staff: row.staff,
        from: row.starts_at.to_jiff(),
        to: row.ends_at.to_jiff(),
    });
    let mut removed: Vec<RosterShift> = removed.collect();
    removed.sort_unstable();
    sqlx::query!(
        "INSERT INTO roster_shift (team_id, staff, starts_at, ends_at)
         SELECT $1, * FROM unnest($2::text[], $3::timestamptz[], $4::timestamptz[])",
        team,
        &column!(shifts, |shift| shift.staff.as_str()) as _,
        &column!(shifts, |shift| shift.from.to_sqlx()) as _,
        &column!(shifts, |shift| shift.to.to_sqlx()) as _,
    )
    .execute(conn)
    .await?;
    Ok(removed)
}

/// Who of a team has two shifts at the same time, one of which begins or ends in the period; none if nobody has.
pub(crate) async fn double_shift(
    conn: &mut PgConnection,
    team: Uuid,
    (from, to): (Timestamp, Timestamp),
) -> Result<Option<String>, StoreError> {
    Ok(sqlx::query_scalar!(
        "SELECT one.staff FROM roster_shift AS one
         JOIN roster_shift AS other ON other.team_id = one.team_id AND other.staff = one.staff AND other.starts_at > one.starts_at
             AND other.starts_at < one.ends_at
         WHERE one.team_id = $1 AND one.starts_at < $3 AND one.starts_at > $2::timestamptz - interval '48 hours'
         ORDER BY one.staff LIMIT 1",
        team,
        from.to_sqlx() as _,
        to.to_sqlx() as _,
    )
    .fetch_optional(conn)
    .await?)
}

/// Whether somebody is there, as was last said.
pub(crate) async fn presence(
    conn: &mut PgConnection,
    staff: &str,
) -> Result<Option<Presence>, StoreError> {
    let row = sqlx::query!(
        r#"SELECT id, revision, present, since AS "since: jiff_sqlx::Timestamp", until AS "until: jiff_sqlx::Timestamp"
           FROM presence WHERE staff = $1"#,
        staff,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Presence {
        id: row.id,
        revision: row.revision,
        staff: staff.to_owned(),
        present: row.present,
        since: row.since.to_jiff(),
        until: row.until.map(jiff_sqlx::Timestamp::to_jiff),
    }))
}

/// Keeps others from saying whether somebody is there until the end of the transaction, if anybody ever did.
pub(crate) async fn lock_presence(conn: &mut PgConnection, staff: &str) -> Result<(), StoreError> {
    sqlx::query!("SELECT staff FROM presence WHERE staff = $1 FOR NO KEY UPDATE", staff)
        .fetch_optional(conn)
        .await?;
    Ok(())
}

/// Says whether somebody is there. Whoever says it later wins; the id of the first stays. Tells the revision.
pub(crate) async fn set_presence(
    conn: &mut PgConnection,
    presence: &Presence,
) -> Result<(Uuid, i64), StoreError> {
    let row = sqlx::query!(
        "INSERT INTO presence (staff, revision, id, present, since, until) VALUES ($1, 1, $2, $3, $4, $5)
         ON CONFLICT (staff) DO UPDATE
         SET revision = presence.revision + 1, present = excluded.present, since = excluded.since, until = excluded.until
         RETURNING id, revision",
        presence.staff,
        presence.id,
        presence.present,
        presence.since.to_sqlx() as _,
        presence.until.map(|at| at.to_sqlx()) as _,
    )
    .fetch_one(conn)
    .await?;
    Ok((row.id, row.revision))
}

/// The absence with this id.
pub(crate) async fn absence(
    conn: &mut PgConnection,
    id: Uuid,
) -> Result<Option<Absence>, StoreError> {
    let row = sqlx::query_as!(
        AbsenceRow,
        r#"SELECT id, revision, staff, starts_at AS "starts_at: jiff_sqlx::Timestamp",
                  ends_at AS "ends_at: jiff_sqlx::Timestamp", substitute, reason, recorded_by,
                  created_at AS "created_at: jiff_sqlx::Timestamp"
           FROM absence WHERE id = $1"#,
        id,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(Absence::from))
}

/// Puts an absence on record.
pub(crate) async fn insert_absence(
    conn: &mut PgConnection,
    absence: &Absence,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO absence (id, revision, staff, starts_at, ends_at, substitute, reason, recorded_by, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        absence.id,
        absence.revision,
        absence.staff,
        absence.from.to_sqlx() as _,
        absence.to.to_sqlx() as _,
        absence.substitute,
        absence.reason,
        absence.recorded_by,
        absence.created_at.to_sqlx() as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Ends an absence at another time.
pub(crate) async fn end_absence(
    conn: &mut PgConnection,
    absence: &Absence,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE absence SET revision = $2, ends_at = $3 WHERE id = $1",
        absence.id,
        absence.revision,
        absence.to.to_sqlx() as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Whether somebody is already absent at some time of a period.
pub(crate) async fn is_absent(
    conn: &mut PgConnection,
    staff: &str,
    (from, to): (Timestamp, Timestamp),
) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"SELECT EXISTS (
               SELECT FROM absence
               WHERE staff = $1 AND starts_at < $3 AND ends_at > $2 AND ends_at > starts_at) AS "exists!""#,
        staff,
        from.to_sqlx() as _,
        to.to_sqlx() as _,
    )
    .fetch_one(conn)
    .await?)
}

/// Whether, at some time of a period, whoever stands in for somebody would in the end be that person itself.
pub(crate) async fn makes_circle(
    conn: &mut PgConnection,
    (staff, substitute): (&str, &str),
    (from, to): (Timestamp, Timestamp),
) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"WITH RECURSIVE chain (staff, starts_at, ends_at) AS (
               SELECT $2::text COLLATE "C", $3::timestamptz, $4::timestamptz
               UNION
               SELECT absence.substitute, greatest(chain.starts_at, absence.starts_at),
                      least(chain.ends_at, absence.ends_at)
               FROM chain JOIN absence ON absence.staff = chain.staff
               WHERE absence.starts_at < chain.ends_at AND absence.ends_at > chain.starts_at
                 AND absence.ends_at > absence.starts_at AND chain.staff <> $1
           )
           SELECT EXISTS (SELECT FROM chain WHERE staff = $1) AS "exists!""#,
        staff,
        substitute,
        from.to_sqlx() as _,
        to.to_sqlx() as _,
    )
    .fetch_one(conn)
    .await?)
}

/// The absences of members of the teams at and below an org unit that touch a period, after one of them.
pub(crate) async fn absences(
    conn: &mut PgConnection,
    org_unit: &str,
    (from, to): (Timestamp, Timestamp),
    after: Option<(Timestamp, Uuid)>,
    limit: i64,
) -> Result<Vec<Absence>, StoreError> {
    let (at, id) = after.unzip();
    let rows = sqlx::query_as!(
        AbsenceRow,
        r#"SELECT id, revision, staff, starts_at AS "starts_at: jiff_sqlx::Timestamp",
                  ends_at AS "ends_at: jiff_sqlx::Timestamp", substitute, reason, recorded_by,
                  created_at AS "created_at: jiff_sqlx::Timestamp"
           FROM absence
           WHERE staff IN (
                   SELECT team_member.staff FROM team JOIN team_member ON team_member.team_id = team.id
                   WHERE team.org_unit = $1 OR (team.org_unit > $1 || '/' AND team.org_unit < $1 || '0'))
             AND starts_at < $3 AND ends_at > $2 AND ends_at > starts_at
             AND ($4::timestamptz IS NULL OR (starts_at, id) > ($4, $5::uuid))
           ORDER BY starts_at, id
           LIMIT $6"#,
        org_unit,
        from.to_sqlx() as _,
        to.to_sqlx() as _,
        at.map(|at| at.to_sqlx()) as _,
        id as _,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(Absence::from).collect())
}

/// For whom somebody stands in now.
pub(crate) async fn stands_in_for(
    conn: &mut PgConnection,
    acting: &str,
    now: Timestamp,
) -> Result<Vec<String>, StoreError> {
    Ok(sqlx::query_scalar!(
        "SELECT DISTINCT staff FROM absence
         WHERE starts_at <= $2 AND ends_at > $2 AND staff <> $1 AND stand_in(staff, $2) = $1
         ORDER BY staff",
        acting,
        now.to_sqlx() as _,
    )
    .fetch_all(conn)
    .await?)
}

/// Whether somebody stands in for somebody else, who is absent.
pub(crate) async fn stands_in(
    conn: &mut PgConnection,
    who: &str,
    acting: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"SELECT $1 <> $2 AND stand_in($1, $3) = $2 AS "acts!""#,
        who,
        acting,
        now.to_sqlx() as _,
    )
    .fetch_one(conn)
    .await?)
}
