//! Violations (T-19): reported, decided, appealed against, and charged.

use std::sync::Arc;

use jiff::{Timestamp, ToSpan as _, civil, tz::TimeZone};
use kefu_api::ticket::v1 as pb;
use kefu_identity::{Caller, OrgUnit};
use kefu_journal::Entry;
use kefu_policy::Version;
use kefu_rpc::{Etag, Fault};
use sqlx::PgConnection;
use uuid::Uuid;

use super::error::check_etag;
use super::work::Work;
use super::{App, Call, Error, Page, merge, one_more, resource_audit};
use crate::domain::{
    Policy, Subject, Violation, ViolationCommand, ViolationState, decide_violation,
};
use crate::encode::violation as encode;
use crate::store;
use crate::store::violation::{StatementQuery, ViolationQuery};

/// Who may see the violations of others.
const REVIEW: &str = "ticket.ReviewViolations";
const KIND: &str = "kefu.dev/Violation";
/// The most lines of a statement; the totals count all.
const LINES: i64 = 1_000;

/// What somebody reports.
#[derive(Clone, Debug)]
pub struct Report {
    /// What it is about.
    pub about: About,
    /// Code of the rule.
    pub code: String,
    /// Who is answerable.
    pub staff: Subject,
    /// The evidence.
    pub evidence: String,
    /// When it happened, if not now.
    pub at: Option<Timestamp>,
}

/// What a report is about.
#[derive(Clone, Debug)]
pub enum About {
    /// A ticket.
    Ticket(Uuid),
    /// A work order.
    WorkOrder(Uuid),
    /// Neither.
    OrgUnit(OrgUnit),
}

impl App {
    /// Those at and below an org unit, newest first. Who may not review violations gets its own.
    ///
    /// # Errors
    /// [`Error::Denied`].
    pub(crate) async fn list_violations(
        &self,
        caller: &Caller,
        org_unit: &OrgUnit,
        query: ViolationQuery,
        size: u32,
    ) -> Result<Page<Violation, (Timestamp, Uuid)>, Error> {
        self.allow(caller, "ticket.ListViolations", org_unit)?;
        let own = query.staff.as_deref() == Some(caller.subject());
        let mut query = ViolationQuery { limit: one_more(size), ..query };
        // Only asked where it matters, for a denial is logged.
        if !own && let Err(denied) = self.allow(caller, REVIEW, org_unit) {
            if query.staff.is_some() {
                return Err(denied);
            }
            query.staff = Some(caller.subject().to_owned());
        }
        let mut conn = self.read().await?;
        let found = store::violation::list(&mut conn, &query).await?;
        Ok(Page::of(found, size, |last| (last.created_at, last.id)))
    }

