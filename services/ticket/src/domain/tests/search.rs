//! T-23, X-09: what can be found.

use proptest::prelude::*;

use crate::domain::{
    MAX_WORDS, SearchQuery, SearchSample, SearchText, TICKET_FIELDS, TicketFilter,
};

/// Whether a query finds a text.
fn finds(query: &str, text: &str) -> bool {
    let text = SearchText::of(text, "group/north");
    let query = SearchQuery::of(query, "group").unwrap().unwrap();
    query.tokens.iter().all(|token| text.tokens.contains(token))
        && query.words.iter().all(|word| text.body.contains(word.as_str()))
}

#[test]
fn x09_chinese_words_are_found_inside_sentences() {
    let text = "下雨天客厅天花板漏水，物业三天没有人来处理。";
    for query in ["漏水", "天花板", "漏", "客厅 漏水", "物业三天", "處理", "天花板漏水"]
    {
        assert!(finds(query, text), "{query}");
    }
    // Both pairs are there, the word is not.
    assert!(!finds("水漏", text) && !finds("花板客厅", text) && !finds("天花板物业", text));
}

#[test]
fn x09_width_case_and_script_make_no_difference() {
    let text = "ＡＢＣ－１２３ 型水泵壞了, Pump BROKEN again; 电话 3栋A座";
    for query in ["abc-123", "ABC 123", "水泵坏了", "broken PUMP", "3栋", "a座", "電話"] {
        assert!(finds(query, text), "{query}");
    }
    // Words with spaces between them are found as a whole.
    assert!(!finds("pum", text) && !finds("12", text) && !finds("umpbroken", text));
}

#[test]
fn x07_what_is_found_is_at_or_below_the_org_unit() {
    let text = SearchText::of("漏水", "group/north/riverside");
    let within = |unit: &str| {
        let query = SearchQuery::of("漏水", unit).unwrap().unwrap();
        query.tokens.iter().all(|token| text.tokens.contains(token))
    };
    for unit in ["group", "group/north", "group/north/riverside"] {
        assert!(within(unit), "{unit}");
    }
    for unit in ["group/nort", "group/south", "north", "group/north/riverside/a", "riverside"] {
        assert!(!within(unit), "{unit}");
    }
}

#[test]
fn x08_a_query_has_something_to_look_for_and_not_too_much() {
    assert_eq!(SearchQuery::of("，。！ --", "group"), Ok(None));
    let words = |count: usize| (0..count).map(|n| format!("w{n}")).collect::<Vec<_>>().join(" ");
    assert!(SearchQuery::of(&words(MAX_WORDS), "group").is_ok());
    assert_eq!(SearchQuery::of(&words(MAX_WORDS + 1), "group"), Err(MAX_WORDS + 1));
}

#[test]
fn t23_hashes_are_stored_and_so_never_change() {
    let text = SearchText::of("漏水 pump", "group");
    assert_eq!(text.body, "漏水 pump");
    assert_eq!(text.tokens.len(), 5);
    assert!(text.tokens.iter().all(|token| *token >= 0));
    let once = SearchText::of("漏水", "group").tokens;
    assert_eq!(once, [181_944_662, 184_544_427, 662_721_059, 1_395_150_067]);
}

#[test]
fn t23_queues_of_one_person_are_found_by_that_person() {
    let whose = |text: &str| TicketFilter::read(text).unwrap().whose("li");
    assert_eq!(whose("handler = me state = WAITING").as_deref(), Some("handler:li"));
    assert_eq!(whose("first_contact_owner = wang").as_deref(), Some("first_contact_owner:wang"));
    for text in
        ["handler != me", "handler = me OR state = WAITING", "NOT handler = me", "handler:*"]
    {
        assert_eq!(whose(text), None, "{text}");
    }
}

#[test]
fn t23_each_code_of_a_filter_is_one_of_the_domain() {
    use kefu_filter::Kind;

    use crate::domain::{Channel, ClockState, DeliveryState, Priority, StateName, TicketKind};
    let mut seen = 0;
    for field in TICKET_FIELDS.0 {
        let Kind::Code(codes) = field.kind else { continue };
        for code in codes {
            let known = match field.name {
                "state" => code.parse::<StateName>().is_ok(),
                "kind" => code.parse::<TicketKind>().is_ok(),
                "channel" => code.parse::<Channel>().is_ok(),
                "priority" => code.parse::<Priority>().is_ok(),
                "undelivered" => code.parse::<DeliveryState>().is_ok(),
                "clock.*" => code.parse::<ClockState>().is_ok(),
                // What filters alone say of a supervision.
                "supervision" => matches!(*code, "open" | "missed" | "answered"),
                _ => false,
            };
            assert!(known, "{}: {code}", field.name);
            seen += 1;
        }
    }
    assert_eq!(seen, 38);
}

proptest! {
    #[test]
    fn x09_every_part_of_chinese_text_is_found(text in "[一-龥]{2,40}", at in 0_usize..40, length in 1_usize..8) {
        let characters: Vec<char> = text.chars().collect();
        let start = at % characters.len();
        let part: String = characters[start..].iter().take(length).collect();
        let whole = format!("前缀，{text}。后缀 suffix");
        prop_assert!(finds(&part, &whole));
    }

    #[test]
    fn x06_any_text_can_be_kept_and_looked_for(text in ".{0,300}") {
        let kept = SearchText::of(&text, "group");
        prop_assert!(kept.tokens.is_sorted());
        let _ = SearchQuery::of(&text, "group");
    }
}

/// A sample in which the token 1 is in all documents, 2 in every second, 3 in every tenth, 4 in one, and others in none.
fn sample() -> SearchSample {
    let has = |document: usize, token: i32| match token {
        1 => true,
        2 => document.is_multiple_of(2),
        3 => document.is_multiple_of(10),
        _ => document == 7,
    };
    // As documents are kept: their tokens are not in order.
    let tokens =
        |document| [4, 3, 2, 1].into_iter().filter(|token| has(document, *token)).collect();
    SearchSample::of((0..100).map(tokens).collect())
}

#[test]
fn t23_the_rarest_words_are_asked_for_and_frequent_ones_only_where_nothing_is_rarer() {
    let sample = sample();
    assert_eq!(sample.rarest(&[1, 2, 3, 4]), [4, 3]);
    assert_eq!(sample.rarest(&[1, 2]), [2], "one at least");
    assert_eq!(sample.rarest(&[1]), [1]);
    // Which of those that are in no document of the sample is the rarest cannot be told.
    assert_eq!(sample.rarest(&[1, 12, 11, 3, 13, 14]), [11, 12, 13, 14]);
    assert_eq!(sample.rarest(&[1, 3, 4, 11]), [11, 4, 3]);
    let many: Vec<i32> = (100..300).collect();
    assert_eq!(
        sample.rarest(&many).len(),
        8,
        "a long sentence is not asked for character by character"
    );
    assert!(sample.rarest(&[]).is_empty());
}

#[test]
fn t23_the_newest_are_looked_through_first_for_what_is_frequent() {
    assert!(sample().is_frequent(&[1, 2]) && sample().is_frequent(&[1, 4]));
    assert!(!sample().is_frequent(&[4, 3]) && !sample().is_frequent(&[11]));
    assert!(!SearchSample::default().is_frequent(&[1]));
}

#[test]
fn t23_a_sample_is_of_all_ages() {
    assert_eq!(SearchSample::places(0), [0]);
    assert_eq!(SearchSample::places(3), [0, 1, 2]);
    let places = SearchSample::places(1_000_000);
    assert_eq!((places.len(), places[0], places[95]), (96, 0, 989_583));
}
