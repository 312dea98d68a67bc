//! Signs of life of a stream.

use std::time::{Duration, Instant};

use crate::{Batch, FeedError, Follow};

/// A stream says at least this often that it is alive.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// Reads for a stream that leaves out what its client did not ask for, and knows when that has been silent for too long:
/// however much is left out, a client hears something every five seconds.
#[derive(Debug)]
pub struct Pulse {
    every: Duration,
    told_at: Instant,
}

impl Default for Pulse {
    fn default() -> Self {
        Self::every(HEARTBEAT)
    }
}

impl Pulse {
    fn every(every: Duration) -> Self {
        Self { every, told_at: kefu_clock::monotonic() }
    }

    /// The next batch; `None` when it is time for a sign of life, also between batches that come without a pause.
    ///
    /// # Errors
    /// Those of [`Follow::next`].
    pub async fn next(&mut self, follow: &mut Follow) -> Result<Option<Batch>, FeedError> {
        let left = self.every.saturating_sub(self.told_at.elapsed());
        if left.is_zero() {
            return Ok(None);
        }
        tokio::time::timeout(left, follow.next()).await.ok().transpose()
    }

    /// The client is told something now.
    pub fn told(&mut self) {
        self.told_at = kefu_clock::monotonic();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{Start, Tail};

    #[tokio::test]
    async fn a_stream_lives_also_while_all_that_comes_is_left_out() {
        let pool =
            sqlx::postgres::PgPoolOptions::new().connect_lazy("postgres://127.0.0.1:1").unwrap();
        let tail = Tail::new(pool, Arc::default());
        let mut seq = 0;
        tail.pretend(seq);
        let mut follow = tail.follow(Start::Oldest, 10).await.unwrap();
        let mut pulse = Pulse::every(Duration::from_millis(20));
        let began = kefu_clock::monotonic();
        let mut batches = 0;
        // There is always another batch, and none is of interest.
        while pulse.next(&mut follow).await.unwrap().is_some() {
            batches += 1;
            seq += 1;
            tail.pretend(seq);
            assert!(began.elapsed() < Duration::from_secs(60), "no sign of life");
        }
        assert!(batches > 0 && began.elapsed() >= Duration::from_millis(20));
        pulse.told();
        assert!(pulse.next(&mut follow).await.unwrap().is_some(), "and then it goes on");
    }
}
