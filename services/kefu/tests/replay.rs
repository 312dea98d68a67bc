//! Replaying records of past years: the numbers are those that a few lines find which know nothing of tickets.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are not seen as tests")]

use std::collections::BTreeMap;
use std::sync::Arc;

use indicatif::ProgressBar;
use jiff::civil::{Date, DateTime, Weekday, date};
use jiff::{SignedDuration, Unit};
use kefu::client::Client;
use kefu::replay::mapping::Plan;
use kefu::replay::read::{self, Input};
use kefu::replay::run::{self, Replayed};
use kefu::replay::table::{Middle, Promise, Table};
use kefu_api::ticket::v1::{ClockState, EscalationCause, ListTicketsRequest};
use kefu_clock::{IdSource, SystemClock};
use kefu_harness::Mesh;
use kefu_identity::role;

/// Made up, in the form of the real file: around National Day 2018, with line breaks inside fields.
const COMPLAINTS: &str = include_str!("samples/complaints.csv");

/// Made up, in the form of the real event log.
const EVENTS: &str = include_str!("samples/helpdesk.csv");

/// Before both.
const BEGINNING: &str = "2010-01-01T00:00:00Z";

async fn replayed(input: &Input, plan: &Plan) -> (Mesh, Client, Replayed) {
    let mesh = Mesh::start_at(BEGINNING.parse().unwrap()).await.unwrap();
    let roles = [role::ADMIN, role::CLERK, role::HANDLER, role::OPERATOR];
    let lifetime = SignedDuration::from_hours(50 * 366 * 24);
    let root = plan.org_unit.as_str();
    let mut client = mesh.client(&mesh.token_for("replay", root, roles, lifetime));
    let ids = IdSource::new(Arc::new(SystemClock));
    let progress = ProgressBar::hidden();
    let replayed = run::replay(input, plan, &mut client, &ids, &progress).await.unwrap();
    (mesh, client, replayed)
}

fn table(replayed: &Replayed, plan: &Plan) -> Table {
    let rules = plan.pack.ticket.iter().flat_map(|policy| &policy.clocks);
    Table::new(replayed, rules.map(|rule| rule.name.as_str()))
}

/// The instant at which a promise of one working day ends that is made at `start`: eight hours from nine to five.
fn one_working_day(start: DateTime, works: impl Fn(Date) -> bool) -> DateTime {
    let mut left = 8 * 3_600;
    let mut day = start.date();
    loop {
        let opens = day.at(9, 0, 0, 0).max(start);
        let closes = day.at(17, 0, 0, 0);
        let open = seconds(opens, closes).max(0);
        if works(day) && open >= left {
            return opens.checked_add(SignedDuration::from_secs(left)).unwrap();
        }
        left -= if works(day) { open } else { 0 };
        day = day.tomorrow().unwrap();
    }
}

fn seconds(from: DateTime, to: DateTime) -> i64 {
    to.since((Unit::Second, from)).unwrap().total(Unit::Second).unwrap() as i64
}

fn works_in_autumn_2018(day: Date) -> bool {
    let weekend = matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday);
    let holiday = date(2018, 10, 1) <= day && day <= date(2018, 10, 7);
    let made_up = day == date(2018, 9, 29) || day == date(2018, 9, 30);
    (!weekend && !holiday) || made_up
}

/// `2018/9/28 9:32:09` and `2018-09-28 09:32:09`.
fn wall(text: &str) -> DateTime {
    let numbers: Vec<i16> =
        text.split(['/', '-', ' ', ':']).map(|number| number.parse().unwrap()).collect();
    let [y, mo, d, h, mi, s] = numbers[..] else { panic!("{text}") };
    date(y, mo as i8, d as i8).at(h as i8, mi as i8, s as i8, 0)
}

fn nearest_rank(sorted: &[i64], percent: usize) -> SignedDuration {
    SignedDuration::from_secs(sorted[(sorted.len() * percent).div_ceil(100) - 1])
}

fn middle(mut durations: Vec<i64>) -> Option<Middle> {
    durations.sort_unstable();
    let median = nearest_rank(&durations, 50);
    Some(Middle { median, p90: nearest_rank(&durations, 90) })
}

