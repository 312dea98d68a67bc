//! T-21: suggestions go up to a named decision maker and come back with a decision.

use kefu_api::ticket::v1 as pb;
use kefu_identity::role;
use tonic::{Code, Response, Status};

use crate::pack::{policy, working_days};
use crate::world::{Desk, World, at, complaint, metadata, reason, request_id, violations};

type Answer = Result<pb::Suggestion, Status>;

/// For the director in charge.
pub fn suggestion(ticket: &str) -> pb::Suggestion {
    pb::Suggestion {
        org_unit: "group/north".into(),
        tickets: vec![ticket.into()],
        title: "入库检验增加密封圈硬度".into(),
        text: "三个月内七起漏水投诉均因密封圈过软".into(),
        decision_maker: "liu".into(),
        ..Default::default()
    }
}

/// A policy that gives two working days for a decision.
async fn prompt() -> World {
    let world = World::new().await;
    let mut prompt = policy();
    prompt.learning = Some(pb::LearningRules {
        suggestion_decision_within: working_days(2),
        ..Default::default()
    });
    world.admin().apply("group", prompt).await.unwrap();
    world
}

impl Desk {
    pub async fn suggest(&mut self, suggestion: pb::Suggestion) -> Answer {
        let request =
            pb::SubmitSuggestionRequest { suggestion: Some(suggestion), ..Default::default() };
        self.suggestions.submit_suggestion(request).await.map(Response::into_inner)
    }

    async fn suggestion(&mut self, name: &str) -> Answer {
        let request = pb::GetSuggestionRequest { name: name.into() };
        self.suggestions.get_suggestion(request).await.map(Response::into_inner)
    }

    async fn settle_suggestion(
        &mut self,
        name: &str,
        outcome: pb::SuggestionState,
        until: Option<&str>,
    ) -> Answer {
        let request = pb::DecideSuggestionRequest {
            name: name.into(),
            outcome: outcome.into(),
            reason: "已列入下季度计划".into(),
            defer_until_time: until.and_then(at),
            ..Default::default()
        };
        self.suggestions.decide_suggestion(request).await.map(Response::into_inner)
    }

    async fn suggestion_list(&mut self, request: pb::ListSuggestionsRequest) -> Vec<String> {
        let page = self.suggestions.list_suggestions(request).await.unwrap().into_inner();
        page.suggestions.into_iter().map(|suggestion| suggestion.name).collect()
    }
}

fn all() -> pb::ListSuggestionsRequest {
    pb::ListSuggestionsRequest { org_unit: "group".into(), ..Default::default() }
}

const REMINDED: &str = "SELECT count(*) FROM journal WHERE action = 'RemindSuggestion'
    AND event_type = 'kefu.ticket.v1.SuggestionReminded' AND actor = 'system/timers'";

