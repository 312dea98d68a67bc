//! Which shifts the patterns of the policies ask for and which of them there are: tables `team`, `roster_shift` and `shift`.

use jiff_sqlx::{Timestamp, ToSqlx as _};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use kefu_postgres::StoreError;

use super::column;
use crate::domain::{Occurrence, Rostered};

/// A team that works in shifts.
#[derive(Clone, Debug)]
pub(crate) struct ShiftTeam {
    pub(crate) id: Uuid,
    /// The dispatch centre.
    pub(crate) org_unit: String,
    pub(crate) code: String,
}

/// Teams with one of these codes to which something still goes, after `after`, by their ids.
pub(crate) async fn teams(
    pool: &PgPool,
    codes: &[String],
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<ShiftTeam>, StoreError> {
    Ok(sqlx::query_as!(
        ShiftTeam,
        "SELECT id, org_unit, code FROM team
         WHERE code = ANY ($1) AND NOT retired AND ($2::uuid IS NULL OR id > $2) ORDER BY id LIMIT $3",
        codes,
        after as _,
        limit,
    )
    .fetch_all(pool)
    .await?)
}

/// A shift that a pattern asks for.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) team: ShiftTeam,
    pub(crate) pattern: String,
    pub(crate) shift: Occurrence,
}

/// The shifts that there are instead of each wanted one, in no order: the place of the wanted one and the shift's id. It is the
/// same one, another of the pattern at that time because the policy changed meanwhile, or one that somebody planned for the
/// same time.
pub(crate) async fn planned(
    conn: &mut PgConnection,
    wanted: &[Wanted],
) -> Result<Vec<(usize, Uuid)>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT wanted.place AS "place!", found.id AS "id!"
           FROM unnest($1::text[], $2::uuid[], $3::text[], $4::timestamptz[], $5::timestamptz[])
               WITH ORDINALITY AS wanted (centre, team_id, pattern, starts_at, ends_at, place)
           CROSS JOIN LATERAL (
               SELECT shift.id FROM shift
               WHERE shift.dispatch_centre = wanted.centre AND shift.ends_at > wanted.starts_at
                 AND shift.starts_at < wanted.ends_at
                 AND (shift.team_id = wanted.team_id AND shift.pattern = wanted.pattern
                      OR shift.team_id IS NULL
                         AND (shift.starts_at, shift.ends_at) = (wanted.starts_at, wanted.ends_at))
               ORDER BY shift.starts_at, shift.id LIMIT 1
           ) AS found"#,
        &column!(wanted, |wanted| wanted.team.org_unit.as_str()) as _,
        &column!(wanted, |wanted| wanted.team.id),
        &column!(wanted, |wanted| wanted.pattern.as_str()) as _,
        &column!(wanted, |wanted| wanted.shift.starts.to_sqlx()) as _,
        &column!(wanted, |wanted| wanted.shift.ends.to_sqlx()) as _,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (place(row.place), row.id)).collect())
}

/// Who is on the roster of a team in the time of each wanted shift, or who is a member of a team without a roster, with the
/// place of the wanted shift; whoever stands in for whoever is absent when that time begins (T-25). Bounded by the teams.
pub(crate) async fn rostered(
    conn: &mut PgConnection,
    wanted: &[Wanted],
) -> Result<Vec<(usize, Rostered)>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT wanted.place AS "place!", stand_in(turn.staff, wanted.starts_at) AS "staff!",
                  turn.starts_at AS "from!: Timestamp", turn.ends_at AS "to!: Timestamp"
           FROM unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[])
               WITH ORDINALITY AS wanted (team_id, starts_at, ends_at, place)
           JOIN team ON team.id = wanted.team_id
           CROSS JOIN LATERAL (
               SELECT team_member.staff, roster_shift.starts_at, roster_shift.ends_at
               FROM team_member JOIN roster_shift USING (team_id, staff)
               WHERE team.rostered AND team_member.team_id = team.id
                 AND roster_shift.starts_at < wanted.ends_at AND roster_shift.ends_at > wanted.starts_at
               UNION ALL
               SELECT team_member.staff, wanted.starts_at, wanted.ends_at
               FROM team_member WHERE NOT team.rostered AND team_member.team_id = team.id
           ) AS turn"#,
        &column!(wanted, |wanted| wanted.team.id),
        &column!(wanted, |wanted| wanted.shift.starts.to_sqlx()) as _,
        &column!(wanted, |wanted| wanted.shift.ends.to_sqlx()) as _,
    )
    .fetch_all(conn)
    .await?;
    let rostered = rows.into_iter().map(|row| {
        let (from, to) = (row.from.to_jiff(), row.to.to_jiff());
        (place(row.place), Rostered { staff: row.staff.into(), from, to })
    });
    Ok(rostered.collect())
}

fn place(ordinality: i64) -> usize {
    usize::try_from(ordinality - 1).unwrap_or(usize::MAX)
}
