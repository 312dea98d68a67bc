//! Commands of this context, see [`kefu_service::Work`].

use kefu_service::{Call, Tools};

use super::{App, Error};

/// A command under way.
pub(crate) type Work<'a> = kefu_service::Work<'a, Error>;

impl App {
    pub(crate) async fn begin<'a>(&'a self, call: &'a Call) -> Result<Work<'a>, Error> {
        let tools =
            Tools { pool: &self.pool, clock: &self.clock, ids: &self.ids, tail: &self.tail };
        Work::begin(tools, call).await
    }
}
