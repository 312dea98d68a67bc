//! Attempts to reach the customer, transfer, handling forms, executive review, plan, meetings and findings: what a command
//! does, or why not (T-09 to T-13).

use jiff::Timestamp;

use super::{
    assign, authority,
    change::What,
    content_rules,
    decide::{allow, refuse, solve, text_faults},
    delivery::Route,
    handling::{Agreement, Attempt, ExecutiveOutcome, HandlingChange, MOST_ATTEMPTS, PlanItem},
    handling_command::HandlingCommand,
    message_template::{Filling, Variable},
    policy::Policy,
    process_follow,
    refusal::{Missing, Refusal},
    reopen,
    story::Story,
    supervision,
    ticket::{Open, State, Ticket},
    timers::{Until, settle},
    transfer::{Receiving, Transfer},
    word::{Channel, Fault, Text, Words},
};

/// The most items of a plan.
const MOST_ITEMS: usize = 50;
/// The most plans, transfers or supervisions of one ticket.
pub(super) const MOST: u32 = 1_000;
/// The situation of the wording that tells the customer who has the ticket.
const TRANSFERRED: &str = "transferred";

pub(super) fn decide(
    story: &mut Story<'_>,
    command: HandlingCommand,
    overriding: bool,
) -> Result<(), Refusal> {
    let name = command.name();
    match command {
        HandlingCommand::RecordAttempt { channel, at, reached, note } => {
            attempt(story, name, Tried { channel, at, reached, note })
        }
        HandlingCommand::Close { reason } => close(story, name, reason),
        HandlingCommand::Reopen { reason, dissatisfied } => {
            reopen::reopen(story, name, reason, dissatisfied)
        }
        HandlingCommand::Transfer { to, team, note } => send(story, name, to, team, note),
        HandlingCommand::AcceptTransfer { message, route, receiving } => {
            accept(story, name, message, receiving, (overriding, route))
        }
        HandlingCommand::ReturnTransfer { reason } => {
            take_back(story, name, reason, |transfer, reason| HandlingChange::Returned {
                transfer,
                reason,
            })
        }
        HandlingCommand::WithdrawTransfer { reason } => {
            take_back(story, name, reason, |transfer, reason| HandlingChange::Withdrawn {
                transfer,
                reason,
            })
        }
        HandlingCommand::CompleteForm { form, opinion, decision } => {
            complete_form(story, name, form, opinion, decision)
        }
        HandlingCommand::DecideReview { decision, outcome } => {
            decide_review(story, name, decision, outcome)
        }
        HandlingCommand::SetPlan { items, agreement } => set_plan(story, name, items, agreement),
        HandlingCommand::AgreePlan { how, at } => agree(story, name, how, at),
        HandlingCommand::CompleteItem { item } => complete_item(story, name, item),
        HandlingCommand::RecordMeeting { at, participants, decisions } => {
            let mut faults = text_faults("meeting.decisions", &decisions);
            past(story, "meeting.meet_time", at, &mut faults);
            if participants.is_empty() {
                faults.push(Fault::new(
                    "meeting.participants",
                    ("must name somebody", "至少指定一人"),
                ));
            }
            note(story, name, faults, HandlingChange::Met { at, participants, decisions })
        }
        HandlingCommand::RecordFinding { finding } => {
            let faults = text_faults("finding.finding", &finding);
            note(story, name, faults, HandlingChange::Found { finding })
        }
        command => supervision::decide(story, name, command),
    }
}

