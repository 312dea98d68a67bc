//! `CustomerService`, and the customers in it. Contacts and standings are decoded in files of their own.

use std::mem::take;

use jiff::Timestamp;
use kefu_api::customer::v1 as pb;
use kefu_api::customer::v1::customer_service_server::CustomerService;
use kefu_rpc::{Mask, PageQuery, RequestContext, TextRule, Violations};
use tonic::{Request, Response, Status, async_trait};

use super::{Grpc, contact, page_size, standing, status::status, values};
use crate::{
    app::Call,
    domain::customer::{CustomerChanges, CustomerSize, CustomerType, LawfulBasis},
    encode::customer::resource,
};

/// The most contacts that are registered with a customer.
const MAX_FIRST_CONTACTS: usize = 20;
const MAX_PRODUCT_LINES: usize = 50;
const MAX_TAGS: usize = 50;
const CHANGEABLE: [&str; 12] = [
    "customer_type",
    "display_name",
    "short_name",
    "industry",
    "size",
    "address",
    "source_channel",
    "lawful_basis",
    "cooperation_start_date",
    "account_manager",
    "product_lines",
    "tags",
];

#[async_trait]
impl CustomerService for Grpc {
    async fn create_customer(
        &self,
        request: Request<pb::CreateCustomerRequest>,
    ) -> Result<Response<pb::Customer>, Status> {
        const METHOD: &str = "kefu.customer.v1.CustomerService/CreateCustomer";
        let context = RequestContext::of(&request);
        let mut request = request.into_inner();
        let mut violations = context.violations();
        let id = take(&mut request.request_id);
        let call = Call::of(&context, &mut violations, METHOD, &id, &request);
        let now = self.app.now();
        let customer = violations.required("customer", request.customer);
        let customer = customer.and_then(|customer| {
            violations.within("customer", |violations| {
                let org_unit = values::org_unit(violations, "org_unit", &customer.org_unit);
                let details = changes(violations, &customer, &Mask::All, now).complete();
                Some((org_unit?, details?))
            })
        });
        let mut contacts = Vec::with_capacity(request.contacts.len().min(MAX_FIRST_CONTACTS));
        if violations.at_most("contacts", request.contacts.len(), MAX_FIRST_CONTACTS) {
            for (index, contact) in request.contacts.iter().enumerate() {
                contacts.extend(violations.item("contacts", index, |violations| {
                    contact::changes(violations, contact, &Mask::All, now).complete()
                }));
            }
        }
        let (org_unit, details) = violations.finish(customer)?;
        let created = self.app.create_customer(&call, org_unit, details, contacts).await;
        created.map(Response::new).map_err(|error| status(&context, error))
    }

    async fn get_customer(
        &self,
        request: Request<pb::GetCustomerRequest>,
    ) -> Result<Response<pb::Customer>, Status> {
        let context = RequestContext::of(&request);
        let mut violations = context.violations();
        let id = values::customer_name(&mut violations, "name", &request.get_ref().name);
        let id = violations.finish(id)?;
        let found = self.app.get_customer(context.caller(), id).await;
        found.map(|found| Response::new(resource(&found))).map_err(|error| status(&context, error))
    }

    async fn list_customers(
        &self,
        request: Request<pb::ListCustomersRequest>,
    ) -> Result<Response<pb::ListCustomersResponse>, Status> {
        let context = RequestContext::of(&request);
        let request = request.into_inner();
        let mut violations = context.violations();
        let query =
            PageQuery::new("customer.ListCustomers").field(&request.org_unit).field(&request.code);
        let org_unit = values::org_unit(&mut violations, "org_unit", &request.org_unit);
        let size = page_size(&mut violations, request.page_size);
        let after = violations.page_token("page_token", &request.page_token, &query);
        let code = violations.text("code", &request.code, TextRule::line(100));
        let org_unit = violations.finish(org_unit)?;
        let code = Some(code.as_str()).filter(|code| !code.is_empty());
        let page = self.app.list_customers(context.caller(), &org_unit, code, after, size).await;
        let page = page.map_err(|error| status(&context, error))?;
        Ok(Response::new(pb::ListCustomersResponse {
            customers: page.items.iter().map(resource).collect(),
            next_page_token: page.next.map(|next| query.token(&next)).unwrap_or_default(),
        }))
    }

    async fn update_customer(
        &self,
        request: Request<pb::UpdateCustomerRequest>,
    ) -> Result<Response<pb::Customer>, Status> {
        const METHOD: &str = "kefu.customer.v1.CustomerService/UpdateCustomer";
        let context = RequestContext::of(&request);
        let mut request = request.into_inner();
        let mut violations = context.violations();
        let id = take(&mut request.request_id);
        let call = Call::of(&context, &mut violations, METHOD, &id, &request);
        let now = self.app.now();
        let mask = Mask::decode(&mut violations, request.update_mask, &CHANGEABLE);
        let customer = violations.required("customer", request.customer);
        let decoded = customer.and_then(|customer| {
            violations.within("customer", |violations| {
                let id = values::customer_name(violations, "name", &customer.name);
                let etag = violations.etag("etag", &customer.etag);
                let changes = changes(violations, &customer, &mask, now);
                Some((id?, changes, etag?))
            })
        });
        let (id, changes, etag) = violations.finish(decoded)?;
        let changed = self.app.update_customer(&call, id, changes, etag).await;
        changed.map(Response::new).map_err(|error| status(&context, error))
    }

