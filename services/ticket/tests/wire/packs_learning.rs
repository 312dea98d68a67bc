//! What the packs say beside their clocks: categories, criteria, reports to headquarters, holds, fields, shifts; each lived
//! through with the clock in its hand.

use kefu_api::ticket::v1 as pb;
use kefu_identity::role;
use tonic::Code;

use crate::packs::{Company, pack};
use crate::routing::team;
use crate::work_order::order;
use crate::world::{at, complaint, customer, reason, violations};

fn about(category: &str, product: &str) -> pb::Ticket {
    pb::Ticket {
        category: category.into(),
        product: product.into(),
        ..complaint("group", "阀门漏水")
    }
}

#[tokio::test]
async fn t15_real_estate_group_keeps_major_complaints_under_the_supervision_of_headquarters() {
    let mut company = Company::under(pack!("real-estate-group")).await;
    let mut clerk = company.world.clerk();
    let unknown = clerk.try_create(about("parking", ""), String::new()).await.unwrap_err();
    assert_eq!(violations(&unknown), ["ticket.category"]);
    let visitor = pb::Ticket { complainant_type: "visitor".into(), ..about("sales-promise", "") };
    let unknown = clerk.try_create(visitor, String::new()).await.unwrap_err();
    assert_eq!(violations(&unknown), ["ticket.complainant_type"]);
    for category in ["engineering-quality", "service-attitude", "sales-promise"] {
        let owner = pb::Ticket { complainant_type: "owner".into(), ..about(category, "三号楼") };
        let taken = company.takes(owner).await;
        assert_eq!(company.manager.get(&taken.name).await.supervision, None, "an ordinary one");
    }
    let major = pb::Ticket { severity: 3, ..about("engineering-quality", "三号楼") };
    let major = company.takes(major).await;
    company.world.settle().await;
    let watched = company.manager.get(&major.name).await;
    assert!(watched.report_time.is_some());
    // Two working days from ten o'clock on Monday.
    assert_eq!(watched.supervision.unwrap().answer_due_time, at("2026-03-04T02:00:00Z"));
    company.world.set_time("2026-03-04T01:59:59Z").await;
    assert_eq!(company.proposed(&major, "no-answer-to-headquarters").await, 0);
    company.world.set_time("2026-03-04T02:00:00Z").await;
    assert_eq!(company.proposed(&major, "no-answer-to-headquarters").await, 1);
    assert!(company.manager.get(&major.name).await.supervision.is_some(), "it stays");
}

#[tokio::test]
async fn t18_manufacturing_quality_holds_a_product_at_once_until_quality_lifts_it() {
    let mut company = Company::under(pack!("manufacturing-quality")).await;
    company.takes(about("service", "阀门")).await;
    let request = pb::ListProductHoldsRequest { org_unit: "group".into(), ..Default::default() };
    let holds = company.manager.actions.list_product_holds(request.clone()).await.unwrap();
    assert!(holds.into_inner().product_holds.is_empty(), "not for the service");
    let taken = company.takes(about("quality", "阀门")).await;
    let holds = company.manager.actions.list_product_holds(request.clone()).await.unwrap();
    let hold = holds.into_inner().product_holds.remove(0);
    assert_eq!((&*hold.product, &hold.ticket), ("阀门", &taken.name));
    let lift = pb::LiftProductHoldRequest {
        name: hold.name,
        reason: "复检合格".into(),
        ..Default::default()
    };
    // Not even those above: only quality.
    for above in [role::MANAGER, role::DIRECTOR, role::HEADQUARTERS, role::ADMIN] {
        let mut desk = company.world.desk("boss", "group", above);
        let error = desk.actions.lift_product_hold(lift.clone()).await.unwrap_err();
        assert_eq!(error.code(), Code::PermissionDenied, "{above}");
    }
    company.quality.actions.lift_product_hold(lift.clone()).await.unwrap();
    let again = company.quality.actions.lift_product_hold(lift).await.unwrap_err();
    assert_eq!(reason(&again), "ILLEGAL_STATE");
}

#[tokio::test]
async fn t19_manufacturing_quality_registers_who_when_and_what() {
    let mut company = Company::under(pack!("manufacturing-quality")).await;
    let bare = company.takes(about("service", "")).await;
    let whole = pb::Ticket {
        complainant: "张三".into(),
        description: "阀门漏水".into(),
        occur_time: at("2026-03-01T02:00:00Z"),
        ..about("service", "")
    };
    let whole = company.takes(whole).await;
    company.world.settle().await;
    assert_eq!(company.proposed(&bare, "incomplete-registration").await, 3);
    assert_eq!(company.proposed(&whole, "incomplete-registration").await, 0);
    company.world.pass_hours(1).await;
    assert_eq!(company.proposed(&bare, "incomplete-registration").await, 3, "once each");
}

