//! Teams and who is on duty for them, as others see them (T-03, T-25).

use jiff::Timestamp;
use kefu_api::policy::v1::LocalizedText;
use kefu_api::ticket::v1 as pb;
use kefu_rpc::Etag;
use uuid::Uuid;

use super::{optional_time, time};
use crate::store::duty::{Absence, Presence, RosterShift};
use crate::store::team::{Load, Team};

/// `teams/{uuid}`.
pub fn name(id: Uuid) -> String {
    format!("teams/{id}")
}

/// `absences/{uuid}`.
pub fn absence_name(id: Uuid) -> String {
    format!("absences/{id}")
}

/// The resource; without loads where they were not asked for.
pub(crate) fn resource(team: &Team, loads: Option<(Vec<Load>, i64)>) -> pb::Team {
    let (loads, waiting) = loads.unwrap_or_default();
    pb::Team {
        name: name(team.id),
        org_unit: team.org_unit.clone(),
        code: team.code.clone(),
        title: Some(LocalizedText { en: team.title.en.clone(), zh: team.title.zh.clone() }),
        members: team.members.clone(),
        rostered: team.rostered,
        retired: team.retired,
        loads: loads
            .into_iter()
            .map(|load| pb::MemberLoad {
                staff: load.staff,
                open_tickets: load.open_tickets,
                available: load.available,
            })
            .collect(),
        waiting_tickets: i32::try_from(waiting).unwrap_or(i32::MAX),
        create_time: time(team.created_at),
        update_time: time(team.updated_at),
        etag: Etag::of_revision(team.revision).to_string(),
    }
}

/// A shift.
pub(crate) fn shift(shift: &RosterShift) -> pb::RosterShift {
    pb::RosterShift {
        staff: shift.staff.clone(),
        start_time: time(shift.from),
        end_time: time(shift.to),
    }
}

/// Whether somebody is there at `now`.
pub(crate) fn presence(presence: &Presence, now: Timestamp) -> pb::Presence {
    pb::Presence {
        staff: presence.staff.clone(),
        present: presence.present && presence.until.is_none_or(|until| until > now),
        since: time(presence.since),
        until: optional_time(presence.until),
    }
}

/// An absence.
pub(crate) fn absence(absence: &Absence) -> pb::Absence {
    pb::Absence {
        name: absence_name(absence.id),
        staff: absence.staff.clone(),
        start_time: time(absence.from),
        end_time: time(absence.to),
        substitute: absence.substitute.clone(),
        reason: absence.reason.clone(),
        recorded_by: absence.recorded_by.clone(),
        create_time: time(absence.created_at),
        etag: Etag::of_revision(absence.revision).to_string(),
    }
}
