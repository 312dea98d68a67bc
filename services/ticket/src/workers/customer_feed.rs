//! What this context keeps of the customer context: org units, customers, contacts, standings.

use jiff::Timestamp;
use kefu_api::customer::v1::{ContactChanged, CustomerChanged, OrgUnitChanged, StandingChanged};
use kefu_api::feed::v1::Event;
use kefu_journal::{ApplyError, Consumer};
use kefu_policy::apply_org_unit_changed;
use sqlx::PgConnection;

use super::{id, payload};
use crate::store::customer::{self as store, StandingRow};

const ORG_UNIT: &str = "kefu.customer.v1.OrgUnitChanged";
const CUSTOMER: &str = "kefu.customer.v1.CustomerChanged";
const CONTACT: &str = "kefu.customer.v1.ContactChanged";
const STANDING: &str = "kefu.customer.v1.StandingChanged";

/// Keeps the copies up to date. Each event carries the whole new state and its revision, so one that is repeated or
/// overtaken changes nothing.
#[derive(Clone, Copy, Debug)]
pub struct CustomerFeed;

impl Consumer for CustomerFeed {
    fn name(&self) -> &'static str {
        "ticket-customer-copies"
    }

    fn source(&self) -> &'static str {
        "customer"
    }

    fn event_types(&self) -> &'static [&'static str] {
        &[ORG_UNIT, CUSTOMER, CONTACT, STANDING]
    }

    async fn apply(&self, tx: &mut PgConnection, event: &Event) -> Result<(), ApplyError> {
        let revision = event.revision;
        let occurred_at = match &event.occur_time {
            Some(time) => kefu_rpc::timestamp(time).map_err(|fault| fault.english().to_owned())?,
            None => Timestamp::UNIX_EPOCH,
        };
        match event.r#type.as_str() {
            ORG_UNIT => {
                let changed: OrgUnitChanged = payload(event)?;
                let unit = event.aggregate_id.parse()?;
                apply_org_unit_changed(tx, unit, revision, occurred_at, &changed).await?;
            }
            CUSTOMER => {
                let changed: CustomerChanged = payload(event)?;
                let customer = id(&changed.customer, "customers")?;
                store::upsert_customer(tx, customer, revision, &changed.org_unit, occurred_at)
                    .await?;
            }
            CONTACT => {
                let changed: ContactChanged = payload(event)?;
                let customer = id(&changed.customer, "customers")?;
                let contact = id(&changed.contact, &format!("{}/contacts", changed.customer))?;
                store::upsert_contact(tx, contact, customer, revision).await?;
            }
            STANDING => {
                let changed: StandingChanged = payload(event)?;
                let customer = id(&changed.customer, "customers")?;
                let standing = StandingRow {
                    department: changed.department,
                    product_line: changed.product_line,
                    grade: changed.grade,
                };
                store::upsert_standing(tx, customer, revision, &standing, occurred_at).await?;
            }
            // Never delivered: not asked for.
            _ => {}
        }
        Ok(())
    }
}
