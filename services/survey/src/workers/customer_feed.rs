//! The customer context's feed: the company's tree, and how contacts may be reached (S-03).

use std::sync::Arc;

use kefu_api::{customer::v1 as pb, feed::v1::Event};
use kefu_journal::{ApplyError, Consumer, Provenance};
use kefu_policy::apply_org_unit_changed;
use prost::Message as _;
use sqlx::PgConnection;

use super::{contact_ids, occurred_at};
use crate::{app::App, domain::contact::Contact};

const ORG_UNIT_CHANGED: &str = "kefu.customer.v1.OrgUnitChanged";
const CONTACT_CHANGED: &str = "kefu.customer.v1.ContactChanged";

/// Keeps copies.
#[derive(Clone, Debug)]
pub struct CustomerFeed {
    app: Arc<App>,
}

impl CustomerFeed {
    /// For this app.
    pub fn new(app: Arc<App>) -> Self {
        Self { app }
    }
}

impl Consumer for CustomerFeed {
    fn name(&self) -> &'static str {
        "copies"
    }

    fn source(&self) -> &'static str {
        "customer"
    }

    fn event_types(&self) -> &'static [&'static str] {
        &[ORG_UNIT_CHANGED, CONTACT_CHANGED]
    }

    async fn apply(&self, tx: &mut PgConnection, event: &Event) -> Result<(), ApplyError> {
        match event.r#type.as_str() {
            ORG_UNIT_CHANGED => {
                let changed = pb::OrgUnitChanged::decode(event.payload.clone())?;
                let (id, at) = (event.aggregate_id.parse()?, occurred_at(event)?);
                Ok(apply_org_unit_changed(tx, id, event.revision, at, &changed).await?)
            }
            CONTACT_CHANGED => {
                let changed = pb::ContactChanged::decode(event.payload.clone())?;
                let (customer, id) = contact_ids(&changed.contact)?;
                let contact = Contact { do_not_contact: changed.do_not_contact_channels };
                let by = Provenance::system("customer-feed");
                Ok(self.app.learn_contact(tx, &by, customer, id, &contact, event.revision).await?)
            }
            _ => Ok(()),
        }
    }

    fn committed(&self) {
        self.app.tail.wake();
    }
}

#[cfg(test)]
mod tests {
    use prost::Name as _;

    use super::*;

    #[test]
    fn s03_the_events_asked_for_are_those_of_the_api() {
        assert_eq!(ORG_UNIT_CHANGED, pb::OrgUnitChanged::full_name());
        assert_eq!(CONTACT_CHANGED, pb::ContactChanged::full_name());
    }
}