/// Everything that a resolution lacks beside a solution: a decision of the executives, the receiver of a transfer, a plan,
/// a filled in form, the authority of the level.
pub(super) fn may_resolve(story: &Story<'_>, command: &'static str) -> Result<(), Refusal> {
    let Story { ticket, policy, .. } = story;
    let rules = &policy.handling;
    let mut missing = Vec::new();
    if in_review(&ticket.state) {
        missing.push(Missing::ExecutiveDecision);
    }
    if ticket.handling.transfer.is_some() {
        missing.push(Missing::TransferEnded);
    }
    if let Some(rule) = rules.plan.as_ref().filter(|rule| rule.covers(ticket.severity)) {
        match &ticket.handling.plan {
            None => missing.push(Missing::Plan),
            Some(plan) if rule.agreement && plan.agreement.is_none() => {
                missing.push(Missing::PlanAgreement);
            }
            Some(_) => {}
        }
    }
    let latest = u32::try_from(ticket.escalations.len()).unwrap_or(u32::MAX);
    if rules.form_required && latest > 0 && !ticket.handling.forms.contains(&latest) {
        missing.push(Missing::HandlingForm);
    }
    if let Some(refusal) = authority::beyond(ticket, policy, command, &missing) {
        return Err(refusal);
    }
    allow(story, command, &missing)
}

/// What cannot be done while the ticket waits for its receiver.
pub(super) fn not_on_its_way(story: &Story<'_>, command: &'static str) -> Result<(), Refusal> {
    let pending = story.ticket.handling.transfer.is_some();
    allow(story, command, if pending { &[Missing::TransferEnded] } else { &[] })
}

fn in_review(state: &State) -> bool {
    matches!(
        state,
        State::Open(Open::ExecutiveReview { .. })
            | State::Waiting { resume_to: Open::ExecutiveReview { .. }, .. }
    )
}

fn not_ended(story: &Story<'_>, command: &'static str) -> Result<(), Refusal> {
    let ended = story.ticket.state.is_final();
    allow(story, command, if ended { &[Missing::NotEnded] } else { &[] })
}

fn past(story: &Story<'_>, field: &str, at: Timestamp, faults: &mut Vec<Fault>) {
    let now = story.now;
    if at > now {
        faults.push(Fault::new(field, Words::ahead(now)));
    }
}

fn record(story: &mut Story<'_>, change: HandlingChange) {
    story.record(What::Handling(Box::new(change)), Vec::new());
}

/// Puts on record what moves nothing.
fn note(
    story: &mut Story<'_>,
    command: &'static str,
    faults: Vec<Fault>,
    change: HandlingChange,
) -> Result<(), Refusal> {
    not_ended(story, command)?;
    refuse(faults)?;
    settle(story, Until::At(story.now));
    record(story, change);
    Ok(())
}

struct Tried {
    channel: Channel,
    at: Option<Timestamp>,
    reached: bool,
    note: String,
}

/// An attempt counts if it failed after the result was told and was made by nobody who handled the ticket in this cycle:
/// whoever may not enter the verdict asks for none.
fn attempt(story: &mut Story<'_>, command: &'static str, tried: Tried) -> Result<(), Refusal> {
    not_ended(story, command)?;
    let Tried { channel, at, reached, note } = tried;
    let at = at.unwrap_or(story.now);
    let mut faults = text_faults("attempt.note", &note);
    past(story, "attempt.attempt_time", at, &mut faults);
    let began = story.ticket.created_at;
    if at < began {
        let english = format!("must not be before {began}, when the ticket was registered");
        let words = (english, format!("不得早于工单登记时间 {began}"));
        faults.push(Fault::new("attempt.attempt_time", words));
    }
    refuse(faults)?;
    settle(story, Until::At(story.now));
    let asked = match &story.ticket.state {
        State::ResultFedBack { at: told, .. } => at >= *told,
        _ => false,
    };
    let handled = story.ticket.is_in_hands_of(&story.actor.subject());
    // By the rule, so that many calls in one hour leave room for those of the next days.
    let mut with = story.ticket.clone();
    with.handling.attempts.push(at);
    with.handling.attempts.sort_unstable();
    let counted = |ticket: &Ticket| authority::counted(ticket, story.policy).0;
    let counted = counted(&with) > counted(&story.ticket);
    let kept = story.ticket.handling.attempts.len() < MOST_ATTEMPTS;
    let counts = asked && !reached && !handled && counted && kept;
    let asks = asked && reached && !handled;
    record(story, HandlingChange::Attempted(Attempt { channel, at, reached, note, counts, asks }));
    Ok(())
}

