//! What an invitation refuses.

/// Why a command on an invitation is refused; nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It has expired or was revoked (S-04).
    #[error("the invitation has ended")]
    Ended,
    /// It has been answered (S-05).
    #[error("the invitation has been answered")]
    AlreadyAnswered,
    /// Whoever handled the ticket may neither hold the token of the call-back nor answer it (T-13, S-05).
    #[error("one's own work may not be judged by oneself")]
    OwnWork,
}
