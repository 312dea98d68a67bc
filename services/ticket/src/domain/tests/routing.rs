//! T-03: rules, their order, and what is never reached.

use proptest::prelude::*;

use super::*;

fn category(code: &str, parent: &str) -> CategoryDraft {
    CategoryDraft { code: code.into(), parent: parent.into(), title: Text::new(code, "类别") }
}

fn rule(name: &str, conditions: ConditionsDraft) -> RuleDraft {
    RuleDraft { name: name.into(), conditions, team: "desk".into(), ..RuleDraft::default() }
}

fn routing(conditions: Vec<ConditionsDraft>) -> RoutingDraft {
    let rules = conditions.into_iter().enumerate();
    RoutingDraft {
        categories: vec![
            category("service", ""),
            category("attitude", "service"),
            category("engineering", ""),
        ],
        rules: rules.map(|(index, of)| rule(&format!("rule-{index}"), of)).collect(),
        ..RoutingDraft::default()
    }
}

fn with(routing: RoutingDraft) -> Result<Policy, Vec<Fault>> {
    Policy::try_new(PolicyDraft { routing, ..draft() })
}

fn paths(refused: Result<Policy, Vec<Fault>>) -> Vec<String> {
    refused.expect_err("refused").into_iter().map(|fault| fault.path).collect()
}

fn routed(policy: &Policy, intake: Intake) -> Routed {
    let registered = register(intake, identity(), policy, &Actor::staff(CLERK), hours(0));
    registered.expect("registered").routed.expect("there are rules")
}

fn says(subject: &str) -> Intake {
    let details = Details { subject: subject.into(), ..Details::default() };
    Intake { details, ..intake(Severity::Ordinary) }
}

#[test]
fn t03_words_are_found_however_they_are_written() {
    let words = vec!["电梯".to_owned(), "lift".to_owned()];
    let conditions = ConditionsDraft { keywords: words, ..ConditionsDraft::default() };
    let policy = with(routing(vec![conditions])).expect("sound");
    for subject in ["電梯坏了", "电 梯 坏了", "ＬＩＦＴ broken", "the Lift!"] {
        assert_eq!(routed(&policy, says(subject)).rule.as_deref(), Some("rule-0"), "{subject}");
    }
    for subject in ["电路和楼梯", "lifting"] {
        let routed = routed(&policy, says(subject));
        assert_eq!(
            (routed.rule, routed.looks[0].unmet.as_slice()),
            (None, ["keywords"].as_slice())
        );
    }
}

#[test]
fn t03_an_amount_counts_from_its_lower_bound_to_below_its_upper_one_in_its_currency() {
    let conditions = ConditionsDraft {
        min_amount_cents: 100,
        below_amount_cents: 200,
        currency: "CNY".into(),
        ..ConditionsDraft::default()
    };
    let policy = with(routing(vec![conditions])).expect("sound");
    let matches = |amount: Option<(i64, &str)>| {
        let amount = amount.map(|(cents, currency)| Amount { cents, currency: currency.into() });
        routed(&policy, Intake { amount, ..says("x") }).rule.is_some()
    };
    assert!(matches(Some((100, "CNY"))) && matches(Some((199, "CNY"))));
    assert!(!matches(Some((99, "CNY"))) && !matches(Some((200, "CNY"))));
    assert!(!matches(Some((150, "USD"))) && !matches(None));
}

#[test]
fn t03_what_an_earlier_rule_leaves_nothing_to_is_refused() {
    let of = |categories: &[&str], keywords: &[&str]| ConditionsDraft {
        categories: categories.iter().map(ToString::to_string).collect(),
        keywords: keywords.iter().map(ToString::to_string).collect(),
        ..ConditionsDraft::default()
    };
    let unreached = |rules: Vec<ConditionsDraft>| paths(with(routing(rules)));
    let below = vec![of(&["service"], &[]), of(&["service/attitude"], &["电梯"])];
    assert_eq!(unreached(below), ["routing_rules[1]"]);
    // A text with the longer word has the shorter one, whatever its writing.
    let word = vec![of(&[], &["電梯"]), of(&[], &["电梯门", "电梯井"])];
    assert_eq!(unreached(word), ["routing_rules[1]"]);
    assert_eq!(unreached(vec![of(&[], &[]), of(&["service"], &[])]), ["routing_rules[1]"]);
    for reached in [
        vec![of(&["service/attitude"], &[]), of(&["service"], &[])],
        vec![of(&[], &["lift"]), of(&[], &["lifting"])],
        vec![of(&["service"], &["电梯"]), of(&["service"], &[])],
    ] {
        with(routing(reached)).expect("all are reached");
    }
}

