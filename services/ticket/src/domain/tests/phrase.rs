//! T-14: forbidden phrases are found in every disguise, and only where they are.

use proptest::{collection::vec, prelude::*, sample::select};

use super::*;

fn phrases(phrases: &[&str]) -> ForbiddenPhrases {
    let forbidden_phrases = phrases.iter().map(|phrase| ForbiddenPhraseDraft {
        phrase: (*phrase).into(),
        suggestion: Text::new("Say something kind", "请使用文明用语"),
    });
    let draft = PolicyDraft { forbidden_phrases: forbidden_phrases.collect(), ..draft() };
    Policy::try_new(draft).expect("a sound policy").forbidden_phrases().clone()
}

fn found(in_policy: &ForbiddenPhrases, text: &str) -> Vec<String> {
    in_policy.found_in(text).into_iter().map(|found| found.phrase.to_string()).collect()
}

fn faults(phrases: &[&str]) -> Vec<Fault> {
    let forbidden_phrases = phrases.iter().map(|phrase| ForbiddenPhraseDraft {
        phrase: (*phrase).into(),
        suggestion: Text::new("", "请换一种说法"),
    });
    let draft = PolicyDraft { forbidden_phrases: forbidden_phrases.collect(), ..draft() };
    Policy::try_new(draft).expect_err("faults")
}

#[test]
fn t14_a_phrase_is_found_in_every_disguise() {
    let policy =
        phrases(&["骗子", "后台复杂", "不关我的事", "stupid", "Shut up", "4S店骗人", "é bête"]);
    for (text, expected) in [
        ("你们是骗子", "骗子"),
        ("你們是騙子", "骗子"),
        ("骗 子", "骗子"),
        ("骗　子", "骗子"),
        ("骗，子", "骗子"),
        ("骗\n子", "骗子"),
        ("騙\u{200b}子", "骗子"),
        ("骗\u{fe0f}*★子", "骗子"),
        ("骗😀子", "骗子"),
        ("骗\u{336}子\u{336}", "骗子"),
        ("⼦骗⼦", "骗子"),
        ("後臺覆雜", "后台复杂"),
        ("不關我的事！", "不关我的事"),
        ("STUPID", "stupid"),
        ("ｓｔｕｐｉｄ", "stupid"),
        ("Ｓ.Ｔ.Ｕ.Ｐ.Ｉ.Ｄ", "stupid"),
        ("s t u p i d", "stupid"),
        ("s_t-u·p/i d", "stupid"),
        ("ⓢⓣⓤⓟⓘⓓ", "stupid"),
        ("s\u{ad}t\u{200d}upid", "stupid"),
        ("s\u{336}t\u{336}u\u{336}pid", "stupid"),
        ("你真stupid啊", "stupid"),
        ("Please SHUT—UP now", "Shut up"),
        ("shutup", "Shut up"),
        ("４ｓ店騙人", "4S店骗人"),
        ("E\u{301} BE\u{302}TE", "é bête"),
    ] {
        assert_eq!(found(&policy, text), [expected], "{text}");
    }
}

#[test]
fn t14_a_phrase_is_not_found_inside_a_longer_word_or_elsewhere() {
    let policy = phrases(&["ass", "stupid", "骗子", "дурак"]);
    for text in [
        "a passage to the assembly, classy",
        "stupidity",
        "unstupid",
        "st\u{200b}upidly",
        "as set",
        "骗了孩子",
        "子骗",
        "придуракивать",
        "stu子pid",
        "",
        "，。…★ \u{200b}",
    ] {
        assert!(found(&policy, text).is_empty(), "{text}");
    }
    assert_eq!(found(&policy, "Дурак!"), ["дурак"]);
}

#[test]
fn t14_all_phrases_are_found_each_once_in_order() {
    let policy = phrases(&["滚", "滚蛋", "闭嘴", "idiot"]);
    let text = "Idiot，闭嘴，滚蛋！再说一遍：滚蛋，idiot。";
    assert_eq!(found(&policy, text), ["idiot", "闭嘴", "滚", "滚蛋"]);
    assert!(found(&phrases(&[]), text).is_empty());
}

#[test]
fn t14_a_long_text_full_of_the_longest_nested_phrases_is_no_trouble() {
    let nested: Vec<String> = (1..=100).map(|length| "滚".repeat(length)).collect();
    let nested: Vec<&str> = nested.iter().map(String::as_str).collect();
    assert_eq!(phrases(&nested).found_in(&"滚".repeat(20_000)).len(), 100);
}

