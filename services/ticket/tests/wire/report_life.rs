//! T-20: after a life that nobody planned, every figure of the report equals a recount from the journal.

use jiff::{SignedDuration, Timestamp};
use kefu_api::ticket::v1 as pb;
use kefu_clock::Clock as _;
use kefu_rpc::{timestamp, to_proto_timestamp};

use crate::pack::{hours, policy};
use crate::recount::{Question, figures, lives, recount};
use crate::recount_learning::{self, learned};
use crate::world::{Desk, World, complaint};

const UNITS: [&str; 5] =
    ["group", "group/north", "group/north/riverside", "group/south", "group/south/riverside"];
const CATEGORIES: [&str; 7] = [
    "",
    "服务/态度",
    "服务/速度",
    "服务",
    "engineering/quality/leak",
    "engineering/quality",
    "sales",
];
const PRODUCTS: [&str; 5] = ["", "三号楼电梯", "boiler-7", "R&D <b>", "=1+1"];
const SHOPS: [&str; 4] = ["", "解放路店", "S-017", "+cmd|' /C calc'!A0"];

/// The same numbers in every run (splitmix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % u64::try_from(sides).unwrap()).unwrap()
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.roll(of.len())]
    }
}

/// Resolutions by severity, so that a change of it revises; and progress in rounds.
fn varied() -> pb::TicketPolicy {
    let mut varied = policy();
    let mut urgent = pb::ClockRule {
        name: "urgent-resolution".into(),
        severities: vec![2, 3],
        target: hours(30),
        ..varied.clocks[1].clone()
    };
    urgent.on_reopen = pb::ReopenMode::Resume.into();
    varied.clocks[1].severities = vec![1];
    varied.clocks[1].on_reopen = pb::ReopenMode::Resume.into();
    varied.clocks.push(urgent);
    varied.clocks.push(pb::ClockRule {
        name: "progress".into(),
        kind: pb::ClockKind::ProgressUpdate.into(),
        target: hours(50),
        ..pb::ClockRule::default()
    });
    varied.repeat_window_days = 9;
    varied.reopening = Some(pb::ReopeningRule { within: hours(300) });
    varied.learning = Some(pb::LearningRules {
        suggestion_decision_within: hours(60),
        ..pb::LearningRules::default()
    });
    varied
}

struct Company {
    world: World,
    manager: Desk,
    quality: Desk,
    customers: Vec<String>,
    tickets: Vec<String>,
    ideas: Vec<String>,
    dice: Dice,
    refused: usize,
}

impl Company {
    async fn register(&mut self) {
        let dice = &mut self.dice;
        let new = pb::Ticket {
            kind: if dice.roll(5) == 0 {
                pb::TicketKind::Inquiry
            } else {
                pb::TicketKind::Complaint
            }
            .into(),
            channel: i32::try_from(1 + dice.roll(4)).unwrap(),
            severity: i32::try_from(1 + dice.roll(3)).unwrap(),
            category: dice.pick(&CATEGORIES).into(),
            product: dice.pick(&PRODUCTS).into(),
            shop: dice.pick(&SHOPS).into(),
            ..complaint(dice.pick(&UNITS), "电梯又坏了")
        };
        let known = dice.roll(4) > 0;
        let customer = if known {
            self.customers[dice.roll(self.customers.len())].clone()
        } else {
            String::new()
        };
        let created = self.manager.create(pb::Ticket { customer, ..new }).await;
        self.tickets.push(created.name);
    }

