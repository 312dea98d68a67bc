//! Table `routing_step`, who handles a ticket, and the loads (`member_load`) that come of it (T-03, T-25).

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use serde_json::{Value, json};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use kefu_postgres::StoreError;

use super::registration::Given;
use super::{column, known, read};
use crate::domain::{
    AssignCause, Assignment, Candidate, Change, Distribution, Look, Subject, Ticket,
};

/// The most steps that are told, and the most candidates of one.
const MAX_STEPS: i64 = 200;
const MAX_CANDIDATES: usize = 50;

/// Looks as they are stored.
pub(crate) fn looks_json(looks: &[Look]) -> Value {
    let look = |look: &Look| json!({ "rule": &*look.rule, "matched": look.unmet.is_empty(), "unmet": look.unmet });
    looks.iter().map(look).collect()
}

fn candidates_json(candidates: &[Candidate]) -> Option<Value> {
    let candidate = |candidate: &Candidate| {
        json!({
            "staff": &*candidate.staff, "for": candidate.stands_for.as_deref(), "open": candidate.open,
            "turn": candidate.turn,
        })
    };
    (!candidates.is_empty())
        .then(|| candidates.iter().take(MAX_CANDIDATES).map(candidate).collect())
}

pub(super) fn distribution(
    column: &str,
    code: Option<&str>,
) -> Result<Option<Distribution>, StoreError> {
    code.map(|code| read(column, code.parse())).transpose()
}

/// A decision that is to be put on record.
#[derive(Debug)]
pub(crate) struct NewStep<'a> {
    ticket: &'a Ticket,
    customer: Option<Uuid>,
    change: &'a Change,
    assignment: &'a Assignment,
}

impl<'a> NewStep<'a> {
    /// `ticket` is what the change made of it.
    pub(crate) fn of(
        ticket: &'a Ticket,
        customer: Option<Uuid>,
        change: &'a Change,
        assignment: &'a Assignment,
    ) -> Self {
        Self { ticket, customer, change, assignment }
    }
}

