//! What is said or solved on a parent, on its way to the children (T-04): put there in the transaction of what was said. How
//! it reaches them, see [`mass_carry`](super::mass_carry).

use kefu_api::ticket::v1 as pb;
use kefu_clock::IdSource;
use kefu_identity::{Caller, OrgUnit};
use kefu_journal::{Entry, Provenance};
use kefu_rpc::{Deadline, Etag};
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use super::change::{self, customer_of};
use super::error::check_etag;
use super::ticket::not_found;
use super::{App, Call, Error, Page, merge, one_more};
use crate::domain::{
    Actor, Change, Command, Filling, MassPurpose, MessageTemplate, Need, Policy, Refusal, Route,
    StepRefusal, Ticket, Variable, What, decide, of_level,
};
use crate::encode::link as encode;
use crate::store;
use crate::store::mass_answer::{MassAnswerRow, NewMassAnswer, ResultRow};

const CHILDREN: Need = Need::new("children", "the ticket has no children", "该工单没有下级工单");
const SOLUTION: Need =
    Need::new("solution", "a solution must be on record first", "须先登记处理方案");

/// What is said on a parent and to its children.
#[derive(Clone, Debug)]
pub struct Said {
    /// The wording, and its pieces.
    pub text: String,
    /// The same, read.
    pub wording: MessageTemplate,
    /// How it is sent to the parent's customer.
    pub route: Option<Route>,
    /// In spite of forbidden phrases.
    pub overriding: bool,
}

/// Who says it. What he may do on a child is what he could do there himself, then.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Speaker<'a> {
    /// None for a trigger and the like, which have no roles.
    pub(crate) caller: Option<&'a Caller>,
    /// In spite of forbidden phrases, as he may where the parent is.
    pub(crate) overriding: bool,
    /// What each child fills in for itself, where that is not what was said on the parent.
    pub(crate) wording: Option<&'a str>,
}

/// A registered customer and what he is called, as it was asked for before the ticket was locked; none where nobody has to know.
#[derive(Clone, Debug, Default)]
pub(super) struct Named(Option<(Uuid, String)>);

impl Named {
    /// What to call the customer of a ticket that is locked.
    ///
    /// # Errors
    /// [`Error::Conflict`] if the ticket turned out to be somebody else's since: nobody is called by another one's name.
    pub(super) fn on(&self, ticket: &Ticket) -> Result<Option<&str>, Error> {
        match &self.0 {
            Some((customer, _)) if customer_of(ticket) != Some(*customer) => Err(Error::Conflict),
            named => Ok(named.as_ref().map(|(_, name)| name.as_str())),
        }
    }
}

