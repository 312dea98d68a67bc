//! T-26: when a trigger's condition is true, and what steps come to.

use super::*;

fn condition(condition: ConditionDraft) -> Policy {
    Policy::try_new(policy_draft(condition, TriggerEvent::Updated)).expect("a sound policy")
}

fn policy_draft(condition: ConditionDraft, when: TriggerEvent) -> PolicyDraft {
    let trigger = TriggerDraft {
        name: "rule".into(),
        title: Text::new("Rule", "规则"),
        when: vec![Some(when)],
        condition,
        then: vec![StepDraftOf::AddNote("自动".into())],
    };
    let automation = AutomationDraft { triggers: vec![trigger], ..AutomationDraft::default() };
    PolicyDraft { automation, ..draft() }
}

fn holds(ticket: &Ticket, draft: ConditionDraft) -> bool {
    let policy = condition(draft);
    let mut triggers = policy.automation().triggers_on(&[TriggerEvent::Updated]);
    triggers.next().expect("the trigger").condition.holds(ticket, None, &EventTold::default())
}

fn ticket() -> Ticket {
    let mut ticket = Desk::new(Severity::Serious).ticket;
    ticket.details = Details {
        subject: "電梯 困 人".into(),
        description: "Elevator STUCK at floor ３".into(),
        category: "工程质量/电梯".into(),
        tags: vec!["急".into()],
        ..Details::default()
    };
    ticket.customer_grade = Some("vip".into());
    ticket
}

#[test]
fn t26_a_condition_asks_for_one_entry_of_each_of_its_lists() {
    let list = |entries: &[&str]| entries.iter().map(|entry| (*entry).to_owned()).collect();
    let none = ConditionDraft::default;
    let cases: Vec<(&str, ConditionDraft, bool)> = vec![
        ("nothing", none(), true),
        ("kind", ConditionDraft { kinds: vec![Some(TicketKind::Complaint)], ..none() }, true),
        ("kind", ConditionDraft { kinds: vec![Some(TicketKind::Inquiry)], ..none() }, false),
        ("channel", ConditionDraft { channels: vec![Some(Channel::Mail)], ..none() }, false),
        ("severity", ConditionDraft { severities: vec![2, 3], ..none() }, true),
        ("severity", ConditionDraft { severities: vec![1], ..none() }, false),
        ("priority", ConditionDraft { priorities: vec![Some(Priority::Urgent)], ..none() }, false),
        ("state", ConditionDraft { states: vec![Some(StateName::Registered)], ..none() }, true),
        ("state", ConditionDraft { states: vec![Some(StateName::Closed)], ..none() }, false),
        ("grade", ConditionDraft { grades: list(&["a", "vip"]), ..none() }, true),
        ("grade", ConditionDraft { grades: list(&["VIP"]), ..none() }, false),
        ("category", ConditionDraft { categories: list(&["工程质量"]), ..none() }, true),
        ("category", ConditionDraft { categories: list(&["工程质量/电梯"]), ..none() }, true),
        ("category", ConditionDraft { categories: list(&["工程"]), ..none() }, false),
        ("category", ConditionDraft { categories: list(&["工程质量/电梯/门"]), ..none() }, false),
        ("org unit", ConditionDraft { org_units: list(&["group/north"]), ..none() }, true),
        ("org unit", ConditionDraft { org_units: list(&["group/nor"]), ..none() }, false),
        ("tag", ConditionDraft { tags: list(&["急"]), ..none() }, true),
        ("tag", ConditionDraft { tags: list(&["缓"]), ..none() }, false),
        ("no tag", ConditionDraft { without_tags: list(&["急"]), ..none() }, false),
        ("no tag", ConditionDraft { without_tags: list(&["缓"]), ..none() }, true),
        ("keyword", ConditionDraft { keywords: list(&["电梯困人"]), ..none() }, true),
        ("keyword", ConditionDraft { keywords: list(&["漏水", "stuck"]), ..none() }, true),
        ("keyword", ConditionDraft { keywords: list(&["tuck"]), ..none() }, false),
        ("unowned", ConditionDraft { unowned: true, ..none() }, true),
        (
            "all of them",
            ConditionDraft { tags: list(&["急"]), severities: vec![1], ..none() },
            false,
        ),
    ];
    for (name, draft, expected) in cases {
        assert_eq!(holds(&ticket(), draft.clone()), expected, "{name}: {draft:?}");
    }
    let owned = Ticket { owner: Some("an".into()), ..ticket() };
    assert!(!holds(&owned, ConditionDraft { unowned: true, ..none() }));
    assert!(holds(&owned, none()));
    let mut bare = ticket();
    (bare.details.category, bare.customer_grade) = (String::new(), None);
    assert!(!holds(&bare, ConditionDraft { categories: list(&["工程质量"]), ..none() }));
    assert!(!holds(&bare, ConditionDraft { grades: list(&["vip"]), ..none() }));
}

