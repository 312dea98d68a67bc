//! T-20: what a report tells of root causes and suggestions, counted again from the journal alone.

use std::collections::BTreeSet;

use jiff::Timestamp;
use kefu_api::ticket::v1 as pb;
use serde_json::Value;
use sqlx::PgPool;

use crate::recount::{Figures, Life, Question, add, pareto, text, time};

/// What the journal tells of what was learnt.
#[derive(Default)]
pub struct Learned {
    /// Ticket, org unit, code, when.
    causes: Vec<(String, String, String, Timestamp)>,
    ideas: Vec<Idea>,
}

#[derive(Default)]
struct Idea {
    name: String,
    unit: String,
    submitted: Timestamp,
    due: Option<Timestamp>,
    /// Outcome, when, until when it is deferred.
    decisions: Vec<(String, Timestamp, Option<Timestamp>)>,
}

/// All root causes and suggestions that the journal knows.
pub async fn learned(pool: &PgPool) -> Learned {
    let rows: Vec<(String, String, String, String, Value)> = sqlx::query_as(
        "SELECT aggregate_id::text, org_unit, action, to_char(occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'),
                after
         FROM journal WHERE aggregate_type IN ('root_cause', 'suggestion') ORDER BY aggregate_id, revision",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    let mut learned = Learned::default();
    for (id, unit, action, at, after) in rows {
        let at: Timestamp = at.parse().unwrap();
        match action.as_str() {
            "RecordRootCause" => {
                let cause = text(&after, "cause").unwrap();
                learned.causes.push((format!("tickets/{id}"), unit, cause, at));
            }
            "SubmitSuggestion" => {
                let due = time(&after, "dueTime");
                let name = format!("suggestions/{id}");
                let decisions = Vec::new();
                learned.ideas.push(Idea { name, unit, submitted: at, due, decisions });
            }
            "DecideSuggestion" => {
                let last = after["decisions"].as_array().unwrap().last().unwrap();
                let outcome = text(last, "outcome").unwrap();
                let idea = learned.ideas.last_mut().unwrap();
                idea.decisions.push((outcome, at, time(last, "deferUntilTime")));
            }
            _ => {}
        }
    }
    learned
}

fn is_below(unit: &str, top: &str) -> bool {
    unit == top || unit.starts_with(&format!("{top}/"))
}

impl Idea {
    fn last(&self, as_of: Timestamp) -> Option<&(String, Timestamp, Option<Timestamp>)> {
        self.decisions.iter().rfind(|(_, at, _)| *at <= as_of)
    }

    fn state(&self, as_of: Timestamp) -> &str {
        self.last(as_of).map_or("SUGGESTION_STATE_SUBMITTED", |(outcome, ..)| outcome)
    }

    fn is_open(&self, as_of: Timestamp) -> bool {
        matches!(self.state(as_of), "SUGGESTION_STATE_SUBMITTED" | "SUGGESTION_STATE_DEFERRED")
    }

    fn line(&self, as_of: Timestamp) -> String {
        format!("{} {}", self.name, self.state(as_of))
    }
}

/// Counts again.
pub fn recount(learned: &Learned, lives: &[Life], question: Question<'_>) -> Figures {
    let Question { unit, kinds, start, end, as_of, top, .. } = question;
    let mut figures = Figures::new();
    let in_period = |at: Timestamp| start <= at && at < end && at <= as_of;
    let asked = |life: &Life| kinds.contains(&life.kind.as_str());
    let mut count = |section: &str, pairs: BTreeSet<(&str, &str)>| {
        let tickets: BTreeSet<_> = pairs.iter().map(|(ticket, _)| ticket).collect();
        add(&mut figures, format!("{section} tickets"), tickets.len());
        pareto(&mut figures, section, pairs.iter().map(|(_, cause)| (*cause).to_owned()), top);
    };
    let life = |ticket: &str| lives.iter().find(|life| life.name == ticket).unwrap();
    let of = |keep: &dyn Fn(&str, &str, Timestamp) -> bool| {
        let kept = learned.causes.iter().filter(|(ticket, at, _, when)| keep(ticket, at, *when));
        kept.map(|(ticket, _, cause, _)| (ticket.as_str(), cause.as_str())).collect()
    };
    count(
        "cause",
        of(&|ticket, _, when| {
            let life = life(ticket);
            asked(life) && is_below(&life.unit, unit) && in_period(life.created) && when <= as_of
        }),
    );
    count(
        "found",
        of(&|ticket, at, when| asked(life(ticket)) && is_below(at, unit) && in_period(when)),
    );
    let ideas: Vec<&Idea> = learned
        .ideas
        .iter()
        .filter(|idea| is_below(&idea.unit, unit) && idea.submitted <= as_of)
        .collect();
    let mut count = |name: &str, found: usize| add(&mut figures, format!("ideas {name}"), found);
    count("submitted", ideas.iter().filter(|idea| in_period(idea.submitted)).count());
    for outcome in ["ACCEPTED", "REJECTED", "DEFERRED"] {
        let state = format!("SUGGESTION_STATE_{outcome}");
        let decisions = ideas.iter().flat_map(|idea| &idea.decisions);
        let found = decisions.filter(|(decided, at, _)| *decided == state && in_period(*at));
        count(&outcome.to_lowercase(), found.count());
    }
    let mut open: Vec<_> = ideas.iter().filter(|idea| idea.is_open(as_of)).collect();
    count("open", open.len());
    let due = |idea: &Idea| idea.last(as_of).map_or(idea.due, |(_, _, until)| *until);
    let overdue = open.iter().filter(|idea| due(idea).is_some_and(|due| due <= as_of));
    count("overdue", overdue.count());
    open.sort_by_key(|idea| (idea.submitted, &idea.name));
    for (place, idea) in open.iter().take(10).enumerate() {
        figures.insert(format!("idea waiting {place}"), idea.line(as_of));
    }
    let moved = |idea: &Idea| idea.last(as_of).map_or(idea.submitted, |(_, at, _)| *at);
    let mut in_week: Vec<_> = ideas
        .iter()
        .filter(|idea| {
            in_period(idea.submitted) || idea.last(as_of).is_some_and(|(_, at, _)| in_period(*at))
        })
        .collect();
    in_week.sort_by_key(|idea| std::cmp::Reverse((moved(idea), idea.name.clone())));
    for (place, idea) in in_week.iter().take(20).enumerate() {
        figures.insert(format!("idea moved {place}"), idea.line(as_of));
    }
    figures
}

/// What the report says, by the same names.
pub fn add_figures(figures: &mut Figures, report: &pb::ComplaintReport) {
    let causes = report.root_causes.clone().unwrap();
    for (section, tickets, found) in [
        ("cause", causes.received_tickets, causes.received),
        ("found", causes.found_tickets, causes.found),
    ] {
        figures.insert(format!("{section} tickets"), tickets.to_string());
        let found = found.unwrap();
        for (place, entry) in found.entries.iter().enumerate() {
            figures
                .insert(format!("{section} {place}"), format!("{} {}", entry.label, entry.count));
        }
        figures.insert(format!("{section} others"), found.others.to_string());
    }
    let ideas = report.suggestions.clone().unwrap();
    for (name, count) in [
        ("submitted", ideas.submitted),
        ("accepted", ideas.accepted),
        ("rejected", ideas.rejected),
        ("deferred", ideas.deferred),
        ("open", ideas.open),
        ("overdue", ideas.overdue),
    ] {
        figures.insert(format!("ideas {name}"), count.to_string());
    }
    for (section, lines) in [("moved", &ideas.moved), ("waiting", &ideas.waiting)] {
        for (place, idea) in lines.iter().enumerate() {
            let line = format!("{} {}", idea.suggestion, idea.state().as_str_name());
            figures.insert(format!("idea {section} {place}"), line);
        }
    }
}
