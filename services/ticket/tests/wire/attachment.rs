//! T-01: files of tickets, up and down, and what is refused.

use std::path::Path;

use futures::StreamExt as _;
use kefu_api::ticket::v1 as pb;
use kefu_api::ticket::v1::download_attachment_response::Part as Down;
use kefu_api::ticket::v1::ticket_event::Change;
use kefu_api::ticket::v1::upload_attachment_request::Part as Up;
use kefu_identity::role;
use sha2::{Digest as _, Sha256};
use tonic::{Code, Response, Status};
use uuid::Uuid;

use crate::archive::{archive, deflated, stored, workbook};
use crate::pack::policy;
use crate::world::{Desk, World, at, complaint, reason, request_id, violations};

const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";

pub type Answer = Result<pb::Attachment, Status>;

/// The smallest file that is a picture by its content.
pub fn picture(length: usize) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    bytes.extend((0..length).map(|at| u8::try_from(at % 251).unwrap()));
    bytes
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn header(ticket: &str, file_name: &str, media_type: &str) -> pb::UploadAttachmentHeader {
    pb::UploadAttachmentHeader {
        parent: ticket.into(),
        file_name: file_name.into(),
        media_type: media_type.into(),
        ..Default::default()
    }
}

fn messages(header: pb::UploadAttachmentHeader, bytes: &[u8]) -> Vec<pb::UploadAttachmentRequest> {
    let chunks = bytes.chunks(700_000).map(|chunk| Up::Chunk(chunk.to_vec()));
    let parts = std::iter::once(Up::Header(header)).chain(chunks);
    parts.map(|part| pb::UploadAttachmentRequest { part: Some(part) }).collect()
}

impl Desk {
    async fn upload(&mut self, header: pb::UploadAttachmentHeader, bytes: &[u8]) -> Answer {
        let messages = futures::stream::iter(messages(header, bytes));
        self.attachments.upload_attachment(messages).await.map(Response::into_inner)
    }

    pub async fn attach(
        &mut self,
        ticket: &str,
        file_name: &str,
        media_type: &str,
        bytes: &[u8],
    ) -> Answer {
        self.upload(header(ticket, file_name, media_type), bytes).await
    }

    async fn download(
        &mut self,
        name: &str,
        read_offset: i64,
    ) -> Result<(pb::Attachment, Vec<u8>), Status> {
        let request = pb::DownloadAttachmentRequest { name: name.into(), read_offset };
        let mut stream = self.attachments.download_attachment(request).await?.into_inner();
        let (mut first, mut bytes) = (None, Vec::new());
        while let Some(message) = stream.next().await {
            match message?.part.unwrap() {
                Down::Attachment(attachment) => assert!(first.replace(attachment).is_none()),
                Down::Chunk(chunk) => {
                    assert!(first.is_some() && chunk.len() <= 256 * 1024);
                    bytes.extend(chunk);
                }
            }
        }
        Ok((first.unwrap(), bytes))
    }

    async fn attachments(&mut self, ticket: &str) -> Vec<pb::Attachment> {
        let request = pb::ListAttachmentsRequest { parent: ticket.into(), ..Default::default() };
        self.attachments.list_attachments(request).await.unwrap().into_inner().attachments
    }

    pub async fn withdraw(&mut self, attachment: &pb::Attachment, id: &str) -> Answer {
        let request = pb::WithdrawAttachmentRequest {
            name: attachment.name.clone(),
            reason: "传错了文件".into(),
            etag: attachment.etag.clone(),
            request_id: id.into(),
        };
        self.attachments.withdraw_attachment(request).await.map(Response::into_inner)
    }
}

/// Files in the store, whole or not.
fn stored_files(at: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(at) else { return 0 };
    let count = |path: &Path| if path.is_dir() { stored_files(path) } else { 1 };
    entries.map(|entry| count(&entry.unwrap().path())).sum()
}

async fn with_ticket() -> (World, Desk, String) {
    let world = World::new().await;
    let mut clerk = world.clerk();
    let ticket = clerk.create(complaint("group/north/riverside", "电梯漏水")).await.name;
    (world, clerk, ticket)
}

