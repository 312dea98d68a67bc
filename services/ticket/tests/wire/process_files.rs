//! T-22: documents of a stage that are files of the ticket: there, of this ticket, and still there when it counts.

use kefu_api::ticket::v1 as pb;
use kefu_identity::role;
use tonic::Response;

use crate::attachment::picture;
use crate::process::{Answer, STATION, company, connections, fitter, fitter_at, lack, missing};
use crate::process_clocks::started;
use crate::world::{Desk, World, request_id, violations};

/// The identity is shown by a file and nothing else.
async fn strict() -> World {
    let world = company().await;
    let mut policy = connections();
    policy.process_templates[0].documents[1].attached = true;
    world.admin().apply("group", policy).await.unwrap();
    world
}

impl Desk {
    async fn shows(&mut self, ticket: &str) -> pb::Attachment {
        self.attach(ticket, "身份证.png", "image/png", &picture(2_000)).await.unwrap()
    }

    async fn files(&mut self, name: &str, stage: &str, document: &str, attachment: &str) -> Answer {
        let request = pb::RecordProcessDocumentRequest {
            name: name.into(),
            stage: stage.into(),
            document: document.into(),
            attachment: attachment.into(),
            ..Default::default()
        };
        self.processes.record_process_document(request).await.map(Response::into_inner)
    }
}

#[tokio::test]
async fn t22_a_document_names_a_file_that_is_there_and_of_this_ticket() {
    let world = strict().await;
    let (ticket, name) = started(&world).await;
    let (other, _) = started(&world).await;
    let mut fitter = fitter(&world);
    let elsewhere = fitter.shows(&other).await.name;
    let file = fitter.shows(&ticket).await;
    let nothing = format!("{ticket}/attachments/00000000-0000-0000-0000-00000000beef");
    let (_, id) = elsewhere.split_once("/attachments/").unwrap();
    let as_if = format!("{ticket}/attachments/{id}");
    for (attachment, reference, wrong) in [
        ("", "", "reference"),
        ("", "保险柜第三层", "attachment"),
        (&*elsewhere, "", "attachment"),
        (&*nothing, "", "attachment"),
        (&*as_if, "", "attachment"),
        ("attachments/1", "", "attachment"),
        ("tickets/一/attachments/二", "", "attachment"),
        ("", "tickets/一/attachments/二", "reference"),
        ("", &*elsewhere, "attachment"),
    ] {
        let asked = pb::RecordProcessDocumentRequest {
            name: name.clone(),
            stage: "application".into(),
            document: "identity".into(),
            attachment: attachment.into(),
            reference: reference.into(),
            ..Default::default()
        };
        let error = fitter.processes.record_process_document(asked).await.unwrap_err();
        assert_eq!(violations(&error)[0], wrong, "{attachment} {reference}");
    }
    let filed = fitter.files(&name, "application", "identity", &file.name).await.unwrap();
    let document = &filed.stages[0].documents[0];
    assert_eq!((&document.attachment, &*document.reference), (&file.name, ""));
    // What names a file as a reference is one; where a file is not asked for, it may be one all the same.
    let same = fitter.stage_document(&name, "application", "identity", &file.name).await.unwrap();
    assert_eq!(same.stages[0].documents[1].attachment, file.name);
    fitter.files(&name, "application", "application-form", &file.name).await.unwrap();
    fitter.complete_stage(&name, "application").await.unwrap();
    // A file that was refused is none.
    let refused = fitter.attach(&ticket, "勘查.png", "image/jpeg", &picture(10)).await;
    assert!(refused.is_err());
    let all = pb::ListAttachmentsRequest { parent: ticket.clone(), ..Default::default() };
    let all = fitter.attachments.list_attachments(all).await.unwrap().into_inner().attachments;
    let refused = all.iter().find(|one| one.state() == pb::AttachmentState::Refused).unwrap();
    let error = fitter.files(&name, "survey", "survey-record", &refused.name).await.unwrap_err();
    assert_eq!(violations(&error), ["attachment"]);
}

