//! Macros: several steps that an agent applies as one (T-26).

use jiff::Timestamp;
use kefu_api::ticket::v1 as pb;
use kefu_identity::Caller;
use kefu_rpc::{Etag, Fault};
use sqlx::PgConnection;
use uuid::Uuid;

use super::error::check_etag;
use super::mass_answer::Speaker;
use super::placement::{self, Hold};
use super::ticket::not_found;
use super::{App, Call, Error, change};
use crate::domain::{
    Actor, AssignCause, AutoStep, Command, Doing, Placed, Policy, Refusal, Route, Ticket, Variable,
    apply, automate, of_level,
};
use crate::encode::ticket as encode;
use crate::store;

const ACTION: &str = "ticket.ApplyMacro";

/// Which macro, and how what it says is sent.
#[derive(Clone, Debug)]
pub struct MacroCall {
    /// Its code in the ticket's policy.
    pub code: String,
    /// How what it says to the customer is sent.
    pub route: Option<Route>,
    /// Only show what the ticket would become.
    pub validate_only: bool,
}

impl App {
    /// Applies a macro of the ticket's policy: all of its steps or none, in one transaction. The customer context is asked
    /// for a name only where a wording has one, and while no connection is held.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`] for the macro or one of its steps, [`Error::Invalid`] for one that the policy
    /// does not have, [`Error::EtagStale`], [`Error::RequestIdReused`], [`Error::Refused`].
    pub async fn apply_macro(
        &self,
        call: &Call,
        id: Uuid,
        etag: Option<Etag>,
        asked: &MacroCall,
    ) -> Result<pb::Ticket, Error> {
        // A retry needs neither the ticket where it was nor the customer's name.
        if let Some(answer) = self.answered(call).await? {
            return Ok(answer);
        }
        let mut conn = self.read().await?;
        let row = store::ticket::find(&mut conn, id).await?.ok_or_else(|| not_found(id))?;
        self.allow_at(&call.caller, ACTION, &row.org_unit)?;
        let (mut ticket, version) = self.judged(&mut conn, row).await?;
        drop(conn);
        let policy = &version.policy;
        let steps = policy.automation().macro_steps(&asked.code).ok_or_else(unknown_macro)?;
        self.may_do(&call.caller, steps, &ticket, policy)?;
        says_something(steps, asked)?;
        let name = self.named(&ticket, names_customer(steps, policy), call.deadline).await?;
        let actor = Actor::staff(call.caller.subject());
        let by_manager = self.is_manager(&call.caller, &ticket.org_unit)?;
        let doing = |now, customer_name, placed| Doing {
            actor: &actor,
            by_manager,
            now,
            customer_name,
            route: asked.route.as_ref(),
            placed,
            occurred: None,
        };
        if asked.validate_only {
            check_etag(etag, ticket.revision)?;
            let now = self.now();
            let mut conn = self.read().await?;
            let giving = (&*call.caller, &*asked.code, Hold::Nothing);
            let placed = self.given_to(&mut conn, giving, (&ticket, policy), steps, now).await?;
            drop(conn);
            let doing = doing(now, name.on(&ticket)?, placed.as_ref());
            let done = automate(&ticket, policy, steps, doing).map_err(refused)?;
            let (revision, updated_at) = (ticket.revision, ticket.updated_at);
            done.changes.iter().for_each(|change| apply(&mut ticket, change));
            // It is still the ticket that it was.
            (ticket.revision, ticket.updated_at) = (revision, updated_at);
            return Ok(encode::resource(&ticket));
        }
        let mut work = self.begin(call).await?;
        let org_unit = store::ticket::lock(work.conn(), id).await?.ok_or_else(|| not_found(id))?;
        if let Err(denied) = self.allow_at(&call.caller, ACTION, &org_unit) {
            return work.answered().await?.ok_or(denied);
        }
        if let Some(answer) = work.replay().await? {
            return Ok(answer);
        }
        // Read again after the lock, by a statement of its own; its policy is the same for ever.
        let row = store::ticket::find(work.conn(), id).await?.ok_or_else(|| not_found(id))?;
        let (ticket, _) = self.judged(work.conn(), row).await?;
        self.may_do(&call.caller, steps, &ticket, policy)?;
        check_etag(etag, ticket.revision)?;
        let now = work.now();
        let giving = (&*call.caller, &*asked.code, Hold::Team);
        let placed = self.given_to(work.conn(), giving, (&ticket, policy), steps, now).await?;
        let doing = doing(now, name.on(&ticket)?, placed.as_ref());
        let done = automate(&ticket, policy, steps, doing).map_err(refused)?;
        let speaker = Speaker { caller: Some(&call.caller), ..Speaker::default() };
        let (changes, by) = (&done.changes, &call.by);
        let ticket =
            change::record_said(work.conn(), &self.ids, ticket, changes, by, speaker).await?;
        placement::take_turn(work.conn(), &done.changes).await?;
        let answer = work.commit(encode::resource(&ticket)).await?;
        self.timers.expect(ticket.next_fire_at());
        self.outbox.wake();
        self.mass_answers.wake();
        Ok(answer)
    }

