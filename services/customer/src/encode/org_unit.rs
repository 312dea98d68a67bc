//! Org units as others see them.

use kefu_api::customer::v1 as pb;
use kefu_identity::OrgUnit as Path;
use kefu_journal::PublicEvent;
use kefu_policy::decode::to_localized_text;
use kefu_rpc::to_proto_timestamp;

use crate::domain::org_unit::OrgUnit;

/// `orgUnits/{path}`.
pub fn name(path: &Path) -> String {
    format!("orgUnits/{path}")
}

/// The resource.
pub fn resource(unit: &OrgUnit) -> pb::OrgUnit {
    pb::OrgUnit {
        name: name(&unit.path),
        path: unit.path.to_string(),
        title: Some(to_localized_text(&unit.title)),
        create_time: Some(to_proto_timestamp(unit.created_at)),
        update_time: Some(to_proto_timestamp(unit.updated_at)),
        etag: super::etag(unit.revision),
    }
}

/// What the other contexts learn of it.
pub fn event(unit: &OrgUnit) -> PublicEvent {
    PublicEvent::of(&pb::OrgUnitChanged {
        path: unit.path.to_string(),
        title: Some(to_localized_text(&unit.title)),
    })
}
