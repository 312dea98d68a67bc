//! What the default permissions allow, and how permissions of one's own are read.

#![allow(clippy::unwrap_used, reason = "helpers of tests are not seen as tests")]

use kefu_identity::{Authorizer, Caller, OrgUnit, role};

fn unit(path: &str) -> OrgUnit {
    path.parse().unwrap()
}

fn caller(role: &str, home: &str) -> Caller {
    Caller::staff("someone", unit(home), [role])
}

fn allows(authorizer: &Authorizer, caller: &Caller, action: &str, place: &str) -> bool {
    authorizer.authorize(caller, action, &unit(place)).is_ok()
}

/// Holds the default permissions against a table: for each role a cell for each list of methods of the ticket context, `.`
/// where it may do none of them in its org unit and below, else all. Aside it may nothing; only other contexts are
/// everywhere. `besides` tells what a role may by another permission.
fn holds(methods: &[&[&str]], table: &[(&str, &str)], besides: impl Fn(&str, &str) -> bool) {
    let authorizer = Authorizer::with_defaults().unwrap();
    for (role, row) in table {
        assert_eq!(row.len(), methods.len(), "{role} has a cell for each list");
        let caller = caller(role, "group/north");
        for (methods, cell) in methods.iter().zip(row.chars()) {
            for method in *methods {
                let action = format!("ticket.{method}");
                let may = |place| allows(&authorizer, &caller, &action, place);
                let expected = cell != '.' || besides(role, method);
                assert_eq!(may("group/north"), expected, "{role} {method}");
                assert_eq!(may("group/north/riverside"), expected, "{role} {method}, below");
                let everywhere = expected && *role == role::SERVICE;
                assert_eq!(may("group/south"), everywhere, "{role} {method}, aside");
            }
        }
    }
}

fn nothing(_role: &str, _method: &str) -> bool {
    false
}

/// One method for every cell of the table below: context × group.
const METHODS: [(&str, [&str; 5]); 3] = [
    (
        "customer",
        ["GetCustomer", "CreateCustomer", "UpdateCustomer", "SetStanding", "ApplyCustomerPolicy"],
    ),
    ("ticket", ["GetTicket", "CreateTicket", "ResolveTicket", "CancelTicket", "ApplyTicketPolicy"]),
    (
        "survey",
        [
            "GetInvitation",
            "RecordAnswer",
            "IssueInvitationToken",
            "RevokeInvitation",
            "ApplySurveyPolicy",
        ],
    ),
];

#[test]
fn x07_every_role_may_exactly_what_the_table_says() {
    // Read, register, handle, decide, administer; in customer, ticket, survey.
    let table = [
        (role::CLERK, ["rg...", "rg...", "r...."]),
        (role::HANDLER, ["rgh..", "rgh..", "r.h.."]),
        (role::MANAGER, ["rghd.", "rghd.", "r.hd."]),
        (role::DIRECTOR, ["rghd.", "rghd.", "r.hd."]),
        (role::QUALITY, ["r....", "rg.d.", "rghd."]),
        (role::HEADQUARTERS, ["rg.d.", "rghd.", "r..d."]),
        (role::ADMIN, ["r...a", "r...a", "r...a"]),
        (role::OPERATOR, [".....", ".....", "....."]),
        (role::SERVICE, ["r....", "r....", "r...."]),
        (role::AUDITOR, ["r....", "r....", "r...."]),
        ("unheard-of", [".....", ".....", "....."]),
    ];
    assert!(role::ALL.iter().all(|role| table.iter().any(|(known, _)| known == role)));
    let authorizer = Authorizer::with_defaults().unwrap();
    for (role, rows) in table {
        let caller = caller(role, "group/north");
        for ((context, methods), row) in METHODS.iter().zip(rows) {
            for (method, cell) in methods.iter().zip(row.chars()) {
                let action = format!("{context}.{method}");
                let allowed = allows(&authorizer, &caller, &action, "group/north");
                assert_eq!(allowed, cell != '.', "{role} {action}");
            }
        }
    }
}

