//! Customers as others see them.

use kefu_api::customer::v1 as pb;
use kefu_journal::PublicEvent;
use kefu_rpc::to_proto_timestamp;
use uuid::Uuid;

use crate::domain::customer::{Customer, CustomerSize, CustomerType, LawfulBasis};

/// `customers/{uuid}`.
pub fn name(id: Uuid) -> String {
    format!("customers/{id}")
}

/// The resource.
pub fn resource(customer: &Customer) -> pb::Customer {
    let details = customer.details.clone();
    pb::Customer {
        name: name(customer.id),
        code: customer.code.clone(),
        org_unit: customer.org_unit.to_string(),
        customer_type: customer_type(details.customer_type).into(),
        display_name: details.display_name,
        short_name: details.short_name,
        industry: details.industry,
        size: details.size.map_or(pb::CustomerSize::Unspecified, size).into(),
        address: details.address,
        source_channel: details.source_channel,
        lawful_basis: lawful_basis(details.lawful_basis).into(),
        cooperation_start_date: super::date(details.cooperation_start_date),
        account_manager: details.account_manager,
        product_lines: details.product_lines,
        tags: details.tags,
        create_time: Some(to_proto_timestamp(customer.created_at)),
        update_time: Some(to_proto_timestamp(customer.updated_at)),
        etag: super::etag(customer.revision),
    }
}

/// What the other contexts learn of it.
pub fn event(customer: &Customer) -> PublicEvent {
    PublicEvent::of(&pb::CustomerChanged {
        customer: name(customer.id),
        code: customer.code.clone(),
        org_unit: customer.org_unit.to_string(),
        display_name: customer.details.display_name.clone(),
        account_manager: customer.details.account_manager.clone(),
    })
}

fn customer_type(value: CustomerType) -> pb::CustomerType {
    match value {
        CustomerType::Organization => pb::CustomerType::Organization,
        CustomerType::Person => pb::CustomerType::Person,
    }
}

fn size(value: CustomerSize) -> pb::CustomerSize {
    match value {
        CustomerSize::Large => pb::CustomerSize::Large,
        CustomerSize::Medium => pb::CustomerSize::Medium,
        CustomerSize::Small => pb::CustomerSize::Small,
        CustomerSize::Individual => pb::CustomerSize::Individual,
    }
}

fn lawful_basis(value: LawfulBasis) -> pb::LawfulBasis {
    match value {
        LawfulBasis::Consent => pb::LawfulBasis::Consent,
        LawfulBasis::Contract => pb::LawfulBasis::Contract,
        LawfulBasis::LegalObligation => pb::LawfulBasis::LegalObligation,
        LawfulBasis::LegitimateInterest => pb::LawfulBasis::LegitimateInterest,
    }
}
