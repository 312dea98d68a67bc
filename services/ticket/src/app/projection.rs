//! Keeping queues and search up to date behind the journal (T-23).

use kefu_journal::{Cursor, Position};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{App, Error};
use crate::domain::SearchText;
use crate::store;
use crate::store::projection::Projection;
use crate::store::search::Document;

/// Rows of the journal that are taken into account in one transaction.
const BATCH: i64 = 256;

/// What became of a look at the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Projected {
    /// Everything up to here is taken into account; and whether there may be more.
    Up {
        /// To where.
        to: Position,
        /// Whether the batch was not empty.
        more: bool,
    },
    /// Another replica is at it, or the journal has not been looked at yet.
    Busy,
}

impl App {
    /// Takes the next rows of the journal into account, in one transaction. Safe in any number of replicas at once: one
    /// does it, the others leave it to that one.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) async fn project(&self, projection: Projection) -> Result<Projected, Error> {
        let Some(seen) = self.tail.seen() else { return Ok(Projected::Busy) };
        let mut conn = self.read().await?;
        if let Some(to) = store::projection::idle(&mut conn, projection, seen.feed).await? {
            return Ok(Projected::Up { to, more: false });
        }
        drop(conn);
        let mut tx = kefu_postgres::begin(&self.pool).await?;
        let reached = store::projection::lock(&mut tx, projection, seen.feed).await?;
        let Some(reached) = reached else { return Ok(Projected::Busy) };
        let next = store::projection::next(&mut tx, projection, reached.position, BATCH).await?;
        let Some((to, tickets)) = next else {
            return Ok(Projected::Up { to: reached.position, more: false });
        };
        match projection {
            Projection::Queue => {
                store::queue::refresh(&mut tx, &tickets, reached.turn + 1).await?;
            }
            Projection::Search => document(&mut tx, &tickets).await?,
        }
        let cursor = Cursor { feed: seen.feed, position: to };
        store::projection::advance(&mut tx, projection, cursor).await?;
        tx.commit().await?;
        Ok(Projected::Up { to, more: true })
    }
}

/// Makes documents of the tickets whose texts were changed.
async fn document(conn: &mut PgConnection, tickets: &[Uuid]) -> Result<(), Error> {
    let sources = store::search::sources(conn, tickets).await?;
    let mut documents = Vec::with_capacity(sources.len());
    for source in sources {
        let SearchText { body, tokens } = SearchText::of(&source.body, &source.org_unit);
        let (ticket, place, digest) = (source.id, source.place, source.digest);
        documents.push(Document { ticket, place, tokens, body, digest });
        // Long texts must not keep others from their turn.
        tokio::task::yield_now().await;
    }
    Ok(store::search::save(conn, &documents).await?)
}