#[test]
fn t14_x06_every_fault_of_the_phrases_is_named() {
    let long = "骂".repeat(101);
    let wrong = faults(&["骗子", "騙 子", "……", "50%", &long, "好的", ""]);
    let paths: Vec<&str> = wrong.iter().map(|fault| fault.path.as_str()).collect();
    let expected = [1, 2, 3, 4, 6].map(|index| format!("forbidden_phrases[{index}].phrase"));
    assert_eq!(paths, expected);
    assert!(wrong[0].description.contains("forbidden_phrases[0]"), "{:?}", wrong[0]);
    let many: Vec<String> = (0..1_001).map(|index| format!("phrase {index}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(faults(&many)[0].path, "forbidden_phrases");
}

#[test]
fn t14_a_message_with_forbidden_phrases_is_refused_unless_a_supervisor_overrides() {
    let forbidden_phrases = vec![ForbiddenPhraseDraft {
        phrase: "骗子".into(),
        suggestion: Text::new("the other party", "对方"),
    }];
    let policy = Policy::try_new(PolicyDraft { forbidden_phrases, ..draft() }).expect("sound");
    let mut desk = Desk::with(policy, Severity::Ordinary);
    let says = |message: &str| Command::Respond { message: message.into(), sent_at: None };
    let refused = desk.tries(HANDLER, hours(1), says("對方是騙子")).expect_err("refused");
    let Refusal::Fields(faults) = refused else { panic!("{refused}") };
    assert_eq!(
        (faults.len(), &*faults[0].path, faults[0].reason),
        (1, "message", "FORBIDDEN_PHRASE")
    );
    assert!(faults[0].description.contains("“骗子”; suggestion: the other party / 对方"));
    assert!(faults[0].chinese.contains("“骗子”；建议：对方 / the other party"));
    let overriding = Command::OverridePhrases(Box::new(says("對方是騙子")));
    let changes = desk.does(HANDLER, hours(1), overriding);
    let What::Responded { overridden, .. } = &changes[0].what else { panic!("{changes:?}") };
    assert_eq!(overridden.iter().map(|phrase| &**phrase).collect::<Vec<_>>(), ["骗子"]);
    // What is said about the customer inside is not said to the customer.
    desk.does(HANDLER, hours(2), Command::AddNote { note: "对方说我们是骗子".into() });
    desk.does(HANDLER, hours(2), Command::Resolve { solution: "骗子已离开".into() });
    let told = Command::FeedBack { message: "骗子已离开".into(), sent_at: None };
    assert!(matches!(desk.tries(HANDLER, hours(3), told), Err(Refusal::Fields(_))));
}

#[test]
fn t14_a_note_is_possible_in_every_state_and_moves_nothing() {
    let mut desk = Desk::new(Severity::Ordinary);
    desk.does(HANDLER, hours(1), Command::Cancel { reason: "registered twice".into() });
    let before = desk.ticket.clone();
    let note = Command::AddNote { note: "又来电".into() };
    assert_eq!(desk.does(HANDLER, hours(2), note).len(), 1);
    assert_eq!(desk.ticket.revision, before.revision + 1);
    let after =
        Ticket { revision: before.revision, updated_at: before.updated_at, ..desk.ticket.clone() };
    assert_eq!(after, before);
    let empty = Command::AddNote { note: " ".into() };
    assert!(matches!(desk.tries(HANDLER, hours(2), empty), Err(Refusal::Fields(_))));
}

/// Simplified characters and their traditional forms.
const HAN: &[(char, char)] = &[
    ('骗', '騙'),
    ('滚', '滾'),
    ('闭', '閉'),
    ('骂', '罵'),
    ('烦', '煩'),
    ('废', '廢'),
    ('话', '話'),
    ('说', '說'),
    ('没', '沒'),
    ('办', '辦'),
    ('问', '問'),
    ('题', '題'),
    ('关', '關'),
    ('谁', '誰'),
    ('吗', '嗎'),
    ('后', '後'),
    ('复', '覆'),
    ('干', '乾'),
    ('着', '著'),
    ('你', '妳'),
    ('子', '子'),
    ('蛋', '蛋'),
];

/// What may be put between two letters without parting a phrase.
const BETWEEN: &[&str] = &[
    "", "", " ", "\u{3000}", ".", "。", "-", "*", "_", "★", "\n", "…", "😀", "\u{200b}",
    "\u{200d}", "\u{fe0f}", "\u{2060}", "\u{336}", "·", "/ ",
];

fn disguised(phrase: &str, tricks: &[(u8, &'static str)]) -> String {
    let mut text = String::new();
    for (index, c) in phrase.chars().enumerate() {
        let (form, between) = tricks[index % tricks.len()];
        if index > 0 {
            text.push_str(between);
        }
        let traditional = HAN.iter().find(|(simplified, _)| *simplified == c);
        let full_width = |c: char| char::from_u32(u32::from(c) + 0xFEE0).unwrap_or(c);
        match (form % 4, traditional) {
            (1 | 3, Some((_, traditional))) => text.push(*traditional),
            (1, None) => text.extend(c.to_uppercase()),
            (2, None) if c.is_ascii_graphic() => text.push(full_width(c)),
            (3, None) if c.is_ascii_graphic() => text.push(full_width(c.to_ascii_uppercase())),
            _ => text.push(c),
        }
    }
    text
}

fn tricks() -> impl Strategy<Value = Vec<(u8, &'static str)>> {
    vec((any::<u8>(), select(BETWEEN)), 1..12)
}

fn chinese() -> impl Strategy<Value = String> {
    vec(select(HAN), 1..10).prop_map(|pairs| pairs.into_iter().map(|(c, _)| c).collect())
}

/// Whether a phrase of small letters is in a text of small letters, spaces and hyphens, by trying every place.
fn stands_in(phrase: &str, text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let letter =
        |at: Option<usize>| at.and_then(|at| text.get(at)).is_some_and(|c| c.is_alphabetic());
    (0..text.len()).any(|start| {
        let mut at = start;
        for (index, c) in phrase.chars().enumerate() {
            while index > 0 && at < text.len() && !letter(Some(at)) {
                at += 1;
            }
            if text.get(at) != Some(&c) {
                return false;
            }
            at += 1;
        }
        !letter(start.checked_sub(1)) && !letter(Some(at))
    })
}

proptest! {
    #[test]
    fn t14_a_chinese_phrase_is_found_in_any_disguise_and_place(
        phrase in chinese(), tricks in tricks(), before in "[好的，A ]{0,20}", after in "[好的，A ]{0,20}",
    ) {
        let text = format!("{before}{}{after}", disguised(&phrase, &tricks));
        prop_assert_eq!(found(&phrases(&[&phrase]), &text), [phrase.as_str()], "{}", text);
    }

    #[test]
    fn t14_a_latin_phrase_is_found_in_any_disguise_between_words(
        phrase in "[a-zäößéñ]{1,12}", tricks in tricks(), before in "([a-z]{1,5} |好|，){0,3}",
        after in "( [a-z]{1,5}|好|！){0,3}",
    ) {
        let text = format!("{before}{}{after}", disguised(&phrase, &tricks));
        prop_assert_eq!(found(&phrases(&[&phrase]), &text), [phrase.as_str()], "{}", text);
    }

    #[test]
    fn t14_a_latin_phrase_is_found_exactly_where_it_stands(
        phrase in "[ab]{1,4}", text in "[ab -]{0,12}",
    ) {
        let hit = !phrases(&[&phrase]).found_in(&text).is_empty();
        prop_assert_eq!(hit, stands_in(&phrase, &text), "{:?} in {:?}", phrase, text);
    }

    #[test]
    fn t14_inside_a_longer_word_nothing_is_found(
        phrase in "[a-z]{1,8}", before in "[x-z]{0,3}", after in "[x-z]{0,3}",
    ) {
        prop_assume!(!before.is_empty() || !after.is_empty());
        let text = format!("{before}{phrase}{after}");
        prop_assert!(phrases(&[&phrase]).found_in(&text).is_empty(), "{}", text);
    }

    #[test]
    fn t14_a_text_without_a_phrase_is_never_hit(
        phrase in chinese(), text in "[一二三四五ABC1-9 ,，。★]{0,200}",
    ) {
        prop_assert!(phrases(&[&phrase]).found_in(&text).is_empty());
    }

    #[test]
    fn t14_whatever_is_said_is_looked_through(text in any::<String>()) {
        prop_assert!(phrases(&["骗子", "a", "é"]).found_in(&text).len() <= 3);
    }
}
