//! `kefu.ticket.v1.TicketLinkService` (T-04).

use jiff::Timestamp;
use kefu_api::ticket::v1 as pb;
use kefu_api::ticket::v1::ticket_link_service_server::TicketLinkService;
use kefu_rpc::{Fault, PageQuery, RequestContext, TextRule, Violations};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::status::status;
use super::{Grpc, Target, delivery, page_size, text, values};
use crate::app::Error;
use crate::app::likeness::Asked;
use crate::app::mass_answer::Said;
use crate::domain::{LinkDraft, Matter, MessageTemplate, first_words, grams};
use crate::encode::link as encode;
use crate::encode::ticket;

const COLLECTION: &str = "tickets";
const SUBJECT: TextRule = TextRule::line(500);
const DESCRIPTION: TextRule = TextRule::paragraphs(20_000);
const LINE: TextRule = TextRule::line(200);

/// The rules of a policy as they were handed in; what is wrong with them the domain finds.
pub(super) fn rules(rules: Option<&pb::LinkRules>) -> LinkDraft {
    let Some(rules) = rules else { return LinkDraft::default() };
    LinkDraft {
        window_days: rules.duplicate_window_days,
        likeness_percent: rules.duplicate_likeness_percent,
        same_customer_is_enough: rules.same_customer_is_enough,
        most: rules.most_duplicates,
        across_customers: rules.merge_across_customers,
        unmerge_within_days: rules.unmerge_within_days,
        resolve_children: rules.resolve_children,
    }
}

/// Another ticket than the one that is named.
fn other(violations: &mut Violations, field: &str, value: &str, name: &str) -> Option<Uuid> {
    let id = violations.resource_id(field, value, COLLECTION);
    // By what is named: there are several ways to write the same UUID.
    let named = name.strip_prefix(COLLECTION).and_then(|rest| rest.strip_prefix('/'));
    let named = named.and_then(|named| Uuid::try_parse(named).ok());
    if id.is_some() && id == named {
        let fault = Fault::new("SAME_TICKET", "must be another ticket", "必须是另一张工单");
        violations.add(field, fault);
        return None;
    }
    id
}

/// What duplicates are looked for of: a ticket or a draft, and not both.
fn asked(
    violations: &mut Violations,
    message: &pb::ListLikelyDuplicatesRequest,
    now: Timestamp,
) -> Option<Asked> {
    let Some(draft) = &message.draft else {
        return violations.resource_id("ticket", &message.ticket, COLLECTION).map(Asked::Ticket);
    };
    if !message.ticket.is_empty() {
        let fault =
            Fault::new("NOT_ALLOWED", "must be empty with a draft", "填写草稿时不得填写工单");
        violations.add("ticket", fault);
    }
    violations.within("draft", |violations| {
        // Customer and contact are read as those of a ticket.
        let of = pb::Ticket {
            customer: draft.customer.clone(),
            contact: draft.contact.clone(),
            ..pb::Ticket::default()
        };
        let complainant = values::complainant(violations, &of);
        let subject = violations.text("subject", &draft.subject, SUBJECT);
        let description = violations.text("description", &draft.description, DESCRIPTION);
        let product = violations.text("product", &draft.product, LINE);
        let at = values::past_time(violations, "register_time", draft.register_time, now);
        let (customer, contact) = match complainant? {
            crate::domain::Complainant::Customer { customer, contact } => (Some(customer), contact),
            _ => (None, None),
        };
        let words = first_words(&subject, &description);
        if customer.is_none() && words.is_empty() {
            violations.add("subject", Fault::required());
        }
        let at = at?.unwrap_or(now);
        let grams = grams(&subject, &description);
        Some(Asked::Draft(Matter { customer, contact, product, grams, at }, words))
    })
}

#[tonic::async_trait]
impl TicketLinkService for Grpc {
    async fn list_likely_duplicates(
        &self,
        request: Request<pb::ListLikelyDuplicatesRequest>,
    ) -> Result<Response<pb::ListLikelyDuplicatesResponse>, Status> {
        let context = RequestContext::of(&request);
        let message = request.into_inner();
        let mut violations = context.violations();
        let org_unit = values::org_unit(&mut violations, "org_unit", &message.org_unit);
        let asked = asked(&mut violations, &message, self.app.now());
        let (org_unit, asked) = violations.finish(org_unit.zip(asked))?;
        let found = self.app.list_likely_duplicates(context.caller(), &org_unit, asked).await;
        let found = found.map_err(|error| status(&context, error))?;
        let duplicates = found.iter().map(|(ticket, likely)| encode::duplicate(ticket, likely));
        Ok(Response::new(pb::ListLikelyDuplicatesResponse { duplicates: duplicates.collect() }))
    }

