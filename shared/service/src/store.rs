//! What a caller learns of the database.

use std::time::Duration;

use kefu_postgres::StoreError;
use tonic::Status;

/// When to try again while the database is away.
const RETRY: Duration = Duration::from_secs(1);

/// The constraint by which a journal refuses a second entry for the same revision.
const REVISION: &str = "journal_revision_key";

/// The status of a store that did not do what it was told: whether and when to try again, and nothing of our
/// inside. What a context expects to be refused, such as a second resource of one name, it has to ask for before.
pub fn store_status(error: &StoreError) -> Status {
    match error {
        StoreError::Unavailable(_) | StoreError::Timeout(_) => {
            tracing::warn!(%error, "the store did not answer");
            kefu_rpc::store_unavailable(RETRY)
        }
        StoreError::Conflict(_) => kefu_rpc::aborted_conflict(),
        // Somebody else made the same revision first: the journal's own proof against lost updates.
        error if error.is_unique(REVISION) => kefu_rpc::aborted_conflict(),
        error => kefu_rpc::internal(error),
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    #[test]
    fn x06_a_caller_learns_what_to_do_and_nothing_of_our_inside() {
        let unique = |constraint: &str| StoreError::Unique { constraint: constraint.to_owned() };
        let away = StoreError::Unavailable(sqlx::Error::PoolTimedOut);
        let cases = [
            (away, Code::Unavailable),
            (StoreError::Timeout(sqlx::Error::PoolTimedOut), Code::Unavailable),
            (StoreError::Conflict(sqlx::Error::RowNotFound), Code::Aborted),
            (unique(REVISION), Code::Aborted),
            (unique("customer_code_key"), Code::Internal),
            (StoreError::Corrupt("customer.code".to_owned()), Code::Internal),
        ];
        for (error, code) in cases {
            let status = store_status(&error);
            assert_eq!(status.code(), code, "{error}");
            assert!(!status.message().contains("customer"), "{}", status.message());
        }
    }
}