#[tokio::test]
async fn t01_a_file_goes_up_and_comes_down_as_it_was() {
    let (world, mut clerk, ticket) = with_ticket().await;
    let bytes = picture(7 * 1024 * 1024);
    let up = pb::UploadAttachmentHeader {
        size_bytes: i64::try_from(bytes.len()).unwrap(),
        sha256: hex(&bytes),
        ..header(&ticket, "现场 照片(1).png", "image/png")
    };
    let made = clerk.upload(up, &bytes).await.unwrap();
    assert!(made.name.starts_with(&format!("{ticket}/attachments/")));
    assert_eq!(made.file_name, "现场 照片(1).png");
    assert_eq!((made.media_type.as_str(), made.uploader.as_str()), ("image/png", "clerk"));
    assert_eq!(
        (made.size_bytes, &made.sha256),
        (i64::try_from(bytes.len()).unwrap(), &hex(&bytes))
    );
    assert_eq!(made.create_time, at("2026-03-02T02:00:00Z"));
    let (told, down) = clerk.download(&made.name, 0).await.unwrap();
    assert_eq!((told, down == bytes), (made.clone(), true));
    // And goes on where it broke off.
    let (_, rest) = clerk.download(&made.name, 7_000_000).await.unwrap();
    assert!(rest == bytes[7_000_000..]);
    let (_, rest) = clerk.download(&made.name, made.size_bytes).await.unwrap();
    assert!(rest.is_empty());
    let beyond = clerk.download(&made.name, made.size_bytes + 1).await.unwrap_err();
    assert_eq!(violations(&beyond), ["read_offset"]);
    assert_eq!(clerk.attachments(&ticket).await, [made]);
    assert_eq!(stored_files(world.files.path()), 1);
    assert_eq!(world.count("SELECT count(*) FROM attachment_upload").await, 0);
    let events = "SELECT count(*) FROM journal WHERE action = 'UploadAttachment' AND aggregate_type = 'attachment' \
                  AND event_type = 'kefu.ticket.v1.AttachmentChanged' AND org_unit = 'group/north/riverside'";
    assert_eq!(world.count(events).await, 1);
}

#[tokio::test]
async fn t01_the_usual_files_are_known_by_their_content() {
    let (_world, mut clerk, ticket) = with_ticket().await;
    let mut book = rust_xlsxwriter::Workbook::new();
    book.add_worksheet().write(0, 0, "投诉").unwrap();
    let book = book.save_to_buffer().unwrap();
    let gbk = [0xcd, 0xb6, 0xcb, 0xdf, b',', b'1', b'\r', b'\n'];
    let utf16: Vec<u8> = "\u{feff}投诉\t1".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let cases: [(&str, &str, &[u8], &str); 10] = [
        ("a.xlsx", XLSX, &book, XLSX),
        ("a.xlsx", "", &book, XLSX),
        ("a", "application/octet-stream", &book, XLSX),
        ("a.pdf", "application/pdf", b"%PDF-1.7\n1 0 obj", "application/pdf"),
        ("a.txt", "text/plain; charset=utf-8", "客户说：一切都好".as_bytes(), "text/plain"),
        ("BM.txt", "text/plain", b"BM is how it begins", "text/plain"),
        ("a.csv", "text/csv", &gbk, "text/csv"),
        ("a.csv", "application/vnd.ms-excel", &gbk, "text/csv"),
        ("a.csv", "", &utf16, "text/csv"),
        ("a.JPG", "image/jpg", b"\xff\xd8\xff\xe0\0\x10JFIF", "image/jpeg"),
    ];
    for (name, declared, bytes, found) in cases {
        let made = clerk.attach(&ticket, name, declared, bytes).await;
        assert_eq!(made.unwrap().media_type, found, "{name} {declared}");
    }
}

