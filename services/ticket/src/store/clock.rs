//! Table `ticket_clock`: the ledger of promises.

use jiff_sqlx::{Timestamp, ToSqlx as _};
use kefu_calendar::{Pause, Timeline};
use serde_json::{Value, json};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use kefu_postgres::StoreError;

use super::clock_note::{self, announcements_json, revisions_json, steps_json};
use super::clock_terms::{self, Versions, eras_json};
use super::{column, known, read};
use crate::domain::{ClockEntry, Fulfilment};

type Times = (
    Timestamp,
    Option<Timestamp>,
    Option<Timestamp>,
    Option<Timestamp>,
    Option<Timestamp>,
    Option<Timestamp>,
);

/// A row as `ticket_get.sql` reads it: rule, kind, cycle; started, due, warn, warned, breached, cancelled; fulfilled at
/// and by, recorded at; pauses; round, steps, announcements, revisions, policy version, eras, answerable.
pub(crate) type ClockRecord = (
    String,
    String,
    i32,
    Times,
    (Option<Timestamp>, Option<String>, Option<Timestamp>),
    Option<Value>,
    (i16, Option<Value>, Option<Value>, Option<Value>, Option<Uuid>, Option<Value>, Option<String>),
);

/// The entry of the ledger; its target stands in the policy version that promised it.
/// While its ticket is merged, since `merged_at`, everything rests that was not settled then: so
/// that is not stored with each entry.
pub(super) fn entry(
    record: ClockRecord,
    versions: &Versions<'_>,
    merged_at: Option<jiff::Timestamp>,
) -> Result<ClockEntry, StoreError> {
    let (rule, kind, cycle, times, fulfilment, pauses, notes) = record;
    let (round, steps, announcements, revisions, version, eras, answerable) = notes;
    let (started, due, warn_at, warned_at, breached_at, cancelled_at) = times;
    let terms = versions.terms(version)?;
    let rule = terms
        .policy(versions.registered)
        .rule(&rule)
        .ok_or_else(|| StoreError::corrupt("ticket_clock.rule", "is not in its policy version"))?;
    let timeline = match pauses {
        None => Timeline::new(started.to_jiff(), rule.target),
        Some(pauses) => read(
            "ticket_clock.pauses",
            Timeline::restore(
                started.to_jiff(),
                rule.target,
                read_pauses("ticket_clock.pauses", &pauses)?,
            ),
        )?,
    };
    let fulfilled = match fulfilment {
        (None, None, None) => None,
        (Some(at), Some(by), Some(recorded_at)) => {
            Some(Fulfilment { at: at.to_jiff(), by: by.into(), recorded_at: recorded_at.to_jiff() })
        }
        _ => return Err(StoreError::corrupt("ticket_clock.fulfilled_at", "is not whole")),
    };
    let merged_at = merged_at.filter(|_| fulfilled.is_none() && cancelled_at.is_none());
    Ok(ClockEntry {
        rule: rule.name.clone(),
        eras: clock_terms::eras(eras.as_ref(), versions)?,
        kind: read("ticket_clock.kind", kind.parse())?,
        cycle: read("ticket_clock.cycle", u32::try_from(cycle))?,
        round: read("ticket_clock.round", u32::try_from(round))?,
        timeline,
        due: due.map(Timestamp::to_jiff),
        warn_at: warn_at.map(Timestamp::to_jiff),
        warned_at: warned_at.map(Timestamp::to_jiff),
        breached_at: breached_at.map(Timestamp::to_jiff),
        answerable: answerable.map(Into::into),
        fulfilled,
        cancelled_at: cancelled_at.map(Timestamp::to_jiff),
        merged_at,
        steps: clock_note::steps("ticket_clock.steps", steps.as_ref())?,
        announcements: clock_note::announcements(announcements.as_ref())?,
        revisions: clock_note::revisions(revisions.as_ref())?,
        terms,
    })
}

/// Pauses as they were stored; whether they are in order, whoever restores a timeline sees.
pub(super) fn read_pauses(column: &str, pauses: &Value) -> Result<Vec<Pause>, StoreError> {
    let time = |pause: &Value, key: &str| -> Result<Option<jiff::Timestamp>, StoreError> {
        pause.get(key).and_then(Value::as_str).map(|text| read(column, text.parse())).transpose()
    };
    let pauses = known(column, pauses.as_array())?;
    pauses
        .iter()
        .map(|pause| {
            Ok(Pause {
                from: known(column, time(pause, "from")?)?,
                to: time(pause, "to")?,
                reason: known(column, pause.get("reason").and_then(Value::as_str))?.to_owned(),
            })
        })
        .collect()
}

/// Pauses as they are stored.
pub(crate) fn pauses_json(pauses: &[Pause]) -> Option<Value> {
    let pause = |pause: &Pause| {
        json!({
            "from": pause.from.to_string(),
            "to": pause.to.map(|to| to.to_string()),
            "reason": pause.reason,
        })
    };
    (!pauses.is_empty()).then(|| pauses.iter().map(pause).collect())
}

/// An entry of the ledger with its place among those of its ticket, oldest first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placed<'a> {
    pub(crate) ticket: Uuid,
    pub(crate) customer: Option<Uuid>,
    pub(crate) position: usize,
    pub(crate) clock: &'a ClockEntry,
}

