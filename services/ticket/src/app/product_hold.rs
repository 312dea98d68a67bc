//! Product holds (T-18): placed by quality or by the policy, announced at once, lifted by quality.

use jiff::Timestamp;
use kefu_api::ticket::v1 as pb;
use kefu_clock::IdSource;
use kefu_identity::{Caller, OrgUnit};
use kefu_journal::{Entry, Provenance};
use kefu_rpc::{Etag, Fault};
use sqlx::PgConnection;
use uuid::Uuid;

use super::change::customer_of;
use super::error::check_etag;
use super::{App, Call, Error, Page, merge, one_more, resource_audit};
use crate::domain::{Policy, ProductHold, StepTaken, Subject, Ticket, held_product, lift_hold};
use crate::encode::corrective_action as encode;
use crate::store;

const KIND: &str = "kefu.dev/ProductHold";
/// How the policy signs.
const POLICY: &str = "policy";

/// What is to be held.
#[derive(Clone, Debug)]
pub struct NewHold {
    /// Where.
    pub org_unit: OrgUnit,
    /// What.
    pub product: String,
    /// The ticket that gave cause.
    pub ticket: Option<Uuid>,
    /// Why.
    pub reason: String,
}

impl App {
    /// Holds a product.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::OrgUnitUnknown`], [`Error::Invalid`] for a ticket that the caller does not see,
    /// [`Error::Refused`] for one that is merged, [`Error::AlreadyExists`] where a hold is in force,
    /// [`Error::RequestIdReused`].
    pub async fn place_product_hold(
        &self,
        call: &Call,
        new: NewHold,
    ) -> Result<pb::ProductHold, Error> {
        if let Err(lacking) = self.allow_in(call, "ticket.PlaceProductHold", &new.org_unit).await {
            return self.or_answered(call, lacking).await;
        }
        let mut work = self.begin(call).await?;
        if let Some(id) = new.ticket {
            // Locked, so that it is not merged meanwhile.
            store::ticket::lock(work.conn(), id).await?;
        }
        if let Some(answer) = work.replay().await? {
            return Ok(answer);
        }
        let mut customer = None;
        if let Some(id) = new.ticket {
            let found = store::judged::ticket(work.conn(), id).await?;
            let seen = found.filter(|found| {
                self.allow_at(&call.caller, "ticket.GetTicket", &found.org_unit).is_ok()
            });
            let seen = seen.ok_or_else(|| {
                let fault = "names no ticket that the caller may see";
                let fault = Fault::new("NOT_FOUND", fault, "工单不存在或无权查看");
                Error::Invalid("product_hold.ticket", fault)
            })?;
            merge::refuse_merged(work.conn(), id, "PlaceProductHold").await?;
            customer = seen.customer;
        }
        let hold = ProductHold {
            id: self.ids.uuid(),
            org_unit: new.org_unit.to_string(),
            product: new.product,
            ticket: new.ticket,
            customer,
            reason: new.reason,
            placed: StepTaken { by: call.caller.subject().into(), at: work.now() },
            lifted: None,
            revision: 1,
        };
        let by = work.by();
        let placed = place(work.conn(), &self.ids, by, &hold).await?;
        match placed {
            Some(told) => work.commit(told).await,
            None => {
                let found =
                    store::product_hold::in_force(work.conn(), &hold.org_unit, &hold.product);
                // It may have been lifted meanwhile: then the caller may try again.
                let id = found.await?.ok_or(Error::Conflict)?;
                Err(Error::AlreadyExists { kind: KIND, name: encode::hold_name(id) })
            }
        }
    }

    /// Lifts a hold.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], [`Error::EtagStale`], [`Error::RequestIdReused`],
    /// [`Error::StepRefused`].
    pub async fn lift_product_hold(
        &self,
        call: &Call,
        id: Uuid,
        etag: Option<Etag>,
        reason: String,
    ) -> Result<pb::ProductHold, Error> {
        let not_found = || Error::NotFound { kind: KIND, name: encode::hold_name(id) };
        let mut work = self.begin(call).await?;
        if !store::product_hold::lock(work.conn(), id).await? {
            return Err(not_found());
        }
        let found = store::product_hold::find(work.conn(), id).await?;
        let before = found.ok_or_else(not_found)?;
        if let Err(denied) = self.allow_at(&call.caller, "ticket.LiftProductHold", &before.org_unit)
        {
            return work.answered().await?.ok_or(denied);
        }
        if let Some(answer) = work.replay().await? {
            return Ok(answer);
        }
        check_etag(etag, before.revision)?;
        let actor: Subject = call.caller.subject().into();
        let after = lift_hold(&before, reason, &actor, work.now())?;
        store::product_hold::lift(work.conn(), &after).await?;
        let by = work.by();
        let told = record(work.conn(), &self.ids, by, Some(&before), &after).await?;
        work.commit(told).await
    }

