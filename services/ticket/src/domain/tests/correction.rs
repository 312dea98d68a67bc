//! T-01: of whom and about what a ticket was registered is put right.

use super::*;

const WRONG: Uuid = Uuid::from_u128(7);
const RIGHT: Uuid = Uuid::from_u128(8);

fn correction() -> Correction {
    Correction { reason: "登记时选错了客户".into(), ..Correction::default() }
}

fn to(customer: Uuid) -> Correction {
    Correction { customer: Fix::To(customer), ..correction() }
}

fn correct(correction: Correction) -> Command {
    Command::Correct(Box::new(correction))
}

fn of(customer: Uuid, contact: Option<Uuid>) -> Complainant {
    Complainant::Customer { customer, contact }
}

#[test]
fn t01_a_correction_names_what_it_changes_and_promises_stay() {
    let mut desk = Desk::new(Severity::Serious);
    let before = desk.ticket.clone();
    let changes = desk.does(
        HANDLER,
        hours(1),
        correct(Correction {
            shop: Fix::To("解放路店".into()),
            order_reference: Fix::To("PO-17".into()),
            occurred_at: Fix::To(hours(-3)),
            ..to(RIGHT)
        }),
    );
    assert_eq!(actions(&changes), ["CorrectTicket"]);
    let What::Corrected(corrected) = &changes[0].what else { panic!("{changes:?}") };
    let differences = corrected.facts.differences(&Facts::of(&before));
    assert_eq!(differences, ["customer", "occur_time", "order_reference", "shop"]);
    assert_eq!(Facts::of(&desk.ticket), corrected.facts);
    assert_eq!((&desk.ticket.clocks, desk.ticket.severity), (&before.clocks, before.severity));
    assert_eq!(desk.ticket.receiver_level, before.receiver_level);
    // The same again is no change.
    assert_eq!(desk.does(HANDLER, hours(2), correct(to(RIGHT))), []);
}

#[test]
fn t03_a_correction_raises_the_priority_by_the_grade_and_never_lowers_it() {
    let mut desk = Desk::new(Severity::Ordinary);
    assert_eq!(desk.ticket.priority, Priority::Normal);
    let graded = |customer, grade: Fix<String>| correct(Correction { grade, ..to(customer) });
    desk.does(HANDLER, hours(1), graded(RIGHT, Fix::To("vip".into())));
    let found = (desk.ticket.priority, desk.ticket.customer_grade.as_deref());
    assert_eq!(found, (Priority::Urgent, Some("vip")));
    desk.does(HANDLER, hours(2), graded(WRONG, Fix::Empty));
    let found = (desk.ticket.priority, desk.ticket.customer_grade.as_deref());
    assert_eq!(found, (Priority::Urgent, None), "what was taken up as urgent stays so");
}

#[test]
fn t01_a_contact_goes_with_its_customer_and_a_name_with_having_none() {
    let mut desk = Desk::new(Severity::Ordinary);
    let [mine, theirs] = [70, 80].map(Uuid::from_u128);
    let contact =
        |customer, contact| Correction { contact: Fix::To((customer, contact)), ..correction() };
    desk.does(HANDLER, hours(1), correct(contact(WRONG, mine)));
    assert_eq!(desk.ticket.complainant, of(WRONG, Some(mine)));
    let foreign = desk.tries(HANDLER, hours(1), correct(contact(RIGHT, theirs)));
    assert_eq!(wrong_fields(foreign), ["ticket.contact"]);
    desk.does(HANDLER, hours(1), correct(to(RIGHT)));
    assert_eq!(desk.ticket.complainant, of(RIGHT, None));
    let whole = Correction { customer: Fix::To(WRONG), ..contact(WRONG, mine) };
    desk.does(HANDLER, hours(1), correct(whole));
    assert_eq!(desk.ticket.complainant, of(WRONG, Some(mine)));
    let named = Correction { complainant: Fix::To("王芳".into()), ..correction() };
    let refused = desk.tries(HANDLER, hours(2), correct(named.clone()));
    assert_eq!(wrong_fields(refused), ["ticket.complainant"]);
    let unregistered = Correction { customer: Fix::Empty, ..named };
    desk.does(HANDLER, hours(2), correct(unregistered));
    assert_eq!(desk.ticket.complainant, Complainant::Unregistered { name: "王芳".into() });
    let nobodys = Correction { contact: Fix::To((RIGHT, theirs)), ..correction() };
    let refused = desk.tries(HANDLER, hours(3), correct(nobodys));
    assert_eq!(wrong_fields(refused), ["ticket.customer"]);
    let anonymous = Correction { complainant: Fix::Empty, ..correction() };
    desk.does(HANDLER, hours(3), correct(anonymous));
    assert_eq!(desk.ticket.complainant, Complainant::Anonymous);
    desk.does(HANDLER, hours(4), correct(to(RIGHT)));
    assert_eq!(desk.ticket.complainant, of(RIGHT, None));
}