#[tokio::test]
async fn t01_a_file_that_lies_is_refused_and_that_is_on_record() {
    let (world, mut clerk, ticket) = with_ticket().await;
    let exe = b"MZ\x90\0\x03\0\0\0\x04\0\0\0\xff\xff";
    let page = "\u{feff}  <!DOCTYPE html><script>alert(1)</script>".as_bytes();
    let drawing =
        b"<?xml version=\"1.0\"?><svg xmlns=\"http://www.w3.org/2000/svg\" onload=\"alert(1)\"/>";
    let two_faced = [picture(100), archive(&[stored("a.txt", b"a")])].concat();
    let page16: Vec<u8> = "\u{feff}<html>".encode_utf16().flat_map(u16::to_be_bytes).collect();
    let plain = archive(&[stored("a.txt", b"a")]);
    let cases: [(&str, &str, &[u8], &str); 14] = [
        ("a.png", "image/png", exe, "header.media_type"),
        ("invoice.pdf", "", exe, "header.file_name"),
        ("a.exe", "image/png", &picture(9), "header.file_name"),
        ("a.jpg", "", &picture(9), "header.file_name"),
        ("a.txt", "text/plain", page, "header.media_type"),
        ("a.html", "", page, "header.media_type"),
        ("a.txt", "text/plain", &page16, "header.media_type"),
        ("a.svg", "image/svg+xml", drawing, "header.media_type"),
        ("a.txt", "", b"#!/bin/sh\nrm -rf /", "header.media_type"),
        ("a.js", "", b"alert(1)", "header.media_type"),
        ("a.png", "image/png", &two_faced, "chunk"),
        ("a.zip", "application/zip", &plain, "header.media_type"),
        ("a.xlsx", XLSX, &plain, "header.media_type"),
        ("a.bin", "", &[0, 1, 2, 3], "header.media_type"),
    ];
    for (name, declared, bytes, field) in cases {
        let error = clerk.attach(&ticket, name, declared, bytes).await.unwrap_err();
        assert_eq!(violations(&error), [field], "{name} {declared} {error:?}");
    }
    let up = pb::UploadAttachmentHeader { sha256: hex(b"other"), ..header(&ticket, "a.png", "") };
    assert_eq!(violations(&clerk.upload(up, &picture(9)).await.unwrap_err()), ["header.sha256"]);
    let up = pb::UploadAttachmentHeader { size_bytes: 3, ..header(&ticket, "a.png", "") };
    assert_eq!(
        violations(&clerk.upload(up, &picture(9)).await.unwrap_err()),
        ["header.size_bytes"]
    );
    let error = clerk.attach(&ticket, "a.png", "", b"").await.unwrap_err();
    assert_eq!(violations(&error), ["chunk"]);
    // On record with what it was said to be and who said so, and nothing of it is kept.
    let refused = clerk.attachments(&ticket).await;
    assert_eq!(refused.len(), 17);
    for attachment in &refused {
        assert_eq!(attachment.state(), pb::AttachmentState::Refused);
        assert!(!attachment.refuse_reason.is_empty() && attachment.uploader == "clerk");
    }
    assert_eq!(
        (refused[0].declared_media_type.as_str(), &*refused[0].file_name),
        ("image/png", "a.png")
    );
    assert!(refused[0].refuse_reason.starts_with("TYPE_MISMATCH"));
    assert_eq!(stored_files(world.files.path()), 0);
    assert_eq!(world.count("SELECT count(*) FROM attachment_upload").await, 0);
    let journal =
        "SELECT count(*) FROM journal WHERE action = 'RefuseAttachment' AND actor = 'clerk'";
    assert_eq!(world.count(journal).await, 17);
    let error = clerk.download(&refused[0].name, 0).await.unwrap_err();
    assert_eq!(error.code(), Code::FailedPrecondition);
}

