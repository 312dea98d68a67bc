//! One section: read in its time, or said why not.

use std::time::Duration;

use kefu_api::gateway::v1::{
    ArchiveSection, SectionAvailability, SectionStatus, SurveySection, TicketSection,
};
use kefu_clock::Clock;
use kefu_rpc::Language;
use prost::Message;
use tonic::{Code, Status};

use super::copies::{Copies, Key};

/// A section of an aggregate.
pub(super) trait Section: Message + Clone + Default {
    fn with_status(self, status: SectionStatus) -> Self;
}

impl Section for ArchiveSection {
    fn with_status(self, status: SectionStatus) -> Self {
        Self { status: Some(status), ..self }
    }
}

impl Section for TicketSection {
    fn with_status(self, status: SectionStatus) -> Self {
        Self { status: Some(status), ..self }
    }
}

impl Section for SurveySection {
    fn with_status(self, status: SectionStatus) -> Self {
        Self { status: Some(status), ..self }
    }
}

/// Reads sections for one caller.
pub(super) struct Reader<'a> {
    pub(super) clock: &'a dyn Clock,
    pub(super) language: Language,
    pub(super) share: Duration,
    pub(super) key: Key,
}

impl Reader<'_> {
    /// The section from its context, or the last known copy if the context does not answer. What the caller may not see
    /// it does not get from a copy either.
    ///
    /// # Errors
    /// Only what concerns the whole call: `fatal`, and a token that the context does not believe.
    pub(super) async fn read<T: Section>(
        &self,
        context: &str,
        copies: &Copies<T>,
        fatal: Option<Code>,
        reading: impl Future<Output = Result<T, Status>>,
    ) -> Result<T, Status> {
        let read = match tokio::time::timeout(self.share, reading).await {
            Ok(read) => read,
            Err(_) => Err(kefu_rpc::deadline_exceeded()),
        };
        let now = self.clock.now();
        let status = match read {
            Ok(section) => {
                copies.keep(&self.key, now, section.clone());
                return Ok(section.with_status(SectionStatus {
                    availability: SectionAvailability::Available.into(),
                    message: String::new(),
                    as_of_time: Some(kefu_rpc::to_proto_timestamp(now)),
                }));
            }
            Err(status) => status,
        };
        if status.code() == Code::Unauthenticated || Some(status.code()) == fatal {
            return Err(status);
        }
        if status.code() == Code::PermissionDenied {
            copies.forget(&self.key);
            return Ok(T::default().with_status(SectionStatus {
                availability: SectionAvailability::Denied.into(),
                message: self.say("you may not see this section", "您无权查看此部分"),
                as_of_time: None,
            }));
        }
        tracing::info!(context, code = ?status.code(), "a section could not be read");
        let late = status.code() == Code::DeadlineExceeded;
        Ok(match copies.get(&self.key, now) {
            Some(copy) => copy.section.clone().with_status(SectionStatus {
                availability: SectionAvailability::Stale.into(),
                message: self.excuse(context, late),
                as_of_time: Some(kefu_rpc::to_proto_timestamp(copy.at)),
            }),
            None => T::default().with_status(SectionStatus {
                availability: SectionAvailability::Unavailable.into(),
                message: self.excuse(context, late),
                as_of_time: None,
            }),
        })
    }

    fn excuse(&self, context: &str, late: bool) -> String {
        if late {
            self.say(
                &format!("the {context} context did not answer in time"),
                &format!("{context} 服务未能及时响应"),
            )
        } else {
            self.say(
                &format!("the {context} context cannot answer now"),
                &format!("{context} 服务暂时不可用"),
            )
        }
    }

    fn say(&self, english: &str, chinese: &str) -> String {
        match self.language {
            Language::English => english.to_owned(),
            Language::Chinese => chinese.to_owned(),
        }
    }
}
