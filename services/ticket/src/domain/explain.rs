//! How a deadline came about: segment by segment, and in one sentence (T-05).

use std::time::Duration;

use jiff::Timestamp;
use kefu_calendar::{Calendar, DueError, Explanation, Reason, Segment, Target};
use uuid::Uuid;

use super::{
    clock::{ClockEntry, ClockState},
    clock_note::Cause,
    policy::Policy,
    word::Text,
};

/// Why time counts no more although the deadline lies ahead, in both languages.
const USED_UP: &str = "used up when the promise was changed / 调整时限时已用完";

/// How a deadline came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadlineExplanation {
    /// What was promised.
    pub target: Target,
    /// The zone in which the segments are best read.
    pub time_zone: String,
    /// The deadline; none while a pause holds it up.
    pub due: Option<Timestamp>,
    /// From the start to the deadline without a gap; while a pause holds it up, to now or to the clock's end.
    pub segments: Vec<Segment>,
    /// The earlier stretches that count on other calendars, in order.
    pub stretches: Vec<Stretch>,
    /// The whole in one sentence.
    pub summary: Text,
}

/// A stretch of time that counts on the calendar of another policy version than what comes after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// The version; none for the one that judges the ticket.
    pub version: Option<Uuid>,
    /// The zone of its calendar.
    pub time_zone: String,
    /// Up to when.
    pub until: Timestamp,
}

/// Explains a promise as of `now`, by the versions that it was promised by. `policy` judges the ticket.
///
/// # Errors
/// If the policy's calendar does not reach the deadline, which it did when the clock started.
pub fn explain(
    clock: &ClockEntry,
    policy: &Policy,
    now: Timestamp,
) -> Result<DeadlineExplanation, DueError> {
    let calendar = clock.terms.calendar(policy);
    let Explanation { due, mut segments } = clock.counting(policy).explain(clock.until(now))?;
    // What was promised at the time stands, whatever a newer time zone database says.
    let due = if clock.timeline.is_paused() { None } else { clock.due.or(due) };
    // A new target was used up already: it is due when it was set.
    let end = segments.last().map(|segment| segment.to);
    if let (Some(from), Some(to), [_, ..]) = (end, due, &*clock.revisions)
        && from < to
    {
        let reason = Reason::Pause(USED_UP.to_owned());
        segments.push(Segment { from, to, counted: Duration::ZERO, reason });
    }
    let zone = |calendar: &Calendar| calendar.time_zone().iana_name().unwrap_or("UTC").to_owned();
    let stretches = clock.eras.iter().map(|era| Stretch {
        version: era.terms.version(),
        time_zone: zone(era.terms.calendar(policy)),
        until: era.until,
    });
    let summary = summary(clock, calendar, due, &segments, now);
    Ok(DeadlineExplanation {
        target: clock.timeline.target(),
        time_zone: zone(calendar),
        due,
        segments,
        stretches: stretches.collect(),
        summary,
    })
}

fn summary(
    clock: &ClockEntry,
    calendar: &Calendar,
    due: Option<Timestamp>,
    segments: &[Segment],
    now: Timestamp,
) -> Text {
    let kind = clock.kind.words();
    let target = target(clock.timeline.target(), calendar);
    let start = local(calendar, clock.timeline.started());
    let zone = calendar.time_zone().iana_name().unwrap_or("UTC");
    let (rule, cycle) = (&clock.rule, clock.cycle);
    let due = match due {
        Some(due) => {
            let due = local(calendar, due);
            Text::new(format!("due at {due}"), format!("截止于 {due}"))
        }
        None => Text::new("without a deadline while paused", "暂停期间无截止时间"),
    };
    let not_counted = not_counted(segments);
    let paused = paused(clock.paused_at(now));
    let notes = notes(clock, calendar);
    let outcome = outcome(clock, calendar);
    Text::new(
        format!(
            "{rule} ({}, cycle {cycle}): {} from {start} ({zone}), {}{}{}{}; {}.",
            kind.en, target.en, due.en, not_counted.en, paused.en, notes.en, outcome.en
        ),
        format!(
            "{rule}（{}，第 {cycle} 轮）：自 {start}（{zone}）起{}，{}{}{}{}；{}。",
            kind.zh, target.zh, due.zh, not_counted.zh, paused.zh, notes.zh, outcome.zh
        ),
    )
}

pub(super) fn target(target: Target, calendar: &Calendar) -> Text {
    match target {
        Target::Elapsed(time) => {
            let Text { en, zh } = length(time);
            Text::new(format!("{en} of elapsed time"), format!(" {zh}（自然时间）"))
        }
        Target::Business(time) => {
            let Text { en, zh } = length(time.amount());
            Text::new(format!("{en} of working time"), format!(" {zh}（工作时间）"))
        }
        Target::WorkingDays(days) => {
            let Text { en, zh } = length(calendar.working_day().amount());
            let s = if days == 1 { "" } else { "s" };
            Text::new(
                format!("{days} working day{s} of {en}"),
                format!(" {days} 个工作日（每日 {zh}）"),
            )
        }
    }
}

