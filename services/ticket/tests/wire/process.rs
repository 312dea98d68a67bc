//! T-22: staged processes, and what the tests of them share.

use jiff::Timestamp;
use kefu_api::ticket::v1 as pb;
use kefu_api::ticket::v1::process_attribute_value::Value;
use kefu_identity::role;
use tonic::{Code, Response, Status};
use tonic_types::StatusExt as _;

use crate::packs::ticket_part;
use crate::world::{Desk, World, complaint, metadata, reason, violations};

pub type Answer = Result<pb::Process, Status>;

/// The supply station, where requests come in.
pub const STATION: &str = "group/branch/station";

/// The regulation of electricity connections, as it ships.
pub fn connections() -> pb::TicketPolicy {
    let text = include_str!("../../../../deploy/policies/power-connection.yaml");
    ticket_part("power-connection", text)
}

/// A city company with a branch and a station under that regulation.
pub async fn company() -> World {
    let world = World::empty().await;
    for unit in ["group", "group/branch", STATION, "group/other"] {
        world.org_unit(unit).await;
    }
    world.settle().await;
    world.admin().apply("group", connections()).await.unwrap();
    world
}

pub fn fitter(world: &World) -> Desk {
    world.desk("fitter", STATION, role::HANDLER)
}

/// The same on another replica.
pub fn fitter_at(world: &World, replica: usize) -> Desk {
    world.desk_at(replica, "fitter", STATION, role::HANDLER)
}

pub fn request() -> pb::Ticket {
    pb::Ticket { kind: pb::TicketKind::Request.into(), ..complaint(STATION, "新装用电") }
}

pub fn number(attribute: &str, number: f64) -> pb::ProcessAttributeValue {
    let value = Some(Value::Number(number));
    pb::ProcessAttributeValue { attribute: attribute.into(), value }
}

pub fn flag(attribute: &str, flag: bool) -> pb::ProcessAttributeValue {
    pb::ProcessAttributeValue { attribute: attribute.into(), value: Some(Value::Flag(flag)) }
}

pub fn agreed(capacity: f64, double_feed: bool) -> Vec<pb::ProcessAttributeValue> {
    vec![number("capacity", capacity), flag("double-feed", double_feed)]
}

/// What is missing, as the refusal names it: kind and subject.
pub fn missing(status: &Status) -> Vec<(String, String)> {
    assert_eq!(
        (status.code(), &*reason(status)),
        (Code::FailedPrecondition, "ILLEGAL_STATE"),
        "{status:?}"
    );
    let failure = status.get_details_precondition_failure().unwrap();
    failure.violations.into_iter().map(|lack| (lack.r#type, lack.subject)).collect()
}

/// Whose it is, as the refusal names it.
pub fn duty(status: &Status) -> String {
    assert_eq!(
        (status.code(), &*reason(status)),
        (Code::PermissionDenied, "SEPARATION_OF_DUTIES"),
        "{status:?}"
    );
    metadata(status, "duty")
}

pub fn lack(kind: &str, subject: &str) -> (String, String) {
    (kind.into(), subject.into())
}

/// The run of a stage that is the newest.
pub fn run<'a>(process: &'a pb::Process, stage: &str) -> &'a pb::ProcessStageRun {
    process.stages.iter().rev().find(|run| run.stage == stage).unwrap()
}

pub fn running(process: &pb::Process) -> Vec<&str> {
    let under_way = |run: &&pb::ProcessStageRun| run.state() == pb::ProcessStageState::Running;
    process.stages.iter().filter(under_way).map(|run| &*run.stage).collect()
}

pub fn time(at: Option<prost_types::Timestamp>) -> Timestamp {
    let at = at.unwrap();
    Timestamp::new(at.seconds, at.nanos).unwrap()
}

macro_rules! command {
    ($name:ident, $method:ident, $request:ident, $($field:ident),*) => {
        pub async fn $name(&mut self, name: &str, $($field: &str),*) -> Answer {
            let request = pb::$request {
                name: name.into(),
                $($field: $field.into(),)*
                ..Default::default()
            };
            Box::pin(self.processes.$method(request)).await.map(Response::into_inner)
        }
    };
}

