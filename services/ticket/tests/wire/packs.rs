//! The sixteen packs that come with Kefu: each is applied as it is written in its file and lived through with the clock in its
//! hand.

use kefu_api::ticket::v1 as pb;
use kefu_identity::role;
use prost_reflect::DynamicMessage;

use crate::world::{Desk, World, at, clock, complaint};

/// The ticket part of a pack, by the name of its file.
macro_rules! pack {
    ($code:literal) => {
        $crate::packs::ticket_part(
            $code,
            include_str!(concat!("../../../../deploy/policies/", $code, ".yaml")),
        )
    };
}

pub(crate) use pack;

pub fn ticket_part(code: &str, text: &str) -> pb::TicketPolicy {
    let value: serde_json::Value = serde_yaml_ng::from_str(text).unwrap();
    let descriptor = kefu_api::descriptor_pool();
    let descriptor = descriptor.get_message_by_name("kefu.ticket.v1.TicketPolicy").unwrap();
    let policy = DynamicMessage::deserialize(descriptor, &value["ticket"]).unwrap();
    let policy: pb::TicketPolicy = policy.transcode_to().unwrap();
    assert_eq!(policy.code, code);
    policy
}

/// A company under one regulation. It is Monday, ten o'clock in Shanghai.
pub struct Company {
    pub world: World,
    pub manager: Desk,
    pub quality: Desk,
}

impl Company {
    pub async fn under(policy: pb::TicketPolicy) -> Self {
        let world = World::empty().await;
        world.org_unit("group").await;
        world.settle().await;
        world.admin().apply("group", policy).await.unwrap();
        let (manager, quality) = (world.manager(), world.quality());
        Self { world, manager, quality }
    }

    pub async fn takes(&mut self, ticket: pb::Ticket) -> pb::Ticket {
        let mut clerk = self.world.clerk();
        Box::pin(clerk.create(ticket)).await
    }

    /// A promise holds until its deadline and is broken at it, not a second earlier; then this is proposed.
    async fn breaks(&mut self, ticket: &pb::Ticket, rule: &str, due: &str, violation: &str) {
        let due: jiff::Timestamp = due.parse().unwrap();
        let promised = clock(ticket, rule, 1);
        assert_eq!(promised.due_time, Some(kefu_rpc::to_proto_timestamp(due)), "{rule}");
        let before = self.proposed(ticket, violation).await;
        self.world.set_time(&(due - jiff::SignedDuration::from_secs(1)).to_string()).await;
        let state = |ticket: &pb::Ticket| clock(ticket, rule, 1).state();
        assert_eq!(state(&self.manager.get(&ticket.name).await), pb::ClockState::Running, "{rule}");
        self.world.set_time(&due.to_string()).await;
        let late = self.manager.get(&ticket.name).await;
        assert_eq!(state(&late), pb::ClockState::Breached, "{rule}");
        assert_eq!(clock(&late, rule, 1).breach_time, Some(kefu_rpc::to_proto_timestamp(due)));
        assert_eq!(self.proposed(ticket, violation).await, before + 1, "{violation}");
    }

    pub async fn proposed(&mut self, ticket: &pb::Ticket, code: &str) -> usize {
        let violations = self.manager.violations("group").await;
        let of = |found: &&pb::Violation| found.ticket == ticket.name && found.code == code;
        violations.iter().filter(of).count()
    }

    /// Answered, solved and told by the manager; the customer gives a verdict to somebody else.
    async fn ends(&mut self, ticket: &pb::Ticket, verdict: i32) -> pb::Ticket {
        self.manager.handle(&ticket.name).await;
        self.quality.verdict(&ticket.name, verdict).await.unwrap()
    }
}

fn ticket(kind: pb::TicketKind, channel: pb::TicketChannel) -> pb::Ticket {
    let (kind, channel) = (kind.into(), channel.into());
    pb::Ticket { kind, channel, ..complaint("group", "空调不制冷") }
}

fn of_severity(severity: i32) -> pb::Ticket {
    pb::Ticket { severity, ..complaint("group", "店员态度恶劣") }
}

/// The rules by which a ticket was promised something.
fn rules(ticket: &pb::Ticket) -> Vec<&str> {
    ticket.clocks.iter().map(|clock| clock.rule.as_str()).collect()
}