    /// One violation; the person concerned may always read its own.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub async fn get_violation(&self, caller: &Caller, id: Uuid) -> Result<pb::Violation, Error> {
        let mut conn = self.read().await?;
        let found = store::violation::find(&mut conn, id).await?;
        let violation = found.ok_or_else(|| not_found(id))?;
        self.allow_own_or(caller, "ticket.GetViolation", &violation, REVIEW)?;
        Ok(encode::resource(&violation))
    }

    /// Passes the person concerned if it may do this at home, and others who may do `others` at the violation's org unit.
    fn allow_own_or(
        &self,
        caller: &Caller,
        action: &'static str,
        violation: &Violation,
        others: &'static str,
    ) -> Result<(), Error> {
        match caller.org_unit() {
            Some(home) if caller.subject() == &*violation.proposed.staff => {
                self.allow(caller, action, home)
            }
            _ => self.allow_at(caller, others, &violation.org_unit),
        }
    }

    /// Puts on record what the system cannot see.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], [`Error::Refused`] about a ticket that is merged, [`Error::Invalid`] for a code
    /// that is not in the policy's table, [`Error::AlreadyExists`], [`Error::RequestIdReused`].
    pub async fn report_violation(
        &self,
        call: &Call,
        report: Report,
    ) -> Result<pb::Violation, Error> {
        if let About::OrgUnit(unit) = &report.about {
            let may = self.allow_in(call, "ticket.ReportViolation", unit);
            if let Err(lacking) = may.await {
                return self.or_answered(call, lacking).await;
            }
        }
        let mut work = self.begin(call).await?;
        if let About::Ticket(id) = report.about {
            // Locked, so that it is not merged meanwhile.
            store::ticket::lock(work.conn(), id).await?;
        }
        if let Some(answer) = work.replay().await? {
            return Ok(answer);
        }
        let now = work.now();
        let at = report.at.unwrap_or(now);
        let place = self.place(work.conn(), &call.caller, &report.about, at).await?;
        let rule = place.version.policy.violation(&report.code).ok_or_else(|| {
            let fault = "is not in the table `violations` of the policy";
            Error::Invalid("code", Fault::new("UNKNOWN", fault, "制度的违规条款中没有此代码"))
        })?;
        let proposed = rule.broken(report.staff, report.evidence, at, place.version.id);
        let violation = Violation {
            id: self.ids.uuid(),
            ticket: place.ticket,
            work_order: place.work_order,
            shift: None,
            customer: place.customer,
            org_unit: place.org_unit,
            proposed,
            reporter: Some(call.caller.subject().into()),
            state: ViolationState::Proposed,
            created_at: now,
            updated_at: now,
            revision: 1,
        };
        if !store::violation::insert(work.conn(), &violation).await? {
            let same = store::violation::same(work.conn(), &violation).await?;
            let name = encode::name(same.unwrap_or_default());
            return Err(Error::AlreadyExists { kind: KIND, name });
        }
        self.put_on_record(work, None, &violation, "ReportViolation").await
    }

    async fn place(
        &self,
        conn: &mut PgConnection,
        caller: &Caller,
        about: &About,
        at: Timestamp,
    ) -> Result<Place, Error> {
        let found = match about {
            About::OrgUnit(unit) => {
                let policies = self.policies.current(conn).await?;
                let version = policies.effective(unit, at).cloned();
                let version = version.ok_or_else(|| Error::PolicyMissing(unit.clone()))?;
                let org_unit = unit.to_string();
                let (ticket, work_order, customer) = (None, None, None);
                return Ok(Place { org_unit, ticket, work_order, customer, version });
            }
            About::Ticket(id) => {
                let found = store::judged::ticket(conn, *id).await?;
                found.ok_or_else(|| super::ticket::not_found(*id))?
            }
            About::WorkOrder(id) => {
                let found = store::judged::work_order(conn, *id).await?;
                found.ok_or_else(|| super::work_order::not_found(*id))?
            }
        };
        self.allow_at(caller, "ticket.ReportViolation", &found.org_unit)?;
        if let About::Ticket(id) = about {
            merge::refuse_merged(conn, *id, "ReportViolation").await?;
        }
        let version = self.version(conn, found.policy_version).await?;
        let version = version.ok_or_else(|| {
            Error::Defect("the policy version that judges a violation does not exist".to_owned())
        })?;
        let (ticket, work_order, customer) = (found.ticket, found.work_order, found.customer);
        Ok(Place { org_unit: found.org_unit, ticket, work_order, customer, version })
    }

    /// Does what a command asks of a violation, in one transaction.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], [`Error::EtagStale`], [`Error::RequestIdReused`],
    /// [`Error::StepRefused`].
    pub async fn violation_command(
        &self,
        call: &Call,
        action: &'static str,
        id: Uuid,
        etag: Option<Etag>,
        command: ViolationCommand,
    ) -> Result<pb::Violation, Error> {
        let mut work = self.begin(call).await?;
        if !store::violation::lock(work.conn(), id).await? {
            return Err(not_found(id));
        }
        // Read after the lock, by a statement of its own: what waited for the lock sees what it waited for.
        let found = store::violation::find(work.conn(), id).await?;
        let before = found.ok_or_else(|| not_found(id))?;
        let allowed = match command {
            // Who may review it is told whose the appeal is; others learn nothing.
            ViolationCommand::Appeal { .. } => {
                self.allow_own_or(&call.caller, action, &before, REVIEW)
            }
            _ => self.allow_at(&call.caller, action, &before.org_unit),
        };
        if let Err(denied) = allowed {
            return work.answered().await?.ok_or(denied);
        }
        if let Some(answer) = work.replay().await? {
            return Ok(answer);
        }
        check_etag(etag, before.revision)?;
        let version = self.version_of_violation(work.conn(), &before).await?;
        let name = command.name();
        let actor: Subject = call.caller.subject().into();
        let now = work.now();
        let after = decide_violation(&before, &version.policy, command, &actor, now)?;
        store::violation::update(work.conn(), &after).await?;
        self.put_on_record(work, Some(&before), &after, name).await
    }

    /// By its own policy version; what was proposed before that was kept, by the one that was in force then.
    async fn version_of_violation(
        &self,
        conn: &mut PgConnection,
        violation: &Violation,
    ) -> Result<Arc<Version<Policy>>, Error> {
        let version = match violation.proposed.policy_version {
            Some(id) => self.version(conn, id).await?,
            None => {
                let unit: OrgUnit = violation
                    .org_unit
                    .parse()
                    .map_err(|error| Error::Defect(format!("violation.org_unit: {error}")))?;
                let policies = self.policies.current(conn).await?;
                policies.effective(&unit, violation.created_at).cloned()
            }
        };
        version.ok_or_else(|| {
            Error::Defect("the policy version of a violation does not exist".to_owned())
        })
    }

    async fn put_on_record(
        &self,
        mut work: Work<'_>,
        before: Option<&Violation>,
        after: &Violation,
        action: &'static str,
    ) -> Result<pb::Violation, Error> {
        let told = encode::resource(after);
        let (old, new) = resource_audit::changed(before.map(encode::resource).as_ref(), &told)?;
        let entry = Entry {
            by: work.by(),
            event_id: self.ids.uuid(),
            occurred_at: after.updated_at,
            aggregate_type: "violation",
            aggregate_id: after.id,
            revision: after.revision,
            action,
            org_unit: &after.org_unit,
            customer_id: after.customer,
            before: old,
            after: new,
            event: Some(encode::changed(&told)),
        };
        kefu_journal::append(work.conn(), &[entry]).await?;
        work.commit(told).await
    }

    /// What one person is charged for one month, which begins and ends by the clock of the org unit.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::PolicyMissing`].
    pub async fn violation_statement(
        &self,
        caller: &Caller,
        staff: String,
        org_unit: &OrgUnit,
        (year, month): (i16, i8),
    ) -> Result<pb::ViolationStatement, Error> {
        match caller.org_unit() {
            Some(home) if caller.subject() == staff => {
                self.allow(caller, "ticket.GetViolationStatement", home)?;
            }
            _ => self.allow(caller, REVIEW, org_unit)?,
        }
        let policies = self.policies.refresh().await?;
        let bounds = |zone: &TimeZone| {
            month_bounds(year, month, zone)
                .map_err(|error| Error::Defect(format!("a month of a statement: {error}")))
        };
        // A month ends where the policy of that time has its midnight; what comes into force later moves no past one.
        let over = bounds(&TimeZone::UTC)?.1.min(self.now());
        // Before the first policy nothing was decided: its statements are empty, whichever midnight bounds them.
        let version = policies.effective(org_unit, over);
        let version = version.or_else(|| policies.effective(org_unit, self.now()));
        let version = version.ok_or_else(|| Error::PolicyMissing(org_unit.clone()))?;
        let (start, end) = bounds(version.policy.calendar().time_zone())?;
        let org_unit = org_unit.to_string();
        let query = StatementQuery { staff, org_unit, start, end, lines: LINES };
        // Lines and totals as of one moment.
        let mut tx = kefu_postgres::begin_snapshot(&self.pool).await?;
        let (lines, totals) = store::violation::statement(&mut tx, &query).await?;
        tx.commit().await?;
        Ok(encode::statement(&query, (year.into(), month.into()), lines, totals))
    }
}

