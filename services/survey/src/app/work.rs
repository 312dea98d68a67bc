//! Commands of this context, see [`kefu_service::Work`], and changes that nobody commands.

use jiff::Timestamp;
use kefu_journal::Provenance;
use kefu_service::{Call, Change, Tools};
use sqlx::PgConnection;

use super::{App, Error};

/// A command under way.
pub(crate) type Work<'a> = kefu_service::Work<'a, Error>;

impl App {
    pub(crate) async fn begin<'a>(&'a self, call: &'a Call) -> Result<Work<'a>, Error> {
        let tools =
            Tools { pool: &self.pool, clock: &self.clock, ids: &self.ids, tail: &self.tail };
        Work::begin(tools, call).await
    }

    /// Writes changes into the journal, in their order, within the caller's transaction.
    pub(crate) async fn record(
        &self,
        conn: &mut PgConnection,
        by: &Provenance,
        now: Timestamp,
        changes: Vec<Change<'_>>,
    ) -> Result<(), Error> {
        let entries = changes.into_iter().map(|change| change.entry(by, now, &self.ids));
        let entries: Vec<_> = entries.collect();
        Ok(kefu_journal::append(conn, &entries).await?)
    }
}
