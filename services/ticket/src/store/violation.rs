//! Table `violation`.

use jiff_sqlx::{Timestamp, ToSqlx as _};
use sqlx::PgConnection;
use uuid::Uuid;

use kefu_postgres::StoreError;

use super::{column, known, read};
use crate::domain::{
    Appeal, AppealOutcome, Confirmation, ProposedViolation, StepTaken, Text, Violation,
    ViolationState, ViolationStateName,
};

/// Which violations, and from where on.
#[derive(Clone, Debug)]
pub(crate) struct ViolationQuery {
    /// At and below this org unit.
    pub(crate) org_unit: String,
    /// Of this ticket only.
    pub(crate) ticket: Option<Uuid>,
    /// Of this person only.
    pub(crate) staff: Option<String>,
    /// In one of these states; empty means any.
    pub(crate) states: Vec<ViolationStateName>,
    /// Older than this one.
    pub(crate) after: Option<(jiff::Timestamp, Uuid)>,
    /// At most so many.
    pub(crate) limit: i64,
}

/// Puts a new one on record. False if the same was reported before and stands.
pub(crate) async fn insert(
    conn: &mut PgConnection,
    violation: &Violation,
) -> Result<bool, StoreError> {
    Ok(insert_all(conn, &[violation]).await? == 1)
}

/// Puts new ones on record with one statement, for timers find many at once (T-07). Says how many were not yet there.
pub(crate) async fn insert_all(
    conn: &mut PgConnection,
    violations: &[&Violation],
) -> Result<u64, StoreError> {
    if violations.is_empty() {
        return Ok(0);
    }
    let inserted = sqlx::query_file!(
        "src/store/violation_insert.sql",
        &column!(violations, |violation| violation.id),
        &column!(violations, |violation| violation.ticket) as _,
        &column!(violations, |violation| violation.work_order) as _,
        &column!(violations, |violation| violation.shift) as _,
        &column!(violations, |violation| violation.customer) as _,
        &column!(violations, |violation| violation.org_unit.as_str()) as _,
        &column!(violations, |violation| violation.proposed.code.as_str()) as _,
        &column!(violations, |violation| violation.proposed.description.en.as_str()) as _,
        &column!(violations, |violation| violation.proposed.description.zh.as_str()) as _,
        &column!(violations, |violation| &*violation.proposed.staff) as _,
        &column!(violations, |violation| violation.proposed.evidence.as_str()) as _,
        &column!(violations, |violation| violation.proposed.amount_cents),
        &column!(violations, |violation| violation.proposed.max_amount_cents) as _,
        &column!(violations, |violation| violation.proposed.currency.as_deref()) as _,
        &column!(violations, |violation| violation.proposed.policy_version) as _,
        &column!(violations, |violation| violation.reporter.as_deref()) as _,
        &column!(violations, |violation| violation.proposed.at.to_sqlx()) as _,
        &column!(violations, |violation| violation.created_at.to_sqlx()) as _,
    );
    Ok(inserted.execute(conn).await?.rows_affected())
}

/// The one that stands and says the same.
pub(crate) async fn same(
    conn: &mut PgConnection,
    violation: &Violation,
) -> Result<Option<Uuid>, StoreError> {
    let proposed = &violation.proposed;
    Ok(sqlx::query_scalar!(
        "SELECT id FROM violation
         WHERE org_unit = $1 AND staff = $2 AND code = $3 AND proposed_at = $4 AND reporter IS NOT NULL
           AND state NOT IN ('dismissed', 'overturned')
           AND ticket_id IS NOT DISTINCT FROM $5 AND work_order_id IS NOT DISTINCT FROM $6",
        violation.org_unit,
        &*proposed.staff,
        proposed.code,
        proposed.at.to_sqlx() as _,
        violation.ticket as _,
        violation.work_order as _,
    )
    .fetch_optional(conn)
    .await?)
}

/// Locks a violation for this transaction, the first thing that every change does. False if there is none.
pub(crate) async fn lock(conn: &mut PgConnection, id: Uuid) -> Result<bool, StoreError> {
    let locked =
        sqlx::query_scalar!("SELECT id FROM violation WHERE id = $1 FOR NO KEY UPDATE", id)
            .fetch_optional(conn)
            .await?;
    Ok(locked.is_some())
}