#[test]
fn x07_the_handling_of_a_ticket_is_for_those_who_may() {
    // Attempts and notes, handling, closing, the review, supervision, its answer, reading.
    let methods = [
        ["RecordContactAttempt", "RecordMeeting", "RecordFinding"].as_slice(),
        &[
            "TransferTicket",
            "AcceptTransfer",
            "ReturnTransfer",
            "WithdrawTransfer",
            "CompleteHandlingForm",
            "SetHandlingPlan",
            "AgreeHandlingPlan",
            "CompletePlanItem",
            "CorrectTicket",
            "ReopenTicket",
        ],
        &["CloseTicket"],
        &["DecideExecutiveReview"],
        &["SuperviseTicket", "UrgeTicket", "EndSupervision"],
        &["AnswerSupervision"],
        &[
            "GetHandlingPlan",
            "ListHandlingRecords",
            "ListTransfers",
            "ListSupervisions",
            "ListOverduePlanItems",
        ],
    ];
    let table = [
        (role::CLERK, "n.....r"),
        (role::HANDLER, "nh...ar"),
        (role::MANAGER, "nhc..ar"),
        (role::DIRECTOR, "nhce.ar"),
        (role::QUALITY, "n.c...r"),
        (role::HEADQUARTERS, "nhces.r"),
        (role::ADMIN, "......r"),
        (role::AUDITOR, "......r"),
        (role::OPERATOR, "......."),
    ];
    // Whoever decides may make a plan as well, by its verb.
    holds(&methods, &table, |role, method| role == role::QUALITY && method == "SetHandlingPlan");
}

#[test]
fn x07_the_steps_of_a_work_order_are_for_the_desk_the_work_and_those_above() {
    // The desk, the work, the decision, the form (T-16).
    let methods = [
        ["IssueWorkOrder", "CallBackWorkOrder", "ArchiveWorkOrder", "ReassignWorkOrder"].as_slice(),
        &[
            "AcceptWorkOrder",
            "ReportWorkOrderProgress",
            "DisputeWorkOrder",
            "CompleteWorkOrder",
            "SignOffWorkOrder",
        ],
        &["DecideWorkOrderDispute", "VoidWorkOrder"],
        &["RenderWorkOrder", "GetWorkOrder", "ListWorkOrders"],
    ];
    let table = [
        (role::CLERK, "d..f"),
        (role::HANDLER, "dw.f"),
        (role::MANAGER, "dwuf"),
        (role::DIRECTOR, "dwuf"),
        (role::HEADQUARTERS, "dwuf"),
        (role::QUALITY, "...f"),
        (role::ADMIN, "...f"),
        (role::AUDITOR, "...f"),
        (role::OPERATOR, "...."),
    ];
    // Quality archives as it decides on everything else about tickets.
    holds(&methods, &table, |role, method| role == role::QUALITY && method == "ArchiveWorkOrder");
    // Nobody may refuse one.
    let authorizer = Authorizer::with_defaults().unwrap();
    let director = caller(role::DIRECTOR, "group");
    assert!(!allows(&authorizer, &director, "ticket.RefuseWorkOrder", "group"));
}

#[test]
fn t25_everybody_speaks_for_himself_and_supervisors_for_their_teams() {
    let authorizer = Authorizer::with_defaults().unwrap();
    for role in role::ALL {
        let supervises = matches!(role, role::MANAGER | role::DIRECTOR | role::HEADQUARTERS);
        let works = supervises || matches!(role, role::CLERK | role::HANDLER | role::QUALITY);
        let table = [
            (["SetPresence", "CreateAbsence", "CloseAbsence"], works),
            (["CreateTeam", "UpdateTeam", "UpdateRoster"], supervises || role == role::ADMIN),
            (["SuperviseTeam"; 3], supervises),
        ];
        for (methods, expected) in table {
            for method in methods {
                let action = format!("ticket.{method}");
                let allowed = allows(&authorizer, &caller(role, "group"), &action, "group/north");
                assert_eq!(allowed, expected, "{role} {method}");
            }
        }
    }
}

