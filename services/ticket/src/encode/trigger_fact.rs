//! What an event says, for another system that a trigger tells of it (T-26): as documented at `DeliveryService`. Nothing that
//! people wrote is in it, for it leaves the company.

use kefu_api::ticket::v1 as pb;
use kefu_api::ticket::v1::ticket_event::Change as Kind;
use prost_types::Timestamp;
use serde_json::{Map, Value, json};

/// Names and values; what is not known is not there.
struct Facts(Map<String, Value>);

impl Facts {
    fn put(mut self, name: &str, value: impl Into<Value>) -> Self {
        let value = value.into();
        let known = match &value {
            Value::Null => false,
            Value::String(text) => !text.is_empty(),
            Value::Object(facts) => !facts.is_empty(),
            _ => true,
        };
        if known {
            self.0.insert(name.to_owned(), value);
        }
        self
    }

    fn time(self, name: &str, time: Option<&Timestamp>) -> Self {
        let time = time.and_then(|time| jiff::Timestamp::new(time.seconds, time.nanos).ok());
        self.put(name, time.map(|time| time.to_string()))
    }

    /// A level; 0 means none.
    fn level(self, name: &str, level: i32) -> Self {
        self.put(name, (level != 0).then_some(level))
    }

    /// The code of an enumeration, without what all its names begin with.
    fn code(self, name: &str, value: &str, prefix: &str) -> Self {
        let code = value.strip_prefix(prefix).unwrap_or(value);
        self.put(name, if code == "UNSPECIFIED" { String::new() } else { code.to_lowercase() })
    }

    fn clock(self, clock: Option<&pb::Clock>) -> Self {
        let Some(clock) = clock else { return self };
        let told = none()
            .put("rule", clock.rule.clone())
            .code("kind", clock.kind().as_str_name(), "CLOCK_KIND_")
            .put("cycle", clock.cycle)
            .code("state", clock.state().as_str_name(), "CLOCK_STATE_")
            .time("due_time", clock.due_time.as_ref())
            .time("breach_time", clock.breach_time.as_ref());
        self.put("clock", told.0)
    }

    fn verdict(self, verdict: Option<&pb::Verdict>) -> Self {
        let Some(verdict) = verdict else { return self };
        let source = verdict.source().as_str_name();
        let told = none().put("value", verdict.value).put("cycle", verdict.cycle).code(
            "source",
            source,
            "VERDICT_SOURCE_",
        );
        self.put("verdict", told.0)
    }

    fn escalation(self, form: Option<&pb::Escalation>) -> Self {
        let Some(form) = form else { return self };
        self.code("cause", form.cause().as_str_name(), "ESCALATION_CAUSE_")
            .level("from_level", form.from_level)
            .level("to_level", form.to_level)
    }

    fn transfer(self, transfer: Option<&pb::Transfer>) -> Self {
        let Some(transfer) = transfer else { return self };
        let told = none()
            .put("number", transfer.number)
            .put("from_org_unit", transfer.from_org_unit.clone())
            .put("to_org_unit", transfer.to_org_unit.clone())
            .put("to_team", transfer.to_team.clone())
            .code("state", transfer.state().as_str_name(), "TRANSFER_STATE_");
        self.put("transfer", told.0)
    }

    fn supervision(self, watched: Option<&pb::Supervision>) -> Self {
        let Some(watched) = watched else { return self };
        let told = none()
            .put("number", watched.number)
            .time("answer_due_time", watched.answer_due_time.as_ref())
            .put("urgings", watched.urgings);
        self.put("supervision", told.0)
    }

    fn process(self, process: Option<&pb::Process>) -> Self {
        let Some(process) = process else { return self };
        let told = none()
            .put("name", process.name.clone())
            .put("template", process.template.clone())
            .code("state", process.state().as_str_name(), "PROCESS_STATE_");
        self.put("process", told.0)
    }

    /// A stage, with the deadline of its newest run.
    fn stage(self, process: Option<&pb::Process>, stage: &str) -> Self {
        let runs = process.iter().flat_map(|process| &process.stages);
        let newest = runs.filter(|run| run.stage == stage).rfind(|run| run.due_time.is_some());
        let due = newest.and_then(|run| run.due_time.as_ref());
        self.process(process).put("stage", stage).time("due_time", due)
    }
}

fn none() -> Facts {
    Facts(Map::new())
}