/// Puts a decision on record, at the ticket's revision.
pub(crate) async fn add_step(
    conn: &mut PgConnection,
    step: &NewStep<'_>,
) -> Result<(), StoreError> {
    let NewStep { ticket, customer, change, assignment } = step;
    let routed = assignment.routed.as_deref();
    let looks = routed.map(|routed| looks_json(&routed.looks));
    sqlx::query!(
        "INSERT INTO routing_step
             (ticket_id, position, customer_id, cause, actor, team_id, distribution, candidates, owner, reason, decided_at,
              looks, rule, team_code)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
        ticket.id,
        read("routing_step.position", i32::try_from(ticket.revision))?,
        *customer as _,
        assignment.cause.code(),
        &*change.actor.subject(),
        assignment.team,
        ticket.distribution.map(|by| by.code()),
        candidates_json(&assignment.candidates),
        assignment.owner.as_deref(),
        Some(assignment.reason.as_str()).filter(|reason| !reason.is_empty()),
        change.at.to_sqlx() as _,
        looks,
        routed.and_then(|routed| routed.rule.as_deref()),
        routed.and_then(|routed| routed.team.as_deref()),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A decision as it is stored.
#[derive(Debug)]
pub(crate) struct StepRow {
    pub(crate) cause: String,
    pub(crate) actor: String,
    pub(crate) looks: Option<Value>,
    pub(crate) rule: Option<String>,
    pub(crate) team_code: Option<String>,
    pub(crate) team_id: Option<Uuid>,
    pub(crate) distribution: Option<String>,
    pub(crate) candidates: Option<Value>,
    pub(crate) owner: Option<String>,
    pub(crate) reason: Option<String>,
    pub(crate) decided_at: jiff_sqlx::Timestamp,
}

impl StepRow {
    pub(crate) fn cause(&self) -> Result<AssignCause, StoreError> {
        read("routing_step.cause", self.cause.parse())
    }

    pub(crate) fn distribution(&self) -> Result<Option<Distribution>, StoreError> {
        distribution("routing_step.distribution", self.distribution.as_deref())
    }

    /// What was looked at: names and unmet conditions.
    pub(crate) fn looks(&self) -> Result<Vec<(String, Vec<String>)>, StoreError> {
        let look = |value: &Value| {
            let unmet = value.get("unmet")?.as_array()?.iter();
            let unmet = unmet.filter_map(|name| Some(name.as_str()?.to_owned())).collect();
            Some((value.get("rule")?.as_str()?.to_owned(), unmet))
        };
        let looks = self.looks.as_ref().and_then(Value::as_array);
        let looks = looks.into_iter().flatten().map(look);
        known("routing_step.looks", looks.collect())
    }

    /// Who could have got it.
    pub(crate) fn candidates(&self) -> Result<Vec<Candidate>, StoreError> {
        let candidate = |value: &Value| {
            Some(Candidate {
                staff: value.get("staff")?.as_str()?.into(),
                stands_for: value.get("for").and_then(Value::as_str).map(Into::into),
                open: i32::try_from(value.get("open")?.as_i64()?).ok()?,
                turn: value.get("turn")?.as_i64()?,
            })
        };
        let candidates = self.candidates.as_ref().and_then(Value::as_array);
        let candidates = candidates.into_iter().flatten().take(MAX_CANDIDATES).map(candidate);
        known("routing_step.candidates", candidates.collect())
    }
}

/// The latest decisions about a ticket, oldest first.
pub(crate) async fn steps(
    conn: &mut PgConnection,
    ticket: Uuid,
) -> Result<Vec<StepRow>, StoreError> {
    let mut rows = sqlx::query_as!(
        StepRow,
        r#"SELECT cause, actor, looks, rule, team_code, team_id, distribution, candidates, owner, reason,
                  decided_at AS "decided_at: jiff_sqlx::Timestamp"
           FROM routing_step WHERE ticket_id = $1 ORDER BY position DESC LIMIT $2"#,
        ticket,
        MAX_STEPS,
    )
    .fetch_all(conn)
    .await?;
    rows.reverse();
    Ok(rows)
}

/// What the statement of its registration gave to a ticket.
pub(crate) async fn given(
    conn: &mut PgConnection,
    ticket: Uuid,
) -> Result<Option<Given>, StoreError> {
    let row = sqlx::query!(
        r#"SELECT ticket.number, step.team_id AS "team_id?", step.owner AS "owner?"
           FROM ticket LEFT JOIN routing_step AS step ON step.ticket_id = ticket.id AND step.position = 0
           WHERE ticket.id = $1"#,
        ticket,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Given { number: row.number, team: row.team_id, owner: row.owner }))
}

/// When a customer last complained of a category and product since a time.
pub(crate) async fn last_complaint(
    conn: &mut PgConnection,
    customer: Uuid,
    (category, product): (&str, &str),
    since: Timestamp,
) -> Result<Option<Timestamp>, StoreError> {
    let found = sqlx::query_scalar!(
        r#"SELECT created_at AS "created_at: jiff_sqlx::Timestamp" FROM ticket
           WHERE customer_id = $1 AND created_at >= $4 AND category = $2 AND product = $3 AND kind = 'complaint'
             AND state NOT IN ('cancelled', 'merged')
           ORDER BY created_at DESC LIMIT 1"#,
        customer,
        category,
        product,
        since.to_sqlx() as _,
    )
    .fetch_optional(conn)
    .await?;
    Ok(found.map(jiff_sqlx::Timestamp::to_jiff))
}

/// Writes who handles a ticket.
pub(crate) async fn save(conn: &mut PgConnection, ticket: &Ticket) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE ticket SET team_id = $2, owner = $3, distribution = $4 WHERE id = $1",
        ticket.id,
        ticket.team as _,
        ticket.owner.as_deref(),
        ticket.distribution.map(|by| by.code()),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Somebody's burden: a ticket of a team.
pub(crate) type Burden<'a> = Option<(Uuid, &'a Subject)>;

