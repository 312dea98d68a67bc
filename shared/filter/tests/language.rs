//! The language: what it means, and what it refuses.

#![allow(clippy::unwrap_used, reason = "helpers of tests are not seen as tests")]

use jiff::Timestamp;
use kefu_filter::{
    Compiled, Fault, Field, Filter, Kind, MAX_DEPTH, MAX_LENGTH, MAX_TERMS, Moment, Schema,
};
use proptest::prelude::*;
use serde_json::json;

static FIELDS: [Field; 12] = [
    Field::new("state", Kind::Code(&["registered", "in_progress", "closed"])),
    Field::new("severity", Kind::Number),
    Field::new("product", Kind::Text),
    Field::new("category", Kind::Path),
    Field::new("tag", Kind::Tags),
    Field::new("create_time", Kind::Time),
    Field::new("due_in", Kind::Remaining("due_time")),
    Field::new("age", Kind::Elapsed("create_time")),
    Field::new("overdue", Kind::Passed("due_time")),
    Field::new("handler", Kind::Person),
    Field::new("customer", Kind::Id("customers")),
    Field::new("clock.*", Kind::Code(&["running", "paused"])),
];

fn parse(text: &str) -> Result<Filter, Fault> {
    Filter::parse(text, &Schema(&FIELDS))
}

fn compile(text: &str) -> Compiled {
    let now: Timestamp = "1970-01-01T00:01:00Z".parse().unwrap();
    parse(text).unwrap().compile(Moment { now, me: "li" })
}

fn fault(text: &str) -> (usize, String) {
    let fault = parse(text).unwrap_err();
    assert!(!fault.chinese.is_empty());
    (fault.position, fault.english)
}

#[test]
fn t23_or_binds_closer_than_and_and_blanks_join_as_and() {
    let same = [
        "severity = 1 AND severity = 2 OR severity = 3 severity = 4",
        "severity=1 AND (severity=2 OR severity=3) AND severity=4",
    ];
    let [first, second] = same.map(|text| compile(text).path);
    assert_eq!(first, second);
    assert_eq!(
        first,
        r#"($."severity"[*] == $"v0") && (($."severity"[*] == $"v1") || ($."severity"[*] == $"v2")) && ($."severity"[*] == $"v3")"#
    );
}

