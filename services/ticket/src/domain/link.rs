//! What tickets have to do with each other: merges, and parents with their children (T-04).

use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    change::{Change, What},
    command::Command,
    policy::Policy,
    refusal::Refusal,
    step::{Need, Step, StepRefusal},
    story::Story,
    ticket::{State, Ticket},
    timers::{Until, settle},
    word::{Actor, Subject, coded},
};

/// The longest chain of merges.
pub const MAX_CHAIN: u32 = 32;

/// What a ticket has to do with others, beside a merge of its own, which is its state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Links {
    /// The ticket on the common cause, whose answers reach this one too.
    pub parent: Option<Uuid>,
    /// It is or was a parent.
    pub leads: bool,
    /// Those in whose hands the tickets were that were merged into it in this cycle, each once: they judge it no more than
    /// whoever handled it itself (T-13). They stay when a merge is undone: what they did of the matter they did.
    pub handlers: Vec<Subject>,
}

/// That it is merged. Both keep their histories.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged {
    /// Into which.
    pub into: Uuid,
    /// Why.
    pub reason: String,
    /// By whom.
    pub by: Subject,
    /// When.
    pub at: Timestamp,
    /// Where it stood, and stands again if the merge is undone: open or waiting.
    pub was: State,
}

/// A promise of a merged ticket that binds the survivor, as an entry of the survivor's ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenPromise {
    /// The rule.
    pub rule: Arc<str>,
    /// The cycle.
    pub cycle: u32,
    /// The round.
    pub round: u32,
    /// The rule and round of the survivor's promise in whose place it came: its own, or one that came with another ticket.
    pub replaced: Option<(Arc<str>, u32)>,
}

/// What can happen between two tickets, as it stands on record with one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkChange {
    /// It was merged.
    Merged {
        /// Into which.
        into: Uuid,
        /// Why.
        reason: String,
    },
    /// That was undone.
    Unmerged {
        /// Into which it had been.
        from: Uuid,
        /// Why.
        reason: String,
        /// When it has to be looked at what the registration lacks (T-19).
        fields_due: Option<Timestamp>,
    },
    /// Another one was merged into it.
    Taken {
        /// Which.
        source: Uuid,
        /// Its number.
        number: String,
        /// What of its promises binds this one now.
        promises: Vec<TakenPromise>,
        /// In whose hands it was.
        handlers: Vec<Subject>,
    },
    /// That was undone.
    Returned {
        /// Which.
        source: Uuid,
        /// The message that never left and is shown there again (T-14).
        message: Option<Uuid>,
    },
    /// It was put under a parent.
    Linked {
        /// Which.
        parent: Uuid,
        /// So many answers had been given there before.
        missed: u32,
    },
    /// It is under its parent no more.
    Unlinked {
        /// Which.
        parent: Uuid,
        /// Why.
        reason: String,
    },
    /// It has its first child.
    Leads,
}

impl LinkChange {
    /// What was done, as the journal names it.
    #[must_use]
    pub const fn action(&self) -> &'static str {
        match self {
            Self::Merged { .. } => "MergeTicket",
            Self::Unmerged { .. } => "UnmergeTicket",
            Self::Taken { .. } => "TakeDuplicate",
            Self::Returned { .. } => "ReturnDuplicate",
            Self::Linked { .. } => "LinkTicket",
            Self::Unlinked { .. } => "UnlinkTicket",
            Self::Leads => "LeadChildren",
        }
    }
}

/// Takes a change. Total, like [`apply`](super::apply).
pub(super) fn apply(ticket: &mut Ticket, change: &LinkChange, actor: &Actor, at: Timestamp) {
    match change {
        LinkChange::Merged { into, reason } => {
            let was = ticket.state.clone();
            let (into, reason, by) = (*into, reason.clone(), actor.subject());
            ticket.state = State::Merged(Box::new(Merged { into, reason, by, at, was }));
            ticket.handling.fields_due = None;
        }
        LinkChange::Unmerged { fields_due, .. } => {
            if let State::Merged(merged) = &ticket.state {
                ticket.state = merged.was.clone();
                ticket.handling.fields_due = *fields_due;
            }
        }
        LinkChange::Taken { handlers, .. } => {
            for staff in handlers {
                if !ticket.links.handlers.contains(staff) {
                    ticket.links.handlers.push(staff.clone());
                }
            }
        }
        LinkChange::Returned { message, .. } => {
            let shown = ticket.outbound.undelivered.as_ref().map(|lost| lost.message);
            if message.is_some() && *message == shown {
                ticket.outbound.undelivered = None;
            }
        }
        LinkChange::Linked { parent, .. } => ticket.links.parent = Some(*parent),
        LinkChange::Unlinked { .. } => ticket.links.parent = None,
        LinkChange::Leads => ticket.links.leads = true,
    }
}

