//! T-01: the company's own fields, and tags.

use kefu_api::ticket::v1 as pb;
use kefu_identity::role;
use tonic::{Code, Response, Status};
use tonic_types::StatusExt as _;

use crate::pack::{policy, text};
use crate::world::{Desk, World, complaint, request_id, violations};

fn rule(code: &str, kind: pb::CustomFieldType) -> pb::CustomFieldRule {
    pb::CustomFieldRule {
        code: code.into(),
        title: Some(text(code, "字段")),
        r#type: kind.into(),
        ..Default::default()
    }
}

fn choices(codes: &[&str]) -> Vec<pb::CustomFieldChoice> {
    let choice = |code: &&str| pb::CustomFieldChoice {
        code: (*code).into(),
        title: Some(text(code, "选项")),
    };
    codes.iter().map(choice).collect()
}

fn value(field: &str, values: &[&str]) -> pb::CustomFieldValue {
    let values = values.iter().map(|value| (*value).into()).collect();
    pb::CustomFieldValue { field: field.into(), values }
}

/// A field of each type; complaints need a meter, and the solution a cost.
fn with_fields() -> pb::TicketPolicy {
    use pb::CustomFieldType as Type;
    let mut policy = policy();
    policy.custom_fields = vec![
        pb::CustomFieldRule {
            ticket_kinds: vec![pb::TicketKind::Complaint.into()],
            required_at_registration: true,
            max_length: 10,
            ..rule("meter_no", Type::Text)
        },
        pb::CustomFieldRule {
            required_at_resolution: true,
            min_value: "0".into(),
            max_value: "99999.5".into(),
            ..rule("cost", Type::Decimal)
        },
        rule("floors", Type::Number),
        pb::CustomFieldRule { min_value: "2020-01-01".into(), ..rule("installed", Type::Date) },
        rule("insured", Type::Bool),
        pb::CustomFieldRule { choices: choices(&["low", "high"]), ..rule("risk", Type::Choice) },
        pb::CustomFieldRule {
            choices: choices(&["motor", "door", "cable"]),
            ..rule("parts", Type::MultiChoice)
        },
    ];
    policy
}

fn with(fields: Vec<pb::CustomFieldValue>) -> pb::Ticket {
    pb::Ticket { custom_fields: fields, ..complaint("group/north", "电梯") }
}

async fn with_policy() -> World {
    let world = World::new().await;
    world.admin().apply("group", with_fields()).await.unwrap();
    world
}

impl Desk {
    async fn set(
        &mut self,
        name: &str,
        fields: Vec<pb::CustomFieldValue>,
        paths: &[&str],
    ) -> Result<pb::Ticket, Status> {
        let ticket = pb::Ticket { name: name.into(), custom_fields: fields, ..Default::default() };
        let paths = paths.iter().map(|path| (*path).into()).collect();
        let request = pb::UpdateTicketRequest {
            ticket: Some(ticket),
            update_mask: Some(prost_types::FieldMask { paths }),
            ..Default::default()
        };
        self.tickets.update_ticket(request).await.map(Response::into_inner)
    }

    async fn tag(
        &mut self,
        name: &str,
        add: &[&str],
        remove: &[&str],
    ) -> Result<pb::Ticket, Status> {
        let list = |tags: &[&str]| tags.iter().map(|tag| (*tag).into()).collect();
        let request = pb::TagTicketRequest {
            name: name.into(),
            add: list(add),
            remove: list(remove),
            ..Default::default()
        };
        self.tickets.tag_ticket(request).await.map(Response::into_inner)
    }

    async fn found(&mut self, filter: &str) -> usize {
        let request = pb::ListQueueRequest {
            org_unit: "group".into(),
            filter: filter.into(),
            ..Default::default()
        };
        self.queues.list_queue(request).await.unwrap().into_inner().entries.len()
    }
}

