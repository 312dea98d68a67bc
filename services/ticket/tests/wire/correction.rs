//! T-01: of whom and about what a ticket was registered is put right, and everything follows.

use kefu_api::ticket::v1 as pb;
use kefu_identity::role;
use prost::Message as _;
use prost_types::FieldMask;
use serde_json::Value;
use tonic::{Code, Response, Status};

use crate::work_order::order;
use crate::world::{
    Desk, World, at, complaint, contact, customer, metadata, reason, request_id, violations,
};

type Answer = Result<pb::Ticket, Status>;

/// Everything with the ticket's customer beside it.
const TABLES: [&str; 21] = [
    "ticket",
    "ticket_clock",
    "verdict",
    "escalation",
    "message",
    "violation",
    "work_order",
    "routing_step",
    "handling_record",
    "transfer",
    "plan_item",
    "supervision",
    "root_cause",
    "corrective_action",
    "product_hold",
    "delivery",
    "trigger_run",
    "ticket_merge",
    "ticket_link",
    "mass_answer",
    "process",
];

fn handler(world: &World) -> Desk {
    world.desk("wang", "group", role::HANDLER)
}

/// Asks for what is set in `right` of a ticket as it was last seen.
fn asked(seen: &pb::Ticket, right: pb::Ticket) -> pb::CorrectTicketRequest {
    let (name, etag) = (seen.name.clone(), seen.etag.clone());
    pb::CorrectTicketRequest {
        ticket: Some(pb::Ticket { name, etag, ..right }),
        reason: "登记时选错了客户".into(),
        ..Default::default()
    }
}

fn of(number: u128) -> pb::Ticket {
    pb::Ticket { customer: customer(number), contact: contact(number), ..Default::default() }
}

impl Desk {
    async fn correct(&mut self, request: pb::CorrectTicketRequest) -> Answer {
        self.tickets.correct_ticket(request).await.map(Response::into_inner)
    }

    async fn of_customer(&mut self, customer: &str) -> Vec<String> {
        let request = pb::ListTicketsRequest {
            org_unit: "group".into(),
            customer: customer.into(),
            ..Default::default()
        };
        let tickets = self.tickets.list_tickets(request).await.unwrap().into_inner().tickets;
        tickets.into_iter().map(|ticket| ticket.name).collect()
    }

    async fn queue_of(&mut self, customer: &str) -> Vec<String> {
        let request = pb::ListQueueRequest {
            org_unit: "group".into(),
            filter: format!("customer = \"{customer}\""),
            ..Default::default()
        };
        let entries = self.queues.list_queue(request).await.unwrap().into_inner().entries;
        entries.into_iter().map(|entry| entry.ticket.unwrap().name).collect()
    }

    async fn repeats(&mut self) -> (i64, Vec<String>) {
        let request =
            pb::GetComplaintReportRequest { org_unit: "group".into(), ..Default::default() };
        let report = self.reports.get_complaint_report(request).await.unwrap().into_inner();
        let repeats = report.repeats.unwrap();
        (repeats.count, repeats.top.into_iter().map(|again| again.customer).collect())
    }
}

/// Customers 1 and 2, the second a VIP, and a ticket that was taken as the first one's.
async fn mistaken() -> (World, pb::Ticket) {
    let world = World::new().await;
    for number in [1, 2] {
        world.customer(number).await;
    }
    world.grade(2, "group/north", "vip", 1).await;
    world.settle().await;
    let earlier = pb::Ticket {
        customer: customer(2),
        product: "水泵".into(),
        ..complaint("group/north", "漏水")
    };
    world.clerk().create(earlier).await;
    world.pass_hours(1).await;
    let ticket =
        pb::Ticket { product: "水泵".into(), ..complaint("group/north/riverside", "又漏水") };
    let ticket = pb::Ticket { customer: customer(1), contact: contact(1), ..ticket };
    let ticket = world.clerk().create(ticket).await;
    (world, ticket)
}

