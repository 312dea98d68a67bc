//! The company's tree.

use kefu_api::customer::v1 as pb;
use kefu_calendar::Label;
use kefu_identity::{Caller, OrgUnit as Path};
use kefu_rpc::Etag;
use serde_json::json;

use super::{App, Call, Change, Error, Page, one_more};
use crate::{domain::org_unit::OrgUnit, encode::org_unit as encode, store};

const KIND: &str = "kefu.dev/OrgUnit";

impl App {
    /// Creates an org unit below an existing one, or a root. Needs the right in the parent; for a root, in itself.
    ///
    /// # Errors
    /// [`Error::OrgUnitUnknown`] for the parent, [`Error::AlreadyExists`] and those that every command has.
    pub async fn create_org_unit(
        &self,
        call: &Call,
        path: Path,
        title: Label,
    ) -> Result<pb::OrgUnit, Error> {
        const ACTION: &str = "customer.CreateOrgUnit";
        let parent = path.parent();
        self.allow(&call.caller, ACTION, parent.as_ref().unwrap_or(&path))?;
        let mut work = self.begin(call).await?;
        if let Some(answer) = work.replay().await? {
            return Ok(answer);
        }
        if let Some(parent) = parent
            && !store::org_unit::exists(work.conn(), &parent).await?
        {
            return Err(Error::OrgUnitUnknown(parent));
        }
        let unit = OrgUnit::create(self.ids.uuid(), path, title, work.now());
        store::org_unit::insert(work.conn(), &unit).await.map_err(|error| {
            if error.is_unique(store::org_unit::PATH_KEY) {
                Error::AlreadyExists { kind: KIND, name: encode::name(&unit.path) }
            } else {
                error.into()
            }
        })?;
        let after = json!({ "path": unit.path, "title": title_json(&unit.title) });
        work.record(vec![change(ACTION, &unit, None, after)]).await?;
        work.commit(encode::resource(&unit)).await
    }

    /// One org unit.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::NotFound`].
    pub async fn get_org_unit(&self, caller: &Caller, path: &Path) -> Result<OrgUnit, Error> {
        self.allow(caller, "customer.GetOrgUnit", path)?;
        let mut conn = self.read().await?;
        store::org_unit::get(&mut conn, path).await?.ok_or_else(|| not_found(path))
    }

    /// Those at and below `root`, by path. The cursor is the last path of the page before.
    ///
    /// # Errors
    /// [`Error::Denied`].
    pub async fn list_org_units(
        &self,
        caller: &Caller,
        root: &Path,
        after: Option<String>,
        size: u32,
    ) -> Result<Page<OrgUnit, String>, Error> {
        self.allow(caller, "customer.ListOrgUnits", root)?;
        let mut conn = self.read().await?;
        let after = after.unwrap_or_default();
        let units = store::org_unit::page(&mut conn, root, &after, one_more(size)).await?;
        Ok(Page::of(units, size, |unit| unit.path.to_string()))
    }

    /// Changes the title; `None` changes nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::EtagStale`] and those that every command has.
    pub async fn update_org_unit(
        &self,
        call: &Call,
        path: &Path,
        title: Option<Label>,
        etag: Option<Etag>,
    ) -> Result<pb::OrgUnit, Error> {
        const ACTION: &str = "customer.UpdateOrgUnit";
        self.allow(&call.caller, ACTION, path)?;
        let mut work = self.begin(call).await?;
        let unit = store::org_unit::lock(work.conn(), path).await?;
        let unit = unit.ok_or_else(|| not_found(path))?;
        if let Some(answer) = work.replay().await? {
            return Ok(answer);
        }
        super::error::check_etag(etag, unit.revision)?;
        let now = work.now();
        let Some(changed) = title.and_then(|title| unit.retitle(title, now)) else {
            return work.commit(encode::resource(&unit)).await;
        };
        store::org_unit::update(work.conn(), &changed).await?;
        let before = json!({ "title": title_json(&unit.title) });
        let after = json!({ "title": title_json(&changed.title) });
        work.record(vec![change(ACTION, &changed, Some(before), after)]).await?;
        work.commit(encode::resource(&changed)).await
    }
}

fn change<'a>(
    action: &'static str,
    unit: &'a OrgUnit,
    before: Option<serde_json::Value>,
    after: serde_json::Value,
) -> Change<'a> {
    Change {
        aggregate_type: "org_unit",
        aggregate_id: unit.id,
        revision: unit.revision,
        action,
        org_unit: &unit.path,
        customer_id: None,
        before,
        after: Some(after),
        event: Some(encode::event(unit)),
    }
}

fn title_json(title: &Label) -> serde_json::Value {
    json!({ "en": title.en, "zh": title.zh })
}

fn not_found(path: &Path) -> Error {
    Error::NotFound { kind: KIND, name: encode::name(path) }
}
