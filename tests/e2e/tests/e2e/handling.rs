//! What there is to ask about the handling of a ticket.

use serde_json::{Value, json};

use crate::company::RIVERSIDE;

pub fn requests(ticket: &str) -> [(&'static str, Value); 23] {
    let text = |field: &str| json!({"name": ticket, field: "好的"});
    let with = |field: &str, value: Value| json!({"name": ticket, field: value});
    let unit = json!({"orgUnit": RIVERSIDE});
    let far = "2096-10-02T07:06:40Z";
    let until = |field: &str| json!({"name": ticket, field: "好的", "answerDueTime": far});
    [
        (
            "ticket.HandlingService.RecordContactAttempt",
            with("attempt", json!({"channel": "TICKET_CHANNEL_PHONE", "note": "无人接听"})),
        ),
        ("ticket.HandlingService.CloseTicket", text("reason")),
        (
            "ticket.HandlingService.TransferTicket",
            json!({"name": ticket, "toOrgUnit": "group/south", "handoverNote": "好的"}),
        ),
        ("ticket.HandlingService.AcceptTransfer", text("message")),
        ("ticket.HandlingService.ReturnTransfer", text("reason")),
        ("ticket.HandlingService.WithdrawTransfer", text("reason")),
        (
            "ticket.HandlingService.CompleteHandlingForm",
            with("form", json!({"form": 1, "opinion": "好的", "decision": "好的"})),
        ),
        (
            "ticket.HandlingService.DecideExecutiveReview",
            with("decision", json!({"decision": "好的", "outcome": "EXECUTIVE_OUTCOME_HANDLE"})),
        ),
        (
            "ticket.HandlingService.SetHandlingPlan",
            with("items", json!([{"who": "wang", "what": "换管", "dueTime": far}])),
        ),
        ("ticket.HandlingService.AgreeHandlingPlan", with("agreement", json!({"how": "电话"}))),
        ("ticket.HandlingService.CompletePlanItem", with("item", json!(1))),
        (
            "ticket.HandlingService.RecordMeeting",
            with(
                "meeting",
                json!({"meetTime": "2026-09-28T00:00:00Z", "participants": ["wang"], "decisions": "换管"}),
            ),
        ),
        ("ticket.HandlingService.RecordFinding", with("finding", json!({"finding": "管裂"}))),
        ("ticket.HandlingService.SuperviseTicket", until("instruction")),
        ("ticket.HandlingService.UrgeTicket", until("text")),
        ("ticket.HandlingService.AnswerSupervision", text("answer")),
        ("ticket.HandlingService.ReopenTicket", text("reason")),
        ("ticket.HandlingService.EndSupervision", text("conclusion")),
        ("ticket.HandlingService.GetHandlingPlan", json!({"name": ticket})),
        ("ticket.HandlingService.ListHandlingRecords", json!({"parent": ticket})),
        ("ticket.HandlingService.ListTransfers", unit.clone()),
        ("ticket.HandlingService.ListSupervisions", unit.clone()),
        ("ticket.HandlingService.ListOverduePlanItems", unit),
    ]
}