/// Writes where a violation stands; it must still be at the revision before.
pub(crate) async fn update(
    conn: &mut PgConnection,
    violation: &Violation,
) -> Result<(), StoreError> {
    let state = &violation.state;
    let confirmation = state.confirmation();
    let dismissed = match state {
        ViolationState::Dismissed { decided, reason } => Some((decided, reason)),
        _ => None,
    };
    let decided = confirmation.map(|c| &c.decided).or(dismissed.map(|(decided, _)| decided));
    let reason = confirmation.map(|c| &c.reason).or(dismissed.map(|(_, reason)| reason));
    let appeal = state.appeal();
    let settled = match state {
        ViolationState::Settled { decision, decided, .. } => Some((decision, decided)),
        _ => None,
    };
    let updated = sqlx::query!(
        "UPDATE violation SET
             revision = $2, state = $3, decided_by = $4, decided_at = $5, decision_reason = $6, charged_cents = $7,
             appeal_until = $8, appeal_reason = $9, appealed_at = $10, appeal_decision = $11, appeal_decided_by = $12,
             appeal_decided_at = $13, updated_at = $14
         WHERE id = $1 AND revision = $2::bigint - 1",
        violation.id,
        violation.revision,
        state.name().code(),
        decided.map(|step| &*step.by),
        decided.map(|step| step.at.to_sqlx()) as _,
        reason.map(String::as_str),
        confirmation.map(|c| c.amount_cents),
        confirmation.and_then(|c| c.appeal_until).map(|at| at.to_sqlx()) as _,
        appeal.map(|appeal| appeal.reason.as_str()),
        appeal.map(|appeal| appeal.at.to_sqlx()) as _,
        settled.map(|(decision, _)| decision.as_str()),
        settled.map(|(_, step)| &*step.by),
        settled.map(|(_, step)| step.at.to_sqlx()) as _,
        violation.updated_at.to_sqlx() as _,
    )
    .execute(conn)
    .await?
    .rows_affected();
    if updated == 1 {
        Ok(())
    } else {
        Err(StoreError::Corrupt("a violation changed although it was locked".to_owned()))
    }
}

struct Row {
    id: Uuid,
    ticket_id: Option<Uuid>,
    work_order_id: Option<Uuid>,
    shift_id: Option<Uuid>,
    customer_id: Option<Uuid>,
    org_unit: String,
    code: String,
    description_en: String,
    description_zh: String,
    staff: String,
    evidence: String,
    amount_cents: i64,
    max_amount_cents: i64,
    currency: Option<String>,
    state: String,
    proposed_at: Timestamp,
    created_at: Timestamp,
    updated_at: Timestamp,
    revision: i64,
    policy_version_id: Option<Uuid>,
    reporter: Option<String>,
    decided_by: Option<String>,
    decided_at: Option<Timestamp>,
    decision_reason: Option<String>,
    charged_cents: Option<i64>,
    appeal_until: Option<Timestamp>,
    appeal_reason: Option<String>,
    appealed_at: Option<Timestamp>,
    appeal_decision: Option<String>,
    appeal_decided_by: Option<String>,
    appeal_decided_at: Option<Timestamp>,
}

impl Row {
    fn into_violation(self) -> Result<Violation, StoreError> {
        let state = self.state()?;
        Ok(Violation {
            id: self.id,
            ticket: self.ticket_id,
            work_order: self.work_order_id,
            shift: self.shift_id,
            customer: self.customer_id,
            org_unit: self.org_unit,
            proposed: ProposedViolation {
                code: self.code,
                description: Text::new(self.description_en, self.description_zh),
                staff: self.staff.into(),
                evidence: self.evidence,
                amount_cents: self.amount_cents,
                max_amount_cents: self.max_amount_cents,
                currency: self.currency,
                at: self.proposed_at.to_jiff(),
                policy_version: self.policy_version_id,
            },
            reporter: self.reporter.map(Into::into),
            state,
            created_at: self.created_at.to_jiff(),
            updated_at: self.updated_at.to_jiff(),
            revision: self.revision,
        })
    }

    fn state(&self) -> Result<ViolationState, StoreError> {
        let name: ViolationStateName = read("violation.state", self.state.parse())?;
        Ok(match name {
            ViolationStateName::Proposed => ViolationState::Proposed,
            ViolationStateName::Dismissed => ViolationState::Dismissed {
                decided: self.decided()?,
                reason: known("violation.decision_reason", self.decision_reason.clone())?,
            },
            ViolationStateName::Confirmed => ViolationState::Confirmed(self.confirmation()?),
            ViolationStateName::Appealed => ViolationState::Appealed {
                confirmation: self.confirmation()?,
                appeal: self.appeal()?,
            },
            ViolationStateName::Upheld => self.settled(AppealOutcome::Upheld)?,
            ViolationStateName::Overturned => self.settled(AppealOutcome::Overturned)?,
        })
    }

    fn decided(&self) -> Result<StepTaken, StoreError> {
        step("violation.decided_at", self.decided_at, self.decided_by.as_deref())
    }

    fn confirmation(&self) -> Result<Confirmation, StoreError> {
        Ok(Confirmation {
            decided: self.decided()?,
            reason: self.decision_reason.clone().unwrap_or_default(),
            amount_cents: known("violation.charged_cents", self.charged_cents)?,
            appeal_until: self.appeal_until.map(Timestamp::to_jiff),
        })
    }

