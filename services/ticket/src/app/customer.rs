//! What this context knows of customers: its copy of them, in memory where a registration needs it, and the customer
//! context for what it does not know yet.
//!
//! Memory cannot be stale unnoticed. Each customer's copy has a stamp that counts up in the transaction that changes a
//! standing, in whichever replica the feed is read; a registration tells the stamp that it went by, and its statement
//! registers nothing if that is not the present one.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use kefu_api::customer::v1::customer_service_client::CustomerServiceClient;
use kefu_api::customer::v1::{GetContactRequest, GetCustomerRequest};
use kefu_clock::SharedClock;
use kefu_identity::OrgUnit;
use kefu_journal::Sign;
use kefu_postgres::StoreError;
use kefu_rpc::{Deadline, Fault, Transport};
use quick_cache::sync::Cache;
use sqlx::{PgConnection, PgPool};
use tonic::{Code, Request, Status};
use uuid::Uuid;

use super::Error;
use crate::store::customer::{self as store, StandingRow};

/// Customers and contacts that are remembered.
const REMEMBERED: usize = 50_000;
/// The longest wait for the customer context.
const ASK_LIMIT: Duration = Duration::from_secs(2);

/// A customer as this context knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownCustomer {
    /// Counts the changes of the standings.
    pub stamp: i64,
    standings: Vec<StandingRow>,
}

impl KnownCustomer {
    /// The grade that counts for a ticket of `org_unit` about `product`: of the standings whose department is the org unit
    /// or lies above it, that of the nearest department, and there the one for the product before the one for all.
    #[must_use]
    pub fn grade(&self, org_unit: &OrgUnit, product: &str) -> Option<&str> {
        let applies = |standing: &&StandingRow| {
            (standing.product_line.is_empty() || standing.product_line == product)
                && standing.department.parse().is_ok_and(|at: OrgUnit| at.contains(org_unit))
        };
        // Of departments above one and the same org unit, the longer path is the nearer one.
        let nearness = |standing: &&StandingRow| {
            (standing.department.len(), !standing.product_line.is_empty())
        };
        let nearest = self.standings.iter().filter(applies).max_by_key(nearness);
        nearest.map(|standing| standing.grade.as_str())
    }
}

/// The grade that counts now for a ticket of `org_unit` about `product`, by the copy as this transaction sees it.
pub(super) async fn grade(
    conn: &mut PgConnection,
    customer: Uuid,
    org_unit: &str,
    product: &str,
) -> Result<Option<String>, Error> {
    let org_unit: OrgUnit =
        org_unit.parse().map_err(|error| StoreError::corrupt("ticket.org_unit", error))?;
    let Some((stamp, standings)) = store::find(conn, customer).await? else { return Ok(None) };
    let known = KnownCustomer { stamp, standings };
    Ok(known.grade(&org_unit, product).map(ToOwned::to_owned))
}

/// The customers that this context knows.
pub struct Customers {
    pool: PgPool,
    clock: SharedClock,
    customer: CustomerServiceClient<Transport>,
    sign: Sign,
    known: Cache<Uuid, Arc<KnownCustomer>>,
    /// Contacts and whose they are, which never changes.
    contacts: Cache<Uuid, Uuid>,
}

impl Customers {
    /// Over the context's copies and a client of the customer context; `sign` adds the service's own token.
    pub fn new(
        pool: PgPool,
        clock: SharedClock,
        customer: CustomerServiceClient<Transport>,
        sign: Sign,
    ) -> Self {
        let (known, contacts) = (Cache::new(REMEMBERED), Cache::new(REMEMBERED));
        Self { pool, clock, customer, sign, known, contacts }
    }

    /// A customer: from memory, else from the copy, else the customer context is asked.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no such customer, [`Error::CustomerUnavailable`] if nobody can tell.
    pub async fn get(
        &self,
        customer: Uuid,
        deadline: Deadline,
    ) -> Result<Arc<KnownCustomer>, Error> {
        if let Some(known) = self.known.get(&customer) {
            return Ok(known);
        }
        if let Some(known) = self.look_up(customer).await? {
            return Ok(known);
        }
        self.ask_for_customer(customer, deadline).await?;
        let known = self.look_up(customer).await?;
        known.ok_or_else(|| Error::Defect("a customer vanished".to_owned()))
    }

    /// What a customer is called, as the customer context says now; `None` if it knows no such customer. Names are not
    /// copied: fewer places hold personal data.
    ///
    /// # Errors
    /// [`Error::CustomerUnavailable`] if nobody can tell.
    pub async fn name(&self, customer: Uuid, deadline: Deadline) -> Result<Option<String>, Error> {
        let request = GetCustomerRequest { name: format!("customers/{customer}") };
        match self.customer.clone().get_customer(self.onward(request, deadline)).await {
            Ok(found) => Ok(Some(found.into_inner().display_name)),
            Err(status) if status.code() == Code::NotFound => Ok(None),
            Err(status) => Err(refused(&status, || Error::CustomerUnavailable)),
        }
    }

