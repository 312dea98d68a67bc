//! One command for many tickets (T-23): each is a call of its own to the same code; here is only what belongs to the whole.

use kefu_identity::OrgUnit;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{App, Call, Error};

impl App {
    /// Begins commands to many tickets, or goes on with them: the request id belongs to this content from now on. Nothing is
    /// remembered of how far it came, for each ticket's command remembers that of itself.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::RequestIdReused`].
    pub async fn begin_bulk(&self, call: &Call, org_unit: &OrgUnit) -> Result<(), Error> {
        if let Err(denied) = self.allow(&call.caller, "ticket.RunBulk", org_unit) {
            return self.or_answered(call, denied).await;
        }
        if call.request.is_none() {
            return Ok(());
        }
        let mut work = self.begin(call).await?;
        if work.claim().await?.is_none() {
            work.commit_remembering(&[]).await?;
        }
        Ok(())
    }
}

/// The request id under which a ticket's part of a bulk is remembered: the same whenever the whole is asked again. None where
/// the whole has none.
pub(crate) fn request_id_of(call: &Call, ticket: Uuid) -> Option<Uuid> {
    let whole = call.request.as_ref()?;
    let mut hash = Sha256::new();
    hash.update(b"bulk\0");
    hash.update(whole.id.as_bytes());
    hash.update(ticket.as_bytes());
    let digest = hash.finalize();
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(digest).for_each(|(byte, of)| *byte = of);
    Some(uuid::Builder::from_random_bytes(bytes).into_uuid())
}