#[test]
fn t05_managers_compute_promises_anew_and_who_sets_the_rules_sees_what_would_come_of_it() {
    let authorizer = Authorizer::with_defaults().unwrap();
    for role in role::ALL {
        let supervises = matches!(role, role::MANAGER | role::DIRECTOR | role::HEADQUARTERS);
        let caller = caller(role, "group/north");
        let allowed = |action, place| allows(&authorizer, &caller, action, place);
        let (recomputes, previews) = ("ticket.RecomputeClocks", "ticket.PreviewPolicyChange");
        assert_eq!(allowed(recomputes, "group/north/riverside"), supervises, "{role}");
        assert_eq!(allowed(previews, "group/north"), supervises || role == role::ADMIN, "{role}");
        assert!(!allowed(recomputes, "group/south") && !allowed(previews, "group"), "{role}");
    }
}

#[test]
fn t14_only_supervisors_override_forbidden_phrases() {
    let authorizer = Authorizer::with_defaults().unwrap();
    for role in role::ALL {
        let supervises = matches!(role, role::MANAGER | role::DIRECTOR | role::HEADQUARTERS);
        let caller = caller(role, "group/north");
        let allowed =
            |place| allows(&authorizer, &caller, "ticket.OverrideForbiddenPhrases", place);
        assert_eq!(allowed("group/north/riverside"), supervises, "{role}");
        assert!(!allowed("group/south"), "{role}");
    }
}

#[test]
fn t12_an_escalation_is_a_managers_decision_from_the_manager_up() {
    let authorizer = Authorizer::with_defaults().unwrap();
    for role in role::ALL {
        let decides = matches!(role, role::MANAGER | role::DIRECTOR | role::HEADQUARTERS);
        let caller = caller(role, "group/north");
        let allowed = |place| allows(&authorizer, &caller, "ticket.DecideEscalation", place);
        assert_eq!(allowed("group/north/riverside"), decides, "{role}");
        assert!(!allowed("group/south"), "{role}");
    }
}

#[test]
fn x07_learning_is_for_those_whose_it_is() {
    // Everybody's, supervisors', quality's, the person concerned, causes, plans, superiors', the desk's, who is on a shift
    // (T-17 to T-21).
    let methods = [
        ["ReportViolation", "SubmitSuggestion", "DecideSuggestion", "StartCorrectiveAction"]
            .as_slice(),
        &["ConfirmViolation", "DismissViolation", "DecideViolationAppeal"],
        &[
            "VerifyCorrectiveAction",
            "CancelCorrectiveAction",
            "PlaceProductHold",
            "LiftProductHold",
        ],
        &["AppealViolation", "GetViolation", "GetViolationStatement", "ListSuggestions"],
        &["RecordRootCause", "PlanCorrectiveAction", "ReassignCorrectiveAction"],
        &["OverruleSuggestion"],
        &["SubmitShiftList", "SignShiftHandover"],
        &["ReviewViolations"],
        &["UpdateShift"],
    ];
    let table = [
        (role::CLERK, "e..c..d.."),
        (role::HANDLER, "e..cp.d.."),
        (role::MANAGER, "es.cp.drw"),
        (role::DIRECTOR, "es.cpodrw"),
        (role::HEADQUARTERS, "es.cpodrw"),
        (role::QUALITY, "esqcp..r."),
        (role::ADMIN, "...c...r."),
        (role::AUDITOR, "...c...r."),
        (role::OPERATOR, "........."),
    ];
    holds(&methods, &table, nothing);
}

#[test]
fn x07_files_are_for_people_and_what_was_withdrawn_for_few() {
    let methods: [&[&str]; 5] = [
        &["UploadAttachment"],
        &["DownloadAttachment"],
        &["WithdrawAttachment"],
        &["InspectWithdrawnAttachment"],
        &["ListAttachments"],
    ];
    let table = [
        (role::CLERK, "ud..l"),
        (role::HANDLER, "udw.l"),
        (role::MANAGER, "udw.l"),
        (role::DIRECTOR, "udwil"),
        (role::HEADQUARTERS, "udwil"),
        (role::QUALITY, "udwil"),
        (role::ADMIN, ".d..l"),
        (role::AUDITOR, ".d.il"),
        (role::OPERATOR, "....."),
        (role::SERVICE, "....l"),
    ];
    holds(&methods, &table, nothing);
}