#[tokio::test]
async fn t01_a_wrong_customer_is_put_right_and_everything_follows() {
    let (world, ticket) = mistaken().await;
    let (mut wang, mut manager) = (handler(&world), world.manager());
    manager.respond(&ticket.name).await.unwrap();
    let escalate = pb::EscalateTicketRequest {
        name: ticket.name.clone(),
        reason: "需要总监介入".into(),
        ..Default::default()
    };
    manager.tickets.escalate_ticket(escalate).await.unwrap();
    let issued =
        pb::WorkOrder { ticket: ticket.name.clone(), ..order("group/north", "换密封圈") };
    manager.issue(issued).await;
    world.settle().await;
    assert_eq!(wang.repeats().await, (0, vec![]));

    let before = wang.get(&ticket.name).await;
    let right = wang.correct(asked(&before, of(2))).await.unwrap();
    assert_eq!((&right.customer, &right.contact), (&customer(2), &contact(2)));
    assert_eq!((&*right.customer_grade, right.priority()), ("vip", pb::TicketPriority::High));
    // What was promised, how much it weighs and who may handle it stay as they are.
    assert_eq!((&right.clocks, right.severity), (&before.clocks, before.severity));
    assert_eq!(right.receiver_level, before.receiver_level);
    assert_eq!(wang.get(&ticket.name).await, right, "what was answered is what is there");

    world.settle().await;
    assert_eq!(wang.of_customer(&customer(1)).await, Vec::<String>::new());
    assert_eq!(wang.of_customer(&customer(2)).await.len(), 2);
    assert_eq!(wang.queue_of(&customer(1)).await, Vec::<String>::new());
    assert_eq!(wang.queue_of(&customer(2)).await.len(), 2);
    assert_eq!(wang.repeats().await, (1, vec![customer(2)]), "it repeats the other one's");
    let wrong = uuid::Uuid::from_u128(1);
    for table in TABLES {
        let left = format!("SELECT count(*) FROM {table} WHERE customer_id = $1");
        let left: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(left))
            .bind(wrong)
            .fetch_one(&world.pool)
            .await
            .unwrap();
        assert_eq!(left, 0, "{table}");
    }

    let entry = wang.history(&ticket.name).await.pop().unwrap();
    assert_eq!((&*entry.action, &*entry.actor), ("CorrectTicket", "wang"));
    let [was, is] = [&entry.before_json, &entry.after_json]
        .map(|json| serde_json::from_str::<Value>(json).unwrap());
    assert_eq!(was["customer"], wrong.to_string());
    assert_eq!((&was["customer_grade"], &was["priority"]), (&Value::Null, &"normal".into()));
    assert_eq!(is["customer"], uuid::Uuid::from_u128(2).to_string());
    assert_eq!((&is["customer_grade"], &is["priority"]), (&"vip".into(), &"high".into()));
    assert_eq!(is["correct_reason"], "登记时选错了客户");
    assert!(was.get("subject").is_none() && is.get("clocks").is_none(), "only what differs");

    let (event, of_customer): (Vec<u8>, uuid::Uuid) = sqlx::query_as(
        "SELECT event, customer_id FROM journal WHERE event_type = 'kefu.ticket.v1.TicketCorrected'",
    )
    .fetch_one(&world.pool)
    .await
    .unwrap();
    let event = pb::TicketCorrected::decode(event.as_slice()).unwrap();
    assert_eq!(of_customer, uuid::Uuid::from_u128(2));
    assert_eq!((&event.previous_customer, &event.previous_contact), (&customer(1), &contact(1)));
    assert_eq!(event.fields, ["customer", "contact"]);
    assert_eq!(event.previous_priority(), pb::TicketPriority::Normal);
    assert_eq!(event.ticket.unwrap().customer, customer(2));
}

#[tokio::test]
async fn t03_another_customer_lowers_no_priority_and_another_product_is_graded_anew() {
    let (world, ticket) = mistaken().await;
    let mut wang = handler(&world);
    let right = wang.correct(asked(&ticket, of(2))).await.unwrap();
    assert_eq!(right.priority(), pb::TicketPriority::High);
    let back = wang.correct(asked(&right, of(1))).await.unwrap();
    assert_eq!((&*back.customer_grade, back.priority()), ("", pb::TicketPriority::High));
    // A grade of the department counts for any product.
    let of_another = pb::Ticket { product: "电梯".into(), ..of(2) };
    let again = wang.correct(asked(&back, of_another)).await.unwrap();
    assert_eq!((&*again.product, &*again.customer_grade), ("电梯", "vip"));
}