/// Takes tickets from somebody's load and gives them to another's. Rows are locked in the order of their key, however many
/// tickets change hands, so that two who do it at the same time cannot lock each other out.
pub(crate) async fn shift_loads(
    conn: &mut PgConnection,
    moved: &[(Burden<'_>, Burden<'_>)],
) -> Result<(), StoreError> {
    let mut sums: BTreeMap<(Uuid, &str), i32> = BTreeMap::new();
    for (from, to) in moved {
        for (burden, amount) in [(from, -1), (to, 1)] {
            if let Some((team, staff)) = burden {
                *sums.entry((*team, &***staff)).or_default() += amount;
            }
        }
    }
    let changes: Vec<_> = sums.into_iter().filter(|(_, amount)| *amount != 0).collect();
    if changes.is_empty() {
        return Ok(());
    }
    let changed = sqlx::query!(
        "WITH given AS (
             SELECT * FROM unnest($1::uuid[], $2::text[], $3::integer[]) AS given (team_id, staff, amount)
         ),
         locked AS MATERIALIZED (
             SELECT load.team_id, load.staff FROM member_load AS load
             WHERE (load.team_id, load.staff) IN (SELECT team_id, staff FROM given)
             ORDER BY load.team_id, load.staff
             FOR NO KEY UPDATE
         )
         UPDATE member_load AS load SET open_tickets = load.open_tickets + given.amount
         FROM locked JOIN given USING (team_id, staff)
         WHERE load.team_id = locked.team_id AND load.staff = locked.staff",
        &column!(changes, |((team, _), _)| *team),
        &column!(changes, |((_, staff), _)| *staff) as _,
        &column!(changes, |(_, amount)| *amount),
    )
    .execute(conn)
    .await?
    .rows_affected();
    if usize::try_from(changed) == Ok(changes.len()) {
        Ok(())
    } else {
        Err(StoreError::corrupt(
            "member_load",
            "somebody owns a ticket of a team without a load in it",
        ))
    }
}

/// Locks a team for a distribution, and then the loads of those who could get a ticket of it now; tells them. The loads of those
/// from whom tickets are taken are locked with them, in the order in which all loads are: after them would be too late where
/// somebody else moves a ticket the other way.
pub(crate) async fn candidates(
    conn: &mut PgConnection,
    team: Uuid,
    from: &[(Uuid, &Subject)],
    now: Timestamp,
) -> Result<Vec<Candidate>, StoreError> {
    sqlx::query!("SELECT turn FROM team WHERE id = $1 FOR NO KEY UPDATE", team)
        .fetch_optional(&mut *conn)
        .await?;
    // A statement of its own: it sees what the distribution before this one left.
    let rows = sqlx::query!(
        r#"WITH duty AS MATERIALIZED (SELECT staff, stands_for FROM on_duty($1, $2)),
           concerned AS MATERIALIZED (
               SELECT $1::uuid AS team_id, staff, stands_for FROM duty
               UNION ALL
               SELECT DISTINCT taken.team_id, taken.staff, NULL
               FROM unnest($3::uuid[], $4::text[]) AS taken (team_id, staff)
               WHERE taken.team_id <> $1 OR taken.staff NOT IN (SELECT staff FROM duty))
           SELECT load.staff, concerned.stands_for, load.open_tickets, load.turn
           FROM concerned JOIN member_load AS load ON load.team_id = concerned.team_id AND load.staff = concerned.staff
           ORDER BY load.team_id, load.staff
           FOR NO KEY UPDATE OF load"#,
        team,
        now.to_sqlx() as _,
        &column!(from, |(team, _)| *team),
        &column!(from, |(_, staff)| &***staff) as _,
    )
    .fetch_all(conn)
    .await?;
    let candidates = rows.into_iter().filter_map(|row| {
        let stands_for = row.stands_for?;
        Some(Candidate {
            staff: row.staff.into(),
            stands_for: Some(stands_for).filter(|staff| !staff.is_empty()).map(Into::into),
            open: row.open_tickets,
            turn: row.turn,
        })
    });
    Ok(candidates.collect())
}

