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
    word::{ClockKind, Fault, Subject, Text, Words, coded},
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
    /// When the customer gave it: when somebody asked, or the survey's answer was submitted (T-07).
    pub given_at: Timestamp,
    /// When it was put on record.
    pub at: Timestamp,
}

/// Enters the verdict of a call-back. Whoever asked in time has kept the promise, however late it is entered (T-07).
pub(super) fn record(
    story: &mut Story<'_>,
    value: i32,
    comment: String,
    asked_at: Option<Timestamp>,
) -> Result<(), Refusal> {
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
    if story.had_a_hand() {
        return Err(Refusal::SeparationOfDuties { state, command: COMMAND, staff });
    }
    let mut faults = Vec::new();
    let asked_at = asked(story, asked_at, &mut faults);
    let (value, outcome) = match on_scale(story, value) {
        Ok(_) if !faults.is_empty() => return Err(Refusal::Fields(faults)),
        Ok(found) => found,
        Err(fault) => {
            faults.insert(0, fault);
            return Err(Refusal::Fields(faults));
        }
    };
    if outcome.outcome == VerdictOutcome::Close {
        process_follow::none_runs(story, COMMAND)?;
    }
    judge(story, (value, outcome), VerdictSource::Call, comment, asked_at)
}

/// When the customer was asked; what is wrong with that goes to `faults`.
fn asked(story: &Story<'_>, at: Option<Timestamp>, faults: &mut Vec<Fault>) -> Timestamp {
    let now = story.now;
    let at = at.unwrap_or(now);
    if at > now {
        faults.push(Fault::new("call_time", Words::ahead(now)));
    }
    if let Some(told) = story.ticket.told_at().filter(|told| at < *told) {
        let words = (
            format!("must not be before {told}, when the customer was told the result"),
            format!("不得早于向客户反馈结果的时间 {told}"),
        );
        faults.push(Fault::new("call_time", words));
    }
    at
}

/// Takes the verdict from a survey, as of when the customer submitted it, however late this context hears of it (T-07). What is
/// about another cycle than the one that waits for its verdict comes too late to be one.
pub(super) fn take(
    story: &mut Story<'_>,
    (cycle, value, comment): (u32, i32, String),
    submitted_at: Option<Timestamp>,
) -> Result<(), Refusal> {
    let Some(told) = story.ticket.told_at().filter(|_| cycle == story.ticket.cycle) else {
        let answered = submitted_at.unwrap_or(story.now);
        return reopen::answer_late(story, (cycle, value, comment), answered);
    };
    let option = on_scale(story, value).map_err(|fault| Refusal::Fields(vec![fault]))?;
    // The clocks of two services differ a little.
    let submitted_at = submitted_at.map_or(story.now, |at| at.max(told).min(story.now));
    judge(story, option, VerdictSource::Survey, comment, submitted_at)
}

pub(super) fn on_scale(story: &Story<'_>, value: i32) -> Result<(u8, VerdictOption), Fault> {
    if let Some((value, option)) = story.policy.verdict(value) {
        return Ok((value, option.clone()));
    }
    let values: Vec<String> = story.policy.verdict_values().map(|v| v.to_string()).collect();
    let values = values.join(", ");
    let english = format!("is not on the scale of the policy: {values}");
    let words = (english, format!("不在制度规定的评价范围内：{values}"));
    Err(Fault::new("value", words))
}

/// The promise to ask is kept as of `given_at`; what the verdict makes of the ticket begins when it is on record.
fn judge(
    story: &mut Story<'_>,
    (value, option): (u8, VerdictOption),
    source: VerdictSource,
    comment: String,
    given_at: Timestamp,
) -> Result<(), Refusal> {
    settle(story, Until::Before(given_at));
    let verdict = Verdict {
        value,
        cycle: story.ticket.cycle,
        source,
        recorded_by: story.actor.subject(),
        comment,
        given_at,
        at: story.now,
    };
    let mut clocks = Vec::new();
    story.fulfil(ClockKind::CallBack, given_at, &mut clocks)?;
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