#[test]
fn t22_processes_are_for_those_who_work_with_customers_and_their_end_for_those_who_decide() {
    // Work whatever the template gives to whom, calling off, reading.
    let methods = [
        [
            "StartProcess",
            "RecordProcessDocument",
            "RecordProcessInspection",
            "RecordProcessAnswer",
            "SubmitProcessStage",
            "ApproveProcessStage",
            "RejectProcessStage",
            "CompleteProcessStage",
            "RequestProcessChange",
            "DecideProcessChange",
        ]
        .as_slice(),
        &["CancelProcess"],
        &["GetProcess", "ListProcesses", "ExplainProcessDeadlines"],
    ];
    let table = [
        (role::CLERK, "w.r"),
        (role::HANDLER, "w.r"),
        (role::MANAGER, "wcr"),
        (role::DIRECTOR, "wcr"),
        (role::HEADQUARTERS, "wcr"),
        (role::QUALITY, "wcr"),
        (role::ADMIN, "..r"),
        (role::AUDITOR, "..r"),
        (role::SERVICE, "..r"),
        (role::OPERATOR, "..."),
    ];
    holds(&methods, &table, nothing);
}

#[test]
fn t14_who_runs_the_machinery_sees_what_was_parked_and_nothing_of_the_business() {
    let authorizer = Authorizer::with_defaults().unwrap();
    let operator = caller(role::OPERATOR, "group/north");
    let may =
        |method: &str, place| allows(&authorizer, &operator, &format!("ticket.{method}"), place);
    for method in ["GetDelivery", "ListDeliveries", "RetryDelivery", "ListTroubledTriggerRuns"] {
        assert!(may(method, "group/north/riverside"), "{method}");
        assert!(!may(method, "group/south"), "{method}");
    }
    for method in ["CancelDelivery", "ListTicketMessages", "ApplyMacro", "ListTriggerRuns"] {
        assert!(!may(method, "group/north"), "{method}");
    }
}

#[test]
fn x07_the_machinery_is_for_those_who_run_it() {
    let authorizer = Authorizer::with_defaults().unwrap();
    for role in role::ALL {
        let caller = caller(role, "group");
        let service = role == role::SERVICE;
        let runs = service || role == role::OPERATOR;
        assert_eq!(allows(&authorizer, &caller, "feed.Subscribe", "group"), service, "{role}");
        assert_eq!(allows(&authorizer, &caller, "feed.GetHead", "group"), runs, "{role}");
        assert_eq!(allows(&authorizer, &caller, "clock.SetTime", "group"), runs, "{role}");
    }
}

#[test]
fn x07_roles_count_in_the_own_unit_and_below_and_nowhere_else() {
    let authorizer = Authorizer::with_defaults().unwrap();
    for role in role::ALL {
        let bound = !matches!(role, role::OPERATOR | role::SERVICE);
        if !bound {
            continue;
        }
        let caller = caller(role, "group/north");
        let reads = |place| allows(&authorizer, &caller, "ticket.GetTicket", place);
        assert!(reads("group/north"), "{role}");
        assert!(reads("group/north/riverside"), "{role}");
        assert!(!reads("group"), "{role} looks up");
        assert!(!reads("group/south"), "{role} looks aside");
        assert!(!reads("group/north-east"), "{role}: a common prefix is no kinship");
        assert!(!reads("group/north-east/north"), "{role}");
        assert!(!reads("north"), "{role}");
        assert!(!reads("other/group/north"), "{role}");
    }
    let east = caller(role::MANAGER, "group/north-east");
    assert!(!allows(&authorizer, &east, "ticket.GetTicket", "group/north"));
    assert!(allows(&authorizer, &caller(role::SERVICE, "kefu"), "ticket.GetTicket", "group/north"));
}

#[test]
fn x07_several_roles_add_up() {
    let authorizer = Authorizer::with_defaults().unwrap();
    let both = Caller::staff("li", unit("group"), [role::AUDITOR, role::ADMIN]);
    assert!(allows(&authorizer, &both, "ticket.ApplyTicketPolicy", "group/north"));
    let neither = Caller::staff("li", unit("group"), [""; 0]);
    assert!(!allows(&authorizer, &neither, "ticket.GetTicket", "group"));
}

#[test]
fn s04_an_invitation_may_be_answered_without_signing_in_and_nothing_else() {
    let authorizer = Authorizer::with_defaults().unwrap();
    for caller in [Caller::ANONYMOUS, caller(role::CLERK, "group/north")] {
        assert!(allows(&authorizer, &caller, "survey.SubmitAnswer", "group/south"));
        assert!(allows(&authorizer, &caller, "survey.GetQuestionnaire", "group/south"));
        for (context, methods) in METHODS {
            for method in methods {
                let action = format!("{context}.{method}");
                assert!(!allows(&authorizer, &caller, &action, "group/south"), "{action}");
            }
        }
    }
}