    /// Whatever comes to mind with one of the last tickets; much of it is refused.
    async fn act(&mut self) {
        let now = self.world.clock.now();
        let dice = &mut self.dice;
        let recent = self.tickets.len().min(25);
        let name = self.tickets[self.tickets.len() - 1 - dice.roll(recent)].clone();
        let desk = &mut self.manager;
        let done = match dice.roll(20) {
            0..=2 => {
                // Some were sent a while ago.
                let ago = SignedDuration::from_mins(i64::try_from(dice.roll(600)).unwrap());
                let send_time = (dice.roll(2) == 0).then(|| to_proto_timestamp(now - ago));
                let message = "我们正在处理".to_owned();
                let request =
                    pb::RespondTicketRequest { name, message, send_time, ..Default::default() };
                desk.tickets.respond_ticket(request).await.map(drop)
            }
            3 => {
                let reason = "等客户".to_owned();
                let request = pb::PauseTicketRequest { name, reason, ..Default::default() };
                desk.tickets.pause_ticket(request).await.map(drop)
            }
            4 => {
                let request = pb::ResumeTicketRequest { name, ..Default::default() };
                desk.tickets.resume_ticket(request).await.map(drop)
            }
            5..=6 => desk.resolve(&name).await.map(drop),
            // Some of these were told and asked a while ago, too.
            7..=8 => {
                let ago = SignedDuration::from_mins(i64::try_from(dice.roll(600)).unwrap());
                let send_time = (dice.roll(2) == 0).then(|| to_proto_timestamp(now - ago));
                let message = "已修好".to_owned();
                let request =
                    pb::FeedBackTicketRequest { name, message, send_time, ..Default::default() };
                desk.tickets.feed_back_ticket(request).await.map(drop)
            }
            9..=10 => {
                let value = i32::try_from(1 + dice.roll(5)).unwrap();
                let ago = SignedDuration::from_mins(i64::try_from(dice.roll(600)).unwrap());
                let call_time = (dice.roll(2) == 0).then(|| to_proto_timestamp(now - ago));
                let request =
                    pb::RecordVerdictRequest { name, value, call_time, ..Default::default() };
                self.quality.tickets.record_verdict(request).await.map(drop)
            }
            11 => {
                let severity = i32::try_from(1 + dice.roll(3)).unwrap();
                let reason = "有人受伤".to_owned();
                let request =
                    pb::AssessTicketRequest { name, severity, reason, ..Default::default() };
                desk.tickets.assess_ticket(request).await.map(drop)
            }
            13 => {
                let new_due = now + SignedDuration::from_hours(200);
                let request = pb::AnnounceDelayRequest {
                    name,
                    rule: dice.pick(&["first-response", "first-response", "resolution"]).into(),
                    new_due_time: Some(to_proto_timestamp(new_due)),
                    reason: "配件缺货".into(),
                    ..Default::default()
                };
                desk.tickets.announce_delay(request).await.map(drop)
            }
            19 => {
                // Whichever of the last is closed.
                let customer_dissatisfied = dice.roll(2) == 0;
                for name in self.tickets.iter().rev().take(recent) {
                    let request = pb::ReopenTicketRequest {
                        name: name.clone(),
                        reason: "又坏了".into(),
                        customer_dissatisfied,
                        ..Default::default()
                    };
                    if desk.handling.reopen_ticket(request).await.is_ok() {
                        return;
                    }
                }
                return;
            }
            // What comes next.
            14..=18 => {
                let value = i32::try_from(1 + dice.roll(5)).unwrap();
                if desk.feed_back(&name).await.is_ok()
                    || self.quality.verdict(&name, value).await.is_ok()
                {
                    return;
                }
                desk.resolve(&name).await.map(drop)
            }
            _ if dice.roll(2) == 0 => {
                let reason = "客户撤诉".to_owned();
                let request = pb::CancelTicketRequest { name, reason, ..Default::default() };
                desk.tickets.cancel_ticket(request).await.map(drop)
            }
            // Somebody else's, and about something else than was thought.
            _ if dice.roll(3) == 0 => {
                let customer = self.customers[dice.roll(self.customers.len())].clone();
                let (product, shop) = (dice.pick(&PRODUCTS), dice.pick(&SHOPS));
                let etag = desk.get(&name).await.etag;
                let ticket = pb::Ticket {
                    name,
                    etag,
                    customer,
                    product: product.into(),
                    shop: shop.into(),
                    ..pb::Ticket::default()
                };
                let request = pb::CorrectTicketRequest {
                    ticket: Some(ticket),
                    reason: "登记有误".into(),
                    ..Default::default()
                };
                desk.tickets.correct_ticket(request).await.map(drop)
            }
            _ => {
                let (category, product) = (dice.pick(&CATEGORIES[1..]), dice.pick(&PRODUCTS[1..]));
                let ticket = pb::Ticket {
                    name,
                    category: category.into(),
                    product: product.into(),
                    ..pb::Ticket::default()
                };
                let request =
                    pb::UpdateTicketRequest { ticket: Some(ticket), ..Default::default() };
                desk.tickets.update_ticket(request).await.map(drop)
            }
        };
        self.refused += usize::from(done.is_err());
    }

