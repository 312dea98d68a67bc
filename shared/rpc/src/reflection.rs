//! Reflection, so that a common client finds out what there is to call.

use tonic::service::Routes;
use tonic_reflection::server::{Builder, Error};

/// Adds reflection over the serialised descriptor sets, as v1 and as v1alpha, which is all that some common clients
/// speak.
///
/// # Errors
/// If a set cannot be decoded.
pub fn with_reflection<'a>(
    routes: Routes,
    sets: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Routes, Error> {
    let mut sets: Vec<&[u8]> = sets.into_iter().collect();
    sets.push(tonic_health::pb::FILE_DESCRIPTOR_SET);
    let builder = || {
        sets.iter().fold(Builder::configure(), |builder, set| {
            builder.register_encoded_file_descriptor_set(set)
        })
    };
    Ok(routes.add_service(builder().build_v1()?).add_service(builder().build_v1alpha()?))
}
