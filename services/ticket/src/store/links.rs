//! What a ticket has to do with others: the column `links` of table `ticket` (T-04).

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use kefu_postgres::StoreError;

use super::clock_note::Fields;
use super::follow_up::{follow_up, follow_up_json};
use super::ticket::open;
use super::{known, read};
use crate::domain::{LinkChange, Links, Merged, Open, State, Subject, TakenPromise, Ticket};

const COLUMN: &str = "ticket.links";

/// As it is stored; null where there is nothing.
pub(crate) fn links_json(ticket: &Ticket) -> Option<Value> {
    let mut links = Map::new();
    if let State::Merged(merged) = &ticket.state {
        links.insert(
            "merged".to_owned(),
            json!({ "into": merged.into, "was": was_json(&merged.was) }),
        );
    }
    if let Some(parent) = ticket.links.parent {
        links.insert("parent".to_owned(), json!(parent));
    }
    if ticket.links.leads {
        links.insert("leads".to_owned(), json!(true));
    }
    if !ticket.links.handlers.is_empty() {
        links.insert("handlers".to_owned(), names(&ticket.links.handlers));
    }
    (!links.is_empty()).then_some(Value::Object(links))
}

pub(super) fn links(stored: Option<&Value>) -> Result<Links, StoreError> {
    let field = |name: &str| stored.and_then(|stored| stored.get(name));
    let parent = field("parent").and_then(Value::as_str);
    let parent = parent.map(|parent| read(COLUMN, parent.parse::<Uuid>())).transpose()?;
    let leads = field("leads").and_then(Value::as_bool).unwrap_or_default();
    let handlers = field("handlers").and_then(Value::as_array).into_iter().flatten();
    let handlers = handlers.map(|staff| known(COLUMN, staff.as_str()).map(Into::into));
    Ok(Links { parent, leads, handlers: handlers.collect::<Result<_, _>>()? })
}

fn names(staff: &[Subject]) -> Value {
    staff.iter().map(|staff| json!(&**staff)).collect()
}

/// What a merged ticket carries; `reason`, `by` and `at` have columns of their own.
pub(super) fn merged(
    stored: Option<&Value>,
    reason: String,
    by: Subject,
    at: Timestamp,
) -> Result<Merged, StoreError> {
    let merged = known(COLUMN, stored.and_then(|stored| stored.get("merged")))?;
    let into = known(COLUMN, merged.get("into").and_then(Value::as_str))?;
    let into = read(COLUMN, into.parse())?;
    Ok(Merged { into, reason, by, at, was: was(known(COLUMN, merged.get("was"))?)? })
}

fn was_json(was: &State) -> Value {
    let open = |open: &Open| json!({ "state": open.name().code(), "since": text(open.since()) });
    match was {
        State::Open(was) => open(was),
        State::Waiting { reason, since, resume_to, follow_up } => json!({
            "state": was.name().code(), "reason": reason, "since": since.to_string(),
            "resume_to": open(resume_to), "follow_up": follow_up.as_ref().map(follow_up_json),
        }),
        // Nothing else is merged.
        other => json!({ "state": other.name().code() }),
    }
}

fn was(object: &Value) -> Result<State, StoreError> {
    let field = Fields { column: COLUMN, object };
    let Some(resume_to) = object.get("resume_to") else {
        return open_state(object).map(State::Open);
    };
    Ok(State::Waiting {
        reason: field.text("reason")?.to_owned(),
        since: known(COLUMN, field.optional_time("since")?)?,
        resume_to: open_state(resume_to)?,
        follow_up: follow_up(object.get("follow_up").filter(|stored| !stored.is_null()))?,
    })
}

fn open_state(object: &Value) -> Result<Open, StoreError> {
    let field = Fields { column: COLUMN, object };
    open(read(COLUMN, field.text("state")?.parse())?, field.optional_time("since")?)
}

fn text(at: Option<Timestamp>) -> Option<String> {
    at.map(|at| at.to_string())
}

/// What the audit trail says of a change.
pub(crate) fn link_json(change: &LinkChange) -> Value {
    match change {
        LinkChange::Merged { into, reason } => json!({ "into": into, "reason": reason }),
        LinkChange::Unmerged { from, reason, .. } => json!({ "from": from, "reason": reason }),
        LinkChange::Taken { source, number, promises, handlers } => json!({
            "source": source, "number": number, "promises": promises_json(promises), "handlers": names(handlers),
        }),
        LinkChange::Returned { source, .. } => json!({ "source": source }),
        LinkChange::Linked { parent, missed } => {
            json!({ "parent": parent, "missed_answers": missed })
        }
        LinkChange::Unlinked { parent, reason } => json!({ "parent": parent, "reason": reason }),
        LinkChange::Leads => json!({}),
    }
}

/// Promises that were taken over, as they are stored.
pub(super) fn promises_json(promises: &[TakenPromise]) -> Value {
    let promise = |taken: &TakenPromise| {
        let mut promise = json!({
            "rule": &*taken.rule, "cycle": taken.cycle, "round": taken.round,
            "replaced": taken.replaced.as_ref().map(|(_, round)| round),
        });
        // Of the same rule unless the promises were made anew between two merges.
        if let Some((rule, _)) = taken.replaced.as_ref().filter(|(rule, _)| *rule != taken.rule) {
            promise["replaced_rule"] = json!(&**rule);
        }
        promise
    };
    promises.iter().map(promise).collect()
}

pub(super) fn promises(stored: &Value) -> Result<Vec<TakenPromise>, StoreError> {
    const COLUMN: &str = "ticket_merge.promises";
    let number = |promise: &Value, field: &str| -> Option<u32> {
        promise.get(field).and_then(Value::as_u64).and_then(|number| number.try_into().ok())
    };
    let promise = |promise: &Value| {
        let rule = known(COLUMN, promise.get("rule").and_then(Value::as_str))?;
        let replaced_rule = promise.get("replaced_rule").and_then(Value::as_str).unwrap_or(rule);
        Ok(TakenPromise {
            rule: rule.into(),
            cycle: known(COLUMN, number(promise, "cycle"))?,
            round: known(COLUMN, number(promise, "round"))?,
            replaced: number(promise, "replaced").map(|round| (replaced_rule.into(), round)),
        })
    };
    known(COLUMN, stored.as_array())?.iter().map(promise).collect()
}