/// Puts on its way what a change of a parent says or solves, if there are children whom it concerns.
pub(super) async fn begin(
    conn: &mut PgConnection,
    ids: &IdSource,
    parent: &Ticket,
    change: &Change,
    (by, speaker): (&Provenance, Speaker<'_>),
) -> Result<(), Error> {
    let (purpose, body, dispatch) = match &change.what {
        What::Responded { message, dispatch, .. } => (MassPurpose::Answer, message, dispatch),
        What::ResultFedBack { message, dispatch, .. } => (MassPurpose::Result, message, dispatch),
        What::Resolved(solution) => (MassPurpose::Solution, &solution.text, &None),
        _ => return Ok(()),
    };
    if !store::link::has_children(conn, parent.id).await? {
        return Ok(());
    }
    let new = NewMassAnswer {
        id: ids.uuid(),
        parent,
        customer: customer_of(parent),
        purpose,
        body: speaker.wording.unwrap_or(body),
        personal: speaker.wording.is_some(),
        demanded: false,
        roles: &roles(speaker.caller),
        overriding: speaker.overriding,
        adapter: dispatch.as_ref().map(|dispatch| &*dispatch.adapter.code),
        sent_at: change.effective_at,
        answered_by: &change.actor.subject(),
        by,
        at: change.at,
    };
    Ok(store::mass_answer::insert(conn, &new).await?)
}

impl App {
    /// Answers a parent, and its children each in its own words.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], [`Error::EtagStale`], [`Error::RequestIdReused`], [`Error::Refused`],
    /// [`Error::StepRefused`] without children, [`Error::CustomerUnavailable`].
    pub async fn answer_child_tickets(
        &self,
        call: &Call,
        (id, etag): (Uuid, Option<Etag>),
        said: Said,
    ) -> Result<pb::MassAnswer, Error> {
        const ACTION: &str = "ticket.AnswerChildTickets";
        // A retry needs neither the ticket where it was nor the customer's name.
        if let Some(answer) = self.answered(call).await? {
            return Ok(answer);
        }
        let mut conn = self.read().await?;
        let row = store::ticket::find(&mut conn, id).await?.ok_or_else(|| not_found(id))?;
        self.allow_at(&call.caller, ACTION, &row.org_unit)?;
        let (ticket, version) = self.judged(&mut conn, row).await?;
        drop(conn);
        let name = self.name_for(&ticket, &said.wording, call.deadline).await?;
        let mut work = self.begin(call).await?;
        let org_unit = store::ticket::lock(work.conn(), id).await?.ok_or_else(|| not_found(id))?;
        if let Err(denied) = self.allow_at(&call.caller, ACTION, &org_unit) {
            return work.answered().await?.ok_or(denied);
        }
        if let Some(answer) = work.replay().await? {
            return Ok(answer);
        }
        let row = store::ticket::find(work.conn(), id).await?.ok_or_else(|| not_found(id))?;
        let policy = &version.policy;
        let (ticket, _) = self.judged(work.conn(), row).await?;
        check_etag(etag, ticket.revision)?;
        if said.overriding {
            self.allow_at(&call.caller, "ticket.OverrideForbiddenPhrases", &org_unit)?;
        }
        require_children(work.conn(), &ticket, "AnswerChildTickets").await?;
        let message = rendered(&said.wording, &ticket, policy, name.on(&ticket)?)?;
        let command = spoken(Command::Respond { message, sent_at: None }, said.route);
        let command = match said.overriding {
            true => Command::OverridePhrases(Box::new(command)),
            false => command,
        };
        let now = work.now();
        let actor = Actor::staff(call.caller.subject());
        let changes = match decide(&ticket, policy, command, &actor, now) {
            Ok(changes) => changes,
            Err(refusal) => return Err(merge::refused(work.conn(), refusal).await),
        };
        let speaker = Speaker {
            caller: Some(&call.caller),
            overriding: said.overriding,
            wording: Some(&said.text),
        };
        let ticket =
            change::record_said(work.conn(), &self.ids, ticket, &changes, &call.by, speaker)
                .await?;
        let answer = self.last(work.conn(), id).await?;
        let answer = work.commit(answer).await?;
        self.timers.expect(ticket.next_fire_at());
        self.outbox.wake();
        self.mass_answers.wake();
        Ok(answer)
    }

    /// Puts the parent's solution on its way to all children, whatever their policies say.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], [`Error::EtagStale`], [`Error::RequestIdReused`], [`Error::StepRefused`]
    /// without a solution or children.
    pub async fn resolve_child_tickets(
        &self,
        call: &Call,
        (id, etag): (Uuid, Option<Etag>),
    ) -> Result<pb::MassAnswer, Error> {
        const COMMAND: &str = "ResolveChildTickets";
        let mut work = self.begin(call).await?;
        let org_unit = store::ticket::lock(work.conn(), id).await?.ok_or_else(|| not_found(id))?;
        if let Err(denied) = self.allow_at(&call.caller, "ticket.ResolveChildTickets", &org_unit) {
            return work.answered().await?.ok_or(denied);
        }
        if let Some(answer) = work.replay().await? {
            return Ok(answer);
        }
        let row = store::ticket::find(work.conn(), id).await?.ok_or_else(|| not_found(id))?;
        let (ticket, version) = self.judged(work.conn(), row).await?;
        check_etag(etag, ticket.revision)?;
        // Whoever could not put it on record here puts it on record nowhere else.
        let resolve = Command::Resolve { solution: String::new() };
        of_level(&ticket, &version.policy, &resolve, call.caller.roles())?;
        require_children(work.conn(), &ticket, COMMAND).await?;
        let state = ticket.state.name().code();
        let Some(solution) = ticket.state.solution() else {
            let (subject, missing) = ("ticket", vec![SOLUTION]);
            return Err(
                StepRefusal::IllegalState { subject, state, command: COMMAND, missing }.into()
            );
        };
        let now = work.now();
        let new = NewMassAnswer {
            id: self.ids.uuid(),
            parent: &ticket,
            customer: customer_of(&ticket),
            purpose: MassPurpose::Solution,
            body: &solution.text,
            personal: false,
            demanded: true,
            roles: &roles(Some(&call.caller)),
            overriding: false,
            adapter: None,
            sent_at: now,
            answered_by: &Actor::staff(call.caller.subject()).subject(),
            by: &call.by,
            at: now,
        };
        store::mass_answer::insert(work.conn(), &new).await?;
        let after = json!({ "parent": id, "purpose": new.purpose.code(), "body": new.body });
        let entry = Entry {
            by: &call.by,
            event_id: self.ids.uuid(),
            occurred_at: now,
            aggregate_type: "mass_answer",
            aggregate_id: new.id,
            revision: 1,
            action: COMMAND,
            org_unit: &ticket.org_unit,
            customer_id: new.customer,
            before: None,
            after: Some(after),
            event: None,
        };
        kefu_journal::append(work.conn(), &[entry]).await?;
        let answer = self.last(work.conn(), id).await?;
        let answer = work.commit(answer).await?;
        self.mass_answers.wake();
        Ok(answer)
    }

    async fn last(&self, conn: &mut PgConnection, parent: Uuid) -> Result<pb::MassAnswer, Error> {
        let row = store::mass_answer::last(conn, parent).await?;
        let row = row.ok_or_else(|| Error::Defect("a mass answer was lost".to_owned()))?;
        Ok(encode::mass_answer(&row)?)
    }

    /// The registered customer's name where a wording says it. Asked for while no connection is held.
    pub(super) async fn name_for(
        &self,
        ticket: &Ticket,
        wording: &MessageTemplate,
        deadline: Deadline,
    ) -> Result<Named, Error> {
        self.named(ticket, wording.mentions(Variable::CustomerName), deadline).await
    }

    /// The same where `says` is whether something says it.
    pub(super) async fn named(
        &self,
        ticket: &Ticket,
        says: bool,
        deadline: Deadline,
    ) -> Result<Named, Error> {
        let Some(customer) = customer_of(ticket).filter(|_| says) else {
            return Ok(Named::default());
        };
        let name = self.customers.name(customer, deadline).await?;
        Ok(Named(name.map(|name| (customer, name))))
    }

    /// What was said and solved on a parent before a number, newest first.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub(crate) async fn list_mass_answers(
        &self,
        caller: &Caller,
        parent: Uuid,
        before: Option<i32>,
        size: u32,
    ) -> Result<Page<MassAnswerRow, i32>, Error> {
        let mut conn = self.read().await?;
        self.allow_ticket(&mut conn, caller, "ticket.ListMassAnswers", parent).await?;
        let before = before.unwrap_or(i32::MAX);
        let rows = store::mass_answer::list(&mut conn, parent, before, one_more(size)).await?;
        Ok(Page::of(rows, size, |last| last.number))
    }

    /// What was said on a child's parent and not on the child, newest first: before it was linked, or while it was merged, or where
    /// something else was in the way. Whoever sees the child sees that.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub(crate) async fn list_missed_answers(
        &self,
        caller: &Caller,
        child: Uuid,
        before: Option<i32>,
        size: u32,
    ) -> Result<Page<MassAnswerRow, i32>, Error> {
        let mut conn = self.read().await?;
        self.allow_ticket(&mut conn, caller, "ticket.ListMissedAnswers", child).await?;
        let rows = match store::link::missed(&mut conn, child).await? {
            None => Vec::new(),
            Some(linked) => {
                let (before, limit) = (before.unwrap_or(i32::MAX), one_more(size));
                store::mass_answer::missed(&mut conn, child, linked, before, limit).await?
            }
        };
        Ok(Page::of(rows, size, |last| last.number))
    }

    /// What became of a mass answer on the children at and below an org unit. A page may be short and not be the last: what
    /// is looked at is bounded.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub(crate) async fn list_mass_answer_results(
        &self,
        caller: &Caller,
        id: Uuid,
        org_unit: &OrgUnit,
        after: Option<Uuid>,
        size: u32,
    ) -> Result<Page<ResultRow, Uuid>, Error> {
        const ACTION: &str = "ticket.ListMassAnswerResults";
        self.allow(caller, ACTION, org_unit)?;
        let mut conn = self.read().await?;
        let answer = store::mass_answer::find(&mut conn, id).await?;
        let kind = "kefu.dev/MassAnswer";
        let answer = answer.ok_or_else(|| Error::NotFound { kind, name: encode::name(id) })?;
        self.allow_ticket(&mut conn, caller, ACTION, answer.parent_id).await?;
        let unit = org_unit.as_str();
        let looked =
            store::mass_answer::results(&mut conn, id, unit, after, one_more(size)).await?;
        let room = usize::try_from(size).unwrap_or(usize::MAX);
        let (mut items, mut next, mut looked_at) = (Vec::new(), None, None);
        for result in looked {
            if items.len() == room {
                next = looked_at;
                break;
            }
            looked_at = Some(result.child_id);
            if result.is_last {
                next = looked_at;
            }
            if result.is_within {
                items.push(result);
            }
        }
        Ok(Page { items, next })
    }
}

fn roles(caller: Option<&Caller>) -> Vec<String> {
    caller.into_iter().flat_map(Caller::roles).map(str::to_owned).collect()
}

async fn require_children(
    conn: &mut PgConnection,
    parent: &Ticket,
    command: &'static str,
) -> Result<(), Error> {
    if store::link::has_children(conn, parent.id).await? {
        return Ok(());
    }
    let (subject, state) = ("ticket", parent.state.name().code());
    Err(StepRefusal::IllegalState { subject, state, command, missing: vec![CHILDREN] }.into())
}

/// A wording for a ticket, in the one language that it has.
pub(super) fn rendered(
    wording: &MessageTemplate,
    ticket: &Ticket,
    policy: &Policy,
    customer_name: Option<&str>,
) -> Result<String, Refusal> {
    let text = wording.render(Filling { ticket, policy, customer_name })?;
    Ok(if text.zh.is_empty() { text.en } else { text.zh })
}

pub(super) fn spoken(command: Command, route: Option<Route>) -> Command {
    match route {
        Some(route) => Command::Send { command: Box::new(command), route },
        None => command,
    }
}
