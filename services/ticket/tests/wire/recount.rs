//! T-20: a report counted again from the journal alone, by other means than the report's: rows of JSON, replayed.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use kefu_api::ticket::v1 as pb;
use serde_json::Value;
use sqlx::PgPool;

/// Every figure of a report by name, so that two of them can be compared at once.
pub type Figures = BTreeMap<String, String>;

/// What the journal tells of one ticket.
#[derive(Default)]
pub struct Life {
    pub name: String,
    pub unit: String,
    pub kind: String,
    channel: String,
    customer: Option<String>,
    severity: i64,
    category: String,
    product: String,
    shop: String,
    pub created: Timestamp,
    /// Closed or cancelled, when, and until when it was.
    ends: Vec<(String, Timestamp, Option<Timestamp>)>,
    answered: Option<Timestamp>,
    resolved: Option<Timestamp>,
    /// Value, whether it closed the ticket, when.
    verdicts: Vec<(i64, bool, Timestamp)>,
    escalations: Vec<(String, Timestamp)>,
    violations: Vec<(String, Timestamp)>,
    /// By `rule/cycle/round`: since when it is there, and its last state.
    clocks: BTreeMap<String, (Timestamp, Value)>,
}

/// All tickets that the journal knows.
pub async fn lives(pool: &PgPool) -> Vec<Life> {
    let rows: Vec<(String, String, String, String, Option<Value>)> = sqlx::query_as(
        "SELECT aggregate_id::text, org_unit, action, to_char(occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'),
                after
         FROM journal WHERE aggregate_type = 'ticket' ORDER BY aggregate_id, revision",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    let mut lives: Vec<Life> = Vec::new();
    for (id, unit, action, at, after) in rows {
        let name = format!("tickets/{id}");
        if lives.last().is_none_or(|life| life.name != name) {
            lives.push(Life { name, unit, ..Life::default() });
        }
        lives.last_mut().unwrap().take(&action, at.parse().unwrap(), &after.unwrap());
    }
    lives
}

pub fn text(value: &Value, field: &str) -> Option<String> {
    value.get(field).and_then(Value::as_str).map(ToOwned::to_owned)
}

pub fn time(value: &Value, field: &str) -> Option<Timestamp> {
    text(value, field).map(|time| time.parse().unwrap())
}

impl Life {
    fn take(&mut self, action: &str, at: Timestamp, after: &Value) {
        if action == "CreateTicket" {
            self.created = at;
            self.kind = text(after, "kind").unwrap();
            self.channel = text(after, "channel").unwrap();
        }
        // Null where it turned out to be nobody's.
        if let Some(customer) = after.get("customer") {
            self.customer = customer.as_str().map(ToOwned::to_owned);
        }
        self.severity = after.get("severity").and_then(Value::as_i64).unwrap_or(self.severity);
        self.category = text(after, "category").unwrap_or(self.category.clone());
        self.product = text(after, "product").unwrap_or(self.product.clone());
        self.shop = text(after, "shop").unwrap_or(self.shop.clone());
        self.answered = time(after, "first_responded_at").or(self.answered);
        let state = text(after, "state").unwrap_or_default();
        match state.as_str() {
            "closed" | "cancelled" => self.ends.push((state.clone(), at, None)),
            "reopened" | "executive_review" if action == "ReopenTicket" => {
                self.ends.last_mut().unwrap().2 = Some(at);
            }
            "resolved" => self.resolved = self.resolved.or(Some(at)),
            _ => {}
        }
        let mut deadline = at;
        for (key, clock) in after.get("clocks").and_then(Value::as_object).into_iter().flatten() {
            let started = time(clock, "started_at").unwrap();
            // What goes on where another one stopped began earlier than it is there.
            let since = match action {
                "AssessTicket" | "RecordVerdict" | "ReopenTicket" => started.max(at),
                _ => started,
            };
            let entry = self.clocks.entry(key.clone()).or_insert((since, Value::Null));
            if action == "BreachClock" && time(&entry.1, "breached_at").is_none() {
                deadline = time(clock, "breached_at").unwrap_or(deadline);
            }
            entry.1 = clock.clone();
        }
        if let Some(verdict) = after.get("verdict") {
            let value = verdict["value"].as_i64().unwrap();
            self.verdicts.push((value, state == "closed", at));
        }
        if let Some(escalation) = after.get("escalation") {
            self.escalations.push((text(escalation, "cause").unwrap(), deadline));
        }
        if let Some(violation) = after.get("violation") {
            self.violations.push((text(violation, "code").unwrap(), deadline));
        }
    }

    fn is_below(&self, unit: &str) -> bool {
        self.unit == unit || self.unit.starts_with(&format!("{unit}/"))
    }

    fn is_open(&self, at: Timestamp) -> bool {
        self.created <= at && self.end(at).is_none()
    }

    /// How and since when it was ended then.
    fn end(&self, at: Timestamp) -> Option<(&str, Timestamp)> {
        let mut ends = self.ends.iter();
        let end =
            ends.find(|(_, since, until)| *since <= at && until.is_none_or(|until| until > at));
        end.map(|(how, since, _)| (&**how, *since))
    }

    /// The cycle that it was in.
    fn cycle(&self, at: Timestamp) -> usize {
        let again = self.ends.iter().filter(|end| end.2.is_some_and(|until| until <= at)).count();
        1 + again + self.verdicts.iter().filter(|(_, closed, when)| !closed && *when <= at).count()
    }

    /// The clocks that were there, each with its rule and its cycle.
    fn clocks(&self, at: Timestamp) -> impl Iterator<Item = (&str, usize, &Value)> {
        let there = self.clocks.iter().filter(move |(_, (since, _))| *since <= at);
        there.map(|(key, (_, clock))| {
            let mut parts = key.split('/');
            (parts.next().unwrap(), parts.next().unwrap().parse().unwrap(), clock)
        })
    }

    fn is_overdue(&self, at: Timestamp) -> bool {
        let until = |clock: &Value, field: &str| time(clock, field).is_some_and(|then| then <= at);
        self.is_open(at)
            && self.clocks(at).any(|(_, cycle, clock)| {
                let passed =
                    if clock.get("breached_at").is_some() { "breached_at" } else { "due_at" };
                cycle == self.cycle(at)
                    && until(clock, passed)
                    && !until(clock, "fulfilled_at")
                    && !until(clock, "cancelled_at")
            })
    }
}

/// Which report is counted again.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    pub unit: &'a str,
    pub kinds: &'a [&'a str],
    pub start: Timestamp,
    pub end: Timestamp,
    pub as_of: Timestamp,
    pub top: usize,
    pub repeat_days: i64,
}

