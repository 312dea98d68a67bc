use jiff::Timestamp;
use thiserror::Error;

use crate::{
    Calendar, Pause, Target, micros,
    walk::{Piece, PieceKind, Walk},
};

/// How far after its start, or after its last pause, a due time is searched for.
pub const HORIZON_YEARS: u16 = 100;

const HORIZON: i64 = HORIZON_YEARS as i64 * 366 * micros::DAY;

/// Why a promise has no due time.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum DueError {
    /// The calendar has no open hours after this instant, at least not within the horizon.
    #[error("the calendar never opens after {after}")]
    NeverOpens {
        /// From when on nothing is open.
        after: Timestamp,
    },
    /// The target is longer than what can be counted within the horizon.
    #[error("not due within {HORIZON_YEARS} years of {start}")]
    TooFar {
        /// Since when it is counted.
        start: Timestamp,
    },
}

/// What counts: all time, or the open time of a calendar.
#[derive(Clone, Copy)]
pub(crate) struct Counting<'c>(Option<&'c Calendar>);

/// Where counting has led.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reached {
    /// All of it was counted by this instant.
    At(i64),
    /// Not yet, and nothing counts until the open pause ends.
    Suspended,
}

impl Reached {
    /// The due time of a promise without pauses, which cannot be suspended.
    pub fn due(self, start: Timestamp) -> Result<Timestamp, DueError> {
        self.instant().ok_or(DueError::TooFar { start })
    }

    pub fn instant(self) -> Option<Timestamp> {
        match self {
            Self::At(at) => Some(micros::instant(at)),
            Self::Suspended => None,
        }
    }
}

impl<'c> Counting<'c> {
    pub fn new(calendar: &'c Calendar, target: Target) -> Self {
        Self(target.is_business().then_some(calendar))
    }

    pub fn business(calendar: &'c Calendar) -> Self {
        Self(Some(calendar))
    }

    /// Counts everything from `from` to `to`.
    pub fn all(self, from: i64, to: i64, each: &mut impl FnMut(Piece)) -> i64 {
        let (counted, _) = self.until(from, to, i64::MAX, each);
        counted
    }

    /// Counts from `start` past the pauses until `need` is counted, and shows each piece.
    pub fn reach(
        self,
        start: i64,
        pauses: &[Pause],
        mut need: i64,
        each: &mut impl FnMut(Piece),
    ) -> Result<Reached, DueError> {
        let mut from = start;
        for (index, pause) in pauses.iter().enumerate() {
            let paused = micros::of(pause.from);
            let (counted, reached) = self.until(from, paused, need, each);
            if let Some(at) = reached {
                return Ok(Reached::At(at));
            }
            need -= counted;
            let Some(resumed) = pause.to else { return Ok(Reached::Suspended) };
            from = micros::of(resumed);
            each(Piece { from: paused, to: from, kind: PieceKind::Paused(index) });
        }

        let end = from.saturating_add(HORIZON).min(micros::of(Timestamp::MAX));
        match self.until(from, end, need, each) {
            (_, Some(at)) => Ok(Reached::At(at)),
            (0, None) if self.0.is_some() => {
                Err(DueError::NeverOpens { after: micros::instant(from) })
            }
            (_, None) => Err(DueError::TooFar { start: micros::instant(start) }),
        }
    }

    /// Counts from `from` to `to`, stopping as soon as `need` is counted: how much it was, and
    /// when that was reached.
    fn until(
        self,
        from: i64,
        to: i64,
        need: i64,
        each: &mut impl FnMut(Piece),
    ) -> (i64, Option<i64>) {
        if need <= 0 {
            return (0, Some(from));
        }
        let mut counted = 0;
        for mut piece in self.pieces(from, to) {
            if piece.counts() {
                let left = need - counted;
                if piece.length() >= left {
                    piece.to = piece.from + left;
                    each(piece);
                    return (need, Some(piece.to));
                }
                counted += piece.length();
            }
            each(piece);
        }
        (counted, None)
    }

    /// Either the one piece of elapsed time or the walk through a calendar.
    fn pieces(self, from: i64, to: i64) -> impl Iterator<Item = Piece> {
        let elapsed =
            (self.0.is_none() && from < to).then_some(Piece { from, to, kind: PieceKind::Elapsed });
        elapsed
            .into_iter()
            .chain(self.0.map(|calendar| Walk::new(calendar, from, to)).into_iter().flatten())
    }
}