#[tokio::test]
async fn t05_construction_answers_in_24_hours_and_tells_the_result_in_48() {
    let mut company = Company::under(pack!("construction")).await;
    let taken = company.takes(complaint("group", "墙面渗水")).await;
    // Nights count: ten o'clock on the next day.
    company.breaks(&taken, "first-response", "2026-03-03T02:00:00Z", "late-first-response").await;
    assert_eq!(company.manager.get(&taken.name).await.receiver_level, 2);
    company.manager.respond(&taken.name).await.unwrap();
    company.world.pass_hours(5 * 24).await;
    let solved = company.manager.resolve(&taken.name).await.unwrap();
    // From when the handling ended, however long it took.
    company
        .breaks(&solved, "result-feedback", "2026-03-10T02:00:00Z", "late-result-feedback")
        .await;
    // An inquiry is no complaint.
    let inquiry = ticket(pb::TicketKind::Inquiry, pb::TicketChannel::Phone);
    assert!(rules(&company.takes(inquiry).await).is_empty());
    let good = company.takes(complaint("group", "门锁松动")).await;
    let closed = company.ends(&good, 2).await;
    assert_eq!(closed.state(), pb::TicketState::Closed);
    let met = |clock: &pb::Clock| clock.state() == pb::ClockState::Met;
    assert_eq!(rules(&closed), ["first-response", "result-feedback"]);
    assert!(closed.clocks.iter().all(met), "{:?}", closed.clocks);
}

#[tokio::test]
async fn t03_real_estate_group_starts_a_major_complaint_at_headquarters() {
    const NO_ANSWER: &str = "no-answer-to-headquarters";
    let mut company = Company::under(pack!("real-estate-group")).await;
    for (severity, level) in [(1, 1), (2, 2), (3, 3)] {
        let taken = company.takes(of_owner(severity)).await;
        company.world.settle().await;
        let taken = company.manager.get(&taken.name).await;
        assert_eq!((taken.receiver_level, &*taken.first_contact_owner), (level, "clerk"));
        let reported = (taken.supervision.is_some(), taken.report_time.is_some());
        assert_eq!(reported, (severity == 3, severity == 3), "headquarters watches what is major");
        let ended = company.ends(&taken, 1).await;
        assert_eq!((ended.state(), &*ended.handler), (pb::TicketState::Closed, "manager"));
        assert_eq!(ended.first_contact_owner, "clerk");
    }
    // It stays under supervision however it is handled, and headquarters has its answer in two working days.
    let major = company.takes(of_owner(3)).await;
    company.world.settle().await;
    let major = company.manager.get(&major.name).await;
    assert_eq!(major.supervision.as_ref().unwrap().answer_due_time, at("2026-03-04T02:00:00Z"));
    company.manager.handle(&major.name).await;
    company.world.set_time("2026-03-04T01:59:59Z").await;
    assert_eq!(company.proposed(&major, NO_ANSWER).await, 0);
    company.world.set_time("2026-03-04T02:00:00Z").await;
    assert_eq!(company.proposed(&major, NO_ANSWER).await, 1);
    assert!(company.manager.get(&major.name).await.supervision.is_some());
    // What home owners complain of, and who they are, is one of the regulation's three each.
    let mut clerk = company.world.clerk();
    let strange = pb::Ticket {
        category: "weather".into(),
        complainant_type: "passer-by".into(),
        ..of_owner(1)
    };
    let refused = clerk.try_create(strange, String::new()).await.unwrap_err();
    let wrong = crate::world::violations(&refused);
    assert_eq!(wrong, ["ticket.category", "ticket.complainant_type"]);
}

fn of_owner(severity: i32) -> pb::Ticket {
    pb::Ticket {
        category: "engineering-quality".into(),
        complainant_type: "owner".into(),
        ..of_severity(severity)
    }
}

