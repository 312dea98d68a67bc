//! What is said to the customer, and what became of it: messages that a change makes, whom they reach, and those that never
//! left (T-14).

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    change::{Change, What},
    delivery::{DeliveryState, Dispatch},
    handling::HandlingChange,
    policy::Policy,
    story::Story,
    ticket::Ticket,
    timers::{Until, settle},
    word::{Actor, MessagePurpose},
};

/// A message that a change makes.
#[derive(Clone, Copy, Debug)]
pub struct Spoken<'a> {
    /// What it is for.
    pub purpose: MessagePurpose,
    /// What is said.
    pub message: &'a str,
    /// The forbidden phrases that it is said in spite of (T-14).
    pub overridden: &'a [Arc<str>],
    /// How it is sent; none where somebody says it.
    pub dispatch: Option<&'a Dispatch>,
    /// When it counts as said.
    pub at: Timestamp,
}

impl Change {
    /// What it says to the customer.
    #[must_use]
    pub fn spoken(&self) -> Option<Spoken<'_>> {
        // What this system sends is said when it is put in the outbox, also where it answers as of when it was said on a parent.
        let said_at =
            |dispatch: Option<&Dispatch>, at| if dispatch.is_some() { self.at } else { at };
        let spoken = |purpose, message, overridden, dispatch| Spoken {
            purpose,
            message,
            overridden,
            dispatch,
            at: said_at(dispatch, self.effective_at),
        };
        match &self.what {
            What::Responded { message, overridden, dispatch, .. } => {
                Some(spoken(MessagePurpose::Answer, message, overridden, dispatch.as_ref()))
            }
            What::ResultFedBack { message, sent_at, overridden, dispatch } => Some(Spoken {
                at: said_at(dispatch.as_ref(), *sent_at),
                ..spoken(MessagePurpose::Result, message, overridden, dispatch.as_ref())
            }),
            What::DelayAnnounced { message, overridden, dispatch, .. } => {
                Some(spoken(MessagePurpose::Delay, message, overridden, dispatch.as_ref()))
            }
            // However late the timers came to it: nothing is sent before it is put in the outbox.
            What::ReminderDue { told: Ok(reminder), .. } => Some(Spoken {
                at: self.at,
                ..spoken(MessagePurpose::Reminder, &reminder.message, &[], Some(&reminder.dispatch))
            }),
            What::Handling(change) => match &**change {
                HandlingChange::Accepted { message, overridden, dispatch, .. } => {
                    Some(spoken(MessagePurpose::Answer, message, overridden, dispatch.as_ref()))
                }
                _ => None,
            },
            _ => None,
        }
    }
}

/// What became of what was said to the customer of a ticket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outbound {
    /// The latest message that never left, until the customer hears something.
    pub undelivered: Option<Undelivered>,
    /// To whom the last message went, by the adapter's code; as many as the policy has adapters at most.
    pub recipients: BTreeMap<String, String>,
}

/// A message that never left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undelivered {
    /// Which.
    pub message: Uuid,
    /// The merged ticket on which it was said, instead of which this one is handled (T-04); none for this one.
    pub said_on: Option<Uuid>,
    /// What was to carry it.
    pub delivery: Uuid,
    /// When it counted as said.
    pub sent_at: Timestamp,
    /// When it was given up or cancelled.
    pub failed_at: Timestamp,
    /// Whether a person decided that; else it was given up.
    pub cancelled: bool,
}

impl Outbound {
    /// Takes note of what was said. What a person has said himself, after what never left, the customer has heard.
    pub(super) fn say(&mut self, spoken: Spoken<'_>) {
        match spoken.dispatch {
            Some(Dispatch { adapter, recipient }) => {
                self.recipients.insert(adapter.code.to_string(), recipient.clone());
            }
            None if self.undelivered.as_ref().is_some_and(|lost| spoken.at >= lost.sent_at) => {
                self.undelivered = None;
            }
            None => {}
        }
    }
}