#[tokio::test]
async fn t01_custom_fields_are_kept_as_the_policy_has_them() {
    let world = with_policy().await;
    let mut clerk = world.desk("handler", "group", role::HANDLER);
    let ticket = with(vec![
        value("parts", &["cable", "motor"]),
        value("meter_no", &["表 A-1"]),
        value("cost", &["+012.500"]),
        value("floors", &["-007"]),
        value("installed", &["2024-02-29"]),
        value("insured", &["true"]),
        value("risk", &["high"]),
    ]);
    let kept = vec![
        value("cost", &["12.5"]),
        value("floors", &["-7"]),
        value("installed", &["2024-02-29"]),
        value("insured", &["true"]),
        value("meter_no", &["表 A-1"]),
        value("parts", &["motor", "cable"]),
        value("risk", &["high"]),
    ];
    let made = clerk.create(ticket).await;
    assert_eq!(made.custom_fields, kept);
    assert_eq!(clerk.get(&made.name).await.custom_fields, kept);
    let history = clerk.history(&made.name).await;
    assert!(history[0].after_json.contains(r#""meter_no":"表 A-1""#), "{}", history[0].after_json);
    // What is named changes, what comes without a value goes, the rest stays.
    let asked = vec![value("cost", &["3"]), value("floors", &[]), value("parts", &["door"])];
    let changed = clerk.set(&made.name, asked, &["custom_fields"]).await.unwrap();
    let expected = [
        value("cost", &["3"]),
        value("installed", &["2024-02-29"]),
        value("insured", &["true"]),
        value("meter_no", &["表 A-1"]),
        value("parts", &["door"]),
        value("risk", &["high"]),
    ];
    assert_eq!(changed.custom_fields, expected);
    assert_eq!(clerk.get(&made.name).await.custom_fields, expected);
    let events = "SELECT count(*) FROM journal WHERE action = 'UpdateTicket' \
                  AND before -> 'custom_fields' ->> 'cost' = '12.5' AND after -> 'custom_fields' ->> 'cost' = '3'";
    assert_eq!(world.count(events).await, 1);
    // The same again changes nothing, and other fields leave them alone.
    let same =
        clerk.set(&made.name, vec![value("cost", &["3"])], &["custom_fields"]).await.unwrap();
    assert_eq!(same.etag, changed.etag);
}

#[tokio::test]
async fn x06_every_custom_field_that_is_wrong_is_named() {
    let world = with_policy().await;
    let mut clerk = world.desk("handler", "group", role::HANDLER);
    let ticket = with(vec![
        value("meter_no", &["12345678901"]),
        value("cost", &["-1"]),
        value("floors", &["3.5"]),
        value("installed", &["2025-02-29"]),
        value("insured", &["yes"]),
        value("risk", &["low", "high"]),
        value("parts", &["motor", "motor"]),
        value("nowhere", &["1"]),
    ]);
    let mut fields = violations(&clerk.try_create(ticket, String::new()).await.unwrap_err());
    fields.sort();
    let expected =
        ["cost", "floors", "installed", "insured", "meter_no", "nowhere", "parts", "risk"];
    assert_eq!(fields, expected.map(|code| format!("ticket.custom_fields.{code}")));
    // Required, and not for an inquiry.
    let missing = clerk.try_create(with(Vec::new()), String::new()).await.unwrap_err();
    assert_eq!(violations(&missing), ["ticket.custom_fields.meter_no"]);
    let inquiry = |fields| pb::Ticket { kind: pb::TicketKind::Inquiry.into(), ..with(fields) };
    let made = clerk.create(inquiry(Vec::new())).await;
    let error = clerk
        .set(&made.name, vec![value("meter_no", &["A"])], &["custom_fields"])
        .await
        .unwrap_err();
    assert_eq!(violations(&error), ["ticket.custom_fields.meter_no"]);
    // Given twice, or not even a text.
    let twice = with(vec![
        value("meter_no", &["A"]),
        value("meter_no", &["B"]),
        value("risk", &["a\u{202e}b"]),
    ]);
    let error = clerk.try_create(twice, String::new()).await.unwrap_err();
    assert_eq!(
        violations(&error),
        ["ticket.custom_fields[1].field", "ticket.custom_fields[2].values[0]"]
    );
    // What must be there is not taken away.
    let made = clerk.create(with(vec![value("meter_no", &["A"])])).await;
    let error =
        clerk.set(&made.name, vec![value("meter_no", &[])], &["custom_fields"]).await.unwrap_err();
    assert_eq!(violations(&error), ["ticket.custom_fields.meter_no"]);
}

#[tokio::test]
async fn t09_what_a_resolution_needs_is_named() {
    let world = with_policy().await;
    let mut manager = world.manager();
    let made = manager.create(with(vec![value("meter_no", &["A"])])).await;
    let error = manager.resolve(&made.name).await.unwrap_err();
    assert_eq!(error.code(), Code::FailedPrecondition);
    let missing = error.get_details_precondition_failure().unwrap().violations;
    let missing: Vec<_> =
        missing.iter().map(|one| (one.r#type.as_str(), one.subject.as_str())).collect();
    assert_eq!(missing, [("CUSTOM_FIELD", "cost")]);
    manager.set(&made.name, vec![value("cost", &["0"])], &["custom_fields"]).await.unwrap();
    manager.resolve(&made.name).await.unwrap();
}

#[tokio::test]
async fn t23_custom_fields_and_tags_can_be_filtered_by() {
    let world = with_policy().await;
    let mut clerk = world.desk("handler", "group", role::HANDLER);
    for (meter, parts) in
        [("A-1", vec!["motor"]), ("A-2", vec!["motor", "door"]), ("B-1", Vec::new())]
    {
        let mut fields = vec![value("meter_no", &[meter])];
        if !parts.is_empty() {
            fields.push(value("parts", &parts));
        }
        clerk.create(with(fields)).await;
    }
    world.settle().await;
    for (filter, number) in [
        (r#"fields.meter_no = "A-1""#, 1),
        (r#"fields.meter_no = "A-*""#, 2),
        (r#"fields.meter_no != "A-1""#, 2),
        ("fields.parts = motor", 2),
        ("fields.parts = door", 1),
        ("fields.parts != door", 2),
        ("fields.parts:*", 2),
        (r#"NOT fields.parts:* AND fields.meter_no = "B-1""#, 1),
        (r#"fields.unknown = "x""#, 0),
    ] {
        assert_eq!(clerk.found(filter).await, number, "{filter}");
    }
}

#[tokio::test]
async fn x10_another_policy_loses_no_value() {
    let world = with_policy().await;
    let mut clerk = world.desk("handler", "group", role::HANDLER);
    let made = clerk.create(with(vec![value("meter_no", &["A"]), value("floors", &["7"])])).await;
    world.admin().apply("group", policy()).await.unwrap();
    assert_eq!(clerk.get(&made.name).await.custom_fields.len(), 2);
    // The ticket goes by the policy that was in force when it began.
    let changed =
        clerk.set(&made.name, vec![value("floors", &["8"])], &["custom_fields"]).await.unwrap();
    assert_eq!(changed.custom_fields, [value("floors", &["8"]), value("meter_no", &["A"])]);
    let error =
        clerk.try_create(with(vec![value("floors", &["8"])]), String::new()).await.unwrap_err();
    assert_eq!(violations(&error), ["ticket.custom_fields.floors"]);
}

#[tokio::test]
async fn x06_a_policy_with_wrong_content_rules_is_told_where() {
    use pb::CustomFieldType as Type;
    let world = World::new().await;
    let mut wrong = policy();
    wrong.custom_fields = vec![
        rule("Meter", Type::Text),
        pb::CustomFieldRule {
            choices: choices(&["a"]),
            min_value: "1".into(),
            ..rule("a", Type::Text)
        },
        rule("a", Type::Choice),
        pb::CustomFieldRule { choices: choices(&["x", "x"]), ..rule("b", Type::MultiChoice) },
        pb::CustomFieldRule {
            min_value: "2".into(),
            max_value: "1".into(),
            max_length: 5,
            ..rule("c", Type::Number)
        },
        pb::CustomFieldRule { title: None, ..rule("d", Type::Unspecified) },
    ];
    wrong.attachments = Some(pb::AttachmentRules {
        media_types: vec!["pictures".into(), "image/jpg".into(), "image/jpeg".into()],
        max_file_bytes: -1,
        max_files: 2_000,
        ..Default::default()
    });
    wrong.tags = Some(pb::TagRules { allowed: vec!["急".into(), "急".into()], max_tags: 51 });
    let error = world.admin().apply("group", wrong).await.unwrap_err();
    let mut fields = violations(&error);
    fields.sort();
    assert_eq!(
        fields,
        [
            "policy.attachments.max_file_bytes",
            "policy.attachments.max_files",
            "policy.attachments.media_types[0]",
            "policy.attachments.media_types[2]",
            "policy.custom_fields[0].code",
            "policy.custom_fields[1].choices",
            "policy.custom_fields[1].min_value",
            "policy.custom_fields[2].choices",
            "policy.custom_fields[2].code",
            "policy.custom_fields[3].choices[1].code",
            "policy.custom_fields[4].max_length",
            "policy.custom_fields[4].max_value",
            "policy.custom_fields[5].title",
            "policy.custom_fields[5].type",
            "policy.tags.allowed[1]",
            "policy.tags.max_tags",
        ]
    );
}

#[tokio::test]
async fn t01_two_who_tag_at_once_lose_nothing() {
    let world = World::new().await;
    let mut clerk = world.desk("handler", "group", role::HANDLER);
    let tagged = pb::Ticket {
        tags: vec!["急".into(), "急".into(), "漏水".into()],
        ..complaint("group/north", "电梯")
    };
    let made = clerk.create(tagged).await;
    assert_eq!(made.tags, ["急", "漏水"]);
    let (mut one, mut two) = (clerk.clone(), clerk.clone());
    let (one, two) = tokio::join!(
        one.tag(&made.name, &["甲"], &["急"]),
        two.tag(&made.name, &["乙", "漏水"], &[])
    );
    one.unwrap();
    two.unwrap();
    let mut tags = clerk.get(&made.name).await.tags;
    tags.sort();
    assert_eq!(tags, ["乙", "漏水", "甲"]);
    let request = pb::TagTicketRequest {
        name: made.name.clone(),
        add: vec!["丙".into()],
        etag: made.etag.clone(),
        request_id: request_id(1),
        ..Default::default()
    };
    assert_eq!(clerk.tickets.tag_ticket(request).await.unwrap_err().code(), Code::Aborted);
    let error = clerk.tag(&made.name, &["丙", ""], &["丙"]).await.unwrap_err();
    assert_eq!(violations(&error), ["add[1]", "remove[0]"]);
    let many: Vec<String> = (0..50).map(|number| number.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(violations(&clerk.tag(&made.name, &many, &[]).await.unwrap_err()), ["ticket.tags"]);
}

#[tokio::test]
async fn t01_where_the_policy_has_a_list_of_tags_others_are_refused() {
    let world = World::new().await;
    let mut clerk = world.desk("handler", "group", role::HANDLER);
    let before = clerk
        .create(pb::Ticket { tags: vec!["旧".into()], ..complaint("group/north", "电梯") })
        .await;
    let mut strict = policy();
    strict.tags = Some(pb::TagRules {
        allowed: vec!["急".into(), "漏水".into(), "噪音".into()],
        max_tags: 2,
    });
    world.admin().apply("group", strict).await.unwrap();
    let wrong =
        pb::Ticket { tags: vec!["急".into(), "旧".into()], ..complaint("group/north", "电梯") };
    assert_eq!(
        violations(&clerk.try_create(wrong, String::new()).await.unwrap_err()),
        ["ticket.tags[1]"]
    );
    let made = clerk
        .create(pb::Ticket { tags: vec!["急".into()], ..complaint("group/north", "电梯") })
        .await;
    clerk.tag(&made.name, &["漏水"], &[]).await.unwrap();
    assert_eq!(
        violations(&clerk.tag(&made.name, &["噪音"], &[]).await.unwrap_err()),
        ["ticket.tags"]
    );
    clerk.tag(&made.name, &["噪音"], &["急"]).await.unwrap();
    // The older ticket goes by the policy of its own time.
    clerk.tag(&before.name, &["新"], &[]).await.unwrap();
}
