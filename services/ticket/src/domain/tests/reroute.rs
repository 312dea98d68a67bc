//! T-03: looking at the rules again, and what an assignment by them makes of a ticket.

use super::*;

fn with(rerouting: Rerouting) -> Policy {
    let rules = vec![
        RuleDraft {
            name: "attitude".into(),
            conditions: ConditionsDraft {
                categories: vec!["service".into()],
                ..ConditionsDraft::default()
            },
            team: "attitude".into(),
            ..RuleDraft::default()
        },
        RuleDraft {
            name: "severe".into(),
            conditions: ConditionsDraft { severities: vec![3], ..ConditionsDraft::default() },
            team: "lifts".into(),
            distribution: Some(Distribution::RoundRobin),
            priority: Some(Priority::Urgent),
            ..RuleDraft::default()
        },
    ];
    let categories = vec![CategoryDraft {
        code: "service".into(),
        parent: String::new(),
        title: Text::new("Service", "服务"),
    }];
    let routing = RoutingDraft { categories, rules, rerouting, ..RoutingDraft::default() };
    Policy::try_new(PolicyDraft { routing, ..draft() }).expect("a sound policy")
}

fn recategorise(desk: &Desk, category: &str) -> Command {
    let details = Details { category: category.into(), ..desk.ticket.details.clone() };
    Command::UpdateDetails { details }
}

fn to(team: u128, owner: Option<&str>, routed: Option<Routed>) -> Assignment {
    Assignment {
        team: Uuid::from_u128(team),
        owner: owner.map(Into::into),
        cause: AssignCause::Rerouted,
        reason: String::new(),
        candidates: Vec::new(),
        routed: routed.map(Box::new),
    }
}

/// Whether a command is a reason to look at the rules again.
fn is_reason(desk: &Desk, command: Command) -> bool {
    let changes = desk.tries(HANDLER, hours(1), command).expect("allowed");
    let mut after = desk.ticket.clone();
    changes.iter().for_each(|change| apply(&mut after, change));
    desk.policy.routing().is_looked_at_again(&desk.ticket, &changes, &after)
}

#[test]
fn t03_only_what_the_policy_names_and_nobody_owns_is_routed_again() {
    for (on_category_change, on_severity_change) in
        [(false, false), (true, false), (false, true), (true, true)]
    {
        let policy = with(Rerouting { on_category_change, on_severity_change });
        let mut desk = Desk::with(policy, Severity::Ordinary);
        assert_eq!(is_reason(&desk, recategorise(&desk, "service")), on_category_change);
        assert_eq!(is_reason(&desk, assess(Severity::VerySerious)), on_severity_change);
        // Nothing that the rules are asked about.
        let tags = vec!["急".to_owned()];
        let details = Details { tags, ..desk.ticket.details.clone() };
        assert!(!is_reason(&desk, Command::UpdateDetails { details }));
        assert!(!is_reason(&desk, respond()));
        assert!(!is_reason(&desk, assess(Severity::Ordinary)));
        desk.does(HANDLER, hours(1), pause());
        assert_eq!(is_reason(&desk, assess(Severity::VerySerious)), on_severity_change);
        let owned = Command::Assign(to(1, Some("an"), None));
        let mut owned_desk = desk.clone();
        owned_desk.does(HANDLER, hours(1), owned);
        assert!(!is_reason(&owned_desk, assess(Severity::VerySerious)), "somebody has it");
        // Whoever received it answers for it.
        desk.ticket.handling.receiver = Some("zhao".into());
        assert!(!is_reason(&desk, assess(Severity::VerySerious)));
    }
}

#[test]
fn t03_the_rules_see_the_ticket_as_it_is_and_leave_the_criteria_alone() {
    let policy = with(Rerouting::default());
    let mut desk = Desk::with(policy.clone(), Severity::VerySerious);
    let again = policy.routing().again(&desk.ticket);
    assert_eq!((again.rule.as_deref(), again.team.as_deref()), (Some("severe"), Some("lifts")));
    assert_eq!(again.looks.len(), 2);
    let command = recategorise(&desk, "service");
    desk.does(HANDLER, hours(1), command);
    let again = policy.routing().again(&desk.ticket);
    assert_eq!((again.rule.as_deref(), again.looks.len()), (Some("attitude"), 1));
    assert_eq!((again.distribution, again.severity), (None, Severity::VerySerious));
    let supposed = Supposed {
        severity: Some(Severity::Ordinary),
        category: Some(String::new()),
        product: None,
    };
    let again = policy.routing().again(&supposed.onto(desk.ticket));
    assert_eq!((again.rule, again.looks.len()), (None, 2));
}

#[test]
fn t03_an_assignment_by_the_policy_says_how_an_owner_is_found() {
    let policy = with(Rerouting::default());
    let mut desk = Desk::with(policy, Severity::VerySerious);
    let routed = desk.policy.routing().again(&desk.ticket);
    desk.does(HANDLER, hours(1), Command::Assign(to(1, None, Some(routed.clone()))));
    assert_eq!(desk.ticket.distribution, Some(Distribution::RoundRobin));
    let same = desk.does(HANDLER, hours(1), Command::Assign(to(1, None, Some(routed.clone()))));
    assert!(same.is_empty(), "nothing is different");
    let otherwise = Routed { distribution: None, ..routed };
    let told = desk.does(HANDLER, hours(1), Command::Assign(to(1, None, Some(otherwise))));
    assert_eq!(told.len(), 1, "it waits for somebody who decides");
    assert_eq!(desk.ticket.distribution, None);
    // A person's hand leaves it as it is.
    desk.ticket.distribution = Some(Distribution::LeastLoad);
    let by_hand = Assignment {
        cause: AssignCause::Manual,
        reason: "熟悉情况".into(),
        ..to(2, Some("an"), None)
    };
    desk.does(HANDLER, hours(1), Command::Assign(by_hand));
    assert_eq!(desk.ticket.distribution, Some(Distribution::LeastLoad));
}

#[test]
fn t26_a_step_that_assigns_raises_the_priority_first_or_does_nothing() {
    let policy = with(Rerouting::default());
    let mut desk = Desk::with(policy, Severity::VerySerious);
    desk.ticket.priority = Priority::Normal;
    let actor = Actor::Trigger("rule".into());
    let steps = [AutoStep::AddTags(vec!["急".into()]), AutoStep::Assign(AssignTo::Rules)];
    let routed = AssignTo::Rules.routed(&desk.ticket, &desk.policy);
    let found =
        Found { team: Uuid::from_u128(1), owner: Some("an".into()), candidates: Vec::new() };
    let placed = Placed::of(routed.clone(), Some(found), AssignCause::Trigger, "");
    let doing = |placed| Doing {
        actor: &actor,
        by_manager: false,
        now: hours(1),
        customer_name: None,
        route: None,
        placed,
        occurred: None,
    };
    let done = automate(&desk.ticket, &desk.policy, &steps, doing(Some(&placed))).expect("allowed");
    assert_eq!(actions(&done.changes), ["UpdateTicket", "RaisePriority", "AssignTicket"]);
    let nowhere = Placed::of(routed, None, AssignCause::Trigger, "");
    for placed in [None, Some(&nowhere)] {
        let (step, refusal) =
            automate(&desk.ticket, &desk.policy, &steps, doing(placed)).expect_err("refused");
        assert_eq!((step, wrong_fields(Err(refusal))), (1, vec!["assign".to_owned()]));
    }
}