/// What becomes of a command to a merged ticket: refused, unless nobody asked for it. Its clocks rest, and a survey about it
/// comes too late. What becomes of a message on its way moves no clock and is noted before, see [`spoken`](super::spoken).
pub(super) fn at_survivor(merged: &Merged, command: &Command) -> Result<Vec<Change>, Refusal> {
    match command {
        Command::FireTimers | Command::TakeSurveyVerdict { .. } => Ok(Vec::new()),
        command => Err(Refusal::Merged { command: command.name(), into: merged.into }),
    }
}

/// Something else that is under way and would be left behind. Whoever stores it looks it up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocker {
    /// Work orders that run.
    WorkOrders,
    /// It has children.
    Children,
}

const OPEN_CHILD: Need =
    Need::new("open_child", "the child must not have ended", "下级工单须尚未结束");
const OPEN_PARENT: Need = Need::new(
    "open_parent",
    "the parent must not be closed, cancelled or merged",
    "上级工单不得已关闭、取消或合并",
);
const UNLINKED: Need = Need::new(
    "unlinked",
    "the ticket is under a parent already: unlink it first",
    "工单已有上级工单，须先解除关联",
);
const PARENT_IS_NO_CHILD: Need = Need::new(
    "parent_is_no_child",
    "the parent is under a parent itself: link to that one, there is one level only",
    "上级工单本身已有上级：请关联到其上级，只允许一级",
);
const CHILD_IS_NO_PARENT: Need = Need::new(
    "child_is_no_parent",
    "the ticket has children of its own, and there is one level only",
    "该工单自身有下级工单，只允许一级",
);
const LINKED: Need = Need::new("linked", "the ticket is under no parent", "工单没有上级工单");

/// Puts a ticket under a parent, after so many answers there: the changes of the child, and those of the parent.
///
/// # Errors
/// Everything that is missing.
pub fn link(
    (child, policy): (&Ticket, &Policy),
    (parent, parent_policy): (&Ticket, &Policy),
    blockers: &[Blocker],
    missed: u32,
    actor: &Actor,
    now: Timestamp,
) -> Result<(Vec<Change>, Vec<Change>), StepRefusal> {
    let mut missing = Vec::new();
    let mut need = |lacks: bool, need: Need| {
        if lacks {
            missing.push(need);
        }
    };
    need(child.state.is_final(), OPEN_CHILD);
    need(parent.state.is_final(), OPEN_PARENT);
    need(child.links.parent.is_some(), UNLINKED);
    need(parent.links.parent.is_some(), PARENT_IS_NO_CHILD);
    need(blockers.contains(&Blocker::Children), CHILD_IS_NO_PARENT);
    let step = Step { subject: "ticket", state: child.state.name().code(), command: "LinkTicket" };
    if !missing.is_empty() {
        return step.all_missing(missing);
    }
    let mut story = Story::new(child, policy, actor, now);
    let now = story.now;
    settle(&mut story, Until::At(now));
    record(&mut story, LinkChange::Linked { parent: parent.id, missed });
    let mut leading = Story::new(parent, parent_policy, actor, now);
    if !parent.links.leads {
        let now = leading.now;
        settle(&mut leading, Until::At(now));
        record(&mut leading, LinkChange::Leads);
    }
    Ok((story.changes, leading.changes))
}

/// Takes a ticket from under its parent, whatever became of both.
///
/// # Errors
/// If it is under none.
pub fn unlink(
    child: &Ticket,
    policy: &Policy,
    reason: String,
    actor: &Actor,
    now: Timestamp,
) -> Result<Vec<Change>, StepRefusal> {
    let step =
        Step { subject: "ticket", state: child.state.name().code(), command: "UnlinkTicket" };
    let Some(parent) = child.links.parent else { return step.missing(LINKED) };
    let mut story = Story::new(child, policy, actor, now);
    let now = story.now;
    settle(&mut story, Until::At(now));
    record(&mut story, LinkChange::Unlinked { parent, reason });
    Ok(story.changes)
}

fn record(story: &mut Story<'_>, change: LinkChange) {
    story.record(What::Link(Box::new(change)), Vec::new());
}

coded! {
    /// What goes from a parent to its children.
    MassPurpose {
        /// An answer on the way.
        Answer = "answer",
        /// The result.
        Result = "result",
        /// A solution.
        Solution = "solution",
    }
}

coded! {
    /// What became of it on one child.
    MassOutcome {
        /// It is on record there.
        Reached = "reached",
        /// The child had ended.
        Ended = "ended",
        /// Nobody knows where its customer is reached.
        NoRecipient = "no_recipient",
        /// Its state or policy does not allow it.
        Refused = "refused",
        /// A solution about which somebody decides.
        Offered = "offered",
        /// The child cannot be worked on.
        Failed = "failed",
    }
}
