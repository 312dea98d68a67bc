//! An invitation and its life (S-04): created, issued, and then answered, expired or revoked for good.

use jiff::Timestamp;
use kefu_identity::OrgUnit;
use uuid::Uuid;

use super::{contact::Contact, policy::TicketCallBack, refusal::Refusal, token::TokenHash};

/// What somebody is asked about: one cycle of one ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matter {
    /// The ticket.
    pub ticket: Uuid,
    /// Its number, for people.
    pub number: String,
    /// Its cycle, from 1.
    pub cycle: i32,
    /// Subjects of all who handled this cycle, the last one last; empty where unknown.
    pub handlers: Vec<String>,
    /// Whose ticket it is; `None` for an unregistered complainant.
    pub customer: Option<Uuid>,
    /// Who complained; `None` where nobody in particular is known. Only together with a customer.
    pub contact: Option<Uuid>,
}

/// One contact asked once in one campaign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// Its id.
    pub id: Uuid,
    /// The org unit on whose behalf it asks: the ticket's.
    pub org_unit: OrgUnit,
    /// Code of the campaign.
    pub campaign: String,
    /// What it asks about.
    pub matter: Matter,
    /// The version of the survey policy by which it was made; holds the questionnaire.
    pub policy_version: Uuid,
    /// Where it stands.
    pub state: State,
    /// When it was made.
    pub created_at: Timestamp,
    /// It may be answered before this time, not at it.
    pub expires_at: Timestamp,
    /// Counts the changes from 1.
    pub revision: i64,
}

/// Where an invitation stands. A token works in those states that have one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Made; no token has been issued.
    Created,
    /// A link can be sent.
    Issued {
        /// Of the newest token; earlier ones do not work any more.
        token: TokenHash,
        /// When it was issued.
        at: Timestamp,
    },
    /// Answered.
    Answered {
        /// Of the token that answered.
        token: TokenHash,
        /// When.
        at: Timestamp,
    },
    /// Not answered in time.
    Expired {
        /// When that was found.
        at: Timestamp,
    },
    /// Taken back.
    Revoked {
        /// When.
        at: Timestamp,
        /// Why.
        why: Revocation,
    },
}

/// Why an invitation was taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// A member of staff did it.
    Staff,
    /// The verdict came in another way, by telephone (T-13).
    VerdictGiven,
    /// The ticket was closed without one: the customer could not be reached (T-09).
    ClosedWithoutVerdict,
    /// The ticket was cancelled.
    TicketCancelled,
    /// The contact does not want to be contacted any more (S-03).
    DoNotContact,
}

impl Revocation {
    /// Every one.
    pub const ALL: [Self; 5] = [
        Self::Staff,
        Self::VerdictGiven,
        Self::ClosedWithoutVerdict,
        Self::TicketCancelled,
        Self::DoNotContact,
    ];

    /// Its word, in the database and in the audit trail.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Staff => "staff",
            Self::VerdictGiven => "verdict_given",
            Self::ClosedWithoutVerdict => "closed_without_verdict",
            Self::TicketCancelled => "ticket_cancelled",
            Self::DoNotContact => "do_not_contact",
        }
    }

    /// The value with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|why| why.as_str() == word)
    }
}

impl State {
    /// Its word, in the database and in the audit trail.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Issued { .. } => "issued",
            Self::Answered { .. } => "answered",
            Self::Expired { .. } => "expired",
            Self::Revoked { .. } => "revoked",
        }
    }

    /// Whether it can still become another state.
    pub const fn is_open(&self) -> bool {
        matches!(self, Self::Created | Self::Issued { .. })
    }

    /// The hash of the token that works.
    pub const fn token(&self) -> Option<&TokenHash> {
        match self {
            Self::Issued { token, .. } | Self::Answered { token, .. } => Some(token),
            _ => None,
        }
    }
}

/// Whether somebody is asked after a result was fed back (S-02). `call_back` is what the policy in force then says.
///
/// Nobody is asked where the policy asks nobody, and no contact that has closed every channel (S-03). A complainant of
/// whom no contact is known is asked by whoever can reach him.
pub fn decide(
    id: Uuid,
    org_unit: OrgUnit,
    matter: Matter,
    call_back: (Uuid, &TicketCallBack),
    contact: Option<&Contact>,
    now: Timestamp,
) -> Option<Invitation> {
    if contact.is_some_and(|contact| !contact.may_be_asked()) {
        return None;
    }
    let (policy_version, call_back) = call_back;
    Some(Invitation {
        id,
        org_unit,
        campaign: call_back.campaign.clone(),
        matter,
        policy_version,
        state: State::Created,
        created_at: now,
        // The policy's limit of a year keeps this within the calendar in every year but the last.
        expires_at: now.checked_add(call_back.expire_after).unwrap_or(Timestamp::MAX),
        revision: 1,
    })
}

impl Invitation {
    /// Whether its time is over although nobody has said so yet.
    pub fn has_lapsed(&self, now: Timestamp) -> bool {
        self.state.is_open() && now >= self.expires_at
    }

