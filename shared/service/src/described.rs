//! What reflection tells of a context: its own part of the API.

use std::collections::HashSet;

use prost::Message as _;
use prost_types::{FileDescriptorProto, FileDescriptorSet};

/// Packages that every context speaks of without serving them: the reasons of refusals.
const SPOKEN_OF: [&str; 1] = ["kefu.error.v1"];

/// The descriptors of the packages whose services are served here, with only these services, and of all that they import. What
/// others serve is left out: reflection keeps every name of what it is given in memory, twice, for as long as it runs.
///
/// # Errors
/// Never: the set was written by our own build.
pub(crate) fn descriptors_of(services: &[String]) -> Result<Vec<u8>, prost::DecodeError> {
    let mut set = FileDescriptorSet::decode(kefu_api::FILE_DESCRIPTOR_SET)?;
    for file in &mut set.file {
        let package = file.package().to_owned();
        file.service.retain(|service| services.contains(&format!("{package}.{}", service.name())));
    }
    let own: HashSet<&str> = set
        .file
        .iter()
        .filter(|file| !file.service.is_empty())
        .map(FileDescriptorProto::package)
        .chain(SPOKEN_OF)
        .collect();
    let mut wanted: HashSet<String> = HashSet::new();
    let mut open: Vec<&FileDescriptorProto> =
        set.file.iter().filter(|file| own.contains(file.package())).collect();
    while let Some(file) = open.pop() {
        if wanted.insert(file.name().to_owned()) {
            open.extend(
                set.file.iter().filter(|other| {
                    file.dependency.iter().any(|imported| imported == other.name())
                }),
            );
        }
    }
    set.file.retain(|file| wanted.contains(file.name()));
    Ok(set.encode_to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g01_a_context_describes_what_it_serves_and_all_that_it_needs_for_that() {
        let services = ["kefu.survey.v1.SurveyService", "kefu.feed.v1.FeedService"];
        let described = descriptors_of(&services.map(str::to_owned)).unwrap();
        let pool = prost_reflect::DescriptorPool::decode(&*described).unwrap();
        let mut served: Vec<_> =
            pool.services().map(|service| service.full_name().to_owned()).collect();
        served.sort();
        assert_eq!(served, ["kefu.feed.v1.FeedService", "kefu.survey.v1.SurveyService"]);
        for message in ["kefu.survey.v1.Questionnaire", "google.protobuf.Timestamp"] {
            assert!(pool.get_message_by_name(message).is_some(), "{message}");
        }
        assert!(pool.get_enum_by_name("kefu.error.v1.Reason").is_some());
        assert!(pool.get_message_by_name("kefu.ticket.v1.Ticket").is_none(), "others serve that");
    }
}
