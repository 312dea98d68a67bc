//! How the deadlines of a process came about: segment by segment, and in one sentence (T-05, T-22).

use jiff::Timestamp;
use kefu_calendar::{Calendar, DueError};

use super::{
    explain::{DeadlineExplanation, local, not_counted, paused, target},
    process::{Process, RunState, StageRun},
    process_template::ProcessTemplate,
    word::Text,
};

/// Explains the deadlines of what is under way `now` and of what was completed and counts, in order, with the stages' codes.
///
/// # Errors
/// If the calendar does not reach a deadline, which it did when the stage began.
pub fn explain_process(
    process: &Process,
    template: &ProcessTemplate,
    calendar: &Calendar,
    now: Timestamp,
) -> Result<Vec<(String, DeadlineExplanation)>, DueError> {
    let counts = |run: &&StageRun| matches!(run.state, RunState::Running | RunState::Completed);
    let mut explained = Vec::new();
    for run in process.runs.iter().filter(counts) {
        let Some((timeline, found)) = process.explain(template, calendar, run, now)? else {
            continue;
        };
        let zone = calendar.time_zone().iana_name().unwrap_or("UTC");
        let what = target(timeline.target(), calendar);
        let start = local(calendar, timeline.started());
        let due = match found.due {
            Some(due) => {
                let due = local(calendar, due);
                Text::new(format!("due at {due}"), format!("截止于 {due}"))
            }
            None => Text::new("without a deadline while paused", "暂停期间无截止时间"),
        };
        let (off, outcome) = (not_counted(&found.segments), outcome(run, calendar));
        let paused = paused(timeline.paused_at(found.due.unwrap_or(now)));
        let title = template.stage(&run.stage).map(|(_, stage)| stage.title.clone());
        let title = title.unwrap_or_default();
        let summary = Text::new(
            format!(
                "{} ({}): {} from {start} ({zone}), {}{}{}; {}.",
                run.stage, title.en, what.en, due.en, off.en, paused.en, outcome.en
            ),
            format!(
                "{}（{}）：自 {start}（{zone}）起{}，{}{}{}；{}。",
                run.stage, title.zh, what.zh, due.zh, off.zh, paused.zh, outcome.zh
            ),
        );
        let explanation = DeadlineExplanation {
            target: timeline.target(),
            time_zone: zone.to_owned(),
            due: found.due,
            segments: found.segments,
            stretches: Vec::new(),
            summary,
        };
        explained.push((run.stage.clone(), explanation));
    }
    Ok(explained)
}

fn outcome(run: &StageRun, calendar: &Calendar) -> Text {
    let ended = run.ended.as_ref().map(|ended| (local(calendar, ended.at), &ended.by));
    match (ended, run.breached_at) {
        (Some((at, by)), None) => {
            Text::new(format!("kept at {at} by {by}"), format!("{by} 于 {at} 按时完成"))
        }
        (Some((at, by)), Some(_)) => Text::new(
            format!("broken, completed late at {at} by {by}"),
            format!("已逾期，{by} 于 {at} 完成"),
        ),
        (None, Some(_)) => Text::new("broken, not completed yet", "已逾期，尚未完成"),
        (None, None) if run.is_paused() => Text::new("paused", "暂停中"),
        (None, None) => Text::new("running", "计时中"),
    }
}
