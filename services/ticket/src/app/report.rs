//! Reports (T-20).

use jiff::{Timestamp, ToSpan as _, tz::TimeZone};
use kefu_api::ticket::v1 as pb;
use kefu_identity::{Caller, OrgUnit};

use super::{App, Error};
use crate::domain::TicketKind;
use crate::encode::report as encode;
use crate::store;
use crate::store::report::ReportQuery;

impl App {
    /// The complaint report of an org unit and all below for a period, which is the week of now where none is given.
    ///
    /// # Errors
    /// [`Error::Denied`].
    pub async fn complaint_report(
        &self,
        caller: &Caller,
        org_unit: &OrgUnit,
        period: Option<(Timestamp, Timestamp)>,
        kinds: Vec<TicketKind>,
    ) -> Result<pb::ComplaintReport, Error> {
        self.allow(caller, "ticket.GetComplaintReport", org_unit)?;
        let now = self.now();
        let (start, end) = match period {
            Some(period) => period,
            None => week_of(now, self.time_zone(org_unit, now).await?)?,
        };
        let query = ReportQuery { org_unit: org_unit.to_string(), start, end, kinds, now };
        let (totals, rows) = store::report::count(&self.pool, &query).await?;
        Ok(encode::resource(&query, &totals, &rows)?)
    }

    /// That of the calendar in force; UTC where there is none.
    async fn time_zone(&self, org_unit: &OrgUnit, now: Timestamp) -> Result<TimeZone, Error> {
        let policies = self.policies.refresh().await?;
        let version = policies.effective(org_unit, now);
        Ok(version.map_or(TimeZone::UTC, |version| version.policy.calendar().time_zone().clone()))
    }
}

/// From the Monday at or before `now` to the next one, by the wall clock of a time zone.
fn week_of(now: Timestamp, zone: TimeZone) -> Result<(Timestamp, Timestamp), Error> {
    let today = now.to_zoned(zone.clone()).date();
    let days = i64::from(today.weekday().to_monday_zero_offset());
    let midnight = |date: Result<jiff::civil::Date, jiff::Error>| {
        Ok::<_, jiff::Error>(date?.to_zoned(zone.clone())?.timestamp())
    };
    let monday = today.checked_sub(days.days());
    let week = midnight(monday.clone())
        .and_then(|start| Ok((start, midnight(monday?.checked_add(7.days()))?)));
    week.map_err(|error| Error::Defect(format!("the week of now: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t20_a_week_is_monday_to_monday_on_the_wall_clock() {
        let week = |now: &str, zone: &str| {
            let (start, end) = week_of(now.parse().unwrap(), TimeZone::get(zone).unwrap()).unwrap();
            (start.to_string(), end.to_string())
        };
        let expected = ("2026-11-15T16:00:00Z".to_owned(), "2026-11-22T16:00:00Z".to_owned());
        assert_eq!(week("2026-11-15T16:00:00Z", "Asia/Shanghai"), expected);
        assert_eq!(week("2026-11-22T15:59:59Z", "Asia/Shanghai"), expected);
        // One hour longer: the clocks go back on that Sunday.
        let expected = ("2026-10-18T22:00:00Z".to_owned(), "2026-10-25T23:00:00Z".to_owned());
        assert_eq!(week("2026-10-21T12:00:00Z", "Europe/Berlin"), expected);
    }
}
