//! What holds for any calendar, promise and pauses, against a simulation that looks at the clock
//! on the wall every minute.
#![allow(clippy::expect_used, reason = "helpers of tests")]

mod common;

use std::{collections::BTreeMap, time::Duration};

use common::{HOUR, at};
use jiff::{SignedDuration, Timestamp};
use kefu_calendar::{
    BusinessTime, Calendar, CalendarDraft, DayHours, Exception, ExceptionHours, Hours, Label,
    Pause, Target, Timeline,
};
use proptest::{collection::vec, prelude::*, sample::select};

const MINUTE: SignedDuration = SignedDuration::from_mins(1);
/// How far the simulation goes before it gives up.
const SIMULATED_MINUTES: u32 = 40 * 24 * 60;

/// Zones with a moment worth looking at: a gap, an overlap, a half-hour shift, a gap at midnight,
/// a date that does not exist, and one where nothing ever happens but holidays.
const PLACES: [(&str, &str); 9] = [
    ("Europe/Berlin", "2020-03-29T01:00:00Z"),
    ("Europe/Berlin", "2020-10-25T01:00:00Z"),
    ("America/New_York", "2020-03-08T07:00:00Z"),
    ("America/New_York", "2020-11-01T06:00:00Z"),
    ("Australia/Lord_Howe", "2020-04-04T15:00:00Z"),
    ("America/Sao_Paulo", "2018-11-04T03:00:00Z"),
    ("Pacific/Apia", "2011-12-30T10:00:00Z"),
    ("Asia/Kathmandu", "2020-01-01T00:00:00Z"),
    ("Asia/Shanghai", "2019-10-01T00:00:00Z"),
];

#[derive(Clone, Debug)]
struct Case {
    draft: CalendarDraft,
    /// Whole minutes, within days of the moment worth looking at.
    start: Timestamp,
}

impl Case {
    fn calendar(&self) -> Calendar {
        Calendar::new(&self.draft).expect("a sound calendar")
    }

    fn minute(&self, minutes: u32) -> Timestamp {
        self.start + MINUTE * i32::try_from(minutes).expect("few")
    }
}

fn intervals(at_least: usize) -> impl Strategy<Value = Vec<Hours>> {
    let times = prop::collection::btree_set(0_u16..=144, 2 * at_least..=6);
    times.prop_map(|times| {
        let text = |tens: u16| format!("{:02}:{:02}", tens / 6, tens % 6 * 10);
        let times: Vec<_> = times.into_iter().map(text).collect();
        times.chunks_exact(2).map(|pair| Hours::new(&pair[0], &pair[1])).collect()
    })
}

fn exception_hours() -> impl Strategy<Value = ExceptionHours> {
    prop_oneof![
        Just(ExceptionHours::Closed),
        intervals(1).prop_map(ExceptionHours::Open),
        Just(ExceptionHours::Like(3)),
    ]
}

prop_compose! {
    fn case()(
        (zone, moment) in select(&PLACES[..]),
        offset in -4 * 1_440_i32..4 * 1_440,
        mut week in vec(intervals(0), 7),
        wednesday in intervals(1),
        exceptions in prop::collection::btree_map(-5_i64..20, exception_hours(), 0..6),
        working_minutes in 1_u64..=1_440,
    ) -> Case {
        week[2] = wednesday;
        let week = week.into_iter().zip(1..);
        let week = week.map(|(intervals, day_of_week)| DayHours { day_of_week, intervals });
        let date = |days: i64| {
            let date = (at(moment) + SignedDuration::from_hours(24 * days)).to_string();
            date[..10].to_owned()
        };
        let exceptions = exceptions.into_iter().map(|(days, hours)| {
            Exception { date: date(days), label: Label::new(days.to_string(), ""), hours }
        });
        let draft = CalendarDraft {
            time_zone: zone.into(),
            week: week.collect(),
            exceptions: exceptions.collect(),
            working_day: Duration::from_secs(60 * working_minutes),
        };
        Case { draft, start: at(moment) + MINUTE * offset }
    }
}

fn target() -> impl Strategy<Value = Target> {
    prop_oneof![
        (0_u32..4_000).prop_map(|m| Target::Elapsed(Duration::from_secs(u64::from(m) * 60))),
        (0_u32..2_000).prop_map(|m| Target::Business(BusinessTime::from_minutes(m))),
        (0_u32..3).prop_map(Target::WorkingDays),
    ]
}