/// It was somebody's turn in a team that this transaction has locked.
pub(crate) async fn take_turn(
    conn: &mut PgConnection,
    team: Uuid,
    staff: &str,
) -> Result<(), StoreError> {
    sqlx::query!(
        "WITH turned AS (UPDATE team SET turn = turn + 1 WHERE id = $1 RETURNING id, turn)
         UPDATE member_load AS load SET turn = turned.turn FROM turned
         WHERE load.team_id = turned.id AND load.staff = $2",
        team,
        staff,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Tickets that wait for an owner in teams where somebody is on duty and present, oldest first within a team. Who is on duty
/// is asked only of teams in which something waits.
pub(crate) async fn waiting(
    pool: &PgPool,
    now: Timestamp,
    skip: &[Uuid],
    limit: i64,
) -> Result<Vec<Uuid>, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"WITH queued AS MATERIALIZED (
               SELECT team.id FROM team
               WHERE EXISTS (
                   SELECT FROM ticket
                   WHERE ticket.team_id = team.id AND ticket.owner IS NULL AND ticket.distribution IS NOT NULL
                     AND ticket.state IN ('registered', 'in_progress', 'waiting', 'resolved', 'reopened', 'executive_review'))
           ),
           staffed AS MATERIALIZED (
               SELECT queued.id FROM queued WHERE EXISTS (SELECT FROM on_duty(queued.id, $1))
           )
           SELECT unowned.id
           FROM staffed CROSS JOIN LATERAL (
               SELECT ticket.id FROM ticket
               WHERE ticket.team_id = staffed.id AND ticket.owner IS NULL AND ticket.distribution IS NOT NULL
                 AND ticket.state IN ('registered', 'in_progress', 'waiting', 'resolved', 'reopened', 'executive_review')
                 AND ticket.id <> ALL ($2)
               ORDER BY ticket.created_at, ticket.id
               LIMIT $3
           ) AS unowned
           LIMIT $3"#,
        now.to_sqlx() as _,
        skip,
        limit,
    )
    .fetch_all(pool)
    .await?)
}

/// A ticket whose owner cannot go on with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stranded {
    /// The ticket.
    pub(crate) ticket: Uuid,
    /// Its team.
    pub(crate) team: Uuid,
    /// Whose it is.
    pub(crate) owner: String,
}

/// Open tickets whose owner is absent, or neither in the team nor standing in for somebody who is. Found by the few who own
/// something, not by the tickets.
pub(crate) async fn stranded(
    pool: &PgPool,
    now: Timestamp,
    skip: &[Uuid],
    limit: i64,
) -> Result<Vec<Stranded>, StoreError> {
    Ok(sqlx::query_as!(
        Stranded,
        r#"WITH busy AS (
               SELECT load.team_id, load.staff,
                      EXISTS (
                          SELECT FROM team_member
                          WHERE team_member.team_id = load.team_id AND team_member.staff = load.staff) AS member,
                      EXISTS (
                          SELECT FROM absence
                          WHERE absence.staff = load.staff AND absence.starts_at <= $1 AND absence.ends_at > $1) AS absent
               FROM member_load AS load WHERE load.open_tickets > 0
           ),
           away AS (
               SELECT team_id, staff FROM busy
               WHERE (absent AND member) OR (NOT member AND (absent OR NOT EXISTS (
                   SELECT FROM team_member
                   WHERE team_member.team_id = busy.team_id AND stand_in(team_member.staff, $1) = busy.staff)))
           )
           SELECT owned.id AS ticket, away.team_id AS team, away.staff AS owner
           FROM away CROSS JOIN LATERAL (
               SELECT ticket.id FROM ticket
               WHERE ticket.owner = away.staff AND ticket.team_id = away.team_id
                 AND ticket.state IN ('registered', 'in_progress', 'waiting', 'resolved', 'reopened', 'executive_review')
                 AND ticket.id <> ALL ($2)
               ORDER BY ticket.created_at, ticket.id
               LIMIT $3
           ) AS owned
           LIMIT $3"#,
        now.to_sqlx() as _,
        skip,
        limit,
    )
    .fetch_all(pool)
    .await?)
}