#[tokio::test]
async fn t01_a_bomb_in_a_workbook_is_refused_without_being_unpacked() {
    let (world, mut clerk, ticket) = with_ticket().await;
    let mut macros =
        vec![stored("[Content_Types].xml", b"<Types/>"), stored("xl/workbook.xml", b"<workbook/>")];
    macros.push(stored("xl/vbaProject.bin", b"Sub"));
    let mut cut = workbook(stored("xl/worksheets/sheet1.xml", b"<sheet/>"));
    cut.truncate(cut.len() - 1);
    let many: Vec<_> =
        (0..6_000).map(|at| stored(Box::leak(format!("xl/{at}").into_boxed_str()), b"")).collect();
    let cases = [
        ("ratio", workbook(deflated("xl/worksheets/sheet1.xml", 10_000, 9_000_000)), "chunk"),
        ("sum", workbook(deflated("xl/worksheets/sheet1.xml", 6_000_000, 600_000_000)), "chunk"),
        ("impossible", workbook(deflated("xl/worksheets/sheet1.xml", 100, 1_000_000)), "chunk"),
        ("nested", workbook(stored("xl/embeddings/a.zip", b"PK\x03\x04")), "chunk"),
        ("escapes", workbook(stored("../../etc/passwd", b"x")), "chunk"),
        ("entries", archive(&many), "chunk"),
        ("macros", archive(&macros), "header.media_type"),
        ("cut", cut, "chunk"),
    ];
    let number = cases.len();
    for (case, bytes, field) in cases {
        let error = clerk.attach(&ticket, "a.xlsx", XLSX, &bytes).await.unwrap_err();
        assert_eq!(violations(&error), [field], "{case} {error:?}");
    }
    assert_eq!(clerk.attachments(&ticket).await.len(), number);
    assert_eq!(stored_files(world.files.path()), 0);
    let sound = workbook(deflated("xl/worksheets/sheet1.xml", 10_000, 100_000));
    assert_eq!(clerk.attach(&ticket, "a.xlsx", XLSX, &sound).await.unwrap().media_type, XLSX);
}

#[tokio::test]
async fn x06_a_header_is_told_everything_that_is_wrong_before_a_byte_is_taken() {
    let (world, mut clerk, ticket) = with_ticket().await;
    let up = pb::UploadAttachmentHeader {
        parent: "tickets/1".into(),
        file_name: "../../etc/passwd".into(),
        media_type: "picture".into(),
        size_bytes: -1,
        sha256: "abc".into(),
        request_id: "1".into(),
    };
    let error = clerk.upload(up, b"x").await.unwrap_err();
    let mut fields = violations(&error);
    fields.sort();
    assert_eq!(
        fields,
        [
            "header.file_name",
            "header.media_type",
            "header.parent",
            "header.request_id",
            "header.sha256",
            "header.size_bytes"
        ]
    );
    for name in
        ["a\u{202e}gpj.exe", "a\u{200f}.png", "a\\b.png", "a\nb.png", "..", "", &"长".repeat(201)]
    {
        let error = clerk.attach(&ticket, name, "", &picture(1)).await.unwrap_err();
        assert_eq!(violations(&error), ["header.file_name"], "{name:?}");
    }
    let none = futures::stream::iter(Vec::<pb::UploadAttachmentRequest>::new());
    let error = clerk.attachments.upload_attachment(none).await.unwrap_err();
    assert_eq!(violations(&error), ["header"]);
    // A second header, an empty chunk, one that is too long.
    for part in [Some(Up::Header(header(&ticket, "a.png", ""))), Some(Up::Chunk(Vec::new())), None]
    {
        let mut messages = messages(header(&ticket, "a.png", ""), &picture(1));
        messages.push(pb::UploadAttachmentRequest { part });
        let error =
            clerk.attachments.upload_attachment(futures::stream::iter(messages)).await.unwrap_err();
        assert_eq!(violations(&error), ["chunk"]);
    }
    let long = pb::UploadAttachmentRequest { part: Some(Up::Chunk(vec![0; 1024 * 1024 + 1])) };
    let mut messages = messages(header(&ticket, "a.png", ""), b"");
    messages.push(long);
    let error =
        clerk.attachments.upload_attachment(futures::stream::iter(messages)).await.unwrap_err();
    assert_eq!(violations(&error), ["chunk"]);
    assert_eq!(stored_files(world.files.path()), 0);
    assert_eq!(world.count("SELECT count(*) FROM attachment").await, 0);
    assert_eq!(world.count("SELECT count(*) FROM attachment_upload").await, 0);
}