#[test]
fn x07_a_new_method_has_its_permission_by_its_verb_or_none() {
    let authorizer = Authorizer::with_defaults().unwrap();
    let director = caller(role::DIRECTOR, "group");
    assert!(allows(&authorizer, &director, "ticket.ListThingsOfTomorrow", "group"));
    assert!(!allows(&authorizer, &director, "ticket.ObliterateTicket", "group"));
    assert!(!allows(&authorizer, &director, "treasury.GetGold", "group"));
    assert!(!allows(&authorizer, &director, "no action at all", "group"));
}

#[test]
fn g10_a_denial_explains_itself_to_the_operator_and_not_to_the_caller() {
    let authorizer = Authorizer::with_defaults().unwrap();
    let clerk = caller(role::CLERK, "group/north");
    let explain =
        |action: &str, place: &str| authorizer.authorize(&clerk, action, &unit(place)).unwrap_err();
    let aside = explain("ticket.GetTicket", "group/south");
    assert!(aside.explanation.ends_with("forbidden by scope"), "{}", aside.explanation);
    assert_eq!(aside.to_string(), "permission denied");
    let above = explain("ticket.CancelTicket", "group/north").explanation;
    assert!(above.contains("roles [clerk] of group/north"), "{above}");
    assert!(above.ends_with("applies: manager, quality, headquarters"), "{above}");
    let unknown = explain("ticket.ObliterateTicket", "group/north").explanation;
    assert!(unknown.ends_with("no policy permits this action to anybody"), "{unknown}");
}

#[test]
fn x07_a_remembered_decision_is_the_same_and_only_for_the_same_question() {
    let authorizer = Authorizer::with_defaults().unwrap();
    for _ in 0..3 {
        for (home, place, allowed) in [
            ("group/north", "group/north", true),
            ("group/south", "group/north", false),
            ("group", "group/north", true),
        ] {
            let caller = caller(role::HANDLER, home);
            assert_eq!(allows(&authorizer, &caller, "ticket.GetTicket", place), allowed, "{home}");
        }
        assert!(!allows(&authorizer, &Caller::ANONYMOUS, "ticket.GetTicket", "group/north"));
    }
}

#[test]
fn x07_a_policy_about_one_person_is_not_remembered_for_another() {
    let text = r#"permit (principal == Kefu::Staff::"li", action == Kefu::Action::"ticket.PurgeTicket", resource);"#;
    let authorizer = Authorizer::from_policy_text(text).unwrap();
    let ask = |name: &str| {
        let caller = Caller::staff(name, unit("group"), [role::CLERK]);
        allows(&authorizer, &caller, "ticket.PurgeTicket", "group")
    };
    assert!(ask("li"));
    assert!(!ask("wang"));
    assert!(ask("li"));
}

#[test]
fn g10_permissions_with_faults_are_refused_with_all_of_them_named() {
    let text = r#"
        permit (principal in Kefu::Role::"clerk", action in Kefu::Action::"ticket.reed", resource);
        permit (principal, action, resource) when { principal.department == "x" };
        permit (principal in Kefu::Rolle::"clerk", action, resource);
    "#;
    let error = Authorizer::from_policy_text(text).unwrap_err();
    for word in ["ticket.reed", "department", "Rolle"] {
        assert!(error.to_string().contains(word), "{word} in {error}");
    }
    let syntax = Authorizer::from_policy_text("permit (principal, action);\nforbid everything;");
    assert!(!syntax.unwrap_err().faults.is_empty());
    let template = "permit (principal == ?principal, action, resource);";
    assert!(Authorizer::from_policy_text(template).is_err());
}