#[tokio::test]
async fn t01_who_complains_when_and_about_what_is_put_right_field_by_field() {
    let (world, ticket) = mistaken().await;
    let mut wang = handler(&world);
    let right = pb::Ticket {
        complainant_type: "franchisee".into(),
        occur_time: at("2026-03-01T06:00:00Z"),
        order_reference: "HT-9".into(),
        shop: "解放路店".into(),
        product: "电梯".into(),
        ..Default::default()
    };
    let found = wang.correct(asked(&ticket, right.clone())).await.unwrap();
    assert_eq!((&found.customer, &found.contact), (&ticket.customer, &ticket.contact));
    assert_eq!(found.occur_time, right.occur_time);
    assert_eq!(found.complainant_type, right.complainant_type);
    let about = |ticket: &pb::Ticket| {
        let pb::Ticket { product, order_reference, shop, .. } = ticket.clone();
        (product, order_reference, shop)
    };
    assert_eq!(about(&found), about(&right));
    // What is named and empty is taken away; with the customer goes the contact.
    let masked = |paths: &[&str], right| pb::CorrectTicketRequest {
        update_mask: Some(FieldMask { paths: paths.iter().map(ToString::to_string).collect() }),
        ..asked(&found, right)
    };
    let named = pb::Ticket { complainant: "王芳".into(), ..Default::default() };
    let paths = ["customer", "complainant", "occur_time", "complainant_type"];
    let none = wang.correct(masked(&paths, named)).await.unwrap();
    assert_eq!((&*none.customer, &*none.contact, &*none.complainant), ("", "", "王芳"));
    assert_eq!((none.occur_time, &*none.complainant_type), (None, ""));
    assert_eq!(wang.get(&ticket.name).await, none);
    // Somebody who turned out to be a customer.
    let known = wang.correct(asked(&none, of(2))).await.unwrap();
    assert_eq!((&known.customer, &*known.complainant), (&customer(2), ""));
    let same = wang.correct(asked(&known, of(2))).await.unwrap();
    assert_eq!(same, known, "no difference is no change");
}

#[tokio::test]
async fn x06_every_fault_of_a_correction_is_named() {
    let (world, ticket) = mistaken().await;
    let mut wang = handler(&world);
    let nothing = wang.correct(pb::CorrectTicketRequest::default()).await.unwrap_err();
    assert_eq!(violations(&nothing), ["reason", "ticket"]);
    let seen = pb::Ticket { etag: String::new(), ..ticket.clone() };
    let wrong = pb::CorrectTicketRequest {
        reason: "长".repeat(501),
        ..asked(
            &seen,
            pb::Ticket {
                customer: "customers/7".into(),
                contact: "contacts/1".into(),
                shop: "长".repeat(201),
                complainant: "a\nb".into(),
                ..Default::default()
            },
        )
    };
    let error = wang.correct(wrong).await.unwrap_err();
    let mut found = violations(&error);
    found.sort();
    let expected = ["complainant", "contact", "customer", "etag", "shop"];
    let expected: Vec<_> = expected.iter().map(|field| format!("ticket.{field}")).collect();
    assert_eq!(found, [&["reason".to_owned()], &expected[..]].concat());
    let empty = wang.correct(asked(&ticket, pb::Ticket::default())).await.unwrap_err();
    assert_eq!(violations(&empty), ["update_mask"]);
    let masked = pb::CorrectTicketRequest {
        update_mask: Some(FieldMask { paths: vec!["shop".into(), "severity".into()] }),
        ..asked(&ticket, pb::Ticket::default())
    };
    let error = wang.correct(masked).await.unwrap_err();
    assert_eq!(violations(&error), ["update_mask.paths[1]"]);
    for (right, field) in [
        (pb::Ticket { contact: contact(2), ..of(1) }, "contact"),
        (pb::Ticket { contact: contact(2), ..Default::default() }, "contact"),
        (pb::Ticket { complainant: "王芳".into(), ..Default::default() }, "complainant"),
        (pb::Ticket { occur_time: at("2026-03-02T03:00:00.000001Z"), ..of(2) }, "occur_time"),
    ] {
        let error = wang.correct(asked(&ticket, right)).await.unwrap_err();
        assert_eq!(violations(&error), [format!("ticket.{field}")]);
    }
    // Whom nobody knows and what is wrong besides, all at once; and each by the field that was sent.
    for (right, fields) in [
        (of(99), vec!["contact", "customer"]),
        (pb::Ticket { contact: contact(99), ..Default::default() }, vec!["contact"]),
        (
            pb::Ticket {
                complainant: "王芳".into(),
                occur_time: at("2026-03-02T03:00:00.000001Z"),
                ..of(99)
            },
            vec!["complainant", "contact", "customer", "occur_time"],
        ),
    ] {
        let error = wang.correct(asked(&ticket, right)).await.unwrap_err();
        let mut found = violations(&error);
        found.sort();
        let fields = fields.into_iter().map(|field| format!("ticket.{field}"));
        assert_eq!(found, fields.collect::<Vec<_>>());
    }
    assert_eq!(wang.get(&ticket.name).await, ticket, "nothing has happened");
}