/// What became of the delivery of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeliveryNote {
    /// The message.
    pub message: Uuid,
    /// What carries it.
    pub delivery: Uuid,
    /// When it counted as said.
    pub sent_at: Timestamp,
    /// Where the delivery stands now.
    pub state: DeliveryState,
    /// Whether the customer has heard a later message.
    pub overtaken: bool,
}

/// Marks a ticket whose message never left, or takes the mark away once that or a later one was taken. Moves no clock: an answer
/// counts as of when it was sent (T-07), and that it did not arrive has to be seen.
pub(super) fn note(story: &mut Story<'_>, note: DeliveryNote) {
    settle(story, Until::At(story.now));
    let marked = story.ticket.outbound.undelivered.as_ref();
    let later =
        marked.is_some_and(|lost| (lost.sent_at, lost.message) > (note.sent_at, note.message));
    match note.state {
        DeliveryState::Parked | DeliveryState::Cancelled if !note.overtaken && !later => {
            story.record(
                What::Undelivered(Undelivered {
                    message: note.message,
                    said_on: None,
                    delivery: note.delivery,
                    sent_at: note.sent_at,
                    failed_at: story.now,
                    cancelled: note.state == DeliveryState::Cancelled,
                }),
                Vec::new(),
            );
        }
        DeliveryState::Sent if marked.is_some() && !later => {
            let (message, said_on) = (note.message, None);
            story.record(What::Delivered { message, said_on }, Vec::new());
        }
        _ => {}
    }
}

/// What a ticket shows of a message that was said on another one, `source`, which was merged into it, when `changes` come of that
/// message there: the mark is seen where the matter is handled, and once the message was taken after all it goes from there as
/// well. `overtaken` is whether its customer has heard a later one on this ticket. Moves no clock.
#[must_use]
pub fn follow_mark(
    (ticket, policy): (&Ticket, &Policy),
    source: &Ticket,
    changes: &[Change],
    overtaken: bool,
    (actor, now): (&Actor, Timestamp),
) -> Vec<Change> {
    let mut story = Story::new(ticket, policy, actor, now);
    let said_on = |on: Option<Uuid>| Some(on.unwrap_or(source.id));
    for change in changes {
        match &change.what {
            What::Undelivered(lost) => show(&mut story, source.id, lost, overtaken),
            What::Delivered { message, said_on: on } => {
                let (was, is) = (&source.outbound.undelivered, &story.ticket.outbound.undelivered);
                let both = was.as_ref().zip(is.as_ref());
                if both.is_some_and(|(was, is)| was.message == is.message) {
                    let what = What::Delivered { message: *message, said_on: said_on(*on) };
                    story.record(what, Vec::new());
                }
            }
            _ => {}
        }
    }
    story.changes
}

/// The same when `source` is being merged: the mark that it brings along.
#[must_use]
pub fn bring_mark(
    (ticket, policy): (&Ticket, &Policy),
    source: &Ticket,
    overtaken: bool,
    (actor, now): (&Actor, Timestamp),
) -> Vec<Change> {
    let mut story = Story::new(ticket, policy, actor, now);
    if let Some(lost) = &source.outbound.undelivered {
        show(&mut story, source.id, lost, overtaken);
    }
    story.changes
}

fn show(story: &mut Story<'_>, source: Uuid, lost: &Undelivered, overtaken: bool) {
    let marked = story.ticket.outbound.undelivered.as_ref();
    let later = marked.is_some_and(|own| (own.sent_at, own.message) > (lost.sent_at, lost.message));
    if !overtaken && !later {
        let said_on = Some(lost.said_on.unwrap_or(source));
        story.record(What::Undelivered(Undelivered { said_on, ..lost.clone() }), Vec::new());
    }
}

/// Takes note of a change: who was written to, and what never left or did after all.
pub(super) fn apply(ticket: &mut Ticket, change: &Change) {
    match &change.what {
        What::Undelivered(lost) => ticket.outbound.undelivered = Some(lost.clone()),
        What::Delivered { .. } => ticket.outbound.undelivered = None,
        _ => {
            if let Some(spoken) = change.spoken() {
                ticket.outbound.say(spoken);
            }
        }
    }
}
