//! What the timers do equals what somebody would do who looks at the clock on the wall every
//! minute and keeps a tally. The tally knows nothing of deadlines, intervals or calendars.

use std::sync::OnceLock;

use jiff::{civil::Weekday, tz::TimeZone};
use proptest::{collection::vec, prelude::*, sample::select};

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

/// One promise: of so many minutes, all of them or those in working hours.
#[derive(Clone, Copy)]
struct Promise {
    name: &'static str,
    kind: ClockKind,
    minutes: u32,
    working: bool,
    warn_percent: u32,
    raises: bool,
}

const PROMISES: [Promise; 5] = [
    promise("first", ClockKind::FirstResponse, 24 * 60, false, 80, true),
    promise("solve-soon", ClockKind::Resolution, 8 * 60, true, 50, true),
    promise("solve-ever", ClockKind::Resolution, 72 * 60, false, 25, false),
    promise("tell", ClockKind::ResultFeedback, 48 * 60, false, 0, false),
    promise("ask", ClockKind::CallBack, 8 * 60, true, 10, true),
];

const fn promise(
    name: &'static str,
    kind: ClockKind,
    minutes: u32,
    working: bool,
    warn_percent: u32,
    raises: bool,
) -> Promise {
    Promise { name, kind, minutes, working, warn_percent, raises }
}

/// The tally of one promise; times in minutes.
struct Tally {
    promise: Promise,
    cycle: u32,
    used: u32,
    warned: Option<u32>,
    breached: Option<u32>,
    fulfilled: Option<u32>,
}

impl Tally {
    fn runs(&self, stage: Stage) -> bool {
        let stands = stage == Stage::Waiting && self.promise.kind == ClockKind::Resolution;
        self.breached.is_none() && self.fulfilled.is_none() && !stands
    }
}

struct Observer {
    stage: Stage,
    cycle: u32,
    level: u8,
    tallies: Vec<Tally>,
}

impl Observer {
    fn new() -> Self {
        let mut observer = Self { stage: Stage::Open, cycle: 1, level: 1, tallies: Vec::new() };
        observer.start(&[ClockKind::FirstResponse, ClockKind::Resolution]);
        observer
    }

    fn start(&mut self, kinds: &[ClockKind]) {
        let cycle = self.cycle;
        self.tallies.extend(PROMISES.iter().filter(|promise| kinds.contains(&promise.kind)).map(
            |promise| Tally {
                promise: *promise,
                cycle,
                used: 0,
                warned: None,
                breached: None,
                fulfilled: None,
            },
        ));
    }

    fn fulfil(&mut self, kind: ClockKind, minute: u32) {
        let cycle = self.cycle;
        let of_kind =
            self.tallies.iter_mut().filter(|t| t.promise.kind == kind && t.cycle == cycle);
        of_kind.for_each(|tally| tally.fulfilled = tally.fulfilled.or(Some(minute)));
    }

    fn count(&mut self, working_hours: bool) {
        let stage = self.stage;
        for tally in self.tallies.iter_mut().filter(|tally| tally.runs(stage)) {
            tally.used += u32::from(working_hours || !tally.promise.working);
        }
    }

    fn ring(&mut self, minute: u32) {
        for tally in &mut self.tallies {
            if !tally.runs(self.stage) {
                continue;
            }
            let Promise { minutes, warn_percent, raises, .. } = tally.promise;
            if warn_percent > 0 && tally.used * 100 >= minutes * warn_percent {
                tally.warned = tally.warned.or(Some(minute));
            }
            if tally.used >= minutes {
                tally.breached = Some(minute);
                self.level = (self.level + u8::from(raises)).min(3);
            }
        }
    }

    /// What fulfils a promise, before the clocks ring.
    fn fulfilling(&mut self, act: Act, minute: u32) {
        match (act, self.stage) {
            (Act::Respond, stage) if stage != Stage::Closed => {
                self.fulfil(ClockKind::FirstResponse, minute);
            }
            (Act::Resolve, Stage::Open | Stage::Waiting) => {
                self.fulfil(ClockKind::Resolution, minute);
                self.start(&[ClockKind::ResultFeedback]);
                self.stage = Stage::Resolved;
            }
            (Act::Tell, Stage::Resolved) => {
                self.fulfil(ClockKind::FirstResponse, minute);
                self.fulfil(ClockKind::ResultFeedback, minute);
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
                self.start(&[ClockKind::FirstResponse, ClockKind::Resolution]);
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
            _ => {}
        }
    }
}

fn minute(number: u32) -> Timestamp {
    hours(0).checked_add(i64::from(number).minutes()).expect("a time in range")
}

/// Whether each minute lies in working hours: Monday to Friday and on the make-up days, nine to
/// five, but not in the first week of October.
fn working_hours() -> &'static [bool] {
    static MINUTES: OnceLock<Vec<bool>> = OnceLock::new();
    MINUTES.get_or_init(|| {
        let zone = TimeZone::get("Asia/Shanghai").expect("a zone");
        let open = |number| {
            let now = minute(number).to_zoned(zone.clone());
            let weekend = matches!(now.weekday(), Weekday::Saturday | Weekday::Sunday);
            let open = match (now.month(), now.day()) {
                (10, 1..=7) => false,
                (9, 29) | (10, 12) => true,
                _ => !weekend,
            };
            open && (9..17).contains(&now.hour())
        };
        (0..MAX_ACTS * MAX_GAP + TAIL).map(open).collect()
    })
}

fn desk() -> Desk {
    let mut draft = draft();
    draft.clocks = PROMISES
        .iter()
        .map(|promise| {
            let time = Duration::from_secs(u64::from(promise.minutes) * 60);
            let target = match promise.working {
                true => Target::Business(BusinessTime::new(time)),
                false => Target::Elapsed(time),
            };
            ClockRuleDraft {
                warn_percent: i32::try_from(promise.warn_percent).expect("a percentage"),
                breach_raises_level: promise.raises,
                ..clock(promise.name, promise.kind, Some(target))
            }
        })
        .collect();
    Desk::with(Policy::try_new(draft).expect("a sound policy"), Severity::Ordinary)
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
        }
        desk.fires(minute(end));

        let mut observer = Observer::new();
        let working_hours = working_hours();
        let mut script = script.into_iter().peekable();
        for number in 0..=end {
            if let Some(last) = number.checked_sub(1) {
                observer.count(working_hours[last as usize]);
            }
            let act = script.next_if(|(minute, _)| *minute == number).map(|(_, act)| act);
            act.into_iter().for_each(|act| observer.fulfilling(act, number));
            observer.ring(number);
            act.into_iter().for_each(|act| observer.waiting(act));
        }

        prop_assert_eq!(desk.level(), observer.level);
        prop_assert_eq!(desk.ticket.cycle, observer.cycle);
        prop_assert_eq!(desk.ticket.clocks.len(), observer.tallies.len());
        for tally in observer.tallies {
            let clock = desk.clock(tally.promise.name, tally.cycle);
            let fulfilled = clock.fulfilled.as_ref().map(|fulfilled| fulfilled.at);
            prop_assert_eq!(clock.warned_at, tally.warned.map(minute), "{}", clock.rule);
            prop_assert_eq!(clock.breached_at, tally.breached.map(minute), "{}", clock.rule);
            prop_assert_eq!(fulfilled, tally.fulfilled.map(minute), "{}", clock.rule);
        }
    }
}