/// What an event says beside what its ticket is.
pub(crate) fn facts(change: &Kind) -> Map<String, Value> {
    let none = none();
    let facts = match change {
        Kind::Updated(updated) => none.put("fields", json!(updated.fields)),
        Kind::Corrected(corrected) => none.put("fields", json!(corrected.fields)),
        Kind::Closed(closed) => none.verdict(closed.verdict.as_ref()),
        Kind::Reopened(reopened) => none.verdict(reopened.verdict.as_ref()),
        Kind::Escalated(escalated) => none.escalation(escalated.escalation.as_ref()),
        Kind::ClockBreached(breached) => none
            .clock(breached.clock.as_ref())
            .escalation(breached.escalation.as_ref())
            .level("notify_level", breached.notify_level),
        Kind::ClockWarned(warned) => none.clock(warned.clock.as_ref()),
        Kind::ClockEscalated(escalated) => none
            .clock(escalated.clock.as_ref())
            .put("step", escalated.step.clone())
            .escalation(escalated.escalation.as_ref())
            .level("notify_level", escalated.notify_level),
        Kind::DelayAnnounced(delay) => {
            let said = delay.clock.as_ref().and_then(|clock| clock.announcements.last());
            none.clock(delay.clock.as_ref())
                .time("new_due_time", said.and_then(|said| said.new_due_time.as_ref()))
        }
        Kind::Assessed(assessed) => none.put("from_severity", assessed.from_severity),
        Kind::PriorityRaised(raised) => {
            let from = raised.from_priority().as_str_name();
            none.code("from_priority", from, "TICKET_PRIORITY_")
        }
        Kind::ReminderDue(due) => {
            none.put("pause_reason", due.pause_reason.clone()).put("sent", due.sent)
        }
        Kind::CloseProposed(proposed) => none.put("pause_reason", proposed.pause_reason.clone()),
        Kind::Assigned(assigned) => {
            none.code("cause", assigned.cause().as_str_name(), "ROUTING_CAUSE_")
        }
        Kind::ContactAttempted(attempted) => none.put("reached", attempted.reached),
        Kind::HandlingFormCompleted(completed) => none.put("form", completed.form),
        Kind::ExecutiveReviewDecided(decided) => none.put("solution", decided.solution),
        _ => return between(change, none),
    };
    facts.0
}

/// The same of what is between tickets, org units, and this system and others.
fn between(change: &Kind, none: Facts) -> Map<String, Value> {
    let facts = match change {
        Kind::TransferRequested(sent) => none.transfer(sent.transfer.as_ref()),
        Kind::TransferAccepted(accepted) => none.transfer(accepted.transfer.as_ref()),
        Kind::TransferReturned(returned) => none.transfer(returned.transfer.as_ref()),
        Kind::TransferWithdrawn(withdrawn) => none.transfer(withdrawn.transfer.as_ref()),
        Kind::Supervised(watched) => none.supervision(watched.supervision.as_ref()),
        Kind::Urged(urged) => none.supervision(urged.supervision.as_ref()),
        Kind::SupervisionAnswered(answered) => none.supervision(answered.supervision.as_ref()),
        Kind::SupervisionAnswerMissed(missed) => none.supervision(missed.supervision.as_ref()),
        Kind::SupervisionEnded(ended) => none.supervision(ended.supervision.as_ref()),
        Kind::ReportedToHeadquarters(reported) => none
            .put("criterion", reported.criterion.clone())
            .supervision(reported.supervision.as_ref()),
        Kind::FieldMissing(missing) => {
            let field = missing.field().as_str_name();
            let field = field.strip_prefix("REQUIRED_FIELD_").unwrap_or(field).to_lowercase();
            none.put("fields", json!([field])).code(
                "moment",
                missing.moment().as_str_name(),
                "REQUIRED_FIELDS_MOMENT_",
            )
        }
        Kind::Merged(merged) => none.put("into", merged.merge.as_ref().map(|merge| &*merge.into)),
        Kind::Unmerged(unmerged) => none.put("into", unmerged.from.clone()),
        Kind::DuplicateTaken(taken) => none.put("source", taken.source.clone()),
        Kind::Linked(linked) => none.put("parent", linked.parent.clone()),
        Kind::Unlinked(unlinked) => none.put("parent", unlinked.parent.clone()),
        Kind::ProcessChanged(changed) => {
            none.process(changed.process.as_ref()).put("stages", json!(changed.started_stages))
        }
        Kind::ProcessStageWarned(warned) => none.stage(warned.process.as_ref(), &warned.stage),
        Kind::ProcessStageBreached(breached) => none
            .stage(breached.process.as_ref(), &breached.stage)
            .level("notify_level", breached.notify_level)
            .level("raised_to_level", breached.raised_to_level),
        Kind::ProcessStageEscalated(escalated) => none
            .stage(escalated.process.as_ref(), &escalated.stage)
            .put("step", escalated.step.clone())
            .level("notify_level", escalated.notify_level)
            .level("raised_to_level", escalated.raised_to_level),
        Kind::DeliveryChanged(parked) => none
            .put("delivery", parked.delivery.clone())
            .put("message", parked.message.clone())
            .put("adapter", parked.adapter.clone()),
        Kind::AnswerUndelivered(lost) => {
            let lost = lost.undelivered.as_ref();
            none.put("delivery", lost.map(|lost| &*lost.delivery))
                .put("message", lost.map(|lost| &*lost.message))
        }
        _ => none,
    };
    facts.0
}