pub fn add(figures: &mut Figures, name: impl Into<String>, count: usize) {
    figures.insert(name.into(), count.to_string());
}

fn each(figures: &mut Figures, section: &str, labels: impl Iterator<Item = String>) {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    labels.for_each(|label| *counts.entry(label).or_default() += 1);
    counts.into_iter().for_each(|(label, n)| add(figures, format!("{section} {label}"), n));
}

/// The most frequent, and the rest of them.
pub fn pareto(
    figures: &mut Figures,
    section: &str,
    labels: impl Iterator<Item = String>,
    top: usize,
) {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    labels.for_each(|label| *counts.entry(label).or_default() += 1);
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let others = counts.split_off(counts.len().min(top));
    for (place, (label, count)) in counts.iter().enumerate() {
        figures.insert(format!("{section} {place}"), format!("{label} {count}"));
    }
    add(figures, format!("{section} others"), others.iter().map(|(_, count)| count).sum());
}

fn times(figures: &mut Figures, name: &str, mut durations: Vec<SignedDuration>) {
    durations.sort();
    for (label, percent) in [("median", 50), ("p90", 90)] {
        // Nearest rank.
        let rank = (durations.len() * percent).div_ceil(100);
        if rank > 0 {
            figures.insert(format!("{name} {label}"), durations[rank - 1].as_secs().to_string());
        }
    }
}

