//! Invitations, as they are called for (S-04).

use kefu_api::survey::v1 as pb;
use kefu_identity::{Caller, OrgUnit};
use kefu_rpc::{Etag, to_proto_timestamp};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{App, Call, Change, Cursor, Error, NEWEST, Page, one_more};
use crate::{
    domain::{
        invitation::{Invitation, Revocation, State},
        refusal::Refusal,
        token::{Token, TokenHash},
    },
    encode::invitation as encode,
    store,
};

/// Which invitations a list shows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Filter {
    /// Only those about this ticket.
    pub ticket: Option<Uuid>,
    /// Only those of this customer.
    pub customer: Option<Uuid>,
}

impl App {
    /// One invitation.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub async fn get_invitation(&self, caller: &Caller, id: Uuid) -> Result<Invitation, Error> {
        let mut conn = self.read().await?;
        let found = store::invitation::get(&mut conn, id).await?;
        let invitation = found.ok_or_else(|| not_found(id))?;
        self.allow(caller, "survey.GetInvitation", &invitation.org_unit)?;
        Ok(invitation)
    }

    /// Those at and below `org_unit`, newest first.
    ///
    /// # Errors
    /// [`Error::Denied`].
    pub async fn list_invitations(
        &self,
        caller: &Caller,
        org_unit: &OrgUnit,
        filter: Filter,
        after: Option<Cursor>,
        size: u32,
    ) -> Result<Page<Invitation>, Error> {
        use store::invitation as store;
        self.allow(caller, "survey.ListInvitations", org_unit)?;
        let conn = &mut *self.read().await?;
        let (after, limit) = (after.unwrap_or(NEWEST), one_more(size));
        let found = match filter {
            Filter { ticket: Some(ticket), customer } => {
                store::page_of_ticket(conn, org_unit, ticket, customer, after, limit).await?
            }
            Filter { ticket: None, customer: Some(customer) } => {
                store::page_of_customer(conn, org_unit, customer, after, limit).await?
            }
            Filter { ticket: None, customer: None } => {
                store::page(conn, org_unit, after, limit).await?
            }
        };
        Ok(Page::of(found, size, |last| (last.created_at, last.id)))
    }

    /// Makes a new token, and retires the one before. The answer of the first attempt was stored nowhere, so a retry under
    /// the same request id makes another token.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Refused`] and those that every command has.
    pub async fn issue_invitation_token(
        &self,
        call: &Call,
        id: Uuid,
    ) -> Result<pb::IssueInvitationTokenResponse, Error> {
        const ACTION: &str = "survey.IssueInvitationToken";
        let mut work = self.begin(call).await?;
        let invitation = store::invitation::lock(work.conn(), id).await?;
        let invitation = invitation.ok_or_else(|| not_found(id))?;
        self.allow(&call.caller, ACTION, &invitation.org_unit)?;
        // For the check that the id was not used for something else; what was answered is not to be had again.
        work.claim().await?;
        let token = Token::new(kefu_clock::random_bytes());
        let now = work.now();
        let issued = invitation
            .issue(token.hash(), call.caller.subject(), now)
            .map_err(|refusal| refused(&invitation, refusal))?;
        store::invitation::update(work.conn(), &issued).await?;
        work.record(vec![change(ACTION, Some(&invitation), &issued)]).await?;
        work.commit_remembering(&[]).await?;
        Ok(pb::IssueInvitationTokenResponse {
            token: token.reveal(),
            expire_time: Some(to_proto_timestamp(issued.expires_at)),
        })
    }

    /// Takes an invitation back.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::EtagStale`], [`Error::Refused`] and those that every command has.
    pub async fn revoke_invitation(
        &self,
        call: &Call,
        id: Uuid,
        etag: Option<Etag>,
    ) -> Result<pb::Invitation, Error> {
        const ACTION: &str = "survey.RevokeInvitation";
        let mut work = self.begin(call).await?;
        let invitation = store::invitation::lock(work.conn(), id).await?;
        let invitation = invitation.ok_or_else(|| not_found(id))?;
        self.allow(&call.caller, ACTION, &invitation.org_unit)?;
        if let Some(answer) = work.replay().await? {
            return Ok(answer);
        }
        super::error::check_etag(etag, invitation.revision)?;
        let revoked = invitation
            .revoke(Revocation::Staff, work.now())
            .map_err(|refusal| refused(&invitation, refusal))?;
        store::invitation::update(work.conn(), &revoked).await?;
        work.record(vec![change(ACTION, Some(&invitation), &revoked)]).await?;
        work.commit(encode::resource(&revoked)).await
    }

    /// What the holder of a token is asked. `None` is what cannot be a token.
    ///
    /// # Errors
    /// [`Error::TokenInvalid`], [`Error::Refused`] where it has been answered.
    pub async fn get_questionnaire(
        &self,
        caller: &Caller,
        token: Option<TokenHash>,
    ) -> Result<pb::GetQuestionnaireResponse, Error> {
        let token = token.ok_or(Error::TokenInvalid)?;
        let mut conn = self.read().await?;
        let found = store::invitation::by_token(&mut conn, &token).await?;
        let invitation = found.ok_or(Error::TokenInvalid)?;
        self.allow(caller, "survey.GetQuestionnaire", &invitation.org_unit)?;
        invitation
            .require_open(self.now())
            .map_err(|refusal| token_refused(&invitation, refusal))?;
        let policy = self.policy_of(&mut conn, &invitation).await?;
        let call_back = policy.message.ticket_call_back.as_ref();
        Ok(pb::GetQuestionnaireResponse {
            questionnaire: call_back.and_then(|call_back| call_back.questionnaire.clone()),
            ticket_number: invitation.matter.number,
            expire_time: Some(to_proto_timestamp(invitation.expires_at)),
        })
    }
}

