//! `OrgUnitService`.

use std::mem::take;

use kefu_api::customer::v1::{
    CreateOrgUnitRequest, GetOrgUnitRequest, ListOrgUnitsRequest, ListOrgUnitsResponse, OrgUnit,
    UpdateOrgUnitRequest, org_unit_service_server::OrgUnitService,
};
use kefu_identity::OrgUnit as Path;
use kefu_policy::decode::localized_text;
use kefu_rpc::{Fault, Mask, PageQuery, RequestContext, Violations};
use tonic::{Request, Response, Status, async_trait};

use super::{Grpc, page_size, status::status, values};
use crate::app::Call;
use crate::encode::org_unit::resource;

/// The longest title, in characters.
const MAX_TITLE: usize = 100;
const CHANGEABLE: [&str; 1] = ["title"];

#[async_trait]
impl OrgUnitService for Grpc {
    async fn create_org_unit(
        &self,
        request: Request<CreateOrgUnitRequest>,
    ) -> Result<Response<OrgUnit>, Status> {
        const METHOD: &str = "kefu.customer.v1.OrgUnitService/CreateOrgUnit";
        let context = RequestContext::of(&request);
        let mut request = request.into_inner();
        let mut violations = context.violations();
        let id = take(&mut request.request_id);
        let call = Call::of(&context, &mut violations, METHOD, &id, &request);
        let unit = violations.required("org_unit", request.org_unit);
        let decoded = unit.and_then(|unit| {
            violations.within("org_unit", |violations| {
                let path = values::org_unit(violations, "path", &unit.path);
                let title = localized_text(violations, "title", unit.title.as_ref(), MAX_TITLE);
                Some((path?, title?))
            })
        });
        let (path, title) = violations.finish(decoded)?;
        let created = self.app.create_org_unit(&call, path, title).await;
        created.map(Response::new).map_err(|error| status(&context, error))
    }

    async fn get_org_unit(
        &self,
        request: Request<GetOrgUnitRequest>,
    ) -> Result<Response<OrgUnit>, Status> {
        let context = RequestContext::of(&request);
        let mut violations = context.violations();
        let path = name(&mut violations, "name", &request.get_ref().name);
        let path = violations.finish(path)?;
        let found = self.app.get_org_unit(context.caller(), &path).await;
        found.map(|unit| Response::new(resource(&unit))).map_err(|error| status(&context, error))
    }

    async fn list_org_units(
        &self,
        request: Request<ListOrgUnitsRequest>,
    ) -> Result<Response<ListOrgUnitsResponse>, Status> {
        let context = RequestContext::of(&request);
        let request = request.into_inner();
        let mut violations = context.violations();
        let query = PageQuery::new("customer.ListOrgUnits").field(&request.org_unit);
        let root = values::org_unit(&mut violations, "org_unit", &request.org_unit);
        let size = page_size(&mut violations, request.page_size);
        let after = violations.page_token("page_token", &request.page_token, &query);
        let root = violations.finish(root)?;
        let page = self.app.list_org_units(context.caller(), &root, after, size).await;
        let page = page.map_err(|error| status(&context, error))?;
        Ok(Response::new(ListOrgUnitsResponse {
            org_units: page.items.iter().map(resource).collect(),
            next_page_token: page.next.map(|next| query.token(&next)).unwrap_or_default(),
        }))
    }

    async fn update_org_unit(
        &self,
        request: Request<UpdateOrgUnitRequest>,
    ) -> Result<Response<OrgUnit>, Status> {
        const METHOD: &str = "kefu.customer.v1.OrgUnitService/UpdateOrgUnit";
        let context = RequestContext::of(&request);
        let mut request = request.into_inner();
        let mut violations = context.violations();
        let id = take(&mut request.request_id);
        let call = Call::of(&context, &mut violations, METHOD, &id, &request);
        let mask = Mask::decode(&mut violations, request.update_mask, &CHANGEABLE);
        let unit = violations.required("org_unit", request.org_unit);
        let decoded = unit.and_then(|unit| {
            violations.within("org_unit", |violations| {
                let path = name(violations, "name", &unit.name);
                let etag = violations.etag("etag", &unit.etag);
                let title = mask.take("title", unit.title.is_some(), || {
                    localized_text(violations, "title", unit.title.as_ref(), MAX_TITLE)
                });
                Some((path?, title, etag?))
            })
        });
        let (path, title, etag) = violations.finish(decoded)?;
        let changed = self.app.update_org_unit(&call, &path, title, etag).await;
        changed.map(Response::new).map_err(|error| status(&context, error))
    }
}

/// `orgUnits/{path}`.
fn name(violations: &mut Violations, field: &str, name: &str) -> Option<Path> {
    if name.is_empty() {
        violations.add(field, Fault::required());
        return None;
    }
    let path = name.strip_prefix("orgUnits/").and_then(|path| path.parse().ok());
    if path.is_none() {
        violations.add(
            field,
            Fault::malformed("a name of the form orgUnits/PATH", "形如 orgUnits/路径 的名称"),
        );
    }
    path
}
