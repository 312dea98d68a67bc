//! Who is on duty, present or absent (T-25).

use jiff::Timestamp;
use kefu_api::ticket::v1 as pb;
use kefu_identity::{Caller, OrgUnit};
use kefu_journal::Entry;
use kefu_postgres::StoreError;
use kefu_rpc::{Etag, Fault};
use serde_json::{Value, json};
use sqlx::PgConnection;
use uuid::Uuid;

use super::error::check_etag;
use super::routing::SUPERVISE;
use super::team::no_team;
use super::{App, Call, Error, Page, one_more};
use crate::encode::team as encode;
use crate::store;
use crate::store::duty::{Absence, Presence, RosterShift};

/// From one time to another, exclusive.
pub type Period = (Timestamp, Timestamp);

/// An absence that is to be put on record.
#[derive(Clone, Debug)]
pub struct NewAbsence {
    /// Who.
    pub staff: String,
    /// From when; none means now.
    pub from: Option<Timestamp>,
    /// Until when.
    pub to: Timestamp,
    /// Who stands in.
    pub substitute: String,
    /// Why.
    pub reason: String,
}

impl App {
    /// The shifts of a team that touch a period.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub(crate) async fn list_roster_shifts(
        &self,
        caller: &Caller,
        team: Uuid,
        period: Period,
        after: Option<(Timestamp, String)>,
        size: u32,
    ) -> Result<Page<RosterShift, (Timestamp, String)>, Error> {
        let mut conn = self.read().await?;
        let found = store::team::find(&mut conn, team).await?.ok_or_else(|| no_team(team))?;
        self.allow_at(caller, "ticket.ListRosterShifts", &found.org_unit)?;
        let shifts = store::duty::shifts(&mut conn, team, period, after, one_more(size)).await?;
        Ok(Page::of(shifts, size, |last| (last.from, last.staff.clone())))
    }

    /// Replaces the shifts of a team that begin within a period.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], [`Error::EtagStale`], [`Error::RequestIdReused`], [`Error::Invalid`] for
    /// somebody who is no member or would have two shifts at the same time.
    pub(crate) async fn update_roster(
        &self,
        call: &Call,
        team: Uuid,
        etag: Option<Etag>,
        period: Period,
        shifts: Vec<RosterShift>,
    ) -> Result<pb::UpdateRosterResponse, Error> {
        let mut work = self.begin(call).await?;
        if !store::team::lock(work.conn(), team).await? {
            return Err(no_team(team));
        }
        let mut found = store::team::find(work.conn(), team).await?.ok_or_else(|| no_team(team))?;
        if let Err(denied) = self.allow_at(&call.caller, "ticket.UpdateRoster", &found.org_unit) {
            return work.answered().await?.ok_or(denied);
        }
        if let Some(answer) = work.replay().await? {
            return Ok(answer);
        }
        check_etag(etag, found.revision)?;
        if let Some(stranger) = shifts.iter().find(|shift| !found.members.contains(&shift.staff)) {
            let description = format!("names {:?}, who is no member of the team", stranger.staff);
            let fault = Fault::new("UNKNOWN_MEMBER", description, "排班人员不是该团队成员");
            return Err(Error::Invalid("shifts", fault));
        }
        let removed = store::duty::replace_shifts(work.conn(), team, period, &shifts).await?;
        if let Some(staff) = store::duty::double_shift(work.conn(), team, period).await? {
            let description = format!("gives {staff:?} two shifts at the same time");
            let fault = Fault::new("OVERLAP", description, "同一人员的班次重叠");
            return Err(Error::Invalid("shifts", fault));
        }
        found.revision += 1;
        found.updated_at = work.now().max(found.updated_at);
        store::team::update(work.conn(), &found).await?;
        let mut entry = self.team_entry(call, &found, "UpdateRoster", None);
        let roster = |shifts: &[RosterShift]| {
            let shift = |shift: &RosterShift| json!({ "staff": shift.staff, "from": shift.from.to_string(), "to": shift.to.to_string() });
            let shifts: Value = shifts.iter().map(shift).collect();
            json!({ "from": period.0.to_string(), "to": period.1.to_string(), "shifts": shifts })
        };
        (entry.before, entry.after) = (Some(roster(&removed)), Some(roster(&shifts)));
        kefu_journal::append(work.conn(), &[entry]).await?;
        let answer = pb::UpdateRosterResponse {
            removed: i32::try_from(removed.len()).unwrap_or(i32::MAX),
            added: i32::try_from(shifts.len()).unwrap_or(i32::MAX),
            etag: Etag::of_revision(found.revision).to_string(),
        };
        work.commit(answer).await
    }

    /// Says whether somebody is there.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::RequestIdReused`], [`Error::Invalid`] for somebody of whom nobody knows.
    pub async fn set_presence(
        &self,
        call: &Call,
        staff: Option<String>,
        present: bool,
        until: Option<Timestamp>,
    ) -> Result<pb::Presence, Error> {
        let mut work = self.begin(call).await?;
        let staff = staff.unwrap_or_else(|| call.caller.subject().to_owned());
        let action = "ticket.SetPresence";
        let unit = self.own_or_supervised(work.conn(), &call.caller, action, "staff", &staff);
        let unit = match unit.await {
            Ok(unit) => unit,
            Err(denied) => return work.answered().await?.ok_or(denied),
        };
        if let Some(answer) = work.replay().await? {
            return Ok(answer);
        }
        let now = work.now();
        if until.is_some_and(|until| until <= now) {
            let fault = Fault::new("IN_THE_PAST", "must be in the future", "必须晚于当前时间");
            return Err(Error::Invalid("until", fault));
        }
        store::duty::lock_presence(work.conn(), &staff).await?;
        let before = store::duty::presence(work.conn(), &staff).await?;
        let presence =
            Presence { id: self.ids.uuid(), revision: 1, staff, present, since: now, until };
        let (id, revision) = store::duty::set_presence(work.conn(), &presence).await?;
        let fields = |presence: &Presence| {
            json!({
                "staff": presence.staff, "present": presence.present,
                "until": presence.until.map(|until| until.to_string()),
            })
        };
        let entry = Entry {
            by: &call.by,
            event_id: self.ids.uuid(),
            occurred_at: now,
            aggregate_type: "presence",
            aggregate_id: id,
            revision,
            action: "SetPresence",
            org_unit: unit.as_str(),
            customer_id: None,
            before: before.as_ref().map(fields),
            after: Some(fields(&presence)),
            event: None,
        };
        kefu_journal::append(work.conn(), &[entry]).await?;
        work.commit(encode::presence(&presence, now)).await
    }

    /// Tells whether somebody is there.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::Invalid`] for somebody of whom nobody knows.
    pub async fn get_presence(
        &self,
        caller: &Caller,
        staff: Option<String>,
    ) -> Result<pb::Presence, Error> {
        const ACTION: &str = "ticket.GetPresence";
        let mut conn = self.read().await?;
        let staff = staff.unwrap_or_else(|| caller.subject().to_owned());
        if staff == caller.subject() {
            self.allow(caller, ACTION, &own_unit(caller, ACTION)?)?;
        } else {
            // Whoever sees one of the teams sees whether its people are there.
            let units = units_of(&mut conn, "staff", &staff).await?;
            if let Some(denied) =
                units.iter().map(|unit| self.allow(caller, ACTION, unit)).reduce(Result::or)
            {
                denied?;
            }
        }
        let now = self.now();
        let presence = store::duty::presence(&mut conn, &staff).await?;
        Ok(match presence {
            Some(presence) => encode::presence(&presence, now),
            None => pb::Presence { staff, ..pb::Presence::default() },
        })
    }

    /// Puts an absence on record. Whoever stands in gets the open tickets as soon as it begins.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::RequestIdReused`], [`Error::Invalid`] for a time, a person or a substitute that cannot
    /// be.
    pub async fn create_absence(&self, call: &Call, new: NewAbsence) -> Result<pb::Absence, Error> {
        let mut work = self.begin(call).await?;
        let action = "ticket.CreateAbsence";
        let field = "absence.staff";
        let unit = self.own_or_supervised(work.conn(), &call.caller, action, field, &new.staff);
        let unit = match unit.await {
            Ok(unit) => unit,
            Err(denied) => return work.answered().await?.ok_or(denied),
        };
        store::team::guard(work.conn()).await?;
        if let Some(answer) = work.replay().await? {
            return Ok(answer);
        }
        let now = work.now();
        let from = new.from.unwrap_or(now);
        let period = (from, new.to);
        if new.to <= now.max(from) {
            let description = "must be in the future and after `start_time`";
            let fault = Fault::new("IN_THE_PAST", description, "必须晚于当前时间和开始时间");
            return Err(Error::Invalid("absence.end_time", fault));
        }
        units_of(work.conn(), "absence.substitute", &new.substitute).await?;
        let (staff, substitute) = (&new.staff, &new.substitute);
        let unseen = store::team::out_of_sight(work.conn(), staff, substitute).await?;
        if !unseen.is_empty() {
            let units = unseen.join(", ");
            let description =
                format!("is in no team at, above or below {units}, whose tickets are stood in for");
            let chinese = format!("代理人不属于 {units} 或其上下级组织单元的任何团队");
            let fault = Fault::new("OUT_OF_SIGHT", description, chinese);
            return Err(Error::Invalid("absence.substitute", fault));
        }
        if store::duty::is_absent(work.conn(), &new.staff, period).await? {
            let description = "overlaps another absence of the same person";
            let fault = Fault::new("OVERLAP", description, "与该人员的其他请假重叠");
            return Err(Error::Invalid("absence.start_time", fault));
        }
        let people = (new.staff.as_str(), new.substitute.as_str());
        if store::duty::makes_circle(work.conn(), people, period).await? {
            let description =
                "is absent in that time, and who stands in for whom would make a circle";
            let fault = Fault::new("CIRCLE", description, "代理关系形成循环");
            return Err(Error::Invalid("absence.substitute", fault));
        }
        let absence = Absence {
            id: self.ids.uuid(),
            revision: 1,
            staff: new.staff,
            from,
            to: new.to,
            substitute: new.substitute,
            reason: new.reason,
            recorded_by: call.caller.subject().to_owned(),
            created_at: now,
        };
        store::duty::insert_absence(work.conn(), &absence).await?;
        store::team::ensure_loads(work.conn(), None, now).await?;
        let entry = self.absence_entry(call, &absence, "CreateAbsence", &unit, now);
        kefu_journal::append(work.conn(), &[entry]).await?;
        work.commit(encode::absence(&absence)).await
    }

    /// Ends an absence now, or, where it has not begun, before it begins. One that has ended stays as it is.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], [`Error::EtagStale`], [`Error::RequestIdReused`].
    pub async fn close_absence(
        &self,
        call: &Call,
        id: Uuid,
        etag: Option<Etag>,
    ) -> Result<pb::Absence, Error> {
        let not_found =
            || Error::NotFound { kind: "kefu.dev/Absence", name: encode::absence_name(id) };
        let mut work = self.begin(call).await?;
        store::team::guard(work.conn()).await?;
        let absence = store::duty::absence(work.conn(), id).await?;
        let mut absence = absence.ok_or_else(not_found)?;
        let action = "ticket.CloseAbsence";
        let staff = absence.staff.clone();
        let unit = self.own_or_supervised(work.conn(), &call.caller, action, "name", &staff);
        let unit = match unit.await {
            Ok(unit) => unit,
            Err(denied) => return work.answered().await?.ok_or(denied),
        };
        if let Some(answer) = work.replay().await? {
            return Ok(answer);
        }
        check_etag(etag, absence.revision)?;
        let now = work.now();
        if absence.to > now {
            let until = absence.to;
            absence.to = now.max(absence.from);
            absence.revision += 1;
            store::duty::end_absence(work.conn(), &absence).await?;
            let mut entry = self.absence_entry(call, &absence, "CloseAbsence", &unit, now);
            entry.before = Some(json!({ "to": until.to_string() }));
            kefu_journal::append(work.conn(), &[entry]).await?;
        }
        work.commit(encode::absence(&absence)).await
    }

    /// The absences of the members of the teams at and below an org unit that touch a period.
    ///
    /// # Errors
    /// [`Error::Denied`].
    pub(crate) async fn list_absences(
        &self,
        caller: &Caller,
        org_unit: &OrgUnit,
        period: Period,
        after: Option<(Timestamp, Uuid)>,
        size: u32,
    ) -> Result<Page<Absence, (Timestamp, Uuid)>, Error> {
        self.allow(caller, "ticket.ListAbsences", org_unit)?;
        let mut conn = self.read().await?;
        let unit = org_unit.as_str();
        let found = store::duty::absences(&mut conn, unit, period, after, one_more(size)).await?;
        Ok(Page::of(found, size, |last| (last.from, last.id)))
    }

    fn absence_entry<'a>(
        &self,
        call: &'a Call,
        absence: &Absence,
        action: &'static str,
        unit: &'a OrgUnit,
        now: Timestamp,
    ) -> Entry<'a> {
        Entry {
            by: &call.by,
            event_id: self.ids.uuid(),
            occurred_at: now,
            aggregate_type: "absence",
            aggregate_id: absence.id,
            revision: absence.revision,
            action,
            org_unit: unit.as_str(),
            customer_id: None,
            before: None,
            after: Some(json!({
                "staff": absence.staff, "from": absence.from.to_string(), "to": absence.to.to_string(),
                "substitute": absence.substitute, "reason": absence.reason,
            })),
            event: None,
        }
    }

    /// Passes if it is about the caller's own duty, or about somebody whose every team the caller supervises. Tells the org
    /// unit under which it goes on record.
    async fn own_or_supervised(
        &self,
        conn: &mut PgConnection,
        caller: &Caller,
        action: &'static str,
        field: &'static str,
        staff: &str,
    ) -> Result<OrgUnit, Error> {
        if staff == caller.subject() {
            let unit = own_unit(caller, action)?;
            self.allow(caller, action, &unit)?;
            return Ok(unit);
        }
        let units = units_of(conn, field, staff).await?;
        for unit in &units {
            self.allow(caller, action, unit)?;
            self.allow(caller, SUPERVISE, unit)?;
        }
        units.into_iter().next().ok_or_else(|| unknown(field))
    }
}

/// Where the caller belongs.
fn own_unit(caller: &Caller, action: &'static str) -> Result<OrgUnit, Error> {
    let nowhere = || Error::Defect(format!("{action} by somebody without an org unit"));
    caller.org_unit().cloned().ok_or_else(nowhere)
}

/// The org units of the teams of somebody, who is in one at least.
async fn units_of(
    conn: &mut PgConnection,
    field: &'static str,
    staff: &str,
) -> Result<Vec<OrgUnit>, Error> {
    let units = store::team::org_units_of(conn, staff).await?;
    if units.is_empty() {
        return Err(unknown(field));
    }
    let units = units
        .iter()
        .map(|unit| unit.parse().map_err(|error| StoreError::corrupt("team.org_unit", error)));
    Ok(units.collect::<Result<_, _>>()?)
}

fn unknown(field: &'static str) -> Error {
    let description = "names nobody who is a member of a team";
    Error::Invalid(field, Fault::new("UNKNOWN_MEMBER", description, "不是任何团队的成员"))
}
