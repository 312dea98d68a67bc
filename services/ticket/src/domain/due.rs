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
    }
}
