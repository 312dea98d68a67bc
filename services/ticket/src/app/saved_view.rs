//! Queues under names (T-23).

use kefu_api::ticket::v1 as pb;
use kefu_identity::{Caller, OrgUnit};
use kefu_journal::Entry;
use kefu_postgres::StoreError;
use kefu_rpc::Etag;
use serde_json::{Value, json};
use uuid::Uuid;

use super::error::check_etag;
use super::queue::Queue;
use super::work::Work;
use super::{App, Call, Error, Page, one_more};
use crate::domain::{QueueOrder, SavedView, TicketFilter};
use crate::encode::saved_view as encode;
use crate::store;

/// What is to be saved.
#[derive(Clone, Debug)]
pub struct NewView {
    /// Where the queue is.
    pub org_unit: OrgUnit,
    /// Its name.
    pub title: String,
    /// Whether others see it.
    pub shared: bool,
    /// What passes.
    pub queue: Queue,
}

/// What is to be changed; none stays as it is.
#[derive(Clone, Debug, Default)]
pub struct ViewChanges {
    /// Its name.
    pub title: Option<String>,
    /// Whether others see it.
    pub shared: Option<bool>,
    /// What passes.
    pub filter: Option<TicketFilter>,
    /// The order.
    pub order: Option<QueueOrder>,
}

impl App {
    /// Saves a view of the caller's.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::OrgUnitUnknown`], [`Error::RequestIdReused`], [`Error::Invalid`] if the caller has as
    /// many as there may be, [`Error::Conflict`] if the caller saved another one at the same time.
    pub(crate) async fn create_saved_view(
        &self,
        call: &Call,
        new: NewView,
    ) -> Result<pb::SavedView, Error> {
        if let Err(lacking) = self.allow_in(call, "ticket.CreateSavedView", &new.org_unit).await {
            return self.or_answered(call, lacking).await;
        }
        let mut work = self.begin(call).await?;
        if let Some(answer) = work.replay().await? {
            return Ok(answer);
        }
        let now = work.now();
        let view = SavedView {
            id: self.ids.uuid(),
            revision: 1,
            owner: call.caller.subject().to_owned(),
            org_unit: new.org_unit.to_string(),
            title: new.title,
            shared: new.shared,
            filter: new.queue.filter.text,
            order: new.queue.order,
            created_at: now,
            updated_at: now,
        };
        match store::saved_view::insert(work.conn(), &view).await {
            Ok(true) => {}
            Ok(false) => {
                let fault = kefu_rpc::Fault::too_many(
                    store::saved_view::MAX_VIEWS,
                    store::saved_view::MAX_VIEWS + 1,
                );
                return Err(Error::Invalid("saved_view", fault));
            }
            Err(StoreError::Unique { .. }) => return Err(Error::Conflict),
            Err(error) => return Err(error.into()),
        }
        self.journal(&mut work, call, "CreateSavedView", (None, Some(&view))).await?;
        work.commit(encode::resource(&view)).await
    }