impl Desk {
    pub async fn start_process(
        &mut self,
        ticket: &str,
        capacity: f64,
        double_feed: bool,
    ) -> Answer {
        let request = pb::StartProcessRequest {
            ticket: ticket.into(),
            template: "power-connection".into(),
            attributes: agreed(capacity, double_feed),
            ..Default::default()
        };
        Box::pin(self.processes.start_process(request)).await.map(Response::into_inner)
    }

    pub async fn process(&mut self, name: &str) -> pb::Process {
        let request = pb::GetProcessRequest { name: name.into() };
        self.processes.get_process(request).await.unwrap().into_inner()
    }

    command!(
        stage_document,
        record_process_document,
        RecordProcessDocumentRequest,
        stage,
        document,
        reference
    );
    command!(
        inspection,
        record_process_inspection,
        RecordProcessInspectionRequest,
        stage,
        outcome,
        finding
    );
    command!(stage_answer, record_process_answer, RecordProcessAnswerRequest, stage, message);
    command!(submit_stage, submit_process_stage, SubmitProcessStageRequest, stage);
    command!(approve_stage, approve_process_stage, ApproveProcessStageRequest, stage);
    command!(reject_stage, reject_process_stage, RejectProcessStageRequest, stage, reason);
    command!(complete_stage, complete_process_stage, CompleteProcessStageRequest, stage);
    command!(cancel_process, cancel_process, CancelProcessRequest, reason);

    /// Puts documents on record.
    pub async fn hands_in(&mut self, name: &str, stage: &str, documents: &[&str]) {
        for document in documents {
            self.stage_document(name, stage, document, "档案 2026-042").await.unwrap();
        }
    }

    /// Documents and then completes a stage.
    pub async fn does(&mut self, name: &str, stage: &str, documents: &[&str]) -> pb::Process {
        self.hands_in(name, stage, documents).await;
        self.complete_stage(name, stage).await.unwrap()
    }

    /// Answers the customer of a ticket; the message's name.
    pub async fn writes(&mut self, ticket: &str) -> String {
        self.respond(ticket).await.unwrap();
        let request = pb::ListTicketMessagesRequest { parent: ticket.into(), ..Default::default() };
        let found = self.tickets.list_ticket_messages(request).await.unwrap().into_inner();
        found.messages.last().unwrap().name.clone()
    }

    pub async fn request_change(
        &mut self,
        name: &str,
        attributes: Vec<pb::ProcessAttributeValue>,
    ) -> Answer {
        let request = pb::RequestProcessChangeRequest {
            name: name.into(),
            attributes,
            reason: "客户申请增容".into(),
            ..Default::default()
        };
        self.processes.request_process_change(request).await.map(Response::into_inner)
    }

    pub async fn decide_change(&mut self, name: &str, outcome: pb::ProcessChangeState) -> Answer {
        let request = pb::DecideProcessChangeRequest {
            name: name.into(),
            outcome: outcome.into(),
            decision: "已核实".into(),
            ..Default::default()
        };
        self.processes.decide_process_change(request).await.map(Response::into_inner)
    }

    pub async fn process_list(&mut self, request: pb::ListProcessesRequest) -> Vec<String> {
        let page = self.processes.list_processes(request).await.unwrap().into_inner();
        page.processes.into_iter().map(|process| process.name).collect()
    }
}