#[tokio::test]
async fn t20_the_replayed_report_equals_a_count_of_the_file() {
    let plan = Plan::load(None).unwrap();
    let input = read::read(COMPLAINTS.as_bytes(), &plan).unwrap();
    let lines: Vec<u64> = input.malformed.iter().map(|malformed| malformed.line).collect();

    // The count: rows by id, without the malformed ones, which are known by hand.
    let malformed = ["bad-date", "no-time", "too-early", "no-subject", "no-reply", "short"];
    let mut rows = BTreeMap::new();
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(COMPLAINTS.as_bytes());
    for row in reader.records().map(Result::unwrap) {
        if !malformed.contains(&&row[0]) {
            // The second row with an id is malformed as well.
            rows.entry(row[0].to_owned()).or_insert(row);
        }
    }
    let mut within = [0; 4];
    let mut durations = Vec::new();
    for row in rows.values().filter(|row| !row[6].is_empty()) {
        let (asked, answered) = (wall(&row[3]), wall(&row[6]));
        let took = seconds(asked, answered);
        durations.push(took);
        let hours = |hours: i64| took <= hours * 3_600;
        let in_a_working_day = answered <= one_working_day(asked, works_in_autumn_2018);
        for (count, kept) in
            within.iter_mut().zip([hours(24), in_a_working_day, hours(48), hours(168)])
        {
            *count += i64::from(kept);
        }
    }
    let (all, answered) = (rows.len() as i64, durations.len() as i64);
    assert!(
        0 < within[0] && within[0] < within[2] && within[2] < within[3] && within[3] < answered
    );
    assert_ne!(within[0], within[1], "the sample tells 24 hours from a working day");

    let (_mesh, client, replayed) = replayed(&input, &plan).await;
    let table = table(&replayed, &plan);
    assert_eq!((table.registered, table.answered), (all, answered));
    let names = ["24-hours", "1-working-day", "48-hours", "7-days"];
    // The one that nobody answered broke all of its promises before the file ends.
    let promises = names.iter().zip(within).map(|(name, met)| Promise {
        rule: format!("answered-within-{name}"),
        met,
        breached: all - met,
        running: 0,
    });
    assert_eq!(table.promises, promises.collect::<Vec<_>>());
    assert_eq!(table.breaches, 4 * all - within.iter().sum::<i64>());
    assert_eq!(
        table.escalations,
        all - within[0],
        "a breach of the first promise raises the level"
    );
    assert_eq!(table.time_to_answer, middle(durations));
    assert_eq!(lines, [7, 8, 9, 10, 11, 12, 13, 14]);
    assert_eq!(table.malformed, input.malformed);
    every_breach_is_on_record_at_its_due_time(&client, &plan).await;
}

async fn every_breach_is_on_record_at_its_due_time(client: &Client, plan: &Plan) {
    let org_unit = plan.org_unit.to_string();
    let request = ListTicketsRequest { org_unit, page_size: 1000, ..Default::default() };
    let listed = client.tickets().list_tickets(request).await.unwrap().into_inner();
    let mut breached = 0;
    for ticket in &listed.tickets {
        for clock in &ticket.clocks {
            match clock.state() {
                ClockState::Met => assert_eq!(clock.breach_time, None),
                ClockState::Breached => assert_eq!(clock.breach_time, clock.due_time),
                other => panic!("{other:?}"),
            }
            breached += usize::from(clock.state() == ClockState::Breached);
        }
        for escalation in &ticket.escalations {
            assert_eq!(escalation.cause(), EscalationCause::Breach);
            let due = ticket.clocks.iter().find(|clock| clock.rule == "answered-within-24-hours");
            assert_eq!(escalation.escalate_time, due.unwrap().breach_time);
        }
    }
    assert!(breached > 0);
}

#[tokio::test]
async fn t06_an_event_log_is_replayed_by_a_mapping_of_its_own() {
    let mapping = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mapping = mapping.join("../../deploy/replay/helpdesk.yaml");
    let plan = Plan::load(Some(&mapping)).unwrap();
    let input = read::read(EVENTS.as_bytes(), &plan).unwrap();
    let malformed: Vec<_> = input.malformed.iter().map(|malformed| malformed.line).collect();
    assert_eq!(malformed, [17, 18], "an unknown activity, a bad time");

    // Of each case: its beginning, its first answer, its first solution, straight from the rows.
    type Times = (Option<DateTime>, Option<DateTime>, Option<DateTime>);
    let mut cases: BTreeMap<String, Times> = BTreeMap::new();
    let mut reader = csv::Reader::from_reader(EVENTS.as_bytes());
    for row in reader.records().map(Result::unwrap) {
        let Ok(at) = row[3].trim_end_matches("+00:00").parse::<DateTime>() else { continue };
        if &row[1] == "Dance" {
            continue;
        }
        let case = cases.entry(row[0].to_owned()).or_default();
        case.0.get_or_insert(at);
        if ["Take in charge ticket", "Resolve ticket"].contains(&&row[1]) {
            case.1.get_or_insert(at);
        }
        if &row[1] == "Resolve ticket" {
            case.2.get_or_insert(at);
        }
    }
    let took = |end: fn(&Times) -> Option<DateTime>| -> Vec<i64> {
        cases.values().filter_map(|case| Some(seconds(case.0?, end(case)?))).collect()
    };
    let (answers, solutions) = (took(|case| case.1), took(|case| case.2));

    let (_mesh, _client, replayed) = replayed(&input, &plan).await;
    let table = table(&replayed, &plan);
    assert_eq!(table.registered, cases.len() as i64);
    assert_eq!(table.answered, answers.len() as i64);
    assert_eq!(table.resolved, solutions.len() as i64);
    for (rule, hours) in [(0, 24), (2, 48), (3, 168)] {
        let met = answers.iter().filter(|took| **took <= hours * 3_600).count() as i64;
        assert_eq!(table.promises[rule].met, met, "{hours} hours");
    }
    assert_eq!(table.time_to_answer, middle(answers));
    assert_eq!(table.time_to_resolve, middle(solutions));
    // Case 2 took eight calendar days, three of which the desk waited for somebody else.
    let solved = &table.promises[4];
    assert_eq!((solved.rule.as_str(), solved.breached), ("resolved-within-5-working-days", 0));
    assert_eq!(solved.met, table.resolved);
}
