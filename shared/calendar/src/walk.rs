use crate::{
    Calendar,
    calendar::{Day, DayKind},
    micros,
};

/// A piece of time in which nothing changes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece {
    pub from: i64,
    pub to: i64,
    pub kind: PieceKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PieceKind {
    /// Counts because all time does.
    Elapsed,
    /// Open hours of such a day.
    Open(DayKind),
    /// Closed hours of such a day.
    Closed(DayKind),
    /// The pause with this index.
    Paused(usize),
}

impl Piece {
    pub fn length(self) -> i64 {
        self.to - self.from
    }

    pub fn counts(self) -> bool {
        matches!(self.kind, PieceKind::Elapsed | PieceKind::Open(_))
    }
}

/// Cuts time into pieces along the hours of a calendar, without gaps, in order.
///
/// Between two transitions of the zone the wall clock runs evenly, so within such a stretch the
/// local time is a sum and the zone need not be asked again. That is what makes a day cheap,
/// and it needs no special cases: in a skipped hour there is no stretch that shows
/// it, in a repeated one there are two.
pub(crate) struct Walk<'c> {
    calendar: &'c Calendar,
    at: i64,
    end: i64,
    /// Until when `offset` holds.
    stretch_end: i64,
    /// Local time minus UTC.
    offset: i64,
    day: i64,
    hours: &'c Day,
}

impl<'c> Walk<'c> {
    pub fn new(calendar: &'c Calendar, from: i64, to: i64) -> Self {
        // `stretch_end` has passed, so the first step looks up the offset and with it the day.
        let hours = &calendar.week[0];
        Self { calendar, at: from, end: to, stretch_end: from, offset: 0, day: i64::MIN, hours }
    }

    fn enter_stretch(&mut self) {
        let (zone, now) = (&self.calendar.zone, micros::instant(self.at));
        self.offset = i64::from(zone.to_offset(now).seconds()) * micros::SECOND;
        let next = zone.following(now).map(|next| micros::of(next.timestamp()));
        self.stretch_end = next.into_iter().find(|next| *next > self.at).unwrap_or(i64::MAX);
    }
}

impl Iterator for Walk<'_> {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        if self.at >= self.end {
            return None;
        }
        if self.at >= self.stretch_end {
            self.enter_stretch();
        }
        let local = self.at + self.offset;
        let (day, time) = (local.div_euclid(micros::DAY), local.rem_euclid(micros::DAY));
        if day != self.day {
            (self.day, self.hours) = (day, self.calendar.day(day));
        }

        let kind = self.hours.kind;
        let (until, kind) = match self.hours.open.iter().find(|hours| time < hours.to) {
            Some(hours) if time >= hours.from => (hours.to, PieceKind::Open(kind)),
            Some(hours) => (hours.from, PieceKind::Closed(kind)),
            None => (micros::DAY, PieceKind::Closed(kind)),
        };
        let from = self.at;
        self.at = (from + until - time).min(self.stretch_end).min(self.end);
        Some(Piece { from, to: self.at, kind })
    }
}