/// No close without a verdict or documented failures to reach the customer.
fn close(story: &mut Story<'_>, command: &'static str, reason: String) -> Result<(), Refusal> {
    let missing: &[Missing] = match story.ticket.state {
        State::ResultFedBack { .. } => &[],
        State::Resolved(_) => &[Missing::ResultFedBack],
        State::Open(_) | State::Waiting { .. } => &[Missing::Solution, Missing::ResultFedBack],
        State::Closed { .. } | State::Cancelled { .. } | State::Merged(_) => &[Missing::NotEnded],
    };
    allow(story, command, missing)?;
    let staff = story.actor.subject();
    let state = story.ticket.state.name();
    if story.ticket.is_in_hands_of(&staff) {
        return Err(Refusal::SeparationOfDuties { state, command, staff });
    }
    refuse(text_faults("reason", &reason))?;
    let needed = story.policy.handling.attempts.failed;
    let (made, next_from) = authority::counted(&story.ticket, story.policy);
    if made < needed {
        let more = needed - made;
        return Err(Refusal::Attempts { state, command, more, next_from });
    }
    process_follow::none_runs(story, command)?;
    settle(story, Until::Before(story.now));
    let mut clocks = Vec::new();
    story.cancel_rest(&mut clocks);
    // What no calendar reaches is not promised.
    let reopen_until = reopen::until(story.policy, story.now).ok().flatten();
    let change = HandlingChange::ClosedUnreached { reason, reopen_until };
    story.record(What::Handling(Box::new(change)), clocks);
    Ok(())
}

fn send(
    story: &mut Story<'_>,
    command: &'static str,
    to: Option<String>,
    team: Option<String>,
    note: String,
) -> Result<(), Refusal> {
    let mut missing = match story.ticket.state {
        State::Open(_) | State::Waiting { .. } | State::Resolved(_) => Vec::new(),
        State::ResultFedBack { .. } => vec![Missing::ResultNotFedBackYet],
        State::Closed { .. } | State::Cancelled { .. } | State::Merged(_) => {
            vec![Missing::NotEnded]
        }
    };
    if in_review(&story.ticket.state) {
        missing.push(Missing::ExecutiveDecision);
    }
    if story.ticket.handling.transfer.is_some() {
        missing.push(Missing::TransferEnded);
    }
    allow(story, command, &missing)?;
    let mut faults = text_faults("handover_note", &note);
    let from = story.ticket.org_unit.clone();
    let to = to.unwrap_or_else(|| from.clone());
    let team = team.filter(|team| !team.is_empty());
    if to == from && team.is_none() {
        let description = (
            "must be another org unit, or to_team another team",
            "须为另一组织单元，或 to_team 为另一团队",
        );
        faults.push(Fault::new("to_org_unit", description));
    }
    if story.ticket.handling.transfers >= MOST {
        let english = format!("was transferred {MOST} times already");
        faults.push(Fault::new("name", (english, format!("已转办 {MOST} 次"))));
    }
    refuse(faults)?;
    settle(story, Until::At(story.now));
    let number = story.ticket.handling.transfers + 1;
    let by = story.actor.subject();
    let transfer = Transfer { number, from, to, team, note, by, at: story.now };
    record(story, HandlingChange::Sent(transfer));
    Ok(())
}

fn pending(story: &Story<'_>, command: &'static str) -> Result<Transfer, Refusal> {
    let ended = story.ticket.state.is_final();
    let transfer = story.ticket.handling.transfer.clone();
    let missing = if ended { Missing::NotEnded } else { Missing::PendingTransfer };
    match transfer {
        Some(transfer) => Ok(transfer),
        None => Err(Refusal::IllegalState {
            state: story.ticket.state.name(),
            command,
            missing: vec![missing],
        }),
    }
}