    async fn create_contact(
        &self,
        request: Request<pb::CreateContactRequest>,
    ) -> Result<Response<pb::Contact>, Status> {
        contact::create(&self.app, request).await
    }

    async fn get_contact(
        &self,
        request: Request<pb::GetContactRequest>,
    ) -> Result<Response<pb::Contact>, Status> {
        contact::get(&self.app, request).await
    }

    async fn list_contacts(
        &self,
        request: Request<pb::ListContactsRequest>,
    ) -> Result<Response<pb::ListContactsResponse>, Status> {
        contact::list(&self.app, request).await
    }

    async fn update_contact(
        &self,
        request: Request<pb::UpdateContactRequest>,
    ) -> Result<Response<pb::Contact>, Status> {
        contact::update(&self.app, request).await
    }

    async fn set_standing(
        &self,
        request: Request<pb::SetStandingRequest>,
    ) -> Result<Response<pb::Standing>, Status> {
        standing::set(&self.app, request).await
    }

    async fn list_standings(
        &self,
        request: Request<pb::ListStandingsRequest>,
    ) -> Result<Response<pb::ListStandingsResponse>, Status> {
        standing::list(&self.app, request).await
    }
}

/// The fields that `mask` wants; those that are wrong are `None`, and named.
fn changes(
    violations: &mut Violations,
    customer: &pb::Customer,
    mask: &Mask,
    now: Timestamp,
) -> CustomerChanges {
    let mut line = |field: &str, value: &str, rule: TextRule| {
        mask.take(field, !value.is_empty(), || values::text(violations, field, value, rule))
    };
    let display_name = line("display_name", &customer.display_name, TextRule::line(200).required());
    let short_name = line("short_name", &customer.short_name, TextRule::line(100));
    let industry = line("industry", &customer.industry, TextRule::line(100));
    let address = line("address", &customer.address, TextRule::paragraphs(500));
    let source_channel = line("source_channel", &customer.source_channel, TextRule::line(100));
    let account_manager = line("account_manager", &customer.account_manager, TextRule::line(200));
    CustomerChanges {
        display_name,
        short_name,
        industry,
        address,
        source_channel,
        account_manager,
        customer_type: mask.take("customer_type", customer.customer_type != 0, || {
            violations.enumeration("customer_type", customer.customer_type).and_then(customer_type)
        }),
        size: mask.take("size", customer.size != 0, || {
            let size = violations.optional_enumeration("size", customer.size)?;
            Some(size.and_then(customer_size))
        }),
        lawful_basis: mask.take("lawful_basis", customer.lawful_basis != 0, || {
            violations.enumeration("lawful_basis", customer.lawful_basis).and_then(lawful_basis)
        }),
        cooperation_start_date: mask.take(
            "cooperation_start_date",
            !customer.cooperation_start_date.is_empty(),
            || {
                let date = &customer.cooperation_start_date;
                values::past_date(violations, "cooperation_start_date", date, now)
            },
        ),
        product_lines: mask.take("product_lines", !customer.product_lines.is_empty(), || {
            let lines = &customer.product_lines;
            values::list(violations, "product_lines", lines, MAX_PRODUCT_LINES, |line| {
                TextRule::line(100).required().apply(line)
            })
        }),
        tags: mask.take("tags", !customer.tags.is_empty(), || {
            values::list(violations, "tags", &customer.tags, MAX_TAGS, |tag| {
                TextRule::line(50).required().apply(tag)
            })
        }),
    }
}

fn customer_type(value: pb::CustomerType) -> Option<CustomerType> {
    match value {
        pb::CustomerType::Unspecified => None,
        pb::CustomerType::Organization => Some(CustomerType::Organization),
        pb::CustomerType::Person => Some(CustomerType::Person),
    }
}

fn customer_size(value: pb::CustomerSize) -> Option<CustomerSize> {
    match value {
        pb::CustomerSize::Unspecified => None,
        pb::CustomerSize::Large => Some(CustomerSize::Large),
        pb::CustomerSize::Medium => Some(CustomerSize::Medium),
        pb::CustomerSize::Small => Some(CustomerSize::Small),
        pb::CustomerSize::Individual => Some(CustomerSize::Individual),
    }
}

fn lawful_basis(value: pb::LawfulBasis) -> Option<LawfulBasis> {
    match value {
        pb::LawfulBasis::Unspecified => None,
        pb::LawfulBasis::Consent => Some(LawfulBasis::Consent),
        pb::LawfulBasis::Contract => Some(LawfulBasis::Contract),
        pb::LawfulBasis::LegalObligation => Some(LawfulBasis::LegalObligation),
        pb::LawfulBasis::LegitimateInterest => Some(LawfulBasis::LegitimateInterest),
    }
}