    /// Those at and below an org unit, newest first.
    ///
    /// # Errors
    /// [`Error::Denied`].
    pub async fn list_product_holds(
        &self,
        caller: &Caller,
        org_unit: &OrgUnit,
        include_lifted: bool,
        after: Option<(Timestamp, Uuid)>,
        size: u32,
    ) -> Result<Page<ProductHold, (Timestamp, Uuid)>, Error> {
        self.allow(caller, "ticket.ListProductHolds", org_unit)?;
        let mut conn = self.read().await?;
        let org_unit = org_unit.as_str();
        let limit = one_more(size);
        let found =
            store::product_hold::list(&mut conn, org_unit, include_lifted, after, limit).await?;
        Ok(Page::of(found, size, |last| (last.placed.at, last.id)))
    }
}

/// The hold that the policy places because of a ticket.
pub(super) fn required(
    ids: &IdSource,
    ticket: &Ticket,
    policy: &Policy,
    now: Timestamp,
) -> Option<ProductHold> {
    let product = held_product(ticket, policy)?;
    let category = &ticket.details.category;
    Some(ProductHold {
        id: ids.uuid(),
        org_unit: ticket.org_unit.clone(),
        product: product.to_owned(),
        ticket: Some(ticket.id),
        customer: customer_of(ticket),
        reason: format!("Complaint in the category {category} / 投诉类别：{category}"),
        placed: StepTaken { by: format!("system/{POLICY}").into(), at: now },
        lifted: None,
        revision: 1,
    })
}

/// Places what the policy asks for since a ticket changed, in the transaction that changed it.
pub(super) async fn follow(
    conn: &mut PgConnection,
    ids: &IdSource,
    before: Option<String>,
    ticket: &Ticket,
    policy: &Policy,
    now: Timestamp,
) -> Result<(), Error> {
    if held_product(ticket, policy) == before.as_deref() {
        return Ok(());
    }
    match required(ids, ticket, policy, now) {
        None => Ok(()),
        Some(hold) => place_by_policy(conn, ids, &hold).await,
    }
}

/// Places a hold for the policy; where one is in force there is nothing to do.
pub(super) async fn place_by_policy(
    conn: &mut PgConnection,
    ids: &IdSource,
    hold: &ProductHold,
) -> Result<(), Error> {
    place(conn, ids, &Provenance::system(POLICY), hold).await.map(|_| ())
}

/// None if one is in force.
async fn place(
    conn: &mut PgConnection,
    ids: &IdSource,
    by: &Provenance,
    hold: &ProductHold,
) -> Result<Option<pb::ProductHold>, Error> {
    if !store::product_hold::insert(conn, hold).await? {
        return Ok(None);
    }
    record(conn, ids, by, None, hold).await.map(Some)
}

async fn record(
    conn: &mut PgConnection,
    ids: &IdSource,
    by: &Provenance,
    before: Option<&ProductHold>,
    after: &ProductHold,
) -> Result<pb::ProductHold, Error> {
    let told = encode::hold(after);
    let (old, new) = resource_audit::changed(before.map(encode::hold).as_ref(), &told)?;
    let entry = Entry {
        by,
        event_id: ids.uuid(),
        occurred_at: after.updated_at(),
        aggregate_type: "product_hold",
        aggregate_id: after.id,
        revision: after.revision,
        action: if before.is_none() { "PlaceProductHold" } else { "LiftProductHold" },
        org_unit: &after.org_unit,
        customer_id: after.customer,
        before: old,
        after: new,
        event: Some(encode::hold_changed(&told)),
    };
    kefu_journal::append(conn, &[entry]).await?;
    Ok(told)
}