/// What a report is about, on record.
struct Place {
    org_unit: String,
    ticket: Option<Uuid>,
    work_order: Option<Uuid>,
    customer: Option<Uuid>,
    version: Arc<Version<Policy>>,
}

/// From the first instant of a month to that of the next, by the wall clock of a time zone.
fn month_bounds(
    year: i16,
    month: i8,
    zone: &TimeZone,
) -> Result<(Timestamp, Timestamp), jiff::Error> {
    let first = civil::Date::new(year, month, 1)?;
    let begins = |date: civil::Date| date.to_zoned(zone.clone()).map(|at| at.timestamp());
    Ok((begins(first)?, begins(first.checked_add(1.month())?)?))
}

fn not_found(id: Uuid) -> Error {
    Error::NotFound { kind: KIND, name: encode::name(id) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t19_a_month_begins_at_the_midnight_of_its_time_zone() {
        let bounds = |zone: &str, month| {
            let zone = TimeZone::get(zone).unwrap();
            let (start, end) = month_bounds(2026, month, &zone).unwrap();
            (start.to_string(), end.to_string())
        };
        let of = |start: &str, end: &str| (start.to_owned(), end.to_owned());
        let shanghai = of("2026-02-28T16:00:00Z", "2026-03-31T16:00:00Z");
        assert_eq!(bounds("Asia/Shanghai", 3), shanghai);
        // Summer time begins on the 29th: the month is an hour short.
        let berlin = of("2026-02-28T23:00:00Z", "2026-03-31T22:00:00Z");
        assert_eq!(bounds("Europe/Berlin", 3), berlin);
        assert_eq!(bounds("Asia/Shanghai", 12).1, "2026-12-31T16:00:00Z");
        // Midnight does not exist where the clocks go forward at it.
        let cairo = bounds("Africa/Cairo", 5);
        assert!(cairo.0 < cairo.1);
    }
}