/// Writes entries of any number of tickets, each ticket's in their places: so an entry of an ended cycle has ended before
/// the next one of its rule begins.
pub(crate) async fn upsert(
    conn: &mut PgConnection,
    clocks: &[Placed<'_>],
) -> Result<(), StoreError> {
    if clocks.is_empty() {
        return Ok(());
    }
    let positions = clocks.iter().map(|placed| i16::try_from(placed.position));
    let positions = read("ticket_clock.position", positions.collect::<Result<Vec<_>, _>>())?;
    let cycles = clocks.iter().map(|placed| i32::try_from(placed.clock.cycle));
    let cycles = read("ticket_clock.cycle", cycles.collect::<Result<Vec<_>, _>>())?;
    let rounds = clocks.iter().map(|placed| i16::try_from(placed.clock.round));
    let rounds = read("ticket_clock.round", rounds.collect::<Result<Vec<_>, _>>())?;
    let fulfilled = |clock: &ClockEntry| clock.fulfilled.clone();
    sqlx::query_file!(
        "src/store/clock_upsert.sql",
        &column!(clocks, |placed| placed.ticket),
        &column!(clocks, |placed| placed.customer) as _,
        &column!(clocks, |Placed { clock, .. }| &*clock.rule) as _,
        &cycles,
        &positions,
        &column!(clocks, |Placed { clock, .. }| clock.kind.code()) as _,
        &column!(clocks, |Placed { clock, .. }| clock.state().code()) as _,
        &column!(clocks, |Placed { clock, .. }| clock.timeline.started().to_sqlx()) as _,
        &column!(clocks, |Placed { clock, .. }| pauses_json(clock.timeline.pauses())) as _,
        &column!(clocks, |Placed { clock, .. }| clock.due.map(|at| at.to_sqlx())) as _,
        &column!(clocks, |Placed { clock, .. }| clock.warn_at.map(|at| at.to_sqlx())) as _,
        &column!(clocks, |Placed { clock, .. }| clock.warned_at.map(|at| at.to_sqlx())) as _,
        &column!(clocks, |Placed { clock, .. }| clock.breached_at.map(|at| at.to_sqlx())) as _,
        &column!(clocks, |Placed { clock, .. }| fulfilled(clock).map(|f| f.at.to_sqlx())) as _,
        &column!(clocks, |Placed { clock, .. }| fulfilled(clock).map(|f| f.by.to_string())) as _,
        &column!(clocks, |Placed { clock, .. }| fulfilled(clock).map(|f| f.recorded_at.to_sqlx()))
            as _,
        &column!(clocks, |Placed { clock, .. }| clock.cancelled_at.map(|at| at.to_sqlx())) as _,
        &column!(clocks, |Placed { clock, .. }| clock.next_fire_at().map(|at| at.to_sqlx())) as _,
        &rounds,
        &column!(clocks, |Placed { clock, .. }| steps_json(&clock.steps)) as _,
        &column!(clocks, |Placed { clock, .. }| announcements_json(clock)) as _,
        &column!(clocks, |Placed { clock, .. }| revisions_json(clock)) as _,
        &column!(clocks, |Placed { clock, .. }| clock.terms.version()) as _,
        &column!(clocks, |Placed { clock, .. }| eras_json(clock)) as _,
        &column!(clocks, |Placed { clock, .. }| clock.answerable.as_deref()) as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Tickets with something to do at `now` but those in `skip`, the longest due first, each once, with the time at which it
/// was due.
pub(crate) async fn due(
    pool: &PgPool,
    now: jiff::Timestamp,
    skip: &[Uuid],
    limit: i64,
) -> Result<Vec<(Uuid, jiff::Timestamp)>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT ticket_id AS "ticket_id!", min(fire_at) AS "due_at!: Timestamp"
           FROM ((SELECT ticket_id, next_fire_at AS fire_at FROM ticket_clock
                  WHERE next_fire_at <= $1 AND ticket_id <> ALL($2)
                  ORDER BY next_fire_at LIMIT $3)
                 UNION ALL
                 (SELECT id, follow_up_at FROM ticket
                  WHERE follow_up_at <= $1 AND id <> ALL($2)
                  ORDER BY follow_up_at LIMIT $3)
                 UNION ALL
                 (SELECT id, attend_at FROM ticket
                  WHERE attend_at <= $1 AND id <> ALL($2)
                  ORDER BY attend_at LIMIT $3)) AS due
           GROUP BY ticket_id
           ORDER BY 2, 1"#,
        now.to_sqlx() as _,
        skip,
        limit,
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|row| (row.ticket_id, row.due_at.to_jiff())).collect())
}

/// When the next one has something to do that is not in `skip`.
pub(crate) async fn next_due(
    pool: &PgPool,
    skip: &[Uuid],
) -> Result<Option<jiff::Timestamp>, StoreError> {
    let at = sqlx::query_scalar!(
        r#"SELECT least(
               (SELECT next_fire_at FROM ticket_clock
                WHERE next_fire_at IS NOT NULL AND ticket_id <> ALL($1)
                ORDER BY next_fire_at LIMIT 1),
               (SELECT follow_up_at FROM ticket
                WHERE follow_up_at IS NOT NULL AND id <> ALL($1)
                ORDER BY follow_up_at LIMIT 1),
               (SELECT attend_at FROM ticket
                WHERE attend_at IS NOT NULL AND id <> ALL($1)
                ORDER BY attend_at LIMIT 1)) AS "at: Timestamp""#,
        skip,
    )
    .fetch_one(pool)
    .await?;
    Ok(at.map(Timestamp::to_jiff))
}