#[tokio::test]
async fn t05_contact_centre_answers_each_channel_in_its_time() {
    use pb::TicketChannel::{Chat, Letter, Mail, Phone};
    let inquiry = |channel| ticket(pb::TicketKind::Inquiry, channel);
    let mut company = Company::under(pack!("contact-centre")).await;
    let chat = company.takes(inquiry(Chat)).await;
    company.breaks(&chat, "first-response-chat", "2026-03-02T02:01:00Z", "late-reply").await;
    let call = company.takes(inquiry(Phone)).await;
    let mail = company.takes(inquiry(Mail)).await;
    assert!(rules(&company.takes(inquiry(Letter)).await).is_empty());
    company.breaks(&call, "first-response-phone", "2026-03-03T02:01:00Z", "late-reply").await;
    company.breaks(&mail, "first-response-mail", "2026-03-04T02:01:00Z", "late-reply").await;
    // Friday evening: called back when the hotline opens on Monday.
    company.world.set_time("2026-03-06T12:00:00Z").await;
    let noted = company.takes(inquiry(Phone)).await;
    assert_eq!(rules(&noted), ["first-response-phone-after-hours"]);
    let rule = "first-response-phone-after-hours";
    company.breaks(&noted, rule, "2026-03-09T01:01:00Z", "late-reply").await;
    // Kept in time it is met.
    let in_time = company.takes(inquiry(Phone)).await;
    let answered = company.manager.respond(&in_time.name).await.unwrap();
    assert_eq!(clock(&answered, "first-response-phone", 1).state(), pb::ClockState::Met);
}

#[tokio::test]
async fn t05_property_service_calls_every_request_back() {
    let mut company = Company::under(pack!("property-service")).await;
    let request = ticket(pb::TicketKind::Request, pb::TicketChannel::Visit);
    let taken = company.takes(request).await;
    let told = company.manager.handle(&taken.name).await;
    company.breaks(&told, "call-back", "2026-03-05T02:00:00Z", "no-call-back").await;
    let late = company.quality.verdict(&taken.name, 1).await.unwrap();
    assert_eq!(late.state(), pb::TicketState::Closed);
    assert_eq!(clock(&late, "call-back", 1).state(), pb::ClockState::Breached);
}

#[tokio::test]
async fn t05_manufacturing_quality_replies_to_anything_in_24_hours() {
    use pb::TicketKind::{Complaint, Inquiry, Request, Suggestion};
    let mut company = Company::under(pack!("manufacturing-quality")).await;
    // A Friday: the weekend counts.
    company.world.set_time("2026-03-06T02:00:00Z").await;
    let mut taken = Vec::new();
    for kind in [Complaint, Inquiry, Request, Suggestion] {
        taken.push(company.takes(ticket(kind, pb::TicketChannel::Fax)).await);
    }
    let in_time = company.manager.respond(&taken[3].name).await.unwrap();
    assert_eq!(clock(&in_time, "first-response", 1).state(), pb::ClockState::Met);
    company.breaks(&taken[0], "first-response", "2026-03-07T02:00:00Z", "late-reply").await;
    for late in &taken[1..3] {
        assert_eq!(company.proposed(late, "late-reply").await, 1);
    }
    assert_eq!(company.proposed(&taken[3], "late-reply").await, 0);
}

#[tokio::test]
async fn t05_key_account_answers_inquiries_in_24_hours_by_whoever_was_asked_first() {
    let mut company = Company::under(pack!("key-account")).await;
    company.world.customer(1).await;
    company.world.grade(1, "group", "key", 1).await;
    company.world.settle().await;
    let inquiry = pb::Ticket {
        customer: crate::world::customer(1),
        ..ticket(pb::TicketKind::Inquiry, pb::TicketChannel::Mail)
    };
    let mut asked_first = company.world.desk("li", "group", role::CLERK);
    let taken = asked_first.create(inquiry).await;
    assert_eq!(taken.priority(), pb::TicketPriority::High);
    company.breaks(&taken, "first-response", "2026-03-03T02:00:00Z", "late-reply").await;
    let found = company.manager.violations("group").await;
    assert_eq!(found[0].staff, "li");
    assert!(rules(&company.takes(complaint("group", "发货慢")).await).is_empty());
}

/// The form of the last escalation.
pub async fn fills_in(desk: &mut Desk, ticket: &pb::Ticket) {
    let form =
        pb::HandlingForm { form: 0, opinion: "属实".into(), decision: "退款致歉".into() };
    let request = pb::CompleteHandlingFormRequest {
        name: ticket.name.clone(),
        form: Some(form),
        ..Default::default()
    };
    desk.handling.complete_handling_form(request).await.unwrap();
}

