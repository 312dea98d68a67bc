//! `kefu.ticket.v1.QueueService` (T-23).

use kefu_api::ticket::v1 as pb;
use kefu_api::ticket::v1::queue_service_server::QueueService;
use kefu_identity::OrgUnit;
use kefu_rpc::{Fault, PageQuery, RequestContext, TextRule, Violations, to_proto_timestamp};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::status::status;
use super::{Grpc, page_size, values};
use crate::app::listing::View;
use crate::app::queue::{Queue, QueueCursor, QueueItem, filter_fault};
use crate::domain::{MAX_WORDS, QueueOrder, SearchQuery, TicketFilter};
use crate::encode::ticket as encode;

/// What is searched for.
const QUERY: TextRule = TextRule::line(200).required();
/// The most hits of one page.
const HITS: i32 = 100;
/// The most values that are told of a count.
const MAX_COUNTS: usize = 100;

/// A cursor as tokens have it: turn, whether in the part of those that moved, and the place.
type Token = (i64, bool, i64, i64, Uuid);

pub(super) fn filter(violations: &mut Violations, field: &str, text: &str) -> Option<TicketFilter> {
    violations.take(field, TicketFilter::read(text).map_err(|fault| filter_fault(&fault)))
}

/// Unspecified stands for the order by deadline.
pub(super) fn order(violations: &mut Violations, field: &str, order: i32) -> Option<QueueOrder> {
    let order: Option<pb::QueueOrder> = violations.optional_enumeration(field, order)?;
    Some(match order {
        Some(pb::QueueOrder::Priority) => QueueOrder::Priority,
        Some(pb::QueueOrder::Newest) => QueueOrder::Newest,
        _ => QueueOrder::DueTime,
    })
}

/// Unspecified stands for whole tickets.
pub(super) fn view(violations: &mut Violations, field: &str, view: i32) -> Option<View> {
    let view: Option<pb::TicketView> = violations.optional_enumeration(field, view)?;
    Some(match view {
        Some(pb::TicketView::Basic) => View::Basic,
        _ => View::Full,
    })
}

/// The field by which is counted, under its name in the filter language.
fn group(violations: &mut Violations, field: &str, group: i32) -> Option<&'static str> {
    let group: Option<pb::QueueGroup> = violations.optional_enumeration(field, group)?;
    Some(match group.unwrap_or_default() {
        pb::QueueGroup::Unspecified => "",
        pb::QueueGroup::State => "state",
        pb::QueueGroup::Priority => "priority",
        pb::QueueGroup::Severity => "severity",
        pb::QueueGroup::OrgUnit => "org_unit",
        pb::QueueGroup::Category => "category",
        pb::QueueGroup::Handler => "handler",
        pb::QueueGroup::FirstContactOwner => "first_contact_owner",
        pb::QueueGroup::Clock => "clock",
        pb::QueueGroup::Team => "team",
        pb::QueueGroup::Owner => "owner",
        pb::QueueGroup::CustomerGrade => "customer_grade",
    })
}

/// What a request says of a queue.
struct Asked {
    org_unit: Option<OrgUnit>,
    queue: Queue,
    view: Option<Uuid>,
}

/// Decodes it: an org unit with filter and order, or a view, which may have the org unit.
fn asked(
    violations: &mut Violations,
    (org_unit, view): (&str, &str),
    (filter, order): (&str, i32),
) -> Option<Asked> {
    let view = values::optional_id(violations, "saved_view", view, "savedViews");
    let filtered = self::filter(violations, "filter", filter);
    let ordered = self::order(violations, "order", order);
    let has_view = view != Some(None);
    let org_unit = if has_view && org_unit.is_empty() {
        Some(None)
    } else {
        values::org_unit(violations, "org_unit", org_unit).map(Some)
    };
    for (field, is_set) in [("filter", !filter.is_empty()), ("order", order != 0)] {
        if has_view && is_set {
            let fault = "must be empty where a saved view is named";
            violations.add(field, Fault::new("NOT_ALLOWED", fault, "指定已保存视图时不能填写"));
        }
    }
    let queue = Queue { filter: filtered?, order: ordered? };
    Some(Asked { org_unit: org_unit?, queue, view: view? })
}

impl Grpc {
    /// The queue that a request means, and where.
    async fn resolve(
        &self,
        context: &RequestContext,
        asked: Asked,
    ) -> Result<(OrgUnit, Queue), Status> {
        let Asked { org_unit, queue, view } = asked;
        let (own, queue) = match view {
            None => (None, queue),
            Some(id) => {
                let view = self.app.get_saved_view(context.caller(), id).await;
                let view = view.map_err(|error| status(context, error))?;
                let queue = Queue::of(&view).map_err(|error| status(context, error))?;
                (Some(view.org_unit), queue)
            }
        };
        let org_unit = match (org_unit, own) {
            (Some(org_unit), _) => org_unit,
            (None, own) => {
                let mut violations = context.violations();
                let own = values::org_unit(&mut violations, "org_unit", &own.unwrap_or_default());
                violations.finish(own)?
            }
        };
        Ok((org_unit, queue))
    }
}