#[tokio::test]
async fn x07_a_file_is_taken_from_and_given_to_those_who_may_see_its_ticket() {
    let (world, mut clerk, ticket) = with_ticket().await;
    let made = clerk.attach(&ticket, "a.png", "", &picture(9)).await.unwrap();
    let elsewhere = clerk.create(complaint("group/south", "别处")).await.name;
    let mut south = world.desk("south", "group/south", role::DIRECTOR);
    let denied = [
        south.attach(&ticket, "a.png", "", &picture(9)).await.map(|_| ()),
        south.download(&made.name, 0).await.map(|_| ()),
        south.withdraw(&made, "").await.map(|_| ()),
        world
            .desk("auditor", "group", role::AUDITOR)
            .attach(&ticket, "a.png", "", b"x")
            .await
            .map(|_| ()),
        world.desk("clerk", "group", role::CLERK).withdraw(&made, "").await.map(|_| ()),
    ];
    for answer in denied {
        assert_eq!(answer.unwrap_err().code(), Code::PermissionDenied);
    }
    // By the name of a ticket that one may see, nobody gets at the file of another.
    let id = made.name.rsplit('/').next().unwrap();
    let error = south.download(&format!("{elsewhere}/attachments/{id}"), 0).await.unwrap_err();
    assert_eq!(error.code(), Code::NotFound);
    for name in [
        format!("{ticket}/attachments/../{id}"),
        format!("{ticket}/attachments/"),
        "attachments/1".into(),
    ] {
        assert_eq!(violations(&clerk.download(&name, 0).await.unwrap_err()), ["name"]);
    }
    assert_eq!(world.count("SELECT count(*) FROM attachment").await, 1);
}

#[tokio::test]
async fn x02_an_upload_sent_twice_is_one_attachment_and_another_file_is_refused() {
    let (world, mut clerk, ticket) = with_ticket().await;
    let up = pb::UploadAttachmentHeader {
        request_id: request_id(1),
        ..header(&ticket, "a.png", "image/png")
    };
    let first = clerk.upload(up.clone(), &picture(99)).await.unwrap();
    assert_eq!(clerk.upload(up.clone(), &picture(99)).await.unwrap(), first);
    // It is the same, whether its hash is declared or not.
    let declared =
        pb::UploadAttachmentHeader { sha256: hex(&picture(99)).to_uppercase(), ..up.clone() };
    assert_eq!(clerk.upload(declared, &picture(99)).await.unwrap(), first);
    let error = clerk.upload(up.clone(), &picture(98)).await.unwrap_err();
    assert_eq!((error.code(), reason(&error).as_str()), (Code::AlreadyExists, "REQUEST_ID_REUSED"));
    // Two at once.
    let up = pb::UploadAttachmentHeader { request_id: request_id(2), ..up };
    let mut other = world.clerk();
    let file = picture(100);
    let (one, two) = tokio::join!(clerk.upload(up.clone(), &file), other.upload(up, &file));
    assert_eq!(one.unwrap(), two.unwrap());
    assert_eq!(clerk.attachments(&ticket).await.len(), 2);
    assert_eq!(stored_files(world.files.path()), 2);
    assert_eq!(world.count("SELECT count(*) FROM attachment_upload").await, 0);
}

