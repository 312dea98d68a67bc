//! Supervision by headquarters (督办), and what is reported to it by itself (T-15).

use jiff::Timestamp;

use super::{
    change::What,
    decide::{allow, refuse, text_faults},
    explain,
    handling::{HandlingChange, Supervision},
    handling_command::HandlingCommand,
    handling_decide::MOST,
    policy::Policy,
    refusal::{Missing, Refusal},
    story::Story,
    timers::{Until, settle},
    word::{Actor, Fault, Text, Words},
};

/// Supervision goes on after the ticket has ended, until headquarters ends it.
pub(super) fn decide(
    story: &mut Story<'_>,
    name: &'static str,
    command: HandlingCommand,
) -> Result<(), Refusal> {
    match command {
        HandlingCommand::Supervise { instruction, answer_by } => {
            supervise(story, name, instruction, answer_by)
        }
        HandlingCommand::Urge { text, answer_by, first_contact: true } => {
            push(story, name, text, answer_by)
        }
        HandlingCommand::Urge { text, answer_by, .. } => urge(story, name, text, answer_by),
        HandlingCommand::AnswerSupervision { answer } => {
            // What is answered at the date is in time; and the policy may have asked just before.
            settle(story, Until::Before(story.now));
            let supervision = present(story, name)?;
            let answered = supervision.answered_at.is_some();
            allow(story, name, if answered { &[Missing::OwedAnswer] } else { &[] })?;
            refuse(text_faults("answer", &answer))?;
            record(story, HandlingChange::Answered { answer });
            Ok(())
        }
        HandlingCommand::EndSupervision { conclusion } => {
            settle(story, Until::At(story.now));
            refuse(text_faults("conclusion", &conclusion))?;
            let supervision = present(story, name)?;
            record(story, HandlingChange::SupervisionEnded { supervision, conclusion });
            Ok(())
        }
        // Decided by its own module.
        _ => Ok(()),
    }
}

fn record(story: &mut Story<'_>, change: HandlingChange) {
    story.record(What::Handling(Box::new(change)), Vec::new());
}

fn present(story: &Story<'_>, command: &'static str) -> Result<Supervision, Refusal> {
    let supervision = story.ticket.handling.supervision.clone();
    supervision.ok_or(Refusal::IllegalState {
        state: story.ticket.state.name(),
        command,
        missing: vec![Missing::Supervision],
    })
}

fn supervise(
    story: &mut Story<'_>,
    command: &'static str,
    instruction: String,
    answer_by: Timestamp,
) -> Result<(), Refusal> {
    let ended = story.ticket.state.is_final();
    allow(story, command, if ended { &[Missing::NotEnded] } else { &[] })?;
    // The policy may have begun one just before.
    settle(story, Until::At(story.now));
    let watched = story.ticket.handling.supervision.is_some();
    allow(story, command, if watched { &[Missing::NoSupervision] } else { &[] })?;
    let mut faults = text_faults("instruction", &instruction);
    future(story, answer_by, &mut faults);
    if story.ticket.handling.supervisions >= MOST {
        let english = format!("was supervised {MOST} times already");
        faults.push(Fault::new("name", (english, format!("已督办 {MOST} 次"))));
    }
    refuse(faults)?;
    let by = story.actor.clone();
    let supervision = begun(story, &by, story.now, instruction, answer_by);
    record(story, HandlingChange::Supervised(supervision));
    Ok(())
}

fn future(story: &Story<'_>, at: Timestamp, faults: &mut Vec<Fault>) {
    let now = story.now;
    if at <= now {
        faults.push(Fault::new("answer_due_time", Words::not_ahead(now)));
    }
}

fn begun(
    story: &Story<'_>,
    by: &Actor,
    at: Timestamp,
    instruction: String,
    answer_by: Timestamp,
) -> Supervision {
    Supervision {
        number: story.ticket.handling.supervisions + 1,
        instruction,
        by: by.subject(),
        at,
        answer_by,
        answered_at: None,
        missed_at: None,
        urgings: 0,
    }
}

