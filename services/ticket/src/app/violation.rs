//! Violations (T-19).

use jiff::Timestamp;
use kefu_identity::{Caller, OrgUnit};
use uuid::Uuid;

use super::{App, Error, Page, one_more};
use crate::store;
use crate::store::violation::{RecordedViolation, ViolationQuery};

impl App {
    /// Those at and below an org unit, newest first.
    ///
    /// # Errors
    /// [`Error::Denied`].
    pub(crate) async fn list_violations(
        &self,
        caller: &Caller,
        org_unit: &OrgUnit,
        query: ViolationQuery,
        size: u32,
    ) -> Result<Page<RecordedViolation, (Timestamp, Uuid)>, Error> {
        self.allow(caller, "ticket.ListViolations", org_unit)?;
        let mut conn = self.read().await?;
        let query = ViolationQuery { limit: one_more(size), ..query };
        let found = store::violation::list(&mut conn, &query).await?;
        Ok(Page::of(found, size, |last| (last.created_at, last.id)))
    }
}