#[tokio::test]
async fn t01_the_policy_says_which_files_how_long_and_how_many() {
    let (world, mut clerk, early) = with_ticket().await;
    let mut strict = policy();
    strict.attachments = Some(pb::AttachmentRules {
        media_types: vec!["image/png".into(), "image/svg+xml".into()],
        max_file_bytes: 1_000,
        max_ticket_bytes: 1_500,
        max_files: 2,
        ..Default::default()
    });
    world.admin().apply("group", strict).await.unwrap();
    // Judged by the policy in force when it began.
    clerk.attach(&early, "a.txt", "", b"text").await.unwrap();
    let ticket = clerk.create(complaint("group/north", "新工单")).await.name;
    let error = clerk.attach(&ticket, "a.txt", "", b"text").await.unwrap_err();
    assert_eq!(violations(&error), ["header.media_type"]);
    clerk.attach(&ticket, "a.svg", "", b"<svg></svg>").await.unwrap();
    let error = clerk.attach(&ticket, "a.png", "", &picture(3_000_000)).await.unwrap_err();
    assert_eq!(violations(&error), ["chunk"]);
    let up = pb::UploadAttachmentHeader { size_bytes: 1_001, ..header(&ticket, "a.png", "") };
    assert_eq!(violations(&clerk.upload(up, &picture(1)).await.unwrap_err()), ["chunk"]);
    // Of two at once that do not fit together, one fits.
    let mut other = world.clerk();
    let file = picture(900);
    let (one, two) = tokio::join!(
        clerk.attach(&ticket, "a.png", "", &file),
        other.attach(&ticket, "b.png", "", &file)
    );
    let refused = [one, two].into_iter().filter_map(Result::err).collect::<Vec<_>>();
    assert_eq!(refused.len(), 1);
    assert_eq!(
        (refused[0].code(), reason(&refused[0]).as_str()),
        (Code::FailedPrecondition, "ILLEGAL_STATE")
    );
    let error = clerk.attach(&ticket, "c.png", "", &picture(1)).await.unwrap_err();
    assert_eq!(error.code(), Code::FailedPrecondition);
    assert_eq!(stored_files(world.files.path()), 3);
    assert_eq!(world.count("SELECT count(*) FROM attachment_upload").await, 0);
}

#[tokio::test]
async fn t01_a_withdrawn_file_stays_as_evidence_for_those_who_inspect() {
    let (world, mut clerk, ticket) = with_ticket().await;
    let made = clerk.attach(&ticket, "a.png", "", &picture(9)).await.unwrap();
    let mut handler = world.desk("handler", "group", role::HANDLER);
    let first = handler.withdraw(&made, &request_id(1)).await.unwrap();
    assert_eq!(first.state(), pb::AttachmentState::Withdrawn);
    assert_eq!(
        (first.withdrawn_by.as_str(), first.withdraw_reason.as_str()),
        ("handler", "传错了文件")
    );
    assert_eq!(handler.withdraw(&made, &request_id(1)).await.unwrap(), first);
    let stale = handler.withdraw(&made, "").await.unwrap_err();
    assert_eq!((stale.code(), reason(&stale).as_str()), (Code::Aborted, "ETAG_STALE"));
    let twice = handler.withdraw(&first, "").await.unwrap_err();
    assert_eq!(twice.code(), Code::FailedPrecondition);
    assert_eq!(clerk.attachments(&ticket).await, std::slice::from_ref(&first));
    assert_eq!(clerk.download(&made.name, 0).await.unwrap_err().code(), Code::PermissionDenied);
    let (_, bytes) =
        world.desk("auditor", "group", role::AUDITOR).download(&made.name, 0).await.unwrap();
    assert_eq!(bytes, picture(9));
}

