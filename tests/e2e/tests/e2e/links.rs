//! A parent with its child, and what there is to ask about duplicates, merges and mass complaints (T-04).

use kefu_api::ticket::v1 as pb;
use serde_json::{Value, json};

use crate::company::{RIVERSIDE, complaint, registration};
use crate::world::World;

/// A child of a ticket, and something that was said on its parent.
pub struct Links {
    parent: String,
    child: String,
    answer: String,
}

impl Links {
    pub async fn make(world: &World, parent: &str) -> Self {
        let child = registration(complaint(RIVERSIDE, "也漏水"), String::new());
        let child = world.clerk().tickets().create_ticket(child).await.unwrap().into_inner().name;
        let link = pb::LinkTicketRequest {
            name: child.clone(),
            parent: parent.into(),
            ..Default::default()
        };
        world.manager().ticket_links().link_ticket(link).await.unwrap();
        let answer = pb::AnswerChildTicketsRequest {
            name: parent.into(),
            message: "正在处理".into(),
            ..Default::default()
        };
        let answer = world.manager().ticket_links().answer_child_tickets(answer).await;
        Self { parent: parent.into(), child, answer: answer.unwrap().into_inner().name }
    }

    /// By the method's full name without `kefu.` and `v1.`.
    pub fn requests(&self) -> [(&'static str, Value); 12] {
        let Self { parent, child, answer } = self;
        let of_parent = json!({"parent": parent});
        let about = |name: &str, field: &str| json!({"name": name, field: "好的"});
        [
            (
                "ticket.TicketLinkService.ListLikelyDuplicates",
                json!({"orgUnit": RIVERSIDE, "ticket": parent}),
            ),
            (
                "ticket.TicketLinkService.MergeTicket",
                json!({"name": child, "into": parent, "reason": "同一件事"}),
            ),
            ("ticket.TicketLinkService.UnmergeTicket", about(child, "reason")),
            ("ticket.TicketLinkService.ListTicketMerges", of_parent.clone()),
            ("ticket.TicketLinkService.LinkTicket", json!({"name": child, "parent": parent})),
            ("ticket.TicketLinkService.UnlinkTicket", about(child, "reason")),
            (
                "ticket.TicketLinkService.ListChildTickets",
                json!({"parent": parent, "orgUnit": RIVERSIDE}),
            ),
            ("ticket.TicketLinkService.AnswerChildTickets", about(parent, "message")),
            ("ticket.TicketLinkService.ResolveChildTickets", json!({"name": parent})),
            ("ticket.TicketLinkService.ListMassAnswers", of_parent),
            (
                "ticket.TicketLinkService.ListMassAnswerResults",
                json!({"parent": answer, "orgUnit": RIVERSIDE}),
            ),
            ("ticket.TicketLinkService.ListMissedAnswers", json!({"parent": child})),
        ]
    }
}
