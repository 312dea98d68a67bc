//! `kefu.ticket.v1.SavedViewService` (T-23).

use kefu_api::ticket::v1 as pb;
use kefu_api::ticket::v1::saved_view_service_server::SavedViewService;
use kefu_rpc::{Mask, PageQuery, RequestContext, TextRule};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::queue::{filter, order};
use super::status::status;
use super::{Grpc, page_size, values};
use crate::app::Call;
use crate::app::queue::Queue;
use crate::app::saved_view::{NewView, ViewChanges};
use crate::encode::saved_view as encode;

const TITLE: TextRule = TextRule::line(100).required();

#[tonic::async_trait]
impl SavedViewService for Grpc {
    async fn create_saved_view(
        &self,
        request: Request<pb::CreateSavedViewRequest>,
    ) -> Result<Response<pb::SavedView>, Status> {
        const METHOD: &str = "kefu.ticket.v1.SavedViewService/CreateSavedView";
        let context = RequestContext::of(&request);
        let mut message = request.into_inner();
        let request_id = std::mem::take(&mut message.request_id);
        let mut violations = context.violations();
        let call = Call::of(&context, &mut violations, METHOD, &request_id, &message);
        // A message without a view lacks each of its fields: all of them are named.
        let view = message.saved_view.unwrap_or_default();
        let new = violations.within("saved_view", |violations| {
            let org_unit = values::org_unit(violations, "org_unit", &view.org_unit);
            let title = violations.take("title", TITLE.apply(&view.title));
            let filter = filter(violations, "filter", &view.filter);
            let order = order(violations, "order", view.order);
            Some(NewView {
                org_unit: org_unit?,
                title: title?,
                shared: view.shared,
                queue: Queue { filter: filter?, order: order? },
            })
        });
        let new = violations.finish(new)?;
        let answer = self.app.create_saved_view(&call, new).await;
        answer.map(Response::new).map_err(|error| status(&context, error))
    }

    async fn get_saved_view(
        &self,
        request: Request<pb::GetSavedViewRequest>,
    ) -> Result<Response<pb::SavedView>, Status> {
        let context = RequestContext::of(&request);
        let mut violations = context.violations();
        let id = violations.resource_id("name", &request.get_ref().name, "savedViews");
        let id = violations.finish(id)?;
        let view = self.app.get_saved_view(context.caller(), id).await;
        let view = view.map_err(|error| status(&context, error))?;
        Ok(Response::new(encode::resource(&view)))
    }

    async fn list_saved_views(
        &self,
        request: Request<pb::ListSavedViewsRequest>,
    ) -> Result<Response<pb::ListSavedViewsResponse>, Status> {
        let context = RequestContext::of(&request);
        let message = request.into_inner();
        let mut violations = context.violations();
        let org_unit = values::org_unit(&mut violations, "org_unit", &message.org_unit);
        let size = page_size(&mut violations, message.page_size);
        let query = PageQuery::new("ticket.ListSavedViews").field(&message.org_unit);
        let after: Option<Uuid> = violations.page_token("page_token", &message.page_token, &query);
        let org_unit = violations.finish(org_unit)?;
        let page = self.app.list_saved_views(context.caller(), &org_unit, after, size).await;
        let page = page.map_err(|error| status(&context, error))?;
        Ok(Response::new(pb::ListSavedViewsResponse {
            saved_views: page.items.iter().map(encode::resource).collect(),
            next_page_token: page.next.map(|next| query.token(&next)).unwrap_or_default(),
        }))
    }

    async fn update_saved_view(
        &self,
        request: Request<pb::UpdateSavedViewRequest>,
    ) -> Result<Response<pb::SavedView>, Status> {
        const METHOD: &str = "kefu.ticket.v1.SavedViewService/UpdateSavedView";
        let context = RequestContext::of(&request);
        let mut message = request.into_inner();
        let request_id = std::mem::take(&mut message.request_id);
        let mut violations = context.violations();
        let call = Call::of(&context, &mut violations, METHOD, &request_id, &message);
        let mask = message.update_mask.take();
        let mask = Mask::decode(&mut violations, mask, &["title", "shared", "filter", "order"]);
        let view = violations.required("saved_view", message.saved_view.as_ref());
        let decoded = view.and_then(|view| {
            violations.within("saved_view", |violations| {
                let id = violations.resource_id("name", &view.name, "savedViews");
                let etag = violations.etag("etag", &view.etag);
                let changes = ViewChanges {
                    title: mask.take("title", !view.title.is_empty(), || {
                        violations.take("title", TITLE.apply(&view.title))
                    }),
                    shared: mask.take("shared", view.shared, || Some(view.shared)),
                    filter: mask.take("filter", !view.filter.is_empty(), || {
                        filter(violations, "filter", &view.filter)
                    }),
                    order: mask
                        .take("order", view.order != 0, || order(violations, "order", view.order)),
                };
                Some((id?, etag?, changes))
            })
        });
        let (id, etag, changes) = violations.finish(decoded)?;
        let answer = self.app.update_saved_view(&call, id, etag, changes).await;
        answer.map(Response::new).map_err(|error| status(&context, error))
    }

    async fn delete_saved_view(
        &self,
        request: Request<pb::DeleteSavedViewRequest>,
    ) -> Result<Response<()>, Status> {
        const METHOD: &str = "kefu.ticket.v1.SavedViewService/DeleteSavedView";
        let context = RequestContext::of(&request);
        let mut message = request.into_inner();
        let request_id = std::mem::take(&mut message.request_id);
        let mut violations = context.violations();
        let call = Call::of(&context, &mut violations, METHOD, &request_id, &message);
        let id = violations.resource_id("name", &message.name, "savedViews");
        let etag = violations.etag("etag", &message.etag);
        let (id, etag) = violations.finish(id.zip(etag))?;
        let answer = self.app.delete_saved_view(&call, id, etag).await;
        answer.map(Response::new).map_err(|error| status(&context, error))
    }
}