fn urge(
    story: &mut Story<'_>,
    command: &'static str,
    text: String,
    answer_by: Option<Timestamp>,
) -> Result<(), Refusal> {
    settle(story, Until::At(story.now));
    let supervision = present(story, command)?;
    let mut faults = text_faults("text", &text);
    if let Some(at) = answer_by {
        future(story, at, &mut faults);
    }
    if supervision.urgings >= MOST {
        let english = format!("was urged {MOST} times already");
        faults.push(Fault::new("name", (english, format!("已催办 {MOST} 次"))));
    }
    refuse(faults)?;
    let number = supervision.urgings + 1;
    record(story, HandlingChange::Urged { number, text, answer_by });
    Ok(())
}

/// Whoever was asked first stays answerable for pushing it to the end (T-02): he urges while it is open, whether headquarters
/// watches or not. By when it is answered is not his to say.
fn push(
    story: &mut Story<'_>,
    command: &'static str,
    text: String,
    answer_by: Option<Timestamp>,
) -> Result<(), Refusal> {
    let ended = story.ticket.state.is_final();
    allow(story, command, if ended { &[Missing::NotEnded] } else { &[] })?;
    let mut faults = text_faults("text", &text);
    if answer_by.is_some() {
        let words = (
            "must be empty: only headquarters asks for an answer",
            "不得填写：仅总部可要求限期答复",
        );
        faults.push(Fault::new("answer_due_time", words));
    }
    let urgings = story.ticket.handling.urgings;
    if urgings >= MOST {
        let english = format!("was urged {MOST} times already");
        faults.push(Fault::new("name", (english, format!("已催办 {MOST} 次"))));
    }
    refuse(faults)?;
    settle(story, Until::At(story.now));
    record(story, HandlingChange::Pushed { number: urgings + 1, text });
    Ok(())
}

/// The answer did not come: on record once, as of its date, with the violation that the policy proposes.
pub(super) fn miss(story: &mut Story<'_>, due: Timestamp) {
    let code = story.policy.handling.missed_answer_violation.as_ref();
    let rule = code.and_then(|code| story.policy.violation(code)).cloned();
    let supervision = story.ticket.handling.supervision.as_ref();
    let violation = rule.zip(supervision).map(|(rule, supervision)| {
        let staff = story.ticket.answerable().clone();
        let evidence = evidence(supervision, due, story.policy);
        rule.broken(staff, evidence, due, story.ticket.policy_version)
    });
    let change = HandlingChange::AnswerMissed { due, violation };
    story.record_as(Actor::TIMERS, due, What::Handling(Box::new(change)), Vec::new());
}

fn evidence(supervision: &Supervision, due: Timestamp, policy: &Policy) -> String {
    let Supervision { number, by, at, urgings, .. } = supervision;
    let stamp = |at| explain::stamp(policy.calendar(), at);
    let (at, due) = (stamp(*at), stamp(due));
    format!(
        "Supervision {number} by {by} since {at}, urged {urgings} times: no answer by {due}. / \
         第 {number} 次督办（{by}，自 {at} 起，已催办 {urgings} 次）：至 {due} 未答复。"
    )
}

/// Reports the ticket to headquarters if it meets a criterion and was not reported before. What made it meet the criterion
/// was the last change, and that is as of when it is reported.
pub(super) fn report(story: &mut Story<'_>) {
    let Story { ticket, policy, .. } = &*story;
    if ticket.handling.reported_at.is_some() || ticket.state.is_final() {
        return;
    }
    let Some(criterion) = policy.handling.criterion(ticket) else { return };
    let at = story.changes.last().map_or(ticket.created_at, |change| change.effective_at);
    let watched = ticket.handling.supervision.is_some();
    let within = policy.handling.supervise_within.filter(|_| !watched);
    // A calendar that does not reach so far supervises nothing, and the report goes out all the same.
    let answer_by = within.and_then(|within| policy.calendar().due_at(at, within).ok());
    let supervision = answer_by.map(|answer_by| {
        let Text { en, zh } = instruction(&criterion);
        begun(story, &Actor::TIMERS, at, format!("{en} / {zh}"), answer_by)
    });
    let change = HandlingChange::Reported { criterion, supervision };
    story.record_as(Actor::TIMERS, at, What::Handling(Box::new(change)), Vec::new());
}

fn instruction(criterion: &str) -> Text {
    Text::new(
        format!("Reported by the policy ({criterion}): say what is being done."),
        format!("按制度自动上报（{criterion}），请答复处理情况。"),
    )
}