/// The named days on which nothing counted, each once.
pub(super) fn not_counted(segments: &[Segment]) -> Text {
    let mut names: Vec<&Text> = Vec::new();
    for segment in segments {
        if let Reason::Holiday(name) = &segment.reason
            && !names.contains(&name)
        {
            names.push(name);
        }
    }
    if names.is_empty() {
        return Text::default();
    }
    let either = |first: &str, second: &str| {
        if first.is_empty() { second.to_owned() } else { first.to_owned() }
    };
    let en: Vec<_> = names.iter().map(|name| either(&name.en, &name.zh)).collect();
    let zh: Vec<_> = names.iter().map(|name| either(&name.zh, &name.en)).collect();
    Text::new(format!(", not counting {}", en.join(", ")), format!("，不计{}", zh.join("、")))
}

/// How long it stood still, where it did.
pub(super) fn paused(sum: Duration) -> Text {
    if sum.is_zero() {
        return Text::default();
    }
    let Text { en, zh } = length(sum);
    Text::new(format!(", after pauses of {en}"), format!("，已顺延暂停 {zh}"))
}

/// What moved the deadline, and what was said about it.
fn notes(clock: &ClockEntry, calendar: &Calendar) -> Text {
    let (mut en, mut zh) = (String::new(), String::new());
    for revision in &clock.revisions {
        let (at, by) = (local(calendar, revision.at), &revision.by);
        let due = revision.previous_due.map(|due| local(calendar, due));
        let due_en = due.as_deref().map(|due| format!(" (was due at {due})")).unwrap_or_default();
        let due_zh = due.as_deref().map(|due| format!("（原截止于 {due}）")).unwrap_or_default();
        match revision.cause {
            Cause::Severity { from, to } => {
                let (from, to) = (from.number(), to.number());
                en += &format!("; severity {from} became {to} at {at} by {by}{due_en}");
                zh += &format!("；{by} 于 {at} 将级别由 {from} 调整为 {to}{due_zh}");
            }
            Cause::Policy { .. } => {
                en += &format!("; computed anew by another policy version at {at} by {by}{due_en}");
                zh += &format!("；{by} 于 {at} 按另一版制度重新计算{due_zh}");
            }
        }
    }
    for announcement in &clock.announcements {
        let (at, by) = (local(calendar, announcement.at), &announcement.by);
        let (new, reason) = (local(calendar, announcement.new_due), &announcement.reason);
        en += &format!("; delay to {new} announced at {at} by {by}: {reason}");
        zh += &format!("；{by} 于 {at} 告知延期至 {new}：{reason}");
    }
    Text::new(en, zh)
}

fn outcome(clock: &ClockEntry, calendar: &Calendar) -> Text {
    let fulfilled = clock.fulfilled.as_ref().map(|fulfilled| {
        let by = &fulfilled.by;
        (local(calendar, fulfilled.at), by)
    });
    match (clock.state(), fulfilled) {
        (ClockState::Met, Some((at, by))) if clock.breached_at.is_some() => {
            let entered = clock.fulfilled.as_ref().map(|done| local(calendar, done.recorded_at));
            let entered = entered.unwrap_or_default();
            Text::new(
                format!("kept at {at} by {by}, entered at {entered} when the breach was on record"),
                format!("{by} 于 {at} 按时完成，{entered} 补录，此前已记逾期"),
            )
        }
        (ClockState::Met, Some((at, by))) => {
            Text::new(format!("kept at {at} by {by}"), format!("{by} 于 {at} 按时完成"))
        }
        (ClockState::Breached, Some((at, by))) => Text::new(
            format!("broken, fulfilled late at {at} by {by}"),
            format!("已逾期，{by} 于 {at} 完成"),
        ),
        (ClockState::Breached, None) => Text::new("broken, not fulfilled yet", "已逾期，尚未完成"),
        (ClockState::Cancelled, _) => Text::new("ended without need", "已取消"),
        (ClockState::Merged, _) => {
            Text::new("passed on to the survivor of a merge", "已随合并转出")
        }
        (ClockState::Paused, _) => Text::new("paused", "暂停中"),
        _ => Text::new("running", "计时中"),
    }
}

/// On the wall clock of the calendar, with seconds only where there are any.
pub(super) fn local(calendar: &Calendar, at: Timestamp) -> String {
    let local = at.to_zoned(calendar.time_zone().clone());
    let format = if local.second() == 0 { "%Y-%m-%d %H:%M" } else { "%Y-%m-%d %H:%M:%S" };
    local.strftime(format).to_string()
}

/// The same with how far it is from UTC then, so that it means one moment also where clocks are put back: for what stands on
/// record for people of other places.
pub(super) fn stamp(calendar: &Calendar, at: Timestamp) -> String {
    let offset = at.to_zoned(calendar.time_zone().clone()).strftime("%:z").to_string();
    format!("{} {offset}", local(calendar, at))
}

/// A length of time in the largest units that say it whole; days are of 24 hours.
fn length(time: Duration) -> Text {
    const UNITS: [(u64, &str, &str); 4] =
        [(86_400, "d", "天"), (3_600, "h", "小时"), (60, "min", "分钟"), (1, "s", "秒")];
    let mut rest = time.as_secs();
    let (mut en, mut zh) = (Vec::new(), Vec::new());
    for (unit, en_name, zh_name) in UNITS {
        let count = rest / unit;
        rest %= unit;
        if count > 0 {
            en.push(format!("{count} {en_name}"));
            zh.push(format!("{count} {zh_name}"));
        }
    }
    if en.is_empty() {
        return Text::new("less than a second", "不足 1 秒");
    }
    Text::new(en.join(" "), zh.join(" "))
}
