//! Attachments: what is known of them, their bytes, and withdrawing them (T-01).

use jiff::Timestamp;
use kefu_api::ticket::v1 as pb;
use kefu_identity::{Caller, OrgUnit};
use kefu_postgres::StoreError;
use kefu_rpc::{Etag, Fault};
use kefu_service::Change;
use uuid::Uuid;

use super::error::check_etag;
use super::ticket::not_found;
use super::{App, Call, Error, Page, one_more, resource_audit};
use crate::domain::{Attachment, AttachmentState, Need, StepRefusal, withdraw};
use crate::encode::attachment as encode;
use crate::store;

/// Opening what was withdrawn.
const INSPECT: &str = "ticket.InspectWithdrawnAttachment";

/// Where a page of attachments ends: when the last one came, and its id.
pub type Cursor = (Timestamp, Uuid);

/// An attachment by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttachmentId {
    /// The ticket.
    pub ticket: Uuid,
    /// The attachment.
    pub id: Uuid,
}

impl App {
    /// What is known of an attachment.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub(crate) async fn get_attachment(
        &self,
        caller: &Caller,
        action: &'static str,
        name: AttachmentId,
    ) -> Result<Attachment, Error> {
        let mut conn = self.read().await?;
        self.allow_ticket(&mut conn, caller, action, name.ticket).await?;
        let found = store::attachment::find(&mut conn, name.ticket, name.id).await?;
        found.ok_or_else(|| unknown(name))
    }

    /// Those of a ticket, oldest first.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub(crate) async fn list_attachments(
        &self,
        caller: &Caller,
        ticket: Uuid,
        states: &[AttachmentState],
        after: Option<Cursor>,
        size: u32,
    ) -> Result<Page<Attachment, Cursor>, Error> {
        let mut conn = self.read().await?;
        self.allow_ticket(&mut conn, caller, "ticket.ListAttachments", ticket).await?;
        let found =
            store::attachment::list(&mut conn, ticket, states, after, one_more(size)).await?;
        Ok(Page::of(found, size, |last| (last.created_at, last.id)))
    }

    /// What is to be sent to a caller who may have its bytes, and where they are. No connection is held afterwards.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], [`Error::StepRefused`] for what was refused, [`Error::Invalid`] for an offset
    /// beyond its end.
    pub(crate) async fn downloadable(
        &self,
        caller: &Caller,
        name: AttachmentId,
        offset: u64,
    ) -> Result<(Attachment, String), Error> {
        const STORED: Need = Need::new(
            "stored",
            "the attachment was refused: there are no bytes of it",
            "附件未被接收，没有可下载的内容",
        );
        let action = "ticket.DownloadAttachment";
        let attachment = self.get_attachment(caller, action, name).await?;
        if attachment.withdrawn.is_some() {
            let mut conn = self.read().await?;
            self.allow_ticket(&mut conn, caller, INSPECT, name.ticket).await?;
        }
        let Some(key) = attachment.object_key.clone() else {
            let missing = vec![STORED];
            let state = attachment.state().code();
            let (subject, command) = ("attachment", "DownloadAttachment");
            return Err(StepRefusal::IllegalState { subject, state, command, missing }.into());
        };
        if offset > attachment.size {
            let fault = Fault::out_of_range(0, attachment.size, offset);
            return Err(Error::Invalid("read_offset", fault));
        }
        Ok((attachment, key))
    }

    /// Withdraws an attachment, in one transaction. Its ticket is locked first, as by every change.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], [`Error::EtagStale`], [`Error::RequestIdReused`], [`Error::StepRefused`].
    pub(crate) async fn withdraw_attachment(
        &self,
        call: &Call,
        name: AttachmentId,
        etag: Option<Etag>,
        reason: String,
    ) -> Result<pb::Attachment, Error> {
        let mut work = self.begin(call).await?;
        let place = store::handling::lock(work.conn(), name.ticket).await?;
        let place = place.ok_or_else(|| not_found(name.ticket))?;
        let allowed = self.allow_at(&call.caller, "ticket.WithdrawAttachment", &place.org_unit);
        if let Err(denied) = allowed {
            return work.answered().await?.ok_or(denied);
        }
        if !store::attachment::lock(work.conn(), name.id).await? {
            return Err(unknown(name));
        }
        if let Some(answer) = work.replay().await? {
            return Ok(answer);
        }
        let found = store::attachment::find(work.conn(), name.ticket, name.id).await?;
        let before = found.ok_or_else(|| unknown(name))?;
        check_etag(etag, before.revision)?;
        let after = withdraw(&before, reason, call.caller.subject().into(), work.now())?;
        store::attachment::save_withdrawn(work.conn(), &after).await?;
        let org_unit = org_unit(&place.org_unit)?;
        let change = change("WithdrawAttachment", &org_unit, Some(&before), &after)?;
        work.record(vec![change]).await?;
        let (at, of) = (work.now(), (name.ticket, name.id));
        self.file_withdrawn(work.conn(), of, &call.by, at).await?;
        work.commit(encode::resource(&after)).await
    }
}

/// What became of an attachment, for the journal.
pub(super) fn change<'a>(
    action: &'static str,
    org_unit: &'a OrgUnit,
    before: Option<&Attachment>,
    after: &Attachment,
) -> Result<Change<'a>, Error> {
    let told = encode::resource(after);
    let (old, new) = resource_audit::changed(before.map(encode::resource).as_ref(), &told)?;
    Ok(Change {
        aggregate_type: "attachment",
        aggregate_id: after.id,
        revision: after.revision,
        action,
        org_unit,
        customer_id: after.customer,
        before: old,
        after: new,
        event: Some(encode::event(after)),
    })
}

/// An org unit as it is stored.
pub(super) fn org_unit(stored: &str) -> Result<OrgUnit, StoreError> {
    stored.parse().map_err(|error| StoreError::corrupt("ticket.org_unit", error))
}

fn unknown(name: AttachmentId) -> Error {
    Error::NotFound { kind: "kefu.dev/Attachment", name: encode::name(name.ticket, name.id) }
}
