//! Every command but registrations, see [`kefu_service::Work`].

use kefu_identity::OrgUnit;
use kefu_service::Tools;
use prost::Message;

use super::{App, Error};

pub use kefu_service::{Call, RequestKey};

/// A command under way.
pub(crate) type Work<'a> = kefu_service::Work<'a, Error>;

impl App {
    pub(crate) async fn begin<'a>(&'a self, call: &'a Call) -> Result<Work<'a>, Error> {
        let tools =
            Tools { pool: &self.pool, clock: &self.clock, ids: &self.ids, tail: &self.tail };
        Work::begin(tools, call).await
    }

    /// The first answer of a command that was done before, for what would have to be looked up before the command can begin
    /// and may be gone since. Claims nothing.
    pub(crate) async fn answered<A>(&self, call: &Call) -> Result<Option<A>, Error>
    where
        A: Message + Default,
    {
        if call.request.is_none() {
            return Ok(None);
        }
        self.begin(call).await?.answered().await
    }

    /// The first answer of a command that was done before and could not begin now, else why it cannot: whoever may not do
    /// this any more, or needs a neighbour that is away, still learns what it learned then.
    pub(crate) async fn or_answered<A>(&self, call: &Call, lacking: Error) -> Result<A, Error>
    where
        A: Message + Default,
    {
        self.answered(call).await?.ok_or(lacking)
    }

    /// Passes if the caller may do `action` in an org unit that exists.
    pub(crate) async fn allow_in(
        &self,
        call: &Call,
        action: &'static str,
        org_unit: &OrgUnit,
    ) -> Result<(), Error> {
        self.allow(&call.caller, action, org_unit)?;
        Ok(self.org_units.require(org_unit, call.deadline).await?)
    }
}

pub(crate) fn decode_answer<A: Message + Default>(answer: &[u8]) -> Result<A, Error> {
    A::decode(answer).map_err(|error| Error::Defect(format!("a stored answer: {error}")))
}