#[tokio::test]
async fn x07_a_correction_is_for_those_who_handle_the_ticket_and_tells_others_nothing() {
    let (world, ticket) = mistaken().await;
    for mut desk in [
        world.clerk(),
        world.quality(),
        world.desk("zhou", "group/south", role::MANAGER),
        world.desk("nan", "group/north/other", role::HANDLER),
    ] {
        // Whether there is such a customer is not told either.
        for right in [of(2), of(99)] {
            let error = desk.correct(asked(&ticket, right)).await.unwrap_err();
            assert_eq!(error.code(), Code::PermissionDenied);
        }
    }
    let nowhere =
        pb::Ticket { name: "tickets/00000000-0000-0000-0000-000000000009".into(), ..ticket };
    let error = handler(&world).correct(asked(&nowhere, of(2))).await.unwrap_err();
    assert_eq!(error.code(), Code::NotFound);
}

#[tokio::test]
async fn x02_x03_a_correction_is_of_what_was_seen_and_done_once() {
    let (mut world, ticket) = mistaken().await;
    let mut wang = handler(&world);
    let request = pb::CorrectTicketRequest { request_id: request_id(5), ..asked(&ticket, of(2)) };
    let first = wang.correct(request.clone()).await.unwrap();
    let stale = wang.correct(asked(&ticket, of(1))).await.unwrap_err();
    assert_eq!((stale.code(), &*reason(&stale)), (Code::Aborted, "ETAG_STALE"));
    assert_eq!(metadata(&stale, "current_etag"), first.etag);
    wang.correct(asked(&first, of(1))).await.unwrap();
    let other = pb::CorrectTicketRequest { reason: "别的".into(), ..request.clone() };
    assert_eq!(wang.correct(other).await.unwrap_err().code(), Code::AlreadyExists);
    // The answer of the first time, also while nobody can tell whether the customer is there.
    world.neighbours.take().unwrap().stop().await.unwrap();
    assert_eq!(wang.correct(request).await.unwrap(), first);
    let count = "SELECT count(*) FROM journal WHERE action = 'CorrectTicket'";
    assert_eq!(world.count(count).await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x03_of_two_corrections_at_once_one_is_done() {
    let (mut world, ticket) = mistaken().await;
    world.customer(3).await;
    world.settle().await;
    world.start_replica().await;
    let calls: Vec<_> = (0..8_u128)
        .map(|index| {
            let replica = usize::from(index % 2 == 1);
            let mut desk = world.desk_at(replica, "wang", "group", role::HANDLER);
            let request = asked(&ticket, of(2 + index % 2));
            tokio::spawn(async move { desk.correct(request).await })
        })
        .collect();
    let mut done = Vec::new();
    for call in calls {
        match call.await.unwrap() {
            Ok(ticket) => done.push(ticket),
            Err(error) => assert_eq!(reason(&error), "ETAG_STALE"),
        }
    }
    assert_eq!(done.len(), 1);
    assert_eq!(handler(&world).get(&ticket.name).await, done[0]);
    let moved: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM ticket_clock JOIN ticket ON ticket.id = ticket_clock.ticket_id
         WHERE ticket_clock.customer_id IS DISTINCT FROM ticket.customer_id",
    )
    .fetch_one(&world.pool)
    .await
    .unwrap();
    assert_eq!(moved, 0);
}

#[tokio::test]
async fn t09_what_has_ended_is_not_corrected() {
    let (world, ticket) = mistaken().await;
    let mut wang = handler(&world);
    let told = wang.handle(&ticket.name).await;
    let right = wang.correct(asked(&told, of(2))).await.unwrap();
    assert_eq!(right.state(), pb::TicketState::ResultFedBack, "a verdict is still to come");
    let closed = world.quality().verdict(&ticket.name, 1).await.unwrap();
    let error = wang.correct(asked(&closed, of(1))).await.unwrap_err();
    let found = (error.code(), reason(&error), metadata(&error, "state"));
    assert_eq!(found, (Code::FailedPrecondition, "ILLEGAL_STATE".into(), "CLOSED".into()));
    assert_eq!(metadata(&error, "command"), "CorrectTicket");
    let [source, target] =
        ["电梯坏了", "电梯还是坏的"].map(|subject| complaint("group/north", subject));
    let (mut clerk, mut manager) = (world.clerk(), world.manager());
    let (source, target) = (clerk.create(source).await, clerk.create(target).await);
    let merge = pb::MergeTicketRequest {
        name: source.name.clone(),
        into: target.name.clone(),
        reason: "同一部电梯".into(),
        ..Default::default()
    };
    let merged = manager.links.merge_ticket(merge).await.unwrap().into_inner();
    let error = wang.correct(asked(&merged, of(1))).await.unwrap_err();
    assert_eq!(metadata(&error, "survivor"), target.name);
}
