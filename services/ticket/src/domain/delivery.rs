//! What leaves this system: by which way, how often it is tried, and when it is given up (T-14, T-26).

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use thiserror::Error;
use uuid::Uuid;

use super::{
    policy::Policy,
    word::{Fault, Subject, Text, coded},
};

/// The longest recipient, in characters; the longest mail address there is.
pub(crate) const MAX_RECIPIENT: usize = 320;

coded! {
    /// How a channel adapter sends.
    AdapterKind {
        /// A mail by SMTP.
        Mail = "mail",
        /// A signed HTTP POST.
        Webhook = "webhook",
    }
}

coded! {
    /// What a delivery carries.
    DeliveryContent {
        /// A message to the customer.
        Message = "message",
        /// A notice to staff.
        Notice = "notice",
        /// An event, for another system.
        Event = "event",
    }
}

coded! {
    /// Where a delivery stands.
    DeliveryState {
        /// Waits for its next attempt.
        Pending = "pending",
        /// The other side took it.
        Sent = "sent",
        /// Given up; waits for a person.
        Parked = "parked",
        /// A person decided that it is not sent.
        Cancelled = "cancelled",
    }
}

/// A way out, as the policy names it. Where it leads is the operator's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelAdapter {
    /// Unique in the policy.
    pub code: Arc<str>,
    /// How it sends.
    pub kind: AdapterKind,
    /// What it is called.
    pub title: Text,
    /// How long it is tried.
    pub patience: Patience,
}

/// How often and how patiently something is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Attempts until it is parked.
    pub attempts: u32,
    /// The wait after the first failure; doubles with each.
    pub first: Duration,
    /// The longest wait.
    pub longest: Duration,
}

impl Patience {
    /// How long to wait after the `failures`th failure: between a half and the whole of what doubling gives, by `chance`,
    /// so that what failed together does not come back together.
    #[must_use]
    pub fn wait(&self, failures: u32, chance: u64) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let whole = self.first.saturating_mul(1 << doublings).min(self.longest);
        let half = whole / 2;
        let spread = u64::try_from(half.as_micros()).unwrap_or(u64::MAX).saturating_add(1);
        whole - Duration::from_micros(chance % spread)
    }
}

/// How a caller asks for something to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Code of an adapter of the policy.
    pub adapter: String,
    /// To whom.
    pub recipient: String,
}

/// A route that the policy knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dispatch {
    /// The way.
    pub adapter: ChannelAdapter,
    /// To whom.
    pub recipient: String,
}

impl Route {
    /// Everything that is wrong with it by a policy.
    #[must_use]
    pub fn faults(&self, policy: &Policy) -> Vec<Fault> {
        let mut faults = Vec::new();
        self.resolve(policy, &mut faults);
        faults
    }

    /// The way that the policy has for it; everything that is wrong with it goes to `faults`.
    pub(super) fn resolve(&self, policy: &Policy, faults: &mut Vec<Fault>) -> Option<Dispatch> {
        let Some(adapter) = policy.automation().adapter(&self.adapter) else {
            faults.push(Fault {
                path: "delivery.adapter".to_owned(),
                reason: "UNKNOWN_ADAPTER",
                description: "is no channel adapter of the ticket's policy".to_owned(),
                chinese: "工单适用的制度中没有该渠道".to_owned(),
            });
            return None;
        };
        if let Err(fault) = check_recipient(adapter.kind, &self.recipient) {
            faults.push(Fault { path: "delivery.recipient".to_owned(), ..fault });
            return None;
        }
        Some(Dispatch { adapter: adapter.clone(), recipient: self.recipient.clone() })
    }
}

/// Whether an adapter of this kind can send to such a recipient.
pub(super) fn check_recipient(kind: AdapterKind, recipient: &str) -> Result<(), Fault> {
    let sound = match kind {
        AdapterKind::Mail => recipient.parse::<lettre::Address>().is_ok(),
        AdapterKind::Webhook => !recipient.trim().is_empty(),
    };
    if sound {
        return Ok(());
    }
    Err(Fault {
        path: String::new(),
        reason: "NOT_AN_ADDRESS",
        description: "must be one mail address, without a name".to_owned(),
        chinese: "必须是一个邮件地址，不带姓名".to_owned(),
    })
}

