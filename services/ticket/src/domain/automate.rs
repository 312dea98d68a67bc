//! What the steps of a trigger or a macro do to a ticket: all of them or none (T-26).

use jiff::Timestamp;

use super::{
    addressee::{Addressee, NoticeTo},
    automation::{AutoStep, Tongue, Wording},
    change::{Change, apply},
    command::Command,
    decide::decide,
    delivery::{ChannelAdapter, Route},
    message_template::Filling,
    policy::Policy,
    refusal::Refusal,
    reroute::Placed,
    ticket::Ticket,
    trigger_event::EventTold,
    word::{Actor, Fault},
};

/// Who has steps done, and what they need to know.
#[derive(Clone, Copy, Debug)]
pub struct Doing<'a> {
    /// Who.
    pub actor: &'a Actor,
    /// Whether he may decide what a manager decides (T-12).
    pub by_manager: bool,
    /// When.
    pub now: Timestamp,
    /// The registered customer's name as far as known.
    pub customer_name: Option<&'a str>,
    /// How what is said to the customer is sent.
    pub route: Option<&'a Route>,
    /// Where the step that assigns it sends it; none where there is no such step.
    pub placed: Option<&'a Placed>,
    /// What the event says, where they are done after one.
    pub occurred: Option<&'a EventTold>,
}

/// What steps come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Automated {
    /// The changes of the ticket, in order.
    pub changes: Vec<Change>,
    /// What leaves this system beside messages to the customer.
    pub outgoing: Vec<Outgoing>,
}

/// Something for others than the customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outgoing {
    /// A notice to staff.
    Notice {
        /// The way.
        adapter: ChannelAdapter,
        /// To whom.
        to: Addressee,
        /// What is said.
        text: String,
    },
    /// An event for another system.
    Event(ChannelAdapter),
}

/// Does the steps in their order, each on what the one before it left.
///
/// # Errors
/// The first step that the ticket does not allow, by its index, and why; then nothing was done.
pub fn automate(
    ticket: &Ticket,
    policy: &Policy,
    steps: &[AutoStep],
    doing: Doing<'_>,
) -> Result<Automated, (usize, Refusal)> {
    let mut done = Automated::default();
    let mut present = ticket.clone();
    for (index, step) in steps.iter().enumerate() {
        let at = |refusal| (index, refusal);
        let text = |wording: &Wording| {
            let filling = Filling { ticket: &present, policy, customer_name: doing.customer_name };
            words(policy, wording, filling)
        };
        let said = |command: Command| match doing.route {
            Some(route) => Command::Send { command: Box::new(command), route: route.clone() },
            None => command,
        };
        let command = match step {
            AutoStep::AddTags(tags) => Command::Tag { add: tags.clone(), remove: Vec::new() },
            AutoStep::RaisePriority(to) => Command::RaisePriority { to: *to },
            AutoStep::Escalate(reason) => {
                Command::Escalate { reason: reason.clone(), by_manager: doing.by_manager }
            }
            AutoStep::AddNote(note) => Command::AddNote { note: note.clone() },
            AutoStep::Respond(wording) => {
                said(Command::Respond { message: text(wording).map_err(at)?, sent_at: None })
            }
            AutoStep::FeedBack(wording) => {
                said(Command::FeedBack { message: text(wording).map_err(at)?, sent_at: None })
            }
            AutoStep::Resolve(wording) => Command::Resolve { solution: text(wording).map_err(at)? },
            AutoStep::Pause { code, reason } => {
                let (reason, code) = (reason.clone(), code.clone());
                Command::Pause { reason, code, recipient: None }
            }
            AutoStep::Assign(_) => {
                let placed = doing.placed.cloned();
                let placed = placed.unwrap_or(Placed { assignment: None, priority: None });
                let assignment = placed.assignment.ok_or_else(no_team).map_err(at)?;
                if let Some(to) = placed.priority {
                    let command = Command::RaisePriority { to };
                    let changes = decide(&present, policy, command, doing.actor, doing.now);
                    let changes = changes.map_err(at)?;
                    changes.iter().for_each(|change| apply(&mut present, change));
                    done.changes.extend(changes);
                }
                Command::Assign(assignment)
            }
            AutoStep::Notify { adapter, to, wording } => {
                let text = text(wording).map_err(at)?;
                let to = addressee(to, (&present, policy), doing.occurred);
                done.outgoing.push(Outgoing::Notice { adapter: adapter.clone(), to, text });
                continue;
            }
            AutoStep::CallWebhook(adapter) => {
                done.outgoing.push(Outgoing::Event(adapter.clone()));
                continue;
            }
        };
        let changes = decide(&present, policy, command, doing.actor, doing.now).map_err(at)?;
        changes.iter().for_each(|change| apply(&mut present, change));
        done.changes.extend(changes);
    }
    Ok(done)
}

/// Who that is now.
fn addressee(
    to: &NoticeTo,
    (ticket, policy): (&Ticket, &Policy),
    occurred: Option<&EventTold>,
) -> Addressee {
    let told_level = occurred.and_then(|occurred| occurred.told_level);
    let transfer = occurred.and_then(|occurred| occurred.transfer.as_ref());
    let level = |level, org_unit: &str| Addressee::Level { level, org_unit: org_unit.to_owned() };
    match to {
        NoticeTo::List(name) => Addressee::List(name.clone()),
        NoticeTo::Owner => Addressee::Staff(ticket.responsible().clone()),
        NoticeTo::FirstContactOwner => Addressee::Staff(ticket.first_contact_owner.clone()),
        NoticeTo::ReceiverLevel => {
            level(told_level.unwrap_or(ticket.receiver_level), &ticket.org_unit)
        }
        NoticeTo::Headquarters => {
            let (whole, _) = ticket.org_unit.split_once('/').unwrap_or((&ticket.org_unit, ""));
            level(policy.top_level(), whole)
        }
        // The policy names them after events of a transfer only, which say so.
        NoticeTo::TransferReceiver => {
            let to = transfer.map_or(&*ticket.org_unit, |transfer| &*transfer.to);
            level(ticket.receiver_level, to)
        }
        NoticeTo::TransferSender => {
            let by = transfer.map_or_else(|| ticket.responsible(), |transfer| &transfer.by);
            Addressee::Staff(by.clone())
        }
    }
}

/// A wording of the policy, filled in.
pub(super) fn words(
    policy: &Policy,
    wording: &Wording,
    filling: Filling<'_>,
) -> Result<String, Refusal> {
    // Checked when the policy was applied.
    let template = policy.message_template(&wording.situation);
    let text = template.map(|template| template.render(filling)).transpose()?.unwrap_or_default();
    Ok(match wording.tongue {
        Tongue::English => text.en,
        Tongue::Chinese => text.zh,
    })
}

fn no_team() -> Refusal {
    let words = (
        "neither the step nor a rule of the policy gives it to a team that serves its org unit",
        "制度未将该工单分派给服务于其组织单元的团队",
    );
    Refusal::Fields(vec![Fault { reason: "UNKNOWN_TEAM", ..Fault::new("assign", words) }])
}