#[tokio::test]
async fn t22_whatever_is_wrong_with_a_request_is_named_at_once() {
    let world = company().await;
    let mut fitter = fitter(&world);
    let error =
        fitter.processes.start_process(pb::StartProcessRequest::default()).await.unwrap_err();
    assert_eq!(violations(&error), ["ticket", "template"]);
    let ticket = fitter.create(request()).await.name;
    let bad = pb::StartProcessRequest {
        ticket: ticket.clone(),
        template: "power-connection".into(),
        attributes: vec![
            number("capacity", f64::NAN),
            pb::ProcessAttributeValue { attribute: "double-feed".into(), value: None },
        ],
        ..Default::default()
    };
    let error = fitter.processes.start_process(bad.clone()).await.unwrap_err();
    assert_eq!(violations(&error), ["attributes[0].number", "attributes[1].value"]);
    let attributes = vec![number("capacity", 0.0), number("电压", 10.0), number("capacity", 5.0)];
    let beyond = pb::StartProcessRequest { attributes, ..bad.clone() };
    let error = fitter.processes.start_process(beyond).await.unwrap_err();
    let expected = [
        "attributes[0].number",
        "attributes[1].attribute",
        "attributes[2].attribute",
        "attributes",
    ];
    assert_eq!(violations(&error), expected);
    let attributes = vec![flag("double-feed", false); 21];
    let error = fitter.processes.start_process(pb::StartProcessRequest { attributes, ..bad }).await;
    assert_eq!(violations(&error.unwrap_err()), ["attributes"]);
    let unknown = pb::StartProcessRequest {
        ticket: ticket.clone(),
        template: "water".into(),
        attributes: agreed(5.0, false),
        ..Default::default()
    };
    let error = fitter.processes.start_process(unknown).await.unwrap_err();
    assert_eq!(violations(&error), ["template"]);
    let complaint = fitter.create(complaint(STATION, "停电")).await.name;
    let error = fitter.start_process(&complaint, 5.0, false).await.unwrap_err();
    assert_eq!(missing(&error), [lack("REQUEST", "ticket")]);

    let name = fitter.start_process(&ticket, 5.0, false).await.unwrap().name;
    let error = fitter.stage_document(&name, "", "", "").await.unwrap_err();
    assert_eq!(violations(&error), ["stage", "document", "reference"]);
    let error = fitter.stage_document(&name, "wedding", "application-form", "x").await.unwrap_err();
    assert_eq!(violations(&error), ["stage"]);
    // A list of equipment is asked of larger customers only.
    let error = fitter.stage_document(&name, "application", "load-list", "x").await.unwrap_err();
    assert_eq!(violations(&error), ["document"]);
    let error = fitter.inspection(&name, "application", "passed", "好").await.unwrap_err();
    assert_eq!(violations(&error), ["outcome"]);
    let error = fitter.submit_stage(&name, "application").await.unwrap_err();
    assert_eq!(violations(&error), ["stage"]);
    let error =
        fitter.stage_answer(&name, "application", "tickets/x/messages/y").await.unwrap_err();
    assert_eq!(violations(&error), ["message"]);
    let error = fitter.request_change(&name, Vec::new()).await.unwrap_err();
    assert_eq!(violations(&error), ["attributes"]);
    let error = fitter.decide_change(&name, pb::ProcessChangeState::Pending).await.unwrap_err();
    assert_eq!(violations(&error), ["outcome"]);
    let error = fitter.reject_stage("processes/x", "application", "").await.unwrap_err();
    assert_eq!(violations(&error), ["name", "reason"]);
    assert_eq!(fitter.process(&name).await.etag, "r1", "nothing of that has changed anything");
}

#[tokio::test]
async fn t22_a_policy_with_a_gap_between_its_thresholds_is_refused_with_the_place() {
    let world = company().await;
    let mut policy = connections();
    policy.process_templates[0].routes[1].cases[0].conditions[0].below = Some(999.0);
    policy.process_templates[0].stages[4].inspections.as_mut().unwrap().maximum = 0;
    policy.process_templates[0].stages[5].clocks[0].breach_violation = "none".into();
    let error = world.admin().apply("group", policy).await.unwrap_err();
    assert_eq!(
        violations(&error),
        [
            "policy.process_templates[0].routes",
            "policy.process_templates[0].stages[4].inspections.maximum",
            "policy.process_templates[0].stages[5].clocks[0].breach_violation",
        ]
    );
    let details = error.get_details_bad_request().unwrap();
    assert!(details.field_violations[0].description.contains("capacity = 999"), "{details:?}");
    // However much there is of it, it is refused and not looked through.
    let mut policy = connections();
    let stage = policy.process_templates[0].stages[0].clone();
    policy.process_templates[0].stages = vec![stage; 1_000];
    let error = world.admin().apply("group", policy).await.unwrap_err();
    assert_eq!(violations(&error), ["policy.process_templates[0].stages"]);
}