    /// Forgets a customer whose standings have changed since.
    pub fn forget(&self, customer: Uuid) {
        self.known.remove(&customer);
    }

    /// Passes if the contact is one of the customer's.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it is not, [`Error::CustomerUnavailable`] if nobody can tell.
    pub async fn require_contact(
        &self,
        customer: Uuid,
        contact: Uuid,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let mut owner = self.contacts.get(&contact);
        if owner.is_none() {
            owner = store::customer_of_contact(&self.pool, contact).await?;
        }
        if owner.is_none() {
            self.ask_for_contact(customer, contact, deadline).await?;
            owner = Some(customer);
        }
        if let Some(owner) = owner {
            self.contacts.insert(contact, owner);
        }
        if owner == Some(customer) { Ok(()) } else { Err(unknown_contact()) }
    }

    async fn look_up(&self, customer: Uuid) -> Result<Option<Arc<KnownCustomer>>, Error> {
        let found = store::find(&self.pool, customer).await?;
        Ok(found.map(|(stamp, standings)| {
            let known = Arc::new(KnownCustomer { stamp, standings });
            self.known.insert(customer, Arc::clone(&known));
            known
        }))
    }

    async fn ask_for_customer(&self, customer: Uuid, deadline: Deadline) -> Result<(), Error> {
        let request = GetCustomerRequest { name: format!("customers/{customer}") };
        let answer = self.customer.clone().get_customer(self.onward(request, deadline)).await;
        let found = answer.map_err(|status| refused(&status, unknown_customer))?.into_inner();
        let mut conn = self.pool.acquire().await?;
        let now = self.clock.now();
        // Revision 0: whatever the feed will tell is newer.
        Ok(store::upsert_customer(&mut conn, customer, 0, &found.org_unit, now).await?)
    }

    async fn ask_for_contact(
        &self,
        customer: Uuid,
        contact: Uuid,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let name = format!("customers/{customer}/contacts/{contact}");
        let request = self.onward(GetContactRequest { name }, deadline);
        let answer = self.customer.clone().get_contact(request).await;
        answer.map_err(|status| refused(&status, unknown_contact))?;
        let mut conn = self.pool.acquire().await?;
        Ok(store::upsert_contact(&mut conn, contact, customer, 0).await?)
    }

    /// A call in this service's own name.
    fn onward<T>(&self, message: T, deadline: Deadline) -> Request<T> {
        let mut request = Request::new(message);
        request.set_timeout(deadline.at_most(ASK_LIMIT).remaining().unwrap_or(ASK_LIMIT));
        (self.sign)(request.metadata_mut());
        request
    }
}

impl fmt::Debug for Customers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Customers").field("known", &self.known.len()).finish_non_exhaustive()
    }
}

fn refused(status: &Status, unknown: impl FnOnce() -> Error) -> Error {
    match status.code() {
        Code::NotFound | Code::InvalidArgument => unknown(),
        code => {
            tracing::warn!(?code, "cannot ask the customer context");
            Error::CustomerUnavailable
        }
    }
}

fn unknown_customer() -> Error {
    let fault = Fault::new("UNKNOWN_CUSTOMER", "names no customer that exists", "客户不存在");
    Error::Invalid("ticket.customer", fault)
}

fn unknown_contact() -> Error {
    let fault =
        Fault::new("UNKNOWN_CONTACT", "names no contact of that customer", "联系人不属于该客户");
    Error::Invalid("ticket.contact", fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn customer(standings: &[(&str, &str, &str)]) -> KnownCustomer {
        let row = |(department, product_line, grade): &(&str, &str, &str)| StandingRow {
            department: (*department).to_owned(),
            product_line: (*product_line).to_owned(),
            grade: (*grade).to_owned(),
        };
        KnownCustomer { stamp: 1, standings: standings.iter().map(row).collect() }
    }

    #[test]
    fn t03_the_nearest_departments_grade_counts() {
        let customer = customer(&[
            ("group", "", "ordinary"),
            ("group/north", "", "vip"),
            ("group/north-east", "", "key"),
            ("group/north/riverside/lifts", "", "gold"),
        ]);
        let grade = |org_unit: &str| customer.grade(&org_unit.parse().unwrap(), "");
        assert_eq!(grade("group/north/riverside"), Some("vip"));
        assert_eq!(grade("group/south"), Some("ordinary"));
        assert_eq!(grade("other"), None);
    }

    #[test]
    fn t03_a_grade_for_a_product_line_counts_for_that_product_only() {
        let customer = customer(&[("group", "", "ordinary"), ("group", "lifts", "vip")]);
        let unit: OrgUnit = "group/north".parse().unwrap();
        assert_eq!(customer.grade(&unit, "lifts"), Some("vip"));
        assert_eq!(customer.grade(&unit, "doors"), Some("ordinary"));
    }
}
