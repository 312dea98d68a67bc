//! whatever is refused is said in Chinese, too. What a step of the smaller nouns needs does not compile without
//! ([`Need::new`]), and a fault without its Chinese does not pass any test that comes across it ([`Fault::new`]).

use std::collections::BTreeSet;

use super::super::word::{Words, is_chinese};
use super::*;

/// Words in English, and not the same in Chinese.
fn said(what: &str, Text { en, zh }: Text) {
    assert!(!en.trim().is_empty() && !is_chinese(&en), "{what} in English: {en:?}");
    assert!(is_chinese(&zh), "{what} in Chinese: {zh:?}");
}

#[test]
fn x09_whatever_a_command_lacks_is_said_in_both_languages() {
    for missing in Missing::ALL {
        said(missing.code(), missing.words());
    }
    for missing in OrderMissing::ALL {
        said(missing.code(), missing.words());
    }
    for duty in Duty::ALL {
        said(duty.code(), duty.words());
    }
    for kind in NeedKind::ALL {
        said(kind.code(), ProcessNeed::new(*kind, "survey").words());
    }
    for duty in ProcessDuty::ALL {
        said(duty.code(), duty.words());
    }
    for refusal in [DeliveryRefusal::Ended, DeliveryRefusal::InFlight] {
        said("delivery", Text::new(refusal.to_string(), refusal.chinese()));
    }
    // What differs is told apart in Chinese as well.
    let words = Missing::ALL.iter().map(|missing| missing.words().zh);
    assert_eq!(words.collect::<BTreeSet<_>>().len(), Missing::ALL.len());
}

#[test]
fn x09_what_is_wrong_with_a_policy_is_said_in_both_languages() {
    let mut faulty = draft();
    faulty.clocks[0].name = "First response".into();
    faulty.clocks[0].warn_percent = 100;
    faulty.clocks[1].target = Some(Target::Elapsed(Duration::ZERO));
    faulty.clocks[2].target = None;
    faulty.levels[1].level = 3;
    faulty.levels[1].roles = ["manager", "chief", "manager"].map(Into::into).into();
    let faults = Policy::try_new(faulty).expect_err("faults");
    assert!(faults.len() >= 7, "{faults:?}");
    for fault in faults {
        said(&fault.path, Text::new(fault.description, fault.chinese));
    }
}

#[test]
fn x09_a_text_is_chinese_by_its_characters() {
    for text in ["工单", "level 2 级", "须为 `en`", "龥"] {
        assert!(is_chinese(text), "{text}");
    }
    for text in ["", "ticket", "café — “quoted”", "あ", "한국어", "😡", "……"] {
        assert!(!is_chinese(text), "{text}");
    }
}

#[test]
#[should_panic(expected = "in Chinese is")]
fn x09_a_fault_that_only_repeats_its_english_is_noticed() {
    let _ = Fault::new("subject", Words::from(("must not be empty", "must not be empty")));
}
