//! Standings (C-10).

use kefu_api::customer::v1 as pb;
use kefu_identity::{Caller, OrgUnit};
use kefu_rpc::{Etag, Fault, Violations};
use uuid::Uuid;

use super::{App, Call, Change, Error, Page, audit, customer, one_more};
use crate::{
    domain::standing::{Rating, Standing},
    encode::standing as encode,
    store,
};

/// A grade that is to be given.
#[derive(Clone, Debug)]
pub struct Grading {
    /// The department.
    pub department: OrgUnit,
    /// The product line; empty means all.
    pub product_line: String,
    /// Code of the grade.
    pub grade: String,
    /// Why.
    pub reason: String,
    /// The etag of the standing that the caller has seen.
    pub etag: Option<Etag>,
    /// In whose language to say that the grade is not on the ladder; empty.
    pub violations: Violations,
}

impl App {
    /// Gives a customer a grade in a department, or another one. Needs the right in the department, which is not
    /// necessarily at or below the org unit that owns the archive.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the customer, [`Error::OrgUnitUnknown`], [`Error::PolicyMissing`], [`Error::Invalid`] for
    /// a grade that is not on the ladder, [`Error::EtagStale`] and those that every command has.
    pub async fn set_standing(
        &self,
        call: &Call,
        customer_id: Uuid,
        grading: Grading,
    ) -> Result<pb::Standing, Error> {
        const ACTION: &str = "customer.SetStanding";
        let Grading { department, product_line, grade, reason, etag, mut violations } = grading;
        self.allow(&call.caller, ACTION, &department)?;
        let mut work = self.begin(call).await?;
        // The customer is the lock of its standings, so that two first grades for one place become one and its change.
        let found = store::customer::lock(work.conn(), customer_id).await?;
        found.ok_or_else(|| customer::not_found(customer_id))?;
        if let Some(answer) = work.replay().await? {
            return Ok(answer);
        }
        if !store::org_unit::exists(work.conn(), &department).await? {
            return Err(Error::OrgUnitUnknown(department));
        }
        let now = work.now();
        let policies = self.policies.current(work.conn()).await?;
        let Some(policy) = policies.effective(&department, now) else {
            return Err(Error::PolicyMissing(department));
        };
        if !policy.policy.has_grade(&grade) {
            let ladder = policy.policy.grades().join(", ");
            violations.within("standing", |violations| {
                violations.add("grade", not_on_the_ladder(&ladder));
            });
            return Err(Error::Invalid(violations));
        }
        let rating = Rating { grade, reason, policy_version: policy.id };

        let current =
            store::standing::find(work.conn(), customer_id, &department, &product_line).await?;
        super::error::check_etag(etag, current.as_ref().map_or(0, |standing| standing.revision))?;
        let Some(current) = current else {
            let id = self.ids.uuid();
            let standing = Standing::create(id, customer_id, department, product_line, rating, now);
            store::standing::insert(work.conn(), &standing).await?;
            let after = audit::all(&standing.rating)?;
            work.record(vec![Change { after: Some(after), ..change(ACTION, &standing) }]).await?;
            return work.commit(encode::resource(&standing)).await;
        };
        let Some(changed) = current.rate(rating, now) else {
            return work.commit(encode::resource(&current)).await;
        };
        store::standing::update(work.conn(), &changed).await?;
        let (before, after) = audit::changed(&current.rating, &changed.rating)?;
        work.record(vec![Change { before, after, ..change(ACTION, &changed) }]).await?;
        work.commit(encode::resource(&changed)).await
    }

    /// Those of a customer in the departments where the caller has the right, by department and product line: a grade is
    /// the department's own, whoever owns the archive (C-10, X-07). Whoever may read the archive is told an empty list where
    /// there are none for it; anybody else is denied. The cursor is the id of the last one of the page before.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the customer, [`Error::Denied`].
    pub async fn list_standings(
        &self,
        caller: &Caller,
        customer_id: Uuid,
        after: Option<Uuid>,
        size: u32,
    ) -> Result<Page<Standing, Uuid>, Error> {
        const ACTION: &str = "customer.ListStandings";
        let mut conn = self.read().await?;
        let owner = store::customer::org_unit_of(&mut conn, customer_id).await?;
        let owner = owner.ok_or_else(|| customer::not_found(customer_id))?;
        let mut departments = store::standing::departments(&mut conn, customer_id).await?;
        departments.retain(|department| self.authorizer.permits(caller, ACTION, department));
        if departments.is_empty() {
            self.allow(caller, ACTION, &owner)?;
        }
        let after = after.unwrap_or(Uuid::nil());
        let found =
            store::standing::page(&mut conn, customer_id, &departments, after, one_more(size))
                .await?;
        Ok(Page::of(found, size, |last| last.id))
    }
}

fn change<'a>(action: &'static str, standing: &'a Standing) -> Change<'a> {
    Change {
        aggregate_type: "standing",
        aggregate_id: standing.id,
        revision: standing.revision,
        action,
        org_unit: &standing.department,
        customer_id: Some(standing.customer_id),
        before: None,
        after: None,
        event: Some(encode::event(standing)),
    }
}

fn not_on_the_ladder(ladder: &str) -> Fault {
    Fault::new(
        "NOT_ON_THE_LADDER",
        format!("is not on the ladder of the policy in force; that has {ladder}"),
        format!("不在现行制度的等级序列中；可用等级：{ladder}"),
    )
}
