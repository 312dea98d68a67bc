//! The reminder that a customer is sent while a ticket waits (T-06).

use std::{collections::BTreeMap, sync::Arc};

use super::{
    automate,
    automation::Wording,
    automation_check::{self, Known},
    automation_draft::WordingDraft,
    delivery::{ChannelAdapter, Dispatch, check_recipient},
    message_template::Filling,
    policy::{PauseReason, Policy},
    policy_check::Faults,
    policy_draft::PauseReasonDraft,
    ticket::Ticket,
    waiting::FollowUp,
    word::{Fault, coded},
};

/// The longest message, in characters.
const MAX_MESSAGE: usize = 20_000;

/// What the policy sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reminder {
    /// Which way.
    pub adapter: ChannelAdapter,
    /// What is said.
    pub wording: Wording,
}

/// As it is written down.
#[derive(Clone, Debug, Default)]
pub struct ReminderDraft {
    /// `adapter`.
    pub adapter: String,
    /// `wording`.
    pub wording: WordingDraft,
}

/// A reminder on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reminded {
    /// What is said.
    pub message: String,
    /// How it is sent.
    pub dispatch: Dispatch,
}

coded! {
    /// Why a customer is not reminded; then to remind is for the staff.
    NotReminded {
        /// The policy says nothing to the customer.
        NoReminder = "no_reminder",
        /// Nobody knows to whom.
        NoRecipient = "no_recipient",
        /// The wording asks for what is not known.
        NoValue = "no_value",
        /// Filled in, the wording holds what the policy forbids.
        ForbiddenPhrase = "forbidden_phrase",
        /// Filled in, the wording is longer than a message may be.
        TooLong = "too_long",
    }
}

/// The reminders of a policy as they were written down, with the places of their reasons.
pub(super) struct Drafted(Vec<(usize, Arc<str>, ReminderDraft, bool)>);

impl Drafted {
    /// Those of the reasons.
    pub fn of(reasons: &[PauseReasonDraft]) -> Self {
        let drafts = reasons.iter().enumerate().filter_map(|(index, reason)| {
            let draft = reason.reminder.clone()?;
            Some((index, reason.code.as_str().into(), draft, reason.remind_after.is_some()))
        });
        Self(drafts.collect())
    }

    /// Gives each reason its reminder; wording and adapter are the policy's.
    pub fn check(
        self,
        adapters: &BTreeMap<String, ChannelAdapter>,
        known: &Known<'_>,
        faults: &mut Faults,
    ) -> Vec<(Arc<str>, Reminder)> {
        let mut reminders = Vec::new();
        for (index, code, draft, timed) in self.0 {
            let path = format!("pause_reasons[{index}].reminder");
            if !timed {
                faults.add(
                    &path,
                    (
                        "needs `remind_after`, which says when",
                        "须填写 `remind_after` 以说明何时提醒",
                    ),
                );
            }
            let adapter_path = format!("{path}.adapter");
            let adapter =
                automation_check::named(&draft.adapter, None, adapters, &adapter_path, faults);
            let wording_path = format!("{path}.wording");
            let wording = automation_check::wording(draft.wording, &wording_path, known, faults);
            if let Some((adapter, wording)) = adapter.zip(wording) {
                reminders.push((code, Reminder { adapter, wording }));
            }
        }
        reminders
    }
}

/// To whom a reminder of this reason goes, as whoever pauses says; empty leaves it to the ticket.
pub(super) fn recipient(
    reason: &PauseReason,
    asked: Option<String>,
) -> Result<Option<String>, Fault> {
    let Some(asked) = asked.filter(|asked| !asked.is_empty()) else { return Ok(None) };
    let at_field = |fault: Fault| Fault { path: "reminder_recipient".to_owned(), ..fault };
    let Some(reminder) = &reason.reminder else {
        let description =
            ("must be empty: the pause reason has no reminder", "不得填写：该等待原因没有提醒");
        return Err(at_field(Fault::new("", description)));
    };
    check_recipient(reminder.adapter.kind, &asked).map_err(at_field)?;
    Ok(Some(asked))
}

/// What the customer is sent now.
pub(super) fn compose(
    ticket: &Ticket,
    policy: &Policy,
    follow_up: &FollowUp,
) -> Result<Reminded, NotReminded> {
    let reason = policy.pause_reason(&follow_up.reason);
    let reminder = reason.and_then(|reason| reason.reminder.as_ref());
    let reminder = reminder.ok_or(NotReminded::NoReminder)?;
    let known = ticket.outbound.recipients.get(&*reminder.adapter.code);
    let recipient = follow_up.recipient.as_ref().or(known).ok_or(NotReminded::NoRecipient)?;
    let filling = Filling { ticket, policy, customer_name: None };
    let message =
        automate::words(policy, &reminder.wording, filling).map_err(|_| NotReminded::NoValue)?;
    if message.trim().is_empty() {
        return Err(NotReminded::NoValue);
    }
    if message.chars().count() > MAX_MESSAGE {
        return Err(NotReminded::TooLong);
    }
    // The wording itself was checked when the policy was applied; what it is filled in with are the customer's own words.
    if !policy.forbidden_phrases().found_in(&message).is_empty() {
        return Err(NotReminded::ForbiddenPhrase);
    }
    let dispatch = Dispatch { adapter: reminder.adapter.clone(), recipient: recipient.clone() };
    Ok(Reminded { message, dispatch })
}