/// Counts again.
pub fn recount(lives: &[Life], question: Question<'_>) -> Figures {
    let Question { unit, kinds, start, end, as_of, top, .. } = question;
    let scope: Vec<&Life> = lives
        .iter()
        .filter(|life| life.is_below(unit) && kinds.contains(&life.kind.as_str()))
        .collect();
    let in_period = |at: Timestamp| start <= at && at < end && at <= as_of;
    let picked: Vec<&Life> = scope.iter().copied().filter(|life| in_period(life.created)).collect();
    let until = |at: Option<Timestamp>| at.filter(|at| *at <= as_of);
    let ended = |life: &Life, how: &str| life.end(as_of).is_some_and(|(state, _)| state == how);
    let mut figures = Figures::new();
    let mut count = |name: &str, test: &dyn Fn(&Life) -> bool| {
        add(&mut figures, name, picked.iter().filter(|life| test(life)).count());
    };
    count("received", &|_| true);
    count("answered", &|life| until(life.answered).is_some());
    count("resolved", &|life| until(life.resolved).is_some());
    count("closed", &|life| ended(life, "closed"));
    count("cancelled", &|life| ended(life, "cancelled"));
    count("overdue", &|life| life.is_overdue(as_of));
    let took = |of: fn(&Life) -> Option<Timestamp>| {
        let took =
            picked.iter().filter_map(|life| Some(until(of(life))?.duration_since(life.created)));
        took.collect::<Vec<_>>()
    };
    times(&mut figures, "first response", took(|life| life.answered));
    times(&mut figures, "resolution", took(|life| life.resolved));
    let figures = &mut figures;
    each(figures, "severity", picked.iter().map(|life| life.severity.to_string()));
    each(figures, "channel", picked.iter().map(|life| life.channel.clone()));
    each(figures, "unit", picked.iter().map(|life| life.unit.clone()));
    pareto(figures, "category", picked.iter().map(|life| life.category.clone()), top);
    pareto(figures, "product", picked.iter().map(|life| life.product.clone()), top);
    pareto(figures, "shop", picked.iter().map(|life| life.shop.clone()), top);
    let nodes = picked.iter().filter(|life| !life.category.is_empty()).flat_map(|life| {
        let ends = life.category.match_indices('/').map(|(at, _)| at);
        ends.chain([life.category.len()]).map(|at| life.category[..at].to_owned())
    });
    each(figures, "node", nodes);
    promises(figures, &picked, as_of);
    let verdicts = || picked.iter().flat_map(|life| &life.verdicts).filter(|v| v.2 <= as_of);
    each(figures, "verdict", verdicts().map(|(value, ..)| value.to_string()));
    add(figures, "satisfied", verdicts().filter(|(_, closed, _)| *closed).count());
    let escalations = picked.iter().flat_map(|life| &life.escalations).filter(|e| e.1 <= as_of);
    each(figures, "escalation", escalations.map(|(cause, _)| cause.clone()));
    let violations = picked.iter().flat_map(|life| &life.violations).filter(|v| v.1 <= as_of);
    each(figures, "violation", violations.map(|(code, _)| code.clone()));
    open(figures, &scope, question);
    repeats(figures, &scope, &picked, question);
    figures.clone()
}

fn promises(figures: &mut Figures, picked: &[&Life], as_of: Timestamp) {
    let clocks = picked.iter().flat_map(|life| life.clocks(as_of));
    let stood = clocks.map(|(rule, _, clock)| {
        let at = |field: &str| time(clock, field).filter(|at| *at <= as_of);
        let stood = match (at("fulfilled_at"), at("breached_at"), at("cancelled_at")) {
            (Some(kept), Some(due), _) if kept < due => "met",
            (_, Some(_), _) => "breached",
            (Some(_), None, _) => "met",
            (None, None, Some(_)) => "cancelled",
            (None, None, None) => "running",
        };
        format!("{rule} {stood}")
    });
    each(figures, "clock", stood.filter(|stood| !stood.ends_with("cancelled")));
}

fn open(figures: &mut Figures, scope: &[&Life], question: Question<'_>) {
    let Question { start, end, as_of, .. } = question;
    let open = |at: Timestamp| scope.iter().filter(|life| life.is_open(at)).count();
    let moment = SignedDuration::from_micros(1);
    let cut = as_of.min(end - moment);
    add(figures, "open at start", if cut < start { open(cut) } else { open(start - moment) });
    add(figures, "open at end", open(cut));
    for how in ["closed", "cancelled"] {
        let ended = scope.iter().filter(|life| {
            life.end(as_of).is_some_and(|(state, at)| state == how && start <= at && at <= cut)
        });
        add(figures, format!("{how} in period"), ended.count());
    }
    let bounds = [0, 1, 3, 7, 14, 30, i64::from(i32::MAX)];
    for (place, days) in bounds.windows(2).enumerate() {
        let days = [days[0], days[1]].map(|days| SignedDuration::from_hours(days * 24));
        let aged: Vec<_> = scope
            .iter()
            .filter(|life| life.is_open(as_of))
            .filter(|life| (days[0]..days[1]).contains(&as_of.duration_since(life.created)))
            .collect();
        add(figures, format!("age {place}"), aged.len());
        let overdue = aged.iter().filter(|life| life.is_overdue(as_of)).count();
        add(figures, format!("age {place} overdue"), overdue);
    }
    let mut oldest: Vec<_> = scope.iter().filter(|life| life.is_open(as_of)).collect();
    oldest.sort_by_key(|life| (life.created, life.name.clone()));
    for (place, life) in oldest.iter().take(10).enumerate() {
        figures.insert(format!("oldest {place}"), life.name.clone());
    }
}

