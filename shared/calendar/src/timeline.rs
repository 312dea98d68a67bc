use std::time::Duration;

use jiff::Timestamp;
use thiserror::Error;

use crate::{
    Calendar, Due, DueError, Explanation, Target,
    count::{Counting, Reached},
    explain::Explainer,
    micros,
    walk::{Piece, PieceKind},
};

/// A time in which a promise does not run (T-06).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// When it began.
    pub from: Timestamp,
    /// When it ended; none while it lasts.
    pub to: Option<Timestamp>,
    /// What for, in the words of the caller: a reason's code or its text.
    pub reason: String,
}

/// Why a timeline refused a change. It is as it was before.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum TimelineError {
    /// It is paused already.
    #[error("paused already, since {since}")]
    AlreadyPaused {
        /// When the open pause began.
        since: Timestamp,
    },
    /// There is nothing to resume.
    #[error("not paused")]
    NotPaused,
    /// A pause or its end lies before what happened last.
    #[error("{at} lies before {last}, when the promise last changed")]
    OutOfOrder {
        /// What was asked for.
        at: Timestamp,
        /// The start, or the last beginning or end of a pause.
        last: Timestamp,
    },
}

/// One promise in the making: when it started, what was promised, and its pauses (T-05, T-06).
///
/// Its pauses are in order, do not overlap, begin no earlier than the start, and only the last may
/// be open. Nothing removes a pause. All times are cut to the microsecond.
///
/// The calendar is not part of it but an argument of every question, so "what if" under another
/// calendar or target is the same question asked of a clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeline {
    started: Timestamp,
    target: Target,
    pauses: Vec<Pause>,
}

impl Timeline {
    /// A promise that starts to run at `started`.
    #[must_use]
    pub fn new(started: Timestamp, target: Target) -> Self {
        Self { started: cut(started), target, pauses: Vec::new() }
    }

    /// A promise with a history, as it was stored.
    ///
    /// # Errors
    /// [`TimelineError`] at the first pause that breaks the order.
    pub fn restore(
        started: Timestamp,
        target: Target,
        pauses: impl IntoIterator<Item = Pause>,
    ) -> Result<Self, TimelineError> {
        let mut timeline = Self::new(started, target);
        for pause in pauses {
            timeline.pause(pause.from, pause.reason)?;
            if let Some(to) = pause.to {
                timeline.resume(to)?;
            }
        }
        Ok(timeline)
    }

    /// When it started.
    #[must_use]
    pub fn started(&self) -> Timestamp {
        self.started
    }

    /// What was promised.
    #[must_use]
    pub fn target(&self) -> Target {
        self.target
    }

    /// Its pauses, in order.
    #[must_use]
    pub fn pauses(&self) -> &[Pause] {
        &self.pauses
    }