    /// One view, if the caller may see it; one that it may not see does not exist for it.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub(crate) async fn get_saved_view(
        &self,
        caller: &Caller,
        id: Uuid,
    ) -> Result<SavedView, Error> {
        let mut conn = self.read().await?;
        let view = store::saved_view::find(&mut conn, id).await?;
        let view = view.filter(|view| view.is_visible_to(caller.subject()));
        let view = view.ok_or_else(|| not_found(id))?;
        self.allow_at(caller, "ticket.GetSavedView", &view.org_unit)?;
        Ok(view)
    }

    /// The caller's views and the shared ones at and below an org unit, oldest first.
    ///
    /// # Errors
    /// [`Error::Denied`].
    pub(crate) async fn list_saved_views(
        &self,
        caller: &Caller,
        org_unit: &OrgUnit,
        after: Option<Uuid>,
        size: u32,
    ) -> Result<Page<SavedView, Uuid>, Error> {
        self.allow(caller, "ticket.ListSavedViews", org_unit)?;
        let mut conn = self.read().await?;
        let (org_unit, me) = (org_unit.as_str(), caller.subject());
        let rows = store::saved_view::list(&mut conn, org_unit, me, after, one_more(size)).await?;
        Ok(Page::of(rows, size, |last| last.id))
    }

    /// Changes a view of the caller's.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], [`Error::EtagStale`], [`Error::RequestIdReused`].
    pub(crate) async fn update_saved_view(
        &self,
        call: &Call,
        id: Uuid,
        etag: Option<Etag>,
        changes: ViewChanges,
    ) -> Result<pb::SavedView, Error> {
        let mut work = self.begin(call).await?;
        let before = match self.own(&mut work, call, "ticket.UpdateSavedView", id).await {
            Ok(before) => before,
            Err(denied) => return work.answered().await?.ok_or(denied),
        };
        if let Some(answer) = work.replay().await? {
            return Ok(answer);
        }
        let before = before.ok_or_else(|| not_found(id))?;
        check_etag(etag, before.revision)?;
        let kept = before.clone();
        let after = SavedView {
            revision: before.revision + 1,
            title: changes.title.unwrap_or(kept.title),
            shared: changes.shared.unwrap_or(kept.shared),
            filter: changes.filter.map_or(kept.filter, |filter| filter.text),
            order: changes.order.unwrap_or(kept.order),
            updated_at: work.now().max(kept.updated_at),
            ..before.clone()
        };
        store::saved_view::update(work.conn(), &after).await?;
        self.journal(&mut work, call, "UpdateSavedView", (Some(&before), Some(&after))).await?;
        work.commit(encode::resource(&after)).await
    }

    /// Deletes a view of the caller's.
    ///
    /// # Errors
    /// As for a change.
    pub(crate) async fn delete_saved_view(
        &self,
        call: &Call,
        id: Uuid,
        etag: Option<Etag>,
    ) -> Result<(), Error> {
        let mut work = self.begin(call).await?;
        let before = match self.own(&mut work, call, "ticket.DeleteSavedView", id).await {
            Ok(before) => before,
            Err(denied) => return work.answered().await?.ok_or(denied),
        };
        if let Some(answer) = work.replay().await? {
            return Ok(answer);
        }
        let before = before.ok_or_else(|| not_found(id))?;
        check_etag(etag, before.revision)?;
        store::saved_view::delete(work.conn(), id).await?;
        self.journal(&mut work, call, "DeleteSavedView", (Some(&before), None)).await?;
        work.commit(()).await
    }

    /// Locks a view that the caller may change: its own. None if there is none, which a retry of a deletion finds.
    async fn own(
        &self,
        work: &mut Work<'_>,
        call: &Call,
        action: &'static str,
        id: Uuid,
    ) -> Result<Option<SavedView>, Error> {
        let view = store::saved_view::lock(work.conn(), id).await?;
        let view = view.filter(|view| view.is_visible_to(call.caller.subject()));
        if let Some(view) = &view {
            self.allow_at(&call.caller, action, &view.org_unit)?;
            if view.owner != call.caller.subject() {
                let org_unit: Result<OrgUnit, _> = view.org_unit.parse();
                let org_unit =
                    org_unit.map_err(|error| StoreError::corrupt("saved_view.org_unit", error))?;
                return Err(Error::Denied { action, org_unit });
            }
        }
        Ok(view)
    }

    async fn journal(
        &self,
        work: &mut Work<'_>,
        call: &Call,
        action: &'static str,
        (before, after): (Option<&SavedView>, Option<&SavedView>),
    ) -> Result<(), Error> {
        let Some(view) = after.or(before) else { return Ok(()) };
        let entry = Entry {
            by: &call.by,
            event_id: self.ids.uuid(),
            occurred_at: work.now(),
            aggregate_type: "saved_view",
            aggregate_id: view.id,
            // What was deleted has one more change than it has seen.
            revision: view.revision + i64::from(after.is_none()),
            action,
            org_unit: &view.org_unit,
            customer_id: None,
            before: before.map(audited),
            after: after.map(audited),
            event: None,
        };
        Ok(kefu_journal::append(work.conn(), &[entry]).await?)
    }
}

fn audited(view: &SavedView) -> Value {
    json!({
        "title": view.title, "shared": view.shared, "filter": view.filter, "order": view.order.code(),
    })
}

fn not_found(id: Uuid) -> Error {
    Error::NotFound { kind: "kefu.dev/SavedView", name: encode::name(id) }
}
