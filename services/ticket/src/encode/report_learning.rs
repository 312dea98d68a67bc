//! What a report tells of root causes and suggestions (T-18, T-20, T-21), as a message and as tables.

use kefu_api::ticket::v1 as pb;
use kefu_rpc::Language;

use super::report::{moment, section};
use super::report_document::{Cell, Section};
use super::report_sections::{MINUTE, Page};
use super::report_words::{Words, suggestion_state_name};
use super::{optional_time, suggestion, time};
use crate::store::report::CountRow;
use crate::store::report_suggestion::{SuggestionCounts, SuggestionLine};

/// The causes from the most frequent down.
pub(super) fn root_causes(rows: &[CountRow]) -> pb::RootCauseSummary {
    let total = |name: &str| {
        let row = rows.iter().find(|row| row.section == name);
        row.map_or((0, 0), |row| (row.count, row.met))
    };
    let ((received, received_tickets), (found, found_tickets)) =
        (total("cause_total"), total("found_total"));
    pb::RootCauseSummary {
        received: Some(section(rows, "cause", received)),
        received_tickets,
        found: Some(section(rows, "found", found)),
        found_tickets,
    }
}

/// The suggestions of the period.
pub(super) fn suggestions(counts: &SuggestionCounts) -> pb::SuggestionSummary {
    pb::SuggestionSummary {
        submitted: counts.submitted,
        accepted: counts.accepted,
        rejected: counts.rejected,
        deferred: counts.deferred,
        open: counts.open,
        overdue: counts.overdue,
        moved: counts.moved.iter().map(line).collect(),
        waiting: counts.waiting.iter().map(line).collect(),
    }
}

fn line(line: &SuggestionLine) -> pb::ReportSuggestion {
    pb::ReportSuggestion {
        suggestion: suggestion::name(line.id),
        title: line.title.clone(),
        state: suggestion::state(line.state).into(),
        proposer: line.proposer.clone(),
        decision_maker: line.decision_maker.clone(),
        create_time: time(line.created_at),
        due_time: optional_time(line.due_at),
        decide_time: optional_time(line.decided_at),
        reason: line.reason.clone().unwrap_or_default(),
    }
}

impl<'a> Page<'a> {
    /// What was found out about the tickets received.
    pub(super) fn causes(&self) -> Section {
        let of = |report: &'a pb::ComplaintReport| report.root_causes.as_ref()?.received.as_ref();
        let mut section =
            self.pareto_of(("Root causes", "根本原因"), of, |code| self.cause_name(code));
        let summary = self.report.root_causes.as_ref();
        let (known, all) =
            (summary.map_or(0, |summary| summary.received_tickets), self.report.received);
        section.note = match self.names.language {
            Language::English => format!(
                "What was found out about the tickets received in the period: {known} of {all} have a root cause on record."
            ),
            Language::Chinese => {
                format!("本期受理工单已查明的根本原因：{all} 件中 {known} 件已登记。")
            }
        };
        section
    }

    /// What the period has taught.
    pub(super) fn causes_found(&self) -> Section {
        let of = |report: &'a pb::ComplaintReport| report.root_causes.as_ref()?.found.as_ref();
        let title = ("Root causes found", "本期查明的根本原因");
        let mut section = self.pareto_of(title, of, |code| self.cause_name(code));
        let tickets = self.report.root_causes.as_ref().map_or(0, |summary| summary.found_tickets);
        section.note = match self.names.language {
            Language::English => format!(
                "What was found out in the period, whenever the complaint was received: about {tickets} tickets."
            ),
            Language::Chinese => {
                format!("本期查明的根本原因，涉及 {tickets} 件工单（不论何时受理）。")
            }
        };
        section
    }

    /// What the policy calls a cause, with its code.
    fn cause_name(&self, code: &str) -> String {
        let causes = self.names.policy.map(|policy| &policy.learning().root_causes);
        match causes.and_then(|causes| causes.get(code)) {
            Some(title) => format!("{} ({code})", self.names.text(title)),
            None => code.to_owned(),
        }
    }

    /// How many suggestions went up, came back and wait.
    pub(super) fn suggestions(&self) -> Section {
        type Figure = fn(&pb::SuggestionSummary) -> i64;
        let of: [(Words, Figure); 6] = [
            (("Submitted", "新提建议"), |s| s.submitted),
            (("Accepted", "采纳"), |s| s.accepted),
            (("Rejected", "不采纳"), |s| s.rejected),
            (("Deferred", "暂缓"), |s| s.deferred),
            (("Waiting", "待决定"), |s| s.open),
            (("Of these overdue", "其中逾期"), |s| s.overdue),
        ];
        let summary =
            |report: &pb::ComplaintReport, of: Figure| report.suggestions.as_ref().map(of);
        let rows = of.map(|(words, of)| {
            let now = summary(self.report, of).unwrap_or_default();
            self.row(self.words(words).to_owned(), now, |then| summary(then, of))
        });
        let columns = self.columns(("Suggestions", "改进建议"));
        self.section(("Suggestions", "改进建议"), &columns, rows.into())
    }

    /// Those that moved in the period.
    pub(super) fn suggestions_moved(&self) -> Section {
        let moved = self.report.suggestions.iter().flat_map(|suggestions| &suggestions.moved);
        self.suggestion_list(("Suggestions of the period", "本期改进建议"), moved)
    }

    /// Those that wait.
    pub(super) fn suggestions_waiting(&self) -> Section {
        let waiting = self.report.suggestions.iter().flat_map(|suggestions| &suggestions.waiting);
        self.suggestion_list(("Suggestions waiting", "待决改进建议"), waiting)
    }

    fn suggestion_list<'b>(
        &self,
        title: Words,
        suggestions: impl Iterator<Item = &'b pb::ReportSuggestion>,
    ) -> Section {
        let at = |at: &Option<prost_types::Timestamp>| {
            at.map_or(Cell::None, |at| Cell::Text(moment(Some(&at), self.names.zone, MINUTE)))
        };
        let rows = suggestions.map(|suggestion| {
            vec![
                Cell::Text(suggestion.title.clone()),
                Cell::Text(self.words(suggestion_state_name(suggestion.state())).to_owned()),
                Cell::Text(suggestion.proposer.clone()),
                Cell::Text(suggestion.decision_maker.clone()),
                at(&suggestion.create_time),
                at(&suggestion.due_time),
                at(&suggestion.decide_time),
                Cell::Text(suggestion.reason.clone()),
            ]
        });
        let columns = [
            ("Suggestion", "建议"),
            ("State", "状态"),
            ("Proposer", "提出人"),
            ("Decision maker", "决策人"),
            ("Submitted", "提出时间"),
            ("Decision due", "应决定时间"),
            ("Decided", "决定时间"),
            ("Reason", "理由"),
        ];
        self.section(title, &columns, rows.collect())
    }
}