#[tokio::test]
async fn t07_franchise_complaints_fine_what_is_late_and_let_verdicts_rise() {
    let mut company = Company::under(pack!("franchise-complaints")).await;
    for (severity, level) in [(1, 1), (2, 2), (3, 3)] {
        assert_eq!(company.takes(of_severity(severity)).await.receiver_level, level);
    }
    // One working day from ten o'clock is ten o'clock; lunch does not count.
    let taken = company.takes(of_severity(1)).await;
    company.breaks(&taken, "first-contact", "2026-03-03T02:00:00Z", "late-first-contact").await;
    let violations = company.manager.violations("group").await;
    let fine = violations.iter().find(|found| found.ticket == taken.name).unwrap();
    assert_eq!((fine.amount_cents, fine.currency.as_str()), (3_000, "CNY"));
    // Every week, every three days, every day.
    company.world.set_time("2026-03-16T02:00:00Z").await;
    for (severity, rule, due) in [
        (3, "contact-very-serious", "2026-03-17T02:00:00Z"),
        (2, "contact-serious", "2026-03-20T02:00:00Z"),
        (1, "weekly-contact", "2026-03-27T02:00:00Z"),
    ] {
        let open = company.takes(of_severity(severity)).await;
        company.breaks(&open, rule, due, "broken-procedure").await;
    }
    // Four goes one level up with a form and a new round of promises; three closes.
    let told = company.takes(of_severity(1)).await;
    let risen = company.ends(&told, 4).await;
    assert_eq!((risen.state(), risen.receiver_level), (pb::TicketState::Reopened, 2));
    assert_eq!((risen.cycle, risen.escalations.len()), (2, 1));
    fills_in(&mut company.manager, &told).await;
    assert_eq!(company.ends(&told, 3).await.state(), pb::TicketState::Closed);
    // At the top there is nothing above but the executives.
    let grave = company.takes(of_severity(3)).await;
    company.world.desk("zong", "group", role::DIRECTOR).handle(&grave.name).await;
    let reviewed = company.quality.verdict(&grave.name, 5).await.unwrap();
    assert_eq!(reviewed.state(), pb::TicketState::ExecutiveReview);
    // Nobody asked.
    company.world.set_time("2026-03-30T02:00:00Z").await;
    let forgotten = company.takes(of_severity(1)).await;
    let forgotten = company.manager.handle(&forgotten.name).await;
    company.breaks(&forgotten, "call-back", "2026-04-02T02:00:00Z", "verdict-not-asked").await;
}

#[tokio::test]
async fn t16_dispatch_centre_fines_a_missed_reply() {
    let mut company = Company::under(pack!("dispatch-centre")).await;
    let asked = pb::WorkOrder {
        dispatch_centre: "group".into(),
        task: "更换水表".into(),
        requirements: "两小时内到场".into(),
        reply_by_time: at("2026-03-02T06:00:00Z"),
        assignee: "zhang".into(),
        ..pb::WorkOrder::default()
    };
    let order = company.manager.issue(asked.clone()).await;
    let mut zhang = company.world.desk("zhang", "group", role::HANDLER);
    zhang.accept(&order.name).await.unwrap();
    company.world.set_time("2026-03-02T05:59:59Z").await;
    assert!(company.manager.violations("group").await.is_empty());
    company.world.set_time("2026-03-02T06:00:00Z").await;
    let found = company.manager.violations("group").await;
    assert_eq!(found.len(), 1);
    assert_eq!((&*found[0].work_order, &*found[0].code), (&*order.name, "late-work-order"));
    assert_eq!((found[0].amount_cents, &*found[0].currency), (3_000, "CNY"));
    // A sheet with a gap in it is not issued.
    let gaps = pb::WorkOrder { dispatch_centre: "group".into(), ..Default::default() };
    let refused = company.manager.try_issue(gaps, String::new()).await.unwrap_err();
    let fields = ["task", "requirements", "reply_by_time", "assignee"];
    let fields = fields.map(|field| format!("work_order.{field}"));
    assert_eq!(crate::world::violations(&refused), fields);
    assert_eq!(company.world.count("SELECT count(*) FROM work_order").await, 1);
    // The next sheet follows without a gap. Progress by the time to reply keeps it from the fine.
    let next = pb::WorkOrder { reply_by_time: at("2026-03-02T08:00:00Z"), ..asked };
    let next = company.manager.issue(next).await;
    let sheet = |order: &pb::WorkOrder| -> u32 {
        order.number.rsplit('-').next().unwrap().parse().unwrap()
    };
    assert_eq!(sheet(&next), sheet(&order) + 1);
    zhang.accept(&next.name).await.unwrap();
    zhang.report(&next.name, Some("2026-03-02T09:00:00Z")).await.unwrap();
    company.world.set_time("2026-03-02T08:00:00Z").await;
    assert_eq!(company.manager.violations("group").await.len(), 1);
    company.world.set_time("2026-03-02T09:00:00Z").await;
    let found = company.manager.violations("group").await;
    let late = found.iter().find(|found| found.work_order == next.name).unwrap();
    assert_eq!((&*late.code, late.amount_cents, found.len()), ("late-work-order", 3_000, 2));
}

