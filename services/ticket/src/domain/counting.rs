//! How the time of a promise counts where its calendar changed on the way (T-05, T-06).
//!
//! Each stretch counts on the calendar that was valid in it, in the kind of time of the target as it is now. So what was used
//! up before a change stays used up, and what comes after it goes by the new calendar. How much a working day is, says the
//! calendar that is valid now.

use std::time::Duration;

use jiff::Timestamp;
use kefu_calendar::{
    BusinessTime, Calendar, DueError, Explanation, Pause, Segment, Target, Timeline,
};

use super::{
    policy::Policy,
    terms::{Era, Terms},
};

/// Longer than any promise and any horizon, and still countable.
const ENDLESS: Duration = Duration::from_secs(200 * 366 * 86_400);

/// A timeline with the calendars on which its stretches count.
pub(super) struct Counting<'a> {
    timeline: &'a Timeline,
    /// The calendars of earlier stretches and where these ended, in order.
    earlier: Vec<(&'a Calendar, Timestamp)>,
    /// The calendar of the last one, which goes on.
    calendar: &'a Calendar,
}

impl<'a> Counting<'a> {
    pub fn new(
        timeline: &'a Timeline,
        eras: &'a [Era],
        terms: &'a Terms,
        registered: &'a Policy,
    ) -> Self {
        let earlier = eras.iter().map(|era| (era.terms.calendar(registered), era.until));
        Self { timeline, earlier: earlier.collect(), calendar: terms.calendar(registered) }
    }

    /// On one calendar from the start to the end.
    pub fn on(timeline: &'a Timeline, calendar: &'a Calendar) -> Self {
        Self { timeline, earlier: Vec::new(), calendar }
    }

    /// How much the target is, on the calendar that is valid now.
    pub fn target(&self) -> Duration {
        self.timeline.target().amount(self.calendar)
    }

    /// How much is used up at `now`.
    pub fn consumed_at(&self, now: Timestamp) -> Duration {
        let (used, since) = self.used_earlier(now);
        if since.is_some_and(|since| now <= since) {
            return used;
        }
        used + self.between(self.calendar, since, now)
    }

    /// How much is left at `now`.
    pub fn remaining_at(&self, now: Timestamp) -> Duration {
        self.target().saturating_sub(self.consumed_at(now))
    }

    /// When it is due; none while an open pause holds it up.
    pub fn due(&self) -> Result<Option<Timestamp>, DueError> {
        self.reaches(self.target())
    }

    /// When so many hundredths of the target are used up.
    pub fn at_share(&self, percent: u32) -> Result<Option<Timestamp>, DueError> {
        let share = self.target().as_micros() * u128::from(percent) / 100;
        self.reaches(Duration::from_micros(u64::try_from(share).unwrap_or(u64::MAX)))
    }

    /// When `amount` is used up. What earlier stretches have used up already is reached where they end: nobody could have known
    /// before.
    pub fn reaches(&self, amount: Duration) -> Result<Option<Timestamp>, DueError> {
        let (used, Some(since)) = self.used_earlier(Timestamp::MAX) else {
            return self.timeline.reaches(self.calendar, amount);
        };
        if amount <= used {
            return Ok(Some(since));
        }
        let reached = self.timeline.reaches(self.calendar, self.on_last(amount, used, since))?;
        Ok(reached.map(|at| at.max(since)))
    }

    /// `amount` as if all of it had been counted on the last calendar from the start on.
    fn on_last(&self, amount: Duration, used: Duration, since: Timestamp) -> Duration {
        (amount + self.timeline.consumed_at(self.calendar, since)).saturating_sub(used)
    }

    /// How much the earlier stretches have used up by `now`, and where the last of them ends.
    fn used_earlier(&self, now: Timestamp) -> (Duration, Option<Timestamp>) {
        let (mut used, mut since) = (Duration::ZERO, None);
        for (calendar, until) in &self.earlier {
            let to = now.min(*until);
            if since.is_none_or(|since| to > since) {
                used += self.between(calendar, since, to);
            }
            since = Some(*until);
        }
        (used, since)
    }

    /// How much counts on a calendar from `from`, or the start, to `to`.
    fn between(&self, calendar: &Calendar, from: Option<Timestamp>, to: Timestamp) -> Duration {
        let before = from.map(|from| self.timeline.consumed_at(calendar, from));
        self.timeline.consumed_at(calendar, to).saturating_sub(before.unwrap_or_default())
    }

    /// How the due time comes about, from the start to the due time; while an open pause holds it up, to `now`.
    pub fn explain(&self, now: Timestamp) -> Result<Explanation, DueError> {
        let (used, Some(since)) = self.used_earlier(Timestamp::MAX) else {
            return self.timeline.explain(self.calendar, now);
        };
        let mut segments = Vec::new();
        let mut from = self.timeline.started();
        for (calendar, until) in &self.earlier {
            segments.extend(self.stretch(calendar, from, *until)?);
            from = (*until).max(from);
        }
        if self.target() <= used {
            // Used up where the last change was made; a pause may go on from there.
            let paused = self.timeline.is_paused();
            let rest = if paused { self.stretch(self.calendar, since, now)? } else { Vec::new() };
            segments.extend(rest);
            return Ok(Explanation { due: (!paused).then_some(since), segments });
        }
        let need = self.on_last(self.target(), used, since);
        let mut whole = self.timeline.clone();
        whole.retarget(self.amount(need));
        let Explanation { due, segments: last } = whole.explain(self.calendar, now)?;
        segments.extend(last.into_iter().filter_map(|segment| after(segment, since)));
        Ok(Explanation { due, segments })
    }

    /// What counted and what did not from `from` to `to` on a calendar.
    fn stretch(
        &self,
        calendar: &Calendar,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<Segment>, DueError> {
        if to <= from {
            return Ok(Vec::new());
        }
        let within = self.timeline.pauses().iter().filter_map(|pause| {
            let (begins, ends) = (pause.from.max(from), pause.to.unwrap_or(to).min(to));
            let inside = begins < to && ends >= from && (begins < ends || pause.from >= from);
            inside.then(|| Pause { from: begins, to: Some(ends), reason: pause.reason.clone() })
        });
        // A pause at the end stops the count there, whatever the target; it is no part of the answer.
        let stop = Pause { from: to, to: None, reason: String::new() };
        let endless = self.amount(ENDLESS);
        let Ok(timeline) = Timeline::restore(from, endless, within.chain([stop])) else {
            return Ok(Vec::new());
        };
        let mut segments = timeline.explain(calendar, to)?.segments;
        segments.pop();
        Ok(segments)
    }

    /// So much of the kind of time of the target.
    fn amount(&self, amount: Duration) -> Target {
        match self.timeline.target() {
            Target::Elapsed(_) => Target::Elapsed(amount),
            Target::Business(_) | Target::WorkingDays(_) => {
                Target::Business(BusinessTime::new(amount))
            }
        }
    }
}

/// What of a segment comes after `since`.
fn after(segment: Segment, since: Timestamp) -> Option<Segment> {
    if segment.from >= since {
        return Some(segment);
    }
    if segment.to <= since {
        return None;
    }
    let length = segment.to.duration_since(since).unsigned_abs();
    let counted = if segment.counted.is_zero() { segment.counted } else { length };
    Some(Segment { from: since, counted, ..segment })
}