    /// Somebody finds a cause, has an idea or decides on one.
    async fn learn(&mut self) {
        let now = self.world.clock.now();
        let dice = &mut self.dice;
        let ticket = self.tickets[dice.roll(self.tickets.len())].clone();
        match dice.roll(4) {
            0 | 1 => {
                let root_cause = pb::RootCause {
                    ticket,
                    cause: dice.pick(&["seal", "training", "supplier", "=1+1", "设计"]).into(),
                    method: "五个为什么".into(),
                    finding: "密封圈过软".into(),
                    ..Default::default()
                };
                let request = pb::RecordRootCauseRequest {
                    root_cause: Some(root_cause),
                    ..Default::default()
                };
                self.manager.actions.record_root_cause(request).await.unwrap();
            }
            2 => {
                let suggestion = pb::Suggestion {
                    org_unit: dice.pick(&UNITS).into(),
                    tickets: vec![ticket],
                    title: "加硬".into(),
                    text: "密封圈加硬".into(),
                    decision_maker: "quality".into(),
                    ..Default::default()
                };
                let request = pb::SubmitSuggestionRequest {
                    suggestion: Some(suggestion),
                    ..Default::default()
                };
                let submitted = self.manager.suggestions.submit_suggestion(request).await.unwrap();
                self.ideas.push(submitted.into_inner().name);
            }
            _ if !self.ideas.is_empty() => {
                let recent = self.ideas.len().min(6);
                let name = self.ideas[self.ideas.len() - 1 - dice.roll(recent)].clone();
                let outcome = i32::try_from(2 + dice.roll(3)).unwrap();
                let deferred = outcome == i32::from(pb::SuggestionState::Deferred);
                let until = SignedDuration::from_hours(1 + i64::try_from(dice.roll(99)).unwrap());
                let request = pb::DecideSuggestionRequest {
                    name,
                    outcome,
                    reason: "好的".into(),
                    defer_until_time: deferred.then(|| to_proto_timestamp(now + until)),
                    ..Default::default()
                };
                // Some are decided already.
                drop(self.quality.suggestions.decide_suggestion(request).await);
            }
            _ => {}
        }
    }

    async fn live(&mut self, steps: usize) {
        for _ in 0..steps {
            self.register().await;
            for _ in 0..5 {
                self.act().await;
            }
            self.learn().await;
            if self.dice.roll(3) == 0 {
                let hours = i64::try_from(1 + self.dice.roll(20)).unwrap();
                self.world.pass_hours(hours).await;
            }
        }
    }
}

fn whole(at: Option<prost_types::Timestamp>) -> Timestamp {
    timestamp(&at.unwrap()).unwrap()
}

