//! T-20: root causes by Pareto and suggestions with their state in the weekly report, and in its documents.

use std::io::Cursor;

use calamine::{Data, Reader as _, Xlsx};
use kefu_api::ticket::v1 as pb;

use crate::pack::{policy, text, working_days};
use crate::world::{Desk, World, at, complaint};

const HOSTILE: &str = "=HYPERLINK(\"x\")<script>alert(1)</script>";

impl Desk {
    async fn cause(&mut self, ticket: &str, cause: &str) {
        let root_cause = Some(pb::RootCause {
            ticket: ticket.into(),
            cause: cause.into(),
            method: "五个为什么".into(),
            finding: "密封圈过软".into(),
            ..Default::default()
        });
        let request = pb::RecordRootCauseRequest { root_cause, ..Default::default() };
        self.actions.record_root_cause(request).await.unwrap();
    }

    async fn idea(&mut self, ticket: &str, title: &str) -> String {
        let suggestion = Some(pb::Suggestion {
            org_unit: "group/north".into(),
            tickets: vec![ticket.into()],
            title: title.into(),
            text: "三个月内七起漏水".into(),
            decision_maker: "quality".into(),
            ..Default::default()
        });
        let request = pb::SubmitSuggestionRequest { suggestion, ..Default::default() };
        self.suggestions.submit_suggestion(request).await.unwrap().into_inner().name
    }

    async fn decides(&mut self, name: &str, outcome: pb::SuggestionState, until: Option<&str>) {
        let request = pb::DecideSuggestionRequest {
            name: name.into(),
            outcome: outcome.into(),
            reason: "已列入计划".into(),
            defer_until_time: until.and_then(at),
            ..Default::default()
        };
        self.suggestions.decide_suggestion(request).await.unwrap();
    }

    async fn report_as_of(&mut self, as_of: Option<&str>) -> pb::ComplaintReport {
        let request = pb::GetComplaintReportRequest {
            org_unit: "group".into(),
            week: "2026-W11".into(),
            as_of_time: as_of.and_then(at),
            compare: true,
            top: 1,
            ..Default::default()
        };
        self.reports.get_complaint_report(request).await.unwrap().into_inner()
    }
}

/// In the first week a complaint and an idea, in the second four complaints, their causes, and decisions.
async fn world() -> World {
    let world = World::new().await;
    let mut learning = policy();
    learning.learning = Some(pb::LearningRules {
        root_causes: [("seal", "Soft seal", "密封圈过软"), ("training", "", "培训不足")]
            .map(|(code, en, zh)| pb::RootCauseRule {
                code: code.into(),
                title: Some(text(en, zh)),
            })
            .into(),
        suggestion_decision_within: working_days(2),
        ..Default::default()
    });
    world.admin().apply("group", learning).await.unwrap();
    let (mut manager, mut quality) = (world.manager(), world.quality());
    let early = manager.create(complaint("group/north", "漏水")).await.name;
    let old = manager.idea(&early, "加硬密封圈").await;
    world.set_time("2026-03-09T02:00:00Z").await;
    let mut tickets = Vec::new();
    for _ in 0..4 {
        tickets.push(manager.create(complaint("group/north", "漏水")).await.name);
    }
    let inquiry =
        pb::Ticket { kind: pb::TicketKind::Inquiry.into(), ..complaint("group/north", "问") };
    let inquiry = manager.create(inquiry).await.name;
    for (ticket, cause) in [
        (&early, "seal"),
        (&tickets[0], "seal"),
        // Found twice, it counts once.
        (&tickets[0], "seal"),
        (&tickets[0], "training"),
        (&tickets[1], "seal"),
        // Not of a complaint.
        (&inquiry, "training"),
    ] {
        manager.cause(ticket, cause).await;
    }
    quality.decides(&old, pb::SuggestionState::Deferred, Some("2026-03-11T02:00:00Z")).await;
    world.set_time("2026-03-12T02:00:00Z").await;
    manager.idea(&tickets[0], HOSTILE).await;
    quality.decides(&old, pb::SuggestionState::Accepted, None).await;
    world
}