/// A change of an invitation, for the journal. Neither token nor hash is in it.
pub(crate) fn change<'a>(
    action: &'static str,
    before: Option<&Invitation>,
    after: &'a Invitation,
) -> Change<'a> {
    let event = match &after.state {
        State::Created => Some(encode::created(after)),
        State::Expired { .. } | State::Revoked { .. } => Some(encode::ended(after)),
        // An answer has an event of its own; that a link can be sent concerns nobody else.
        State::Issued { .. } | State::Answered { .. } => None,
    };
    Change {
        aggregate_type: "invitation",
        aggregate_id: after.id,
        revision: after.revision,
        action,
        org_unit: &after.org_unit,
        customer_id: after.matter.customer,
        before: before.map(trail),
        after: Some(if before.is_some() { trail(after) } else { made(after) }),
        event,
    }
}

/// That somebody else is asked, for the journal: whom before, whom now.
pub(crate) fn redirected<'a>(before: &Invitation, after: &'a Invitation) -> Change<'a> {
    let whom = |invitation: &Invitation| {
        let Invitation { state, matter, .. } = invitation;
        json!({ "state": state.as_str(), "customer": matter.customer, "contact": matter.contact })
    };
    Change {
        before: Some(whom(before)),
        after: Some(whom(after)),
        ..change("survey.Redirect", Some(before), after)
    }
}

/// What the audit trail says of where an invitation stands.
fn trail(invitation: &Invitation) -> Value {
    match &invitation.state {
        State::Revoked { why, .. } => json!({ "state": "revoked", "why": why.as_str() }),
        state => json!({ "state": state.as_str() }),
    }
}

/// What the audit trail says of a new one.
fn made(invitation: &Invitation) -> Value {
    let matter = &invitation.matter;
    json!({
        "state": invitation.state.as_str(),
        "campaign": invitation.campaign,
        "ticket": matter.ticket,
        "ticket_cycle": matter.cycle,
        "customer": matter.customer,
        "contact": matter.contact,
        "policy_version": invitation.policy_version,
        "expire_time": invitation.expires_at,
    })
}

/// What the caller by name is told.
fn refused(invitation: &Invitation, refusal: Refusal) -> Error {
    Error::Refused { name: encode::name(invitation.id), refusal }
}

/// What the holder of a token is told: that it has ended looks as if it had never been (S-04).
pub(crate) fn token_refused(invitation: &Invitation, refusal: Refusal) -> Error {
    match refusal {
        Refusal::Ended => Error::TokenInvalid,
        Refusal::AlreadyAnswered | Refusal::OwnWork => refused(invitation, refusal),
    }
}

fn not_found(id: Uuid) -> Error {
    Error::NotFound { kind: "kefu.dev/Invitation", name: encode::name(id) }
}
