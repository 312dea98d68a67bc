//! A file of a ticket, and sound requests about it (T-01).

use kefu_api::ticket::v1 as pb;
use kefu_api::ticket::v1::upload_attachment_request::Part;
use serde_json::{Value, json};

use crate::world::World;

/// Attaches one, over the gateway.
pub async fn make(world: &World, ticket: &str) -> String {
    let header = pb::UploadAttachmentHeader {
        parent: ticket.into(),
        file_name: "现场.txt".into(),
        ..Default::default()
    };
    let parts = [Part::Header(header), Part::Chunk("漏水".into())];
    let parts = parts.map(|part| pb::UploadAttachmentRequest { part: Some(part) });
    let mut clerk = world.clerk().attachments();
    let attached = clerk.upload_attachment(futures::stream::iter(parts)).await.unwrap();
    let name = attached.into_inner().name;
    // And down again.
    let request = pb::DownloadAttachmentRequest { name: name.clone(), read_offset: 0 };
    let mut down = clerk.download_attachment(request).await.unwrap().into_inner();
    down.message().await.unwrap().unwrap();
    let bytes = down.message().await.unwrap().unwrap().part.unwrap();
    let expected = pb::download_attachment_response::Part::Chunk("漏水".into());
    assert_eq!(bytes, expected);
    name
}

/// By the method's full name without `kefu.` and `v1.`.
pub fn requests(ticket: &str, attachment: &str) -> [(&'static str, Value); 6] {
    let header = json!({"header": {"parent": ticket, "fileName": "现场.txt"}});
    let named = json!({"name": attachment});
    [
        ("ticket.AttachmentService.UploadAttachment", header),
        ("ticket.AttachmentService.DownloadAttachment", named.clone()),
        ("ticket.AttachmentService.GetAttachment", named),
        ("ticket.AttachmentService.ListAttachments", json!({"parent": ticket})),
        (
            "ticket.AttachmentService.WithdrawAttachment",
            json!({"name": attachment, "reason": "传错了"}),
        ),
        ("ticket.TicketService.TagTicket", json!({"name": ticket, "add": ["急"]})),
    ]
}