#[tonic::async_trait]
impl QueueService for Grpc {
    async fn list_queue(
        &self,
        request: Request<pb::ListQueueRequest>,
    ) -> Result<Response<pb::ListQueueResponse>, Status> {
        let context = RequestContext::of(&request);
        let message = request.into_inner();
        let mut violations = context.violations();
        let size = page_size(&mut violations, message.page_size);
        let wanted = asked(
            &mut violations,
            (&message.org_unit, &message.saved_view),
            (&message.filter, message.order),
        );
        let view = view(&mut violations, "view", message.view);
        let (wanted, view) = violations.finish(wanted.zip(view))?;
        let (org_unit, queue) = self.resolve(&context, wanted).await?;
        let query = PageQuery::new("ticket.ListQueue")
            .field(org_unit.as_str())
            .field(&queue.filter.text)
            .field(queue.order.code());
        let mut violations = context.violations();
        let after: Option<Token> = violations.page_token("page_token", &message.page_token, &query);
        let after = after.map(|(turn, moved, key, created, id)| QueueCursor {
            turn,
            moved,
            place: (key, created, id),
        });
        violations.into_result()?;
        let told = (size, view);
        let page = self.app.list_queue(context.caller(), &org_unit, &queue, after, told).await;
        let page = page.map_err(|error| status(&context, error))?;
        let next = page.next.map(|QueueCursor { turn, moved, place: (key, created, id) }| {
            query.token(&(turn, moved, key, created, id))
        });
        Ok(Response::new(pb::ListQueueResponse {
            entries: page.items.iter().map(entry).collect(),
            next_page_token: next.unwrap_or_default(),
            fresh_time: Some(to_proto_timestamp(page.fresh)),
        }))
    }

    async fn count_queue(
        &self,
        request: Request<pb::CountQueueRequest>,
    ) -> Result<Response<pb::CountQueueResponse>, Status> {
        let context = RequestContext::of(&request);
        let message = request.into_inner();
        let mut violations = context.violations();
        let wanted =
            asked(&mut violations, (&message.org_unit, &message.saved_view), (&message.filter, 0));
        let group = group(&mut violations, "group_by", message.group_by);
        let (wanted, group) = violations.finish(wanted.zip(group))?;
        let (org_unit, queue) = self.resolve(&context, wanted).await?;
        let counted = self.app.count_queue(context.caller(), &org_unit, &queue.filter, group).await;
        let counted = counted.map_err(|error| status(&context, error))?;
        let number = |count: i64| i32::try_from(count).unwrap_or(i32::MAX);
        let total = counted.counts.iter().map(|(_, count)| count).sum();
        let counts = counted.counts.into_iter().take(MAX_COUNTS);
        Ok(Response::new(pb::CountQueueResponse {
            counts: counts
                .map(|(value, count)| pb::QueueCount { value, count: number(count) })
                .collect(),
            total: number(total),
            more: counted.more,
            fresh_time: Some(to_proto_timestamp(counted.fresh)),
        }))
    }

    async fn search_tickets(
        &self,
        request: Request<pb::SearchTicketsRequest>,
    ) -> Result<Response<pb::SearchTicketsResponse>, Status> {
        let context = RequestContext::of(&request);
        let message = request.into_inner();
        let mut violations = context.violations();
        let org_unit = values::org_unit(&mut violations, "org_unit", &message.org_unit);
        let size = page_size(&mut violations, message.page_size.min(HITS));
        let query = search(&mut violations, &message);
        let pages =
            PageQuery::new("ticket.SearchTickets").field(&message.org_unit).field(&message.query);
        let before: Option<i64> = violations.page_token("page_token", &message.page_token, &pages);
        let view = view(&mut violations, "view", message.view);
        let ((org_unit, query), view) = violations.finish(org_unit.zip(query).zip(view))?;
        let told = (size.min(HITS.unsigned_abs()), view);
        let found =
            self.app.search_tickets(context.caller(), &org_unit, &query, before, told).await;
        let found = found.map_err(|error| status(&context, error))?;
        Ok(Response::new(pb::SearchTicketsResponse {
            tickets: found.tickets.iter().map(encode::listed).collect(),
            next_page_token: found.next.map(|next| pages.token(&next)).unwrap_or_default(),
            fresh_time: Some(to_proto_timestamp(found.fresh)),
        }))
    }
}

fn entry(item: &QueueItem) -> pb::QueueEntry {
    pb::QueueEntry {
        ticket: Some(encode::listed(&item.ticket)),
        due_time: item.due.map(to_proto_timestamp),
        moved: item.moved,
    }
}

fn search(violations: &mut Violations, message: &pb::SearchTicketsRequest) -> Option<SearchQuery> {
    let text = violations.take("query", QUERY.apply(&message.query))?;
    let query = match SearchQuery::of(&text, &message.org_unit) {
        Ok(Some(query)) => Ok(query),
        Ok(None) => Err(Fault::new(
            "NOTHING_TO_SEARCH",
            "must have at least one letter or digit",
            "至少包含一个文字或数字",
        )),
        Err(words) => Err(Fault::too_many(MAX_WORDS, words)),
    };
    violations.take("query", query)
}
