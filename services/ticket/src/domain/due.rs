//! What the timers of learning look at.

use super::word::coded;

coded! {
    /// What can be due.
    Due {
        /// A corrective action is overdue (T-18).
        CorrectiveAction = "corrective_action",
        /// A decision on a suggestion is due (T-21).
        Suggestion = "suggestion",
        /// The list of a shift is due (T-17).
        Shift = "shift",
        /// A deadline of a process comes near or passes (T-22).
        Process = "process",
    }
}
