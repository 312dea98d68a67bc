//! A process and a sound request for each of its methods (T-22).

use kefu_api::ticket::v1 as pb;
use serde_json::{Value, json};

use crate::company::{RIVERSIDE, complaint, registration};
use crate::world::World;

/// A process of Riverside at its only stage.
pub struct Processes {
    process: String,
    answer: String,
}

impl Processes {
    /// A process, and what the customer was told meanwhile.
    pub async fn make(world: &World) -> Self {
        let request = pb::TicketKind::Request.into();
        let ticket = pb::Ticket { kind: request, ..complaint(RIVERSIDE, "装表") };
        let made = world.clerk().tickets().create_ticket(registration(ticket, String::new())).await;
        let ticket = made.unwrap().into_inner().name;
        let start = pb::StartProcessRequest {
            ticket: ticket.clone(),
            template: "connection".into(),
            attributes: vec![pb::ProcessAttributeValue {
                attribute: "urgent".into(),
                value: Some(pb::process_attribute_value::Value::Flag(false)),
            }],
            ..Default::default()
        };
        let process = world.clerk().processes().start_process(start).await;
        let answer = pb::RespondTicketRequest {
            name: ticket.clone(),
            message: "已受理".into(),
            ..Default::default()
        };
        world.manager().tickets().respond_ticket(answer).await.unwrap();
        let request = pb::ListTicketMessagesRequest { parent: ticket, ..Default::default() };
        let said = world.clerk().tickets().list_ticket_messages(request).await.unwrap();
        let answer = said.into_inner().messages[0].name.clone();
        Self { process: process.unwrap().into_inner().name, answer }
    }

    /// By the method's full name without `kefu.` and `v1.`; `ticket` is one that does not follow any.
    pub fn requests(&self, ticket: &str) -> [(&'static str, Value); 14] {
        let Self { process, answer } = self;
        let of = |field: &str| json!({"name": process, field: "好的"});
        let unit = json!({"orgUnit": RIVERSIDE});
        let stage =
            |field: &str, value: &str| json!({"name": process, "stage": "work", field: value});
        let urgent = |urgent: bool| json!([{"attribute": "urgent", "flag": urgent}]);
        [
            (
                "ticket.ProcessService.StartProcess",
                json!({"ticket": ticket, "template": "connection", "attributes": urgent(true)}),
            ),
            ("ticket.ProcessService.GetProcess", json!({"name": process})),
            ("ticket.ProcessService.ListProcesses", unit),
            ("ticket.ProcessService.ExplainProcessDeadlines", json!({"name": process})),
            (
                "ticket.ProcessService.RecordProcessDocument",
                json!({"name": process, "stage": "work", "document": "form", "reference": "1"}),
            ),
            (
                "ticket.ProcessService.RecordProcessInspection",
                json!({"name": process, "stage": "work", "outcome": "passed", "finding": "好的"}),
            ),
            ("ticket.ProcessService.RecordProcessAnswer", stage("message", answer)),
            ("ticket.ProcessService.SubmitProcessStage", stage("etag", "")),
            ("ticket.ProcessService.ApproveProcessStage", stage("comment", "好的")),
            ("ticket.ProcessService.RejectProcessStage", stage("reason", "好的")),
            ("ticket.ProcessService.CompleteProcessStage", stage("etag", "")),
            (
                "ticket.ProcessService.RequestProcessChange",
                json!({"name": process, "attributes": urgent(true), "reason": "好的"}),
            ),
            (
                "ticket.ProcessService.DecideProcessChange",
                json!({"name": process, "outcome": "PROCESS_CHANGE_STATE_APPROVED",
                "decision": "好的"}),
            ),
            ("ticket.ProcessService.CancelProcess", of("reason")),
        ]
    }
}
