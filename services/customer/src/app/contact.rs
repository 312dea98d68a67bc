//! Contacts (C-02). They belong to the org unit that owns their customer.

use jiff::Timestamp;
use kefu_api::customer::v1 as pb;
use kefu_identity::{Caller, OrgUnit};
use kefu_rpc::Etag;
use uuid::Uuid;

use super::{App, Call, Change, Error, Page, audit, one_more};
use crate::{
    domain::contact::{Contact, ContactChanges, ContactDetails},
    encode::contact as encode,
    store,
};

/// Where a page of contacts ends: when the last one was registered, and its id.
pub type Cursor = (Timestamp, Uuid);

/// Before the oldest contact; the year 1, for Postgres does not count as far back as [`Timestamp::MIN`].
const OLDEST: Cursor = (Timestamp::constant(-62_135_596_800, 0), Uuid::nil());

impl App {
    /// Adds a contact to a customer.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the customer, and those that every command has.
    pub async fn create_contact(
        &self,
        call: &Call,
        customer_id: Uuid,
        details: ContactDetails,
    ) -> Result<pb::Contact, Error> {
        const ACTION: &str = "customer.CreateContact";
        let mut work = self.begin(call).await?;
        let owner = self.owner_allowing(work.conn(), &call.caller, ACTION, customer_id).await?;
        if let Some(answer) = work.replay().await? {
            return Ok(answer);
        }
        let contact = Contact::register(self.ids.uuid(), customer_id, details, work.now());
        store::contact::insert(work.conn(), &contact).await?;
        work.record(vec![created(ACTION, &contact, &owner)?]).await?;
        work.commit(encode::resource(&contact)).await
    }

    /// One contact.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub async fn get_contact(
        &self,
        caller: &Caller,
        customer_id: Uuid,
        id: Uuid,
    ) -> Result<Contact, Error> {
        let mut conn = self.read().await?;
        self.owner_allowing(&mut conn, caller, "customer.GetContact", customer_id).await?;
        let contact = store::contact::get(&mut conn, customer_id, id).await?;
        contact.ok_or_else(|| not_found(customer_id, id))
    }

    /// Those of a customer, oldest first.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the customer, [`Error::Denied`].
    pub async fn list_contacts(
        &self,
        caller: &Caller,
        customer_id: Uuid,
        after: Option<Cursor>,
        size: u32,
    ) -> Result<Page<Contact, Cursor>, Error> {
        let mut conn = self.read().await?;
        self.owner_allowing(&mut conn, caller, "customer.ListContacts", customer_id).await?;
        let after = after.unwrap_or(OLDEST);
        let found = store::contact::page(&mut conn, customer_id, after, one_more(size)).await?;
        Ok(Page::of(found, size, |last| (last.created_at, last.id)))
    }

    /// Changes a contact.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::EtagStale`] and those that every command has.
    pub async fn update_contact(
        &self,
        call: &Call,
        customer_id: Uuid,
        id: Uuid,
        changes: ContactChanges,
        etag: Option<Etag>,
    ) -> Result<pb::Contact, Error> {
        const ACTION: &str = "customer.UpdateContact";
        let mut work = self.begin(call).await?;
        let owner = self.owner_allowing(work.conn(), &call.caller, ACTION, customer_id).await?;
        let contact = store::contact::lock(work.conn(), customer_id, id).await?;
        let contact = contact.ok_or_else(|| not_found(customer_id, id))?;
        if let Some(answer) = work.replay().await? {
            return Ok(answer);
        }
        super::error::check_etag(etag, contact.revision)?;
        let Some(changed) = contact.change(changes, work.now()) else {
            return work.commit(encode::resource(&contact)).await;
        };
        store::contact::update(work.conn(), &changed).await?;
        let (before, after) = audit::changed(&contact.details, &changed.details)?;
        let change = Change {
            before: before.map(audit::masked),
            after: after.map(audit::masked),
            ..change(ACTION, &changed, &owner)
        };
        work.record(vec![change]).await?;
        work.commit(encode::resource(&changed)).await
    }
}

/// A new contact, for the journal.
pub(crate) fn created<'a>(
    action: &'static str,
    contact: &Contact,
    owner: &'a OrgUnit,
) -> Result<Change<'a>, Error> {
    let after = audit::masked(audit::all(&contact.details)?);
    Ok(Change { after: Some(after), ..change(action, contact, owner) })
}

fn change<'a>(action: &'static str, contact: &Contact, owner: &'a OrgUnit) -> Change<'a> {
    Change {
        aggregate_type: "contact",
        aggregate_id: contact.id,
        revision: contact.revision,
        action,
        org_unit: owner,
        customer_id: Some(contact.customer_id),
        before: None,
        after: None,
        event: Some(encode::event(contact)),
    }
}

fn not_found(customer_id: Uuid, id: Uuid) -> Error {
    Error::NotFound { kind: "kefu.dev/Contact", name: encode::name(customer_id, id) }
}
