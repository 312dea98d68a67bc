//! From what went wrong to a `google.rpc.Status` that says so, and nothing more than that.

use std::{collections::HashMap, fmt, time::Duration};

use kefu_api::error::v1::Reason;
use prost::Message;
use tonic::{Code, Status};
use tonic_types::{StatusExt as _, pb};

use crate::{Language, chinese::in_chinese};

/// `ErrorInfo.domain` of every error that Kefu itself makes.
pub const DOMAIN: &str = "kefu.dev";

/// Upper limit for the serialised details. They travel in one header line, base64-encoded, and common clients refuse
/// header lists of more than 8 KiB.
const MAX_DETAILS: usize = 4 * 1024;
/// Of these, what the preconditions may take that are listed; the others are counted. The rest is for saying it in Chinese.
const MAX_LISTED: usize = 2_560;
/// What a `LocalizedMessage` takes beside its text.
const MESSAGE_FRAME: usize = 96;

/// The text of `ErrorInfo.reason`: the enum value's name without its prefix.
pub fn reason_name(reason: Reason) -> &'static str {
    let name = reason.as_str_name();
    name.strip_prefix("REASON_").unwrap_or(name)
}

/// Which of our reasons a status gives, if it is one of ours.
pub fn reason(status: &Status) -> Option<Reason> {
    let info = status.get_details_error_info().filter(|info| info.domain == DOMAIN)?;
    Reason::from_str_name(&format!("REASON_{}", info.reason))
}

/// An error under construction: code, reason, message, details.
///
/// The constructors below cover what most handlers need:
///
/// ```
/// let status = kefu_rpc::not_found("kefu.dev/Ticket", "tickets/42");
/// assert_eq!(status.code(), tonic::Code::NotFound);
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Failure {
    code: Code,
    reason: Reason,
    message: String,
    metadata: HashMap<String, String>,
    details: Vec<prost_types::Any>,
    /// What people read who read Chinese.
    chinese: Option<String>,
}