#[tokio::test]
async fn t20_the_report_equals_a_recount_from_the_journal() {
    let world = World::new().await;
    let mut customers = Vec::new();
    for number in 1..=12 {
        customers.push(world.customer(number).await);
    }
    world.settle().await;
    world.admin().apply("group", varied()).await.unwrap();
    let (manager, quality) = (world.manager(), world.quality());
    let dice = Dice(20);
    let mut company = Company {
        world,
        manager,
        quality,
        customers,
        tickets: Vec::new(),
        ideas: Vec::new(),
        dice,
        refused: 0,
    };
    company.live(60).await;
    // A year later, to the hour.
    company.world.pass_hours(50 * 7 * 24).await;
    company.live(150).await;

    let world = &company.world;
    let now = world.clock.now();
    let mut clerk = world.clerk();
    let lives = lives(&world.pool).await;
    let learned = learned(&world.pool).await;
    let complaints = vec![pb::TicketKind::Complaint.into()];
    let both = vec![pb::TicketKind::Complaint.into(), pb::TicketKind::Inquiry.into()];
    let (mut compared, mut busiest) = (0, 0);
    for unit in ["group", "group/north", "group/south/riverside"] {
        // As of now, in the midst of the week, and of weeks past.
        for days_ago in [0, 2, 6, 7, 10, 13, 20, 362, 370] {
            for (kinds, codes) in
                [(&complaints, &["complaint"][..]), (&both, &["complaint", "inquiry"][..])]
            {
                let as_of = now - SignedDuration::from_hours(days_ago * 24 + 5);
                let request = pb::GetComplaintReportRequest {
                    org_unit: unit.into(),
                    kinds: kinds.clone(),
                    as_of_time: Some(to_proto_timestamp(as_of)),
                    compare: true,
                    top: 3,
                    ..Default::default()
                };
                let report =
                    clerk.reports.get_complaint_report(request).await.unwrap().into_inner();
                let comparisons = [&report.week_before, &report.year_before];
                let earlier = comparisons.map(|comparison| comparison.as_ref()?.report.as_deref());
                for report in [Some(&report)].into_iter().chain(earlier).flatten() {
                    let question = Question {
                        unit,
                        kinds: codes,
                        start: whole(report.start_time),
                        end: whole(report.end_time),
                        as_of: whole(report.as_of_time),
                        top: 3,
                        repeat_days: 9,
                    };
                    let mut expected = recount(&lives, question);
                    expected.extend(recount_learning::recount(&learned, &lives, question));
                    assert_eq!(figures(report), expected, "{question:?}");
                    compared += 1;
                    busiest = busiest.max(report.received);
                }
            }
        }
    }
    // It was a life worth counting.
    assert!(compared > 80, "{compared} reports");
    assert!(busiest > 20, "{busiest} tickets in a week");
    assert!(company.refused < 800, "{} of 1050 refused", company.refused);
    let count = async |statement: &'static str| world.count(statement).await;
    assert!(count("SELECT count(*) FROM verdict WHERE value > 3").await > 5);
    assert!(count("SELECT count(*) FROM ticket_clock WHERE revisions IS NOT NULL").await > 5);
    assert!(count("SELECT count(*) FROM ticket_clock WHERE breached_at IS NOT NULL").await > 20);
    let announced = "SELECT count(*) FROM ticket_clock
                     WHERE breached_at IS NOT NULL AND announcements IS NOT NULL";
    assert!(count(announced).await > 0);
    let told = "SELECT count(*) FROM verdict WHERE given_at < recorded_at";
    assert!(count(told).await > 0);
    assert!(count("SELECT count(*) FROM ticket WHERE state = 'cancelled'").await > 3);
    assert!(count("SELECT count(*) FROM ticket WHERE state = 'closed'").await > 5);
    assert!(count("SELECT count(*) FROM ticket_reopening").await > 5);
    assert!(count("SELECT count(*) FROM root_cause").await > 50);
    assert!(count("SELECT count(*) FROM suggestion_decision WHERE outcome = 'deferred'").await > 3);
    assert!(
        count("SELECT count(*) FROM suggestion WHERE state IN ('accepted', 'rejected')").await > 5
    );
}