#[test]
fn t26_a_condition_asks_for_level_product_shop_amount_fields_and_team() {
    let list = |entries: &[&str]| entries.iter().map(|entry| (*entry).to_owned()).collect();
    let none = ConditionDraft::default;
    let mut ticket = ticket();
    ticket.receiver_level = ReceiverLevel::from_number(2).expect("a level");
    (ticket.details.product, ticket.details.shop) = ("ＫＦ－９ 型".into(), "Harbour 3".into());
    ticket.amount = Some(Amount { cents: 50_000, currency: "CNY".into() });
    ticket.details.fields = [
        ("batch".to_owned(), vec!["42".to_owned()]),
        ("damage".to_owned(), vec!["box".to_owned(), "screen".to_owned()]),
    ]
    .into();
    let field = |code: &str, kind, choices: &[&str]| FieldDraft {
        code: code.into(),
        title: Text::new("", "字段"),
        kind: Some(kind),
        choices: choices.iter().map(|code| ((*code).into(), Text::new("", "选项"))).collect(),
        ..FieldDraft::default()
    };
    let holds = |draft: ConditionDraft, team: Option<&str>| {
        let mut policy = policy_draft(draft, TriggerEvent::Updated);
        policy.content.fields = vec![
            field("batch", FieldType::Number, &[]),
            field("damage", FieldType::MultiChoice, &["box", "screen", "lid"]),
            field("note", FieldType::Text, &[]),
        ];
        let policy = Policy::try_new(policy).expect("a sound policy");
        let mut triggers = policy.automation().triggers_on(&[TriggerEvent::Updated]);
        let condition = &triggers.next().expect("the trigger").condition;
        assert_eq!(condition.asks_for_team(), team.is_some());
        condition.holds(&ticket, team, &EventTold::default())
    };
    let asks = |field: &str, values: &[&str]| ConditionDraft {
        custom_fields: vec![(field.into(), list(values))],
        ..none()
    };
    let amount = |min, below, currency: &str| ConditionDraft {
        min_amount_cents: min,
        below_amount_cents: below,
        currency: currency.into(),
        ..none()
    };
    let cases: Vec<(ConditionDraft, bool)> = vec![
        (ConditionDraft { receiver_levels: vec![1, 2], ..none() }, true),
        (ConditionDraft { receiver_levels: vec![1, 3], ..none() }, false),
        (ConditionDraft { products: list(&["kf-9 型"]), ..none() }, true),
        (ConditionDraft { products: list(&["kf-8 型"]), ..none() }, false),
        (ConditionDraft { shops: list(&["HARBOUR 3"]), ..none() }, true),
        (ConditionDraft { shops: list(&["harbour"]), ..none() }, false),
        (amount(50_000, 0, "CNY"), true),
        (amount(0, 50_000, "CNY"), false),
        (amount(50_001, 0, "CNY"), false),
        (amount(1, 0, "USD"), false),
        (asks("batch", &["+042"]), true),
        (asks("batch", &["41"]), false),
        (asks("batch", &[]), true),
        (asks("note", &[]), false),
        (asks("damage", &["lid", "screen"]), true),
        (asks("damage", &["lid"]), false),
    ];
    for (draft, expected) in cases {
        assert_eq!(holds(draft.clone(), None), expected, "{draft:?}");
    }
    let of_team = |code: &str| ConditionDraft { teams: list(&["lifts", code]), ..none() };
    assert!(holds(of_team("desk"), Some("desk")));
    assert!(!holds(of_team("desk"), Some("night")));
}

