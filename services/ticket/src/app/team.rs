//! Teams (T-03).

use kefu_api::ticket::v1 as pb;
use kefu_identity::{Caller, OrgUnit};
use kefu_journal::Entry;
use kefu_rpc::{Etag, Fault};
use serde_json::{Value, json};
use uuid::Uuid;

use super::error::check_etag;
use super::{App, Call, Error, Page, one_more};
use crate::domain::Text;
use crate::encode::team as encode;
use crate::store;
use crate::store::team::Team;

/// A team that is to be.
#[derive(Clone, Debug)]
pub struct NewTeam {
    /// Whose it is.
    pub org_unit: OrgUnit,
    /// By which rules name it.
    pub code: String,
    /// The rest.
    pub changes: TeamChanges,
}

/// What of a team is to be different; none stays as it is.
#[derive(Clone, Debug, Default)]
pub struct TeamChanges {
    /// What it is called.
    pub title: Option<Text>,
    /// Its members.
    pub members: Option<Vec<String>>,
    /// Whether there is a roster.
    pub rostered: Option<bool>,
    /// Whether nothing goes to it any more.
    pub retired: Option<bool>,
}

impl TeamChanges {
    fn onto(self, team: &mut Team) {
        team.title = self.title.unwrap_or_else(|| team.title.clone());
        team.members = self.members.unwrap_or_else(|| team.members.clone());
        team.rostered = self.rostered.unwrap_or(team.rostered);
        team.retired = self.retired.unwrap_or(team.retired);
    }
}

impl App {
    /// Creates a team.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::OrgUnitUnknown`], [`Error::Invalid`] for a code that is taken,
    /// [`Error::RequestIdReused`].
    pub async fn create_team(&self, call: &Call, new: NewTeam) -> Result<pb::Team, Error> {
        if let Err(lacking) = self.allow_in(call, "ticket.CreateTeam", &new.org_unit).await {
            return self.or_answered(call, lacking).await;
        }
        let mut work = self.begin(call).await?;
        store::team::guard(work.conn()).await?;
        if let Some(answer) = work.replay().await? {
            return Ok(answer);
        }
        let now = work.now();
        let mut team = Team {
            id: self.ids.uuid(),
            revision: 1,
            org_unit: new.org_unit.to_string(),
            code: new.code,
            title: Text::default(),
            rostered: false,
            retired: false,
            members: Vec::new(),
            created_at: now,
            updated_at: now,
        };
        new.changes.onto(&mut team);
        team.members.sort_unstable();
        if !store::team::insert(work.conn(), &team).await? {
            let description = "is the code of another team of this org unit";
            let fault = Fault::new("TAKEN", description, "该组织单元已有此代码的团队");
            return Err(Error::Invalid("team.code", fault));
        }
        store::team::ensure_loads(work.conn(), Some(team.id), now).await?;
        let entry = self.team_entry(call, &team, "CreateTeam", None);
        kefu_journal::append(work.conn(), &[entry]).await?;
        let loads = store::team::loads(work.conn(), team.id, now).await?;
        work.commit(encode::resource(&team, Some(loads))).await
    }

    /// One team with its loads.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub async fn get_team(&self, caller: &Caller, id: Uuid) -> Result<pb::Team, Error> {
        let mut conn = self.read().await?;
        let team = store::team::find(&mut conn, id).await?.ok_or_else(|| no_team(id))?;
        self.allow_at(caller, "ticket.GetTeam", &team.org_unit)?;
        let loads = store::team::loads(&mut conn, id, self.now()).await?;
        Ok(encode::resource(&team, Some(loads)))
    }

    /// Those at and below an org unit.
    ///
    /// # Errors
    /// [`Error::Denied`].
    pub(crate) async fn list_teams(
        &self,
        caller: &Caller,
        org_unit: &OrgUnit,
        after: Option<(String, String)>,
        size: u32,
    ) -> Result<Page<Team, (String, String)>, Error> {
        self.allow(caller, "ticket.ListTeams", org_unit)?;
        let mut conn = self.read().await?;
        let found = store::team::list(&mut conn, org_unit.as_str(), after, one_more(size)).await?;
        Ok(Page::of(found, size, |last| (last.org_unit.clone(), last.code.clone())))
    }

    /// Changes a team. Whoever leaves it loses its tickets to its queue, soon after.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], [`Error::EtagStale`], [`Error::RequestIdReused`].
    pub async fn update_team(
        &self,
        call: &Call,
        id: Uuid,
        etag: Option<Etag>,
        changes: TeamChanges,
    ) -> Result<pb::Team, Error> {
        let mut work = self.begin(call).await?;
        store::team::guard(work.conn()).await?;
        if !store::team::lock(work.conn(), id).await? {
            return Err(no_team(id));
        }
        let before = store::team::find(work.conn(), id).await?.ok_or_else(|| no_team(id))?;
        if let Err(denied) = self.allow_at(&call.caller, "ticket.UpdateTeam", &before.org_unit) {
            return work.answered().await?.ok_or(denied);
        }
        if let Some(answer) = work.replay().await? {
            return Ok(answer);
        }
        check_etag(etag, before.revision)?;
        let now = work.now();
        let mut team = before.clone();
        changes.onto(&mut team);
        team.members.sort_unstable();
        if team != before {
            team.revision += 1;
            team.updated_at = now.max(before.updated_at);
            store::team::update(work.conn(), &team).await?;
            store::team::ensure_loads(work.conn(), Some(id), now).await?;
            let entry = self.team_entry(call, &team, "UpdateTeam", Some(fields(&before)));
            kefu_journal::append(work.conn(), &[entry]).await?;
        }
        let loads = store::team::loads(work.conn(), id, now).await?;
        work.commit(encode::resource(&team, Some(loads))).await
    }

    pub(super) fn team_entry<'a>(
        &self,
        call: &'a Call,
        team: &'a Team,
        action: &'static str,
        before: Option<Value>,
    ) -> Entry<'a> {
        Entry {
            by: &call.by,
            event_id: self.ids.uuid(),
            occurred_at: team.updated_at,
            aggregate_type: "team",
            aggregate_id: team.id,
            revision: team.revision,
            action,
            org_unit: &team.org_unit,
            customer_id: None,
            before,
            after: Some(fields(team)),
            event: None,
        }
    }
}

pub(super) fn no_team(id: Uuid) -> Error {
    Error::NotFound { kind: "kefu.dev/Team", name: encode::name(id) }
}

fn fields(team: &Team) -> Value {
    json!({
        "org_unit": team.org_unit, "code": team.code, "title": { "en": team.title.en, "zh": team.title.zh },
        "members": team.members, "rostered": team.rostered, "retired": team.retired,
    })
}