#[tokio::test]
async fn t20_root_causes_and_suggestions_are_in_the_report_as_of_any_time() {
    let world = world().await;
    let report = world.manager().report_as_of(None).await;
    let causes = report.root_causes.clone().unwrap();
    let received = causes.received.unwrap();
    let first = &received.entries[0];
    assert_eq!((&*first.label, first.count), ("seal", 2));
    assert_eq!((received.entries.len(), received.others, received.total), (1, 1, 3));
    assert!((first.share - 2.0 / 3.0).abs() < 1e-9);
    assert_eq!(causes.received_tickets, 2, "of four");
    let found = causes.found.unwrap();
    assert_eq!((found.entries[0].count, found.total, causes.found_tickets), (3, 4, 3));
    let ideas = report.suggestions.clone().unwrap();
    let counts = (ideas.submitted, ideas.accepted, ideas.rejected, ideas.deferred);
    assert_eq!(counts, (1, 1, 0, 1));
    assert_eq!((ideas.open, ideas.overdue), (1, 0));
    let states: Vec<_> = ideas.moved.iter().map(pb::ReportSuggestion::state).collect();
    assert!(states.contains(&pb::SuggestionState::Accepted), "{states:?}");
    assert_eq!((states.len(), ideas.waiting.len()), (2, 1));
    assert_eq!(ideas.waiting[0].due_time, at("2026-03-16T02:00:00Z"), "two working days");
    // The week before: what was known then.
    let before = report.week_before.unwrap().report.unwrap();
    assert_eq!(before.root_causes.unwrap().received_tickets, 0, "found later");
    let then = before.suggestions.unwrap();
    assert_eq!((then.submitted, then.open, then.overdue), (1, 1, 1));
    assert_eq!(then.waiting[0].state(), pb::SuggestionState::Submitted);
    // In the midst of the week it was deferred, and that had run out.
    let wednesday = world.manager().report_as_of(Some("2026-03-11T02:00:00Z")).await;
    let ideas = wednesday.suggestions.unwrap();
    assert_eq!((ideas.accepted, ideas.deferred, ideas.open, ideas.overdue), (0, 1, 1, 1));
    assert_eq!(ideas.waiting[0].state(), pb::SuggestionState::Deferred);
    let of = |metric: pb::ReportMetric| {
        let week = wednesday.week_before.as_ref().unwrap();
        let found = week.differences.iter().find(|found| found.metric() == metric).unwrap();
        (found.value, found.earlier)
    };
    assert_eq!(of(pb::ReportMetric::RootCausesFound), (Some(4.0), Some(0.0)));
    assert_eq!(of(pb::ReportMetric::SuggestionsSubmitted), (Some(0.0), Some(1.0)));
}

#[tokio::test]
async fn t20_causes_and_suggestions_are_in_the_documents_in_both_languages_and_text_is_text() {
    let world = world().await;
    let mut manager = world.manager();
    let mut render = async |format: pb::ReportFormat, language: &str| {
        let report =
            pb::GetComplaintReportRequest { org_unit: "group".into(), ..Default::default() };
        let request = pb::RenderComplaintReportRequest {
            report: Some(report),
            format: format.into(),
            language_code: language.into(),
        };
        let document = manager.reports.render_complaint_report(request).await.unwrap();
        document.into_inner().content
    };
    let english = String::from_utf8(render(pb::ReportFormat::Html, "en").await).unwrap();
    for words in [
        "Root causes found",
        "Soft seal (seal)",
        "2 of 4 have a root cause",
        "Suggestions of the period",
        "Waits for a decision",
        "Accepted",
        "&lt;script&gt;alert(1)",
    ] {
        assert!(english.contains(words), "{words}");
    }
    assert!(!english.contains("<script"));
    let chinese = String::from_utf8(render(pb::ReportFormat::Html, "zh").await).unwrap();
    for words in ["本期查明的根本原因", "密封圈过软 (seal)", "待决改进建议", "已采纳", "应决定时间"]
    {
        assert!(chinese.contains(words), "{words}");
    }
    let book = render(pb::ReportFormat::Xlsx, "zh").await;
    let mut book: Xlsx<_> = Xlsx::new(Cursor::new(book)).unwrap();
    let causes = book.worksheet_range("根本原因").unwrap();
    let seal: Vec<_> =
        causes.rows().find(|row| row[0].to_string().contains("seal")).unwrap().into();
    assert_eq!((&seal[1], &seal[4]), (&Data::Float(2.0), &Data::Float(0.0)));
    let moved = book.worksheet_range("本期改进建议").unwrap();
    assert!(moved.rows().any(|row| row[0] == Data::String(HOSTILE.into())));
    assert!(book.worksheet_formula("本期改进建议").unwrap().is_empty());
}