    async fn merge_ticket(
        &self,
        request: Request<pb::MergeTicketRequest>,
    ) -> Result<Response<pb::Ticket>, Status> {
        named_command!(
            request, "TicketLinkService" / "MergeTicket" of COLLECTION,
            |violations, message| {
                let into = other(&mut violations, "into", &message.into, &message.name);
                let into = into.zip(violations.etag("into_etag", &message.into_etag));
                into.zip(text(&mut violations, "reason", &message.reason, values::REASON))
            },
            |target, (into, reason)| {
                let Target { call, id, etag } = &target;
                Box::pin(self.app.merge_ticket(call, (*id, *etag), into, reason))
            }
        )
    }

    async fn unmerge_ticket(
        &self,
        request: Request<pb::UnmergeTicketRequest>,
    ) -> Result<Response<pb::Ticket>, Status> {
        named_command!(
            request, "TicketLinkService" / "UnmergeTicket" of COLLECTION,
            |violations, message| {
                let reason = text(&mut violations, "reason", &message.reason, values::REASON);
                reason.zip(violations.etag("into_etag", &message.into_etag))
            },
            |target, (reason, of_other)| {
                let Target { call, id, etag } = &target;
                Box::pin(self.app.unmerge_ticket(call, (*id, *etag), of_other, reason))
            }
        )
    }

    async fn list_ticket_merges(
        &self,
        request: Request<pb::ListTicketMergesRequest>,
    ) -> Result<Response<pb::ListTicketMergesResponse>, Status> {
        let context = RequestContext::of(&request);
        let message = request.into_inner();
        let mut violations = context.violations();
        let id = violations.resource_id("parent", &message.parent, COLLECTION);
        let size = page_size(&mut violations, message.page_size);
        let query = PageQuery::new("ticket.ListTicketMerges").field(&message.parent);
        let before: Option<(i64, Uuid, i32)> =
            violations.page_token("page_token", &message.page_token, &query);
        let before = before
            .and_then(|(at, id, number)| Some((Timestamp::from_microsecond(at).ok()?, id, number)));
        let id = violations.finish(id)?;
        let page = self.app.list_ticket_merges(context.caller(), id, before, size).await;
        let page = page.map_err(|error| status(&context, error))?;
        let next =
            page.next.map(|(at, id, number)| query.token(&(at.as_microsecond(), id, number)));
        Ok(Response::new(pb::ListTicketMergesResponse {
            merges: page.items.iter().map(encode::merge).collect(),
            next_page_token: next.unwrap_or_default(),
        }))
    }

    async fn link_ticket(
        &self,
        request: Request<pb::LinkTicketRequest>,
    ) -> Result<Response<pb::Ticket>, Status> {
        named_command!(
            request, "TicketLinkService" / "LinkTicket" of COLLECTION,
            |violations, message| {
                let parent = other(&mut violations, "parent", &message.parent, &message.name);
                let parent = parent.zip(violations.etag("parent_etag", &message.parent_etag));
                parent.zip(delivery::route(&mut violations, message.delivery.as_ref()))
            },
            |target, (parent, route)| {
                let Target { call, id, etag } = &target;
                Box::pin(self.app.link_ticket(call, (*id, *etag), parent, route))
            }
        )
    }

    async fn unlink_ticket(
        &self,
        request: Request<pb::UnlinkTicketRequest>,
    ) -> Result<Response<pb::Ticket>, Status> {
        named_command!(
            request, "TicketLinkService" / "UnlinkTicket" of COLLECTION,
            |violations, message| {
                let reason = text(&mut violations, "reason", &message.reason, values::REASON);
                reason.zip(violations.etag("parent_etag", &message.parent_etag))
            },
            |target, (reason, of_parent)| {
                let Target { call, id, etag } = &target;
                Box::pin(self.app.unlink_ticket(call, (*id, *etag), of_parent, reason))
            }
        )
    }

    async fn list_child_tickets(
        &self,
        request: Request<pb::ListChildTicketsRequest>,
    ) -> Result<Response<pb::ListChildTicketsResponse>, Status> {
        let context = RequestContext::of(&request);
        let message = request.into_inner();
        let mut violations = context.violations();
        let id = violations.resource_id("parent", &message.parent, COLLECTION);
        let org_unit = values::org_unit(&mut violations, "org_unit", &message.org_unit);
        let size = page_size(&mut violations, message.page_size);
        let query = PageQuery::new("ticket.ListChildTickets");
        let query = query.field(&message.parent).field(&message.org_unit);
        let after: Option<Uuid> = violations.page_token("page_token", &message.page_token, &query);
        let (id, org_unit) = violations.finish(id.zip(org_unit))?;
        let page = self.app.list_child_tickets(context.caller(), id, &org_unit, after, size).await;
        let page = page.map_err(|error| status(&context, error))?;
        Ok(Response::new(pb::ListChildTicketsResponse {
            tickets: page.items.iter().map(ticket::resource).collect(),
            next_page_token: page.next.map(|next| query.token(&next)).unwrap_or_default(),
        }))
    }