/// Minutes after the start at which pauses begin and end in turn; the last may stay open.
fn turns() -> impl Strategy<Value = Vec<u32>> {
    prop::collection::btree_set(0_u32..8_000, 0..6).prop_map(|turns| turns.into_iter().collect())
}

fn pauses(case: &Case, turns: &[u32]) -> Vec<Pause> {
    turns
        .chunks(2)
        .map(|turn| Pause {
            from: case.minute(turn[0]),
            to: turn.get(1).map(|to| case.minute(*to)),
            reason: "waiting".into(),
        })
        .collect()
}

/// Looks at the wall every minute, knows nothing of transitions, and steps one by one.
struct Simulation {
    zone: jiff::tz::TimeZone,
    week: BTreeMap<i8, Vec<(i32, i32)>>,
    exceptions: BTreeMap<String, Vec<(i32, i32)>>,
}

impl Simulation {
    fn new(draft: &CalendarDraft) -> Self {
        let minutes = |text: &str| {
            let (hours, minutes) = text.split_once(':').expect("a time");
            60 * hours.parse::<i32>().expect("hours") + minutes.parse::<i32>().expect("minutes")
        };
        let read = |hours: &[Hours]| -> Vec<(i32, i32)> {
            hours.iter().map(|hours| (minutes(&hours.open), minutes(&hours.close))).collect()
        };
        let week: BTreeMap<_, _> =
            (1..).zip(&draft.week).map(|(day, hours)| (day, read(&hours.intervals))).collect();
        let exceptions = draft.exceptions.iter().map(|exception| {
            let hours = match &exception.hours {
                ExceptionHours::Closed => Vec::new(),
                ExceptionHours::Open(hours) => read(hours),
                ExceptionHours::Like(day) => week[&i8::try_from(*day).expect("a day")].clone(),
            };
            (exception.date.clone(), hours)
        });
        Self {
            zone: jiff::tz::TimeZone::get(&draft.time_zone).expect("a zone"),
            exceptions: exceptions.collect(),
            week,
        }
    }

    fn is_open(&self, at: Timestamp) -> bool {
        let wall = self.zone.to_datetime(at);
        let ordinary = &self.week[&wall.weekday().to_monday_one_offset()];
        let hours = self.exceptions.get(&wall.date().to_string()).unwrap_or(ordinary);
        let minute = i32::from(wall.hour()) * 60 + i32::from(wall.minute());
        hours.iter().any(|(open, close)| (*open..*close).contains(&minute))
    }