#[test]
fn t01_every_fault_of_a_correction_is_named_at_once() {
    let desk = Desk::new(Severity::Ordinary);
    let later = hours(0).checked_add(1.microseconds()).expect("in range");
    let wrong = Correction {
        reason: " ".into(),
        complainant: Fix::To("王芳".into()),
        contact: Fix::To((RIGHT, RIGHT)),
        occurred_at: Fix::To(later),
        ..Correction::default()
    };
    let refused = desk.tries(HANDLER, hours(5), correct(wrong));
    let expected = ["reason", "ticket.complainant", "ticket.contact", "ticket.occur_time"];
    assert_eq!(wrong_fields(refused), expected);
    let at_registration = Correction { occurred_at: Fix::To(hours(0)), ..correction() };
    assert!(desk.tries(HANDLER, hours(5), correct(at_registration)).is_ok());
}

#[test]
fn t01_what_has_ended_is_not_corrected_and_what_waits_for_a_verdict_is() {
    let mut desk = Desk::new(Severity::Ordinary);
    desk.is_handled(hours(1));
    assert!(desk.tries(HANDLER, hours(2), correct(to(RIGHT))).is_ok());
    desk.does(QUALITY, hours(3), verdict(1));
    assert_eq!(missing(desk.tries(HANDLER, hours(4), correct(to(RIGHT)))), [Missing::NotEnded]);
    let mut cancelled = Desk::new(Severity::Ordinary);
    cancelled.does(HANDLER, hours(1), Command::Cancel { reason: "twice".into() });
    let refused = cancelled.tries(HANDLER, hours(2), correct(to(RIGHT)));
    assert_eq!(missing(refused), [Missing::NotEnded]);
}

#[test]
fn t14_nothing_goes_by_itself_to_whom_a_ticket_was_not_of() {
    let mut desk = Desk::new(Severity::Ordinary);
    let recipients = || [("mail".to_owned(), "wrong@example.com".to_owned())].into();
    desk.ticket.outbound.recipients = recipients();
    let shop = Correction { shop: Fix::To("S-7".into()), ..correction() };
    desk.does(HANDLER, hours(1), correct(shop));
    assert_eq!(desk.ticket.outbound.recipients, recipients(), "it is of the same one");
    desk.does(HANDLER, hours(2), correct(to(RIGHT)));
    assert!(desk.ticket.outbound.recipients.is_empty());
}

#[test]
fn t19_an_order_or_a_shop_is_what_a_ticket_concerns_as_much_as_a_product() {
    for named in ["product", "order_reference", "shop"] {
        let mut ticket = Desk::new(Severity::Ordinary).ticket;
        assert!(RequiredField::Product.is_missing(&ticket));
        let details = &mut ticket.details;
        let field = match named {
            "product" => &mut details.product,
            "shop" => &mut details.shop,
            _ => &mut details.order_reference,
        };
        *field = "七号".into();
        assert!(!RequiredField::Product.is_missing(&ticket), "{named}");
    }
}