/// The customer is told who has it now. That is no answer: no clock stops for it (T-11).
fn accept(
    story: &mut Story<'_>,
    command: &'static str,
    message: Option<String>,
    receiving: Receiving,
    (overriding, route): (bool, Option<Route>),
) -> Result<(), Refusal> {
    let transfer = pending(story, command)?;
    let own = transfer.by == story.actor.subject();
    allow(story, command, if own { &[Missing::OtherReceiver] } else { &[] })?;
    settle(story, Until::At(story.now));
    let mut faults = Vec::new();
    let message = match message.filter(|message| !message.trim().is_empty()) {
        Some(message) => Some(message),
        None => match wording(story, receiving.customer_name.as_deref()) {
            Err(Refusal::Fields(found)) => {
                faults.extend(found);
                None
            }
            other => Some(other?),
        },
    };
    let phrases = story.policy.forbidden_phrases();
    let judged = phrases.judge("message", message.as_deref().unwrap_or_default(), overriding);
    let overridden = judged.unwrap_or_else(|found| {
        faults.extend(found);
        Vec::new()
    });
    let dispatch = route.and_then(|route| route.resolve(story.policy, &mut faults));
    refuse(faults)?;
    let message = message.unwrap_or_default();
    record(story, HandlingChange::Accepted { transfer, message, overridden, dispatch });
    if let Some(team) = receiving.team {
        assign::receive(story, team, receiving.may_own);
    }
    Ok(())
}

/// Whether the policy's wording that tells the customer who has a ticket now asks for the customer's name.
#[must_use]
pub fn transfer_names_customer(policy: &Policy) -> bool {
    let template = policy.message_template(TRANSFERRED);
    template.is_some_and(|template| template.mentions(Variable::CustomerName))
}

/// The policy's wording, in Chinese where it has both.
fn wording(story: &Story<'_>, customer_name: Option<&str>) -> Result<String, Refusal> {
    let needed = |why: &str, chinese: &str| {
        let words = (format!("is required: {why}"), format!("必填：{chinese}"));
        Refusal::Fields(vec![Fault::new("message", words)])
    };
    let template = story.policy.message_template(TRANSFERRED);
    let template = template.ok_or_else(|| {
        needed("the policy has no wording for `transferred`", "制度中没有 `transferred` 场景的话术")
    })?;
    let filling = Filling { ticket: &story.ticket, policy: story.policy, customer_name };
    let rendered = template.render(filling);
    let Text { en, zh } = rendered.map_err(|_| {
        let why = "the wording for `transferred` asks for what is not known here";
        needed(why, "`transferred` 场景的话术所需的内容在此未知")
    })?;
    Ok(if zh.trim().is_empty() { en } else { zh })
}

fn take_back(
    story: &mut Story<'_>,
    command: &'static str,
    reason: String,
    change: fn(Transfer, String) -> HandlingChange,
) -> Result<(), Refusal> {
    let transfer = pending(story, command)?;
    refuse(text_faults("reason", &reason))?;
    settle(story, Until::At(story.now));
    record(story, change(transfer, reason));
    Ok(())
}

fn complete_form(
    story: &mut Story<'_>,
    command: &'static str,
    form: u32,
    opinion: String,
    decision: String,
) -> Result<(), Refusal> {
    not_ended(story, command)?;
    let mut faults = text_faults("form.opinion", &opinion);
    faults.extend(text_faults("form.decision", &decision));
    settle(story, Until::At(story.now));
    let latest = u32::try_from(story.ticket.escalations.len()).unwrap_or(u32::MAX);
    let form = if form == 0 { latest } else { form };
    if latest == 0 {
        return allow(story, command, &[Missing::Escalation]);
    }
    if form > latest {
        let words = (
            format!("must be 0 to {latest}, the latest"),
            format!("须为 0 至 {latest}（最新一张）"),
        );
        faults.push(Fault::new("form.form", words));
    }
    refuse(faults)?;
    let filled = story.ticket.handling.forms.contains(&form);
    allow(story, command, if filled { &[Missing::EmptyForm] } else { &[] })?;
    record(story, HandlingChange::FormCompleted { form, opinion, decision });
    Ok(())
}

