use std::time::Duration;

use jiff::Timestamp;

use crate::{
    Calendar, Label, Pause,
    calendar::DayKind,
    micros,
    walk::{Piece, PieceKind},
};

/// A due time and how it came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// The earliest instant at which the target is used up.
    pub at: Timestamp,
    /// From the start to `at`, without gaps, in order; what they count adds up to the target.
    pub segments: Vec<Segment>,
}

/// How a due time comes about, or why there is none yet (T-05).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// When it is due; none while an open pause holds it up.
    pub due: Option<Timestamp>,
    /// From the start to the due time, or as far as things are known, without gaps, in order.
    pub segments: Vec<Segment>,
}

/// A stretch of time that was counted, or not, for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Its first instant.
    pub from: Timestamp,
    /// The first instant after it.
    pub to: Timestamp,
    /// How much of it counts: all or nothing.
    pub counted: Duration,
    /// Why.
    pub reason: Reason,
}

/// Why time counts or does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Counts: the promise is in elapsed time.
    Elapsed,
    /// Counts: ordinary working hours.
    WorkingHours,
    /// Counts: open hours of a day with hours of its own, a half day for instance.
    SpecialHours(Label),
    /// Counts: open hours of a make-up working day (调休).
    MakeUpDay(Label),
    /// Does not count: before opening, a break, or after closing on a day that has open hours.
    OffHours,
    /// Does not count: a day off in the ordinary week.
    DayOff,
    /// Does not count: closed by an exception.
    Holiday(Label),
    /// Does not count: a pause (T-06), with the reason it was given.
    Pause(String),
}

impl Reason {
    /// The reason in words, in English and Chinese.
    #[must_use]
    pub fn words(&self) -> Label {
        let named = |en: &str, zh: &str, name: &Label| {
            // A label may have one language only; its text then stands in both.
            let en_name = if name.en.is_empty() { &name.zh } else { &name.en };
            let zh_name = if name.zh.is_empty() { &name.en } else { &name.zh };
            Label::new(format!("{en}: {en_name}"), format!("{zh}：{zh_name}"))
        };
        match self {
            Self::Elapsed => Label::new("elapsed time", "自然时间"),
            Self::WorkingHours => Label::new("working hours", "工作时间"),
            Self::SpecialHours(name) => named("special hours", "特殊工作时间", name),
            Self::MakeUpDay(name) => named("make-up working day", "调休上班", name),
            Self::OffHours => Label::new("outside working hours", "非工作时间"),
            Self::DayOff => Label::new("day off", "休息日"),
            Self::Holiday(name) => named("public holiday", "节假日", name),
            Self::Pause(reason) => {
                named("paused", "暂停计时", &Label::new(reason.as_str(), reason.as_str()))
            }
        }
    }
}

/// Collects pieces into segments, joining neighbours that have the same reason.
pub(crate) struct Explainer<'a> {
    calendar: &'a Calendar,
    pauses: &'a [Pause],
    pieces: Vec<Piece>,
}

impl<'a> Explainer<'a> {
    pub fn new(calendar: &'a Calendar, pauses: &'a [Pause]) -> Self {
        Self { calendar, pauses, pieces: Vec::new() }
    }

    pub fn add(&mut self, piece: Piece) {
        let reason = canonical(piece.kind);
        let paused = matches!(reason, PieceKind::Paused(_));
        match self.pieces.last_mut() {
            Some(last) if last.kind == reason && last.to == piece.from => last.to = piece.to,
            // A pause is on record even if it ended when it began; other empty pieces say nothing.
            _ if piece.length() > 0 || paused => self.pieces.push(Piece { kind: reason, ..piece }),
            _ => {}
        }
    }

    pub fn segments(&self) -> Vec<Segment> {
        self.pieces.iter().map(|piece| self.segment(*piece)).collect()
    }

    fn segment(&self, piece: Piece) -> Segment {
        let counted = if piece.counts() { piece.length() } else { 0 };
        Segment {
            from: micros::instant(piece.from),
            to: micros::instant(piece.to),
            counted: micros::duration(counted),
            reason: self.reason(piece.kind),
        }
    }

    fn reason(&self, kind: PieceKind) -> Reason {
        match kind {
            PieceKind::Elapsed => Reason::Elapsed,
            PieceKind::Open(DayKind::Special(label)) => Reason::SpecialHours(self.label(label)),
            PieceKind::Open(DayKind::MakeUp(label)) => Reason::MakeUpDay(self.label(label)),
            PieceKind::Open(_) => Reason::WorkingHours,
            PieceKind::Closed(DayKind::DayOff) => Reason::DayOff,
            PieceKind::Closed(DayKind::Holiday(label)) => Reason::Holiday(self.label(label)),
            PieceKind::Closed(_) => Reason::OffHours,
            PieceKind::Paused(index) => Reason::Pause(
                self.pauses.get(index).map(|pause| pause.reason.clone()).unwrap_or_default(),
            ),
        }
    }

    fn label(&self, index: u16) -> Label {
        self.calendar.labels.get(usize::from(index)).cloned().unwrap_or_default()
    }
}

/// The kind that stands for all kinds with the same reason: the night before a make-up day is as
/// much outside working hours as any other.
fn canonical(kind: PieceKind) -> PieceKind {
    match kind {
        PieceKind::Closed(DayKind::Special(_) | DayKind::MakeUp(_)) => {
            PieceKind::Closed(DayKind::Ordinary)
        }
        kind => kind,
    }
}