#[tokio::test]
async fn t21_a_suggestion_comes_back_with_the_decision_of_whom_it_names() {
    let world = prompt().await;
    let ticket = world.clerk().create(complaint("group/north", "漏水")).await.name;
    let mut zhao = world.desk("zhao", "group/north", role::CLERK);
    let made = zhao.suggest(suggestion(&ticket)).await.unwrap();
    // Monday, ten o'clock, and two working days of eight hours.
    assert_eq!(made.due_time, at("2026-03-04T02:00:00Z"));
    assert_eq!((made.state(), &*made.proposer), (pb::SuggestionState::Submitted, "zhao"));
    let accepted = pb::SuggestionState::Accepted;
    let error = world.manager().settle_suggestion(&made.name, accepted, None).await.unwrap_err();
    assert_eq!(
        (error.code(), &*metadata(&error, "duty")),
        (Code::PermissionDenied, "DECISION_MAKER")
    );
    // Not even as a superior.
    let mut promoted = world.desk("zhao", "group", role::DIRECTOR);
    let error = promoted.settle_suggestion(&made.name, accepted, None).await.unwrap_err();
    assert_eq!(metadata(&error, "duty"), "NOT_PROPOSER");
    // Whoever is named decides, wherever it belongs.
    let mut liu = world.desk("liu", "group/south", role::MANAGER);
    assert_eq!(liu.suggestion(&made.name).await.unwrap(), made);
    for (outcome, until) in [
        (pb::SuggestionState::Deferred, None),
        (pb::SuggestionState::Deferred, Some("2026-03-02T02:00:00Z")),
        (accepted, Some("2026-03-05T02:00:00Z")),
    ] {
        let error = liu.settle_suggestion(&made.name, outcome, until).await.unwrap_err();
        assert_eq!(violations(&error), ["defer_until_time"]);
    }
    let submitted = pb::SuggestionState::Submitted;
    let error = liu.settle_suggestion(&made.name, submitted, None).await.unwrap_err();
    assert_eq!(violations(&error), ["outcome"]);
    let decided = liu.settle_suggestion(&made.name, accepted, None).await.unwrap();
    assert_eq!(zhao.suggestion(&made.name).await.unwrap(), decided);
    assert_eq!((&*decided.decisions[0].decider, decided.decisions[0].outcome()), ("liu", accepted));
    assert_eq!(
        reason(&liu.settle_suggestion(&made.name, accepted, None).await.unwrap_err()),
        "ILLEGAL_STATE"
    );
    let mut stranger = world.desk("stranger", "group/south", role::DIRECTOR);
    assert_eq!(stranger.suggestion(&made.name).await.unwrap_err().code(), Code::PermissionDenied);
    world.pass_hours(24 * 10).await;
    assert_eq!(world.count(REMINDED).await, 0, "what is decided is not due");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t21_a_reminder_is_recorded_once_for_each_time_at_which_a_decision_is_due() {
    let mut world = prompt().await;
    world.start_replica().await;
    let ticket = world.clerk().create(complaint("group/north", "漏水")).await.name;
    let mut zhao = world.desk("zhao", "group/north", role::CLERK);
    let name = zhao.suggest(suggestion(&ticket)).await.unwrap().name;
    let overdue = pb::ListSuggestionsRequest { overdue: true, ..all() };
    world.set_time("2026-03-04T01:59:59Z").await;
    assert_eq!(world.count(REMINDED).await, 0);
    world.set_time("2026-03-04T02:00:00Z").await;
    world.pass_hours(1).await;
    assert_eq!(world.count(REMINDED).await, 1);
    assert_eq!(world.manager().suggestion_list(overdue.clone()).await, [&*name]);
    let mut liu = world.desk("liu", "group", role::MANAGER);
    let deferred = pb::SuggestionState::Deferred;
    let told = liu.settle_suggestion(&name, deferred, Some("2026-04-01T00:00:00Z")).await.unwrap();
    assert_eq!((told.due_time, told.remind_time), (at("2026-04-01T00:00:00Z"), None));
    assert!(world.manager().suggestion_list(overdue).await.is_empty());
    world.set_time("2026-05-01T00:00:00Z").await;
    assert_eq!(world.count(REMINDED).await, 2);
    // A superior decides in its place.
    let mut director = world.desk("director", "group", role::DIRECTOR);
    let rejected = pb::SuggestionState::Rejected;
    let decided = director.settle_suggestion(&name, rejected, None).await.unwrap();
    let deciders: Vec<_> = decided.decisions.iter().map(|d| &*d.decider).collect();
    assert_eq!(deciders, ["liu", "director"]);
}

#[tokio::test]
async fn t21_suggestions_are_listed_by_state_and_people_and_checked_all_at_once() {
    let world = prompt().await;
    let ticket = world.clerk().create(complaint("group/north", "漏水")).await.name;
    let south = world.clerk().create(complaint("group/south", "漏水")).await.name;
    let mut zhao = world.desk("zhao", "group/north", role::CLERK);
    let error = zhao.suggest(Default::default()).await.unwrap_err();
    let expected = ["org_unit", "tickets", "title", "text", "decision_maker"];
    assert_eq!(violations(&error), expected.map(|field| format!("suggestion.{field}")));
    let unseen = pb::Suggestion {
        tickets: vec![ticket.clone(), south, "tickets/00000000-0000-0000-0000-000000000009".into()],
        ..suggestion(&ticket)
    };
    let error = zhao.suggest(unseen).await.unwrap_err();
    assert_eq!(violations(&error), ["suggestion.tickets[1]", "suggestion.tickets[2]"]);
    let own = pb::Suggestion { decision_maker: "zhao".into(), ..suggestion(&ticket) };
    assert_eq!(violations(&zhao.suggest(own).await.unwrap_err()), ["suggestion.decision_maker"]);
    let twice = pb::Suggestion { tickets: vec![ticket.clone(); 2], ..suggestion(&ticket) };
    assert_eq!(violations(&zhao.suggest(twice).await.unwrap_err()), ["suggestion.tickets[1]"]);
    let request = pb::SubmitSuggestionRequest {
        suggestion: Some(suggestion(&ticket)),
        request_id: request_id(3),
    };
    let first = zhao.suggestions.submit_suggestion(request.clone()).await.unwrap().into_inner();
    let again = zhao.suggestions.submit_suggestion(request).await.unwrap().into_inner();
    assert_eq!(first, again);
    let other = zhao.suggest(suggestion(&ticket)).await.unwrap();
    let mut liu = world.desk("liu", "group", role::MANAGER);
    liu.settle_suggestion(&other.name, pb::SuggestionState::Rejected, None).await.unwrap();
    let rejected = vec![pb::SuggestionState::Rejected.into()];
    let found = liu.suggestion_list(pb::ListSuggestionsRequest { states: rejected, ..all() }).await;
    assert_eq!(found, [&*other.name]);
    let mine = pb::ListSuggestionsRequest { proposer: "zhao".into(), page_size: 1, ..all() };
    let page = liu.suggestions.list_suggestions(mine.clone()).await.unwrap().into_inner();
    assert_eq!(page.suggestions[0].name, other.name);
    let next = pb::ListSuggestionsRequest { page_token: page.next_page_token, ..mine };
    assert_eq!(liu.suggestion_list(next).await, [&*first.name]);
    let error = zhao.suggestions.list_suggestions(all()).await.unwrap_err();
    assert_eq!(error.code(), Code::PermissionDenied);
}