/// That an owner cannot go on.
#[derive(Debug)]
pub(crate) struct Away {
    /// Whether he is absent; else he has nothing to do with the team any more.
    pub(crate) absent: bool,
    /// Who stands in and sees the tickets of the org unit.
    pub(crate) heir: Option<String>,
}

/// Whether the owner of a ticket of this org unit cannot go on with it, as [`stranded`] asks of all.
pub(crate) async fn away(
    conn: &mut PgConnection,
    (team, owner): (Uuid, &Subject),
    org_unit: &str,
    now: Timestamp,
) -> Result<Option<Away>, StoreError> {
    Ok(sqlx::query_as!(
        Away,
        r#"SELECT of.absent AS "absent!",
                  CASE WHEN covers(acting.staff, $3) AND EXISTS (
                      SELECT FROM team_member
                      WHERE team_member.team_id = $1 AND stand_in(team_member.staff, $4) = acting.staff
                  ) THEN acting.staff END AS heir
           FROM (
               SELECT EXISTS (SELECT FROM team_member WHERE team_id = $1 AND staff = $2) AS member,
                      EXISTS (
                          SELECT FROM absence WHERE staff = $2 AND starts_at <= $4 AND ends_at > $4) AS absent
           ) AS of
           CROSS JOIN LATERAL (SELECT CASE WHEN of.absent THEN stand_in($2, $4) END AS staff) AS acting
           WHERE of.absent OR (NOT of.member AND NOT EXISTS (
               SELECT FROM team_member WHERE team_id = $1 AND stand_in(team_member.staff, $4) = $2))"#,
        team,
        &**owner,
        org_unit,
        now.to_sqlx() as _,
    )
    .fetch_optional(conn)
    .await?)
}

/// Open tickets whose receiver is absent and stood in for by somebody who sees them. Found by the few that somebody received
/// and nobody has handled yet.
pub(crate) async fn received(
    pool: &PgPool,
    now: Timestamp,
    skip: &[Uuid],
    limit: i64,
) -> Result<Vec<Uuid>, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"WITH received AS MATERIALIZED (
               SELECT id, org_unit, created_at, handling ->> 'receiver' AS receiver FROM ticket
               WHERE handling ->> 'receiver' IS NOT NULL
                 AND state IN ('registered', 'in_progress', 'waiting', 'resolved', 'reopened', 'executive_review')
           ),
           gone AS MATERIALIZED (
               SELECT receiver, stand_in(receiver, $1) AS heir FROM (SELECT DISTINCT receiver FROM received) AS of
               WHERE EXISTS (
                   SELECT FROM absence
                   WHERE absence.staff = of.receiver AND absence.starts_at <= $1 AND absence.ends_at > $1)
           )
           SELECT received.id FROM gone JOIN received USING (receiver)
           WHERE gone.heir <> gone.receiver AND covers(gone.heir, received.org_unit) AND received.id <> ALL ($2)
           ORDER BY received.created_at, received.id
           LIMIT $3"#,
        now.to_sqlx() as _,
        skip,
        limit,
    )
    .fetch_all(pool)
    .await?)
}

/// Who stands in for somebody who is absent and sees the tickets of an org unit.
pub(crate) async fn heir(
    conn: &mut PgConnection,
    staff: &str,
    org_unit: &str,
    now: Timestamp,
) -> Result<Option<String>, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"SELECT acting.staff AS "staff!" FROM stand_in($1, $3) AS acting (staff)
           WHERE acting.staff <> $1 AND covers(acting.staff, $2)"#,
        staff,
        org_unit,
        now.to_sqlx() as _,
    )
    .fetch_optional(conn)
    .await?)
}