    /// Whether it stands still since the beginning of an open pause.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.pauses.last().is_some_and(|pause| pause.to.is_none())
    }

    /// Begins a pause.
    ///
    /// # Errors
    /// If it is paused already, or `at` lies before the start or the end of the last pause.
    pub fn pause(&mut self, at: Timestamp, reason: impl Into<String>) -> Result<(), TimelineError> {
        let last = match self.pauses.last() {
            Some(Pause { from, to: None, .. }) => {
                return Err(TimelineError::AlreadyPaused { since: *from });
            }
            Some(Pause { to: Some(to), .. }) => *to,
            None => self.started,
        };
        let from = in_order(at, last)?;
        self.pauses.push(Pause { from, to: None, reason: reason.into() });
        Ok(())
    }

    /// Ends the open pause; the promise resumes where it stood.
    ///
    /// # Errors
    /// If it is not paused, or `at` lies before the beginning of the pause.
    pub fn resume(&mut self, at: Timestamp) -> Result<(), TimelineError> {
        let open = self.pauses.last_mut().filter(|pause| pause.to.is_none());
        let pause = open.ok_or(TimelineError::NotPaused)?;
        pause.to = Some(in_order(at, pause.from)?);
        Ok(())
    }

    /// Replaces what was promised, for instance after a change of severity. The start and every
    /// pause stay, so what was used up counts towards the new target (T-06).
    pub fn retarget(&mut self, target: Target) {
        self.target = target;
    }

    /// The sum of its pauses up to `now`, in elapsed time.
    #[must_use]
    pub fn paused_at(&self, now: Timestamp) -> Duration {
        let now = micros::of(now);
        let length = |pause: &Pause| {
            let to = pause.to.map_or(now, micros::of).min(now);
            micros::duration((to - micros::of(pause.from)).max(0))
        };
        self.pauses.iter().map(length).sum()
    }

    /// When it is due: the earliest instant at which the target is used up. None while an open
    /// pause holds it up; a pause that began at or after the due time no longer moves it.
    ///
    /// # Errors
    /// [`DueError`] if that is not within the horizon.
    pub fn due(&self, calendar: &Calendar) -> Result<Option<Timestamp>, DueError> {
        self.reaches(calendar, self.target.amount(calendar))
    }

    /// When `amount` is used up, in the target's kind of time: the general form of
    /// [`due`](Self::due), for steps before and after it.
    ///
    /// # Errors
    /// [`DueError`] if that is not within the horizon.
    pub fn reaches(
        &self,
        calendar: &Calendar,
        amount: Duration,
    ) -> Result<Option<Timestamp>, DueError> {
        let need = micros::of_duration(amount);
        self.walk(calendar, need, &mut |_| ()).map(Reached::instant)
    }

    /// When so many hundredths of the target are used up: 80 is when a policy may warn, 150 when
    /// it may escalate again (T-07).
    ///
    /// # Errors
    /// [`DueError`] if that is not within the horizon.
    pub fn at_share(
        &self,
        calendar: &Calendar,
        percent: u32,
    ) -> Result<Option<Timestamp>, DueError> {
        let share = i128::from(self.target.micros(calendar)) * i128::from(percent) / 100;
        let need = i64::try_from(share).unwrap_or(i64::MAX);
        self.walk(calendar, need, &mut |_| ()).map(Reached::instant)
    }

    /// How much is used up at `now`, in the target's kind of time; more than the target once it is
    /// overdue.
    #[must_use]
    pub fn consumed_at(&self, calendar: &Calendar, now: Timestamp) -> Duration {
        let counting = Counting::new(calendar, self.target);
        let now = micros::of(now);
        let mut from = micros::of(self.started);
        let mut consumed = 0;
        for pause in &self.pauses {
            consumed += counting.all(from, micros::of(pause.from).min(now), &mut |_| ());
            let Some(resumed) = pause.to else { return micros::duration(consumed) };
            from = micros::of(resumed);
        }
        micros::duration(consumed + counting.all(from, now, &mut |_| ()))
    }

    /// How much is left at `now`; none once it is due.
    #[must_use]
    pub fn remaining_at(&self, calendar: &Calendar, now: Timestamp) -> Duration {
        let target = micros::duration(self.target.micros(calendar));
        target.saturating_sub(self.consumed_at(calendar, now))
    }

    /// How the due time comes about, from the start to the due time, past or future. While an open
    /// pause holds it up, from the start to `now`, and the last segment is that pause.
    ///
    /// # Errors
    /// [`DueError`] if it is not due within the horizon.
    pub fn explain(&self, calendar: &Calendar, now: Timestamp) -> Result<Explanation, DueError> {
        let mut explainer = Explainer::new(calendar, &self.pauses);
        let need = self.target.micros(calendar);
        let due = self.walk(calendar, need, &mut |piece| explainer.add(piece))?.instant();
        if let (None, Some(pause)) = (due, self.pauses.last()) {
            let from = micros::of(pause.from);
            let to = micros::of(now).max(from);
            explainer.add(Piece { from, to, kind: PieceKind::Paused(self.pauses.len() - 1) });
        }
        Ok(Explanation { due, segments: explainer.segments() })
    }

    /// The explanation of a promise that was never paused.
    pub(crate) fn explain_running(&self, calendar: &Calendar) -> Result<Due, DueError> {
        let Explanation { due, segments } = self.explain(calendar, self.started)?;
        let at = due.ok_or(DueError::TooFar { start: self.started })?;
        Ok(Due { at, segments })
    }

    fn walk(
        &self,
        calendar: &Calendar,
        need: i64,
        each: &mut impl FnMut(Piece),
    ) -> Result<Reached, DueError> {
        let started = micros::of(self.started);
        Counting::new(calendar, self.target).reach(started, &self.pauses, need, each)
    }
}

fn cut(at: Timestamp) -> Timestamp {
    micros::instant(micros::of(at))
}

fn in_order(at: Timestamp, last: Timestamp) -> Result<Timestamp, TimelineError> {
    let at = cut(at);
    if at < last { Err(TimelineError::OutOfOrder { at, last }) } else { Ok(at) }
}
