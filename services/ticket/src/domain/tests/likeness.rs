//! T-04: how likely two tickets are about the same matter.

use proptest::prelude::*;

use super::*;

fn rules() -> LinkRules {
    *policy().links()
}

fn matter(customer: Option<u128>, subject: &str, product: &str) -> Matter {
    Matter {
        customer: customer.map(Uuid::from_u128),
        contact: None,
        product: product.into(),
        grams: grams(subject, ""),
        at: hours(0),
    }
}

#[test]
fn t04_chinese_said_otherwise_is_alike_and_another_matter_is_not() {
    let called = matter(Some(1), "三号楼二单元电梯坏了，一直没人修", "");
    let again = matter(None, "三号楼二单元的电梯还是坏的，没人来修", "");
    let other = matter(None, "地下车库照明灯不亮", "");
    let alike = likely(&called, &again, &rules()).expect("alike");
    assert_eq!(alike.reasons, [LikelyReason::Text]);
    assert!(alike.likeness >= 40 && alike.score >= alike.likeness, "{alike:?}");
    assert_eq!(likely(&called, &other, &rules()), None);
    // Width, case and traditional characters make no difference.
    let folded = matter(None, "三號樓二單元電梯壞了，一直沒人修", "");
    assert_eq!(likely(&called, &folded, &rules()).map(|how| how.likeness), Some(100));
}

#[test]
fn t04_one_customer_alone_is_a_reason_only_where_the_policy_says_so() {
    let (one, other) = (matter(Some(1), "漏水", "A-7"), matter(Some(1), "噪音扰民", "A-7"));
    assert_eq!(likely(&one, &other, &rules()), None);
    let rules = LinkRules { same_customer_is_enough: true, ..rules() };
    let found = likely(&one, &other, &rules).expect("a duplicate");
    assert_eq!(found.reasons, [LikelyReason::Customer, LikelyReason::Product]);
    let later = Matter { at: hours(31 * 24), ..other };
    assert_eq!(likely(&one, &later, &rules), None, "beyond the window");
}

#[test]
fn t04_every_wrong_number_of_the_rules_is_named() {
    let links = LinkDraft {
        window_days: 367,
        likeness_percent: 101,
        most: 51,
        unmerge_within_days: -1,
        ..LinkDraft::default()
    };
    let faults = Policy::try_new(PolicyDraft { links, ..draft() }).expect_err("four faults");
    let paths: Vec<_> = faults.iter().map(|fault| fault.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "links.duplicate_window_days",
            "links.duplicate_likeness_percent",
            "links.most_duplicates",
            "links.unmerge_within_days"
        ]
    );
}

fn matters() -> impl Strategy<Value = Matter> {
    let text = "[漏水电梯坏了 abA]{0,12}";
    let customer = proptest::option::of(1..3_u128);
    (customer.clone(), customer, text, "[xy]?", 0..1_000_i64).prop_map(
        |(customer, contact, text, product, hour)| Matter {
            contact: contact.map(Uuid::from_u128),
            at: hours(hour),
            ..matter(customer, &text, &product)
        },
    )
}

proptest! {
    #[test]
    fn t04_likeness_is_the_same_both_ways_and_bounded(
        one in matters(),
        other in matters(),
        enough: bool,
        percent in 1..=100_u32,
    ) {
        let rules = LinkRules {
            same_customer_is_enough: enough,
            likeness_percent: percent,
            ..rules()
        };
        let found = likely(&one, &other, &rules);
        prop_assert_eq!(&found, &likely(&other, &one, &rules));
        if let Some(found) = found {
            prop_assert!((1..=100).contains(&found.score) && found.likeness <= 100);
            prop_assert!(!found.reasons.is_empty());
        }
        let itself = likely(&one, &one, &rules);
        if !one.grams.is_empty() {
            prop_assert_eq!(itself.map(|how| (how.likeness, how.score >= 100)), Some((100, true)));
        }
    }
}
