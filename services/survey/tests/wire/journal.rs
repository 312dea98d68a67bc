//! what a change leaves behind.

use std::sync::Arc;

use kefu_api::survey::v1::{InvitationCreated, SubmitAnswerRequest};
use kefu_identity::role;
use kefu_journal::{Upstream, conformance};
use prost::{Message as _, Name as _};
use serde_json::{Value, json};

use crate::world::{EXPIRE_AFTER, World, request_id, submission};

#[tokio::test]
async fn x01_the_feed_conforms() {
    let world = World::new().await;
    let token = world.bearer("service/ticket", "kefu", role::SERVICE);
    let sign = Arc::new(move |metadata: &mut tonic::metadata::MetadataMap| {
        metadata.insert("authorization", token.clone());
    });
    let subject = conformance::Subject {
        pool: world.pool.clone(),
        upstream: Upstream::new(world.transport(0), sign),
        clock: Arc::clone(&world.shared_clock),
    };
    conformance::run(&subject).await;
}

#[tokio::test]
async fn x04_every_change_of_an_invitation_is_on_record() {
    let world = World::new().await;
    let (ticket, invitation, token) = world.issued("group/north").await;
    let answer = SubmitAnswerRequest { request_id: request_id(3), ..submission(&token, 4) };
    let answer = world.anonymous().submit(answer).await.unwrap();
    world.invited("group/south").await;
    world.pass(EXPIRE_AFTER).await;

    type Row = (String, String, String, i64, Option<Value>, Value, Option<String>);
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT action, actor, org_unit, revision, before, after, event_type FROM journal
         WHERE aggregate_type = 'invitation' ORDER BY seq",
    )
    .fetch_all(&world.pool)
    .await
    .unwrap();
    let told: Vec<_> = rows
        .iter()
        .map(|(action, actor, org_unit, revision, ..)| {
            (action.as_str(), actor.as_str(), org_unit.as_str(), *revision)
        })
        .collect();
    assert_eq!(
        told,
        [
            ("survey.Invite", "system/ticket-feed", "group/north", 1),
            ("survey.IssueInvitationToken", "manager", "group/north", 2),
            ("survey.SubmitAnswer", "anonymous", "group/north", 3),
            ("survey.Invite", "system/ticket-feed", "group/south", 1),
            ("survey.Expire", "system/invitation-expiry", "group/south", 2),
        ]
    );
    let state = |word: &str| json!({ "state": word });
    assert_eq!(rows[0].4, None);
    assert_eq!(rows[0].5["campaign"], "ticket-call-back");
    assert_eq!((&rows[1].4, &rows[1].5), (&Some(state("created")), &state("issued")));
    let answer = answer.name.trim_start_matches("answers/");
    assert_eq!(rows[2].4, Some(state("issued")));
    assert_eq!(rows[2].5, json!({ "state": "answered", "answer": answer, "verdict": 4 }));
    assert_eq!((&rows[4].4, &rows[4].5), (&Some(state("created")), &state("expired")));
    let events: Vec<_> = rows.iter().map(|row| row.6.as_deref()).collect();
    let (created, ended) = ("kefu.survey.v1.InvitationCreated", "kefu.survey.v1.InvitationEnded");
    let answered = "kefu.survey.v1.CallBackAnswered";
    assert_eq!(events, [Some(created), None, Some(answered), Some(created), Some(ended)]);

    let event: Vec<u8> =
        sqlx::query_scalar("SELECT event FROM journal WHERE event_type = $1 LIMIT 1")
            .bind(InvitationCreated::full_name())
            .fetch_one(&world.pool)
            .await
            .unwrap();
    let expected = InvitationCreated {
        invitation: invitation.name,
        ticket: ticket.summary.ticket,
        ticket_cycle: 1,
        contact: ticket.summary.contact,
    };
    assert_eq!(InvitationCreated::decode(event.as_slice()).unwrap(), expected);
}

/// Neither in the journal nor in the remembered answers nor anywhere else: only the hash, and only in its own column.
#[tokio::test]
async fn s04_a_token_is_stored_nowhere_but_as_its_hash() {
    let world = World::new().await;
    let (_, invitation) = world.invited("group/north").await;
    let request = kefu_api::survey::v1::IssueInvitationTokenRequest {
        name: invitation.name,
        request_id: request_id(1),
    };
    let issued = world.manager().surveys.issue_invitation_token(request).await.unwrap();
    let token = issued.into_inner().token;
    let request = SubmitAnswerRequest { request_id: request_id(2), ..submission(&token, 1) };
    world.anonymous().submit(request).await.unwrap();

    let token = kefu_survey::domain::token::Token::read(&token).unwrap();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let hash = hex(token.hash().as_bytes());
    let (text, text_hex) = (token.reveal(), hex(token.reveal().as_bytes()));
    let everything: Vec<(String, String)> = sqlx::query_as(
        "SELECT 'journal', journal::text FROM journal UNION ALL SELECT 'request', request::text FROM request
         UNION ALL SELECT 'answer', answer::text FROM answer
         UNION ALL SELECT 'invitation', invitation::text FROM invitation",
    )
    .fetch_all(&world.pool)
    .await
    .unwrap();
    assert!(everything.len() >= 6);
    for (table, row) in everything {
        assert!(!row.contains(&text) && !row.contains(&text_hex), "the token is in {table}");
        assert_eq!(row.contains(&hash), table == "invitation", "the hash is in {table}");
    }
}

/// What was answered and what was told cannot be changed by the application itself.
#[tokio::test]
async fn x04_the_application_cannot_change_an_answer() {
    let world = World::new().await;
    let (_, _, token) = world.issued("group/north").await;
    world.anonymous().answer(&token, 5).await.unwrap();
    for statement in
        ["UPDATE answer SET verdict = 1", "DELETE FROM answer", "DELETE FROM invitation"]
    {
        let refused = sqlx::query(statement).execute(&world.pool).await.unwrap_err();
        assert_eq!(refused.as_database_error().unwrap().code().unwrap(), "42501", "{statement}");
    }
}
