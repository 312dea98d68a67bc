//! `kefu.ticket.v1.SuggestionService` (T-21).

use std::collections::BTreeSet;

use kefu_api::ticket::v1 as pb;
use kefu_api::ticket::v1::suggestion_service_server::SuggestionService;
use kefu_rpc::{Fault, PageQuery, RequestContext, TextRule, Violations};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::status::status;
use super::{Grpc, Target, decode, page_size, text, values};
use crate::app::addressee::Addressee;
use crate::app::suggestion::NewSuggestion;
use crate::domain::SuggestionState;
use crate::encode::suggestion as encode;
use crate::store::suggestion::SuggestionQuery;

/// The most tickets of one suggestion.
const MAX_TICKETS: usize = 20;
const COLLECTION: &str = "suggestions";
const TITLE: TextRule = TextRule::line(200).required();
const TEXT: TextRule = TextRule::paragraphs(5_000).required();
const REASON: TextRule = TextRule::paragraphs(2_000).required();
const STAFF: TextRule = TextRule::line(200);

#[tonic::async_trait]
impl SuggestionService for Grpc {
    async fn submit_suggestion(
        &self,
        request: Request<pb::SubmitSuggestionRequest>,
    ) -> Result<Response<pb::Suggestion>, Status> {
        creation!(request, "SuggestionService" / "SubmitSuggestion", suggestion by fresh, |call, new| {
            self.app.submit_suggestion(&call, new)
        })
    }

    async fn get_suggestion(
        &self,
        request: Request<pb::GetSuggestionRequest>,
    ) -> Result<Response<pb::Suggestion>, Status> {
        let context = RequestContext::of(&request);
        let mut violations = context.violations();
        let id = violations.resource_id("name", &request.get_ref().name, COLLECTION);
        let id = violations.finish(id)?;
        let answer = self.app.get_suggestion(context.caller(), id).await;
        answer.map(Response::new).map_err(|error| status(&context, error))
    }

    async fn list_suggestions(
        &self,
        request: Request<pb::ListSuggestionsRequest>,
    ) -> Result<Response<pb::ListSuggestionsResponse>, Status> {
        let context = RequestContext::of(&request);
        let message = request.into_inner();
        let mut violations = context.violations();
        let org_unit = values::org_unit(&mut violations, "org_unit", &message.org_unit);
        let size = page_size(&mut violations, message.page_size);
        let proposer = violations.text("proposer", &message.proposer, STAFF);
        let decision_maker = violations.text("decision_maker", &message.decision_maker, STAFF);
        let query = PageQuery::new("ticket.ListSuggestions")
            .field(&message.org_unit)
            .field(&message.proposer)
            .field(&message.decision_maker)
            .field([u8::from(message.overdue)]);
        let (query, states) =
            decode::states(&mut violations, query, &message.states, suggestion_state);
        let after = decode::after(&mut violations, &message.page_token, &query);
        let org_unit = violations.finish(org_unit)?;
        let given = |text: String| Some(text).filter(|text| !text.is_empty());
        let asked = SuggestionQuery {
            org_unit: org_unit.to_string(),
            states,
            proposer: given(proposer),
            decision_makers: None,
            overdue: message.overdue,
            now: self.app.now(),
            after,
            limit: 0,
        };
        let asked = (asked, Addressee::named(decision_maker));
        let page = self.app.list_suggestions(context.caller(), &org_unit, asked, size).await;
        let page = page.map_err(|error| status(&context, error))?;
        Ok(Response::new(pb::ListSuggestionsResponse {
            suggestions: page.items.iter().map(encode::resource).collect(),
            next_page_token: decode::next(&query, page.next),
        }))
    }

    async fn decide_suggestion(
        &self,
        request: Request<pb::DecideSuggestionRequest>,
    ) -> Result<Response<pb::Suggestion>, Status> {
        named_command!(
            request, "SuggestionService" / "DecideSuggestion" of COLLECTION,
            |violations, message| {
                let outcome = violations.enumeration("outcome", message.outcome);
                let outcome = outcome.and_then(suggestion_state);
                let reason = text(&mut violations, "reason", &message.reason, REASON);
                let until = violations.optional_time("defer_until_time", message.defer_until_time);
                outcome.zip(reason).zip(until)
            },
            |target, ((outcome, reason), until)| {
                let Target { call, id, etag } = &target;
                self.app.decide_suggestion(call, *id, *etag, (outcome, reason, until))
            }
        )
    }
}

fn fresh(violations: &mut Violations, suggestion: &pb::Suggestion) -> Option<NewSuggestion> {
    let org_unit = values::org_unit(violations, "org_unit", &suggestion.org_unit);
    let tickets = tickets(violations, &suggestion.tickets);
    let title = text(violations, "title", &suggestion.title, TITLE);
    let body = text(violations, "text", &suggestion.text, TEXT);
    let maker = text(violations, "decision_maker", &suggestion.decision_maker, STAFF.required());
    Some(NewSuggestion {
        org_unit: org_unit?,
        tickets: tickets?,
        title: title?,
        body: body?,
        decision_maker: maker?.into(),
    })
}

/// At least one, each once.
fn tickets(violations: &mut Violations, names: &[String]) -> Option<Vec<Uuid>> {
    if names.is_empty() {
        violations.add("tickets", Fault::required());
        return None;
    }
    if !violations.at_most("tickets", names.len(), MAX_TICKETS) {
        return None;
    }
    let mut known = BTreeSet::new();
    let mut ids = Vec::with_capacity(names.len());
    for (index, name) in names.iter().enumerate() {
        let field = format!("tickets[{index}]");
        let id = violations.resource_id(&field, name, "tickets");
        if let Some(id) = id
            && !known.insert(id)
        {
            violations.add(&field, Fault::new("GIVEN_TWICE", "is given twice", "重复"));
        }
        ids.push(id);
    }
    ids.into_iter().collect()
}

fn suggestion_state(state: pb::SuggestionState) -> Option<SuggestionState> {
    Some(match state {
        pb::SuggestionState::Unspecified => return None,
        pb::SuggestionState::Submitted => SuggestionState::Submitted,
        pb::SuggestionState::Accepted => SuggestionState::Accepted,
        pb::SuggestionState::Rejected => SuggestionState::Rejected,
        pb::SuggestionState::Deferred => SuggestionState::Deferred,
    })
}