#[test]
fn g10_where_the_methods_are_known_a_misspelt_one_is_a_fault() {
    let methods = ["ticket.GetTicket", "ticket.CreateTicket"];
    let policy = |action: &str| {
        let text = format!(r#"permit (principal, action in Kefu::Action::"{action}", resource);"#);
        Authorizer::from_policy_text_for(&text, methods)
    };
    assert!(policy("ticket.GetTicket").is_ok());
    assert!(policy("ticket.read").is_ok());
    assert!(policy("ticket.GetTickets").is_err());
    assert!(policy("tickets.read").is_err());
    assert!(allows(
        &policy("ticket.CreateTicket").unwrap(),
        &Caller::ANONYMOUS,
        "ticket.CreateTicket",
        "group"
    ));
}

#[test]
fn g10_an_empty_text_denies_everything() {
    let authorizer = Authorizer::from_policy_text("").unwrap();
    assert!(!allows(&authorizer, &caller(role::ADMIN, "group"), "ticket.GetTicket", "group"));
}

#[test]
fn g10_a_missing_file_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("permissions.cedar");
    let error = Authorizer::from_file(&path).unwrap_err();
    assert!(error.to_string().contains("permissions.cedar"));
    std::fs::write(&path, "permit (principal, action, resource);").unwrap();
    let authorizer = Authorizer::from_file(&path).unwrap();
    assert!(allows(&authorizer, &Caller::ANONYMOUS, "ticket.GetTicket", "group"));
}

#[test]
fn x07_views_are_for_whoever_reads_and_search_is_for_people() {
    let authorizer = Authorizer::with_defaults().unwrap();
    let may = |role: &str, method: &str| {
        let action = format!("ticket.{method}");
        allows(&authorizer, &caller(role, "group/north"), &action, "group/north/riverside")
    };
    let nobody = [role::OPERATOR, role::SERVICE];
    for role in role::ALL.into_iter().filter(|role| !nobody.contains(role)) {
        for method in [
            "ListQueue",
            "CountQueue",
            "SearchTickets",
            "CreateSavedView",
            "UpdateSavedView",
            "DeleteSavedView",
        ] {
            assert!(may(role, method), "{role} {method}");
        }
    }
    // Other contexts read queues, and neither look into notes nor keep views.
    assert!(may(role::SERVICE, "ListQueue"));
    for method in ["SearchTickets", "CreateSavedView", "UpdateSavedView", "DeleteSavedView"] {
        assert!(!may(role::SERVICE, method) && !may(role::OPERATOR, method), "{method}");
    }
}

#[test]
fn t04_whoever_handles_tickets_merges_and_links_them() {
    let authorizer = Authorizer::with_defaults().unwrap();
    let may = |role: &str, method: &str| {
        let action = format!("ticket.{method}");
        allows(&authorizer, &caller(role, "group/north"), &action, "group/north/riverside")
    };
    let methods =
        ["MergeTicket", "UnmergeTicket", "LinkTicket", "UnlinkTicket", "AnswerChildTickets"];
    for method in methods {
        for role in [role::HANDLER, role::MANAGER, role::DIRECTOR, role::HEADQUARTERS] {
            assert!(may(role, method), "{role} {method}");
        }
        for role in [role::CLERK, role::AUDITOR, role::ADMIN, role::OPERATOR, role::SERVICE] {
            assert!(!may(role, method), "{role} {method}");
        }
    }
    // The front desk is told of duplicates before it registers one.
    assert!(may(role::CLERK, "ListLikelyDuplicates") && may(role::CLERK, "ListMassAnswers"));
    assert!(!may(role::CLERK, "ResolveChildTickets"));
}

#[test]
fn t02_whoever_was_asked_first_follows_what_he_took_while_he_works_with_customers() {
    let methods = [["ReadAsFirstContact", "UrgeAsFirstContact"].as_slice()];
    let table = [
        (role::CLERK, "f"),
        (role::HANDLER, "f"),
        (role::MANAGER, "f"),
        (role::DIRECTOR, "f"),
        (role::QUALITY, "f"),
        (role::HEADQUARTERS, "f"),
        (role::ADMIN, "."),
        (role::AUDITOR, "."),
        (role::OPERATOR, "."),
        (role::SERVICE, "."),
    ];
    holds(&methods, &table, nothing);
    let authorizer = Authorizer::with_defaults().unwrap();
    let none = Caller::staff("someone", unit("group/north"), [] as [&str; 0]);
    assert!(!allows(&authorizer, &none, "ticket.ReadAsFirstContact", "group/north"));
}