#[tokio::test]
async fn t01_what_breaks_off_leaves_nothing_and_what_a_crash_leaves_is_swept() {
    let (mut world, mut clerk, ticket) = with_ticket().await;
    // The caller goes away in the middle.
    let (tell, told) = futures::channel::mpsc::unbounded();
    for message in messages(header(&ticket, "a.png", ""), &picture(2_000_000)) {
        tell.unbounded_send(message).unwrap();
    }
    let mut caller = clerk.clone();
    let upload =
        tokio::spawn(async move { caller.attachments.upload_attachment(told).await.map(|_| ()) });
    // It has begun when its intent is on record.
    let mut begun = 0;
    for _ in 0..10_000 {
        begun = world.count("SELECT count(*) FROM attachment_upload").await;
        if begun > 0 {
            break;
        }
    }
    assert_eq!(begun, 1);
    upload.abort();
    drop(tell);
    let _ = upload.await;
    assert_eq!(world.count("SELECT count(*) FROM attachment").await, 0);
    // A process that died between the object and its row: the object is whole, its intent is old.
    let key = "attachments/2026/03/02/left-over";
    std::fs::create_dir_all(world.files.path().join("attachments/2026/03/02")).unwrap();
    std::fs::write(world.files.path().join(key), b"left over").unwrap();
    let intend = "INSERT INTO attachment_upload (id, object_key, begun_at) VALUES ($1, $2, now() - interval '3 hours')";
    sqlx::query(intend).bind(Uuid::from_u128(1)).bind(key).execute(&world.pool).await.unwrap();
    // And one that is still under way, however long.
    let young = "attachments/2026/03/02/young";
    std::fs::write(world.files.path().join(young), b"young").unwrap();
    let intend = "INSERT INTO attachment_upload (id, object_key, begun_at) VALUES ($1, $2, now() - interval '1 hour')";
    sqlx::query(intend).bind(Uuid::from_u128(2)).bind(young).execute(&world.pool).await.unwrap();
    world.start_replica().await;
    world.settle().await;
    assert!(!world.files.path().join(key).exists());
    assert!(world.files.path().join(young).exists());
    let made = clerk.attach(&ticket, "a.png", "", &picture(9)).await.unwrap();
    world.settle().await;
    assert_eq!(clerk.download(&made.name, 0).await.unwrap().1, picture(9));
}

#[tokio::test]
async fn t01_a_file_that_was_damaged_in_the_store_is_not_passed_off_as_whole() {
    let (world, mut clerk, ticket) = with_ticket().await;
    let made = clerk.attach(&ticket, "a.png", "", &picture(9)).await.unwrap();
    let key: String = sqlx::query_scalar("SELECT object_key FROM attachment")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    std::fs::write(world.files.path().join(&key), picture(8)).unwrap();
    assert_eq!(clerk.download(&made.name, 0).await.unwrap_err().code(), Code::DataLoss);
    std::fs::remove_file(world.files.path().join(&key)).unwrap();
    let gone = clerk.download(&made.name, 0).await.unwrap_err();
    assert_eq!(gone.code(), Code::DataLoss);
    assert!(!gone.message().contains(&key));
}

#[tokio::test]
async fn t24_who_watches_sees_files_come() {
    let (world, mut clerk, ticket) = with_ticket().await;
    let request = pb::WatchTicketsRequest { org_unit: "group".into(), ..Default::default() };
    let mut watch = clerk.tickets.watch_tickets(request).await.unwrap().into_inner();
    watch.next().await.unwrap().unwrap();
    let made = world.clerk().attach(&ticket, "a.png", "", &picture(9)).await.unwrap();
    let mut seen = None;
    // The registration may still be on its way to the watcher.
    for _ in 0..5 {
        let event = watch.next().await.unwrap().unwrap().event;
        if let Some(pb::TicketEvent {
            ticket: of,
            change: Some(Change::AttachmentChanged(changed)),
            ..
        }) = event
        {
            assert_eq!(of, ticket);
            seen = changed.attachment;
            break;
        }
    }
    assert_eq!(seen, Some(made));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x08_one_person_leaves_places_for_the_uploads_of_others() {
    let (world, mut clerk, ticket) = with_ticket().await;
    let stalled: Vec<_> = (0..12)
        .map(|number| {
            let mut hoarder = world.desk("hoarder", "group", role::CLERK);
            let first = Up::Header(header(&ticket, &format!("{number}.png"), "image/png"));
            let first = pb::UploadAttachmentRequest { part: Some(first) };
            let messages = futures::stream::iter([first]).chain(futures::stream::pending());
            Box::pin(async move { hoarder.attachments.upload_attachment(messages).await })
        })
        .collect();
    // All but three are sent away; the three go on sending nothing.
    let mut waiting = stalled;
    for _ in 0..9 {
        let (refused, _, rest) = futures::future::select_all(waiting).await;
        assert_eq!(refused.unwrap_err().code(), Code::ResourceExhausted);
        waiting = rest;
    }
    assert_eq!(waiting.len(), 3);
    for _ in 0..2 {
        clerk.attach(&ticket, "现场.png", "image/png", &picture(10)).await.unwrap();
    }
}
