//! The customer's answer at call-back (满意度评价), T-13.

use jiff::Timestamp;

use super::{
    change::What,
    clock::ClockChange,
    policy::{VerdictOption, VerdictOutcome},
    process_follow,
    refusal::{Missing, Refusal},
    reopen,
    story::Story,
    ticket::State,
    timers::{Until, settle},
    word::{ClockKind, Fault, Subject, Text, coded},
};

coded! {
    /// Where a verdict came from.
    VerdictSource {
        /// A member of the staff asked.
        Call = "call",
        /// The customer answered a survey invitation (S-08).
        Survey = "survey",
    }
}

/// The customer's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// On the scale of the ticket's policy, 0 to 10.
    pub value: u8,
    /// The cycle that it judges; each cycle is judged once.
    pub cycle: u32,
    /// Where it came from.
    pub source: VerdictSource,
    /// Who entered it.
    pub recorded_by: Subject,
    /// What the customer said.
    pub comment: String,
    /// When.
    pub at: Timestamp,
}

/// Enters the verdict of a call-back.
pub(super) fn record(story: &mut Story<'_>, value: i32, comment: String) -> Result<(), Refusal> {
    const COMMAND: &str = "RecordVerdict";
    let state = story.ticket.state.name();
    let missing = match story.ticket.state {
        State::ResultFedBack { .. } => Vec::new(),
        State::Resolved(_) => vec![Missing::ResultFedBack],
        State::Open(_) | State::Waiting { .. } => vec![Missing::Solution, Missing::ResultFedBack],
        State::Closed { .. } | State::Cancelled { .. } | State::Merged(_) => {
            vec![Missing::NotEnded]
        }
    };
    if !missing.is_empty() {
        return Err(Refusal::IllegalState { state, command: COMMAND, missing });
    }
    let staff = story.actor.subject();
    if story.ticket.is_in_hands_of(&staff) {
        return Err(Refusal::SeparationOfDuties { state, command: COMMAND, staff });
    }
    let (value, outcome) = on_scale(story, value)?;
    if outcome.outcome == VerdictOutcome::Close {
        process_follow::none_runs(story, COMMAND)?;
    }
    judge(story, value, outcome, VerdictSource::Call, comment)
}

/// Takes the verdict from a survey. What is about another cycle than the one that waits for its
/// verdict comes too late to be one.
pub(super) fn take(
    story: &mut Story<'_>,
    (cycle, value, comment): (u32, i32, String),
    answered: Option<Timestamp>,
) -> Result<(), Refusal> {
    let waits = matches!(story.ticket.state, State::ResultFedBack { .. });
    if !waits || cycle != story.ticket.cycle {
        let answered = answered.unwrap_or(story.now);
        return reopen::answer_late(story, (cycle, value, comment), answered);
    }
    let (value, outcome) = on_scale(story, value)?;
    judge(story, value, outcome, VerdictSource::Survey, comment)
}

pub(super) fn on_scale(story: &Story<'_>, value: i32) -> Result<(u8, VerdictOption), Refusal> {
    if let Some((value, option)) = story.policy.verdict(value) {
        return Ok((value, option.clone()));
    }
    let values: Vec<String> = story.policy.verdict_values().map(|v| v.to_string()).collect();
    let values = values.join(", ");
    let english = format!("is not on the scale of the policy: {values}");
    let words = (english, format!("不在制度规定的评价范围内：{values}"));
    Err(Refusal::Fields(vec![Fault::new("value", words)]))
}

fn judge(
    story: &mut Story<'_>,
    value: u8,
    option: VerdictOption,
    source: VerdictSource,
    comment: String,
) -> Result<(), Refusal> {
    settle(story, Until::Before(story.now));
    let verdict = Verdict {
        value,
        cycle: story.ticket.cycle,
        source,
        recorded_by: story.actor.subject(),
        comment,
        at: story.now,
    };
    let mut clocks = Vec::new();
    story.fulfil(ClockKind::CallBack, story.now, &mut clocks)?;
    story.cancel_rest(&mut clocks);
    match option.outcome {
        VerdictOutcome::Close => {
            story.record(What::Closed(verdict), clocks);
            Ok(())
        }
        VerdictOutcome::Reopen => reopen(story, verdict, &option.label, clocks),
    }
}

/// One level up with a new cycle of clocks; very serious and already at the top, the executives
/// decide (T-12, T-13).
fn reopen(
    story: &mut Story<'_>,
    verdict: Verdict,
    label: &Text,
    mut clocks: Vec<ClockChange>,
) -> Result<(), Refusal> {
    let reason = reason(&verdict, label);
    let (escalation, executive_review) =
        reopen::raise(&story.ticket, story.policy, &reason, story.now);
    story.reopen(&ClockKind::OPENING, &mut clocks)?;
    story.record(What::Reopened { verdict, escalation, executive_review }, clocks);
    Ok(())
}

fn reason(verdict: &Verdict, label: &Text) -> String {
    let Verdict { value, cycle, .. } = verdict;
    let (en, zh) = named(label);
    format!("Verdict {value}{en} on cycle {cycle}. / 第 {cycle} 轮满意度评价：{value}{zh}。")
}

/// What a value is called, in brackets; nothing where it has no name.
pub(super) fn named(label: &Text) -> (String, String) {
    let named = |open: &str, text: &str, close: &str| match text {
        "" => String::new(),
        text => format!("{open}{text}{close}"),
    };
    (named(" (", &label.en, ")"), named("（", &label.zh, "）"))
}
