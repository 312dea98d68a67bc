//! What the timers do equals what somebody would do who looks at the clock on the wall every
//! minute and keeps a tally. The tally knows nothing of deadlines, intervals or calendars. Where a regulation or a calendar
//! changes on the way, it goes on counting, from then on by what the wall says there.

use std::sync::{Arc, OnceLock};

use proptest::{collection::vec, prelude::*, sample::select};

use super::wall::{Promise, minute, policy_of, promises, walls, working_hours};
use super::*;

const MAX_ACTS: u32 = 14;
/// The longest time between two acts, in minutes.
const MAX_GAP: u32 = 3_000;
/// How many minutes to watch after the last act.
const TAIL: u32 = 6_000;

/// What is done at a minute, at most one thing.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Act {
    Respond,
    Pause,
    Resume,
    Resolve,
    Tell,
    Unhappy,
    Happy,
    Grave,
    Mild,
    /// Another regulation holds from now on: a new version, a new calendar, another org unit.
    Under(usize),
}

impl Act {
    fn command(self) -> (&'static str, Command) {
        match self {
            Self::Respond => (HANDLER, respond()),
            Self::Pause => (HANDLER, pause()),
            Self::Resume => (HANDLER, Command::Resume),
            Self::Resolve => (HANDLER, resolve()),
            Self::Tell => (HANDLER, feed_back()),
            Self::Unhappy => (QUALITY, verdict(5)),
            Self::Happy => (QUALITY, verdict(1)),
            Self::Grave => (HANDLER, assess(Severity::VerySerious)),
            Self::Mild => (HANDLER, assess(Severity::Ordinary)),
            Self::Under(regulation) => ("manager", under(&regulations()[regulation])),
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Stage {
    Open,
    Waiting,
    Resolved,
    Told,
    Closed,
}

/// The tally of one promise; times in minutes.
#[derive(Clone)]
struct Tally {
    promise: Promise,
    /// By whose clock on the wall it counts.
    regulation: usize,
    cycle: u32,
    /// All minutes, and those in working hours.
    used: (u32, u32),
    warned: Option<u32>,
    stepped: Option<u32>,
    breached: Option<u32>,
    fulfilled: Option<u32>,
    cancelled: bool,
}

impl Tally {
    fn new(promise: Promise, regulation: usize, cycle: u32) -> Self {
        Self {
            promise,
            regulation,
            cycle,
            used: (0, 0),
            warned: None,
            stepped: None,
            breached: None,
            fulfilled: None,
            cancelled: false,
        }
    }

    fn is_open(&self) -> bool {
        self.fulfilled.is_none() && !self.cancelled
    }

    fn runs(&self, stage: Stage) -> bool {
        let stands = stage == Stage::Waiting && self.promise.kind == ClockKind::Resolution;
        self.breached.is_none() && self.is_open() && !stands
    }

    fn used(&self) -> u32 {
        self.used_of(&self.promise)
    }

    /// How much of it counts for a promise.
    fn used_of(&self, promise: &Promise) -> u32 {
        if promise.working { self.used.1 } else { self.used.0 }
    }
}

struct Observer {
    stage: Stage,
    cycle: u32,
    level: u8,
    severity: u8,
    /// Which regulation promises.
    regulation: usize,
    tallies: Vec<Tally>,
}

impl Observer {
    fn new() -> Self {
        let (stage, tallies) = (Stage::Open, Vec::new());
        let mut observer = Self { stage, cycle: 1, level: 1, severity: 1, regulation: 0, tallies };
        observer.start(&ClockKind::OPENING);
        observer
    }

    fn start(&mut self, kinds: &[ClockKind]) {
        let (cycle, severity, regulation) = (self.cycle, self.severity, self.regulation);
        let wanted = |promise: &&Promise| {
            kinds.contains(&promise.kind) && promise.only.is_none_or(|only| only == severity)
        };
        for promise in promises(regulation).iter().filter(wanted) {
            let mut tally = Tally::new(*promise, regulation, cycle);
            let mut before = self.tallies.iter().rev().filter(|t| t.promise.name == promise.name);
            let before = before.next().filter(|t| promise.resumes && t.cycle + 1 == cycle);
            let kept = before.filter(|t| t.fulfilled.is_some() && t.breached.is_none());
            let left = |t: &&Tally| t.used_of(promise) < promise.minutes;
            if let Some(kept) = kept.filter(left) {
                let (warned, stepped) = (kept.warned, kept.stepped);
                tally = Tally { used: kept.used, warned, stepped, ..tally };
            }
            self.tallies.push(tally);
        }
    }

    /// The customer hears how it goes: the next report is promised from now on.
    fn report(&mut self, minute: u32) {
        let cycle = self.cycle;
        let mut next = Vec::new();
        for tally in self.tallies.iter_mut().filter(|t| t.cycle == cycle && t.is_open()) {
            if tally.promise.kind == ClockKind::ProgressUpdate {
                tally.fulfilled = Some(minute);
                let name = tally.promise.name;
                let now = promises(self.regulation).iter().find(|promise| promise.name == name);
                next.push(match now {
                    Some(promise) => Tally::new(*promise, self.regulation, cycle),
                    None => Tally::new(tally.promise, tally.regulation, cycle),
                });
            }
        }
        self.tallies.extend(next);
    }

    /// Another regulation: what runs goes on under its promise of the same name, else under one of the same kind that nothing
    /// was promised by in this cycle; with what was used up, and with what has rung already. What it promises just the same, or
    /// not at all, goes on as it was.
    fn govern(&mut self, regulation: usize) {
        if self.stage == Stage::Closed || self.regulation == regulation {
            return;
        }
        self.regulation = regulation;
        let (cycle, severity) = (self.cycle, self.severity);
        let only = |promise: &&Promise| promise.only.is_none_or(|only| only == severity);
        let rules: Vec<&Promise> = promises(regulation).iter().filter(only).collect();
        let now = self.tallies.iter().filter(|t| t.cycle == cycle);
        let taken: Vec<&str> = now.clone().map(|t| t.promise.name).collect();
        let kinds: Vec<ClockKind> = now.map(|t| t.promise.kind).collect();
        let mut left: Vec<&Promise> =
            rules.iter().filter(|rule| !taken.contains(&rule.name)).copied().collect();
        let mut next = Vec::new();
        let runs = |t: &&mut Tally| t.cycle == cycle && t.is_open() && t.breached.is_none();
        for tally in self.tallies.iter_mut().filter(runs) {
            let named = rules.iter().find(|rule| rule.name == tally.promise.name).copied();
            let place = left.iter().position(|rule| rule.kind == tally.promise.kind);
            let Some(rule) = named.or_else(|| place.map(|place| left.remove(place))) else {
                continue;
            };
            let wall = !rule.working || walls(regulation) == walls(tally.regulation);
            if wall && *rule == tally.promise {
                continue;
            }
            tally.cancelled = true;
            let (used, warned) = (tally.used, tally.warned);
            let stepped = tally.stepped.filter(|_| rule.step_percent > 0);
            next.push(Tally { used, warned, stepped, ..Tally::new(*rule, regulation, cycle) });
        }
        self.tallies.extend(next);
        for rule in rules.into_iter().filter(|rule| !kinds.contains(&rule.kind)) {
            let owed = match rule.kind {
                ClockKind::ResultFeedback => self.stage == Stage::Resolved,
                ClockKind::CallBack => self.stage == Stage::Told,
                _ => false,
            };
            if owed {
                self.tallies.push(Tally::new(*rule, regulation, cycle));
            }
        }
    }

    /// Another severity: what runs under a promise that it does not know is taken up by the one of
    /// the same kind that only it knows.
    fn assess(&mut self, severity: u8) {
        if self.stage == Stage::Closed || self.severity == severity {
            return;
        }
        self.severity = severity;
        let only = |promise: &&Promise| promise.only == Some(severity);
        let mut wanted: Vec<&Promise> = promises(self.regulation).iter().filter(only).collect();
        let cycle = self.cycle;
        let mut next = Vec::new();
        for tally in self.tallies.iter_mut().filter(|t| t.cycle == cycle && t.is_open()) {
            let known = tally.promise.only.is_none_or(|only| only == severity);
            if known || tally.breached.is_some() {
                continue;
            }
            tally.cancelled = true;
            let place = wanted.iter().position(|promise| promise.kind == tally.promise.kind);
            if let Some(place) = place {
                let used = tally.used;
                let tally = Tally::new(*wanted.remove(place), self.regulation, cycle);
                next.push(Tally { used, ..tally });
            }
        }
        self.tallies.extend(next);
        self.level = self.level.max(if severity == 3 { 2 } else { 1 });
    }

    fn fulfil(&mut self, kind: ClockKind, minute: u32) {
        let cycle = self.cycle;
        let of_kind =
            self.tallies.iter_mut().filter(|t| t.promise.kind == kind && t.cycle == cycle);
        let of_kind = of_kind.filter(|tally| !tally.cancelled);
        of_kind.for_each(|tally| tally.fulfilled = tally.fulfilled.or(Some(minute)));
    }

    fn count(&mut self, minute: u32) {
        let stage = self.stage;
        // What is broken goes on counting for what happens after the deadline.
        let counts =
            |tally: &&mut Tally| tally.runs(stage) || (tally.is_open() && tally.breached.is_some());
        for tally in self.tallies.iter_mut().filter(counts) {
            tally.used.0 += 1;
            tally.used.1 += u32::from(working_hours(tally.regulation)[minute as usize]);
        }
    }

    fn ring(&mut self, minute: u32) {
        for tally in &mut self.tallies {
            let Promise { minutes, warn_percent, raises, step_percent, .. } = tally.promise;
            let used = tally.used();
            if tally.runs(self.stage) {
                if warn_percent > 0 && used * 100 >= minutes * warn_percent {
                    tally.warned = tally.warned.or(Some(minute));
                }
                if used >= minutes {
                    tally.breached = Some(minute);
                    self.level = (self.level + u8::from(raises)).min(3);
                }
            } else if !tally.is_open() || tally.breached.is_none() {
                continue;
            }
            if step_percent > 0 && used * 100 >= minutes * step_percent {
                tally.stepped = tally.stepped.or(Some(minute));
            }
        }
    }

    /// What fulfils a promise, before the clocks ring.
    fn fulfilling(&mut self, act: Act, minute: u32) {
        match (act, self.stage) {
            (Act::Respond, stage) if stage != Stage::Closed => {
                self.fulfil(ClockKind::FirstResponse, minute);
                if stage != Stage::Told {
                    self.report(minute);
                }
            }
            (Act::Resolve, Stage::Open | Stage::Waiting) => {
                self.fulfil(ClockKind::Resolution, minute);
                self.start(&[ClockKind::ResultFeedback]);
                self.stage = Stage::Resolved;
            }
            (Act::Tell, Stage::Resolved) => {
                self.fulfil(ClockKind::FirstResponse, minute);
                self.fulfil(ClockKind::ResultFeedback, minute);
                self.fulfil(ClockKind::ProgressUpdate, minute);
                self.start(&[ClockKind::CallBack]);
                self.stage = Stage::Told;
            }
            (Act::Happy, Stage::Told) => {
                self.fulfil(ClockKind::CallBack, minute);
                self.stage = Stage::Closed;
            }
            (Act::Unhappy, Stage::Told) => {
                self.fulfil(ClockKind::CallBack, minute);
                self.cycle += 1;
                self.level = (self.level + 1).min(3);
                self.start(&ClockKind::OPENING);
                self.stage = Stage::Open;
            }
            _ => {}
        }
    }

    /// What fulfils none, after they rang.
    fn waiting(&mut self, act: Act) {
        match (act, self.stage) {
            (Act::Pause, Stage::Open) => self.stage = Stage::Waiting,
            (Act::Resume, Stage::Waiting) => self.stage = Stage::Open,
            (Act::Grave, _) => self.assess(3),
            (Act::Mild, _) => self.assess(1),
            (Act::Under(regulation), _) => self.govern(regulation),
            _ => {}
        }
    }
}

/// Each regulation as a policy version.
fn regulations() -> &'static [Arc<Regulation>; 4] {
    static ALL: OnceLock<[Arc<Regulation>; 4]> = OnceLock::new();
    ALL.get_or_init(|| [0, 1, 2, 3].map(|number| regulation(number, policy_of(number))))
}

fn desk() -> Desk {
    Desk::with(regulations()[0].policy().clone(), Severity::Ordinary)
}

fn acts() -> impl Strategy<Value = Vec<(u32, Act)>> {
    let act = select(vec![
        Act::Respond,
        Act::Pause,
        Act::Resume,
        Act::Resolve,
        Act::Resolve,
        Act::Tell,
        Act::Tell,
        Act::Unhappy,
        Act::Unhappy,
        Act::Happy,
        Act::Grave,
        Act::Mild,
        Act::Under(0),
        Act::Under(1),
        Act::Under(2),
        Act::Under(3),
    ]);
    // Often at the round distances at which the promises are due.
    let gap = prop_oneof![1..MAX_GAP, select(vec![48_u32, 240, 480, 1_080, 1_152, 1_440, 2_880])];
    vec((gap, act), 0..MAX_ACTS as usize)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn t07_the_timers_do_what_watching_every_minute_would(acts in acts()) {
        let mut script: Vec<(u32, Act)> = Vec::new();
        for (gap, act) in acts {
            let last = script.last().map_or(0, |(minute, _)| *minute);
            script.push((last + gap, act));
        }
        let end = script.last().map_or(0, |(minute, _)| *minute) + TAIL - 1;

        let mut desk = desk();
        for (number, act) in &script {
            let (staff, command) = act.command();
            if let Ok(changes) = desk.tries(staff, minute(*number), command) {
                desk.take(&changes);
            }
            // The executives decide at once: no clock notices, and the review is another test's matter.
            if desk.state() == StateName::ExecutiveReview {
                desk.does("director", minute(*number), review(ExecutiveOutcome::Handle));
            }
        }
        desk.fires(minute(end));

        let mut observer = Observer::new();
        let mut script = script.into_iter().peekable();
        for number in 0..=end {
            if let Some(last) = number.checked_sub(1) {
                observer.count(last);
            }
            let act = script.next_if(|(minute, _)| *minute == number).map(|(_, act)| act);
            act.into_iter().for_each(|act| observer.fulfilling(act, number));
            observer.ring(number);
            act.into_iter().for_each(|act| observer.waiting(act));
            observer.ring(number);
        }

        prop_assert_eq!(desk.level(), observer.level);
        prop_assert_eq!(desk.ticket.cycle, observer.cycle);
        prop_assert_eq!(desk.ticket.clocks.len(), observer.tallies.len());
        for (clock, tally) in desk.ticket.clocks.iter().zip(observer.tallies) {
            prop_assert_eq!((&*clock.rule, clock.cycle), (tally.promise.name, tally.cycle));
            let fulfilled = clock.fulfilled.as_ref().map(|fulfilled| fulfilled.at);
            let stepped = clock.steps.first().and_then(|step| step.taken_at);
            prop_assert_eq!(stepped, tally.stepped.map(minute), "{}", clock.rule);
            prop_assert_eq!(clock.cancelled_at.is_some(), tally.cancelled, "{}", clock.rule);
            prop_assert_eq!(clock.warned_at, tally.warned.map(minute), "{}", clock.rule);
            prop_assert_eq!(clock.breached_at, tally.breached.map(minute), "{}", clock.rule);
            prop_assert_eq!(fulfilled, tally.fulfilled.map(minute), "{}", clock.rule);
            let used = Duration::from_secs(u64::from(tally.used()) * 60);
            let counts = clock.breached_at.is_none() && clock.is_live();
            prop_assert!(!counts || clock.consumed_at(&desk.policy, minute(end)) == used);
        }
    }
}
