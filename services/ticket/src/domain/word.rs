//! The words of the trade as types: what a ticket is about, how it came in, how much it weighs.
//!
//! Each has a stable [`code`](TicketKind::code) by which it is stored; codes are never renamed.

use std::sync::Arc;

use jiff::Timestamp;
use thiserror::Error;

/// A text that the product or the company itself writes, in English and Chinese.
pub use kefu_calendar::Label as Text;

/// A member of the staff by the subject of its sign-in token, or `system/<worker>`. Cheap to clone.
pub type Subject = Arc<str>;

/// A stored code that nobody here knows.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{code:?} is no {noun}")]
pub struct UnknownCode {
    /// What it should have been.
    pub noun: &'static str,
    /// What was found.
    pub code: String,
}

/// An enum whose values have stable codes.
macro_rules! coded {
    (
        $(#[$meta:meta])*
        $name:ident { $($(#[$doc:meta])* $variant:ident = $code:literal,)+ }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$doc])* $variant,)+ }

        impl $name {
            /// Every value, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The stable code by which it is stored.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)+ }
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::domain::word::UnknownCode;

            fn from_str(code: &str) -> Result<Self, Self::Err> {
                match code {
                    $($code => Ok(Self::$variant),)+
                    _ => Err($crate::domain::word::UnknownCode {
                        noun: stringify!($name),
                        code: code.to_owned(),
                    }),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.code())
            }
        }
    };
}
pub(crate) use coded;

coded! {
    /// What kind of matter a ticket is (T-01).
    TicketKind {
        /// Complaint, 投诉.
        Complaint = "complaint",
        /// Inquiry, 问询.
        Inquiry = "inquiry",
        /// Request, 报事.
        Request = "request",
        /// Suggestion, 建议.
        Suggestion = "suggestion",
    }
}

coded! {
    /// How a ticket came in (T-01).
    Channel {
        /// Telephone.
        Phone = "phone",
        /// Short message.
        Sms = "sms",
        /// Letter.
        Letter = "letter",
        /// Fax.
        Fax = "fax",
        /// E-mail.
        Mail = "mail",
        /// Chat.
        Chat = "chat",
        /// Web form.
        Web = "web",
        /// Messenger.
        Messenger = "messenger",
        /// Visit.
        Visit = "visit",
        /// Counter.
        Counter = "counter",
    }
}

coded! {
    /// What a message to the customer was for (T-14).
    MessagePurpose {
        /// An answer on the way.
        Answer = "answer",
        /// The result.
        Result = "result",
        /// That it will be done later than promised (T-08).
        Delay = "delay",
        /// That the ticket waits for the customer (T-06).
        Reminder = "reminder",
    }
}

coded! {
    /// How urgent a ticket is, lowest first (T-03).
    Priority {
        /// Can wait.
        Low = "low",
        /// As usual.
        Normal = "normal",
        /// Before the others.
        High = "high",
        /// At once.
        Urgent = "urgent",
    }
}

coded! {
    /// How much a matter weighs (投诉级别), lightest first.
    Severity {
        /// 1, ordinary.
        Ordinary = "ordinary",
        /// 2, serious.
        Serious = "serious",
        /// 3, very serious.
        VerySerious = "very_serious",
    }
}

impl Severity {
    /// The severity with this number; none unless 1, 2 or 3.
    #[must_use]
    pub const fn from_number(number: i32) -> Option<Self> {
        match number {
            1 => Some(Self::Ordinary),
            2 => Some(Self::Serious),
            3 => Some(Self::VerySerious),
            _ => None,
        }
    }

    /// 1, 2 or 3.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Ordinary => 1,
            Self::Serious => 2,
            Self::VerySerious => 3,
        }
    }
}

coded! {
    /// What a clock promises (T-05).
    ClockKind {
        /// The first answer, from registration or reopening; never pauses.
        FirstResponse = "first_response",
        /// The solution, from registration or reopening; pauses while waiting.
        Resolution = "resolution",
        /// Telling the result, from the resolution.
        ResultFeedback = "result_feedback",
        /// Asking for the verdict, from when the result was told.
        CallBack = "call_back",
        /// Telling the customer how it goes, from registration, reopening or the last answer until
        /// the result is told; never pauses.
        ProgressUpdate = "progress_update",
    }
}

impl ClockKind {
    /// What registering and reopening promise.
    pub const OPENING: [Self; 3] = [Self::FirstResponse, Self::Resolution, Self::ProgressUpdate];

    /// Whether it stands still while the ticket waits for somebody else (T-06).
    #[must_use]
    pub const fn pauses(self) -> bool {
        matches!(self, Self::Resolution)
    }

    /// What it is called.
    #[must_use]
    pub fn words(self) -> Text {
        match self {
            Self::FirstResponse => Text::new("first response", "首次回复"),
            Self::Resolution => Text::new("resolution", "处理完成"),
            Self::ResultFeedback => Text::new("result feedback", "结果反馈"),
            Self::CallBack => Text::new("call-back", "回访"),
            Self::ProgressUpdate => Text::new("progress update", "进度反馈"),
        }
    }
}

/// Who may handle a ticket (受理级别): 1 is the front line, at most 9 (T-12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReceiverLevel(u8);

impl ReceiverLevel {
    /// The front line.
    pub const FRONT_LINE: Self = Self(1);
    /// The highest that any policy can have.
    pub const MAX: u8 = 9;

    /// The level with this number; none unless 1 to 9.
    #[must_use]
    pub fn from_number(number: i32) -> Option<Self> {
        u8::try_from(number).ok().filter(|level| (1..=Self::MAX).contains(level)).map(Self)
    }

    /// 1 to 9.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// The next one up, but not above `top`, and never below itself.
    #[must_use]
    pub fn raised(self, top: Self) -> Self {
        Self(self.0.saturating_add(1)).min(top).max(self)
    }
}

/// Whoever does something: a person or a worker of this system.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Actor {
    /// A member of the staff, or another service, by the subject of its token.
    Staff(Subject),
    /// A worker of this context; `timers` acts as `system/timers`.
    System(&'static str),
    /// A trigger of a policy by its name; acts as `system/trigger/{name}` (T-26).
    Trigger(Subject),
}

impl Actor {
    /// What clocks do when their time comes.
    pub const TIMERS: Self = Self::System("timers");
    /// What follows where the policy's routing rules are looked at again.
    pub const ROUTING: Self = Self::System("routing");
    /// What an answer to a survey does.
    pub const SURVEY: Self = Self::System("survey");
    /// What becomes of what is sent.
    pub const OUTBOX: Self = Self::System("outbox");

    /// A member of the staff.
    #[must_use]
    pub fn staff(subject: impl Into<Subject>) -> Self {
        Self::Staff(subject.into())
    }

    /// As it stands on record.
    #[must_use]
    pub fn subject(&self) -> Subject {
        match self {
            Self::Staff(subject) => subject.clone(),
            Self::System(worker) => format!("system/{worker}").into(),
            Self::Trigger(name) => format!("system/trigger/{name}").into(),
        }
    }
}

/// One thing that is wrong with what was handed in, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The field as in the API, from the message that was handed in: `clocks[1].name`.
    pub path: String,
    /// Of which kind it is, in upper snake case; `INVALID` where that needs no name.
    pub reason: &'static str,
    /// What is wrong with it, for whoever wrote it.
    pub description: String,
    /// The same in Chinese.
    pub chinese: String,
}

impl Fault {
    /// A fault at a path: what is wrong, in English and in Chinese.
    #[must_use]
    pub fn new(path: impl Into<String>, words: impl Into<Words>) -> Self {
        let Words { english, chinese } = words.into();
        debug_assert!(is_chinese(&chinese), "{english:?} in Chinese is {chinese:?}");
        Self { path: path.into(), reason: "INVALID", description: english, chinese }
    }
}

/// The same in both languages of the product, for whoever is told that something is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    /// In English.
    pub english: String,
    /// In Chinese.
    pub chinese: String,
}

impl Words {
    /// Of a time that must lie ahead.
    pub(super) fn not_ahead(now: Timestamp) -> Self {
        (format!("must be after {now}, which is now"), format!("须晚于当前时间 {now}")).into()
    }

    /// Of a time that must not.
    pub(super) fn ahead(now: Timestamp) -> Self {
        let english = format!("must not be after {now}, which is now");
        (english, format!("不得晚于当前时间 {now}")).into()
    }
}

impl<E: Into<String>, C: Into<String>> From<(E, C)> for Words {
    fn from((english, chinese): (E, C)) -> Self {
        Self { english: english.into(), chinese: chinese.into() }
    }
}

/// Whether a text has a Chinese character in it. Asked where the text is written down, so that none is forgotten.
pub(super) const fn is_chinese(text: &str) -> bool {
    let mut rest = text.as_bytes();
    while let [byte, others @ ..] = rest {
        // How the characters from U+4000 to U+9FFF begin in UTF-8.
        if matches!(byte, 0xE4..=0xE9) {
            return true;
        }
        rest = others;
    }
    false
}
