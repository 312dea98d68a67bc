//! Archives (C-01).

use jiff::Timestamp;
use kefu_api::customer::v1 as pb;
use kefu_identity::{Caller, OrgUnit};
use kefu_rpc::Etag;
use serde_json::Value;
use uuid::Uuid;

use super::{App, Call, Change, Error, Page, audit, contact, one_more};
use crate::{
    domain::{
        contact::{Contact, ContactDetails},
        customer::{Customer, CustomerChanges, CustomerDetails, code, code_segment, code_year},
    },
    encode::customer as encode,
    store,
};

/// Where a page of customers ends: when the last one was registered, and its id.
pub type Cursor = (Timestamp, Uuid);

/// Before the newest customer.
const NEWEST: Cursor = (Timestamp::MAX, Uuid::max());

impl App {
    /// Registers a customer with its first contacts, all or nothing (C-01, C-02). Needs the right in its org unit.
    ///
    /// # Errors
    /// [`Error::OrgUnitUnknown`] and those that every command has.
    pub async fn create_customer(
        &self,
        call: &Call,
        org_unit: OrgUnit,
        details: CustomerDetails,
        contacts: Vec<ContactDetails>,
    ) -> Result<pb::Customer, Error> {
        const ACTION: &str = "customer.CreateCustomer";
        self.allow(&call.caller, ACTION, &org_unit)?;
        let mut work = self.begin(call).await?;
        if let Some(answer) = work.replay().await? {
            return Ok(answer);
        }
        // Before the number is taken, so that nobody waits for a registration that will be refused.
        if !store::org_unit::exists(work.conn(), &org_unit).await? {
            return Err(Error::OrgUnitUnknown(org_unit));
        }
        let now = work.now();
        let (year, segment) = (code_year(now), code_segment(&org_unit).to_owned());
        let number = store::customer::next_code_number(work.conn(), &segment, year).await?;
        let code = code(year, &segment, number);
        let customer = Customer::register(self.ids.uuid(), code, org_unit, details, now);
        store::customer::insert(work.conn(), &customer).await?;
        let contacts: Vec<Contact> = contacts
            .into_iter()
            .map(|details| Contact::register(self.ids.uuid(), customer.id, details, now))
            .collect();
        for contact in &contacts {
            store::contact::insert(work.conn(), contact).await?;
        }

        let after = registered(&customer)?;
        let mut changes = vec![change(ACTION, &customer, None, Some(after))];
        for contact in &contacts {
            changes.push(contact::created(ACTION, contact, &customer.org_unit)?);
        }
        work.record(changes).await?;
        work.commit(encode::resource(&customer)).await
    }

    /// One customer.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub async fn get_customer(&self, caller: &Caller, id: Uuid) -> Result<Customer, Error> {
        let mut conn = self.read().await?;
        let customer = store::customer::get(&mut conn, id).await?.ok_or_else(|| not_found(id))?;
        self.allow(caller, "customer.GetCustomer", &customer.org_unit)?;
        Ok(customer)
    }

    /// Those owned at and below `org_unit`, newest first; only the one with `code`, if that is given.
    ///
    /// # Errors
    /// [`Error::Denied`].
    pub async fn list_customers(
        &self,
        caller: &Caller,
        org_unit: &OrgUnit,
        code: Option<&str>,
        after: Option<Cursor>,
        size: u32,
    ) -> Result<Page<Customer, Cursor>, Error> {
        self.allow(caller, "customer.ListCustomers", org_unit)?;
        let mut conn = self.read().await?;
        if let Some(code) = code {
            let found = store::customer::by_code(&mut conn, org_unit, code).await?;
            return Ok(Page { items: found.into_iter().collect(), next: None });
        }
        let after = after.unwrap_or(NEWEST);
        let found = store::customer::page(&mut conn, org_unit, after, one_more(size)).await?;
        Ok(Page::of(found, size, |last| (last.created_at, last.id)))
    }

    /// Changes a customer.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::EtagStale`] and those that every command has.
    pub async fn update_customer(
        &self,
        call: &Call,
        id: Uuid,
        changes: CustomerChanges,
        etag: Option<Etag>,
    ) -> Result<pb::Customer, Error> {
        const ACTION: &str = "customer.UpdateCustomer";
        let mut work = self.begin(call).await?;
        let customer = store::customer::lock(work.conn(), id).await?;
        let customer = customer.ok_or_else(|| not_found(id))?;
        self.allow(&call.caller, ACTION, &customer.org_unit)?;
        if let Some(answer) = work.replay().await? {
            return Ok(answer);
        }
        super::error::check_etag(etag, customer.revision)?;
        let Some(changed) = customer.change(changes, work.now()) else {
            return work.commit(encode::resource(&customer)).await;
        };
        store::customer::update(work.conn(), &changed).await?;
        let (before, after) = audit::changed(&customer.details, &changed.details)?;
        work.record(vec![change(ACTION, &changed, before, after)]).await?;
        work.commit(encode::resource(&changed)).await
    }

    /// The org unit that owns a customer, if the caller may do `action` there.
    pub(crate) async fn owner_allowing(
        &self,
        conn: &mut sqlx::PgConnection,
        caller: &Caller,
        action: &'static str,
        id: Uuid,
    ) -> Result<OrgUnit, Error> {
        let owner = store::customer::org_unit_of(conn, id).await?.ok_or_else(|| not_found(id))?;
        self.allow(caller, action, &owner)?;
        Ok(owner)
    }
}

fn change<'a>(
    action: &'static str,
    customer: &'a Customer,
    before: Option<Value>,
    after: Option<Value>,
) -> Change<'a> {
    Change {
        aggregate_type: "customer",
        aggregate_id: customer.id,
        revision: customer.revision,
        action,
        org_unit: &customer.org_unit,
        customer_id: Some(customer.id),
        before,
        after,
        event: Some(encode::event(customer)),
    }
}

/// All fields of a new customer, the given ones and those that the server gave.
fn registered(customer: &Customer) -> Result<Value, Error> {
    let mut after = audit::all(&customer.details)?;
    if let Value::Object(fields) = &mut after {
        fields.insert("code".to_owned(), customer.code.as_str().into());
        fields.insert("org_unit".to_owned(), customer.org_unit.as_str().into());
    }
    Ok(after)
}

pub(crate) fn not_found(id: Uuid) -> Error {
    Error::NotFound { kind: "kefu.dev/Customer", name: encode::name(id) }
}