/// Which customers come first, where the regulation grades them.
async fn priorities(policy: pb::TicketPolicy, grades: &[(&str, pb::TicketPriority)]) {
    let mut company = Company::under(policy).await;
    for (number, (grade, _)) in (1..).zip(grades) {
        company.world.customer(number).await;
        company.world.grade(number, "group", grade, 1).await;
    }
    company.world.settle().await;
    for (number, (grade, priority)) in (1..).zip(grades) {
        let customer = crate::world::customer(number);
        let taken = pb::Ticket { customer, ..complaint("group", "服务不周") };
        let taken = company.takes(taken).await;
        assert_eq!(taken.priority(), *priority, "{grade}");
        assert_eq!(company.ends(&taken, 1).await.state(), pb::TicketState::Closed);
    }
}

#[tokio::test]
async fn t03_graded_accounts_serves_vip_first_and_preferred_next() {
    use pb::TicketPriority::{High, Normal, Urgent};
    let grades = [("vip", Urgent), ("preferred", High), ("ordinary", Normal)];
    priorities(pack!("graded-accounts"), &grades).await;
}

#[tokio::test]
async fn t03_loyalty_retail_serves_by_grade() {
    use pb::TicketPriority::{High, Normal, Urgent};
    let grades = [("a", Urgent), ("b", High), ("c", Normal), ("d", Normal)];
    priorities(pack!("loyalty-retail"), &grades).await;
}

#[tokio::test]
async fn t03_partner_network_serves_by_grade() {
    use pb::TicketPriority::{High, Normal};
    let grades = [("a", High), ("b", High), ("c", Normal), ("d", Normal)];
    priorities(pack!("partner-network"), &grades).await;
}

#[tokio::test]
async fn t03_abc_accounts_serves_by_grade() {
    use pb::TicketPriority::{High, Normal, Urgent};
    let grades = [("a", Urgent), ("b", High), ("c", Normal)];
    priorities(pack!("abc-accounts"), &grades).await;
}

/// A regulation that promises no time to a complaint: it goes its way from level to level all the same.
async fn without_hours(policy: pb::TicketPolicy) {
    let top = i32::try_from(policy.levels.len()).unwrap();
    let mut company = Company::under(policy).await;
    let taken = company.takes(complaint("group", "等候时间过长")).await;
    assert!(rules(&taken).is_empty());
    for level in 2..=top {
        let risen = company.ends(&taken, 5).await;
        assert_eq!((risen.state(), risen.receiver_level), (pb::TicketState::Reopened, level));
    }
    assert_eq!(company.ends(&taken, 2).await.state(), pb::TicketState::Closed);
    assert!(company.manager.violations("group").await.is_empty());
}

#[tokio::test]
async fn t13_reception_closes_or_raises_by_verdict() {
    without_hours(pack!("reception")).await;
}

#[tokio::test]
async fn t13_inside_sales_closes_or_raises_by_verdict() {
    without_hours(pack!("inside-sales")).await;
}

#[tokio::test]
async fn t13_power_connection_closes_or_raises_by_verdict() {
    without_hours(pack!("power-connection")).await;
}

#[tokio::test]
async fn t13_telecom_key_accounts_closes_or_raises_by_verdict() {
    without_hours(pack!("telecom-key-accounts")).await;
}
