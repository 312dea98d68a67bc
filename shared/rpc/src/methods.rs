//! Which methods exist, and which of them are streams.

use std::{collections::HashMap, sync::Arc};

use prost::Message as _;
use prost_types::FileDescriptorSet;

/// One method, by the names that may stand in metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Method {
    /// The full name of its service, such as `kefu.ticket.v1.TicketService`.
    pub service: String,
    /// Its name, such as `CreateTicket`.
    pub name: String,
    /// Whether either side sends more than one message. Streams have no deadline unless the caller sets one.
    pub streaming: bool,
}

/// The conventions' name for what is not in the known set.
const OTHER: &str = "_OTHER";

impl Method {
    /// Stands for all methods that are not in the known set. Such a method may be a stream, so it is treated as one that
    /// may be anything: see [`Method::is_known`].
    pub(crate) fn other() -> Self {
        Self { service: OTHER.to_owned(), name: OTHER.to_owned(), streaming: true }
    }

    /// Whether `streaming` says what the method is, and not only what it may be.
    pub(crate) fn is_known(&self) -> bool {
        self.service != OTHER
    }
}

/// The methods of a descriptor set, by the path of their calls.
///
/// A path that is not in here comes from a newer client or from nowhere. It is served if somebody serves it, but its
/// name does not get into metrics, where anybody could make as many as he likes.
#[derive(Clone, Debug, Default)]
pub struct Methods(Arc<HashMap<String, Arc<Method>>>);

impl Methods {
    /// The methods of the serialised `FileDescriptorSet`s, plus health and reflection.
    ///
    /// # Errors
    /// If a set cannot be decoded.
    pub fn from_descriptors<'a>(
        sets: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Self, prost::DecodeError> {
        let mut methods = HashMap::new();
        let own = [
            tonic_health::pb::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
        ];
        for set in own.into_iter().chain(sets) {
            for file in FileDescriptorSet::decode(set)?.file {
                for service in &file.service {
                    let service_name = format!("{}.{}", file.package(), service.name());
                    for method in &service.method {
                        let path = format!("/{service_name}/{}", method.name());
                        let method = Method {
                            service: service_name.clone(),
                            name: method.name().to_owned(),
                            streaming: method.client_streaming() || method.server_streaming(),
                        };
                        methods.insert(path, Arc::new(method));
                    }
                }
            }
        }
        Ok(Self(Arc::new(methods)))
    }

    /// The method that a path calls.
    pub fn get(&self, path: &str) -> Option<&Arc<Method>> {
        self.0.get(path)
    }

    /// The paths of all methods.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The names of all services.
    pub fn services(&self) -> impl Iterator<Item = &str> {
        let mut names: Vec<_> = self.0.values().map(|method| method.service.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        names.into_iter()
    }
}