#[tokio::test]
async fn t03_franchise_complaints_take_a_second_complaint_about_the_same_matter_for_serious() {
    let mut company = Company::under(pack!("franchise-complaints")).await;
    company.world.customer(1).await;
    company.world.settle().await;
    let of_shop = |shop: &str, kind: pb::TicketKind| pb::Ticket {
        customer: customer(1),
        kind: kind.into(),
        complainant_type: "franchisee".into(),
        ..about("配送", shop)
    };
    let first = company.takes(of_shop("人民路店", pb::TicketKind::Complaint)).await;
    assert_eq!((first.severity, first.receiver_level), (1, 1));
    let other = company.takes(of_shop("中山路店", pb::TicketKind::Complaint)).await;
    assert_eq!(other.severity, 1, "another matter");
    let asked = company.takes(of_shop("人民路店", pb::TicketKind::Inquiry)).await;
    assert_eq!(asked.severity, 1, "no complaint");
    company.world.pass_hours(30 * 24).await;
    let second = company.takes(of_shop("人民路店", pb::TicketKind::Complaint)).await;
    assert_eq!((second.severity, second.receiver_level), (2, 2));
    // What the regulation gives a range for is set within it, and only by a confirmation.
    let found = company.manager.violations("group").await;
    let broken = found.iter().find(|found| found.code == "broken-procedure").unwrap();
    assert_eq!((broken.amount_cents, broken.max_amount_cents), (3_000, 10_000));
    let confirm = |amount: i64| pb::ConfirmViolationRequest {
        name: broken.name.clone(),
        amount_cents: Some(amount),
        reason: "属实".into(),
        ..Default::default()
    };
    let error = company.quality.penalties.confirm_violation(confirm(10_001)).await.unwrap_err();
    assert_eq!(violations(&error), ["amount_cents"]);
    let confirmed = company.quality.penalties.confirm_violation(confirm(10_000)).await.unwrap();
    assert_eq!(confirmed.into_inner().state(), pb::ViolationState::Confirmed);
}

#[tokio::test]
async fn t19_dispatch_centre_fines_an_order_that_nobody_takes_but_not_one_that_is_disputed() {
    let mut company = Company::under(pack!("dispatch-centre")).await;
    let refused = company.manager.issue(order("group", "换水表")).await;
    let disputed = company.manager.issue(order("group", "查漏水")).await;
    let mut wang = company.world.desk("wang", "group", role::HANDLER);
    wang.dispute(&disputed.name).await.unwrap();
    company.world.set_time("2026-03-02T02:29:59Z").await;
    assert!(company.manager.violations("group").await.is_empty());
    company.world.set_time("2026-03-02T02:30:00Z").await;
    let found = company.manager.violations("group").await;
    assert_eq!(found.len(), 1);
    assert_eq!((&found[0].work_order, &*found[0].code), (&refused.name, "refused-work-order"));
    assert_eq!((found[0].amount_cents, &*found[0].currency), (10_000, "CNY"));
}

#[tokio::test]
async fn t17_dispatch_centre_wants_the_unfinished_list_ten_minutes_before_the_shift_ends() {
    let mut company = Company::under(pack!("dispatch-centre")).await;
    team(&mut company.manager, "group", "dispatch", &["li"]).await;
    company.world.settle().await;
    // From eight to eight, in Shanghai; the day shift had begun before there was anybody, so that of the night is the first.
    company.world.set_time("2026-03-02T23:49:59Z").await;
    assert!(company.manager.violations("group").await.is_empty());
    company.world.set_time("2026-03-02T23:50:00Z").await;
    let found = company.manager.violations("group").await;
    assert_eq!(found.len(), 1);
    assert_eq!((&*found[0].code, &*found[0].staff), ("no-shift-list", "li"));
    assert_eq!(found[0].amount_cents, 0, "the regulation names no fine");
}

#[tokio::test]
async fn t01_reception_knows_three_classes_of_visitors() {
    let mut company = Company::under(pack!("reception")).await;
    let visitor = |class: &str| pb::Ticket {
        kind: pb::TicketKind::Request.into(),
        complainant_type: class.into(),
        ..complaint("group", "借一把伞")
    };
    for class in ["class-a", "class-b", "class-c"] {
        assert_eq!(company.takes(visitor(class)).await.complainant_type, class);
    }
    let mut clerk = company.world.clerk();
    let error = clerk.try_create(visitor("class-d"), String::new()).await.unwrap_err();
    assert_eq!(violations(&error), ["ticket.complainant_type"]);
}
