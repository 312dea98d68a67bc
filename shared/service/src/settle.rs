//! Waiting until everything that has been caused has happened.

use std::sync::Arc;

use async_trait::async_trait;
use kefu_journal::{Consumer, Cursor, FeedError, Subscriber, Tail};
use tonic::Status;

/// Something that works on its own and can say when there is nothing left to do: a subscriber, a timer worker.
#[async_trait]
pub trait Settle: Send + Sync + 'static {
    /// Returns when everything has been done that there was to do at the time of the call: due timers have fired,
    /// the feed has been read to the head that it had. The caller sets the time limit.
    ///
    /// # Errors
    /// When it cannot be found out, because another context is away for example.
    async fn settle(&self) -> Result<(), Status>;

    /// Whether the service may answer calls as far as this part is concerned: a subscriber has read its feed to the
    /// end once. Asked before a service becomes ready.
    fn is_caught_up(&self) -> bool {
        true
    }
}

#[async_trait]
impl<C: Consumer> Settle for Subscriber<C> {
    async fn settle(&self) -> Result<(), Status> {
        self.settle_now().await
    }

    fn is_caught_up(&self) -> bool {
        self.progress().borrow().caught_up
    }
}

/// Everything in a service that settles, and the journal that shows whether anything moved meanwhile.
#[derive(Clone, Default)]
pub(crate) struct Settlement {
    parts: Arc<[Arc<dyn Settle>]>,
    journal: Option<Tail>,
}

impl Settlement {
    pub(crate) fn new(parts: Vec<Arc<dyn Settle>>, journal: Option<Tail>) -> Settlement {
        Settlement { parts: parts.into(), journal }
    }

    /// Settles the parts in their order, again and again until a round leaves the journal where it was; returns the
    /// journal's head, empty without a journal.
    pub(crate) async fn settle(&self) -> Result<String, Status> {
        // What this process has seen of the journal may be behind its head: then there is one round more than need be.
        let mut before = self.journal.as_ref().and_then(Tail::seen);
        loop {
            for part in self.parts.iter() {
                part.settle().await?;
            }
            let after = self.head().await?;
            if after == before || self.parts.is_empty() {
                return Ok(after.map(|head| head.to_string()).unwrap_or_default());
            }
            before = after;
        }
    }

    pub(crate) fn is_caught_up(&self) -> bool {
        self.parts.iter().all(|part| part.is_caught_up())
    }

    async fn head(&self) -> Result<Option<Cursor>, FeedError> {
        match &self.journal {
            Some(journal) => journal.head().await.map(Some),
            None => Ok(None),
        }
    }
}
