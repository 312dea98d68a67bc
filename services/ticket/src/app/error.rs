//! What can go wrong, before it is put into words for the caller.

use kefu_identity::OrgUnit;
use kefu_policy::OrgUnitError;
use kefu_postgres::StoreError;
use kefu_rpc::{Etag, Fault};
use kefu_service::CommandError;

use crate::domain::{
    DeliveryRefusal, FileFault, OrderRefusal, ProcessRefusal, Refusal, StepRefusal,
};
use crate::files::FilesError;

/// Why the context refuses or fails. One table turns it into a status: `grpc/status.rs`.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A field that only the context's state shows to be wrong.
    #[error("{0} is wrong")]
    Invalid(&'static str, Fault),
    /// The domain refuses; nothing has changed.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The same about a work order.
    #[error(transparent)]
    OrderRefused(#[from] OrderRefusal),
    /// The same about violations, corrective actions, product holds, suggestions and shifts.
    #[error(transparent)]
    StepRefused(#[from] StepRefusal),
    /// The same about a process.
    #[error(transparent)]
    ProcessRefused(#[from] ProcessRefusal),
    /// There is one already.
    #[error("{name} exists already")]
    AlreadyExists {
        /// The type, e.g. `kefu.dev/Violation`.
        kind: &'static str,
        /// The name of the one that exists.
        name: String,
    },
    /// The same about a delivery.
    #[error(transparent)]
    DeliveryRefused(#[from] DeliveryRefusal),
    /// A file is not what it should be; that is on record (T-01).
    #[error("a file was refused: {}", .0.reason())]
    FileRefused(FileFault),
    /// A ticket can take no more files, or no file can be taken here at all.
    #[error("no file can be taken: {0}")]
    NoRoom(&'static str, u64),
    /// The bytes stopped coming, or came as they must not.
    #[error("an upload broke off: {0}")]
    BrokenOff(tonic::Status),
    /// The object store.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// There is no such resource.
    #[error("{name} does not exist")]
    NotFound {
        /// The type, e.g. `kefu.dev/Ticket`.
        kind: &'static str,
        /// The name that was given.
        name: String,
    },
    /// No policy permits it.
    #[error("{action} is not permitted in {org_unit}")]
    Denied {
        /// The method, e.g. `ticket.GetTicket`.
        action: &'static str,
        /// Where.
        org_unit: OrgUnit,
    },
    /// The etag is stale; the current revision.
    #[error("the etag is stale")]
    EtagStale {
        /// The current revision.
        current: i64,
    },
    /// The same about another resource than the one that the command is named for.
    #[error("the etag of {name} is stale")]
    OtherEtagStale {
        /// Its name.
        name: String,
        /// Its current revision.
        current: i64,
    },
    /// The request id was used for another content.
    #[error("the request id was used for another content")]
    RequestIdReused {
        /// The id.
        request_id: String,
    },
    /// The org unit does not exist.
    #[error("the org unit {0} does not exist")]
    OrgUnitUnknown(OrgUnit),
    /// No policy is in force for the org unit.
    #[error("no policy is in force for {0}")]
    PolicyMissing(OrgUnit),
    /// The customer context is needed for this answer and cannot be reached.
    #[error("the customer context cannot be asked")]
    CustomerUnavailable,
    /// More at once than this service takes.
    #[error("too many registrations at once")]
    Overloaded,
    /// Others were faster, several times.
    #[error("concurrent changes won")]
    Conflict,
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What no call should be able to cause.
    #[error("{0}")]
    Defect(String),
}

impl From<CommandError> for Error {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::RequestIdReused { request_id } => Self::RequestIdReused { request_id },
            CommandError::Store(error) => Self::Store(error),
            CommandError::StoredAnswer(_) => Self::Defect(error.to_string()),
        }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl From<OrgUnitError> for Error {
    fn from(error: OrgUnitError) -> Self {
        match error {
            OrgUnitError::Unknown(org_unit) => Self::OrgUnitUnknown(org_unit),
            OrgUnitError::CustomerUnavailable(_) => Self::CustomerUnavailable,
            OrgUnitError::Store(error) => Self::Store(error),
        }
    }
}

/// Passes if the caller's etag, where it sent one, is that of the current revision.
pub(crate) fn check_etag(seen: Option<Etag>, current: i64) -> Result<(), Error> {
    match seen {
        Some(seen) if seen.revision() != current => Err(Error::EtagStale { current }),
        _ => Ok(()),
    }
}