fn decide_review(
    story: &mut Story<'_>,
    command: &'static str,
    decision: String,
    outcome: ExecutiveOutcome,
) -> Result<(), Refusal> {
    let missing: &[Missing] = match story.ticket.state {
        State::Open(Open::ExecutiveReview { .. }) => &[],
        State::Waiting { resume_to: Open::ExecutiveReview { .. }, .. } => &[Missing::NotWaiting],
        State::Closed { .. } | State::Cancelled { .. } | State::Merged(_) => &[Missing::NotEnded],
        _ => &[Missing::ExecutiveReview],
    };
    allow(story, command, missing)?;
    refuse(text_faults("decision.decision", &decision))?;
    if outcome == ExecutiveOutcome::Solution {
        content_rules::may_resolve(story, command)?;
        process_follow::none_runs(story, command)?;
    }
    settle(story, Until::Before(story.now));
    let solution = decision.clone();
    record(story, HandlingChange::ExecutivesDecided { decision, outcome });
    match outcome {
        ExecutiveOutcome::Handle => Ok(()),
        ExecutiveOutcome::Solution => solve(story, solution),
    }
}

fn set_plan(
    story: &mut Story<'_>,
    command: &'static str,
    items: Vec<PlanItem>,
    agreement: Option<(String, Option<Timestamp>)>,
) -> Result<(), Refusal> {
    not_ended(story, command)?;
    let mut faults = Vec::new();
    if !(1..=MOST_ITEMS).contains(&items.len()) {
        let has = items.len();
        let english = format!("must have 1 to {MOST_ITEMS} entries, has {has}");
        faults.push(Fault::new(
            "items",
            (english, format!("须有 1 至 {MOST_ITEMS} 项，现有 {has} 项")),
        ));
    }
    let now = story.now;
    for (index, item) in items.iter().enumerate() {
        let path = format!("items[{index}]");
        faults.extend(text_faults(&format!("{path}.who"), &item.who));
        faults.extend(text_faults(&format!("{path}.what"), &item.what));
        if item.due <= now {
            faults.push(Fault::new(format!("{path}.due_time"), Words::not_ahead(now)));
        }
    }
    let agreement = agreement.map(|(how, at)| agreed(story, how, at, &mut faults));
    let version = story.ticket.handling.plan.as_ref().map_or(1, |plan| plan.version + 1);
    if version > MOST {
        let words = (format!("has had {MOST} plans already"), format!("已有过 {MOST} 份计划"));
        faults.push(Fault::new("name", words));
    }
    refuse(faults)?;
    settle(story, Until::At(now));
    record(story, HandlingChange::Planned { version, items, agreement });
    Ok(())
}

fn agreed(
    story: &Story<'_>,
    how: String,
    at: Option<Timestamp>,
    faults: &mut Vec<Fault>,
) -> Agreement {
    let at = at.unwrap_or(story.now);
    faults.extend(text_faults("agreement.how", &how));
    past(story, "agreement.agree_time", at, faults);
    Agreement { how, at }
}

fn agree(
    story: &mut Story<'_>,
    command: &'static str,
    how: String,
    at: Option<Timestamp>,
) -> Result<(), Refusal> {
    not_ended(story, command)?;
    let missing: &[Missing] = match &story.ticket.handling.plan {
        None => &[Missing::Plan],
        Some(plan) if plan.agreement.is_some() => &[Missing::UnagreedPlan],
        Some(_) => &[],
    };
    allow(story, command, missing)?;
    let mut faults = Vec::new();
    let agreement = agreed(story, how, at, &mut faults);
    refuse(faults)?;
    settle(story, Until::At(story.now));
    record(story, HandlingChange::PlanAgreed(agreement));
    Ok(())
}

fn complete_item(story: &mut Story<'_>, command: &'static str, item: u32) -> Result<(), Refusal> {
    not_ended(story, command)?;
    let Some(plan) = &story.ticket.handling.plan else {
        return allow(story, command, &[Missing::Plan]);
    };
    let place = usize::try_from(item).unwrap_or_default().checked_sub(1);
    let Some(done) = place.and_then(|place| plan.done.get(place)) else {
        let last = plan.done.len();
        let words = (format!("must be 1 to {last}"), format!("须为 1 至 {last}"));
        return Err(Refusal::Fields(vec![Fault::new("item", words)]));
    };
    allow(story, command, if done.is_some() { &[Missing::OpenItem] } else { &[] })?;
    settle(story, Until::At(story.now));
    record(story, HandlingChange::ItemDone { item });
    Ok(())
}
