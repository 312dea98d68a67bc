//! The generated API: messages, clients and servers of all contexts, made once from `proto/` and used by everybody.
//!
//! Modules mirror the proto packages: `kefu.ticket.v1` is [`ticket::v1`]. Whatever is served is also described, in
//! [`FILE_DESCRIPTOR_SET`] for reflection and in [`descriptor_pool`] for messages that are known only at run time, so that
//! neither can differ from the code.

#[allow(
    missing_docs,
    clippy::all,
    clippy::pedantic,
    unused_qualifications,
    reason = "generated code; its comments come from the proto files, where `buf lint` demands them"
)]
mod generated {
    tonic::include_proto!("mod");
}

pub use generated::kefu::*;

/// The serialised `FileDescriptorSet` of all packages with their imports, for reflection and dynamic messages.
pub const FILE_DESCRIPTOR_SET: &[u8] =
    include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.binpb"));

/// The same as a pool, decoded once: for reading policy files and for JSON.
///
/// # Panics
/// Never: the set was written by this crate's own build.
#[allow(clippy::expect_used, reason = "the set was written by this crate's own build")]
pub fn descriptor_pool() -> &'static prost_reflect::DescriptorPool {
    static POOL: std::sync::LazyLock<prost_reflect::DescriptorPool> =
        std::sync::LazyLock::new(|| {
            prost_reflect::DescriptorPool::decode(FILE_DESCRIPTOR_SET)
                .expect("the descriptor set of our own build decodes")
        });
    &POOL
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g01_every_service_is_described_for_reflection() {
        let pool = descriptor_pool();
        for name in [
            "kefu.customer.v1.CustomerService",
            "kefu.ticket.v1.TicketService",
            "kefu.survey.v1.SurveyService",
            "kefu.gateway.v1.GatewayService",
            "kefu.feed.v1.FeedService",
        ] {
            assert!(pool.get_service_by_name(name).is_some(), "{name}");
        }
    }
}
