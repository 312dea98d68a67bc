//! Beginning a transaction so that giving it up halfway harms nobody.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use sqlx::{PgPool, Postgres, SqlStr, Transaction};

type Begun = Result<Transaction<'static, Postgres>, sqlx::Error>;

/// Begins a transaction. Dropped without a commit it is rolled back, also when it is dropped while it begins.
///
/// Use this instead of [`sqlx::Pool::begin`]. A call that is given up, because its deadline has passed or its caller has
/// gone, is dropped wherever it waits. If that is between the sending of `BEGIN` and its answer, sqlx does not know yet
/// that there is a transaction, rolls nothing back, and returns the connection to the pool with the transaction open.
/// Whoever gets it next writes into that transaction, is told that all is well, and has written nothing.
///
/// # Errors
///
/// When there is no connection within the pool's time limit, or Postgres is away.
pub async fn begin(pool: &PgPool) -> Begun {
    let connection = pool.acquire().await?;
    Beginning(Some(Transaction::begin(connection, None))).await
}

/// The same for a transaction that only reads, all of it as of one moment.
///
/// # Errors
/// As [`begin`].
pub async fn begin_snapshot(pool: &PgPool) -> Begun {
    let statement = SqlStr::from_static("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    let connection = pool.acquire().await?;
    Beginning(Some(Transaction::begin(connection, Some(statement)))).await
}

/// A transaction that begins, and does so to the end whatever becomes of the one who waits for it.
struct Beginning(Option<Pin<Box<dyn Future<Output = Begun> + Send>>>);

impl Future for Beginning {
    type Output = Begun;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Begun> {
        let Some(beginning) = &mut self.0 else { return Poll::Pending };
        let begun = std::task::ready!(beginning.as_mut().poll(cx));
        self.0 = None;
        Poll::Ready(begun)
    }
}

impl Drop for Beginning {
    fn drop(&mut self) {
        let Some(beginning) = self.0.take() else { return };
        // Without a runtime the program ends, and its connections with it.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            // Dropped as soon as it has begun, and now sqlx knows what to roll back.
            runtime.spawn(async move { drop(beginning.await) });
        }
    }
}