    fn appeal(&self) -> Result<Appeal, StoreError> {
        Ok(Appeal {
            reason: known("violation.appeal_reason", self.appeal_reason.clone())?,
            at: known("violation.appealed_at", self.appealed_at)?.to_jiff(),
        })
    }

    fn settled(&self, outcome: AppealOutcome) -> Result<ViolationState, StoreError> {
        let (at, by) = (self.appeal_decided_at, self.appeal_decided_by.as_deref());
        Ok(ViolationState::Settled {
            confirmation: self.confirmation()?,
            appeal: self.appeal()?,
            outcome,
            decision: known("violation.appeal_decision", self.appeal_decision.clone())?,
            decided: step("violation.appeal_decided_at", at, by)?,
        })
    }
}

/// Who did something, and when.
pub(super) fn step(
    column: &str,
    at: Option<Timestamp>,
    by: Option<&str>,
) -> Result<StepTaken, StoreError> {
    Ok(StepTaken { by: known(column, by)?.into(), at: known(column, at)?.to_jiff() })
}

/// The violation with this id: one statement.
pub(crate) async fn find(
    conn: &mut PgConnection,
    id: Uuid,
) -> Result<Option<Violation>, StoreError> {
    Ok(by_id(conn, &[id]).await?.pop())
}

async fn by_id(conn: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<Violation>, StoreError> {
    let rows =
        sqlx::query_file_as!(Row, "src/store/violation_get.sql", ids).fetch_all(conn).await?;
    rows.into_iter().map(Row::into_violation).collect()
}

/// The newest violations that the query asks for, newest first.
pub(crate) async fn list(
    conn: &mut PgConnection,
    query: &ViolationQuery,
) -> Result<Vec<Violation>, StoreError> {
    let (at, id) = query.after.unzip();
    let at = at.map(|at| at.to_sqlx());
    let states: Vec<&str> = query.states.iter().map(|state| state.code()).collect();
    let ids = if query.ticket.is_none() && query.staff.is_none() {
        sqlx::query_file_scalar!(
            "src/store/violation_list.sql",
            query.org_unit,
            at as _,
            id as _,
            query.limit,
            &states as _,
        )
        .fetch_all(&mut *conn)
        .await?
    } else {
        sqlx::query_scalar!(
            "SELECT id FROM violation
             WHERE ($5::uuid IS NULL OR ticket_id = $5) AND ($6::text IS NULL OR staff = $6)
               AND (org_unit = $1 OR (org_unit > $1 || '/' AND org_unit < $1 || '0'))
               AND ($2::timestamptz IS NULL OR (created_at, id) < ($2, $3::uuid))
               AND (cardinality($7::text[]) = 0 OR state = ANY ($7))
             ORDER BY created_at DESC, id DESC
             LIMIT $4",
            query.org_unit,
            at as _,
            id as _,
            query.limit,
            query.ticket as _,
            query.staff as _,
            &states as _,
        )
        .fetch_all(&mut *conn)
        .await?
    };
    by_id(conn, &ids).await
}

/// One line of a statement.
#[derive(Debug)]
pub(crate) struct StatementLine {
    pub(crate) id: Uuid,
    pub(crate) code: String,
    pub(crate) description_en: String,
    pub(crate) description_zh: String,
    pub(crate) proposed_at: Timestamp,
    pub(crate) at: Timestamp,
    pub(crate) cents: i64,
    pub(crate) currency: Option<String>,
    pub(crate) state: String,
    pub(crate) credit: bool,
}

/// What the lines of one currency come to.
#[derive(Debug)]
pub(crate) struct StatementTotal {
    pub(crate) currency: String,
    pub(crate) cents: i64,
    pub(crate) confirmed: i64,
    pub(crate) overturned: i64,
}

/// Whose statement, and for which time.
#[derive(Clone, Debug)]
pub(crate) struct StatementQuery {
    pub(crate) staff: String,
    pub(crate) org_unit: String,
    pub(crate) start: jiff::Timestamp,
    pub(crate) end: jiff::Timestamp,
    /// At most so many lines; the totals count all.
    pub(crate) lines: i64,
}

/// The lines, oldest first, and the totals.
pub(crate) async fn statement(
    conn: &mut PgConnection,
    query: &StatementQuery,
) -> Result<(Vec<StatementLine>, Vec<StatementTotal>), StoreError> {
    let lines = sqlx::query_file_as!(
        StatementLine,
        "src/store/violation_statement.sql",
        query.staff,
        query.org_unit,
        query.start.to_sqlx() as _,
        query.end.to_sqlx() as _,
        query.lines,
    )
    .fetch_all(&mut *conn)
    .await?;
    let totals = sqlx::query_file_as!(
        StatementTotal,
        "src/store/violation_totals.sql",
        query.staff,
        query.org_unit,
        query.start.to_sqlx() as _,
        query.end.to_sqlx() as _,
    )
    .fetch_all(conn)
    .await?;
    Ok((lines, totals))
}