    async fn answer_child_tickets(
        &self,
        request: Request<pb::AnswerChildTicketsRequest>,
    ) -> Result<Response<pb::MassAnswer>, Status> {
        named_command!(
            request, "TicketLinkService" / "AnswerChildTickets" of COLLECTION,
            |violations, message| {
                let route = delivery::route(&mut violations, message.delivery.as_ref());
                let said = text(&mut violations, "message", &message.message, values::LONG_TEXT);
                let wording = said.and_then(|text| wording(&mut violations, text));
                let overriding = message.override_forbidden_phrases;
                route
                    .zip(wording)
                    .map(|(route, (text, wording))| Said { text, wording, route, overriding })
            },
            |target, said| {
                let Target { call, id, etag } = &target;
                Box::pin(self.app.answer_child_tickets(call, (*id, *etag), said))
            }
        )
    }

    async fn resolve_child_tickets(
        &self,
        request: Request<pb::ResolveChildTicketsRequest>,
    ) -> Result<Response<pb::MassAnswer>, Status> {
        named_command!(
            request, "TicketLinkService" / "ResolveChildTickets" of COLLECTION,
            |violations, message| Some(()),
            |target, ()| self.app.resolve_child_tickets(&target.call, (target.id, target.etag))
        )
    }

    async fn list_mass_answers(
        &self,
        request: Request<pb::ListMassAnswersRequest>,
    ) -> Result<Response<pb::ListMassAnswersResponse>, Status> {
        let context = RequestContext::of(&request);
        let message = request.into_inner();
        let mut violations = context.violations();
        let id = violations.resource_id("parent", &message.parent, COLLECTION);
        let size = page_size(&mut violations, message.page_size);
        let query = PageQuery::new("ticket.ListMassAnswers").field(&message.parent);
        let before: Option<i32> = violations.page_token("page_token", &message.page_token, &query);
        let id = violations.finish(id)?;
        let page = self.app.list_mass_answers(context.caller(), id, before, size).await;
        let page = page.map_err(|error| status(&context, error))?;
        let answers: Result<Vec<_>, _> = page.items.iter().map(encode::mass_answer).collect();
        Ok(Response::new(pb::ListMassAnswersResponse {
            mass_answers: answers.map_err(|error| status(&context, Error::Store(error)))?,
            next_page_token: page.next.map(|next| query.token(&next)).unwrap_or_default(),
        }))
    }

    async fn list_mass_answer_results(
        &self,
        request: Request<pb::ListMassAnswerResultsRequest>,
    ) -> Result<Response<pb::ListMassAnswerResultsResponse>, Status> {
        let context = RequestContext::of(&request);
        let message = request.into_inner();
        let mut violations = context.violations();
        let id = violations.resource_id("parent", &message.parent, "massAnswers");
        let org_unit = values::org_unit(&mut violations, "org_unit", &message.org_unit);
        let size = page_size(&mut violations, message.page_size);
        let query = PageQuery::new("ticket.ListMassAnswerResults");
        let query = query.field(&message.parent).field(&message.org_unit);
        let after: Option<Uuid> = violations.page_token("page_token", &message.page_token, &query);
        let (id, org_unit) = violations.finish(id.zip(org_unit))?;
        let caller = context.caller();
        let page = self.app.list_mass_answer_results(caller, id, &org_unit, after, size).await;
        let page = page.map_err(|error| status(&context, error))?;
        let results: Result<Vec<_>, _> = page.items.iter().map(encode::result).collect();
        Ok(Response::new(pb::ListMassAnswerResultsResponse {
            results: results.map_err(|error| status(&context, Error::Store(error)))?,
            next_page_token: page.next.map(|next| query.token(&next)).unwrap_or_default(),
        }))
    }

    async fn list_missed_answers(
        &self,
        request: Request<pb::ListMissedAnswersRequest>,
    ) -> Result<Response<pb::ListMissedAnswersResponse>, Status> {
        let context = RequestContext::of(&request);
        let message = request.into_inner();
        let mut violations = context.violations();
        let id = violations.resource_id("parent", &message.parent, COLLECTION);
        let size = page_size(&mut violations, message.page_size);
        let query = PageQuery::new("ticket.ListMissedAnswers").field(&message.parent);
        let before: Option<i32> = violations.page_token("page_token", &message.page_token, &query);
        let id = violations.finish(id)?;
        let page = self.app.list_missed_answers(context.caller(), id, before, size).await;
        let page = page.map_err(|error| status(&context, error))?;
        let answers: Result<Vec<_>, _> = page.items.iter().map(encode::mass_answer).collect();
        Ok(Response::new(pb::ListMissedAnswersResponse {
            mass_answers: answers.map_err(|error| status(&context, Error::Store(error)))?,
            next_page_token: page.next.map(|next| query.token(&next)).unwrap_or_default(),
        }))
    }
}

/// A text with variables, with everything that is wrong with it.
fn wording(violations: &mut Violations, text: String) -> Option<(String, MessageTemplate)> {
    match MessageTemplate::free(&text) {
        Ok(wording) => Some((text, wording)),
        Err(faults) => {
            for fault in faults {
                let told = Fault::new(fault.reason, fault.description, fault.chinese);
                violations.add("message", told);
            }
            None
        }
    }
}
