//! Invitations whose time is over.

use jiff::Timestamp;
use kefu_journal::Provenance;

use super::{App, Error, invitation::change};
use crate::store;

/// Expired in one transaction: enough to be quick, few enough to hold no lock for long.
const BATCH: i64 = 200;

impl App {
    /// Expires some of those that are due and that nobody else is working on. Returns when each was due; replicas may call
    /// this at the same time, none is expired twice.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn expire_due(&self) -> Result<Vec<Timestamp>, Error> {
        let now = self.now();
        let mut tx = kefu_postgres::begin(&self.pool).await?;
        let due = store::invitation::lease_due(&mut tx, now, BATCH).await?;
        if due.is_empty() {
            return Ok(Vec::new());
        }
        let by = Provenance::system("invitation-expiry");
        let mut pairs = Vec::with_capacity(due.len());
        for before in due {
            let Some(expired) = before.expire(now) else { continue };
            store::invitation::update(&mut tx, &expired).await?;
            pairs.push((before, expired));
        }
        let changes = pairs
            .iter()
            .map(|(before, expired)| change("survey.Expire", Some(before), expired))
            .collect();
        self.record(&mut tx, &by, now, changes).await?;
        tx.commit().await?;
        self.tail.wake();
        Ok(pairs.iter().map(|(before, _)| before.expires_at).collect())
    }

    /// When the next invitation expires, be it in the past because another replica is working on it.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn next_expiry(&self) -> Result<Option<Timestamp>, Error> {
        let mut conn = self.read().await?;
        Ok(store::invitation::next_due(&mut conn).await?)
    }
}
