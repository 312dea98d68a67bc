//! Files by their content, archives by their table, the company's own fields, tags (T-01).

use proptest::prelude::*;

use super::super::archive::{ArchiveFault, ArchiveLimits, MAX_TAIL, directory, inspect};
use super::super::custom_field::{FieldDraft, FieldType};
use super::super::media_type::{Content, TextWatch, judge};
use super::super::{ContentDraft, Policy, PolicyDraft, TicketKind};
use super::draft;

const LIMITS: ArchiveLimits = ArchiveLimits { entries: 10, unpacked: 10_000_000, ratio: 100 };

/// Name, method, packed, unpacked, where it is.
type Row = (&'static str, u16, u32, u32, u32);

fn table(rows: &[Row]) -> Vec<u8> {
    let mut table = Vec::new();
    for (name, method, packed, unpacked, offset) in rows {
        table.extend(b"PK\x01\x02\x14\x00\x14\x00\x00\x00");
        table.extend(method.to_le_bytes());
        table.extend([0; 8]);
        table.extend(packed.to_le_bytes());
        table.extend(unpacked.to_le_bytes());
        table.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
        table.extend([0; 12]);
        table.extend(offset.to_le_bytes());
        table.extend(name.as_bytes());
    }
    table
}

fn end(entries: u16, size: u32, offset: u32, comment: &[u8]) -> Vec<u8> {
    let mut end = b"PK\x05\x06\0\0\0\0".to_vec();
    end.extend(entries.to_le_bytes());
    end.extend(entries.to_le_bytes());
    end.extend(size.to_le_bytes());
    end.extend(offset.to_le_bytes());
    end.extend(u16::try_from(comment.len()).unwrap().to_le_bytes());
    end.extend(comment);
    end
}

fn judged(rows: &[Row]) -> Result<&'static str, ArchiveFault> {
    let table = table(rows);
    let size = u32::try_from(table.len()).unwrap();
    let entries = u16::try_from(rows.len()).unwrap();
    let offset = 1_000_000;
    let mut tail = table.clone();
    tail.extend(end(entries, size, offset, b"comment"));
    let length = u64::from(offset) + u64::try_from(tail.len()).unwrap();
    let found = directory(&tail, length)?.expect("ends like an archive");
    inspect(&table, found, LIMITS).map(|archive| archive.media_type)
}

#[test]
fn t01_an_archive_is_judged_by_its_table() {
    assert_eq!(
        judged(&[("甲.txt", 0, 5, 5, 0), ("b/c.txt", 8, 5, 50, 100)]),
        Ok("application/zip")
    );
    let broken = |rows: &[Row]| matches!(judged(rows), Err(ArchiveFault::Broken(_)));
    // One on top of the other: many names, the same bytes.
    assert!(broken(&[("a", 8, 500, 5_000, 0), ("b", 8, 500, 5_000, 0)]));
    assert!(broken(&[("a", 8, 500, 5_000, 0), ("b", 8, 500, 5_000, 400)]));
    assert!(broken(&[("a", 0, 5, 5, 999_990)]), "into the table");
    assert!(broken(&[("a", 0, 5, 5, 0), ("a", 0, 5, 5, 100)]), "one name twice");
    assert!(broken(&[("a", 0, 5, 6, 0)]), "stored, but longer");
    assert!(broken(&[("a", 8, 5, 6_000, 0)]), "more than deflate can");
    assert!(broken(&[("a", 8, u32::MAX, 6_000, 0)]), "beyond 4 GiB");
    assert_eq!(judged(&[("a", 8, 10_000, 1_048_577, 0)]), Err(ArchiveFault::Ratio("a".into())));
    assert_eq!(judged(&[("a", 8, 11_000, 1_048_577, 0)]), Ok("application/zip"));
    let halves = [("a", 8, 90_000, 6_000_000, 0), ("b", 8, 90_000, 6_000_000, 100_000)];
    assert_eq!(judged(&halves), Err(ArchiveFault::Unpacked(10_000_000)));
    // An office document in it counts as often as it could be packed.
    assert_eq!(
        judged(&[("a.docx", 0, 200_000, 200_000, 0)]),
        Err(ArchiveFault::Unpacked(10_000_000))
    );
    assert!(matches!(judged(&[("a.7Z", 0, 5, 5, 0)]), Err(ArchiveFault::Nested(_))));
    assert!(matches!(judged(&[("run.BAT", 0, 5, 5, 0)]), Err(ArchiveFault::Active(_))));
    assert!(matches!(judged(&[("a", 99, 5, 5, 0)]), Err(ArchiveFault::Sealed(_))));
    for name in ["/a", "a/../../b", "a\\b", "C:a", ""] {
        assert!(matches!(judged(&[(name, 0, 5, 5, 0)]), Err(ArchiveFault::Name(_))), "{name}");
    }
    let found = super::super::Directory { offset: 0, size: 0, entries: 5 };
    assert!(
        matches!(inspect(b"", found, LIMITS), Err(ArchiveFault::Broken(_))),
        "nothing of what it says"
    );
    let many: Vec<Row> = (0..11).map(|at| ("", 0, 0, 0, at)).collect();
    assert_eq!(judged(&many), Err(ArchiveFault::Entries(10)));
}