#[test]
fn t26_a_condition_asks_for_the_clock_of_a_clock_event_and_for_nothing_without_one() {
    let asking = |event| {
        let draft =
            ConditionDraft { clocks: vec!["resolution".into()], ..ConditionDraft::default() };
        Policy::try_new(policy_draft(draft, event))
    };
    let policy = asking(TriggerEvent::ClockBreached).expect("a sound policy");
    let after = |clock: Option<&str>| {
        let told = EventTold { clock: clock.map(ToOwned::to_owned), ..EventTold::default() };
        let mut triggers = policy.automation().triggers_on(&[TriggerEvent::ClockBreached]);
        triggers.next().expect("the trigger").condition.holds(&ticket(), None, &told)
    };
    assert!(after(Some("resolution")));
    assert!(!after(Some("first-response")));
    assert!(!after(None));
    let faults = asking(TriggerEvent::Updated).expect_err("no clock there");
    let paths: Vec<_> = faults.iter().map(|fault| &*fault.path).collect();
    assert_eq!(paths, ["triggers[0].if.clocks"]);
}

#[test]
fn t26_steps_are_done_each_on_what_the_one_before_left_or_none_is() {
    let desk = Desk::new(Severity::Ordinary);
    let actor = Actor::Trigger("rule".into());
    let doing = Doing {
        actor: &actor,
        by_manager: false,
        now: hours(1),
        customer_name: None,
        route: None,
        placed: None,
        occurred: None,
    };
    let steps = [
        AutoStep::AddTags(vec!["急".into()]),
        AutoStep::AddTags(vec!["急".into(), "电梯".into()]),
        AutoStep::RaisePriority(Priority::High),
        AutoStep::RaisePriority(Priority::Low),
        AutoStep::Escalate("请上级处理".into()),
        AutoStep::Escalate("请上级处理".into()),
    ];
    let done = automate(&desk.ticket, &desk.policy, &steps, doing).expect("allowed");
    assert_eq!(
        actions(&done.changes),
        ["UpdateTicket", "UpdateTicket", "RaisePriority", "EscalateTicket", "EscalateTicket"]
    );
    assert!(done.changes.iter().all(|change| &*change.actor.subject() == "system/trigger/rule"));
    let mut after = desk.clone();
    after.take(&done.changes);
    assert_eq!(after.ticket.details.tags, ["急", "电梯"]);
    assert_eq!((after.ticket.priority, after.level()), (Priority::High, 3));

    // The third has nowhere to go: with it, nothing happens.
    let more = [&steps[..], &[AutoStep::Escalate("再上".into())]].concat();
    let (step, refusal) = automate(&desk.ticket, &desk.policy, &more, doing).expect_err("refused");
    assert_eq!((step, missing(Err(refusal))), (6, vec![Missing::HigherLevel]));

    let many: Vec<String> = (0..51).map(|n| format!("标签{n}")).collect();
    let steps = [AutoStep::AddTags(many)];
    let (_, refusal) = automate(&desk.ticket, &desk.policy, &steps, doing).expect_err("refused");
    assert_eq!(wrong_fields(Err(refusal)), ["ticket.tags"]);
}

#[test]
fn t14_what_is_sent_needs_a_way_that_the_policy_has() {
    let desk = Desk::new(Severity::Ordinary);
    let route = Route { adapter: "mail".into(), recipient: "wang@example.cn".into() };
    let send = Command::Send { command: Box::new(respond()), route };
    assert_eq!(wrong_fields(desk.tries(HANDLER, hours(1), send.clone())), ["delivery.adapter"]);
    let overriding = Command::OverridePhrases(Box::new(send.clone()));
    assert!(overriding.overrides_phrases());
    let hidden = Command::Send {
        command: Box::new(overriding),
        route: Route { adapter: "mail".into(), recipient: "wang@example.cn".into() },
    };
    assert!(hidden.overrides_phrases(), "wherever it stands, it needs the permission");
    assert!(!send.overrides_phrases());
}