fn repeats(figures: &mut Figures, scope: &[&Life], picked: &[&Life], question: Question<'_>) {
    let window = SignedDuration::from_hours(24 * question.repeat_days);
    let main = |life: &Life| life.category.split('/').next().unwrap_or_default().to_owned();
    let mut by_customer: BTreeMap<String, Vec<(Timestamp, String)>> = BTreeMap::new();
    for life in picked.iter().filter(|life| life.customer.is_some()) {
        let again = scope.iter().any(|earlier| {
            let before = (earlier.created, &earlier.name) < (life.created, &life.name);
            let product = !life.product.is_empty() && earlier.product == life.product;
            let category = !main(life).is_empty() && main(earlier) == main(life);
            earlier.customer == life.customer
                && before
                && life.created.duration_since(earlier.created) <= window
                && (product || category)
        });
        if again {
            let customer = by_customer.entry(life.customer.clone().unwrap()).or_default();
            customer.push((life.created, life.name.clone()));
        }
    }
    add(figures, "repeats", by_customer.values().map(Vec::len).sum());
    add(figures, "repeat customers", by_customer.len());
    let mut top: Vec<_> = by_customer.into_iter().collect();
    top.sort_by(|a, b| b.1.len().cmp(&a.1.len()).then_with(|| a.0.cmp(&b.0)));
    for (place, (customer, mut tickets)) in top.into_iter().take(10).enumerate() {
        tickets.sort();
        let named: Vec<_> = tickets.iter().take(5).map(|(_, name)| name.as_str()).collect();
        let line = format!("customers/{customer} {} {}", tickets.len(), named.join(" "));
        figures.insert(format!("repeater {place}"), line);
    }
}

/// What the report says, by the same names.
pub fn figures(report: &pb::ComplaintReport) -> Figures {
    let mut figures = Figures::new();
    let mut add = |name: String, value: String| assert_eq!(figures.insert(name, value), None);
    let open = report.open.clone().unwrap();
    let backlog = report.backlog.unwrap();
    let repeats = report.repeats.clone().unwrap();
    assert_eq!(backlog.received, report.received);
    for (name, count) in [
        ("received", report.received),
        ("answered", report.answered),
        ("resolved", report.resolved),
        ("closed", report.closed),
        ("cancelled", report.cancelled),
        ("overdue", report.overdue),
        ("satisfied", report.verdict_summary.unwrap().satisfied),
        ("open at start", backlog.open_at_start),
        ("open at end", backlog.open_at_end),
        ("closed in period", backlog.closed),
        ("cancelled in period", backlog.cancelled),
        ("repeats", repeats.count),
        ("repeat customers", repeats.customers),
    ] {
        add(name.to_owned(), count.to_string());
    }
    let statistics = [("first response", report.first_response), ("resolution", report.resolution)];
    for (name, statistics) in statistics {
        let statistics = statistics.unwrap();
        for (label, duration) in [("median", statistics.median), ("p90", statistics.p90)] {
            duration
                .into_iter()
                .for_each(|d| add(format!("{name} {label}"), d.seconds.to_string()));
        }
    }
    for found in &report.severities {
        add(format!("severity {}", found.severity), found.count.to_string());
    }
    for found in &report.channels {
        let name = found.channel().as_str_name().replace("TICKET_CHANNEL_", "").to_lowercase();
        add(format!("channel {name}"), found.count.to_string());
    }
    for found in &report.org_units {
        add(format!("unit {}", found.org_unit), found.count.to_string());
    }
    let sections =
        [("category", &report.categories), ("product", &report.products), ("shop", &report.shops)];
    for (section, pareto) in sections {
        let pareto = pareto.as_ref().unwrap();
        for (place, entry) in pareto.entries.iter().enumerate() {
            add(format!("{section} {place}"), format!("{} {}", entry.label, entry.count));
        }
        add(format!("{section} others"), pareto.others.to_string());
    }
    for node in &report.category_tree {
        add(format!("node {}", node.category), node.count.to_string());
    }
    for rule in &report.compliance {
        let stood = [("met", rule.met), ("breached", rule.breached), ("running", rule.running)];
        for (name, count) in stood.into_iter().filter(|(_, count)| *count > 0) {
            add(format!("clock {} {name}", rule.rule), count.to_string());
        }
    }
    for found in &report.verdicts {
        add(format!("verdict {}", found.value), found.count.to_string());
    }
    for found in &report.escalations {
        let name = found.cause().as_str_name().replace("ESCALATION_CAUSE_", "").to_lowercase();
        add(format!("escalation {name}"), found.count.to_string());
    }
    for found in &report.violations {
        add(format!("violation {}", found.code), found.count.to_string());
    }
    for (place, bucket) in open.buckets.iter().enumerate() {
        add(format!("age {place}"), bucket.count.to_string());
        add(format!("age {place} overdue"), bucket.overdue.to_string());
    }
    for (place, ticket) in open.oldest.iter().enumerate() {
        add(format!("oldest {place}"), ticket.ticket.clone());
    }
    for (place, customer) in repeats.top.iter().enumerate() {
        let named: Vec<_> = customer.tickets.iter().map(|ticket| ticket.ticket.as_str()).collect();
        let line = format!("{} {} {}", customer.customer, customer.count, named.join(" "));
        add(format!("repeater {place}"), line);
    }
    crate::recount_learning::add_figures(&mut figures, report);
    figures
}