#[tokio::test]
async fn t22_a_file_that_is_withdrawn_is_no_document_any_more_and_what_was_approved_with_it_is_not()
{
    let world = company().await;
    let (ticket, name) = started(&world).await;
    let mut fitter = fitter(&world);
    let first = fitter.shows(&ticket).await;
    fitter.files(&name, "application", "identity", &first.name).await.unwrap();
    let mut manager = world.desk("wu", STATION, role::MANAGER);
    manager.withdraw(&first, &request_id(1)).await.unwrap();
    let open = fitter.process(&name).await;
    assert!(open.stages[0].documents[0].withdraw_time.is_some());
    let error = fitter.complete_stage(&name, "application").await.unwrap_err();
    assert_eq!(
        missing(&error),
        [lack("DOCUMENT", "application-form"), lack("DOCUMENT", "identity")]
    );
    let error = fitter.files(&name, "application", "identity", &first.name).await.unwrap_err();
    assert_eq!(violations(&error), ["attachment"]);
    fitter.does(&name, "application", &["application-form", "identity"]).await;
    fitter.does(&name, "survey", &["survey-record"]).await;
    fitter.hands_in(&name, "supply-plan", &["supply-plan"]).await;
    let message = fitter.writes(&ticket).await;
    fitter.stage_answer(&name, "supply-plan", &message).await.unwrap();
    fitter.complete_stage(&name, "supply-plan").await.unwrap();
    let drawings = fitter.shows(&ticket).await;
    fitter.files(&name, "design-review", "design-drawings", &drawings.name).await.unwrap();
    fitter.hands_in(&name, "design-review", &["design-review"]).await;
    fitter.submit_stage(&name, "design-review").await.unwrap();
    manager.approve_stage(&name, "design-review").await.unwrap();
    let before = fitter.process(&name).await;
    manager.withdraw(&drawings, &request_id(2)).await.unwrap();
    let after = fitter.process(&name).await;
    assert_ne!(before.etag, after.etag);
    let review = crate::process::run(&after, "design-review");
    assert_eq!(review.submissions[0].state(), pb::ProcessSubmissionState::Withdrawn);
    let error = fitter.complete_stage(&name, "design-review").await.unwrap_err();
    let lacks = [lack("DOCUMENT", "design-drawings"), lack("SUBMISSION", "design-review")];
    assert_eq!(missing(&error), lacks);
    let told = "SELECT count(*) FROM journal WHERE aggregate_type = 'process' AND actor = 'wu'
        AND action = 'WithdrawAttachment' AND event_type = 'kefu.ticket.v1.ProcessChanged'";
    assert_eq!(world.count(told).await, 2);
    // Mended, it goes on.
    let better = fitter.shows(&ticket).await;
    fitter.files(&name, "design-review", "design-drawings", &better.name).await.unwrap();
    fitter.submit_stage(&name, "design-review").await.unwrap();
    manager.approve_stage(&name, "design-review").await.unwrap();
    fitter.complete_stage(&name, "design-review").await.unwrap();
    // What is done stays as it was done.
    manager.withdraw(&better, &request_id(3)).await.unwrap();
    let done = fitter.process(&name).await;
    let review = crate::process::run(&done, "design-review");
    assert_eq!(review.state(), pb::ProcessStageState::Completed);
    assert!(review.documents.last().unwrap().withdraw_time.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t22_a_file_that_is_withdrawn_while_it_is_named_counts_for_nothing_whoever_is_faster() {
    let mut world = strict().await;
    world.start_replica().await;
    let mut calls = Vec::new();
    for index in 0..6_usize {
        let (ticket, name) = started(&world).await;
        let file = fitter(&world).shows(&ticket).await;
        let mut filer = fitter_at(&world, index % 2);
        let mut manager = world.desk_at((index + 1) % 2, "wu", STATION, role::MANAGER);
        let (of, named) = (name.clone(), file.name.clone());
        let filed =
            tokio::spawn(async move { filer.files(&of, "application", "identity", &named).await });
        let withdrawn = tokio::spawn(async move { manager.withdraw(&file, "").await });
        calls.push((name, filed, withdrawn));
    }
    for (name, filed, withdrawn) in calls {
        withdrawn.await.unwrap().unwrap();
        if let Err(error) = filed.await.unwrap() {
            assert_eq!(violations(&error), ["attachment"]);
        }
        let process = fitter(&world).process(&name).await;
        let lacks: Vec<_> = process.stages[0].missing.iter().map(|need| &*need.subject).collect();
        assert_eq!(lacks, ["application-form", "identity"]);
    }
}
