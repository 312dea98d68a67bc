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
    pool: &PgPool,
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
    .fetch_all(pool)
    .await?;
    let place = |place: i64| usize::try_from(place - 1).unwrap_or(usize::MAX);
    Ok(rows.into_iter().map(|row| (place(row.place), row.id)).collect())
}

/// Who is on the roster of a team in a time, or who is a member of one without a roster; whoever stands in for whoever is absent
/// when that time begins (T-25). Bounded by the team.
pub(crate) async fn rostered(
    conn: &mut PgConnection,
    team: Uuid,
    shift: Occurrence,
) -> Result<Vec<Rostered>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT stand_in(staff, $2) AS "staff!", starts_at AS "from!: Timestamp", ends_at AS "to!: Timestamp"
           FROM (
               SELECT team_member.staff, roster_shift.starts_at, roster_shift.ends_at
               FROM team JOIN team_member ON team_member.team_id = team.id
               JOIN roster_shift ON roster_shift.team_id = team.id AND roster_shift.staff = team_member.staff
               WHERE team.id = $1 AND team.rostered AND roster_shift.starts_at < $3 AND roster_shift.ends_at > $2
               UNION ALL
               SELECT team_member.staff, $2, $3
               FROM team JOIN team_member ON team_member.team_id = team.id
               WHERE team.id = $1 AND NOT team.rostered
           ) AS turn"#,
        team,
        shift.starts.to_sqlx() as _,
        shift.ends.to_sqlx() as _,
    )
    .fetch_all(conn)
    .await?;
    let rostered = rows.into_iter().map(|row| Rostered {
        staff: row.staff.into(),
        from: row.from.to_jiff(),
        to: row.to.to_jiff(),
    });
    Ok(rostered.collect())
}