    /// The first minute before which `need` minutes counted.
    fn due(&self, case: &Case, target: Target, need: u32, turns: &[u32]) -> Option<u32> {
        let mut counted = 0;
        for minute in 0..SIMULATED_MINUTES {
            if counted == need {
                return Some(minute);
            }
            let paused = turns.iter().filter(|turn| **turn <= minute).count() % 2 == 1;
            let counts = !target.is_business() || self.is_open(case.minute(minute));
            counted += u32::from(counts && !paused);
        }
        None
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn x05_consumed_equals_a_look_at_the_wall_every_minute(
        case in case(),
        minutes in 0_u32..14 * 1_440,
    ) {
        let simulation = Simulation::new(&case.draft);
        let open = (0..minutes).filter(|minute| simulation.is_open(case.minute(*minute))).count();
        let consumed = case.calendar().consumed(case.start, case.minute(minutes));
        prop_assert_eq!(consumed, BusinessTime::from_minutes(u32::try_from(open).expect("few")));
        prop_assert_eq!(case.calendar().is_open(case.start), simulation.is_open(case.start));
    }

    #[test]
    fn t06_due_with_pauses_equals_a_simulation_minute_by_minute(
        case in case(),
        target in target(),
        turns in turns(),
    ) {
        let calendar = case.calendar();
        let clock = Timeline::restore(case.start, target, pauses(&case, &turns)).expect("in order");
        let need = u32::try_from(target.amount(&calendar).as_secs() / 60).expect("few");
        let due = clock.due(&calendar).expect("open on Wednesdays");
        match Simulation::new(&case.draft).due(&case, target, need, &turns) {
            Some(minute) => prop_assert_eq!(due, Some(case.minute(minute))),
            None => prop_assert!(due.is_none_or(|due| due >= case.minute(SIMULATED_MINUTES))),
        }
    }
}

proptest! {
    #[test]
    fn x05_what_is_consumed_until_due_is_the_target(
        case in case(),
        micros in 0_i64..60_000_000,
        target in target(),
        extra in 0_u64..60_000_000,
    ) {
        let calendar = case.calendar();
        let start = case.start + SignedDuration::from_micros(micros);
        let amount = target.amount(&calendar) + Duration::from_micros(extra);
        let target = match target {
            Target::Elapsed(_) => Target::Elapsed(amount),
            _ => Target::Business(BusinessTime::new(amount)),
        };
        let due = calendar.due_at(start, target).expect("open on Wednesdays");
        let clock = Timeline::new(start, target);
        prop_assert_eq!(clock.consumed_at(&calendar, due), amount);
        if amount > Duration::ZERO {
            let before = due - SignedDuration::from_micros(1);
            prop_assert!(clock.consumed_at(&calendar, before) < amount, "due is the earliest");
        }
    }

    #[test]
    fn x05_consumption_is_additive(
        case in case(),
        mut instants in vec(0_i64..30 * 86_400_000_000, 3),
    ) {
        instants.sort_unstable();
        let calendar = case.calendar();
        let [a, b, c] = [0, 1, 2].map(|i: usize| case.start + SignedDuration::from_micros(instants[i]));
        let (first, second) = (calendar.consumed(a, b).amount(), calendar.consumed(b, c).amount());
        prop_assert_eq!(calendar.consumed(a, c).amount(), first + second);
    }

    #[test]
    fn x05_a_later_start_is_never_due_earlier(
        case in case(),
        target in target(),
        later in 0_i64..7 * 86_400_000_000,
    ) {
        let calendar = case.calendar();
        let due = |start| calendar.due_at(start, target).expect("open on Wednesdays");
        prop_assert!(due(case.start) <= due(case.start + SignedDuration::from_micros(later)));
    }

    #[test]
    fn t06_consumed_and_remaining_add_up_to_the_target(
        case in case(),
        target in target(),
        turns in turns(),
        now in 0_u32..12_000,
    ) {
        let calendar = case.calendar();
        let clock = Timeline::restore(case.start, target, pauses(&case, &turns)).expect("in order");
        let (now, amount) = (case.minute(now), target.amount(&calendar));
        let (used, left) = (clock.consumed_at(&calendar, now), clock.remaining_at(&calendar, now));
        let due = clock.due(&calendar).expect("open on Wednesdays");
        if due.is_some_and(|due| due <= now) {
            prop_assert_eq!(left, Duration::ZERO);
            prop_assert!(used >= amount);
        } else {
            prop_assert_eq!(used + left, amount);
            prop_assert!(left > Duration::ZERO, "something is left before it is due");
        }
    }

    #[test]
    fn t05_segments_join_without_gaps_and_add_up_to_the_target(
        case in case(),
        target in target(),
        turns in turns(),
        now in 0_u32..12_000,
    ) {
        let (calendar, now) = (case.calendar(), case.minute(now));
        let clock = Timeline::restore(case.start, target, pauses(&case, &turns)).expect("in order");
        let told = clock.explain(&calendar, now).expect("open on Wednesdays");
        prop_assert_eq!(told.due, clock.due(&calendar).expect("open on Wednesdays"));
        let amount = target.amount(&calendar);
        let counted: Duration = told.segments.iter().map(|segment| segment.counted).sum();
        match told.due {
            Some(_) => prop_assert_eq!(counted, amount),
            None => prop_assert!(counted < amount),
        }
        let mut from = case.start;
        for segment in &told.segments {
            prop_assert_eq!(segment.from, from);
            let length = Duration::try_from(segment.to.duration_since(from)).expect("forwards");
            prop_assert!(segment.counted == length || segment.counted.is_zero());
            from = segment.to;
        }
        if let Some(due) = told.due {
            prop_assert_eq!(from, due);
        }
        let joined = told.segments.windows(2).all(|pair| pair[0].reason != pair[1].reason);
        prop_assert!(joined || turns.len() > 2, "neighbours differ, unless by two pauses that meet");
    }

    #[test]
    fn t06_a_pause_in_elapsed_time_adds_its_length(case in case(), turns in turns()) {
        let calendar = case.calendar();
        let closed: Vec<_> = turns.chunks_exact(2).flatten().copied().collect();
        let clock = Timeline::restore(case.start, Target::Elapsed(200 * HOUR), pauses(&case, &closed))
            .expect("in order");
        let due = clock.due(&calendar).expect("elapsed").expect("no open pause");
        prop_assert_eq!(due, case.start + 200 * HOUR + clock.paused_at(due));
    }
}