#[test]
fn t01_an_end_that_contradicts_itself_is_no_end() {
    assert_eq!(directory(b"", 0), Ok(None));
    assert_eq!(directory(b"PK\x05\x06", 4), Ok(None));
    let empty = end(0, 0, 0, b"");
    assert!(directory(&empty, 22).unwrap().is_some());
    assert_eq!(directory(&empty[..21], 21), Ok(None));
    assert!(directory(&end(1, 46, 5, b""), 22).is_err(), "elsewhere");
    assert!(directory(&end(u16::MAX, 0, 0, b""), 22).is_err(), "beyond its format");
    let longest = vec![b'x'; 65_535];
    let tail = end(0, 0, 0, &longest);
    assert_eq!(u64::try_from(tail.len()), Ok(MAX_TAIL));
    assert!(directory(&tail, MAX_TAIL).unwrap().is_some());
}

#[test]
fn t01_a_text_is_one_in_any_encoding_and_however_it_comes() {
    let watched = |bytes: &[u8], by: usize| {
        let mut watch = TextWatch::default();
        bytes.chunks(by).for_each(|chunk| watch.feed(chunk));
        watch.is_text()
    };
    let wide = |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
    for by in [1, 2, 3, 100] {
        for text in ["", "a", "投诉\r\n\t", "a\u{1b}$B"] {
            assert!(watched(text.as_bytes(), by), "{text:?}");
        }
        assert!(watched(&wide("\u{feff}投诉\n"), by));
        for bytes in [
            &b"\0"[..],
            b"a\0",
            b"\0a",
            b"ab\x01c",
            b"\xff\xfea",
            &wide("\u{feff}a\u{1}b"),
            b"\xff\xfe\0\0",
        ] {
            assert!(!watched(bytes, by), "{bytes:?}");
        }
    }
}

proptest! {
    #[test]
    fn t01_no_bytes_make_the_inspection_panic(tail in prop::collection::vec(any::<u8>(), 0..200), at in 0_usize..200) {
        let mut bytes = tail;
        let end = end(1, 46, 0, b"");
        bytes.splice(at.min(bytes.len())..at.min(bytes.len()), end);
        let length = u64::try_from(bytes.len()).unwrap();
        if let Ok(Some(found)) = directory(&bytes, length) {
            let _ = inspect(&bytes, found, LIMITS);
        }
        let content = Content { head: &bytes, text: true, archive: None };
        let _ = judge(content, "a.png", "image/png");
    }

    #[test]
    fn t01_a_table_with_any_byte_changed_is_judged_or_refused(place in 0_usize..110, byte in any::<u8>()) {
        let mut bytes = table(&[("甲.txt", 0, 5, 5, 0), ("b/c.txt", 8, 5, 50, 100)]);
        if let Some(changed) = bytes.get_mut(place) {
            *changed = byte;
        }
        let size = u64::try_from(bytes.len()).unwrap();
        let found = super::super::Directory { offset: 1_000, size, entries: 2 };
        let _ = inspect(&bytes, found, LIMITS);
    }

    #[test]
    fn t01_a_decimal_is_written_in_one_way(whole in -1_000_000_i64..1_000_000, fraction in 0_u32..1_000_000) {
        let policy = with(vec![FieldDraft { kind: Some(FieldType::Decimal), ..field("cost") }]);
        let read = |text: String| {
            let asked = [("cost".to_owned(), vec![text])].into();
            policy.content().fields.read(&Default::default(), asked, (TicketKind::Complaint, "")).unwrap()["cost"][0].clone()
        };
        let sign = if whole < 0 { "-" } else { "+" };
        let long = read(format!("{sign}000{}.{fraction:06}", whole.abs()));
        let short = format!("{fraction:06}");
        let short = short.trim_end_matches('0');
        let short = if short.is_empty() { "0" } else { short };
        prop_assert_eq!(&long, &read(format!("{whole}.{short}")));
        prop_assert_eq!(read(long.clone()), long);
    }
}

fn field(code: &str) -> FieldDraft {
    FieldDraft {
        code: code.into(),
        title: kefu_calendar::Label::new("Field", "字段"),
        kind: Some(FieldType::Text),
        ..FieldDraft::default()
    }
}

fn with(fields: Vec<FieldDraft>) -> Policy {
    let content = ContentDraft { fields, ..ContentDraft::default() };
    Policy::try_new(PolicyDraft { content, ..draft() }).expect("a sound policy")
}

#[test]
fn t01_a_field_is_for_a_category_and_those_below_it() {
    let policy = with(vec![FieldDraft {
        categories: vec!["service".into()],
        at_registration: true,
        ..field("desk")
    }]);
    let fields = &policy.content().fields;
    let asked = || [("desk".to_owned(), vec!["三号窗口".to_owned()])].into();
    for (category, meant) in
        [("service", true), ("service/attitude", true), ("services", false), ("", false)]
    {
        let read = fields.read(&Default::default(), asked(), (TicketKind::Complaint, category));
        assert_eq!(read.is_ok(), meant, "{category}");
        let details = super::super::Details { category: category.into(), ..Default::default() };
        assert_eq!(
            fields.required(None, &details, TicketKind::Complaint).len(),
            usize::from(meant)
        );
        // What was missing before is not asked for by a change of something else.
        assert!(fields.required(Some(&details), &details, TicketKind::Complaint).is_empty());
        // What stands there already may stay, whatever the category has become.
        assert_eq!(fields.read(&asked(), asked(), (TicketKind::Complaint, category)), Ok(asked()));
    }
}