/// Something on its way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Its identity, by which a receiver knows it again.
    pub id: Uuid,
    /// Counts the changes.
    pub revision: i64,
    /// The ticket that it is about.
    pub ticket: Uuid,
    /// The customer concerned.
    pub customer: Option<Uuid>,
    /// The ticket's org unit.
    pub org_unit: String,
    /// The message to the customer that it carries.
    pub message: Option<Uuid>,
    /// What it carries.
    pub content: DeliveryContent,
    /// The trigger that asked for it.
    pub rule: Option<String>,
    /// Code of the adapter.
    pub adapter: String,
    /// How it is sent.
    pub kind: AdapterKind,
    /// To whom; empty where the adapter's endpoint is all there is.
    pub recipient: String,
    /// One line.
    pub subject: String,
    /// What is sent; none for a message, which has its text itself.
    pub body: Option<String>,
    /// Where it stands.
    pub state: DeliveryState,
    /// How often sending was begun.
    pub attempts: u32,
    /// After how many attempts it is parked.
    pub allowed_attempts: u32,
    /// As the policy had it when it was put here.
    pub patience: Patience,
    /// When it is tried next, while it is pending.
    pub next_attempt_at: Option<Timestamp>,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// What the other side calls it.
    pub provider_id: Option<String>,
    /// When the other side took it.
    pub sent_at: Option<Timestamp>,
    /// Who asked for it.
    pub created_by: Subject,
    /// When it was put in the outbox.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attempted {
    /// The other side took it.
    Taken {
        /// What it calls it.
        provider_id: Option<String>,
    },
    /// It failed and may work another time.
    Failed {
        /// Why, in words.
        error: String,
        /// The wait that the other side asks for.
        after: Option<Duration>,
    },
    /// The other side refuses it for good.
    Refused {
        /// Why, in words.
        error: String,
    },
}

/// Why a person cannot do that with a delivery.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum DeliveryRefusal {
    /// It was sent or cancelled.
    #[error("the delivery was sent or cancelled already")]
    Ended,
    /// It is being sent at this moment.
    #[error("the delivery is being sent; look again in a moment")]
    InFlight,
}

impl DeliveryRefusal {
    /// The same in Chinese.
    #[must_use]
    pub const fn chinese(self) -> &'static str {
        match self {
            Self::Ended => "该消息已发送或已取消",
            Self::InFlight => "该消息正在发送，请稍后再查看",
        }
    }
}

impl Delivery {
    /// Notes what came of an attempt. That it was taken is a fact, however late that is heard of: also of what was parked or
    /// cancelled meanwhile. Anything else that comes late changes nothing. False if nothing changed.
    pub fn attempted(&mut self, outcome: Attempted, now: Timestamp, chance: u64) -> bool {
        let taken = matches!(outcome, Attempted::Taken { .. });
        if self.state != DeliveryState::Pending && !(taken && self.state != DeliveryState::Sent) {
            return false;
        }
        self.next_attempt_at = None;
        match outcome {
            Attempted::Taken { provider_id } => {
                self.state = DeliveryState::Sent;
                self.sent_at = Some(now);
                self.provider_id = provider_id;
            }
            Attempted::Refused { error } => {
                self.state = DeliveryState::Parked;
                self.last_error = Some(error);
            }
            Attempted::Failed { error, after } => {
                self.last_error = Some(error);
                let begun = self.allowed_attempts.saturating_sub(self.patience.attempts);
                let failures = self.attempts.saturating_sub(begun).max(1);
                // Whoever asks for a longer wait gets it, but nobody decides how long we are patient.
                let asked = after.unwrap_or_default().min(self.patience.longest);
                let wait = self.patience.wait(failures, chance).max(asked);
                let next = now.checked_add(wait).ok().filter(|_| !self.is_exhausted());
                self.next_attempt_at = next;
                if next.is_none() {
                    self.state = DeliveryState::Parked;
                }
            }
        }
        self.touch(now);
        true
    }

    /// Tries it again now, with as many attempts as at first.
    ///
    /// # Errors
    /// Once it was sent or cancelled.
    pub fn retry(&mut self, now: Timestamp) -> Result<(), DeliveryRefusal> {
        if !matches!(self.state, DeliveryState::Pending | DeliveryState::Parked) {
            return Err(DeliveryRefusal::Ended);
        }
        self.state = DeliveryState::Pending;
        self.next_attempt_at = Some(now);
        self.allowed_attempts = self.attempts.saturating_add(self.patience.attempts);
        self.touch(now);
        Ok(())
    }

    /// Decides that it is not sent.
    ///
    /// # Errors
    /// Once it was sent or cancelled, or while it is being sent.
    pub fn cancel(&mut self, in_flight: bool, now: Timestamp) -> Result<(), DeliveryRefusal> {
        match self.state {
            DeliveryState::Sent | DeliveryState::Cancelled => Err(DeliveryRefusal::Ended),
            DeliveryState::Pending if in_flight => Err(DeliveryRefusal::InFlight),
            DeliveryState::Pending | DeliveryState::Parked => {
                self.state = DeliveryState::Cancelled;
                self.next_attempt_at = None;
                self.touch(now);
                Ok(())
            }
        }
    }

    /// Takes it back, because it would go to somebody whom it does not concern. What is being sent at this moment cannot be held
    /// back: if it is taken that is a fact, and otherwise it was the last attempt. False if it was sent or cancelled before.
    pub fn withdraw(&mut self, now: Timestamp) -> bool {
        self.cancel(false, now).is_ok()
    }

    /// Whether all attempts have been used up.
    #[must_use]
    pub fn is_exhausted(&self) -> bool {
        self.attempts >= self.allowed_attempts
    }

    fn touch(&mut self, now: Timestamp) {
        self.revision += 1;
        self.updated_at = self.updated_at.max(now);
    }
}