    /// Where the steps send the ticket, if the caller may give it there.
    async fn given_to(
        &self,
        conn: &mut PgConnection,
        (caller, code, hold): (&Caller, &str, Hold<'_>),
        (ticket, policy): (&Ticket, &Policy),
        steps: &[AutoStep],
        now: Timestamp,
    ) -> Result<Option<Placed>, Error> {
        let (judged, cause) = ((ticket, policy), (AssignCause::Macro, code));
        let placed = placement::place(conn, judged, steps, cause, (now, hold)).await?;
        if let Some(Placed { assignment: Some(assignment), .. }) = &placed {
            self.allow_giving(conn, caller, (ticket, assignment.team), now).await?;
        }
        Ok(placed)
    }

    /// Passes if the caller may do each of the steps by itself.
    fn may_do(
        &self,
        caller: &Caller,
        steps: &[AutoStep],
        ticket: &Ticket,
        policy: &Policy,
    ) -> Result<(), Error> {
        if steps.iter().any(|step| matches!(step, AutoStep::Resolve(_))) {
            let resolve = Command::Resolve { solution: String::new() };
            of_level(ticket, policy, &resolve, caller.roles())?;
        }
        steps.iter().try_for_each(|step| self.allow_at(caller, step.action(), &ticket.org_unit))
    }
}

fn names_customer(steps: &[AutoStep], policy: &Policy) -> bool {
    let wordings = steps.iter().filter_map(AutoStep::wording);
    let mut templates = wordings.filter_map(|said| policy.message_template(&said.situation));
    templates.any(|template| template.mentions(Variable::CustomerName))
}

/// A way to send is for a macro that says something.
fn says_something(steps: &[AutoStep], asked: &MacroCall) -> Result<(), Error> {
    let says = |step: &AutoStep| matches!(step, AutoStep::Respond(_) | AutoStep::FeedBack(_));
    if asked.route.is_none() || steps.iter().any(says) {
        return Ok(());
    }
    let fault = Fault::new(
        "NOT_ALLOWED",
        "must be unset: the macro says nothing to the customer",
        "该宏不向客户发送内容，不得填写",
    );
    Err(Error::Invalid("delivery", fault))
}

fn unknown_macro() -> Error {
    let fault =
        Fault::new("UNKNOWN_MACRO", "is none of the ticket's policy", "工单适用的制度中没有该宏");
    Error::Invalid("macro", fault)
}

/// Whose field it is: the caller's, or a step's of the macro.
fn refused((step, refusal): (usize, Refusal)) -> Error {
    let Refusal::Fields(mut faults) = refusal else { return Error::Refused(refusal) };
    for fault in &mut faults {
        if !fault.path.starts_with("delivery.") {
            let field = std::mem::replace(&mut fault.path, "macro".to_owned());
            fault.description = format!("steps[{step}]: {field} {}", fault.description);
            fault.chinese = format!("steps[{step}]: {field} {}", fault.chinese);
        }
    }
    Error::Refused(Refusal::Fields(faults))
}