#[test]
fn t23_values_are_variables_and_never_text_of_the_path() {
    let found = compile(r#"product = "\" ) || 1 == 1 --" AND clock.$||@ = RUNNING"#);
    assert_eq!(found.variables["v0"], json!("\" ) || 1 == 1 --"));
    assert_eq!(found.variables["v1"], json!("$||@"));
    assert!(!found.path.contains("--") && !found.path.contains("1 == 1"), "{}", found.path);
}

#[test]
fn t23_each_kind_of_field_has_its_meaning() {
    for (text, path, variables) in [
        ("", "1 == 1", json!({})),
        ("state = IN_PROGRESS", r#"$."state"[*] == $"v0""#, json!({"v0": "in_progress"})),
        ("state != closed", r#"!($."state"[*] == $"v0")"#, json!({"v0": "closed"})),
        ("severity >= 2", r#"$."severity"[*] >= $"v0""#, json!({"v0": 2})),
        ("severity < -2", r#"$."severity"[*] < $"v0""#, json!({"v0": -2})),
        ("product = 水泵*", r#"($."product"[*] starts with $"v0")"#, json!({"v0": "水泵"})),
        (r#"product != "5\*""#, r#"!($."product"[*] == $"v0")"#, json!({"v0": "5*"})),
        (
            "category:质量/漏水",
            r#"($."category"[*] == $"v0" || $."category"[*] starts with $"v1")"#,
            json!({"v0": "质量/漏水", "v1": "质量/漏水/"}),
        ),
        ("tag:'媒体 关注'", r#"$."tag"[*] == $"v0""#, json!({"v0": "媒体 关注"})),
        ("-handler:*", r#"!(exists($."handler"[*]))"#, json!({})),
        ("handler = me", r#"$."handler"[*] == $"v0""#, json!({"v0": "li"})),
        ("handler = 'me'", r#"$."handler"[*] == $"v0""#, json!({"v0": "me"})),
        (
            "create_time < '1970-01-01T08:00:01+08:00'",
            r#"$."create_time"[*] < $"v0""#,
            json!({"v0": 1_000_000}),
        ),
        ("due_in <= 1m", r#"$."due_time"[*] <= $"v0""#, json!({"v0": 120_000_000})),
        ("age > 60s", r#"$."create_time"[*] < $"v0""#, json!({"v0": 0})),
        ("overdue = true", r#"($."due_time"[*] <= $"v0")"#, json!({"v0": 60_000_000})),
        ("overdue = false", r#"!($."due_time"[*] <= $"v0")"#, json!({"v0": 60_000_000})),
        (
            "customer = customers/0197A1B2-0000-7000-8000-000000000001",
            r#"$."customer"[*] == $"v0""#,
            json!({"v0": "0197a1b2-0000-7000-8000-000000000001"}),
        ),
    ] {
        let found = compile(text);
        assert_eq!((found.path.as_str(), &found.variables), (path, &variables), "{text}");
    }
}

#[test]
fn t23_what_is_wrong_is_named_with_its_position() {
    for (text, position, part) in [
        ("colour = red", 1, "no field"),
        ("state = OPEN", 9, "one of REGISTERED"),
        ("state < CLOSED", 7, "= !="),
        ("severity = two", 12, "whole number"),
        ("tag = x", 5, ":"),
        ("(severity = 1", 1, "not closed"),
        ("severity = 1)", 13, "not open"),
        ("severity = ", 12, "value"),
        ("severity = 1 AND", 17, "missing"),
        ("AND severity = 1", 1, "a term"),
        ("漏水", 1, "SearchTickets"),
        ("product = 'x", 11, "quote"),
        ("product = a*b", 12, "star"),
        ("product = \"a\\n\"", 13, "backslash"),
        ("due_in < soon", 10, "length of time"),
        ("due_in:*", 7, "< <= > >="),
        ("due_in < 99999999999999999d", 10, "length of time"),
        ("customer = customers/1", 12, "customers/UUID"),
        ("has(severity, 1)", 13, "must not have"),
        ("severity ! 1", 10, "must not have"),
        ("clock. = RUNNING", 1, "no field"),
    ] {
        let (at, english) = fault(text);
        assert_eq!(at, position, "{text}: {english}");
        assert!(english.contains(part), "{text}: {english}");
    }
}

#[test]
fn x08_ten_thousand_brackets_within_each_other_are_refused() {
    let nested = |depth: usize| format!("{}severity = 1{}", "(".repeat(depth), ")".repeat(depth));
    assert_eq!(fault(&nested(10_000)).0, MAX_LENGTH + 1);
    // Short enough to be read, and still refused at the first bracket too many.
    assert_eq!(fault(&nested(900)).0, MAX_DEPTH + 1);
    assert_eq!(fault(&"-".repeat(1_000)).0, MAX_DEPTH + 1);
    assert!(parse(&nested(MAX_DEPTH)).is_ok());
}

#[test]
fn x08_there_are_at_most_so_many_terms() {
    let terms = |count: usize| vec!["severity=1"; count].join(" ");
    assert!(parse(&terms(MAX_TERMS)).is_ok());
    assert!(fault(&terms(MAX_TERMS + 1)).1.contains("terms"));
}

#[test]
fn t23_only_terms_that_all_results_must_meet_are_required() {
    let filter =
        parse("handler = me (severity = 1 OR severity = 2) NOT state = CLOSED tag:x").unwrap();
    let required: Vec<_> = filter.required().map(|term| term.field.name).collect();
    assert_eq!(required, ["handler", "tag"]);
    assert_eq!(filter.terms().count(), 5);
}

proptest! {
    #[test]
    fn x06_no_text_makes_the_reader_panic(text in ".{0,200}") {
        let _ = parse(&text);
    }

    #[test]
    fn x06_nothing_made_of_the_languages_words_panics_and_what_passes_compiles(
        words in prop::collection::vec(
            prop::sample::select(vec![
                "(", ")", "AND", "OR", "NOT", "-", "=", "!=", "<", ":", "*", "'", "\"", "\\", "state", "severity", "handler",
                "me", "1", "closed", "clock.x", "due_in", "4h", "漏水", ",", " ",
            ]),
            0..60,
        ),
    ) {
        let text = words.join(" ");
        match parse(&text) {
            Ok(filter) => {
                let compiled = filter.compile(Moment { now: Timestamp::UNIX_EPOCH, me: "li" });
                prop_assert!(filter.terms().count() <= MAX_TERMS);
                let (open, close) = (compiled.path.matches('(').count(), compiled.path.matches(')').count());
                prop_assert_eq!(open, close);
            }
            Err(fault) => prop_assert!((1..=text.chars().count() + 1).contains(&fault.position)),
        }
    }
}
