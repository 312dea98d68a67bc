//! What happens by itself while a ticket waits: a reminder, then a proposal to close (T-06).

use std::sync::Arc;

use jiff::Timestamp;

use super::{
    policy::{PauseReason, Policy},
    refusal::Refusal,
    reminder,
    word::Fault,
};

/// What the pause reason asks for, and what of it has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FollowUp {
    /// Code of the pause reason in the policy.
    pub reason: Arc<str>,
    /// When the customer is reminded.
    pub remind_at: Option<Timestamp>,
    /// When it was time for that.
    pub reminded_at: Option<Timestamp>,
    /// Whether the customer was sent a reminder then; else to remind was for the staff.
    pub told: bool,
    /// To whom the reminder goes; none means whom the ticket's last message went to by the same adapter.
    pub recipient: Option<String>,
    /// When closing is proposed.
    pub propose_at: Option<Timestamp>,
    /// When it was time and closing was proposed.
    pub proposed_at: Option<Timestamp>,
}

/// What is done about a ticket that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FollowUpAlarm {
    /// The customer is reminded.
    Remind,
    /// Closing is proposed.
    ProposeClose,
}

impl FollowUp {
    /// By the pause reason with this code, from `now` on. None where the policy knows no reasons.
    pub(super) fn begin(
        policy: &Policy,
        code: &str,
        now: Timestamp,
        recipient: Option<String>,
    ) -> Result<Option<Self>, Refusal> {
        if policy.pause_reasons().is_empty() && code.is_empty() {
            let unused = recipient.is_some_and(|recipient| !recipient.is_empty());
            if unused {
                let description =
                    ("must be empty: the policy has no reminders", "不得填写：制度中没有提醒");
                return Err(Refusal::Fields(vec![Fault::new("reminder_recipient", description)]));
            }
            return Ok(None);
        }
        let Some(reason) = policy.pause_reason(code) else {
            let known: Vec<&str> = policy.pause_reasons().keys().map(|code| &**code).collect();
            let known = known.join(", ");
            let english = format!("must be one of the policy's: {known}");
            let words = (english, format!("须为制度规定的等待原因之一：{known}"));
            return Err(Refusal::Fields(vec![Fault::new("pause_reason", words)]));
        };
        let PauseReason { code, remind_after, propose_close_after, .. } = reason;
        let recipient = reminder::recipient(reason, recipient);
        let recipient = recipient.map_err(|fault| Refusal::Fields(vec![fault]))?;
        let at = |target: &Option<_>| {
            let at = target.map(|target| policy.calendar().due_at(now, target)).transpose();
            at.map_err(|error| Refusal::NoDeadline { rule: code.to_string(), error })
        };
        Ok(Some(Self {
            reason: code.clone(),
            remind_at: at(remind_after)?,
            reminded_at: None,
            told: false,
            recipient,
            propose_at: at(propose_close_after)?,
            proposed_at: None,
        }))
    }

    /// When something is to be done next, and what.
    #[must_use]
    pub fn next_alarm(&self) -> Option<(Timestamp, FollowUpAlarm)> {
        let remind = self.remind_at.filter(|_| self.reminded_at.is_none());
        let propose = self.propose_at.filter(|_| self.proposed_at.is_none());
        let remind = remind.map(|at| (at, FollowUpAlarm::Remind));
        remind.into_iter().chain(propose.map(|at| (at, FollowUpAlarm::ProposeClose))).min()
    }
}