    /// Puts another token in the place of the one that worked, for a member of staff who sends the link.
    ///
    /// # Errors
    /// [`Refusal`]; whoever handled the ticket does not get the token (T-13).
    pub fn issue(&self, token: TokenHash, by: &str, now: Timestamp) -> Result<Self, Refusal> {
        self.require_open(now)?;
        self.require_other_than_handler(by)?;
        Ok(self.with(State::Issued { token, at: now }))
    }

    /// Takes the answer of the holder of the token. `by` is the subject of a member of staff who enters it for the
    /// customer.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn answer(&self, by: Option<&str>, now: Timestamp) -> Result<Self, Refusal> {
        self.require_open(now)?;
        by.map_or(Ok(()), |by| self.require_other_than_handler(by))?;
        match &self.state {
            State::Issued { token, .. } => {
                Ok(self.with(State::Answered { token: *token, at: now }))
            }
            // Without a token nobody can have come here.
            _ => Err(Refusal::Ended),
        }
    }

    /// Takes it back.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn revoke(&self, why: Revocation, now: Timestamp) -> Result<Self, Refusal> {
        self.require_open(now)?;
        Ok(self.with(State::Revoked { at: now, why }))
    }

    /// Asks whom its ticket turns out to be of; none where it asks that one already, or can ask nobody any more. The token that
    /// went to somebody else works no more; the time that is left to answer stays what it is.
    pub fn redirect(&self, right: &Matter, now: Timestamp) -> Option<Self> {
        let same = (self.matter.customer, self.matter.contact) == (right.customer, right.contact);
        if same || self.require_open(now).is_err() {
            return None;
        }
        let (customer, contact) = (right.customer, right.contact);
        let matter = Matter { customer, contact, ..self.matter.clone() };
        Some(Self { matter, ..self.with(State::Created) })
    }

    /// Ends it if its time is over.
    pub fn expire(&self, now: Timestamp) -> Option<Self> {
        self.has_lapsed(now).then(|| self.with(State::Expired { at: now }))
    }

    /// Passes if it may still be answered.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn require_open(&self, now: Timestamp) -> Result<(), Refusal> {
        match &self.state {
            State::Created | State::Issued { .. } if self.has_lapsed(now) => Err(Refusal::Ended),
            State::Created | State::Issued { .. } => Ok(()),
            State::Answered { .. } => Err(Refusal::AlreadyAnswered),
            State::Expired { .. } | State::Revoked { .. } => Err(Refusal::Ended),
        }
    }

    fn require_other_than_handler(&self, subject: &str) -> Result<(), Refusal> {
        let own = self.matter.handlers.iter().any(|handler| handler == subject);
        if own { Err(Refusal::OwnWork) } else { Ok(()) }
    }

    fn with(&self, state: State) -> Self {
        Self { state, revision: self.revision + 1, ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::{policy::Scale, token::Token};

    fn at(second: i64) -> Timestamp {
        Timestamp::new(second, 0).unwrap()
    }

    fn matter() -> Matter {
        Matter {
            ticket: Uuid::from_u128(1),
            number: "T-2024-000001".into(),
            cycle: 1,
            handlers: vec!["wang".into(), "zhou".into()],
            customer: Some(Uuid::from_u128(2)),
            contact: Some(Uuid::from_u128(3)),
        }
    }

    fn decided(contact: Option<&Contact>) -> Option<Invitation> {
        let call_back = TicketCallBack {
            campaign: "ticket-call-back".into(),
            scale: Scale { min: 1, max: 5 },
            expire_after: Duration::from_secs(100),
        };
        let version = Uuid::from_u128(9);
        let org_unit = "group/north".parse().unwrap();
        decide(Uuid::from_u128(5), org_unit, matter(), (version, &call_back), contact, at(1_000))
    }

    fn invited() -> Invitation {
        decided(None).unwrap()
    }

    fn hash(seed: u8) -> TokenHash {
        Token::new([seed; 32]).hash()
    }

    #[test]
    fn s02_a_contact_is_invited_by_the_policy_in_force() {
        let invitation = decided(Some(&Contact::default())).unwrap();
        assert_eq!(invitation.state, State::Created);
        assert_eq!((invitation.created_at, invitation.expires_at), (at(1_000), at(1_100)));
        assert_eq!(invitation.policy_version, Uuid::from_u128(9));
        let closed = ["PHONE", "SMS", "EMAIL", "MESSENGER", "LETTER", "VISIT"];
        let closed = Contact { do_not_contact: closed.map(String::from).to_vec() };
        assert_eq!(decided(Some(&closed)), None);
    }

    #[test]
    fn s04_issuing_again_retires_the_token_before() {
        let first = invited().issue(hash(1), "li", at(1_001)).unwrap();
        let second = first.issue(hash(2), "li", at(1_002)).unwrap();
        assert_eq!(second.state.token(), Some(&hash(2)));
        assert_eq!(second.revision, 3);
    }

    #[test]
    fn t01_an_invitation_goes_to_whom_the_ticket_turns_out_to_be_of() {
        let issued = invited().issue(hash(1), "li", at(1_001)).unwrap();
        let other = Uuid::from_u128(7);
        let right = Matter { customer: Some(other), contact: None, handlers: vec![], ..matter() };
        let moved = issued.redirect(&right, at(1_002)).unwrap();
        assert_eq!((moved.matter.customer, moved.matter.contact), (Some(other), None));
        assert_eq!(moved.matter.handlers, issued.matter.handlers, "who handled it stays");
        assert_eq!((&moved.state, moved.revision), (&State::Created, issued.revision + 1));
        assert_eq!(moved.expires_at, issued.expires_at);
        assert_eq!(moved.redirect(&right, at(1_003)), None, "it asks that one already");
        let answered = issued.answer(None, at(1_002)).unwrap();
        assert_eq!(answered.redirect(&right, at(1_003)), None);
        assert_eq!(issued.redirect(&right, at(1_100)), None, "its time is over");
    }

    #[test]
    fn s05_an_invitation_is_answered_once_and_in_time() {
        let issued = invited().issue(hash(1), "li", at(1_001)).unwrap();
        let answered = issued.answer(None, at(1_099)).unwrap();
        assert_eq!(answered.answer(None, at(1_099)), Err(Refusal::AlreadyAnswered));
        assert_eq!(answered.issue(hash(2), "li", at(1_099)), Err(Refusal::AlreadyAnswered));
        assert_eq!(answered.revoke(Revocation::Staff, at(1_099)), Err(Refusal::AlreadyAnswered));
        assert_eq!(answered.expire(at(5_000)), None);
        assert_eq!(issued.answer(None, at(1_100)), Err(Refusal::Ended), "the limit is not in it");
        assert_eq!(invited().answer(None, at(1_001)), Err(Refusal::Ended));
    }

    #[test]
    fn t13_whoever_handled_the_ticket_neither_holds_the_token_nor_answers() {
        let issued = invited().issue(hash(1), "li", at(1_001)).unwrap();
        for handler in ["wang", "zhou"] {
            assert_eq!(invited().issue(hash(1), handler, at(1_001)), Err(Refusal::OwnWork));
            assert_eq!(issued.answer(Some(handler), at(1_002)), Err(Refusal::OwnWork));
        }
        assert!(issued.answer(Some("li"), at(1_002)).is_ok());
        assert!(issued.answer(None, at(1_002)).is_ok());
    }

    #[test]
    fn s04_what_has_ended_stays_ended() {
        let expired = invited().expire(at(1_100)).unwrap();
        let revoked = invited().revoke(Revocation::VerdictGiven, at(1_001)).unwrap();
        for ended in [expired, revoked] {
            assert_eq!(ended.state.token(), None);
            assert_eq!(ended.issue(hash(1), "li", at(1_001)), Err(Refusal::Ended));
            assert_eq!(ended.revoke(Revocation::Staff, at(1_001)), Err(Refusal::Ended));
            assert_eq!(ended.expire(at(9_000)), None);
        }
        assert_eq!(invited().expire(at(1_099)), None);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Issue(u8),
        Answer,
        Revoke,
        Expire,
    }

    fn step() -> impl Strategy<Value = (Step, i64)> {
        let step = prop_oneof![
            any::<u8>().prop_map(Step::Issue),
            Just(Step::Answer),
            Just(Step::Revoke),
            Just(Step::Expire),
        ];
        (step, 0_i64..40)
    }

    proptest! {
        /// Whatever happens in whatever order: at most one end, one revision for each change, and a token works only
        /// while the invitation is issued or after its own answer.
        #[test]
        fn s04_every_life_has_one_end(steps in prop::collection::vec(step(), 0..12)) {
            let (mut now, mut invitation, mut ends) = (1_000, invited(), 0);
            for (step, wait) in steps {
                now += wait;
                let changed = match step {
                    Step::Issue(seed) => invitation.issue(hash(seed), "li", at(now)).ok(),
                    Step::Answer => invitation.answer(None, at(now)).ok(),
                    Step::Revoke => invitation.revoke(Revocation::Staff, at(now)).ok(),
                    Step::Expire => invitation.expire(at(now)),
                };
                let Some(changed) = changed else { continue };
                prop_assert!(invitation.state.is_open());
                prop_assert_eq!(changed.revision, invitation.revision + 1);
                ends += i32::from(!changed.state.is_open());
                let expired = matches!(changed.state, State::Expired { .. });
                prop_assert_eq!(expired, at(now) >= changed.expires_at, "ended at {}", now);
                let keeps = matches!(changed.state, State::Issued { .. } | State::Answered { .. });
                prop_assert_eq!(changed.state.token().is_some(), keeps);
                invitation = changed;
            }
            prop_assert!(ends <= 1);
        }
    }
}