impl Failure {
    /// `message` is for the developer of the client, in English; clients decide by `reason`.
    pub fn new(code: Code, reason: Reason, message: impl Into<String>) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
            metadata: HashMap::new(),
            details: Vec::new(),
            chinese: None,
        }
    }

    /// Adds an entry to `ErrorInfo.metadata`; which keys a reason has is documented at [`Reason`].
    pub fn metadata(mut self, key: &str, value: impl Into<String>) -> Self {
        self.metadata.insert(key.to_owned(), value.into());
        self
    }

    /// Adds a detail message; `name` is that of its type in `google.rpc`.
    pub(crate) fn detail(mut self, name: &str, detail: &impl Message) -> Self {
        self.details.push(any(name, detail));
        self
    }

    /// Tells the client when to try again.
    pub fn retry_after(self, delay: Duration) -> Self {
        let retry_delay = prost_types::Duration::try_from(delay).ok();
        self.detail("RetryInfo", &pb::RetryInfo { retry_delay })
    }

    /// Names what is missing for the call to be possible (`FAILED_PRECONDITION`), and says it to people in their language (X-09).
    /// What would not fit into a header is counted: `ErrorInfo.metadata` has the number under `preconditions_not_listed`.
    pub fn preconditions(
        mut self,
        language: Language,
        missing: impl IntoIterator<Item = Precondition>,
    ) -> Self {
        let (mut violations, mut chinese) = (Vec::new(), Vec::new());
        let (mut size, mut more) = (0, 0_usize);
        for Precondition { kind, subject, english, chinese: words } in missing {
            chinese.push(words);
            size += kind.len() + subject.len() + english.len() + 8;
            if size > MAX_LISTED {
                more += 1;
                continue;
            }
            let (r#type, description) = (kind, english);
            violations.push(pb::precondition_failure::Violation { r#type, subject, description });
        }
        if more > 0 {
            self = self.metadata("preconditions_not_listed", more.to_string());
        }
        self.detail("PreconditionFailure", &pb::PreconditionFailure { violations })
            .localized(language, chinese.join("；"))
    }

    /// Says it to people who read Chinese (X-09); the message is English, for developers. What was said first stays.
    pub fn localized(mut self, language: Language, chinese: impl Into<String>) -> Self {
        if language == Language::Chinese {
            self.chinese.get_or_insert_with(|| chinese.into());
        }
        self
    }

    /// The finished status. Details that would not fit into a header are left out, last first; the reason stays, and what people
    /// read is cut to the room that is left.
    pub fn into_status(self) -> Status {
        let info = pb::ErrorInfo {
            reason: reason_name(self.reason).to_owned(),
            domain: DOMAIN.to_owned(),
            metadata: self.metadata,
        };
        let mut details = vec![any("ErrorInfo", &info)];
        details.extend(self.details);
        let mut status =
            pb::Status { code: self.code.into(), message: self.message.clone(), details };
        while status.details.len() > 1 && status.encoded_len() > MAX_DETAILS {
            status.details.pop();
        }
        if let Some(chinese) = self.chinese {
            let room = MAX_DETAILS.saturating_sub(status.encoded_len() + MESSAGE_FRAME);
            status.details.push(any("LocalizedMessage", &in_chinese(cut(chinese, room))));
        }
        Status::with_details(self.code, self.message, status.encode_to_vec().into())
    }
}

/// A text that takes at most so many bytes, and shows where it was cut.
fn cut(mut text: String, room: usize) -> String {
    const CUT: &str = "……";
    if text.len() > room {
        text.truncate(text.floor_char_boundary(room.saturating_sub(CUT.len())));
        text.push_str(CUT);
    }
    text
}

impl From<Failure> for Status {
    fn from(failure: Failure) -> Self {
        failure.into_status()
    }
}

/// The generated types do not know their names.
pub(crate) fn any(name: &str, message: &impl Message) -> prost_types::Any {
    prost_types::Any {
        type_url: format!("type.googleapis.com/google.rpc.{name}"),
        value: message.encode_to_vec(),
    }
}

/// One thing that is missing for a call to be possible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Precondition {
    /// What kind of thing, in upper snake case, such as `VERDICT_MISSING`.
    pub kind: String,
    /// Of what it is missing: a resource name.
    pub subject: String,
    /// What to do about it, in English.
    pub english: String,
    /// The same in Chinese.
    pub chinese: String,
}

impl Precondition {
    /// A missing thing.
    pub fn new(
        kind: impl Into<String>,
        subject: impl Into<String>,
        english: impl Into<String>,
        chinese: impl Into<String>,
    ) -> Self {
        Self {
            kind: kind.into(),
            subject: subject.into(),
            english: english.into(),
            chinese: chinese.into(),
        }
    }
}

fn about(failure: Failure, resource_type: &str, name: &str) -> Status {
    failure
        .metadata("resource_type", resource_type)
        .metadata("resource_name", name)
        .detail(
            "ResourceInfo",
            &pb::ResourceInfo {
                resource_type: resource_type.to_owned(),
                resource_name: name.to_owned(),
                ..Default::default()
            },
        )
        .into_status()
}

/// `INVALID_ARGUMENT` for one wrong field; use [`crate::Violations`] where more than one can be wrong (X-06).
pub fn invalid(language: Language, field: &str, fault: crate::Fault) -> Status {
    let mut violations = crate::Violations::in_language(language);
    violations.add(field, fault);
    violations.to_status()
}

/// `NOT_FOUND`: the resource does not exist, or the caller's scope does not reach it.
pub fn not_found(resource_type: &str, name: &str) -> Status {
    let message = format!("{name} does not exist");
    let failure = Failure::new(Code::NotFound, Reason::ResourceNotFound, message);
    about(failure, resource_type, name)
}

/// `ALREADY_EXISTS`: a resource with this identity is there.
pub fn already_exists(resource_type: &str, name: &str) -> Status {
    let message = format!("{name} exists already");
    let failure = Failure::new(Code::AlreadyExists, Reason::ResourceAlreadyExists, message);
    about(failure, resource_type, name)
}

/// `ALREADY_EXISTS`: the request id was used for another content (X-02).
pub fn request_id_reused(request_id: &str) -> Status {
    Failure::new(
        Code::AlreadyExists,
        Reason::RequestIdReused,
        "request_id was used for a request with other content",
    )
    .metadata("request_id", request_id)
    .into_status()
}

/// `ABORTED`: the etag is stale; carries the current one (X-03).
pub fn aborted_stale_etag(current: &str) -> Status {
    stale_etag("the resource", current).into_status()
}

/// The same where a call can carry etags of several resources: says which one has changed.
pub fn aborted_stale_etag_of(resource_name: &str, current: &str) -> Status {
    stale_etag(resource_name, current).metadata("resource_name", resource_name).into_status()
}

fn stale_etag(what: &str, current: &str) -> Failure {
    let message = format!("{what} has changed since its etag was read; read it again");
    Failure::new(Code::Aborted, Reason::EtagStale, message).metadata("current_etag", current)
}

/// `ABORTED`: a concurrent change won; the same call may succeed now.
pub fn aborted_conflict() -> Status {
    Failure::new(Code::Aborted, Reason::Conflict, "a concurrent change won; try again")
        .retry_after(Duration::from_millis(20))
        .into_status()
}

/// `UNAUTHENTICATED`: with one of the three token reasons (G-10).
pub fn unauthenticated(reason: Reason) -> Status {
    let message = match reason {
        Reason::TokenExpired => "the bearer token has expired",
        Reason::TokenMissing => "the call needs a bearer token",
        _ => "the bearer token is not valid here",
    };
    Failure::new(Code::Unauthenticated, reason, message).into_status()
}

/// `PERMISSION_DENIED`: no policy permits `action` for the caller in `org_unit` (X-07).
pub fn permission_denied(action: &str, org_unit: &str) -> Status {
    Failure::new(
        Code::PermissionDenied,
        Reason::PermissionDenied,
        format!("{action} is not permitted in {org_unit}"),
    )
    .metadata("action", action)
    .metadata("org_unit", org_unit)
    .into_status()
}

/// `RESOURCE_EXHAUSTED`: more at once than this server takes (X-08).
pub fn resource_exhausted(retry_after: Duration) -> Status {
    Failure::new(Code::ResourceExhausted, Reason::Overloaded, "too many calls at once")
        .retry_after(retry_after)
        .into_status()
}

/// `UNAVAILABLE`: the database cannot be reached.
pub fn store_unavailable(retry_after: Duration) -> Status {
    Failure::new(Code::Unavailable, Reason::StoreUnavailable, "the database cannot be reached")
        .retry_after(retry_after)
        .into_status()
}

/// `UNAVAILABLE`: the answer needs another context, which cannot be reached.
pub fn context_unavailable(context: &str, retry_after: Duration) -> Status {
    Failure::new(
        Code::Unavailable,
        Reason::ContextUnavailable,
        format!("the {context} context cannot be reached"),
    )
    .metadata("context", context)
    .retry_after(retry_after)
    .into_status()
}

/// `UNAVAILABLE`: the context has begun to start and does not answer yet.
pub fn context_starting(context: &str, retry_after: Duration) -> Status {
    Failure::new(
        Code::Unavailable,
        Reason::ContextUnavailable,
        format!("the {context} context is starting"),
    )
    .metadata("context", context)
    .retry_after(retry_after)
    .into_status()
}

/// `DEADLINE_EXCEEDED`: the time that the caller gave is over.
pub fn deadline_exceeded() -> Status {
    Failure::new(
        Code::DeadlineExceeded,
        Reason::DeadlineExceeded,
        "the call's deadline has passed; retrying with the same request_id is safe",
    )
    .into_status()
}

/// `INTERNAL`: a defect. The cause is logged under an incident number; the caller learns the number only.
pub fn internal(cause: &(impl fmt::Display + ?Sized)) -> Status {
    let incident = u64::from_be_bytes(kefu_clock::random_bytes());
    let incident = format!("{incident:016x}");
    tracing::error!(incident = incident.as_str(), cause = %cause, "internal error");
    Failure::new(
        Code::Internal,
        Reason::Internal,
        format!("internal error; our log has more under incident {incident}"),
    )
    .metadata("incident", incident)
    .into_status()
}

#[cfg(test)]
mod tests {
    use tonic_types::StatusExt as _;

    use super::*;

    #[test]
    fn x06_an_internal_error_tells_a_number_and_no_cause() {
        let status = internal("connection to db-7.internal refused for role kefu_ticket");
        assert_eq!(status.code(), Code::Internal);
        let wire = format!("{:?} {:?}", status.message(), status.details());
        assert!(!wire.contains("db-7") && !wire.contains("kefu_ticket"), "{wire}");
        let info = status.get_details_error_info().unwrap();
        assert_eq!((info.reason.as_str(), info.domain.as_str()), ("INTERNAL", DOMAIN));
        assert!(status.message().contains(&info.metadata["incident"]));
    }

    #[test]
    fn x03_a_stale_etag_is_answered_with_the_current_one() {
        let status = aborted_stale_etag("r8");
        assert_eq!(status.code(), Code::Aborted);
        assert_eq!(status.get_details_error_info().unwrap().metadata["current_etag"], "r8");
    }

    #[test]
    fn x08_an_overloaded_server_says_when_to_come_back() {
        let status = resource_exhausted(Duration::from_millis(250));
        assert_eq!(status.code(), Code::ResourceExhausted);
        let retry = status.get_details_retry_info().unwrap();
        assert_eq!(retry.retry_delay, Some(Duration::from_millis(250)));
    }

    #[test]
    fn x06_a_failed_precondition_names_everything_missing() {
        let missing = ["A", "B"]
            .map(|kind| Precondition::new(kind, "tickets/1", "do it first", format!("先做{kind}")));
        let refused = |language| {
            Failure::new(Code::FailedPrecondition, Reason::IllegalState, "not yet")
                .preconditions(language, missing.clone())
                .into_status()
        };
        for (language, told) in
            [(Language::English, None), (Language::Chinese, Some("先做A；先做B".to_owned()))]
        {
            let status = refused(language);
            let violations = status.get_details_precondition_failure().unwrap().violations;
            assert_eq!(violations.len(), 2);
            assert!(violations.iter().all(|lack| lack.description == "do it first"));
            let localized = status.get_details_localized_message();
            assert_eq!(localized.map(|localized| localized.message), told);
        }
    }

    #[test]
    fn x09_of_too_much_that_is_missing_the_words_for_people_are_cut_last() {
        let missing = |count: usize| {
            (0..count).map(|index| {
                let chinese = format!("第 {index} 项文件尚未登记，请补充");
                Precondition::new("DOCUMENT", format!("document-{index}"), "is missing", chinese)
            })
        };
        for (count, is_counted, is_cut) in
            [(5, false, false), (60, false, true), (2_000, true, true)]
        {
            let status = Failure::new(Code::FailedPrecondition, Reason::IllegalState, "not yet")
                .metadata("command", "ResolveTicket")
                .preconditions(Language::Chinese, missing(count))
                .into_status();
            assert!(status.details().len() <= MAX_DETAILS, "{}", status.details().len());
            let listed = status.get_details_precondition_failure().unwrap().violations.len();
            let info = status.get_details_error_info().unwrap();
            let more = info.metadata.get("preconditions_not_listed");
            let more = more.map_or(0, |more| more.parse().unwrap());
            assert_eq!((listed + more, more > 0), (count, is_counted));
            let told = status.get_details_localized_message().unwrap().message;
            assert!(told.starts_with("第 0 项文件尚未登记，请补充；第 1 项"), "{told}");
            assert_eq!(told.ends_with("……"), is_cut, "{told}");
            assert!(!is_cut || told.len() > 1_000, "the room is used: {}", told.len());
        }
    }
}