#[test]
fn t01_a_category_tree_without_root_or_with_a_circle_is_refused() {
    let tree = |categories: Vec<CategoryDraft>| {
        paths(with(RoutingDraft { categories, ..RoutingDraft::default() }))
    };
    let circle =
        vec![category("a", "c"), category("b", "a"), category("c", "b"), category("d", "a")];
    let parents: Vec<String> = (0..3).map(|index| format!("categories[{index}].parent")).collect();
    assert_eq!(tree(circle), parents);
    assert_eq!(tree(vec![category("a", "a")]), ["categories[0].parent"]);
    let deep = (0..9).map(|n| {
        category(&format!("c{n}"), &if n == 0 { String::new() } else { format!("c{}", n - 1) })
    });
    assert_eq!(tree(deep.collect()), ["categories[8].parent"]);
}

#[test]
fn t03_the_order_among_candidates() {
    let of =
        |staff: &str, open, turn| Candidate { staff: staff.into(), stands_for: None, open, turn };
    let mut candidates = vec![of("an", 1, 9), of("bo", 0, 5), of("chen", 0, 4), of("dai", 0, 4)];
    let names = |candidates: &[Candidate]| -> Vec<String> {
        candidates.iter().map(|candidate| candidate.staff.to_string()).collect()
    };
    rank(&mut candidates, Distribution::LeastLoad);
    assert_eq!(names(&candidates), ["chen", "dai", "bo", "an"]);
    candidates[0].turn = 10;
    rank(&mut candidates, Distribution::RoundRobin);
    assert_eq!(names(&candidates), ["dai", "bo", "an", "chen"]);
}

fn some<T: Clone + std::fmt::Debug + 'static>(of: &[T]) -> impl Strategy<Value = Vec<T>> + use<T> {
    proptest::sample::subsequence(of.to_vec(), 0..=2.min(of.len()))
}

fn conditions() -> impl Strategy<Value = ConditionsDraft> {
    (
        some(&["service", "service/attitude", "engineering"].map(String::from)),
        some(&["group", "group/north", "group/south"].map(String::from)),
        some(&["电", "电梯", "lift", "漏水"].map(String::from)),
        some(&[Some(TicketKind::Complaint), Some(TicketKind::Inquiry)]),
        (0..3_i64, 0..3_i64),
    )
        .prop_map(|(categories, org_units, keywords, kinds, (min, width))| ConditionsDraft {
            categories,
            org_units,
            keywords,
            kinds,
            min_amount_cents: min,
            below_amount_cents: if width == 0 { 0 } else { min + width },
            currency: if min == 0 && width == 0 { String::new() } else { "CNY".into() },
            ..ConditionsDraft::default()
        })
}

fn matters() -> impl Strategy<Value = Intake> {
    (
        proptest::sample::select(vec!["", "service", "service/attitude", "engineering"]),
        proptest::sample::select(vec![
            "group",
            "group/north/riverside",
            "group/south",
            "group/northern",
        ]),
        proptest::sample::select(vec!["電梯", "lift 漏水", "lifting", "停电", ""]),
        proptest::sample::select(vec![TicketKind::Complaint, TicketKind::Inquiry]),
        proptest::option::of(0..6_i64),
    )
        .prop_map(|(category, org_unit, subject, kind, cents)| {
            let details = Details {
                category: category.into(),
                subject: subject.into(),
                ..Details::default()
            };
            let amount = cents.map(|cents| Amount { cents, currency: "CNY".into() });
            let org_unit = org_unit.into();
            Intake { details, org_unit, kind, amount, ..intake(Severity::Ordinary) }
        })
}

proptest! {
    #[test]
    fn t03_no_rule_is_refused_that_decides_anything(
        first in conditions(), second in conditions(), matter in matters(),
    ) {
        let refused = with(routing(vec![first.clone(), second.clone()])).is_err();
        let alone = |of: ConditionsDraft| with(routing(vec![of])).expect("sound");
        let matches = |policy: &Policy| routed(policy, matter.clone()).rule.is_some();
        // Whatever is refused as never reached is met by nothing that the rule before it leaves.
        if refused {
            prop_assert!(matches(&alone(first)) || !matches(&alone(second)));
        }
    }

    #[test]
    fn t03_the_first_rule_that_matches_decides(
        first in conditions(), second in conditions(), matter in matters(),
    ) {
        let alone = |of: &ConditionsDraft| {
            let policy = with(routing(vec![of.clone()])).expect("sound");
            routed(&policy, matter.clone()).rule.is_some()
        };
        if let Ok(policy) = with(routing(vec![first.clone(), second.clone()])) {
            let expected = match (alone(&first), alone(&second)) {
                (true, _) => Some("rule-0"),
                (false, true) => Some("rule-1"),
                (false, false) => None,
            };
            let routed = routed(&policy, matter.clone());
            prop_assert_eq!(routed.rule.as_deref(), expected);
            // The trace has each rule up to the one that decided, and a reason for each that did not.
            let matched: Vec<bool> = routed.looks.iter().map(|look| look.unmet.is_empty()).collect();
            prop_assert_eq!(matched.iter().filter(|matched| **matched).count(), usize::from(expected.is_some()));
        }
    }
}
